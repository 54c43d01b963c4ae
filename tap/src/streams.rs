//! TCP streams put in order and cut into messages, a bounded number at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use protocol::reader::Reader;

use super::Transport;
use super::cut::{Cut, Pause};
use super::flow_ports::{FlowPorts, plausible_start};
use super::network::IpPacket;
use super::{Checksum, Message, Receiver, TapCounters};

/// As many streams are followed at a time; further ones replace the one that was silent for longest.
const MOST: usize = 64;

/// Octets of a stream that wait for a segment before them.
const MOST_WAITING: usize = 1 << 18;

/// After such a pause a NetFlow v9 message is taken to be complete.
const PAUSE_MS: u64 = 100;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

type Key = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<Key, Stream, RandomState>,
}

#[derive(Debug)]
struct Stream {
    /// The sequence number of the next octet.
    next: u32,
    /// Segments that came too early, by their distance from `next` at the time: kept by sequence number.
    waiting: BTreeMap<u32, Vec<u8>>,
    waiting_octets: usize,
    /// `None` while it is not known where a message begins.
    cut: Option<Cut>,
    last_ms: u64,
}

/// The head of a segment.
struct Segment<'a> {
    key: Key,
    sequence: u32,
    flags: u8,
    data: &'a [u8],
    at_ms: u64,
}

impl Streams {
    pub(super) fn segment(
        &mut self,
        at_ms: u64,
        packet: &IpPacket<'_>,
        ports: &mut FlowPorts,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        let Some(segment) = Segment::read(at_ms, packet) else {
            return;
        };
        counters.segments += u64::from(!segment.data.is_empty());
        if segment.flags & SYN != 0 {
            // The ports were used before.
            self.end(segment.key, Pause::Idle, counters, receiver);
        }
        if !self.streams.contains_key(&segment.key)
            && !self.begin(&segment, ports, counters, receiver)
        {
            return;
        }
        let Some(stream) = self.streams.get_mut(&segment.key) else {
            return;
        };
        if packet.missing > 0 {
            counters.cut += 1;
        } else {
            stream.take(&segment, counters, receiver);
        }
        // A reset drops what the sender had not sent yet: the message it cuts is no fault of its length.
        if segment.flags & RST != 0 {
            self.end(segment.key, Pause::Idle, counters, receiver);
        } else if segment.flags & FIN != 0 {
            self.end(segment.key, Pause::End, counters, receiver);
        }
    }

    pub(super) fn finish(&mut self, counters: &mut TapCounters, receiver: &mut impl Receiver) {
        let mut keys: Vec<Key> = self.streams.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.end(key, Pause::Idle, counters, receiver);
        }
    }

    /// Follows the stream of this segment if flow messages are in it.
    fn begin(
        &mut self,
        segment: &Segment<'_>,
        ports: &mut FlowPorts,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) -> bool {
        if segment.data.is_empty() {
            return false;
        }
        let to = segment.key.1;
        if !ports.given().is_empty() {
            if !ports.takes(to, segment.data) {
                return false;
            }
        } else if !plausible_start(segment.data) {
            return false;
        }
        if self.streams.len() >= MOST {
            let silent = self
                .streams
                .iter()
                .min_by_key(|(key, stream)| (stream.last_ms, **key))
                .map(|(key, _)| *key);
            if let Some(silent) = silent {
                self.end(silent, Pause::Idle, counters, receiver);
            }
        }
        let stream = Stream {
            next: segment.sequence,
            waiting: BTreeMap::new(),
            waiting_octets: 0,
            cut: Some(Cut::new()),
            last_ms: segment.at_ms,
        };
        self.streams.insert(segment.key, stream);
        true
    }

    /// `pause` tells whether the sender has closed it, or it is only not followed any further.
    fn end(
        &mut self,
        key: Key,
        pause: Pause,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        let Some(mut stream) = self.streams.remove(&key) else {
            return;
        };
        stream.skip_gaps(key, counters, receiver);
        stream.give(key, &[], pause, counters, receiver);
        let pending = stream.cut.as_ref().is_some_and(Cut::is_inside);
        counters.broken_off += u64::from(pending);
        receiver.closed(key.0, key.1);
    }
}

