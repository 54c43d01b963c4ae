//! Counters that differ: cut to 32 bits, multiplied, or of other layers.

use std::collections::BTreeMap;

use super::{Cause, Finding, SHIFTED, by_side, octets};
use crate::diff::group::{Pair, tolerable_counter};
use crate::diff::{Options, Side};

/// What both sides count, in words.
pub(super) fn counted(pair: &Pair) -> String {
    let [a, b] = [&pair.a.counters, &pair.b.counters];
    let mut text = format!(
        "A {} packets, {} bytes; B {} packets, {} bytes",
        a[0], a[1], b[0], b[1]
    );
    if (a[2], a[3]) != (0, 0) || (b[2], b[3]) != (0, 0) {
        text += &format!(
            "; back A {} packets, {} bytes; B {} packets, {} bytes",
            a[2], a[3], b[2], b[3]
        );
    }
    text
}

/// Finds why counters differ.
pub(super) fn counters(pairs: &[&Pair], options: &Options, findings: &mut Vec<Finding>) {
    let is_off = |pair: &&Pair| {
        let counters = pair.a.counters.iter().zip(&pair.b.counters);
        counters
            .into_iter()
            .any(|(a, b)| !tolerable_counter(*a, *b, options))
    };
    let mut differ: Vec<&Pair> = pairs.iter().copied().filter(is_off).collect();
    for side in [Side::A, Side::B] {
        let (wrapped, rest): (Vec<&Pair>, Vec<&Pair>) =
            differ.into_iter().partition(|pair| is_wrapped(pair, side));
        differ = rest;
        if !wrapped.is_empty() {
            findings.push(Finding::of_pairs(
                Cause::Wrapped { side },
                &wrapped,
                counted,
            ));
        }
    }
    for more in [Side::A, Side::B] {
        let Some(factor) = factor(&differ, more) else {
            continue;
        };
        let (times, rest): (Vec<&Pair>, Vec<&Pair>) = differ
            .into_iter()
            .partition(|pair| is_multiple(pair, more, factor));
        differ = rest;
        findings.push(Finding::of_pairs(
            Cause::Factor { more, factor },
            &times,
            counted,
        ));
    }
    let (layers, rest): (Vec<&Pair>, Vec<&Pair>) =
        differ.into_iter().partition(|pair| pair.same_packets());
    differ = rest;
    match octets::layers_of(&layers) {
        Some(cause) => findings.push(Finding::of_pairs(cause, &layers, counted)),
        None => differ.extend(layers),
    }
    if !differ.is_empty() {
        findings.push(Finding::of_pairs(Cause::Counters, &differ, counted));
    }
}

/// Whether the counters of `side` are the other's modulo 2^32.
fn is_wrapped(pair: &Pair, side: Side) -> bool {
    let (small, large) = by_side(pair, side);
    let pairs = || small.counters.iter().zip(&large.counters);
    pairs().all(|(small, large)| {
        *small == *large || (*large >> 32 > 0 && *small == *large & u64::from(u32::MAX))
    }) && pairs().any(|(small, large)| small != large)
}

/// By what most counters of `more` are larger: the same whole number for packets and bytes.
fn factor(pairs: &[&Pair], more: Side) -> Option<u64> {
    let mut found: BTreeMap<u64, usize> = BTreeMap::new();
    for pair in pairs {
        let (large, small) = by_side(pair, more);
        let factor = large.packets().checked_div(small.packets()).unwrap_or(0);
        if factor >= 2 && is_multiple(pair, more, factor) {
            *found.entry(factor).or_default() += 1;
        }
    }
    let (factor, count) = found.into_iter().max_by_key(|(_, count)| *count)?;
    (count >= SHIFTED && count * 2 > pairs.len()).then_some(factor)
}

fn is_multiple(pair: &Pair, more: Side, factor: u64) -> bool {
    let (large, small) = by_side(pair, more);
    let mut counters = large.counters.iter().zip(&small.counters);
    counters.all(|(large, small)| small.checked_mul(factor) == Some(*large))
}
