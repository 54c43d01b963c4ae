//! Frames in, flat packets out.
//!
//! One loop over layers: each layer reads its own header from what is left of the frame and names the next
//! one. A layer is visited at most [`MAX_LAYERS`] times in all, so that no frame keeps us busy. Lengths come
//! from the headers, not from what was captured, so that a capture with a snap length counts fully.
//! Nothing is allocated; no octets make it panic.

mod link;
mod network;
mod packet;
mod transport;

pub use packet::{Family, Fragment, MAX_VLANS, Packet, TcpFields, Vlans};
pub(crate) use transport::protocol;

use crate::capture::{Frame, LinkType};
use crate::meter::status;

/// The most layers of one frame.
const MAX_LAYERS: usize = 64;

/// Frames up to this length are looked at for padding (60 octets is the shortest Ethernet frame without
/// its checksum).
const MAX_PADDED_FRAME: u32 = 64;

/// Frames and packets that could not be read to the end, by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DissectCounters {
    /// Frames handed in.
    pub frames: u64,
    /// Frames without a flow: shorter than their link header.
    pub short_frames: u64,
    /// Frames without a flow: the link type is not known.
    pub unknown_link: u64,
    /// IP headers that are not complete; the frame counts in a link flow.
    pub short_ip_headers: u64,
    /// IP headers of a wrong version or length; the frame counts in a link flow.
    pub bad_ip_headers: u64,
    /// Transport headers that are not complete.
    pub short_transport_headers: u64,
    /// More than [`MAX_LAYERS`] layers or five IPv6 extension headers.
    pub too_deep: u64,
}

/// Takes frames apart.
#[derive(Clone, Debug, Default)]
pub struct Dissector {
    counters: DissectCounters,
}

/// The next layer to read.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Ethernet,
    EtherType(u16),
    Llc,
    Ipv4,
    Ipv6,
    /// IPv6 extension headers or the transport header.
    Protocol(u8),
    Done,
}

/// What is left of a frame.
#[derive(Clone, Copy, Debug)]
struct Rest<'a> {
    /// The captured octets.
    data: &'a [u8],
    /// Octets on the wire; at least as many as are captured.
    wire: u32,
}

impl<'a> Rest<'a> {
    /// Without its first `n` octets.
    fn skip(self, n: usize) -> Rest<'a> {
        Rest {
            data: self.data.get(n..).unwrap_or(&[]),
            wire: self.wire.saturating_sub(n as u32),
        }
    }

    /// Cut to `n` octets on the wire, as a header says.
    fn cut(self, n: u32) -> Rest<'a> {
        Rest {
            data: self.data.get(..n as usize).unwrap_or(self.data),
            wire: self.wire.min(n),
        }
    }
}

impl Dissector {
    /// A dissector with all counters at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What could not be read so far.
    #[must_use]
    pub fn counters(&self) -> &DissectCounters {
        &self.counters
    }

    /// Whether frames of this link type can be read.
    #[must_use]
    pub fn knows(link: LinkType) -> bool {
        matches!(
            link,
            LinkType::ETHERNET | LinkType::RAW | LinkType::IPV4 | LinkType::IPV6
        )
    }

    /// Reads one frame into `packet`; `false` if it belongs to no flow (counted by cause).
    pub fn dissect(&mut self, frame: &Frame<'_>, packet: &mut Packet) -> bool {
        self.counters.frames += 1;
        let frame_octets = frame
            .original_len
            .max(u32::try_from(frame.captured.len()).unwrap_or(u32::MAX));
        *packet = Packet {
            ts_ns: frame.ts_ns,
            frame_octets,
            ..Packet::default()
        };
        let mut rest = Rest {
            data: frame.captured,
            wire: frame_octets,
        };
        let Some(mut layer) = first_layer(frame, packet) else {
            self.counters.unknown_link += 1;
            return false;
        };
        for _ in 0..MAX_LAYERS {
            layer = match layer {
                Layer::Ethernet => match link::ethernet(&mut rest, packet) {
                    Some(next) => next,
                    None => {
                        self.counters.short_frames += 1;
                        return false;
                    }
                },
                Layer::EtherType(ether_type) => link::ether_type(ether_type, &mut rest, packet),
                Layer::Llc => link::llc(&mut rest, packet),
                Layer::Ipv4 => network::ipv4(&mut rest, packet, &mut self.counters),
                Layer::Ipv6 => network::ipv6(&mut rest, packet, &mut self.counters),
                Layer::Protocol(protocol) => {
                    transport::transport(protocol, rest, packet, &mut self.counters);
                    Layer::Done
                }
                Layer::Done => return true,
            };
        }
        self.counters.too_deep += 1;
        packet.status |= status::STOPPED;
        link::link_flow(rest, packet, 0);
        true
    }
}

/// What a frame starts with; `None` if its link type is not known.
fn first_layer(frame: &Frame<'_>, packet: &mut Packet) -> Option<Layer> {
    if frame.link == LinkType::ETHERNET {
        return Some(Layer::Ethernet);
    }
    packet.status |= status::NO_ETHERNET;
    match frame.link {
        LinkType::IPV4 => Some(Layer::Ipv4),
        LinkType::IPV6 => Some(Layer::Ipv6),
        // The first four bits are the version.
        LinkType::RAW if frame.captured.first().is_some_and(|first| first >> 4 == 6) => {
            Some(Layer::Ipv6)
        }
        LinkType::RAW => Some(Layer::Ipv4),
        _ => None,
    }
}

/// Big-endian 16 bits at `at`.
fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}

/// Big-endian 32 bits at `at`.
fn be32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
