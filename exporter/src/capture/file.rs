//! Reading a capture through one buffer.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::compressed::{Compression, Got};
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::source::{Ended, Source};
use super::{CaptureError, CaptureInfo, Fault, Frame, Step};

/// The name that stands for standard input.
pub const STDIN: &str = "-";

/// The buffer: room for the longest record with what is left of a chunk before it.
const BUFFER: usize = 1 << 20;

/// A capture that is being read.
#[derive(Debug)]
pub struct CaptureFile {
    path: String,
    source: Source,
    buffer: Vec<u8>,
    /// The part of the buffer that is filled.
    filled: usize,
    state: State,
}

/// What a [`Batch`] moves on.
#[derive(Debug)]
struct State {
    parser: Parser,
    /// Octets of the buffer that are done with.
    done: usize,
    /// Offset of `done` in the capture.
    offset: u64,
    /// Octets to be dropped that were not in the buffer.
    skip: u64,
    /// The record at `done` needs so many octets, and its name; 0 when that is not known.
    need: (usize, &'static str),
    fault: Option<Box<Fault>>,
}

#[derive(Debug)]
enum Parser {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureFile {
    /// Opens `path` (`-` is standard input) and reads its head.
    ///
    /// # Errors
    /// When it cannot be opened or read, or is no capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        Self::open_with(path.as_ref(), None)
    }

    /// The same of a capture that is still being written, until `ended` says that it is not: its end is waited for,
    /// also the end of its head.
    ///
    /// # Errors
    /// When it cannot be opened or read, or is no capture.
    pub fn open_growing(path: impl AsRef<Path>, ended: Ended) -> Result<Self, CaptureError> {
        Self::open_with(path.as_ref(), Some(ended))
    }

    fn open_with(path: &Path, ended: Option<Ended>) -> Result<Self, CaptureError> {
        let fail = |fault| CaptureError {
            path: display_name(path),
            fault,
        };
        let file = if path == Path::new(STDIN) {
            std::io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map(File::from)
        } else {
            File::open(path)
        };
        let file = file.map_err(Fault::Open).map_err(fail)?;
        let source = Source::new(file).map_err(fail)?;
        let source = match ended {
            Some(ended) => source.growing(ended),
            None => source,
        };
        Self::begin(source, display_name(path)).map_err(fail)
    }

    /// The same of a file that is open already; `name` stands for it in messages.
    ///
    /// # Errors
    /// When it cannot be read, or is no capture.
    pub fn from_file(file: File, name: String) -> Result<Self, CaptureError> {
        let source = Source::new(file);
        let begun = source.and_then(|source| Self::begin(source, name.clone()));
        begun.map_err(|fault| CaptureError { path: name, fault })
    }

    fn begin(mut source: Source, path: String) -> Result<Self, Fault> {
        let mut buffer = vec![0; BUFFER];
        let mut filled = fill_at_least(&mut source, &mut buffer, 0, 4)?;
        let mut magic = start(buffer.get(..filled).unwrap_or_default())?;
        if let Some(compression) = Compression::recognise(magic) {
            source = source.decompressed(compression, buffer.get(..filled).unwrap_or_default());
            filled = fill_at_least(&mut source, &mut buffer, 0, 4)?;
            magic = start(buffer.get(..filled).unwrap_or_default())?;
        }
        let (parser, done) = if let Some((format, order)) = pcap::recognise(magic) {
            filled = fill_at_least(&mut source, &mut buffer, filled, pcap::HEADER)?;
            let Some(header) = buffer.get(..filled).and_then(|head| head.first_chunk()) else {
                let (needed, present) = (pcap::HEADER as u64, filled as u64);
                return Err(Fault::Cut {
                    what: "file header",
                    offset: 0,
                    needed,
                    present,
                });
            };
            (
                Parser::Pcap(Pcap::new(header, format, order)?),
                pcap::HEADER,
            )
        } else if magic == pcapng::SECTION {
            (Parser::Pcapng(Pcapng::default()), 0)
        } else {
            return Err(not_a_capture(&magic));
        };
        let state = State {
            parser,
            done,
            offset: done as u64,
            skip: 0,
            need: (0, "file header"),
            fault: None,
        };
        let mut capture = CaptureFile {
            path,
            source,
            buffer,
            filled,
            state,
        };
        capture.read_head()?;
        Ok(capture)
    }

    /// Reads blocks of a pcapng file up to the first packet, as far as they came with the first read.
    fn read_head(&mut self) -> Result<(), Fault> {
        let Parser::Pcapng(parser) = &mut self.state.parser else {
            return Ok(());
        };
        // The section header must be right before anything else is believed.
        let mut needed = 12;
        loop {
            self.filled = fill_at_least(&mut self.source, &mut self.buffer, self.filled, needed)?;
            let data = self
                .buffer
                .get(self.state.done..self.filled)
                .unwrap_or_default();
            match parser.step(data, self.state.offset) {
                Step::Need(more, what) if self.state.done == 0 => {
                    if needed == more {
                        let (needed, present) = (needed as u64, self.filled as u64);
                        return Err(Fault::Cut {
                            what,
                            offset: 0,
                            needed,
                            present,
                        });
                    }
                    needed = more;
                }
                Step::Skip(length) if length <= data.len() as u64 => {
                    self.state.done += length as usize;
                    self.state.offset += length;
                }
                Step::Damaged(fault) if self.state.done == 0 => return Err(*fault),
                // The rest, and its faults, are for the batches.
                Step::Frame(..) | Step::Skip(_) | Step::Need(..) | Step::Damaged(_) => {
                    return Ok(());
                }
            }
        }
    }

