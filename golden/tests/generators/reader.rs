//! A reader of the generated captures that shares no code with the generator (nor with the exporter).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// One packet of a capture.
pub struct Seen<'a> {
    pub time_us: u64,
    pub key: Key,
    pub ip_bytes: u64,
    pub payload: &'a [u8],
    pub flags: u8,
    pub ttl: u8,
    pub macs: &'a [u8],
    pub frame: &'a [u8],
}

/// Source, destination, ports, protocol.
pub type Key = (IpAddr, u16, IpAddr, u16, u8);

/// Sums of one direction of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub packets: u64,
    pub ip_bytes: u64,
    pub l7_bytes: u64,
    pub first_us: u64,
    pub last_us: u64,
}

/// The packets of a little-endian microsecond pcap file with Ethernet frames of IPv4 or IPv6 without extensions.
pub fn packets(file: &[u8]) -> impl Iterator<Item = Seen<'_>> {
    assert_eq!(
        file[..4],
        [0xd4, 0xc3, 0xb2, 0xa1],
        "little endian, microseconds"
    );
    assert_eq!(file[20..24], [1, 0, 0, 0], "Ethernet");
    let mut rest = &file[24..];
    std::iter::from_fn(move || {
        let header = rest.get(..16)?;
        let word =
            |at: usize| u64::from(u32::from_le_bytes(header[at..at + 4].try_into().unwrap()));
        assert_eq!(word(8), word(12), "captured in full");
        let end = 16 + word(8) as usize;
        let frame = &rest[16..end];
        rest = &rest[end..];
        Some(packet(word(0) * 1_000_000 + word(4), frame))
    })
}

fn packet(time_us: u64, frame: &[u8]) -> Seen<'_> {
    let ip = &frame[14..];
    let be16 = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (header, ip_bytes, protocol, ttl, from, to) = match frame[12..14] {
        [0x08, 0x00] => {
            let address =
                |at: usize| IpAddr::V4(Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]));
            (
                usize::from(ip[0] & 15) * 4,
                be16(ip, 2),
                ip[9],
                ip[8],
                address(12),
                address(16),
            )
        }
        [0x86, 0xdd] => {
            let address = |at: usize| {
                IpAddr::V6(Ipv6Addr::from(
                    <[u8; 16]>::try_from(&ip[at..at + 16]).unwrap(),
                ))
            };
            (40, be16(ip, 4) + 40, ip[6], ip[7], address(8), address(24))
        }
        ref other => panic!("EtherType {other:x?}"),
    };
    let l4 = &ip[header..usize::from(ip_bytes)];
    let (l4_header, flags) = match protocol {
        6 => (usize::from(l4[12] >> 4) * 4, l4[13]),
        17 => (8, 0),
        other => panic!("protocol {other}"),
    };
    let key = (from, be16(l4, 0), to, be16(l4, 2), protocol);
    let (macs, ip_bytes) = (&frame[..12], u64::from(ip_bytes));
    Seen {
        time_us,
        key,
        ip_bytes,
        payload: &l4[l4_header..],
        flags,
        ttl,
        macs,
        frame,
    }
}

/// Sums by direction.
pub fn sums(file: &[u8]) -> BTreeMap<Key, Sums> {
    let mut sums = BTreeMap::new();
    for packet in packets(file) {
        let sum = sums.entry(packet.key).or_insert_with(|| Sums {
            first_us: packet.time_us,
            ..Sums::default()
        });
        sum.packets += 1;
        sum.ip_bytes += packet.ip_bytes;
        sum.l7_bytes += packet.payload.len() as u64;
        sum.last_us = packet.time_us;
    }
    sums
}
