//! The judge of messages: what an exporter sends, message by message.
//!
//! An independent and strict walk with a state of its own: it has to see what a collector forgives. It takes
//! octets and times and gives findings; it knows no socket, file or clock. A verdict needs certainty: messages
//! that came twice are judged once, late ones are not held against their order, and what a capture that begins
//! in the middle cannot show is not applicable.

mod counters;
mod data;
mod datagrams;
mod domain;
pub(crate) mod layout;
mod lists;
mod message;
mod rules;
mod sampling;
mod sequence;
mod templates;
#[cfg(test)]
mod tests;
mod times;
mod values;
mod walk;

use std::hash::BuildHasher;
use std::net::SocketAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use protocol::reader::{Reader, Truncated};

use crate::numbering::Numbered;
use crate::verdict::{Finding, Profile, Verdict};
use counters::Counter;
use domain::Domain;
use message::Message;
use rules::{Desk, R};
use sequence::Held;
use walk::Walk;

pub use rules::RULES;
pub use tap::Transport;

/// Domains of all senders together; messages of others are judged by themselves.
const DOMAINS: usize = 4096;
/// Senders whose unknown messages are theirs and not some other protocol's.
const SENDERS: usize = 4096;
/// Datagrams of more octets do not fit an Ethernet frame: 1500 octets less IP and UDP headers.
const MOST_IPV4: usize = 1500 - 28;
const MOST_IPV6: usize = 1500 - 48;
/// Least octets of a NetFlow v5 message, and of each record.
const V5_HEADER: usize = 24;
const V5_RECORD: usize = 48;
/// How far the export time may be from ours: 2 s, and the second that it is cut to.
const EXPORT_MS: u64 = 3000;
/// So far from our clock the messages are taken for a replay of older traffic, whose times are those of the traffic.
const REPLAY_MS: u64 = 86_400_000;

/// How to judge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The reading of the rules.
    pub profile: Profile,
    /// The messages come from the exporter as it sends them: its clock can be compared with ours.
    pub live: bool,
    /// What is only asked for (SHOULD) is a deviation too.
    pub strict: bool,
}

/// What became of one rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleOutcome {
    /// Identifier.
    pub rule: &'static str,
    /// The worst verdict; [`Verdict::Pass`] without a finding, [`Verdict::NotApplicable`] without a check.
    pub verdict: Verdict,
    /// Findings.
    pub count: u64,
    /// How often there was something to check.
    pub checked: u64,
    /// Why the rule is not applicable; empty otherwise.
    pub reason: String,
}

/// What became of all rules of [`RULES`], in their order.
pub type Outcome = Vec<RuleOutcome>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    from: SocketAddr,
    transport: Transport,
    version: u16,
    domain: u32,
}

/// Judges all messages of one observation.
#[derive(Debug)]
pub struct Judge {
    desk: Desk,
    domains: HashMap<Key, Domain, RandomState>,
    senders: HashSet<(SocketAddr, Transport), RandomState>,
    hasher: RandomState,
    messages: u64,
    foreign: u64,
    /// Of the last message.
    numbered: Option<Numbered>,
}

