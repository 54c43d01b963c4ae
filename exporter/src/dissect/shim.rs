//! What stands between a link header and IP without addresses of its own: MPLS labels, PPPoE, PPP.

use super::link::{ether, other};
use super::{DissectCounters, Labels, Layer, Packet, Rest, be16, be32};
use crate::meter::status;

/// The most labels of one stack that are followed.
pub(super) const MAX_LABELS: usize = 32;

/// PPP protocol numbers (IANA).
mod ppp_protocol {
    pub const IPV4: u16 = 0x0021;
    pub const IPV6: u16 = 0x0057;
    pub const MPLS: u16 = 0x0281;
    pub const MPLS_MULTICAST: u16 = 0x0283;
}

/// A stack of MPLS labels (RFC 3032). No header says what follows the last one: IP of a plausible length, or else
/// a pseudo-wire with Ethernet (RFC 4448), with or without its control word.
pub(super) fn mpls(
    ether_type: u16,
    rest: &mut Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
) -> Layer {
    packet.status |= match ether_type {
        ether::MPLS_MULTICAST => status::MPLS_MULTICAST,
        _ => status::MPLS,
    };
    let outermost = packet.labels == Labels::default();
    for labels in 1..=MAX_LABELS {
        let Some(label) = be32(rest.data, 0) else {
            return stop(ether_type, *rest, packet);
        };
        *rest = rest.skip(4);
        if outermost {
            let [entry @ .., _] = label.to_be_bytes();
            packet.labels.push(entry);
        }
        if label & 0x100 != 0 {
            packet.mpls_labels = packet.mpls_labels.max(labels as u8);
            return below_labels(ether_type, rest, packet);
        }
    }
    counters.too_deep += 1;
    stop(ether_type, *rest, packet)
}

fn below_labels(ether_type: u16, rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    if looks_like_ipv4(rest) {
        return Layer::Ipv4;
    }
    if looks_like_ipv6(rest) {
        return Layer::Ipv6;
    }
    // The control word begins with four zero bits (RFC 4385); a MAC address of a group or of a known vendor may too,
    // so the EtherType behind decides.
    let control_word = rest.data.first().is_some_and(|first| first >> 4 == 0);
    for skipped in [4, 0] {
        let inner = rest.skip(skipped);
        if (skipped == 0 || control_word) && looks_like_ethernet(inner) {
            *rest = inner;
            return Layer::Ethernet;
        }
    }
    stop(ether_type, *rest, packet)
}

/// An IPv4 header whose lengths fit in what is left.
pub(super) fn looks_like_ipv4(rest: &Rest<'_>) -> bool {
    let first = rest.data.first().copied().unwrap_or(0);
    let total = u32::from(be16(rest.data, 2).unwrap_or(0));
    (0x45..=0x4f).contains(&first) && rest.wire >= 20 && total <= rest.wire
}

/// An IPv6 header whose length fits in what is left.
pub(super) fn looks_like_ipv6(rest: &Rest<'_>) -> bool {
    let first = rest.data.first().copied().unwrap_or(0);
    let payload = u32::from(be16(rest.data, 4).unwrap_or(0));
    first >> 4 == 6 && rest.wire >= 40 && payload <= rest.wire - 40
}

/// An Ethernet header with an EtherType that is read here, or with the length of what follows.
pub(super) fn looks_like_ethernet(rest: Rest<'_>) -> bool {
    match be16(rest.data, 12) {
        Some(length @ ..=1500) => u32::from(length) + 14 <= rest.wire && length > 2,
        Some(value) => matches!(
            value,
            ether::IPV4
                | ether::IPV6
                | ether::ARP
                | ether::VLAN
                | ether::PROVIDER_BRIDGE
                | ether::MPLS
                | ether::MPLS_MULTICAST
                | ether::PPPOE_DISCOVERY
                | ether::PPPOE_SESSION
                | ether::LLDP
        ),
        None => false,
    }
}

/// A PPPoE session header (RFC 2516, section 4).
pub(super) fn pppoe(rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    packet.status |= status::PPPOE_SESSION;
    let (Some(0x11), Some(length)) = (rest.data.first(), be16(rest.data, 4)) else {
        return stop(ether::PPPOE_SESSION, *rest, packet);
    };
    let inner = rest.skip(6).cut(u32::from(length));
    match ppp_protocol(inner) {
        Some((layer, octets)) => {
            *rest = inner.skip(octets);
            layer
        }
        // Control protocols: the session header counts as part of what is carried.
        None => stop(ether::PPPOE_SESSION, *rest, packet),
    }
}

/// A PPP frame (RFC 1661), with or without address and control field (RFC 1662).
pub(super) fn ppp(rest: &mut Rest<'_>, packet: &mut Packet) -> Layer {
    packet.status |= status::PPP;
    if rest.data.starts_with(&[0xff, 0x03]) {
        *rest = rest.skip(2);
    }
    match ppp_protocol(*rest) {
        Some((layer, octets)) => {
            *rest = rest.skip(octets);
            layer
        }
        None => stop(0, *rest, packet),
    }
}

/// What a PPP protocol field names, and its octets; an odd first octet is the whole field (RFC 1661, section 6.5).
fn ppp_protocol(rest: Rest<'_>) -> Option<(Layer, usize)> {
    let first = *rest.data.first()?;
    let (protocol, octets) = match first & 1 {
        1 => (u16::from(first), 1),
        _ => (be16(rest.data, 0)?, 2),
    };
    let layer = match protocol {
        ppp_protocol::IPV4 => Layer::Ipv4,
        ppp_protocol::IPV6 => Layer::Ipv6,
        ppp_protocol::MPLS => Layer::EtherType(ether::MPLS),
        ppp_protocol::MPLS_MULTICAST => Layer::EtherType(ether::MPLS_MULTICAST),
        _ => return None,
    };
    Some((layer, octets))
}

/// Nothing that can be read follows: a link flow of this EtherType.
#[inline(never)]
pub(super) fn stop(ether_type: u16, rest: Rest<'_>, packet: &mut Packet) -> Layer {
    packet.status |= status::STOPPED;
    other(ether_type, rest, packet)
}
