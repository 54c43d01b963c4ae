//! Ours against the flows that Tranalyzer 0.9.3 made of the same captures: every flow, every column, the order of
//! export, and what its end reports say of columns that were not recorded. What differs has its cause in
//! [`excuses::EXCUSES`] or [`report::EXCUSES`]; a difference without one fails, so does an entry that no difference
//! needs any more, and so do other numbers of identical flows and captures than [`FIGURES`] has.
//!
//! The captures are not ours and not in the repository: `T2_CORPUS` names their folder, default `golden/corpus`.
#![allow(clippy::unwrap_used)]

mod compare;
mod excuses;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use compare::{Column, Flows, compare, parse};
use excuses::{Cause, EXCUSES, cause_of};
use exporter::capture::CaptureFile;
use exporter::dissect::{Detail, Dissector, Packet, Tunnel};
use exporter::meter::{Meter, MeterConfig, MeterStats, Metric};
use exporter::sink::text::{Layout, TextSink};

/// What has to be the same before anything else: key, times, packets, octets, flags, ToS, TTL, TCP states, pairing
/// (the rows are found by flow index and direction), order of export.
const CORE: &[&str] = &[
    "",
    "order",
    "flowInd",
    "dir",
    "timeFirst",
    "timeLast",
    "duration",
    "ethType",
    "vlanID",
    "srcIP",
    "srcPort",
    "dstIP",
    "dstPort",
    "l4Proto",
    "srcMac",
    "dstMac",
    "pktsSnt",
    "pktsRcvd",
    "l7BytesSnt",
    "l7BytesRcvd",
    "minL7PktSz",
    "maxL7PktSz",
    "l3BytesSnt",
    "l3BytesRcvd",
    "minL3PktSz",
    "maxL3PktSz",
    "ipMinTTL",
    "ipMaxTTL",
    "ipToS",
    "tcpFlags",
    "tcpStatesAFlags",
];

/// The folders of captures.
const FOLDERS: &[&str] = &["edge", "medium", "synth"];

/// A way in which Tranalyzer was built.
struct Variant {
    /// What an entry of [`EXCUSES`] that is only for it has before the case.
    label: &'static str,
    file: &'static str,
    active_timeout: Option<Duration>,
    metric: Metric,
}

const VARIANTS: &[Variant] = &[
    Variant {
        label: "l7",
        file: "flows.tsv",
        active_timeout: None,
        metric: Metric::L7,
    },
    Variant {
        label: "l3",
        file: "flows-l3.tsv",
        active_timeout: None,
        metric: Metric::Ip,
    },
    Variant {
        label: "active60",
        file: "flows-active60.tsv",
        active_timeout: Some(Duration::from_secs(60)),
        metric: Metric::L7,
    },
];

/// Flows, those identical in [`CORE`] and in every column; captures, those identical in [`CORE`] and in every column.
type Figures = [usize; 6];

/// The figures by variant and folder.
const FIGURES: &[(&str, &str, Figures)] = &[
    ("l7", "edge", [169, 155, 152, 47, 42, 42]),
    ("l7", "medium", [3610, 3604, 3395, 15, 14, 14]),
    ("l7", "synth", [66, 63, 63, 40, 37, 37]),
    ("l3", "edge", [169, 146, 143, 47, 35, 35]),
    ("l3", "medium", [3610, 3602, 3393, 15, 13, 13]),
    ("l3", "synth", [66, 61, 61, 40, 36, 36]),
    ("active60", "edge", [169, 155, 152, 47, 42, 42]),
    ("active60", "medium", [3644, 3638, 3429, 15, 14, 14]),
    ("active60", "synth", [87, 84, 84, 40, 37, 37]),
];

