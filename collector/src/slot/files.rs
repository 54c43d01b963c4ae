//! The threads behind the slots: some compress blocks, one writes them in order, some [close the files](super::finish),
//! so that whoever decodes waits neither for a processor nor for a disk. The blocks that may wait are bounded; when
//! there are too many, datagrams' records are dropped and counted, those of streams and files wait.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nfdump_compat::file::{BlockEncoder, Compression, FileError, RawBlock, StoredBlock};
use tracing::{error, warn};

use super::finish::Finisher;
use super::running::{Slot, Status};
use super::{SlotOptions, SlotReport};

/// Blocks (of 1 MiB before compression) that may wait for compression and disk, all sources together.
pub const MAX_WAITING: usize = 64;

/// Octets of a block before compression.
pub const BLOCK: usize = 1 << 20;

/// Octets of waiting blocks, each with its stored form.
#[must_use]
pub fn memory() -> usize {
    2 * MAX_WAITING * BLOCK
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
    dropped: Arc<Dropped>,
}

/// Flow records that came to no file, of all sources.
#[derive(Debug, Default)]
pub struct Dropped {
    /// There was no room before compression and disk.
    overrun: AtomicU64,
    /// The disk did not take them.
    unwritten: AtomicU64,
}

impl Dropped {
    /// How many for each cause.
    #[must_use]
    pub fn causes(&self) -> [(u64, &'static str); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            (
                read(&self.overrun),
                "flow records dropped because compression and disk were behind",
            ),
            (
                read(&self.unwritten),
                "flow records that could not be written",
            ),
        ]
    }

    /// There was no room for one more.
    pub fn overrun(&self) {
        self.overrun.fetch_add(1, Ordering::Relaxed);
    }

    /// The disk did not take so many.
    pub fn unwritten(&self, flows: u64) {
        self.unwritten.fetch_add(flows, Ordering::Relaxed);
    }
}

impl fmt::Debug for FilesHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilesHandle({})", self.compression)
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
    Close(u64, Box<Ending>, Option<Next>),
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
    /// Told what the file holds.
    pub tell: Box<dyn FnOnce(SlotReport) + Send>,
}

/// The slot that follows.
pub struct Next {
    /// Where and how it is written.
    pub options: SlotOptions,
    /// The second in which it begins to be written.
    pub created_s: i64,
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
        let next_id = Arc::<AtomicU64>::default();
        let handle = FilesHandle {
            steps,
            jobs,
            room: Arc::clone(&room),
            spares: Arc::clone(&spares),
            next_id: Arc::clone(&next_id),
            opened: Arc::default(),
            compression: options.compression,
            dropped: Arc::default(),
        };
        let mut writer = Writer {
            slots: HashMap::new(),
            encoder: encoder()?,
            room,
            spares,
            next_id,
            finisher: Finisher::start(encoder, options.expire, options.launch)?,
        };
        let writer = Builder::new().name("write".to_owned()).spawn(move || {
            writer.run(&received);
            writer.finisher.end();
        })?;
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
        let (options, dropped) = (options.clone(), self.dropped());
        let slot = Slot::open(options, working, created_s, self.compression, dropped)?;
        let status = slot.status();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let _ = self.steps.send(Step::Open(id, Box::new(slot)));
        Ok((id, status))
    }

    /// For how long blocks have waited without one being taken; `None`: none waits.
    #[must_use]
    pub fn stalled(&self) -> Option<Duration> {
        let taken = lock(&self.room.taken);
        (taken.blocks > 0).then(|| taken.since.elapsed())
    }

    /// What came to no file so far.
    #[must_use]
    pub fn dropped(&self) -> Arc<Dropped> {
        Arc::clone(&self.dropped)
    }

    /// Asks for room for one more block; a patient one waits until there is some.
    #[must_use]
    pub fn enter(&self, patient: bool) -> bool {
        self.room.enter(patient)
    }

    /// One more block, whether there is room or not: the last one of a slot.
    pub fn enter_anyway(&self) {
        lock(&self.room.taken).add();
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

    /// Ends a slot, and begins the next if there is one.
    pub fn close(&self, id: u64, ending: Ending, next: Option<Next>) {
        let _ = self.steps.send(Step::Close(id, Box::new(ending), next));
    }
}

/// Blocks between those who decode and the disk.
#[derive(Debug)]
struct Room {
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Debug)]
struct Taken {
    blocks: usize,
    /// When the last block left, or came where there was none.
    since: Instant,
}

impl Default for Room {
    fn default() -> Self {
        let taken = Taken {
            blocks: 0,
            since: Instant::now(),
        };
        Self {
            taken: Mutex::new(taken),
            left: Condvar::new(),
        }
    }
}

impl Room {
    fn enter(&self, patient: bool) -> bool {
        let mut taken = lock(&self.taken);
        if patient {
            let is_full = |taken: &mut Taken| taken.blocks >= MAX_WAITING;
            let left = self.left.wait_while(taken, is_full);
            taken = left.unwrap_or_else(PoisonError::into_inner);
        }
        if taken.blocks >= MAX_WAITING {
            return false;
        }
        taken.add();
        true
    }

    fn leave(&self) {
        let mut taken = lock(&self.taken);
        taken.blocks = taken.blocks.saturating_sub(1);
        taken.since = Instant::now();
        self.left.notify_one();
    }
}

impl Taken {
    fn add(&mut self) {
        if self.blocks == 0 {
            self.since = Instant::now();
        }
        self.blocks += 1;
    }
}

/// Memory of blocks that are written, to be used again.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    const MAX: usize = 8;

    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    /// Keeps some of it.
    pub fn give(&self, memory: Vec<u8>) {
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
    next_id: Arc<AtomicU64>,
    finisher: Finisher,
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
                Step::Close(id, ending, next) => self.close(id, *ending, next),
                Step::End => break,
            }
        }
    }

    /// Hands the file on to be closed and begins the next one at once.
    fn close(&mut self, id: u64, ending: Ending, next: Option<Next>) {
        let Some(mut slot) = self.slots.remove(&id) else {
            return;
        };
        let mut written = slot.end(ending, &mut self.encoder);
        if let Some(next) = next {
            let number = self.next_id.fetch_add(1, Ordering::Relaxed);
            slot.begin(next, written.make_way(number), &self.encoder);
            self.slots.insert(id, slot);
        }
        self.finisher.finish(written);
    }
}

/// Says once a slot that there is no room for more blocks.
pub fn warn_overrun(ident: &str) {
    warn!(
        "Ident: '{ident}' flow records are dropped: {MAX_WAITING} blocks wait for compression and disk"
    );
}

/// A thread that panicked leaves values that are still good for the others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
