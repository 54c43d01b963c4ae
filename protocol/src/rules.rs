//! The rules by which violations are named: one catalogue for diagnostics, checks and documentation.

/// How strongly an RFC asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// MUST or MUST NOT.
    Must,
    /// SHOULD or SHOULD NOT.
    Should,
    /// No word of an RFC, but messages make no sense otherwise.
    Sanity,
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

/// All rules that decoding can find broken, by identifier.
pub static RULES: &[Rule] = &[
    rule(
        "H-01",
        "RFC 3954 5.1, RFC 7011 3.1",
        Level::Must,
        "A message begins with a complete header.",
    ),
    rule(
        "H-16",
        "RFC 7011 9.1",
        Level::Must,
        "An IPFIX message is as long as its header says, and at least 16 octets.",
    ),
    rule(
        "H-17",
        "RFC 7011 9.1",
        Level::Must,
        "A message of an unknown version is discarded.",
    ),
    rule(
        "N-01",
        "Cisco NetFlow v5",
        Level::Sanity,
        "A NetFlow v5 packet holds as many 48-octet records as its header counts, 1 to 30.",
    ),
    rule(
        "O-02",
        "RFC 7011 3.4.2.2",
        Level::Must,
        "An options template has at least one scope field and no more scope fields than fields.",
    ),
    rule(
        "O-05",
        "RFC 3954 6.1",
        Level::Sanity,
        "Scope and option lengths of a NetFlow v9 options template are multiples of 4 and fit the FlowSet.",
    ),
    rule(
        "S-08",
        "RFC 7011 3.3.2",
        Level::Sanity,
        "Reserved set IDs are skipped.",
    ),
    rule(
        "S-09",
        "RFC 7011 9.1",
        Level::Must,
        "A set ends inside its message.",
    ),
    rule(
        "S-10",
        "RFC 7011 9.1",
        Level::Must,
        "A set is at least as long as its own header.",
    ),
    rule(
        "S-11",
        "RFC 5471 3.6.6",
        Level::Sanity,
        "A data set holds at least one whole record.",
    ),
    rule(
        "S-13",
        "RFC 7011 3.1",
        Level::Sanity,
        "Nothing follows the last set of a message.",
    ),
    rule(
        "T-03",
        "RFC 7011 3.4.1",
        Level::Must,
        "Template IDs are 256 to 65535.",
    ),
    rule(
        "T-20",
        "RFC 7011 8.1",
        Level::Should,
        "Only a known template is withdrawn.",
    ),
    rule(
        "T-17",
        "RFC 7011 8.4",
        Level::Must,
        "Templates are not withdrawn over UDP.",
    ),
    rule(
        "T-30",
        "RFC 5471 3.6.4",
        Level::Sanity,
        "A template record has as many fields as it counts.",
    ),
    rule(
        "T-32",
        "RFC 7011 3.4.1",
        Level::Sanity,
        "A record has at least one octet.",
    ),
    rule(
        "T-33",
        "RFC 3954 5.2",
        Level::Sanity,
        "NetFlow v9 fields have a fixed length.",
    ),
    rule(
        "T-34",
        "RFC 7011 9.1",
        Level::Sanity,
        "A record fits a message.",
    ),
    rule(
        "F-08",
        "RFC 7011 9.1",
        Level::Must,
        "A value of variable length ends inside its set.",
    ),
];

const fn rule(
    id: &'static str,
    section: &'static str,
    level: Level,
    sentence: &'static str,
) -> Rule {
    Rule {
        id,
        section,
        level,
        sentence,
    }
}

/// The rule of this identifier.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_sentences_whole() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(
                RULES.iter().position(|other| other.id == rule.id),
                Some(index)
            );
            assert!(rule.sentence.ends_with('.'), "{}", rule.id);
        }
        assert_eq!(find("S-10").map(|rule| rule.section), Some("RFC 7011 9.1"));
        assert_eq!(find("no rule"), None);
    }
}
