//! Export to several collectors: IPFIX numbers each session by itself (RFC 7011 sections 3.1 and 10.3.5). One
//! collector sees nothing but loss when an exporter does not; who sees all sessions sees where the numbers went.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Exporters, and collectors of one, that are told apart.
const EXPORTERS: usize = 4096;
const COLLECTORS: usize = 16;
/// So many messages in a row that go on where another session stopped are no coincidence.
const CERTAIN: u32 = 8;

/// The number of an IPFIX message, and the one that is due behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbered {
    /// Observation domain.
    pub domain: u32,
    /// Sequence number of the message.
    pub number: u32,
    /// The number, and the data records of the message.
    pub next: u32,
}

/// What a message says of the numbering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It goes on where its own session stopped, and there are several.
    Own,
    /// It goes on where another session stopped, as those before it.
    Shared,
    /// Nothing.
    Open,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    exporters: HashMap<(IpAddr, u32), Sessions, RandomState>,
}

#[derive(Debug, Default)]
struct Sessions {
    /// The number that is due, by collector.
    due: Vec<(SocketAddr, u32)>,
    /// Where the last message went, and the number behind it.
    last: Option<(SocketAddr, u32)>,
    /// Messages in a row that went on where another session stopped.
    crossed: u32,
}

impl Numbering {
    /// Takes the next message of `from` to `to`.
    pub(crate) fn take(&mut self, from: IpAddr, to: SocketAddr, message: Numbered) -> Step {
        let key = (from, message.domain);
        if self.exporters.len() >= EXPORTERS && !self.exporters.contains_key(&key) {
            return Step::Open;
        }
        self.exporters.entry(key).or_default().take(to, message)
    }
}

impl Sessions {
    fn take(&mut self, to: SocketAddr, message: Numbered) -> Step {
        let others = self.last.filter(|(collector, _)| *collector != to);
        let crosses = others.is_some_and(|(_, next)| next == message.number);
        self.last = Some((to, message.next));
        let several = self.due.len() > 1;
        let Some((_, due)) = self.due.iter_mut().find(|(collector, _)| *collector == to) else {
            if self.due.len() < COLLECTORS {
                self.due.push((to, message.next));
            }
            return Step::Open;
        };
        let own = std::mem::replace(due, message.next) == message.number;
        self.crossed = if crosses && !own { self.crossed + 1 } else { 0 };
        match (own, self.crossed) {
            (true, _) if several => Step::Own,
            (false, CERTAIN..) => Step::Shared,
            _ => Step::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The steps of an exporter that sends messages of 1, 2, 3, 1 … records to each of two collectors in turn.
    fn steps(number: impl Fn(usize, usize) -> u32, messages: usize) -> Vec<Step> {
        let mut numbering = Numbering::default();
        let collectors: [SocketAddr; 2] = [4739, 4740].map(|port| ([192, 0, 2, 9], port).into());
        let mut steps = Vec::new();
        for index in 0..messages {
            for (which, to) in collectors.iter().enumerate() {
                let message = Numbered {
                    domain: 7,
                    number: number(index, which),
                    next: number(index, which) + records(index),
                };
                steps.push(numbering.take([192, 0, 2, 1].into(), *to, message));
            }
        }
        steps
    }

    fn records(index: usize) -> u32 {
        u32::try_from(index % 3).unwrap() + 1
    }

    fn before(index: usize) -> u32 {
        (0..index).map(records).sum()
    }

    #[test]
    fn sessions_of_their_own() {
        let steps = steps(|index, _| before(index), 20);
        // The first of each opens its session.
        assert_eq!(steps[..2], [Step::Open; 2]);
        assert!(steps[2..].iter().all(|step| *step == Step::Own));
    }

    #[test]
    fn one_numbering_for_two_sessions() {
        let shared = |index, which| 2 * before(index) + u32::from(which == 1) * records(index);
        let steps = steps(shared, 20);
        let first = steps.iter().position(|step| *step == Step::Shared);
        assert_eq!(first, Some(2 + 7));
        assert!(steps[9..].iter().all(|step| *step == Step::Shared));
    }

    /// Loss on the way to one collector is no numbering.
    #[test]
    fn loss_is_none() {
        let steps = steps(
            |index, which| before(index) + 1000 * u32::from(which == 1),
            20,
        );
        assert!(!steps.contains(&Step::Shared));
    }
}
