//! Sequence numbers: what is missing, what came late, what is no loss at all. Arithmetic is modulo 2^32.

/// A step forward of more than this is no loss but another numbering.
const MOST_MISSING: u32 = 1 << 24;
/// A number this far behind is a message that came twice or late.
const MOST_BEHIND: u32 = 1 << 16;
/// Gaps remembered so that late messages can be told from repeated ones.
const GAPS: usize = 8;
/// Messages in a row that must agree on another numbering before it is followed: one forged number must not
/// blind the tracker, and messages repeated by the network are not a new beginning.
const CONFIRM_JUMP: u8 = 1;
const CONFIRM_BEHIND: u8 = 2;

/// What a sequence number means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The first one, or the one expected.
    InOrder,
    /// So much is missing before it.
    Missing(u32),
    /// It came twice or late.
    Behind,
    /// Too far away; not followed for now.
    Jump,
    /// Other numbers than before, confirmed by several messages: the exporter has begun anew.
    Restart,
}

/// The sequence numbers of one domain.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// `None` when what the last message held could not be counted.
    next: Option<u32>,
    /// The other numbering: the number that would confirm it, and how often it was confirmed.
    other: Option<(u32, u8)>,
    /// Missing ranges: first number and length.
    gaps: [(u32, u32); GAPS],
    oldest_gap: usize,
}

impl Sequence {
    /// The numbering of an earlier process, before the message that continues it.
    pub(super) fn from_next(next: u32) -> Self {
        Self {
            next: Some(next),
            ..Self::default()
        }
    }

    /// The number that the next message should have, if that is known.
    pub(super) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Looks at the number of a message before it is decoded.
    pub(super) fn check(&mut self, number: u32) -> Step {
        let Some(next) = self.next else {
            return Step::InOrder;
        };
        let ahead = number.wrapping_sub(next);
        if ahead == 0 {
            return Step::InOrder;
        }
        if ahead <= MOST_MISSING {
            self.remember_gap(next, ahead);
            return Step::Missing(ahead);
        }
        let behind = next.wrapping_sub(number) <= MOST_BEHIND;
        if behind && self.gap_with(number).is_some() {
            return Step::Behind;
        }
        let confirmed = match self.other {
            Some((expected, confirmed)) if expected == number => confirmed + 1,
            _ => 0,
        };
        if confirmed >= if behind { CONFIRM_BEHIND } else { CONFIRM_JUMP } {
            *self = Self::default();
            return Step::Restart;
        }
        self.other = Some((number, confirmed));
        if behind { Step::Behind } else { Step::Jump }
    }

    /// Whether the number continues the numbering so far.
    pub(super) fn continues(&self, number: u32) -> bool {
        self.next
            .is_some_and(|next| number.wrapping_sub(next) <= MOST_MISSING)
    }

    /// Forgets everything: the exporter is known to have begun anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Moves on after a message with `number` that held `counted` units (`None`: not countable). Gives how many
    /// of the units had been told as missing.
    pub(super) fn advance(&mut self, step: Step, number: u32, counted: Option<u32>) -> u32 {
        let after = counted.map(|counted| number.wrapping_add(counted));
        match step {
            Step::InOrder | Step::Missing(_) | Step::Restart => {
                self.next = after;
                self.other = None;
                0
            }
            Step::Behind | Step::Jump => {
                let confirmed = self.other.map_or(0, |(_, confirmed)| confirmed);
                self.other = after.map(|after| (after, confirmed));
                if step == Step::Behind {
                    self.fill_gap(number, counted.unwrap_or(0))
                } else {
                    0
                }
            }
        }
    }

    fn remember_gap(&mut self, first: u32, length: u32) {
        let slot = self
            .gaps
            .iter()
            .position(|gap| gap.1 == 0)
            .unwrap_or(self.oldest_gap);
        if let Some(gap) = self.gaps.get_mut(slot) {
            *gap = (first, length);
        }
        self.oldest_gap = (slot + 1) % GAPS;
    }

    fn gap_with(&mut self, number: u32) -> Option<&mut (u32, u32)> {
        self.gaps
            .iter_mut()
            .find(|gap| number.wrapping_sub(gap.0) < gap.1)
    }

