//! The file of the running slot: opened, flushed, rotated, finished; and what a crash left behind, recovered.
//!
//! A slot is written to `nfcapd.current.<pid>` and appears under its final name only when complete (fsync, rename, fsync
//! of the directory). A disk that refuses to take more costs the records of that slot from then on, counted, and
//! nothing that was written before. [`files`] are the threads that compress and write.

pub mod files;
pub mod name;
mod orphan;
pub mod shared;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nfdump_compat::file::layout2::{EXPORTER_SIZE, SAMPLER_SIZE};
use nfdump_compat::file::{
    BlockBuilder, ExporterInfo, ExporterStat, FileError, Sampler, StatRecord, merge,
};
use tracing::warn;

use self::files::{Ending, FilesHandle, Status};
use self::name::Calendar;

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
    patient: bool,
}

impl SlotWriter {
    /// Recovers what dead collectors left in the directory and opens the slot of `now_ms`.
    ///
    /// # Errors
    /// When the working file cannot be created.
    pub fn open(options: SlotOptions, files: FilesHandle, now_ms: u64) -> Result<Self, FileError> {
        let mut working = format!("nfcapd.current.{}", std::process::id());
        match files.again(&options.directory) {
            None => orphan::recover_all(&options),
            // The last file of a source that is found again may still be written.
            Some(number) => working = format!("{working}.{number}"),
        }
        let working = options.directory.join(working);
        let start_s = options.calendar.slot_start(seconds(now_ms));
        let (id, status) = files.open(&options, working, seconds(now_ms))?;
        Ok(Self {
            end_s: options.calendar.slot_end(start_s),
            options,
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

    /// Appends a flow record.
    pub fn record(&mut self, record: &[u8]) {
        if !self.makes_room(record.len()) || self.builder.record(record).is_err() {
            if self.overrun == 0 {
                files::warn_overrun(&self.options.ident);
            }
            self.overrun += 1;
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
        let next = (self.options.clone(), seconds(now_ms));
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
        next: Option<(SlotOptions, i64)>,
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
            next,
            tell,
        };
        self.files.close(self.id, ending);
    }
}

/// Gives a complete file its final name. If that exists (a restart within the slot, the end of summer time) the two become
/// one; if that fails, too, the file gets a number behind its name rather than be overwritten by the next slot.
fn publish(working: &Path, options: &SlotOptions, start_s: i64) -> io::Result<PathBuf> {
    let name = options.calendar.file_name(start_s);
    let directory = options
        .directory
        .join(options.calendar.sub_directory(start_s));
    let target = directory.join(&name);
    let published = fs::create_dir_all(&directory).and_then(|()| {
        if target.exists() {
            join(&target, working)
        } else {
            fs::rename(working, &target)
        }
    });
    let target = match published {
        Ok(()) => target,
        Err(error) => {
            let beside = (1..)
                .map(|n: u32| options.directory.join(format!("{name}.{n}")))
                .find(|path| !path.exists())
                .unwrap_or(target);
            warn!(
                "{}: {error}; the file is kept as {}",
                working.display(),
                beside.display()
            );
            fs::rename(working, &beside)?;
            beside
        }
    };
    // The rename itself is durable only when the directory is.
    File::open(target.parent().unwrap_or(&directory))?.sync_all()?;
    Ok(target)
}

/// Puts the records of a new file behind those of an older one, in a third that takes the older one's name when complete.
fn join(older: &Path, newer: &Path) -> io::Result<()> {
    let mut name = OsString::from(".merge.");
    name.push(older.file_name().unwrap_or_default());
    let merged = older.with_file_name(name);
    merge(older, newer, &merged).map_err(io::Error::other)?;
    fs::rename(&merged, older)?;
    fs::remove_file(newer)
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}
