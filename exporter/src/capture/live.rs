//! Frames of an interface as they arrive.
//!
//! A thread does nothing but take frames out of the kernel's buffer. They cross to the meter in blocks, which come back
//! and are used again (Tranalyzer's IO_BUFFERING): a pause of the meter costs no packet before both the kernel's
//! buffer and the blocks are full, and nothing is allocated per frame. What is lost where is counted apart.

mod device;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{CaptureInfo, Filter, FilterError, Format, Frame, LinkType};
use crate::config::LiveConfig;
use device::Device;

/// How long an interface may be silent before the caller gets an empty batch.
const PATIENCE: Duration = Duration::from_millis(100);

/// Octets of frames in a block, and most frames.
const BLOCK: usize = 256 * 1024;
const FRAMES: usize = 4096;

/// Blocks between the thread and the meter: 16 MiB, as Tranalyzer's queue.
const BLOCKS: usize = 64;

/// How long the thread waits for a block to come back before it drops frames: Tranalyzer's wait. The kernel's buffer
/// fills meanwhile.
const FULL_PATIENCE: Duration = Duration::from_millis(200);

/// How often the kernel is asked for its counters.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// After a stop, frames that the kernel still holds are read for so long at most. It may hand them over up to
/// [`PATIENCE`] late.
const DRAIN: Duration = Duration::from_secs(1);

/// An interface that cannot be listened on, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There is no such interface.
    #[error("no interface {interface}: there are {}", known.join(", "))]
    Unknown {
        /// The name.
        interface: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The system does not allow it.
    #[error(
        "{interface}: not permitted to capture ({message}): give {program} the right once with \
         'setcap cap_net_raw,cap_net_admin+eip {program}', start it as root (--user gives root's rights up again), \
         or join the group that may"
    )]
    Permission {
        /// The name.
        interface: String,
        /// What libpcap says.
        message: String,
        /// This program's path.
        program: String,
    },
    /// Anything else.
    #[error("{interface}: cannot capture: {message}")]
    Open {
        /// The name.
        interface: String,
        /// What libpcap says.
        message: String,
    },
    /// The filter is wrong for the interface.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Capturing ended by itself.
    #[error("{interface}: capturing ended: {message}")]
    Ended {
        /// The name.
        interface: String,
        /// What libpcap says.
        message: String,
    },
}

/// Packets between the wire and the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LiveCounters {
    /// Packets that the kernel saw and that the filter wanted, those it dropped included.
    pub received: u64,
    /// Dropped because the kernel's buffer was full.
    pub kernel_dropped: u64,
    /// Dropped by the interface or its driver.
    pub interface_dropped: u64,
    /// Dropped because all blocks waited for the meter.
    pub ring_dropped: u64,
}

/// The same, told by one thread and read by others.
#[derive(Debug, Default)]
struct Shared {
    received: AtomicU64,
    kernel: AtomicU64,
    interface: AtomicU64,
    ring: AtomicU64,
}

/// What is known of a frame beside its octets.
#[derive(Clone, Copy, Debug)]
struct Head {
    ts_ns: i64,
    captured: u32,
    original: u32,
}

/// Where frames come from. A device, or in tests something that makes them up.
trait Source: Send {
    /// Waits up to [`PATIENCE`] and hands over frames that have arrived, at most [`Self::BATCH`]. Returns how many.
    ///
    /// An error ends the capture: the reason.
    fn poll(&mut self, take: &mut dyn FnMut(Head, &[u8])) -> Result<usize, String>;

    /// The counters of kernel and interface. Those of the ring stay 0.
    fn counters(&mut self) -> LiveCounters;
}

/// Most frames of one [`Source::poll`].
const BATCH: usize = 1024;

/// Frames one after the other, in room that is allocated once.
#[derive(Debug)]
struct Block {
    octets: Vec<u8>,
    heads: Vec<Head>,
}

impl Block {
    fn new(octets: usize, frames: usize) -> Self {
        Block {
            octets: Vec::with_capacity(octets),
            heads: Vec::with_capacity(frames),
        }
    }

    /// Whether there was room.
    #[inline]
    fn push(&mut self, head: Head, octets: &[u8]) -> bool {
        let room = self.octets.capacity() - self.octets.len();
        if octets.len() > room || self.heads.len() == self.heads.capacity() {
            return false;
        }
        self.octets.extend_from_slice(octets);
        self.heads.push(head);
        true
    }

    fn batch(&self, link: LinkType) -> LiveBatch<'_> {
        LiveBatch {
            octets: &self.octets,
            heads: &self.heads,
            link,
        }
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.heads.clear();
    }
}

/// From the thread to the meter.
enum Filled {
    Frames(Block),
    /// The capture has ended, and why.
    Ended(String),
}

