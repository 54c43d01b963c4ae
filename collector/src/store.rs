//! What happens to decoded records: which source they belong to, who sent them, what is counted.
//!
//! Nothing here waits or reads a clock: the time comes with the messages.

mod exporters;
pub mod losses;
mod names;

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use protocol::error::DecodeError;
use protocol::session::{DataRecord, Events, LossUnit, MessageInfo, Session};
use protocol::template::{Template, TemplateKind};
use tracing::{debug, error, info, warn};

use self::exporters::{Exporters, unit_name};
use self::losses::Losses;
use crate::board::{Board, ByExporter, Traffic};
use crate::config::Source;
use crate::explain::Explain;
use crate::json::{About, Json};
use crate::knowledge::Knowledge;
use crate::log::RateLimit;
use crate::map::{Clock, Mapper};
use crate::merge::{Unfold, has_lists};
use crate::slot::files;
use crate::slot::shared::SharedSlot;
use crate::state::Kept;

/// Unknown senders that are told by name.
const MAX_STRANGERS: usize = 1024;
/// After a source could not be opened, none is for so long.
const AGAIN_MS: u64 = 10_000;
/// So many changes of one template within a minute are no reconfiguration.
const FLAPPING: u32 = 3;

/// Octets that the counters of exporters and strangers take at most, one source of any address.
#[must_use]
pub fn memory() -> usize {
    exporters::memory(false) + MAX_STRANGERS * 64
}

/// Octets that a source of one address takes at most, with its block at hand.
#[must_use]
pub fn memory_of_source() -> usize {
    exporters::memory(true) + files::BLOCK
}

/// One source: its files and its exporters.
struct Stream {
    address: Option<IpAddr>,
    /// `None`: no files are written.
    slot: Option<SharedSlot>,
    exporters: Exporters,
    /// Datagrams or stream messages with something wrong in them, in this slot.
    bad_packets: u64,
    /// Something came in this slot.
    is_active: bool,
}

impl Stream {
    fn new(address: Option<IpAddr>, slot: Option<SharedSlot>) -> Self {
        Self {
            address,
            slot,
            exporters: Exporters::new(address.is_some()),
            bad_packets: 0,
            is_active: true,
        }
    }
}

fn index(streams: &[Stream]) -> HashMap<IpAddr, usize, FixedState> {
    let with_address = |(at, stream): (usize, &Stream)| Some((stream.address?, at));
    streams
        .iter()
        .enumerate()
        .filter_map(with_address)
        .collect()
}

/// Opens the files of a new source at a time.
pub type OpenSource = dyn FnMut(IpAddr, u64) -> anyhow::Result<SharedSlot> + Send;

/// Sources that are found as they send (`-M`).
pub struct Dynamic {
    open: Box<OpenSource>,
    /// Sources of all workers.
    count: Arc<AtomicUsize>,
    max: usize,
    /// No source is opened before this time.
    again_ms: u64,
}

impl Dynamic {
    /// At most `max` of them, counted in `count`.
    #[must_use]
    pub fn new(open: Box<OpenSource>, count: Arc<AtomicUsize>, max: usize) -> Self {
        Self {
            open,
            count,
            max,
            again_ms: 0,
        }
    }
}

/// Where records go beside the files.
#[derive(Default)]
pub struct Outputs {
    /// Lines of JSON.
    pub json: Option<Json>,
    /// The account at the end.
    pub explain: Option<Explain>,
}

/// Takes messages, writes records.
pub struct Store {
    session: Session,
    sink: Sink,
    /// Streams by the sender that they belong to.
    index: HashMap<IpAddr, usize, FixedState>,
    /// The stream of all senders.
    anyone: Option<usize>,
    dynamic: Option<Dynamic>,
    /// Records wait for room in the files: the input can wait.
    patient: bool,
    unknown_senders: u64,
    refused_sources: u64,
    strangers: HashSet<IpAddr, FixedState>,
    stranger_limit: RateLimit,
    traffic: ByExporter,
    board: Arc<Board>,
    /// Which of the workers this is.
    worker: usize,
}

