//! Running both programs, and what counts as the same.

use crate::{
    commands::{Command, Exceptions},
    sums::{self, Sums},
    ties::{SUM, order_of, order_value_of_fields, order_values, sorted, tables},
};
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
        let path = self.input(command, file);
        let mut all = Outcome {
            code: 0,
            lines: Vec::new(),
            errors: String::new(),
        };
        for words in &command.runs {
            let arguments = self.arguments(words, path.as_deref(), format);
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

    /// Where the file is: of a command that changes it a copy.
    fn input(&self, command: &Command, file: Option<&str>) -> Option<String> {
        let mut path = self.programs.root.join(file?);
        if words(command).contains(&"-i") {
            let copy = self.folder.join(file?);
            fs::copy(&path, &copy).unwrap();
            path = copy;
        }
        Some(path.display().to_string())
    }

    /// `path` is that of the file.
    fn arguments(&self, words: &[String], path: Option<&str>, format: Option<&str>) -> Vec<String> {
        let root = self.programs.root.display().to_string();
        let scratch = self.folder.join("written").display().to_string();
        let mut arguments = Vec::new();
        let reads = words.iter().any(|word| {
            word.contains("{f}") || word.contains("{d}") || word.contains("{w}") && word != "{w}"
        }) || words
            .windows(2)
            .any(|pair| pair[0] != "-w" && pair[1] == "{w}")
            || words.first().is_some_and(|word| word == "{none}");
        if let (false, Some(path)) = (reads, path) {
            arguments.extend(["-r".to_owned(), path.to_owned()]);
        }
        let mut words = words.iter().filter(|word| *word != "{none}");
        while let Some(word) = words.next() {
            arguments.push(
                word.replace("{f}", path.unwrap_or_default())
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
        let words = words(command);
        let given = |option: &str| words.iter().any(|word| word.starts_with(option));
        let rows_move = ["-s", "-O", "-a", "-A", "-b", "-B", "-m"]
            .into_iter()
            .any(given);
        if !rows_move || theirs.lines.len() != ours.lines.len() {
            return false;
        }
        let order = order_of(&words);
        // Without titles every row is one of the one table.
        let quiet = words.contains(&"-q") || words.contains(&"-w");
        let statistics: Vec<&str> = words
            .windows(2)
            .filter(|pair| pair[0] == "-s")
            .map(|pair| pair[1])
            .collect();
        let one_record_table = matches!(statistics[..], [only] if only.starts_with("record")
            && only.matches('/').count() < 2);
        let same_rows = sorted(&theirs.lines) == sorted(&ours.lines);
        if given("-s") && !one_record_table {
            let same = |theirs: &Outcome, ours: &Outcome, quiet| {
                tables(&theirs.lines, &order, quiet) == tables(&ours.lines, &order, quiet)
            };
            // Of several tables only the titles tell which is sorted by what.
            return same(theirs, ours, quiet)
                || same_rows && words.contains(&"-q") && {
                    let titled = without_quiet(command);
                    let theirs = self.run_all(&self.programs.theirs, &titled, file, None);
                    let ours = self.run_all(&self.programs.ours, &titled, file, None);
                    same(&theirs, &ours, false)
                };
        }
        if same_rows && !one_record_table && !given("-O") && !given("-m") {
            return true;
        }
        // Cut by -n: which of the last rows made it is arbitrary; their order values are not.
        let whole = words.windows(2).any(|pair| pair == ["-n", "0"]);
        let cut = !whole && (given("-n") || given("-s"));
        let keys = (same_rows || cut)
            .then(|| {
                self.shown_keys(command, file)
                    .or_else(|| self.summed_keys(command, file))
            })
            .flatten();
        keys.is_some_and(|keys| same_rows || self.same_certain_rows(command, file, &keys))
    }

    /// The order values of the rows, in which every one shows, if those of both programs are the same.
    fn shown_keys(&self, command: &Command, file: Option<&str>) -> Option<Vec<String>> {
        let order = order_of(&words(command));
        let format = format!("fmt:{SUM}");
        let command = only_rows(command);
        let mut theirs = self.run_all(&self.programs.theirs, &command, file, Some(&format));
        let mut ours = self.run_all(&self.programs.ours, &command, file, Some(&format));
        // Later versions print flows put together by chosen fields in the columns of these only.
        let own_columns = theirs.code != 0 || ours.code != 0;
        if own_columns {
            theirs = self.run_all(&self.programs.theirs, &command, file, None);
            ours = self.run_all(&self.programs.ours, &command, file, None);
        }
        let keys = |outcome: &Outcome| -> Vec<String> {
            let of_fields = |line: &String| order_value_of_fields(line, &order);
            match own_columns {
                true => outcome.lines.iter().map(of_fields).collect(),
                false => order_values(&outcome.lines, &order),
            }
        };
        let (theirs, ours) = (keys(&theirs), keys(&ours));
        (theirs == ours).then_some(theirs)
    }

    /// The order values of flows put together, worked out from their records, if those of both programs are the same.
    fn summed_keys(&self, command: &Command, file: Option<&str>) -> Option<Vec<String>> {
        let words = words(command);
        let given = |option: &str| words.iter().any(|word| word.starts_with(option));
        if given("-A") || given("-w") {
            return None;
        }
        let record = format!("{} {SUM}", sums::FLOW);
        let records = self.run_all(
            &self.programs.theirs,
            &one_by_one(&only_rows(command)),
            file,
            Some(&record),
        );
        let sums = Sums::of(&records.lines, given("-b") || given("-B"));
        let order = order_of(&words);
        let keys = |program: &Path| {
            let flows = self.run_all(program, &only_rows(command), file, Some(sums::FLOW));
            sums.order_values(&flows.lines, &order)
        };
        let theirs = keys(&self.programs.theirs)?;
        (keys(&self.programs.ours)? == theirs).then_some(theirs)
    }

    /// Whether the rows whose order value is not that of the last one are the same; of formats that take more than a line for
    /// a row that is not known, and held to be so.
    fn same_certain_rows(&self, command: &Command, file: Option<&str>, keys: &[String]) -> bool {
        let mut command = command.clone();
        for run in &mut command.runs {
            run.insert(0, "-q".to_owned());
        }
        let rows = |program: &Path| {
            let lines = self.run_all(program, &command, file, None).lines;
            let headings = lines
                .len()
                .checked_sub(keys.len())
                .filter(|extra| *extra < 2)?;
            let rows = lines.into_iter().skip(headings).zip(keys);
            let mut certain: Vec<String> = rows
                .filter(|(_, key)| Some(*key) != keys.last())
                .map(|(row, _)| row)
                .collect();
            certain.sort();
            Some(certain)
        };
        rows(&self.programs.theirs) == rows(&self.programs.ours)
    }
}

fn words(command: &Command) -> Vec<&str> {
    command.runs.iter().flatten().map(String::as_str).collect()
}

/// The command line without headings, summary and scaled numbers.
fn only_rows(command: &Command) -> Command {
    let mut command = command.clone();
    for run in &mut command.runs {
        run.splice(0..0, ["-q", "-N", "-6"].map(str::to_owned));
    }
    command
}

fn without_quiet(command: &Command) -> Command {
    let mut command = command.clone();
    for run in &mut command.runs {
        run.retain(|word| word != "-q");
    }
    command
}

/// The command line without what puts records together and sorts them.
fn one_by_one(command: &Command) -> Command {
    let mut command = command.clone();
    for run in &mut command.runs {
        let mut words = std::mem::take(run).into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-s" | "-O" | "-n" => drop(words.next()),
                "-a" | "-b" | "-B" | "-m" => {}
                _ => run.push(word),
            }
        }
    }
    command
}

