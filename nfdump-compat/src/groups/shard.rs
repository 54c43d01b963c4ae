//! One part of the table: rows that never move, and an index of them by the hash of their keys.

use super::{
    DELIVERY, Flow,
    arena::{Arena, At, push_aligned},
    hash,
    key::{Key, SHORT},
};
use crate::output::row::Counters;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Rows of a piece.
const PIECE: usize = 1024;
/// The row's first flow goes the other way than its key says.
const TURNED: u16 = 0x8000;

/// A group of flows: 88 bytes.
#[derive(Clone, Copy)]
pub struct Row {
    /// The key, or where it lies.
    key: [u8; SHORT],
    pub seen: u64,
    pub counters: Counters,
    record: At,
    /// Length of the key, and [`TURNED`].
    length: u16,
    pub tcp_flags: u8,
    pub reverse_flags: u8,
}

impl Row {
    pub fn turned(&self) -> bool {
        self.length & TURNED != 0
    }

    fn key_length(&self) -> usize {
        usize::from(self.length & !TURNED)
    }

    /// The key, if it lies in the row.
    fn inline_key(&self) -> Option<&[u8]> {
        self.key.get(..self.key_length())
    }

    /// Where a long key lies.
    fn key_at(&self) -> At {
        let [a, b, c, d, ..] = self.key;
        At(u32::from_le_bytes([a, b, c, d]))
    }

    fn set_key_at(&mut self, at: At) {
        if let Some(place) = self.key.first_chunk_mut() {
            *place = at.0.to_le_bytes();
        }
    }

    /// Takes in another flow, or group, of the same key.
    fn add(&mut self, other: &Self) {
        if other.turned() == self.turned() {
            self.counters.add(&other.counters);
            self.tcp_flags |= other.tcp_flags;
            self.reverse_flags |= other.reverse_flags;
        } else {
            self.counters.add(&other.counters.reversed());
            self.tcp_flags |= other.reverse_flags;
            self.reverse_flags |= other.tcp_flags;
        }
    }

    /// Turns it around.
    fn turn(&mut self) {
        self.length ^= TURNED;
        self.counters = self.counters.reversed();
        std::mem::swap(&mut self.tcp_flags, &mut self.reverse_flags);
    }
}

/// A flow on its way into a shard; a long key and the record lie in bytes that go with it.
pub struct Item {
    hash: u64,
    row: Row,
}

impl Item {
    #[inline]
    pub fn new(hash: u64, flow: &Flow<'_>, bytes: &mut Vec<u8>) -> Self {
        let (key, length) = match flow.key {
            Key::Short(key, length) => (*key, u16::from(length)),
            Key::Long(key) => ([0; SHORT], key.len().min(usize::from(!TURNED)) as u16),
        };
        let mut row = Row {
            key,
            seen: flow.seen,
            counters: *flow.counters,
            record: At::NONE,
            length: length | if flow.turned { TURNED } else { 0 },
            tcp_flags: flow.tcp_flags,
            reverse_flags: 0,
        };
        if let Key::Long(key) = flow.key {
            row.set_key_at(At::of_offset(bytes.len()));
            push_aligned(bytes, key.get(..usize::from(length)).unwrap_or_default());
        }
        if let Some(record) = flow.record {
            row.record = At::of_offset(bytes.len());
            push_aligned(bytes, record);
        }
        Self { hash, row }
    }
}

#[derive(Default)]
pub struct Shard {
    index: HashTable<u32>,
    /// All pieces but the last are full.
    rows: Vec<Vec<Row>>,
    /// Long keys.
    keys: Arena,
    records: Arena,
}

impl Shard {
    pub fn len(&self) -> usize {
        match self.rows.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().flatten()
    }

    #[inline]
    pub fn row(&self, number: u32) -> Option<&Row> {
        let number = number as usize;
        self.rows.get(number / PIECE)?.get(number % PIECE)
    }

    fn row_mut(&mut self, number: u32) -> Option<&mut Row> {
        let number = number as usize;
        self.rows.get_mut(number / PIECE)?.get_mut(number % PIECE)
    }

    #[inline]
    pub fn key<'a>(&'a self, row: &'a Row) -> &'a [u8] {
        row.inline_key().unwrap_or_else(|| {
            let bytes = self.keys.from(row.key_at());
            bytes.get(..row.key_length()).unwrap_or_default()
        })
    }

