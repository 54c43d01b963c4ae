//! Messages made by hand after RFC 3954, RFC 7011 and Cisco's description of NetFlow v5.

use std::time::{SystemTime, UNIX_EPOCH};

/// A field of a template: element number, length.
pub type Field = (u16, u16);

/// Source, destination, source port, destination port, protocol, packets, bytes, first and last millisecond of uptime.
pub const FIELDS: [Field; 9] = [
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
];
/// The same with absolute times, for IPFIX.
pub const IPFIX_FIELDS: [Field; 9] = [
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (2, 4),
    (1, 4),
    (152, 8),
    (153, 8),
];
/// 2026-01-02T03:04:05Z.
pub const EXPORT_S: u32 = 1_767_323_045;
/// The uptime in the headers of v5 and v9.
pub const UPTIME_MS: u32 = 1_000_000;

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A flow of 10.0.0.1 port `port` to 10.0.0.2 port 80 that ended one second before the export and lasted 500 ms.
pub fn flow(port: u16, packets: u32, bytes: u32) -> Vec<u8> {
    let mut record = key(port, packets, bytes);
    record.extend((UPTIME_MS - 1500).to_be_bytes());
    record.extend((UPTIME_MS - 1000).to_be_bytes());
    record
}

/// The same with absolute times.
pub fn ipfix_flow(port: u16, packets: u32, bytes: u32) -> Vec<u8> {
    let mut record = key(port, packets, bytes);
    let export_ms = u64::from(EXPORT_S) * 1000;
    record.extend((export_ms - 1500).to_be_bytes());
    record.extend((export_ms - 1000).to_be_bytes());
    record
}

fn key(port: u16, packets: u32, bytes: u32) -> Vec<u8> {
    let mut record = vec![10, 0, 0, 1, 10, 0, 0, 2];
    record.extend(port.to_be_bytes());
    record.extend(80_u16.to_be_bytes());
    record.push(6);
    record.extend(packets.to_be_bytes());
    record.extend(bytes.to_be_bytes());
    record
}

/// A set (IPFIX) or FlowSet (v9) of records, padded to 4 octets.
pub fn set(id: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut body = records.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let mut set = id.to_be_bytes().to_vec();
    set.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    set.extend(body);
    set
}

/// A template record.
pub fn template(id: u16, fields: &[Field]) -> Vec<u8> {
    let mut record = id.to_be_bytes().to_vec();
    record.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
    for (element, length) in fields {
        record.extend(element.to_be_bytes());
        record.extend(length.to_be_bytes());
    }
    record
}

/// A NetFlow v9 message with source id 7.
pub fn v9(sequence: u32, count: u16, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = 9_u16.to_be_bytes().to_vec();
    message.extend(count.to_be_bytes());
    for word in [UPTIME_MS, EXPORT_S, sequence, 7] {
        message.extend(word.to_be_bytes());
    }
    message.extend(sets.concat());
    message
}

/// An IPFIX message of observation domain 8.
pub fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut message = 10_u16.to_be_bytes().to_vec();
    message.extend(u16::try_from(body.len() + 16).unwrap().to_be_bytes());
    for word in [EXPORT_S, sequence, 8] {
        message.extend(word.to_be_bytes());
    }
    message.extend(body);
    message
}

/// A NetFlow v5 packet of engine 3/4 with flows like [`flow`]'s, with interfaces 1 and 2, AS 64500 and 64501.
pub fn v5(sequence: u32, flows: &[(u16, u32, u32)]) -> Vec<u8> {
    let mut packet = 5_u16.to_be_bytes().to_vec();
    packet.extend(u16::try_from(flows.len()).unwrap().to_be_bytes());
    for word in [UPTIME_MS, EXPORT_S, 0, sequence] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend([3, 4, 0, 0]);
    for &(port, packets, bytes) in flows {
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2, 192, 0, 2, 9, 0, 1, 0, 2]);
        packet.extend(packets.to_be_bytes());
        packet.extend(bytes.to_be_bytes());
        packet.extend((UPTIME_MS - 1500).to_be_bytes());
        packet.extend((UPTIME_MS - 1000).to_be_bytes());
        packet.extend(port.to_be_bytes());
        packet.extend(80_u16.to_be_bytes());
        packet.extend([0, 0x1b, 6, 0x10]);
        packet.extend(64500_u16.to_be_bytes());
        packet.extend(64501_u16.to_be_bytes());
        packet.extend([24, 25, 0, 0]);
    }
    packet
}
