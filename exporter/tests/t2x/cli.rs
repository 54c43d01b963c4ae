//! `t2x` as a command: what it says and how it ends when something is wrong.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use crate::support::{Capture, Collector, decode};
use assert_cmd::Command;

/// `t2x` with an environment of its own.
pub fn t2x() -> Command {
    let mut command = Command::cargo_bin("t2x").unwrap();
    for name in [
        "NF_VER",
        "NF_SERVADD",
        "NF_DPORT",
        "NF_SOCKTYPE",
        "NF_NUM4FLWS",
        "NF_NUM6FLWS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it; says how it ended and the last line of standard error.
fn run(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap_or_default().to_owned();
    (output.status.code().unwrap(), last)
}

/// It fails before it begins: nothing but one line on standard error.
pub fn fails(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

pub fn read(path: &Path) -> Command {
    let mut command = t2x();
    command.arg("-r").arg(path);
    command
}

/// A file with two flows.
fn two_flows() -> Capture {
    Capture::new()
        .udp(0, (1, 2), (5000, 6000), 10)
        .udp(1000, (3, 4), (5000, 6000), 20)
}

#[test]
fn wrong_usage() {
    let usage = |args: &[&str]| fails(t2x().args(args), 2);
    assert_eq!(
        usage(&[]),
        "t2x: nothing to read: give a capture with -r FILE, standard input with -r -, a list of captures with -R LIST, numbered ones with -D EXPR, or an interface with -i IFACE"
    );
    let unknown = usage(&["-r", "x", "--nf-prt", "1"]);
    assert!(
        unknown.starts_with(
            "t2x: unexpected argument '--nf-prt' found; tip: a similar argument exists: '--nf-port'"
        ),
        "{unknown}"
    );
    assert!(
        usage(&["-r", "x", "--nf-version", "5"])
            .contains("'--nf-version <9|10>': 9 or 10 expected")
    );
    assert!(usage(&["-r", "x", "--nf-port", "70000"]).contains("a port from 1 to 65535 expected"));
    assert!(
        usage(&["-r", "x", "--sink", "txt"]).contains("invalid value 'txt' for '--sink <SINK>'")
    );
    assert!(usage(&["-r", "x", "--mtu", "70000"]).contains("a number from 300 to 65535 expected"));
    assert!(usage(&["-r", "x", "--rate", "fast"]).contains("or unlimited, expected"));
    assert!(usage(&["-r", "x", "--tcp-timeouts", "1,2"]).contains("five times in seconds"));
    let variable = fails(t2x().args(["-r", "x"]).env("NF_DPORT", "https"), 2);
    assert_eq!(
        variable,
        "t2x: environment variable NF_DPORT=https: a port from 1 to 65535 expected"
    );
}

#[test]
fn help_and_version() {
    let help = t2x().arg("--help").output().unwrap();
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for word in ["--nf-addr", "NF_SERVADD", "--time-rule", "--idle-timeout"] {
        assert!(text.contains(word), "{text}");
    }
    t2x()
        .arg("--version")
        .assert()
        .success()
        .stdout(format!("t2x {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn captures_that_cannot_be_read() {
    let missing = fails(&mut read(Path::new("/nonexistent/x.pcap")), 1);
    assert_eq!(
        missing,
        "t2x: /nonexistent/x.pcap: cannot open the capture: No such file or directory (os error 2)"
    );
    let folder = tempfile::tempdir().unwrap();
    let directory = fails(&mut read(folder.path()), 1);
    assert!(
        directory.ends_with("Is a directory (os error 21)"),
        "{directory}"
    );
    let text = Capture(b"not a capture".to_vec()).file();
    let text = fails(&mut read(text.path()), 1);
    assert!(
        text.ends_with(": not a pcap or pcapng capture: it starts with 6e 6f 74 20"),
        "{text}"
    );
    let nothing = Capture(Vec::new()).file();
    let nothing = fails(&mut read(nothing.path()), 1);
    assert!(
        nothing.ends_with(": not a capture: the file is empty"),
        "{nothing}"
    );
    let fddi = Capture::of_link_type(10).file();
    let fddi = fails(&mut read(fddi.path()), 1);
    assert!(
        fddi.ends_with(": link type FDDI (10) is not supported"),
        "{fddi}"
    );
    let input = fails(t2x().args(["-r", "-"]).write_stdin("what is this"), 1);
    assert_eq!(
        input,
        "t2x: standard input: not a pcap or pcapng capture: it starts with 77 68 61 74"
    );
}

#[test]
fn a_cut_capture_is_sent_up_to_the_cut() {
    let collector = Collector::new();
    let mut capture = two_flows();
    capture.0.truncate(capture.0.len() - 5);
    let file = capture.file();
    let (code, last) = run(read(file.path()).args(["--nf-port", &collector.port()]));
    assert_eq!(code, 1);
    let path = file.path().display();
    assert_eq!(
        last,
        format!(
            "t2x: {path}: the capture is cut: the packet at offset 92 needs 78 octets, 73 are there"
        )
    );
    assert_eq!(collector.records().len(), 1);
}

#[test]
fn an_absurd_length_is_not_believed() {
    let collector = Collector::new();
    let mut capture = two_flows();
    let length = capture.0.len();
    capture = capture.udp(2000, (5, 6), (1, 2), 3);
    capture.0[length + 8..length + 12].copy_from_slice(&0x7fff_0000_u32.to_le_bytes());
    let (code, last) = run(read(capture.file().path()).args(["--nf-port", &collector.port()]));
    assert_eq!(code, 1);
    assert!(
        last.ends_with("the packet at offset 170 claims 2147418112 octets, the limit is 262144"),
        "{last}"
    );
    assert_eq!(collector.records().len(), 2);
}

#[test]
fn collectors_that_cannot_be_reached() {
    let file = two_flows().file();
    let host = fails(
        read(file.path()).args(["--nf-addr", "no.such.name.invalid"]),
        1,
    );
    assert!(
        host.starts_with("t2x: cannot resolve the collector's name no.such.name.invalid: "),
        "{host}"
    );
    let by_variable = fails(
        read(file.path()).env("NF_SERVADD", "no.such.name.invalid"),
        1,
    );
    assert_eq!(by_variable, host);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let tcp = fails(
        read(file.path()).args(["--nf-socktype", "tcp", "--nf-port", &port]),
        1,
    );
    assert_eq!(
        tcp,
        format!(
            "t2x: cannot reach the collector 127.0.0.1:{port} over TCP (is it started?): Connection refused (os error 111)"
        )
    );
    // Over UDP nobody can know: no failure, but it is told.
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let output = read(file.path())
        .args(["--nf-port", &port])
        .output()
        .unwrap();
    assert!(output.status.success());
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(
        report.contains("Datagrams refused: no collector listens: 1\n"),
        "{report}"
    );
}

#[test]
fn option_over_environment_over_default() {
    let (by_option, by_variable) = (Collector::new(), Collector::new());
    let file = two_flows().file();
    read(file.path())
        .env("NF_DPORT", by_variable.port())
        .env("NF_VER", "10")
        .assert()
        .success();
    let records = by_variable.records();
    assert_eq!((records.len(), records[0].message.version), (2, 10));
    read(file.path())
        .env("NF_DPORT", by_variable.port())
        .env("NF_VER", "10")
        .env("NF_NUM4FLWS", "1")
        .args(["--nf-port", &by_option.port(), "--nf-version", "9"])
        .assert()
        .success();
    assert_eq!(by_variable.datagrams().len(), 0);
    let datagrams = by_option.datagrams();
    let records = decode(&datagrams);
    assert_eq!(
        (datagrams.len(), records.len(), records[0].message.version),
        (2, 2, 9)
    );
}

#[test]
fn text_that_cannot_be_written() {
    let file = two_flows().file();
    let folder = fails(
        read(file.path()).args(["--sink", "text", "-w", "/nonexistent/prefix"]),
        1,
    );
    assert!(
        folder.starts_with("t2x: cannot write /nonexistent/prefix_flows.txt: "),
        "{folder}"
    );
    let mut full = std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"));
    full.arg("-r")
        .arg(file.path())
        .args(["--sink", "text", "-w", "-"]);
    full.stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = full.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("t2x: cannot write standard output: ") && last.contains("No space left"),
        "{last}"
    );
}

#[test]
fn both_sinks_of_one_run() {
    let collector = Collector::new();
    let folder = tempfile::tempdir().unwrap();
    let file = two_flows().file();
    read(file.path())
        .args([
            "--sink",
            "text",
            "--sink",
            "netflow",
            "--nf-port",
            &collector.port(),
            "-w",
        ])
        .arg(folder.path().join("out"))
        .assert()
        .success();
    assert_eq!(collector.records().len(), 2);
    let flows = std::fs::read_to_string(folder.path().join("out_flows.txt")).unwrap();
    let lines: Vec<_> = flows.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].starts_with("%dir\t"),
        "{flows}"
    );
    assert!(folder.path().join("out_headers.txt").is_file());
}

#[test]
fn the_report_tells_what_was_done() {
    let collector = Collector::new();
    let file = two_flows().arp(2000).file();
    let output = read(file.path())
        .args(["--nf-port", &collector.port()])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let report = String::from_utf8(output.stderr).unwrap();
    let lines = [
        "Link type: ETHERNET (1)",
        "First packet: 1258544215.037210000 s (Wed 18 Nov 2009 11:36:55 UTC)",
        "Capture duration: 0.002000000 s",
        "Read: 100.00 %",
        "Packets: 3",
        "IPv4 packets: 2 [66.67 %]",
        "UDP packets: 2 [66.67 %]",
        "Flows: 3",
        "Flows without IP: 1 [33.33 %]",
        "Flows without IP, not sent: 1",
        &format!(
            "NetFlow: NetFlow v9 over UDP to 127.0.0.1:{}",
            collector.port()
        ),
        "Profile: t2",
        "Octets of: layer 7 payload",
        "Sent messages: 1",
        "Sent flow records: 2",
    ];
    for line in lines {
        assert!(
            report.lines().any(|found| found == line),
            "{line}\n{report}"
        );
    }
    assert_eq!(collector.records().len(), 2);
}

#[test]
fn an_empty_capture_is_fine() {
    let file = Capture::new().file();
    let output = read(file.path()).args(["--nf-port", "9"]).output().unwrap();
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("Flows: 0\n")
    );
}

#[test]
fn json_has_the_text_columns() {
    let file = two_flows().file();
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("out");
    let mut command = read(file.path());
    command.args(["--sink", "text,json", "-w"]).arg(&prefix);
    let (code, last) = run(&mut command);
    assert_eq!(code, 0, "{last}");
    let read_file = |ending: &str| std::fs::read_to_string(folder.path().join(ending)).unwrap();
    let (text, json) = (read_file("out_flows.txt"), read_file("out_flows.json"));
    assert_eq!(json.lines().count() + 1, text.lines().count());
    let names = text.lines().next().unwrap().trim_start_matches('%');
    for (row, object) in text.lines().skip(1).zip(json.lines()) {
        assert!(
            object.starts_with("{\"dir\":\"") && object.ends_with("\"}"),
            "{object}"
        );
        for (name, value) in names.split('\t').zip(row.split('\t')) {
            if value.bytes().all(|octet| octet.is_ascii_digit()) && !value.is_empty() {
                let member = format!("\"{name}\":");
                let at = object.find(&member).unwrap() + member.len();
                let found = object[at..].trim_start_matches('[');
                assert!(found.starts_with(value), "{name}: {value} in {object}");
            }
        }
    }
}
