#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::registry::ie;
use crate::session::Session;
use crate::template::{FieldSpecifier, REVERSE_PEN, TemplateError, TemplateKind, VARIABLE_LENGTH};
use crate::testing::{Seen, hex};
use crate::value::unsigned;

const DAY_MS: i64 = 86_400_000;
/// 2023-11-14 22:13:20.037 UTC.
const FIRST_MS: i64 = 1_700_000_000_037;

fn config(version: ExportVersion) -> EncoderConfig {
    EncoderConfig {
        version,
        domain: 666,
        uptime_base_ms: FIRST_MS - 1000,
        ..EncoderConfig::default()
    }
}

fn data(id: u16, fields: &[(u16, u16)]) -> TemplateSpec {
    let fields = fields
        .iter()
        .map(|(id, length)| FieldSpecifier::new(*id, *length))
        .collect();
    TemplateSpec {
        id,
        kind: TemplateKind::Data,
        fields,
        max_records: 0,
    }
}

/// First, last, packets: 12 octets.
fn timed(id: u16) -> TemplateSpec {
    data(
        id,
        &[
            (ie::FLOW_START_SYS_UP_TIME, 4),
            (ie::FLOW_END_SYS_UP_TIME, 4),
            (ie::PACKET_DELTA_COUNT, 4),
        ],
    )
}

fn encoder(config: EncoderConfig, templates: &[TemplateSpec]) -> Encoder {
    Encoder::new(config, templates.to_vec()).unwrap()
}

fn keep(out: &mut Vec<Vec<u8>>) -> impl FnMut(Message<'_>) {
    |message| out.push(message.octets.to_vec())
}

fn put(
    encoder: &mut Encoder,
    template: usize,
    first_ms: i64,
    last_ms: i64,
    now_ms: i64,
    out: &mut Vec<Vec<u8>>,
) {
    let fill = |record: &mut RecordWriter<'_>| {
        record.uptime(first_ms);
        record.uptime(last_ms);
        record.u32(7);
    };
    encoder
        .record(template, first_ms, last_ms, now_ms, fill, &mut keep(out))
        .unwrap();
}

fn flush(encoder: &mut Encoder, now_ms: i64, out: &mut Vec<Vec<u8>>) {
    encoder.flush(now_ms, &mut keep(out));
}

fn decode(messages: &[Vec<u8>]) -> Seen {
    let mut session = Session::new(Limits::default());
    let mut seen = Seen::default();
    for message in messages {
        session.datagram(0, "192.0.2.1:2055".parse().unwrap(), message, &mut seen);
    }
    assert_eq!(
        (&seen.errors, &seen.losses, seen.restarts),
        (&vec![], &vec![], 0)
    );
    assert_eq!(session.counters().out_of_order, 0);
    seen
}

#[test]
fn a_v9_message_octet_by_octet() {
    let fields = [(22, 4), (21, 4), (1, 3), (4, 1), (5, 1)];
    let mut encoder = encoder(config(ExportVersion::V9), &[data(256, &fields)]);
    let last_ms = FIRST_MS + 1463;
    let fill = |record: &mut RecordWriter<'_>| {
        record.uptime(FIRST_MS);
        record.uptime(last_ms);
        record.uint(0x01_0203, 3);
        record.u8(6);
        record.u8(0x10);
    };
    let mut out = Vec::new();
    encoder
        .record(0, FIRST_MS, last_ms, last_ms, fill, &mut keep(&mut out))
        .unwrap();
    flush(&mut encoder, last_ms, &mut out);
    // The header's time is 1700000002, the first whole second not before the last packet (1700000001.500); the
    // base is 1699999999.037, so the uptimes are 2963, 1000 and 2463 ms.
    let expected = hex("0009 0002 00000b93 6553f102 00000000 0000029a
         0000 001c 0100 0005 0016 0004 0015 0004 0001 0003 0004 0001 0005 0001
         0100 0014 000003e8 0000099f 010203 06 10 000000");
    assert_eq!(out, [expected]);
}

