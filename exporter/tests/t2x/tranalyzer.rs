//! The end report beside Tranalyzer's own of the same captures, number by number. What it says of text columns is
//! compared with the flows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::read;

/// Where ours says what a line of Tranalyzer's report says, and how the line is read.
struct Line {
    label: &'static str,
    /// Members of our report, one for each number.
    ours: &'static [&'static str],
}

const fn line(label: &'static str, ours: &'static [&'static str]) -> Line {
    Line { label, ours }
}

const LINES: &[Line] = &[
    line("Snapshot length", &["inputs.0.snapshotLength"]),
    line("Number of processed packets", &["packets.packets"]),
    line("Number of processed bytes", &["packets.capturedOctets"]),
    line("Number of raw bytes", &["packets.wireOctets"]),
    line("Number of pad bytes", &["packets.paddingOctets"]),
    line("Number of pcap bytes", &["packets.captureOctets"]),
    line("Number of L2 packets", &["packets.withoutIp"]),
    line("Number of IPv4 packets", &["packets.ipv4"]),
    line("Number of IPv6 packets", &["packets.ipv6"]),
    line("Number of A packets", &["packets.aPackets"]),
    line("Number of B packets", &["packets.bPackets"]),
    line("Number of A bytes", &["packets.aOctets"]),
    line("Number of B bytes", &["packets.bOctets"]),
    line("<A packet load>", &["packets.octetsPerAPacket"]),
    line("<B packet load>", &["packets.octetsPerBPacket"]),
    line("basicStats: Flow max(pktload)", &["extremes.largestLoad"]),
    line(
        "basicStats: Flow max(b/s), pkts",
        &["extremes.fastest", "extremes.fastestPackets"],
    ),
    line("Max VLAN header count", &["protocols.maxVlanTags"]),
    line("Max MPLS header count", &["protocols.maxMplsLabels"]),
    line("Number of ARP packets", &["protocols.arp"]),
    line("Number of GRE packets", &["protocols.gre"]),
    line("Number of IGMP packets", &["protocols.igmp"]),
    line("Number of ICMP packets", &["protocols.icmp"]),
    line("Number of ICMPv6 packets", &["protocols.icmpv6"]),
    line("Number of TCP packets", &["protocols.tcp"]),
    line("Number of TCP bytes", &["protocols.tcpOctets"]),
    line("Number of UDP packets", &["protocols.udp"]),
    line("Number of UDP bytes", &["protocols.udpOctets"]),
    line("Number of SCTP packets", &["protocols.sctp"]),
    line(
        "Number of IPv4 fragmented packets",
        &["protocols.ipv4Fragments"],
    ),
    line(
        "Number of IPv6 fragmented packets",
        &["protocols.ipv6Fragments"],
    ),
    line("Number of processed flows", &["flows.flows"]),
    line("Number of processed L2 flows", &["flows.withoutIp"]),
    line("Number of processed IPv4 flows", &["flows.ipv4"]),
    line("Number of processed IPv6 flows", &["flows.ipv6"]),
    line("Number of processed A flows", &["flows.a"]),
    line("Number of processed B flows", &["flows.b"]),
    line("Number of request flows", &["flows.request"]),
    line("Number of reply flows", &["flows.reply"]),
    line("Total A/B flow asymmetry", &["flows.abAsymmetry"]),
    line(
        "Total req/rply flow asymmetry",
        &["flows.requestReplyAsymmetry"],
    ),
    line(
        "Number of processed A+B packets/A+B flows",
        &["flows.packetsPerFlow"],
    ),
    line(
        "Number of processed total packets/s",
        &["rates.packetsPerSecond"],
    ),
    line("<Number of processed flows/s>", &["rates.flowsPerSecond"]),
    line("<Raw bandwidth>", &["rates.wire"]),
    line("Max number of flows in memory", &["memory.maxFlows"]),
    line("Aggregated flowStat", &["memory.flowStat"]),
];

/// Differences that are known: the capture, a part of the line's label, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "pppoe",
        "flowStat",
        "flowStat is summed before its last bits are set",
    ),
    (
        "ipv6-mobility-dst-opts",
        "",
        "a transport header is read behind the end of the datagram",
    ),
    ("gre-erspan3-dot1q", "", "ERSPAN type III is not read"),
    (
        "ipv6-fragmented-dns",
        "IPv6 fragmented",
        "IPv6 fragments count twice",
    ),
    (
        "ipv6-fragmented-dns",
        "",
        "later fragments of IPv6 are a flow of their own",
    ),
    (
        "ipv6-http-atomic-frag",
        "IPv6 fragmented",
        "atomic fragments count as fragments",
    ),
    (
        "Teredo",
        "",
        "a closed connection waits behind Teredo's bubbles",
    ),
    (
        "truncated-header",
        "packet load",
        "octets are those that were captured",
    ),
    (
        "truncated-header",
        "bytes",
        "octets are those that were captured",
    ),
    (
        "ftp-crack",
        "in memory",
        "flows wait behind one that is not due: the clock runs back",
    ),
];

