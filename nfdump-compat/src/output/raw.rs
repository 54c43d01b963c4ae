//! nfdump's `raw`: every value of a record on a line of its own, extension by extension in the order of their ids.

use super::{
    address::{push_address_full, push_mac},
    events,
    number::align_right,
    payload, protocols,
    row::Row,
    style::Style,
    time::LocalTime,
    values::{
        network, push_application_name, push_flag_letters, push_interface_name, push_printable,
        push_vrf_name,
    },
};
use crate::{
    field::{self, Location, ext},
    record::{FLAG_ANONYMISED, FLAG_EVENT, FLAG_SAMPLED},
};
use std::net::IpAddr;

/// Appends one record; `number` is told if it is not 0.
pub fn push_row(
    out: &mut Vec<u8>,
    row: &Row<'_>,
    number: u64,
    style: &Style,
    time: &mut LocalTime,
) {
    let start = out.len();
    push_record(out, row, number, style, time);
    if style.facts().later {
        let text = out.split_off(start);
        push_as_1_7_5(out, &text);
    }
}

/// nfdump 1.7.5 has one more column before each value, and the forwarding status among the first ones.
fn push_as_1_7_5(out: &mut Vec<u8>, text: &[u8]) {
    const VALUE: usize = 15;
    const STATUS: &[u8] = b"  fwd status ";
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    let widened = |out: &mut Vec<u8>, line: &[u8]| match line.split_at_checked(VALUE) {
        Some((name, value)) if name.starts_with(b"  ") && value.starts_with(b"= ") => {
            out.extend_from_slice(name);
            out.extend_from_slice(b"= ");
            out.extend_from_slice(value.get(1..).unwrap_or_default());
        }
        _ => out.extend_from_slice(line),
    };
    for line in lines().filter(|line| !line.starts_with(STATUS)) {
        widened(out, line);
        if line.starts_with(b"  src tos ") {
            match lines().find(|line| line.starts_with(STATUS)) {
                Some(status) => widened(out, status),
                None => out.extend_from_slice(b"  fwd status   =                  0\n"),
            }
        }
    }
}

fn push_record(out: &mut Vec<u8>, row: &Row<'_>, number: u64, style: &Style, time: &mut LocalTime) {
    push_head(out, row, number);
    let mut ids: Vec<u16> = row.record.extensions().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        push_extension(out, row, id, style, time);
    }
}

fn push_head(out: &mut Vec<u8>, row: &Row<'_>, number: u64) {
    let header = row.record.header();
    out.extend_from_slice(b"\nFlow Record: \n");
    if number > 0 {
        put!(out, "  RecordCount  =             {number:5}\n");
    }
    let version = header.nfversion & 15;
    let origin = match header.nfversion {
        _ if header.flags & FLAG_EVENT != 0 => "EVENT".to_owned(),
        0 => "FLOW".to_owned(),
        kind if kind & 0x80 != 0 => format!("SFLOW v{version}"),
        kind if kind & 0x40 != 0 => format!("PCAP v{version}"),
        _ => format!("NETFLOW v{version}"),
    };
    let anonymised = match header.flags & FLAG_ANONYMISED {
        0 => "",
        _ => " Anonymized",
    };
    let sampled = match header.flags & FLAG_SAMPLED {
        0 => "Unsampled",
        _ => "Sampled",
    };
    put!(
        out,
        "  Flags        =              0x{:02x} {origin}{anonymised}, {sampled}\n  Elements     =             {:5}: ",
        header.flags,
        row.record.extension_count()
    );
    let mut ids: Vec<u16> = row.record.extensions().map(|(id, _)| id).collect();
    ids.sort_unstable();
    for id in ids {
        put!(out, "{id} ");
    }
    put!(
        out,
        "\n  size         =             {:5}\n",
        row.record.bytes().len()
    );
    let (kind, engine, exporter) = (header.engine_type, header.engine_id, header.exporter_id);
    put!(
        out,
        "  engine type  =             {kind:5}\n  engine ID    =             {engine:5}\n  export sysid =             {exporter:5}\n"
    );
    if row.has_label() {
        out.extend_from_slice(b"  Label        =  ");
        let start = out.len();
        push_printable(out, &row.label_text());
        align_right(out, start, 16);
        out.push(b'\n');
    }
}

