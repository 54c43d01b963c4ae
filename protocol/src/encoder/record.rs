//! Writes the fields of one record.

/// Writes one record, field by field in the order of the template, in network order.
///
/// The record grows in a buffer of the size of a message; what does not fit makes the record invalid.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    rest: &'a mut [u8],
    capacity: usize,
    /// Octets that were asked for behind the end of the buffer.
    excess: usize,
    base_ms: i64,
    clamped: u64,
}

impl<'a> RecordWriter<'a> {
    pub(super) fn new(buffer: &'a mut [u8], base_ms: i64) -> Self {
        let capacity = buffer.len();
        Self {
            rest: buffer,
            capacity,
            excess: 0,
            base_ms,
            clamped: 0,
        }
    }

    /// Octets of the record, those that did not fit the buffer included.
    pub(super) fn length(&self) -> usize {
        self.capacity - self.rest.len() + self.excess
    }

    /// Times that did not fit.
    pub(super) fn clamped(&self) -> u64 {
        self.clamped
    }

    #[inline]
    fn put<const N: usize>(&mut self, octets: [u8; N]) {
        let left = self.rest.len();
        match std::mem::take(&mut self.rest).split_first_chunk_mut::<N>() {
            Some((place, rest)) => {
                *place = octets;
                self.rest = rest;
            }
            None => self.excess += N - left,
        }
    }

    /// One octet.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.put([value]);
    }

    /// Two octets.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.put(value.to_be_bytes());
    }

    /// Four octets.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.put(value.to_be_bytes());
    }

    /// Eight octets.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.put(value.to_be_bytes());
    }

    /// The lowest `length` (at most 8) octets: reduced-size encoding (RFC 7011 section 6.2). A value that does
    /// not fit becomes the largest that does.
    #[inline]
    pub fn uint(&mut self, value: u64, length: usize) {
        let unused = 8_usize.saturating_sub(length);
        let largest = if unused < 8 {
            u64::MAX >> (8 * unused)
        } else {
            0
        };
        let octets = value.min(largest).to_be_bytes();
        self.bytes(octets.get(unused..).unwrap_or_default());
    }

    /// Octets as they are: addresses, strings of fixed length.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        let left = self.rest.len();
        match std::mem::take(&mut self.rest).split_at_mut_checked(value.len()) {
            Some((place, rest)) => {
                place.copy_from_slice(value);
                self.rest = rest;
            }
            None => self.excess += value.len() - left,
        }
    }

    /// A time as v9 uptime (elements 21 and 22): milliseconds since the base of the message, 4 octets. A time
    /// that does not fit becomes the nearest that does, and is counted.
    #[inline]
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
