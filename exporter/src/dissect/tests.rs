//! Frames by hand, and frames of random octets.
#![allow(clippy::unwrap_used)]

use etherparse::{IpFragOffset, IpNumber, PacketBuilder};
use proptest::prelude::*;

use super::*;

mod links;
mod tunnels;

const SRC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DST: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn frame(link: LinkType, captured: &[u8], original_len: u32) -> (Packet, bool, DissectCounters) {
    let mut dissector = Dissector::new(Tunnel::Inner);
    let mut packet = Packet::default();
    let frame = Frame {
        ts_ns: 7,
        captured,
        original_len,
        link,
    };
    let flow = dissector.dissect(&frame, &mut packet);
    let counters = *dissector.counters();
    // The watcher changes nothing.
    let (mut again, mut detail) = (Packet::default(), Detail::default());
    let flow_again = dissector.dissect_in_detail(&frame, &mut again, &mut detail);
    assert_eq!((again, flow_again), (packet, flow));
    assert!(detail.headers.headers() <= 200);
    (packet, flow, counters)
}

fn ethernet(captured: &[u8]) -> Packet {
    let (packet, flow, _) = frame(LinkType::ETHERNET, captured, captured.len() as u32);
    assert!(flow);
    packet
}

fn udp_v4(payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ethernet2(SRC, DST)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1000, 2000)
        .write(&mut octets, payload)
        .unwrap();
    octets
}

/// An Ethernet header with this EtherType before `rest`.
fn with_type(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    [&DST[..], &SRC, &ether_type.to_be_bytes(), rest].concat()
}

#[test]
fn udp_over_ipv4() {
    let packet = ethernet(&udp_v4(&[0; 100]));
    assert_eq!(packet.family, Family::V4);
    assert_eq!(
        (packet.src_port, packet.dst_port, packet.protocol),
        (1000, 2000, 17)
    );
    assert_eq!((packet.src_mac, packet.dst_mac), (SRC, DST));
    assert_eq!(packet.src[..5], [10, 0, 0, 1, 0]);
    assert_eq!(
        (packet.l7_octets, packet.ip_octets, packet.frame_octets),
        (100, 128, 142)
    );
    assert_eq!(packet.l4_octets, 108);
    assert_eq!((packet.ttl, packet.pad_octets), (64, 0));
    assert_eq!(packet.status, status::IPV4 | status::IPV4_SEEN);
}

#[test]
fn padding_is_no_payload() {
    let mut octets = udp_v4(&[1; 4]);
    octets.resize(60, 0);
    let packet = ethernet(&octets);
    assert_eq!(
        (packet.l7_octets, packet.ip_octets, packet.pad_octets),
        (4, 32, 14)
    );
}

#[test]
fn a_length_of_zero_is_that_of_the_frame() {
    let mut octets = udp_v4(&[1; 400]);
    octets[16..18].copy_from_slice(&[0, 0]);
    let packet = ethernet(&octets);
    assert_eq!((packet.l7_octets, packet.ip_octets), (400, 428));
}

#[test]
fn a_length_above_the_frame_is_that_of_the_frame() {
    let mut octets = udp_v4(&[1; 400]);
    octets[16..18].copy_from_slice(&u16::MAX.to_be_bytes());
    assert_eq!(ethernet(&octets).ip_octets, 428);
}

#[test]
fn snapped_packets_count_fully() {
    let octets = udp_v4(&[1; 1000]);
    let (packet, flow, counters) = frame(LinkType::ETHERNET, &octets[..42], 1042);
    assert!(flow);
    assert_eq!((packet.l7_octets, packet.ip_octets), (1000, 1028));
    assert_eq!(packet.status & status::L3_SNAPPED, status::L3_SNAPPED);
    assert_eq!(counters.short_transport_headers, 0);
    let (packet, _, counters) = frame(LinkType::ETHERNET, &octets[..38], 1042);
    assert_eq!((packet.src_port, packet.dst_port), (1000, 2000));
    assert_eq!(counters.short_transport_headers, 1);
}

#[test]
fn options_and_tcp_header_length() {
    let mut octets = Vec::new();
    let options = [1; 8];
    PacketBuilder::ethernet2(SRC, DST)
        .ip(etherparse::IpHeaders::Ipv4(
            etherparse::Ipv4Header {
                options: options.into(),
                ..etherparse::Ipv4Header::new(0, 9, IpNumber::TCP, [1; 4], [2; 4]).unwrap()
            },
            etherparse::Ipv4Extensions::default(),
        ))
        .tcp(80, 4000, 5, 6)
        .syn()
        .ack(77)
        .options_raw(&[1; 4])
        .unwrap()
        .write(&mut octets, &[0; 11])
        .unwrap();
    let packet = ethernet(&octets);
    assert_eq!((packet.l7_octets, packet.ip_octets), (11, 28 + 24 + 11));
    let tcp = TcpFields {
        present: true,
        flags: 0x12,
        sequence: 5,
        acknowledgment: 77,
        window: 6,
    };
    assert_eq!(packet.tcp, tcp);
}

