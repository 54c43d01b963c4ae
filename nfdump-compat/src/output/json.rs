//! nfdump's `json` and `ndjson`: one object a record with the fields of its extensions in the order of their ids. `json` is
//! one array; every text is escaped: it is valid JSON whatever the records hold.

use super::{
    address::{push_address_full, push_mac},
    events,
    number::push_u64,
    row::{Counters, Row, or_unspecified},
    summary::Totals,
    time::LocalTime,
    values::{network, push_flag_letters, push_mpls, unspecified_like},
};
use crate::{
    field::{self, Location, ext},
    record::{FLAG_EVENT, FLAG_SAMPLED},
};
use std::net::IpAddr;

/// How objects look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As nfdump 1.7.1: tabs, numbers of events as texts.
    V1_7_1,
    /// As nfdump 1.7.5: two blanks, all numbers as numbers.
    V1_7_5,
    /// As nfdump 1.7.5, an object on one line.
    OneLine,
}

impl Layout {
    /// What stands before a name, between name and value, and behind a value that is not the last.
    fn signs(self) -> [&'static str; 3] {
        match self {
            Self::V1_7_1 => ["\t", " : ", ",\n"],
            Self::V1_7_5 => ["  ", " : ", ",\n"],
            Self::OneLine => ["", ":", ","],
        }
    }

    /// What an object begins and ends with.
    fn brackets(self) -> [&'static str; 2] {
        match self {
            Self::V1_7_1 => ["{\n", "\n}"],
            Self::V1_7_5 => [" {\n", "\n }"],
            Self::OneLine => ["{", "}"],
        }
    }
}

/// Appends one record as an object, without a line end behind it. `count` is its number in the output.
pub fn push_row(
    out: &mut Vec<u8>,
    row: &Row<'_>,
    count: u64,
    layout: Layout,
    time: &mut LocalTime,
) {
    let mut object = Object {
        out,
        row,
        time,
        layout,
    };
    let [begin, end] = layout.brackets();
    object.out.extend_from_slice(begin.as_bytes());
    object.head(count);
    // One bit for each extension; unknown ones are not shown.
    let there = row.record.extensions().fold(0_u64, |there, (id, _)| {
        there | 1_u64.checked_shl(u32::from(id)).unwrap_or(0)
    });
    let ids = (0..64).filter(|id| there & 1 << id != 0);
    let has_event = layout == Layout::V1_7_1 && there & 1 << ext::NEL_COMMON != 0;
    for id in ids {
        // Of an address translation event they stand among its other fields.
        if !(id == ext::VRF && has_event) {
            object.extension(id);
        }
    }
    object.tail();
    let comma = layout.signs()[2].len();
    object.out.truncate(object.out.len().saturating_sub(comma));
    object.out.extend_from_slice(end.as_bytes());
}

/// Appends a text as it stands between the quotes of a JSON string.
pub fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => put!(out, "\\u{:04x}", c as u32),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Appends an object with sums and time windows: that of the files, as far as they tell, and that of the flows that passed
/// (local time in ISO 8601; null if there is none).
pub fn push_summary(
    out: &mut Vec<u8>,
    totals: &Totals,
    selection: Option<(u64, u64)>,
    time: &mut LocalTime,
) {
    let sum = totals.counters.unwrap_or(Counters::NONE);
    put!(
        out,
        "{{ \"summary\" : {{ \"flows\" : {}, \"packets\" : {}, \"bytes\" : {}, \"processed\" : {}, \"passed\" : {}, \"window\" : {{ ",
        sum.flows,
        sum.packets(),
        sum.bytes(),
        totals.processed,
        totals.passed
    );
    for (name, window, end) in [
        (
            "file",
            totals
                .window
                .filter(|(first, last)| *first >= 1000 && *last > 0),
            ", ",
        ),
        ("selection", selection, " } } }"),
    ] {
        put!(out, "\"{name}\" : ");
        match window {
            None => out.extend_from_slice(b"null"),
            Some((first, last)) => {
                out.extend_from_slice(b"{ \"first\" : \"");
                push_iso(out, first, time);
                out.extend_from_slice(b"\", \"last\" : \"");
                push_iso(out, last, time);
                out.extend_from_slice(b"\" }");
            }
        }
        out.extend_from_slice(end.as_bytes());
    }
}

