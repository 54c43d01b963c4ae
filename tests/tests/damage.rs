//! Two thousand damaged files through t2report: it ends by itself, within 1 GiB of memory, and says what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use golden::harness;
use nfdump_compat::field;
use nfdump_compat::file::{Compression, ExporterInfo, FileWriter, WriterOptions};
use nfdump_compat::record::{RecordBuilder, RecordHeader};

/// Damaged files in all.
const FILES: usize = 2000;
const BLOCKS: u64 = 4;
const FLOWS_PER_BLOCK: u64 = 50;
/// Bytes of a block's header: records, size, type, flags.
const BLOCK_HEADER: usize = 12;
const HEADER: usize = 40;

const COMPRESSIONS: [Compression; 5] = [
    Compression::None,
    Compression::Lzo,
    Compression::Bz2,
    Compression::Lz4,
    Compression::Zstd,
];

/// Seeded numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % bound.max(1)
    }
}

/// A good file: four blocks of fifty flows, a text field among them.
fn good(path: &Path, compression: Compression) -> Vec<u8> {
    let options = WriterOptions {
        ident: "sensor".to_owned(),
        compression,
        created_s: 1_795_414_248,
    };
    let mut writer = FileWriter::create(path, &options).expect("create");
    let exporter = ExporterInfo {
        version: 9,
        ip: "192.0.2.1".parse().expect("an address"),
        id: 7,
    };
    let exporter_id = writer.exporter(&exporter).expect("exporter");
    let mut builder = RecordBuilder::new();
    for n in 0..BLOCKS * FLOWS_PER_BLOCK {
        builder.begin(&RecordHeader {
            exporter_id,
            nfversion: 9,
            ..RecordHeader::default()
        });
        builder.set(field::MSEC_FIRST, 1_795_414_248_000 + n);
        builder.set(field::MSEC_LAST, 1_795_414_249_000 + n);
        builder.set(field::SRC_IPV4, 0x0a00_0000 + n);
        builder.set128(field::DST_IPV6, 0x2001_0db8 << 96);
        builder.set(field::IN_PACKETS, n);
        builder.set(field::IN_BYTES, 100 * n);
        builder.set(field::mpls_label(3), n);
        builder.variable(field::ext::LABEL, b"a label");
        writer.record(builder.finish()).expect("record");
        if n % FLOWS_PER_BLOCK == FLOWS_PER_BLOCK - 1 {
            writer.flush().expect("flush");
        }
    }
    writer
        .finish((1_795_414_200_000, 1_795_414_500_000), &[])
        .expect("finish");
    fs::read(path).expect("read")
}

/// Where the blocks' headers and the appendix begin.
fn blocks(file: &[u8]) -> Vec<usize> {
    let mut starts = vec![HEADER];
    let mut at = HEADER;
    while let Some(size) = file.get(at + 4..at + 8) {
        at += BLOCK_HEADER + u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        starts.push(at);
    }
    assert_eq!(
        starts.len(),
        2 + usize::try_from(BLOCKS).expect("few"),
        "blocks, appendix, end"
    );
    starts
}

/// Values that lengths and counts like least.
const EXTREME: [u32; 12] = [
    0,
    1,
    3,
    0x7f,
    0xff,
    0xffff,
    0x1_0000,
    5 << 20,
    (5 << 20) + 1,
    i32::MAX as u32,
    0x8000_0000,
    u32::MAX,
];

