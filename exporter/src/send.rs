//! Messages to the collector over UDP or TCP, at a bounded rate, with every loss counted by its cause.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::cli::{Rate, SocketType};
use crate::config::NetflowConfig;

/// How long a TCP connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TCP collector may read nothing before it is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a TCP collector may take to close its side at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a datagram is tried while the system has no memory for it.
const TRIES: u32 = 100;

/// The way to the collector cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The name has no address.
    #[error("cannot resolve the collector's name {host}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's answer.
        source: std::io::Error,
    },
    /// The name was found, but without an address.
    #[error("the collector's name {0} has no address")]
    NoAddress(String),
    /// No socket, or nobody listens.
    #[error("cannot reach the collector {address} over {transport}{hint}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The system's answer.
        source: std::io::Error,
        /// What to look at, in parentheses, or nothing.
        hint: &'static str,
    },
}

/// What was sent, and what was not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SendCounters {
    /// Messages handed to the network.
    pub messages: u64,
    /// Flow records in them.
    pub records: u64,
    /// Octets of them, without transport headers.
    pub octets: u64,
    /// Datagrams to which the collector's host answered that nobody listens.
    pub refused: u64,
    /// What could not be sent, by cause, in order of first appearance.
    pub lost: Vec<Lost>,
}

/// Messages that could not be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Why, in the system's words.
    pub cause: String,
    /// How many messages.
    pub messages: u64,
    /// Flow records in them.
    pub records: u64,
}

/// The way to one collector.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    address: SocketAddr,
    pacer: Option<Pacer>,
    counters: SendCounters,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    /// A TCP connection that broke, and why: what is sent in the middle of a message cannot be mended.
    Broken(String),
}

impl Sender {
    /// Looks up the collector's name, once, and connects to the first of its addresses that can be reached.
    ///
    /// # Errors
    /// When the name has no address, or none of them can be reached. Over UDP a collector that does not
    /// listen is no error.
    pub fn connect(config: &NetflowConfig) -> Result<Self, SendError> {
        let NetflowConfig { host, port, .. } = config;
        // An IPv6 address may be written in brackets, as in a URL.
        let name = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let addresses = (name.unwrap_or(host), *port).to_socket_addrs();
        let addresses = addresses.map_err(|source| SendError::Resolve {
            host: host.clone(),
            source,
        })?;
        let mut error = SendError::NoAddress(host.clone());
        for address in addresses {
            match Socket::connect(address, config.socket_type) {
                Ok(socket) => {
                    let pacer = match config.rate {
                        Rate::Unlimited => None,
                        Rate::PerSecond(rate) => Some(Pacer::new(rate, Instant::now())),
                    };
                    return Ok(Sender {
                        socket,
                        address,
                        pacer,
                        counters: SendCounters::default(),
                    });
                }
                Err(source) => error = connect_error(address, config.socket_type, source),
            }
        }
        Err(error)
    }

    /// The collector's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was sent so far.
    #[must_use]
    pub fn counters(&self) -> &SendCounters {
        &self.counters
    }

    /// Sends one message that holds `records` flow records, when its turn has come.
    pub fn send(&mut self, message: &[u8], records: u64) {
        if let Some(pacer) = &mut self.pacer {
            let delay = pacer.delay(Instant::now(), records);
            if delay >= SHORTEST_SLEEP {
                std::thread::sleep(delay);
            }
        }
        let sent = match &mut self.socket {
            Socket::Udp(socket) => send_datagram(socket, message, &mut self.counters.refused),
            Socket::Tcp(stream) => stream
                .write_all(message)
                .map_err(|error| write_error(&error)),
            Socket::Broken(cause) => Err(cause.clone()),
        };
        match sent {
            Ok(()) => {
                self.counters.messages += 1;
                self.counters.records += records;
                self.counters.octets += message.len() as u64;
            }
            Err(cause) => {
                if matches!(self.socket, Socket::Tcp(_)) {
                    self.socket = Socket::Broken(cause.clone());
                }
                self.counters.lose(cause, records);
            }
        }
    }

