//! Other people's exporters, and ours, metering known traffic: what `t2check exporter --pcap` says of each, as an exact
//! list. Every alarm was counted by tshark; the counts stand beside it, and are taken again here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use golden::harness;
use serde_json::Value;

/// The replica of the tutorial's capture, and nine captures of the corpus: fragments, tags, labels, a tunnel, options.
const CAPTURES: [&str; 10] = [
    "replica",
    "pcaps/m57/m57-18-19nov-subset.pcap",
    "pcaps/m57/m57-13-22nov-subset.pcap",
    "pcaps/m57/ppp-ip6_fragments.pcap",
    "pcaps/flowtest/gre.pcap",
    "pcaps/flowtest/ipv4-udp-fragmented.pcap",
    "pcaps/flowtest/ICMP_across_dot1q.pcap",
    "pcaps/flowtest/mpls-vpn-transport-vpn-labels.pcap",
    "pcaps/flowtest/ipv6-hop-by-hop.pcap",
    "pcaps/flowtest/tls12.pcap",
];

/// An exporter, as it is run and declared.
struct Exporter {
    name: &'static str,
    /// Its program, if it is not ours.
    program: Option<&'static str>,
    command: &'static str,
    dut: &'static str,
    /// Captures by default; all of them with `T2_METERED=all`.
    few: usize,
    /// Capture, and the rules that are broken on it.
    broken: &'static [(&'static str, &'static [&'static str])],
}

/// What is broken, and why it is the exporter's fault:
/// * softflowd 1.1.0 reports what follows the link header, with padding and trailer, as octetDeltaCount: with
///   `bytes = "ip"` keys with short packets differ (see [`softflowd_counts_padding`]); declared as it is, all fit. Of
///   IPv6 datagrams in fragments all but the first are put under protocol 0.
/// * nfpcapd 1.7.1 puts IPv6 fragments under protocol 44, and what follows a hop-by-hop header under 0; an IPv4 datagram
///   in four fragments is one packet of it.
const EXPORTERS: [Exporter; 6] = [
    Exporter {
        name: "t2x v9",
        program: None,
        command: "{t2x} -r {pcap} --nf-addr {host} --nf-port {port}",
        dut: "bytes = \"l7\"\ntunnel = \"inner\"\n",
        few: 10,
        broken: &[],
    },
    Exporter {
        name: "t2x IPFIX",
        program: None,
        command: "{t2x} -r {pcap} --nf-version 10 --nf-addr {host} --nf-port {port}",
        dut: "tunnel = \"inner\"\n",
        few: 10,
        broken: &[],
    },
    Exporter {
        name: "softflowd v9",
        program: Some("softflowd"),
        command: "softflowd -r {pcap} -a -d -c none -p {dir}/pid -v 9 -n {host}:{port}",
        dut: "bytes = \"link-payload\"\ntimes = \"pair\"\n",
        few: 10,
        broken: &[
            ("m57-13-22nov-subset.pcap", &["M-01", "M-04"]),
            ("ppp-ip6_fragments.pcap", &["M-01", "M-04"]),
        ],
    },
    Exporter {
        name: "softflowd IPFIX, biflows",
        program: Some("softflowd"),
        command: "softflowd -r {pcap} -a -d -c none -p {dir}/pid -v 10 -b -A milli -n {host}:{port}",
        dut: "bytes = \"link-payload\"\ntimes = \"pair\"\n",
        few: 10,
        broken: &[
            ("m57-13-22nov-subset.pcap", &["M-01", "M-04"]),
            ("ppp-ip6_fragments.pcap", &["M-01", "M-04"]),
        ],
    },
    Exporter {
        name: "nfpcapd, sent by nfreplay",
        program: Some("nfpcapd"),
        command: "nfpcapd -r {pcap} -w {dir} -S 0 && for f in {dir}/nfcapd.2*; do nfreplay -r $f -H {host} -p {port} -v 9; done",
        dut: "tunnel = \"inner\"\n",
        few: 10,
        broken: &[
            ("m57-13-22nov-subset.pcap", &["M-01", "M-04"]),
            ("ppp-ip6_fragments.pcap", &["M-01", "M-04"]),
            ("ipv4-udp-fragmented.pcap", &["M-01", "M-04"]),
            ("ipv6-hop-by-hop.pcap", &["M-01"]),
        ],
    },
    Exporter {
        name: "nfprobe IPFIX",
        program: Some("pmacctd"),
        command: "printf 'pcap_savefile: {pcap}\\nplugins: nfprobe\\nnfprobe_receiver: {host}:{port}\\nnfprobe_version: 10\\n\
                  nfprobe_timeouts: general=2:expint=1:maxlife=5\\naggregate: src_host,dst_host,src_port,dst_port,proto,tos\\n\
                  daemonize: false\\n' > {dir}/conf && pmacctd -f {dir}/conf",
        dut: "times = \"pair\"\n",
        few: 1,
        broken: &[],
    },
];

