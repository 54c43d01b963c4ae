//! IPv4 and IPv6 with its extension headers.

use etherparse::{Ipv4HeaderSlice, Ipv6Header, Ipv6HeaderSlice};

use super::link::{ether, link_flow};
use super::{DissectCounters, Family, Fragment, Layer, MAX_PADDED_FRAME, Packet, Rest, be16, be32};
use crate::meter::status;

/// The most extension headers that are followed.
pub(super) const MAX_EXTENSION_HEADERS: usize = 5;

/// IP protocol numbers of the extension headers (RFC 8200, section 4; AH is RFC 4302).
pub(super) mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION: u8 = 60;
}

#[inline(always)]
pub(super) fn ipv4(
    rest: &mut Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
) -> Layer {
    packet.ether_type = ether::IPV4;
    let Ok(header) = Ipv4HeaderSlice::from_slice(rest.data) else {
        return unreadable(*rest, packet, counters, 4, 20);
    };
    let header_octets = header.slice().len();
    let total = length(
        u32::from(header.total_len()),
        header_octets as u32,
        rest,
        packet,
    );
    packet.family = Family::V4;
    mark(packet, status::IPV4 | status::IPV4_SEEN);
    packet.ip_octets = total;
    packet.tos = be16(header.slice(), 0).unwrap_or(0) as u8;
    packet.ttl = header.ttl();
    packet.src = widen(header.source());
    packet.dst = widen(header.destination());
    packet.ip_id = u32::from(header.identification());
    packet.fragment = match (header.fragments_offset().value(), header.more_fragments()) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        (_, true) => Fragment::Middle,
        (_, false) => Fragment::Last,
    };
    if packet.fragment != Fragment::Whole {
        packet.status |= status::FRAGMENTS;
    }
    let protocol = header.protocol().0;
    *rest = rest.skip(header_octets);
    Layer::Protocol(protocol)
}

#[inline]
pub(super) fn ipv6(
    rest: &mut Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
) -> Layer {
    packet.ether_type = ether::IPV6;
    let Ok(header) = Ipv6HeaderSlice::from_slice(rest.data) else {
        return unreadable(*rest, packet, counters, 6, 40);
    };
    // 0 is a jumbogram (RFC 2675), or a segment that the sender's card had still to cut.
    let total = match header.payload_length() {
        0 => 0,
        payload => u32::from(payload) + Ipv6Header::LEN as u32,
    };
    let total = length(total, Ipv6Header::LEN as u32, rest, packet);
    packet.family = Family::V6;
    mark(packet, status::IPV6 | status::IPV6_SEEN);
    packet.ip_octets = total;
    packet.tos = header.traffic_class();
    packet.ttl = header.hop_limit();
    packet.src = header.source();
    packet.dst = header.destination();
    let first = header.next_header().0;
    *rest = rest.skip(Ipv6Header::LEN);
    extensions(first, rest, packet, counters)
}

/// Follows the extension headers.
fn extensions(
    first: u8,
    rest: &mut Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
) -> Layer {
    let mut next = first;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let Some((_, octets)) = extension_header(next, rest.data) else {
            return Layer::Protocol(next);
        };
        match next {
            extension::FRAGMENT if !fragment_header(rest.data, packet) => break,
            extension::AUTHENTICATION => packet.status |= status::AH,
            _ => {}
        }
        let Some(&following) = rest.data.first() else {
            break;
        };
        *rest = rest.skip(octets);
        next = following;
        if matches!(packet.fragment, Fragment::Middle | Fragment::Last) {
            // What follows is the middle of something, no header.
            return Layer::Protocol(next);
        }
    }
    let extension_again = matches!(
        next,
        extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::DESTINATION
            | extension::AUTHENTICATION
            | extension::FRAGMENT
    );
    if extension_again {
        counters.too_deep += 1;
        packet.status |= status::STOPPED;
    }
    Layer::Protocol(next)
}

/// Name and length of the extension header that `next` says is at the beginning of `data`; `None` if it is none.
#[inline]
pub(super) fn extension_header(next: u8, data: &[u8]) -> Option<(&'static str, usize)> {
    match (next, data) {
        (extension::HOP_BY_HOP, &[_, n, ..]) => Some(("ipv6.hopopts", (usize::from(n) + 1) * 8)),
        (extension::ROUTING, &[_, n, ..]) => Some(("ipv6.routing", (usize::from(n) + 1) * 8)),
        (extension::DESTINATION, &[_, n, ..]) => Some(("ipv6.dstopts", (usize::from(n) + 1) * 8)),
        (extension::AUTHENTICATION, &[_, n, ..]) => Some(("ah", (usize::from(n) + 2) * 4)),
        (extension::FRAGMENT, _) => Some(("ipv6.fraghdr", 8)),
        _ => None,
    }
}

/// Reads a fragment header (RFC 8200, section 4.5).
fn fragment_header(data: &[u8], packet: &mut Packet) -> bool {
    let (Some(offset), Some(id)) = (be16(data, 2), be32(data, 4)) else {
        return false;
    };
    packet.ip_id = id;
    packet.fragment = match (offset & 0xfff8, offset & 1 != 0) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        (_, true) => Fragment::Middle,
        (_, false) => Fragment::Last,
    };
    if packet.fragment != Fragment::Whole {
        packet.status |= status::FRAGMENTS;
    }
    true
}

/// The datagram's length by its header, or by the frame where the header cannot be right: 0 (TCP
/// segmentation offload) or more than the frame. Cuts `rest` to it and sets the padding aside.
fn length(told: u32, header: u32, rest: &mut Rest<'_>, packet: &mut Packet) -> u32 {
    let total = if told == 0 || told > rest.wire {
        rest.wire
    } else {
        told.max(header)
    };
    if packet.frame_octets <= MAX_PADDED_FRAME {
        packet.pad_octets += rest.wire - total.min(rest.wire);
    }
    if (rest.data.len() as u64) < u64::from(total) {
        packet.status |= status::L3_SNAPPED;
    }
    *rest = rest.cut(total);
    total
}

/// An IP header that cannot be read: the frame counts in a link flow.
fn unreadable(
    rest: Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
    version: u8,
    octets: usize,
) -> Layer {
    let told = rest.data.first().map(|first| first >> 4);
    if rest.data.len() < octets && told.is_none_or(|told| told == version) {
        counters.short_ip_headers += 1;
    } else {
        counters.bad_ip_headers += 1;
    }
    packet.status |= status::STOPPED;
    link_flow(rest, packet, rest.wire);
    Layer::Done
}

/// Marks the version of the innermost header; what was said of a header around it is no longer true.
fn mark(packet: &mut Packet, version: u64) {
    packet.status &= !(status::IPV4 | status::IPV6 | status::FRAGMENTS);
    packet.status |= version;
}

fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    if let Some(head) = wide.first_chunk_mut() {
        *head = address;
    }
    wide
}
