//! Other people's exporters judged by `t2check`: which rules each of them breaks, as an exact list. Every entry was
//! read in the octets by hand, and by tshark: see the reasons in the table.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use golden::harness::{self, Service};
use nix::sys::signal::Signal;

/// An exporter, how it sends, and the rules that it breaks.
struct Case {
    name: &'static str,
    transport: &'static str,
    /// Messages: other ones mean that the exporter did something else than was judged here.
    messages: &'static str,
    broken: &'static [&'static str],
}

/// softflowd 1.1.0, read from the octets:
/// * H-02: the first v9 packet has five templates, an options record and 24 flows; its count is 24.
/// * S-06: the options template's FlowSet has 26 octets, its data 29, and the next ones begin there.
/// * H-07: the IPFIX numbers of the three messages are 24, 56, 72, what was sent with each included and the options
///   record left out; before the third one 25 + 32 records were sent since the first, not 48.
/// * Biflows fit two messages, numbered 15 and 36 with 15 + 1 and 21 records: 31 was due, but five lost records
///   would look the same, so that nothing is proven.
const SOFTFLOWD: [(Case, &[&str]); 6] = [
    (
        case("softflowd v5", "udp", "3 NetFlow v5", &[]),
        &["-v", "5"],
    ),
    (
        case("softflowd v9", "udp", "3 NetFlow v9", &["H-02", "S-06"]),
        &["-v", "9"],
    ),
    (
        case("softflowd IPFIX", "udp", "3 IPFIX", &["H-07"]),
        &["-v", "10"],
    ),
    (
        case(
            "softflowd v9, TCP",
            "tcp",
            "3 NetFlow v9",
            &["H-02", "S-06"],
        ),
        &["-v", "9", "-P", "tcp"],
    ),
    (
        case("softflowd IPFIX, TCP", "tcp", "3 IPFIX", &["H-07"]),
        &["-v", "10", "-P", "tcp"],
    ),
    (
        case("softflowd IPFIX, biflows", "udp", "2 IPFIX", &[]),
        &["-v", "10", "-b", "-A", "milli"],
    ),
];

const fn case(
    name: &'static str,
    transport: &'static str,
    messages: &'static str,
    broken: &'static [&'static str],
) -> Case {
    Case {
        name,
        transport,
        messages,
        broken,
    }
}

/// The replica of the tutorial's capture: 5902 packets, 72 flows.
fn capture(folder: &Path) -> PathBuf {
    let path = folder.join("faf-replica.pcap");
    let bytes = golden::replica::capture().expect("the replica's plan");
    fs::write(&path, bytes).expect("the replica is written");
    path
}

/// What t2check says of what is sent to the port that `send` gets.
fn judge(case: &Case, send: impl FnOnce(u16)) {
    let folder = harness::temp_dir();
    let json = folder.path().join("report.json");
    let mut command = Command::new(harness::program("t2check"));
    command
        .args(["exporter", "--strict", "--replayed", "--seconds", "60"])
        .args(["--listen", "127.0.0.1:0", "--transport", case.transport])
        .arg("--json")
        .arg(&json);
    let mut t2check = Service::spawn(&mut command);
    let line = t2check.wait_for_line("listening on");
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("no port in {line:?}"));
    send(port);
    match case.transport {
        "udp" => harness::wait_drained(port),
        _ => harness::wait_closed(port),
    }
    t2check.signal(Signal::SIGINT);
    let ended = t2check.wait(harness::PATIENCE);
    let table = ended.text();
    // With their number, where it does not depend on the exporter's clock.
    let begin = if case
        .messages
        .starts_with(|first: char| first.is_ascii_digit())
    {
        '('
    } else {
        ' '
    };
    let messages = format!("{begin}{})", case.messages);
    assert!(
        table.contains(&messages),
        "{}: {table}{}",
        case.name,
        ended.stderr
    );

    let text = fs::read_to_string(&json).expect("the report is written");
    let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    let results = report["results"].as_array().expect("results");
    let mut broken: Vec<(&str, &str)> = results
        .iter()
        .filter(|result| result["count"].as_u64() > Some(0))
        .map(|result| {
            let text = |key: &str| result[key].as_str().unwrap_or_default();
            (text("id"), text("verdict"))
        })
        .collect();
    broken.sort_unstable();
    let expected: Vec<(&str, &str)> = case.broken.iter().map(|id| (*id, "DEVIATION")).collect();
    assert_eq!(broken, expected, "{}", case.name);
    let code = if expected.is_empty() { 0 } else { 3 };
    assert_eq!(ended.code(), Some(code), "{}", case.name);
}

#[test]
fn softflowd() {
    let Some(softflowd) = harness::peer("softflowd") else {
        return;
    };
    let folder = harness::temp_dir();
    let capture = capture(folder.path());
    for (case, options) in SOFTFLOWD {
        judge(&case, |port| {
            let mut command = Command::new(&softflowd);
            command
                .arg("-r")
                .arg(&capture)
                .args(options)
                .args(["-n", &format!("127.0.0.1:{port}"), "-a", "-d", "-c", "none"])
                .arg("-p")
                .arg(folder.path().join("pid"));
            harness::run(&mut command).success();
        });
    }
}

