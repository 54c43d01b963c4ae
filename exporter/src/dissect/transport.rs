//! Transport headers: ports, flags and the length of what follows.

use super::{DissectCounters, Packet, Rest, TcpFields, be16, be32};
use crate::meter::status;

/// IP protocol numbers (IANA).
pub(crate) mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IP_IN_IP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub const OSPF: u8 = 89;
    pub const ETHER_IP: u8 = 97;
    pub const PIM: u8 = 103;
    pub const L2TP: u8 = 115;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

/// The simple service discovery protocol's port.
pub(super) const SSDP_PORT: u16 = 1900;

/// Captured octets of a TCP header that are needed for its flags.
const TCP_FLAGS_END: usize = 14;

#[inline(always)]
pub(super) fn transport(
    number: u8,
    rest: Rest<'_>,
    packet: &mut Packet,
    counters: &mut DissectCounters,
) {
    packet.protocol = number;
    packet.l4_octets = rest.wire;
    packet.l7_octets = rest.wire;
    if packet.is_later_fragment() {
        packet.status |= status::STOPPED;
        return;
    }
    let data = rest.data;
    let header = match number {
        protocol::TCP => tcp(data, packet),
        protocol::UDP | protocol::UDP_LITE => {
            ports(data, packet);
            if packet.src_port == SSDP_PORT || packet.dst_port == SSDP_PORT {
                packet.status |= status::SSDP;
            }
            8
        }
        protocol::SCTP => {
            ports(data, packet);
            packet.status |= status::SCTP;
            12
        }
        protocol::ICMP | protocol::ICMPV6 => {
            packet.icmp_type_code = be16(data, 0).unwrap_or(0);
            8
        }
        protocol::GRE => {
            packet.status |= status::GRE;
            gre_octets(be16(data, 0).unwrap_or(0))
        }
        protocol::NO_NEXT_HEADER => 0,
        protocol::ESP => {
            packet.status |= status::ESP;
            8
        }
        protocol::AH => {
            packet.status |= status::AH;
            8
        }
        // Version 2 has 24 octets, version 3 has 16 (RFC 2328, RFC 5340).
        protocol::OSPF => match data.first() {
            Some(3) => 16,
            _ => 24,
        },
        _ => 8,
    };
    if data.len() < header as usize {
        counters.short_transport_headers += 1;
        packet.status |= status::L4_SNAPPED;
    }
    packet.l7_octets = rest.wire.saturating_sub(header);
}

fn ports(data: &[u8], packet: &mut Packet) {
    packet.src_port = be16(data, 0).unwrap_or(0);
    packet.dst_port = be16(data, 2).unwrap_or(0);
}

/// The length of the TCP header (RFC 9293, section 3.1); what is not captured of it counts too.
fn tcp(data: &[u8], packet: &mut Packet) -> u32 {
    ports(data, packet);
    let (Some(&offset), Some(&flags)) = (data.get(12), data.get(TCP_FLAGS_END - 1)) else {
        return 20;
    };
    packet.tcp = TcpFields {
        present: true,
        flags,
        sequence: be32(data, 4).unwrap_or(0),
        acknowledgment: be32(data, 8).unwrap_or(0),
        window: be16(data, TCP_FLAGS_END).unwrap_or(0),
    };
    u32::from(offset >> 4) * 4
}

/// The length of a GRE header by its flags (RFC 2784, RFC 2890): checksum, key and sequence number have
/// four octets each.
fn gre_octets(flags: u16) -> u32 {
    4 + [0x8000, 0x2000, 0x1000]
        .iter()
        .filter(|bit| flags & *bit != 0)
        .count() as u32
        * 4
}
