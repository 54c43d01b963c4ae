//! Finishing a file whose writer died: `nfcapd.current.*` without appendix.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::copy::Copier;
use super::layout2::StatRecord;
use super::read::FileReader;
use super::write::{FileWriter, WriterOptions};
use super::{FileError, FileErrorKind};

/// What was found in an orphaned file.
#[derive(Debug)]
pub struct Recovered {
    /// Time of creation, seconds since 1970: it lies in the slot.
    pub created_s: i64,
    /// Totals, made from the records.
    pub stat: StatRecord,
    /// Blocks that were whole.
    pub blocks: u32,
    /// What could not be read: at most one error a block.
    pub damage: Vec<FileError>,
    /// Flow records that were no flow records, left out.
    pub bad_records: u64,
    /// The file was complete already and was not touched.
    pub was_complete: bool,
}

/// At most so many errors are kept.
const MAX_DAMAGE: usize = 100;

/// Makes a valid file of one that was not closed: all whole blocks, to the end of the file whatever its header counts,
/// totals made from the records, `ident` as the name of the source where the file has none.
///
/// The records go to a new file beside it, which takes its name when it is complete: a crash on the way loses nothing.
/// A complete file is left as it is. A file that is empty or has no header of ours is an error, and is left as it is.
///
/// # Errors
/// The file cannot be read at all, or the new one cannot be written.
pub fn recover(path: &Path, ident: &str) -> Result<Recovered, FileError> {
    let reader = FileReader::open(path)?.to_end();
    if let Some(complete) = check_complete(path, &reader)? {
        return Ok(complete);
    }
    let beside = beside(path);
    let recovered = rewrite(reader, &beside, ident).and_then(|recovered| {
        fs::rename(&beside, path)
            .map_err(|e| FileError::io(path, None, "rename the recovered file to", e))?;
        Ok(recovered)
    });
    if recovered.is_err() {
        // It may not exist at all; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    recovered
}

/// A hidden name in the same directory.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".recover.");
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// Whether a file with an appendix reads without a fault.
fn check_complete(path: &Path, opened: &FileReader) -> Result<Option<Recovered>, FileError> {
    let Some(stat) = opened.stat().cloned() else {
        return Ok(None);
    };
    let mut reader = FileReader::open(path)?;
    loop {
        match reader.next_block() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return Ok(None),
        }
    }
    let created_s = reader.header().created_s;
    let blocks = reader.blocks();
    Ok(Some(Recovered {
        created_s,
        stat,
        blocks,
        damage: Vec::new(),
        bad_records: 0,
        was_complete: true,
    }))
}

fn rewrite(mut reader: FileReader, target: &Path, ident: &str) -> Result<Recovered, FileError> {
    let created_s = reader.header().created_s;
    let options = WriterOptions {
        ident: ident.to_owned(),
        compression: reader.header().compression,
        created_s,
    };
    let mut writer = FileWriter::create(target, &options)?;
    let mut copier = Copier::new();
    let (mut blocks, mut bad_records, mut damage) = (0, 0, Vec::new());
    loop {
        match reader.next_block() {
            Ok(None) => break,
            Ok(Some(block)) => {
                bad_records += copier.block(&block, &mut writer)?;
                blocks += 1;
            }
            // The disk, not the file: better try again later than lose what is there.
            Err(error) if matches!(error.kind, FileErrorKind::Io { .. }) => return Err(error),
            Err(error) if damage.len() < MAX_DAMAGE => damage.push(error),
            Err(_) => {}
        }
    }
    writer.adopt_ident(reader.ident());
    let created_ms = u64::try_from(created_s).unwrap_or(0).saturating_mul(1000);
    let stat = writer.finish((created_ms, created_ms), &[])?;
    Ok(Recovered {
        created_s,
        stat,
        blocks,
        damage,
        bad_records,
        was_complete: false,
    })
}
