//! One run of a case against what the device stored: values one by one, what must not be stored, what was made up,
//! and whether the device still lives.

use super::assemble::{Marking, PROBE, STANDARD_NAMES};
use super::script::{Case, What};
use super::stored::{Stored, Value};
use crate::verdict::{Profile, Verdict};
use crate::wire::Transport;

/// How a device fared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    /// It reads on, and ended when asked to.
    #[default]
    Alive,
    /// It ended or hangs: in words.
    Gone(String),
}

/// What was seen of a device after one or several runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observation {
    /// What it stored.
    pub stored: Vec<Stored>,
    /// How many records it counts, where the records themselves are not seen.
    pub counted: Option<u64>,
    /// How it fared.
    pub fate: Fate,
    /// Sequence failures that it counted, if it shows them.
    pub lost: Option<u64>,
    /// The ports that it was told to listen on.
    pub ports: Vec<u16>,
    /// What it said, if that is seen.
    pub log: Option<Vec<String>>,
    /// By how many MiB its memory grew, if that is seen.
    pub memory_mib: Option<u64>,
    /// Why this says little of the device: datagrams were dropped before it, or it hung, which may be chance.
    pub doubt: Option<String>,
    /// Where two readers of its files disagree.
    pub disagreements: Vec<String>,
    /// What could not be read or sent.
    pub remarks: Vec<String>,
}

/// What became of one run of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What speaks against the device, the worst first; or why there is no verdict.
    pub notes: Vec<String>,
}

/// One run of a case.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The case.
    pub case: &'a Case,
    /// Its version.
    pub version: u16,
    /// Its transport.
    pub transport: Transport,
    /// What tells it from others.
    pub marking: Marking,
}

/// What of a device is visible at all.
pub trait Sight {
    /// Whether this value would be seen if it were stored.
    fn shows(&self, name: &str) -> bool;
    /// Whether options records would be seen.
    fn shows_options(&self) -> bool;
}

/// Judges one run. `alone` says that nothing else was run on this device: then everything without a mark is its.
pub fn judge(
    run: &Run<'_>,
    profile: Profile,
    seen: &Observation,
    sight: &dyn Sight,
    alone: bool,
) -> Outcome {
    let mut desk = Desk {
        run,
        seen,
        sight,
        faults: Vec::new(),
        unseen: Vec::new(),
    };
    if let Fate::Gone(how) = &seen.fate {
        desk.fault(Verdict::Unsafe, format!("the device {how}"));
    } else if seen.counted.is_none()
        && !seen
            .stored
            .iter()
            .any(|stored| stored.is_probe(run.marking))
    {
        desk.fault(
            Verdict::DataLoss,
            "a healthy message that came afterwards is not stored".to_owned(),
        );
    }
    let mut strays = false;
    let mut kept = 0;
    let mut range = Range::default();
    for expectation in &run.case.expectations {
        if !expectation.holds(profile, run.version, run.transport) {
            continue;
        }
        kept += 1;
        strays |= expectation.what == What::Strays;
        match (seen.counted, &expectation.what) {
            (Some(_), What::Stored { .. } | What::Absent(_) | What::Options(..) | What::Strays) => {
                range.add(&expectation.what, run.case);
            }
            (_, what) => desk.check(what, expectation.verdict),
        }
    }
    match (seen.counted, &seen.fate) {
        (Some(counted), Fate::Alive) => desk.counted(counted, &range),
        _ if alone && !strays => desk.strays(),
        _ => {}
    }
    desk.conclude(kept)
}

/// How many records a device may count.
struct Range {
    least: u64,
    most: u64,
    /// What a count does not show.
    unseen: Vec<String>,
}

/// The healthy message's.
impl Default for Range {
    fn default() -> Self {
        Self {
            least: 1,
            most: 1,
            unseen: Vec::new(),
        }
    }
}

impl Range {
    fn add(&mut self, what: &What, case: &Case) {
        // Rules of fields are rules of values; elsewhere those of a standard record only tell that it is this one.
        let of_values = case.rules.iter().any(|rule| rule.starts_with('F'));
        let matters = |name: &&str| of_values || !STANDARD_NAMES.contains(name);
        match what {
            What::Stored {
                times,
                fields,
                optional,
                ..
            } => {
                self.most = self.most.saturating_add(*times as u64);
                if !optional {
                    self.least = self.least.saturating_add(*times as u64);
                }
                let others = fields.iter().map(|(name, _)| name.trim_end_matches('?'));
                let others = others.filter(matters);
                self.unseen
                    .extend(others.map(|name| format!("a count of records does not show {name}")));
            }
            What::Options(_, false) => self
                .unseen
                .push("a count of records does not show options records".to_owned()),
            What::Strays => self.most = u64::MAX,
            _ => {}
        }
    }
}

