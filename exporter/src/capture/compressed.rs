//! Compressed captures: recognised by their first octets, decompressed on a thread of their own.
//!
//! Little is decompressed ahead of the reader, so that memory stays bounded whatever a file grows to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;

/// Octets that are handed over together, at most.
const CHUNK: usize = 256 * 1024;

/// Chunks that may wait.
const WAITING: usize = 4;

/// What unpacking xz may take, in KiB: dictionaries of up to 128 MiB, twice what `xz -9` makes.
const XZ_MEMORY: u32 = 130 << 10;

/// The compressions that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// gzip (RFC 1952), also several members in a row.
    Gzip,
    /// Zstandard (RFC 8878), also several frames in a row; windows of up to 128 MiB.
    Zstd,
    /// LZ4 frames.
    Lz4,
    /// xz, also several streams in a row; dictionaries of up to 128 MiB.
    Xz,
    /// bzip2, also several streams in a row.
    Bzip2,
}

impl Compression {
    /// By the first four octets of a file.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Compression::Zstd),
            [0x04, 0x22, 0x4d, 0x18] => Some(Compression::Lz4),
            [0xfd, b'7', b'z', b'X'] => Some(Compression::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9'] => Some(Compression::Bzip2),
            _ => None,
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "Zstandard",
            Compression::Lz4 => "LZ4",
            Compression::Xz => "xz",
            Compression::Bzip2 => "bzip2",
        })
    }
}

/// What the thread hands over.
#[derive(Debug)]
enum Handed {
    Octets(Vec<u8>),
    /// The end of the compressed data.
    End,
    Failed(io::Error),
}

/// What came of a read.
#[derive(Debug)]
pub(super) enum Got {
    /// So many octets, more than 0.
    Octets(usize),
    /// Nothing yet.
    Silence,
    End,
}

/// The reader's side of the thread.
#[derive(Debug)]
pub(super) struct Decompressor {
    pub compression: Compression,
    handed: Receiver<Handed>,
    /// Chunks to be filled again.
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    /// Octets of the chunk that were given out.
    taken: usize,
    /// Octets of the file that were decompressed.
    position: Arc<AtomicU64>,
}

impl Decompressor {
    /// Decompresses `start`, which was read from `file` already, and the rest of it.
    pub(super) fn new(compression: Compression, start: Vec<u8>, file: File) -> Self {
        let (full, handed) = sync_channel(WAITING);
        let (empty, again) = channel();
        let position = Arc::new(AtomicU64::new(0));
        let input = Input {
            reader: BufReader::with_capacity(CHUNK, Cursor::new(start).chain(file)),
            position: Arc::clone(&position),
            ended: false,
        };
        std::thread::spawn(move || {
            let ended = match decompress(compression, input, &full, &again) {
                Ok(()) => Handed::End,
                Err(error) => Handed::Failed(error),
            };
            // Nobody may be left who wants to know.
            let _ = full.send(ended);
        });
        Decompressor {
            compression,
            handed,
            empty,
            chunk: Vec::new(),
            taken: 0,
            position,
        }
    }

    /// Octets of the file that were decompressed; somewhat ahead of what was read here.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The next octets; [`Got::Silence`] when there are none for `patience`.
    pub(super) fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Got> {
        if self.taken == self.chunk.len() {
            match self.handed.recv_timeout(patience) {
                Ok(Handed::Octets(chunk)) => {
                    let done = std::mem::replace(&mut self.chunk, chunk);
                    self.taken = 0;
                    // The thread may have ended.
                    let _ = self.empty.send(done);
                }
                Ok(Handed::End) => return Ok(Got::End),
                Ok(Handed::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => return Ok(Got::Silence),
                // The thread always hands over its end, unless it panics.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the decompressor has failed"));
                }
            }
        }
        let waiting = self.chunk.get(self.taken..).unwrap_or_default();
        let octets = waiting.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..octets), waiting.get(..octets)) {
            to.copy_from_slice(from);
        }
        self.taken += octets;
        Ok(Got::Octets(octets))
    }
}

/// Hands over everything in chunks, until nobody takes them any more.
fn decompress(
    compression: Compression,
    input: Input,
    full: &SyncSender<Handed>,
    again: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut decoder: Box<dyn Read> = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
        Compression::Lz4 => Box::new(Lz4(FrameDecoder::new(input))),
        Compression::Xz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
    };
    loop {
        let mut chunk = again.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(octets) => {
                chunk.truncate(octets);
                if full.send(Handed::Octets(chunk)).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The compressed octets; counts those that were used.
struct Input {
    reader: BufReader<io::Chain<Cursor<Vec<u8>>, File>>,
    position: Arc<AtomicU64>,
    /// Somebody wanted more than there is.
    ended: bool,
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, octets: usize) {
        self.reader.consume(octets);
        self.position.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.reader.read(buffer)?;
        self.position.fetch_add(octets as u64, Ordering::Relaxed);
        self.ended |= octets == 0 && !buffer.is_empty();
        Ok(octets)
    }
}

/// All frames of a file. The library's decoder stops after each, and takes a file that ends between the blocks of a
/// frame for complete.
struct Lz4(FrameDecoder<Input>);

impl Read for Lz4 {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let octets = self.0.read(buffer)?;
            if octets > 0 {
                return Ok(octets);
            }
            let input = self.0.get_mut();
            if input.ended {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
        }
    }
}