#[test]
fn vlan_tags_of_any_depth() {
    let inner = &udp_v4(&[1; 50])[14..];
    let mut rest = Vec::new();
    for tci in [30_u16, 0xb000, 10] {
        rest.extend_from_slice(&tci.to_be_bytes());
        let next: u16 = if tci == 10 { 0x0800 } else { 0x8100 };
        rest.extend_from_slice(&next.to_be_bytes());
    }
    rest.extend_from_slice(inner);
    let packet = ethernet(&with_type(0x88a8, &rest));
    assert_eq!(packet.vlans.tags(), [30, 0xb000, 10]);
    assert_eq!((packet.l7_octets, packet.family), (50, Family::V4));
    assert_ne!(packet.status & status::VLAN_ZERO, 0);
    let endless = with_type(0x8100, &[0x81, 0x00].repeat(500));
    let (packet, flow, counters) = frame(LinkType::ETHERNET, &endless, endless.len() as u32);
    assert!(flow && counters.too_deep == 1);
    assert_eq!(packet.family, Family::Link);
}

#[test]
fn frames_without_ip() {
    let arp = ethernet(&with_type(0x0806, &[0; 46]));
    assert_eq!((arp.family, arp.ether_type), (Family::Link, 0x0806));
    assert_eq!((arp.l7_octets, arp.pad_octets, arp.protocol), (46, 18, 0));
    assert_eq!(arp.status, status::ARP | status::LINK_FLOW);
    // Spanning tree: LLC without SNAP.
    let stp = ethernet(&with_type(38, &[&[0x42, 0x42, 3][..], &[0; 35]].concat()));
    assert_eq!((stp.ether_type, stp.l7_octets), (0x4242, 38));
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6][..], &[0; 38]].concat();
    let snap = ethernet(&with_type(46, &snap));
    assert_eq!(
        (snap.ether_type, snap.l7_octets, snap.pad_octets),
        (0x0806, 38, 10)
    );
}

#[test]
fn fragments_of_both_families() {
    let mut octets = udp_v4(&[1; 100]);
    octets[20..22].copy_from_slice(&0x2000_u16.to_be_bytes());
    let first = ethernet(&octets);
    assert_eq!(
        (first.fragment, first.src_port, first.l7_octets),
        (Fragment::First, 1000, 100)
    );
    octets[20..22].copy_from_slice(&0x0001_u16.to_be_bytes());
    let last = ethernet(&octets);
    assert_eq!(
        (last.fragment, last.src_port, last.l7_octets),
        (Fragment::Last, 0, 108)
    );

    let v6 = |offset: u16, more: bool| {
        let extensions = etherparse::Ipv6Extensions {
            fragment: Some(etherparse::Ipv6FragmentHeader::new(
                IpNumber::UDP,
                IpFragOffset::try_new(offset).unwrap(),
                more,
                99,
            )),
            ..etherparse::Ipv6Extensions::default()
        };
        let header = etherparse::Ipv6Header {
            hop_limit: 3,
            traffic_class: 0xb8,
            source: [1; 16],
            destination: [2; 16],
            ..etherparse::Ipv6Header::default()
        };
        let mut octets = Vec::new();
        PacketBuilder::ethernet2(SRC, DST)
            .ip(etherparse::IpHeaders::Ipv6(header, extensions))
            .udp(5, 6)
            .write(&mut octets, &[0; 10])
            .unwrap();
        ethernet(&octets)
    };
    let atomic = v6(0, false);
    assert_eq!(
        (atomic.fragment, atomic.src_port, atomic.l7_octets),
        (Fragment::Whole, 5, 10)
    );
    assert_eq!(
        (atomic.ip_octets, atomic.tos, atomic.ttl),
        (40 + 8 + 18, 0xb8, 3)
    );
    assert_eq!(v6(0, true).fragment, Fragment::First);
    let middle = v6(3, true);
    assert_eq!(
        (middle.fragment, middle.ip_id, middle.l7_octets),
        (Fragment::Middle, 99, 18)
    );
}

