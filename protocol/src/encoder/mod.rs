//! Records in, NetFlow v9 or IPFIX messages out.
//!
//! The encoder decides when a message closes, when templates are repeated and, for NetFlow v9, where the uptime
//! clock stands: a collector finds the absolute time of a record as header time − header uptime + uptime of the
//! record, and each message is right by itself.

mod config;
mod message;
mod record;
mod templates;
#[cfg(test)]
mod tests;

use crate::template::{Template, TemplateKind};
use crate::writer::{SET_HEADER, begin_set, end_set, padded, patch};
use templates::TemplateBlock;

pub use config::{EncodeError, EncoderConfig, EncoderCounters, ExportVersion, TemplateSpec};
pub use message::{Message, Stamp};
pub use record::RecordWriter;

/// The most that 32 bits of milliseconds hold: 49.7 days.
const UPTIME_MAX: i64 = u32::MAX as i64;
/// A header's time is at most so much later than the first packet in its message. Collectors compare uptimes modulo
/// 2^32: from half of that on, a time long past would look like one to come.
const LAG_MAX: i64 = i32::MAX as i64 - 1000;
/// A moved base lies so much before the first packet of the record that moved it.
const BASE_LEAD_MS: i64 = 1000;

/// See the module.
#[derive(Debug)]
pub struct Encoder {
    config: EncoderConfig,
    counters: EncoderCounters,
    plans: Vec<Plan>,
    blocks: Vec<TemplateBlock>,
    /// When templates were sent last: messages since then, and the export clock. `None`: to be sent.
    refreshed: Option<(u32, i64)>,
    base_ms: i64,
    sequence: u32,
    /// The message in the making, header included; empty when there is none.
    message: Vec<u8>,
    open_set: Option<OpenSet>,
    /// Data records, options included.
    data_records: u32,
    options_records: u32,
    template_records: u16,
    /// The earliest and the latest time in the message in the making.
    earliest_ms: i64,
    latest_ms: i64,
    /// Where records are written before it is known whether they fit the message in the making.
    record: Box<[u8]>,
    record_length: usize,
}

/// A template to write records by.
#[derive(Debug)]
struct Plan {
    template: Template,
    max_records: usize,
    /// Records in the message in the making.
    records: usize,
}

/// The data set in the making.
#[derive(Clone, Copy, Debug)]
struct OpenSet {
    /// Index of its template.
    template: usize,
    begin: usize,
}

impl Encoder {
    /// An encoder of these templates.
    ///
    /// # Errors
    /// Templates that cannot be sent, or whose records fit no message.
    pub fn new(config: EncoderConfig, templates: Vec<TemplateSpec>) -> Result<Self, EncodeError> {
        let room = room(&config)?;
        let mut plans: Vec<Plan> = Vec::with_capacity(templates.len());
        for spec in templates {
            let plan = Plan::new(&config, spec, room)?;
            if plans
                .iter()
                .any(|other| other.template.id() == plan.template.id())
            {
                return Err(EncodeError::DuplicateTemplate(plan.template.id()));
            }
            plans.push(plan);
        }
        let all: Vec<&Template> = plans.iter().map(|plan| &plan.template).collect();
        let blocks = templates::blocks(config.version, &all, room)?;
        Ok(Self {
            config,
            counters: EncoderCounters::default(),
            plans,
            blocks,
            refreshed: None,
            base_ms: config.uptime_base_ms,
            sequence: 0,
            message: Vec::with_capacity(config.max_message),
            open_set: None,
            data_records: 0,
            options_records: 0,
            template_records: 0,
            earliest_ms: i64::MAX,
            latest_ms: i64::MIN,
            record: vec![0; config.max_message].into_boxed_slice(),
            record_length: 0,
        })
    }

