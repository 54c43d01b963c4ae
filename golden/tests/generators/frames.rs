//! Generated captures have what was asked for, counted by a reader and a decoder that share no code with the generator.

use std::{collections::BTreeMap, process::Command};

use crate::reader;
use golden::{
    frames::{self, Size, Spec},
    harness::{peer, program, run, temp_dir},
};

fn spec(packets: u64, flows: u32, size: Size) -> Spec {
    Spec {
        packets,
        flows,
        size,
        seed: 7,
        ipv6_share: 0.25,
        rate_pps: 1000,
    }
}

fn capture(spec: &Spec) -> (Vec<u8>, frames::Written) {
    let mut file = Vec::new();
    let written = frames::write(spec, &mut file).unwrap();
    (file, written)
}

/// Packets by connection, whatever the direction.
fn connections(file: &[u8]) -> BTreeMap<reader::Key, u64> {
    let mut connections = BTreeMap::new();
    for reader::Seen {
        key: (from, from_port, to, to_port, protocol),
        ..
    } in reader::packets(file)
    {
        let swapped = (to, to_port, from, from_port, protocol);
        let key = (from, from_port, to, to_port, protocol).min(swapped);
        *connections.entry(key).or_default() += 1;
    }
    connections
}

#[test]
fn counts_are_what_was_asked_for() {
    let (file, written) = capture(&spec(20_001, 300, Size::Mix));
    assert_eq!(
        (written.packets, written.flows, written.file_bytes),
        (20_001, 300, file.len() as u64)
    );
    assert_eq!(reader::packets(&file).count(), 20_001);
    assert_eq!(reader::sums(&file).len() as u64, written.directions);
    let mut packets: Vec<u64> = connections(&file).into_values().collect();
    packets.sort_unstable();
    assert_eq!(packets.len(), 300);
    // 3 of 300 connections have half of the packets.
    assert_eq!(packets[297..].iter().sum::<u64>(), 10_000);
    let kinds = |of: fn(&reader::Seen<'_>) -> bool| reader::packets(&file).filter(of).count();
    assert!(
        kinds(|packet| packet.key.0.is_ipv6()) > 1000 && kinds(|packet| packet.key.4 == 17) > 1000
    );
}

#[test]
fn frames_of_one_size_have_it() {
    let (file, _) = capture(&Spec {
        ipv6_share: 0.0,
        ..spec(5000, 50, Size::Fixed(64))
    });
    assert!(reader::packets(&file).all(|packet| packet.frame.len() == 64));
    let (file, _) = capture(&spec(5000, 50, Size::Fixed(500)));
    let data = |packet: &reader::Seen<'_>| !packet.payload.is_empty();
    assert!(
        reader::packets(&file)
            .filter(data)
            .all(|packet| packet.frame.len() == 500)
    );
}

#[test]
fn time_goes_with_the_rate() {
    let (file, _) = capture(&spec(2001, 50, Size::Fixed(64)));
    let times: Vec<u64> = reader::packets(&file)
        .map(|packet| packet.time_us)
        .collect();
    assert!(times.is_sorted());
    assert_eq!(times[2000] - times[0], 2_000_000);
}

#[test]
fn connections_open_and_close() {
    let (file, _) = capture(&spec(5000, 50, Size::Fixed(64)));
    let tcp = connections(&file).keys().filter(|key| key.4 == 6).count();
    let with = |flags| {
        reader::packets(&file)
            .filter(|packet| packet.flags == flags)
            .count()
    };
    assert_eq!((with(0x02), with(0x12), with(0x11)), (tcp, tcp, 2 * tcp));
}

#[test]
fn same_parameters_same_bytes() {
    let mixed = spec(3000, 100, Size::Mix);
    assert_eq!(capture(&mixed), capture(&mixed));
    assert_ne!(
        capture(&mixed).0,
        capture(&Spec {
            seed: 8,
            ..mixed.clone()
        })
        .0
    );
}

#[test]
fn one_packet_a_connection() {
    let (file, written) = capture(&spec(100, 100, Size::Mix));
    assert_eq!((connections(&file).len(), written.directions), (100, 100));
}

#[test]
fn impossible_parameters_are_wrong_usage() {
    let frames = |args: &[&str]| {
        run(Command::new(program("t2gen"))
            .arg("frames")
            .args(args)
            .args(["--out", "-"]))
    };
    for args in [
        ["--packets", "5", "--flows", "6"],
        ["--packets", "5", "--flows", "0"],
        ["--packets=5", "--flows=1", "--size", "59"],
        ["--packets=5", "--flows=1", "--ipv6", "1.5"],
        ["--packets=5", "--flows=1", "--rate", "0"],
    ] {
        let finished = frames(&args);
        assert_eq!(
            (finished.code(), finished.stdout.len()),
            (Some(2), 0),
            "{args:?}: {}",
            finished.stderr
        );
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    }
}

#[test]
fn an_output_that_cannot_be_made_is_named() {
    let dir = temp_dir();
    let path = dir.path().join("no/such/folder.pcap");
    let finished = run(Command::new(program("t2gen"))
        .args(["replica", "--out"])
        .arg(&path));
    assert_eq!(finished.code(), Some(1));
    assert!(
        finished.stderr.contains("no/such/folder.pcap"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_second_decoder_finds_no_fault() {
    let Some(tshark) = peer("tshark") else { return };
    let dir = temp_dir();
    let file = dir.path().join("frames.pcap");
    let sizes = [
        "--packets",
        "20000",
        "--flows",
        "200",
        "--size",
        "mix",
        "--ipv6",
        "0.3",
    ];
    run(Command::new(program("t2gen"))
        .arg("frames")
        .args(sizes)
        .arg("--out")
        .arg(&file))
    .success();
    let mut command = Command::new(tshark);
    command.arg("-r").arg(&file).args(["-T", "fields"]);
    for check in [
        "ip.check_checksum",
        "tcp.check_checksum",
        "udp.check_checksum",
    ] {
        command.args(["-o", &format!("{check}:TRUE")]);
    }
    for field in [
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "_ws.malformed",
    ] {
        command.args(["-e", field]);
    }
    let text = run(&mut command).success().text();
    let good = ["1\t1\t\t", "1\t\t1\t", "\t1\t\t", "\t\t1\t"];
    let count = |lines: &[&str]| text.lines().filter(|seen| lines.contains(seen)).count();
    assert_eq!((count(&good), text.lines().count()), (20_000, 20_000));
    assert!(
        good.iter().all(|kind| count(&[kind]) > 100),
        "IPv4 and IPv6, TCP and UDP"
    );
}
