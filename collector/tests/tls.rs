//! IPFIX over TLS: who is let in, with OpenSSL's client as the exporter, and what hostile peers can do.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use golden::harness::certificates::{Certificates, Pair};
use golden::harness::{PATIENCE, peer, wait_until};
use nix::sys::signal::Signal;
use support::http::{metric, wait_metric};
use support::wire::{self, IPFIX_FIELDS};
use support::{Collector, flows, t2collect, the_file};

/// A message with one flow of this port.
fn message(port: u16) -> Vec<u8> {
    let sets = [
        wire::set(2, &[wire::template(256, &IPFIX_FIELDS)]),
        wire::set(256, &[wire::ipfix_flow(port, 1, 100)]),
    ];
    wire::ipfix(0, &sets)
}

/// A collector that lets in who has a certificate of the authority for `exporter.example`.
fn start(certificates: &Certificates, directory: &Path) -> Collector {
    let mut command = t2collect();
    command.args(["--listen", "tls://127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    command.args(["--tls-peer", "exporter.example"]);
    command.arg("--tls-ca").arg(&certificates.ca);
    command.arg("--tls-cert").arg(&certificates.server.cert);
    command.arg("--tls-key").arg(&certificates.server.key);
    Collector::start(command.arg("-w").arg(directory), 1)
}

/// Sends octets through `openssl s_client`; `None`, said aloud, where it is not installed.
fn openssl(
    to: SocketAddr,
    ca: &Path,
    pair: Option<&Pair>,
    version: &str,
    octets: &[u8],
) -> Option<()> {
    let mut command = Command::new(peer("openssl")?);
    command.args(["s_client", "-connect", &to.to_string(), version]);
    command.args(["-quiet", "-no_ign_eof", "-verify_return_error", "-CAfile"]);
    command.arg(ca);
    if version == "-tls1_1" {
        // Else OpenSSL would not even try.
        command.args(["-cipher", "DEFAULT:@SECLEVEL=0"]);
    }
    if let Some(pair) = pair {
        command
            .arg("-cert")
            .arg(&pair.cert)
            .arg("-key")
            .arg(&pair.key);
    }
    let streams = || Stdio::null();
    let mut client = command
        .stdin(Stdio::piped())
        .stdout(streams())
        .stderr(streams())
        .spawn()
        .unwrap();
    // One that was refused has closed its input.
    let _ = client.stdin.take().unwrap().write_all(octets);
    client.wait().unwrap();
    Some(())
}

#[test]
fn only_the_right_certificate_is_let_in_and_each_refusal_is_told_once() {
    let certificates = Certificates::new();
    let directory = tempfile::tempdir().unwrap();
    let mut collector = start(&certificates, directory.path());
    let to = collector.addresses[0];
    let ca = &certificates.ca;
    for (port, version) in [(1, "-tls1_2"), (2, "-tls1_3")] {
        let octets = message(port);
        if openssl(to, ca, Some(&certificates.client), version, &octets).is_none() {
            return;
        }
    }
    // What is wrong, in the words of the log.
    let wrong = [
        (
            Some(&certificates.wrong_name),
            "for none of the names of --tls-peer",
        ),
        (Some(&certificates.expired), "xpired"),
        (Some(&certificates.self_signed), "UnknownIssuer"),
        (None, "peer sent no certificates"),
    ];
    let mut port = 100;
    for version in ["-tls1_2", "-tls1_3"] {
        for (pair, _) in wrong {
            port += 1;
            openssl(to, ca, pair, version, &message(port)).unwrap();
        }
    }
    // Neither side falls back to what RFC 8996 has put away.
    openssl(to, ca, Some(&certificates.client), "-tls1_1", &message(200)).unwrap();
    openssl(to, ca, Some(&certificates.client), "-tls1_3", &message(3)).unwrap();
    let metrics = collector.metrics();
    wait_metric(metrics, "t2collect_records_total", 3);
    wait_metric(
        metrics,
        "t2collect_streams_refused_total{cause=\"handshake or certificate\"}",
        9,
    );
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let refused: Vec<&str> = ended
        .log
        .lines()
        .filter(|line| line.contains(": refused: "))
        .collect();
    for (_, reason) in wrong {
        let count = refused.iter().filter(|line| line.contains(reason)).count();
        // Once for each version of TLS.
        assert_eq!(count, 2, "{reason}: {}", ended.log);
    }
    let mut peers: Vec<&str> = refused
        .iter()
        .map(|line| {
            line.split_once("tls ")
                .unwrap()
                .1
                .split_once(": ")
                .unwrap()
                .0
        })
        .collect();
    peers.sort_unstable();
    peers.dedup();
    assert_eq!(peers.len(), refused.len(), "{}", ended.log);
    let stored = flows(&the_file(directory.path()), "%sp").unwrap_or_default();
    assert_eq!(stored, ["1", "2", "3"], "{}", ended.log);
}

#[test]
fn certificates_are_read_again_while_streams_go_on() {
    use tokio_rustls::rustls::{ClientConnection, StreamOwned};
    let (old, new) = (Certificates::new(), Certificates::new());
    let directory = tempfile::tempdir().unwrap();
    let mut collector = start(&old, directory.path());
    let to = collector.addresses[0];
    let connect = |by: &Certificates| {
        let files = service::tls::TlsFiles {
            ca: Some(by.ca.clone()),
            cert: Some(by.client.cert.clone()),
            key: Some(by.client.key.clone()),
        };
        let config = service::tls::client(&files).unwrap();
        let name = service::tls::server_name("localhost").unwrap();
        let connection = ClientConnection::new(config, name).unwrap();
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(connection, stream)
    };
    let mut first = connect(&old);
    first.write_all(&message(1)).unwrap();
    // The files of the first authority now hold what the second has made.
    for (from, to) in [
        (&new.ca, &old.ca),
        (&new.server.cert, &old.server.cert),
        (&new.server.key, &old.server.key),
    ] {
        std::fs::copy(from, to).unwrap();
    }
    collector.signal(Signal::SIGUSR1);
    collector.wait_for("configuration read again");
    let mut second = connect(&new);
    second.write_all(&message(2)).unwrap();
    // The stream that was open goes on, and nothing of it is lost.
    let data = [wire::set(256, &[wire::ipfix_flow(3, 1, 100)])];
    first.write_all(&wire::ipfix(1, &data)).unwrap();
    // They end without having read a thing, as exporters do.
    for stream in [&mut first, &mut second] {
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    }
    drop((first, second));
    wait_metric(collector.metrics(), "t2collect_records_total", 3);
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 3,"), "{}", ended.log);
    assert!(!ended.log.contains("refused"), "{}", ended.log);
    let mut stored = flows(&the_file(directory.path()), "%sp").unwrap_or_default();
    stored.sort();
    assert_eq!(stored, ["1", "2", "3"]);
}

/// Rows 13 and 14 of the catalogue of attacks: peers that begin a handshake and do not go on, more of them than there are
/// places, beside an exporter of another address.
#[test]
fn handshakes_that_do_not_go_on() {
    let certificates = Certificates::new();
    let directory = tempfile::tempdir().unwrap();
    let collector = start(&certificates, directory.path());
    let to = collector.addresses[0];
    let begin = Instant::now();
    // Rubbish, nothing at all, and half of a record's head.
    let mut flood: Vec<TcpStream> = (0..120)
        .map(|number| {
            let mut stream = from_other_address(to);
            let octets: &[u8] = match number {
                0..4 => &[0xff; 64],
                _ if number % 2 == 0 => &[],
                _ => &[22, 3, 1],
            };
            let _ = stream.write_all(octets);
            stream
        })
        .collect();
    let client = Some(&certificates.client);
    if openssl(to, &certificates.ca, client, "-tls1_3", &message(7)).is_none() {
        return;
    }
    // All are closed in the end.
    for stream in &mut flood {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // An alert, a reset, or nothing: but an end.
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(begin.elapsed() < PATIENCE);
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
    for reason in ["no complete handshake", "too many handshakes"] {
        assert!(ended.log.contains(reason), "{reason}: {}", ended.log);
    }
    let lines = ended.log.matches("refused").count();
    assert!(lines <= 40, "{lines} lines: {}", ended.log);
}

/// Row 14 of the catalogue of attacks: handshakes that end at once, as many as one address can begin: a share of each second is theirs, and an exporter of
/// another address is let in.
#[test]
fn handshakes_without_end() {
    let certificates = Certificates::new();
    let directory = tempfile::tempdir().unwrap();
    let mut collector = start(&certificates, directory.path());
    let (to, metrics) = (collector.addresses[0], collector.metrics());
    let refused = |cause| {
        metric(
            metrics,
            &format!("t2collect_streams_refused_total{{cause=\"{cause}\"}}"),
        )
    };
    let mut begun = 0;
    wait_until("handshakes over the limit", PATIENCE, || {
        for _ in 0..100 {
            let _ = from_other_address(to).write_all(&[0xff; 64]);
            begun += 1;
        }
        refused("limit") > Some(0)
    });
    let client = Some(&certificates.client);
    if openssl(to, &certificates.ca, client, "-tls1_3", &message(7)).is_none() {
        return;
    }
    wait_until("every one to be counted", PATIENCE, || {
        refused("limit").unwrap() + refused("handshake or certificate").unwrap() == begun
    });
    let ended = collector.stop();
    assert!(ended.log.contains("Flows: 1,"), "{}", ended.log);
    assert!(
        ended.log.contains("too many handshakes within a second"),
        "{}",
        ended.log
    );
    let lines = ended.log.matches("refused").count();
    assert!(lines <= 40, "{lines} lines: {}", ended.log);
}

fn from_other_address(to: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from(([127, 0, 0, 99], 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}
