//! How much state a session may hold, so that no sender can exhaust memory.

use std::mem::size_of;

use crate::template::{FieldSpecifier, Template};

/// Octets that the allocator and the hash tables add to one entry, at most: two machine words of bookkeeping, and
/// tables that double when they are seven eighths full.
const ENTRY: usize = 160;

/// Bounds of a [`Session`](crate::session::Session). What does not fit is refused and counted by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Exporters (address and port, or stream). A new one is refused while all are in use.
    pub exporters: usize,
    /// Observation domains of one exporter, versions counted apart.
    pub domains: usize,
    /// Observation domains of all exporters.
    pub domains_total: usize,
    /// Templates of one domain.
    pub templates: usize,
    /// Templates of one exporter.
    pub templates_exporter: usize,
    /// Templates of all exporters.
    pub templates_total: usize,
    /// Fields of one template.
    pub fields: usize,
    /// Fields of all templates of one exporter.
    pub fields_exporter: usize,
    /// Fields of all templates together.
    pub fields_total: usize,
    /// Octets of data waiting for a template, one domain.
    pub pending_domain: usize,
    /// Octets of data waiting for a template, one exporter.
    pub pending_exporter: usize,
    /// Octets of data waiting for a template, all together.
    pub pending_total: usize,
    /// Records of one message: a few octets each become a line or a flow record of a hundred.
    pub records: usize,
    /// How long data waits for its template, in milliseconds.
    pub pending_ms: u64,
    /// How long a template of a datagram exporter is used without being sent again, in milliseconds (RFC 7011 section
    /// 8.4 leaves it to the collector).
    pub template_ms: u64,
    /// A datagram exporter silent for this long (milliseconds) may be forgotten in favour of a new one.
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exporters: 16_384,
            domains: 256,
            domains_total: 65_536,
            templates: 4_096,
            templates_exporter: 16_384,
            templates_total: 131_072,
            fields: 16_384,
            fields_exporter: 524_288,
            fields_total: 4_194_304,
            pending_domain: 1 << 20,
            pending_exporter: 4 << 20,
            pending_total: 16 << 20,
            records: 16_384,
            pending_ms: 30_000,
            template_ms: 86_400_000,
            idle_ms: 1_800_000,
        }
    }
}

impl Limits {
    /// Octets that a session with these limits takes at most.
    pub fn memory(&self) -> usize {
        // The definition as the domain keeps it, and as the exporter's other ports share it.
        let template = size_of::<Template>() + 2 * ENTRY + 64;
        self.exporters * (crate::session::EXPORTER + ENTRY)
            + self.domains_total * (crate::session::DOMAIN + ENTRY)
            + self.templates_total * template
            + self.fields_total * size_of::<FieldSpecifier>()
            + self.pending_total
    }
}
