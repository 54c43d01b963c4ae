//! What of a session may outlive the process: the templates of datagram exporters. Streams begin anew (RFC 7011
//! section 8).

use std::net::SocketAddr;
use std::sync::Arc;

use super::context::Ledger;
use super::domain::Domain;
use super::{Exporter, Session};
use crate::template::Template;

/// A template and who sent it.
#[derive(Clone, Debug)]
pub struct KeptTemplate {
    /// The sender.
    pub exporter: SocketAddr,
    /// Its observation domain.
    pub domain: u32,
    /// When it was sent last, milliseconds since 1970.
    pub seen_ms: u64,
    /// The template; it knows its version.
    pub template: Arc<Template>,
}

impl Session {
    /// The templates of all datagram exporters.
    pub fn kept(&self) -> impl Iterator<Item = KeptTemplate> {
        let datagram = self.exporters.iter().filter(|(peer, _)| !peer.stream);
        datagram.flat_map(|(peer, exporter)| {
            exporter
                .domains
                .iter()
                .flat_map(move |(&(_, domain), state)| {
                    state
                        .templates
                        .iter()
                        .map(move |(template, seen_ms)| KeptTemplate {
                            exporter: peer.address,
                            domain,
                            seen_ms,
                            template: Arc::clone(template),
                        })
                })
        })
    }

    /// Takes a template of an earlier process in. `false`: it is too old, or over a limit.
    #[allow(clippy::too_many_arguments)]
    pub fn restore(&mut self, now_ms: u64, kept: KeptTemplate) -> bool {
        let KeptTemplate {
            exporter,
            domain,
            seen_ms,
            template,
        } = kept;
        let version = template.version();
        let peer = self.datagram_peer(exporter);
        let old = now_ms.saturating_sub(seen_ms) > self.limits.template_ms;
        let stranger = !self.exporters.contains_key(&peer);
        if old
            || seen_ms > now_ms
            || !matches!(version, 9 | 10)
            || stranger && self.exporters.len() >= self.limits.exporters
        {
            return false;
        }
        let home = self.home(peer, version, domain);
        let state = self.exporters.entry(peer).or_insert_with(|| Exporter {
            last_ms: now_ms,
            ..Exporter::default()
        });
        let key = (version, domain);
        if !state.domains.contains_key(&key)
            && (state.domains.len() >= self.limits.domains
                || self.totals.domains >= self.limits.domains_total)
        {
            return false;
        }
        let Exporter { share, domains, .. } = state;
        let new = !domains.contains_key(&key);
        let domain = domains.entry(key).or_insert_with(|| Domain::new(home));
        self.totals.domains += usize::from(new);
        let mut ledger = Ledger {
            totals: &mut self.totals,
            share,
        };
        if !domain
            .templates
            .has_room(template.fields().len(), &self.limits, &ledger)
        {
            return false;
        }
        domain
            .templates
            .insert(template, seen_ms, (0, now_ms), &mut ledger);
        true
    }
}
