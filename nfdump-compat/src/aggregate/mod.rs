//! Flows put together: by their 5-tuple, by the 5-tuple in either direction, or by chosen fields. Counters are summed, TCP
//! flags of the same direction joined, the time span widened; every other field is that of the first record, and with chosen fields zero.
//!
//! Rows of equal order value are sorted by source address and destination address ascending, then source port and
//! destination port descending, then protocol number; with chosen fields by these in the order asked for, ascending; flows
//! that are only sorted stay in the order of the files.

pub mod fields;

use crate::{
    field,
    output::{
        row::{Counters, Row},
        versions::Facts,
    },
    record::{EditedRecord, RecordView},
    stat::{Cut, element::Value, order::Order, sort_top},
};
use fields::Fields;
use hashbrown::HashMap;

/// What makes records one flow.
#[derive(Clone, Debug, Default)]
pub enum Aggregation {
    /// Nothing: each record is a flow of its own.
    None,
    /// The 5-tuple.
    #[default]
    FiveTuple,
    /// The 5-tuple, of TCP and UDP also the opposite one: that flow's counters are the outgoing ones.
    Bidirectional,
    /// These fields.
    Fields(Fields),
}

/// A growing table of flows.
#[derive(Default)]
pub struct FlowTable {
    aggregation: Aggregation,
    /// As nfdump 1.7.5 does it.
    careless: bool,
    /// The flags of both directions are one.
    joins_flags: bool,
    tuples: HashMap<FlowKey, usize, foldhash::fast::RandomState>,
    groups: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    flows: Vec<Aggregate>,
    /// The first records of all flows, one behind the other.
    records: Vec<u8>,
    /// Room for the key of a record.
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    source: Value,
    destination: Value,
    ports: u32,
    protocol: u8,
    ipv6: bool,
}

impl FlowKey {
    fn of(record: &RecordView<'_>) -> Self {
        let get = |location| record.get_or_zero(location);
        Self {
            source: Value::of_address(record.src_ip()),
            destination: Value::of_address(record.dst_ip()),
            ports: (get(field::SRC_PORT) << 16 | get(field::DST_PORT)) as u32,
            protocol: get(field::PROTO) as u8,
            ipv6: record.src_ip().is_some_and(|address| address.is_ipv6()),
        }
    }

    fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            ports: self.ports.rotate_left(16),
            ..*self
        }
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let ports = other.ports.cmp(&self.ports);
        self.source
            .cmp(&other.source)
            .then(self.destination.cmp(&other.destination))
            .then(ports)
            .then(self.protocol.cmp(&other.protocol))
            .then(self.ipv6.cmp(&other.ipv6))
    }
}

struct Aggregate {
    tie: Tie,
    counters: Counters,
    tcp_flags: u8,
    /// Those of the opposite direction.
    reverse_flags: u8,
    record_at: usize,
    record_length: usize,
}

/// By what flows of equal order value are sorted.
enum Tie {
    Tuple(FlowKey),
    Group(Box<[u8]>),
    Number(usize),
}

impl Tie {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Tuple(a), Self::Tuple(b)) => a.compare(b),
            (Self::Group(a), Self::Group(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        }
    }
}

