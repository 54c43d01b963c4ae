//! `t2x`: captures in, NetFlow out.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use exporter::cli::{Cli, one_line};
use exporter::config::Config;
use exporter::run::run;
use nix::sys::signal::{SigSet, Signal};

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

/// The first SIGINT or SIGTERM ends the reading: what was metered is still sent. The second ends the program.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Blocked here, and so in all threads to come: they are waited for instead.
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        }
    });
    Ok(stop)
}
