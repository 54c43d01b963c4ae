#![allow(clippy::unwrap_used)]
//! Faulty exporters against the judge, and what the judge must never do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::faulty::{BEGIN_S, Change, Fault, Sent, Variation, export, faults};

fn variations(version: u16) -> Vec<Variation> {
    let mut all = Vec::new();
    for order in [0, 3, 7] {
        for batch in [1, 4] {
            for bits in 0..8 {
                all.push(Variation {
                    version,
                    order,
                    padding: bits & 1 != 0,
                    batch,
                    alone: bits & 2 != 0,
                    two_domains: bits & 4 != 0,
                    step_s: if order == 3 { 5 } else { 100 },
                });
            }
        }
    }
    all
}

fn options() -> Options {
    Options {
        strict: true,
        ..Options::default()
    }
}

fn judge(messages: &[Sent], transport: Transport, options: Options) -> (Vec<Finding>, Outcome) {
    let from = "192.0.2.77:4739".parse().unwrap();
    let mut judge = Judge::new(options);
    let mut findings = Vec::new();
    for message in messages {
        let octets = message.octets();
        let transport = if message.datagram {
            Transport::Udp
        } else {
            transport
        };
        judge.message(message.at_ms, from, transport, &octets, &mut |finding| {
            assert!(
                finding.offset + finding.length <= octets.len() + 4,
                "{finding:?}"
            );
            findings.push(finding);
        });
    }
    let outcome = judge.finish();
    for finding in &findings {
        let rule = outcome
            .iter()
            .find(|rule| rule.rule == finding.rule)
            .unwrap();
        assert!(rule.count > 0 && rule.verdict >= finding.verdict);
    }
    (findings, outcome)
}

