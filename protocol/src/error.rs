//! What can be wrong with a received message: the sender's fault, with the place.

use crate::reader::Truncated;
use crate::rules::{self, Rule};
use crate::template::TemplateError;

/// A fault in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("octet {offset}: {kind}")]
pub struct DecodeError {
    /// Offset in the message.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeErrorKind {
    /// None of 1, 5, 7, 9, 10, or too short to say.
    #[error("version {0} is none of 1, 5, 7, 9, 10")]
    UnknownVersion(u16),
    /// The message ends inside its header.
    #[error("message of {0} octets is shorter than its header")]
    ShortHeader(usize),
    /// NetFlow v1, v5, v7: count and length disagree.
    #[error("header counts {count} records, the packet has room for {room}")]
    V5Count {
        /// Count of the header.
        count: u16,
        /// Whole records in the packet.
        room: usize,
    },
    /// IPFIX: the length of the header is not that of the message.
    #[error("header says {said} octets, the message has {found}")]
    MessageLength {
        /// Length of the header.
        said: u16,
        /// Octets there are.
        found: usize,
    },
    /// A set shorter than its own header.
    #[error("set {set} has length {length}, less than its header")]
    SetTooShort {
        /// Set ID.
        set: u16,
        /// Length as sent.
        length: u16,
    },
    /// A set that goes on behind the end of its message.
    #[error("set {set} has length {length}, the message has {left} octets left")]
    SetTooLong {
        /// Set ID.
        set: u16,
        /// Length as sent.
        length: u16,
        /// Octets left.
        left: usize,
    },
    /// IDs nobody has assigned.
    #[error("set ID {0} is reserved")]
    ReservedSet(u16),
    /// Octets that are no set.
    #[error("{0} octets follow the last set")]
    TrailingOctets(usize),
    /// A template record ends before its fields do.
    #[error("template {id}: {wanted} octets wanted, {left} left in the set")]
    TruncatedTemplate {
        /// Template ID.
        id: u16,
        /// Octets wanted.
        wanted: usize,
        /// Octets left.
        left: usize,
    },
    /// v9 options template: lengths that are no multiple of 4.
    #[error("options template {id} has scope length {scope} and option length {option}")]
    OptionsLengths {
        /// Template ID.
        id: u16,
        /// Octets of scope fields.
        scope: u16,
        /// Octets of option fields.
        option: u16,
    },
    /// A template that cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A withdrawal over UDP (ignored).
    #[error("withdrawal of template {0} over UDP ignored")]
    WithdrawalOverUdp(u16),
    /// A withdrawal of a template nobody knows (ignored).
    #[error("withdrawal of unknown template {0} ignored")]
    UnknownWithdrawal(u16),
    /// A data set too short for one record of its template.
    #[error("data set {set} has {length} octets, less than one record")]
    NoRecord {
        /// Set ID.
        set: u16,
        /// Octets of data.
        length: usize,
    },
    /// A record that ends behind its set.
    #[error("record of template {set} does not end inside its set")]
    RecordTooLong {
        /// Set ID.
        set: u16,
    },
}

impl DecodeError {
    /// The rule that is broken.
    pub fn rule(&self) -> Option<&'static Rule> {
        rules::find(self.kind.rule_id())
    }
}

impl DecodeErrorKind {
    /// Identifier of the broken rule.
    pub fn rule_id(&self) -> &'static str {
        match self {
            Self::UnknownVersion(_) => "H-17",
            Self::ShortHeader(_) => "H-01",
            Self::V5Count { .. } => "N-01",
            Self::MessageLength { .. } => "H-16",
            Self::SetTooShort { .. } => "S-10",
            Self::SetTooLong { .. } => "S-09",
            Self::ReservedSet(_) => "S-08",
            Self::TrailingOctets(_) => "S-13",
            Self::TruncatedTemplate { .. } => "T-30",
            Self::OptionsLengths { .. } => "O-05",
            Self::Template(TemplateError::ReservedId(_)) => "T-03",
            Self::Template(TemplateError::ZeroLength(_)) => "T-32",
            Self::Template(TemplateError::TooLong { .. }) => "T-34",
            Self::Template(TemplateError::VariableInV9(_)) => "T-33",
            Self::Template(TemplateError::ScopeCount { .. }) => "O-02",
            Self::WithdrawalOverUdp(_) => "T-17",
            Self::UnknownWithdrawal(_) => "T-20",
            Self::NoRecord { .. } => "S-11",
            Self::RecordTooLong { .. } => "F-08",
        }
    }
}

/// The header of a message does not end in it.
pub(crate) fn short_header(truncated: Truncated, length: usize) -> DecodeError {
    DecodeError {
        offset: truncated.offset,
        kind: DecodeErrorKind::ShortHeader(length),
    }
}
