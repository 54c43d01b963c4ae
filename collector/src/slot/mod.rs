//! The file of the running slot: opened, flushed, rotated, finished; and what a crash left behind, recovered.
//!
//! A slot is written to `nfcapd.current.<pid>` and appears under its final name only when complete (fsync, rename, fsync
//! of the directory). A disk that refuses to take more costs the records of that slot from then on, counted, and
//! nothing that was written before. [`files`] are the threads that compress and write, [`running`] is the file that is
//! written, [`finish`] the threads that close it.

pub mod files;
pub mod finish;
pub mod name;
mod orphan;
mod running;
pub mod shared;

use std::path::PathBuf;
use std::sync::Arc;

use nfdump_compat::file::layout2::{EXPORTER_SIZE, SAMPLER_SIZE};
use nfdump_compat::file::{
    BlockBuilder, ExporterInfo, ExporterStat, FileError, Sampler, StatRecord,
};

use self::files::{Dropped, Ending, FilesHandle, Next};
use self::name::Calendar;
use self::running::Status;

/// A block is on disk at the latest after this time, so that a running slot can be read.
const FLUSH_INTERVAL_MS: u64 = 10_000;

/// Where and how the files of one source are written.
#[derive(Clone, Debug)]
pub struct SlotOptions {
    /// Name of the source.
    pub ident: String,
    /// Directory of the files.
    pub directory: PathBuf,
    /// When slots begin, and their names.
    pub calendar: Calendar,
}

/// What a finished slot held.
#[derive(Clone, Debug)]
pub struct SlotReport {
    /// Totals of the file; `None` if it could not be finished.
    pub totals: Option<StatRecord>,
    /// Flow records that the disk did not take.
    pub lost: u64,
    /// Flow records that there was no room for before compression and disk.
    pub overrun: u64,
}

/// Gathers the records of one source's slots into blocks, and hands those over to be written.
#[derive(Debug)]
pub struct SlotWriter {
    options: SlotOptions,
    files: FilesHandle,
    id: u64,
    status: Arc<Status>,
    trouble: Option<String>,
    builder: BlockBuilder,
    start_s: i64,
    end_s: i64,
    last_flush_ms: u64,
    overrun: u64,
    dropped: Arc<Dropped>,
    patient: bool,
}

impl SlotWriter {
    /// Recovers what dead collectors left in the directory and opens the slot of `now_ms`.
    ///
    /// # Errors
    /// When the working file cannot be created.
    pub fn open(options: SlotOptions, files: FilesHandle, now_ms: u64) -> Result<Self, FileError> {
        // The last file of a source that is found again may still be written.
        let number = files.again(&options.directory);
        if number.is_none() {
            orphan::recover_all(&options);
        }
        let working = options.directory.join(working_name(number));
        let start_s = options.calendar.slot_start(seconds(now_ms));
        let (id, status) = files.open(&options, working, seconds(now_ms))?;
        Ok(Self {
            end_s: options.calendar.slot_end(start_s),
            options,
            dropped: files.dropped(),
            files,
            id,
            status,
            trouble: None,
            builder: BlockBuilder::default(),
            start_s,
            last_flush_ms: now_ms,
            overrun: 0,
            patient: false,
        })
    }

    /// The name of the source.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.options.ident
    }

    /// Gives the source another name from the next slot on.
    pub fn set_ident(&mut self, ident: &str) {
        ident.clone_into(&mut self.options.ident);
    }

    /// Why records are dropped at present.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether the records that follow wait for room rather than be dropped: their sender can wait, too.
    pub fn set_patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// Milliseconds since 1970 at which the slot is over.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        u64::try_from(self.end_s).unwrap_or(0).saturating_mul(1000)
    }

    /// Whether `now_ms` is outside the slot: after its end, or before its start because the clock was set back.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.end_ms() || self.options.calendar.slot_start(seconds(now_ms)) < self.start_s
    }

    /// Adds an exporter's record once a file and returns its number there; 0 while there is no room for it.
    pub fn exporter(&mut self, exporter: &ExporterInfo) -> u16 {
        if !self.makes_room(EXPORTER_SIZE) {
            return 0;
        }
        self.builder.exporter(exporter).unwrap_or(0)
    }

    /// Adds how an exporter samples.
    pub fn sampler(&mut self, sampler: &Sampler) {
        if self.makes_room(SAMPLER_SIZE) {
            self.builder.sampler(sampler);
        }
    }

    /// Adds a record of names.
    pub fn names(&mut self, record: &[u8]) {
        if self.makes_room(record.len()) {
            self.builder.names(record);
        }
    }

    /// Appends a flow record.
    pub fn record(&mut self, record: &[u8]) {
        if !self.makes_room(record.len()) || self.builder.record(record).is_err() {
            if self.overrun == 0 {
                files::warn_overrun(&self.options.ident);
            }
            self.overrun += 1;
            self.dropped.overrun();
        }
    }

    /// Hands the block at hand over if it has no room for so many octets.
    #[inline]
    fn makes_room(&mut self, length: usize) -> bool {
        self.builder.has_room(length) || self.hand_over()
    }

    fn hand_over(&mut self) -> bool {
        if !self.files.enter(self.patient) {
            return false;
        }
        let raw = self.builder.take(self.files.spare());
        self.files.block(self.id, raw);
        true
    }

    /// Hands a started block over when the last one was ten seconds ago, so that it is on disk.
    pub fn tick(&mut self, now_ms: u64) {
        self.trouble = self.status.trouble();
        if now_ms.abs_diff(self.last_flush_ms) < FLUSH_INTERVAL_MS {
            return;
        }
        self.last_flush_ms = now_ms;
        if !self.builder.block().is_empty() {
            self.hand_over();
        }
        self.files.tick(self.id);
    }

    /// Finishes the slot and opens that of `now_ms`. What the file holds is told when it is closed, by another thread.
    pub fn rotate(
        &mut self,
        now_ms: u64,
        statistics: &[ExporterStat],
        tell: impl FnOnce(SlotReport) + Send + 'static,
    ) {
        let next = Next {
            options: self.options.clone(),
            created_s: seconds(now_ms),
        };
        self.close(statistics, Some(next), Box::new(tell));
        self.start_s = self.options.calendar.slot_start(seconds(now_ms));
        self.end_s = self.options.calendar.slot_end(self.start_s);
        self.last_flush_ms = now_ms;
    }

    /// Finishes the last slot.
    pub fn finish(
        &mut self,
        statistics: &[ExporterStat],
        tell: impl FnOnce(SlotReport) + Send + 'static,
    ) {
        self.close(statistics, None, Box::new(tell));
    }

    fn close(
        &mut self,
        statistics: &[ExporterStat],
        next: Option<Next>,
        tell: Box<dyn FnOnce(SlotReport) + Send>,
    ) {
        self.builder.statistics(statistics);
        if !self.builder.block().is_empty() {
            if !(self.patient && self.files.enter(true)) {
                self.files.enter_anyway();
            }
            let raw = self.builder.take(self.files.spare());
            self.files.block(self.id, raw);
        }
        self.builder.next_file();
        let ending = Ending {
            start_s: self.start_s,
            end_s: self.end_s,
            overrun: std::mem::take(&mut self.overrun),
            tell,
        };
        self.files.close(self.id, ending, next);
    }
}

/// Name of an unfinished file; the number tells those of one process and directory apart.
fn working_name(number: Option<u64>) -> String {
    let pid = std::process::id();
    match number {
        None => format!("nfcapd.current.{pid}"),
        Some(number) => format!("nfcapd.current.{pid}.{number}"),
    }
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}
