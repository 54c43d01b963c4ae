//! Counters of flows by key, filled by several threads: what statistics and aggregations are made of.
//!
//! The table is cut into shards, each behind a lock of its own. A thread gathers what it has for each shard and delivers it
//! together: locks are taken rarely, and the memory accesses of one delivery overlap. What comes out does not depend on
//! which thread was faster: sums have no order, and every flow says when it was [seen](Flow::seen).

mod arena;
pub mod key;
mod shard;

use crate::{output::row::Counters, stat::Cut};
use foldhash::fast::RandomState;
use key::{Key, KeyBuffer};
use shard::{Item, Row, Shard};
use std::{
    cmp::Ordering,
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A power of two, and enough that threads rarely meet.
const SHARDS: usize = 64;
/// Flows that are delivered together.
const DELIVERY: usize = 64;

/// A flow to be added to its group.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// What tells groups apart, at most 32,767 bytes; longer ones are cut.
    pub key: Key<'a>,
    /// It goes the other way than the key says.
    pub turned: bool,
    /// Its counters.
    pub counters: &'a Counters,
    /// Its TCP flags.
    pub tcp_flags: u8,
    /// When it was seen: smaller is earlier.
    pub seen: u64,
    /// Its record, of which the group keeps the first.
    pub record: Option<&'a [u8]>,
}

/// What is known of a group.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    row: &'a Row,
    shard: &'a Shard,
}

impl<'a> Group<'a> {
    /// The key of its flows.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.shard.key(self.row)
    }

    /// Its first flow goes the other way than the key says; so do its counters.
    #[must_use]
    pub fn turned(&self) -> bool {
        self.row.turned()
    }

    /// The sum of its flows, in the direction of the first.
    #[must_use]
    pub fn counters(&self) -> &'a Counters {
        &self.row.counters
    }

    /// TCP flags of the first flow's direction.
    #[must_use]
    pub fn tcp_flags(&self) -> u8 {
        self.row.tcp_flags
    }

    /// TCP flags of the opposite direction.
    #[must_use]
    pub fn reverse_flags(&self) -> u8 {
        self.row.reverse_flags
    }

    /// When its first flow was seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.row.seen
    }

    /// The record of its first flow, if it was given.
    #[must_use]
    pub fn record(&self) -> Option<&'a [u8]> {
        self.shard.record(self.row)
    }
}

/// The table.
pub struct Groups {
    shards: Vec<Mutex<Shard>>,
    state: RandomState,
    /// Every flow is a group of its own, whatever its key.
    single: bool,
}

/// What a thread has gathered for a table, and room to make keys in.
#[derive(Default)]
pub struct Gathered {
    /// For the caller: not used here.
    pub key: KeyBuffer,
    /// What is to be delivered.
    pub boxes: Boxes,
}

/// Flows on their way, a box for each shard.
pub struct Boxes(Vec<DeliveryBox>);

#[derive(Default)]
struct DeliveryBox {
    items: Vec<Item>,
    /// Long keys and records of the items.
    bytes: Vec<u8>,
}

impl Default for Boxes {
    fn default() -> Self {
        let mut boxes = Vec::new();
        boxes.resize_with(SHARDS, DeliveryBox::default);
        Self(boxes)
    }
}

impl Groups {
    /// An empty table; `single` if every flow is a group of its own.
    #[must_use]
    pub fn new(single: bool) -> Self {
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, Mutex::default);
        Self {
            shards,
            state: RandomState::default(),
            single,
        }
    }

    /// Adds a flow, sooner or later: at the latest with [`Self::deliver`].
    #[inline]
    pub fn add(&self, boxes: &mut Boxes, flow: &Flow<'_>) {
        let hash = hash(&self.state, flow.key);
        // The index of a shard uses the lowest and the highest bits.
        let number = (hash >> 40) as usize % SHARDS;
        let Some(DeliveryBox { items, bytes }) = boxes.0.get_mut(number) else {
            return;
        };
        items.push(Item::new(hash, flow, bytes));
        if items.len() >= DELIVERY {
            self.deliver_to(number, items, bytes);
        }
    }

    /// Adds all that a thread has gathered.
    pub fn deliver(&self, gathered: &mut Gathered) {
        for (number, DeliveryBox { items, bytes }) in gathered.boxes.0.iter_mut().enumerate() {
            self.deliver_to(number, items, bytes);
        }
    }

    fn deliver_to(&self, number: usize, items: &mut Vec<Item>, bytes: &mut Vec<u8>) {
        if let (Some(shard), false) = (self.shards.get(number), items.is_empty()) {
            let mut shard = lock(shard);
            if self.single {
                shard.take_single(items, bytes);
            } else {
                shard.take(items, bytes, &self.state);
            }
        }
        items.clear();
        bytes.clear();
    }

    /// The table as it is; nothing can be added meanwhile.
    #[must_use]
    pub fn read(&self) -> Filled<'_> {
        Filled {
            shards: self.shards.iter().map(lock).collect(),
        }
    }
}

#[inline]
fn hash(state: &RandomState, key: Key<'_>) -> u64 {
    match key {
        Key::Short(bytes, _) => state.hash_one(u128::from_le_bytes(*bytes)),
        Key::Long(bytes) => state.hash_one(bytes),
    }
}

/// Nothing that panics leaves a shard in disorder.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a group is in the table.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    shard: u32,
    row: u32,
}

/// A table that is being read.
pub struct Filled<'t> {
    shards: Vec<MutexGuard<'t, Shard>>,
}

impl Filled<'_> {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// True without any group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The group at a place.
    #[must_use]
    pub fn group(&self, place: Place) -> Option<Group<'_>> {
        let shard = self.shards.get(place.shard as usize)?;
        let row = shard.row(place.row)?;
        Some(Group { row, shard })
    }

    /// The groups that a cut leaves, in their order: by what `value` says (groups without are left out), equal ones by `tie`.
    pub fn sorted(
        &self,
        cut: Cut,
        value: impl Fn(&Group<'_>) -> Option<u64>,
        tie: impl Fn(&Group<'_>, &Group<'_>) -> Ordering,
    ) -> Vec<Place> {
        let compare = |a: &(u64, Place), b: &(u64, Place)| {
            let by_value = match cut.ascending {
                true => a.0.cmp(&b.0),
                false => b.0.cmp(&a.0),
            };
            by_value.then_with(|| match (self.group(a.1), self.group(b.1)) {
                (Some(a), Some(b)) => tie(&a, &b),
                _ => Ordering::Equal,
            })
        };
        let room = match cut.top {
            0 => usize::MAX,
            top => top.saturating_mul(2).max(DELIVERY),
        };
        let mut rows: Vec<(u64, Place)> = Vec::new();
        // What is behind this value is out.
        let mut bound = None;
        for (shard_number, shard) in (0u32..).zip(&self.shards) {
            for (row_number, row) in (0u32..).zip(shard.rows()) {
                let Some(value) = value(&Group { row, shard }) else {
                    continue;
                };
                if bound.is_some_and(|bound| match cut.ascending {
                    true => value > bound,
                    false => value < bound,
                }) {
                    continue;
                }
                let place = Place {
                    shard: shard_number,
                    row: row_number,
                };
                rows.push((value, place));
                if rows.len() >= room {
                    rows.select_nth_unstable_by(cut.top - 1, compare);
                    rows.truncate(cut.top);
                    bound = rows.last().map(|last| last.0);
                }
            }
        }
        rows.sort_unstable_by(compare);
        if cut.top > 0 {
            rows.truncate(cut.top);
        }
        rows.into_iter().map(|(_, place)| place).collect()
    }
}

#[cfg(test)]
mod tests;
