//! Templates: the list of fields by which a data record is read or written
//! (RFC 3954 section 5.2, RFC 7011 section 3.4).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{DecodeError, DecodeErrorKind};
use crate::fixed;
use crate::reader::{Reader, Truncated};

/// The enterprise number that marks the reverse direction of an IANA element (RFC 5103 section 6.1).
pub const REVERSE_PEN: u32 = 29305;

/// The length that says "variable" (RFC 7011 section 7).
pub const VARIABLE_LENGTH: u16 = 0xffff;

/// One field of a template (RFC 7011 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FieldSpecifier {
    /// Element number without the enterprise bit.
    pub id: u16,
    /// Private enterprise number; 0 for IANA's own elements.
    pub pen: u32,
    /// Octets on the wire, or [`VARIABLE_LENGTH`].
    pub length: u16,
}

impl FieldSpecifier {
    /// A field of an IANA element.
    pub const fn new(id: u16, length: u16) -> Self {
        Self { id, pen: 0, length }
    }

    /// The next value of this field; a length in front of it is passed (RFC 7011 section 7).
    ///
    /// # Errors
    /// The value does not end in the reader's scope.
    pub fn value<'a>(self, reader: &mut Reader<'a>) -> Result<Reader<'a>, Truncated> {
        let length = if self.length == VARIABLE_LENGTH {
            reader.length()?
        } else {
            self.length
        };
        reader.sub(usize::from(length))
    }
}

/// What the records of a template describe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TemplateKind {
    /// Flow records.
    Data,
    /// Options; the first `scope_count` fields are the scope. NetFlow v9 scope fields carry v9's own scope
    /// types (RFC 3954 section 6.1: 1 System … 5 Template), not element numbers.
    Options {
        /// Number of leading scope fields.
        scope_count: u16,
    },
}

/// Why a list of fields is no usable template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// IDs below 256 are those of sets.
    #[error("template ID {0} is below 256")]
    ReservedId(u16),
    /// A record would have no octets, and a set would hold endlessly many of them.
    #[error("template {0} describes records without any octets")]
    ZeroLength(u16),
    /// No message could hold one record.
    #[error(
        "template {id} describes records of at least {length} octets, more than any message holds"
    )]
    TooLong {
        /// Template ID.
        id: u16,
        /// Least length of a record.
        length: usize,
    },
    /// NetFlow v9 has no variable length (RFC 3954).
    #[error("template {0} has a field of variable length, which NetFlow v9 does not know")]
    VariableInV9(u16),
    /// The scope is empty or longer than the template (RFC 7011 section 3.4.2.2).
    #[error("options template {id} has {scopes} scope fields among {fields} fields")]
    ScopeCount {
        /// Template ID.
        id: u16,
        /// Scope fields.
        scopes: u16,
        /// All fields.
        fields: usize,
    },
}

/// A checked template.
#[derive(Debug)]
pub struct Template {
    uid: u64,
    version: u16,
    id: u16,
    kind: TemplateKind,
    fields: Box<[FieldSpecifier]>,
    min_length: usize,
    variable: bool,
}

impl Template {
    /// Checks the fields and gives the template its process-wide number. `version` is 1, 5, 7, 9 or 10.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn new(
        version: u16,
        id: u16,
        kind: TemplateKind,
        fields: Vec<FieldSpecifier>,
    ) -> Result<Self, TemplateError> {
        static NEXT_UID: AtomicU64 = AtomicU64::new(1);
        if id < 256 && !fixed::is_fixed(version) {
            return Err(TemplateError::ReservedId(id));
        }
        if let TemplateKind::Options { scope_count } = kind {
            // RFC 3954 does not forbid options without a scope, and devices send them.
            let least = if version == 9 { 0 } else { 1 };
            if scope_count < least || usize::from(scope_count) > fields.len() {
                return Err(TemplateError::ScopeCount {
                    id,
                    scopes: scope_count,
                    fields: fields.len(),
                });
            }
        }
        let variable = fields.iter().any(|field| field.length == VARIABLE_LENGTH);
        if variable && version != 10 {
            return Err(TemplateError::VariableInV9(id));
        }
        let min_length = fields.iter().map(|field| least_octets(*field)).sum();
        if min_length == 0 {
            return Err(TemplateError::ZeroLength(id));
        }
        if min_length > usize::from(u16::MAX) {
            return Err(TemplateError::TooLong {
                id,
                length: min_length,
            });
        }
        let uid = NEXT_UID.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            uid,
            version,
            id,
            kind,
            fields: fields.into_boxed_slice(),
            min_length,
            variable,
        })
    }

    /// Unique in the process: a consumer keeps what it compiled for a template under this number.
    pub fn uid(&self) -> u64 {
        self.uid
    }

    /// 1, 5, 7, 9 or 10.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Template ID; 0 for NetFlow v1, v5 and v7.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Flow records or options.
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The fields in the order of the wire, scope fields first.
    pub fn fields(&self) -> &[FieldSpecifier] {
        &self.fields
    }

    /// Octets of the shortest record; a field of variable length counts one.
    pub fn min_length(&self) -> usize {
        self.min_length
    }

    /// Octets of every record, unless a field is of variable length.
    pub fn fixed_length(&self) -> Option<usize> {
        (!self.variable).then_some(self.min_length)
    }

    /// Whether kind and fields are those given: the same definition sent again.
    pub fn defines(&self, kind: TemplateKind, fields: &[FieldSpecifier]) -> bool {
        self.kind == kind && *self.fields == *fields
    }

    /// The octets of the record at the beginning of `bytes`; `None` if it does not end in there.
    pub fn record_length(&self, bytes: &[u8]) -> Option<usize> {
        if !self.variable {
            return (bytes.len() >= self.min_length).then_some(self.min_length);
        }
        let mut values = self.values(bytes);
        let complete = values.by_ref().count() == self.fields.len();
        complete.then(|| values.offset())
    }

    /// The values of a record, field by field; ends early where the record ends early. Length prefixes of
    /// variable fields are not part of the values (RFC 7011 section 7).
    pub fn values<'a>(&'a self, record: &'a [u8]) -> Values<'a> {
        Values {
            fields: self.fields.iter(),
            reader: Reader::new(record),
        }
    }
}

fn least_octets(field: FieldSpecifier) -> usize {
    if field.length == VARIABLE_LENGTH {
        1
    } else {
        usize::from(field.length)
    }
}

/// A template record as read from the wire, unchecked.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Where it begins in the message.
    pub offset: usize,
    pub id: u16,
    pub kind: TemplateKind,
    /// None at all is a withdrawal in IPFIX.
    pub fields: Vec<FieldSpecifier>,
}

/// A template record ends before its fields do.
pub(crate) fn truncated(id: u16, at: Truncated) -> DecodeError {
    let kind = DecodeErrorKind::TruncatedTemplate {
        id,
        wanted: at.wanted,
        left: at.left,
    };
    DecodeError {
        offset: at.offset,
        kind,
    }
}

/// Iterator over the values of a record, see [`Template::values`].
#[derive(Clone, Debug)]
pub struct Values<'a> {
    fields: std::slice::Iter<'a, FieldSpecifier>,
    reader: Reader<'a>,
}

impl Values<'_> {
    /// Octets of the record read so far.
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (FieldSpecifier, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let field = *self.fields.next()?;
        let value = field.value(&mut self.reader);
        value.ok().map(|value| (field, value.rest()))
    }
}
