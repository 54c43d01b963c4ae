//! The exports: each encodes the flows that the meter hands over, and sends them, on a thread of its own.
//!
//! Each destination has its own messages, templates and sequence numbers (RFC 7011 section 10.3.5).

mod queue;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use protocol::encoder::{EncodeError, EncoderCounters, Message};

use crate::cli::{ExportTime, ProfileKind, Version};
use crate::config::{Destination, NetflowConfig};
use crate::meter::flow::{Endpoints, Flow, FlowSink, Metric};
use crate::report::NetflowTarget;
use crate::send::{Load, SendCounters, SendError, Sender};
use crate::sink::netflow::{NetflowSink, floor_ms};
use crate::sink::options::{Observed, Statistics};
use queue::{BEHIND, Batch, Item, Queue, Work};

/// What became of the flows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportCounters {
    /// What was encoded.
    pub encoded: EncoderCounters,
    /// Flows of which no record could be made, and the reason for the first of them.
    pub not_encoded: Option<(u64, EncodeError)>,
    /// Flows of frames without IP that were left out.
    pub without_ip: u64,
    /// Records that hold both directions of a conversation.
    pub biflows: u64,
    /// The most octets of a message.
    pub max_message: usize,
    /// What was sent.
    pub sent: SendCounters,
}

/// All exports of a run.
#[derive(Default)]
pub struct Exports {
    lanes: Vec<Lane>,
    /// What is to be told of packets, beside the flows.
    pub observed: Observed,
}

/// The meter's end of an export.
struct Lane {
    config: NetflowConfig,
    target: NetflowTarget,
    /// Connected at once, so that a wrong address is told before the capture is read.
    sender: Option<Sender>,
    /// Runs from the first packet on, whose time it needs.
    export: Option<Running>,
    without_ip: u64,
}

struct Running {
    queue: Queue,
    told: Arc<Mutex<ExportCounters>>,
    thread: JoinHandle<ExportCounters>,
}

/// An export that gets no more flows.
struct Ended {
    target: NetflowTarget,
    without_ip: u64,
    /// By the queue.
    lost: Load,
    /// What has been sent without a thread.
    sent: SendCounters,
    thread: Option<JoinHandle<ExportCounters>>,
}

