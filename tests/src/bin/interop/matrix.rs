//! The matrix: every exporter to every collector to every reporter, and what each cell says.

use std::path::Path;

use anyhow::{Context, ensure};
use tests::Totals;

use crate::engine::{Engine, Job, open_folder};
use crate::peers::{Collector, Exporter, PORT, Reporter, cannot, nfdump_image};

/// What a cell says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The totals are those of the row's first cell, and the packets those of the capture.
    Pass(Totals),
    /// A balance that is kept.
    Balanced(String),
    /// Why it is not right.
    Fail(String),
    /// Why there can be no such cell.
    Cannot(String),
}

/// A cell, or a check of one program.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The three programs, or the case.
    pub name: [String; 3],
    /// What it says.
    pub verdict: Verdict,
    /// It is a fault of the network, not a cell of the matrix.
    pub is_fault: bool,
}

/// Packets of `/captures/replica.pcap`, as published for the capture it replicates.
const PACKETS: u64 = 5902;

/// Runs the rows one after the other; `tell` is given each cell as it is known.
pub fn run(engine: &Engine, captures: &Path, work: &Path, tell: &mut dyn FnMut(Cell)) {
    for exporter in crate::peers::EXPORTERS_OF_ROWS {
        let mut first = None;
        for collector in Collector::all() {
            let name = format!("{}-{}", exporter.name(), collector.name()).replace([' ', '.'], "-");
            let stored = store(engine, exporter, collector, captures, work, &name);
            for reporter in Reporter::all() {
                let verdict = match (&stored, cannot(collector, reporter)) {
                    (_, Some(reason)) => Verdict::Cannot(reason.to_owned()),
                    (Err(error), None) => Verdict::Fail(format!("{error:#}")),
                    (Ok(folder), None) => match totals(engine, reporter, folder) {
                        Err(error) => Verdict::Fail(format!("{error:#}")),
                        Ok(totals) => judge(totals, first.get_or_insert(totals)),
                    },
                };
                tell(Cell {
                    name: [exporter.name(), collector.name(), reporter.name()],
                    verdict,
                    is_fault: false,
                });
            }
        }
    }
}

fn judge(totals: Totals, first: &Totals) -> Verdict {
    if totals.packets != PACKETS {
        return Verdict::Fail(format!("{totals}, but the capture has {PACKETS} packets"));
    }
    match totals == *first {
        true => Verdict::Pass(totals),
        false => Verdict::Fail(format!("{totals}, the row's first cell has {first}")),
    }
}

/// Lets the collector store what the exporter sends, and returns the folder.
fn store(
    engine: &Engine,
    exporter: Exporter,
    collector: Collector,
    captures: &Path,
    work: &Path,
    name: &str,
) -> anyhow::Result<std::path::PathBuf> {
    for image in [exporter.image(), &collector.image()] {
        ensure!(engine.has_image(image), "there is no image {image}");
    }
    let flows = open_folder(work, name)?;
    let image = collector.image();
    let job = Job {
        image: &image,
        words: collector.words(),
        folders: vec![(&flows, "/flows")],
    };
    let container = engine.start(name, &job).with_context(|| collector.name())?;
    container
        .wait_listening(PORT)
        .with_context(|| collector.name())?;
    let address = container.address()?;
    let job = Job {
        image: exporter.image(),
        words: exporter.words(captures, &address)?,
        folders: vec![(captures, "/captures")],
    };
    let told = engine.run(&job).with_context(|| exporter.name())?;
    ensure!(
        told.code == Some(0),
        "{}: {}",
        exporter.name(),
        told.last_line()
    );
    container
        .wait_drained(PORT)
        .with_context(|| collector.name())?;
    container.stop().with_context(|| collector.name())?;
    Ok(flows)
}

fn totals(engine: &Engine, reporter: Reporter, flows: &Path) -> anyhow::Result<Totals> {
    let image = reporter.image();
    ensure!(engine.has_image(&image), "there is no image {image}");
    let job = Job {
        image: &image,
        words: reporter.words(),
        folders: vec![(flows, "/flows")],
    };
    let told = engine.run(&job)?;
    let rows = told.stdout.lines().map(row).collect::<Option<Vec<_>>>();
    let rows = rows.filter(|rows| !rows.is_empty());
    let rows = rows.with_context(|| format!("exit code {:?}: {}", told.code, told.last_line()))?;
    Ok(rows.into_iter().fold(Totals::default(), Totals::and))
}

/// Flows, packets and bytes of a line.
fn row(line: &str) -> Option<Totals> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some(Totals {
        flows: number()?,
        packets: number()?,
        bytes: number()?,
    })
}

/// The versions that the images really have.
pub fn versions(engine: &Engine) -> Vec<(String, String)> {
    let asked = |name: &str, image: &str, words: &[&str]| {
        let job = Job {
            image,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            folders: Vec::new(),
        };
        let said = engine.run(&job).map(|told| {
            let text = format!("{}{}", told.stdout, told.stderr);
            text.lines().next().unwrap_or_default().trim().to_owned()
        });
        (
            name.to_owned(),
            said.unwrap_or_else(|error| format!("{error:#}")),
        )
    };
    let mut found = vec![asked("ours", crate::peers::OURS, &["t2x", "--version"])];
    for version in crate::peers::VERSIONS {
        found.push(asked(
            &format!("nfdump {version}"),
            &nfdump_image(version),
            &["nfdump", "-V"],
        ));
    }
    found.push(asked(
        "softflowd",
        crate::peers::EXPORTERS,
        &["softflowd", "-h"],
    ));
    found.push(asked(
        "pmacctd",
        crate::peers::EXPORTERS,
        &["pmacctd", "-V"],
    ));
    found
}
