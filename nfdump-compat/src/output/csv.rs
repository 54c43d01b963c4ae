//! nfdump's csv up to 1.7.4: 48 columns a flow, statistics and summary as tables of their own. Numbers are never scaled,
//! addresses always whole.

use super::{
    address::{push_ipv4, push_ipv6, push_mac},
    number::{bits_per_second, bytes_per_packet, per_second, push_u64},
    pipe, protocols,
    row::{Counters, Row, or_unspecified},
    time::{LocalTime, push_duration_seconds},
    values::{push_flag_letters, push_mpls},
};
use crate::{
    field::{self, Location},
    stat::order::Side,
};
use std::net::IpAddr;

const COLUMNS: &str = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,\
    ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr\n";

/// Appends the heading of a listing.
pub fn push_heading(out: &mut Vec<u8>) {
    out.extend_from_slice(COLUMNS.as_bytes());
}

/// Appends one flow.
pub fn push_row(out: &mut Vec<u8>, row: &Row<'_>, time: &mut LocalTime) {
    let counters = &row.counters;
    push_times(out, counters, counters.duration_ms(), time);
    for address in [row.record.src_ip(), row.record.dst_ip()] {
        push_address(out, address);
        out.push(b',');
    }
    push_fields(out, row, &[field::SRC_PORT, field::DST_PORT]);
    protocols::push(out, row.protocol());
    out.push(b',');
    push_flag_letters(out, row.tcp_flags);
    out.push(b',');
    push_fields(out, row, &[field::FWD_STATUS, field::SRC_TOS]);
    let (packets, bytes) = (counters.in_packets, counters.in_bytes);
    for number in [packets, bytes, counters.out_packets, counters.out_bytes] {
        push_u64(out, number);
        out.push(b',');
    }
    let places = [field::INPUT, field::OUTPUT, field::SRC_AS, field::DST_AS];
    push_fields(out, row, &places);
    let places = [field::SRC_MASK, field::DST_MASK, field::DST_TOS, field::DIR];
    push_fields(out, row, &places);
    for address in [row.record.next_hop(), row.record.bgp_next_hop()] {
        push_address(out, address);
        out.push(b',');
    }
    push_fields(out, row, &[field::SRC_VLAN, field::DST_VLAN]);
    push_link_layer(out, row);
    push_origin(out, row, time);
}

/// Appends the heading of later versions' `csv-fast`.
pub fn push_fast_heading(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,packets,bytes\n",
    );
}

/// Appends one flow of later versions' `csv-fast`; `count` is its number in the output.
pub fn push_fast_row(out: &mut Vec<u8>, row: &Row<'_>, count: u64) {
    let counters = &row.counters;
    let address = or_unspecified(row.record.src_ip());
    put!(
        out,
        "{count},{},{},{},{},",
        pipe::family(address),
        counters.first_ms,
        counters.last_ms,
        row.protocol()
    );
    for (address, port) in [
        (row.record.src_ip(), field::SRC_PORT),
        (row.record.dst_ip(), field::DST_PORT),
    ] {
        push_address(out, address);
        put!(out, ",{},", row.get(port));
    }
    push_fields(
        out,
        row,
        &[field::SRC_AS, field::DST_AS, field::INPUT, field::OUTPUT],
    );
    push_flag_letters(
        out,
        if row.protocol() == 6 {
            row.tcp_flags
        } else {
            0
        },
    );
    put!(
        out,
        ",{},{},{}\n",
        row.get(field::SRC_TOS),
        counters.in_packets,
        counters.in_bytes
    );
}

/// Appends first and last packet without milliseconds, and the duration.
pub fn push_times(out: &mut Vec<u8>, counters: &Counters, duration: u64, time: &mut LocalTime) {
    for ms in [counters.first_ms, counters.last_ms] {
        time.push_seconds(out, ms / 1000);
        out.push(b',');
    }
    push_duration_seconds(out, duration, 0);
    out.push(b',');
}

fn push_fields(out: &mut Vec<u8>, row: &Row<'_>, places: &[Location]) {
    for place in places {
        push_u64(out, row.get(*place));
        out.push(b',');
    }
}

