//! A name server of one's own (`-D`): asked over UDP, and over TCP where the answer is too long for a datagram.

use anyhow::Context;
use nfdump_compat::dns::{self, Message, kind};
use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    time::Duration,
};

const PORT: u16 = 53;
/// An answer is waited for so long, so often.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 2;
/// Longest message over UDP (RFC 1035 section 2.3.4), with room for servers that send more.
const MAX_DATAGRAM: usize = 4096;

/// The name server.
#[derive(Clone, Copy, Debug)]
pub struct Resolver(SocketAddr);

impl Resolver {
    /// A server by address (`192.0.2.1`, `2001:db8::1`), address and port (`192.0.2.1:5353`, `[2001:db8::1]:5353`) or name.
    ///
    /// # Errors
    /// It is no address, and no name that the system knows.
    pub fn new(server: &str) -> anyhow::Result<Self> {
        if let Ok(address) = server.parse() {
            return Ok(Self(address));
        }
        let mut found = (server, PORT)
            .to_socket_addrs()
            .with_context(|| format!("name server {server}"))?;
        let address = found.next();
        address
            .map(Self)
            .context("a name server without an address")
    }

    /// The addresses of a host; none if the server knows none.
    ///
    /// # Errors
    /// It does not answer.
    pub fn lookup(self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for kind in [kind::A, kind::AAAA] {
            let id = RandomState::new().hash_one(host) as u16;
            // What is no name has no address.
            let Some(query) = dns::query(id, host, kind) else {
                return Ok(addresses);
            };
            let answer = self.ask(id, &query)?;
            let message = Message::parse(&answer, false);
            addresses.extend(message.iter().flat_map(Message::addresses));
        }
        Ok(addresses)
    }

    fn ask(self, id: u16, query: &[u8]) -> io::Result<Vec<u8>> {
        let own: SocketAddr = match self.0 {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(own)?;
        socket.connect(self.0)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut error = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..TRIES {
            socket.send(query)?;
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    return match Message::parse(&buffer, false) {
                        Some(message) if message.answers(id) && message.is_cut() => {
                            self.ask_over_tcp(query)
                        }
                        Some(message) if message.answers(id) => Ok(buffer),
                        _ => Err(io::Error::other("it answers something else")),
                    };
                }
                Err(reason) => error = reason,
            }
        }
        Err(match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::from(io::ErrorKind::TimedOut),
            _ => error,
        })
    }

    fn ask_over_tcp(self, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.0, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl std::fmt::Display for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
