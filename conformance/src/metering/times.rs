//! Times of records against those of packets: the offset of the device's clock is estimated over all keys, then each
//! record is held against the packets of its key.

use super::device::{Device, Times, nanoseconds};
use super::judge::{Judged, Sums};
use super::key::Key;
use super::reported::{Claim, Gathered, Stamp};
use super::traffic::{Point, Traffic};
use crate::verdict::Verdict;

/// From so many keys on, what is typical of them is judged.
const MANY: usize = 20;

/// A typical difference of so much of a unit is none of rounding.
const TYPICAL: f64 = 0.8;

/// Nanoseconds since 1970 as UTC.
pub fn shown(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns))
        .map_or_else(|_| format!("{ns} ns"), |time| time.to_string())
}

/// The device's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// Nanoseconds that it is ahead of the capture's.
    pub offset_ns: i64,
    /// Keys that it was estimated on.
    keys: usize,
    /// More than the form of its times explains.
    significant: bool,
}

/// Differences of one key: reported less captured.
struct Residual<'a> {
    key: &'a Key,
    first_ns: i64,
    last_ns: i64,
    unit_ns: i64,
    base_ns: i64,
    single: bool,
    packets: usize,
    message: u64,
}

impl Clock {
    /// Estimates it, and judges M-02.
    pub fn judge(device: &Device, traffic: &Traffic, gathered: &Gathered) -> (Self, Judged) {
        let mut judged = Judged::new("M-02", "no key with all its packets has times");
        let residuals = residuals(device, traffic, gathered);
        let mut firsts: Vec<i64> = residuals.iter().map(|residual| residual.first_ns).collect();
        let Some(median) = median(&mut firsts) else {
            return (Self::default(), judged);
        };
        let explained = residuals
            .iter()
            .map(|residual| residual.unit_ns + residual.base_ns)
            .max()
            .unwrap_or(0);
        let significant = median.abs() > explained;
        let clock = Self {
            // What rounding explains is no offset.
            offset_ns: if significant { median } else { 0 },
            keys: residuals.len(),
            significant,
        };
        let tolerance = device.tolerance.map_or(0, nanoseconds);
        for residual in &residuals {
            judged.check(clock.fault(residual, tolerance));
        }
        if let Some(late) = late(&residuals, tolerance) {
            judged.check(Some(late));
        }
        (clock, judged)
    }

    fn fault(&self, residual: &Residual<'_>, tolerance: i64) -> Option<(Verdict, String)> {
        let Residual {
            key,
            first_ns,
            last_ns,
            unit_ns,
            base_ns,
            single,
            message,
            ..
        } = *residual;
        let first = first_ns.saturating_sub(self.offset_ns);
        let last = last_ns.saturating_sub(self.offset_ns);
        let longer = last_ns.saturating_sub(first_ns);
        let most = unit_ns + base_ns + tolerance;
        // Both times of a record have the same base.
        let most_longer = if single { unit_ns + tolerance } else { most };
        let what = [
            ("first packet", first, most),
            ("last packet", last, most),
            ("duration", longer, most_longer),
        ]
        .into_iter()
        .find(|(_, by, most)| by.saturating_abs() > *most)
        .map(|(what, by, most)| {
            format!(
                "{key}: the {what} is off by {} (message {message}); {} may be",
                seconds(by),
                seconds(most)
            )
        })?;
        Some((Verdict::WrongData, what))
    }

    /// What is worth knowing of it.
    pub fn remark(&self) -> Option<String> {
        self.significant.then(|| {
            format!(
                "the device's clock is {} against the capture's, by the median of {} keys: times are judged without it",
                seconds(self.offset_ns),
                self.keys
            )
        })
    }
}

