//! The threads behind the slots: some compress blocks, one writes them in order and closes the files, so that whoever
//! decodes waits neither for a processor nor for a disk. The blocks that may wait are bounded; when there are too many,
//! datagrams' records are dropped and counted, those of streams and files wait.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nfdump_compat::file::{
    BlockEncoder, BlockFile, Compression, FileError, RawBlock, StoredBlock, WriterOptions,
};
use tracing::{error, info, warn};

use super::{SlotOptions, SlotReport, publish};
use crate::expire::Expirer;
use crate::launcher::{Finished, Launcher};

/// Blocks (of 1 MiB before compression) that may wait for compression and disk, all sources together.
pub const MAX_WAITING: usize = 32;
/// What a disk refused is tried again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// Octets of waiting blocks, each with its stored form.
#[must_use]
pub fn memory() -> usize {
    2 * MAX_WAITING * (1 << 20)
}

/// What happens to every file, and after each.
#[derive(Debug, Default)]
pub struct FilesOptions {
    /// How blocks are compressed.
    pub compression: Compression,
    /// How hard, where the method has levels.
    pub level: Option<i32>,
    /// Threads that compress, at least one.
    pub compressors: usize,
    /// Old files are deleted after each slot.
    pub expire: bool,
    /// The words of a command to run after each slot.
    pub launch: Vec<String>,
}

/// The running threads.
#[derive(Debug)]
pub struct Files {
    handle: FilesHandle,
    writer: JoinHandle<()>,
}

/// What slots know of the threads.
#[derive(Clone)]
pub struct FilesHandle {
    steps: Sender<Step>,
    /// `None`: nothing to compress.
    jobs: Option<Sender<Job>>,
    room: Arc<Room>,
    spares: Arc<Spares>,
    next_id: Arc<AtomicU64>,
    /// Directories in which a file was opened.
    opened: Arc<Mutex<HashSet<PathBuf>>>,
    compression: Compression,
}

impl fmt::Debug for FilesHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilesHandle({})", self.compression)
    }
}

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

/// A block to be compressed, and where it is waited for.
struct Job {
    raw: RawBlock,
    done: SyncSender<Result<StoredBlock, String>>,
}

/// What the writing thread does, in this order.
enum Step {
    Open(u64, Box<Slot>),
    Block(u64, Receiver<Result<StoredBlock, String>>),
    Tick(u64),
    Close(u64, Box<Ending>),
    End,
}

/// The end of a slot.
pub struct Ending {
    /// Begin of the slot, seconds since 1970.
    pub start_s: i64,
    /// Its end.
    pub end_s: i64,
    /// Flow records that there was no room for.
    pub overrun: u64,
    /// The next slot's options and the second in which it begins to be written; `None`: there is none.
    pub next: Option<(SlotOptions, i64)>,
    /// Told what the file holds.
    pub tell: Box<dyn FnOnce(SlotReport) + Send>,
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
}

impl Files {
    /// Starts the threads.
    ///
    /// # Errors
    /// The compression cannot be started, or the system has no thread left.
    pub fn start(options: FilesOptions) -> std::io::Result<Self> {
        let encoder =
            || BlockEncoder::new(options.compression, options.level).map_err(std::io::Error::other);
        let spares = Arc::<Spares>::default();
        let mut jobs = None;
        if options.compression != Compression::None {
            let (sender, receiver) = channel();
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..options.compressors.max(1) {
                let (mut encoder, receiver) = (encoder()?, Arc::clone(&receiver));
                let spares = Arc::clone(&spares);
                Builder::new()
                    .name("compress".to_owned())
                    .spawn(move || compress(&mut encoder, &receiver, &spares))?;
            }
            jobs = Some(sender);
        }
        let (steps, received) = channel();
        let room = Arc::<Room>::default();
        let handle = FilesHandle {
            steps,
            jobs,
            room: Arc::clone(&room),
            spares: Arc::clone(&spares),
            next_id: Arc::default(),
            opened: Arc::default(),
            compression: options.compression,
        };
        let mut writer = Writer {
            slots: HashMap::new(),
            encoder: encoder()?,
            room,
            spares,
            launcher: Launcher::new(options.launch),
            expirer: if options.expire {
                Some(Expirer::start()?)
            } else {
                None
            },
        };
        let writer = Builder::new()
            .name("write".to_owned())
            .spawn(move || writer.run(&received))?;
        Ok(Self { handle, writer })
    }

