//! What was found, for people and for programs. All forms are made of one [`Report`].

mod decode;
mod escape;
mod html;
mod json;
mod junit;
mod pcap;
mod text;
mod value;

use crate::catalogue::State;
use crate::inspection::{Evidence, RuleResult, Tally};
use crate::known::Known;
use crate::verdict::{Profile, Verdict};
use crate::wire::Transport;

pub(crate) use escape::escape;
pub(crate) use html::class;
pub use html::html;
pub use json::json;
pub use junit::junit;
pub use pcap::write_captures;
pub(crate) use pcap::{Way, capture, frame, head};
pub use text::text;

/// What a report is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was observed: a file or an address.
    pub source: String,
    /// The reading of the rules.
    pub profile: Profile,
    /// What is only asked for counted too.
    pub strict: bool,
    /// What was seen.
    pub tally: Tally,
    /// What could not be used of the observation, one line each.
    pub remarks: Vec<String>,
    /// One result for each requirement that was asked for.
    pub results: Vec<RuleResult>,
    /// Failures that are expected.
    pub known: Known,
    /// The traffic was known.
    pub metered: bool,
}

impl Report {
    /// Whether a rule is broken that is not known to be.
    pub fn is_negative(&self) -> bool {
        self.results.iter().any(|result| self.counts(result))
    }

    /// Rules that are known to be broken, and were kept.
    pub fn unexpected_passes(&self) -> impl Iterator<Item = &RuleResult> {
        self.results
            .iter()
            .filter(|result| result.verdict == Verdict::Pass && self.is_known(result))
    }

    fn counts(&self, result: &RuleResult) -> bool {
        result.verdict.is_negative() && !self.is_known(result)
    }

    fn is_known(&self, result: &RuleResult) -> bool {
        self.known.contains(result.requirement.rule.id)
    }

    fn count(&self, verdict: Verdict) -> usize {
        let same = |result: &&RuleResult| result.verdict == verdict;
        self.results.iter().filter(same).count()
    }

    /// Broken rules, the worst first, otherwise in the order of the catalogue.
    fn broken(&self) -> Vec<&RuleResult> {
        let mut broken: Vec<&RuleResult> = self
            .results
            .iter()
            .filter(|result| result.verdict.is_negative())
            .collect();
        broken.sort_by_key(|result| std::cmp::Reverse(result.verdict));
        broken
    }

    /// Rules that are kept.
    fn passed(&self) -> impl Iterator<Item = &RuleResult> {
        self.results
            .iter()
            .filter(|result| result.verdict == Verdict::Pass)
    }

    /// How many rules are not applicable, by reason; those that are judged, but had nothing to be judged on, first.
    fn not_applicable(&self) -> Vec<(&'static str, usize)> {
        let mut counts = Vec::new();
        for state in State::ALL {
            let count = self
                .results
                .iter()
                .filter(|result| {
                    result.verdict == Verdict::NotApplicable && result.requirement.state == state
                })
                .count();
            let reason = match state {
                State::Wire => "nothing of the kind was seen",
                State::Metered if self.metered => "nothing of the kind in the known traffic",
                state => state.reason(),
            };
            if count > 0 {
                counts.push((reason, count));
            }
        }
        counts
    }

    /// One line on the messages.
    fn subject(&self) -> String {
        let Tally {
            messages,
            octets,
            versions,
            exporters,
            ..
        } = self.tally;
        let names = ["NetFlow v5", "NetFlow v9", "IPFIX", "other"];
        let kinds: Vec<String> = names
            .iter()
            .zip(versions)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        format!(
            "{messages} messages ({}), {octets} octets, {exporters} exporter{}, {} to {}",
            kinds.join(", "),
            if exporters == 1 { "" } else { "s" },
            time(self.tally.first_ms),
            time(self.tally.last_ms)
        )
    }

    /// One line on the verdicts.
    fn summary(&self) -> String {
        let counts: Vec<String> = Verdict::ALL
            .iter()
            .rev()
            .map(|verdict| format!("{} {verdict}", self.count(*verdict)))
            .collect();
        counts.join(", ")
    }
}

/// Milliseconds since 1970 as UTC.
fn time(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{ms} ms"), |time| time.to_string())
}

/// Where the message of a finding came from, and where in it the fault is.
fn place(first: &Evidence) -> String {
    if first.transport == Transport::File {
        return format!(
            "message {} of {}, octet {}",
            first.number,
            time(first.at_ms),
            first.finding.offset
        );
    }
    format!(
        "message {} at {}, {} to {} over {}, octet {}",
        first.number,
        time(first.at_ms),
        first.from,
        first.to,
        transport(first.transport),
        first.finding.offset
    )
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::File => "file",
    }
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a String does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
