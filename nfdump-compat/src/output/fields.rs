//! The one table of listing fields: `%token`, column heading and how the value is printed.
//!
//! Widths and headings are nfdump 1.7.1's.

use super::{
    address::{FULL, SHORT, push_mac},
    events,
    number::{align_right, bits_per_second, per_second, push_scaled_right, push_uint},
    payload,
    row::{Counters, Row},
    style::Style,
    time::{LocalTime, push_duration_seconds},
    values::{
        icmp, push_address, push_adjacent_as, push_application_name, push_bytes_per_packet,
        push_country, push_destination, push_destination_port, push_duration, push_engine,
        push_event, push_flags, push_interface_name, push_label, push_microseconds,
        push_mpls_column, push_network, push_observation, push_printable, push_protocol,
        push_raw_time, push_source, push_version, push_vrf_name, push_xlate_destination,
        push_xlate_source,
    },
};
use crate::field::{self, Location, ext};
use std::borrow::Cow;

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
        With(|out, row, style, _| push_raw_time(out, row.counters.first_ms, style)),
    ),
    field(
        "te",
        Text("Date last seen         "),
        With(|out, row, style, time| match row.counters.last_ms {
            0 if style.facts().later => out.extend_from_slice(b"0000-00-00 00:00:00.000"),
            last => time.push_ms(out, last),
        }),
    ),
    field(
        "ter",
        Text("Date last seen (raw)     "),
        With(|out, row, style, _| push_raw_time(out, row.counters.last_ms, style)),
    ),
    field(
        "tr",
        Text("Date flow received     "),
        With(|out, row, _, time| time.push_ms(out, row.get(field::MSEC_RECEIVED))),
    ),
    field(
        "trr",
        Text("Date flow received (raw)  "),
        With(|out, row, style, _| push_raw_time(out, row.get(field::MSEC_RECEIVED), style)),
    ),
    field(
        "td",
        Heading::Duration,
        With(|out, row, style, _| push_duration(out, row.counters.duration_ms(), style)),
    ),
    field(
        "tds",
        Text("    Duration    "),
        With(|out, row, style, _| {
            let duration = style.facts().duration(row.counters.duration_ms());
            push_duration_seconds(out, duration, 16);
        }),
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
            out.extend_from_slice(behind(row, field::SRC_COUNTRY).as_bytes());
        }),
    ),
    field(
        "gda",
        Address("Dst IP Addr", "(..)"),
        With(|out, row, style, _| {
            push_address(out, row.record.dst_ip(), style);
            out.extend_from_slice(behind(row, field::DST_COUNTRY).as_bytes());
        }),
    ),
    field(
        "gsap",
        Address("Src IP Addr", "(..):Port "),
        With(|out, row, style, _| push_source(out, row, style, &behind(row, field::SRC_COUNTRY))),
    ),
    field(
        "gdap",
        Address("Dst IP Addr", "(..):Port "),
        With(|out, row, style, _| {
            push_destination(out, row, style, &behind(row, field::DST_COUNTRY));
        }),
    ),
    field(
        "sn",
        Heading::Network("Src Network"),
        With(|out, row, style, _| {
            push_network(
                out,
                row.record.src_ip(),
                row.get(field::SRC_MASK),
                row,
                style,
            );
        }),
    ),
    field(
        "dn",
        Heading::Network("Dst Network"),
        With(|out, row, style, _| {
            push_network(
                out,
                row.record.dst_ip(),
                row.get(field::DST_MASK),
                row,
                style,
            );
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
        With(|out, row, style, _| push_uint(out, icmp(row, style) >> 8, 6)),
    ),
    field(
        "ic",
        Text("ICMP-C"),
        With(|out, row, style, _| push_uint(out, icmp(row, style) & 0xff, 6)),
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
        With(|out, row, _, _| push_country(out, row.get(field::SRC_COUNTRY))),
    ),
    field(
        "dc",
        Text("DC"),
        With(|out, row, _, _| push_country(out, row.get(field::DST_COUNTRY))),
    ),
    field("n", Text(""), With(|out, _, _, _| out.push(b'\n'))),
    field(
        "odid",
        Text("obsDomainID"),
        With(|out, row, style, _| push_observation(out, row, style, field::OBSERVATION_DOMAIN, 9)),
    ),
    field(
        "opid",
        Text("  obsPointID"),
        With(|out, row, style, _| push_observation(out, row, style, field::OBSERVATION_POINT, 10)),
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
    field(
        "inam",
        Text(" Input interface name"),
        With(|out, row, style, _| push_interface_name(out, row, field::INPUT, style)),
    ),
    field(
        "onam",
        Text("Output interface name"),
        With(|out, row, style, _| push_interface_name(out, row, field::OUTPUT, style)),
    ),
    field(
        "ivrfnam",
        Text("  I-VRF-Name"),
        With(|out, row, style, _| push_vrf_name(out, row, field::INGRESS_VRF, style)),
    ),
    field(
        "evrfnam",
        Text("  E-VRF-Name"),
        With(|out, row, style, _| push_vrf_name(out, row, field::EGRESS_VRF, style)),
    ),
    field(
        "sloc",
        Text("Src IP location info"),
        With(|out, row, style, _| push_location(out, row, style, 0)),
    ),
    field(
        "dloc",
        Text("Src IP location info"),
        With(|out, row, style, _| push_location(out, row, style, 1)),
    ),
    field(
        "ipl",
        Text(""),
        With(|out, row, style, _| payload::push_column(out, row, ext::IN_PAYLOAD, style)),
    ),
    field(
        "opl",
        Text(""),
        With(|out, row, style, _| payload::push_column(out, row, ext::OUT_PAYLOAD, style)),
    ),
    field(
        "ja3",
        Text("                             ja3"),
        With(|out, row, style, _| {
            payload::push_fingerprint(out, row.payload(ext::IN_PAYLOAD), style);
        }),
    ),
    field(
        "sni",
        Text("sni name"),
        With(|out, row, style, _| {
            payload::push_server_name(out, row.payload(ext::IN_PAYLOAD), style);
        }),
    ),
    field(
        "nbid",
        Text("nbar ID"),
        With(|out, row, style, _| {
            let (engine, selector) = row.application();
            if style.facts().later && !row.record.has(ext::NBAR_APP) {
                out.extend_from_slice(b"0..0..0");
            } else {
                put!(out, "{engine:2}..{selector}");
            }
        }),
    ),
    field(
        "nbnam",
        Text("nbar name"),
        With(|out, row, style, _| {
            if style.facts().later && !row.record.has(ext::NBAR_APP) {
                out.extend_from_slice(b"<no nbar>");
            } else {
                push_application_name(out, row);
            }
        }),
    ),
    field("nfc", Text("   Conn-ID"), Number(field::NSEL_CONN_ID, 10)),
    field(
        "tevt",
        Text("Event time             "),
        With(|out, row, style, time| {
            if style.facts().later && !events::has_event(&row.record) {
                out.extend_from_slice(b"0000-00-00 00:00:00.000");
            } else {
                time.push_ms(out, events::of_record(&row.record).time_ms);
            }
        }),
    ),
    field("evt", Text(" Event"), With(push_event)),
    field("nevt", Text(" Event"), With(push_event)),
    field(
        "xevt",
        Text(" XEvent"),
        With(|out, row, style, _| {
            let event = events::of_record(&row.record);
            let later = style.facts().later;
            let none = later && !row.record.has(ext::NSEL_COMMON);
            let name = if none {
                events::NONE.to_owned()
            } else {
                events::extended(event.extended, later)
            };
            put!(out, "{name:>7}");
        }),
    ),
    // No record has a security group tag.
    field(
        "sgt",
        Text("  SGT  "),
        With(|out, _, _, _| out.extend_from_slice(b"    0")),
    ),
    field(
        "msec",
        Text("   Event Time"),
        With(|out, row, _, _| push_uint(out, events::of_record(&row.record).time_ms, 13)),
    ),
    field(
        "iacl",
        Text("Ingress ACL                     "),
        With(|out, row, style, _| {
            let [acl, ace, extended] =
                [0, 1, 2].map(|word| row.access_list(field::ingress_acl(word), style));
            put!(out, "0x{acl:<8x} 0x{ace:<8x} 0x{extended:<8x}");
        }),
    ),
    field(
        "eacl",
        Text("Egress ACL                      "),
        With(|out, row, style, _| {
            let [acl, ace, extended] =
                [0, 1, 2].map(|word| row.access_list(field::egress_acl(word), style));
            put!(out, "{acl:10} {ace:10} {extended:10}");
        }),
    ),
    field(
        "uname",
        Text("UserName"),
        With(|out, row, style, _| match row.user_name() {
            name if name.is_empty() && !(style.facts().later && row.record.has(ext::NSEL_USER)) => {
                out.extend_from_slice(b"<empty>");
            }
            name => push_printable(out, &name),
        }),
    ),
    field("pbstart", Text("Pb-Start"), Number(field::BLOCK_START, 7)),
    field("pbend", Text("Pb-End"), Number(field::BLOCK_END, 7)),
    field("pbstep", Text("Pb-Step"), Number(field::BLOCK_STEP, 7)),
    field("pbsize", Text("Pb-Size"), Number(field::BLOCK_SIZE, 7)),
];

/// Columns of a prefix length with its slash.
const PREFIX: usize = 3;
const ALL_LABELS: &str = concat!(
    "                                               MPLS labels 1-10",
    "                                                                   "
);

impl Field {
    /// Appends the heading.
    pub fn push_heading(&self, out: &mut Vec<u8>, style: &Style) {
        match self.heading {
            Text(text) => {
                let headings = style.facts().headings;
                let found = headings.iter().find(|(token, _)| *token == self.token);
                let text = found.map_or(text, |(_, heading)| *heading);
                let start = out.len();
                out.extend_from_slice(text.as_bytes());
                if matches!(self.print, Scaled(_)) {
                    align_right(out, start, style.facts().counter_width);
                }
            }
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
            Heading::Duration => out.extend_from_slice(style.facts().duration_heading.as_bytes()),
            Heading::Flags => out.extend_from_slice(style.facts().flags_heading.as_bytes()),
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
            Number(location, width) => {
                // %tos is as wide as %stos there.
                let wider = self.token == "tos" && style.facts().later;
                push_uint(out, row.get(location), width + usize::from(wider));
            }
            Scaled(value) => {
                let width = style.facts().counter_width;
                push_scaled_right(out, value(&row.counters), style.scale(), width);
            }
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

/// The country of an address, as it stands behind it.
fn behind(row: &Row<'_>, place: Location) -> String {
    let mut country = b"(".to_vec();
    push_country(&mut country, row.get(place));
    country.push(b')');
    String::from_utf8_lossy(&country).into_owned()
}

/// A text that is known of the record besides.
fn annotation<'a>(row: &Row<'a>, extension: u16, number: usize) -> Cow<'a, str> {
    String::from_utf8_lossy(row.record.annotation(extension, number))
}

/// Where an address is.
fn push_location(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, number: usize) {
    let place = annotation(row, ext::PLACES, number);
    if style.facts().later && place.is_empty() {
        out.extend_from_slice(b"<no location info>");
    } else {
        push_printable(out, &place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique() {
        let mut tokens: Vec<&str> = FIELDS.iter().map(|field| field.token).collect();
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), count);
        // All of nfdump 1.7.1's, and %mpls10, which it does not recognise.
        assert!(count >= 122, "{count}");
    }
}
