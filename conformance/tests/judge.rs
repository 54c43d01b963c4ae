//! The judge on messages written by hand from the RFCs, and on our encoder's.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use conformance::vectors::{sent_ms, vectors};
use conformance::verdict::{Finding, Profile, Verdict};
use conformance::wire::{Judge, Options, Outcome, RULES, Transport};
use protocol::encoder::{
    Encoder, EncoderConfig, ExportVersion, Message, RecordWriter, TemplateSpec,
};
use protocol::registry::ie;
use protocol::template::{FieldSpecifier, TemplateKind, VARIABLE_LENGTH};

const STRICT: Options = Options {
    profile: Profile::Rfc7011,
    live: false,
    strict: true,
};

fn sender() -> SocketAddr {
    "192.0.2.7:4739".parse().unwrap()
}

fn judge(messages: &[Vec<u8>], transport: Transport) -> (Vec<Finding>, Outcome) {
    let mut judge = Judge::new(STRICT);
    let mut findings = Vec::new();
    for message in messages {
        let mut keep = |finding| findings.push(finding);
        judge.message(sent_ms(message), sender(), transport, message, &mut keep);
    }
    (findings, judge.finish())
}

#[test]
fn vectors_break_the_rules_that_they_name_and_no_other() {
    for vector in vectors().unwrap() {
        let name = vector.name;
        let (findings, outcome) = judge(&vector.messages, vector.transport);
        let broken: Vec<(&str, Verdict)> = outcome
            .iter()
            .filter(|rule| rule.count > 0)
            .map(|rule| (rule.rule, rule.verdict))
            .collect();
        assert_eq!(broken, vector.breaks, "{name}: {findings:?}");
    }
}

/// Rules that no vector breaks, and why.
const WITHOUT_VECTOR: &[(&str, &str)] = &[
    ("X-09", "takes one exporter on two transports at once"),
    ("X-21", "is about files; vectors are datagrams and streams"),
];

#[test]
fn every_rule_is_broken_by_a_vector() {
    let vectors = vectors().unwrap();
    let broken = |id: &str| {
        vectors
            .iter()
            .any(|vector| vector.breaks.iter().any(|(rule, _)| *rule == id))
    };
    let missing: Vec<&str> = RULES.iter().copied().filter(|id| !broken(id)).collect();
    let excused: Vec<&str> = WITHOUT_VECTOR.iter().map(|(id, _)| *id).collect();
    assert_eq!(missing, excused);
}

/// 2023-11-14 22:13:20.037 UTC.
const FIRST_MS: i64 = 1_700_000_000_037;

fn encoded(version: ExportVersion) -> Vec<Vec<u8>> {
    let (first, last) = match version {
        ExportVersion::V9 => (
            (ie::FLOW_START_SYS_UP_TIME, 4),
            (ie::FLOW_END_SYS_UP_TIME, 4),
        ),
        ExportVersion::Ipfix => (
            (ie::FLOW_START_MILLISECONDS, 8),
            (ie::FLOW_END_MILLISECONDS, 8),
        ),
    };
    let name = match version {
        ExportVersion::V9 => 5,
        ExportVersion::Ipfix => VARIABLE_LENGTH,
    };
    let template = |id, source, destination, octets| TemplateSpec {
        id,
        kind: TemplateKind::Data,
        fields: [
            first,
            last,
            (ie::PACKET_DELTA_COUNT, 8),
            (ie::OCTET_DELTA_COUNT, 3),
            (source, octets),
            (destination, octets),
            (ie::IP_VERSION, 1),
            (ie::INTERFACE_NAME, name),
        ]
        .map(|(id, length)| FieldSpecifier::new(id, length))
        .to_vec(),
        max_records: 0,
    };
    let templates = vec![
        template(
            256,
            ie::SOURCE_IPV4_ADDRESS,
            ie::DESTINATION_IPV4_ADDRESS,
            4,
        ),
        template(
            257,
            ie::SOURCE_IPV6_ADDRESS,
            ie::DESTINATION_IPV6_ADDRESS,
            16,
        ),
    ];
    let config = EncoderConfig {
        version,
        domain: 666,
        uptime_base_ms: FIRST_MS - 1000,
        ..EncoderConfig::default()
    };
    let mut encoder = Encoder::new(config, templates).unwrap();
    let mut messages = Vec::new();
    for number in 0..3000_u16 {
        let at_ms = FIRST_MS + i64::from(number) * 40;
        let mut keep = |message: Message<'_>| messages.push(message.octets.to_vec());
        let fill = |record: &mut RecordWriter<'_>| {
            for time_ms in [at_ms - 20, at_ms] {
                match version {
                    ExportVersion::V9 => record.uptime(time_ms),
                    ExportVersion::Ipfix => record.u64(time_ms.unsigned_abs()),
                }
            }
            record.u64(3);
            record.uint(1000 + u64::from(number), 3);
            let v6 = number % 3 == 0;
            let address = [
                [0x20, 1, 0xd, 0xb8],
                [0, 0, 0, 0],
                [0, 0, 0, 0],
                [0, 0, 0, 9],
            ]
            .concat();
            for _ in 0..2 {
                record.bytes(if v6 { &address } else { &[192, 0, 2, 9] });
            }
            record.u8(if v6 { 6 } else { 4 });
            match version {
                ExportVersion::V9 => record.bytes(b"eth00"),
                ExportVersion::Ipfix => record.variable(&b"ethernet"[..usize::from(number % 8)]),
            }
        };
        let index = usize::from(number % 3 == 0);
        encoder
            .record(index, at_ms - 20, at_ms, at_ms, fill, &mut keep)
            .unwrap();
    }
    encoder.flush(FIRST_MS + 120_000, &mut |message| {
        messages.push(message.octets.to_vec());
    });
    messages
}

#[test]
fn our_encoder_passes_every_rule() {
    for (version, must) in [
        (
            ExportVersion::V9,
            ["H-02", "H-04", "H-13", "T-12", "S-06", "T-37"],
        ),
        (
            ExportVersion::Ipfix,
            ["H-07", "H-08", "F-11", "T-11", "F-09", "T-37"],
        ),
    ] {
        let messages = encoded(version);
        assert!(messages.len() > 60);
        let (findings, outcome) = judge(&messages, Transport::Udp);
        assert_eq!(findings, []);
        for id in must {
            let rule = outcome.iter().find(|rule| rule.rule == id).unwrap();
            assert_eq!(rule.verdict, Verdict::Pass, "{id}: {}", rule.reason);
        }
    }
}
