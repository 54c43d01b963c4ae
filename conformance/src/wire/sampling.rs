//! Reports of sampling: NetFlow v9's fields, and the reports of RFC 5476.

use std::hash::{BuildHasher, Hasher};

use protocol::registry::ie;

use super::domain::Domain;
use super::layout::{Field, Layout};
use super::message::Message;
use super::rules::{Desk, R};
use super::sequence::Step;
use crate::verdict::Verdict;

/// A value and where it stands.
type At<T> = Option<(T, usize)>;

/// After so many packets also options have been sent again.
const PACKETS: u64 = 600;

/// What one record says of sampling.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    algorithm: At<u64>,
    interval: Option<u64>,
    space: Option<u64>,
    size: Option<u64>,
    population: Option<u64>,
    probability: Option<f64>,
    /// NetFlow v9: samplingInterval, samplingAlgorithm, samplerMode.
    v9_interval: At<u64>,
    v9_algorithm: At<u64>,
    v9_mode: At<u64>,
    /// The count of observed packets that waits for the one of selected packets.
    observed: Option<u64>,
}

impl Sampling {
    pub(super) fn float(&mut self, field: &Field, value: &[u8]) {
        if field.is(ie::SAMPLING_PROBABILITY) {
            self.probability = match value.len() {
                8 => value.try_into().ok().map(f64::from_be_bytes),
                4 => value
                    .try_into()
                    .ok()
                    .map(|octets| f64::from(f32::from_be_bytes(octets))),
                _ => None,
            };
        }
    }

    pub(super) fn number(&mut self, field: &Field, number: u64, offset: usize, desk: &mut Desk) {
        match field.id {
            ie::SELECTOR_ALGORITHM => self.algorithm = Some((number, offset)),
            ie::SAMPLING_PACKET_INTERVAL => self.interval = Some(number),
            ie::SAMPLING_PACKET_SPACE => self.space = Some(number),
            ie::SAMPLING_SIZE => self.size = Some(number),
            ie::SAMPLING_POPULATION => self.population = Some(number),
            ie::SAMPLING_INTERVAL => self.v9_interval = Some((number, offset)),
            ie::SAMPLING_ALGORITHM => self.v9_algorithm = Some((number, offset)),
            ie::SAMPLER_MODE => self.v9_mode = Some((number, offset)),
            ie::SELECTOR_ID_TOTAL_PKTS_OBSERVED => self.observed = Some(number),
            ie::SELECTOR_ID_TOTAL_PKTS_SELECTED => {
                if let Some(observed) = self.observed.take() {
                    let kept = number <= observed;
                    desk.judge(R::O18, kept, Verdict::WrongData, offset, 8, || {
                        format!("{number} packets were selected of {observed} that were observed")
                    });
                }
            }
            _ => {}
        }
    }

    /// RFC 5476 section 6.5.2: an algorithm comes with its parameters.
    pub(super) fn judge(&self, desk: &mut Desk) {
        let Some((algorithm, at)) = self.algorithm else {
            return;
        };
        let (rule, kept, what) = match algorithm {
            1 => (
                R::O16,
                self.interval.is_some_and(|interval| interval > 0) && self.space.is_some(),
                "interval (305) and space (306)",
            ),
            3 => (
                R::O17,
                matches!((self.size, self.population), (Some(size @ 1..), Some(population)) if population >= size),
                "size (309) and a population (310) not below it",
            ),
            4 => (
                R::O17,
                self.probability
                    .is_some_and(|probability| probability > 0.0 && probability <= 1.0),
                "a probability (311) above 0 and up to 1",
            ),
            _ => return,
        };
        // An interval alone is not what the RFC asks for, but tells collectors the rate.
        let verdict = if self.interval.is_some_and(|interval| interval > 0) {
            Verdict::Deviation
        } else {
            Verdict::WrongData
        };
        desk.judge(rule, kept, verdict, at, 2, || {
            format!("sampling algorithm {algorithm} is reported without {what}")
        });
    }

    /// RFC 3954 section 8: 1 is deterministic, 2 random sampling; 0 is what devices send that do not sample.
    pub(super) fn judge_v9(&self, desk: &mut Desk) {
        for (name, value) in [
            ("samplingAlgorithm (35)", self.v9_algorithm),
            ("samplerMode (49)", self.v9_mode),
        ] {
            if let Some((number, at)) = value {
                desk.judge(R::O14, number <= 2, Verdict::Deviation, at, 1, || {
                    format!("{name} is {number}: 1 and 2 have a meaning")
                });
            }
        }
        if let (Some((0, at)), Some((1 | 2, _))) = (self.v9_interval, self.v9_algorithm) {
            desk.judge(R::O14, false, Verdict::Deviation, at, 1, || {
                "an algorithm is named, and an interval of 0".to_owned()
            });
        }
    }
}

