//! Reading and writing together, and with the real nfdump where it is installed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Cursor, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use tempfile::TempDir;

use super::layout2::{BLOCK_HEADER, FILE_HEADER};
use super::*;
use crate::field::{self, ext};
use crate::record::{RecordBuilder, RecordHeader, RecordView, V3_RECORD};

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Lzo,
    Compression::Bz2,
    Compression::Lz4,
    Compression::Zstd,
];
/// Those of nfdump 1.7.1, with its option to write them.
const NFDUMP: [(Compression, Option<&str>); 4] = [
    (Compression::None, None),
    (Compression::Lzo, Some("-z")),
    (Compression::Bz2, Some("-j")),
    (Compression::Lz4, Some("-y")),
];
const CREATED: i64 = 1_795_414_248;
const START_MS: u64 = 1_795_414_200_000;

/// A flow by its number: every protocol, both IP versions, counters in both directions.
fn flow(builder: &mut RecordBuilder, exporter: u16, n: u64) -> Vec<u8> {
    let number = u16::try_from(n % 50_000).unwrap();
    builder.begin(&RecordHeader {
        exporter_id: exporter,
        nfversion: 9,
        ..RecordHeader::default()
    });
    if n.is_multiple_of(3) {
        builder.set128(field::SRC_IPV6, (0x2001_0db8 << 96) + u128::from(n));
        builder.set128(field::DST_IPV6, (0x2001_0db8 << 96) + 0xffff);
    } else {
        builder.set(field::SRC_IPV4, 0x0a00_0000 + n);
        builder.set(field::DST_IPV4, 0xc0a8_0168);
    }
    builder.set(field::MSEC_FIRST, START_MS + n * 7);
    builder.set(field::MSEC_LAST, START_MS + n * 7 + 1500);
    builder.set(field::MSEC_RECEIVED, START_MS + n * 7 + 2000);
    builder.set(field::IN_PACKETS, n + 1);
    builder.set(field::IN_BYTES, 100 * (n + 1));
    builder.set(field::SRC_PORT, 1024 + u64::from(number));
    builder.set(field::DST_PORT, 443);
    builder.set(field::PROTO, [6, 17, 1, 58, 47][usize::from(number % 5)]);
    builder.set(field::TCP_FLAGS, 0x1b);
    builder.extension(ext::FLOW_MISC);
    if n.is_multiple_of(4) {
        builder.set(field::OUT_PACKETS, 2);
        builder.set(field::OUT_BYTES, 80);
    }
    builder.set(field::IP_RECEIVED_V4, 0x7f00_0001);
    builder.finish().to_vec()
}

fn options(compression: Compression) -> WriterOptions {
    WriterOptions {
        ident: "sensorA".to_owned(),
        compression,
        created_s: CREATED,
    }
}

fn exporter(id: u32) -> ExporterInfo {
    ExporterInfo {
        version: 9,
        ip: "127.0.0.1".parse().unwrap(),
        id,
    }
}

/// Writes the flows of a range, a block after every `per_block`; the file and its totals.
fn write(
    path: &Path,
    compression: Compression,
    flows: std::ops::Range<u64>,
    per_block: u64,
) -> StatRecord {
    let mut writer = FileWriter::create(path, &options(compression)).unwrap();
    let sysid = writer.exporter(&exporter(7)).unwrap();
    let count = flows.end - flows.start;
    let mut builder = RecordBuilder::new();
    for n in flows {
        writer.record(&flow(&mut builder, sysid, n)).unwrap();
        if n % per_block == per_block - 1 {
            writer.flush().unwrap();
        }
    }
    let stats = [ExporterStat {
        sysid: sysid.into(),
        sequence_failures: 3,
        packets: 20,
        flows: count,
    }];
    writer
        .finish((START_MS, START_MS + 300_000), &stats)
        .unwrap()
}

