//! What Tranalyzer's end reports say of columns that its recorded flows have not: the OR of a column's bits over all
//! flows, the headers of all packets, the counts of scans and retransmissions.

use exporter::meter::MeterStats;

use super::excuses::Cause;

/// Items of a report as Tranalyzer prints them, empty if it does not.
pub struct Items(pub Vec<(&'static str, String)>);

/// What stands between two strings, or from one to the end of the line.
fn between<'a>(report: &'a str, before: &str, after: &str) -> &'a str {
    let Some((_, rest)) = report.split_once(before) else {
        return "";
    };
    let line = rest.lines().next().unwrap_or("");
    line.split_once(after)
        .filter(|_| !after.is_empty())
        .map_or(line, |(value, _)| value)
        .trim()
}

/// Without the human-readable form and the percentage.
fn plain(counts: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for letter in counts.chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ' ' => {}
            letter if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain
}

/// The items of a recorded report.
pub fn recorded(report: &str) -> Items {
    let bits = |name: &str| between(report, &format!("Aggregated {name}="), "").to_owned();
    Items(vec![
        ("ipFlags", bits("ipFlags")),
        ("tcpFStat", bits("tcpFStat")),
        ("tcpFlags", bits("tcpFlags")),
        ("tcpStatesAFlags", bits("tcpStatesAFlags")),
        ("ipToS", bits("ipToS")),
        ("headers", between(report, "Headers count: ", "").to_owned()),
        (
            "scans",
            plain(between(report, "scans attempted, successful: ", "")),
        ),
        (
            "retries",
            plain(between(report, "SYN retries, seq retries: ", "")),
        ),
        (
            "zero windows",
            plain(between(report, "WinSz below 1: ", "")),
        ),
    ])
}

/// The same items of ours.
pub fn ours(stats: &MeterStats) -> Items {
    let bits = |value: u16, digits: usize| match value {
        0 => String::new(),
        value => format!("0x{value:0digits$x}"),
    };
    let text = &stats.text;
    let pair = |one: u64, two: u64| match one + two {
        0 => String::new(),
        _ => format!("{one},{two}"),
    };
    Items(vec![
        ("ipFlags", bits(text.ip_flags, 4)),
        ("tcpFStat", bits(text.tcp_status, 4)),
        ("tcpFlags", bits(stats.tcp_flags, 4)),
        ("tcpStatesAFlags", bits(stats.tcp_states.into(), 2)),
        ("ipToS", bits(stats.tos.into(), 2)),
        (
            "headers",
            match stats.packets {
                0 => String::new(),
                packets => format!(
                    "min: {}, max: {}, avg: {:.2}",
                    text.min_headers,
                    text.max_headers,
                    text.headers as f64 / packets as f64
                ),
            },
        ),
        ("scans", pair(text.scans, text.scans_answered)),
        ("retries", pair(text.syn_retries, text.sequence_retries)),
        (
            "zero windows",
            match text.closed_windows {
                0 => String::new(),
                count => count.to_string(),
            },
        ),
    ])
}

/// Items that differ, in which capture, and why.
pub const EXCUSES: &[(&str, &str, &[Cause])] = &[
    ("edge/fragmented-1", "ipFlags", &[Cause::FragmentChecksum]),
    ("edge/fragmented-2", "ipFlags", &[Cause::FragmentChecksum]),
    ("edge/fragmented-4", "ipFlags", &[Cause::FragmentChecksum]),
    ("edge/fragmented-syn", "ipFlags", &[Cause::FragmentChecksum]),
    ("edge/fragmented-syn", "tcpFStat", &[Cause::Overhang]),
    ("medium/ipfragments", "ipFlags", &[Cause::FragmentChecksum]),
    ("synth", "ipFlags", &[Cause::FragmentChecksum, Cause::Clock]),
    (
        "edge/gtp1_gn_normal_incl_fragmentation",
        "ipFlags",
        &[Cause::Summed],
    ),
    ("edge/geneve", "ipFlags", &[Cause::NoChecksum]),
    ("edge/vxlan", "ipFlags", &[Cause::NoChecksum]),
    ("edge/gre-erspan3-dot1q", "ipFlags", &[Cause::Erspan]),
    ("edge/gre-erspan3-dot1q", "headers", &[Cause::Erspan]),
    ("edge/ipv6-fragmented-dns", "ipFlags", &[Cause::V6Fragments]),
    ("edge/ipv6-fragmented-dns", "headers", &[Cause::V6Fragments]),
    ("edge/ipv6-mobility-dst-opts", "ipFlags", &[Cause::Mobility]),
];
