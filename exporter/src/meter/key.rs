//! The key of a pair: both directions of a conversation have the same one.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dissect::{Family, Packet};
use crate::meter::Endpoints;

/// The bits above the VLAN identifier. No tag is another flow than tag 0.
mod bit {
    pub const TAGGED: u16 = 1 << 12;
    pub const LINK: u16 = 1 << 14;
    pub const V6: u16 = 1 << 15;
}

/// One end of a conversation: address and port of IP flows, MAC of link flows.
type End = ([u8; 16], u16);

/// Addresses and ports with the lower end first, protocol, VLAN and EtherType.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Key {
    low: [u8; 16],
    high: [u8; 16],
    low_port: u16,
    high_port: u16,
    /// The VLAN identifier with the family, see [`bit`].
    vlan: u16,
    /// The protocol of IP flows, the EtherType of link flows.
    kind: u16,
}

impl Key {
    /// The key of a packet, and its direction: 0 from the lower to the higher end, 1 back.
    #[inline(always)]
    pub(super) fn new(packet: &Packet) -> (Key, usize) {
        let (source, destination): (End, End) = match packet.family {
            Family::Link => ((widen(packet.src_mac), 0), (widen(packet.dst_mac), 0)),
            Family::V4 | Family::V6 => {
                ((packet.src, packet.src_port), (packet.dst, packet.dst_port))
            }
        };
        let back = source > destination;
        let (low, high) = if back {
            (destination, source)
        } else {
            (source, destination)
        };
        let key = Key {
            low: low.0,
            high: high.0,
            low_port: low.1,
            high_port: high.1,
            vlan: packet
                .vlans
                .innermost()
                .map_or(0, |tci| tci & 0x0fff | bit::TAGGED)
                | match packet.family {
                    Family::Link => bit::LINK,
                    Family::V4 => 0,
                    Family::V6 => bit::V6,
                },
            kind: match packet.family {
                Family::Link => packet.ether_type,
                Family::V4 | Family::V6 => u16::from(packet.protocol),
            },
        };
        (key, usize::from(back))
    }

    pub(super) fn hash(&self, state: &foldhash::fast::RandomState) -> u64 {
        let mut hasher = state.build_hasher();
        let ports = u64::from(self.low_port)
            | u64::from(self.high_port) << 16
            | u64::from(self.vlan) << 32
            | u64::from(self.kind) << 48;
        match self.family() {
            Family::V4 => {
                hasher.write_u64(u64::from(self.low_v4()) << 32 | u64::from(self.high_v4()));
            }
            Family::Link | Family::V6 => {
                hasher.write_u128(u128::from_be_bytes(self.low));
                hasher.write_u128(u128::from_be_bytes(self.high));
            }
        }
        hasher.write_u64(ports);
        hasher.finish()
    }

    /// Both ends are the same: a packet to itself.
    pub(super) fn is_self(&self) -> bool {
        self.low == self.high && self.low_port == self.high_port
    }

    fn family(&self) -> Family {
        if self.vlan & bit::LINK != 0 {
            Family::Link
        } else if self.vlan & bit::V6 != 0 {
            Family::V6
        } else {
            Family::V4
        }
    }

    /// Protocol of an IP flow; 0 of link flows.
    pub(super) fn protocol(&self) -> u8 {
        match self.family() {
            Family::Link => 0,
            Family::V4 | Family::V6 => self.kind as u8,
        }
    }

    /// What a flow in `direction` is keyed by.
    pub(super) fn endpoints(&self, direction: usize) -> Endpoints {
        if self.family() == Family::Link {
            return Endpoints::Link;
        }
        let low = (self.address(&self.low, self.low_v4()), self.low_port);
        let high = (self.address(&self.high, self.high_v4()), self.high_port);
        let (source, destination) = if direction == 0 {
            (low, high)
        } else {
            (high, low)
        };
        Endpoints::Ip {
            src: source.0,
            dst: destination.0,
            src_port: source.1,
            dst_port: destination.1,
            protocol: self.protocol(),
        }
    }

    fn address(&self, wide: &[u8; 16], v4: u32) -> IpAddr {
        match self.family() {
            Family::V4 => Ipv4Addr::from(v4).into(),
            Family::Link | Family::V6 => Ipv6Addr::from(*wide).into(),
        }
    }

    fn low_v4(&self) -> u32 {
        let [a, b, c, d, ..] = self.low;
        u32::from_be_bytes([a, b, c, d])
    }

    fn high_v4(&self) -> u32 {
        let [a, b, c, d, ..] = self.high;
        u32::from_be_bytes([a, b, c, d])
    }
}

fn widen(mac: [u8; 6]) -> [u8; 16] {
    let mut wide = [0; 16];
    if let Some(head) = wide.first_chunk_mut() {
        *head = mac;
    }
    wide
}