fn rules(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

fn transport(fault: &Fault) -> Transport {
    if fault.tcp {
        Transport::Tcp
    } else {
        Transport::Udp
    }
}

#[test]
fn every_fault_is_caught_by_its_rule_and_no_other() {
    let mut wrong = Vec::new();
    for fault in faults() {
        for version in fault.versions {
            for variation in variations(*version) {
                let messages = export(&variation, Some((&fault.change, true)));
                let (findings, _) = judge(&messages, transport(fault), options());
                let found = rules(&findings);
                let meant: BTreeSet<_> = fault.rules.iter().copied().collect();
                if found.is_empty() || !found.is_subset(&meant) {
                    wrong.push(format!("{} {variation:?}: {findings:?}", fault.name));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_right_twin_passes_everything() {
    for fault in faults() {
        if matches!(fault.change, Change::Messages(_)) {
            continue;
        }
        for version in fault.versions {
            for variation in variations(*version) {
                let messages = export(&variation, Some((&fault.change, false)));
                for transport in [Transport::Udp, Transport::Tcp] {
                    let (findings, _) = judge(&messages, transport, options());
                    assert_eq!(findings, [], "{} {variation:?}", fault.name);
                }
            }
        }
    }
}

#[test]
fn without_a_fault_all_profiles_pass() {
    for version in [9, 10] {
        for variation in variations(version) {
            let messages = export(&variation, None);
            for profile in Profile::ALL {
                for live in [false, true] {
                    let options = Options {
                        profile,
                        live,
                        strict: true,
                    };
                    let (findings, outcome) = judge(&messages, Transport::Udp, options);
                    assert_eq!(findings, []);
                    for rule in outcome {
                        assert_eq!(
                            rule.verdict == Verdict::NotApplicable,
                            !rule.reason.is_empty()
                        );
                    }
                }
            }
        }
    }
}

/// A network may repeat and swap datagrams, and a capture may begin anywhere and miss some.
#[test]
fn networks_and_captures_are_no_faults() {
    for version in [9, 10] {
        for variation in variations(version) {
            let whole = export(&variation, None);
            for begin in 0..whole.len() {
                let mut messages: Vec<Sent> = whole[begin..].to_vec();
                let lost = begin % 5 + 2;
                if lost < messages.len() {
                    messages.remove(lost);
                }
                if messages.len() > 4 {
                    messages.swap(2, 3);
                    messages.insert(4, messages[3].clone());
                    messages.insert(1, messages[0].clone());
                }
                let (findings, _) = judge(&messages, Transport::Udp, options());
                assert_eq!(findings, [], "from {begin}, {variation:?}");
            }
        }
    }
}

#[test]
fn a_restart_with_templates_is_no_fault() {
    for variation in variations(9) {
        let mut messages = export(&variation, None);
        let mut again = messages.clone();
        for message in &mut again {
            message.seconds += 5000;
            message.at_ms += 5_000_000;
        }
        messages.extend(again);
        let (findings, outcome) = judge(&messages, Transport::Udp, options());
        assert_eq!(findings, []);
        let rule = outcome.iter().find(|rule| rule.rule == "T-09").unwrap();
        assert_eq!(rule.verdict, Verdict::Pass, "{}", rule.reason);
    }
}

#[test]
fn profiles_differ_where_the_rfcs_do() {
    let variation = variations(10)[0];
    let right = export(&variation, None);
    let with = |profile| Options {
        profile,
        ..options()
    };
    // RFC 5471 3.6.8.2: a template sent again on a stream; RFC 7011 8.1: no error.
    let (findings, _) = judge(&right, Transport::Tcp, with(Profile::Rfc5101));
    assert_eq!(rules(&findings), BTreeSet::from(["T-01"]));
    assert_eq!(findings[0].verdict, Verdict::DataLoss);
    let (findings, _) = judge(&right, Transport::Tcp, with(Profile::Rfc7011));
    assert_eq!(findings, []);
    // Fragments are let through by `lenient`.
    let fault = faults().find(|fault| fault.rules == ["H-19"]).unwrap();
    let large = export(&variation, Some((&fault.change, true)));
    let (findings, outcome) = judge(&large, Transport::Udp, with(Profile::Lenient));
    assert_eq!(findings, []);
    let rule = outcome.iter().find(|rule| rule.rule == "H-19").unwrap();
    assert_eq!(rule.verdict, Verdict::NotApplicable);
}

#[test]
fn clocks_are_compared_live_only() {
    let mut messages = export(&variations(10)[0], None);
    for message in &mut messages {
        message.at_ms += 60_000;
    }
    let (findings, outcome) = judge(&messages, Transport::Udp, options());
    assert_eq!(findings, []);
    let clock = |outcome: &Outcome| {
        outcome
            .iter()
            .find(|rule| rule.rule == "H-11")
            .unwrap()
            .clone()
    };
    assert_eq!(clock(&outcome).verdict, Verdict::NotApplicable);
    let live = Options {
        live: true,
        ..options()
    };
    let (findings, outcome) = judge(&messages, Transport::Udp, live);
    assert_eq!(rules(&findings), BTreeSet::from(["H-11"]));
    assert_eq!(clock(&outcome).count, messages.len() as u64);
}

#[test]
fn enough_faults_are_seeded() {
    let seeded: usize = faults().map(|fault| fault.versions.len()).sum();
    let met: BTreeSet<_> = faults().flat_map(|fault| fault.rules).collect();
    assert!(seeded >= 150, "{seeded}");
    let missing: Vec<_> = RULES.iter().filter(|rule| !met.contains(rule)).collect();
    // NetFlow v5 and files have tests of their own below.
    assert_eq!(
        missing,
        [&"X-21", &"N-01", &"N-02", &"N-03"],
        "rules that no fault is seeded for"
    );
}

/// What is asked for in time is no fault when there was time.
#[test]
fn waiting_and_repeating_is_right() {
    let variation = Variation {
        alone: false,
        two_domains: false,
        ..variations(10)[0]
    };
    let fault = |rule| faults().find(|fault| fault.rules == [rule]).unwrap();
    let passes = |rule: &'static str, messages: &[Sent]| {
        let (findings, outcome) = judge(messages, transport(fault(rule)), options());
        assert_eq!(findings, [], "{rule}");
        let outcome = outcome.iter().find(|outcome| outcome.rule == rule);
        assert_eq!(outcome.unwrap().verdict, Verdict::Pass, "{rule}");
    };
    let export = |rule| export(&variation, Some((&fault(rule).change, true)));
    // The withdrawal goes a second later, in a message of its own.
    let mut messages = export("T-22");
    let mut withdrawal = messages[7].clone();
    let last = messages[7].sets.pop().unwrap();
    withdrawal.sets = vec![last];
    withdrawal.at_ms += 1000;
    withdrawal.sequence = messages[8].sequence;
    messages.insert(8, withdrawal);
    passes("T-22", &messages);
    // The template goes alone before.
    let mut messages = export("T-13");
    let mut template = messages[7].clone();
    template.sets.retain(|set| set.is_template);
    messages.insert(7, template);
    passes("T-13", &messages);
    // Copies come every five messages: the new meaning comes fifteen later.
    let mut messages = export("T-26");
    let late = messages[12].sets.len() - 1;
    let meaning = messages[12].sets.remove(late);
    let mut last = messages.pop().unwrap();
    for message in &mut messages[11..] {
        message.sets.retain(|set| !set.is_template);
    }
    last.seconds += 2000;
    last.at_ms += 2_000_000;
    last.sets.retain(|set| !set.is_template);
    last.sets.push(meaning);
    messages.push(last);
    let (findings, outcome) = judge(&messages, Transport::Udp, options());
    // Strictly, they were not sent again for too long.
    assert_eq!(rules(&findings), BTreeSet::from(["T-11"]));
    let outcome = outcome.iter().find(|outcome| outcome.rule == "T-26");
    assert_eq!(outcome.unwrap().verdict, Verdict::Pass);
}

/// 60 000 records of one octet and 16 000 fields without any would be a billion values.
#[test]
fn fields_without_octets_cost_no_time() {
    let set = |id: u16, content: &[u8]| {
        let length = u16::try_from(content.len() + 4).unwrap();
        [&id.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
    };
    let message = |sequence: u32, set: Vec<u8>| {
        let length = u16::try_from(set.len() + 16).unwrap();
        let mut message = [&[0, 10][..], &length.to_be_bytes()].concat();
        message.extend(BEGIN_S.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend([0; 4]);
        [message, set].concat()
    };
    let mut template = vec![1, 44, 0x3e, 0x81];
    template.extend([0, 82, 0, 0].repeat(16_000));
    template.extend([0, 4, 0, 1]);
    let messages = [
        message(0, set(2, &template)),
        message(0, set(300, &[6; 60_000])),
        message(60_000, set(300, &[6; 60_000])),
    ];
    let mut judge = Judge::new(Options::default());
    let mut told = BTreeSet::new();
    for message in &messages {
        let from = "192.0.2.77:4739".parse().unwrap();
        judge.message(0, from, Transport::Tcp, message, &mut |finding| {
            told.insert(finding.rule);
        });
    }
    assert_eq!(told, BTreeSet::new());
    // All of them are counted.
    let outcome = judge.finish();
    let rule = outcome.iter().find(|rule| rule.rule == "H-07").unwrap();
    assert_eq!((rule.verdict, rule.checked), (Verdict::Pass, 2));
}

#[test]
fn a_file_is_a_sequence_of_messages() {
    let file = |octets: &[Vec<u8>]| {
        let nobody = "0.0.0.0:0".parse().unwrap();
        let mut judge = Judge::new(options());
        let mut found = BTreeSet::new();
        for message in octets {
            judge.message(0, nobody, Transport::File, message, &mut |finding| {
                found.insert(finding.rule);
            });
        }
        let outcome = judge.finish();
        let rule = outcome.iter().find(|rule| rule.rule == "X-21").unwrap();
        (found, rule.verdict)
    };
    let mut messages: Vec<Vec<u8>> = export(&variations(10)[0], None)
        .iter()
        .map(Sent::octets)
        .collect();
    assert_eq!(file(&messages), (BTreeSet::new(), Verdict::Pass));
    messages.insert(4, b"# not a message".to_vec());
    assert_eq!(
        file(&messages),
        (BTreeSet::from(["X-21"]), Verdict::DataLoss)
    );
}

/// Cisco's NetFlow v5: header (version, count, uptime, seconds, nanoseconds, flows before, engine, sampling), records
/// of 48 octets (packets at 16, octets at 20, first and last uptime at 24 and 28).
fn netflow5(
    sequence: u32,
    uptime: u32,
    count: u16,
    [packets, octets, first, last]: [u32; 4],
) -> Vec<u8> {
    let mut message = [5, count].map(u16::to_be_bytes).concat();
    let seconds = 1_700_000_000 + uptime / 1000;
    for word in [uptime, seconds, 0, sequence, 0x0102_0000] {
        message.extend(word.to_be_bytes());
    }
    for _ in 0..count {
        let mut record = [0; 48];
        for (at, word) in [(16, packets), (20, octets), (24, first), (28, last)] {
            record[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        message.extend(record);
    }
    message
}

fn judge_v5(messages: &[Vec<u8>]) -> (BTreeSet<&'static str>, Outcome) {
    let from = "192.0.2.77:2055".parse().unwrap();
    let mut found = BTreeSet::new();
    let mut judge = Judge::new(options());
    for message in messages {
        judge.message(0, from, Transport::Udp, message, &mut |finding| {
            assert!(finding.offset + finding.length <= message.len() + 4);
            found.insert(finding.rule);
        });
    }
    (found, judge.finish())
}

#[test]
fn netflow_v5_is_judged() {
    let right = |number: u32| {
        netflow5(
            number * 3,
            100_000 + number * 5000,
            3,
            [2, 40, 95_000, 99_000],
        )
    };
    let all: Vec<Vec<u8>> = (0..8).map(right).collect();
    let (found, outcome) = judge_v5(&all);
    assert_eq!(found, BTreeSet::new());
    for id in ["N-01", "N-02", "N-03", "H-13", "M-01", "H-19"] {
        let rule = outcome.iter().find(|rule| rule.rule == id).unwrap();
        assert_eq!(rule.verdict, Verdict::Pass, "{id}: {}", rule.reason);
    }
    // A message that is lost, one that comes late, one that comes twice.
    let network = [0, 1, 3, 5, 4, 5, 6, 7].map(right);
    assert_eq!(judge_v5(&network).0, BTreeSet::new());
    let one = |message: Vec<u8>| judge_v5(&[message]).0;
    for (rule, values) in [
        ("M-01", [2, 39, 95_000, 99_000]),
        ("N-03", [2, 40, 99_001, 99_000]),
        ("H-13", [2, 40, 95_000, 200_000]),
    ] {
        let found = one(netflow5(0, 100_000, 3, values));
        assert_eq!(found, BTreeSet::from([rule]));
    }
    for count in [0, 1, 4, 31] {
        let mut message = right(0);
        message[3] = count;
        assert_eq!(one(message), BTreeSet::from(["N-01"]), "{count}");
    }
    // Numbers that count messages, or the flows of the message itself.
    let counted = |step: fn(u32, u16) -> u32| {
        let message = |number: u32| {
            let count = if number.is_multiple_of(2) { 3 } else { 5 };
            netflow5(
                step(number, count),
                100_000 + number * 5000,
                count,
                [2, 40, 95_000, 99_000],
            )
        };
        judge_v5(&(0..12).map(message).collect::<Vec<_>>()).0
    };
    assert_eq!(
        counted(|number, _| number / 2 * 8 + number % 2 * 3),
        BTreeSet::new()
    );
    assert_eq!(counted(|number, _| number), BTreeSet::from(["N-02"]));
    assert_eq!(
        counted(|number, count| number / 2 * 8 + number % 2 * 3 + u32::from(count)),
        BTreeSet::from(["N-02"])
    );
    // The header's time runs, its uptime stands.
    let stands = (0..8).map(|number| {
        let mut message = right(number);
        message[4..8].copy_from_slice(&500_000_u32.to_be_bytes());
        message
    });
    assert_eq!(
        judge_v5(&stands.collect::<Vec<_>>()).0,
        BTreeSet::from(["N-03"])
    );
}

/// NetFlow v9 with one flow of 500 ms in each message, the next one `step_s` later; its uptime says how long before the
/// message the exporter has booted.
fn judge_v9_clock(
    messages: u32,
    step_s: u32,
    uptime_ms: u32,
    templates: bool,
) -> BTreeSet<&'static str> {
    let at = |number| {
        let mut octets = [0, 9, 0, 1].to_vec();
        for word in [uptime_ms, 1_000_000_000 + number * step_s, number, 7] {
            octets.extend(word.to_be_bytes());
        }
        if templates || number == 0 {
            octets[3] = 2;
            // Template 256: first and last uptime, protocol, four octets each.
            for word in [0, 20, 256, 3, 22, 4, 21, 4, 4, 4_u16] {
                octets.extend(word.to_be_bytes());
            }
        }
        octets.extend([1, 0, 0, 16]);
        for word in [uptime_ms - 900, uptime_ms - 400, 17] {
            octets.extend(word.to_be_bytes());
        }
        octets
    };
    let from = "192.0.2.77:4739".parse().unwrap();
    let mut judge = Judge::new(Options::default());
    let mut broken = BTreeSet::new();
    for number in 0..messages {
        let octets = at(number);
        judge.message(0, from, Transport::Udp, &octets, &mut |finding| {
            broken.insert(finding.rule);
        });
    }
    broken
}

#[test]
fn a_base_of_uptimes_moves_only_by_a_boot() {
    // Flows years apart: 32 bits of milliseconds do not reach from one to the next.
    let year_s = 31_536_000;
    assert_eq!(judge_v9_clock(8, year_s, 1000, true), BTreeSet::new());
    // Nobody has booted since the message before, whatever templates there are.
    assert_eq!(
        judge_v9_clock(8, 100, 500_000, true),
        BTreeSet::from(["F-14"])
    );
    // After a boot templates come before data (RFC 3954 section 9).
    assert!(judge_v9_clock(8, year_s, 1000, false).contains("F-14"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_octets_never_panic(
        messages in prop::collection::vec(
            (prop_oneof![Just(5_u8), Just(9), Just(10), any::<u8>()], prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..200)),
            1..8,
        ),
        tcp in any::<bool>(),
    ) {
        let mut judge = Judge::new(Options { strict: true, live: true, ..Options::default() });
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        for (version, rest) in messages {
            let mut octets = vec![0, version];
            octets.extend(&rest);
            if version == 10 && octets.len() >= 4 {
                octets[2] = 0;
                octets[3] = u8::try_from(octets.len()).unwrap_or(u8::MAX);
            }
            judge.message(0, "[::1]:4739".parse().unwrap(), transport, &octets, &mut |_| {});
        }
        judge.close("[::1]:4739".parse().unwrap(), &mut |_| {});
        prop_assert_eq!(judge.finish().len(), RULES.len());
    }

    #[test]
    fn damaged_messages_never_panic(at in any::<prop::sample::Index>(), to in any::<u8>(), ipfix in any::<bool>(), which in any::<prop::sample::Index>()) {
        let version = if ipfix { 10 } else { 9 };
        let messages = export(&variations(version)[5], None);
        let which = which.index(messages.len());
        let mut judge = Judge::new(options());
        for (index, message) in messages.iter().enumerate() {
            let mut octets = message.octets();
            if index == which {
                let at = at.index(octets.len());
                octets[at] = to;
            }
            judge.message(0, "192.0.2.1:1".parse().unwrap(), Transport::Udp, &octets, &mut |_| {});
        }
    }
}
