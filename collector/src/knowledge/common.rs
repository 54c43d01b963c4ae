//! Common properties (RFC 5473): what an options record says once about all flow records that carry its
//! `commonPropertiesId`. A flow record is read together with them as one record of a longer template.

use std::sync::Arc;

use protocol::registry::ie;
use protocol::template::{Template, TemplateKind};

use super::{MAX_PER_EXPORTER, Origin, Table};
use crate::merge::Merged;

/// A flow may carry several IDs.
const MAX_IDS: usize = 4;
/// Octets of the properties of one ID.
const MAX_OCTETS: usize = 1024;

/// The properties of one ID.
#[derive(Clone, Debug)]
struct Properties {
    template: Arc<Template>,
    /// The record without its scope.
    octets: Box<[u8]>,
}

/// All that exporters have told.
#[derive(Default)]
pub struct CommonProperties {
    known: Table<(Origin, u64), Properties>,
    merged: Merged,
    record: Vec<u8>,
}

impl CommonProperties {
    /// Whether nobody has told any.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes an options record whose scope is a `commonPropertiesId`.
    pub fn learn(&mut self, origin: Origin, template: &Arc<Template>, record: &[u8]) {
        let TemplateKind::Options { scope_count } = template.kind() else {
            return;
        };
        let mut values = template.values(record);
        let mut id = None;
        for (field, value) in values.by_ref().take(usize::from(scope_count)) {
            if (field.pen, field.id) == (0, ie::COMMON_PROPERTIES_ID) {
                id = protocol::value::unsigned(value);
            }
        }
        let (Some(id), Some(octets)) = (id, record.get(values.offset()..)) else {
            return;
        };
        if octets.len() <= MAX_OCTETS {
            let properties = Properties {
                template: Arc::clone(template),
                octets: octets.into(),
            };
            self.known
                .insert(origin.0, MAX_PER_EXPORTER, (origin, id), properties);
        }
    }

    /// The record with the properties of the IDs in it; `None` if it has none that are known.
    pub fn expand(
        &mut self,
        origin: Origin,
        template: &Arc<Template>,
        record: &[u8],
    ) -> Option<(Arc<Template>, &[u8])> {
        let mut whole: Option<Arc<Template>> = None;
        self.record.clear();
        self.record.extend_from_slice(record);
        let ids = template
            .values(record)
            .filter(|(field, _)| (field.pen, field.id) == (0, ie::COMMON_PROPERTIES_ID));
        for (_, value) in ids.take(MAX_IDS) {
            let id = protocol::value::unsigned(value)?;
            let Some(properties) = self.known.get(&(origin, id)) else {
                continue;
            };
            let base = whole.as_ref().unwrap_or(template);
            if let Some(merged) = self.merged.template(base, &properties.template) {
                whole = Some(merged);
                self.record.extend_from_slice(&properties.octets);
            }
        }
        Some((whole?, &self.record))
    }
}
