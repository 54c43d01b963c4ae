//! Disturbances of an exporter: its collector is away for a while, starts again, resets connections or does not read.
//! What the exporter makes of that is judged by what comes afterwards.

use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::metering::judge::Judged;
use crate::verdict::Verdict;
use crate::wire::Transport;

/// An exporter connects again after a minute at the earliest, if nothing else is configured (RFC 7011 section 10.4.4):
/// so long, and some seconds, it is waited for.
const RECONNECT: Duration = Duration::from_secs(65);

/// How long datagrams, and what a stream held back, may take to come again.
const AGAIN: Duration = Duration::from_secs(10);

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nobody listens for so long; connections are closed.
    Away(Duration),
    /// All sockets are closed, without a word, and opened again.
    Restart,
    /// All connections are reset.
    Reset,
    /// Nothing is read for so long.
    Slow(Duration),
}

impl Kind {
    fn rule(self) -> &'static str {
        match self {
            Kind::Away(_) => "X-18",
            Kind::Restart => "X-19",
            Kind::Reset => "X-04",
            Kind::Slow(_) => "X-08",
        }
    }

    fn words(self) -> String {
        match self {
            Kind::Away(time) => format!("the collector was away for {} s", time.as_secs()),
            Kind::Restart => "the collector started again".to_owned(),
            Kind::Reset => "connections were reset".to_owned(),
            Kind::Slow(time) => format!("the collector read nothing for {} s", time.as_secs()),
        }
    }
}

/// `--disturb KIND@AT[:SECONDS]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disturbance {
    /// What.
    pub kind: Kind,
    /// When, from the first message on.
    pub at: Duration,
}

impl FromStr for Disturbance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || "away@AT:SECONDS, restart@AT, reset@AT or slow@AT:SECONDS wanted".to_owned();
        let (kind, when) = text.split_once('@').ok_or_else(wanted)?;
        let (at, time) = match when.split_once(':') {
            Some((at, time)) => (at, Some(time)),
            None => (when, None),
        };
        let seconds = |text: &str| {
            text.parse::<u32>()
                .map(|seconds| Duration::from_secs(seconds.into()))
                .map_err(|_| format!("{text:?} is no number of seconds"))
        };
        let time = time.map(seconds).transpose()?;
        let kind = match (kind, time) {
            ("away", Some(time)) => Kind::Away(time),
            ("slow", Some(time)) => Kind::Slow(time),
            ("restart", None) => Kind::Restart,
            ("reset", None) => Kind::Reset,
            _ => return Err(wanted()),
        };
        Ok(Self {
            kind,
            at: seconds(at)?,
        })
    }
}

/// Whether these disturbances can be done.
///
/// # Errors
/// When datagrams are to be reset or not read.
pub fn check(all: &[Disturbance], transport: Transport) -> Result<(), String> {
    let streams = |one: &&Disturbance| matches!(one.kind, Kind::Reset | Kind::Slow(_));
    match all.iter().find(streams) {
        Some(_) if transport == Transport::Udp => {
            Err("reset and slow are for tcp and tls: datagrams are not held back".to_owned())
        }
        _ => Ok(()),
    }
}

/// One that was done.
#[derive(Clone, Copy, Debug)]
struct Done {
    kind: Kind,
    end: Instant,
    /// Messages until then.
    before: u64,
    /// The first one afterwards.
    again: Option<Instant>,
}

/// What is to be done, and what came of it.
#[derive(Debug)]
pub struct Plan {
    left: Vec<Disturbance>,
    done: Vec<Done>,
    messages: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    connections: Vec<Instant>,
}

impl Plan {
    /// All of these, in the order of their times.
    pub fn new(all: &[Disturbance]) -> Self {
        let mut left = all.to_vec();
        left.sort_by_key(|one| std::cmp::Reverse(one.at));
        Self {
            left,
            done: Vec::new(),
            messages: 0,
            first: None,
            last: None,
            connections: Vec::new(),
        }
    }

    /// A message came.
    pub fn message(&mut self, now: Instant) {
        self.messages += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
        if let Some(done) = self.done.last_mut()
            && done.again.is_none()
        {
            done.again = Some(now);
        }
    }

    /// A connection was taken.
    pub fn connected(&mut self, now: Instant) {
        self.connections.push(now);
    }

    /// What is due now.
    pub fn due(&mut self, now: Instant) -> Option<Kind> {
        let first = self.first?;
        let next = self.left.last()?;
        if now.saturating_duration_since(first) < next.at {
            return None;
        }
        self.left.pop().map(|one| one.kind)
    }

    /// It has been done.
    pub fn done(&mut self, kind: Kind, now: Instant) {
        self.done.push(Done {
            kind,
            end: now,
            before: self.messages,
            again: None,
        });
    }

    /// What the exporter made of it, when listening ended at `now`.
    pub fn judge(&self, transport: Transport, now: Instant) -> Vec<Judged> {
        let mut judged: Vec<Judged> = Vec::new();
        for done in &self.done {
            let rule = done.kind.rule();
            let at = match judged.iter().position(|known| known.rule == rule) {
                Some(at) => at,
                None => {
                    judged.push(Judged::new(rule, ""));
                    judged.len() - 1
                }
            };
            if let Some(judged) = judged.get_mut(at) {
                self.one(judged, done, transport, now);
            }
        }
        for one in &self.left {
            let rule = one.kind.rule();
            if judged.iter().all(|known| known.rule != rule) {
                judged.push(Judged::new(rule, "it ended before it was disturbed"));
            }
        }
        judged
    }

