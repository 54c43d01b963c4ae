//! Encapsulations that an IP packet carries, by IP protocol: IP in IP, GRE with ERSPAN and PPP, EtherIP, L2TPv3,
//! PIM register messages. Each names what is inside, or nothing if it carries no user data that can be read.

use super::link::ether;
use super::shim::looks_like_ethernet;
use super::transport::protocol;
use super::{Family, Layer, Packet, Rest, be16, be32};
use crate::meter::status;

/// EtherTypes that only stand in GRE headers.
mod gre_type {
    pub const TRANSPARENT_ETHERNET: u16 = 0x6558;
    /// PPTP's version of GRE (RFC 2637).
    pub const PPP: u16 = 0x880b;
    pub const ERSPAN: u16 = 0x88be;
    pub const ERSPAN_III: u16 = 0x22eb;
    pub const WCCP: u16 = 0x883e;
}

/// What is in a tunnel: how much to skip, what follows, and the bits it sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner {
    pub skip: usize,
    /// `None`: nothing that can be read; the outer packet counts.
    pub layer: Option<Layer>,
    pub status: u64,
}

impl Inner {
    pub(super) fn new(skip: usize, layer: Layer, status: u64) -> Option<Inner> {
        let layer = Some(layer);
        Some(Inner {
            skip,
            layer,
            status,
        })
    }

    /// The outer packet counts, marked.
    pub(super) fn closed(status: u64) -> Option<Inner> {
        Some(Inner {
            skip: 0,
            layer: None,
            status,
        })
    }
}

/// The tunnel that `packet`, read up to its transport header, carries; `rest` begins with that header.
pub(super) fn inside(rest: Rest<'_>, packet: &Packet) -> Option<Inner> {
    match packet.protocol {
        protocol::UDP => super::udp_tunnel::inside(rest, packet),
        protocol::IP_IN_IP => {
            // Tranalyzer marks all mixes but IPv4 in IPv6.
            let status = match packet.family {
                Family::V6 => 0,
                _ => status::IP_IN_IP,
            };
            Inner::new(0, Layer::Ipv4, status)
        }
        protocol::IPV6 => Inner::new(0, Layer::Ipv6, status::IP_IN_IP),
        protocol::GRE => gre(rest),
        protocol::ETHER_IP => match rest.data {
            [version, ..] if version >> 4 == 3 => Inner::new(2, Layer::Ethernet, status::ETHER_IP),
            _ => Inner::closed(status::ETHER_IP | status::STOPPED),
        },
        protocol::PIM => pim(rest),
        protocol::L2TP => l2tp_v3(rest, 0),
        _ => None,
    }
}

/// Generic routing encapsulation: version 0 (RFC 2784, RFC 2890, routing of RFC 1701) and 1 (RFC 2637).
fn gre(rest: Rest<'_>) -> Option<Inner> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    let closed = Inner::closed(status::GRE | status::STOPPED);
    let (Some(flags), Some(kind)) = (be16(rest.data, 0), be16(rest.data, 2)) else {
        return closed;
    };
    let words = |masks: &[u16]| masks.iter().filter(|mask| flags & **mask != 0).count() * 4;
    match flags & 7 {
        0 => {
            let mut octets = 4 + words(&[CHECKSUM | ROUTING, KEY, SEQUENCE]);
            if flags & ROUTING != 0 {
                let Some(routing) = source_routes(rest.skip(octets)) else {
                    return closed;
                };
                octets += routing;
            }
            match gre_payload(kind, flags & SEQUENCE != 0, rest.skip(octets)) {
                Some((extra, layer, bits)) => Inner::new(octets + extra, layer, status::GRE | bits),
                None => closed,
            }
        }
        // Without a sequence number it only acknowledges.
        1 if kind == gre_type::PPP && flags & SEQUENCE != 0 => {
            let octets = 8 + words(&[SEQUENCE, ACKNOWLEDGMENT]);
            Inner::new(octets, Layer::Ppp, status::GRE)
        }
        _ => closed,
    }
}

