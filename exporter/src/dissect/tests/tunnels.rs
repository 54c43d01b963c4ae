//! The same packet in every encapsulation.

use super::*;

const INNER_SRC: [u8; 4] = [192, 0, 2, 1];

/// The packet inside: UDP from port 7001 to 7002 with 30 octets.
fn inner() -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ipv4(INNER_SRC, [192, 0, 2, 2], 5)
        .udp(7001, 7002)
        .write(&mut octets, &[7; 30])
        .unwrap();
    octets
}

/// The same over IPv6, with an address of Teredo's prefix.
fn inner_v6() -> Vec<u8> {
    let mut src = [0; 16];
    src[..2].copy_from_slice(&[0x20, 1]);
    let mut octets = Vec::new();
    PacketBuilder::ipv6(src, [2; 16], 5)
        .udp(7001, 7002)
        .write(&mut octets, &[7; 30])
        .unwrap();
    octets
}

/// An Ethernet frame with the packet inside.
fn inner_ethernet() -> Vec<u8> {
    [&[4; 6][..], &[6; 6], &[8, 0], &inner()].concat()
}

/// The outer packet, of this IP protocol.
fn over_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ethernet2(SRC, DST)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .write(&mut octets, IpNumber(protocol), payload)
        .unwrap();
    octets
}

fn over_udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ethernet2(SRC, DST)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(ports.0, ports.1)
        .write(&mut octets, payload)
        .unwrap();
    octets
}

#[track_caller]
fn assert_inner(octets: &[u8], bit: u64) {
    let packet = ethernet(octets);
    assert_eq!((packet.src_port, packet.dst_port), (7001, 7002));
    assert_eq!((packet.l7_octets, packet.ttl), (30, 5));
    assert_eq!(packet.status & bit, bit);
    assert_eq!(packet.status & status::STOPPED, 0);
    if packet.family == Family::V4 {
        assert_eq!(packet.src[..4], INNER_SRC);
        assert_eq!(packet.ip_octets, 58);
    }
}

#[track_caller]
fn assert_outer(octets: &[u8], bits: u64) {
    let packet = ethernet(octets);
    assert_eq!(packet.src[..4], [10, 0, 0, 1]);
    assert_eq!((packet.src_mac, packet.ttl), (SRC, 64));
    assert_eq!(packet.status & bits, bits, "{:#x}", packet.status);
}

#[test]
fn over_ip_protocols() {
    let ethernet = inner_ethernet();
    let with = |header: &[u8], payload: &[u8]| [header, payload].concat();
    let cases: &[(u8, Vec<u8>, u64)] = &[
        (4, inner(), status::IP_IN_IP),
        (41, inner_v6(), status::IP_IN_IP),
        (47, with(&[0, 0, 8, 0], &inner()), status::GRE),
        (47, with(&[0, 0, 0x86, 0xdd], &inner_v6()), status::GRE),
        (
            47,
            with(
                &[0xb0, 0, 8, 0, 1, 1, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3],
                &inner(),
            ),
            status::GRE,
        ),
        (47, with(&[0, 0, 0x65, 0x58], &ethernet), status::GRE),
        // Source routing: one entry of four octets and the empty one.
        (
            47,
            with(
                &[
                    0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 9, 9, 9, 9, 0, 0, 0, 0,
                ],
                &inner(),
            ),
            status::GRE,
        ),
        // PPTP with sequence and acknowledgment number.
        (
            47,
            with(
                &[
                    0x30, 0x81, 0x88, 0x0b, 0, 60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21,
                ],
                &inner(),
            ),
            status::GRE | status::PPP,
        ),
        (47, with(&[0, 0, 0x88, 0xbe], &ethernet), status::ERSPAN),
        (
            47,
            with(
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 9, 9, 9, 9, 9, 9, 9],
                &ethernet,
            ),
            status::ERSPAN,
        ),
        (
            47,
            with(
                &[
                    0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0,
                ],
                &ethernet,
            ),
            status::ERSPAN,
        ),
        (
            47,
            with(
                &[
                    0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 9, 9, 9, 9, 9, 9, 9, 9, 9, 8, 1, 5, 5,
                    5, 5, 5, 5, 5, 5,
                ],
                &inner(),
            ),
            status::ERSPAN,
        ),
        (47, with(&[0, 0, 0x88, 0x3e], &inner()), status::WCCP),
        (
            47,
            with(&[0, 0, 0x88, 0x3e, 1, 1, 1, 1], &inner()),
            status::WCCP,
        ),
        (
            47,
            with(&[0, 0, 0x88, 0x47, 0, 1, 1, 64], &inner()),
            status::MPLS,
        ),
        (97, with(&[0x30, 0], &ethernet), status::ETHER_IP),
        (103, with(&[0x21, 0, 0, 0, 0, 0, 0, 0], &inner()), 0),
        // L2TPv3 with a cookie of four octets and a sublayer.
        (
            115,
            with(&[0, 0, 0, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0, 0, 0, 0], &ethernet),
            status::L2TP,
        ),
    ];
    for (protocol, payload, bit) in cases {
        assert_inner(&over_ip(*protocol, payload), *bit);
    }
}

