//! `t2report`: reports on flow records in nfcapd files.

mod cli;
mod inputs;
mod outside;
mod run;
mod verify;
mod window;

use clap::Parser;
use nfdump_compat::filter::FilterError;
use nfdump_compat::usage::one_line;
use std::{io, process::ExitCode};

/// Wrong usage.
const USAGE: u8 = 2;
/// nfdump's exit code for a filter that it does not understand.
const BAD_FILTER: u8 = 254;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version, and where they go, are clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprintln!("t2report: {}", one_line("t2report", &error));
            return ExitCode::from(USAGE);
        }
    };
    match answer(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<FilterError>() {
            Some(error) => {
                eprintln!("{error}");
                ExitCode::from(BAD_FILTER)
            }
            None => {
                eprintln!("t2report: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn answer(arguments: &cli::Arguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.verify {
        return verify::verify(path);
    }
    let mut query = arguments.query()?;
    query.filter = outside::filter(arguments)?;
    if arguments.check_filter {
        return Ok(());
    }
    run::run(arguments, &query)
}

/// Whoever read the output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
