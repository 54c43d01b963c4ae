//! Sending the actions of a case to a device, over UDP, TCP and TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

use super::assemble::{Action, Sender};
use super::certificates::{Clients, Identity};
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

/// Where a device is reached.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Over UDP.
    pub udp: Option<SocketAddr>,
    /// Over TCP.
    pub tcp: Option<SocketAddr>,
    /// Over TLS.
    pub tls: Option<SocketAddr>,
    /// How to speak TLS.
    pub clients: Option<Clients>,
}

impl Targets {
    /// The address for a transport.
    pub fn of(&self, transport: Transport) -> Option<SocketAddr> {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls,
            Transport::File => None,
        }
    }
}

/// An open connection.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn write_all(&mut self, octets: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(octets),
            Stream::Tls(stream) => {
                stream.write_all(octets)?;
                stream.flush()
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }
}

/// The sockets of one run.
#[derive(Debug)]
pub struct Sockets {
    targets: Targets,
    datagrams: HashMap<Sender, UdpSocket, RandomState>,
    streams: HashMap<Sender, Stream, RandomState>,
    burst: usize,
    /// What the network refused, one line each.
    pub refusals: Vec<String>,
}

impl Sockets {
    /// To these addresses.
    pub fn new(targets: Targets) -> Self {
        Self {
            targets,
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
            let refused =
                matches!(action, Action::Send(sender, ..) if sender.identity != Identity::Right);
            if let (Err(error), false) = (done, refused) {
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
        let Some(to) = self.targets.of(sender.transport) else {
            return Ok(());
        };
        if sender.transport == Transport::Udp {
            let socket = match self.datagrams.entry(sender) {
                hashbrown::hash_map::Entry::Occupied(known) => known.into_mut(),
                hashbrown::hash_map::Entry::Vacant(place) => {
                    place.insert(UdpSocket::bind(from(sender, to))?)
                }
            };
            socket.send_to(octets, to)?;
            return Ok(());
        }
        if !self.streams.contains_key(&sender) {
            let stream = self.connect(sender, to)?;
            self.streams.insert(sender, stream);
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

    fn connect(&self, sender: Sender, to: SocketAddr) -> std::io::Result<Stream> {
        let mut stream = connect(sender, to)?;
        if sender.transport != Transport::Tls {
            return Ok(Stream::Plain(stream));
        }
        let clients = self.targets.clients.as_ref();
        let config = clients
            .and_then(|clients| clients.get(sender.identity))
            .ok_or_else(|| std::io::Error::other("there is no certificate of this kind"))?;
        stream.set_read_timeout(Some(WRITE))?;
        let name = ServerName::from(to.ip());
        let mut session =
            ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, stream))))
    }

    fn reset(&mut self, sender: Sender) -> std::io::Result<()> {
        let Some(stream) = self.streams.remove(&sender) else {
            return Ok(());
        };
        // Lingering for no time: closed with a reset. What was sent before is given a moment to be read.
        thread::sleep(Duration::from_millis(100));
        socket2::SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO))
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

fn close(mut stream: Stream) {
    let deadline = Instant::now() + LINGER;
    if let Stream::Tls(stream) = &mut stream {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
    let mut socket = stream.socket();
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.set_read_timeout(Some(LINGER));
    let mut octets = [0; 512];
    while let Ok(1..) = socket.read(&mut octets) {
        if Instant::now() > deadline {
            break;
        }
    }
}
