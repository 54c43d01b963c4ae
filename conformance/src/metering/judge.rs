//! What was reported against what went by: conservation for each key first, then how flows were cut, then times.
//!
//! Sums are exact, whoever cut the flows and how. Where flows were cut is the device's choice: a record is only held
//! against the packets between its own times.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::device::{Bytes, Device};
use super::key::Key;
use super::reported::{Claim, Gathered};
use super::times::{self, Clock};
use super::traffic::{Traffic, Truth};
use crate::inspection::RuleResult;
use crate::verdict::Verdict;

/// So many findings of a rule are told in full.
pub const TOLD: usize = 20;

/// Standard deviations that a sampled sum may be off.
const DEVIATIONS: f64 = 5.0;

/// What became of one rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Its identifier.
    pub rule: &'static str,
    /// The worst of it.
    pub verdict: Verdict,
    /// How often it was broken.
    pub count: u64,
    /// How often there was something to check.
    pub checked: u64,
    /// Why it is not applicable; empty otherwise.
    pub reason: String,
    /// The evidence, one line each, the first [`TOLD`].
    pub notes: Vec<String>,
}

impl Judged {
    /// Nothing checked, for this reason.
    pub fn new(rule: &'static str, reason: &str) -> Self {
        Self {
            rule,
            verdict: Verdict::NotApplicable,
            count: 0,
            checked: 0,
            reason: reason.to_owned(),
            notes: Vec::new(),
        }
    }

    /// Puts it into the results: in place of what the judge of messages guesses of the same rule.
    pub fn enter(self, results: &mut [RuleResult]) {
        let result = results
            .iter_mut()
            .find(|result| result.requirement.rule.id == self.rule);
        let Some(result) = result else { return };
        if result.verdict != Verdict::NotApplicable && self.verdict == Verdict::NotApplicable {
            return;
        }
        result.verdict = self.verdict;
        result.count = self.count;
        result.checked = self.checked;
        result.reason = self.reason;
        result.notes = self.notes;
        result.first = None;
    }

    /// One check; a fault with its evidence, or none.
    pub fn check(&mut self, fault: Option<(Verdict, String)>) {
        self.checked += 1;
        self.reason.clear();
        let Some((verdict, note)) = fault else {
            self.verdict = self.verdict.max(Verdict::Pass);
            return;
        };
        self.verdict = self.verdict.max(verdict);
        self.count += 1;
        if self.notes.len() < TOLD {
            self.notes.push(note);
        }
    }
}

/// The sums of the records of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Records.
    pub records: u64,
    /// Packets.
    pub packets: u64,
    /// Octets, if all say.
    pub octets: Option<u64>,
    /// Octets of layer 7 in an element of their own, if all say.
    pub payload: Option<u64>,
}

impl Sums {
    /// Adds up.
    pub fn of(claims: &[Claim]) -> Self {
        let add = |value: fn(&Claim) -> Option<u64>| -> Option<u64> {
            claims
                .iter()
                .try_fold(0_u64, |sum, claim| Some(sum.saturating_add(value(claim)?)))
        };
        Self {
            records: claims.len() as u64,
            packets: add(|claim| Some(claim.packets)).unwrap_or(0),
            octets: add(|claim| claim.octets).filter(|_| !claims.is_empty()),
            payload: add(|claim| claim.payload).filter(|_| !claims.is_empty()),
        }
    }
}

/// All keys of both sides, in order.
fn keys<'a>(traffic: &'a Traffic, gathered: &'a Gathered) -> BTreeSet<&'a Key> {
    traffic.keys.keys().chain(gathered.keys.keys()).collect()
}

/// How many keys differ: the fewer, the better the reading of fragments fits.
pub fn differing(device: &Device, traffic: &Traffic, gathered: &Gathered) -> usize {
    keys(traffic, gathered)
        .into_iter()
        .filter(|key| difference(device, traffic, gathered, key).is_some())
        .count()
}

