//! Every kind of query in every format: JSON parses, csv has as many columns as its heading, Markdown as many bars, and all
//! formats of a query show as many rows.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "other tests need more of it")]
mod support;

use nfdump_compat::file::Compression;
use serde_json::Value;
use std::path::Path;
use support::t2report;

/// Flows in the file.
const FLOWS: usize = 120;

const FORMATS: &str = "line long extended biline bilong gline glong nsel nel nat raw null csv csv-fast pipe json ndjson table markdown \
    line6 extended6 fmt:%ts|%sa|%da|%pkt csv:%ts,%sa,%da,%pkt,%byt table:%sa,%pkt markdown:%sa,%da,%byt";

/// Queries, and how many tables each prints.
const QUERIES: &[(&str, usize)] = &[
    ("", 1),
    ("-c 7", 1),
    ("-O bytes", 1),
    ("-s srcip -n 0", 1),
    ("-s dstport:p/bytes/packets -n 0", 2),
    ("-s record -n 0", 1),
    ("-s record/bytes/packets -n 4", 2),
    ("-s srcip -s proto -s record/bytes -n 5", 3),
    ("-s nbar -s mpls1 -s event -s router -n 0", 4),
    ("-A srcip,dstport", 1),
    ("-A srcip4/24 -s record/bytes -n 0", 1),
    ("-a", 1),
    ("-b", 1),
    ("-B -O flows", 1),
];

struct Case {
    query: &'static str,
    tables: usize,
    format: &'static str,
    lines: Vec<String>,
}

impl Case {
    fn run(
        file: &Path,
        query: &'static str,
        tables: usize,
        format: &'static str,
        more: &[&str],
    ) -> Self {
        let mut words = vec!["-r".to_owned(), file.display().to_string()];
        words.extend(query.split_whitespace().map(str::to_owned));
        words.extend(["-o".to_owned(), format.to_owned()]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let outcome = t2report(&words);
        let (code, errors) = (outcome.code, &outcome.errors);
        assert!(code == 0 && errors.is_empty(), "{words:?}: {code} {errors}");
        Self {
            query,
            tables,
            format,
            lines: outcome.lines,
        }
    }

    fn says(&self, what: &str) -> String {
        format!("{} -o {}: {what}", self.query, self.format)
    }

    /// Lines that are neither empty nor the summary.
    fn body(&self) -> Vec<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .take_while(|line| !line.starts_with("Summary"))
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Rows, counted as the format has them.
    fn rows(&self) -> usize {
        let element = self.query.contains("-s ") && !self.query.contains("-s record");
        match self.format {
            "json" => count(&self.json()),
            "ndjson" => self.body().len(),
            "raw" if !element => {
                let records = self
                    .lines
                    .iter()
                    .filter(|line| line.starts_with("Flow Record"));
                records.count()
            }
            "pipe" => self.body().len(),
            format if format.starts_with("markdown") => self.tables_with(" | ", 2),
            format if format.starts_with("csv") => self.tables_with(",", 1),
            format => {
                let titles = |line: &&&str| line.starts_with("Top ");
                let body = self.body();
                let titled = body.iter().filter(titles).count();
                let headings = match format {
                    "null" | "raw" => titled,
                    format if format.starts_with("table") && !element => 2 * self.tables,
                    _ => self.tables,
                };
                body.len().saturating_sub(titled + headings)
            }
        }
    }

    /// Rows of tables that begin with a line of names: each row has as many columns as these.
    fn tables_with(&self, between: &str, heading_lines: usize) -> usize {
        let (mut rows, mut columns) = (0, 0);
        for line in self.body() {
            let is_heading = ["ts,", "firstSeen", "cnt,", "srcAddr", "| "]
                .iter()
                .any(|begin| {
                    line.starts_with(begin) && line.contains(|c: char| c.is_ascii_alphabetic())
                })
                && !line.contains(':');
            let found = line.matches(between).count();
            if is_heading {
                columns = found;
            }
            if !line.starts_with("|--") {
                assert_eq!(found, columns, "{}", self.says(line));
            }
            rows += 1;
        }
        usize::saturating_sub(rows, heading_lines * self.tables)
    }

    fn json(&self) -> Value {
        let text = self.lines.join("\n");
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}", self.says(&error.to_string())))
    }
}

/// Records of a document: of tables those in their rows.
fn count(value: &Value) -> usize {
    let of = |value: &Value| match value.get("rows") {
        Some(rows) => rows.as_array().unwrap().len(),
        None => 1,
    };
    value.as_array().unwrap().iter().map(of).sum()
}

fn flows(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("flows");
    support::write(&path, Compression::None, |take| {
        support::make_flows(FLOWS as u64, take);
    });
    path
}

#[test]
fn every_query_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = flows(folder.path());
    let mut differing = Vec::new();
    for (query, tables) in QUERIES {
        let expected = Case::run(&file, query, *tables, "json", &[]).rows();
        assert!(expected > 0, "{query}");
        if query.is_empty() {
            assert_eq!(expected, FLOWS);
        }
        for format in FORMATS.split_whitespace() {
            let case = Case::run(&file, query, *tables, format, &[]);
            for line in case.body() {
                if format == "ndjson" {
                    let value: Result<Value, _> = serde_json::from_str(line);
                    assert!(
                        value.is_ok_and(|value| value.is_object()),
                        "{}",
                        case.says(line)
                    );
                }
            }
            let listing = !query.contains("-s ") || query.contains("-s record");
            // There the tables of elements and of flows are counted differently.
            let mixed = query.contains("-s srcip") && query.contains("-s record");
            if mixed && (format.starts_with("table") || matches!(format, "raw" | "null")) {
                continue;
            }
            let rows = case.rows();
            let shown = if format == "null" && listing {
                0
            } else {
                expected
            };
            if rows != shown {
                differing.push(case.says(&format!("{rows} rows, {shown} expected")));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The windows are those that the summary tells in text.
#[test]
fn json_tells_both_time_windows() {
    let folder = tempfile::tempdir().unwrap();
    let file = flows(folder.path());
    for (query, tables) in QUERIES {
        for of in ["file", "selection"] {
            let more = ["--window", of, "proto udp or proto tcp"];
            let case = Case::run(&file, query, *tables, "json", &more);
            let text = Case::run(&file, query, *tables, "null", &more);
            let told = text
                .lines
                .iter()
                .find(|line| line.starts_with("Time window: "))
                .unwrap();
            let document = case.json();
            let window = &document.as_array().unwrap().last().unwrap()["summary"]["window"][of];
            let second = |end: &str| {
                let time = window[end].as_str().unwrap().replace('T', " ");
                time.split('.').next().unwrap().to_owned()
            };
            let found = format!("Time window: {} - {}", second("first"), second("last"));
            assert_eq!(&found, told, "{query}");
            let case = Case::run(&file, query, *tables, "ndjson", &more);
            let last: Value = serde_json::from_str(case.lines.last().unwrap()).unwrap();
            assert_eq!(&last["summary"]["window"][of], window, "{query}");
        }
    }
}
