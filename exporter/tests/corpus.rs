//! Every capture of the corpus ends, malformed ones too, and loses no packet without a counter; etherparse's whole-packet
//! slicing agrees where it can read a frame.
//!
//! The captures are not ours and not in the repository: `T2_CORPUS` names their folder, default `golden/corpus`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TcpHeader, TransportSlice, UdpHeader};
use exporter::capture::{CaptureFile, Frame, LinkType};
use exporter::dissect::{Detail, Dissector, Family, Fragment, Packet, Tunnel};
use exporter::meter::{Flow, FlowSink, Meter, MeterConfig, Metric};
use exporter::sink::text::{Layout, TextSink};
use proptest::prelude::*;

/// Keeps all flows, and prints them to nowhere.
struct Flows(Vec<Flow>, TextSink<std::io::Sink>);

impl FlowSink for Flows {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.0.push(first.clone());
        self.0.extend(second.cloned());
        self.1.pair(now_ns, first, second);
    }
}

/// Gives the frames of a capture one by one, up to where it cannot be read any more. Returns whether it was a capture.
fn frames(path: &Path, mut each: impl FnMut(&Frame<'_>)) -> bool {
    let Ok(mut file) = CaptureFile::open(path) else {
        return false;
    };
    while let Ok(Some(batch)) = file.next_batch() {
        for frame in batch {
            each(&frame);
        }
    }
    true
}

/// What a run made of a capture: all flows.
fn meter(path: &Path, tunnel: Tunnel) -> Vec<Flow> {
    let mut dissector = Dissector::new(tunnel);
    let mut meter = Meter::new(MeterConfig {
        text: true,
        ..MeterConfig::default()
    });
    let sink = TextSink::new(std::io::sink(), Metric::L7, Layout::Json, None).unwrap();
    let mut flows = Flows(Vec::new(), sink);
    let (mut read, mut metered) = (0, 0);
    frames(path, |frame| {
        let (mut packet, mut detail) = (Packet::default(), Detail::default());
        read += 1;
        if dissector.dissect_in_detail(frame, &mut packet, &mut detail) {
            metered += 1;
            meter.packets_in_detail(&[packet], &[detail], &mut flows);
        }
    });
    meter.finish(&mut flows);
    let counters = dissector.counters();
    let lost = counters.short_frames + counters.unknown_link;
    let in_flows: u64 = flows.0.iter().map(|flow| flow.packets).sum();
    assert_eq!(
        (in_flows, metered + lost),
        (metered, read),
        "{}",
        path.display()
    );
    flows.0
}

#[test]
fn every_capture_ends_and_every_packet_counts() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let captures = golden::harness::files_below(&corpus.join("pcaps"));
    let (mut packets, mut flows) = (0, 0);
    for capture in &captures {
        for tunnel in [Tunnel::Inner, Tunnel::Outer] {
            let made = meter(capture, tunnel);
            if tunnel == Tunnel::Inner {
                packets += made.iter().map(|flow| flow.packets).sum::<u64>();
                flows += made.len();
            }
        }
    }
    println!("{} files, {packets} packets, {flows} flows", captures.len());
    assert!(captures.len() > 500 && packets > 0);
}

/// What etherparse and ours both tell of a frame.
#[derive(PartialEq, Debug)]
struct Told {
    src: Vec<u8>,
    dst: Vec<u8>,
    protocol: u8,
    ports: (u16, u16),
    ttl: u8,
    vlans: Vec<u16>,
    payload: Option<usize>,
}

/// What etherparse reads, if it reads IP and a transport header to the end.
fn by_etherparse(data: &[u8]) -> Option<Told> {
    let sliced = SlicedPacket::from_ethernet(data).ok()?;
    let vlans = sliced.link_exts.iter().filter_map(|tag| match tag {
        LinkExtSlice::Vlan(tag) => Some(tag.vlan_identifier().value()),
        LinkExtSlice::Macsec(_) => None,
    });
    let (src, dst, ttl) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                header.source().to_vec(),
                header.destination().to_vec(),
                header.ttl(),
            )
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                header.source().to_vec(),
                header.destination().to_vec(),
                header.hop_limit(),
            )
        }
        NetSlice::Arp(_) => return None,
    };
    let ip_payload = sliced.ip_payload()?;
    // Without a length of its own etherparse counts the padding too.
    let payload = |length: usize| Some(length).filter(|_| !sliced.is_ip_payload_fragmented());
    let (ports, payload) = match sliced.transport.as_ref()? {
        TransportSlice::Udp(udp) => (
            (udp.source_port(), udp.destination_port()),
            payload(ip_payload.payload.len().saturating_sub(8)),
        ),
        TransportSlice::Tcp(tcp) => (
            (tcp.source_port(), tcp.destination_port()),
            payload(tcp.payload().len()),
        ),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => {
            ((0, 0), payload(ip_payload.payload.len().saturating_sub(8)))
        }
    };
    Some(Told {
        src,
        dst,
        protocol: ip_payload.ip_number.0,
        ports,
        ttl,
        vlans: vlans.collect(),
        payload,
    })
}

