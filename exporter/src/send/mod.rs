//! Messages on their way: to a collector over UDP, TCP or TLS, or into a file, at a bounded rate, with every loss
//! counted by its cause.
//!
//! While a collector is away its messages are kept within a bound, and it is looked for at intervals. Each connection
//! is a session of its own: templates first, sequence numbers from zero.

mod counters;
mod file;
mod pacer;
mod patience;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use protocol::encoder::{ExportVersion, Message, Stamp};
use service::tls::TlsError;

use crate::cli::{Rate, SocketType};
use crate::config::{Collector, Destination, NetflowConfig, Reconnect};
use file::MessageFile;
use stream::{ConnectError, Stream};
use tls::Tls;
use udp::Udp;

pub use counters::{Load, Lost, SendCounters};
pub(crate) use pacer::Pacer;
pub(crate) use patience::Patience;

/// How long a collector may read nothing before its connection is given up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may take to come about at the start, and later, when flows wait.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Shorter waits cost more than they smooth.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Octets of the longest message (RFC 7011 section 3.1).
const LONGEST: usize = 65_535;

/// The way to the collector cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The name has no address.
    #[error("cannot resolve the collector's name {host}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's answer.
        source: std::io::Error,
    },
    /// The name was found, but without an address.
    #[error("the collector's name {0} has no address")]
    NoAddress(String),
    /// No socket, or nobody listens.
    #[error("cannot reach the collector {address} over {transport}{hint}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// `UDP`, `TCP` or `TLS`.
        transport: &'static str,
        /// The system's answer.
        source: std::io::Error,
        /// What to look at, in parentheses, or nothing.
        hint: &'static str,
    },
    /// There is somebody, but no session.
    #[error("cannot export to {address} over TLS: {reason}")]
    Tls {
        /// Where to.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// Certificates and keys.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// A name that no certificate can be for.
    #[error("{0} is no name that a certificate can be for")]
    Name(String),
    /// The file cannot be created.
    #[error("{path}: cannot create the file")]
    Create {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl SendError {
    /// Whether it may work later: names come back, collectors are started.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            SendError::Files(_) | SendError::Name(_) | SendError::Create { .. }
        )
    }

    /// With the system's answer, in one line.
    fn in_full(&self) -> String {
        match self {
            SendError::Resolve { source, .. } | SendError::Connect { source, .. } => {
                format!("{self}: {source}")
            }
            _ => self.to_string(),
        }
    }
}

/// The way to one collector, or into one file.
pub struct Sender {
    way: Way,
    collector: Option<Target>,
    pacer: Option<Pacer>,
    counters: SendCounters,
    /// The most octets of a message that the user wants.
    wanted: usize,
    reconnect: Reconnect,
    patience: Patience,
    /// What a session begins with; empty until [`begin`](Self::begin).
    templates: Vec<Vec<u8>>,
    version: ExportVersion,
    /// The sequence number of the next message in a stream.
    sequence: u32,
    /// The stream is not the first one: it has not had the templates yet.
    anew: bool,
    /// Messages for a collector that is away.
    kept: VecDeque<Kept>,
    kept_octets: usize,
}

/// Where to connect to, again and again.
struct Target {
    collector: Collector,
    tls: Option<Tls>,
    address: Option<SocketAddr>,
}

enum Way {
    Udp(Udp),
    Stream(Box<Stream>),
    File(MessageFile),
    /// The collector is not there: when to look for it, and why it is away.
    Away(Instant, String),
}

/// A message that waits for its collector.
struct Kept {
    octets: Box<[u8]>,
    load: Load,
    /// By how much it moves the sequence on.
    step: u32,
}

impl Sender {
    /// Looks up the collector's name and connects to the first of its addresses that can be reached, or creates the
    /// file.
    ///
    /// # Errors
    /// When the name has no address, none of them can be reached, or there is no TLS session. Over UDP a collector that
    /// does not listen is no error. Once `stop` is set, collectors that hang or are away are waited for only shortly.
    pub fn connect(config: &NetflowConfig, stop: &Arc<AtomicBool>) -> Result<Self, SendError> {
        let mut sender = Self::away(config, stop)?;
        if let Some(target) = &mut sender.collector {
            sender.way = target.connect(CONNECT_TIMEOUT, &sender.patience)?;
        }
        Ok(sender)
    }

    /// As [`connect`](Self::connect), but does not look for the collector before the first interval is over.
    ///
    /// # Errors
    /// What does not pass by waiting, such as files that are not there.
    pub fn away(config: &NetflowConfig, stop: &Arc<AtomicBool>) -> Result<Self, SendError> {
        let (way, collector) = match &config.destination {
            Destination::File(path) => {
                let file = MessageFile::create(path);
                let file = file.map_err(|source| SendError::Create {
                    path: path.clone(),
                    source,
                })?;
                (Way::File(file), None)
            }
            Destination::Stdout => (Way::File(MessageFile::stdout()), None),
            Destination::Collector(collector) => {
                let next = Instant::now() + config.reconnect.interval;
                let cause = "the collector was not there at the start".to_owned();
                (Way::Away(next, cause), Some(Target::new(collector)?))
            }
        };
        Ok(Sender {
            way,
            collector,
            pacer: match config.rate {
                Rate::Unlimited => None,
                Rate::PerSecond(rate) => Some(Pacer::new(rate, Instant::now())),
            },
            counters: SendCounters::default(),
            wanted: config.max_message,
            reconnect: config.reconnect,
            patience: Patience::new(config.reconnect.patience, stop),
            templates: Vec::new(),
            version: config.version.into(),
            sequence: 0,
            anew: false,
            kept: VecDeque::new(),
            kept_octets: 0,
        })
    }