    /// Ends the connection and tells what became of the messages.
    #[must_use]
    pub fn finish(mut self) -> SendCounters {
        match &mut self.socket {
            Socket::Udp(socket) => {
                // The answer to the last datagram.
                let answer = socket.take_error().ok().flatten();
                if answer.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                    self.counters.refused += 1;
                }
            }
            Socket::Tcp(stream) => {
                if let Err(error) = close(stream) {
                    self.counters
                        .lose(format!("connection not closed properly: {error}"), 0);
                }
            }
            Socket::Broken(_) => {}
        }
        self.counters
    }
}

impl Socket {
    fn connect(address: SocketAddr, kind: SocketType) -> std::io::Result<Self> {
        match kind {
            SocketType::Udp => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }
            SocketType::Tcp => {
                let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                stream.set_read_timeout(Some(CLOSE_TIMEOUT))?;
                Ok(Socket::Tcp(stream))
            }
        }
    }
}

impl SendCounters {
    fn lose(&mut self, cause: String, records: u64) {
        match self.lost.iter_mut().find(|lost| lost.cause == cause) {
            Some(lost) => {
                lost.messages += 1;
                lost.records += records;
            }
            None => self.lost.push(Lost {
                cause,
                messages: 1,
                records,
            }),
        }
    }
}

/// Sends one datagram. An ICMP "port unreachable" for an earlier one is reported instead of sending this
/// one: it is counted in `refused`, and this one is sent again.
fn send_datagram(socket: &UdpSocket, message: &[u8], refused: &mut u64) -> Result<(), String> {
    let mut error = None;
    for _ in 0..TRIES {
        match socket.send(message) {
            Ok(_) => return Ok(()),
            Err(failed) => match failed.kind() {
                ErrorKind::ConnectionRefused => *refused += 1,
                ErrorKind::Interrupted => {}
                _ if failed.raw_os_error() == Some(nix::libc::ENOBUFS) => {
                    std::thread::sleep(SHORTEST_SLEEP);
                    error = Some(failed);
                }
                _ => return Err(failed.to_string()),
            },
        }
    }
    Err(error.map_or_else(
        || "refused again and again".to_owned(),
        |error| error.to_string(),
    ))
}

fn connect_error(address: SocketAddr, kind: SocketType, source: std::io::Error) -> SendError {
    let refused = source.kind() == ErrorKind::ConnectionRefused;
    SendError::Connect {
        address,
        transport: match kind {
            SocketType::Udp => "UDP",
            SocketType::Tcp => "TCP",
        },
        source,
        hint: if refused { " (is it started?)" } else { "" },
    }
}

fn write_error(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!(
                "the collector read nothing for {} s",
                WRITE_TIMEOUT.as_secs()
            )
        }
        _ => error.to_string(),
    }
}

/// Tells a TCP collector that this was all, and waits until it has closed its side: a reset instead of
/// an end means that it did not read everything.
fn close(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut discard = [0; 512];
    loop {
        match stream.read(&mut discard) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                // It keeps its side open: its own affair.
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(()),
                _ => return Err(error),
            },
        }
    }
}

/// Shorter waits cost more than they smooth.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Spreads flows evenly: a bucket of tokens that fills with time, one token a flow.
#[derive(Debug)]
struct Pacer {
    /// Tokens a second.
    rate: f64,
    /// The most tokens that a pause can save up: what a collector's socket buffer takes in one go.
    burst: f64,
    tokens: f64,
    last: Instant,
}

