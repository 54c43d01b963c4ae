//! `t2check collector` as a command: devices that never answer, die or write nonsense.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use golden::harness::{self, Finished, program};

fn t2check(arguments: &[&str]) -> Finished {
    harness::run(
        Command::new(program("t2check"))
            .arg("collector")
            .args(arguments),
    )
}

fn complaint(arguments: &[&str], code: i32, text: &str) {
    let finished = t2check(arguments);
    assert_eq!(finished.code(), Some(code), "{}", finished.stderr);
    assert!(finished.stderr.contains(text), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let observe = ["--observe", "json:/nowhere"];
    for (send, text) in [
        ("udp://192.0.2.1:9995", "--allow-remote"),
        ("udp://127.0.0.1:0", "port 0"),
        ("tls://127.0.0.1:1", "--tls-ca"),
        ("sctp://127.0.0.1:1", "neither udp, tcp nor tls"),
        ("127.0.0.1:1", "udp://ADDR:PORT"),
    ] {
        complaint(&[&["--send", send][..], &observe].concat(), 2, text);
    }
    complaint(
        &["--send", "udp://127.0.0.1:1", "--observe", "sqlite:x"],
        2,
        "the observers are",
    );
}

#[test]
fn a_device_that_dies_or_never_listens_is_told() {
    let send = [
        "--send",
        "udp://127.0.0.1:0",
        "--observe",
        "json:{dir}/x",
        "--start",
    ];
    complaint(
        &[&send[..], &["echo no such port >&2; exit 7"]].concat(),
        1,
        "exit code 7 before it listened; it said: no such port",
    );
    complaint(
        &[&send[..], &["/nonexistent/collector"]].concat(),
        1,
        "before it listened",
    );
}

#[test]
fn a_device_that_never_answers_or_writes_nonsense_is_told() {
    let dir = harness::temp_dir();
    let file = dir.path().join("out.json");
    fs::write(
        &file,
        "{\"fields\":{\"sourceIPv4Address\":\"10.0.0.1\"}}\nnonsense\n{\"half\":",
    )
    .unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = format!("udp://{}", socket.local_addr().unwrap());
    let observe = format!("json:{}", file.display());
    complaint(
        &["--send", &send, "--observe", &observe, "--wait", "1"],
        1,
        "nothing to judge",
    );
}
