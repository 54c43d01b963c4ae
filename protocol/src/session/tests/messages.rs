//! What is in a message, message by message.

use super::*;
use crate::template::{FieldSpecifier, Template, TemplateKind, VARIABLE_LENGTH};

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
    let template = Template::new(10, 300, TemplateKind::Data, fields).unwrap();
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
    assert_eq!(collector.counters().withdrawals, 0);
    assert!(collector.seen.withdrawn.is_empty());
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
fn a_broken_set_ends_a_v9_message_and_what_came_before_counts() {
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
fn of_a_broken_ipfix_message_no_record_is_told() {
    let good = [set(2, TEMPLATE), set(256, "00000001")];
    for (broken, rule) in [
        ("0100 0003", "S-10"),
        ("0100 0015 00000002 00000003", "S-09"),
        ("0002 0010 0101 0003 0001 0004 0002 0004", "T-30"),
    ] {
        let mut collector = Collector::new();
        collector.udp(&ipfix(0, &[good.concat(), hex(broken)]));
        assert_eq!(collector.seen.records.len(), 0, "{rule}");
        assert_eq!(
            (collector.seen.rules, collector.session.counters().malformed),
            (vec![rule], 1)
        );
    }
}

/// Cisco's tables: header of 16 (v1) or 24 octets, records of 52; v7's last four octets are the router's address.
#[test]
fn v1_and_v7_have_records_of_their_own() {
    let common =
        "0a000001 0a000002 0a000003 0001 0002 00000005 00000064 00000001 00000002 0035 0050";
    let v1 = format!(
        "0001 0001 0000ea60 6553f100 00000000 {common} 0000 06 10 1b {}",
        "00".repeat(11)
    );
    let v7 = format!(
        "0007 0001 0000ea60 6553f100 00000000 00000009 00000000 {common} 00 1b 06 10 0001 0002 18 19 0000 c0000201"
    );
    let mut collector = Collector::new();
    collector.udp(&hex(&v1)).udp(&hex(&v7));
    assert_eq!(collector.seen.rules, [""; 0]);
    for (record, version, length) in [(0, 1, 52), (1, 7, 52)] {
        let record = &collector.seen.records[record];
        let template = crate::fixed::template(version).unwrap();
        assert_eq!(
            (record.message.version, record.octets.len()),
            (version, length)
        );
        let value = |id| {
            let mut values = template.values(&record.octets);
            values.find(|(field, _)| field.id == id).unwrap().1.to_vec()
        };
        assert_eq!(value(4), [6]);
        assert_eq!(value(6), [0x1b]);
        assert_eq!(value(11), [0, 80]);
        if version == 7 {
            assert_eq!((value(43), value(13)), (vec![192, 0, 2, 1], vec![25]));
        }
    }
    // v1 has no sequence numbers, v7 counts flows.
    collector
        .udp(&hex(&v1))
        .udp(&hex(&v7.replace("00000009", "0000000c")));
    assert_eq!(collector.seen.losses, [(2, LossUnit::Flows)]);
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
fn a_value_that_ends_behind_its_set_costs_the_message() {
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
        (Vec::<Vec<u8>>::new(), vec!["F-08"])
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