fn push_extension(out: &mut Vec<u8>, row: &Row<'_>, id: u16, style: &Style, time: &mut LocalTime) {
    let get = |location: Location| row.get(location);
    match id {
        ext::GENERIC_FLOW => push_generic(out, row, style, time),
        ext::IPV4_FLOW | ext::IPV6_FLOW => {
            push_tunnel(out, row);
            push_pair(
                out,
                "src addr    ",
                row.record.src_ip(),
                "dst addr    ",
                row.record.dst_ip(),
            );
        }
        ext::FLOW_MISC => push_misc(out, row, style),
        ext::CNT_FLOW => {
            let counters = &row.counters;
            put!(
                out,
                "  out packets  =        {:10}\n  out bytes    =        {:10}\n  aggr flows   =        {:10}\n",
                counters.out_packets,
                counters.out_bytes,
                counters.flows
            );
        }
        ext::VLAN => {
            push_number(out, "src vlan    ", get(field::SRC_VLAN));
            push_number(out, "dst vlan    ", get(field::DST_VLAN));
        }
        ext::AS_ROUTING => {
            push_number(out, "src as      ", get(field::SRC_AS));
            push_number(out, "dst as      ", get(field::DST_AS));
        }
        ext::BGP_NEXT_HOP_V4 | ext::BGP_NEXT_HOP_V6 => {
            push_ip_line(out, "bgp next hop", row.record.bgp_next_hop());
        }
        ext::IP_NEXT_HOP_V4 | ext::IP_NEXT_HOP_V6 => {
            push_ip_line(out, "ip next hop ", row.record.next_hop());
        }
        ext::IP_RECEIVED_V4 | ext::IP_RECEIVED_V6 => {
            push_ip_line(out, "ip exporter ", row.record.exporter_ip());
        }
        ext::MPLS_LABEL => push_labels(out, row),
        ext::MAC_ADDR => {
            for (name, place) in [
                ("in src mac  ", field::IN_SRC_MAC),
                ("out dst mac ", field::OUT_DST_MAC),
                ("in dst mac  ", field::IN_DST_MAC),
                ("out src mac ", field::OUT_SRC_MAC),
            ] {
                put!(out, "  {name} = ");
                push_mac(out, get(place));
                out.push(b'\n');
            }
        }
        ext::AS_ADJACENT => {
            push_number(out, "bgp next as ", get(field::NEXT_AS));
            push_number(out, "bgp prev as ", get(field::PREV_AS));
        }
        ext::LATENCY => {
            for (name, place) in [
                ("cli", field::CLIENT_LATENCY),
                ("srv", field::SERVER_LATENCY),
                ("app", field::APP_LATENCY),
            ] {
                put!(
                    out,
                    "  {name} latency  =         {:9.3} ms\n",
                    get(place) as f64 / 1000.0
                );
            }
        }
        ext::OBSERVATION => {
            put!(
                out,
                "  obs domainID =         0x{:05x}\n  obs pointID  =      0x{:010x}\n",
                get(field::OBSERVATION_DOMAIN),
                get(field::OBSERVATION_POINT)
            );
        }
        ext::VRF => {
            for (name, place) in [
                ("ingress VRF ", field::INGRESS_VRF),
                ("egress VRF  ", field::EGRESS_VRF),
            ] {
                put!(out, "  {name} =        {:10}", get(place));
                push_vrf_name(out, row, place, style);
                out.push(b'\n');
            }
        }
        ext::IN_PAYLOAD => push_payload(out, row, "in payload  ", id),
        ext::OUT_PAYLOAD => push_payload(out, row, "out payload ", id),
        _ => push_event_extension(out, row, id, style, time),
    }
}

