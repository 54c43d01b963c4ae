//! One V3 flow record (nfdump 1.7, record type 11): [`RecordView`] reads the bytes in place, [`RecordBuilder`] makes them.
//!
//! Integers and addresses are little-endian, as on every machine for which nfdump is packaged but s390x.
//! Nothing here knows files or blocks.

mod annotate;
mod builder;
mod edit;
mod parser;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use annotate::Annotated;
pub use builder::RecordBuilder;
pub use edit::EditedRecord;
pub use parser::RecordParser;

use crate::field::{self, DataLength, EXTENSION_HEADER, Location, MAX_EXTENSION, ext};

/// Record type of a V3 flow record.
pub const V3_RECORD: u16 = 11;
/// Size of the header of a V3 flow record.
pub const V3_HEADER: usize = 12;

/// Flag of a record that reports an event (NSEL, NEL).
pub const FLAG_EVENT: u8 = 1;
/// Flag of a record whose counters were multiplied by the sampling rate.
pub const FLAG_SAMPLED: u8 = 2;
/// Flag of a record with anonymised addresses.
pub const FLAG_ANONYMISED: u8 = 4;

const SLOTS: usize = MAX_EXTENSION as usize + 1;

/// What is wrong with the bytes of a record. Offsets count from the start of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than a header.
    #[error("flow record of {0} bytes, at least {V3_HEADER} expected")]
    Short(usize),
    /// Another record type.
    #[error("record type {0}, {V3_RECORD} (V3 flow record) expected")]
    Type(u16),
    /// The length in the header is not that of the bytes given.
    #[error("flow record says {said} bytes, there are {found}")]
    Size {
        /// Size in the header.
        said: usize,
        /// Bytes given.
        found: usize,
    },
    /// An extension is shorter than its header, longer than the record or too short for its fields.
    #[error("extension {id} at offset {offset} of the flow record has a wrong length {length}")]
    ExtensionLength {
        /// Extension id.
        id: u16,
        /// Offset of the extension's header.
        offset: usize,
        /// Its length field.
        length: u16,
    },
    /// Bytes behind the last extension.
    #[error("flow record of {said} bytes, its extensions end after {found}")]
    Trailing {
        /// Size in the header.
        said: usize,
        /// Header and extensions together.
        found: usize,
    },
    /// Fewer extensions than the header says.
    #[error("flow record says {said} extensions, it ends after {found}")]
    ExtensionCount {
        /// Number in the header.
        said: u16,
        /// Complete extensions found.
        found: u16,
    },
}

/// The fields of a V3 record header that are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Engine type (NetFlow v5) or bits 8 to 15 of the v9 source id.
    pub engine_type: u8,
    /// Engine id (NetFlow v5) or the low 8 bits of the v9 source id.
    pub engine_id: u8,
    /// Number of the exporter record this flow belongs to, 0 for none.
    pub exporter_id: u16,
    /// [`FLAG_EVENT`], [`FLAG_SAMPLED`], [`FLAG_ANONYMISED`].
    pub flags: u8,
    /// Protocol the record came by: 1, 5, 9, 10.
    pub nfversion: u8,
}

/// Reads up to 8 bytes little-endian, 0 for what is not there.
#[inline]
pub(crate) fn uint(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[inline]
fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|b| u16::from_le_bytes(*b))
}

/// A flow record in place: the bytes and where each extension's data starts in them.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    /// Start of each extension's data by id; 0 where there is none.
    data: [u16; SLOTS],
}

