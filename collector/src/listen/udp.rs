//! UDP: one thread per socket that does nothing but receive, many datagrams a system call.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use nix::sys::stat::fstat;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{error, info, warn};

use super::queue::Queues;
use super::repeat::Repeater;
use super::{Batch, ListenError, canonical, now_ms};
use crate::config::Endpoint;

/// Datagrams a system call may bring.
pub const BATCH: usize = 64;
/// A UDP payload cannot be longer.
const MAX_DATAGRAM: usize = 65_535;
/// Distance of two receive buffers: not a power of two, so that the first bytes of all do not fall into one cache set.
const STRIDE: usize = MAX_DATAGRAM + 577;
/// Asked for without `-B`: about a second of a busy exporter.
const DEFAULT_BUFFER: usize = 8 << 20;
/// How long a stopped listener goes on emptying its socket.
const DRAIN: Duration = Duration::from_secs(2);

/// Octets of the buffers of one receive thread.
#[must_use]
pub fn memory() -> usize {
    BATCH * STRIDE
}

/// A bound UDP socket.
#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
    local: SocketAddr,
    received: Arc<Received>,
}

impl UdpListener {
    /// Binds the socket, joins the groups and sizes its receive buffer.
    ///
    /// # Errors
    /// When the system refuses the address or a group.
    pub fn bind(endpoint: &Endpoint, buffer: Option<usize>) -> Result<Self, ListenError> {
        let fail = |source| ListenError::new("udp", endpoint.address, source);
        let socket = match open(endpoint, endpoint.address) {
            Err(error) if endpoint.fall_back_to_ipv4 && no_ipv6(&error) => open(
                endpoint,
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, endpoint.address.port())),
            ),
            other => other,
        };
        Self::from_socket(socket.map_err(fail)?, buffer).map_err(fail)
    }

    /// Takes over a bound socket that somebody else opened.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn adopt(socket: UdpSocket, buffer: Option<usize>) -> std::io::Result<Self> {
        let socket = Socket::from(socket);
        socket.set_nonblocking(false)?;
        Self::from_socket(socket, buffer)
    }

    fn from_socket(socket: Socket, buffer: Option<usize>) -> std::io::Result<Self> {
        size_buffer(&socket, buffer);
        if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
            warn!("datagrams dropped by the kernel cannot be counted: {error}");
        }
        // The receive thread looks at its stop flag this often.
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            received: Arc::default(),
        })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What it has brought so far.
    #[must_use]
    pub fn received(&self) -> Arc<Received> {
        Arc::clone(&self.received)
    }

    /// Starts receiving into `queues`, and sending on, until `stop` is set and the socket is empty.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        self,
        queues: Queues,
        repeater: Repeater,
        stop: Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("udp-receive".to_owned())
            .spawn(move || receive(&self, &queues, &repeater, &stop))
    }
}

fn open(endpoint: &Endpoint, address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(endpoint.only_ipv6)?;
    }
    if endpoint.group.is_some() {
        // Several collectors of one machine may listen to a group.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    match endpoint.group {
        Some((IpAddr::V4(group), interface)) => {
            socket.join_multicast_v4(&group, &interface.unwrap_or(Ipv4Addr::UNSPECIFIED))?;
        }
        Some((IpAddr::V6(group), _)) => {
            let interface = match address {
                SocketAddr::V6(address) => address.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            socket.join_multicast_v6(&group, interface)?;
        }
        None => {}
    }
    Ok(socket)
}

/// A kernel without IPv6, or one on which it is switched off.
fn no_ipv6(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
    )
}

/// Asks for a receive buffer: past the system's limit where permitted, else up to it. The kernel keeps twice the
/// figure for its own book-keeping and reports it doubled.
fn size_buffer(socket: &Socket, asked: Option<usize>) {
    let wanted = asked.unwrap_or(DEFAULT_BUFFER);
    if setsockopt(socket, sockopt::RcvBufForce, &wanted).is_err()
        && let Err(error) = socket.set_recv_buffer_size(wanted)
    {
        warn!("receive buffer of {wanted} bytes refused: {error}");
    }
    let Ok(granted) = socket.recv_buffer_size().map(|doubled| doubled / 2) else {
        return;
    };
    if granted < wanted {
        warn!(
            "receive buffer: {granted} of {wanted} bytes granted (raise it with `sysctl -w net.core.rmem_max={wanted}`)"
        );
    } else if asked.is_some() {
        info!("receive buffer: {granted} bytes");
    }
}

/// What a socket has brought, as it grows.
#[derive(Debug, Default)]
pub struct Received {
    /// Datagrams taken from the kernel.
    pub datagrams: AtomicU64,
    /// Their octets.
    pub octets: AtomicU64,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub kernel_drops: AtomicU64,
    /// Datagrams dropped because the queue of their worker was full.
    pub queue_drops: AtomicU64,
}

impl Received {
    /// Datagrams that the kernel dropped.
    #[must_use]
    pub fn kernel_drops(&self) -> u64 {
        self.kernel_drops.load(Ordering::Relaxed)
    }

