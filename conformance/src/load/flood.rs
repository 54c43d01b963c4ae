//! Emulated exporters that send at a rate: messages made in advance, of which only header, and template under churn,
//! are written anew.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use crate::collector::assemble::STANDARD;

/// Octets of a standard record.
const RECORD: usize = 37;

/// Messages that differ in their addresses, so that compression and aggregation have something to do.
const BODIES: usize = 64;

/// Datagrams in one go before it is looked at the clock.
const BURST: u64 = 16;

/// How long a socket that is full may stay so.
const REFUSED: Duration = Duration::from_secs(2);

/// First identifier of templates, and how many are gone through under churn: fewer than collectors keep of an exporter.
/// Each time round they mean something else.
const FIRST_ID: u16 = 256;
const IDS: u32 = 500;

/// Uptime of NetFlow v9 exporters.
const UPTIME: u32 = 100_000_000;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// 9 or 10.
    pub version: u16,
    /// Records of a datagram.
    pub records: u16,
    /// Exporters.
    pub exporters: u32,
    /// A new template of each exporter every so many datagrams; 0: never.
    pub churn: u32,
}

/// What was sent.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sent {
    /// Records.
    pub records: u64,
    /// Datagrams, those of templates too.
    pub datagrams: u64,
    /// Their octets.
    pub octets: u64,
    /// From the first to the last one of records.
    pub time: Duration,
    /// Datagrams that the system refused: nobody listens any more.
    pub refused: u64,
}

/// One emulated exporter.
struct Exporter {
    socket: UdpSocket,
    sequence: u32,
    datagrams: u32,
    /// Templates defined before this one.
    churned: u32,
}

impl Exporter {
    fn template(&self) -> u16 {
        FIRST_ID + (self.churned % IDS) as u16
    }

    /// The fields; the last two, which are as long as each other, change places.
    fn fields(&self) -> [[u8; 4]; STANDARD.len()] {
        let mut fields = STANDARD;
        if (self.churned / IDS) % 2 == 1 {
            fields.swap(STANDARD.len() - 2, STANDARD.len() - 1);
        }
        fields
    }
}

/// The exporters, and what they send.
pub struct Flood {
    shape: Shape,
    exporters: Vec<Exporter>,
    bodies: Vec<Vec<u8>>,
    message: Vec<u8>,
    sent: Sent,
}

impl Flood {
    /// Opens a socket for each exporter.
    ///
    /// # Errors
    /// When there are not enough sockets.
    pub fn new(shape: Shape, to: SocketAddr) -> anyhow::Result<Self> {
        let exporters = (0..shape.exporters).map(|number| {
            let from = match to {
                SocketAddr::V4(_) if shape.exporters > 1 => {
                    let [_, high, middle, low] = (number + 2).to_be_bytes();
                    IpAddr::V4(Ipv4Addr::new(127, high + 1, middle, low))
                }
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
            };
            let socket = UdpSocket::bind((from, 0)).with_context(|| {
                format!(
                    "no socket for exporter {} of {} (ulimit -n?)",
                    number + 1,
                    shape.exporters
                )
            })?;
            socket.connect(to)?;
            Ok(Exporter {
                socket,
                sequence: 0,
                datagrams: 0,
                churned: 0,
            })
        });
        Ok(Self {
            shape,
            exporters: exporters.collect::<anyhow::Result<_>>()?,
            bodies: (0..BODIES)
                .map(|number| body(shape.records, number))
                .collect(),
            message: Vec::new(),
            sent: Sent::default(),
        })
    }

