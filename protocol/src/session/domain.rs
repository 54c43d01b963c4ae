//! One observation domain of one exporter: its templates, its waiting data, its sequence number.

use std::ops::Range;
use std::sync::Arc;

use super::context::{Context, Ledger, tell_record};
use super::events::{Counters, DataRecord, DiscardCause, Events, LossUnit, MessageInfo};
use super::pending::{Pending, Waiting};
use super::sequence::{Sequence, Step};
use super::shared::Home;
use super::templates::{TemplateLookup, Templates};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::template::Template;
use crate::{fixed, ipfix, v9};

/// Clocks in headers have whole seconds: a boot time that differs by less is the same.
const SAME_BOOT_MS: i64 = 2000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Domain {
    pub(super) templates: Templates,
    pending: Pending,
    sequence: Sequence,
    /// Uptime and boot time of the last message in order.
    clock: Option<(u32, i64)>,
    /// Numbering and clock are those of an earlier process: an exporter that began anew meanwhile may be past them.
    is_restored: bool,
    /// Data records of the message at hand; `None` once a set could not be counted.
    counted: Option<u32>,
}

/// A data set whose template is known and whose records are whole: where it lies in the message.
type Ready = (Arc<Template>, Range<usize>);

impl Domain {
    /// A domain that knows nothing; its templates are shared under `home`.
    pub(super) fn new(home: Option<Home>) -> Self {
        Self {
            templates: Templates::new(home),
            ..Self::default()
        }
    }

    /// Number and clock of the next message, if they are known: what [`Self::resume`] takes.
    pub(super) fn progress(&self) -> Option<(u32, Option<(u32, i64)>)> {
        Some((self.sequence.next()?, self.clock))
    }

    /// Goes on where an earlier process ended, unless a message came already.
    pub(super) fn resume(&mut self, next: u32, clock: Option<(u32, i64)>) {
        if self.sequence.next().is_none() {
            self.sequence = Sequence::from_next(next);
            self.clock = clock;
            self.is_restored = true;
        }
    }

    /// Whether the message (`whole` or not) was one of an exporter: something in it was decoded or may be yet.
    pub(super) fn worth_keeping(&self, whole: bool) -> bool {
        let told = self.counted.is_some_and(|records| records > 0);
        told || !self.templates.is_empty() || (whole && !self.pending.is_empty())
    }

    /// Decodes the records of a v1, v5 or v7 packet.
    pub(super) fn fixed<E: Events>(
        &mut self,
        packet: fixed::Packet<'_>,
        context: &mut Context<'_, E>,
    ) {
        let message = context.message;
        let step = self.begin(context);
        self.counted = Some(u32::from(packet.count));
        if let Some(template) = fixed::template(packet.version) {
            for bytes in packet.records {
                let record = DataRecord {
                    message: &message,
                    template,
                    bytes,
                    late: false,
                    templates: TemplateLookup::default(),
                };
                tell_record(&record, context.counters, context.events);
            }
        }
        let (trailing, offset) = packet.trailing;
        if trailing > 0 {
            context.violation(offset, DecodeErrorKind::TrailingOctets(trailing));
        }
        self.end(step, self.counted, context);
    }

    /// Decodes the sets of a v9 or IPFIX message; gives whether it was whole. A broken set ends a v9 message, and
    /// what came before it is told. Of a broken IPFIX message no record is told (RFC 7011 section 9.1).
    pub(super) fn sets<E: Events>(
        &mut self,
        mut sets: Reader<'_>,
        context: &mut Context<'_, E>,
    ) -> bool {
        let step = self.begin(context);
        self.counted = Some(0);
        let (start, bytes) = (sets.offset(), sets.rest());
        let mut ready = Vec::new();
        let result = match (context.message.version, check_sets(sets.clone())) {
            (10, Err(error)) => Err(error),
            _ => self.walk(&mut sets, &mut ready, context),
        };
        if result.is_ok() || context.message.version != 10 {
            let (message, mut room) = (context.message, context.limits.records);
            for (template, range) in ready {
                let range = range.start - start..range.end - start;
                let octets = bytes.get(range).unwrap_or_default();
                room -= self.tell(&message, &template, octets, false, room, context);
            }
        }
        if let Err(error) = &result {
            self.counted = None;
            context.counters.malformed += 1;
            context.tell(error);
        }
        let counted = match context.message.version {
            9 => Some(1),
            _ => self.counted,
        };
        self.end(step, counted, context);
        result.is_ok()
    }

    /// Gives up what waits for longer than the limit.
    pub(super) fn expire(
        &mut self,
        now_ms: u64,
        limits: &Limits,
        ledger: &mut Ledger<'_>,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        self.pending
            .expire(now_ms, limits, ledger, counters, events);
    }

    /// Gives everything back before the domain is forgotten.
    pub(super) fn close(
        &mut self,
        ledger: &mut Ledger<'_>,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        self.pending
            .clear(DiscardCause::Closed, ledger, counters, events);
        self.templates.clear(ledger);
    }

