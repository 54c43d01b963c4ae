//! Data sets that wait for their template (RFC 7011 section 9.3), within bounds of octets and time.

use std::collections::VecDeque;

use super::context::Ledger;
use super::events::{Counters, DiscardCause, Events, MessageInfo};
use crate::limits::Limits;

/// What a waiting set costs beside its octets.
const OVERHEAD: usize = 128;

/// One waiting set.
#[derive(Debug)]
pub(super) struct Waiting {
    pub message: MessageInfo,
    pub set: u16,
    pub octets: Box<[u8]>,
}

impl Waiting {
    fn cost(&self) -> usize {
        self.octets.len() + OVERHEAD
    }

    /// Tells and counts that the set was given up.
    pub(super) fn discard(
        &self,
        cause: DiscardCause,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        *match cause {
            DiscardCause::NoTemplate => &mut counters.pending_expired,
            DiscardCause::Overflow => &mut counters.pending_overflow,
            DiscardCause::Restart => &mut counters.pending_restart,
            DiscardCause::Unfit => &mut counters.pending_unfit,
            DiscardCause::Closed => &mut counters.pending_closed,
        } += 1;
        events.discarded(&self.message, cause, self.octets.len());
    }
}

/// The waiting sets of one domain, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pending {
    sets: VecDeque<Waiting>,
    cost: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Keeps a set. The oldest of the domain make room for it; where the bound on all domains together or on
    /// one exporter is reached, the set itself is given up.
    pub(super) fn keep(
        &mut self,
        waiting: Waiting,
        limits: &Limits,
        ledger: &mut Ledger<'_>,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        counters.pending_sets += 1;
        let cost = waiting.cost();
        while self.cost + cost > limits.pending_domain {
            let Some(oldest) = self.pop(ledger) else {
                break;
            };
            oldest.discard(DiscardCause::Overflow, counters, events);
        }
        if self.cost + cost > limits.pending_domain
            || ledger.share.pending + cost > limits.pending_exporter
            || ledger.totals.pending + cost > limits.pending_total
        {
            waiting.discard(DiscardCause::Overflow, counters, events);
            return;
        }
        self.cost += cost;
        ledger.keep_waiting(cost);
        self.sets.push_back(waiting);
    }

    /// Takes out what waits for template `set`, oldest first.
    pub(super) fn take(&mut self, set: u16, ledger: &mut Ledger<'_>) -> Vec<Waiting> {
        if !self.sets.iter().any(|waiting| waiting.set == set) {
            return Vec::new();
        }
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.sets)
            .into_iter()
            .partition(|waiting| waiting.set == set);
        self.sets = kept;
        let cost = taken.iter().map(Waiting::cost).sum();
        self.release(cost, ledger);
        taken.into()
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(
        &mut self,
        now_ms: u64,
        limits: &Limits,
        ledger: &mut Ledger<'_>,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        let too_old = |waiting: &Waiting| {
            now_ms.saturating_sub(waiting.message.received_ms) > limits.pending_ms
        };
        while self.sets.front().is_some_and(too_old) {
            if let Some(oldest) = self.pop(ledger) {
                oldest.discard(DiscardCause::NoTemplate, counters, events);
            }
        }
    }

    /// Gives up everything.
    pub(super) fn clear(
        &mut self,
        cause: DiscardCause,
        ledger: &mut Ledger<'_>,
        counters: &mut Counters,
        events: &mut impl Events,
    ) {
        while let Some(oldest) = self.pop(ledger) {
            oldest.discard(cause, counters, events);
        }
    }

    fn pop(&mut self, ledger: &mut Ledger<'_>) -> Option<Waiting> {
        let oldest = self.sets.pop_front()?;
        self.release(oldest.cost(), ledger);
        Some(oldest)
    }

    fn release(&mut self, cost: usize, ledger: &mut Ledger<'_>) {
        self.cost = self.cost.saturating_sub(cost);
        ledger.release_waiting(cost);
    }
}
