//! Flows aggregated by their 5-tuple: counters summed, TCP flags joined, time span widened; every other field is that of the
//! first record.
//!
//! Rows of equal order value are sorted by source address and destination address ascending, then source port and
//! destination port descending, then protocol number.

use crate::{
    field,
    output::row::Counters,
    record::RecordView,
    stat::{Cut, element::Value, order::Order, sort_top},
};
use hashbrown::HashMap;

/// A growing table of aggregated flows.
#[derive(Default)]
pub struct FlowTable {
    index: HashMap<FlowKey, usize, foldhash::fast::RandomState>,
    flows: Vec<Aggregate>,
    /// The first records of all flows, one behind the other.
    records: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    source: Value,
    destination: Value,
    ports: u32,
    protocol: u8,
    ipv6: bool,
}

struct Aggregate {
    key: FlowKey,
    counters: Counters,
    tcp_flags: u8,
    record_at: usize,
    record_length: usize,
}

/// An aggregated flow.
pub struct AggregatedFlow<'a> {
    /// Its first record.
    pub record: RecordView<'a>,
    /// Sums.
    pub counters: Counters,
    /// All TCP flags seen.
    pub tcp_flags: u8,
}

impl FlowTable {
    /// Number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// True without any flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Adds a record to its flow.
    pub fn add(&mut self, record: &RecordView<'_>, counters: &Counters) {
        let get = |location| record.get_or_zero(location);
        let key = FlowKey {
            source: Value::of_address(record.src_ip()),
            destination: Value::of_address(record.dst_ip()),
            ports: (get(field::SRC_PORT) << 16 | get(field::DST_PORT)) as u32,
            protocol: get(field::PROTO) as u8,
            ipv6: record.src_ip().is_some_and(|address| address.is_ipv6()),
        };
        let tcp_flags = get(field::TCP_FLAGS) as u8;
        let at = *self.index.entry(key).or_insert(self.flows.len());
        if let Some(flow) = self.flows.get_mut(at) {
            flow.counters.add(counters);
            flow.tcp_flags |= tcp_flags;
        } else {
            let bytes = record.bytes();
            let record_at = self.records.len();
            self.records.extend_from_slice(bytes);
            self.flows.push(Aggregate {
                key,
                counters: *counters,
                tcp_flags,
                record_at,
                record_length: bytes.len(),
            });
        }
    }

    /// The flows to show for one order, in their order.
    pub fn sorted(&self, order: &Order, cut: Cut) -> impl Iterator<Item = AggregatedFlow<'_>> {
        let mut rows: Vec<(u64, &Aggregate)> = self
            .flows
            .iter()
            .map(|flow| (order.value(&flow.counters), flow))
            .collect();
        sort_top(&mut rows, cut, |a, b| {
            let (a, b) = (&a.key, &b.key);
            let ports = b.ports.cmp(&a.ports);
            a.source
                .cmp(&b.source)
                .then(a.destination.cmp(&b.destination))
                .then(ports)
                .then(a.protocol.cmp(&b.protocol))
                .then(a.ipv6.cmp(&b.ipv6))
        });
        rows.into_iter().filter_map(|(_, flow)| {
            let bytes = self
                .records
                .get(flow.record_at..flow.record_at + flow.record_length)?;
            let record = RecordView::parse(bytes).ok()?;
            Some(AggregatedFlow {
                record,
                counters: flow.counters,
                tcp_flags: flow.tcp_flags,
            })
        })
    }
}
