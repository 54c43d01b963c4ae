//! The command lines and the exceptions: text files beside this one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// A command line: one or several runs of the program.
#[derive(Clone)]
pub struct Command {
    /// The line as it stands in the file.
    pub text: String,
    /// Words of each run, separated by `;;` in the line. `{f}` is the file, `{d}` the folder of all files, `{w}` a scratch file.
    pub runs: Vec<Vec<String>>,
}

impl Command {
    fn parse(text: &str) -> Self {
        let runs = text.split(";;").map(words).collect();
        Self {
            text: text.to_owned(),
            runs,
        }
    }

    /// Whether the line says itself what it reads.
    pub fn names_files(&self) -> bool {
        !self.text.contains("{f}") && self.text.contains("{d}")
            || self.runs[0].first().is_some_and(|word| word == "{none}")
    }
}

/// Words as a shell splits them; `'…'` keeps blanks.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                open.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(open.take()),
            c => open.get_or_insert_default().push(c),
        }
    }
    words.extend(open);
    words
}

/// All command lines of a file.
pub fn read(name: &str) -> Vec<Command> {
    lines(name)
        .iter()
        .map(|line| Command::parse(line))
        .collect()
}

/// A text file beside this one.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/table")
        .join(name)
}

fn lines(name: &str) -> Vec<String> {
    let path = file(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// What differs on purpose: `NFDUMP | T2REPORT`, what each does, then indented `PATTERN [@FILE-PATTERN,…]` lines; `*` stands for
/// anything, `sometimes: ` before a line says that it depends on chance. `line: PATTERN` is a line that is not compared
/// (`line in PATTERN: PATTERN`: of these command lines), `column N of PATTERN` a column of csv that is not.
pub struct Exceptions {
    runs: Vec<Exception>,
    parts: Vec<Part>,
}

/// A part of the output that is not compared.
struct Part {
    line: String,
    /// Column from 1 of lines of that many columns; 0 for the whole line.
    column: usize,
    command: String,
    pattern: String,
    used: AtomicBool,
}

/// Columns of nfdump's csv.
const CSV_COLUMNS: usize = 48;

impl Part {
    fn parse(line: &str) -> Option<Self> {
        let (column, command, pattern) = if let Some(pattern) = line.strip_prefix("line: ") {
            (0, "*", pattern)
        } else if let Some(rest) = line.strip_prefix("line in ") {
            let (command, pattern) = rest.split_once(": ")?;
            (0, command, pattern)
        } else {
            let (column, pattern) = line.strip_prefix("column ")?.split_once(" of ")?;
            (column.parse().ok()?, "*", pattern)
        };
        let command = command.to_owned();
        Some(Self {
            line: line.to_owned(),
            column,
            command,
            pattern: pattern.to_owned(),
            used: AtomicBool::new(false),
        })
    }

    /// The line without what is not compared.
    fn blank(&self, line: &str) -> Option<String> {
        if self.column == 0 {
            return matches(&self.pattern, line.trim_matches(['\t', '\n']))
                .then(|| "not compared\n".to_owned());
        }
        let mut columns: Vec<&str> = line.split(',').collect();
        let column = columns.get_mut(self.column - 1)?;
        if !matches(&self.pattern, column) {
            return None;
        }
        *column = "not compared";
        (columns.len() == CSV_COLUMNS).then(|| columns.join(","))
    }
}

struct Exception {
    line: String,
    command: String,
    /// Patterns of files.
    files: Vec<String>,
    reason: String,
    used: AtomicBool,
}

impl Exceptions {
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(file(name)).unwrap();
        let mut reason = String::new();
        let mut runs = Vec::new();
        let mut parts = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        {
            if !line.starts_with(' ') {
                line.clone_into(&mut reason);
                continue;
            }
            let line = line.trim();
            if let Some(part) = Part::parse(line) {
                parts.push(part);
                continue;
            }
            let often = line.strip_prefix("sometimes: ");
            let text = often.unwrap_or(line);
            let (command, files) = text.rsplit_once(" @").unwrap_or((text, "*"));
            runs.push(Exception {
                line: line.to_owned(),
                command: command.to_owned(),
                files: files.split(',').map(str::to_owned).collect(),
                reason: reason.clone(),
                used: AtomicBool::new(often.is_some()),
            });
        }
        Self { runs, parts }
    }

    /// What differs, as the document says it: every line of the file that is not indented.
    pub fn differences(name: &str) -> Vec<String> {
        let text = fs::read_to_string(file(name)).unwrap();
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with([' ', '#']))
            .map(str::to_owned)
            .collect()
    }

    /// Why this run may differ.
    pub fn reason(&self, command: &str, file: Option<&str>) -> Option<&str> {
        let found = self.runs.iter().find(|exception| {
            let file = file.unwrap_or("-");
            matches(&exception.command, command)
                && exception.files.iter().any(|files| matches(files, file))
        })?;
        found.used.store(true, Ordering::Relaxed);
        Some(&found.reason)
    }

    /// Blanks what is not compared of two outputs; true if that changes anything.
    pub fn blank(&self, command: &str, theirs: &mut [String], ours: &mut [String]) -> bool {
        let mut changed = false;
        for line in theirs.iter_mut().chain(ours) {
            for part in self
                .parts
                .iter()
                .filter(|part| matches(&part.command, command))
            {
                if let Some(blanked) = part.blank(line) {
                    *line = blanked;
                    part.used.store(true, Ordering::Relaxed);
                    changed = true;
                }
            }
        }
        changed
    }

    /// Exceptions that no run needed.
    pub fn unused(&self) -> Vec<&str> {
        let runs = self
            .runs
            .iter()
            .filter(|exception| !exception.used.load(Ordering::Relaxed))
            .map(|exception| exception.line.as_str());
        let parts = self
            .parts
            .iter()
            .filter(|part| !part.used.load(Ordering::Relaxed))
            .map(|part| part.line.as_str());
        runs.chain(parts).collect()
    }
}

/// Whether a text is what a pattern with `*` describes.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}