/// What follows a GRE header of version 0: octets before it, the layer, bits.
fn gre_payload(kind: u16, sequence: bool, rest: Rest<'_>) -> Option<(usize, Layer, u64)> {
    let first = rest.data.first().copied();
    Some(match kind {
        gre_type::TRANSPARENT_ETHERNET => (0, Layer::Ethernet, 0),
        gre_type::PPP => (0, Layer::Ppp, 0),
        // Type I has no header of its own and no sequence number.
        gre_type::ERSPAN if !sequence => (0, Layer::Ethernet, status::ERSPAN),
        gre_type::ERSPAN => (8, Layer::Ethernet, status::ERSPAN),
        gre_type::ERSPAN_III => {
            let (extra, layer) = erspan_iii(rest)?;
            (extra, layer, status::ERSPAN)
        }
        // The redirect header of WCCP version 2 cannot be mistaken for IPv4.
        gre_type::WCCP if first.is_some_and(|first| first >> 4 == 4) => {
            (0, Layer::Ipv4, status::WCCP)
        }
        gre_type::WCCP => (4, Layer::Ipv4, status::WCCP),
        ether::IPV4
        | ether::IPV6
        | ether::MPLS
        | ether::MPLS_MULTICAST
        | ether::VLAN
        | ether::PROVIDER_BRIDGE
        | ether::PPPOE_SESSION => (0, Layer::EtherType(kind), 0),
        _ => return None,
    })
}

/// The length of the source route entries of RFC 1701: the last one is empty.
fn source_routes(mut rest: Rest<'_>) -> Option<usize> {
    const MOST: usize = 16;
    let mut octets = 0;
    for _ in 0..MOST {
        let length = usize::from(*rest.data.get(3)?);
        octets += 4 + length;
        rest = rest.skip(4 + length);
        if length == 0 {
            return Some(octets);
        }
    }
    None
}

/// The header of ERSPAN type III: 12 octets, and 8 more if the last bit says so; its frame type may be IP.
fn erspan_iii(rest: Rest<'_>) -> Option<(usize, Layer)> {
    const SUBHEADER: u16 = 1;
    const FRAME_TYPE: u16 = 0x7c00;
    let flags = be16(rest.data, 10)?;
    let octets = if flags & SUBHEADER != 0 { 20 } else { 12 };
    if flags & FRAME_TYPE == 0 {
        return Some((octets, Layer::Ethernet));
    }
    let version = *rest.data.get(octets)? >> 4;
    Some((
        octets,
        if version == 6 {
            Layer::Ipv6
        } else {
            Layer::Ipv4
        },
    ))
}

/// A register message with the packet for the rendezvous point (RFC 7761, section 4.9.3), if it is no null register.
fn pim(rest: Rest<'_>) -> Option<Inner> {
    const VERSION_AND_TYPE: u8 = 0x21;
    const NULL_REGISTER: u32 = 0x4000_0000;
    let (Some(&VERSION_AND_TYPE), Some(flags)) = (rest.data.first(), be32(rest.data, 4)) else {
        return None;
    };
    if flags & NULL_REGISTER != 0 {
        return None;
    }
    match rest.data.get(8)? >> 4 {
        4 => Inner::new(8, Layer::Ipv4, 0),
        6 => Inner::new(8, Layer::Ipv6, 0),
        _ => None,
    }
}

/// L2TP version 3 (RFC 3931) from its session identifier on; `at` octets come before it. The lengths of cookie and
/// sublayer were agreed on elsewhere: the first that give a plausible Ethernet or PPP frame are taken.
pub(super) fn l2tp_v3(rest: Rest<'_>, at: usize) -> Option<Inner> {
    let session = be32(rest.data, at);
    if session.is_some_and(|session| session != 0) {
        for octets in [0, 4, 8, 12] {
            let skip = at + 4 + octets;
            let inner = rest.skip(skip);
            if inner.data.starts_with(&[0xff, 0x03, 0x00]) {
                return Inner::new(skip, Layer::Ppp, status::L2TP);
            }
            if looks_like_ethernet(inner) {
                return Inner::new(skip, Layer::Ethernet, status::L2TP);
            }
        }
    }
    Inner::closed(status::L2TP | status::STOPPED)
}
