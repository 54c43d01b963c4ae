//! NetFlow v5, v9 and IPFIX over UDP, from the socket to the file, read back by the real nfdump.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::signal::Signal;

use support::wire::{self, FIELDS, IPFIX_FIELDS};
use support::{Collector, flows, nfdump, the_file};

/// Source, ports, protocol, packets, bytes, first, last.
const FORMAT: &str = "%sa %sp %da %dp %pr %pkt %byt %ts %te";

fn line(port: u16, packets: u32, bytes: u32) -> String {
    format!(
        "10.0.0.1 {port} 10.0.0.2 80 TCP {packets} {bytes} 2026-01-02 03:04:03.500 2026-01-02 03:04:04.000"
    )
}

#[test]
fn all_three_versions_on_one_port() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-I", "edge1", "-w", directory.path().to_str().unwrap()]);
    collector.send(&[
        wire::v5(0, &[(5000, 3, 300), (5001, 4, 400)]),
        wire::v9(
            1,
            3,
            &[
                wire::set(0, &[wire::template(256, &FIELDS)]),
                wire::set(256, &[wire::flow(9000, 5, 500), wire::flow(9001, 6, 600)]),
            ],
        ),
        wire::ipfix(
            0,
            &[
                wire::set(2, &[wire::template(256, &IPFIX_FIELDS)]),
                wire::set(256, &[wire::ipfix_flow(10000, 7, 700)]),
            ],
        ),
    ]);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let want =
        "Ident: 'edge1' Flows: 5, Packets: 25, Bytes: 2500, Sequence Errors: 0, Bad Packets: 0";
    assert!(ended.log.contains(want), "{}", ended.log);

    let file = the_file(directory.path());
    let Some(seen) = flows(&file, FORMAT) else {
        return;
    };
    assert_eq!(
        seen,
        [
            line(5000, 3, 300),
            line(5001, 4, 400),
            line(9000, 5, 500),
            line(9001, 6, 600),
            line(10000, 7, 700)
        ]
    );
    // v5's interfaces, autonomous systems, masks, next hop and ToS.
    let v5 = flows(
        &file,
        "%sp %in %out %sas %das %smk %dmk %nh %tos %flg %ra %eng",
    )
    .unwrap();
    assert_eq!(
        v5[0],
        "5000 1 2 64500 64501 24 25 192.0.2.9 16 ...AP.SF 127.0.0.1 3/4"
    );
    assert!(nfdump(&file, &["-I"]).unwrap().contains("Ident: edge1"));
    let exporters = nfdump(&file, &["-E", file.to_str().unwrap()]).unwrap();
    for exporter in ["version: 5", "version: 9", "version: 10"] {
        assert!(
            exporters.to_lowercase().contains(exporter) || exporters.contains("127.0.0.1"),
            "{exporters}"
        );
    }
    assert!(nfdump(&file, &["-v", file.to_str().unwrap()]).is_some());
}

#[test]
fn data_that_comes_before_its_template() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    collector.send(&[
        wire::v9(1, 1, &[wire::set(300, &[wire::flow(1, 1, 100)])]),
        wire::v9(2, 1, &[wire::set(300, &[wire::flow(2, 2, 200)])]),
        wire::v9(
            3,
            2,
            &[
                wire::set(0, &[wire::template(300, &FIELDS)]),
                wire::set(300, &[wire::flow(3, 3, 300)]),
            ],
        ),
    ]);
    let ended = collector.stop();
    assert!(
        ended.log.contains("Flows: 3, Packets: 6, Bytes: 600,"),
        "{}",
        ended.log
    );
    let Some(mut seen) = flows(&the_file(directory.path()), FORMAT) else {
        return;
    };
    seen.sort();
    assert_eq!(seen, [line(1, 1, 100), line(2, 2, 200), line(3, 3, 300)]);
}

#[test]
fn data_whose_template_never_comes_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    collector.send(&[wire::v9(1, 1, &[wire::set(300, &[wire::flow(1, 1, 100)])])]);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.log.contains("Flows: 0,"), "{}", ended.log);
    assert!(
        ended.log.contains("template"),
        "the loss is not mentioned: {}",
        ended.log
    );
}

#[test]
fn a_template_that_changes_in_mid_stream() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    // The same id, now with bytes before packets and no ports.
    let changed = [(12, 4), (8, 4), (1, 8), (2, 8), (4, 1), (152, 8), (153, 8)];
    let mut record = vec![10, 0, 0, 2, 10, 0, 0, 1];
    record.extend(900_u64.to_be_bytes());
    record.extend(9_u64.to_be_bytes());
    record.push(17);
    record.extend((u64::from(wire::EXPORT_S) * 1000 - 1500).to_be_bytes());
    record.extend((u64::from(wire::EXPORT_S) * 1000 - 1000).to_be_bytes());
    collector.send(&[
        wire::v9(
            1,
            2,
            &[
                wire::set(0, &[wire::template(256, &FIELDS)]),
                wire::set(256, &[wire::flow(1, 1, 100)]),
            ],
        ),
        wire::v9(
            2,
            2,
            &[
                wire::set(0, &[wire::template(256, &changed)]),
                wire::set(256, &[record]),
            ],
        ),
    ]);
    let ended = collector.stop();
    assert!(
        ended.log.contains("Flows: 2, Packets: 10, Bytes: 1000,"),
        "{}",
        ended.log
    );
    let Some(seen) = flows(&the_file(directory.path()), FORMAT) else {
        return;
    };
    let second = "10.0.0.1 0 10.0.0.2 0 UDP 9 900 2026-01-02 03:04:03.500 2026-01-02 03:04:04.000";
    assert_eq!(seen, [line(1, 1, 100), second.to_owned()]);
}

