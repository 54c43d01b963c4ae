//! Reading all inputs of a query, by as many threads as are worth it. Blocks are fetched one after the other, unpacked and
//! asked by whoever is free; what is printed of them comes in their order.

use crate::{
    inputs::Input,
    run::{NO_OUTPUT, Output, Progress, open},
    written::Written,
};
use anyhow::Context;
use nfdump_compat::{
    file::{Block, Fetched, FileReader, RawRecord, Unpacker},
    output::{format::Mode, summary::Totals},
    query::{Answer, Query},
    record::{RecordParser, V3_RECORD},
};
use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// More threads than this only wait for each other: fetching goes one by one.
const MOST_THREADS: usize = 16;

/// Reads the inputs into the answer and tells how many could be read.
///
/// # Errors
/// The output, or the file to be written, cannot be written.
pub fn scan(
    inputs: &[Input],
    query: &Query,
    answer: &mut Answer<'_>,
    out: &mut Output,
    writer: &mut Written,
    progress: &Progress,
) -> anyhow::Result<usize> {
    let scan = Scan {
        query,
        progress,
        source: Mutex::new(Source::new(inputs, query)),
        turns: Turns::default(),
        head: Mutex::default(),
    };
    let threads = match thread::available_parallelism() {
        Ok(threads) if query.is_divisible() => threads.get().min(MOST_THREADS),
        _ => 1,
    };
    if threads == 1 {
        scan.alone(answer, out, writer)?;
    } else {
        scan.together(threads, answer, out)?;
    }
    let mut source = lock(&scan.source);
    source.close();
    for problem in std::mem::take(&mut source.problems).into_values().flatten() {
        progress.report(&problem);
    }
    answer.totals().merge(&source.totals);
    Ok(source.readable)
}

struct Scan<'a> {
    query: &'a Query,
    progress: &'a Progress,
    source: Mutex<Source<'a>>,
    turns: Turns,
    /// What stands before the first record, until that is printed.
    head: Mutex<Vec<u8>>,
}

/// What holds from block to block of the same input.
#[derive(Debug)]
struct Place {
    input: String,
    ident: Option<String>,
}

/// The inputs, block by block.
struct Source<'a> {
    inputs: std::slice::Iter<'a, Input>,
    query: &'a Query,
    reader: Option<(FileReader, Arc<Place>)>,
    /// Number of the next block among all.
    number: u32,
    readable: usize,
    /// What the files say of themselves.
    totals: Totals,
    /// What could not be read before a block, or in it, by its number.
    problems: BTreeMap<u32, Vec<String>>,
}

/// What comes next.
enum Next {
    /// Another input.
    File(Arc<Place>),
    /// A block was fetched: its number among all, and how many bytes of the input were read since.
    Block(u32, Arc<Place>, u64),
    End,
}

impl<'a> Source<'a> {
    fn new(inputs: &'a [Input], query: &'a Query) -> Self {
        Self {
            inputs: inputs.iter(),
            query,
            reader: None,
            number: 0,
            readable: 0,
            totals: Totals::default(),
            problems: BTreeMap::new(),
        }
    }

    /// Fetches the next block, of another input if that may be opened.
    fn next(&mut self, fetched: &mut Fetched, may_open: bool) -> Next {
        loop {
            let Some((reader, place)) = &mut self.reader else {
                match if may_open { self.inputs.next() } else { None } {
                    None => return Next::End,
                    Some(input) => match self.open(input) {
                        Some(place) => return Next::File(place),
                        None => continue,
                    },
                }
            };
            let before = reader.offset();
            match reader.fetch(fetched) {
                Ok(true) => {
                    let number = self.number;
                    self.number = number.saturating_add(1);
                    return Next::Block(number, Arc::clone(place), reader.offset() - before);
                }
                Ok(false) => self.close(),
                Err(error) => self.report(self.number, &error),
            }
        }
    }

    fn open(&mut self, input: &Input) -> Option<Arc<Place>> {
        let reader = match open(input) {
            Ok(reader) => reader,
            Err(error) => {
                self.report(self.number, &error);
                return None;
            }
        };
        self.readable += 1;
        if reader
            .stat()
            .is_some_and(|stat| self.query.is_outside(stat))
        {
            return None;
        }
        let place = Arc::new(Place {
            input: input.to_string(),
            ident: reader.ident().map(str::to_owned),
        });
        self.reader = Some((reader, Arc::clone(&place)));
        Some(place)
    }

