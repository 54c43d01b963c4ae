//! How much state a session may hold, so that no sender can exhaust memory.

/// Bounds of a [`Session`](crate::session::Session). What does not fit is refused and counted by cause.
///
/// Memory is at most about `exporters × domains × templates × (100 + 8 × fields)` octets plus `pending_total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Exporters (address and port, or stream). A new one is refused while all are in use.
    pub exporters: usize,
    /// Observation domains of one exporter, versions counted apart.
    pub domains: usize,
    /// Templates of one domain.
    pub templates: usize,
    /// Fields of one template.
    pub fields: usize,
    /// Fields of all templates together.
    pub fields_total: usize,
    /// Octets of data waiting for a template, one domain.
    pub pending_domain: usize,
    /// Octets of data waiting for a template, all together.
    pub pending_total: usize,
    /// How long data waits for its template, in milliseconds.
    pub pending_ms: u64,
    /// A datagram exporter silent for this long (milliseconds) may be forgotten in favour of a new one.
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exporters: 16_384,
            domains: 256,
            templates: 4_096,
            fields: 4_096,
            fields_total: 8_388_608,
            pending_domain: 1 << 20,
            pending_total: 16 << 20,
            pending_ms: 30_000,
            idle_ms: 1_800_000,
        }
    }
}
