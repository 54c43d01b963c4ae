//! Writing a file so that nfdump 1.7.1 and later can read it, also while it is being written.
//!
//! After each block the number of blocks in the header is brought up to date, block first: whoever reads meanwhile sees
//! complete blocks only. The appendix comes with [`FileWriter::finish`]; renaming is the caller's.

use std::io;
use std::path::Path;

use super::block::{BlockBuilder, BlockEncoder, BlockFile, StoredBlock};
use super::layout2::{
    EXPORTER_SIZE, ExporterInfo, ExporterStat, MAX_IDENT, Program, SAMPLER_SIZE, Sampler,
    StatRecord,
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

/// Writes a file, one step after the other.
#[derive(Debug)]
pub struct FileWriter {
    file: BlockFile,
    builder: BlockBuilder,
    encoder: BlockEncoder,
    /// A block that the system did not take.
    unwritten: Option<StoredBlock>,
    memory: Vec<u8>,
}

impl FileWriter {
    /// Creates the file (an existing one is emptied) and writes its header.
    ///
    /// # Errors
    /// The source name cannot be stored, or the system refuses.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, FileError> {
        let encoder = BlockEncoder::new(options.compression, None)
            .map_err(|e| FileError::io(path, None, "start the encoder", io::Error::other(e)))?;
        Ok(Self {
            file: BlockFile::create(path, options)?,
            builder: BlockBuilder::default(),
            encoder,
            unwritten: None,
            memory: Vec::new(),
        })
    }

    /// Compresses the blocks from here on at this level (ZSTD only).
    ///
    /// # Errors
    /// There is no such level.
    pub fn set_level(&mut self, level: i32) -> Result<(), FileError> {
        let compression = self.encoder.compression();
        self.encoder = BlockEncoder::new(compression, Some(level)).map_err(|e| {
            FileError::io(
                self.file.path(),
                None,
                "start the encoder",
                io::Error::other(e),
            )
        })?;
        Ok(())
    }

    /// Says in the header which program writes the file.
    pub fn sign(&mut self, program: Program) {
        self.file.header.nfd_version = program.version;
        self.file.header.creator = program.creator;
    }

    /// Takes the name of the source that another file has, if nfdump can read it.
    pub fn adopt_ident(&mut self, ident: Option<&str>) {
        if let Some(ident) = ident
            && check_ident(ident).is_ok()
        {
            ident.clone_into(&mut self.file.ident);
        }
    }

    /// Flow records that are not in the file yet.
    #[must_use]
    pub fn pending_flows(&self) -> u32 {
        let unwritten = self.unwritten.as_ref().map_or(0, StoredBlock::flows);
        self.builder.block().flows() + unwritten
    }

    /// Size of the file so far, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// The number that the flow records of this exporter carry in this file; its record is written when it is new.
    ///
    /// # Errors
    /// No number is left, or a full block could not be written.
    pub fn exporter(&mut self, info: &ExporterInfo) -> Result<u16, FileError> {
        self.make_room(EXPORTER_SIZE)?;
        let number = self.builder.exporter(info);
        number.ok_or_else(|| self.too_many())
    }

    /// As [`Self::exporter`], with a preferred number.
    pub(super) fn exporter_as(
        &mut self,
        info: &ExporterInfo,
        wanted: u16,
    ) -> Result<u16, FileError> {
        self.make_room(EXPORTER_SIZE)?;
        let number = self.builder.exporter_as(info, wanted);
        number.ok_or_else(|| self.too_many())
    }

    fn too_many(&self) -> FileError {
        FileError::new(self.file.path(), None, FileErrorKind::TooManyExporters)
    }

    /// Adds a sampler record.
    ///
    /// # Errors
    /// A full block could not be written.
    pub fn sampler(&mut self, sampler: &Sampler) -> Result<(), FileError> {
        self.make_room(SAMPLER_SIZE)?;
        self.builder.sampler(sampler);
        Ok(())
    }

    /// Adds one V3 flow record and counts it in the totals.
    ///
    /// # Errors
    /// The bytes are not a V3 record, or a full block could not be written: then this record is not taken, and may be
    /// given again.
    #[inline]
    pub fn record(&mut self, record: &[u8]) -> Result<(), FileError> {
        self.make_room(record.len())?;
        self.builder
            .record(record)
            .map_err(|e| FileError::new(self.file.path(), None, e.into()))
    }

    /// Adds a flow record that nfdump's `-w` writes: the totals count all flows that it stands for and both directions.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn aggregate(&mut self, record: &[u8]) -> Result<(), FileError> {
        self.record(record)?;
        if let Ok(view) = RecordView::parse(record) {
            self.builder.stat_mut().add_as_nfdump(&view);
        }
        Ok(())
    }

    /// Adds a record of any type as it is.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), FileError> {
        self.make_room(record.len())?;
        self.builder.push(record);
        Ok(())
    }

    #[inline]
    fn make_room(&mut self, length: usize) -> Result<(), FileError> {
        if self.unwritten.is_some() || !self.builder.has_room(length) {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the records given so far as a block and brings the header up to date. Without records it does nothing.
    ///
    /// # Errors
    /// The system refuses (no space left …): the file still ends with its last complete block, and the records are kept
    /// for another try. If only the header could not be written they are in the file; the next flush puts it right.
    pub fn flush(&mut self) -> Result<(), FileError> {
        if let Some(block) = self.unwritten.take() {
            self.append(block)?;
        }
        if self.builder.block().is_empty() {
            return Ok(());
        }
        let memory = std::mem::take(&mut self.memory);
        let raw = self.builder.take(Vec::new());
        let (block, memory) = self
            .encoder
            .store(raw, memory)
            .map_err(|e| self.file.encoding(e))?;
        self.memory = memory;
        self.append(block)
    }

    fn append(&mut self, block: StoredBlock) -> Result<(), FileError> {
        match self.file.append(block) {
            Ok(memory) => {
                self.memory = memory;
                Ok(())
            }
            Err(not_written) => {
                let (error, block) = *not_written;
                self.unwritten = block;
                Err(error)
            }
        }
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
        self.builder.statistics(exporters);
        self.flush()?;
        self.file.close(window, &mut self.encoder)
    }

    /// Closes the file with these totals instead of those of the records given.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_with(mut self, totals: StatRecord) -> Result<(), FileError> {
        self.flush()?;
        let window = (totals.first_ms, totals.last_ms);
        self.file.stat = totals;
        self.file.close(window, &mut self.encoder).map(|_| ())
    }

    /// Adds sequence failures that statistics records copied from another file counted.
    pub(super) fn add_sequence_failures(&mut self, failures: u64) {
        self.builder.add_sequence_failures(failures);
    }
}

/// Whether nfdump reads the name back as it is.
pub(super) fn check_ident(ident: &str) -> Result<(), FileErrorKind> {
    let fits = (1..=MAX_IDENT).contains(&ident.len());
    if !fits || ident.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(FileErrorKind::Ident(ident.escape_debug().to_string()));
    }
    Ok(())
}
