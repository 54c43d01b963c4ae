//! Checksums of transport headers (RFC 1071).

use etherparse::checksum::Sum16BitWords;

use super::super::{Family, Packet, be16, protocol};

/// What a checksum says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The protocol has none, or the sender has left it out.
    None,
    Right,
    Wrong,
}

/// Whether octets with their checksum add up.
pub(super) fn adds_up(sum: &Sum16BitWords) -> bool {
    sum.ones_complement() == 0
}

/// The checksum of a transport header and what follows it; `data` is all of it.
pub(super) fn transport(number: u8, data: &[u8], packet: &Packet) -> Verdict {
    let plain = Sum16BitWords::new();
    let sum = match number {
        protocol::ICMP | protocol::IGMP => plain.add_slice(data),
        // RFC 2784, section 2.3: only if its bit is set.
        protocol::GRE if be16(data, 0).is_some_and(|flags| flags & 0x8000 != 0) => {
            plain.add_slice(data)
        }
        protocol::ICMPV6 | protocol::TCP => {
            pseudo_header(number, data.len(), packet).add_slice(data)
        }
        // RFC 768: 0 is no checksum. IPv6 does not allow it but for tunnels (RFC 6935).
        protocol::UDP if be16(data, 6) == Some(0) => return Verdict::None,
        protocol::UDP => pseudo_header(number, data.len(), packet).add_slice(data),
        protocol::UDP_LITE => {
            // RFC 3828, section 3.1: the length field says how much is covered, 0 is all.
            let covered = match super::udp_length(data) {
                Some(0) | None => data,
                Some(covered) => data.get(..covered).unwrap_or(data),
            };
            pseudo_header(number, data.len(), packet).add_slice(covered)
        }
        protocol::OSPF => return ospf(data, packet),
        _ => return Verdict::None,
    };
    verdict(&sum)
}

/// Version 2 leaves out the authentication field, and the checksum with cryptographic authentication (RFC 2328,
/// sections A.3.1 and D.4.3); version 3 has the pseudo header (RFC 5340, section A.3.1).
fn ospf(data: &[u8], packet: &Packet) -> Verdict {
    const CRYPTOGRAPHIC: u16 = 2;
    match data.first() {
        Some(2) if be16(data, 14) == Some(CRYPTOGRAPHIC) => Verdict::None,
        Some(2) => {
            let header = Sum16BitWords::new().add_slice(data.get(..16).unwrap_or(&[]));
            verdict(&header.add_slice(data.get(24..).unwrap_or(&[])))
        }
        Some(3) => verdict(&pseudo_header(protocol::OSPF, data.len(), packet).add_slice(data)),
        _ => Verdict::None,
    }
}

fn verdict(sum: &Sum16BitWords) -> Verdict {
    if adds_up(sum) {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// RFC 9293, section 3.1, and RFC 8200, section 8.1. The sum does not depend on where the fields stand.
fn pseudo_header(number: u8, octets: usize, packet: &Packet) -> Sum16BitWords {
    let length = u32::try_from(octets).unwrap_or(u32::MAX);
    let addresses = match packet.family {
        Family::V6 => 16,
        Family::Link | Family::V4 => 4,
    };
    Sum16BitWords::new()
        .add_slice(packet.src.get(..addresses).unwrap_or(&[]))
        .add_slice(packet.dst.get(..addresses).unwrap_or(&[]))
        .add_2bytes([0, number])
        .add_slice(&length.to_be_bytes())
}