impl Judge {
    /// A judge who has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            desk: Desk::new(options),
            domains: HashMap::default(),
            senders: HashSet::default(),
            hasher: RandomState::default(),
            messages: 0,
            foreign: 0,
            numbered: None,
        }
    }

    /// Judges one message. `at_ms` is when it was received, milliseconds since 1970; times of one capture never
    /// need to increase. `out` gets each finding; of one rule and one message at most eight are told, and all
    /// counted.
    pub fn message(
        &mut self,
        at_ms: u64,
        from: SocketAddr,
        transport: Transport,
        bytes: &[u8],
        out: &mut impl FnMut(Finding),
    ) {
        self.numbered = None;
        self.judge(at_ms, from, transport, bytes);
        self.desk.findings.drain(..).for_each(out);
    }

    /// The stream of this peer has ended.
    pub fn close(&mut self, from: SocketAddr, _out: &mut impl FnMut(Finding)) {
        self.senders
            .retain(|(sender, transport)| *sender != from || !transport.is_stream());
        let desk = &mut self.desk;
        self.domains.retain(|key, domain| {
            let keep = key.from != from || !key.transport.is_stream();
            if !keep {
                desk.fields_left += domain.fields();
            }
            keep
        });
    }

    /// The number of the last message and the one that is due behind it, if it was IPFIX and can be counted.
    pub fn numbered(&self) -> Option<Numbered> {
        self.numbered
    }

    /// Messages that were judged, and those that are no NetFlow or IPFIX.
    pub fn seen(&self) -> (u64, u64) {
        (self.messages, self.foreign)
    }

    /// What became of each rule.
    pub fn finish(self) -> Outcome {
        self.desk.outcome()
    }

    fn judge(&mut self, at_ms: u64, from: SocketAddr, transport: Transport, bytes: &[u8]) {
        let version = bytes.first_chunk().map(|pair| u16::from_be_bytes(*pair));
        let Some(version @ (5 | 9 | 10)) = version else {
            self.judge_foreign((from, transport), bytes);
            return;
        };
        self.messages += 1;
        self.desk.begin(version);
        let header = Message::read(version, bytes, at_ms, (from, transport), self.messages);
        let kept = header.is_ok();
        self.desk
            .judge(R::H01, kept, Verdict::DataLoss, 0, bytes.len(), || {
                format!(
                    "{} octets are less than a header of version {version}",
                    bytes.len()
                )
            });
        let Ok((message, body)) = header else { return };
        if self.senders.len() < SENDERS {
            self.senders.insert((from, transport));
        }
        let key = Key {
            from,
            transport,
            version,
            domain: message.domain,
        };
        if self.domains.len() >= DOMAINS && !self.domains.contains_key(&key) {
            let mut domain = Domain::blind();
            let hash = self.hasher.hash_one(bytes);
            judge_message(message, body, hash, &mut domain, &mut self.desk);
            self.desk.fields_left += domain.fields();
            return;
        }
        let hash = self.hasher.hash_one(bytes);
        let domain = self.domains.entry(key).or_default();
        let held = judge_message(message, body, hash, domain, &mut self.desk);
        self.numbered = held.filter(|_| version == 10).map(|held| Numbered {
            domain: message.domain,
            number: message.sequence,
            next: message.sequence.wrapping_add(held.records),
        });
    }

    /// A version nobody knows: another protocol, unless the sender is known to speak ours.
    fn judge_foreign(&mut self, sender: (SocketAddr, Transport), bytes: &[u8]) {
        self.foreign += 1;
        let swapped = match bytes {
            [10, 0, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])) == bytes.len(),
            _ => false,
        };
        if sender.1 == Transport::File && self.desk.has_seen_ipfix() {
            self.desk.begin(10);
            let length = bytes.len();
            self.desk
                .judge(R::X21, false, Verdict::DataLoss, 0, length, || {
                    format!("{length} octets of the file are no message")
                });
        } else if swapped || self.senders.contains(&sender) {
            self.desk.begin(10);
            self.desk.judge(R::H01, false, Verdict::DataLoss, 0, 2, || {
                if swapped {
                    "version and length are in little-endian order".to_owned()
                } else {
                    "neither version 5, 9 nor 10, from a sender of such messages".to_owned()
                }
            });
        }
    }
}

/// Gives what the message held, if it can be counted.
fn judge_message(
    mut message: Message<'_>,
    body: Reader<'_>,
    hash: u64,
    domain: &mut Domain,
    desk: &mut Desk,
) -> Option<Held> {
    if message.transport == Transport::Udp && domain.is_repeated(hash) {
        return None;
    }
    judge_size(&message, desk);
    if message.version == 5 {
        judge_v5(message, &body, domain, desk);
        return None;
    }
    desk.datagrams.see(&message);
    if message.version == 10 && message.transport == Transport::File {
        desk.check(R::X21);
    }
    judge_export_time(&message, desk);
    if !judge_message_length(&message, desk) {
        domain.blind = true;
        domain.sequence.forget();
        return None;
    }
    domain.count(&message, desk);
    message.step = domain.sequence.place(message.version, message.sequence);
    domain.placed(&message);
    let held = Walk::new(&message, domain, desk).walk(body);
    let (number, at) = (message.sequence, message.sequence_at());
    domain
        .sequence
        .judge(message.version, number, message.step, held, at, desk);
    domain.judge_clock(&message, desk);
    held
}

