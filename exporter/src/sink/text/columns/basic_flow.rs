//! The columns of the core and of basicFlow: who, when, over which headers.

use std::io::{self, Write};
use std::net::IpAddr;

use super::super::list;
use super::super::number::{bits, seconds};
use super::mac_recorder::mac;
use super::{Column, column};
use crate::meter::{Endpoints, Flow, MacPair, TextFeatures};

/// The most MACs of one end.
const MAX_MACS: usize = 3;

pub(super) static COLUMNS: [Column; 18] = [
    column("C", "dir", "Direction: A or B", |r, w| {
        write!(w, "{}", r.letter)
    }),
    column("U64", "flowInd", "Number of the flow pair", |r, w| {
        write!(w, "{}", r.flow.index)
    }),
    column("H64", "flowStat", "Status bits", |r, w| {
        bits(w, r.flow.status, 16)
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
    column("U64.U32", "duration", "Seconds between them", |r, w| {
        seconds(w, duration_ns(r.flow))
    }),
    column("U8", "numHdrDesc", "Different header stacks", |r, w| {
        write!(w, "{}", r.text.headers.len())
    }),
    column("U16:R", "numHdrs", "Headers of each stack", |r, w| {
        list(w, &r.text.headers, |w, stack| {
            write!(w, "{}", stack.headers())
        })
    }),
    column("SC:R", "hdrDesc", "Header stacks", |r, w| {
        list(w, &r.text.headers, |w, stack| {
            w.write_all(stack.text().as_bytes())
        })
    }),
    column("MAC:R", "srcMac", "Source MACs", |r, w| {
        distinct(w, r.text, |pair| pair.src)
    }),
    column("MAC:R", "dstMac", "Destination MACs", |r, w| {
        distinct(w, r.text, |pair| pair.dst)
    }),
    column("H16", "ethType", "EtherType", |r, w| {
        bits(w, r.flow.ether_type, 4)
    }),
    column("U16:R", "vlanID", "VLAN tags", |r, w| {
        list(w, r.text.vlans.tags(), |w, tci| write!(w, "{tci}"))
    }),
    column("IPX", "srcIP", "Source address", |r, w| {
        address(w, addresses(r.flow).map(|(src, _)| src))
    }),
    column("U16", "srcPort", "Source port", |r, w| {
        write!(w, "{}", ports(r.flow).0)
    }),
    column("IPX", "dstIP", "Destination address", |r, w| {
        address(w, addresses(r.flow).map(|(_, dst)| dst))
    }),
    column("U16", "dstPort", "Destination port", |r, w| {
        write!(w, "{}", ports(r.flow).1)
    }),
    column("U8", "l4Proto", "IP protocol", |r, w| {
        write!(w, "{}", ports(r.flow).2)
    }),
];

/// Nanoseconds from the first to the last packet.
pub(super) fn duration_ns(flow: &Flow) -> i64 {
    flow.last_ns.saturating_sub(flow.first_ns)
}

/// The different MACs of one end, the first three of them as in Tranalyzer's basicFlow.
fn distinct(
    out: &mut dyn Write,
    text: &TextFeatures,
    end: impl Fn(&MacPair) -> [u8; 6],
) -> io::Result<()> {
    let mut seen: Vec<[u8; 6]> = Vec::new();
    for pair in &text.macs.pairs {
        if seen.len() < MAX_MACS && !seen.contains(&end(pair)) {
            seen.push(end(pair));
        }
    }
    list(out, &seen, |out, value| mac(out, *value))
}

fn addresses(flow: &Flow) -> Option<(IpAddr, IpAddr)> {
    match flow.endpoints {
        Endpoints::Ip { src, dst, .. } => Some((src, dst)),
        Endpoints::Link => None,
    }
}

fn address(out: &mut dyn Write, address: Option<IpAddr>) -> io::Result<()> {
    match address {
        Some(address) => write!(out, "{address}"),
        None => out.write_all(b"-"),
    }
}

/// Ports and protocol.
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
