//! Datagrams put together from IP fragments, a bounded number at a time.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::network::{Fragment, IpPacket};

/// So many datagrams are worked on at a time: 4 MiB at most.
const MOST: usize = 64;

/// A datagram is given up when its pieces take longer (RFC 791 and 8200 wait for 15 to 60 s).
const PATIENCE_MS: u64 = 30_000;

/// The largest IP payload.
const LARGEST: usize = 65_535;

#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<(IpAddr, IpAddr, u32), Partial, RandomState>,
}

#[derive(Debug, Default)]
struct Partial {
    begun_ms: u64,
    octets: Vec<u8>,
    /// What is there, as ranges in ascending order that do not touch.
    ranges: Vec<(usize, usize)>,
    /// Known once the last piece is there.
    total: Option<usize>,
    pieces: u32,
}

impl Fragments {
    /// Takes one piece; gives the whole payload and the number of its pieces when it is complete. `given_up` counts
    /// datagrams that will not be.
    pub(super) fn add(
        &mut self,
        now_ms: u64,
        packet: &IpPacket<'_>,
        fragment: Fragment,
        given_up: &mut u64,
    ) -> Option<(Vec<u8>, u32)> {
        let end = fragment.offset + packet.payload.len();
        if packet.missing > 0 || end > LARGEST {
            return None;
        }
        let key = (packet.source, packet.target, fragment.id);
        if !self.datagrams.contains_key(&key) {
            self.make_room(now_ms, given_up);
        }
        let partial = self.datagrams.entry(key).or_insert_with(|| Partial {
            begun_ms: now_ms,
            ..Partial::default()
        });
        partial.add(packet.payload, fragment.offset, end);
        if !fragment.more {
            partial.total = Some(end);
        }
        if partial
            .total
            .is_some_and(|total| partial.ranges == [(0, total)])
        {
            let whole = self.datagrams.remove(&key)?;
            return Some((whole.octets, whole.pieces));
        }
        None
    }

    /// Datagrams that are not complete.
    pub(super) fn waiting(&self) -> u64 {
        self.datagrams.len() as u64
    }

    fn make_room(&mut self, now_ms: u64, given_up: &mut u64) {
        if self.datagrams.len() < MOST {
            return;
        }
        let before = self.datagrams.len();
        self.datagrams
            .retain(|_, partial| now_ms.saturating_sub(partial.begun_ms) <= PATIENCE_MS);
        if self.datagrams.len() >= MOST {
            let oldest = self
                .datagrams
                .iter()
                .min_by_key(|(key, partial)| (partial.begun_ms, **key))
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.datagrams.remove(&oldest);
            }
        }
        *given_up += (before - self.datagrams.len()) as u64;
    }
}

impl Partial {
    fn add(&mut self, payload: &[u8], start: usize, end: usize) {
        self.pieces += 1;
        if self.octets.len() < end {
            self.octets.resize(end, 0);
        }
        if let Some(place) = self.octets.get_mut(start..end) {
            place.copy_from_slice(payload);
        }
        self.ranges.push((start, end));
        self.ranges.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(self.ranges.len());
        for &(start, end) in &self.ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        self.ranges = merged;
    }
}