    /// For the slots.
    #[must_use]
    pub fn handle(&self) -> FilesHandle {
        self.handle.clone()
    }

    /// Waits until everything that the slots have handed over is written.
    pub fn end(self) {
        let _ = self.handle.steps.send(Step::End);
        if self.writer.join().is_err() {
            error!("the thread that writes has failed: the last slot may be unfinished");
        }
    }
}

impl FilesHandle {
    /// A number that tells apart files of a directory in which one was opened before; `None` for the first one.
    #[must_use]
    pub fn again(&self, directory: &Path) -> Option<u64> {
        let is_new = lock(&self.opened).insert(directory.to_owned());
        (!is_new).then(|| self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates the file of a slot, by which the others know it from now on.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(
        &self,
        options: &SlotOptions,
        working: PathBuf,
        created_s: i64,
    ) -> Result<(u64, Arc<Status>), FileError> {
        let status = Arc::<Status>::default();
        let mut slot = Slot {
            options: options.clone(),
            working,
            created_s,
            file: None,
            unwritten: None,
            owed: RawBlock::default(),
            lost: 0,
            stalled: None,
            status: Arc::clone(&status),
        };
        slot.file = Some(slot.create(self.compression)?);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let _ = self.steps.send(Step::Open(id, Box::new(slot)));
        Ok((id, status))
    }

    /// Asks for room for one more block; a patient one waits until there is some.
    #[must_use]
    pub fn enter(&self, patient: bool) -> bool {
        self.room.enter(patient)
    }

    /// One more block, whether there is room or not: the last one of a slot.
    pub fn enter_anyway(&self) {
        *lock(&self.room.waiting) += 1;
    }

    /// Hands over a block that has entered.
    pub fn block(&self, id: u64, raw: RawBlock) {
        let (done, coming) = sync_channel(1);
        let job = Job { raw, done };
        match &self.jobs {
            Some(jobs) => {
                let _ = jobs.send(job);
            }
            // Only the header of the block is missing.
            None => {
                let stored = BlockEncoder::new(Compression::None, None)
                    .and_then(|mut encoder| encoder.store(job.raw, Vec::new()))
                    .map(|(stored, _)| stored);
                let _ = job.done.send(stored);
            }
        }
        let _ = self.steps.send(Step::Block(id, coming));
    }

    /// Memory for a block.
    #[must_use]
    pub fn spare(&self) -> Vec<u8> {
        self.spares.take()
    }

    /// Lets what the disk refused be tried again.
    pub fn tick(&self, id: u64) {
        let _ = self.steps.send(Step::Tick(id));
    }

    /// Ends a slot.
    pub fn close(&self, id: u64, ending: Ending) {
        let _ = self.steps.send(Step::Close(id, Box::new(ending)));
    }
}

/// Blocks between those who decode and the disk.
#[derive(Debug, Default)]
struct Room {
    waiting: Mutex<usize>,
    left: Condvar,
}

impl Room {
    fn enter(&self, patient: bool) -> bool {
        let mut waiting = lock(&self.waiting);
        if patient {
            let left = self.left.wait_while(waiting, |n| *n >= MAX_WAITING);
            waiting = left.unwrap_or_else(PoisonError::into_inner);
        }
        if *waiting >= MAX_WAITING {
            return false;
        }
        *waiting += 1;
        true
    }

    fn leave(&self) {
        let mut waiting = lock(&self.waiting);
        *waiting = waiting.saturating_sub(1);
        self.left.notify_one();
    }
}

/// Memory of blocks that are written, to be used again.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    const MAX: usize = 8;

    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    fn give(&self, memory: Vec<u8>) {
        let mut spares = lock(&self.0);
        if spares.len() < Self::MAX {
            spares.push(memory);
        }
    }
}

fn compress(encoder: &mut BlockEncoder, jobs: &Mutex<Receiver<Job>>, spares: &Spares) {
    loop {
        let job = lock(jobs).recv();
        let Ok(Job { raw, done }) = job else {
            return;
        };
        let stored = encoder.store(raw, spares.take()).map(|(stored, memory)| {
            spares.give(memory);
            stored
        });
        let _ = done.send(stored);
    }
}

/// The writing thread.
struct Writer {
    slots: HashMap<u64, Box<Slot>>,
    encoder: BlockEncoder,
    room: Arc<Room>,
    spares: Arc<Spares>,
    launcher: Launcher,
    expirer: Option<Expirer>,
}

impl Writer {
    fn run(&mut self, steps: &Receiver<Step>) {
        while let Ok(step) = steps.recv() {
            match step {
                Step::Open(id, slot) => {
                    self.slots.insert(id, slot);
                }
                Step::Block(id, coming) => {
                    let stored = coming.recv();
                    if let Some(slot) = self.slots.get_mut(&id) {
                        match stored {
                            Ok(Ok(block)) => slot.block(block, &mut self.encoder, &self.spares),
                            Ok(Err(reason)) => error!("a block cannot be compressed: {reason}"),
                            Err(_) => error!("a thread that compresses has failed"),
                        }
                    }
                    self.room.leave();
                }
                Step::Tick(id) => {
                    if let Some(slot) = self.slots.get_mut(&id) {
                        slot.retry(&mut self.encoder, false);
                    }
                }
                Step::Close(id, ending) => self.close(id, *ending),
                Step::End => break,
            }
        }
        self.launcher.end();
        if let Some(expirer) = self.expirer.take() {
            expirer.end();
        }
    }