    /// Counts what the input at hand says of itself.
    fn close(&mut self) {
        if let Some((reader, _)) = self.reader.take() {
            if let Some(stat) = reader.stat() {
                self.totals.widen(stat.first_ms, stat.last_ms);
            }
            self.totals.blocks_skipped += u64::from(reader.skipped_blocks());
        }
    }

    fn report(&mut self, block: u32, problem: &impl Display) {
        let problems = self.problems.entry(block).or_default();
        problems.push(problem.to_string());
    }
}

impl Scan<'_> {
    /// Everything in its order.
    fn alone(
        &self,
        answer: &mut Answer<'_>,
        out: &mut Output,
        writer: &mut Written,
    ) -> anyhow::Result<()> {
        let (mut fetched, mut unpacker) = (Fetched::default(), Unpacker::default());
        while !answer.is_done() {
            let next = lock(&self.source).next(&mut fetched, !answer.is_complete());
            match next {
                Next::End => break,
                Next::File(place) => {
                    answer.begin_file(place.ident.as_deref().unwrap_or("none"));
                    writer.begin_file(place.ident.as_deref())?;
                }
                Next::Block(number, place, size) => {
                    self.progress.advance(size);
                    self.report_before(number);
                    if let Some(block) = self.unpack(&mut unpacker, &fetched, number) {
                        let whole = read_block(&block, answer, &mut out.buffer, |taken, text| {
                            match taken {
                                Taken::Other(raw) => writer.other(raw)?,
                                Taken::Flow { written, bytes } => {
                                    if written {
                                        writer.flow(bytes)?;
                                    }
                                }
                            }
                            Output::flush_if_full(text).context(NO_OUTPUT)
                        })?;
                        self.check(whole, &block, &place, number);
                    }
                    self.report_before(number.saturating_add(1));
                }
            }
        }
        Ok(())
    }

    /// Several threads, each with a part of the answer.
    fn together(
        &self,
        threads: usize,
        answer: &mut Answer<'_>,
        out: &mut Output,
    ) -> anyhow::Result<()> {
        *lock(&self.head) = std::mem::take(&mut out.buffer);
        let parts: Vec<_> = (0..threads).map(|_| answer.part()).collect();
        let results: Vec<_> = thread::scope(|scope| {
            let work = |part| scope.spawn(move || self.work(part));
            let workers: Vec<_> = parts.into_iter().map(work).collect();
            workers
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        out.buffer = std::mem::take(&mut lock(&self.head));
        for result in results {
            match result {
                Ok(part) => answer.join(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    }

    /// Takes blocks until there are no more.
    fn work<'q>(&self, mut answer: Answer<'q>) -> anyhow::Result<Answer<'q>> {
        let (mut fetched, mut unpacker) = (Fetched::default(), Unpacker::default());
        let mut text = Vec::new();
        let mut at: Option<Arc<Place>> = None;
        loop {
            let next = lock(&self.source).next(&mut fetched, true);
            let (number, place, size) = match next {
                Next::End => return Ok(answer),
                Next::File(_) => continue,
                Next::Block(number, place, size) => (number, place, size),
            };
            self.progress.advance(size);
            if at.as_ref().is_none_or(|at| !Arc::ptr_eq(at, &place)) {
                answer.begin_file(place.ident.as_deref().unwrap_or("none"));
                at = Some(Arc::clone(&place));
            }
            let block = self.unpack(&mut unpacker, &fetched, number);
            let (flows, others) = if self.query.shows_numbers() {
                self.turns
                    .count(number, block.as_ref().map_or((0, 0), count))
            } else {
                (0, 0)
            };
            answer.begin_block(number, flows, others);
            text.clear();
            if let Some(block) = &block {
                let whole = read_block(block, &mut answer, &mut text, |_, _| Ok(()))?;
                self.check(whole, block, &place, number);
            }
            if self.query.is_listing() && !self.print(number, &text)? {
                return Ok(answer);
            }
        }
    }

    fn unpack<'a>(
        &self,
        unpacker: &'a mut Unpacker,
        fetched: &'a Fetched,
        number: u32,
    ) -> Option<Block<'a>> {
        match unpacker.unpack(fetched) {
            Ok((block, fault)) => {
                if let Some(fault) = fault {
                    lock(&self.source).report(number, &fault);
                }
                Some(block)
            }
            Err(error) => {
                lock(&self.source).report(number, &error);
                None
            }
        }
    }

    fn check(&self, whole: bool, block: &Block<'_>, place: &Place, number: u32) {
        if !whole {
            let text = format!(
                "{}: flow records of block {} cannot be read",
                place.input,
                block.number()
            );
            lock(&self.source).report(number, &text);
        }
    }

    /// Says what was wrong before this block.
    fn report_before(&self, number: u32) {
        let mut source = lock(&self.source);
        let later = source.problems.split_off(&number);
        for problem in std::mem::replace(&mut source.problems, later).into_values() {
            for problem in problem {
                self.progress.report(&problem);
            }
        }
    }

    /// Prints what a block gave, when those before it are printed; false if one of them could not be.
    fn print(&self, number: u32, text: &[u8]) -> anyhow::Result<bool> {
        let separated = matches!(self.query.mode, Mode::Json(_)) && !self.query.shows_numbers();
        let result = self.turns.print(number, |is_first| {
            self.report_before(number.saturating_add(1));
            if text.is_empty() {
                return Ok(false);
            }
            let from = if is_first && separated {
                Answer::SEPARATOR.len()
            } else {
                0
            };
            Output::write(&std::mem::take(&mut *lock(&self.head)))?;
            Output::write(text.get(from..).unwrap_or_default())?;
            Ok(true)
        });
        result.context(NO_OUTPUT)
    }
}

