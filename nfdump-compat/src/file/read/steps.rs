//! From block to block: where the data blocks end, and the appendix behind them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::{FileReader, read_full};
use crate::file::layout1;
use crate::file::layout2::{self, Appendix, BLOCK_HEADER, BlockHeader, FileHeader, MAX_BLOCK};
use crate::file::{FileError, FileErrorKind};

/// Where the data blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Closed file: this many blocks, then the appendix at this offset.
    Finished { blocks: u32, appendix: u64 },
    /// A file that is being written: this many blocks so far.
    Growing { blocks: u32 },
    /// Number not known: blocks to the end of the file.
    ToEnd,
}

impl Extent {
    /// Of a file without an appendix: as many blocks as the header counts, all if it counts none.
    pub(super) fn unfinished(header: &FileHeader) -> Self {
        match header.blocks {
            0 => Self::ToEnd,
            blocks => Self::Growing { blocks },
        }
    }
}

/// What comes next from the file.
pub(super) enum Step {
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

impl FileReader {
    /// Reads the next block as it is stored, or the appendix at the end.
    pub(super) fn step(&mut self) -> Result<Step, FileError> {
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
        let found = read_full(&mut self.input, &mut bytes)
            .map_err(|error| self.unreadable(offset, error))?;
        if found == 0 {
            return Ok(None);
        }
        let cut = |found: usize, expected: usize| FileErrorKind::CutBlock {
            block,
            found: found as u64,
            expected: expected as u64,
        };
        if found < BLOCK_HEADER {
            return Err(self.fatal(offset, cut(found, BLOCK_HEADER)));
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
        let found = (&mut self.input)
            .take(u64::from(header.size))
            .read_to_end(&mut self.stored)
            .map_err(|error| self.unreadable(offset, error))?;
        if found != size {
            let kind = cut(found + BLOCK_HEADER, size + BLOCK_HEADER);
            return Err(self.fatal(offset, kind));
        }
        self.offset = offset + (size + BLOCK_HEADER) as u64;
        Ok(Some(header))
    }

    fn unreadable(&mut self, offset: u64, error: io::Error) -> FileError {
        let action = "read";
        self.fatal(offset, FileErrorKind::Io { action, error })
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
                match self.appendix_here() {
                    Ok(appendix) => self.appendix = appendix,
                    Err(what) => self.pending = Some(self.no_appendix(self.offset, what)),
                }
            }
            if blocks != self.blocks {
                return Err(FileError::new(&self.path, None, self.miscount(blocks)));
            }
            if let Some(error) = self.pending.take() {
                return Err(error);
            }
        }
        Ok(Step::End)
    }

    /// The appendix as the next block of the input.
    fn appendix_here(&mut self) -> Result<Appendix, &'static str> {
        match self.read_block() {
            Ok(Some(_)) => {}
            Ok(None) => return Err("it is missing"),
            Err(_) => return Err("it is cut"),
        }
        let raw = self.decoder.decode(&self.stored);
        layout2::parse_appendix(raw.map_err(|_| "it does not decompress")?)
    }

    fn no_appendix(&self, offset: u64, what: &'static str) -> FileError {
        FileError::new(&self.path, Some(offset), FileErrorKind::Appendix(what))
    }

    fn miscount(&self, said: u32) -> FileErrorKind {
        let found = self.blocks;
        FileErrorKind::BlockCount { said, found }
    }

    /// The input ended between two blocks.
    fn end_of_input(&mut self) -> Result<Step, FileError> {
        self.ended = true;
        match self.extent {
            Extent::Finished { blocks, .. } | Extent::Growing { blocks }
                if blocks != self.blocks =>
            {
                let kind = self.miscount(blocks);
                Err(FileError::new(&self.path, Some(self.offset), kind))
            }
            _ => Ok(Step::End),
        }
    }

    /// Reads the appendix of a regular file where its header says; a fault is reported with the first block.
    pub(super) fn read_appendix_at(&mut self, file: &File) {
        let Extent::Finished {
            appendix: offset, ..
        } = self.extent
        else {
            return;
        };
        self.appendix_done = true;
        match self.appendix_at(file, offset) {
            Ok(appendix) => self.appendix = appendix,
            Err(what) => self.pending = Some(self.no_appendix(offset, what)),
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
