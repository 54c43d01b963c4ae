//! Options of nfcapd's command line one by one: those that need root, the system's log, how much is said, the help.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use golden::harness::{self, PATIENCE, skip, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::wire::{self, FIELDS};
use support::{Collector, binary, is_root, t2collect, the_file};

/// User and group `nobody` and `nogroup` on Debian and its relatives.
const NOBODY: u32 = 65_534;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn message() -> Vec<u8> {
    let template = wire::set(0, &[wire::template(256, &FIELDS)]);
    wire::v9(1, 2, &[template, wire::set(256, &[wire::flow(7, 1, 100)])])
}

/// The four numbers (real, effective, saved, file system) behind a name in `/proc/PID/status`.
fn status(pid: u32, name: &str) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let numbers = line.unwrap().split_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// A port below 1024, which only root may open, that nobody uses.
fn root_port() -> u16 {
    let free = |port: &u16| UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    (600..1024).find(free).unwrap()
}

#[test]
fn with_user_and_group_root_opens_the_port_and_somebody_else_writes() {
    if !is_root() {
        return;
    }
    let port = root_port().to_string();
    for (options, uid, gid) in [
        (&["-u", "nobody"][..], NOBODY, NOBODY),
        (&["-u", "nobody", "-g", "nogroup"], NOBODY, NOBODY),
        (&["-u", "65534", "-g", "daemon"], NOBODY, 1),
        (&["-g", "daemon"], 0, 1),
    ] {
        let directory = tempfile::tempdir().unwrap();
        chown(directory.path(), Some(uid), Some(gid)).unwrap();
        let mut command = t2collect();
        command.args(["-b", "127.0.0.1", "-p", &port, "-w", path(directory.path())]);
        let collector = Collector::start(command.args(options), 1);
        collector.send(&[message()]);
        let pid = collector.pid();
        wait_until("the rights to be given up", PATIENCE, || {
            status(pid, "Gid:") == [gid; 4]
        });
        assert_eq!(status(pid, "Uid:"), [uid; 4], "{options:?}");
        if uid != 0 {
            let groups = status(pid, "Groups:");
            assert!(groups.iter().all(|group| *group == gid), "{groups:?}");
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
        }
        let ended = collector.stop();
        assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
        let file = fs::metadata(the_file(directory.path())).unwrap();
        assert_eq!((file.uid(), file.gid()), (uid, gid), "{options:?}");
    }
}

#[test]
fn nobody_can_become_somebody_who_does_not_exist() {
    let directory = tempfile::tempdir().unwrap();
    for options in [["-u", "no-such-user"], ["-g", "no-such-group"]] {
        let mut command = t2collect();
        command.args(["-b", "127.0.0.1", "-p", "0", "-w", path(directory.path())]);
        let ended = harness::run(command.args(options));
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(options[1]), "{}", ended.stderr);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// In the background messages go to /dev/log, with facility daemon (3) and severities of RFC 3164: in a name space of mounts
/// whose /dev/log is ours.
#[test]
fn the_background_logs_to_syslog() {
    if !is_root() {
        return;
    }
    let (folder, flowdir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dev = folder.path().join("dev");
    fs::create_dir(&dev).unwrap();
    for name in ["null", "urandom"] {
        fs::write(dev.join(name), "").unwrap();
    }
    let log = UnixDatagram::bind(dev.join("log")).unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    let pid_file = folder.path().join("pid");
    let port = harness::free_udp_port();
    let script = format!(
        "for name in null urandom; do mount --bind /dev/$name {dev}/$name || exit 77; done; mount --rbind {dev} /dev || exit 77; \
         exec {} -D -v -P {} -b 127.0.0.1 -p {port} -t 86400 -I x -w {}",
        binary().display(),
        pid_file.display(),
        flowdir.path().display(),
        dev = dev.display(),
    );
    let mut command = Command::new("unshare");
    let started = harness::run(command.args(["-m", "sh", "-c", &script]));
    if started.code() != Some(0) && started.stderr.contains("denied") {
        skip("no right to have mounts of one's own");
        return;
    }
    let pid = fs::read_to_string(&pid_file).unwrap_or_else(|_| panic!("{}", started.stderr));
    let pid: i32 = pid.trim().parse().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&message(), ("127.0.0.1", port)).unwrap();
    // A message that is none: a warning.
    socket.send_to(&[0; 30], ("127.0.0.1", port)).unwrap();
    let until = |text: &str| {
        let mut datagram = [0; 4096];
        loop {
            let length = log.recv(&mut datagram).unwrap();
            let line = String::from_utf8(datagram[..length].to_vec()).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    };
    let debug = until("template 256 with 9 fields");
    assert!(
        debug.starts_with(&format!("<31>t2collect[{pid}]: ")),
        "{debug}"
    );
    let warning = until("127.0.0.1:");
    assert!(warning.starts_with("<28>"), "{warning}");
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let line = until("Ident: 'x' Flows: 1,");
    assert!(line.starts_with("<30>"), "{line}");
    // One message, one datagram, one line.
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn how_much_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let said = |options: &[&str]| {
        let mut arguments = vec!["-t", "86400", "-w", path(directory.path())];
        arguments.extend(options);
        let collector = Collector::udp(&arguments);
        collector.send(&[message()]);
        collector.stop()
    };
    let detail = "template 256 with 9 fields";
    assert!(!said(&[]).log.contains(detail));
    assert!(said(&["-v"]).log.contains(detail));
    // -E: each record on standard output, too.
    let ended = said(&["-E"]);
    assert!(ended.log.contains(detail), "{}", ended.log);
    let record: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(record["fields"]["sourceTransportPort"], 7);
    assert_eq!(record["kind"], "flow");
}

#[test]
fn the_help_names_nfcapds_options() {
    let ended = harness::run(t2collect().arg("-h")).success();
    let text = ended.text();
    for option in "pb46JRInMwltSszyjBexDPugfTvEZVhC".chars() {
        let names = text
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("-{option}")));
        assert!(names, "-{option}: {text}");
    }
}

#[test]
fn ipv6_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = t2collect();
    command.args(["-6", "-p", "0", "-t", "86400", "-w", path(directory.path())]);
    let collector = Collector::start(&mut command, 1);
    let port = collector.addresses[0].port();
    assert!(collector.addresses[0].is_ipv6());
    let four = UdpSocket::bind("127.0.0.1:0").unwrap();
    four.connect(("127.0.0.1", port)).unwrap();
    // Nobody listens there: the second one meets the answer to the first.
    let _ = four.send(&message());
    wait_until("a refusal over IPv4", PATIENCE, || {
        four.send(&message()).is_err()
    });
    let six = UdpSocket::bind("[::1]:0").unwrap();
    six.send_to(&message(), ("::1", port)).unwrap();
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
}
