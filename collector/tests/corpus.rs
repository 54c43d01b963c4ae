//! Real exports of many vendors (`netflow/` of the corpus): read without a panic, and as other programs read them.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use exporter::capture::CaptureFile;
use golden::harness;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};
use protocol::limits::Limits;
use protocol::session::{DataRecord, Events, Session};
use protocol::template::TemplateKind;
use serde_json::Value;
use support::t2collect;
use tap::{Message, MessageFile, Receiver, Tap};

/// All files of the corpus; `None` where there is no corpus.
fn corpus() -> Option<(PathBuf, Vec<PathBuf>)> {
    let corpus = harness::corpus()?;
    let found = harness::files_below(&corpus.join("netflow"));
    assert!(found.len() >= 100, "{}", found.len());
    Some((corpus, found))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn records(file: &Path) -> Vec<Value> {
    let mut command = t2collect();
    command.arg("-f").arg(file);
    let ended = harness::run(command.args(["--json", "-", "--no-nfcapd"]));
    ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_file_is_read_without_a_panic() {
    let Some((_, files)) = corpus() else { return };
    let (mut lines, mut refused) = (0, Vec::new());
    for file in &files {
        let mut command = t2collect();
        command.arg("-f").arg(file);
        command.args(["--json", "-", "--events", "--explain", "--no-nfcapd"]);
        let ended = harness::run(&mut command);
        assert!(
            !ended.stderr.contains("panicked"),
            "{}: {}",
            file.display(),
            ended.stderr
        );
        match ended.code() {
            Some(0) => {}
            Some(1) => refused.push(name(file)),
            code => panic!("{}: {code:?}", file.display()),
        }
        for line in ended.text().lines() {
            serde_json::from_str::<Value>(line).unwrap();
            lines += 1;
        }
    }
    assert_eq!(refused, [""; 0]);
    // tshark finds 1700 records in the captures alone.
    assert!(lines > 10_000, "{lines}");
}

/// Captures that tshark reads otherwise: records there and here, and why.
const TSHARK_DIFFERS: [(&str, usize, usize); 5] = [
    // Its count is not that of the records that follow: the packet is broken, and logstash expects nothing, too.
    ("Netflow-5-invalid-01.pcap", 30, 0),
    ("Netflow-5-invalid-02.pcap", 30, 0),
    // The header counts fewer FlowSets than there are; tshark stops at the count.
    ("Netflow-9-invalid-01.pcap", 0, 3),
    ("netflow9.pcap", 18, 22),
    // Data before its template, which waits here.
    ("nprobe-netflow9-4.pcap", 2, 9),
];

#[test]
fn as_many_records_as_tshark_finds() {
    let Some((_, files)) = corpus() else { return };
    let Some(tshark) = harness::peer("tshark") else {
        return;
    };
    let (mut differ, mut equal) = (Vec::new(), 0);
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "pcap"))
    {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&tshark);
            command.arg("-r").arg(file).args(arguments);
            harness::run(&mut command).text()
        };
        let ports = [2055, 4739, 9991, 9992].map(|port| format!("udp.port=={port},cflow"));
        let mut arguments = vec!["-V", "-O", "cflow"];
        ports.iter().for_each(|port| arguments.extend(["-d", port]));
        let text = run(&arguments);
        let theirs = text
            .lines()
            .filter(|line| {
                let mut words = line.split_whitespace();
                matches!(words.next(), Some("Flow" | "pdu"))
                    && words
                        .next()
                        .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            })
            .count();
        let ours = records(file).len();
        if ours == theirs {
            equal += 1;
        } else {
            differ.push((name(file), theirs, ours));
        }
    }
    differ.sort();
    let mut expected: Vec<_> = TSHARK_DIFFERS
        .map(|(name, theirs, ours)| (name.to_owned(), theirs, ours))
        .to_vec();
    expected.sort();
    assert_eq!((differ, equal), (expected, 30));
}

