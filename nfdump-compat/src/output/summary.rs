//! The lines below a listing or statistic.

use super::{
    number::{bits_per_second, bytes_per_packet, per_second, push_scaled, push_u64},
    row::Counters,
    style::Style,
    time::{LocalTime, push_duration_clock},
    values::push_printable,
    versions::{Facts, Scale},
};
use crate::file::StatRecord;
use std::time::Duration;

/// Totals of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sum of all flows that passed; `None` before the first.
    pub counters: Option<Counters>,
    /// Flow records read.
    pub processed: u64,
    /// Flow records that passed (the limit, later the filter).
    pub passed: u64,
    /// Flow records that would have passed behind the limit.
    pub passed_later: u64,
    /// Blocks of a type that is not records.
    pub blocks_skipped: u64,
    /// Payload bytes of record blocks read, uncompressed.
    pub bytes_read: u64,
    /// First and last packet of the files' statistics, Unix milliseconds.
    pub window: Option<(u64, u64)>,
}

impl Totals {
    /// Counts a flow that passed.
    pub fn add(&mut self, counters: &Counters) {
        match &mut self.counters {
            Some(sum) => sum.add(counters),
            None => self.counters = Some(*counters),
        }
    }

    /// Takes in what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(counters) = &other.counters {
            self.add(counters);
        }
        if let Some((first, last)) = other.window {
            self.widen(first, last);
        }
        self.processed += other.processed;
        self.passed += other.passed;
        self.passed_later += other.passed_later;
        self.blocks_skipped += other.blocks_skipped;
        self.bytes_read += other.bytes_read;
    }

    /// Widens the time window by a file's.
    pub fn widen(&mut self, first_ms: u64, last_ms: u64) {
        self.window = Some(match self.window {
            Some((first, last)) => (first.min(first_ms), last.max(last_ms)),
            None => (first_ms, last_ms),
        });
    }
}

/// Time spent on a query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// CPU time in the kernel.
    pub system: Duration,
    /// CPU time of the program.
    pub user: Duration,
    /// Time from the first record to the last.
    pub wall: Duration,
    /// Time since the program began.
    pub runtime: Duration,
}

/// Appends the summary.
pub fn push_summary(
    out: &mut Vec<u8>,
    totals: &Totals,
    timing: &Timing,
    style: &Style,
    time: &mut LocalTime,
) {
    let facts = style.facts();
    let scale = if facts.plain_summary {
        Scale::Plain
    } else {
        style.sum_scale()
    };
    push_sums(out, totals, scale);
    out.extend_from_slice(b"Time window: ");
    match totals.window {
        // nfdump's two ways of not knowing.
        Some((_, 0)) | None => out.extend_from_slice(b"<unknown>"),
        Some((first @ ..1000, last)) => {
            out.extend_from_slice(b"Time Window unknown");
            push_length(out, first, last, facts);
        }
        Some((first, last)) => {
            let mut push = |out: &mut Vec<u8>, ms: u64| match facts.window_ms {
                true => time.push_ms(out, ms),
                false => time.push_seconds(out, ms / 1000),
            };
            push(out, first);
            out.extend_from_slice(b" - ");
            push(out, last);
            push_length(out, first, last, facts);
        }
    }
    out.extend_from_slice(if facts.later {
        b"\nTotal records processed: ".as_slice()
    } else {
        b"\nTotal flows processed: "
    });
    // nfdump 1.7.5 counts what passed.
    push_u64(
        out,
        if facts.processed_is_passed {
            totals.passed
        } else {
            totals.processed
        },
    );
    if facts.passed {
        out.extend_from_slice(b", passed: ");
        push_u64(out, totals.passed.saturating_add(totals.passed_later));
    }
    out.extend_from_slice(b", Blocks skipped: ");
    push_u64(out, totals.blocks_skipped);
    out.extend_from_slice(b", Bytes read: ");
    push_u64(out, totals.bytes_read);
    out.push(b'\n');
    out.extend_from_slice(timing_line(totals.processed, timing, facts).as_bytes());
}

/// Length of the time window, which nfdump 1.7.5 tells.
fn push_length(out: &mut Vec<u8>, first: u64, last: u64, facts: &Facts) {
    if facts.later {
        out.extend_from_slice(b", Duration:");
        let seconds = (last / 1000).wrapping_sub(first / 1000);
        push_duration_clock(out, seconds.wrapping_mul(1000));
    }
}

fn push_sums(out: &mut Vec<u8>, totals: &Totals, scale: Scale) {
    let sum = totals.counters.unwrap_or(Counters::NONE);
    // Without a duration nfdump shows no averages at all.
    let packet_size = match sum.duration_ms() {
        0 => 0,
        _ => bytes_per_packet(sum.bytes(), sum.packets()),
    };
    out.extend_from_slice(b"Summary: total flows: ");
    push_u64(out, sum.flows);
    for (name, value) in [
        (", total bytes: ", sum.bytes()),
        (", total packets: ", sum.packets()),
        (
            ", avg bps: ",
            bits_per_second(sum.bytes(), sum.duration_ms()),
        ),
        (", avg pps: ", per_second(sum.packets(), sum.duration_ms())),
        (", avg bpp: ", packet_size),
    ] {
        out.extend_from_slice(name.as_bytes());
        push_scaled(out, value, scale);
    }
    out.push(b'\n');
}

