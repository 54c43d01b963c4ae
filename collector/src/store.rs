//! What happens to decoded records: which source they belong to, who sent them, what is counted.
//!
//! Nothing here waits or reads a clock: the time comes with the messages.

mod exporters;
pub mod losses;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use protocol::error::DecodeError;
use protocol::session::{DataRecord, Events, LossUnit, MessageInfo, Session};
use protocol::template::{Template, TemplateKind};
use tracing::{debug, info, warn};

use self::exporters::{Exporters, unit_name};
use self::losses::Losses;
use crate::config::Source;
use crate::log::RateLimit;
use crate::map::{Clock, Mapper};
use crate::slot::{SlotReport, SlotWriter};

/// `systemInitTimeMilliseconds` (160).
const SYSTEM_INIT_TIME: u16 = 160;
/// Exporters whose start time is remembered.
const MAX_INIT_TIMES: usize = 4096;
/// Unknown senders that are told by name.
const MAX_STRANGERS: usize = 1024;

/// One source: its files and its exporters.
struct Stream {
    address: Option<IpAddr>,
    slot: SlotWriter,
    exporters: Exporters,
    /// Datagrams or stream messages with something wrong in them, in this slot.
    bad_packets: u64,
}

/// Takes messages, writes records.
pub struct Store {
    session: Session,
    sink: Sink,
    unknown_senders: u64,
    strangers: HashSet<IpAddr, FixedState>,
    stranger_limit: RateLimit,
    kernel_drops: u64,
    /// The session's counters at the last report.
    reported: Losses,
}

impl Store {
    /// A store for these sources and their open slots.
    #[must_use]
    pub fn new(session: Session, sources: Vec<(Source, SlotWriter)>) -> Self {
        let streams = sources
            .into_iter()
            .map(|(source, slot)| Stream {
                address: source.address,
                slot,
                exporters: Exporters::default(),
                bad_packets: 0,
            })
            .collect();
        Self {
            session,
            sink: Sink {
                streams,
                mapper: Mapper::default(),
                current: 0,
                new_message: false,
                bad_message: false,
                init_times: HashMap::default(),
                violation_limit: RateLimit::new(10),
                loss_limit: RateLimit::new(10),
            },
            unknown_senders: 0,
            strangers: HashSet::default(),
            stranger_limit: RateLimit::new(10),
            kernel_drops: 0,
            reported: Losses::default(),
        }
    }

    /// Decodes one datagram and stores its records.
    pub fn datagram(&mut self, now_ms: u64, from: SocketAddr, bytes: &[u8]) {
        if self.select(now_ms, from) {
            self.session.datagram(now_ms, from, bytes, &mut self.sink);
            self.sink.end_message();
        }
    }

    /// Decodes one message of a stream and stores its records.
    pub fn message(&mut self, now_ms: u64, from: SocketAddr, bytes: &[u8]) {
        if self.select(now_ms, from) {
            self.session.message(now_ms, from, bytes, &mut self.sink);
            self.sink.end_message();
        }
    }

    /// A stream ended.
    pub fn closed(&mut self, from: SocketAddr) {
        self.session.close(from, &mut self.sink);
    }

    /// The kernel dropped datagrams before we could read them.
    pub fn kernel_dropped(&mut self, datagrams: u64) {
        self.kernel_drops += datagrams;
    }

