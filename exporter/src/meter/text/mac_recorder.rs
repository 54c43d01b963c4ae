//! The MAC pairs of a flow with their packets (Tranalyzer's macRecorder).

use crate::dissect::Packet;
use crate::meter::MacPair;

/// The most MAC pairs that are recorded for one direction.
pub const MAX_MAC_PAIRS: usize = 16;

/// The MAC pairs of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacRecord {
    /// In order of appearance, at most [`MAX_MAC_PAIRS`].
    pub pairs: Vec<MacPair>,
    /// There were more.
    pub overflow: bool,
}

impl MacRecord {
    pub(super) fn count(&mut self, packet: &Packet) {
        let known = self
            .pairs
            .iter_mut()
            .find(|pair| pair.src == packet.src_mac && pair.dst == packet.dst_mac);
        if let Some(pair) = known {
            pair.packets += 1;
        } else if self.pairs.len() < MAX_MAC_PAIRS {
            self.pairs.push(MacPair {
                src: packet.src_mac,
                dst: packet.dst_mac,
                packets: 1,
            });
        } else {
            self.overflow = true;
        }
    }
}
