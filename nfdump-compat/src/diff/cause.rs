//! From differences to their causes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::fields::FieldId;
use super::flow::Flow;
use super::group::{Groups, Pair, Split};
use super::sampling::Spread;
use super::{Census, Options, Side, Totals};
use crate::output::protocols;

mod counters;
mod lost;
mod octets;
mod split;

use counters::{counted, counters};

/// Why flows differ. A side is the one that the sentence speaks of.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // the sentences below say it
pub enum Cause {
    LostExporter {
        without: Side,
        exporter: IpAddr,
    },
    LostFamily {
        without: Side,
        ipv6: bool,
    },
    LostProtocol {
        without: Side,
        protocol: u8,
    },
    /// Seconds since 1970, both included.
    Gap {
        without: Side,
        from: i64,
        to: i64,
    },
    Missing {
        without: Side,
    },
    Repeated {
        more: Side,
    },
    Sampled {
        side: Side,
        one_in: f64,
        scaled: bool,
    },
    /// The longest flow of `finer` in milliseconds.
    ActiveTimeout {
        finer: Side,
        longest: u64,
    },
    /// The shortest pause at which `finer` cuts, in milliseconds.
    IdleTimeout {
        finer: Side,
        pause: u64,
    },
    OtherCuts,
    BothDirections {
        one: Side,
    },
    TurnedAround,
    TimeShift {
        ms: i64,
    },
    WholeSeconds {
        side: Side,
    },
    Times,
    /// What each side seems to count, the side with more named; other explanations that fit as well.
    OtherLayer {
        more: Side,
        layers: Vec<(&'static str, &'static str)>,
    },
    Factor {
        more: Side,
        factor: u64,
    },
    Wrapped {
        side: Side,
    },
    Counters,
    Field(FieldId),
}

impl Side {
    /// Its name in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::A => "A",
            Side::B => "B",
        }
    }

    pub(super) fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

