//! What packets and records are counted under: the key of a direction, as far as the device declares it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use exporter::dissect::{Family, Packet};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// What is left out is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// Source address; an IPv4 address in an IPv6 one is that IPv4 address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// VLAN identifier.
    pub vlan: u16,
}

/// What a key holds, and which protocols have ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// Source address.
    pub source: bool,
    /// Destination address.
    pub destination: bool,
    /// Source port.
    pub source_port: bool,
    /// Destination port.
    pub destination_port: bool,
    /// IP protocol.
    pub protocol: bool,
    /// VLAN identifier.
    pub vlan: bool,
    /// Ports of TCP.
    pub tcp: bool,
    /// Ports of UDP.
    pub udp: bool,
    /// Ports of SCTP.
    pub sctp: bool,
}

impl Fields {
    /// The key, with what is not part of it left out.
    pub fn keep(self, key: Key) -> Key {
        let ported = match key.protocol {
            TCP => self.tcp,
            UDP => self.udp,
            SCTP => self.sctp,
            _ => false,
        };
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        // Records with fields for both families do not say which one is empty.
        let address = |wanted: bool, address: IpAddr| match wanted && !address.is_unspecified() {
            true => address.to_canonical(),
            false => none,
        };
        let number = |wanted: bool, value: u16| if wanted { value } else { 0 };
        Key {
            src: address(self.source, key.src),
            dst: address(self.destination, key.dst),
            src_port: number(ported && self.source_port, key.src_port),
            dst_port: number(ported && self.destination_port, key.dst_port),
            protocol: if self.protocol { key.protocol } else { 0 },
            vlan: number(self.vlan, key.vlan),
        }
    }
}

impl Key {
    /// The whole key of a packet; `None` without an IP header.
    pub fn of(packet: &Packet) -> Option<Self> {
        let address = |octets: [u8; 16]| -> Option<IpAddr> {
            match packet.family {
                Family::Link => None,
                Family::V4 => {
                    let [a, b, c, d, ..] = octets;
                    Some(Ipv4Addr::new(a, b, c, d).into())
                }
                Family::V6 => Some(Ipv6Addr::from(octets).into()),
            }
        };
        Some(Self {
            src: address(packet.src)?,
            dst: address(packet.dst)?,
            src_port: packet.src_port,
            dst_port: packet.dst_port,
            protocol: packet.protocol,
            vlan: packet.vlans.innermost().map_or(0, |tci| tci & 0x0fff),
        })
    }

    /// The opposite direction.
    pub fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
            ..self
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |f: &mut fmt::Formatter<'_>, address: IpAddr, port: u16| match (address, port) {
            (address, 0) => write!(f, "{address}"),
            (IpAddr::V4(address), port) => write!(f, "{address}:{port}"),
            (IpAddr::V6(address), port) => write!(f, "[{address}]:{port}"),
        };
        end(f, self.src, self.src_port)?;
        f.write_str(" to ")?;
        end(f, self.dst, self.dst_port)?;
        match self.protocol {
            TCP => f.write_str(", TCP")?,
            UDP => f.write_str(", UDP")?,
            other => write!(f, ", protocol {other}")?,
        }
        match self.vlan {
            0 => Ok(()),
            vlan => write!(f, ", VLAN {vlan}"),
        }
    }
}