/// Names that logstash gives to elements; where there are several, the record has one of them.
const LOGSTASH: [(&str, &[&str]); 61] = [
    ("scope_system", &["scopeSystem"]),
    ("in_bytes", &["octetDeltaCount"]),
    ("in_pkts", &["packetDeltaCount"]),
    ("out_bytes", &["postOctetDeltaCount", "octetDeltaCount"]),
    ("out_pkts", &["postPacketDeltaCount", "packetDeltaCount"]),
    ("ipv4_src_addr", &["sourceIPv4Address"]),
    ("ipv4_dst_addr", &["destinationIPv4Address"]),
    ("ipv6_src_addr", &["sourceIPv6Address"]),
    ("ipv6_dst_addr", &["destinationIPv6Address"]),
    ("l4_src_port", &["sourceTransportPort"]),
    ("l4_dst_port", &["destinationTransportPort"]),
    ("tcp_src_port", &["tcpSourcePort"]),
    ("tcp_dst_port", &["tcpDestinationPort"]),
    ("udp_src_port", &["udpSourcePort"]),
    ("udp_dst_port", &["udpDestinationPort"]),
    ("protocol", &["protocolIdentifier"]),
    ("tcp_flags", &["tcpControlBits"]),
    ("src_tos", &["ipClassOfService"]),
    ("ip_dscp", &["ipDiffServCodePoint"]),
    ("input_snmp", &["ingressInterface"]),
    ("output_snmp", &["egressInterface"]),
    ("src_mask", &["sourceIPv4PrefixLength"]),
    ("dst_mask", &["destinationIPv4PrefixLength"]),
    ("ipv4_src_prefix", &["sourceIPv4Prefix"]),
    ("src_as", &["bgpSourceAsNumber"]),
    ("dst_as", &["bgpDestinationAsNumber"]),
    ("ipv4_next_hop", &["ipNextHopIPv4Address"]),
    ("bgp_ipv4_next_hop", &["bgpNextHopIPv4Address"]),
    ("direction", &["flowDirection"]),
    ("first_switched", &["flowStartMilliseconds"]),
    ("last_switched", &["flowEndMilliseconds"]),
    ("flow_start_msec", &["flowStartMilliseconds"]),
    ("event_time_msec", &["observationTimeMilliseconds"]),
    ("icmp_type", &["icmpTypeIPv4", "icmpTypeCodeIPv4"]),
    ("icmp_code", &["icmpCodeIPv4"]),
    ("in_src_mac", &["sourceMacAddress"]),
    ("in_dst_mac", &["destinationMacAddress"]),
    ("out_src_mac", &["postSourceMacAddress"]),
    ("out_dst_mac", &["postDestinationMacAddress"]),
    ("src_vlan", &["vlanId"]),
    ("dst_vlan", &["postVlanId"]),
    ("ip_protocol_version", &["ipVersion"]),
    ("application_id", &["applicationId"]),
    ("ipv4_ident", &["fragmentIdentification"]),
    ("forwarding_status", &["forwardingStatus"]),
    ("flow_sampler_id", &["samplerId"]),
    ("flow_active_timeout", &["flowActiveTimeout"]),
    ("flow_inactive_timeout", &["flowIdleTimeout"]),
    ("sampling_algorithm", &["samplingAlgorithm"]),
    ("sampling_interval", &["samplingInterval"]),
    ("engine_type", &["engineType"]),
    ("engine_id", &["engineId"]),
    ("total_bytes_exp", &["exportedOctetTotalCount"]),
    ("total_pkts_exp", &["exportedMessageTotalCount"]),
    ("total_flows_exp", &["exportedFlowRecordTotalCount"]),
    ("conn_id", &["flowId"]),
    ("in_permanent_bytes", &["octetTotalCount"]),
    ("xlate_src_addr_ipv4", &["postNATSourceIPv4Address"]),
    ("xlate_dst_addr_ipv4", &["postNATDestinationIPv4Address"]),
    ("xlate_src_port", &["postNAPTSourceTransportPort"]),
    ("xlate_dst_port", &["postNAPTDestinationTransportPort"]),
];