struct Desk<'a> {
    run: &'a Run<'a>,
    seen: &'a Observation,
    sight: &'a dyn Sight,
    faults: Vec<(Verdict, String)>,
    unseen: Vec<String>,
}

impl Desk<'_> {
    fn fault(&mut self, verdict: Verdict, note: String) {
        self.faults.push((verdict, note));
    }

    fn conclude(mut self, kept: usize) -> Outcome {
        if self.faults.is_empty() {
            if kept == 0 {
                self.unseen
                    .push("this profile expects nothing of it".to_owned());
            }
            let verdict = if self.unseen.is_empty() {
                Verdict::Pass
            } else {
                Verdict::NotApplicable
            };
            return Outcome {
                verdict,
                notes: self.unseen,
            };
        }
        self.faults
            .sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        Outcome {
            verdict: self
                .faults
                .first()
                .map_or(Verdict::Pass, |(verdict, _)| *verdict),
            notes: self.faults.into_iter().map(|(_, note)| note).collect(),
        }
    }

    fn check(&mut self, what: &What, verdict: Option<Verdict>) {
        match what {
            What::Stored {
                mark,
                times,
                fields,
                optional,
            } => {
                self.stored(*mark, *times, fields, *optional, verdict);
            }
            What::Absent(mark) => {
                if let Some(record) = self.marked(*mark).first() {
                    let note = format!("a record that must not be stored is: {}", record.summary());
                    self.fault(verdict.unwrap_or(Verdict::WrongData), note);
                }
            }
            What::Options(fields, optional) => {
                if !optional || self.sight.shows_options() {
                    self.options(fields, verdict);
                }
            }
            What::Strays => {}
            What::Lost(records) => self.lost(*records, verdict),
            What::LostBelow(most) => match self.seen.lost {
                None => self
                    .unseen
                    .push("it shows no count of what was lost".to_owned()),
                Some(lost) if lost < *most => {}
                Some(lost) => {
                    let note = format!("it counts {lost} as lost, at most {most} can be");
                    self.fault(verdict.unwrap_or(Verdict::Deviation), note);
                }
            },
            What::Quiet(lines, word) => self.quiet(*lines, word, verdict),
            What::Memory(mib) => match self.seen.memory_mib {
                Some(grown) if grown > *mib => {
                    self.fault(
                        Verdict::Unsafe,
                        format!("its memory grew by {grown} MiB, {mib} are allowed"),
                    );
                }
                Some(_) => {}
                None => self
                    .unseen
                    .push("its memory is not seen: --start it".to_owned()),
            },
        }
    }

    /// Where records are only counted: not fewer than must be stored, and not more than were sent.
    fn counted(&mut self, counted: u64, range: &Range) {
        let Range { least, most, .. } = *range;
        self.unseen.extend(range.unseen.iter().take(1).cloned());
        if counted < least {
            let note =
                format!("it counts {counted} records, at least {least} of what was sent must be");
            self.fault(Verdict::DataLoss, note);
        } else if counted > most {
            let note = format!("it counts {counted} records, at most {most} of what was sent are");
            self.fault(Verdict::WrongData, note);
        }
    }

    fn marked(&self, mark: u8) -> Vec<&Stored> {
        let mine =
            |stored: &&Stored| !stored.options && stored.mark(self.run.marking) == Some(mark);
        self.seen.stored.iter().filter(mine).collect()
    }

    fn stored(
        &mut self,
        mark: u8,
        times: usize,
        fields: &[(String, String)],
        optional: bool,
        verdict: Option<Verdict>,
    ) {
        let found: Vec<Stored> = self.marked(mark).into_iter().cloned().collect();
        if found.len() < times && !optional {
            let address = self.run.marking.address(mark);
            let note = if times == 1 {
                format!("record {mark} ({address}) is not stored")
            } else {
                format!(
                    "record {mark} ({address}) is stored {} times, sent {times} times",
                    found.len()
                )
            };
            self.fault(verdict.unwrap_or(Verdict::DataLoss), note);
        } else if found.len() > times {
            let note = format!(
                "record {mark} is stored {} times, sent {times} times",
                found.len()
            );
            self.fault(verdict.unwrap_or(Verdict::WrongData), note);
        }
        let Some(first) = found.first() else { return };
        for (name, expected) in fields {
            self.value(mark, first, name, expected, verdict);
        }
    }

    fn value(
        &mut self,
        mark: u8,
        record: &Stored,
        name: &str,
        expected: &str,
        verdict: Option<Verdict>,
    ) {
        // A question mark: kept only by those who know the element.
        let (name, must) = match name.strip_suffix('?') {
            Some(name) => (name, false),
            None => (name, true),
        };
        if !self.sight.shows(name) {
            if must {
                self.unseen
                    .push(format!("what it stores does not show {name}"));
            }
            return;
        }
        // Before a tilde: the count as it was sent. It says nothing of a rate, unless the rate is shown as well.
        let expected = match expected.split_once('~') {
            Some((raw, _)) if record.get(name) == Some(&Value::expected(raw, self.run.marking)) => {
                if !self.sight.shows_options() {
                    self.unseen.push(
                        "it stores the counts as they were sent: no rate is applied".to_owned(),
                    );
                }
                return;
            }
            Some((_, scaled)) => scaled,
            None => expected,
        };
        let allowed: Vec<Value> = expected
            .split('|')
            .map(|one| Value::expected(one, self.run.marking))
            .collect();
        let note = match record.get(name) {
            Some(value) if allowed.iter().any(|one| value.agrees(one)) => return,
            // The place for a time that is not known.
            Some(Value::Time(0)) if expected.split('|').any(|one| one == "none") => return,
            Some(value) => format!(
                "record {mark} has {name} {value}, {} was sent",
                list(&allowed)
            ),
            // A place that is empty is the same as one that is not there.
            None if allowed.contains(&Value::Number(0)) => return,
            None if !must || expected.split('|').any(|one| one == "none") => return,
            None => format!("record {mark} has no {name}, {} was sent", list(&allowed)),
        };
        self.fault(verdict.unwrap_or(Verdict::WrongData), note);
    }

    fn options(&mut self, fields: &[(String, String)], verdict: Option<Verdict>) {
        if !self.sight.shows_options() {
            self.unseen
                .push("what it stores does not show options records".to_owned());
            return;
        }
        let wanted: Vec<(String, Value)> = fields
            .iter()
            .map(|(name, value)| (name.clone(), Value::expected(value, self.run.marking)))
            .collect();
        let is_it = |stored: &&Stored| {
            stored.options
                && wanted
                    .iter()
                    .all(|(name, value)| stored.get(name).is_some_and(|known| known.agrees(value)))
        };
        if self.seen.stored.iter().filter(is_it).count() == 0 {
            let wanted: Vec<String> = wanted
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            let note = format!("no options record with {} is shown", wanted.join(", "));
            self.fault(verdict.unwrap_or(Verdict::WrongData), note);
        }
    }

    fn lost(&mut self, records: u64, verdict: Option<Verdict>) {
        match self.seen.lost {
            None => self
                .unseen
                .push("it shows no count of what was lost".to_owned()),
            Some(lost) if lost == records => {}
            Some(0) if records > 0 => self.fault(
                verdict.unwrap_or(Verdict::DataLoss),
                format!("{records} are missing in the sequence, and it counts none"),
            ),
            Some(lost) => self.fault(
                verdict.unwrap_or(Verdict::Deviation),
                format!("it counts {lost} as lost, {records} are missing in the sequence"),
            ),
        }
    }

    fn quiet(&mut self, lines: usize, word: &str, verdict: Option<Verdict>) {
        let Some(log) = &self.seen.log else {
            self.unseen
                .push("its log is not seen: --start it".to_owned());
            return;
        };
        let told = log
            .iter()
            .filter(|line| line.to_lowercase().contains(word))
            .count();
        if told >= lines {
            let note = format!("{told} lines of its log tell of a {word}");
            self.fault(verdict.unwrap_or(Verdict::Deviation), note);
        }
    }

    /// Whatever it stored that nobody sent.
    fn strays(&mut self) {
        let known = |mark: u8| {
            mark == PROBE
                || self
                    .run
                    .case
                    .expectations
                    .iter()
                    .any(|expectation| match &expectation.what {
                        What::Stored { mark: known, .. } | What::Absent(known) => *known == mark,
                        _ => false,
                    })
        };
        let stray = self
            .seen
            .stored
            .iter()
            .filter(|stored| !stored.options)
            .find(|stored| !stored.mark(self.run.marking).is_some_and(known));
        if let Some(stray) = stray {
            let note = format!("a record is stored that nobody sent: {}", stray.summary());
            self.fault(Verdict::WrongData, note);
        }
    }
}

fn list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(" or ")
}
