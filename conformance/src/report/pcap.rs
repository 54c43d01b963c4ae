//! Offending messages as captures, for other programs to look at: one file a broken rule, with raw IP packets made
//! anew around the message.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;

use super::Report;
use crate::inspection::Evidence;
use crate::wire::Transport;

const LINKTYPE_RAW: u32 = 101;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Octets of a stream in one packet: a message may be longer than an IP packet with its headers.
const SEGMENT: usize = 60_000;

/// Writes `ID.pcap` into `folder`, which is made if it is not there, for each broken rule.
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
        fs::write(&path, capture(first))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn capture(first: &Evidence) -> Vec<u8> {
    let mut file = Vec::new();
    // Microseconds, version 2.4, no zone, no limit.
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    for word in [0, 0, 262_144, LINKTYPE_RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    match first.transport {
        Transport::Udp => record(&mut file, first, UDP, &udp(first)),
        Transport::Tcp | Transport::Tls | Transport::File => {
            let mut sequence = 1_u32;
            for part in first.bytes.chunks(SEGMENT) {
                record(&mut file, first, TCP, &tcp(first, sequence, part));
                sequence = sequence.wrapping_add(part.len() as u32);
            }
        }
    }
    file
}

fn record(file: &mut Vec<u8>, first: &Evidence, protocol: u8, payload: &[u8]) {
    let packet = ip(first, protocol, payload);
    let seconds = u32::try_from(first.at_ms / 1000).unwrap_or(u32::MAX);
    let micros = (first.at_ms % 1000) as u32 * 1000;
    for word in [seconds, micros, packet.len() as u32, packet.len() as u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend(packet);
}

/// The transport's checksums are left out: 0 means so for UDP, and nobody checks those of a file for TCP.
fn udp(first: &Evidence) -> Vec<u8> {
    let length = u16::try_from(first.bytes.len() + 8).unwrap_or(u16::MAX);
    let mut datagram = ports(first);
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(&first.bytes);
    datagram
}

fn tcp(first: &Evidence, sequence: u32, part: &[u8]) -> Vec<u8> {
    let mut segment = ports(first);
    segment.extend(sequence.to_be_bytes());
    // Acknowledgement 1, header of five words, PSH and ACK, a window.
    segment.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(part);
    segment
}

fn ports(first: &Evidence) -> Vec<u8> {
    [first.from.port(), first.to.port()]
        .map(u16::to_be_bytes)
        .concat()
}

fn ip(first: &Evidence, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 40);
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (first.from.ip(), first.to.ip()) {
        let total = u16::try_from(payload.len() + 20).unwrap_or(u16::MAX);
        packet.extend([0x45, 0]);
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        let sum = !checksum(&packet);
        if let Some(place) = packet.get_mut(10..12) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
    } else {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        packet.extend([0x60, 0, 0, 0]);
        packet.extend(length.to_be_bytes());
        packet.extend([protocol, 64]);
        for address in [first.from.ip(), first.to.ip()] {
            packet.extend(match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            });
        }
    }
    packet.extend(payload);
    packet
}

/// Ones' complement sum of an IPv4 header, which has an even number of octets.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header
        .chunks_exact(2)
        .map(|pair| {
            u32::from(
                pair.iter()
                    .fold(0_u16, |word, octet| word << 8 | u16::from(*octet)),
            )
        })
        .sum();
    ((sum & 0xffff) + (sum >> 16)) as u16
}
