//! `t2x -i` on a pair of interfaces between two network namespaces, with tcpreplay at the other end; and what a running
//! t2x tells.
#![allow(clippy::unwrap_used, missing_docs)]

mod namespaces;
mod path;
mod running;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use golden::harness::{self, Finished, PATIENCE, Service, program, skip, temp_dir};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;

use namespaces::Namespaces;

/// Packets and connections of the replica, as its plan has them.
const PACKETS: u64 = 5902;
const FLOWS: usize = 72;

fn replica(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("replica.pcap");
    std::fs::write(&path, golden::replica::capture().unwrap()).unwrap();
    path
}

/// The last line of standard error, a report in JSON.
fn report(ended: &Finished) -> Value {
    let last = ended.stderr.lines().last().unwrap();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr))
}

/// Without times, what the text sink says of each flow: addresses, ports, protocol, packets, octets.
fn flows(text: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(text).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split('\t').collect();
    let wanted = [
        "srcIP",
        "srcPort",
        "dstIP",
        "dstPort",
        "l4Proto",
        "pktsSnt",
        "l7BytesSnt",
    ];
    let at = wanted.map(|wanted| names.iter().position(|name| *name == wanted).unwrap());
    let mut flows: Vec<_> = lines
        .map(|line| {
            let values: Vec<_> = line.split('\t').collect();
            at.iter()
                .map(|at| values[*at].to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    flows.sort_unstable();
    flows
}

/// Replays the replica to a t2x with these options, until the interface has received everything.
fn replayed(spaces: &Namespaces, folder: &Path, options: &[&str]) -> Option<Service> {
    let tcpreplay = harness::peer("tcpreplay")?;
    let mut command = spaces.near(&program("t2x"));
    command
        .args([
            "-i",
            &spaces.near_interface,
            "--report",
            "json",
            "-M",
            "0.2",
            "-w",
        ])
        .arg(folder.join("live"))
        .args(options);
    let mut t2x = Service::spawn(&mut command);
    t2x.wait_for_line("\"kind\":\"status\"");
    let mut replay = spaces.far(&tcpreplay);
    replay
        .args(["-q", "-t", "-i", &spaces.far_interface])
        .arg(replica(folder));
    harness::run(&mut replay).success();
    t2x.wait_for_line(&format!("\"received\":{PACKETS}"));
    Some(t2x)
}

#[test]
fn every_packet_is_metered_or_counted_as_lost() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    for options in [
        &["--sink", "text"][..],
        &["--sink", "text", "--no-io-buffering"],
    ] {
        let folder = temp_dir();
        let Some(t2x) = replayed(&spaces, folder.path(), options) else {
            return;
        };
        t2x.signal(Signal::SIGINT);
        let told = report(&t2x.wait(PATIENCE).success());
        let input = &told["inputs"][0];
        let number = |name: &str| input[name].as_u64().unwrap();
        let lost = number("kernelDropped") + number("ringDropped");
        assert_eq!(number("received"), PACKETS, "{input}");
        assert_eq!(number("packets") + lost, PACKETS, "{input}");
        assert_eq!((number("interfaceDropped"), number("clockSteps")), (0, 0));
        assert_eq!(told["run"]["stopped"], true);
        if lost > 0 {
            skip(&format!("{lost} packets were lost: flows are not compared"));
            continue;
        }
        let mut of_file = Command::new(program("t2x"));
        of_file
            .arg("-r")
            .arg(folder.path().join("replica.pcap"))
            .args(["--sink", "text", "-w"])
            .arg(folder.path().join("file"));
        harness::run(&mut of_file).success();
        let live = flows(&folder.path().join("live_flows.txt"));
        assert_eq!(live.len(), FLOWS);
        assert_eq!(live, flows(&folder.path().join("file_flows.txt")));
    }
}

#[test]
fn the_kernel_applies_the_filter() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    let Some(tcpreplay) = harness::peer("tcpreplay") else {
        return;
    };
    let folder = temp_dir();
    let capture = replica(folder.path());
    // How many there are says the filter of files, which libpcap's own test agrees with.
    let filter = ["tcp", "port", "21"];
    let mut of_file = Command::new(program("t2x"));
    of_file
        .arg("-r")
        .arg(&capture)
        .args(["--report", "json", "--sink", "text", "-w"]);
    of_file.arg(folder.path().join("file")).args(filter);
    let told = report(&harness::run(&mut of_file).success());
    let wanted = told["packets"]["packets"].as_u64().unwrap();
    assert!(wanted > 0 && wanted < PACKETS);
    let mut command = spaces.near(&program("t2x"));
    command.args([
        "-i", "any", "--report", "json", "-M", "0.2", "--sink", "text", "-w",
    ]);
    command.arg(folder.path().join("live")).args(filter);
    let mut t2x = Service::spawn(&mut command);
    t2x.wait_for_line("\"kind\":\"status\"");
    let mut replay = spaces.far(&tcpreplay);
    replay
        .args(["-q", "-t", "-i", &spaces.far_interface])
        .arg(&capture);
    harness::run(&mut replay).success();
    t2x.wait_for_line(&format!("\"packets\":{wanted}"));
    t2x.signal(Signal::SIGTERM);
    let told = report(&t2x.wait(PATIENCE).success());
    assert_eq!(told["inputs"][0]["linkType"], "LINUX_SLL (113)");
    assert_eq!(told["packets"]["packets"], wanted);
}

#[test]
fn flows_end_while_no_packet_comes() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    let folder = temp_dir();
    let options = [
        "--sink",
        "text",
        "--idle-timeout",
        "1",
        "--tcp-timeouts",
        "1,1,1,1,0.1",
    ];
    let Some(mut t2x) = replayed(&spaces, folder.path(), &options) else {
        return;
    };
    let ended = t2x.wait_for_line("\"flowsInMemory\":0");
    // The first reports have no flows yet.
    let ended = if ended.contains("\"flowsEnded\":0") {
        t2x.wait_for_line(&format!("\"flowsEnded\":{FLOWS}"))
    } else {
        ended
    };
    let told: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!(told["now"]["flowsInMemory"], 0);
    // What has ended is in the file before the end of the run.
    let path = folder.path().join("live_flows.txt");
    harness::wait_until("the flows are written", PATIENCE, || {
        flows(&path).len() == FLOWS
    });
    t2x.signal(Signal::SIGINT);
    t2x.wait(PATIENCE).success();
}