#[test]
fn random_datagrams_change_nothing_but_a_counter() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let good = wire::v9(
        1,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(1, 1, 100)]),
        ],
    );
    let mut noise = vec![
        Vec::new(),
        vec![0],
        vec![0, 9],
        vec![0xff; 1400],
        vec![0, 5, 0xff, 0xff, 0, 0],
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in (3..1500).step_by(97) {
        let mut datagram = vec![0xee, 0xee];
        datagram.extend((0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        }));
        noise.push(datagram);
    }
    collector.send_from(&socket, std::slice::from_ref(&good));
    collector.send_from(&socket, &noise);
    collector.send_from(
        &socket,
        &[wire::v9(2, 1, &[wire::set(256, &[wire::flow(2, 2, 200)])])],
    );
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let want = format!(
        "Flows: 2, Packets: 3, Bytes: 300, Sequence Errors: 0, Bad Packets: {}",
        noise.len()
    );
    assert!(ended.log.contains(&want), "{want}: {}", ended.log);
    // The log is not flooded.
    assert!(ended.log.lines().count() < 25, "{}", ended.log);
    let Some(seen) = flows(&the_file(directory.path()), FORMAT) else {
        return;
    };
    assert_eq!(seen, [line(1, 1, 100), line(2, 2, 200)]);
}

#[test]
fn sequence_gaps_are_counted_per_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    collector.send(&[
        wire::v9(
            1,
            2,
            &[
                wire::set(0, &[wire::template(256, &FIELDS)]),
                wire::set(256, &[wire::flow(1, 1, 100)]),
            ],
        ),
        wire::v9(5, 1, &[wire::set(256, &[wire::flow(2, 2, 200)])]),
        wire::v5(0, &[(3, 1, 1)]),
        wire::v5(11, &[(3, 1, 1)]),
    ]);
    let ended = collector.stop();
    assert!(ended.log.contains("Sequence Errors: 2,"), "{}", ended.log);
    assert!(
        ended
            .log
            .contains("exporter 127.0.0.1 version 9 domain 7: 1 gaps, 3 messages missing"),
        "{}",
        ended.log
    );
    assert!(
        ended
            .log
            .contains("exporter 127.0.0.1 version 5 domain 772: 1 gaps, 10 flows missing"),
        "{}",
        ended.log
    );
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-B", "65536", "-w", directory.path().to_str().unwrap()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // It sleeps while its receive buffer overflows.
    collector.signal(Signal::SIGSTOP);
    let flood: Vec<_> = (0..500).map(|n| wire::v5(n, &[(1, 1, 100)])).collect();
    collector.send_from(&socket, &flood);
    collector.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(500));
    // The count comes with the next datagram.
    collector.send_from(&socket, &[wire::v5(500, &[(1, 1, 100)])]);
    let ended = collector.stop();
    let number = |before: &str, after: &str| -> u64 {
        let (_, rest) = ended.log.split_once(before).unwrap();
        rest.split_once(after).unwrap().0.parse().unwrap()
    };
    let stored = number("Flows: ", ",");
    let dropped = number("Lost: ", " datagrams dropped by the kernel");
    assert!(dropped > 0);
    assert_eq!(stored + dropped, 501, "{}", ended.log);
    // v5 counts flows, so the exporter's sequence says the same.
    assert!(
        ended.log.contains(&format!("{dropped} flows missing")),
        "{}",
        ended.log
    );
}

#[test]
fn icmp_and_ipv6_over_ipfix() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::udp(&["-w", directory.path().to_str().unwrap()]);
    let fields = [
        (27, 16),
        (28, 16),
        (7, 2),
        (11, 2),
        (4, 1),
        (139, 2),
        (1, 2),
        (2, 1),
        (150, 4),
        (151, 4),
    ];
    let mut record = Vec::new();
    record.extend(0x2001_0db8_0000_0000_0000_0000_0000_0001_u128.to_be_bytes());
    record.extend(0x2001_0db8_0000_0000_0000_0000_0000_0002_u128.to_be_bytes());
    record.extend([0, 0, 0, 0, 58, 128, 0]);
    record.extend(600_u16.to_be_bytes());
    record.push(6);
    record.extend((wire::EXPORT_S - 2).to_be_bytes());
    record.extend((wire::EXPORT_S - 1).to_be_bytes());
    collector.send(&[wire::ipfix(
        0,
        &[
            wire::set(2, &[wire::template(400, &fields)]),
            wire::set(400, &[record]),
        ],
    )]);
    collector.stop();
    let Some(seen) = flows(&the_file(directory.path()), FORMAT) else {
        return;
    };
    assert_eq!(
        seen,
        [
            "2001:db8::1 0 2001:db8::2 128.0 ICMP6 6 600 2026-01-02 03:04:03.000 2026-01-02 03:04:04.000"
        ]
    );
}

#[test]
fn the_running_slot_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    // LZ4, as blocks are compressed one by one.
    let collector = Collector::udp(&["-y", "-t", "3600", "-w", directory.path().to_str().unwrap()]);
    collector.send(&[wire::v9(
        1,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(1, 1, 100)]),
        ],
    )]);
    let working = directory
        .path()
        .join(format!("nfcapd.current.{}", collector.pid()));
    if nfdump(&working, &["-q"]).is_none() {
        return;
    }
    let end = std::time::Instant::now() + Duration::from_secs(15);
    while flows(&working, FORMAT).unwrap() != [line(1, 1, 100)] {
        assert!(
            std::time::Instant::now() < end,
            "nothing to be seen in {}",
            working.display()
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    collector.send(&[wire::v9(
        1,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(2, 2, 200)]),
        ],
    )]);
    collector.stop();
    assert_eq!(flows(&the_file(directory.path()), FORMAT).unwrap().len(), 2);
}
