//! Messages in, one result for each requirement out: what the judges say, and the first message that made them say
//! it. Keeps one message a rule, however many there are.

use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::catalogue::{Requirement, requirements};
use crate::context::{Keeper, Kept};
use crate::numbering::{Numbered, Numbering, Step};
use crate::verdict::{Finding, Profile, Verdict};
use crate::wire::{Judge, Options, RuleOutcome, Transport};
use tap::{Checksum, Message, Receiver};

/// The rules that are judged here rather than by the judge of messages: on what carried the message, and on all
/// sessions of an exporter.
pub const RULES: &[&str] = &[CHECKSUM, SESSIONS];

/// A message that came in fragments breaks this one, however small it is. Sizes are the judge's.
const FRAGMENTS: &str = "H-19";

const CHECKSUM: &str = "H-20";

const NO_CHECKSUM: &str =
    "no checksum was seen: sockets do not show it, and a card may compute it behind the capture";

const SESSIONS: &str = "X-11";

const NO_SESSIONS: &str = "no exporter was seen that sends IPFIX to several collectors";

/// So many collectors are told apart, each with a judge: what is sent to one says nothing about what is sent to the
/// others.
const MOST_COLLECTORS: usize = 64;

/// So many exporters are counted.
const MOST_EXPORTERS: usize = 100_000;

/// The first message that breaks a rule, of the worst that do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// Its number in the observation, from 1.
    pub number: u64,
    /// When it was captured or received, milliseconds since 1970.
    pub at_ms: u64,
    /// The exporter.
    pub from: SocketAddr,
    /// The collector.
    pub to: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// The message.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub finding: Finding,
    /// Earlier messages that it is read with: its templates, and the one before it.
    pub context: Vec<Arc<Kept>>,
}

/// What became of one requirement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleResult {
    /// Which.
    pub requirement: &'static Requirement,
    /// The verdict.
    pub verdict: Verdict,
    /// How often it was broken.
    pub count: u64,
    /// How often there was something to check.
    pub checked: u64,
    /// Why it is not applicable; empty otherwise.
    pub reason: String,
    /// The first message that broke it as badly.
    pub first: Option<Evidence>,
    /// Evidence that no message shows, one line each: packets of a capture against what was reported of them.
    pub notes: Vec<String>,
}

/// What was observed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Messages judged.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
    /// Messages of version 5, 9 and 10, and of none of them.
    pub versions: [u64; 4],
    /// Senders, by address and port.
    pub exporters: usize,
    /// Messages to more collectors than are told apart: not judged.
    pub not_judged: u64,
    /// NetFlow messages over TLS.
    pub not_ipfix_over_tls: u64,
    /// Earliest time of a message, milliseconds since 1970.
    pub first_ms: u64,
    /// Latest time of a message.
    pub last_ms: u64,
}

impl Tally {
    /// Messages that are something else.
    pub fn foreign(&self) -> u64 {
        self.versions[3]
    }

    /// What was not judged, or is strange, one line each.
    pub fn remarks(&self) -> Vec<String> {
        let lines = [
            (
                self.foreign(),
                "messages are neither NetFlow v5, v9 nor IPFIX",
            ),
            (
                self.not_judged,
                "messages to further collectors were not judged",
            ),
            (
                self.not_ipfix_over_tls,
                "messages over TLS are NetFlow, which defines no TLS: RFC 7011 does for IPFIX",
            ),
        ];
        lines
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Inspection {
    options: Options,
    judges: HashMap<SocketAddr, Judge, RandomState>,
    firsts: HashMap<&'static str, Evidence, RandomState>,
    /// Datagrams in fragments that the judge let pass.
    fragmented: u64,
    checksum: RuleOutcome,
    sessions: RuleOutcome,
    numbering: Numbering,
    exporters: HashSet<SocketAddr, RandomState>,
    tally: Tally,
    keeper: Keeper,
}

impl Inspection {
    /// Nothing observed yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            judges: HashMap::default(),
            firsts: HashMap::default(),
            fragmented: 0,
            checksum: unseen(CHECKSUM, NO_CHECKSUM),
            sessions: unseen(SESSIONS, NO_SESSIONS),
            numbering: Numbering::default(),
            exporters: HashSet::default(),
            tally: Tally::default(),
            keeper: Keeper::default(),
        }
    }

