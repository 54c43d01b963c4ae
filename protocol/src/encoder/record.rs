//! Writes the fields of one record.

/// Writes one record, field by field in the order of the template, in network order.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    octets: &'a mut Vec<u8>,
    base_ms: i64,
    clamped: u64,
}

impl<'a> RecordWriter<'a> {
    pub(super) fn new(octets: &'a mut Vec<u8>, base_ms: i64) -> Self {
        Self {
            octets,
            base_ms,
            clamped: 0,
        }
    }

    /// Times that did not fit.
    pub(super) fn clamped(&self) -> u64 {
        self.clamped
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// Two octets.
    pub fn u16(&mut self, value: u16) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Four octets.
    pub fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight octets.
    pub fn u64(&mut self, value: u64) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// The lowest `length` (at most 8) octets: reduced-size encoding (RFC 7011 section 6.2). A value that does
    /// not fit becomes the largest that does.
    pub fn uint(&mut self, value: u64, length: usize) {
        let unused = 8_usize.saturating_sub(length);
        let largest = if unused < 8 {
            u64::MAX >> (8 * unused)
        } else {
            0
        };
        let octets = value.min(largest).to_be_bytes();
        self.octets
            .extend_from_slice(octets.get(unused..).unwrap_or_default());
    }

    /// Octets as they are: addresses, strings of fixed length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.octets.extend_from_slice(value);
    }

    /// A time as v9 uptime (elements 21 and 22): milliseconds since the base of the message, 4 octets. A time
    /// that does not fit becomes the nearest that does, and is counted.
    pub fn uptime(&mut self, time_ms: i64) {
        let uptime = time_ms.saturating_sub(self.base_ms);
        let nearest = u32::try_from(uptime.max(0)).unwrap_or(u32::MAX);
        self.clamped += u64::from(i64::from(nearest) != uptime);
        self.u32(nearest);
    }

    /// A value of variable length with its length in front (RFC 7011 section 7). More than 65535 octets are cut.
    pub fn variable(&mut self, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        match u8::try_from(length) {
            Ok(short @ ..=254) => self.u8(short),
            _ => {
                self.u8(255);
                self.u16(length);
            }
        }
        self.bytes(value.get(..usize::from(length)).unwrap_or_default());
    }
}
