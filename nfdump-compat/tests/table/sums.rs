//! What flows put together are sorted by where their rows do not show it: nfdump 1.7.5 sorts by what the records add up to,
//! with the packets of the opposite direction in place of its bytes, and prints the first record's counters. What they add up
//! to is worked out here, from the records as nfdump itself lists them one by one.

use crate::ties::{SUM_WORDS, Sum};
use std::collections::HashMap;

/// What tells flows apart, as nfdump prints it.
pub const FLOW: &str = "fmt:%pr %sa %sp %da %dp";

/// What each flow adds up to, by the words of [`FLOW`].
pub struct Sums(HashMap<Vec<String>, Sum>);

impl Sums {
    /// Adds up records, each in the columns of [`FLOW`] and [`crate::ties::SUM`]; with `both`, opposite directions of TCP
    /// and UDP are one flow, whose direction is that of the first record.
    pub fn of(records: &[String], both: bool) -> Self {
        let mut sums: HashMap<Vec<String>, Sum> = HashMap::new();
        for line in records {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((flow, columns)) =
                words.split_at_checked(words.len().saturating_sub(SUM_WORDS))
            else {
                continue;
            };
            let Some(mut sum) = Sum::of(columns) else {
                continue;
            };
            sum.out_bytes = sum.out_packets;
            let mut flow: Vec<String> = flow.iter().map(|&word| word.to_owned()).collect();
            if both && !sums.contains_key(&flow) {
                let opposite = opposite(&flow);
                if sums.contains_key(&opposite) {
                    flow = opposite;
                    std::mem::swap(&mut sum.in_packets, &mut sum.out_packets);
                    std::mem::swap(&mut sum.in_bytes, &mut sum.out_bytes);
                }
            }
            match sums.get_mut(&flow) {
                Some(known) => add(known, sum),
                None => drop(sums.insert(flow, sum)),
            }
        }
        Self(sums)
    }

    /// What these flows, each in the columns of [`FLOW`], are sorted by; none if one is not known.
    pub fn order_values(&self, flows: &[String], order: &str) -> Option<Vec<String>> {
        let value = |line: &String| {
            let flow: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            self.0.get(&flow)?.order_value(order)
        };
        flows.iter().map(value).collect()
    }
}

/// The opposite direction of a flow of TCP or UDP; of others nothing that there is.
fn opposite(flow: &[String]) -> Vec<String> {
    match flow {
        [protocol, source, port, destination, other]
            if ["6", "17"].contains(&protocol.as_str()) =>
        {
            [protocol, destination, other, source, port]
                .into_iter()
                .cloned()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn add(to: &mut Sum, sum: Sum) {
    to.first = to.first.min(sum.first);
    to.last = to.last.max(sum.last);
    to.end = to.end.clone().max(sum.end);
    to.flows += sum.flows;
    to.in_packets += sum.in_packets;
    to.out_packets += sum.out_packets;
    to.in_bytes += sum.in_bytes;
    to.out_bytes += sum.out_bytes;
}
