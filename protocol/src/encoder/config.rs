//! What an encoder is told, and what it tells.

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
    /// Whether templates are sent again when a refresh is due; else, as in streams and files, only options are due
    /// then (see [`Encoder::refresh`](super::Encoder::refresh)).
    pub repeat_templates: bool,
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
            repeat_templates: true,
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
    /// Element numbers of IPFIX have 15 bits.
    #[error("template {id}: there is no element {element} in IPFIX")]
    ElementNumber {
        /// Template ID.
        id: u16,
        /// Element number.
        element: u16,
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
    /// Flow records in them.
    pub records: u64,
    /// Options records in them.
    pub options: u64,
    /// Template records in them, repetitions included.
    pub templates: u64,
    /// Octets of them.
    pub octets: u64,
    /// Times that v9's 32 bits could not hold and that were moved to the nearest possible.
    pub clamped_times: u64,
    /// How often the v9 uptime base was moved.
    pub base_moves: u64,
}
