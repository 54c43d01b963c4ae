//! The table: command lines of `commands.txt`, each run by nfdump 1.7.1 and by `t2report` under the name nfdump on files that
//! the real nfcapd and nfpcapd made; the same lines by nfdump 1.7.5, and those of `commands-1.6.txt` by nfdump 1.6.22 on files of
//! its own nfcapd (`ci/nfdump-versions.sh` unpacks both). Standard output and exit code must be the same bytes, but for the line of run times and
//! for the order of rows that tie. What differs on purpose is listed in `exceptions.txt` with its reason: a difference that is
//! not listed fails, and so does, when all lines run on all files, a listed one that is gone.
//!
//! `T2_TABLE=all` runs every line on every file (else on a share of them, `T2_TABLE_SHARE=N` on one in N), any other value the lines that contain it;
//! `T2_TABLE_FILES=DIR` keeps the files there; `T2_TABLE_SHOW=N` shows the first N differences.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/column.rs"]
mod column;
mod commands;
mod compare;
mod datagrams;
mod fixtures;
mod sums;
mod ties;

use commands::{Command, Exceptions};
use compare::{Programs, Verdict};
use fixtures::Files;
use golden::harness;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A line runs on one file in so many, unless all are asked for.
const SHARE: usize = 24;

/// The share asked for with `T2_TABLE_SHARE`, else the usual one.
fn share() -> usize {
    let asked = env::var("T2_TABLE_SHARE").ok();
    asked.and_then(|share| share.parse().ok()).unwrap_or(SHARE)
}

/// A version to compare with.
struct Version {
    number: &'static str,
    /// What ours is told, nothing for the default.
    compat: Option<&'static str>,
    commands: &'static str,
    exceptions: &'static str,
    /// Makes the files.
    files: fn(&Path) -> Option<Files>,
}

#[test]
fn every_command_line_as_nfdump() {
    compare_with(&Version {
        number: "1.7.1",
        compat: None,
        commands: "commands.txt",
        exceptions: "exceptions.txt",
        files: fixtures::make,
    });
}

#[test]
fn every_command_line_as_nfdump_1_7_5() {
    compare_with(&Version {
        number: "1.7.5",
        compat: Some("1.7.5"),
        commands: "commands.txt",
        exceptions: "exceptions-1.7.5.txt",
        files: fixtures::make,
    });
}

#[test]
fn every_command_line_as_nfdump_1_6() {
    compare_with(&Version {
        number: "1.6.22",
        compat: Some("1.6"),
        commands: "commands-1.6.txt",
        exceptions: "exceptions-1.6.txt",
        files: fixtures::make_layout_1,
    });
}

/// `docs/differences.md` has a row for each listed difference, in the section of the version.
#[test]
fn the_document_tells_every_difference() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let document = std::fs::read_to_string(document).unwrap();
    for (heading, exceptions) in [
        ("## t2report and nfdump 1.7.1", "exceptions.txt"),
        (
            "### `--compat 1.7.5` and nfdump 1.7.5",
            "exceptions-1.7.5.txt",
        ),
        ("### `--compat 1.6` and nfdump 1.6.22", "exceptions-1.6.txt"),
    ] {
        let section = document.split_once(&format!("{heading}\n"));
        let (_, section) = section.unwrap_or_else(|| panic!("no section {heading}"));
        let rows: Vec<&str> = section
            .lines()
            .take_while(|line| !line.starts_with('#'))
            .collect();
        let differences = Exceptions::differences(exceptions);
        assert!(!differences.is_empty(), "{exceptions}");
        for difference in differences {
            let row = format!("| {difference} |");
            assert!(rows.contains(&row.as_str()), "{heading} lacks\n{row}");
        }
    }
}

fn compare_with(version: &Version) {
    let Some(theirs) = program(version.number) else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let root =
        env::var_os("T2_TABLE_FILES").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let root = root.join(version.exceptions);
    let Some(files) = (version.files)(&root) else {
        return;
    };
    let style = version
        .compat
        .map(|compat| ["--compat".to_owned(), compat.to_owned()]);
    let style = style.map_or_else(Vec::new, Vec::from);
    let programs = Programs::new(scratch.path(), &root, theirs, style);
    let (jobs, lines) = jobs(&files.names, version.commands);
    let exceptions = Exceptions::read(version.exceptions);
    let results = run(&programs, &jobs, &exceptions);
    report(&jobs, &results, &exceptions, lines);
}

