//! What the tests of several modules share.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::DecodeError;
use crate::session::{DataRecord, DiscardCause, Events, LossUnit, MessageInfo};
use crate::template::Template;

/// A record as told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SeenRecord {
    pub message: MessageInfo,
    pub template: u16,
    pub octets: Vec<u8>,
    pub late: bool,
}

/// Remembers everything that is told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub records: Vec<SeenRecord>,
    pub templates: Vec<u16>,
    pub withdrawn: Vec<u16>,
    pub redefined: Vec<(u16, u32)>,
    pub losses: Vec<(u64, LossUnit)>,
    pub recovered: Vec<u64>,
    pub restarts: usize,
    pub discarded: Vec<(DiscardCause, usize)>,
    pub rules: Vec<&'static str>,
    pub errors: Vec<DecodeError>,
}

impl Events for Seen {
    fn record(&mut self, record: &DataRecord<'_>) {
        let DataRecord {
            message,
            template,
            bytes,
            late,
            ..
        } = *record;
        // Whatever is told as a record can be read field by field.
        assert_eq!(template.values(bytes).count(), template.fields().len());
        let (message, octets) = (*message, bytes.to_vec());
        self.records.push(SeenRecord {
            message,
            template: template.id(),
            octets,
            late,
        });
    }

    fn template(&mut self, _: &MessageInfo, template: &Arc<Template>) {
        self.templates.push(template.id());
    }

    fn withdrawn(&mut self, _: &MessageInfo, template: &Arc<Template>) {
        self.withdrawn.push(template.id());
    }

    fn redefined(&mut self, _: &MessageInfo, old: &Arc<Template>, new: &Arc<Template>, times: u32) {
        assert_eq!(old.id(), new.id());
        self.redefined.push((new.id(), times));
    }

    fn loss(&mut self, _: &MessageInfo, missing: u64, unit: LossUnit) {
        self.losses.push((missing, unit));
    }

    fn recovered(&mut self, _: &MessageInfo, found: u64, _: LossUnit) {
        self.recovered.push(found);
    }

    fn restart(&mut self, _: &MessageInfo) {
        self.restarts += 1;
    }

    fn discarded(&mut self, _: &MessageInfo, cause: DiscardCause, octets: usize) {
        self.discarded.push((cause, octets));
    }

    fn violation(&mut self, _: SocketAddr, _: u64, error: &DecodeError) {
        assert!(
            error.rule().is_some(),
            "{error}: rule {} is not in the catalogue",
            error.kind.rule_id()
        );
        self.rules.push(error.kind.rule_id());
        self.errors.push(*error);
    }
}

/// Octets from hexadecimal digits; white space is for the reader.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map_while(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or(0))
        .collect()
}
