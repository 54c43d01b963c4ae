//! A message with its header read.

use std::net::SocketAddr;

use protocol::reader::{Reader, Truncated};

use super::Transport;
use super::sequence::Step;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub bytes: &'a [u8],
    pub at_ms: u64,
    pub from: SocketAddr,
    pub transport: Transport,
    /// Counts the messages of the judge: tells one from another.
    pub number_in_judge: u64,
    pub step: Step,
    /// 5, 9 or 10.
    pub version: u16,
    /// The second word of the header: count (v5, v9) or length (IPFIX).
    pub second: u16,
    /// `None` in IPFIX.
    pub uptime_ms: Option<u32>,
    pub seconds: u32,
    pub sequence: u32,
    pub domain: u32,
}

impl<'a> Message<'a> {
    /// Reads the header of a message of a known version; also gives what follows it.
    pub(super) fn read(
        version: u16,
        bytes: &'a [u8],
        at_ms: u64,
        (from, transport): (SocketAddr, Transport),
        number_in_judge: u64,
    ) -> Result<(Self, Reader<'a>), Truncated> {
        let mut reader = Reader::new(bytes);
        let _version = reader.u16()?;
        let second = reader.u16()?;
        let uptime_ms = if version == 10 {
            None
        } else {
            Some(reader.u32()?)
        };
        let seconds = reader.u32()?;
        if version == 5 {
            let _nanoseconds = reader.u32()?;
        }
        let sequence = reader.u32()?;
        let domain = if version == 5 {
            let engine = reader.u16()?;
            let _sampling = reader.u16()?;
            u32::from(engine)
        } else {
            reader.u32()?
        };
        let message = Self {
            bytes,
            at_ms,
            from,
            transport,
            number_in_judge,
            step: Step::First,
            version,
            second,
            uptime_ms,
            seconds,
            sequence,
            domain,
        };
        Ok((message, reader))
    }

    /// Where the export time stands.
    pub(super) fn seconds_at(&self) -> usize {
        if self.version == 10 { 4 } else { 8 }
    }

    /// Where the sequence number stands.
    pub(super) fn sequence_at(&self) -> usize {
        if self.version == 10 { 8 } else { 12 }
    }

    /// The export time in milliseconds since 1970.
    pub(super) fn export_ms(&self) -> i64 {
        i64::from(self.seconds) * 1000
    }
}
