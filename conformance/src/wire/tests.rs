#![allow(clippy::unwrap_used)]
//! Faulty exporters against the judge, and what the judge must never do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::faulty::{Change, FAULTS, Fault, Sent, Variation, export};

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
    let mut faults = Vec::new();
    for fault in FAULTS {
        for version in fault.versions {
            for variation in variations(*version) {
                let messages = export(&variation, Some((&fault.change, true)));
                let (findings, _) = judge(&messages, transport(fault), options());
                let found = rules(&findings);
                let meant: BTreeSet<_> = fault.rules.iter().copied().collect();
                if found.is_empty() || !found.is_subset(&meant) {
                    faults.push(format!("{} {variation:?}: {findings:?}", fault.name));
                    break;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_right_twin_passes_everything() {
    for fault in FAULTS {
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
    let fault = FAULTS.iter().find(|fault| fault.rules == ["H-19"]).unwrap();
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
    let seeded: usize = FAULTS.iter().map(|fault| fault.versions.len()).sum();
    let met: BTreeSet<_> = FAULTS.iter().flat_map(|fault| fault.rules).collect();
    assert!(seeded >= 30, "{seeded}");
    let missing: Vec<_> = RULES.iter().filter(|rule| !met.contains(rule)).collect();
    assert_eq!(missing, [&"N-01"], "rules that no fault is seeded for");
}

#[test]
fn netflow_v5_counts_its_records() {
    let mut octets = vec![0; 24 + 2 * 48];
    octets[1] = 5;
    let from = "192.0.2.77:2055".parse().unwrap();
    for (count, right) in [(2, true), (1, false), (3, false), (0, false)] {
        octets[3] = count;
        let mut findings = Vec::new();
        let mut judge = Judge::new(options());
        judge.message(0, from, Transport::Udp, &octets, &mut |finding| {
            findings.push(finding);
        });
        assert_eq!(findings.is_empty(), right, "{count}: {findings:?}");
        assert!(right || findings[0].rule == "N-01");
    }
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
