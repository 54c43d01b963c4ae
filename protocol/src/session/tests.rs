#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::encoder::{Encoder, EncoderConfig, ExportVersion, RecordWriter, TemplateSpec};
use crate::template::{FieldSpecifier, TemplateKind, VARIABLE_LENGTH};
use crate::testing::{Seen, SeenRecord, hex};
use crate::value::unsigned;

const NOW_MS: u64 = 1_700_000_000_000;
/// One field of 4 octets, template 256.
const TEMPLATE: &str = "0100 0001 0001 0004";
/// One field of 2 octets, template 256.
const SHORTER: &str = "0100 0001 0001 0002";

/// A session and all it told.
struct Collector {
    session: Session,
    seen: Seen,
    now_ms: u64,
}

impl Collector {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            session: Session::new(limits),
            seen: Seen::default(),
            now_ms: NOW_MS,
        }
    }

    fn udp(&mut self, message: &[u8]) -> &mut Self {
        self.udp_from(2055, message)
    }

    fn udp_from(&mut self, port: u16, message: &[u8]) -> &mut Self {
        self.session
            .datagram(self.now_ms, peer(port), message, &mut self.seen);
        self
    }

    fn tcp(&mut self, message: &[u8]) -> &mut Self {
        self.session
            .message(self.now_ms, peer(4739), message, &mut self.seen);
        self
    }

    fn octets(&self) -> Vec<Vec<u8>> {
        self.seen
            .records
            .iter()
            .map(|record| record.octets.clone())
            .collect()
    }

    fn counters(&self) -> &Counters {
        self.session.counters()
    }
}

fn peer(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn set(id: u16, body: &str) -> Vec<u8> {
    let body = hex(body);
    let length = u16::try_from(body.len() + 4).unwrap();
    [&id.to_be_bytes()[..], &length.to_be_bytes(), &body].concat()
}

fn v9_at(seconds: u32, uptime_ms: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let header = [
        &[0, 9, 0, 1][..],
        &uptime_ms.to_be_bytes(),
        &seconds.to_be_bytes(),
        &sequence.to_be_bytes(),
        &[0, 0, 0, 3],
    ];
    [header.concat(), sets.concat()].concat()
}

fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    v9_at(1_700_000_000, 60_000, sequence, sets)
}

fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let length = u16::try_from(16 + sets.len()).unwrap();
    let header = [
        &[0, 10][..],
        &length.to_be_bytes(),
        &[0x65, 0x53, 0xf1, 0],
        &sequence.to_be_bytes(),
        &[0, 0, 0, 3],
    ];
    [header.concat(), sets].concat()
}

/// A packet of `count` records that are filled with their number.
fn v5(sequence: u32, count: u8) -> Vec<u8> {
    let mut packet = hex("0005 0000 0000ea60 6553f100 1dcd6500");
    packet[3] = count;
    packet.extend(sequence.to_be_bytes());
    packet.extend([1, 2, 0x40, 0x64]);
    packet.extend((0..count).flat_map(|number| [number; 48]));
    packet
}

#[test]
fn v5_records_come_under_the_fixed_template() {
    let mut collector = Collector::new();
    collector.udp(&v5(0, 2)).udp(&v5(2, 1)).udp(&v5(7, 1));
    assert_eq!(
        collector.octets(),
        [vec![0; 48], vec![1; 48], vec![0; 48], vec![0; 48]]
    );
    let message = collector.seen.records[0].message;
    assert_eq!(
        (message.version, message.domain, message.sampling),
        (5, 0x0102, 0x4064)
    );
    assert_eq!(
        (message.export_ms, message.boot_ms()),
        (1_700_000_000_500, Some(1_699_999_940_500))
    );
    assert_eq!(collector.seen.losses, [(4, LossUnit::Flows)]);
}

