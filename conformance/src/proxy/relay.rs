//! Moving messages from exporters to the collector, over UDP and TCP.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tap::{Cut, Pause};

use super::faults::{Balance, Faults, Out};
use super::options::Proxy;
use crate::cli::{Endpoint, STDOUT};
use crate::report::{Way, frame, head};
use crate::run::print;
use crate::wire::Transport;

/// The largest message.
const LARGEST: usize = 65_535;

/// How long a wait may be before it is looked whether to go on.
const WAIT: Duration = Duration::from_millis(20);

/// Exporters that have a socket of their own.
const MOST_EXPORTERS: usize = 1024;

/// Messages that are held back at a time.
const MOST_WAITING: usize = 100_000;

/// Asked of the system for datagrams that wait, in octets.
const SOCKET_BUFFER: usize = 16 << 20;

/// Relays until the time is over, enough messages came, or `stop`; then tells the balance.
///
/// # Errors
/// When an address cannot be used, a file not be written, or the balance is not even.
pub fn run(options: &Proxy, stop: &AtomicBool) -> anyhow::Result<()> {
    let transport = options.transport().map_err(anyhow::Error::msg)?;
    let relay = Relay {
        options,
        stop,
        begin: Instant::now(),
        shared: Mutex::new(Shared {
            faults: Faults::new(options.fault.clone(), options.seed),
            tap: options.tap.as_deref().map(Tap::create).transpose()?,
        }),
    };
    match transport {
        Transport::Udp => relay.datagrams()?,
        _ => relay.streams()?,
    }
    let shared = relay
        .shared
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(tap) = shared.tap {
        tap.finish()?;
    }
    tell(options, &shared.faults.balance)
}

fn tell(options: &Proxy, balance: &Balance) -> anyhow::Result<()> {
    let json = serde_json::to_string(balance)? + "\n";
    match &options.json {
        Some(path) if path == Path::new(STDOUT) => print(&json)?,
        other => {
            if let Some(path) = other {
                std::fs::write(path, json)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            print(&balance.text())?;
        }
    }
    if !balance.is_even() {
        bail!("the balance is not even: {balance:?}");
    }
    Ok(())
}

/// What all connections share.
struct Shared {
    faults: Faults,
    tap: Option<Tap>,
}

impl Shared {
    fn seen(&mut self, way: Way, bytes: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.message(way, bytes);
        }
    }
}

struct Relay<'a> {
    options: &'a Proxy,
    stop: &'a AtomicBool,
    begin: Instant,
    shared: Mutex<Shared>,
}

/// A message that is held back: when it is due, its place in the order, its exporter.
type Waiting = Reverse<(Instant, u64, SocketAddr, u64, Vec<u8>)>;