#[test]
fn extension_headers_up_to_five() {
    let build = |count: usize| {
        let mut payload = Vec::new();
        for at in 0..count {
            let next = if at + 1 == count { 17 } else { 60 };
            payload.extend_from_slice(&[next, 0, 0, 0, 0, 0, 0, 0]);
        }
        payload.extend_from_slice(&[0, 9, 0, 10, 0, 12, 0, 0, 1, 2, 3, 4]);
        let mut header = vec![0x60, 0, 0, 0, 0, payload.len() as u8, 60, 1];
        header.extend_from_slice(&[0; 32]);
        with_type(0x86dd, &[header, payload].concat())
    };
    let five = ethernet(&build(5));
    assert_eq!((five.protocol, five.src_port, five.l7_octets), (17, 9, 4));
    let octets = build(6);
    let (six, _, counters) = frame(LinkType::ETHERNET, &octets, octets.len() as u32);
    assert_eq!((six.protocol, counters.too_deep), (60, 1));
}

#[test]
fn broken_ip_headers_make_link_flows() {
    let version = ethernet(&with_type(0x0800, &[0x65; 40]));
    assert_eq!((version.family, version.ether_type), (Family::Link, 0x0800));
    let (short, flow, counters) = frame(LinkType::ETHERNET, &udp_v4(&[])[..30], 42);
    assert!(flow && counters.short_ip_headers == 1);
    assert_eq!(short.family, Family::Link);
}

#[test]
fn frames_without_a_flow_are_counted() {
    let (_, flow, counters) = frame(LinkType::ETHERNET, &[0; 13], 13);
    assert!(!flow && counters.short_frames == 1);
    let (_, flow, counters) = frame(LinkType(10), &[0; 60], 60);
    assert!(!flow && counters.unknown_link == 1);
}

#[test]
fn raw_ip() {
    let octets = &udp_v4(&[1; 20])[14..];
    for link in [LinkType::RAW, LinkType::IPV4] {
        let (packet, flow, _) = frame(link, octets, octets.len() as u32);
        assert!(flow && !packet.has_macs);
        assert_eq!((packet.src_port, packet.l7_octets), (1000, 20));
        assert_ne!(packet.status & status::NO_ETHERNET, 0);
    }
}

#[test]
fn other_transports() {
    let ip = |protocol: u8, payload: &[u8]| {
        let mut header = vec![
            0x45,
            0,
            0,
            20 + payload.len() as u8,
            0,
            0,
            0,
            0,
            1,
            protocol,
            0,
            0,
        ];
        header.extend_from_slice(&[1; 8]);
        ethernet(&with_type(0x0800, &[&header, payload].concat()))
    };
    assert_eq!(
        ip(1, &[[8, 3].as_slice(), &[0; 62]].concat()).icmp_type_code,
        0x0803
    );
    assert_eq!(ip(1, &[8; 64]).l7_octets, 56);
    let sctp = ip(132, &[[0, 7, 0, 9].as_slice(), &[0; 60]].concat());
    assert_eq!((sctp.src_port, sctp.dst_port, sctp.l7_octets), (7, 9, 52));
    assert_eq!(ip(89, &[2; 64]).l7_octets, 40);
    assert_eq!(ip(89, &[3; 64]).l7_octets, 48);
    assert_eq!(
        ip(47, &[[0xb0, 0].as_slice(), &[0; 62]].concat()).l7_octets,
        64 - 16
    );
    assert_eq!(ip(50, &[9; 64]).l7_octets, 56);
    assert_eq!(
        (ip(50, &[9; 64]).src_port, ip(50, &[1; 4]).l7_octets),
        (0, 0)
    );
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![
            Just(0x0800_u16), Just(0x86dd), Just(0x8100), Just(0x0806), Just(40), any::<u16>()
        ],
        first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
        protocol in prop_oneof![Just(0_u8), Just(6), Just(44), Just(60), any::<u8>()],
        original_len in any::<u32>(),
        link in prop_oneof![Just(LinkType::ETHERNET), Just(LinkType::RAW), Just(LinkType::IPV6)],
    ) {
        let mut octets = octets;
        for (at, value) in [(14, first), (20, protocol), (23, protocol)] {
            if let Some(octet) = octets.get_mut(at) {
                *octet = value;
            }
        }
        if let Some(slot) = octets.get_mut(12..14) {
            slot.copy_from_slice(&kind.to_be_bytes());
        }
        let (packet, _, _) = frame(link, &octets, original_len);
        let wire = original_len.max(octets.len() as u32);
        prop_assert!(packet.l7_octets <= packet.ip_octets && packet.ip_octets <= wire);
    }
}
