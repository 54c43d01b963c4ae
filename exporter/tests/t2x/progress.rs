//! The progress bar: where somebody watches, and nowhere else.

use std::process::Command;

use crate::cli::t2x;
use crate::support::Capture;

/// Flows that end one after the other, so that a low rate slows the reading down to some seconds.
fn slow() -> Capture {
    (0..12_000_u64).fold(Capture::new(), |capture, n| {
        capture.udp(n * 200_000_000, (1, 2), (5000, 53), 10)
    })
}

/// What of the bar is told from the report: the time that is left.
const LEFT: &str = "s left";

#[test]
fn a_terminal_shows_progress_and_a_pipe_does_not() {
    let file = slow().file();
    let args = |command: &mut Command| {
        command.args([
            "-r",
            file.path().to_str().unwrap(),
            "--nf-port",
            "9",
            "--rate",
            "4000",
        ]);
    };
    let mut program = Command::new(assert_cmd::cargo::cargo_bin("t2x"));
    args(&mut program);
    let words: Vec<_> = [program.get_program()]
        .into_iter()
        .chain(program.get_args())
        .collect();
    let line = words
        .iter()
        .map(|word| word.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    // A pseudo terminal of util-linux; what is shown there goes to its standard output.
    let shown = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output();
    let shown = match shown {
        Ok(shown) => shown,
        Err(error) if std::env::var_os("CI").is_some() => panic!("script: {error}"),
        Err(error) => return eprintln!("skipped: script: {error}"),
    };
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    assert!(text.contains(LEFT) && text.contains("KiB"), "{text}");
    // The bar is taken away, the report stays.
    let end = text.rsplit(LEFT).next().unwrap();
    assert!(end.contains("Flows: 12000 "), "{text}");
    let mut piped = t2x();
    piped.args(program.get_args());
    let piped = piped.output().unwrap();
    let text = String::from_utf8(piped.stderr).unwrap();
    assert_eq!(piped.status.code(), Some(0), "{text}");
    assert!(!text.contains(LEFT) && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("Flows: 12000 "), "{text}");
}
