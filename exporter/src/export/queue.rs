//! Flows on their way from the meter to the thread of an export: in batches that are used again, over a channel of
//! bounded length.
//!
//! The meter of a capture waits for a slow export: that slows the reading down instead of filling the memory. The meter
//! of an interface must not wait, since packets do not. More flows may wait for its exports, as many as fit into
//! `--reconnect-queue`; those that do not fit are lost, and counted.

use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};

use crate::config::NetflowConfig;
use crate::meter::flow::{Flow, Metric};
use crate::send::Load;
use crate::sink::options::Observed;

/// Flows in a batch.
const BATCH: usize = 256;

/// Batches that may wait, at least.
const WAITING: usize = 16;

/// Why flows are lost here.
pub(super) const BEHIND: &str = "the export was behind, and no more flows could wait for it";

/// Flows on their way to an export.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub flows: Vec<Item>,
    pub observed: Observed,
    /// What the queue has lost so far.
    pub lost: Load,
}

/// What a thread is asked to do.
pub(super) enum Work {
    /// Encode these flows.
    Flows(Batch),
    /// Send what waits for more: it is that late on the packet clock.
    Tick(i64),
}

/// A flow, and the packet clock when it ended.
#[derive(Debug)]
pub(super) struct Item {
    pub now_ns: i64,
    pub flow: Flow,
    /// The next one is its other direction, and both are one record.
    pub with_next: bool,
}

/// The meter's end.
pub(super) struct Queue {
    full: SyncSender<Work>,
    empty: Receiver<Batch>,
    /// Batches that have come back.
    spare: Vec<Batch>,
    /// Those that have not.
    under_way: usize,
    batch: Batch,
    metric: Metric,
    /// Whether the meter waits while the queue is full.
    pub may_wait: bool,
    /// Flows that did not fit.
    pub lost: Load,
}

impl Queue {
    /// With the other end: the work, and the way back for batches that are done.
    pub(super) fn new(config: &NetflowConfig) -> (Self, Receiver<Work>, Sender<Batch>) {
        let waiting = match config.may_wait {
            true => WAITING,
            false => WAITING.max(config.reconnect.queue / (BATCH * size_of::<Item>())),
        };
        let (full, work) = sync_channel(waiting);
        let (done, empty) = channel();
        let queue = Queue {
            full,
            empty,
            spare: Vec::new(),
            under_way: 0,
            batch: Batch::default(),
            metric: config.metric,
            may_wait: config.may_wait,
            lost: Load::default(),
        };
        (queue, work, done)
    }

    /// Takes a flow.
    pub(super) fn push(&mut self, item: Item) {
        self.batch.flows.push(item);
    }

    /// Whether a pair of flows more is one too many for this batch.
    pub(super) fn is_full(&self) -> bool {
        self.batch.flows.len() >= BATCH - 1
    }

    /// Hands over what there is. While the thread has other work that is a full batch only if nobody waits: a queue of
    /// small ones would hold few flows.
    pub(super) fn flush(&mut self, observed: Observed) {
        self.take_back();
        let soon = !self.may_wait && self.under_way > 0 && !self.is_full();
        if !soon && !self.batch.flows.is_empty() {
            self.hand_over(observed);
        }
    }

    /// Tells the time on the packet clock.
    pub(super) fn tick(&mut self, now_ns: i64) {
        // A thread that has panicked is found in the end; one that is busy needs no tick.
        let _ = match self.may_wait {
            true => self.full.send(Work::Tick(now_ns)).is_ok(),
            false => self.full.try_send(Work::Tick(now_ns)).is_ok(),
        };
    }

    /// Hands over the rest, and the last numbers. Says what was lost.
    pub(super) fn end(mut self, observed: Observed) -> Load {
        self.may_wait = true;
        self.hand_over(observed);
        self.lost
    }

    fn take_back(&mut self) {
        for batch in self.empty.try_iter() {
            self.under_way = self.under_way.saturating_sub(1);
            // After a jam there are more than are ever needed.
            if self.spare.len() < WAITING {
                self.spare.push(batch);
            }
        }
    }

    fn hand_over(&mut self, observed: Observed) {
        let mut next = self.spare.pop().unwrap_or_else(|| Batch {
            flows: Vec::with_capacity(BATCH),
            ..Batch::default()
        });
        next.flows.clear();
        self.batch.observed = observed;
        self.batch.lost = self.lost;
        let work = Work::Flows(std::mem::replace(&mut self.batch, next));
        let sent = match self.may_wait {
            true => self
                .full
                .send(work)
                .map_err(|error| TrySendError::Disconnected(error.0)),
            false => self.full.try_send(work),
        };
        match sent {
            Ok(()) => self.under_way += 1,
            Err(TrySendError::Full(Work::Flows(batch))) => self.lose(batch),
            // Nobody takes it only if the thread has panicked, which is found in the end.
            Err(_) => {}
        }
    }

    fn lose(&mut self, batch: Batch) {
        for item in &batch.flows {
            self.lost += Load {
                records: u64::from(!item.with_next),
                packets: item.flow.packets,
                octets: item.flow.octets(self.metric).total,
            };
        }
        self.spare.push(batch);
    }
}
