//! When pairs are looked at again: a timer wheel on packet time.
//!
//! A pair is filed under a time at which it may be due, not moved with every packet: when its time comes, it
//! is released or filed anew. Slots are 250 ms wide; what falls into the current one waits in a small heap, so
//! that pairs come out at the first packet that is late enough, not at the next tick.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds a slot.
const SLOT_NS: i64 = 250_000_000;

/// 1024 s: longer than the longest default time-out. Pairs due later are looked at after this time.
const SLOTS: i64 = 4096;

/// A pair under a time. It is stale if the pair has another ticket by now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    /// When it may be due.
    pub due_ns: i64,
    /// The pair's place in the table.
    pub id: u32,
    /// Tells whether the entry is the pair's latest.
    pub ticket: u32,
}

/// Ends a list of nodes.
const NONE: u32 = u32::MAX;

/// An entry in the list of its slot, or a place that is free.
#[derive(Clone, Copy, Debug)]
struct Node {
    entry: Entry,
    /// The next one of the same list.
    next: u32,
}

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first node of each slot. All slots share the nodes: a vector for each would keep room for the most that it
    /// ever had, and fill the memory slot by slot while the wheel turns for the first time.
    slots: Vec<u32>,
    nodes: Vec<Node>,
    /// The first free node.
    free: u32,
    /// The slot of the latest time seen; `None` before the first.
    current: Option<i64>,
    /// Entries of the current slot and earlier.
    near: BinaryHeap<Reverse<Entry>>,
    /// Nothing can be due before this time.
    next_ns: i64,
    /// Entries in all.
    len: usize,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Wheel {
            slots: vec![NONE; SLOTS as usize],
            nodes: Vec::new(),
            free: NONE,
            current: None,
            near: BinaryHeap::new(),
            next_ns: i64::MIN,
            len: 0,
        }
    }

    /// Whether [`pop`](Self::pop) might give something: the one comparison a packet costs.
    #[inline]
    pub(super) fn is_idle(&self, now_ns: i64) -> bool {
        now_ns < self.next_ns
    }

    /// Entries, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Drops the entries that are not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.near.retain(|Reverse(entry)| keep(entry));
        self.len = self.near.len();
        for slot in &mut self.slots {
            let mut at = std::mem::replace(slot, NONE);
            while let Some(node) = self.nodes.get_mut(at as usize) {
                let list = if keep(&node.entry) {
                    self.len += 1;
                    &mut *slot
                } else {
                    &mut self.free
                };
                let next = std::mem::replace(&mut node.next, *list);
                *list = at;
                at = next;
            }
        }
    }

    /// Files an entry.
    pub(super) fn file(&mut self, entry: Entry) {
        self.len += 1;
        let slot = entry.due_ns.div_euclid(SLOT_NS);
        match self.current {
            Some(current) if slot > current => {
                // An entry beyond the horizon is looked at in the last slot and filed anew.
                let slot = slot.min(current + SLOTS - 1);
                self.put(slot, entry);
            }
            _ => {
                self.near.push(Reverse(entry));
                self.next_ns = self.next_ns.min(entry.due_ns);
            }
        }
    }

    /// Moves the wheel to `now_ns` and hands out entries that are due, earliest first; `None` when there
    /// is none left.
    pub(super) fn pop(&mut self, now_ns: i64) -> Option<Entry> {
        let slot = now_ns.div_euclid(SLOT_NS);
        match self.current {
            Some(current) if slot > current => self.turn(current, slot),
            None => self.current = Some(slot),
            Some(_) => {}
        }
        match self.near.peek() {
            Some(Reverse(first)) if first.due_ns <= now_ns => {
                self.len -= 1;
                self.near.pop().map(|Reverse(entry)| entry)
            }
            first => {
                let end = self
                    .current
                    .map_or(i64::MIN, |slot| (slot + 1).saturating_mul(SLOT_NS));
                self.next_ns = first.map_or(end, |Reverse(first)| first.due_ns.min(end));
                None
            }
        }
    }

    /// Puts an entry into a slot, at a place that is free or new.
    fn put(&mut self, slot: i64, entry: Entry) {
        let Some(first) = self.slots.get_mut(slot.rem_euclid(SLOTS) as usize) else {
            return;
        };
        let node = Node {
            entry,
            next: *first,
        };
        match self.nodes.get_mut(self.free as usize) {
            Some(place) => {
                *first = self.free;
                self.free = place.next;
                *place = node;
            }
            None => {
                *first = self.nodes.len() as u32;
                self.nodes.push(node);
            }
        }
    }

    /// Takes the entries of all slots up to `to` into the heap.
    fn turn(&mut self, from: i64, to: i64) {
        self.current = Some(to);
        for slot in from + 1..=to.min(from + SLOTS) {
            let Some(first) = self.slots.get_mut(slot.rem_euclid(SLOTS) as usize) else {
                continue;
            };
            let mut at = std::mem::replace(first, NONE);
            while let Some(node) = self.nodes.get_mut(at as usize) {
                self.near.push(Reverse(node.entry));
                let next = std::mem::replace(&mut node.next, self.free);
                self.free = at;
                at = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn entry(due_ns: i64) -> Entry {
        Entry {
            due_ns,
            id: 0,
            ticket: 0,
        }
    }

    #[test]
    fn entries_come_out_when_due_and_in_order() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop(SECOND), None);
        for due in [
            SECOND + 1,
            3 * SECOND,
            2 * SECOND,
            SECOND / 2,
            2000 * SECOND,
        ] {
            wheel.file(entry(due));
        }
        assert_eq!(wheel.pop(SECOND), Some(entry(SECOND / 2)));
        assert_eq!(wheel.pop(SECOND), None);
        assert!(wheel.is_idle(SECOND) && !wheel.is_idle(SECOND + 1));
        assert_eq!(wheel.pop(SECOND + 1), Some(entry(SECOND + 1)));
        assert_eq!(wheel.pop(3 * SECOND), Some(entry(2 * SECOND)));
        assert_eq!(wheel.pop(3 * SECOND), Some(entry(3 * SECOND)));
        assert_eq!(wheel.pop(1999 * SECOND), None);
        assert_eq!(wheel.pop(i64::MAX / 2), Some(entry(2000 * SECOND)));
        assert_eq!(wheel.pop(i64::MAX / 2), None);
    }

    #[test]
    fn entries_are_counted_and_dropped() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop(0), None);
        (0..10).for_each(|at| wheel.file(entry(at * SECOND)));
        assert_eq!(wheel.len(), 10);
        wheel.retain(|entry| entry.due_ns >= 5 * SECOND);
        assert_eq!(wheel.len(), 5);
        assert_eq!(wheel.pop(5 * SECOND), Some(entry(5 * SECOND)));
        assert_eq!(wheel.len(), 4);
    }

    /// A hundred entries a second, each due ten seconds later: there are never more than 1100 (a second of them due, a
    /// slot of 250 ms early), in whatever slots they lie, through three turns of the wheel.
    #[test]
    fn a_wheel_that_turns_needs_no_more_room() {
        let mut wheel = Wheel::new();
        for at in 0..3 * 1024 * 100 {
            let now_ns = at * SECOND / 100;
            while wheel.pop(now_ns).is_some() {}
            wheel.file(entry(now_ns + 10 * SECOND));
        }
        assert_eq!(wheel.len(), 1000);
        assert!(wheel.nodes.len() <= 1100, "{}", wheel.nodes.len());
        assert!(wheel.near.capacity() <= 1100);
    }

    #[test]
    fn a_clock_that_runs_back_waits() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop(100 * SECOND), None);
        wheel.file(entry(90 * SECOND));
        assert_eq!(wheel.pop(10 * SECOND), None);
        assert_eq!(wheel.pop(90 * SECOND), Some(entry(90 * SECOND)));
    }
}