fn push_event_extension(
    out: &mut Vec<u8>,
    row: &Row<'_>,
    id: u16,
    style: &Style,
    time: &mut LocalTime,
) {
    let get = |location: Location| row.get(location);
    match id {
        ext::NSEL_COMMON => {
            let event = events::of_record(&row.record);
            let (number, extended) = (get(field::NSEL_FW_EVENT), event.extended);
            put!(
                out,
                "  connect ID   =        {:10}\n  fw event     =             {number:5}: {}\n  fw ext event =             {extended:5}: {}\n",
                get(field::NSEL_CONN_ID),
                events::firewall(number),
                events::extended(extended, style.facts().later)
            );
            push_time(
                out,
                "Event time  ",
                get(field::NSEL_MSEC_EVENT),
                style,
                time,
            );
        }
        ext::XLATE_IPV4 | ext::XLATE_IPV6 => {
            push_pair(
                out,
                "src xlt ip  ",
                row.xlate_src_ip(),
                "dst xlt ip  ",
                row.xlate_dst_ip(),
            );
        }
        ext::XLATE_PORT => {
            push_number(out, "src xlt port", get(field::XLATE_SRC_PORT));
            push_number(out, "dst xlt port", get(field::XLATE_DST_PORT));
        }
        ext::NSEL_ACL => {
            let [a, b, c] = [0, 1, 2].map(|word| row.access_list(field::ingress_acl(word), style));
            put!(out, "  Ingress ACL  =       0x{a:x}/0x{b:x}/0x{c:x}\n");
            let [a, b, c] = [0, 1, 2].map(|word| row.access_list(field::egress_acl(word), style));
            put!(out, "  Egress ACL   =       0x{a:x}/0x{b:x}/0x{c:x}\n");
        }
        ext::NSEL_USER => {
            out.extend_from_slice(b"  username     =       ");
            push_printable(out, &row.user_name());
            out.push(b'\n');
        }
        ext::NEL_COMMON => {
            let number = get(field::NAT_EVENT);
            if style.facts().later {
                let pool = get(field::NAT_POOL_ID);
                put!(
                    out,
                    "  nat event    =             {number:5}: {}\n  nat pool ID  =        {pool:10}\n",
                    events::translation_sentence(number, true)
                );
                return;
            }
            put!(
                out,
                "  nat event    =             {number:5}: {}\n",
                events::translation(number)
            );
            push_time(out, "Event time  ", get(field::NAT_MSEC_EVENT), style, time);
        }
        ext::NEL_XLATE_PORT => {
            push_number(out, "pblock start", get(field::BLOCK_START));
            push_number(out, "pblock end  ", get(field::BLOCK_END));
            push_number(out, "pblock step ", get(field::BLOCK_STEP));
            push_number(out, "pblock size ", get(field::BLOCK_SIZE));
        }
        ext::NBAR_APP => {
            let (engine, selector) = row.application();
            put!(out, "  app ID       =             {engine:2}..{selector}: ");
            push_application_name(out, row);
            out.push(b'\n');
        }
        _ => {}
    }
}

fn push_generic(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, time: &mut LocalTime) {
    let counters = &row.counters;
    if style.facts().later && row.record.header().flags & FLAG_EVENT != 0 {
        let happened = events::of_record(&row.record).time_ms;
        push_time(out, "Event time  ", happened, style, time);
    } else {
        push_time(out, "first       ", counters.first_ms, style, time);
        push_time(out, "last        ", counters.last_ms, style, time);
    }
    let received = row.get(field::MSEC_RECEIVED);
    put!(out, "  received at  =     {received:13} [");
    if received == 0 {
        out.push(b'0');
    } else {
        time.push_seconds(out, received / 1000);
    }
    put!(out, ".{:03}]\n", received % 1000);
    let protocol = row.protocol();
    put!(out, "  proto        =               {protocol:3} ");
    protocols::push(out, protocol);
    out.push(b'\n');
    let flags = if protocol == 6 { row.tcp_flags } else { 0 };
    put!(out, "  tcp flags    =              0x{flags:02x} ");
    push_flag_letters(out, flags);
    out.push(b'\n');
    if row.reverse_flags != 0 {
        let flags = if protocol == 6 { row.reverse_flags } else { 0 };
        put!(out, "  revtcp flags =              0x{flags:02x} ");
        push_flag_letters(out, flags);
        out.push(b'\n');
    }
    let port = row.get(field::DST_PORT);
    if row.is_icmp() {
        put!(
            out,
            "  ICMP         =              {:2}.{:<2} type.code\n",
            port >> 8,
            port & 255
        );
    } else {
        push_number(out, "src port    ", row.get(field::SRC_PORT));
        push_number(out, "dst port    ", port);
        push_number(out, "src tos     ", row.get(field::SRC_TOS));
    }
    put!(
        out,
        "  in packets   =        {:10}\n  in bytes     =        {:10}\n",
        counters.in_packets,
        counters.in_bytes
    );
}

