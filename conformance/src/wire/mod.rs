//! The judge of messages: what an exporter sends, message by message.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::error::DecodeError;
use protocol::limits::Limits;
use protocol::session::{Events, MessageInfo, Session};
use protocol::template::Template;

use crate::verdict::{Finding, Profile, Verdict};

/// The rules that are judged here, by identifier.
pub const RULES: &[&str] = &[
    "H-16", "O-02", "O-05", "S-08", "S-09", "S-10", "S-13", "T-17", "T-32", "T-33",
];

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

/// How a message travelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// One message of a stream.
    Tcp,
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

/// Judges all messages of one observation.
#[derive(Debug)]
pub struct Judge {
    session: Session,
    messages: u64,
    counts: Vec<(u64, Verdict)>,
}

impl Judge {
    /// A judge who has seen nothing yet.
    pub fn new(_options: Options) -> Self {
        Self {
            session: Session::new(Limits::default()),
            messages: 0,
            counts: vec![(0, Verdict::Pass); RULES.len()],
        }
    }

    /// Judges one message. `at_ms` is when it was received, milliseconds since 1970; times of one capture never
    /// need to increase. `out` gets each finding.
    pub fn message(
        &mut self,
        at_ms: u64,
        from: SocketAddr,
        transport: Transport,
        bytes: &[u8],
        out: &mut impl FnMut(Finding),
    ) {
        self.messages += 1;
        let mut findings = Violations(Vec::new());
        match transport {
            Transport::Udp => self.session.datagram(at_ms, from, bytes, &mut findings),
            Transport::Tcp => self.session.message(at_ms, from, bytes, &mut findings),
        }
        for error in findings.0 {
            let Some(rule) = RULES.iter().position(|rule| *rule == error.kind.rule_id()) else {
                continue;
            };
            if let (Some(count), Some(id)) = (self.counts.get_mut(rule), RULES.get(rule)) {
                *count = (count.0 + 1, count.1.max(Verdict::Deviation));
                out(Finding {
                    rule: id,
                    verdict: Verdict::Deviation,
                    offset: error.offset,
                    length: 2,
                    note: error.kind.to_string(),
                });
            }
        }
    }

    /// The stream of this peer has ended.
    pub fn close(&mut self, from: SocketAddr, _out: &mut impl FnMut(Finding)) {
        self.session.close(from, &mut Violations(Vec::new()));
    }

    /// What became of each rule.
    pub fn finish(self) -> Outcome {
        let outcome = |(rule, (count, verdict)): (&&'static str, (u64, Verdict))| RuleOutcome {
            rule,
            verdict: if self.messages == 0 {
                Verdict::NotApplicable
            } else {
                verdict
            },
            count,
            checked: self.messages,
            reason: String::new(),
        };
        RULES.iter().zip(self.counts).map(outcome).collect()
    }
}

struct Violations(Vec<DecodeError>);

impl Events for Violations {
    fn record(&mut self, _: &MessageInfo, _: &Arc<Template>, _: &[u8], _: bool) {}

    fn violation(&mut self, _: SocketAddr, _: u64, error: &DecodeError) {
        self.0.push(*error);
    }
}