/// All flow records of a file and the errors on the way.
fn read_all(mut reader: FileReader) -> (Vec<Vec<u8>>, Vec<FileError>, FileReader) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    loop {
        match reader.next_block() {
            Ok(None) => break,
            Ok(Some(block)) => {
                records.extend(
                    block
                        .records()
                        .filter(|r| r.record_type == V3_RECORD)
                        .map(|r| r.bytes.to_vec()),
                );
            }
            Err(error) => errors.push(error),
        }
        assert!(errors.len() < 1000, "reading does not end");
    }
    (records, errors, reader)
}

fn read_path(path: &Path) -> (Vec<Vec<u8>>, Vec<FileError>, FileReader) {
    read_all(FileReader::open(path).unwrap())
}

fn flows(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let mut builder = RecordBuilder::new();
    range.map(|n| flow(&mut builder, 1, n)).collect()
}

/// The real nfdump 1.7.1; without it a test says that it was skipped, and fails where CI=true.
fn nfdump() -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin/nfdump");
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "nfdump is not installed, and CI=true"
    );
    eprintln!("skipped: nfdump is not installed");
    None
}

fn run(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

/// What nfdump lists: times, addresses, ports, protocol, packets and bytes, sorted by nothing.
fn listed(nfdump: &Path, file: &Path) -> Vec<String> {
    let text = run(
        nfdump,
        &["-r", file.to_str().unwrap(), "-N", "-q", "-6", "-o", "csv"],
    );
    let mut lines: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("20"))
        .map(|l| {
            let c: Vec<_> = l.split(',').collect();
            [0, 1, 3, 4, 5, 6, 11, 12].map(|i| c[i]).join(",")
        })
        .collect();
    lines.sort();
    lines
}

/// The same from our own records.
fn expected(records: &[Vec<u8>]) -> Vec<String> {
    let time = |ms: Option<u64>| {
        let s = ms.unwrap() / 1000 % 86400;
        format!(
            "2026-11-23 {:02}:{:02}:{:02}",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    };
    let mut lines: Vec<_> = records
        .iter()
        .map(|bytes| {
            let r = RecordView::parse(bytes).unwrap();
            let ip = |ip: Option<IpAddr>| ip.unwrap().to_string();
            format!(
                "{},{},{},{},{},{},{},{}",
                time(r.first_ms()),
                time(r.last_ms()),
                ip(r.src_ip()),
                ip(r.dst_ip()),
                r.src_port().unwrap(),
                r.dst_port().unwrap(),
                r.packets(),
                r.octets()
            )
        })
        .collect();
    lines.sort();
    lines
}

/// Asserts that nfdump lists these records and no others.
fn assert_listed(nfdump: &Path, file: &Path, records: &[Vec<u8>]) {
    let (found, wanted) = (listed(nfdump, file), expected(records));
    let differs = found
        .iter()
        .zip(&wanted)
        .find(|(found, wanted)| found != wanted);
    assert_eq!(differs, None, "nfdump, expected");
    assert_eq!(found.len(), wanted.len());
}

#[test]
fn what_is_written_is_read() {
    let dir = TempDir::new().unwrap();
    for compression in ALL {
        let path = dir.path().join(format!("{compression}"));
        let stat = write(&path, compression, 0..1000, 300);
        let (records, errors, reader) = read_path(&path);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(records, flows(0..1000));
        assert_eq!(reader.ident(), Some("sensorA"));
        assert_eq!(reader.stat(), Some(&stat));
        assert_eq!(reader.header().blocks, 4);
        assert_eq!(reader.header().compression, compression);

        // The same through a stream, which knows the appendix at its end.
        let bytes = fs::read(&path).unwrap();
        let (records, errors, reader) =
            read_all(FileReader::from_reader(Path::new("stream"), Cursor::new(bytes)).unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(records.len(), 1000);
        assert_eq!(
            (reader.ident(), reader.stat()),
            (Some("sensorA"), Some(&stat))
        );
    }
}

/// By arithmetic: protocol = [6, 17, 1, 58, 47][n % 5], packets n + 1, bytes 100 (n + 1); 25 of 100 records have 2
/// packets and 80 bytes in the other direction.
#[test]
fn totals_follow_nfcapds_rules() {
    let dir = TempDir::new().unwrap();
    let stat = write(&dir.path().join("f"), Compression::None, 0..100, 1000);
    let by = |value: fn(u64) -> u64, residues: &[u64]| {
        (0..100)
            .filter(|n| residues.contains(&(n % 5)))
            .map(|n| value(n + 1))
            .sum::<u64>()
    };
    assert_eq!(stat.flows, 100);
    assert_eq!(
        (
            stat.flows_by.tcp,
            stat.flows_by.udp,
            stat.flows_by.icmp,
            stat.flows_by.other
        ),
        (20, 20, 40, 20)
    );
    assert_eq!(stat.packets, 5050 + 50);
    assert_eq!(stat.bytes, 505_000 + 2000);
    assert_eq!(stat.packets_by.icmp, by(|n| n, &[2, 3]));
    assert_eq!(stat.bytes_by.tcp, by(|n| 100 * n, &[0]));
    assert_eq!(
        (stat.first_ms, stat.last_ms),
        (START_MS, START_MS + 99 * 7 + 1500)
    );
    assert_eq!(stat.sequence_failures, 3);
}

#[test]
fn an_empty_slot_makes_a_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let writer = FileWriter::create(&path, &options(Compression::Lz4)).unwrap();
    let stat = writer.finish((5, 300_005), &[]).unwrap();
    assert_eq!((stat.flows, stat.first_ms, stat.last_ms), (0, 5, 300_005));
    let (records, errors, reader) = read_path(&path);
    assert!(records.is_empty() && errors.is_empty());
    assert_eq!(reader.header().blocks, 0);
    if let Some(nfdump) = nfdump() {
        assert!(run(&nfdump, &["-I", "-r", path.to_str().unwrap()]).contains("Flows: 0"));
    }
}

#[test]
fn blocks_are_at_most_1_mib() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    write(&path, Compression::None, 0..20_000, u64::MAX);
    let mut reader = FileReader::open(&path).unwrap();
    let mut sizes = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        sizes.push(block.data().len());
    }
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|&s| s <= 1 << 20), "{sizes:?}");
}