#[test]
fn an_interface_that_disappears_ends_the_run_with_its_flows() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    let folder = temp_dir();
    let Some(t2x) = replayed(&spaces, folder.path(), &["--sink", "text"]) else {
        return;
    };
    spaces.remove_link();
    let ended = t2x.wait(PATIENCE);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let told = report(&ended);
    let failure = told["failures"][0].as_str().unwrap();
    let start = format!("{}: capturing ended: ", spaces.near_interface);
    assert!(failure.starts_with(&start), "{failure}");
    assert_eq!(told["failures"].as_array().unwrap().len(), 1);
    assert_eq!(told["flows"]["flows"], FLOWS);
    assert_eq!(flows(&folder.path().join("live_flows.txt")).len(), FLOWS);
}

#[test]
fn roots_rights_are_given_up() {
    let Some(spaces) = Namespaces::new() else {
        return;
    };
    let folder = temp_dir();
    let Some(t2x) = replayed(
        &spaces,
        folder.path(),
        &["--sink", "text", "--user", "nobody"],
    ) else {
        return;
    };
    let status = std::fs::read_to_string(format!("/proc/{}/status", t2x.pid())).unwrap();
    let uid = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    let uids: Vec<_> = uid.split_whitespace().skip(1).collect();
    assert!(
        uids.iter().all(|uid| *uid == uids[0] && *uid != "0"),
        "{uid}"
    );
    t2x.signal(Signal::SIGINT);
    let told = report(&t2x.wait(PATIENCE).success());
    assert_eq!(told["packets"]["packets"], PACKETS);
}

#[test]
fn interfaces_that_are_not_there_or_not_to_be_had() {
    let ended = harness::run(Command::new(program("t2x")).args(["-i", "no-such-if"]));
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended
            .stderr
            .starts_with("t2x: no interface no-such-if: there are ")
            && ended.stderr.contains(" lo"),
        "{}",
        ended.stderr
    );
    let mut command = Command::new(program("t2x"));
    command.args(["-i", "lo"]);
    if geteuid().is_root() {
        // Nobody may not: if the folder of the programs is closed to others, nothing can be started there.
        command.uid(65534);
        let tried = Command::new(program("t2x"))
            .arg("--version")
            .uid(65534)
            .output();
        if tried.is_err() {
            return skip("only root can start the programs here");
        }
    }
    let ended = harness::run(&mut command);
    assert_eq!(ended.code(), Some(1));
    for word in [
        "t2x: lo: not permitted to capture",
        "setcap cap_net_raw,cap_net_admin+eip",
        "--user",
    ] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1);
}
