//! Listening: messages as they arrive, until the time is over or somebody wants it to end.

mod streams;
mod tls;

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

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
        bound(at(socket.local_addr()?));
        let end = Instant::now() + time;
        datagrams(&socket, || goes_on(stop, end), receiver)?;
        return Ok(Vec::new());
    }
    let listener = TcpListener::bind(endpoint.address).with_context(failed)?;
    bound(at(listener.local_addr()?));
    let end = Instant::now() + time;
    streams::serve(&listener, tls.as_ref(), || goes_on(stop, end), receiver)
}

fn goes_on(stop: &AtomicBool, end: Instant) -> bool {
    !stop.load(Ordering::Relaxed) && Instant::now() < end
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
