//! What every step of decoding needs: the message at hand, the limits, and where to tell and count.

use super::events::{Counters, DataRecord, Events, MessageInfo};
use super::shared::Shared;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::Limits;
use crate::template::{Template, TemplateKind};

/// What all domains of a session share, and the message at hand.
pub(super) struct Context<'a, E> {
    pub message: MessageInfo,
    /// Templates obey the rules of streams (RFC 7011 section 8) rather than of UDP (section 8.4).
    pub stream: bool,
    pub limits: &'a Limits,
    pub ledger: Ledger<'a>,
    pub counters: &'a mut Counters,
    pub events: &'a mut E,
}

/// What all domains together hold.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub pending: usize,
    pub fields: usize,
    pub templates: usize,
    pub domains: usize,
    pub shared: Shared,
}

/// What the domains of one exporter hold.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub pending: usize,
    pub fields: usize,
    pub templates: usize,
}

/// Where what is taken is written down: for all, and for the exporter.
pub(super) struct Ledger<'a> {
    pub totals: &'a mut Totals,
    pub share: &'a mut Share,
}

impl Ledger<'_> {
    /// A template is kept.
    pub(super) fn take(&mut self, template: &Template) {
        let fields = template.fields().len();
        self.totals.templates += 1;
        self.share.templates += 1;
        self.totals.fields += fields;
        self.share.fields += fields;
    }

    /// A template is kept no longer.
    pub(super) fn give_back(&mut self, template: &Template) {
        let fields = template.fields().len();
        for (count, less) in [
            (&mut self.totals.templates, 1),
            (&mut self.share.templates, 1),
            (&mut self.totals.fields, fields),
            (&mut self.share.fields, fields),
        ] {
            *count = count.saturating_sub(less);
        }
    }

    /// Octets of data begin to wait.
    pub(super) fn keep_waiting(&mut self, octets: usize) {
        self.totals.pending += octets;
        self.share.pending += octets;
    }

    /// Octets of data wait no longer.
    pub(super) fn release_waiting(&mut self, octets: usize) {
        self.totals.pending = self.totals.pending.saturating_sub(octets);
        self.share.pending = self.share.pending.saturating_sub(octets);
    }
}

impl<E: Events> Context<'_, E> {
    /// A fault that costs nothing but what it is about.
    pub(super) fn violation(&mut self, offset: usize, kind: DecodeErrorKind) {
        self.counters.violations += 1;
        self.tell(&DecodeError { offset, kind });
    }

    pub(super) fn tell(&mut self, error: &DecodeError) {
        self.events
            .violation(self.message.exporter, self.message.received_ms, error);
    }
}

/// Counts and tells a record.
pub(super) fn tell_record(
    record: &DataRecord<'_>,
    counters: &mut Counters,
    events: &mut impl Events,
) {
    counters.records += 1;
    counters.late_records += u64::from(record.late);
    counters.options_records += u64::from(record.template.kind() != TemplateKind::Data);
    events.record(record);
}
