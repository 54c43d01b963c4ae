//! Captures and interfaces in, frames out: the only part of the exporter that knows pcap and pcapng.
//!
//! A frame is a slice of the reader's own buffer: nothing is copied between the
//! read and the dissection. Compressed files are decompressed on the way. What is inside a frame is not looked at here.

mod compressed;
mod file;
mod filter;
mod link_type;
mod live;
mod pcap;
mod pcapng;
mod source;

pub use compressed::Compression;
pub(crate) use file::display_name;
pub use file::{Batch, CaptureFile, STDIN};
pub use filter::{Filter, FilterError};
pub use link_type::LinkType;
pub use live::{LiveBatch, LiveCapture, LiveCounters, LiveError};
pub use source::Ended;

/// The longest frame that is accepted, in octets: libpcap's `MAXIMUM_SNAPLEN`. A length above it is
/// taken as damage, so that no file makes us allocate what it merely claims.
pub const MAX_FRAME: u32 = 262_144;

/// One captured frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// When it was captured, nanoseconds since 1970. Clamped to ±2^62 (the years 1823 to 2116), so that
    /// the difference of two times never overflows.
    pub ts_ns: i64,
    /// The octets that are in the file.
    pub captured: &'a [u8],
    /// The frame's length on the wire, in octets.
    pub original_len: u32,
    /// What the frame starts with.
    pub link: LinkType,
}

/// Times are kept within this many nanoseconds of 1970.
const MAX_TIME_NS: i64 = 1 << 62;

/// What the head of a capture says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaptureInfo {
    /// File format.
    pub format: Format,
    /// Link type of the first interface; `None` for a pcapng file without interfaces.
    pub link: Option<LinkType>,
    /// The most octets of a frame that were kept when capturing; 0 = no limit told.
    pub snaplen: u32,
}

/// The formats that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// pcap with microseconds (magic `a1b2c3d4`).
    Pcap,
    /// pcap with nanoseconds (magic `a1b23c4d`).
    PcapNano,
    /// pcap with longer record headers (magic `a1b2cd34`).
    PcapModified,
    /// pcapng.
    Pcapng,
    /// No file: an interface.
    Interface,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Pcap => "pcap, microseconds",
            Format::PcapNano => "pcap, nanoseconds",
            Format::PcapModified => "pcap with modified record headers",
            Format::Pcapng => "pcapng",
            Format::Interface => "interface",
        })
    }
}

/// A capture that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct CaptureError {
    /// The file as the user named it.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a capture. Offsets count octets from the start of the capture, decompressed, unless they say
/// otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be opened.
    #[error("cannot open the capture: {0}")]
    Open(#[source] std::io::Error),
    /// Reading failed.
    #[error("reading failed at offset {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Compressed data are damaged or end too early.
    #[error("the {compression} data are damaged or cut at offset {offset}: {source}")]
    Compressed {
        /// How the file is compressed.
        compression: Compression,
        /// Where in the compressed file.
        offset: u64,
        /// What the decompressor says.
        source: std::io::Error,
    },
    /// There is not a single octet.
    #[error("not a capture: the file is empty")]
    Empty,
    /// The first octets belong to no format that is read.
    #[error("not a pcap or pcapng capture: it starts with {start}")]
    NotACapture {
        /// The first octets in hexadecimal.
        start: String,
    },
    /// A version of the format that nobody knows.
    #[error("{format} version {major}.{minor} is not known")]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The file ends inside a record.
    #[error(
        "the capture is cut: the {what} at offset {offset} needs {needed} octets, {present} are there"
    )]
    Cut {
        /// `file header`, `packet` or `block`.
        what: &'static str,
        /// Where the record starts.
        offset: u64,
        /// What it needs.
        needed: u64,
        /// What the file still has.
        present: u64,
    },
    /// A length that cannot be true.
    #[error("the {what} at offset {offset} claims {length} octets, the limit is {limit}")]
    Length {
        /// `packet` or `block`.
        what: &'static str,
        /// Where the record starts.
        offset: u64,
        /// The claim.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// A pcapng block that contradicts itself or the blocks before it.
    #[error("the pcapng block at offset {offset} is damaged: {what}")]
    Block {
        /// Where the block starts.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Seconds and nanoseconds to nanoseconds within the limits of [`Frame::ts_ns`].
pub(crate) fn clamp_ns(ns: i128) -> i64 {
    let limit = i128::from(MAX_TIME_NS);
    i64::try_from(ns.clamp(-limit, limit)).unwrap_or(0)
}

/// What a parser makes of the head of the octets it is given.
enum Step<'a> {
    /// A frame, and how many octets its record takes.
    Frame(Frame<'a>, usize),
    /// Octets that hold no frame. There may be more of them than are there.
    Skip(u64),
    /// The record is not complete: so many octets must be there. Names the record.
    Need(usize, &'static str),
    /// Nothing after this can be read.
    Damaged(Box<Fault>),
}
