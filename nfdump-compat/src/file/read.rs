//! Reading a file block by block. What is damaged is reported once and stepped over; everything whole is delivered.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::compress::Decoder;
use super::layout1;
use super::layout2::{
    self, Appendix, BLOCK_HEADER, BlockHeader, FILE_HEADER, FileHeader, MAX_BLOCK, StatRecord,
};
use super::{FileError, FileErrorKind};

/// A record of any type in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Record type, [`crate::record::V3_RECORD`] for flows.
    pub record_type: u16,
    /// The record with its header.
    pub bytes: &'a [u8],
}

/// A block of records, decompressed and checked: the records fill it exactly.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    number: u32,
    offset: u64,
    size: usize,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    /// Its number in the file, the first is 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where its header lies in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of its payload in the file's own layout, decompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The raw records.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.data }
    }
}

/// The records of a block.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = RawRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawRecord<'a>> {
        let size = layout2::record_size(self.rest)?;
        let (bytes, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(RawRecord {
            record_type: layout2::record_type(bytes),
            bytes,
        })
    }
}

/// Where the data blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Closed file: this many blocks, then the appendix at this offset.
    Finished { blocks: u32, appendix: u64 },
    /// A file that is being written: this many blocks so far.
    Growing { blocks: u32 },
    /// Number not known: blocks to the end of the file.
    ToEnd,
}

impl Extent {
    /// Of a file without an appendix: as many blocks as the header counts, all if it counts none.
    fn unfinished(header: &FileHeader) -> Self {
        match header.blocks {
            0 => Self::ToEnd,
            blocks => Self::Growing { blocks },
        }
    }
}

/// What comes next from the file.
enum Step {
    /// A record block is in `stored`.
    Stored {
        number: u32,
        offset: u64,
        records: u32,
    },
    /// A block of another type was stepped over.
    Skipped,
    /// No more data blocks.
    End,
}