    /// Sends so many records a second for so long, and the templates before. `rest` is asked now and then for the
    /// templates to be read, which are no part of the rate.
    ///
    /// # Errors
    /// When the network refuses for other reasons than that nobody listens.
    pub fn run(
        mut self,
        rate: f64,
        time: Duration,
        stop: &AtomicBool,
        mut rest: impl FnMut(),
    ) -> anyhow::Result<Sent> {
        for number in 0..self.exporters.len() {
            self.template(number)?;
            if number % 32 == 31 {
                rest();
            }
        }
        rest();
        let begin = Instant::now();
        let per_second = rate / f64::from(self.shape.records);
        let mut done = 0_u64;
        loop {
            let elapsed = begin.elapsed();
            if elapsed >= time || stop.load(Ordering::Relaxed) {
                break;
            }
            let due = ((elapsed.as_secs_f64() * per_second) as u64).saturating_add(1);
            if done >= due {
                let next = Duration::from_secs_f64(done as f64 / per_second);
                let wait = next.saturating_sub(elapsed);
                thread::sleep(wait.clamp(Duration::from_micros(50), Duration::from_millis(20)));
                continue;
            }
            for _ in 0..(due - done).min(BURST) {
                let number = (done % self.exporters.len() as u64) as usize;
                self.data(number, done)?;
                done += 1;
            }
        }
        self.sent.time = begin.elapsed();
        Ok(self.sent)
    }

    fn data(&mut self, number: usize, round: u64) -> anyhow::Result<()> {
        let churn = self.shape.churn;
        let Some(exporter) = self.exporters.get_mut(number) else {
            return Ok(());
        };
        if churn > 0 && exporter.datagrams > 0 && exporter.datagrams.is_multiple_of(churn) {
            exporter.churned = exporter.churned.wrapping_add(1);
            self.template(number)?;
        }
        let Some(exporter) = self.exporters.get_mut(number) else {
            return Ok(());
        };
        exporter.datagrams = exporter.datagrams.wrapping_add(1);
        let body = (round % BODIES as u64) as usize;
        let body = self.bodies.get(body).map_or(&[][..], Vec::as_slice);
        let set = body.len() + 4;
        head(
            &mut self.message,
            self.shape,
            exporter.sequence,
            number,
            set,
            self.shape.records,
        );
        self.message.extend(exporter.template().to_be_bytes());
        self.message.extend((set as u16).to_be_bytes());
        self.message.extend(body);
        exporter.sequence = exporter.sequence.wrapping_add(match self.shape.version {
            9 => 1,
            _ => u32::from(self.shape.records),
        });
        if send(&exporter.socket, &self.message, &mut self.sent)? {
            self.sent.records += u64::from(self.shape.records);
        }
        Ok(())
    }

    fn template(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(exporter) = self.exporters.get_mut(number) else {
            return Ok(());
        };
        let set = 8 + STANDARD.len() * 4;
        head(
            &mut self.message,
            self.shape,
            exporter.sequence,
            number,
            set,
            1,
        );
        let id: u16 = if self.shape.version == 9 { 0 } else { 2 };
        for word in [id, set as u16, exporter.template(), STANDARD.len() as u16] {
            self.message.extend(word.to_be_bytes());
        }
        self.message.extend(exporter.fields().concat());
        if self.shape.version == 9 {
            exporter.sequence = exporter.sequence.wrapping_add(1);
        }
        send(&exporter.socket, &self.message, &mut self.sent)?;
        Ok(())
    }
}

/// A header; `sets` octets follow.
fn head(
    message: &mut Vec<u8>,
    shape: Shape,
    sequence: u32,
    number: usize,
    sets: usize,
    count: u16,
) {
    message.clear();
    message.extend(shape.version.to_be_bytes());
    if shape.version == 9 {
        message.extend(count.to_be_bytes());
        message.extend(UPTIME.to_be_bytes());
    } else {
        message.extend((sets as u16 + 16).to_be_bytes());
    }
    let now = now_ms() / 1000;
    for word in [now as u32, sequence, number as u32 + 1] {
        message.extend(word.to_be_bytes());
    }
}

