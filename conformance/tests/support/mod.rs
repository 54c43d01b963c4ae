//! Messages and captures made by hand.
#![allow(dead_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// NetFlow v9, RFC 3954 section 5: header (version 9, count 2, uptime 100 000 ms, 2024-01-01 00:00:00, sequence,
/// source 7), template 256 (source address 8, octets 1, first 22, last 21, all of 4 octets), one record of it.
pub fn netflow9(sequence: u32) -> Vec<u8> {
    let mut message = hex("0009 0002 000186a0 65920080");
    message.extend(sequence.to_be_bytes());
    message.extend(hex("00000007"));
    message.extend(hex(
        "0000 0018 0100 0004 0008 0004 0001 0004 0016 0004 0015 0004",
    ));
    message.extend(hex("0100 0014 c0000201 00000064 00017318 000182b8"));
    message
}

/// IPFIX, RFC 7011 section 3: header (version 10, length 64, 2024-01-01 00:00:00, sequence, domain 7), template 256
/// (source address 8, octets 1 of eight octets, end 153), one record of it, four octets of padding.
pub fn ipfix(sequence: u32) -> Vec<u8> {
    let mut message = hex("000a 0040 65920080");
    message.extend(sequence.to_be_bytes());
    message.extend(hex("00000007"));
    message.extend(hex("0002 0014 0100 0003 0008 0004 0001 0008 0099 0008"));
    message.extend(hex(
        "0100 001c c0000201 0000000000000064 0000018cc251e7d0 00000000",
    ));
    message
}

/// [`ipfix`] whose data set claims four octets more than the message has.
pub fn overrun() -> Vec<u8> {
    let mut message = ipfix(1);
    let set = message.len() - 28;
    message[set + 3] += 4;
    message
}

/// The octets that are written, spaces aside.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub fn exporter() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 40_000).into()
}

pub fn collector(port: u16) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 9), port).into()
}

/// A UDP datagram, with its checksum.
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16 + 8;
    let mut datagram = [from.port(), to.port(), length, 0]
        .map(u16::to_be_bytes)
        .concat();
    datagram.extend(payload);
    let mut pseudo = addresses(from, to);
    pseudo.extend([0, 17]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend(&datagram);
    datagram[6..8].copy_from_slice(&(!ones_sum(&pseudo)).to_be_bytes());
    datagram
}

/// A TCP segment. Flags: 1 FIN, 2 SYN, 4 RST, 16 ACK.
pub fn tcp(from: SocketAddr, to: SocketAddr, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [from.port(), to.port()].map(u16::to_be_bytes).concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

/// An IP packet.
pub fn ip(from: SocketAddr, to: SocketAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment(from, to, protocol, 0, 0, payload)
}

/// A piece of an IPv4 packet: `offset` in units of eight octets, with 0x2000 if more follow. IPv6 packets are whole.
pub fn fragment(
    from: SocketAddr,
    to: SocketAddr,
    protocol: u8,
    id: u16,
    offset: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet;
    if from.is_ipv4() {
        packet = vec![0x45, 0];
        packet.extend((payload.len() as u16 + 20).to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend(offset.to_be_bytes());
        packet.extend([64, protocol, 0, 0]);
    } else {
        packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([protocol, 64]);
    }
    packet.extend(addresses(from, to));
    packet.extend(payload);
    packet
}

/// An Ethernet frame.
pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 6 {
        [0x86, 0xdd]
    } else {
        [8, 0]
    };
    [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        &ether_type[..],
        packet,
    ]
    .concat()
}

/// A frame with one message over UDP from [`exporter`] to a port of [`collector`].
pub fn frame(port: u16, message: &[u8]) -> Vec<u8> {
    let (from, to) = (exporter(), collector(port));
    ethernet(&ip(from, to, 17, &udp(from, to, message)))
}

/// A pcap file of Ethernet frames, one a second from 2024-01-01 00:00:00.
pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = hex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000");
    for (index, frame) in frames.iter().enumerate() {
        for word in [
            0x6592_0080 + index as u32,
            0,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// An address of the documentation prefix.
pub fn v6(last: u16, port: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), port).into()
}

fn addresses(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(address) => address.ip().octets().to_vec(),
        SocketAddr::V6(address) => address.ip().octets().to_vec(),
    };
    [octets(from), octets(to)].concat()
}

fn ones_sum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
