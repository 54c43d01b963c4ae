//! `t2report diff A B`: reads both sets of files twice and reports what differs.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use nfdump_compat::diff::fields::Ignored;
use nfdump_compat::diff::{Comparison, Options, Side, report};
use nfdump_compat::file::FileReader;
use nfdump_compat::filter::{Context, Filter};
use nfdump_compat::geo::GeoDatabase;
use nfdump_compat::output::style::Compat;
use nfdump_compat::record::{RecordView, V3_RECORD};
use nfdump_compat::usage::one_line;

use crate::inputs::{self, Input};
use crate::outside;
use crate::say::say;

/// The comparison was made, and the flows differ.
const DIFFERENT: u8 = 3;

/// Says which flows of A and B differ, and why. Exit code 0: none; 3: some; 1: it could not be found out.
#[derive(Debug, Parser)]
#[command(name = "t2report diff", version)]
struct Arguments {
    /// A file or directory: what is expected
    a: PathBuf,

    /// A file or directory: what is there
    b: PathBuf,

    /// Times may differ by this many milliseconds
    #[arg(long, value_name = "MS", default_value = "0")]
    time_tolerance: u64,

    /// Counters may differ by this part of the larger one, in percent
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    counter_tolerance: f64,

    /// Fields that do not count, as exporter,first,last,packets,bytes,tcpflags
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    ignore: Vec<String>,

    /// Form of the report on standard output
    #[arg(short = 'o', value_name = "FORM", default_value = "text")]
    form: Form,

    /// Write the report as JUnit XML to this file, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write the report as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Only flows that pass this filter
    #[arg(short = 'f', long, value_name = "FILTER")]
    filter: Option<String>,

    /// Geo database in MaxMind's format, for countries and AS numbers in the filter; several with colons between them
    /// [default: $NFGEODB]
    #[arg(short = 'G', long, value_name = "FILE[:FILE]|none")]
    geo: Option<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
    Junit,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 100 is expected".to_owned()),
    }
}

/// Answers `t2report diff`, given the words behind `diff`.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("t2report diff")).chain(words);
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            say(one_line("t2report diff", &error));
            return ExitCode::from(2);
        }
    };
    let mut ignored = Ignored::default();
    for name in &arguments.ignore {
        if let Err(reason) = ignored.add(name) {
            say(format_args!("--ignore: {reason}"));
            return ExitCode::from(2);
        }
    }
    match compare(&arguments, ignored) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DIFFERENT),
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::from(1)
        }
    }
}

/// Which flows are compared.
struct Wanted {
    filter: Option<Filter>,
    geo: Option<GeoDatabase>,
}

/// Whether nothing differs.
fn compare(arguments: &Arguments, ignored: Ignored) -> anyhow::Result<bool> {
    let filter = arguments
        .filter
        .as_deref()
        .map(outside::parse)
        .transpose()?;
    let geo = match filter {
        Some(_) => outside::geo_database(arguments.geo.as_deref(), None)?,
        None => None,
    };
    outside::check(filter.as_ref(), geo.as_ref(), Compat::default().facts())?;
    let wanted = Wanted { filter, geo };
    let mut comparison = Comparison::new(Options {
        time_tolerance_ms: arguments.time_tolerance,
        counter_tolerance: arguments.counter_tolerance / 100.0,
        ignored,
    });
    let sides = [(Side::A, &arguments.a), (Side::B, &arguments.b)];
    for (side, path) in sides {
        each_flow(path, &wanted, true, |record| {
            comparison.count(side, record);
        })?;
    }
    for (side, path) in sides {
        each_flow(path, &wanted, false, |record| {
            comparison.compare(side, record);
        })?;
    }
    let difference = comparison.finish()?;
    let (a, b) = (arguments.a.to_string_lossy(), arguments.b.to_string_lossy());
    let names = report::Names { a: &a, b: &b };
    let files = [
        (&arguments.junit, report::junit as fn(_, &_) -> String),
        (&arguments.json, report::json),
    ];
    for (path, form) in files {
        if let Some(path) = path {
            fs::write(path, form(names, &difference))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let text = match arguments.form {
        Form::Text => report::text(names, &difference),
        Form::Json => report::json(names, &difference),
        Form::Junit => report::junit(names, &difference),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(difference.is_empty())
}

/// Gives every flow of the files at `path` to `take`. Damage makes a comparison worthless: it is an error.
fn each_flow(
    path: &Path,
    wanted: &Wanted,
    first: bool,
    mut take: impl FnMut(&RecordView<'_>),
) -> anyhow::Result<()> {
    anyhow::ensure!(
        path.as_os_str() != "-",
        "diff reads its files twice: standard input cannot be compared"
    );
    for input in inputs::read(path)? {
        let Input::File(path) = input else { continue };
        let mut reader = FileReader::open(&path)?;
        let ident = reader.ident().unwrap_or("none").to_owned();
        let mut number = 0;
        while let Some(block) = reader.next_block()? {
            for raw in block.records() {
                if raw.record_type != V3_RECORD {
                    continue;
                }
                let record = RecordView::parse(raw.bytes)
                    .with_context(|| format!("{}: block {}", path.display(), block.number()))?;
                number += 1;
                let context = Context {
                    ident: &ident,
                    number,
                    geo: wanted.geo.as_ref(),
                };
                let filter = wanted.filter.as_ref();
                if filter.is_none_or(|filter| filter.matches(&record, &context).is_some()) {
                    take(&record);
                }
            }
        }
        if first && reader.skipped_blocks() > 0 {
            anyhow::bail!(
                "{}: {} blocks cannot be read, so nothing can be said of their flows",
                path.display(),
                reader.skipped_blocks()
            );
        }
    }
    Ok(())
}
