//! `t2check` on small captures and sockets: verdicts, reports, exit codes, bad input.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

mod support;
use support::{frame, hex, ipfix, overrun, pcap};

/// A folder for one test.
struct Dir(TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, octets: &[u8]) -> String {
        fs::write(self.path(name), octets).unwrap();
        self.path(name).display().to_string()
    }
}

fn command() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
}

fn t2check(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Verdict and count of one rule in the JSON report.
fn verdict(json: &serde_json::Value, id: &str) -> (String, u64) {
    let results = json["results"].as_array().unwrap();
    let result = results.iter().find(|result| result["id"] == id).unwrap();
    let verdict = result["verdict"].as_str().unwrap().to_owned();
    (verdict, result["count"].as_u64().unwrap())
}

#[test]
fn the_catalogue() {
    let list = t2check(&["list"]);
    assert_eq!(code(&list), 0);
    let text = out(&list);
    let rules = text.lines().take_while(|line| !line.is_empty()).count();
    assert_eq!(rules, 174);
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("RFC 5471"))
            .count(),
        42
    );
    assert!(text.contains("\n171 requirements, 3 more for NetFlow v5, 42 tests of RFC 5471\n"));

    let explained = out(&t2check(&["explain", "t-20"]));
    assert!(explained.starts_with("T-20: "));
    assert!(explained.contains("RFC 7011 8.1"));
    assert!(explained.contains("profile 5101    message discarded, session closed"));
    assert!(explained.contains("RFC 5471 3.2.5.2, test 7"));

    let unknown = t2check(&["explain", "T20x"]);
    assert_eq!(code(&unknown), 2);
    assert_eq!(
        err(&unknown),
        "t2check: there is no rule \"T20x\": did you mean T-20?\n"
    );
}

#[test]
fn a_good_capture_passes_and_gives_the_same_reports_twice() {
    let dir = Dir::new();
    let capture = dir.write(
        "good.pcap",
        &pcap(&[frame(4739, &ipfix(0)), frame(4739, &ipfix(1))]),
    );
    let reports = |number: u32| {
        let [json, junit, html] =
            ["json", "xml", "html"].map(|kind| dir.path(&format!("{number}.{kind}")));
        let run = command()
            .args(["exporter", "--capture", &capture, "--json"])
            .arg(&json)
            .arg("--junit")
            .arg(&junit)
            .arg("--html")
            .arg(&html)
            .output()
            .unwrap();
        assert_eq!(code(&run), 0, "{}", out(&run));
        [json, junit, html]
            .map(|path| fs::read_to_string(path).unwrap())
            .to_vec()
    };
    let first = reports(1);
    assert_eq!(first, reports(2));
    let json: serde_json::Value = serde_json::from_str(&first[0]).unwrap();
    assert_eq!(json["results"].as_array().unwrap().len(), 174);
    assert_eq!(verdict(&json, "S-09"), ("PASS".to_owned(), 0));
    assert_eq!(verdict(&json, "H-20"), ("PASS".to_owned(), 0));
    assert_eq!(verdict(&json, "T-18"), ("NOT APPLICABLE".to_owned(), 0));
}

#[test]
fn a_fault_is_found_shown_and_kept() {
    let dir = Dir::new();
    let capture = dir.write(
        "bad.pcap",
        &pcap(&[frame(4739, &ipfix(0)), frame(4739, &overrun())]),
    );
    let html = dir.path("report.html");
    let kept = dir.path("kept");
    let run = command()
        .args(["exporter", "--capture", &capture, "--json", "-", "--html"])
        .arg(&html)
        .arg("--pcap-dir")
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(code(&run), 3);
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let results = json["results"].as_array().unwrap();
    let found = results
        .iter()
        .find(|result| result["id"] == "S-09")
        .unwrap();
    assert_eq!(found["count"], 1);
    assert_eq!(found["first"]["message"], 2);
    assert_eq!(found["first"]["from"], "192.0.2.1:40000");
    let message: String = overrun()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(found["first"]["hex"], message);
    assert!(fs::read_to_string(html).unwrap().contains("<mark>"));

    // What was kept is a capture with the same fault.
    let again = kept.join("S-09.pcap").display().to_string();
    let run = t2check(&["exporter", "--capture", &again, "--only", "S-09"]);
    assert_eq!(code(&run), 3, "{}{}", out(&run), err(&run));
    assert!(out(&run).contains("192.0.2.1:40000 to 192.0.2.9:4739"));

    // Known failures do not count, and one that passes is told.
    let known = dir.write("known", b"# of this exporter\ns-09 lengths\nS-10\n");
    let run = t2check(&[
        "exporter",
        "--capture",
        &capture,
        "--only",
        "S-09,S-10",
        "--known",
        &known,
    ]);
    assert_eq!(code(&run), 0);
    assert!(out(&run).contains("(known)"));
    assert!(out(&run).contains("S-10 is listed as a known failure, and passes"));
    let wrong = dir.write("wrong", b"S-09\nS-99\n");
    let run = t2check(&["exporter", "--capture", &capture, "--known", &wrong]);
    assert_eq!(code(&run), 1);
    assert!(err(&run).contains("wrong, line 2: there is no rule \"S-99\""));
}