impl Store {
    /// A store for these sources and their open slots, which posts its counters as this worker.
    #[must_use]
    pub fn new(
        session: Session,
        knowledge: Knowledge,
        sources: Vec<(Source, Option<SharedSlot>)>,
        outputs: Outputs,
        (board, worker): (Arc<Board>, usize),
    ) -> Self {
        let streams: Vec<_> = sources
            .into_iter()
            .map(|(source, slot)| Stream::new(source.address, slot))
            .collect();
        Self {
            index: index(&streams),
            anyone: streams.iter().position(|s| s.address.is_none()),
            dynamic: None,
            patient: false,
            refused_sources: 0,
            session,
            sink: Sink {
                streams,
                mapper: Mapper::default(),
                unfold: Unfold::default(),
                knowledge,
                outputs,
                current: 0,
                new_message: false,
                bad_message: false,
                gaps: Traffic::default(),
                violation_limit: RateLimit::new(10),
                loss_limit: RateLimit::new(10),
                template_limit: RateLimit::new(10),
            },
            unknown_senders: 0,
            strangers: HashSet::default(),
            stranger_limit: RateLimit::new(10),
            traffic: ByExporter::new(board.workers()),
            board,
            worker,
        }
    }

    /// Makes sources of senders as they come.
    pub fn set_dynamic(&mut self, dynamic: Dynamic) {
        self.dynamic = Some(dynamic);
    }

    /// Never drops a record because the files are behind: the input can wait.
    pub fn set_patient(&mut self) {
        self.patient = true;
    }

    /// Moves on to the time of an input, so that no record falls into a slot that is over.
    pub fn time(&mut self, now_ms: u64) {
        if now_ms >= self.next_rotation_ms() {
            self.tick(now_ms);
        }
    }

    /// Hands on the records and lines that wait in a buffer.
    pub fn flush(&mut self) {
        for slot in self.sink.streams.iter_mut().filter_map(|s| s.slot.as_mut()) {
            slot.flush();
        }
        if let Some(json) = &mut self.sink.outputs.json {
            json.flush();
        }
    }

    /// Writes the account of what was sent, if it was asked for.
    ///
    /// # Errors
    /// What `out` says.
    pub fn explain(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        match &self.sink.outputs.explain {
            Some(explain) => explain.write(&self.sink.knowledge, out),
            None => Ok(()),
        }
    }

