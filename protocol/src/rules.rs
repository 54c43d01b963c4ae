//! The rules by which violations are named: one catalogue for diagnostics, checks and documentation, read from
//! `data/rules.tsv`.

use std::sync::LazyLock;

static SOURCE: &str = include_str!("../data/rules.tsv");
static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| SOURCE.lines().skip(1).filter_map(parse_line).collect());

/// How strongly an RFC asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Level {
    /// MUST or MUST NOT.
    Must,
    /// SHOULD or SHOULD NOT.
    Should,
    /// MAY.
    May,
    /// No word of an RFC, but messages make no sense otherwise.
    Sanity,
}

impl Level {
    const ALL: [Level; 4] = [Level::Must, Level::Should, Level::May, Level::Sanity];

    /// The word of the RFCs (RFC 2119), or `SANITY`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
            Level::Sanity => "SANITY",
        }
    }
}

/// One rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Identifier, stable.
    pub id: &'static str,
    /// RFC number and section.
    pub section: &'static str,
    /// How strongly it is asked for.
    pub level: Level,
    /// What it asks, in our words.
    pub sentence: &'static str,
}

/// All rules, in the order of the messages' parts: header, sets, templates, fields, options, transports, biflows,
/// lists, metering, NetFlow v5.
pub fn all() -> &'static [Rule] {
    &RULES
}

/// The rule of this identifier.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

fn parse_line(line: &'static str) -> Option<Rule> {
    let mut columns = line.split('\t');
    let (id, section, level) = (columns.next()?, columns.next()?, columns.next()?);
    Some(Rule {
        id,
        section,
        level: Level::ALL.into_iter().find(|word| word.name() == level)?,
        sentence: columns.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_sentences_whole() {
        assert_eq!(all().len(), SOURCE.lines().count() - 1);
        for (index, rule) in all().iter().enumerate() {
            assert_eq!(
                all().iter().position(|other| other.id == rule.id),
                Some(index)
            );
            assert!(rule.sentence.ends_with('.'), "{}", rule.id);
            let other = all()
                .iter()
                .position(|other| other.sentence == rule.sentence);
            assert_eq!(other, Some(index), "{}", rule.id);
        }
        assert_eq!(find("S-10").map(|rule| rule.section), Some("RFC 7011 9.1"));
        assert_eq!(find("no rule"), None);
    }
}