#[test]
fn v9_is_read_by_lengths_whatever_the_count_says() {
    for count in [0, 1, 65535_u16] {
        let mut message = v9(
            0,
            &[
                set(0, TEMPLATE),
                set(256, "01020304 05060708 0000"),
                set(256, "090a0b0c"),
            ],
        );
        message[2..4].copy_from_slice(&count.to_be_bytes());
        let mut collector = Collector::new();
        collector.udp(&message);
        assert_eq!(
            collector.octets(),
            [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
        );
        assert!(collector.seen.errors.is_empty());
    }
}

#[test]
fn tranalyzers_first_message_has_no_time_and_is_no_restart() {
    let mut collector = Collector::new();
    collector.udp(&v9_at(0, 0, 0, &[set(0, TEMPLATE)]));
    collector.udp(&v9_at(1_258_544_215, 0, 1, &[set(256, "00000001")]));
    collector.udp(&v9_at(1_258_544_215, 0, 2, &[set(256, "00000002")]));
    assert_eq!(collector.seen.records.len(), 2);
    assert_eq!(
        (collector.seen.restarts, collector.seen.losses.len()),
        (0, 0)
    );
    assert_eq!(
        collector.seen.records[1].message.boot_ms(),
        Some(1_258_544_215_000)
    );
}

#[test]
fn ipfix_enterprise_reverse_and_variable_fields() {
    let template = "012c 0003 8001 0002 00007279 0052 ffff 8007 0001 00000009";
    let data = "1234 03657468 07  5678 ff0001 78 08  9abc 00 09";
    let mut collector = Collector::new();
    collector.udp(&ipfix(0, &[set(2, template), set(300, data)]));
    let expected = ["1234 03657468 07", "5678 ff0001 78 08", "9abc 00 09"].map(hex);
    assert_eq!(collector.octets(), expected);
    let fields = vec![
        FieldSpecifier {
            id: 1,
            pen: 29305,
            length: 2,
        },
        FieldSpecifier::new(82, VARIABLE_LENGTH),
        FieldSpecifier {
            id: 7,
            pen: 9,
            length: 1,
        },
    ];
    let template = crate::template::Template::new(10, 300, TemplateKind::Data, fields).unwrap();
    let values: Vec<&[u8]> = template
        .values(&expected[1])
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, [&[0x56, 0x78][..], b"x", &[8]]);
}

#[test]
fn options_come_as_records_with_their_scope() {
    let mut collector = Collector::new();
    // Scope: interface (v9 type 2); option: sampling interval.
    let sets = [
        set(1, "0101 0004 0004 0002 0004 0022 0004 0000"),
        set(257, "00000007 00000064"),
    ];
    collector.udp(&v9(0, &sets));
    // Scope: observation domain, count of fields and of scope fields.
    let sets = [
        set(3, "0101 0002 0001 0095 0004 0022 0004 0000"),
        set(257, "00000007 00000064"),
    ];
    collector.udp(&ipfix(0, &sets));
    assert_eq!(
        collector.octets(),
        [hex("00000007 00000064"), hex("00000007 00000064")]
    );
    assert_eq!(collector.counters().options_records, 2);
    // No scope, or more scope than fields.
    collector.udp(&ipfix(
        1,
        &[set(3, "0102 0001 0000 0022 0004 0103 0001 0002 0022 0004")],
    ));
    assert_eq!(collector.seen.rules, ["O-02", "O-02"]);
    // Lengths that are no multiples of 4.
    collector.udp(&v9(1, &[set(1, "0101 0003 0004 0002 0004 0022 0004")]));
    assert_eq!(collector.seen.rules, ["O-02", "O-02", "O-05"]);
}