impl Cause {
    /// A word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Cause::LostExporter { .. } => "lost-exporter",
            Cause::LostFamily { .. } => "lost-family",
            Cause::LostProtocol { .. } => "lost-protocol",
            Cause::Gap { .. } => "gap",
            Cause::Missing { without: Side::A } => "extra",
            Cause::Missing { without: Side::B } => "missing",
            Cause::Repeated { .. } => "repeated",
            Cause::Sampled { .. } => "sampled",
            Cause::ActiveTimeout { .. } => "active-timeout",
            Cause::IdleTimeout { .. } => "idle-timeout",
            Cause::OtherCuts => "split",
            Cause::BothDirections { .. } => "both-directions",
            Cause::TurnedAround => "turned-around",
            Cause::TimeShift { .. } => "time-shift",
            Cause::WholeSeconds { .. } => "whole-seconds",
            Cause::Times => "times",
            Cause::OtherLayer { .. } => "other-layer",
            Cause::Factor { .. } => "factor",
            Cause::Wrapped { .. } => "wrapped",
            Cause::Counters => "counters",
            Cause::Field(_) => "field",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::LostExporter { without, exporter } => {
                write!(f, "{} has no flow of exporter {exporter}", without.name())
            }
            Cause::LostFamily { without, ipv6 } => {
                let family = if *ipv6 { "IPv6" } else { "IPv4" };
                write!(f, "{} has no {family} flow", without.name())
            }
            Cause::LostProtocol { without, protocol } => match protocols::name(*protocol) {
                Some(name) => write!(f, "{} has no flow of protocol {name}", without.name()),
                None => write!(f, "{} has no flow of protocol {protocol}", without.name()),
            },
            Cause::Gap { without, from, to } => write!(
                f,
                "{} has no flow that ended from {} to {}",
                without.name(),
                second(*from),
                second(*to)
            ),
            Cause::Missing { without } => write!(f, "only {} has them", without.other().name()),
            Cause::Repeated { more } => write!(
                f,
                "{} has them more often than {}",
                more.name(),
                more.other().name()
            ),
            Cause::Sampled {
                side,
                one_in,
                scaled,
            } => {
                let name = side.name();
                let other = side.other().name();
                write!(
                    f,
                    "{name} has a sample of {other}'s packets, about 1 of {one_in:.1}"
                )?;
                f.write_str(if *scaled { ", multiplied again" } else { "" })
            }
            Cause::ActiveTimeout { finer, longest } => write!(
                f,
                "{} cuts flows that last: its longest piece is {}, an active time-out",
                finer.name(),
                seconds(*longest)
            ),
            Cause::IdleTimeout { finer, pause } => write!(
                f,
                "{} cuts flows at pauses from {} on, an idle time-out",
                finer.name(),
                seconds(*pause)
            ),
            Cause::OtherCuts => f.write_str("the same packets, cut into flows otherwise"),
            Cause::BothDirections { one } => write!(
                f,
                "{} has both directions in one record, {} in two",
                one.name(),
                one.other().name()
            ),
            Cause::TurnedAround => f.write_str("source and destination are exchanged"),
            Cause::TimeShift { ms } => {
                let (sign, later) = if *ms < 0 {
                    ("", "earlier")
                } else {
                    ("+", "later")
                };
                write!(f, "B's clock is {sign}{:.3} s {later}", *ms as f64 / 1000.0)
            }
            Cause::WholeSeconds { side } => write!(f, "{}'s times are whole seconds", side.name()),
            Cause::Times => f.write_str("other times"),
            Cause::OtherLayer { more, layers } => {
                for (number, (high, low)) in layers.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { "; or " })?;
                    let (more, less) = (more.name(), more.other().name());
                    write!(f, "{more} counts the bytes of {high}, {less} of {low}")?;
                }
                Ok(())
            }
            Cause::Factor { more, factor } => write!(
                f,
                "{}'s counters are {factor} times {}'s",
                more.name(),
                more.other().name()
            ),
            Cause::Wrapped { side } => write!(f, "{}'s counters wrap at 32 bits", side.name()),
            Cause::Counters => f.write_str("other counters"),
            Cause::Field(field) => write!(f, "other {}", field.name()),
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn second(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("{seconds}"), |time| time.to_string())
}

/// A cause and what it explains. A flow whose times and counters differ is explained by two.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// What is concerned, of both sides.
    pub totals: [Totals; 2],
    /// Some of the flows, and what differs: as many as [`EXAMPLES`] at most.
    pub examples: Vec<String>,
}

/// Examples of a finding.
pub const EXAMPLES: usize = 5;

impl Finding {
    fn new(cause: Cause) -> Self {
        Finding {
            cause,
            totals: Default::default(),
            examples: Vec::new(),
        }
    }

    fn one(&mut self, side: usize, flow: &Flow) {
        if let Some(totals) = self.totals.get_mut(side) {
            totals.add(flow);
        }
    }

    fn both(&mut self, pair: &Pair) {
        self.one(0, &pair.a);
        self.one(1, &pair.b);
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }

    fn of_flows(cause: Cause, side: usize, flows: &[&Flow]) -> Self {
        let mut finding = Finding::new(cause);
        for flow in flows {
            finding.one(side, flow);
            finding.example(|| described(flow));
        }
        finding
    }

    fn of_pairs(cause: Cause, pairs: &[&Pair], differ: impl Fn(&Pair) -> String) -> Self {
        let mut finding = Finding::new(cause);
        for pair in pairs {
            finding.both(pair);
            finding.example(|| format!("{}: {}", pair.a.key, differ(pair)));
        }
        finding
    }
}

fn described(flow: &Flow) -> String {
    format!(
        "{}, {} packets, {} bytes, begins {}",
        flow.key,
        flow.packets(),
        flow.octets(),
        time(flow.first)
    )
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| format!("{ms} ms"), |time| format!("{time:.3}"))
}

