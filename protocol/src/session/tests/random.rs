//! Cut, broken, random and generated messages.

use proptest::prelude::*;

use super::*;
use crate::encoder::{Encoder, EncoderConfig, ExportVersion, Message, RecordWriter, TemplateSpec};
use crate::template::{FieldSpecifier, Template, TemplateKind, VARIABLE_LENGTH};
use crate::testing::SeenRecord;

#[test]
fn a_message_cut_anywhere_gives_only_whole_records() {
    let sets = [
        set(0, TEMPLATE),
        set(1, "0101 0004 0004 0002 0004 0022 0004"),
        set(256, "00000001 00000002"),
        set(257, "00000007 00000064"),
    ];
    for message in [
        v9(0, &sets),
        ipfix(0, &[set(2, TEMPLATE), set(256, "00000001 00000002")]),
        v5(0, 3),
    ] {
        let mut whole = Collector::new();
        whole.udp(&message);
        for end in 0..message.len() {
            let mut cut = Collector::new();
            cut.udp(&message[..end]);
            assert!(whole.octets().starts_with(&cut.octets()), "{end}");
        }
    }
}

/// What the session says it holds is what it holds.
fn assert_totals(session: &Session) {
    let domains = || {
        session
            .exporters
            .values()
            .flat_map(|exporter| exporter.domains.values())
    };
    let (pending, fields) = domains()
        .map(Domain::holds)
        .fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
    assert_eq!(
        (session.totals.pending, session.totals.fields),
        (pending, fields)
    );
}

fn octets(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    // Small numbers are lengths, counts and IDs: they lead further in than any octet does.
    prop::collection::vec(prop_oneof![0_u8..5, any::<u8>()], length)
}

proptest! {
    #[test]
    fn random_octets_leave_nothing_behind(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..20)) {
        let mut collector = Collector::new();
        for (port, datagram) in (1..).zip(&datagrams) {
            collector.udp_from(port, datagram);
        }
        prop_assert_eq!(collector.session.exporters(), 0);
        prop_assert!(collector.seen.records.is_empty());
    }

    #[test]
    fn broken_messages_never_panic_and_totals_hold(
        messages in prop::collection::vec((0..3_u8, 0..3_u8, octets(0..200), octets(0..60), any::<bool>()), 1..30)
    ) {
        let limits = Limits { exporters: 2, domains: 2, templates: 3, fields: 8, pending_domain: 900, pending_total: 1200, ..Limits::default() };
        let mut collector = Collector::with(limits);
        for (step, (version, port, first, second, stream)) in (0..).zip(messages) {
            let set = |id: u16, body: &[u8]| {
                let length = u16::try_from(body.len() + 4).unwrap();
                [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
            };
            let sets = [set(u16::from(second.first().copied().unwrap_or(0)), &first), set(256, &second), first];
            let message = match version {
                0 => v5(step, second.first().copied().unwrap_or(1)),
                1 => v9(step, &sets),
                _ => ipfix(step, &sets),
            };
            collector.now_ms += 7000;
            if stream {
                collector.tcp(&message);
            } else {
                collector.udp_from(port.into(), &message);
            }
            assert_totals(&collector.session);
            collector.session.tick(collector.now_ms, &mut collector.seen);
        }
        collector.session.close(peer(4739), &mut collector.seen);
        assert_totals(&collector.session);
        prop_assert!(collector.session.totals.pending <= limits.pending_total);
    }

    #[test]
    fn what_was_encoded_is_decoded(
        ipfix in any::<bool>(),
        lengths in prop::collection::vec(prop::collection::vec(prop_oneof![1_u16..20, Just(VARIABLE_LENGTH)], 1..10), 1..5),
        records in prop::collection::vec((any::<prop::sample::Index>(), octets(60..61), 0_usize..60), 0..60),
        max_message in 700_usize..1500,
    ) {
        let version = if ipfix { ExportVersion::Ipfix } else { ExportVersion::V9 };
        let specs: Vec<TemplateSpec> = (256..).zip(&lengths).map(|(id, lengths)| {
            // v9 has no variable length.
            let length = |length: u16| if ipfix || length != VARIABLE_LENGTH { length } else { 20 };
            let fields = (1..).zip(lengths).map(|(element, octets)| FieldSpecifier::new(element, length(*octets))).collect();
            let kind = if id % 2 == 0 { TemplateKind::Data } else { TemplateKind::Options { scope_count: 1 } };
            TemplateSpec { id, kind, fields, max_records: usize::from(id % 3) * 5 }
        }).collect();
        let config = EncoderConfig { version, domain: 9, max_message, refresh_messages: 3, ..EncoderConfig::default() };
        let mut encoder = Encoder::new(config, specs.clone()).unwrap();
        let mut collector = Collector::new();
        let mut messages = Vec::new();
        let mut expected = Vec::new();
        for (template, material, length) in &records {
            let spec = &specs[template.index(specs.len())];
            let fill = |record: &mut RecordWriter<'_>| {
                for field in &spec.fields {
                    match field.length {
                        // At most 9 fields of 60 octets: no record is too long for a message.
                        VARIABLE_LENGTH => record.variable(&material[..*length]),
                        fixed => record.bytes(&material[..usize::from(fixed)]),
                    }
                }
            };
            let mut keep = |message: Message<'_>| messages.push(message.octets.to_vec());
            encoder.record(usize::from(spec.id - 256), 0, 0, 0, fill, &mut keep).unwrap();
            let values = spec.fields.iter().map(|field| match field.length {
                VARIABLE_LENGTH => material[..*length].to_vec(),
                fixed => material[..usize::from(fixed)].to_vec(),
            });
            expected.push((spec.id, values.collect::<Vec<_>>()));
        }
        encoder.flush(0, &mut |message: Message<'_>| messages.push(message.octets.to_vec()));
        for message in &messages {
            prop_assert!(message.len() <= max_message);
            collector.udp(message);
        }
        prop_assert!(collector.seen.errors.is_empty(), "{:?}", collector.seen.errors);
        prop_assert!(collector.seen.losses.is_empty());
        let read = collector.seen.records.iter().map(|record| (record.template, values(&specs, record)));
        prop_assert_eq!(read.collect::<Vec<_>>(), expected);
    }
}

fn values(specs: &[TemplateSpec], record: &SeenRecord) -> Vec<Vec<u8>> {
    let spec = &specs[usize::from(record.template - 256)];
    let template = Template::new(10, spec.id, spec.kind, spec.fields.clone()).unwrap();
    template
        .values(&record.octets)
        .map(|(_, value)| value.to_vec())
        .collect()
}
