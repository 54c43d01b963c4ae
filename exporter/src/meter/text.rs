//! The features that only text sinks print, kept in an array of their own.

use super::flow::{MAX_MAC_PAIRS, MacPair, TextFeatures};
use super::fragments::{Fragments, Waiting};
use super::status;
use super::tcp_flags::{anomaly, is_scan};
use crate::dissect::{Family, Fragment, Packet, Vlans, protocol};

/// One direction.
#[derive(Clone, Debug, Default)]
pub(super) struct TextState {
    vlans: Vlans,
    macs: Vec<MacPair>,
    pad_octets: u64,
    max_iat: f32,
    avg_iat: f32,
    tcp_anomaly: u16,
    tcp_packets: u64,
    pub status: u64,
    last_ip_id: u32,
    /// The last fragmented datagram that began in this flow.
    waiting: Option<Waiting>,
}

impl TextState {
    /// Takes a packet into account; `packets` includes it, `last_ns` is the time of the one before.
    pub(super) fn packet(&mut self, packet: &Packet, packets: u64, last_ns: i64) {
        self.status |= packet.status;
        self.pad_octets += u64::from(packet.pad_octets);
        if packets == 1 {
            self.vlans = packet.vlans;
        } else {
            if packet.ts_ns < last_ns {
                self.status |= status::TIME_JUMP;
            }
            self.inter_arrival(last_ns, packet.ts_ns, packets);
        }
        // From the third packet on, as in Tranalyzer.
        if packets > 2
            && packet.family == Family::V4
            && packet.fragment == Fragment::Whole
            && packet.ip_id != 0
            && packet.ip_id == self.last_ip_id
        {
            self.status |= status::SAME_IP_ID;
        }
        self.last_ip_id = packet.ip_id;
        self.tcp_packets += u64::from(packet.tcp.present);
        let cut = packet.status & (status::L4_SNAPPED | status::L3_SNAPPED) == status::L4_SNAPPED;
        if packet.protocol == protocol::TCP && cut {
            self.tcp_anomaly |= anomaly::HEADER_CUT;
        }
        if packet.has_macs {
            self.count_macs(packet);
        }
    }

    /// In single precision like Tranalyzer, whole seconds and fraction apart. A clock that ran back counts as 0.
    fn inter_arrival(&mut self, last_ns: i64, now_ns: i64, packets: u64) {
        const SECOND: i64 = 1_000_000_000;
        let seconds = if now_ns > last_ns {
            let mut whole = now_ns.div_euclid(SECOND) - last_ns.div_euclid(SECOND);
            let mut fraction = (now_ns.rem_euclid(SECOND) - last_ns.rem_euclid(SECOND)) as f32;
            if fraction < 0.0 {
                whole -= 1;
                fraction += SECOND as f32;
            }
            whole as f32 + fraction / SECOND as f32
        } else {
            0.0
        };
        self.max_iat = self.max_iat.max(seconds);
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

    /// A fragmented datagram begins.
    pub(super) fn datagram(&mut self, waiting: Waiting, fragments: &Fragments) {
        if self.waits(fragments) {
            self.status |= status::FRAGMENTS_INTERLEAVED | status::FRAGMENTS_UNFINISHED;
        }
        self.waiting = Some(waiting);
    }

    /// Whether its last fragmented datagram is not complete.
    pub(super) fn waits(&self, fragments: &Fragments) -> bool {
        self.waiting
            .is_some_and(|waiting| fragments.waits(&waiting))
    }

    /// A SYN was sent again.
    pub(super) fn syn_retry(&mut self) {
        self.tcp_anomaly |= anomaly::SYN_RETRY;
    }

    /// Marks a pair that looks like a scan: `first` is printed first and decides, `flags` are those of both.
    pub(super) fn mark_scan(first: &mut TextState, second: &mut TextState, flags: [u16; 2]) {
        let [first_flags, second_flags] = flags;
        let answered = first.tcp_packets > 0 && second.tcp_packets > 0;
        let success = if answered { anomaly::SCAN_ANSWERED } else { 0 };
        let retry = (first.tcp_anomaly | second.tcp_anomaly) & anomaly::SYN_RETRY != 0;
        if retry {
            // Somebody who waits for an answer.
        } else if is_scan(first.tcp_packets, first_flags) {
            first.tcp_anomaly |= anomaly::SCAN | success;
            second.tcp_anomaly |= success;
        } else if is_scan(second.tcp_packets, second_flags) {
            second.tcp_anomaly |= anomaly::SCAN | success;
        }
    }

    /// What is printed at the end.
    pub(super) fn features(&mut self) -> TextFeatures {
        TextFeatures {
            vlans: self.vlans,
            mac_pairs: std::mem::take(&mut self.macs),
            pad_octets: self.pad_octets,
            max_iat: self.max_iat,
            avg_iat: self.avg_iat,
            tcp_anomaly: self.tcp_anomaly,
        }
    }
}
