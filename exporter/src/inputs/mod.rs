//! The captures of a run, one after the other.

mod rotation;

pub use rotation::Rotation;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::capture::{
    CaptureError, CaptureFile, Ended, Filter, FilterError, Format, STDIN, display_name,
};
use crate::config::Captures;
use crate::dissect::Dissector;

/// How often somebody looks whether to stop while a pipe says nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often somebody looks for the next capture.
const POLL: Duration = Duration::from_millis(200);

/// Captures that are still to be read.
#[derive(Debug)]
pub struct Inputs {
    /// The first one that could be opened, until it is asked for.
    first: Option<CaptureFile>,
    rest: Rest,
    /// What could not be opened before it.
    failures: Vec<String>,
    /// The octets of all files, if all are regular ones.
    size: Option<u64>,
}

impl Inputs {
    /// Opens the first capture that can be opened, and prepares the filter for it.
    ///
    /// # Errors
    /// When none can be opened, or the filter cannot be compiled for it.
    pub fn open(
        input: &Captures,
        filter: Option<&mut Filter>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let list = match input {
            Captures::One(path) => vec![path.clone()],
            Captures::List(path) => read_list(path)?,
            Captures::Follow(rotation) => return Self::follow(rotation, filter, stop),
        };
        let size = list.iter().map(|path| {
            let metadata = path.metadata().ok()?;
            metadata.is_file().then_some(metadata.len())
        });
        let size = size.sum();
        let count = list.len();
        let mut list = list.into_iter();
        let mut failures = Vec::new();
        let mut filter = filter;
        let mut first_error = None;
        for path in list.by_ref() {
            match open(&path, None, filter.as_deref_mut(), stop) {
                Ok(capture) => {
                    return Ok(Inputs {
                        first: Some(capture),
                        rest: Rest::Listed(list),
                        failures,
                        size,
                    });
                }
                Err(error) if error.is::<FilterError>() => return Err(error),
                Err(error) => {
                    failures.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        match (first_error, input) {
            (Some(error), Captures::One(_) | Captures::Follow(_)) => Err(error),
            (Some(error), Captures::List(list)) => Err(error.context(format!(
                "none of the {count} captures of {} can be read; the first",
                list.display()
            ))),
            (None, _) => bail!("{}: the list names no capture", input.path().display()),
        }
    }

    /// Waits for the first of numbered captures, or until `stop` is set.
    fn follow(
        rotation: &Rotation,
        filter: Option<&mut Filter>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let mut inputs = Inputs {
            first: None,
            rest: Rest::Numbered {
                rotation: rotation.clone(),
                next: rotation.first(),
            },
            failures: Vec::new(),
            size: None,
        };
        let found = rotation
            .find(rotation.first())
            .with_context(|| format!("{rotation}: cannot look for captures"))?;
        if found.is_none() {
            // A misspelt name would be waited for in silence.
            let _ = writeln!(std::io::stderr(), "t2x: waiting for {rotation}");
        }
        let mut failures = Vec::new();
        inputs.first = inputs.next(filter, stop, &mut failures);
        inputs.failures = failures;
        Ok(inputs)
    }

    /// The octets of all files; `None` if one is a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next capture. Those before it that cannot be opened are told in `failures`.
    pub fn next(
        &mut self,
        mut filter: Option<&mut Filter>,
        stop: &AtomicBool,
        failures: &mut Vec<String>,
    ) -> Option<CaptureFile> {
        failures.append(&mut self.failures);
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !stop.load(Ordering::Relaxed) {
            let (path, ended) = self.rest.next(stop, failures)?;
            match open(&path, ended, filter.as_deref_mut(), stop) {
                Ok(capture) => return Some(capture),
                Err(error) => failures.push(error.to_string()),
            }
        }
        None
    }
}

/// The captures after the first one.
#[derive(Debug)]
enum Rest {
    Listed(std::vec::IntoIter<PathBuf>),
    Numbered {
        rotation: Rotation,
        /// The number that is due.
        next: u64,
    },
}

impl Rest {
    /// The next path, and for a capture that may still grow how to find out that it does not any more. Waits for
    /// numbered captures until `stop` is set; tells which of them are missing.
    fn next(
        &mut self,
        stop: &AtomicBool,
        failures: &mut Vec<String>,
    ) -> Option<(PathBuf, Option<Ended>)> {
        let (rotation, next) = match self {
            Rest::Listed(list) => return Some((list.next()?, None)),
            Rest::Numbered { rotation, next } => (rotation, next),
        };
        while rotation.goes_on_to(*next) {
            match rotation.find(*next) {
                Ok(Some((number, path))) => {
                    if number > *next {
                        let missing = match number - *next {
                            1 => rotation.name_of(*next),
                            _ => {
                                let last = rotation.name_of(number - 1);
                                format!("{} to {last}", rotation.name_of(*next))
                            }
                        };
                        let there = path.display();
                        failures.push(format!("{missing}: no such file, but {there} is there"));
                    }
                    *next = number.saturating_add(1);
                    let following = rotation.clone();
                    let next = *next;
                    let ended = following
                        .goes_on_to(next)
                        .then(|| Ended::when(move || !matches!(following.find(next), Ok(None))));
                    return Some((path, ended));
                }
                Ok(None) => {}
                Err(error) => {
                    failures.push(format!("{rotation}: cannot look for captures: {error}"));
                    return None;
                }
            }
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(POLL);
        }
        None
    }
}

/// The files that a list names: one a line, as they are opened from the working directory. Empty lines and those that
/// start with # or % name none.
fn read_list(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut text = Vec::new();
    let read = if path == Path::new(STDIN) {
        std::io::stdin().read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.with_context(|| format!("{}: cannot read the list", display_name(path)))?;
    let lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let names = lines.filter(|line| !matches!(line, [] | [b'#' | b'%', ..]));
    Ok(names.map(|name| OsStr::from_bytes(name).into()).collect())
}

/// Opens a capture whose frames can be dissected. Gives up waiting for a pipe, or for the head of a capture that
/// grows, when `stop` is set.
fn open(
    path: &Path,
    ended: Option<Ended>,
    filter: Option<&mut Filter>,
    stop: &AtomicBool,
) -> anyhow::Result<CaptureFile> {
    let capture = match ended {
        Some(ended) => on_a_thread(path, stop, |path| CaptureFile::open_growing(path, ended))?,
        None if path.is_file() => CaptureFile::open(path)?,
        None => on_a_thread(path, stop, CaptureFile::open)?,
    };
    let info = capture.info();
    if let Some(link) = info.link {
        if info.format != Format::Pcapng && !Dissector::knows(link) {
            bail!("{}: link type {link} is not supported", capture.path());
        }
        if let Some(filter) = filter {
            filter.prepare(link)?;
        }
    }
    Ok(capture)
}

/// Opening and reading the head of a capture may take for ever: another thread does it.
fn on_a_thread(
    path: &Path,
    stop: &AtomicBool,
    open: impl FnOnce(PathBuf) -> Result<CaptureFile, CaptureError> + Send + 'static,
) -> anyhow::Result<CaptureFile> {
    let (send, opened) = channel();
    let owned = path.to_owned();
    std::thread::spawn(move || {
        // Nobody waits any more when the run was stopped.
        let _ = send.send(open(owned));
    });
    loop {
        match opened.recv_timeout(PATIENCE) {
            Ok(capture) => return Ok(capture?),
            Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
            Err(_) => bail!("{}: stopped before the capture began", display_name(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lists_have_comments_and_odd_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let text = b"# captures\none.pcap\r\n\n  two words.pcap  \n% none.pcap\nl\xe4st.pcap";
        std::fs::write(&path, text).unwrap();
        let names = read_list(&path).unwrap();
        let expect: [&[u8]; 3] = [b"one.pcap", b"two words.pcap", b"l\xe4st.pcap"];
        assert_eq!(
            names,
            expect.map(|name| PathBuf::from(OsStr::from_bytes(name)))
        );
    }
}
