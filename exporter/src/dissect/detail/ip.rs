//! Options, flags and checksums of IP headers.

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::super::network::{self, extension};
use super::super::{Fragment, Packet, Rest, be16, protocol};
use super::checksum::{self, Verdict};
use super::{SNAPPED, flag};
use crate::meter::ip_flags;

/// Fragments below this length are below the minimum (Tranalyzer's `IPFRAGPKTSZMIN`).
const SHORTEST_FRAGMENT: u32 = 48;

/// What an IP header says beside what flows are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IpDetail {
    /// Bits of [`ip_flags`] that this packet alone calls for.
    pub flags: u16,
    /// Its checksum of the transport header stands over octets that later fragments have.
    pub checksum_pending: bool,
    /// Offset of the fragment in eight octets.
    pub fragment_offset: u16,
    /// IPv4 options.
    pub options: u16,
    /// OR of the copy and class bits of the IPv4 options.
    pub option_classes: u8,
    /// The bits of the IPv4 options' numbers.
    pub option_numbers: u32,
    /// IPv6 hop-by-hop and destination options: how many.
    pub v6_options: [u16; 2],
    /// The bits of their lowest five bits.
    pub v6_option_types: [u32; 2],
}

impl IpDetail {
    /// Reads an IPv4 header (RFC 791, section 3.1).
    pub(super) fn v4(data: &[u8]) -> Self {
        let mut detail = IpDetail::default();
        let Ok(header) = Ipv4HeaderSlice::from_slice(data) else {
            return detail;
        };
        let octets = header.slice();
        let bits = u16::from(octets.get(6).copied().unwrap_or(0));
        let sum = Sum16BitWords::new().add_slice(octets);
        detail.flags = bits
            & (ip_flags::RESERVED | ip_flags::DONT_FRAGMENT | ip_flags::MORE_FRAGMENTS)
            | flag(!checksum::adds_up(&sum), ip_flags::L3_CHECKSUM);
        detail.fragment_offset = header.fragments_offset().value();
        detail.v4_options(header.options());
        detail
    }

    fn v4_options(&mut self, mut options: &[u8]) {
        const END: u8 = 0;
        const NO_OPERATION: u8 = 1;
        while let Some(&kind) = options.first()
            && kind != END
        {
            self.options = self.options.saturating_add(1);
            self.option_classes |= kind & 0xe0;
            self.option_numbers |= 1 << (kind & 0x1f);
            let octets = match (kind, options.get(1)) {
                (NO_OPERATION, _) => 1,
                (_, Some(&octets @ 2..)) if usize::from(octets) <= options.len() => octets,
                _ => {
                    self.flags |= ip_flags::OPTIONS_CORRUPT;
                    return;
                }
            };
            options = options.get(usize::from(octets)..).unwrap_or(&[]);
        }
    }

    /// Reads an IPv6 header and its extension headers, whose names it gives away.
    pub(super) fn v6(data: &[u8], named: &mut dyn FnMut(&str)) -> Self {
        let mut detail = IpDetail::default();
        let Ok(header) = Ipv6HeaderSlice::from_slice(data) else {
            return detail;
        };
        let mut next = header.next_header().0;
        let mut rest = data.get(header.slice().len()..).unwrap_or(&[]);
        for _ in 0..network::MAX_EXTENSION_HEADERS {
            let Some((name, octets)) = network::extension_header(next, rest) else {
                break;
            };
            named(name);
            let body = rest.get(..octets);
            detail.flags |= flag(body.is_none(), ip_flags::OPTIONS_CORRUPT);
            match (next, body) {
                (extension::HOP_BY_HOP, Some(body)) => detail.v6_options(0, body),
                (extension::DESTINATION, Some(body)) => detail.v6_options(1, body),
                (extension::FRAGMENT, Some(body)) => {
                    let offset = be16(body, 2).unwrap_or(0);
                    detail.fragment_offset = offset >> 3;
                    // The flag M, and the reserved bits where IPv4 has DF.
                    detail.flags |= flag(offset & 1 != 0, ip_flags::MORE_FRAGMENTS)
                        | flag(offset & 6 != 0, ip_flags::DONT_FRAGMENT);
                }
                _ => {}
            }
            next = rest.first().copied().unwrap_or(protocol::NO_NEXT_HEADER);
            rest = rest.get(octets..).unwrap_or(&[]);
            if detail.fragment_offset != 0 {
                break;
            }
        }
        detail
    }

    /// Options of an extension header, behind its two octets (RFC 8200, section 4.2).
    fn v6_options(&mut self, place: usize, header: &[u8]) {
        const PAD1: u8 = 0;
        let mut options = header.get(2..).unwrap_or(&[]);
        while let Some(&kind) = options.first() {
            if kind == PAD1 {
                options = options.get(1..).unwrap_or(&[]);
                continue;
            }
            if let (Some(count), Some(types)) = (
                self.v6_options.get_mut(place),
                self.v6_option_types.get_mut(place),
            ) {
                *count = count.saturating_add(1);
                *types |= 1 << (kind & 0x1f);
            }
            let octets = options.get(1).map_or(2, |octets| usize::from(*octets) + 2);
            self.flags |= flag(octets > options.len(), ip_flags::OPTIONS_CORRUPT);
            options = options.get(octets..).unwrap_or(&[]);
        }
    }

    /// Looks at the transport header in `rest`, which is cut to the IP length. Only a whole packet has a checksum that
    /// can be verified; what is not captured counts as wrong, as in Tranalyzer, with a bit that says why.
    pub(super) fn transport(&mut self, number: u8, rest: Rest<'_>, packet: &Packet) {
        let captured = rest.data.len();
        let more = self.flags & ip_flags::MORE_FRAGMENTS != 0;
        let short = more && packet.ip_octets < SHORTEST_FRAGMENT;
        self.flags |= flag(short, ip_flags::SHORT_FRAGMENT);
        if packet.is_later_fragment() {
            return;
        }
        if (captured as u64) < u64::from(rest.wire) {
            self.flags |= SNAPPED;
        } else if packet.fragment == Fragment::Whole
            && checksum::transport(number, rest.data, packet) == Verdict::Wrong
        {
            self.flags |= ip_flags::L4_CHECKSUM;
        }
        let wrong_length = match number {
            protocol::UDP => super::udp_length(rest.data) != Some(captured),
            protocol::UDP_LITE => match super::udp_length(rest.data) {
                Some(0) => false,
                Some(covered) => !(8..=captured).contains(&covered),
                None => true,
            },
            _ => false,
        };
        self.flags |= flag(wrong_length, ip_flags::UDP_LENGTH);
        self.checksum_pending = more && has_checksum(number);
    }
}

/// Whether a protocol's header has a checksum over what follows it.
fn has_checksum(number: u8) -> bool {
    matches!(
        number,
        protocol::ICMP
            | protocol::IGMP
            | protocol::ICMPV6
            | protocol::TCP
            | protocol::UDP
            | protocol::UDP_LITE
            | protocol::GRE
            | protocol::OSPF
    )
}
