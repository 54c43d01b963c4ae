//! Writing a file so that nfdump 1.7.1 and later can read it, also while it is being written.
//!
//! After each block the number of blocks in the header is brought up to date, block first: whoever reads meanwhile sees
//! complete blocks only. The appendix comes with [`FileWriter::finish`]; renaming is the caller's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hashbrown::{HashMap, HashSet};

use super::compress::Encoder;
use super::layout2::{
    self, BLOCK_HEADER, BlockHeader, ExporterInfo, ExporterStat, FILE_HEADER, FileHeader,
    MAX_IDENT, NFD_VERSION, RECORD_BLOCK, STATS_PER_RECORD, Sampler, StatRecord, WRITE_BLOCK,
};
use super::{Compression, FileError, FileErrorKind};
use crate::record::RecordView;

/// How a file is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Name of the source, kept in the appendix; nfcapd's default is "none".
    pub ident: String,
    /// Compression of the blocks.
    pub compression: Compression,
    /// Time of creation, seconds since 1970.
    pub created_s: i64,
}

/// Writes a file.
pub struct FileWriter {
    path: PathBuf,
    file: File,
    ident: String,
    header: FileHeader,
    encoder: Encoder,
    /// Raw records of the block being filled.
    raw: Vec<u8>,
    /// Records in it.
    records: u32,
    /// Flow records among them.
    flows: u32,
    /// Header and stored payload of the block being written.
    stored: Vec<u8>,
    /// Where the next block goes.
    end: u64,
    stat: StatRecord,
    exporters: HashMap<ExporterInfo, u16, foldhash::fast::RandomState>,
    /// Numbers given to exporters.
    numbers: HashSet<u16, foldhash::fast::RandomState>,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter")
            .field("path", &self.path)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Creates the file (an existing one is emptied) and writes its header.
    ///
    /// # Errors
    /// The source name cannot be stored, or the system refuses.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, FileError> {
        check_ident(&options.ident).map_err(|kind| FileError::new(path, None, kind))?;
        let encoder = Encoder::new(options.compression)
            .map_err(|e| FileError::io(path, None, "start the encoder", io::Error::other(e)))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)
            .map_err(|e| FileError::io(path, None, "create", e))?;
        let header = FileHeader {
            nfd_version: NFD_VERSION,
            created_s: options.created_s,
            compression: options.compression,
            appendix_blocks: 0,
            creator: 0,
            appendix_offset: 0,
            block_size: 0,
            blocks: 0,
        };
        let writer = Self {
            path: path.to_owned(),
            file,
            ident: options.ident.clone(),
            header,
            encoder,
            raw: Vec::with_capacity(WRITE_BLOCK),
            records: 0,
            flows: 0,
            stored: Vec::new(),
            end: FILE_HEADER as u64,
            stat: StatRecord::default(),
            exporters: HashMap::default(),
            numbers: HashSet::default(),
        };
        writer.write_header()?;
        Ok(writer)
    }

    /// Takes the name of the source that another file has, if nfdump can read it.
    pub fn adopt_ident(&mut self, ident: Option<&str>) {
        if let Some(ident) = ident
            && check_ident(ident).is_ok()
        {
            ident.clone_into(&mut self.ident);
        }
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Totals of the records given so far.
    #[must_use]
    pub fn stat(&self) -> &StatRecord {
        &self.stat
    }

    /// Flow records that are not in the file yet.
    #[must_use]
    pub fn pending_flows(&self) -> u32 {
        self.flows
    }

    /// Blocks in the file.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.header.blocks
    }

    /// Size of the file so far, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end
    }

    /// The number that the flow records of this exporter carry in this file; its record is written when it is new.
    ///
    /// # Errors
    /// No number is left, or a full block could not be written.
    pub fn exporter(&mut self, info: &ExporterInfo) -> Result<u16, FileError> {
        // Numbers are given upwards from 1; some may be taken by records copied from another file.
        let next = u16::try_from(self.numbers.len())
            .ok()
            .and_then(|n| n.checked_add(1));
        self.exporter_as(info, next.unwrap_or(u16::MAX))
    }

    /// As [`Self::exporter`], with a preferred number.
    pub(super) fn exporter_as(
        &mut self,
        info: &ExporterInfo,
        wanted: u16,
    ) -> Result<u16, FileError> {
        if let Some(&number) = self.exporters.get(info) {
            return Ok(number);
        }
        let free = |n: &u16| *n != 0 && !self.numbers.contains(n);
        let Some(number) = [wanted].into_iter().chain(1..=u16::MAX).find(free) else {
            return Err(FileError::new(
                &self.path,
                None,
                FileErrorKind::TooManyExporters,
            ));
        };
        self.push(&info.encode(number))?;
        self.exporters.insert(*info, number);
        self.numbers.insert(number);
        Ok(number)
    }

    /// Adds a sampler record.
    ///
    /// # Errors
    /// A full block could not be written.
    pub fn sampler(&mut self, sampler: &Sampler) -> Result<(), FileError> {
        self.push(&sampler.encode())
    }

    /// Adds one V3 flow record and counts it in the totals.
    ///
    /// # Errors
    /// The bytes are not a V3 record, or a full block could not be written: then this record is not taken, and may be
    /// given again.
    #[inline]
    pub fn record(&mut self, record: &[u8]) -> Result<(), FileError> {
        let view =
            RecordView::parse(record).map_err(|e| FileError::new(&self.path, None, e.into()))?;
        self.push(record)?;
        self.flows += 1;
        self.stat.add(&view);
        Ok(())
    }

    /// Adds a flow record that nfdump's `-w` writes: the totals count all flows that it stands for and both directions.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn aggregate(&mut self, record: &[u8]) -> Result<(), FileError> {
        self.record(record)?;
        if let Ok(view) = RecordView::parse(record) {
            self.stat.add_as_nfdump(&view);
        }
        Ok(())
    }

    /// Adds a record of any type as it is.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), FileError> {
        if self.raw.len() + record.len() > WRITE_BLOCK {
            self.flush()?;
        }
        self.raw.extend_from_slice(record);
        self.records += 1;
        Ok(())
    }

    /// Writes the records given so far as a block and brings the header up to date. Without records it does nothing.
    ///
    /// # Errors
    /// The system refuses (no space left …): the file still ends with its last complete block, and the records are kept
    /// for another try. If only the header could not be written they are in the file; the next flush puts it right.
    pub fn flush(&mut self) -> Result<(), FileError> {
        if self.records == 0 {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        let written = self.write_block(self.records, &raw);
        self.raw = raw;
        self.end = written?;
        self.header.blocks = self.header.blocks.saturating_add(1);
        self.raw.clear();
        self.records = 0;
        self.flows = 0;
        self.write_header()
    }

    /// Writes one block at the end; the offset behind it. What was written of it in vain is cut off again.
    fn write_block(&mut self, records: u32, raw: &[u8]) -> Result<u64, FileError> {
        self.stored.clear();
        self.stored.extend_from_slice(&[0; BLOCK_HEADER]);
        self.encoder.encode(raw, &mut self.stored).map_err(|e| {
            FileError::io(
                &self.path,
                Some(self.end),
                "compress a block",
                io::Error::other(e),
            )
        })?;
        let size = u32::try_from(self.stored.len() - BLOCK_HEADER).unwrap_or(u32::MAX);
        let header = BlockHeader {
            records,
            size,
            kind: RECORD_BLOCK,
            flags: 0,
        };
        if let Some(place) = self.stored.first_chunk_mut() {
            *place = header.encode();
        }
        match self.file.write_all_at(&self.stored, self.end) {
            Ok(()) => Ok(self.end + self.stored.len() as u64),
            Err(error) => {
                // The header does not count this block, so a failure to cut it off does no harm.
                let _ = self.file.set_len(self.end);
                Err(FileError::io(&self.path, Some(self.end), "write", error))
            }
        }
    }

    fn write_header(&self) -> Result<(), FileError> {
        self.file
            .write_all_at(&self.header.encode(), 0)
            .map_err(|e| FileError::io(&self.path, Some(0), "write the header", e))
    }

    /// Closes the file: exporter statistics as the last record, remaining records, appendix, header, fsync. `window`
    /// (first and last millisecond since 1970) stands in the totals of a file without flows.
    ///
    /// # Errors
    /// The system refuses: the file keeps its complete blocks and can be recovered.
    pub fn finish(
        mut self,
        window: (u64, u64),
        exporters: &[ExporterStat],
    ) -> Result<StatRecord, FileError> {
        let mut record = Vec::new();
        for stats in exporters.chunks(STATS_PER_RECORD) {
            record.clear();
            layout2::encode_exporter_stats(stats, &mut record);
            self.push(&record)?;
        }
        self.stat.sequence_failures = exporters.iter().fold(self.stat.sequence_failures, |n, e| {
            n.saturating_add(e.sequence_failures.into())
        });
        self.close(window)
    }

    /// Closes the file with these totals instead of those of the records given.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_with(mut self, totals: StatRecord) -> Result<(), FileError> {
        self.flush()?;
        let window = (totals.first_ms, totals.last_ms);
        self.stat = totals;
        self.close(window).map(|_| ())
    }

    /// Adds sequence failures that statistics records copied from another file counted.
    pub(super) fn add_sequence_failures(&mut self, failures: u64) {
        self.stat.sequence_failures = self.stat.sequence_failures.saturating_add(failures);
    }

    fn close(mut self, window: (u64, u64)) -> Result<StatRecord, FileError> {
        self.flush()?;
        if self.stat.flows == 0 {
            (self.stat.first_ms, self.stat.last_ms) = window;
        }
        let appendix = layout2::encode_appendix(&self.ident, &self.stat);
        self.header.appendix_offset = self.end;
        self.header.appendix_blocks = 1;
        self.end = self.write_block(2, &appendix)?;
        self.write_header()?;
        self.file
            .sync_all()
            .map_err(|e| FileError::io(&self.path, None, "fsync", e))?;
        Ok(self.stat)
    }
}

/// Whether nfdump reads the name back as it is.
fn check_ident(ident: &str) -> Result<(), FileErrorKind> {
    let fits = (1..=MAX_IDENT).contains(&ident.len());
    if !fits || ident.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(FileErrorKind::Ident(ident.escape_debug().to_string()));
    }
    Ok(())
}