#[test]
fn nfdump_reads_what_we_write() {
    let Some(nfdump) = nfdump() else { return };
    let dir = TempDir::new().unwrap();
    for (compression, _) in NFDUMP {
        let path = dir.path().join("f");
        let file = path.to_str().unwrap();
        let stat = write(&path, compression, 0..3000, 1000);
        let verified = run(&nfdump, &["-v", file]);
        assert!(
            !verified.to_lowercase().contains("error") && !verified.contains("orrupt"),
            "{verified}"
        );
        let info = run(&nfdump, &["-I", "-r", file]);
        for line in [
            "Ident: sensorA".to_owned(),
            format!("Flows: {}", stat.flows),
            format!("Flows_icmp: {}", stat.flows_by.icmp),
            format!("Packets: {}", stat.packets),
            format!("Bytes: {}", stat.bytes),
            format!("Bytes_tcp: {}", stat.bytes_by.tcp),
            format!("First: {}", stat.first_ms / 1000),
            format!("Last: {}", stat.last_ms / 1000),
            "Sequence failures: 3".to_owned(),
        ] {
            assert!(info.lines().any(|l| l == line), "{line} is not in {info}");
        }
        let exporters = run(&nfdump, &["-E", file]);
        assert!(
            exporters.contains("127.0.0.1") && exporters.contains("3000"),
            "{exporters}"
        );
        assert_listed(&nfdump, &path, &flows(0..3000));
    }
}

