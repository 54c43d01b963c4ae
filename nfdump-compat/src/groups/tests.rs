#![allow(clippy::unwrap_used)]

use super::{key::KeyBuffer, *};
use crate::record::{RecordBuilder, RecordHeader};
use std::collections::HashMap;

const ALL: Cut = Cut {
    top: 0,
    ascending: false,
};

/// A flow of a test: key, direction, octets, flags.
type Sample = (Vec<u8>, bool, u64, u8);

fn counters(octets: u64) -> Counters {
    Counters {
        in_packets: 1,
        in_bytes: octets,
        out_bytes: octets / 2,
        flows: 1,
        first_ms: octets,
        last_ms: octets,
        ..Counters::NONE
    }
}

fn record(number: u64) -> Vec<u8> {
    let mut builder = RecordBuilder::new();
    builder.begin(&RecordHeader::default());
    builder.set(crate::field::IN_BYTES, number);
    builder.finish().to_vec()
}

/// Adds flows as one of several threads that take turns would: `threads` parts, one after the other.
fn filled(samples: &[Sample], threads: usize) -> Groups {
    let groups = Groups::new(false);
    // The last part first: what was seen earlier comes later.
    for part in (0..threads).rev() {
        let mut gathered = Gathered::default();
        for (seen, (key, turned, octets, flags)) in samples.iter().enumerate() {
            if seen % threads != part {
                continue;
            }
            let mut buffer = KeyBuffer::default();
            buffer.push_slice(key);
            let flow = Flow {
                key: buffer.key(),
                turned: *turned,
                counters: &counters(*octets),
                tcp_flags: *flags,
                seen: seen as u64,
                record: Some(&record(seen as u64)),
            };
            groups.add(&mut gathered.boxes, &flow);
        }
        groups.deliver(&mut gathered);
    }
    groups
}

/// What the groups of these flows are, by a plain map, one flow after the other.
fn expected(samples: &[Sample]) -> HashMap<Vec<u8>, (bool, Counters, u8, u8, u64)> {
    let mut groups = HashMap::new();
    for (seen, (key, turned, octets, flags)) in samples.iter().enumerate() {
        let counters = counters(*octets);
        let group = groups.entry(key.clone());
        let group = group.or_insert((*turned, Counters::NONE, 0, 0, seen as u64));
        let (own, other) = (&mut group.2, &mut group.3);
        let (sum, place) = match *turned == group.0 {
            true => (counters, own),
            false => (counters.reversed(), other),
        };
        *place |= flags;
        if group.1 == Counters::NONE {
            group.1 = sum;
        } else {
            group.1.add(&sum);
        }
    }
    groups
}

fn samples() -> Vec<Sample> {
    (0..5000u64)
        .map(|n| {
            let which = n * n % 613;
            // Short keys, some at the limit, and long ones.
            let mut key = which.to_be_bytes().to_vec();
            key.resize([8, 16, 17, 40][which as usize % 4], 7);
            (key, n % 3 == 0, n % 91, 1 << (n % 8))
        })
        .collect()
}

#[test]
fn sums_do_not_depend_on_who_was_faster() {
    let samples = samples();
    let expected = expected(&samples);
    for threads in [1, 2, 7] {
        let groups = filled(&samples, threads);
        let filled = groups.read();
        assert_eq!(filled.len(), expected.len());
        let mut last = None;
        for place in filled.sorted(ALL, |_| Some(0), |a, b| a.key().cmp(b.key())) {
            let group = filled.group(place).unwrap();
            assert!(last.is_none_or(|last| last < group.key()));
            last = Some(group.key());
            let (turned, counters, own, other, seen) = expected[group.key()];
            assert_eq!(group.turned(), turned);
            assert_eq!(*group.counters(), counters);
            assert_eq!((group.tcp_flags(), group.reverse_flags()), (own, other));
            assert_eq!(group.seen(), seen);
            assert_eq!(group.record().unwrap(), record(seen));
        }
    }
}

#[test]
fn the_top_is_the_beginning_of_all() {
    let groups = filled(&samples(), 2);
    let filled = groups.read();
    let value =
        |group: &Group<'_>| Some(group.counters().in_bytes % 50).filter(|value| *value != 7);
    let tie = |a: &Group<'_>, b: &Group<'_>| a.key().cmp(b.key());
    for ascending in [false, true] {
        let keys = |top| -> Vec<Vec<u8>> {
            let places = filled.sorted(Cut { top, ascending }, value, tie);
            let keys = places
                .into_iter()
                .map(|place| filled.group(place).unwrap().key().to_vec());
            keys.collect()
        };
        let all = keys(0);
        assert!((200..307).contains(&all.len()));
        for top in [1, 10, 33, 200, all.len() + 5] {
            assert_eq!(keys(top), all[..top.min(all.len())]);
        }
    }
}

#[test]
fn single_flows_stay_single() {
    let groups = Groups::new(true);
    let mut gathered = Gathered::default();
    for seen in 0..200 {
        let flow = Flow {
            key: gathered.key.key(),
            turned: false,
            counters: &counters(1),
            tcp_flags: 0,
            seen,
            record: None,
        };
        groups.add(&mut gathered.boxes, &flow);
    }
    groups.deliver(&mut gathered);
    let filled = groups.read();
    let places = filled.sorted(ALL, |_| Some(1), |a, b| a.seen().cmp(&b.seen()));
    let seen = places
        .iter()
        .map(|place| filled.group(*place).unwrap().seen());
    assert!(seen.eq(0..200));
}