fn push_misc(out: &mut Vec<u8>, row: &Row<'_>, style: &Style) {
    let get = |location: Location| row.get(location);
    for (name, place) in [("input ", field::INPUT), ("output", field::OUTPUT)] {
        // In 1.7.5 a number of more than eight digits moves nothing.
        match style.facts().later {
            true => put!(out, "  {name}       =        {:10}", get(place)),
            false => put!(out, "  {name}       =          {:8}", get(place)),
        }
        push_interface_name(out, row, place, style);
        out.push(b'\n');
    }
    for (name, address, mask) in [
        ("src mask", row.record.src_ip(), get(field::SRC_MASK)),
        ("dst mask", row.record.dst_ip(), get(field::DST_MASK)),
    ] {
        put!(out, "  {name}     =             {mask:5} ");
        if mask > 0 {
            push_address_full(
                out,
                network(super::row::or_unspecified(address), mask as u32),
            );
        }
        put!(out, "/{mask}\n");
    }
    push_number(out, "fwd status  ", get(field::FWD_STATUS));
    push_number(out, "dst tos     ", get(field::DST_TOS));
    push_number(out, "direction   ", get(field::DIR));
    let (direction, reason) = (get(field::BIFLOW_DIR), get(field::FLOW_END_REASON));
    put!(
        out,
        "  biFlow Dir   =              0x{direction:02x} {}\n  end reason   =              0x{reason:02x} {}\n",
        events::biflow_direction(direction),
        events::flow_end_reason(reason)
    );
}

fn push_tunnel(out: &mut Vec<u8>, row: &Row<'_>) {
    let Some(tunnel) = row.tunnel() else { return };
    put!(out, "  tun proto    =               {:3} ", tunnel.protocol);
    protocols::push(out, tunnel.protocol);
    out.push(b'\n');
    push_pair(
        out,
        "tun src addr",
        Some(tunnel.source),
        "tun dst addr",
        Some(tunnel.destination),
    );
}

fn push_labels(out: &mut Vec<u8>, row: &Row<'_>) {
    for index in 0..10 {
        let label = row.get(field::mpls_label(index));
        if label != 0 {
            put!(
                out,
                "  MPLS Lbl {:2}  =      {:8}-{}-{}\n",
                index + 1,
                label >> 4,
                (label >> 1) & 7,
                label & 1
            );
        }
    }
}

fn push_payload(out: &mut Vec<u8>, row: &Row<'_>, name: &str, id: u16) {
    let bytes = row.record.extension(id).unwrap_or_default();
    put!(out, "  {name} =        {:10}\n", bytes.len());
    payload::push_in_full(out, row, bytes);
}

/// A number right-aligned so that it ends in the same column as the others.
fn push_number(out: &mut Vec<u8>, name: &str, value: u64) {
    put!(out, "  {name} =             {value:5}\n");
}

fn push_time(out: &mut Vec<u8>, name: &str, ms: u64, style: &Style, time: &mut LocalTime) {
    put!(out, "  {name} =     {ms:13} [");
    if ms < 1000 {
        out.extend_from_slice(match style.facts().later {
            true => b"0000-00-00 00:00:00",
            false => b"<unknown>",
        });
    } else {
        time.push_seconds(out, ms / 1000);
    }
    put!(out, ".{:03}]\n", ms % 1000);
}

fn push_pair(
    out: &mut Vec<u8>,
    source: &str,
    from: Option<IpAddr>,
    destination: &str,
    to: Option<IpAddr>,
) {
    push_ip_line(out, source, from);
    push_ip_line(out, destination, to);
}

fn push_ip_line(out: &mut Vec<u8>, name: &str, address: Option<IpAddr>) {
    put!(out, "  {name} =  ");
    let start = out.len();
    push_address_full(out, super::row::or_unspecified(address));
    align_right(out, start, 16);
    out.push(b'\n');
}
