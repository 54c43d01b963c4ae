//! Fetching a block and unpacking it as two steps, of which the second may be any thread's.

use std::path::Path;
use std::sync::Arc;

use super::records::{Block, whole_records};
use super::steps::{Extent, Step};
use super::{FileReader, decoder};
use crate::file::compress::{Compression, Decoder};
use crate::file::{FileError, FileErrorKind};

/// A block as a file has it.
#[derive(Debug)]
pub struct Fetched {
    path: Arc<Path>,
    number: u32,
    offset: u64,
    bytes: Vec<u8>,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Compressed so; the file says how many records are in it.
    Stored(Compression, u32),
    /// Unpacked and checked; its octets in the layout of the file.
    Ready(usize),
}

impl Default for Fetched {
    fn default() -> Self {
        Self {
            path: Path::new("").into(),
            number: 0,
            offset: 0,
            bytes: Vec::new(),
            form: Form::Ready(0),
        }
    }
}

impl FileReader {
    /// Fetches the next block of records; false at the end.
    ///
    /// # Errors
    /// As [`FileReader::next_block`]; what only unpacking finds is told by [`Unpacker::unpack`].
    pub fn fetch(&mut self, fetched: &mut Fetched) -> Result<bool, FileError> {
        fetched.path = Arc::clone(&self.path);
        if self.extent == Extent::ToEnd || self.converter.is_some() {
            // What comes next depends on what is in the block.
            let Some(block) = self.next_block()? else {
                return Ok(false);
            };
            fetched.bytes.clear();
            fetched.bytes.extend_from_slice(block.data());
            (fetched.number, fetched.offset) = (block.number(), block.offset());
            fetched.form = Form::Ready(block.size());
            return Ok(true);
        }
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        loop {
            match self.step()? {
                Step::Stored {
                    number,
                    offset,
                    records,
                } => {
                    std::mem::swap(&mut self.stored, &mut fetched.bytes);
                    (fetched.number, fetched.offset) = (number, offset);
                    fetched.form = Form::Stored(self.header.compression, records);
                    return Ok(true);
                }
                Step::Skipped => {}
                Step::End => return Ok(false),
            }
        }
    }
}

/// Unpacks fetched blocks.
#[derive(Default)]
pub struct Unpacker {
    decoder: Option<(Compression, Decoder)>,
}

impl Unpacker {
    /// The block, and what is wrong with it though some of it is whole.
    ///
    /// # Errors
    /// Nothing of it can be read.
    pub fn unpack<'a>(
        &'a mut self,
        fetched: &'a Fetched,
    ) -> Result<(Block<'a>, Option<FileError>), FileError> {
        let Fetched {
            path,
            number,
            offset,
            bytes,
            form,
        } = fetched;
        let (compression, records) = match *form {
            Form::Ready(size) => return Ok((Block::new(*number, *offset, size, bytes), None)),
            Form::Stored(compression, records) => (compression, records),
        };
        let last = self.decoder.take();
        let (_, decoder) = match last.filter(|(method, _)| *method == compression) {
            Some(same) => self.decoder.insert(same),
            None => self
                .decoder
                .insert((compression, decoder(path, compression)?)),
        };
        let fail = |kind| FileError::new(path, Some(*offset), kind);
        let data = decoder.decode(bytes).map_err(|reason| {
            fail(FileErrorKind::Decompress {
                block: *number,
                compression,
                reason,
            })
        })?;
        let (data, fault) = whole_records(data, *number, records);
        let block = Block::new(*number, *offset, data.len(), data);
        Ok((block, fault.map(fail)))
    }
}
