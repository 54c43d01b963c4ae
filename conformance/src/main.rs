//! `t2check`: exporters judged by what they send.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use conformance::cli::{Cli, Command, Exporter};
use conformance::known::unknown;
use conformance::run::{Outcome, print, run};
use conformance::{catalogue, explain};
use exporter::cli::one_line;
use nix::sys::signal::{SigSet, Signal};

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
        Command::Exporter(options) => return judge(&options),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format_args!("{error:#}"), FAILED),
    }
}

fn judge(options: &Exporter) -> ExitCode {
    match stop_on_signals().and_then(|stop| run(options, &stop)) {
        Ok(Outcome::Positive) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(NEGATIVE),
        Err(error) => complain(&format_args!("{error:#}"), FAILED),
    }
}

fn complain(what: &dyn Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "t2check: {what}");
    ExitCode::from(code)
}

/// The first SIGINT or SIGTERM ends the observation: what was seen is still reported. The second ends the program.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Blocked here, and so in all threads to come: they are waited for instead.
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(FAILED));
            }
        }
    });
    Ok(stop)
}