#[test]
fn withdrawals_are_obeyed_on_streams_and_ignored_over_udp() {
    let sets = [
        set(2, TEMPLATE),
        set(256, "00000001"),
        set(2, "0100 0000"),
        set(256, "00000002"),
    ];
    let mut collector = Collector::new();
    collector.udp(&ipfix(0, &sets));
    assert_eq!(
        (collector.seen.records.len(), collector.seen.rules.clone()),
        (2, vec!["T-17"])
    );
    collector.tcp(&ipfix(0, &sets));
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.seen.withdrawn.clone()
        ),
        (3, vec![256])
    );
    // All templates, but not the options templates; then one that is not known.
    let options = set(3, "0101 0002 0001 0095 0004 0022 0004 0000");
    collector.tcp(&ipfix(
        1,
        &[
            set(2, TEMPLATE),
            options,
            set(2, "0002 0000"),
            set(2, "0100 0000"),
        ],
    ));
    assert_eq!(collector.seen.withdrawn, [256, 256]);
    assert_eq!(collector.seen.rules, ["T-17", "T-20"]);
    collector.tcp(&ipfix(
        1,
        &[set(257, "00000007 00000064"), set(3, "0003 0000")],
    ));
    assert_eq!(collector.seen.withdrawn, [256, 256, 257]);
}

#[test]
fn another_definition_replaces_at_once_and_the_same_changes_nothing() {
    let mut collector = Collector::new();
    collector.udp(&v9(0, &[set(0, TEMPLATE), set(256, "00010002")]));
    collector.udp(&v9(
        1,
        &[set(0, TEMPLATE), set(0, SHORTER), set(256, "00010002")],
    ));
    assert_eq!(
        collector.octets(),
        [vec![0, 1, 0, 2], vec![0, 1], vec![0, 2]]
    );
    assert_eq!(collector.seen.templates, [256, 256]);
    // An unusable definition takes the old one away: its ID means something else now.
    collector.udp(&v9(
        2,
        &[set(0, "0100 0001 0001 0000"), set(256, "00010002")],
    ));
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.counters().pending_sets
        ),
        (3, 1)
    );
}

#[test]
fn a_broken_set_ends_the_message_and_what_came_before_counts() {
    let good = [set(0, TEMPLATE), set(256, "00000001")];
    for (broken, rule) in [
        ("0100 0000", "S-10"),
        ("0100 0003", "S-10"),
        ("0100 0015 00000002 00000003", "S-09"),
        ("0000 0010 0101 0003 0001 0004 0002 0004", "T-30"),
    ] {
        let mut collector = Collector::new();
        collector.udp(&v9(0, &[good.concat(), hex(broken), set(256, "00000004")]));
        assert_eq!(collector.octets(), [[0, 0, 0, 1]]);
        assert_eq!(
            (collector.seen.rules, collector.session.counters().malformed),
            (vec![rule], 1)
        );
    }
}

#[test]
fn reserved_sets_and_padding_cost_nothing() {
    let sets = [
        set(2, &format!("{TEMPLATE} 010203")),
        set(77, "0000"),
        set(256, "00000001 0203"),
    ];
    let mut collector = Collector::new();
    collector.udp(&ipfix(0, &sets));
    assert_eq!(
        (collector.seen.records.len(), collector.seen.rules.clone()),
        (1, vec!["S-08"])
    );
    // v9: padding behind the last FlowSet.
    collector.udp(&[v9(0, &[set(0, TEMPLATE), set(256, "00000001")]), vec![0; 6]].concat());
    assert_eq!(
        (collector.seen.records.len(), collector.seen.rules.len()),
        (2, 1)
    );
    // Less than a record is none.
    collector.udp(&v9(1, &[set(256, "0001"), set(256, "00000002")]));
    assert_eq!(
        (collector.seen.records.len(), collector.seen.rules.clone()),
        (3, vec!["S-08", "S-11"])
    );
}

#[test]
fn records_without_octets_are_refused() {
    let mut collector = Collector::new();
    collector.udp(&v9(
        0,
        &[
            set(0, "0100 0002 0001 0000 0002 0000"),
            set(256, "00000001"),
        ],
    ));
    collector.udp(&v9(1, &[set(0, "0101 0000 0102 0001 0001 0004")]));
    collector.udp(&v9(2, &[set(0, "0103 0001 0052 ffff")]));
    collector.udp(&v9(3, &[set(0, "00ff 0001 0001 0004")]));
    assert_eq!(collector.seen.rules, ["T-32", "T-32", "T-33", "T-03"]);
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.seen.templates.clone()
        ),
        (0, vec![258])
    );
}

