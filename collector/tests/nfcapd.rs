//! The same datagrams into t2collect and nfcapd 1.7.1, both listed by the real nfdump: real exports of many vendors.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use exporter::capture::CaptureFile;
use golden::harness::{self, Collector};
use tap::{Message, Receiver, Tap};

/// Captures whose records are not all the same: records here, there, the same in both, and what nfcapd 1.7.1 makes of
/// them.
const DIFFER: [(&str, usize, usize, usize); 17] = [
    // Sampling told in options is not applied.
    ("netflow9.pcap", 21, 21, 0),
    ("Netflow-9-invalid-01.pcap", 2, 2, 0),
    // Prefix lengths of v5 are not stored.
    ("netgraph-netflow5.pcap", 120, 120, 0),
    ("Netflow5-Juniper-MX80.pcap", 29, 29, 0),
    // The same, and two v9 records without a time are of 1970.
    ("nprobe-netflow9.pcap", 152, 152, 0),
    // Records without a time are of 1970.
    ("nprobe-netflow9-2.pcap", 6, 6, 5),
    ("Netflow-9-Cisco-WLC.pcap", 19, 19, 0),
    ("Netflow-9-macaddress.pcap", 29, 29, 0),
    // Uptimes without the time of start: 1970.
    ("IPFIX-Mikrotik-RouterOS-6.39.2.pcap", 46, 46, 0),
    // Data before its template is dropped.
    ("nprobe-netflow9-4.pcap", 15, 1, 1),
    // The service of the reverse direction is stored as that of the forward one.
    ("IPFIX-YAF-basic-with-applabel.pcap", 2, 2, 1),
    // 21 and 22 are swapped in IPFIX.
    ("IPFIX.pcap", 12, 12, 2),
    // Events without an end: 1970.
    ("Netflow-9-Cisco-ASA.pcap", 14, 14, 0),
    // ICMP type and code in the destination port are dropped.
    ("Netflow-9-Cisco-NBAR-flowset-262.pcap", 5, 5, 3),
    ("Netflow-9-multiple-netflow-exporters.pcap", 8, 8, 7),
    ("Netflow-9-valid-01.pcap", 7, 7, 6),
    // forwardingStatus is not known; 21 and 22 are swapped; the addresses of two families become one.
    ("srv6.pcap", 86, 86, 0),
];

#[derive(Default)]
struct Datagrams(Vec<Vec<u8>>);

impl Receiver for Datagrams {
    fn message(&mut self, message: &Message<'_>) {
        self.0.push(message.bytes.to_vec());
    }

    fn closed(&mut self, _: SocketAddr, _: SocketAddr) {}
}

fn datagrams(file: &Path) -> Vec<Vec<u8>> {
    let (mut capture, mut tap) = (CaptureFile::open(file).unwrap(), Tap::new(Vec::new()));
    let mut datagrams = Datagrams::default();
    while let Ok(Some(batch)) = capture.next_batch() {
        batch.for_each(|frame| tap.frame(&frame, &mut datagrams));
    }
    tap.finish(&mut datagrams);
    datagrams.0
}

fn captures(corpus: &Path) -> Vec<PathBuf> {
    let mut captures = Vec::new();
    for folder in ["graylog", "logstash", "netgauze", "telegraf"] {
        let entries = std::fs::read_dir(corpus.join("netflow").join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        captures.extend(files.filter(|file| file.extension().is_some_and(|end| end == "pcap")));
    }
    captures.sort();
    assert_eq!(captures.len(), 35);
    captures
}

/// Each capture's datagrams from an address of its own; then the lines of nfdump by that address.
fn store(collector: Collector, sent: &[Vec<Vec<u8>>]) -> Option<BTreeMap<String, Vec<String>>> {
    for (number, datagrams) in (1..).zip(sent) {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, number), 0)).unwrap();
        for datagram in datagrams {
            socket
                .send_to(datagram, ("127.0.0.1", collector.port()))
                .unwrap();
            thread::sleep(Duration::from_micros(500));
        }
        harness::wait_drained(collector.port());
    }
    let collected = collector.stop();
    let mut lines = BTreeMap::<String, Vec<String>>::new();
    for file in collected.files() {
        for line in support::nfdump(&file, &["-q", "-o", "csv"])?.lines() {
            let mut columns: Vec<&str> = line.split(',').collect();
            if columns.len() != 48 {
                continue;
            }
            // When it was received, and the exporter's number in the file, are of the run.
            columns.truncate(46);
            lines
                .entry(columns[44].to_owned())
                .or_default()
                .push(columns.join(","));
        }
    }
    Some(lines)
}

#[test]
fn as_nfcapd_stores_them() {
    let Some(corpus) = harness::corpus() else {
        return;
    };
    let Some(nfcapd) = Collector::nfcapd(&[]) else {
        return;
    };
    let captures = captures(&corpus);
    let sent: Vec<Vec<Vec<u8>>> = captures.iter().map(|file| datagrams(file)).collect();
    let theirs = thread::scope(|scope| {
        let theirs = scope.spawn(|| store(nfcapd, &sent));
        let ours = store(Collector::t2collect(&[]), &sent);
        ours.zip(theirs.join().unwrap())
    });
    let Some((ours, theirs)) = theirs else { return };
    let (mut identical, mut total, mut differ) = (0, 0, Vec::new());
    for (number, file) in (1..).zip(&captures) {
        let address = format!("127.0.1.{number}");
        let [ours, theirs] =
            [&ours, &theirs].map(|lines| lines.get(&address).cloned().unwrap_or_default());
        let mut left = theirs.clone();
        let same = ours
            .iter()
            .filter(|line| {
                let found = left.iter().position(|other| other == *line);
                found.map(|at| left.swap_remove(at)).is_some()
            })
            .count();
        identical += same;
        total += ours.len().max(theirs.len());
        if same < ours.len().max(theirs.len()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            differ.push((name, ours.len(), theirs.len(), same));
        }
    }
    eprintln!("nfcapd 1.7.1: {identical} of {total} records identical");
    differ.sort();
    let mut expected: Vec<_> = DIFFER
        .iter()
        .map(|(name, ours, theirs, same)| ((*name).to_owned(), *ours, *theirs, *same))
        .collect();
    expected.sort();
    assert_eq!(differ, expected);
}