impl Exports {
    /// Connects to the collectors, and creates the files. Of several collectors some may be away. Once `stop` is set,
    /// nobody is waited for any longer than need be.
    ///
    /// # Errors
    /// When none of the collectors can be reached, or a file cannot be created or read.
    pub fn open(configs: &[NetflowConfig], stop: &Arc<AtomicBool>) -> Result<Self, SendError> {
        let mut lanes = Vec::new();
        let mut away = Vec::new();
        let mut reached = false;
        for config in configs {
            match Sender::connect(config, stop) {
                Ok(sender) => {
                    reached |= matches!(config.destination, Destination::Collector(_));
                    lanes.push(Lane::new(config, sender));
                }
                Err(error) if error.may_pass() => {
                    lanes.push(Lane::new(config, Sender::away(config, stop)?));
                    away.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        match away.into_iter().next() {
            Some(error) if !reached => Err(error),
            _ => Ok(Exports {
                lanes,
                observed: Observed::default(),
            }),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Starts the threads. `first_ns` is the time of the first packet.
    ///
    /// # Errors
    /// When a message of the configured size has no room for a record and its template.
    pub fn begin(&mut self, first_ns: i64) -> anyhow::Result<()> {
        for lane in &mut self.lanes {
            if let Some(sender) = lane.sender.take() {
                let running = Running::start(&lane.config, sender, first_ns);
                lane.export = Some(running.context("cannot make NetFlow messages")?);
            }
        }
        Ok(())
    }

    /// Has everything sent that waits for more. The packet clock is at `now_ns`.
    pub fn tick(&mut self, now_ns: i64) {
        self.flush();
        for export in self.running() {
            export.queue.tick(now_ns);
        }
    }

    /// No more packets come: the flows that are left may wait for their exports.
    pub fn no_more_packets(&mut self) {
        for export in self.running() {
            export.queue.may_wait = true;
        }
    }

    fn running(&mut self) -> impl Iterator<Item = &mut Running> {
        self.lanes
            .iter_mut()
            .filter_map(|lane| lane.export.as_mut())
    }

    /// What had become of the flows a moment ago, by destination.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, ExportCounters)> {
        let counters = |lane: &Lane| {
            let export = lane.export.as_ref();
            let told = export.and_then(|export| export.told.lock().ok());
            let counters = told.map(|told| told.clone()).unwrap_or_default();
            let lost = export.map_or_else(Load::default, |export| export.queue.lost);
            let counters = counters.before_the_thread(lane.without_ip, lost);
            (lane.target.path.clone(), counters)
        };
        self.lanes.iter().map(counters).collect()
    }

    /// Hands over what waits for a full batch.
    pub fn flush(&mut self) {
        let observed = self.observed;
        for export in self.running() {
            export.queue.flush(observed);
        }
    }

    /// Waits until everything is sent.
    ///
    /// # Errors
    /// When a thread has panicked.
    pub fn finish(self) -> anyhow::Result<Vec<(NetflowTarget, ExportCounters)>> {
        let Exports { lanes, observed } = self;
        // All of them end at the same time: one that waits for its collector does not hold up the others.
        let lanes: Vec<_> = lanes.into_iter().map(|lane| lane.end(observed)).collect();
        lanes.into_iter().map(Ended::join).collect()
    }
}

impl ExportCounters {
    /// With what became of flows before the thread of the export had them.
    fn before_the_thread(mut self, without_ip: u64, lost: Load) -> Self {
        self.without_ip = without_ip;
        self.sent.lose(BEHIND, 0, lost);
        self
    }
}

impl Ended {
    /// Waits until everything is sent.
    fn join(self) -> anyhow::Result<(NetflowTarget, ExportCounters)> {
        let counters = match self.thread.map(JoinHandle::join).transpose() {
            Ok(Some(counters)) => counters,
            Ok(None) => ExportCounters {
                sent: self.sent,
                ..ExportCounters::default()
            },
            Err(_) => anyhow::bail!("the export thread has failed"),
        };
        let counters = counters.before_the_thread(self.without_ip, self.lost);
        Ok((self.target, counters))
    }
}

impl Lane {
    fn new(config: &NetflowConfig, sender: Sender) -> Self {
        Lane {
            target: target(config, &sender),
            config: config.clone(),
            sender: Some(sender),
            export: None,
            without_ip: 0,
        }
    }

    /// No more flows come.
    fn end(self, observed: Observed) -> Ended {
        let (mut lost, mut thread) = (Load::default(), None);
        if let Some(export) = self.export {
            lost = export.queue.end(observed);
            thread = Some(export.thread);
        }
        Ended {
            target: self.target,
            without_ip: self.without_ip,
            lost,
            sent: self.sender.map(Sender::finish).unwrap_or_default(),
            thread,
        }
    }
}

impl Running {
    fn start(config: &NetflowConfig, sender: Sender, first_ns: i64) -> Result<Self, EncodeError> {
        let mut sender = sender;
        let sink = NetflowSink::new(config, first_ns, sender.max_message())?;
        sender.begin(sink.template_messages());
        let (queue, work, done) = Queue::new(config);
        let export = Export {
            sink,
            sender,
            clock: config.export_time,
            metric: config.metric,
            pending: Load::default(),
            not_encoded: None,
            biflows: 0,
            statistics: Statistics::default(),
            lost: Load::default(),
            now_ms: floor_ms(first_ns),
        };
        let told = Arc::new(Mutex::new(ExportCounters::default()));
        let tell = Arc::clone(&told);
        let thread = std::thread::spawn(move || {
            let mut export = export;
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
        Ok(Running {
            queue,
            told,
            thread,
        })
    }
}

impl FlowSink for Exports {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for lane in &mut self.lanes {
            let Some(export) = &mut lane.export else {
                continue;
            };
            if first.endpoints == Endpoints::Link && !lane.config.link_flows {
                lane.without_ip += 1 + u64::from(second.is_some());
                continue;
            }
            let mut with_next = lane.config.biflow && second.is_some();
            for flow in [Some(first), second].into_iter().flatten() {
                export.queue.push(Item {
                    now_ns,
                    flow: Flow {
                        text: None,
                        ..*flow
                    },
                    with_next,
                });
                with_next = false;
            }
            if export.queue.is_full() {
                export.queue.flush(self.observed);
            }
        }
    }
}

/// What a thread works with.
struct Export {
    sink: NetflowSink,
    sender: Sender,
    clock: ExportTime,
    metric: Metric,
    /// Records that are in no complete message yet.
    pending: Load,
    not_encoded: Option<(u64, EncodeError)>,
    biflows: u64,
    statistics: Statistics,
    /// What the queue has lost.
    lost: Load,
    /// The packet clock, milliseconds since 1970.
    now_ms: i64,
}

impl Export {
    fn flows(&mut self, batch: &Batch) {
        self.statistics.observed = batch.observed;
        self.lost = batch.lost;
        let mut items = batch.flows.iter();
        while let Some(item) = items.next() {
            let reverse = match item.with_next {
                true => items.next().map(|item| &item.flow),
                false => None,
            };
            self.now_ms = floor_ms(item.now_ns);
            self.flow(&item.flow, reverse);
        }
        self.hand_over();
    }

    fn flow(&mut self, flow: &Flow, reverse: Option<&Flow>) {
        let now_ms = self.now();
        let Export {
            sink,
            sender,
            pending,
            ..
        } = self;
        let due = sink.options_due(now_ms, flow, reverse.is_some(), &mut |message| {
            sender.send(message, std::mem::take(pending));
        });
        if due {
            self.options(now_ms);
        }
        let mut this = Load {
            records: 1,
            ..Load::default()
        };
        for flow in [Some(flow), reverse].into_iter().flatten() {
            this.packets += flow.packets;
            this.octets += flow.octets(self.metric).total;
        }
        let mut open = true;
        let Export {
            sink,
            sender,
            pending,
            ..
        } = self;
        let encoded = sink.flow(now_ms, flow, reverse, &mut |message: Message<'_>| {
            let mut load = std::mem::take(pending);
            if u64::from(message.flows) > load.records {
                load += this;
                open = false;
            }
            sender.send(message, load);
        });
        match encoded {
            Ok(()) => {
                self.biflows += u64::from(reverse.is_some());
                if open {
                    self.pending += this;
                }
            }
            Err(error) => self.not_encoded.get_or_insert((0, error)).0 += 1,
        }
    }

    /// Sends options data with the numbers of this moment.
    fn options(&mut self, now_ms: i64) {
        self.hand_over();
        let sent = self.sender.counters();
        self.statistics.messages = sent.messages;
        self.statistics.records = sent.records;
        self.statistics.octets = sent.octets;
        let Export {
            sink,
            sender,
            pending,
            ..
        } = self;
        let encoded = sink.options(now_ms, &self.statistics, &mut |message| {
            sender.send(message, std::mem::take(pending));
        });
        if let Err(error) = encoded {
            self.not_encoded.get_or_insert((0, error));
        }
    }

    /// Lets everything go that is complete.
    fn hand_over(&mut self) {
        if self.sender.flush() {
            let octets = self.sender.max_message();
            let now_ms = self.now();
            let Export {
                sink,
                sender,
                pending,
                ..
            } = self;
            sink.limit_message(octets, now_ms, &mut |message| {
                sender.send(message, std::mem::take(pending));
            });
        }
        let mut not_sent = self.sender.counters().not_sent;
        not_sent += self.lost;
        if not_sent != self.statistics.not_sent {
            let now_ms = self.now();
            self.statistics.not_sent = not_sent;
            let (first, _) = self.statistics.not_sent_ms.unwrap_or((now_ms, now_ms));
            self.statistics.not_sent_ms = Some((first, now_ms));
        }
    }

    /// Time passes: what is there goes.
    fn tick(&mut self, now_ns: i64) {
        self.now_ms = floor_ms(now_ns);
        self.complete();
        self.sender.tick();
    }

    fn counters(&self) -> ExportCounters {
        ExportCounters {
            encoded: *self.sink.counters(),
            not_encoded: self.not_encoded,
            without_ip: 0,
            biflows: self.biflows,
            max_message: self.sender.max_message(),
            sent: self.sender.counters().clone(),
        }
    }

    /// Ends the message in the making, and sends it.
    fn complete(&mut self) {
        let now_ms = self.now();
        let Export {
            sink,
            sender,
            pending,
            ..
        } = self;
        sink.flush(now_ms, &mut |message| {
            sender.send(message, std::mem::take(pending));
        });
        self.hand_over();
    }

    fn finish(mut self) -> ExportCounters {
        self.complete();
        if self.sink.has_options() {
            let now_ms = self.now();
            self.options(now_ms);
            self.complete();
        }
        let mut counters = self.counters();
        counters.sent = self.sender.finish();
        counters
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

/// How an export is set, in the words of the report.
fn target(config: &NetflowConfig, sender: &Sender) -> NetflowTarget {
    let version = match config.version {
        Version::V9 => "NetFlow v9",
        Version::Ipfix => "IPFIX",
    };
    let path = match &config.destination {
        Destination::Collector(collector) => {
            let transport = collector.socket_type.name();
            match sender.address() {
                Some(address) => format!("{version} over {transport} to {address}"),
                None => format!(
                    "{version} over {transport} to {}, port {}",
                    collector.host, collector.port
                ),
            }
        }
        Destination::File(path) => format!("{version} into {}", path.display()),
        Destination::Stdout => format!("{version} to standard output"),
    };
    NetflowTarget {
        path,
        source_id: config.source_id,
        profile: match config.profile {
            ProfileKind::T2 => "t2",
            ProfileKind::Standard => "standard",
        },
        metric: config.metric,
    }
}