/// Standard records: addresses and ports differ, begun 10 s and ended 9 s ago.
fn body(records: u16, number: usize) -> Vec<u8> {
    let now = now_ms();
    let mut body = Vec::with_capacity(usize::from(records) * RECORD + 3);
    for record in 0..usize::from(records) {
        let mark = (number * usize::from(records) + record) as u32;
        body.extend((0x0a00_0000 + mark).to_be_bytes());
        body.extend((0xc000_0200 + mark % 256).to_be_bytes());
        body.extend((1024 + mark as u16).to_be_bytes());
        body.extend(443_u16.to_be_bytes());
        body.push(6);
        body.extend((1 + mark % 100).to_be_bytes());
        body.extend((60 * (1 + mark % 100)).to_be_bytes());
        body.extend((now - 10_000).to_be_bytes());
        body.extend((now - 9_000).to_be_bytes());
    }
    // NetFlow v9 pads to four octets (RFC 3954 section 5.3), IPFIX may.
    body.resize(body.len().next_multiple_of(4), 0);
    body
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as u64)
}

/// Whether it was sent; not when nobody listens.
fn send(socket: &UdpSocket, message: &[u8], sent: &mut Sent) -> anyhow::Result<bool> {
    let begin = Instant::now();
    loop {
        match socket.send(message) {
            Ok(_) => {
                sent.datagrams += 1;
                sent.octets += message.len() as u64;
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                sent.refused += 1;
                return Ok(false);
            }
            // No buffer is free: the sender is the limit.
            Err(error) if begin.elapsed() < REFUSED => {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
                    && error.raw_os_error() != Some(nix::errno::Errno::ENOBUFS as i32)
                {
                    return Err(error).context("sending failed");
                }
                thread::sleep(Duration::from_micros(50));
            }
            Err(error) => return Err(error).context("sending failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use netflow_parser::{NetflowPacket, NetflowParser};

    use super::*;

    /// What another decoder makes of it: records, and the sequence numbers of the headers.
    fn received(shape: Shape, rate: f64) -> (Sent, u64, Vec<u32>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let flood = Flood::new(shape, socket.local_addr().unwrap()).unwrap();
        let stop = AtomicBool::new(false);
        let sent = flood
            .run(rate, Duration::from_millis(300), &stop, || {})
            .unwrap();
        let mut parser = NetflowParser::default();
        let (mut records, mut sequences) = (0, Vec::new());
        let mut buffer = [0; 2048];
        while let Ok(length) = socket.recv(&mut buffer) {
            for packet in parser.parse_bytes(&buffer[..length]).packets {
                match packet {
                    NetflowPacket::IPFix(message) => {
                        sequences.push(message.header.sequence_number);
                        let sets = message.flowsets.iter().map(|set| match &set.body {
                            netflow_parser::variable_versions::ipfix::FlowSetBody::Data(data) => {
                                data.fields.len() as u64
                            }
                            _ => 0,
                        });
                        records += sets.sum::<u64>();
                    }
                    NetflowPacket::V9(message) => sequences.push(message.header.sequence_number),
                    other => panic!("{other:?}"),
                }
            }
        }
        (sent, records, sequences)
    }

    #[test]
    fn another_decoder_reads_what_is_sent() {
        let shape = Shape {
            version: 10,
            records: 7,
            exporters: 1,
            churn: 3,
        };
        let (sent, records, sequences) = received(shape, 700.0);
        assert_eq!(records, sent.records);
        assert!(records >= 7 * 10, "{records}");
        // A template before each third message, which does not advance the number (RFC 7011 section 3.1).
        assert_eq!(sequences.len() as u64, sent.datagrams);
        assert_eq!(sequences[..6], [0, 0, 7, 14, 21, 21]);
    }

    #[test]
    fn sequence_numbers_of_netflow_v9_count_packets() {
        let shape = Shape {
            version: 9,
            records: 30,
            exporters: 1,
            churn: 0,
        };
        let (sent, _, sequences) = received(shape, 3000.0);
        let all: Vec<u32> = (0..sent.datagrams as u32).collect();
        assert_eq!(sequences, all);
    }
}
