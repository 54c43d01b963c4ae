//! Layout 1, the files of nfdump 1.6: their header and their flow records, which become V3 records while they are read.
//!
//! A file has a header with name and totals, and blocks of type 2. Extension maps in the blocks say which extensions
//! follow the common part of a record, and in what order. What each becomes was read off nfdump 1.7.1, record by record
//! (`tests/tests/layout1.rs`); where that loses or misplaces a value, it is kept here: see `docs/differences.md`.

use std::collections::HashMap;

use super::layout2::{self, Appendix, Cursor, FileHeader, RECORD_HEADER};
use super::{Compression, FileErrorKind, ProtocolTotals, StatRecord};
use crate::field::{self, Location, ext};
use crate::record::{FLAG_ANONYMISED, FLAG_EVENT, FLAG_SAMPLED, RecordBuilder, RecordHeader};

/// Layout version of nfdump 1.6.
pub(super) const LAYOUT: u16 = 1;
/// Block type: records.
pub(super) const RECORD_BLOCK: u16 = 2;
/// Size of the file header with the totals.
pub(super) const HEADER: usize = 140 + 136;

const IDENT: usize = 128;

const MAP_RECORD: u16 = 2;
const COMMON_RECORD: u16 = 10;
/// Most extensions in a map: there are not half as many.
const MAX_EXTENSIONS: usize = 64;

/// Flags of the file.
const FILE_LZO: u32 = 1;
const FILE_ANONYMISED: u32 = 2;
const FILE_BZ2: u32 = 8;
const FILE_LZ4: u32 = 0x10;

/// Flags of a common record.
const IPV6: u8 = 1;
const PACKETS_64: u8 = 2;
const BYTES_64: u8 = 4;
const SAMPLED: u8 = 128;

/// What the header of a file says.
pub(super) struct Header {
    /// In layout 2's terms; the file counts as one that is not finished: it has no appendix.
    pub(super) file: FileHeader,
    /// Name and totals.
    pub(super) appendix: Appendix,
    anonymised: bool,
}

impl Header {
    /// Reads header and totals.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Result<Self, FileErrorKind> {
        Self::fields(&mut Cursor(bytes)).unwrap_or(Err(FileErrorKind::ShortHeader(HEADER)))
    }

    fn fields(cursor: &mut Cursor<'_>) -> Option<Result<Self, FileErrorKind>> {
        let (_magic, _layout) = (cursor.u16()?, cursor.u16()?);
        let flags = cursor.u32()?;
        let blocks = cursor.u32()?;
        let ident = cursor.take::<IDENT>()?;
        let compression = match flags & (FILE_LZO | FILE_BZ2 | FILE_LZ4) {
            0 => Compression::None,
            FILE_LZO => Compression::Lzo,
            FILE_BZ2 => Compression::Bz2,
            FILE_LZ4 => Compression::Lz4,
            several => {
                let code = u8::try_from(several).unwrap_or(u8::MAX);
                return Some(Err(FileErrorKind::Compression(code)));
            }
        };
        let name = ident.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Ok(Self {
            file: FileHeader {
                nfd_version: 0,
                created_s: 0,
                compression,
                appendix_blocks: 0,
                creator: 0,
                appendix_offset: 0,
                block_size: 0,
                blocks,
            },
            appendix: Appendix {
                ident: Some(String::from_utf8_lossy(name).into_owned()),
                stat: Some(totals(cursor)?),
            },
            anonymised: flags & FILE_ANONYMISED != 0,
        }))
    }
}

fn totals(cursor: &mut Cursor<'_>) -> Option<StatRecord> {
    let (flows, bytes, packets) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let mut by_protocol = || {
        Some(ProtocolTotals {
            tcp: cursor.u64()?,
            udp: cursor.u64()?,
            icmp: cursor.u64()?,
            other: cursor.u64()?,
        })
    };
    let (flows_by, bytes_by, packets_by) = (by_protocol()?, by_protocol()?, by_protocol()?);
    let (first, last) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
    let (first_ms, last_ms) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
    Some(StatRecord {
        flows,
        bytes,
        packets,
        flows_by,
        bytes_by,
        packets_by,
        first_ms: first * 1000 + first_ms,
        last_ms: last * 1000 + last_ms,
        sequence_failures: u64::from(cursor.u32()?),
    })
}

