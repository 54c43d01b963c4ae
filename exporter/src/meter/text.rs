//! The features that only text sinks print, kept in an array of their own.

use super::flow::{MAX_MAC_PAIRS, MacPair, TextFeatures};
use super::status;
use crate::dissect::{Family, Fragment, Packet, Vlans};

/// One direction.
#[derive(Clone, Debug, Default)]
pub(super) struct TextState {
    vlans: Vlans,
    macs: Vec<MacPair>,
    pad_octets: u64,
    max_iat_ns: i64,
    avg_iat: f32,
    pub tcp_anomaly: u16,
    pub status: u64,
    last_ip_id: u32,
}

impl TextState {
    /// Takes a packet into account; `packets` includes it, `last_ns` is the time of the one before.
    pub(super) fn packet(&mut self, packet: &Packet, packets: u64, last_ns: i64) {
        self.status |= packet.status;
        self.pad_octets += u64::from(packet.pad_octets);
        if packets == 1 {
            self.vlans = packet.vlans;
        } else {
            self.inter_arrival(packet.ts_ns.saturating_sub(last_ns).max(0), packets);
        }
        // Of fragments only; the second packet has nothing to be compared with yet in Tranalyzer either.
        if packets > 2
            && packet.family == Family::V4
            && packet.fragment == Fragment::Whole
            && packet.ip_id == self.last_ip_id
        {
            self.status |= status::SAME_IP_ID;
        }
        self.last_ip_id = packet.ip_id;
        if packet.has_macs {
            self.count_macs(packet);
        }
    }

    fn inter_arrival(&mut self, iat_ns: i64, packets: u64) {
        self.max_iat_ns = self.max_iat_ns.max(iat_ns);
        let seconds = (iat_ns as f64 / 1e9) as f32;
        self.avg_iat += (seconds - self.avg_iat) / packets as f32;
    }

    fn count_macs(&mut self, packet: &Packet) {
        let known = self
            .macs
            .iter_mut()
            .find(|macs| macs.src == packet.src_mac && macs.dst == packet.dst_mac);
        if let Some(macs) = known {
            macs.packets += 1;
        } else if self.macs.len() < MAX_MAC_PAIRS {
            self.macs.push(MacPair {
                src: packet.src_mac,
                dst: packet.dst_mac,
                packets: 1,
            });
        }
    }

    /// What is printed at the end.
    pub(super) fn features(&mut self) -> TextFeatures {
        TextFeatures {
            vlans: self.vlans,
            mac_pairs: std::mem::take(&mut self.macs),
            pad_octets: self.pad_octets,
            max_iat_ns: self.max_iat_ns,
            avg_iat: self.avg_iat,
            tcp_anomaly: self.tcp_anomaly,
        }
    }
}
