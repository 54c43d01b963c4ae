//! `t2check exporter` from the options to the reports.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use exporter::capture::CaptureFile;
use exporter::progress::Progress;
use nix::unistd::{AccessFlags, access};

use crate::cli::{Endpoint, Exporter, Judging, STDOUT};
use crate::inspection::Inspection;
use crate::live::disturb::Plan;
use crate::metering::Metering;
use crate::metering::device::Device;
use crate::metering::drive::Driven;
use crate::metering::judge::Judged;
use crate::metering::reported::Reported;
use crate::report::{Report, html, json, junit, text, write_captures};
use crate::watch::Watch;
use crate::wire::{Options, Transport};
use tap::{MessageFile, Tap, TapCounters};

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No rule is broken but known ones.
    Positive,
    /// A rule is broken.
    Negative,
}

/// Judges what the options name, listening on `endpoint` if there is one, and writes the reports. The table goes to
/// standard output.
///
/// # Errors
/// When there is nothing to judge, it cannot be read to its end (what was read is reported first), or a report
/// cannot be written.
pub fn run(
    options: &Exporter,
    endpoint: Option<Endpoint>,
    stop: &AtomicBool,
) -> anyhow::Result<Outcome> {
    let judging = &options.judging;
    let known = judging.known()?;
    prepare(judging)?;
    let mut metering = match &options.known.pcap {
        Some(pcap) => {
            let device = options.known.dut.as_deref().map(Device::read).transpose()?;
            Some((
                pcap,
                Metering::read(pcap, options.declared(device), options.known.speed)?,
            ))
        }
        None => None,
    };
    let replayed = options.replayed || options.known.replay.is_some();
    let watch = || Watch {
        inspection: Inspection::new(Options {
            profile: judging.profile,
            live: endpoint.is_some() && !replayed,
            strict: judging.strict,
        }),
        reported: metering
            .as_ref()
            .map(|(_, metering)| Reported::new(metering.device())),
        heard: Arc::default(),
    };
    let mut first = watch();
    let observed = observe(options, endpoint, stop, &mut first)?;
    let mut again = None;
    if let (true, Some(endpoint)) = (options.known.repeat, endpoint) {
        let mut second = watch();
        hear(endpoint, options, stop, &mut second)?;
        again = second.reported;
    }
    let mut remarks = observed.remarks;
    let tally = first.inspection.tally();
    remarks.extend(tally.remarks());
    let mut results = first.inspection.finish();
    let metered = metering.is_some();
    if let Some(((pcap, metering), reported)) = metering.as_mut().zip(first.reported) {
        let (judged, more) = metering.judge(pcap, reported, again, &observed.driven)?;
        remarks.extend(more);
        for judged in judged {
            judged.enter(&mut results);
        }
    }
    for judged in observed.disturbed {
        judged.enter(&mut results);
    }
    if !judging.only.is_empty() {
        results.retain(|result| judging.only.contains(&result.requirement.rule.id));
    }
    let report = Report {
        source: observed.source,
        profile: judging.profile,
        strict: judging.strict,
        tally,
        remarks,
        results,
        known,
        metered,
    };
    write(&report, judging, &text)?;
    if let Some(fault) = observed.fault {
        return Err(fault);
    }
    Ok(if report.is_negative() {
        Outcome::Negative
    } else {
        Outcome::Positive
    })
}

fn observe(
    options: &Exporter,
    endpoint: Option<Endpoint>,
    stop: &AtomicBool,
    watch: &mut Watch,
) -> anyhow::Result<Observed> {
    match (&options.capture, endpoint) {
        (Some(path), _) => match MessageFile::open(path) {
            Some(file) => Ok(read_messages(file, stop, watch)),
            None => read_capture(path, options.port.clone(), stop, watch),
        },
        (None, Some(endpoint)) => hear(endpoint, options, stop, watch),
        (None, None) => bail!("name a capture (--capture) or an address (--listen)"),
    }
}

/// What was observed, apart from the messages.
struct Observed {
    driven: Driven,
    /// A file or an address.
    source: String,
    remarks: Vec<String>,
    /// What it made of disturbances.
    disturbed: Vec<Judged>,
    /// Why it is not all.
    fault: Option<anyhow::Error>,
}

/// Makes sure that reports can be written before an hour of listening is lost.
pub(crate) fn prepare(options: &Judging) -> anyhow::Result<()> {
    for path in options.reports().map_err(anyhow::Error::msg)? {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let place = if path.exists() {
            path
        } else {
            parent.unwrap_or(Path::new("."))
        };
        access(place, AccessFlags::W_OK)
            .map_err(std::io::Error::from)
            .with_context(|| format!("cannot write {}", path.display()))?;
        if path.is_dir() {
            bail!("cannot write {}: it is a folder", path.display());
        }
    }
    if let Some(folder) = &options.pcap_dir {
        fs::create_dir_all(folder)
            .and_then(|()| access(folder, AccessFlags::W_OK).map_err(Into::into))
            .with_context(|| format!("cannot write to {}", folder.display()))?;
    }
    Ok(())
}