/// Judges M-01 to M-05; and remarks.
pub fn judge(
    device: &Device,
    traffic: &Traffic,
    gathered: &Gathered,
) -> (Vec<Judged>, Vec<String>) {
    let mut conserved = Judged::new("M-01", "the capture holds no traffic that counts");
    let mut fragments = Judged::new("M-04", "the capture holds no fragments without ports");
    let mut inside = Judged::new(
        "M-05",
        "the capture holds no tagged, labelled or tunnelled packets",
    );
    let mut remarks = Vec::new();
    if device.sampling > 1 {
        let sampled = sampled(device, traffic, gathered);
        conserved = sampled;
        for judged in [&mut fragments, &mut inside] {
            judged.reason = "the device samples: single keys cannot be compared".to_owned();
        }
    } else {
        for key in keys(traffic, gathered) {
            let fault = difference(device, traffic, gathered, key);
            if let Some(truth) = traffic.keys.get(key) {
                if truth.fragments {
                    fragments.check(fault.clone());
                }
                if truth.encapsulated {
                    inside.check(fault.clone());
                }
            }
            conserved.check(fault);
        }
        remarks.extend(layer_hint(device, traffic, gathered));
    }
    let (clock, mut timed) = Clock::judge(device, traffic, gathered);
    remarks.extend(clock.remark());
    let cuts = times::cuts(device, traffic, gathered, &clock);
    if device.sampling > 1 {
        timed = Judged::new(
            "M-02",
            "the device samples: its first and last packets are others",
        );
    }
    (vec![conserved, timed, cuts, fragments, inside], remarks)
}

/// What is wrong with the sums of a key.
fn difference(
    device: &Device,
    traffic: &Traffic,
    gathered: &Gathered,
    key: &Key,
) -> Option<(Verdict, String)> {
    let claims = gathered.keys.get(key).map_or(&[][..], Vec::as_slice);
    let said = Sums::of(claims);
    let Some(truth) = traffic.keys.get(key) else {
        let swapped = traffic
            .keys
            .get(&key.reversed())
            .is_some_and(|truth| truth.points.len() as u64 == said.packets);
        let hint = if swapped {
            ": its opposite direction has as many: directions are swapped"
        } else {
            ""
        };
        return Some((
            Verdict::WrongData,
            format!(
                "{key}: {} packets reported in {} records (message {}), none in the capture{hint}",
                said.packets,
                said.records,
                message(claims)
            ),
        ));
    };
    let packets = truth.points.len() as u64;
    let octets = truth.octets(device.bytes);
    let told = |what: &str| {
        format!(
            "{key}: {packets} packets with {octets} octets in the capture ({} to {}), {} with {} reported in {} records{}: {what}",
            times::shown(truth.points.first().map_or(0, |point| point.ts_ns)),
            times::shown(truth.points.last().map_or(0, |point| point.ts_ns)),
            said.packets,
            said.octets
                .map_or_else(|| "none".to_owned(), |octets| octets.to_string()),
            said.records,
            if claims.is_empty() {
                String::new()
            } else {
                format!(" (message {})", message(claims))
            }
        )
    };
    let snapped = if truth.snapped {
        " (some are cut inside their headers by the capture)"
    } else {
        ""
    };
    if said.packets < packets {
        let missing = packets - said.packets;
        return Some((
            Verdict::DataLoss,
            told(&format!("{missing} packets are missing{snapped}")),
        ));
    }
    if said.packets > packets {
        let more = said.packets - packets;
        return Some((
            Verdict::WrongData,
            told(&format!("{more} packets too many")),
        ));
    }
    let wrong = |what: &str, said: u64, true_: u64| {
        let wrapped = true_ > said && (true_ - said).is_multiple_of(1 << 32);
        let hint = if wrapped { ": it wraps at 32 bits" } else { "" };
        (Verdict::WrongData, told(&format!("{what}{hint}")))
    };
    match (said.octets, said.payload) {
        (Some(said), _) if said != octets => {
            let fits = Bytes::ALL
                .into_iter()
                .find(|layer| *layer != device.bytes && truth.octets(*layer) == said);
            let what = match fits {
                Some(layer) => format!("the octets are those of layer {}", layer.name()),
                None => "the octets differ".to_owned(),
            };
            Some(wrong(&what, said, octets))
        }
        (_, Some(payload)) if payload != truth.octets(Bytes::L7) => Some(wrong(
            &format!(
                "element 401 says {payload} octets of layer 7, they are {}",
                truth.octets(Bytes::L7)
            ),
            payload,
            truth.octets(Bytes::L7),
        )),
        _ => None,
    }
}

