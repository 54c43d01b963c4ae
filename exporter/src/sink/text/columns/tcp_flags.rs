//! The columns of tcpFlags: IP and TCP headers.

use std::io::{self, Write};

use super::super::Row;
use super::super::number::{bits, float, seconds};
use super::{Column, column};
use crate::meter::text::{OptionFeatures, SenderClock, mark};

pub(super) static COLUMNS: [Column; 52] = [
    column("H16", "tcpFStat", "Status of IP and TCP headers", |r, w| {
        bits(w, r.text.tcp.status, 4)
    }),
    column("U16", "ipMindIPID", "Smallest step of the IP ID", |r, w| {
        write!(w, "{}", r.text.ip.min_id_step)
    }),
    column("U16", "ipMaxdIPID", "Largest step of the IP ID", |r, w| {
        write!(w, "{}", r.text.ip.max_id_step)
    }),
    column("U8", "ipMinTTL", "Smallest TTL", |r, w| {
        write!(w, "{}", r.flow.min_ttl)
    }),
    column("U8", "ipMaxTTL", "Largest TTL", |r, w| {
        write!(w, "{}", r.flow.max_ttl)
    }),
    column("U8", "ipTTLChg", "Changes of the TTL", |r, w| {
        write!(w, "{}", r.text.ip.ttl_changes)
    }),
    column("H8", "ipToS", "All ToS bits", |r, w| bits(w, r.flow.tos, 2)),
    column("H16", "ipFlags", "Flags and faults of IP", |r, w| {
        bits(w, r.text.ip.flags, 4)
    }),
    column("U16", "ipOptCnt", "IPv4 options", |r, w| {
        write!(w, "{}", r.text.ip.options)
    }),
    column(
        "H8_H32",
        "ipOptCpCl_Num",
        "Copy and class, and numbers, of the IPv4 options",
        |r, w| {
            bits(w, r.text.ip.option_classes, 2)?;
            w.write_all(b"_")?;
            bits(w, r.text.ip.option_numbers, 8)
        },
    ),
    column(
        "U16_U16",
        "ip6OptCntHH_D",
        "IPv6 hop-by-hop and destination options",
        |r, w| {
            let [hops, destination] = r.text.ip.v6_options;
            write!(w, "{hops}_{destination}")
        },
    ),
    column(
        "H32_H32",
        "ip6OptHH_D",
        "Types of the IPv6 hop-by-hop and destination options",
        |r, w| {
            let [hops, destination] = r.text.ip.v6_option_types;
            bits(w, hops, 8)?;
            w.write_all(b"_")?;
            bits(w, destination, 8)
        },
    ),
    column("U32", "tcpISeqN", "First sequence number", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.initial)
    }),
    column("U16", "tcpPSeqCnt", "Packets in sequence", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.in_order)
    }),
    column(
        "U64",
        "tcpSeqSntBytes",
        "Octets sent by the sequence numbers",
        |r, w| write!(w, "{}", r.text.tcp.sequence.sent),
    ),
    column("U16", "tcpSeqFaultCnt", "Retransmissions", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.sequence_faults)
    }),
    column("U16", "tcpPAckCnt", "Packets that acknowledge", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.acknowledging)
    }),
    column(
        "U64",
        "tcpFlwLssAckRcvdBytes",
        "Octets received by the acknowledgment numbers",
        |r, w| write!(w, "{}", r.text.tcp.sequence.acknowledged),
    ),
    column("U16", "tcpAckFaultCnt", "Odd acknowledgments", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.acknowledgment_faults)
    }),
    column("U32", "tcpBFlgtMx", "Most octets in flight", |r, w| {
        write!(w, "{}", r.text.tcp.sequence.max_in_flight)
    }),
    column("U32", "tcpInitWinSz", "First window", |r, w| {
        write!(w, "{}", r.text.tcp.window.initial)
    }),
    column("F", "tcpAvgWinSz", "Running mean of the window", |r, w| {
        float(w, r.text.tcp.window.mean)
    }),
    column("U32", "tcpMinWinSz", "Smallest window", |r, w| {
        write!(w, "{}", r.text.tcp.window.min)
    }),
    column("U32", "tcpMaxWinSz", "Largest window", |r, w| {
        write!(w, "{}", r.text.tcp.window.max)
    }),
    column("U16", "tcpWinSzDwnCnt", "Windows made smaller", |r, w| {
        write!(w, "{}", r.text.tcp.window.downs)
    }),
    column("U16", "tcpWinSzUpCnt", "Windows made larger", |r, w| {
        write!(w, "{}", r.text.tcp.window.ups)
    }),
    column("U16", "tcpWinSzChgDirCnt", "Turns of the window", |r, w| {
        write!(w, "{}", r.text.tcp.window.turns)
    }),
    column(
        "F",
        "tcpWinSzThRt",
        "Share of packets that close the window",
        |r, w| float(w, r.text.tcp.window.closed_share()),
    ),
    column("H16", "tcpFlags", "All TCP flags", |r, w| {
        bits(w, r.flow.tcp_flags, 4)
    }),
    column("H16", "tcpAnomaly", "TCP anomalies", |r, w| {
        bits(w, r.text.tcp.anomaly, 4)
    }),
    column("SC", "tcpJA4T", "Fingerprint JA4T or JA4TS", fingerprint),
    column("U16", "tcpOptPktCnt", "Packets with TCP options", |r, w| {
        write!(w, "{}", r.text.tcp.options.packets)
    }),
    column("U16", "tcpOptCnt", "TCP options", |r, w| {
        write!(w, "{}", r.text.tcp.options.count)
    }),
    column("H32", "tcpOptions", "Kinds of the TCP options", |r, w| {
        bits(w, r.text.tcp.options.kinds, 8)
    }),
    column("U16", "tcpMSS", "Maximum segment size", |r, w| {
        write!(w, "{}", r.text.tcp.options.mss)
    }),
    column("U16", "tcpWS", "Factor of the window", |r, w| {
        let factor = match scaled(r) {
            true => 1_u32
                .checked_shl(r.text.tcp.options.window_shift.into())
                .unwrap_or(0),
            false => 0,
        };
        write!(w, "{}", factor as u16)
    }),
    column("H16", "tcpMPTBF", "MPTCP subtypes", |r, w| {
        bits(w, r.text.tcp.options.mptcp.subtypes, 4)
    }),
    column("H8", "tcpMPF", "MPTCP flags", |r, w| {
        bits(w, r.text.tcp.options.mptcp.flags, 2)
    }),
    column("U8", "tcpMPAID", "MPTCP address identifier", |r, w| {
        write!(w, "{}", r.text.tcp.options.mptcp.address.unwrap_or(0))
    }),
    column("H8", "tcpMPDSSF", "MPTCP data sequence flags", |r, w| {
        bits(w, r.text.tcp.options.mptcp.data_sequence, 2)
    }),
    column("U32", "tcpTmS", "Last timestamp", |r, w| {
        let [value, _] = r.text.tcp.options.timestamps;
        write!(w, "{value}")
    }),
    column("U32", "tcpTmER", "Last timestamp echo reply", |r, w| {
        let [_, echo] = r.text.tcp.options.timestamps;
        write!(w, "{echo}")
    }),
    column(
        "F",
        "tcpEcI",
        "Estimated seconds a timestamp tick",
        |r, w| float(w, clock(r).map_or(0.0, |clock| clock.tick)),
    ),
    column(
        "D",
        "tcpUtm",
        "Estimated seconds since the start",
        |r, w| write!(w, "{:.6}", clock(r).map_or(0.0, |clock| clock.up)),
    ),
    column(
        "U64.U32",
        "tcpBtm",
        "Estimated time of the start",
        |r, w| seconds(w, clock(r).map_or(0, |clock| clock.booted_ns)),
    ),
    column(
        "F",
        "tcpSSASAATrip",
        "Seconds from the first packet to the answer",
        |r, w| float(w, r.text.trips.first),
    ),
    column("F", "tcpRTTAckTripMin", "Shortest trip", |r, w| {
        float(w, r.text.trips.min)
    }),
    column("F", "tcpRTTAckTripMax", "Longest trip", |r, w| {
        float(w, r.text.trips.max)
    }),
    column("F", "tcpRTTAckTripAvg", "Mean trip", |r, w| {
        float(w, r.text.trips.mean)
    }),
    column("F", "tcpRTTAckTripJitAvg", "Jitter of the trips", |r, w| {
        float(w, r.text.trips.jitter())
    }),
    column(
        "F",
        "tcpRTTSseqAA",
        "Round trip, of the first packets (A) or the mean (B)",
        |r, w| {
            let own = &r.text.trips;
            let both = r.opposite_text().map(|text| match r.flow.inverted {
                true => own.mean + text.trips.mean,
                false => own.first + text.trips.first,
            });
            float(w, both.unwrap_or(0.0))
        },
    ),
    column(
        "F",
        "tcpRTTAckJitAvg",
        "Jitter of the round trips (B)",
        |r, w| {
            let opposite = r.opposite_text().filter(|_| r.flow.inverted);
            let jitter = opposite.map(|text| r.text.trips.round_trip_jitter(&text.trips));
            float(w, jitter.unwrap_or(0.0))
        },
    ),
];

/// Whether both ends have agreed on a scale of windows.
fn scaled(row: &Row<'_>) -> bool {
    row.text.tcp.status & mark::WINDOW_SCALED != 0
}

fn clock(row: &Row<'_>) -> Option<SenderClock> {
    row.text.tcp.options.clock(row.flow.min_ttl)
}

/// Window, option kinds of SYNs in their order, segment size, window scale: two digits where there is none.
fn fingerprint(row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
    let options: &OptionFeatures = &row.text.tcp.options;
    write!(out, "{}_", row.text.tcp.window.initial)?;
    if options.syn_order().is_empty() {
        out.write_all(b"00")?;
    }
    for (at, kind) in options.syn_order().iter().enumerate() {
        let dash = if at > 0 { "-" } else { "" };
        write!(out, "{dash}{kind}")?;
    }
    write!(out, "_{:02}_", options.mss)?;
    match scaled(row) {
        true => write!(out, "{}", options.window_shift),
        false => out.write_all(b"00"),
    }
}