    /// Adds a record of the template at `template` (index in the list given to [`new`](Self::new)).
    ///
    /// `first_ms` and `last_ms` are the times of the record, `now_ms` is the export clock (all milliseconds
    /// since 1970). `fill` writes the record. `out` is called with each message that closes.
    ///
    /// # Errors
    /// `fill` wrote something that is not a record of the template, or too long for a message: the record is
    /// not sent, all others are.
    pub fn record(
        &mut self,
        template: usize,
        first_ms: i64,
        last_ms: i64,
        now_ms: i64,
        fill: impl FnOnce(&mut RecordWriter<'_>),
        out: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EncodeError> {
        if self.config.version == ExportVersion::V9 {
            self.place_base(first_ms.min(last_ms), first_ms.max(last_ms), now_ms, out);
        }
        let mut writer = RecordWriter::new(&mut self.record, self.base_ms);
        fill(&mut writer);
        self.counters.clamped_times += writer.clamped();
        self.record_length = writer.length();
        self.check_record(template)?;
        if !self.fits(template) {
            self.close(now_ms, out);
            self.open(now_ms, out);
        }
        if !self.fits(template) {
            // Templates take the room: they go alone. An empty message has room for the record.
            self.close(now_ms, out);
            self.begin_message();
        }
        self.append(template);
        self.earliest_ms = self.earliest_ms.min(first_ms).min(last_ms);
        self.latest_ms = self.latest_ms.max(first_ms).max(last_ms);
        if self.plans.get(template).is_some_and(Plan::is_full) {
            self.close(now_ms, out);
        }
        Ok(())
    }

    /// Whether the message in the making takes one more record of a template of fixed length. If not, the record
    /// will begin another message.
    pub fn has_room(&self, template: usize) -> bool {
        let length = self
            .plans
            .get(template)
            .map_or(0, |plan| plan.template.min_length());
        self.has_room_for(template, length)
    }

    /// Begins a message with templates in front, if no message is in the making and templates are due. Returns
    /// whether it did: the moment to send options data again.
    pub fn refresh(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) -> bool {
        if !self.message.is_empty() || !self.templates_due(now_ms) {
            return false;
        }
        self.open(now_ms, out);
        true
    }

    /// From now on messages have at most so many octets, but never fewer than a record of each template needs.
    pub fn limit_message(
        &mut self,
        max_message: usize,
        now_ms: i64,
        out: &mut impl FnMut(Message<'_>),
    ) {
        self.close(now_ms, out);
        let config = EncoderConfig {
            max_message: max_message.min(self.record.len()),
            ..self.config
        };
        let all: Vec<&Template> = self.plans.iter().map(|plan| &plan.template).collect();
        let least = all.iter().map(|template| template.min_length()).max();
        let Ok(room) = room(&config) else { return };
        if padded(SET_HEADER + least.unwrap_or(0)) > room {
            return;
        }
        if let Ok(blocks) = templates::blocks(config.version, &all, room) {
            self.blocks = blocks;
            self.config = config;
        }
    }

    /// Messages with all templates and nothing else, for a session that begins anew: with [`Stamp`] they get the
    /// place in time and sequence that they are sent at.
    pub fn template_messages(&self) -> Vec<Vec<u8>> {
        let header = header_length(self.config.version);
        let message = |block: &TemplateBlock| {
            let mut message = vec![0; header];
            message.extend_from_slice(&block.octets);
            self.config.version.write_head(
                &mut message,
                u32::from(block.records),
                self.config.domain,
            );
            message
        };
        self.blocks.iter().map(message).collect()
    }

    /// Closes the message in the making, if there is one.
    pub fn flush(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.close(now_ms, out);
    }

    /// Sends all templates now, behind what is in the making.
    pub fn templates(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.close(now_ms, out);
        self.refreshed = None;
        self.open(now_ms, out);
        self.close(now_ms, out);
    }

    /// What was made so far.
    pub fn counters(&self) -> &EncoderCounters {
        &self.counters
    }

    /// Sees to it that both times of a record and the header of its message fit 32 bits of uptime.
    fn place_base(
        &mut self,
        from_ms: i64,
        to_ms: i64,
        now_ms: i64,
        out: &mut impl FnMut(Message<'_>),
    ) {
        let earliest_ms = self.earliest_ms.min(from_ms);
        let spread = self.latest_ms.max(to_ms).saturating_sub(earliest_ms);
        if self.data_records > 0 && spread > LAG_MAX {
            self.close(now_ms, out);
        }
        let top = self.base_ms.saturating_add(UPTIME_MAX);
        let to_ms = ceil_second(to_ms);
        let record_fits = from_ms >= self.base_ms && to_ms <= top;
        if record_fits && ceil_second(now_ms.max(self.latest_ms)) <= top {
            return;
        }
        let earliest = to_ms.saturating_sub(UPTIME_MAX);
        let base_ms = from_ms.saturating_sub(BASE_LEAD_MS).max(earliest);
        if base_ms == self.base_ms || (record_fits && base_ms < self.base_ms) {
            // Moving the base would not help: the header's time stays behind the export clock.
            return;
        }
        self.close(now_ms, out);
        self.base_ms = base_ms;
        self.counters.base_moves += 1;
        // A collector may take the other boot time for a restart and forget the templates.
        self.refreshed = None;
    }

    fn check_record(&self, template: usize) -> Result<(), EncodeError> {
        let Some(plan) = self.plans.get(template) else {
            return Err(EncodeError::NoTemplate(template));
        };
        let id = plan.template.id();
        let found = self.record_length;
        let room = room(&self.config)? - SET_HEADER;
        if padded(found) > room {
            return Err(EncodeError::RecordTooLong {
                id,
                length: found,
                room,
            });
        }
        let record = self.record.get(..found).unwrap_or_default();
        if plan.template.record_length(record) != Some(found) {
            return Err(EncodeError::RecordLength {
                id,
                expected: plan.template.min_length(),
                found,
            });
        }
        Ok(())
    }

    /// Whether there is a message in the making with room for the record.
    fn fits(&self, template: usize) -> bool {
        self.has_room_for(template, self.record_length)
    }

    fn has_room_for(&self, template: usize, record_length: usize) -> bool {
        if self.message.is_empty() {
            return false;
        }
        let length = match self.open_set {
            Some(open) if open.template == template => self.message.len(),
            _ => padded(self.message.len()) + SET_HEADER,
        };
        padded(length + record_length) <= self.config.max_message
    }

    fn append(&mut self, template: usize) {
        if self.open_set.is_none_or(|open| open.template != template) {
            self.end_open_set();
            let Some(plan) = self.plans.get(template) else {
                return;
            };
            let begin = begin_set(&mut self.message, plan.template.id());
            self.open_set = Some(OpenSet { template, begin });
        }
        let record = self.record.get(..self.record_length);
        self.message.extend_from_slice(record.unwrap_or_default());
        self.data_records += 1;
        if let Some(plan) = self.plans.get_mut(template) {
            plan.records += 1;
            self.options_records += u32::from(plan.template.kind() != TemplateKind::Data);
        }
    }

    fn end_open_set(&mut self) {
        let Some(OpenSet { template, begin }) = self.open_set.take() else {
            return;
        };
        let least_record = self
            .plans
            .get(template)
            .map_or(0, |plan| plan.template.min_length());
        end_set(&mut self.message, begin, least_record);
    }

    /// Begins a message, with templates in front where they are due.
    fn open(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.begin_message();
        if !self.templates_due(now_ms) {
            return;
        }
        let again = self.refreshed.replace((0, now_ms)).is_some();
        if again && !self.config.repeat_templates {
            return;
        }
        for index in 0..self.blocks.len() {
            if index > 0 {
                self.close(now_ms, out);
                self.begin_message();
            }
            if let Some(block) = self.blocks.get(index) {
                self.message.extend_from_slice(&block.octets);
                self.template_records = block.records;
            }
        }
    }

    fn begin_message(&mut self) {
        self.message.clear();
        self.message.resize(header_length(self.config.version), 0);
    }

    fn templates_due(&self, now_ms: i64) -> bool {
        let Some((messages, sent_ms)) = self.refreshed else {
            return true;
        };
        let EncoderConfig {
            refresh_messages,
            refresh_interval_ms,
            ..
        } = self.config;
        let by_count = refresh_messages > 0 && messages >= refresh_messages;
        // A clock that went back is no reason to wait for longer.
        let by_time = refresh_interval_ms > 0 && now_ms.abs_diff(sent_ms) >= refresh_interval_ms;
        by_count || by_time
    }

    /// Ends the message in the making and gives it out, unless there is nothing in it.
    fn close(&mut self, now_ms: i64, out: &mut impl FnMut(Message<'_>)) {
        self.end_open_set();
        if self.data_records > 0 || self.template_records > 0 {
            self.write_header(now_ms.max(self.latest_ms));
            self.count_message();
            out(Message {
                version: self.config.version,
                octets: &mut self.message,
                flows: self.data_records.saturating_sub(self.options_records),
                options: self.options_records,
            });
        }
        self.message.clear();
        self.data_records = 0;
        self.options_records = 0;
        self.template_records = 0;
        self.earliest_ms = i64::MAX;
        self.latest_ms = i64::MIN;
        for plan in &mut self.plans {
            plan.records = 0;
        }
    }

    /// The header's time is the export clock, or the latest packet in the message if that is later, rounded up
    /// to the second: no record ends after it.
    fn write_header(&mut self, export_ms: i64) {
        match self.config.version {
            ExportVersion::V9 => self.write_v9_header(export_ms),
            ExportVersion::Ipfix => self.write_ipfix_header(export_ms),
        }
    }

    /// RFC 3954 section 5.1. Header time − uptime is exactly the base.
    fn write_v9_header(&mut self, export_ms: i64) {
        let latest = self
            .base_ms
            .saturating_add(UPTIME_MAX)
            .min(self.earliest_ms.saturating_add(LAG_MAX))
            .max(ceil_second(self.latest_ms))
            .div_euclid(1000);
        let earliest = ceil_second(self.base_ms).div_euclid(1000);
        let seconds = ceil_second(export_ms)
            .div_euclid(1000)
            .min(latest)
            .max(earliest);
        let seconds = clamp_u32(seconds);
        let uptime = clamp_u32((i64::from(seconds) * 1000).saturating_sub(self.base_ms));
        let count = self.data_records + u32::from(self.template_records);
        self.config
            .version
            .write_head(&mut self.message, count, self.config.domain);
        patch(&mut self.message, 4, &uptime.to_be_bytes());
        patch(&mut self.message, 8, &seconds.to_be_bytes());
        patch(&mut self.message, 12, &self.sequence.to_be_bytes());
    }

    /// RFC 7011 section 3.1.
    fn write_ipfix_header(&mut self, export_ms: i64) {
        let seconds = clamp_u32(ceil_second(export_ms).div_euclid(1000));
        self.config
            .version
            .write_head(&mut self.message, 0, self.config.domain);
        patch(&mut self.message, 4, &seconds.to_be_bytes());
        patch(&mut self.message, 8, &self.sequence.to_be_bytes());
    }

    /// The sequence number counts messages in v9 and data records in IPFIX.
    fn count_message(&mut self) {
        let step = self.config.version.step(self.data_records);
        self.sequence = self.sequence.wrapping_add(step);
        if let Some((messages, _)) = &mut self.refreshed {
            *messages = messages.saturating_add(1);
        }
        self.counters.messages += 1;
        self.counters.records += u64::from(self.data_records.saturating_sub(self.options_records));
        self.counters.options += u64::from(self.options_records);
        self.counters.templates += u64::from(self.template_records);
        self.counters.octets += self.message.len() as u64;
    }
}

impl Plan {
    fn new(config: &EncoderConfig, spec: TemplateSpec, room: usize) -> Result<Self, EncodeError> {
        let TemplateSpec {
            id,
            kind,
            fields,
            max_records,
        } = spec;
        for field in &fields {
            match config.version {
                ExportVersion::V9 if field.pen != 0 => {
                    return Err(EncodeError::EnterpriseInV9 {
                        id,
                        element: field.id,
                        pen: field.pen,
                    });
                }
                ExportVersion::Ipfix if field.id >= 0x8000 => {
                    return Err(EncodeError::ElementNumber {
                        id,
                        element: field.id,
                    });
                }
                _ => {}
            }
        }
        let version = match config.version {
            ExportVersion::V9 => 9,
            ExportVersion::Ipfix => 10,
        };
        let template = Template::new(version, id, kind, fields)?;
        let length = template.min_length();
        let room = room - SET_HEADER;
        if padded(length) > room {
            return Err(EncodeError::RecordTooLong { id, length, room });
        }
        Ok(Self {
            template,
            max_records,
            records: 0,
        })
    }

    fn is_full(&self) -> bool {
        self.max_records > 0 && self.records >= self.max_records
    }
}

fn header_length(version: ExportVersion) -> usize {
    match version {
        ExportVersion::V9 => 20,
        ExportVersion::Ipfix => 16,
    }
}

/// Octets of a message behind its header; at least a set header.
fn room(config: &EncoderConfig) -> Result<usize, EncodeError> {
    let least = header_length(config.version) + SET_HEADER;
    if config.max_message < least || config.max_message > usize::from(u16::MAX) {
        return Err(EncodeError::MessageSize(config.max_message));
    }
    Ok(config.max_message - header_length(config.version))
}

/// Rounded up to the whole second, in milliseconds.
fn ceil_second(time_ms: i64) -> i64 {
    time_ms
        .saturating_add(999)
        .div_euclid(1000)
        .saturating_mul(1000)
}

fn clamp_u32(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}
