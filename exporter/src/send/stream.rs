//! Messages in a TCP connection, with or without TLS, and how much of them the collector's system has acknowledged.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use rustix::net::RecvFlags;
use rustls::ClientConnection;

use super::Patience;
use super::counters::Load;
use super::tls::{self, Tls};

/// How long a collector may take to close its side at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// So many messages may wait for an acknowledgement before it is looked for: a system call each time.
const LOOK: usize = 1024;

/// Octets of the kernel's `struct tcp_info` up to and with `tcpi_bytes_acked`, which is at the end of it.
const TCP_INFO: usize = 128;

mod option {
    use nix::{getsockopt_impl, libc, sockopt_impl};

    sockopt_impl!(
        /// The kernel's view of the connection.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        [u8; super::TCP_INFO]
    );
}

/// One connection.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Octets given to the system since the connection was made, TLS included.
    written: u64,
    /// What the system counted as acknowledged when nothing of ours was.
    acked_before: u64,
    /// Messages not known to be acknowledged: where each ends in the octets written, and what it holds.
    window: VecDeque<(u64, u64, Load)>,
    patience: Patience,
}

/// Why a connection cannot be used, in a sentence.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The system's answer.
    Tcp(std::io::Error),
    /// What is wrong with the TLS session.
    Tls(String),
}

impl Stream {
    pub(super) fn connect(
        address: SocketAddr,
        tls: Option<&Tls>,
        within: Duration,
        patience: Patience,
    ) -> Result<Self, ConnectError> {
        let tcp = TcpStream::connect_timeout(&address, within).map_err(ConnectError::Tcp)?;
        let options = tcp
            .set_write_timeout(Some(within))
            .and_then(|()| tcp.set_read_timeout(Some(within)))
            .and_then(|()| tcp.set_nodelay(true));
        options.map_err(ConnectError::Tcp)?;
        let mut stream = Stream {
            acked_before: acked(&tcp),
            tcp,
            tls: None,
            written: 0,
            window: VecDeque::new(),
            patience,
        };
        if let Some(tls) = tls {
            let connection = tls::shake(&mut stream.tcp, tls, &mut stream.written);
            stream.tls = Some(Box::new(connection.map_err(ConnectError::Tls)?));
        }
        let options = stream
            .tcp
            .set_read_timeout(Some(CLOSE_TIMEOUT))
            .and_then(|()| stream.tcp.set_write_timeout(Some(Patience::LOOK)));
        options.map_err(ConnectError::Tcp)?;
        Ok(stream)
    }

    /// Sends a message. After an error the message is not with the collector, and nothing can be sent any more.
    pub(super) fn send(&mut self, message: &[u8], load: Load) -> Result<(), String> {
        self.look_at_peer()?;
        match &mut self.tls {
            None => write(&mut self.tcp, message, &mut self.written, &self.patience)?,
            Some(connection) => {
                let taken = connection.writer().write_all(message);
                taken.map_err(|error| error.to_string())?;
                if let Err(cause) = self.write_tls() {
                    return Err(self.alert().unwrap_or(cause));
                }
            }
        }
        self.window
            .push_back((self.written, message.len() as u64, load));
        if self.window.len() > LOOK {
            self.forget_acknowledged();
        }
        Ok(())
    }

    fn write_tls(&mut self) -> Result<(), String> {
        let Some(connection) = &mut self.tls else {
            return Ok(());
        };
        let mut since = Instant::now();
        while connection.wants_write() {
            match connection.write_tls(&mut self.tcp) {
                Ok(octets) => {
                    self.written += octets as u64;
                    since = Instant::now();
                }
                Err(error) => try_again(&error, since, &self.patience)?,
            }
        }
        Ok(())
    }

    /// A collector has nothing to say; but it may have closed its side, or sent an alert.
    fn look_at_peer(&mut self) -> Result<(), String> {
        let mut octets = [0; 512];
        let flags = match &self.tls {
            None => RecvFlags::DONTWAIT,
            Some(_) => RecvFlags::DONTWAIT | RecvFlags::PEEK,
        };
        match rustix::net::recv(&self.tcp, &mut octets, flags) {
            Ok((_, 0)) => Err(CLOSED.to_owned()),
            Ok(_) => match &mut self.tls {
                None => Ok(()),
                Some(connection) => tls::hear(connection, &mut self.tcp),
            },
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(std::io::Error::from(error).to_string()),
        }
    }

