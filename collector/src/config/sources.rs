//! Which sources there are: `-w`, `-n`, `-M`, and nfdump's configuration file.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nfdump_compat::file::layout2::MAX_IDENT;

use super::{ConfigError, Source, Surroundings};
use crate::cli::Cli;

/// The sources of a command line; none with `-M`. Their directories are there.
pub(super) fn sources(
    cli: &Cli,
    surroundings: &Surroundings,
    notices: &mut Vec<String>,
) -> Result<Vec<Source>, ConfigError> {
    if let Some(directory) = &cli.dynamic {
        check_directory(directory)?;
        return Ok(Vec::new());
    }
    let sources = find(cli, surroundings, notices)?;
    for source in &sources {
        check_directory(&source.directory)?;
        if surroundings.as_nfcapd {
            let address = source
                .address
                .map_or("any IP".to_owned(), |a| a.to_string());
            let directory = source.directory.display();
            notices.push(format!(
                "Add flow source: ident: {}, IP: {address}, flowdir: {directory}",
                source.ident
            ));
        }
    }
    Ok(sources)
}

fn find(
    cli: &Cli,
    surroundings: &Surroundings,
    notices: &mut Vec<String>,
) -> Result<Vec<Source>, ConfigError> {
    let named = cli.source.iter().map(|definition| {
        let option = format!("-n {definition}");
        (option, named_source(definition))
    });
    let mut named: Vec<_> = named.collect();
    let anywhere = cli.directory.as_ref().or(cli.legacy_directory.as_ref());
    if let Some(file) = nfdump_config(cli, surroundings) {
        let more = configured(&file)?;
        if anywhere.is_none() {
            named.extend(more);
        } else if !more.is_empty() {
            return Err(ConfigError::Usage(format!(
                "{} has sources, and there is a directory for all senders: one or the other",
                file.display()
            )));
        }
    }
    if !named.is_empty() {
        let mut sources: Vec<Source> = Vec::new();
        for (option, source) in named {
            let source = source?;
            if let Some(other) = sources
                .iter()
                .find(|s| s.address == source.address || s.directory == source.directory)
            {
                return Err(ConfigError::Usage(format!(
                    "{option}: source '{}' already has this address or directory",
                    other.ident
                )));
            }
            sources.push(source);
        }
        return Ok(sources);
    }
    check_ident(&cli.ident)?;
    let directory = match anywhere {
        Some(directory) => directory.clone(),
        None if surroundings.as_nfcapd => {
            return Err(ConfigError::Usage(
                "ERROR, No source configurations found".to_owned(),
            ));
        }
        None => {
            let flows = surroundings.flows.clone();
            let (directory, origin) = match flows.filter(|f| !f.as_os_str().is_empty()) {
                Some(directory) => (directory, "$T2_FLOWS"),
                None => (PathBuf::from("."), "the current directory"),
            };
            let shown = directory
                .canonicalize()
                .unwrap_or_else(|_| directory.clone());
            notices.push(format!(
                "no -w: flow files go to {} ({origin})",
                shown.display()
            ));
            directory
        }
    };
    Ok(vec![Source {
        ident: cli.ident.clone(),
        address: None,
        directory,
    }])
}

/// `ident,ip,directory` as nfcapd's `-n` has it.
fn named_source(definition: &str) -> Result<Source, ConfigError> {
    let mut parts = definition.splitn(3, ',');
    let (Some(ident), Some(address), Some(directory)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(ConfigError::Usage(format!(
            "-n {definition}: expected IDENT,IP,DIR, for example -n router1,192.0.2.1,/var/lib/flows"
        )));
    };
    source(ident, address, directory)
        .map_err(|what| ConfigError::Usage(format!("-n {definition}: {what}")))
}

fn source(ident: &str, address: &str, directory: &str) -> Result<Source, String> {
    check_ident(ident).map_err(|error| error.to_string())?;
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("'{address}' is not an IP address"))?;
    if directory.is_empty() {
        return Err("the directory is empty".to_owned());
    }
    Ok(Source {
        ident: ident.to_owned(),
        address: Some(address.to_canonical()),
        directory: PathBuf::from(directory),
    })
}

/// nfdump's configuration file: `-C`, else `$NFCONF`; `none` is none.
fn nfdump_config(cli: &Cli, surroundings: &Surroundings) -> Option<PathBuf> {
    let named = cli.nfdump_config.clone();
    named
        .or_else(|| surroundings.nfconf.clone())
        .filter(|path| !path.as_os_str().is_empty() && path.as_os_str() != "none")
}

/// A source and where it comes from, for error messages.
type Named = (String, Result<Source, ConfigError>);

/// The sources of nfdump's configuration file: `[nfcapd] exporter.IDENT = ["IP", "DIR"]`.
fn configured(file: &Path) -> Result<Vec<Named>, ConfigError> {
    let failed = |what: String| ConfigError::Failed(format!("{}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| failed(error.to_string().trim_end().to_owned()))?;
    let exporters = table
        .get("nfcapd")
        .and_then(|section| section.get("exporter"));
    let Some(exporters) = exporters else {
        return Ok(Vec::new());
    };
    let wrong = |what: String| ConfigError::Usage(format!("{}: {what}", file.display()));
    let exporters = exporters
        .as_table()
        .ok_or_else(|| wrong("exporter is no table".to_owned()))?;
    let named = exporters.iter().map(|(ident, value)| {
        let option = format!("{}: exporter.{ident}", file.display());
        let words: Option<Vec<&str>> = value
            .as_array()
            .and_then(|list| list.iter().map(toml::Value::as_str).collect());
        let found = match words.as_deref() {
            Some([address, directory]) => source(ident, address, directory),
            _ => Err("expected [\"IP\", \"DIR\"]".to_owned()),
        };
        let found = found.map_err(|what| ConfigError::Usage(format!("{option}: {what}")));
        (option, found)
    });
    Ok(named.collect())
}

/// A name that nfdump can read back, and that leads nowhere as part of a path: 1 to 122 bytes, printable, no spaces.
fn check_ident(ident: &str) -> Result<(), ConfigError> {
    let printable = ident.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let leads_away = ident.contains('/') || matches!(ident, "." | "..");
    if ident.is_empty() || ident.len() > MAX_IDENT || !printable || leads_away {
        return Err(ConfigError::Usage(format!(
            "ident '{}': expected 1 to {MAX_IDENT} bytes without spaces or '/'",
            ident.escape_debug()
        )));
    }
    Ok(())
}

fn check_directory(directory: &Path) -> Result<(), ConfigError> {
    match directory.metadata() {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(ConfigError::Failed(format!(
            "{} is not a directory",
            directory.display()
        ))),
        Err(error) => Err(ConfigError::Failed(format!(
            "directory {}: {error} (create it first)",
            directory.display()
        ))),
    }
}
