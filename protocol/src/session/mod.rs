//! Decoding with state: templates, sequence numbers and waiting data per
//! exporter and observation domain. Messages in, [`Events`] out.
//!
//! The key of all state is the transport session (kind of transport, address and port of the sender), the
//! version and the observation domain (RFC 7011 section 3.1, RFC 3954 section 5.1); see [`SessionKey`] for less.

mod context;
mod domain;
mod events;
mod pending;
mod sequence;
mod shared;
mod state;
mod templates;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::error::{DecodeError, DecodeErrorKind, short_header};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::{fixed, ipfix, v9};
use context::{Context, Ledger, Share, Totals};
use domain::Domain;
use shared::Home;

pub use events::{Counters, DataRecord, DiscardCause, Events, LossUnit, MessageInfo};
pub use state::{KeptSequence, KeptTemplate};
pub use templates::TemplateLookup;

/// A full table of exporters is searched for idle ones at most this often, so that a flood of new senders costs
/// little.
const SWEEP_MS: u64 = 1000;

/// How datagram exporters are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SessionKey {
    /// By address and port (RFC 7011 section 3.1); ports know nothing of each other.
    #[default]
    AddressPort,
    /// By address and port, but a data set whose template is unknown there may use one of the same address and
    /// domain, if all known definitions of its ID agree.
    AddressPortShared,
    /// By address alone.
    Address,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    key: SessionKey,
    counters: Counters,
    totals: Totals,
    exporters: HashMap<Peer, Exporter, RandomState>,
    swept_ms: u64,
}

/// Octets of the state of one exporter and of one domain, for [`Limits::memory`].
pub(crate) const EXPORTER: usize = size_of::<Peer>() + size_of::<Exporter>();
pub(crate) const DOMAIN: usize = size_of::<Domain>() + size_of::<(u16, u32)>();

/// A transport session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Peer {
    address: SocketAddr,
    stream: bool,
}

#[derive(Debug, Default)]
struct Exporter {
    last_ms: u64,
    share: Share,
    domains: HashMap<(u16, u32), Domain, RandomState>,
}

/// A message whose header has been read.
struct Message<'a> {
    info: MessageInfo,
    body: Body<'a>,
    /// What follows the message in its datagram, and where.
    trailing: (usize, usize),
}

