//! Files to report on, the two programs, and the comparison of their output.

mod column;
mod records;

use golden::harness;
use nfdump_compat::file::{Compression, FileWriter, WriterOptions};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Captures from which the real nfpcapd makes files (below the corpus).
const CAPTURES: &[&str] = &[
    "edge/icmp-ping/icmp-ping",
    "edge/icmp6-ping/icmp6-ping",
    "edge/icmp_dot1q/icmp_dot1q",
    "medium/dns/dns",
];

/// nfcapd files in a folder of their own.
pub struct Files {
    pub paths: Vec<PathBuf>,
    _folder: tempfile::TempDir,
}

impl Files {
    /// Makes the files; `None` (said, and a failure with CI=true) without nfdump 1.7.1.
    pub fn make() -> Option<Self> {
        let version = harness::run(Command::new(harness::peer("nfdump")?).arg("-V"));
        if !(version.text() + &version.stderr).contains("1.7.1") {
            let reason = "nfdump is not 1.7.1";
            assert!(!harness::in_ci(), "{reason}");
            harness::skip(reason);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (name, compression, count) in [
            ("all", Compression::None, 300),
            ("lz4", Compression::Lz4, 60),
            ("bz2", Compression::Bz2, 20),
            ("none", Compression::None, 0),
        ] {
            let path = folder.path().join(name);
            write(&path, compression, |take| records::make(count, take));
            paths.push(path);
        }
        paths.extend(
            CAPTURES
                .iter()
                .filter_map(|capture| meter(capture, folder.path())),
        );
        Some(Self {
            paths,
            _folder: folder,
        })
    }
}

impl Files {
    /// Adds files of records about firewall events with address translation, and about tunnels.
    #[allow(dead_code, reason = "not every test needs them")]
    pub fn with_events(mut self) -> Self {
        let events = self._folder.path().join("events");
        write(&events, Compression::None, |take| {
            records::make_events(200, take);
        });
        let tunnels = self._folder.path().join("tunnels");
        write(&tunnels, Compression::None, |take| {
            records::make_tunnels(60, take);
        });
        self.paths.extend([events, tunnels]);
        self
    }
}

impl Files {
    /// Adds a file of records as later versions of nfdump write them.
    #[allow(dead_code, reason = "not every test needs them")]
    pub fn with_later(mut self) -> Self {
        let later = self._folder.path().join("later");
        write(&later, Compression::None, |take| {
            records::make_later(300, take);
        });
        self.paths.push(later);
        self
    }

    /// The file of this name, or that nfpcapd made in a folder of this name.
    #[allow(dead_code, reason = "not every test needs them")]
    pub fn named(&self, name: &str) -> &Path {
        let is_it = |path: &&PathBuf| {
            path.components()
                .rev()
                .take(2)
                .any(|part| part.as_os_str() == name)
        };
        self.paths.iter().find(is_it).unwrap()
    }
}

/// Gives flow records with every field that can be printed.
#[allow(dead_code, reason = "not every test needs them")]
pub fn make_flows(count: u64, take: impl FnMut(&[u8])) {
    records::make(count, take);
}

/// Writes what `make` gives.
pub fn write(path: &Path, compression: Compression, make: impl FnOnce(&mut dyn FnMut(&[u8]))) {
    let options = WriterOptions {
        ident: "tests".to_owned(),
        compression,
        created_s: 1_795_414_248,
    };
    let mut writer = FileWriter::create(path, &options).unwrap();
    let mut written = 0;
    make(&mut |record| {
        writer.record(record).unwrap();
        written += 1;
        if written % 100 == 0 {
            writer.flush().unwrap();
        }
    });
    writer
        .finish((1_795_414_200_000, 1_795_414_500_000), &[])
        .unwrap();
}

/// Lets nfpcapd meter a capture of the corpus, if that is there.
fn meter(capture: &str, folder: &Path) -> Option<PathBuf> {
    let corpus = harness::corpus()?;
    let capture = corpus.join("tranalyzer").join(format!("{capture}.pcap"));
    let directory = folder.join(capture.file_stem()?);
    std::fs::create_dir(&directory).unwrap();
    // One slot of 63 years, so that there is one file.
    let arguments = ["-o", "fat", "-t", "2000000000", "-r"];
    let run = Command::new("nfpcapd")
        .args(arguments)
        .arg(&capture)
        .arg("-w")
        .arg(&directory)
        .output();
    assert!(
        run.unwrap().status.success(),
        "nfpcapd -r {}",
        capture.display()
    );
    let file = std::fs::read_dir(&directory).unwrap().next();
    Some(file.expect("nfpcapd wrote a file").unwrap().path())
}

/// What a program printed.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    /// Lines on standard output without that of the run times.
    pub lines: Vec<String>,
    pub errors: String,
}

