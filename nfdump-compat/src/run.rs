//! Reads the files, writes the answer.

use crate::{
    cli::Arguments,
    inputs::{self, Input},
    say::say,
    scan::scan,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use nfdump_compat::{
    file::{FileError, FileReader, StatRecord},
    output::{
        summary::{Timing, push_file_line, push_information},
        time::LocalTime,
    },
    query::{Answer, Query},
};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    fmt::Display,
    fs,
    io::{self, IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

/// What is wrong when output does not get through.
pub const NO_OUTPUT: &str = "cannot write to standard output";
/// Output is written in pieces of about this size.
const PIECE: usize = 1 << 16;
/// Reading less than this shows no progress.
const LONG_READ: u64 = 1 << 26;

/// Answers the command line on standard output.
///
/// # Errors
/// No input could be read, or the output could not be written.
pub fn run(arguments: &Arguments, query: &Query) -> anyhow::Result<()> {
    let began = Instant::now();
    let inputs = find_inputs(arguments)?;
    if arguments.information {
        return information(&inputs);
    }
    if arguments.by_file {
        return by_file(&inputs);
    }
    if let Some(path) = arguments
        .write
        .as_deref()
        .filter(|_| query.statistics.is_empty())
    {
        inputs::spare(&inputs, path)?;
    }
    let mut writer = arguments.written(query)?;
    let mut out = Output::new();
    let mut answer = Answer::new(query, LocalTime::new(TimeZone::system()));
    answer.push_limits(&mut out.buffer);
    answer.begin(&mut out.buffer);
    let reading = Instant::now();
    let scrolls = query.statistics.is_empty() && io::stdout().is_terminal();
    let progress = Progress::new(&inputs, scrolls);
    let readable = scan(
        &inputs,
        query,
        &mut answer,
        &mut out,
        &mut writer,
        &progress,
    )?;
    progress.finish();
    let wall = reading.elapsed();
    if readable > 0 {
        writer.finish(&mut answer)?;
        answer.finish(&mut out.buffer);
        answer.push_summary(&mut out.buffer, &timing(wall, began.elapsed()));
    } else {
        out.buffer.clear();
    }
    out.flush().context(NO_OUTPUT)?;
    anyhow::ensure!(readable > 0, "no flow file could be read");
    Ok(())
}

/// Opens an input.
pub fn open(input: &Input) -> Result<FileReader, FileError> {
    match input {
        Input::File(path) => FileReader::open(path),
        Input::Stdin => FileReader::open(Path::new("-")),
    }
}

/// The files named on the command line.
///
/// # Errors
/// There are none.
pub fn find_inputs(arguments: &Arguments) -> anyhow::Result<Vec<Input>> {
    let list = arguments.sequence.as_deref();
    if let Some(directories) = &arguments.directories {
        return inputs::several(directories, arguments.read.as_deref(), list);
    }
    if let Some(path) = &arguments.read {
        return inputs::read(path);
    }
    if let Some(text) = &arguments.sequence {
        return inputs::sequence(text);
    }
    let (inputs, place) = inputs::default_place()?;
    say(format_args!(
        "reading {} finished slots of {}",
        inputs.len(),
        place.display()
    ));
    Ok(inputs)
}

/// `-I`: the sum of the files' own statistics.
fn information(inputs: &[Input]) -> anyhow::Result<()> {
    let mut sum: Option<(String, StatRecord)> = None;
    for input in inputs {
        match totals_of(input) {
            Ok((_, None)) => say(format_args!("{input}: no totals, the file is not finished")),
            Ok((ident, Some(stat))) => match &mut sum {
                Some((_, sum)) => {
                    // As nfdump, also of a file without flows.
                    let first_ms = sum.first_ms.min(stat.first_ms);
                    let last_ms = sum.last_ms.max(stat.last_ms);
                    sum.merge(&stat);
                    (sum.first_ms, sum.last_ms) = (first_ms, last_ms);
                }
                None => sum = Some((ident, stat)),
            },
            Err(error) => say(error),
        }
    }
    let (ident, stat) = sum.context("no file with totals could be read")?;
    let mut out = Output::new();
    push_information(&mut out.buffer, &ident, &stat);
    out.flush().context(NO_OUTPUT)
}

/// `-g`: one line for each file, its time taken from its name.
fn by_file(inputs: &[Input]) -> anyhow::Result<()> {
    let mut out = Output::new();
    out.buffer
        .extend_from_slice(b"# yyyy-mm-dd HH:MM:SS,flows,packets,bytes\n");
    let mut readable = false;
    for input in inputs {
        let totals = totals_of(input);
        readable |= totals.is_ok();
        match totals {
            Ok((_, Some(stat))) => {
                let name = match input {
                    Input::File(path) => path.file_name().unwrap_or_default().to_string_lossy(),
                    Input::Stdin => "".into(),
                };
                push_file_line(&mut out.buffer, &name, &stat);
            }
            Ok((_, None)) => say(format_args!("{input}: no totals, the file is not finished")),
            Err(error) => say(error),
        }
    }
    out.flush().context(NO_OUTPUT)?;
    anyhow::ensure!(readable, "no flow file could be read");
    Ok(())
}

/// Source name and totals of a file; of a stream they are known at its end.
fn totals_of(input: &Input) -> Result<(String, Option<StatRecord>), FileError> {
    let mut reader = open(input)?;
    while reader.stat().is_none() && reader.next_block()?.is_some() {}
    Ok((
        reader.ident().unwrap_or("none").to_owned(),
        reader.stat().cloned(),
    ))
}

fn timing(wall: Duration, runtime: Duration) -> Timing {
    let (system, user) = getrusage(UsageWho::RUSAGE_SELF)
        .map(|usage| {
            (
                to_duration(usage.system_time()),
                to_duration(usage.user_time()),
            )
        })
        .unwrap_or_default();
    Timing {
        system,
        user,
        wall,
        runtime,
    }
}

fn to_duration(time: nix::sys::time::TimeVal) -> Duration {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
}

/// Standard output behind one buffer.
pub struct Output {
    /// What is to be written next.
    pub buffer: Vec<u8>,
}

impl Output {
    fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(PIECE * 2),
        }
    }

    /// Writes a buffer if there is enough in it.
    pub fn flush_if_full(buffer: &mut Vec<u8>) -> io::Result<()> {
        if buffer.len() >= PIECE {
            Self::write(buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    /// Writes what there is.
    fn flush(&mut self) -> io::Result<()> {
        Self::write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes this.
    pub fn write(bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }
}

/// A bar on standard error for long reads, if that is a terminal.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar for these files; none if the answer `scrolls` over it.
    fn new(inputs: &[Input], scrolls: bool) -> Self {
        let size = |input: &Input| match input {
            Input::File(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Input::Stdin => 0,
        };
        let total = inputs.iter().map(size).sum();
        if scrolls || total < LONG_READ || !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// Counts bytes that were read.
    pub fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    /// Says what is wrong with an input, without tearing the bar.
    pub fn report(&self, error: &impl Display) {
        let tell = || say(error);
        match &self.0 {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
