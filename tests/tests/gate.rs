//! The gate: what t2x sends, judged by t2check. No rule may be broken, the recommended ones included, but for one by
//! choice: profile t2 counts octets as Tranalyzer does, those of the payload.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use golden::harness;
use golden::packet::{Endpoint, Packet, Transport, append_frame, file_header, record_header, sum};

/// The datagrams of t2x for a capture, as a capture of their own.
fn export(capture: &Path, options: &[&str], target: &Path) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
    let port = socket.local_addr().expect("its address").port();
    let mut t2x = Command::new(harness::program("t2x"));
    t2x.arg("-r").arg(capture).args(options);
    t2x.args(["--nf-port", &port.to_string()]);
    harness::run(&mut t2x).success();
    // All has been sent: the socket holds it, for captures as small as these.
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a time-out");
    let mut bytes = file_header().to_vec();
    let mut datagram = vec![0; 65_536];
    let mut time_us = 1_700_000_000_000_000;
    while let Ok((length, sender)) = socket.recv_from(&mut datagram) {
        let ends = [sender.port(), port].map(|port| Endpoint {
            mac: [2, 0, 0, 0, 0, 1],
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        });
        let mut frame = Vec::new();
        append_frame(
            &mut frame,
            &Packet {
                from: &ends[0],
                to: &ends[1],
                ttl: 64,
                ip_id: 0,
                transport: Transport::Udp,
                payload: &datagram[..length],
                payload_sum: sum(&datagram[..length]),
            },
        );
        bytes.extend_from_slice(&record_header(time_us, frame.len()));
        bytes.extend_from_slice(&frame);
        time_us += 1000;
    }
    assert_eq!(harness::dropped(port), 0, "the socket took everything");
    std::fs::write(target, bytes).expect("the capture is written");
}

/// Gives how often profile t2 was seen to count octets of the payload: in NetFlow v9, in IPFIX, or in both.
fn judged(capture: &Path) -> usize {
    let folder = harness::temp_dir();
    let known = folder.path().join("known");
    std::fs::write(&known, "M-01 octets of the payload\n").expect("a file");
    let mut payload_octets = 0;
    for version in ["9", "10"] {
        for profile in ["t2", "standard"] {
            let sent = folder.path().join(format!("{version}-{profile}.pcap"));
            let options = ["--nf-version", version, "--profile", profile];
            export(capture, &options, &sent);
            let mut t2check = Command::new(harness::program("t2check"));
            t2check
                .args(["exporter", "--strict", "--capture"])
                .arg(&sent);
            if profile == "t2" {
                t2check.arg("--known").arg(&known);
            }
            let told = harness::run(&mut t2check).success().text();
            let broken = ["UNSAFE", "DATA LOSS", "WRONG DATA", "DEVIATION"];
            let broken = told
                .lines()
                .filter(|line| broken.iter().any(|verdict| line.starts_with(verdict)));
            let unknown = |line: &str| profile != "t2" || !line.contains("  M-01 ");
            assert!(!broken.clone().any(unknown), "{profile}, {version}: {told}");
            payload_octets += broken.count();
        }
    }
    payload_octets
}

#[test]
fn t2x_breaks_no_rule_on_the_replica() {
    let folder = harness::temp_dir();
    let capture = folder.path().join("faf-replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&capture, bytes).expect("the replica is written");
    assert_eq!(judged(&capture), 2);
}

/// IPv6, several VLANs, a clock over years.
#[test]
fn t2x_breaks_no_rule_on_the_corpus() {
    let Some(corpus) = harness::corpus() else {
        return;
    };
    // Flows whose payload is less than their headers, as Tranalyzer's own datagrams have them, or none.
    for (name, payload_octets) in [
        ("edge/ipv6", 2),
        ("edge/mixed-vlan-mpls", 2),
        ("medium/evidence03", 0),
    ] {
        let label = name.rsplit('/').next().unwrap_or(name);
        let folder = corpus.join("tranalyzer").join(name);
        let judged = judged(&folder.join(format!("{label}.pcap")));
        assert_eq!(judged, payload_octets, "{name}");
    }
}
