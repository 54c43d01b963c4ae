//! What outlives a message: waiting data, streams, sequence numbers, restarts, limits.

use super::*;

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

/// A session whose exporters' ports share their templates.
fn sharing() -> Collector {
    let mut collector = Collector::new();
    collector.session = Session::with_key(Limits::default(), SessionKey::AddressPortShared);
    collector
}

#[test]
fn a_port_without_templates_uses_those_of_its_address_and_domain_while_they_agree() {
    let mut collector = sharing();
    collector.udp_from(1, &v9(0, &[set(0, TEMPLATE)]));
    collector.udp_from(2, &v9(5, &[set(256, "00000001 00000002")]));
    // Another address and another domain do not.
    let mut other_domain = v9(0, &[set(256, "00000003")]);
    other_domain[19] = 4;
    collector.udp_from(2, &other_domain);
    let stranger: SocketAddr = ([192, 0, 2, 2], 1).into();
    let message = v9(0, &[set(256, "00000003")]);
    collector
        .session
        .datagram(NOW_MS, stranger, &message, &mut collector.seen);
    assert_eq!(collector.octets(), [[0, 0, 0, 1], [0, 0, 0, 2]]);
    assert_eq!(
        (
            collector.counters().borrowed_sets,
            collector.counters().pending_sets
        ),
        (1, 2)
    );
    // Sequence numbers stay apart: port 2 began with 5, port 1 with 0.
    collector.udp_from(2, &v9(7, &[set(256, "00000004")]));
    collector.udp_from(1, &v9(1, &[set(256, "00000005")]));
    assert_eq!(collector.seen.losses, [(1, LossUnit::Messages)]);
    // A third port that means something else by the ID: nobody can say what the second means.
    collector.udp_from(3, &v9(0, &[set(0, SHORTER)]));
    collector.udp_from(2, &v9(8, &[set(256, "00000006")]));
    assert_eq!(
        (collector.octets().len(), collector.counters().pending_sets),
        (4, 3)
    );
    // Its own template tells.
    collector.udp_from(2, &v9(9, &[set(0, TEMPLATE)]));
    assert_eq!(collector.octets().last().unwrap(), &[0, 0, 0, 6]);
}

#[test]
fn data_that_waits_at_one_port_is_read_once_another_has_brought_the_template() {
    let mut collector = sharing();
    collector.udp_from(1, &v9(0, &[set(256, "00000001")]));
    collector.udp_from(2, &v9(0, &[set(0, TEMPLATE)]));
    collector.udp_from(1, &v9(1, &[set(256, "00000002")]));
    assert_eq!(collector.octets(), [[0, 0, 0, 1], [0, 0, 0, 2]]);
    assert_eq!(collector.counters().late_records, 1);
}

#[test]
fn streams_share_nothing() {
    let mut collector = sharing();
    collector.udp(&ipfix(0, &[set(2, TEMPLATE)]));
    collector.tcp(&ipfix(0, &[set(256, "00000001")]));
    assert_eq!(
        (
            collector.seen.records.len(),
            collector.counters().pending_sets
        ),
        (0, 1)
    );
}

#[test]
fn by_address_alone_all_ports_are_one() {
    let mut collector = Collector::new();
    collector.session = Session::with_key(Limits::default(), SessionKey::Address);
    collector.udp_from(1, &v9(0, &[set(0, TEMPLATE)]));
    collector.udp_from(2, &v9(1, &[set(256, "00000001")]));
    collector.udp_from(3, &v9(3, &[set(256, "00000002")]));
    assert_eq!(collector.seen.losses, [(1, LossUnit::Messages)]);
    assert_eq!(
        (collector.octets().len(), collector.session.exporters()),
        (2, 1)
    );
    assert_eq!(collector.seen.records[1].message.exporter.port(), 3);
}

#[test]
fn changes_of_a_definition_are_counted_within_a_minute() {
    let mut collector = Collector::new();
    for (second, template) in [
        (0, TEMPLATE),
        (1, SHORTER),
        (2, TEMPLATE),
        (3, TEMPLATE),
        (70, SHORTER),
    ] {
        collector.now_ms = NOW_MS + second * 1000;
        collector.udp(&v9(second as u32, &[set(0, template)]));
    }
    assert_eq!(collector.seen.redefined, [(256, 1), (256, 2), (256, 1)]);
    assert_eq!(collector.counters().redefinitions, 3);
}