/// An interface that is listened on.
pub struct LiveCapture {
    interface: String,
    link: LinkType,
    snap_length: u32,
    way: Way,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

/// How frames get here.
enum Way {
    /// By a thread.
    Buffered {
        full: Receiver<Filled>,
        empty: Sender<Block>,
        /// What the last batch lent.
        lent: Option<Block>,
        thread: Option<JoinHandle<()>>,
    },
    /// Straight from the kernel.
    Direct {
        source: Box<dyn Source>,
        block: Block,
        drain: Drain,
    },
}

impl LiveCapture {
    /// Begins to listen. The kernel applies the filter.
    ///
    /// # Errors
    /// When the interface is not there or not to be had, or the filter is wrong.
    pub fn open(config: &LiveConfig, filter: Option<&mut Filter>) -> Result<Self, LiveError> {
        let device = Device::open(config, filter)?;
        let link = device.link();
        Ok(Self::start(config, link, Box::new(device), BLOCKS))
    }

    fn start(config: &LiveConfig, link: LinkType, source: Box<dyn Source>, blocks: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let stop = Arc::new(AtomicBool::new(false));
        let longest = config.snap_length as usize;
        let way = if config.buffered {
            let (full, filled) = channel();
            let (back, empty) = channel();
            for _ in 0..blocks {
                // The other end is in this function.
                let _ = back.send(Block::new(BLOCK.max(longest), FRAMES));
            }
            let ring = Ring {
                current: None,
                starved: false,
                spare: Vec::new(),
                full,
                empty,
                shared: Arc::clone(&shared),
            };
            let stop = Arc::clone(&stop);
            Way::Buffered {
                full: filled,
                empty: back,
                lent: None,
                thread: Some(std::thread::spawn(move || read(source, ring, &stop))),
            }
        } else {
            let block = Block::new(BLOCK.max(longest * BATCH), BATCH);
            let drain = Drain::default();
            Way::Direct {
                source,
                block,
                drain,
            }
        };
        LiveCapture {
            interface: config.interface.clone(),
            link,
            snap_length: config.snap_length,
            way,
            shared,
            stop,
        }
    }

    /// The interface's name.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// What its frames start with, and how much of them is kept.
    #[must_use]
    pub fn info(&self) -> CaptureInfo {
        CaptureInfo {
            format: Format::Interface,
            link: Some(self.link),
            snaplen: self.snap_length,
        }
    }

    /// The counters of a moment ago; after the end the last ones.
    #[must_use]
    pub fn counters(&self) -> LiveCounters {
        LiveCounters {
            received: self.shared.received.load(Ordering::Relaxed),
            kernel_dropped: self.shared.kernel.load(Ordering::Relaxed),
            interface_dropped: self.shared.interface.load(Ordering::Relaxed),
            ring_dropped: self.shared.ring.load(Ordering::Relaxed),
        }
    }

    /// Ends the capture: what has arrived by now still comes in the next batches.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The next frames. An empty batch comes when there was none for 100 ms, `None` at the end.
    ///
    /// # Errors
    /// When the interface cannot be listened on any more. All frames before came in the batches before.
    pub fn next_batch(&mut self) -> Result<Option<LiveBatch<'_>>, LiveError> {
        let ended = match &mut self.way {
            Way::Direct { drain, .. } if drain.over => None,
            Way::Buffered {
                full,
                empty,
                lent,
                thread,
            } => {
                if let Some(mut block) = lent.take() {
                    block.clear();
                    // The thread may have ended.
                    let _ = empty.send(block);
                }
                match full.recv_timeout(PATIENCE) {
                    Ok(Filled::Frames(block)) => {
                        let block = lent.insert(block);
                        return Ok(Some(block.batch(self.link)));
                    }
                    Ok(Filled::Ended(message)) => Some(message),
                    Err(RecvTimeoutError::Timeout) => {
                        return Ok(Some(LiveBatch {
                            octets: &[],
                            heads: &[],
                            link: self.link,
                        }));
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        let panicked = thread.take().is_some_and(|thread| thread.join().is_err());
                        panicked.then(|| "the thread that reads has failed".to_owned())
                    }
                }
            }
            Way::Direct {
                source,
                block,
                drain,
            } => {
                block.clear();
                drain.stop_if(&self.stop, source.as_mut());
                let polled = source.poll(&mut |head, octets| {
                    if !block.push(head, octets) {
                        self.shared.ring.fetch_add(1, Ordering::Relaxed);
                    }
                });
                drain.took(*polled.as_ref().unwrap_or(&0));
                self.shared.tell(drain.counters(source.as_mut()));
                match polled {
                    Ok(_) => return Ok(Some(block.batch(self.link))),
                    Err(message) => Some(message),
                }
            }
        };
        match ended {
            None => Ok(None),
            Some(message) => Err(LiveError::Ended {
                interface: self.interface.clone(),
                message,
            }),
        }
    }
}

