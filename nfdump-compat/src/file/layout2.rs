//! The bytes of layout 2: file header, block header, and the records that are not flows. Little-endian throughout.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use super::totals::{ProtocolTotals, STAT_SIZE, StatRecord};
use super::{Compression, FileErrorKind};

/// First two bytes of a file.
pub const MAGIC: u16 = 0xA50C;
/// Layout version of nfdump 1.7.
pub const LAYOUT: u16 = 2;
/// The version nfdump 1.7.1 writes into its files.
pub const NFD_VERSION: u32 = 0x0107_0100;
/// Size of the file header.
pub const FILE_HEADER: usize = 40;
/// Size of a block header.
pub const BLOCK_HEADER: usize = 12;
/// Largest raw block we write: every nfdump since 1.7.0 reads it.
pub const WRITE_BLOCK: usize = 1 << 20;
/// Largest block, on disk or decompressed, that nfdump reads.
pub const MAX_BLOCK: usize = 5 << 20;
/// Longest source name.
pub const MAX_IDENT: usize = 122;

/// Block type: records.
pub const RECORD_BLOCK: u16 = 3;

/// Record type of an exporter.
pub const EXPORTER_RECORD: u16 = 7;
/// Record type of the exporters' statistics.
pub const EXPORTER_STAT_RECORD: u16 = 8;
/// Record type of a sampler.
pub const SAMPLER_RECORD: u16 = 15;
/// Record type of the source name in the appendix.
pub const IDENT_RECORD: u16 = 0x8001;
/// Record type of the totals in the appendix.
pub const STAT_RECORD: u16 = 0x8002;

/// Size of a record header (type, size).
pub const RECORD_HEADER: usize = 4;

/// Takes integers off the front of a slice; what is not there is none.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    pub(super) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take().map(|[b]| b)
    }
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    pub(super) fn u32_or_u64(&mut self, wide: bool) -> Option<u64> {
        if wide {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }
}

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Version of the program that wrote the file, 0x01070100 for nfdump 1.7.1.
    pub nfd_version: u32,
    /// When the file was created, seconds since 1970.
    pub created_s: i64,
    /// Compression of all blocks.
    pub compression: Compression,
    /// Appendix blocks: 1, or 0 while the file is being written.
    pub appendix_blocks: u16,
    /// Which program wrote it (since nfdump 1.7.2; before 0).
    pub creator: u32,
    /// Offset of the appendix, 0 while the file is being written.
    pub appendix_offset: u64,
    /// Block size, 0 in all of 1.7.
    pub block_size: u32,
    /// Data blocks, the appendix not counted.
    pub blocks: u32,
}

/// A program that writes files, as their header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its version, as [`FileHeader::nfd_version`].
    pub version: u32,
    /// Which one it is: an index of [`CREATORS`].
    pub creator: u32,
}

/// The programs that headers name.
pub const CREATORS: [&str; 10] = [
    "unknown",
    "nfcapd",
    "nfpcapd",
    "sfcapd",
    "nfdump",
    "nfanon",
    "nfprofile",
    "geolookup",
    "ft2nfdump",
    "torlookup",
];

impl FileHeader {
    /// The program that wrote the file.
    #[must_use]
    pub fn program(&self) -> Program {
        Program {
            version: self.nfd_version,
            creator: self.creator,
        }
    }

    /// Whether the file was closed properly.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.appendix_blocks > 0 && self.appendix_offset > 0
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Wrong magic, byte order, layout, compression or encryption.
    pub fn parse(bytes: &[u8; FILE_HEADER]) -> Result<Self, FileErrorKind> {
        Self::fields(&mut Cursor(bytes)).unwrap_or(Err(FileErrorKind::ShortHeader(FILE_HEADER)))
    }

    fn fields(cursor: &mut Cursor<'_>) -> Option<Result<Self, FileErrorKind>> {
        let magic = cursor.u16()?;
        if magic == MAGIC.swap_bytes() {
            return Some(Err(FileErrorKind::ForeignEndian));
        }
        if magic != MAGIC {
            return Some(Err(FileErrorKind::Magic(magic)));
        }
        let layout = cursor.u16()?;
        if layout != LAYOUT {
            return Some(Err(FileErrorKind::Layout(layout)));
        }
        let nfd_version = cursor.u32()?;
        let created_s = cursor.u64()?.cast_signed();
        let code = cursor.u8()?;
        let Some(compression) = Compression::from_code(code) else {
            return Some(Err(FileErrorKind::Compression(code)));
        };
        let encryption = cursor.u8()?;
        if encryption != 0 {
            return Some(Err(FileErrorKind::Encrypted(encryption)));
        }
        Some(Ok(Self {
            nfd_version,
            created_s,
            compression,
            appendix_blocks: cursor.u16()?,
            creator: cursor.u32()?,
            appendix_offset: cursor.u64()?,
            block_size: cursor.u32()?,
            blocks: cursor.u32()?,
        }))
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        let mut put = Put(&mut bytes);
        put.bytes(&MAGIC.to_le_bytes());
        put.bytes(&LAYOUT.to_le_bytes());
        put.bytes(&self.nfd_version.to_le_bytes());
        put.bytes(&self.created_s.to_le_bytes());
        put.bytes(&[self.compression.code(), 0]);
        put.bytes(&self.appendix_blocks.to_le_bytes());
        put.bytes(&self.creator.to_le_bytes());
        put.bytes(&self.appendix_offset.to_le_bytes());
        put.bytes(&self.block_size.to_le_bytes());
        put.bytes(&self.blocks.to_le_bytes());
        bytes
    }
}