    fn close(&mut self, id: u64, ending: Ending) {
        let Some(mut slot) = self.slots.remove(&id) else {
            return;
        };
        let (totals, published) = slot.close(&ending, &mut self.encoder);
        let Ending {
            start_s,
            overrun,
            next,
            tell,
            ..
        } = ending;
        tell(SlotReport {
            totals,
            lost: slot.lost,
            overrun,
        });
        let options = slot.options.clone();
        if let Some((options, created_s)) = next {
            slot.options = options;
            slot.created_s = created_s;
            slot.begin(&self.encoder);
            self.slots.insert(id, slot);
        }
        if let Some(expirer) = &self.expirer {
            expirer.slot_ended(&options.directory);
        }
        if let Some(path) = published {
            self.launcher.launch(&Finished {
                path: &path,
                directory: &options.directory,
                stamp: options.calendar.stamp(start_s),
                start_s,
                ident: &options.ident,
            });
        }
    }
}

impl Slot {
    fn create(&self, compression: Compression) -> Result<BlockFile, FileError> {
        let options = WriterOptions {
            ident: self.options.ident.clone(),
            compression,
            created_s: self.created_s,
        };
        BlockFile::create(&self.working, &options)
    }

    /// Begins the file of another slot.
    fn begin(&mut self, encoder: &BlockEncoder) {
        (self.lost, self.stalled) = (0, None);
        self.owed = RawBlock::default();
        self.status.set(None);
        match self.create(encoder.compression()) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.stall(&error),
        }
    }

    /// Writes a block, or counts what it holds as lost while the disk refuses.
    fn block(&mut self, block: StoredBlock, encoder: &mut BlockEncoder, spares: &Spares) {
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
        self.lost += u64::from(block.flows());
        self.owed.append(&block.origins());
    }

    /// Tries again what was refused, if that is long enough ago.
    fn retry(&mut self, encoder: &mut BlockEncoder, now: bool) {
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
            None => self.create(encoder.compression())?,
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
            let owed = std::mem::take(&mut self.owed);
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

    /// Closes the file and gives it its name; its totals, and where it is.
    fn close(
        &mut self,
        ending: &Ending,
        encoder: &mut BlockEncoder,
    ) -> (Option<nfdump_compat::file::StatRecord>, Option<PathBuf>) {
        self.retry(encoder, true);
        if let Some(block) = self.unwritten.take() {
            self.drop(block);
        }
        let Some(file) = self.file.take() else {
            return (None, None);
        };
        let ms = |s: i64| u64::try_from(s).unwrap_or(0).saturating_mul(1000);
        let totals = match file.close((ms(ending.start_s), ms(ending.end_s)), encoder) {
            Ok(totals) => Some(totals),
            Err(error) => {
                error!("the file of this slot stays without its totals: {error}");
                None
            }
        };
        match publish(&self.working, &self.options, ending.start_s) {
            Ok(path) => (totals, Some(path)),
            Err(error) => {
                error!("{}: {error}", self.working.display());
                // Somebody has deleted it.
                if !self.working.exists() {
                    self.lost += totals.map_or(0, |totals| totals.flows);
                    return (None, None);
                }
                (totals, None)
            }
        }
    }
}

/// Says once a slot that there is no room for more blocks.
pub fn warn_overrun(ident: &str) {
    warn!(
        "Ident: '{ident}' flow records are dropped: {MAX_WAITING} blocks wait for compression and disk"
    );
}

/// A thread that panicked leaves values that are still good for the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
