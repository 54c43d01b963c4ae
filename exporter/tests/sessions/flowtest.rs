//! FlowTest's annotated flows: octets are IP lengths; also ToS, TTL, flags, ICMP, VLAN and MAC addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use exporter::capture::CaptureFile;
use exporter::dissect::{Dissector, Packet, Tunnel};
use exporter::meter::{Endpoints, Flow, FlowSink, Meter, MeterConfig};

/// The fields of one annotated flow; those of the opposite direction end in `@rev`.
type Annotated = BTreeMap<String, String>;

/// The capture and the flows of a case; as much of YAML as they use.
fn annotated(path: &Path) -> Option<(String, Vec<Annotated>)> {
    let text = std::fs::read_to_string(path).unwrap();
    let capture = text.lines().find_map(|line| line.strip_prefix("pcap: "))?;
    let mut flows: Vec<Annotated> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "flows:").skip(1) {
        let field = match line.strip_prefix("  - ") {
            Some(field) => {
                flows.push(Annotated::new());
                field
            }
            None => match line.strip_prefix("    ") {
                Some(field) if !field.starts_with(' ') => field,
                _ => continue,
            },
        };
        if let (Some((name, value)), Some(flow)) = (field.split_once(": "), flows.last_mut()) {
            flow.insert(name.to_owned(), value.to_owned());
        }
    }
    Some((capture.to_owned(), joined(flows)))
}

/// Flows of the same ends are one flow here: FlowTest tells WireGuard's sessions apart by what is in them.
fn joined(flows: Vec<Annotated>) -> Vec<Annotated> {
    const KEY: [&str; 5] = ["src_ip", "dst_ip", "protocol", "src_port", "dst_port"];
    let mut all: Vec<Annotated> = Vec::new();
    for flow in flows {
        let same = |other: &&mut Annotated| KEY.iter().all(|key| other.get(*key) == flow.get(*key));
        let Some(known) = all.iter_mut().find(same) else {
            all.push(flow);
            continue;
        };
        for name in ["packets", "bytes", "packets@rev", "bytes@rev"] {
            let number = |flow: &Annotated| flow[name].parse::<u64>().unwrap();
            known.insert(name.to_owned(), (number(known) + number(&flow)).to_string());
        }
    }
    all
}

#[derive(Default)]
struct Flows(Vec<Flow>);

impl FlowSink for Flows {
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.0.push(first.clone());
        self.0.extend(second.cloned());
    }
}

fn flows(capture: &Path, tunnel: Tunnel) -> Vec<Flow> {
    let mut meter = Meter::new(MeterConfig::default());
    let (mut dissector, mut packet) = (Dissector::new(tunnel), Packet::default());
    let mut flows = Flows::default();
    let mut file = CaptureFile::open(capture).unwrap();
    while let Some(batch) = file.next_batch().unwrap() {
        for frame in batch {
            if dissector.dissect(&frame, &mut packet) {
                meter.packets(&[packet], &mut flows);
            }
        }
    }
    meter.finish(&mut flows);
    flows.0
}

