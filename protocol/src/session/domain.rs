//! One observation domain of one exporter: its templates, its waiting data, its sequence number.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::context::{Context, Totals};
use super::events::{Counters, DiscardCause, Events, LossUnit, MessageInfo};
use super::pending::{Pending, Waiting};
use super::sequence::{Sequence, Step};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::template::{Definition, FieldSpecifier, Template, TemplateKind};
use crate::{ipfix, v5, v9};

/// Clocks in headers have whole seconds: a boot time that differs by less is the same.
const SAME_BOOT_MS: i64 = 2000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Domain {
    templates: HashMap<u16, Arc<Template>, RandomState>,
    pending: Pending,
    sequence: Sequence,
    /// Uptime and boot time of the last message in order.
    clock: Option<(u32, i64)>,
    /// Data records of the message at hand; `None` once a set could not be counted.
    counted: Option<u32>,
}

impl Domain {
    /// Whether the message (`whole` or not) was one of an exporter: something in it was decoded or may be yet.
    pub(super) fn worth_keeping(&self, whole: bool) -> bool {
        let told = self.counted.is_some_and(|records| records > 0);
        told || !self.templates.is_empty() || (whole && !self.pending.is_empty())
    }

    /// Decodes the records of a v5 packet.
    pub(super) fn v5<E: Events>(&mut self, packet: v5::Packet<'_>, context: &mut Context<'_, E>) {
        let message = context.message;
        let step = self.begin(context);
        self.counted = Some(u32::from(packet.count));
        if let Some(template) = v5::template() {
            for record in packet.records {
                context.record(&message, template, record, false);
            }
        }
        let (trailing, offset) = packet.trailing;
        if trailing > 0 {
            context.violation(offset, DecodeErrorKind::TrailingOctets(trailing));
        }
        self.end(step, self.counted, LossUnit::Flows, context);
    }

    /// Decodes the sets of a v9 or IPFIX message; gives whether it was whole. A broken set ends the message;
    /// what came before it has been told.
    pub(super) fn sets<E: Events>(
        &mut self,
        mut sets: Reader<'_>,
        context: &mut Context<'_, E>,
    ) -> bool {
        let step = self.begin(context);
        self.counted = Some(0);
        let result = self.walk(&mut sets, context);
        if let Err(error) = &result {
            self.counted = None;
            context.counters.malformed += 1;
            context.tell(error);
        }
        let (counted, unit) = match context.message.version {
            9 => (Some(1), LossUnit::Messages),
            _ => (self.counted, LossUnit::Records),
        };
        self.end(step, counted, unit, context);
        result.is_ok()
    }

    /// Gives up what waits for longer than the limit.
    pub(super) fn expire(
        &mut self,
        now_ms: u64,
        limits: &Limits,
        totals: &mut Totals,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        self.pending
            .expire(now_ms, limits, &mut totals.pending, counters, events);
    }

    /// Gives everything back before the domain is forgotten.
    pub(super) fn close(
        &mut self,
        totals: &mut Totals,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        self.pending
            .clear(DiscardCause::Closed, &mut totals.pending, counters, events);
        let fields: usize = self
            .templates
            .drain()
            .map(|(_, template)| template.fields().len())
            .sum();
        totals.fields = totals.fields.saturating_sub(fields);
    }

    /// What it has of the totals: cost of waiting data, fields of templates.
    #[cfg(test)]
    pub(super) fn holds(&self) -> (usize, usize) {
        (
            self.pending.cost(),
            self.templates
                .values()
                .map(|template| template.fields().len())
                .sum(),
        )
    }

