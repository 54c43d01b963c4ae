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

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Entry>>,
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
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
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
        for entries in &mut self.slots {
            entries.retain(&keep);
            entries.shrink_to(entries.len() * 2);
        }
        self.near.retain(|Reverse(entry)| keep(entry));
        self.len = self.near.len() + self.slots.iter().map(Vec::len).sum::<usize>();
    }

    /// Files an entry.
    pub(super) fn file(&mut self, entry: Entry) {
        self.len += 1;
        let slot = entry.due_ns.div_euclid(SLOT_NS);
        match self.current {
            Some(current) if slot > current => {
                // An entry beyond the horizon is looked at in the last slot and filed anew.
                let slot = slot.min(current + SLOTS - 1);
                if let Some(entries) = self.slots.get_mut(slot.rem_euclid(SLOTS) as usize) {
                    entries.push(entry);
                }
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

    /// Takes the entries of all slots up to `to` into the heap.
    fn turn(&mut self, from: i64, to: i64) {
        self.current = Some(to);
        for slot in from + 1..=to.min(from + SLOTS) {
            if let Some(entries) = self.slots.get_mut(slot.rem_euclid(SLOTS) as usize) {
                self.near.extend(entries.drain(..).map(Reverse));
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

    #[test]
    fn a_clock_that_runs_back_waits() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop(100 * SECOND), None);
        wheel.file(entry(90 * SECOND));
        assert_eq!(wheel.pop(10 * SECOND), None);
        assert_eq!(wheel.pop(90 * SECOND), Some(entry(90 * SECOND)));
    }
}
