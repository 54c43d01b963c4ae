//! The captures of a run, one after the other.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::capture::{CaptureFile, Filter, FilterError, Format, STDIN, display_name};
use crate::config::Captures;
use crate::dissect::Dissector;

/// How often somebody looks whether to stop while a pipe says nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// Captures that are still to be read.
#[derive(Debug)]
pub struct Inputs {
    /// The first one that could be opened, until it is asked for.
    first: Option<CaptureFile>,
    rest: std::vec::IntoIter<PathBuf>,
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
        };
        let size = list.iter().map(|path| {
            let metadata = path.metadata().ok()?;
            metadata.is_file().then_some(metadata.len())
        });
        let size = size.sum();
        let count = list.len();
        let mut inputs = Inputs {
            first: None,
            rest: list.into_iter(),
            failures: Vec::new(),
            size,
        };
        let mut filter = filter;
        let mut first_error = None;
        for path in inputs.rest.by_ref() {
            match open(&path, filter.as_deref_mut(), stop) {
                Ok(capture) => {
                    inputs.first = Some(capture);
                    return Ok(inputs);
                }
                Err(error) if error.is::<FilterError>() => return Err(error),
                Err(error) => {
                    inputs.failures.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        match (first_error, input) {
            (Some(error), Captures::One(_)) => Err(error),
            (Some(error), Captures::List(list)) => Err(error.context(format!(
                "none of the {count} captures of {} can be read; the first",
                list.display()
            ))),
            (None, _) => bail!("{}: the list names no capture", input.path().display()),
        }
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
            match open(&self.rest.next()?, filter.as_deref_mut(), stop) {
                Ok(capture) => return Some(capture),
                Err(error) => failures.push(error.to_string()),
            }
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

/// Opens a capture whose frames can be dissected. Gives up waiting for a pipe when `stop` is set.
fn open(
    path: &Path,
    filter: Option<&mut Filter>,
    stop: &AtomicBool,
) -> anyhow::Result<CaptureFile> {
    let capture = if path.is_file() {
        CaptureFile::open(path)?
    } else {
        open_pipe(path, stop)?
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

/// Opening and reading the head of a pipe may take for ever: another thread does it.
fn open_pipe(path: &Path, stop: &AtomicBool) -> anyhow::Result<CaptureFile> {
    let (send, opened) = channel();
    let owned = path.to_owned();
    std::thread::spawn(move || {
        // Nobody waits any more when the run was stopped.
        let _ = send.send(CaptureFile::open(owned));
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