/// pmacctd's probe keeps to all rules that its messages show; how many they are is a matter of its clock.
fn nfprobe(version: &str, case: &Case) {
    let Some(pmacctd) = harness::peer("pmacctd") else {
        return;
    };
    let folder = harness::temp_dir();
    let capture = capture(folder.path());
    judge(case, |port| {
        let config = folder.path().join("pmacctd.conf");
        let text = format!(
            "pcap_savefile: {}\nplugins: nfprobe\nnfprobe_receiver: {}:{port}\nnfprobe_version: {version}\n\
             nfprobe_timeouts: general=2:expint=1:maxlife=5\n\
             aggregate: src_host,dst_host,src_port,dst_port,proto,tos\ndaemonize: false\n",
            capture.display(),
            Ipv4Addr::LOCALHOST
        );
        fs::write(&config, text).expect("the configuration is written");
        // It fails now and then, when its plugin is done before it at the end of the capture.
        harness::run(Command::new(&pmacctd).arg("-f").arg(&config));
    });
}

#[test]
fn nfprobe_v5() {
    nfprobe("5", &case("nfprobe v5", "udp", "NetFlow v5", &[]));
}

#[test]
fn nfprobe_v9() {
    nfprobe("9", &case("nfprobe v9", "udp", "NetFlow v9", &[]));
}

#[test]
fn nfprobe_ipfix() {
    nfprobe("10", &case("nfprobe IPFIX", "udp", "IPFIX", &[]));
}

/// nfreplay 1.7.1 of a file by nfpcapd: the export time of v9 is a day before its first flow (18 November 2009
/// 01:29:23 for flows of 19 November from 01:29:22 on), H-11. v5 keeps to all rules.
#[test]
fn nfreplay() {
    let (Some(nfpcapd), Some(nfreplay)) = (harness::peer("nfpcapd"), harness::peer("nfreplay"))
    else {
        return;
    };
    let folder = harness::temp_dir();
    let capture = capture(folder.path());
    let files = folder.path().join("flows");
    fs::create_dir(&files).expect("a folder for flow files");
    let mut command = Command::new(nfpcapd);
    command
        .arg("-r")
        .arg(capture)
        .arg("-w")
        .arg(&files)
        .args(["-S", "0"]);
    harness::run(&mut command).success();
    let file = harness::slot_files(&files)
        .pop()
        .expect("nfpcapd wrote a file");
    for (version, messages, broken) in [
        ("5", "1 NetFlow v5", &[][..]),
        ("9", "1 NetFlow v9", &["H-11"][..]),
    ] {
        let case = Case {
            name: "nfreplay",
            transport: "udp",
            messages,
            broken,
        };
        judge(&case, |port| {
            let mut command = Command::new(&nfreplay);
            command.arg("-r").arg(&file).args([
                "-H",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-v",
                version,
            ]);
            harness::run(&mut command).success();
        });
    }
}

/// IPFIX over TLS as openssl sends it: with a certificate that t2check makes for itself.
#[test]
fn openssl_over_tls() {
    let Some(openssl) = harness::peer("openssl") else {
        return;
    };
    // RFC 7011 section 3: a template of three fields, and a record of it, padded.
    let words: [u32; 16] = [
        0x000a_0040,
        0x6592_0080,
        0,
        7,
        0x0002_0014,
        0x0100_0003,
        0x0008_0004,
        0x0001_0008,
        0x0099_0008,
        0x0100_001c,
        0xc000_0201,
        0,
        100,
        0x0000_018c,
        0xc251_e7d0,
        0,
    ];
    let message: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let folder = harness::temp_dir();
    let input = folder.path().join("message");
    fs::write(&input, message).expect("the message is written");
    judge(&case("openssl s_client", "tls", "1 IPFIX", &[]), |port| {
        let mut command = Command::new(&openssl);
        command
            .args([
                "s_client",
                "-quiet",
                "-no_ign_eof",
                "-connect",
                &format!("127.0.0.1:{port}"),
            ])
            .stdin(fs::File::open(&input).expect("the message"));
        Service::spawn(&mut command).wait(harness::PATIENCE);
    });
}

/// What nfpcapd 1.7.1 forwards is its own protocol (version 250): told as nothing to judge.
#[test]
fn nfpcapd_forwards_something_else() {
    let Some(nfpcapd) = harness::peer("nfpcapd") else {
        return;
    };
    let folder = harness::temp_dir();
    let capture = capture(folder.path());
    let mut command = Command::new(harness::program("t2check"));
    command.args(["exporter", "--listen", "udp://127.0.0.1:0"]);
    let mut t2check = Service::spawn(&mut command);
    let line = t2check.wait_for_line("listening on");
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a port");
    let mut command = Command::new(nfpcapd);
    command
        .arg("-r")
        .arg(capture)
        .args(["-H", &format!("127.0.0.1/{port}")]);
    harness::run(&mut command).success();
    harness::wait_drained(port.parse().expect("a port"));
    t2check.signal(Signal::SIGINT);
    let ended = t2check.wait(harness::PATIENCE);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("no NetFlow or IPFIX message arrived before the interruption (4 other ones)"),
        "{}",
        ended.stderr
    );
}
