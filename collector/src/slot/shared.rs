//! One slot with several workers: each keeps the records of a message and appends them together, and all of them meet
//! when the slot is over, so that every record of a slot is in its file before that ends.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nfdump_compat::file::{ExporterInfo, ExporterStat, Sampler};
use tracing::{info, warn};

use super::{SlotReport, SlotWriter};

/// Octets of records after which a worker hands them over.
const HAND_OVER: usize = 64 << 10;

/// What a worker adds to the end of a slot.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// Of the exporters that it has seen.
    pub statistics: Vec<ExporterStat>,
    /// Gaps in their sequences.
    pub sequence_errors: u64,
    /// Messages with something wrong in them.
    pub bad_packets: u64,
    /// A sentence for each exporter that lost something.
    pub losses: Vec<String>,
}

/// A worker's end of a slot.
#[derive(Debug)]
pub struct SharedSlot {
    common: Arc<Common>,
    /// Records that are not handed over yet, one after the other, and where each ends.
    waiting: Vec<u8>,
    ends: Vec<usize>,
    /// Some of them came from a sender that can wait.
    patient: bool,
    ident: String,
    end_ms: u64,
}

#[derive(Debug)]
struct Common {
    state: Mutex<State>,
    met: Condvar,
    workers: usize,
    trouble: Mutex<Option<String>>,
    /// Slots that have ended.
    ended: AtomicU64,
}

#[derive(Debug)]
struct State {
    writer: SlotWriter,
    /// How many workers have come to the end of this slot.
    arrived: usize,
    /// At what time the first of them saw the slot be over.
    over_ms: u64,
    share: Share,
}

/// Looks at a slot from outside of the workers.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Common>);

impl Watch {
    /// Why records are not stored at present. Never waits for the disk.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).clone()
    }

    /// Slots that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Gives the source another name from the next slot on.
    pub fn set_ident(&self, ident: &str) {
        lock(&self.0.state).writer.set_ident(ident);
    }
}

impl SharedSlot {
    /// The ends of an open slot for so many workers.
    #[must_use]
    pub fn split(writer: SlotWriter, workers: usize) -> Vec<Self> {
        let (ident, end_ms) = (writer.ident().to_owned(), writer.end_ms());
        let common = Arc::new(Common {
            state: Mutex::new(State {
                writer,
                arrived: 0,
                over_ms: 0,
                share: Share::default(),
            }),
            met: Condvar::new(),
            workers,
            trouble: Mutex::default(),
            ended: AtomicU64::new(0),
        });
        let one = || Self {
            common: Arc::clone(&common),
            waiting: Vec::new(),
            ends: Vec::new(),
            patient: false,
            ident: ident.clone(),
            end_ms,
        };
        (0..workers).map(|_| one()).collect()
    }

