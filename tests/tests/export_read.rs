//! What t2x makes of the whole corpus, read by others: tshark's cflow dissector and the crate netflow_parser find the
//! values that are in the octets, in every message.

use std::path::Path;
use std::process::Command;

use golden::harness;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};
use protocol::limits::Limits;
use protocol::registry::ie;
use protocol::session::{DataRecord, Events, Session};
use protocol::template::TemplateKind;
use tests::exported;

/// What a message holds: octets of its flow records, and the fields that tshark is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Read {
    records: Vec<Vec<u8>>,
    fields: [Vec<String>; FIELDS.len()],
}

/// tshark's names, and the element of each. Of addresses and octets of the other direction see below.
const FIELDS: [(&str, u16); 10] = [
    ("cflow.srcaddr", ie::SOURCE_IPV4_ADDRESS),
    ("cflow.dstaddr", ie::DESTINATION_IPV4_ADDRESS),
    ("cflow.srcaddrv6", ie::SOURCE_IPV6_ADDRESS),
    ("cflow.dstaddrv6", ie::DESTINATION_IPV6_ADDRESS),
    ("cflow.srcport", ie::SOURCE_TRANSPORT_PORT),
    ("cflow.dstport", ie::DESTINATION_TRANSPORT_PORT),
    ("cflow.protocol", ie::PROTOCOL_IDENTIFIER),
    ("cflow.srcmac", ie::SOURCE_MAC_ADDRESS),
    ("cflow.packets", ie::PACKET_DELTA_COUNT),
    ("cflow.octets", ie::OCTET_DELTA_COUNT),
];

impl Events for Read {
    fn record(&mut self, record: &DataRecord<'_>) {
        if record.template.kind() != TemplateKind::Data {
            return;
        }
        self.records.push(record.bytes.to_vec());
        for (field, value) in record.template.values(record.bytes) {
            for ((_, id), to) in FIELDS.iter().zip(&mut self.fields) {
                if field.id == *id {
                    to.push(text(*id, value));
                }
            }
        }
    }
}

/// A value as tshark prints it.
fn text(id: u16, value: &[u8]) -> String {
    match (id, value.len()) {
        (ie::SOURCE_MAC_ADDRESS, _) => {
            let octets: Vec<_> = value.iter().map(|octet| format!("{octet:02x}")).collect();
            octets.join(":")
        }
        (ie::SOURCE_IPV4_ADDRESS | ie::DESTINATION_IPV4_ADDRESS, 4) => {
            let octets: [u8; 4] = value.try_into().expect("four octets");
            std::net::Ipv4Addr::from(octets).to_string()
        }
        (_, 16) => {
            let octets: [u8; 16] = value.try_into().expect("16 octets");
            std::net::Ipv6Addr::from(octets).to_string()
        }
        _ => value
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet))
            .to_string(),
    }
}

/// By the octets.
fn ours(datagrams: &[Vec<u8>]) -> Vec<Read> {
    let mut session = Session::new(Limits::default());
    let from = ([127, 0, 0, 1], 40_000).into();
    let read = |datagram: &Vec<u8>| {
        let mut read = Read::default();
        session.datagram(0, from, datagram, &mut read);
        read
    };
    datagrams.iter().map(read).collect()
}

/// tshark's values of each message, and whether it found something malformed.
fn by_tshark(tshark: &Path, capture: &Path) -> Vec<[Vec<String>; FIELDS.len()]> {
    let mut command = Command::new(tshark);
    command.arg("-r").arg(capture);
    command.args([
        "-d",
        &format!("udp.port=={},cflow", exported::PORT),
        "-T",
        "fields",
    ]);
    command.args([
        "-E",
        "separator=/t",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator= ",
    ]);
    command.args(["-e", "_ws.malformed"]);
    for (name, _) in FIELDS {
        command.args(["-e", name]);
    }
    let told = harness::run(&mut command).success().text();
    let message = |line: &str| {
        let mut cells = line.split('\t');
        assert_eq!(cells.next(), Some(""), "malformed: {line}");
        let words = |cell: &str| cell.split_whitespace().map(str::to_owned).collect();
        let cells: Vec<Vec<String>> = cells.map(words).collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("cells: {line:?}"))
    };
    told.lines().map(message).collect()
}

fn octets<'a>(values: impl Iterator<Item = &'a FieldValue>) -> Vec<u8> {
    let mut octets = Vec::new();
    for value in values {
        value.write_be_bytes(&mut octets).expect("a value");
    }
    octets
}

/// The flow records of each message as netflow_parser reads them, written again.
fn by_netflow_parser(datagrams: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut parser = NetflowParser::default();
    let read = |datagram: &Vec<u8>| {
        let result = parser.parse_bytes(datagram);
        assert!(result.error.is_none(), "{:?}", result.error);
        let mut records = Vec::new();
        for packet in result.packets {
            match packet {
                NetflowPacket::V9(packet) => {
                    for set in packet.flowsets {
                        if let v9::FlowSetBody::Data(data) = set.body {
                            let fields = data.fields.iter();
                            records.extend(
                                fields.map(|fields| octets(fields.iter().map(|field| &field.1))),
                            );
                        }
                    }
                }
                NetflowPacket::IPFix(packet) => {
                    for set in packet.flowsets {
                        if let ipfix::FlowSetBody::Data(data) = set.body {
                            let fields = data.fields.iter();
                            records.extend(
                                fields.map(|fields| octets(fields.iter().map(|field| &field.1))),
                            );
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        records
    };
    datagrams.iter().map(read).collect()
}

#[test]
fn others_read_every_message_with_equal_values() {
    let (Some(tshark), Some(corpus)) = (harness::peer("tshark"), harness::corpus()) else {
        return;
    };
    let folder = harness::temp_dir();
    let list = folder.path().join("list");
    let captures: Vec<_> = harness::files_below(&corpus)
        .into_iter()
        .filter(|file| {
            let suffix = file.extension().and_then(|suffix| suffix.to_str());
            matches!(suffix, Some("pcap" | "pcapng" | "cap"))
        })
        .map(|file| file.display().to_string())
        .collect();
    assert!(captures.len() > 500, "{}", captures.len());
    std::fs::write(&list, captures.join("\n")).expect("a list");
    for options in [
        &["--nf-version", "9"][..],
        &["--nf-version", "9", "--profile", "standard"],
        &["--nf-version", "10", "--profile", "t2"],
        &["--nf-version", "10"],
        &["--nf-version", "10", "--biflow", "--sample", "1:2"],
    ] {
        let input = ["-R".as_ref(), list.as_path()];
        let (datagrams, _) = exported::datagrams(&input, options);
        let ours = ours(&datagrams);
        let theirs = by_netflow_parser(&datagrams);
        assert_eq!(ours.len(), theirs.len());
        for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(&ours.records, theirs, "message {n}, {options:?}");
        }
        let capture = folder.path().join("sent.pcap");
        std::fs::write(&capture, exported::capture(&datagrams)).expect("a capture");
        let theirs = by_tshark(&tshark, &capture);
        assert_eq!(ours.len(), theirs.len());
        for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(&ours.fields, theirs, "message {n}, {options:?}");
        }
        let records: usize = ours.iter().map(|read| read.records.len()).sum();
        assert!(records > 3000, "{records}");
        println!(
            "{options:?}: {} messages, {records} flow records",
            ours.len()
        );
    }
}
