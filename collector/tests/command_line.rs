//! The command line: nfcapd's options and its name, the configuration file, the background.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use golden::harness::{PATIENCE, skip, slot_files, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::wire::{self, FIELDS};
use support::{Collector, flows, nfdump, t2collect, the_file};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn message(port: u16) -> Vec<u8> {
    wire::v9(
        1,
        2,
        &[
            wire::set(0, &[wire::template(256, &FIELDS)]),
            wire::set(256, &[wire::flow(port, 1, 100)]),
        ],
    )
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// The program under another name.
fn called(name: &str, directory: &Path) -> Command {
    let link = directory.join(name);
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_t2collect"), &link).unwrap();
    }
    let mut command = Command::new(&link);
    command.env("TZ", "UTC").env_remove("NFCONF");
    command
}

#[test]
fn called_nfcapd_it_is_nfcapd() {
    let folder = tempfile::tempdir().unwrap();
    let flowdir = tempfile::tempdir().unwrap();
    let nfcapd = || called("nfcapd", folder.path());
    // Version, messages and exit codes as nfcapd 1.7.1 was seen to give them.
    let (code, said, _) = run(nfcapd().arg("-V"));
    assert_eq!((code, said.as_str()), (Some(0), "nfcapd: Version: 1.7.1\n"));
    let (code, _, said) = run(nfcapd().env("T2_FLOWS", flowdir.path()));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("ERROR, No source configurations found"),
        "{said}"
    );
    assert_eq!(run(nfcapd().arg("-q")).0, Some(1));
    assert_eq!(run(nfcapd().args(["-w", "/no/such"])).0, Some(1));

    // nfcapd 1.6's line: -w stands alone, -l is the directory, -T is accepted.
    let dir = path(flowdir.path());
    let mut collector = Collector::start(
        nfcapd().args([
            "-w", "-T", "all", "-p", "0", "-I", "x", "-l", dir, "-t", "86400",
        ]),
        1,
    );
    // IPv4 only, as nfcapd.
    assert!(collector.addresses[0].is_ipv4());
    collector.addresses[0].set_ip("127.0.0.1".parse().unwrap());
    collector.send(&[message(1)]);
    let ended = collector.stop();
    let source = format!("Add flow source: ident: x, IP: any IP, flowdir: {dir}");
    assert!(ended.log.contains(&source), "{}", ended.log);
    assert!(ended.log.contains("Ident: 'x' Flows: 1,"), "{}", ended.log);
}

#[test]
fn options_that_cannot_be_followed_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let dir = path(folder.path());
    for (line, reason) in [
        ("-m /tmp/s", "--metrics"),
        ("-n ../../x,127.0.0.1,.", "without spaces or '/'"),
        ("-s 0", "invalid sampling rate"),
        ("-z=zstd:99", "levels of ZSTD"),
        ("-x \"a", "quotation mark"),
        ("-J 127.0.0.1", "not a multicast group"),
        ("-R 127.0.0.1/99999", "the port is not a number"),
        ("-D -f x", "cannot be used with"),
    ] {
        let mut command = t2collect();
        if !line.starts_with("-n") {
            command.args(["-w", dir]);
        }
        let (code, _, said) = run(command.args(line.split(' ')));
        assert_eq!(code, Some(2), "{line}: {said}");
        assert!(said.contains(reason), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn assumed_sampling_multiplies_what_tells_none() {
    let told = |options: &[&str], datagram: Vec<u8>| {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["-t", "86400", "-w", path(folder.path())];
        arguments.extend(options);
        let collector = Collector::udp(&arguments);
        collector.send(&[datagram]);
        collector.stop();
        flows(&the_file(folder.path()), "%pkt %byt")
    };
    let Some(seen) = told(&["-s", "10"], message(1)) else {
        return;
    };
    assert_eq!(seen, ["10 1000"]);
    assert_eq!(told(&[], message(1)).unwrap(), ["1 100"]);
    // A v5 header that says 1 of 4.
    let mut v5 = wire::v5(0, &[(1, 1, 100)]);
    v5[22..24].copy_from_slice(&4_u16.to_be_bytes());
    assert_eq!(told(&["-s", "10"], v5.clone()).unwrap(), ["4 400"]);
    assert_eq!(told(&["-s", "-10"], v5).unwrap(), ["10 1000"]);
}

#[test]
fn names_follow_the_zone_asked_for() {
    let name = |options: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = t2collect();
        command
            .env("TZ", "IST-5:30")
            .args([
                "-p",
                "0",
                "-b",
                "127.0.0.1",
                "-t",
                "86400",
                "-w",
                path(folder.path()),
            ])
            .args(options);
        Collector::start(&mut command, 1).stop();
        let mut found = Vec::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => found.push(path),
                }
            }
        }
        assert_eq!(found.len(), 1, "{found:?}");
        let relative = found[0].strip_prefix(folder.path()).unwrap();
        path(relative).to_owned()
    };
    // A day begins at midnight, of the zone or of UTC.
    assert!(name(&[]).ends_with("0000"));
    assert!(name(&["-Z"]).ends_with("0000+0530"));
    assert!(name(&["--utc", "-Z"]).ends_with("0000+0000"));
    let hierarchy = name(&["-S", "8"]);
    assert!(hierarchy.contains("/00/nfcapd."), "{hierarchy}");
}

