//! `t2check list` and `t2check explain`: the catalogue in words.

use std::fmt::Write;

use crate::catalogue::{Requirement, State, requirements, tests};
use crate::collector::script::cases;
use crate::verdict::Profile;

/// All requirements and the tests of RFC 5471, one line each.
pub fn list() -> String {
    let mut text = String::new();
    for row in requirements() {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{:<5} {:<7} {:<3} {:<10} {}",
            row.rule.id,
            row.rule.level.name(),
            row.who,
            row.state.name(),
            row.rule.sentence
        );
    }
    text.push('\n');
    for test in tests() {
        let ids: Vec<&str> = test.ids().collect();
        let _ = writeln!(
            text,
            "RFC 5471 {:<9} {:<3} {} [{}]",
            test.section,
            test.who,
            test.what,
            ids.join(", ")
        );
    }
    let numbered = requirements()
        .iter()
        .filter(|row| row.is_numbered())
        .count();
    let _ = writeln!(
        text,
        "\n{numbered} requirements, {} more for NetFlow v5, {} tests of RFC 5471",
        requirements().len() - numbered,
        tests().len()
    );
    let both = requirements()
        .iter()
        .filter(|row| row.state == State::Wire && row.cases() > 0)
        .count();
    for state in State::ALL {
        let count = requirements()
            .iter()
            .filter(|row| row.state == state)
            .count();
        let _ = writeln!(text, "{count:>4} {:<10} {}", state.name(), state.reason());
    }
    let _ = writeln!(
        text,
        "{both:>4} {:<10} of those judged on an exporter's messages also by what a collector stored",
        "both"
    );
    text
}

/// All that is known of one requirement.
pub fn explain(row: &Requirement) -> String {
    let rule = row.rule;
    let mut text = format!(
        "{}: {}\n\nsource      {}\nlevel       {}\nbinds       {}\nversions    {}\ntransports  {}\nobserved    {}\nstate       {}: {}\n",
        rule.id,
        rule.sentence,
        rule.section,
        rule.level.name(),
        row.who_in_words(),
        row.versions,
        row.transports,
        row.observe,
        row.state.name(),
        row.state.reason()
    );
    let cases = cases().unwrap_or_default();
    for case in cases.iter().filter(|case| case.rules.contains(&rule.id)) {
        let _ = writeln!(text, "case        {}: {}", case.name, case.what);
    }
    for profile in Profile::ALL {
        let instead = row.instead(profile).unwrap_or("as above");
        let _ = writeln!(text, "profile {:<8}{instead}", profile.name());
    }
    for test in tests() {
        if test.ids().any(|id| id == rule.id) {
            let _ = writeln!(
                text,
                "\nRFC 5471 {}, test {}: {}\n  expects   {}\n  RFC 7011  {}",
                test.section, test.number, test.what, test.expects, test.rfc7011
            );
        }
    }
    text
}
