//! What the meter is told, and what it counts.

use std::time::Duration;

use super::{Metric, TextFeatures, status};
use crate::dissect::{Family, Fragment, Packet, protocol};

/// Time-outs of the TCP states (Tranalyzer's tcpStates).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpTimeouts {
    /// A SYN was seen.
    pub new: Duration,
    /// The handshake is complete.
    pub established: Duration,
    /// A FIN was seen.
    pub closing: Duration,
    /// Both FINs are acknowledged.
    pub closed: Duration,
    /// A RST was seen.
    pub reset: Duration,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        TcpTimeouts {
            new: Duration::from_secs(120),
            established: Duration::from_secs(610),
            closing: Duration::from_secs(120),
            closed: Duration::from_secs(10),
            reset: Duration::from_millis(100),
        }
    }
}

/// How flows are told apart and when they end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeterConfig {
    /// A flow without packets for this long has ended. Packet clock.
    pub idle_timeout: Duration,
    /// A direction this old is cut, with its opposite, at its next packet; what follows is a new flow. Packet clock.
    pub active_timeout: Option<Duration>,
    /// Time-outs of the TCP states.
    pub tcp_timeouts: TcpTimeouts,
    /// The most flows (directions) kept at a time; above it the least recently used pair is released early.
    pub max_flows: usize,
    /// What is counted beside layer 7 octets: IP packets, their payload or frames.
    pub wide: Metric,
    /// Whether a text or JSON sink runs: only then [`TextFeatures`](super::TextFeatures) are kept.
    pub text: bool,
}

impl Default for MeterConfig {
    fn default() -> Self {
        MeterConfig {
            idle_timeout: Duration::from_secs(182),
            active_timeout: None,
            tcp_timeouts: TcpTimeouts::default(),
            max_flows: 1 << 18,
            wide: Metric::Ip,
            text: false,
        }
    }
}

/// What the meter has seen so far, for the end report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MeterStats {
    /// Packets that became part of a flow.
    pub packets: u64,
    /// Packets without an IP header.
    pub link_packets: u64,
    /// IPv4 packets.
    pub ipv4_packets: u64,
    /// IPv6 packets.
    pub ipv6_packets: u64,
    /// Packets of the A direction (not inverted).
    pub a_packets: u64,
    /// Packets of the B direction (inverted).
    pub b_packets: u64,
    /// Frame octets of the A direction.
    pub a_octets: u64,
    /// Frame octets of the B direction.
    pub b_octets: u64,
    /// Packets with each of the bits [`status::COUNTED`].
    pub with_status: [u64; status::COUNTED.len()],
    /// ICMP packets.
    pub icmp_packets: u64,
    /// ICMPv6 packets.
    pub icmp6_packets: u64,
    /// IGMP packets.
    pub igmp_packets: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// Frame octets of TCP packets.
    pub tcp_octets: u64,
    /// UDP packets.
    pub udp_packets: u64,
    /// Frame octets of UDP packets.
    pub udp_octets: u64,
    /// SCTP packets.
    pub sctp_packets: u64,
    /// IPv4 fragments.
    pub ipv4_fragments: u64,
    /// IPv6 fragments.
    pub ipv6_fragments: u64,
    /// Octets of Ethernet padding.
    pub pad_octets: u64,
    /// The most VLAN tags in one packet.
    pub max_vlans: u8,
    /// The most MPLS labels in one packet.
    pub max_mpls: u8,
    /// Flows (directions) begun.
    pub flows: u64,
    /// Flows without an IP header.
    pub link_flows: u64,
    /// IPv4 flows.
    pub ipv4_flows: u64,
    /// IPv6 flows.
    pub ipv6_flows: u64,
    /// Flows seen before their opposite direction (Tranalyzer's A flows).
    pub a_flows: u64,
    /// Flows whose opposite direction was there already (Tranalyzer's B flows).
    pub b_flows: u64,
    /// Flows that are not inverted (requests).
    pub request_flows: u64,
    /// Inverted flows (replies).
    pub reply_flows: u64,
    /// The most flows in memory at a time.
    pub max_flows: u64,
    /// Flows released early because the table was full.
    pub early_released: u64,
    /// Packets stamped earlier than the packet before them.
    pub backward_packets: u64,
    /// Fragments whose first fragment was not seen before them.
    pub fragments_without_head: u64,
    /// First fragments forgotten because too many waited for the rest.
    pub fragments_forgotten: u64,
    /// OR of all flows' status bits.
    pub status: u64,
    /// OR of all flows' TCP flags.
    pub tcp_flags: u16,
    /// What only the text features know.
    pub text: TextStats,
    /// OR of all flows' tcpStatesAFlags.
    pub tcp_states: u8,
    /// OR of all ToS / traffic class octets.
    pub tos: u8,
}

