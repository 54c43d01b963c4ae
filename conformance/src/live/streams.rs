//! Connections over TCP, in the clear or with TLS, served side by side.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::ServerConfig;

use super::disturb::{Kind, Plan};
use super::tls::{Broken, Session};
use super::{LARGEST, Noted, REST, WAIT_MS, is_pause, now_ms, pause};
use crate::wire::Transport;
use tap::{Checksum, Cut, Message, Pause, Receiver};

/// As many connections are served at a time; further ones are closed at once.
const MOST_CONNECTIONS: usize = 64;

/// As many ways to agree on TLS, or to fail at it, are told.
const MOST_TOLD: usize = 8;

/// What is worth knowing of the connections.
#[derive(Debug, Default)]
struct Journal {
    /// More than are served at a time.
    turned_away: u64,
    /// Broken inside a message.
    broken_off: u64,
    /// How TLS was agreed on, or why it was not, and how often.
    tls: BTreeMap<String, u64>,
}

impl Journal {
    fn tls(&mut self, what: String) {
        if self.tls.len() < MOST_TOLD || self.tls.contains_key(&what) {
            *self.tls.entry(what).or_default() += 1;
        }
    }

    fn remarks(self) -> Vec<String> {
        let counts = [
            (
                self.turned_away,
                "connections were turned away: too many at a time",
            ),
            (
                self.broken_off,
                "connections were broken, or still open, inside a message: that message is not judged",
            ),
        ];
        let mut remarks: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let tls = self.tls.into_iter();
        remarks.extend(tls.map(|(what, count)| format!("{count} TLS connections: {what}")));
        remarks
    }
}

struct Connection {
    stream: TcpStream,
    tls: Option<Session>,
    from: SocketAddr,
    cut: Cut,
    /// When octets came last.
    last_ms: u64,
}

/// Serves connections until `go_on` says no; gives remarks.
pub(super) fn serve(
    mut listener: TcpListener,
    tls: Option<&Arc<ServerConfig>>,
    go_on: impl Fn() -> bool,
    plan: &mut Plan,
    receiver: &mut impl Receiver,
) -> anyhow::Result<Vec<String>> {
    listener.set_nonblocking(true)?;
    let to = listener.local_addr()?;
    let plan = RefCell::new(plan);
    let receiver = &mut Noted(&plan, receiver);
    let mut journal = Journal::default();
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; LARGEST];
    // What came before the end is read after it.
    let mut rest = None;
    while rest.is_none_or(|rest| Instant::now() < rest) {
        if rest.is_none() && !go_on() {
            rest = Some(Instant::now() + REST);
        }
        let due = plan.borrow_mut().due(Instant::now());
        if let (Some(kind), None) = (due, rest) {
            listener = disturb(kind, listener, &mut connections, &go_on, receiver)?;
            plan.borrow_mut().done(kind, Instant::now());
        }
        let wait_ms = if rest.is_some() { 0 } else { WAIT_MS };
        if !wait(&listener, &connections, wait_ms)? && rest.is_some() {
            break;
        }
        if let Ok((stream, from)) = listener.accept() {
            plan.borrow_mut().connected(Instant::now());
            if connections.len() < MOST_CONNECTIONS {
                stream.set_nonblocking(true)?;
                connections.push(Connection {
                    stream,
                    tls: tls.map(Session::new).transpose()?,
                    from,
                    cut: Cut::new(),
                    last_ms: now_ms(),
                });
            } else {
                journal.turned_away += 1;
            }
        }
        connections
            .retain_mut(|connection| connection.read(&mut buffer, to, receiver, &mut journal));
    }
    for connection in &mut connections {
        connection.rest(to, receiver);
        journal.broken_off += u64::from(connection.cut.is_inside());
    }
    Ok(journal.remarks())
}

/// Does it; gives the listener, which may be a new one.
fn disturb(
    kind: Kind,
    listener: TcpListener,
    connections: &mut Vec<Connection>,
    go_on: &impl Fn() -> bool,
    receiver: &mut impl Receiver,
) -> anyhow::Result<TcpListener> {
    let to = listener.local_addr()?;
    if let Kind::Slow(time) = kind {
        pause(time, go_on);
        return Ok(listener);
    }
    for connection in connections.drain(..) {
        // What dies, and what resets, says nothing of the end.
        if !matches!(kind, Kind::Away(_)) {
            socket2::SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO))?;
        }
        receiver.closed(connection.from, to);
    }
    if kind == Kind::Reset {
        return Ok(listener);
    }
    drop(listener);
    if let Kind::Away(time) = kind {
        pause(time, go_on);
    }
    let listener = TcpListener::bind(to).with_context(|| format!("cannot listen on {to} again"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether anything has arrived.
fn wait(listener: &TcpListener, connections: &[Connection], wait_ms: u16) -> anyhow::Result<bool> {
    let mut fds = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    fds.extend(
        connections
            .iter()
            .map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN)),
    );
    match poll(&mut fds, PollTimeout::from(wait_ms)) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::Error::EINTR) => Ok(true),
        Err(error) => Err(error).context("waiting failed"),
    }
}

impl Connection {
    /// Reads once; `false` when the connection is done with.
    fn read(
        &mut self,
        buffer: &mut [u8],
        to: SocketAddr,
        receiver: &mut impl Receiver,
        journal: &mut Journal,
    ) -> bool {
        let alive = match self.receive(buffer, journal) {
            // Closed by the exporter: what has begun is a message that it cut itself.
            Ok(Some(0)) => {
                self.take(&[], Pause::End, to, receiver);
                false
            }
            Ok(Some(length)) => {
                self.last_ms = now_ms();
                let data = buffer.get(..length).unwrap_or_default();
                self.take(data, Pause::None, to, receiver)
            }
            Ok(None) => self.rest(to, receiver),
            // A reset drops what the exporter's system had not sent yet.
            Err(_) => {
                self.take(&[], Pause::Idle, to, receiver);
                journal.broken_off += u64::from(self.cut.is_inside());
                false
            }
        };
        if !alive {
            receiver.closed(self.from, to);
        }
        alive
    }

    /// After a pause a NetFlow v9 message is taken to be complete.
    fn rest(&mut self, to: SocketAddr, receiver: &mut impl Receiver) -> bool {
        let paused = now_ms().saturating_sub(self.last_ms) >= u64::from(WAIT_MS);
        let pause = if paused { Pause::Idle } else { Pause::None };
        self.take(&[], pause, to, receiver)
    }

    /// Octets that have arrived; `None` if there are none, 0 at the end of the stream.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        journal: &mut Journal,
    ) -> std::io::Result<Option<usize>> {
        let Some(session) = &mut self.tls else {
            return match self.stream.read(buffer) {
                Err(error) if is_pause(&error) => Ok(None),
                result => result.map(Some),
            };
        };
        let before = session.is_handshaking();
        let result = session.read(&mut self.stream, buffer);
        if before && !session.is_handshaking() {
            journal.tls(session.agreed());
        }
        result.map_err(|broken| match broken {
            Broken::Reset(error) => {
                if session.is_handshaking() {
                    journal.tls(format!("given up in the handshake: {error}"));
                }
                error
            }
            Broken::Refused(error) => {
                journal.tls(format!("refused: {error}"));
                std::io::Error::other(error)
            }
        })
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
        let transport = match self.tls {
            Some(_) => Transport::Tls,
            None => Transport::Tcp,
        };
        self.cut.take(data, pause, |bytes| {
            receiver.message(&Message {
                at_ms,
                from,
                to,
                transport,
                bytes,
                fragments: 0,
                checksum: Checksum::Unseen,
            });
        })
    }
}
