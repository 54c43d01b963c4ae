//! What the program knows of itself while it runs: each worker posts its counters here, and the line at the end of a
//! slot, `/metrics` and `/healthz` read them.

use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::session::LossUnit;
use tracing::{info, warn};

use crate::listen::udp::Received;
use crate::store::losses::Losses;

/// Exporters (addresses) whose traffic is counted apart, over all workers; any more are counted together.
const MAX_EXPORTERS: usize = 256;
/// One that was silent for so long makes room for another; its counts go to those counted together.
const IDLE_MS: u64 = 1_800_000;

/// Octets of all counters.
#[must_use]
pub fn memory() -> usize {
    // The worker's own, what it has posted, and what is being read.
    3 * MAX_EXPORTERS * 2 * size_of::<(IpAddr, (u64, Traffic))>()
}

/// What came from an exporter.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Datagrams, or messages of a stream.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Data records in them, options and late ones included.
    pub records: u64,
    /// What its sequence numbers say is missing, in their unit: v5 and v7 flows, v9 messages, IPFIX records.
    pub missing: [u64; 3],
    /// Of that, what has come after all.
    pub recovered: u64,
}

/// Names of the units of [`Traffic::missing`].
pub const UNITS: [&str; 3] = ["flows", "messages", "records"];

impl Traffic {
    /// Counts a gap.
    pub fn miss(&mut self, missing: u64, unit: LossUnit) {
        let [flows, messages, records] = &mut self.missing;
        let count = match unit {
            LossUnit::Flows => flows,
            LossUnit::Messages => messages,
            LossUnit::Records => records,
        };
        *count = count.saturating_add(missing);
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.records += other.records;
        for (count, more) in self.missing.iter_mut().zip(other.missing) {
            *count = count.saturating_add(more);
        }
        self.recovered += other.recovered;
    }
}

/// The traffic of a worker by exporter, a bounded number of them.
#[derive(Debug)]
pub struct ByExporter {
    /// When it was heard of last, and what it sent.
    table: HashMap<IpAddr, (u64, Traffic), FixedState>,
    other: Traffic,
    most: usize,
    /// When idle ones were looked for.
    swept_ms: u64,
}

impl ByExporter {
    /// For one of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            table: HashMap::default(),
            other: Traffic::default(),
            most: (MAX_EXPORTERS / workers.max(1)).max(1),
            swept_ms: 0,
        }
    }

    /// Adds what a message brought.
    pub fn add(&mut self, now_ms: u64, exporter: IpAddr, traffic: &Traffic) {
        if self.table.len() >= self.most && !self.table.contains_key(&exporter) {
            self.sweep(now_ms);
            if self.table.len() >= self.most {
                self.other.add(traffic);
                return;
            }
        }
        let (seen_ms, sum) = self.table.entry(exporter).or_default();
        *seen_ms = now_ms;
        sum.add(traffic);
    }

    fn sweep(&mut self, now_ms: u64) {
        if now_ms.abs_diff(self.swept_ms) < 60_000 {
            return;
        }
        self.swept_ms = now_ms;
        let other = &mut self.other;
        self.table.retain(|_, (seen_ms, traffic)| {
            let stays = now_ms.saturating_sub(*seen_ms) < IDLE_MS;
            if !stays {
                other.add(traffic);
            }
            stays
        });
    }

    fn list(&self) -> Vec<(IpAddr, Traffic)> {
        let list = self.table.iter();
        list.map(|(&address, &(_, traffic))| (address, traffic))
            .collect()
    }
}

/// What a worker has done so far.
#[derive(Clone, Debug)]
pub struct Post {
    /// Everything it counts.
    pub losses: Losses,
    /// Exporters that its session follows.
    pub exporters: usize,
    /// Its traffic by exporter.
    pub by_exporter: Vec<(IpAddr, Traffic)>,
    /// The traffic of all other exporters.
    pub other: Traffic,
    /// When it was seen alive last.
    pub alive: Instant,
    /// It has ended as it should.
    pub finished: bool,
}

