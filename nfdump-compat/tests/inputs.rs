//! What may be wrong with the files of a command line: each fault is said in a line, the rest is still reported, and nothing
//! is lost.
#![allow(clippy::unwrap_used, missing_docs)]

use nfdump_compat::{
    field,
    file::{Compression, FileWriter, WriterOptions},
    record::{RecordBuilder, RecordHeader},
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

/// A file of this many flows.
fn write(path: &Path, flows: u64) {
    let options = WriterOptions {
        ident: "inputs".to_owned(),
        compression: Compression::None,
        created_s: 1,
    };
    let mut writer = FileWriter::create(path, &options).unwrap();
    for number in 0..flows {
        let mut flow = RecordBuilder::new();
        flow.begin(&RecordHeader::default());
        flow.set(field::SRC_IPV4, 0x0a00_0001);
        flow.set(field::PROTO, 17);
        flow.set(field::SRC_PORT, number);
        writer.record(flow.finish()).unwrap();
    }
    writer.finish((0, 1), &[]).unwrap();
}

struct Outcome {
    code: Option<i32>,
    flows: usize,
    errors: String,
}

fn t2report(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_t2report"));
    command.current_dir(folder).args(arguments).arg("-q");
    outcome(&mut command)
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        flows: String::from_utf8(output.stdout).unwrap().lines().count(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn faults_cost_only_what_is_faulty() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    write(&place("1-good"), 3);
    fs::write(place("2-empty"), "").unwrap();
    fs::write(place("3-text"), "no flows").unwrap();
    let whole = fs::read(place("1-good")).unwrap();
    fs::write(place("4-cut"), &whole[..100]).unwrap();
    let mut foreign = whole.clone();
    foreign.swap(0, 1);
    fs::write(place("5-foreign"), &foreign).unwrap();
    write(&place("6-good"), 4);
    let seen = t2report(folder.path(), &["-r", ".", "-o", "fmt:%sp"]);
    assert_eq!((seen.code, seen.flows), (Some(0), 7), "{}", seen.errors);
    let expected = [
        "t2report: ./2-empty: the file is empty",
        "t2report: ./3-text: not an nfcapd file: it starts with 0x6F6E, not 0xA50C",
        "t2report: ./4-cut: the appendix (source name and totals) is damaged: it is missing (at offset ",
        "t2report: ./4-cut: the file is cut: block 1 has 60 bytes of ",
        "t2report: ./5-foreign: written on a big-endian machine: ",
    ];
    let lines: Vec<&str> = seen.errors.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{}", seen.errors);
    for (line, start) in lines.iter().zip(expected) {
        assert!(line.starts_with(start), "{line}");
    }
    for name in ["2-empty", "3-text", "5-foreign", "nowhere"] {
        let seen = t2report(folder.path(), &["-r", name]);
        assert_eq!((seen.code, seen.flows), (Some(1), 0), "{name}");
    }
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_reported() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("closed")).unwrap();
    write(&place("closed/inside"), 5);
    write(&place("open"), 3);
    write(&place("secret"), 4);
    let forbid = |name: &str, mode| {
        fs::set_permissions(place(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    forbid("closed", 0);
    forbid("secret", 0);
    forbid("", 0o755);
    let arguments = ["-r", ".", "-o", "fmt:%sp"];
    let seen = if fs::read_dir(place("closed")).is_err() {
        t2report(folder.path(), &arguments)
    } else {
        // Root may read everything: somebody else looks, if there is one and the program may be in this folder.
        fs::copy(env!("CARGO_BIN_EXE_t2report"), place("t2report")).unwrap();
        let there = folder.path().display();
        let line = format!("cd '{there}' && ./t2report {} -q", arguments.join(" "));
        let as_nobody = |line: &str| {
            let mut command = Command::new("su");
            command.args(["nobody", "-s", "/bin/sh", "-c", line]);
            command
        };
        let is_there = as_nobody(&format!("test -x '{there}/t2report'")).status();
        if !is_there.is_ok_and(|status| status.success()) {
            golden::harness::skip("root cannot become nobody");
            return;
        }
        outcome(&mut as_nobody(&line))
    };
    forbid("closed", 0o755);
    assert_eq!((seen.code, seen.flows), (Some(0), 3), "{}", seen.errors);
    for what in [
        "cannot list ./closed: Permission denied",
        "secret: cannot open: Permission denied",
    ] {
        assert!(seen.errors.contains(what), "{}", seen.errors);
    }
}

#[test]
fn no_file_that_is_read_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    write(&place("flows"), 3);
    symlink("flows", place("other-name")).unwrap();
    let before = fs::read(place("flows")).unwrap();
    for (read, written) in [("flows", "flows"), ("flows", "other-name"), (".", "flows")] {
        let seen = t2report(folder.path(), &["-r", read, "-w", written]);
        assert_eq!(seen.code, Some(1));
        assert!(
            seen.errors.ends_with("flows is read, and would be lost\n"),
            "{}",
            seen.errors
        );
    }
    assert_eq!(fs::read(place("flows")).unwrap(), before);
    // A new file, and another old one, are written.
    write(&place("old"), 9);
    for written in ["new", "old"] {
        let seen = t2report(folder.path(), &["-r", "flows", "-w", written]);
        assert_eq!((seen.code, seen.errors.as_str()), (Some(0), ""));
        assert_eq!(
            t2report(folder.path(), &["-r", written, "-o", "fmt:%sp"]).flows,
            3
        );
    }
}

#[test]
fn names_of_files_do_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a\u{1b}[31mb\nc"), "no flows").unwrap();
    let seen = t2report(folder.path(), &["-r", "."]);
    assert_eq!(seen.code, Some(1));
    assert!(
        seen.errors.starts_with("t2report: ./a?[31mb"),
        "{}",
        seen.errors
    );
    assert!(!seen.errors.contains('\u{1b}'));
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("flows"), 3);
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let mut writer = Command::new("sh")
        .args(["-c", "cat flows > fifo"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let seen = t2report(folder.path(), &["-r", "fifo", "-o", "fmt:%sp"]);
    assert_eq!((seen.code, seen.flows), (Some(0), 3), "{}", seen.errors);
    assert!(writer.wait().unwrap().success());
}
