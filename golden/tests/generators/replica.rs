//! The replica of faf-exercise.pcap (synthetic) has the published properties of the original.

use std::process::Command;

use crate::reader;
use golden::{
    harness::{peer, program, run, temp_dir},
    replica::{self, Connection, Direction},
};
use sha2::{Digest as _, Sha256};

/// Pinned so that a change of the generator is a decision. Not the original's sum.
const SHA256: &str = "e35930baf7014266e3061140a3878f3f365cdab00d0ef9b24ec605c280770734";

#[test]
fn size_and_sum_are_pinned() {
    let capture = replica::capture().unwrap();
    assert_eq!(capture.len(), replica::FILE_SIZE);
    let sum: String = Sha256::digest(&capture)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(sum, SHA256);
}

#[test]
fn every_direction_has_the_published_counts_and_times() {
    let capture = replica::capture().unwrap();
    let mut sums = reader::sums(&capture);
    assert_eq!(sums.len(), 72);
    let total = |of: fn(&reader::Sums) -> u64| sums.values().map(of).sum::<u64>();
    assert_eq!(
        (total(|sum| sum.packets), total(|sum| sum.l7_bytes)),
        (5902, 4_651_854)
    );
    assert_eq!(total(|sum| sum.ip_bytes), 4_895_858);
    for Connection {
        client,
        server,
        a,
        b,
        ..
    } in replica::connections().unwrap()
    {
        for (from, to, published) in [(client, server, a), (server, client, b)] {
            let seen = sums
                .remove(&(from.ip, from.port, to.ip, to.port, 6))
                .unwrap();
            let Direction {
                first_us,
                last_us,
                packets,
                l7_bytes,
                ip_bytes,
                ..
            } = published;
            assert_eq!(
                seen,
                reader::Sums {
                    packets,
                    ip_bytes,
                    l7_bytes,
                    first_us,
                    last_us
                },
                "{from:?} to {to:?}"
            );
        }
    }
    assert!(sums.is_empty());
}

#[test]
fn frames_have_the_published_headers_and_tails() {
    let capture = replica::capture().unwrap();
    let connections = replica::connections().unwrap();
    let (mut padded, mut with_trailer, mut last_us) = (0, 0, 0);
    for packet in reader::packets(&capture) {
        let (from, from_port, to, ..) = packet.key;
        let (sender, receiver, ttl) = connections
            .iter()
            .flat_map(|c| {
                [
                    (&c.client, &c.server, c.a.ttl),
                    (&c.server, &c.client, c.b.ttl),
                ]
            })
            .find(|(sender, receiver, _)| {
                (sender.ip, sender.port, receiver.ip) == (from, from_port, to)
            })
            .unwrap();
        assert_eq!(
            (packet.macs, packet.ttl),
            ([receiver.mac, sender.mac].as_flattened(), ttl)
        );
        let bare = 14 + packet.ip_bytes as usize;
        let local = from.to_string().starts_with("192.168.1.10");
        padded += usize::from(local && bare < 60);
        with_trailer += usize::from(local);
        assert_eq!(
            packet.frame.len(),
            if local { bare.max(60) + 4 } else { bare }
        );
        assert!(packet.time_us >= last_us, "in order of time");
        last_us = packet.time_us;
    }
    assert_eq!((padded, with_trailer), (1164, 1986));
}

/// Nobody who finds a packet of it somewhere shall take it for a real one.
#[test]
fn every_payload_carries_the_label() {
    let capture = replica::capture().unwrap();
    for packet in reader::packets(&capture).filter(|packet| !packet.payload.is_empty()) {
        let length = packet.payload.len().min(replica::LABEL.len());
        assert_eq!(
            &packet.payload[..length],
            &replica::LABEL.as_bytes()[..length]
        );
    }
}

#[test]
fn a_second_decoder_finds_no_fault() {
    let Some(tshark) = peer("tshark") else { return };
    let dir = temp_dir();
    let file = dir.path().join(replica::FILE_NAME);
    run(Command::new(program("t2gen"))
        .args(["replica", "--out"])
        .arg(&file))
    .success();
    let mut command = Command::new(tshark);
    command.arg("-r").arg(&file).args(["-T", "fields"]);
    for check in ["ip.check_checksum", "tcp.check_checksum", "eth.check_fcs"] {
        command.args(["-o", &format!("{check}:TRUE")]);
    }
    for field in [
        "ip.checksum.status",
        "tcp.checksum.status",
        "eth.fcs.status",
        "_ws.malformed",
    ] {
        command.args(["-e", field]);
    }
    // 1 is "good": IP and TCP checksums of all, frame check sequences of the workstations' 1986 frames.
    let text = run(&mut command).success().text();
    let count = |line: &str| text.lines().filter(|seen| *seen == line).count();
    assert_eq!(
        (count("1\t1\t1\t"), count("1\t1\t\t"), text.lines().count()),
        (1986, 3916, 5902)
    );
}
