//! NetFlow v1, v5 and v7: a header and up to 30 records of one fixed form ("NetFlow Export Datagram Format", Cisco).
//!
//! v1 has a header of 16 octets and records of 52, without sequence number; v5 24 and 48; v7 (Catalyst switches) 24
//! and 52.

use std::sync::{Arc, LazyLock};

use crate::error::{DecodeError, DecodeErrorKind, short_header};
use crate::reader::{Reader, Truncated};
use crate::registry::ie;
use crate::template::{FieldSpecifier, Template, TemplateKind};

/// NetFlow v5 packets hold no more; v1 and v7 hold fewer.
const MOST_RECORDS: u16 = 30;

/// What all three versions begin with; v7 means the same octets as v5 up to the ports.
const COMMON: [FieldSpecifier; 11] = [
    FieldSpecifier::new(ie::SOURCE_IPV4_ADDRESS, 4),
    FieldSpecifier::new(ie::DESTINATION_IPV4_ADDRESS, 4),
    FieldSpecifier::new(ie::IP_NEXT_HOP_IPV4_ADDRESS, 4),
    FieldSpecifier::new(ie::INGRESS_INTERFACE, 2),
    FieldSpecifier::new(ie::EGRESS_INTERFACE, 2),
    FieldSpecifier::new(ie::PACKET_DELTA_COUNT, 4),
    FieldSpecifier::new(ie::OCTET_DELTA_COUNT, 4),
    FieldSpecifier::new(ie::FLOW_START_SYS_UP_TIME, 4),
    FieldSpecifier::new(ie::FLOW_END_SYS_UP_TIME, 4),
    FieldSpecifier::new(ie::SOURCE_TRANSPORT_PORT, 2),
    FieldSpecifier::new(ie::DESTINATION_TRANSPORT_PORT, 2),
];

const V1: [FieldSpecifier; 5] = [
    FieldSpecifier::new(ie::PADDING_OCTETS, 2),
    FieldSpecifier::new(ie::PROTOCOL_IDENTIFIER, 1),
    FieldSpecifier::new(ie::IP_CLASS_OF_SERVICE, 1),
    FieldSpecifier::new(ie::TCP_CONTROL_BITS, 1),
    FieldSpecifier::new(ie::PADDING_OCTETS, 11),
];

/// The first octet is padding in v5 and says in v7 which fields are not valid.
const V5: [FieldSpecifier; 9] = [
    FieldSpecifier::new(ie::PADDING_OCTETS, 1),
    FieldSpecifier::new(ie::TCP_CONTROL_BITS, 1),
    FieldSpecifier::new(ie::PROTOCOL_IDENTIFIER, 1),
    FieldSpecifier::new(ie::IP_CLASS_OF_SERVICE, 1),
    FieldSpecifier::new(ie::BGP_SOURCE_AS_NUMBER, 2),
    FieldSpecifier::new(ie::BGP_DESTINATION_AS_NUMBER, 2),
    FieldSpecifier::new(ie::SOURCE_IPV4_PREFIX_LENGTH, 1),
    FieldSpecifier::new(ie::DESTINATION_IPV4_PREFIX_LENGTH, 1),
    FieldSpecifier::new(ie::PADDING_OCTETS, 2),
];

const V7_ROUTER: [FieldSpecifier; 1] = [FieldSpecifier::new(ie::IPV4_ROUTER_SC, 4)];

/// The records of the three versions in terms of IANA's elements; what is padding there is `paddingOctets` here.
static TEMPLATES: LazyLock<[Option<Arc<Template>>; 3]> = LazyLock::new(|| {
    let template = |version, parts: &[&[FieldSpecifier]]| {
        let fields = parts.concat();
        Template::new(version, 0, TemplateKind::Data, fields)
            .ok()
            .map(Arc::new)
    };
    [
        template(1, &[&COMMON, &V1]),
        template(5, &[&COMMON, &V5]),
        template(7, &[&COMMON, &V5, &V7_ROUTER]),
    ]
});

