//! Records a second out of NetFlow v9 messages of a 16-field template, every field read, beside `netflow_parser`.
//!
//! `cargo bench -p protocol --bench decode`
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netflow_parser::NetflowParser;
use protocol::limits::Limits;
use protocol::session::{DataRecord, Events, Session};
use protocol::value::unsigned;

/// Elements and lengths of a router's template: 16 fields, 48 octets.
const FIELDS: [(u16, u16); 16] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
    (5, 1),
    (61, 1),
    (16, 4),
];
const RECORDS: usize = 29;

fn header(sequence: u32) -> Vec<u8> {
    let mut message = vec![0, 9, 0, RECORDS as u8];
    for word in [100_000, 1_767_323_045, sequence, 7] {
        message.extend(word.to_be_bytes());
    }
    message
}

fn template() -> Vec<u8> {
    let mut message = header(0);
    message.extend([0, 0, 0, 72, 1, 0, 0, 16]);
    for (id, length) in FIELDS {
        message.extend(id.to_be_bytes());
        message.extend(length.to_be_bytes());
    }
    message
}

fn data() -> Vec<u8> {
    let length: u16 = FIELDS.iter().map(|field| field.1).sum();
    let octets = usize::from(length) * RECORDS;
    let mut message = header(1);
    message.extend([1, 0]);
    message.extend(((octets + 4) as u16).to_be_bytes());
    message.extend((0..octets).map(|octet| octet as u8 | 1));
    message
}

/// Reads every field.
#[derive(Default)]
struct Sum(u64);

impl Events for Sum {
    fn record(&mut self, record: &DataRecord<'_>) {
        for (field, value) in record.template.values(record.bytes) {
            let number = unsigned(value).unwrap_or(0);
            self.0 = self.0.wrapping_add(number ^ u64::from(field.id));
        }
    }
}

/// The same, by a list of offsets made once: what a collector that compiles templates does.
struct Plan {
    places: Vec<(usize, usize)>,
    sum: u64,
}

impl Events for Plan {
    fn record(&mut self, record: &DataRecord<'_>) {
        for (start, end) in &self.places {
            let value = record.bytes.get(*start..*end).unwrap_or_default();
            self.sum = self.sum.wrapping_add(unsigned(value).unwrap_or(0));
        }
    }
}

fn decode(criterion: &mut Criterion) {
    let (template, data) = (template(), data());
    let from: SocketAddr = ([192, 0, 2, 1], 2055).into();
    let mut group = criterion.benchmark_group("v9, 16 fields, 29 records");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("session, all values", |bencher| {
        let (mut session, mut sum) = (Session::new(Limits::default()), Sum::default());
        session.datagram(0, from, &template, &mut sum);
        bencher.iter(|| session.datagram(0, from, black_box(&data), &mut sum));
        assert!(session.counters().records > 0 && sum.0 > 0);
    });
    group.bench_function("session, plan", |bencher| {
        let mut end = 0;
        let places = FIELDS.map(|(_, length)| {
            end += usize::from(length);
            (end - usize::from(length), end)
        });
        let (mut session, mut plan) = (
            Session::new(Limits::default()),
            Plan {
                places: places.to_vec(),
                sum: 0,
            },
        );
        session.datagram(0, from, &template, &mut plan);
        bencher.iter(|| session.datagram(0, from, black_box(&data), &mut plan));
        assert!(plan.sum > 0);
    });
    group.bench_function("netflow_parser", |bencher| {
        let mut parser = NetflowParser::default();
        assert!(parser.parse_bytes(&template).error.is_none());
        bencher.iter(|| parser.parse_bytes(black_box(&data)).packets.len());
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