/// Records that typically end later, or earlier, than their last packet.
fn late(residuals: &[Residual<'_>], tolerance: i64) -> Option<(Verdict, String)> {
    let mut longer: Vec<i64> = residuals
        .iter()
        .filter(|residual| residual.single && residual.packets > 1)
        .map(|residual| residual.last_ns.saturating_sub(residual.first_ns))
        .collect();
    let unit = residuals.iter().map(|residual| residual.unit_ns).max()?;
    if longer.len() < MANY || tolerance > 0 {
        return None;
    }
    let count = longer.len();
    let typical = median(&mut longer)?;
    (typical.abs() as f64 >= TYPICAL * unit as f64).then(|| {
        (
            Verdict::WrongData,
            format!(
                "all keys: the durations of {count} single records are typically off by {}",
                seconds(typical)
            ),
        )
    })
}

/// Keys whose packets were all reported, and with times.
fn residuals<'a>(device: &Device, traffic: &'a Traffic, gathered: &Gathered) -> Vec<Residual<'a>> {
    let mut residuals: Vec<Residual<'a>> = traffic
        .keys
        .iter()
        .filter_map(|(key, truth)| {
            let claims = gathered.keys.get(key)?;
            let complete = Sums::of(claims).packets == truth.points.len() as u64;
            let pair = is_pair(device, claims);
            let (other, both) = if pair {
                let reversed = key.reversed();
                let other = gathered.keys.get(&reversed).map_or(&[][..], Vec::as_slice);
                (other, traffic.keys.get(&reversed))
            } else {
                (&[][..], None)
            };
            let all = || claims.iter().chain(other);
            let first = earliest(all().map(|claim| claim.first))?;
            let last = latest(all().map(|claim| claim.last))?;
            let points = |at: fn(&[Point]) -> Option<&Point>| {
                let own = at(&truth.points).map(|point| point.ts_ns);
                let opposite = both
                    .and_then(|both| at(&both.points))
                    .map(|point| point.ts_ns);
                (own, opposite)
            };
            let (own, opposite) = points(<[Point]>::first);
            let true_first = own.into_iter().chain(opposite).min()?;
            let (own, opposite) = points(<[Point]>::last);
            let true_last = own.into_iter().chain(opposite).max()?;
            complete.then(|| Residual {
                key,
                first_ns: first.ns.saturating_sub(true_first),
                last_ns: last.ns.saturating_sub(true_last),
                unit_ns: first.unit_ns.max(last.unit_ns),
                base_ns: first.base_ns.max(last.base_ns),
                single: claims.len() == 1 && other.len() <= 1,
                packets: truth.points.len(),
                message: claims.first().map_or(0, |claim| claim.message),
            })
        })
        .collect();
    residuals.sort_unstable_by_key(|residual| residual.key);
    residuals
}

fn is_pair(device: &Device, claims: &[Claim]) -> bool {
    match device.times {
        Some(times) => times == Times::Pair,
        None => claims.iter().any(|claim| claim.pair),
    }
}

fn earliest(stamps: impl Iterator<Item = Option<Stamp>>) -> Option<Stamp> {
    let all: Option<Vec<Stamp>> = stamps.collect();
    all?.into_iter().min_by_key(|stamp| stamp.ns)
}

fn latest(stamps: impl Iterator<Item = Option<Stamp>>) -> Option<Stamp> {
    let all: Option<Vec<Stamp>> = stamps.collect();
    all?.into_iter().max_by_key(|stamp| stamp.ns)
}

fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn seconds(ns: i64) -> String {
    format!("{:+.6} s", ns as f64 / 1e9)
}

/// Judges M-03: records of keys that were cut, each against the packets between its times; and declared time-outs.
pub fn cuts(device: &Device, traffic: &Traffic, gathered: &Gathered, clock: &Clock) -> Judged {
    let mut judged = Judged::new(
        "M-03",
        "no key has several records, and no time-outs are declared (--dut)",
    );
    if device.sampling > 1 {
        judged.reason = "the device samples: single records cannot be compared".to_owned();
        return judged;
    }
    let mut keys: Vec<&Key> = gathered.keys.keys().collect();
    keys.sort_unstable();
    for key in keys {
        let (Some(claims), Some(truth)) = (gathered.keys.get(key), traffic.keys.get(key)) else {
            continue;
        };
        if Sums::of(claims).packets != truth.points.len() as u64 {
            continue;
        }
        let pair = is_pair(device, claims);
        if claims.len() > 1 {
            judged.check(shares(device, key, claims, &truth.points, clock, pair));
        }
        if device.idle_timeout.is_some() || device.active_timeout.is_some() {
            let mut both = Vec::new();
            let points = if pair {
                both.extend_from_slice(&truth.points);
                if let Some(other) = traffic.keys.get(&key.reversed()) {
                    both.extend_from_slice(&other.points);
                }
                both.sort_unstable_by_key(|point| point.ts_ns);
                &both
            } else {
                &truth.points
            };
            judged.check(timeouts(device, key, claims, points, clock));
        }
    }
    judged
}

