//! Templates and sequence numbers over a restart of the collector, and what tells exporters apart.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use golden::harness;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::wire::{self, FIELDS, IPFIX_FIELDS, flow, set, template, v9};
use support::{Collector, http};

/// Starts a collector, sends it datagrams from these sockets, and gives its log once it has ended.
fn run(folder: &Path, extra: &[&str], sent: &[(&UdpSocket, Vec<u8>)]) -> String {
    let json = folder.join("records.json");
    let arguments = [&["--no-nfcapd", "--json", json.to_str().unwrap()], extra].concat();
    let collector = Collector::udp(&arguments);
    for (socket, datagram) in sent {
        collector.send_from(socket, std::slice::from_ref(datagram));
    }
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    ended.log
}

fn records(folder: &Path) -> usize {
    let text = fs::read_to_string(folder.join("records.json")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn templates_outlive_a_restart_and_a_damaged_file_does_not_matter() {
    let folder = harness::temp_dir();
    let state = folder.path().join("templates.json");
    let keep = ["--state", state.to_str().unwrap()];
    let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let definition = v9(0, 1, &[set(0, &[template(256, &FIELDS)])]);
    let data = v9(1, 1, &[set(256, &[flow(1, 1, 1)])]);
    run(folder.path(), &keep, &[(&exporter, definition)]);
    let log = run(folder.path(), &keep, &[(&exporter, data.clone())]);
    assert!(log.contains("1 of 1 templates are still good"), "{log}");
    assert_eq!(records(folder.path()), 1);
    // Nothing but the file is left behind.
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["records.json", "templates.json"]);
    // Cut in the middle, and of another form: a warning, and data without a template.
    let whole = fs::read_to_string(&state).unwrap();
    for damaged in [
        &whole[..whole.len() / 2],
        &whole.replace("\"form\":1", "\"form\":9"),
        "",
    ] {
        fs::write(&state, damaged).unwrap();
        let log = run(folder.path(), &keep, &[(&exporter, data.clone())]);
        assert!(log.contains("begun without it"), "{log}");
        assert_eq!(records(folder.path()), 1);
    }
    // Older than its lifetime.
    let seen = whole.split("\"seen_ms\":").nth(1).unwrap();
    let seen = seen.split(',').next().unwrap();
    fs::write(&state, whole.replace(seen, "1000")).unwrap();
    let log = run(folder.path(), &keep, &[(&exporter, data)]);
    assert!(log.contains("0 of 1 templates are still good"), "{log}");
}

#[test]
fn ports_of_one_exporter() {
    let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let definition = v9(0, 1, &[set(0, &[template(256, &FIELDS)])]);
    // Number 7 of its own port; of the address as a whole six are missing.
    let data = v9(7, 1, &[set(256, &[flow(1, 1, 1)])]);
    let sent = [(&one, definition), (&other, data)];
    for (key, records_seen) in [("address+port", 1), ("address", 2)] {
        let folder = harness::temp_dir();
        let log = run(folder.path(), &["--events", "--session-key", key], &sent);
        let text = fs::read_to_string(folder.path().join("records.json")).unwrap();
        let of = |kind: &str| text.matches(&format!("\"kind\":\"{kind}\"")).count();
        assert_eq!(
            (of("flow"), of("loss")),
            (1, records_seen - 1),
            "{key}: {text}"
        );
        let borrowed = log.contains("1 data sets read by templates of another port");
        assert_eq!(borrowed, key == "address+port", "{log}");
    }
}

/// The message of v5, v9 and IPFIX exporters behind so many messages of two flows each.
fn exporters(messages: u32) -> [Vec<u8>; 3] {
    let (v5, v9) = ([(1, 1, 100); 2], [flow(1, 1, 100), flow(2, 1, 100)]);
    let ipfix = [wire::ipfix_flow(1, 1, 100), wire::ipfix_flow(2, 1, 100)];
    [
        wire::v5(2 * messages, &v5),
        wire::v9(
            messages,
            3,
            &[set(0, &[template(256, &FIELDS)]), set(256, &v9)],
        ),
        wire::ipfix(
            2 * messages,
            &[set(2, &[template(256, &IPFIX_FIELDS)]), set(256, &ipfix)],
        ),
    ]
}

/// What is told as missing, in the order of versions.
fn told(folder: &Path) -> Vec<u64> {
    let text = fs::read_to_string(folder.join("records.json")).unwrap();
    let mut losses: Vec<(u64, u64)> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "loss")
        .map(|line| {
            (
                line["version"].as_u64().unwrap(),
                line["missing"].as_u64().unwrap(),
            )
        })
        .collect();
    losses.sort_unstable();
    losses.into_iter().map(|(_, missing)| missing).collect()
}

