//! Where flow messages go: the ports that the user names, or what looks like it.

use std::net::SocketAddr;

use hashbrown::HashSet;
use protocol::reader::Reader;

/// Ports that exporters are usually pointed at.
const USUAL: [u16; 6] = [2055, 2056, 4739, 9555, 9995, 9996];

/// As many collectors are followed when ports are guessed.
const MOST_COLLECTORS: usize = 64;

#[derive(Debug)]
pub(super) struct FlowPorts {
    given: Vec<u16>,
    guessed: HashSet<SocketAddr, foldhash::fast::RandomState>,
    /// Messages to collectors beyond those that are followed.
    passed_over: u64,
}

impl FlowPorts {
    pub(super) fn new(given: Vec<u16>) -> Self {
        Self {
            given,
            guessed: HashSet::default(),
            passed_over: 0,
        }
    }

    /// The ports that the user named.
    pub(super) fn given(&self) -> &[u16] {
        &self.given
    }

    /// Messages to collectors beyond those that are followed.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Whether what goes `to` there is flow messages. With guessed ports one plausible message opens the address
    /// for all that come after it, whatever they look like.
    pub(super) fn takes(&mut self, to: SocketAddr, bytes: &[u8]) -> bool {
        if !self.given.is_empty() {
            return self.given.contains(&to.port());
        }
        if self.guessed.contains(&to) {
            return true;
        }
        let found = plausible(bytes) || USUAL.contains(&to.port()) && has_version(bytes);
        if found && self.guessed.len() < MOST_COLLECTORS {
            self.guessed.insert(to);
            return true;
        }
        self.passed_over += u64::from(found);
        false
    }
}

/// Version 1 is left out: its number may be many things, a v9 FlowSet of options templates among them.
fn has_version(bytes: &[u8]) -> bool {
    matches!(Reader::new(bytes).u16(), Ok(5 | 7 | 9 | 10))
}

/// Whether this is a flow message beyond reasonable doubt: the lengths fit to the last octet.
pub(super) fn plausible(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    match reader.u16() {
        Ok(version @ (1 | 5 | 7)) => reader.u16().is_ok_and(|count| {
            (1..=30).contains(&count) && bytes.len() == fixed_length(version, count)
        }),
        Ok(9) => reader.take(18).is_ok() && !reader.rest().is_empty() && sets_fit(reader, 0),
        Ok(10) => {
            let length = reader.u16().map(usize::from);
            length == Ok(bytes.len()) && reader.take(12).is_ok() && sets_fit(reader, 2)
        }
        _ => false,
    }
}

/// Octets of the message at the beginning as its own lengths say: there may be fewer, and something else behind it.
/// NetFlow v9 has no length: its message ends where no FlowSet goes on.
pub(super) fn message_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    match (reader.u16().ok()?, reader.u16().ok()?) {
        (version @ (1 | 5 | 7), count) => Some(fixed_length(version, count)),
        (9, _) => {
            reader.take(16).ok()?;
            while reader.left() > 0 && !has_version(reader.rest()) {
                reader.u16().ok()?;
                let body = usize::from(reader.u16().ok()?).checked_sub(4)?;
                reader.take(body).ok()?;
            }
            Some(reader.offset())
        }
        (10, length) if length >= 16 => Some(usize::from(length)),
        _ => None,
    }
}

/// Octets of a message of version 1, 5 or 7.
fn fixed_length(version: u16, count: u16) -> usize {
    let (header, record) = match version {
        1 => (16, 52),
        5 => (24, 48),
        _ => (24, 52),
    };
    header + record * usize::from(count)
}

/// Whether sets fill the rest: templates have the IDs `template` and the next, data 256 and above.
fn sets_fit(mut reader: Reader<'_>, template: u16) -> bool {
    while reader.left() >= 4 {
        let (Ok(id), Ok(length)) = (reader.u16(), reader.u16()) else {
            return false;
        };
        let known = id >= 256 || id == template || id == template + 1;
        let body = usize::from(length).checked_sub(4);
        if !known || body.is_none_or(|body| reader.take(body).is_err()) {
            return false;
        }
    }
    reader.left() == 0
}

/// Whether a stream may begin like this: the version, and a first set that can be one.
pub(super) fn plausible_start(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let (template, header) = match reader.u16() {
        Ok(9) => (0, 18),
        Ok(10) if reader.u16().is_ok_and(|length| length >= 16) => (2, 12),
        _ => return false,
    };
    if reader.take(header).is_err() {
        return false;
    }
    match (reader.u16(), reader.u16()) {
        (Ok(id), Ok(length)) => (id >= 256 || id == template || id == template + 1) && length >= 4,
        // A message without sets.
        _ => template == 2,
    }
}
