//! `t2report`: reports on flow records in nfcapd files.

mod cli;
mod inputs;
mod outside;
mod run;
mod verify;
mod window;

use clap::Parser;
use nfdump_compat::filter::FilterError;
use std::{io, process::ExitCode};

/// nfdump's exit code for a filter that it does not understand.
const BAD_FILTER: u8 = 254;

fn main() -> ExitCode {
    match answer(&cli::Arguments::parse()) {
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