/// The fields of a NetFlow v5 record, in order: 48 octets.
pub fn v5_record() -> impl Iterator<Item = FieldSpecifier> {
    COMMON.iter().chain(&V5).copied()
}

/// Whether messages of this version have records of one fixed form.
pub(crate) fn is_fixed(version: u16) -> bool {
    matches!(version, 1 | 5 | 7)
}

/// The template of all records of version 1, 5 or 7. (Always there; the `Option` spares a panic path.)
pub(crate) fn template(version: u16) -> Option<&'static Arc<Template>> {
    let [v1, v5, v7] = &*TEMPLATES;
    match version {
        1 => v1,
        5 => v5,
        7 => v7,
        _ => &None,
    }
    .as_ref()
}

/// Octets of a record.
fn record_length(version: u16) -> usize {
    if version == 5 { 48 } else { 52 }
}

/// A checked packet.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub version: u16,
    pub count: u16,
    pub uptime_ms: u32,
    pub export_ms: u64,
    pub sequence: u32,
    pub engine: u16,
    pub sampling: u16,
    pub records: std::slice::ChunksExact<'a, u8>,
    /// Octets behind the records, and where they begin.
    pub trailing: (usize, usize),
}

/// Reads a packet and checks its count against its length.
pub(crate) fn packet(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut packet = header(&mut reader).map_err(|at| short_header(at, bytes.len()))?;
    let record = record_length(packet.version);
    let room = reader.left() / record;
    let count = usize::from(packet.count);
    let fault = DecodeError {
        offset: 2,
        kind: DecodeErrorKind::V5Count {
            count: packet.count,
            room,
        },
    };
    if packet.count == 0 || packet.count > MOST_RECORDS {
        return Err(fault);
    }
    packet.records = reader
        .take(count * record)
        .map_err(|_| fault)?
        .chunks_exact(record);
    packet.trailing = (reader.left(), reader.offset());
    Ok(packet)
}

fn header<'a>(reader: &mut Reader<'_>) -> Result<Packet<'a>, Truncated> {
    let (version, count) = reader.u16_pair()?;
    let uptime_ms = reader.u32()?;
    let seconds = u64::from(reader.u32()?);
    let nanoseconds = u64::from(reader.u32()?);
    let mut packet = Packet {
        version,
        count,
        uptime_ms,
        export_ms: seconds * 1000 + nanoseconds / 1_000_000,
        sequence: 0,
        engine: 0,
        sampling: 0,
        records: [].chunks_exact(1),
        trailing: (0, 0),
    };
    if version != 1 {
        packet.sequence = reader.u32()?;
        // v7 has four reserved octets here.
        let (engine, sampling) = reader.u16_pair()?;
        if version == 5 {
            (packet.engine, packet.sampling) = (engine, sampling);
        }
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_template_is_the_record() {
        for version in [1, 5, 7] {
            let template = template(version).unwrap();
            assert_eq!(template.fixed_length(), Some(record_length(version)));
            assert_eq!(template.version(), version);
        }
        assert!(template(9).is_none());
    }

    #[test]
    fn count_and_length_must_agree() {
        for (version, header) in [(1, 16), (5, 24), (7, 24)] {
            let record = record_length(version);
            let mut bytes = vec![0; header + 2 * record];
            bytes[1] = version as u8;
            for (count, ok) in [(0, false), (1, true), (2, true), (3, false), (31, false)] {
                bytes[3] = count;
                let packet = packet(&bytes);
                assert_eq!(packet.is_ok(), ok, "{version} {count}");
                if let Ok(packet) = packet {
                    assert_eq!(packet.records.len(), usize::from(count));
                    assert_eq!(packet.trailing.0, (2 - usize::from(count)) * record);
                }
            }
            assert!(packet(&bytes[..header - 1]).is_err());
        }
    }
}
