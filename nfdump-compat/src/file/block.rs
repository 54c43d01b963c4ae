//! A block on its way into a file: its records gathered, stored (compressed), and written. Each step may be another
//! thread's; [`super::FileWriter`] takes them one after the other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hashbrown::{HashMap, HashSet};

use super::compress::Encoder;
use super::layout2::{
    self, BLOCK_HEADER, BlockHeader, ExporterInfo, ExporterStat, FILE_HEADER, FileHeader,
    NFD_VERSION, RECORD_BLOCK, STATS_PER_RECORD, Sampler, StatRecord, WRITE_BLOCK,
};
use super::write::{WriterOptions, check_ident};
use super::{Compression, FileError};
use crate::record::{RecordError, RecordView};

/// Records of one block as they are.
#[derive(Debug, Default)]
pub struct RawBlock {
    /// Room for the block's header, then the records.
    bytes: Vec<u8>,
    records: u32,
    flows: u32,
    stat: StatRecord,
    /// The records among them that others refer to: exporters and samplers.
    origins: Vec<u8>,
    origin_records: u32,
}

impl RawBlock {
    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Flow records in it.
    #[must_use]
    pub fn flows(&self) -> u32 {
        self.flows
    }

    fn push(&mut self, record: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.resize(BLOCK_HEADER, 0);
        }
        self.bytes.extend_from_slice(record);
        self.records += 1;
    }

    fn payload(&self) -> &[u8] {
        self.bytes.get(BLOCK_HEADER..).unwrap_or_default()
    }
}

/// Gathers the records of one file into blocks, and numbers its exporters.
#[derive(Debug, Default)]
pub struct BlockBuilder {
    block: RawBlock,
    exporters: HashMap<ExporterInfo, u16, foldhash::fast::RandomState>,
    /// Numbers given to exporters.
    numbers: HashSet<u16, foldhash::fast::RandomState>,
}

impl BlockBuilder {
    /// The block at hand.
    #[must_use]
    pub fn block(&self) -> &RawBlock {
        &self.block
    }

    /// Whether a record of `length` octets is not too much for the block at hand.
    #[must_use]
    #[inline]
    pub fn has_room(&self, length: usize) -> bool {
        self.block.payload().len() + length <= WRITE_BLOCK
    }

    /// Adds one V3 flow record and counts it in the totals.
    ///
    /// # Errors
    /// The bytes are not a V3 record.
    #[inline]
    pub fn record(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let view = RecordView::parse(record)?;
        self.block.push(record);
        self.block.flows += 1;
        self.block.stat.add(&view);
        Ok(())
    }

    /// The number that the flow records of this exporter carry in this file; its record is added when it is new. `None`
    /// if no number is left.
    pub fn exporter(&mut self, info: &ExporterInfo) -> Option<u16> {
        // Numbers are given upwards from 1; some may be taken by records copied from another file.
        let next = u16::try_from(self.numbers.len())
            .ok()
            .and_then(|n| n.checked_add(1));
        self.exporter_as(info, next.unwrap_or(u16::MAX))
    }

    /// As [`Self::exporter`], with a preferred number.
    pub(super) fn exporter_as(&mut self, info: &ExporterInfo, wanted: u16) -> Option<u16> {
        if let Some(&number) = self.exporters.get(info) {
            return Some(number);
        }
        let free = |n: &u16| *n != 0 && !self.numbers.contains(n);
        let number = [wanted].into_iter().chain(1..=u16::MAX).find(free)?;
        self.origin(&info.encode(number));
        self.exporters.insert(*info, number);
        self.numbers.insert(number);
        Some(number)
    }

    /// Adds a sampler record.
    pub fn sampler(&mut self, sampler: &Sampler) {
        self.origin(&sampler.encode());
    }

    /// Adds a record of names ([`crate::names`]). It is lost with its block: a table of names may be long.
    pub fn names(&mut self, record: &[u8]) {
        self.push(record);
    }