#[test]
fn over_udp_ports() {
    let ethernet = inner_ethernet();
    let with = |header: &[u8], payload: &[u8]| [header, payload].concat();
    let cases: &[((u16, u16), Vec<u8>, u64)] = &[
        (
            (1701, 1701),
            with(&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &inner()),
            status::L2TP | status::PPP,
        ),
        (
            (40, 1701),
            with(
                &[0x4a, 2, 0, 80, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2, 9, 9, 0, 0x21],
                &inner(),
            ),
            status::L2TP,
        ),
        (
            (5000, 1701),
            with(&[0, 3, 0, 0, 0, 0, 0, 1], &ethernet),
            status::L2TP,
        ),
        (
            (40, 4789),
            with(&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet),
            status::VXLAN,
        ),
        (
            (5000, 8472),
            with(&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet),
            status::VXLAN,
        ),
        (
            (5000, 4790),
            with(&[12, 0, 0, 1, 0, 0, 1, 0], &inner()),
            status::VXLAN,
        ),
        (
            (5000, 4790),
            with(&[12, 0, 0, 2, 0, 0, 1, 0], &inner_v6()),
            status::VXLAN,
        ),
        (
            (5000, 4790),
            with(&[12, 0, 0, 3, 0, 0, 1, 0], &ethernet),
            status::VXLAN,
        ),
        (
            (5000, 6081),
            with(&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 5, 5, 5, 5], &ethernet),
            status::GENEVE,
        ),
        (
            (5000, 6081),
            with(&[0, 0, 8, 0, 0, 0, 1, 0], &inner()),
            status::GENEVE,
        ),
        (
            (2152, 2152),
            with(&[0x30, 0xff, 0, 58, 0, 0, 0, 1], &inner()),
            status::GTP,
        ),
        (
            (2152, 5000),
            with(
                &[0x34, 0xff, 0, 66, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0],
                &inner(),
            ),
            status::GTP,
        ),
        (
            (3386, 3386),
            with(&[&[0x1e, 0xff][..], &[0; 18]].concat(), &inner()),
            status::GTP,
        ),
        (
            (5000, 5072),
            with(
                &[&[0x44, 0x50, 0x11, 41][..], &[0; 4 + 16 + 20]].concat(),
                &inner_v6(),
            ),
            status::AYIYA,
        ),
        (
            (5000, 5247),
            with(&[0, 0x10, 0x02, 0, 0, 0, 0, 0], &ethernet),
            status::CAPWAP,
        ),
        (
            (5247, 5000),
            with(
                &[
                    &[0, 0x10, 0x03, 0, 0, 0, 0, 0, 8, 1, 0, 0][..],
                    &[9; 18],
                    &[0, 0],
                ]
                .concat(),
                &with(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()),
            ),
            status::CAPWAP,
        ),
        (
            (5000, 12222),
            with(
                &[&[0, 0, 0, 0, 0, 0, 8, 1, 0, 0][..], &[9; 18], &[0, 0]].concat(),
                &with(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()),
            ),
            status::CAPWAP,
        ),
        ((5000, 3544), inner_v6(), status::TEREDO),
        (
            (5000, 5001),
            with(&[0, 0, 1, 2, 3, 4, 5, 6], &inner_v6()),
            status::TEREDO,
        ),
        (
            (5000, 3544),
            with(
                &[&[0, 1, 0, 0][..], &[1; 9], &[0, 0, 1, 2, 3, 4, 5, 6]].concat(),
                &inner_v6(),
            ),
            status::TEREDO,
        ),
    ];
    for (ports, payload, bit) in cases {
        assert_inner(&over_udp(*ports, payload), *bit);
    }
}

