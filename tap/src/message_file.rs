//! Files of bare messages, one behind the other: IPFIX files (RFC 5655), and the payloads of datagrams as vendors
//! and tests keep them. Reads through one buffer, however long the file is.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::flow_ports::{message_length, plausible};
use super::{Checksum, Message, Receiver, Transport};

/// The largest message.
const LARGEST: usize = 65_535;

/// What is looked at to tell where a message ends: the longest one, and a header behind it.
const WINDOW: usize = 2 * LARGEST;

const CHUNK: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct MessageFile {
    name: String,
    file: File,
    size: u64,
    buffer: Vec<u8>,
    /// Where the next message begins in `buffer`.
    start: usize,
    /// Octets that have been handed on.
    offset: u64,
    ended: bool,
    /// The time of the last message that told one, milliseconds since 1970.
    at_ms: u64,
}

impl MessageFile {
    /// Opens a regular file that begins with the version of a message; `None` for any other.
    pub fn open(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut head = [0; 2];
        file.read_exact(&mut head).ok()?;
        matches!(head, [0, 1 | 5 | 7 | 9 | 10]).then(|| Self {
            name: path.display().to_string(),
            file,
            size: metadata.len(),
            buffer: head.to_vec(),
            start: 0,
            offset: 0,
            ended: false,
            at_ms: 0,
        })
    }

    /// The file as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Octets in the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets of the file that are done with.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands on the next message, with its export time for a time of capture; `false` at the end. Where a message
    /// does not end where it says, all up to the next one that can be made out is handed on as one, for the judge
    /// to name the fault.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub fn next_message(&mut self, receiver: &mut impl Receiver) -> std::io::Result<bool> {
        self.fill()?;
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let length = cut(rest);
        let bytes = rest.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(false);
        }
        self.at_ms = export_ms(bytes).unwrap_or(self.at_ms);
        let nobody: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
        receiver.message(&Message {
            at_ms: self.at_ms,
            from: nobody,
            to: nobody,
            transport: Transport::File,
            bytes,
            fragments: 0,
            checksum: Checksum::Unseen,
        });
        self.start += length;
        self.offset += length as u64;
        Ok(true)
    }

    fn fill(&mut self) -> std::io::Result<()> {
        if self.ended || self.buffer.len() - self.start >= WINDOW {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let want = (CHUNK - self.buffer.len().min(CHUNK)) as u64;
        let got = (&mut self.file).take(want).read_to_end(&mut self.buffer)?;
        self.ended = (got as u64) < want;
        Ok(())
    }
}

/// Octets of the message at the beginning.
fn cut(rest: &[u8]) -> usize {
    let claimed = message_length(rest)
        .filter(|length| ends_at(rest, *length) || rest.get(..*length).is_some_and(plausible));
    let most = rest.len().min(LARGEST);
    claimed.unwrap_or_else(|| {
        let version = rest.get(..2).filter(|version| is_version(version));
        (1..most)
            .find(|at| {
                let next = rest.get(*at..).unwrap_or_default();
                version.is_none_or(|version| next.starts_with(version)) && is_message(next)
            })
            .unwrap_or(most)
    })
}

fn is_version(octets: &[u8]) -> bool {
    matches!(octets, [0, 5 | 7 | 9 | 10, ..])
}

/// Whether the octets end there, or a header follows.
fn ends_at(octets: &[u8], length: usize) -> bool {
    let behind = octets.get(length..);
    behind.is_some_and(|behind| behind.is_empty() || is_version(behind))
}

/// Whether a message begins here beyond reasonable doubt.
fn is_message(octets: &[u8]) -> bool {
    message_length(octets).is_some_and(|length| {
        ends_at(octets, length) && octets.get(..length).is_some_and(plausible)
    })
}

fn export_ms(bytes: &[u8]) -> Option<u64> {
    let at = match bytes {
        [0, 10, ..] => 4,
        [0, 1 | 5 | 7 | 9, ..] => 8,
        _ => return None,
    };
    let seconds = bytes.get(at..)?.first_chunk().copied()?;
    Some(u64::from(u32::from_be_bytes(seconds)) * 1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Lengths(Vec<usize>);

    impl Receiver for Lengths {
        fn message(&mut self, message: &Message<'_>) {
            assert_eq!(message.transport, Transport::File);
            self.0.push(message.bytes.len());
        }

        fn closed(&mut self, _: SocketAddr, _: SocketAddr) {}
    }

    fn lengths(octets: &[u8]) -> Vec<usize> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), octets).unwrap();
        let mut file = MessageFile::open(file.path()).unwrap();
        let mut seen = Lengths::default();
        while file.next_message(&mut seen).unwrap() {}
        assert_eq!(file.offset(), octets.len() as u64);
        seen.0
    }

    /// A header, and a data set of `length` octets.
    fn ipfix(length: u8) -> Vec<u8> {
        let mut message = vec![0, 10, 0, 16 + length];
        message.resize(16, 1);
        message.extend([1, 0, 0, length]);
        message.resize(16 + usize::from(length), 1);
        message
    }

    fn v9(length: u8) -> Vec<u8> {
        let mut message = vec![0, 9, 0, 1];
        message.resize(20, 1);
        message.extend([1, 0, 0, length]);
        message.resize(20 + usize::from(length), 1);
        message
    }

    fn v5(records: u8) -> Vec<u8> {
        let mut message = vec![0, 5, 0, records];
        message.resize(24 + 48 * usize::from(records), 1);
        message
    }

    #[test]
    fn messages_of_all_versions_end_where_they_say() {
        let octets = [ipfix(20), v9(8), v9(12), v5(2), ipfix(4)].concat();
        assert_eq!(lengths(&octets), [36, 28, 32, 120, 20]);
        assert!(MessageFile::open(Path::new("/dev/null")).is_none());
    }

    #[test]
    fn a_damaged_message_ends_where_the_next_one_begins() {
        let mut damaged = ipfix(20);
        damaged[3] = 40;
        let octets = [ipfix(8), damaged, ipfix(12)].concat();
        assert_eq!(lengths(&octets), [24, 36, 28]);
        let mut damaged = v9(20);
        damaged[23] = 3;
        assert_eq!(lengths(&[damaged, v9(8)].concat()), [40, 28]);
        // Nothing can be made out behind it.
        let octets = [ipfix(8), vec![0xee; 70_000]].concat();
        assert_eq!(lengths(&octets), [24, 65_535, 4465]);
    }

    #[test]
    fn a_file_longer_than_the_buffer() {
        let message = ipfix(200);
        let octets = message.repeat(20_000);
        assert!(octets.len() > 2 * CHUNK);
        assert_eq!(lengths(&octets), vec![216; 20_000]);
    }
}
