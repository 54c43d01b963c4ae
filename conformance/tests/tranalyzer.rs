//! The datagrams that Tranalyzer 0.9.3 sent for 63 captures, as recorded: its faults that the wire shows are found,
//! and no others. What is expected is computed here, from the octets of the datagrams alone.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::verdict::Finding;
use conformance::wire::{Judge, Options, Transport};
use exporter::capture::CaptureFile;
use tap::{Message, Receiver, Tap};

/// Fault, rule, captures that could show it, captures that do.
const FAULTS: &[(&str, &str, usize, usize)] = &[
    ("the count is 1 for any number of records", "H-02", 40, 40),
    (
        "the header's time of the templates is 1 January 1970",
        "H-11",
        63,
        63,
    ),
    ("the uptime is 0 and flows end later", "H-13", 57, 29),
    ("datagrams are larger than the path takes", "H-19", 9, 9),
    ("octets are those of the payload", "M-01", 57, 36),
    (
        "a packet out of order ends a flow before it begins",
        "F-14",
        57,
        1,
    ),
    ("FlowSets are not padded", "S-06", 57, 25),
    // It counts datagrams as it should.
    ("the sequence number", "H-04", 57, 0),
    // The templates go once, in the first datagram. But no recording has more than 14 datagrams or takes a second:
    // exporters that repeat their templates would not have done so yet.
    ("templates are never sent again", "T-12", 0, 0),
];

/// Octets of an Ethernet frame for a datagram's payload over IPv4.
const MOST: usize = 1500 - 20 - 8;
/// More packets without templates than a device can be set to, and as long.
const PACKETS: usize = 600;
const HOUR_MS: u64 = 3_600_000;

