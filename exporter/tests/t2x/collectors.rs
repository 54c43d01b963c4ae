//! Collectors as they are: several, away, back, hanging, or with another certificate than they should have.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use golden::harness::certificates::{Certificates, Pair};
use golden::harness::{self, PATIENCE};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;
use serde_json::Value;

use crate::support::{Capture, Collector, decode, messages};

fn t2x(capture: &std::path::Path, args: &[&str]) -> Command {
    let mut t2x = Command::new(assert_cmd::cargo::cargo_bin("t2x"));
    t2x.arg("-r").arg(capture).args(args);
    t2x.args(["--nf-version", "10", "--report", "json"]);
    t2x
}

/// The report of a run that ended with `code`.
fn report(run: &harness::Finished, code: i32) -> Value {
    assert_eq!(run.code(), Some(code), "{}", run.stderr);
    let line = run.stderr.lines().last().expect("a report");
    serde_json::from_str(line).expect("JSON")
}

/// `flows` flows of one packet each.
fn many(flows: u16) -> Capture {
    (0..flows).fold(Capture::new(), |capture, n| {
        capture.udp(u64::from(n), (1, 2), (2000 + n, 1000), 1)
    })
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// RFC 7011 section 10.3.5: each collector has its own session, and one that is down harms no other.
#[test]
fn several_collectors_get_all_flows_each() {
    let file = many(300).file();
    let (one, other) = (Collector::new(), Collector::new());
    let nobody = harness::free_tcp_port();
    let to = format!("127.0.0.1:{},localhost:{}", one.port(), other.port());
    let run = harness::run(&mut t2x(file.path(), &["--nf-addr", &to]));
    let told = report(&run, 0);
    assert_eq!(number(&told["netflow"]["records"]), 300);
    assert_eq!(number(&told["moreNetflow"][0]["records"]), 300);
    let (one, other) = (one.datagrams(), other.datagrams());
    assert_eq!((decode(&one).len(), decode(&other).len()), (300, 300));
    assert_eq!(one, other, "the same messages with the same numbers");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let collector = std::thread::spawn(move || read_all(accept(&listener)));
    let to = format!("127.0.0.1:{nobody},127.0.0.1:{port}");
    let args = [
        "--nf-socktype",
        "tcp",
        "--reconnect",
        "0.2",
        "--nf-addr",
        &to,
    ];
    let run = harness::run(&mut t2x(file.path(), &args));
    let told = report(&run, 1);
    assert_eq!(number(&told["netflow"]["lostRecords"]), 300);
    assert_eq!(number(&told["netflow"]["records"]), 0);
    assert!(number(&told["netflow"]["failedReconnects"]) > 0);
    assert_eq!(number(&told["moreNetflow"][0]["records"]), 300);
    assert_eq!(decode(&messages(&collector.join().unwrap())).len(), 300);
}

#[test]
fn names_that_nobody_knows_are_looked_up_again() {
    let file = many(10).file();
    let collector = Collector::new();
    let to = format!("no.such.name.invalid,127.0.0.1:{}", collector.port());
    let args = ["--reconnect", "0.1", "--nf-addr", &to];
    let run = harness::run(&mut t2x(file.path(), &args));
    let told = report(&run, 1);
    assert_eq!(number(&told["netflow"]["lostRecords"]), 10);
    assert!(number(&told["netflow"]["failedReconnects"]) > 0);
    assert!(
        told["failures"][0]
            .as_str()
            .unwrap()
            .contains("cannot resolve")
    );
    assert_eq!(collector.records().len(), 10);
}

/// The next connection, if it comes in time.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Whole messages only: what a connection that broke brought.
fn whole(mut stream: &[u8]) -> &[u8] {
    let all = stream;
    while let Some(head) = stream.first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if stream.len() < length {
            break;
        }
        stream = &stream[length..];
    }
    &all[..all.len() - stream.len()]
}

/// A collector is killed in the middle and comes back. What was given to the network and what was lost add up to what
/// was metered; of the former only what lay in the killed collector's own buffer is missing.
fn killed_and_back(flows: u32, read_before: usize) {
    let folder = harness::temp_dir();
    let capture = folder.path().join("frames.pcap");
    let mut generator = Command::new(harness::program("t2gen"));
    generator.args(["frames", "--flows", &flows.to_string()]);
    generator.args(["--packets", &flows.to_string(), "--out"]);
    harness::run(generator.arg(&capture)).success();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // So small that the exporter cannot be done when the collector is killed.
    setsockopt(&listener, RcvBuf, &65_536).unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port().to_string();
    let args = [
        "--nf-socktype",
        "tcp",
        "--reconnect",
        "1",
        "--nf-port",
        &port,
    ];
    let mut t2x = t2x(&capture, &args);
    let t2x = t2x
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = accept(&listener);
    let mut before = vec![0; read_before];
    first.read_exact(&mut before).unwrap();
    // As the system does it for a program that was killed: nobody listens, and unread data bring a reset.
    drop((first, listener));
    std::thread::sleep(Duration::from_millis(200));
    let listener = TcpListener::bind(address).unwrap();
    let second = accept(&listener);
    let after = read_all(second);
    let output = t2x.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let told: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    let netflow = &told["netflow"];
    let (sent, lost) = (number(&netflow["records"]), number(&netflow["lostRecords"]));
    let metered = number(&told["flows"]["flows"]);
    assert_eq!(sent + lost, metered, "{told}");
    assert_eq!(number(&netflow["reconnects"]), 1);
    let before = decode(&messages(whole(&before))).len() as u64;
    let messages_after = messages(&after);
    assert_eq!(
        messages_after.iter().map(Vec::len).sum::<usize>(),
        after.len()
    );
    let after = decode(&messages_after).len() as u64;
    assert!(before + after <= sent, "{before} + {after} of {sent}");
    println!(
        "{metered} flows metered = {sent} sent + {lost} lost; collector: {before} before, {after} after, {} \
         acknowledged but unread when it was killed",
        sent - before - after
    );
}

