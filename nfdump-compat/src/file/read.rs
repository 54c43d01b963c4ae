//! Reading a file block by block. What is damaged is reported once and stepped over; everything whole is delivered.

mod fetch;
mod records;
mod steps;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::compress::{Compression, Decoder};
use super::layout1;
use super::layout2::{self, Appendix, FILE_HEADER, FileHeader, StatRecord};
use super::{FileError, FileErrorKind};
pub use fetch::{Fetched, Unpacker};
pub use records::{Block, RawRecord, Records};
use records::{is_appendix, whole_records};
use steps::{Extent, Step};

/// Reads a file, of layout 2 (nfdump 1.7) or layout 1 (nfdump 1.6), whose records become those of layout 2.
///
/// [`FileReader::next_block`] may be called again after an error: it then goes on behind the damage, or says that the
/// end is reached. A file that was not closed (the header says 0 blocks) is read to its end.
pub struct FileReader {
    path: Arc<Path>,
    input: Box<dyn Read + Send>,
    header: FileHeader,
    extent: Extent,
    /// Makes the records of layout 2 from a file of layout 1.
    converter: Option<layout1::Converter>,
    appendix: Appendix,
    /// Whether the appendix was read (or found missing) at opening.
    appendix_done: bool,
    /// An error to be reported before anything else.
    pending: Option<FileError>,
    decoder: Decoder,
    stored: Vec<u8>,
    /// Offset of the next byte of the input.
    offset: u64,
    blocks: u32,
    skipped: u32,
    ended: bool,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader")
            .field("path", &self.path)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl FileReader {
    /// Opens a file, `-` for standard input. Of a regular file the appendix is read at once, otherwise source name and
    /// totals are known at the end only.
    ///
    /// # Errors
    /// It cannot be opened, or its header is not that of a file of layout 1 or 2.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        if path.as_os_str() == "-" {
            return Self::from_reader(Path::new("standard input"), io::stdin());
        }
        let open = |error| FileError::io(path, None, "open", error);
        let file = File::open(path).map_err(open)?;
        let metadata = file.metadata().map_err(open)?;
        if metadata.is_dir() {
            return Err(FileError::io(
                path,
                None,
                "read",
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        if !metadata.is_file() {
            return Self::from_reader(path, file);
        }
        let appendix_source = file.try_clone().map_err(open)?;
        let mut reader = Self::from_reader(path, file)?;
        reader.read_appendix_at(&appendix_source);
        Ok(reader)
    }

    /// Reads from anything; `name` stands for the path in errors.
    ///
    /// # Errors
    /// The input cannot be read, or its header is not that of a file of layout 1 or 2.
    pub fn from_reader(name: &Path, input: impl Read + Send + 'static) -> Result<Self, FileError> {
        let mut input: Box<dyn Read + Send> = Box::new(input);
        let mut bytes = [0; FILE_HEADER];
        let found = read_full(&mut input, &mut bytes)
            .map_err(|e| FileError::io(name, Some(0), "read", e))?;
        let fail = |kind| FileError::new(name, None, kind);
        if found == 0 {
            return Err(fail(FileErrorKind::Empty));
        }
        // A short file that is none of ours is named as such.
        let magic = layout2::record_type(&bytes);
        if found < FILE_HEADER && ![layout2::MAGIC, layout2::MAGIC.swap_bytes()].contains(&magic) {
            return Err(fail(FileErrorKind::Magic(magic)));
        }
        if found < FILE_HEADER {
            return Err(fail(FileErrorKind::ShortHeader(found)));
        }
        if magic == layout2::MAGIC && layout2::layout(&bytes) == layout1::LAYOUT {
            return Self::of_layout1(name, input, &bytes);
        }
        let header = FileHeader::parse(&bytes).map_err(fail)?;
        let decoder = decoder(name, header.compression)?;
        let extent = if header.is_finished() {
            Extent::Finished {
                blocks: header.blocks,
                appendix: header.appendix_offset,
            }
        } else {
            Extent::unfinished(&header)
        };
        Ok(Self {
            path: name.into(),
            input,
            header,
            extent,
            converter: None,
            appendix: Appendix::default(),
            appendix_done: false,
            pending: None,
            decoder,
            stored: Vec::new(),
            offset: FILE_HEADER as u64,
            blocks: 0,
            skipped: 0,
            ended: false,
        })
    }

    /// A file of layout 1, whose first bytes have been read.
    fn of_layout1(
        name: &Path,
        mut input: Box<dyn Read + Send>,
        start: &[u8; FILE_HEADER],
    ) -> Result<Self, FileError> {
        let mut bytes = [0; layout1::HEADER];
        let (head, rest) = bytes.split_at_mut(FILE_HEADER);
        head.copy_from_slice(start);
        let found = read_full(&mut input, rest)
            .map_err(|e| FileError::io(name, Some(FILE_HEADER as u64), "read", e))?;
        let fail = |kind| FileError::new(name, None, kind);
        if found < layout1::HEADER - FILE_HEADER {
            return Err(fail(FileErrorKind::ShortHeader(found + FILE_HEADER)));
        }
        let header = layout1::Header::parse(&bytes).map_err(fail)?;
        Ok(Self {
            path: name.into(),
            input,
            extent: Extent::unfinished(&header.file),
            converter: Some(layout1::Converter::new(&header)),
            decoder: decoder(name, header.file.compression)?,
            header: header.file,
            appendix: header.appendix,
            appendix_done: true,
            pending: None,
            stored: Vec::new(),
            offset: layout1::HEADER as u64,
            blocks: 0,
            skipped: 0,
            ended: false,
        })
    }

    /// Reads blocks to the end of the file even where the header of an unfinished file counts fewer: for the recovery
    /// of a file whose writer is dead.
    #[must_use]
    pub fn to_end(mut self) -> Self {
        if let Extent::Growing { .. } = self.extent {
            self.extent = Extent::ToEnd;
        }
        self
    }

    /// Path of the file, or the name given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's header.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Name of the source; of a stream known at its end, of an unfinished file never.
    #[must_use]
    pub fn ident(&self) -> Option<&str> {
        self.appendix.ident.as_deref()
    }

    /// Totals; of a stream known at its end, of an unfinished file never.
    #[must_use]
    pub fn stat(&self) -> Option<&StatRecord> {
        self.appendix.stat.as_ref()
    }

    /// Data blocks read so far.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Blocks of another type than records that were stepped over.
    #[must_use]
    pub fn skipped_blocks(&self) -> u32 {
        self.skipped
    }

    /// Offset of the next byte to be read: how far the file is whole.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block of records; none at the end.
    ///
    /// # Errors
    /// The file is cut or damaged here. Calling again goes on behind the damage where that can be known; every call
    /// consumes input or ends, so a loop that only reports errors terminates.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, FileError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let (number, offset, records) = loop {
            match self.step()? {
                Step::Stored {
                    number,
                    offset,
                    records,
                } => break (number, offset, records),
                Step::Skipped => {}
                Step::End => return Ok(None),
            }
        };
        let data = match self.decoder.decode(&self.stored) {
            Ok(data) => data,
            Err(reason) => {
                let compression = self.header.compression;
                let kind = FileErrorKind::Decompress {
                    block: number,
                    compression,
                    reason,
                };
                return Err(FileError::new(&self.path, Some(offset), kind));
            }
        };
        if self.extent == Extent::ToEnd && is_appendix(data) {
            if let Ok(appendix) = layout2::parse_appendix(data) {
                self.appendix = appendix;
            }
            self.blocks -= 1;
            self.ended = true;
            return Ok(None);
        }
        let (mut data, mut fault) = whole_records(data, number, records);
        let size = data.len();
        if let Some(converter) = &mut self.converter {
            let damaged;
            (data, damaged) = converter.convert(data);
            if damaged > 0 {
                fault = fault.or(Some(FileErrorKind::DamagedRecords { block: number }));
            }
        }
        self.pending = fault.map(|kind| FileError::new(&self.path, Some(offset), kind));
        Ok(Some(Block::new(number, offset, size, data)))
    }
}

fn decoder(path: &Path, compression: Compression) -> Result<Decoder, FileError> {
    Decoder::new(compression)
        .map_err(|e| FileError::io(path, None, "start the decoder", io::Error::other(e)))
}

/// Fills the buffer as far as the input goes.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
