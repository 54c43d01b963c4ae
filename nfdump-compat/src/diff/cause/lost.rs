//! Flows that only one side has: what they have in common.

use std::collections::BTreeMap;

use super::{Cause, Finding};
use crate::diff::flow::Flow;
use crate::diff::{Census, Side};

/// Fewer flows than this make no gap in time.
const GAP_FLOWS: usize = 10;

/// Explains the flows that only `side` has.
pub(super) fn find(only: &[Flow], side: Side, census: &[Census; 2], findings: &mut Vec<Finding>) {
    let mut rest: Vec<&Flow> = only.iter().collect();
    let (has, lacks) = (&census[side.index()], &census[side.other().index()]);
    let without = side.other();
    if lacks.totals.flows > 0 {
        exporters(&mut rest, side, [has, lacks], findings);
        for ipv6 in [false, true] {
            let count = |census: &Census| match ipv6 {
                true => census.ipv6,
                false => census.totals.flows - census.ipv6,
            };
            let cause = Cause::LostFamily { without, ipv6 };
            let chosen = |flow: &Flow| flow.key.is_ipv6() == ipv6;
            all_of(
                &mut rest,
                side,
                [count(has), count(lacks)],
                chosen,
                cause,
                findings,
            );
        }
        for (&protocol, &count) in &has.protocols {
            let there = lacks.protocols.get(&protocol).copied().unwrap_or(0);
            let cause = Cause::LostProtocol { without, protocol };
            let chosen = |flow: &Flow| flow.key.protocol == protocol;
            all_of(&mut rest, side, [count, there], chosen, cause, findings);
        }
        gap(&mut rest, side, lacks, findings);
    }
    if !rest.is_empty() {
        findings.push(Finding::of_flows(
            Cause::Missing { without },
            side.index(),
            &rest,
        ));
    }
}

fn exporters(
    rest: &mut Vec<&Flow>,
    side: Side,
    [has, lacks]: [&Census; 2],
    findings: &mut Vec<Finding>,
) {
    if lacks.exporters.is_empty() {
        return;
    }
    for (&exporter, &count) in &has.exporters {
        let there = lacks.exporters.get(&exporter).copied().unwrap_or(0);
        let cause = Cause::LostExporter {
            without: side.other(),
            exporter,
        };
        let chosen = |flow: &Flow| flow.exporter() == Some(exporter);
        all_of(rest, side, [count, there], chosen, cause, findings);
    }
}

/// Takes the chosen flows out if the other side has none such, and this side no more than these.
fn all_of(
    rest: &mut Vec<&Flow>,
    side: Side,
    [here, there]: [u64; 2],
    chosen: impl Fn(&Flow) -> bool,
    cause: Cause,
    findings: &mut Vec<Finding>,
) {
    if here == 0 || there > 0 {
        return;
    }
    let (taken, left): (Vec<&Flow>, Vec<&Flow>) = rest.iter().partition(|flow| chosen(flow));
    if taken.len() as u64 == here {
        findings.push(Finding::of_flows(cause, side.index(), &taken));
        *rest = left;
    }
}

/// Takes out flows that ended while the other side saw no flow end at all, if they are most of those that are left.
fn gap(rest: &mut Vec<&Flow>, side: Side, lacks: &Census, findings: &mut Vec<Finding>) {
    let mut ends: Vec<i64> = lacks.seconds.keys().copied().collect();
    ends.sort_unstable();
    // Flows of one hole lie before the same second of the other side.
    let mut holes: BTreeMap<usize, Vec<&Flow>> = BTreeMap::new();
    for &flow in rest.iter() {
        let second = flow.last.div_euclid(1000);
        if let Err(place) = ends.binary_search(&second) {
            holes.entry(place).or_default().push(flow);
        }
    }
    let Some(hole) = holes.into_values().max_by_key(Vec::len) else {
        return;
    };
    if hole.len() < GAP_FLOWS || hole.len() * 2 < rest.len() {
        return;
    }
    let seconds = || hole.iter().map(|flow| flow.last.div_euclid(1000));
    let (Some(from), Some(to)) = (seconds().min(), seconds().max()) else {
        return;
    };
    let inside = |flow: &&Flow| (from..=to).contains(&flow.last.div_euclid(1000));
    rest.retain(|flow| !inside(flow));
    let cause = Cause::Gap {
        without: side.other(),
        from,
        to,
    };
    findings.push(Finding::of_flows(cause, side.index(), &hole));
}
