//! The encoder's messages, read by somebody else's decoder (the `netflow_parser` crate).
#![allow(clippy::unwrap_used)]

use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};
use protocol::encoder::{
    Encoder, EncoderConfig, ExportVersion, Message, RecordWriter, TemplateSpec,
};
use protocol::registry::ie;
use protocol::template::{FieldSpecifier, REVERSE_PEN, TemplateKind, VARIABLE_LENGTH};

/// 2023-11-14 22:13:20.037 UTC.
const FIRST_MS: i64 = 1_700_000_000_037;

/// One value of each encoding, the fields of T2's template among them.
fn v9_fields(version: u8) -> Vec<FieldSpecifier> {
    let (source, destination, octets) = match version {
        4 => (ie::SOURCE_IPV4_ADDRESS, ie::DESTINATION_IPV4_ADDRESS, 4),
        _ => (ie::SOURCE_IPV6_ADDRESS, ie::DESTINATION_IPV6_ADDRESS, 16),
    };
    [
        (ie::FLOW_START_SYS_UP_TIME, 4),
        (ie::FLOW_END_SYS_UP_TIME, 4),
        (ie::PACKET_DELTA_COUNT, 8),
        (ie::OCTET_DELTA_COUNT, 3),
        (source, octets),
        (destination, octets),
        (ie::SOURCE_TRANSPORT_PORT, 2),
        (ie::PROTOCOL_IDENTIFIER, 1),
        (ie::SOURCE_MAC_ADDRESS, 6),
    ]
    .map(|(id, length)| FieldSpecifier::new(id, length))
    .to_vec()
}

fn spec(id: u16, fields: Vec<FieldSpecifier>) -> TemplateSpec {
    TemplateSpec {
        id,
        kind: TemplateKind::Data,
        fields,
        max_records: 0,
    }
}

/// Encodes 100 records, record `n` by template `n % 2`; what `fill` writes for them is what was expected.
fn encode(
    version: ExportVersion,
    templates: &[TemplateSpec],
    fill: impl Fn(&mut RecordWriter<'_>, u32),
) -> Vec<Vec<u8>> {
    let config = EncoderConfig {
        version,
        domain: 666,
        uptime_base_ms: FIRST_MS - 1000,
        ..EncoderConfig::default()
    };
    let mut encoder = Encoder::new(config, templates.to_vec()).unwrap();
    let mut messages = Vec::new();
    for number in 0..100_u32 {
        let mut keep = |message: Message<'_>| messages.push(message.octets.to_vec());
        let at_ms = FIRST_MS + i64::from(number);
        let write = |record: &mut RecordWriter<'_>| fill(record, number);
        encoder
            .record((number % 2) as usize, at_ms, at_ms, at_ms, write, &mut keep)
            .unwrap();
    }
    encoder.flush(FIRST_MS, &mut |message: Message<'_>| {
        messages.push(message.octets.to_vec());
    });
    messages
}

fn packets(messages: &[Vec<u8>]) -> Vec<NetflowPacket> {
    let mut parser = NetflowParser::default();
    messages
        .iter()
        .map(|message| {
            let mut result = parser.parse_bytes(message);
            assert!(result.error.is_none(), "{:?}", result.error);
            assert_eq!(result.packets.len(), 1);
            result.packets.remove(0)
        })
        .collect()
}

fn octets<'a>(values: impl Iterator<Item = &'a FieldValue>) -> Vec<u8> {
    let mut octets = Vec::new();
    for value in values {
        value.write_be_bytes(&mut octets).unwrap();
    }
    octets
}

