//! The gate: what t2x sends, judged by t2check. No rule may be broken, the recommended ones included, but for one by
//! choice: profile t2 counts octets as Tranalyzer does, those of the payload.

use std::path::{Path, PathBuf};
use std::process::Command;

use golden::harness;
use golden::harness::certificates::Certificates;
use nix::sys::signal::Signal;
use tests::exported;

/// Ways to export, and what is counted as octets of the payload in profile t2.
const VARIANTS: [&[&str]; 8] = [
    &["--nf-version", "9", "--profile", "t2"],
    &["--nf-version", "9", "--profile", "standard"],
    &[
        "--nf-version",
        "10",
        "--profile",
        "t2",
        "--options-data",
        "yes",
    ],
    &["--nf-version", "10"],
    &["--nf-version", "10", "--biflow"],
    &["--nf-version", "10", "--sample", "1:3"],
    &[
        "--nf-version",
        "10",
        "--sample",
        "1:3",
        "--sample-mode",
        "random",
        "--biflow",
    ],
    &[
        "--nf-version",
        "10",
        "--mtu",
        "600",
        "--template-refresh-messages",
        "3",
    ],
];

/// What t2check says of messages, as rules and verdicts of those that are broken.
fn broken(told: &str) -> Vec<&str> {
    let broken = ["UNSAFE", "DATA LOSS", "WRONG DATA", "DEVIATION"];
    told.lines()
        .filter(|line| broken.iter().any(|verdict| line.starts_with(verdict)))
        .collect()
}

fn is_t2(options: &[&str]) -> bool {
    options.contains(&"t2") || options.contains(&"9") && !options.contains(&"standard")
}

/// Octets of the payload are a choice of profile t2; nothing else may be broken. Gives whether they were noticed.
fn judge(told: &str, options: &[&str], way: &str) -> bool {
    let broken = broken(told);
    let payload = |line: &&str| is_t2(options) && line.contains("  M-01 ");
    let others: Vec<_> = broken.iter().filter(|line| !payload(line)).collect();
    assert!(others.is_empty(), "{way} {options:?}: {others:#?}");
    !broken.is_empty()
}

/// What t2check says of a capture or a file of messages.
fn judged_file(file: &Path) -> String {
    let mut t2check = Command::new(harness::program("t2check"));
    t2check
        .args(["exporter", "--strict", "--capture"])
        .arg(file);
    let run = harness::run(&mut t2check);
    assert!(matches!(run.code(), Some(0 | 3)), "{}", run.stderr);
    run.text()
}

/// What t2check says that listens itself.
fn judged_stream(capture: &Path, options: &[&str], tls: Option<&Certificates>) -> String {
    let scheme = if tls.is_some() { "tls" } else { "tcp" };
    let mut t2check = Command::new(harness::program("t2check"));
    t2check.args(["exporter", "--strict", "--replayed", "--seconds", "600"]);
    t2check.args(["--listen", &format!("{scheme}://127.0.0.1:0")]);
    let mut t2x = Command::new(harness::program("t2x"));
    t2x.arg("-r").arg(capture).args(options);
    t2x.args(["--nf-socktype", scheme]);
    if let Some(tls) = tls {
        for (command, pair) in [(&mut t2check, &tls.server), (&mut t2x, &tls.client)] {
            command.arg("--tls-ca").arg(&tls.ca);
            command.arg("--tls-cert").arg(&pair.cert);
            command.arg("--tls-key").arg(&pair.key);
        }
    }
    let mut t2check = harness::Service::spawn(&mut t2check);
    let line = t2check.wait_for_line("://127.0.0.1:");
    let port = line.split("://127.0.0.1:").nth(1).expect("an address");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    t2x.args(["--nf-addr", &format!("localhost:{port}")]);
    harness::run(&mut t2x).success();
    t2check.signal(Signal::SIGINT);
    let run = t2check.wait(harness::PATIENCE);
    assert!(matches!(run.code(), Some(0 | 3)), "{}", run.stderr);
    run.text()
}

/// Options and sampling of NetFlow v9.
const SAMPLED_V9: &[&str] = &[
    "--nf-version",
    "9",
    "--options-data",
    "yes",
    "--sample",
    "1:3",
];

/// All variants over UDP, and those of IPFIX in a file. Gives how often octets of the payload were noticed over UDP.
fn judged(capture: &Path) -> usize {
    let folder = harness::temp_dir();
    let mut payload_octets = 0;
    for options in VARIANTS {
        let sent = folder.path().join("sent.pcap");
        let (datagrams, run) = exported::datagrams(&["-r".as_ref(), capture], options);
        run.success();
        std::fs::write(&sent, exported::capture(&datagrams)).expect("a capture");
        payload_octets += usize::from(judge(&judged_file(&sent), options, "udp"));
        if !options.contains(&"9") {
            let prefix = folder.path().join("sent");
            let mut t2x = Command::new(harness::program("t2x"));
            t2x.arg("-r").arg(capture).args(options);
            t2x.args(["--sink", "ipfix-file", "-w"]).arg(&prefix);
            harness::run(&mut t2x).success();
            let told = judged_file(&prefix.with_extension("ipfix"));
            assert!(told.contains("PASS           X-21"), "{told}");
            judge(&told, options, "file");
        }
    }
    payload_octets
}

fn replica(folder: &Path) -> PathBuf {
    let capture = folder.join("faf-replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&capture, bytes).expect("the replica is written");
    capture
}

#[test]
fn t2x_breaks_no_rule_on_the_replica() {
    let folder = harness::temp_dir();
    let capture = replica(folder.path());
    assert_eq!(judged(&capture), 2);
    judge_sampled(&capture);
}

/// The messages of NetFlow v9 with options and sampling, over UDP.
fn judge_sampled(capture: &Path) {
    let folder = harness::temp_dir();
    let sent = folder.path().join("sent.pcap");
    let (datagrams, run) = exported::datagrams(&["-r".as_ref(), capture], SAMPLED_V9);
    run.success();
    std::fs::write(&sent, exported::capture(&datagrams)).expect("a capture");
    judge(&judged_file(&sent), &["t2"], "udp, sampled");
}

#[test]
fn t2x_breaks_no_rule_over_tcp_and_tls() {
    let folder = harness::temp_dir();
    let capture = replica(folder.path());
    let certificates = Certificates::new();
    for options in VARIANTS {
        judge(&judged_stream(&capture, options, None), options, "tcp");
        if !options.contains(&"9") {
            let told = judged_stream(&capture, options, Some(&certificates));
            judge(&told, options, "tls");
            assert!(told.contains("the exporter showed a certificate"), "{told}");
        }
    }
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
        let capture = folder.join(format!("{label}.pcap"));
        judge_sampled(&capture);
        let judged = judged(&capture);
        assert_eq!(judged, payload_octets, "{name}");
    }
}
