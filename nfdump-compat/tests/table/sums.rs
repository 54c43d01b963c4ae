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

/// Two flows of two records each: 3 + 2 and 2 + 2 packets of the opposite direction, which count as its bytes.
#[test]
fn flows_are_sorted_by_what_their_records_add_up_to() {
    let records = [
        "6 10.0.0.1 80 10.0.0.2 1024 1795447890.990 2026-11-23 16:31:31.990 1.000 1 1 3 100 5000",
        "17 10.0.0.3 53 10.0.0.4 53 1795447890.990 2026-11-23 16:31:31.990 1.000 1 1 2 101 1",
        "6 10.0.0.2 1024 10.0.0.1 80 1795447891.990 2026-11-23 16:31:33.990 2.000 1 2 7 0 9",
        "17 10.0.0.3 53 10.0.0.4 53 1795447890.990 2026-11-23 16:31:31.990 1.000 1 1 2 0 1",
    ]
    .map(str::to_owned);
    let flows = ["6 10.0.0.1 80 10.0.0.2 1024", "17 10.0.0.3 53 10.0.0.4 53"].map(str::to_owned);
    let values = |both: bool, order: &str| {
        let values = Sums::of(&records, both).order_values(&flows, order);
        values.map(|values| values.join(" "))
    };
    assert_eq!(values(false, "bytes").as_deref(), Some("103 105"));
    assert_eq!(values(false, "flows").as_deref(), Some("1 2"));
    // The third record is the opposite direction of the first: 7 packets, which count as 7 bytes, to its 3.
    assert_eq!(values(true, "bytes").as_deref(), Some("110 105"));
    assert_eq!(values(true, "opkg").as_deref(), Some("5 4"));
    assert_eq!(values(true, "duration").as_deref(), Some("3000 1000"));
    let unknown = ["6 10.0.0.9 80 10.0.0.2 1024".to_owned()];
    assert_eq!(
        Sums::of(&records, true).order_values(&unknown, "bytes"),
        None
    );
}