    /// Adds a record that others refer to.
    fn origin(&mut self, record: &[u8]) {
        self.block.push(record);
        self.block.origins.extend_from_slice(record);
        self.block.origin_records += 1;
    }

    /// Adds what the last record of a file says about its exporters, and counts their sequence failures.
    pub fn statistics(&mut self, exporters: &[ExporterStat]) {
        let mut record = Vec::new();
        for stats in exporters.chunks(STATS_PER_RECORD) {
            record.clear();
            layout2::encode_exporter_stats(stats, &mut record);
            self.push(&record);
        }
        let failures = exporters.iter().map(|e| u64::from(e.sequence_failures));
        self.add_sequence_failures(failures.sum());
    }

    /// Adds a record of any type as it is.
    pub(super) fn push(&mut self, record: &[u8]) {
        self.block.push(record);
    }

    /// The totals of the block at hand.
    pub(super) fn stat_mut(&mut self) -> &mut StatRecord {
        &mut self.block.stat
    }

    pub(super) fn add_sequence_failures(&mut self, failures: u64) {
        let sum = &mut self.block.stat.sequence_failures;
        *sum = sum.saturating_add(failures);
    }

    /// Takes the block at hand and begins another, in the memory of `empty`.
    pub fn take(&mut self, mut empty: Vec<u8>) -> RawBlock {
        empty.clear();
        let next = RawBlock {
            bytes: empty,
            ..RawBlock::default()
        };
        std::mem::replace(&mut self.block, next)
    }

    /// Another file begins: exporters are numbered anew.
    pub fn next_file(&mut self) {
        self.exporters.clear();
        self.numbers.clear();
    }
}

/// A block as it stands in a file.
#[derive(Debug, Default)]
pub struct StoredBlock {
    /// Header and payload.
    bytes: Vec<u8>,
    flows: u32,
    stat: StatRecord,
    origins: Vec<u8>,
    origin_records: u32,
}

impl StoredBlock {
    /// Flow records in it.
    #[must_use]
    pub fn flows(&self) -> u32 {
        self.flows
    }

    /// Its memory, to be used again.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// The exporters and samplers of blocks that were not written: what later flow records refer to.
    #[must_use]
    pub fn origins(self) -> RawBlock {
        let mut block = RawBlock::default();
        if self.origin_records > 0 {
            block.push(&self.origins);
            block.records = self.origin_records;
            block.origins = self.origins;
            block.origin_records = self.origin_records;
        }
        block
    }
}

impl RawBlock {
    /// Puts the records of another block behind its own.
    pub fn append(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let records = self.records;
        self.push(other.payload());
        self.records = records + other.records;
        self.flows += other.flows;
        self.stat.merge(&other.stat);
        self.origins.extend_from_slice(&other.origins);
        self.origin_records += other.origin_records;
    }
}

/// Brings blocks into the form in which a file has them.
pub struct BlockEncoder {
    compression: Compression,
    encoder: Encoder,
}

impl std::fmt::Debug for BlockEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockEncoder({})", self.compression)
    }
}

impl BlockEncoder {
    /// An encoder; `level` says how hard it tries, where the method has levels.
    ///
    /// # Errors
    /// The method cannot be started.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, String> {
        Ok(Self {
            compression,
            encoder: Encoder::new(compression, level)?,
        })
    }

    /// Its method.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The stored form of a block, in the memory of `memory`. Gives back the memory that is not needed.
    ///
    /// # Errors
    /// What the method says.
    pub fn store(
        &mut self,
        raw: RawBlock,
        mut memory: Vec<u8>,
    ) -> Result<(StoredBlock, Vec<u8>), String> {
        let (mut bytes, rest) = if self.compression == Compression::None {
            (raw.bytes, memory)
        } else {
            memory.clear();
            memory.resize(BLOCK_HEADER, 0);
            self.encoder.encode(
                raw.bytes.get(BLOCK_HEADER..).unwrap_or_default(),
                &mut memory,
            )?;
            (memory, raw.bytes)
        };
        let size = bytes.len().saturating_sub(BLOCK_HEADER);
        let header = BlockHeader {
            records: raw.records,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            kind: RECORD_BLOCK,
            flags: 0,
        };
        if let Some(place) = bytes.first_chunk_mut() {
            *place = header.encode();
        }
        let stored = StoredBlock {
            bytes,
            flows: raw.flows,
            stat: raw.stat,
            origins: raw.origins,
            origin_records: raw.origin_records,
        };
        Ok((stored, rest))
    }
}

