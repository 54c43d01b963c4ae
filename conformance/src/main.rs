//! `t2check`: exporters judged by what they send, collectors by what they store.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use conformance::cli::{Cli, Command, Exporter};
use conformance::collector::options::Collector;
use conformance::known::unknown;
use conformance::proxy::relay;
use conformance::run::{Outcome, print, run};
use conformance::{catalogue, collector, explain, file, load, matrix, vectors};
use exporter::cli::one_line;
use exporter::signals::stop_on_signals;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NEGATIVE: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version, and where they go, are clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return complain(&one_line("t2check", &error), USAGE),
    };
    let shown = match cli.command {
        Command::List => print(&explain::list()),
        Command::Explain { id } => match catalogue::find(&id) {
            Some(row) => print(&explain::explain(row)),
            None => return complain(&unknown(&id), USAGE),
        },
        Command::Vectors { out } => vectors::write(&out).and_then(|count| {
            print(&format!(
                "{count} captures and manifest.tsv in {}\n",
                out.display()
            ))
        }),
        Command::Exporter(options) => return judge(&options),
        Command::Collector(options) => return judge_collector(&options),
        Command::File(options) => return ended(file::run(&options)),
        Command::Matrix(options) => matrix::run(&options),
        Command::Load(options) => match options.check() {
            Err(error) => return complain(&error, USAGE),
            Ok(()) => stop_on_signals().and_then(|stop| load::run(&options, &stop)),
        },
        Command::Proxy(options) => match options.transport() {
            Err(error) => return complain(&error, USAGE),
            Ok(_) => stop_on_signals().and_then(|stop| relay::run(&options, &stop)),
        },
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format_args!("{error:#}"), FAILED),
    }
}

fn judge(options: &Exporter) -> ExitCode {
    let endpoint = match options.judging.reports().and_then(|_| options.endpoint()) {
        Ok(endpoint) => endpoint,
        Err(error) => return complain(&error, USAGE),
    };
    ended(stop_on_signals().and_then(|stop| run(options, endpoint, &stop)))
}

fn judge_collector(options: &Collector) -> ExitCode {
    if let Err(error) = options.check() {
        return complain(&error, USAGE);
    }
    ended(stop_on_signals().and_then(|stop| collector::run::run(options, &stop)))
}

fn ended(outcome: anyhow::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Positive) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(NEGATIVE),
        Err(error) => complain(&format_args!("{error:#}"), FAILED),
    }
}

fn complain(what: &dyn Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "t2check: {what}");
    ExitCode::from(code)
}
