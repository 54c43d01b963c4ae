//! DNS messages (RFC 1035) in the payloads of flows: what nfdump shows of them, and what filters look for.

use crate::{field, record::RecordView};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const PORT: u64 = 53;
const TCP: u64 = 6;
const HEADER: usize = 12;
/// Longest name as text.
const MAX_NAME: usize = 255;
/// A name has at most 127 labels; one that points more often points in circles, or wants to take time.
const MAX_JUMPS: usize = 127;

/// Types of records that are shown by name, or read.
#[allow(missing_docs)]
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const LOC: u16 = 29;
    pub const A6: u16 = 38;
    pub const RRSIG: u16 = 46;
}

/// A message of which the header is there.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
}

/// Something in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// What is asked.
    Question {
        /// The name.
        name: String,
        /// Type of record.
        kind: u16,
        /// Class, 1 for the Internet.
        class: u16,
    },
    /// What is told.
    Answer {
        /// The name.
        name: String,
        /// Type of record.
        kind: u16,
        /// Class, 1 for the Internet.
        class: u16,
        /// How long it holds, in seconds.
        ttl: u32,
        /// Length of the data as told.
        length: u16,
        /// The data.
        data: Data<'a>,
    },
    /// A name cannot be read: of a question (or of an answer). Nothing follows.
    Broken {
        /// Whether it is a question.
        question: bool,
    },
}

/// The data of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// An address.
    Address(IpAddr),
    /// A name, of a host or a zone.
    Name(String),
    /// The first text of several.
    Text(&'a [u8]),
    /// Anything else.
    Other,
}

/// Whether a flow is from or to the port of DNS.
#[must_use]
pub fn is_dns(record: &RecordView<'_>) -> bool {
    let port = |location| record.get_or_zero(location) == PORT;
    port(field::SRC_PORT) || port(field::DST_PORT)
}

/// The message in the payload of a flow from or to the port of DNS; none if it is too short for one.
#[must_use]
pub fn of_flow<'a>(record: &RecordView<'_>, payload: &'a [u8]) -> Option<Message<'a>> {
    if !is_dns(record) {
        return None;
    }
    let is_tcp = record.get_or_zero(field::PROTO) == TCP;
    Message::parse(payload, is_tcp)
}

/// A query for the records of this type of a host (class IN), recursion desired; none if the name is none (RFC 1035,
/// 2.3.4): a label of more than 63 octets, or of none, or more than 255 octets.
#[must_use]
pub fn query(id: u16, host: &str, kind: u16) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for label in host.strip_suffix('.').unwrap_or(host).split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|n| (1..64).contains(n))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    if bytes.len() > HEADER + MAX_NAME {
        return None;
    }
    for word in [kind, 1] {
        bytes.extend(word.to_be_bytes());
    }
    Some(bytes)
}

impl<'a> Message<'a> {
    /// Whether it answers the query with this id.
    #[must_use]
    pub fn answers(&self, id: u16) -> bool {
        self.u16(0) == Some(id) && self.flags() & 0x8000 != 0
    }