impl Relay<'_> {
    fn goes_on(&self) -> bool {
        let time = self
            .options
            .seconds
            .map(|seconds| Duration::from_secs(seconds.into()));
        let enough = |most| self.shared().faults.balance.received.messages >= most;
        !self.stop.load(Ordering::Relaxed)
            && time.is_none_or(|time| self.begin.elapsed() < time)
            && !self.options.messages.is_some_and(enough)
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, transport: Transport, address: SocketAddr) {
        let listening = Endpoint::new(transport, address);
        // Whoever started us may not read this.
        let _ = writeln!(
            std::io::stderr(),
            "t2check: listening on {listening}, relaying to {}",
            self.options.to
        );
    }

    fn datagrams(&self) -> anyhow::Result<()> {
        let address = self.options.listen.address;
        let socket =
            UdpSocket::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
        socket.set_read_timeout(Some(WAIT))?;
        let own = socket.local_addr()?;
        self.announce(Transport::Udp, own);
        let mut outlets = Outlets::default();
        let mut waiting: BinaryHeap<Waiting> = BinaryHeap::new();
        let mut order = 0;
        let mut last: Option<SocketAddr> = None;
        let mut buffer = vec![0; LARGEST];
        while self.goes_on() {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                last = Some(from);
                let mut shared = self.shared();
                let way = Way {
                    from,
                    to: own,
                    stream: false,
                };
                shared.seen(way, bytes);
                let all = shared.faults.message(self.begin.elapsed(), bytes);
                drop(shared);
                for one in all {
                    order += 1;
                    self.wait_or_send(&mut waiting, &mut outlets, one, order, from);
                }
            }
            self.due(&mut waiting, &mut outlets, false);
        }
        let rest = self.shared().faults.flush();
        for one in rest {
            order += 1;
            let from = last.unwrap_or(own);
            self.wait_or_send(&mut waiting, &mut outlets, one, order, from);
        }
        self.due(&mut waiting, &mut outlets, true);
        Ok(())
    }

    fn wait_or_send(
        &self,
        waiting: &mut BinaryHeap<Waiting>,
        outlets: &mut Outlets,
        one: Out,
        order: u64,
        from: SocketAddr,
    ) {
        if one.delay.is_zero() || waiting.len() >= MOST_WAITING {
            self.send(outlets, from, one.port, &one.bytes);
        } else {
            waiting.push(Reverse((
                Instant::now() + one.delay,
                order,
                from,
                one.port,
                one.bytes,
            )));
        }
    }

    /// Sends what is due; with `all` waits for the rest.
    fn due(&self, waiting: &mut BinaryHeap<Waiting>, outlets: &mut Outlets, all: bool) {
        while let Some(Reverse((due, ..))) = waiting.peek() {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                // A signal ends the waiting, and what waits is sent at once.
                if !all {
                    return;
                }
                if !self.stop.load(Ordering::Relaxed) {
                    thread::sleep(left.min(WAIT));
                    continue;
                }
            }
            if let Some(Reverse((_, _, from, port, bytes))) = waiting.pop() {
                self.send(outlets, from, port, &bytes);
            }
        }
    }

    fn send(&self, outlets: &mut Outlets, from: SocketAddr, port: u64, bytes: &[u8]) {
        let to = self.options.to;
        let socket = outlets.of(from, port, to);
        let done = socket.is_some_and(|socket| {
            // The first failure may be an answer to what was sent before.
            let mut tries = (0..2).map(|_| socket.send_to(bytes, to));
            tries.any(|sent| sent.is_ok())
        });
        let way = socket.and_then(|socket| socket.local_addr().ok());
        let mut shared = self.shared();
        shared.faults.sent(bytes, done);
        if let (true, Some(local)) = (done, way) {
            let from = SocketAddr::new(to.ip(), local.port());
            shared.seen(
                Way {
                    from,
                    to,
                    stream: false,
                },
                bytes,
            );
        }
    }

    fn streams(&self) -> anyhow::Result<()> {
        let address = self.options.listen.address;
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        self.announce(Transport::Tcp, listener.local_addr()?);
        thread::scope(|scope| {
            while self.goes_on() {
                match listener.accept() {
                    Ok((stream, from)) => {
                        scope.spawn(move || {
                            if let Err(error) = self.stream(stream, from) {
                                // Whoever started us may not read this.
                                let _ = writeln!(std::io::stderr(), "t2check: {from}: {error:#}");
                            }
                        });
                    }
                    Err(_) => thread::sleep(WAIT),
                }
            }
        });
        Ok(())
    }

    /// One connection, message by message.
    fn stream(&self, mut incoming: TcpStream, from: SocketAddr) -> anyhow::Result<()> {
        let to = self.options.to;
        let mut outgoing =
            TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
        incoming.set_nonblocking(false)?;
        incoming.set_read_timeout(Some(WAIT))?;
        let (own, local) = (incoming.local_addr()?, outgoing.local_addr()?);
        let mut cut = Cut::new();
        let mut buffer = vec![0; LARGEST];
        let mut ended = false;
        let send = |outgoing: &mut TcpStream, all: Vec<Out>| {
            for one in all {
                thread::sleep(one.delay);
                let done = outgoing.write_all(&one.bytes).is_ok();
                let mut shared = self.shared();
                shared.faults.sent(&one.bytes, done);
                if done {
                    let way = Way {
                        from: local,
                        to,
                        stream: false,
                    };
                    shared.seen(way, &one.bytes);
                }
            }
        };
        while !ended && self.goes_on() {
            let (length, pause) = match incoming.read(&mut buffer) {
                Ok(0) => (0, Pause::End),
                Ok(length) => (length, Pause::None),
                Err(error) if crate::live::is_pause(&error) => (0, Pause::Idle),
                Err(_) => (0, Pause::End),
            };
            ended = pause == Pause::End;
            let mut messages = Vec::new();
            let data = buffer.get(..length).unwrap_or_default();
            ended |= !cut.take(data, pause, |message| messages.push(message.to_vec()));
            for message in messages {
                let mut shared = self.shared();
                let way = Way {
                    from,
                    to: own,
                    stream: false,
                };
                shared.seen(way, &message);
                let all = shared.faults.message(self.begin.elapsed(), &message);
                drop(shared);
                send(&mut outgoing, all);
            }
        }
        let rest = self.shared().faults.flush();
        send(&mut outgoing, rest);
        let _ = outgoing.shutdown(Shutdown::Write);
        Ok(())
    }
}

/// Sockets to the collector, one for each exporter, so that the collector tells them apart.
#[derive(Default)]
struct Outlets {
    sockets: HashMap<SocketAddr, (u64, UdpSocket), RandomState>,
}

impl Outlets {
    fn of(&mut self, from: SocketAddr, port: u64, to: SocketAddr) -> Option<&UdpSocket> {
        let stale = self
            .sockets
            .get(&from)
            .is_none_or(|(known, _)| *known != port);
        if stale {
            if self.sockets.len() >= MOST_EXPORTERS {
                self.sockets.clear();
            }
            let any: SocketAddr = if to.is_ipv4() {
                (Ipv4Addr::UNSPECIFIED, 0).into()
            } else {
                (Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let socket = UdpSocket::bind(any).ok()?;
            self.sockets.insert(from, (port, socket));
        }
        self.sockets.get(&from).map(|(_, socket)| socket)
    }
}

/// A capture of both sides.
struct Tap {
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Tap {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot write {}", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(failed)?);
        file.write_all(&head()).with_context(failed)?;
        Ok(Self { file, failed: None })
    }

    fn message(&mut self, way: Way, bytes: &[u8]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at_ms = now.map_or(0, |now| now.as_millis() as u64);
        if self.failed.is_none() {
            self.failed = self.file.write_all(&frame(way, at_ms, bytes)).err();
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let written = match self.failed.take() {
            Some(error) => Err(error),
            None => self.file.flush(),
        };
        written.context("the capture of both sides was not written to its end")
    }
}
