//! nfdump's configuration file (`-C`, `$NFCONF`): of its section `[nfdump]` the named formats (`fmt.NAME`, `csv.NAME`) and
//! the geo database (`geodb.path`). Sections of other programs are theirs.

use crate::{cli::Arguments, say::say};
use anyhow::Context;
use std::{env, ffi::OsString, fs, path::PathBuf};
use toml::de::{DeTable, DeValue};

/// What nfdump's other programs read of the file.
const FOREIGN: [&str; 6] = [
    "common", "nfcapd", "sfcapd", "nfpcapd", "nfanon", "nfexpire",
];
/// Keys without a meaning here: how many threads work, and a database of exits of Tor.
const IGNORED: [&str; 2] = ["maxworkers", "tordb"];

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Names, and formats as `-o` takes them.
    pub formats: Vec<(String, String)>,
    /// Geo databases; several with colons between them.
    pub geo: Option<OsString>,
}

/// Reads the file. Without one, or with `none` for its name, nothing is set. Keys that are not known are named on standard
/// error.
///
/// # Errors
/// The file cannot be read or is not understood.
pub fn read(arguments: &Arguments) -> anyhow::Result<Config> {
    let named = arguments.config.clone().map(PathBuf::from);
    let path = match named.or_else(|| env::var_os("NFCONF").map(PathBuf::from)) {
        Some(path) if path.as_os_str() != "none" && !path.as_os_str().is_empty() => path,
        _ => return Ok(Config::default()),
    };
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    let (config, unknown) =
        parse(&text).with_context(|| format!("configuration file {}", path.display()))?;
    for (line, key) in unknown {
        say(format_args!(
            "{} line {line}: unknown key {key} is ignored",
            path.display()
        ));
    }
    Ok(config)
}

/// What the text says, and the keys that are not known with their lines.
fn parse(text: &str) -> anyhow::Result<(Config, Vec<(usize, String)>)> {
    let file = DeTable::parse(text)?;
    let line = |at: usize| text.get(..at).unwrap_or_default().lines().count().max(1);
    let mut config = Config::default();
    let mut unknown = Vec::new();
    for (name, section) in file.get_ref() {
        let place = line(name.span().end);
        match (name.get_ref().as_ref(), section.get_ref()) {
            ("nfdump", DeValue::Table(keys)) => {
                for (key, value) in keys {
                    let known = config.take(key.get_ref(), value.get_ref())?;
                    if !known {
                        unknown.push((line(key.span().end), format!("nfdump.{}", key.get_ref())));
                    }
                }
            }
            (name, _) if FOREIGN.contains(&name) => {}
            (name, _) => unknown.push((place, name.to_owned())),
        }
    }
    Ok((config, unknown))
}

impl Config {
    /// Takes a key of `[nfdump]`; false if it is not known.
    fn take(&mut self, key: &str, value: &DeValue<'_>) -> anyhow::Result<bool> {
        match (key, value) {
            ("fmt" | "csv", DeValue::Table(formats)) => {
                for (name, format) in formats {
                    let name = name.get_ref();
                    let DeValue::String(format) = format.get_ref() else {
                        anyhow::bail!("{key}.{name} is no text");
                    };
                    self.formats
                        .push((name.to_string(), format!("{key}:{format}")));
                }
            }
            ("geodb", DeValue::Table(geo)) => match geo.get("path").map(|path| path.get_ref()) {
                Some(DeValue::String(path)) => self.geo = Some(path.as_ref().into()),
                Some(_) => anyhow::bail!("geodb.path is no text"),
                None => return Ok(false),
            },
            ("fmt" | "csv" | "geodb", _) => anyhow::bail!("{key} needs a name behind a dot"),
            (key, _) => return Ok(IGNORED.contains(&key)),
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names() {
        let text = "[nfcapd]\nexporter.x = [\"10.0.0.1\", \"/tmp\"]\n[nfdump]\nfmt.short = \"%ts %sa\"\nfmt.line = \"%da\"\ncsv.two = \"%sa,%da\"\ngeodb.path = \"/var/db/a.mmdb:/var/db/b.mmdb\"\nmaxworkers = 4\n";
        let (mut config, unknown) = parse(text).unwrap();
        config.formats.sort();
        let expected = [
            ("line", "fmt:%da"),
            ("short", "fmt:%ts %sa"),
            ("two", "csv:%sa,%da"),
        ];
        assert_eq!(
            config.formats,
            expected.map(|(name, format)| (name.to_owned(), format.to_owned()))
        );
        assert_eq!(config.geo.unwrap(), "/var/db/a.mmdb:/var/db/b.mmdb");
        assert!(unknown.is_empty());
        assert_eq!(parse("").unwrap(), (Config::default(), Vec::new()));
    }

    #[test]
    fn unknown_keys_have_lines() {
        let text = "# comment\n[nfdump]\nfmt.a = \"%sa\"\nformat.b = \"%sa\"\n\ngeodb.file = \"x\"\n[nfdmp]\nx = 1\n";
        let (_, mut unknown) = parse(text).unwrap();
        unknown.sort();
        let expected = [(4, "nfdump.format"), (6, "nfdump.geodb"), (7, "nfdmp")];
        assert_eq!(unknown, expected.map(|(line, key)| (line, key.to_owned())));
        for wrong in [
            "[nfdump]\nfmt.x = 3\n",
            "[nfdump]\nfmt = 3\n",
            "[nfdump]\ngeodb.path = 3\n",
            "[nfdump",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
