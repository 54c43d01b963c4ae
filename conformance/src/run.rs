//! `t2check exporter` from the options to the reports.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use exporter::capture::{CaptureError, CaptureFile};

use crate::catalogue;
use crate::cli::{Exporter, Listen};
use crate::inspection::Inspection;
use crate::known::{Known, unknown};
use crate::report::{Report, html, json, junit, text, write_captures};
use crate::wire::Options;
use tap::{Tap, TapCounters};

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No rule is broken but known ones.
    Positive,
    /// A rule is broken.
    Negative,
}

/// Judges what the options name and writes the reports. The table goes to standard output.
///
/// # Errors
/// When there is nothing to judge, it cannot be read to its end (what was read is reported first), or a report
/// cannot be written.
pub fn run(options: &Exporter, stop: &AtomicBool) -> anyhow::Result<Outcome> {
    let only = only(&options.only)?;
    let known = match &options.known {
        Some(path) => Known::read(path)?,
        None => Known::default(),
    };
    let mut inspection = Inspection::new(Options {
        profile: options.profile,
        live: options.listen.is_some() && !options.replayed,
        strict: options.strict,
    });
    let mut remarks = Vec::new();
    let (source, fault) = match (&options.capture, options.listen) {
        (Some(path), _) => {
            let capture = CaptureFile::open(path)?;
            let source = capture.path().to_owned();
            let (counters, fault) = read(capture, options.port.clone(), stop, &mut inspection);
            if inspection.found_nothing() {
                return Err(nothing(&source, &counters, fault, &options.port));
            }
            remarks.extend(losses(&counters));
            (source, fault)
        }
        (None, Some(address)) => {
            hear(address, options.seconds, stop, &mut inspection)?;
            (address.to_string(), None)
        }
        (None, None) => bail!("name a capture (--capture) or an address (--listen)"),
    };
    let tally = inspection.tally();
    if tally.foreign() > 0 {
        remarks.push(format!(
            "{} messages are neither NetFlow v5, v9 nor IPFIX",
            tally.foreign()
        ));
    }
    if tally.not_judged > 0 {
        remarks.push(format!(
            "{} messages to further collectors were not judged",
            tally.not_judged
        ));
    }
    let mut results = inspection.finish();
    if !only.is_empty() {
        results.retain(|result| only.contains(&result.requirement.rule.id));
    }
    let report = Report {
        source,
        profile: options.profile,
        strict: options.strict,
        tally,
        remarks,
        results,
        known,
    };
    write(&report, options)?;
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    Ok(if report.is_negative() {
        Outcome::Negative
    } else {
        Outcome::Positive
    })
}

fn only(ids: &[String]) -> anyhow::Result<Vec<&'static str>> {
    ids.iter()
        .map(|id| match catalogue::find(id) {
            Some(row) => Ok(row.rule.id),
            None => bail!("{}", unknown(id)),
        })
        .collect()
}

/// Reads to the end, or to the fault.
fn read(
    mut capture: CaptureFile,
    ports: Vec<u16>,
    stop: &AtomicBool,
    inspection: &mut Inspection,
) -> (TapCounters, Option<CaptureError>) {
    let mut tap = Tap::new(ports);
    let mut fault = None;
    while !stop.load(Ordering::Relaxed) {
        match capture.next_batch() {
            Ok(Some(batch)) => {
                for frame in batch {
                    tap.frame(&frame, inspection);
                }
            }
            Ok(None) => break,
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    tap.finish(inspection);
    (*tap.counters(), fault)
}

/// Why there is nothing to judge.
fn nothing(
    source: &str,
    counters: &TapCounters,
    fault: Option<CaptureError>,
    ports: &[u16],
) -> anyhow::Error {
    if let Some(fault) = fault {
        return fault.into();
    }
    let hint = if ports.is_empty() {
        "name the collector's port with --port if there is one"
    } else {
        "without --port the ports are guessed"
    };
    let TapCounters {
        frames,
        datagrams,
        segments,
        messages,
        cut,
        incomplete,
        ..
    } = *counters;
    anyhow::anyhow!(
        "{source}: no NetFlow or IPFIX message in {frames} frames ({datagrams} UDP datagrams, {segments} TCP segments, \
         {messages} of them to the port and something else, {cut} cut by the capture, {incomplete} with fragments missing): {hint}"
    )
}

/// What of the capture could not be used.
fn losses(counters: &TapCounters) -> Vec<String> {
    let lines = [
        (
            counters.cut,
            "messages are cut by the capture's snap length, and not judged",
        ),
        (
            counters.incomplete,
            "fragmented datagrams are not complete in the capture",
        ),
        (
            counters.missing_octets,
            "octets of TCP streams are missing in the capture: sequence numbers after them are not to be trusted",
        ),
        (
            counters.unframed,
            "streams could not be cut into messages to their end",
        ),
    ];
    lines
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

fn hear(
    address: Listen,
    seconds: u32,
    stop: &AtomicBool,
    inspection: &mut Inspection,
) -> anyhow::Result<()> {
    let time = Duration::from_secs(u64::from(seconds));
    let bound = |bound| {
        let address = Listen {
            address: bound,
            ..address
        };
        // Whoever started us may not read this.
        let _ = writeln!(
            std::io::stderr(),
            "t2check: listening on {address} for {seconds} s"
        );
    };
    crate::live::listen(address, time, stop, bound, inspection)?;
    if inspection.found_nothing() {
        let foreign = inspection.tally().foreign();
        bail!(
            "{address}: no NetFlow or IPFIX message arrived within {seconds} s ({foreign} other ones)"
        );
    }
    Ok(())
}

fn write(report: &Report, options: &Exporter) -> anyhow::Result<()> {
    let mut table = true;
    if let Some(path) = &options.json {
        let text = json(report)?;
        if path == Path::new("-") {
            table = false;
            print(&text)?;
        } else {
            save(path, &text)?;
        }
    }
    if let Some(path) = &options.junit {
        save(path, &junit(report))?;
    }
    if let Some(path) = &options.html {
        save(path, &html(report))?;
    }
    if let Some(folder) = &options.pcap_dir {
        write_captures(report, folder)?;
    }
    if table {
        print(&text(report))?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// To standard output; a reader that has gone away is no failure.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
