//! The second thread: it encodes the flows that the meter hands over, and sends them.
//!
//! Flows cross in batches over a channel of bounded length, so that a slow collector slows the reading
//! down instead of filling the memory; the batches are used again.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::encoder::{EncodeError, EncoderCounters};

use crate::cli::ExportTime;
use crate::config::NetflowConfig;
use crate::meter::flow::{Flow, FlowSink};
use crate::send::{SendCounters, Sender};
use crate::sink::netflow::{NetflowSink, floor_ms};
use crate::sink::profile::Profile;

/// Flows in a batch.
const BATCH: usize = 256;

/// Batches that may wait.
const WAITING: usize = 16;

type Batch = Vec<(i64, Flow)>;

/// What the thread is asked to do.
enum Work {
    /// Encode these flows.
    Flows(Batch),
    /// Send what waits for more: it is that late on the packet clock.
    Tick(i64),
}

/// What became of the flows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportCounters {
    /// What was encoded.
    pub encoded: EncoderCounters,
    /// Flows of which no record could be made, and the reason for the first of them.
    pub not_encoded: Option<(u64, EncodeError)>,
    /// What was sent.
    pub sent: SendCounters,
}

/// Takes flows from the meter and gives them to the thread.
#[derive(Debug)]
pub struct Exporter {
    full: SyncSender<Work>,
    empty: Receiver<Batch>,
    batch: Batch,
    link_flows: u64,
    told: Arc<Mutex<ExportCounters>>,
    thread: JoinHandle<ExportCounters>,
}

impl Exporter {
    /// Starts the thread. `first_ns` is the time of the first packet of the capture.
    ///
    /// # Errors
    /// When a message of the configured size has no room for a record and its template.
    pub fn start(
        config: &NetflowConfig,
        sender: Sender,
        first_ns: i64,
    ) -> Result<Self, EncodeError> {
        let sink = NetflowSink::new(config, first_ns)?;
        let (full, work) = sync_channel(WAITING);
        let (done, empty) = channel();
        let clock = config.export_time;
        let told = Arc::new(Mutex::new(ExportCounters::default()));
        let tell = Arc::clone(&told);
        let thread = std::thread::spawn(move || {
            let mut export = Export {
                sink,
                sender,
                clock,
                not_encoded: None,
                now_ms: floor_ms(first_ns),
            };
            for work in work {
                match work {
                    Work::Flows(batch) => {
                        export.flows(&batch);
                        // The meter may be gone already.
                        let _ = done.send(batch);
                    }
                    Work::Tick(now_ns) => export.tick(now_ns),
                }
                if let Ok(mut told) = tell.lock() {
                    *told = export.counters();
                }
            }
            export.finish()
        });
        Ok(Exporter {
            full,
            empty,
            batch: Vec::with_capacity(BATCH),
            link_flows: 0,
            told,
            thread,
        })
    }

    /// Flows of frames without IP, which are not sent.
    #[must_use]
    pub fn link_flows(&self) -> u64 {
        self.link_flows
    }

    /// Hands over what waits for a full batch.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let mut next = match self.empty.try_recv() {
            Ok(batch) => batch,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Vec::with_capacity(BATCH),
        };
        next.clear();
        // Nobody takes it only if the thread has panicked, which `finish` finds.
        let batch = std::mem::replace(&mut self.batch, next);
        let _ = self.full.send(Work::Flows(batch));
    }

    /// Has everything sent that waits for more. The packet clock is at `now_ns`.
    pub fn tick(&mut self, now_ns: i64) {
        self.flush();
        let _ = self.full.send(Work::Tick(now_ns));
    }

    /// What had become of the flows a moment ago.
    #[must_use]
    pub fn counters(&self) -> ExportCounters {
        self.told
            .lock()
            .map(|told| told.clone())
            .unwrap_or_default()
    }

    /// Waits until everything is sent. `None` if the thread has panicked.
    #[must_use]
    pub fn finish(mut self) -> Option<ExportCounters> {
        self.flush();
        drop(self.full);
        self.thread.join().ok()
    }
}

impl FlowSink for Exporter {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            match Profile::family(flow) {
                Some(_) => self.batch.push((now_ns, flow.clone())),
                None => self.link_flows += 1,
            }
        }
        if self.batch.len() >= BATCH - 1 {
            self.flush();
        }
    }
}

/// What the thread works with.
struct Export {
    sink: NetflowSink,
    sender: Sender,
    clock: ExportTime,
    not_encoded: Option<(u64, EncodeError)>,
    /// The packet clock, milliseconds since 1970.
    now_ms: i64,
}

impl Export {
    fn flows(&mut self, batch: &Batch) {
        for (now_ns, flow) in batch {
            self.now_ms = floor_ms(*now_ns);
            let now_ms = self.now();
            let Export {
                sink,
                sender,
                not_encoded,
                ..
            } = self;
            let encoded = sink.flow(now_ms, flow, &mut |message| {
                sender.send(message.octets, message.flows.into());
            });
            if let Err(error) = encoded {
                not_encoded.get_or_insert((0, error)).0 += 1;
            }
        }
    }

    fn tick(&mut self, now_ns: i64) {
        self.now_ms = floor_ms(now_ns);
        let now_ms = self.now();
        let Export { sink, sender, .. } = self;
        sink.flush(now_ms, &mut |message| {
            sender.send(message.octets, message.flows.into());
        });
    }

    fn counters(&self) -> ExportCounters {
        ExportCounters {
            encoded: *self.sink.counters(),
            not_encoded: self.not_encoded,
            sent: self.sender.counters().clone(),
        }
    }

    fn finish(self) -> ExportCounters {
        let now_ms = self.now();
        let Export {
            mut sink,
            mut sender,
            not_encoded,
            ..
        } = self;
        sink.flush(now_ms, &mut |message| {
            sender.send(message.octets, message.flows.into());
        });
        ExportCounters {
            encoded: *sink.counters(),
            not_encoded,
            sent: sender.finish(),
        }
    }

    /// The export clock, milliseconds since 1970.
    fn now(&self) -> i64 {
        match self.clock {
            ExportTime::Packet => self.now_ms,
            ExportTime::Now => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
        }
    }
}