    /// Takes the messages that another session will begin with.
    pub fn begin(&mut self, templates: Vec<Vec<u8>>) {
        self.templates = templates;
    }

    /// The collector's address, once it is known.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.collector.as_ref().and_then(|target| target.address)
    }

    /// What was sent so far.
    #[must_use]
    pub fn counters(&self) -> &SendCounters {
        &self.counters
    }

    /// The most octets that a message should have now.
    #[must_use]
    pub fn max_message(&self) -> usize {
        match &self.way {
            Way::Udp(udp) => udp.path().min(self.wanted),
            _ => self.wanted.min(LONGEST),
        }
    }

    /// Sends one message, when its turn has come; over UDP with those that follow, at the next
    /// [`flush`](Self::flush). Keeps it, within bounds, while the collector is away.
    pub fn send(&mut self, message: Message<'_>, load: Load) {
        self.pace(load.records);
        self.look_for_collector();
        let step = message.step();
        let octets = message.octets;
        match &mut self.way {
            Way::Udp(udp) => udp.send(octets, load, &mut self.counters),
            Way::File(file) => match file.write(octets) {
                Ok(()) => self.counters.sent(octets.len(), load),
                Err(cause) => self.counters.lose(&cause, 1, load),
            },
            Way::Stream(_) => {
                if let Err(cause) = self.stream(octets, load, step) {
                    self.break_off(&cause);
                    self.keep(octets, load, step);
                }
            }
            Way::Away(..) => self.keep(octets, load, step),
        }
    }

    /// Sends what waits for company. Returns whether messages have to become shorter: see
    /// [`max_message`](Self::max_message).
    pub fn flush(&mut self) -> bool {
        match &mut self.way {
            Way::Udp(udp) => udp.flush(&mut self.counters),
            _ => false,
        }
    }

    /// Time has passed: looks for a collector that is away, if it is time to.
    pub fn tick(&mut self) {
        self.look_for_collector();
    }

    /// Ends the connection and tells what became of the messages. A collector that is away is waited for once more, or
    /// looked for at once if the run was stopped.
    #[must_use]
    pub fn finish(mut self) -> SendCounters {
        if let Way::Away(next, _) = &self.way
            && !self.kept.is_empty()
        {
            self.patience.wait_until(*next);
            self.reconnect();
        }
        let way = std::mem::replace(&mut self.way, Way::Away(Instant::now(), String::new()));
        match way {
            Way::Udp(udp) => udp.finish(&mut self.counters),
            Way::Stream(mut stream) => {
                if let Err(cause) = stream.close() {
                    let cause = format!("connection not closed properly: {cause}");
                    if !self.lose_unacknowledged(&mut stream, &cause) {
                        self.counters.fail(&cause);
                    }
                    stream.abort();
                }
            }
            Way::File(file) => {
                if let Err(cause) = file.finish() {
                    self.counters.fail(&cause);
                }
            }
            Way::Away(_, cause) => {
                for kept in std::mem::take(&mut self.kept) {
                    self.counters.lose(&cause, 1, kept.load);
                }
            }
        }
        self.counters
    }

    fn pace(&mut self, records: u64) {
        let Some(pacer) = &mut self.pacer else { return };
        let delay = pacer.delay(Instant::now(), records);
        if delay >= SHORTEST_SLEEP {
            self.flush();
            std::thread::sleep(delay);
        }
    }

    /// Keeps a message until the collector is back; one too many is lost.
    fn keep(&mut self, octets: &[u8], load: Load, step: u32) {
        if self.kept_octets + octets.len() > self.reconnect.queue {
            let cause = match &self.way {
                Way::Away(_, cause) => format!("{cause}, and no more messages could be kept"),
                _ => String::new(),
            };
            self.counters.lose(&cause, 1, load);
            return;
        }
        self.kept_octets += octets.len();
        self.kept.push_back(Kept {
            octets: octets.into(),
            load,
            step,
        });
    }

    /// A connection is of no use any more. What was written and not acknowledged is lost.
    fn break_off(&mut self, cause: &str) {
        let next = Instant::now() + self.reconnect.interval;
        let away = Way::Away(next, away(cause));
        if let Way::Stream(mut stream) = std::mem::replace(&mut self.way, away) {
            let cause = format!("not acknowledged when the connection broke ({cause})");
            self.lose_unacknowledged(&mut stream, &cause);
            stream.abort();
        }
    }

    /// Returns whether there was any.
    fn lose_unacknowledged(&mut self, stream: &mut Stream, cause: &str) -> bool {
        let (messages, octets, load) = stream.unacknowledged();
        self.counters.messages = self.counters.messages.saturating_sub(messages);
        self.counters.octets = self.counters.octets.saturating_sub(octets);
        self.counters.records = self.counters.records.saturating_sub(load.records);
        self.counters.lose(cause, messages, load);
        messages > 0
    }

    /// Connects anew if it is time to, and sends what was kept.
    fn look_for_collector(&mut self) {
        if let Way::Away(next, _) = &self.way
            && Instant::now() >= *next
        {
            self.reconnect();
        }
    }

    /// Tries to connect anew, and sends what was kept.
    fn reconnect(&mut self) {
        let Some(target) = &mut self.collector else {
            return;
        };
        match target.connect(RECONNECT_TIMEOUT, &self.patience) {
            Ok(way) => {
                self.counters.reconnects += 1;
                self.way = way;
                self.anew = true;
                self.send_kept();
            }
            Err(error) => {
                self.counters.failed_reconnects += 1;
                let next = Instant::now() + self.reconnect.interval;
                let cause = away(&error.in_full());
                self.way = Way::Away(next, cause);
            }
        }
    }

    /// Sends what was kept.
    fn send_kept(&mut self) {
        while let Some(mut kept) = self.kept.pop_front() {
            self.pace(kept.load.records);
            if let Way::Udp(udp) = &mut self.way {
                udp.send(&kept.octets, kept.load, &mut self.counters);
            } else if let Err(cause) = self.stream(&mut kept.octets, kept.load, kept.step) {
                self.break_off(&cause);
                self.kept.push_front(kept);
                return;
            }
            self.kept_octets = self.kept_octets.saturating_sub(kept.octets.len());
        }
    }

    /// Sends a message in a stream, numbered as what it is there. A session that is new begins with the templates, as
    /// old as the message (RFC 7011 section 8.2: no data is older than its template).
    fn stream(&mut self, octets: &mut [u8], load: Load, step: u32) -> Result<(), String> {
        let Way::Stream(stream) = &mut self.way else {
            return Ok(());
        };
        let mut stamp = Stamp::of(self.version, octets);
        if self.anew {
            self.sequence = 0;
            for template in &mut self.templates {
                stamp.sequence = self.sequence;
                stamp.write(self.version, template);
                stream.send(template, Load::default())?;
                self.sequence = self.sequence.wrapping_add(self.version.step(0));
                self.counters.sent(template.len(), Load::default());
            }
            self.anew = false;
        }
        stamp.sequence = self.sequence;
        stamp.write(self.version, octets);
        stream.send(octets, load)?;
        self.sequence = self.sequence.wrapping_add(step);
        self.counters.sent(octets.len(), load);
        Ok(())
    }
}

