//! Structured data (RFC 6313): the values of elements of type `basicList`, `subTemplateList` and
//! `subTemplateMultiList`.
//!
//! [`List::read`] understands the head of one list; [`Walk`] goes through a value with all lists inside it and
//! gives item after item. Neither allocates; depth and number of items are bounded ([`DEPTH`], [`ITEMS`]), because
//! a few octets can describe a great many. Whatever is wrong with a list, its length is known from outside: the
//! record around it stays readable (RFC 6313 section 4.5).

mod walk;

use crate::reader::{Reader, Truncated};
use crate::registry::DataType;
use crate::template::FieldSpecifier;

pub use walk::{Item, Walk};

/// Lists inside each other that [`Walk`] follows. RFC 6313 sets no bound; its examples nest two.
pub const DEPTH: usize = 8;

/// Items that [`Walk`] gives of one value: fields without octets would make them endless otherwise.
pub const ITEMS: usize = 1 << 16;

const ENTERPRISE_BIT: u16 = 0x8000;

/// What is wrong with a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("octet {offset}: {kind}")]
pub struct ListError {
    /// Where, as the [`Reader`] counts that the value came in.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ListErrorKind,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListErrorKind {
    /// The list ends inside its head, an element or a record.
    #[error("{wanted} octets wanted, the list has {left} left")]
    Truncated {
        /// Octets wanted.
        wanted: usize,
        /// Octets left.
        left: usize,
    },
    /// Elements without octets, of which the list would hold endlessly many.
    #[error("elements of no octets")]
    ZeroLength,
    /// The records of one template in a `subTemplateMultiList` are said to be shorter than their own head.
    #[error("length {0} of the records of one template is less than their head")]
    BlockLength(u16),
    /// More than [`DEPTH`] lists inside each other.
    #[error("more than {DEPTH} lists inside each other")]
    TooDeep,
    /// More than [`ITEMS`] items.
    #[error("more than {ITEMS} items")]
    TooMany,
}

impl From<Truncated> for ListError {
    fn from(at: Truncated) -> Self {
        Self {
            offset: at.offset,
            kind: ListErrorKind::Truncated {
                wanted: at.wanted,
                left: at.left,
            },
        }
    }
}

/// How the elements of a list belong together (RFC 6313 section 4.4, IANA "IPFIX Structured Data Types Semantics").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Semantic {
    /// None of them is a property of the record (0).
    NoneOf,
    /// Exactly one of them is (1).
    ExactlyOneOf,
    /// One or more are (2).
    OneOrMoreOf,
    /// All of them are (3).
    AllOf,
    /// All of them are, in this order (4).
    Ordered,
    /// Nothing is said (255).
    Undefined,
    /// A number that IANA has not assigned.
    Unassigned(u8),
}

impl Semantic {
    /// The meaning of the octet on the wire.
    pub fn of(octet: u8) -> Self {
        match octet {
            0 => Self::NoneOf,
            1 => Self::ExactlyOneOf,
            2 => Self::OneOrMoreOf,
            3 => Self::AllOf,
            4 => Self::Ordered,
            255 => Self::Undefined,
            other => Self::Unassigned(other),
        }
    }

    /// IANA's name; `unassigned` for numbers without one.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoneOf => "noneOf",
            Self::ExactlyOneOf => "exactlyOneOf",
            Self::OneOrMoreOf => "oneOrMoreOf",
            Self::AllOf => "allOf",
            Self::Ordered => "ordered",
            Self::Undefined => "undefined",
            Self::Unassigned(_) => "unassigned",
        }
    }
}

/// What a list holds.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// `basicList`: values of one element, described by the list itself. Of length 65535 each carries its own.
    Basic {
        /// The element and its length.
        element: FieldSpecifier,
        /// The values.
        values: Reader<'a>,
    },
    /// `subTemplateList`: records of one template.
    SubTemplate {
        /// The template of the same session and domain.
        template: u16,
        /// The records.
        records: Reader<'a>,
    },
    /// `subTemplateMultiList`: records of several templates, to be read with [`Block::read`].
    SubTemplateMulti {
        /// The blocks.
        blocks: Reader<'a>,
    },
}

/// One list, its head read.
#[derive(Clone, Debug)]
pub struct List<'a> {
    /// How its elements belong together.
    pub semantic: Semantic,
    /// Its elements.
    pub content: Content<'a>,
}

impl<'a> List<'a> {
    /// Reads the head of a value of this type, the length in front of the value already passed. `None`: the type
    /// is no list.
    ///
    /// # Errors
    /// The value ends before its head does. An empty list has one all the same (RFC 6313 section 4.5).
    pub fn read(data_type: DataType, mut value: Reader<'a>) -> Option<Result<Self, ListError>> {
        if !data_type.is_list() {
            return None;
        }
        let head = value.u8().and_then(|octet| {
            let content = match data_type {
                DataType::BasicList => basic(&mut value)?,
                DataType::SubTemplateList => sub_template(&mut value)?,
                _ => Content::SubTemplateMulti {
                    blocks: value.clone(),
                },
            };
            Ok(Self {
                semantic: Semantic::of(octet),
                content,
            })
        });
        Some(head.map_err(ListError::from))
    }
}

/// RFC 6313 section 4.5.1.
fn basic<'a>(value: &mut Reader<'a>) -> Result<Content<'a>, Truncated> {
    let (id, length) = value.u16_pair()?;
    let pen = if id & ENTERPRISE_BIT == 0 {
        0
    } else {
        value.u32()?
    };
    Ok(Content::Basic {
        element: FieldSpecifier {
            id: id & !ENTERPRISE_BIT,
            pen,
            length,
        },
        values: value.clone(),
    })
}

/// RFC 6313 section 4.5.2.
fn sub_template<'a>(value: &mut Reader<'a>) -> Result<Content<'a>, Truncated> {
    Ok(Content::SubTemplate {
        template: value.u16()?,
        records: value.clone(),
    })
}

/// The records of one template in a `subTemplateMultiList`.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// The template of the same session and domain.
    pub template: u16,
    /// The records.
    pub records: Reader<'a>,
}

impl<'a> Block<'a> {
    /// The next block; `None` behind the last (RFC 6313 section 4.5.3: the length counts its own four octets of
    /// head).
    ///
    /// # Errors
    /// The block is shorter than its head, or longer than the list.
    pub fn read(blocks: &mut Reader<'a>) -> Result<Option<Self>, ListError> {
        if blocks.left() == 0 {
            return Ok(None);
        }
        let offset = blocks.offset();
        let (template, length) = blocks.u16_pair()?;
        let content = usize::from(length).checked_sub(4).ok_or(ListError {
            offset,
            kind: ListErrorKind::BlockLength(length),
        })?;
        Ok(Some(Self {
            template,
            records: blocks.sub(content)?,
        }))
    }
}

#[cfg(test)]
mod tests;
