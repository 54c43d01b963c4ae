#![allow(clippy::unwrap_used)]
use exporter::capture::LinkType;
use proptest::prelude::*;

use super::*;

#[path = "../../conformance/tests/support/mod.rs"]
mod support;
use support::{
    collector, ethernet, exporter, fragment, frame, hex, ip, ipfix, netflow9, tcp, udp, v6,
};

/// What was told: messages with their time, sender, fragments and checksum; ends of streams as `None`.
#[derive(Default)]
struct Told(Vec<Option<Seen>>);

type Seen = (Vec<u8>, SocketAddr, u32, Checksum);

impl Receiver for Told {
    fn message(&mut self, message: &Message<'_>) {
        self.0.push(Some((
            message.bytes.to_vec(),
            message.from,
            message.fragments,
            message.checksum,
        )));
    }

    fn closed(&mut self, _: SocketAddr, _: SocketAddr) {
        self.0.push(None);
    }
}

impl Told {
    fn messages(&self) -> Vec<&[u8]> {
        self.0
            .iter()
            .flatten()
            .map(|(bytes, ..)| bytes.as_slice())
            .collect()
    }
}

fn tap(link: LinkType, frames: &[Vec<u8>], ports: &[u16]) -> (Told, TapCounters) {
    let (mut tap, mut told) = (Tap::new(ports.to_vec()), Told::default());
    for (index, captured) in frames.iter().enumerate() {
        let frame = Frame {
            ts_ns: index as i64 * 1_000_000,
            captured,
            original_len: captured.len() as u32,
            link,
        };
        tap.frame(&frame, &mut told);
    }
    tap.finish(&mut told);
    (told, *tap.counters())
}

#[test]
fn datagrams_of_guessed_and_given_ports() {
    let noise = frame(
        53,
        &hex("000a 0100 0001 0000 0000 0000 0377 7777 0000 0100 01"),
    );
    let broken = frame(7777, &[0, 10, 0, 99, 1, 2, 3]);
    let frames = [
        noise.clone(),
        broken.clone(),
        frame(7777, &ipfix(0)),
        broken,
        frame(9995, &netflow9(1)),
        frame(9995, &[0, 9]),
    ];
    let (told, counters) = tap(LinkType::ETHERNET, &frames, &[]);
    // Before the first plausible message to a port nothing is taken, afterwards everything.
    assert_eq!(
        told.messages(),
        [
            &ipfix(0)[..],
            &[0, 10, 0, 99, 1, 2, 3],
            &netflow9(1),
            &[0, 9]
        ]
    );
    assert_eq!(
        (counters.frames, counters.datagrams, counters.messages),
        (6, 6, 4)
    );
    let (told, _) = tap(LinkType::ETHERNET, &frames, &[53]);
    assert_eq!(told.messages().len(), 1);
    assert_eq!(told.0[0].as_ref().unwrap().3, Checksum::Valid);
}

#[test]
fn link_types_and_ip_versions() {
    let (from, to) = (v6(1, 40_000), v6(2, 4739));
    let datagram = udp(from, to, &ipfix(0));
    // A destination options header before it.
    let options = [&hex("1100 0104 00000000")[..], &datagram].concat();
    let packets = [ip(from, to, 17, &datagram), ip(from, to, 60, &options), {
        let (from, to) = (exporter(), collector(4739));
        ip(from, to, 17, &udp(from, to, &ipfix(0)))
    }];
    for packet in packets {
        let mut vlan = ethernet(&packet);
        vlan.splice(12..12, hex("8100 0005"));
        let with = |head: usize| [vec![0; head], packet.clone()].concat();
        let links = [
            (LinkType::ETHERNET, ethernet(&packet)),
            (LinkType::ETHERNET, vlan),
            (LinkType::RAW, packet.clone()),
            (LinkType::LINUX_SLL, with(16)),
            (LinkType::LINUX_SLL2, with(20)),
            (LinkType::NULL, with(4)),
        ];
        for (link, octets) in links {
            let (told, _) = tap(link, &[octets], &[]);
            assert_eq!(told.messages(), [&ipfix(0)[..]], "{link}");
            assert_eq!(told.0[0].as_ref().unwrap().3, Checksum::Valid, "{link}");
        }
    }
}