fn judge_size(message: &Message<'_>, desk: &mut Desk) {
    if message.transport != Transport::Udp {
        return;
    }
    let most = if message.from.is_ipv4() {
        MOST_IPV4
    } else {
        MOST_IPV6
    };
    let length = message.bytes.len();
    desk.judge(R::H19, length <= most, Verdict::Deviation, 0, 4, || {
        format!("{length} octets: a datagram of more than {most} is sent in fragments over Ethernet, and lost with any of them")
    });
}

fn judge_v5(mut message: Message<'_>, body: &Reader<'_>, domain: &mut Domain, desk: &mut Desk) {
    let count = usize::from(message.second);
    let fits = message.bytes.len() == V5_HEADER + count * V5_RECORD;
    desk.judge(
        R::N01,
        fits && (1..=30).contains(&count),
        Verdict::DataLoss,
        2,
        2,
        || {
            format!(
                "count is {count}, and {} octets follow the header",
                body.left()
            )
        },
    );
    domain.count(&message, desk);
    message.step = domain.sequence.place(5, message.sequence);
    domain.placed(&message);
    let held = fits.then(|| Held {
        records: u32::from(message.second),
        templates: 0,
    });
    let (number, at) = (message.sequence, message.sequence_at());
    domain
        .sequence
        .judge(5, number, message.step, held, at, desk);
    if !fits {
        return;
    }
    domain.judge_clock(&message, desk);
    let mut reader = body.clone();
    while let Ok(record) = reader.sub(V5_RECORD) {
        // A record has 48 octets: what is read here is there.
        let _ = judge_v5_record(&message, record, desk);
    }
}

/// Packets, octets, first and last time of a NetFlow v5 record.
fn judge_v5_record(
    message: &Message<'_>,
    mut record: Reader<'_>,
    desk: &mut Desk,
) -> Result<(), Truncated> {
    record.take(16)?;
    let at = record.offset();
    let [packets, octets, first, last] =
        [record.u32()?, record.u32()?, record.u32()?, record.u32()?];
    let octets = Counter {
        number: u64::from(octets),
        length: 4,
        offset: at + 4,
    };
    counters::judge_headers(message.version, octets, u64::from(packets), 4, desk);
    times::judge_begins_first(R::N03, first, last, at + 8, desk);
    if let Some(uptime) = message.uptime_ms {
        times::judge_uptime(last, at + 12, uptime, desk);
    }
    Ok(())
}

fn judge_export_time(message: &Message<'_>, desk: &mut Desk) {
    let at = message.seconds_at();
    if message.seconds == 0 {
        desk.fault(R::H11, Verdict::Deviation, at, 4, || {
            "export time is 0, 1 January 1970".to_owned()
        });
    } else if desk.options.live {
        let apart = message.at_ms.abs_diff(u64::from(message.seconds) * 1000);
        if apart > REPLAY_MS {
            return;
        }
        desk.judge(
            R::H11,
            apart <= EXPORT_MS,
            Verdict::Deviation,
            at,
            4,
            || format!("export time is {apart} ms from the time of reception"),
        );
    }
}

/// IPFIX: the header's length is that of the message.
fn judge_message_length(message: &Message<'_>, desk: &mut Desk) -> bool {
    if message.version != 10 {
        return true;
    }
    let (said, found) = (usize::from(message.second), message.bytes.len());
    let trailing = message.bytes.get(said..).unwrap_or_default();
    let another = said >= 16
        && trailing.starts_with(&[0, 10])
        && matches!(trailing, [_, _, high, low, ..] if usize::from(u16::from_be_bytes([*high, *low])) == trailing.len());
    if another {
        desk.judge(
            R::S13,
            false,
            Verdict::DataLoss,
            said,
            trailing.len(),
            || {
                format!(
                    "another message of {} octets follows in the same datagram",
                    trailing.len()
                )
            },
        );
        return false;
    }
    desk.judge(R::H06, said == found, Verdict::DataLoss, 2, 2, || {
        format!("length is {said}, the message has {found} octets")
    });
    said == found
}
