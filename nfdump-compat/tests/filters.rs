//! The filter language beside the real nfdump 1.7.1: what passes, what is refused and where.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use golden::harness;
use std::collections::BTreeSet;
use support::{Files, compare, nfdump, run, t2report};

const FILTERS: &str = include_str!("data/filters.txt");
const ERRORS: &str = include_str!("data/filter_errors.txt");

const LATER: &str = include_str!("data/filters_later.txt");
const LATER_ERRORS: &str = include_str!("data/filter_errors_later.txt");
/// A filter, or the begin of several with `*` behind it; a bar; why nfdump 1.7.5 lets others pass.
const LATER_EXCEPTIONS: &str = include_str!("data/filters_later_exceptions.txt");

/// Shows every record that passed, the label that it got and the sums; of tunnels, for which nfdump prints a second line, the
/// sums only.
const FORMAT: &str = "fmt:%cnt %ts %sa %da %lbl";

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

fn on(file: &std::path::Path, filter: &str) -> Vec<String> {
    let format = if file.ends_with("tunnels") {
        "null"
    } else {
        FORMAT
    };
    let file = file.display().to_string();
    ["-r", &file, "-6", "-o", format, filter]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn the_same_records_pass() {
    let Some(files) = Files::make() else { return };
    let mut files = files.with_events();
    // How a file is compressed does not matter here.
    files.paths.retain(|path| {
        !["lz4", "bz2", "none", "icmp6-ping"]
            .iter()
            .any(|name| path.ends_with(name))
    });
    let mut differences = Vec::new();
    let (mut filters, mut different) = (0, 0);
    for filter in lines(FILTERS) {
        let found: Vec<String> = files
            .paths
            .iter()
            .filter_map(|file| compare(&on(file, filter)))
            .collect();
        filters += 1;
        different += usize::from(!found.is_empty());
        differences.extend(found);
    }
    eprintln!(
        "{filters} filters on {} files, {different} different",
        files.paths.len()
    );
    assert!(
        differences.is_empty(),
        "{different} of {filters} differ:\n{}",
        differences.join("\n")
    );
}

#[test]
fn the_same_words_are_refused() {
    let Some(files) = Files::make() else { return };
    let mut differences = Vec::new();
    let mut filters = 0;
    for filter in lines(ERRORS) {
        filters += 1;
        let arguments = on(&files.paths[2], filter);
        let (theirs, ours) = (nfdump(&arguments), t2report(&arguments));
        let first = |errors: &str| errors.lines().next().unwrap_or_default().to_owned();
        let (said, say) = (first(&theirs.errors), first(&ours.errors));
        if (theirs.code, ours.code) != (254, 254) || said != say {
            differences.push(format!(
                "{filter}: {} {said:?}, ours {} {say:?}",
                theirs.code, ours.code
            ));
        }
    }
    eprintln!("{filters} refused, {} different", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Exit code, and how many records passed.
fn passed(program: &str, file: &std::path::Path, filter: &str) -> (i32, Option<u64>) {
    let arguments = [
        "--compat",
        "1.7.5",
        "-r",
        &file.display().to_string(),
        "-o",
        "null",
        filter,
    ];
    // nfdump does not know the first option.
    let skip = if program.ends_with("nfdump") { 2 } else { 0 };
    let arguments: Vec<String> = arguments[skip..]
        .iter()
        .map(|text| (*text).to_owned())
        .collect();
    let outcome = run(program, &arguments);
    let passed = outcome.lines.iter().find_map(|line| {
        let (_, rest) = line.split_once("passed: ")?;
        rest.split(',').next()?.parse().ok()
    });
    (outcome.code, passed)
}

/// By the rules of nfdump 1.7.5: as many records pass as with the real one, on files made for it and by its nfpcapd.
#[test]
fn as_many_records_pass_as_with_a_later_version() {
    let Some(theirs) = harness::nfdump_version("1.7.5", "nfdump") else {
        return;
    };
    let Some(files) = Files::make() else { return };
    let files = files.with_events().with_later();
    let theirs = theirs.display().to_string();
    let ours = env!("CARGO_BIN_EXE_t2report");
    let metered = tempfile::tempdir().unwrap();
    let mut paths = vec![files.named("all"), files.named("later")];
    let payload = metered_by_a_later_version(metered.path());
    paths.extend(payload.as_deref());
    let exceptions: Vec<&str> = lines(LATER_EXCEPTIONS)
        .map(|line| line.split_once(" | ").expect("filter | reason").0)
        .collect();
    let exception = |filter: &str| {
        exceptions
            .iter()
            .position(|wanted| match wanted.strip_suffix('*') {
                Some(begin) => filter.starts_with(begin),
                None => *wanted == filter,
            })
    };
    let mut needed = BTreeSet::new();
    let mut differences = Vec::new();
    let (mut runs, mut understood) = (0, 0);
    for filter in lines(FILTERS).chain(lines(LATER)) {
        for path in &paths {
            runs += 1;
            let expected = passed(&theirs, path, filter);
            if expected.0 != 0 {
                continue;
            }
            understood += 1;
            let found = passed(ours, path, filter);
            if found == expected {
                continue;
            }
            match exception(filter) {
                Some(number) => drop(needed.insert(number)),
                None => differences.push(format!("{filter}: {expected:?}, ours {found:?}")),
            }
        }
    }
    eprintln!(
        "{runs} runs on {} files, {understood} understood by nfdump 1.7.5, {} different; {} exceptions",
        paths.len(),
        differences.len(),
        needed.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let unused: Vec<&str> = (0..)
        .zip(&exceptions)
        .filter(|(number, _)| !needed.contains(number))
        .map(|(_, text)| *text)
        .collect();
    assert!(unused.is_empty(), "exceptions that are none: {unused:?}");
}

/// A capture with DNS and TLS in payloads, metered by nfpcapd 1.7.5.
fn metered_by_a_later_version(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let capture = harness::corpus()?.join("tranalyzer/medium/dns/dns.pcap");
    let nfpcapd = harness::nfdump_version("1.7.5", "nfpcapd")?;
    let arguments = ["-o", "fat,payload", "-t", "2000000000", "-r"];
    let run = std::process::Command::new(nfpcapd)
        .args(arguments)
        .arg(&capture)
        .arg("-w")
        .arg(folder)
        .output();
    assert!(
        run.unwrap().status.success(),
        "nfpcapd -r {}",
        capture.display()
    );
    harness::files_below(folder).into_iter().next()
}

/// What nfdump 1.7.5 refuses is refused, each with a line that names the place and says what would be right.
#[test]
fn refused_as_by_a_later_version() {
    let Some(theirs) = harness::nfdump_version("1.7.5", "nfdump") else {
        return;
    };
    let Some(files) = Files::make() else { return };
    let theirs = theirs.display().to_string();
    for filter in lines(LATER_ERRORS) {
        let refused = (254, None);
        assert_eq!(
            passed(&theirs, &files.paths[0], filter),
            refused,
            "{filter}"
        );
        assert_eq!(
            passed(env!("CARGO_BIN_EXE_t2report"), &files.paths[0], filter),
            refused,
            "{filter}"
        );
        let errors = t2report(&on(&files.paths[0], filter)).errors;
        assert!(
            errors.starts_with("Line 1: ") && errors.contains(" at '"),
            "{filter}: {errors}"
        );
    }
}

/// Filters put together from others by a fixed pseudo-random sequence.
#[test]
fn random_expressions() {
    let Some(files) = Files::make() else { return };
    let files = files.with_events();
    let primitives: Vec<&str> = lines(FILTERS)
        .filter(|line| {
            !line.contains(['#', '%', '(', '&', '|'])
                && !line.contains(" and ")
                && !line.contains(" or ")
        })
        .collect();
    let mut seed = 20_u64;
    let mut below = |limit: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % limit
    };
    let mut differences = Vec::new();
    for number in 0..200 {
        let mut filter = String::new();
        let mut open = 0;
        for operand in 0..2 + below(6) {
            if operand > 0 {
                filter += [" and ", " or "][below(2)];
            }
            filter += ["", "", "not ", "not not "][below(4)];
            for _ in 0..below(3) {
                filter += ["(", "not ("][below(2)];
                open += 1;
            }
            filter += primitives[below(primitives.len())];
            while open > 0 && below(2) == 0 {
                filter += [")", ") % a", ") % b"][below(3)];
                open -= 1;
            }
        }
        filter += &")".repeat(open);
        let file = &files.paths[[0, files.paths.len() - 2][number % 2]];
        differences.extend(compare(&on(file, &filter)));
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Where we take more than nfdump 1.7.1: filters that it refuses and we do not, with the records that pass.
#[test]
fn more_than_nfdump() {
    let Some(files) = Files::make() else { return };
    let passed = |filter: &str| {
        let outcome = t2report(&on(&files.paths[0], filter));
        assert_eq!(outcome.code, 0, "{filter}: {outcome:?}");
        outcome.lines[1..outcome.lines.len() - 3].to_vec()
    };
    // nfdump asks for a file of countries and AS numbers even where the record has its AS.
    let systems = [
        "src as 0",
        "not src as > 0",
        "not (src as > 0)",
        "src as in [0]",
        "src as < 1",
    ]
    .map(passed);
    assert!(!systems[0].is_empty());
    assert!(systems.iter().all(|rows| *rows == systems[0]));
    assert_eq!(
        passed("as in [3 0]"),
        passed("src as 0 or dst as 0 or src as 3 or dst as 3")
    );
    assert_eq!(
        passed("prev as 3 or previous as >= 4"),
        passed("prev as gt 2")
    );
    assert_eq!(passed("next as 0"), passed("not next as > 0"));
    // A prefix behind a comma, and one that contains an address listed before it.
    assert_eq!(
        passed("ip in [10.0.0.1, 10.0.0.0/8]"),
        passed("net 10.0.0.0/8")
    );
    assert_eq!(passed("net ::/0"), passed("any"));
    assert_eq!(passed("mpls label1 > 5000"), passed("mpls label1 >= 5001"));
}

/// A filter in a file: comments, lines, included files; errors name file and line. Words on the command line win.
#[test]
fn filter_files() {
    let Some(files) = Files::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("inner", "proto udp # both\n or proto tcp\n");
    write(
        "good",
        &format!("# a filter\n(\n@include {}\n) and ipv4\n", path("inner")),
    );
    write("wrong", "proto tcp\n and\n foo");
    write("outer", &format!("any and\n@include {}", path("wrong")));
    write("empty", "");
    let file = files.paths[0].display().to_string();
    for (arguments, code) in [
        (vec!["-f".to_owned(), path("good")], 0),
        (vec!["-f".to_owned(), path("wrong")], 254),
        (vec!["-f".to_owned(), path("outer")], 254),
        (vec!["-f".to_owned(), path("nowhere")], 1),
        (
            vec!["-f".to_owned(), path("wrong"), "proto tcp".to_owned()],
            0,
        ),
        (
            vec!["-Z".to_owned(), "proto tcp and dst port 443".to_owned()],
            0,
        ),
        (vec!["-Z".to_owned(), "-f".to_owned(), path("wrong")], 254),
        (
            vec![
                "proto".to_owned(),
                "tcp".to_owned(),
                "and".to_owned(),
                "ipv6".to_owned(),
            ],
            0,
        ),
    ] {
        let mut all = vec![
            "-r".to_owned(),
            file.clone(),
            "-o".to_owned(),
            "line".to_owned(),
        ];
        all.extend(arguments);
        assert_eq!(compare(&all), None);
        let (theirs, ours) = (nfdump(&all), t2report(&all));
        assert_eq!(ours.code, code, "{ours:?}");
        if code == 254 {
            assert_eq!(theirs.errors.lines().next(), ours.errors.lines().next());
        }
    }
}