impl Target {
    fn new(collector: &Collector) -> Result<Self, SendError> {
        let host = bare(&collector.host);
        let tls = match collector.socket_type {
            SocketType::Tls => Some(Tls {
                config: service::tls::client(&collector.tls)?,
                name: service::tls::server_name(host)
                    .ok_or_else(|| SendError::Name(host.to_owned()))?,
            }),
            SocketType::Udp | SocketType::Tcp => None,
        };
        Ok(Target {
            collector: collector.clone(),
            tls,
            address: None,
        })
    }

    /// Looks the name up and connects to the first of its addresses that can be reached.
    fn connect(&mut self, within: Duration, patience: &Patience) -> Result<Way, SendError> {
        let Collector { host, port, .. } = &self.collector;
        let addresses = (bare(host), *port).to_socket_addrs();
        let addresses = addresses.map_err(|source| SendError::Resolve {
            host: host.clone(),
            source,
        })?;
        let mut error = SendError::NoAddress(host.clone());
        for address in addresses {
            match self.connect_to(address, within, patience) {
                Ok(way) => {
                    self.address = Some(address);
                    return Ok(way);
                }
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    fn connect_to(
        &self,
        address: SocketAddr,
        within: Duration,
        patience: &Patience,
    ) -> Result<Way, SendError> {
        let kind = self.collector.socket_type;
        if kind == SocketType::Udp {
            let udp = Udp::connect(address).map_err(|source| connect_error(address, kind, source));
            return udp.map(Way::Udp);
        }
        match Stream::connect(address, self.tls.as_ref(), within, patience.clone()) {
            Ok(stream) => Ok(Way::Stream(Box::new(stream))),
            Err(ConnectError::Tcp(source)) => Err(connect_error(address, kind, source)),
            Err(ConnectError::Tls(reason)) => Err(SendError::Tls { address, reason }),
        }
    }
}

fn away(cause: &str) -> String {
    format!("the collector was away ({cause})")
}

/// An IPv6 address may be written in brackets, as in a URL.
fn bare(host: &str) -> &str {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host)
}

fn connect_error(address: SocketAddr, kind: SocketType, source: std::io::Error) -> SendError {
    let refused = source.kind() == ErrorKind::ConnectionRefused;
    SendError::Connect {
        address,
        transport: kind.name(),
        source,
        hint: if refused { " (is it started?)" } else { "" },
    }
}
