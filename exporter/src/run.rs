//! From the capture to the sinks: what `t2x` does once it knows what to do.
//!
//! This thread reads, dissects and meters; [`export`](crate::export) encodes and sends on another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::capture::{Batch, CaptureFile, Filter, LinkType};
use crate::cli::{ProfileKind, SocketType, Version};
use crate::config::{Config, FilterText, Input, NetflowConfig};
use crate::dissect::{Detail, Dissector, Packet};
use crate::export::{ExportCounters, Exporter};
use crate::inputs::Inputs;
use crate::meter::Meter;
use crate::meter::flow::{Flow, FlowSink};
use crate::progress::Progress;
use crate::report::{FlowCounters, InputReport, NetflowTarget, PacketCounters, Report, Usage};
use crate::send::{Lost, Sender};
use crate::sink::text::Layout;
use crate::text_files::{self, TextFiles};

/// Packets that go to the meter together.
const PACKETS: usize = 64;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The end report.
    pub report: Report,
    /// What went wrong after the start, one sentence each. Empty: all is fine.
    pub failures: Vec<String>,
}

/// Reads the capture of `config` to its end, or until `stop` is set, and brings its flows to the sinks.
///
/// # Errors
/// What keeps the run from starting: a capture or collector that cannot be opened, an output file that
/// cannot be created. Later trouble is told in the [`Outcome`], with everything before it delivered.
pub fn run(config: &Config, stop: &AtomicBool) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let mut filter = filter(config.filter.as_ref())?;
    let Input::Captures(captures) = &config.input else {
        anyhow::bail!("interfaces cannot be listened on yet");
    };
    let mut inputs = Inputs::open(captures, filter.as_mut(), stop)?;
    let mut sinks = Sinks::open(config)?;
    let mut pass = Pass::new(config, filter, Progress::new(inputs.size()));
    let mut failures = Vec::new();
    let mut read = Vec::new();
    while let Some(capture) = inputs.next(pass.filter.as_mut(), stop, &mut failures) {
        read.push(pass.capture(capture, &mut sinks, stop, &mut failures)?);
        if stop.load(Ordering::Relaxed) || sinks.all_failed() {
            break;
        }
    }
    pass.progress.done();
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
    let Delivered { netflow, text } = sinks.finish(&mut failures)?;
    let report = Report {
        inputs: read,
        stopped: stop.load(Ordering::Relaxed),
        max_flows: config.meter.max_flows as u64,
        packets: pass.packets,
        dissect: *pass.dissector.counters(),
        meter: *pass.meter.stats(),
        wide: config.meter.wide,
        flows,
        netflow,
        text,
        usage: usage(start),
    };
    Ok(Outcome { report, failures })
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

/// Frames to packets to flows.
struct Pass {
    filter: Option<Filter>,
    dissector: Dissector,
    meter: Meter,
    waiting: Vec<Packet>,
    /// Their details, if a text sink runs.
    details: Vec<Detail>,
    packets: PacketCounters,
    progress: Progress,
    /// The first link type that nobody can dissect, and the capture with it.
    unknown_link: Option<(String, LinkType)>,
}

impl Pass {
    fn new(config: &Config, filter: Option<Filter>, progress: Progress) -> Self {
        Pass {
            filter,
            progress,
            dissector: Dissector::new(config.tunnel),
            meter: Meter::new(config.meter),
            waiting: vec![Packet::default(); PACKETS],
            details: match config.meter.text {
                true => vec![Detail::default(); PACKETS],
                false => Vec::new(),
            },
            packets: PacketCounters::default(),
            unknown_link: None,
        }
    }

    /// Reads a capture to its end, to a fault, or until `stop` is set.
    fn capture(
        &mut self,
        mut capture: CaptureFile,
        sinks: &mut Sinks<'_>,
        stop: &AtomicBool,
        failures: &mut Vec<String>,
    ) -> anyhow::Result<InputReport> {
        let known_links = self.unknown_link.is_none();
        let before = self.packets.packets;
        while !stop.load(Ordering::Relaxed) && !sinks.all_failed() {
            match capture.next_batch() {
                Ok(Some(batch)) => self.batch(batch, sinks)?,
                Ok(None) => break,
                Err(error) => {
                    failures.push(error.to_string());
                    break;
                }
            }
            self.progress.at(capture.position());
        }
        self.progress.next(capture.position());
        if let Some((path, _)) = &mut self.unknown_link
            && known_links
        {
            capture.path().clone_into(path);
        }
        Ok(InputReport {
            path: capture.path().to_owned(),
            compression: capture.compression(),
            info: capture.info(),
            size: capture.size(),
            position: capture.position(),
            octets: capture.offset(),
            packets: self.packets.packets - before,
        })
    }