#[test]
fn we_read_what_nfdump_writes() {
    let Some(nfdump) = nfdump() else { return };
    let dir = TempDir::new().unwrap();
    let source = dir.path().join("source");
    write(&source, Compression::None, 0..3000, 1000);
    for (compression, option) in NFDUMP {
        let path = dir.path().join("copy");
        let mut args = vec!["-r", source.to_str().unwrap(), "-w", path.to_str().unwrap()];
        args.extend(option);
        run(&nfdump, &args);
        let (records, errors, reader) = read_path(&path);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(reader.header().compression, compression);
        assert_eq!(records.len(), 3000);
        assert_eq!(expected(&records), expected(&flows(0..3000)));
        let mut stat = StatRecord::default();
        records
            .iter()
            .for_each(|r| stat.add(&RecordView::parse(r).unwrap()));
        assert_eq!(
            reader.stat().map(|s| (s.flows, s.first_ms, s.last_ms)),
            Some((3000, stat.first_ms, stat.last_ms))
        );
    }
}

#[test]
fn nfdump_reads_a_file_while_it_is_written() {
    let Some(nfdump) = nfdump() else { return };
    let dir = TempDir::new().unwrap();
    for (compression, _) in NFDUMP {
        let path = dir.path().join("nfcapd.current.1");
        let mut writer = FileWriter::create(&path, &options(compression)).unwrap();
        let sysid = writer.exporter(&exporter(7)).unwrap();
        let mut builder = RecordBuilder::new();
        for n in 0..300 {
            writer.record(&flow(&mut builder, sysid, n)).unwrap();
            if n % 100 == 99 {
                writer.flush().unwrap();
                assert_listed(&nfdump, &path, &flows(0..n + 1));
                let (records, errors, _) = read_path(&path);
                assert!(errors.is_empty() && records.len() as u64 == n + 1);
            }
        }
        // A block that is not complete yet is not seen.
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9, 0, 0, 0, 200, 0, 0, 0, 3, 0, 0, 0, 11, 0])
            .unwrap();
        assert_eq!(listed(&nfdump, &path).len(), 300);
        let (records, errors, _) = read_path(&path);
        assert!(errors.is_empty() && records.len() == 300);
    }
}

