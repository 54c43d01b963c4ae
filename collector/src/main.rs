//! `t2collect`: receives NetFlow and IPFIX, writes nfcapd files.

use std::process::ExitCode;

use clap::Parser as _;
use collector::cli::{Cli, Command};
use collector::config::Config;
use collector::run::{Control, run};
use nfdump_compat::usage::one_line;

/// Wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version, and where they go, are clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprintln!("t2collect: {}", one_line("t2collect", &error));
            return ExitCode::from(USAGE);
        }
    };
    if let Some(Command::Limits { workers }) = cli.command {
        print!("{}", collector::limits::text(usize::from(workers)));
        return ExitCode::SUCCESS;
    }
    let verbosity = collector::log::init(cli.verbose, cli.log);
    let resolve = || Config::resolve(&cli, std::env::var_os("T2_FLOWS").map(Into::into));
    let config = match resolve() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("t2collect: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    let control = Control {
        config: &resolve,
        verbosity: &verbosity,
    };
    match run(&config, &control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("t2collect: {error:#}");
            ExitCode::FAILURE
        }
    }
}