    /// What is known of datagram exporters and may outlive the process.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept::of(&self.session)
    }

    /// Decodes one datagram and stores its records.
    pub fn datagram(&mut self, now_ms: u64, from: SocketAddr, bytes: &[u8]) {
        if self.select(now_ms, from, false) {
            let before = self.session.counters().records;
            self.session.datagram(now_ms, from, bytes, &mut self.sink);
            self.end_message(now_ms, from.ip(), bytes.len(), before);
        }
    }

    /// Decodes one message of a stream and stores its records.
    pub fn message(&mut self, now_ms: u64, from: SocketAddr, bytes: &[u8]) {
        if self.select(now_ms, from, true) {
            let before = self.session.counters().records;
            self.session.message(now_ms, from, bytes, &mut self.sink);
            self.end_message(now_ms, from.ip(), bytes.len(), before);
        }
    }

    fn end_message(&mut self, now_ms: u64, from: IpAddr, octets: usize, records: u64) {
        self.sink.end_message();
        let traffic = Traffic {
            messages: 1,
            octets: octets as u64,
            records: self.session.counters().records - records,
            ..mem::take(&mut self.sink.gaps)
        };
        self.traffic.add(now_ms, from, &traffic);
    }

    /// A stream ended.
    pub fn closed(&mut self, from: SocketAddr) {
        self.session.close(from, &mut self.sink);
    }

    /// Milliseconds since 1970 at which a slot is over.
    #[must_use]
    pub fn next_rotation_ms(&self) -> u64 {
        self.sink
            .streams
            .iter()
            .filter_map(|s| Some(s.slot.as_ref()?.end_ms()))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Lets time pass: waiting data grows old, blocks are flushed, slots end.
    pub fn tick(&mut self, now_ms: u64) {
        self.session.tick(now_ms, &mut self.sink);
        self.post(false);
        let mut told = false;
        let is_dynamic = self.dynamic.is_some();
        for stream in &mut self.sink.streams {
            let Some(slot) = &mut stream.slot else {
                continue;
            };
            slot.tick(now_ms);
            if slot.is_over(now_ms) {
                let share = stream.exporters.share(stream.bad_packets);
                if is_dynamic && !stream.is_active {
                    told |= slot.finish(share);
                    stream.slot = None;
                    continue;
                }
                told |= slot.rotate(now_ms, share);
                stream.exporters.new_slot();
                stream.bad_packets = 0;
                stream.is_active = false;
            }
        }
        if is_dynamic {
            self.forget_silent();
        }
        if told {
            self.report_lines();
            self.board.report();
        }
    }

    /// Finishes all slots. Data that still waits for its template is lost, and told so.
    pub fn finish(&mut self) {
        self.session.tick(u64::MAX, &mut self.sink);
        for stream in &mut self.sink.streams {
            let share = stream.exporters.share(stream.bad_packets);
            if let Some(slot) = &mut stream.slot {
                slot.finish(share);
            }
        }
        self.flush();
        self.report_lines();
        if self.post(true) {
            self.board.report();
        }
    }

    /// Lets others know what was counted; gives whether all workers have finished.
    pub fn post(&self, finished: bool) -> bool {
        let (refused_names, implausible_sampling) = self.sink.knowledge.refused();
        let losses = Losses {
            refused_names,
            implausible_sampling,
            unknown_senders: self.unknown_senders,
            refused_sources: self.refused_sources,
            session: *self.session.counters(),
            ..Losses::default()
        };
        let exporters = self.session.exporters();
        self.board
            .post(self.worker, losses, exporters, &self.traffic, finished)
    }

    /// Finds the source of a sender; an unknown one is counted and told once.
    fn select(&mut self, now_ms: u64, from: SocketAddr, patient: bool) -> bool {
        let address = from.ip();
        let known = self.index.get(&address).copied().or(self.anyone);
        match known.or_else(|| self.discover(now_ms, address)) {
            Some(index) => {
                self.sink.current = index;
                self.sink.new_message = true;
                self.sink.bad_message = false;
                if let Some(stream) = self.sink.streams.get_mut(index) {
                    stream.is_active = true;
                    if let Some(slot) = &mut stream.slot {
                        slot.set_patient(patient || self.patient);
                    }
                }
                true
            }
            None if self.dynamic.is_some() => {
                self.refused_sources += 1;
                false
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

    /// Makes a source of a new sender, where there is room for it.
    fn discover(&mut self, now_ms: u64, address: IpAddr) -> Option<usize> {
        let dynamic = self.dynamic.as_mut()?;
        if now_ms < dynamic.again_ms {
            return None;
        }
        let max = dynamic.max;
        let free = |count| (count < max).then_some(count + 1);
        let order = Ordering::Relaxed;
        if dynamic.count.fetch_update(order, order, free).is_err() {
            if let Some(more) = self.stranger_limit.pass(now_ms) {
                warn!(
                    "{address}: {max} sources send already (--max-sources), its packets are skipped{more}"
                );
            }
            return None;
        }
        match (dynamic.open)(address, now_ms) {
            Ok(slot) => {
                let index = self.sink.streams.len();
                self.sink
                    .streams
                    .push(Stream::new(Some(address), Some(slot)));
                self.index.insert(address, index);
                Some(index)
            }
            Err(error) => {
                dynamic.count.fetch_sub(1, order);
                dynamic.again_ms = now_ms + AGAIN_MS;
                if let Some(more) = self.stranger_limit.pass(now_ms) {
                    error!("{address}: no files for this source: {error:#}{more}");
                }
                None
            }
        }
    }

    /// Makes room for others where a sender was silent for a whole slot.
    fn forget_silent(&mut self) {
        let before = self.sink.streams.len();
        self.sink.streams.retain(|stream| stream.slot.is_some());
        let gone = before - self.sink.streams.len();
        if gone == 0 {
            return;
        }
        if let Some(dynamic) = &self.dynamic {
            dynamic.count.fetch_sub(gone, Ordering::Relaxed);
        }
        self.index = index(&self.sink.streams);
    }

    /// Says what lines could not be written.
    fn report_lines(&mut self) {
        let lost = self.sink.outputs.json.as_mut().map_or(0, Json::take_lost);
        if lost > 0 {
            warn!("{lost} JSON lines could not be written");
        }
    }
}

/// The receiving end of the session's events, apart from the session so that both can be borrowed.
struct Sink {
    streams: Vec<Stream>,
    mapper: Mapper,
    unfold: Unfold,
    knowledge: Knowledge,
    outputs: Outputs,
    /// The source of the message being decoded.
    current: usize,
    /// No event of this message was seen yet.
    new_message: bool,
    bad_message: bool,
    /// What the sequence of the message at hand says is missing, or has come after all.
    gaps: Traffic,
    violation_limit: RateLimit,
    loss_limit: RateLimit,
    template_limit: RateLimit,
}

impl Sink {
    fn end_message(&mut self) {
        if self.bad_message
            && let Some(stream) = self.streams.get_mut(self.current)
        {
            stream.bad_packets += 1;
        }
    }

    /// Options are not flow records: they tell about the exporter.
    fn options(&mut self, record: &DataRecord<'_>) {
        let taught = self.knowledge.options(record);
        if taught.element
            && let Some(json) = &mut self.outputs.json
        {
            json.forget_plans();
        }
        if !taught.names.is_empty()
            && let Some(stream) = self.streams.get_mut(self.current)
            && let Some(slot) = &mut stream.slot
        {
            stream
                .exporters
                .names(record.message, &self.knowledge, &taught.names, slot);
        }
        self.show(record, None);
    }

    /// JSON and the account at the end.
    fn show(&mut self, record: &DataRecord<'_>, sampling: Option<f64>) {
        if self.outputs.json.is_none() && self.outputs.explain.is_none() {
            return;
        }
        let exporter = record.message.exporter.ip();
        let knowledge = &self.knowledge;
        let about = About {
            clock: &clock(knowledge, record.message),
            sampling,
            taught: &|pen, id| knowledge.element(exporter, pen, id),
        };
        if let Some(json) = &mut self.outputs.json {
            json.record(record, &about);
        }
        if let Some(explain) = &mut self.outputs.explain {
            explain.record(record, &about);
        }
    }

    /// A flow record, with its common properties.
    fn flow(&mut self, record: &DataRecord<'_>) {
        let sampling = self
            .knowledge
            .sampling(record)
            .filter(|(_, sampling)| sampling.is_sampled());
        self.show(record, sampling.map(|(_, sampling)| sampling.rate()));
        let clock = clock(&self.knowledge, record.message);
        let Some(stream) = self.streams.get_mut(self.current) else {
            return;
        };
        let new_message = mem::take(&mut self.new_message);
        let message = record.message;
        let number = stream
            .exporters
            .record(message, new_message, stream.slot.as_mut());
        let Some(slot) = &mut stream.slot else {
            return;
        };
        if let Some(sampling) = sampling {
            stream.exporters.sampler(message, sampling, slot);
        }
        stream.exporters.names(message, &self.knowledge, &[], slot);
        let sampling = sampling.as_ref().map(|(_, sampling)| sampling);
        let unfolded = if has_lists(record.template) {
            self.unfold.record(record)
        } else {
            None
        };
        let (template, bytes) = match &unfolded {
            Some((template, bytes)) => (template, *bytes),
            None => (record.template, record.bytes),
        };
        let record = self
            .mapper
            .map(message, template, bytes, number, &clock, sampling);
        slot.record(record);
    }
}

/// What the times of a record count from.
fn clock(knowledge: &Knowledge, message: &MessageInfo) -> Clock {
    Clock {
        export_ms: i64::try_from(message.export_ms).unwrap_or(i64::MAX),
        uptime_ms: message.uptime_ms,
        system_init_ms: knowledge.init_time(message),
    }
}

impl Events for Sink {
    fn record(&mut self, record: &DataRecord<'_>) {
        if matches!(record.template.kind(), TemplateKind::Options { .. }) {
            self.options(record);
            return;
        }
        let whole = self
            .knowledge
            .expand(record)
            .map(|(template, bytes)| (template, bytes.to_vec()));
        match &whole {
            Some((template, bytes)) => self.flow(&DataRecord {
                template,
                bytes,
                ..*record
            }),
            None => self.flow(record),
        }
    }

    fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        debug!(
            "{} domain {}: template {} with {} fields",
            message.exporter,
            message.domain,
            template.id(),
            template.fields().len()
        );
        if let Some(json) = &mut self.outputs.json {
            json.template(message, template);
        }
        if let Some(explain) = &mut self.outputs.explain {
            explain.template(message, template);
        }
    }

    fn redefined(
        &mut self,
        message: &MessageInfo,
        old: &Arc<Template>,
        new: &Arc<Template>,
        times: u32,
    ) {
        if let Some(explain) = &mut self.outputs.explain {
            explain.redefined(message);
        }
        if times >= FLAPPING
            && let Some(more) = self.template_limit.pass(message.received_ms)
        {
            warn!(
                "{} domain {}: template {} changes all the time ({times} times within a minute, now from {} to {} fields): \
                 two exporters, or somebody forges it{more}",
                message.exporter,
                message.domain,
                new.id(),
                old.fields().len(),
                new.fields().len()
            );
        }
    }

    fn loss(&mut self, message: &MessageInfo, missing: u64, unit: LossUnit) {
        self.gaps.miss(missing, unit);
        let estimate = self.streams.get_mut(self.current).and_then(|stream| {
            stream
                .exporters
                .loss(message, missing, unit, stream.slot.as_mut())
        });
        if let Some(json) = &mut self.outputs.json {
            json.loss(message, missing, unit, estimate);
        }
        if let Some(explain) = &mut self.outputs.explain {
            explain.loss(message, missing);
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

    fn recovered(&mut self, message: &MessageInfo, found: u64, unit: LossUnit) {
        self.gaps.recovered += found;
        if let Some(stream) = self.streams.get_mut(self.current) {
            stream.exporters.recovered(message, found);
        }
        if let Some(json) = &mut self.outputs.json {
            json.recovered(message, found, unit);
        }
        if let Some(explain) = &mut self.outputs.explain {
            explain.recovered(message, found);
        }
    }

    fn restart(&mut self, message: &MessageInfo) {
        info!(
            "{} domain {}: the exporter started again",
            message.exporter, message.domain
        );
        self.knowledge.restarted(message);
        if let Some(explain) = &mut self.outputs.explain {
            explain.restart(message);
        }
    }

    fn violation(&mut self, from: SocketAddr, now_ms: u64, error: &DecodeError) {
        self.bad_message = true;
        if let Some(json) = &mut self.outputs.json {
            json.violation(from, error);
        }
        if let Some(explain) = &mut self.outputs.explain {
            explain.violation(from, error);
        }
        if let Some(more) = self.violation_limit.pass(now_ms) {
            warn!("{from}: {error}{more}");
        }
    }
}
