//! Every exporter through every collector to every reporter, ours and the originals in any place.
//!
//! {t2x v9, t2x IPFIX, softflowd v5, v9 and IPFIX, Tranalyzer's recorded datagrams} × {t2collect, nfcapd} ×
//! {t2report, nfdump}. Along an exporter's row the same flows, packets and octets must come out of every cell;
//! between rows they may differ, since exporters count octets differently (layer 7, IP) and end flows at
//! different moments. Every cell is printed (`cargo nextest run --no-capture`, or `T2_MIX_TABLE=FILE`).

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use golden::harness::{self, Collector};
use tests::{Totals, report, send_datagrams, udp_payloads};

/// Everything of a record that each mix must agree on, and the two times.
const FIELDS: &str = "fmt:%ts|%te|%pr|%sa|%sp|%da|%dp|%flg|%tos|%pkt|%byt|%fl";

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exporter {
    T2x { version: &'static str },
    Softflowd { version: &'static str },
    Tranalyzer,
}

/// A fault of nfcapd 1.7.1 that keeps a column from being compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NfcapdFault {
    /// Of v9 it takes an ICMP type from element 32 only, and drops one that stands in the destination port.
    IcmpPort,
    /// Of IPFIX it swaps elements 21 and 22.
    Times,
}

impl NfcapdFault {
    fn sentence(self) -> &'static str {
        match self {
            Self::IcmpPort => "nfcapd drops the ICMP type in element 11 of v9",
            Self::Times => "nfcapd swaps elements 21 and 22 of IPFIX",
        }
    }

    /// The records (columns of [`FIELDS`]) without what the fault spoils, sorted.
    fn without(self, records: &[String]) -> Vec<String> {
        let mut records: Vec<String> = records.iter().map(|line| self.spoiled(line)).collect();
        records.sort();
        records
    }

    fn spoiled(self, line: &str) -> String {
        let mut columns: Vec<&str> = line.split('|').collect();
        let is_icmp = matches!(columns.get(2).map(|p| p.trim()), Some("1" | "58"));
        let blank = match self {
            Self::IcmpPort if is_icmp => 6..7,
            Self::IcmpPort => 0..0,
            Self::Times => 0..2,
        };
        columns[blank].fill("?");
        columns.join("|")
    }
}

const EXPORTERS: &[Exporter] = &[
    Exporter::T2x { version: "9" },
    Exporter::T2x { version: "10" },
    Exporter::Softflowd { version: "5" },
    Exporter::Softflowd { version: "9" },
    Exporter::Softflowd { version: "10" },
    Exporter::Tranalyzer,
];

impl Exporter {
    fn name(self) -> String {
        match self {
            Self::T2x { version: "9" } => "t2x v9".into(),
            Self::T2x { .. } => "t2x IPFIX".into(),
            Self::Softflowd { version: "10" } => "softflowd IPFIX".into(),
            Self::Softflowd { version } => format!("softflowd v{version}"),
            Self::Tranalyzer => "T2 0.9.3 replay".into(),
        }
    }

    /// What nfcapd 1.7.1 stores otherwise than the datagrams of this exporter say; `None` if nothing.
    fn nfcapd_fault(self) -> Option<NfcapdFault> {
        match self {
            Self::T2x { version: "9" } => Some(NfcapdFault::IcmpPort),
            Self::Softflowd { version: "10" } => Some(NfcapdFault::Times),
            _ => None,
        }
    }

    /// Sends the flows of a capture to a collector. `false`: this exporter has nothing for this capture here.
    fn export(self, capture: &Path, port: u16) -> bool {
        match self {
            Self::T2x { version } => {
                let mut t2x = Command::new(harness::program("t2x"));
                t2x.arg("-r").arg(capture);
                t2x.args(["--nf-version", version, "--nf-port", &port.to_string()]);
                harness::run(&mut t2x).success();
            }
            Self::Softflowd { version } => {
                let Some(softflowd) = harness::peer("softflowd") else {
                    return false;
                };
                let state = harness::temp_dir();
                let mut softflowd = Command::new(softflowd);
                softflowd.arg("-r").arg(capture).args(["-v", version]);
                softflowd.args(["-n", &format!("127.0.0.1:{port}"), "-a", "-d", "-c", "none"]);
                softflowd.arg("-p").arg(state.path().join("pid"));
                harness::run(&mut softflowd).success();
            }
            Self::Tranalyzer => {
                let recorded = capture.with_file_name("netflow.pcap");
                if !recorded.is_file() {
                    return false;
                }
                send_datagrams(port, &udp_payloads(&recorded));
            }
        }
        true
    }
}