/// Puts bytes one behind the other into a buffer that is long enough.
struct Put<'a>(&'a mut [u8]);

impl Put<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Records in the block, of all types.
    pub records: u32,
    /// Bytes on disk behind this header.
    pub size: u32,
    /// Block type, [`RECORD_BLOCK`].
    pub kind: u16,
    /// Flags, 0.
    pub flags: u16,
}

impl BlockHeader {
    /// Reads a block header.
    #[must_use]
    pub fn parse(bytes: [u8; BLOCK_HEADER]) -> Self {
        let [r0, r1, r2, r3, s0, s1, s2, s3, k0, k1, f0, f1] = bytes;
        Self {
            records: u32::from_le_bytes([r0, r1, r2, r3]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
            kind: u16::from_le_bytes([k0, k1]),
            flags: u16::from_le_bytes([f0, f1]),
        }
    }

    /// The block header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0; BLOCK_HEADER];
        let mut put = Put(&mut bytes);
        put.bytes(&self.records.to_le_bytes());
        put.bytes(&self.size.to_le_bytes());
        put.bytes(&self.kind.to_le_bytes());
        put.bytes(&self.flags.to_le_bytes());
        bytes
    }
}

pub(super) fn push_header(out: &mut Vec<u8>, record_type: u16, size: usize) {
    out.extend_from_slice(&record_type.to_le_bytes());
    out.extend_from_slice(&u16::try_from(size).unwrap_or(u16::MAX).to_le_bytes());
}

/// Raw payload of an appendix: source name and totals, 2 records.
#[must_use]
pub fn encode_appendix(ident: &str, stat: &StatRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEADER + ident.len() + 1 + STAT_SIZE);
    push_header(&mut out, IDENT_RECORD, RECORD_HEADER + ident.len() + 1);
    out.extend_from_slice(ident.as_bytes());
    out.push(0);
    stat.encode_into(&mut out);
    out
}

/// What an appendix says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appendix {
    /// Name of the source.
    pub ident: Option<String>,
    /// Totals.
    pub stat: Option<StatRecord>,
}

/// Reads the raw payload of an appendix.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_appendix(mut rest: &[u8]) -> Result<Appendix, &'static str> {
    let mut appendix = Appendix::default();
    while !rest.is_empty() {
        let size = record_size(rest).ok_or("a record has a wrong length")?;
        let (record, behind) = rest.split_at_checked(size).ok_or("a record is cut")?;
        let data = record.get(RECORD_HEADER..).unwrap_or_default();
        match record_type(record) {
            IDENT_RECORD => {
                let name = data.split(|&b| b == 0).next().unwrap_or_default();
                appendix.ident = Some(String::from_utf8_lossy(name).into_owned());
            }
            STAT_RECORD => {
                appendix.stat =
                    Some(StatRecord::parse(data).ok_or("the totals have a wrong length")?);
            }
            _ => {}
        }
        rest = behind;
    }
    Ok(appendix)
}

/// Layout version of the file that starts with these bytes.
#[must_use]
pub(super) fn layout(bytes: &[u8; FILE_HEADER]) -> u16 {
    bytes.get(2..).map_or(0, record_type)
}

/// Type of the record at the start of the bytes, 0 if there is none.
#[inline]
#[must_use]
pub fn record_type(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |b| u16::from_le_bytes(*b))
}

/// Size of the record at the start of the bytes; none if they are fewer than a header or than it says, or it says less
/// than a header.
#[inline]
#[must_use]
pub fn record_size(bytes: &[u8]) -> Option<usize> {
    let &[_, _, low, high] = bytes.first_chunk::<RECORD_HEADER>()?;
    let size = usize::from(u16::from_le_bytes([low, high]));
    (RECORD_HEADER..=bytes.len())
        .contains(&size)
        .then_some(size)
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// An exporter, as type 7 records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExporterInfo {
    /// Protocol: 1, 5, 9, 10.
    pub version: u32,
    /// Address.
    pub ip: IpAddr,
    /// v9 source id, IPFIX observation domain id, v5 engine.
    pub id: u32,
}

/// Size of an exporter record.
pub const EXPORTER_SIZE: usize = 32;