/// The capture of this name; `None` without the corpus.
fn capture(name: &str, folder: &Path) -> Option<PathBuf> {
    if name == "replica" {
        let path = folder.join("faf-replica.pcap");
        let bytes = golden::replica::capture().expect("the replica's plan");
        fs::write(&path, bytes).expect("the replica is written");
        return Some(path);
    }
    Some(harness::corpus()?.join(name))
}

/// The report of one run, by rule.
fn metered(command: &str, dut: &str, pcap: &Path, folder: &Path) -> BTreeMap<String, Value> {
    let declared = folder.join("dut.toml");
    fs::write(&declared, dut).expect("the declaration is written");
    let json = folder.join("report.json");
    let t2x = harness::program("t2x");
    let mut t2check = Command::new(harness::program("t2check"));
    t2check
        .args([
            "exporter",
            "--only",
            "M-01,M-02,M-03,M-04,M-05",
            "--seconds",
            "120",
        ])
        .arg("--pcap")
        .arg(pcap)
        .arg("--dut")
        .arg(declared)
        .args([
            "--replay",
            &command.replace("{t2x}", &t2x.to_string_lossy()),
        ])
        .arg("--json")
        .arg(&json);
    let ended = harness::run(&mut t2check);
    assert!(
        matches!(ended.code(), Some(0 | 3)),
        "{command} of {}: {}{}",
        pcap.display(),
        ended.text(),
        ended.stderr
    );
    results_of(&json)
}

fn results_of(json: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(json).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    report["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| {
            (
                result["id"].as_str().unwrap_or_default().to_owned(),
                result.clone(),
            )
        })
        .collect()
}

fn judged(exporter: &Exporter) {
    if exporter
        .program
        .is_some_and(|program| harness::peer(program).is_none())
    {
        return;
    }
    let all = std::env::var("T2_METERED").is_ok_and(|which| which == "all");
    let few = if all { CAPTURES.len() } else { exporter.few };
    let folder = harness::temp_dir();
    for name in CAPTURES.iter().take(few) {
        let Some(pcap) = capture(name, folder.path()) else {
            harness::skip("no corpus");
            continue;
        };
        let results = metered(exporter.command, exporter.dut, &pcap, folder.path());
        let broken: Vec<&str> = results
            .iter()
            .filter(|(_, result)| {
                !matches!(result["verdict"].as_str(), Some("PASS" | "NOT APPLICABLE"))
            })
            .map(|(id, _)| id.as_str())
            .collect();
        let expected = exporter
            .broken
            .iter()
            .find(|(capture, _)| pcap.ends_with(capture))
            .map_or(&[][..], |(_, rules)| rules);
        assert_eq!(
            broken, expected,
            "{} on {name}: {results:#?}",
            exporter.name
        );
        // A judge that found nothing to judge has not let anybody pass.
        assert_ne!(results["M-01"]["verdict"], "NOT APPLICABLE", "{name}");
    }
}

