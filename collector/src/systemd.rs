//! What systemd wants to know, and what it hands over: sockets it has opened, and a place to send notes to.

use std::env;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::Context as _;
use listenfd::ListenFd;
use nix::time::{ClockId, clock_gettime};
use tracing::debug;

/// Sockets that were open when the program began (`LISTEN_FDS`).
#[derive(Debug, Default)]
pub struct Sockets {
    /// Bound for datagrams.
    pub udp: Vec<UdpSocket>,
    /// Listening; `true`: named `tls` (`FileDescriptorName=tls`).
    pub tcp: Vec<(TcpListener, bool)>,
}

impl Sockets {
    /// Takes them over.
    ///
    /// # Errors
    /// When one is neither a UDP nor a listening TCP socket.
    pub fn from_env() -> anyhow::Result<Self> {
        // Read first: taking the sockets over removes the variables.
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut handed = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..handed.len() {
            let is_tls = names.next() == Some("tls");
            if let Ok(Some(socket)) = handed.take_udp_socket(index) {
                sockets.udp.push(socket);
                continue;
            }
            let listener = handed.take_tcp_listener(index).with_context(|| {
                format!("socket {index} of LISTEN_FDS is neither UDP nor listening TCP")
            })?;
            sockets
                .tcp
                .extend(listener.map(|listener| (listener, is_tls)));
        }
        Ok(sockets)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}

/// Where notes go (`NOTIFY_SOCKET`); nowhere without a service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// `WATCHDOG=1` is expected at least this often.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        let to = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let address = match name.as_encoded_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
                _ => SocketAddr::from_pathname(&name),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        });
        let ours =
            env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().filter(|_| ours);
        Self {
            to,
            watchdog: watchdog
                .and_then(|usec| usec.parse().ok())
                .filter(|&usec| usec > 0)
                .map(Duration::from_micros),
        }
    }

    /// How often to say that all is well: twice in the time that systemd allows.
    #[must_use]
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// Everything is open.
    pub fn ready(&self) {
        self.say("READY=1\n");
    }

    /// The configuration is read again; [`Notifier::ready`] ends it.
    pub fn reloading(&self) {
        // Type=notify-reload wants to know when, by the clock that never goes back.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
        let usec = now.map_or(0, |now| now.as_micros());
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\n"));
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.say("STOPPING=1\n");
    }

    /// All is well.
    pub fn alive(&self) {
        self.say("WATCHDOG=1\n");
    }

    fn say(&self, note: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = send(socket, address, note)
        {
            debug!("NOTIFY_SOCKET: {error}");
        }
    }
}

fn send(socket: &UnixDatagram, address: &SocketAddr, note: &str) -> io::Result<()> {
    socket.send_to_addr(note.as_bytes(), address).map(drop)
}
