//! The same datagram behind the header of every link type.

use super::*;

/// A datagram with 20 octets, without link header.
fn datagram() -> Vec<u8> {
    udp_v4(&[1; 20]).split_off(14)
}

fn datagram_v6() -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 9)
        .udp(1000, 2000)
        .write(&mut octets, &[1; 20])
        .unwrap();
    octets
}

fn behind(link: LinkType, header: &[u8], datagram: &[u8]) -> Packet {
    let octets = [header, datagram].concat();
    let (packet, flow, counters) = frame(link, &octets, octets.len() as u32);
    assert!(flow, "{link}: {counters:?}");
    packet
}

/// RFC 826 and its kin apart, all of these lead to IPv4.
const HEADERS: &[(LinkType, &[u8])] = &[
    (LinkType::NULL, &[2, 0, 0, 0]),
    (LinkType::NULL, &[0, 0, 0, 2]),
    (LinkType::LOOP, &[0, 0, 0, 2]),
    (
        LinkType::LINUX_SLL,
        &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
    ),
    (
        LinkType::LINUX_SLL2,
        &[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
    ),
    (LinkType::PPP, &[0xff, 3, 0, 0x21]),
    (LinkType::PPP, &[0x21]),
    (LinkType::PPP, &[0, 0x21]),
    (LinkType::PPP_HDLC, &[0xff, 3, 0, 0x21]),
    (LinkType::PPP_HDLC, &[0x0f, 0, 8, 0]),
    (LinkType::PPP_ETHER, &[0x11, 0, 0, 1, 0, 50, 0, 0x21]),
    (LinkType::PPP_PPPD, &[1, 3, 0, 0x21]),
    (LinkType::PPP_WITH_DIR, &[0, 0xff, 3, 0, 0x21]),
    (LinkType::PPP_WITH_DIR, &[1, 0x8f, 0, 8, 0]),
    (LinkType::C_HDLC, &[0x0f, 0, 8, 0]),
    (LinkType::C_HDLC_WITH_DIR, &[1, 0x0f, 0, 8, 0]),
    (LinkType::FRELAY, &[0x18, 0x41, 3, 0xcc]),
    (LinkType::FRELAY, &[0x18, 0x41, 8, 0]),
    (
        LinkType::FRELAY,
        &[0x18, 0x40, 0x01, 3, 0, 0x80, 0, 0, 0, 8, 0],
    ),
    (LinkType::FRELAY, &[0x18, 0x41, 3, 0x80, 0, 0, 0, 8, 0]),
    (LinkType::FRELAY_WITH_DIR, &[0, 0x18, 0x41, 3, 0xcc]),
    (
        LinkType::JUNIPER_PPP,
        &[0x4d, 0x47, 0x43, 1, 0xff, 3, 0, 0x21],
    ),
    (
        LinkType::JUNIPER_CHDLC,
        &[0x4d, 0x47, 0x43, 0x80, 0, 3, 1, 2, 3, 0x0f, 0, 8, 0],
    ),
    (
        LinkType::JUNIPER_FRELAY,
        &[0x4d, 0x47, 0x43, 0, 0x18, 0x41, 3, 0xcc],
    ),
    (LinkType::JUNIPER_ETHER, &[0x4d, 0x47, 0x43, 2, 2, 0, 0, 0]),
    (
        LinkType::JUNIPER_ATM1,
        &[
            0x4d, 0x47, 0x43, 0, 9, 9, 9, 9, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0,
        ],
    ),
    (
        LinkType::JUNIPER_ATM2,
        &[0x4d, 0x47, 0x43, 0, 9, 9, 9, 9, 9, 9, 9, 9],
    ),
];

#[test]
fn every_header_leads_to_the_datagram() {
    for (link, header) in HEADERS {
        let packet = behind(*link, header, &datagram());
        assert_eq!(packet.family, Family::V4, "{link} {header:?}");
        assert_eq!(
            (packet.src_port, packet.dst_port, packet.l7_octets),
            (1000, 2000, 20)
        );
    }
}

#[test]
fn headers_of_ipv6() {
    let headers: &[(LinkType, &[u8])] = &[
        (LinkType::NULL, &[30, 0, 0, 0]),
        (LinkType::NULL, &[24, 0, 0, 0]),
        (LinkType::LOOP, &[0, 0, 0, 24]),
        (LinkType::PPP, &[0x57]),
        (LinkType::FRELAY, &[0x18, 0x41, 3, 0x8e]),
        (LinkType::C_HDLC, &[0x0f, 0, 0x86, 0xdd]),
        (LinkType::RAW, &[]),
    ];
    for (link, header) in headers {
        let packet = behind(*link, header, &datagram_v6());
        assert_eq!(
            (packet.family, packet.src_port),
            (Family::V6, 1000),
            "{link}"
        );
    }
}

#[test]
fn ethernet_behind_other_headers() {
    let mut symantec = [0; 44];
    symantec[6] = 8;
    let packet = behind(LinkType::SYMANTEC_FIREWALL, &symantec, &datagram());
    assert_eq!(packet.src_port, 1000);
    for link in [LinkType::JUNIPER_ETHER, LinkType::JUNIPER_PPPOE] {
        let packet = behind(link, &[0x4d, 0x47, 0x43, 0], &udp_v4(&[1; 20]));
        assert_eq!((packet.src_mac, packet.src_port), (SRC, 1000));
    }
}

#[test]
fn ethernet_of_which_parts_are_sent_apart() {
    let preamble = |last: [u8; 2]| [&[0x55; 6][..], &last].concat();
    let ethernet = [udp_v4(&[1; 20]), vec![0xcc; 4]].concat();
    for begins in [0xd5, 0xe6, 0x4c, 0x7f, 0xb3] {
        let packet = behind(
            LinkType::ETHERNET_MPACKET,
            &preamble([0x55, begins]),
            &ethernet,
        );
        assert_eq!((packet.src_mac, packet.src_port), (SRC, 1000));
        assert_eq!(
            (packet.l7_octets, packet.status & status::NO_ETHERNET),
            (20, 0)
        );
    }
    // What comes second has a delimiter and a count, and no header.
    let packet = behind(
        LinkType::ETHERNET_MPACKET,
        &preamble([0x61, 0xe6]),
        &[7; 60],
    );
    assert_eq!((packet.family, packet.l7_octets), (Family::Link, 56));
    assert_ne!(packet.status & status::STOPPED, 0);
}

#[test]
fn signalling_makes_link_flows() {
    let frame = [0, 1, 0x7f];
    for (link, header) in [(LinkType::LAPD, &[][..]), (LinkType::LINUX_LAPD, &[0; 16])] {
        let packet = behind(link, header, &frame);
        assert_eq!(
            (packet.family, packet.l7_octets),
            (Family::Link, 3),
            "{link}"
        );
    }
}

#[test]
fn cooked_captures_have_the_senders_address() {
    let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 6];
    let arp = behind(LinkType::LINUX_SLL, &header, &[0; 46]);
    assert!(arp.has_macs);
    assert_eq!(
        (arp.src_mac, arp.dst_mac, arp.pad_octets),
        (SRC, [0; 6], 18)
    );
    assert_eq!(arp.status, status::ARP | status::LINK_FLOW);
    let netlink = [0, 4, 3, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let netlink = behind(LinkType::LINUX_SLL, &netlink, &datagram());
    assert_eq!(netlink.family, Family::Link);
}

/// A QoS data frame with LLC, from a station to its access point.
fn wireless(flags: u8) -> Vec<u8> {
    let mut octets = vec![0x88, flags, 0, 0];
    octets.extend_from_slice(&[9; 6]);
    octets.extend_from_slice(&SRC);
    octets.extend_from_slice(&DST);
    octets.extend_from_slice(&[0, 0, 0, 0]);
    octets.extend_from_slice(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
    octets
}

#[test]
fn wireless_frames() {
    let packet = behind(LinkType::IEEE802_11, &wireless(1), &datagram());
    assert_eq!((packet.src_mac, packet.dst_mac), (SRC, DST));
    assert_eq!((packet.src_port, packet.l7_octets), (1000, 20));
    // Access points swap the first two octets in what they tunnel.
    let mut swapped = wireless(1);
    swapped.swap(0, 1);
    let packet = behind(LinkType::IEEE802_11, &swapped, &datagram());
    assert_eq!((packet.src_mac, packet.src_port), (SRC, 1000));
    let encrypted = behind(LinkType::IEEE802_11, &wireless(0x41), &datagram());
    assert_eq!((encrypted.family, encrypted.src_mac), (Family::Link, SRC));
    let beacon = behind(LinkType::IEEE802_11, &[0x80, 0], &[1; 60]);
    assert_eq!((beacon.family, beacon.l7_octets), (Family::Link, 38));
}

#[test]
fn radio_headers() {
    // TSFT and flags; the timer is aligned to eight octets; a checksum is at the end.
    let mut radiotap = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    radiotap.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 0x10]);
    let end = [datagram(), vec![0xfc; 4]].concat();
    let header = [radiotap, wireless(1)].concat();
    let packet = behind(LinkType::IEEE802_11_RADIOTAP, &header, &end);
    assert_eq!((packet.src_port, packet.ip_octets), (1000, 48));
    let prism = [vec![0x44; 144], wireless(1)].concat();
    let packet = behind(LinkType::IEEE802_11_PRISM, &prism, &datagram());
    assert_eq!(packet.src_port, 1000);
    let mut avs = vec![0x80, 0x21, 0x10, 2, 0, 0, 0, 64];
    avs.resize(64, 0);
    for link in [LinkType::IEEE802_11_PRISM, LinkType::IEEE802_11_AVS] {
        let packet = behind(link, &[avs.clone(), wireless(1)].concat(), &datagram());
        assert_eq!(packet.src_port, 1000);
    }
}

#[test]
fn headers_that_are_cut_short_are_counted() {
    for (link, header) in HEADERS {
        for cut in 0..header.len() {
            let (_, flow, counters) = frame(*link, &header[..cut], 60);
            assert!(flow || counters.short_frames == 1, "{link} {cut}");
        }
    }
}
