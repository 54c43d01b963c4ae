//! What is counted for the report on the way from the capture to the sinks.

use std::net::IpAddr;

use crate::meter::flow::{Endpoints, Flow, FlowSink};

/// Packets of the captures, counted while they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PacketCounters {
    /// Packets read and not left out.
    pub packets: u64,
    /// Packets that the filter left out.
    pub filtered: u64,
    /// Packets that sampling left out.
    pub sampled_out: u64,
    /// Octets of the packets that were captured.
    pub captured: u64,
    /// Octets of the packets on the wire.
    pub original: u64,
    /// Time of the first packet, nanoseconds since 1970.
    pub first_ns: Option<i64>,
    /// The latest time of a packet.
    pub last_ns: i64,
}

impl PacketCounters {
    /// Counts one packet.
    #[inline]
    pub fn count(&mut self, ts_ns: i64, captured: usize, original: u32) {
        self.packets += 1;
        self.captured += captured as u64;
        self.original += u64::from(original);
        if self.first_ns.is_none() {
            self.first_ns = Some(ts_ns);
            self.last_ns = ts_ns;
        }
        self.last_ns = self.last_ns.max(ts_ns);
    }

    /// From the first packet to the latest one.
    pub(super) fn duration_ns(&self) -> u64 {
        let first = self.first_ns.unwrap_or(self.last_ns);
        u64::try_from(self.last_ns.saturating_sub(first)).unwrap_or(0)
    }
}

/// The flow that has most of something: its source, and how much.
pub type Talker = Option<(IpAddr, u64)>;

/// Counts octets and the largest flows on their way to the sinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowCounters {
    /// Layer 7 octets of all flows.
    pub l7_octets: u64,
    /// Octets of all flows under the meter's other metric.
    pub wide_octets: u64,
    /// The flow with most packets.
    pub most_packets: Talker,
    /// The flow with most layer 7 octets.
    pub most_octets: Talker,
    /// The most layer 7 octets per packet of a flow.
    pub largest_load: u64,
    /// The most layer 7 bits per second of a flow that lasts, and its packets.
    pub fastest: Option<(u64, u64)>,
    /// The most MAC pairs of a flow, as far as they are kept.
    pub most_mac_pairs: u64,
}

impl FlowSink for FlowCounters {
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            self.flow(flow);
        }
    }
}

impl FlowCounters {
    fn flow(&mut self, flow: &Flow) {
        self.l7_octets += flow.l7.total;
        self.wide_octets += flow.wide.total;
        if let Endpoints::Ip { src, .. } = flow.endpoints {
            most(&mut self.most_packets, src, flow.packets);
            most(&mut self.most_octets, src, flow.l7.total);
        }
        let load = flow.l7.total / flow.packets.max(1);
        self.largest_load = self.largest_load.max(load);
        let lasted_ns = flow.last_ns.saturating_sub(flow.first_ns);
        if lasted_ns > 0 && flow.l7.total > 0 {
            let rate = (flow.l7.total as f64 * 8e9 / lasted_ns as f64) as u64;
            if self.fastest.is_none_or(|(fastest, _)| rate > fastest) {
                self.fastest = Some((rate, flow.packets));
            }
        }
        if let Some(text) = &flow.text {
            self.most_mac_pairs = self.most_mac_pairs.max(text.macs.pairs.len() as u64);
        }
    }
}

fn most(talker: &mut Talker, source: IpAddr, amount: u64) {
    if amount > talker.map_or(0, |(_, most)| most) {
        *talker = Some((source, amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_out_of_order_do_not_turn_the_clock_back() {
        let mut packets = PacketCounters::default();
        for ts_ns in [5, 9, 7, 9] {
            packets.count(ts_ns, 10, 20);
        }
        assert_eq!((packets.first_ns, packets.last_ns), (Some(5), 9));
        assert_eq!(
            (packets.packets, packets.captured, packets.original),
            (4, 40, 80)
        );
        assert_eq!(packets.duration_ns(), 4);
    }
}
