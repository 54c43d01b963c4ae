//! Encapsulations over UDP, told by their ports under Tranalyzer's conditions: both ports are not zero, and the one
//! that is not well known is above 1023, with the exceptions below. Teredo has no port and is told by its content.

use super::link::ether;
use super::shim::looks_like_ipv6;
use super::transport::protocol;
use super::tunnel::{Inner, l2tp_v3};
use super::{Layer, Packet, Rest, be16};
use crate::meter::status;

/// Octets of a UDP header.
const UDP: usize = 8;

/// Well-known ports (IANA, but 8472, which is Linux's first one for VXLAN, and 12222/12223, LWAPP's).
mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_CONTROL: u16 = 2123;
    pub const GTP_USER: u16 = 2152;
    pub const GTP_PRIME: u16 = 3386;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const AYIYA: u16 = 5072;
    pub const CAPWAP_CONTROL: u16 = 5246;
    pub const CAPWAP_DATA: u16 = 5247;
    pub const GENEVE: u16 = 6081;
    pub const VXLAN_LINUX: u16 = 8472;
    pub const LWAPP_DATA: u16 = 12_222;
    pub const LWAPP_CONTROL: u16 = 12_223;
}

/// Ports up to this one belong to services.
const LAST_SERVICE_PORT: u16 = 1024;

/// The tunnel in a UDP datagram; `rest` begins with its header.
#[inline]
pub(super) fn inside(rest: Rest<'_>, packet: &Packet) -> Option<Inner> {
    let (src, dst) = (packet.src_port, packet.dst_port);
    if src == 0 || dst == 0 {
        return None;
    }
    known(dst, src, rest, true)
        .or_else(|| known(src, dst, rest, false))
        .or_else(|| {
            let dynamic = src > LAST_SERVICE_PORT && dst > LAST_SERVICE_PORT;
            dynamic.then(|| teredo(rest)).flatten()
        })
}

/// The tunnel of a well-known port, if `other` fits.
#[inline]
fn known(well_known: u16, other: u16, rest: Rest<'_>, is_destination: bool) -> Option<Inner> {
    let read: fn(Rest<'_>, u16) -> Option<Inner> = match well_known {
        port::L2TP => return l2tp(rest),
        port::VXLAN | port::VXLAN_LINUX | port::VXLAN_GPE if is_destination => {
            return vxlan(rest, well_known);
        }
        port::VXLAN | port::VXLAN_LINUX | port::VXLAN_GPE => vxlan,
        port::GTP_CONTROL | port::GTP_USER | port::GTP_PRIME => gtp,
        port::AYIYA => ayiya,
        port::GENEVE => geneve,
        port::CAPWAP_CONTROL | port::CAPWAP_DATA => capwap,
        port::LWAPP_CONTROL | port::LWAPP_DATA => lwapp,
        _ => return None,
    };
    if other > LAST_SERVICE_PORT {
        read(rest, well_known)
    } else {
        None
    }
}

/// L2TP version 2 (RFC 2661, section 3.1) and 3 (RFC 3931, section 4.1.2.1).
fn l2tp(rest: Rest<'_>) -> Option<Inner> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let closed = Inner::closed(status::L2TP | status::STOPPED);
    let Some(flags) = be16(rest.data, UDP).filter(|flags| flags & CONTROL == 0) else {
        return closed;
    };
    match flags & 0xf {
        2 => {
            let mut octets = UDP + 6;
            octets += if flags & LENGTH != 0 { 2 } else { 0 };
            octets += if flags & SEQUENCE != 0 { 4 } else { 0 };
            if flags & OFFSET != 0 {
                let Some(pad) = be16(rest.data, octets) else {
                    return closed;
                };
                octets += 2 + usize::from(pad);
            }
            Inner::new(octets, Layer::Ppp, status::L2TP)
        }
        3 => l2tp_v3(rest, UDP + 4),
        _ => closed,
    }
}

/// VXLAN (RFC 7348), and with its next protocol VXLAN-GPE.
fn vxlan(rest: Rest<'_>, port: u16) -> Option<Inner> {
    const NETWORK: u8 = 0x08;
    const NEXT_PROTOCOL: u8 = 0x04;
    const OCTETS: usize = UDP + 8;
    let flags = rest.data.get(UDP).copied().unwrap_or(0);
    let layer = if port == port::VXLAN_GPE && flags & NEXT_PROTOCOL != 0 {
        match rest.data.get(UDP + 3) {
            Some(1) => Some(Layer::Ipv4),
            Some(2) => Some(Layer::Ipv6),
            Some(3) => Some(Layer::Ethernet),
            Some(5) => Some(Layer::EtherType(ether::MPLS)),
            _ => None,
        }
    } else {
        (flags & NETWORK != 0).then_some(Layer::Ethernet)
    };
    match layer {
        Some(layer) => Inner::new(OCTETS, layer, status::VXLAN),
        None => Inner::closed(status::VXLAN | status::STOPPED),
    }
}

/// GENEVE (RFC 8926, section 3.4).
fn geneve(rest: Rest<'_>, _port: u16) -> Option<Inner> {
    const TRANSPARENT_ETHERNET: u16 = 0x6558;
    let closed = Inner::closed(status::GENEVE | status::STOPPED);
    let (Some(&first), Some(kind)) = (rest.data.get(UDP), be16(rest.data, UDP + 2)) else {
        return closed;
    };
    let octets = UDP + 8 + usize::from(first & 0x3f) * 4;
    match (first >> 6, kind) {
        (0, TRANSPARENT_ETHERNET) => Inner::new(octets, Layer::Ethernet, status::GENEVE),
        (0, ether::IPV4 | ether::IPV6 | ether::MPLS) => {
            Inner::new(octets, Layer::EtherType(kind), status::GENEVE)
        }
        _ => closed,
    }
}