/// RFC 7011 section 10.3.5: two collectors, one record a message.
#[test]
fn sessions_with_several_collectors_have_numbers_of_their_own() {
    let dir = Dir::new();
    for (name, per_message, expected) in [("own", 1, "PASS"), ("shared", 2, "DEVIATION")] {
        let frames = (0..12).flat_map(|index| {
            let shared = u32::from(per_message == 2);
            [(4739, 0), (4740, shared)]
                .map(|(port, ahead)| frame(port, &ipfix(index * per_message + ahead)))
        });
        let capture = dir.write(name, &pcap(&frames.collect::<Vec<_>>()));
        let run = t2check(&["exporter", "--capture", &capture, "--json", "-"]);
        let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        // From the eighth message on that goes on where the other session stopped.
        let count = if expected == "PASS" { 0 } else { 24 - 2 - 7 };
        assert_eq!(verdict(&json, "X-11"), (expected.to_owned(), count));
    }
}

#[test]
fn what_is_no_observation_gets_one_line() {
    let dir = Dir::new();
    let [dns, empty, text] = [
        dir.write("dns.pcap", &pcap(&[frame(53, b"no flow message")])),
        dir.write("empty.pcap", b""),
        dir.write("text.pcap", b"not a capture at all, only text"),
    ];
    let missing = dir.path("missing.pcap").display().to_string();
    let cases = [
        (
            &dns,
            "no NetFlow or IPFIX message in 1 frames (1 UDP datagrams, 0 TCP segments",
        ),
        (&empty, "not a capture: the file is empty"),
        (&text, "not a pcap or pcapng capture"),
        (&missing, "cannot open the capture"),
    ];
    for (path, message) in cases {
        let run = t2check(&["exporter", "--capture", path]);
        assert_eq!(code(&run), 1);
        assert!(err(&run).contains(message), "{}", err(&run));
        assert_eq!(err(&run).lines().count(), 1);
        assert_eq!(out(&run), "");
    }
}

#[test]
fn a_cut_capture_is_reported_as_far_as_it_goes() {
    let dir = Dir::new();
    let mut octets = pcap(&[frame(4739, &ipfix(0)), frame(4739, &ipfix(1))]);
    octets.truncate(octets.len() - 5);
    let run = t2check(&["exporter", "--capture", &dir.write("cut.pcap", &octets)]);
    assert_eq!(code(&run), 1);
    assert!(out(&run).contains(": 1 messages (1 IPFIX)"));
    assert!(err(&run).contains("the capture is cut"));
}

#[test]
fn other_protocols_on_the_port() {
    let dir = Dir::new();
    let noise = [frame(53, b"GET / HTTP/1.1\r\n\r\n"), frame(53, &hex("00"))];
    let capture = dir.write("noise.pcap", &pcap(&noise));
    let run = t2check(&["exporter", "--capture", &capture, "--port", "53"]);
    assert_eq!(code(&run), 1, "{}", out(&run));
    assert!(err(&run).contains("2 of them to the port and something else"));

    // Beside flow messages they are told, and break a rule if they come from the same exporter.
    let mixed = [&[frame(53, &ipfix(0))], &noise[..]].concat();
    let capture = dir.write("mixed.pcap", &pcap(&mixed));
    let run = t2check(&["exporter", "--capture", &capture]);
    assert_eq!(code(&run), 3, "{}", out(&run));
    assert!(out(&run).contains("note: 2 messages are neither"));
    assert!(out(&run).contains("H-01          2"), "{}", out(&run));
}

#[test]
fn wrong_usage() {
    for arguments in [
        "",
        "exporter",
        "exporter --capture a --listen udp://127.0.0.1:1",
        "exporter --listen dccp://127.0.0.1:1",
        "exporter --listen localhost",
        "exporter --listen udp://127.0.0.1:1 --transport tcp",
        "exporter --listen 127.0.0.1:1 --transport dccp",
        "exporter --listen 127.0.0.1:1 --tls-ca a",
        "exporter --listen tls://127.0.0.1:1 --tls-cert a",
        "exporter --listen 127.0.0.1:1 --seconds 0",
        "exporter --capture a --profile 2024",
        "exporter --capture a --port 0",
        "exporter --capture a --replayed",
        "exporter --capture a --seconds 5",
        "exporter --capture a --transport udp",
        "exporter --capture a --only H-02,X-99",
        "exporter --capture a --json - --html -",
        "exporter --capture a --jsn b",
    ] {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let run = t2check(&words);
        assert_eq!(code(&run), 2, "{arguments}: {}", err(&run));
        assert_eq!(out(&run), "", "{arguments}");
        assert_eq!(err(&run).lines().count(), 1, "{arguments}: {}", err(&run));
    }
}

