//! What t2report and t2collect write, read by the real nfdump: 1.7.1, and 1.7.5 where a file is compressed with ZSTD, which
//! the older one does not know. The records of a copy are those of the original as nfdump prints both (`-o raw`, `-o csv`),
//! and `nfdump -v` finds the copy whole.

use golden::harness;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How t2report and t2collect are told a compression; whether nfdump 1.7.1 knows it.
const COMPRESSIONS: &[(&[&str], bool)] = &[
    (&[], true),
    (&["-z"], true),
    (&["-z=lzo"], true),
    (&["-y"], true),
    (&["-z=lz4:9"], true),
    (&["-j"], true),
    (&["-z=zstd"], false),
    (&["-z=zstd:19"], false),
];

/// Exports of the corpus: IPFIX and NetFlow v5 and v9.
const EXPORTS: &[&str] = &[
    "telegraf/netflow_v5_example.pcap",
    "telegraf/netflow_v9_example.pcap",
    "telegraf/ipfix_example.pcap",
    "logstash/Netflow-9-Cisco-NBAR-flowset-262.pcap",
];

/// Captures of the corpus that nfpcapd meters.
const CAPTURES: &[&str] = &["medium/dns/dns", "edge/gre-sample/gre-sample"];

struct Readers {
    /// nfdump 1.7.1 and 1.7.5.
    old: PathBuf,
    new: PathBuf,
}

impl Readers {
    fn find() -> Option<Self> {
        Some(Self {
            old: harness::peer("nfdump")?,
            new: harness::nfdump_version("1.7.5", "nfdump")?,
        })
    }

    /// What nfdump prints of a file, but for the sums: record by record.
    fn print(nfdump: &Path, file: &Path, format: &str) -> String {
        let mut command = Command::new(nfdump);
        command.arg("-r").arg(file).args(["-q", "-o", format]);
        let printed = harness::run(&mut command).success();
        assert_eq!(printed.stderr, "", "{}", file.display());
        printed.text().to_owned()
    }

    /// The file is whole, says nfdump.
    fn verify(nfdump: &Path, file: &Path) {
        let checked = harness::run(Command::new(nfdump).arg("-v").arg(file)).success();
        let text = checked.text().to_owned() + &checked.stderr;
        for complaint in ["rror", "orrupt", "nknown comp", "ailed"] {
            assert!(!text.contains(complaint), "{}: {text}", file.display());
        }
    }

    /// A copy is whole and has the original's records; how many bytes of text were compared.
    fn compare(&self, original: &Path, copy: &Path, both: bool) -> usize {
        let mut compared = 0;
        let mut versions = vec![&self.new];
        versions.extend(both.then_some(&self.old));
        for nfdump in versions {
            Self::verify(nfdump, copy);
            for format in ["raw", "csv"] {
                let expected = Self::print(nfdump, original, format);
                assert!(!expected.is_empty(), "{}", original.display());
                assert_eq!(
                    expected,
                    Self::print(nfdump, copy, format),
                    "{}",
                    copy.display()
                );
                compared += expected.len();
            }
        }
        compared
    }
}

/// Files that the real nfpcapd wrote, and one that t2collect wrote of each export.
fn originals(folder: &Path) -> Option<Vec<PathBuf>> {
    let corpus = harness::corpus()?;
    let nfpcapd = harness::peer("nfpcapd")?;
    let mut files = Vec::new();
    for (number, capture) in CAPTURES.iter().enumerate() {
        let to = folder.join(format!("metered{number}"));
        fs::create_dir(&to).expect("a folder");
        let capture = corpus.join("tranalyzer").join(format!("{capture}.pcap"));
        let mut command = Command::new(&nfpcapd);
        command
            .args(["-o", "fat", "-t", "2000000000", "-r"])
            .arg(capture)
            .arg("-w")
            .arg(&to);
        harness::run(&mut command).success();
        files.extend(harness::slot_files(&to));
    }
    for (number, export) in EXPORTS.iter().enumerate() {
        files.push(collected(
            export,
            &[],
            &folder.join(format!("collected{number}")),
        )?);
    }
    Some(files)
}

/// The one file that t2collect writes of an export.
fn collected(export: &str, options: &[&str], to: &Path) -> Option<PathBuf> {
    fs::create_dir(to).expect("a folder");
    let export = harness::corpus()?.join("netflow").join(export);
    let mut command = Command::new(harness::program("t2collect"));
    command.arg("-f").arg(export).arg("-w").arg(to);
    // A slot of a day: one file.
    command.args(["-t", "86400"]).args(options);
    harness::run(&mut command).success();
    let files = harness::slot_files(to);
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next()
}

