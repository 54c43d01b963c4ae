//! Collectors that take, refuse, hang and come back, on loopback.

#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::net::{TcpListener, UdpSocket};

use super::*;
use crate::cli::Cli;
use crate::config::Config;

fn config(args: &[&str]) -> NetflowConfig {
    let start = ["t2x", "-r", "x", "--nf-version", "10"];
    let cli = Cli::try_parse_from(start.iter().chain(args)).unwrap();
    Config::new(&cli, &|_| None).unwrap().netflow.remove(0)
}

fn to_port(port: u16, args: &[&str]) -> NetflowConfig {
    let mut config = config(args);
    if let Destination::Collector(collector) = &mut config.destination {
        collector.port = port;
    }
    config
}

fn connect(config: &NetflowConfig) -> Result<Sender, SendError> {
    Sender::connect(config, &Arc::default())
}

fn send(sender: &mut Sender, octets: &[u8], records: u64) {
    let mut octets = octets.to_vec();
    let message = Message {
        version: ExportVersion::Ipfix,
        octets: &mut octets,
        flows: records as u32,
        options: 0,
    };
    let load = Load {
        records,
        ..Load::default()
    };
    sender.send(message, load);
}

/// A message of so many octets that says so in its header.
fn message(length: u16) -> Vec<u8> {
    let mut message = vec![0; length.into()];
    message[1] = 10;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// Sequence numbers of the whole messages in a stream.
fn numbers(mut stream: &[u8]) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(head) = stream.first_chunk::<16>() {
        let length = u16::from_be_bytes([head[2], head[3]]).into();
        if stream.len() < length {
            break;
        }
        numbers.push(Stamp::of(ExportVersion::Ipfix, head).sequence);
        stream = &stream[length..];
    }
    numbers
}

fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn datagrams_arrive_over_ipv4_and_ipv6() {
    for (bind, host) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "::1"),
        ("[::1]:0", "[::1]"),
    ] {
        let collector = UdpSocket::bind(bind).unwrap();
        let port = collector.local_addr().unwrap().port();
        let mut sender = connect(&to_port(port, &["--nf-addr", host])).unwrap();
        assert_eq!(sender.max_message(), 1400);
        for length in 7..10 {
            send(&mut sender, &vec![0; length], 3);
        }
        sender.flush();
        let mut buffer = [0; 100];
        for length in 7..10 {
            assert_eq!(collector.recv(&mut buffer).unwrap(), length);
        }
        let counters = sender.finish();
        assert_eq!(
            (counters.messages, counters.records, counters.octets),
            (3, 9, 24)
        );
        assert_eq!((counters.refused, counters.lost), (0, vec![]));
    }
}

#[test]
fn datagrams_without_a_listener_are_counted() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut sender = connect(&to_port(port, &[])).unwrap();
    for _ in 0..5 {
        send(&mut sender, b"message", 3);
        sender.flush();
    }
    let counters = sender.finish();
    assert_eq!(
        (counters.messages, counters.refused, counters.lost),
        (5, 5, vec![])
    );
}

#[test]
fn a_datagram_that_is_too_long_is_lost_and_those_around_it_are_not() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = collector.local_addr().unwrap().port();
    // The path of loopback: 65536 octets less the headers of IP and UDP, and what UDP itself allows.
    let mut sender = connect(&to_port(port, &["--mtu", "65535"])).unwrap();
    assert!((60_000..=65_507).contains(&sender.max_message()));
    send(&mut sender, b"before", 1);
    send(&mut sender, &[0; 65_520], 9);
    send(&mut sender, b"behind", 1);
    assert!(sender.flush());
    let counters = sender.finish();
    assert_eq!((counters.messages, counters.records), (2, 2));
    assert_eq!(
        (counters.lost[0].messages, counters.lost[0].records),
        (1, 9)
    );
    assert!(counters.lost[0].cause.contains("Message too long"));
}

#[test]
fn names_that_cannot_be_resolved_are_told() {
    let error = connect(&config(&["--nf-addr", "no.such.name.invalid"]))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "cannot resolve the collector's name no.such.name.invalid"
    );
}

#[test]
fn tcp_without_a_listener_is_an_error() {
    let port = unused_port();
    let error = connect(&to_port(port, &["--nf-socktype", "tcp"]))
        .err()
        .unwrap();
    let expect = format!("cannot reach the collector 127.0.0.1:{port} over TCP (is it started?)");
    assert_eq!(error.to_string(), expect);
}

