//! What can be read: lists, compressed captures, pipes; filters; and how a run ends that is stopped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::cli::{fails, read, t2x};
use crate::support::{Capture, flow_lines, wait_for_signals};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

/// Two conversations, an ARP frame, and one of them again.
fn traffic() -> Capture {
    Capture::new()
        .udp(0, (1, 2), (5000, 53), 30)
        .udp(500, (3, 4), (6000, 53), 10)
        .arp(600)
        .udp(1000, (2, 1), (53, 5000), 400)
        .udp(2000, (1, 2), (5000, 53), 30)
}

/// The octets of the first packets up to `frames` of [`traffic`], and of the others, each with a file header.
fn halves(frames: usize) -> [Vec<u8>; 2] {
    let Capture(all) = traffic();
    let mut at = 24;
    for _ in 0..frames {
        let length = u32::from_le_bytes(all[at + 8..at + 12].try_into().unwrap());
        at += 16 + length as usize;
    }
    [all[..at].to_vec(), [&all[..24], &all[at..]].concat()]
}

/// Runs `t2x` with a JSON report and flows on standard output; how it ended, the flows, the report.
fn report(arguments: &[&str], folder: &Path) -> (i32, String, Value) {
    let mut command = t2x();
    command.current_dir(folder).args(arguments);
    command.args(["--sink", "text", "-w", "-", "--report", "json"]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let told = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    let flows = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), flows, told)
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, octets) in files {
        std::fs::write(folder.path().join(name), octets).unwrap();
    }
    folder
}

#[test]
fn a_list_is_read_as_one_capture() {
    let [first, second] = halves(3);
    let whole = traffic().0;
    let list = b"# in order of time\nfirst.pcap\n\nsecond.pcap\n";
    let folder = folder(&[
        ("whole.pcap", &whole),
        ("first.pcap", &first),
        ("second.pcap", &second),
        ("list", list),
        ("holes", b"first.pcap\nmissing.pcap\nlist\nsecond.pcap"),
        ("none", b"missing.pcap\nlist"),
        ("empty", b"# nothing\n"),
    ]);
    let (code, expect, _) = report(&["-r", "whole.pcap"], folder.path());
    assert_eq!((code, flow_lines(&expect)), (0, 4));
    let (code, flows, told) = report(&["-R", "list"], folder.path());
    assert_eq!((code, flows.as_str()), (0, expect.as_str()));
    let inputs = told["inputs"].as_array().unwrap();
    let packets = inputs.iter().map(|input| input["packets"].as_u64());
    assert_eq!(packets.collect::<Vec<_>>(), [Some(3), Some(2)]);
    // What cannot be read of a list is told; the rest counts.
    let (code, flows, told) = report(&["-R", "holes"], folder.path());
    assert_eq!((code, flows.as_str()), (1, expect.as_str()));
    let failures = told["failures"].as_array().unwrap();
    let failures: Vec<_> = failures.iter().filter_map(Value::as_str).collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("missing.pcap: cannot open the capture: No such file"));
    assert!(failures[1].starts_with("list: not a pcap or pcapng capture"));
    let inside = |name| {
        let mut command = t2x();
        command.current_dir(folder.path()).args(["-R", name]);
        fails(&mut command, 1)
    };
    let none = inside("none");
    assert!(
        none.starts_with(
            "t2x: none of the 2 captures of none can be read; the first: missing.pcap"
        ),
        "{none}"
    );
    assert_eq!(inside("empty"), "t2x: empty: the list names no capture");
    assert!(inside("nowhere").starts_with("t2x: nowhere: cannot read the list: No such file"));
    // Files are named after the list.
    t2x()
        .current_dir(folder.path())
        .args(["-R", "list", "--sink", "json"])
        .assert()
        .success();
    assert!(folder.path().join("list_flows.json").is_file());
    let both = fails(t2x().args(["-r", "x", "-R", "y"]), 2);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn compressed_captures_are_known_by_their_content() {
    let plain = traffic().0;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&plain).unwrap();
    let lz4 = lz4.finish().unwrap();
    let folder = folder(&[
        ("plain.gz", &plain),
        ("gzip.pcap", &gzip),
        ("zstd.pcap", &zstd),
        ("lz4", &lz4),
        ("cut", &gzip[..gzip.len() - 12]),
        ("list", b"gzip.pcap\nlz4"),
    ]);
    let (code, expect, told) = report(&["-r", "plain.gz"], folder.path());
    assert_eq!((code, &told["inputs"][0]["compression"]), (0, &Value::Null));
    for (name, compression) in [
        ("gzip.pcap", "gzip"),
        ("zstd.pcap", "Zstandard"),
        ("lz4", "LZ4"),
    ] {
        let (code, flows, told) = report(&["-r", name], folder.path());
        assert_eq!((code, flows.as_str()), (0, expect.as_str()), "{name}");
        let input = &told["inputs"][0];
        assert_eq!(input["compression"], compression);
        assert_eq!(input["octets"], plain.len());
        assert_eq!(input["read"], 100.0);
    }
    let (code, _, told) = report(&["-R", "list"], folder.path());
    assert_eq!((code, &told["packets"]["packets"]), (0, &10.into()));
    let (code, _, told) = report(&["-r", "cut"], folder.path());
    assert_eq!(code, 1);
    let failure = told["failures"][0].as_str().unwrap();
    let offset = gzip.len() - 12;
    assert!(
        failure.starts_with(&format!(
            "cut: the gzip data are damaged or cut at offset {offset}: "
        )),
        "{failure}"
    );
}

