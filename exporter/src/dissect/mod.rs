//! Frames in, flat packets out.
//!
//! One loop over layers: each layer reads its own header from what is left of the frame and names the next
//! one. A layer is visited at most [`MAX_LAYERS`] times in all, so that no frame keeps us busy. Lengths come
//! from the headers, not from what was captured, so that a capture with a snap length counts fully.
//! Nothing is allocated; no octets make it panic.

mod detail;
mod link;
mod link_types;
mod network;
mod packet;
mod shim;
mod transport;
mod tunnel;
mod udp_tunnel;
mod wireless;

pub use detail::{Detail, HeaderDescription, IpDetail, MAX_OPTION_ORDER, MpTcp, TcpOptions};
pub use packet::{Family, Fragment, Labels, MAX_LABELS, MAX_VLANS, Packet, TcpFields, Vlans};
pub(crate) use transport::protocol;

use crate::capture::{Frame, LinkType};
use crate::meter::status;
use detail::{Gatherer, Watcher};

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

/// Which packet of a tunnel counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tunnel {
    /// The innermost one, as in Tranalyzer; the packets around it do not count.
    #[default]
    Inner,
    /// The outermost IP packet.
    Outer,
}

/// Takes frames apart.
#[derive(Clone, Debug, Default)]
pub struct Dissector {
    tunnel: Tunnel,
    counters: DissectCounters,
}

