//! Several sinks at once: files in parts, sockets, and what happens when one of them fails.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cli::{fails, read, t2x};
use crate::support::{Capture, Collector, flow_lines};
use serde_json::Value;

/// So many flows, each of one packet.
fn flows(number: u16) -> Capture {
    (0..number).fold(Capture::new(), |capture, n| {
        let hosts = ((n / 250) as u8 + 1, 200);
        capture.udp(u64::from(n) * 10, hosts, (n + 1000, 53), 10)
    })
}

/// Runs it; exit code and what was said.
fn run(command: &mut assert_cmd::Command) -> (i32, String) {
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), told)
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The parts, one after the other, are what is written without parts.
#[test]
fn files_in_parts_are_the_whole() {
    let file = flows(25).file();
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = read(file.path());
        command
            .current_dir(folder.path())
            .args(["--sink", "text,json"])
            .args(args);
        command.assert().success();
    };
    run(&["-w", "whole"]);
    for (size, start, parts) in [("10f", 0, 3), ("0.005Kf", 7, 5), ("1Kf", 0, 1)] {
        run(&["-W", &format!("part:{size},{start}")]);
        for ending in ["_flows.txt", "_flows.json"] {
            let number = |part: usize| format!("part{ending}{}", start + part);
            let all: String = (0..parts)
                .map(|part| text(folder.path(), &number(part)))
                .collect();
            assert_eq!(
                all,
                text(folder.path(), &format!("whole{ending}")),
                "{size} {ending}"
            );
            assert!(
                !folder.path().join(number(parts)).exists(),
                "{size} {ending}"
            );
            for part in 0..parts {
                std::fs::remove_file(folder.path().join(number(part))).unwrap();
            }
        }
        // Without the names of the columns: 25 flows in files of 10, of 5, of 1000.
        assert_eq!(
            text(folder.path(), "part_headers.txt"),
            text(folder.path(), "whole_headers.txt")
        );
    }
    // A line of JSON has more than 1000 octets: each file ends with the line that reaches 1 KB.
    run(&["-W", "part:1K"]);
    let json = text(folder.path(), "whole_flows.json");
    for (number, line) in json.lines().enumerate() {
        assert!(line.len() > 1000);
        assert_eq!(
            text(folder.path(), &format!("part_flows.json{number}")),
            format!("{line}\n")
        );
    }
}

#[test]
fn wrong_parts() {
    let usage = |value: &str| fails(t2x().args(["-r", "x", "--sink", "text", "-W", value]), 2);
    assert!(
        usage("x:0")
            .contains("a size of at least 1 expected, such as 1.5M octets or 10Kf flows, not 0")
    );
    assert!(usage("x:1T").contains("a size of at least 1"));
    assert!(usage("x:1K,y").contains("a number expected behind the comma, not y"));
    assert!(usage("-").contains("the prefix of the files' names expected"));
    let both = fails(t2x().args(["-r", "x", "-w", "a", "-W", "b"]), 2);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn the_report_in_a_file() {
    let file = flows(3).file();
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "text", "-w", "out", "-l"]);
    assert_eq!(run(&mut command), (0, String::new()));
    assert!(text(folder.path(), "out_log.txt").contains("\nFlows: 3\n"));
    // Trouble is told in both places.
    let mut cut = flows(3);
    cut.0.truncate(cut.0.len() - 1);
    let cut = cut.file();
    let mut command = read(cut.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "json", "-w", "cut", "-l", "--report=json"]);
    let (code, told) = run(&mut command);
    let report: Value = serde_json::from_str(&text(folder.path(), "cut_log.txt")).unwrap();
    let failure = report["failures"][0].as_str().unwrap();
    assert_eq!((code, told), (1, format!("t2x: {failure}\n")));
}

/// What a program receives that listens on TCP.
fn listen(listener: &TcpListener) -> String {
    let mut all = String::new();
    listener
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut all)
        .unwrap();
    all
}

#[test]
fn a_socket_gets_what_a_file_gets() {
    let file = flows(2000).file();
    let folder = tempfile::tempdir().unwrap();
    // Nobody reads there meanwhile: what was sent counts.
    let collector = Collector::new();
    for (content, ending) in [("text", "_flows.txt"), ("json", "_flows.json")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let got = std::thread::spawn(move || listen(&listener));
        let mut command = read(file.path());
        command.current_dir(folder.path());
        command.args([
            "--sink",
            "text,json,socket,netflow",
            "-w",
            "out",
            "--socket-content",
            content,
        ]);
        command
            .args(["--nf-port", &collector.port()])
            .env("SKS_DPORT", &port);
        let (code, told) = run(&mut command);
        assert!(
            code == 0 && told.contains("Sent flow records: 2000 "),
            "{told}"
        );
        assert_eq!(
            got.join().unwrap(),
            text(folder.path(), &format!("out{ending}")),
            "{content}"
        );
    }
}

#[test]
fn datagrams_hold_one_flow_each() {
    let file = flows(20).file();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "socket,text", "-w", "out"]);
    command.args(["--socket-type", "udp", "--socket-port", &port]);
    command.assert().success();
    let expect = text(folder.path(), "out_flows.txt");
    let mut buffer = [0; 65_536];
    for line in expect.split_inclusive('\n') {
        let octets = socket.recv(&mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..octets]).unwrap(), line);
    }
}