/// The lines of Tranalyzer's report: label and the rest.
fn lines(report: &str) -> Vec<(String, String)> {
    let lines = report.lines().filter_map(|line| {
        let (label, rest) = line.rsplit_once(": ").or_else(|| line.split_once('='))?;
        let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((label, rest.to_owned()))
    });
    lines.collect()
}

/// The numbers of a line, without units and percentages.
fn numbers(rest: &str) -> Vec<String> {
    let numbers = rest.split(", ").map(|part| {
        let number = part.split_whitespace().next().unwrap_or_default();
        number.to_owned()
    });
    numbers.collect()
}

/// What is at `a.b.c`.
fn member<'a>(told: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .fold(told, |value, name| match name.parse::<usize>() {
            Ok(at) => &value[at],
            Err(_) => &value[name],
        })
}

/// Whether two numbers are the same, as far as Tranalyzer prints them.
fn same(theirs: &str, ours: &Value) -> bool {
    match ours {
        Value::String(text) => {
            let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
            hex(theirs) == hex(text)
        }
        Value::Null => theirs.parse() == Ok(0.0),
        number => {
            let (Ok(theirs), Some(ours)) = (theirs.parse::<f64>(), number.as_f64()) else {
                return false;
            };
            // Two decimals at most, and rates of single precision.
            (theirs - ours).abs() <= (ours.abs() * 2e-7).max(0.005_001)
        }
    }
}

#[test]
fn the_report_agrees_with_tranalyzers() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut equal, mut compared) = (0, 0);
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for part in ["edge", "medium"] {
        for entry in std::fs::read_dir(corpus.join("tranalyzer").join(part)).unwrap() {
            let case = entry.unwrap().path();
            let report = std::fs::read_to_string(case.join("report.txt")).unwrap();
            let file = report
                .lines()
                .find_map(|line| line.strip_prefix("Processing file: "));
            let mut command = read(&case.join(file.unwrap()));
            command.args(["--sink", "text", "--report", "json", "-w"]);
            let output = command.arg(folder.path().join("out")).output().unwrap();
            let Ok(told) = serde_json::from_slice::<Value>(&output.stderr) else {
                assert!(
                    report.contains("FDDI"),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                continue;
            };
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            for (label, rest) in lines(&report) {
                let Some(line) = LINES.iter().find(|line| line.label == label) else {
                    continue;
                };
                for (theirs, path) in numbers(&rest).iter().zip(line.ours) {
                    let ours = member(&told, path);
                    compared += 1;
                    let known = KNOWN
                        .iter()
                        .find(|(case, part, _)| name == *case && line.label.contains(part));
                    match known {
                        _ if same(theirs, ours) => equal += 1,
                        Some((.., cause)) => *causes.entry(cause).or_default() += 1,
                        None => unexplained.push(format!("{name}: {label}: {theirs}, ours {ours}")),
                    }
                }
            }
        }
    }
    println!("{equal} of {compared} numbers equal; different: {causes:#?}");
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(
        KNOWN.iter().all(|(.., cause)| causes.contains_key(cause)),
        "{causes:#?}"
    );
    assert!(compared > 1000);
}
