//! Every kind of message that t2x makes, octet by octet: of a conversation over TCP, a question over UDP and IPv6 that
//! nobody answers, an ICMP message and an ARP frame.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use golden::harness::{program, run, temp_dir};
use golden::packet::{Endpoint, Packet, Transport, append_frame, file_header, record_header, sum};

/// 2023-11-14 22:13:20 UTC.
const START_US: u64 = 1_700_000_000_000_000;

fn endpoint(mac: u8, ip: &str, port: u16) -> Endpoint {
    Endpoint {
        mac: [2, 0, 0, 0, 0, mac],
        ip: ip.parse::<IpAddr>().unwrap(),
        port,
    }
}

fn capture() -> Vec<u8> {
    let mut bytes = file_header().to_vec();
    let mut add = |after_ms: u64, frame: &[u8]| {
        let time_us = START_US + after_ms * 1000;
        bytes.extend_from_slice(&record_header(time_us, frame.len()));
        bytes.extend_from_slice(frame);
    };
    let packet = |from: &Endpoint, to: &Endpoint, transport, payload: &[u8]| {
        let mut frame = Vec::new();
        append_frame(
            &mut frame,
            &Packet {
                from,
                to,
                ttl: 64,
                ip_id: 1,
                transport,
                payload,
                payload_sum: sum(payload),
            },
        );
        frame
    };
    let (client, server) = (
        endpoint(1, "192.0.2.1", 40_000),
        endpoint(2, "198.51.100.2", 80),
    );
    let tcp = |flags, seq, ack| Transport::Tcp {
        flags,
        seq,
        ack,
        window: 1000,
        options: &[],
    };
    add(0, &packet(&client, &server, tcp(0x02, 1, 0), b""));
    add(10, &packet(&server, &client, tcp(0x12, 1, 2), b""));
    add(
        20,
        &packet(&client, &server, tcp(0x18, 2, 2), b"GET / HTTP/1.0\r\n\r\n"),
    );
    add(
        30,
        &packet(&server, &client, tcp(0x19, 2, 20), &[b'x'; 300]),
    );
    let (asker, name_server) = (
        endpoint(1, "2001:db8::1", 5353),
        endpoint(2, "2001:db8::53", 53),
    );
    add(40, &packet(&asker, &name_server, Transport::Udp, &[7; 33]));
    // Port unreachable, with eight octets of what could not be delivered.
    let mut icmp = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    icmp.extend([
        0x45, 0, 0, 36, 0, 0, 0, 0, 63, 1, 0, 0, 198, 51, 100, 2, 192, 0, 2, 1,
    ]);
    icmp.extend([3, 3, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    add(50, &icmp);
    let mut arp = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6];
    arp.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1]);
    arp.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, 254]);
    add(60, &arp);
    bytes
}

/// Messages in hexadecimal, 16 octets a line.
fn dump(messages: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for message in messages {
        writeln!(text, "{} octets", message.len()).unwrap();
        for line in message.chunks(16) {
            let octets: Vec<_> = line.iter().map(|octet| format!("{octet:02x}")).collect();
            writeln!(text, "{}", octets.join(" ")).unwrap();
        }
    }
    text
}

/// Over UDP.
fn datagrams(capture: &Path, options: &[&str]) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let mut t2x = Command::new(program("t2x"));
    t2x.arg("-r")
        .arg(capture)
        .args(options)
        .args(["--nf-port", &port]);
    run(&mut t2x).success();
    // Everything was sent before t2x ended.
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut buffer = vec![0; 65_536];
    let mut all = Vec::new();
    while let Ok(length) = socket.recv(&mut buffer) {
        all.push(buffer[..length].to_vec());
    }
    all
}

#[test]
fn every_kind_of_message() {
    let folder = temp_dir();
    let path = folder.path().join("capture.pcap");
    std::fs::write(&path, capture()).unwrap();
    let ipfix = ["--nf-version", "10"];
    let kinds: [(&str, &[&str]); 6] = [
        ("v9-t2", &[]),
        (
            "v9-t2-options",
            &["--options-data", "yes", "--sample", "1:2"],
        ),
        (
            "v9-standard",
            &[
                "--profile",
                "standard",
                "--options-data",
                "yes",
                "--link-flows",
                "yes",
            ],
        ),
        ("ipfix-t2", &["--nf-version", "10", "--profile", "t2"]),
        ("ipfix-standard", &ipfix),
        (
            "ipfix-sampled",
            &[
                "--nf-version",
                "10",
                "--sample",
                "1:2",
                "--sample-mode",
                "random",
            ],
        ),
    ];
    for (name, options) in kinds {
        let text = dump(&datagrams(&path, options));
        insta::assert_snapshot!(format!("messages-{name}"), text);
    }
    let prefix = folder.path().join("out");
    let mut t2x = Command::new(program("t2x"));
    t2x.arg("-r")
        .arg(&path)
        .args(["--sink", "ipfix-file", "--biflow", "-w"]);
    run(t2x.arg(&prefix)).success();
    let file = std::fs::read(prefix.with_extension("ipfix")).unwrap();
    insta::assert_snapshot!("messages-ipfix-file-biflow", dump(&[file]));
}
