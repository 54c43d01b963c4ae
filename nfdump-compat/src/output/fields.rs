//! The one table of listing fields: `%token`, column heading and how the value is printed.
//!
//! Widths and headings are nfdump 1.7.1's.

use super::{
    address::{self, FULL, SHORT, push_hex, push_ip, push_mac},
    number::{
        align_left, align_right, bits_per_second, bytes_per_packet, per_second, push_scaled_right,
        push_u64, push_uint, push_zero_padded,
    },
    protocols,
    row::{Counters, Row, or_unspecified},
    style::{Compat, Style},
    time::{LocalTime, push_duration_clock, push_duration_seconds},
};
use crate::{
    field::{self, Location},
    record::FLAG_EVENT,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A token of the output format.
pub struct Field {
    /// Token without the `%`.
    pub token: &'static str,
    /// Column heading.
    pub heading: Heading,
    /// How the value is printed.
    pub print: Print,
}

/// A column heading.
pub enum Heading {
    /// As it stands.
    Text(&'static str),
    /// Right-aligned to the width of an address (16, with `-6` 39), then the rest.
    Address(&'static str, &'static str),
    /// Right-aligned to the width of an address with its prefix length.
    Network(&'static str),
    /// The duration column, which older styles print narrower.
    Duration,
    /// The TCP flags column, which older styles print narrower.
    Flags,
}

/// How a field's value is printed.
pub enum Print {
    /// A plain number right-aligned in some columns.
    Number(Location, usize),
    /// A counter or rate, scaled, right-aligned in 8 columns.
    Scaled(fn(&Counters) -> u64),
    /// A MAC address.
    Mac(Location),
    /// Microseconds as milliseconds with three decimals.
    Latency(Location),
    /// Anything else.
    With(fn(&mut Vec<u8>, &Row<'_>, &Style, &mut LocalTime)),
}

use Heading::{Address, Text};
use Print::{Latency, Mac, Number, Scaled, With};

const fn field(token: &'static str, heading: Heading, print: Print) -> Field {
    Field {
        token,
        heading,
        print,
    }
}

/// All fields.
pub static FIELDS: &[Field] = &[
    field(
        "ts",
        Text("Date first seen        "),
        With(|out, row, _, time| time.push_ms(out, row.counters.first_ms)),
    ),
    field(
        "tfs",
        Text("Date first seen        "),
        With(|out, row, _, time| time.push_ms(out, row.counters.first_ms)),
    ),
    field(
        "tsr",
        Text("Date first seen (raw)    "),
        With(|out, row, _, _| push_raw_time(out, row.counters.first_ms)),
    ),
    field(
        "te",
        Text("Date last seen         "),
        With(|out, row, _, time| time.push_ms(out, row.counters.last_ms)),
    ),
    field(
        "ter",
        Text("Date last seen (raw)     "),
        With(|out, row, _, _| push_raw_time(out, row.counters.last_ms)),
    ),
    field(
        "tr",
        Text("Date flow received     "),
        With(|out, row, _, time| time.push_ms(out, row.get(field::MSEC_RECEIVED))),
    ),
    field(
        "trr",
        Text("Date flow received (raw)  "),
        With(|out, row, _, _| push_raw_time(out, row.get(field::MSEC_RECEIVED))),
    ),
    field(
        "td",
        Heading::Duration,
        With(|out, row, style, _| push_duration(out, row.counters.duration_ms(), style)),
    ),
    field(
        "tds",
        Text("    Duration    "),
        With(|out, row, _, _| push_duration_seconds(out, row.counters.duration_ms(), 16)),
    ),
    field("nfv", Text("Ver"), With(push_version)),
    field(
        "cnt",
        Text("Count"),
        With(|out, row, _, _| push_uint(out, row.number, 5)),
    ),
    field(
        "exp",
        Text("Exp ID"),
        With(|out, row, _, _| push_uint(out, u64::from(row.record.header().exporter_id), 6)),
    ),
    field("eng", Text(" engine"), With(push_engine)),
    field("lbl", Text("           label"), With(push_label)),
    field(
        "pr",
        Text("Proto"),
        With(|out, row, style, _| push_protocol(out, row.protocol(), style)),
    ),
    field(
        "sa",
        Address("Src IP Addr", ""),
        With(|out, row, style, _| push_address(out, row.record.src_ip(), style)),
    ),
    field(
        "da",
        Address("Dst IP Addr", ""),
        With(|out, row, style, _| push_address(out, row.record.dst_ip(), style)),
    ),
    field(
        "sap",
        Address("Src IP Addr", ":Port "),
        With(|out, row, style, _| push_source(out, row, style, "")),
    ),
    field(
        "dap",
        Address("Dst IP Addr", ":Port "),
        With(|out, row, style, _| push_destination(out, row, style, "")),
    ),
    field(
        "gsa",
        Address("Src IP Addr", "(..)"),
        With(|out, row, style, _| {
            push_address(out, row.record.src_ip(), style);
            out.extend_from_slice(NO_COUNTRY);
        }),
    ),
    field(
        "gda",
        Address("Dst IP Addr", "(..)"),
        With(|out, row, style, _| {
            push_address(out, row.record.dst_ip(), style);
            out.extend_from_slice(NO_COUNTRY);
        }),
    ),
    field(
        "gsap",
        Address("Src IP Addr", "(..):Port "),
        With(|out, row, style, _| push_source(out, row, style, "(..)")),
    ),
    field(
        "gdap",
        Address("Dst IP Addr", "(..):Port "),
        With(|out, row, style, _| push_destination(out, row, style, "(..)")),
    ),
    field(
        "sn",
        Heading::Network("Src Network"),
        With(|out, row, style, _| {
            push_network(out, row.record.src_ip(), row.get(field::SRC_MASK), style);
        }),
    ),
    field(
        "dn",
        Heading::Network("Dst Network"),
        With(|out, row, style, _| {
            push_network(out, row.record.dst_ip(), row.get(field::DST_MASK), style);
        }),
    ),
    field(
        "nh",
        Address("Next-hop IP", ""),
        With(|out, row, style, _| push_address(out, row.record.next_hop(), style)),
    ),
    field(
        "nhb",
        Address("BGP next-hop IP", ""),
        With(|out, row, style, _| push_address(out, row.record.bgp_next_hop(), style)),
    ),
    field(
        "ra",
        Address("Router IP", ""),
        With(|out, row, style, _| push_address(out, row.record.exporter_ip(), style)),
    ),
    field("sp", Text("Src Pt"), Number(field::SRC_PORT, 6)),
    field(
        "dp",
        Text("Dst Pt"),
        With(|out, row, _, _| {
            let start = out.len();
            push_destination_port(out, row);
            align_right(out, start, 6);
        }),
    ),
    field(
        "it",
        Text("ICMP-T"),
        With(|out, row, _, _| push_uint(out, icmp(row) >> 8, 6)),
    ),
    field(
        "ic",
        Text("ICMP-C"),
        With(|out, row, _, _| push_uint(out, icmp(row) & 0xff, 6)),
    ),
    field("sas", Text("Src AS"), Number(field::SRC_AS, 6)),
    field("das", Text("Dst AS"), Number(field::DST_AS, 6)),
    field(
        "nas",
        Text("Next AS"),
        With(|out, row, _, _| push_adjacent_as(out, row.get(field::NEXT_AS))),
    ),
    field(
        "pas",
        Text("Prev AS"),
        With(|out, row, _, _| push_adjacent_as(out, row.get(field::PREV_AS))),
    ),
    field("in", Text(" Input"), Number(field::INPUT, 6)),
    field("out", Text("Output"), Number(field::OUTPUT, 6)),
    field(
        "pkt",
        Text(" Packets"),
        Scaled(|counters| counters.in_packets),
    ),
    field(
        "ipkt",
        Text("  In Pkt"),
        Scaled(|counters| counters.in_packets),
    ),
    field(
        "opkt",
        Text(" Out Pkt"),
        Scaled(|counters| counters.out_packets),
    ),
    field(
        "byt",
        Text("   Bytes"),
        Scaled(|counters| counters.in_bytes),
    ),
    field(
        "ibyt",
        Text(" In Byte"),
        Scaled(|counters| counters.in_bytes),
    ),
    field(
        "obyt",
        Text("Out Byte"),
        Scaled(|counters| counters.out_bytes),
    ),
    field(
        "fl",
        Text("Flows"),
        With(|out, row, _, _| push_uint(out, row.counters.flows, 5)),
    ),
    field("flg", Heading::Flags, With(push_flags)),
    field("tos", Text("Tos"), Number(field::SRC_TOS, 3)),
    field("stos", Text("STos"), Number(field::SRC_TOS, 4)),
    field("dtos", Text("DTos"), Number(field::DST_TOS, 4)),
    field(
        "dir",
        Text("Dir"),
        With(|out, row, _, _| {
            out.extend_from_slice(if row.get(field::DIR) == 0 {
                b"  I"
            } else {
                b"  E"
            });
        }),
    ),
    field("smk", Text("SMask"), Number(field::SRC_MASK, 5)),
    field("dmk", Text("DMask"), Number(field::DST_MASK, 5)),
    field("fwd", Text("Fwd"), Number(field::FWD_STATUS, 3)),
    field("bfd", Text("Bfd"), Number(field::BIFLOW_DIR, 3)),
    field("end", Text("End"), Number(field::FLOW_END_REASON, 3)),
    field("svln", Text("SVlan"), Number(field::SRC_VLAN, 5)),
    field("dvln", Text("DVlan"), Number(field::DST_VLAN, 5)),
    field("ismc", Text("  In src MAC Addr"), Mac(field::IN_SRC_MAC)),
    field("odmc", Text(" Out dst MAC Addr"), Mac(field::OUT_DST_MAC)),
    field("idmc", Text("  In dst MAC Addr"), Mac(field::IN_DST_MAC)),
    field("osmc", Text(" Out src MAC Addr"), Mac(field::OUT_SRC_MAC)),
    field(
        "mpls1",
        Text(" MPLS lbl 1 "),
        With(|out, row, _, _| push_mpls_column(out, row, 0)),
    ),
    field(
        "mpls2",
        Text(" MPLS lbl 2 "),
        With(|out, row, _, _| push_mpls_column(out, row, 1)),
    ),
    field(
        "mpls3",
        Text(" MPLS lbl 3 "),
        With(|out, row, _, _| push_mpls_column(out, row, 2)),
    ),
    field(
        "mpls4",
        Text(" MPLS lbl 4 "),
        With(|out, row, _, _| push_mpls_column(out, row, 3)),
    ),
    field(
        "mpls5",
        Text(" MPLS lbl 5 "),
        With(|out, row, _, _| push_mpls_column(out, row, 4)),
    ),
    field(
        "mpls6",
        Text(" MPLS lbl 6 "),
        With(|out, row, _, _| push_mpls_column(out, row, 5)),
    ),
    field(
        "mpls7",
        Text(" MPLS lbl 7 "),
        With(|out, row, _, _| push_mpls_column(out, row, 6)),
    ),
    field(
        "mpls8",
        Text(" MPLS lbl 8 "),
        With(|out, row, _, _| push_mpls_column(out, row, 7)),
    ),
    field(
        "mpls9",
        Text(" MPLS lbl 9 "),
        With(|out, row, _, _| push_mpls_column(out, row, 8)),
    ),
    field(
        "mpls10",
        Text(" MPLS lbl 10"),
        With(|out, row, _, _| push_mpls_column(out, row, 9)),
    ),
    field(
        "mpls",
        Text(ALL_LABELS),
        With(|out, row, _, _| {
            for index in 0..10 {
                push_mpls_column(out, row, index);
                out.push(b' ');
            }
        }),
    ),
    field(
        "bps",
        Text("     bps"),
        Scaled(|counters| bits_per_second(counters.in_bytes, counters.duration_ms())),
    ),
    field(
        "pps",
        Text("     pps"),
        Scaled(|counters| per_second(counters.in_packets, counters.duration_ms())),
    ),
    field(
        "bpp",
        Text("   Bpp"),
        With(|out, row, _, _| {
            push_bytes_per_packet(out, row.counters.in_bytes, row.counters.in_packets, 6);
        }),
    ),
    field(
        "sc",
        Text("SC"),
        With(|out, _, _, _| out.extend_from_slice(b"..")),
    ),
    field(
        "dc",
        Text("DC"),
        With(|out, _, _, _| out.extend_from_slice(b"..")),
    ),
    field("n", Text(""), With(|out, _, _, _| out.push(b'\n'))),
    field(
        "odid",
        Text("obsDomainID"),
        With(|out, row, _, _| push_prefixed_hex(out, row.get(field::OBSERVATION_DOMAIN), 9)),
    ),
    field(
        "opid",
        Text("  obsPointID"),
        With(|out, row, _, _| push_prefixed_hex(out, row.get(field::OBSERVATION_POINT), 10)),
    ),
    field("vrf", Text("  I-VRF-ID"), Number(field::INGRESS_VRF, 10)),
    field("ivrf", Text("  I-VRF-ID"), Number(field::INGRESS_VRF, 10)),
    field("evrf", Text("  E-VRF-ID"), Number(field::EGRESS_VRF, 10)),
    field(
        "xsa",
        Text("   X-late Src IP"),
        With(|out, row, style, _| push_address(out, row.xlate_src_ip(), style)),
    ),
    field(
        "xda",
        Text("   X-late Dst IP"),
        With(|out, row, style, _| push_address(out, row.xlate_dst_ip(), style)),
    ),
    field("xsp", Text("XsPort"), Number(field::XLATE_SRC_PORT, 6)),
    field("xdp", Text("XdPort"), Number(field::XLATE_DST_PORT, 6)),
    field(
        "xsap",
        Address("X-Src IP Addr", ":Port "),
        With(|out, row, style, _| push_xlate_source(out, row, style)),
    ),
    field(
        "xdap",
        Address("X-Dst IP Addr", ":Port "),
        With(|out, row, style, _| push_xlate_destination(out, row, style)),
    ),
    field(
        "nsa",
        Text("   X-late Src IP"),
        With(|out, row, style, _| push_address(out, row.xlate_src_ip(), style)),
    ),
    field(
        "nda",
        Text("   X-late Dst IP"),
        With(|out, row, style, _| push_address(out, row.xlate_dst_ip(), style)),
    ),
    field("nsp", Text("XsPort"), Number(field::XLATE_SRC_PORT, 6)),
    field("ndp", Text("XdPort"), Number(field::XLATE_DST_PORT, 6)),
    field(
        "nsap",
        Address("X-Src IP Addr", ":Port "),
        With(|out, row, style, _| push_xlate_source(out, row, style)),
    ),
    field(
        "ndap",
        Address("X-Dst IP Addr", ":Port "),
        With(|out, row, style, _| push_xlate_destination(out, row, style)),
    ),
    field("cl", Text("C Latency"), Latency(field::CLIENT_LATENCY)),
    field("sl", Text("S latency"), Latency(field::SERVER_LATENCY)),
    field("al", Text("A latency"), Latency(field::APP_LATENCY)),
];

/// Tokens of nfdump 1.7.1 that this program does not print yet.
pub const NOT_YET: &[&str] = &[
    "inam", "onam", "sloc", "dloc", "ipl", "opl", "ja3", "sni", "nbid", "nbnam", "ivrfnam",
    "evrfnam", "nfc", "tevt", "evt", "xevt", "sgt", "msec", "iacl", "eacl", "uname", "nevt",
    "pbstart", "pbend", "pbstep", "pbsize",
];

/// Columns of a prefix length with its slash.
const PREFIX: usize = 3;
const NO_COUNTRY: &[u8] = b"(..)";
const ALL_LABELS: &str = concat!(
    "                                               MPLS labels 1-10",
    "                                                                   "
);

impl Field {
    /// Appends the heading.
    pub fn push_heading(&self, out: &mut Vec<u8>, style: &Style) {
        match self.heading {
            Text(text) => out.extend_from_slice(text.as_bytes()),
            Address(name, rest) => {
                let start = out.len();
                out.extend_from_slice(name.as_bytes());
                align_right(out, start, if style.full_ipv6 { FULL } else { SHORT });
                out.extend_from_slice(rest.as_bytes());
            }
            Heading::Network(name) => {
                let start = out.len();
                out.extend_from_slice(name.as_bytes());
                align_right(
                    out,
                    start,
                    PREFIX + if style.full_ipv6 { FULL } else { SHORT },
                );
            }
            Heading::Duration => out.extend_from_slice(match style.compat {
                Compat::Tutorial => b" Duration",
                Compat::V1_7_1 => b"    Duration    ",
            }),
            Heading::Flags => out.extend_from_slice(match style.compat {
                Compat::Tutorial => b" Flags",
                Compat::V1_7_1 => b"   Flags",
            }),
        }
    }

    /// Appends the value.
    pub fn push_value(
        &self,
        out: &mut Vec<u8>,
        row: &Row<'_>,
        style: &Style,
        time: &mut LocalTime,
    ) {
        match self.print {
            Number(location, width) => push_uint(out, row.get(location), width),
            Scaled(value) => push_scaled_right(out, value(&row.counters), style.plain_numbers, 8),
            Mac(location) => push_mac(out, row.get(location)),
            Latency(location) => {
                let start = out.len();
                push_microseconds(out, row.get(location));
                align_right(out, start, 9);
            }
            With(print) => print(out, row, style, time),
        }
    }
}

/// Appends a duration in the style's form: 16 columns, in the older style seconds in 9.
pub fn push_duration(out: &mut Vec<u8>, ms: u64, style: &Style) {
    match (style.compat, style.plain_numbers) {
        (Compat::Tutorial, _) => push_duration_seconds(out, ms, 9),
        (Compat::V1_7_1, true) => push_duration_seconds(out, ms, 16),
        (Compat::V1_7_1, false) => push_duration_clock(out, ms),
    }
}

/// Appends the protocol's short name (with plain numbers its number) left-aligned in five columns.
pub fn push_protocol(out: &mut Vec<u8>, protocol: u8, style: &Style) {
    let start = out.len();
    match protocols::name(protocol) {
        Some(name) if !style.plain_numbers => out.extend_from_slice(name.as_bytes()),
        _ => push_u64(out, u64::from(protocol)),
    }
    align_left(out, start, 5);
}

/// Appends bytes per packet; nfdump keeps 32 bits of it.
pub fn push_bytes_per_packet(out: &mut Vec<u8>, bytes: u64, packets: u64, width: usize) {
    push_uint(
        out,
        bytes_per_packet(bytes, packets) & u64::from(u32::MAX),
        width,
    );
}

/// Appends microseconds as milliseconds with three decimals.
pub fn push_microseconds(out: &mut Vec<u8>, microseconds: u64) {
    push_u64(out, microseconds / 1000);
    out.push(b'.');
    push_zero_padded(out, microseconds % 1000, 3);
}

/// Appends an MPLS label stack entry (24 bits) as label, experimental bits and bottom-of-stack bit.
pub fn push_mpls(out: &mut Vec<u8>, entry: u64) {
    push_u64(out, entry >> 4);
    out.push(b'-');
    push_u64(out, (entry >> 1) & 7);
    out.push(b'-');
    push_u64(out, entry & 1);
}

fn push_mpls_column(out: &mut Vec<u8>, row: &Row<'_>, index: u16) {
    let start = out.len();
    push_mpls(out, row.get(field::mpls_label(index)));
    align_right(out, start, 12);
}

fn push_raw_time(out: &mut Vec<u8>, ms: u64) {
    push_u64(out, ms / 1000);
    out.push(b'.');
    push_zero_padded(out, ms % 1000, 3);
}

fn push_address(out: &mut Vec<u8>, address: Option<IpAddr>, style: &Style) {
    push_ip(out, or_unspecified(address), style.full_ipv6);
}

fn push_source(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, country: &str) {
    let start = push_endpoint(out, row.record.src_ip(), country, style);
    push_u64(out, row.get(field::SRC_PORT));
    align_left(out, start, 5);
}

fn push_destination(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, country: &str) {
    let start = push_endpoint(out, row.record.dst_ip(), country, style);
    push_destination_port(out, row);
    align_left(out, start, 5);
}

fn push_xlate_source(out: &mut Vec<u8>, row: &Row<'_>, style: &Style) {
    let start = push_endpoint(out, row.xlate_src_ip(), "", style);
    push_u64(out, row.get(field::XLATE_SRC_PORT));
    align_left(out, start, 5);
}

fn push_xlate_destination(out: &mut Vec<u8>, row: &Row<'_>, style: &Style) {
    let start = push_endpoint(out, row.xlate_dst_ip(), "", style);
    push_u64(out, row.get(field::XLATE_DST_PORT));
    align_left(out, start, 5);
}

/// Appends the address, the country and the separator of the port (`:`, after IPv6 `.`); returns where the port begins.
fn push_endpoint(
    out: &mut Vec<u8>,
    address: Option<IpAddr>,
    country: &str,
    style: &Style,
) -> usize {
    let address = or_unspecified(address);
    push_ip(out, address, style.full_ipv6);
    out.extend_from_slice(country.as_bytes());
    out.push(if address.is_ipv4() { b':' } else { b'.' });
    out.len()
}

/// The destination port, for ICMP `type.code`.
fn push_destination_port(out: &mut Vec<u8>, row: &Row<'_>) {
    let port = row.get(field::DST_PORT);
    if row.is_icmp() {
        push_u64(out, port >> 8);
        out.push(b'.');
        push_u64(out, port & 0xff);
    } else {
        push_u64(out, port);
    }
}

fn icmp(row: &Row<'_>) -> u64 {
    if row.is_icmp() {
        row.get(field::DST_PORT)
    } else {
        0
    }
}

fn push_adjacent_as(out: &mut Vec<u8>, number: u64) {
    out.push(b' ');
    push_uint(out, number, 6);
}

/// Where the record comes from: event, nothing known, sFlow, packets, NetFlow; and the version.
fn push_version(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let header = row.record.header();
    let (name, version): (&[u8], u8) = match header.nfversion {
        version if header.flags & FLAG_EVENT != 0 => (b"EVT", version),
        0 => {
            out.extend_from_slice(b"FLO");
            return;
        }
        version if version & 0x80 != 0 => (b"Sv", version & 15),
        version if version & 0x40 != 0 => (b"Pv", version & 15),
        version => (b"Nv", version & 15),
    };
    out.extend_from_slice(name);
    push_u64(out, u64::from(version));
}

fn push_engine(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let header = row.record.header();
    push_uint(out, u64::from(header.engine_type), 3);
    out.push(b'/');
    let start = out.len();
    push_u64(out, u64::from(header.engine_id));
    align_left(out, start, 3);
}

fn push_label(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let start = out.len();
    match row.record.extension(field::ext::LABEL) {
        Some(label) => out.extend(
            label
                .iter()
                .take_while(|byte| **byte != 0)
                .map(|byte| if byte.is_ascii_control() { b'?' } else { *byte }),
        ),
        None => out.extend_from_slice(b"<none>"),
    }
    align_right(out, start, 16);
}

fn push_flags(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, _: &mut LocalTime) {
    const LETTERS: &[u8; 8] = b"CEUAPRSF";
    let flags = if row.protocol() == 6 {
        row.tcp_flags
    } else {
        0
    };
    let letters = match style.compat {
        Compat::Tutorial if flags > 63 => {
            out.extend_from_slice(b"  0x");
            push_hex(out, u64::from(flags));
            return;
        }
        Compat::Tutorial => 2..8,
        Compat::V1_7_1 => 0..8,
    };
    for place in letters {
        let set = flags & (0x80 >> place) != 0;
        out.push(if set {
            LETTERS.get(place).copied().unwrap_or(b'?')
        } else {
            b'.'
        });
    }
}

fn push_prefixed_hex(out: &mut Vec<u8>, value: u64, digits: usize) {
    out.extend_from_slice(b"0x");
    let start = out.len();
    push_hex(out, value);
    let missing = digits.saturating_sub(out.len() - start);
    out.splice(start..start, std::iter::repeat_n(b'0', missing));
}

fn push_network(out: &mut Vec<u8>, address: Option<IpAddr>, mask: u64, style: &Style) {
    push_ip(
        out,
        network(or_unspecified(address), mask as u32),
        style.full_ipv6,
    );
    out.push(b'/');
    let start = out.len();
    push_u64(out, mask);
    align_left(out, start, 2);
}

/// The network of an address. A prefix length of 0 or beyond the address' width masks as nfdump's shifts do (modulo the
/// word's width): 0 keeps the address.
fn network(address: IpAddr, mask: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(
            u32::from(v4) & u32::MAX.wrapping_shl(32_u32.wrapping_sub(mask)),
        )),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            let (high, low) = if mask > 64 {
                (
                    high,
                    low & u64::MAX.wrapping_shl(128_u32.wrapping_sub(mask)),
                )
            } else {
                (high & u64::MAX.wrapping_shl(64_u32.wrapping_sub(mask)), 0)
            };
            IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)))
        }
    }
}