    /// Whether it was cut to fit a datagram.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.flags() & 0x0200 != 0
    }

    fn flags(&self) -> u16 {
        self.u16(2).unwrap_or(0)
    }

    /// Takes a payload, over TCP with the length before it; none if it is too short for a message.
    #[must_use]
    pub fn parse(payload: &'a [u8], is_tcp: bool) -> Option<Self> {
        let bytes = payload.get(if is_tcp { 2 } else { 0 }..)?;
        (bytes.len() >= HEADER).then_some(Self { bytes })
    }

    /// Questions, then answers, up to where the message ends or cannot be read.
    #[must_use]
    pub fn items(&self) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        let mut at = HEADER;
        let count = |offset| self.u16(offset).unwrap_or(0);
        for _ in 0..count(4) {
            if at >= self.bytes.len() || !self.question(&mut at, &mut items) {
                return items;
            }
        }
        for _ in 0..count(6) {
            if at >= self.bytes.len() || !self.answer(&mut at, &mut items) {
                return items;
            }
        }
        items
    }

    /// Names that are asked for or told.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for item in self.items() {
            match item {
                Item::Question { name, .. } => names.push(name),
                Item::Answer { name, data, .. } => {
                    names.push(name);
                    if let Data::Name(name) = data {
                        names.push(name);
                    }
                }
                Item::Broken { .. } => {}
            }
        }
        names
    }

    /// Addresses that are told.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let address = |item| match item {
            Item::Answer {
                data: Data::Address(address),
                ..
            } => Some(address),
            _ => None,
        };
        self.items().into_iter().filter_map(address).collect()
    }

    /// Takes a question; false if nothing can follow.
    fn question(&self, at: &mut usize, items: &mut Vec<Item<'a>>) -> bool {
        let Some((name, behind)) = self.name(*at) else {
            items.push(Item::Broken { question: true });
            return false;
        };
        let (Some(kind), Some(class)) = (self.u16(behind), self.u16(behind + 2)) else {
            return false;
        };
        *at = behind + 4;
        items.push(Item::Question { name, kind, class });
        true
    }

    /// Takes an answer; false if nothing can follow.
    fn answer(&self, at: &mut usize, items: &mut Vec<Item<'a>>) -> bool {
        let Some((name, behind)) = self.name(*at) else {
            items.push(Item::Broken { question: false });
            return false;
        };
        let (Some(kind), Some(class), Some(ttl), Some(length)) = (
            self.u16(behind),
            self.u16(behind + 2),
            self.bytes.get(behind + 4..).and_then(|b| b.first_chunk()),
            self.u16(behind + 8),
        ) else {
            return false;
        };
        let start = behind + 10;
        *at = start + usize::from(length);
        let data = self.data(kind, start, usize::from(length));
        items.push(Item::Answer {
            name,
            kind,
            class,
            ttl: u32::from_be_bytes(*ttl),
            length,
            data,
        });
        true
    }

    /// The data of an answer.
    fn data(&self, kind: u16, start: usize, length: usize) -> Data<'a> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        match kind {
            kind::A => rest
                .first_chunk::<4>()
                .map_or(Data::Other, |a| Data::Address(Ipv4Addr::from(*a).into())),
            kind::AAAA | kind::A6 => rest
                .first_chunk::<16>()
                .map_or(Data::Other, |a| Data::Address(Ipv6Addr::from(*a).into())),
            kind::CNAME | kind::NS | kind::SOA => self
                .name(start)
                .map_or(Data::Other, |(name, _)| Data::Name(name)),
            kind::TXT => {
                let size = rest.first().map_or(0, |size| usize::from(*size));
                rest.get(1..=size)
                    .filter(|_| size < length)
                    .map_or(Data::Other, Data::Text)
            }
            _ => Data::Other,
        }
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        self.bytes
            .get(offset..)?
            .first_chunk()
            .map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The name at an offset, and the offset behind it; none if it is cut, too long, or points in circles.
    fn name(&self, start: usize) -> Option<(String, usize)> {
        let mut name = String::new();
        let mut at = start;
        let mut behind = None;
        let mut jumps = 0;
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = self.bytes.get(at + 1..at + 1 + length)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    push_label(&mut name, label);
                    if name.len() > MAX_NAME {
                        return None;
                    }
                    at += 1 + length;
                }
                3 => {
                    behind.get_or_insert(at + 2);
                    at = usize::from(self.u16(at)? & 0x3fff);
                    jumps += 1;
                    if jumps > MAX_JUMPS {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        if name.is_empty() {
            name.push('.');
        }
        Some((name, behind.unwrap_or(at + 1)))
    }
}

/// A label as resolvers write it: signs with a meaning behind a backslash, other bytes as three digits (RFC 1035, 5.1).
fn push_label(name: &mut String, label: &[u8]) {
    for &byte in label {
        match byte {
            b'"' | b'.' | b';' | b'\\' | b'(' | b')' | b'@' | b'$' => {
                name.push('\\');
                name.push(char::from(byte));
            }
            b'!'..=b'~' => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\{byte:03}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A response to a query for www.example.com (RFC 1035, 4.1): an alias, and its address.
    fn response() -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
        bytes.extend(b"\x03www\x07example\x03com\x00\x00\x01\x00\x01");
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x00\x00\x04\x01a\xc0\x10");
        bytes.extend(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01");
        bytes
    }

    #[test]
    fn questions_and_answers() {
        let bytes = response();
        let message = Message::parse(&bytes, false).unwrap();
        let names = [
            "www.example.com",
            "www.example.com",
            "a.example.com",
            "a.example.com",
        ];
        assert_eq!(message.names(), names);
        assert_eq!(
            message.addresses(),
            ["192.0.2.1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(message.items().len(), 3);
        let mut over_tcp = vec![0, bytes.len() as u8];
        over_tcp.extend(&bytes);
        assert_eq!(
            Message::parse(&over_tcp, true).unwrap().items(),
            message.items()
        );
    }

    #[test]
    fn queries() {
        let bytes = query(7, "www.example.com.", kind::A).unwrap();
        let expected = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
        assert_eq!(bytes, expected);
        assert!(!Message::parse(&bytes, false).unwrap().answers(7));
        assert!(Message::parse(&response(), false).unwrap().answers(7));
        let label = "x".repeat(64);
        let long = "x.".repeat(128);
        for none in ["", ".", "a..b", &label, &long] {
            assert_eq!(query(7, none, kind::A), None, "{none}");
        }
    }

    #[test]
    fn damage() {
        let bytes = response();
        assert!(Message::parse(&bytes[..11], false).is_none());
        for length in 12..bytes.len() {
            let message = Message::parse(&bytes[..length], false).unwrap();
            assert!(message.items().len() <= 3);
        }
        // A name that points at itself.
        let mut circle = vec![0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12];
        let broken = [Item::Broken { question: true }];
        assert_eq!(Message::parse(&circle, false).unwrap().items(), broken);
        circle[12] = 0x80;
        assert_eq!(Message::parse(&circle, false).unwrap().items(), broken);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            if let Some(message) = Message::parse(&bytes, false) {
                let _ = message.items();
            }
        }
    }
}
