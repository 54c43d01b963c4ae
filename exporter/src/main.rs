//! `t2x`: captures in, NetFlow out.

use std::process::ExitCode;

use clap::Parser;
use exporter::cli::{Cli, one_line};
use exporter::config::Config;
use exporter::run::run;
use exporter::signals::stop_on_signals;

/// Wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version, and where they go, are clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return complain(&one_line("t2x", &error), USAGE),
    };
    let config = match Config::new(cli, &|name| std::env::var_os(name)) {
        Ok(config) => config,
        Err(error) => return complain(&error, USAGE),
    };
    let outcome = stop_on_signals().and_then(|stop| run(&config, &stop));
    match outcome {
        Ok(outcome) => {
            eprint!("{}", outcome.report);
            for failure in &outcome.failures {
                complain(failure, 1);
            }
            ExitCode::from(u8::from(!outcome.failures.is_empty()))
        }
        Err(error) => complain(&format_args!("{error:#}"), 1),
    }
}

fn complain(what: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("t2x: {what}");
    ExitCode::from(code)
}
