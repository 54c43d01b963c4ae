//! Running both programs, and what counts as the same.

use crate::commands::{Command, Exceptions};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

/// Both programs and where the files are.
pub struct Programs {
    scratch: PathBuf,
    root: PathBuf,
    ours: PathBuf,
    theirs: PathBuf,
    /// What ours gets before all other words.
    style: Vec<String>,
}

impl Programs {
    /// Ours is called by the name nfdump, so that its defaults are nfdump's.
    pub fn new(scratch: &Path, root: &Path, theirs: PathBuf, style: Vec<String>) -> Self {
        let ours = scratch.join("bin/nfdump");
        fs::create_dir_all(scratch.join("bin")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_t2report"), &ours).unwrap();
        Self {
            scratch: scratch.to_owned(),
            root: root.to_owned(),
            ours,
            theirs,
            style,
        }
    }

    /// A place of its own for a thread.
    pub fn place(&self, thread: usize) -> Place<'_> {
        Place {
            programs: self,
            folder: self.scratch.join(format!("place{thread}")),
        }
    }
}

pub struct Place<'p> {
    programs: &'p Programs,
    folder: PathBuf,
}

/// What became of a comparison.
pub enum Verdict {
    /// The same bytes and exit codes.
    Identical,
    /// The same but for the order of rows that tie.
    Ties,
    /// The same but for parts that are not compared.
    InParts,
    /// How they differ.
    Different(String),
}

/// What one program printed.
#[derive(PartialEq, Eq)]
struct Outcome {
    code: i32,
    lines: Vec<String>,
    errors: String,
}

impl Place<'_> {
    pub fn compare(
        &self,
        command: &Command,
        file: Option<&str>,
        exceptions: &Exceptions,
    ) -> Verdict {
        let mut theirs = self.run_all(&self.programs.theirs, command, file, None);
        let mut ours = self.run_all(&self.programs.ours, command, file, None);
        if theirs.code == ours.code && theirs.lines == ours.lines {
            return Verdict::Identical;
        }
        if exceptions.blank(&command.text, &mut theirs.lines, &mut ours.lines) {
            let same = theirs.code == ours.code
                && (theirs.lines == ours.lines
                    || self.same_but_for_ties(command, file, &theirs, &ours));
            return if same {
                Verdict::InParts
            } else {
                Verdict::Different(difference(&theirs, &ours))
            };
        }
        if theirs.code == ours.code && self.same_but_for_ties(command, file, &theirs, &ours) {
            return Verdict::Ties;
        }
        Verdict::Different(difference(&theirs, &ours))
    }

    /// All runs of a command line, one after the other, their output joined. `format` replaces what `-o` says.
    fn run_all(
        &self,
        program: &Path,
        command: &Command,
        file: Option<&str>,
        format: Option<&str>,
    ) -> Outcome {
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder).unwrap();
        let mut all = Outcome {
            code: 0,
            lines: Vec::new(),
            errors: String::new(),
        };
        for words in &command.runs {
            let arguments = self.arguments(words, file, format);
            let style: &[String] = if program == self.programs.ours {
                &self.programs.style
            } else {
                &[]
            };
            let output = process::Command::new(program)
                // Some versions print the name by which they were called.
                .arg0("nfdump")
                .args(style)
                .args(&arguments)
                .env("TZ", "Europe/Zurich")
                .env_remove("T2_FLOWS")
                .current_dir(&self.folder)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            all.code = output.status.code().unwrap_or(-1);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            all.lines.extend(
                text.split_inclusive('\n')
                    .filter(|line| !line.starts_with("Sys: ") && !line.starts_with("Created    : "))
                    .map(|line| {
                        // What a carriage return overwrites: the wheel that nfdump -v turns.
                        line.rsplit('\r').next().unwrap_or(line).to_owned()
                    }),
            );
            all.errors += &String::from_utf8_lossy(&output.stderr);
        }
        all
    }

    fn arguments(&self, words: &[String], file: Option<&str>, format: Option<&str>) -> Vec<String> {
        let root = self.programs.root.display().to_string();
        let path = file
            .map(|file| format!("{root}/{file}"))
            .unwrap_or_default();
        let scratch = self.folder.join("written").display().to_string();
        let mut arguments = Vec::new();
        let reads = words.iter().any(|word| {
            word.contains("{f}") || word.contains("{d}") || word.contains("{w}") && word != "{w}"
        }) || words
            .windows(2)
            .any(|pair| pair[0] != "-w" && pair[1] == "{w}")
            || words.first().is_some_and(|word| word == "{none}");
        if !reads && file.is_some() {
            arguments.extend(["-r".to_owned(), path.clone()]);
        }
        let mut words = words.iter().filter(|word| *word != "{none}");
        while let Some(word) = words.next() {
            arguments.push(
                word.replace("{f}", &path)
                    .replace("{d}", &root)
                    .replace("{w}", &scratch),
            );
            if let (Some(format), "-o") = (format, word.as_str()) {
                words.next();
                arguments.push(format.to_owned());
            }
        }
        if let Some(format) = format
            && !arguments.iter().any(|word| word == "-o")
        {
            arguments.splice(0..0, ["-o".to_owned(), format.to_owned()]);
        }
        arguments
    }

    /// Whether the outputs are the same rows, and their order differs only where the order value is equal.
    fn same_but_for_ties(
        &self,
        command: &Command,
        file: Option<&str>,
        theirs: &Outcome,
        ours: &Outcome,
    ) -> bool {
        let words: Vec<&str> = command.runs.iter().flatten().map(String::as_str).collect();
        let given = |option: &str| words.iter().any(|word| word.starts_with(option));
        let rows_move = given("-s")
            || given("-O")
            || given("-a")
            || given("-A")
            || given("-b")
            || given("-B")
            || given("-m");
        if !rows_move || theirs.lines.len() != ours.lines.len() {
            return false;
        }
        let order = order_of(&words);
        // Without titles every row is one of the one table.
        let quiet = words.contains(&"-q") || words.contains(&"-w");
        if given("-s") && tables(&theirs.lines, &order, quiet) == tables(&ours.lines, &order, quiet)
        {
            let one_record_table = words.iter().any(|word| word.starts_with("record"))
                && words.iter().filter(|word| **word == "-s").count() == 1
                && !words.iter().any(|word| word.matches('/').count() > 1);
            return !one_record_table || self.same_keys(command, file);
        }
        if sorted(&theirs.lines) == sorted(&ours.lines) {
            return !given("-O") && !given("-m") || self.same_keys(command, file);
        }
        // Cut by -n: which of the last rows made it is arbitrary; their order values are not.
        (given("-n") || given("-s")) && self.same_keys(command, file)
    }

    /// Whether both programs print rows with the same times and counters, in which every order value shows, in the same order.
    fn same_keys(&self, command: &Command, file: Option<&str>) -> bool {
        let words: Vec<&str> = command.runs.iter().flatten().map(String::as_str).collect();
        let order = order_of(&words);
        let format = Some("fmt:%tsr %te %td %fl %ipkt %opkt %ibyt %obyt");
        let mut theirs = self.run_all(&self.programs.theirs, &plain(command), file, format);
        let mut ours = self.run_all(&self.programs.ours, &plain(command), file, format);
        // Later versions print flows put together by chosen fields in the columns of these only.
        let own_columns = theirs.code != 0 || ours.code != 0;
        if own_columns {
            theirs = self.run_all(&self.programs.theirs, &plain(command), file, None);
            ours = self.run_all(&self.programs.ours, &plain(command), file, None);
        }
        let key = |line: &String| match own_columns {
            true => order_value_of_fields(line, &order),
            false => order_value(line, &order),
        };
        let is_row = |line: &&String| {
            !line.starts_with("Total flows processed")
                && !line.starts_with("Total records processed")
        };
        theirs
            .lines
            .iter()
            .filter(is_row)
            .map(key)
            .eq(ours.lines.iter().filter(is_row).map(key))
    }
}

