//! Lines on their way to a file, a row of files or a socket, counted where they arrive.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::socket::{SocketCounters, SocketWriter};
use crate::config::{Limit, Split};

/// Octets that are written at once.
const BUFFER: usize = 1 << 18;

/// Octets that are handed to a socket at once.
const SOCKET_BUFFER: usize = 1 << 15;

/// Takes lines, and delivers many at once.
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Complete lines in it, in octets.
    complete: usize,
    to: Target,
    /// Lines that have arrived whole.
    delivered: u64,
}

enum Target {
    /// A file or standard output.
    One(Box<dyn Write>),
    Split(SplitFile),
    Socket(SocketWriter),
}

impl Lines {
    pub fn to_one(out: Box<dyn Write>) -> Self {
        Self::new(Target::One(out))
    }

    /// To `path` with a number behind it, the next one when a file is full.
    /// `names`: the first line is no flow, but the names of the columns.
    pub fn to_split(path: PathBuf, split: Split, names: bool) -> io::Result<Self> {
        let file = SplitFile::create(path, split, names)?;
        Ok(Self::new(Target::Split(file)))
    }

    pub fn to_socket(socket: SocketWriter) -> Self {
        Self::new(Target::Socket(socket))
    }

    fn new(to: Target) -> Self {
        Lines {
            buffer: Vec::new(),
            complete: 0,
            to,
            delivered: 0,
        }
    }

    /// Lines that have arrived, the row of column names among them; those of a socket are counted elsewhere.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Names of files that were made after the first one.
    pub fn more_files(&mut self) -> Vec<PathBuf> {
        match &mut self.to {
            Target::Split(split) => std::mem::take(&mut split.more),
            Target::One(_) | Target::Socket(_) => Vec::new(),
        }
    }

    /// From now on whoever has lines may wait.
    pub fn may_wait(&mut self) {
        if let Target::Socket(socket) = &mut self.to {
            socket.may_wait = true;
        }
    }

    /// What a socket has done so far.
    pub fn socket(&self) -> Option<SocketCounters> {
        match &self.to {
            Target::Socket(socket) => Some(socket.counters()),
            Target::One(_) | Target::Split(_) => None,
        }
    }

    /// Ends a socket; says what became of the lines.
    pub fn finish(self) -> Option<SocketCounters> {
        match self.to {
            Target::Socket(socket) => Some(socket.finish()),
            Target::One(_) | Target::Split(_) => None,
        }
    }

    /// Delivers the complete lines.
    fn deliver(&mut self) -> io::Result<()> {
        let lines = self.buffer.get(..self.complete).unwrap_or_default();
        match &mut self.to {
            Target::One(out) => deliver(out, lines, &mut self.delivered)?,
            Target::Split(split) => deliver(&mut split.file, lines, &mut self.delivered)?,
            Target::Socket(socket) => socket.send(lines)?,
        }
        self.buffer.drain(..self.complete);
        self.complete = 0;
        Ok(())
    }

    /// A line is complete.
    fn line(&mut self) -> io::Result<()> {
        let octets = self.buffer.len() - self.complete;
        let starts_new = match &mut self.to {
            Target::Split(split) => split.is_full_before(octets),
            Target::One(_) | Target::Socket(_) => false,
        };
        if starts_new {
            self.deliver()?;
            if let Target::Split(split) = &mut self.to {
                split.next()?;
            }
        }
        self.complete = self.buffer.len();
        let most = match self.to {
            Target::Socket(_) => SOCKET_BUFFER,
            Target::One(_) | Target::Split(_) => BUFFER,
        };
        match self.complete >= most {
            true => self.deliver(),
            false => Ok(()),
        }
    }
}

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(octets);
        if octets.last() == Some(&b'\n') {
            self.line()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deliver()?;
        match &mut self.to {
            Target::One(out) => out.flush(),
            Target::Split(split) => split.file.flush(),
            Target::Socket(_) => Ok(()),
        }
    }
}

/// Writes all lines, and counts those that arrive whole, also when the rest cannot be written.
fn deliver(out: &mut impl Write, mut lines: &[u8], delivered: &mut u64) -> io::Result<()> {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(octets) => {
                *delivered += count(lines.get(..octets).unwrap_or_default());
                lines = lines.get(octets..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The lines that end in `octets`.
pub(super) fn count(octets: &[u8]) -> u64 {
    octets.iter().filter(|octet| **octet == b'\n').count() as u64
}

/// One of a row of files.
struct SplitFile {
    /// The name without number.
    path: PathBuf,
    split: Split,
    /// The first file begins with the names of the columns.
    names: bool,
    file: File,
    octets: u64,
    flows: u64,
    /// Files after the first one.
    more: Vec<PathBuf>,
}

impl SplitFile {
    fn create(path: PathBuf, split: Split, names: bool) -> io::Result<Self> {
        Ok(SplitFile {
            file: File::create(numbered(&path, split.start))?,
            path,
            split,
            names,
            octets: 0,
            flows: 0,
            more: Vec::new(),
        })
    }

    /// Whether a line of so many octets goes to the next file; if not, it is counted. As in Tranalyzer, the line that
    /// reaches the limit is the last one.
    fn is_full_before(&mut self, octets: usize) -> bool {
        let full = match self.split.limit {
            Limit::Octets(most) => self.octets >= most,
            // The row of column names is no flow.
            Limit::Flows(most) => self.flows > most || self.flows == most && !self.has_names(),
        };
        if full {
            (self.octets, self.flows) = (0, 0);
        }
        self.octets += octets as u64;
        self.flows += 1;
        full
    }

    /// Whether the file begins with a row of column names.
    fn has_names(&self) -> bool {
        self.names && self.more.is_empty()
    }

    fn next(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let number = self.split.start + 1 + self.more.len() as u64;
        let path = numbered(&self.path, number);
        self.file = File::create(&path)?;
        self.more.push(path);
        Ok(())
    }
}

/// Tranalyzer puts the number at the very end.
pub(super) fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(number.to_string());
    name.into()
}
