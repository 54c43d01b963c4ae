//! `-f`: messages from a file instead of the network: a capture of an export, an IPFIX file (RFC 5655), or messages of
//! any version one after the other.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use exporter::capture::{CaptureFile, Frame};
use tap::{Message, MessageFile, Receiver, Tap, TapCounters, Transport};
use tracing::{info, warn};

use crate::store::Store;

/// What is in the file.
pub enum Replay {
    /// Frames with datagrams or streams; guessed are the ports unless they are given.
    Capture(CaptureFile, Vec<u16>),
    /// Messages one after the other.
    Messages(MessageFile),
}

impl Replay {
    /// Opens the file. Of a capture only what goes to `ports` is taken; if there are none, what looks like an export.
    ///
    /// # Errors
    /// When the file cannot be opened, or is neither.
    pub fn open(path: &Path, ports: Vec<u16>) -> anyhow::Result<Self> {
        Ok(match MessageFile::open(path) {
            Some(messages) => Self::Messages(messages),
            None => Self::Capture(CaptureFile::open(path)?, ports),
        })
    }

    /// When the first message was captured or sent, milliseconds since 1970; 0 if there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn begins_ms(path: &Path, ports: Vec<u16>) -> anyhow::Result<u64> {
        struct First(Option<u64>);
        impl Receiver for First {
            fn message(&mut self, message: &Message<'_>) {
                self.0.get_or_insert(message.at_ms);
            }
            fn closed(&mut self, _: SocketAddr, _: SocketAddr) {}
        }
        Ok(match Self::open(path, ports)? {
            Self::Capture(mut capture, ports) => {
                let (mut tap, mut first) = (Tap::new(ports), First(None));
                while first.0.is_none()
                    && let Ok(Some(batch)) = capture.next_batch()
                {
                    batch.for_each(|frame: Frame<'_>| tap.frame(&frame, &mut first));
                }
                tap.finish(&mut first);
                first.0.unwrap_or(0)
            }
            Self::Messages(mut messages) => {
                let mut first = First(None);
                messages.next_message(&mut first)?;
                first.0.unwrap_or(0)
            }
        })
    }

    /// Stores everything that is in the file.
    ///
    /// # Errors
    /// When it cannot be read to its end; what came before is stored.
    pub fn run(self, store: &mut Store) -> anyhow::Result<()> {
        match self {
            Self::Capture(capture, ports) => replay_capture(capture, ports, store),
            Self::Messages(messages) => replay_messages(messages, store),
        }
    }
}

/// Hands messages to the store, under the time at which they were captured or sent.
struct Feed<'a> {
    store: &'a mut Store,
    /// Time does not go back: slots end once.
    now_ms: u64,
    messages: u64,
}

impl Receiver for Feed<'_> {
    fn message(&mut self, message: &Message<'_>) {
        self.messages += 1;
        match message.transport {
            // One file is one slot: its times are those of the exporter's headers.
            Transport::File if self.messages > 1 => {}
            _ => self.now_ms = self.now_ms.max(message.at_ms),
        }
        self.store.time(self.now_ms);
        // The rules of streams hold for IPFIX files, too (RFC 5655 section 8): they are whole and in order.
        let in_order = match message.transport {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls => true,
            Transport::File => matches!(message.bytes, [0, 10, ..]),
        };
        if in_order {
            self.store.message(self.now_ms, message.from, message.bytes);
        } else {
            self.store
                .datagram(self.now_ms, message.from, message.bytes);
        }
    }

    fn closed(&mut self, from: SocketAddr, _: SocketAddr) {
        self.store.closed(from);
    }
}

fn replay_capture(
    mut capture: CaptureFile,
    ports: Vec<u16>,
    store: &mut Store,
) -> anyhow::Result<()> {
    let mut tap = Tap::new(ports);
    let mut feed = feed(store);
    let fault = loop {
        match capture.next_batch() {
            Ok(Some(batch)) => batch.for_each(|frame| tap.frame(&frame, &mut feed)),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    tap.finish(&mut feed);
    report(tap.counters());
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

fn report(counters: &TapCounters) {
    let TapCounters {
        frames,
        messages,
        cut,
        incomplete,
        missing_octets,
        unframed,
        ..
    } = *counters;
    info!("{messages} messages in {frames} frames");
    for (count, what) in [
        (cut, "messages are cut by the capture's snap length"),
        (incomplete, "fragmented datagrams are not complete"),
        (missing_octets, "octets of streams are missing"),
        (
            unframed,
            "streams could not be cut into messages to their end",
        ),
    ] {
        if count > 0 {
            warn!("{count} {what}: lost");
        }
    }
}

fn replay_messages(mut file: MessageFile, store: &mut Store) -> anyhow::Result<()> {
    let mut feed = feed(store);
    while file
        .next_message(&mut feed)
        .with_context(|| format!("reading {} failed at octet {}", file.name(), file.offset()))?
    {
    }
    info!("{} messages in {} octets", feed.messages, file.offset());
    Ok(())
}

fn feed(store: &mut Store) -> Feed<'_> {
    Feed {
        store,
        now_ms: 0,
        messages: 0,
    }
}
