//! Pairs of sets with one known difference: its cause is named, and nothing else.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::field::{self, Location};
use crate::record::{RecordBuilder, RecordHeader};

/// A flow in the words of a test.
#[derive(Clone)]
struct Made {
    source: IpAddr,
    destination: IpAddr,
    ports: (u64, u64),
    protocol: u64,
    first: u64,
    last: u64,
    counters: [u64; 4],
    exporter: IpAddr,
    flags: u64,
}

const BEGIN: u64 = 1_700_000_000_123;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Made {
    /// The `n`-th flow of a set: TCP and UDP in turn, one that lasts 10 s, every 500 ms.
    fn new(n: u64) -> Self {
        let first = BEGIN + n * 500;
        Made {
            source: address(&format!("10.0.{}.{}", n / 200, n % 200 + 1)),
            destination: address("192.0.2.80"),
            ports: (1024 + n, 443),
            protocol: [6, 17][n as usize % 2],
            first,
            last: first + 10_000,
            counters: [n % 97 + 3, (n % 97 + 3) * (100 + n % 900), 0, 0],
            exporter: address(["198.51.100.1", "198.51.100.2"][n as usize % 3 / 2]),
            flags: 27,
        }
    }

    fn record(&self, builder: &mut RecordBuilder) -> Vec<u8> {
        builder.begin(&RecordHeader::default());
        let mut set = |location: Location, value| builder.set(location, value);
        set(field::MSEC_FIRST, self.first);
        set(field::MSEC_LAST, self.last);
        set(field::IN_PACKETS, self.counters[0]);
        set(field::IN_BYTES, self.counters[1]);
        if self.counters[2] > 0 {
            set(field::OUT_PACKETS, self.counters[2]);
            set(field::OUT_BYTES, self.counters[3]);
        }
        set(field::SRC_PORT, self.ports.0);
        set(field::DST_PORT, self.ports.1);
        set(field::PROTO, self.protocol);
        set(field::TCP_FLAGS, self.flags);
        builder.set_address(field::SRC_IPV4, field::SRC_IPV6, self.source);
        builder.set_address(field::DST_IPV4, field::DST_IPV6, self.destination);
        builder.set_address(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6, self.exporter);
        builder.finish().to_vec()
    }

    /// Cut after `ms`, the packets spread evenly.
    fn cut(&self, ms: u64, pause: u64) -> [Made; 2] {
        let (mut one, mut two) = (self.clone(), self.clone());
        one.last = self.first + ms;
        two.first = one.last + pause;
        let part = |whole: u64| whole / 2;
        one.counters = self.counters.map(part);
        for (two, (one, all)) in two
            .counters
            .iter_mut()
            .zip(one.counters.iter().zip(self.counters))
        {
            *two = all - one;
        }
        [one, two]
    }
}

fn set() -> Vec<Made> {
    (0..300).map(Made::new).collect()
}

fn compare_with(options: Options, a: &[Made], b: &[Made]) -> Difference {
    let mut comparison = Comparison::new(options);
    let mut builder = RecordBuilder::new();
    let mut bytes = |flows: &[Made]| flows.iter().map(|flow| flow.record(&mut builder)).collect();
    let sides: [(Side, Vec<Vec<u8>>); 2] = [(Side::A, bytes(a)), (Side::B, bytes(b))];
    for (side, records) in &sides {
        for record in records {
            comparison.count(*side, &RecordView::parse(record).unwrap());
        }
    }
    for (side, records) in &sides {
        for record in records {
            comparison.compare(*side, &RecordView::parse(record).unwrap());
        }
    }
    comparison.finish().unwrap()
}

fn compare(a: &[Made], b: &[Made]) -> Difference {
    compare_with(Options::default(), a, b)
}

/// The causes and how many flows of A and B each concerns.
fn causes(difference: &Difference) -> Vec<(String, u64, u64)> {
    let said = |finding: &Finding| {
        let [a, b] = finding.totals;
        (finding.cause.to_string(), a.flows, b.flows)
    };
    difference.findings.iter().map(said).collect()
}

fn only(difference: &Difference, cause: &str, a: u64, b: u64) {
    assert_eq!(causes(difference), [(cause.to_owned(), a, b)]);
}

fn changed(change: impl Fn(u64, &mut Made)) -> Vec<Made> {
    let mut flows = set();
    for (n, flow) in (0..).zip(&mut flows) {
        change(n, flow);
    }
    flows
}

#[test]
fn the_same_flows_in_another_order() {
    let mut b = set();
    b.reverse();
    let difference = compare(&set(), &b);
    assert!(difference.is_empty());
    assert_eq!(difference.same, 300);
}

