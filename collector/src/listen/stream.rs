//! TCP and TLS: IPFIX, and v9 as Tranalyzer sends it, cut into messages by their own length fields.
//!
//! Connections are bounded in number and memory. A stream whose message boundary is lost cannot be trusted any
//! further: it is closed with one log line. A peer that starts a message and does not finish it is closed, too.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::framing::{Framer, FramingError};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::places::{Full, Places};
use super::queue::Queues;
use super::tls::{self, Gate};
use super::{Batch, Input, ListenError, canonical, now_ms};
use crate::config::Endpoint;
use crate::log::RateLimit;

/// Streams that may be open at once, over all addresses.
pub const MAX_STREAMS: usize = 256;
/// Longest message of either protocol: both carry or imply 16-bit lengths.
const MAX_MESSAGE: usize = 65_535;
/// Octets read at a time.
const CHUNK: usize = 64 * 1024;
/// How long a new peer may say nothing, and any peer leave a message unfinished.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A stream that may rest between messages; dead peers are found by keep-alive.
const FOREVER: Duration = Duration::from_secs(30 * 86_400);
/// Nothing for so long is a pause; after the collector was told to stop, the stream is drained then.
const QUIET: Duration = Duration::from_millis(100);
/// How long a handshake may still take after the collector was told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Octets that all streams take at most: what is read at a time, and messages in the making.
#[must_use]
pub fn memory() -> usize {
    MAX_STREAMS * (CHUNK + 2 * (MAX_MESSAGE + CHUNK) + 4096 + tls::CONNECTION)
}

/// Becomes true when the collector stops.
pub type Stopped = watch::Receiver<bool>;

/// Binds a listening TCP socket.
///
/// # Errors
/// When the system refuses the address.
pub fn bind(endpoint: &Endpoint) -> Result<TcpListener, ListenError> {
    let fail = |source| ListenError::new("tcp", endpoint.address, source);
    let socket = match endpoint.address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(fail)?;
    socket.set_reuseaddr(true).map_err(fail)?;
    if endpoint.address.is_ipv6() {
        SockRef::from(&socket)
            .set_only_v6(endpoint.only_ipv6)
            .map_err(fail)?;
    }
    socket.bind(endpoint.address).map_err(fail)?;
    socket.listen(128).map_err(fail)
}