impl ExporterInfo {
    /// Reads an exporter record: the number that its flow records carry, and the exporter. Both ways of writing the
    /// address are known, that of nfdump up to 1.7.7 and the later one.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<(u16, Self)> {
        if record_type(record) != EXPORTER_RECORD || record.len() != EXPORTER_SIZE {
            return None;
        }
        let mut cursor = Cursor(record.get(RECORD_HEADER..)?);
        let version = cursor.u32()?;
        let address = cursor.take::<16>()?;
        let family = cursor.u16()?;
        let (sysid, id) = (cursor.u16()?, cursor.u32()?);
        let mut halves = Cursor(&address);
        let (high, low) = (halves.u64()?, halves.u64()?);
        let ip = match family {
            AF_INET => IpAddr::V4(Ipv4Addr::from(low as u32)),
            AF_INET6 => IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))),
            0 => Ipv6Addr::from(address).to_canonical(),
            _ => return None,
        };
        Some((sysid, Self { version, ip, id }))
    }

    /// The record's bytes, the address as nfdump 1.7.1 writes it (which all later versions read).
    #[must_use]
    pub fn encode(&self, sysid: u16) -> [u8; EXPORTER_SIZE] {
        let (high, low, family) = match self.ip {
            IpAddr::V4(ip) => (0, u64::from(u32::from(ip)), AF_INET),
            IpAddr::V6(ip) => (
                (u128::from(ip) >> 64) as u64,
                u128::from(ip) as u64,
                AF_INET6,
            ),
        };
        let mut bytes = [0; EXPORTER_SIZE];
        let mut put = Put(&mut bytes);
        put.bytes(&EXPORTER_RECORD.to_le_bytes());
        put.bytes(&(EXPORTER_SIZE as u16).to_le_bytes());
        put.bytes(&self.version.to_le_bytes());
        put.bytes(&high.to_le_bytes());
        put.bytes(&low.to_le_bytes());
        put.bytes(&family.to_le_bytes());
        put.bytes(&sysid.to_le_bytes());
        put.bytes(&self.id.to_le_bytes());
        bytes
    }
}

/// What was received from one exporter in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExporterStat {
    /// The exporter's number in this file.
    pub sysid: u32,
    /// Gaps in its sequence numbers.
    pub sequence_failures: u32,
    /// Datagrams or messages.
    pub packets: u64,
    /// Flow records.
    pub flows: u64,
}

/// Most exporters in one statistics record: its size is 16 bits.
pub const STATS_PER_RECORD: usize = (u16::MAX as usize - 8) / 24;

/// A statistics record for at most [`STATS_PER_RECORD`] exporters (more are left out).
pub(super) fn encode_exporter_stats(stats: &[ExporterStat], out: &mut Vec<u8>) {
    let stats = stats.get(..STATS_PER_RECORD).unwrap_or(stats);
    push_header(out, EXPORTER_STAT_RECORD, 8 + 24 * stats.len());
    out.extend_from_slice(&u32::try_from(stats.len()).unwrap_or(0).to_le_bytes());
    for stat in stats {
        out.extend_from_slice(&stat.sysid.to_le_bytes());
        out.extend_from_slice(&stat.sequence_failures.to_le_bytes());
        out.extend_from_slice(&stat.packets.to_le_bytes());
        out.extend_from_slice(&stat.flows.to_le_bytes());
    }
}

/// Reads an exporter statistics record; as many entries as are whole.
pub fn exporter_stats(record: &[u8]) -> impl Iterator<Item = ExporterStat> + '_ {
    let mut cursor = Cursor(record.get(RECORD_HEADER..).unwrap_or_default());
    let count = cursor.u32().unwrap_or(0);
    (0..count).map_while(move |_| {
        Some(ExporterStat {
            sysid: cursor.u32()?,
            sequence_failures: cursor.u32()?,
            packets: cursor.u64()?,
            flows: cursor.u64()?,
        })
    })
}

/// How an exporter samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// The exporter's number in this file.
    pub sysid: u16,
    /// selectorAlgorithm or samplingAlgorithm.
    pub algorithm: u16,
    /// Sampler id; -1 for the exporter's general one, -2 for a default, -3 for an overwritten one.
    pub id: i64,
    /// Packets selected in a row.
    pub packet_interval: u32,
    /// Packets left out after them: the rate is (packet + space) / packet.
    pub space_interval: u32,
}

/// Size of a sampler record.
pub const SAMPLER_SIZE: usize = 24;

impl Sampler {
    /// Reads a sampler record.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        if record_type(record) != SAMPLER_RECORD || record.len() != SAMPLER_SIZE {
            return None;
        }
        let mut cursor = Cursor(record.get(RECORD_HEADER..)?);
        Some(Self {
            sysid: cursor.u16()?,
            algorithm: cursor.u16()?,
            id: cursor.u64()?.cast_signed(),
            packet_interval: cursor.u32()?,
            space_interval: cursor.u32()?,
        })
    }

    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SAMPLER_SIZE] {
        let mut bytes = [0; SAMPLER_SIZE];
        let mut put = Put(&mut bytes);
        put.bytes(&SAMPLER_RECORD.to_le_bytes());
        put.bytes(&(SAMPLER_SIZE as u16).to_le_bytes());
        put.bytes(&self.sysid.to_le_bytes());
        put.bytes(&self.algorithm.to_le_bytes());
        put.bytes(&self.id.to_le_bytes());
        put.bytes(&self.packet_interval.to_le_bytes());
        put.bytes(&self.space_interval.to_le_bytes());
        bytes
    }
}