    /// What it has of the totals: cost of waiting data, fields of templates.
    #[cfg(test)]
    pub(super) fn holds(&self) -> (usize, usize) {
        (self.pending.cost(), self.templates.fields())
    }

    /// Judges sequence number and clock before the message is decoded.
    fn begin<E: Events>(&mut self, context: &mut Context<'_, E>) -> Step {
        let message = context.message;
        let new_boot = self.has_rebooted(&message);
        self.is_restored = false;
        if new_boot {
            self.sequence.reset();
        }
        let step = match unit(message.version) {
            _ if new_boot => Step::Restart,
            None => Step::InOrder,
            Some(_) => self.sequence.check(message.sequence),
        };
        match step {
            Step::InOrder => {}
            Step::Missing(missing) => {
                if let Some(unit) = unit(message.version) {
                    context.events.loss(&message, u64::from(missing), unit);
                }
            }
            Step::Behind => context.counters.out_of_order += 1,
            Step::Jump => context.counters.sequence_jumps += 1,
            Step::Restart => self.restart(new_boot, context),
        }
        if !matches!(step, Step::Behind | Step::Jump) {
            self.clock = message.uptime_ms.zip(message.boot_ms());
        }
        step
    }

    fn end<E: Events>(&mut self, step: Step, counted: Option<u32>, context: &mut Context<'_, E>) {
        let Some(unit) = unit(context.message.version) else {
            return;
        };
        let found = self
            .sequence
            .advance(step, context.message.sequence, counted);
        if found > 0 {
            context
                .events
                .recovered(&context.message, u64::from(found), unit);
        }
    }

    /// The uptime went back and the boot time moved on, and the numbering does not simply continue (as it does
    /// when 32 bits of uptime wrap after 49.7 days, or an exporter moves its base). Numbers of an earlier process
    /// prove no such thing.
    fn has_rebooted(&self, message: &MessageInfo) -> bool {
        let now = message.uptime_ms.zip(message.boot_ms());
        let Some(((old_uptime, old_boot), (uptime, boot))) = self.clock.zip(now) else {
            return false;
        };
        uptime < old_uptime
            && boot.saturating_sub(old_boot) > SAME_BOOT_MS
            && (self.is_restored || !self.sequence.continues(message.sequence))
    }

    fn restart<E: Events>(&mut self, new_boot: bool, context: &mut Context<'_, E>) {
        context.counters.restarts += 1;
        self.pending.clear(
            DiscardCause::Restart,
            &mut context.ledger,
            context.counters,
            context.events,
        );
        // RFC 3954 section 9: templates do not outlive a restart. Numbers alone are no proof of one.
        if new_boot && context.message.version == 9 {
            self.templates.clear(&mut context.ledger);
        }
        context.events.restart(&context.message);
    }

    fn walk<E: Events>(
        &mut self,
        sets: &mut Reader<'_>,
        ready: &mut Vec<Ready>,
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        while let Some((set, offset, body)) = next_set(sets, context.message.version)? {
            self.set(set, offset, body, ready, context)?;
        }
        if sets.left() > 0 && sets.rest().iter().any(|octet| *octet != 0) {
            context.violation(sets.offset(), DecodeErrorKind::TrailingOctets(sets.left()));
        }
        Ok(())
    }

    fn set<E: Events>(
        &mut self,
        set: u16,
        offset: usize,
        mut body: Reader<'_>,
        ready: &mut Vec<Ready>,
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        let next_definition = match (context.message.version, set) {
            (9, v9::TEMPLATE_SET) => v9::template,
            (9, v9::OPTIONS_SET) => v9::options_template,
            (10, ipfix::TEMPLATE_SET) => ipfix::template,
            (10, ipfix::OPTIONS_SET) => ipfix::options_template,
            (_, 256..) => return self.data_set(set, &body, ready, context),
            _ => {
                context.violation(offset, DecodeErrorKind::ReservedSet(set));
                return Ok(());
            }
        };
        while let Some(definition) = next_definition(&mut body)? {
            if context.message.version == 10 && definition.fields.is_empty() {
                self.templates.withdraw(set, &definition, context);
            } else if let Some(template) = self.templates.define(definition, context) {
                self.decode_waiting(&template, context);
            }
        }
        Ok(())
    }

    fn data_set<E: Events>(
        &mut self,
        set: u16,
        body: &Reader<'_>,
        ready: &mut Vec<Ready>,
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        let Some((template, borrowed)) = self.templates.find(set, context) else {
            self.counted = None;
            let waiting = Waiting {
                message: context.message,
                set,
                octets: body.rest().into(),
            };
            self.pending.keep(
                waiting,
                context.limits,
                &mut context.ledger,
                context.counters,
                context.events,
            );
            return Ok(());
        };
        if borrowed {
            context.counters.borrowed_sets += 1;
            self.decode_waiting(&template, context);
        }
        let records = match template.fixed_length() {
            Some(length) => body.left() / length,
            None => count_variable(&template, set, body.clone())?,
        };
        if records == 0 && body.left() > 0 {
            context.violation(
                body.offset(),
                DecodeErrorKind::NoRecord {
                    set,
                    length: body.left(),
                },
            );
        }
        let records = u32::try_from(records).ok();
        self.counted = self
            .counted
            .zip(records)
            .map(|(sum, records)| sum.wrapping_add(records));
        ready.push((template, body.offset()..body.offset() + body.left()));
        Ok(())
    }

