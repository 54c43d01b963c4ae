//! Damaged, unfinished and hostile files.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::file::layout2::{BLOCK_HEADER, FILE_HEADER};

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
    check(&|b| b[2] = 3, 0, "layout version 3 (nfdump 1.8)");
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
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" --exact file::tests::damage::a_full_disk_leaves_whole_blocks --nocapture"#;
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
    assert_eq!(writer.pending_flows(), 100, "kept for another try");
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
