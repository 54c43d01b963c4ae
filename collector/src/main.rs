//! `t2collect`: receives NetFlow and IPFIX, writes nfcapd files.

use std::process::ExitCode;

use clap::Parser as _;
use collector::cli::Cli;
use collector::config::Config;

fn main() -> ExitCode {
    let cli = Cli::parse();
    collector::log::init(cli.verbose);
    let config = match Config::resolve(&cli, std::env::var_os("T2_FLOWS").map(Into::into)) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("t2collect: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    match collector::run::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("t2collect: {error:#}");
            ExitCode::FAILURE
        }
    }
}