/// One damaged file: cut at every block boundary and beside it first, then lies in headers, in records, flipped bits
/// and moved pieces.
fn damage(good: &[u8], n: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut file = good.to_vec();
    let starts = blocks(good);
    if let Some(&start) = starts.get(n / 3) {
        file.truncate((start + n % 3).saturating_sub(1));
        return file;
    }
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        for (place, byte) in file.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    let extreme = EXTREME[numbers.below(EXTREME.len())].to_le_bytes();
    match n % 6 {
        // The file's header.
        0 => put(
            &mut file,
            numbers.below(HEADER),
            &extreme[..1 + numbers.below(4)],
        ),
        // A block's header.
        1 => {
            let start = starts[numbers.below(starts.len() - 1)];
            put(&mut file, start + numbers.below(BLOCK_HEADER), &extreme);
        }
        // The lengths in a block's first record, or what compression makes of it.
        2 => {
            let start = starts[numbers.below(starts.len() - 1)] + BLOCK_HEADER;
            put(&mut file, start + numbers.below(24), &extreme[..2]);
        }
        // Bits anywhere.
        3 => {
            for _ in 0..=numbers.below(8) {
                let at = numbers.below(file.len());
                file[at] ^= 1 << numbers.below(8);
            }
        }
        // Cut anywhere, and noise instead of the rest.
        4 => {
            file.truncate(numbers.below(good.len()));
            file.extend(
                (0..numbers.below(300)).map(|_| u8::try_from(numbers.below(256)).unwrap_or(0)),
            );
        }
        // A piece of the file over another.
        _ => {
            let (from, to) = (numbers.below(good.len()), numbers.below(good.len()));
            let piece = good[from..]
                .iter()
                .take(numbers.below(500))
                .copied()
                .collect::<Vec<_>>();
            put(&mut file, to, &piece);
        }
    }
    file
}

const QUERIES: [&[&str]; 6] = [
    &["-o", "line"],
    &["-o", "raw"],
    &["-o", "csv"],
    &["-s", "srcip/bytes"],
    &["-s", "record"],
    &["-o", "line", "packets > 10 and ip in [10.0.0.0/8]"],
];

/// Runs the program with at most 1 GiB of address space; the harness ends the test should it hang.
fn report(program: &Path, file: &Path, query: &[&str]) -> harness::Finished {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1048576; exec \"$@\"", "sh"]);
    command.arg(program).arg("-r").arg(file).args(query);
    harness::run(command.stdin(Stdio::null()))
}

#[test]
fn damaged_files_end_in_words() {
    let program = harness::program("t2report");
    let dir = harness::temp_dir();
    let goods: Vec<Vec<u8>> = COMPRESSIONS
        .iter()
        .map(|&c| good(&dir.path().join("good"), c))
        .collect();
    // A good one first: the limit of memory is not what the test finds.
    fs::write(dir.path().join("good"), &goods[1]).expect("write");
    let finished = report(&program, &dir.path().join("good"), QUERIES[0]).success();
    assert_eq!(
        finished.text().matches(" -> ").count(),
        200,
        "{}",
        finished.text()
    );

    let (said, silent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..2 {
            let (program, goods, said, silent) = (&program, &goods, &said, &silent);
            let path: PathBuf = dir.path().join(format!("damaged{worker}"));
            scope.spawn(move || {
                let mut numbers = Numbers(0x1234_5678_9abc_def1 + worker as u64);
                for n in (worker..FILES).step_by(2) {
                    let bytes = damage(&goods[n % goods.len()], n / goods.len(), &mut numbers);
                    fs::write(&path, &bytes).expect("write");
                    let query = QUERIES[n % QUERIES.len()];
                    let finished = report(program, &path, query);
                    assert!(
                        matches!(finished.code(), Some(0 | 1))
                            && !finished.stderr.contains("panicked"),
                        "file {n}, {query:?}: {:?}\n{}",
                        finished.status,
                        finished.stderr
                    );
                    if finished.code() == Some(1) {
                        assert!(
                            !finished.stderr.is_empty(),
                            "file {n} failed without a word"
                        );
                    }
                    if finished.stderr.is_empty() {
                        silent
                    } else {
                        said
                    }
                    .fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (said, silent) = (said.into_inner(), silent.into_inner());
    eprintln!(
        "{FILES} damaged files: {said} with words, {silent} whose damage changes values only"
    );
    assert!(said > FILES / 2, "most damage is seen: {said}");
}
