//! Every recording of real NetFlow and IPFIX in the corpus, judged: the verdicts are those of `data/judged.tsv`, each
//! of them read in the octets by hand and by tshark, and no others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use golden::harness;

const LIST: &str = include_str!("../data/judged.tsv");

/// Rule, verdict and count.
type Broken = (String, String, u64);

fn listed() -> BTreeMap<String, Vec<Broken>> {
    let mut files: BTreeMap<String, Vec<Broken>> = BTreeMap::new();
    for line in LIST.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [file, rule, verdict, count, why] = cells[..] else {
            panic!("not five cells: {line:?}");
        };
        assert!(!why.is_empty(), "no reason: {line:?}");
        let count = count.parse().expect("a count");
        let broken = (rule.to_owned(), verdict.to_owned(), count);
        files.entry(file.to_owned()).or_default().push(broken);
    }
    files
}

fn judged(file: &Path) -> Vec<Broken> {
    let mut command = Command::new(harness::program("t2check"));
    command
        .args(["exporter", "--strict", "--json", "-", "--capture"])
        .arg(file);
    let run = harness::run(&mut command);
    assert!(matches!(run.code(), Some(0 | 3)), "{}", run.stderr);
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    report["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|result| {
            let text = |key: &str| result[key].as_str().map(str::to_owned);
            let count = result["count"].as_u64().filter(|count| *count > 0)?;
            Some((text("id")?, text("verdict")?, count))
        })
        .collect()
}

#[test]
fn verdicts_on_recordings_are_those_that_were_checked_by_hand() {
    let Some(corpus) = harness::corpus() else {
        return;
    };
    let root = corpus.join("netflow");
    let found = harness::files_below(&root);
    assert_eq!(found.len(), 100, "files");
    let mut listed = listed();
    for file in found {
        let name = file.strip_prefix(&root).expect("a file of the corpus");
        let name = name.display().to_string();
        let expected = listed.remove(&name).unwrap_or_default();
        assert_eq!(judged(&file), expected, "{name}");
    }
    assert!(listed.is_empty(), "not in the corpus: {listed:?}");
}
