//! `-R`: every datagram is sent on, unchanged, to other collectors. Those that cannot be sent are counted, and told.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

/// The targets of one receive thread.
#[derive(Debug)]
pub struct Repeater {
    targets: Arc<Vec<Target>>,
}

#[derive(Debug)]
struct Target {
    socket: UdpSocket,
    address: SocketAddr,
    failed: AtomicU64,
}

impl Clone for Repeater {
    fn clone(&self) -> Self {
        Self {
            targets: Arc::clone(&self.targets),
        }
    }
}

impl Repeater {
    /// Opens a socket for each target. One that is not there yet may come later: nothing is connected.
    ///
    /// # Errors
    /// The system refuses a socket.
    pub fn open(addresses: &[SocketAddr]) -> std::io::Result<Self> {
        let target = |&address: &SocketAddr| {
            let socket = match address {
                SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
            }?;
            // A full send buffer costs the copy, not the original.
            socket.set_nonblocking(true)?;
            Ok(Target {
                socket,
                address,
                failed: AtomicU64::new(0),
            })
        };
        let targets: std::io::Result<Vec<_>> = addresses.iter().map(target).collect();
        Ok(Self {
            targets: Arc::new(targets?),
        })
    }

    /// Sends a datagram on.
    pub fn send(&self, datagram: &[u8]) {
        for target in self.targets.iter() {
            if let Err(error) = target.socket.send_to(datagram, target.address) {
                // Told at 1, 10, 100 … failures.
                let failed = target.failed.fetch_add(1, Ordering::Relaxed) + 1;
                if is_power_of_ten(failed) {
                    warn!(
                        "-R {}: {failed} datagrams could not be sent on: {error}",
                        target.address
                    );
                }
            }
        }
    }
}

fn is_power_of_ten(mut n: u64) -> bool {
    while n >= 10 && n.is_multiple_of(10) {
        n /= 10;
    }
    n == 1
}
