//! `-v`: checks a file block by block.

use crate::say::say;
use jiff::tz::TimeZone;
use nfdump_compat::{
    file::{Compression, FileReader, layout2::CREATORS},
    output::{time::LocalTime, versions::Facts},
    record::RecordView,
    record::V3_RECORD,
};
use std::{
    io::{self, Write},
    path::Path,
};

/// Records in the appendix: source name and totals.
const APPENDIX_RECORDS: u64 = 2;

/// Reads the whole file, prints what it is and what is in it.
///
/// # Errors
/// The file cannot be read, or something in it is damaged.
pub fn verify(path: &Path, facts: &Facts) -> anyhow::Result<()> {
    let mut reader = FileReader::open(path)?;
    let mut out = Vec::new();
    describe(&reader, path, facts, &mut out);
    io::stdout().write_all(&out)?;
    let (mut records, mut damage) = (0_u64, 0_u64);
    loop {
        match reader.next_block() {
            Ok(Some(block)) => {
                for raw in block.records() {
                    records += 1;
                    if raw.record_type == V3_RECORD
                        && let Err(error) = RecordView::parse(raw.bytes)
                    {
                        damage += 1;
                        say(format_args!(
                            "{}: block {}: {error}",
                            path.display(),
                            block.number()
                        ));
                    }
                }
            }
            Ok(None) => break,
            Err(error) => {
                damage += 1;
                say(error);
            }
        }
    }
    let appendix = u64::from(reader.stat().is_some());
    let blocks = u64::from(reader.blocks()) + appendix;
    records += appendix * APPENDIX_RECORDS;
    writeln!(
        io::stdout(),
        "\nTotal\nType 3 blocks : {blocks}\nRecords       : {records}"
    )?;
    anyhow::ensure!(
        damage == 0,
        "{} is damaged in {damage} places",
        path.display()
    );
    Ok(())
}

fn describe(reader: &FileReader, path: &Path, facts: &Facts, out: &mut Vec<u8>) {
    let header = reader.header();
    let compression = match header.compression {
        Compression::None => "not".to_owned(),
        compression => compression.to_string().to_lowercase(),
    };
    let size = match std::fs::metadata(path) {
        Ok(metadata) if facts.later => format!("Size       : {}\n", metadata.len()),
        _ => String::new(),
    };
    out.extend_from_slice(
        format!(
            "File       : {}\n{size}Version    : 2 - {compression} compressed\nCreated    : ",
            path.display()
        )
        .as_bytes(),
    );
    LocalTime::new(TimeZone::system())
        .push_seconds(out, u64::try_from(header.created_s).unwrap_or(0));
    let named = usize::try_from(header.creator)
        .ok()
        .and_then(|at| CREATORS.get(at));
    let creator = match facts.later {
        true => format!("\nCreated by : {}", named.unwrap_or(&CREATORS[0])),
        false => String::new(),
    };
    let rest = format!(
        "{creator}\nnfdump     : {:x}\nencryption : no\nAppdx blks : {}\nData blks  : {}\nChecking data blocks\n{}",
        header.nfd_version,
        header.appendix_blocks,
        header.blocks,
        // As nfdump, which ends before it gets there.
        if header.blocks > 0 {
            "Checking appendix blocks\n"
        } else {
            ""
        }
    );
    out.extend_from_slice(rest.as_bytes());
}

/// `-x`: extension maps, which files of nfdump 1.7 do not have.
///
/// # Errors
/// The file cannot be read.
pub fn extension_maps(path: &Path, _: &Facts) -> anyhow::Result<()> {
    FileReader::open(path)?;
    let title = "Dump all extension maps:";
    writeln!(
        io::stdout(),
        "\n{title}\n{}\nNo 1.6.x extension definition records",
        "=".repeat(title.len())
    )?;
    Ok(())
}
