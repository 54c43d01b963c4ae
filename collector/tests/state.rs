//! Templates over a restart of the collector, and what tells exporters apart.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use golden::harness;
use support::Collector;
use support::wire::{FIELDS, flow, set, template, v9};

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
