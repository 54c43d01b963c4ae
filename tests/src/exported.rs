//! What t2x sends over UDP, kept as datagrams or as a capture.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use golden::harness;
use golden::packet::{Endpoint, Packet, Transport, append_frame, file_header, record_header, sum};

/// The datagrams that t2x sends for what `input` names (`-r` or `-R` and a file), and how it ended.
///
/// # Panics
/// If it cannot be run, or a datagram was lost on loopback.
pub fn datagrams(input: &[&Path], options: &[&str]) -> (Vec<Vec<u8>>, harness::Finished) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
    let port = socket.local_addr().expect("its address").port();
    let patience = Some(Duration::from_millis(100));
    socket.set_read_timeout(patience).expect("a time-out");
    let ended = AtomicBool::new(false);
    let (datagrams, run) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = Vec::new();
            let mut datagram = vec![0; 65_536];
            loop {
                // What was sent before t2x ended is in the socket by then.
                let last = ended.load(Ordering::Acquire);
                match socket.recv(&mut datagram) {
                    Ok(length) => all.push(datagram[..length].to_vec()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) if last => return all,
                    Err(_) => {}
                }
            }
        });
        let mut t2x = Command::new(harness::program("t2x"));
        t2x.args(input).args(options);
        // So slowly that a busy machine takes everything.
        t2x.args(["--rate", "10000"]);
        let run = harness::run(t2x.args(["--nf-port", &port.to_string()]));
        ended.store(true, Ordering::Release);
        (reader.join().expect("the reader"), run)
    });
    assert_eq!(harness::dropped(port), 0, "the socket took everything");
    (datagrams, run)
}

/// The port that datagrams of [`capture`] go to.
pub const PORT: u16 = 9995;

/// Datagrams as a capture of their own, from one port to [`PORT`].
pub fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = file_header().to_vec();
    for (datagram, n) in datagrams.iter().zip(0..) {
        let ends = [40_000, PORT].map(|port| Endpoint {
            mac: [2, 0, 0, 0, 0, 1],
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        });
        let mut frame = Vec::new();
        append_frame(
            &mut frame,
            &Packet {
                from: &ends[0],
                to: &ends[1],
                ttl: 64,
                ip_id: 0,
                transport: Transport::Udp,
                payload: datagram,
                payload_sum: sum(datagram),
            },
        );
        bytes.extend_from_slice(&record_header(
            1_700_000_000_000_000 + n * 1000,
            frame.len(),
        ));
        bytes.extend_from_slice(&frame);
    }
    bytes
}
