//! The file of a running slot as the thread that writes has it: blocks go in, and what the disk refuses is tried again or
//! counted as lost.

use std::fs;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nfdump_compat::file::{
    BlockEncoder, BlockFile, Compression, FileError, RawBlock, StoredBlock, WriterOptions,
};
use tracing::{error, info};

use super::SlotOptions;
use super::files::{Dropped, Ending, Next, Spares, lock};
use super::finish::Written;

/// What a disk refused is tried again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// How a slot's file is, for those who look at it from outside.
#[derive(Debug, Default)]
pub struct Status {
    trouble: Mutex<Option<String>>,
}

impl Status {
    /// Why records are dropped at present.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    fn set(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }
}

/// The file of a slot, on the writing thread.
pub struct Slot {
    options: SlotOptions,
    working: PathBuf,
    created_s: i64,
    /// `None` while it cannot be created.
    file: Option<BlockFile>,
    unwritten: Option<StoredBlock>,
    /// Exporters and samplers of blocks that were dropped.
    owed: RawBlock,
    lost: u64,
    /// Since when the disk refuses blocks, or when it was tried last.
    stalled: Option<Instant>,
    status: Arc<Status>,
    dropped: Arc<Dropped>,
}

impl Slot {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(
        options: SlotOptions,
        working: PathBuf,
        created_s: i64,
        compression: Compression,
        dropped: Arc<Dropped>,
    ) -> Result<Self, FileError> {
        let mut slot = Self {
            options,
            working,
            created_s,
            file: None,
            unwritten: None,
            owed: RawBlock::default(),
            lost: 0,
            stalled: None,
            status: Arc::default(),
            dropped,
        };
        slot.file = Some(slot.create(compression)?);
        Ok(slot)
    }

    /// How it is, as others see it.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    fn create(&self, compression: Compression) -> Result<BlockFile, FileError> {
        let options = WriterOptions {
            ident: self.options.ident.clone(),
            compression,
            created_s: self.created_s,
        };
        BlockFile::create(&self.working, &options)
    }

    /// As [`Self::create`], in a directory that may have been deleted meanwhile.
    fn create_again(&self, compression: Compression) -> Result<BlockFile, FileError> {
        // What is in its way tells the file.
        let _ = fs::create_dir_all(&self.options.directory);
        self.create(compression)
    }

    /// Begins the file of the next slot, which is `working` until it is complete.
    pub fn begin(&mut self, next: Next, working: PathBuf, encoder: &BlockEncoder) {
        (self.options, self.created_s) = (next.options, next.created_s);
        self.working = working;
        (self.lost, self.stalled) = (0, None);
        self.owed = RawBlock::default();
        self.status.set(None);
        match self.create_again(encoder.compression()) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.stall(&error),
        }
    }

    /// Writes a block, or counts what it holds as lost while the disk refuses.
    pub fn block(&mut self, block: StoredBlock, encoder: &mut BlockEncoder, spares: &Spares) {
        self.retry(encoder, false);
        match (&mut self.file, self.stalled) {
            (Some(file), None) => match file.append(block) {
                Ok(memory) => spares.give(memory),
                Err(not_written) => {
                    let (error, block) = *not_written;
                    self.unwritten = block;
                    self.stall(&error);
                }
            },
            _ => self.drop(block),
        }
    }

    fn drop(&mut self, block: StoredBlock) {
        let flows = u64::from(block.flows());
        self.lost += flows;
        self.dropped.unwritten(flows);
        self.owed.append(&block.origins());
    }

    /// Tries again what was refused, if that is long enough ago.
    pub fn retry(&mut self, encoder: &mut BlockEncoder, now: bool) {
        let Some(since) = self.stalled else {
            return;
        };
        if !now && since.elapsed() < AGAIN {
            return;
        }
        self.stalled = Some(Instant::now());
        if let Err(error) = self.write_again(encoder) {
            self.status.set(Some(error.to_string()));
            return;
        }
        self.stalled = None;
        self.status.set(None);
        info!(
            "{}: written again, {} flow records were dropped meanwhile",
            self.working.display(),
            self.lost
        );
    }

    fn write_again(&mut self, encoder: &mut BlockEncoder) -> Result<(), FileError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.create_again(encoder.compression())?,
        };
        let mut outcome = Ok(());
        if let Some(block) = self.unwritten.take() {
            outcome = file.append(block).map(|_| ()).map_err(|not_written| {
                let (error, block) = *not_written;
                self.unwritten = block;
                error
            });
        }
        if outcome.is_ok() && !self.owed.is_empty() {
            let owed = mem::take(&mut self.owed);
            if let Ok((block, _)) = encoder.store(owed, Vec::new()) {
                outcome = file.append(block).map(|_| ()).map_err(|not_written| {
                    let (error, block) = *not_written;
                    self.unwritten = block;
                    error
                });
            }
        }
        self.file = Some(file);
        outcome
    }

    /// The disk refused something: says so once.
    fn stall(&mut self, error: &FileError) {
        if self.stalled.is_none() {
            error!("flow records are dropped until the disk takes them again: {error}");
        }
        self.stalled = Some(Instant::now());
        self.status.set(Some(error.to_string()));
    }

    /// The end of the file, as far as the disk takes it.
    pub fn end(&mut self, ending: Ending, encoder: &mut BlockEncoder) -> Written {
        self.retry(encoder, true);
        if let Some(block) = self.unwritten.take() {
            self.drop(block);
        }
        Written {
            file: self.file.take(),
            working: self.working.clone(),
            options: self.options.clone(),
            lost: self.lost,
            dropped: Arc::clone(&self.dropped),
            ending,
        }
    }
}
