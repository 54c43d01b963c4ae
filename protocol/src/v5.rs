//! NetFlow v5: a 24-octet header and up to 30 records of 48 octets ("NetFlow Export Datagram Format", Cisco).

use std::sync::{Arc, LazyLock};

use crate::error::{DecodeError, DecodeErrorKind, short_header};
use crate::reader::{Reader, Truncated};
use crate::registry::ie;
use crate::template::{FieldSpecifier, Template, TemplateKind};

const RECORD: usize = 48;
const MOST_RECORDS: u16 = 30;

/// The record of NetFlow v5 in terms of IANA's elements; what is padding there is `paddingOctets` here.
const FIELDS: [FieldSpecifier; 20] = [
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

static TEMPLATE: LazyLock<Option<Arc<Template>>> = LazyLock::new(|| {
    Template::new(5, 0, TemplateKind::Data, FIELDS.to_vec())
        .ok()
        .map(Arc::new)
});

/// The fixed template of all v5 records. (Always there; the `Option` spares a panic path.)
pub(crate) fn template() -> Option<&'static Arc<Template>> {
    TEMPLATE.as_ref()
}

/// A checked packet.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
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
    let room = reader.left() / RECORD;
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
        .take(count * RECORD)
        .map_err(|_| fault)?
        .chunks_exact(RECORD);
    packet.trailing = (reader.left(), reader.offset());
    Ok(packet)
}

fn header<'a>(reader: &mut Reader<'_>) -> Result<Packet<'a>, Truncated> {
    let _version = reader.u16()?;
    let count = reader.u16()?;
    let uptime_ms = reader.u32()?;
    let seconds = u64::from(reader.u32()?);
    let nanoseconds = u64::from(reader.u32()?);
    Ok(Packet {
        count,
        uptime_ms,
        export_ms: seconds * 1000 + nanoseconds / 1_000_000,
        sequence: reader.u32()?,
        engine: reader.u16()?,
        sampling: reader.u16()?,
        records: [].chunks_exact(RECORD),
        trailing: (0, 0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_template_is_the_record() {
        assert_eq!(template().unwrap().fixed_length(), Some(RECORD));
    }

    #[test]
    fn count_and_length_must_agree() {
        let mut bytes = vec![0; 24 + 2 * RECORD];
        bytes[1] = 5;
        for (count, ok) in [(0, false), (1, true), (2, true), (3, false), (31, false)] {
            bytes[3] = count;
            let packet = packet(&bytes);
            assert_eq!(packet.is_ok(), ok, "{count}");
            if let Ok(packet) = packet {
                assert_eq!(packet.records.len(), usize::from(count));
                assert_eq!(packet.trailing.0, (2 - usize::from(count)) * RECORD);
            }
        }
        assert!(packet(&bytes[..23]).is_err());
    }
}
