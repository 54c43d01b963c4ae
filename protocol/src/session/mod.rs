//! Decoding with state: templates, sequence numbers and waiting data per
//! exporter and observation domain. Messages in, [`Events`] out.
//!
//! The key of all state is the transport session (kind of transport, address and port of the sender), the
//! version and the observation domain (RFC 7011 section 3.1, RFC 3954 section 5.1).

mod context;
mod domain;
mod events;
mod pending;
mod sequence;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::error::{DecodeError, DecodeErrorKind, short_header};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::{ipfix, v5, v9};
use context::{Context, Totals};
use domain::Domain;

pub use events::{Counters, DiscardCause, Events, LossUnit, MessageInfo};

/// A full table of exporters is searched for idle ones at most this often, so that a flood of new senders costs
/// little.
const SWEEP_MS: u64 = 1000;

/// See the module.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    counters: Counters,
    totals: Totals,
    exporters: HashMap<Peer, Exporter, RandomState>,
    swept_ms: u64,
}

/// A transport session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Peer {
    address: SocketAddr,
    stream: bool,
}

#[derive(Debug, Default)]
struct Exporter {
    last_ms: u64,
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
    V5(v5::Packet<'a>),
    Sets(Reader<'a>),
}

impl Session {
    /// A session that knows nobody.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
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
        self.receive(
            now_ms,
            Peer {
                address: from,
                stream: false,
            },
            bytes,
            events,
        );
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
        for domain in self
            .exporters
            .values_mut()
            .flat_map(|exporter| exporter.domains.values_mut())
        {
            domain.expire(
                now_ms,
                &self.limits,
                &mut self.totals,
                &mut self.counters,
                events,
            );
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

    fn receive(&mut self, now_ms: u64, peer: Peer, bytes: &[u8], events: &mut impl Events) {
        self.counters.octets += bytes.len() as u64;
        let message = match read_header(now_ms, peer.address, bytes) {
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
                events.violation(peer.address, now_ms, &error);
                return;
            }
        };
        self.counters.messages += 1;
        let key = (message.info.version, message.info.domain);
        let mut context = Context {
            message: message.info,
            stream: peer.stream,
            limits: &self.limits,
            totals: &mut self.totals,
            counters: &mut self.counters,
            events,
        };
        let exporter = self.exporters.get_mut(&peer);
        if let Some(exporter) = exporter {
            exporter.last_ms = now_ms;
            if let Some(domain) = exporter.domains.get_mut(&key) {
                decode(domain, message, &mut context);
                return;
            }
            if exporter.domains.len() >= self.limits.domains {
                self.counters.refused_domains += 1;
                return;
            }
        } else if self.exporters.len() >= self.limits.exporters {
            sweep(
                now_ms,
                &mut self.swept_ms,
                &mut self.exporters,
                &mut context,
            );
            if self.exporters.len() >= self.limits.exporters {
                self.counters.refused_exporters += 1;
                return;
            }
        }
        // A stranger gets a state only if the message gave reason to: random octets leave nothing behind.
        let mut domain = Domain::default();
        let whole = decode(&mut domain, message, &mut context);
        if domain.worth_keeping(whole) {
            let exporter = self.exporters.entry(peer).or_default();
            exporter.last_ms = now_ms;
            exporter.domains.insert(key, domain);
        } else {
            domain.close(context.totals, context.counters, context.events);
        }
    }
}

impl Exporter {
    fn close(&mut self, totals: &mut Totals, counters: &mut Counters, events: &mut impl Events) {
        for domain in self.domains.values_mut() {
            domain.close(totals, counters, events);
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
        Body::V5(packet) => {
            domain.v5(packet, context);
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

/// Forgets datagram exporters that were silent for long. Streams end by themselves.
fn sweep<E: Events>(
    now_ms: u64,
    swept_ms: &mut u64,
    exporters: &mut HashMap<Peer, Exporter, RandomState>,
    context: &mut Context<'_, E>,
) {
    if now_ms.saturating_sub(*swept_ms) < SWEEP_MS {
        return;
    }
    *swept_ms = now_ms;
    exporters.retain(|peer, exporter| {
        let keep = peer.stream || now_ms.saturating_sub(exporter.last_ms) <= context.limits.idle_ms;
        if !keep {
            context.counters.forgotten_exporters += 1;
            exporter.close(context.totals, context.counters, context.events);
        }
        keep
    });
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
        5 => v5::packet(bytes).map(|packet| {
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
                body: Body::V5(packet),
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
