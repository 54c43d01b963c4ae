//! Listening: messages as they arrive, until the time is over or somebody wants it to end.

pub mod disturb;
mod streams;
mod tls;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use self::disturb::{Kind, Plan};
use crate::cli::{Endpoint, Exporter};
use crate::wire::Transport;
use tap::{Checksum, Message, Receiver};

/// How long a wait may be before the end of the time is looked at, in milliseconds.
const WAIT_MS: u16 = 100;

/// How long what has already arrived may take to be read in the end.
const REST: Duration = Duration::from_secs(2);

/// The largest message.
const LARGEST: usize = 65_535;

/// Asked of the system for datagrams that wait, in octets.
const SOCKET_BUFFER: usize = 16 << 20;

/// Listens on `endpoint` for the time of `options` or until `stop`. `bound` is told the address when the socket is
/// open. Gives what is worth knowing of the connections, one line each.
///
/// # Errors
/// When the address cannot be listened on, or a certificate cannot be used.
pub fn listen(
    endpoint: Endpoint,
    options: &Exporter,
    stop: &AtomicBool,
    bound: impl FnOnce(Endpoint),
    plan: &mut Plan,
    receiver: &mut impl Receiver,
) -> anyhow::Result<Vec<String>> {
    let tls = match endpoint.transport {
        Transport::Tls => Some(tls::server(options, endpoint.address.ip())?),
        _ => None,
    };
    let failed = || format!("cannot listen on {endpoint}");
    let at = |address| Endpoint::new(endpoint.transport, address);
    let time = Duration::from_secs(u64::from(options.seconds));
    if endpoint.transport == Transport::Udp {
        let socket = UdpSocket::bind(endpoint.address).with_context(failed)?;
        let address = socket.local_addr()?;
        bound(at(address));
        let end = Instant::now() + time;
        disturbed_datagrams(socket, || goes_on(stop, end), plan, receiver)?;
        return Ok(Vec::new());
    }
    let listener = TcpListener::bind(endpoint.address).with_context(failed)?;
    bound(at(listener.local_addr()?));
    let end = Instant::now() + time;
    streams::serve(
        listener,
        tls.as_ref(),
        || goes_on(stop, end),
        plan,
        receiver,
    )
}

fn goes_on(stop: &AtomicBool, end: Instant) -> bool {
    !stop.load(Ordering::Relaxed) && Instant::now() < end
}

/// Tells the plan of messages on their way to the receiver.
struct Noted<'a, R>(&'a RefCell<&'a mut Plan>, &'a mut R);

impl<R: Receiver> Receiver for Noted<'_, R> {
    fn message(&mut self, message: &Message<'_>) {
        self.0.borrow_mut().message(Instant::now());
        self.1.message(message);
    }

    fn closed(&mut self, from: SocketAddr, to: SocketAddr) {
        self.1.closed(from, to);
    }
}

/// Reads datagrams, and closes the socket when that is due.
fn disturbed_datagrams(
    mut socket: UdpSocket,
    go_on: impl Fn() -> bool,
    plan: &mut Plan,
    receiver: &mut impl Receiver,
) -> anyhow::Result<()> {
    let address = socket.local_addr()?;
    loop {
        let due = Cell::new(None);
        let plan_of = RefCell::new(&mut *plan);
        let undisturbed = || {
            due.set(plan_of.borrow_mut().due(Instant::now()));
            due.get().is_none() && go_on()
        };
        datagrams(&socket, undisturbed, &mut Noted(&plan_of, receiver))?;
        let Some(kind) = due.get() else {
            return Ok(());
        };
        drop(socket);
        if let Kind::Away(time) = kind {
            pause(time, &go_on);
        }
        socket = UdpSocket::bind(address)
            .with_context(|| format!("cannot listen on {address} again"))?;
        plan.done(kind, Instant::now());
    }
}

/// Waits, unless it is to end.
fn pause(time: Duration, go_on: &impl Fn() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end && go_on() {
        std::thread::sleep(Duration::from_millis(u64::from(WAIT_MS)).min(time));
    }
}

/// Reads datagrams while `go_on`, and what has arrived by then.
///
/// # Errors
/// When receiving fails.
pub(crate) fn datagrams(
    socket: &UdpSocket,
    go_on: impl Fn() -> bool,
    receiver: &mut impl Receiver,
) -> anyhow::Result<()> {
    // The more the better: what the system drops would be taken for a gap in the sequence.
    let _ = socket2::SockRef::from(socket).set_recv_buffer_size(SOCKET_BUFFER);
    socket.set_read_timeout(Some(Duration::from_millis(u64::from(WAIT_MS))))?;
    let to = socket.local_addr()?;
    let mut buffer = vec![0; LARGEST];
    // What came before the end is read after it.
    let mut rest = None;
    loop {
        if rest.is_none() && !go_on() {
            socket.set_nonblocking(true)?;
            rest = Some(Instant::now() + REST);
        }
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
            Err(error) if is_pause(&error) && rest.is_some() => return Ok(()),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error).context("receiving failed"),
        }
        // Not for ever: the exporter may go on sending.
        if rest.is_some_and(|rest| Instant::now() > rest) {
            return Ok(());
        }
    }
}

pub(crate) fn is_pause(error: &std::io::Error) -> bool {
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