impl Pacer {
    /// Two milliseconds' worth, and never more than some 45 messages of 1400 octets: 64 KiB.
    fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate);
        let burst = (rate * 0.002).clamp(1.0, 800.0);
        Pacer {
            rate,
            burst,
            tokens: burst,
            last: now,
        }
    }

    /// Takes `flows` tokens; says how long to wait before the flows may go.
    fn delay(&mut self, now: Instant, flows: u64) -> Duration {
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.burst) - flows as f64;
        let debt = (-self.tokens).max(0.0);
        Duration::try_from_secs_f64(debt / self.rate).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;

    use super::*;
    use crate::cli::Cli;
    use crate::config::Config;

    fn config(args: &[&str]) -> NetflowConfig {
        let cli = Cli::try_parse_from(["t2x", "-r", "x"].iter().chain(args)).unwrap();
        Config::new(&cli, &|_| None).unwrap().netflow.unwrap()
    }

    fn to_port(port: u16, args: &[&str]) -> NetflowConfig {
        let mut config = config(args);
        config.port = port;
        config
    }

    #[test]
    fn the_pacer_keeps_its_rate_and_its_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(100_000, start);
        // The burst of 200 flows goes at once, what is above it must wait.
        assert_eq!(pacer.delay(start, 200), Duration::ZERO);
        assert_eq!(pacer.delay(start, 100), Duration::from_millis(1));
        // A long pause saves up no more than the burst.
        let later = start + Duration::from_secs(9);
        assert_eq!(pacer.delay(later, 200), Duration::ZERO);
        assert_eq!(pacer.delay(later, 1000), Duration::from_millis(10));
    }

    #[test]
    fn a_second_of_flows_takes_a_second() {
        let mut now = Instant::now();
        let start = now;
        let mut pacer = Pacer::new(50_000, now);
        for _ in 0..500 {
            now += pacer.delay(now, 100);
        }
        let took = now - start;
        assert!(
            took > Duration::from_millis(990) && took < Duration::from_millis(1001),
            "{took:?}"
        );
    }

    #[test]
    fn datagrams_arrive_over_ipv4_and_ipv6() {
        for (bind, host) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::1]:0", "[::1]"),
        ] {
            let collector = UdpSocket::bind(bind).unwrap();
            let port = collector.local_addr().unwrap().port();
            let mut sender = Sender::connect(&to_port(port, &["--nf-addr", host])).unwrap();
            sender.send(b"message", 3);
            let mut buffer = [0; 100];
            assert_eq!(collector.recv(&mut buffer).unwrap(), 7);
            let counters = sender.finish();
            assert_eq!(
                (counters.messages, counters.records, counters.octets),
                (1, 3, 7)
            );
            assert_eq!((counters.refused, counters.lost), (0, vec![]));
        }
    }

    #[test]
    fn datagrams_without_a_listener_are_counted() {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut sender = Sender::connect(&to_port(port, &[])).unwrap();
        for _ in 0..5 {
            sender.send(b"message", 3);
        }
        let counters = sender.finish();
        assert_eq!(
            (counters.messages, counters.refused, counters.lost),
            (5, 5, vec![])
        );
    }

    #[test]
    fn a_datagram_that_is_too_long_is_lost() {
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = collector.local_addr().unwrap().port();
        let mut sender = Sender::connect(&to_port(port, &[])).unwrap();
        sender.send(&[0; 65_508], 9);
        let counters = sender.finish();
        assert_eq!(counters.messages, 0);
        assert_eq!(
            (counters.lost[0].messages, counters.lost[0].records),
            (1, 9)
        );
        assert!(counters.lost[0].cause.contains("Message too long"));
    }

    #[test]
    fn names_that_cannot_be_resolved_are_told() {
        let error = Sender::connect(&config(&["--nf-addr", "no.such.name.invalid"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot resolve the collector's name no.such.name.invalid"
        );
    }

    #[test]
    fn tcp_without_a_listener_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let error = Sender::connect(&to_port(port, &["--nf-socktype", "tcp"])).unwrap_err();
        let expect =
            format!("cannot reach the collector 127.0.0.1:{port} over TCP (is it started?)");
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn a_tcp_collector_gets_all_or_the_loss_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let to_collector = to_port(port, &["--nf-socktype", "tcp"]);
        let collector = std::thread::spawn(move || {
            let mut all = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
            // The next one goes away without reading.
            drop(listener.accept().unwrap());
            all
        });
        let mut sender = Sender::connect(&to_collector).unwrap();
        sender.send(b"one", 1);
        sender.send(b"two", 1);
        let counters = sender.finish();
        assert_eq!(
            (counters.messages, counters.octets, counters.lost),
            (2, 6, vec![])
        );
        let mut sender = Sender::connect(&to_collector).unwrap();
        assert_eq!(collector.join().unwrap(), b"onetwo");
        for _ in 0..10 {
            sender.send(&[7; 1000], 10);
            std::thread::sleep(Duration::from_millis(1));
        }
        let counters = sender.finish();
        let lost: u64 = counters.lost.iter().map(|lost| lost.records).sum();
        assert!(lost > 0);
        assert_eq!(counters.records + lost, 100);
    }
}
