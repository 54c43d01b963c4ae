//! Which files a query reads.

use crate::say::say;
use anyhow::Context;
use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl std::fmt::Display for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Stdin => formatter.write_str("standard input"),
        }
    }
}

/// The file, all files below the directory, or standard input for `-`.
///
/// # Errors
/// There is no such file or directory, or it cannot be listed.
pub fn read(path: &Path) -> anyhow::Result<Vec<Input>> {
    if path.as_os_str() == "-" {
        return Ok(vec![Input::Stdin]);
    }
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![Input::File(path.to_owned())]);
    }
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    anyhow::ensure!(!files.is_empty(), "no files below {}", path.display());
    Ok(files.into_iter().map(Input::File).collect())
}

/// A directory, the files of a directory from `FIRST` on, or those up to `LAST`; with sub directories in `LAST` as many
/// of them belong to `FIRST`, too.
///
/// # Errors
/// [`BadList`] if the first file does not exist; its directory cannot be listed.
pub fn sequence(text: &str) -> anyhow::Result<Vec<Input>> {
    let (first, last) = text
        .rsplit_once(':')
        .map_or((text, None), |(first, last)| (first, Some(last)));
    let first = Path::new(first);
    let metadata = fs::metadata(first)
        .map_err(|error| BadList(format!("cannot read {}: {error}", first.display())))?;
    if metadata.is_dir() {
        return read(first);
    }
    let last = last.map(Path::new);
    let levels = last.map_or(1, |last| last.components().count());
    let base = first
        .ancestors()
        .nth(levels)
        .filter(|base| !base.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut files = Vec::new();
    if levels > 1 {
        collect(base, &mut files)?;
    } else {
        files.extend(data_files(base)?);
    }
    let place = |path: &Path| path.strip_prefix(base).unwrap_or(path).to_owned();
    let begin = place(first);
    files.retain(|path| {
        let place = place(path);
        place >= begin && last.is_none_or(|last| place <= *last)
    });
    files.sort();
    anyhow::ensure!(!files.is_empty(), "no files from {text} on");
    Ok(files.into_iter().map(Input::File).collect())
}

/// The same file (`-r`), or sequence of files (`-R`), of several directories `BASE/A`, `BASE/B` ….
///
/// # Errors
/// No file or sequence is named, or one with an absolute path; no directory can be read.
pub fn several(
    directories: &str,
    file: Option<&Path>,
    list: Option<&str>,
) -> anyhow::Result<Vec<Input>> {
    let (base, names) = directories.rsplit_once('/').unwrap_or((".", directories));
    let absolute =
        file.is_some_and(Path::is_absolute) || list.is_some_and(|list| list.starts_with('/'));
    if absolute {
        let text = "with -M the file of -r or -R must not begin with '/'";
        return Err(BadList(text.to_owned()).into());
    }
    let mut inputs = Vec::new();
    for name in names.split(':') {
        let directory = Path::new(base).join(name);
        if !directory.is_dir() {
            say(format_args!("{} is no directory", directory.display()));
            continue;
        }
        match (file, list) {
            (Some(file), _) => {
                let path = directory.join(file);
                if path.is_file() {
                    inputs.push(Input::File(path));
                } else {
                    say(format_args!("{} is no file", path.display()));
                }
            }
            (None, Some(list)) => inputs.extend(sequence(&directory.join(list).to_string_lossy())?),
            (None, None) => anyhow::bail!(
                "-M needs -r FILE or -R FIRST[:LAST]; -R . for all files of the directories"
            ),
        }
    }
    anyhow::ensure!(
        !inputs.is_empty(),
        "no files in the directories of -M {directories}"
    );
    Ok(inputs)
}

/// Refuses to write to a file that is read: creating it would empty it.
///
/// # Errors
/// `target` is one of the inputs, perhaps by another name.
pub fn spare(inputs: &[Input], target: &Path) -> anyhow::Result<()> {
    let place = |path: &Path| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(written) = place(target) else {
        return Ok(());
    };
    let same = |input: &&Input| match input {
        Input::File(path) => place(path) == Some(written),
        Input::Stdin => false,
    };
    match inputs.iter().find(same) {
        Some(input) => anyhow::bail!(
            "-w {}: {input} is read, and would be lost",
            target.display()
        ),
        None => Ok(()),
    }
}

/// A list of files that cannot be: nfdump has an exit code of its own for it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadList(String);

/// Without `-r` and `-R`: the finished slots of `$T2_FLOWS`, else of the current directory; also returns which.
///
/// # Errors
/// The directory cannot be listed or has none.
pub fn default_place() -> anyhow::Result<(Vec<Input>, PathBuf)> {
    let place = env::var_os("T2_FLOWS")
        .filter(|value| !value.is_empty())
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let mut files: Vec<PathBuf> = data_files(&place)?
        .filter(|path| is_finished_slot(path))
        .collect();
    files.sort();
    anyhow::ensure!(
        !files.is_empty(),
        "no finished slots (nfcapd.<digits>) in {}: name a file with -r, or set T2_FLOWS",
        place.display()
    );
    Ok((files.into_iter().map(Input::File).collect(), place))
}

fn is_finished_slot(path: &Path) -> bool {
    let digits = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix("nfcapd."));
    digits.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    files.extend(data_files(directory)?);
    for entry in entries(directory)? {
        if entry.is_dir()
            && !entry.is_symlink()
            && let Err(error) = collect(&entry, files)
        {
            // The others are worth having.
            say(format_args!("{error:#}"));
        }
    }
    Ok(())
}

