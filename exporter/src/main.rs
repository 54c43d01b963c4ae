//! `t2x`: captures in, NetFlow out.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use exporter::capture::FilterError;
use exporter::cli::{Cli, ReportForm, Task, one_line};
use exporter::config::{Config, Resolution, UsageError};
use exporter::run::{Outcome, run};
use exporter::signals::Signals;

/// Wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version, and where they go, are clap's.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return complain(&one_line("t2x", &error), USAGE),
    };
    let resolution = match Resolution::new(&cli, &|name| std::env::var_os(name)) {
        Ok(resolution) => resolution,
        Err(error) => return complain(&error, USAGE),
    };
    let config = Config::from_settings(&resolution.settings);
    let config = match (cli.task, config) {
        (Task::Run, Ok(config)) => config,
        (Task::ShowConfig | Task::CheckConfig, Ok(_) | Err(UsageError::NoInput)) => {
            return show(cli.task, &resolution);
        }
        (_, Err(error)) => return complain(&error, USAGE),
    };
    let outcome = Signals::take().and_then(|signals| run(&config, &signals));
    match outcome {
        Ok(outcome) => {
            let told = match &config.log {
                Some(path) => log(&outcome, config.report, path),
                None => tell(&outcome, config.report, &mut std::io::stderr().lock()),
            };
            if let (Err(error), Some(path)) = (&told, &config.log) {
                complain(&format_args!("cannot write {}: {error}", path.display()), 1);
            }
            ExitCode::from(u8::from(!outcome.failures.is_empty() || told.is_err()))
        }
        Err(error) if error.is::<FilterError>() => complain(&error, USAGE),
        Err(error) => complain(&format_args!("{error:#}"), 1),
    }
}

/// Answers what was asked about the configuration.
fn show(task: Task, resolution: &Resolution) -> ExitCode {
    let mut to = std::io::stdout().lock();
    let told = match task {
        Task::ShowConfig => write!(to, "{resolution}"),
        Task::CheckConfig | Task::Run => writeln!(to, "the configuration is right"),
    };
    match told {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format_args!("cannot write standard output: {error}"), 1)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The end report and what went wrong.
fn tell(outcome: &Outcome, form: ReportForm, to: &mut impl Write) -> std::io::Result<()> {
    let Outcome { report, failures } = outcome;
    match form {
        ReportForm::Json => writeln!(to, "{}", report.json(failures)),
        ReportForm::Text => {
            write!(to, "{report}")?;
            failures
                .iter()
                .try_for_each(|failure| writeln!(to, "t2x: {failure}"))
        }
    }
}

/// The same into a file. What went wrong is said aloud, too.
fn log(outcome: &Outcome, form: ReportForm, path: &Path) -> std::io::Result<()> {
    for failure in &outcome.failures {
        complain(failure, 1);
    }
    let mut to = std::io::BufWriter::new(std::fs::File::create(path)?);
    tell(outcome, form, &mut to)?;
    to.flush()
}

fn complain(what: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // Nobody is left to be told that it cannot be told.
    let _ = writeln!(std::io::stderr(), "t2x: {what}");
    ExitCode::from(code)
}
