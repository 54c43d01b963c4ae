//! The files of the table, made by the real nfcapd and nfpcapd.

use crate::datagrams::{Dice, Version, datagrams, v5};
use golden::harness;
use std::{
    fs,
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Captures of the corpus that nfpcapd meters: file name here, path there.
const CAPTURES: &[(&str, &str)] = &[
    ("pcap-icmp", "edge/icmp-ping/icmp-ping"),
    ("pcap-icmp6", "edge/icmp6-ping/icmp6-ping"),
    ("pcap-dot1q", "edge/icmp_dot1q/icmp_dot1q"),
    ("pcap-mpls", "edge/mixed-vlan-mpls/mixed-vlan-mpls"),
    ("pcap-6in4", "edge/6in4/6in4"),
    ("pcap-4in4", "edge/4in4/4in4"),
    ("pcap-gre", "edge/gre-sample/gre-sample"),
    ("pcap-sctp", "edge/sctp/sctp"),
    ("pcap-dns", "medium/dns/dns"),
    ("pcap-http", "edge/no-handshake/no-handshake"),
];

/// The exporters whose records nfcapd 1.6.22 understands.
const OF_LAYOUT_1: &[&str] = &[
    "v5",
    "v5-large",
    "v9",
    "v9-uptime",
    "v9-full",
    "v9-ipv6",
    "v9-icmp",
    "v9-mixed",
    "ipfix",
    "ipfix-full",
    "ipfix-icmp",
    "one",
    "empty",
];

/// What each exporter sends: file name, and who made it up.
fn exporters() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    use Version::{Ipfix, V9};
    let make = |version, shapes: &[&str], count, seed| {
        datagrams(version, shapes, count, 7, &mut Dice(seed))
    };
    vec![
        ("v5", v5(70, (3, 5), &mut Dice(1))),
        ("v5-large", v5(1500, (0, 0), &mut Dice(2))),
        ("v9", make(V9, &["basic"], 60, 3)),
        ("v9-uptime", make(V9, &["uptime"], 40, 4)),
        ("v9-full", make(V9, &["full"], 50, 5)),
        ("v9-ipv6", make(V9, &["ipv6"], 40, 6)),
        ("v9-icmp", make(V9, &["icmp", "icmp6"], 20, 7)),
        (
            "v9-mixed",
            make(V9, &["basic", "full", "ipv6", "icmp", "icmp6"], 120, 8),
        ),
        ("v9-huge", make(V9, &["huge"], 60, 9)),
        ("asa", make(V9, &["asa"], 40, 10)),
        ("nel", make(V9, &["nel"], 40, 11)),
        ("latency", make(V9, &["latency"], 30, 12)),
        ("nbar", make(V9, &["nbar"], 30, 13)),
        ("ipfix", make(Ipfix, &["basic"], 60, 14)),
        ("ipfix-full", make(Ipfix, &["full", "ipv6"], 60, 15)),
        ("ipfix-icmp", make(Ipfix, &["icmp", "icmp6"], 15, 16)),
        ("one", make(V9, &["basic"], 1, 17)),
        ("empty", Vec::new()),
    ]
}

/// The names of the files; there are also directories made of copies of them.
pub struct Files {
    pub names: Vec<String>,
}

/// Makes the files below `root`; `None` (said) without nfdump 1.7.1.
pub fn make(root: &Path) -> Option<Files> {
    let nfcapd = harness::peer("nfcapd")?;
    let sent = exporters();
    let mut names: Vec<String> = sent.iter().map(|(name, _)| (*name).to_owned()).collect();
    collect(&nfcapd, &[], &sent, root);
    for (option, name) in [("-z", "lzo"), ("-y", "lz4"), ("-j", "bz2")] {
        let mixed = datagrams(
            Version::V9,
            &["basic", "ipv6", "icmp"],
            100,
            9,
            &mut Dice(20),
        );
        collect(&nfcapd, &[option], &[(name, mixed)], root);
        names.push(name.to_owned());
    }
    two_exporters(&nfcapd, root);
    names.push("two-exporters".to_owned());
    names.extend(
        CAPTURES
            .iter()
            .filter_map(|(name, capture)| meter(name, capture, root)),
    );
    directories(root);
    Some(Files { names })
}

/// Makes files of layout 1 below `root`, with nfcapd 1.6.22; `None` (said) without it.
pub fn make_layout_1(root: &Path) -> Option<Files> {
    let nfcapd = harness::nfdump_version("1.6.22", "nfcapd")?;
    let sent: Vec<_> = exporters()
        .into_iter()
        .filter(|(name, _)| OF_LAYOUT_1.contains(name))
        .collect();
    let mut names: Vec<String> = sent.iter().map(|(name, _)| (*name).to_owned()).collect();
    collect(&nfcapd, &["-T", "all"], &sent, root);
    for (option, name) in [("-z", "lzo"), ("-y", "lz4"), ("-j", "bz2")] {
        let mixed = datagrams(Version::V9, &["basic", "ipv6"], 100, 9, &mut Dice(20));
        collect(&nfcapd, &[option], &[(name, mixed)], root);
        names.push(name.to_owned());
    }
    Some(Files { names })
}

