//! IPFIX and NetFlow v9 over TCP.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use golden::harness::PATIENCE;
use support::wire::{self, FIELDS, IPFIX_FIELDS};
use support::{Collector, flows, the_file};

fn ports(directory: &std::path::Path) -> Option<Vec<String>> {
    flows(&the_file(directory), "%sp")
}

/// 40 messages with one flow each, ports 1 to 40.
fn ipfix_stream() -> Vec<u8> {
    let template = wire::ipfix(0, &[wire::set(2, &[wire::template(256, &IPFIX_FIELDS)])]);
    let messages = (1..=40).map(|n| {
        wire::ipfix(
            u32::from(n) - 1,
            &[wire::set(256, &[wire::ipfix_flow(n, 1, 100)])],
        )
    });
    std::iter::once(template)
        .chain(messages)
        .flatten()
        .collect()
}

#[test]
fn ipfix_in_pieces_of_any_size() {
    for piece in [1, 7, 16, 1000, 100_000] {
        let directory = tempfile::tempdir().unwrap();
        let collector = Collector::tcp(&["-w", directory.path().to_str().unwrap()]);
        let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
        stream.set_nodelay(true).unwrap();
        for part in ipfix_stream().chunks(piece) {
            stream.write_all(part).unwrap();
        }
        drop(stream);
        let ended = collector.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(
            ended.log.contains(
                "Flows: 40, Packets: 40, Bytes: 4000, Sequence Errors: 0, Bad Packets: 0"
            ),
            "pieces of {piece}: {}",
            ended.log
        );
        if let Some(seen) = ports(directory.path()) {
            assert_eq!(seen, (1..=40).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn netflow_v9_as_tranalyzer_sends_it() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::tcp(&["-w", directory.path().to_str().unwrap()]);
    let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
    stream
        .write_all(&wire::v9(
            0,
            1,
            &[wire::set(0, &[wire::template(256, &FIELDS)])],
        ))
        .unwrap();
    // Its header counts 1 whatever the message holds.
    for n in 1..=5_u16 {
        let records: Vec<_> = (0..20).map(|i| wire::flow(n * 100 + i, 1, 10)).collect();
        stream
            .write_all(&wire::v9(u32::from(n), 1, &[wire::set(256, &records)]))
            .unwrap();
    }
    drop(stream);
    let ended = collector.stop();
    assert!(
        ended.log.contains("Flows: 100, Packets: 100, Bytes: 1000,"),
        "{}",
        ended.log
    );
}

#[test]
fn a_lost_boundary_closes_the_connection_and_keeps_what_was_good() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::tcp(&["-w", directory.path().to_str().unwrap()]);
    let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
    stream.write_all(&ipfix_stream()).unwrap();
    stream.write_all(&[0x47; 64]).unwrap();
    collector.wait_for("connection closed: ");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = [0; 1];
    assert!(
        matches!(stream.read(&mut rest), Ok(0) | Err(_)),
        "the connection is still open"
    );
    // The next connection is not hurt.
    let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
    stream.write_all(&ipfix_stream()).unwrap();
    drop(stream);
    let ended = collector.stop();
    assert_eq!(
        ended.log.matches("connection closed").count(),
        1,
        "{}",
        ended.log
    );
    assert!(ended.log.contains("Flows: 80,"), "{}", ended.log);
}

#[test]
fn an_open_connection_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::tcp(&["-w", directory.path().to_str().unwrap()]);
    let mut stream = TcpStream::connect(collector.addresses[0]).unwrap();
    stream.write_all(&ipfix_stream()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("Flows: 40,"), "{}", ended.log);
}
