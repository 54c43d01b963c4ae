//! Packets as Tranalyzer's packet mode prints them: one line each, tab separated, under a row of column names. The
//! columns are those that a packet and its flow at that moment give, named and ordered as those of basicFlow, basicStats
//! and tcpFlags.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::columns::mac;
use super::number::{bits, seconds};
use super::{list, separated};
use crate::dissect::Family;
use crate::meter::flow::Seen;

/// A column and how it is printed.
struct Column {
    name: &'static str,
    print: fn(&Line<'_>, &mut dyn Write) -> io::Result<()>,
}

/// A packet and its number.
struct Line<'a> {
    number: u64,
    seen: &'a Seen<'a>,
}

const fn column(
    name: &'static str,
    print: fn(&Line<'_>, &mut dyn Write) -> io::Result<()>,
) -> Column {
    Column { name, print }
}

static COLUMNS: [Column; 30] = [
    column("pktNo", |l, w| write!(w, "{}", l.number)),
    column("flowInd", |l, w| write!(w, "{}", l.seen.index)),
    column("flowStat", |l, w| bits(w, l.seen.status, 16)),
    column("time", |l, w| seconds(w, l.seen.packet.ts_ns)),
    column("pktIAT", |l, w| since(w, l.seen, l.seen.previous_ns)),
    column("pktTrip", |l, w| since(w, l.seen, l.seen.opposite_ns)),
    column("flowDuration", |l, w| {
        since(w, l.seen, Some(l.seen.first_ns))
    }),
    column("numHdrs", |l, w| {
        let headers = l.seen.detail.map_or(0, |detail| detail.headers.headers());
        write!(w, "{headers}")
    }),
    column("hdrDesc", |l, w| {
        let headers = l.seen.detail.map_or("", |detail| detail.headers.text());
        w.write_all(headers.as_bytes())
    }),
    column("vlanID", |l, w| {
        list(w, l.seen.packet.vlans.tags(), |w, tci| write!(w, "{tci}"))
    }),
    column("srcMac", |l, w| {
        optional_mac(w, l.seen, l.seen.packet.src_mac)
    }),
    column("dstMac", |l, w| {
        optional_mac(w, l.seen, l.seen.packet.dst_mac)
    }),
    column("ethType", |l, w| bits(w, l.seen.packet.ether_type, 4)),
    column("srcIP", |l, w| address(w, l.seen, &l.seen.packet.src)),
    column("srcPort", |l, w| write!(w, "{}", l.seen.packet.src_port)),
    column("dstIP", |l, w| address(w, l.seen, &l.seen.packet.dst)),
    column("dstPort", |l, w| write!(w, "{}", l.seen.packet.dst_port)),
    column("l4Proto", |l, w| write!(w, "{}", l.seen.packet.protocol)),
    column("pktLen", |l, w| write!(w, "{}", l.seen.packet.frame_octets)),
    column("l3Len", |l, w| write!(w, "{}", l.seen.packet.ip_octets)),
    column("l7Len", |l, w| write!(w, "{}", l.seen.packet.l7_octets)),
    column("padLen", |l, w| write!(w, "{}", l.seen.packet.pad_octets)),
    column("ipToS", |l, w| bits(w, l.seen.packet.tos, 2)),
    column("ipID", |l, w| write!(w, "{}", l.seen.packet.ip_id)),
    column("ipTTL", |l, w| write!(w, "{}", l.seen.packet.ttl)),
    column("ipFlags", |l, w| {
        bits(w, l.seen.detail.map_or(0, |detail| detail.ip.flags), 4)
    }),
    column("seq", |l, w| write!(w, "{}", l.seen.packet.tcp.sequence)),
    column("ack", |l, w| {
        write!(w, "{}", l.seen.packet.tcp.acknowledgment)
    }),
    column("tcpFlags", |l, w| bits(w, l.seen.packet.tcp.flags, 4)),
    column("tcpWin", |l, w| write!(w, "{}", l.seen.packet.tcp.window)),
];

/// Writes `PREFIX_packets.txt`.
#[derive(Debug)]
pub struct PacketSink<W: Write> {
    out: W,
    /// Packets so far.
    number: u64,
    /// The first error; nothing is written after it.
    failed: Option<io::Error>,
}

impl<W: Write> PacketSink<W> {
    /// Writes the names of the columns.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"%")?;
        separated(&mut out, b"\t", COLUMNS.iter(), |out, column| {
            out.write_all(column.name.as_bytes())
        })?;
        out.write_all(b"\n")?;
        Ok(PacketSink {
            out,
            number: 0,
            failed: None,
        })
    }

    /// A packet without flow: it has a number, but no line.
    pub fn skip(&mut self) {
        self.number += 1;
    }

    /// Prints a packet.
    pub fn packet(&mut self, seen: &Seen<'_>) {
        self.number += 1;
        if self.failed.is_some() {
            return;
        }
        let line = Line {
            number: self.number,
            seen,
        };
        let printed = separated(&mut self.out, b"\t", COLUMNS.iter(), |out, column| {
            (column.print)(&line, out)
        });
        let printed = printed.and_then(|()| self.out.write_all(b"\n"));
        self.failed = printed.err();
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first error since the sink was made.
    pub fn finish(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

/// Seconds from another time to the packet's; 0 if there is none.
fn since(out: &mut dyn Write, seen: &Seen<'_>, ns: Option<i64>) -> io::Result<()> {
    let now_ns = seen.packet.ts_ns;
    seconds(out, now_ns.saturating_sub(ns.unwrap_or(now_ns)))
}

fn optional_mac(out: &mut dyn Write, seen: &Seen<'_>, value: [u8; 6]) -> io::Result<()> {
    match seen.packet.has_macs {
        true => mac(out, value),
        false => Ok(()),
    }
}

/// The address of an IP packet; others have none.
fn address(out: &mut dyn Write, seen: &Seen<'_>, octets: &[u8; 16]) -> io::Result<()> {
    match (seen.packet.family, octets) {
        (Family::V4, [a, b, c, d, ..]) => write!(out, "{}", Ipv4Addr::new(*a, *b, *c, *d)),
        (Family::V6, octets) => write!(out, "{}", Ipv6Addr::from(*octets)),
        (Family::Link, _) => out.write_all(b"-"),
    }
}