    /// What the head of the file says.
    #[must_use]
    pub fn info(&self) -> CaptureInfo {
        match &self.state.parser {
            Parser::Pcap(pcap) => pcap.info(),
            Parser::Pcapng(pcapng) => pcapng.info(),
        }
    }

    /// The file as the user named it, or `standard input`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Octets in the file; `None` for pipes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.source.size()
    }

    /// How the file is compressed.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        self.source.compression()
    }

    /// Octets of the file that are done with; of a compressed one those that were decompressed.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self.source.compression() {
            Some(_) => self.source.position(),
            None => self.state.offset,
        }
    }

    /// Octets of the capture, decompressed, that are done with.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.state.offset
    }

    /// The next frames; `None` at the end. A batch may be empty: while a pipe is silent, one comes every
    /// 100 ms. What is left of a batch when it is dropped comes with the next one.
    ///
    /// # Errors
    /// When nothing more can be read. All frames before the fault were delivered by the batches before.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, CaptureError> {
        match self.refill() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(fault) => {
                return Err(CaptureError {
                    path: self.path.clone(),
                    fault,
                });
            }
        }
        let data = self
            .buffer
            .get(self.state.done..self.filled)
            .unwrap_or_default();
        Ok(Some(Batch {
            data,
            state: &mut self.state,
        }))
    }

    /// Makes sure that there is something to parse; `false` at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        if let Some(fault) = self.state.fault.take() {
            return Err(*fault);
        }
        let present = self.filled - self.state.done;
        if present > 0 && present >= self.state.need.0 && self.state.skip == 0 {
            return Ok(true);
        }
        self.buffer.copy_within(self.state.done..self.filled, 0);
        self.state.done = 0;
        self.filled = present;
        let free = self.buffer.get_mut(present..).unwrap_or_default();
        let got = match self.source.read(free)? {
            Got::Octets(got) => got,
            Got::Silence => return Ok(true),
            Got::End => return self.end(present as u64),
        };
        self.filled += got;
        let skipped = usize::try_from(self.state.skip)
            .unwrap_or(usize::MAX)
            .min(self.filled);
        self.state.skip -= skipped as u64;
        self.state.done = skipped;
        self.state.offset += skipped as u64;
        Ok(true)
    }

    /// The end of the file, `present` octets after the last record.
    fn end(&self, present: u64) -> Result<bool, Fault> {
        if self.state.skip > 0 {
            let State { offset, skip, .. } = self.state;
            return Err(Fault::Cut {
                what: "block",
                offset,
                needed: skip,
                present: 0,
            });
        }
        if present == 0 {
            return Ok(false);
        }
        let (needed, what) = self.state.need;
        Err(Fault::Cut {
            what,
            offset: self.state.offset,
            needed: needed as u64,
            present,
        })
    }
}

/// Frames that lie in the reader's buffer.
#[derive(Debug)]
pub struct Batch<'a> {
    data: &'a [u8],
    state: &'a mut State,
}

impl<'a> Iterator for Batch<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            if self.data.is_empty() {
                self.state.need = (0, "");
                return None;
            }
            let step = match &mut self.state.parser {
                Parser::Pcap(pcap) => pcap.step(self.data, self.state.offset),
                Parser::Pcapng(pcapng) => pcapng.step(self.data, self.state.offset),
            };
            match step {
                Step::Frame(frame, length) => {
                    self.advance(length);
                    return Some(frame);
                }
                Step::Skip(length) => {
                    let here = usize::try_from(length)
                        .unwrap_or(usize::MAX)
                        .min(self.data.len());
                    self.advance(here);
                    self.state.skip = length - here as u64;
                }
                Step::Need(needed, what) => {
                    self.state.need = (needed, what);
                    return None;
                }
                Step::Damaged(fault) => {
                    self.state.fault = Some(fault);
                    return None;
                }
            }
        }
    }
}

impl Batch<'_> {
    #[inline]
    fn advance(&mut self, length: usize) {
        self.data = self.data.get(length..).unwrap_or_default();
        self.state.done += length;
        self.state.offset += length as u64;
        self.state.need.0 = 0;
    }
}

/// A path as messages name it.
pub(crate) fn display_name(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads until `wanted` octets are in the buffer or the file ends; says how many there are.
fn fill_at_least(
    source: &mut Source,
    buffer: &mut [u8],
    mut filled: usize,
    wanted: usize,
) -> Result<usize, Fault> {
    while filled < wanted {
        match source.read(buffer.get_mut(filled..).unwrap_or_default())? {
            Got::Octets(got) => filled += got,
            Got::Silence => {}
            Got::End => break,
        }
    }
    Ok(filled)
}

/// The first four octets.
fn start(octets: &[u8]) -> Result<[u8; 4], Fault> {
    match *octets {
        [] => Err(Fault::Empty),
        [a, b, c, d, ..] => Ok([a, b, c, d]),
        _ => Err(not_a_capture(octets)),
    }
}

fn not_a_capture(start: &[u8]) -> Fault {
    let start = start
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(" ");
    Fault::NotACapture { start }
}

#[cfg(test)]
mod tests;
