//! From the listeners to the workers: one queue for each, bounded in octets.
//!
//! Whoever receives datagrams never waits: what a full queue does not take is dropped and counted. Streams wait, so
//! that TCP slows their exporter down. Each kind has room of its own, so neither crowds out the other. All messages of
//! an address go to one worker, in order: its templates are there.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Batch, Input};
use crate::state::Kept;

/// Room is given out in pieces of this many octets; no input takes less, which bounds their number.
const PIECE: usize = 1024;
/// Octets of datagrams that may wait, over all workers.
const DATAGRAMS: usize = 64 << 20;
/// Octets of stream messages that may wait, over all workers.
const MESSAGES: usize = 32 << 20;
/// Workers at most, so that each has room for the longest batch.
pub const MAX_WORKERS: usize = 64;

/// Octets that all queues hold at most, with what the allocator and the channel add to an input.
#[must_use]
pub fn memory() -> usize {
    (DATAGRAMS + MESSAGES) * 5 / 4
}

/// Something for a worker, and the room that it takes until it is dropped.
#[derive(Debug)]
pub struct Queued {
    /// What is to be done.
    pub input: Input,
    /// Gives the room back.
    pub room: Option<OwnedSemaphorePermit>,
}

/// The sending ends.
#[derive(Clone, Debug)]
pub struct Queues(Arc<[Queue]>);

#[derive(Debug)]
struct Queue {
    sender: UnboundedSender<Queued>,
    datagrams: Arc<Semaphore>,
    messages: Arc<Semaphore>,
    /// One tick at a time.
    ticks: Arc<Semaphore>,
}

/// How much of a worker's queue is in use.
#[derive(Clone, Debug)]
pub struct Depth {
    datagrams: Arc<Semaphore>,
    messages: Arc<Semaphore>,
    all: usize,
}

impl Depth {
    /// Octets that wait for the worker, rounded up.
    #[must_use]
    pub fn octets(&self) -> usize {
        let free = self.datagrams.available_permits() + self.messages.available_permits();
        self.all.saturating_sub(free) * PIECE
    }
}

impl Queues {
    /// Queues of so many workers, and their receiving ends.
    #[must_use]
    pub fn new(workers: usize) -> (Self, Vec<UnboundedReceiver<Queued>>) {
        let workers = workers.clamp(1, MAX_WORKERS);
        let room = |octets: usize| Arc::new(Semaphore::new(octets / PIECE / workers));
        let (queues, receivers): (Vec<_>, _) = (0..workers)
            .map(|_| {
                let (sender, receiver) = unbounded_channel();
                let queue = Queue {
                    sender,
                    datagrams: room(DATAGRAMS),
                    messages: room(MESSAGES),
                    ticks: Arc::new(Semaphore::new(1)),
                };
                (queue, receiver)
            })
            .unzip();
        (Self(queues.into()), receivers)
    }

    /// How full each queue is.
    #[must_use]
    pub fn depths(&self) -> Vec<Depth> {
        let depth = |queue: &Queue| Depth {
            datagrams: Arc::clone(&queue.datagrams),
            messages: Arc::clone(&queue.messages),
            all: queue.datagrams.available_permits() + queue.messages.available_permits(),
        };
        self.0.iter().map(depth).collect()
    }

    /// Queues datagrams without waiting; gives how many found no room, or no worker any more.
    pub fn datagrams(&self, batch: Batch) -> u64 {
        if let [only] = &*self.0 {
            return only.datagrams(batch);
        }
        let mut parts: Vec<Batch> = Vec::new();
        parts.resize_with(self.0.len(), || Batch {
            received_ms: batch.received_ms,
            ..Batch::default()
        });
        for (from, octets) in batch.iter() {
            if let Some(part) = parts.get_mut(worker_of(from.ip(), self.0.len())) {
                part.push(from, octets);
            }
        }
        let filled = self
            .0
            .iter()
            .zip(parts)
            .filter(|(_, part)| !part.is_empty());
        filled.map(|(queue, part)| queue.datagrams(part)).sum()
    }

    /// Queues the messages of one stream, or its end, once there is room; an error when the worker has gone.
    ///
    /// # Errors
    /// When nobody takes anything any more.
    pub async fn stream(&self, from: IpAddr, input: Input) -> Result<(), Gone> {
        let queue = self.0.get(worker_of(from, self.0.len())).ok_or(Gone)?;
        let room = match &input {
            Input::Messages(batch) => {
                let room = Arc::clone(&queue.messages).acquire_many_owned(pieces(batch));
                Some(room.await.map_err(|_| Gone)?)
            }
            _ => None,
        };
        queue.sender.send(Queued { input, room }).map_err(|_| Gone)
    }