/// RFC 3954 section 8: each of the fields by which NetFlow v9 tells a rate is used with the others.
pub(super) fn judge_v9_template(layout: &Layout, desk: &mut Desk) {
    let has = |id| layout.has(id);
    for (one, other, names) in [
        (
            ie::SAMPLING_INTERVAL,
            ie::SAMPLING_ALGORITHM,
            "samplingInterval (34), but not samplingAlgorithm (35)",
        ),
        (
            ie::SAMPLING_ALGORITHM,
            ie::SAMPLING_INTERVAL,
            "samplingAlgorithm (35), but not samplingInterval (34)",
        ),
        (
            ie::SAMPLER_RANDOM_INTERVAL,
            ie::SAMPLER_ID,
            "samplerRandomInterval (50), but no samplerId (48)",
        ),
    ] {
        if has(one) {
            desk.judge(
                R::O14,
                has(other),
                Verdict::Deviation,
                layout.offset,
                layout.length,
                || format!("template {} has {names}", layout.id),
            );
        }
    }
}

/// RFC 5476 section 6.5.1: scope selectionSequenceId, then the observation point, then the selectors.
pub(super) fn judge_sequence_report(layout: &Layout, desk: &mut Desk) {
    let scopes = usize::from(layout.scopes.unwrap_or(0));
    let mut fields = layout.fields.iter().skip(scopes);
    let statistics = layout.has(ie::SELECTOR_ID_TOTAL_PKTS_OBSERVED)
        || layout.has(ie::SELECTOR_ID_TOTAL_PKTS_SELECTED);
    if !layout.scope_has(ie::SELECTION_SEQUENCE_ID) || statistics {
        return;
    }
    let selectors = fields.clone().any(|field| field.is(ie::SELECTOR_ID));
    if !selectors {
        return;
    }
    let point = fields
        .next()
        .is_some_and(|field| !field.is(ie::SELECTOR_ID));
    let behind = fields.any(|field| !field.is(ie::SELECTOR_ID));
    desk.judge(
        R::O15,
        point && !behind,
        Verdict::Deviation,
        layout.offset,
        layout.length,
        || {
            format!(
                "selection sequence report in template {}: the observation point does not stand before the selectors",
                layout.id
            )
        },
    );
}

/// Packet reports name a selection sequence: it has to be reported too.
pub(super) fn judge_sequence_reported(
    layout: &Layout,
    copies: u32,
    domain: &Domain,
    at: usize,
    desk: &mut Desk,
) {
    if layout.scopes.is_some() || !layout.has(ie::SELECTION_SEQUENCE_ID) {
        return;
    }
    if domain.selection_reported {
        desk.check(R::O15);
    } else if copies > 1 && !domain.blind && (domain.sequence.unbroken || domain.packets > PACKETS)
    {
        desk.judge(R::O15, false, Verdict::DataLoss, at, 4, || {
            format!(
                "template {} names selection sequences, and no report of them (scope 301) is sent",
                layout.id
            )
        });
    }
}

/// What tells one statistic from another: template, scope, and place in the record.
#[derive(Debug)]
pub(super) struct Statistic<H> {
    hasher: H,
    scopes: usize,
    index: usize,
}

impl<H: Hasher + Clone> Statistic<H> {
    /// Begins a record.
    pub(super) fn new(layout: &Layout, hasher: &impl BuildHasher<Hasher = H>) -> Self {
        let mut hasher = hasher.build_hasher();
        hasher.write_u16(layout.id);
        Self {
            hasher,
            scopes: usize::from(layout.scopes.unwrap_or(0)),
            index: 0,
        }
    }

    /// Takes in a field; gives the key of a counter of packets observed or selected.
    pub(super) fn field(&mut self, field: &Field, value: &[u8]) -> Option<u64> {
        let index = self.index;
        self.index += 1;
        if index < self.scopes || field.is(ie::SELECTOR_ID) {
            self.hasher.write(value);
            return None;
        }
        let counter = field.is(ie::SELECTOR_ID_TOTAL_PKTS_OBSERVED)
            || field.is(ie::SELECTOR_ID_TOTAL_PKTS_SELECTED);
        counter.then(|| {
            let mut hasher = self.hasher.clone();
            hasher.write_usize(index);
            hasher.finish()
        })
    }
}

/// RFC 5476 section 6.5.3: the counter of this key only grows.
pub(super) fn judge_grows(
    key: u64,
    number: u64,
    offset: usize,
    message: &Message<'_>,
    domain: &mut Domain,
    desk: &mut Desk,
) {
    if message.step == Step::Late {
        return;
    }
    if let Some(before) = domain.statistic(key, number) {
        desk.judge(
            R::O18,
            number >= before,
            Verdict::WrongData,
            offset,
            8,
            || format!("the counter was {before} before, and is {number}"),
        );
    }
}
