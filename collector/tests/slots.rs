//! Slot files: rotation, sources, restart, crash, full disk, and the command line's failures.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use golden::harness::slot_files;
use nix::sys::signal::Signal;
use support::wire::{self, FIELDS};
use support::{Collector, flows, nfdump, t2collect, the_file};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn message(sequence: u32, port: u16) -> Vec<u8> {
    wire::v9(
        sequence,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(port, 1, 100)]),
        ],
    )
}

#[test]
fn every_slot_has_a_file_even_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::udp(&["-t", "2", "-w", path(directory.path())]);
    collector.send(&[message(1, 1)]);
    collector.wait_for("Flows: 1, Packets: 1, Bytes: 100");
    collector.wait_for("Flows: 0, Packets: 0, Bytes: 0");
    collector.send(&[message(2, 2)]);
    collector.wait_for("Flows: 1, Packets: 1, Bytes: 100");
    collector.stop();
    let files = slot_files(directory.path());
    assert!((3..=6).contains(&files.len()), "{files:?}");
    for file in &files {
        // Slots shorter than a minute carry seconds, and are aligned.
        let digits = file
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .strip_prefix("nfcapd.")
            .unwrap();
        assert_eq!(digits.len(), 14, "{digits}");
        assert_eq!(digits.as_bytes()[13] % 2, 0, "{digits}");
    }
    let seen: Option<Vec<String>> = files
        .iter()
        .map(|file| flows(file, "%sp").map(|ports| ports.join(" ")))
        .collect();
    let Some(seen) = seen else { return };
    assert_eq!(
        seen.iter()
            .filter(|ports| !ports.is_empty())
            .cloned()
            .collect::<Vec<_>>(),
        ["1", "2"]
    );
}

#[test]
fn the_tutorials_line_works_as_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = t2collect();
    // Only the port is ours: 9995 may be in use here.
    command
        .current_dir(directory.path())
        .args("-p 0 -T all -B 1000000 -n sourcename,127.0.0.1,.".split(' '));
    let mut collector = Collector::start(&mut command, 1);
    collector.addresses[0].set_ip("127.0.0.1".parse().unwrap());
    collector.send(&[message(1, 1)]);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .log
            .contains("Option -T all no longer supported and ignored"),
        "{}",
        ended.log
    );
    assert!(ended.log.contains("receive buffer"), "{}", ended.log);
    assert!(
        ended.log.contains("Ident: 'sourcename' Flows: 1,"),
        "{}",
        ended.log
    );
    if let Some(info) = nfdump(&the_file(directory.path()), &["-I"]) {
        assert!(info.contains("Ident: sourcename"), "{info}");
    }
}

#[test]
fn sources_have_their_own_files_and_strangers_none() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sources = [
        format!("one,127.0.0.1,{}", path(one.path())),
        format!("two,127.0.0.2,{}", path(two.path())),
    ];
    let collector = Collector::start(
        t2collect().args(["-p", "0", "-4", "-n", &sources[0], "-n", &sources[1]]),
        1,
    );
    let target = ("127.0.0.1", collector.addresses[0].port());
    for (sender, port) in [
        ("127.0.0.1:0", 1),
        ("127.0.0.2:0", 2),
        ("127.0.0.3:0", 3),
        ("127.0.0.3:0", 4),
    ] {
        UdpSocket::bind(sender)
            .unwrap()
            .send_to(&message(1, port), target)
            .unwrap();
    }
    let ended = collector.stop();
    for ident in ["one", "two"] {
        assert!(
            ended.log.contains(&format!("Ident: '{ident}' Flows: 1,")),
            "{}",
            ended.log
        );
    }
    assert_eq!(
        ended.log.matches("127.0.0.3 is not a source").count(),
        1,
        "{}",
        ended.log
    );
    assert!(
        ended.log.contains("2 packets of unknown senders"),
        "{}",
        ended.log
    );
    let (Some(first), Some(second)) = (
        flows(&the_file(one.path()), "%sp"),
        flows(&the_file(two.path()), "%sp"),
    ) else {
        return;
    };
    assert_eq!(
        (first, second),
        (vec!["1".to_owned()], vec!["2".to_owned()])
    );
}

#[test]
fn ipv4_exporters_through_the_dual_stack_socket_are_ipv4() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(
        t2collect().args(["-p", "0", "-w", path(directory.path())]),
        1,
    );
    collector.addresses[0].set_ip("127.0.0.1".parse().unwrap());
    collector.send(&[message(1, 1)]);
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
    if let Some(seen) = flows(&the_file(directory.path()), "%ra") {
        assert_eq!(seen, ["127.0.0.1"]);
    }
}

#[test]
fn a_restart_within_the_slot_adds_to_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["-y", "-t", "86400", "-w", path(directory.path())];
    for port in [1, 2, 3] {
        let collector = Collector::udp(&arguments);
        collector.send(&[message(1, port)]);
        assert_eq!(collector.stop().code, Some(0));
    }
    let file = the_file(directory.path());
    let Some(seen) = flows(&file, "%sp") else {
        return;
    };
    assert_eq!(seen, ["1", "2", "3"]);
    let info = nfdump(&file, &["-I"]).unwrap();
    assert!(
        info.contains("Flows: 3\n") && info.contains("Bytes: 300\n"),
        "{info}"
    );
}