#[test]
fn an_ipfix_message_octet_by_octet() {
    let fields = vec![
        FieldSpecifier::new(ie::FLOW_START_MILLISECONDS, 8),
        FieldSpecifier::new(ie::INTERFACE_NAME, VARIABLE_LENGTH),
        FieldSpecifier {
            id: ie::OCTET_DELTA_COUNT,
            pen: REVERSE_PEN,
            length: 4,
        },
    ];
    let spec = TemplateSpec {
        id: 300,
        kind: TemplateKind::Data,
        fields,
        max_records: 1,
    };
    let mut encoder = encoder(config(ExportVersion::Ipfix), &[spec]);
    let mut out = Vec::new();
    for name in ["eth", ""] {
        let fill = |record: &mut RecordWriter<'_>| {
            record.u64(FIRST_MS.unsigned_abs());
            record.variable(name.as_bytes());
            record.u32(0xdead_beef);
        };
        encoder
            .record(0, FIRST_MS, FIRST_MS, FIRST_MS, fill, &mut keep(&mut out))
            .unwrap();
    }
    let first = hex("000a 003c 6553f101 00000000 0000029a
         0002 0018 012c 0003 0098 0008 0052 ffff 8001 0004 00007279
         012c 0014 0000018bcfe56825 03657468 deadbeef");
    let second =
        hex("000a 0024 6553f101 00000001 0000029a 012c 0014 0000018bcfe56825 00 deadbeef 000000");
    assert_eq!(out, [first, second]);
}

/// What a record writer with room for 300 octets writes.
fn written(fill: impl Fn(&mut RecordWriter<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 300];
    let mut record = RecordWriter::new(&mut buffer, 0);
    fill(&mut record);
    let length = record.length();
    buffer[..length].to_vec()
}

#[test]
fn long_values_have_three_octets_of_length() {
    for (length, prefix) in [
        (254, vec![254]),
        (255, vec![255, 0, 255]),
        (256, vec![255, 1, 0]),
    ] {
        let octets = written(|record| record.variable(&vec![7; length]));
        assert_eq!(octets[..prefix.len()], prefix);
        assert_eq!(octets.len(), prefix.len() + length);
    }
}

#[test]
fn reduced_sizes_hold_what_they_can() {
    let octets = written(|record| {
        record.uint(0x1234, 1);
        record.uint(0x1234, 2);
        record.uint(u64::MAX, 8);
        record.uint(5, 3);
    });
    assert_eq!(octets, hex("ff 1234 ffffffffffffffff 000005"));
}

#[test]
fn a_record_longer_than_a_message_is_refused() {
    let fields = vec![FieldSpecifier::new(ie::INTERFACE_NAME, VARIABLE_LENGTH)];
    let spec = TemplateSpec {
        id: 256,
        kind: TemplateKind::Data,
        fields,
        max_records: 0,
    };
    let mut encoder = encoder(config(ExportVersion::Ipfix), &[spec]);
    let mut out = Vec::new();
    for (length, fits) in [(1377, true), (1378, false), (5000, false), (0, true)] {
        let fill = |record: &mut RecordWriter<'_>| record.variable(&vec![b'n'; length]);
        let result = encoder.record(0, FIRST_MS, FIRST_MS, FIRST_MS, fill, &mut keep(&mut out));
        assert_eq!(result.is_ok(), fits, "{length}");
        if let Err(error) = result {
            assert_eq!(
                error,
                EncodeError::RecordTooLong {
                    id: 256,
                    length: length + 3,
                    room: 1380
                }
            );
        }
    }
    flush(&mut encoder, FIRST_MS, &mut out);
    assert_eq!(decode(&out).records.len(), 2);
    assert!(out.iter().all(|message| message.len() <= 1400));
}

#[test]
fn options_templates_octet_by_octet() {
    let fields = [
        (1, 4),
        (ie::SAMPLING_INTERVAL, 4),
        (ie::SAMPLING_ALGORITHM, 1),
    ];
    let options = TemplateSpec {
        kind: TemplateKind::Options { scope_count: 1 },
        ..data(257, &fields)
    };
    let templates = [options, data(256, &[(ie::PROTOCOL_IDENTIFIER, 1)])];
    for (version, sets) in [
        (
            ExportVersion::V9,
            "0000 000c 0100 0001 0004 0001
             0001 0018 0101 0004 0008 0001 0004 0022 0004 0023 0001 0000",
        ),
        (
            ExportVersion::Ipfix,
            "0002 000c 0100 0001 0004 0001
             0003 0018 0101 0003 0001 0001 0004 0022 0004 0023 0001 0000",
        ),
    ] {
        let mut out = Vec::new();
        let mut encoder = encoder(config(version), &templates);
        encoder.templates(FIRST_MS, &mut keep(&mut out));
        let header = header_length(version);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0][header..], hex(sets), "{version:?}");
        assert_eq!(decode(&out).templates, [256, 257]);
    }
}

