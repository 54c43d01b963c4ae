//! Reading and writing together; against the real nfdump in [`peer`], with faults in [`damage`].
#![allow(clippy::unwrap_used)]

mod damage;
mod peer;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use tempfile::TempDir;

use self::peer::{assert_listed, listed, nfdump, run};
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
