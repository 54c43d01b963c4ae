//! What a session tells, and what it counts.

use std::net::SocketAddr;
use std::sync::Arc;

use super::templates::TemplateLookup;
use crate::error::DecodeError;
use crate::template::Template;

/// Where a record came from: the header of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageInfo {
    /// 1, 5, 7, 9 or 10.
    pub version: u16,
    /// The sender's address and port.
    pub exporter: SocketAddr,
    /// Observation domain (IPFIX), source id (v9), engine type << 8 | engine id (v5).
    pub domain: u32,
    /// Export time of the header, milliseconds since 1970.
    pub export_ms: u64,
    /// `sysUpTime` of the header in milliseconds; `None` for IPFIX.
    pub uptime_ms: Option<u32>,
    /// Sequence number as sent.
    pub sequence: u32,
    /// v5: the header's sampling field, mode in the upper two bits, interval in the lower 14; 0 otherwise.
    pub sampling: u16,
    /// When it was received, milliseconds since 1970, as the caller said.
    pub received_ms: u64,
}

impl MessageInfo {
    /// When the exporter's uptime clock stood at zero, milliseconds since 1970 (all but IPFIX). Negative values come
    /// from senders whose header carries no time.
    pub fn boot_ms(&self) -> Option<i64> {
        let uptime = self.uptime_ms?;
        i64::try_from(self.export_ms)
            .ok()?
            .checked_sub(i64::from(uptime))
    }
}

/// What the sequence number of a version counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossUnit {
    /// Flow records (v5, v7).
    Flows,
    /// Export packets (v9, RFC 3954 section 5.1).
    Messages,
    /// Data records, options included (IPFIX, RFC 7011 section 3.1).
    Records,
}

/// Why waiting data was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiscardCause {
    /// No template came in time.
    NoTemplate,
    /// The bound on waiting data was reached.
    Overflow,
    /// The exporter restarted meanwhile.
    Restart,
    /// The template that came does not fit the set.
    Unfit,
    /// The stream ended, or the exporter was forgotten.
    Closed,
}

/// A data record, options included (see [`Template::kind`]), and what it takes to read it.
#[derive(Clone, Copy)]
pub struct DataRecord<'a> {
    /// The message it came in.
    pub message: &'a MessageInfo,
    /// Its template.
    pub template: &'a Arc<Template>,
    /// Exactly the record, padding of the set aside.
    pub bytes: &'a [u8],
    /// It waited for its template.
    pub late: bool,
    /// The other templates of its domain: what its structured data is read by.
    pub templates: TemplateLookup<'a>,
}

/// What a session tells. All but `record` may be ignored.
pub trait Events {
    /// A data record.
    fn record(&mut self, record: &DataRecord<'_>);

    /// A template was learned or changed.
    fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        let _ = (message, template);
    }

    /// The ID of a template got another definition; [`template`](Self::template) follows. `times` is how often that
    /// happened to the ID within the last minute.
    fn redefined(
        &mut self,
        message: &MessageInfo,
        old: &Arc<Template>,
        new: &Arc<Template>,
        times: u32,
    ) {
        let _ = (message, old, new, times);
    }

    /// A template was withdrawn (streams only), replaced by a definition that was refused, or not sent again for its
    /// lifetime.
    fn withdrawn(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        let _ = (message, template);
    }

    /// The sequence number says that something is missing before this message.
    fn loss(&mut self, message: &MessageInfo, missing: u64, unit: LossUnit) {
        let _ = (message, missing, unit);
    }

    /// Something told as loss arrived after all: it was only out of order.
    fn recovered(&mut self, message: &MessageInfo, found: u64, unit: LossUnit) {
        let _ = (message, found, unit);
    }

    /// The exporter has begun anew.
    fn restart(&mut self, message: &MessageInfo) {
        let _ = message;
    }

    /// Waiting data of `octets` octets from `message` was given up.
    fn discarded(&mut self, message: &MessageInfo, cause: DiscardCause, octets: usize) {
        let _ = (message, cause, octets);
    }

    /// A message broke a rule. What could be read of it was or will be told.
    fn violation(&mut self, from: SocketAddr, now_ms: u64, error: &DecodeError) {
        let _ = (from, now_ms, error);
    }
}

/// What a session has counted since it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages with a known version and a complete header.
    pub messages: u64,
    /// Octets of all that was handed in.
    pub octets: u64,
    /// Data records told, options and late ones included.
    pub records: u64,
    /// Of these, options records.
    pub options_records: u64,
    /// Of these, records that waited for their template.
    pub late_records: u64,
    /// Templates learned or changed.
    pub templates: u64,
    /// Templates withdrawn.
    pub withdrawals: u64,
    /// Templates whose ID got another definition.
    pub redefinitions: u64,
    /// Templates forgotten because they were not sent again for their lifetime.
    pub expired_templates: u64,
    /// Data sets read by a template that the exporter sent from another port.
    pub borrowed_sets: u64,
    /// Restarts of exporters.
    pub restarts: u64,
    /// Messages that came twice or late by their sequence number (decoded all the same).
    pub out_of_order: u64,
    /// Sequence numbers too far away to be loss (not followed unless the next message confirms them).
    pub sequence_jumps: u64,
    /// Messages dropped: version none of 1, 5, 7, 9, 10, or header incomplete.
    pub unknown: u64,
    /// Messages given up: IPFIX as a whole, others from the fault on (what came before it was told).
    pub malformed: u64,
    /// Violations that cost nothing else: reserved sets, trailing octets, withdrawals over UDP …
    pub violations: u64,
    /// Templates refused because they cannot be used.
    pub bad_templates: u64,
    /// Templates refused because of a limit.
    pub refused_templates: u64,
    /// Records not told because of the limit on one message.
    pub refused_records: u64,
    /// Messages dropped because of the limit on exporters.
    pub refused_exporters: u64,
    /// Messages dropped because of the limit on domains.
    pub refused_domains: u64,
    /// Exporters forgotten after long silence.
    pub forgotten_exporters: u64,
    /// Data sets that had to wait for a template.
    pub pending_sets: u64,
    /// Waiting sets given up: no template in time.
    pub pending_expired: u64,
    /// Waiting sets given up: bound reached.
    pub pending_overflow: u64,
    /// Waiting sets given up: exporter restarted.
    pub pending_restart: u64,
    /// Waiting sets given up: the template did not fit.
    pub pending_unfit: u64,
    /// Waiting sets given up: stream ended or exporter forgotten.
    pub pending_closed: u64,
}
