//! Records in, NetFlow v9 or IPFIX messages out.

use crate::template::{FieldSpecifier, TemplateError, TemplateKind};

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportVersion {
    /// NetFlow v9, RFC 3954.
    V9,
    /// IPFIX, RFC 7011.
    Ipfix,
}

/// How messages are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncoderConfig {
    /// NetFlow v9 or IPFIX.
    pub version: ExportVersion,
    /// Source ID or observation domain ID.
    pub domain: u32,
    /// Octets of the longest message.
    pub max_message: usize,
    /// Templates are sent again after so many messages; 0: not for that reason.
    pub refresh_messages: u32,
    /// Templates are sent again after so many milliseconds of the export clock; 0: not for that reason.
    pub refresh_interval_ms: u64,
    /// v9: when the uptime clock stands at zero, milliseconds since 1970. Moved on by the encoder when times do
    /// not fit 32 bits any more.
    pub uptime_base_ms: i64,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            version: ExportVersion::V9,
            domain: 0,
            max_message: 1400,
            refresh_messages: 20,
            refresh_interval_ms: 60_000,
            uptime_base_ms: 0,
        }
    }
}

/// A template to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateSpec {
    /// 256 to 65535.
    pub id: u16,
    /// Flow records or options.
    pub kind: TemplateKind,
    /// The fields in the order of the wire.
    pub fields: Vec<FieldSpecifier>,
    /// A message closes when it holds so many records of this template; 0: no limit.
    pub max_records: usize,
}

/// Why nothing can be encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// A template is unusable.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Two templates have the same ID.
    #[error("template ID {0} is given twice")]
    DuplicateTemplate(u16),
    /// The longest message is impossible: 16 to 65535 octets are possible in IPFIX.
    #[error("messages of {0} octets are impossible")]
    MessageSize(usize),
    /// A template record does not fit a message.
    #[error("template {id} needs {length} octets, a message has room for {room}")]
    TemplateTooLong {
        /// Template ID.
        id: u16,
        /// Octets of the template set.
        length: usize,
        /// Octets a message has behind its header.
        room: usize,
    },
    /// A record does not fit a message.
    #[error("a record of template {id} needs {length} octets, a message has room for {room}")]
    RecordTooLong {
        /// Template ID.
        id: u16,
        /// Octets of the record.
        length: usize,
        /// Octets a set has behind its header.
        room: usize,
    },
    /// NetFlow v9 knows no enterprise elements, and its scope types are its own.
    #[error("template {id}: element {element} of enterprise {pen} cannot be sent in NetFlow v9")]
    EnterpriseInV9 {
        /// Template ID.
        id: u16,
        /// Element number.
        element: u16,
        /// Enterprise number.
        pen: u32,
    },
    /// There is no template of this index.
    #[error("there is no template {0}")]
    NoTemplate(usize),
    /// What was written is not a record of the template.
    #[error("template {id}: a record of {found} octets was written, {expected} were expected")]
    RecordLength {
        /// Template ID.
        id: u16,
        /// Octets of a record, at least.
        expected: usize,
        /// Octets written.
        found: usize,
    },
}

/// What an encoder has made so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EncoderCounters {
    /// Messages given out.
    pub messages: u64,
    /// Data records in them.
    pub records: u64,
    /// Octets of them.
    pub octets: u64,
    /// Times that v9's 32 bits could not hold and that were moved to the nearest possible.
    pub clamped_times: u64,
    /// How often the v9 uptime base was moved.
    pub base_moves: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Encoder {
    config: EncoderConfig,
    counters: EncoderCounters,
    record: Vec<u8>,
}

impl Encoder {
    /// An encoder of these templates.
    ///
    /// # Errors
    /// Templates that cannot be sent, or whose records fit no message.
    pub fn new(config: EncoderConfig, templates: Vec<TemplateSpec>) -> Result<Self, EncodeError> {
        let _ = &templates;
        drop(templates);
        Ok(Self {
            config,
            counters: EncoderCounters::default(),
            record: Vec::new(),
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
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), EncodeError> {
        let _ = (template, first_ms, last_ms, now_ms, out);
        fill(&mut RecordWriter {
            octets: &mut self.record,
            base_ms: self.config.uptime_base_ms,
        });
        Ok(())
    }

    /// Closes the message in the making, if there is one.
    pub fn flush(&mut self, now_ms: i64, out: &mut impl FnMut(&[u8])) {
        let _ = (now_ms, out);
    }

    /// Sends all templates now, behind what is in the making.
    pub fn templates(&mut self, now_ms: i64, out: &mut impl FnMut(&[u8])) {
        let _ = (now_ms, out);
    }

    /// What was made so far.
    pub fn counters(&self) -> &EncoderCounters {
        &self.counters
    }
}

/// Writes one record, field by field in the order of the template, in network order.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    octets: &'a mut Vec<u8>,
    base_ms: i64,
}

impl RecordWriter<'_> {
    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// Two octets.
    pub fn u16(&mut self, value: u16) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Four octets.
    pub fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight octets.
    pub fn u64(&mut self, value: u64) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// The lowest `length` (1 to 8) octets: reduced-size encoding (RFC 7011 section 6.2). A value that does not fit becomes the largest that does.
    pub fn uint(&mut self, value: u64, length: usize) {
        let _ = (value, length);
    }

    /// Octets as they are: addresses, strings of fixed length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.octets.extend_from_slice(value);
    }

    /// A time as v9 uptime (elements 21 and 22): milliseconds since the base of the message, 4 octets.
    pub fn uptime(&mut self, time_ms: i64) {
        let _ = (time_ms, self.base_ms);
    }

    /// A value of variable length with its length in front (RFC 7011 section 7).
    pub fn variable(&mut self, value: &[u8]) {
        let _ = value;
    }
}
