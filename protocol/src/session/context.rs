//! What every step of decoding needs: the message at hand, the limits, and where to tell and count.

use std::sync::Arc;

use super::events::{Counters, Events, MessageInfo};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::Limits;
use crate::template::{Template, TemplateKind};

/// What all domains of a session share, and the message at hand.
pub(super) struct Context<'a, E> {
    pub message: MessageInfo,
    /// Templates obey the rules of streams (RFC 7011 section 8) rather than of UDP (section 8.4).
    pub stream: bool,
    pub limits: &'a Limits,
    pub totals: &'a mut Totals,
    pub counters: &'a mut Counters,
    pub events: &'a mut E,
}

/// What all domains together hold.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub pending: usize,
    pub fields: usize,
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

    pub(super) fn record(
        &mut self,
        message: &MessageInfo,
        template: &Arc<Template>,
        octets: &[u8],
        late: bool,
    ) {
        self.counters.records += 1;
        self.counters.late_records += u64::from(late);
        self.counters.options_records += u64::from(template.kind() != TemplateKind::Data);
        self.events.record(message, template, octets, late);
    }
}
