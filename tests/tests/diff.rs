//! `t2report diff` on pairs with one known difference, each made by running an exporter or collector otherwise.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use golden::harness::{self, Collected, Collector, Finished};
use tests::udp_payloads;

/// What one side is made from: each is given the collector's port.
type Source<'a> = &'a dyn Fn(u16);

/// The flows that t2collect stored of all sources.
fn stored(sources: &[Source<'_>]) -> Collected {
    let collector = Collector::t2collect(&[]);
    for source in sources {
        source(collector.port());
    }
    collector.stop()
}

/// `t2x -r CAPTURE` with further words.
fn t2x(capture: &Path, words: &[&str], port: u16) {
    let mut t2x = Command::new(harness::program("t2x"));
    t2x.arg("-r")
        .arg(capture)
        .args(["--nf-port", &port.to_string()]);
    harness::run(t2x.args(words)).success();
}

fn diff(a: &Path, b: &Path, words: &[&str]) -> Finished {
    let mut t2report = Command::new(harness::program("t2report"));
    harness::run(t2report.arg("diff").arg(a).arg(b).args(words))
}

/// Compares, and gives each finding's code and sentence.
fn causes(a: &Path, b: &Path, words: &[&str]) -> Vec<(String, String)> {
    let finished = diff(a, b, &[&["-o", "json"], words].concat());
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.text()).expect("valid JSON");
    let findings = report["findings"].as_array().expect("an array of findings");
    let word =
        |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or("").to_owned();
    findings
        .iter()
        .map(|finding| (word(finding, "code"), word(finding, "cause")))
        .collect()
}

/// The only finding is one of this code whose sentence holds this text.
fn only_cause(a: &Path, b: &Path, words: &[&str], code: &str, text: &str) {
    let found = causes(a, b, words);
    match found.as_slice() {
        [(found, sentence)] if found == code && sentence.contains(text) => {}
        _ => panic!("expected only {code} with {text:?}, found {found:?}"),
    }
}

fn evidence03() -> Option<PathBuf> {
    Some(harness::corpus()?.join("tranalyzer/medium/evidence03/evidence03.pcap"))
}

#[test]
fn the_same_export_twice() {
    let Some(capture) = evidence03() else { return };
    let run = || stored(&[&|port| t2x(&capture, &[], port)]);
    let (a, b) = (run(), run());
    let finished = diff(&a.file(), &b.file(), &[]).success();
    assert!(
        finished.text().ends_with("\n63 flows are the same\n"),
        "{}",
        finished.text()
    );
}

#[test]
fn another_option_of_the_exporter() {
    let Some(capture) = evidence03() else { return };
    let a = stored(&[&|port| t2x(&capture, &[], port)]);
    let short = ["--idle-timeout", "20", "--tcp-timeouts", "20,20,20,20,20"];
    for (words, code, text) in [
        (
            &["--active-timeout", "20"][..],
            "active-timeout",
            "B cuts flows that last",
        ),
        (&short, "idle-timeout", "B cuts flows at pauses from 2"),
        (
            &["--bytes", "ip"],
            "other-layer",
            "B counts the bytes of IP, A of layer 7",
        ),
        (
            &["not", "udp"],
            "lost-protocol",
            "B has no flow of protocol UDP",
        ),
    ] {
        let b = stored(&[&|port| t2x(&capture, words, port)]);
        only_cause(&a.file(), &b.file(), &["--ignore", "tcpflags"], code, text);
    }
}

#[test]
fn a_shifted_clock() {
    let (Some(capture), Some(editcap)) = (evidence03(), harness::peer("editcap")) else {
        return;
    };
    let folder = harness::temp_dir();
    let later = folder.path().join("later.pcap");
    harness::run(
        Command::new(editcap)
            .args(["-F", "pcap", "-t", "3600"])
            .arg(&capture)
            .arg(&later),
    )
    .success();
    let a = stored(&[&|port| t2x(&capture, &[], port)]);
    let b = stored(&[&|port| t2x(&later, &[], port)]);
    only_cause(
        &a.file(),
        &b.file(),
        &[],
        "time-shift",
        "B's clock is +3600.000 s later",
    );
}

