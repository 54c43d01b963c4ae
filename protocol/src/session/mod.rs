//! Decoding with state: templates, sequence numbers and waiting data per
//! exporter and observation domain. Messages in, [`Events`] out.

mod events;

use std::net::SocketAddr;

use crate::limits::Limits;

pub use events::{Counters, DiscardCause, Events, LossUnit, MessageInfo};

/// See the module.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    counters: Counters,
}

impl Session {
    /// A session that knows nobody.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            counters: Counters::default(),
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
        let _ = (now_ms, from, bytes, events, self.limits);
    }

    /// Decodes one message of a stream (TCP, TLS), cut by a [`Framer`](crate::framing::Framer).
    pub fn message(
        &mut self,
        now_ms: u64,
        from: SocketAddr,
        bytes: &[u8],
        events: &mut impl Events,
    ) {
        let _ = (now_ms, from, bytes, events);
    }

    /// The stream of this peer has ended: its state is forgotten, waiting data is discarded.
    pub fn close(&mut self, from: SocketAddr, events: &mut impl Events) {
        let _ = (from, events);
    }

    /// Discards data that has waited too long for its template. To be called about once a second.
    pub fn tick(&mut self, now_ms: u64, events: &mut impl Events) {
        let _ = (now_ms, events);
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
