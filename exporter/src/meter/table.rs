//! The pairs in memory: an index by key over a slab, and what is kept of each pair.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::key::Key;
use super::tcp_states::{Connection, Side};
use super::text::TextState;
use super::{MacPair, Metric, Octets};
use crate::dissect::{Labels, Packet};

/// Time-outs in nanoseconds, by [`State`](super::tcp_states::State).
pub(super) type Timeouts = [i64; 6];

/// One direction, as every packet of it needs it: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Direction {
    pub last_ns: i64,
    /// The meter's count of packets at the last one: the order of use.
    pub last_serial: u64,
    pub packets: u64,
    pub l7_total: u64,
    /// Under the meter's other metric.
    pub wide_total: u64,
    pub l7_min: u32,
    pub l7_max: u32,
    pub wide_min: u32,
    pub wide_max: u32,
    pub tcp_flags: u16,
    pub tos: u8,
    pub min_ttl: u8,
    pub max_ttl: u8,
    pub side: Side,
}

impl Default for Direction {
    fn default() -> Self {
        Direction {
            last_ns: i64::MIN,
            last_serial: 0,
            packets: 0,
            l7_total: 0,
            wide_total: 0,
            l7_min: u32::MAX,
            l7_max: 0,
            wide_min: u32::MAX,
            wide_max: 0,
            tcp_flags: 0,
            tos: 0,
            min_ttl: u8::MAX,
            max_ttl: 0,
            side: Side::default(),
        }
    }
}

impl Direction {
    /// Counts a packet; its use and its TCP flags are the meter's.
    #[inline]
    pub(super) fn count(&mut self, packet: &Packet, wide: Metric) {
        let wide_octets = wide.octets(packet);
        self.packets += 1;
        self.last_ns = self.last_ns.max(packet.ts_ns);
        self.l7_total += u64::from(packet.l7_octets);
        self.wide_total += u64::from(wide_octets);
        self.l7_min = self.l7_min.min(packet.l7_octets);
        self.l7_max = self.l7_max.max(packet.l7_octets);
        self.wide_min = self.wide_min.min(wide_octets);
        self.wide_max = self.wide_max.max(wide_octets);
        self.tos |= packet.tos;
        self.min_ttl = self.min_ttl.min(packet.ttl);
        self.max_ttl = self.max_ttl.max(packet.ttl);
    }

    pub(super) fn l7(&self) -> Octets {
        Octets {
            total: self.l7_total,
            min: self.l7_min,
            max: self.l7_max,
        }
    }

    pub(super) fn wide(&self) -> Octets {
        Octets {
            total: self.wide_total,
            min: self.wide_min,
            max: self.wide_max,
        }
    }
}

/// Both directions of a conversation: what they share is one cache line, each direction another.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Pair {
    pub key: Key,
    /// T2's flowInd; 0 = no pair is here.
    pub index: u64,
    /// The ticket of its latest entry in the wheel.
    pub ticket: u32,
    pub connection: Connection,
    pub directions: [Direction; 2],
}

impl Pair {
    /// Whether this direction is the inverted one (B), or would be.
    pub(super) fn inverted(&self, direction: usize) -> bool {
        usize::from(self.connection.responder) == direction
    }

    /// The directions with packets: time-out, when it is over, last use.
    fn dues(&self, timeouts_ns: &Timeouts) -> impl Iterator<Item = (i64, i64, u64)> {
        self.directions
            .iter()
            .filter(|direction| direction.packets > 0)
            .map(|direction| {
                let timeout_ns = timeouts_ns
                    .get(direction.side.state as usize)
                    .copied()
                    .unwrap_or(0);
                (
                    timeout_ns,
                    direction.last_ns.saturating_add(timeout_ns),
                    direction.last_serial,
                )
            })
    }

    /// When both directions are past their time-outs.
    pub(super) fn due(&self, timeouts_ns: &Timeouts) -> i64 {
        self.dues(timeouts_ns)
            .map(|(_, due_ns, _)| due_ns)
            .max()
            .unwrap_or(i64::MIN)
    }

    /// The place among the pairs released at one packet: that of the direction that Tranalyzer comes across
    /// first. It looks at the longest time-out first and in it at the least recently used flow first, once at
    /// each; a direction that was due at the packet before, at `before_ns`, has been looked at already.
    pub(super) fn rank(&self, timeouts_ns: &Timeouts, before_ns: i64) -> (Reverse<i64>, u64) {
        let rank = |(timeout_ns, _, serial)| (Reverse(timeout_ns), serial);
        self.dues(timeouts_ns)
            .filter(|(_, due_ns, _)| *due_ns > before_ns)
            .map(rank)
            .min()
            .or_else(|| self.dues(timeouts_ns).map(rank).max())
            .unwrap_or_default()
    }

    /// When it was used last, by the direction that was used less recently.
    pub(super) fn last_use(&self) -> u64 {
        self.directions
            .iter()
            .filter(|direction| direction.packets > 0)
            .map(|direction| direction.last_serial)
            .min()
            .unwrap_or(0)
    }
}

