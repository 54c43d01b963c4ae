//! Files of nfdump 1.6: read as nfdump 1.7.1 reads them, files made by hand and files of the real nfcapd 1.6.22.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use golden::harness::{self, PATIENCE, Service};
use nfdump_compat::file::FileReader;
use nfdump_compat::record::V3_RECORD;

/// Extension ids with the size of their data; all of nfdump 1.6's but 47, on which nfdump 1.7.1 gives up.
const EXTENSIONS: [(u16, usize); 37] = [
    (4, 4),
    (5, 8),
    (6, 4),
    (7, 8),
    (8, 4),
    (9, 4),
    (10, 16),
    (11, 4),
    (12, 16),
    (13, 4),
    (14, 4),
    (15, 8),
    (16, 4),
    (17, 8),
    (18, 4),
    (19, 8),
    (20, 16),
    (21, 16),
    (22, 40),
    (23, 4),
    (24, 16),
    (25, 4),
    (26, 8),
    (27, 8),
    (37, 20),
    (38, 4),
    (39, 8),
    (40, 32),
    (41, 24),
    (42, 24),
    (43, 72),
    (45, 24),
    (46, 12),
    (48, 8),
    // The same once more, zero: see `file`.
    (5, 8),
    (8, 4),
    (18, 4),
];

/// A file of one flow record with these extensions, filled with rising octets (or zeroes).
fn file(extensions: &[(u16, usize)], ipv6: bool, protocol: u8, zero: bool) -> Vec<u8> {
    let mut map = vec![2, 0, 0, 0, 1, 0];
    let length: usize = extensions.iter().map(|&(_, size)| size).sum();
    map.extend(u16::try_from(length).expect("short").to_le_bytes());
    for (id, _) in extensions {
        map.extend(id.to_le_bytes());
    }
    map.extend([0, 0]);
    map.resize(map.len().next_multiple_of(4), 0);
    let size = u16::try_from(map.len()).expect("short");
    map[2..4].copy_from_slice(&size.to_le_bytes());

    let mut flow = vec![10, 0, 0, 0];
    // Flags (64-bit packets and octets), version 9, map 1, milliseconds 100 and 200.
    flow.extend([6 | u8::from(ipv6), 9, 1, 0, 100, 0, 200, 0]);
    flow.extend(1_600_000_000u32.to_le_bytes());
    flow.extend(1_600_000_009u32.to_le_bytes());
    // Forwarding status, TCP flags, protocol, ToS, ports 1234 and 80, exporter 1, biflow direction, end reason.
    flow.extend([0x40, 0x1b, protocol, 0xa0, 0xd2, 0x04, 80, 0, 1, 0, 0, 0]);
    flow.extend(1..=if ipv6 { 32 } else { 8 });
    flow.extend(5u64.to_le_bytes());
    flow.extend(700u64.to_le_bytes());
    for &(_, size) in extensions {
        flow.extend(
            (0x41u8..)
                .take(size)
                .map(|octet| if zero { 0 } else { octet }),
        );
    }
    let size = u16::try_from(flow.len()).expect("short");
    flow[2..4].copy_from_slice(&size.to_le_bytes());

    let mut bytes = vec![0x0c, 0xa5, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    bytes.extend(b"router");
    bytes.resize(276, 0);
    bytes.extend([2, 0, 0, 0]);
    let size = u32::try_from(map.len() + flow.len()).expect("short");
    bytes.extend(size.to_le_bytes());
    bytes.extend([2, 0, 0, 0]);
    bytes.extend(map);
    bytes.extend(flow);
    bytes
}

/// The flow records of a file.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = FileReader::open(path).unwrap_or_else(|e| panic!("{e}"));
    let mut records = Vec::new();
    while let Some(block) = reader.next_block().unwrap_or_else(|e| panic!("{e}")) {
        let flows = block
            .records()
            .filter(|record| record.record_type == V3_RECORD);
        records.extend(flows.map(|record| record.bytes.to_vec()));
    }
    records
}

/// What nfdump 1.7.1 loses or misplaces, put right in its record; header octets 10 (flags) and 11 (version) are not
/// compared: it keeps of them the event alone.
fn corrected(mut record: Vec<u8>, extensions: &[(u16, usize)], protocol: u8) -> Vec<u8> {
    let has = |id| extensions.iter().any(|&(extension, _)| extension == id);
    if has(12) {
        // The BGP next hop stands where the exporter's address belongs.
        let place = record.windows(4).position(|bytes| bytes == [13, 0, 20, 0]);
        record[place.expect("extension 13")] = 9;
    }
    if has(37) && protocol == 6 {
        // The destination port is overwritten by ICMP type and code.
        record[12 + 4 + 42..12 + 4 + 44].copy_from_slice(&[80, 0]);
    }
    record[10] = 0;
    record[11] = 0;
    record
}