/// A local time in ISO 8601 with milliseconds, without its offset from UTC.
fn push_iso(out: &mut Vec<u8>, ms: u64, time: &mut LocalTime) {
    let start = out.len();
    time.push_ms(out, ms);
    if let Some(blank) = out.iter_mut().skip(start).find(|byte| **byte == b' ') {
        *blank = b'T';
    }
}

/// An object being written.
struct Object<'o, 'r> {
    out: &'o mut Vec<u8>,
    row: &'o Row<'r>,
    time: &'o mut LocalTime,
    layout: Layout,
}

impl Object<'_, '_> {
    fn name(&mut self, name: &str) {
        self.name_of(&[name]);
    }

    /// A name in parts.
    fn name_of(&mut self, parts: &[&str]) {
        let [before, between, _] = self.layout.signs();
        self.out.extend_from_slice(before.as_bytes());
        self.out.push(b'"');
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.push(b'"');
        self.out.extend_from_slice(between.as_bytes());
    }

    fn comma(&mut self) {
        self.out
            .extend_from_slice(self.layout.signs()[2].as_bytes());
    }

    fn is_old(&self) -> bool {
        self.layout == Layout::V1_7_1
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_u64(self.out, value);
        self.comma();
    }

    /// A text that `push` appends; it needs no escaping.
    fn text(&mut self, name: &str, push: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.quote(push);
    }

    /// The text behind a name.
    fn quote(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        push(self.out);
        self.out.push(b'"');
        self.comma();
    }

    /// A number that nfdump 1.7.1 prints as a text.
    fn quoted(&mut self, name: &str, place: Location) {
        let value = self.row.get(place);
        if !self.is_old() {
            return self.number(name, value);
        }
        self.text(name, |out| push_u64(out, value));
    }

    fn place(&mut self, name: &str, place: Location) {
        self.number(name, self.row.get(place));
    }

    /// An address under a name made of what it is of, the version of IP, and what it is.
    fn address_of(
        &mut self,
        of: &str,
        kind: &str,
        address: Option<IpAddr>,
        version: Option<IpAddr>,
    ) {
        let version = if or_unspecified(version).is_ipv4() {
            "4_"
        } else {
            "6_"
        };
        self.name_of(&[of, version, kind]);
        self.quote(|out| push_address_full(out, or_unspecified(address)));
    }

    /// Both addresses of a kind whose names differ by the version of IP.
    fn pair(&mut self, kind: &str, source: Option<IpAddr>, destination: Option<IpAddr>) {
        self.address_of("src", kind, source, source);
        self.address_of("dst", kind, destination, source);
    }

    /// Countries, unknown without a geo database.
    fn countries(&mut self, source: Option<IpAddr>) {
        let [src, dst] = if or_unspecified(source).is_ipv4() {
            ["src4_geo", "dst4_geo"]
        } else {
            ["src6_geo", "dst6_geo"]
        };
        self.text(src, |_| {});
        self.text(dst, |_| {});
    }

    fn hop(&mut self, (of, kind): (&str, &str), address: Option<IpAddr>) {
        self.address_of(of, kind, address, address);
    }

    /// A local time in ISO 8601 with milliseconds, without its offset from UTC.
    fn moment(&mut self, name: &str, ms: u64) {
        self.name(name);
        self.out.push(b'"');
        push_iso(self.out, ms, self.time);
        self.out.push(b'"');
        self.comma();
    }

    fn head(&mut self, count: u64) {
        let header = self.row.record.header();
        if !self.is_old() {
            self.number("cnt", count);
        }
        let kind = if header.flags & FLAG_EVENT == 0 {
            "FLOW"
        } else {
            "EVENT"
        };
        self.text("type", |out| out.extend_from_slice(kind.as_bytes()));
        if self.is_old() {
            self.sampled();
        }
        self.number("export_sysid", u64::from(header.exporter_id));
    }

    fn sampled(&mut self) {
        let flags = self.row.record.header().flags;
        self.number("sampled", u64::from(flags & FLAG_SAMPLED != 0));
    }

    fn tail(&mut self) {
        if self.is_old() || self.row.has_label() {
            let label = self.row.label_text();
            self.text("label", |out| push_escaped(out, &label));
        }
        if !self.is_old() {
            self.sampled();
        }
    }