/// Reads a capture to the end, or to the fault.
fn read_capture(
    path: &Path,
    ports: Vec<u16>,
    stop: &AtomicBool,
    watch: &mut Watch,
) -> anyhow::Result<Observed> {
    let mut capture = CaptureFile::open(path)?;
    let source = capture.path().to_owned();
    let mut progress = Progress::new(capture.size());
    let guessed = ports.is_empty();
    let mut tap = Tap::new(ports);
    let mut fault = None;
    while !stop.load(Ordering::Relaxed) {
        match capture.next_batch() {
            Ok(Some(batch)) => {
                for frame in batch {
                    tap.frame(&frame, watch);
                }
            }
            Ok(None) => break,
            Err(error) => {
                fault = Some(error.into());
                break;
            }
        }
        progress.at(capture.offset());
    }
    progress.done();
    tap.finish(watch);
    if watch.inspection.found_nothing() {
        return Err(fault.unwrap_or_else(|| nothing(&source, tap.counters(), guessed)));
    }
    let mut remarks = losses(tap.counters());
    remarks.extend(interrupted(stop));
    Ok(Observed {
        driven: Driven::default(),
        remarks,
        source,
        disturbed: Vec::new(),
        fault,
    })
}

/// Reads bare messages to the end, or to the fault.
fn read_messages(mut file: MessageFile, stop: &AtomicBool, watch: &mut Watch) -> Observed {
    let mut progress = Progress::new(Some(file.size()));
    let mut fault = None;
    while !stop.load(Ordering::Relaxed) {
        match file.next_message(watch) {
            Ok(true) => progress.at(file.offset()),
            Ok(false) => break,
            Err(error) => {
                let what = format!("{}: reading failed at octet {}", file.name(), file.offset());
                fault = Some(anyhow::Error::from(error).context(what));
                break;
            }
        }
    }
    progress.done();
    Observed {
        driven: Driven::default(),
        remarks: interrupted(stop).into_iter().collect(),
        source: file.name().to_owned(),
        disturbed: Vec::new(),
        fault,
    }
}

/// What is read ends with a signal, and is reported as far as it goes.
fn interrupted(stop: &AtomicBool) -> Option<String> {
    stop.load(Ordering::Relaxed)
        .then(|| "interrupted: not all was read".to_owned())
}

/// Why there is nothing to judge.
fn nothing(source: &str, counters: &TapCounters, guessed: bool) -> anyhow::Error {
    let hint = if guessed {
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
        (
            counters.passed_over,
            "messages to further addresses and ports are not judged: name the collector's port with --port",
        ),
        (
            counters.broken_off,
            "streams were reset, or the capture ends, inside a message: that message is not judged",
        ),
    ];
    lines
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

fn hear(
    endpoint: Endpoint,
    options: &Exporter,
    stop: &AtomicBool,
    watch: &mut Watch,
) -> anyhow::Result<Observed> {
    let seconds = options.seconds;
    let mut source = endpoint.to_string();
    let mut announce = |bound: Endpoint| {
        source = bound.to_string();
        let certificate = match (bound.transport, &options.tls_cert) {
            (Transport::Tls, None) => ", with a certificate made for this run",
            _ => "",
        };
        // Whoever started us may not read this.
        let _ = writeln!(
            std::io::stderr(),
            "t2check: listening on {bound} for {seconds} s{certificate}"
        );
    };
    let (told, address) = mpsc::channel();
    let bound = |endpoint| {
        announce(endpoint);
        // Nobody waits for it unless the exporter is driven.
        let _ = told.send(endpoint);
    };
    let mut plan = Plan::new(&options.disturb);
    let (mut remarks, driven) = match options.drive() {
        None => {
            let remarks = crate::live::listen(endpoint, options, stop, bound, &mut plan, watch)?;
            (remarks, Driven::default())
        }
        Some(drive) => {
            let heard = Arc::clone(&watch.heard);
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                let done = &done;
                let driver = scope.spawn(move || {
                    let driven = match address.recv() {
                        Ok(endpoint) => drive.run(endpoint, &heard, stop),
                        Err(_) => Ok(Driven::default()),
                    };
                    done.store(true, Ordering::Relaxed);
                    driven
                });
                let remarks = crate::live::listen(endpoint, options, done, bound, &mut plan, watch);
                let driven = driver
                    .join()
                    .map_err(|_| anyhow::anyhow!("driving the exporter failed"))?;
                anyhow::Ok((remarks?, driven?))
            })?
        }
    };
    remarks.extend(interrupted(stop));
    if watch.inspection.found_nothing() && !options.known.counts() {
        let foreign = watch.inspection.tally().foreign();
        let time = if stop.load(Ordering::Relaxed) {
            "before the interruption".to_owned()
        } else {
            format!("within {seconds} s")
        };
        let more: String = remarks.iter().map(|remark| format!("; {remark}")).collect();
        bail!(
            "{endpoint}: no NetFlow or IPFIX message arrived {time} ({foreign} other ones){more}"
        );
    }
    let disturbed = plan.judge(endpoint.transport, Instant::now());
    let unjudged = disturbed.iter().filter(|judged| judged.checked == 0);
    remarks.extend(unjudged.map(|judged| format!("{}: {}", judged.rule, judged.reason)));
    Ok(Observed {
        driven,
        source,
        remarks,
        disturbed,
        fault: None,
    })
}

pub(crate) fn write(
    report: &Report,
    options: &Judging,
    table_of: &dyn Fn(&Report) -> String,
) -> anyhow::Result<()> {
    let mut table = true;
    let mut save = |path: &Option<PathBuf>, make: &dyn Fn() -> anyhow::Result<String>| {
        let Some(path) = path else { return Ok(()) };
        if path == Path::new(STDOUT) {
            table = false;
            return print(&make()?);
        }
        fs::write(path, make()?).with_context(|| format!("cannot write {}", path.display()))
    };
    save(&options.json, &|| Ok(json(report)?))?;
    save(&options.junit, &|| Ok(junit(report)))?;
    save(&options.html, &|| Ok(html(report)))?;
    if let Some(folder) = &options.pcap_dir {
        write_captures(report, folder)?;
    }
    if table {
        print(&table_of(report))?;
    }
    Ok(())
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