#[test]
fn what_a_killed_collector_left_is_recovered_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["-t", "86400", "-w", path(directory.path())];
    let collector = Collector::udp(&arguments);
    collector.send(&[message(1, 1)]);
    // Blocks are on disk after ten seconds at the latest.
    std::thread::sleep(Duration::from_secs(12));
    collector.signal(Signal::SIGKILL);
    assert_eq!(collector.wait().code, None);
    assert!(slot_files(directory.path()).is_empty());

    let collector = Collector::udp(&arguments);
    collector.send(&[message(1, 2)]);
    let ended = collector.stop();
    assert!(
        ended.log.contains("unfinished file recovered as"),
        "{}",
        ended.log
    );
    assert_eq!(
        directory.path().read_dir().unwrap().count(),
        1,
        "something is left over"
    );
    let Some(seen) = flows(&the_file(directory.path()), "%sp") else {
        return;
    };
    assert_eq!(seen, ["1", "2"]);
}

#[test]
fn a_full_disk_costs_the_rest_of_the_slot_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    // A limit on the size of a file looks to the program like a full disk: 2 MiB, in units of 512 or 1024 octets.
    let script = format!(
        "trap '' XFSZ; ulimit -f 2048; exec {} -p 0 -b 127.0.0.1 -t 86400 -w {}",
        env!("CARGO_BIN_EXE_t2collect"),
        path(directory.path())
    );
    let mut collector =
        Collector::start(Command::new("sh").args(["-c", &script]).env("TZ", "UTC"), 1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.send_from(&socket, &[message(1, 1)]);
    for sequence in 2..1200 {
        let records: Vec<_> = (0..30).map(|n| wire::flow(n, 1, 100)).collect();
        collector.send_from(
            &socket,
            &[wire::v9(sequence, 30, &[wire::set(256, &records)])],
        );
        if sequence % 20 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    collector.wait_for("flow records are dropped until the disk takes them again");
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(
        ended.log.matches("are dropped until").count(),
        1,
        "{}",
        ended.log
    );
    let (before, _) = ended
        .log
        .split_once(" flow records could not be written")
        .unwrap_or_else(|| panic!("{}", ended.log));
    let lost: usize = before.rsplit(' ').next().unwrap().parse().unwrap();
    let Some(seen) = flows(&the_file(directory.path()), "%sp") else {
        return;
    };
    assert!(seen.len() > 5000, "{}", seen.len());
    assert_eq!(
        seen.len() + lost,
        1 + 1198 * 30,
        "stored and lost are all that were sent"
    );
    let lost: usize = ended
        .log
        .lines()
        .find_map(|l| {
            l.split_once("' ")?
                .1
                .split_once(" flow records could not")?
                .0
                .parse()
                .ok()
        })
        .unwrap();
    assert_eq!(seen.len() + lost, 1 + 30 * 1198, "{}", ended.log);
}

fn run(arguments: &[&str]) -> Output {
    t2collect().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port().to_string();
    let output = run(&["-p", &port, "-b", "127.0.0.1", "-w", path(directory.path())]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("cannot listen on udp 127.0.0.1:") && said.contains("in use"),
        "{said}"
    );

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", tcp.local_addr().unwrap());
    let output = run(&["--listen", &url, "-w", path(directory.path())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cannot listen on tcp"),
        "{}",
        stderr(&output)
    );
    // Nothing was begun.
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

#[test]
fn failures_before_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let output = run(&["-p", "0", "-w", path(&missing)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("missing: No such file"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stderr(&output).lines().count(), 1);
    for usage in [
        &["-n", "only-a-name"][..],
        &["-n", "a,not-an-address,."],
        &["--no-such-option"],
        &["-t", "0"],
    ] {
        let output = run(usage);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{usage:?}: {}",
            stderr(&output)
        );
    }
    let output = run(&["-V"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("t2collect "));
}

#[test]
fn without_a_directory_the_environment_decides() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = t2collect();
    command
        .args(["-p", "0", "-b", "127.0.0.1"])
        .env("T2_FLOWS", directory.path());
    let collector = Collector::start(&mut command, 1);
    collector.send(&[message(1, 1)]);
    let ended = collector.stop();
    assert!(ended.log.contains("$T2_FLOWS"), "{}", ended.log);
    the_file(directory.path());
}

#[test]
fn each_signal_finishes_the_slot() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let directory = tempfile::tempdir().unwrap();
        let collector = Collector::udp(&["-w", path(directory.path())]);
        collector.send(&[message(1, 1)]);
        collector.signal(signal);
        let ended = collector.wait();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.log);
        assert!(ended.log.contains("Flows: 1,"), "{signal}: {}", ended.log);
        the_file(directory.path());
    }
}