    /// For those who want to know how it is.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.common))
    }

    /// The name of the source.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.ident
    }

    /// Milliseconds since 1970 at which the slot is over.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.end_ms
    }

    /// Whether `now_ms` is outside the slot, or another worker has found that already.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        let state = lock(&self.common.state);
        state.arrived > 0 || state.writer.is_over(now_ms)
    }

    /// Writes an exporter's record once a file and returns its number there; 0 while there is no file that takes it.
    pub fn exporter(&mut self, exporter: &ExporterInfo) -> u16 {
        self.hand_over().writer.exporter(exporter)
    }

    /// Writes how an exporter samples.
    pub fn sampler(&mut self, sampler: &Sampler) {
        self.hand_over().writer.sampler(sampler);
    }

    /// Writes a record of names.
    pub fn names(&mut self, record: &[u8]) {
        self.hand_over().writer.names(record);
    }

    /// The records that follow come from a sender that can wait, or not.
    pub fn set_patient(&mut self, patient: bool) {
        if self.ends.is_empty() {
            self.patient = patient;
        } else {
            self.patient |= patient;
        }
    }

    /// Appends a flow record.
    pub fn record(&mut self, record: &[u8]) {
        self.waiting.extend_from_slice(record);
        self.ends.push(self.waiting.len());
        if self.waiting.len() >= HAND_OVER {
            self.flush();
        }
    }

    /// Hands over the records of the message that ends.
    pub fn flush(&mut self) {
        if !self.ends.is_empty() {
            drop(self.hand_over());
        }
    }

    /// Lets time pass for the file.
    pub fn tick(&mut self, now_ms: u64) {
        self.hand_over().writer.tick(now_ms);
    }

    /// Ends the slot and opens that of `now_ms`, once all workers have come here. Gives whether this was the last one.
    pub fn rotate(&mut self, now_ms: u64, share: Share) -> bool {
        self.meet(now_ms, share, |writer, now_ms, share| {
            let statistics = mem::take(&mut share.statistics);
            let tell = share.told(writer.ident());
            writer.rotate(now_ms, &statistics, tell);
        })
    }

    /// Ends the last slot, once all workers have come here. Gives whether this was the last one.
    pub fn finish(&mut self, share: Share) -> bool {
        self.meet(0, share, |writer, _, share| {
            let statistics = mem::take(&mut share.statistics);
            let tell = share.told(writer.ident());
            writer.finish(&statistics, tell);
        })
    }

    fn meet(
        &mut self,
        now_ms: u64,
        share: Share,
        end: impl FnOnce(&mut SlotWriter, u64, &mut Share),
    ) -> bool {
        drop(self.hand_over());
        let Common {
            state,
            met,
            workers,
            trouble,
            ended,
        } = &*self.common;
        let mut state = lock(state);
        if state.arrived == 0 {
            // The next slot is the one that the first of them has seen, should the clock go to and fro meanwhile.
            state.over_ms = now_ms;
        }
        state.arrived += 1;
        state.share.add(share);
        let mut last = false;
        if state.arrived >= *workers {
            let (mut share, over_ms) = (mem::take(&mut state.share), state.over_ms);
            end(&mut state.writer, over_ms, &mut share);
            state.note(trouble);
            state.arrived = 0;
            // Only ever changed under the lock of the state.
            ended.fetch_add(1, Ordering::Relaxed);
            met.notify_all();
            last = true;
        } else {
            let before = ended.load(Ordering::Relaxed);
            let met = met.wait_while(state, |_| ended.load(Ordering::Relaxed) == before);
            state = met.unwrap_or_else(PoisonError::into_inner);
        }
        self.end_ms = state.writer.end_ms();
        if self.ident != state.writer.ident() {
            state.writer.ident().clone_into(&mut self.ident);
        }
        last
    }

    /// Hands over what waits, and gives the writer for more.
    fn hand_over(&mut self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.common.state);
        state.writer.set_patient(self.patient);
        let mut start = 0;
        for end in self.ends.drain(..) {
            if let Some(record) = self.waiting.get(start..end) {
                state.writer.record(record);
            }
            start = end;
        }
        self.waiting.clear();
        state.note(&self.common.trouble);
        state
    }
}

impl State {
    /// Lets those outside know whether the disk takes records.
    fn note(&self, trouble: &Mutex<Option<String>>) {
        let mut known = lock(trouble);
        if known.as_deref() != self.writer.trouble() {
            *known = self.writer.trouble().map(str::to_owned);
        }
    }
}

impl Share {
    /// Says what a slot held: nfcapd's line, and one for each exporter that lost something.
    fn told(&mut self, ident: &str) -> impl FnOnce(SlotReport) + Send + 'static + use<> {
        let (share, ident) = (mem::take(self), ident.to_owned());
        move |report| {
            if let Some(totals) = &report.totals {
                info!(
                    "Ident: '{ident}' Flows: {}, Packets: {}, Bytes: {}, Sequence Errors: {}, Bad Packets: {}",
                    totals.flows,
                    totals.packets,
                    totals.bytes,
                    share.sequence_errors,
                    share.bad_packets
                );
            }
            if report.lost > 0 {
                warn!(
                    "Ident: '{ident}' {} flow records could not be written",
                    report.lost
                );
            }
            if report.overrun > 0 {
                warn!(
                    "Ident: '{ident}' {} flow records were dropped because compression and disk were behind",
                    report.overrun
                );
            }
            for line in &share.losses {
                warn!("Ident: '{ident}' {line}");
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.statistics.extend(other.statistics);
        self.sequence_errors += other.sequence_errors;
        self.bad_packets += other.bad_packets;
        self.losses.extend(other.losses);
    }
}

/// A worker that panicked leaves a file that is still good for the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
