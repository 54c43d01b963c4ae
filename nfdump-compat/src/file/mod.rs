//! nfcapd files, layout 2 (nfdump 1.7): [`FileReader`] and [`FileWriter`], and what keeps files whole: [`recover`] and [`merge`].
//!
//! A file is a header, blocks of records (each compressed for itself) and an appendix with the source's name and the
//! totals. Reading and writing stream block by block through reused buffers; no length found in a file makes more than
//! [`layout2::MAX_BLOCK`] bytes of memory.

mod block;
mod compress;
mod copy;
mod layout1;
pub mod layout2;
mod lzo;
mod read;
mod recover;
#[cfg(test)]
mod tests;
mod totals;
mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use block::{BlockBuilder, BlockEncoder, BlockFile, NotWritten, RawBlock, StoredBlock};
pub use compress::Compression;
pub use copy::{Change, Copier, change, merge};
pub use layout2::{ExporterInfo, ExporterStat, FileHeader, ProtocolTotals, Sampler, StatRecord};
pub use read::{Block, Fetched, FileReader, RawRecord, Records, Unpacker};
pub use recover::{Recovered, recover};
pub use write::{FileWriter, WriterOptions};

use crate::record::RecordError;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}{}", path.display(), place(*offset))]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Offset of the header, block or record at fault, in bytes from the start of the file, where it has one.
    pub offset: Option<u64>,
    /// What it is; the message says it, so that it is no source of its own.
    pub kind: FileErrorKind,
}

fn place(offset: Option<u64>) -> String {
    offset
        .map(|offset| format!(" (at offset {offset})"))
        .unwrap_or_default()
}

impl FileError {
    fn new(path: &Path, offset: Option<u64>, kind: FileErrorKind) -> Self {
        Self {
            path: path.to_owned(),
            offset,
            kind,
        }
    }

    fn io(path: &Path, offset: Option<u64>, action: &'static str, error: io::Error) -> Self {
        Self::new(path, offset, FileErrorKind::Io { action, error })
    }
}

/// The kinds of [`FileError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// The system refused.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was tried: "open", "read", "write" …
        action: &'static str,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
    /// A file of 0 bytes.
    #[error("the file is empty")]
    Empty,
    /// Shorter than a file header.
    #[error("not an nfcapd file: {0} bytes, the header alone has {size}", size = layout2::FILE_HEADER)]
    ShortHeader(usize),
    /// The first two bytes are not nfcapd's.
    #[error("not an nfcapd file: it starts with 0x{0:04X}, not 0x{magic:04X}", magic = layout2::MAGIC)]
    Magic(u16),
    /// The magic number is byte-swapped.
    #[error(
        "written on a big-endian machine: nfcapd files can only be read on machines of the same byte order"
    )]
    ForeignEndian,
    /// Another layout.
    #[error("layout version {0} ({by}) is not supported, only 1 (nfdump 1.6) and 2 (nfdump 1.7)", by = match .0 { 3 => "nfdump 1.8", _ => "unknown" })]
    Layout(u16),
    /// Unknown compression code.
    #[error("unknown compression {0}")]
    Compression(u8),
    /// Encrypted file.
    #[error("the file is encrypted ({0})")]
    Encrypted(u8),
    /// The file ends inside a block.
    #[error("the file is cut: block {block} has {found} bytes of {expected}")]
    CutBlock {
        /// Number of the block, the first is 1.
        block: u32,
        /// Bytes there, the block's header included.
        found: u64,
        /// Bytes expected, the block's header included.
        expected: u64,
    },
    /// A block header that cannot be.
    #[error("block {block} is corrupt: {size} bytes, {records} records (at most {max} bytes, and never empty)", max = layout2::MAX_BLOCK)]
    BlockHeader {
        /// Number of the block, the first is 1.
        block: u32,
        /// Size in the header.
        size: u32,
        /// Records in the header.
        records: u32,
    },
    /// A block that does not decompress (in at most 5 MiB).
    #[error("block {block} does not decompress with {compression}: {reason}")]
    Decompress {
        /// Number of the block, the first is 1.
        block: u32,
        /// The file's compression.
        compression: Compression,
        /// What the decoder says.
        reason: String,
    },
    /// Record lengths that do not fill the block.
    #[error("block {block} is corrupt: record {record} says {size} bytes, {left} are left")]
    RecordSize {
        /// Number of the block, the first is 1.
        block: u32,
        /// Number of the record in the block, the first is 1.
        record: u32,
        /// Size in the record.
        size: usize,
        /// Bytes from the record's start to the end of the block.
        left: usize,
    },
    /// A block has another number of records than its header says.
    #[error("block {block} says {said} records, it has {found}")]
    RecordCount {
        /// Number of the block, the first is 1.
        block: u32,
        /// Number in its header.
        said: u32,
        /// Number counted.
        found: u32,
    },
    /// The file has another number of blocks than its header says.
    #[error("the header says {said} blocks, there are {found}")]
    BlockCount {
        /// Number in the header.
        said: u32,
        /// Number found.
        found: u32,
    },
    /// The appendix cannot be read; the records are not concerned.
    #[error("the appendix (source name and totals) is damaged: {0}")]
    Appendix(&'static str),
    /// A flow record that cannot be.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// Flow records of a block that are none.
    #[error("block {block} has flow records that cannot be read")]
    DamagedRecords {
        /// Number of the block, the first is 1.
        block: u32,
    },
    /// A source name that nfdump would not read.
    #[error("source name \"{0}\" cannot be stored: 1 to {max} bytes without spaces or control characters", max = layout2::MAX_IDENT)]
    Ident(String),
    /// More exporters than a file can number.
    #[error("more than 65535 exporters in one file")]
    TooManyExporters,
}
