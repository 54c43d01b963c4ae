//! A pair leaves the table: what was kept of its directions becomes the flows that the sinks see.

use super::table::Pair;
use super::tcp_states::State;
use super::{EndReason, Flow, FlowSink, MacPair, Meter, status};
use crate::dissect::protocol;

impl Meter {
    /// Hands a pair to the sink and forgets it. Returns how many flows it had.
    pub(super) fn release(&mut self, id: u32, reason: EndReason, sink: &mut impl FlowSink) -> u64 {
        let Some(pair) = self.table.pairs.get(id as usize).copied() else {
            return 0;
        };
        let b = usize::from(pair.connection.responder);
        self.mark_scan(id, &pair);
        let first = self.flow(id, &pair, 1 - b, reason);
        let second = self.flow(id, &pair, b, reason);
        self.table.remove(id);
        let count = u64::from(first.is_some()) + u64::from(second.is_some());
        self.flows = self.flows.saturating_sub(count as usize);
        for flow in [&first, &second].into_iter().flatten() {
            self.stats.status |= flow.status;
            self.stats.tcp_flags |= flow.tcp_flags;
            self.stats.tcp_states |= flow.tcp_states;
            self.stats.tos |= flow.tos;
            if let Some(text) = &flow.text {
                self.stats.text.flow(text);
            }
        }
        match (first, second) {
            (Some(first), second) => sink.pair(self.now_ns, &first, second.as_ref()),
            (None, Some(only)) => sink.pair(self.now_ns, &only, None),
            (None, None) => {}
        }
        count
    }

    /// When the pair at `id` was used last; `None` if there is no pair any more.
    pub(super) fn last_use(&self, id: u32) -> Option<u64> {
        let pair = self.table.pairs.get(id as usize)?;
        (pair.index != 0).then(|| pair.last_use())
    }

    /// Makes room: releases the least recently used pair, but not `keep`.
    pub(super) fn release_least_recent(&mut self, keep: Option<u32>, sink: &mut impl FlowSink) {
        for attempt in 0..2 {
            while let Some((serial, id)) = self.victims.pop() {
                let unused = self.last_use(id) == Some(serial) && Some(id) != keep;
                if unused {
                    self.stats.early_released += self.release(id, EndReason::LackOfResources, sink);
                    return;
                }
            }
            if attempt == 0 {
                self.find_victims();
            }
        }
    }

    /// Finds the least recently used part of the table, so that the search is paid once for many releases.
    /// A pair of it that is not used meanwhile stays less recently used than all outside.
    fn find_victims(&mut self) {
        let mut all: Vec<(u64, u32)> = self
            .table
            .ids()
            .filter_map(|id| Some((self.last_use(id)?, id)))
            .collect();
        let wanted = (all.len() / 8).max(2);
        if wanted < all.len() {
            all.select_nth_unstable(wanted);
            all.truncate(wanted);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        self.victims = all;
    }

    /// The direction that is printed first ends first: what the second one says of it comes too late, as in Tranalyzer.
    fn mark_scan(&mut self, id: u32, pair: &Pair) {
        let Some([zero, one]) = self.table.text.get_mut(id as usize) else {
            return;
        };
        let [zero_hot, one_hot] = &pair.directions;
        let zero = (&mut zero.features.tcp, zero_hot);
        let one = (&mut one.features.tcp, one_hot);
        let ((first, first_hot), (second, second_hot)) = if pair.inverted(1) {
            (zero, one)
        } else {
            (one, zero)
        };
        match (first_hot.packets > 0, second_hot.packets > 0) {
            (true, true) => {
                first.mark_scan(first_hot.tcp_flags, Some(second));
                second.mark_scan(second_hot.tcp_flags, Some(&mut first.clone()));
            }
            (true, false) => first.mark_scan(first_hot.tcp_flags, None),
            (false, _) => second.mark_scan(second_hot.tcp_flags, None),
        }
    }

    /// One direction of a pair as the sinks see it; `None` if it had no packet.
    fn flow(&mut self, id: u32, pair: &Pair, direction: usize, reason: EndReason) -> Option<Flow> {
        let hot = pair.directions.get(direction)?;
        if hot.packets == 0 {
            return None;
        }
        let cold = *self
            .table
            .cold
            .get(id as usize)?
            .directions
            .get(direction)?;
        let text = self
            .table
            .text
            .get_mut(id as usize)
            .and_then(|text| text.get_mut(direction));
        let unfinished = text
            .as_ref()
            .is_some_and(|text| text.waits(&self.fragments));
        let inverted = pair.inverted(direction);
        let is_tcp = pair.key.protocol() == protocol::TCP;
        let both = pair
            .directions
            .iter()
            .all(|direction| direction.packets > 0);
        let status = text.as_ref().map_or(0, |text| text.status)
            | match reason {
                EndReason::LackOfResources => status::TABLE_FULL,
                _ => 0,
            }
            | if unfinished {
                status::FRAGMENTS_UNFINISHED
            } else {
                0
            }
            | if inverted { status::INVERTED } else { 0 }
            | if is_tcp && pair.key.is_self() {
                status::LAND
            } else {
                0
            };
        Some(Flow {
            index: pair.index,
            inverted,
            status,
            ether_type: cold.ether_type,
            vlan_tci: cold.vlan_tci,
            labels: cold.labels,
            endpoints: pair.key.endpoints(direction),
            first_ns: cold.first_ns,
            last_ns: hot.last_ns,
            packets: hot.packets,
            l7: hot.l7(),
            wide: hot.wide(),
            tcp_flags: hot.tcp_flags,
            tos: hot.tos,
            min_ttl: hot.min_ttl,
            max_ttl: hot.max_ttl,
            icmp_type_code: cold.icmp_type_code,
            mac_pairs: cold.macs.map(MacPair::from),
            tcp_states: if is_tcp {
                hot.side.flags | pair.connection.final_flags(both)
            } else {
                0
            },
            end_reason: match (reason, hot.side.state) {
                (EndReason::IdleTimeout | EndReason::ForcedEnd, State::Closed | State::Reset) => {
                    EndReason::EndOfFlow
                }
                (reason, _) => reason,
            },
            text: text.map(|text| Box::new(text.finish())),
        })
    }
}