/// What one collector stored, as both reporters tell it.
struct Stored {
    collector: &'static str,
    /// One line a record, sorted.
    records: Vec<String>,
    /// By reporter: (name, totals).
    totals: Vec<(&'static str, Totals)>,
}

/// Lets the exporter send to the collector and reads the files with every reporter there is.
fn cell(
    exporter: Exporter,
    capture: &Path,
    name: &'static str,
    collector: Collector,
) -> Option<Stored> {
    if !exporter.export(capture, collector.port()) {
        return None;
    }
    assert_eq!(
        harness::dropped(collector.port()),
        0,
        "{name} lost datagrams"
    );
    let collected = collector.stop();
    let mut reporters = vec![("t2report", harness::program("t2report"))];
    reporters.extend(harness::peer("nfdump").map(|path| ("nfdump", path)));

    let mut stored = Stored {
        collector: name,
        records: Vec::new(),
        totals: Vec::new(),
    };
    for (index, (reporter, path)) in reporters.iter().enumerate() {
        let mut totals = Totals::default();
        let mut records = Vec::new();
        for file in collected.files() {
            totals = totals.and(Totals::of_summary(&report(
                path,
                &file,
                &["-N", "-o", "line"],
            )));
            let listing = report(path, &file, &["-N", "-q", "-6", "-o", FIELDS]);
            records.extend(listing.lines().map(str::to_owned));
        }
        records.sort();
        if index == 0 {
            stored.records = records;
        } else {
            assert_eq!(
                records, stored.records,
                "{exporter:?}, {name}: {reporter} lists other records"
            );
        }
        stored.totals.push((reporter, totals));
    }
    if name == "t2collect" {
        for file in collected.files() {
            nfdump_accepts(&file);
        }
    }
    Some(stored)
}

/// nfdump's own checks of a file: structure, statistics record, exporter list.
fn nfdump_accepts(file: &Path) {
    let Some(nfdump) = harness::peer("nfdump") else {
        return;
    };
    for option in ["-v", "-I", "-E"] {
        let mut command = Command::new(&nfdump);
        if option == "-I" {
            command.arg("-r").arg(file).arg(option);
        } else {
            command.arg(option).arg(file);
        }
        let told = harness::run(&mut command).success();
        let text = told.text() + &told.stderr;
        assert!(!text.trim().is_empty(), "nfdump {option} says nothing");
        for fault in ["orrupt", "rror:", "nknown", "kip", "nvalid", "ncomplete"] {
            assert!(!text.contains(fault), "nfdump {option}: {text}");
        }
    }
}

/// Runs all rows for one capture and returns the table; rows without a recording are left out.
fn mix(label: &str, capture: &Path) -> Vec<(Exporter, Totals)> {
    let mut table = String::new();
    let mut rows = Vec::new();
    for &exporter in EXPORTERS {
        let ours = cell(exporter, capture, "t2collect", Collector::t2collect(&[]));
        let theirs =
            Collector::nfcapd(&[]).and_then(|nfcapd| cell(exporter, capture, "nfcapd", nfcapd));
        let stored: Vec<Stored> = ours.into_iter().chain(theirs).collect();
        for pair in stored.windows(2) {
            let [ours, theirs] = [0, 1].map(|index| match exporter.nfcapd_fault() {
                Some(fault) => fault.without(&pair[index].records),
                None => pair[index].records.clone(),
            });
            assert_eq!(ours, theirs, "{label}, {}", exporter.name());
        }
        let cells: Vec<_> = stored
            .iter()
            .flat_map(|s| {
                s.totals
                    .iter()
                    .map(|(reporter, totals)| (s.collector, reporter, totals))
            })
            .collect();
        let Some((_, _, first)) = cells.first() else {
            continue;
        };
        for (collector, reporter, totals) in &cells {
            assert_eq!(
                totals,
                first,
                "{label}, {}: {collector}, {reporter}",
                exporter.name()
            );
            let _ = writeln!(
                table,
                "{label:<10} {:<16} {collector:<10} {reporter:<9} {totals}",
                exporter.name()
            );
        }
        if let Some(fault) = exporter.nfcapd_fault() {
            let _ = writeln!(
                table,
                "{label:<10} {:<16} {:<20} not compared: {}",
                exporter.name(),
                "",
                fault.sentence()
            );
        }
        rows.push((exporter, **first));
    }
    print(&table);
    rows
}

fn print(table: &str) {
    println!("{table}");
    if let Some(path) = std::env::var_os("T2_MIX_TABLE") {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("T2_MIX_TABLE names a writable file");
        file.write_all(table.as_bytes()).expect("table is written");
    }
}

fn totals_of(rows: &[(Exporter, Totals)], exporter: Exporter) -> Totals {
    rows.iter()
        .find(|(row, _)| *row == exporter)
        .unwrap_or_else(|| panic!("no row {exporter:?}"))
        .1
}

#[test]
fn replica() {
    let folder = harness::temp_dir();
    let capture = folder.path().join("faf-replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&capture, bytes).expect("the replica is written");
    let rows = mix("replica", &capture);
    // Published figures of the tutorial.
    let expected = Totals {
        flows: 72,
        packets: 5902,
        bytes: 4_651_854,
    };
    assert_eq!(totals_of(&rows, Exporter::T2x { version: "9" }), expected);
    // IPFIX counts IP octets: 4,895,858 by the published connection logs.
    let expected = Totals {
        bytes: 4_895_858,
        ..expected
    };
    assert_eq!(totals_of(&rows, Exporter::T2x { version: "10" }), expected);
}

/// A capture of the corpus for which Tranalyzer's datagrams were recorded: t2x tells the same totals as they do.
fn recorded(name: &str) {
    let Some(corpus) = harness::corpus() else {
        return;
    };
    let folder = corpus.join("tranalyzer").join(name);
    let label = name.rsplit('/').next().unwrap_or(name);
    let capture: PathBuf = ["pcap", "pcapng", "cap"]
        .iter()
        .map(|ending| folder.join(format!("{label}.{ending}")))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no capture in {}", folder.display()));
    let rows = mix(label, &capture);
    assert_eq!(
        totals_of(&rows, Exporter::T2x { version: "9" }),
        totals_of(&rows, Exporter::Tranalyzer),
        "{label}: t2x and Tranalyzer"
    );
}

/// TCP and UDP of a home network, 63 flows.
#[test]
fn evidence03() {
    recorded("medium/evidence03");
}

/// IPv6, ICMPv6.
#[test]
fn ipv6() {
    recorded("edge/ipv6");
}

/// More records than one message holds, of short connections.
#[test]
fn ftp_crack() {
    recorded("medium/ftp-crack");
}

/// ICMP with its type and code.
#[test]
fn icmp() {
    recorded("edge/icmp-ping");
}