/// nfdump of that version: the installed one or one that `ci/nfdump-versions.sh` unpacked.
fn program(number: &str) -> Option<PathBuf> {
    if number != "1.7.1" {
        return harness::nfdump_version(number, "nfdump");
    }
    let nfdump = harness::peer("nfdump")?;
    let version = harness::run(std::process::Command::new(&nfdump).arg("-V"));
    if (version.text() + &version.stderr).contains(number) {
        return Some(nfdump);
    }
    assert!(!harness::in_ci(), "nfdump is not {number}");
    harness::skip("nfdump is not 1.7.1");
    None
}

/// A command line on a file (none if the line names its own).
struct Job {
    command: Command,
    file: Option<String>,
}

impl Job {
    fn name(&self) -> String {
        format!(
            "{} @{}",
            self.command.text,
            self.file.as_deref().unwrap_or("-")
        )
    }
}

fn jobs(names: &[String], commands: &str) -> (Vec<Job>, usize) {
    let wanted = env::var("T2_TABLE").unwrap_or_default();
    let all = wanted == "all";
    let commands: Vec<Command> = commands::read(commands);
    let lines = commands.len();
    let mut jobs = Vec::new();
    for (number, command) in commands.into_iter().enumerate() {
        if !all && !command.text.contains(&wanted) {
            continue;
        }
        if command.names_files() {
            jobs.push(Job {
                command,
                file: None,
            });
            continue;
        }
        for (at, name) in names.iter().enumerate() {
            if all || !wanted.is_empty() || (at + number) % share() == 0 {
                jobs.push(Job {
                    command: command.clone(),
                    file: Some(name.clone()),
                });
            }
        }
    }
    (jobs, lines)
}

/// Runs the jobs on as many threads as there are processors.
fn run(programs: &Programs, jobs: &[Job], exceptions: &Exceptions) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, results) = (&next, &results);
            scope.spawn(move || {
                let place = programs.place(thread);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    let verdict = place.compare(&job.command, job.file.as_deref(), exceptions);
                    results.lock().unwrap().insert(at, verdict);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

fn report(jobs: &[Job], results: &[Verdict], exceptions: &Exceptions, lines: usize) {
    let (mut identical, mut ties, mut in_parts) = (0, 0, 0);
    let mut excepted: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unlisted = Vec::new();
    for (job, verdict) in jobs.iter().zip(results) {
        match verdict {
            Verdict::Identical => identical += 1,
            Verdict::Ties => ties += 1,
            Verdict::InParts => in_parts += 1,
            Verdict::Different(how) => {
                match exceptions.reason(&job.command.text, job.file.as_deref()) {
                    Some(reason) => *excepted.entry(reason).or_default() += 1,
                    None => unlisted.push(format!("{}\n{how}", job.name())),
                }
            }
        }
    }
    eprintln!(
        "{lines} command lines, {} runs: {identical} identical, {ties} identical but for ties, {in_parts} but for listed lines and columns, {} listed exceptions, {} different",
        jobs.len(),
        excepted.values().sum::<usize>(),
        unlisted.len()
    );
    for (reason, count) in &excepted {
        eprintln!("  {count:5}  {reason}");
    }
    let shown = env::var("T2_TABLE_SHOW")
        .ok()
        .and_then(|shown| shown.parse().ok())
        .unwrap_or(10);
    let first: Vec<&str> = unlisted.iter().take(shown).map(String::as_str).collect();
    let whole = env::var("T2_TABLE").is_ok_and(|wanted| wanted == "all");
    let stale = match whole {
        true => exceptions.unused(),
        false => Vec::new(),
    };
    assert!(
        unlisted.is_empty() && stale.is_empty(),
        "{} differ, first:\n{}\nexceptions that are none:\n{}",
        unlisted.len(),
        first.join("\n"),
        stale.join("\n")
    );
}
