//! The same packets in other flows: which time-out does it.

use super::{Cause, Finding, described};
use crate::diff::Side;
use crate::diff::flow::Flow;
use crate::diff::group::Split;

/// The cause of the splits, one finding for each side that cuts finer, one for those where neither does.
pub(super) fn find(splits: &[Split]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for finer in [Some(Side::A), Some(Side::B), None] {
        let chosen: Vec<&Split> = splits
            .iter()
            .filter(|split| finer_side(split) == finer)
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let cause = finer.map_or(Cause::OtherCuts, |finer| timeout(&chosen, finer));
        let mut finding = Finding::new(cause);
        for split in chosen {
            for (side, flows) in [&split.a, &split.b].into_iter().enumerate() {
                for flow in flows {
                    finding.one(side, flow);
                }
            }
            if let Some(flow) = split.a.first() {
                finding.example(|| {
                    format!(
                        "{}: A {} flows, B {} flows; {}",
                        flow.key,
                        split.a.len(),
                        split.b.len(),
                        described(flow)
                    )
                });
            }
        }
        findings.push(finding);
    }
    findings
}

fn finer_side(split: &Split) -> Option<Side> {
    match split.a.len().cmp(&split.b.len()) {
        std::cmp::Ordering::Greater => Some(Side::A),
        std::cmp::Ordering::Less => Some(Side::B),
        std::cmp::Ordering::Equal => None,
    }
}

/// An active time-out leaves pieces that are all shorter than what they were cut from and follow each other closely;
/// an idle time-out leaves pauses.
fn timeout(splits: &[&Split], finer: Side) -> Cause {
    let longest = |flows: &[Flow]| {
        flows
            .iter()
            .map(|flow| flow.last.abs_diff(flow.first))
            .max()
            .unwrap_or(0)
    };
    let piece = splits
        .iter()
        .map(|split| longest(split.of(finer)))
        .max()
        .unwrap_or(0);
    let pauses = |split: &&Split| {
        let whole = split.of(finer.other());
        let pause = |pair: &[Flow]| match pair {
            [one, next] => {
                // Where the other side cuts, too, is no cut of the finer side alone.
                let shared = whole.iter().any(|flow| flow.first == next.first);
                (!shared).then(|| next.first.saturating_sub(one.last).max(0).unsigned_abs())
            }
            _ => None,
        };
        split.of(finer).windows(2).filter_map(pause).min()
    };
    let shortest = splits.iter().filter_map(pauses).min().unwrap_or(0);
    let all_longer = splits
        .iter()
        .all(|split| longest(split.of(finer.other())) > piece);
    match all_longer && shortest < piece {
        true => Cause::ActiveTimeout {
            finer,
            longest: piece,
        },
        false if shortest > 0 => Cause::IdleTimeout {
            finer,
            pause: shortest,
        },
        false => Cause::OtherCuts,
    }
}
