//! Our programs and other people's in containers: every exporter to every collector to every reporter, then faults of
//! the network between ours. `ci/interop.sh` makes the images and calls it.

mod engine;
mod faults;
mod matrix;
mod peers;
mod report;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use golden::replica;

use engine::{Engine, open_folder};
use matrix::Verdict;

/// Runs the matrix of programs in containers. Exit code 0: no cell failed; 1: it could not be run; 3: some failed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Write interop.md, interop.json and interop.xml (JUnit) to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Only the faults between our own programs
    #[arg(long)]
    only_faults: bool,

    /// Only the matrix
    #[arg(long, conflicts_with = "only_faults")]
    no_faults: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Whether no cell failed.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let engine = Engine::new()?;
    let work = tempfile::tempdir().context("no temporary folder")?;
    let captures = open_folder(work.path(), "captures")?;
    fs::write(captures.join("replica.pcap"), replica::capture()?)
        .context("cannot write the capture")?;
    let versions = matrix::versions(&engine);
    for (name, version) in &versions {
        println!("{name}: {version}");
    }
    let mut cells = Vec::new();
    let mut tell = |cell| {
        println!("{}", report::line(&cell));
        cells.push(cell);
    };
    if !arguments.only_faults {
        matrix::run(&engine, &captures, work.path(), &mut tell);
    }
    if !arguments.no_faults {
        faults::run(&engine, &captures, work.path(), &mut tell);
    }
    let [pass, fail, cannot] = report::counts(&cells);
    println!("{pass} pass, {fail} fail, {cannot} cannot be");
    if let Some(out) = &arguments.out {
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        for (name, text) in [
            ("interop.md", report::markdown(&versions, &cells)),
            ("interop.json", report::json(&versions, &cells)),
            ("interop.xml", report::junit(&cells)),
        ] {
            let path = out.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let failed = |verdict: &Verdict| matches!(verdict, Verdict::Fail(_));
    Ok(!cells.iter().any(|cell| failed(&cell.verdict)))
}
