//! What the targets share: a capture that lies in memory.

use std::fs::File;
use std::io::{Seek, Write};

use exporter::capture::{CaptureFile, Frame};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Opens octets as a capture and gives its frames one by one. Returns the octets of the capture that were read, and
/// whether it was read to its end; `None` if it is no capture.
///
/// # Panics
/// When the system has no memory for a file.
pub fn frames(octets: &[u8], mut each: impl FnMut(&Frame<'_>)) -> Option<(u64, bool)> {
    let memory = memfd_create("capture", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
    let mut file = File::from(memory);
    file.write_all(octets).expect("room in memory");
    file.rewind().expect("a regular file");
    let mut capture = CaptureFile::from_file(file, "memory".to_owned()).ok()?;
    loop {
        match capture.next_batch() {
            Ok(Some(batch)) => batch.for_each(|frame| each(&frame)),
            Ok(None) => return Some((capture.offset(), true)),
            Err(_) => return Some((capture.offset(), false)),
        }
    }
}