/// An orphan as nfcapd leaves it: header of zeroes, no appendix, the last block cut.
fn orphan(path: &Path, compression: Compression, blocks_in_header: u32) {
    write(path, compression, 0..300, 100);
    let header = FileReader::open(path).unwrap().header().clone();
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(usize::try_from(header.appendix_offset).unwrap());
    let unfinished = FileHeader {
        appendix_blocks: 0,
        appendix_offset: 0,
        blocks: blocks_in_header,
        ..header
    };
    bytes[..FILE_HEADER].copy_from_slice(&unfinished.encode());
    bytes.extend_from_slice(&[9, 0, 0, 0, 200, 0, 0, 0, 3, 0, 0, 0, 11, 0]);
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_orphan_is_read_and_recovered() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nfcapd.current.123");
    for (compression, in_header) in [
        (Compression::None, 0),
        (Compression::Lz4, 2),
        (Compression::Bz2, 0),
    ] {
        orphan(&path, compression, in_header);
        if in_header == 0 {
            let (records, errors, _) = read_path(&path);
            assert_eq!(records.len(), 300);
            assert_eq!(errors.len(), 1);
            assert!(
                errors[0]
                    .to_string()
                    .contains("the file is cut: block 5 has 14 bytes of 212"),
                "{}",
                errors[0]
            );
        }
        let recovered = recover(&path, "sensorB").unwrap();
        assert!(!recovered.was_complete);
        assert_eq!(
            (
                recovered.created_s,
                recovered.blocks,
                recovered.damage.len()
            ),
            (CREATED, 4, 1)
        );
        assert_eq!(
            (recovered.stat.flows, recovered.stat.sequence_failures),
            (300, 3)
        );
        let (records, errors, reader) = read_path(&path);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(records, flows(0..300));
        assert_eq!(
            (reader.ident(), reader.stat()),
            (Some("sensorB"), Some(&recovered.stat))
        );
        assert!(recover(&path, "other").unwrap().was_complete);
        if let Some(nfdump) = nfdump() {
            assert_eq!(listed(&nfdump, &path).len(), 300);
            assert!(run(&nfdump, &["-I", "-r", path.to_str().unwrap()]).contains("Ident: sensorB"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

/// nfcapd killed with an appendix written but the header not: the appendix is no data.
#[test]
fn an_appendix_without_header_is_found() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let stat = write(&path, Compression::Lz4, 0..300, 100);
    let mut bytes = fs::read(&path).unwrap();
    let header = FileHeader::parse(bytes.first_chunk().unwrap()).unwrap();
    let unfinished = FileHeader {
        appendix_blocks: 0,
        appendix_offset: 0,
        blocks: 0,
        ..header
    };
    bytes[..FILE_HEADER].copy_from_slice(&unfinished.encode());
    fs::write(&path, bytes).unwrap();
    let (records, errors, reader) = read_path(&path);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        (records.len(), reader.stat(), reader.ident()),
        (300, Some(&stat), Some("sensorA"))
    );
    assert_eq!(recover(&path, "other").unwrap().stat, stat);
    assert_eq!(read_path(&path).2.ident(), Some("sensorA"));
}

#[test]
fn two_files_of_a_slot_are_merged() {
    let dir = TempDir::new().unwrap();
    let [older, newer, target] = ["older", "newer", "target"].map(|name| dir.path().join(name));
    write(&older, Compression::Lz4, 0..100, 1000);
    // In the newer file number 1 is another exporter, and number 2 is the older file's 1.
    let mut writer = FileWriter::create(&newer, &options(Compression::None)).unwrap();
    let other = writer.exporter(&exporter(8)).unwrap();
    let same = writer.exporter(&exporter(7)).unwrap();
    assert_eq!((other, same), (1, 2));
    let mut builder = RecordBuilder::new();
    writer
        .sampler(&Sampler {
            sysid: same,
            algorithm: 2,
            id: 5,
            packet_interval: 1,
            space_interval: 999,
        })
        .unwrap();
    writer.record(&flow(&mut builder, other, 100)).unwrap();
    writer.record(&flow(&mut builder, same, 101)).unwrap();
    let stats = [
        ExporterStat {
            sysid: 1,
            sequence_failures: 1,
            packets: 1,
            flows: 1,
        },
        ExporterStat {
            sysid: 2,
            sequence_failures: 0,
            packets: 1,
            flows: 1,
        },
    ];
    writer.finish((0, 0), &stats).unwrap();

    let stat = merge(&older, &newer, &target).unwrap();
    let (records, errors, reader) = read_path(&target);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((stat.flows, stat.sequence_failures), (102, 4));
    assert_eq!(reader.stat(), Some(&stat));
    assert_eq!(reader.header().compression, Compression::Lz4);
    let ids: Vec<_> = records
        .iter()
        .map(|r| RecordView::parse(r).unwrap().header().exporter_id)
        .collect();
    assert_eq!(ids[..100], [1; 100]);
    assert_eq!(ids[100..], [2, 1]);
    let mut reader = FileReader::open(&target).unwrap();
    let block = reader.next_block().unwrap().unwrap();
    assert!(
        block
            .records()
            .filter_map(|r| Sampler::parse(r.bytes))
            .all(|s| s.sysid == 1 && s.space_interval == 999)
    );
    if let Some(nfdump) = nfdump() {
        assert_listed(&nfdump, &target, &flows(0..102));
        let exporters = run(&nfdump, &["-E", target.to_str().unwrap()]);
        assert!(exporters.contains("101"), "{exporters}");
    }

    // A damaged file is not merged, and nothing is left behind.
    fs::write(&newer, &fs::read(&newer).unwrap()[..100]).unwrap();
    fs::remove_file(&target).unwrap();
    assert!(merge(&older, &newer, &target).is_err());
    assert!(!target.exists());
}

#[test]
fn damage_is_named_and_the_rest_delivered() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    write(&path, Compression::Lz4, 0..300, 100);
    let good = fs::read(&path).unwrap();
    let reads = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        match FileReader::open(&path) {
            Ok(reader) => {
                let (records, errors, _) = read_all(reader);
                (
                    records.len(),
                    errors
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("; "),
                )
            }
            Err(error) => (0, error.to_string()),
        }
    };
    let check = |change: &dyn Fn(&mut Vec<u8>), flows: usize, what: &str| {
        let (found, errors) = reads(change);
        assert_eq!(found, flows, "{what}: {errors}");
        assert!(
            errors.contains(what) && errors.starts_with(path.to_str().unwrap()),
            "{what}: {errors}"
        );
    };
    let appendix = usize::try_from(
        FileHeader::parse(good.first_chunk().unwrap())
            .unwrap()
            .appendix_offset,
    )
    .unwrap();
    let second = FILE_HEADER + BLOCK_HEADER + good[44] as usize + ((good[45] as usize) << 8);
    check(&|b| b.clear(), 0, "the file is empty");
    check(&|b| b.truncate(39), 0, "not an nfcapd file: 39 bytes");
    check(
        &|b| b[0] = b'#',
        0,
        "not an nfcapd file: it starts with 0xA523",
    );
    check(&|b| b.swap(0, 1), 0, "big-endian");
    check(&|b| b[2] = 1, 0, "layout version 1 (nfdump 1.6)");
    check(&|b| b[16] = 9, 0, "unknown compression 9");
    check(&|b| b[17] = 1, 0, "encrypted");
    check(&|b| b[36] = 9, 300, "the header says 9 blocks, there are 4");
    check(&|b| b[36] = 2, 300, "the header says 2 blocks, there are 4");
    check(
        &|b| b.truncate(appendix),
        300,
        "the appendix (source name and totals) is damaged: it is missing",
    );
    check(
        &|b| b.truncate(second + 20),
        100,
        "the file is cut: block 2 has 20 bytes of ",
    );
    check(
        &|b| b[second + 4..second + 8].fill(255),
        100,
        "block 2 is corrupt: 4294967295 bytes",
    );
    check(
        &|b| b[second + 12..second + 40].fill(255),
        200,
        "block 2 does not decompress with LZ4",
    );
    check(
        &|b| b[second] += 1,
        300,
        "block 2 says 101 records, it has 100",
    );
    // Blocks of other types are no fault.
    assert_eq!(reads(&|b| b[second + 8] = 4), (200, String::new()));
    assert!(
        FileReader::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("cannot read: is a directory")
    );
    assert!(
        FileReader::open(Path::new("/nonexistent"))
            .unwrap_err()
            .to_string()
            .starts_with("/nonexistent: cannot open")
    );
}

#[test]
fn a_broken_record_ends_its_block_only() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    write(&path, Compression::None, 0..300, 100);
    let mut bytes = fs::read(&path).unwrap();
    // The third flow of the first block: behind the exporter record, an IPv6 and an IPv4 flow.
    let first = flows(0..2).iter().map(Vec::len).sum::<usize>();
    let at = FILE_HEADER + BLOCK_HEADER + 32 + first;
    assert_eq!(bytes[at], 11);
    bytes[at + 2] = 2;
    bytes[at + 3] = 0;
    fs::write(&path, bytes).unwrap();
    let (records, errors, _) = read_path(&path);
    assert_eq!(records.len(), 202);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .to_string()
            .contains("block 1 is corrupt: record 4 says 2 bytes"),
        "{}",
        errors[0]
    );
}