#[test]
fn a_message_closes_at_its_size() {
    for version in [ExportVersion::V9, ExportVersion::Ipfix] {
        for max_message in [64, 100, 101, 102, 103, 1400] {
            let config = EncoderConfig {
                max_message,
                ..config(version)
            };
            let mut encoder = encoder(config, &[timed(256), timed(257)]);
            let mut out = Vec::new();
            for number in 0..200 {
                put(
                    &mut encoder,
                    usize::from(number % 3 == 0),
                    FIRST_MS,
                    FIRST_MS,
                    FIRST_MS,
                    &mut out,
                );
            }
            flush(&mut encoder, FIRST_MS, &mut out);
            assert!(
                out.iter()
                    .all(|message| message.len() <= max_message && message.len() % 4 == 0)
            );
            assert_eq!(decode(&out).records.len(), 200);
        }
    }
}

#[test]
fn a_message_closes_at_the_records_of_one_template() {
    let mut four = timed(256);
    four.max_records = 3;
    let mut encoder = encoder(config(ExportVersion::V9), &[four, timed(257)]);
    let mut out = Vec::new();
    for template in [0, 1, 1, 1, 1, 0, 0, 1, 0] {
        put(
            &mut encoder,
            template,
            FIRST_MS,
            FIRST_MS,
            FIRST_MS,
            &mut out,
        );
    }
    assert_eq!(out.len(), 1);
    flush(&mut encoder, FIRST_MS, &mut out);
    flush(&mut encoder, FIRST_MS, &mut out);
    // 2 templates and 7 records; 2 records.
    assert_eq!(
        out.iter().map(|message| message[3]).collect::<Vec<_>>(),
        [9, 2]
    );
    assert_eq!(decode(&out).records.len(), 9);
    let counters = encoder.counters();
    assert_eq!(
        (counters.messages, counters.records, counters.templates),
        (2, 9, 2)
    );
    assert_eq!(
        counters.octets,
        out.iter().map(|message| message.len() as u64).sum::<u64>()
    );
}