fn number(octets: &[u8]) -> u64 {
    octets
        .iter()
        .fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

/// A field of a template: element, place in the record, length.
type Layout = Vec<(u64, usize, usize)>;

/// What arithmetic says of one recording.
#[derive(Default)]
struct Expected {
    could: BTreeSet<&'static str>,
    does: BTreeSet<&'static str>,
    layouts: BTreeMap<u64, Layout>,
    sent: Vec<(u64, Vec<u8>)>,
}

impl Expected {
    fn note(&mut self, rule: &'static str, could: bool, does: bool) {
        assert!(could || !does, "{rule}");
        if could {
            self.could.insert(rule);
        }
        if does {
            self.does.insert(rule);
        }
    }

    fn datagram(&mut self, at_ms: u64, octets: &[u8]) {
        let word = |at: usize| number(&octets[at..at + 4]);
        let (count, uptime, seconds, sequence) =
            (number(&octets[2..4]), word(4), word(8), word(12));
        let (mut records, mut at) = (0, 20);
        while at < octets.len() {
            let (id, length) = (number(&octets[at..at + 2]), number(&octets[at + 2..at + 4]));
            let set = &octets[at + 4..at + usize::try_from(length).unwrap()];
            at += set.len() + 4;
            if id == 0 {
                records += 1;
                self.template(set);
                continue;
            }
            let layout = self.layouts[&id].clone();
            let size = layout.iter().map(|field| field.2).sum();
            self.note("S-06", true, length % 4 != 0);
            for record in set.chunks_exact(size) {
                records += 1;
                self.record(id, record, &layout, uptime);
            }
        }
        self.note("H-02", records > 1 && sequence > 0, count != records);
        self.note("H-11", true, seconds == 0);
        self.note("H-19", octets.len() > MOST, octets.len() > MOST);
        let begun = self.sent.first().map(|sent| sent.0);
        self.note("H-04", begun.is_some(), sequence != self.sent.len() as u64);
        let hour = begun.is_some_and(|begun| at_ms - begun > HOUR_MS);
        self.note("T-12", self.sent.len() > PACKETS || hour, false);
        self.sent.push((at_ms, octets.to_vec()));
    }

    /// One template a FlowSet: ID, count, then element and length of each field.
    fn template(&mut self, set: &[u8]) {
        let mut place = 0;
        let fields = set[4..].chunks_exact(4).map(|field| {
            let length = usize::try_from(number(&field[2..])).unwrap();
            place += length;
            (number(&field[..2]), place - length, length)
        });
        let count = usize::try_from(number(&set[2..4])).unwrap();
        let fields: Layout = fields.take(count).collect();
        self.layouts.insert(number(&set[..2]), fields);
    }

    fn record(&mut self, id: u64, record: &[u8], layout: &Layout, uptime: u64) {
        let value = |element| {
            let (_, place, length) = layout.iter().find(|field| field.0 == element).unwrap();
            number(&record[*place..place + length])
        };
        let (octets, packets, last, first) = (value(1), value(2), value(21), value(22));
        // 256 is the template of IPv4, 257 that of IPv6 (elements 8 and 27).
        let header = if id == 256 { 20 } else { 40 };
        self.note("M-01", true, octets < packets * header);
        // Times of 32 bits: the nearer way round. Three seconds are the judge's tolerance for clocks.
        let ahead = (last + (1 << 32) - uptime) % (1 << 32);
        self.note("H-13", true, ahead > 3000 && ahead < 1 << 31);
        let lasts = (last + (1 << 32) - first) % (1 << 32);
        self.note("F-14", true, lasts >= 1 << 31);
    }
}

impl Receiver for Expected {
    fn message(&mut self, message: &Message<'_>) {
        self.datagram(message.at_ms, message.bytes);
    }

    fn closed(&mut self, _: SocketAddr, _: SocketAddr) {}
}

fn recorded(path: &Path) -> Expected {
    let mut expected = Expected::default();
    let mut tap = Tap::new(Vec::new());
    let mut capture = CaptureFile::open(path.to_str().unwrap()).unwrap();
    while let Some(batch) = capture.next_batch().unwrap() {
        for frame in batch {
            tap.frame(&frame, &mut expected);
        }
    }
    expected
}

fn recordings() -> Option<Vec<PathBuf>> {
    let corpus = golden::harness::corpus()?.join("tranalyzer");
    let mut folders = vec![corpus.join("synth")];
    for kind in ["edge", "medium"] {
        let entries = fs::read_dir(corpus.join(kind)).unwrap();
        folders.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let captures = folders.iter().map(|folder| folder.join("netflow.pcap"));
    Some(captures.filter(|path| path.is_file()).collect())
}

/// The rules that `t2check exporter --strict` finds broken.
fn found(path: &Path) -> BTreeSet<String> {
    let run = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
        .args(["exporter", "--strict", "--json", "-", "--capture"])
        .arg(path)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(3), "{}", path.display());
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let results = json["results"].as_array().unwrap().iter();
    let broken = results.filter(|result| result["count"].as_u64().unwrap() > 0);
    broken
        .map(|result| result["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_faults_of_tranalyzer_are_found_and_no_others() {
    let Some(recordings) = recordings() else {
        return;
    };
    assert_eq!(recordings.len(), 63);
    let (mut could, mut does) = (BTreeMap::new(), BTreeMap::new());
    for path in recordings {
        let expected = recorded(&path);
        let found = found(&path);
        assert!(
            found.iter().eq(&expected.does),
            "{}: {found:?}",
            path.display()
        );
        for rule in &expected.could {
            *could.entry(*rule).or_insert(0) += 1;
        }
        for rule in &expected.does {
            *does.entry(*rule).or_insert(0) += 1;
        }
    }
    let table: Vec<_> = FAULTS
        .iter()
        .map(|(fault, rule, ..)| {
            let count = |map: &BTreeMap<&str, usize>| map.get(rule).copied().unwrap_or(0);
            (*fault, *rule, count(&could), count(&does))
        })
        .collect();
    assert_eq!(table, FAULTS);
    assert!(
        does.keys()
            .all(|rule| FAULTS.iter().any(|fault| fault.1 == *rule))
    );
}

/// Had the longest recording gone on as it is, without templates, the judge would have told.
#[test]
fn templates_that_are_never_sent_again_are_found_in_time() {
    let Some(recordings) = recordings() else {
        return;
    };
    let longest = recordings.iter().map(|path| recorded(path).sent);
    let sent = longest.max_by_key(Vec::len).unwrap();
    assert_eq!(sent.len(), 14);
    let mut judge = Judge::new(Options::default());
    let from: SocketAddr = "192.0.2.7:40000".parse().unwrap();
    let mut told = Vec::new();
    let on = sent[1..].iter().cycle().take(PACKETS + 1);
    for (index, (at_ms, octets)) in sent[..1].iter().chain(on).enumerate() {
        let mut octets = octets.clone();
        octets[12..16].copy_from_slice(&u32::try_from(index).unwrap().to_be_bytes());
        let mut keep = |finding: Finding| told.push((index, finding.rule));
        judge.message(*at_ms, from, Transport::Udp, &octets, &mut keep);
    }
    let refresh: Vec<_> = told.iter().filter(|told| told.1 == "T-12").collect();
    assert_eq!(refresh, [&(PACKETS + 1, "T-12")]);
}
