//! Structured data (RFC 6313): the form of lists, and what they hold.

use std::sync::Arc;

use protocol::reader::Reader;
use protocol::registry::DataType;
use protocol::structured::{Block, Content, List, ListError, Semantic};
use protocol::template::VARIABLE_LENGTH;

use super::domain::Domain;
use super::layout::{Field, Value};
use super::rules::{Desk, R};
use crate::verdict::Verdict;

/// Deeper lists are not looked into.
const DEPTH: usize = 16;
/// Octets of a length in the recommended form.
const LONG_FORM: usize = 3;

/// Templates whose records are around the list at hand, innermost first.
struct Chain<'c> {
    template: u16,
    around: Option<&'c Chain<'c>>,
}

impl Chain<'_> {
    fn holds(&self, template: u16) -> bool {
        self.template == template || self.around.is_some_and(|around| around.holds(template))
    }

    fn depth(&self) -> usize {
        1 + self.around.map_or(0, Chain::depth)
    }
}

/// Judges a field of a record of `template`, if it is a list.
pub(super) fn judge(
    field: &Field,
    value: Value<'_>,
    template: u16,
    domain: &Domain,
    desk: &mut Desk,
) {
    let chain = Chain {
        template,
        around: None,
    };
    Lists { domain, desk }.field(field, value, &chain, 0);
}

struct Lists<'a> {
    domain: &'a Domain,
    desk: &'a mut Desk,
}

impl Lists<'_> {
    fn field(&mut self, field: &Field, value: Value<'_>, chain: &Chain<'_>, depth: usize) {
        let data_type = field.element().map(|element| element.data_type);
        if let Some(data_type) = data_type.filter(|data_type| data_type.is_list()) {
            if field.length == VARIABLE_LENGTH {
                self.length(field, value);
            }
            self.list(data_type, value, chain, depth);
        }
    }

    /// RFC 6313 section 4.5: the length is better written in three octets.
    fn length(&mut self, field: &Field, value: Value<'_>) {
        let (kept, at) = (value.prefix == LONG_FORM, value.offset - value.prefix);
        self.desk
            .judge(R::L02, kept, Verdict::Deviation, at, value.prefix, || {
                format!("the length of {} is written in one octet", field.name())
            });
    }

    fn list(&mut self, data_type: DataType, value: Value<'_>, chain: &Chain<'_>, depth: usize) {
        let reader = Reader::at(value.octets, value.offset);
        let Some(list) = List::read(data_type, reader).filter(|_| depth < DEPTH) else {
            return;
        };
        let whole = list.and_then(|list| {
            if let Semantic::Unassigned(number) = list.semantic {
                let (rule, verdict) = (R::L01, Verdict::Deviation);
                self.desk.fault(rule, verdict, value.offset, 1, || {
                    format!("semantic {number} has no meaning")
                });
            }
            match list.content {
                Content::Basic { element, values } => {
                    let element = Field::of(element);
                    self.values(&element, values, chain, depth)
                }
                Content::SubTemplate { template, records } => {
                    self.records(template, records, chain, depth)
                }
                Content::SubTemplateMulti { mut blocks } => {
                    while let Some(block) = Block::read(&mut blocks)? {
                        self.records(block.template, block.records, chain, depth)?;
                    }
                    Ok(())
                }
            }
        });
        self.desk.check(R::L01);
        if let Err(ListError { offset, kind }) = whole {
            self.desk
                .fault(R::L01, Verdict::DataLoss, offset, 1, || kind.to_string());
        }
    }

    fn values(
        &mut self,
        element: &Field,
        mut values: Reader<'_>,
        chain: &Chain<'_>,
        depth: usize,
    ) -> Result<(), ListError> {
        if element.length == 0 && values.left() > 0 {
            return Err(ListError {
                offset: values.offset(),
                kind: protocol::structured::ListErrorKind::ZeroLength,
            });
        }
        while values.left() > 0 {
            let value = element.value(&mut values)?;
            self.field(element, value, chain, depth + 1);
        }
        Ok(())
    }

    fn records(
        &mut self,
        template: u16,
        mut records: Reader<'_>,
        chain: &Chain<'_>,
        depth: usize,
    ) -> Result<(), ListError> {
        let at = records.offset();
        // An empty list ends there.
        let itself = chain.holds(template) && records.left() > 0;
        self.desk
            .judge(R::L03, !itself, Verdict::Unsafe, at, records.left(), || {
                format!("a record of template {template} holds a list of template {template}")
            });
        let known = self.domain.templates.get(&template);
        // Of templates nobody has seen nothing can be said.
        let Some(known) = known.filter(|known| known.layout.least > 0) else {
            return Ok(());
        };
        if itself || chain.depth() >= DEPTH {
            return Ok(());
        }
        let layout = Arc::clone(&known.layout);
        let chain = Chain {
            template,
            around: Some(chain),
        };
        while records.left() > 0 && self.desk.spend(layout.fields.len()) {
            layout.read(&mut records, |field, value| {
                self.field(field, value, &chain, depth + 1);
            })?;
        }
        Ok(())
    }
}
