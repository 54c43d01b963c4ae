//! The well-formed vectors, read by three decoders that share no line: ours, tshark's and that of the crate
//! `netflow_parser`. Boundaries and octets of every field must be the same, and what they mean.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use conformance::vectors::{Vector, vectors, write};
use golden::harness;
use netflow_parser::static_versions::v5;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{AutoScopedParser, FieldValue, NetflowPacket};
use protocol::error::DecodeError;
use protocol::limits::Limits;
use protocol::registry::{DataType, element};
use protocol::session::{DataRecord, Events, Session};
use protocol::value::unsigned;
use tap::Transport;

mod support;

/// A field of a record: where it stands in its message, its octets, and its type.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Value {
    offset: usize,
    octets: Vec<u8>,
    data_type: Option<DataType>,
}

/// The records of one message.
type Records = Vec<Vec<Value>>;

fn well_formed() -> Vec<Vector> {
    let mut vectors = vectors().unwrap();
    vectors.retain(|vector| vector.breaks.is_empty());
    assert!(vectors.len() > 25, "{}", vectors.len());
    vectors
}

// ----------------------------------------------------------------------------------------------------------- ours

struct Ours<'a> {
    message: &'a [u8],
    records: Records,
}

impl Events for Ours<'_> {
    fn record(&mut self, record: &DataRecord<'_>) {
        let start = record.bytes.as_ptr() as usize - self.message.as_ptr() as usize;
        let mut values = record.template.values(record.bytes);
        let mut fields = Vec::new();
        while let Some((specifier, octets)) = values.next() {
            fields.push(Value {
                offset: start + values.offset() - octets.len(),
                octets: octets.to_vec(),
                data_type: element(specifier.pen, specifier.id).map(|element| element.data_type),
            });
        }
        self.records.push(fields);
    }

    fn violation(&mut self, _: SocketAddr, _: u64, error: &DecodeError) {
        panic!("{error}");
    }
}

fn sender() -> SocketAddr {
    support::exporter()
}

/// Message by message.
fn ours(vector: &Vector) -> Vec<Records> {
    let sender = sender();
    let mut session = Session::new(Limits::default());
    let read = |message: &Vec<u8>| {
        let mut events = Ours {
            message,
            records: Vec::new(),
        };
        if vector.transport == Transport::Udp {
            session.datagram(0, sender, message, &mut events);
        } else {
            session.message(0, sender, message, &mut events);
        }
        events.records
    };
    vector.messages.iter().map(read).collect()
}

// ------------------------------------------------------------------------------------------------- netflow_parser

/// What `netflow_parser` 1.0.6 does not read as the RFCs say, by vector, and how.
const NETFLOW_PARSER_FAULTS: &[(&str, &str)] = &[(
    "ipfix_variable_lengths",
    "gives no record of a set in which a string has no octets",
)];

fn octets(value: &FieldValue) -> Vec<u8> {
    let mut octets = Vec::new();
    value.write_be_bytes(&mut octets).unwrap();
    octets
}

fn scope(value: &v9::ScopeDataField) -> Vec<u8> {
    match value {
        v9::ScopeDataField::System(octets)
        | v9::ScopeDataField::Interface(octets)
        | v9::ScopeDataField::LineCard(octets)
        | v9::ScopeDataField::NetFlowCache(octets)
        | v9::ScopeDataField::Template(octets)
        | v9::ScopeDataField::Unknown(_, octets) => octets.clone(),
    }
}

fn v5_record(record: &v5::FlowSet) -> Vec<Vec<u8>> {
    let words = [record.d_pkts, record.d_octets, record.first, record.last];
    let [packets, bytes, first, last] = words.map(|word| word.to_be_bytes().to_vec());
    vec![
        record.src_addr.octets().to_vec(),
        record.dst_addr.octets().to_vec(),
        record.next_hop.octets().to_vec(),
        record.input.to_be_bytes().to_vec(),
        record.output.to_be_bytes().to_vec(),
        packets,
        bytes,
        first,
        last,
        record.src_port.to_be_bytes().to_vec(),
        record.dst_port.to_be_bytes().to_vec(),
        vec![record.pad1],
        vec![record.tcp_flags],
        vec![record.protocol_number],
        vec![record.tos],
        record.src_as.to_be_bytes().to_vec(),
        record.dst_as.to_be_bytes().to_vec(),
        vec![record.src_mask],
        vec![record.dst_mask],
        record.pad2.to_be_bytes().to_vec(),
    ]
}

/// Records as octets of fields.
type Octets = Vec<Vec<Vec<u8>>>;