    /// What was observed so far.
    pub fn tally(&self) -> Tally {
        Tally {
            exporters: self.exporters.len(),
            ..self.tally
        }
    }

    /// Whether there was nothing to judge: no message, or other protocols only.
    pub fn found_nothing(&self) -> bool {
        self.tally.messages == self.tally.foreign() && self.firsts.is_empty()
    }

    /// One result for each requirement, in the order of the catalogue.
    pub fn finish(self) -> Vec<RuleResult> {
        let mut outcomes: HashMap<&'static str, RuleOutcome, RandomState> = HashMap::default();
        let judged = self.judges.into_values().flat_map(Judge::finish);
        for outcome in judged.chain([self.checksum, self.sessions]) {
            match outcomes.get_mut(outcome.rule) {
                Some(known) => merge(known, outcome),
                None => {
                    outcomes.insert(outcome.rule, outcome);
                }
            }
        }
        if let Some(outcome) = outcomes.get_mut(FRAGMENTS).filter(|_| self.fragmented > 0) {
            outcome.count += self.fragmented;
            outcome.verdict = outcome.verdict.max(Verdict::Deviation);
        }
        let mut firsts = self.firsts;
        let result = |requirement: &'static Requirement| {
            let id = requirement.rule.id;
            let outcome = outcomes.remove(id);
            let (verdict, count, checked, reason) = match outcome {
                Some(outcome) => (
                    outcome.verdict,
                    outcome.count,
                    outcome.checked,
                    outcome.reason,
                ),
                None => (
                    Verdict::NotApplicable,
                    0,
                    0,
                    requirement.state.reason().to_owned(),
                ),
            };
            RuleResult {
                requirement,
                verdict,
                count,
                checked,
                reason,
                first: firsts.remove(id),
                notes: Vec::new(),
            }
        };
        requirements().iter().map(result).collect()
    }

    fn keep(&mut self, message: &Message<'_>, finding: Finding) {
        keep(
            &mut self.firsts,
            &self.keeper,
            self.tally.messages,
            message,
            finding,
        );
    }

    /// A datagram in fragments, unless the judge has told it as too large.
    fn fragments(&mut self, message: &Message<'_>) {
        self.fragmented += 1;
        let finding = Finding {
            rule: FRAGMENTS,
            verdict: Verdict::Deviation,
            offset: 0,
            length: 0,
            note: format!("the datagram came in {} fragments", message.fragments),
        };
        self.keep(message, finding);
    }

    fn checksum(&mut self, message: &Message<'_>) {
        let v6 = message.to.is_ipv6();
        let (verdict, broken) = match message.checksum {
            Checksum::Unseen | Checksum::Offloaded => (Verdict::Pass, None),
            Checksum::Valid => (Verdict::Pass, Some("")),
            // No receiver's system hands these on.
            Checksum::Wrong => (Verdict::DataLoss, Some("the UDP checksum is wrong")),
            Checksum::Absent if v6 => (Verdict::DataLoss, Some("no UDP checksum over IPv6")),
            // NetFlow leaves it to UDP.
            Checksum::Absent if !matches!(message.bytes, [0, 10, ..]) => (Verdict::Pass, None),
            Checksum::Absent if self.options.profile == Profile::Lenient => {
                (Verdict::Pass, Some(""))
            }
            Checksum::Absent => (Verdict::Deviation, Some("no UDP checksum")),
        };
        let Some(note) = broken else {
            return;
        };
        let finding = Finding {
            rule: CHECKSUM,
            verdict,
            offset: 0,
            length: 0,
            note: note.to_owned(),
        };
        count(&mut self.checksum, verdict);
        if verdict.is_negative() {
            self.keep(message, finding);
        }
    }

    /// RFC 7011 section 10.3.5.
    fn sessions(&mut self, message: &Message<'_>, numbered: Numbered) {
        let step = self.numbering.take(message.from.ip(), message.to, numbered);
        let verdict = match step {
            Step::Open => return,
            Step::Own => Verdict::Pass,
            Step::Shared => Verdict::Deviation,
        };
        count(&mut self.sessions, verdict);
        if verdict.is_negative() {
            let finding = Finding {
                rule: SESSIONS,
                verdict,
                offset: 8,
                length: 4,
                note: format!(
                    "number {} goes on where the session with another collector stopped",
                    numbered.number
                ),
            };
            self.keep(message, finding);
        }
    }
}

