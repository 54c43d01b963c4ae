//! The filter language beside the real nfdump 1.7.1: what passes, what is refused and where.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{Files, compare, nfdump, t2report};

const FILTERS: &str = include_str!("data/filters.txt");
const ERRORS: &str = include_str!("data/filter_errors.txt");

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