fn plain(command: &Command) -> Command {
    let mut command = command.clone();
    for run in &mut command.runs {
        run.insert(0, "-N".to_owned());
    }
    command
}

/// The one order by which rows are sorted; several are not told apart.
fn order_of(words: &[&str]) -> String {
    let after = |option: &str| {
        words
            .windows(2)
            .find(|pair| pair[0] == option)
            .map(|pair| pair[1])
    };
    let text = after("-O").or_else(|| {
        after("-s").map(|text| text.split_once('/').map_or("flows", |(_, order)| order))
    });
    text.unwrap_or("tstart")
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// The order value of a row `%tsr %te %td %fl %ipkt %opkt %ibyt %obyt` with plain numbers; other lines are themselves.
fn order_value(line: &str, order: &str) -> String {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [start, day, clock, duration, flows, ipkt, opkt, ibyt, obyt] = columns[..] else {
        return line.to_owned();
    };
    let numbers = [flows, ipkt, opkt, ibyt, obyt].map(|text| text.parse::<u64>().ok());
    let [Some(flows), Some(ipkt), Some(opkt), Some(ibyt), Some(obyt)] = numbers else {
        return line.to_owned();
    };
    let ms = duration.replace('.', "").parse::<i64>().unwrap_or(0) as u64;
    let (packets, bytes) = match order.as_bytes().first() {
        Some(b'i') => (ipkt, ibyt),
        Some(b'o') => (opkt, obyt),
        _ => (ipkt + opkt, ibyt + obyt),
    };
    let rate = |count: u64| count.checked_div(ms).unwrap_or(0);
    match order.trim_start_matches(['i', 'o']) {
        "flows" => flows.to_string(),
        "packets" | "pkg" => packets.to_string(),
        "bytes" | "byte" => bytes.to_string(),
        "pps" => rate(packets * 1000).to_string(),
        "bps" => rate(bytes.wrapping_mul(8000)).to_string(),
        "bpp" => bytes.checked_div(packets).unwrap_or(0).to_string(),
        "tstart" => start.to_owned(),
        "tend" => format!("{day} {clock}"),
        "duration" => duration.to_owned(),
        _ => line.to_owned(),
    }
}

/// The order value of a row that ends in `%pkt %byt %bps %bpp %fl` with plain numbers; other lines are themselves.
fn order_value_of_fields(line: &str, order: &str) -> String {
    let columns: Vec<&str> = line.split_whitespace().rev().take(5).collect();
    let [flows, bpp, bps, bytes, packets] = columns[..] else {
        return line.to_owned();
    };
    if columns.iter().any(|column| column.parse::<u64>().is_err()) {
        return line.to_owned();
    }
    match order {
        "flows" => flows,
        "packets" => packets,
        "bytes" => bytes,
        "bps" => bps,
        "bpp" => bpp,
        _ => line,
    }
    .to_owned()
}

fn sorted(lines: &[String]) -> Vec<&String> {
    let mut lines: Vec<&String> = lines.iter().collect();
    lines.sort();
    lines
}

/// Tables of element statistics with each row reduced to the column it is sorted by, and the rows that do not tie with the
/// last one (which of those made it into the table is arbitrary) as a set.
fn tables(lines: &[String], csv_order: &str, quiet: bool) -> Vec<String> {
    let mut result = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    let mut order: Option<String> = quiet.then(|| csv_order.to_owned());
    for line in lines {
        let line = line.trim_end_matches('\n');
        let csv = line.starts_with("ts,te,td,pr,val");
        if line.starts_with("Top ") || line.starts_with("Summary") || line.is_empty() || csv {
            settle(&mut result, &mut rows, order.as_deref());
            let title = line
                .strip_suffix(':')
                .and_then(|title| title.rsplit_once(" ordered by "));
            order = title.map(|(_, order)| order.to_owned());
            if csv {
                order = Some(format!("csv {csv_order}"));
            }
            result.push(line.to_owned());
        } else {
            rows.push(line);
        }
    }
    settle(&mut result, &mut rows, order.as_deref());
    result
}

fn settle(result: &mut Vec<String>, rows: &mut Vec<&str>, order: Option<&str>) {
    let keys: Vec<String> = match order {
        None => Vec::new(),
        Some(order) => rows.iter().map(|row| element_value(row, order)).collect(),
    };
    let last = keys.last().cloned().unwrap_or_default();
    let mut certain: Vec<String> = rows
        .drain(..)
        .enumerate()
        .filter(|(at, _)| {
            keys.get(*at)
                .is_none_or(|key| key.is_empty() || *key != last)
        })
        .map(|(_, row)| row.to_owned())
        .collect();
    certain.sort();
    result.extend(keys);
    result.extend(certain);
}

/// The column by which an element's table is sorted; empty for other lines.
fn element_value(row: &str, order: &str) -> String {
    if let Some(order) = order.strip_prefix("csv ") {
        let column = match order.trim_start_matches(['i', 'o']) {
            "bpp" => 13,
            "bps" => 12,
            "pps" => 11,
            "byte" | "bytes" => 9,
            "pkg" | "packets" => 7,
            _ => 5,
        };
        return row.split(',').nth(column).unwrap_or_default().to_owned();
    }
    if row.matches('(').count() < 3 || row.contains("(%)") {
        return String::new();
    }
    let packed = row
        .replace("( ", "(")
        .replace(" M", "M")
        .replace(" G", "G")
        .replace(" T", "T");
    let from_right = match order.trim_start_matches(['i', 'o']) {
        "bpp" => 0,
        "bps" => 1,
        "pps" => 2,
        "byte" | "bytes" => 3,
        "pkg" | "packets" => 4,
        _ => 5,
    };
    let column = packed.split_whitespace().rev().nth(from_right);
    column.map_or_else(String::new, |column| {
        column.split('(').next().unwrap_or_default().to_owned()
    })
}

fn difference(theirs: &Outcome, ours: &Outcome) -> String {
    let at = theirs
        .lines
        .iter()
        .zip(&ours.lines)
        .position(|(theirs, ours)| theirs != ours);
    let at = at.unwrap_or(theirs.lines.len().min(ours.lines.len()));
    format!(
        "  exit {} and {}, {} and {} lines, from line {}:\n  nfdump   {:?}\n  t2report {:?}\n  {} | {}",
        theirs.code,
        ours.code,
        theirs.lines.len(),
        ours.lines.len(),
        at + 1,
        theirs.lines.get(at),
        ours.lines.get(at),
        theirs.errors.trim_end(),
        ours.errors.trim_end()
    )
}