#[test]
fn copies_by_t2report() {
    let Some(readers) = Readers::find() else {
        return;
    };
    let folder = harness::temp_dir();
    let Some(originals) = originals(folder.path()) else {
        return;
    };
    let (mut copies, mut compared) = (0, 0);
    for original in &originals {
        for (options, both) in COMPRESSIONS {
            let copy = folder.path().join("copy");
            let mut command = Command::new(harness::program("t2report"));
            command
                .arg("-r")
                .arg(original)
                .arg("-w")
                .arg(&copy)
                .args(*options);
            harness::run(&mut command).success();
            compared += readers.compare(original, &copy, *both);
            copies += 1;
        }
    }
    eprintln!(
        "{copies} copies of {} files, {compared} bytes of nfdump's text",
        originals.len()
    );
}

/// Aggregated flows: nfdump prints the same of t2report's file and of its own.
#[test]
fn aggregates_by_t2report() {
    let Some(readers) = Readers::find() else {
        return;
    };
    let folder = harness::temp_dir();
    let Some(originals) = originals(folder.path()) else {
        return;
    };
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut compared = 0;
    for original in &originals {
        for aggregation in [&["-a"][..], &["-A", "srcip,dstport"], &["-O", "bytes"]] {
            let theirs = folder.path().join("theirs");
            let mut command = Command::new(&readers.old);
            command
                .arg("-r")
                .arg(original)
                .arg("-w")
                .arg(&theirs)
                .args(aggregation);
            harness::run(&mut command).success();
            for (options, both) in COMPRESSIONS {
                let ours = folder.path().join("ours");
                let mut command = Command::new(harness::program("t2report"));
                command
                    .arg("-r")
                    .arg(original)
                    .arg("-w")
                    .arg(&ours)
                    .args(aggregation)
                    .args(*options);
                harness::run(&mut command).success();
                let reader = if *both { &readers.old } else { &readers.new };
                Readers::verify(reader, &ours);
                let format = "fmt:%ts %te %pr %sap %dap %flg %ipkt %ibyt %opkt %obyt %fl";
                let expected = sorted(&Readers::print(reader, &theirs, format));
                assert!(!expected.is_empty());
                let found = sorted(&Readers::print(reader, &ours, format));
                assert_eq!(
                    expected,
                    found,
                    "{} {aggregation:?} {options:?}",
                    original.display()
                );
                compared += expected.len();
            }
        }
    }
    eprintln!("{compared} aggregated flows");
}

/// Slots of t2collect in each compression: the same records.
#[test]
fn slots_by_t2collect() {
    let Some(readers) = Readers::find() else {
        return;
    };
    if harness::corpus().is_none() {
        return;
    }
    let folder = harness::temp_dir();
    // When a record was received is the capture's time: the same in each run.
    let (mut slots, mut compared) = (0, 0);
    for (number, export) in EXPORTS.iter().enumerate() {
        let plain =
            collected(export, &[], &folder.path().join(format!("plain{number}"))).expect("a file");
        for (which, (options, both)) in COMPRESSIONS.iter().enumerate() {
            let to = folder.path().join(format!("slot{number}-{which}"));
            let slot = collected(export, options, &to).expect("a file");
            compared += readers.compare(&plain, &slot, *both);
            slots += 1;
        }
    }
    eprintln!("{slots} slots, {compared} bytes of nfdump's text");
}

/// `-J` and `-i`: the same records in another compression, under another name.
#[test]
fn files_changed_in_place() {
    let Some(readers) = Readers::find() else {
        return;
    };
    let folder = harness::temp_dir();
    let Some(originals) = originals(folder.path()) else {
        return;
    };
    for original in &originals {
        let changed = folder.path().join("changed");
        fs::copy(original, &changed).expect("a copy");
        for compression in ["1", "2", "3", "4", "0"] {
            let mut command = Command::new(harness::program("t2report"));
            command.arg("-r").arg(&changed).args(["-J", compression]);
            harness::run(&mut command).success();
            let code = fs::read(&changed).expect("a file")[16].to_string();
            assert_eq!(code, compression);
            readers.compare(original, &changed, compression != "4");
        }
        let mut command = Command::new(harness::program("t2report"));
        command.arg("-r").arg(&changed).args(["-i", "another"]);
        harness::run(&mut command).success();
        readers.compare(original, &changed, true);
        let information =
            harness::run(Command::new(&readers.old).arg("-I").arg("-r").arg(&changed));
        assert!(information.success().text().contains("Ident: another"));
    }
}