/// Appends the value of an address statistic: an address whose upper half is zero is shown as IPv4, as in nfdump.
pub fn push_statistic_address(out: &mut Vec<u8>, high: u64, low: u64, full: bool) {
    if high == 0 {
        let start = out.len();
        address::push_ipv4(out, Ipv4Addr::from(low as u32));
        align_right(out, start, if full { FULL } else { SHORT });
    } else {
        push_ip(
            out,
            IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))),
            full,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique() {
        let mut tokens: Vec<&str> = FIELDS
            .iter()
            .map(|field| field.token)
            .chain(NOT_YET.iter().copied())
            .collect();
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), count);
        // All of nfdump 1.7.1's, and %mpls10, which it does not recognise.
        assert!(count >= 122, "{count}");
    }

    /// Printed by nfdump 1.7.1 for these addresses and masks.
    #[test]
    fn networks_as_nfdump() {
        for (address, mask, expected) in [
            ("10.0.0.1", 0, "10.0.0.1"),
            ("10.0.0.1", 5, "8.0.0.0"),
            ("10.0.0.1", 32, "10.0.0.1"),
            ("10.0.0.2", 39, "10.0.0.0"),
            ("10.0.0.2", 33, "0.0.0.0"),
            ("2001:620:0:ff::fed5", 0, "2001:620:0:ff::"),
            ("2001:db8::3", 18, "2001::"),
            ("1:2:3:4:5:6:7:8", 64, "1:2:3:4::"),
            ("1:2:3:4:5:6:7:8", 128, "1:2:3:4:5:6:7:8"),
        ] {
            assert_eq!(
                network(address.parse().expect("an address"), mask).to_string(),
                expected
            );
        }
    }
}
