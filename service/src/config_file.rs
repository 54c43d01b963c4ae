//! A configuration file without sections, in TOML: every value as text, with the line it stands in, so that whoever
//! knows what it means can say where it is wrong.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

/// The longest file that is read, in octets.
pub const MAX_FILE: u64 = 1 << 20;

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value as text. Those of an array have commas between them.
    pub value: String,
    /// The line of the key, from 1.
    pub line: usize,
}

/// Something that is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// The text of a file, if it is text and not too long.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn text(path: &Path) -> Result<String, String> {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut octets));
    read.map_err(|error| format!("cannot read the configuration file: {error}"))?;
    if octets.len() as u64 > MAX_FILE {
        return Err(format!(
            "no configuration file: it is longer than {MAX_FILE} octets"
        ));
    }
    String::from_utf8(octets).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = line_of(error.as_bytes(), valid);
        format!("no configuration file: line {line} is no text in UTF-8")
    })
}

/// A key and its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListEntry {
    /// The key.
    pub key: String,
    /// The values of an array as text, or the only one.
    pub values: Vec<String>,
    /// The line of the key, from 1.
    pub line: usize,
}

/// The entries of a TOML file, in the order of their lines.
///
/// # Errors
/// What is no TOML, or no value that has a place without sections.
pub fn toml(text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let joined = |entry: ListEntry| Entry {
        key: entry.key,
        value: entry.values.join(","),
        line: entry.line,
    };
    toml_lists(text).map(|entries| entries.into_iter().map(joined).collect())
}

/// As [`toml`], with the values of arrays apart.
///
/// # Errors
/// As there.
pub fn toml_lists(text: &str) -> Result<Vec<ListEntry>, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| Fault {
            line: line_of(text.as_bytes(), error.span().map_or(0, |span| span.start)),
            what: error.message().replace('\n', ", "),
        })
        .collect();
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(text.as_bytes(), key.span().start);
        let key = key.get_ref();
        match scalar_or_list(value.get_ref()) {
            Some(values) => entries.push(ListEntry {
                key: key.clone().into_owned(),
                values,
                line,
            }),
            None => faults.push(Fault {
                line,
                what: format!("{key}: a text, a number, true or false, or a list of them expected"),
            }),
        }
    }
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.line);
        return Err(faults);
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn scalar_or_list(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect(),
        value => scalar(value).map(|value| vec![value]),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The line in which the octet at `offset` stands.
fn line_of(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.iter().filter(|octet| **octet == b'\n').count()
}

/// The name that was most likely meant by `word`, if one is similar.
#[must_use]
pub fn similar<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// As clap judges misspelt options.
    const SIMILAR: f64 = 0.7;
    let word = word.to_lowercase();
    names
        .map(|name| (strsim::jaro(&word, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_with_lines() {
        let text = "# a comment\nname = \"x y\"\nnumber=0x10\n\nlist = [1, 'two', 0.5]\nflag = true\nbig = 4_000\n";
        let entries = toml(text).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
            .collect();
        let expected = [
            ("name", "x y", 2),
            ("number", "16", 3),
            ("list", "1,two,0.5", 5),
            ("flag", "true", 6),
            ("big", "4000", 7),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_fault_has_its_line() {
        let faults = toml("a = 1\n[section]\nb = 2\n").unwrap_err();
        assert_eq!((faults.len(), faults[0].line), (1, 2));
        assert!(faults[0].what.starts_with("section: a text, a number"));
        let faults = toml("a = 1\na = 2\n\nb = \n").unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.line).collect::<Vec<_>>(),
            [2, 4]
        );
        assert!(faults.iter().all(|fault| !fault.what.contains('\n')));
        assert_eq!(toml("").unwrap(), []);
    }

    #[test]
    fn files_are_bounded_and_text() {
        assert!(
            text(Path::new("/dev/zero"))
                .unwrap_err()
                .contains("longer than")
        );
        assert!(
            text(Path::new("/nonexistent"))
                .unwrap_err()
                .contains("No such file")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad");
        std::fs::write(&path, b"a = 1\nb = '\xff'\n").unwrap();
        assert!(text(&path).unwrap_err().contains("line 2 is no text"));
    }

    #[test]
    fn a_similar_name() {
        let names = ["nf-addr", "nf-port", "mtu"];
        assert_eq!(similar("nf-prot", names.into_iter()), Some("nf-port"));
        assert_eq!(similar("NF_ADDR", names.into_iter()), Some("nf-addr"));
        assert_eq!(similar("qqq", names.into_iter()), None);
    }
}
