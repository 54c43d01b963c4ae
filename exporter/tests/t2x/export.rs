//! What arrives at a collector: layouts, values, times, message sizes, and the way to it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Capture, Collector, Record, START_US, decode, messages, wait_for_signals};
use exporter::cli::Cli;
use exporter::config::Config;
use exporter::run::{Outcome, run};
use exporter::signals::Signals;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs the library on a capture; what the collector got.
fn export(capture: &Capture, args: &[&str]) -> (Outcome, Vec<Vec<u8>>) {
    let collector = Collector::new();
    let file = capture.file();
    let port = collector.port();
    let start = [
        "t2x",
        "-r",
        file.path().to_str().unwrap(),
        "--nf-port",
        &port,
    ];
    let cli = Cli::try_parse_from(start.iter().chain(args)).unwrap();
    let config = Config::new(&cli, &|_| None).unwrap();
    let outcome = run(&config, &Signals::default()).unwrap();
    assert_eq!(outcome.failures, Vec::<String>::new());
    (outcome, collector.datagrams())
}

fn records(capture: &Capture, args: &[&str]) -> Vec<Record> {
    decode(&export(capture, args).1)
}

/// A request of two packets and its answer.
fn conversation() -> Capture {
    Capture::new()
        .udp(0, (1, 2), (5000, 53), 30)
        .udp(500, (1, 2), (5000, 53), 10)
        .udp(1_500_000, (2, 1), (53, 5000), 400)
}

/// A datagram under these labels, and its answer without any.
fn labelled(labels: &[[u8; 4]]) -> Capture {
    // 10.0.0.1 port 0x2001 to 10.0.0.2 port 0x2002, no payload; and back.
    let header = |from, to| {
        let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        let addresses = [10, 0, 0, from, 10, 0, 0, to];
        let udp = [0x20, from, 0x20, to, 0, 8, 0, 0];
        [&ip[..], &addresses, &udp].concat()
    };
    Capture::new()
        .frame(0, 0x8847, &[&labels.concat(), &header(1, 2)[..]].concat())
        .frame(1, 0x0800, &header(2, 1))
}

/// RFC 3032: label, Exp and the bit of the bottom are the first three octets of an entry.
#[test]
fn mpls_labels_from_the_top() {
    let labels = [[0x12, 0x34, 0x5a, 64], [0, 1, 0xe1, 63]];
    for profile in ["t2", "standard"] {
        for version in ["9", "10"] {
            let args = ["--mpls", "3", "--profile", profile, "--nf-version", version];
            let records = records(&labelled(&labels), &args);
            let [there, back] = records.as_slice() else {
                panic!("{} records", records.len());
            };
            assert_eq!(there.value(70), [0x12, 0x34, 0x5a]);
            assert_eq!(there.value(71), [0, 1, 0xe1]);
            assert_eq!(there.value(72), [0; 3]);
            assert!((70..73).all(|id| back.value(id) == [0; 3]));
        }
    }
    // As many as are kept, of more than these; and none unless asked for.
    let deep: Vec<_> = (1..=7).map(|n| [0, n, u8::from(n == 7), 9]).collect();
    let told = records(&labelled(&deep), &["--mpls", "5"]);
    assert_eq!(told[0].value(74), [0, 5, 0]);
    let none = records(&labelled(&deep), &[]);
    assert!(
        none[0]
            .layout()
            .iter()
            .all(|(id, _)| !(70..80).contains(id))
    );
}

/// Octets of Tranalyzer's fields after the times.
const T2: [(u16, u16); 21] = [
    (2, 8),
    (1, 8),
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (25, 2),
    (26, 2),
    (58, 2),
    (6, 1),
    (60, 1),
    (61, 1),
    (4, 1),
    (5, 1),
    (52, 1),
    (53, 1),
    (39, 1),
    (80, 6),
    (56, 6),
    (57, 6),
    (81, 6),
];

