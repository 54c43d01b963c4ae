//! Making the bytes of a flow record.

use std::net::IpAddr;

use super::{RecordHeader, SLOTS, V3_RECORD, uint};
use crate::field::{self, DataLength, EXTENSION_HEADER, Location};

/// Makes flow records one after another in one buffer.
///
/// ```
/// use nfdump_compat::{field, record::{RecordBuilder, RecordHeader, RecordView}};
/// let mut builder = RecordBuilder::new();
/// builder.begin(&RecordHeader { nfversion: 9, ..RecordHeader::default() });
/// builder.set(field::SRC_IPV4, u64::from(u32::from_be_bytes([10, 0, 0, 1])));
/// builder.set(field::IN_PACKETS, 7);
/// let view = RecordView::parse(builder.finish())?;
/// assert_eq!(view.packets(), 7);
/// # Ok::<(), nfdump_compat::record::RecordError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
    /// Start of each extension's data by id; 0 where there is none yet.
    data: [u16; SLOTS],
    count: u16,
}

impl Default for RecordBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordBuilder {
    /// A builder with an empty record.
    #[must_use]
    pub fn new() -> Self {
        let mut builder = Self {
            bytes: Vec::with_capacity(1024),
            data: [0; SLOTS],
            count: 0,
        };
        builder.begin(&RecordHeader::default());
        builder
    }

    /// Starts a new record; what was there is forgotten.
    pub fn begin(&mut self, header: &RecordHeader) {
        let [exporter_low, exporter_high] = header.exporter_id.to_le_bytes();
        let [type_low, type_high] = V3_RECORD.to_le_bytes();
        self.bytes.clear();
        self.bytes.extend_from_slice(&[
            type_low,
            type_high,
            0,
            0,
            0,
            0,
            header.engine_type,
            header.engine_id,
            exporter_low,
            exporter_high,
            header.flags,
            header.nfversion,
        ]);
        self.data = [0; SLOTS];
        self.count = 0;
    }

    /// Data part of a fixed-length extension, added with zeroes if it is not there yet.
    ///
    /// Empty for an id that has no fixed length (nothing is added).
    #[inline]
    pub fn extension(&mut self, id: u16) -> &mut [u8] {
        let Some(DataLength::Fixed(length)) = field::data_length(id) else {
            return &mut [];
        };
        let length = usize::from(length);
        let start = match self.data.get(usize::from(id)) {
            None | Some(0) => match self.append(id, length) {
                Some(start) => start,
                None => return &mut [],
            },
            Some(&start) => usize::from(start),
        };
        self.bytes
            .get_mut(start..start + length)
            .unwrap_or_default()
    }

    /// Adds an extension of variable length (label, payload, application id). False if it is there already, is of fixed
    /// length or unknown, or would make the record longer than 65535 bytes.
    pub fn variable(&mut self, id: u16, data: &[u8]) -> bool {
        if field::data_length(id) != Some(DataLength::Variable)
            || self
                .data
                .get(usize::from(id))
                .is_none_or(|&start| start != 0)
        {
            return false;
        }
        let Some(start) = self.append(id, data.len()) else {
            return false;
        };
        match self.bytes.get_mut(start..start + data.len()) {
            Some(place) => place.copy_from_slice(data),
            None => return false,
        }
        true
    }

    /// Appends header and zeroed data; the offset of the data, or none if the record would be too long.
    fn append(&mut self, id: u16, length: usize) -> Option<usize> {
        let start = self.bytes.len() + EXTENSION_HEADER;
        let end = start
            .checked_add(length)
            .filter(|&end| end <= usize::from(u16::MAX))?;
        let on_disk = u16::try_from(length + EXTENSION_HEADER).ok()?;
        *self.data.get_mut(usize::from(id))? = u16::try_from(start).ok()?;
        self.bytes.extend_from_slice(&id.to_le_bytes());
        self.bytes.extend_from_slice(&on_disk.to_le_bytes());
        self.bytes.resize(end, 0);
        self.count += 1;
        Some(start)
    }

    /// Sets a field of at most 8 bytes to the low bytes of `value`; its extension is added if need be.
    #[inline]
    pub fn set(&mut self, location: Location, value: u64) {
        debug_assert!(
            location.width <= 8,
            "an address is set with set128 or set_address"
        );
        let from = usize::from(location.offset);
        let width = usize::from(location.width);
        if let Some(place) = self
            .extension(location.extension)
            .get_mut(from..from + width)
            && let Some(bytes) = value.to_le_bytes().get(..width)
        {
            place.copy_from_slice(bytes);
        }
    }

    /// Sets a 16-byte field (IPv6 address).
    #[inline]
    pub fn set128(&mut self, location: Location, value: u128) {
        let from = usize::from(location.offset);
        if let Some(place) = self.extension(location.extension).get_mut(from..from + 16) {
            let (high, low) = place.split_at_mut(8);
            high.copy_from_slice(&((value >> 64) as u64).to_le_bytes());
            low.copy_from_slice(&(value as u64).to_le_bytes());
        }
    }

    /// Sets an address in its IPv4 or its IPv6 place.
    #[inline]
    pub fn set_address(&mut self, v4: Location, v6: Location, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.set(v4, u64::from(u32::from(address))),
            IpAddr::V6(address) => self.set128(v6, u128::from(address)),
        }
    }

    /// A field as set so far; none if its extension is not there.
    #[must_use]
    pub fn get(&self, location: Location) -> Option<u64> {
        let start = match self.data.get(usize::from(location.extension)) {
            Some(&start) if start > 0 && location.exists() => {
                usize::from(start) + usize::from(location.offset)
            }
            _ => return None,
        };
        self.bytes
            .get(start..start + usize::from(location.width))
            .map(uint)
    }

    /// Whether the extension is there.
    #[must_use]
    pub fn has(&self, extension: u16) -> bool {
        self.data
            .get(usize::from(extension))
            .is_some_and(|&start| start != 0)
    }

    /// Writes size and extension count into the header; the record's bytes.
    pub fn finish(&mut self) -> &[u8] {
        // The length is bounded by `append`.
        let size = u16::try_from(self.bytes.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes();
        let count = self.count.to_le_bytes();
        if let Some(place) = self.bytes.get_mut(2..6) {
            place.copy_from_slice(&[size[0], size[1], count[0], count[1]]);
        }
        &self.bytes
    }
}
