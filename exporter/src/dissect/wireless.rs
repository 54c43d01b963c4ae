//! IEEE 802.11 frames, and the headers that radios put before them.

use super::link::link_flow;
use super::shim::stop;
use super::{Layer, Packet, Rest, be16, be32};
use crate::meter::status;

/// Octets of a Prism header.
const PRISM_OCTETS: usize = 144;

/// The magic number of an AVS header without its version bits.
const AVS_MAGIC: u32 = 0x8021_1000;

/// The radiotap header (radiotap.org): its own length; its flags tell of a checksum at the end and of padding.
pub(super) fn radiotap(rest: &mut Rest<'_>) -> Option<Layer> {
    const TIMER: u32 = 1;
    const FLAGS: u32 = 2;
    const MORE_WORDS: u32 = 0x8000_0000;
    const CHECKSUM_AT_END: u8 = 0x10;
    const PADDED: u8 = 0x20;
    const MAX_WORDS: usize = 32;
    let octets = usize::from(le16(rest.data, 2)?);
    let fields = le32(rest.data, 4)?;
    let mut at = 8;
    let mut word = fields;
    for _ in 0..MAX_WORDS {
        if word & MORE_WORDS == 0 {
            break;
        }
        word = le32(rest.data, at)?;
        at += 4;
    }
    if fields & TIMER != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = match fields & FLAGS {
        0 => 0,
        _ => *rest.data.get(at)?,
    };
    if octets < 8 || octets > rest.data.len() {
        return None;
    }
    *rest = rest.skip(octets);
    if flags & CHECKSUM_AT_END != 0 {
        *rest = rest.cut(rest.wire.saturating_sub(4));
    }
    Some(match flags & PADDED {
        0 => Layer::Wireless,
        _ => Layer::PaddedWireless,
    })
}

/// A Prism header, or an AVS header under the same link type.
pub(super) fn prism(rest: &mut Rest<'_>) -> Option<Layer> {
    if be32(rest.data, 0)? & 0xffff_f000 == AVS_MAGIC {
        return avs(rest);
    }
    rest.data.get(PRISM_OCTETS)?;
    *rest = rest.skip(PRISM_OCTETS);
    Some(Layer::Wireless)
}

/// An AVS header, which tells its length.
pub(super) fn avs(rest: &mut Rest<'_>) -> Option<Layer> {
    let octets = be32(rest.data, 4)? as usize;
    if octets < 8 || octets > rest.data.len() {
        return None;
    }
    *rest = rest.skip(octets);
    Some(Layer::Wireless)
}

/// An IEEE 802.11 MAC header. Data frames that are not encrypted carry LLC; all others make link flows.
pub(super) fn ieee80211(rest: &mut Rest<'_>, packet: &mut Packet, padded: bool) -> Layer {
    const DATA: u8 = 2;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const TO_AND_FROM: u8 = 0x03;
    const ENCRYPTED: u8 = 0x40;
    const HIGH_THROUGHPUT: u8 = 0x80;
    const AGGREGATED: u8 = 0x80;
    let &[first, second, ..] = rest.data else {
        return stop(0, *rest, packet);
    };
    // Access points swap the two octets in what they tunnel.
    let swapped = first & 0x0f != DATA << 2 && second & 0x0f == DATA << 2;
    let (control, flags) = if swapped {
        (second, first)
    } else {
        (first, second)
    };
    addresses(rest.data, flags, packet);
    let fragment = le16(rest.data, 22).unwrap_or(0) & 0x0f;
    let carries = control & 0x0f == DATA << 2 && control & NO_DATA == 0;
    if !carries || flags & ENCRYPTED != 0 || fragment != 0 {
        return management(control, *rest, packet);
    }
    let mut octets = 24;
    if flags & TO_AND_FROM == TO_AND_FROM {
        octets += 6;
    }
    let mut aggregated = false;
    if control & QOS != 0 {
        aggregated = rest
            .data
            .get(octets)
            .is_some_and(|qos| qos & AGGREGATED != 0);
        octets += 2;
        if flags & HIGH_THROUGHPUT != 0 {
            octets += 4;
        }
    }
    if padded {
        octets = octets.next_multiple_of(4);
    }
    *rest = rest.skip(octets);
    // Of several packets in one frame the first one counts.
    if aggregated {
        Layer::Ethernet
    } else {
        Layer::Llc
    }
}

/// The addresses of source and destination, by the direction between station and distribution system.
fn addresses(data: &[u8], flags: u8, packet: &mut Packet) {
    let address = |at: usize| {
        let octets = data.get(at..).and_then(|octets| octets.first_chunk::<6>());
        octets.copied()
    };
    let (dst, src) = match flags & 3 {
        0 => (4, 10),
        1 => (16, 10),
        2 => (4, 16),
        _ => (16, 24),
    };
    if let Some(dst) = address(dst) {
        packet.has_macs = true;
        packet.dst_mac = dst;
        packet.src_mac = address(src).unwrap_or_default();
    }
}

/// A frame without a packet that can be read.
fn management(control: u8, rest: Rest<'_>, packet: &mut Packet) -> Layer {
    const CONTROL: u8 = 1;
    packet.status |= status::STOPPED;
    packet.ether_type = 0;
    let rest = rest.skip(24);
    if control >> 2 & 3 == CONTROL {
        // No source in most of them, and nothing behind.
        packet.src_mac = [0; 6];
    }
    link_flow(rest, packet, rest.wire);
    Layer::Done
}

/// Little-endian 16 bits at `at`.
fn le16(data: &[u8], at: usize) -> Option<u16> {
    be16(data, at).map(u16::swap_bytes)
}

/// Little-endian 32 bits at `at`.
fn le32(data: &[u8], at: usize) -> Option<u32> {
    be32(data, at).map(u32::swap_bytes)
}