#[test]
fn profile_t2_has_tranalyzers_fields() {
    let records = records(&conversation(), &[]);
    let [a, b] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (a.template, a.message.version, a.message.domain),
        (256, 9, 666)
    );
    assert_eq!(a.layout()[..2], [(22, 4), (21, 4)]);
    assert_eq!(a.layout()[2..], T2);
    // Layer 7 octets, and the smallest and largest packet by the same measure.
    assert_eq!(
        [a.number(2), a.number(1), a.number(25), a.number(26)],
        [2, 40, 10, 30]
    );
    assert_eq!(
        (a.ipv4(8).to_string(), a.ipv4(12).to_string()),
        ("10.0.0.1".into(), "10.0.0.2".into())
    );
    assert_eq!(
        [a.number(7), a.number(11), a.number(4), a.number(61)],
        [5000, 53, 17, 0]
    );
    assert_eq!(
        [
            a.number(5),
            a.number(52),
            a.number(53),
            a.number(60),
            a.number(39)
        ],
        [0x20, 63, 63, 4, 1]
    );
    assert_eq!(
        (a.value(56), a.value(80)),
        (&[2, 0, 0, 0, 0, 1][..], &[2, 0, 0, 0, 0, 2][..])
    );
    assert_eq!((a.number(57), a.number(81)), (0, 0));
    assert_eq!(
        [
            b.number(2),
            b.number(1),
            b.number(7),
            b.number(11),
            b.number(61)
        ],
        [1, 400, 53, 5000, 1]
    );
}

/// Milliseconds since 1970 of elements 22 and 21, by the header's time and uptime.
fn times(record: &Record) -> [u64; 2] {
    let boot = record.message.export_ms - u64::from(record.message.uptime_ms.unwrap());
    [22, 21].map(|id| boot + record.number(id))
}

#[test]
fn times_are_exact_to_the_millisecond() {
    let start = START_US / 1000;
    let v9 = records(&conversation(), &[]);
    assert_eq!(times(&v9[0]), [start, start]);
    assert_eq!(times(&v9[1]), [start + 1500, start + 1500]);
    let ipfix = records(&conversation(), &["--nf-version", "10"]);
    assert_eq!(
        [152, 153].map(|id| ipfix[1].number(id)),
        [start + 1500, start + 1500]
    );
    // T2's old rule: counted from the whole second, 0 becomes 1.
    let second = start / 1000 * 1000;
    let t2 = records(&conversation(), &["--time-rule", "t2"]);
    assert_eq!(times(&t2[0]), [second + 1, second + 1]);
    assert_eq!(times(&t2[1]), [second + 1500, second + 1500]);
}

#[test]
fn the_header_time_is_the_packet_clock_unless_told_otherwise() {
    let packet = records(&conversation(), &["--nf-version", "10"]);
    // The header has whole seconds: the next one, as none of the flows may end later.
    assert_eq!(
        packet[0].message.export_ms,
        (START_US / 1_000_000 + 2) * 1000
    );
    let now = records(
        &conversation(),
        &["--nf-version", "10", "--export-time", "now"],
    );
    let year_2024_ms = 1_704_067_200_000;
    assert!(now[0].message.export_ms > year_2024_ms);
    assert_eq!(now[0].number(152), START_US / 1000);
    // In v9 flow times count from the header's: they stay right although the capture is older than 49.7 days.
    let now = records(&conversation(), &["--export-time", "now"]);
    assert_eq!(times(&now[0]), [START_US / 1000; 2]);
}

#[test]
fn times_stay_right_beyond_what_32_bits_hold() {
    const DAY_US: u64 = 86_400_000_000;
    let days = [0, 40, 80, 1000];
    let capture = days.iter().fold(Capture::new(), |capture, day| {
        capture.udp(day * DAY_US, (1, 2), (5000, 6000), 10)
    });
    let expect = days.map(|day| (START_US + day * DAY_US) / 1000);
    let v9 = records(&capture, &[]);
    assert_eq!(
        v9.iter().map(|record| times(record)[0]).collect::<Vec<_>>(),
        expect
    );
    let ipfix = records(&capture, &["--nf-version", "10"]);
    assert_eq!(
        ipfix
            .iter()
            .map(|record| record.number(153))
            .collect::<Vec<_>>(),
        expect
    );
}

