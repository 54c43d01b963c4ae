//! `t2check matrix`: results of several devices side by side, requirement by requirement.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::catalogue::requirements;
use crate::report::escape;
use crate::run::print;
use crate::verdict::Verdict;

/// So large a report is read.
const MOST_OCTETS: u64 = 64 << 20;

/// Options of `t2check matrix`.
#[derive(Args, Clone, Debug)]
pub struct Matrix {
    /// Reports of --json, one a device; DEVICE=FILE names it [default: the file's name without suffix]. Several of one
    /// device are put together
    #[arg(required = true, value_name = "RESULT")]
    pub results: Vec<String>,
    /// Writes a self-contained page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Writes Markdown [default: to standard output, unless there is a page]
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// What one device made of one requirement.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cell {
    verdict: Verdict,
    note: String,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Device {
    name: String,
    cells: BTreeMap<String, Cell>,
}

/// Puts the reports side by side.
///
/// # Errors
/// When a report cannot be read, or a page not be written.
pub fn run(options: &Matrix) -> anyhow::Result<()> {
    let mut devices: Vec<Device> = Vec::new();
    for result in &options.results {
        let (name, cells) = read(result)?;
        let known = devices.iter().position(|device| device.name == name);
        let at = known.unwrap_or_else(|| {
            devices.push(Device {
                name,
                ..Device::default()
            });
            devices.len() - 1
        });
        if let Some(device) = devices.get_mut(at) {
            for (id, cell) in cells {
                let worse = |known: &Cell| cell.verdict > known.verdict;
                if device.cells.get(&id).is_none_or(worse) {
                    device.cells.insert(id, cell);
                }
            }
        }
    }
    let save = |path: &PathBuf, text: String| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &options.html {
        save(path, html(&devices))?;
    }
    match &options.markdown {
        Some(path) => save(path, markdown(&devices)),
        None if options.html.is_none() => print(&markdown(&devices)),
        None => Ok(()),
    }
}

fn read(result: &str) -> anyhow::Result<(String, BTreeMap<String, Cell>)> {
    let (name, path) = match result.split_once('=') {
        Some((name, path)) if !name.is_empty() => (name.to_owned(), PathBuf::from(path)),
        _ => {
            let path = PathBuf::from(result);
            let stem = path.file_stem().unwrap_or_default();
            (stem.to_string_lossy().into_owned(), path)
        }
    };
    let failed = || format!("cannot read the report {}", path.display());
    let size = fs::metadata(&path).with_context(failed)?.len();
    if size > MOST_OCTETS {
        bail!("{}: {size} octets are no report", path.display());
    }
    let text = fs::read_to_string(&path).with_context(failed)?;
    let report: Value = serde_json::from_str(&text).with_context(failed)?;
    let Some(results) = report.get("results").and_then(Value::as_array) else {
        bail!(
            "{}: no report of t2check --json: no \"results\"",
            path.display()
        );
    };
    let mut cells = BTreeMap::new();
    for result in results {
        let word = |key: &str| result.get(key).and_then(Value::as_str);
        let (Some(id), Some(said)) = (word("id"), word("verdict")) else {
            bail!("{}: a result without id or verdict", path.display());
        };
        let Some(verdict) = Verdict::ALL.into_iter().find(|known| known.name() == said) else {
            bail!("{}: {id} has the unknown verdict {said:?}", path.display());
        };
        let first = result.get("first").and_then(|first| first.get("note"));
        let notes = result.get("notes").and_then(|notes| notes.get(0));
        let note = first
            .or(notes)
            .and_then(Value::as_str)
            .or(word("reason"))
            .unwrap_or_default();
        cells.insert(
            id.to_owned(),
            Cell {
                verdict,
                note: note.to_owned(),
            },
        );
    }
    Ok((name, cells))
}

fn count(device: &Device, verdict: Verdict) -> usize {
    let same = |cell: &&Cell| cell.verdict == verdict;
    device.cells.values().filter(same).count()
}

/// Rows that at least one device was judged on.
fn rows(devices: &[Device]) -> impl Iterator<Item = &'static crate::catalogue::Requirement> {
    requirements().iter().filter(|row| {
        devices.iter().any(|device| {
            device
                .cells
                .get(row.rule.id)
                .is_some_and(|cell| cell.verdict != Verdict::NotApplicable)
        })
    })
}

