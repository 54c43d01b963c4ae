//! One source's sessions against our conversations, and the tally.

use std::collections::{BTreeMap, BTreeSet};

use crate::ours::{Conversations, Counts, Key};

/// What a source's octets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Octets {
    Ip,
    Frames,
}

impl Octets {
    pub fn of(self, counts: Counts) -> u64 {
        match self {
            Octets::Ip => counts.ip,
            Octets::Frames => counts.frames,
        }
    }
}

/// A session of the source: packets and octets of both directions of its key.
#[derive(Clone, Debug)]
pub struct Session {
    pub key: Key,
    pub counts: [(u64, u64); 2],
    pub octets: Octets,
}

/// What was met, and what was not by cause.
#[derive(Default, Debug)]
pub struct Tally {
    pub source: &'static str,
    pub captures: BTreeSet<String>,
    pub met: usize,
    /// Compared, but different.
    pub different: BTreeMap<&'static str, usize>,
    /// Not to be compared.
    pub aside: BTreeMap<&'static str, usize>,
    pub unexplained: Vec<String>,
}

impl Tally {
    pub fn new(source: &'static str) -> Self {
        Tally {
            source,
            ..Tally::default()
        }
    }

    /// Leaves a session out, and says why.
    pub fn leave_out(&mut self, cause: &'static str) {
        *self.aside.entry(cause).or_default() += 1;
    }

    /// Compares the sessions of a capture. `cause` names why a merged session differs, if that is known.
    pub fn compare(
        &mut self,
        capture: &str,
        sessions: &[Session],
        ours: &Conversations,
        cause: impl Fn(&Session, [Counts; 2]) -> Option<&'static str>,
    ) {
        if !sessions.is_empty() {
            self.captures.insert(capture.to_owned());
        }
        let mut merged: BTreeMap<Key, (Session, usize)> = BTreeMap::new();
        for session in sessions {
            match merged.get_mut(&session.key) {
                None => drop(merged.insert(session.key, (session.clone(), 1))),
                Some((sum, number)) => {
                    *number += 1;
                    for (sum, counts) in sum.counts.iter_mut().zip(session.counts) {
                        *sum = (sum.0 + counts.0, sum.1 + counts.1);
                    }
                }
            }
        }
        for (session, number) in merged.values() {
            let counts = ours.get(&session.key).copied().unwrap_or_default();
            let found = counts.map(|counts| (counts.packets, session.octets.of(counts)));
            if found == session.counts {
                self.met += number;
                continue;
            }
            match cause(session, counts) {
                Some(cause) => *self.different.entry(cause).or_default() += number,
                None => self
                    .unexplained
                    .push(format!("{capture}: {session:?}, ours {found:?} {counts:?}")),
            }
        }
    }

    /// Prints the tally; fails if a difference has no cause, or less than 95 % of what was compared is met.
    pub fn finish(self) {
        let different: usize = self.different.values().sum();
        let compared = self.met + different + self.unexplained.len();
        println!(
            "{}: {} of {compared} sessions of {} captures met; different {:?}; not compared {:?}",
            self.source,
            self.met,
            self.captures.len(),
            self.different,
            self.aside
        );
        assert!(self.unexplained.is_empty(), "{:#?}", self.unexplained);
        assert!(self.met > 0 && self.met * 100 >= compared * 95);
    }
}
