//! Numbered captures, read as they appear.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::cli::t2x;
use crate::support::{Capture, wait_for_signals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A capture with one packet of a flow of its own.
fn packet(host: u8) -> Vec<u8> {
    let at = u64::from(host) * 1000;
    Capture::new().udp(at, (host, 200), (5000, 53), 10).0
}

fn start(folder: &tempfile::TempDir, expression: &str) -> Child {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"));
    command.current_dir(folder.path());
    command.args([
        "-D", expression, "--sink", "text", "-w", "out", "--report", "json",
    ]);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// How it ended, and its report.
fn end(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let last = told.lines().last().unwrap();
    let report = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {told}"));
    (output.status.code().unwrap(), report)
}

/// Waits until a process has read a file to its end.
fn wait_for_reading(process: u32, path: &std::path::Path) {
    let size = path.metadata().unwrap().len();
    let read_to = |fd: &std::path::Path| {
        let number = fd.file_name()?.to_str()?;
        let info = std::fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).ok()?;
        info.lines()
            .find_map(|line| line.strip_prefix("pos:"))?
            .trim()
            .parse::<u64>()
            .ok()
    };
    for _ in 0..1000 {
        let fds = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let mut fds = fds.filter_map(|fd| Some(fd.ok()?.path()));
        let opened = fds.find(|fd| std::fs::read_link(fd).is_ok_and(|target| target == path));
        if opened.and_then(|fd| read_to(&fd)) == Some(size) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} is not read", path.display());
}

#[test]
fn numbered_captures_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets);
    for (name, host) in [
        ("x.pcap", 1),
        ("x.pcap1", 2),
        ("x.pcap10", 9),
        ("y.pcap2", 9),
    ] {
        write(name, &packet(host)).unwrap();
    }
    let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packed.write_all(&packet(3)).unwrap();
    write("x.pcap2", &packed.finish().unwrap()).unwrap();
    let (code, report) = end(start(&folder, "x.pcap,2"));
    assert_eq!(
        (code, &report["flows"]["flows"]),
        (0, &3.into()),
        "{report}"
    );
    let read: Vec<_> = report["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| &input["path"])
        .collect();
    assert_eq!(read, ["x.pcap", "x.pcap1", "x.pcap2"]);
    assert_eq!(report["inputs"][2]["compression"], "bzip2");
    let (code, report) = end(start(&folder, "*.pcap1:.pcap,2"));
    assert_eq!(
        (code, &report["flows"]["flows"]),
        (0, &2.into()),
        "{report}"
    );
}

#[test]
fn what_is_missing_is_told_and_the_rest_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, host) in [("x.pcap00", 1), ("x.pcap03", 2), ("x.pcap05", 3)] {
        std::fs::write(folder.path().join(name), packet(host)).unwrap();
    }
    std::fs::write(folder.path().join("x.pcap04"), b"rubbish").unwrap();
    let (code, report) = end(start(&folder, "x.pcap00,5"));
    assert_eq!(
        (code, &report["flows"]["flows"]),
        (1, &3.into()),
        "{report}"
    );
    let failures = [
        "x.pcap01 to x.pcap02: no such file, but x.pcap03 is there",
        "x.pcap04: not a pcap or pcapng capture: it starts with 72 75 62 62",
    ];
    assert_eq!(report["failures"], serde_json::json!(failures));
}

/// The first capture is read while it grows; a record that is not complete is waited for until the next capture is
/// there, and only then is it cut.
#[test]
fn captures_are_read_while_they_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (first, second) = (packet(1), packet(2));
    let mut grows = File::create(path("x.pcap0")).unwrap();
    grows.write_all(&first[..10]).unwrap();
    let child = start(&folder, "x.pcap0,1");
    wait_for_signals(child.id());
    std::thread::sleep(Duration::from_millis(300));
    grows.write_all(&first[10..60]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    grows.write_all(&first[60..]).unwrap();
    grows.write_all(&second[24..50]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(path("x.pcap1"), packet(3)).unwrap();
    let (code, report) = end(child);
    assert_eq!(
        (code, &report["flows"]["flows"]),
        (1, &2.into()),
        "{report}"
    );
    let failure = report["failures"][0].as_str().unwrap();
    assert!(
        failure.starts_with("x.pcap0: the capture is cut: the packet at offset 92 needs"),
        "{failure}"
    );
}

#[test]
fn a_signal_ends_the_waiting() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.pcap0"), packet(1)).unwrap();
    let child = start(&folder, "x.pcap0");
    wait_for_signals(child.id());
    wait_for_reading(child.id(), &folder.path().join("x.pcap0"));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let (code, report) = end(child);
    assert_eq!(
        (code, &report["run"]["stopped"]),
        (0, &true.into()),
        "{report}"
    );
    assert_eq!(report["packets"]["packets"], 1, "{report}");
    let nowhere = t2x().args(["-D", "/nonexistent/x.pcap0"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    let text = String::from_utf8(nowhere.stderr).unwrap();
    assert!(
        text.starts_with("t2x: /nonexistent/x.pcap0: cannot look for captures: "),
        "{text}"
    );
}
