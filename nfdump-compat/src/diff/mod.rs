//! What differs between two sets of flows, and why (`t2report diff`).
//!
//! Both sets are looked at twice: first only fingerprints are counted, so that equal flows cost 24 bytes each, then the
//! flows that are not equal are kept, put side by side by their keys ([`group`]), and their differences traced to causes
//! ([`cause`]).

pub mod cause;
pub mod fields;
pub mod flow;
mod group;
pub mod report;
mod sampling;

use std::collections::BTreeMap;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::record::RecordView;
use cause::Finding;
use fields::Ignored;
use flow::Flow;
use sampling::Spread;

/// One of the two sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The first, what is expected.
    A,
    /// The second.
    B,
}

impl Side {
    fn index(self) -> usize {
        match self {
            Side::A => 0,
            Side::B => 1,
        }
    }
}

/// What counts as a difference.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Options {
    /// Times may differ by this, milliseconds.
    pub time_tolerance_ms: u64,
    /// Counters may differ by this part of the larger one, 0.01 for 1 %.
    pub counter_tolerance: f64,
    /// Fields that are not compared.
    pub ignored: Ignored,
}

/// Flows, packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Records.
    pub flows: u64,
    /// Packets, one direction.
    pub packets: u64,
    /// Bytes, one direction.
    pub bytes: u64,
}

impl Totals {
    fn add(&mut self, flow: &Flow) {
        self.flows += 1;
        self.packets = self.packets.saturating_add(flow.packets());
        self.bytes = self.bytes.saturating_add(flow.octets());
    }
}

/// What is known of all flows of one side, those that are equal included.
#[derive(Debug, Default)]
struct Census {
    totals: Totals,
    exporters: BTreeMap<IpAddr, u64>,
    protocols: BTreeMap<u8, u64>,
    ipv6: u64,
    /// Seconds in which a flow ended.
    seconds: HashMap<i64, (), FixedState>,
}

impl Census {
    fn add(&mut self, flow: &Flow) {
        self.totals.add(flow);
        if let Some(exporter) = flow.exporter() {
            *self.exporters.entry(exporter).or_default() += 1;
        }
        *self.protocols.entry(flow.key.protocol).or_default() += 1;
        self.ipv6 += u64::from(flow.key.is_ipv6());
        self.seconds.insert(flow.last.div_euclid(1000), ());
    }
}

/// A flow that the other side does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Odd {
    flow: Flow,
    /// The other side has it, but less often.
    repeated: bool,
}

/// Takes the flows of both sides, twice, and says what differs.
#[derive(Debug, Default)]
pub struct Comparison {
    options: Options,
    /// How often each side has a fingerprint, and how often it was looked at again.
    counts: HashMap<(u64, u64), [u32; 2], FixedState>,
    census: [Census; 2],
    odd: [Vec<Odd>; 2],
    spread: Spread,
    again: [u64; 2],
}

/// What came of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// All flows of both sides.
    pub totals: [Totals; 2],
    /// Flows that both sides have, tolerances granted.
    pub same: u64,
    /// What differs, by cause; none if nothing does.
    pub findings: Vec<Finding>,
}

/// The flows changed between the first and the second look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the files changed while they were compared: {first} flows at first, {again} when read again"
)]
pub struct Changed {
    /// Flows of the first look.
    pub first: u64,
    /// Flows of the second look.
    pub again: u64,
}

impl Comparison {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Comparison {
            options,
            ..Self::default()
        }
    }

    /// The first look at a flow: all flows of both sides come before the second look at any.
    pub fn count(&mut self, side: Side, record: &RecordView<'_>) {
        let flow = Flow::new(record, self.options.ignored);
        let counts = self.counts.entry(flow.fingerprint()).or_default();
        if let Some(count) = counts.get_mut(side.index()) {
            *count = count.saturating_add(1);
        }
        self.census[side.index()].add(&flow);
    }

    /// The second look at a flow.
    pub fn compare(&mut self, side: Side, record: &RecordView<'_>) {
        let flow = Flow::new(record, self.options.ignored);
        self.again[side.index()] += 1;
        let Some(counts) = self.counts.get_mut(&flow.fingerprint()) else {
            return;
        };
        let (own, other) = match side {
            Side::A => (counts[0], counts[1]),
            Side::B => (counts[1], counts[0]),
        };
        if own > other {
            counts[side.index()] -= 1;
            let repeated = other > 0;
            self.odd[side.index()].push(Odd { flow, repeated });
        } else if side == Side::A {
            self.spread.add(flow.packets(), flow.packets());
        }
    }

    /// What differs.
    ///
    /// # Errors
    /// When the second look saw other flows than the first.
    pub fn finish(mut self) -> Result<Difference, Changed> {
        for (census, again) in self.census.iter().zip(self.again) {
            if census.totals.flows != again {
                let first = census.totals.flows;
                return Err(Changed { first, again });
            }
        }
        let totals = [self.census[0].totals, self.census[1].totals];
        let equal = totals[0].flows - self.odd[0].len() as u64;
        let groups = group::Groups::new(std::mem::take(&mut self.odd), &self.options);
        let same = equal + groups.tolerated;
        let findings = cause::find(&groups, &self.census, &self.spread, &self.options);
        Ok(Difference {
            totals,
            same,
            findings,
        })
    }
}

impl Difference {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
}

#[cfg(test)]
mod tests;