/// User data of GTP version 1 (3GPP TS 29.281, section 5.1) and 0 (TS 09.60).
fn gtp(rest: Rest<'_>, _port: u16) -> Option<Inner> {
    const USER_DATA: u8 = 0xff;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const EXTENSIONS: u8 = 0x04;
    const V0_OCTETS: usize = 20;
    const MAX_EXTENSIONS: usize = 8;
    let closed = Inner::closed(status::GTP | status::STOPPED);
    let &[flags, USER_DATA, ..] = rest.data.get(UDP..).unwrap_or(&[]) else {
        return closed;
    };
    let mut octets = UDP + 8;
    match flags >> 5 {
        0 => octets = UDP + V0_OCTETS,
        1 if flags & OPTIONAL_FIELDS != 0 => {
            octets += 4;
            let mut next = rest.data.get(octets - 1).copied().unwrap_or(0);
            for _ in 0..MAX_EXTENSIONS {
                if flags & EXTENSIONS == 0 || next == 0 {
                    break;
                }
                let length = usize::from(rest.data.get(octets).copied().unwrap_or(0)) * 4;
                if length == 0 {
                    return closed;
                }
                octets += length;
                next = rest.data.get(octets - 1).copied().unwrap_or(0);
            }
        }
        1 => {}
        _ => return closed,
    }
    match rest.data.get(octets).map(|first| first >> 4) {
        Some(4) => Inner::new(octets, Layer::Ipv4, status::GTP),
        Some(6) => Inner::new(octets, Layer::Ipv6, status::GTP),
        Some(0xf) => Inner::new(octets, Layer::Ppp, status::GTP),
        _ => closed,
    }
}

/// AYIYA (draft-massar-v6ops-ayiya): identity of 2^n octets, signature of words, then the next header.
fn ayiya(rest: Rest<'_>, _port: u16) -> Option<Inner> {
    const FORWARD: u8 = 1;
    let closed = Inner::closed(status::AYIYA | status::STOPPED);
    let &[identity, signature, operation, next, ..] = rest.data.get(UDP..).unwrap_or(&[]) else {
        return closed;
    };
    let octets = UDP + 8 + (1 << (identity >> 4)) + usize::from(signature >> 4) * 4;
    let layer = match next {
        protocol::IP_IN_IP => Layer::Ipv4,
        protocol::IPV6 => Layer::Ipv6,
        _ => return closed,
    };
    if operation & 0xf == FORWARD {
        Inner::new(octets, layer, status::AYIYA)
    } else {
        closed
    }
}

/// CAPWAP data (RFC 5415, section 4.3): an IEEE 802.3 or 802.11 frame. Control messages, DTLS and later fragments
/// are closed.
fn capwap(rest: Rest<'_>, port: u16) -> Option<Inner> {
    const NATIVE: u8 = 0x01;
    const FRAGMENT: u8 = 0x80;
    const IEEE_802_11: u8 = 1;
    let closed = Inner::closed(status::CAPWAP | status::STOPPED);
    let &[0, length, binding, flags, ..] = rest.data.get(UDP..).unwrap_or(&[]) else {
        return closed;
    };
    let offset = be16(rest.data, UDP + 6).unwrap_or(0) >> 3;
    if port == port::CAPWAP_CONTROL || flags & FRAGMENT != 0 && offset != 0 {
        return closed;
    }
    let octets = UDP + usize::from(length >> 3) * 4;
    match (binding & NATIVE != 0, binding >> 1 & 0x1f) {
        (false, _) => Inner::new(octets, Layer::Ethernet, status::CAPWAP),
        (true, IEEE_802_11) => Inner::new(octets, Layer::Wireless, status::CAPWAP),
        _ => closed,
    }
}

/// LWAPP data (RFC 5412, section 3): an IEEE 802.11 frame behind six octets.
fn lwapp(rest: Rest<'_>, port: u16) -> Option<Inner> {
    const CONTROL: u8 = 0x04;
    const FRAGMENT: u8 = 0x02;
    match rest.data.get(UDP) {
        Some(flags) if port == port::LWAPP_DATA && flags & (CONTROL | FRAGMENT) == 0 => {
            Inner::new(UDP + 6, Layer::Wireless, status::CAPWAP)
        }
        _ => Inner::closed(status::CAPWAP | status::STOPPED),
    }
}

/// Teredo (RFC 4380, section 5.1.1): authentication and origin indication may come before the IPv6 packet, which has
/// an address of Teredo's prefix or a link-local one.
fn teredo(rest: Rest<'_>) -> Option<Inner> {
    let mut octets = UDP;
    if let Some(&[0, 1, identifier, value, ..]) = rest.data.get(octets..) {
        octets += 13 + usize::from(identifier) + usize::from(value);
    }
    if let Some(&[0, 0, ..]) = rest.data.get(octets..) {
        octets += 8;
    }
    let inner = rest.skip(octets);
    if !looks_like_ipv6(&inner) {
        return None;
    }
    let own = |at: usize| {
        inner.data.get(at..).is_some_and(|address| {
            address.starts_with(&[0x20, 0x01, 0, 0]) || address.starts_with(&[0xfe, 0x80])
        })
    };
    if own(8) || own(24) {
        Inner::new(octets, Layer::Ipv6, status::TEREDO)
    } else {
        None
    }
}
