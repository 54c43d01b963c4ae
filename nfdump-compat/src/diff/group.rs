//! Flows that are not equal, side by side: by their keys, then by their times.

use std::collections::BTreeMap;

use super::flow::{Flow, Key};
use super::{Odd, Options, Side};

/// A flow of each side that are the same flow, seen differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pair {
    pub a: Flow,
    pub b: Flow,
}

impl Pair {
    /// How much later B says it began and ended, milliseconds.
    pub fn shift(&self) -> [i64; 2] {
        [self.b.first - self.a.first, self.b.last - self.a.last]
    }

    pub fn same_packets(&self) -> bool {
        self.a.counters[0] == self.b.counters[0] && self.a.counters[2] == self.b.counters[2]
    }
}

/// Flows of one key that have the same packets in sum, cut into others flows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Split {
    pub a: Vec<Flow>,
    pub b: Vec<Flow>,
}

impl Split {
    /// The flows of a side.
    pub fn of(&self, side: Side) -> &[Flow] {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

/// All that differs, put side by side.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Groups {
    pub pairs: Vec<Pair>,
    pub splits: Vec<Split>,
    /// Two flows of one side that are one record of the other, by the side that has one; the two first.
    pub merged: [Vec<(Flow, Flow, Flow)>; 2],
    /// A flow and the same one turned around.
    pub turned: Vec<Pair>,
    /// Flows that the other side has less often.
    pub repeated: [Vec<Flow>; 2],
    /// Flows that only one side has.
    pub only: [Vec<Flow>; 2],
    /// Pairs that differ by no more than is tolerated.
    pub tolerated: u64,
}

/// The flows of both sides with one key.
type Sides = [Vec<Flow>; 2];

impl Groups {
    pub fn new(odd: [Vec<Odd>; 2], options: &Options) -> Self {
        let mut groups = Groups::default();
        let mut keys: BTreeMap<Key, Sides> = BTreeMap::new();
        for (side, flows) in odd.into_iter().enumerate() {
            for Odd { flow, repeated } in flows {
                if repeated {
                    groups.repeated[side].push(flow);
                } else if let Some(flows) = keys.entry(flow.key).or_default().get_mut(side) {
                    flows.push(flow);
                }
            }
        }
        for sides in keys.values_mut() {
            for flows in sides {
                flows.sort_by_key(|flow| (flow.first, flow.last, flow.counters));
            }
        }
        let all: Vec<Key> = keys.keys().copied().collect();
        for side in [0, 1] {
            groups.merge_directions(&mut keys, &all, side);
        }
        let shift = common_shift(&keys);
        for sides in keys.values_mut() {
            groups.directed(sides, shift, options);
        }
        groups.turn_around(&mut keys, &all);
        for sides in keys.into_values() {
            for (only, flows) in groups.only.iter_mut().zip(sides) {
                only.extend(flows);
            }
        }
        groups
    }

    /// Finds records of side `one` that hold both directions of two flows of the other.
    fn merge_directions(&mut self, keys: &mut BTreeMap<Key, Sides>, all: &[Key], one: usize) {
        let two = 1 - one;
        for key in all {
            let mut place = 0;
            while let Some(flow) = keys
                .get(key)
                .and_then(|sides| sides[one].get(place))
                .cloned()
            {
                let [packets, bytes, out_packets, out_bytes] = flow.counters;
                let is_half = |half: &Flow, packets, bytes| half.counters == [packets, bytes, 0, 0];
                let position = |key: &Key, packets, bytes| {
                    let flows = &keys.get(key)?[two];
                    flows.iter().position(|half| is_half(half, packets, bytes))
                };
                let halves = match out_packets {
                    0 => None,
                    _ => position(key, packets, bytes).zip(position(
                        &key.reversed(),
                        out_packets,
                        out_bytes,
                    )),
                };
                let Some((forward, back)) = halves else {
                    place += 1;
                    continue;
                };
                let mut take = |key: &Key, side: usize, place: usize| {
                    keys.get_mut(key).map(|sides| sides[side].remove(place))
                };
                if let (Some(forward), Some(back), Some(both)) = (
                    take(key, two, forward),
                    take(&key.reversed(), two, back),
                    take(key, one, place),
                ) {
                    self.merged[one].push((forward, back, both));
                }
            }
        }
    }

