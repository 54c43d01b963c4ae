//! `t2check load`: the highest rate at which a collector loses nothing, or at which an exporter meters everything, by
//! search; and how fast an exporter reads a capture.
//!
//! The device is started anew for each trial. The sender is on the same machine, and takes its share of it: its own
//! ceiling is told, and a rate at which it was the limit is told as "at least".

pub mod device;
pub mod flood;
pub mod options;
pub mod search;

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::Serialize;

use self::device::{ceiling, collector, exporter, packets, shape};
use self::options::Load;
use self::search::{Found, Search, Trial};
use crate::cli::STDOUT;
use crate::collector::exposition::Meaning;
use crate::run::print;

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// `collector` or `exporter`.
    device: &'static str,
    /// Of the rates.
    unit: &'static str,
    /// How it was measured.
    method: String,
    search: Search,
    /// What the sender can do when nobody reads.
    sender_ceiling: Option<f64>,
    /// Flow records a second, of an exporter at its best.
    flows_per_s: Option<f64>,
    interrupted: bool,
    #[serde(flatten)]
    found: &'a Found,
    remarks: Vec<String>,
}

/// Measures, and writes the report.
///
/// # Errors
/// When the device cannot be started or observed, or nothing gets through at all.
pub fn run(load: &Load, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut remarks = Vec::new();
    let mut flows_per_s = None;
    let (found, sender) = if load.send.is_some() {
        let meaning = match &load.metrics_map {
            Some(map) => Meaning::read(map)?,
            None => Meaning::default(),
        };
        let ceiling = ceiling(shape(load), stop)?;
        let found = searched(load, stop, |rate| collector(load, &meaning, rate, stop))?;
        (found, Some(ceiling))
    } else {
        let packets = packets(load)?;
        let mut run = |rate| {
            let metered = exporter(load, packets, rate, stop)?;
            let flows = metered.flows as f64 / metered.trial.seconds.max(1e-6);
            if metered.trial.is_lossless() && flows_per_s.is_none_or(|best| flows > best) {
                flows_per_s = Some(flows);
            }
            remarks.extend(metered.remarks);
            Ok(metered.trial)
        };
        let found = match &load.inject {
            Some(_) => searched(load, stop, run)?,
            None => best_of(load.confirm, stop, &mut run)?,
        };
        (found, None)
    };
    remarks.dedup();
    let report = Report {
        device: if load.send.is_some() {
            "collector"
        } else {
            "exporter"
        },
        unit: if load.send.is_some() {
            "records"
        } else {
            "packets"
        },
        method: method(load),
        search: load.search(),
        sender_ceiling: sender,
        flows_per_s,
        interrupted: stop.load(Ordering::Relaxed),
        found: &found,
        remarks,
    };
    tell(load, &report)?;
    if found.lossless.is_none() {
        let last = found.trials.last();
        let fault = last.and_then(|trial| trial.fault.as_deref());
        anyhow::bail!(
            "no rate without loss was found{}",
            fault.map_or(String::new(), |fault| format!(": {fault}"))
        );
    }
    Ok(())
}

/// The search, each trial told as it goes.
fn searched(
    load: &Load,
    stop: &AtomicBool,
    mut run: impl FnMut(f64) -> anyhow::Result<Trial>,
) -> anyhow::Result<Found> {
    load.search().run(|rate| {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let trial = run(rate)?;
        // A trial that was broken off says nothing.
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(Some(trial))
    })
}

/// Runs that have no rate to be asked for.
fn best_of(
    times: u8,
    stop: &AtomicBool,
    run: &mut impl FnMut(f64) -> anyhow::Result<Trial>,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for _ in 0..times {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let trial = run(0.0)?;
        let better = |known: &Trial| trial.sent > known.sent;
        if !trial.is_lossless() {
            found.lossy = Some(trial.clone());
        } else if found.lossless.as_ref().is_none_or(better) {
            found.lossless = Some(trial.clone());
        }
        found.trials.push(trial);
    }
    Ok(found)
}

