//! What a t2x tells while it runs: signals, regular reports, HTTP. It reads a pipe that stays open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use golden::harness::{self, PATIENCE, Service, free_tcp_port, program, temp_dir, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{FLOWS, PACKETS, report};

/// A t2x whose pipe has brought the replica and stays open, with the pipe's other end.
fn waiting(folder: &std::path::Path, options: &[&str]) -> (Service, std::fs::File) {
    let pipe = folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = Command::new(program("t2x"));
    command
        .arg("-r")
        .arg(&pipe)
        .args(["--sink", "text", "--report", "json", "-w"])
        .arg(folder.join("out"))
        .args(options)
        .stdin(Stdio::null());
    let t2x = Service::spawn(&mut command);
    let mut writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    writer
        .write_all(&golden::replica::capture().unwrap())
        .unwrap();
    (t2x, writer)
}

/// Tranalyzer's `-m`: reports in a file of their own.
#[test]
fn reports_go_to_a_file() {
    let folder = temp_dir();
    let (t2x, writer) = waiting(folder.path(), &["-m", "-M", "0.1"]);
    let path = folder.path().join("out_monitoring.txt");
    let wanted = format!("\"packets\":{PACKETS}");
    wait_until("a report of all packets", PATIENCE, || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().any(|line| line.contains(&wanted))
    });
    drop(writer);
    let ended = t2x.wait(PATIENCE).success();
    let last = report(&ended);
    assert_eq!(last["flows"]["flows"], FLOWS);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let text = std::fs::read_to_string(&path).unwrap();
    let told = status(text.lines().last().unwrap());
    assert_eq!(told["total"]["packets"], PACKETS);
}

fn status(line: &str) -> Value {
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!(told["kind"], "status");
    told
}

#[test]
fn sigusr1_asks_and_sigusr2_begins_and_ends_reports() {
    let folder = temp_dir();
    let (mut t2x, writer) = waiting(folder.path(), &[]);
    // Signals before the first octet are kept for later.
    t2x.signal(Signal::SIGUSR1);
    t2x.wait_for_line("\"kind\":\"status\"");
    t2x.signal(Signal::SIGUSR2);
    let line = t2x.wait_for_line(&format!("\"packets\":{PACKETS}"));
    let told = status(&line);
    assert_eq!(told["total"]["packets"], PACKETS);
    assert_eq!(told["total"]["flows"], FLOWS);
    let open = told["now"]["flowsInMemory"].as_u64().unwrap();
    let ended = told["total"]["flowsEnded"].as_u64().unwrap();
    assert_eq!(open + ended, FLOWS as u64);
    // The next one has nothing new.
    let line = t2x.wait_for_line("\"change\":{\"capturedOctets\":0");
    assert_eq!(status(&line)["change"]["packets"], 0);
    t2x.signal(Signal::SIGUSR2);
    t2x.signal(Signal::SIGINT);
    let ended = t2x.wait(PATIENCE).success();
    assert_eq!(report(&ended)["run"]["stopped"], true);
    drop(writer);
}

#[test]
fn counters_over_http() {
    let folder = temp_dir();
    let port = free_tcp_port();
    let address = format!("127.0.0.1:{port}");
    let (t2x, writer) = waiting(folder.path(), &["--metrics", &address]);
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&address).ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let mut answer = String::new();
    wait_until("all packets are counted", PATIENCE, || {
        answer = ask("/metrics").unwrap_or_default();
        answer.contains(&format!("\nt2x_packets_total {PACKETS}\n"))
    });
    for line in [
        &format!("t2x_flows_created_total {FLOWS}"),
        "t2x_dropped_packets_total{cause=\"kernel\"} 0",
        "# TYPE t2x_flows_active gauge",
    ] {
        assert!(
            answer.lines().any(|found| found == line),
            "{line}\n{answer}"
        );
    }
    assert!(ask("/healthz").unwrap().starts_with("HTTP/1.1 200 "));
    drop(writer);
    t2x.wait(PATIENCE).success();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(program("t2x"));
    command.arg("-r").arg(crate::replica(folder.path()));
    command.args(["--sink", "text", "-w", "-", "--metrics", &address]);
    let ended = harness::run(&mut command);
    assert_eq!(ended.code(), Some(1));
    let expect = format!("t2x: cannot show counters at {address}: ");
    assert!(ended.stderr.starts_with(&expect), "{}", ended.stderr);
}
