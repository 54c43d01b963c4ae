//! Packets in, finished flow pairs out.
//!
//! Both directions of a conversation are one entry of the table. The only clock is that of the packets.
//! A pair is released when both its directions are past their own time-outs, at the first packet that is late
//! enough, in Tranalyzer's order: longest time-out first, inside one time-out the least recently used first.
//! No sockets, files or threads; the same packets give the same flows.

mod config;
pub mod flow;
mod fragments;
pub mod ip_flags;
mod key;
mod release;
pub mod status;
mod table;
pub mod tcp_flags;
pub mod tcp_states;
pub mod text;
mod timeouts;

pub use config::{MeterConfig, MeterStats, TcpTimeouts, TextStats};
pub use flow::{EndReason, Endpoints, Flow, FlowSink, MacPair, Metric, Octets, Seen};
pub use text::TextFeatures;

use std::cmp::Reverse;
use std::time::Duration;

use crate::dissect::{Detail, Family, Fragment, Packet};
use fragments::{Found, Fragments};
use key::Key;
use table::{ColdDirection, Pair, Table};
use tcp_states::Connection;
use text::TextState;
use timeouts::{Entry, Wheel};

/// Packets whose places in the table are looked up together.
const BLOCK: usize = 32;

/// Where to look for a packet's pair, and where it probably is.
#[derive(Clone, Copy, Debug, Default)]
struct Lookup {
    key: Key,
    direction: usize,
    hash: u64,
    place: Option<u32>,
}

/// Makes flows of packets.
#[derive(Debug)]
pub struct Meter {
    config: MeterConfig,
    /// Time-outs in nanoseconds by [`State`].
    timeouts_ns: [i64; 6],
    /// The active time-out in nanoseconds.
    active_ns: Option<i64>,
    table: Table,
    wheel: Wheel,
    fragments: Fragments,
    stats: MeterStats,
    /// Packets so far: the order of use.
    serial: u64,
    /// The time of the last packet.
    now_ns: i64,
    /// Directions in the table.
    flows: usize,
    /// Pairs begun so far.
    index: u64,
    /// Pairs to release at this packet: time-out (longest first), last use, place.
    due: Vec<(Reverse<i64>, u64, u32)>,
    /// The least recently used pairs, the least recent one last, with their last use when that was found out.
    victims: Vec<(u64, u32)>,
}