    /// Tells every worker the time, unless the last tick still waits there.
    pub fn tick(&self, now_ms: u64) {
        for queue in &*self.0 {
            if let Ok(room) = Arc::clone(&queue.ticks).try_acquire_owned() {
                queue.send(Input::Tick(now_ms), Some(room));
            }
        }
    }

    /// Asks every worker for the templates of its datagram exporters.
    #[must_use]
    pub fn keep(&self) -> Vec<oneshot::Receiver<Kept>> {
        let ask = |queue: &Queue| {
            let (answer, kept) = oneshot::channel();
            queue.send(Input::Keep(answer), None);
            kept
        };
        self.0.iter().map(ask).collect()
    }

    /// Tells every worker that nothing more will come.
    pub fn end(&self) {
        self.0.iter().for_each(|queue| queue.send(Input::End, None));
    }

    /// Whether no listener has a copy any more.
    #[must_use]
    pub fn is_last_copy(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// The worker has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nobody takes messages any more")]
pub struct Gone;

impl Queue {
    /// A worker that has ended needs nothing any more.
    fn send(&self, input: Input, room: Option<OwnedSemaphorePermit>) {
        let _ = self.sender.send(Queued { input, room });
    }

    fn datagrams(&self, batch: Batch) -> u64 {
        let count = batch.len() as u64;
        let Ok(room) = Arc::clone(&self.datagrams).try_acquire_many_owned(pieces(&batch)) else {
            return count;
        };
        let queued = Queued {
            input: Input::Datagrams(batch),
            room: Some(room),
        };
        self.sender.send(queued).map_or(count, |()| 0)
    }
}

fn pieces(batch: &Batch) -> u32 {
    u32::try_from(batch.memory().div_ceil(PIECE).max(1)).unwrap_or(u32::MAX)
}

/// The worker of an address, the same in every run.
#[must_use]
pub fn worker_of(address: IpAddr, workers: usize) -> usize {
    let hash = FixedState::default().hash_one(address);
    usize::try_from(hash % workers.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn batch(datagrams: usize, octets: usize) -> Batch {
        let mut batch = Batch::default();
        for number in 0..datagrams {
            let from = SocketAddr::from(([10, 0, 0, number as u8], 1));
            batch.push(from, &vec![0; octets]);
        }
        batch
    }

    #[test]
    fn what_finds_no_room_is_counted_and_room_comes_back() {
        let (queues, mut receivers) = Queues::new(1);
        let depth = queues.depths().remove(0);
        let (mut queued, mut dropped) = (0, 0);
        for _ in 0..100 {
            match queues.datagrams(batch(20, 60_000)) {
                0 => queued += 20,
                lost => dropped += lost,
            }
        }
        assert_eq!(queued + dropped, 2000);
        assert!(dropped > 0 && queued * 60_000 <= DATAGRAMS as u64);
        // Not more is held than was promised, and by less than one batch not all of it.
        assert!(depth.octets() <= DATAGRAMS && depth.octets() > DATAGRAMS - 2 * 20 * 61_000);
        while receivers[0].try_recv().is_ok() {}
        assert_eq!(depth.octets(), 0);
        assert_eq!(queues.datagrams(batch(20, 60_000)), 0);
    }

    #[test]
    fn an_address_keeps_its_worker_and_order() {
        let (queues, mut receivers) = Queues::new(4);
        assert_eq!(queues.datagrams(batch(200, 10)), 0);
        assert_eq!(queues.datagrams(batch(200, 20)), 0);
        let mut seen = 0;
        for (worker, receiver) in receivers.iter_mut().enumerate() {
            let mut last = std::collections::HashMap::new();
            while let Ok(queued) = receiver.try_recv() {
                let Input::Datagrams(batch) = queued.input else {
                    panic!("{:?}", queued.input);
                };
                for (from, octets) in batch.iter() {
                    assert_eq!(worker_of(from.ip(), 4), worker);
                    assert!(
                        last.insert(from, octets.len())
                            .is_none_or(|before| before < octets.len())
                    );
                    seen += 1;
                }
            }
            assert!(!last.is_empty(), "worker {worker} has nothing to do");
        }
        assert_eq!(seen, 400);
    }
}