#[test]
fn a_value_that_ends_behind_its_set_ends_the_message() {
    let mut collector = Collector::new();
    collector.udp(&ipfix(
        0,
        &[
            set(2, "0100 0001 0052 ffff"),
            set(256, "0161 0562"),
            set(256, "0163"),
        ],
    ));
    assert_eq!(
        (collector.octets(), collector.seen.rules.clone()),
        (vec![hex("0161")], vec!["F-08"])
    );
}

#[test]
fn ipfix_lengths_that_lie_drop_the_message() {
    let mut message = ipfix(0, &[set(2, TEMPLATE), set(256, "00000001")]);
    let mut collector = Collector::new();
    for length in [0, 15, 100] {
        message[3] = length;
        collector.udp(&message);
    }
    assert_eq!(collector.seen.rules, ["H-16"; 3]);
    assert_eq!(
        (
            collector.counters().malformed,
            collector.session.exporters()
        ),
        (3, 0)
    );
    // Octets behind the message are told, the message is read.
    collector.udp(&[ipfix(0, &[set(2, TEMPLATE), set(256, "00000001")]), vec![1]].concat());
    assert_eq!(
        (collector.seen.records.len(), collector.seen.rules[3]),
        (1, "S-13")
    );
}

#[test]
fn data_before_its_template_is_decoded_when_it_comes() {
    let mut collector = Collector::new();
    collector.udp(&v9(
        0,
        &[set(256, "00000001 00000002 0000"), set(999, "00")],
    ));
    collector.now_ms += 30_000;
    collector.udp(&v9(1, &[set(0, TEMPLATE), set(256, "00000003")]));
    let late: Vec<(u8, bool)> = collector
        .seen
        .records
        .iter()
        .map(|record| (record.octets[3], record.late))
        .collect();
    assert_eq!(late, [(1, true), (2, true), (3, false)]);
    assert_eq!(collector.seen.records[0].message.sequence, 0);
    assert_eq!(collector.counters().late_records, 2);
    // The other set has waited long enough.
    collector.session.tick(NOW_MS + 30_000, &mut collector.seen);
    assert!(collector.seen.discarded.is_empty());
    collector.session.tick(NOW_MS + 30_001, &mut collector.seen);
    assert_eq!(collector.seen.discarded, [(DiscardCause::NoTemplate, 1)]);
    assert_eq!(collector.session.totals.pending, 0);
}

#[test]
fn waiting_data_is_not_decoded_too_late_after_a_restart_or_by_a_template_that_does_not_fit() {
    let template = v9(1, &[set(0, TEMPLATE)]);

    let mut late = Collector::new();
    late.udp(&v9(0, &[set(256, "00000001")]));
    late.now_ms += 30_001;
    late.udp(&template);
    assert_eq!(late.seen.discarded, [(DiscardCause::NoTemplate, 4)]);

    let mut restarted = Collector::new();
    restarted.udp(&v9(70, &[set(256, "00000001")]));
    restarted.udp(&v9_at(1_700_000_100, 5, 0, &[set(0, TEMPLATE)]));
    assert_eq!(restarted.seen.discarded, [(DiscardCause::Restart, 4)]);

    let mut unfit = Collector::new();
    unfit.udp(&v9(
        0,
        &[set(256, "00000001 00000002 01020304 05"), set(256, "0102")],
    ));
    unfit.udp(&v9(1, &[set(0, "0100 0001 0001 0009")]));
    assert_eq!(
        unfit.seen.discarded,
        [(DiscardCause::Unfit, 13), (DiscardCause::Unfit, 2)]
    );
    for collector in [&late, &restarted, &unfit] {
        assert_eq!(
            (
                collector.seen.records.len(),
                collector.session.totals.pending
            ),
            (0, 0)
        );
    }
}

