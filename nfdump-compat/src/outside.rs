//! The filter of the command line, and what it takes from outside: files and the addresses of host names.

use crate::{cli::Arguments, resolver::Resolver, say::say};
use anyhow::Context;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use nfdump_compat::{
    filter::{Dialect, Filter, FilterError, Outside},
    geo::GeoDatabase,
    output::versions::Facts,
};
use std::{
    env,
    ffi::OsStr,
    fs,
    net::{IpAddr, ToSocketAddrs},
};

/// The filter asked for; none if none is.
///
/// # Errors
/// The file cannot be read, or the filter not understood ([`nfdump_compat::filter::FilterError`]).
pub fn filter(arguments: &Arguments) -> anyhow::Result<Option<Filter>> {
    let server = arguments.name_server.as_deref();
    let mut system = System {
        resolver: server.map(Resolver::new).transpose()?,
    };
    if !arguments.filter.is_empty() {
        let text = arguments.filter.join(" ");
        return Ok(Some(parse_as(arguments, &text, None, &mut system)?));
    }
    let Some(path) = &arguments.filter_file else {
        return Ok(None);
    };
    let text = fs::read(path)
        .with_context(|| format!("cannot read the filter file {}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let name = path.display().to_string();
    Ok(Some(parse_as(arguments, &text, Some(&name), &mut system)?))
}

/// Parses the filter as the imitated version reads it.
fn parse_as(
    arguments: &Arguments,
    text: &str,
    file: Option<&str>,
    system: &mut System,
) -> Result<Filter, FilterError> {
    let facts = arguments.compat.facts();
    if let Some(word) = facts.unknown_filter_word(text) {
        return Err(FilterError {
            file: file.map(str::to_owned),
            line: 1,
            message: "syntax error".to_owned(),
            word,
            expected: "",
        });
    }
    Filter::parse(text, file, facts.dialect, system)
}

/// A filter in the words of an option.
///
/// # Errors
/// It is not understood.
pub fn parse(text: &str) -> anyhow::Result<Filter> {
    let mut system = System { resolver: None };
    Ok(Filter::parse(text, None, Dialect::default(), &mut system)?)
}

/// Refuses a filter that asks for what is not known.
///
/// # Errors
/// What it asks for.
pub fn check(
    filter: Option<&Filter>,
    geo: Option<&GeoDatabase>,
    facts: &Facts,
) -> anyhow::Result<()> {
    const LOST: &str = "the filter asks for countries: they need a geo database (-G FILE)";
    let is_lost = geo.is_none() && filter.is_some_and(Filter::needs_places);
    // Later versions go on, and no flow has a country.
    if is_lost && facts.later {
        say(LOST);
    } else {
        anyhow::ensure!(!is_lost, LOST);
    }
    anyhow::ensure!(
        !filter.is_some_and(Filter::needs_tor),
        "the filter asks for exits of Tor: nfdump's database of them is not supported"
    );
    Ok(())
}

/// The geo databases asked for: by option, environment or configuration file; none if none is.
///
/// # Errors
/// A file cannot be read, or is no such database.
pub fn geo_database(
    option: Option<&OsStr>,
    configured: Option<&OsStr>,
) -> anyhow::Result<Option<GeoDatabase>> {
    let named = option.map(OsStr::to_owned);
    let named = named.or_else(|| env::var_os("NFGEODB"));
    let paths = named.or_else(|| configured.map(OsStr::to_owned));
    let paths = paths.unwrap_or_default();
    if paths.is_empty() || paths == "none" {
        return Ok(None);
    }
    let mut database = GeoDatabase::default();
    for path in env::split_paths(&paths) {
        let cannot = || format!("geo database {}", path.display());
        let content = fs::read(&path).with_context(cannot)?;
        database
            .add(content)
            .map_err(anyhow::Error::msg)
            .with_context(cannot)?;
    }
    Ok(Some(database))
}

struct System {
    /// A name server other than the system's.
    resolver: Option<Resolver>,
}

impl Outside for System {
    fn include(&mut self, path: &str) -> Result<String, String> {
        let text = fs::read(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn resolve(&mut self, name: &str) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = match self.resolver {
            Some(resolver) => resolver.lookup(name).unwrap_or_else(|error| {
                say(format_args!("name server {resolver}: {error}"));
                Vec::new()
            }),
            None => (name, 0)
                .to_socket_addrs()
                .map(|found| found.map(|address| address.ip()).collect())
                .unwrap_or_default(),
        };
        addresses.dedup();
        addresses
    }

    fn time(&mut self, text: &str) -> Option<u64> {
        let zoned: Option<Timestamp> = text.parse().ok();
        let time = match zoned {
            Some(time) => time,
            None => {
                let local: DateTime = whole(text).parse().ok()?;
                TimeZone::system().to_timestamp(local).ok()?
            }
        };
        u64::try_from(time.as_millisecond()).ok()
    }
}

/// A time of which the end may be missing (`2026-11`, `2026-11-25T08`), made whole.
fn whole(text: &str) -> String {
    const EARLIEST: &str = "0000-01-01T00:00:00";
    match EARLIEST.get(text.len()..) {
        Some(rest) => format!("{text}{rest}"),
        None => text.to_owned(),
    }
}
