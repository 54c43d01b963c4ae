//! The threads that close files: appendix, fsync, name, then expiry and the launcher. The files that may wait for them
//! are bounded; when there are too many, the thread that writes waits as well.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::BuildHasher as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use foldhash::fast::FixedState;
use nfdump_compat::file::{BlockEncoder, BlockFile, StatRecord, merge};
use tracing::{error, warn};

use super::files::{Dropped, Ending};
use super::{SlotOptions, SlotReport, working_name};
use crate::expire::Expirer;
use crate::launcher::{Finished, Launcher};

/// They wait for the disk most of the time, and a file system does several fsync at once.
const THREADS: usize = 8;
/// Files that may wait to be closed, each with an open descriptor.
pub const MAX_WAITING: usize = 32;

/// A file with all its blocks.
pub struct Written {
    /// `None`: it could not be created.
    pub file: Option<BlockFile>,
    /// Its name until it is complete.
    pub working: PathBuf,
    /// What it was written by.
    pub options: SlotOptions,
    /// Flow records that the disk did not take.
    pub lost: u64,
    /// Those of all files.
    pub dropped: Arc<Dropped>,
    /// Its slot's.
    pub ending: Ending,
}

impl Written {
    /// Leaves its name to the file of the next slot; gives the name that is free then.
    pub fn make_way(&mut self, number: u64) -> PathBuf {
        let other = self.options.directory.join(working_name(Some(number)));
        let moved = self.file.as_mut().map(|file| file.rename(&other));
        if let Some(Err(_)) = moved {
            return other;
        }
        std::mem::replace(&mut self.working, other)
    }

    /// Closes the file and gives it its name; its totals, and where it is.
    fn close(&mut self, encoder: &mut BlockEncoder) -> (Option<StatRecord>, Option<PathBuf>) {
        let Some(file) = self.file.take() else {
            return (None, None);
        };
        let ms = |s: i64| u64::try_from(s).unwrap_or(0).saturating_mul(1000);
        let window = (ms(self.ending.start_s), ms(self.ending.end_s));
        let totals = match file.close(window, encoder) {
            Ok(totals) => Some(totals),
            Err(error) => {
                error!("the file of this slot stays without its totals: {error}");
                None
            }
        };
        match publish(&self.working, &self.options, self.ending.start_s) {
            Ok(path) => (totals, Some(path)),
            Err(error) => {
                error!("{}: {error}", self.working.display());
                // Somebody has deleted it.
                if !self.working.exists() {
                    let flows = totals.map_or(0, |totals| totals.flows);
                    self.lost += flows;
                    self.dropped.unwritten(flows);
                    return (None, None);
                }
                (totals, None)
            }
        }
    }
}

/// The running threads.
pub struct Finisher {
    files: Vec<SyncSender<Written>>,
    threads: Vec<JoinHandle<()>>,
    after: Arc<After>,
}

/// What follows a file that is complete.
struct After {
    launcher: Launcher,
    expirer: Option<Expirer>,
}

impl Finisher {
    /// Starts them; old files are deleted after each slot if `expire`, and the command `launch` is run.
    ///
    /// # Errors
    /// The compression cannot be started, or the system has no thread left.
    pub fn start(
        encoder: impl Fn() -> io::Result<BlockEncoder>,
        expire: bool,
        launch: Vec<String>,
    ) -> io::Result<Self> {
        let expirer = if expire {
            Some(Expirer::start()?)
        } else {
            None
        };
        let mut finisher = Self {
            files: Vec::new(),
            threads: Vec::new(),
            after: Arc::new(After {
                launcher: Launcher::new(launch),
                expirer,
            }),
        };
        for _ in 0..THREADS {
            let (files, received) = sync_channel(MAX_WAITING / THREADS);
            let (mut encoder, after) = (encoder()?, Arc::clone(&finisher.after));
            let run = move || run(&received, &mut encoder, &after);
            let thread = Builder::new().name("close".to_owned()).spawn(run)?;
            finisher.files.push(files);
            finisher.threads.push(thread);
        }
        Ok(finisher)
    }

    /// Hands over a file, behind those of the same directory.
    pub fn finish(&self, written: Written) {
        let hash = FixedState::default().hash_one(&written.options.directory);
        let thread = usize::try_from(hash % THREADS as u64).unwrap_or(0);
        if let Some(files) = self.files.get(thread)
            && let Err(unsent) = files.send(written)
        {
            // Its thread has panicked.
            error!("{}: left unfinished", unsent.0.working.display());
        }
    }

    /// Waits until all are finished.
    pub fn end(self) {
        drop(self.files);
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a thread that closes files has failed: a slot may be unfinished");
            }
        }
        if let Some(After { launcher, expirer }) = Arc::into_inner(self.after) {
            launcher.end();
            if let Some(expirer) = expirer {
                expirer.end();
            }
        }
    }
}

fn run(files: &Receiver<Written>, encoder: &mut BlockEncoder, after: &After) {
    for mut written in files {
        let (totals, published) = written.close(encoder);
        let Written {
            options,
            lost,
            ending,
            ..
        } = written;
        (ending.tell)(SlotReport {
            totals,
            lost,
            overrun: ending.overrun,
        });
        if let Some(expirer) = &after.expirer {
            expirer.slot_ended(&options.directory);
        }
        if let Some(path) = published {
            after.launcher.launch(&Finished {
                path: &path,
                directory: &options.directory,
                stamp: options.calendar.stamp(ending.start_s),
                start_s: ending.start_s,
                ident: &options.ident,
            });
        }
    }
}

/// Gives a complete file its final name. If that exists (a restart within the slot, the end of summer time) the two become
/// one; if that fails, too, the file gets a number behind its name rather than be overwritten by the next slot.
///
/// # Errors
/// It keeps its name.
pub fn publish(working: &Path, options: &SlotOptions, start_s: i64) -> io::Result<PathBuf> {
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
