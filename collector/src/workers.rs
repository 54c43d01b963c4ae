//! The threads that decode and store. Each has the exporters of its addresses to itself; all write into the same slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::limits::Limits;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time;
use tracing::warn;

use crate::listen::queue::Queued;
use crate::listen::{Batch, Input};
use crate::state::Kept;
use crate::store::Store;

/// Counters are posted this often under load.
const POST: Duration = Duration::from_millis(100);
/// How often it is looked whether a worker has ended.
const POLL: Duration = Duration::from_millis(5);

/// The share of one of so many workers in the bounds of all.
#[must_use]
pub fn share(limits: &Limits, workers: usize) -> Limits {
    let part = |all: usize| all.div_ceil(workers.max(1));
    Limits {
        exporters: part(limits.exporters),
        domains_total: part(limits.domains_total),
        templates_total: part(limits.templates_total),
        fields_total: part(limits.fields_total),
        pending_total: part(limits.pending_total),
        ..*limits
    }
}

/// The running workers.
pub struct Workers {
    threads: Vec<JoinHandle<Done>>,
    hurry: Arc<Hurry>,
}

/// What a worker leaves behind.
pub struct Done {
    /// With everything finished.
    pub store: Store,
    /// What may outlive the process.
    pub kept: Kept,
}

/// The end may not take longer: what still waits is dropped.
#[derive(Default)]
struct Hurry {
    asked: AtomicBool,
    dropped: AtomicU64,
    /// A worker has panicked; the others would wait for it at the end of the slot.
    died: AtomicBool,
}

/// Leaves word of a panic behind.
struct Witness<'a>(&'a Hurry);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.died.store(true, Ordering::Relaxed);
        }
    }
}

impl Workers {
    /// Starts a thread for each store and its queue.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        stores: Vec<Store>,
        queues: Vec<UnboundedReceiver<Queued>>,
    ) -> std::io::Result<Self> {
        let hurry = Arc::<Hurry>::default();
        let threads = stores.into_iter().zip(queues).map(|(store, queue)| {
            let hurry = Arc::clone(&hurry);
            std::thread::Builder::new()
                .name("worker".to_owned())
                .spawn(move || {
                    let _witness = Witness(&hurry);
                    work(store, queue, &hurry)
                })
        });
        Ok(Self {
            threads: threads.collect::<Result<_, _>>()?,
            hurry,
        })
    }

    /// An error if one of them has panicked. What is on disk is recovered at the next start.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.hurry.died.load(Ordering::Relaxed),
            "a worker has died (a fault of this program: please report it)"
        );
        Ok(())
    }

    /// Waits until all have ended; after `patience` they drop what waits for them and finish their slots.
    ///
    /// # Errors
    /// When one has panicked.
    pub async fn end(self, patience: Duration) -> anyhow::Result<Vec<Done>> {
        let deadline = Instant::now() + patience;
        while !self.threads.iter().all(JoinHandle::is_finished) {
            self.check()?;
            if Instant::now() > deadline {
                self.hurry.asked.store(true, Ordering::Relaxed);
            }
            time::sleep(POLL).await;
        }
        let dropped = self.hurry.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            warn!("Lost: {dropped} messages that were still waiting at the end");
        }
        self.check()?;
        let threads = self.threads.into_iter();
        Ok(threads.filter_map(|thread| thread.join().ok()).collect())
    }
}

fn work(mut store: Store, mut queue: UnboundedReceiver<Queued>, hurry: &Hurry) -> Done {
    let mut posted = Instant::now();
    while let Some(Queued { input, room }) = queue.blocking_recv() {
        match input {
            Input::Datagrams(batch) if !hurry.drops(&batch) => {
                store.time(batch.received_ms);
                for (from, octets) in batch.iter() {
                    store.datagram(batch.received_ms, from, octets);
                }
            }
            Input::Messages(batch) if !hurry.drops(&batch) => {
                store.time(batch.received_ms);
                for (from, octets) in batch.iter() {
                    store.message(batch.received_ms, from, octets);
                }
            }
            Input::Datagrams(_) | Input::Messages(_) => {}
            Input::Closed(from) => store.closed(from),
            Input::Tick(now_ms) => {
                store.tick(now_ms);
                posted = Instant::now();
            }
            // Whoever asked may have gone.
            Input::Keep(answer) => drop(answer.send(store.kept())),
            Input::End => break,
        }
        drop(room);
        if queue.is_empty() {
            store.flush();
        }
        if posted.elapsed() >= POST {
            store.post(false);
            posted = Instant::now();
        }
    }
    let kept = store.kept();
    store.finish();
    Done { store, kept }
}

impl Hurry {
    fn drops(&self, batch: &Batch) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        if asked {
            self.dropped
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        asked
    }
}