    fn extension(&mut self, id: u16) {
        match id {
            ext::GENERIC_FLOW => self.generic(),
            ext::IPV4_FLOW | ext::IPV6_FLOW => {
                let (source, destination) = (self.row.record.src_ip(), self.row.record.dst_ip());
                self.pair("addr", source, destination);
                if !self.is_old() {
                    self.countries(source);
                }
            }
            ext::FLOW_MISC => self.misc(),
            ext::CNT_FLOW => {
                self.number("out_packets", self.row.counters.out_packets);
                self.number("out_bytes", self.row.counters.out_bytes);
                self.number("aggr_flows", self.row.counters.flows);
            }
            ext::VLAN => {
                self.place("src_vlan", field::SRC_VLAN);
                self.place("dst_vlan", field::DST_VLAN);
            }
            ext::AS_ROUTING => {
                self.place("src_as", field::SRC_AS);
                self.place("dst_as", field::DST_AS);
            }
            ext::BGP_NEXT_HOP_V4 | ext::BGP_NEXT_HOP_V6 => {
                self.hop(("bgp", "next_hop"), self.row.record.bgp_next_hop());
            }
            ext::IP_NEXT_HOP_V4 | ext::IP_NEXT_HOP_V6 => {
                self.hop(("ip", "next_hop"), self.row.record.next_hop());
            }
            ext::IP_RECEIVED_V4 | ext::IP_RECEIVED_V6 => {
                self.hop(("ip", "router"), self.row.record.exporter_ip());
            }
            ext::MPLS_LABEL => {
                for index in 0..10 {
                    let label = self.row.get(field::mpls_label(index));
                    self.text(&format!("mpls_{}", index + 1), |out| push_mpls(out, label));
                }
            }
            ext::MAC_ADDR => {
                for (name, place) in [
                    ("in_src_mac", field::IN_SRC_MAC),
                    ("out_dst_mac", field::OUT_DST_MAC),
                    ("in_dst_mac", field::IN_DST_MAC),
                    ("out_src_mac", field::OUT_SRC_MAC),
                ] {
                    let mac = self.row.get(place);
                    self.text(name, |out| push_mac(out, mac));
                }
            }
            ext::AS_ADJACENT => {
                self.place("next_as", field::NEXT_AS);
                self.place("prev_as", field::PREV_AS);
            }
            ext::LATENCY => {
                for (name, place) in [
                    ("cli_latency", field::CLIENT_LATENCY),
                    ("srv_latency", field::SERVER_LATENCY),
                    ("app_latency", field::APP_LATENCY),
                ] {
                    let ms = self.row.get(place) as f64 / 1000.0;
                    self.name(name);
                    put!(self.out, "{ms:.6}");
                    self.comma();
                }
            }
            ext::TUN_IPV4 | ext::TUN_IPV6 => self.tunnel(),
            ext::OBSERVATION => {
                // Spelled so by nfdump 1.7.1.
                let name = if self.is_old() {
                    "observationDoaminID"
                } else {
                    "observationDomainID"
                };
                self.place(name, field::OBSERVATION_DOMAIN);
                // nfdump 1.7.5 keeps 32 bits of it.
                let point = self.row.get(field::OBSERVATION_POINT);
                let kept = if self.is_old() {
                    u64::MAX
                } else {
                    u64::from(u32::MAX)
                };
                self.number("observationPointID", point & kept);
            }
            ext::VRF => self.vrf(),
            _ => self.event_extension(id),
        }
    }