#[test]
fn flows_that_only_one_side_has() {
    let mut less = set();
    less.retain(|flow| flow.ports.0 % 50 != 0);
    let lost = 300 - less.len() as u64;
    only(&compare(&set(), &less), "only A has them", lost, 0);
    only(&compare(&less, &set()), "only B has them", 0, lost);
    assert_eq!(compare(&set(), &less).same, less.len() as u64);
}

#[test]
fn a_lost_exporter_family_or_protocol() {
    let mut b = set();
    b.retain(|flow| flow.exporter == address("198.51.100.1"));
    only(
        &compare(&set(), &b),
        "B has no flow of exporter 198.51.100.2",
        100,
        0,
    );
    let mut b = set();
    b.retain(|flow| flow.protocol == 6);
    only(
        &compare(&set(), &b),
        "B has no flow of protocol UDP",
        150,
        0,
    );
    let six = |n, flow: &mut Made| {
        if n % 4 == 0 {
            (flow.source, flow.destination) = (address("2001:db8::1"), address("2001:db8::2"));
        }
    };
    let a = changed(six);
    let mut b = a.clone();
    b.retain(|flow| flow.source.is_ipv4());
    only(&compare(&a, &b), "B has no IPv6 flow", 75, 0);
}

#[test]
fn a_time_without_flows() {
    let mut b = set();
    b.retain(|flow| !(BEGIN + 30_000..BEGIN + 60_000).contains(&flow.last));
    let cause = "B has no flow that ended from 2023-11-14T22:13:50Z to 2023-11-14T22:14:19Z";
    only(&compare(&set(), &b), cause, 60, 0);
}

#[test]
fn flows_that_come_twice() {
    let mut b = set();
    b.extend(set());
    only(&compare(&set(), &b), "B has them more often than A", 0, 300);
}

#[test]
fn a_clock_that_is_off() {
    let b = changed(|_, flow| {
        flow.first += 3_600_000;
        flow.last += 3_600_000;
    });
    only(
        &compare(&set(), &b),
        "B's clock is +3600.000 s later",
        300,
        300,
    );
    only(
        &compare(&b, &set()),
        "B's clock is -3600.000 s earlier",
        300,
        300,
    );
}

#[test]
fn whole_seconds_and_other_times() {
    let b = changed(|_, flow| {
        flow.first -= flow.first % 1000;
        flow.last -= flow.last % 1000;
    });
    only(
        &compare(&set(), &b),
        "B's times are whole seconds",
        300,
        300,
    );
    let b = changed(|n, flow| flow.last += n * 37 % 1000 + 1);
    only(&compare(&set(), &b), "other times", 300, 300);
}

#[test]
fn times_and_counters_within_the_tolerance_are_the_same() {
    let b = changed(|n, flow| {
        flow.first += n % 3;
        flow.counters[1] += flow.counters[1] / 200;
    });
    let options = Options {
        time_tolerance_ms: 2,
        counter_tolerance: 0.01,
        ..Options::default()
    };
    let difference = compare_with(options, &set(), &b);
    assert!(difference.is_empty(), "{:?}", causes(&difference));
    assert_eq!(difference.same, 300);
    assert!(!compare(&set(), &b).is_empty());
}

#[test]
fn an_active_timeout() {
    let b: Vec<Made> = set().iter().flat_map(|flow| flow.cut(6_000, 40)).collect();
    let cause = "B cuts flows that last: its longest piece is 6.000 s, an active time-out";
    only(&compare(&set(), &b), cause, 300, 600);
}

#[test]
fn an_idle_timeout() {
    let b: Vec<Made> = set()
        .iter()
        .flat_map(|flow| flow.cut(1_000, 8_000))
        .collect();
    let cause = "B cuts flows at pauses from 8.000 s on, an idle time-out";
    only(&compare(&set(), &b), cause, 300, 600);
}

#[test]
fn bytes_of_other_layers() {
    let header = |flow: &Made| if flow.protocol == 6 { 32 } else { 8 };
    let b = changed(|_, flow| flow.counters[1] += flow.counters[0] * (20 + header(flow)));
    only(
        &compare(&set(), &b),
        "B counts the bytes of IP, A of layer 7",
        300,
        300,
    );
    let b = changed(|_, flow| flow.counters[1] += flow.counters[0] * 14);
    only(
        &compare(&b, &set()),
        "A counts the bytes of layer 2, B of IP",
        300,
        300,
    );
}

