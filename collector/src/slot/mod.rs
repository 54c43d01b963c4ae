//! The file of the running slot: opened, flushed, rotated, finished; and what a crash left behind, recovered.
//!
//! A slot is written to `nfcapd.current.<pid>` and appears under its final name only when complete (fsync, rename, fsync
//! of the directory). A disk that refuses to take more costs the records of that slot from then on, counted, and
//! nothing that was written before.

pub mod name;
mod orphan;

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use nfdump_compat::file::{Compression, ExporterInfo, ExporterStatistics, FileError, FileWriter, StatRecord, WriterOptions};
use tracing::{error, info};

use self::name::{file_name, slot_start, sub_directory};

/// A block is on disk at the latest after this time, so that a running slot can be read.
const FLUSH_INTERVAL_MS: u64 = 10_000;

/// Where and how the files of one source are written.
#[derive(Clone, Debug)]
pub struct SlotOptions {
    /// Name of the source.
    pub ident: String,
    /// Directory of the files.
    pub directory: PathBuf,
    /// Seconds a slot lasts.
    pub interval_s: u32,
    /// nfcapd's number of a sub directory scheme.
    pub sub_directory: u8,
    /// How blocks are compressed.
    pub compression: Compression,
}

/// What a finished slot held.
#[derive(Clone, Debug)]
pub struct SlotReport {
    /// Totals of the file; `None` if it could not be finished.
    pub totals: Option<StatRecord>,
    /// Records that the disk did not take.
    pub lost: u64,
}

/// Writes the slots of one source.
#[derive(Debug)]
pub struct SlotWriter {
    options: SlotOptions,
    zone: TimeZone,
    working: PathBuf,
    start_s: i64,
    /// `None` after the disk refused the file or a part of it.
    file: Option<FileWriter>,
    last_flush_ms: u64,
    lost: u64,
}

impl SlotWriter {
    /// Recovers what dead collectors left in the directory and opens the slot of `now_ms`.
    ///
    /// # Errors
    /// When the working file cannot be created.
    pub fn open(options: SlotOptions, now_ms: u64) -> Result<Self, FileError> {
        let zone = TimeZone::system();
        let working = options.directory.join(format!("nfcapd.current.{}", std::process::id()));
        for orphan in orphan::find(&options.directory) {
            match orphan::recover(&orphan, &options, &zone) {
                Ok(Some(target)) => info!("{}: unfinished file recovered as {}", orphan.display(), target.display()),
                Ok(None) => info!("{}: unfinished file without a record removed", orphan.display()),
                Err(error) => error!("unfinished file left as it is: {error}"),
            }
        }
        let start_s = slot_start(seconds(now_ms), options.interval_s);
        let file = create(&options, &working, start_s)?;
        Ok(Self { options, zone, working, start_s, file: Some(file), last_flush_ms: now_ms, lost: 0 })
    }

    /// The name of the source.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.options.ident
    }

    /// Milliseconds since 1970 at which the slot is over.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        u64::try_from(self.start_s + i64::from(self.options.interval_s)).unwrap_or(0).saturating_mul(1000)
    }

    /// Whether `now_ms` is outside the slot: after its end, or before its start because the clock was set back.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.end_ms() || slot_start(seconds(now_ms), self.options.interval_s) < self.start_s
    }

    /// Writes an exporter's record once a file and returns its number there; 0 while there is no file.
    pub fn exporter(&mut self, exporter: &ExporterInfo) -> u16 {
        match self.file.as_mut().map(|file| file.exporter(exporter)) {
            Some(Ok(number)) => number,
            Some(Err(error)) => {
                self.give_up(&error);
                0
            }
            None => 0,
        }
    }

    /// Appends a flow record.
    pub fn record(&mut self, record: &[u8]) {
        match self.file.as_mut().map(|file| file.record(record)) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.lost += 1;
                self.give_up(&error);
            }
            None => self.lost += 1,
        }
    }

    /// Brings a started block to disk when it is older than ten seconds.
    pub fn tick(&mut self, now_ms: u64) {
        if now_ms.abs_diff(self.last_flush_ms) < FLUSH_INTERVAL_MS {
            return;
        }
        self.last_flush_ms = now_ms;
        if let Some(Err(error)) = self.file.as_mut().map(FileWriter::flush) {
            self.give_up(&error);
        }
    }

    /// Finishes the slot and opens that of `now_ms`.
    pub fn rotate(&mut self, now_ms: u64, statistics: &[ExporterStatistics]) -> SlotReport {
        let report = self.finish(statistics);
        self.start_s = slot_start(seconds(now_ms), self.options.interval_s);
        self.last_flush_ms = now_ms;
        match create(&self.options, &self.working, self.start_s) {
            Ok(file) => self.file = Some(file),
            Err(error) => error!("this slot is lost: {error}"),
        }
        report
    }

    /// Finishes the slot and gives the file its name.
    pub fn finish(&mut self, statistics: &[ExporterStatistics]) -> SlotReport {
        let lost = std::mem::take(&mut self.lost);
        let Some(file) = self.file.take() else { return SlotReport { totals: None, lost } };
        let window = (self.start_s, self.start_s + i64::from(self.options.interval_s));
        let finished = file.finish(window, statistics);
        let totals = match finished {
            Ok(totals) => Some(totals),
            Err(error) => {
                error!("the slot's file stays without totals: {error}");
                None
            }
        };
        if let Err(error) = publish(&self.working, &self.options, self.start_s, &self.zone) {
            error!("the slot's file keeps its working name: {error}");
        }
        SlotReport { totals, lost }
    }

    /// The disk refused something: says so once, names what there is, and waits for the next slot.
    fn give_up(&mut self, error: &FileError) {
        error!("flow records are dropped until the next slot: {error}");
        if let Some(file) = self.file.take() {
            self.lost += file.unwritten();
            drop(file);
            if let Err(error) = publish(&self.working, &self.options, self.start_s, &self.zone) {
                error!("the slot's file keeps its working name: {error}");
            }
        }
    }
}

fn create(options: &SlotOptions, path: &Path, start_s: i64) -> Result<FileWriter, FileError> {
    FileWriter::create(path, &WriterOptions { ident: options.ident.clone(), compression: options.compression, created_s: start_s })
}

/// Gives a complete file its final name; if that exists (a restart within the slot, the end of summer time), the new
/// blocks are merged into it.
fn publish(working: &Path, options: &SlotOptions, start_s: i64, zone: &TimeZone) -> std::io::Result<PathBuf> {
    let directory = options.directory.join(sub_directory(options.sub_directory, start_s, zone));
    std::fs::create_dir_all(&directory)?;
    let target = directory.join(file_name(start_s, options.interval_s, zone));
    if target.exists() {
        nfdump_compat::file::append(&target, working).map_err(std::io::Error::other)?;
        std::fs::remove_file(working)?;
    } else {
        std::fs::rename(working, &target)?;
    }
    // The rename itself is durable only when the directory is.
    File::open(&directory)?.sync_all()?;
    Ok(target)
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}