    /// Milliseconds since 1970 at which a slot is over.
    #[must_use]
    pub fn next_rotation_ms(&self) -> u64 {
        self.sink
            .streams
            .iter()
            .map(|s| s.slot.end_ms())
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Lets time pass: waiting data grows old, blocks are flushed, slots end.
    pub fn tick(&mut self, now_ms: u64) {
        self.session.tick(now_ms, &mut self.sink);
        let mut rotated = false;
        for stream in &mut self.sink.streams {
            stream.slot.tick(now_ms);
            if stream.slot.is_over(now_ms) {
                let statistics = stream.exporters.statistics();
                let report = stream.slot.rotate(now_ms, &statistics);
                stream.report(&report);
                stream.exporters.new_slot();
                rotated = true;
            }
        }
        if rotated {
            self.report_losses();
        }
    }

    /// Finishes all slots. Data that still waits for its template is lost, and told so.
    pub fn finish(&mut self) {
        self.session.tick(u64::MAX, &mut self.sink);
        for stream in &mut self.sink.streams {
            let statistics = stream.exporters.statistics();
            let report = stream.slot.finish(&statistics);
            stream.report(&report);
        }
        self.report_losses();
    }

    /// Finds the source of a sender; an unknown one is counted and told once.
    fn select(&mut self, now_ms: u64, from: SocketAddr) -> bool {
        let address = from.ip();
        match self
            .sink
            .streams
            .iter()
            .position(|s| s.address.is_none_or(|a| a == address))
        {
            Some(index) => {
                self.sink.current = index;
                self.sink.new_message = true;
                self.sink.bad_message = false;
                true
            }
            None => {
                self.unknown_senders += 1;
                if self.strangers.len() < MAX_STRANGERS
                    && self.strangers.insert(address)
                    && let Some(more) = self.stranger_limit.pass(now_ms)
                {
                    warn!("{address} is not a source (-n): its packets are skipped{more}");
                }
                false
            }
        }
    }

    /// Says what was lost since the last report, by cause; nothing if nothing was.
    fn report_losses(&mut self) {
        let total = Losses {
            unknown_senders: self.unknown_senders,
            kernel_drops: self.kernel_drops,
            session: *self.session.counters(),
        };
        let slot = total.since(&self.reported);
        self.reported = total;
        if !slot.lost.is_empty() {
            warn!("Lost: {}", slot.lost);
        }
        if !slot.noted.is_empty() {
            info!("Noted: {}", slot.noted);
        }
    }
}

impl Stream {
    /// nfcapd's line per slot, and one per exporter that lost something.
    fn report(&mut self, report: &SlotReport) {
        let ident = self.slot.ident();
        if let Some(totals) = &report.totals {
            info!(
                "Ident: '{ident}' Flows: {}, Packets: {}, Bytes: {}, Sequence Errors: {}, Bad Packets: {}",
                totals.flows,
                totals.packets,
                totals.bytes,
                self.exporters.sequence_errors(),
                self.bad_packets
            );
        }
        if report.lost > 0 {
            warn!(
                "Ident: '{ident}' {} flow records could not be written",
                report.lost
            );
        }
        for line in self.exporters.losses() {
            warn!("Ident: '{ident}' {line}");
        }
        self.bad_packets = 0;
    }
}

/// The receiving end of the session's events, apart from the session so that both can be borrowed.
struct Sink {
    streams: Vec<Stream>,
    mapper: Mapper,
    /// The source of the message being decoded.
    current: usize,
    /// No event of this message was seen yet.
    new_message: bool,
    bad_message: bool,
    init_times: HashMap<(IpAddr, u32), i64, FixedState>,
    violation_limit: RateLimit,
    loss_limit: RateLimit,
}

impl Sink {
    fn end_message(&mut self) {
        if self.bad_message
            && let Some(stream) = self.streams.get_mut(self.current)
        {
            stream.bad_packets += 1;
        }
    }

    /// Options are not flow records. Of their contents only the exporter's start matters here: IPFIX times may count from it.
    fn options(&mut self, message: &MessageInfo, template: &Template, record: &[u8]) {
        for (specifier, value) in template.values(record) {
            if specifier.pen != 0
                || specifier.id != SYSTEM_INIT_TIME
                || value.is_empty()
                || value.len() > 8
            {
                continue;
            }
            let ms = value
                .iter()
                .fold(0_i64, |sum, &octet| sum << 8 | i64::from(octet));
            let key = (message.exporter.ip(), message.domain);
            if self.init_times.len() < MAX_INIT_TIMES || self.init_times.contains_key(&key) {
                self.init_times.insert(key, ms);
            }
        }
    }
}

impl Events for Sink {
    fn record(&mut self, record: &DataRecord<'_>) {
        let DataRecord {
            message,
            template,
            bytes,
            ..
        } = *record;
        if matches!(template.kind(), TemplateKind::Options { .. }) {
            self.options(message, template, bytes);
            return;
        }
        let system_init_ms = if message.version == 10 && !self.init_times.is_empty() {
            self.init_times
                .get(&(message.exporter.ip(), message.domain))
                .copied()
        } else {
            None
        };
        let clock = Clock {
            export_ms: i64::try_from(message.export_ms).unwrap_or(i64::MAX),
            uptime_ms: message.uptime_ms,
            system_init_ms,
        };
        let Some(stream) = self.streams.get_mut(self.current) else {
            return;
        };
        let new_message = std::mem::take(&mut self.new_message);
        let exporter = stream
            .exporters
            .record(message, new_message, &mut stream.slot);
        let record = self.mapper.map(message, template, bytes, exporter, &clock);
        stream.slot.record(record);
    }

    fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        debug!(
            "{} domain {}: template {} with {} fields",
            message.exporter,
            message.domain,
            template.id(),
            template.fields().len()
        );
    }

    fn loss(&mut self, message: &MessageInfo, missing: u64, unit: LossUnit) {
        if let Some(stream) = self.streams.get_mut(self.current) {
            stream
                .exporters
                .loss(message, missing, unit, &mut stream.slot);
        }
        if let Some(more) = self.loss_limit.pass(message.received_ms) {
            debug!(
                "{} domain {}: {missing} {} missing before sequence {}{more}",
                message.exporter,
                message.domain,
                unit_name(unit),
                message.sequence
            );
        }
    }

    fn recovered(&mut self, message: &MessageInfo, found: u64, _unit: LossUnit) {
        if let Some(stream) = self.streams.get_mut(self.current) {
            stream.exporters.recovered(message, found);
        }
    }

    fn restart(&mut self, message: &MessageInfo) {
        info!(
            "{} domain {}: the exporter started again",
            message.exporter, message.domain
        );
        self.init_times
            .remove(&(message.exporter.ip(), message.domain));
    }

    fn violation(&mut self, from: SocketAddr, now_ms: u64, error: &DecodeError) {
        self.bad_message = true;
        if let Some(more) = self.violation_limit.pass(now_ms) {
            warn!("{from}: {error}{more}");
        }
    }
}
