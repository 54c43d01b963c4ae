//! A message as it leaves the encoder, and what a sender may still change in its header.

use super::ExportVersion;
use crate::writer::patch;

/// A message that is complete.
#[derive(Debug)]
pub struct Message<'a> {
    /// NetFlow v9 or IPFIX.
    pub version: ExportVersion,
    /// Header and sets.
    pub octets: &'a mut [u8],
    /// Flow records in it.
    pub flows: u32,
    /// Options records in it.
    pub options: u32,
}

impl Message<'_> {
    /// By how much it moves the sequence number on: one message in v9, its data records in IPFIX.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.version.step(self.flows + self.options)
    }

    /// Time and sequence number in its header.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::of(self.version, self.octets)
    }
}

/// What in a header depends on when, and behind what, a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// v9: uptime and seconds; IPFIX: the export time.
    time: [u8; 8],
    /// The sequence number.
    pub sequence: u32,
}

impl Stamp {
    /// Reads a header.
    #[must_use]
    pub fn of(version: ExportVersion, message: &[u8]) -> Self {
        let (at, length, sequence) = version.places();
        let mut stamp = Stamp::default();
        if let Some(octets) = message.get(at..at + length) {
            patch(&mut stamp.time, 0, octets);
        }
        if let Some(octets) = message.get(sequence..).and_then(<[u8]>::first_chunk) {
            stamp.sequence = u32::from_be_bytes(*octets);
        }
        stamp
    }

    /// Writes it into a header.
    pub fn write(&self, version: ExportVersion, message: &mut [u8]) {
        let (at, length, sequence) = version.places();
        patch(message, at, self.time.get(..length).unwrap_or_default());
        patch(message, sequence, &self.sequence.to_be_bytes());
    }
}

impl ExportVersion {
    /// By how much a message of so many data records moves the sequence number on.
    #[must_use]
    pub fn step(self, data_records: u32) -> u32 {
        match self {
            ExportVersion::V9 => 1,
            ExportVersion::Ipfix => data_records,
        }
    }

    /// Where times begin in a header, their octets, and where the sequence number is.
    fn places(self) -> (usize, usize, usize) {
        match self {
            ExportVersion::V9 => (4, 8, 12),
            ExportVersion::Ipfix => (4, 4, 8),
        }
    }

    /// Version, count of records (v9) or length (IPFIX), and domain of a header.
    pub(super) fn write_head(self, message: &mut [u8], records: u32, domain: u32) {
        let domain = domain.to_be_bytes();
        match self {
            ExportVersion::V9 => {
                let count = u16::try_from(records).unwrap_or(u16::MAX);
                patch(message, 0, &9_u16.to_be_bytes());
                patch(message, 2, &count.to_be_bytes());
                patch(message, 16, &domain);
            }
            ExportVersion::Ipfix => {
                let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
                patch(message, 0, &10_u16.to_be_bytes());
                patch(message, 2, &length.to_be_bytes());
                patch(message, 12, &domain);
            }
        }
    }
}