/// The regular files of a directory, without hidden ones and the collector's working files.
fn data_files(directory: &Path) -> anyhow::Result<impl Iterator<Item = PathBuf>> {
    Ok(entries(directory)?.into_iter().filter(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        path.is_file()
            && name
                .is_some_and(|name| !name.starts_with('.') && !name.starts_with("nfcapd.current"))
    }))
}

fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot list {}", directory.display());
    let entries = fs::read_dir(directory).with_context(cannot)?;
    entries
        .map(|entry| Ok(entry.with_context(cannot)?.path()))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for name in [
            "nfcapd.202611240005",
            "nfcapd.202611240000",
            "nfcapd.current.17",
            ".nfstat",
            "notes",
            "sub/nfcapd.202611240010",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    fn names(inputs: &[Input], folder: &Path) -> Vec<String> {
        let name = |input: &Input| match input {
            Input::File(path) => path.strip_prefix(folder).unwrap().display().to_string(),
            Input::Stdin => "-".to_owned(),
        };
        inputs.iter().map(name).collect()
    }

    #[test]
    fn directories_are_read_recursively() {
        let folder = folder();
        let inputs = read(folder.path()).unwrap();
        assert_eq!(
            names(&inputs, folder.path()),
            [
                "nfcapd.202611240000",
                "nfcapd.202611240005",
                "notes",
                "sub/nfcapd.202611240010"
            ]
        );
        assert_eq!(read(Path::new("-")).unwrap(), [Input::Stdin]);
        assert!(read(&folder.path().join("none")).is_err());
    }

    #[test]
    fn sequences_have_ends() {
        let folder = folder();
        let first = folder.path().join("nfcapd.202611240000");
        let text = format!("{}:nfcapd.202611240005", first.display());
        assert_eq!(
            names(&sequence(&text).unwrap(), folder.path()),
            ["nfcapd.202611240000", "nfcapd.202611240005"]
        );
        let from = folder.path().join("nfcapd.202611240005");
        assert_eq!(
            names(
                &sequence(&from.display().to_string()).unwrap(),
                folder.path()
            ),
            ["nfcapd.202611240005", "notes"]
        );
        assert!(sequence("/nowhere/nfcapd.1").is_err());
    }

    #[test]
    fn finished_slots_have_digits_only() {
        for (name, finished) in [
            ("nfcapd.202611240000", true),
            ("nfcapd.current.17", false),
            ("nfcapd.", false),
            ("x.2026", false),
        ] {
            assert_eq!(is_finished_slot(Path::new(name)), finished, "{name}");
        }
    }
}