/// Makes layout 2's records from the blocks of one file.
pub(super) struct Converter {
    anonymised: bool,
    /// The extensions of each map; at most 65,536 maps of [`MAX_EXTENSIONS`].
    maps: HashMap<u16, Vec<u16>>,
    builder: RecordBuilder,
    records: Vec<u8>,
}

impl Converter {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            anonymised: header.anonymised,
            maps: HashMap::new(),
            builder: RecordBuilder::new(),
            records: Vec::new(),
        }
    }

    /// The records of a block, which must fill it exactly, and how many flow records could not be read (a map that is
    /// not there, a record shorter than its map).
    ///
    /// Maps and the samplers of nfdump 1.6 are left out, exporters and their statistics are the same in both layouts.
    pub(super) fn convert(&mut self, block: &[u8]) -> (&[u8], u32) {
        self.records.clear();
        let (mut rest, mut damaged) = (block, 0);
        while let Some(size) = layout2::record_size(rest)
            && let Some((record, behind)) = rest.split_at_checked(size)
        {
            rest = behind;
            match layout2::record_type(record) {
                MAP_RECORD => self.learn(record),
                COMMON_RECORD => match self.flow(record) {
                    Some(()) => self.records.extend_from_slice(self.builder.finish()),
                    None => damaged += 1,
                },
                layout2::EXPORTER_RECORD | layout2::EXPORTER_STAT_RECORD => {
                    self.records.extend_from_slice(record);
                }
                _ => {}
            }
        }
        (&self.records, damaged)
    }

    fn learn(&mut self, record: &[u8]) {
        let mut cursor = Cursor(record.get(RECORD_HEADER..).unwrap_or_default());
        let (Some(id), Some(_size)) = (cursor.u16(), cursor.u16()) else {
            return;
        };
        let extensions = self.maps.entry(id).or_default();
        extensions.clear();
        extensions.extend(
            std::iter::from_fn(|| cursor.u16())
                .take_while(|&extension| extension != 0)
                .take(MAX_EXTENSIONS),
        );
    }

    /// Puts a common record into the builder.
    fn flow(&mut self, record: &[u8]) -> Option<()> {
        let mut cursor = Cursor(record.get(RECORD_HEADER..)?);
        let (flags, nfversion, map) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        let extensions = self.maps.get(&map)?;
        let mut header = RecordHeader {
            flags: if self.anonymised { FLAG_ANONYMISED } else { 0 },
            nfversion,
            ..RecordHeader::default()
        };
        if flags & SAMPLED != 0 {
            header.flags |= FLAG_SAMPLED;
        }
        let common = Common::read(&mut cursor, flags)?;
        header.exporter_id = common.exporter_id;
        // The header comes first in the bytes, so what extensions say of it is looked up before.
        let fixed = cursor.0;
        let mut ahead = Cursor(fixed);
        for &id in extensions {
            let data = ahead.slice(size(id)?)?;
            match (id, data) {
                (25, &[_, _, engine_type, engine_id]) => {
                    (header.engine_type, header.engine_id) = (engine_type, engine_id);
                }
                (37 | 46, _) => header.flags |= FLAG_EVENT,
                _ => {}
            }
        }
        self.builder.begin(&header);
        common.put(&mut self.builder);
        let mut late = Late::default();
        let mut cursor = Cursor(fixed);
        for &id in extensions {
            let data = cursor.slice(size(id)?)?;
            extension(&mut self.builder, &mut late, id, data, common.protocol);
        }
        late.put(&mut self.builder, &common);
        Some(())
    }
}

/// The part that every flow record has.
struct Common {
    first_ms: u64,
    last_ms: u64,
    forwarding: u8,
    tcp_flags: u8,
    protocol: u8,
    tos: u8,
    src_port: u16,
    dst_port: u16,
    exporter_id: u16,
    biflow: u8,
    end_reason: u8,
    addresses: Addresses,
    packets: u64,
    bytes: u64,
}