/// The whole address; `0.0.0.0` without one.
fn push_address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match or_unspecified(address) {
        IpAddr::V4(address) => push_ipv4(out, address),
        IpAddr::V6(address) => push_ipv6(out, address),
    }
}

/// MAC addresses and MPLS labels.
fn push_link_layer(out: &mut Vec<u8>, row: &Row<'_>) {
    for place in [
        field::IN_SRC_MAC,
        field::OUT_DST_MAC,
        field::IN_DST_MAC,
        field::OUT_SRC_MAC,
    ] {
        push_mac(out, row.get(place));
        out.push(b',');
    }
    for index in 0..10 {
        push_mpls(out, row.get(field::mpls_label(index)));
        out.push(b',');
    }
}

/// Latencies, the exporter and the time of reception.
fn push_origin(out: &mut Vec<u8>, row: &Row<'_>, time: &mut LocalTime) {
    for place in [
        field::CLIENT_LATENCY,
        field::SERVER_LATENCY,
        field::APP_LATENCY,
    ] {
        // Thousandths of a millisecond, as those of a second.
        push_duration_seconds(out, row.get(place), 9);
        out.push(b',');
    }
    let router = row
        .record
        .address(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6);
    push_address(out, router);
    let header = row.record.header();
    out.push(b',');
    push_u64(out, u64::from(header.engine_type));
    out.push(b'/');
    push_u64(out, u64::from(header.engine_id));
    out.push(b',');
    push_u64(out, u64::from(header.exporter_id));
    out.push(b',');
    time.push_ms(out, row.get(field::MSEC_RECEIVED));
    out.push(b'\n');
}

/// Appends the heading of a statistic: which direction's counters it shows.
pub fn push_statistic_heading(out: &mut Vec<u8>, side: Side) {
    out.extend_from_slice(match side {
        Side::Both => b"ts,te,td,pr,val,fl,flP,pkt,pktP,byt,bytP,pps,bps,bpp\n".as_slice(),
        Side::In => b"ts,te,td,pr,val,fl,flP,ipkt,ipktP,ibyt,ibytP,ipps,ibps,ibpp\n",
        Side::Out => b"ts,te,td,pr,val,fl,flP,opkt,opktP,obyt,obytP,opps,obps,obpp\n",
    });
}

/// Appends a row of a statistic behind its times; `protocol` if it is split by protocol, `value` appends the element's value. Percentages
/// refer to `total`.
pub fn push_statistic_row(
    out: &mut Vec<u8>,
    protocol: Option<u8>,
    value: impl FnOnce(&mut Vec<u8>),
    counters: &Counters,
    side: Side,
    total: &Counters,
) {
    match protocol {
        Some(protocol) => protocols::push(out, protocol),
        None => out.extend_from_slice(b"any"),
    }
    out.push(b',');
    value(out);
    let (packets, bytes) = (side.packets(counters), side.bytes(counters));
    for (part, whole) in [
        (counters.flows, total.flows),
        (packets, total.packets()),
        (bytes, total.bytes()),
    ] {
        let percent = match whole {
            0 => 0.0,
            whole => part.wrapping_mul(100) as f64 / whole as f64,
        };
        out.extend_from_slice(format!(",{part},{percent:.1}").as_bytes());
    }
    let duration = counters.duration_ms();
    let (pps, bps) = (
        per_second(packets, duration),
        bits_per_second(bytes, duration),
    );
    let bpp = bytes_per_packet(bytes, packets) & u64::from(u32::MAX);
    out.extend_from_slice(format!(",{pps},{bps},{bpp}\n").as_bytes());
}

/// Appends the summary of what passed.
pub fn push_summary(out: &mut Vec<u8>, sum: &Counters) {
    let duration = sum.duration_ms();
    let bpp = match duration {
        0 => 0,
        _ => bytes_per_packet(sum.bytes(), sum.packets()),
    };
    let (flows, bytes, packets) = (sum.flows, sum.bytes(), sum.packets());
    let (bps, pps) = (
        bits_per_second(bytes, duration),
        per_second(packets, duration),
    );
    out.extend_from_slice(b"Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n");
    out.extend_from_slice(format!("{flows},{bytes},{packets},{bps},{pps},{bpp}\n").as_bytes());
}