    fn event_extension(&mut self, id: u16) {
        match id {
            ext::NSEL_COMMON => {
                self.quoted("connect_id", field::NSEL_CONN_ID);
                self.quoted("event_id", field::NSEL_FW_EVENT);
                let event = self.row.get(field::NSEL_FW_EVENT);
                self.text("event", |out| {
                    out.extend_from_slice(events::firewall(event).as_bytes());
                });
                self.quoted("xevent_id", field::NSEL_FW_XEVENT);
                self.moment("t_event", self.row.get(field::NSEL_MSEC_EVENT));
            }
            ext::XLATE_IPV4 | ext::XLATE_IPV6 => {
                self.pair("xlt_ip", self.row.xlate_src_ip(), self.row.xlate_dst_ip());
            }
            ext::XLATE_PORT => {
                self.quoted("src_xlt_port", field::XLATE_SRC_PORT);
                self.quoted("dst_xlt_port", field::XLATE_DST_PORT);
            }
            ext::NSEL_ACL => {
                let words = |place: fn(u16) -> Location| {
                    [0, 1, 2].map(|word| match self.is_old() {
                        true => self.row.record.access_list(place(word)),
                        false => self.row.get(place(word)),
                    })
                };
                for (name, [acl, ace, extended]) in [
                    ("ingress_acl", words(field::ingress_acl)),
                    ("egress_acl", words(field::egress_acl)),
                ] {
                    self.text(name, |out| put!(out, "0x{acl:x}/0x{ace:x}/0x{extended:x}"));
                }
            }
            ext::NSEL_USER => {
                let user = self.row.user_name();
                let user = if user.is_empty() { "<empty>" } else { &user };
                self.text("user_name", |out| push_escaped(out, user));
            }
            ext::NEL_COMMON => {
                self.quoted("nat_event_id", field::NAT_EVENT);
                let event =
                    events::translation_sentence(self.row.get(field::NAT_EVENT), !self.is_old());
                self.text("nat_event", |out| out.extend_from_slice(event.as_bytes()));
                if self.is_old() {
                    self.vrf();
                } else {
                    self.place("nat_pool_id", field::NAT_POOL_ID);
                }
                self.moment("t_event", self.row.get(field::NAT_MSEC_EVENT));
            }
            ext::NEL_XLATE_PORT => {
                self.quoted("pblock_start", field::BLOCK_START);
                self.quoted("pblock_end", field::BLOCK_END);
                self.quoted("pblock_step", field::BLOCK_STEP);
                self.quoted("pblock_size", field::BLOCK_SIZE);
            }
            _ => {}
        }
    }

    fn generic(&mut self) {
        let (row, counters) = (self.row, &self.row.counters);
        self.moment("first", counters.first_ms);
        self.moment("last", counters.last_ms);
        self.moment("received", row.get(field::MSEC_RECEIVED));
        self.number("in_packets", counters.in_packets);
        self.number("in_bytes", counters.in_bytes);
        self.number("proto", u64::from(row.protocol()));
        let port = row.get(field::DST_PORT);
        if row.is_icmp() {
            self.number("icmp_type", port >> 8);
            self.number("icmp_code", port & 255);
        } else {
            self.text("tcp_flags", |out| push_flag_letters(out, row.tcp_flags));
            self.place("src_port", field::SRC_PORT);
            self.number("dst_port", port);
            if !self.is_old() {
                self.place("fwd_status", field::FWD_STATUS);
            }
        }
        self.place("src_tos", field::SRC_TOS);
    }

    fn misc(&mut self) {
        self.place("input_snmp", field::INPUT);
        self.place("output_snmp", field::OUTPUT);
        self.place("src_mask", field::SRC_MASK);
        self.place("dst_mask", field::DST_MASK);
        let masks = [field::SRC_MASK, field::DST_MASK].map(|place| self.row.get(place) as u32);
        let addresses = [self.row.record.src_ip(), self.row.record.dst_ip()];
        for ((name, address), mask) in ["src_net", "dst_net"].into_iter().zip(addresses).zip(masks)
        {
            self.text(name, |out| {
                if masks != [0, 0] {
                    push_address_full(out, in_json(or_unspecified(address), mask));
                }
            });
        }
        if self.is_old() {
            self.place("fwd_status", field::FWD_STATUS);
        }
        self.place("direction", field::DIR);
        self.place("dst_tos", field::DST_TOS);
    }

    fn tunnel(&mut self) {
        if let Some(tunnel) = self.row.tunnel() {
            let name = if self.is_old() {
                "tun proto"
            } else {
                "tun_proto"
            };
            self.number(name, u64::from(tunnel.protocol));
            self.pair("tun_ip", Some(tunnel.source), Some(tunnel.destination));
        }
    }

    fn vrf(&mut self) {
        self.quoted("ingress_vrf", field::INGRESS_VRF);
        self.quoted("egress_vrf", field::EGRESS_VRF);
    }
}

/// The network of an address; of a prefix length of 0 the unspecified address.
fn in_json(address: IpAddr, mask: u32) -> IpAddr {
    match (mask, address) {
        (0, address) => unspecified_like(address),
        (mask, address) => network(address, mask),
    }
}
