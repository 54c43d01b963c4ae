//! Every capture of the corpus through the whole program: what was read is in the flows that every sink got, or
//! counted by its cause.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;

use exporter::cli::Cli;
use exporter::config::{Captures, Config, Input};
use exporter::run::{Outcome, run};
use exporter::signals::Signals;

use crate::support::{decode, messages};

/// What a run came to, and the packets that text, JSON and IPFIX have.
struct Ran {
    outcome: anyhow::Result<Outcome>,
    text: u64,
    json: u64,
    ipfix: u64,
    records: usize,
}

/// All sinks: text and JSON to `prefix`, IPFIX to `port`.
fn config(prefix: &str, port: &str) -> Config {
    let sinks = [
        "t2x",
        "-r",
        "-",
        "-w",
        prefix,
        "--sink",
        "text,json,netflow",
    ];
    let ipfix = [
        "--nf-version",
        "10",
        "--nf-socktype",
        "tcp",
        "--nf-port",
        port,
    ];
    let cli = Cli::try_parse_from(sinks.iter().chain(&ipfix)).unwrap();
    Config::new(&cli, &|_| None).unwrap()
}

fn run_all(config: &Config, prefix: &str, listener: &TcpListener) -> Ran {
    std::thread::scope(|scope| {
        // Connects only when the capture can be opened.
        let ran = scope.spawn(|| run(config, &Signals::default()));
        let mut stream = Vec::new();
        let connected = loop {
            match listener.accept() {
                Ok((connection, _)) => break Some(connection),
                Err(_) if ran.is_finished() => break listener.accept().ok().map(|(c, _)| c),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        };
        if let Some(mut connection) = connected {
            connection.set_nonblocking(false).unwrap();
            connection.read_to_end(&mut stream).unwrap();
        }
        let outcome = ran.join().unwrap();
        let read = |ending| std::fs::read_to_string(format!("{prefix}{ending}"));
        let records = decode(&messages(&stream));
        Ran {
            text: read("_flows.txt").map_or(0, |text| column(&text, "pktsSnt")),
            json: read("_flows.json").map_or(0, |text| members(&text, "pktsSnt")),
            ipfix: records.iter().map(|record| record.number(2)).sum(),
            records: records.len(),
            outcome,
        }
    })
}

/// The sum of a column.
fn column(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default().split('\t');
    let at = names.into_iter().position(|found| found == name).unwrap();
    let values = lines.map(|line| line.split('\t').nth(at).unwrap().parse::<u64>());
    values.map(Result::unwrap).sum()
}

/// The sum of a member of all objects.
fn members(text: &str, name: &str) -> u64 {
    let objects = text.lines().map(serde_json::from_str::<serde_json::Value>);
    objects
        .map(|object| object.unwrap()[name].as_u64().unwrap())
        .sum()
}

#[test]
fn no_packet_is_lost_between_capture_and_sinks() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("out");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let prefix = prefix.to_str().unwrap();
    let mut config = config(prefix, &port);
    let (mut packets, mut flows, mut captures) = (0, 0, 0);
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut refused = Vec::new();
    let is_capture = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !name.ends_with(".tsv") && !name.ends_with(".txt") && !name.ends_with(".py")
    };
    let all = golden::harness::files_below(&corpus.join("pcaps"))
        .into_iter()
        .chain(golden::harness::files_below(&corpus.join("tranalyzer")));
    for capture in all.filter(is_capture) {
        let name = capture.strip_prefix(&corpus).unwrap().display().to_string();
        for ending in ["_flows.txt", "_flows.json", "_headers.txt"] {
            let _ = std::fs::remove_file(folder.path().join(format!("out{ending}")));
        }
        config.input = Input::Captures(Captures::One(capture));
        let ran = run_all(&config, prefix, &listener);
        let report = match ran.outcome {
            Ok(outcome) => outcome.report,
            Err(error) => {
                refused.push(format!("{error:#}"));
                continue;
            }
        };
        let (read, meter) = (report.packets.packets, report.meter);
        let lost = report.dissect.unknown_link + report.dissect.short_frames;
        assert_eq!(meter.packets + lost, read, "{name}");
        assert_eq!([ran.text, ran.json], [meter.packets; 2], "{name}");
        assert_eq!(ran.ipfix, meter.packets, "{name}");
        let (_, sent) = &report.netflow[0];
        assert_eq!(
            [ran.records as u64, sent.sent.records],
            [meter.flows; 2],
            "{name}"
        );
        packets += read;
        flows += meter.flows;
        captures += 1;
        *causes.entry("unknown link type").or_default() += report.dissect.unknown_link;
        *causes.entry("shorter than the link header").or_default() += report.dissect.short_frames;
    }
    println!(
        "{captures} captures, {packets} packets, {flows} flows; without flow: {causes:?}; refused: {refused:#?}"
    );
    assert!(captures > 600 && packets > 50_000);
    // Nothing but these is no capture, and that is said of each.
    let known = [
        ": not a capture: the file is empty",
        ": not a pcap or pcapng capture: ",
        " is not supported",
        " is not known",
        ": the capture is cut: the file header",
        " is damaged: ",
    ];
    let unknown = refused
        .iter()
        .filter(|error| !known.iter().any(|part| error.contains(part)));
    assert_eq!(unknown.count(), 0, "{refused:#?}");
}