/// Runs a collector, with state, for messages of three exporters with these numbers.
fn run_with_state(folder: &Path, sockets: &[UdpSocket; 3], numbers: &[u32]) -> String {
    let state = folder.join("state.json");
    let datagrams = numbers.iter().map(|&number| exporters(number));
    let sent: Vec<_> = datagrams
        .flat_map(|three| sockets.iter().zip(three))
        .collect();
    let keep = ["--events", "--state", state.to_str().unwrap()];
    run(folder, &keep, &sent)
}

#[test]
fn what_is_lost_while_the_collector_is_restarted_is_counted() {
    let folder = harness::temp_dir();
    let folder = folder.path();
    let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    run_with_state(folder, &sockets, &[0, 1, 2]);
    assert_eq!(told(folder), [0; 0]);
    // Five messages of two flows each come while nobody listens; the next one tells.
    run_with_state(folder, &sockets, &[8, 9]);
    assert_eq!(told(folder), [10, 5, 10]);
    // Nothing was lost: nothing more is told.
    run_with_state(folder, &sockets, &[10]);
    assert_eq!(told(folder), [10, 5, 10]);
    // The exporters begin anew: no loss, and what follows is counted again.
    run_with_state(folder, &sockets, &[0, 1, 2, 3, 5]);
    assert_eq!(told(folder), [2, 10, 1, 5, 2, 10]);
}

/// Three exporters that go on sending while the collector is restarted, three times: what they sent is what was stored and
/// what was counted.
#[test]
fn while_exporters_go_on_the_collector_is_restarted() {
    let folder = harness::temp_dir();
    let folder = folder.path();
    let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = harness::free_udp_port().to_string();
    let (state, json) = (folder.join("state.json"), folder.join("records.json"));
    let start = || {
        let mut command = support::t2collect();
        command.args(["-b", "127.0.0.1", "-p", &port, "--no-nfcapd", "--events"]);
        command.arg("--state").arg(&state).arg("--json").arg(&json);
        Collector::start(&mut command, 1)
    };
    let collector = start();
    let (to, stop) = (collector.addresses[0], AtomicBool::new(false));
    let (collector, sent) = thread::scope(|scope| {
        let mut collector = collector;
        let sender = scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) && number < 200_000 {
                for (socket, datagram) in sockets.iter().zip(exporters(number)) {
                    socket.send_to(&datagram, to).unwrap();
                }
                number += 1;
                thread::sleep(Duration::from_micros(500));
            }
            number
        });
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(300));
            assert_eq!(collector.stop().code, Some(0));
            thread::sleep(Duration::from_millis(100));
            collector = start();
        }
        stop.store(true, Ordering::Relaxed);
        (collector, sender.join().unwrap())
    });
    // Messages that arrive, so that nothing is missing behind the last one.
    for (socket, datagram) in sockets.iter().zip(exporters(sent)) {
        collector.send_from(socket, &[datagram]);
    }
    collector.stop();
    let text = fs::read_to_string(json).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut stored, mut missing) = ([0; 3], [0; 3]);
    for line in lines {
        let version = [5, 9, 10]
            .into_iter()
            .position(|version| line["version"] == version);
        match line["kind"].as_str() {
            Some("flow") => stored[version.unwrap()] += 1,
            Some("loss") => missing[version.unwrap()] += line["missing"].as_u64().unwrap(),
            Some("recovered") => panic!("nothing was reordered: {line}"),
            _ => {}
        }
    }
    // Messages of two flows each: v9 counts messages.
    let sent = u64::from(sent + 1);
    println!("{sent} messages of each sent; flows stored {stored:?}, missing {missing:?}");
    let counted = [missing[0], 2 * missing[1], missing[2]];
    for (stored, counted) in stored.into_iter().zip(counted) {
        assert_eq!(stored + counted, 2 * sent);
        assert!(counted > 0);
    }
}

#[test]
fn after_a_crash_nothing_is_told_as_lost_that_was_stored() {
    let folder = harness::temp_dir();
    let folder = folder.path();
    let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    run_with_state(folder, &sockets, &[0, 1]);
    let state = folder.join("state.json");
    let keep = [
        "--metrics",
        "127.0.0.1:0",
        "--state",
        state.to_str().unwrap(),
    ];
    let here = ["-w", folder.to_str().unwrap()];
    let mut collector = Collector::udp(&[&keep[..], &here].concat());
    let metrics = collector.metrics();
    for number in 2..5 {
        for (socket, datagram) in sockets.iter().zip(exporters(number)) {
            collector.send_from(socket, &[datagram]);
        }
    }
    http::wait_metric(metrics, "t2collect_messages_total", 9);
    collector.signal(Signal::SIGKILL);
    collector.wait();
    // What its file said before was good for one start.
    run_with_state(folder, &sockets, &[5]);
    assert_eq!(told(folder), [0; 0]);
}