#[test]
fn ours() {
    EXPORTERS[..2].iter().for_each(judged);
}

#[test]
fn softflowd() {
    EXPORTERS[2..4].iter().for_each(judged);
}

#[test]
fn nfpcapd() {
    judged(&EXPORTERS[4]);
}

#[test]
fn nfprobe() {
    judged(&EXPORTERS[5]);
}

/// Packets on an interface: a pair of interfaces in a network of its own, tcpreplay on one, the exporter on the other.
fn injected(exporter: &str, dut: &str) -> Option<BTreeMap<String, Value>> {
    for program in ["tcpreplay", "unshare", "ip"] {
        harness::peer(program)?;
    }
    let Some(corpus) = harness::corpus() else {
        harness::skip("no corpus");
        return None;
    };
    let folder = harness::temp_dir();
    fs::write(folder.path().join("dut.toml"), dut).expect("the declaration is written");
    let script = format!(
        "set -e\nip link set lo up\nip link add v0 type veth peer name v1\n\
         for v in v0 v1; do echo 1 > /proc/sys/net/ipv6/conf/$v/disable_ipv6; ip link set $v up; done\n\
         exec {} exporter --pcap {} --inject v0 --quiet 3 --seconds 100 --dut {dir}/dut.toml --json {dir}/report.json \
         --start '{}'",
        harness::program("t2check").display(),
        corpus.join("pcaps/flowtest/http_get.pcap").display(),
        exporter.replace("{t2x}", &harness::program("t2x").to_string_lossy()),
        dir = folder.path().display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c"]);
    // The interfaces of the new network, not of the old one.
    command.arg("mount -t sysfs sysfs /sys && sh -c \"$0\"");
    let ended = harness::run(command.arg(script));
    if ended.code() == Some(1) && ended.stderr.starts_with("unshare: ") {
        harness::skip("no network of its own can be made: not root");
        return None;
    }
    assert!(
        matches!(ended.code(), Some(0 | 3)),
        "{}{}",
        ended.text(),
        ended.stderr
    );
    Some(results_of(&folder.path().join("report.json")))
}

/// 40 packets of one connection, all of which are there. softflowd gets them only when its queue is full, and dies of
/// SIGTERM with what it has: it is to send everything after a second.
#[test]
fn packets_on_an_interface() {
    for (exporter, dut) in [
        (
            "{t2x} -i v1 --nf-version 10 --nf-addr {host} --nf-port {port}",
            "",
        ),
        (
            "softflowd -i v1 -d -c none -p {dir}/pid -t maxlife=1 -t expint=1 -v 10 -A milli -n {host}:{port}",
            "bytes = \"link-payload\"\ntimes = \"pair\"\n",
        ),
    ] {
        if !exporter.starts_with("{t2x}") && harness::peer("softflowd").is_none() {
            continue;
        }
        let Some(results) = injected(exporter, dut) else {
            return;
        };
        for rule in ["M-01", "M-02", "M-07"] {
            let result = &results[rule];
            assert_eq!(result["verdict"], "PASS", "{exporter}: {result:#}");
        }
    }
}

/// What tshark shows of the packets that a filter wants: lines of these fields.
fn tshark(pcap: &Path, filter: &str, fields: &[&str]) -> Option<Vec<Vec<u64>>> {
    let mut command = Command::new(harness::peer("tshark")?);
    command
        .arg("-r")
        .arg(pcap)
        .args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let text = harness::run(&mut command).success().text();
    let number = |cell: &str| cell.split(',').next().and_then(|first| first.parse().ok());
    Some(
        text.lines()
            .map(|line| line.split('\t').filter_map(number).collect())
            .collect(),
    )
}

/// The evidence of a rule, one line a key.
fn notes(results: &BTreeMap<String, Value>, rule: &str) -> Vec<String> {
    let notes = results[rule]["notes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    notes
        .iter()
        .map(|note| note.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// 192.168.1.102:1400 to 192.168.1.1:25 in the replica: tshark counts 16 packets with 2170 octets of IP, and 2264 octets
/// after their Ethernet headers, which is what softflowd reports.
#[test]
fn softflowd_counts_padding() {
    if harness::peer("softflowd").is_none() {
        return;
    }
    let folder = harness::temp_dir();
    let pcap = capture("replica", folder.path()).expect("the replica");
    let results = metered(
        EXPORTERS[2].command,
        "times = \"pair\"\n",
        &pcap,
        folder.path(),
    );
    assert_eq!(results["M-01"]["verdict"], "WRONG DATA");
    let filter = "ip.src==192.168.1.102 && tcp.srcport==1400";
    let Some(packets) = tshark(&pcap, filter, &["ip.len", "frame.len"]) else {
        return;
    };
    let ip: u64 = packets.iter().map(|packet| packet[0]).sum();
    let frames: u64 = packets.iter().map(|packet| packet[1] - 14).sum();
    assert_eq!((packets.len(), ip, frames), (16, 2170, 2264));
    let notes = notes(&results, "M-01");
    let note = notes
        .iter()
        .find(|note| note.starts_with("192.168.1.102:1400 to 192.168.1.1:25, TCP: "))
        .unwrap_or_else(|| panic!("{notes:#?}"));
    assert!(
        note.contains(": 16 packets with 2170 octets in the capture")
            && note.contains(", 16 with 2264 reported in 1 records")
            && note.ends_with("the octets are those of layer link-payload"),
        "{note}"
    );
}

/// The datagram of 5387 octets in four fragments: tshark counts 4 packets with 5467 octets, nfpcapd one with 5407.
#[test]
fn nfpcapd_counts_datagrams() {
    let folder = harness::temp_dir();
    let name = CAPTURES[5];
    let (Some(_), Some(pcap)) = (harness::peer("nfpcapd"), capture(name, folder.path())) else {
        return;
    };
    let results = metered(EXPORTERS[4].command, EXPORTERS[4].dut, &pcap, folder.path());
    let Some(packets) = tshark(&pcap, "ip.src==131.179.196.220", &["ip.len"]) else {
        return;
    };
    let octets: u64 = packets.iter().map(|packet| packet[0]).sum();
    assert_eq!((packets.len(), octets), (4, 5467));
    let notes = notes(&results, "M-04");
    assert!(
        matches!(&notes[..], [note] if note.contains("1 with 5407 reported in 1 records") && note.ends_with("3 packets are missing")),
        "{notes:#?}"
    );
}

/// IPv6 fragments: tshark counts 20 and 16 fragments of UDP datagrams, of which softflowd and nfpcapd report 2 each
/// and none under UDP.
#[test]
fn ipv6_fragments_are_under_another_protocol() {
    let folder = harness::temp_dir();
    let Some(pcap) = capture(CAPTURES[3], folder.path()) else {
        harness::skip("no corpus");
        return;
    };
    let Some(packets) = tshark(&pcap, "ipv6.fraghdr.nxt==17", &["frame.len"]) else {
        return;
    };
    assert_eq!(packets.len(), 36);
    for (exporter, protocol, seen) in [
        (&EXPORTERS[2], "protocol 0", 2),
        (&EXPORTERS[4], "protocol 44", 0),
    ] {
        if exporter
            .program
            .is_some_and(|program| harness::peer(program).is_none())
        {
            return;
        }
        let results = metered(exporter.command, exporter.dut, &pcap, folder.path());
        let sums = notes(&results, "M-01");
        let (strange, missing): (Vec<&String>, Vec<&String>) =
            sums.iter().partition(|note| note.contains(protocol));
        assert_eq!((strange.len(), missing.len()), (2, 2), "{sums:#?}");
        for (note, count) in missing.iter().zip([20, 16]) {
            let end = format!(": {} packets are missing", count - seen);
            assert!(note.ends_with(&end), "{}: {note}", exporter.name);
        }
    }
}
