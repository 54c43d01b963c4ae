//! Ours against the flows that Tranalyzer 0.9.3 made of the same captures: every flow, every column, the order of
//! export. What differs has its cause in [`EXCUSES`]; a difference without one fails, and so does an entry that
//! no difference needs any more.
//!
//! The captures are not ours and not in the repository: `T2_CORPUS` names their folder, default `golden/corpus`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exporter::capture::CaptureFile;
use exporter::dissect::{Dissector, Packet};
use exporter::meter::{Meter, MeterConfig};
use exporter::sink::text::TextSink;

/// A difference that is known: in which capture, of which flows (index and direction; empty = all), in which
/// columns (empty = all, and the flow may be missing or new), and why.
struct Excuse {
    case: &'static str,
    flows: &'static [&'static str],
    columns: &'static [&'static str],
    cause: &'static str,
}

const EXCUSES: &[Excuse] = &[];

/// Flows of a file: (flow index, direction) and the columns by name, in order of export.
struct Flows {
    order: Vec<String>,
    rows: BTreeMap<String, BTreeMap<String, String>>,
}

fn parse(text: &str) -> Flows {
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap()
        .trim_start_matches('%')
        .split('\t')
        .collect();
    let mut flows = Flows {
        order: Vec::new(),
        rows: BTreeMap::new(),
    };
    for line in lines {
        let row: BTreeMap<String, String> = names
            .iter()
            .map(ToString::to_string)
            .zip(line.split('\t').map(ToString::to_string))
            .collect();
        let name = format!("{}{}", row["flowInd"], row["dir"]);
        flows.order.push(name.clone());
        flows.rows.insert(name, row);
    }
    flows
}

/// The capture of a case, and what ours makes of it.
fn ours(capture: &Path) -> Flows {
    let mut dissector = Dissector::new();
    let mut meter = Meter::new(MeterConfig {
        text: true,
        ..MeterConfig::default()
    });
    let mut sink = TextSink::new(Vec::new()).unwrap();
    let mut file = CaptureFile::open(capture).unwrap();
    let mut packet = Packet::default();
    while let Some(batch) = file.next_batch().unwrap() {
        for frame in batch {
            if dissector.dissect(&frame, &mut packet) {
                meter.packet(&packet, &mut sink);
            }
        }
    }
    meter.finish(&mut sink);
    parse(&String::from_utf8(sink.finish().unwrap()).unwrap())
}

/// A flow or the order of export that is not the same.
struct Difference {
    case: String,
    flow: String,
    column: String,
    theirs: String,
    ours: String,
}

fn compare(case: &str, theirs: &Flows, ours: &Flows) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |flow: &str, column: &str, theirs: &str, ours: &str| {
        found.push(Difference {
            case: case.to_owned(),
            flow: flow.to_owned(),
            column: column.to_owned(),
            theirs: theirs.to_owned(),
            ours: ours.to_owned(),
        });
    };
    for (flow, row) in &theirs.rows {
        let Some(our_row) = ours.rows.get(flow) else {
            add(flow, "", "flow", "none");
            continue;
        };
        for (column, value) in row {
            let our_value = our_row.get(column).map_or("(no column)", String::as_str);
            if value != our_value {
                add(flow, column, value, our_value);
            }
        }
    }
    for flow in ours
        .rows
        .keys()
        .filter(|flow| !theirs.rows.contains_key(*flow))
    {
        add(flow, "", "none", "flow");
    }
    let common = |order: &[String], other: &Flows| -> Vec<String> {
        order
            .iter()
            .filter(|flow| other.rows.contains_key(*flow))
            .cloned()
            .collect()
    };
    let (their_order, our_order) = (common(&theirs.order, ours), common(&ours.order, theirs));
    for flow in out_of_place(&their_order, &our_order) {
        add(flow, "order", "", "");
    }
    found
}

/// The flows that must be moved to turn one order into the other: all but a longest common subsequence.
fn out_of_place<'a>(theirs: &'a [String], ours: &[String]) -> Vec<&'a String> {
    let width = ours.len() + 1;
    let mut length = vec![0_u32; (theirs.len() + 1) * width];
    for i in (0..theirs.len()).rev() {
        for j in (0..ours.len()).rev() {
            length[i * width + j] = if theirs[i] == ours[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut moved) = (0, 0, Vec::new());
    while i < theirs.len() {
        if j < ours.len() && theirs[i] == ours[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < ours.len() && length[i * width + j + 1] >= length[(i + 1) * width + j] {
            j += 1;
        } else {
            moved.push(&theirs[i]);
            i += 1;
        }
    }
    moved
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("T2_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/corpus"),
        PathBuf::from,
    );
    let folder = folder.join("tranalyzer");
    if folder.is_dir() {
        return Some(folder);
    }
    let skip = format!("no corpus in {}: set T2_CORPUS", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{skip}");
    eprintln!("SKIPPED: {skip}");
    None
}

/// The folders with a capture and recorded flows.
fn cases(corpus: &Path, folder: &str) -> Vec<PathBuf> {
    let folder = corpus.join(folder);
    if folder.join("flows.tsv").is_file() {
        return vec![folder];
    }
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|case| case.join("flows.tsv").is_file())
        .collect();
    cases.sort();
    cases
}

fn capture_of(case: &Path) -> PathBuf {
    let name = case.file_name().unwrap().to_str().unwrap();
    ["pcap", "pcapng"]
        .iter()
        .map(|suffix| case.join(format!("{name}.{suffix}")))
        .find(|path| path.is_file())
        .unwrap()
}

#[test]
fn tmp() {
    let Some(corpus) = corpus() else { return };
    let only = std::env::var("ONLY").unwrap_or_default();
    for folder in ["edge", "medium", "synth"] {
        let mut total = 0;
        let mut bad_total = 0;
        for case in cases(&corpus, folder) {
            let name = case
                .strip_prefix(&corpus)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if !name.contains(&only) {
                continue;
            }
            let _x = 0;
            let theirs = parse(&std::fs::read_to_string(case.join("flows.tsv")).unwrap());
            let Ok(f) = CaptureFile::open(capture_of(&case)) else {
                continue;
            };
            if !f.info().link.is_some_and(Dissector::knows) {
                println!("{name}: link type {:?}", f.info().link);
                continue;
            }
            let ours = ours(&capture_of(&case));
            if !only.is_empty() {
                println!("theirs {:?}\nours {:?}", theirs.order, ours.order);
            }
            let d = compare(&name, &theirs, &ours);
            let bad: std::collections::BTreeSet<_> = d.iter().map(|d| d.flow.clone()).collect();
            total += theirs.rows.len();
            bad_total += bad.len();
            if d.is_empty() {
                continue;
            }
            let mut by: BTreeMap<String, Vec<&Difference>> = BTreeMap::new();
            for x in &d {
                by.entry(x.column.clone()).or_default().push(x);
            }
            println!(
                "== {name}: {}/{} flows differ",
                bad.len(),
                theirs.rows.len()
            );
            for (c, v) in by {
                print!("   {c} {}:", v.len());
                for x in v.iter().take(4000) {
                    print!(" [{} t2 {} ours {}]", x.flow, x.theirs, x.ours);
                }
                println!();
            }
        }
        println!("#### {folder}: {bad_total} of {total} differ");
    }
}