#[test]
fn port_conditions() {
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner_ethernet()].concat();
    // A well-known source port needs a client on the other side, a destination port does not.
    assert_inner(&over_udp((40, 4789), &vxlan), status::VXLAN);
    assert_outer(&over_udp((4789, 40), &vxlan), 0);
    assert_inner(&over_udp((4789, 5000), &vxlan), status::VXLAN);
    let geneve = [&[0, 0, 8, 0, 0, 0, 1, 0][..], &inner()].concat();
    assert_inner(&over_udp((1025, 6081), &geneve), status::GENEVE);
    assert_outer(&over_udp((1024, 6081), &geneve), 0);
    assert_outer(&over_udp((0, 6081), &geneve), 0);
    assert_outer(&over_udp((0, 4789), &vxlan), 0);
    assert_outer(&over_udp((53, 3544), &inner_v6()), 0);
}

#[test]
fn what_cannot_be_read_inside_counts_outside() {
    let arp = [&[4; 6][..], &[6; 6], &[8, 6], &[0; 28]].concat();
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &arp].concat();
    let octets = over_udp((5000, 4789), &vxlan);
    assert_outer(&octets, status::VXLAN | status::STOPPED);
    let packet = ethernet(&octets);
    assert_eq!(
        (packet.family, packet.dst_port, packet.l7_octets),
        (Family::V4, 4789, 50)
    );
    assert_outer(&over_ip(47, &[0, 0, 0, 0]), status::GRE | status::STOPPED);
    assert_outer(
        &over_ip(47, &[0x20, 1, 0x88, 0x0b, 0, 0, 0, 1, 9, 9, 9, 9]),
        status::STOPPED,
    );
    assert_outer(&over_ip(4, &[0x65; 40]), status::STOPPED);
    assert_outer(&over_ip(103, &[0x21, 0, 0, 0, 0x40, 0, 0, 0]), 0);
    assert_outer(
        &over_udp((2123, 2123), &[0x32, 1, 0, 0, 0, 0, 0, 0]),
        status::GTP,
    );
    assert_outer(
        &over_udp((5000, 5246), &[0, 0x10, 2, 0, 0, 0, 0, 0]),
        status::CAPWAP,
    );
    assert_outer(&over_udp((5000, 5001), &[0x60; 60]), 0);
}

#[test]
fn ip_in_ip_in_all_mixes() {
    for (outer_is_v6, protocol, payload, bit) in [
        (false, 4, inner(), status::IP_IN_IP),
        (false, 41, inner_v6(), status::IP_IN_IP),
        (true, 4, inner(), 0),
        (true, 41, inner_v6(), status::IP_IN_IP),
    ] {
        let mut octets = Vec::new();
        let builder = PacketBuilder::ethernet2(SRC, DST);
        if outer_is_v6 {
            let builder = builder.ipv6([1; 16], [2; 16], 64);
            builder
                .write(&mut octets, IpNumber(protocol), &payload)
                .unwrap();
        } else {
            let builder = builder.ipv4([1; 4], [2; 4], 64);
            builder
                .write(&mut octets, IpNumber(protocol), &payload)
                .unwrap();
        }
        assert_inner(&octets, bit);
    }
}

#[test]
fn labels_and_pseudo_wires() {
    let labels = [0, 1, 0x00, 64, 0, 2, 0x01, 64];
    let with = |payload: &[u8]| with_type(0x8847, &[&labels, payload].concat());
    assert_inner(&with(&inner()), status::MPLS);
    let packet = ethernet(&with(&inner()));
    assert_eq!(packet.mpls_labels, 2);
    let labels = [0, 1, 2].map(|depth| packet.labels.at(depth));
    assert_eq!(labels, [[0, 1, 0x00], [0, 2, 0x01], [0; 3]]);
    assert_inner(&with(&inner_v6()), status::MPLS);
    let wire = inner_ethernet();
    let packet = ethernet(&with(&[&[0, 0, 0, 0][..], &wire].concat()));
    assert_eq!((packet.src_port, packet.src_mac), (7001, [6; 6]));
    let packet = ethernet(&with(&wire));
    assert_eq!((packet.src_port, packet.src_mac), (7001, [6; 6]));
    let unknown = ethernet(&with(&[0x13; 40]));
    assert_eq!((unknown.family, unknown.ether_type), (Family::Link, 0x8847));
    let endless = with_type(0x8847, &[0, 1, 0, 64].repeat(300));
    let (_, flow, counters) = frame(LinkType::ETHERNET, &endless, endless.len() as u32);
    assert!(flow && counters.too_deep == 1);
}