#[test]
fn profile_standard_counts_ip_octets() {
    let records = records(&conversation(), &["--nf-version", "10"]);
    let [a, b] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!((a.template, a.message.domain), (256, 0));
    assert_eq!(
        [a.number(2), a.number(1), a.number(401)],
        [2, 40 + 2 * 28, 40]
    );
    assert_eq!([a.number(25), a.number(26)], [38, 58]);
    assert_eq!([a.number(136), b.number(136), b.number(61)], [4, 4, 1]);
    assert_eq!(a.layout().iter().find(|(id, _)| *id == 6), Some(&(6, 2)));
    let l7 = records_of_bytes_l7();
    assert_eq!([l7.number(1), l7.number(401), l7.number(26)], [40, 40, 30]);
}

fn records_of_bytes_l7() -> Record {
    records(&conversation(), &["--nf-version", "10", "--bytes", "l7"]).remove(0)
}

/// Octets of two UDP packets of 30 and 10 octets, the second in a frame padded to 60, and of an ARP frame of 42.
#[test]
fn every_metric_counts_its_headers() {
    let mut padded = Vec::new();
    padded.extend([0x45, 0x20, 0, 38, 0, 0, 0x40, 0, 63, 17, 0, 0]);
    padded.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    padded.extend([0x13, 0x88, 0, 53, 0, 18, 0, 0]);
    padded.resize(46, 0);
    let capture = Capture::new()
        .udp(0, (1, 2), (5000, 53), 30)
        .frame(500, 0x0800, &padded)
        .arp(600);
    let headers = [
        ("l7", 0, "l7", 28),
        ("l4", 8, "l4", 28),
        ("ip", 28, "l3", 28),
        ("l2", 42, "l2", 42),
    ];
    for (metric, header, column, arp) in headers {
        let (sum, min, max) = (40 + 2 * header, 10 + header, 30 + header);
        for version in ["9", "10"] {
            let args = ["--nf-version", version, "--bytes", metric];
            let record = records(&capture, &args).remove(0);
            assert_eq!(
                [record.number(1), record.number(25), record.number(26)],
                [sum, min, max],
                "{metric}, version {version}"
            );
            if version == "10" {
                assert_eq!(record.number(401), 40, "{metric}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("out");
        let args = ["--sink", "text,json", "--bytes", metric, "-w"];
        let args = [&args[..], &[prefix.to_str().unwrap()]].concat();
        export(&capture, &args);
        let text = std::fs::read_to_string(folder.path().join("out_flows.txt")).unwrap();
        let rows: Vec<Vec<_>> = text
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        let name = format!("{column}BytesSnt");
        let at = rows[0].iter().position(|found| *found == name).unwrap();
        assert_eq!(
            [rows[1][at], rows[2][at]],
            [sum.to_string(), arp.to_string()],
            "{metric}"
        );
        let json = std::fs::read_to_string(folder.path().join("out_flows.json")).unwrap();
        assert!(json.contains(&format!("\"{name}\":{sum},")), "{json}");
    }
}

#[test]
fn profile_t2_over_ipfix() {
    let records = records(&conversation(), &["--nf-version", "10", "--profile", "t2"]);
    let layout = records[0].layout();
    assert_eq!(layout[..2], [(152, 8), (153, 8)]);
    assert_eq!(layout[2..23], T2);
    assert_eq!(layout[23..], [(136, 1), (401, 8)]);
    assert_eq!((records[0].message.domain, records[0].number(1)), (666, 40));
}

#[test]
fn icmp_shows_type_and_code() {
    let capture = Capture::new().ipv4(0, (1, 2), 1, &[3, 1, 0, 0, 0, 0, 0, 0]);
    let t2 = records(&capture, &[]);
    assert_eq!([t2[0].number(7), t2[0].number(11)], [0, 0x0301]);
    let standard = records(&capture, &["--nf-version", "10"]);
    assert_eq!(
        [standard[0].number(11), standard[0].number(32)],
        [0x0301, 0x0301]
    );
    let udp = records(&conversation(), &["--nf-version", "10"]);
    assert_eq!([udp[0].number(11), udp[0].number(32)], [53, 0]);
}

#[test]
fn ipv6_has_its_own_template_and_link_flows_none() {
    let capture = Capture::new().arp(0).ipv6_udp(1000, (5000, 6000), 5);
    let (outcome, datagrams) = export(&capture, &[]);
    let records = decode(&datagrams);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].template, records[0].number(60)), (257, 6));
    assert_eq!(records[0].value(28)[15], 2);
    let (_, counters) = &outcome.report.netflow[0];
    assert_eq!((counters.sent.records, counters.encoded.records), (1, 1));
    assert_eq!(outcome.report.meter.link_flows, 1);
}

