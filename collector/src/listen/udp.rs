//! UDP: one thread per socket that does nothing but receive, many datagrams a system call.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc::Sender;
use tracing::{error, info, warn};

use super::{Batch, Input, ListenError, canonical, now_ms};
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
}

impl UdpListener {
    /// Binds the socket and sizes its receive buffer.
    ///
    /// # Errors
    /// When the system refuses the address.
    pub fn bind(endpoint: &Endpoint, buffer: Option<usize>) -> Result<Self, ListenError> {
        let fail = |source| ListenError::new("udp", endpoint.address, source);
        let socket = match open(endpoint.address, endpoint.only_ipv6) {
            Err(error) if endpoint.fall_back_to_ipv4 && no_ipv6(&error) => open(
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, endpoint.address.port())),
                false,
            ),
            other => other,
        }
        .map_err(fail)?;
        size_buffer(&socket, buffer);
        if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
            warn!("datagrams dropped by the kernel cannot be counted: {error}");
        }
        // The receive thread looks at its stop flag this often.
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .map_err(fail)?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr().map_err(fail)?;
        Ok(Self { socket, local })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Starts receiving into `inputs` until `stop` is set and the socket is empty. Batches come back
    /// over `used` to be filled again.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        self,
        inputs: Sender<Input>,
        used: Receiver<Batch>,
        stop: Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("udp-receive".to_owned())
            .spawn(move || receive(&self, &inputs, &used, &stop))
    }
}

fn open(address: SocketAddr, only_ipv6: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(only_ipv6)?;
    }
    socket.bind(&address.into())?;
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
    match asked {
        Some(bytes) if granted < bytes => {
            warn!(
                "receive buffer: {granted} of {bytes} bytes granted (raise it with `sysctl -w net.core.rmem_max={bytes}`)"
            );
        }
        Some(_) => info!("receive buffer: {granted} bytes"),
        None => {}
    }
}

fn receive(
    listener: &UdpListener,
    inputs: &Sender<Input>,
    used: &Receiver<Batch>,
    stop: &AtomicBool,
) {
    let mut arena = vec![0_u8; BATCH * STRIDE];
    let mut drops = DropCounter::default();
    let mut drain_until: Option<Instant> = None;
    loop {
        if drain_until.is_none() && stop.load(Ordering::Relaxed) {
            drain_until = Some(Instant::now() + DRAIN);
        }
        if drain_until.is_some_and(|end| Instant::now() > end) {
            return;
        }
        let mut batch = used.try_recv().unwrap_or_default();
        batch.clear();
        let outcome = fill(
            &listener.socket,
            &mut arena,
            &mut batch,
            &mut drops,
            drain_until.is_some(),
        );
        let dropped = drops.take();
        if dropped > 0 && inputs.blocking_send(Input::KernelDrops(dropped)).is_err() {
            return;
        }
        match outcome {
            Ok(()) => {
                // Waits while the processing loop is behind; the kernel then drops and counts.
                if inputs.blocking_send(Input::Datagrams(batch)).is_err() {
                    return;
                }
            }
            Err(Errno::EAGAIN) if drain_until.is_some() => return,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                // An ICMP error of an earlier datagram or a passing shortage: the socket stays usable.
                error!("udp {}: {errno}", listener.local);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Receives what is there, at least one datagram unless the time-out passes first.
fn fill(
    socket: &UdpSocket,
    arena: &mut [u8],
    batch: &mut Batch,
    drops: &mut DropCounter,
    draining: bool,
) -> nix::Result<()> {
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
    Ok(())
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
