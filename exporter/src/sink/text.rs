//! Flows as Tranalyzer's txtSink prints them: one line a direction, tab separated, a header row that starts
//! with `%dir`. One table of columns feeds the header row, the rows and the description file.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::meter::{Endpoints, Flow, FlowSink, MacPair, Metric, Octets, TextFeatures};

/// A flow beside its opposite direction.
struct Row<'a> {
    letter: char,
    flow: &'a Flow,
    text: &'a TextFeatures,
    opposite: Option<&'a Flow>,
    metric: Metric,
}

impl Row<'_> {
    /// What the direction's octet columns count.
    fn octets(&self) -> Octets {
        self.flow.octets(self.metric)
    }
}

/// A column: type and name as in Tranalyzer's `_headers.txt`, what it is, and how it is printed.
struct Column {
    kind: &'static str,
    name: &'static str,
    meaning: &'static str,
    print: fn(&Row<'_>, &mut dyn Write) -> io::Result<()>,
}

const fn column(
    kind: &'static str,
    name: &'static str,
    meaning: &'static str,
    print: fn(&Row<'_>, &mut dyn Write) -> io::Result<()>,
) -> Column {
    Column {
        kind,
        name,
        meaning,
        print,
    }
}

/// The columns in their order.
static COLUMNS: [Column; 38] = [
    column("C", "dir", "Flow direction", |r, w| {
        write!(w, "{}", r.letter)
    }),
    column("U64", "flowInd", "Flow index", |r, w| {
        write!(w, "{}", r.flow.index)
    }),
    column("H64", "flowStat", "Flow status and warnings", |r, w| {
        write!(w, "{:#018x}", r.flow.status)
    }),
    column(
        "U64.U32",
        "timeFirst",
        "Time of the first packet",
        |r, w| seconds(w, r.flow.first_ns),
    ),
    column("U64.U32", "timeLast", "Time of the last packet", |r, w| {
        seconds(w, r.flow.last_ns)
    }),
    column("U64.U32", "duration", "Flow duration", |r, w| {
        seconds(w, duration_ns(r.flow))
    }),
    column("MAC:R", "srcMac", "Source MACs", |r, w| {
        distinct(w, r.text, |pair| pair.src)
    }),
    column("MAC:R", "dstMac", "Destination MACs", |r, w| {
        distinct(w, r.text, |pair| pair.dst)
    }),
    column("H16", "ethType", "EtherType", |r, w| {
        write!(w, "{:#06x}", r.flow.ether_type)
    }),
    column("U16:R", "vlanID", "VLAN tags", |r, w| {
        list(w, r.text.vlans.tags(), |w, tci| write!(w, "{tci}"))
    }),
    column("IPX", "srcIP", "Source address", |r, w| {
        match r.flow.endpoints {
            Endpoints::Ip { src, .. } => write!(w, "{src}"),
            Endpoints::Link => w.write_all(b"-"),
        }
    }),
    column("U16", "srcPort", "Source port", |r, w| {
        write!(w, "{}", ports(r.flow).0)
    }),
    column("IPX", "dstIP", "Destination address", |r, w| {
        match r.flow.endpoints {
            Endpoints::Ip { dst, .. } => write!(w, "{dst}"),
            Endpoints::Link => w.write_all(b"-"),
        }
    }),
    column("U16", "dstPort", "Destination port", |r, w| {
        write!(w, "{}", ports(r.flow).1)
    }),
    column("U8", "l4Proto", "Layer 4 protocol", |r, w| {
        write!(w, "{}", ports(r.flow).2)
    }),
    column("U32", "macPairs", "Number of distinct MAC pairs", |r, w| {
        write!(w, "{}", r.text.mac_pairs.len())
    }),
    column(
        "MAC_MAC_U64:R",
        "srcMac_dstMac_numP",
        "Source MAC, destination MAC, number of packets",
        |r, w| {
            list(w, &r.text.mac_pairs, |w, pair| {
                mac(w, pair.src)?;
                w.write_all(b"_")?;
                mac(w, pair.dst)?;
                write!(w, "_{}", pair.packets)
            })
        },
    ),
    column("U64", "pktsSnt", "Packets sent", |r, w| {
        write!(w, "{}", r.flow.packets)
    }),
    column("U64", "pktsRcvd", "Packets received", |r, w| {
        write!(w, "{}", received(r).0)
    }),
    column("I64", "padBytesSnt", "Padding octets sent", |r, w| {
        write!(w, "{}", r.text.pad_octets)
    }),
    column("U64", "l7BytesSnt", "Layer 7 octets sent", |r, w| {
        write!(w, "{}", r.octets().total)
    }),
    column("U64", "l7BytesRcvd", "Layer 7 octets received", |r, w| {
        write!(w, "{}", received(r).1)
    }),
    column("U16", "minL7PktSz", "Smallest layer 7 packet", |r, w| {
        write!(w, "{}", r.octets().min)
    }),
    column("U16", "maxL7PktSz", "Largest layer 7 packet", |r, w| {
        write!(w, "{}", r.octets().max)
    }),
    column("F", "avgL7PktSz", "Average layer 7 packet", |r, w| {
        float(w, (r.octets().total as f64 / r.flow.packets as f64) as f32)
    }),
    // The first packet counts as 0.
    column("F", "minIAT", "Shortest inter-arrival time", |_, w| {
        w.write_all(b"0")
    }),
    column("F", "maxIAT", "Longest inter-arrival time", |r, w| {
        float(w, r.text.max_iat)
    }),
    column("F", "avgIAT", "Average inter-arrival time", |r, w| {
        float(w, r.text.avg_iat)
    }),
    column("F", "pktps", "Packets sent per second", |r, w| {
        float(w, rate(r.flow, r.flow.packets))
    }),
    column("F", "bytps", "Octets sent per second", |r, w| {
        float(w, rate(r.flow, r.octets().total))
    }),
    column("F", "pktAsm", "Packet stream asymmetry", |r, w| {
        let lone_reply = r.opposite.is_none() && r.flow.inverted;
        match lone_reply {
            true => w.write_all(b"-1"),
            false => float(w, asymmetry(r.flow.packets, received(r).0)),
        }
    }),
    column("F", "bytAsm", "Byte stream asymmetry", |r, w| {
        float(w, asymmetry(r.octets().total, received(r).1))
    }),
    column("U8", "ipMinTTL", "Smallest TTL", |r, w| {
        write!(w, "{}", r.flow.min_ttl)
    }),
    column("U8", "ipMaxTTL", "Largest TTL", |r, w| {
        write!(w, "{}", r.flow.max_ttl)
    }),
    column("H8", "ipToS", "All ToS bits", |r, w| {
        write!(w, "{:#04x}", r.flow.tos)
    }),
    column("H16", "tcpFlags", "All TCP flags", |r, w| {
        write!(w, "{:#06x}", r.flow.tcp_flags)
    }),
    column("H16", "tcpAnomaly", "TCP anomalies", |r, w| {
        write!(w, "{:#06x}", r.text.tcp_anomaly)
    }),
    column(
        "H8",
        "tcpStatesAFlags",
        "TCP state machine anomalies",
        |r, w| write!(w, "{:#04x}", r.flow.tcp_states),
    ),
];

/// How rows are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Tab separated under a header row, as Tranalyzer's txtSink.
    Columns,
    /// One JSON object a line, with the columns' names.
    Json,
}

/// Writes `PREFIX_flows.txt` or `PREFIX_flows.json`.
#[derive(Debug)]
pub struct TextSink<W: Write> {
    out: W,
    metric: Metric,
    layout: Layout,
    /// One printed value.
    scratch: Vec<u8>,
    /// The first error; nothing is written after it.
    failed: Option<io::Error>,
}

impl<W: Write> TextSink<W> {
    /// A sink, whose octet columns count `metric`; writes the header row, if there is one.
    ///
    /// # Errors
    /// The header row cannot be written.
    pub fn new(mut out: W, metric: Metric, layout: Layout) -> io::Result<Self> {
        if layout == Layout::Columns {
            out.write_all(b"%")?;
            separated(&mut out, b"\t", COLUMNS.iter(), |out, column| {
                out.write_all(named(column.name, metric).as_bytes())
            })?;
            out.write_all(b"\n")?;
        }
        Ok(TextSink {
            out,
            metric,
            layout,
            scratch: Vec::new(),
            failed: None,
        })
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// The first error since the sink was made.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// The first error since the sink was made: nothing was written after it.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    fn row(&mut self, letter: char, flow: &Flow, opposite: Option<&Flow>) -> io::Result<()> {
        let none = TextFeatures::default();
        let row = Row {
            letter,
            flow,
            text: flow.text.as_deref().unwrap_or(&none),
            opposite,
            metric: self.metric,
        };
        if self.layout == Layout::Json {
            return object(&mut self.out, &mut self.scratch, &row);
        }
        separated(&mut self.out, b"\t", COLUMNS.iter(), |out, column| {
            (column.print)(&row, out)
        })?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> FlowSink for TextSink<W> {
    /// Prints the pair. A flow without opposite direction has the letter A whatever its direction, as in
    /// Tranalyzer.
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        if self.failed.is_some() {
            return;
        }
        let printed = self.row('A', first, second).and_then(|()| match second {
            Some(second) => self.row('B', second, Some(first)),
            None => Ok(()),
        });
        if let Err(error) = printed {
            self.failed = Some(error);
        }
    }
}

/// Writes `PREFIX_headers.txt`: number, type, name and meaning of every column.
///
/// # Errors
/// The file cannot be written.
pub fn write_headers(out: &mut impl Write, metric: Metric) -> io::Result<()> {
    writeln!(out, "# Col No.\tType\tName\tDescription")?;
    for (number, column) in (1..).zip(&COLUMNS) {
        writeln!(
            out,
            "{number}\t{}\t{}\t{}",
            column.kind,
            named(column.name, metric),
            named(column.meaning, metric)
        )?;
    }
    Ok(())
}

/// A column's name or meaning under a metric: Tranalyzer names octet columns by the layer that is counted.
fn named(text: &'static str, metric: Metric) -> Cow<'static, str> {
    let layer = match metric {
        Metric::L7 => return text.into(),
        Metric::L4 => "4",
        Metric::Ip => "3",
        Metric::L2 => "2",
    };
    if text.contains("l7") || text.contains("L7") || text.contains("ayer 7") {
        text.replace('7', layer).into()
    } else {
        text.into()
    }
}

fn separated<T, W: Write>(
    out: &mut W,
    separator: &[u8],
    items: impl Iterator<Item = T>,
    print: impl Fn(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.write_all(separator)?;
        }
        print(out, item)?;
    }
    Ok(())
}

/// A row as a JSON object.
fn object(out: &mut impl Write, scratch: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    out.write_all(b"{")?;
    for (at, column) in COLUMNS.iter().enumerate() {
        scratch.clear();
        (column.print)(row, scratch)?;
        let comma = if at > 0 { "," } else { "" };
        write!(out, "{comma}\"{}\":", named(column.name, row.metric))?;
        let text = std::str::from_utf8(scratch).unwrap_or_default();
        super::json::value(out, column.kind, text)?;
    }
    out.write_all(b"}\n")
}

/// Repeated values.
fn list<T>(
    mut out: &mut dyn Write,
    items: &[T],
    print: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    separated(&mut out, b";", items.iter(), |out, item| print(out, item))
}

fn mac(out: &mut dyn Write, mac: [u8; 6]) -> io::Result<()> {
    let [a, b, c, d, e, f] = mac;
    write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// The different MACs of one end, the first three of them as in Tranalyzer's basicFlow.
fn distinct(
    out: &mut dyn Write,
    text: &TextFeatures,
    end: impl Fn(&MacPair) -> [u8; 6],
) -> io::Result<()> {
    let mut seen: Vec<[u8; 6]> = Vec::new();
    for pair in &text.mac_pairs {
        if seen.len() < 3 && !seen.contains(&end(pair)) {
            seen.push(end(pair));
        }
    }
    list(out, &seen, |out, value| mac(out, *value))
}

/// Seconds with nine decimals; times before 1970 have a minus sign.
fn seconds(out: &mut dyn Write, ns: i64) -> io::Result<()> {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    write!(
        out,
        "{sign}{}.{:09}",
        ns / 1_000_000_000,
        ns % 1_000_000_000
    )
}

fn duration_ns(flow: &Flow) -> i64 {
    flow.last_ns.saturating_sub(flow.first_ns)
}

fn to_seconds(ns: i64) -> f32 {
    (ns as f64 / 1e9) as f32
}

fn ports(flow: &Flow) -> (u16, u16, u8) {
    match flow.endpoints {
        Endpoints::Ip {
            src_port,
            dst_port,
            protocol,
            ..
        } => (src_port, dst_port, protocol),
        Endpoints::Link => (0, 0, 0),
    }
}

/// Packets and octets of the opposite direction.
fn received(row: &Row<'_>) -> (u64, u64) {
    row.opposite
        .map_or((0, 0), |flow| (flow.packets, flow.octets(row.metric).total))
}

/// 0 for a flow without duration.
fn rate(flow: &Flow, count: u64) -> f32 {
    let seconds = to_seconds(duration_ns(flow));
    if seconds > 0.0 {
        count as f32 / seconds
    } else {
        0.0
    }
}

fn asymmetry(sent: u64, received: u64) -> f32 {
    let (sent, received) = (sent as f64, received as f64);
    if sent + received > 0.0 {
        ((sent - received) / (sent + received)) as f32
    } else {
        0.0
    }
}

/// Seven significant digits, as C's `%.7g`.
fn float(out: &mut dyn Write, value: f32) -> io::Result<()> {
    const DIGITS: i32 = 7;
    let value = f64::from(value);
    if value == 0.0 || !value.is_finite() {
        return write!(out, "{value}");
    }
    // The exponent after rounding to the wanted digits decides the notation.
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let fixed = format!("{value:.*}", (DIGITS - 1 - exponent).max(0) as usize);
        return out.write_all(without_zeros(&fixed).as_bytes());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(
        out,
        "{}e{sign}{:02}",
        without_zeros(mantissa),
        exponent.unsigned_abs()
    )
}

/// Without the zeros at the end of a fraction.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn printed(print: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_have_seven_digits() {
        let cases = [
            (0.0, "0"),
            (100.0, "100"),
            (-1.0, "-1"),
            (0.02, "0.02"),
            (79.33333, "79.33333"),
            (0.14285715, "0.1428571"),
            (836_237.2, "836237.2"),
            (12_345_678.0, "1.234568e+07"),
            (9_999_999.5, "1e+07"),
            (3.25e-5, "3.25e-05"),
            (0.000_123_4, "0.0001234"),
        ];
        for (value, expected) in cases {
            assert_eq!(printed(|out| float(out, value)), expected, "{value}");
        }
    }

    #[test]
    fn times_have_nine_decimals() {
        let cases = [
            (1_700_000_001_250_000_000, "1700000001.250000000"),
            (0, "0.000000000"),
            (-1_500_000_000, "-1.500000000"),
            (7, "0.000000007"),
        ];
        for (ns, expected) in cases {
            assert_eq!(printed(|out| seconds(out, ns)), expected);
        }
    }

    #[test]
    fn headers_describe_every_column() {
        let mut out = Vec::new();
        write_headers(&mut out, Metric::L7).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), COLUMNS.len() + 1);
        assert!(text.contains("\n3\tH64\tflowStat\t"));
    }
}