/// A file that blocks are written to. After each block the number of blocks in the header is brought up to date, block
/// first: whoever reads meanwhile sees complete blocks only.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: File,
    pub(super) ident: String,
    pub(super) header: FileHeader,
    /// Where the next block goes.
    end: u64,
    pub(super) stat: StatRecord,
}

/// A block that is not in the file, and why.
pub type NotWritten = (FileError, Option<StoredBlock>);

impl BlockFile {
    /// Creates the file (an existing one is emptied) and writes its header.
    ///
    /// # Errors
    /// The source name cannot be stored, or the system refuses.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, FileError> {
        check_ident(&options.ident).map_err(|kind| FileError::new(path, None, kind))?;
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
        let file = Self {
            path: path.to_owned(),
            file,
            ident: options.ident.clone(),
            header,
            end: FILE_HEADER as u64,
            stat: StatRecord::default(),
        };
        file.write_header()?;
        Ok(file)
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file another name.
    ///
    /// # Errors
    /// It keeps its name.
    pub fn rename(&mut self, path: &Path) -> Result<(), FileError> {
        std::fs::rename(&self.path, path)
            .map_err(|e| FileError::io(&self.path, None, "rename", e))?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Size of the file so far, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end
    }

    /// Writes a block and brings the header up to date; gives back the block's memory.
    ///
    /// # Errors
    /// The system refuses (no space left …): the file still ends with its last complete block, and the block is given
    /// back for another try. If only the header could not be written there is no block to try again; the next one puts
    /// the header right.
    pub fn append(&mut self, block: StoredBlock) -> Result<Vec<u8>, Box<NotWritten>> {
        match self.write(&block.bytes) {
            Ok(end) => self.end = end,
            Err(error) => return Err(Box::new((error, Some(block)))),
        }
        self.header.blocks = self.header.blocks.saturating_add(1);
        self.stat.merge(&block.stat);
        match self.write_header() {
            Ok(()) => Ok(block.bytes),
            Err(error) => Err(Box::new((error, None))),
        }
    }

    /// Writes octets at the end; the offset behind them. What was written of them in vain is cut off again.
    fn write(&self, bytes: &[u8]) -> Result<u64, FileError> {
        match self.file.write_all_at(bytes, self.end) {
            Ok(()) => Ok(self.end + bytes.len() as u64),
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

    /// Closes the file: appendix, header, fsync. `window` (first and last millisecond since 1970) stands in the totals
    /// of a file without flows.
    ///
    /// # Errors
    /// The system refuses: the file keeps its complete blocks and can be recovered.
    pub fn close(
        mut self,
        window: (u64, u64),
        encoder: &mut BlockEncoder,
    ) -> Result<StatRecord, FileError> {
        if self.stat.flows == 0 {
            (self.stat.first_ms, self.stat.last_ms) = window;
        }
        let mut appendix = RawBlock::default();
        appendix.push(&layout2::encode_appendix(&self.ident, &self.stat));
        // The source's name and the totals.
        appendix.records = 2;
        let (appendix, _) = encoder
            .store(appendix, Vec::new())
            .map_err(|e| self.encoding(e))?;
        self.header.appendix_offset = self.end;
        self.header.appendix_blocks = 1;
        self.end = self.write(&appendix.bytes)?;
        self.write_header()?;
        self.file
            .sync_all()
            .map_err(|e| FileError::io(&self.path, None, "fsync", e))?;
        Ok(self.stat)
    }

    pub(super) fn encoding(&self, reason: String) -> FileError {
        let error = io::Error::other(reason);
        FileError::io(&self.path, Some(self.end), "compress a block", error)
    }
}