#[test]
fn waiting_data_is_bounded_and_the_oldest_goes_first() {
    let limits = Limits {
        pending_domain: 1000,
        pending_total: 1500,
        ..Limits::default()
    };
    let mut collector = Collector::with(limits);
    let body = "00".repeat(172);
    for sequence in 0..5 {
        // 172 octets and what a set costs: 300.
        collector.udp(&v9(sequence, &[set(256, &body)]));
    }
    assert_eq!(collector.seen.discarded, [(DiscardCause::Overflow, 172); 2]);
    collector.udp_from(
        1,
        &v9(0, &[set(256, &body), set(256, &body), set(256, &body)]),
    );
    assert_eq!(collector.seen.discarded.len(), 3);
    assert_eq!(collector.session.totals.pending, 1500);
    collector.udp(&v9(5, &[set(0, TEMPLATE)]));
    assert_eq!(collector.seen.records.first().unwrap().message.sequence, 2);
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.session.totals.pending
        ),
        (3 * 43, 600)
    );
}

#[test]
fn the_end_of_a_stream_forgets_its_state() {
    let mut collector = Collector::new();
    collector.tcp(&ipfix(
        0,
        &[set(2, TEMPLATE), set(256, "00000001"), set(300, "00")],
    ));
    collector.session.close(peer(4739), &mut collector.seen);
    assert_eq!(collector.seen.discarded, [(DiscardCause::Closed, 1)]);
    assert_eq!(
        (
            collector.session.exporters(),
            collector.session.totals.fields
        ),
        (0, 0)
    );
    collector.tcp(&ipfix(0, &[set(256, "00000001")]));
    assert_eq!(collector.seen.records.len(), 1);
}

#[test]
fn exporters_ports_domains_versions_and_transports_are_apart() {
    let mut collector = Collector::new();
    collector.udp(&v9(0, &[set(0, TEMPLATE)]));
    let mut other_domain = v9(0, &[set(0, SHORTER)]);
    other_domain[19] = 4;
    collector.udp(&other_domain);
    collector.udp(&ipfix(0, &[set(2, "0100 0001 0001 0003")]));
    collector.tcp(&ipfix(0, &[set(2, "0100 0001 0001 0001")]));
    collector.udp(&v9(1, &[set(256, "00000001")]));
    collector.udp(&ipfix(0, &[set(256, "000001")]));
    collector.tcp(&ipfix(0, &[set(256, "01")]));
    collector.udp_from(9, &v9(1, &[set(256, "00000001")]));
    assert_eq!(
        collector.octets(),
        [vec![0, 0, 0, 1], vec![0, 0, 1], vec![1]]
    );
    assert_eq!(collector.counters().pending_sets, 1);
}

#[test]
fn ipfix_loss_is_counted_in_records_and_templates_do_not_count() {
    let mut collector = Collector::new();
    let options = set(3, "0101 0002 0001 0095 0004 0022 0004 0000");
    collector.udp(&ipfix(
        10,
        &[
            set(2, TEMPLATE),
            options,
            set(257, "00000007 00000064"),
            set(256, "00000001 00000002"),
        ],
    ));
    collector.udp(&ipfix(13, &[set(2, TEMPLATE)]));
    collector.udp(&ipfix(18, &[set(256, "00000001")]));
    collector.udp(&ipfix(19, &[set(300, "00000001")]));
    collector.udp(&ipfix(25, &[set(256, "00000001")]));
    assert_eq!(collector.seen.losses, [(5, LossUnit::Records)]);
    // What was missing comes late.
    collector.udp(&ipfix(14, &[set(256, "00000001 00000002")]));
    assert_eq!(
        (
            collector.seen.recovered.clone(),
            collector.counters().out_of_order
        ),
        (vec![2], 1)
    );
}