enum Body<'a> {
    Fixed(fixed::Packet<'a>),
    Sets(Reader<'a>),
}

impl Session {
    /// A session that knows nobody.
    pub fn new(limits: Limits) -> Self {
        Self::with_key(limits, SessionKey::default())
    }

    /// A session that knows nobody and tells exporters apart by `key`.
    pub fn with_key(limits: Limits, key: SessionKey) -> Self {
        Self {
            limits,
            key,
            counters: Counters::default(),
            totals: Totals::default(),
            exporters: HashMap::default(),
            swept_ms: 0,
        }
    }

    /// Decodes one datagram. `now_ms` is the time of reception, milliseconds since 1970.
    pub fn datagram(
        &mut self,
        now_ms: u64,
        from: SocketAddr,
        bytes: &[u8],
        events: &mut impl Events,
    ) {
        self.receive(now_ms, self.datagram_peer(from), from, bytes, events);
    }

    fn datagram_peer(&self, from: SocketAddr) -> Peer {
        let port = match self.key {
            SessionKey::Address => 0,
            _ => from.port(),
        };
        Peer {
            address: SocketAddr::new(from.ip(), port),
            stream: false,
        }
    }

    /// Under which name a peer's templates are shared with its other ports.
    fn home(&self, peer: Peer, version: u16, domain: u32) -> Option<Home> {
        let shared = self.key == SessionKey::AddressPortShared && !peer.stream;
        shared.then_some((peer.address.ip(), version, domain))
    }

    /// Decodes one message of a stream (TCP, TLS), cut by a [`Framer`](crate::framing::Framer).
    pub fn message(
        &mut self,
        now_ms: u64,
        from: SocketAddr,
        bytes: &[u8],
        events: &mut impl Events,
    ) {
        self.receive(
            now_ms,
            Peer {
                address: from,
                stream: true,
            },
            from,
            bytes,
            events,
        );
    }

    /// The stream of this peer has ended: its state is forgotten, waiting data is discarded.
    pub fn close(&mut self, from: SocketAddr, events: &mut impl Events) {
        if let Some(mut exporter) = self.exporters.remove(&Peer {
            address: from,
            stream: true,
        }) {
            exporter.close(&mut self.totals, &mut self.counters, events);
        }
    }

    /// Discards data that has waited too long for its template. To be called about once a second.
    pub fn tick(&mut self, now_ms: u64, events: &mut impl Events) {
        if self.totals.pending == 0 {
            return;
        }
        for exporter in self.exporters.values_mut() {
            let mut ledger = Ledger {
                totals: &mut self.totals,
                share: &mut exporter.share,
            };
            for domain in exporter.domains.values_mut() {
                domain.expire(
                    now_ms,
                    &self.limits,
                    &mut ledger,
                    &mut self.counters,
                    events,
                );
            }
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Exporters with state, streams included.
    pub fn exporters(&self) -> usize {
        self.exporters.len()
    }

    fn receive(
        &mut self,
        now_ms: u64,
        peer: Peer,
        from: SocketAddr,
        bytes: &[u8],
        events: &mut impl Events,
    ) {
        self.counters.octets += bytes.len() as u64;
        let message = match read_header(now_ms, from, bytes) {
            Ok(message) => message,
            Err(error) => {
                let known = matches!(
                    error.kind,
                    DecodeErrorKind::V5Count { .. } | DecodeErrorKind::MessageLength { .. }
                );
                *if known {
                    &mut self.counters.malformed
                } else {
                    &mut self.counters.unknown
                } += 1;
                events.violation(from, now_ms, &error);
                return;
            }
        };
        self.counters.messages += 1;
        let key = (message.info.version, message.info.domain);
        let home = self.home(peer, key.0, key.1);
        let known = self.exporters.get_mut(&peer);
        if let Some(exporter) = known {
            exporter.last_ms = now_ms;
            let refused = exporter.domains.len() >= self.limits.domains
                || self.totals.domains >= self.limits.domains_total;
            let mut context = Context {
                message: message.info,
                stream: peer.stream,
                limits: &self.limits,
                ledger: Ledger {
                    totals: &mut self.totals,
                    share: &mut exporter.share,
                },
                counters: &mut self.counters,
                events,
            };
            if let Some(domain) = exporter.domains.get_mut(&key) {
                decode(domain, message, &mut context);
            } else if refused {
                context.counters.refused_domains += 1;
            } else if let Some(domain) = first_message(home, message, &mut context) {
                exporter.domains.insert(key, domain);
                self.totals.domains += 1;
            }
            return;
        }
        if self.exporters.len() >= self.limits.exporters {
            self.sweep(now_ms, events);
        }
        if self.exporters.len() >= self.limits.exporters {
            self.counters.refused_exporters += 1;
            return;
        }
        if self.totals.domains >= self.limits.domains_total {
            self.counters.refused_domains += 1;
            return;
        }
        let mut exporter = Exporter {
            last_ms: now_ms,
            ..Exporter::default()
        };
        let mut context = Context {
            message: message.info,
            stream: peer.stream,
            limits: &self.limits,
            ledger: Ledger {
                totals: &mut self.totals,
                share: &mut exporter.share,
            },
            counters: &mut self.counters,
            events,
        };
        if let Some(domain) = first_message(home, message, &mut context) {
            exporter.domains.insert(key, domain);
            self.totals.domains += 1;
            self.exporters.insert(peer, exporter);
        }
    }

    /// Forgets datagram exporters that were silent for long. Streams end by themselves.
    fn sweep(&mut self, now_ms: u64, events: &mut impl Events) {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        let Self {
            limits,
            counters,
            totals,
            exporters,
            ..
        } = self;
        exporters.retain(|peer, exporter| {
            let keep = peer.stream || now_ms.saturating_sub(exporter.last_ms) <= limits.idle_ms;
            if !keep {
                counters.forgotten_exporters += 1;
                exporter.close(totals, counters, events);
            }
            keep
        });
    }
}

/// Decodes the first message of a domain. A stranger gets a state only if the message gave reason to: random octets
/// leave nothing behind.
fn first_message<E: Events>(
    home: Option<Home>,
    message: Message<'_>,
    context: &mut Context<'_, E>,
) -> Option<Domain> {
    let mut domain = Domain::new(home);
    let whole = decode(&mut domain, message, context);
    if domain.worth_keeping(whole) {
        return Some(domain);
    }
    domain.close(&mut context.ledger, context.counters, context.events);
    None
}

impl Exporter {
    fn close(&mut self, totals: &mut Totals, counters: &mut Counters, events: &mut impl Events) {
        let mut ledger = Ledger {
            totals,
            share: &mut self.share,
        };
        ledger.totals.domains = ledger.totals.domains.saturating_sub(self.domains.len());
        for domain in self.domains.values_mut() {
            domain.close(&mut ledger, counters, events);
        }
    }
}

/// Decodes the message in its domain; gives whether it was whole.
fn decode<E: Events>(
    domain: &mut Domain,
    message: Message<'_>,
    context: &mut Context<'_, E>,
) -> bool {
    let whole = match message.body {
        Body::Fixed(packet) => {
            domain.fixed(packet, context);
            true
        }
        Body::Sets(sets) => domain.sets(sets, context),
    };
    let (trailing, offset) = message.trailing;
    if trailing > 0 {
        context.violation(offset, DecodeErrorKind::TrailingOctets(trailing));
    }
    whole && trailing == 0
}

fn read_header(now_ms: u64, from: SocketAddr, bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader
        .clone()
        .u16()
        .map_err(|at| short_header(at, bytes.len()))?;
    let blank = MessageInfo {
        version,
        exporter: from,
        domain: 0,
        export_ms: 0,
        uptime_ms: None,
        sequence: 0,
        sampling: 0,
        received_ms: now_ms,
    };
    match version {
        1 | 5 | 7 => fixed::packet(bytes).map(|packet| {
            let info = MessageInfo {
                domain: u32::from(packet.engine),
                export_ms: packet.export_ms,
                uptime_ms: Some(packet.uptime_ms),
                sequence: packet.sequence,
                sampling: packet.sampling,
                ..blank
            };
            Message {
                info,
                body: Body::Fixed(packet),
                trailing: (0, 0),
            }
        }),
        9 => {
            let header = v9::header(&mut reader).map_err(|at| short_header(at, bytes.len()))?;
            let info = MessageInfo {
                domain: header.source_id,
                export_ms: u64::from(header.seconds) * 1000,
                uptime_ms: Some(header.uptime_ms),
                sequence: header.sequence,
                ..blank
            };
            Ok(Message {
                info,
                body: Body::Sets(reader),
                trailing: (0, 0),
            })
        }
        10 => {
            let header = ipfix::header(&mut reader).map_err(|at| short_header(at, bytes.len()))?;
            let info = MessageInfo {
                domain: header.domain,
                export_ms: u64::from(header.seconds) * 1000,
                sequence: header.sequence,
                ..blank
            };
            let fault = DecodeErrorKind::MessageLength {
                said: header.length,
                found: bytes.len(),
            };
            let fault = DecodeError {
                offset: 2,
                kind: fault,
            };
            let body = usize::from(header.length)
                .checked_sub(ipfix::HEADER)
                .ok_or(fault)?;
            let sets = reader.sub(body).map_err(|_| fault)?;
            Ok(Message {
                info,
                body: Body::Sets(sets),
                trailing: (reader.left(), reader.offset()),
            })
        }
        version => Err(DecodeError {
            offset: 0,
            kind: DecodeErrorKind::UnknownVersion(version),
        }),
    }
}