/// Which messages carry templates; the template sets are the same octets each time.
fn refreshes(
    version: ExportVersion,
    messages: u32,
    interval_ms: u64,
    steps_ms: &[i64],
) -> Vec<usize> {
    let config = EncoderConfig {
        refresh_messages: messages,
        refresh_interval_ms: interval_ms,
        ..config(version)
    };
    let mut encoder = encoder(config, &[timed(256), timed(257)]);
    let mut out = Vec::new();
    let mut now_ms = FIRST_MS;
    for step_ms in steps_ms {
        now_ms += step_ms;
        put(&mut encoder, 0, now_ms, now_ms, now_ms, &mut out);
        flush(&mut encoder, now_ms, &mut out);
    }
    assert_eq!(decode(&out).records.len(), steps_ms.len());
    let header = header_length(version);
    let sets = header..header + 36;
    let with = |message: &Vec<u8>| {
        message.get(header) == Some(&0) && message.get(sets.clone()) == out[0].get(sets.clone())
    };
    out.iter()
        .enumerate()
        .filter(|(_, message)| with(message))
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn templates_come_again_by_messages_and_by_time() {
    for version in [ExportVersion::V9, ExportVersion::Ipfix] {
        assert_eq!(refreshes(version, 3, 0, &[0; 8]), [0, 3, 6]);
        assert_eq!(refreshes(version, 1, 0, &[0; 3]), [0, 1, 2]);
        assert_eq!(
            refreshes(version, 0, 60_000, &[0, 59_999, 1, 10, 60_000]),
            [0, 2, 4]
        );
        assert_eq!(refreshes(version, 0, 0, &[1_000_000; 4]), [0]);
    }
}

#[test]
fn templates_of_more_than_one_message_come_in_several() {
    let config = EncoderConfig {
        max_message: 60,
        refresh_messages: 1,
        ..config(ExportVersion::V9)
    };
    let templates: Vec<TemplateSpec> = (256..262).map(timed).collect();
    let mut encoder = encoder(config, &templates);
    let mut out = Vec::new();
    put(&mut encoder, 5, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
    flush(&mut encoder, FIRST_MS, &mut out);
    let seen = decode(&out);
    assert_eq!(seen.templates, [256, 257, 258, 259, 260, 261]);
    assert_eq!(seen.records.len(), 1);
}

#[test]
fn buffers_do_not_grow() {
    let mut encoder = encoder(config(ExportVersion::V9), &[timed(256), timed(257)]);
    let mut octets = 0;
    for number in 0..10_000 {
        let fill = |record: &mut RecordWriter<'_>| record.bytes(&[0; 12]);
        let mut count = |message: Message<'_>| octets += message.octets.len() as u64;
        let at_ms = FIRST_MS + number * 100;
        encoder
            .record(
                usize::from(number % 7 == 0),
                at_ms,
                at_ms,
                at_ms,
                fill,
                &mut count,
            )
            .unwrap();
    }
    assert_eq!(encoder.message.capacity(), 1400);
    assert_eq!(octets, encoder.counters().octets);
}

#[test]
fn sequence_numbers_count_messages_or_records() {
    for (version, offset, expected) in [
        (ExportVersion::V9, 12, [0, 1, 2]),
        (ExportVersion::Ipfix, 8, [0, 2, 4]),
    ] {
        let mut spec = timed(256);
        spec.max_records = 2;
        let mut encoder = encoder(config(version), &[spec]);
        let mut out = Vec::new();
        for _ in 0..6 {
            put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
        }
        let sequence = |message: &Vec<u8>| unsigned(&message[offset..offset + 4]).unwrap();
        assert_eq!(out.iter().map(sequence).collect::<Vec<_>>(), expected);
        // A message of templates only is a message, but holds no record.
        encoder.templates(FIRST_MS, &mut keep(&mut out));
        put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
        flush(&mut encoder, FIRST_MS, &mut out);
        assert_eq!(
            sequence(&out[4]),
            if version == ExportVersion::V9 { 4 } else { 6 }
        );
        assert_eq!(decode(&out).records.len(), 7);
    }
}

/// Exports flows of (first, last, export clock) and reads back (first, last) as a collector does.
fn through_the_wire(flows: &[(i64, i64, i64)]) -> (Vec<(i64, i64)>, EncoderCounters) {
    let mut encoder = encoder(config(ExportVersion::V9), &[timed(256)]);
    let mut out = Vec::new();
    for (first_ms, last_ms, now_ms) in flows {
        put(&mut encoder, 0, *first_ms, *last_ms, *now_ms, &mut out);
    }
    flush(
        &mut encoder,
        flows.last().map_or(0, |flow| flow.2),
        &mut out,
    );
    let seen = decode(&out);
    let times = seen.records.iter().map(|record| {
        let boot_ms = record.message.boot_ms().unwrap();
        let uptime =
            |at: usize| i64::try_from(unsigned(&record.octets[at..at + 4]).unwrap()).unwrap();
        let header_ms = i64::try_from(record.message.export_ms).unwrap();
        let times = (boot_ms + uptime(0), boot_ms + uptime(4));
        assert!(
            times.0.max(times.1) <= header_ms,
            "a record ends after its message was exported"
        );
        let now = i64::from(record.message.uptime_ms.unwrap());
        assert!(uptime(0).max(uptime(4)) <= now);
        assert!(
            now - uptime(4) < 1 << 31,
            "modulo 2^32 the record ends after its message was exported"
        );
        times
    });
    (times.collect(), *encoder.counters())
}

#[test]
fn times_survive_two_hundred_days() {
    // A flow of one hour every hour, exported three minutes later; some packets are stamped before the capture.
    let mut flows: Vec<(i64, i64, i64)> = (0..200 * 24)
        .map(|hour| FIRST_MS + hour * 3_600_000 + hour % 1000)
        .map(|first_ms| (first_ms, first_ms + 3_600_000, first_ms + 3_780_000))
        .collect();
    flows[40] = (FIRST_MS - 5 * DAY_MS, FIRST_MS - DAY_MS, flows[40].2);
    flows[4000] = (FIRST_MS, FIRST_MS + 1, flows[4000].2);
    let (times, counters) = through_the_wire(&flows);
    assert_eq!(
        times,
        flows
            .iter()
            .map(|flow| (flow.0, flow.1))
            .collect::<Vec<_>>()
    );
    assert_eq!(counters.clamped_times, 0);
    assert!(
        (4..12).contains(&counters.base_moves),
        "{}",
        counters.base_moves
    );
}

#[test]
fn a_gap_of_sixty_days_before_the_export_does_not_move_the_flow() {
    let flow = (FIRST_MS, FIRST_MS + 1000, FIRST_MS + 60 * DAY_MS);
    let (times, _) = through_the_wire(&[flow, flow]);
    assert_eq!(times, [(flow.0, flow.1); 2]);
}

#[test]
fn a_flow_of_sixty_days_keeps_its_end_and_is_counted() {
    let last_ms = FIRST_MS + 60 * DAY_MS;
    let (times, counters) = through_the_wire(&[(FIRST_MS, last_ms, last_ms)]);
    assert_eq!(times[0].1, last_ms);
    // The earliest time that 32 bits reach back to from the whole second after the end.
    assert_eq!(times[0].0, ceil_second(last_ms) - UPTIME_MAX);
    assert_eq!(counters.clamped_times, 1);
}

proptest! {
    #[test]
    fn times_are_exact_or_counted(
        flows in prop::collection::vec((-70 * DAY_MS..70 * DAY_MS, 0..55 * DAY_MS, 0..80 * DAY_MS), 1..60)
    ) {
        let mut clock_ms = FIRST_MS;
        let flows: Vec<_> = flows.into_iter().map(|(step_ms, length_ms, lag_ms)| {
            clock_ms = (clock_ms + step_ms).max(0);
            (clock_ms, clock_ms + length_ms, clock_ms + length_ms + lag_ms)
        }).collect();
        let (times, counters) = through_the_wire(&flows);
        let wrong = flows.iter().zip(&times).filter(|(flow, times)| (flow.0, flow.1) != **times);
        let too_long = flows.iter().filter(|flow| ceil_second(flow.1) - flow.0 > UPTIME_MAX);
        prop_assert_eq!(wrong.count() as u64, counters.clamped_times);
        prop_assert_eq!(too_long.count() as u64, counters.clamped_times);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let v9 = config(ExportVersion::V9);
    let ipfix = config(ExportVersion::Ipfix);
    let refuse = |config: EncoderConfig, spec: &[TemplateSpec]| {
        Encoder::new(config, spec.to_vec()).map(|_| ()).unwrap_err()
    };
    let small = |max_message| EncoderConfig { max_message, ..v9 };
    assert_eq!(refuse(small(23), &[]), EncodeError::MessageSize(23));
    assert_eq!(refuse(small(65536), &[]), EncodeError::MessageSize(65536));
    assert_eq!(
        refuse(v9, &[timed(256), timed(256)]),
        EncodeError::DuplicateTemplate(256)
    );
    assert_eq!(
        refuse(v9, &[timed(255)]),
        EncodeError::Template(TemplateError::ReservedId(255))
    );
    assert_eq!(
        refuse(v9, &[data(256, &[(82, VARIABLE_LENGTH)])]),
        EncodeError::Template(TemplateError::VariableInV9(256))
    );
    assert_eq!(
        refuse(v9, &[data(256, &[(82, 1377)])]),
        EncodeError::RecordTooLong {
            id: 256,
            length: 1377,
            room: 1376
        }
    );
    assert!(Encoder::new(v9, vec![data(256, &[(82, 1376)])]).is_ok());
    assert_eq!(
        refuse(small(36), &[timed(256)]),
        EncodeError::TemplateTooLong {
            id: 256,
            length: 20,
            room: 16
        }
    );
    let mut reverse = timed(256);
    reverse.fields[0].pen = REVERSE_PEN;
    assert!(matches!(
        refuse(v9, &[reverse]),
        EncodeError::EnterpriseInV9 { .. }
    ));
    assert_eq!(
        refuse(ipfix, &[data(256, &[(0x8001, 4)])]),
        EncodeError::ElementNumber {
            id: 256,
            element: 0x8001
        }
    );
}

#[test]
fn a_wrong_record_is_refused_and_the_others_are_sent() {
    let mut encoder = encoder(config(ExportVersion::V9), &[timed(256)]);
    let mut out = Vec::new();
    put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
    let mut record = |template, fill: fn(&mut RecordWriter<'_>)| {
        encoder.record(template, FIRST_MS, FIRST_MS, FIRST_MS, fill, &mut |_| {})
    };
    let short = EncodeError::RecordLength {
        id: 256,
        expected: 12,
        found: 8,
    };
    assert_eq!(record(0, |record| record.u64(1)), Err(short));
    assert_eq!(
        record(1, |record| record.u64(1)),
        Err(EncodeError::NoTemplate(1))
    );
    flush(&mut encoder, FIRST_MS, &mut out);
    assert_eq!(decode(&out).records.len(), 1);
}

/// Scope exportingProcessId, then a time: 12 octets.
fn options(id: u16) -> TemplateSpec {
    TemplateSpec {
        kind: TemplateKind::Options { scope_count: 1 },
        ..data(id, &[(ie::EXPORTING_PROCESS_ID, 4), (160, 8)])
    }
}

fn put_options(encoder: &mut Encoder, template: usize, now_ms: i64, out: &mut Vec<Vec<u8>>) {
    let fill = |record: &mut RecordWriter<'_>| {
        record.u32(1);
        record.u64(FIRST_MS as u64);
    };
    encoder
        .record(template, now_ms, now_ms, now_ms, fill, &mut keep(out))
        .unwrap();
}

/// RFC 7011 section 3.1: options count in the sequence. They come when templates are due, in front of the flows.
#[test]
fn options_come_with_the_templates_and_count_in_the_sequence() {
    let config = EncoderConfig {
        refresh_messages: 2,
        ..config(ExportVersion::Ipfix)
    };
    let mut encoder = encoder(config, &[timed(256), options(300)]);
    let (mut out, mut refreshes) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let due = encoder.refresh(FIRST_MS, &mut keep(&mut out));
        assert_eq!(encoder.has_room(0), due);
        if due {
            refreshes.push(out.len());
            put_options(&mut encoder, 1, FIRST_MS, &mut out);
        }
        put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
        flush(&mut encoder, FIRST_MS, &mut out);
    }
    assert_eq!(refreshes, [0, 2, 4]);
    let stamps = out
        .iter()
        .map(|octets| Stamp::of(ExportVersion::Ipfix, octets));
    assert_eq!(
        stamps.map(|stamp| stamp.sequence).collect::<Vec<_>>(),
        [0, 2, 3, 5, 6, 8]
    );
    let counters = encoder.counters();
    assert_eq!(
        (counters.records, counters.options, counters.templates),
        (6, 3, 6)
    );
    assert_eq!(decode(&out).records.len(), 9);
}

/// RFC 7011 section 8.1: in a stream a template is sent once; options go on.
#[test]
fn templates_are_not_repeated_in_streams() {
    let config = EncoderConfig {
        refresh_messages: 1,
        repeat_templates: false,
        ..config(ExportVersion::Ipfix)
    };
    let mut encoder = encoder(config, &[timed(256)]);
    let mut out = Vec::new();
    let mut refreshes = 0;
    for _ in 0..4 {
        refreshes += u32::from(encoder.refresh(FIRST_MS, &mut keep(&mut out)));
        put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
        flush(&mut encoder, FIRST_MS, &mut out);
    }
    assert_eq!((refreshes, encoder.counters().templates), (4, 1));
    assert_eq!(decode(&out).records.len(), 4);
}

/// A session that begins anew in the middle: templates with the time of what follows, and numbers from zero.
#[test]
fn a_session_can_begin_anew_with_any_message() {
    for version in [ExportVersion::V9, ExportVersion::Ipfix] {
        let mut encoder = encoder(config(version), &[timed(256), options(300)]);
        let mut out = Vec::new();
        for n in 0..3 {
            let now_ms = FIRST_MS + n * 5000;
            put(&mut encoder, 0, now_ms, now_ms, now_ms, &mut out);
            flush(&mut encoder, now_ms, &mut out);
        }
        let mut rest = vec![out.remove(2)];
        let mut stamp = Stamp::of(version, &rest[0]);
        assert_eq!(stamp.sequence, 2);
        stamp.sequence = 0;
        let mut anew = encoder.template_messages();
        stamp.write(version, &mut anew[0]);
        stamp.sequence = version.step(0);
        stamp.write(version, &mut rest[0]);
        anew.append(&mut rest);
        let seen = decode(&anew);
        assert_eq!(seen.records.len(), 1);
        assert_eq!(anew[0][4..8], anew[1][4..8], "same time");
    }
}

#[test]
fn a_shorter_message_is_obeyed_from_then_on() {
    let mut encoder = encoder(config(ExportVersion::Ipfix), &[timed(256)]);
    let mut out = Vec::new();
    for n in 0..200 {
        if n == 100 {
            encoder.limit_message(200, FIRST_MS, &mut keep(&mut out));
            assert!(out.iter().any(|message| message.len() > 200));
            out.clear();
        }
        put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
    }
    flush(&mut encoder, FIRST_MS, &mut out);
    assert!(out.iter().all(|message| message.len() <= 200));
    // 100 records of 12 octets, 15 in a message.
    assert_eq!(out.len(), 7);
    // No record fits: nothing changes.
    encoder.limit_message(20, FIRST_MS, &mut keep(&mut out));
    put(&mut encoder, 0, FIRST_MS, FIRST_MS, FIRST_MS, &mut out);
    flush(&mut encoder, FIRST_MS, &mut out);
    assert_eq!(out.len(), 8);
}