#[test]
fn names_nfdump_cannot_read_are_refused() {
    let dir = TempDir::new().unwrap();
    for ident in ["", "two words", "line\n", "nul\0", &"x".repeat(123)] {
        let options = WriterOptions {
            ident: ident.to_owned(),
            compression: Compression::None,
            created_s: 0,
        };
        let error = FileWriter::create(&dir.path().join("f"), &options).unwrap_err();
        assert!(error.to_string().contains("cannot be stored"), "{error}");
    }
    let path = dir.path().join("f");
    let longest = "x".repeat(122);
    let options = WriterOptions {
        ident: longest.clone(),
        compression: Compression::None,
        created_s: 0,
    };
    FileWriter::create(&path, &options)
        .unwrap()
        .finish((0, 0), &[])
        .unwrap();
    if let Some(nfdump) = nfdump() {
        assert!(run(&nfdump, &["-I", "-r", path.to_str().unwrap()]).contains(&longest));
    }
}

#[test]
fn both_forms_of_an_exporter_address() {
    for ip in ["10.1.2.3", "2001:db8::5"] {
        let info = ExporterInfo {
            version: 10,
            ip: ip.parse().unwrap(),
            id: 77,
        };
        assert_eq!(ExporterInfo::parse(&info.encode(5)), Some((5, info)));
    }
    let old = exporter(0).encode(1);
    assert_eq!(
        old[8..24],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 127, 0, 0, 0, 0]
    );
    let mut new = old;
    new[8..26].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3, 0, 0]);
    assert_eq!(
        ExporterInfo::parse(&new).map(|(_, e)| e.ip),
        Some("10.1.2.3".parse().unwrap())
    );
}

