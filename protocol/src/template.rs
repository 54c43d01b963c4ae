//! Templates: the list of fields by which a data record is read or written
//! (RFC 3954 section 5.2, RFC 7011 section 3.4).

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

/// What the records of a template describe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TemplateKind {
    /// Flow records.
    Data,
    /// Options; the first `scope_count` fields are the scope.
    Options {
        /// Number of leading scope fields.
        scope_count: u16,
    },
}
