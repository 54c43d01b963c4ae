//! Datagrams: as large as the path takes them, several with one call.

use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};

use super::counters::{Load, SendCounters};

/// How often a datagram is tried while the system has no memory for it.
const TRIES: u32 = 100;

/// How long to wait for memory.
const NO_MEMORY: Duration = Duration::from_millis(1);

/// Datagrams that wait for one call.
const TOGETHER: usize = 32;

/// Octets of IP and UDP headers.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;
const HEADER_V6: usize = 40;

/// The most octets of a packet whose path is not known (RFC 7011 section 10.3.3).
const UNKNOWN: usize = 512;

/// The largest number in the length field of an IP header.
const LONGEST_PACKET: usize = 65_535;

/// A connected socket, and datagrams that wait.
pub(super) struct Udp {
    socket: UdpSocket,
    address: SocketAddr,
    /// Octets that wait, one datagram behind the other.
    waiting: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<(usize, Load)>,
}

impl Udp {
    pub(super) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        // RFC 7011 section 10.3.3: no fragments. What turns out to be too long is refused, and then known.
        let _ = match address {
            SocketAddr::V4(_) => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO),
            SocketAddr::V6(_) => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO),
        };
        Ok(Udp {
            socket,
            address,
            waiting: Vec::new(),
            ends: Vec::with_capacity(TOGETHER),
        })
    }

    /// The most octets of a message that the path takes, as far as the system knows.
    pub(super) fn path(&self) -> usize {
        let (mtu, headers) = match self.address {
            SocketAddr::V4(_) => (sockopt::ip_mtu(&self.socket), HEADERS_V4),
            SocketAddr::V6(_) => (sockopt::ipv6_mtu(&self.socket), HEADERS_V6),
        };
        let mtu = mtu.ok().and_then(|mtu| usize::try_from(mtu).ok());
        // A packet has at most 65535 octets, whatever an interface takes; those of IPv6 headers count apart.
        let longest = match self.address {
            SocketAddr::V4(_) => LONGEST_PACKET,
            SocketAddr::V6(_) => LONGEST_PACKET + HEADER_V6,
        };
        let packet = mtu.filter(|mtu| *mtu > headers).unwrap_or(UNKNOWN);
        packet.min(longest) - headers
    }

    /// Takes a message. It goes at the latest with [`flush`](Self::flush).
    pub(super) fn send(&mut self, message: &[u8], load: Load, counters: &mut SendCounters) {
        self.waiting.extend_from_slice(message);
        self.ends.push((self.waiting.len(), load));
        if self.ends.len() == TOGETHER {
            self.flush(counters);
        }
    }

    /// Sends all that waits. Returns whether a message was longer than the path takes.
    pub(super) fn flush(&mut self, counters: &mut SendCounters) -> bool {
        let mut too_long = false;
        let mut first = 0;
        while first < self.ends.len() {
            // One call for one datagram is what `send_alone` does, and it knows what to do with errors.
            let sent = self.send_together(first).unwrap_or_default();
            for index in first..first + sent {
                let (message, load) = self.message(index);
                counters.sent(message.len(), load);
            }
            first += sent;
            if first < self.ends.len() && sent == 0 {
                let (message, load) = self.message(first);
                match send_alone(&self.socket, message, &mut counters.refused) {
                    Ok(()) => counters.sent(message.len(), load),
                    Err(error) => {
                        too_long |= error.raw_os_error() == Some(Errno::EMSGSIZE as i32);
                        counters.lose(&error.to_string(), 1, load);
                    }
                }
                first += 1;
            }
        }
        self.waiting.clear();
        self.ends.clear();
        too_long
    }

    /// Sends what waits from `first` on with one call; says how many datagrams went.
    fn send_together(&self, first: usize) -> nix::Result<usize> {
        let count = self.ends.len().saturating_sub(first);
        if count < 2 {
            return Ok(0);
        }
        let mut slices = [[IoSlice::new(&[])]; TOGETHER];
        let mut begin = self.begin(first);
        for ((end, _), slice) in self.ends.iter().skip(first).zip(&mut slices) {
            *slice = [IoSlice::new(
                self.waiting.get(begin..*end).unwrap_or_default(),
            )];
            begin = *end;
        }
        let slices = slices.get(..count).unwrap_or_default();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
        let addresses = [const { None }; TOGETHER];
        let none: [ControlMessage<'_>; 0] = [];
        let flags = MsgFlags::empty();
        let socket = self.socket.as_raw_fd();
        let sent = sendmmsg(socket, &mut headers, slices, addresses, none, flags)?;
        Ok(sent.count())
    }

    fn begin(&self, index: usize) -> usize {
        let before = index.checked_sub(1).and_then(|index| self.ends.get(index));
        before.map_or(0, |(end, _)| *end)
    }

    fn message(&self, index: usize) -> (&[u8], Load) {
        let (end, load) = self.ends.get(index).copied().unwrap_or_default();
        let octets = self.waiting.get(self.begin(index)..end);
        (octets.unwrap_or_default(), load)
    }

    /// Sends the rest, and reads the answer to the last datagram.
    pub(super) fn finish(mut self, counters: &mut SendCounters) {
        self.flush(counters);
        let answer = self.socket.take_error().ok().flatten();
        if answer.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            counters.refused += 1;
        }
    }
}

/// Sends one datagram. An ICMP "port unreachable" for an earlier one is reported instead of sending this
/// one: it is counted in `refused`, and this one is sent again.
fn send_alone(socket: &UdpSocket, message: &[u8], refused: &mut u64) -> std::io::Result<()> {
    let mut error = None;
    for _ in 0..TRIES {
        match socket.send(message) {
            Ok(_) => return Ok(()),
            Err(failed) => match failed.kind() {
                ErrorKind::ConnectionRefused => *refused += 1,
                ErrorKind::Interrupted => {}
                _ if failed.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    std::thread::sleep(NO_MEMORY);
                    error = Some(failed);
                }
                _ => return Err(failed),
            },
        }
    }
    Err(error.unwrap_or_else(|| std::io::Error::other("refused again and again")))
}
