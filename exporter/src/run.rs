//! From the capture to the sinks: what `t2x` does once it knows what to do.
//!
//! This thread reads, dissects and meters; [`export`](crate::export) encodes and sends on another.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::capture::{Filter, LiveCapture, LiveError};
use crate::config::{Config, FilterText, Input, LiveConfig};
use crate::dissect::Dissector;
use crate::export::{ExportCounters, Exports};
use crate::inputs::Inputs;
use crate::meter::flow::{Flow, FlowSink, Seen};
use crate::pass::{Pass, wall_ns};
use crate::progress::Progress;
use crate::report::{FlowCounters, NetflowTarget, Report, Usage};
use crate::send::Lost;
use crate::signals::Signals;
use crate::text_files::{PacketFile, SocketCounters, TextFiles};
use crate::watch::Watch;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The end report.
    pub report: Report,
    /// What went wrong after the start, one sentence each. Empty: all is fine.
    pub failures: Vec<String>,
}

/// What is read.
enum Origin {
    Captures(Box<Inputs>),
    Live(LiveCapture),
}

/// Reads the capture of `config` to its end, or until a signal stops it, or listens on its interface until then, and
/// brings the flows to the sinks.
///
/// # Errors
/// What keeps the run from starting: a capture, interface or collector that cannot be opened, an output file that
/// cannot be created. Later trouble is told in the [`Outcome`], with everything before it delivered.
pub fn run(config: &Config, signals: &Signals) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let mut filter = filter(config.filter.as_ref())?;
    let origin = match &config.input {
        Input::Captures(captures) => {
            let inputs = Inputs::open(captures, filter.as_mut(), &signals.stop)?;
            Origin::Captures(Box::new(inputs))
        }
        Input::Live(live) => Origin::Live(listen(live, filter.take())?),
    };
    let mut sinks = Sinks::open(config, &signals.stop)?;
    let mut watch = Watch::open(config, signals)?;
    if let Some(user) = &config.user {
        service::user::become_user(user, None)?;
    }
    let mut failures = Vec::new();
    let mut read = Vec::new();
    let size = match &origin {
        Origin::Captures(inputs) => inputs.size(),
        Origin::Live(_) => None,
    };
    let mut pass = Pass::new(config, filter, Progress::new(size));
    match origin {
        Origin::Captures(mut inputs) => {
            while let Some(capture) =
                inputs.next(pass.filter.as_mut(), &signals.stop, &mut failures)
            {
                read.push(pass.capture(capture, &mut sinks, &mut watch, &mut failures)?);
                if signals.stopped() || sinks.all_failed() {
                    break;
                }
            }
        }
        Origin::Live(capture) => {
            read.push(pass.live(capture, &mut sinks, &mut watch, &mut failures)?);
        }
    }
    pass.progress.done();
    sinks.no_more_packets();
    pass.meter.finish(&mut sinks);
    if let Some((path, link)) = &pass.unknown_link {
        let packets = pass.dissector.counters().unknown_link;
        failures.push(format!(
            "{path}: link type {link} is not supported: {packets} packets left out"
        ));
    }
    if let Some(error) = pass.filter.as_ref().and_then(Filter::failed) {
        failures.push(error.to_string());
    }
    let flows = sinks.flows;
    let Delivered {
        netflow,
        text,
        socket,
    } = sinks.finish(&mut failures)?;
    let report = Report {
        inputs: read,
        stopped: signals.stopped(),
        max_flows: config.meter.max_flows as u64,
        packets: pass.packets,
        dissect: *pass.dissector.counters(),
        meter: *pass.meter.stats(),
        wide: config.meter.wide,
        flows,
        netflow,
        text,
        socket,
        usage: usage(start),
    };
    Ok(Outcome { report, failures })
}

/// Begins to listen. The kernel applies the filter.
fn listen(config: &LiveConfig, mut filter: Option<Filter>) -> anyhow::Result<LiveCapture> {
    let capture = LiveCapture::open(config, filter.as_mut());
    let capture = capture.map_err(|error| match error {
        // Wrong usage, as with captures.
        LiveError::Filter(error) => anyhow::Error::from(error),
        error => error.into(),
    })?;
    let link = capture.info().link;
    if let Some(link) = link.filter(|link| !Dissector::knows(*link)) {
        bail!("{}: link type {link} is not supported", config.interface);
    }
    Ok(capture)
}

/// The filter, not compiled yet.
fn filter(text: Option<&FilterText>) -> anyhow::Result<Option<Filter>> {
    Ok(match text {
        None => None,
        Some(FilterText::Words(words)) => Some(Filter::new(words)),
        Some(FilterText::File(path)) => {
            let text = std::fs::read_to_string(path);
            let text =
                text.with_context(|| format!("{}: cannot read the filter", path.display()))?;
            Some(Filter::new(&text))
        }
    })
}

/// Everything that takes flows.
pub(crate) struct Sinks {
    flows: FlowCounters,
    pub exports: Exports,
    /// Text, JSON and socket.
    text: Vec<TextFiles>,
    /// Packet mode.
    packets: Option<PacketFile>,
    /// What could not be opened.
    failures: Vec<String>,
}

