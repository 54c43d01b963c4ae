//! The end report: its JSON form is documented name by name, and agrees with arithmetic.

use std::collections::BTreeSet;
use std::fs::File;

use crate::cli::read;
use crate::support::{Capture, Collector};
use serde_json::{Value, json};

/// A TCP handshake over VLAN-less Ethernet, an answer that is refused, DNS and ARP.
fn traffic() -> Capture {
    let tcp = |ports: (u16, u16), flags: u8| {
        let mut header = Vec::new();
        header.extend(ports.0.to_be_bytes());
        header.extend(ports.1.to_be_bytes());
        header.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]);
        header
    };
    Capture::new()
        .ipv4(0, (1, 2), 6, &tcp((4000, 80), 0x02))
        .ipv4(1000, (2, 1), 6, &tcp((80, 4000), 0x14))
        .udp(500_000, (1, 3), (5000, 53), 30)
        .udp(1_000_000, (3, 1), (53, 5000), 90)
        .arp(2_000_000)
}

fn told(arguments: &[&str]) -> Value {
    let file = traffic().file();
    let mut command = read(file.path());
    command.args(["--report", "json"]).args(arguments);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn numbers_of_a_small_capture() {
    let collector = Collector::new();
    let told = told(&["--nf-port", &collector.port()]);
    let frames = [14 + 40, 14 + 40, 14 + 58, 14 + 118, 14 + 28];
    let all: u64 = frames.iter().sum();
    assert_eq!(told["failures"], json!([]));
    let input = &told["inputs"][0];
    assert_eq!(input["linkType"], "ETHERNET (1)");
    assert_eq!(input["snapshotLength"], 65535);
    assert_eq!(input["octets"], 24 + 5 * 16 + all);
    let run = &told["run"];
    assert_eq!(run["stopped"], false);
    assert!(run["process"].as_u64().is_some_and(|process| process > 1));
    let nice = run["nice"]
        .as_str()
        .and_then(|nice| nice.parse::<i8>().ok());
    assert!(nice.is_some_and(|nice| (-20..20).contains(&nice)), "{run}");
    let started: jiff::Timestamp = run["started"].as_str().unwrap().parse().unwrap();
    let ago = jiff::Timestamp::now().as_second() - started.as_second();
    assert!((0..600).contains(&ago), "{started}");
    let sink = format!("NetFlow v9 over UDP to 127.0.0.1:{}", collector.port());
    assert_eq!(run["sinks"], json!([sink]));
    assert_eq!(run["firstPacket"], "2009-11-18T11:36:55.037210000Z");
    assert_eq!(run["lastPacket"], "2009-11-18T11:36:57.037210000Z");
    assert_eq!(run["duration"], 2.0);
    let packets = &told["packets"];
    let expect = [
        ("packets", 5),
        ("wireOctets", all),
        ("capturedOctets", all),
        ("withoutIp", 1),
        ("ipv4", 4),
        ("ipv6", 0),
        ("withoutFlow", 0),
        ("aPackets", 3),
        ("bPackets", 2),
        ("aOctets", frames[0] + frames[2] + frames[4]),
        ("bOctets", frames[1] + frames[3]),
    ];
    for (name, number) in expect {
        assert_eq!(packets[name], number, "{name}");
    }
    assert_eq!(
        packets["octetsPerBPacket"],
        (frames[1] + frames[3]) as f64 / 2.0
    );
    assert_eq!(told["protocols"]["arp"], 1);
    assert_eq!(told["protocols"]["tcp"], 2);
    assert_eq!(told["protocols"]["udpOctets"], frames[2] + frames[3]);
    let flows = &told["flows"];
    assert_eq!([&flows["flows"], &flows["a"], &flows["b"]], [5, 3, 2]);
    assert_eq!(flows["abAsymmetry"], 0.2);
    assert_eq!(flows["packetsPerFlow"], 1.0);
    let rates = &told["rates"];
    assert_eq!(rates["packetsPerSecond"], 2.5);
    assert_eq!(rates["aPacketsPerSecond"], 1.5);
    // The ARP frame has 28 octets behind its header.
    assert_eq!(rates["layer7"], (30 + 90 + 28) * 8 / 2);
    assert_eq!(rates["counted"], (40 + 40 + 58 + 118 + 28) * 8 / 2);
    assert_eq!(rates["wire"], all * 8 / 2);
    let extremes = &told["extremes"];
    assert_eq!(
        extremes["mostOctets"],
        json!({"source": "10.0.0.3", "amount": 90})
    );
    assert_eq!(extremes["largestLoad"], 90);
    assert_eq!(extremes["fastest"], Value::Null);
    let netflow = &told["netflow"];
    assert_eq!([&netflow["records"], &netflow["withoutIp"]], [4, 1]);
    assert_eq!(netflow["sourceId"], 666);
    // The refused connection is gone after 0.1 s.
    assert_eq!(told["memory"]["maxFlows"], 3);
}

/// `section.name` of every member.
fn names(told: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (section, value) in told.as_object().unwrap() {
        let members = value.get(0).unwrap_or(value).as_object();
        match members {
            None => drop(names.insert(section.clone())),
            Some(members) => names.extend(members.keys().map(|name| format!("{section}.{name}"))),
        }
    }
    names
}

#[test]
fn every_name_is_documented() {
    let collector = Collector::new();
    let port = collector.port();
    let socket = ["--socket-type", "udp", "--socket-port", &port];
    let sinks = ["--nf-port", &port, "--sink", "netflow,socket"];
    let found = names(&told(&[&sinks[..], &socket].concat()));
    let text = golden::harness::workspace_dir().join("docs/end-report.md");
    let text = std::fs::read_to_string(text).unwrap();
    let documented = text.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some(name.to_owned())
    });
    assert_eq!(found, documented.collect());
    // A sink that does not run has no section.
    let text_only = told(&["--sink", "text", "-w", "-"]);
    assert_eq!(text_only["netflow"], Value::Null);
    assert_eq!(text_only["socket"], Value::Null);
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let file = traffic().file();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for form in ["text", "json"] {
        let status = std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"))
            .arg("-r")
            .arg(file.path())
            .args(["--report", form, "--sink", "text", "-w", "-"])
            .stdout(std::process::Stdio::null())
            .stderr(full())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(1), "{form}");
    }
    let status = std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"))
        .arg("--nonsense")
        .stderr(full())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}