#[test]
fn pppoe_sessions() {
    let header = [0x11, 0, 0, 1, 0, 60, 0, 0x21];
    assert_inner(
        &with_type(0x8864, &[&header, &inner()[..]].concat()),
        status::PPPOE_SESSION,
    );
    // An echo request of LCP, padded.
    let lcp = [0x11, 0, 0, 1, 0, 10, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];
    let lcp = ethernet(&with_type(0x8864, &[&lcp[..], &[0; 30]].concat()));
    assert_eq!(
        (lcp.family, lcp.l7_octets, lcp.pad_octets),
        (Family::Link, 46, 46)
    );
    let bits = status::PPPOE_SESSION | status::STOPPED | status::LINK_FLOW;
    assert_eq!(lcp.status, bits);
}

#[test]
fn outer_packets_count_where_they_should() {
    let octets = over_udp(
        (40, 4789),
        &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner_ethernet()].concat(),
    );
    let mut dissector = Dissector::new(Tunnel::Outer);
    let mut packet = Packet::default();
    let frame = Frame {
        ts_ns: 7,
        captured: &octets,
        original_len: octets.len() as u32,
        link: LinkType::ETHERNET,
    };
    assert!(dissector.dissect(&frame, &mut packet));
    assert_eq!(
        (packet.dst_port, packet.ttl, packet.src_mac),
        (4789, 64, SRC)
    );
    assert_eq!(packet.status, status::IPV4 | status::IPV4_SEEN);
}

#[test]
fn tunnels_in_tunnels_end() {
    // IPv4 in IPv4, as often as fits.
    let mut octets = inner();
    for _ in 0..20 {
        let mut outer = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder.write(&mut outer, IpNumber(4), &octets).unwrap();
        octets = outer;
    }
    assert_inner(&with_type(0x0800, &octets), status::IP_IN_IP);
    for _ in 0..100 {
        let mut outer = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder.write(&mut outer, IpNumber(4), &octets).unwrap();
        octets = outer;
    }
    assert_outer(&with_type(0x0800, &octets), status::STOPPED);
}

#[test]
fn fragments_are_no_tunnels() {
    let mut later = over_ip(4, &inner());
    later[20..22].copy_from_slice(&1_u16.to_be_bytes());
    assert_outer(&later, status::FRAGMENTS);
    // The first fragment has the header of the packet inside, which is whole for the meter.
    let mut first = over_ip(4, &inner());
    first[20..22].copy_from_slice(&0x2000_u16.to_be_bytes());
    assert_inner(&first, status::IP_IN_IP);
    assert_eq!(ethernet(&first).fragment, Fragment::Whole);
}

proptest! {
    #[test]
    fn no_octets_inside_make_it_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..120),
        link in any::<prop::sample::Index>(),
        protocol in prop_oneof![Just(4_u8), Just(41), Just(47), Just(97), Just(103), Just(115)],
        port in prop_oneof![
            Just(1701_u16), Just(2152), Just(3386), Just(4789), Just(4790), Just(5072), Just(5247),
            Just(6081), Just(12222), Just(3544)
        ],
        gre in prop_oneof![
            Just(0x0800_u16), Just(0x6558), Just(0x88be), Just(0x22eb), Just(0x880b), Just(0x883e),
            Just(0x8847), Just(0x8864)
        ],
    ) {
        let mut gre_octets = octets.clone();
        if let Some(kind) = gre_octets.get_mut(2..4) {
            kind.copy_from_slice(&gre.to_be_bytes());
        }
        let numbers = [0, 9, 50, 51, 99, 104, 105, 107, 108, 113, 119, 127, 135, 137, 163, 166, 177, 178, 203, 204, 274, 276];
        let link = LinkType(*link.get(&numbers));
        for (link, octets) in [
            (LinkType::ETHERNET, over_ip(protocol, &octets)),
            (LinkType::ETHERNET, over_ip(47, &gre_octets)),
            (LinkType::ETHERNET, over_udp((5000, port), &octets)),
            (LinkType::ETHERNET, with_type(0x8847, &octets)),
            (LinkType::ETHERNET, with_type(0x8864, &octets)),
            (link, octets),
        ] {
            let (packet, _, _) = frame(link, &octets, octets.len() as u32);
            prop_assert!(packet.l7_octets <= packet.ip_octets);
            prop_assert!(packet.ip_octets <= octets.len() as u32);
        }
    }
}