/// Elements of CERT (YAF), Cisco (ASA) and others whose names IANA does not have; numbers are in hexadecimal here.
const VENDORS: [(&str, &str); 23] = [
    ("xlate_dst_port", "0/40004"),
    ("flowAttributes", "6871/40"),
    ("reverseFlowAttributes", "6871/16424"),
    ("silkAppLabel", "6871/33"),
    ("reverseFlowDeltaMilliseconds", "6871/21"),
    ("initialTCPFlags", "6871/14"),
    ("unionTCPFlags", "6871/15"),
    ("reverseInitialTCPFlags", "6871/16398"),
    ("reverseUnionTCPFlags", "6871/16399"),
    ("expiredFragmentCount", "6871/100"),
    ("assembledFragmentCount", "6871/101"),
    ("meanFlowRate", "6871/102"),
    ("meanPacketRate", "6871/103"),
    ("flowTableFlushEventCount", "6871/104"),
    ("flowTablePeakCount", "6871/105"),
    ("fw_event", "0/40005"),
    ("fw_ext_event", "0/33002"),
    ("ingress_acl_id", "0/33000"),
    ("egress_acl_id", "0/33001"),
    ("username", "0/40000"),
    ("xlate_src_addr_ipv4", "0/40001"),
    ("xlate_dst_addr_ipv4", "0/40002"),
    ("xlate_src_port", "0/40003"),
];

/// Of the header, not of the record.
const LOGSTASH_HEADER: [&str; 7] = [
    "flow_seq_num",
    "flow_records",
    "engine_type",
    "engine_id",
    "sampling_algorithm",
    "sampling_interval",
    "flowset_id",
];

/// Whether two times are the same, but for the second too many that logstash adds to what it computes from uptimes.
fn same_time(theirs: &str, ours: &str) -> bool {
    let ms = |text: &str| {
        let text = text.replace("#{micros}", "");
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
    };
    match (ms(theirs), ms(ours)) {
        // An uptime that wrapped (2^32 ms) is none of its worries.
        (Ok(theirs), Ok(ours)) => matches!(theirs - ours, 0 | 1000 | 4_294_968_296 | 4_294_967_296),
        _ => false,
    }
}

/// Whether a value of logstash's is ours; of elements that occur twice it keeps the last.
fn same_value(theirs: &Value, ours: &Value) -> bool {
    if let Value::Array(all) = ours {
        return all.last().is_some_and(|last| same_value(theirs, last));
    }
    let hex = |text: &str| u128::from_str_radix(text, 16).ok();
    match (theirs, ours) {
        (Value::String(theirs), Value::String(ours)) => {
            theirs.eq_ignore_ascii_case(ours)
                || same_time(theirs, ours)
                // Class and selector of an application.
                || theirs.split_once("..").is_some_and(|(class, selector)| {
                    hex(ours.get(..2).unwrap_or("")) == class.parse().ok()
                        && hex(ours.get(2..).unwrap_or("")) == selector.parse().ok()
                })
                || theirs.replace('-', "") == *ours
                || theirs.parse::<std::net::Ipv4Addr>().is_ok_and(|address| hex(ours) == Some(u32::from(address).into()))
                || (theirs.is_empty() && ours.bytes().all(|octet| octet == b'0'))
        }
        // Milliseconds since 1970, or a number that is unknown to us.
        (Value::Number(theirs), Value::String(ours)) => {
            ours.parse::<jiff::Timestamp>()
                .is_ok_and(|ours| Some(ours.as_millisecond()) == theirs.as_i64())
                || hex(ours) == theirs.as_u64().map(u128::from)
        }
        // RFC 7270: two bits of status, six of reason.
        (Value::Object(theirs), Value::Number(ours)) => {
            let part = |key: &str| theirs.get(key).and_then(Value::as_u64);
            part("status")
                .zip(part("reason"))
                .map(|(status, reason)| status << 6 | reason)
                == ours.as_u64()
        }
        _ => theirs == ours,
    }
}

