//! The templates of one observation domain: learned, replaced, withdrawn, grown old.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::context::{Context, Ledger};
use super::events::Events;
use super::shared::{Home, Shared};
use crate::error::DecodeErrorKind;
use crate::ipfix;
use crate::limits::Limits;
use crate::template::{Definition, FieldSpecifier, Template, TemplateKind};

/// Changes of one definition are counted over this time, to tell an exporter that was reconfigured from one whose
/// definition flaps.
const FLAP_WINDOW_MS: u64 = 60_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Templates {
    entries: HashMap<u16, Entry, RandomState>,
    /// Under which name the definitions are shared with other ports of the same exporter; `None`: with nobody.
    home: Option<Home>,
}

#[derive(Debug)]
struct Entry {
    template: Arc<Template>,
    /// When it was sent last.
    seen_ms: u64,
    /// How often the definition changed since `since_ms`.
    changes: u32,
    since_ms: u64,
}

/// The templates that a record's domain knows, to read the structured data in it.
#[derive(Clone, Copy, Default)]
pub struct TemplateLookup<'a> {
    own: Option<&'a Templates>,
    shared: Option<&'a Shared>,
}

impl<'a> TemplateLookup<'a> {
    /// The template of this ID.
    pub fn get(&self, id: u16) -> Option<&'a Arc<Template>> {
        let own = self.own?;
        match (own.entries.get(&id), self.shared, own.home) {
            (Some(entry), ..) => Some(&entry.template),
            (None, Some(shared), Some(home)) => shared.agreed(home, id, 0),
            _ => None,
        }
    }
}