#[test]
fn netflow_v9() {
    let templates = [spec(256, v9_fields(4)), spec(257, v9_fields(6))];
    let address = |number: u32, length: usize| vec![u8::try_from(number).unwrap() + 1; length];
    let length = |number: u32| if number.is_multiple_of(2) { 4 } else { 16 };
    let messages = encode(ExportVersion::V9, &templates, |record, number| {
        record.uptime(FIRST_MS + i64::from(number));
        record.uptime(FIRST_MS + i64::from(number));
        record.u64(5);
        record.uint(0x01_0203, 3);
        record.bytes(&address(number, length(number)));
        record.bytes(&address(0, length(number)));
        record.u16(443);
        record.u8(6);
        record.bytes(&[2, 0, 0, 0, 0, 9]);
    });
    assert!(messages.len() > 3);
    let mut records = Vec::new();
    for (sequence, packet) in (0..).zip(packets(&messages)) {
        let NetflowPacket::V9(packet) = packet else {
            panic!("not NetFlow v9")
        };
        assert_eq!(
            (packet.header.sequence_number, packet.header.source_id),
            (sequence, 666)
        );
        let base_ms =
            i64::from(packet.header.unix_secs) * 1000 - i64::from(packet.header.sys_up_time);
        assert_eq!(base_ms, FIRST_MS - 1000);
        let before = records.len();
        let mut templates = 0;
        for set in packet.flowsets {
            match set.body {
                v9::FlowSetBody::Template(set) => templates += set.templates.len(),
                v9::FlowSetBody::Data(data) => {
                    records.extend(
                        data.fields
                            .iter()
                            .map(|fields| octets(fields.iter().map(|field| &field.1))),
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            usize::from(packet.header.count),
            templates + records.len() - before
        );
    }
    let expected = (0..100_u32).map(|number| {
        let uptime = (1000 + number).to_be_bytes();
        let addresses = [address(number, length(number)), address(0, length(number))].concat();
        let rest = [1, 187, 6, 2, 0, 0, 0, 0, 9];
        [
            &uptime[..],
            &uptime,
            &5_u64.to_be_bytes(),
            &[1, 2, 3],
            &addresses,
            &rest,
        ]
        .concat()
    });
    assert_eq!(records, expected.collect::<Vec<_>>());
}

#[test]
fn ipfix_with_variable_and_reverse_fields() {
    let fields = vec![
        FieldSpecifier::new(ie::FLOW_START_MILLISECONDS, 8),
        FieldSpecifier::new(ie::INTERFACE_NAME, VARIABLE_LENGTH),
        FieldSpecifier {
            id: ie::OCTET_DELTA_COUNT,
            pen: REVERSE_PEN,
            length: 8,
        },
    ];
    let templates = [spec(256, fields.clone()), spec(300, fields)];
    // From 1 octet on: this decoder loses records with an empty value, which RFC 7011 section 7 allows.
    let name = |number: u32| "n".repeat(number as usize * 3 + 1);
    let messages = encode(ExportVersion::Ipfix, &templates, |record, number| {
        record.u64(FIRST_MS.unsigned_abs());
        record.variable(name(number).as_bytes());
        record.u64(number.into());
    });
    assert!(messages.len() > 3);
    let mut records = Vec::new();
    for (message, packet) in messages.iter().zip(packets(&messages)) {
        let NetflowPacket::IPFix(packet) = packet else {
            panic!("not IPFIX")
        };
        assert_eq!(usize::from(packet.header.length), message.len());
        assert_eq!(packet.header.sequence_number as usize, records.len());
        assert_eq!(packet.header.observation_domain_id, 666);
        for set in packet.flowsets {
            match set.body {
                ipfix::FlowSetBody::Template(_) | ipfix::FlowSetBody::Templates(_) => {}
                ipfix::FlowSetBody::Data(data) => {
                    records.extend(
                        data.fields
                            .iter()
                            .map(|fields| octets(fields.iter().map(|field| &field.1))),
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let expected = (0..100_u32).map(|number| {
        let time = FIRST_MS.to_be_bytes();
        [
            &time[..],
            name(number).as_bytes(),
            &u64::from(number).to_be_bytes(),
        ]
        .concat()
    });
    assert_eq!(records, expected.collect::<Vec<_>>());
}