    /// Puts the flows of one key side by side; what stands alone stays in `sides`.
    fn directed(&mut self, sides: &mut Sides, shift: i64, options: &Options) {
        let [a, b] = sides;
        if a.is_empty() || b.is_empty() {
            return;
        }
        let sums = |flows: &[Flow]| {
            let sum = |place: usize| {
                flows
                    .iter()
                    .map(|flow| u128::from(flow.counters[place]))
                    .sum()
            };
            let sums: [u128; 2] = [sum(0), sum(2)];
            sums
        };
        let differ =
            a.len() != b.len() || a.iter().zip(&*b).any(|(a, b)| a.packets() != b.packets());
        if a.len() + b.len() > 2 && differ && sums(a) == sums(b) {
            let (a, b) = (std::mem::take(a), std::mem::take(b));
            self.splits.push(Split { a, b });
            return;
        }
        for (a, b) in side_by_side(a, b, shift) {
            let pair = Pair { a, b };
            if tolerable(&pair, options) {
                self.tolerated += 1;
            } else {
                self.pairs.push(pair);
            }
        }
    }

    /// Finds flows whose source is the other side's destination.
    fn turn_around(&mut self, keys: &mut BTreeMap<Key, Sides>, all: &[Key]) {
        for key in all {
            let mut place = 0;
            while let Some(a) = keys.get(key).and_then(|sides| sides[0].get(place)).cloned() {
                let [packets, bytes, out_packets, out_bytes] = a.counters;
                let opposite = [out_packets, out_bytes, packets, bytes];
                let found = keys.get(&key.reversed()).and_then(|sides| {
                    let same = |b: &Flow| b.counters == a.counters || b.counters == opposite;
                    sides[1].iter().position(same)
                });
                let Some(found) = found else {
                    place += 1;
                    continue;
                };
                if let Some(sides) = keys.get_mut(key) {
                    sides[0].remove(place);
                }
                if let Some(sides) = keys.get_mut(&key.reversed()) {
                    let b = sides[1].remove(found);
                    self.turned.push(Pair { a, b });
                }
            }
        }
    }
}

/// By how much B's times are later than A's, as far as it can be told from keys with one flow each: the median.
fn common_shift(keys: &BTreeMap<Key, Sides>) -> i64 {
    let mut shifts: Vec<i64> = keys
        .values()
        .filter_map(|sides| match sides {
            [a, b] => match (a.as_slice(), b.as_slice()) {
                ([a], [b]) => Some(b.first - a.first),
                _ => None,
            },
        })
        .collect();
    let middle = shifts.len() / 2;
    if shifts.is_empty() {
        return 0;
    }
    *shifts.select_nth_unstable(middle).1
}

/// Of the longer list, this many candidates are looked at for a flow of the shorter one.
const CANDIDATES: usize = 64;

/// Takes pairs out of two sorted lists, in order, those nearest in time; what is left of the longer list stays.
fn side_by_side(a: &mut Vec<Flow>, b: &mut Vec<Flow>, shift: i64) -> Vec<(Flow, Flow)> {
    let swapped = a.len() > b.len();
    let (short, long, shift) = match swapped {
        true => (b, a, -shift),
        false => (a, b, shift),
    };
    let mut spare = long.len() - short.len();
    let mut pairs = Vec::with_capacity(short.len());
    let mut rest = std::mem::take(long).into_iter();
    let mut left = Vec::new();
    for flow in short.drain(..) {
        let wanted = flow.first.saturating_add(shift);
        let candidates = rest.as_slice().iter().take(spare.min(CANDIDATES) + 1);
        let nearest = candidates
            .enumerate()
            .min_by_key(|(_, candidate)| candidate.first.abs_diff(wanted))
            .map_or(0, |(place, _)| place);
        spare -= nearest;
        left.extend(rest.by_ref().take(nearest));
        if let Some(partner) = rest.next() {
            pairs.push(match swapped {
                true => (partner, flow),
                false => (flow, partner),
            });
        }
    }
    left.extend(rest);
    *long = left;
    pairs
}

fn tolerable(pair: &Pair, options: &Options) -> bool {
    let times = pair
        .shift()
        .iter()
        .all(|shift| shift.unsigned_abs() <= options.time_tolerance_ms);
    let counters = pair.a.counters.iter().zip(&pair.b.counters);
    let mut counters = counters.map(|(a, b)| tolerable_counter(*a, *b, options));
    times && counters.all(|fine| fine) && pair.a.others == pair.b.others
}

/// Whether two counters are as good as equal.
pub(super) fn tolerable_counter(a: u64, b: u64, options: &Options) -> bool {
    a.abs_diff(b) as f64 <= a.max(b) as f64 * options.counter_tolerance
}
