//! Messages that others cannot be read without: those that brought the templates in use, and the one before, whose
//! number tells what is due. A bounded amount of them.

use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use protocol::reader::Reader;
use tap::{Message, Transport};

use crate::wire::layout::{TemplateRecord, template_record};

/// Octets that are kept in all; what does not fit any more is not kept.
const MOST_OCTETS: usize = 16 << 20;

/// Data sets of one message whose templates are looked up.
const MOST_SETS: usize = 64;

/// A message that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its number in the observation, from 1.
    pub number: u64,
    /// When it was captured or received, milliseconds since 1970.
    pub at_ms: u64,
    /// The message.
    pub bytes: Vec<u8>,
}

/// One numbering: a domain of one exporter at one collector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Session {
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    version: u16,
    domain: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    templates: HashMap<(Session, u16), Arc<Kept>, RandomState>,
    last: HashMap<Session, Arc<Kept>, RandomState>,
    octets: usize,
}

impl Keeper {
    /// What is needed to read this message, oldest first.
    pub(crate) fn needed(&self, message: &Message<'_>) -> Vec<Arc<Kept>> {
        let Some((session, mut sets)) = open(message) else {
            return Vec::new();
        };
        let mut needed: Vec<Arc<Kept>> = self.last.get(&session).cloned().into_iter().collect();
        let mut left = MOST_SETS;
        while let Some((id, _)) = next_set(&mut sets).filter(|_| left > 0) {
            left -= 1;
            needed.extend(self.templates.get(&(session, id)).cloned());
        }
        needed.sort_by_key(|kept| kept.number);
        needed.dedup_by_key(|kept| kept.number);
        needed
    }

    /// Keeps what later messages may need of this one.
    pub(crate) fn take(&mut self, number: u64, message: &Message<'_>) {
        let Some((session, mut sets)) = open(message) else {
            return;
        };
        let mut ids = Vec::new();
        while let Some((id, set)) = next_set(&mut sets) {
            let options = match (session.version, id) {
                (9, 0) | (10, 2) => false,
                (9, 1) | (10, 3) => true,
                _ => continue,
            };
            template_ids(session.version, options, set, &mut ids);
        }
        self.keep_last(session, number, message);
        if let Some(kept) = self.last.get(&session).filter(|_| !ids.is_empty()).cloned() {
            for id in ids {
                let before = self.templates.insert((session, id), Arc::clone(&kept));
                self.forget(before);
            }
        }
    }

    fn keep_last(&mut self, session: Session, number: u64, message: &Message<'_>) {
        let fill = |kept: &mut Kept| {
            kept.number = number;
            kept.at_ms = message.at_ms;
            kept.bytes.clear();
            kept.bytes.extend_from_slice(message.bytes);
        };
        if let Some(last) = self.last.get_mut(&session)
            && let Some(kept) = Arc::get_mut(last)
        {
            // Usual case: nobody else holds it, and its memory is used again.
            self.octets -= kept.bytes.len();
            fill(kept);
            self.octets += kept.bytes.len();
            return;
        }
        let before = self.last.remove(&session);
        self.forget(before);
        if self.octets + message.bytes.len() > MOST_OCTETS {
            return;
        }
        self.octets += message.bytes.len();
        let mut kept = Kept {
            number: 0,
            at_ms: 0,
            bytes: Vec::with_capacity(message.bytes.len()),
        };
        fill(&mut kept);
        self.last.insert(session, Arc::new(kept));
    }

    fn forget(&mut self, kept: Option<Arc<Kept>>) {
        if let Some(kept) = kept.and_then(Arc::into_inner) {
            self.octets -= kept.bytes.len();
        }
    }
}

/// The session of a message with sets, and its sets.
fn open<'a>(message: &Message<'a>) -> Option<(Session, Reader<'a>)> {
    let mut reader = Reader::new(message.bytes);
    let version = reader.u16().ok()?;
    match version {
        9 => reader.take(14).ok()?,
        10 => reader.take(10).ok()?,
        _ => return None,
    };
    let session = Session {
        from: message.from,
        to: message.to,
        transport: message.transport,
        version,
        domain: reader.u32().ok()?,
    };
    Some((session, reader))
}

/// The next set: its ID, and what is in it.
pub(crate) fn next_set<'a>(sets: &mut Reader<'a>) -> Option<(u16, Reader<'a>)> {
    let id = sets.u16().ok()?;
    let length = usize::from(sets.u16().ok()?).checked_sub(4)?;
    Some((id, sets.sub(length).ok()?))
}

fn template_ids(version: u16, options: bool, mut set: Reader<'_>, ids: &mut Vec<u16>) {
    while set.left() > 0 {
        match template_record(version, options, &mut set) {
            TemplateRecord::Layout(layout) => ids.push(layout.id),
            TemplateRecord::Empty { .. } => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use tap::Checksum;

    use super::*;

    fn message(bytes: &[u8]) -> Message<'_> {
        Message {
            at_ms: 5,
            from: (Ipv4Addr::LOCALHOST, 1).into(),
            to: (Ipv4Addr::LOCALHOST, 2).into(),
            transport: Transport::Udp,
            bytes,
            fragments: 1,
            checksum: Checksum::Unseen,
        }
    }

    /// IPFIX of domain 7 with these octets as sets.
    fn ipfix(sets: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 10, 0, 16 + sets.len() as u8];
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 0, 7]);
        bytes.extend(sets);
        bytes
    }

    fn numbers(needed: &[Arc<Kept>]) -> Vec<u64> {
        needed.iter().map(|kept| kept.number).collect()
    }

    #[test]
    fn templates_in_use_and_the_message_before_are_kept() {
        let mut keeper = Keeper::default();
        let templates = ipfix(&[0, 2, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]);
        let data = ipfix(&[1, 0, 0, 8, 192, 0, 2, 1]);
        let other = ipfix(&[1, 1, 0, 8, 192, 0, 2, 1]);
        assert!(keeper.needed(&message(&data)).is_empty());
        for (number, bytes) in [(1, &templates), (2, &data), (3, &data)] {
            keeper.take(number, &message(bytes));
        }
        assert_eq!(numbers(&keeper.needed(&message(&data))), [1, 3]);
        assert_eq!(numbers(&keeper.needed(&message(&other))), [3]);
        assert_eq!(keeper.needed(&message(&data))[0].bytes, templates);
        keeper.take(4, &message(&templates));
        assert_eq!(numbers(&keeper.needed(&message(&data))), [4]);
        assert_eq!(keeper.octets, templates.len());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut keeper = Keeper::default();
        for domain in 0..2000_u32 {
            let mut bytes = vec![0, 10, 0xff, 0xff];
            bytes.resize(12, 0);
            bytes.extend(domain.to_be_bytes());
            bytes.resize(65_535, 0);
            keeper.take(1, &message(&bytes));
        }
        assert!(keeper.octets <= MOST_OCTETS);
        assert!(keeper.last.len() < 300);
    }
}
