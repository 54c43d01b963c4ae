//! Flows put together: by their 5-tuple, by the 5-tuple in either direction, or by chosen fields. Counters are summed, TCP
//! flags of the same direction joined, the time span widened; every other field is that of the first record, and with chosen fields zero.
//!
//! Rows of equal order value are sorted by source address and destination address ascending, then source port and
//! destination port descending, then protocol number; with chosen fields by these in the order asked for, ascending; flows
//! that are only sorted stay in the order of the files.

pub mod fields;

use crate::{
    field::{self, ext},
    groups::{
        Filled, Flow, Gathered, Group, Groups, Place,
        key::{self, KeyBuffer},
    },
    output::{
        format::Mode,
        row::{Counters, Row},
    },
    query::Query,
    record::{EditedRecord, RecordBuilder, RecordHeader, RecordView},
    stat::{Cut, order::Order},
};
use fields::Fields;
use std::{cmp::Ordering, net::IpAddr};

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

/// A growing table of flows, filled by several threads.
pub struct FlowTable {
    aggregation: Aggregation,
    /// As nfdump 1.7.5 does it.
    careless: bool,
    /// The flags of both directions are one.
    joins_flags: bool,
    /// Of most flows the record need not be kept: what is shown is in the key and the counters.
    derives: bool,
    groups: Groups,
}

#[derive(Clone, Copy)]
struct FlowKey {
    source: u128,
    destination: u128,
    ports: u32,
    protocol: u8,
    ipv6: bool,
}

