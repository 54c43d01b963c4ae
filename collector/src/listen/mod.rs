//! Edge to the network: bytes in, batches of messages out over bounded queues.

pub mod places;
pub mod queue;
pub mod repeat;
pub mod stream;
pub mod tls;
pub mod udp;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::state::Kept;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}{hint}")]
pub struct ListenError {
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// What was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
    /// What may help; empty or a sentence in parentheses.
    pub hint: &'static str,
}

impl ListenError {
    fn new(transport: &'static str, address: SocketAddr, source: std::io::Error) -> Self {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => " (another collector has the port: see `ss -lunpt`)",
            std::io::ErrorKind::AddrNotAvailable => {
                " (no interface of this machine has the address)"
            }
            std::io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
            _ => "",
        };
        Self {
            transport,
            address,
            source,
            hint,
        }
    }
}

/// Messages one after the other in one buffer, each with its sender.
#[derive(Default, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Sender and end of each message in `bytes`.
    items: Vec<(SocketAddr, usize)>,
    /// Milliseconds since 1970 at which they were received.
    pub received_ms: u64,
}

impl Batch {
    /// A batch with room for so many messages of so many octets together, and no more.
    #[must_use]
    pub fn with_room(messages: usize, octets: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(octets),
            items: Vec::with_capacity(messages),
            received_ms: 0,
        }
    }

    /// Octets of all messages.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.bytes.len()
    }

    /// Octets that it takes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.items.capacity() * size_of::<(SocketAddr, usize)>()
    }

    /// Appends a message.
    pub fn push(&mut self, from: SocketAddr, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.items.push((from, self.bytes.len()));
    }

    /// How many messages it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The messages with their senders, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut start = 0;
        self.items.iter().map(move |&(from, end)| {
            let message = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            (from, message)
        })
    }
}

/// What is handed to a worker.
#[derive(Debug)]
pub enum Input {
    /// Datagrams; each is one message.
    Datagrams(Batch),
    /// Complete messages of one stream.
    Messages(Batch),
    /// A stream ended; its templates and sequence state end with it.
    Closed(SocketAddr),
    /// Time has passed: it is so many milliseconds since 1970.
    Tick(u64),
    /// What may outlive the process is asked for.
    Keep(oneshot::Sender<Kept>),
    /// Nothing more will come.
    End,
}

/// The wall clock, milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// An IPv4 exporter seen through an IPv6 socket is an IPv4 exporter.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_message_borders_and_senders() {
        let (a, b) = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([127, 0, 0, 2], 2)),
        );
        let mut batch = Batch::default();
        batch.push(a, b"one");
        batch.push(b, b"");
        batch.push(a, b"three");
        let seen: Vec<_> = batch.iter().collect();
        assert_eq!(seen, [(a, &b"one"[..]), (b, &b""[..]), (a, &b"three"[..])]);
        assert_eq!((batch.len(), batch.is_empty()), (3, false));
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let mapped = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201], 99));
        assert_eq!(canonical(mapped), SocketAddr::from(([192, 0, 2, 1], 99)));
    }
}
