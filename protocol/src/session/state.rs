//! What of a session may outlive the process: templates and sequence numbers of datagram exporters. Streams begin anew
//! (RFC 7011 section 8).

use std::net::SocketAddr;
use std::sync::Arc;

use super::context::Ledger;
use super::domain::Domain;
use super::{Exporter, Peer, Session};
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

/// How far an exporter had counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptSequence {
    /// The sender.
    pub exporter: SocketAddr,
    /// 5, 7, 9 or 10.
    pub version: u16,
    /// Its observation domain.
    pub domain: u32,
    /// When something came from it last, milliseconds since 1970.
    pub seen_ms: u64,
    /// The sequence number that its next message should have.
    pub next: u32,
    /// Uptime of its last message in order, and when that clock stood at zero (milliseconds since 1970); `None` for
    /// IPFIX.
    pub clock: Option<(u32, i64)>,
}

impl Session {
    /// The templates of all datagram exporters.
    pub fn kept(&self) -> impl Iterator<Item = KeptTemplate> {
        self.datagram_exporters().flat_map(|(peer, exporter)| {
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

    /// The sequence numbers of all datagram exporters, as far as they are known.
    pub fn kept_sequences(&self) -> impl Iterator<Item = KeptSequence> {
        self.datagram_exporters().flat_map(|(peer, exporter)| {
            let domains = exporter.domains.iter();
            domains.filter_map(|(&(version, domain), state)| {
                let (next, clock) = state.progress()?;
                Some(KeptSequence {
                    exporter: peer.address,
                    version,
                    domain,
                    seen_ms: exporter.last_ms,
                    next,
                    clock,
                })
            })
        })
    }

    fn datagram_exporters(&self) -> impl Iterator<Item = (&Peer, &Exporter)> {
        self.exporters.iter().filter(|(peer, _)| !peer.stream)
    }

    /// Takes a template of an earlier process in. `false`: it is too old, or over a limit.
    pub fn restore(&mut self, now_ms: u64, kept: KeptTemplate) -> bool {
        let KeptTemplate {
            exporter,
            domain,
            seen_ms,
            template,
        } = kept;
        let version = template.version();
        if !self.is_fresh(now_ms, seen_ms) || !matches!(version, 9 | 10) {
            return false;
        }
        let limits = self.limits;
        let Some((domain, mut ledger)) = self.restored(now_ms, exporter, (version, domain)) else {
            return false;
        };
        if !domain
            .templates
            .has_room(template.fields().len(), &limits, &ledger)
        {
            return false;
        }
        domain
            .templates
            .insert(template, seen_ms, (0, now_ms), &mut ledger);
        true
    }

    /// Takes the sequence number of an earlier process in: what the next message says is missing was lost meanwhile.
    /// `false`: it is too old, or over a limit.
    pub fn restore_sequence(&mut self, now_ms: u64, kept: &KeptSequence) -> bool {
        if !self.is_fresh(now_ms, kept.seen_ms) || !matches!(kept.version, 5 | 7 | 9 | 10) {
            return false;
        }
        match self.restored(now_ms, kept.exporter, (kept.version, kept.domain)) {
            Some((domain, _)) => {
                domain.resume(kept.next, kept.clock);
                true
            }
            None => false,
        }
    }

    fn is_fresh(&self, now_ms: u64, seen_ms: u64) -> bool {
        seen_ms <= now_ms && now_ms - seen_ms <= self.limits.template_ms
    }

    /// The domain of a datagram exporter, made if there is room for it.
    fn restored(
        &mut self,
        now_ms: u64,
        exporter: SocketAddr,
        key: (u16, u32),
    ) -> Option<(&mut Domain, Ledger<'_>)> {
        let peer = self.datagram_peer(exporter);
        let home = self.home(peer, key.0, key.1);
        let is_stranger = !self.exporters.contains_key(&peer);
        if is_stranger && self.exporters.len() >= self.limits.exporters {
            return None;
        }
        let has_room = self.totals.domains < self.limits.domains_total;
        let Exporter { share, domains, .. } =
            self.exporters.entry(peer).or_insert_with(|| Exporter {
                last_ms: now_ms,
                ..Exporter::default()
            });
        if !domains.contains_key(&key) {
            if domains.len() >= self.limits.domains || !has_room {
                return None;
            }
            domains.insert(key, Domain::new(home));
            self.totals.domains += 1;
        }
        let ledger = Ledger {
            totals: &mut self.totals,
            share,
        };
        Some((domains.get_mut(&key)?, ledger))
    }
}
