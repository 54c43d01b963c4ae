//! The link types beside Ethernet: what their headers name as the first layer.

use super::link::ether;
use super::shim::{looks_like_ipv4, looks_like_ipv6, stop};
use super::wireless::{avs, prism, radiotap};
use super::{Layer, Packet, Rest, be16, be32};
use crate::capture::LinkType;
use crate::meter::status;

/// Every link type that is read.
const KNOWN: &[LinkType] = &[
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::PPP,
    LinkType::PPP_HDLC,
    LinkType::PPP_ETHER,
    LinkType::PPP_PPPD,
    LinkType::PPP_WITH_DIR,
    LinkType::C_HDLC,
    LinkType::C_HDLC_WITH_DIR,
    LinkType::FRELAY,
    LinkType::FRELAY_WITH_DIR,
    LinkType::IEEE802_11,
    LinkType::IEEE802_11_PRISM,
    LinkType::IEEE802_11_AVS,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::SYMANTEC_FIREWALL,
    LinkType::JUNIPER_ATM1,
    LinkType::JUNIPER_ATM2,
    LinkType::JUNIPER_ETHER,
    LinkType::JUNIPER_PPPOE,
    LinkType::JUNIPER_PPP,
    LinkType::JUNIPER_FRELAY,
    LinkType::JUNIPER_CHDLC,
    LinkType::LAPD,
    LinkType::LINUX_LAPD,
    LinkType::ETHERNET_MPACKET,
];

/// Whether frames of this link type can be read.
pub(super) fn knows(link: LinkType) -> bool {
    KNOWN.contains(&link)
}

/// Reads the header of a link type that is not Ethernet. `Err(true)`: the frame is too short for it; `Err(false)`: the
/// link type is not known.
#[inline(never)]
pub(super) fn first_layer(
    link: LinkType,
    rest: &mut Rest<'_>,
    packet: &mut Packet,
) -> Result<Layer, bool> {
    let layer = match link {
        LinkType::IPV4 => Some(Layer::Ipv4),
        LinkType::IPV6 => Some(Layer::Ipv6),
        LinkType::RAW => Some(raw(*rest)),
        LinkType::NULL | LinkType::LOOP => loopback(rest, packet),
        LinkType::LINUX_SLL => cooked(rest, packet),
        LinkType::LINUX_SLL2 => cooked_2(rest, packet),
        LinkType::PPP | LinkType::PPP_HDLC => Some(serial(*rest)),
        LinkType::PPP_ETHER => Some(Layer::EtherType(ether::PPPOE_SESSION)),
        LinkType::PPP_PPPD => pppd(rest),
        LinkType::PPP_WITH_DIR => with_direction(rest, serial),
        LinkType::C_HDLC => Some(Layer::CiscoHdlc),
        LinkType::C_HDLC_WITH_DIR => with_direction(rest, |_| Layer::CiscoHdlc),
        LinkType::FRELAY => Some(Layer::FrameRelay),
        LinkType::FRELAY_WITH_DIR => with_direction(rest, |_| Layer::FrameRelay),
        LinkType::IEEE802_11 => Some(Layer::Wireless),
        LinkType::IEEE802_11_PRISM => prism(rest),
        LinkType::IEEE802_11_AVS => avs(rest),
        LinkType::IEEE802_11_RADIOTAP => radiotap(rest),
        LinkType::SYMANTEC_FIREWALL => symantec(rest),
        LinkType::LAPD => Some(stop(0, *rest, packet)),
        LinkType::LINUX_LAPD => cooked_lapd(rest, packet),
        LinkType::ETHERNET_MPACKET => mpacket(rest, packet),
        link if knows(link) => juniper(link, rest),
        _ => return Err(false),
    };
    layer.filter(|_| !rest.data.is_empty()).ok_or(true)
}

/// The first four bits are the version.
fn raw(rest: Rest<'_>) -> Layer {
    match rest.data.first().map(|first| first >> 4) {
        Some(6) => Layer::Ipv6,
        _ => Layer::Ipv4,
    }
}