#[test]
fn each_extension_becomes_what_nfdump_makes_of_it() {
    let Some(nfdump) = harness::peer("nfdump") else {
        return;
    };
    let dir = harness::temp_dir();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let all: Vec<_> = EXTENSIONS[..34]
        .iter()
        .copied()
        .filter(|&(id, _)| ![6, 12, 24, 42].contains(&id))
        .collect();
    let mut cases: Vec<(Vec<(u16, usize)>, bool)> = EXTENSIONS
        .iter()
        .enumerate()
        .map(|(n, &extension)| (vec![extension], n >= 34))
        .collect();
    cases.push((all, false));
    cases.push((vec![(14, 4), (5, 8), (8, 4), (16, 4)], false));
    for (extensions, zero) in &cases {
        for (ipv6, protocol) in [(false, 6), (true, 6), (false, 1)] {
            fs::write(&old, file(extensions, ipv6, protocol, *zero)).expect("write");
            let mut command = Command::new(&nfdump);
            harness::run(command.arg("-q").arg("-r").arg(&old).arg("-w").arg(&new)).success();
            let expected = records(&new)
                .into_iter()
                .map(|record| corrected(record, extensions, protocol));
            let found = records(&old).into_iter().map(|mut record| {
                assert_eq!(record[11], 9, "version");
                record[10..12].fill(0);
                record
            });
            let (found, expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
            assert_eq!(found.len(), 1);
            assert_eq!(
                found, expected,
                "extensions {extensions:?}, protocol {protocol}"
            );
        }
    }
}

/// The datagrams of every flow capture of the corpus, for a collector of 2020.
fn send_corpus(captures: &Path, port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let files = harness::files_below(captures)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "pcap"));
    for datagram in files.flat_map(|file| tests::udp_payloads(&file)) {
        if datagram.len() >= 20 && matches!(datagram[..2], [0, 5 | 9 | 10]) {
            socket
                .send_to(&datagram, (Ipv4Addr::LOCALHOST, port))
                .expect("send");
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

/// A file with every extension from nfcapd 1.6.22.
fn collect(
    nfcapd: &Path,
    captures: &Path,
    compression: Option<&str>,
) -> (tempfile::TempDir, PathBuf) {
    let (dir, port) = (harness::temp_dir(), harness::free_udp_port());
    let mut command = Command::new(nfcapd);
    command
        .args([
            "-b",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-t",
            "86400",
            "-T",
            "all",
        ])
        .args(compression);
    let mut service = Service::spawn(command.arg("-l").arg(dir.path()).stdin(Stdio::null()));
    service.wait_for_line("Startup.");
    send_corpus(captures, port);
    harness::wait_drained(port);
    service.signal(nix::sys::signal::Signal::SIGTERM);
    service.wait(PATIENCE).success();
    let files = harness::slot_files(dir.path());
    assert_eq!(files.len(), 1, "one slot, unless it is midnight");
    (dir, files[0].clone())
}

#[test]
fn files_of_nfcapd_1_6_are_reported_as_by_nfdump() {
    let (Some(nfdump), Some(nfcapd), Some(corpus)) = (
        harness::peer("nfdump"),
        harness::nfdump_version("1.6.22", "nfcapd"),
        harness::corpus(),
    ) else {
        return;
    };
    let captures = corpus.join("netflow");
    for compression in [None, Some("-z"), Some("-j"), Some("-y")] {
        let (_dir, file) = collect(&nfcapd, &captures, compression);
        let queries: [&[&str]; 7] = [
            &["-o", "line"],
            &["-o", "extended"],
            &[
                "-o",
                "fmt:%ts %te %td %pr %sap %dap %in %out %sas %das %smk %dmk %dir %nh %svln %dvln %ismc %odmc %mpls %ra",
            ],
            &["-o", "line", "ipv6 or proto icmp"],
            &["-s", "srcip/bytes", "-n", "20"],
            &["-s", "record/packets", "-o", "long"],
            &["-I"],
        ];
        for query in queries {
            let say = |program: &Path| {
                let finished = harness::run(Command::new(program).arg("-r").arg(&file).args(query));
                let lines: Vec<String> = finished
                    .text()
                    .lines()
                    .filter(|l| !l.starts_with("Sys:"))
                    .map(str::to_owned)
                    .collect();
                lines
            };
            let (expected, found) = (say(&nfdump), say(&harness::program("t2report")));
            assert!(expected.len() > 5, "{query:?}: {expected:?}");
            assert_eq!(found, expected, "{compression:?} {query:?}");
        }
    }
}
