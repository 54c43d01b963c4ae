//! Decoded records as JSON, one object a line (the contract stands in the README under `t2collect --json`).
//!
//! Templates are compiled into plans once; a record is written into one buffer that is kept, without allocating.

mod plan;
mod value;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::error::DecodeError;
use protocol::session::{DataRecord, LossUnit, MessageInfo, TemplateLookup};
use protocol::template::{Template, TemplateKind, VARIABLE_LENGTH};

use self::plan::{Entry, Plan};
pub use self::plan::{Taught, field_key};
use self::value::{write_list, write_text, write_time, write_unsigned, write_value};
use crate::map::{Clock, Time, Times};

/// Octets that plans may take together; when there are more, all are forgotten and those in use compiled again.
pub const PLANS_COST: usize = 32 << 20;
/// Octets written at a time.
const BUFFER: usize = 256 << 10;

/// What the collector knows of a record beside its octets.
pub struct About<'a> {
    /// The clocks of its exporter.
    pub clock: &'a Clock,
    /// Packets that one packet in the record stands for, if that is known and not applied by the exporter.
    pub sampling: Option<f64>,
    /// Elements that exporters have described.
    pub taught: Taught<'a>,
}

/// Turns records into JSON text.
#[derive(Default)]
pub struct Writer {
    plans: HashMap<u64, Plan, FixedState>,
    plans_cost: usize,
    /// Where the values of the record at hand lie in it.
    places: Vec<(usize, usize)>,
    /// Keys whose strings are not UTF-8, in the record at hand.
    invalid: Vec<u8>,
}

impl Writer {
    /// Elements have got other names: what was compiled is compiled again.
    pub fn forget_plans(&mut self) {
        self.plans.clear();
        self.plans_cost = 0;
    }

    /// Appends the line of a record.
    pub fn record(&mut self, out: &mut Vec<u8>, record: &DataRecord<'_>, about: &About<'_>) {
        let message = record.message;
        begin(out, message);
        out.extend_from_slice(b",\"template\":");
        match record.template.id() {
            0 => out.extend_from_slice(b"null"),
            id => write_unsigned(out, u64::from(id)),
        }
        out.extend_from_slice(match record.template.kind() {
            TemplateKind::Data => b",\"kind\":\"flow\"".as_slice(),
            TemplateKind::Options { .. } => b",\"kind\":\"options\"",
        });
        if let Some(rate) = about.sampling {
            out.extend_from_slice(b",\"samplingRate\":");
            if rate.fract() == 0.0 && rate < 1e15 {
                write_unsigned(out, rate as u64);
            } else {
                let _ = serde_json::to_writer(&mut *out, &rate);
            }
        }
        out.extend_from_slice(b",\"fields\":");
        self.fields(out, record, about);
        if !self.invalid.is_empty() {
            out.extend_from_slice(b",\"invalidUtf8\":[");
            out.extend_from_slice(&self.invalid);
            out.push(b']');
        }
        out.extend_from_slice(b"}\n");
    }

    /// Appends the object of a record's fields.
    pub fn fields(&mut self, out: &mut Vec<u8>, record: &DataRecord<'_>, about: &About<'_>) {
        let uid = record.template.uid();
        if !self.plans.contains_key(&uid) {
            let plan = Plan::compile(record.template, about.taught);
            self.plans_cost += plan.cost();
            if self.plans_cost > PLANS_COST {
                self.forget_plans();
                self.plans_cost = plan.cost();
            }
            self.plans.insert(uid, plan);
        }
        let Some(plan) = self.plans.get(&uid) else {
            return;
        };
        self.places.clear();
        self.invalid.clear();
        let mut values = record.template.values(record.bytes);
        while let Some((_, value)) = values.next() {
            let end = values.offset();
            self.places.push((end - value.len(), end));
        }
        let value = |index: usize| {
            let (start, end) = *self.places.get(index)?;
            record.bytes.get(start..end)
        };
        out.push(b'{');
        for entry in &plan.entries {
            if !write_entry(out, entry, value, record.templates) {
                if !self.invalid.is_empty() {
                    self.invalid.push(b',');
                }
                let name = entry.key.strip_suffix(b":").unwrap_or(&entry.key);
                self.invalid.extend_from_slice(name);
            }
        }
        write_uptimes(out, plan, value, about.clock);
        out.push(b'}');
    }
}