enum Addresses {
    V4([u32; 2]),
    V6([u64; 4]),
}

impl Common {
    fn read(cursor: &mut Cursor<'_>, flags: u8) -> Option<Self> {
        let (first_ms, last_ms) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
        let (first, last) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
        Some(Self {
            first_ms: first * 1000 + first_ms,
            last_ms: last * 1000 + last_ms,
            forwarding: cursor.u8()?,
            tcp_flags: cursor.u8()?,
            protocol: cursor.u8()?,
            tos: cursor.u8()?,
            src_port: cursor.u16()?,
            dst_port: cursor.u16()?,
            exporter_id: cursor.u16()?,
            biflow: cursor.u8()?,
            end_reason: cursor.u8()?,
            addresses: if flags & IPV6 == 0 {
                Addresses::V4([cursor.u32()?, cursor.u32()?])
            } else {
                Addresses::V6([cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?])
            },
            packets: cursor.u32_or_u64(flags & PACKETS_64 != 0)?,
            bytes: cursor.u32_or_u64(flags & BYTES_64 != 0)?,
        })
    }

    fn put(&self, to: &mut RecordBuilder) {
        to.set(field::MSEC_FIRST, self.first_ms);
        to.set(field::MSEC_LAST, self.last_ms);
        to.set(field::IN_PACKETS, self.packets);
        to.set(field::IN_BYTES, self.bytes);
        to.set(field::SRC_PORT, self.src_port.into());
        to.set(field::DST_PORT, self.dst_port.into());
        to.set(field::PROTO, self.protocol.into());
        to.set(field::TCP_FLAGS, self.tcp_flags.into());
        to.set(field::FWD_STATUS, self.forwarding.into());
        to.set(field::SRC_TOS, self.tos.into());
        match self.addresses {
            Addresses::V4([source, destination]) => {
                to.set(field::SRC_IPV4, source.into());
                to.set(field::DST_IPV4, destination.into());
            }
            Addresses::V6([src_high, src_low, dst_high, dst_low]) => {
                let whole = |high, low| u128::from(high) << 64 | u128::from(low);
                to.set128(field::SRC_IPV6, whole(src_high, src_low));
                to.set128(field::DST_IPV6, whole(dst_high, dst_low));
            }
        }
    }
}

/// Values that make an extension only if one of them is not 0, behind all others.
#[derive(Default)]
struct Late {
    interfaces: [u64; 2],
    flows: u64,
    out_packets: u64,
    out_bytes: u64,
}

impl Late {
    fn put(&self, to: &mut RecordBuilder, common: &Common) {
        for (location, value) in [
            (field::FLOWS, self.flows),
            (field::OUT_PACKETS, self.out_packets),
            (field::OUT_BYTES, self.out_bytes),
            (field::INPUT, self.interfaces[0]),
            (field::OUTPUT, self.interfaces[1]),
            (field::BIFLOW_DIR, common.biflow.into()),
            (field::FLOW_END_REASON, common.end_reason.into()),
        ] {
            if value != 0 {
                to.set(location, value);
            }
        }
    }
}

/// Size of an extension's data; none for one that nfdump 1.6 does not have: what follows it cannot be found.
fn size(id: u16) -> Option<usize> {
    Some(match id {
        4 | 6 | 8 | 9 | 11 | 13 | 14 | 16 | 18 | 23 | 25 | 38 => 4,
        5 | 7 | 15 | 17 | 19 | 26 | 27 | 39 | 47 | 48 => 8,
        46 => 12,
        10 | 12 | 20 | 21 | 24 => 16,
        37 => 20,
        41 | 42 | 45 => 24,
        40 => 32,
        22 => 40,
        43 => 72,
        _ => return None,
    })
}

