//! The columns of basicStats: packets, octets, sizes and times between packets.

use super::super::Row;
use super::super::number::float;
use super::basic_flow::duration_ns;
use super::{Column, column};
use crate::meter::Flow;

pub(super) static COLUMNS: [Column; 17] = [
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
    column("F", "avgL7PktSz", "Mean layer 7 packet", |r, w| {
        float(w, r.octets().total as f32 / r.flow.packets as f32)
    }),
    column(
        "F",
        "stdL7PktSz",
        "Standard deviation of layer 7 packets",
        |r, w| float(w, r.text.sizes(r.metric).deviation()),
    ),
    column("F", "minIAT", "Shortest time between packets", |r, w| {
        float(w, r.text.arrivals.min)
    }),
    column("F", "maxIAT", "Longest time between packets", |r, w| {
        float(w, r.text.arrivals.max)
    }),
    column("F", "avgIAT", "Mean time between packets", |r, w| {
        float(w, r.text.arrivals.mean())
    }),
    column(
        "F",
        "stdIAT",
        "Standard deviation of times between packets",
        |r, w| float(w, r.text.arrivals.deviation()),
    ),
    column("F", "pktps", "Packets sent a second", |r, w| {
        float(w, rate(r.flow, r.flow.packets))
    }),
    column("F", "bytps", "Octets sent a second", |r, w| {
        float(w, rate(r.flow, r.octets().total))
    }),
    column("F", "pktAsm", "Asymmetry of packets", |r, w| {
        let lone_reply = r.opposite.is_none() && r.flow.inverted;
        let asymmetry = asymmetry(r.flow.packets, received(r).0);
        float(w, if lone_reply { -asymmetry } else { asymmetry })
    }),
    column("F", "bytAsm", "Asymmetry of octets", |r, w| {
        float(w, asymmetry(r.octets().total, received(r).1))
    }),
];

/// Packets and octets of the opposite direction.
fn received(row: &Row<'_>) -> (u64, u64) {
    row.opposite
        .map_or((0, 0), |flow| (flow.packets, flow.octets(row.metric).total))
}

/// 0 for a flow without duration.
fn rate(flow: &Flow, count: u64) -> f32 {
    let seconds = (duration_ns(flow) as f64 / 1e9) as f32;
    if seconds > 0.0 {
        count as f32 / seconds
    } else {
        0.0
    }
}

/// From -1, all received, to 1, all sent.
fn asymmetry(sent: u64, received: u64) -> f32 {
    if sent + received > 0 {
        (sent as f32 - received as f32) / (sent + received) as f32
    } else {
        0.0
    }
}