impl Templates {
    /// None yet; their definitions are shared under `home`.
    pub(super) fn new(home: Option<Home>) -> Self {
        Self {
            entries: HashMap::default(),
            home,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Fields of all of them.
    #[cfg(test)]
    pub(super) fn fields(&self) -> usize {
        self.iter()
            .map(|(template, _)| template.fields().len())
            .sum()
    }

    /// All, with the time at which each was sent last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Template>, u64)> {
        self.entries
            .values()
            .map(|entry| (&entry.template, entry.seen_ms))
    }

    /// What records may look up.
    pub(super) fn lookup<'a>(&'a self, shared: &'a Shared) -> TemplateLookup<'a> {
        TemplateLookup {
            own: Some(self),
            shared: Some(shared),
        }
    }

    /// The template of a data set; `true` beside it: of another port of the same address and domain, all of whose
    /// definitions agree. One that was not sent again for its lifetime is forgotten (RFC 7011 section 8.4).
    pub(super) fn find<E: Events>(
        &mut self,
        id: u16,
        context: &mut Context<'_, E>,
    ) -> Option<(Arc<Template>, bool)> {
        let oldest_ms = context
            .message
            .received_ms
            .saturating_sub(context.limits.template_ms);
        match self.entries.get(&id) {
            Some(entry) if context.stream || entry.seen_ms >= oldest_ms => {
                return Some((Arc::clone(&entry.template), false));
            }
            Some(_) => {
                if let Some(template) = self.forget(id, &mut context.ledger) {
                    context.counters.expired_templates += 1;
                    let message = context.message;
                    context.events.withdrawn(&message, &template);
                }
            }
            None => {}
        }
        let shared = &context.ledger.totals.shared;
        let template = shared.agreed(self.home?, id, oldest_ms)?;
        Some((Arc::clone(template), true))
    }

    /// Takes a definition in; gives the template if it is a new one that can be used.
    pub(super) fn define<E: Events>(
        &mut self,
        definition: Definition,
        context: &mut Context<'_, E>,
    ) -> Option<Arc<Template>> {
        let Definition {
            offset,
            id,
            kind,
            fields,
        } = definition;
        let now_ms = context.message.received_ms;
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.template.defines(kind, &fields)
        {
            entry.seen_ms = now_ms;
            if let Some(home) = self.home {
                let shared = &mut context.ledger.totals.shared;
                shared.refresh(home, &entry.template, now_ms);
            }
            return None;
        }
        // The old definition is gone in any case: its ID means something else now.
        let changes = self
            .entries
            .get(&id)
            .map_or((0, now_ms), |entry| entry.next_change(now_ms));
        let old = self.forget(id, &mut context.ledger);
        let message = context.message;
        let new = self.learn(offset, id, kind, fields, changes, context);
        match (&old, &new) {
            (Some(old), Some(new)) => {
                context.counters.redefinitions += 1;
                context.events.redefined(&message, old, new, changes.0);
            }
            (Some(old), None) => context.events.withdrawn(&message, old),
            _ => {}
        }
        if let Some(template) = &new {
            context.events.template(&message, template);
        }
        new
    }

    /// Takes a new template in, if it can be used and there is room for it.
    fn learn<E: Events>(
        &mut self,
        offset: usize,
        id: u16,
        kind: TemplateKind,
        fields: Vec<FieldSpecifier>,
        changes: (u32, u64),
        context: &mut Context<'_, E>,
    ) -> Option<Arc<Template>> {
        if !self.has_room(fields.len(), context.limits, &context.ledger) {
            context.counters.refused_templates += 1;
            return None;
        }
        match Template::new(context.message.version, id, kind, fields) {
            Ok(template) => {
                context.counters.templates += 1;
                let seen_ms = context.message.received_ms;
                Some(self.insert(Arc::new(template), seen_ms, changes, &mut context.ledger))
            }
            Err(error) => {
                context.counters.bad_templates += 1;
                context.violation(offset, error.into());
                None
            }
        }
    }

    /// Whether the limits allow one more of so many fields.
    pub(super) fn has_room(&self, fields: usize, limits: &Limits, ledger: &Ledger<'_>) -> bool {
        fields <= limits.fields
            && self.entries.len() < limits.templates
            && ledger.share.templates < limits.templates_exporter
            && ledger.totals.templates < limits.templates_total
            && ledger.share.fields + fields <= limits.fields_exporter
            && ledger.totals.fields + fields <= limits.fields_total
    }

    /// Keeps a template. An equal one of another port stands for both.
    pub(super) fn insert(
        &mut self,
        template: Arc<Template>,
        seen_ms: u64,
        (changes, since_ms): (u32, u64),
        ledger: &mut Ledger<'_>,
    ) -> Arc<Template> {
        let id = template.id();
        self.forget(id, ledger);
        let template = match self.home {
            Some(home) => ledger.totals.shared.hold(home, template, seen_ms),
            None => template,
        };
        ledger.take(&template);
        let entry = Entry {
            template: Arc::clone(&template),
            seen_ms,
            changes,
            since_ms,
        };
        self.entries.insert(id, entry);
        template
    }

    /// RFC 7011 section 8.1; over UDP withdrawals are ignored (section 8.4).
    pub(super) fn withdraw<E: Events>(
        &mut self,
        set: u16,
        definition: &Definition,
        context: &mut Context<'_, E>,
    ) {
        let Definition { offset, id, .. } = *definition;
        if !context.stream {
            context.violation(offset, DecodeErrorKind::WithdrawalOverUdp(id));
            return;
        }
        if id != set {
            if !self.remove(id, context) {
                context.violation(offset, DecodeErrorKind::UnknownWithdrawal(id));
            }
            return;
        }
        // All templates, or all options templates.
        let options = set == ipfix::OPTIONS_SET;
        let mut ids: Vec<u16> = self
            .iter()
            .filter(|(template, _)| (template.kind() != TemplateKind::Data) == options)
            .map(|(template, _)| template.id())
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.remove(id, context);
        }
    }

    fn remove<E: Events>(&mut self, id: u16, context: &mut Context<'_, E>) -> bool {
        let Some(template) = self.forget(id, &mut context.ledger) else {
            return false;
        };
        context.counters.withdrawals += 1;
        let message = context.message;
        context.events.withdrawn(&message, &template);
        true
    }

    fn forget(&mut self, id: u16, ledger: &mut Ledger<'_>) -> Option<Arc<Template>> {
        let entry = self.entries.remove(&id)?;
        ledger.give_back(&entry.template);
        if let Some(home) = self.home {
            ledger.totals.shared.release(home, &entry.template);
        }
        Some(entry.template)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self, ledger: &mut Ledger<'_>) {
        for (_, entry) in std::mem::take(&mut self.entries) {
            ledger.give_back(&entry.template);
            if let Some(home) = self.home {
                ledger.totals.shared.release(home, &entry.template);
            }
        }
    }
}

impl Entry {
    /// How often the definition has changed with the one at hand, and since when that is counted.
    fn next_change(&self, now_ms: u64) -> (u32, u64) {
        if self.changes > 0 && now_ms.saturating_sub(self.since_ms) <= FLAP_WINDOW_MS {
            (self.changes.saturating_add(1), self.since_ms)
        } else {
            (1, now_ms)
        }
    }
}