/// A protocol family in the byte order of the machine that wrote it (NULL) or in network order (LOOP); the numbers of
/// IPv6 differ from system to system.
fn loopback(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    let family = be32(rest.data, 0)?;
    *rest = rest.skip(4);
    let family = if family > 0xffff {
        family.swap_bytes()
    } else {
        family
    };
    Some(match family {
        2 => Layer::Ipv4,
        10 | 23 | 24 | 26 | 28 | 30 => Layer::Ipv6,
        _ => stop(0, *rest, packet),
    })
}

/// Linux "cooked" capture: the sender's address and an EtherType.
fn cooked(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    let (device, length) = (be16(rest.data, 2)?, be16(rest.data, 4)?);
    sender(rest.data, 6, usize::from(length), packet);
    let protocol = be16(rest.data, 14)?;
    *rest = rest.skip(16);
    Some(cooked_payload(device, protocol, *rest, packet))
}

/// Its second version, with the interface's index.
fn cooked_2(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    let (protocol, device) = (be16(rest.data, 0)?, be16(rest.data, 8)?);
    let length = *rest.data.get(11)?;
    sender(rest.data, 12, usize::from(length), packet);
    rest.data.get(19)?;
    *rest = rest.skip(20);
    Some(cooked_payload(device, protocol, *rest, packet))
}

fn sender(data: &[u8], at: usize, length: usize, packet: &mut Packet) {
    let address = data.get(at..).and_then(|octets| octets.first_chunk::<6>());
    if let (6, Some(address)) = (length, address) {
        packet.has_macs = true;
        packet.src_mac = *address;
    }
}

/// What the protocol field of a cooked capture means depends on the device (ARPHRD number).
fn cooked_payload(device: u16, protocol: u16, rest: Rest<'_>, packet: &mut Packet) -> Layer {
    const NETLINK: u16 = 824;
    const NOVELL: u16 = 1;
    const IEEE_802_2: u16 = 4;
    match (device, protocol) {
        (NETLINK, _) | (_, NOVELL) => stop(0, rest, packet),
        (_, IEEE_802_2) => Layer::Llc,
        (_, protocol) => Layer::EtherType(protocol),
    }
}

/// PPP, or Cisco's HDLC by its address octet.
fn serial(rest: Rest<'_>) -> Layer {
    match rest.data {
        [0x0f | 0x8f, 0x00, ..] => Layer::CiscoHdlc,
        _ => Layer::Ppp,
    }
}

/// The address octet is the direction.
fn pppd(rest: &mut Rest<'_>) -> Option<Layer> {
    rest.data.get(2)?;
    *rest = rest.skip(2);
    Some(Layer::Ppp)
}

/// One octet with the direction comes first.
fn with_direction(rest: &mut Rest<'_>, layer: impl Fn(Rest<'_>) -> Layer) -> Option<Layer> {
    *rest = rest.skip(1);
    Some(layer(*rest))
}

/// Cisco's HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    match be16(rest.data, 2) {
        Some(ether_type) => {
            *rest = rest.skip(4);
            Layer::EtherType(ether_type)
        }
        None => stop(0, *rest, packet),
    }
}

/// Frame Relay: an address of two to four octets, then RFC 2427's header or Cisco's EtherType.
pub(super) fn frame_relay(rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    const UNNUMBERED: u8 = 0x03;
    const SNAP: u8 = 0x80;
    const IPV4: u8 = 0xcc;
    const IPV6: u8 = 0x8e;
    let address = rest.data.iter().take(4).position(|octet| octet & 1 != 0);
    let Some(last) = address.filter(|last| *last > 0) else {
        return stop(0, *rest, packet);
    };
    *rest = rest.skip(last + 1);
    match *rest.data {
        // A pad octet makes the header even.
        [UNNUMBERED, 0, SNAP, a, b, c, high, low, ..] => {
            snap(rest, 8, [a, b, c, high, low], packet)
        }
        [UNNUMBERED, SNAP, a, b, c, high, low, ..] => snap(rest, 7, [a, b, c, high, low], packet),
        [UNNUMBERED, IPV4, ..] => {
            *rest = rest.skip(2);
            Layer::Ipv4
        }
        [UNNUMBERED, IPV6, ..] => {
            *rest = rest.skip(2);
            Layer::Ipv6
        }
        [UNNUMBERED, ..] => stop(0, *rest, packet),
        [high, low, ..] => {
            *rest = rest.skip(2);
            Layer::EtherType(u16::from_be_bytes([high, low]))
        }
        _ => stop(0, *rest, packet),
    }
}

