//! From frames to messages: finds NetFlow and IPFIX in the UDP datagrams and TCP streams of a capture. Judges
//! nothing, and keeps a bounded amount whatever the capture holds.

mod checksum;
mod cut;
mod flow_ports;
mod fragments;
mod message_file;
mod network;
mod streams;

use std::net::SocketAddr;

use exporter::capture::Frame;
use protocol::reader::Reader;

pub use checksum::Checksum;
pub use cut::{Cut, Pause};
use flow_ports::FlowPorts;
use fragments::Fragments;
pub use message_file::MessageFile;
use network::{IpPacket, ip_packet};
use streams::Streams;

const UDP: u8 = 17;
const TCP: u8 = 6;

/// How a message travelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// One message of a stream.
    Tcp,
    /// One message of a TLS stream over TCP (RFC 7011 section 11).
    Tls,
    /// One message of a file (RFC 5655): nothing was sent over a network, and what binds datagrams or connections
    /// does not bind it.
    File,
}

impl Transport {
    /// A connection, whose session ends with it.
    pub fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }
}

/// One message as it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// When it was captured or received, milliseconds since 1970.
    pub at_ms: u64,
    /// The exporter.
    pub from: SocketAddr,
    /// The collector.
    pub to: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// The message.
    pub bytes: &'a [u8],
    /// IP fragments that its datagram came in; 1 if it was whole, 0 where that is not known.
    pub fragments: u32,
    /// What the checksum of its datagram is worth.
    pub checksum: Checksum,
}

/// Who takes the messages.
pub trait Receiver {
    /// A message.
    fn message(&mut self, message: &Message<'_>);

    /// The stream between these two has ended.
    fn closed(&mut self, from: SocketAddr, to: SocketAddr);
}

/// What was found, and what could not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TapCounters {
    /// Frames looked at.
    pub frames: u64,
    /// UDP datagrams, whole or reassembled.
    pub datagrams: u64,
    /// TCP segments with data.
    pub segments: u64,
    /// Messages handed on.
    pub messages: u64,
    /// Datagrams and segments of flow messages that the capture cut off (snap length).
    pub cut: u64,
    /// Fragmented datagrams that stayed incomplete.
    pub incomplete: u64,
    /// Octets of streams that are missing in the capture.
    pub missing_octets: u64,
    /// Streams that could not be cut into messages to their end.
    pub unframed: u64,
    /// Streams that were reset, or are not in the capture to their end, inside a message.
    pub broken_off: u64,
    /// Messages to more collectors than are followed when ports are guessed.
    pub passed_over: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Tap {
    ports: FlowPorts,
    fragments: Fragments,
    streams: Streams,
    counters: TapCounters,
}

impl Tap {
    /// A tap that takes what goes to these ports; if there are none, what looks like flow messages, and all that
    /// goes to the same address and port afterwards.
    pub fn new(ports: Vec<u16>) -> Self {
        Self {
            ports: FlowPorts::new(ports),
            fragments: Fragments::default(),
            streams: Streams::default(),
            counters: TapCounters::default(),
        }
    }

    /// What was found so far.
    pub fn counters(&self) -> &TapCounters {
        &self.counters
    }

    /// Looks at one frame.
    pub fn frame(&mut self, frame: &Frame<'_>, receiver: &mut impl Receiver) {
        self.counters.frames += 1;
        let at_ms = u64::try_from(frame.ts_ns / 1_000_000).unwrap_or(0);
        let Some(packet) = ip_packet(frame.link, frame.captured) else {
            return;
        };
        let Some(fragment) = packet.fragment else {
            self.packet(at_ms, &packet, 1, receiver);
            return;
        };
        if packet.protocol != UDP {
            return;
        }
        let whole = self
            .fragments
            .add(at_ms, &packet, fragment, &mut self.counters.incomplete);
        if let Some((payload, fragments)) = whole {
            let packet = IpPacket {
                payload: &payload,
                missing: 0,
                ..packet
            };
            self.packet(at_ms, &packet, fragments, receiver);
        }
    }

    /// The capture has ended: the last messages of streams.
    pub fn finish(&mut self, receiver: &mut impl Receiver) {
        self.streams.finish(&mut self.counters, receiver);
        self.counters.incomplete += self.fragments.waiting();
        self.counters.passed_over = self.ports.passed_over();
    }

    fn packet(
        &mut self,
        at_ms: u64,
        packet: &IpPacket<'_>,
        fragments: u32,
        receiver: &mut impl Receiver,
    ) {
        match packet.protocol {
            UDP => {
                let _ = self.datagram(at_ms, packet, fragments, receiver);
            }
            TCP => {
                self.streams
                    .segment(at_ms, packet, &mut self.ports, &mut self.counters, receiver);
            }
            _ => {}
        }
    }

    /// `None` for what is no datagram with flow messages.
    fn datagram(
        &mut self,
        at_ms: u64,
        packet: &IpPacket<'_>,
        fragments: u32,
        receiver: &mut impl Receiver,
    ) -> Option<()> {
        let mut reader = Reader::new(packet.payload);
        let from = SocketAddr::new(packet.source, reader.u16().ok()?);
        let to = SocketAddr::new(packet.target, reader.u16().ok()?);
        let length = usize::from(reader.u16().ok()?).checked_sub(8)?;
        let sum = reader.u16().ok()?;
        self.counters.datagrams += 1;
        let payload = reader.rest();
        let Some(bytes) = payload.get(..length) else {
            self.counters.cut += u64::from(self.ports.takes(to, payload));
            return None;
        };
        if !self.ports.takes(to, bytes) {
            return None;
        }
        self.counters.messages += 1;
        receiver.message(&Message {
            at_ms,
            from,
            to,
            transport: Transport::Udp,
            bytes,
            fragments,
            checksum: checksum::udp(packet, sum, length + 8),
        });
        Some(())
    }
}

#[cfg(test)]
mod tests;