/// What of an event is not in a record.
fn missing(event: &serde_json::Map<String, Value>, record: &Value) -> Vec<String> {
    let fields = &record["fields"];
    let same = |key: &str, value: &Value| {
        if key == "version" || key == "flowset_id" && !record["template"].is_null() {
            return *value
                == record[if key == "version" {
                    "version"
                } else {
                    "template"
                }];
        }
        let known = LOGSTASH.iter().find(|(theirs, _)| *theirs == key);
        let vendor = VENDORS
            .iter()
            .filter(|(theirs, _)| *theirs == key)
            .map(|(_, ours)| *ours);
        let mut keys = known.map_or(vec![key], |(_, ours)| ours.to_vec());
        keys.extend(vendor);
        let mut found = keys.iter().filter_map(|key| fields.get(key));
        found.any(|ours| same_value(value, ours))
            || record["version"] == 5 && LOGSTASH_HEADER.contains(&key)
            || key == "flow_seq_num"
    };
    event
        .iter()
        .filter(|(key, value)| !same(key, value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

#[test]
fn as_logstash_reads_them() {
    let Some((corpus, _)) = corpus() else { return };
    let (mut events, mut fields, mut differ) = (0, 0, Vec::new());
    let mut cases: Vec<PathBuf> = fs::read_dir(corpus.join("expected/logstash"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for case in cases {
        let expected: Value = serde_json::from_slice(&fs::read(&case).unwrap()).unwrap();
        let case = name(&case).replace(".logstash.json", "");
        let ours = records(&corpus.join(format!("netflow/logstash/{case}.pcap")));
        for event in expected["events"].as_array().unwrap() {
            let event = event["netflow"].as_object().unwrap();
            events += 1;
            fields += event.len();
            let nearest = ours
                .iter()
                .map(|record| missing(event, record))
                .min_by_key(Vec::len);
            match nearest {
                Some(missing) if missing.is_empty() => {}
                missing => differ.push((case.clone(), missing)),
            }
        }
    }
    eprintln!(
        "logstash: {} of {events} events equal, {fields} fields",
        events - differ.len()
    );
    assert_eq!(differ, []);
    assert_eq!(events, 30);
}

/// What NetGauze makes of its captures, field by field, where it shows the value and not its meaning.
#[test]
fn as_netgauze_reads_them() {
    let Some((corpus, _)) = corpus() else { return };
    let (mut total, mut compared, mut differ) = (0, 0, Vec::new());
    for (case, file) in [
        ("srv6-flow.json", "srv6.pcap"),
        (
            "100-IPFIXv10-CISCO__traffic-00-flow.json",
            "100-IPFIXv10-CISCO__traffic-00.pcap",
        ),
    ] {
        let expected = fs::read_to_string(corpus.join("expected/netgauze").join(case)).unwrap();
        let mut theirs = Vec::new();
        for line in expected.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            for set in message["IPFIX"]["sets"].as_array().unwrap() {
                let records = set["Data"]["records"].as_array();
                theirs.extend(records.into_iter().flatten().cloned());
            }
        }
        let ours = records(&corpus.join("netflow/netgauze").join(file));
        assert_eq!(theirs.len(), ours.len(), "{case}");
        for (theirs, ours) in theirs.iter().zip(&ours) {
            total += 1;
            let mut seen = BTreeMap::<&str, usize>::new();
            let parts = ["scope_fields", "fields"].map(|part| theirs[part].as_array().unwrap());
            for (key, value) in parts
                .into_iter()
                .flatten()
                .flat_map(|field| field.as_object().unwrap())
            {
                let nth = seen.entry(key).or_default();
                let mine = match &ours["fields"][key] {
                    Value::Array(all) => &all[*nth],
                    one => one,
                };
                *nth += 1;
                // What it names ("ICMP", flags, status) is compared by tshark's and our own tests.
                if value.is_object() || value.is_string() && mine.is_number() || value.is_array() {
                    continue;
                }
                compared += 1;
                let same = value == mine
                    || value
                        .as_str()
                        .zip(mine.as_str())
                        .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b) || same_time(a, b));
                if !same {
                    differ.push(format!("{key}: {value} {mine}"));
                }
            }
        }
    }
    differ.sort();
    differ.dedup();
    eprintln!("NetGauze: {total} records, {compared} values compared");
    assert_eq!(differ, [""; 0]);
    assert!(total == 184 && compared > 2700, "{total} {compared}");
}

/// Telegraf's line protocol: the fields whose names and units are plain.
#[test]
fn as_telegraf_reads_them() {
    let Some((corpus, _)) = corpus() else { return };
    const NAMES: [(&str, &str); 13] = [
        ("src", "sourceIPv4Address"),
        ("dst", "destinationIPv4Address"),
        ("src_port", "sourceTransportPort"),
        ("dst_port", "destinationTransportPort"),
        ("in_bytes", "octetDeltaCount"),
        ("in_packets", "packetDeltaCount"),
        ("in_total_bytes", "octetTotalCount"),
        ("in_total_packets", "packetTotalCount"),
        ("first_switched", "flowStartSysUpTime"),
        ("last_switched", "flowEndSysUpTime"),
        ("flow_start_ms", "flowStartMilliseconds"),
        ("flow_end_ms", "flowEndMilliseconds"),
        ("next_hop", "ipNextHopIPv4Address"),
    ];
    let mut figures = Vec::new();
    for case in ["netflow_v5_example", "netflow_v9_example", "ipfix_example"] {
        let expected =
            fs::read_to_string(corpus.join(format!("expected/telegraf/{case}.expected.out")))
                .unwrap();
        let ours = records(&corpus.join(format!("netflow/telegraf/{case}.pcap")));
        let mut equal = 0;
        let lines: Vec<&str> = expected
            .lines()
            .filter(|line| line.starts_with("netflow,"))
            .collect();
        for line in &lines {
            let fields: BTreeMap<&str, String> = line
                .split(' ')
                .nth(1)
                .unwrap()
                .split(',')
                .filter_map(|field| field.split_once('='))
                .map(|(key, value)| {
                    (
                        key,
                        value.trim_end_matches('u').trim_matches('"').to_owned(),
                    )
                })
                .collect();
            let same = |record: &Value| {
                NAMES.iter().all(|(theirs, name)| {
                    let Some(theirs) = fields.get(theirs) else {
                        return true;
                    };
                    match &record["fields"][name] {
                        Value::String(text) => {
                            text == theirs
                                || text
                                    .parse::<jiff::Timestamp>()
                                    .is_ok_and(|time| time.as_millisecond().to_string() == *theirs)
                        }
                        Value::Null => theirs == "0.0.0.0",
                        other => theirs.parse().is_ok_and(|theirs: Value| *other == theirs),
                    }
                })
            };
            equal += usize::from(ours.iter().any(same));
        }
        figures.push((case, equal, lines.len()));
    }
    eprintln!("Telegraf: {figures:?}");
    assert!(
        figures
            .iter()
            .all(|(_, equal, total)| equal == total && *total > 0),
        "{figures:?}"
    );
}

/// The messages of a file, with their senders.
#[derive(Default)]
struct Messages(Vec<(SocketAddr, Vec<u8>)>);

impl Receiver for Messages {
    fn message(&mut self, message: &Message<'_>) {
        self.0.push((message.from, message.bytes.to_vec()));
    }

    fn closed(&mut self, _: SocketAddr, _: SocketAddr) {}
}

fn messages(file: &Path) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut messages = Messages::default();
    match MessageFile::open(file) {
        Some(mut file) => while file.next_message(&mut messages).unwrap() {},
        None => {
            let (mut capture, mut tap) = (CaptureFile::open(file).unwrap(), Tap::new(Vec::new()));
            while let Ok(Some(batch)) = capture.next_batch() {
                batch.for_each(|frame| tap.frame(&frame, &mut messages));
            }
            tap.finish(&mut messages);
        }
    }
    messages.0
}

/// The values of the flow records, one after the other, that did not wait for a template, with the template's ID; and
/// the IDs of those with a value of no octets, which RFC 7011 section 7 allows: the other decoder drops their set.
#[derive(Default)]
struct Octets(Vec<(u16, Vec<u8>)>, Vec<u16>);

impl Events for Octets {
    fn record(&mut self, record: &DataRecord<'_>) {
        let (template, mut octets) = (record.template, Vec::new());
        if record.late || template.kind() != TemplateKind::Data {
            return;
        }
        for (_, value) in template.values(record.bytes) {
            octets.extend(value);
            if value.is_empty() {
                self.1.push(template.id());
            }
        }
        self.0.push((template.id(), octets));
    }
}

fn octets<'a>(values: impl Iterator<Item = &'a FieldValue>) -> Vec<u8> {
    let mut octets = Vec::new();
    for value in values {
        value.write_be_bytes(&mut octets).unwrap();
    }
    octets
}

