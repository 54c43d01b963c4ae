//! Compares a report with the tables that Tranalyzer's tutorial "NetFlow export" prints for faf-exercise.pcap: 58 rows
//! and the 4 lines of the summary, column by column, spaces squeezed.
//!
//! Not compared are what the tutorial got wrong, TCP flags and ToS, and what depends on the run: bytes read, CPU and wall
//! time. Its addresses are IPv4 addresses in the first four bytes of IPv6 ones (`c0a8:168::` is 192.168.1.104): they are
//! compared as the IPv4 addresses that they are.

use std::net::{IpAddr, Ipv4Addr};

/// The tutorial's print.
pub const REPORT: &str = include_str!("../data/tutorial-report.txt");
/// Its lines that are compared: rows of tables and lines of the summary.
pub const LINES: usize = 62;

/// The number of the table "Src IP Addr ordered by -".
const UNSORTED_TABLE: usize = 2;

const RECORD_NAMES: &[&str] = &[
    "date",
    "time",
    "duration",
    "protocol",
    "source",
    "destination",
    "flags",
    "tos",
    "packets",
    "bytes",
    "pps",
    "bps",
    "bpp",
    "flows",
];
const ELEMENT_NAMES: &[&str] = &[
    "date", "time", "duration", "protocol", "value", "flows", "packets", "bytes", "pps", "bps",
    "bpp",
];

/// A value that is not the tutorial's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Column of a table, or `line` for a line that is compared as a whole or is missing.
    pub column: &'static str,
    /// The tutorial's value.
    pub tutorial: String,
    /// The report's value.
    pub report: String,
}

/// The comparison of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The tutorial's line.
    pub tutorial: String,
    /// What differs; empty if nothing does.
    pub differences: Vec<Difference>,
}

/// Compares a report in the order of print: each of the tutorial's lines with the one in its place; [`LINES`] results.
/// Only in "Src IP Addr ordered by -" rows may stand anywhere: nfdump did not sort that table at all.
pub fn compare(report: &str) -> Vec<Line> {
    let actual: Vec<_> = compared_lines(report).collect();
    let expected = compared_lines(REPORT).enumerate();
    expected
        .map(|(place, (table, line))| match table {
            UNSORTED_TABLE => compare_line(line, find(table, line, &actual)),
            _ => compare_line(line, actual.get(place).map(|(_, line)| *line)),
        })
        .collect()
}

/// Compares a report without regard to the places of rows: each of the tutorial's rows with the one of the same table
/// for the same addresses and ports; [`LINES`] results.
pub fn compare_unordered(report: &str) -> Vec<Line> {
    let actual: Vec<_> = compared_lines(report).collect();
    compared_lines(REPORT)
        .map(|(table, line)| compare_line(line, find(table, line, &actual)))
        .collect()
}

/// The titles and column heads of a report's tables, spaces squeezed.
pub fn heads(report: &str) -> Vec<String> {
    let other =
        |line: &&str| !is_compared(line) && !line.trim().is_empty() && !line.starts_with("nfdump ");
    report.lines().filter(other).map(squeeze).collect()
}

/// A report without what depends on the run: the numbers of its last two lines.
pub fn without_run_time(report: &str) -> String {
    let mut text = String::new();
    for line in report.lines() {
        let kept = match (line.starts_with("Sys:"), line.split_once("Bytes read:")) {
            (true, _) => "Sys: …",
            (false, Some((kept, _))) if line.starts_with("Total flows") => {
                kept.trim_end_matches([',', ' '])
            }
            _ => line,
        };
        text.push_str(kept);
        text.push('\n');
    }
    text
}

/// Single spaces between words, none at the ends.
fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_compared(line: &str) -> bool {
    let summary = ["Summary:", "Time window:", "Total flows processed:", "Sys:"];
    is_row(line) || summary.iter().any(|start| line.starts_with(start))
}

/// Rows of tables begin with a date.
fn is_row(line: &str) -> bool {
    line.len() > 10
        && line
            .bytes()
            .zip(*b"dddd-dd-dd ")
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                form => byte == form,
            })
}

/// The lines to compare, each with the number of the table that it follows.
fn compared_lines(report: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut table = 0;
    report.lines().filter_map(move |line| {
        table += usize::from(line.starts_with("Top "));
        is_compared(line).then_some((table, line))
    })
}

/// The line of the same table for the same flow or element.
fn find<'a>(table: usize, line: &str, report: &[(usize, &'a str)]) -> Option<&'a str> {
    let same_key = |(other, actual): &&(usize, &str)| *other == table && is_same_key(line, actual);
    report.iter().find(same_key).map(|(_, line)| *line)
}

/// Whether two lines tell of the same flow or element, or are the same line of the summary.
fn is_same_key(line: &str, other: &str) -> bool {
    let key = |line| match names_and_columns(line) {
        Some((RECORD_NAMES, columns)) => columns.get(4..6).map(<[_]>::to_vec),
        Some((_, columns)) => columns.get(4..5).map(<[_]>::to_vec),
        None => line.split(':').next().map(|word| vec![word.to_owned()]),
    };
    match (key(line), key(other)) {
        (Some(keys), Some(others)) if keys.len() == others.len() => keys
            .iter()
            .zip(&others)
            .all(|(key, other)| same(key, other)),
        _ => false,
    }
}

fn compare_line(tutorial: &str, report: Option<&str>) -> Line {
    let differences = match (
        report,
        names_and_columns(tutorial),
        report.and_then(names_and_columns),
    ) {
        (Some(_), Some((names, expected)), Some((other_names, actual))) if names == other_names => {
            differing_columns(names, expected, actual)
        }
        (Some(report), None, None) => differing_texts(tutorial, report),
        _ => vec![whole_line(
            tutorial.to_owned(),
            report.unwrap_or("(missing)").to_owned(),
        )],
    };
    Line {
        tutorial: tutorial.to_owned(),
        differences,
    }
}