    fn batch(&mut self, batch: Batch<'_>, sinks: &mut Sinks<'_>) -> anyhow::Result<()> {
        let mut waiting = 0;
        for frame in batch {
            if let Some(filter) = &mut self.filter
                && !filter.wants(&frame)
            {
                self.packets.filtered += 1;
                continue;
            }
            if self.packets.first_ns.is_none() {
                sinks.begin(frame.ts_ns)?;
            }
            self.packets
                .count(frame.ts_ns, frame.captured.len(), frame.original_len);
            let Some(packet) = self.waiting.get_mut(waiting) else {
                continue;
            };
            let belongs = match self.details.get_mut(waiting) {
                Some(detail) => self.dissector.dissect_in_detail(&frame, packet, detail),
                None => self.dissector.dissect(&frame, packet),
            };
            if belongs {
                waiting += 1;
            } else if !Dissector::knows(frame.link) {
                self.unknown_link
                    .get_or_insert_with(|| (String::new(), frame.link));
            }
            if waiting == PACKETS {
                self.meter
                    .packets_in_detail(&self.waiting, &self.details, sinks);
                waiting = 0;
            }
        }
        let packets = self.waiting.get(..waiting).unwrap_or_default();
        self.meter.packets_in_detail(packets, &self.details, sinks);
        if let Some(exporter) = &mut sinks.exporter {
            exporter.flush();
        }
        Ok(())
    }
}

/// Everything that takes flows.
struct Sinks<'a> {
    flows: FlowCounters,
    netflow: Option<&'a NetflowConfig>,
    /// Connected at once, so that a wrong address is told before the capture is read.
    sender: Option<Sender>,
    target: Option<NetflowTarget>,
    /// Takes over the sender with the first packet, whose time it needs.
    exporter: Option<Exporter>,
    /// Text and JSON.
    text: Vec<TextFiles>,
}

impl<'a> Sinks<'a> {
    fn open(config: &'a Config) -> anyhow::Result<Self> {
        let netflow = config.netflow.as_ref();
        let sender = netflow.map(Sender::connect).transpose()?;
        let target = netflow
            .zip(sender.as_ref())
            .map(|(config, sender)| target(config, sender));
        let text = [
            (&config.text, Layout::Columns),
            (&config.json, Layout::Json),
        ]
        .into_iter()
        .filter_map(|(output, layout)| Some((output.as_ref()?, layout)))
        .map(|(output, layout)| {
            TextFiles::create(output, config.text_metric, layout, text_files::vendors())
        })
        .collect::<Result<_, _>>()?;
        Ok(Sinks {
            flows: FlowCounters::default(),
            netflow,
            sender,
            target,
            exporter: None,
            text,
        })
    }

    /// The first packet was read.
    fn begin(&mut self, first_ns: i64) -> anyhow::Result<()> {
        if let Some((config, sender)) = self.netflow.zip(self.sender.take()) {
            let exporter = Exporter::start(config, sender, first_ns);
            self.exporter = Some(exporter.context("cannot make NetFlow messages")?);
        }
        Ok(())
    }

    /// Nobody takes flows any more.
    fn all_failed(&self) -> bool {
        self.netflow.is_none() && self.text.iter().all(TextFiles::failed)
    }

    /// Ends all sinks and gathers what became of the flows.
    fn finish(self, failures: &mut Vec<String>) -> anyhow::Result<Delivered> {
        let mut counters = ExportCounters::default();
        if let Some(exporter) = self.exporter {
            counters = exporter.finish().context("the export thread has failed")?;
        } else if let Some(sender) = self.sender {
            counters.sent = sender.finish();
        }
        for Lost {
            cause,
            messages,
            records,
        } in &counters.sent.lost
        {
            failures.push(format!(
                "{messages} messages with {records} flow records were not sent: {cause}"
            ));
        }
        if let Some((flows, reason)) = &counters.not_encoded {
            failures.push(format!("{flows} flows were not sent: {reason}"));
        }
        let mut names = Vec::new();
        for text in self.text {
            match text.finish() {
                Ok(written) => names.extend(written),
                Err(error) => failures.push(format!("{:#}", anyhow::Error::from(error))),
            }
        }
        Ok(Delivered {
            netflow: self.target.map(|target| (target, counters)),
            text: names,
        })
    }
}

/// What the sinks made.
struct Delivered {
    netflow: Option<(NetflowTarget, ExportCounters)>,
    text: Vec<String>,
}

impl FlowSink for Sinks<'_> {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.flows.pair(now_ns, first, second);
        if let Some(exporter) = &mut self.exporter {
            exporter.pair(now_ns, first, second);
        }
        for text in &mut self.text {
            text.pair(now_ns, first, second);
        }
    }
}

fn target(config: &NetflowConfig, sender: &Sender) -> NetflowTarget {
    let version = match config.version {
        Version::V9 => "NetFlow v9",
        Version::Ipfix => "IPFIX",
    };
    let transport = match config.socket_type {
        SocketType::Udp => "UDP",
        SocketType::Tcp => "TCP",
    };
    NetflowTarget {
        path: format!("{version} over {transport} to {}", sender.address()),
        source_id: config.source_id,
        profile: match config.profile {
            ProfileKind::T2 => "t2",
            ProfileKind::Standard => "standard",
        },
        metric: config.metric,
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
    match getrusage(UsageWho::RUSAGE_SELF) {
        Ok(usage) => Usage {
            elapsed,
            cpu: duration(usage.user_time()) + duration(usage.system_time()),
            memory: usage.max_rss().unsigned_abs() * 1024,
        },
        Err(_) => Usage {
            elapsed,
            ..Usage::default()
        },
    }
}
