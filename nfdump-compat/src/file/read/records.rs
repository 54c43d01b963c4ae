//! A block's records, and whether they fill it.

use crate::file::{FileErrorKind, layout2};

/// A record of any type in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Record type, [`crate::record::V3_RECORD`] for flows.
    pub record_type: u16,
    /// The record with its header.
    pub bytes: &'a [u8],
}

/// A block of records, decompressed and checked: the records fill it exactly.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    number: u32,
    offset: u64,
    size: usize,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    pub(super) fn new(number: u32, offset: u64, size: usize, data: &'a [u8]) -> Self {
        Self {
            number,
            offset,
            size,
            data,
        }
    }

    /// Its number in the file, the first is 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where its header lies in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of its payload in the file's own layout, decompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The raw records.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.data }
    }
}

/// The records of a block.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = RawRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawRecord<'a>> {
        let size = layout2::record_size(self.rest)?;
        let (bytes, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(RawRecord {
            record_type: layout2::record_type(bytes),
            bytes,
        })
    }
}

/// The whole records at the start of a block, and what is wrong with it, if its header `said` that many.
pub(super) fn whole_records(data: &[u8], block: u32, said: u32) -> (&[u8], Option<FileErrorKind>) {
    let mut records = Records { rest: data };
    let found = records.by_ref().fold(0u32, |n, _| n.saturating_add(1));
    let (whole, rest) = data.split_at(data.len() - records.rest.len());
    (whole, chain_fault(rest, block, said, found))
}

fn chain_fault(rest: &[u8], block: u32, said: u32, found: u32) -> Option<FileErrorKind> {
    if !rest.is_empty() {
        let size = rest
            .get(2..4)
            .map_or(0, |b| usize::from(layout2::record_type(b)));
        return Some(FileErrorKind::RecordSize {
            block,
            record: found.saturating_add(1),
            size,
            left: rest.len(),
        });
    }
    (said != found).then_some(FileErrorKind::RecordCount { block, said, found })
}

pub(super) fn is_appendix(data: &[u8]) -> bool {
    matches!(
        layout2::record_type(data),
        layout2::IDENT_RECORD | layout2::STAT_RECORD
    )
}
