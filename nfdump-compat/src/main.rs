//! `t2report`: reports on flow records in nfcapd files.

mod cli;
mod config;
mod difference;
mod exporters;
mod inputs;
mod outside;
mod resolver;
mod rewrite;
mod run;
mod say;
mod scan;
mod verify;
mod window;
mod written;

use cli::{LimitError, USAGE};
use inputs::BadList;
use say::say;

use clap::Parser;
use nfdump_compat::filter::FilterError;
use nfdump_compat::output::{known::Refused, style::Compat, versions::Facts};
use nfdump_compat::usage::one_line;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// nfdump's exit code for limits and file lists that it does not understand.
const BAD_LIMIT: u8 = 250;
/// nfdump's exit code for a filter that it does not understand.
const BAD_FILTER: u8 = 254;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if !is_called_nfdump() && words.next().is_some_and(|word| word == "diff") {
        return difference::main(words);
    }
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help, and where it goes, is clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            say(one_line("t2report", &error));
            return ExitCode::from(USAGE);
        }
    };
    match answer(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<FilterError>() => {
            let facts = arguments.compat.facts();
            match error.downcast_ref::<FilterError>() {
                Some(error) if facts.errors_on_stdout => println!("{}", facts.filter_error(error)),
                _ => eprintln!("{error}"),
            }
            ExitCode::from(BAD_FILTER)
        }
        Err(error) if error.is::<Refused>() => {
            say(format_args!("{error:#}"));
            let refused = error.downcast_ref::<Refused>();
            print!("{}", refused.map_or("", |refused| &refused.out));
            ExitCode::from(refused.map_or(1, |refused| refused.code))
        }
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::from(if error.is::<LimitError>() || error.is::<BadList>() {
                BAD_LIMIT
            } else {
                1
            })
        }
    }
}

fn answer(arguments: &cli::Arguments) -> anyhow::Result<()> {
    let as_nfdump = is_called_nfdump();
    if arguments.version {
        println!("{}", version(as_nfdump, arguments.compat));
        return Ok(());
    }
    let facts = arguments.compat.facts();
    for (path, show) in [
        (
            &arguments.verify,
            verify::verify as fn(&Path, &Facts) -> anyhow::Result<()>,
        ),
        (&arguments.exporters, exporters::exporters),
        (&arguments.extension_maps, verify::extension_maps),
    ] {
        if let Some(path) = path {
            return show(path, facts);
        }
    }
    if arguments.recompress.is_some() || arguments.ident.is_some() {
        return rewrite::rewrite(arguments);
    }
    let config = config::read(arguments)?;
    let mut query = arguments.query(as_nfdump, &config.formats)?;
    query.filter = outside::filter(arguments)?;
    if !arguments.check_filter {
        query.geo = outside::geo_database(arguments.geo.as_deref(), config.geo.as_deref())?;
    }
    if arguments.check_filter {
        return Ok(());
    }
    outside::check(query.filter.as_ref(), query.geo.as_ref(), facts)?;
    if arguments.explain_filter {
        let explained = query
            .filter
            .as_ref()
            .map_or_else(|| "any\n".to_owned(), ToString::to_string);
        io::stdout().write_all(explained.as_bytes())?;
        return Ok(());
    }
    run::run(arguments, &query)
}

/// Whether the program was started by the name nfdump: then its defaults are nfdump's.
fn is_called_nfdump() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name)
        .file_name()
        .is_some_and(|name| name == "nfdump")
}

fn version(as_nfdump: bool, compat: Compat) -> String {
    if as_nfdump {
        format!("nfdump: Version: {}", compat.facts().version)
    } else {
        format!("t2report {}", env!("CARGO_PKG_VERSION"))
    }
}

/// Whoever read the output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