/// Where a record belongs.
enum Home {
    /// In this flow.
    Flow(usize),
    /// In this flow, whose direction is the opposite one.
    Opposite(usize),
    New(Tie),
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(aggregation: Aggregation, facts: &Facts, to_file: bool) -> Self {
        Self {
            aggregation,
            // What a version prints is imitated; what is written to a file is right.
            careless: facts.careless_flows && !to_file,
            joins_flags: facts.joins_flags,
            ..Self::default()
        }
    }

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
        let mut counters = *counters;
        if self.careless && !matches!(self.aggregation, Aggregation::None) {
            counters.out_bytes = counters.out_packets;
        }
        let counters = &counters;
        let tcp_flags = record.get_or_zero(field::TCP_FLAGS) as u8;
        let (at, counters, tcp_flags, reverse_flags) = match self.home(record) {
            Home::Flow(at) => (at, *counters, tcp_flags, 0),
            Home::Opposite(at) => (at, counters.reversed(), 0, tcp_flags),
            Home::New(tie) => return self.push(tie, record, counters, tcp_flags),
        };
        if let Some(flow) = self.flows.get_mut(at) {
            flow.counters.add(&counters);
            flow.tcp_flags |= tcp_flags;
            flow.reverse_flags |= reverse_flags;
        }
    }

    fn home(&mut self, record: &RecordView<'_>) -> Home {
        let next = self.flows.len();
        match &self.aggregation {
            Aggregation::None => Home::New(Tie::Number(next)),
            Aggregation::Fields(fields) => {
                self.scratch.clear();
                if self.careless {
                    fields.push_careless_key(&mut self.scratch, record);
                } else {
                    fields.push_key(&mut self.scratch, record);
                }
                if let Some(at) = self.groups.get(self.scratch.as_slice()) {
                    return Home::Flow(*at);
                }
                let key: Box<[u8]> = self.scratch.as_slice().into();
                self.groups.insert(key.clone(), next);
                Home::New(Tie::Group(key))
            }
            Aggregation::FiveTuple => {
                let key = FlowKey::of(record);
                match *self.tuples.entry(key).or_insert(next) {
                    at if at == next => Home::New(Tie::Tuple(key)),
                    at => Home::Flow(at),
                }
            }
            Aggregation::Bidirectional => {
                let key = FlowKey::of(record);
                if let Some(at) = self.tuples.get(&key) {
                    return Home::Flow(*at);
                }
                if matches!(key.protocol, 6 | 17)
                    && let Some(at) = self.tuples.get(&key.reversed())
                {
                    return Home::Opposite(*at);
                }
                self.tuples.insert(key, next);
                Home::New(Tie::Tuple(key))
            }
        }
    }

    fn push(&mut self, tie: Tie, record: &RecordView<'_>, counters: &Counters, tcp_flags: u8) {
        let bytes = record.bytes();
        let record_at = self.records.len();
        self.records.extend_from_slice(bytes);
        self.flows.push(Aggregate {
            tie,
            counters: *counters,
            tcp_flags,
            reverse_flags: 0,
            record_at,
            record_length: bytes.len(),
        });
    }

    /// Gives the rows to show in their order; without an order as the flows were first seen. `guess` turns flows around
    /// whose source looks like the server.
    pub fn rows(
        &self,
        order: Option<&Order>,
        cut: Cut,
        guess: bool,
        mut take: impl FnMut(&Row<'_>),
    ) {
        let mut edited = EditedRecord::default();
        for flow in self.sorted(order, cut, guess) {
            let Some(record) = self.record(flow) else {
                continue;
            };
            let mut row = Row {
                record,
                counters: self.shown(flow, &record),
                tcp_flags: match self.joins_flags {
                    true => flow.tcp_flags | flow.reverse_flags,
                    false => flow.tcp_flags,
                },
                reverse_flags: flow.reverse_flags,
                number: 0,
                label: None,
                names: None,
            };
            let turns = guess && looks_reversed(&record);
            if let (true, Aggregation::Fields(fields)) = (self.careless, &self.aggregation) {
                edited.copy(&record);
                fields.each_careless_prefix(&record, |place, value| {
                    edited.set(place, value);
                });
            } else if let Aggregation::Fields(fields) = &self.aggregation {
                edited.copy(&record);
                edited.blank();
                fields.each(&record, |place, value| {
                    edited.set(place, value);
                });
                row.tcp_flags = 0;
            } else if turns {
                edited.copy(&record);
                turn(&mut edited);
                if !self.careless || has_counters(flow, &record) {
                    row.counters = row.counters.reversed();
                }
            } else if self.careless && has_counters(flow, &record) {
                edited.copy(&record);
            } else {
                take(&row);
                continue;
            }
            if self.careless && has_counters(flow, &record) {
                edited.add_counters();
            }
            if let Some(record) = edited.view() {
                row.record = record;
                take(&row);
            }
        }
    }

    /// The counters to show of a flow: nfdump 1.7.5 keeps those of the opposite direction and the number of flows in the first
    /// record, if that has some.
    fn shown(&self, flow: &Aggregate, record: &RecordView<'_>) -> Counters {
        if !self.careless || !record.has(field::ext::CNT_FLOW) {
            return flow.counters;
        }
        let own = Counters::of(record);
        Counters {
            out_packets: own.out_packets,
            out_bytes: own.out_bytes,
            flows: own.flows,
            ..flow.counters
        }
    }

    /// Gives the flows as records with the counters of all their records, for a file.
    pub fn records(
        &self,
        order: Option<&Order>,
        cut: Cut,
        guess: bool,
        mut take: impl FnMut(&[u8]),
    ) {
        let mut edited = EditedRecord::default();
        for flow in self.sorted(order, cut, guess) {
            let Some(record) = self.record(flow) else {
                continue;
            };
            edited.copy(&record);
            if let Aggregation::Fields(fields) = &self.aggregation {
                fields.each_cut(&record, |place, value| {
                    edited.set(place, value);
                });
            }
            let mut counters = flow.counters;
            if guess && looks_reversed(&record) {
                turn(&mut edited);
                counters = counters.reversed();
            }
            if counters.flows > 1 || counters.out_packets > 0 || counters.out_bytes > 0 {
                edited.add_counters();
            }
            for (place, value) in [
                (field::MSEC_FIRST, counters.first_ms),
                (field::MSEC_LAST, counters.last_ms),
                (field::IN_PACKETS, counters.in_packets),
                (field::IN_BYTES, counters.in_bytes),
                (field::OUT_PACKETS, counters.out_packets),
                (field::OUT_BYTES, counters.out_bytes),
                (field::FLOWS, counters.flows),
                (field::TCP_FLAGS, u64::from(flow.tcp_flags)),
            ] {
                edited.set(place, u128::from(value));
            }
            if let Some(record) = edited.view() {
                take(record.bytes());
            }
        }
    }

    fn record(&self, flow: &Aggregate) -> Option<RecordView<'_>> {
        let bytes = self
            .records
            .get(flow.record_at..flow.record_at + flow.record_length)?;
        RecordView::parse(bytes).ok()
    }

    fn sorted(&self, order: Option<&Order>, cut: Cut, guess: bool) -> Vec<&Aggregate> {
        let Some(order) = order else {
            let shown = if cut.top == 0 { usize::MAX } else { cut.top };
            return self.flows.iter().take(shown).collect();
        };
        let mut rows: Vec<(u64, &Aggregate)> = self
            .flows
            .iter()
            .map(|flow| {
                let turned = guess
                    && self
                        .record(flow)
                        .is_some_and(|record| looks_reversed(&record));
                let counters = if turned {
                    flow.counters.reversed()
                } else {
                    flow.counters
                };
                (order.value(&counters), flow)
            })
            .collect();
        sort_top(&mut rows, cut, |a, b| a.tie.compare(&b.tie));
        rows.into_iter().map(|(_, flow)| flow).collect()
    }
}