pub fn nfdump(arguments: &[String]) -> Outcome {
    run("nfdump", arguments)
}

pub fn t2report(arguments: &[String]) -> Outcome {
    run(env!("CARGO_BIN_EXE_t2report"), arguments)
}

pub fn run(program: &str, arguments: &[String]) -> Outcome {
    let output = Command::new(program)
        .args(arguments)
        .env("TZ", "Europe/Zurich")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    Outcome {
        code: output.status.code().unwrap_or(-1),
        lines: text
            .lines()
            .filter(|line| !line.starts_with("Sys: "))
            // What a carriage return overwrites: the wheel that nfdump -v turns.
            .map(|line| line.rsplit('\r').next().unwrap_or(line).to_owned())
            .collect(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs both programs; a description of the difference if there is one.
pub fn compare(arguments: &[String]) -> Option<String> {
    let (mut theirs, mut ours) = (nfdump(arguments), t2report(arguments));
    let given = |option: &str| arguments.iter().any(|argument| argument == option);
    if given("csv") {
        for line in theirs.lines.iter_mut().chain(&mut ours.lines) {
            forget_bgp_next_hop(line);
        }
    }
    // A quiet statistic has no titles that would say by what its rows are sorted, nor has csv.
    let any_order = given("-s") && (given("-q") || given("csv"));
    let same = theirs.code == ours.code
        && theirs.lines.len() == ours.lines.len()
        && tables(&theirs.lines, any_order) == tables(&ours.lines, any_order);
    if same {
        return None;
    }
    let differing = theirs
        .lines
        .iter()
        .zip(&ours.lines)
        .find(|(theirs, ours)| theirs != ours);
    Some(format!(
        "{}\n  exit {} and {}, {} and {} lines, first difference:\n  nfdump   {:?}\n  t2report {:?}\n  {}",
        arguments.join(" "),
        theirs.code,
        ours.code,
        theirs.lines.len(),
        ours.lines.len(),
        differing.map(|(theirs, _)| theirs),
        differing.map(|(_, ours)| ours),
        ours.errors.trim_end()
    ))
}

/// Blanks an IPv6 BGP next hop of a csv row: nfdump prints the next hop there.
fn forget_bgp_next_hop(line: &mut String) {
    let mut columns: Vec<&str> = line.split(',').collect();
    if let (48, Some(column)) = (columns.len(), columns.get_mut(24))
        && column.contains(':')
    {
        *column = "IPv6";
        *line = columns.join(",");
    }
}

/// The output with rows in comparable order: of a statistic each row becomes its order value (as printed) at its place, and
/// the rows themselves are sorted, those that tie with the last one left out (which of them made it into the table is
/// arbitrary). Everything else stays as it is.
fn tables(lines: &[String], any_order: bool) -> Vec<String> {
    if any_order {
        let mut lines = lines.to_vec();
        lines.sort();
        return lines;
    }
    let mut result = Vec::new();
    let mut rows: Vec<&String> = Vec::new();
    let mut order: Option<&str> = None;
    for line in lines {
        if line.starts_with("Top ") || line.starts_with("Summary") || line.is_empty() {
            settle(&mut result, &mut rows, order);
            order = line
                .strip_suffix(':')
                .and_then(|title| title.rsplit_once(" ordered by "))
                .map(|(_, order)| order);
            result.push(line.clone());
        } else {
            rows.push(line);
        }
    }
    settle(&mut result, &mut rows, order);
    result
}

fn settle(result: &mut Vec<String>, rows: &mut Vec<&String>, order: Option<&str>) {
    let Some(order) = order else {
        result.extend(rows.drain(..).cloned());
        return;
    };
    let keys: Vec<String> = rows.iter().map(|row| order_value(row, order)).collect();
    let last = keys.last().cloned().unwrap_or_default();
    let mut certain: Vec<String> = rows
        .drain(..)
        .zip(&keys)
        .filter(|(_, key)| key.is_empty() || **key != last)
        .map(|(row, _)| row.clone())
        .collect();
    certain.sort();
    result.extend(keys);
    result.extend(certain);
}

/// The column by which an element's table is sorted; empty for other lines (headings, aggregated flows).
fn order_value(row: &str, order: &str) -> String {
    let percentages = row.matches('(').count() == 3 && row.contains('.') && !row.contains("(.");
    if !percentages {
        return String::new();
    }
    column::sorted_column(row, order)
}