/// The causes of what differs.
pub(super) fn find(
    groups: &Groups,
    census: &[Census; 2],
    equal: &Spread,
    options: &Options,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for side in [Side::A, Side::B] {
        let flows: Vec<&Flow> = groups.repeated[side.index()].iter().collect();
        if !flows.is_empty() {
            findings.push(Finding::of_flows(
                Cause::Repeated { more: side },
                side.index(),
                &flows,
            ));
        }
    }
    if let Some(finding) = sampled(groups, equal) {
        findings.push(finding);
        return findings;
    }
    for side in [Side::A, Side::B] {
        lost::find(&groups.only[side.index()], side, census, &mut findings);
    }
    findings.extend(split::find(&groups.splits));
    directions(groups, &mut findings);
    let pairs: Vec<&Pair> = groups.pairs.iter().collect();
    times(&pairs, options, &mut findings);
    counters(&pairs, options, &mut findings);
    fields(&pairs, &mut findings);
    findings
}

fn directions(groups: &Groups, findings: &mut Vec<Finding>) {
    for one in [Side::A, Side::B] {
        let merged = &groups.merged[one.index()];
        if merged.is_empty() {
            continue;
        }
        let mut finding = Finding::new(Cause::BothDirections { one });
        for (forward, back, both) in merged {
            finding.one(one.index(), both);
            finding.one(one.other().index(), forward);
            finding.one(one.other().index(), back);
            finding.example(|| described(both));
        }
        findings.push(finding);
    }
    if !groups.turned.is_empty() {
        let turned: Vec<&Pair> = groups.turned.iter().collect();
        findings.push(Finding::of_pairs(Cause::TurnedAround, &turned, |pair| {
            format!("in B {}", pair.b.key)
        }));
    }
}

/// Whether one side is a sample of the other; then nothing else is to be explained.
fn sampled(groups: &Groups, equal: &Spread) -> Option<Finding> {
    [Side::B, Side::A].into_iter().find_map(|side| {
        let (small, large) = (side.index(), side.other().index());
        let of = |pair: &Pair| match side {
            Side::A => [pair.b.packets(), pair.a.packets()],
            Side::B => [pair.a.packets(), pair.b.packets()],
        };
        let mut seen: Vec<[u64; 2]> = groups.pairs.iter().map(of).collect();
        let packets = |flows: &[Flow]| flows.iter().map(Flow::packets).sum();
        let sums = |split: &Split| [split.of(side.other()), split.of(side)].map(packets);
        seen.extend(groups.splits.iter().map(sums));
        seen.extend(groups.only[large].iter().map(|flow| [flow.packets(), 0]));
        let mut spread = equal.clone();
        for [of, seen] in &seen {
            spread.add(*of, *seen);
        }
        let divisor = spread.divisor();
        let scaled = divisor >= 2;
        let [of, found] = *seen.first()?;
        let is_exact = |[one, other]: &[u64; 2]| {
            u128::from(*one) * u128::from(found) == u128::from(*other) * u128::from(of)
        };
        let possible = |[of, seen]: &[u64; 2]| scaled || seen <= of;
        let partly = |[of, seen]: &[u64; 2]| (1..*of).contains(&(seen / divisor.max(1)));
        if !groups.only[small].is_empty()
            || !seen.iter().any(partly)
            || !seen.iter().all(possible)
            || seen.iter().all(is_exact)
        {
            return None;
        }
        let one_in = match scaled {
            true => spread
                .scaled_down(divisor)
                .one_in()
                .filter(|n| (n / divisor as f64 - 1.0).abs() < 0.25)?,
            false => spread.one_in()?,
        };
        let mut finding = Finding::new(Cause::Sampled {
            side,
            one_in,
            scaled,
        });
        for pair in &groups.pairs {
            finding.both(pair);
            finding.example(|| format!("{}: {}", pair.a.key, counted(pair)));
        }
        for flow in &groups.only[large] {
            finding.one(large, flow);
        }
        Some(finding)
    })
}

