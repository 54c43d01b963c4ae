//! Two records read as one: a longer template whose fields are those of both.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::reader::Reader;
use protocol::registry::{self, ie};
use protocol::session::DataRecord;
use protocol::structured::{Block, Content, List};
use protocol::template::{FieldSpecifier, Template, TemplateKind};

/// Longer templates kept; when there are more, all are made again as needed.
const MAX_MERGED: usize = 1024;
/// Records in the lists of one flow that are looked at.
const MAX_INNER: usize = 8;

/// The longer templates that were needed so far.
#[derive(Default)]
pub struct Merged {
    templates: HashMap<(u64, u64), Option<Arc<Template>>, FixedState>,
}

impl Merged {
    /// The fields of `base` and behind them those of `more`, without its scope. What `base` has already stays; the
    /// same element in `more` is passed as padding. `None` if no message could hold such a record.
    pub fn template(&mut self, base: &Template, more: &Template) -> Option<Arc<Template>> {
        let key = (base.uid(), more.uid());
        if self.templates.len() >= MAX_MERGED && !self.templates.contains_key(&key) {
            self.templates.clear();
        }
        self.templates
            .entry(key)
            .or_insert_with(|| merge(base, more))
            .clone()
    }
}

fn merge(base: &Template, more: &Template) -> Option<Arc<Template>> {
    let scopes = match more.kind() {
        TemplateKind::Options { scope_count } => usize::from(scope_count),
        TemplateKind::Data => 0,
    };
    let mut fields = base.fields().to_vec();
    for field in more.fields().iter().skip(scopes) {
        let known = |own: &FieldSpecifier| (own.pen, own.id) == (field.pen, field.id);
        fields.push(if base.fields().iter().any(known) {
            FieldSpecifier::new(ie::PADDING_OCTETS, field.length)
        } else {
            *field
        });
    }
    Template::new(base.version(), base.id(), base.kind(), fields)
        .ok()
        .map(Arc::new)
}

/// Flow records with what the lists in them say (RFC 6313): YAF sends MAC addresses and TCP details so. The first
/// record of each list is taken, on the outermost level.
#[derive(Default)]
pub struct Unfold {
    merged: Merged,
    record: Vec<u8>,
}

impl Unfold {
    /// The record with the fields of the records in its lists; `None` if it has none that can be read.
    pub fn record(&mut self, record: &DataRecord<'_>) -> Option<(Arc<Template>, &[u8])> {
        let mut whole: Option<Arc<Template>> = None;
        self.record.clear();
        self.record.extend_from_slice(record.bytes);
        let mut inner = 0;
        for (field, value) in record.template.values(record.bytes) {
            let Some(element) = registry::element(field.pen, field.id) else {
                continue;
            };
            let Some(Ok(list)) = List::read(element.data_type, Reader::new(value)) else {
                continue;
            };
            let mut take = |id: u16, octets: &[u8]| {
                let found = record.templates.get(id).filter(|_| inner < MAX_INNER);
                let base = whole.as_ref().unwrap_or(record.template);
                if let Some(template) = found
                    && let Some(octets) = template
                        .record_length(octets)
                        .and_then(|end| octets.get(..end))
                    && let Some(merged) = self.merged.template(base, template)
                {
                    whole = Some(merged);
                    self.record.extend_from_slice(octets);
                    inner += 1;
                }
            };
            match list.content {
                Content::SubTemplate { template, records } => take(template, records.rest()),
                Content::SubTemplateMulti { mut blocks } => {
                    while let Ok(Some(block)) = Block::read(&mut blocks) {
                        take(block.template, block.records.rest());
                    }
                }
                Content::Basic { .. } => {}
            }
        }
        Some((whole?, &self.record))
    }
}

/// Whether records of a template may hold lists of records.
#[must_use]
pub fn has_lists(template: &Template) -> bool {
    template.fields().iter().any(|field| {
        field.pen == 0
            && matches!(
                field.id,
                ie::SUB_TEMPLATE_LIST | ie::SUB_TEMPLATE_MULTI_LIST
            )
    })
}