impl Stream {
    fn take(
        &mut self,
        segment: &Segment<'_>,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        if segment.at_ms.saturating_sub(self.last_ms) >= PAUSE_MS {
            self.give(segment.key, &[], Pause::Idle, counters, receiver);
        }
        self.last_ms = segment.at_ms;
        if segment.data.is_empty() {
            return;
        }
        if ahead(segment.sequence, self.next) > 0 {
            self.waiting_octets += segment.data.len();
            let before = self.waiting.insert(segment.sequence, segment.data.to_vec());
            self.waiting_octets -= before.map_or(0, |before| before.len());
            if self.waiting_octets > MOST_WAITING {
                self.skip_gaps(segment.key, counters, receiver);
            }
            return;
        }
        self.in_order(
            segment.key,
            segment.sequence,
            segment.data,
            counters,
            receiver,
        );
        self.deliver_waiting(segment.key, counters, receiver);
    }

    /// Octets that begin at or before `next`: what is new of them is cut into messages.
    fn in_order(
        &mut self,
        key: Key,
        sequence: u32,
        data: &[u8],
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        let known = self.next.wrapping_sub(sequence) as usize;
        if let Some(new) = data.get(known..).filter(|new| !new.is_empty()) {
            self.next = self.next.wrapping_add(new.len() as u32);
            self.give(key, new, Pause::None, counters, receiver);
        }
    }

    fn deliver_waiting(
        &mut self,
        key: Key,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        while let Some(sequence) = self.first_waiting() {
            if ahead(sequence, self.next) > 0 {
                return;
            }
            let Some(data) = self.waiting.remove(&sequence) else {
                return;
            };
            self.waiting_octets -= data.len();
            self.in_order(key, sequence, &data, counters, receiver);
        }
    }

    /// The sequence number that comes first, the wrap considered.
    fn first_waiting(&self) -> Option<u32> {
        self.waiting
            .keys()
            .copied()
            .min_by_key(|sequence| ahead(*sequence, self.next))
    }

    /// Gives up what is missing: goes on where the next message begins with a segment.
    fn skip_gaps(&mut self, key: Key, counters: &mut TapCounters, receiver: &mut impl Receiver) {
        while let Some(sequence) = self.first_waiting() {
            counters.missing_octets += u64::from(sequence.wrapping_sub(self.next));
            self.next = sequence;
            self.cut = None;
            self.deliver_waiting(key, counters, receiver);
        }
    }

    /// Octets in order: cut into messages.
    fn give(
        &mut self,
        key: Key,
        data: &[u8],
        pause: Pause,
        counters: &mut TapCounters,
        receiver: &mut impl Receiver,
    ) {
        if self.cut.is_none() && plausible_start(data) {
            self.cut = Some(Cut::new());
        }
        let Some(cut) = &mut self.cut else {
            return;
        };
        let whole = cut.take(data, pause, |bytes| {
            counters.messages += 1;
            receiver.message(&Message {
                at_ms: self.last_ms,
                from: key.0,
                to: key.1,
                transport: Transport::Tcp,
                bytes,
                fragments: 0,
                checksum: Checksum::Unseen,
            });
        });
        if !whole {
            counters.unframed += 1;
            self.cut = None;
        }
    }
}

impl<'a> Segment<'a> {
    fn read(at_ms: u64, packet: &IpPacket<'a>) -> Option<Self> {
        let mut reader = Reader::new(packet.payload);
        let from = SocketAddr::new(packet.source, reader.u16().ok()?);
        let to = SocketAddr::new(packet.target, reader.u16().ok()?);
        let sequence = reader.u32().ok()?;
        reader.u32().ok()?;
        let header = usize::from(reader.u8().ok()? >> 4) * 4;
        let flags = reader.u8().ok()?;
        reader.take(header.checked_sub(14)?).ok()?;
        Some(Self {
            key: (from, to),
            sequence,
            flags,
            data: reader.rest(),
            at_ms,
        })
    }
}

/// How far `sequence` is ahead of `next`, around the wrap; negative if it is behind.
fn ahead(sequence: u32, next: u32) -> i32 {
    sequence.wrapping_sub(next) as i32
}