fn difference(theirs: &Outcome, ours: &Outcome) -> String {
    let (theirs_sorted, ours_sorted) = (sorted(&theirs.lines), sorted(&ours.lines));
    let in_order_only = theirs_sorted == ours_sorted;
    let at = theirs
        .lines
        .iter()
        .zip(&ours.lines)
        .position(|(theirs, ours)| theirs != ours);
    let at = at.unwrap_or(theirs.lines.len().min(ours.lines.len()));
    // Where both print the same rows in another order, the first that differs says little.
    let apart = |lines: &[&String], others: &[&String]| {
        let found = lines
            .iter()
            .find(|line| others.binary_search(line).is_err());
        found.map(|line| (*line).clone())
    };
    format!(
        "  exit {} and {}, {} and {} lines{}, from line {}:\n  nfdump   {:?}\n  t2report {:?}\n  only in one: {:?}\n           and {:?}\n  {} | {}",
        theirs.code,
        ours.code,
        theirs.lines.len(),
        ours.lines.len(),
        if in_order_only {
            " in another order"
        } else {
            ""
        },
        at + 1,
        theirs.lines.get(at),
        ours.lines.get(at),
        apart(&theirs_sorted, &ours_sorted),
        apart(&ours_sorted, &theirs_sorted),
        theirs.errors.trim_end(),
        ours.errors.trim_end()
    )
}
