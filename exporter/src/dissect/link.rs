//! Ethernet, VLAN tags, LLC and SNAP, and the frames that hold no IP.

use etherparse::{Ethernet2Header, Ethernet2HeaderSlice, SingleVlanHeader, SingleVlanHeaderSlice};

use super::{Family, Layer, MAX_PADDED_FRAME, Packet, Rest};
use crate::meter::status;

/// EtherTypes (IEEE 802 numbers).
pub(super) mod ether {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_DISCOVERY: u16 = 0x8863;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const PROVIDER_BRIDGE: u16 = 0x88a8;
    pub const LLDP: u16 = 0x88cc;
    /// QinQ before IEEE 802.1ad.
    pub const VLAN_9100: u16 = 0x9100;
    pub const VLAN_9200: u16 = 0x9200;
    pub const VLAN_9300: u16 = 0x9300;
}

/// Values up to this one are the length of an IEEE 802.3 frame.
const MAX_802_3_LENGTH: u16 = 1500;

/// ARP for IPv4 over Ethernet (RFC 826).
const ARP_OCTETS: u32 = 28;

#[inline]
pub(super) fn ethernet(rest: &mut Rest<'_>, packet: &mut Packet) -> Option<Layer> {
    let header = Ethernet2HeaderSlice::from_slice(rest.data).ok()?;
    packet.has_macs = true;
    packet.src_mac = header.source();
    packet.dst_mac = header.destination();
    *rest = rest.skip(Ethernet2Header::LEN);
    Some(Layer::EtherType(header.ether_type().0))
}

#[inline]
pub(super) fn ether_type(value: u16, rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    match value {
        ether::IPV4 => Layer::Ipv4,
        ether::IPV6 => Layer::Ipv6,
        ether::VLAN
        | ether::PROVIDER_BRIDGE
        | ether::VLAN_9100
        | ether::VLAN_9200
        | ether::VLAN_9300 => vlan(value, rest, packet),
        ether::MPLS | ether::MPLS_MULTICAST => Layer::Mpls(value),
        ether::PPPOE_SESSION => Layer::Pppoe,
        0..=MAX_802_3_LENGTH => {
            packet.ether_type = value;
            Layer::Llc
        }
        _ => other(value, *rest, packet),
    }
}

fn vlan(value: u16, rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    let Ok(tag) = SingleVlanHeaderSlice::from_slice(rest.data) else {
        packet.status |= status::STOPPED;
        return other(value, *rest, packet);
    };
    let [high, low, ..] = *tag.slice() else {
        return other(value, *rest, packet);
    };
    let tci = u16::from_be_bytes([high, low]);
    packet.vlans.push(tci);
    packet.status |= status::VLAN;
    if tci & 0x0fff == 0 {
        packet.status |= status::VLAN_ZERO;
    }
    let next = tag.ether_type().0;
    *rest = rest.skip(SingleVlanHeader::LEN);
    Layer::EtherType(next)
}

/// IEEE 802.2. Only SNAP (DSAP and SSAP 0xaa) has an EtherType inside; other frames are keyed by their
/// service access points.
pub(super) fn llc(rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    match *rest.data {
        [0xaa, 0xaa, 0x03, _, _, _, high, low, ..] => {
            *rest = rest.skip(8);
            let inner = u16::from_be_bytes([high, low]);
            // A length here would be another 802.3 header without MACs: nothing that exists.
            if inner <= MAX_802_3_LENGTH {
                return other(inner, *rest, packet);
            }
            Layer::EtherType(inner)
        }
        [dsap, ssap, ..] => other(u16::from_be_bytes([dsap, ssap]), *rest, packet),
        _ => {
            packet.status |= status::STOPPED;
            other(packet.ether_type, *rest, packet)
        }
    }
}

/// A frame without IP.
#[inline(never)]
pub(super) fn other(value: u16, rest: Rest<'_>, packet: &mut Packet) -> Layer {
    packet.ether_type = value;
    let known = match value {
        ether::ARP => {
            packet.status |= status::ARP;
            ARP_OCTETS
        }
        ether::RARP => {
            packet.status |= status::RARP;
            ARP_OCTETS
        }
        ether::LLDP => {
            packet.status |= status::LLDP;
            rest.wire
        }
        ether::PPPOE_DISCOVERY => {
            packet.status |= status::PPPOE_DISCOVERY;
            0
        }
        ether::PPPOE_SESSION => 0,
        _ => rest.wire,
    };
    link_flow(rest, packet, known);
    Layer::Done
}

/// Makes the packet one of a link flow: `rest` is what follows the last header that was read, of which
/// `known` octets are no padding.
pub(super) fn link_flow(rest: Rest<'_>, packet: &mut Packet, known: u32) {
    packet.family = Family::Link;
    packet.status |= status::LINK_FLOW;
    packet.protocol = 0;
    packet.src_port = 0;
    packet.dst_port = 0;
    packet.l7_octets = rest.wire;
    packet.l4_octets = rest.wire;
    packet.ip_octets = rest.wire;
    if packet.frame_octets <= MAX_PADDED_FRAME {
        packet.pad_octets = rest.wire.saturating_sub(known);
    }
}