    fn key_of<'a>(&'a self, row: &'a Row) -> Key<'a> {
        match row.key_length() {
            length @ 0..=SHORT => Key::Short(&row.key, length as u8),
            _ => Key::Long(self.key(row)),
        }
    }

    pub fn record<'a>(&'a self, row: &'a Row) -> Option<&'a [u8]> {
        record_at(self.records.from(row.record))
    }

    /// Every flow becomes a row.
    pub fn take_single(&mut self, items: &[Item], bytes: &[u8]) {
        for item in items {
            self.push(item, bytes);
        }
    }

    /// Every flow is added to the row of its key.
    pub fn take(&mut self, items: &[Item], bytes: &[u8], state: &RandomState) {
        // First all are looked for, so that the waits for memory overlap.
        let mut found = [None; DELIVERY];
        for (place, item) in found.iter_mut().zip(items) {
            *place = self.find(item, bytes);
        }
        for (item, found) in items.iter().zip(found) {
            match found.or_else(|| self.find(item, bytes)) {
                Some(number) => self.add(number, item, bytes),
                None => self.insert(item, bytes, state),
            }
        }
    }

    #[inline]
    fn find(&self, item: &Item, bytes: &[u8]) -> Option<u32> {
        let equal = |number: &u32| {
            self.row(*number).is_some_and(|row| {
                let same = (row.length ^ item.row.length) & !TURNED == 0;
                let inline = item.row.key_length() <= SHORT;
                same && if inline {
                    row.key == item.row.key
                } else {
                    self.key(row) == item_key(item, bytes)
                }
            })
        };
        self.index.find(item.hash, equal).copied()
    }

    #[inline]
    fn add(&mut self, number: u32, item: &Item, bytes: &[u8]) {
        let record = record_of(item, bytes);
        let Some(row) = self.row_mut(number) else {
            return;
        };
        row.add(&item.row);
        if item.row.seen < row.seen {
            // Another thread was ahead with a later flow.
            row.seen = item.row.seen;
            if row.turned() != item.row.turned() {
                row.turn();
            }
            if let Some(record) = record {
                let at = self.records.keep(record);
                if let Some(row) = self.row_mut(number) {
                    row.record = at;
                }
            }
        }
    }

    fn insert(&mut self, item: &Item, bytes: &[u8], state: &RandomState) {
        let Some(number) = self.push(item, bytes) else {
            return;
        };
        if self.index.len() == self.index.capacity() {
            self.grow(state);
        } else {
            self.index.insert_unique(item.hash, number, |_| 0);
        }
    }

    /// Makes the index anew, twice as large: in the order of the rows, which is faster than in that of the hashes.
    fn grow(&mut self, state: &RandomState) {
        let mut index = HashTable::with_capacity(self.index.capacity().saturating_mul(2).max(16));
        for (number, row) in (0u32..).zip(self.rows()) {
            index.insert_unique(hash(state, self.key_of(row)), number, |_| 0);
        }
        self.index = index;
    }

    /// Appends a row and returns its number; none if there are too many.
    fn push(&mut self, item: &Item, bytes: &[u8]) -> Option<u32> {
        let number = u32::try_from(self.len()).ok()?;
        let mut row = item.row;
        if row.inline_key().is_none() {
            let at = self.keys.keep(item_key(item, bytes));
            row.set_key_at(at);
        }
        row.record = match record_of(item, bytes) {
            Some(record) => self.records.keep(record),
            None => At::NONE,
        };
        if self.rows.last().is_none_or(|last| last.len() == PIECE) {
            self.rows.push(Vec::with_capacity(PIECE));
        }
        self.rows.last_mut()?.push(row);
        Some(number)
    }
}

/// The long key of a flow.
fn item_key<'a>(item: &Item, bytes: &'a [u8]) -> &'a [u8] {
    let from = item.row.key_at().offset();
    bytes
        .get(from..from + item.row.key_length())
        .unwrap_or_default()
}

fn record_of<'a>(item: &Item, bytes: &'a [u8]) -> Option<&'a [u8]> {
    if item.row.record == At::NONE {
        return None;
    }
    record_at(bytes.get(item.row.record.offset()..)?)
}

/// The record at the beginning of the bytes: it says how long it is.
fn record_at(bytes: &[u8]) -> Option<&[u8]> {
    let &[_, _, low, high] = bytes.first_chunk()?;
    bytes.get(..usize::from(u16::from_le_bytes([low, high])))
}