/// Clocks that differ are told from other differences of time by so many flows.
const SHIFTED: usize = 3;

fn times(pairs: &[&Pair], options: &Options, findings: &mut Vec<Finding>) {
    let tolerance = options.time_tolerance_ms;
    let off = |shift: i64| shift.unsigned_abs() > tolerance;
    let differ: Vec<&Pair> = pairs
        .iter()
        .copied()
        .filter(|pair| pair.shift().into_iter().any(off))
        .collect();
    let said = |pair: &Pair| {
        let [first, last] = pair.shift();
        format!("begins {first:+} ms, ends {last:+} ms in B")
    };
    if differ.is_empty() {
        return;
    }
    for side in [Side::A, Side::B] {
        let is_cut = |pair: &&Pair| {
            let sign = if side == Side::A { 1 } else { -1 };
            let flow = if side == Side::A { &pair.a } else { &pair.b };
            let whole = flow.first % 1000 == 0 && flow.last % 1000 == 0;
            whole
                && pair
                    .shift()
                    .iter()
                    .all(|shift| (0..1000).contains(&(shift * sign)))
        };
        if differ.len() >= SHIFTED && differ.iter().all(is_cut) {
            findings.push(Finding::of_pairs(
                Cause::WholeSeconds { side },
                &differ,
                said,
            ));
            return;
        }
    }
    let mut shifts: Vec<i64> = differ.iter().map(|pair| pair.shift()[0]).collect();
    let middle = shifts.len() / 2;
    let ms = *shifts.select_nth_unstable(middle).1;
    let slack = tolerance.max(1);
    let is_shifted = |pair: &&Pair| pair.shift().iter().all(|shift| shift.abs_diff(ms) <= slack);
    let (shifted, others): (Vec<&Pair>, Vec<&Pair>) = differ.into_iter().partition(is_shifted);
    if off(ms) && shifted.len() >= SHIFTED.max(others.len()) {
        findings.push(Finding::of_pairs(Cause::TimeShift { ms }, &shifted, said));
        if !others.is_empty() {
            findings.push(Finding::of_pairs(Cause::Times, &others, said));
        }
    } else {
        let all: Vec<&Pair> = shifted.into_iter().chain(others).collect();
        findings.push(Finding::of_pairs(Cause::Times, &all, said));
    }
}

/// The flow of `side`, then the other's.
fn by_side(pair: &Pair, side: Side) -> (&Flow, &Flow) {
    match side {
        Side::A => (&pair.a, &pair.b),
        Side::B => (&pair.b, &pair.a),
    }
}

fn fields(pairs: &[&Pair], findings: &mut Vec<Finding>) {
    let mut found: BTreeMap<FieldId, Finding> = BTreeMap::new();
    for pair in pairs {
        let value = |flow: &Flow, field: FieldId| {
            let value = flow.others.iter().find(|(known, _)| *known == field);
            value.map_or_else(|| "-".to_owned(), |(_, value)| value.to_string())
        };
        let fields = pair.a.others.iter().chain(&pair.b.others);
        let mut differ: Vec<FieldId> = fields
            .filter(|one| !(pair.a.others.contains(one) && pair.b.others.contains(one)))
            .map(|(field, _)| *field)
            .collect();
        differ.dedup();
        differ.sort();
        differ.dedup();
        for field in differ {
            let finding = found
                .entry(field)
                .or_insert_with(|| Finding::new(Cause::Field(field)));
            finding.both(pair);
            finding.example(|| {
                format!(
                    "{}: {} in A, {} in B",
                    pair.a.key,
                    value(&pair.a, field),
                    value(&pair.b, field)
                )
            });
        }
    }
    findings.extend(found.into_values());
}
