//! Lines over TCP or UDP, as Tranalyzer's socketSink sends them, on a thread of their own: who reads slowly slows the
//! reading of captures down, but never for longer than [`PATIENCE`], and never fills the memory. Packets of an interface
//! do not wait: what is too much then is lost.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lines::count;
use crate::cli::{Rate, SocketType};
use crate::config::SocketConfig;
use crate::send::{Pacer, Patience};

/// How long a connection may take to come about at the start, and later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the peer may read nothing before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to close its side at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// After a connection is lost the next one is tried so soon, after each failure twice as late, up to the other.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Shorter waits cost more than they smooth.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Chunks of lines that may wait, of 32 KiB at most; and at an interface.
const WAITING: usize = 16;
const WAITING_LIVE: usize = 1024;

/// What became of the lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SocketCounters {
    /// Flows handed to the network.
    pub flows: u64,
    /// Datagrams to which the peer's host answered that nobody listens.
    pub refused: u64,
    /// Connections after the first one.
    pub reconnects: u64,
    /// Flows that could not be sent, by cause, in order of first appearance.
    pub lost: Vec<(String, u64)>,
}

impl SocketCounters {
    /// Flows that could not be sent.
    #[must_use]
    pub fn lost_flows(&self) -> u64 {
        self.lost.iter().map(|(_, flows)| flows).sum()
    }

    fn lose(&mut self, cause: &str, flows: u64) {
        if flows == 0 {
            return;
        }
        match self.lost.iter_mut().find(|(known, _)| known == cause) {
            Some((_, lost)) => *lost += flows,
            None => self.lost.push((cause.to_owned(), flows)),
        }
    }
}

/// The way to the thread.
#[derive(Debug)]
pub struct SocketWriter {
    full: SyncSender<Vec<u8>>,
    thread: JoinHandle<SocketCounters>,
    /// What the thread had done a moment ago.
    told: Arc<Mutex<SocketCounters>>,
    /// Whether whoever has lines waits while too many are there.
    pub may_wait: bool,
    /// Flows of which there were too many.
    lost: u64,
}

impl SocketWriter {
    /// Connects. `names` says whether the first line is no flow, but the names of the columns: every further
    /// connection begins with it, too. Once `stop` is set, a peer that hangs is waited for only shortly.
    ///
    /// # Errors
    /// When the name has no address, or none can be connected to.
    pub fn connect(config: &SocketConfig, names: bool, stop: &Arc<AtomicBool>) -> io::Result<Self> {
        let (address, socket) = connect(config)?;
        let (full, work) = sync_channel(match config.may_wait {
            true => WAITING,
            false => WAITING_LIVE,
        });
        let peer = Peer {
            address,
            socket,
            names,
            pacer: match config.rate {
                Rate::PerSecond(rate) => Some(Pacer::new(rate, Instant::now())),
                Rate::Unlimited => None,
            },
            patience: Patience::new(PATIENCE, stop),
            first_line: None,
            counters: SocketCounters::default(),
        };
        let told = Arc::new(Mutex::new(SocketCounters::default()));
        let tell = Arc::clone(&told);
        let thread = std::thread::spawn(move || peer.run(&work, &tell));
        Ok(SocketWriter {
            full,
            thread,
            told,
            may_wait: config.may_wait,
            lost: 0,
        })
    }

    /// Hands complete lines over.
    pub fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let sent = match self.may_wait {
            true => self.full.send(lines.to_vec()).is_ok(),
            false => match self.full.try_send(lines.to_vec()) {
                Err(TrySendError::Full(lines)) => {
                    self.lost += count(&lines);
                    true
                }
                sent => sent.is_ok(),
            },
        };
        let gone = || io::Error::other("the thread of the socket has failed");
        sent.then_some(()).ok_or_else(gone)
    }

    /// Waits until everything is sent or lost.
    pub fn finish(self) -> SocketCounters {
        drop(self.full);
        with_lost(self.thread.join().unwrap_or_default(), self.lost)
    }

    /// What had become of the lines a moment ago.
    pub fn counters(&self) -> SocketCounters {
        let told = self.told.lock().map(|told| told.clone());
        with_lost(told.unwrap_or_default(), self.lost)
    }
}

/// With the flows that the thread never had.
fn with_lost(mut counters: SocketCounters, lost: u64) -> SocketCounters {
    counters.lose("the peer was behind, and no more could wait", lost);
    counters
}