fn message(claims: &[Claim]) -> u64 {
    claims.first().map_or(0, |claim| claim.message)
}

/// The octets of most keys fit another layer: probably it was not declared.
fn layer_hint(device: &Device, traffic: &Traffic, gathered: &Gathered) -> Option<String> {
    let pairs: Vec<(&Truth, u64)> = traffic
        .keys
        .iter()
        .filter_map(|(key, truth)| {
            let said = Sums::of(gathered.keys.get(key)?);
            (said.packets == truth.points.len() as u64).then_some((truth, said.octets?))
        })
        .collect();
    let fitting = |layer: Bytes| {
        let fits = |(truth, said): &&(&Truth, u64)| truth.octets(layer) == *said;
        pairs.iter().filter(fits).count()
    };
    let own = fitting(device.bytes);
    let best = Bytes::ALL.into_iter().max_by_key(|layer| fitting(*layer))?;
    let count = fitting(best);
    (count > own && count * 2 > pairs.len()).then(|| {
        format!(
            "the octets of {count} of {} keys are those of layer {name}: if they are meant to be, declare bytes = \"{name}\"",
            pairs.len(),
            name = best.name()
        )
    })
}

/// Sums of a device that counts one packet of `sampling`: packets and octets of all keys, within chance.
fn sampled(device: &Device, traffic: &Traffic, gathered: &Gathered) -> Judged {
    let mut judged = Judged::new("M-01", "the capture holds no traffic that counts");
    let rate = f64::from(device.sampling);
    let factor = if device.scaled { 1.0 } else { rate };
    let (mut packets, mut octets, mut squares) = (0.0, 0.0, 0.0);
    for point in traffic.keys.values().flat_map(|truth| &truth.points) {
        let size = f64::from(point.octets);
        packets += 1.0;
        octets += size;
        squares += size * size;
    }
    let (mut said_packets, mut said_octets) = (0.0, 0.0);
    for (key, claims) in &gathered.keys {
        let said = Sums::of(claims);
        said_packets += said.packets as f64 * factor;
        said_octets += said.octets.unwrap_or(0) as f64 * factor;
        if !traffic.keys.contains_key(key) {
            judged.check(difference(device, traffic, gathered, key));
        }
    }
    for (what, said, true_, variance) in [
        ("packets", said_packets, packets, packets * (rate - 1.0)),
        ("octets", said_octets, octets, squares * (rate - 1.0)),
    ] {
        if true_ == 0.0 {
            continue;
        }
        let most = DEVIATIONS * f64::sqrt(variance) + rate;
        let fault = (f64::abs(said - true_) > most).then(|| {
            (
                Verdict::WrongData,
                format!(
                    "all keys: {true_:.0} {what} in the capture, {said:.0} reported with sampling 1 in {rate:.0}; chance explains {most:.0}"
                ),
            )
        });
        judged.check(fault);
    }
    judged
}

/// How many keys our meter cuts into another number of flows; sums do not depend on it.
pub fn cut_otherwise(
    ours: &HashMap<Key, u64, RandomState>,
    gathered: &Gathered,
) -> (u64, u64, u64) {
    let mut otherwise = 0;
    for (key, claims) in &gathered.keys {
        otherwise += u64::from(
            ours.get(key)
                .is_some_and(|flows| *flows != claims.len() as u64),
        );
    }
    let theirs = gathered
        .keys
        .values()
        .map(|claims| claims.len() as u64)
        .sum();
    (ours.values().sum(), theirs, otherwise)
}