fn v9_records(body: &v9::FlowSetBody) -> Octets {
    match body {
        v9::FlowSetBody::Data(data) => data
            .fields
            .iter()
            .map(|record| record.iter().map(|(_, value)| octets(value)).collect())
            .collect(),
        v9::FlowSetBody::OptionsData(data) => data
            .fields
            .iter()
            .map(|record| {
                let scopes = record.scope_fields.iter().map(scope);
                let options = record.options_fields.iter();
                scopes
                    .chain(options.map(|(_, value)| octets(value)))
                    .collect()
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn ipfix_records(body: &ipfix::FlowSetBody) -> Octets {
    let records: Vec<Vec<_>> = match body {
        ipfix::FlowSetBody::Data(data) => {
            data.fields.iter().map(|record| record.to_vec()).collect()
        }
        ipfix::FlowSetBody::OptionsData(data) => data.fields.clone(),
        _ => Vec::new(),
    };
    let values = |record: &Vec<_>| record.iter().map(|(_, value)| octets(value)).collect();
    records.iter().map(values).collect()
}

fn theirs(packet: &NetflowPacket) -> Octets {
    match packet {
        NetflowPacket::V5(packet) => packet.flowsets.iter().map(v5_record).collect(),
        NetflowPacket::V9(packet) => {
            let sets = packet.flowsets.iter();
            sets.flat_map(|set| v9_records(&set.body)).collect()
        }
        NetflowPacket::IPFix(packet) => {
            let sets = packet.flowsets.iter();
            sets.flat_map(|set| ipfix_records(&set.body)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn netflow_parser_reads_the_same() {
    let mut wrong: BTreeMap<&str, String> = BTreeMap::new();
    for vector in well_formed() {
        let mut parser = AutoScopedParser::new();
        for (message, records) in vector.messages.iter().zip(ours(&vector)) {
            let result = parser.parse_from_source(sender(), message);
            let theirs: Octets = result.packets.iter().flat_map(theirs).collect();
            let ours: Octets = records
                .into_iter()
                .map(|record| record.into_iter().map(|value| value.octets).collect())
                .collect();
            if theirs != ours || result.error.is_some() {
                let text = format!("{theirs:02x?} is not {ours:02x?}, {:?}", result.error);
                wrong.insert(vector.name, text);
            }
        }
    }
    assert_eq!(
        wrong.keys().copied().collect::<Vec<_>>(),
        names(NETFLOW_PARSER_FAULTS),
        "{wrong:#?}"
    );
}

fn names(faults: &[(&'static str, &str)]) -> Vec<&'static str> {
    faults.iter().map(|(name, _)| *name).collect()
}

// --------------------------------------------------------------------------------------------------------- tshark

/// What tshark 4 does not read as the RFCs say, by vector, and how.
const TSHARK_FAULTS: &[(&str, &str)] = &[
    (
        "ipfix_sub_template_list",
        "shows the records of the list, and they are right, but not its octets as one value",
    ),
    (
        "ipfix_times",
        "marks the first four octets only of a start time without an end; the times it shows are right",
    ),
    (
        "ipfix_withdrawn_and_defined_anew",
        "keeps the first definition, and the withdrawal and the new template have no effect",
    ),
];

/// A field as tshark tells it: place in the frame, size, octets in hexadecimal, and its meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Shown {
    position: usize,
    size: usize,
    value: String,
    shown: String,
}

/// The attribute of a line of PDML.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

/// The fields of every packet.
fn dissected(tshark: &Path, capture: &Path) -> Vec<Vec<Shown>> {
    let mut command = Command::new(tshark);
    command
        .args(["-T", "pdml", "-r"])
        .arg(capture)
        .args(["-d", "udp.port==2055,cflow", "-d", "udp.port==4739,cflow"])
        .args(["-d", "tcp.port==4739,cflow"]);
    let text = harness::run(&mut command).success().text();
    let mut packets: Vec<Vec<Shown>> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("<packet") {
            packets.push(Vec::new());
        }
        let shown = || {
            Some(Shown {
                position: attribute(line, "pos")?.parse().ok()?,
                size: attribute(line, "size")?.parse().ok()?,
                value: attribute(line, "value")?.to_owned(),
                shown: attribute(line, "show")?.to_owned(),
            })
        };
        if let Some(packet) = packets.last_mut().filter(|_| line.starts_with("<field"))
            && let Some(shown) = shown()
        {
            packet.push(shown);
        }
    }
    packets
}

/// What the value means, where both sides have one way to write it.
fn meaning(value: &Value) -> Option<String> {
    let octets = value.octets.as_slice();
    match value.data_type? {
        DataType::Unsigned8
        | DataType::Unsigned16
        | DataType::Unsigned32
        | DataType::Unsigned64 => unsigned(octets).map(|number| number.to_string()),
        DataType::Ipv4Address => {
            let octets: [u8; 4] = octets.try_into().ok()?;
            Some(std::net::Ipv4Addr::from(octets).to_string())
        }
        DataType::Ipv6Address => {
            let octets: [u8; 16] = octets.try_into().ok()?;
            Some(std::net::Ipv6Addr::from(octets).to_string())
        }
        _ => None,
    }
}

/// `0x001b` is 27.
fn plain(shown: &str) -> String {
    shown
        .strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map_or_else(|| shown.to_owned(), |number| number.to_string())
}

/// All vectors in one capture, each from an exporter of its own.
fn capture_of(vectors: &[Vector]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (index, vector) in (1..).zip(vectors) {
        let from = SocketAddr::from(([192, 0, 2, index], 40_000));
        let netflow = !vector.messages[0].starts_with(&[0, 10]);
        let to = support::collector(if netflow { 2055 } else { 4739 });
        let mut sequence = 1;
        for message in &vector.messages {
            frames.push(support::ethernet(&if vector.transport == Transport::Udp {
                support::ip(from, to, 17, &support::udp(from, to, message))
            } else {
                support::ip(from, to, 6, &support::tcp(from, to, sequence, 16, message))
            }));
            sequence += message.len() as u32;
        }
    }
    support::pcap(&frames)
}

/// Whether tshark's field is the value, octet by octet, and says the same where both say it in the same way.
fn is_same(shown: &Shown, value: &Value) -> bool {
    let hex: String = value
        .octets
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let text = plain(&shown.shown);
    // Octets, or a time that tshark has computed.
    let apart = text.contains("UTC") || text == colons(&value.octets);
    let meant = match (meaning(value), value.data_type) {
        (None, _) => true,
        // Uptimes are shown in seconds.
        (Some(number), Some(DataType::Unsigned32)) if text.ends_with("000000") => {
            let ms: u64 = number.parse().unwrap();
            text == format!("{}.{:03}000000", ms / 1000, ms % 1000)
        }
        (Some(meaning), _) => apart || text == meaning,
    };
    shown.value == hex && meant
}

fn colons(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(":")
}

#[test]
fn tshark_reads_the_same() {
    let Some(tshark) = harness::peer("tshark") else {
        return;
    };
    let vectors = well_formed();
    let folder = harness::temp_dir();
    let capture = folder.path().join("vectors.pcap");
    fs::write(&capture, capture_of(&vectors)).unwrap();
    let mut packets = dissected(&tshark, &capture).into_iter();
    let mut wrong: BTreeMap<&str, String> = BTreeMap::new();
    for vector in &vectors {
        // Ethernet, IPv4, and UDP or TCP.
        let headers = match vector.transport {
            Transport::Udp => 42,
            _ => 54,
        };
        for records in ours(vector) {
            let packet = packets.next().unwrap();
            for value in records.iter().flatten() {
                let place = (headers + value.offset, value.octets.len());
                let mut there = packet
                    .iter()
                    .filter(|shown| (shown.position, shown.size) == place);
                if !value.octets.is_empty() && !there.clone().any(|shown| is_same(shown, value)) {
                    let text = format!("{value:?} is {:?}", there.next());
                    wrong.insert(vector.name, text);
                }
            }
        }
    }
    assert_eq!(
        wrong.keys().copied().collect::<Vec<_>>(),
        names(TSHARK_FAULTS),
        "{wrong:#?}"
    );
}

/// What is written for others to use says of itself what is right.
#[test]
fn captures_of_vectors_are_judged_as_their_list_says() {
    let folder = harness::temp_dir();
    let count = write(folder.path()).unwrap();
    let manifest = fs::read_to_string(folder.path().join("manifest.tsv")).unwrap();
    let mut seen = 0;
    for line in manifest.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [file, rule, verdict, section, _] = cells[..] else {
            panic!("{line:?}");
        };
        assert!(!section.is_empty());
        let run = Command::new(assert_cmd::cargo::cargo_bin!("t2check"))
            .args(["exporter", "--strict", "--json", "-", "--capture"])
            .arg(folder.path().join(file))
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
        let broken: Vec<(&str, &str)> = report["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|result| result["count"].as_u64() > Some(0))
            .map(|result| {
                (
                    result["id"].as_str().unwrap(),
                    result["verdict"].as_str().unwrap(),
                )
            })
            .collect();
        if rule == "all" {
            assert_eq!((broken, run.status.code()), (vec![], Some(0)), "{file}");
        } else {
            assert_eq!(
                (broken, run.status.code()),
                (vec![(rule, verdict)], Some(3)),
                "{file}"
            );
        }
        seen += 1;
    }
    assert_eq!(seen, count);
}