impl Sinks {
    fn open(config: &Config, stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let (text, errors) = TextFiles::open_all(config, stop);
        let mut errors: Vec<anyhow::Error> = errors.into_iter().map(Into::into).collect();
        let exports = Exports::open(&config.netflow, stop).or_else(|error| {
            errors.push(error.into());
            Exports::open(&[], stop)
        })?;
        if text.is_empty() && exports.is_empty() && !errors.is_empty() {
            // Nobody is left who takes flows.
            return Err(errors.swap_remove(0));
        }
        Ok(Sinks {
            flows: FlowCounters::default(),
            exports,
            text,
            packets: config
                .packets
                .as_deref()
                .map(PacketFile::create)
                .transpose()?,
            failures: errors.iter().map(|error| format!("{error:#}")).collect(),
        })
    }

    /// Time passes at an interface: what waits for more is sent and written.
    pub(crate) fn tick(&mut self, now_ns: i64) {
        self.exports.tick(now_ns);
        for text in &mut self.text {
            text.flush();
        }
    }

    /// The flows that are left may wait.
    fn no_more_packets(&mut self) {
        self.exports.no_more_packets();
        for text in &mut self.text {
            text.no_more_packets();
        }
    }

    /// What became of the flows so far, by collector.
    pub(crate) fn sent(&self) -> Vec<(String, ExportCounters)> {
        self.exports.counters()
    }

    /// What the socket sink has done so far.
    pub(crate) fn socket(&mut self) -> Option<SocketCounters> {
        self.text.iter_mut().find_map(TextFiles::socket)
    }

    /// A packet has no flow. Those before it must have been counted.
    pub(crate) fn skip(&mut self) {
        if let Some(packets) = &mut self.packets {
            packets.skip();
        }
    }

    /// Nobody takes flows any more.
    pub(crate) fn all_failed(&self) -> bool {
        self.exports.is_empty() && self.packets.is_none() && self.text.iter().all(TextFiles::failed)
    }

    /// Ends all sinks and gathers what became of the flows.
    fn finish(self, failures: &mut Vec<String>) -> anyhow::Result<Delivered> {
        let netflow = self.exports.finish()?;
        for (_, counters) in &netflow {
            for Lost {
                cause,
                messages,
                records,
            } in &counters.sent.lost
            {
                failures.push(match (messages, records) {
                    (0, 0) => cause.clone(),
                    (0, records) => format!("{records} flow records were not sent: {cause}"),
                    _ => format!(
                        "{messages} messages with {records} flow records were not sent: {cause}"
                    ),
                });
            }
            if let Some((flows, reason)) = &counters.not_encoded {
                failures.push(format!("{flows} flows were not sent: {reason}"));
            }
        }
        failures.extend(self.failures);
        let (mut names, mut socket) = (Vec::new(), None);
        match self.packets.map(PacketFile::finish).transpose() {
            Ok(name) => names.extend(name),
            Err(error) => failures.push(format!("{:#}", anyhow::Error::from(error))),
        }
        for text in self.text {
            let written = text.finish();
            if let (Some(counters), Some(name)) = (written.socket, written.names.first()) {
                socket = Some((name.clone(), counters));
            }
            names.extend(written.names);
            for (cause, flows) in written.lost {
                failures.push(match flows {
                    0 => cause,
                    flows => format!("{cause} ({flows} flows are lost)"),
                });
            }
        }
        Ok(Delivered {
            netflow,
            text: names,
            socket,
        })
    }
}

/// What the sinks made.
struct Delivered {
    netflow: Vec<(NetflowTarget, ExportCounters)>,
    text: Vec<String>,
    socket: Option<(String, SocketCounters)>,
}

impl FlowSink for Sinks {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.flows.pair(now_ns, first, second);
        self.exports.pair(now_ns, first, second);
        for text in &mut self.text {
            text.pair(now_ns, first, second);
        }
    }

    fn wants_packets(&self) -> bool {
        self.packets.is_some()
    }

    fn packet(&mut self, seen: &Seen<'_>) {
        if let Some(packets) = &mut self.packets {
            packets.packet(seen);
        }
    }
}

fn usage(start: Instant) -> Usage {
    let elapsed = start.elapsed();
    let duration = |time: TimeVal| {
        Duration::new(
            time.tv_sec().unsigned_abs(),
            time.tv_usec().unsigned_abs() as u32 * 1000,
        )
    };
    let since_ns = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
    let told = Usage {
        process: std::process::id(),
        nice: nice(),
        started_ns: wall_ns().saturating_sub(since_ns),
        elapsed,
        ..Usage::default()
    };
    match getrusage(UsageWho::RUSAGE_SELF) {
        Ok(usage) => Usage {
            cpu: duration(usage.user_time()) + duration(usage.system_time()),
            memory: usage.max_rss().unsigned_abs() * 1024,
            ..told
        },
        Err(_) => told,
    }
}

/// The process's nice value: the 17th field behind its name (proc(5)).
fn nice() -> Option<i64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = stat.rsplit_once(") ")?;
    behind.split(' ').nth(16)?.parse().ok()
}