/// The same as `netflow_parser` decodes it.
fn independent(packets: Vec<NetflowPacket>) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for packet in packets {
        match packet {
            NetflowPacket::V5(packet) => records.extend(packet.flowsets.iter().map(|flow| {
                let mut octets = [
                    flow.src_addr.octets(),
                    flow.dst_addr.octets(),
                    flow.next_hop.octets(),
                ]
                .concat();
                octets.extend([flow.input, flow.output].map(u16::to_be_bytes).concat());
                octets.extend(
                    [flow.d_pkts, flow.d_octets, flow.first, flow.last]
                        .map(u32::to_be_bytes)
                        .concat(),
                );
                octets.extend(
                    [flow.src_port, flow.dst_port]
                        .map(u16::to_be_bytes)
                        .concat(),
                );
                octets
            })),
            NetflowPacket::V9(packet) => {
                for set in packet.flowsets {
                    if let v9::FlowSetBody::Data(data) = set.body {
                        records.extend(
                            data.fields
                                .iter()
                                .map(|fields| octets(fields.iter().map(|field| &field.1))),
                        );
                    }
                }
            }
            NetflowPacket::IPFix(packet) => {
                for set in packet.flowsets {
                    if let ipfix::FlowSetBody::Data(data) = set.body {
                        records.extend(
                            data.fields
                                .iter()
                                .map(|fields| octets(fields.iter().map(|field| &field.1))),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    records
}

#[test]
fn as_another_decoder_reads_them() {
    let Some((_, files)) = corpus() else { return };
    let (mut equal, mut total, mut empty, mut differ) = (0, 0, 0, BTreeMap::new());
    for file in &files {
        let mut session = Session::new(Limits::default());
        let mut parsers = BTreeMap::<SocketAddr, NetflowParser>::new();
        for (number, (from, message)) in messages(file).into_iter().enumerate() {
            let mut ours = Octets::default();
            session.datagram(0, from, &message, &mut ours);
            let result = parsers.entry(from).or_default().parse_bytes(&message);
            let theirs = independent(result.packets);
            let Octets(ours, dropped) = ours;
            let all = ours.len();
            let mut ours: Vec<Vec<u8>> = ours
                .into_iter()
                .filter(|(id, _)| !dropped.contains(id))
                .map(|(_, octets)| octets)
                .collect();
            if message.starts_with(&[0, 5]) {
                // It has no order of the octets behind the ports that could be compared as such.
                ours.iter_mut().for_each(|record| record.truncate(36));
            }
            total += ours.len().max(theirs.len());
            empty += all - ours.len();
            let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
            equal += same;
            if same < ours.len().max(theirs.len()) {
                let entry = differ.entry(name(file)).or_insert((number, 0, 0, 0));
                entry.1 += ours.len();
                entry.2 += theirs.len();
                entry.3 += same;
            }
        }
    }
    eprintln!("netflow_parser: {equal} of {total} records equal, {empty} with empty values aside");
    for (file, (first, ours, theirs, same)) in &differ {
        eprintln!("  {file}: message {first}, {ours} here, {theirs} there, {same} equal");
    }
    let differ: Vec<&str> = differ.keys().map(String::as_str).collect();
    assert_eq!(differ, DECODER_DIFFERS);
}

/// Files with messages that the other decoder reads otherwise.
const DECODER_DIFFERS: [&str; 0] = [];