/// A limit on the file's size stands for a full disk: the system writes what fits and then refuses.
#[test]
fn a_full_disk_leaves_whole_blocks() {
    const PLACE: &str = "T2_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) {
        write_until_full(&path);
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    // Units of 1024 bytes; without the signal, write() fails with EFBIG.
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" --exact file::tests::a_full_disk_leaves_whole_blocks --nocapture"#;
    let status = Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(PLACE, &path)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (records, errors, reader) = read_path(&path);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        reader.offset(),
        fs::metadata(&path).unwrap().len(),
        "the partial block is cut off"
    );
    assert_eq!(records, flows(0..records.len() as u64));
    assert_eq!(
        recover(&path, "sensorA").unwrap().stat.flows,
        records.len() as u64
    );
}

fn write_until_full(path: &Path) {
    let mut writer = FileWriter::create(path, &options(Compression::None)).unwrap();
    let mut builder = RecordBuilder::new();
    let mut n = 0;
    let error = loop {
        writer.record(&flow(&mut builder, 1, n)).unwrap();
        n += 1;
        if n % 100 == 0
            && let Err(error) = writer.flush()
        {
            break error;
        }
    };
    assert!(
        matches!(
            error.kind,
            FileErrorKind::Io {
                action: "write",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(writer.pending_records(), 100, "kept for another try");
    assert_eq!(fs::metadata(path).unwrap().len(), writer.size());
    assert!(writer.finish((0, 0), &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), compression in 0u8..5,
        header in any::<bool>(), blocks in 0u32..4, appendix in 0u64..500,
    ) {
        let mut file = Vec::new();
        if header {
            let compression = Compression::from_code(compression).unwrap();
            file.extend(FileHeader { nfd_version: 0, created_s: 0, compression, appendix_blocks: u16::from(appendix > 0),
                creator: 0, appendix_offset: appendix, block_size: 0, blocks }.encode());
            file.extend(layout2::BlockHeader { records: 3, size: 100, kind: 3, flags: 0 }.encode());
        }
        file.extend(bytes);
        if let Ok(reader) = FileReader::from_reader(Path::new("random"), Cursor::new(file)) {
            for record in read_all(reader).0 {
                let _ = RecordView::parse(&record);
            }
        }
    }

    #[test]
    fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>(), compression in 0u8..5) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("f");
        write(&path, Compression::from_code(compression).unwrap(), 0..40, 10);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes.truncate(bytes.len().min(cut.index(2 * bytes.len())));
        fs::write(&path, bytes).unwrap();
        if let Ok(reader) = FileReader::open(&path) {
            prop_assert!(read_all(reader).0.len() <= 200);
        }
        let _ = recover(&path, "x");
    }
}
