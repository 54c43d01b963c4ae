//! The classic pcap format: a header of 24 octets, then records
//! (draft-ietf-opsawg-pcap).

use super::{CaptureInfo, Fault, Format, Frame, LinkType, MAX_FRAME, Step};

/// Octets of the file header.
pub(super) const HEADER: usize = 24;

/// Reads records.
#[derive(Debug)]
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in one unit of the fraction of a second.
    fraction_ns: i64,
    record_header: usize,
    info: CaptureInfo,
    link: LinkType,
}

/// Whether `magic`, the first four octets, is that of a pcap file.
pub(super) fn recognise(magic: [u8; 4]) -> Option<(Format, ByteOrder)> {
    let by_number = |number| match number {
        0xa1b2_c3d4_u32 => Some(Format::Pcap),
        0xa1b2_3c4d => Some(Format::PcapNano),
        0xa1b2_cd34 => Some(Format::PcapModified),
        _ => None,
    };
    let little = by_number(u32::from_le_bytes(magic)).map(|format| (format, ByteOrder::Little));
    little.or_else(|| by_number(u32::from_be_bytes(magic)).map(|format| (format, ByteOrder::Big)))
}

impl Pcap {
    /// From the file header, whose magic was [recognised](recognise).
    pub(super) fn new(
        header: &[u8; HEADER],
        format: Format,
        order: ByteOrder,
    ) -> Result<Self, Fault> {
        let major = order.u16(header, 4);
        let minor = order.u16(header, 6);
        if major != 2 {
            return Err(Fault::Version {
                format: "pcap",
                major,
                minor,
            });
        }
        // The upper half holds the length of the frame check sequence, which no flow needs.
        let network = order.u32(header, 20);
        let link = LinkType::in_file((network & 0xffff) as u16);
        Ok(Pcap {
            order,
            fraction_ns: if format == Format::PcapNano { 1 } else { 1000 },
            record_header: if format == Format::PcapModified {
                24
            } else {
                16
            },
            info: CaptureInfo {
                format,
                link: Some(link),
                snaplen: order.u32(header, 16),
            },
            link,
        })
    }

    pub(super) fn info(&self) -> CaptureInfo {
        self.info
    }

    /// The record at the head of `data`, which starts at `offset` in the file.
    #[inline]
    pub(super) fn step<'a>(&self, data: &'a [u8], offset: u64) -> Step<'a> {
        let Some((header, _)) = data.split_first_chunk::<16>() else {
            return Step::Need(self.record_header, "packet");
        };
        let length = self.order.u32(header, 8);
        if length > MAX_FRAME {
            let (length, limit) = (u64::from(length), u64::from(MAX_FRAME));
            return Step::Damaged(Box::new(Fault::Length {
                what: "packet",
                offset,
                length,
                limit,
            }));
        }
        let end = self.record_header + length as usize;
        let Some(captured) = data.get(self.record_header..end) else {
            return Step::Need(end, "packet");
        };
        let seconds = i64::from(self.order.u32(header, 0));
        let fraction = i64::from(self.order.u32(header, 4));
        let frame = Frame {
            // At most 2^32 * (10^9 + 1000), less than 2^62: no overflow, nothing to clamp.
            ts_ns: seconds * 1_000_000_000 + fraction * self.fraction_ns,
            captured,
            original_len: self.order.u32(header, 12),
            link: self.link,
        };
        Step::Frame(frame, end)
    }
}

/// The byte order of the machine that wrote a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum ByteOrder {
    #[default]
    Little,
    Big,
}

impl ByteOrder {
    /// The number at `at`; 0 if it does not lie within `bytes`, which the callers rule out.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        match self {
            ByteOrder::Little => bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes)),
            ByteOrder::Big => bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes)),
        }
    }

    /// As [`Self::u32`].
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        match self {
            ByteOrder::Little => bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes)),
            ByteOrder::Big => bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes)),
        }
    }
}