    /// Judges sequence number and clock before the message is decoded.
    fn begin<E: Events>(&mut self, context: &mut Context<'_, E>) -> Step {
        let message = context.message;
        let new_boot = self.has_rebooted(&message);
        if new_boot {
            self.sequence.reset();
        }
        let step = if new_boot {
            Step::Restart
        } else {
            self.sequence.check(message.sequence)
        };
        match step {
            Step::InOrder => {}
            Step::Missing(missing) => {
                context
                    .events
                    .loss(&message, u64::from(missing), unit(message.version));
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

    fn end<E: Events>(
        &mut self,
        step: Step,
        counted: Option<u32>,
        unit: LossUnit,
        context: &mut Context<'_, E>,
    ) {
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
    /// when 32 bits of uptime wrap after 49.7 days, or an exporter moves its base).
    fn has_rebooted(&self, message: &MessageInfo) -> bool {
        let now = message.uptime_ms.zip(message.boot_ms());
        let Some(((old_uptime, old_boot), (uptime, boot))) = self.clock.zip(now) else {
            return false;
        };
        uptime < old_uptime
            && boot.saturating_sub(old_boot) > SAME_BOOT_MS
            && !self.sequence.continues(message.sequence)
    }

    fn restart<E: Events>(&mut self, new_boot: bool, context: &mut Context<'_, E>) {
        context.counters.restarts += 1;
        self.pending.clear(
            DiscardCause::Restart,
            &mut context.totals.pending,
            context.counters,
            context.events,
        );
        // RFC 3954 section 9: templates do not outlive a restart. Numbers alone are no proof of one.
        if new_boot && context.message.version == 9 {
            for (_, template) in self.templates.drain() {
                context.totals.fields = context
                    .totals
                    .fields
                    .saturating_sub(template.fields().len());
            }
        }
        context.events.restart(&context.message);
    }

    fn walk<E: Events>(
        &mut self,
        sets: &mut Reader<'_>,
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        // Less than a set header is padding of the message, which v9 exporters add.
        while sets.left() >= 4 {
            let offset = sets.offset();
            let padding = sets.rest();
            let (Ok(set), Ok(length)) = (sets.u16(), sets.u16()) else {
                break;
            };
            let Some(body) = length.checked_sub(4) else {
                // Some (Cisco ACI) pad v9 messages with more.
                if context.message.version == 9 && padding.iter().all(|octet| *octet == 0) {
                    return Ok(());
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
            self.set(set, offset, body, context)?;
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
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        let next_definition = match (context.message.version, set) {
            (9, v9::TEMPLATE_SET) => v9::template,
            (9, v9::OPTIONS_SET) => v9::options_template,
            (10, ipfix::TEMPLATE_SET) => ipfix::template,
            (10, ipfix::OPTIONS_SET) => ipfix::options_template,
            (_, 256..) => return self.data_set(set, &body, context),
            _ => {
                context.violation(offset, DecodeErrorKind::ReservedSet(set));
                return Ok(());
            }
        };
        while let Some(definition) = next_definition(&mut body)? {
            if context.message.version == 10 && definition.fields.is_empty() {
                self.withdraw(set, &definition, context);
            } else {
                self.define(definition, context);
            }
        }
        Ok(())
    }

    fn define<E: Events>(&mut self, definition: Definition, context: &mut Context<'_, E>) {
        let Definition {
            offset,
            id,
            kind,
            fields,
        } = definition;
        if self
            .templates
            .get(&id)
            .is_some_and(|known| known.defines(kind, &fields))
        {
            return;
        }
        // The old definition is gone in any case: its ID means something else now.
        let old = self.forget(id, context.totals);
        let message = context.message;
        if let Some(template) = self.learn(offset, id, kind, fields, context) {
            context.events.template(&message, &template);
            self.decode_waiting(&template, context);
        } else if let Some(old) = old {
            context.events.withdrawn(&message, &old);
        }
    }

    /// Takes a new template in, if it can be used and there is room for it.
    fn learn<E: Events>(
        &mut self,
        offset: usize,
        id: u16,
        kind: TemplateKind,
        fields: Vec<FieldSpecifier>,
        context: &mut Context<'_, E>,
    ) -> Option<Arc<Template>> {
        let limits = context.limits;
        if fields.len() > limits.fields
            || self.templates.len() >= limits.templates
            || context.totals.fields + fields.len() > limits.fields_total
        {
            context.counters.refused_templates += 1;
            return None;
        }
        match Template::new(context.message.version, id, kind, fields) {
            Ok(template) => {
                let template = Arc::new(template);
                context.totals.fields += template.fields().len();
                context.counters.templates += 1;
                self.templates.insert(id, Arc::clone(&template));
                Some(template)
            }
            Err(error) => {
                context.counters.bad_templates += 1;
                context.violation(offset, error.into());
                None
            }
        }
    }

    /// RFC 7011 section 8.1; over UDP withdrawals are ignored (section 8.4).
    fn withdraw<E: Events>(
        &mut self,
        set: u16,
        definition: &Definition,
        context: &mut Context<'_, E>,
    ) {
        let Definition { offset, id, .. } = *definition;
        if !context.stream {
            context.violation(offset, DecodeErrorKind::WithdrawalOverUdp(id));
            return;
        }
        if id != set {
            if !self.remove(id, context) {
                context.violation(offset, DecodeErrorKind::UnknownWithdrawal(id));
            }
            return;
        }
        // All templates, or all options templates.
        let options = set == ipfix::OPTIONS_SET;
        let mut ids: Vec<u16> = self
            .templates
            .values()
            .filter(|template| (template.kind() != TemplateKind::Data) == options)
            .map(|template| template.id())
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.remove(id, context);
        }
    }

    fn remove<E: Events>(&mut self, id: u16, context: &mut Context<'_, E>) -> bool {
        let Some(template) = self.forget(id, context.totals) else {
            return false;
        };
        context.counters.withdrawals += 1;
        let message = context.message;
        context.events.withdrawn(&message, &template);
        true
    }

    fn forget(&mut self, id: u16, totals: &mut Totals) -> Option<Arc<Template>> {
        let template = self.templates.remove(&id)?;
        totals.fields = totals.fields.saturating_sub(template.fields().len());
        Some(template)
    }

    fn data_set<E: Events>(
        &mut self,
        set: u16,
        body: &Reader<'_>,
        context: &mut Context<'_, E>,
    ) -> Result<(), DecodeError> {
        let Some(template) = self.templates.get(&set) else {
            self.counted = None;
            let waiting = Waiting {
                message: context.message,
                set,
                octets: body.rest().into(),
            };
            let pending = &mut context.totals.pending;
            self.pending.keep(
                waiting,
                context.limits,
                pending,
                context.counters,
                context.events,
            );
            return Ok(());
        };
        let message = context.message;
        let records = match template.fixed_length() {
            Some(length) => {
                let records = body.rest().chunks_exact(length);
                let count = records.len();
                for record in records {
                    context.record(&message, template, record, false);
                }
                count
            }
            None => variable_records(&message, template, set, body.clone(), context)?,
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
        let now_ms = context.message.received_ms;
        self.pending.expire(
            now_ms,
            context.limits,
            &mut context.totals.pending,
            context.counters,
            context.events,
        );
        for waiting in self
            .pending
            .take(template.id(), &mut context.totals.pending)
        {
            if !fits(template, &waiting.octets) {
                waiting.discard(DiscardCause::Unfit, context.counters, context.events);
                continue;
            }
            let mut octets = &*waiting.octets;
            while let Some((record, rest)) = template
                .record_length(octets)
                .and_then(|end| octets.split_at_checked(end))
            {
                context.record(&waiting.message, template, record, true);
                octets = rest;
            }
        }
    }
}

fn unit(version: u16) -> LossUnit {
    match version {
        5 => LossUnit::Flows,
        9 => LossUnit::Messages,
        _ => LossUnit::Records,
    }
}

fn variable_records<E: Events>(
    message: &MessageInfo,
    template: &Arc<Template>,
    set: u16,
    mut body: Reader<'_>,
    context: &mut Context<'_, E>,
) -> Result<usize, DecodeError> {
    let mut records = 0;
    while body.left() >= template.min_length() {
        let offset = body.offset();
        let record = template
            .record_length(body.rest())
            .and_then(|length| body.take(length).ok());
        let Some(record) = record else {
            return Err(DecodeError {
                offset,
                kind: DecodeErrorKind::RecordTooLong { set },
            });
        };
        context.record(message, template, record, false);
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
