//! Reads the files, writes the answer.

use crate::{
    cli::Arguments,
    inputs::{self, Input},
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use nfdump_compat::{
    file::{FileError, FileReader, StatRecord},
    output::{summary::Timing, time::LocalTime},
    query::{Answer, Query},
    record::{FLOW_RECORD, RecordView},
};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    fs,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

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
    let mut out = Output::new();
    let mut answer = Answer::new(query, LocalTime::new(TimeZone::system()));
    answer.begin(&mut out.buffer);
    let reading = Instant::now();
    let progress = Progress::new(&inputs);
    let mut readable = 0_usize;
    for input in &inputs {
        if answer.is_complete() {
            break;
        }
        match read_input(input, &mut answer, &mut out, &progress) {
            Ok(()) => readable += 1,
            Err(ReadError::File { error, opened }) => {
                readable += usize::from(opened);
                progress.hide(|| eprintln!("t2report: {error}"));
            }
            Err(ReadError::Output(error)) => return Err(error.into()),
        }
    }
    progress.finish();
    let wall = reading.elapsed();
    if readable > 0 {
        answer.finish(&mut out.buffer);
        answer.push_summary(&mut out.buffer, &timing(wall, began.elapsed()));
    } else {
        out.buffer.clear();
    }
    out.flush()?;
    anyhow::ensure!(readable > 0, "no flow file could be read");
    Ok(())
}

/// What went wrong with an input.
enum ReadError {
    /// The file; what was read before the fault counts if it could be opened.
    File { error: FileError, opened: bool },
    /// The output.
    Output(io::Error),
}

fn read_input(input: &Input, answer: &mut Answer<'_>, out: &mut Output, progress: &Progress) -> Result<(), ReadError> {
    let mut reader = open(input).map_err(|error| ReadError::File { error, opened: false })?;
    if let Some(stat) = reader.stat() {
        answer.totals().widen(stat.first_ms, stat.last_ms);
    }
    loop {
        let block = match reader.next_block() {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(()),
            Err(error) => return Err(ReadError::File { error, opened: true }),
        };
        answer.totals().bytes_read += block.payload().len() as u64;
        progress.advance(block.payload().len() as u64);
        for raw in block.records() {
            if raw.record_type != FLOW_RECORD {
                continue;
            }
            if let Ok(record) = RecordView::parse(raw.bytes) {
                answer.record(record, &mut out.buffer);
                out.flush_if_full().map_err(ReadError::Output)?;
            }
            if answer.is_complete() {
                return Ok(());
            }
        }
    }
}

fn open(input: &Input) -> Result<FileReader, FileError> {
    match input {
        Input::File(path) => FileReader::open(path),
        Input::Stdin => FileReader::from_reader(io::stdin()),
    }
}

fn find_inputs(arguments: &Arguments) -> anyhow::Result<Vec<Input>> {
    if let Some(path) = &arguments.read {
        return inputs::read(path);
    }
    if let Some(text) = &arguments.sequence {
        return inputs::sequence(text);
    }
    let (inputs, place) = inputs::default_place()?;
    eprintln!("t2report: reading {} finished slots of {}", inputs.len(), place.display());
    Ok(inputs)
}

/// `-I`: the sum of the files' own statistics.
fn information(inputs: &[Input]) -> anyhow::Result<()> {
    let mut sum: Option<(String, StatRecord)> = None;
    for input in inputs {
        match open(input) {
            Ok(reader) => {
                let Some(stat) = reader.stat() else { continue };
                match &mut sum {
                    Some((_, sum)) => sum.add(&stat),
                    None => sum = Some((reader.ident().to_owned(), stat)),
                }
            }
            Err(error) => eprintln!("t2report: {error}"),
        }
    }
    let (ident, stat) = sum.context("no file with statistics could be read")?;
    let mut out = Output::new();
    out.buffer.extend_from_slice(format!("Ident: {ident}\n").as_bytes());
    let lines = [
        ("Flows", stat.flows),
        ("Flows_tcp", stat.flows_by_protocol[0]),
    ];
    for (name, value) in lines {
        out.buffer.extend_from_slice(format!("{name}: {value}\n").as_bytes());
    }
    out.flush()?;
    Ok(())
}

fn timing(wall: Duration, runtime: Duration) -> Timing {
    let (system, user) = getrusage(UsageWho::RUSAGE_SELF)
        .map(|usage| (to_duration(usage.system_time()), to_duration(usage.user_time())))
        .unwrap_or_default();
    Timing { system, user, wall, runtime }
}

fn to_duration(time: nix::sys::time::TimeVal) -> Duration {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
}

/// Standard output behind one buffer.
struct Output {
    buffer: Vec<u8>,
}

impl Output {
    fn new() -> Self {
        Self { buffer: Vec::with_capacity(PIECE * 2) }
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.buffer)?;
        stdout.flush()?;
        self.buffer.clear();
        Ok(())
    }
}

/// A bar on standard error for long reads, if that is a terminal and the answer does not scroll over it.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new(inputs: &[Input]) -> Self {
        let size = |input: &Input| match input {
            Input::File(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Input::Stdin => 0,
        };
        let total = inputs.iter().map(size).sum();
        if total < LONG_READ || !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    fn hide(&self, message: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(message),
            None => message(),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
