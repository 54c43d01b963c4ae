//! From item to item through a value and the lists inside it, on a stack of fixed height.

use super::{Block, Content, DEPTH, ITEMS, List, ListError, ListErrorKind, Semantic};
use crate::reader::Reader;
use crate::registry;
use crate::template::{FieldSpecifier, Template};

/// A `subTemplateMultiList` takes most of the stack: its blocks, the records of one, the fields of one.
const HEIGHT: usize = 3 * DEPTH;

/// What [`Walk`] meets.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A list begins: the value of `field`. Its values or records follow, then [`Item::ListEnd`].
    List {
        /// The element whose value it is; its type says which kind of list.
        field: FieldSpecifier,
        /// How its elements belong together.
        semantic: Semantic,
    },
    /// The list that began last ends.
    ListEnd,
    /// A record begins; one item for each of the template's fields follows (of a list: several), then
    /// [`Item::RecordEnd`].
    Record {
        /// Its template.
        template: &'a Template,
    },
    /// The record that began last ends.
    RecordEnd,
    /// A value that is no list: of a record's field, or one element of a `basicList`.
    Value {
        /// The element.
        field: FieldSpecifier,
        /// Its octets, without a length in front.
        octets: &'a [u8],
        /// Where they begin, as the [`Reader`] counts that the walk began with.
        offset: usize,
    },
    /// Records of a template that is not known: they cannot be told apart (RFC 6313 section 4.5: the list is
    /// skipped, the record around it kept).
    Unknown {
        /// The template's ID.
        template: u16,
        /// The records.
        octets: &'a [u8],
    },
}

#[derive(Clone, Debug)]
enum Frame<'a> {
    /// Values of a `basicList`.
    Values {
        element: FieldSpecifier,
        reader: Reader<'a>,
    },
    /// Records of one template; with `block` the list goes on behind them.
    Records {
        template: &'a Template,
        reader: Reader<'a>,
        block: bool,
    },
    /// A `subTemplateList` of a template nobody knows; without octets once they have been told.
    Unknown {
        template: u16,
        octets: Option<&'a [u8]>,
    },
    /// A `subTemplateMultiList`.
    Blocks(Reader<'a>),
    /// A record.
    Fields {
        fields: std::slice::Iter<'a, FieldSpecifier>,
        reader: Reader<'a>,
    },
}