/// Writes key and value, or values; gives whether its strings are UTF-8. What is not there is left out.
fn write_entry<'a>(
    out: &mut Vec<u8>,
    entry: &Entry,
    value: impl Fn(usize) -> Option<&'a [u8]>,
    templates: TemplateLookup<'_>,
) -> bool {
    let shown = |octets: &&[u8]| !octets.is_empty() || entry.kind.shows_empty();
    let one = |out: &mut Vec<u8>, octets: &[u8]| match entry.kind.data_type {
        Some(data_type) if data_type.is_list() => write_list(out, entry.field, octets, templates),
        _ => write_value(out, entry.kind, octets),
    };
    let start = out.len();
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(&entry.key);
    let mut valid = true;
    let mut written = 0;
    if let [index] = *entry.indexes {
        if let Some(octets) = value(index).filter(shown) {
            valid = one(out, octets);
            written = 1;
        }
    } else {
        out.push(b'[');
        for octets in entry.indexes.iter().filter_map(|index| value(*index)) {
            if !shown(&octets) {
                continue;
            }
            if written > 0 {
                out.push(b',');
            }
            valid &= one(out, octets);
            written += 1;
        }
        out.push(b']');
    }
    if written == 0 {
        out.truncate(start);
    }
    valid
}

/// Times told as uptime, as absolute ones beside them, where the clock that they count from is known.
fn write_uptimes<'a>(
    out: &mut Vec<u8>,
    plan: &Plan,
    value: impl Fn(usize) -> Option<&'a [u8]>,
    clock: &Clock,
) {
    if plan.uptime == [None, None] {
        return;
    }
    let mut times = Times::default();
    let number = |index: Option<usize>| {
        let octets = value(index?).filter(|octets| !octets.is_empty())?;
        protocol::value::unsigned(octets)
    };
    let [first, last] = plan.uptime;
    for (what, at) in [
        (Time::FirstUptime, first),
        (Time::LastUptime, last),
        (Time::SystemInit, plan.init),
    ] {
        if let Some(number) = number(at) {
            times.set(what, number, clock);
        }
    }
    let (first, last) = times.by_uptime(clock);
    for (key, ms) in [
        ("flowStartMilliseconds", first),
        ("flowEndMilliseconds", last),
    ] {
        let Some(ms) = ms else { continue };
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        write_text(out, key);
        out.push(b':');
        write_time(out, i128::from(ms) * 1_000_000, 3);
    }
}

/// What is counted, in JSON.
fn name(unit: LossUnit) -> &'static str {
    match unit {
        LossUnit::Messages => "messages",
        LossUnit::Flows | LossUnit::Records => "records",
    }
}

/// The beginning of all lines that belong to a message.
fn begin(out: &mut Vec<u8>, message: &MessageInfo) {
    write_sender(out, message.exporter);
    for (key, number) in [
        (b",\"version\":".as_slice(), u64::from(message.version)),
        (b",\"domain\":", u64::from(message.domain)),
    ] {
        out.extend_from_slice(key);
        write_unsigned(out, number);
    }
    out.extend_from_slice(b",\"exportTime\":");
    let digits = if message.export_ms.is_multiple_of(1000) {
        0
    } else {
        3
    };
    write_time(out, i128::from(message.export_ms) * 1_000_000, digits);
}

fn write_sender(out: &mut Vec<u8>, from: SocketAddr) {
    let _ = write!(out, "{{\"exporter\":\"{}\",\"port\":", from.ip());
    write_unsigned(out, u64::from(from.port()));
}

/// Where the lines go.
pub struct Json {
    target: Option<Box<dyn Write + Send>>,
    buffer: Vec<u8>,
    writer: Writer,
    /// Lines beside those of records.
    events: bool,
    /// Lines that could not be written.
    lost: u64,
    pending: u64,
}

