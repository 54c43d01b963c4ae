//! Sending the actions of a case to a device, over UDP and TCP.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use socket2::{Domain, Protocol, Socket, Type};

use super::assemble::{Action, Sender};
use crate::wire::Transport;

const CONNECT: Duration = Duration::from_secs(2);

/// How long a device may take to close its side.
const LINGER: Duration = Duration::from_millis(1500);

/// A device that reads nothing more does not hold us up.
const WRITE: Duration = Duration::from_secs(3);

/// Octets on their way before a pause, lest a queue overflows that the device has no fault in.
const BURST: usize = 64 << 10;

/// What a datagram takes in a queue apart from its octets.
const OVERHEAD: usize = 800;

/// The sockets of one run.
#[derive(Debug)]
pub struct Sockets {
    udp: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
    datagrams: HashMap<Sender, UdpSocket, RandomState>,
    streams: HashMap<Sender, TcpStream, RandomState>,
    burst: usize,
    /// What the network refused, one line each.
    pub refusals: Vec<String>,
}

impl Sockets {
    /// To these addresses.
    pub fn new(udp: Option<SocketAddr>, tcp: Option<SocketAddr>) -> Self {
        Self {
            udp,
            tcp,
            datagrams: HashMap::default(),
            streams: HashMap::default(),
            burst: 0,
            refusals: Vec::new(),
        }
    }

    /// Does all of `actions`. `drain` is called when much is on its way over UDP.
    pub fn act(&mut self, actions: &[Action], drain: &mut dyn FnMut()) {
        for action in actions {
            let done = match action {
                Action::Send(sender, octets, slice) => {
                    self.burst += octets.len() + OVERHEAD;
                    if self.burst > BURST && sender.transport == Transport::Udp {
                        drain();
                        self.burst = 0;
                    }
                    self.send(*sender, octets, *slice)
                }
                Action::Close(sender) => {
                    if let Some(stream) = self.streams.remove(sender) {
                        close(stream);
                    }
                    self.datagrams.remove(sender);
                    Ok(())
                }
                Action::Reset(sender) => self.reset(*sender),
                Action::Pause(ms) => {
                    thread::sleep(Duration::from_millis(*ms));
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.refusals.push(error.to_string());
            }
        }
    }

    /// Closes all connections in order: what was sent is read before this returns, if the device reads.
    pub fn close(&mut self) {
        for (_, stream) in self.streams.drain() {
            close(stream);
        }
    }

    fn send(&mut self, sender: Sender, octets: &[u8], slice: usize) -> std::io::Result<()> {
        if sender.transport == Transport::Udp {
            let Some(to) = self.udp else { return Ok(()) };
            let socket = match self.datagrams.entry(sender) {
                hashbrown::hash_map::Entry::Occupied(known) => known.into_mut(),
                hashbrown::hash_map::Entry::Vacant(place) => {
                    place.insert(UdpSocket::bind(from(sender, to))?)
                }
            };
            socket.send_to(octets, to)?;
            return Ok(());
        }
        let Some(to) = self.tcp else { return Ok(()) };
        if !self.streams.contains_key(&sender) {
            self.streams.insert(sender, connect(sender, to)?);
        }
        let Some(stream) = self.streams.get_mut(&sender) else {
            return Ok(());
        };
        if slice == 0 {
            return stream.write_all(octets);
        }
        for part in octets.chunks(slice) {
            stream.write_all(part)?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn reset(&mut self, sender: Sender) -> std::io::Result<()> {
        let Some(stream) = self.streams.remove(&sender) else {
            return Ok(());
        };
        // Lingering for no time: closed with a reset. What was sent before is given a moment to be read.
        thread::sleep(Duration::from_millis(100));
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
    }
}

fn from(sender: Sender, to: SocketAddr) -> SocketAddr {
    let any = match to {
        SocketAddr::V4(to) if to.ip().is_loopback() => {
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, sender.host))
        }
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, 0)
}

fn connect(sender: Sender, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&from(sender, to).into())?;
    socket.connect_timeout(&to.into(), CONNECT)?;
    socket.set_tcp_nodelay(true)?;
    let stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(WRITE))?;
    Ok(stream)
}

fn close(mut stream: TcpStream) {
    let deadline = Instant::now() + LINGER;
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(LINGER));
    let mut octets = [0; 512];
    while let Ok(1..) = stream.read(&mut octets) {
        if Instant::now() > deadline {
            break;
        }
    }
}