/// Iterator over a value and all lists inside it. After an error it ends.
///
/// `lookup` gives the template of an ID, in the session and domain of the record (RFC 6313 section 4.5.2).
///
/// ```
/// use protocol::reader::Reader;
/// use protocol::structured::{Item, Walk};
/// use protocol::template::{FieldSpecifier, VARIABLE_LENGTH};
///
/// // allOf, egressInterface (14) in 4 octets: 1 and 4.
/// let value = [3, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4];
/// let field = FieldSpecifier::new(291, VARIABLE_LENGTH);
/// let mut interfaces = Vec::new();
/// for item in Walk::new(field, Reader::new(&value), |_| None) {
///     if let Item::Value { octets, .. } = item? {
///         interfaces.push(octets);
///     }
/// }
/// assert_eq!(interfaces, [[0, 0, 0, 1], [0, 0, 0, 4]]);
/// # Ok::<(), protocol::structured::ListError>(())
/// ```
#[derive(Debug)]
pub struct Walk<'a, L> {
    lookup: L,
    /// The value, until it has been looked at.
    first: Option<(FieldSpecifier, Reader<'a>)>,
    frames: [Option<Frame<'a>>; HEIGHT],
    height: usize,
    depth: usize,
    items: usize,
}

impl<'a, L: FnMut(u16) -> Option<&'a Template>> Walk<'a, L> {
    /// Begins with the value of `field`, the length in front of it passed. A value that is no list is the only item.
    pub fn new(field: FieldSpecifier, value: Reader<'a>, lookup: L) -> Self {
        Self {
            lookup,
            first: Some((field, value)),
            frames: [const { None }; HEIGHT],
            height: 0,
            depth: 0,
            items: 0,
        }
    }

    fn push(&mut self, frame: Frame<'a>, offset: usize) -> Result<(), ListError> {
        let slot = self.frames.get_mut(self.height).ok_or(ListError {
            offset,
            kind: ListErrorKind::TooDeep,
        })?;
        *slot = Some(frame);
        self.height += 1;
        Ok(())
    }

    /// Where the innermost value, record or list stands.
    fn offset(&self) -> usize {
        let top = self.height.checked_sub(1);
        match top.and_then(|top| self.frames.get(top)?.as_ref()) {
            Some(
                Frame::Values { reader, .. }
                | Frame::Records { reader, .. }
                | Frame::Blocks(reader)
                | Frame::Fields { reader, .. },
            ) => reader.offset(),
            Some(Frame::Unknown { .. }) | None => 0,
        }
    }

    fn pop(&mut self, item: Item<'a>) -> Item<'a> {
        self.height -= 1;
        if matches!(item, Item::ListEnd) {
            self.depth -= 1;
        }
        item
    }

    fn step(&mut self) -> Result<Option<Item<'a>>, ListError> {
        if let Some((field, value)) = self.first.take() {
            return self.value(field, value).map(Some);
        }
        loop {
            let top = self.height.checked_sub(1);
            let Some(frame) = top.and_then(|top| self.frames.get_mut(top)?.as_mut()) else {
                return Ok(None);
            };
            match frame {
                Frame::Values { reader, .. } if reader.left() == 0 => {
                    return Ok(Some(self.pop(Item::ListEnd)));
                }
                Frame::Values { element, reader } => {
                    if element.length == 0 {
                        return Err(ListError {
                            offset: reader.offset(),
                            kind: ListErrorKind::ZeroLength,
                        });
                    }
                    let (element, value) = (*element, element.value(reader)?);
                    return self.value(element, value).map(Some);
                }
                Frame::Unknown { template, octets } => {
                    let template = *template;
                    return Ok(Some(match octets.take() {
                        Some(octets) => Item::Unknown { template, octets },
                        None => self.pop(Item::ListEnd),
                    }));
                }
                Frame::Blocks(reader) => {
                    let Some(block) = Block::read(reader)? else {
                        return Ok(Some(self.pop(Item::ListEnd)));
                    };
                    let Some(template) = (self.lookup)(block.template) else {
                        return Ok(Some(Item::Unknown {
                            template: block.template,
                            octets: block.records.rest(),
                        }));
                    };
                    let (reader, block) = (block.records, true);
                    let offset = reader.offset();
                    let records = Frame::Records {
                        template,
                        reader,
                        block,
                    };
                    self.push(records, offset)?;
                }
                Frame::Records { reader, block, .. } if reader.left() == 0 => {
                    if !*block {
                        return Ok(Some(self.pop(Item::ListEnd)));
                    }
                    self.height -= 1;
                }
                Frame::Records {
                    template, reader, ..
                } => {
                    let (template, offset) = (*template, reader.offset());
                    // Too short for a record: more is wanted than there is.
                    let length = template
                        .record_length(reader.rest())
                        .unwrap_or(template.min_length().max(reader.left() + 1));
                    let reader = reader.sub(length)?;
                    let fields = template.fields().iter();
                    self.push(Frame::Fields { fields, reader }, offset)?;
                    return Ok(Some(Item::Record { template }));
                }
                Frame::Fields { fields, reader } => {
                    let Some(field) = fields.next() else {
                        return Ok(Some(self.pop(Item::RecordEnd)));
                    };
                    let value = field.value(reader)?;
                    return self.value(*field, value).map(Some);
                }
            }
        }
    }

    /// A value, or the list that it is.
    fn value(&mut self, field: FieldSpecifier, value: Reader<'a>) -> Result<Item<'a>, ListError> {
        let offset = value.offset();
        let plain = Item::Value {
            field,
            octets: value.rest(),
            offset,
        };
        let Some(element) = registry::element(field.pen, field.id) else {
            return Ok(plain);
        };
        let Some(list) = List::read(element.data_type, value) else {
            return Ok(plain);
        };
        let List { semantic, content } = list?;
        if self.depth >= DEPTH {
            return Err(ListError {
                offset,
                kind: ListErrorKind::TooDeep,
            });
        }
        let frame = match content {
            Content::Basic { element, values } => Frame::Values {
                element,
                reader: values,
            },
            Content::SubTemplate { template, records } => match (self.lookup)(template) {
                Some(template) => Frame::Records {
                    template,
                    reader: records,
                    block: false,
                },
                None => Frame::Unknown {
                    template,
                    octets: Some(records.rest()),
                },
            },
            Content::SubTemplateMulti { blocks } => Frame::Blocks(blocks),
        };
        self.push(frame, offset)?;
        self.depth += 1;
        Ok(Item::List { field, semantic })
    }
}

impl<'a, L: FnMut(u16) -> Option<&'a Template>> Iterator for Walk<'a, L> {
    type Item = Result<Item<'a>, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items += 1;
        let step = if self.items > ITEMS && self.height > 0 {
            Err(ListError {
                offset: self.offset(),
                kind: ListErrorKind::TooMany,
            })
        } else {
            self.step()
        };
        if step.is_err() {
            self.height = 0;
        }
        step.transpose()
    }
}