fn whole_line(tutorial: String, report: String) -> Difference {
    Difference {
        column: "line",
        tutorial,
        report,
    }
}

fn differing_texts(tutorial: &str, report: &str) -> Vec<Difference> {
    let (tutorial, report) = (
        squeeze(&without_run_time(tutorial)),
        squeeze(&without_run_time(report)),
    );
    if tutorial == report {
        Vec::new()
    } else {
        vec![whole_line(tutorial, report)]
    }
}

fn differing_columns(
    names: &[&'static str],
    expected: Vec<String>,
    actual: Vec<String>,
) -> Vec<Difference> {
    let pairs = names.iter().zip(expected.into_iter().zip(actual));
    pairs
        .filter(|(column, (tutorial, report))| {
            !matches!(**column, "flags" | "tos") && !same(tutorial, report)
        })
        .map(|(column, (tutorial, report))| Difference {
            column,
            tutorial,
            report,
        })
        .collect()
}

/// The columns of a row of a table and their names; `None` for other lines.
fn names_and_columns(line: &str) -> Option<(&'static [&'static str], Vec<String>)> {
    let columns = columns(line);
    let names = [RECORD_NAMES, ELEMENT_NAMES]
        .into_iter()
        .find(|names| names.len() == columns.len())?;
    is_row(line).then_some((names, columns))
}

/// The columns of a row: `148( 2.5)` and `4.3 M` are one, `->` is none.
fn columns(row: &str) -> Vec<String> {
    let row = squeeze(row).replace("( ", "(");
    let mut columns: Vec<String> = Vec::new();
    for word in row.split_whitespace().filter(|word| *word != "->") {
        let unit = word.starts_with(['K', 'M', 'G', 'T'])
            && matches!(word.as_bytes().get(1), None | Some(b'('));
        match columns.last_mut() {
            Some(last) if unit => {
                last.push(' ');
                last.push_str(word);
            }
            _ => columns.push(word.to_owned()),
        }
    }
    columns
}

fn same(tutorial: &str, report: &str) -> bool {
    tutorial == report || endpoint(tutorial).is_some_and(|found| Some(found) == endpoint(report))
}

/// An address with or without a port, in nfdump's notations: `192.168.1.1:25`, `c0a8:101::.25`.
fn endpoint(text: &str) -> Option<(Ipv4Addr, &str)> {
    if let Ok(address) = text.parse() {
        return Some((ipv4(address), ""));
    }
    let separator = if text.contains("::") { '.' } else { ':' };
    let (address, port) = text.rsplit_once(separator)?;
    Some((ipv4(address.parse().ok()?), port))
}

fn ipv4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => Ipv4Addr::from_bits((address.to_bits() >> 96) as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorial_is_like_itself() {
        let lines = compare(REPORT);
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line.differences.is_empty()));
        // The first line, six tables with title and column heads.
        assert_eq!(heads(REPORT).len(), 1 + 6 * 2);
    }

    #[test]
    fn addresses_are_compared_as_ipv4_and_spaces_are_squeezed() {
        let report = REPORT
            .replace("c0a8:168::.1908", "192.168.1.104:1908")
            .replace(" c0a8:168:: ", "   192.168.1.104  ")
            .replace("148( 2.5)", "148(  2.5)")
            .replace("0xae 45", ".AP... 0")
            .replace("Bytes read: 9928", "Bytes read: 1");
        assert!(
            compare(&report)
                .iter()
                .all(|line| line.differences.is_empty())
        );
    }

    #[test]
    fn every_other_value_counts() {
        for (from, to, column) in [
            (
                "12:36:55.001 43231.002 any c0a8:168::",
                "12:36:55.002 43231.002 any c0a8:168::",
                "time",
            ),
            ("4.3 M 141", "4.4 M 141", "bytes"),
            ("c6bd:ff4b::.80", "c6bd:ff4b::.81", "source"),
            ("avg pps: 0", "avg pps: 1", "line"),
            (
                "Total flows processed: 72",
                "Total flows processed: 73",
                "line",
            ),
            ("16(22.2)", "16(22.3)", "flows"),
        ] {
            assert!(REPORT.contains(from), "{from}");
            let lines = compare(&REPORT.replacen(from, to, 1));
            let differences: Vec<_> = lines.iter().flat_map(|line| &line.differences).collect();
            assert_eq!(
                differences
                    .iter()
                    .map(|difference| difference.column)
                    .collect::<Vec<_>>(),
                [column]
            );
        }
        assert!(compare("").iter().all(|line| !line.differences.is_empty()));
    }

    #[test]
    fn rows_in_other_places_are_found_by_their_key() {
        // The two records of the FTP transfer and the first of HTTP, exchanged.
        let mut lines: Vec<&str> = REPORT.lines().collect();
        lines.swap(4, 5);
        let report = lines.join("\n");
        let differing = |lines: Vec<Line>| {
            lines
                .iter()
                .filter(|line| !line.differences.is_empty())
                .count()
        };
        assert_eq!(
            (
                differing(compare(&report)),
                differing(compare_unordered(&report))
            ),
            (2, 0)
        );
        // A row of one table does not stand for one of another.
        lines.remove(4);
        let missing = compare_unordered(&lines.join("\n"))
            .into_iter()
            .find(|line| !line.differences.is_empty());
        assert_eq!(
            missing
                .map(|line| line.differences[0].report.clone())
                .as_deref(),
            Some("(missing)")
        );
    }
}
