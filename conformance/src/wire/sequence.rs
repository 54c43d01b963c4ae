//! Sequence numbers: NetFlow v9 counts messages, IPFIX data records, NetFlow v5 flows.
//!
//! A number too far ahead may always be loss on the way, so it proves nothing by itself. What proves a wrong
//! count: two messages that claim the same place, or several steps in a row that fit another unit exactly while
//! none fits the right one.

use super::rules::{Desk, R};
use crate::verdict::Verdict;

/// A step of more than this is another numbering.
const MOST_AHEAD: u32 = 1 << 24;
/// A number this far behind is a late message.
const MOST_BEHIND: u32 = 1 << 16;
/// Steps in a row that make another unit certain.
const CERTAIN: u32 = 3;

/// Where a message stands in its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The first one that was seen.
    First,
    /// Right behind the one before.
    InOrder,
    /// Something may be missing before it, or the step cannot be judged.
    Gap,
    /// Overtaken by others.
    Late,
    /// Another numbering.
    Jump,
}

/// What a message held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Data records, options included.
    pub records: u32,
    /// Template records.
    pub templates: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    number: u32,
    /// `None`: could not be counted.
    held: Option<Held>,
}

/// The numbering of one domain.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: Option<Last>,
    /// The session was seen from its first message, without a gap.
    pub unbroken: bool,
    /// The first number seen was 0.
    pub began: bool,
    /// Where a late message would be followed by the next one, and how many did.
    other: Option<(u32, u32)>,
    /// Steps that fit the right unit and no other.
    right: u32,
    /// Steps that fit a count of records (v9), or of the message's own records (IPFIX).
    wrong: u32,
    /// Steps that fit when templates are counted too; and steps that fit when they are not.
    templates_counted: u32,
    templates_not: u32,
    zeros: u32,
}

impl Sequence {
    /// What the last message held is not known.
    pub(super) fn forget(&mut self) {
        self.unbroken = false;
        if let Some(last) = &mut self.last {
            last.held = None;
        }
    }

    /// Where the message stands, before it is read.
    pub(super) fn place(&mut self, version: u16, number: u32) -> Step {
        let Some(last) = self.last else {
            self.began = number == 0;
            self.unbroken = self.began;
            return Step::First;
        };
        let ahead = number.wrapping_sub(last.number);
        let expected = match (version, last.held) {
            (9, _) => Some(1),
            (_, held) => held.map(|held| held.records),
        };
        let step = if expected == Some(ahead) {
            Step::InOrder
        } else if ahead <= MOST_AHEAD {
            Step::Gap
        } else if ahead.wrapping_neg() <= MOST_BEHIND && !self.follows_late(number) {
            Step::Late
        } else {
            Step::Jump
        };
        self.unbroken &= step == Step::InOrder;
        step
    }

    /// Three late messages that follow each other are another numbering.
    fn follows_late(&self, number: u32) -> bool {
        self.other
            .is_some_and(|(next, run)| next == number && run >= 2)
    }

    /// Judges the step and moves on. `held` is what the message held, `at` where its number stands.
    pub(super) fn judge(
        &mut self,
        version: u16,
        number: u32,
        step: Step,
        held: Option<Held>,
        at: usize,
        desk: &mut Desk,
    ) {
        if let Some(last) = self.last
            && matches!(step, Step::InOrder | Step::Gap)
        {
            if version == 9 {
                self.judge_v9(last, number, at, desk);
            } else {
                let rule = if version == 5 { R::N02 } else { R::H07 };
                self.judge_records(rule, last, number, held, at, desk);
            }
        }
        if step == Step::Late {
            let next = number.wrapping_add(match (version, held) {
                (9, _) => 1,
                (_, held) => held.map_or(0, |held| held.records),
            });
            let run = match self.other {
                Some((expected, run)) if expected == number => run + 1,
                _ => 1,
            };
            self.other = Some((next, run));
            return;
        }
        self.other = None;
        self.last = Some(Last { number, held });
    }

    fn judge_v9(&mut self, last: Last, number: u32, at: usize, desk: &mut Desk) {
        let ahead = number.wrapping_sub(last.number);
        if ahead == 0 {
            desk.judge(R::H04, false, Verdict::Deviation, at, 4, || {
                format!("number {number} again, in another message")
            });
            return;
        }
        let several = last
            .held
            .filter(|held| held.records + held.templates > 1 && held.records != 1);
        if ahead == 1 {
            desk.check(R::H04);
            if several.is_some() {
                self.right += 1;
            }
            return;
        }
        let counts_records = several
            .is_some_and(|held| ahead == held.records || ahead == held.records + held.templates);
        self.wrong = if counts_records { self.wrong + 1 } else { 0 };
        if self.wrong >= CERTAIN && self.right == 0 {
            desk.judge(R::H04, false, Verdict::Deviation, at, 4, || {
                format!("number {number} is {ahead} ahead, the records of the message before: it counts records, not messages")
            });
        }
    }

    fn judge_records(
        &mut self,
        rule: R,
        last: Last,
        number: u32,
        held: Option<Held>,
        at: usize,
        desk: &mut Desk,
    ) {
        let Some(before) = last.held else { return };
        let ahead = number.wrapping_sub(last.number);
        if ahead == before.records {
            desk.check(rule);
            if held.is_some_and(|held| held.records != before.records) {
                self.right += 1;
            }
            if before.templates > 0 {
                self.templates_not += 1;
                desk.check(R::H08);
            }
            return;
        }
        if ahead < before.records {
            // An exporter that begins anew may repeat 0 once.
            if number == 0 && ahead == 0 {
                self.zeros += 1;
                if self.zeros < 2 {
                    return;
                }
            }
            desk.judge(rule, false, Verdict::Deviation, at, 4, || {
                format!(
                    "number {number}, but {} and {} records were sent: {} is due",
                    last.number,
                    before.records,
                    last.number.wrapping_add(before.records)
                )
            });
            return;
        }
        self.judge_ahead(rule, before, ahead, held, at, desk);
    }

    /// More ahead than there were records: loss, or another unit.
    fn judge_ahead(
        &mut self,
        rule: R,
        before: Held,
        ahead: u32,
        held: Option<Held>,
        at: usize,
        desk: &mut Desk,
    ) {
        let own = held.is_some_and(|held| held.records == ahead);
        if before.templates > 0 && ahead == before.records + before.templates {
            if own {
                // Either unit fits.
                return;
            }
            self.templates_counted += 1;
            if self.templates_counted >= CERTAIN && self.templates_not == 0 {
                desk.judge(R::H08, false, Verdict::Deviation, at, 4, || {
                    format!("{ahead} ahead of a message of {} records and {} templates: templates are counted", before.records, before.templates)
                });
            }
            return;
        }
        self.wrong = if own { self.wrong + 1 } else { 0 };
        if self.wrong >= CERTAIN && self.right == 0 {
            desk.judge(rule, false, Verdict::Deviation, at, 4, || {
                format!(
                    "{ahead} ahead of a message of {} records: the message's own records are counted",
                    before.records
                )
            });
        }
    }
}