#[test]
fn a_tcp_collector_gets_all_or_the_loss_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let to_collector = to_port(port, &["--nf-socktype", "tcp", "--reconnect", "0.01"]);
    let mut sender = connect(&to_collector).unwrap();
    send(&mut sender, &message(20), 2);
    send(&mut sender, &message(30), 1);
    let collector = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        // The next one goes away without reading, and nobody comes back.
        drop(listener.accept().unwrap());
        all
    });
    let counters = sender.finish();
    assert_eq!(
        (counters.messages, counters.octets, counters.lost),
        (2, 50, vec![])
    );
    let mut sender = connect(&to_collector).unwrap();
    assert_eq!(numbers(&collector.join().unwrap()), [0, 2]);
    for _ in 0..10 {
        send(&mut sender, &message(1000), 10);
        std::thread::sleep(Duration::from_millis(1));
    }
    let counters = sender.finish();
    assert!(counters.not_sent.records > 0);
    assert_eq!(counters.records + counters.not_sent.records, 100);
}

/// The collector is gone for a while: what it has not acknowledged is lost and counted, the rest waits, and the new
/// session begins with templates and at zero.
#[test]
fn a_collector_that_comes_back_gets_templates_and_what_was_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let to_collector = to_port(
        address.port(),
        &["--nf-socktype", "tcp", "--reconnect", "0.05"],
    );
    let mut sender = connect(&to_collector).unwrap();
    sender.begin(vec![message(24)]);
    send(&mut sender, &message(100), 5);
    let mut first = listener.accept().unwrap().0;
    let mut octets = vec![0; 100];
    first.read_exact(&mut octets).unwrap();
    drop((first, listener));
    // Closed and seen to be: nothing of this is lost.
    while !matches!(sender.way, Way::Away(..)) {
        send(&mut sender, &message(50), 1);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(sender.counters().not_sent.records, 0);
    let kept = sender.kept.len() as u64;
    // Nobody is there yet.
    std::thread::sleep(Duration::from_millis(60));
    sender.tick();
    assert!(sender.counters().failed_reconnects > 0);
    let listener = TcpListener::bind(address).unwrap();
    let collector = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        all
    });
    let sent = sender.counters().records;
    let counters = sender.finish();
    let all = collector.join().unwrap();
    assert_eq!(all.len() as u64, 24 + 50 * kept);
    let expect: Vec<u32> = (0..kept as u32).collect();
    assert_eq!(numbers(&all), [&[0][..], &expect].concat());
    assert_eq!(counters.reconnects, 1);
    assert_eq!((counters.records, counters.lost), (sent + kept, vec![]));
}

/// Whoever wants the end does not wait for an hour: the collector is looked for at once, and gets what was kept.
#[test]
fn a_stop_shortens_the_last_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = to_port(port, &["--nf-socktype", "tcp", "--reconnect", "3600"]);
    let stop = Arc::default();
    let mut sender = Sender::away(&config, &stop).unwrap();
    send(&mut sender, &message(100), 3);
    assert_eq!(sender.counters().records, 0);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let collector = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        all
    });
    let counters = sender.finish();
    assert_eq!((counters.records, counters.reconnects), (3, 1));
    assert_eq!(collector.join().unwrap().len(), 100);
}

#[test]
fn what_cannot_be_kept_is_counted() {
    let port = unused_port();
    let args = ["--nf-socktype", "tcp", "--reconnect", "0.01"];
    let queue = ["--reconnect-queue", "1000"];
    let config = to_port(port, &[&args[..], &queue].concat());
    let mut sender = Sender::away(&config, &Arc::default()).unwrap();
    for _ in 0..12 {
        send(&mut sender, &message(100), 3);
    }
    let counters = sender.finish();
    assert_eq!((counters.records, counters.not_sent.records), (0, 36));
    let told: Vec<_> = counters.lost.iter().map(|lost| lost.records).collect();
    assert_eq!(told.iter().sum::<u64>(), 36);
    assert!(
        counters
            .lost
            .iter()
            .any(|lost| lost.cause.ends_with("no more messages could be kept"))
    );
}

/// Nothing is read: after a while the connection is given up, and what nobody acknowledged is counted.
#[test]
fn a_collector_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut to_collector = to_port(port, &["--nf-socktype", "tcp"]);
    to_collector.reconnect.patience = Duration::from_millis(300);
    to_collector.reconnect.interval = Duration::from_millis(100);
    to_collector.reconnect.queue = 2000;
    let mut sender = connect(&to_collector).unwrap();
    let hangs = listener.accept().unwrap();
    let mut records = 0;
    while !matches!(sender.way, Way::Away(..)) {
        send(&mut sender, &message(1000), 10);
        records += 10;
    }
    drop(listener);
    let counters = sender.finish();
    assert_eq!(counters.records + counters.not_sent.records, records);
    let cause = &counters.lost[0].cause;
    assert_eq!(
        cause,
        "not acknowledged when the connection broke (the collector read nothing for 0.3 s)"
    );
    // What was acknowledged is in the collector's buffer, whole messages at least.
    let mut hangs = hangs.0;
    hangs.set_nonblocking(true).unwrap();
    let (mut all, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(length @ 1..) = hangs.read(&mut buffer) {
        all += length as u64;
    }
    assert_eq!(all / 1000 * 10, counters.records);
}