fn by_ours(packet: &Packet) -> Told {
    let octets = if packet.family == Family::V4 { 4 } else { 16 };
    Told {
        src: packet.src[..octets].to_vec(),
        dst: packet.dst[..octets].to_vec(),
        protocol: packet.protocol,
        ports: (packet.src_port, packet.dst_port),
        ttl: packet.ttl,
        vlans: packet.vlans.tags().iter().map(|tci| tci & 0x0fff).collect(),
        payload: (packet.fragment == Fragment::Whole).then_some(packet.l7_octets as usize),
    }
}

/// Whether both say the same of a frame; `None` if etherparse cannot read it.
fn compared(dissector: &mut Dissector, frame: &Frame<'_>) -> Option<Result<(), String>> {
    let theirs = by_etherparse(frame.captured)?;
    let mut packet = Packet::default();
    let deep = dissector.counters().too_deep;
    let flow = dissector.dissect(frame, &mut packet);
    if dissector.counters().too_deep > deep {
        // More than five extension headers, of which Tranalyzer and ours follow five.
        return None;
    }
    let ours = by_ours(&packet);
    Some(if flow && ours == theirs {
        Ok(())
    } else {
        Err(format!("{theirs:?}, ours {ours:?}"))
    })
}

proptest! {
    #[test]
    fn etherparse_reads_random_frames_the_same(
        tags in 0_usize..3,
        six in any::<bool>(),
        tcp in any::<bool>(),
        extensions in proptest::collection::vec(prop_oneof![Just(0_u8), Just(43), Just(60)], 0..5),
        ports in any::<(u16, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
        padding in 0_usize..20,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut transport = Vec::new();
        if tcp {
            TcpHeader::new(ports.0, ports.1, 7, 8).write(&mut transport).unwrap();
        } else {
            UdpHeader::without_ipv4_checksum(ports.0, ports.1, payload.len()).unwrap().write(&mut transport).unwrap();
        }
        let mut number = if tcp { 6 } else { 17 };
        let mut datagram = [transport, payload].concat();
        if six {
            for extension in extensions {
                datagram.splice(0..0, [number, 0, 0, 0, 0, 0, 0, 0]);
                number = extension;
            }
        }
        let mut octets = vec![2; 12];
        for tci in 0..tags as u8 {
            octets.extend_from_slice(&[0x81, 0, 0x20, tci]);
        }
        if six {
            octets.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, datagram.len() as u8, number, 9]);
            octets.extend_from_slice(&[5; 32]);
        } else {
            octets.extend_from_slice(&[8, 0, 0x45, 0, 0, 20 + datagram.len() as u8, 0, 9, 0, 0, 64, number, 0, 0]);
            octets.extend_from_slice(&[5; 8]);
        }
        octets.extend_from_slice(&datagram);
        octets.resize(octets.len() + padding, 0);
        let whole = damage.is_empty();
        for (at, value) in damage {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        let frame = Frame {
            ts_ns: 1,
            captured: &octets,
            original_len: octets.len() as u32,
            link: LinkType::ETHERNET,
        };
        let compared = compared(&mut Dissector::new(Tunnel::Outer), &frame);
        // Extension headers in an unusual order are not etherparse's.
        prop_assert!(!whole || six || compared.is_some());
        prop_assert_eq!(compared.unwrap_or(Ok(())), Ok(()));
    }
}

#[test]
fn etherparse_reads_the_same() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    // Tunnels are not etherparse's: the outer packet is compared.
    let mut dissector = Dissector::new(Tunnel::Outer);
    let (mut same, mut different) = (0_u64, Vec::new());
    for folder in ["pcaps", "tranalyzer"] {
        for capture in golden::harness::files_below(&corpus.join(folder)) {
            let mut number = 0;
            frames(&capture, |frame| {
                number += 1;
                let whole = frame.captured.len() as u32 >= frame.original_len;
                if frame.link != LinkType::ETHERNET || !whole {
                    return;
                }
                match compared(&mut dissector, frame) {
                    Some(Ok(())) => same += 1,
                    Some(Err(difference)) => {
                        let name = capture.strip_prefix(&corpus).unwrap().display();
                        different.push(format!("{name} {number}: {difference}"));
                    }
                    None => {}
                }
            });
        }
    }
    println!("{same} frames read alike");
    let few = different
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(different.is_empty(), "{} differ:\n{few}", different.len());
    assert!(same > 0);
}