/// SNAP behind a network layer identifier: an EtherType, or a bridged Ethernet frame with or without checksum.
fn snap(rest: &mut Rest<'_>, octets: usize, header: [u8; 5], packet: &mut Packet) -> Layer {
    *rest = rest.skip(octets);
    match header {
        [0, 0, 0, high, low] => Layer::EtherType(u16::from_be_bytes([high, low])),
        [0x00, 0x80, 0xc2, 0x00, 0x01 | 0x07] => Layer::Ethernet,
        _ => stop(0, *rest, packet),
    }
}

/// Symantec's firewall: the EtherType stands in 44 octets that mean nothing else.
fn symantec(rest: &mut Rest<'_>) -> Option<Layer> {
    let ether_type = be16(rest.data, 6)?;
    rest.data.get(44)?;
    *rest = rest.skip(44);
    Some(Layer::EtherType(ether_type))
}

/// Signalling of telephones behind a cooked header: nothing in it is IP.
fn cooked_lapd(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    rest.data.get(16)?;
    *rest = rest.skip(16);
    Some(stop(0, *rest, packet))
}

/// An mPacket (IEEE 802.3br, clause 99.3): preamble with a delimiter, and a frame without its checksum if the
/// delimiter begins one; the rest of a frame that was interrupted cannot be read.
fn mpacket(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    const PREAMBLE: usize = 8;
    const CHECKSUM: u32 = 4;
    const SYNC: u8 = 0x55;
    const EXPRESS: u8 = 0xd5;
    const START: [u8; 4] = [0xe6, 0x4c, 0x7f, 0xb3];
    // A delimiter that goes on is followed by a count, which may look like one that begins.
    let &[.., before, delimiter] = rest.data.get(..PREAMBLE)? else {
        return None;
    };
    let behind = rest.skip(PREAMBLE);
    *rest = behind.cut(behind.wire.saturating_sub(CHECKSUM));
    let begins = before == SYNC && (delimiter == EXPRESS || START.contains(&delimiter));
    Some(if begins {
        Layer::Ethernet
    } else {
        stop(0, *rest, packet)
    })
}

/// Juniper's header: magic number, flags, extensions if there are any, and a cookie that depends on the card.
fn juniper(link: LinkType, rest: &mut Rest<'_>) -> Option<Layer> {
    const MAGIC: [u8; 3] = [0x4d, 0x47, 0x43];
    const NO_LINK_HEADER: u8 = 0x02;
    const EXTENSIONS: u8 = 0x80;
    let flags = *rest.data.strip_prefix(&MAGIC)?.first()?;
    let mut octets = 4;
    if flags & EXTENSIONS != 0 {
        octets += 2 + usize::from(be16(rest.data, 4)?);
    }
    let without = rest.skip(octets);
    if flags & NO_LINK_HEADER != 0 {
        // The family of the packet comes first.
        *rest = without.skip(4);
        return Some(raw(*rest));
    }
    let (cookie, layer) = match link {
        LinkType::JUNIPER_ETHER | LinkType::JUNIPER_PPPOE => (0, Layer::Ethernet),
        LinkType::JUNIPER_PPP => (0, Layer::Ppp),
        LinkType::JUNIPER_FRELAY => (0, Layer::FrameRelay),
        LinkType::JUNIPER_CHDLC => (0, Layer::CiscoHdlc),
        LinkType::JUNIPER_ATM2 => (8, Layer::Llc),
        _ => (4, Layer::Llc),
    };
    *rest = without.skip(cookie);
    // A virtual circuit has LLC, or IP and nothing else.
    Some(match layer {
        Layer::Llc if looks_like_ipv4(rest) => Layer::Ipv4,
        Layer::Llc if looks_like_ipv6(rest) => Layer::Ipv6,
        layer => layer,
    })
}

/// Marks what has no Ethernet header. Cooked captures have a sender's address and do not count as such.
pub(super) fn without_ethernet(link: LinkType) -> u64 {
    match link {
        LinkType::LINUX_SLL | LinkType::LINUX_SLL2 | LinkType::ETHERNET_MPACKET => 0,
        _ => status::NO_ETHERNET,
    }
}