/// The first of the peer's addresses that can be connected to.
fn connect(config: &SocketConfig) -> io::Result<(SocketAddr, Socket)> {
    let host = config.host.trim_start_matches('[').trim_end_matches(']');
    let mut error = io::Error::other("the name has no address");
    for address in (host, config.port).to_socket_addrs()? {
        let socket = match config.socket_type {
            SocketType::Udp => datagrams_to(address).map(Socket::Udp),
            _ => stream_to(address, CONNECT_TIMEOUT).map(Socket::Tcp),
        };
        match socket {
            Ok(socket) => return Ok((address, socket)),
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

fn datagrams_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

fn stream_to(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_write_timeout(Some(Patience::LOOK))?;
    stream.set_read_timeout(Some(CLOSE_TIMEOUT))?;
    Ok(stream)
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    /// A connection that broke, and why.
    Away {
        cause: String,
        again: Instant,
        pause: Duration,
    },
}

/// What the thread works with.
struct Peer {
    address: SocketAddr,
    socket: Socket,
    names: bool,
    /// Of datagrams: a stream slows down by itself.
    pacer: Option<Pacer>,
    patience: Patience,
    first_line: Option<Vec<u8>>,
    counters: SocketCounters,
}

impl Peer {
    fn run(mut self, work: &Receiver<Vec<u8>>, tell: &Mutex<SocketCounters>) -> SocketCounters {
        for chunk in work {
            let lines = self.without_names(&chunk);
            self.come_back();
            match &mut self.socket {
                Socket::Udp(socket) => {
                    datagrams(socket, lines, self.pacer.as_mut(), &mut self.counters);
                }
                Socket::Tcp(stream) => {
                    let counters = &mut self.counters;
                    if let Err(cause) = write(stream, lines, &self.patience, counters) {
                        self.go_away(cause);
                    }
                }
                Socket::Away { cause, .. } => self.counters.lose(cause, count(lines)),
            }
            if let Ok(mut told) = tell.lock() {
                told.clone_from(&self.counters);
            }
        }
        self.close();
        self.counters
    }

    /// Sends the names of the columns, if they are the first line, and keeps them.
    fn without_names<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
        if !self.names || self.first_line.is_some() {
            return lines;
        }
        let end = lines.iter().position(|octet| *octet == b'\n');
        let (first, rest) = lines.split_at(end.map_or(lines.len(), |end| end + 1));
        self.first_line = Some(first.to_vec());
        self.send_names();
        rest
    }

    fn send_names(&mut self) {
        let names = self.first_line.as_deref().unwrap_or_default();
        match &mut self.socket {
            Socket::Udp(socket) => {
                // Without a listener the flows are lost as well, and counted.
                let _ = socket.send(names);
            }
            Socket::Tcp(stream) => {
                let mut no_flows = SocketCounters::default();
                if let Err(cause) = write(stream, names, &self.patience, &mut no_flows) {
                    self.go_away(cause);
                }
            }
            Socket::Away { .. } => {}
        }
    }

    fn go_away(&mut self, cause: String) {
        self.socket = Socket::Away {
            cause,
            again: Instant::now() + FIRST_PAUSE,
            pause: FIRST_PAUSE,
        };
    }

    /// Connects again when it is time to.
    fn come_back(&mut self) {
        let Socket::Away { again, pause, .. } = &mut self.socket else {
            return;
        };
        if Instant::now() < *again {
            return;
        }
        match stream_to(self.address, RECONNECT_TIMEOUT) {
            Ok(stream) => {
                self.socket = Socket::Tcp(stream);
                self.counters.reconnects += 1;
                self.send_names();
            }
            Err(_) => {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                *again = Instant::now() + *pause;
            }
        }
    }

    /// Says that this was all, and waits until the peer has closed its side: a reset instead means that it has not
    /// read everything.
    fn close(&mut self) {
        let Socket::Tcp(stream) = &mut self.socket else {
            return;
        };
        let closed = stream
            .shutdown(Shutdown::Write)
            .and_then(|()| io::copy(&mut stream.take(1 << 20), &mut io::sink()));
        match closed {
            Err(error) if !is_timeout(&error) => {
                let cause = format!("connection not closed properly: {error}");
                self.counters.lost.push((cause, 0));
            }
            _ => {}
        }
    }
}

/// Writes lines; those that are not written whole are lost, and why.
fn write(
    stream: &mut TcpStream,
    lines: &[u8],
    patience: &Patience,
    counters: &mut SocketCounters,
) -> Result<(), String> {
    let mut rest = lines;
    let mut cause = hear(stream).err().map(|error| error.to_string());
    let mut since = Instant::now();
    while cause.is_none() && !rest.is_empty() {
        match stream.write(rest) {
            Ok(octets) => {
                counters.flows += count(rest.get(..octets).unwrap_or_default());
                rest = rest.get(octets..).unwrap_or_default();
                since = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => {
                cause = patience
                    .is_over(since)
                    .map(|most| format!("the peer read nothing for {} s", most.as_secs_f64()));
            }
            Err(error) => cause = Some(error.to_string()),
        }
    }
    match cause {
        None => Ok(()),
        Some(cause) => {
            counters.lose(&cause, count(rest));
            Err(cause)
        }
    }
}

/// Whether the peer is still there: what it says does not matter, that it has closed does.
fn hear(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let heard = stream.read(&mut [0; 4096]);
    stream.set_nonblocking(false)?;
    match heard {
        Ok(0) => Err(io::Error::new(
            ErrorKind::ConnectionAborted,
            "the peer has closed the connection",
        )),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// One datagram a line.
fn datagrams(
    socket: &UdpSocket,
    lines: &[u8],
    mut pacer: Option<&mut Pacer>,
    counters: &mut SocketCounters,
) {
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        if let Some(pacer) = pacer.as_deref_mut() {
            let delay = pacer.delay(Instant::now(), 1);
            if delay >= SHORTEST_SLEEP {
                std::thread::sleep(delay);
            }
        }
        let mut sent = socket.send(line);
        if sent
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        {
            // The answer to an earlier one; this one was not sent.
            counters.refused += 1;
            sent = socket.send(line);
        }
        match sent {
            Ok(_) => counters.flows += 1,
            Err(error) => counters.lose(&error.to_string(), 1),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
