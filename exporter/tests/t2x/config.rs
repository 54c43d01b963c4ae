//! Configuration files: what is in force, and what is said of a wrong one.

use std::path::Path;

use crate::cli::{fails, read, t2x};
use crate::support::{Capture, Collector};

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("t2x.toml"), text).unwrap();
}

/// Both forms of a file reach the collector; stronger places win.
#[test]
fn a_file_says_where_to() {
    let file = Capture::new().udp(0, (1, 2), (5000, 6000), 10).file();
    let folder = tempfile::tempdir().unwrap();
    let (collector, other) = (Collector::new(), Collector::new());
    for text in [
        format!("nf-version = 10\nnf-port = {}\n", collector.port()),
        format!("NF_VER = 10 # IPFIX\nNF_DPORT={}\n", collector.port()),
    ] {
        write(folder.path(), &text);
        let mut command = read(file.path());
        command
            .current_dir(folder.path())
            .args(["--config", "t2x.toml"]);
        command.assert().success();
        let records = collector.records();
        assert_eq!(
            (records.len(), records[0].message.version),
            (1, 10),
            "{text}"
        );
        command.env("NF_DPORT", other.port()).assert().success();
        assert_eq!(
            (collector.records().len(), other.records().len()),
            (0, 1),
            "{text}"
        );
    }
}

#[test]
fn what_is_in_force_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "# a comment\nmtu = 1200\nrate = 5\n");
    let mut command = t2x();
    command
        .current_dir(folder.path())
        .args(["config", "--config", "t2x.toml", "--rate", "7"]);
    let output = command.env("NF_VER", "10").output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let text = String::from_utf8(output.stdout).unwrap();
    for (value, origin) in [
        ("mtu = 1200", "t2x.toml:2"),
        ("rate = 7", "option"),
        ("nf-version = 10", "environment NF_VER"),
        ("profile = \"standard\"", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(value));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!("  # {origin}"))),
            "{value}: {text}"
        );
    }
}

#[test]
fn a_wrong_file_is_told_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "mtu = 1200\n\nnf-prot = 1\nreport = \"xml\"\n",
    );
    let check = ["--config", "t2x.toml", "--check-config"];
    let output = t2x()
        .current_dir(folder.path())
        .args(check)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expect = "t2x: t2x.toml:3: nf-prot is no setting; a similar one exists: nf-port\n\
                  t2x.toml:4: report = xml: one of text, json expected\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expect);
    write(folder.path(), "mtu = 1200\n");
    let right = t2x()
        .current_dir(folder.path())
        .args(check)
        .output()
        .unwrap();
    assert_eq!(
        (right.status.code(), right.stdout),
        (Some(0), b"the configuration is right\n".to_vec())
    );
    let missing = fails(t2x().args(["--config", "/nonexistent", "-r", "x"]), 2);
    assert!(
        missing.starts_with("t2x: /nonexistent: cannot read the configuration file: "),
        "{missing}"
    );
}
