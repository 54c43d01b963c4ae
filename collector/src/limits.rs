//! `t2collect limits`: the bounds of all tables, and the memory that they add up to.

use std::fmt::Write as _;

use protocol::limits::Limits;

use crate::listen::{queue, stream, tls, udp};
use crate::slot::files;
use crate::workers::share;
use crate::{board, json, knowledge, map, store};

/// Octets of the program itself, its runtime, its standing buffers and what the allocator keeps of freed memory.
const STANDING: usize = 64 << 20;

/// Octets that so many workers of the program take at most with these limits, shared out among them.
#[must_use]
pub fn memory(limits: &Limits, workers: usize) -> usize {
    parts(limits, workers)
        .iter()
        .map(|(_, octets)| octets)
        .sum()
}

fn parts(limits: &Limits, workers: usize) -> [(&'static str, usize); 10] {
    [
        (
            "sessions, templates, waiting data",
            workers * share(limits, workers).memory(),
        ),
        (
            "names, samplers, elements, common properties",
            workers * knowledge::memory(),
        ),
        (
            "plans of templates",
            workers * (map::PLANS_COST + 2 * json::PLANS_COST),
        ),
        ("counters of exporters", workers * store::memory()),
        ("counters for --metrics", board::memory()),
        ("receive buffers, one UDP address", udp::memory()),
        ("received and not yet stored", queue::memory()),
        ("streams", stream::memory()),
        ("blocks waiting for compression and disk", files::memory()),
        ("program, buffers of files, allocator", STANDING),
    ]
}

/// The text.
#[must_use]
pub fn text(workers: usize) -> String {
    let limits = Limits::default();
    let mut text = String::new();
    let counts = [
        ("exporters (address and port, or stream)", limits.exporters),
        ("domains of an exporter", limits.domains),
        ("domains of all exporters", limits.domains_total),
        ("templates of a domain", limits.templates),
        ("templates of an exporter", limits.templates_exporter),
        ("templates of all exporters", limits.templates_total),
        ("fields of a template", limits.fields),
        (
            "fields of all templates of an exporter",
            limits.fields_exporter,
        ),
        ("fields of all templates", limits.fields_total),
        (
            "octets of data waiting for a template, a domain",
            limits.pending_domain,
        ),
        (
            "octets of data waiting for a template, an exporter",
            limits.pending_exporter,
        ),
        (
            "octets of data waiting for a template, all",
            limits.pending_total,
        ),
        ("records of a message", limits.records),
        (
            "names, samplers or elements of an exporter",
            knowledge::MAX_PER_EXPORTER,
        ),
        (
            "names, samplers or elements of all exporters, a kind",
            knowledge::MAX_ENTRIES,
        ),
        ("octets of a name", knowledge::MAX_NAME),
        ("streams", stream::MAX_STREAMS),
        ("TLS handshakes at a time", tls::MAX_HANDSHAKES),
        (
            "TLS handshakes that begin within a second",
            tls::MAX_PER_SECOND,
        ),
    ];
    for (what, count) in counts {
        let _ = writeln!(text, "{count:>10}  {what}");
    }
    for (what, ms) in [
        ("data waits for its template", limits.pending_ms),
        (
            "a template is used without being sent again (--template-lifetime)",
            limits.template_ms,
        ),
        (
            "an exporter may be silent before it makes room for a new one",
            limits.idle_ms,
        ),
        (
            "a stream may leave a message unfinished, or be silent at its begin",
            stream::PATIENCE.as_millis() as u64,
        ),
        (
            "a TLS handshake may take",
            tls::HANDSHAKE.as_millis() as u64,
        ),
    ] {
        let _ = writeln!(text, "{:>8} s  {what}", ms / 1000);
    }
    text.push('\n');
    for (what, octets) in parts(&limits, workers) {
        let _ = writeln!(text, "{:>8} MB  {what}", octets.div_ceil(1_000_000));
    }
    let all = memory(&limits, workers).div_ceil(1_000_000);
    let _ = writeln!(text, "{all:>8} MB  memory at most, all together");
    let source = store::memory_of_source().div_ceil(1_000_000);
    let _ = writeln!(
        text,
        "{source:>8} MB  each source of one address (-n; -M, up to --max-sources) in addition"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_all_is_the_sum() {
        for workers in [1, 4] {
            let text = text(workers);
            let all = text.lines().find(|line| line.ends_with("all together"));
            let last = all.unwrap_or_default();
            let octets = memory(&Limits::default(), workers);
            assert!(
                last.contains(&octets.div_ceil(1_000_000).to_string()),
                "{last}"
            );
        }
    }
}
