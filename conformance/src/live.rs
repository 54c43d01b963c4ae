//! Listening: messages as they arrive, until the time is over or somebody wants it to end.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cli::Listen;
use crate::wire::Transport;
use tap::{Checksum, Cut, Message, Pause, Receiver};

/// How long a wait may be before the end of the time is looked at, in milliseconds.
const WAIT_MS: u16 = 100;

/// The largest message.
const LARGEST: usize = 65_535;

/// Asked of the system for datagrams that wait, in octets.
const SOCKET_BUFFER: usize = 16 << 20;

/// As many connections are served at a time; further ones are closed at once.
const MOST_CONNECTIONS: usize = 64;

/// Listens for `time` or until `stop`. `bound` is told the address when the socket is open.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(
    listen: Listen,
    time: Duration,
    stop: &AtomicBool,
    bound: impl FnOnce(SocketAddr),
    receiver: &mut impl Receiver,
) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    let go_on = || !stop.load(Ordering::Relaxed) && Instant::now() < end;
    let failed = || format!("cannot listen on {listen}");
    match listen.transport {
        Transport::Udp => {
            let socket = UdpSocket::bind(listen.address).with_context(failed)?;
            bound(socket.local_addr()?);
            datagrams(&socket, go_on, receiver)
        }
        Transport::Tcp => {
            let listener = TcpListener::bind(listen.address).with_context(failed)?;
            bound(listener.local_addr()?);
            streams(&listener, go_on, receiver)
        }
    }
}

fn datagrams(
    socket: &UdpSocket,
    go_on: impl Fn() -> bool,
    receiver: &mut impl Receiver,
) -> anyhow::Result<()> {
    // The more the better: what the system drops would be taken for a gap in the sequence.
    let _ = socket2::SockRef::from(socket).set_recv_buffer_size(SOCKET_BUFFER);
    socket.set_read_timeout(Some(Duration::from_millis(u64::from(WAIT_MS))))?;
    let to = socket.local_addr()?;
    let mut buffer = vec![0; LARGEST];
    while go_on() {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => receiver.message(&Message {
                at_ms: now_ms(),
                from,
                to,
                transport: Transport::Udp,
                bytes: buffer.get(..length).unwrap_or_default(),
                fragments: 0,
                checksum: Checksum::Unseen,
            }),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error).context("receiving failed"),
        }
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    from: SocketAddr,
    cut: Cut,
}

fn streams(
    listener: &TcpListener,
    go_on: impl Fn() -> bool,
    receiver: &mut impl Receiver,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let to = listener.local_addr()?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; LARGEST];
    while go_on() {
        wait(listener, &connections)?;
        if let Ok((stream, from)) = listener.accept()
            && connections.len() < MOST_CONNECTIONS
        {
            stream.set_nonblocking(true)?;
            connections.push(Connection {
                stream,
                from,
                cut: Cut::new(),
            });
        }
        connections.retain_mut(|connection| connection.read(&mut buffer, to, receiver));
    }
    for connection in &mut connections {
        connection.take(&[], Pause::Idle, to, receiver);
    }
    Ok(())
}

fn wait(listener: &TcpListener, connections: &[Connection]) -> anyhow::Result<()> {
    let mut fds = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    fds.extend(
        connections
            .iter()
            .map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN)),
    );
    match poll(&mut fds, PollTimeout::from(WAIT_MS)) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error).context("waiting failed"),
    }
}

impl Connection {
    /// Reads once; `false` when the connection is done with.
    fn read(&mut self, buffer: &mut [u8], to: SocketAddr, receiver: &mut impl Receiver) -> bool {
        let alive = match self.stream.read(buffer) {
            Ok(0) => {
                self.take(&[], Pause::End, to, receiver);
                false
            }
            Ok(length) => {
                let data = buffer.get(..length).unwrap_or_default();
                self.take(data, Pause::None, to, receiver)
            }
            Err(error) if is_pause(&error) => self.take(&[], Pause::Idle, to, receiver),
            Err(_) => {
                self.take(&[], Pause::End, to, receiver);
                false
            }
        };
        if !alive {
            receiver.closed(self.from, to);
        }
        alive
    }

    /// `false` when the boundary of messages is lost.
    fn take(
        &mut self,
        data: &[u8],
        pause: Pause,
        to: SocketAddr,
        receiver: &mut impl Receiver,
    ) -> bool {
        let (at_ms, from) = (now_ms(), self.from);
        self.cut.take(data, pause, |bytes| {
            receiver.message(&Message {
                at_ms,
                from,
                to,
                transport: Transport::Tcp,
                bytes,
                fragments: 0,
                checksum: Checksum::Unseen,
            });
        })
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as u64)
}
