//! The file of the running slot: opened, flushed, rotated, finished; and what a crash left behind, recovered.
//!
//! A slot is written to `nfcapd.current.<pid>` and appears under its final name only when complete (fsync, rename, fsync
//! of the directory). A disk that refuses to take more costs the records of that slot from then on, counted, and
//! nothing that was written before.

pub mod name;
mod orphan;
pub mod shared;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nfdump_compat::file::{
    Compression, ExporterInfo, ExporterStat, FileError, FileReader, FileWriter, Sampler,
    StatRecord, WriterOptions, merge,
};
use tracing::{error, info, warn};

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
    working: PathBuf,
    start_s: i64,
    end_s: i64,
    /// `None` when the file of this slot could not be created.
    file: Option<FileWriter>,
    /// The disk refused a block: no record is taken until it accepts one again.
    stalled: bool,
    /// Why records are dropped at present.
    trouble: Option<String>,
    last_flush_ms: u64,
    lost: u64,
}

impl SlotWriter {
    /// Recovers what dead collectors left in the directory and opens the slot of `now_ms`.
    ///
    /// # Errors
    /// When the working file cannot be created.
    pub fn open(options: SlotOptions, now_ms: u64) -> Result<Self, FileError> {
        let working = options
            .directory
            .join(format!("nfcapd.current.{}", std::process::id()));
        for orphan in orphan::find(&options.directory) {
            match orphan::recover(&orphan, &options) {
                Ok(Some(target)) => info!(
                    "{}: unfinished file recovered as {}",
                    orphan.display(),
                    target.display()
                ),
                Ok(None) => info!(
                    "{}: unfinished file without a record removed",
                    orphan.display()
                ),
                Err(error) => error!("unfinished file left as it is: {error:#}"),
            }
        }
        let start_s = options.calendar.slot_start(seconds(now_ms));
        let end_s = options.calendar.slot_end(start_s);
        let file = create(&options, &working, seconds(now_ms))?;
        Ok(Self {
            options,
            working,
            start_s,
            end_s,
            file: Some(file),
            stalled: false,
            trouble: None,
            last_flush_ms: now_ms,
            lost: 0,
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

    /// Writes an exporter's record once a file and returns its number there; 0 while there is no file that takes it.
    pub fn exporter(&mut self, exporter: &ExporterInfo) -> u16 {
        if self.stalled {
            return 0;
        }
        match self.file.as_mut().map(|file| file.exporter(exporter)) {
            Some(Ok(number)) => number,
            Some(Err(error)) => {
                self.stall(&error);
                0
            }
            None => 0,
        }
    }

    /// Writes how an exporter samples.
    pub fn sampler(&mut self, sampler: &Sampler) {
        if let Some(file) = self.file.as_mut().filter(|_| !self.stalled)
            && let Err(error) = file.sampler(sampler)
        {
            self.stall(&error);
        }
    }

    /// Appends a flow record.
    pub fn record(&mut self, record: &[u8]) {
        let outcome = match &mut self.file {
            Some(file) if !self.stalled => file.record(record),
            _ => {
                self.lost += 1;
                return;
            }
        };
        if let Err(error) = outcome {
            self.lost += 1;
            self.stall(&error);
        }
    }

    /// Brings a started block to disk when it is older than ten seconds; tries again what the disk refused.
    pub fn tick(&mut self, now_ms: u64) {
        if now_ms.abs_diff(self.last_flush_ms) < FLUSH_INTERVAL_MS {
            return;
        }
        self.last_flush_ms = now_ms;
        match self.file.as_mut().map(FileWriter::flush) {
            Some(Err(error)) => self.stall(&error),
            Some(Ok(())) if self.stalled => {
                self.stalled = false;
                self.trouble = None;
                info!(
                    "{}: written again, {} flow records were dropped meanwhile",
                    self.working.display(),
                    self.lost
                );
            }
            _ => {}
        }
    }

    /// Finishes the slot and opens that of `now_ms`.
    pub fn rotate(&mut self, now_ms: u64, statistics: &[ExporterStat]) -> SlotReport {
        let report = self.finish(statistics);
        self.start_s = self.options.calendar.slot_start(seconds(now_ms));
        self.end_s = self.options.calendar.slot_end(self.start_s);
        self.last_flush_ms = now_ms;
        self.stalled = false;
        self.trouble = None;
        match create(&self.options, &self.working, seconds(now_ms)) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                error!("flow records are dropped until the next slot: {error}");
                self.trouble = Some(error.to_string());
            }
        }
        report
    }

    /// Finishes the slot and gives the file its name.
    pub fn finish(&mut self, statistics: &[ExporterStat]) -> SlotReport {
        let totals = self
            .file
            .take()
            .and_then(|file| self.close(file, statistics));
        SlotReport {
            totals,
            lost: std::mem::take(&mut self.lost),
        }
    }

    fn close(&mut self, file: FileWriter, statistics: &[ExporterStat]) -> Option<StatRecord> {
        let (pending, blocks) = (u64::from(file.pending_flows()), file.blocks());
        let start_ms = u64::try_from(self.start_s)
            .unwrap_or(0)
            .saturating_mul(1000);
        let totals = match file.finish((start_ms, self.end_ms()), statistics) {
            Ok(totals) => Some(totals),
            Err(error) => {
                error!("the file of this slot stays without its totals: {error}");
                // The blocks before stay readable; was the last one still taken?
                if FileReader::open(&self.working)
                    .is_ok_and(|reader| reader.header().blocks <= blocks)
                {
                    self.lost += pending;
                }
                None
            }
        };
        if let Err(error) = publish(&self.working, &self.options, self.start_s) {
            error!("{}: {error}", self.working.display());
        }
        totals
    }

    /// The disk refused something: says so once.
    fn stall(&mut self, error: &FileError) {
        if !self.stalled {
            error!("flow records are dropped until the disk takes them again: {error}");
        }
        self.stalled = true;
        self.trouble = Some(error.to_string());
    }
}

fn create(options: &SlotOptions, path: &Path, created_s: i64) -> Result<FileWriter, FileError> {
    FileWriter::create(
        path,
        &WriterOptions {
            ident: options.ident.clone(),
            compression: options.compression,
            created_s,
        },
    )
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