impl<'a> RecordView<'a> {
    /// Checks the record's lengths and notes its extensions.
    ///
    /// Unknown extensions are stepped over; an extension longer than in nfdump 1.7.1 is taken (later versions append to
    /// some); of a repeated extension the last counts, all as in nfdump.
    ///
    /// # Errors
    /// [`RecordError`] when the type is not 11 or any length leads outside.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let Some(header) = bytes.first_chunk::<V3_HEADER>() else {
            return Err(RecordError::Short(bytes.len()));
        };
        let record_type = u16::from_le_bytes([header[0], header[1]]);
        let said = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let count = u16::from_le_bytes([header[4], header[5]]);
        if record_type != V3_RECORD {
            return Err(RecordError::Type(record_type));
        }
        if said != bytes.len() {
            return Err(RecordError::Size {
                said,
                found: bytes.len(),
            });
        }
        let mut data = [0u16; SLOTS];
        let mut offset = V3_HEADER;
        for found in 0..count {
            let Some(&[id_low, id_high, length_low, length_high]) = bytes
                .get(offset..)
                .and_then(|rest| rest.first_chunk::<EXTENSION_HEADER>())
            else {
                return Err(RecordError::ExtensionCount { said: count, found });
            };
            let id = u16::from_le_bytes([id_low, id_high]);
            let length = u16::from_le_bytes([length_low, length_high]);
            let end = offset + usize::from(length);
            let known = match field::data_length(id) {
                Some(DataLength::Fixed(n)) => usize::from(n) + EXTENSION_HEADER,
                _ => EXTENSION_HEADER,
            };
            let whole = usize::from(length) >= known;
            // Nothing but nfdump 1.7.5 says how long the later ones are: a shorter one is none.
            let fault = usize::from(length) < EXTENSION_HEADER || id <= ext::PF_INFO && !whole;
            if fault || end > bytes.len() {
                return Err(RecordError::ExtensionLength { id, offset, length });
            }
            if let Some(slot) = data.get_mut(usize::from(id))
                && let Ok(start) = u16::try_from(offset + EXTENSION_HEADER)
                && id != 0
                && whole
            {
                *slot = start;
            }
            offset = end;
        }
        if offset != bytes.len() {
            return Err(RecordError::Trailing {
                said,
                found: offset,
            });
        }
        Ok(Self { bytes, data })
    }

    /// The record's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> RecordHeader {
        match *self.bytes {
            [
                _,
                _,
                _,
                _,
                _,
                _,
                engine_type,
                engine_id,
                low,
                high,
                flags,
                nfversion,
                ..,
            ] => RecordHeader {
                engine_type,
                engine_id,
                exporter_id: u16::from_le_bytes([low, high]),
                flags,
                nfversion,
            },
            _ => RecordHeader::default(),
        }
    }

    /// Number of extensions, unknown ones included.
    #[must_use]
    pub fn extension_count(&self) -> u16 {
        u16_at(self.bytes, 4).unwrap_or(0)
    }

    /// Whether the extension is there.
    #[inline]
    #[must_use]
    pub fn has(&self, extension: u16) -> bool {
        self.start(extension).is_some()
    }

    #[inline]
    fn start(&self, extension: u16) -> Option<usize> {
        match self.data.get(usize::from(extension)) {
            None | Some(0) => None,
            Some(&start) => Some(usize::from(start)),
        }
    }

    /// Where a field starts.
    #[inline]
    fn field(&self, location: Location) -> Option<usize> {
        let start = self.start(location.extension)?;
        location
            .exists()
            .then(|| start + usize::from(location.offset))
    }

    /// The first `N` bytes of an extension's data.
    #[inline]
    #[must_use]
    pub fn fixed<const N: usize>(&self, extension: u16) -> Option<&'a [u8; N]> {
        self.bytes.get(self.start(extension)?..)?.first_chunk()
    }

    /// Data of an extension, without its header.
    #[must_use]
    pub fn extension(&self, extension: u16) -> Option<&'a [u8]> {
        let start = self.start(extension)?;
        let length = u16_at(self.bytes, start.checked_sub(2)?)?;
        let end = start + usize::from(length).checked_sub(EXTENSION_HEADER)?;
        self.bytes.get(start..end)
    }

    /// Ids and data of all extensions in the order of the record, unknown ones included.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.bytes.get(V3_HEADER..).unwrap_or_default();
        (0..self.extension_count()).map_while(move |_| {
            let id = u16_at(rest, 0)?;
            let length = usize::from(u16_at(rest, 2)?);
            let data = rest.get(EXTENSION_HEADER..length)?;
            rest = rest.get(length..)?;
            Some((id, data))
        })
    }

    /// A field of at most 8 bytes; none if the extension is absent or the field does not lie in it.
    #[inline]
    #[must_use]
    pub fn get(&self, location: Location) -> Option<u64> {
        debug_assert!(
            location.width <= 8,
            "an address is read with get128 or an address getter"
        );
        let start = self.field(location)?;
        self.bytes
            .get(start..start + usize::from(location.width))
            .map(uint)
    }

    /// A field of at most 8 bytes, 0 where the extension is absent (as nfdump prints it).
    #[inline]
    #[must_use]
    pub fn get_or_zero(&self, location: Location) -> u64 {
        self.get(location).unwrap_or(0)
    }

    /// A word of an access list's ids: the only numbers that a record holds in network byte order. 0 without it.
    #[must_use]
    pub fn access_list(&self, location: Location) -> u64 {
        u64::from((self.get_or_zero(location) as u32).swap_bytes())
    }

    /// A 16-byte field (IPv6 address) as a number, most significant half first in the record.
    #[inline]
    #[must_use]
    pub fn get128(&self, location: Location) -> Option<u128> {
        let start = self.field(location)?;
        let bytes: &[u8; 16] = self.bytes.get(start..start + 16)?.first_chunk()?;
        let (high, low) = bytes.split_at(8);
        Some(u128::from(uint(high)) << 64 | u128::from(uint(low)))
    }

    /// An address that has one place for IPv4 and one for IPv6; IPv4 first where both are.
    #[inline]
    #[must_use]
    pub fn address(&self, v4: Location, v6: Location) -> Option<IpAddr> {
        if let Some(address) = self.get(v4) {
            return u32::try_from(address)
                .ok()
                .map(|a| IpAddr::V4(Ipv4Addr::from(a)));
        }
        self.get128(v6).map(|a| IpAddr::V6(Ipv6Addr::from(a)))
    }

    /// As [`Self::address`] as a number, an IPv4 address in the lowest 32 bits; 0 without one.
    #[inline]
    #[must_use]
    pub fn address_bits(&self, v4: Location, v6: Location) -> u128 {
        match self.get(v4) {
            Some(address) => u128::from(address),
            None => self.get128(v6).unwrap_or(0),
        }
    }

    /// Source address.
    #[inline]
    #[must_use]
    pub fn src_ip(&self) -> Option<IpAddr> {
        self.address(field::SRC_IPV4, field::SRC_IPV6)
    }

    /// Destination address.
    #[inline]
    #[must_use]
    pub fn dst_ip(&self) -> Option<IpAddr> {
        self.address(field::DST_IPV4, field::DST_IPV6)
    }

    /// Next hop.
    #[must_use]
    pub fn next_hop(&self) -> Option<IpAddr> {
        self.address(field::IP_NEXT_HOP_V4, field::IP_NEXT_HOP_V6)
    }

    /// BGP next hop.
    #[must_use]
    pub fn bgp_next_hop(&self) -> Option<IpAddr> {
        self.address(field::BGP_NEXT_HOP_V4, field::BGP_NEXT_HOP_V6)
    }

    /// Address of the exporter the record came from.
    #[must_use]
    pub fn exporter_ip(&self) -> Option<IpAddr> {
        self.address(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6)
    }

    /// First packet, milliseconds since 1970.
    #[inline]
    #[must_use]
    pub fn first_ms(&self) -> Option<u64> {
        self.get(field::MSEC_FIRST)
    }

    /// Last packet, milliseconds since 1970.
    #[inline]
    #[must_use]
    pub fn last_ms(&self) -> Option<u64> {
        self.get(field::MSEC_LAST)
    }

    /// Reception by the collector, milliseconds since 1970.
    #[must_use]
    pub fn received_ms(&self) -> Option<u64> {
        self.get(field::MSEC_RECEIVED)
    }

    /// IP protocol; none in a record without the generic extension.
    #[inline]
    #[must_use]
    pub fn proto(&self) -> Option<u8> {
        self.get(field::PROTO).and_then(|v| u8::try_from(v).ok())
    }

    /// Source port.
    #[inline]
    #[must_use]
    pub fn src_port(&self) -> Option<u16> {
        self.get(field::SRC_PORT)
            .and_then(|v| u16::try_from(v).ok())
    }

    /// Destination port; for ICMP type × 256 + code.
    #[inline]
    #[must_use]
    pub fn dst_port(&self) -> Option<u16> {
        self.get(field::DST_PORT)
            .and_then(|v| u16::try_from(v).ok())
    }

    /// Packets; 0 where the record has none.
    #[inline]
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.get_or_zero(field::IN_PACKETS)
    }

    /// Bytes; 0 where the record has none.
    #[inline]
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.get_or_zero(field::IN_BYTES)
    }

    /// Flows this record stands for: the aggregated count where there is one, else 1.
    #[inline]
    #[must_use]
    pub fn flows(&self) -> u64 {
        match self.get(field::FLOWS) {
            None | Some(0) => 1,
            Some(flows) => flows,
        }
    }
}
