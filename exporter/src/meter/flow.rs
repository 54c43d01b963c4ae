//! A finished flow: one direction of a conversation, as the sinks see it.

use std::net::IpAddr;

use super::text::TextFeatures;
use crate::dissect::{Detail, Family, Labels, Packet};

/// The key of one direction (spec: flow definition of Tranalyzer).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoints {
    /// An IP flow.
    Ip {
        /// Source address.
        src: IpAddr,
        /// Destination address.
        dst: IpAddr,
        /// Source port; 0 where the protocol has none.
        src_port: u16,
        /// Destination port; 0 where the protocol has none.
        dst_port: u16,
        /// IP protocol number of the innermost header.
        protocol: u8,
    },
    /// A flow of frames without an IP header, keyed by its MAC pair.
    Link,
}

/// Source and destination MAC of frames of a flow, with the number of packets that had them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MacPair {
    /// Source MAC.
    pub src: [u8; 6],
    /// Destination MAC.
    pub dst: [u8; 6],
    /// Packets with this pair.
    pub packets: u64,
}

/// Why a flow ended (IANA `flowEndReason`, element 136).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EndReason {
    /// Idle time-out.
    IdleTimeout = 1,
    /// Active time-out.
    ActiveTimeout = 2,
    /// FIN or RST seen.
    EndOfFlow = 3,
    /// End of the capture or of the program.
    ForcedEnd = 4,
    /// The table was full.
    LackOfResources = 5,
}

/// Octet counts of one direction under one metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Octets {
    /// Sum over all packets.
    pub total: u64,
    /// Smallest packet.
    pub min: u32,
    /// Largest packet.
    pub max: u32,
}

/// What octet counts count (Tranalyzer's `PACKETLENGTH`). Of frames without IP, what follows the link header, except
/// under [`Metric::L2`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Layer 7 payload: IP total length without IP and transport headers.
    L7,
    /// IP payload with the transport header, without IPv6 extension headers.
    L4,
    /// IP total length.
    Ip,
    /// Frames as on the wire, without the padding of short Ethernet frames that hold IP.
    L2,
}

impl Metric {
    /// Its name in `--bytes`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::L7 => "l7",
            Metric::L4 => "l4",
            Metric::Ip => "ip",
            Metric::L2 => "l2",
        }
    }

    /// The octets of a packet.
    #[inline]
    #[must_use]
    pub fn octets(self, packet: &Packet) -> u32 {
        match self {
            Metric::L7 => packet.l7_octets,
            Metric::L4 => packet.l4_octets,
            Metric::Ip => packet.ip_octets,
            Metric::L2 if packet.family == Family::Link => packet.frame_octets,
            Metric::L2 => packet.frame_octets.saturating_sub(packet.pad_octets),
        }
    }
}

/// One finished direction of a conversation.
#[derive(Clone, Debug)]
pub struct Flow {
    /// T2's flowInd: shared by both directions, from 1.
    pub index: u64,
    /// `true` for the B direction (flowStat bit 0, NetFlow element 61 = 1).
    pub inverted: bool,
    /// T2's flowStat bits (see [`status`](super::status)).
    pub status: u64,
    /// EtherType of the innermost IP header, or of the frame for link flows.
    pub ether_type: u16,
    /// The innermost VLAN tag as on the wire (TCI, 16 bit), if any.
    pub vlan_tci: Option<u16>,
    /// The MPLS labels of the first packet.
    pub labels: Labels,
    /// Addresses, ports, protocol.
    pub endpoints: Endpoints,
    /// First packet, nanoseconds since 1970 (packet clock).
    pub first_ns: i64,
    /// Last packet, nanoseconds since 1970 (packet clock).
    pub last_ns: i64,
    /// Packets of this direction.
    pub packets: u64,
    /// Layer 7 octets: IP total length minus IP and transport headers.
    pub l7: Octets,
    /// Octets under [`MeterConfig::wide`](super::MeterConfig::wide).
    pub wide: Octets,
    /// OR of the TCP flags (low 8 bits) and T2's combination bits above them.
    pub tcp_flags: u16,
    /// OR of all ToS / traffic class octets.
    pub tos: u8,
    /// Smallest TTL / hop limit.
    pub min_ttl: u8,
    /// Largest TTL / hop limit.
    pub max_ttl: u8,
    /// Type << 8 | code of the first ICMP or ICMPv6 packet; 0 otherwise.
    pub icmp_type_code: u16,
    /// The first two MAC pairs in order of appearance; unused entries are zero. Their packets are counted
    /// up to 2^32 - 1.
    pub mac_pairs: [MacPair; 2],
    /// T2's tcpStatesAFlags.
    pub tcp_states: u8,
    /// Why it ended.
    pub end_reason: EndReason,
    /// What only the text and JSON sinks print; absent when none of them runs.
    pub text: Option<Box<TextFeatures>>,
}

impl Flow {
    /// Its octets under a metric, which must be that of the meter unless it is layer 7.
    #[must_use]
    pub fn octets(&self, metric: Metric) -> Octets {
        match metric {
            Metric::L7 => self.l7,
            Metric::L4 | Metric::Ip | Metric::L2 => self.wide,
        }
    }
}

/// Takes finished pairs, in T2's order of release: A (the direction that is not inverted) before B.
pub trait FlowSink {
    /// `now_ns` is the packet clock at the moment of release. `second` is the opposite direction, if it was seen.
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>);

    /// Whether [`packet`](Self::packet) is to be called.
    fn wants_packets(&self) -> bool {
        false
    }

    /// A packet was counted.
    fn packet(&mut self, _seen: &Seen<'_>) {}
}

/// A packet, and its flow when it came.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The packet.
    pub packet: &'a Packet,
    /// Its details, where they are gathered.
    pub detail: Option<&'a Detail>,
    /// Number of the flow pair.
    pub index: u64,
    /// Status bits of the flow so far, where they are gathered.
    pub status: u64,
    /// Time of the flow's first packet.
    pub first_ns: i64,
    /// Time of the packet before this one in the same flow.
    pub previous_ns: Option<i64>,
    /// Time of the last packet of the opposite flow.
    pub opposite_ns: Option<i64>,
}