/// Who may do what next, by the numbers of the blocks.
#[derive(Default)]
struct Turns {
    counted: Turn<(u64, u64)>,
    printed: Turn<(bool, bool)>,
}

impl Turns {
    /// Flows and other records in all blocks before this one, which has that many.
    fn count(&self, number: u32, (flows, others): (u64, u64)) -> (u64, u64) {
        let mut before = (0, 0);
        self.counted.take(number, |sum| {
            before = *sum;
            *sum = (sum.0 + flows, sum.1 + others);
        });
        before
    }

    /// Prints if nothing went wrong before, else returns false; `print` is told whether nothing was printed yet, and tells
    /// whether it did.
    fn print(
        &self,
        number: u32,
        print: impl FnOnce(bool) -> std::io::Result<bool>,
    ) -> std::io::Result<bool> {
        let mut result = Ok(true);
        self.printed.take(number, |(printed, failed)| {
            if *failed {
                result = Ok(false);
                return;
            }
            match print(!*printed) {
                Ok(now) => *printed |= now,
                Err(error) => {
                    *failed = true;
                    result = Err(error);
                }
            }
        });
        result
    }
}

/// Something that is done in the order of the blocks.
#[derive(Default)]
struct Turn<S> {
    state: Mutex<(u32, S)>,
    changed: Condvar,
}

impl<S> Turn<S> {
    /// Waits for those before this number.
    fn take(&self, number: u32, work: impl FnOnce(&mut S)) {
        let mut state = lock(&self.state);
        while state.0 != number {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        work(&mut state.1);
        state.0 = number.wrapping_add(1);
        drop(state);
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Flows and other records of a block.
fn count(block: &Block<'_>) -> (u64, u64) {
    block.records().fold((0, 0), |(flows, others), record| {
        match record.record_type == V3_RECORD {
            true => (flows + 1, others),
            false => (flows, others + 1),
        }
    })
}

/// A record of a block that was dealt with.
enum Taken<'r, 'b> {
    Flow {
        /// It belongs into the file to be written.
        written: bool,
        bytes: &'b [u8],
    },
    Other(&'r RawRecord<'b>),
}

/// Takes the block's records up to the limit; after each, `then` is given it and the text so far. False if some are no flow
/// records.
fn read_block<'b>(
    block: &Block<'b>,
    answer: &mut Answer<'_>,
    text: &mut Vec<u8>,
    mut then: impl FnMut(Taken<'_, 'b>, &mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let (mut whole, mut parser) = (true, RecordParser::default());
    answer.read_block(block.size() as u64);
    for raw in block.records() {
        if raw.record_type != V3_RECORD {
            answer.other_record(&raw);
            then(Taken::Other(&raw), text)?;
            continue;
        }
        if answer.is_done() {
            break;
        }
        let Ok(record) = parser.parse(raw.bytes) else {
            whole = false;
            continue;
        };
        let taken = Taken::Flow {
            written: answer.record(&record, text),
            bytes: raw.bytes,
        };
        then(taken, text)?;
    }
    Ok(whole)
}