/// A record's interval in the capture's time, and how far its ends may be off.
fn interval(device: &Device, claim: &Claim, clock: &Clock) -> Option<(i64, i64, i64)> {
    let (first, last) = claim.first.zip(claim.last)?;
    let tolerance = device.tolerance.map_or(0, nanoseconds);
    let off = first.unit_ns.max(last.unit_ns) + first.base_ns.max(last.base_ns) + tolerance;
    Some((
        first.ns.saturating_sub(clock.offset_ns),
        last.ns.saturating_sub(clock.offset_ns),
        off,
    ))
}

/// How many packets lie between two times, both included.
fn within(points: &[Point], from_ns: i64, to_ns: i64) -> u64 {
    if to_ns < from_ns {
        return 0;
    }
    let before = points.partition_point(|point| point.ts_ns < from_ns);
    let until = points.partition_point(|point| point.ts_ns <= to_ns);
    until.saturating_sub(before) as u64
}

/// Whether each record has as many packets as there are between its times.
fn shares(
    device: &Device,
    key: &Key,
    claims: &[Claim],
    points: &[Point],
    clock: &Clock,
    pair: bool,
) -> Option<(Verdict, String)> {
    let mut intervals: Vec<(i64, i64, i64, u64, u64)> = claims
        .iter()
        .filter_map(|claim| {
            let (first, last, off) = interval(device, claim, clock)?;
            Some((first, last, off, claim.packets, claim.message))
        })
        .collect();
    intervals.sort_unstable();
    // Records side by side share their packets by something that is not in the key.
    let apart = !pair
        && intervals
            .windows(2)
            .all(|two| matches!(two, [one, other] if one.1 <= other.0));
    intervals
        .into_iter()
        .find_map(|(first, last, off, packets, message)| {
            let most = within(points, first - off, last + off);
            let least = if apart {
                within(points, first + off, last - off)
            } else {
                0
            };
            (packets < least || packets > most).then(|| {
                (
                    Verdict::WrongData,
                    format!(
                        "{key}: a record (message {message}) says {packets} packets from {} to {}; the capture has {least} to {most} there",
                        shown(first),
                        shown(last)
                    ),
                )
            })
        })
}

/// Whether a record goes on where the declared time-outs end it.
fn timeouts(
    device: &Device,
    key: &Key,
    claims: &[Claim],
    points: &[Point],
    clock: &Clock,
) -> Option<(Verdict, String)> {
    let slack = nanoseconds(device.slack);
    claims.iter().find_map(|claim| {
        let (first, last, off) = interval(device, claim, clock)?;
        let from = points.partition_point(|point| point.ts_ns < first - off);
        let to = points.partition_point(|point| point.ts_ns <= last + off);
        let inside = points.get(from..to)?;
        if let Some(idle) = device.idle_timeout {
            let most = nanoseconds(idle).saturating_add(slack).saturating_add(off);
            let gap = inside.windows(2).find_map(|two| match two {
                [one, other] if other.ts_ns - one.ts_ns > most => Some((one.ts_ns, other.ts_ns)),
                _ => None,
            });
            if let Some((before, after)) = gap {
                return Some((
                    Verdict::Deviation,
                    format!(
                        "{key}: a record (message {}) goes on over {} without packets, from {}; the idle time-out is {idle} s",
                        claim.message,
                        seconds(after - before),
                        shown(before)
                    ),
                ));
            }
        }
        let active = device.active_timeout?;
        let end = first
            .saturating_add(nanoseconds(active))
            .saturating_add(slack)
            .saturating_add(off);
        // The packet that shows the time-out may still be counted.
        let late = inside.iter().filter(|point| point.ts_ns > end).count();
        (late > 1).then(|| {
            (
                Verdict::Deviation,
                format!(
                    "{key}: a record (message {}) is {} long; the active time-out is {active} s",
                    claim.message,
                    seconds(last - first)
                ),
            )
        })
    })
}
