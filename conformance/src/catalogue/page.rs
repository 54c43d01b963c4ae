//! docs/conformance.md, made from the catalogue.

use std::fmt::Write;

use super::{Requirement, State, requirements, tests};
use crate::verdict::Profile;

const HEAD: &str = "# What `t2check` checks

Made from `protocol/data/rules.tsv` and `conformance/data/*.tsv`; a test keeps it up to date.

Who: E exporter, C collector, R reporter. Levels are those of RFC 2119; SANITY marks what no RFC says in so many words, but
without which messages make no sense. Profile 7011 expects what the sentence says; where another profile differs, it is told.
`t2check explain ID` tells all this for one rule.

";

/// The groups of identifiers and their titles.
const GROUPS: [(char, &str); 10] = [
    ('H', "Message header"),
    ('S', "Sets and padding"),
    ('T', "Templates"),
    ('F', "Fields"),
    ('O', "Options and sampling"),
    ('X', "Transports"),
    ('B', "Biflows"),
    ('L', "Structured data"),
    ('M', "Metering and sums"),
    ('N', "NetFlow v5"),
];

/// The text of the page.
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    let all = requirements();
    let numbered = all.iter().filter(|row| row.is_numbered()).count();
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "{numbered} requirements, and {} for NetFlow v5:\n",
        all.len() - numbered
    );
    for state in State::ALL {
        let count = all.iter().filter(|row| row.state == state).count();
        let _ = writeln!(text, "* {count} {}: {}", state.name(), state.reason());
    }
    let both = all
        .iter()
        .filter(|row| row.state == State::Wire && row.cases() > 0)
        .count();
    let _ = writeln!(
        text,
        "* {both} of those on an exporter's messages also by what a collector stored (`+ stored`)"
    );
    for (letter, title) in GROUPS {
        let _ = write!(
            text,
            "\n## {title}\n\n| ID | rule | level | source | who | versions | state |\n|---|---|---|---|---|---|---|\n"
        );
        for row in all.iter().filter(|row| row.rule.id.starts_with(letter)) {
            requirement(&mut text, row);
        }
    }
    rfc5471(&mut text);
    text
}

fn requirement(text: &mut String, row: &Requirement) {
    let rule = row.rule;
    let _ = write!(text, "| {} | {}", rule.id, rule.sentence);
    for profile in Profile::ALL {
        if let Some(instead) = row.instead(profile) {
            let _ = write!(text, " *{profile}: {instead}.*");
        }
    }
    let _ = writeln!(
        text,
        " | {} | {} | {} | {} | {}{} |",
        rule.level.name(),
        rule.section,
        row.who,
        row.versions,
        row.state.name(),
        if row.state == State::Wire && row.cases() > 0 {
            " + stored"
        } else {
            ""
        }
    );
}

fn rfc5471(text: &mut String) {
    let count = tests().len();
    let _ = write!(
        text,
        "\n## The {count} tests of RFC 5471\n\n\
         A test is a section of RFC 5471 section 3 that states an expected result. It was written for RFC 5101; the last but \
         one column tells what RFC 7011 makes of it.\n\n\
         | # | section | cases | who | tested | RFC 5471 expects | RFC 7011 | IDs |\n|---|---|---|---|---|---|---|---|\n"
    );
    for test in tests() {
        let ids: Vec<&str> = test.ids().collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            test.number,
            test.section,
            test.cases,
            test.who,
            test.what,
            test.expects,
            test.rfc7011,
            ids.join(", ")
        );
    }
}
