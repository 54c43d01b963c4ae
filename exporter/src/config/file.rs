//! Configuration files: TOML with the names of the options as keys, or Tranalyzer's `NAME = value` with its names.

use std::path::{Path, PathBuf};

use service::config_file::{Entry, Fault, similar, text, toml};

use super::setting::{Setting, Settings};
use super::{UsageError, table};

/// A file whose keys and values are all right.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub path: PathBuf,
    entries: Vec<(&'static Setting, Entry)>,
}

impl ConfigFile {
    /// Reads `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, UsageError> {
        let name = path.display();
        let text = text(path).map_err(|what| UsageError::File(vec![format!("{name}: {what}")]))?;
        let located = |fault: Fault| format!("{name}:{}: {}", fault.line, fault.what);
        let all = |faults: Vec<Fault>| UsageError::File(faults.into_iter().map(located).collect());
        let is_t2 = is_tranalyzers(&text);
        let entries = match is_t2 {
            true => tranalyzers(&text),
            false => toml(&text),
        };
        let mut known = Vec::new();
        let mut faults = Vec::new();
        for entry in entries.map_err(all)? {
            let line = entry.line;
            match understood(entry, is_t2) {
                Ok(entry) => known.push(entry),
                Err(what) => faults.push(Fault { line, what }),
            }
        }
        if !faults.is_empty() {
            return Err(all(faults));
        }
        Ok(ConfigFile {
            path: path.to_owned(),
            entries: known,
        })
    }

    /// The value and the line of a setting. The last line counts.
    pub fn get(&self, name: &str) -> Option<(&str, usize)> {
        let found = self
            .entries
            .iter()
            .rfind(|(setting, _)| setting.name == name);
        found.map(|(_, entry)| (entry.value.as_str(), entry.line))
    }
}

/// Finds the setting, and tries its value.
fn understood(entry: Entry, is_t2: bool) -> Result<(&'static Setting, Entry), String> {
    let Entry { key, value, line } = entry;
    let setting = match is_t2 {
        true => table::by_t2_name(&key),
        false => table::by_name(&key),
    };
    let Some(setting) = setting else {
        let names = table::all().filter_map(|setting| match is_t2 {
            true => setting.t2.as_ref().map(|t2| t2.name),
            false => Some(setting.name),
        });
        return Err(match similar(&key, names) {
            Some(name) => format!("{key} is no setting; a similar one exists: {name}"),
            None => format!("{key} is no setting"),
        });
    };
    let translated = setting.t2.as_ref().filter(|_| is_t2).and_then(|t2| {
        let found = t2.values.iter().find(|(theirs, _)| *theirs == value);
        found.map(|(_, ours)| (*ours).to_owned())
    });
    let value = translated.unwrap_or(value);
    setting
        .read(&mut Settings::default(), value.as_ref())
        .map_err(|expected| format!("{key} = {value}: {expected}"))?;
    Ok((setting, Entry { key, value, line }))
}

/// The lines that say something, with their numbers. Tranalyzer's comments start with # or %.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '%']))
}

/// Tranalyzer's names are in capital letters, ours are not.
fn is_tranalyzers(text: &str) -> bool {
    let first = lines(text).next();
    first.is_some_and(|(_, line)| line.starts_with(|first: char| first.is_ascii_uppercase()))
        || text.lines().any(|line| line.trim_start().starts_with('%'))
}

/// `NAME = value`, the value perhaps in quotes; `yes` and `no` are 1 and 0.
fn tranalyzers(text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (line, text) in lines(text) {
        match text.split_once('=') {
            Some((key, value)) => entries.push(Entry {
                key: key.trim().to_owned(),
                value: tranalyzers_value(value.trim()),
                line,
            }),
            None => faults.push(Fault {
                line,
                what: "NAME = value expected".to_owned(),
            }),
        }
    }
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

fn tranalyzers_value(text: &str) -> String {
    if let Some((value, _)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return value.to_owned();
    }
    // What stands behind the value is a comment.
    let value = text.split(['#', '%']).next().unwrap_or_default().trim();
    match value {
        "yes" => "1",
        "no" => "0",
        value => value,
    }
    .to_owned()
}