/// Where the posts are.
#[derive(Debug)]
pub struct Board {
    posts: Vec<Mutex<Post>>,
    sockets: Mutex<Vec<(String, Arc<Received>)>>,
    /// What the last report has told.
    reported: Mutex<Vec<Losses>>,
}

impl Board {
    /// Of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let post = || Post {
            losses: Losses::default(),
            exporters: 0,
            by_exporter: Vec::new(),
            other: Traffic::default(),
            alive: Instant::now(),
            finished: false,
        };
        Self {
            posts: (0..workers).map(|_| Mutex::new(post())).collect(),
            sockets: Mutex::default(),
            reported: Mutex::default(),
        }
    }

    /// How many workers post here.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.posts.len()
    }

    /// Reads the counters of a socket, too.
    pub fn watch(&self, name: String, received: Arc<Received>) {
        lock(&self.sockets).push((name, received));
    }

    /// The sockets and what they have received.
    #[must_use]
    pub fn sockets(&self) -> Vec<(String, Arc<Received>)> {
        lock(&self.sockets).clone()
    }

    /// Posts what a worker has done; gives whether all have finished.
    pub fn post(
        &self,
        worker: usize,
        losses: Losses,
        exporters: usize,
        traffic: &ByExporter,
        finished: bool,
    ) -> bool {
        if let Some(post) = self.posts.get(worker) {
            *lock(post) = Post {
                losses,
                exporters,
                by_exporter: traffic.list(),
                other: traffic.other,
                alive: Instant::now(),
                finished,
            };
        }
        finished && self.posts.iter().all(|post| lock(post).finished)
    }

    /// What each worker has posted.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.posts.iter().map(|post| lock(post).clone()).collect()
    }

    /// The worker that was not seen alive for the longest time, and that time; finished ones need not be.
    #[must_use]
    pub fn stalest(&self) -> Option<(usize, Duration)> {
        let ages = self.posts.iter().enumerate().filter_map(|(worker, post)| {
            let post = lock(post);
            (!post.finished).then(|| (worker, post.alive.elapsed()))
        });
        ages.max_by_key(|&(_, age)| age)
    }

    /// Everything that is counted, in parts to be added up: the workers' and the sockets'.
    #[must_use]
    pub fn losses(&self) -> Vec<Losses> {
        let sockets = self.sockets();
        let sum = |of: fn(&Received) -> u64| sockets.iter().map(|(_, received)| of(received)).sum();
        let edge = Losses {
            kernel_drops: sum(Received::kernel_drops),
            queue_drops: sum(Received::queue_drops),
            ..Losses::default()
        };
        let posts = self.posts.iter().map(|post| lock(post).losses);
        posts.chain([edge]).collect()
    }

    /// Says what was lost since the last report, by cause; nothing if nothing was.
    pub fn report(&self) {
        let mut reported = lock(&self.reported);
        let now = self.losses();
        let earlier = mem::replace(&mut *reported, now.clone());
        let slot = Losses::since(&now, &earlier);
        if !slot.lost.is_empty() {
            warn!("Lost: {}", slot.lost);
        }
        if !slot.noted.is_empty() {
            info!("Noted: {}", slot.noted);
        }
    }
}

/// Counters are good whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_addresses_are_counted_in_a_bounded_table_and_nothing_is_lost() {
        let mut traffic = ByExporter::new(1);
        let one = Traffic {
            messages: 1,
            octets: 100,
            ..Traffic::default()
        };
        for address in 0..10_000_u32 {
            traffic.add(1_000_000, IpAddr::from(address.to_be_bytes()), &one);
        }
        let list = traffic.list();
        assert_eq!(list.len(), MAX_EXPORTERS);
        assert_eq!(traffic.other.messages, 10_000 - MAX_EXPORTERS as u64);
        // Half an hour later there is room for one who speaks.
        let late = IpAddr::from([192, 0, 2, 1]);
        traffic.add(1_000_000 + IDLE_MS, late, &one);
        assert_eq!(traffic.list(), [(late, one)]);
        assert_eq!(traffic.other.messages, 10_000);
    }
}
