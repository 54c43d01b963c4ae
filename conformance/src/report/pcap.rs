//! Offending messages as captures, for other programs to look at: one file a broken rule, with raw IP packets made
//! anew around the message.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;

use super::Report;

const LINKTYPE_RAW: u32 = 101;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Octets that fit a datagram over IPv4.
const MOST_IN_DATAGRAM: usize = 65_507;

/// Octets of a stream in one packet: a message may be longer than an IP packet with its headers.
const SEGMENT: usize = 60_000;

/// Writes `ID.pcap` into `folder`, which is made if it is not there, for each broken rule: the first offending
/// message, after the earlier ones that it is read with.
///
/// # Errors
/// When a file cannot be written.
pub fn write_captures(report: &Report, folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    for result in report.broken() {
        let Some(first) = &result.first else {
            continue;
        };
        let path = folder.join(format!("{}.pcap", result.requirement.rule.id));
        let context = first.context.iter();
        let messages: Vec<(u64, &[u8])> = context
            .map(|kept| (kept.at_ms, kept.bytes.as_slice()))
            .chain([(first.at_ms, first.bytes.as_slice())])
            .collect();
        let way = Way {
            from: first.from,
            to: first.to,
            stream: first.transport.is_stream(),
        };
        fs::write(&path, capture(way, &messages))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// How the messages of one capture travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The exporter.
    pub(crate) from: SocketAddr,
    /// The collector.
    pub(crate) to: SocketAddr,
    /// Over TCP, in place of UDP.
    pub(crate) stream: bool,
}

/// A capture of these messages, each with its time in milliseconds since 1970.
pub(crate) fn capture(way: Way, messages: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = head();
    let mut sequence = 1_u32;
    for (at_ms, bytes) in messages {
        if !way.stream && bytes.len() <= MOST_IN_DATAGRAM {
            record(&mut file, way, *at_ms, UDP, &udp(way, bytes));
            continue;
        }
        for part in bytes.chunks(SEGMENT) {
            record(&mut file, way, *at_ms, TCP, &tcp(way, sequence, part));
            sequence = sequence.wrapping_add(part.len() as u32);
        }
    }
    file
}

/// One message as a datagram of a capture; what is too long for one is cut.
pub(crate) fn frame(way: Way, at_ms: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = bytes.get(..MOST_IN_DATAGRAM).unwrap_or(bytes);
    record(&mut file, way, at_ms, UDP, &udp(way, bytes));
    file
}

/// The head of a capture.
pub(crate) fn head() -> Vec<u8> {
    let mut file = Vec::new();
    // Microseconds, version 2.4, no zone, no limit.
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    for word in [0, 0, 262_144, LINKTYPE_RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    file
}

fn record(file: &mut Vec<u8>, way: Way, at_ms: u64, protocol: u8, payload: &[u8]) {
    let packet = ip(way, protocol, payload);
    let seconds = u32::try_from(at_ms / 1000).unwrap_or(u32::MAX);
    let micros = (at_ms % 1000) as u32 * 1000;
    for word in [seconds, micros, packet.len() as u32, packet.len() as u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend(packet);
}

fn udp(way: Way, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len() + 8).unwrap_or(u16::MAX);
    let mut datagram = ports(way);
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(bytes);
    // IPFIX must have a checksum: that none was there is not to be added to the fault.
    let sum = match !sum(&[&pseudo(way, UDP, datagram.len()), &datagram]) {
        0 => 0xffff,
        sum => sum,
    };
    if let Some(place) = datagram.get_mut(6..8) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    datagram
}

fn tcp(way: Way, sequence: u32, part: &[u8]) -> Vec<u8> {
    let mut segment = ports(way);
    segment.extend(sequence.to_be_bytes());
    // Acknowledgement 1, header of five words, PSH and ACK, a window.
    segment.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(part);
    let sum = !sum(&[&pseudo(way, TCP, segment.len()), &segment]);
    if let Some(place) = segment.get_mut(16..18) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    segment
}

fn ports(way: Way) -> Vec<u8> {
    [way.from.port(), way.to.port()]
        .map(u16::to_be_bytes)
        .concat()
}

/// Both addresses, as IPv6 if one of them is.
fn addresses(way: Way) -> Vec<u8> {
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (way.from.ip(), way.to.ip()) {
        return [from.octets(), to.octets()].concat();
    }
    [way.from.ip(), way.to.ip()]
        .map(|address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        })
        .concat()
}

/// What checksums take in of the IP header.
fn pseudo(way: Way, protocol: u8, length: usize) -> Vec<u8> {
    let mut octets = addresses(way);
    octets.extend([0, protocol]);
    octets.extend((length as u32).to_be_bytes());
    octets
}

fn ip(way: Way, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 40);
    let addresses = addresses(way);
    if addresses.len() == 8 {
        let total = u16::try_from(payload.len() + 20).unwrap_or(u16::MAX);
        packet.extend([0x45, 0]);
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        packet.extend(addresses);
        let sum = !sum(&[&packet]);
        if let Some(place) = packet.get_mut(10..12) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
    } else {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        packet.extend([0x60, 0, 0, 0]);
        packet.extend(length.to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend(addresses);
    }
    packet.extend(payload);
    packet
}

/// Ones' complement sum of 16-bit words; all parts but the last have an even number of octets.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|pair| match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(high) << 8,
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
