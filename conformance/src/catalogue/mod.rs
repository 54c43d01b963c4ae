//! The catalogue: who a rule binds, how it is observed, and whether it is judged; and the tests of RFC 5471. What
//! a rule asks stands in [`protocol::rules`].
//!
//! Runner, `list`, `explain` and docs/conformance.md all read these two tables.

mod page;
mod suggest;

use std::sync::LazyLock;

use protocol::rules::{self, Rule};

use crate::verdict::Profile;

pub use page::page;
pub use suggest::suggest;

static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    rows(
        include_str!("../../data/requirements.tsv"),
        Requirement::read,
    )
});
static TESTS: LazyLock<Vec<Test>> =
    LazyLock::new(|| rows(include_str!("../../data/rfc5471.tsv"), Test::read));

/// Whether and why not a requirement is judged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// On the messages of an exporter.
    Wire,
    /// By what a collector stored.
    Stored,
    /// On what an exporter reports of known traffic.
    Metered,
    /// On what an exporter does when its collector is away, closes, or does not read.
    Disturbed,
    /// Not: it needs a transport that is not implemented.
    Transport,
    /// Not: it needs the device's own control.
    Device,
    /// Not: it takes longer than ten minutes.
    Long,
    /// Not: nothing outside the device shows it.
    Outside,
}

impl State {
    /// All, in the order of reports.
    pub const ALL: [State; 8] = [
        State::Wire,
        State::Stored,
        State::Metered,
        State::Disturbed,
        State::Device,
        State::Transport,
        State::Long,
        State::Outside,
    ];

    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            State::Wire => "wire",
            State::Stored => "stored",
            State::Metered => "metered",
            State::Disturbed => "disturbed",
            State::Transport => "transport",
            State::Device => "device",
            State::Long => "long",
            State::Outside => "outside",
        }
    }

    /// The state in words. `wire`, `stored`, `metered` and `disturbed` are the four ways to judge; the others are the reasons why
    /// there is none. All but `wire` make a requirement NOT APPLICABLE to messages.
    pub fn reason(self) -> &'static str {
        match self {
            State::Wire => "judged on an exporter's messages",
            State::Stored => "judged by what a collector stored",
            State::Metered => "judged on traffic that is known (--pcap)",
            State::Disturbed => "judged while its collector is disturbed (--disturb)",
            State::Transport => {
                "needs a transport that is not implemented (SCTP, DTLS, TLS before 1.2)"
            }
            State::Device => {
                "needs the device's own control: its traffic, configuration, reports or restart"
            }
            State::Long => "takes more than ten minutes",
            State::Outside => "not observable from outside",
        }
    }
}

/// One requirement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requirement {
    /// Identifier, section, level and sentence.
    pub rule: &'static Rule,
    /// Whom it binds: `E` exporter, `C` collector, `EC` both, `R` reporter, `-` nobody's program.
    pub who: &'static str,
    /// Versions it holds for: 5, 9, 10 or `any`.
    pub versions: &'static str,
    /// Transports it holds for.
    pub transports: &'static str,
    /// What the other profiles expect instead, in the order of [`Profile::ALL`] without the first; `=` is the same, `let`
    /// that a breach is let through.
    others: [&'static str; 3],
    /// How it is provoked and observed.
    pub observe: &'static str,
    /// Whether it is judged.
    pub state: State,
}

impl Requirement {
    /// What `profile` expects in place of the sentence; `None` if nothing else.
    pub fn instead(&self, profile: Profile) -> Option<&'static str> {
        let other = match profile {
            Profile::Rfc7011 => return None,
            Profile::Rfc5101 => self.others[0],
            Profile::Modern => self.others[1],
            Profile::Lenient => self.others[2],
        };
        match other {
            "=" => None,
            "let" => Some("a breach is let through"),
            other => Some(other),
        }
    }

    /// Whether it is one of the numbered requirements of IPFIX and NetFlow v9; NetFlow v5 has no standard to number.
    pub fn is_numbered(&self) -> bool {
        !self.rule.id.starts_with("N-")
    }

    /// How many cases judge collectors by it; where an exporter's messages are judged as well, both hold.
    pub fn cases(&self) -> usize {
        let cases = crate::collector::script::cases().unwrap_or_default();
        cases
            .iter()
            .filter(|case| case.rules.contains(&self.rule.id))
            .count()
    }

    /// Whom it binds, in words.
    pub fn who_in_words(&self) -> &'static str {
        match self.who {
            "E" => "exporters",
            "C" => "collectors",
            "EC" => "exporters and collectors",
            "R" => "reporters",
            _ => "nobody's program",
        }
    }

    fn read(
        [
            id,
            who,
            versions,
            transports,
            old,
            modern,
            lenient,
            observe,
            state,
        ]: [&'static str; 9],
    ) -> Option<Self> {
        Some(Self {
            rule: rules::find(id)?,
            who,
            versions,
            transports,
            others: [old, modern, lenient],
            observe,
            state: State::ALL.into_iter().find(|known| known.name() == state)?,
        })
    }
}

/// One test of RFC 5471 section 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Test {
    /// 1 to 42.
    pub number: &'static str,
    /// Section of RFC 5471.
    pub section: &'static str,
    /// Inputs or sequences that it describes.
    pub cases: &'static str,
    /// Whose behaviour decides: as [`Requirement::who`].
    pub who: &'static str,
    /// What is tested.
    pub what: &'static str,
    /// What RFC 5471 expects.
    pub expects: &'static str,
    /// What RFC 7011 changes.
    pub rfc7011: &'static str,
    ids: &'static str,
}

impl Test {
    /// The requirements that it tests.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.ids.split(' ')
    }

    fn read(
        [number, section, cases, who, what, expects, rfc7011, ids]: [&'static str; 8],
    ) -> Option<Self> {
        Some(Self {
            number,
            section,
            cases,
            who,
            what,
            expects,
            rfc7011,
            ids,
        })
    }
}

/// All requirements, in the order of their identifiers' groups.
pub fn requirements() -> &'static [Requirement] {
    &REQUIREMENTS
}

/// The tests of RFC 5471.
pub fn tests() -> &'static [Test] {
    &TESTS
}

/// The requirement of this identifier; upper and lower case are the same.
pub fn find(id: &str) -> Option<&'static Requirement> {
    REQUIREMENTS
        .iter()
        .find(|requirement| requirement.rule.id.eq_ignore_ascii_case(id))
}

/// The rows of a table without its head. A row that cannot be read is missing; the tests count them.
fn rows<T, const N: usize>(
    table: &'static str,
    read: impl Fn([&'static str; N]) -> Option<T>,
) -> Vec<T> {
    let cells = |line: &'static str| line.split('\t').collect::<Vec<_>>().try_into().ok();
    table
        .lines()
        .skip(1)
        .filter_map(|line| read(cells(line)?))
        .collect()
}

#[cfg(test)]
mod tests;
