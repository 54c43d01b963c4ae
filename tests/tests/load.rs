//! `t2check load` on devices whose limits are known by arithmetic.

use std::process::Command;

use golden::harness::{self, program};
use serde_json::Value;

fn load(arguments: &[&str]) -> Value {
    let mut command = Command::new(program("t2check"));
    command.arg("load").args(arguments).args(["--json", "-"]);
    let finished = harness::run(&mut command).success();
    serde_json::from_str(&finished.text()).expect("JSON")
}

fn number(report: &Value, path: &str) -> f64 {
    let value = report.pointer(path).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no {path} in {report:#}"))
}

/// Behind a relay that lets 200 messages of 30 records through a second, no more than 6000 records come.
#[test]
fn the_limit_of_a_collector_is_found() {
    let start = format!(
        "{} -b 127.0.0.1 -p {{metrics-port}} -t 86400 -w {{dir}} & {} proxy --listen udp://127.0.0.1:{{port}} \
         --to 127.0.0.1:{{metrics-port}} --fault rate:200 & wait",
        program("t2collect").display(),
        program("t2check").display()
    );
    let fixed = "--send udp://127.0.0.1:0 --observe nfcapd:{dir} --seconds 1 --settle 300 --from 1000 --to 20000 \
                 --precision 50 --confirm 2 --start";
    let fixed: Vec<&str> = fixed.split_whitespace().chain([start.as_str()]).collect();
    let report = load(&fixed);
    assert_eq!(report["at_least"], false, "{report:#}");
    assert!(number(&report, "/lossless/sent") <= 6600.0, "{report:#}");
    assert_eq!(
        number(&report, "/lossless/arrived"),
        number(&report, "/lossless/amount")
    );
    let lossy = number(&report, "/lossy/amount");
    assert!(lossy > number(&report, "/lossy/arrived"), "{report:#}");
    assert!(number(&report, "/sender_ceiling") > 0.0);
}

/// Many exporters whose templates change all the time, over NetFlow v9; what the sender can do is not what the collector can.
#[test]
fn a_rate_that_was_the_most_to_be_tried_is_told_as_at_least() {
    let start = format!(
        "{} --listen udp://127.0.0.1:{{port}} --metrics 127.0.0.1:{{metrics-port}} -w {{dir}}",
        program("t2collect").display()
    );
    let metrics = "prometheus:http://127.0.0.1:{metrics-port}/metrics";
    let fixed = "--send udp://127.0.0.1:0 --nf-version 9 --records 5 --exporters 200 --churn 2 --seconds 1 --from 2000 --to 2000 \
                 --confirm 1 --observe";
    let fixed: Vec<&str> = fixed
        .split_whitespace()
        .chain([metrics, "--start", &start])
        .collect();
    let report = load(&fixed);
    assert_eq!(report["at_least"], true, "{report:#}");
    assert_eq!(report["trials"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        number(&report, "/lossless/arrived"),
        number(&report, "/lossless/amount")
    );
}

/// The replica of the tutorial's capture has 5902 packets in 72 flows of both directions.
#[test]
fn an_exporter_is_timed_while_it_reads() {
    let folder = harness::temp_dir();
    let pcap = folder.path().join("replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&pcap, bytes).expect("the replica is written");
    let pcap = pcap.display().to_string();
    let replay = format!(
        "{} -r {{pcap}} --nf-version 10 --nf-addr {{host}} --nf-port {{port}}",
        program("t2x").display()
    );
    let report = load(&["--pcap", &pcap, "--replay", &replay, "--confirm", "2"]);
    assert_eq!(number(&report, "/lossless/amount"), 5902.0);
    assert_eq!(number(&report, "/lossless/arrived"), 5902.0);
    assert!(number(&report, "/flows_per_s") > 0.0);
    // One that reports only half of it.
    let replay = replay.replace("{pcap}", "/dev/null");
    let mut command = Command::new(program("t2check"));
    command.args([
        "load",
        "--pcap",
        &pcap,
        "--replay",
        &replay,
        "--confirm",
        "1",
        "--quiet",
        "1",
    ]);
    let finished = harness::run(&mut command);
    assert_eq!(finished.code(), Some(1));
    assert!(
        finished.stderr.contains("no rate without loss"),
        "{}",
        finished.stderr
    );
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let udp = ["--send", "udp://127.0.0.1:1", "--observe", "json:x"];
    for (arguments, text) in [
        (vec!["--pcap", "x"], "--replay or --inject"),
        (
            [&udp[..], &["--from", "9", "--to", "8"]].concat(),
            "above --to",
        ),
        (
            vec!["--send", "tcp://127.0.0.1:1", "--observe", "json:x"],
            "over udp",
        ),
        (
            vec!["--send", "udp://192.0.2.1:1", "--observe", "json:x"],
            "--allow-remote",
        ),
        (
            vec!["--send", "udp://127.0.0.1:0", "--observe", "json:x"],
            "port 0",
        ),
    ] {
        let mut command = Command::new(program("t2check"));
        let finished = harness::run(command.arg("load").args(&arguments));
        assert_eq!(finished.code(), Some(2), "{arguments:?}");
        assert!(
            finished.stderr.contains(text),
            "{arguments:?}: {}",
            finished.stderr
        );
        assert_eq!(finished.stderr.lines().count(), 1);
    }
}