/// What ours makes of a capture.
fn ours(capture: &Path, variant: &Variant) -> (Flows, MeterStats) {
    let mut dissector = Dissector::new(Tunnel::Inner);
    let mut meter = Meter::new(MeterConfig {
        text: true,
        active_timeout: variant.active_timeout,
        ..MeterConfig::default()
    });
    let mut sink = TextSink::new(Vec::new(), variant.metric, Layout::Columns, None).unwrap();
    let mut file = CaptureFile::open(capture).unwrap();
    while let Some(batch) = file.next_batch().unwrap() {
        let (mut packets, mut details) = (Vec::new(), Vec::new());
        for frame in batch {
            let (mut packet, mut detail) = (Packet::default(), Detail::default());
            if dissector.dissect_in_detail(&frame, &mut packet, &mut detail) {
                packets.push(packet);
                details.push(detail);
            }
        }
        meter.packets_in_detail(&packets, &details, &mut sink);
    }
    meter.finish(&mut sink);
    let text = String::from_utf8(sink.finish().unwrap()).unwrap();
    (parse(&text), *meter.stats())
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

/// A capture that counts as one.
const WHOLE: &str = "whole";

/// What counts as one capture: a whole one, or one of the numbered cases of the synthetic capture, which the fifth
/// octet of their MACs tells; the packets that only move its clock, number 250, are none.
fn group_of(row: &BTreeMap<String, String>) -> Option<&str> {
    match row["srcMac"].strip_prefix("02:00:00:00:") {
        Some(case) if row["timeFirst"].starts_with("17000") => {
            case.get(..2).filter(|case| *case != "fa")
        }
        _ => Some(WHOLE),
    }
}

/// What is gathered over all captures.
struct Tally {
    used: Vec<bool>,
    unexplained: Vec<String>,
    columns: BTreeMap<String, Column>,
}

/// Compares the captures of one folder and prints what came of it.
fn compare_folder(corpus: &Path, folder: &str, variant: &Variant, tally: &mut Tally) -> Figures {
    let [
        mut flows_total,
        mut core,
        mut all,
        mut captures,
        mut same,
        mut same_all,
    ] = [0; 6];
    let mut by_cause: BTreeMap<Option<Cause>, usize> = BTreeMap::new();
    for case in cases(corpus, folder) {
        let name = case.strip_prefix(corpus).unwrap().to_str().unwrap();
        let name = format!("{} {name}", variant.label);
        let theirs = parse(&std::fs::read_to_string(case.join(variant.file)).unwrap());
        let (ours, _) = ours(&capture_of(&case), variant);
        let differences = compare(&name, &theirs, &ours, &mut tally.columns);
        let mut flows: BTreeMap<&str, (bool, Option<Cause>)> = BTreeMap::new();
        for difference in &differences {
            let is_core = CORE.contains(&difference.column.as_str());
            let cause = cause_of(difference, &mut tally.used);
            if cause.is_none() {
                tally.unexplained.push(format!(
                    "{name} flow {} column {:?}: Tranalyzer {:?}, ours {:?}",
                    difference.flow, difference.column, difference.theirs, difference.ours
                ));
            }
            if theirs.rows.contains_key(&difference.flow) {
                let flow = flows.entry(&difference.flow).or_insert((false, cause));
                if is_core && !flow.0 {
                    *flow = (true, cause);
                }
            }
        }
        for (_, cause) in flows.values() {
            *by_cause.entry(*cause).or_default() += 1;
        }
        let mut groups: BTreeSet<&str> = theirs.rows.values().filter_map(group_of).collect();
        if theirs.rows.is_empty() {
            // Neither makes a flow of a link type that it cannot read.
            groups.insert(WHOLE);
        }
        let differs = |group: &str, also_rest: bool| {
            flows.iter().any(|(flow, (is_core, _))| {
                group_of(&theirs.rows[*flow]) == Some(group) && (*is_core || also_rest)
            })
        };
        captures += groups.len();
        same += groups.iter().filter(|group| !differs(group, false)).count();
        same_all += groups.iter().filter(|group| !differs(group, true)).count();
        flows_total += theirs.rows.len();
        core += theirs.rows.len() - flows.values().filter(|(is_core, _)| *is_core).count();
        all += theirs.rows.len() - flows.len();
    }
    println!(
        "{} {folder}: of {flows_total} flows {core} identical, {all} in every column; \
         {same} of {captures} captures identical, {same_all} in every column",
        variant.label
    );
    for (cause, count) in by_cause {
        match cause {
            Some(cause) => println!("    {count:5} by cause {} ({cause:?})", cause as u8),
            None => println!("    {count:5} not explained"),
        }
    }
    [flows_total, core, all, captures, same, same_all]
}

#[test]
fn flows_are_those_of_tranalyzer() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let corpus = corpus.join("tranalyzer");
    let mut tally = Tally {
        used: vec![false; EXCUSES.len()],
        unexplained: Vec::new(),
        columns: BTreeMap::new(),
    };
    let mut figures = Vec::new();
    for variant in VARIANTS {
        for folder in FOLDERS {
            let found = compare_folder(&corpus, folder, variant, &mut tally);
            figures.push((variant.label, *folder, found));
        }
    }
    println!("column: values equal / compared");
    for (name, column) in &tally.columns {
        println!("    {name}: {} / {}", column.same, column.compared);
    }
    let stale: Vec<String> = EXCUSES
        .iter()
        .zip(&tally.used)
        .filter(|(_, used)| !**used)
        .map(|(excuse, _)| format!("{}: {:?}", excuse.case, excuse.cause))
        .collect();
    assert!(
        tally.unexplained.is_empty(),
        "not explained:\n{}",
        tally.unexplained.join("\n")
    );
    assert!(stale.is_empty(), "no longer needed:\n{}", stale.join("\n"));
    assert_eq!(figures, FIGURES);
}

/// The columns that the recorded flows have not, as far as the end reports say something of them.
#[test]
fn reports_are_those_of_tranalyzer() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let corpus = corpus.join("tranalyzer");
    let mut used = vec![false; report::EXCUSES.len()];
    let mut unexplained = Vec::new();
    let mut columns: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for case in FOLDERS.iter().flat_map(|folder| cases(&corpus, folder)) {
        let name = case.strip_prefix(&corpus).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(case.join("report.txt")).unwrap();
        let (_, stats) = ours(&capture_of(&case), &VARIANTS[0]);
        let (theirs, ours) = (report::recorded(&text), report::ours(&stats));
        for ((item, theirs), (_, ours)) in theirs.0.iter().zip(&ours.0) {
            let (same, compared) = columns.entry(item).or_default();
            *compared += 1;
            if theirs == ours {
                *same += 1;
                continue;
            }
            let known = report::EXCUSES
                .iter()
                .position(|(case, excused, _)| *case == name && excused == item);
            match known {
                Some(known) => used[known] = true,
                None => unexplained.push(format!("{name} {item}: {theirs:?}, ours {ours:?}")),
            }
        }
    }
    println!("item of the end report: the same / compared");
    for (item, (same, compared)) in columns {
        println!("    {item}: {same} / {compared}");
    }
    assert!(
        unexplained.is_empty(),
        "not explained:\n{}",
        unexplained.join("\n")
    );
    assert!(
        used.iter().all(|used| *used),
        "an entry is no longer needed"
    );
}