impl FlowKey {
    fn of(record: &RecordView<'_>) -> Self {
        let get = |location| record.get_or_zero(location);
        Self {
            source: record.address_bits(field::SRC_IPV4, field::SRC_IPV6),
            destination: record.address_bits(field::DST_IPV4, field::DST_IPV6),
            ports: (get(field::SRC_PORT) << 16 | get(field::DST_PORT)) as u32,
            protocol: get(field::PROTO) as u8,
            ipv6: !record.has(ext::IPV4_FLOW) && record.has(ext::IPV6_FLOW),
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

    /// Which of both directions stands for both.
    fn is_turned(&self) -> bool {
        let reversed = self.reversed();
        matches!(self.protocol, 6 | 17)
            && (self.source, self.ports) > (reversed.source, reversed.ports)
    }

    /// Appends it, so that bytes compare as flows are sorted: ports descending.
    #[inline]
    fn push(&self, key: &mut KeyBuffer) {
        key.push_wide(self.source);
        key.push_wide(self.destination);
        key.push_array((!self.ports).to_be_bytes());
        key.push_array([self.protocol, u8::from(self.ipv6)]);
    }

    /// From the key of a group, in the direction of its first flow.
    fn of_group(group: &Group<'_>) -> Self {
        let mut rest = group.key();
        let source = key::take_number(&mut rest);
        let destination = key::take_number(&mut rest);
        let (ports, protocol, ipv6) = match *rest {
            [a, b, c, d, protocol, ipv6] => {
                (!u32::from_be_bytes([a, b, c, d]), protocol, ipv6 == 1)
            }
            _ => (0, 0, false),
        };
        let key = Self {
            source,
            destination,
            ports,
            protocol,
            ipv6,
        };
        if group.turned() { key.reversed() } else { key }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let ports = other.ports.cmp(&self.ports);
        self.source
            .cmp(&other.source)
            .then(self.destination.cmp(&other.destination))
            .then(ports)
            .then(self.protocol.cmp(&other.protocol))
            .then(self.ipv6.cmp(&other.ipv6))
    }

    /// Makes a record that has nothing else.
    fn build(&self, builder: &mut RecordBuilder) {
        let address = |bits: u128| match self.ipv6 {
            true => IpAddr::V6(bits.into()),
            false => IpAddr::V4((bits as u32).into()),
        };
        builder.set_address(field::SRC_IPV4, field::SRC_IPV6, address(self.source));
        builder.set_address(field::DST_IPV4, field::DST_IPV6, address(self.destination));
        builder.set(field::SRC_PORT, u64::from(self.ports >> 16));
        builder.set(field::DST_PORT, u64::from(self.ports & 0xffff));
        builder.set(field::PROTO, u64::from(self.protocol));
    }
}

impl FlowTable {
    /// An empty table for what the query shows of the flows.
    #[must_use]
    pub fn new(query: &Query) -> Self {
        let facts = query.style.facts();
        let aggregation = match (&query.aggregation, query.statistics.is_empty()) {
            (Some(aggregation), _) => aggregation.clone(),
            (None, true) => Aggregation::None,
            (None, false) => Aggregation::default(),
        };
        // What a version prints is imitated; what is written to a file is right.
        let careless = facts.careless_flows && !query.to_file;
        let whole = careless || query.to_file || query.guess_direction;
        Self {
            derives: !whole && aggregation.tells(&query.mode),
            careless,
            joins_flags: facts.joins_flags,
            groups: Groups::new(matches!(aggregation, Aggregation::None)),
            aggregation,
        }
    }

    /// The flows, when all are there.
    #[must_use]
    pub fn read(&self) -> Flows<'_> {
        Flows {
            table: self,
            groups: self.groups.read(),
        }
    }

    /// Adds a record to its flow, at the latest with [`Self::deliver`].
    pub fn add(
        &self,
        gathered: &mut Gathered,
        record: &RecordView<'_>,
        counters: &Counters,
        seen: u64,
    ) {
        let mut counters = *counters;
        if self.careless && !matches!(self.aggregation, Aggregation::None) {
            counters.out_bytes = counters.out_packets;
        }
        let Gathered { key, boxes } = gathered;
        key.clear();
        let mut turned = false;
        let derives = self.derives
            && match &self.aggregation {
                Aggregation::Fields(fields) => fields.are_in(record),
                _ => is_plain(record),
            };
        match &self.aggregation {
            Aggregation::Fields(fields) if self.careless => {
                fields.push_careless_key(key, record);
            }
            Aggregation::Fields(fields) => fields.push_key(key, record),
            Aggregation::Bidirectional => {
                let flow = FlowKey::of(record);
                turned = flow.is_turned();
                if turned { flow.reversed() } else { flow }.push(key);
            }
            Aggregation::None | Aggregation::FiveTuple => FlowKey::of(record).push(key),
        }
        let flow = Flow {
            key: key.key(),
            turned,
            counters: &counters,
            tcp_flags: record.get_or_zero(field::TCP_FLAGS) as u8,
            seen,
            record: (!derives).then_some(record.bytes()),
        };
        self.groups.add(boxes, &flow);
    }

    /// Adds what a thread has gathered.
    pub fn deliver(&self, gathered: &mut Gathered) {
        self.groups.deliver(gathered);
    }
}

/// Tokens that need the times and counters of a flow, nothing else.
const COUNTED: [&str; 17] = [
    "ts", "tfs", "tsr", "te", "ter", "td", "tds", "pkt", "ipkt", "opkt", "byt", "ibyt", "obyt",
    "fl", "pps", "bps", "bpp",
];
/// Tokens that need its 5-tuple and TCP flags besides.
const OF_TUPLE: [&str; 8] = ["pr", "sa", "da", "sap", "dap", "sp", "dp", "flg"];

impl Aggregation {
    /// Whether keys and counters are enough for all that the mode shows.
    fn tells(&self, mode: &Mode) -> bool {
        let enough = |token: &str| {
            COUNTED.contains(&token)
                || match self {
                    Self::Fields(fields) => fields.tell(token),
                    _ => OF_TUPLE.contains(&token),
                }
        };
        match mode {
            Mode::Null => true,
            Mode::Lines(format, _) => format.fields().all(|field| enough(field.token)),
            _ => false,
        }
    }
}

/// Whether the record has addresses of one kind (of IPv6 none that looks like IPv4), and nothing that is shown unasked.
fn is_plain(record: &RecordView<'_>) -> bool {
    record.has(ext::GENERIC_FLOW)
        && !record.has(ext::TUN_IPV4)
        && !record.has(ext::TUN_IPV6)
        && record.has(ext::IPV4_FLOW) != record.has(ext::IPV6_FLOW)
}

/// The flows of a table.
pub struct Flows<'t> {
    table: &'t FlowTable,
    groups: Filled<'t>,
}