impl Drop for LiveCapture {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn tell(&self, counters: LiveCounters) {
        self.received.store(counters.received, Ordering::Relaxed);
        self.kernel
            .store(counters.kernel_dropped, Ordering::Relaxed);
        self.interface
            .store(counters.interface_dropped, Ordering::Relaxed);
    }
}

/// The thread's end of the blocks.
struct Ring {
    /// The block that is filled; `None` while there is none.
    current: Option<Block>,
    /// None has come back in time.
    starved: bool,
    /// Those that have come back.
    spare: Vec<Block>,
    full: Sender<Filled>,
    empty: Receiver<Block>,
    shared: Arc<Shared>,
}

impl Ring {
    #[inline]
    fn push(&mut self, head: Head, octets: &[u8]) {
        if let Some(block) = &mut self.current
            && block.push(head, octets)
        {
            return;
        }
        self.hand_over();
        // Once none has come back in time, nobody waits again before one has.
        let patience = match self.starved {
            true => Duration::ZERO,
            false => FULL_PATIENCE,
        };
        self.current = self.block(patience);
        self.starved = self.current.is_none();
        let kept = self
            .current
            .as_mut()
            .is_some_and(|block| block.push(head, octets));
        if !kept {
            self.shared.ring.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The empty block that was used last: blocks that were never needed stay untouched, and take no memory.
    fn block(&mut self, patience: Duration) -> Option<Block> {
        self.spare.extend(self.empty.try_iter());
        let last = self.spare.pop();
        last.or_else(|| self.empty.recv_timeout(patience).ok())
    }

    /// Gives the meter what there is.
    fn hand_over(&mut self) {
        if let Some(block) = self.current.take_if(|block| !block.heads.is_empty()) {
            // When nobody takes it, the run is over.
            let _ = self.full.send(Filled::Frames(block));
        }
    }
}

/// What the thread does.
fn read(mut source: Box<dyn Source>, mut ring: Ring, stop: &AtomicBool) {
    let shared = Arc::clone(&ring.shared);
    let mut told = Instant::now();
    let mut drain = Drain::default();
    loop {
        drain.stop_if(stop, source.as_mut());
        let polled = source.poll(&mut |head, octets| ring.push(head, octets));
        if !matches!(polled, Ok(BATCH..)) {
            ring.hand_over();
        }
        let ended = match polled {
            Ok(taken) => drain.took(taken),
            Err(_) => true,
        };
        if ended || told.elapsed() > COUNT_INTERVAL {
            told = Instant::now();
            shared.tell(drain.counters(source.as_mut()));
        }
        if ended {
            if let Err(message) = polled {
                let _ = ring.full.send(Filled::Ended(message));
            }
            return;
        }
    }
}

/// How a capture that is stopped ends: with all frames that had arrived by then.
#[derive(Debug, Default)]
struct Drain {
    delivered: u64,
    /// When it was stopped, and the frames that were to be delivered by then.
    stopped: Option<(Instant, u64)>,
    over: bool,
}

impl Drain {
    fn stop_if(&mut self, stop: &AtomicBool, source: &mut dyn Source) {
        if self.stopped.is_none() && stop.load(Ordering::Relaxed) {
            let counters = source.counters();
            let wanted = counters.received.saturating_sub(counters.kernel_dropped);
            self.stopped = Some((Instant::now(), wanted));
        }
    }

    /// Takes `taken` frames into account. Returns whether everything is there.
    fn took(&mut self, taken: usize) -> bool {
        self.delivered += taken as u64;
        self.over = self.stopped.is_some_and(|(since, wanted)| {
            taken < BATCH && self.delivered >= wanted || since.elapsed() > DRAIN
        });
        self.over
    }

    /// The source's counters; once it is stopped, without frames that came afterwards and that nobody reads.
    fn counters(&self, source: &mut dyn Source) -> LiveCounters {
        let mut counters = source.counters();
        if let Some((_, wanted)) = self.stopped {
            let read = self.delivered.max(wanted) + counters.kernel_dropped;
            counters.received = counters.received.min(read);
        }
        counters
    }
}

/// Frames that lie in a block.
#[derive(Debug)]
pub struct LiveBatch<'a> {
    octets: &'a [u8],
    heads: &'a [Head],
    link: LinkType,
}

impl LiveBatch<'_> {
    /// Whether the interface was silent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

impl<'a> Iterator for LiveBatch<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        let (head, heads) = self.heads.split_first()?;
        let (captured, octets) = self.octets.split_at_checked(head.captured as usize)?;
        (self.heads, self.octets) = (heads, octets);
        Some(Frame {
            ts_ns: head.ts_ns,
            captured,
            original_len: head.original,
            link: self.link,
        })
    }
}