#[test]
fn a_tcp_collector_that_is_killed_and_comes_back() {
    killed_and_back(60_000, 300_000);
}

/// `T2_LONG=1`: half a million flows.
#[test]
fn a_tcp_collector_that_is_killed_and_comes_back_among_half_a_million_flows() {
    if std::env::var_os("T2_LONG").is_none() {
        harness::skip("half a million flows only with T2_LONG=1");
        return;
    }
    killed_and_back(500_000, 20_000_000);
}

fn tls_args<'a>(ca: &'a Pair, client: Option<&'a Pair>) -> Vec<&'a str> {
    let mut args = vec![
        "--nf-socktype",
        "tls",
        "--tls-ca",
        ca.cert.to_str().unwrap(),
    ];
    if let Some(client) = client {
        args.extend(["--tls-cert", client.cert.to_str().unwrap()]);
        args.extend(["--tls-key", client.key.to_str().unwrap()]);
    }
    args
}

/// `openssl s_server` wants a certificate, and takes the messages.
#[test]
fn openssl_takes_an_export_over_tls() {
    let Some(openssl) = harness::peer("openssl") else {
        return;
    };
    let certificates = Certificates::new();
    let authority = Pair {
        cert: certificates.ca.clone(),
        key: certificates.ca.clone(),
    };
    let file = many(200).file();
    let refused = |server: &Pair, client: Option<&Pair>, sentence: &str| {
        let (run, octets) = with_openssl(&openssl, &certificates, server, |port| {
            let mut t2x = t2x(file.path(), &tls_args(&authority, client));
            t2x.args(["--nf-addr", &format!("localhost:{port}")]);
            harness::run(&mut t2x)
        });
        assert_eq!((run.code(), octets.len()), (Some(1), 0), "{}", run.stderr);
        let line = run.stderr.trim_end();
        assert!(
            line.ends_with(sentence) && line.lines().count() == 1,
            "{line}"
        );
    };
    let (run, octets) = with_openssl(&openssl, &certificates, &certificates.server, |port| {
        let mut t2x = t2x(
            file.path(),
            &tls_args(&authority, Some(&certificates.client)),
        );
        t2x.args(["--nf-addr", &format!("localhost:{port}")]);
        harness::run(&mut t2x)
    });
    assert_eq!(number(&report(&run, 0)["netflow"]["records"]), 200);
    assert_eq!(decode(&messages(&octets)).len(), 200);
    let client = Some(&certificates.client);
    refused(
        &certificates.expired,
        client,
        "the collector's certificate has expired",
    );
    refused(
        &certificates.wrong_name,
        client,
        "the collector's certificate is one for another name",
    );
    refused(
        &certificates.self_signed,
        client,
        "the collector's certificate is signed by nobody whom --tls-ca names",
    );
    refused(
        &certificates.server,
        None,
        "the collector wants a certificate: give --tls-cert and --tls-key",
    );
    refused(
        &certificates.server,
        Some(&certificates.self_signed),
        "the collector does not accept our certificate (UnknownCA)",
    );
    refused(
        &certificates.server,
        Some(&certificates.expired),
        "the collector does not accept our certificate (CertificateExpired)",
    );
}

/// Runs `export` against `openssl s_server`; what the server read.
fn with_openssl<T>(
    openssl: &std::path::Path,
    certificates: &Certificates,
    server: &Pair,
    export: impl FnOnce(u16) -> T,
) -> (T, Vec<u8>) {
    let port = harness::free_tcp_port();
    let mut server = Command::new(openssl)
        .args([
            "s_server",
            "-quiet",
            "-naccept",
            "1",
            "-verify_return_error",
            "-Verify",
            "1",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .arg("-CAfile")
        .arg(&certificates.ca)
        .arg("-cert")
        .arg(&server.cert)
        .arg("-key")
        .arg(&server.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    harness::wait_until("openssl listens", PATIENCE, || listens_tcp(port));
    let result = export(port);
    let output = server.stdout.take().unwrap();
    let mut octets = Vec::new();
    let reader = std::thread::spawn(move || {
        let mut output = output;
        output.read_to_end(&mut octets).map(|_| octets)
    });
    server.wait().unwrap();
    (result, reader.join().unwrap().unwrap())
}

/// A port of loopback in state LISTEN, without connecting to it.
fn listens_tcp(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words
            .next()
            .is_some_and(|address| address.ends_with(&local))
            && words.nth(1) == Some("0A")
    })
}