#[test]
fn filters_choose_packets() {
    let folder = folder(&[
        ("a.pcap", &traffic().0),
        ("filter", b"udp\nand port 5000\n"),
        ("bad", b"udp prt 1"),
    ]);
    let chosen = |arguments: &[&str]| {
        let arguments = [&["-r", "a.pcap"], arguments].concat();
        let (code, flows, told) = report(&arguments, folder.path());
        assert_eq!(code, 0);
        let packets = &told["packets"];
        let (kept, left_out) = (packets["packets"].as_u64(), packets["filtered"].as_u64());
        assert_eq!(kept.unwrap() + left_out.unwrap(), 5);
        (kept.unwrap(), flow_lines(&flows))
    };
    assert_eq!(chosen(&["udp", "port", "5000"]), (3, 2));
    assert_eq!(chosen(&["udp port 5000"]), (3, 2));
    assert_eq!(chosen(&["-F", "filter"]), (3, 2));
    assert_eq!(chosen(&["arp or src host 10.0.0.3"]), (2, 2));
    assert_eq!(chosen(&["tcp"]), (0, 0));
    assert_eq!(chosen(&["not", "ip6"]), (5, 4));
    let usage = |arguments: &[&str]| {
        let mut command = t2x();
        command.current_dir(folder.path());
        fails(command.args(["-r", "a.pcap"]).args(arguments), 2)
    };
    let words = usage(&["udp", "prt", "1"]);
    assert!(
        words.starts_with("t2x: the filter 'udp prt 1' cannot be used on link type ETHERNET (1): ")
            && words.contains("syntax error"),
        "{words}"
    );
    assert_eq!(usage(&["-F", "bad"]), words);
    assert!(usage(&["-F", "filter", "tcp"]).contains("cannot be used with"));
    let mut missing = t2x();
    missing.current_dir(folder.path());
    let missing = fails(missing.args(["-r", "a.pcap", "-F", "nowhere"]), 1);
    assert!(missing.starts_with("t2x: nowhere: cannot read the filter: No such file"));
}

/// A pcapng file: a frame of one interface, Ethernet, and one of another of this link type.
fn two_interfaces(link: u32, other: &[u8]) -> Vec<u8> {
    let block = |kind: u32, words: &[u32], data: &[u8]| {
        let padded = data.len().next_multiple_of(4);
        let length = (12 + 4 * words.len() + padded) as u32;
        let mut octets = Vec::new();
        for word in [kind, length].iter().chain(words) {
            octets.extend(word.to_le_bytes());
        }
        octets.extend(data);
        octets.resize(octets.len() + padded - data.len(), 0);
        octets.extend(length.to_le_bytes());
        octets
    };
    let packet = |interface: u32, data: &[u8]| {
        let length = data.len() as u32;
        block(6, &[interface, 0, 1000, length, length], data)
    };
    let Capture(pcap) = Capture::new().udp(0, (1, 2), (5000, 53), 30);
    [
        block(0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX], &[]),
        block(1, &[1, 0], &[]),
        block(1, &[link, 0], &[]),
        packet(0, &pcap[24 + 16..]),
        packet(1, other),
    ]
    .concat()
}