fn timing_line(processed: u64, timing: &Timing, facts: &Facts) -> String {
    let rate = |time: Duration| {
        if time.is_zero() || processed == 0 {
            0.0
        } else {
            processed as f64 / time.as_secs_f64()
        }
    };
    let [system, user, wall, runtime] =
        [timing.system, timing.user, timing.wall, timing.runtime].map(|time| time.as_secs_f64());
    match facts.old_timing {
        false => format!(
            "Sys: {system:.4}s User: {user:.4}s Wall: {wall:.4}s flows/second: {:.1} Runtime: {runtime:.4}s\n",
            rate(timing.wall)
        ),
        true => format!(
            "Sys: {system:.3}s flows/second: {:<10.1} Wall: {wall:.3}s flows/second: {:<10.1}\n",
            rate(timing.system),
            rate(timing.wall)
        ),
    }
}

/// Appends a file's (or the sum of several files') own statistics, `-I`.
pub fn push_information(out: &mut Vec<u8>, ident: &str, stat: &StatRecord) {
    out.extend_from_slice(b"Ident: ");
    push_printable(out, ident);
    out.push(b'\n');
    let groups = [
        ("Flows", stat.flows, &stat.flows_by),
        ("Packets", stat.packets, &stat.packets_by),
        ("Bytes", stat.bytes, &stat.bytes_by),
    ];
    for (name, all, by) in groups {
        push_line(out, name, "", all);
        for (protocol, value) in [
            ("_tcp", by.tcp),
            ("_udp", by.udp),
            ("_icmp", by.icmp),
            ("_other", by.other),
        ] {
            push_line(out, name, protocol, value);
        }
    }
    for (name, value) in [
        ("First", stat.first_ms / 1000),
        ("Last", stat.last_ms / 1000),
        ("msec_first", stat.first_ms % 1000),
        ("msec_last", stat.last_ms % 1000),
        ("Sequence failures", stat.sequence_failures),
    ] {
        push_line(out, name, "", value);
    }
}

/// Appends a file's line of `-g`: its time, as its name tells it, then flows, packets and bytes.
pub fn push_file_line(out: &mut Vec<u8>, name: &str, stat: &StatRecord) {
    let digits = name.rsplit('.').next().unwrap_or_default();
    let is_time =
        matches!(digits.len(), 12 | 14) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_time {
        let part = |at: usize| digits.get(at..at + 2).unwrap_or("00");
        let year = digits.get(..4).unwrap_or_default();
        put!(
            out,
            "{year}-{}-{} {}:{}:{}",
            part(4),
            part(6),
            part(8),
            part(10),
            part(12)
        );
    } else {
        out.extend_from_slice(b"No datstring\n");
        return;
    }
    put!(out, ",{},{},{}\n", stat.flows, stat.packets, stat.bytes);
}

fn push_line(out: &mut Vec<u8>, name: &str, of: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(of.as_bytes());
    out.extend_from_slice(b": ");
    push_u64(out, value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Compat;
    use jiff::tz::TimeZone;

    const TUTORIAL: Totals = Totals {
        counters: Some(Counters {
            first_ms: 1_258_544_215_001,
            last_ms: 1_258_594_491_646,
            in_packets: 5902,
            in_bytes: 4_651_854,
            out_packets: 0,
            out_bytes: 0,
            flows: 72,
        }),
        processed: 72,
        passed: 72,
        passed_later: 0,
        blocks_skipped: 0,
        bytes_read: 9928,
        window: Some((1_258_544_215_001, 1_258_594_491_646)),
    };

    fn lines(style: Style) -> Vec<String> {
        let mut out = Vec::new();
        let zone = TimeZone::posix("CET-1").expect("a valid zone");
        push_summary(
            &mut out,
            &TUTORIAL,
            &Timing::default(),
            &style,
            &mut LocalTime::new(zone),
        );
        String::from_utf8_lossy(&out)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The four lines printed in the Tranalyzer tutorial.
    #[test]
    fn the_tutorials_summary() {
        let printed = lines(Style {
            compat: Compat::Tutorial,
            ..Style::default()
        });
        assert_eq!(
            printed[..3],
            [
                "Summary: total flows: 72, total bytes: 4651854, total packets: 5902, avg bps: 740, avg pps: 0, avg bpp: 788",
                "Time window: 2009-11-18 12:36:55 - 2009-11-19 02:34:51",
                "Total flows processed: 72, Blocks skipped: 0, Bytes read: 9928",
            ]
        );
        assert!(printed[3].starts_with("Sys: 0.000s flows/second: 0.0 "));
    }

    #[test]
    fn nfdumps_summary() {
        let printed = lines(Style::default());
        assert_eq!(
            printed[0],
            "Summary: total flows: 72, total bytes: 4.7 M, total packets: 5902, avg bps: 740, avg pps: 0, avg bpp: 788"
        );
        assert_eq!(
            printed[2],
            "Total flows processed: 72, passed: 72, Blocks skipped: 0, Bytes read: 9928"
        );
    }
}
