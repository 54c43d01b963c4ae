//! The mechanical rules of ARCHITECTURE.md and CONTRIBUTING.md, checked on the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` with one of the endings, build products and the corpus aside.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.map(|e| e.expect("directory entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !matches!(
                &*name,
                "target" | "corpus" | ".git" | "snapshots" | "artifacts"
            ) {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|e| name.ends_with(e)) {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root().join(folder), &[".rs"], &mut found);
    assert!(!found.is_empty(), "no Rust sources in {folder}");
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable source");
            (path, text)
        })
        .collect()
}

#[test]
fn the_middle_does_no_io_and_asks_no_clock() {
    const ROOMS: &[&str] = &["protocol/src", "exporter/src/dissect", "exporter/src/meter"];
    const FORBIDDEN: &[&str] = &[
        "std::fs",
        "std::thread",
        "std::env",
        "UdpSocket",
        "TcpStream",
        "SystemTime::now",
        "Instant::now",
        "tokio",
        "println!",
    ];
    let mut faults = Vec::new();
    for (path, text) in ROOMS.iter().flat_map(|room| sources(room)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for word in FORBIDDEN {
            for (number, line) in code.lines().enumerate() {
                let is_comment = line.trim_start().starts_with("//");
                if !is_comment && line.contains(word) {
                    faults.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_says_what_it_owns() {
    let mut faults = Vec::new();
    for (path, text) in sources("") {
        if !text.trim_start().starts_with("//!") && !text.trim_start().starts_with("#!") {
            faults.push(path.display().to_string());
        }
    }
    assert!(
        faults.is_empty(),
        "no module documentation:\n{}",
        faults.join("\n")
    );
}

#[test]
fn no_test_is_ignored_and_no_work_is_left_open() {
    let this = Path::new(file!()).file_name().expect("own name");
    let mut faults = Vec::new();
    for (path, text) in sources("") {
        if path.file_name() == Some(this) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if [
                "#[ignore",
                "#[should_panic",
                "todo!(",
                "TODO",
                "FIXME",
                "dbg!(",
            ]
            .iter()
            .any(|word| line.contains(word))
            {
                faults.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_paths_that_the_architecture_names_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut missing = Vec::new();
    for word in text.split('`').skip(1).step_by(2) {
        let Some((crate_name, _)) = word.split_once('/') else {
            continue;
        };
        if !root().join(crate_name).is_dir() {
            continue;
        }
        // `a/{b,c}.rs` stands for a/b.rs and a/c.rs.
        let (before, rest) = word.split_once('{').unwrap_or((word, "}"));
        let (choices, after) = rest.split_once('}').unwrap_or(("", ""));
        for choice in choices.split(',') {
            let path = format!("{before}{choice}{after}");
            if !root().join(&path).exists() {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
