//! nfdump's configuration file (`-C`, `$NFCONF`): named formats, `[nfdump] fmt.NAME = "%ts %td …"`.

use crate::cli::Arguments;
use anyhow::Context;
use std::{env, fs, path::PathBuf};

/// The formats of the configuration file: name and format. Without a file, or with `none` for its name, there are none.
///
/// # Errors
/// The file cannot be read or is not understood.
pub fn formats(arguments: &Arguments) -> anyhow::Result<Vec<(String, String)>> {
    let named = arguments.config.clone().map(PathBuf::from);
    let path = match named.or_else(|| env::var_os("NFCONF").map(PathBuf::from)) {
        Some(path) if path.as_os_str() != "none" && !path.as_os_str().is_empty() => path,
        _ => return Ok(Vec::new()),
    };
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    parse(&text).with_context(|| format!("configuration file {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let file: toml::Table = text.parse()?;
    let section = file.get("nfdump").and_then(|section| section.get("fmt"));
    let Some(formats) = section.and_then(toml::Value::as_table) else {
        return Ok(Vec::new());
    };
    formats
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(format) => Ok((name.clone(), format.to_owned())),
            None => anyhow::bail!("fmt.{name} is no text"),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::parse;

    #[test]
    fn formats_have_names() {
        let text = "[nfcapd]\nexporter.x = [\"10.0.0.1\", \"/tmp\"]\n[nfdump]\nfmt.short = \"%ts %sa\"\nfmt.line = \"%da\"\n";
        let mut formats = parse(text).unwrap();
        formats.sort();
        let expected = [("line", "%da"), ("short", "%ts %sa")];
        assert_eq!(
            formats,
            expected.map(|(name, format)| (name.to_owned(), format.to_owned()))
        );
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("[nfdump]\nfmt.x = 3\n").is_err());
        assert!(parse("[nfdump").is_err());
    }
}
