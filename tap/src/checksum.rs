//! The UDP checksum (RFC 768, RFC 8200 section 8.1).

use std::net::IpAddr;

use super::UDP;
use super::network::IpPacket;

/// What the checksum of a datagram is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// There is none to look at: a stream, or a socket.
    Unseen,
    /// It is right.
    Valid,
    /// It is the sum of the pseudo header alone: captured before the network card computed the rest.
    Offloaded,
    /// It is 0: not computed.
    Absent,
    /// It is wrong.
    Wrong,
}

/// The checksum `sum` of the UDP datagram in `packet`, `length` octets with its header.
pub(super) fn udp(packet: &IpPacket<'_>, sum: u16, length: usize) -> Checksum {
    if sum == 0 {
        return Checksum::Absent;
    }
    let pseudo =
        add_address(packet.source) + add_address(packet.target) + u64::from(UDP) + length as u64;
    if fold(pseudo) == sum {
        return Checksum::Offloaded;
    }
    let data = packet.payload.get(..length).unwrap_or_default();
    if fold(pseudo + add(data)) == 0xffff {
        Checksum::Valid
    } else {
        Checksum::Wrong
    }
}

fn add_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => add(&address.octets()),
        IpAddr::V6(address) => add(&address.octets()),
    }
}

/// The sum of 16-bit words. 65535 octets stay far below the width.
fn add(octets: &[u8]) -> u64 {
    octets
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        })
        .sum()
}

/// Ones' complement sum of the words in `sum`.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
