//! One V3 flow record (nfdump 1.7, record type 11): [`RecordView`] reads the bytes in place, [`RecordBuilder`] makes them.
//!
//! Integers and addresses are little-endian, as on every machine for which nfdump is packaged but s390x.
//! Nothing here knows files or blocks.

mod annotate;
mod builder;
mod edit;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use annotate::Annotated;
pub use builder::RecordBuilder;
pub use edit::EditedRecord;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// First flow of a file by nfcapd 1.7.1 (softflowd, NetFlow v9), in the order nfcapd wrote it.
    fn real_record() -> Vec<u8> {
        let mut bytes = vec![0x0b, 0, 0x68, 0, 4, 0, 0, 0, 1, 0, 0, 9];
        bytes.extend([2, 0, 12, 0, 0x01, 0x15, 0x9f, 0x83, 0x4f, 0x01, 0xa8, 0xc0]);
        bytes.extend([
            1, 0, 0x34, 0, 0x02, 0x2b, 0xcd, 0x48, 0xa2, 0x01, 0, 0, 0x12, 0x43, 0xcd, 0x48, 0xa2,
            0x01, 0, 0,
        ]);
        bytes.extend([
            0x9b, 0x51, 0x07, 0x07, 0xa2, 0x01, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0x0d, 0, 0,
            0, 0, 0, 0,
        ]);
        bytes.extend([0x16, 0, 0xa8, 0xca, 6, 0x1b, 0, 0]);
        bytes.extend([4, 0, 0x14, 0]);
        bytes.extend([0; 16]);
        bytes.extend([12, 0, 8, 0, 1, 0, 0, 127]);
        bytes
    }

    #[test]
    fn reads_a_record_of_nfcapd() {
        let bytes = real_record();
        let view = RecordView::parse(&bytes).unwrap();
        assert_eq!(view.src_ip(), Some("131.159.21.1".parse().unwrap()));
        assert_eq!(view.dst_ip(), Some("192.168.1.79".parse().unwrap()));
        assert_eq!(view.exporter_ip(), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(view.first_ms(), Some(1_796_517_735_170));
        assert_eq!(view.last_ms(), Some(1_796_517_741_330));
        assert_eq!(view.received_ms(), Some(1_795_414_249_883));
        assert_eq!((view.packets(), view.octets(), view.flows()), (20, 3549, 1));
        assert_eq!(
            (view.src_port(), view.dst_port(), view.proto()),
            (Some(22), Some(51880), Some(6))
        );
        assert_eq!(view.get(field::TCP_FLAGS), Some(0x1b));
        assert_eq!(view.get(field::SRC_AS), None);
        assert_eq!(
            view.header(),
            RecordHeader {
                exporter_id: 1,
                nfversion: 9,
                ..RecordHeader::default()
            }
        );
        assert_eq!(
            view.extensions()
                .map(|(id, data)| (id, data.len()))
                .collect::<Vec<_>>(),
            [(2, 8), (1, 48), (4, 16), (12, 4)]
        );
    }

    #[test]
    fn builds_a_record_as_nfcapd_does() {
        let mut builder = RecordBuilder::new();
        for _ in 0..2 {
            builder.begin(&RecordHeader {
                exporter_id: 1,
                nfversion: 9,
                ..RecordHeader::default()
            });
            builder.set_address(
                field::SRC_IPV4,
                field::SRC_IPV6,
                "131.159.21.1".parse().unwrap(),
            );
            builder.set(field::DST_IPV4, 0xc0a8_014f);
            builder.set(field::MSEC_FIRST, 1_796_517_735_170);
            builder.set(field::MSEC_LAST, 1_796_517_741_330);
            builder.set(field::MSEC_RECEIVED, 1_795_414_249_883);
            builder.set(field::IN_PACKETS, 20);
            builder.set(field::IN_BYTES, 3549);
            builder.set(field::SRC_PORT, 22);
            builder.set(field::DST_PORT, 51880);
            builder.set(field::PROTO, 6);
            builder.set(field::TCP_FLAGS, 0x1b);
            builder.extension(ext::FLOW_MISC);
            builder.set(field::IP_RECEIVED_V4, 0x7f00_0001);
            assert_eq!(builder.finish(), real_record());
        }
    }

    #[test]
    fn ipv6_halves_are_integers() {
        let mut builder = RecordBuilder::new();
        builder.set_address(
            field::SRC_IPV4,
            field::SRC_IPV6,
            "2001:db8::1".parse().unwrap(),
        );
        let bytes = builder.finish().to_vec();
        assert_eq!(bytes[16..24], 0x2001_0db8_0000_0000_u64.to_le_bytes());
        assert_eq!(bytes[24..32], 1_u64.to_le_bytes());
        assert_eq!(
            RecordView::parse(&bytes).unwrap().src_ip(),
            Some("2001:db8::1".parse().unwrap())
        );
    }

    #[test]
    fn impossible_requests_do_nothing() {
        let mut builder = RecordBuilder::new();
        assert!(builder.extension(0).is_empty());
        assert!(builder.extension(60).is_empty());
        assert!(builder.extension(ext::LABEL).is_empty());
        builder.set(field::mpls_label(3), 7);
        builder.set(field::mpls_label(10), 9);
        builder.set(field::mpls_label(u16::MAX), 9);
        assert!(builder.variable(ext::LABEL, b"web"));
        assert!(!builder.variable(ext::LABEL, b"again"));
        assert!(!builder.variable(ext::GENERIC_FLOW, &[0; 48]));
        assert!(!builder.variable(ext::IN_PAYLOAD, &[0; 65535]));
        let view = RecordView::parse(builder.finish()).unwrap();
        assert_eq!(view.extension_count(), 2);
        assert_eq!(view.extension(ext::LABEL), Some(&b"web"[..]));
        assert_eq!(view.get(field::mpls_label(3)), Some(7));
        assert_eq!(view.get(field::mpls_label(10)), None);
    }

    #[test]
    fn wrong_lengths_are_named() {
        let good = real_record();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            RecordView::parse(&bytes).err()
        };
        assert_eq!(with(&|b| b.truncate(11)), Some(RecordError::Short(11)));
        assert_eq!(with(&|b| b[0] = 7), Some(RecordError::Type(7)));
        assert_eq!(
            with(&|b| b.truncate(103)),
            Some(RecordError::Size {
                said: 104,
                found: 103
            })
        );
        assert_eq!(
            with(&|b| b[4] = 5),
            Some(RecordError::ExtensionCount { said: 5, found: 4 })
        );
        assert_eq!(
            with(&|b| b[4] = 3),
            Some(RecordError::Trailing {
                said: 104,
                found: 96
            })
        );
        for length in [0, 3, 11, 255] {
            assert_eq!(
                with(&|b| b[14] = length),
                Some(RecordError::ExtensionLength {
                    id: 2,
                    offset: 12,
                    length: u16::from(length)
                })
            );
        }
        // Unknown ids and longer extensions pass.
        assert_eq!(with(&|b| b[12] = 60), None);
        assert_eq!(with(&|b| b[12] = 10), None);
        // One of nfdump 1.7.5 that is too short is not there.
        let mut bytes = good.clone();
        bytes[12] = 38;
        let view = RecordView::parse(&bytes).unwrap();
        assert!(!view.has(ext::LAYER_2));
        assert_eq!(view.extension_count(), 4);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header: bool) {
            if header && bytes.len() >= 12 {
                bytes[0] = 11;
                bytes[1] = 0;
                let size = u16::try_from(bytes.len()).unwrap().to_le_bytes();
                bytes[2..4].copy_from_slice(&size);
                bytes[4] %= 8;
                bytes[5] = 0;
                bytes[12..].iter_mut().step_by(2).skip(1).for_each(|b| *b = 0);
            }
            if let Ok(view) = RecordView::parse(&bytes) {
                for extension in 0..50 {
                    let _ = view.extension(extension);
                    for offset in 0..100 {
                        let _ = view.get(Location { extension, offset, width: 8 });
                        let _ = view.get128(Location { extension, offset, width: 16 });
                    }
                }
                prop_assert!(view.extensions().count() <= usize::from(view.extension_count()));
                let _ = (view.src_ip(), view.header());
            }
        }

        #[test]
        fn what_is_set_is_read(values in proptest::collection::vec((0u16..50, 0u16..70, 0u8..4, any::<u64>()), 0..60)) {
            let mut builder = RecordBuilder::new();
            for &(extension, offset, width, value) in &values {
                let location = Location { extension, offset, width: 1 << width };
                builder.set(location, value);
                let inside = matches!(field::data_length(extension), Some(DataLength::Fixed(n)) if offset + (1 << width) <= n);
                if inside {
                    let mask = u64::MAX >> (64 - 8 * (1u32 << width));
                    prop_assert_eq!(builder.get(location), Some(value & mask));
                }
            }
            let bytes = builder.finish().to_vec();
            let view = RecordView::parse(&bytes).unwrap();
            for &(extension, ..) in &values {
                prop_assert_eq!(view.has(extension), builder.has(extension));
            }
        }
    }
}