/// The next layer to read.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Ethernet,
    EtherType(u16),
    Llc,
    /// Of this EtherType: unicast or multicast.
    Mpls(u16),
    Pppoe,
    Ppp,
    CiscoHdlc,
    FrameRelay,
    /// IEEE 802.11.
    Wireless,
    /// IEEE 802.11 with its header padded to words.
    PaddedWireless,
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
    pub fn new(tunnel: Tunnel) -> Self {
        Dissector {
            tunnel,
            ..Self::default()
        }
    }

    /// What could not be read so far.
    #[must_use]
    pub fn counters(&self) -> &DissectCounters {
        &self.counters
    }

    /// Whether frames of this link type can be read.
    #[must_use]
    pub fn knows(link: LinkType) -> bool {
        link_types::knows(link)
    }

    /// Reads one frame into `packet`; `false` if it belongs to no flow (counted by cause).
    pub fn dissect(&mut self, frame: &Frame<'_>, packet: &mut Packet) -> bool {
        self.walk(frame, packet, &mut ())
    }

    /// As [`dissect`](Self::dissect), with what only the text sinks need in `detail`.
    pub fn dissect_in_detail(
        &mut self,
        frame: &Frame<'_>,
        packet: &mut Packet,
        detail: &mut Detail,
    ) -> bool {
        let mut gatherer = Gatherer::default();
        let belongs = self.walk(frame, packet, &mut gatherer);
        *detail = gatherer.detail;
        belongs
    }

    #[inline]
    fn walk(&mut self, frame: &Frame<'_>, packet: &mut Packet, watcher: &mut impl Watcher) -> bool {
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
        watcher.link(frame.link);
        if frame.link == LinkType::ETHERNET {
            watcher.layer(Layer::Ethernet, rest, packet);
        }
        match self.first_layer(frame.link, &mut rest, packet) {
            Some(layer) => {
                self.layers(layer, rest, packet, watcher);
                true
            }
            None => false,
        }
    }

    /// Reads the link header.
    #[inline]
    fn first_layer(
        &mut self,
        link: LinkType,
        rest: &mut Rest<'_>,
        packet: &mut Packet,
    ) -> Option<Layer> {
        if link == LinkType::ETHERNET {
            let layer = link::ethernet(rest, packet);
            self.counters.short_frames += u64::from(layer.is_none());
            return layer;
        }
        packet.status |= link_types::without_ethernet(link);
        let mut copy = *rest;
        let first = link_types::first_layer(link, &mut copy, packet);
        *rest = copy;
        match first {
            Ok(layer) => Some(layer),
            Err(short) => {
                self.counters.short_frames += u64::from(short);
                self.counters.unknown_link += u64::from(!short);
                None
            }
        }
    }

    /// Follows the layers from `layer` on.
    #[inline]
    fn layers(
        &mut self,
        mut layer: Layer,
        mut rest: Rest<'_>,
        packet: &mut Packet,
        watcher: &mut impl Watcher,
    ) {
        // The packet around the innermost one so far: it counts if nothing in it can be read.
        let mut outer: Option<Packet> = None;
        for _ in 0..MAX_LAYERS {
            watcher.layer(layer, rest, packet);
            layer = match layer {
                Layer::Ethernet => match link::ethernet(&mut rest, packet) {
                    Some(next) => next,
                    None => shim::stop(0, rest, packet),
                },
                Layer::EtherType(ether_type) => link::ether_type(ether_type, &mut rest, packet),
                Layer::Ipv4 => network::ipv4(&mut rest, packet, &mut self.counters),
                Layer::Ipv6 => network::ipv6(&mut rest, packet, &mut self.counters),
                Layer::Protocol(protocol) => {
                    transport::transport(protocol, rest, packet, &mut self.counters);
                    match packet.protocol {
                        protocol::TCP | protocol::ICMP | protocol::ICMPV6 => Layer::Done,
                        _ => {
                            let next = self.enter(rest, packet, &mut outer, watcher);
                            rest = next.1;
                            next.0
                        }
                    }
                }
                Layer::Done => {
                    if packet.family == Family::Link
                        && let Some(outer) = outer
                    {
                        *packet = outer;
                        packet.status |= status::STOPPED;
                        watcher.back();
                    }
                    return;
                }
                layer => {
                    // A copy, so that the rest of all other frames may stay in registers.
                    let mut copy = rest;
                    let next = self.rare_layer(layer, &mut copy, packet);
                    rest = copy;
                    next
                }
            };
        }
        self.counters.too_deep += 1;
        match outer {
            Some(outer) => {
                *packet = outer;
                watcher.back();
            }
            None => link::link_flow(rest, packet, 0),
        }
        packet.status |= status::STOPPED;
    }

    /// The layers that most captures do not have, apart from those that they do.
    #[inline(never)]
    fn rare_layer(&mut self, layer: Layer, rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
        match layer {
            Layer::Llc => link::llc(rest, packet),
            Layer::Mpls(ether_type) => shim::mpls(ether_type, rest, packet, &mut self.counters),
            Layer::Pppoe => shim::pppoe(rest, packet),
            Layer::Ppp => shim::ppp(rest, packet),
            Layer::CiscoHdlc => link_types::cisco_hdlc(rest, packet),
            Layer::FrameRelay => link_types::frame_relay(rest, packet),
            Layer::Wireless => wireless::ieee80211(rest, packet, false),
            Layer::PaddedWireless => wireless::ieee80211(rest, packet, true),
            layer => layer,
        }
    }

    /// Goes on with what is inside of a tunnel.
    #[inline(never)]
    fn enter<'a>(
        &self,
        rest: Rest<'a>,
        packet: &mut Packet,
        outer: &mut Option<Packet>,
        watcher: &mut impl Watcher,
    ) -> (Layer, Rest<'a>) {
        if packet.is_later_fragment() || self.tunnel == Tunnel::Outer {
            return (Layer::Done, rest);
        }
        let Some(inner) = tunnel::inside(rest, packet) else {
            return (Layer::Done, rest);
        };
        packet.status |= inner.status;
        watcher.tunnel(packet, inner.status, inner.layer.is_some());
        let Some(layer) = inner.layer else {
            return (Layer::Done, rest);
        };
        *outer = Some(*packet);
        packet.fragment = Fragment::Whole;
        packet.ip_id = 0;
        packet.tcp = TcpFields::default();
        packet.icmp_type_code = 0;
        packet.src_port = 0;
        packet.dst_port = 0;
        (layer, rest.skip(inner.skip))
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
