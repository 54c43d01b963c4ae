//! `t2report`: reports on flow records in nfcapd files.

mod cli;
mod inputs;
mod run;
mod verify;

use clap::Parser;
use std::{io, process::ExitCode};

/// nfdump's exit code for a filter that it does not understand.
const BAD_FILTER: u8 = 254;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    if let Some(word) = arguments.filter.first() {
        eprintln!("t2report: filters are not supported yet, but one is given: '{word}' …");
        return ExitCode::from(BAD_FILTER);
    }
    let result = match &arguments.verify {
        Some(path) => verify::verify(path),
        None => arguments
            .query()
            .and_then(|query| run::run(&arguments, &query)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("t2report: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever read the output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
