#![allow(clippy::unwrap_used)]
use super::*;
use crate::{inspection, wire};

#[test]
fn all_requirements_are_there_once() {
    let numbered = requirements().iter().filter(|row| row.is_numbered());
    assert_eq!(numbered.count(), 171);
    assert_eq!(requirements().len(), 174);
    for (group, count) in [
        ('H', 22),
        ('S', 14),
        ('T', 37),
        ('F', 32),
        ('O', 20),
        ('X', 23),
        ('B', 7),
        ('L', 5),
        ('M', 11),
    ] {
        let ids: Vec<&str> = requirements()
            .iter()
            .map(|row| row.rule.id)
            .filter(|id| id.starts_with(group))
            .collect();
        let expected: Vec<String> = (1..=count).map(|n| format!("{group}-{n:02}")).collect();
        assert_eq!(ids, expected);
    }
}

#[test]
fn what_the_catalogue_calls_judged_is_judged_and_nothing_else() {
    let mut judged: Vec<&str> = wire::RULES
        .iter()
        .chain(inspection::RULES)
        .copied()
        .collect();
    judged.sort_unstable();
    let mut rows: Vec<&str> = requirements()
        .iter()
        .filter(|row| row.state == State::Wire)
        .map(|row| row.rule.id)
        .collect();
    rows.sort_unstable();
    assert_eq!(judged, rows);
    for id in judged {
        assert!(find(id).unwrap().who.contains('E'), "{id}");
    }
}

#[test]
fn every_requirement_can_be_explained() {
    for row in requirements() {
        let id = row.rule.id;
        assert!(["E", "C", "EC", "R", "-"].contains(&row.who), "{id}");
        assert!(
            !row.observe.is_empty() && !row.transports.is_empty(),
            "{id}"
        );
        if matches!(row.who, "C" | "R") {
            assert_ne!(row.state, State::Wire, "{id}");
        }
        for profile in Profile::ALL {
            assert_ne!(row.instead(profile), Some(""), "{id}");
        }
    }
    assert_eq!(
        find("t-20").unwrap().instead(Profile::Rfc5101),
        Some("message discarded, session closed, logged")
    );
    assert_eq!(find("H-02").unwrap().instead(Profile::Modern), None);
}

#[test]
fn the_tests_of_rfc_5471_are_there_one_to_one() {
    assert_eq!(tests().len(), 42);
    let cases: u32 = tests()
        .iter()
        .map(|test| test.cases.parse::<u32>().unwrap())
        .sum();
    assert_eq!(cases, 76);
    for (index, test) in tests().iter().enumerate() {
        assert_eq!(test.number, (index + 1).to_string());
        for id in test.ids() {
            assert!(find(id).is_some(), "test {}: {id}", test.number);
        }
    }
}

/// `T2_BLESS=1` writes the page anew.
#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
    if std::env::var_os("T2_BLESS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page(),
        "docs/conformance.md is out of date: run this test with T2_BLESS=1"
    );
}