    /// What the collector said last: why it does not want us.
    fn alert(&mut self) -> Option<String> {
        let connection = self.tls.as_mut()?;
        tls::hear(connection, &mut self.tcp).err()
    }

    fn forget_acknowledged(&mut self) {
        let acknowledged = acked(&self.tcp).saturating_sub(self.acked_before);
        let open = |(end, ..): &(u64, u64, Load)| *end > acknowledged;
        while self.window.front().is_some_and(|message| !open(message)) {
            self.window.pop_front();
        }
    }

    /// The messages of which not every octet is acknowledged by the collector's system: their number, their octets
    /// and what they hold.
    pub(super) fn unacknowledged(&mut self) -> (u64, u64, Load) {
        self.forget_acknowledged();
        let mut sum = (0, 0, Load::default());
        for (_, octets, load) in &self.window {
            sum.0 += 1;
            sum.1 += octets;
            sum.2 += *load;
        }
        sum
    }

    /// Ends the connection at once: what is counted as lost must not arrive later.
    pub(super) fn abort(self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.tcp, Some(Duration::ZERO));
    }

    /// Tells the collector that this was all, and waits until it has closed its side: a reset instead of an end
    /// means that it did not read everything. What is not acknowledged then is what
    /// [`unacknowledged`](Self::unacknowledged) says.
    pub(super) fn close(&mut self) -> Result<(), String> {
        if let Some(connection) = &mut self.tls {
            connection.send_close_notify();
        }
        self.write_tls()?;
        self.tcp
            .shutdown(Shutdown::Write)
            .map_err(|error| error.to_string())?;
        let mut discard = [0; 512];
        loop {
            match self.tcp.read(&mut discard) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // It keeps its side open: its own affair, once it has everything.
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return self.wait_for_all(),
                    _ => return Err(error.to_string()),
                },
            }
        }
    }

    /// Waits until everything is acknowledged, as long as a collector may read nothing.
    fn wait_for_all(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        let mut left = u64::MAX;
        let mut since = begin;
        loop {
            self.forget_acknowledged();
            let open = self
                .written
                .saturating_sub(acked(&self.tcp).saturating_sub(self.acked_before));
            if self.window.is_empty() {
                return Ok(());
            }
            if open < left {
                (left, since) = (open, Instant::now());
            }
            waited(since, &self.patience)?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(super) const CLOSED: &str = "the collector has closed the connection";

/// Octets that the other side's system has acknowledged since the connection was begun.
fn acked(tcp: &TcpStream) -> u64 {
    let info = getsockopt(tcp, option::TcpInfo);
    let octets = info.ok().and_then(|info| info.last_chunk::<8>().copied());
    octets.map_or(0, u64::from_ne_bytes)
}

fn write(
    tcp: &mut TcpStream,
    mut octets: &[u8],
    written: &mut u64,
    patience: &Patience,
) -> Result<(), String> {
    let mut since = Instant::now();
    while !octets.is_empty() {
        match tcp.write(octets) {
            Ok(0) => return Err(CLOSED.to_owned()),
            Ok(count) => {
                *written += count as u64;
                octets = octets.get(count..).unwrap_or_default();
                since = Instant::now();
            }
            Err(error) => try_again(&error, since, patience)?,
        }
    }
    Ok(())
}

/// Whether a write that has failed is to be tried again: the last one that did not fail was then.
fn try_again(error: &std::io::Error, since: Instant, patience: &Patience) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => waited(since, patience),
        _ => Err(error.to_string()),
    }
}

/// An error once a collector that has read nothing since then has had its time.
fn waited(since: Instant, patience: &Patience) -> Result<(), String> {
    match patience.is_over(since) {
        None => Ok(()),
        Some(most) => Err(format!(
            "the collector read nothing for {} s",
            most.as_secs_f64()
        )),
    }
}