#[test]
fn fragments_in_any_order_and_given_up() {
    let (from, to) = (exporter(), collector(4739));
    let datagram = udp(from, to, &ipfix(0));
    let piece = |id: u16, range: std::ops::Range<usize>, more: u16| {
        let offset = (range.start as u16 / 8) | more;
        ethernet(&fragment(from, to, 17, id, offset, &datagram[range]))
    };
    let end = datagram.len();
    let frames = [
        piece(1, 48..end, 0),
        piece(2, 0..24, 0x2000),
        piece(1, 0..24, 0x2000),
        // Twice, and overlapping.
        piece(1, 0..24, 0x2000),
        piece(1, 16..48, 0x2000),
    ];
    let (told, counters) = tap(LinkType::ETHERNET, &frames, &[]);
    assert_eq!(told.messages(), [&ipfix(0)[..]]);
    assert_eq!(told.0[0].as_ref().unwrap().2, 5 - 1);
    assert_eq!((counters.datagrams, counters.incomplete), (1, 1));

    let flood: Vec<Vec<u8>> = (0..1000).map(|id| piece(id, 0..24, 0x2000)).collect();
    let (_, counters) = tap(LinkType::ETHERNET, &flood, &[]);
    assert_eq!(counters.incomplete, 1000);
}

#[test]
fn checksums() {
    let (from, to) = (exporter(), collector(4739));
    let with_sum = |sum: u16| {
        let mut datagram = udp(from, to, &ipfix(0));
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        let (told, _) = tap(LinkType::RAW, &[ip(from, to, 17, &datagram)], &[]);
        told.0[0].as_ref().unwrap().3
    };
    assert_eq!(with_sum(0), Checksum::Absent);
    assert_eq!(with_sum(1), Checksum::Wrong);
    // c000+0201+c000+0209 (addresses) + 11 (UDP) + 48 (length) = 1_8463, folded.
    assert_eq!(with_sum(0x8464), Checksum::Offloaded);
}

#[test]
fn streams_are_put_in_order() {
    let (from, to) = (exporter(), collector(4739));
    let stream = [ipfix(0), ipfix(1), ipfix(2)].concat();
    let start = 0xffff_ffc0_u32;
    let part = |range: std::ops::Range<usize>, flags: u8| {
        let sequence = start.wrapping_add(range.start as u32);
        ethernet(&ip(
            from,
            to,
            6,
            &tcp(from, to, sequence, flags, &stream[range]),
        ))
    };
    let frames = [
        part(0..30, 16),
        part(90..150, 16),
        part(20..40, 16),
        part(40..95, 16),
        part(0..30, 16),
        part(150..stream.len(), 17),
    ];
    let (told, counters) = tap(LinkType::ETHERNET, &frames, &[]);
    assert_eq!(told.messages(), [&ipfix(0)[..], &ipfix(1), &ipfix(2)]);
    assert_eq!(told.0.last(), Some(&None));
    assert_eq!(
        (
            counters.segments,
            counters.missing_octets,
            counters.unframed
        ),
        (6, 0, 0)
    );
}

#[test]
fn a_gap_in_a_stream_costs_what_is_missing() {
    let (from, to) = (exporter(), collector(4739));
    let part =
        |sequence: u32, data: &[u8]| ethernet(&ip(from, to, 6, &tcp(from, to, sequence, 16, data)));
    let size = ipfix(0).len() as u32;
    let frames = [
        part(0, &ipfix(0)),
        part(2 * size, &ipfix(2)),
        part(3 * size, &ipfix(3)),
    ];
    let (told, counters) = tap(LinkType::ETHERNET, &frames, &[]);
    assert_eq!(told.messages(), [&ipfix(0)[..], &ipfix(2), &ipfix(3)]);
    assert_eq!(counters.missing_octets, u64::from(size));
}

#[test]
fn a_stream_that_loses_its_boundary_shows_what_stands_there() {
    let (from, to) = (exporter(), collector(4739));
    let nonsense = hex("000a 0003 0000");
    let data = [ipfix(0), nonsense.clone()].concat();
    let frames = [ethernet(&ip(from, to, 6, &tcp(from, to, 1, 16, &data)))];
    let (told, counters) = tap(LinkType::ETHERNET, &frames, &[]);
    assert_eq!(told.messages(), [&ipfix(0)[..], &nonsense]);
    assert_eq!(counters.unframed, 1);
}

#[test]
fn netflow_v9_over_tcp_after_a_pause_and_at_the_end() {
    let (from, to) = (exporter(), collector(9995));
    let frames = [ethernet(&ip(
        from,
        to,
        6,
        &tcp(from, to, 1, 16, &netflow9(1)),
    ))];
    let (told, _) = tap(LinkType::ETHERNET, &frames, &[]);
    assert_eq!(told.messages(), [&netflow9(1)[..]]);
}

proptest! {
    #[test]
    fn any_octets_are_taken_or_left(
        mut octets in prop::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
        protocol in prop_oneof![Just(6_u8), Just(17), any::<u8>()],
    ) {
        if octets.len() > 9 {
            octets[0] = version;
            octets[if version == 0x60 { 6 } else { 9 }] = protocol;
        }
        for link in [LinkType::RAW, LinkType::ETHERNET, LinkType(4711)] {
            tap(link, &[octets.clone(), octets.clone()], &[]);
        }
    }
}