fn method(load: &Load) -> String {
    let Load {
        seconds,
        precision,
        confirm,
        records,
        exporters,
        version,
        ..
    } = load;
    let search = format!(
        "highest rate without loss by search (RFC 2544 section 26.1, RFC 6645 section 4): trials of {seconds} s, to {precision} %, \
         {confirm} without loss at the rate that is told"
    );
    if load.send.is_some() {
        let protocol = if *version == 9 { "NetFlow v9" } else { "IPFIX" };
        let churn = match load.churn {
            0 => "one template each".to_owned(),
            churn => format!("a new template every {churn} datagrams of each"),
        };
        return format!(
            "{search}; {exporters} exporters of {protocol}, {records} records a datagram, {churn}; all records that were sent must be stored"
        );
    }
    match load.inject {
        Some(_) => format!(
            "{search}; packets injected by tcpreplay, all of which must be in the flow records"
        ),
        None => format!(
            "the whole run of the command, from its start to its end, the best of {confirm}; all packets must be in the flow records"
        ),
    }
}

fn tell(load: &Load, report: &Report<'_>) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    match &load.json {
        Some(path) if path == Path::new(STDOUT) => return print(&json),
        Some(path) => std::fs::write(path, json)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => {}
    }
    print(&text(report))
}

fn text(report: &Report<'_>) -> String {
    let unit = report.unit;
    let mut text = format!("method: {}\n", report.method);
    // Writing to a String does not fail.
    if let Some(ceiling) = report.sender_ceiling {
        let _ = writeln!(
            text,
            "the sender alone, to a socket that nobody reads: {} {unit}/s",
            round(ceiling)
        );
    }
    for remark in &report.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    let _ = writeln!(
        text,
        "\n{:>12} {:>12} {:>12} {:>12} {:>12} {:>8}",
        "asked/s", "sent/s", "sent", "missing", "dropped", "MiB"
    );
    for trial in &report.found.trials {
        let _ = writeln!(
            text,
            "{:>12} {:>12} {:>12} {:>12} {:>12} {:>8}{}",
            round(trial.asked),
            round(trial.sent),
            trial.amount,
            trial.amount.saturating_sub(trial.arrived),
            trial.dropped,
            trial.memory_mib,
            trial
                .fault
                .as_ref()
                .map_or(String::new(), |fault| format!("  {fault}"))
        );
    }
    text.push('\n');
    if report.interrupted {
        text.push_str("interrupted: the search is not at its end\n");
    }
    match &report.found.lossless {
        Some(best) => {
            let least = if report.found.at_least {
                "at least "
            } else {
                ""
            };
            let bits = best.octets as f64 * 8.0 / best.seconds.max(1e-6) / 1e6;
            let more = if best.octets > 0 {
                format!(" ({bits:.1} Mbit/s of payload)")
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "without loss: {least}{} {unit}/s{more}",
                round(best.sent)
            );
            if report.found.at_least {
                text.push_str("the sender, or --to, was the limit and not the device\n");
            }
        }
        None => text.push_str("without loss: no rate\n"),
    }
    if let Some(flows) = report.flows_per_s {
        let _ = writeln!(text, "flow records: {}/s", round(flows));
    }
    if let Some(lossy) = &report.found.lossy {
        let missing = lossy.amount.saturating_sub(lossy.arrived);
        let share = missing as f64 * 100.0 / lossy.amount.max(1) as f64;
        let _ = writeln!(
            text,
            "with loss: {} {unit}/s, {missing} of {} missing ({share:.2} %), {} of them dropped by this system before the device read them",
            round(lossy.sent),
            lossy.amount,
            lossy.dropped.min(missing)
        );
    }
    text
}

fn round(rate: f64) -> u64 {
    rate.round() as u64
}
