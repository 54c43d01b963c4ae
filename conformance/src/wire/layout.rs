//! Templates as they stand on the wire, and records cut by them. Nothing is forgiven here and nothing refused:
//! what is wrong with a template is judged elsewhere.

use protocol::reader::{Reader, Truncated};
use protocol::registry::{self, DataType, Element};
use protocol::template::{FieldSpecifier, REVERSE_PEN, VARIABLE_LENGTH};

const ENTERPRISE_BIT: u16 = 0x8000;

/// A field specifier, and where it stands in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub id: u16,
    pub pen: u32,
    pub length: u16,
    /// Of a NetFlow v9 scope: the ID is no element then.
    pub v9_scope: bool,
    pub offset: usize,
}

/// A value and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value<'a> {
    pub octets: &'a [u8],
    pub offset: usize,
    /// Octets of the length in front of it.
    pub prefix: usize,
}

impl Field {
    /// A field that stands in no template: the element of a list.
    pub(crate) fn of(element: FieldSpecifier) -> Self {
        Self {
            id: element.id,
            pen: element.pen,
            length: element.length,
            v9_scope: false,
            offset: 0,
        }
    }

    /// The next value of this field.
    pub(crate) fn value<'a>(&self, reader: &mut Reader<'a>) -> Result<Value<'a>, Truncated> {
        let before = reader.offset();
        let octets = if self.length == VARIABLE_LENGTH {
            reader.variable()?
        } else {
            reader.take(usize::from(self.length))?
        };
        let offset = reader.offset() - octets.len();
        Ok(Value {
            octets,
            offset,
            prefix: offset - before,
        })
    }

    /// The element, if the registry has it.
    pub(crate) fn element(&self) -> Option<&'static Element> {
        if self.v9_scope {
            None
        } else {
            registry::element(self.pen, self.id)
        }
    }

    /// IANA's own element of this number, in forward direction.
    pub(crate) fn is(&self, id: u16) -> bool {
        !self.v9_scope && self.pen == 0 && self.id == id
    }

    pub(crate) fn is_reverse(&self) -> bool {
        self.pen == REVERSE_PEN
    }

    pub(crate) fn name(&self) -> String {
        match self.element() {
            Some(element) => format!("{} ({})", element.name, self.id),
            None if self.v9_scope => format!("scope {}", self.id),
            None if self.pen == 0 => format!("element {}", self.id),
            None => format!("element {} of enterprise {}", self.id, self.pen),
        }
    }

    fn least_octets(&self) -> usize {
        if self.length == VARIABLE_LENGTH {
            1
        } else {
            usize::from(self.length)
        }
    }

    fn is_sensible(&self) -> bool {
        if self.v9_scope {
            return (1..=5).contains(&self.id);
        }
        let fits = |element: &Element| match size(element.data_type) {
            Size::Any => self.length > 0,
            Size::Number(most) => (1..=most).contains(&self.length),
            Size::Float64 => matches!(self.length, 4 | 8),
            Size::Exactly(right) => self.length == right,
        };
        self.element().is_some_and(fits)
    }

    fn same(&self, other: &Field) -> bool {
        (self.id, self.pen, self.length) == (other.id, other.pen, other.length)
    }
}

/// A template record.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub id: u16,
    /// `None` for data templates.
    pub scopes: Option<u16>,
    pub fields: Vec<Field>,
    /// Octets of the shortest record.
    pub least: usize,
    pub variable: bool,
    /// Some field is a list.
    pub lists: bool,
    /// Where the record stands in its message, and how long it is.
    pub offset: usize,
    pub length: usize,
}

impl Layout {
    fn new(id: u16, scopes: Option<u16>, fields: Vec<Field>, offset: usize, length: usize) -> Self {
        let least = fields.iter().map(Field::least_octets).sum();
        let variable = fields.iter().any(|field| field.length == VARIABLE_LENGTH);
        let mut elements = fields.iter().filter_map(Field::element);
        let lists = elements.any(|element| element.data_type.is_list());
        Self {
            id,
            scopes,
            fields,
            least,
            variable,
            lists,
            offset,
            length,
        }
    }

    pub(crate) fn defines_the_same(&self, other: &Layout) -> bool {
        self.scopes == other.scopes
            && self.fields.len() == other.fields.len()
            && self
                .fields
                .iter()
                .zip(&other.fields)
                .all(|(a, b)| a.same(b))
    }

    pub(crate) fn has(&self, id: u16) -> bool {
        self.fields.iter().any(|field| field.is(id))
    }

    /// Fields outside the scope.
    pub(crate) fn scope_has(&self, id: u16) -> bool {
        let scopes = usize::from(self.scopes.unwrap_or(0));
        self.fields.iter().take(scopes).any(|field| field.is(id))
    }

    /// Calls `each` with the fields of the record at the beginning of `reader`.
    pub(crate) fn read<'v>(
        &self,
        reader: &mut Reader<'v>,
        mut each: impl FnMut(&Field, Value<'v>),
    ) -> Result<(), Truncated> {
        for field in &self.fields {
            each(field, field.value(reader)?);
        }
        Ok(())
    }

    /// Whether every field is an element that is known, in a length that its type may have.
    pub(crate) fn is_sensible(&self) -> bool {
        self.id >= 256 && self.least > 0 && self.fields.iter().all(Field::is_sensible)
    }
}