#[test]
fn templates_grow_old_over_udp_only() {
    let limits = Limits {
        template_ms: 60_000,
        ..Limits::default()
    };
    let mut collector = Collector::with(limits);
    collector.udp(&v9(0, &[set(0, TEMPLATE)]));
    collector.tcp(&ipfix(0, &[set(2, TEMPLATE)]));
    collector.now_ms += 50_000;
    collector.udp(&v9(1, &[set(0, TEMPLATE)]));
    collector.now_ms += 60_000;
    collector.udp(&v9(2, &[set(256, "00000001")]));
    collector.tcp(&ipfix(0, &[set(256, "00000002")]));
    assert_eq!(collector.octets().len(), 2);
    collector.now_ms += 1;
    collector.udp(&v9(3, &[set(256, "00000003")]));
    assert_eq!(
        (
            collector.octets().len(),
            collector.counters().expired_templates
        ),
        (2, 1)
    );
    assert_eq!(collector.seen.withdrawn, [256]);
}

#[test]
fn templates_of_datagram_exporters_outlive_the_session() {
    let mut collector = Collector::new();
    collector.udp(&v9(0, &[set(0, TEMPLATE)]));
    collector.tcp(&ipfix(0, &[set(2, TEMPLATE)]));
    let kept: Vec<KeptTemplate> = collector.session.kept().collect();
    assert_eq!(kept.len(), 1);
    let restore = |session: &mut Session, now_ms| session.restore(now_ms, kept[0].clone());
    let mut next = Collector::new();
    assert!(restore(&mut next.session, NOW_MS + 1000));
    next.now_ms += 1000;
    next.udp(&v9(1, &[set(256, "00000001")]));
    assert_eq!(next.octets(), [[0, 0, 0, 1]]);
    let mut late = Collector::new();
    assert!(!restore(
        &mut late.session,
        NOW_MS + Limits::default().template_ms + 1
    ));
    assert_eq!(late.session.exporters(), 0);
}

#[test]
fn sequence_numbers_of_datagram_exporters_outlive_the_session() {
    let mut collector = Collector::new();
    collector.udp_from(1, &v9(7, &[set(0, TEMPLATE)]));
    collector.udp_from(2, &v5(u32::MAX, 2));
    collector.udp_from(
        3,
        &ipfix(0, &[set(2, TEMPLATE), set(256, "0000000100000002")]),
    );
    collector.tcp(&ipfix(0, &[set(2, TEMPLATE)]));
    let mut kept: Vec<KeptSequence> = collector.session.kept_sequences().collect();
    kept.sort_by_key(|kept| kept.exporter);
    assert_eq!(kept.len(), 3);
    let missing = |next: &Collector| -> Vec<u64> {
        let losses = next.seen.losses.iter();
        losses.map(|(missing, _)| *missing).collect()
    };
    let next = || {
        let mut next = Collector::new();
        for kept in &kept {
            assert!(next.session.restore_sequence(NOW_MS, kept));
        }
        next
    };
    // v9: 8 to 10 are missing. v5: 2^32 + 1, 2, …; IPFIX: 2, 3.
    let mut later = next();
    later.udp_from(1, &v9(11, &[set(0, TEMPLATE)]));
    later.udp_from(2, &v5(6, 1));
    later.udp_from(3, &ipfix(4, &[set(2, TEMPLATE)]));
    assert_eq!(missing(&later), [3, 5, 2]);
    // The clock of v9 and v5 tells a new beginning, also if its numbers are past the old ones.
    let mut anew = next();
    anew.udp_from(1, &v9_at(1_700_000_600, 5000, 20, &[set(0, TEMPLATE)]));
    assert_eq!((missing(&anew).len(), anew.counters().restarts), (0, 1));
    anew.udp_from(1, &v9_at(1_700_000_601, 6000, 23, &[set(0, TEMPLATE)]));
    assert_eq!(missing(&anew), [2]);
    // What came already in this session counts more than what an earlier one knew.
    let mut known = Collector::new();
    known.udp_from(1, &v9(9, &[set(0, TEMPLATE)]));
    known.session.restore_sequence(NOW_MS, &kept[0]);
    known.udp_from(1, &v9(10, &[set(0, TEMPLATE)]));
    assert!(missing(&known).is_empty());
    let old = NOW_MS + Limits::default().template_ms + 1;
    assert!(!Collector::new().session.restore_sequence(old, &kept[0]));
}

#[test]
fn limits_hold_for_one_exporter_and_for_all() {
    let limits = Limits {
        templates_exporter: 2,
        templates_total: 3,
        domains_total: 3,
        ..Limits::default()
    };
    let mut collector = Collector::with(limits);
    let message = |domain: u8| {
        let mut message = v9(0, &[set(0, TEMPLATE)]);
        message[19] = domain;
        message
    };
    for domain in 1..=3 {
        collector.udp(&message(domain));
    }
    assert_eq!(collector.counters().refused_templates, 1);
    collector.udp_from(1, &message(1)).udp_from(2, &message(1));
    assert_eq!(
        (
            collector.counters().refused_templates,
            collector.session.totals.templates
        ),
        (1, 3)
    );
    // Three domains are all there may be.
    assert_eq!(
        (
            collector.counters().refused_domains,
            collector.session.totals.domains
        ),
        (1, 3)
    );
    assert!(limits.memory() > 0);
}
