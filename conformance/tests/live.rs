//! `t2check` listening: datagrams, connections, TLS, and how they end.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};

mod support;
use support::{ipfix, netflow9, overrun};

/// A `t2check` that listens.
struct Listening {
    child: Child,
    address: String,
    errors: BufReader<std::process::ChildStderr>,
}

/// How it ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Listening {
    fn new(scheme: &str, seconds: &str, more: &[&str]) -> Self {
        let listen = format!("{scheme}://127.0.0.1:0");
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
            .args(["exporter", "--listen", &listen, "--seconds", seconds])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let address = line
            .split(&format!("{scheme}://"))
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Self {
            child,
            address,
            errors,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
    }

    fn end(mut self) -> Ended {
        let mut err = String::new();
        self.errors.read_to_string(&mut err).unwrap();
        let output = self.child.wait_with_output().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err,
        }
    }
}

#[test]
fn datagrams() {
    let t2check = Listening::new("udp", "2", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in [ipfix(0), overrun()] {
        socket.send_to(&message, &t2check.address).unwrap();
    }
    let ended = t2check.end();
    assert_eq!(ended.code, 3);
    assert!(
        ended.out.contains(": 2 messages (2 IPFIX)"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("S-09"));
}

/// An exporter that connects again at once, whatever happens, and one that gives up.
#[test]
fn disturbances() {
    let t2check = Listening::new(
        "tcp",
        "9",
        &[
            "--disturb",
            "reset@1",
            "--disturb",
            "restart@2",
            "--disturb",
            "away@3:1",
            "--disturb",
            "slow@6:1",
        ],
    );
    let address = t2check.address.clone();
    let end = Instant::now() + Duration::from_secs(10);
    let exporter = std::thread::spawn(move || {
        while Instant::now() < end {
            let Ok(mut stream) = TcpStream::connect(&address) else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            for number in 0.. {
                std::thread::sleep(Duration::from_millis(50));
                if Instant::now() > end || stream.write_all(&ipfix(number)).is_err() {
                    break;
                }
            }
        }
    });
    let ended = t2check.end();
    exporter.join().unwrap();
    for rule in ["X-08", "X-18", "X-19"] {
        let line = ended.out.lines().find(|line| line.contains(rule)).unwrap();
        assert!(line.starts_with("PASS"), "{}", ended.out);
    }
    assert!(
        ended.out.contains("more often than once a minute"),
        "{}",
        ended.out
    );
    // Once is asked for (SHOULD): the verdict of all is not negative for it.
    assert!([0, 3].contains(&ended.code), "{}", ended.out);

    let t2check = Listening::new("udp", "14", &["--disturb", "away@1:1"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&t2check.address).unwrap();
    for number in 0..100 {
        if socket.send(&ipfix(number)).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = t2check.end();
    assert_eq!(ended.code, 3, "{}", ended.out);
    let told = "the collector was away for 1 s after";
    assert!(
        ended.out.contains("X-18") && ended.out.contains(told),
        "{}",
        ended.out
    );
}

#[test]
fn disturbances_that_cannot_be() {
    for (scheme, word, text) in [
        ("udp", "reset@1", "datagrams are not held back"),
        ("tcp", "sleep@1", "slow@AT:SECONDS wanted"),
    ] {
        let run = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
            .args([
                "exporter",
                "--listen",
                &format!("{scheme}://127.0.0.1:0"),
                "--disturb",
                word,
            ])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&run.stderr).contains(text),
            "{word}"
        );
    }
}

/// The report tells of all that came before the signal, though none of it was read yet; and `timeout` signals twice.
#[test]
fn a_signal_right_behind_the_messages() {
    let t2check = Listening::new("udp", "60", &[]);
    let pid = Pid::from_raw(t2check.child.id() as i32);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    kill(pid, Signal::SIGSTOP).unwrap();
    for number in 0..200 {
        socket.send_to(&ipfix(number), &t2check.address).unwrap();
    }
    t2check.interrupt();
    kill(pid, Signal::SIGCONT).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    // It may have ended.
    let _ = kill(pid, Signal::SIGINT);
    let ended = t2check.end();
    assert!(
        ended.out.contains(": 200 messages (200 IPFIX)"),
        "{}{}",
        ended.out,
        ended.err
    );
    assert!(
        ended.out.contains("interrupted: not all was read"),
        "{}",
        ended.out
    );
}

#[test]
fn the_transport_may_stand_apart() {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
        .args("exporter --listen 127.0.0.1:0 --transport tcp --seconds 1".split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = String::new();
    let mut errors = child.stderr.take().unwrap();
    errors.read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(err.contains("listening on tcp://127.0.0.1:"), "{err}");
    assert!(
        err.contains("no NetFlow or IPFIX message arrived within 1 s"),
        "{err}"
    );
}

/// Octets fall into segments as they like, connections come and go beside each other.
#[test]
fn connections() {
    let t2check = Listening::new("tcp", "3", &[]);
    let octets = [ipfix(0), ipfix(1)].concat();
    let (mut one, mut two, mut netflow) = (t2check.connect(), t2check.connect(), t2check.connect());
    for piece in octets.chunks(50) {
        one.write_all(piece).unwrap();
        two.write_all(piece).unwrap();
    }
    drop(one);
    netflow.write_all(&netflow9(0)).unwrap();
    let ended = t2check.end();
    drop((two, netflow));
    assert!(
        ended.out.contains(": 5 messages (1 NetFlow v9, 4 IPFIX)"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("3 exporters"), "{}", ended.out);
    assert_eq!(ended.code, 0, "{}", ended.out);
}

/// A message that its exporter closed the connection in has a wrong length; one that a reset cut has not.
#[test]
fn connections_that_end_inside_a_message() {
    let octets = [ipfix(0), ipfix(1)].concat();
    for reset in [false, true] {
        let t2check = Listening::new("tcp", "2", &[]);
        let mut stream = t2check.connect();
        stream.write_all(&octets[..100]).unwrap();
        // What is not read when the reset comes is lost.
        std::thread::sleep(Duration::from_millis(500));
        if reset {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        drop(stream);
        let ended = t2check.end();
        assert_eq!(ended.code, if reset { 0 } else { 3 }, "{}", ended.out);
        assert_eq!(ended.out.contains("DATA LOSS      H-06"), !reset);
        assert_eq!(
            ended.out.contains("inside a message"),
            reset,
            "{}",
            ended.out
        );
    }
}

/// What came until then is reported.
#[test]
fn an_interruption() {
    let t2check = Listening::new("tcp", "600", &[]);
    let mut stream = t2check.connect();
    stream.write_all(&ipfix(0)).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    t2check.interrupt();
    let ended = t2check.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.out.contains(": 1 messages (1 IPFIX)"),
        "{}",
        ended.out
    );

    let t2check = Listening::new("udp", "600", &[]);
    t2check.interrupt();
    let ended = t2check.end();
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("arrived before the interruption"),
        "{}",
        ended.err
    );
}

#[test]
fn an_address_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("tcp://{}", taken.local_addr().unwrap());
    let run = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
        .args(["exporter", "--listen", &listen])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let err = String::from_utf8(run.stderr).unwrap();
    assert!(
        err.starts_with(&format!("t2check: cannot listen on {listen}")),
        "{err}"
    );
}

// ------------------------------------------------------------------------------------------------------------ TLS

/// Trusts everybody: whom the exporter trusts is its own affair.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sends octets over TLS in pieces, closes, and waits for the other side to close.
fn send(config: ClientConfig, address: &str, octets: &[u8]) -> std::io::Result<()> {
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect(address).unwrap());
    for piece in octets.chunks(30) {
        stream.write_all(piece)?;
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    match stream.read(&mut [0; 1]) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

fn trusting() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth()
}

#[test]
fn tls_with_a_certificate_made_for_the_run() {
    let t2check = Listening::new("tls", "3", &[]);
    let octets = [ipfix(0), ipfix(1)].concat();
    send(trusting(), &t2check.address, &octets).unwrap();
    send(trusting(), &t2check.address, &netflow9(0)).unwrap();
    // No TLS at all.
    t2check.connect().write_all(&ipfix(0)).unwrap();
    let ended = t2check.end();
    assert_eq!(ended.code, 0, "{}", ended.out);
    for part in [
        ": 3 messages (1 NetFlow v9, 2 IPFIX)",
        "note: 2 TLS connections: TLSv1_3 with ",
        "no certificate of the exporter",
        "note: 1 TLS connections: refused: ",
        "note: 1 messages over TLS are NetFlow",
    ] {
        assert!(ended.out.contains(part), "{part}\n{}", ended.out);
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// RFC 7011 section 11.3: an exporter without the right certificate is refused.
#[test]
fn tls_with_certificates_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        Path::new(folder.path()).join(name).display().to_string()
    };
    let (ours, others) = (authority("ours"), authority("somebody else's"));
    let issue = |issuer: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, issuer).unwrap(), key)
    };
    let (certificate, key) = issue(&ours);
    let [cert, key, ca] = [
        write("cert.pem", &certificate.pem()),
        write("key.pem", &key.serialize_pem()),
        write("ca.pem", &ours.pem()),
    ];
    let tls = ["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &ca];
    let config = |issuer: Option<&CertifiedIssuer<'_, KeyPair>>| {
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let Some(issuer) = issuer else {
            return builder.with_no_client_auth();
        };
        let (certificate, key) = issue(issuer);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        builder
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .unwrap()
    };

    let t2check = Listening::new("tls", "3", &tls);
    assert!(send(config(None), &t2check.address, &ipfix(0)).is_err());
    assert!(send(config(Some(&others)), &t2check.address, &ipfix(0)).is_err());
    send(config(Some(&ours)), &t2check.address, &ipfix(0)).unwrap();
    let ended = t2check.end();
    assert_eq!(ended.code, 0, "{}", ended.out);
    for part in [
        ": 1 messages (1 IPFIX)",
        "the exporter showed a certificate",
        "note: 1 TLS connections: refused: peer sent no certificates",
        "note: 1 TLS connections: refused: invalid peer certificate: UnknownIssuer",
    ] {
        assert!(ended.out.contains(part), "{part}\n{}", ended.out);
    }

    // Files that are no certificates are told before anything is waited for.
    let empty = write("empty.pem", "nothing\n");
    let run = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
        .args(["exporter", "--listen", "tls://127.0.0.1:0"])
        .args(["--tls-cert", &empty, "--tls-key", &empty])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let err = String::from_utf8(run.stderr).unwrap();
    assert!(
        err.contains("empty.pem: cannot read certificates: there is none in PEM"),
        "{err}"
    );
}
