//! Putting the records of one file into another, exporters renumbered where their numbers collide.

use std::fs;
use std::path::Path;

use super::layout2::{
    self, EXPORTER_RECORD, EXPORTER_STAT_RECORD, ExporterInfo, SAMPLER_RECORD, StatRecord,
};
use super::read::{Block, FileReader, RawRecord};
use super::write::{FileWriter, WriterOptions};
use super::{Compression, FileError, FileErrorKind};
use crate::record::{RecordView, V3_RECORD};

/// Exporter numbers of one file in another.
#[derive(Debug)]
pub struct Copier {
    /// New number by old number; 0 where the old file does not name the exporter.
    numbers: Vec<u16>,
    record: Vec<u8>,
}

impl Default for Copier {
    fn default() -> Self {
        Self::new()
    }
}

impl Copier {
    /// A copier for one file; each file to be copied needs its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            numbers: vec![0; usize::from(u16::MAX) + 1],
            record: Vec::new(),
        }
    }

    /// Copies a block. Flow records that cannot be parsed are left out and counted.
    pub(super) fn block(
        &mut self,
        block: &Block<'_>,
        to: &mut FileWriter,
    ) -> Result<u64, FileError> {
        let mut left_out = 0;
        for raw in block.records() {
            match raw.record_type {
                V3_RECORD if RecordView::parse(raw.bytes).is_ok() => {
                    to.record(self.renumbered(raw.bytes))?;
                }
                V3_RECORD => left_out += 1,
                EXPORTER_STAT_RECORD => self.statistics(raw.bytes, to)?,
                _ => self.other(&raw, to)?,
            }
        }
        Ok(left_out)
    }

    /// A flow record with the number that its exporter has in the new file.
    pub fn renumbered(&mut self, record: &[u8]) -> &[u8] {
        self.take(record);
        self.renumber(8);
        &self.record
    }

    /// Copies a record that is no flow and no statistic of exporters.
    fn other(&mut self, raw: &RawRecord<'_>, to: &mut FileWriter) -> Result<(), FileError> {
        if raw.record_type == EXPORTER_RECORD {
            return match ExporterInfo::parse(raw.bytes) {
                Some((old, info)) => self.exporter(old, &info, to),
                None => Ok(()),
            };
        }
        self.take(raw.bytes);
        if raw.record_type == SAMPLER_RECORD {
            self.renumber(4);
        }
        to.push(&self.record)
    }

    /// Copies a record that says where flows come from: an exporter, a sampler, a table of names.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn origin(&mut self, raw: &RawRecord<'_>, to: &mut FileWriter) -> Result<(), FileError> {
        match raw.record_type {
            EXPORTER_STAT_RECORD => Ok(()),
            _ => self.other(raw, to),
        }
    }

    fn statistics(&mut self, record: &[u8], to: &mut FileWriter) -> Result<(), FileError> {
        let failures = layout2::exporter_stats(record)
            .map(|s| u64::from(s.sequence_failures))
            .sum();
        to.add_sequence_failures(failures);
        self.take(record);
        for offset in (8..self.record.len()).step_by(24) {
            self.renumber(offset);
        }
        to.push(&self.record)
    }

    fn take(&mut self, record: &[u8]) {
        self.record.clear();
        self.record.extend_from_slice(record);
    }

    fn exporter(
        &mut self,
        old: u16,
        info: &ExporterInfo,
        to: &mut FileWriter,
    ) -> Result<(), FileError> {
        let new = to.exporter_as(info, old)?;
        if let Some(number) = self.numbers.get_mut(usize::from(old)) {
            *number = new;
        }
        Ok(())
    }

    /// Replaces the exporter number at an offset of the record; one that no exporter record named stays.
    fn renumber(&mut self, offset: usize) {
        let Some(place) = self
            .record
            .get_mut(offset..)
            .and_then(|rest| rest.first_chunk_mut())
        else {
            return;
        };
        match self.numbers.get(usize::from(u16::from_le_bytes(*place))) {
            None | Some(0) => {}
            Some(number) => *place = number.to_le_bytes(),
        }
    }
}

/// Writes a new file with the records of two: for a slot whose file is there already when the collector, started again
/// meanwhile, closes it. Source name, compression and creation time are those of the older one.
///
/// The two files are only read; the caller renames the new one over the older one and removes the newer one.
///
/// # Errors
/// One of the files is not whole, or the new one cannot be written: nothing is left of it.
pub fn merge(older: &Path, newer: &Path, target: &Path) -> Result<StatRecord, FileError> {
    let merged = merge_into(older, newer, target);
    if merged.is_err() {
        // It may not exist at all; the first error is the one to tell.
        let _ = fs::remove_file(target);
    }
    merged
}

fn merge_into(older: &Path, newer: &Path, target: &Path) -> Result<StatRecord, FileError> {
    let older = FileReader::open(older)?;
    let newer = FileReader::open(newer)?;
    let mut windows = Vec::new();
    let options = WriterOptions {
        ident: "none".to_owned(),
        compression: older.header().compression,
        created_s: older.header().created_s,
    };
    let mut writer = FileWriter::create(target, &options)?;
    writer.adopt_ident(older.ident().or(newer.ident()));
    for mut reader in [older, newer] {
        windows.extend(reader.stat().map(|s| (s.first_ms, s.last_ms)));
        let mut copier = Copier::new();
        while let Some(block) = reader.next_block()? {
            if copier.block(&block, &mut writer)? > 0 {
                let (offset, number) = (block.offset(), block.number());
                let kind = FileErrorKind::DamagedRecords { block: number };
                return Err(FileError::new(reader.path(), Some(offset), kind));
            }
        }
    }
    let first = windows.iter().map(|w| w.0).min().unwrap_or(0);
    let last = windows.iter().map(|w| w.1).max().unwrap_or(0);
    writer.finish((first, last), &[])
}

/// What [`change`] changes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The compression of its blocks.
    Compression(Compression),
    /// The name of its source.
    Ident(&'a str),
}

/// Writes a file anew with one thing changed; the new file then takes the old one's name. Creation time and totals stay.
///
/// # Errors
/// The file is not whole, or the new one cannot be written: the old one stays as it is.
pub fn change(path: &Path, what: Change<'_>) -> Result<(), FileError> {
    let mut name = std::ffi::OsString::from(".change.");
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    let changed = change_into(path, what, &beside).and_then(|()| {
        fs::rename(&beside, path)
            .map_err(|e| FileError::io(path, None, "rename the new file to", e))
    });
    if changed.is_err() {
        // It may not exist at all; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    changed
}

fn change_into(path: &Path, what: Change<'_>, beside: &Path) -> Result<(), FileError> {
    let mut reader = FileReader::open(path)?;
    let mut options = WriterOptions {
        ident: reader.ident().unwrap_or("none").to_owned(),
        compression: reader.header().compression,
        created_s: reader.header().created_s,
    };
    match what {
        Change::Compression(compression) => options.compression = compression,
        Change::Ident(ident) => ident.clone_into(&mut options.ident),
    }
    let mut writer = FileWriter::create(beside, &options)?;
    writer.sign(reader.header().program());
    let mut copier = Copier::new();
    while let Some(block) = reader.next_block()? {
        if copier.block(&block, &mut writer)? > 0 {
            let (offset, number) = (block.offset(), block.number());
            let kind = FileErrorKind::DamagedRecords { block: number };
            return Err(FileError::new(path, Some(offset), kind));
        }
    }
    match reader.stat() {
        Some(stat) => writer.finish_with(stat.clone()),
        None => writer.finish((0, 0), &[]).map(|_| ()),
    }
}