/// One direction, as the sinks need it beside the counts: another cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct ColdDirection {
    pub first_ns: i64,
    pub macs: [CountedMacs; 2],
    pub icmp_type_code: u16,
    pub vlan_tci: Option<u16>,
    pub ether_type: u16,
    pub labels: Labels,
}

impl ColdDirection {
    /// Counts the MAC pair of a packet, if it is one of the first two.
    #[inline]
    pub(super) fn count_macs(&mut self, packet: &Packet) {
        for macs in &mut self.macs {
            if macs.packets == 0 {
                macs.src = packet.src_mac;
                macs.dst = packet.dst_mac;
            }
            if macs.src == packet.src_mac && macs.dst == packet.dst_mac {
                macs.packets = macs.packets.saturating_add(1);
                return;
            }
        }
    }
}

/// A MAC pair; none while `packets` is 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CountedMacs {
    pub src: [u8; 6],
    pub dst: [u8; 6],
    pub packets: u32,
}

impl From<CountedMacs> for MacPair {
    fn from(macs: CountedMacs) -> Self {
        MacPair {
            src: macs.src,
            dst: macs.dst,
            packets: u64::from(macs.packets),
        }
    }
}

/// The rest of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cold {
    pub directions: [ColdDirection; 2],
    /// The wheel looks at the pair at this time or earlier.
    pub filed_ns: i64,
}

/// All pairs.
#[derive(Debug)]
pub(super) struct Table {
    index: HashTable<u32>,
    state: RandomState,
    pub pairs: Vec<Pair>,
    pub cold: Vec<Cold>,
    /// Empty unless text features are kept.
    pub text: Vec<[TextState; 2]>,
    keep_text: bool,
    free: Vec<u32>,
}

impl Table {
    pub(super) fn new(keep_text: bool) -> Self {
        Table {
            index: HashTable::new(),
            state: RandomState::default(),
            pairs: Vec::new(),
            cold: Vec::new(),
            text: Vec::new(),
            keep_text,
            free: Vec::new(),
        }
    }

    pub(super) fn hash(&self, key: &Key) -> u64 {
        key.hash(&self.state)
    }

    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index
            .find(hash, |id| {
                self.pairs
                    .get(*id as usize)
                    .is_some_and(|pair| pair.key == *key)
            })
            .copied()
    }

    /// The place of a pair with probably this hash, without looking at the pair.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |_| true).copied()
    }

    /// Whether the pair with this key is at that place.
    pub(super) fn is_at(&self, id: u32, key: &Key) -> bool {
        self.pairs
            .get(id as usize)
            .is_some_and(|pair| pair.key == *key && pair.index != 0)
    }

    /// Reads something of each cache line that a packet in this direction will need. The value means nothing.
    #[inline]
    pub(super) fn touch(&self, id: u32, direction: usize) -> Option<u64> {
        let at = id as usize;
        let pair = self.pairs.get(at)?;
        let hot = pair.directions.get(direction)?;
        let cold = self.cold.get(at)?.directions.get(direction)?;
        let text = self.text.get(at).and_then(|text| text.get(direction));
        let text = text.map_or(0, TextState::touch);
        Some(pair.index ^ hot.packets ^ u64::from(cold.ether_type) ^ text)
    }

    /// Adds a pair; its key must not be there.
    pub(super) fn insert(&mut self, hash: u64, pair: Pair) -> u32 {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = self.pairs.len() as u32;
                self.pairs.push(Pair::default());
                self.cold.push(Cold::default());
                if self.keep_text {
                    self.text.push(Default::default());
                }
                id
            }
        };
        let at = id as usize;
        if let (Some(slot), Some(cold_slot)) = (self.pairs.get_mut(at), self.cold.get_mut(at)) {
            // Tickets go on counting: entries of the slot's former pair stay stale.
            *slot = Pair {
                ticket: slot.ticket.wrapping_add(1),
                ..pair
            };
            *cold_slot = Cold {
                filed_ns: i64::MAX,
                ..Cold::default()
            };
        }
        if let Some(text) = self.text.get_mut(at) {
            *text = Default::default();
        }
        let Table {
            index,
            pairs,
            state,
            ..
        } = self;
        index.insert_unique(hash, id, |id| {
            pairs
                .get(*id as usize)
                .map_or(0, |pair| pair.key.hash(state))
        });
        id
    }

    /// Takes a pair out of the index; its data stay until the place is used again.
    pub(super) fn remove(&mut self, id: u32) {
        let Some(pair) = self.pairs.get_mut(id as usize) else {
            return;
        };
        let hash = pair.key.hash(&self.state);
        pair.ticket = pair.ticket.wrapping_add(1);
        pair.index = 0;
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
            self.free.push(id);
        }
    }

    /// The text features of a direction, if they are kept.
    pub(super) fn text_of(&mut self, id: u32, direction: usize) -> Option<&mut TextState> {
        self.text.get_mut(id as usize)?.get_mut(direction)
    }

    /// The places of all pairs, in no order that means anything.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cold, Pair};

    #[test]
    fn a_pair_has_three_cache_lines() {
        assert_eq!(size_of::<Pair>(), 3 * 64);
        assert_eq!(size_of::<Cold>(), 3 * 64);
    }
}