/// What we have under FlowTest's names for one direction between two ends.
fn ours(
    flows: &[Flow],
    ends: [IpAddr; 2],
    ports: Option<[u16; 2]>,
    number: u8,
) -> BTreeMap<&'static str, String> {
    let between = flows.iter().filter(|flow| match flow.endpoints {
        Endpoints::Ip {
            src,
            dst,
            src_port,
            dst_port,
            protocol,
        } => {
            [src, dst] == ends
                && protocol == number
                && ports.is_none_or(|ports| ports == [src_port, dst_port])
        }
        Endpoints::Link => false,
    });
    let mut found = BTreeMap::new();
    let (mut packets, mut octets, mut tos, mut ttl, mut tcp) = (0, 0, 0, u8::MAX, 0);
    for flow in between {
        packets += flow.packets;
        octets += flow.wide.total;
        tos |= flow.tos;
        ttl = ttl.min(flow.min_ttl);
        tcp |= flow.tcp_flags & 0xff;
        let [macs, _] = flow.mac_pairs;
        let mac = |octets: [u8; 6]| octets.map(|octet| format!("{octet:02x}")).join(":");
        found.insert("src_mac", mac(macs.src));
        found.insert("dst_mac", mac(macs.dst));
        let vlan = flow.vlan_tci.unwrap_or(0) & 0x0fff;
        found.insert("vlan_id", vlan.to_string());
        let [icmp_type, icmp_code] = flow.icmp_type_code.to_be_bytes();
        found.insert("icmp_type_code", flow.icmp_type_code.to_string());
        found.insert("icmp_type", icmp_type.to_string());
        found.insert("icmp_code", icmp_code.to_string());
        let version = if ends[0].is_ipv4() { 4 } else { 6 };
        found.insert("ip_version", version.to_string());
    }
    found.insert("packets", packets.to_string());
    found.insert("bytes", octets.to_string());
    found.insert("tos", tos.to_string());
    found.insert("ttl", ttl.to_string());
    found.insert("tcp_flags", tcp.to_string());
    found
}

/// Whether two values are the same text or number.
fn same(theirs: &str, ours: &str) -> bool {
    let number = theirs.strip_prefix("0x");
    let number = number.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    number.map_or_else(|| theirs.to_owned(), |number| number.to_string()) == ours
}

#[test]
fn annotated_flows_are_met() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let (mut met, mut values, mut wrong) = (0, 0, Vec::new());
    let mut elsewhere: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(corpus.join("expected/flowtest")).unwrap() {
        let case = entry.unwrap().path();
        let name = case.file_stem().unwrap().display().to_string();
        let (capture, annotated) = annotated(&case).unwrap();
        let capture = corpus.join("pcaps/flowtest").join(capture);
        let inner = flows(&capture, Tunnel::Inner);
        let outer: u64 = flows(&capture, Tunnel::Outer)
            .iter()
            .map(|flow| flow.wide.total)
            .sum();
        for expected in annotated {
            let before = wrong.len();
            let address = |name: &str| expected[name].parse::<IpAddr>().unwrap();
            let ends = [address("src_ip"), address("dst_ip")];
            let port = |name: &str| expected.get(name)?.parse::<u16>().ok();
            let ports = port("src_port").zip(port("dst_port"));
            let ports = ports.map(|(src, dst)| [src, dst]);
            let number = expected["protocol"].parse().unwrap();
            let forward = ours(&inner, ends, ports, number);
            let turned = ports.map(|[src, dst]| [dst, src]);
            let reverse = ours(&inner, [ends[1], ends[0]], turned, number);
            for (field, theirs) in &expected {
                let (direction, plain) = match field.strip_suffix("@rev") {
                    Some(plain) => (&reverse, plain),
                    None => (&forward, field.as_str()),
                };
                match direction.get(plain) {
                    Some(found) if same(theirs, found) => values += 1,
                    Some(found) => wrong.push(format!("{name} {field}: {theirs}, ours {found}")),
                    // The ends were looked for; the rest belongs to applications, or to other layers.
                    None if ["src_ip", "dst_ip", "protocol", "src_port", "dst_port"]
                        .contains(&plain) => {}
                    None => *elsewhere.entry(plain.to_owned()).or_default() += 1,
                }
            }
            if let Some(octets) = expected.get("bytes_outer") {
                let both = [octets, &expected["bytes_outer@rev"]].map(|text| text.parse::<u64>());
                assert_eq!(
                    both.map(Result::unwrap).iter().sum::<u64>(),
                    outer,
                    "{name}"
                );
            }
            met += usize::from(wrong.len() == before);
        }
    }
    println!("FlowTest: {met} annotated flows met, {values} values; not in a flow {elsewhere:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(met, 22);
}
