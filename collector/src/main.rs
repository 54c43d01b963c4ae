//! `t2collect`: receives NetFlow and IPFIX, writes nfcapd files.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use collector::cli::{Cli, Command, Nfexpire};
use collector::config::{Config, ConfigError, Surroundings};
use collector::expire::ExpireOptions;
use collector::run::{Control, run};
use collector::{daemon, nfcapd, settings};
use nfdump_compat::usage::one_line;

/// Wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    let as_nfcapd = called.is_some_and(|name| name == "nfcapd");
    let usage = if as_nfcapd { nfcapd::FAILED } else { USAGE };
    let program = if as_nfcapd { "nfcapd" } else { "t2collect" };
    if called.is_some_and(|name| name == "nfexpire") {
        return match Nfexpire::try_parse() {
            Ok(nfexpire) => expire("nfexpire", &nfexpire.options, nfcapd::EXPIRE_FAILED),
            Err(error) if !error.use_stderr() => error.exit(),
            Err(error) => {
                eprintln!("nfexpire: {}", one_line("nfexpire", &error));
                ExitCode::from(nfcapd::EXPIRE_FAILED)
            }
        };
    }
    nfcapd::modernise(&mut arguments);
    if as_nfcapd && arguments.iter().any(|argument| argument == "-V") {
        println!("{}", nfcapd::VERSION);
        return ExitCode::SUCCESS;
    }
    let cli = match parse(arguments.clone()) {
        Ok(cli) => cli,
        // Help and version, and where they go, are clap's.
        Err(Refused::Usage(error)) if !error.use_stderr() => error.exit(),
        Err(refused) => {
            eprintln!("{program}: {}", refused.told(program));
            return ExitCode::from(usage);
        }
    };
    match &cli.command {
        Some(Command::Limits { workers }) => {
            print!("{}", collector::limits::text(usize::from(*workers)));
            return ExitCode::SUCCESS;
        }
        Some(Command::Expire(options)) => return expire("t2collect expire", options, 1),
        None => {}
    }
    let surroundings = Surroundings {
        flows: env::var_os("T2_FLOWS").map(Into::into),
        nfconf: env::var_os("NFCONF").map(Into::into),
        as_nfcapd,
    };
    let config = match Config::resolve(&cli, &surroundings) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{program}: {error}");
            return ExitCode::from(if as_nfcapd { usage } else { error.exit_code() });
        }
    };
    if cli.check_config {
        println!("{program}: nothing wrong with the configuration");
        return ExitCode::SUCCESS;
    }
    if config.daemon && !daemon::is_background() {
        return daemon::start(&arguments).unwrap_or_else(|error| {
            eprintln!("{program}: cannot go to the background: {error}");
            ExitCode::FAILURE
        });
    }
    if config.daemon {
        daemon::leave_terminal();
    }
    let verbosity = collector::log::init(cli.verbosity(), cli.log);
    let again = || {
        let cli = parse(arguments.clone())
            .map_err(|refused| ConfigError::Usage(refused.told(program)))?;
        Config::resolve(&cli, &surroundings)
    };
    let control = Control {
        config: &again,
        verbosity: &verbosity,
    };
    match run(&config, &control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn expire(program: &str, options: &ExpireOptions, failed: u8) -> ExitCode {
    match collector::expire::run(options) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::from(failed)
        }
    }
}

/// Why a command line cannot be followed.
enum Refused {
    Usage(clap::Error),
    Settings(settings::SettingsError),
}

impl Refused {
    fn told(&self, program: &str) -> String {
        match self {
            Self::Usage(error) => one_line(program, error),
            Self::Settings(error) => error.to_string(),
        }
    }
}

/// The command line, with what a configuration file adds.
fn parse(mut arguments: Vec<OsString>) -> Result<Cli, Refused> {
    let command = Cli::command();
    let matches = command
        .clone()
        .try_get_matches_from(&arguments)
        .map_err(Refused::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Refused::Usage)?;
    let Some(file) = &cli.config else {
        return Ok(cli);
    };
    let flows = env::var_os("T2_FLOWS").is_some_and(|flows| !flows.is_empty());
    let overridden: &[&str] = if flows { &["directory"] } else { &[] };
    let more =
        settings::arguments(&command, &matches, overridden, file).map_err(Refused::Settings)?;
    arguments.extend(more);
    let matches = command
        .try_get_matches_from(&arguments)
        .map_err(Refused::Usage)?;
    Cli::from_arg_matches(&matches).map_err(Refused::Usage)
}