#[test]
fn a_lost_exporter_and_one_that_comes_twice() {
    let (Some(capture), Some(corpus)) = (evidence03(), harness::corpus()) else {
        return;
    };
    let payloads = udp_payloads(&corpus.join("tranalyzer/medium/ftp-crack/netflow.pcap"));
    let other = |port| {
        let socket =
            UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a free port of 127.0.0.2");
        for payload in &payloads {
            socket
                .send_to(payload, (Ipv4Addr::LOCALHOST, port))
                .expect("a datagram is sent");
            harness::wait_drained(port);
        }
    };
    let one = |port| t2x(&capture, &[], port);
    let (a, b) = (stored(&[&one, &other]), stored(&[&one]));
    only_cause(
        &a.file(),
        &b.file(),
        &[],
        "lost-exporter",
        "B has no flow of exporter 127.0.0.2",
    );
    let twice = stored(&[&one, &one]);
    only_cause(
        &b.file(),
        &twice.file(),
        &[],
        "repeated",
        "B has them more often than A",
    );
}

/// One packet of ten, at random.
fn sampled(capture: &[u8]) -> Vec<u8> {
    let (header, mut rest) = capture.split_at(24);
    let mut out = header.to_vec();
    let mut state = 7u32;
    while rest.len() >= 16 {
        let length: [u8; 4] = rest[8..12].try_into().expect("four octets");
        let (record, next) = rest.split_at(16 + u32::from_le_bytes(length) as usize);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 16 < 6554 {
            out.extend(record);
        }
        rest = next;
    }
    out
}

#[test]
fn a_sample_of_the_packets() {
    let folder = harness::temp_dir();
    let (whole, sample) = (
        folder.path().join("whole.pcap"),
        folder.path().join("sample.pcap"),
    );
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&whole, &bytes).expect("the capture is written");
    std::fs::write(&sample, sampled(&bytes)).expect("the capture is written");
    let a = stored(&[&|port| t2x(&whole, &[], port)]);
    let b = stored(&[&|port| t2x(&sample, &[], port)]);
    only_cause(
        &a.file(),
        &b.file(),
        &[],
        "sampled",
        "B has a sample of A's packets, about 1 of ",
    );
}

#[test]
fn what_nfdump_and_nfcapd_make_of_it() {
    let (Some(capture), Some(nfdump)) = (evidence03(), harness::peer("nfdump")) else {
        return;
    };
    let a = stored(&[&|port| t2x(&capture, &[], port)]);
    let folder = harness::temp_dir();
    let biflows = folder.path().join("biflows");
    harness::run(
        Command::new(nfdump)
            .arg("-r")
            .arg(a.file())
            .args(["-b", "-w"])
            .arg(&biflows),
    )
    .success();
    let found = causes(&a.file(), &biflows, &[]);
    assert_eq!(
        found[0].1, "B has both directions in one record, A in two",
        "{found:?}"
    );
    let Some(scaled) = Collector::nfcapd(&["-s", "-100"]) else {
        return;
    };
    t2x(&capture, &[], scaled.port());
    let ignored = ["--ignore", "flows"];
    let b = scaled.stop();
    only_cause(
        &a.file(),
        &b.file(),
        &ignored,
        "factor",
        "B's counters are 100 times A's",
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let folder = harness::temp_dir();
    let nothing = folder.path().join("nothing");
    let finished = diff(&nothing, folder.path(), &[]);
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("nothing"), "{}", finished.stderr);
    let finished = diff(&nothing, &nothing, &["--ignore", "colour"]);
    assert_eq!(finished.code(), Some(2));
    assert!(
        finished.stderr.contains("no field 'colour'"),
        "{}",
        finished.stderr
    );
    let finished = diff(&nothing, &nothing, &["--ignroe", "x"]);
    assert_eq!(finished.code(), Some(2));
    assert!(finished.stderr.contains("--ignore"), "{}", finished.stderr);
}