    fn one(&self, judged: &mut Judged, done: &Done, transport: Transport, now: Instant) {
        let patience = match (transport, done.kind) {
            (Transport::Udp, _) | (_, Kind::Slow(_)) => AGAIN,
            _ => RECONNECT,
        };
        let words = done.kind.words();
        // Cut short by the next one, or by the end of listening.
        let until = self
            .done
            .iter()
            .map(|other| other.end)
            .find(|end| *end > done.end)
            .unwrap_or(now);
        let waited = until.saturating_duration_since(done.end);
        match done.again {
            Some(_) => judged.check(self.haste(done).map(|note| (Verdict::Deviation, note))),
            None if waited >= patience => judged.check(Some((
                Verdict::DataLoss,
                format!(
                    "{words} after {} messages, and nothing came within {} s afterwards",
                    done.before,
                    waited.as_secs()
                ),
            ))),
            None if judged.checked == 0 => {
                judged.reason = format!(
                    "{words}, and nothing came within {} s afterwards: it may take {} s",
                    waited.as_secs(),
                    patience.as_secs()
                );
            }
            None => {}
        }
    }

    /// Connections that follow a reset in less than a minute from each other.
    fn haste(&self, done: &Done) -> Option<String> {
        if done.kind != Kind::Reset {
            return None;
        }
        let before = self.connections.iter().rev().find(|at| **at < done.end)?;
        let after = self.connections.iter().find(|at| **at >= done.end)?;
        let apart = after.saturating_duration_since(*before);
        (apart < Duration::from_secs(59)).then(|| {
            format!(
                "a connection was reset, and the next one came {} s after the one before it: more often than once a minute, unless configured so",
                apart.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn plan(words: &[&str]) -> Plan {
        let all: Vec<Disturbance> = words.iter().map(|word| word.parse().unwrap()).collect();
        Plan::new(&all)
    }

    /// One disturbance 2 s after the first message; a message again after `again` seconds, the end after `end`.
    fn verdict(
        word: &str,
        transport: Transport,
        again: Option<u32>,
        end: u32,
    ) -> (Verdict, String) {
        let begin = Instant::now();
        let mut plan = plan(&[word]);
        plan.connected(begin);
        assert_eq!(plan.due(begin + 9 * S), None, "nothing came yet");
        plan.message(begin);
        assert_eq!(plan.due(begin + S), None);
        let kind = plan.due(begin + 2 * S).unwrap();
        plan.done(kind, begin + 2 * S);
        assert_eq!(plan.due(begin + 9 * S), None, "once");
        if let Some(again) = again {
            plan.connected(begin + (2 + again) * S);
            plan.message(begin + (2 + again) * S);
        }
        let judged = plan.judge(transport, begin + (2 + end) * S);
        let [one] = &judged[..] else {
            panic!("{judged:?}")
        };
        assert_eq!(one.rule, kind.rule());
        (one.verdict, one.reason.clone() + &one.notes.join(""))
    }

    #[test]
    fn an_exporter_that_goes_on_is_right_and_one_that_does_not_is_not() {
        use Transport::{Tcp, Udp};
        use Verdict::{DataLoss, NotApplicable, Pass};
        for (word, transport, again, end, expected) in [
            ("away@2:5", Udp, Some(1), 20, Pass),
            ("away@2:5", Udp, None, 20, DataLoss),
            ("away@2:5", Udp, None, 3, NotApplicable),
            ("away@2:5", Tcp, Some(64), 70, Pass),
            ("away@2:5", Tcp, None, 70, DataLoss),
            ("away@2:5", Tcp, None, 40, NotApplicable),
            ("restart@2", Tcp, Some(1), 5, Pass),
            ("slow@2:5", Tcp, Some(1), 5, Pass),
            ("slow@2:5", Tcp, None, 11, DataLoss),
            ("reset@2", Tcp, Some(60), 70, Pass),
            ("reset@2", Tcp, Some(1), 70, Verdict::Deviation),
        ] {
            let (found, why) = verdict(word, transport, again, end);
            assert_eq!(found, expected, "{word} {again:?} {end}: {why}");
        }
    }

    #[test]
    fn words_that_are_none() {
        for word in [
            "away@2",
            "slow@2",
            "reset@2:1",
            "away",
            "away@x:1",
            "sleep@1",
            "reset@-1",
        ] {
            assert!(word.parse::<Disturbance>().is_err(), "{word}");
        }
        let slow = ["slow@1:1".parse().unwrap()];
        assert!(check(&slow, Transport::Udp).is_err());
        assert!(check(&slow, Transport::Tls).is_ok());
        let late = plan(&["reset@9", "away@1:1"]).judge(Transport::Tcp, Instant::now());
        assert!(
            late.iter()
                .all(|one| one.reason.contains("before it was disturbed"))
        );
        assert_eq!(late.len(), 2);
    }
}
