//! The cells as text, Markdown, JSON and JUnit XML.

use std::fmt::Write;

use quick_xml::escape::escape;
use serde_json::json;

use crate::matrix::{Cell, Verdict};

/// One line of text.
pub fn line(cell: &Cell) -> String {
    let [one, two, three] = &cell.name;
    let (word, why) = said(&cell.verdict);
    format!("{word:<7} {one:<16} {two:<16} {three:<14} {why}")
}

fn said(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Pass(totals) => ("pass", totals.to_string()),
        Verdict::Balanced(text) => ("pass", text.clone()),
        Verdict::Fail(why) => ("FAIL", why.clone()),
        Verdict::Cannot(why) => ("cannot", why.clone()),
    }
}

/// How many cells pass, fail and cannot be.
pub fn counts(cells: &[Cell]) -> [usize; 3] {
    let count = |of: fn(&Verdict) -> bool| cells.iter().filter(|cell| of(&cell.verdict)).count();
    [
        count(|verdict| matches!(verdict, Verdict::Pass(_) | Verdict::Balanced(_))),
        count(|verdict| matches!(verdict, Verdict::Fail(_))),
        count(|verdict| matches!(verdict, Verdict::Cannot(_))),
    ]
}

/// A table for each pair of first and second name would be long: a row for each pair, a column for each third name.
pub fn markdown(versions: &[(String, String)], all: &[Cell]) -> String {
    let (cells, faults) = all.split_at(all.partition_point(|cell| !cell.is_fault));
    let mut columns: Vec<&str> = Vec::new();
    for cell in cells {
        if !columns.contains(&cell.name[2].as_str()) {
            columns.push(&cell.name[2]);
        }
    }
    let mut out = String::from(
        "# Interoperability\n\nFlows/packets/bytes; `-`: there can be no such cell.\n\n",
    );
    for (name, version) in versions {
        let _ = writeln!(out, "* {name}: {version}");
    }
    let _ = writeln!(out, "\n| exporter | collector | {} |", columns.join(" | "));
    let _ = writeln!(out, "|---|---|{}", "---|".repeat(columns.len()));
    let mut notes: Vec<&str> = Vec::new();
    for row in cells.chunk_by(|one, next| one.name[..2] == next.name[..2]) {
        let Some(first) = row.first() else { continue };
        let _ = write!(out, "| {} | {} |", first.name[0], first.name[1]);
        for column in &columns {
            let cell = row.iter().find(|cell| cell.name[2] == *column);
            let text = match cell.map(|cell| &cell.verdict) {
                Some(Verdict::Pass(totals)) => totals.to_string(),
                Some(Verdict::Balanced(text)) => text.clone(),
                Some(Verdict::Fail(why)) => format!("**fail** {}", note(&mut notes, why)),
                Some(Verdict::Cannot(why)) => format!("- {}", note(&mut notes, why)),
                None => String::new(),
            };
            let _ = write!(out, " {text} |");
        }
        out.push('\n');
    }
    out.push('\n');
    for (number, note) in (1..).zip(notes) {
        let _ = writeln!(out, "{number}. {}", note.replace('\n', " "));
    }
    if !faults.is_empty() {
        out.push_str(
            "\n## Faults between t2x and t2collect\n\n| fault | flow records |\n|---|---|\n",
        );
    }
    for cell in faults {
        let (word, why) = said(&cell.verdict);
        let _ = writeln!(out, "| {} | {word}: {why} |", cell.name[2]);
    }
    let [pass, fail, cannot] = counts(all);
    let _ = writeln!(out, "\n{pass} pass, {fail} fail, {cannot} cannot be.");
    out
}

/// The number of a note as superscript.
fn note<'a>(notes: &mut Vec<&'a str>, text: &'a str) -> String {
    let place = notes
        .iter()
        .position(|known| *known == text)
        .unwrap_or_else(|| {
            notes.push(text);
            notes.len() - 1
        });
    format!("<sup>{}</sup>", place + 1)
}

/// For programs.
pub fn json(versions: &[(String, String)], cells: &[Cell]) -> String {
    let versions: serde_json::Map<_, _> = versions
        .iter()
        .map(|(name, version)| (name.clone(), version.clone().into()))
        .collect();
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| {
            let (word, why) = said(&cell.verdict);
            json!({"name": cell.name, "verdict": word.to_lowercase(), "detail": why})
        })
        .collect();
    format!("{:#}\n", json!({"versions": versions, "cells": cells}))
}

/// For continuous integration.
pub fn junit(cells: &[Cell]) -> String {
    let [_, failures, skipped] = counts(cells);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"interop\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">\n",
        cells.len()
    );
    for cell in cells {
        let [one, two, three] = &cell.name;
        let name = format!("{two}, {three}");
        let _ = write!(
            out,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"",
            escape(one.as_str()),
            escape(&name)
        );
        let (tag, why) = match &cell.verdict {
            Verdict::Pass(_) | Verdict::Balanced(_) => {
                out.push_str("/>\n");
                continue;
            }
            Verdict::Fail(why) => ("failure", why),
            Verdict::Cannot(why) => ("skipped", why),
        };
        let _ = writeln!(
            out,
            "><{tag} message=\"{}\"/></testcase>",
            escape(why.as_str())
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}