impl Meter {
    /// A meter without flows.
    #[must_use]
    pub fn new(config: MeterConfig) -> Self {
        let tcp = config.tcp_timeouts;
        let timeouts = [
            config.idle_timeout,
            tcp.new,
            tcp.established,
            tcp.closing,
            tcp.closed,
            tcp.reset,
        ];
        Meter {
            config,
            timeouts_ns: timeouts.map(nanoseconds),
            active_ns: config.active_timeout.map(nanoseconds),
            table: Table::new(config.text),
            wheel: Wheel::new(),
            fragments: Fragments::default(),
            stats: MeterStats::default(),
            serial: 0,
            now_ns: i64::MIN,
            flows: 0,
            index: 0,
            due: Vec::new(),
            victims: Vec::new(),
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> &MeterStats {
        &self.stats
    }

    /// Flows (directions) in memory.
    #[must_use]
    pub fn flows_in_memory(&self) -> usize {
        self.flows
    }

    /// Takes packets in order: for each, releases what its time ends, then counts it.
    ///
    /// The table is looked at for a whole block of packets before any of them is counted: these looks do not
    /// depend on each other, so the processor waits for memory once and not once a packet.
    pub fn packets(&mut self, packets: &[Packet], sink: &mut impl FlowSink) {
        self.packets_in_detail(packets, &[], sink);
    }

    /// As [`packets`](Self::packets), with the details of the packets at the same places, as far as there are any: only
    /// the text features need them.
    pub fn packets_in_detail(
        &mut self,
        packets: &[Packet],
        details: &[Detail],
        sink: &mut impl FlowSink,
    ) {
        let mut details = details.iter();
        let mut lookups = [Lookup::default(); BLOCK];
        for block in packets.chunks(BLOCK) {
            for (packet, lookup) in block.iter().zip(&mut lookups) {
                *lookup = self.lookup(packet);
            }
            for lookup in lookups.iter_mut().take(block.len()) {
                lookup.place = self.table.candidate(lookup.hash);
            }
            let warm = lookups
                .iter()
                .take(block.len())
                .filter_map(|lookup| self.table.touch(lookup.place?, lookup.direction))
                .fold(0, |all, one| all ^ one);
            std::hint::black_box(warm);
            for (packet, lookup) in block.iter().zip(&lookups) {
                self.packet(packet, details.next(), lookup, sink);
            }
        }
    }

    /// Where a packet's pair is to be looked for.
    fn lookup(&self, packet: &Packet) -> Lookup {
        let (key, direction) = Key::new(packet);
        Lookup {
            key,
            direction,
            hash: self.table.hash(&key),
            place: None,
        }
    }

    fn packet(
        &mut self,
        packet: &Packet,
        detail: Option<&Detail>,
        lookup: &Lookup,
        sink: &mut impl FlowSink,
    ) {
        if self.serial > 0 && packet.ts_ns < self.now_ns {
            self.stats.backward_packets += 1;
        }
        let before_ns = std::mem::replace(&mut self.now_ns, packet.ts_ns);
        self.serial += 1;
        if !self.wheel.is_idle(packet.ts_ns) {
            self.expire(before_ns, packet.ts_ns, sink);
        }
        if packet.fragment == Fragment::Whole {
            self.count(packet, detail, lookup, sink);
        } else {
            self.fragment(*packet, detail, sink);
        }
    }

    /// The time goes on without a packet: releases what it ends. A time before that of the last packet changes nothing.
    pub fn tick(&mut self, now_ns: i64, sink: &mut impl FlowSink) {
        if now_ns > self.now_ns {
            let before_ns = std::mem::replace(&mut self.now_ns, now_ns);
            self.expire(before_ns, now_ns, sink);
        }
    }

    /// The clock of the packets was set back, so that no time-out can be told from their times: ends all flows and
    /// begins anew.
    pub fn restart(&mut self, sink: &mut impl FlowSink) {
        self.finish(sink);
        self.wheel = Wheel::new();
        self.now_ns = i64::MIN;
    }

    /// Ends all flows that are left, least recently used first.
    pub fn finish(&mut self, sink: &mut impl FlowSink) {
        let mut rest: Vec<(u64, u32)> = self
            .table
            .ids()
            .filter_map(|id| Some((self.last_use(id)?, id)))
            .collect();
        rest.sort_unstable();
        for (_, id) in rest {
            self.release(id, EndReason::ForcedEnd, sink);
        }
    }

    /// Gives a fragment its ports and counts it.
    fn fragment(&mut self, mut packet: Packet, detail: Option<&Detail>, sink: &mut impl FlowSink) {
        let found = self.fragments.resolve(&mut packet);
        self.stats.fragments_forgotten = self.fragments.forgotten();
        if let Found::Begins { headless: true, .. } = found {
            packet.status |= status::FRAGMENT_HEAD_MISSING;
            self.stats.fragments_without_head += 1;
        }
        let lookup = self.lookup(&packet);
        let (id, direction) = self.count(&packet, detail, &lookup, sink);
        if let Found::Begins { waiting, .. } = found
            && let Some(text) = self.table.text_of(id, direction)
        {
            text.datagram(waiting, &self.fragments);
        }
    }

    /// Counts a packet. Returns the place of its flow.
    #[inline]
    fn count(
        &mut self,
        packet: &Packet,
        detail: Option<&Detail>,
        lookup: &Lookup,
        sink: &mut impl FlowSink,
    ) -> (u32, usize) {
        // The candidate may be another pair, or packets before this one have changed the table.
        let known = lookup
            .place
            .filter(|id| self.table.is_at(*id, &lookup.key))
            .or_else(|| self.table.find(lookup.hash, &lookup.key));
        let id = match known {
            Some(id) if self.outlived(id, lookup.direction, packet) => {
                let responder = self.cut(id, lookup.direction, sink);
                self.begin(None, responder, lookup, packet, sink)
            }
            Some(id) if !self.begins(id, lookup.direction) => id,
            _ => self.begin(known, None, lookup, packet, sink),
        };
        let before = sink
            .wants_packets()
            .then(|| self.last_times(id, lookup.direction));
        let inverted = self.update(id, lookup.direction, packet, detail);
        self.stats.count_packet(packet, inverted);
        if let Some(before) = before {
            self.show(id, lookup.direction, (packet, detail), before, sink);
        }
        (id, lookup.direction)
    }

    /// The times of the last packets of a direction and of its opposite.
    fn last_times(&self, id: u32, direction: usize) -> [Option<i64>; 2] {
        let pair = self.table.pairs.get(id as usize);
        [direction, 1 - direction].map(|direction| {
            let direction = pair?.directions.get(direction)?;
            (direction.packets > 0).then_some(direction.last_ns)
        })
    }

    /// Tells the sink of a packet; `before` are the times of the last packets before it.
    fn show(
        &mut self,
        id: u32,
        direction: usize,
        (packet, detail): (&Packet, Option<&Detail>),
        [previous_ns, opposite_ns]: [Option<i64>; 2],
        sink: &mut impl FlowSink,
    ) {
        let status = self
            .table
            .text_of(id, direction)
            .map_or(0, |text| text.status);
        let (Some(pair), Some(cold)) = (
            self.table.pairs.get(id as usize),
            self.table.cold.get(id as usize),
        ) else {
            return;
        };
        let inverted = if pair.inverted(direction) {
            status::INVERTED
        } else {
            0
        };
        let first_ns = cold
            .directions
            .get(direction)
            .map(|direction| direction.first_ns);
        sink.packet(&Seen {
            packet,
            detail,
            index: pair.index,
            status: status | packet.status | inverted,
            first_ns: first_ns.unwrap_or(packet.ts_ns),
            previous_ns,
            opposite_ns,
        });
    }

    /// Whether the active time-out of this direction is over. Link flows are not cut, as in Tranalyzer.
    #[inline]
    fn outlived(&self, id: u32, direction: usize, packet: &Packet) -> bool {
        let Some(active_ns) = self.active_ns.filter(|_| packet.family != Family::Link) else {
            return false;
        };
        let first_ns = self
            .table
            .cold
            .get(id as usize)
            .and_then(|cold| cold.directions.get(direction))
            .map(|direction| direction.first_ns);
        !self.begins(id, direction)
            && first_ns.is_some_and(|first_ns| packet.ts_ns.saturating_sub(first_ns) >= active_ns)
    }

    /// Ends a pair by the active time-out. Returns which of its directions is B: what follows keeps it.
    fn cut(&mut self, id: u32, direction: usize, sink: &mut impl FlowSink) -> Option<usize> {
        let pair = self.table.pairs.get(id as usize)?;
        let responder = usize::from(pair.connection.responder);
        if let Some(text) = self.table.text_of(id, direction) {
            text.status |= status::CUT;
        }
        self.release(id, EndReason::ActiveTimeout, sink);
        Some(responder)
    }

    /// Whether a packet in `direction` would be the first one of it.
    fn begins(&self, id: u32, direction: usize) -> bool {
        self.table
            .pairs
            .get(id as usize)
            .and_then(|pair| pair.directions.get(direction))
            .is_some_and(|direction| direction.packets == 0)
    }

    /// Begins a flow: a new pair, whose B direction is `responder` if that is known, or the other direction of one.
    fn begin(
        &mut self,
        known: Option<u32>,
        responder: Option<usize>,
        lookup: &Lookup,
        packet: &Packet,
        sink: &mut impl FlowSink,
    ) -> u32 {
        if self.flows >= self.config.max_flows.max(2) {
            self.release_least_recent(known, sink);
        }
        self.forget_stale();
        let direction = lookup.direction;
        let (id, inverted) = match known {
            Some(id) => {
                self.stats.b_flows += 1;
                let pair = self.table.pairs.get(id as usize);
                (id, pair.is_some_and(|pair| pair.inverted(direction)))
            }
            None => {
                let inverted = match responder {
                    Some(responder) => responder == direction,
                    None => is_reply(packet),
                };
                self.index += 1;
                self.stats.a_flows += 1;
                let pair = Pair {
                    key: lookup.key,
                    index: self.index,
                    connection: Connection::new(if inverted { direction } else { 1 - direction }),
                    ..Pair::default()
                };
                (self.table.insert(lookup.hash, pair), inverted)
            }
        };
        if let Some(cold) = self
            .table
            .cold
            .get_mut(id as usize)
            .and_then(|cold| cold.directions.get_mut(direction))
        {
            *cold = ColdDirection {
                first_ns: packet.ts_ns,
                icmp_type_code: packet.icmp_type_code,
                vlan_tci: packet.vlans.innermost(),
                ether_type: packet.ether_type,
                labels: packet.labels,
                ..ColdDirection::default()
            };
        }
        self.flows += 1;
        self.count_flow(packet.family, inverted);
        id
    }

    /// Drops the wheel's entries of pairs that are gone or filed anew, once they are the most of it: many short
    /// connections would leave one each until its time.
    fn forget_stale(&mut self) {
        const FEW: usize = 4096;
        if self.wheel.len() > FEW + 4 * self.flows {
            let pairs = &self.table.pairs;
            self.wheel.retain(|entry| {
                pairs
                    .get(entry.id as usize)
                    .is_some_and(|pair| pair.ticket == entry.ticket)
            });
        }
    }

    /// Counts a packet in its direction. Returns whether that is the inverted one.
    fn update(
        &mut self,
        id: u32,
        direction: usize,
        packet: &Packet,
        detail: Option<&Detail>,
    ) -> bool {
        let at = id as usize;
        let (Some(pair), Some(cold)) = (self.table.pairs.get_mut(at), self.table.cold.get_mut(at))
        else {
            return false;
        };
        let (Some(hot), Some(cold_direction)) = (
            pair.directions.get_mut(direction),
            cold.directions.get_mut(direction),
        ) else {
            return false;
        };
        let before_ns = hot.last_ns;
        hot.count(packet, self.config.wide);
        if !packet.is_later_fragment() || hot.packets == 1 {
            // Later fragments are no use of a flow in Tranalyzer's order.
            hot.last_serial = self.serial;
        }
        if packet.ts_ns < before_ns {
            cold_direction.first_ns = cold_direction.first_ns.min(packet.ts_ns);
        }
        if packet.has_macs {
            cold_direction.count_macs(packet);
        }
        let mut sooner = hot.packets == 1;
        if packet.tcp.present {
            hot.tcp_flags |= tcp_flags::marked(packet.tcp.flags);
            let begins = hot.packets == 1;
            let [zero, one] = &mut pair.directions;
            sooner |= pair.connection.packet(
                direction,
                begins,
                &packet.tcp,
                [&mut zero.side, &mut one.side],
            );
        }
        if let Some(text) = self.table.text.get_mut(at) {
            let [zero, one] = text;
            let (own, other) = if direction == 0 {
                (zero, one)
            } else {
                (one, zero)
            };
            let [zero, one] = &pair.directions;
            let answered = zero.packets > 0 && one.packets > 0;
            let waits = answered && other.waits(&self.fragments);
            let opposite = answered.then_some((other, waits));
            let none = Detail::default();
            let detail = detail.unwrap_or(&none);
            self.stats.text.headers(detail.headers.headers());
            TextState::packet(own, opposite, packet, detail, self.config.wide);
        }
        let inverted = pair.inverted(direction);
        // Only a new state can make a pair due earlier than when it is looked at anyway.
        if sooner {
            let due_ns = pair.due(&self.timeouts_ns);
            if due_ns < cold.filed_ns {
                cold.filed_ns = due_ns;
                pair.ticket = pair.ticket.wrapping_add(1);
                self.wheel.file(Entry {
                    due_ns,
                    id,
                    ticket: pair.ticket,
                });
            }
        }
        inverted
    }

    /// Releases the pairs whose time-outs are over at `now_ns`; the packet before came at `before_ns`.
    fn expire(&mut self, before_ns: i64, now_ns: i64, sink: &mut impl FlowSink) {
        let mut batch = std::mem::take(&mut self.due);
        while let Some(entry) = self.wheel.pop(now_ns) {
            let at = entry.id as usize;
            let Some(pair) = self
                .table
                .pairs
                .get(at)
                .filter(|pair| pair.ticket == entry.ticket)
            else {
                continue;
            };
            let due_ns = pair.due(&self.timeouts_ns);
            if due_ns <= now_ns {
                let (timeout, serial) = pair.rank(&self.timeouts_ns, before_ns);
                batch.push((timeout, serial, entry.id));
                continue;
            }
            if let Some(cold) = self.table.cold.get_mut(at) {
                cold.filed_ns = due_ns;
            }
            self.wheel.file(Entry { due_ns, ..entry });
        }
        batch.sort_unstable();
        for (_, _, id) in batch.drain(..) {
            self.release(id, EndReason::IdleTimeout, sink);
        }
        self.due = batch;
    }

    fn count_flow(&mut self, family: Family, inverted: bool) {
        let stats = &mut self.stats;
        stats.flows += 1;
        stats.max_flows = stats.max_flows.max(self.flows as u64);
        *match family {
            Family::Link => &mut stats.link_flows,
            Family::V4 => &mut stats.ipv4_flows,
            Family::V6 => &mut stats.ipv6_flows,
        } += 1;
        *match inverted {
            true => &mut stats.reply_flows,
            false => &mut stats.request_flows,
        } += 1;
    }
}

/// Whether the first packet of a pair looks like an answer (Tranalyzer's direction rule).
fn is_reply(packet: &Packet) -> bool {
    const SERVICE_PORTS: u16 = 1024;
    /// 8080, 8081, 8088, 8089.
    const WEB_PORTS: (u16, u16) = (0xfff6, 8080);
    const SYN_ACK: u8 = tcp_flags::bit::SYN | tcp_flags::bit::ACK;
    (packet.src_port < SERVICE_PORTS && packet.src_port < packet.dst_port)
        || packet.src_port & WEB_PORTS.0 == WEB_PORTS.1
        || packet.tcp.present && packet.tcp.flags & SYN_ACK == SYN_ACK
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
