//! Support for the tests against other people's programs: recorded datagrams, and what a report says.

pub mod exported;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use etherparse::{SlicedPacket, TransportSlice};
use exporter::capture::CaptureFile;
use golden::harness;

/// The payloads of all UDP datagrams of an Ethernet capture, in order.
///
/// # Panics
/// If the capture cannot be read: the corpus is then not what the test takes it for.
pub fn udp_payloads(capture: &Path) -> Vec<Vec<u8>> {
    let name = capture.display();
    let mut file = CaptureFile::open(capture).unwrap_or_else(|e| panic!("{e}"));
    let mut payloads = Vec::new();
    while let Some(batch) = file.next_batch().unwrap_or_else(|e| panic!("{e}")) {
        for frame in batch {
            let packet = SlicedPacket::from_ethernet(frame.captured);
            if let Ok(SlicedPacket {
                transport: Some(TransportSlice::Udp(udp)),
                ..
            }) = packet
            {
                payloads.push(udp.payload().to_vec());
            }
        }
    }
    assert!(!payloads.is_empty(), "{name} has no UDP datagram");
    payloads
}

/// Sends datagrams from one port to a UDP port of loopback, slowly enough for any receive buffer.
///
/// # Panics
/// If a datagram cannot be sent.
pub fn send_datagrams(port: u16, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
    for datagram in datagrams {
        let sent = socket.send_to(datagram, (Ipv4Addr::LOCALHOST, port));
        assert_eq!(sent.ok(), Some(datagram.len()), "datagram to port {port}");
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// The three totals of a report's summary line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Flow records.
    pub flows: u64,
    /// Packets.
    pub packets: u64,
    /// Octets, by whatever metric the exporter counts.
    pub bytes: u64,
}

impl Totals {
    /// Reads `Summary: total flows: 72, total bytes: 4651854, total packets: 5902, …` (plain numbers, `-N`).
    ///
    /// # Panics
    /// If there is no such line.
    pub fn of_summary(report: &str) -> Self {
        Self::in_summary(report)
            .unwrap_or_else(|| panic!("no summary with plain numbers in:\n{report}"))
    }

    /// As [`Self::of_summary`]; `None` without such a line.
    pub fn in_summary(report: &str) -> Option<Self> {
        let line = report.lines().find(|line| line.starts_with("Summary:"))?;
        let number = |label: &str| -> Option<u64> {
            let (_, rest) = line.split_once(label)?;
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.get(..end)?.parse().ok()
        };
        Some(Self {
            flows: number("total flows: ")?,
            packets: number("total packets: ")?,
            bytes: number("total bytes: ")?,
        })
    }

    /// The sum of two reports.
    pub fn and(self, other: Self) -> Self {
        Self {
            flows: self.flows + other.flows,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.flows, self.packets, self.bytes)
    }
}

/// Runs a reporter (`nfdump` or `t2report`) on one file, in UTC, and returns what it printed.
///
/// # Panics
/// If it fails.
pub fn report(reporter: &Path, file: &Path, options: &[&str]) -> String {
    let mut command = Command::new(reporter);
    command.env("TZ", "UTC").arg("-r").arg(file).args(options);
    harness::run(&mut command).success().text()
}