/// What stands at the reader in a template set.
#[derive(Debug)]
pub(crate) enum TemplateRecord {
    Layout(Layout),
    /// No fields: a withdrawal in IPFIX.
    Empty {
        id: u16,
        offset: usize,
    },
    /// It does not end in its set.
    Truncated {
        id: u16,
        offset: usize,
        /// Without the enterprise numbers it would.
        without_numbers: bool,
    },
    /// v9 options: lengths that are no multiple of 4.
    OddLengths {
        id: u16,
        scope: u16,
        option: u16,
        offset: usize,
    },
    /// Nothing but padding is left.
    Padding,
}

/// The next record of a template set, or of an options template set.
pub(crate) fn template_record(version: u16, options: bool, set: &mut Reader<'_>) -> TemplateRecord {
    let least = match (version, options) {
        (9, false) => 8,
        (9, true) => 10,
        _ => 4,
    };
    let rest = set.rest();
    if rest.iter().all(|octet| *octet == 0) {
        return TemplateRecord::Padding;
    }
    // A NetFlow v9 template without fields is shorter than any with.
    let bare = version == 9 && !options && matches!(rest, [1..=255, _, 0, 0, ..]);
    if rest.len() < least && !bare {
        return TemplateRecord::Padding;
    }
    let offset = set.offset();
    let mut body = set.clone();
    let Ok((id, first)) = pair(&mut body) else {
        return TemplateRecord::Padding;
    };
    let record = if version == 9 && options {
        v9_options(&mut body, id, first, offset)
    } else if first == 0 {
        TemplateRecord::Empty { id, offset }
    } else {
        let scopes = if options { body.u16().ok() } else { None };
        layout(version, &mut body, id, scopes, usize::from(first), offset)
    };
    *set = body;
    record
}

fn v9_options(body: &mut Reader<'_>, id: u16, scope: u16, offset: usize) -> TemplateRecord {
    let Ok(option) = body.u16() else {
        return TemplateRecord::Padding;
    };
    if !scope.is_multiple_of(4) || !option.is_multiple_of(4) {
        return TemplateRecord::OddLengths {
            id,
            scope,
            option,
            offset,
        };
    }
    let count = usize::from(scope / 4) + usize::from(option / 4);
    layout(9, body, id, Some(scope / 4), count, offset)
}

fn layout(
    version: u16,
    body: &mut Reader<'_>,
    id: u16,
    scopes: Option<u16>,
    count: usize,
    offset: usize,
) -> TemplateRecord {
    let at_fields = body.clone();
    match fields(version, body, scopes, count) {
        Ok(fields) => {
            let length = body.offset() - offset;
            TemplateRecord::Layout(Layout::new(id, scopes, fields, offset, length))
        }
        Err(_) => {
            let rest = at_fields.rest().get(count.saturating_mul(4)..);
            let without_numbers = version == 10
                && rest.is_some_and(|rest| rest.len() < 4 && rest.iter().all(|octet| *octet == 0));
            TemplateRecord::Truncated {
                id,
                offset,
                without_numbers,
            }
        }
    }
}

fn fields(
    version: u16,
    body: &mut Reader<'_>,
    scopes: Option<u16>,
    count: usize,
) -> Result<Vec<Field>, Truncated> {
    // A specifier has at least 4 octets: the claim is checked before anything is allocated.
    body.clone().take(count.saturating_mul(4))?;
    let mut fields = Vec::with_capacity(count);
    for index in 0..count {
        let offset = body.offset();
        let (id, length) = pair(body)?;
        let enterprise = version == 10 && id & ENTERPRISE_BIT != 0;
        let pen = if enterprise { body.u32()? } else { 0 };
        fields.push(Field {
            id: if enterprise { id & !ENTERPRISE_BIT } else { id },
            pen,
            length,
            v9_scope: version == 9 && index < usize::from(scopes.unwrap_or(0)),
            offset,
        });
    }
    Ok(fields)
}

/// How many octets values of this type may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// Any.
    Any,
    /// A number: up to so many, fewer when reduced (RFC 7011 section 6.2).
    Number(u16),
    /// Floating point of 8 octets, or 4 when reduced.
    Float64,
    /// Exactly.
    Exactly(u16),
}

/// RFC 7011 sections 6.1 and 6.2.
pub(crate) fn size(data_type: DataType) -> Size {
    match data_type {
        DataType::Unsigned8 | DataType::Signed8 => Size::Number(1),
        DataType::Unsigned16 | DataType::Signed16 => Size::Number(2),
        DataType::Unsigned32 | DataType::Signed32 => Size::Number(4),
        DataType::Unsigned64 | DataType::Signed64 => Size::Number(8),
        DataType::Float64 => Size::Float64,
        DataType::Boolean => Size::Exactly(1),
        DataType::MacAddress => Size::Exactly(6),
        DataType::Float32 | DataType::DateTimeSeconds | DataType::Ipv4Address => Size::Exactly(4),
        DataType::DateTimeMilliseconds
        | DataType::DateTimeMicroseconds
        | DataType::DateTimeNanoseconds => Size::Exactly(8),
        DataType::Ipv6Address => Size::Exactly(16),
        DataType::OctetArray
        | DataType::Unsigned256
        | DataType::String
        | DataType::BasicList
        | DataType::SubTemplateList
        | DataType::SubTemplateMultiList => Size::Any,
    }
}

fn pair(reader: &mut Reader<'_>) -> Result<(u16, u16), Truncated> {
    Ok((reader.u16()?, reader.u16()?))
}
