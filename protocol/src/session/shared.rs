//! Definitions of the same exporter address and domain under several ports. Real exporters change ports, or send
//! data from another one than templates: a data set whose template is unknown at its own port may use one of its
//! siblings', provided that all of them mean the same by its ID.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::template::Template;

/// Address, version and observation domain of an exporter.
pub(super) type Home = (IpAddr, u16, u32);

/// See the module. Bounded by the templates that the domains hold: each entry has at least one holder.
#[derive(Debug, Default)]
pub(super) struct Shared {
    homes: HashMap<Home, HashMap<u16, Vec<Held>, RandomState>, RandomState>,
}

/// One definition of an ID.
#[derive(Debug)]
struct Held {
    template: Arc<Template>,
    /// Ports that know it.
    holders: usize,
    /// When it was sent last, by any of them.
    seen_ms: u64,
}

impl Shared {
    /// One more port knows this definition; gives the template that stands for it at all of them.
    pub(super) fn hold(
        &mut self,
        home: Home,
        template: Arc<Template>,
        now_ms: u64,
    ) -> Arc<Template> {
        let ids = self.homes.entry(home).or_default();
        let held = ids.entry(template.id()).or_default();
        let equal = |held: &&mut Held| held.template.defines(template.kind(), template.fields());
        if let Some(held) = held.iter_mut().find(equal) {
            held.holders += 1;
            held.seen_ms = held.seen_ms.max(now_ms);
            return Arc::clone(&held.template);
        }
        held.push(Held {
            template: Arc::clone(&template),
            holders: 1,
            seen_ms: now_ms,
        });
        template
    }

    /// The definition was sent again.
    pub(super) fn refresh(&mut self, home: Home, template: &Arc<Template>, now_ms: u64) {
        let held = self
            .homes
            .get_mut(&home)
            .and_then(|ids| ids.get_mut(&template.id()));
        for held in held.into_iter().flatten() {
            if Arc::ptr_eq(&held.template, template) {
                held.seen_ms = now_ms;
            }
        }
    }

    /// One port less knows it.
    pub(super) fn release(&mut self, home: Home, template: &Arc<Template>) {
        let Some(ids) = self.homes.get_mut(&home) else {
            return;
        };
        if let Some(held) = ids.get_mut(&template.id()) {
            for held in held.iter_mut() {
                if Arc::ptr_eq(&held.template, template) {
                    held.holders = held.holders.saturating_sub(1);
                }
            }
            held.retain(|held| held.holders > 0);
            if held.is_empty() {
                ids.remove(&template.id());
            }
        }
        if ids.is_empty() {
            self.homes.remove(&home);
        }
    }

    /// What all ports mean by the ID; `None` if they do not agree, nobody knows it, or it was not sent since
    /// `oldest_ms`.
    pub(super) fn agreed(&self, home: Home, id: u16, oldest_ms: u64) -> Option<&Arc<Template>> {
        match self.homes.get(&home)?.get(&id)?.as_slice() {
            [held] if held.seen_ms >= oldest_ms => Some(&held.template),
            _ => None,
        }
    }
}