#[test]
fn a_socket_nobody_listens_on() {
    let file = flows(3).file();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let alone = fails(
        read(file.path()).args(["--sink", "socket", "--socket-port", &port.to_string()]),
        1,
    );
    assert!(
        alone.starts_with(&format!(
            "t2x: cannot write 127.0.0.1:{port} over TCP: Connection refused"
        )),
        "{alone}"
    );
    // Others get their flows nevertheless.
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "socket,json", "-w", "out"]);
    let (code, told) = run(command.args(["--socket-port", &port.to_string()]));
    assert_eq!((code, told.lines().last()), (1, Some(alone.as_str())));
    assert_eq!(text(folder.path(), "out_flows.json").lines().count(), 3);
}

/// Who goes away loses what it does not read, which is told; the other sinks have everything.
#[test]
fn a_socket_that_breaks_leaves_the_others_alone() {
    let file = flows(20_000).file();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let peer = std::thread::spawn(move || {
        let mut lines = BufReader::new(listener.accept().unwrap().0).lines();
        lines.next().unwrap().unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command.current_dir(folder.path()).args([
        "--sink",
        "socket,text",
        "-w",
        "out",
        "--report=json",
    ]);
    let (code, told) = run(command.args(["--socket-port", &port]));
    assert!(peer.join().unwrap().starts_with("%dir\t"));
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&told).unwrap();
    let failures = report["failures"].as_array().unwrap();
    let lost = failures.iter().map(|failure| {
        let failure = failure.as_str().unwrap();
        assert!(
            failure.starts_with(&format!("cannot write 127.0.0.1:{port} over TCP: ")),
            "{failure}"
        );
        let flows = failure
            .rsplit_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(" flows are lost)"));
        flows.map_or(0, |flows| flows.parse::<u64>().unwrap())
    });
    let lost: u64 = lost.sum();
    assert!(lost > 0 && lost <= 20_000, "{told}");
    assert_eq!(flow_lines(&text(folder.path(), "out_flows.txt")), 20_000);
}

/// A new connection begins with the names of the columns again.
#[test]
fn a_socket_is_connected_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("t2x"))
        .args([
            "-r",
            "-",
            "--sink",
            "socket",
            "--socket-port",
            &port,
            "--report=json",
        ])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || {
        // Each packet ends the flow of the one before. What comes after the break is lost until the next try.
        let mut octets = Capture::new().0;
        for n in 0..100_000_u64 {
            octets.extend(
                &Capture::new()
                    .udp(n * 200_000_000, (1, 2), (5000, 53), 10)
                    .0[24..],
            );
            if octets.len() > 20_000 || n == 99_999 {
                std::io::Write::write_all(&mut input, &std::mem::take(&mut octets)).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let mut first = BufReader::new(listener.accept().unwrap().0).lines();
    assert!(first.next().unwrap().unwrap().starts_with("%dir\t"));
    drop(first);
    let second = BufReader::new(listener.accept().unwrap().0).lines();
    let mut second = second.map(Result::unwrap);
    assert!(second.next().unwrap().starts_with("%dir\t"));
    let got = second
        .map(|line| assert!(line.starts_with("A\t"), "{line}"))
        .count();
    feed.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["flows"]["flows"], 100_000);
    assert!(got > 0 && got < 100_000, "{got}");
    assert!(told.contains("flows are lost)"), "{told}");
    let socket = |name| report["socket"][name].as_u64().unwrap();
    assert_eq!(socket("reconnects"), 1);
    assert_eq!(socket("flows") + socket("lostFlows"), 100_000, "{told}");
}

/// Of a full disk the flows that are not on it are counted; the other sinks have everything.
#[test]
fn a_full_disk_takes_only_its_own_sink() {
    let file = flows(20_000).file();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("out_flows.txt")).unwrap();
    let collector = Collector::new();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "text,json,netflow", "-w", "out"]);
    let (code, told) = run(command.args(["--rate", "20000", "--nf-port", &collector.port()]));
    assert_eq!(code, 1);
    let last = told.lines().last().unwrap();
    assert_eq!(
        last,
        "t2x: cannot write out_flows.txt: No space left on device (os error 28) (20000 flows are lost)"
    );
    assert_eq!(
        text(folder.path(), "out_flows.json").lines().count(),
        20_000
    );
    assert!(told.contains("Sent flow records: 20000 "), "{told}");
}

/// On a file system of 64 KiB what fits is kept, and what does not is counted.
#[test]
fn what_fits_on_a_small_disk_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=640k", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("skipped: only root can mount");
        return;
    }
    let file = flows(5_000).file();
    let mut command = read(file.path());
    command
        .args(["--sink", "json", "-w"])
        .arg(folder.path().join("out"));
    let (code, told) = run(&mut command);
    let kept = std::fs::read_to_string(folder.path().join("out_flows.json"));
    let unmounted = Command::new("umount").arg(folder.path()).status().unwrap();
    assert!(unmounted.success());
    let whole = kept
        .unwrap()
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .count();
    assert_eq!(code, 1);
    let last = told.lines().last().unwrap();
    assert!(whole > 100, "{whole}");
    assert!(
        last.ends_with(&format!("({} flows are lost)", 5_000 - whole)),
        "{whole}: {last}"
    );
}

#[test]
fn a_directory_nobody_may_write_to() {
    let file = flows(3).file();
    let folder = tempfile::tempdir().unwrap();
    let mut command = read(file.path());
    command
        .current_dir(folder.path())
        .args(["--sink", "text,socket", "-w", "none/out"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    command.args([
        "--socket-port",
        &listener.local_addr().unwrap().port().to_string(),
    ]);
    let got = std::thread::spawn(move || listen(&listener));
    let (code, told) = run(&mut command);
    assert_eq!(code, 1);
    let last = told.lines().last().unwrap();
    assert_eq!(
        last,
        "t2x: cannot write none/out_flows.txt: No such file or directory (os error 2)"
    );
    assert_eq!(flow_lines(&got.join().unwrap()), 3);
}