/// All bits of [`status::COUNTED`].
const COUNTED_BITS: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < status::COUNTED.len() {
        bits |= status::COUNTED[at].0;
        at += 1;
    }
    bits
};

/// What the meter has seen so far that only the text features know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TextStats {
    /// OR of all flows' tcpAnomaly bits.
    pub tcp_anomaly: u16,
    /// OR of all flows' tcpFStat bits.
    pub tcp_status: u16,
    /// OR of all flows' ipFlags bits.
    pub ip_flags: u16,
    /// Scans.
    pub scans: u64,
    /// Scans that were answered.
    pub scans_answered: u64,
    /// Repeated SYNs.
    pub syn_retries: u64,
    /// Retransmissions.
    pub sequence_retries: u64,
    /// TCP packets that close the window.
    pub closed_windows: u64,
    /// The fewest headers of a packet; 0 if none was described.
    pub min_headers: u16,
    /// The most.
    pub max_headers: u16,
    /// The headers of all packets.
    pub headers: u64,
}

impl TextStats {
    /// Counts the headers of a packet.
    pub(super) fn headers(&mut self, headers: u16) {
        self.headers += u64::from(headers);
        self.max_headers = self.max_headers.max(headers);
        self.min_headers = match self.min_headers {
            0 => headers,
            fewest => fewest.min(headers),
        };
    }

    /// Adds a flow that ends.
    pub(super) fn flow(&mut self, text: &TextFeatures) {
        let counts = &text.tcp.counts;
        self.tcp_anomaly |= text.tcp.anomaly;
        self.tcp_status |= text.tcp.status;
        self.ip_flags |= text.ip.flags;
        self.scans += u64::from(counts.scans);
        self.scans_answered += u64::from(counts.scans_answered);
        self.syn_retries += u64::from(counts.syn_retries);
        self.sequence_retries += u64::from(counts.sequence_retries);
        self.closed_windows += u64::from(text.tcp.window.closed);
    }
}

impl MeterStats {
    /// Counts one packet of a flow.
    pub(super) fn count_packet(&mut self, packet: &Packet, inverted: bool) {
        let octets = u64::from(packet.frame_octets);
        self.packets += 1;
        if inverted {
            self.b_packets += 1;
            self.b_octets += octets;
        } else {
            self.a_packets += 1;
            self.a_octets += octets;
        }
        self.pad_octets += u64::from(packet.pad_octets);
        self.max_vlans = self.max_vlans.max(packet.vlans.tags().len() as u8);
        self.max_mpls = self.max_mpls.max(packet.mpls_labels);
        if packet.status & COUNTED_BITS != 0 {
            for (count, (bit, ..)) in self.with_status.iter_mut().zip(status::COUNTED) {
                *count += u64::from(packet.status & bit != 0);
            }
        }
        let fragment = u64::from(packet.fragment != Fragment::Whole);
        match packet.family {
            Family::Link => {
                self.link_packets += 1;
                return;
            }
            Family::V4 => {
                self.ipv4_packets += 1;
                self.ipv4_fragments += fragment;
            }
            Family::V6 => {
                self.ipv6_packets += 1;
                self.ipv6_fragments += fragment;
            }
        }
        match packet.protocol {
            protocol::TCP => {
                self.tcp_packets += 1;
                self.tcp_octets += octets;
            }
            protocol::UDP => {
                self.udp_packets += 1;
                self.udp_octets += octets;
            }
            protocol::ICMP => self.icmp_packets += 1,
            protocol::ICMPV6 => self.icmp6_packets += 1,
            protocol::IGMP => self.igmp_packets += 1,
            protocol::SCTP => self.sctp_packets += 1,
            _ => {}
        }
    }
}
