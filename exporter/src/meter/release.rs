//! A pair leaves the table: what was kept of its directions becomes the flows that the sinks see.

use super::table::Pair;
use super::tcp_states::State;
use super::text::TextState;
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
            self.stats.tcp_anomaly |= flow.text.as_ref().map_or(0, |text| text.tcp_anomaly);
        }
        match (first, second) {
            (Some(first), second) => sink.pair(self.now_ns, &first, second.as_ref()),
            (None, Some(only)) => sink.pair(self.now_ns, &only, None),
            (None, None) => {}
        }
        count
    }

    fn mark_scan(&mut self, id: u32, pair: &Pair) {
        if let Some([zero, one]) = self.table.text.get_mut(id as usize) {
            let [zero_flags, one_flags] = pair.directions.map(|direction| direction.tcp_flags);
            if pair.inverted(1) {
                TextState::mark_scan(zero, one, [zero_flags, one_flags]);
            } else {
                TextState::mark_scan(one, zero, [one_flags, zero_flags]);
            }
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
            text: text.map(|text| Box::new(text.features())),
        })
    }
}