#[test]
fn a_restart_is_seen_by_uptime_and_boot_time() {
    let mut collector = Collector::new();
    collector.udp(&v9_at(
        1_700_000_000,
        4_000_000_000,
        500,
        &[set(0, TEMPLATE)],
    ));
    // 32 bits of uptime wrap, the numbering goes on: no restart.
    collector.udp(&v9_at(
        1_700_300_000,
        5_032_704,
        501,
        &[set(256, "00000001")],
    ));
    // An older message comes late: no restart.
    collector.udp(&v9_at(
        1_700_000_000,
        4_000_000_000,
        499,
        &[set(256, "00000001")],
    ));
    assert_eq!(
        (collector.seen.restarts, collector.seen.records.len()),
        (0, 2)
    );
    collector.udp(&v9_at(1_700_300_060, 1000, 0, &[set(256, "00000002")]));
    assert_eq!(
        (collector.seen.restarts, collector.seen.losses.len()),
        (1, 0)
    );
    // Templates do not outlive it, data waits for the new ones.
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.counters().pending_sets
        ),
        (2, 1)
    );
    collector.udp(&v9_at(1_700_300_061, 2000, 1, &[set(0, TEMPLATE)]));
    assert_eq!(collector.seen.records.len(), 3);
}

#[test]
fn limits_refuse_and_count() {
    let limits = Limits {
        exporters: 2,
        domains: 2,
        templates: 2,
        fields: 3,
        ..Limits::default()
    };
    let mut collector = Collector::with(limits);
    let template = |id: u16| set(0, &format!("{id:04x} 0001 0001 0004"));
    collector.udp(&v9(0, &[template(256), template(257), template(258)]));
    let many = set(0, "0100 0004 0001 0004 0002 0004 0003 0004 0004 0004");
    collector.udp(&v9(1, &[many, set(257, "00000001")]));
    assert_eq!(
        (
            collector.counters().refused_templates,
            collector.seen.records.len()
        ),
        (2, 1)
    );
    for domain in [4, 5] {
        let mut message = v9(0, &[template(256)]);
        message[19] = domain;
        collector.udp(&message);
    }
    assert_eq!(collector.counters().refused_domains, 1);
    collector
        .udp_from(1, &v9(0, &[template(256)]))
        .udp_from(2, &v9(0, &[template(256)]));
    assert_eq!(
        (
            collector.counters().refused_exporters,
            collector.session.exporters()
        ),
        (1, 2)
    );
    // The first one goes on, the other falls silent and makes room.
    collector.now_ms += limits.idle_ms + 1;
    collector.udp(&v9(2, &[set(257, "00000001")]));
    collector.udp_from(2, &v9(0, &[template(256)]));
    assert_eq!(
        (
            collector.counters().forgotten_exporters,
            collector.session.exporters()
        ),
        (1, 2)
    );
    collector.udp(&v9(3, &[set(257, "00000001")]));
    assert_eq!(collector.seen.records.len(), 3);
}

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
            let mut keep = |message: &[u8]| messages.push(message.to_vec());
            encoder.record(usize::from(spec.id - 256), 0, 0, 0, fill, &mut keep).unwrap();
            let values = spec.fields.iter().map(|field| match field.length {
                VARIABLE_LENGTH => material[..*length].to_vec(),
                fixed => material[..usize::from(fixed)].to_vec(),
            });
            expected.push((spec.id, values.collect::<Vec<_>>()));
        }
        encoder.flush(0, &mut |message| messages.push(message.to_vec()));
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
    let template =
        crate::template::Template::new(10, spec.id, spec.kind, spec.fields.clone()).unwrap();
    let values: Vec<Vec<u8>> = template
        .values(&record.octets)
        .map(|(_, value)| value.to_vec())
        .collect();
    assert!(
        values
            .iter()
            .all(|value| value.len() > 8 || unsigned(value).is_some())
    );
    values
}