    fn fill_gap(&mut self, number: u32, counted: u32) -> u32 {
        let Some(gap) = self.gap_with(number) else {
            return 0;
        };
        let (first, length) = *gap;
        let before = number.wrapping_sub(first);
        let filled = counted.min(length - before);
        let behind = (number.wrapping_add(filled), length - before - filled);
        if before == 0 {
            *gap = behind;
        } else {
            *gap = (first, before);
            if behind.1 > 0 {
                self.remember_gap(behind.0, behind.1);
            }
        }
        // A late message says nothing about another numbering.
        self.other = None;
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of one unit each.
    fn steps(numbers: &[u32]) -> Vec<(Step, u32)> {
        let mut sequence = Sequence::default();
        let mut one = |number: &u32| {
            let step = sequence.check(*number);
            (step, sequence.advance(step, *number, Some(1)))
        };
        numbers.iter().map(&mut one).collect()
    }

    #[test]
    fn loss_is_counted_over_the_end_of_32_bits() {
        assert_eq!(
            steps(&[u32::MAX - 1, u32::MAX, 0, 3]),
            [
                (Step::InOrder, 0),
                (Step::InOrder, 0),
                (Step::InOrder, 0),
                (Step::Missing(2), 0)
            ]
        );
    }

    #[test]
    fn reordered_messages_are_found_again_and_repeated_ones_are_not_loss() {
        assert_eq!(
            steps(&[10, 13, 12, 11, 12, 14, 14, 15]),
            [
                (Step::InOrder, 0),
                (Step::Missing(2), 0),
                (Step::Behind, 1),
                (Step::Behind, 1),
                (Step::Behind, 0),
                (Step::InOrder, 0),
                (Step::Behind, 0),
                (Step::InOrder, 0)
            ]
        );
    }

    #[test]
    fn every_message_twice_is_no_restart() {
        let numbers: Vec<u32> = (0..100).flat_map(|number| [number, number]).collect();
        assert!(
            steps(&numbers)
                .iter()
                .all(|(step, _)| matches!(step, Step::InOrder | Step::Behind))
        );
    }

    #[test]
    fn one_forged_number_does_not_blind() {
        assert_eq!(
            steps(&[5, 5 + (1 << 31), 6, 8]),
            [
                (Step::InOrder, 0),
                (Step::Jump, 0),
                (Step::InOrder, 0),
                (Step::Missing(1), 0)
            ]
        );
    }

    #[test]
    fn a_new_numbering_is_followed_once_confirmed() {
        let far: Vec<Step> = steps(&[1 << 30, 7, 8, 9, 11])
            .into_iter()
            .map(|step| step.0)
            .collect();
        assert_eq!(
            far,
            [
                Step::InOrder,
                Step::Jump,
                Step::Restart,
                Step::InOrder,
                Step::Missing(1)
            ]
        );
        let near: Vec<Step> = steps(&[500, 0, 1, 2, 3])
            .into_iter()
            .map(|step| step.0)
            .collect();
        assert_eq!(
            near,
            [
                Step::InOrder,
                Step::Behind,
                Step::Behind,
                Step::Restart,
                Step::InOrder
            ]
        );
    }

    #[test]
    fn what_cannot_be_counted_is_not_loss() {
        let mut sequence = Sequence::default();
        let step = sequence.check(100);
        sequence.advance(step, 100, None);
        assert_eq!(sequence.check(170), Step::InOrder);
    }

    #[test]
    fn a_gap_is_filled_from_its_middle() {
        let mut sequence = Sequence::default();
        let mut message = |number, units| {
            let step = sequence.check(number);
            (step, sequence.advance(step, number, Some(units)))
        };
        message(0, 10);
        assert_eq!(message(40, 10), (Step::Missing(30), 0));
        assert_eq!(message(20, 10), (Step::Behind, 10));
        assert_eq!(message(10, 10), (Step::Behind, 10));
        assert_eq!(message(30, 20), (Step::Behind, 10));
        assert_eq!(message(20, 10), (Step::Behind, 0));
    }
}