/// One nfcapd with a source for each of these; source k sends from 127.0.1.k.
fn collect(nfcapd: &Path, options: &[&str], sent: &[(&str, Vec<Vec<u8>>)], root: &Path) {
    let mut sources = Vec::new();
    for (at, (name, _)) in sent.iter().enumerate() {
        let directory = root.join(format!("{name}.dir"));
        fs::create_dir_all(&directory).unwrap();
        sources.extend([
            "-n".to_owned(),
            format!("{name},127.0.1.{},{}", at + 1, directory.display()),
        ]);
    }
    run_nfcapd(nfcapd, options, &sources, |port| {
        for (at, (_, packets)) in sent.iter().enumerate() {
            send(&format!("127.0.1.{}", at + 1), port, packets);
        }
    });
    for (name, _) in sent {
        take(&root.join(format!("{name}.dir")), &root.join(name));
    }
}

fn run_nfcapd(nfcapd: &Path, options: &[&str], sources: &[String], send: impl FnOnce(u16)) {
    let port = harness::free_udp_port();
    let mut command = Command::new(nfcapd);
    command
        .args([
            "-b",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-t",
            "2000000000",
            "-B",
            "4000000",
        ])
        .args(options)
        .args(sources)
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    let service = harness::Service::spawn(&mut command);
    harness::wait_until("nfcapd listens", harness::PATIENCE, || {
        harness::listens_udp(port)
    });
    send(port);
    harness::wait_drained(port);
    service.terminate().success();
}

fn send(from: &str, port: u16, packets: &[Vec<u8>]) {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    for packet in packets {
        socket.send_to(packet, ("127.0.0.1", port)).unwrap();
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Two exporters, one of them with two source ids, in one file.
fn two_exporters(nfcapd: &Path, root: &Path) {
    let directory = root.join("two-exporters.dir");
    fs::create_dir_all(&directory).unwrap();
    let source = [
        "-w".to_owned(),
        directory.display().to_string(),
        "-I".to_owned(),
        "both".to_owned(),
    ];
    run_nfcapd(nfcapd, &[], &source, |port| {
        send(
            "127.0.1.1",
            port,
            &datagrams(Version::V9, &["basic"], 20, 1, &mut Dice(30)),
        );
        send(
            "127.0.1.1",
            port,
            &datagrams(Version::V9, &["basic"], 20, 2, &mut Dice(31)),
        );
        send(
            "127.0.1.2",
            port,
            &datagrams(Version::Ipfix, &["full"], 20, 3, &mut Dice(32)),
        );
        send("127.0.1.3", port, &v5(10, (1, 2), &mut Dice(33)));
    });
    take(&directory, &root.join("two-exporters"));
}

/// Lets nfpcapd meter a capture of the corpus, if that is there.
fn meter(name: &str, capture: &str, root: &Path) -> Option<String> {
    let capture = harness::corpus()?
        .join("tranalyzer")
        .join(format!("{capture}.pcap"));
    let directory = root.join(format!("{name}.dir"));
    fs::create_dir_all(&directory).unwrap();
    let mut command = Command::new(harness::peer("nfpcapd")?);
    command
        .args(["-o", "fat,payload", "-t", "2000000000", "-r"])
        .arg(&capture)
        .arg("-w")
        .arg(&directory)
        .env("TZ", "UTC");
    harness::run(&mut command).success();
    take(&directory, &root.join(name));
    Some(name.to_owned())
}

/// Moves the one finished file of a directory.
fn take(directory: &Path, to: &Path) {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.strip_prefix("nfcapd.")
            .is_some_and(|slot| slot.bytes().all(|byte| byte.is_ascii_digit()))
    });
    fs::rename(
        file.unwrap_or_else(|| panic!("no file in {}", directory.display())),
        to,
    )
    .unwrap();
    fs::remove_dir_all(directory).unwrap();
}

/// Directories of slots: `slots` flat, `tree` with sub directories, `multi/{a,b}` of two sources, `live/{a,b}` of two sources
/// with sub directories, as NfSen lays them out.
fn directories(root: &Path) {
    let copies = [
        ("v9", "slots/nfcapd.202611230000"),
        ("v5", "slots/nfcapd.202611230005"),
        ("ipfix", "slots/nfcapd.202611230010"),
        ("empty", "slots/nfcapd.202611230015"),
        ("v9", "tree/2026/11/23/nfcapd.202611230000"),
        ("v5", "tree/2026/11/23/nfcapd.202611230005"),
        ("v9-ipv6", "tree/2026/11/24/nfcapd.202611240000"),
        ("v9", "multi/a/nfcapd.202611230000"),
        ("v5", "multi/a/nfcapd.202611230005"),
        ("v9-full", "multi/b/nfcapd.202611230000"),
        ("v9-icmp", "multi/b/nfcapd.202611230005"),
        ("v9", "live/a/2026/11/23/nfcapd.202611230000"),
        ("v5", "live/a/2026/11/23/nfcapd.202611230005"),
        ("v9-full", "live/b/2026/11/23/nfcapd.202611230000"),
        ("v9-ipv6", "live/b/2026/11/23/nfcapd.202611230005"),
    ];
    for (from, to) in copies {
        let to = root.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root.join(from), to).unwrap();
    }
    fs::write(
        root.join("conf"),
        "[nfdump]\nfmt.short = \"%ts %sa %da\"\nfmt.line = \"%sa\"\n",
    )
    .unwrap();
    fs::write(root.join("not-flows"), "hello, world\n").unwrap();
    fs::write(
        root.join("filter"),
        "# a comment\nproto tcp and\n  (port 80 or port 443)\n",
    )
    .unwrap();
    fs::write(
        root.join("including"),
        format!(
            "@include {}\nor icmp-type 8\n",
            root.join("filter").display()
        ),
    )
    .unwrap();
    fs::write(root.join("bad-filter"), "proto tcp\nand foo\n").unwrap();
}