/// `flows` one-packet flows.
fn many(flows: u16) -> Capture {
    (0..flows).fold(Capture::new(), |capture, n| {
        capture.udp(u64::from(n), (1, 2), (2000 + n, 1000), 1)
    })
}

#[test]
fn messages_keep_to_their_size_and_count() {
    let all = many(500);
    let (_, datagrams) = export(&all, &[]);
    assert_eq!(decode(&datagrams).len(), 500);
    assert!(datagrams.iter().all(|datagram| datagram.len() <= 1400));
    // 18 records of 74 octets fit beside header and set header.
    assert!(
        datagrams.len() <= 500_usize.div_ceil(18) + 2,
        "{}",
        datagrams.len()
    );
    let (_, datagrams) = export(&all, &["--mtu", "500"]);
    assert!(datagrams.iter().all(|datagram| datagram.len() <= 500));
    assert_eq!(decode(&datagrams).len(), 500);
    let (_, datagrams) = export(&all, &["--nf-num4flws", "5"]);
    assert!(datagrams.len() >= 100);
    assert_eq!(decode(&datagrams).len(), 500);
    // A late collector: templates come again every so many messages.
    let (_, datagrams) = export(&all, &["--template-refresh-messages", "4"]);
    assert!(decode(&datagrams[5..]).len() > 300);
}

#[test]
fn the_rate_is_kept() {
    let start = std::time::Instant::now();
    let (_, datagrams) = export(&many(600), &["--rate", "1000"]);
    assert_eq!(decode(&datagrams).len(), 600);
    assert!(start.elapsed() > Duration::from_millis(500));
}

#[test]
fn tcp_carries_the_same_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let collector = std::thread::spawn(move || {
        let mut stream = Vec::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_end(&mut stream)
            .unwrap();
        stream
    });
    let (outcome, datagrams) = export(
        &many(100),
        &[
            "--nf-version",
            "10",
            "--nf-socktype",
            "tcp",
            "--nf-port",
            &port,
        ],
    );
    assert!(datagrams.is_empty());
    let stream = collector.join().unwrap();
    let messages = messages(&stream);
    assert_eq!(decode(&messages).len(), 100);
    let (_, counters) = &outcome.report.netflow[0];
    assert_eq!(
        (counters.sent.messages, counters.sent.records),
        (messages.len() as u64, 100)
    );
}

#[test]
fn sigterm_sends_what_was_read_from_a_pipe() {
    let collector = Collector::new();
    let mut t2x = std::process::Command::new(assert_cmd::cargo::cargo_bin("t2x"))
        .args([
            "-r",
            "-",
            "--nf-addr",
            "127.0.0.1",
            "--nf-port",
            &collector.port(),
        ])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = t2x.stdin.take().unwrap();
    pipe.write_all(&conversation().0).unwrap();
    pipe.flush().unwrap();
    wait_for_signals(t2x.id());
    std::thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(t2x.id().cast_signed()), Signal::SIGTERM).unwrap();
    let output = t2x.wait_with_output().unwrap();
    // The pipe is still open: it was the signal that ended it.
    drop(pipe);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(collector.records().len(), 2);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("Capture: standard input")
    );
}