/// Reads a file, of layout 2 (nfdump 1.7) or layout 1 (nfdump 1.6), whose records become those of layout 2.
///
/// [`FileReader::next_block`] may be called again after an error: it then goes on behind the damage, or says that the
/// end is reached. A file that was not closed (the header says 0 blocks) is read to its end.
pub struct FileReader {
    path: PathBuf,
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
        let decoder = decoder(name, &header)?;
        let extent = if header.is_finished() {
            Extent::Finished {
                blocks: header.blocks,
                appendix: header.appendix_offset,
            }
        } else {
            Extent::unfinished(&header)
        };
        Ok(Self {
            path: name.to_owned(),
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
            path: name.to_owned(),
            input,
            extent: Extent::unfinished(&header.file),
            converter: Some(layout1::Converter::new(&header)),
            decoder: decoder(name, &header.file)?,
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
        let (whole, found) = record_chain(data);
        if self.extent == Extent::ToEnd && is_appendix(data) {
            if let Ok(appendix) = layout2::parse_appendix(data) {
                self.appendix = appendix;
            }
            self.blocks -= 1;
            self.ended = true;
            return Ok(None);
        }
        let mut fault = chain_fault(data, whole, number, records, found);
        let mut data = data.get(..whole).unwrap_or_default();
        let size = data.len();
        if let Some(converter) = &mut self.converter {
            let damaged;
            (data, damaged) = converter.convert(data);
            if damaged > 0 {
                fault = fault.or(Some(FileErrorKind::DamagedRecords { block: number }));
            }
        }
        self.pending = fault.map(|kind| FileError::new(&self.path, Some(offset), kind));
        Ok(Some(Block {
            number,
            offset,
            size,
            data,
        }))
    }

    /// Reads the next block as it is stored, or the appendix at the end.
    fn step(&mut self) -> Result<Step, FileError> {
        if self.ended {
            return Ok(Step::End);
        }
        match self.extent {
            Extent::Growing { blocks } if self.blocks >= blocks => return self.end(),
            Extent::Finished { appendix, .. } if self.offset == appendix => return self.end(),
            Extent::Finished { blocks, appendix }
                if self.blocks >= blocks && self.offset > appendix =>
            {
                return self.end();
            }
            _ => {}
        }
        let offset = self.offset;
        let Some(header) = self.read_block()? else {
            return self.end_of_input();
        };
        self.blocks += 1;
        let records = match self.converter {
            Some(_) => layout1::RECORD_BLOCK,
            None => layout2::RECORD_BLOCK,
        };
        if header.kind != records {
            self.skipped += 1;
            return Ok(Step::Skipped);
        }
        Ok(Step::Stored {
            number: self.blocks,
            offset,
            records: header.records,
        })
    }

    /// Reads header and payload of a block into `stored`; none at the end of the input.
    fn read_block(&mut self) -> Result<Option<BlockHeader>, FileError> {
        let offset = self.offset;
        let block = self.blocks.saturating_add(1);
        let mut bytes = [0; BLOCK_HEADER];
        let found = match read_full(&mut self.input, &mut bytes) {
            Ok(found) => found,
            Err(error) => {
                return Err(self.fatal(
                    offset,
                    FileErrorKind::Io {
                        action: "read",
                        error,
                    },
                ));
            }
        };
        if found == 0 {
            return Ok(None);
        }
        if found < BLOCK_HEADER {
            let kind = FileErrorKind::CutBlock {
                block,
                found: found as u64,
                expected: BLOCK_HEADER as u64,
            };
            return Err(self.fatal(offset, kind));
        }
        let header = BlockHeader::parse(bytes);
        let size = header.size as usize;
        if size == 0 || size > MAX_BLOCK || header.records == 0 {
            let kind = FileErrorKind::BlockHeader {
                block,
                size: header.size,
                records: header.records,
            };
            return Err(self.fatal(offset, kind));
        }
        self.stored.clear();
        let payload = (&mut self.input)
            .take(u64::from(header.size))
            .read_to_end(&mut self.stored);
        match payload {
            Ok(found) if found == size => {}
            Ok(found) => {
                let found = (found + BLOCK_HEADER) as u64;
                let expected = (size + BLOCK_HEADER) as u64;
                return Err(self.fatal(
                    offset,
                    FileErrorKind::CutBlock {
                        block,
                        found,
                        expected,
                    },
                ));
            }
            Err(error) => {
                return Err(self.fatal(
                    offset,
                    FileErrorKind::Io {
                        action: "read",
                        error,
                    },
                ));
            }
        }
        self.offset = offset + (size + BLOCK_HEADER) as u64;
        Ok(Some(header))
    }

    /// An error behind which nothing can be read.
    fn fatal(&mut self, offset: u64, kind: FileErrorKind) -> FileError {
        self.ended = true;
        FileError::new(&self.path, Some(offset), kind)
    }

    /// All blocks are read: the appendix of a stream, and whether the header told the truth.
    fn end(&mut self) -> Result<Step, FileError> {
        self.ended = true;
        if let Extent::Finished { blocks, .. } = self.extent {
            if !self.appendix_done {
                self.appendix_done = true;
                let counted = self.blocks;
                let block = self.read_block();
                self.ended = true;
                let parsed = match block {
                    Ok(Some(_)) => self
                        .decoder
                        .decode(&self.stored)
                        .map_err(|_| "it does not decompress"),
                    Ok(None) => Err("it is missing"),
                    Err(_) => Err("it is cut"),
                };
                self.blocks = counted;
                match parsed.and_then(layout2::parse_appendix) {
                    Ok(appendix) => self.appendix = appendix,
                    Err(what) => {
                        self.pending = Some(FileError::new(
                            &self.path,
                            Some(self.offset),
                            FileErrorKind::Appendix(what),
                        ));
                    }
                }
            }
            if blocks != self.blocks {
                let kind = FileErrorKind::BlockCount {
                    said: blocks,
                    found: self.blocks,
                };
                return Err(FileError::new(&self.path, None, kind));
            }
            if let Some(error) = self.pending.take() {
                return Err(error);
            }
        }
        Ok(Step::End)
    }

    /// The input ended between two blocks.
    fn end_of_input(&mut self) -> Result<Step, FileError> {
        self.ended = true;
        match self.extent {
            Extent::Finished { blocks, .. } | Extent::Growing { blocks }
                if blocks != self.blocks =>
            {
                let kind = FileErrorKind::BlockCount {
                    said: blocks,
                    found: self.blocks,
                };
                Err(FileError::new(&self.path, Some(self.offset), kind))
            }
            _ => Ok(Step::End),
        }
    }

    /// Reads the appendix of a regular file where its header says; a fault is reported with the first block.
    fn read_appendix_at(&mut self, file: &File) {
        let Extent::Finished {
            appendix: offset, ..
        } = self.extent
        else {
            return;
        };
        self.appendix_done = true;
        match self.appendix_at(file, offset) {
            Ok(appendix) => self.appendix = appendix,
            Err(what) => {
                self.pending = Some(FileError::new(
                    &self.path,
                    Some(offset),
                    FileErrorKind::Appendix(what),
                ));
            }
        }
    }

    fn appendix_at(&mut self, file: &File, offset: u64) -> Result<Appendix, &'static str> {
        let mut bytes = [0; BLOCK_HEADER];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|_| "it is missing")?;
        let header = BlockHeader::parse(bytes);
        let size = header.size as usize;
        if size == 0 || size > 65536 {
            return Err("it has a wrong length");
        }
        let mut stored = vec![0; size];
        let payload = offset
            .checked_add(BLOCK_HEADER as u64)
            .ok_or("it is missing")?;
        file.read_exact_at(&mut stored, payload)
            .map_err(|_| "it is cut")?;
        let raw = self
            .decoder
            .decode(&stored)
            .map_err(|_| "it does not decompress")?;
        layout2::parse_appendix(raw)
    }
}

fn decoder(path: &Path, header: &FileHeader) -> Result<Decoder, FileError> {
    Decoder::new(header.compression)
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

/// Length and number of the whole records at the start of a block.
fn record_chain(data: &[u8]) -> (usize, u32) {
    let mut records = Records { rest: data };
    let found = records.by_ref().fold(0u32, |n, _| n.saturating_add(1));
    (data.len() - records.rest.len(), found)
}

fn chain_fault(
    data: &[u8],
    whole: usize,
    block: u32,
    said: u32,
    found: u32,
) -> Option<FileErrorKind> {
    let rest = data.get(whole..).unwrap_or_default();
    if !rest.is_empty() {
        let size = rest
            .get(2..4)
            .map_or(0, |b| usize::from(layout2::record_type(b)));
        return Some(FileErrorKind::RecordSize {
            block,
            record: found.saturating_add(1),
            size,
            left: rest.len(),
        });
    }
    (said != found).then_some(FileErrorKind::RecordCount { block, said, found })
}

fn is_appendix(data: &[u8]) -> bool {
    matches!(
        layout2::record_type(data),
        layout2::IDENT_RECORD | layout2::STAT_RECORD
    )
}