/// Where an extension goes that is the same octets in both layouts.
fn same_octets(id: u16) -> Option<(u16, usize)> {
    Some(match id {
        7 => (ext::AS_ROUTING, 0),
        9 => (ext::IP_NEXT_HOP_V4, 0),
        10 => (ext::IP_NEXT_HOP_V6, 0),
        11 => (ext::BGP_NEXT_HOP_V4, 0),
        12 => (ext::BGP_NEXT_HOP_V6, 0),
        20 => (ext::MAC_ADDR, 0),
        21 => (ext::MAC_ADDR, 16),
        22 => (ext::MPLS_LABEL, 0),
        23 => (ext::IP_RECEIVED_V4, 0),
        24 => (ext::IP_RECEIVED_V6, 0),
        26 => (ext::AS_ADJACENT, 0),
        27 => (ext::GENERIC_FLOW, 16),
        38 => (ext::XLATE_PORT, 0),
        39 => (ext::XLATE_IPV4, 0),
        40 => (ext::XLATE_IPV6, 0),
        41 => (ext::NSEL_ACL, 0),
        42 | 43 => (ext::NSEL_USER, 0),
        45 => (ext::LATENCY, 0),
        48 => (ext::NEL_XLATE_PORT, 0),
        _ => return None,
    })
}

/// Longest user name: the 66th octet ends it.
const USER_NAME: usize = 65;

fn extension(to: &mut RecordBuilder, late: &mut Late, id: u16, data: &[u8], protocol: u8) {
    if let Some((extension, offset)) = same_octets(id) {
        let data = data.get(..USER_NAME).unwrap_or(data);
        if let Some(place) = to.extension(extension).get_mut(offset..offset + data.len()) {
            place.copy_from_slice(data);
        }
        return;
    }
    let mut cursor = Cursor(data);
    match id {
        4 | 5 => late.interfaces = pair(data),
        6 => put_pair(to, [field::SRC_AS, field::DST_AS], pair(data)),
        13 => put_pair(to, [field::SRC_VLAN, field::DST_VLAN], pair(data)),
        8 => {
            for (location, &value) in [field::DST_TOS, field::DIR, field::SRC_MASK, field::DST_MASK]
                .into_iter()
                .zip(data)
            {
                to.set(location, value.into());
            }
        }
        14 | 15 => late.out_packets = cursor.u32_or_u64(id == 15).unwrap_or(0),
        16 | 17 => late.out_bytes = cursor.u32_or_u64(id == 17).unwrap_or(0),
        18 | 19 => late.flows = cursor.u32_or_u64(id == 19).unwrap_or(0),
        37 => firewall_event(to, &mut cursor, protocol).unwrap_or_default(),
        46 => nat_event(to, &mut cursor).unwrap_or_default(),
        // 25, the engine, is in the header; 47 was never written.
        _ => {}
    }
}

/// Two integers of two or four octets each.
fn pair(data: &[u8]) -> [u64; 2] {
    match *data {
        [a, b, c, d] => [[a, b], [c, d]].map(|bytes| u16::from_le_bytes(bytes).into()),
        [a, b, c, d, e, f, g, h] => {
            [[a, b, c, d], [e, f, g, h]].map(|bytes| u32::from_le_bytes(bytes).into())
        }
        _ => [0; 2],
    }
}

fn put_pair(to: &mut RecordBuilder, locations: [Location; 2], values: [u64; 2]) {
    for (location, value) in locations.into_iter().zip(values) {
        to.set(location, value);
    }
}

fn firewall_event(to: &mut RecordBuilder, cursor: &mut Cursor<'_>, protocol: u8) -> Option<()> {
    to.set(field::NSEL_MSEC_EVENT, cursor.u64()?);
    to.set(field::NSEL_CONN_ID, cursor.u32()?.into());
    let (icmp, event) = (cursor.u16()?, cursor.u8()?);
    let (_fill, extended) = (cursor.u8()?, cursor.u16()?);
    to.set(field::NSEL_FW_XEVENT, extended.into());
    to.set(field::NSEL_FW_EVENT, event.into());
    if matches!(protocol, 1 | 58) {
        to.set(field::DST_PORT, icmp.into());
    }
    Some(())
}

fn nat_event(to: &mut RecordBuilder, cursor: &mut Cursor<'_>) -> Option<()> {
    let [event, ..] = cursor.take::<4>()?;
    to.set(field::NAT_EVENT, event.into());
    to.set(field::EGRESS_VRF, cursor.u32()?.into());
    to.set(field::INGRESS_VRF, cursor.u32()?.into());
    Some(())
}