/// Whether the flow's record has room for counters of the opposite direction, or needs it.
fn has_counters(flow: &Aggregate, record: &RecordView<'_>) -> bool {
    let counters = &flow.counters;
    record.has(field::ext::CNT_FLOW)
        || counters.flows > 1
        || counters.out_packets > 0
        || counters.out_bytes > 0
}

/// Whether a TCP or UDP flow looks as if it went from the server to the client: from a lower to a higher kind of port.
fn looks_reversed(record: &RecordView<'_>) -> bool {
    const BEGINNINGS: [u64; 3] = [1024, 32_768, 49_152];
    let get = |location| record.get_or_zero(location);
    let (source, destination) = (get(field::SRC_PORT), get(field::DST_PORT));
    matches!(get(field::PROTO), 6 | 17)
        && BEGINNINGS
            .iter()
            .any(|begin| source < *begin && destination >= *begin)
}

/// Exchanges source and destination.
fn turn(record: &mut EditedRecord) {
    for (one, other) in [
        (field::SRC_IPV4, field::DST_IPV4),
        (field::SRC_IPV6, field::DST_IPV6),
        (field::SRC_PORT, field::DST_PORT),
        (field::SRC_AS, field::DST_AS),
        (field::INPUT, field::OUTPUT),
    ] {
        record.swap(one, other);
    }
}
