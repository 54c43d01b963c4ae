//! Where the octets of a capture come from: a file or a pipe, as it is or through a decompressor.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Fault;
use super::compressed::{Compression, Decompressor, Got};

/// Octets asked for in one read: they stay in the processor's cache until they are dissected.
const CHUNK: usize = 256 * 1024;

/// How long a read from a pipe waits before the caller gets a chance to stop, in milliseconds.
const WAIT_MS: u8 = 100;

/// The octets of a capture, one after the other.
#[derive(Debug)]
pub(super) struct Source {
    octets: Octets,
    /// Octets in the file; `None` if it is no regular file.
    size: Option<u64>,
}

#[derive(Debug)]
enum Octets {
    Plain {
        file: File,
        /// Octets that were read.
        position: u64,
        /// The file may still grow.
        growing: Option<Growing>,
    },
    Compressed(Box<Decompressor>),
}

/// Says when a capture grows no more.
pub struct Ended(Box<dyn Fn() -> bool + Send>);

impl Ended {
    /// It has ended once `ended` says so.
    pub fn when(ended: impl Fn() -> bool + Send + 'static) -> Self {
        Ended(Box::new(ended))
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ended")
    }
}

/// A file that is being written.
#[derive(Debug)]
struct Growing {
    ended: Ended,
    /// Nothing is written any more: the next end is the end.
    done: bool,
}

impl Growing {
    /// What the end of the file means: the end, or nothing yet.
    fn at_end(&mut self) -> Got {
        if self.done {
            return Got::End;
        }
        self.done = (self.ended.0)();
        if !self.done {
            std::thread::sleep(Duration::from_millis(WAIT_MS.into()));
        }
        Got::Silence
    }
}

impl Source {
    /// The same of a file that is waited for at its end until `ended` says that it grows no more. What is compressed
    /// is not waited for.
    pub(super) fn growing(mut self, ended: Ended) -> Self {
        if let Octets::Plain { growing, .. } = &mut self.octets {
            let done = false;
            *growing = Some(Growing { ended, done });
        }
        self.size = None;
        self
    }

    /// A file as it is.
    pub(super) fn new(file: File) -> Result<Self, Fault> {
        let metadata = file.metadata().map_err(Fault::Open)?;
        Ok(Source {
            octets: Octets::Plain {
                file,
                position: 0,
                growing: None,
            },
            size: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// The same, decompressed; `start` was read from it already.
    pub(super) fn decompressed(self, compression: Compression, start: &[u8]) -> Self {
        let octets = match self.octets {
            Octets::Plain { file, .. } => {
                let decompressor = Decompressor::new(compression, start.to_vec(), file);
                Octets::Compressed(Box::new(decompressor))
            }
            twice @ Octets::Compressed(_) => twice,
        };
        Source { octets, ..self }
    }

    /// Octets in the file; `None` if it is no regular file.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Octets of the file that were read; of a compressed one those that were decompressed.
    pub(super) fn position(&self) -> u64 {
        match &self.octets {
            Octets::Plain { position, .. } => *position,
            Octets::Compressed(decompressor) => decompressor.position(),
        }
    }

    /// How the file is compressed.
    pub(super) fn compression(&self) -> Option<Compression> {
        match &self.octets {
            Octets::Plain { .. } => None,
            Octets::Compressed(decompressor) => Some(decompressor.compression),
        }
    }

    /// The next octets, not many at once. Nothing comes of a pipe that is silent for 100 ms.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Got, Fault> {
        let chunk = buffer.len().min(CHUNK);
        let buffer = buffer.get_mut(..chunk).unwrap_or_default();
        let (file, position, growing) = match &mut self.octets {
            Octets::Plain {
                file,
                position,
                growing,
            } => (file, position, growing),
            Octets::Compressed(decompressor) => {
                let patience = Duration::from_millis(WAIT_MS.into());
                return decompressor
                    .read(buffer, patience)
                    .map_err(|source| Fault::Compressed {
                        compression: decompressor.compression,
                        offset: decompressor.position(),
                        source,
                    });
            }
        };
        let fault = |source| Fault::Read {
            offset: *position,
            source,
        };
        if self.size.is_none() && growing.is_none() {
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(WAIT_MS)) {
                Ok(0) | Err(nix::Error::EINTR) => return Ok(Got::Silence),
                Ok(_) => {}
                Err(errno) => return Err(fault(errno.into())),
            }
        }
        match file.read(buffer) {
            Ok(0) => Ok(match growing {
                Some(growing) => growing.at_end(),
                None => Got::End,
            }),
            Ok(octets) => {
                *position += octets as u64;
                Ok(Got::Octets(octets))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Got::Silence),
            Err(error) => Err(fault(error)),
        }
    }
}
