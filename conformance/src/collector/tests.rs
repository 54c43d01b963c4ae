#![allow(clippy::unwrap_used)]
use super::assemble::{Marking, assemble};
use std::sync::atomic::AtomicBool;

use super::faulty::{FAULTS, Fault, Twin};
use super::run::{Plan, examine, report};
use super::script::cases;
use crate::catalogue::{State, requirements, tests};
use crate::report::Report;
use crate::verdict::{Profile, Verdict};

const MARKING: Marking = Marking {
    number: 258,
    salt: 7,
    now: 1_700_000_000,
};

#[test]
fn every_case_can_be_read_and_sent() {
    let cases = cases().unwrap();
    assert!(cases.len() > 80, "{}", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "names are unique");
    for case in cases {
        assert!(
            !case.rules.is_empty() && !case.what.is_empty() && !case.expectations.is_empty(),
            "{}",
            case.name
        );
        for version in &case.versions {
            for transport in &case.transports {
                let actions = assemble(case, *version, *transport, MARKING);
                assert!(actions.is_ok(), "{}: {actions:?}", case.name);
            }
        }
    }
}

#[test]
fn the_catalogue_knows_which_rules_have_cases() {
    for row in requirements() {
        let id = row.rule.id;
        match row.state {
            State::Stored => {
                let apart = ["M-10", "X-01"];
                assert!(row.cases() > 0 || apart.contains(&id), "{id} has no case");
            }
            State::Wire => {}
            _ => assert_eq!(
                row.cases(),
                0,
                "{id} has a case, and the catalogue does not say so"
            ),
        }
        if row.cases() > 0 {
            assert!(row.who.contains('C'), "{id} binds no collector");
        }
    }
    for case in cases().unwrap() {
        for number in &case.tests {
            let test = tests()
                .iter()
                .find(|test| test.number == number.to_string());
            assert!(
                test.is_some_and(|test| test.who != "E"),
                "{}: test {number}",
                case.name
            );
        }
    }
}

fn judged(fault: Fault, only: Vec<&'static str>, profile: Profile) -> Report {
    let plan = Plan {
        only,
        profile,
        strict: true,
        ..Plan::default()
    };
    let findings = examine(&mut Twin::new(fault), &plan, &AtomicBool::new(false)).unwrap();
    report(&findings, &plan, format!("{fault:?}"), None)
}

#[test]
fn a_collector_without_faults_passes_everything() {
    for profile in [Profile::Rfc7011, Profile::Modern] {
        let report = judged(Fault::None, Vec::new(), profile);
        let broken: Vec<_> = report
            .results
            .iter()
            .filter(|result| result.verdict.is_negative())
            .map(note)
            .collect();
        assert!(broken.is_empty(), "{profile}: {broken:#?}");
        let passed = report
            .results
            .iter()
            .filter(|result| result.verdict == Verdict::Pass)
            .count();
        assert!(passed > 85, "{passed} rules are judged");
    }
}

#[test]
fn every_faulty_twin_is_caught_by_the_rule_it_breaks() {
    let missed: Vec<String> = FAULTS
        .iter()
        .filter(|(fault, rule, _)| {
            let report = judged(*fault, vec![rule], Profile::Rfc7011);
            !report
                .results
                .iter()
                .any(|result| result.verdict.is_negative())
        })
        .map(|(fault, rule, _)| format!("{fault:?} by {rule}"))
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {}: {missed:#?}",
        missed.len(),
        FAULTS.len()
    );
}

/// Of all faults, a good part was somebody's: told by where it was reported.
#[test]
fn faults_are_those_that_collectors_had() {
    let numbered = |published: &str| published.contains(" #") || published.contains("CVE-");
    let count = FAULTS
        .iter()
        .filter(|(.., published)| numbered(published))
        .count();
    assert!(
        count >= 20 && FAULTS.len() >= 60,
        "{count} of {}",
        FAULTS.len()
    );
}

fn note(result: &crate::inspection::RuleResult) -> String {
    let note = result
        .first
        .as_ref()
        .map_or("", |first| first.finding.note.as_str());
    format!("{} {}: {note}", result.requirement.rule.id, result.verdict)
}
