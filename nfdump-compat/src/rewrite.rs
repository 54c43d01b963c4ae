//! `-J` and `-i`: another compression, or another name of the source, for files that are there.

use crate::{cli::Arguments, inputs::Input, run::find_inputs};
use anyhow::Context;
use nfdump_compat::file::{Change, Compression, FileReader, change};
use std::path::Path;

/// Rewrites the files named with `-r`, `-R` or `-M`: each into a new file beside it that then takes its name.
///
/// # Errors
/// A number or name that cannot be used, or a file that cannot be read or written.
pub fn rewrite(arguments: &Arguments) -> anyhow::Result<()> {
    let named = arguments.read.is_some() || arguments.sequence.is_some();
    anyhow::ensure!(named, "-J and -i need the file: -r FILE");
    let compression = match &arguments.recompress {
        Some(text) => Some(compression(text)?),
        None => None,
    };
    for input in find_inputs(arguments)? {
        let Input::File(path) = input else {
            anyhow::bail!("standard input cannot be rewritten");
        };
        if let Some(ident) = &arguments.ident {
            rename(&path, ident)?;
        }
        if let Some(compression) = compression {
            recompress(&path, compression)?;
        }
    }
    Ok(())
}

fn compression(text: &str) -> anyhow::Result<Compression> {
    let number = text.parse().ok().filter(|number| *number < 5);
    number.and_then(Compression::from_code).with_context(|| {
        format!("-J {text}: expected 0 (none), 1 (LZO), 2 (bzip2), 3 (LZ4) or 4 (ZSTD)")
    })
}

fn rename(path: &Path, ident: &str) -> anyhow::Result<()> {
    let old = FileReader::open(path)?.ident().unwrap_or("none").to_owned();
    change(path, Change::Ident(ident))?;
    println!("{} ident: {old} -> {ident}", path.display());
    Ok(())
}

fn recompress(path: &Path, compression: Compression) -> anyhow::Result<()> {
    if FileReader::open(path)?.header().compression == compression {
        println!(
            "File {} is already same compression methode",
            path.display()
        );
        return Ok(());
    }
    change(path, Change::Compression(compression))?;
    println!("File {} compression changed", path.display());
    Ok(())
}