    /// Datagrams that the queues did not take.
    #[must_use]
    pub fn queue_drops(&self) -> u64 {
        self.queue_drops.load(Ordering::Relaxed)
    }
}

fn receive(listener: &UdpListener, queues: &Queues, repeater: &Repeater, stop: &AtomicBool) {
    let received = &*listener.received;
    let mut arena = vec![0_u8; BATCH * STRIDE];
    let mut drops = DropCounter::default();
    let mut drain_until: Option<Instant> = None;
    // Something came since the kernel's table of sockets was looked at.
    let mut active = false;
    loop {
        if drain_until.is_none() && stop.load(Ordering::Relaxed) {
            drain_until = Some(Instant::now() + DRAIN);
        }
        let draining = drain_until.is_some();
        let outcome = if drain_until.is_some_and(|end| Instant::now() > end) {
            Err(Errno::EAGAIN)
        } else {
            fill(&listener.socket, &mut arena, &mut drops, draining)
        };
        // Drops behind the last datagram are told by no later one.
        let idle = matches!(outcome, Err(Errno::EAGAIN));
        if idle && (active || draining) {
            active = false;
            if let Some(total) = drops_in_table(&listener.socket) {
                drops.see(total);
            }
        }
        let dropped = drops.take();
        received.kernel_drops.fetch_add(dropped, Ordering::Relaxed);
        match outcome {
            Ok(batch) => {
                active = true;
                let (datagrams, octets) = (batch.len() as u64, batch.octets() as u64);
                received.datagrams.fetch_add(datagrams, Ordering::Relaxed);
                received.octets.fetch_add(octets, Ordering::Relaxed);
                for (_, datagram) in batch.iter() {
                    repeater.send(datagram);
                }
                let lost = queues.datagrams(batch);
                received.queue_drops.fetch_add(lost, Ordering::Relaxed);
            }
            Err(Errno::EAGAIN) if draining => return,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                // An ICMP error of an earlier datagram or a passing shortage: the socket stays usable.
                error!("udp {}: {errno}", listener.local);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// The socket's drops by the kernel's table of UDP sockets, where it is found by its inode.
fn drops_in_table(socket: &UdpSocket) -> Option<u32> {
    let inode = fstat(socket).ok()?.st_ino.to_string();
    ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .find_map(|table| {
            let text = std::fs::read_to_string(table).ok()?;
            // sl local remote st queues tr:when retransmits uid timeout inode references pointer drops
            let mut rows = text.lines().map(str::split_ascii_whitespace);
            let mut row = rows.find(|row| row.clone().nth(9) == Some(&inode))?;
            row.nth(12)?.parse().ok()
        })
}

/// Receives what is there, at least one datagram unless the time-out passes first.
fn fill(
    socket: &UdpSocket,
    arena: &mut [u8],
    drops: &mut DropCounter,
    draining: bool,
) -> nix::Result<Batch> {
    // Made new each time: the kernel shortens the control lengths in it, and nix does not restore them.
    let mut headers =
        MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(nix::cmsg_space!(u32)));
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = arena
        .chunks_exact_mut(STRIDE)
        .filter_map(|slot| slot.get_mut(..MAX_DATAGRAM))
        .map(|slot| [IoSliceMut::new(slot)])
        .collect();
    let flags = if draining {
        MsgFlags::MSG_DONTWAIT
    } else {
        MsgFlags::MSG_WAITFORONE
    };
    let received = recvmmsg(
        socket.as_raw_fd(),
        &mut headers,
        slices.iter_mut(),
        flags,
        None,
    )?;
    let received: Vec<_> = received.collect();
    let octets = received.iter().map(|message| message.bytes).sum();
    let mut batch = Batch::with_room(received.len(), octets);
    batch.received_ms = now_ms();
    for message in received {
        if let Ok(controls) = message.cmsgs() {
            for control in controls {
                if let ControlMessageOwned::RxqOvfl(total) = control {
                    drops.see(total);
                }
            }
        }
        let Some(from) = message.address.as_ref().and_then(socket_address) else {
            continue;
        };
        batch.push(from, message.iovs().next().unwrap_or_default());
    }
    Ok(batch)
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| canonical(SocketAddr::V6((*v6).into())))
}

/// The socket's running count of dropped datagrams, a 32-bit number that wraps, as differences.
#[derive(Default)]
struct DropCounter {
    total: u32,
    unreported: u64,
}

impl DropCounter {
    fn see(&mut self, total: u32) {
        self.unreported += u64::from(total.wrapping_sub(self.total));
        self.total = total;
    }

    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.unreported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_differences_of_a_wrapping_counter() {
        let mut drops = DropCounter::default();
        drops.see(10);
        drops.see(10);
        assert_eq!(drops.take(), 10);
        drops.see(u32::MAX);
        drops.see(4);
        assert_eq!(drops.take(), u64::from(u32::MAX) - 10 + 5);
        assert_eq!(drops.take(), 0);
    }
}