/// What is kept of an offending message can be judged, and read by other programs: the template is in it.
#[test]
fn what_is_kept_can_be_read_by_itself() {
    let dir = Dir::new();
    // The second message has data only, and repeats the number of the first, which came twice.
    let mut data = hex("000a 002c 65920080 00000005 00000007");
    data.extend(hex(
        "0100 001c c0000201 0000000000000064 0000018cc251e7d0 00000000",
    ));
    let capture = pcap(&[ipfix(5), ipfix(5), data].map(|message| frame(4739, &message)));
    let capture = dir.write("bad.pcap", &capture);
    let kept = dir.path("kept").display().to_string();
    let run = t2check(&["exporter", "--capture", &capture, "--pcap-dir", &kept]);
    assert_eq!(code(&run), 3);
    let again = format!("{kept}/H-07.pcap");
    let run = t2check(&["exporter", "--capture", &again]);
    assert_eq!(code(&run), 3);
    assert!(
        out(&run).contains("DEVIATION      H-07          1"),
        "{}",
        out(&run)
    );
    assert!(
        out(&run).contains(": 2 messages (2 IPFIX)"),
        "{}",
        out(&run)
    );
    assert!(
        out(&run).contains("PASS           T-37          2"),
        "{}",
        out(&run)
    );
    assert!(
        out(&run).contains("PASS           H-20          2"),
        "{}",
        out(&run)
    );
}

/// An IPFIX file, and a datagram as vendors keep them.
#[test]
fn files_of_bare_messages() {
    let dir = Dir::new();
    let file = dir.write("two.ipfix", &[ipfix(0), ipfix(1)].concat());
    let run = t2check(&["exporter", "--capture", &file]);
    assert_eq!(code(&run), 0, "{}", out(&run));
    assert!(out(&run).contains(": 2 messages (2 IPFIX)"));
    let kept = dir.path("kept").display().to_string();
    let file = dir.write("bad.ipfix", &[ipfix(0), overrun()].concat());
    let run = t2check(&["exporter", "--capture", &file, "--pcap-dir", &kept]);
    assert_eq!(code(&run), 3);
    assert!(
        out(&run).contains("message 2 of 2024-01-01T00:00:00Z, octet 36"),
        "{}",
        out(&run)
    );
    let again = format!("{kept}/S-09.pcap");
    assert_eq!(code(&t2check(&["exporter", "--capture", &again])), 3);
}

/// The end of a capture, and a reset, may cut a message: nobody's fault.
#[test]
fn a_stream_that_is_not_there_to_its_end() {
    let dir = Dir::new();
    let octets = [ipfix(0), ipfix(1)].concat();
    let segment = |sequence: u32, flags, octets: &[u8]| {
        let (from, to) = (support::exporter(), support::collector(4739));
        support::ethernet(&support::ip(
            from,
            to,
            6,
            &support::tcp(from, to, sequence, flags, octets),
        ))
    };
    let begin = [segment(9, 2, &[]), segment(10, 16, &octets[..100])];
    for (flags, exit) in [(16, 0), (4, 0), (1, 3)] {
        let end = segment(110, flags, &[]);
        let capture = dir.write("cut.pcap", &pcap(&[&begin[..], &[end]].concat()));
        let run = t2check(&["exporter", "--capture", &capture]);
        assert_eq!(code(&run), exit, "{flags}: {}", out(&run));
        assert_eq!(
            out(&run).contains("inside a message"),
            exit == 0,
            "{}",
            out(&run)
        );
    }
}

/// Reports that cannot be written are told before anything is read; a full disk is a failure.
#[test]
fn reports_that_cannot_be_written() {
    let dir = Dir::new();
    let capture = dir.write("good.pcap", &pcap(&[frame(4739, &ipfix(0))]));
    let folder = dir.path("").display().to_string();
    let missing = dir.path("no/such/report").display().to_string();
    let blocked = dir.write("file", b"");
    let below = format!("{blocked}/kept");
    for (option, target) in [
        ("--html", "/dev/full"),
        ("--junit", "/dev/full"),
        ("--json", folder.as_str()),
        ("--junit", missing.as_str()),
        ("--pcap-dir", below.as_str()),
    ] {
        let run = t2check(&["exporter", "--capture", &capture, option, target]);
        assert_eq!(code(&run), 1, "{option} {target}");
        assert!(err(&run).contains("cannot write"), "{}", err(&run));
        assert_eq!(err(&run).lines().count(), 1, "{}", err(&run));
    }
    let run = t2check(&["exporter", "--capture", &capture, "--junit", "-"]);
    assert_eq!(code(&run), 0);
    assert!(out(&run).starts_with("<?xml"));
}