/// Takes over a listening socket that somebody else opened.
///
/// # Errors
/// When the socket cannot be used.
pub fn adopt(listener: std::net::TcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// What all stream listeners share.
#[derive(Clone, Debug)]
pub struct Streams {
    queues: Queues,
    stopped: Stopped,
    door: Arc<Door>,
}

impl Streams {
    /// None is open yet; at most `most` may be at once.
    #[must_use]
    pub fn new(queues: Queues, stopped: Stopped, most: usize) -> Self {
        Self {
            queues,
            stopped,
            door: Arc::new(Door {
                places: Places::new(most, most.div_ceil(2)),
                refused: Default::default(),
                limits: [20, 20].map(|lines| Mutex::new(RateLimit::new(lines))),
            }),
        }
    }

    /// Who was let in and who was not.
    #[must_use]
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Accepts connections until the collector stops, through TLS if there is a gate.
    pub async fn accept(mut self, listener: TcpListener, gate: Option<Arc<Gate>>) {
        let transport = if gate.is_some() { "tls" } else { "tcp" };
        let mut failures = RateLimit::new(5);
        loop {
            let accepted = if *self.stopped.borrow_and_update() {
                match timeout(QUIET, listener.accept()).await {
                    Ok(accepted) => accepted,
                    Err(_) => return,
                }
            } else {
                tokio::select! {
                    accepted = listener.accept() => accepted,
                    changed = self.stopped.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                }
            };
            let (stream, peer) = match accepted {
                Ok((stream, peer)) => (stream, canonical(peer)),
                Err(error) => {
                    // Out of descriptors, or a connection that died in the queue.
                    if let Some(more) = failures.pass(now_ms()) {
                        warn!("{transport}: cannot accept a connection: {error}{more}");
                    }
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match self.door.places.take(peer.ip()) {
                Ok(place) => {
                    let (streams, gate) = (self.clone(), gate.clone());
                    tokio::spawn(async move {
                        streams.enter(stream, peer, gate).await;
                        drop(place);
                    });
                }
                Err(full) => {
                    let full = match full {
                        Full::All(streams) => format!("{streams} streams are open already"),
                        Full::Address(streams) => {
                            format!("{streams} streams of this address are open already")
                        }
                    };
                    let sentence = format!("{transport} {peer}: refused: {full}");
                    self.door.refuse(true, &sentence);
                }
            }
        }
    }

    async fn enter(&self, stream: TcpStream, peer: SocketAddr, gate: Option<Arc<Gate>>) {
        let keepalive = TcpKeepalive::new()
            .with_time(PATIENCE)
            .with_interval(Duration::from_secs(15));
        if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keepalive) {
            debug!("tcp {peer}: no keep-alive: {error}");
        }
        match gate {
            None => self.serve("tcp", stream, peer).await,
            Some(gate) => {
                let mut stopped = self.stopped.clone();
                let admitted = tokio::select! {
                    admitted = gate.admit(stream, peer.ip()) => admitted,
                    () = async {
                        // What has been sent already comes with the end of its handshake.
                        let _ = stopped.wait_for(|stopped| *stopped).await;
                        sleep(GRACE).await;
                    } => return,
                };
                match admitted {
                    Ok(stream) => self.serve("tls", stream, peer).await,
                    Err(refusal) => {
                        let sentence = format!("tls {peer}: refused: {refusal}");
                        self.door.refuse(refusal.is_limit(), &sentence);
                    }
                }
            }
        }
    }

    async fn serve(&self, transport: &str, mut stream: impl AsyncRead + Unpin, peer: SocketAddr) {
        debug!("{transport} {peer}: connected");
        match self.read_messages(&mut stream, peer).await {
            end @ (End::Eof | End::Stopped) => debug!("{transport} {peer}: {end}"),
            end @ (End::Io(_) | End::Framing(FramingError::Incomplete { .. })) => {
                info!("{transport} {peer}: {end}");
            }
            end @ (End::Silent | End::Framing(_)) => {
                warn!("{transport} {peer}: connection closed: {end}");
            }
        }
        // A worker that has gone has forgotten the stream, too.
        let _ = self.queues.stream(peer.ip(), Input::Closed(peer)).await;
    }
}

/// Who may open a stream, and who was refused.
#[derive(Debug)]
pub struct Door {
    places: Arc<Places>,
    /// For limits, and for all else.
    refused: [AtomicU64; 2],
    /// Of the lines about either.
    limits: [Mutex<RateLimit>; 2],
}

impl Door {
    /// How many streams are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.places.taken()
    }

    /// How many were refused for each cause.
    #[must_use]
    pub fn refused(&self) -> [(u64, &'static str); 2] {
        let [limits, others] = &self.refused;
        [(limits, "limit"), (others, "handshake or certificate")]
            .map(|(count, cause)| (count.load(Ordering::Relaxed), cause))
    }

    /// Each refusal is told once; of a flood, some and their number.
    fn refuse(&self, for_a_limit: bool, sentence: &str) {
        let kind = usize::from(!for_a_limit);
        let (Some(count), Some(limit)) = (self.refused.get(kind), self.limits.get(kind)) else {
            return;
        };
        count.fetch_add(1, Ordering::Relaxed);
        let limit = limit.lock();
        let passed = limit.unwrap_or_else(PoisonError::into_inner).pass(now_ms());
        if let Some(more) = passed {
            warn!("{sentence}{more}");
        }
    }
}

/// Why a stream came to its end.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("closed by the peer")]
    Eof,
    #[error("no complete message for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Framing(#[from] FramingError),
    #[error("the collector is ending")]
    Stopped,
}

impl Streams {
    async fn read_messages(&self, stream: &mut (impl AsyncRead + Unpin), peer: SocketAddr) -> End {
        let mut stopped = self.stopped.clone();
        let mut messages = Messages {
            framer: Framer::new(MAX_MESSAGE),
            peer,
            unfinished: 0,
        };
        let mut chunk = vec![0_u8; CHUNK];
        // Until when the next message has to be complete; none between messages.
        let mut deadline = Some(Instant::now() + PATIENCE);
        // Whether the framer was told of the pause after the last octets: a v9 message ends only with a pause or the next one.
        let mut told_pause = true;
        loop {
            let patience = match deadline {
                _ if !told_pause && messages.unfinished > 0 => QUIET,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => FOREVER,
            };
            let mut batch = Batch {
                received_ms: now_ms(),
                ..Batch::default()
            };
            let end = match read(&mut *stream, &mut chunk, patience, &mut stopped).await {
                Ok(Read::Octets(octets)) => {
                    told_pause = false;
                    messages.push(octets, &mut batch).err().map(End::from)
                }
                Ok(Read::Pause) if told_pause => Some(End::Silent),
                Ok(Read::Pause) => {
                    told_pause = true;
                    messages.pause(&mut batch).err().map(End::from)
                }
                Ok(Read::Stopped) => Some(
                    messages
                        .pause(&mut batch)
                        .err()
                        .map_or(End::Stopped, End::from),
                ),
                Ok(Read::End) => Some(messages.end(&mut batch).err().map_or(End::Eof, End::from)),
                Err(error) => Some(error.into()),
            };
            if messages.unfinished == 0 {
                deadline = None;
            } else if deadline.is_none() || !batch.is_empty() {
                deadline = Some(Instant::now() + PATIENCE);
            }
            // Everything before a lost boundary is good and delivered.
            if !batch.is_empty() {
                let input = Input::Messages(batch);
                if self.queues.stream(peer.ip(), input).await.is_err() {
                    return End::Stopped;
                }
            }
            if let Some(end) = end {
                return end;
            }
        }
    }
}

/// The messages of one stream.
struct Messages {
    framer: Framer,
    peer: SocketAddr,
    /// Octets of the message that is not complete yet.
    unfinished: usize,
}

impl Messages {
    fn push(&mut self, octets: &[u8], batch: &mut Batch) -> Result<(), FramingError> {
        self.framer.push(octets);
        self.unfinished += octets.len();
        self.take(batch, Framer::next_message)
    }

    fn pause(&mut self, batch: &mut Batch) -> Result<(), FramingError> {
        self.take(batch, Framer::idle)
    }

    fn end(&mut self, batch: &mut Batch) -> Result<(), FramingError> {
        self.take(batch, Framer::finish)
    }

    fn take(
        &mut self,
        batch: &mut Batch,
        mut next: impl FnMut(&mut Framer) -> Result<Option<&[u8]>, FramingError>,
    ) -> Result<(), FramingError> {
        while let Some(message) = next(&mut self.framer)? {
            self.unfinished = self.unfinished.saturating_sub(message.len());
            batch.push(self.peer, message);
        }
        Ok(())
    }
}

/// What an attempt to read brought.
enum Read<'a> {
    Octets(&'a [u8]),
    /// Nothing for as long as was to be waited.
    Pause,
    /// The peer sends no more.
    End,
    /// The collector stops, and there is nothing left to read.
    Stopped,
}

/// Reads what there is, waiting for it `patience` at most; once the collector stops, only what is there already.
async fn read<'a>(
    stream: &mut (impl AsyncRead + Unpin),
    chunk: &'a mut [u8],
    patience: Duration,
    stopped: &mut Stopped,
) -> std::io::Result<Read<'a>> {
    let outcome = if *stopped.borrow_and_update() {
        None
    } else {
        tokio::select! {
            outcome = timeout(patience, stream.read(chunk)) => match outcome {
                Ok(outcome) => Some(outcome?),
                Err(_) => return Ok(Read::Pause),
            },
            // Reading is cancel safe: nothing that arrived is lost by trying again.
            _ = stopped.changed() => None,
        }
    };
    let length = match outcome {
        Some(length) => length,
        None => match timeout(QUIET, stream.read(chunk)).await {
            Ok(outcome) => outcome?,
            Err(_) => return Ok(Read::Stopped),
        },
    };
    Ok(match chunk.get(..length) {
        None | Some([]) => Read::End,
        Some(octets) => Read::Octets(octets),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Reads what `exporter` sends, in a time that passes as fast as nothing happens.
    async fn end_of<F: Future<Output = ()> + Send + 'static>(
        exporter: impl FnOnce(DuplexStream) -> F,
    ) -> (End, Duration) {
        let (queues, _receivers) = Queues::new(1);
        let (_stop, stopped) = watch::channel(false);
        let streams = Streams::new(queues, stopped, 4);
        let (near, mut far) = duplex(64);
        tokio::spawn(exporter(near));
        let begin = Instant::now();
        let peer = SocketAddr::from(([192, 0, 2, 1], 4739));
        let end = streams.read_messages(&mut far, peer).await;
        (end, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_an_octet_now_and_then_is_given_up() {
        let (end, time) = end_of(async |mut near| {
            // A message of 1000 octets that would take five hours.
            for octet in [0, 10, 3, 0xe8]
                .into_iter()
                .chain(std::iter::repeat_n(0, 996))
            {
                if near.write_all(&[octet]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        })
        .await;
        assert!(matches!(end, End::Silent), "{end}");
        assert!(
            (PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&time),
            "{time:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_given_up_and_one_that_rests_is_not() {
        let (end, time) = end_of(async |near| {
            tokio::time::sleep(FOREVER).await;
            drop(near);
        })
        .await;
        assert!(matches!(end, End::Silent), "{end}");
        assert!(
            (PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&time),
            "{time:?}"
        );

        let rest = Duration::from_secs(86_400);
        let (end, time) = end_of(async move |mut near| {
            let empty = [&[0, 10, 0, 16][..], &[0; 12]].concat();
            near.write_all(&empty).await.unwrap();
            tokio::time::sleep(rest).await;
        })
        .await;
        assert!(matches!(end, End::Eof), "{end}");
        assert!(time >= rest, "{time:?}");
    }
}