/// The word in a cell; nothing for what is not applicable.
fn word(cell: Option<&Cell>) -> &'static str {
    match cell.map(|cell| cell.verdict) {
        None | Some(Verdict::NotApplicable) => "",
        Some(Verdict::Pass) => "pass",
        Some(verdict) => verdict.name(),
    }
}

fn markdown(devices: &[Device]) -> String {
    let mut text = String::from(
        "# Devices and requirements\n\nMade by `t2check matrix`. An empty cell: nothing to judge the rule on, or not by this way of observing.\n\n| |",
    );
    // Writing to a String does not fail.
    for device in devices {
        let _ = write!(text, " {} |", device.name.replace('|', "\\|"));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(devices.len()));
    for verdict in Verdict::ALL.into_iter().rev() {
        let _ = write!(text, "\n| {verdict} |");
        for device in devices {
            let _ = write!(text, " {} |", count(device, verdict));
        }
    }
    text.push_str("\n\n| ID | rule |");
    for device in devices {
        let _ = write!(text, " {} |", device.name.replace('|', "\\|"));
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(devices.len()));
    for row in rows(devices) {
        let _ = write!(text, "\n| {} | {} |", row.rule.id, row.rule.sentence);
        for device in devices {
            let _ = write!(text, " {} |", word(device.cells.get(row.rule.id)));
        }
    }
    text.push_str("\n\n## What is broken\n");
    for device in devices {
        let _ = write!(text, "\n### {}\n\n", device.name);
        let broken = device
            .cells
            .iter()
            .filter(|(_, cell)| cell.verdict.is_negative());
        let mut none = true;
        for (id, cell) in broken {
            none = false;
            let note = cell.note.replace('\n', " ");
            let _ = writeln!(text, "* {id}, {}: {note}", cell.verdict);
        }
        if none {
            text.push_str("Nothing of what was judged.\n");
        }
    }
    text
}

fn html(devices: &[Device]) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Devices and requirements</title>\n<style>\nbody{font:15px/1.4 system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.2rem .5rem;text-align:left;vertical-align:top}thead th{position:sticky;top:0;background:#fff}\n.pass{background:#e2f4e2}.deviation{background:#fdf3d0}.wrong{background:#fbd9c8}.loss{background:#f6b8b8}.unsafe{background:#d9534f;color:#fff}\n</style></head><body>\n<h1>Devices and requirements</h1>\n<p>An empty cell: nothing to judge the rule on, or not by this way of observing. Point at a cell for its evidence.</p>\n<table><thead><tr><th>ID</th><th>rule</th>",
    );
    // Writing to a String does not fail.
    for device in devices {
        let _ = write!(page, "<th>{}</th>", escape(&device.name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for verdict in Verdict::ALL.into_iter().rev() {
        let _ = write!(page, "<tr><td></td><th>{}</th>", escape(verdict.name()));
        for device in devices {
            let _ = write!(page, "<td>{}</td>", count(device, verdict));
        }
        page.push_str("</tr>\n");
    }
    for row in rows(devices) {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td>",
            row.rule.id,
            escape(row.rule.sentence)
        );
        for device in devices {
            let cell = device.cells.get(row.rule.id);
            let class = cell.map_or("none", |cell| crate::report::class(cell.verdict));
            let _ = write!(
                page,
                "<td class=\"{class}\" title=\"{}\">{}</td>",
                escape(cell.map_or("", |cell| cell.note.as_str())),
                escape(word(cell))
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n</body></html>\n");
    page
}