impl Receiver for Inspection {
    fn message(&mut self, message: &Message<'_>) {
        let tally = &mut self.tally;
        if tally.messages == 0 {
            tally.first_ms = message.at_ms;
        }
        // Captures need not be in order.
        tally.first_ms = tally.first_ms.min(message.at_ms);
        tally.messages += 1;
        tally.octets += message.bytes.len() as u64;
        tally.last_ms = tally.last_ms.max(message.at_ms);
        let version = match message.bytes {
            [0, 5, ..] => 0,
            [0, 9, ..] => 1,
            [0, 10, ..] => 2,
            _ => 3,
        };
        if let Some(count) = tally.versions.get_mut(version) {
            *count += 1;
        }
        tally.not_ipfix_over_tls += u64::from(message.transport == Transport::Tls && version < 2);
        if self.exporters.len() < MOST_EXPORTERS {
            self.exporters.insert(message.from);
        }
        if self.judges.len() >= MOST_COLLECTORS && !self.judges.contains_key(&message.to) {
            self.tally.not_judged += 1;
            return;
        }
        self.checksum(message);
        let judge = self
            .judges
            .entry(message.to)
            .or_insert_with(|| Judge::new(self.options));
        let (firsts, keeper, number) = (&mut self.firsts, &self.keeper, self.tally.messages);
        let mut too_large = false;
        judge.message(
            message.at_ms,
            message.from,
            message.transport,
            message.bytes,
            &mut |finding| {
                too_large |= finding.rule == FRAGMENTS;
                keep(firsts, keeper, number, message, finding);
            },
        );
        let numbered = judge.numbered();
        if let Some(numbered) = numbered {
            self.sessions(message, numbered);
        }
        if message.fragments > 1 && !too_large && self.options.profile != Profile::Lenient {
            self.fragments(message);
        }
        self.keeper.take(number, message);
    }

    fn closed(&mut self, from: SocketAddr, to: SocketAddr) {
        if let Some(judge) = self.judges.get_mut(&to) {
            judge.close(from, &mut |_| {});
        }
    }
}

/// A rule that nothing has been seen of.
fn unseen(rule: &'static str, reason: &str) -> RuleOutcome {
    RuleOutcome {
        rule,
        verdict: Verdict::NotApplicable,
        count: 0,
        checked: 0,
        reason: reason.to_owned(),
    }
}

fn count(outcome: &mut RuleOutcome, verdict: Verdict) {
    outcome.checked += 1;
    outcome.reason.clear();
    outcome.verdict = outcome.verdict.max(verdict);
    outcome.count += u64::from(verdict.is_negative());
}

fn keep(
    firsts: &mut HashMap<&'static str, Evidence, RandomState>,
    keeper: &Keeper,
    number: u64,
    message: &Message<'_>,
    finding: Finding,
) {
    let worse = |first: &Evidence| finding.verdict > first.finding.verdict;
    if firsts.get(finding.rule).is_none_or(worse) {
        firsts.insert(
            finding.rule,
            Evidence {
                number,
                at_ms: message.at_ms,
                from: message.from,
                to: message.to,
                transport: message.transport,
                bytes: message.bytes.to_vec(),
                finding,
                context: keeper.needed(message),
            },
        );
    }
}

/// What two judges say of one rule.
fn merge(known: &mut RuleOutcome, other: RuleOutcome) {
    known.count += other.count;
    known.checked += other.checked;
    if other.verdict > known.verdict {
        known.verdict = other.verdict;
    }
    if known.verdict != Verdict::NotApplicable {
        known.reason.clear();
    } else if known.reason.is_empty() {
        known.reason = other.reason;
    }
}