impl Json {
    /// Opens `path` to append, or standard output for `-`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, events: bool) -> io::Result<Self> {
        let target: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(OpenOptions::new().create(true).append(true).open(path)?)
        };
        Ok(Self::new(target, events))
    }

    /// Writes to `target`.
    pub fn new(target: Box<dyn Write + Send>, events: bool) -> Self {
        Self {
            target: Some(target),
            buffer: Vec::with_capacity(BUFFER + 65_536),
            writer: Writer::default(),
            events,
            lost: 0,
            pending: 0,
        }
    }

    /// Lines that could not be written since this was asked last.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// A data record.
    pub fn record(&mut self, record: &DataRecord<'_>, about: &About<'_>) {
        self.writer.record(&mut self.buffer, record, about);
        self.end_line();
    }

    /// Elements have got other names.
    pub fn forget_plans(&mut self) {
        self.writer.forget_plans();
    }

    /// A template was learned or changed.
    pub fn template(&mut self, message: &MessageInfo, template: &Template) {
        if !self.events {
            return;
        }
        let out = &mut self.buffer;
        begin(out, message);
        let _ = write!(out, ",\"template\":{},\"kind\":\"template\"", template.id());
        if let TemplateKind::Options { scope_count } = template.kind() {
            let _ = write!(out, ",\"scopeCount\":{scope_count}");
        }
        out.extend_from_slice(b",\"fields\":[");
        for (index, field) in template.fields().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"name\":");
            write_text(out, &field_key(template, index, *field));
            let _ = write!(
                out,
                ",\"pen\":{},\"id\":{},\"length\":",
                field.pen, field.id
            );
            match field.length {
                VARIABLE_LENGTH => out.extend_from_slice(b"null}"),
                length => {
                    let _ = write!(out, "{length}}}");
                }
            }
        }
        out.extend_from_slice(b"]}\n");
        self.end_line();
    }

    /// Something is missing before this message.
    pub fn loss(
        &mut self,
        message: &MessageInfo,
        missing: u64,
        unit: LossUnit,
        estimate: Option<u64>,
    ) {
        if !self.events {
            return;
        }
        let out = &mut self.buffer;
        begin(out, message);
        let unit = name(unit);
        let _ = write!(
            out,
            ",\"kind\":\"loss\",\"sequence\":{},\"missing\":{missing},\"unit\":\"{unit}\"",
            message.sequence
        );
        if let Some(records) = estimate {
            let _ = write!(out, ",\"estimatedRecords\":{records}");
        }
        out.extend_from_slice(b"}\n");
        self.end_line();
    }

    /// What was told as missing came late, with this message.
    pub fn recovered(&mut self, message: &MessageInfo, found: u64, unit: LossUnit) {
        if !self.events {
            return;
        }
        let out = &mut self.buffer;
        begin(out, message);
        let unit = name(unit);
        let _ = writeln!(
            out,
            ",\"kind\":\"recovered\",\"sequence\":{},\"found\":{found},\"unit\":\"{unit}\"}}",
            message.sequence
        );
        self.end_line();
    }

    /// A message broke a rule.
    pub fn violation(&mut self, from: SocketAddr, error: &DecodeError) {
        if !self.events {
            return;
        }
        let out = &mut self.buffer;
        write_sender(out, from);
        let _ = write!(
            out,
            ",\"kind\":\"violation\",\"rule\":\"{}\",\"offset\":{},\"message\":",
            error.kind.rule_id(),
            error.offset
        );
        write_text(out, &error.kind.to_string());
        out.extend_from_slice(b"}\n");
        self.end_line();
    }

    fn end_line(&mut self) {
        self.pending += 1;
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }

    /// Hands on what is buffered. When the target takes no more, it is given up, and lines are counted as lost.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = match &mut self.target {
            Some(target) => target.write_all(&self.buffer).and_then(|()| target.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        if let Err(error) = written {
            if self.target.take().is_some() {
                tracing::error!("JSON: {error}: nothing more is written there");
            }
            self.lost += self.pending;
        }
        self.pending = 0;
        self.buffer.clear();
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        self.flush();
    }
}
