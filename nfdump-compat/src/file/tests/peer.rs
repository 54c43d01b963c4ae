//! Against the real nfdump 1.7.1, where it is installed.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// Those of nfdump 1.7.1, with its option to write them.
const NFDUMP: [(Compression, Option<&str>); 4] = [
    (Compression::None, None),
    (Compression::Lzo, Some("-z")),
    (Compression::Bz2, Some("-j")),
    (Compression::Lz4, Some("-y")),
];

/// The real nfdump 1.7.1; without it a test says that it was skipped, and fails where CI=true.
pub(super) fn nfdump() -> Option<PathBuf> {
    golden::harness::peer("nfdump")
}

pub(super) fn run(program: &Path, args: &[&str]) -> String {
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
pub(super) fn listed(nfdump: &Path, file: &Path) -> Vec<String> {
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
pub(super) fn assert_listed(nfdump: &Path, file: &Path, records: &[Vec<u8>]) {
    let (found, wanted) = (listed(nfdump, file), expected(records));
    let differs = found
        .iter()
        .zip(&wanted)
        .find(|(found, wanted)| found != wanted);
    assert_eq!(differs, None, "nfdump, expected");
    assert_eq!(found.len(), wanted.len());
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