    /// Decodes what waited for a template, if it fits.
    fn decode_waiting<E: Events>(
        &mut self,
        template: &Arc<Template>,
        context: &mut Context<'_, E>,
    ) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.expire(
            context.message.received_ms,
            context.limits,
            &mut context.ledger,
            context.counters,
            context.events,
        );
        for waiting in self.pending.take(template.id(), &mut context.ledger) {
            if fits(template, &waiting.octets) {
                let room = context.limits.records;
                self.tell(
                    &waiting.message,
                    template,
                    &waiting.octets,
                    true,
                    room,
                    context,
                );
            } else {
                waiting.discard(DiscardCause::Unfit, context.counters, context.events);
            }
        }
    }

    /// Tells the whole records in `octets`, at most `room`; gives how many.
    fn tell<E: Events>(
        &self,
        message: &MessageInfo,
        template: &Arc<Template>,
        octets: &[u8],
        late: bool,
        room: usize,
        context: &mut Context<'_, E>,
    ) -> usize {
        let record = |bytes| DataRecord {
            message,
            template,
            bytes,
            late,
            templates: self.templates.lookup(&context.ledger.totals.shared),
        };
        if let Some(length) = template.fixed_length() {
            let records = octets.chunks_exact(length);
            let told = records.len().min(room);
            context.counters.refused_records += (records.len() - told) as u64;
            for bytes in records.take(told) {
                tell_record(&record(bytes), context.counters, context.events);
            }
            return told;
        }
        let (mut rest, mut told) = (octets, 0);
        while rest.len() >= template.min_length()
            && let Some((bytes, behind)) = template
                .record_length(rest)
                .and_then(|end| rest.split_at_checked(end))
        {
            rest = behind;
            if told == room {
                context.counters.refused_records += 1;
                continue;
            }
            tell_record(&record(bytes), context.counters, context.events);
            told += 1;
        }
        told
    }
}

/// What the sequence numbers of a version count; v1 has none.
fn unit(version: u16) -> Option<LossUnit> {
    match version {
        1 => None,
        5 | 7 => Some(LossUnit::Flows),
        9 => Some(LossUnit::Messages),
        _ => Some(LossUnit::Records),
    }
}

/// Whether all sets lie within the message.
fn check_sets(mut sets: Reader<'_>) -> Result<(), DecodeError> {
    while next_set(&mut sets, 10)?.is_some() {}
    Ok(())
}

/// ID, offset and body of the next set; `None` at the end. Less than a set header is padding of the message, which
/// v9 exporters add.
fn next_set<'a>(
    sets: &mut Reader<'a>,
    version: u16,
) -> Result<Option<(u16, usize, Reader<'a>)>, DecodeError> {
    let offset = sets.offset();
    let padding = sets.rest();
    if padding.len() < 4 {
        return Ok(None);
    }
    let Ok((set, length)) = sets.u16_pair() else {
        return Ok(None);
    };
    let Some(body) = length.checked_sub(4) else {
        // Some (Cisco ACI) pad v9 messages with more.
        if version == 9 && padding.iter().all(|octet| *octet == 0) {
            let _ = sets.take(sets.left());
            return Ok(None);
        }
        let kind = DecodeErrorKind::SetTooShort { set, length };
        return Err(DecodeError { offset, kind });
    };
    let body = sets.sub(usize::from(body)).map_err(|at| {
        let kind = DecodeErrorKind::SetTooLong {
            set,
            length,
            left: at.left + 4,
        };
        DecodeError { offset, kind }
    })?;
    Ok(Some((set, offset, body)))
}

/// Records of a set whose template has fields of variable length; all of them must end inside it.
fn count_variable(
    template: &Template,
    set: u16,
    mut body: Reader<'_>,
) -> Result<usize, DecodeError> {
    let mut records = 0;
    while body.left() >= template.min_length() {
        let offset = body.offset();
        template
            .record_length(body.rest())
            .and_then(|length| body.take(length).ok())
            .ok_or(DecodeError {
                offset,
                kind: DecodeErrorKind::RecordTooLong { set },
            })?;
        records += 1;
    }
    Ok(records)
}

/// Whether a set that came before its template consists of whole records and at most 3 octets of padding: what
/// another definition wrote is seldom so.
fn fits(template: &Template, octets: &[u8]) -> bool {
    let mut rest = octets;
    let mut records = 0_usize;
    while rest.len() >= template.min_length() {
        match template.record_length(rest).and_then(|end| rest.get(end..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
        records += 1;
    }
    records > 0 && rest.len() < 4
}