impl Flows<'_> {
    /// Number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// True without any flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
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
        let table = self.table;
        let mut edited = EditedRecord::default();
        let mut builder = RecordBuilder::new();
        for place in self.sorted(order, cut, guess) {
            let Some(flow) = self.groups.group(place) else {
                continue;
            };
            let is_derived = flow.record().is_none();
            let Some(record) = self.record(&flow, &mut builder) else {
                continue;
            };
            let mut row = Row {
                record,
                counters: table.shown(&flow, &record),
                tcp_flags: match table.joins_flags {
                    true => flow.tcp_flags() | flow.reverse_flags(),
                    false => flow.tcp_flags(),
                },
                reverse_flags: flow.reverse_flags(),
                number: 0,
                label: None,
                names: None,
            };
            let turns = guess && looks_reversed(&record);
            if let (true, Aggregation::Fields(fields)) = (table.careless, &table.aggregation) {
                edited.copy(&record);
                fields.each_careless_prefix(&record, |place, value| {
                    edited.set(place, value);
                });
            } else if let Aggregation::Fields(fields) = &table.aggregation {
                row.tcp_flags = 0;
                if is_derived {
                    take(&row);
                    continue;
                }
                edited.copy(&record);
                edited.blank();
                fields.each(&record, |place, value| {
                    edited.set(place, value);
                });
            } else if turns {
                edited.copy(&record);
                turn(&mut edited);
                if !table.careless || has_counters(&flow, &record) {
                    row.counters = row.counters.reversed();
                }
            } else if table.careless && has_counters(&flow, &record) {
                edited.copy(&record);
            } else {
                take(&row);
                continue;
            }
            if table.careless && has_counters(&flow, &record) {
                edited.add_counters();
            }
            if let Some(record) = edited.view() {
                row.record = record;
                take(&row);
            }
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
        let mut builder = RecordBuilder::new();
        for place in self.sorted(order, cut, guess) {
            let Some(flow) = self.groups.group(place) else {
                continue;
            };
            let Some(record) = self.record(&flow, &mut builder) else {
                continue;
            };
            edited.copy(&record);
            if let Aggregation::Fields(fields) = &self.table.aggregation {
                fields.each_cut(&record, |place, value| {
                    edited.set(place, value);
                });
            }
            let mut counters = *flow.counters();
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
                (field::TCP_FLAGS, u64::from(flow.tcp_flags())),
            ] {
                edited.set(place, u128::from(value));
            }
            if let Some(record) = edited.view() {
                take(record.bytes());
            }
        }
    }

    /// The first record of a flow, or one made of what is known.
    fn record<'a>(
        &self,
        flow: &Group<'a>,
        builder: &'a mut RecordBuilder,
    ) -> Option<RecordView<'a>> {
        if let Some(bytes) = flow.record() {
            return RecordView::parse(bytes).ok();
        }
        builder.begin(&RecordHeader::default());
        builder.extension(ext::GENERIC_FLOW);
        match &self.table.aggregation {
            Aggregation::Fields(fields) => fields.build(flow.key(), builder),
            _ => FlowKey::of_group(flow).build(builder),
        }
        RecordView::parse(builder.finish()).ok()
    }

    fn sorted(&self, order: Option<&Order>, cut: Cut, guess: bool) -> Vec<Place> {
        let by_seen = |a: &Group<'_>, b: &Group<'_>| a.seen().cmp(&b.seen());
        let Some(order) = order else {
            let cut = Cut {
                ascending: true,
                ..cut
            };
            return self.groups.sorted(cut, |flow| Some(flow.seen()), by_seen);
        };
        let value = |flow: &Group<'_>| {
            let record = flow.record().filter(|_| guess);
            let record = record.and_then(|bytes| RecordView::parse(bytes).ok());
            Some(match record {
                Some(record) if looks_reversed(&record) => order.value(&flow.counters().reversed()),
                _ => order.value(flow.counters()),
            })
        };
        let tie = |a: &Group<'_>, b: &Group<'_>| match &self.table.aggregation {
            Aggregation::None => by_seen(a, b),
            Aggregation::Fields(_) => a.key().cmp(b.key()),
            Aggregation::FiveTuple | Aggregation::Bidirectional => {
                FlowKey::of_group(a).compare(&FlowKey::of_group(b))
            }
        };
        self.groups.sorted(cut, value, tie)
    }
}

impl FlowTable {
    /// The counters to show of a flow: nfdump 1.7.5 keeps those of the opposite direction and the number of flows in the first
    /// record, if that has some.
    fn shown(&self, flow: &Group<'_>, record: &RecordView<'_>) -> Counters {
        if !self.careless || !record.has(ext::CNT_FLOW) {
            return *flow.counters();
        }
        let own = Counters::of(record);
        Counters {
            out_packets: own.out_packets,
            out_bytes: own.out_bytes,
            flows: own.flows,
            ..*flow.counters()
        }
    }
}

/// Whether the flow's record has room for counters of the opposite direction, or needs it.
fn has_counters(flow: &Group<'_>, record: &RecordView<'_>) -> bool {
    let counters = flow.counters();
    record.has(ext::CNT_FLOW)
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
