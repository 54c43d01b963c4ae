//! What `--metrics` says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use golden::harness::{PATIENCE, wait_until};

/// The answer to a GET, with its head.
pub fn get(from: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(from).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value behind this name (with its labels) in `/metrics`; `None` if there is no such line.
pub fn metric(from: SocketAddr, name: &str) -> Option<u64> {
    let text = get(from, "/metrics");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

/// Waits until it has this value.
pub fn wait_metric(from: SocketAddr, name: &str, value: u64) {
    let mut seen = None;
    wait_until(&format!("{name} {value}"), PATIENCE, || {
        seen = metric(from, name);
        seen == Some(value)
    });
}