#[test]
fn a_sample_of_the_packets() {
    let mut packet = 0;
    let mut b = changed(|n, flow| flow.counters[0] = (n % 97 + 3) * 10);
    let a = b.clone();
    for flow in &mut b {
        let seen = (packet..packet + flow.counters[0]).filter(|packet| packet % 50 == 0);
        packet += flow.counters[0];
        let seen = seen.count() as u64;
        flow.counters = [seen, flow.counters[1] / flow.counters[0] * seen, 0, 0];
    }
    b.retain(|flow| flow.counters[0] > 0);
    let difference = compare(&a, &b);
    only(
        &difference,
        "B has a sample of A's packets, about 1 of 50.0",
        300,
        b.len() as u64,
    );
    for flow in &mut b {
        flow.counters = flow.counters.map(|counter| counter * 50);
    }
    let cause = "B has a sample of A's packets, about 1 of 50.0, multiplied again";
    only(&compare(&a, &b), cause, 300, b.len() as u64);
}

#[test]
fn factors_and_wrapped_counters() {
    let b = changed(|_, flow| flow.counters = flow.counters.map(|counter| counter * 100));
    only(
        &compare(&set(), &b),
        "B's counters are 100 times A's",
        300,
        300,
    );
    let a = changed(|n, flow| flow.counters[1] += (n % 2 * 3) << 32);
    only(
        &compare(&a, &set()),
        "B's counters wrap at 32 bits",
        150,
        150,
    );
}

#[test]
fn both_directions_in_one_record() {
    let mut a = Vec::new();
    let b = changed(|n, flow| (flow.counters[2], flow.counters[3]) = (n + 1, (n + 1) * 70));
    for flow in &b {
        let [packets, bytes, out_packets, out_bytes] = flow.counters;
        let (mut forward, mut back) = (flow.clone(), flow.clone());
        forward.counters = [packets, bytes, 0, 0];
        back.counters = [out_packets, out_bytes, 0, 0];
        (back.source, back.destination) = (flow.destination, flow.source);
        back.ports = (flow.ports.1, flow.ports.0);
        a.extend([forward, back]);
    }
    only(
        &compare(&a, &b),
        "B has both directions in one record, A in two",
        600,
        300,
    );
}

#[test]
fn exchanged_addresses() {
    let b = changed(|_, flow| {
        std::mem::swap(&mut flow.source, &mut flow.destination);
        flow.ports = (flow.ports.1, flow.ports.0);
    });
    only(
        &compare(&set(), &b),
        "source and destination are exchanged",
        300,
        300,
    );
}

#[test]
fn another_field_and_one_that_does_not_count() {
    let b = changed(|n, flow| flow.flags = 27 + n % 2 * 4);
    only(&compare(&set(), &b), "other tcpflags", 150, 150);
    let mut options = Options::default();
    options.ignored.add("tcpflags").unwrap();
    assert!(compare_with(options, &set(), &b).is_empty());
    assert!(
        options
            .ignored
            .add("colour")
            .unwrap_err()
            .contains("tcpflags")
    );
}

#[test]
fn what_has_no_common_cause_is_not_given_one() {
    let b = changed(|n, flow| flow.counters[0] += n * 13 % 7 + 1);
    only(&compare(&set(), &b), "other counters", 300, 300);
    // One flow of three packets fewer is no sample.
    let mut b = set();
    b[7].counters[0] -= 3;
    only(&compare(&set(), &b), "other counters", 1, 1);
}

#[test]
fn two_causes_at_once_are_both_named() {
    let mut b = changed(|_, flow| {
        flow.first += 5_000;
        flow.last += 5_000;
    });
    b.retain(|flow| flow.exporter == address("198.51.100.1"));
    let found = causes(&compare(&set(), &b));
    let expected = [
        ("B has no flow of exporter 198.51.100.2".to_owned(), 100, 0),
        ("B's clock is +5.000 s later".to_owned(), 200, 200),
    ];
    assert_eq!(found, expected);
}

#[test]
fn files_that_change_meanwhile_are_no_comparison() {
    let mut comparison = Comparison::new(Options::default());
    let record = Made::new(1).record(&mut RecordBuilder::new());
    comparison.count(Side::A, &RecordView::parse(&record).unwrap());
    assert_eq!(comparison.finish(), Err(Changed { first: 1, again: 0 }));
}

#[test]
fn reports_are_valid_whatever_the_names() {
    let names = report::Names {
        a: "a<&\">\u{1b}[31m",
        b: "b",
    };
    let mut less = set();
    less.truncate(200);
    let difference = compare(&set(), &less);
    let json: serde_json::Value = serde_json::from_str(&report::json(names, &difference)).unwrap();
    assert_eq!(json["findings"][0]["a"]["flows"], 100);
    let junit = report::junit(names, &difference);
    assert!(
        junit.contains("a&lt;&amp;&quot;&gt;\u{fffd}[31m"),
        "{junit}"
    );
    assert!(junit.contains("failures=\"1\""), "{junit}");
    assert!(!report::text(names, &difference).contains('\u{1b}'));
    assert!(report::junit(names, &compare(&less, &less)).contains("failures=\"0\""));
}