#[test]
fn a_configuration_file_says_what_a_command_line_can() {
    let folder = tempfile::tempdir().unwrap();
    let flowdir = tempfile::tempdir().unwrap();
    let file = folder.path().join("t2collect.toml");
    let text = format!(
        "# a comment\nport = 0\nbind = \"127.0.0.1\"\ndirectory = \"{}\"\nident = \"from-file\"\ninterval = 86400\n",
        path(flowdir.path())
    );
    fs::write(&file, &text).unwrap();
    let line = ["--config", path(&file)];
    let (code, said, _) = run(t2collect().args(line).arg("--check-config"));
    assert_eq!(code, Some(0), "{said}");

    let collector = Collector::start(t2collect().args(line), 1);
    let ended = collector.stop();
    assert!(ended.log.contains("Ident: 'from-file'"), "{}", ended.log);
    assert_eq!(slot_files(flowdir.path()).len(), 1);

    // The command line comes first, then the environment.
    let other = tempfile::tempdir().unwrap();
    let mut command = t2collect();
    command
        .args(line)
        .args(["-I", "typed"])
        .env("T2_FLOWS", other.path());
    let ended = Collector::start(&mut command, 1).stop();
    assert!(ended.log.contains("Ident: 'typed'"), "{}", ended.log);
    assert_eq!(slot_files(other.path()).len(), 1);

    fs::write(&file, format!("{text}intervall = 3\n")).unwrap();
    let (code, _, said) = run(t2collect().args(line).arg("--check-config"));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("t2collect.toml:7: unknown setting 'intervall', did you mean 'interval'?"),
        "{said}"
    );
}

#[test]
fn nfdumps_configuration_file_names_sources() {
    let folder = tempfile::tempdir().unwrap();
    let flowdir = tempfile::tempdir().unwrap();
    let file = folder.path().join("nfdump.conf");
    let text = format!(
        "[nfcapd]\nexporter.router = [\"127.0.0.1\", \"{}\"]\n",
        path(flowdir.path())
    );
    fs::write(&file, text).unwrap();
    let collector = Collector::udp(&["-C", path(&file)]);
    collector.send(&[message(1)]);
    let ended = collector.stop();
    assert!(
        ended.log.contains("Ident: 'router' Flows: 1,"),
        "{}",
        ended.log
    );
    if let Some(info) = nfdump(&the_file(flowdir.path()), &["-I"]) {
        assert!(info.contains("Ident: router"), "{info}");
    }
    fs::write(&file, "[nfcapd]\nexporter.router = [\"127.0.0.1\"]\n").unwrap();
    let (code, _, said) = run(t2collect().args(["-C", path(&file)]));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("nfdump.conf: exporter.router: expected"),
        "{said}"
    );
}

#[test]
fn in_the_background_it_goes_on_and_the_pid_file_tells_who() {
    let folder = tempfile::tempdir().unwrap();
    let flowdir = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let line = |port: u16| {
        let mut command = t2collect();
        command
            .args([
                "-D",
                "-b",
                "127.0.0.1",
                "-t",
                "86400",
                "-p",
                &port.to_string(),
            ])
            .args(["-P", path(&pid_file), "-w", path(flowdir.path())]);
        command
    };
    let (code, _, said) = run(&mut line(port));
    assert_eq!(code, Some(0), "{said}");
    let pid: i32 = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm.trim(), "t2collect");
    // A second one finds the first.
    let (code, _, said) = run(&mut line(0));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("another collector runs as process {pid}")),
        "{said}"
    );

    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(&message(7), ("127.0.0.1", port))
        .unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    wait_until("the end", PATIENCE, || !pid_file.exists());
    wait_until("the end of the process", PATIENCE, || {
        !Path::new(&format!("/proc/{pid}")).exists()
            || fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
    });
    let Some(seen) = flows(&the_file(flowdir.path()), "%sp") else {
        return;
    };
    assert_eq!(seen, ["7"]);

    // What goes wrong before it is ready is told, and is the exit code.
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (code, _, said) = run(&mut line(taken.local_addr().unwrap().port()));
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot listen on udp"), "{said}");
}

#[test]
fn a_multicast_group_is_joined() {
    if fs::read_to_string("/proc/net/route")
        .unwrap()
        .lines()
        .count()
        < 2
    {
        skip("this machine has no network to join a group in");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(
        t2collect().args(["-J", "224.0.0.251", "-p", "0", "-w", path(folder.path())]),
        1,
    );
    let group = fs::read_to_string(format!("/proc/{}/net/igmp", collector.pid())).unwrap();
    assert_eq!(collector.addresses[0].ip().to_string(), "224.0.0.251");
    // Octets in reverse, as the kernel prints them.
    assert!(group.contains("FB0000E0"), "{group}");
    assert_eq!(collector.stop().code, Some(0));
}