#[test]
fn what_cannot_be_dissected_or_filtered_is_told() {
    let Capture(pcap) = Capture::new().udp(0, (1, 2), (5000, 53), 30);
    let ip = &pcap[24 + 16 + 14..];
    let folder = folder(&[
        ("fddi.pcapng", &two_interfaces(10, &[0; 60])),
        ("raw.pcapng", &two_interfaces(101, ip)),
    ]);
    let (code, flows, told) = report(&["-r", "fddi.pcapng"], folder.path());
    assert_eq!((code, flow_lines(&flows)), (1, 1));
    let failure = "fddi.pcapng: link type FDDI (10) is not supported: 1 packets left out";
    assert_eq!(told["failures"], serde_json::json!([failure]));
    assert_eq!(told["packets"]["packets"], 2);
    assert_eq!(told["packets"]["unknownLinkType"], 1);
    // The same packet on both: one flow.
    let (code, flows, told) = report(&["-r", "raw.pcapng", "udp port 53"], folder.path());
    assert_eq!((code, flow_lines(&flows)), (0, 1));
    assert_eq!(told["flows"]["packetsPerFlow"], 2.0);
    // Raw IP has no addresses of Ethernet.
    let ethernet = ["-r", "raw.pcapng", "ether src 02:00:00:00:00:01"];
    let (code, _, told) = report(&ethernet, folder.path());
    let packets = &told["packets"];
    assert_eq!(
        (code, &packets["packets"], &packets["filtered"]),
        (1, &1.into(), &1.into())
    );
    let failure = told["failures"][0].as_str().unwrap();
    assert!(
        failure.contains("cannot be used on link type RAW (101): "),
        "{failure}"
    );
}

/// `t2x` reading standard input, its flows and its JSON report on pipes.
fn started(arguments: &[&str]) -> Child {
    std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"))
        .args(arguments)
        .args(["--sink", "text", "-w", "-", "--report", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// SIGINT, when the program is ready for it and has had time to read what is in its pipe.
fn interrupt(child: &Child) {
    wait_for_signals(child.id());
    std::thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
}

#[test]
fn an_interrupt_ends_the_run_with_all_its_flows() {
    let gzip = |octets: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(octets).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref().clone()
    };
    // In the middle of the last packet.
    let part = &traffic().0[..traffic().0.len() - 7];
    for octets in [part.to_vec(), gzip(part)] {
        let mut child = started(&["-r", "-"]);
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&octets).unwrap();
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        drop(pipe);
        let told: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(told["run"]["stopped"], true);
        assert_eq!(told["packets"]["packets"], 4);
        assert_eq!(flow_lines(&String::from_utf8(output.stdout).unwrap()), 4);
    }
}

#[test]
fn an_interrupt_before_the_first_octet_ends_the_run() {
    let mut child = started(&["-r", "-"]);
    let pipe = child.stdin.take();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    drop(pipe);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        told,
        "t2x: standard input: stopped before the capture began\n"
    );
}

#[test]
fn a_named_pipe_that_breaks_off_counts_up_to_there() {
    let folder = folder(&[]);
    let path = folder.path().join("pipe");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let mut child = started(&["-r", path.to_str().unwrap()]);
    drop(child.stdin.take());
    let octets = traffic().0;
    let mut pipe = File::options().write(true).open(&path).unwrap();
    for piece in octets[..octets.len() - 3].chunks(40) {
        pipe.write_all(piece).unwrap();
    }
    drop(pipe);
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    let flows = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(flows.status.code(), Some(1), "{told}");
    assert_eq!(told["packets"]["packets"], 4);
    let failure = told["failures"][0].as_str().unwrap();
    assert!(
        failure.contains("the capture is cut: the packet at offset "),
        "{failure}"
    );
}

#[test]
fn a_full_table_is_told() {
    const ROOM: u64 = 1 << 18;
    let (over, mut capture) = (100, Capture::new());
    for flow in 0..ROOM + over {
        let (host, port) = ((flow >> 16) as u8, (flow & 0xffff) as u16);
        capture = capture.udp(flow, (host, 200), (port.max(1), 9), 0);
    }
    let folder = folder(&[("many.pcap", &capture.0)]);
    let mut command = read(&folder.path().join("many.pcap"));
    command.args(["-f", "1", "--sink", "json", "-w", "-", "--report", "json"]);
    let output = command.output().unwrap();
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    // The ports 0 and 1 of a host are one flow.
    let flows = ROOM + over - 5;
    assert_eq!(told["flows"]["flows"], flows);
    assert_eq!(told["memory"]["maxFlows"], ROOM);
    assert_eq!(told["memory"]["earlyReleased"], flows - ROOM);
    let wrong = fails(read(Path::new("x")).args(["-f", "0"]), 2);
    assert!(
        wrong.contains("a number from 1 to 4096 expected"),
        "{wrong}"
    );
}
