//! Bad input on the command line: the exit code of the contract, and a sentence that names the program and the fault.

use std::net::UdpSocket;
use std::process::Command;

use golden::harness;

/// Program, arguments, exit code, a word of the complaint.
const CASES: &[(&str, &[&str], i32, &str)] = &[
    ("t2x", &[], 2, "-r FILE"),
    ("t2x", &["-r", "/no/such.pcap"], 1, "/no/such.pcap"),
    ("t2x", &["-r", "/"], 1, "/"),
    (
        "t2x",
        &["-r", "/etc/passwd"],
        1,
        "not a pcap or pcapng capture",
    ),
    ("t2x", &["-r", "/dev/null"], 1, "empty"),
    ("t2x", &["-r", "x", "--nf-prot", "1"], 2, "--nf-port"),
    ("t2x", &["-r", "x", "--byts", "l7"], 2, "--bytes"),
    ("t2x", &["-r", "x", "--bytes", "l5"], 2, "l5"),
    ("t2x", &["-R", "/no/such"], 1, "/no/such"),
    ("t2x", &["-R", "/dev/null"], 1, "no capture"),
    ("t2x", &["-r", "x", "-R", "y"], 2, "--read-list"),
    ("t2x", &["-r", "x", "-F", "/no/such"], 1, "/no/such"),
    ("t2x", &["-r", "x", "-f", "many"], 2, "many"),
    ("t2x", &["-r", "x", "--report", "yaml"], 2, "yaml"),
    ("t2x", &["-r", "x", "--nf-version", "7"], 2, "7"),
    (
        "t2x",
        &["-r", "/etc/passwd", "--nf-addr", "no.such.host.invalid"],
        1,
        "",
    ),
    ("t2collect", &["--lissten", "x"], 2, "--listen"),
    ("t2collect", &["-p", "99999"], 2, "99999"),
    ("t2collect", &["-w", "/no/such"], 1, "/no/such"),
    ("t2collect", &["-n", "a,b"], 2, "a,b"),
    ("t2report", &["--no-such"], 2, "--no-such"),
    ("t2report", &["-r", "/no/such"], 1, "/no/such"),
    ("t2report", &["-r", "/etc/passwd"], 1, "not an nfcapd file"),
    (
        "t2report",
        &["-r", "/etc/passwd", "-s", "srcipp"],
        1,
        "srcipp",
    ),
    (
        "t2report",
        &["-r", "/etc/passwd", "-s", "srcip/foo"],
        1,
        "foo",
    ),
    ("t2report", &["-r", "/etc/passwd", "-o", "blah"], 1, "blah"),
    (
        "t2report",
        &["-r", "/etc/passwd", "-t", "yesterday"],
        2,
        "yesterday",
    ),
    (
        "t2report",
        &["-r", "/etc/passwd", "proto", "foo"],
        254,
        "foo",
    ),
    ("t2check", &["explain", "H-99"], 2, "H-99"),
    (
        "t2check",
        &["exporter", "--capture", "/no/such"],
        1,
        "/no/such",
    ),
    ("t2check", &["exporter", "--captur", "x"], 2, "--capture"),
];

#[test]
fn bad_input_is_told_in_a_sentence_with_the_right_exit_code() {
    let folder = harness::temp_dir();
    for (program, arguments, code, word) in CASES {
        let mut command = Command::new(harness::program(program));
        command.args(*arguments).current_dir(folder.path());
        command.env_remove("T2_FLOWS");
        let ended = harness::run(&mut command);
        let told = ended.stderr.as_str();
        assert_eq!(ended.code(), Some(*code), "{}: {told}", ended.command);
        assert!(told.contains(word), "{}: {told}", ended.command);
        assert!(
            ended.stdout.is_empty(),
            "{}: {}",
            ended.command,
            ended.text()
        );
        assert!(told.lines().count() <= 2, "{}: {told}", ended.command);
        if *code != 254 {
            // A bad filter is told in nfdump's words.
            assert!(
                told.starts_with(&format!("{program}: ")),
                "{}: {told}",
                ended.command
            );
        }
    }
}

#[test]
fn a_port_in_use_and_a_collector_that_is_not_there() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let folder = harness::temp_dir();
    let mut t2collect = Command::new(harness::program("t2collect"));
    t2collect
        .args(["-b", "127.0.0.1", "-p", &port, "-w"])
        .arg(folder.path());
    let ended = harness::run(&mut t2collect);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("127.0.0.1:{port}")),
        "{}",
        ended.stderr
    );

    let capture = folder.path().join("replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    std::fs::write(&capture, bytes).expect("the replica is written");
    let mut t2x = Command::new(harness::program("t2x"));
    let free = harness::free_tcp_port().to_string();
    t2x.arg("-r")
        .arg(&capture)
        .args(["--nf-socktype", "tcp", "--nf-port", &free]);
    let ended = harness::run(&mut t2x);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("127.0.0.1:{free}")),
        "{}",
        ended.stderr
    );
}

#[test]
fn only_t2x_needs_libpcap() {
    for (name, needs) in [
        ("t2x", true),
        ("t2collect", false),
        ("t2report", false),
        ("t2check", false),
    ] {
        let octets = std::fs::read(harness::program(name)).expect("the program can be read");
        let library = b"libpcap.so";
        let found = octets
            .windows(library.len())
            .any(|octets| octets == library);
        assert_eq!(found, needs, "{name}");
    }
}
