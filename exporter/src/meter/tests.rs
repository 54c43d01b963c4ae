//! Packets by hand. Expectations are Tranalyzer 0.9.3's recorded flows of the same cases, or arithmetic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tcp_states::anomaly;
use super::*;
use crate::dissect::{TcpFields, protocol};

const SECOND: i64 = 1_000_000_000;

/// Keeps what is released.
#[derive(Debug, Default)]
struct Released(Vec<(i64, Flow, Option<Flow>)>);

impl FlowSink for Released {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.0.push((now_ns, first.clone(), second.cloned()));
    }
}

fn udp(at_ns: i64, host: u8, back: bool) -> Packet {
    let mut packet = Packet {
        ts_ns: at_ns,
        family: Family::V4,
        protocol: protocol::UDP,
        ether_type: 0x0800,
        src_port: 40000,
        dst_port: 9000,
        l7_octets: 10,
        ip_octets: 38,
        frame_octets: 52,
        ttl: 64,
        has_macs: true,
        dst_mac: [9; 6],
        ..Packet::default()
    };
    packet.src[..2].copy_from_slice(&[10, host]);
    packet.dst[..2].copy_from_slice(&[11, host]);
    if back {
        std::mem::swap(&mut packet.src, &mut packet.dst);
        std::mem::swap(&mut packet.src_port, &mut packet.dst_port);
        std::mem::swap(&mut packet.src_mac, &mut packet.dst_mac);
    }
    packet
}

fn tcp(at_ns: i64, flags: u8, back: bool, sequence: u32, acknowledgment: u32) -> Packet {
    Packet {
        protocol: protocol::TCP,
        l7_octets: 0,
        tcp: TcpFields {
            present: true,
            flags,
            sequence,
            acknowledgment,
            window: 1,
        },
        ..udp(at_ns, 1, back)
    }
}

fn run_with(config: MeterConfig, packets: &[Packet]) -> (Released, MeterStats) {
    let mut meter = Meter::new(config);
    let mut released = Released::default();
    meter.packets(packets, &mut released);
    meter.finish(&mut released);
    assert_eq!(meter.flows_in_memory(), 0);
    (released, *meter.stats())
}

fn run(packets: &[Packet]) -> Vec<(i64, Flow, Option<Flow>)> {
    run_with(MeterConfig::default(), packets).0.0
}

#[test]
fn time_goes_on_without_packets() {
    let mut meter = Meter::new(MeterConfig::default());
    let mut released = Released::default();
    meter.tick(SECOND, &mut released);
    meter.packets(&[udp(2 * SECOND, 1, false)], &mut released);
    meter.tick(184 * SECOND - 1, &mut released);
    assert_eq!(meter.flows_in_memory(), 1);
    meter.tick(SECOND, &mut released);
    meter.tick(184 * SECOND, &mut released);
    assert_eq!(meter.flows_in_memory(), 0);
    let (now_ns, flow, _) = &released.0[0];
    assert_eq!(
        (*now_ns, flow.end_reason),
        (184 * SECOND, EndReason::IdleTimeout)
    );
    // The packet that follows begins a flow, and is none that came too late.
    meter.packets(&[udp(184 * SECOND, 1, false)], &mut released);
    assert_eq!(meter.stats().backward_packets, 0);
    assert_eq!(meter.flows_in_memory(), 1);
}

#[test]
fn a_clock_that_was_set_back_wedges_no_timeout() {
    let day = 86_400 * SECOND;
    let mut meter = Meter::new(MeterConfig::default());
    let mut released = Released::default();
    meter.packets(&[udp(day, 1, false), udp(day + 1, 2, false)], &mut released);
    meter.restart(&mut released);
    assert_eq!(released.0.len(), 2);
    meter.packets(&[udp(SECOND, 1, false)], &mut released);
    meter.packets(&[udp(200 * SECOND, 2, false)], &mut released);
    let (now_ns, flow, _) = &released.0[2];
    assert_eq!((*now_ns, flow.last_ns), (200 * SECOND, SECOND));
    assert_eq!(flow.end_reason, EndReason::IdleTimeout);
    meter.tick(382 * SECOND, &mut released);
    assert_eq!((released.0.len(), meter.flows_in_memory()), (4, 0));
    assert_eq!(meter.stats().backward_packets, 0);
}

#[test]
fn the_active_timeout_cuts_both_directions() {
    // Case 4: the B direction is old enough first; what follows has a new index and the same directions.
    let packets = [
        udp(SECOND, 4, false),
        udp(2 * SECOND, 4, true),
        udp(61 * SECOND, 4, true),
        udp(62 * SECOND, 4, true),
        udp(63 * SECOND, 4, false),
    ];
    let config = MeterConfig {
        active_timeout: Some(Duration::from_secs(60)),
        text: true,
        ..MeterConfig::default()
    };
    let (released, stats) = run_with(config, &packets);
    let [(cut_ns, first, Some(second)), (_, third, Some(fourth))] = &released.0[..] else {
        panic!("{released:?}")
    };
    assert_eq!(*cut_ns, 62 * SECOND);
    assert_eq!((first.index, first.packets, second.packets), (1, 1, 2));
    assert_eq!(first.end_reason, EndReason::ActiveTimeout);
    assert_eq!(
        (first.status & status::CUT, second.status & status::CUT),
        (0, status::CUT)
    );
    assert_eq!((third.index, third.packets, fourth.packets), (2, 1, 1));
    assert!(!third.inverted && fourth.inverted && third.status & status::CUT == 0);
    assert_eq!((stats.flows, stats.request_flows), (4, 2));
}

/// A flow of a connection: SYN, SYN+ACK, ACK.
fn handshake(at_ns: i64) -> [Packet; 3] {
    [
        tcp(at_ns, 0x02, false, 100, 0),
        tcp(at_ns + 1, 0x12, true, 500, 101),
        tcp(at_ns + 2, 0x10, false, 101, 501),
    ]
}

#[test]
fn the_idle_time_out_is_exact() {
    let gap = 182 * SECOND;
    assert_eq!(run(&[udp(0, 1, false), udp(gap - 1, 1, false)]).len(), 1);
    let two = run(&[udp(0, 1, false), udp(gap, 1, false)]);
    assert_eq!(two.len(), 2);
    assert_eq!(
        two.iter()
            .map(|(_, flow, _)| flow.index)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(two[0].0, gap);
    assert_eq!(two[0].1.end_reason, EndReason::IdleTimeout);
    assert_eq!(two[1].1.end_reason, EndReason::ForcedEnd);
}

#[test]
fn a_pair_lives_as_long_as_one_direction() {
    let packets = [
        udp(SECOND, 1, false),
        udp(2 * SECOND, 1, true),
        udp(150 * SECOND, 1, true),
        udp(300 * SECOND, 1, false),
    ];
    let pairs = run(&packets);
    assert_eq!(pairs.len(), 1);
    let (_, a, b) = &pairs[0];
    let b = b.as_ref().unwrap();
    assert_eq!((a.packets, b.packets, a.index, b.index), (2, 2, 1, 1));
    assert!(!a.inverted && b.inverted);
    assert_eq!((a.first_ns, a.last_ns), (SECOND, 300 * SECOND));
}

#[test]
fn directions_follow_ports_and_syn_ack() {
    let single = |src_port: u16, dst_port: u16| {
        let packet = Packet {
            src_port,
            dst_port,
            ..udp(0, 1, false)
        };
        run(&[packet])[0].1.inverted
    };
    let cases = [
        (53, 40000, true),
        (53, 53, false),
        (1023, 1000, false),
        (8080, 40000, true),
        (8081, 40000, true),
        (8082, 40000, false),
        (8088, 40000, true),
        (8089, 8080, true),
        (1024, 2000, false),
    ];
    for (src_port, dst_port, inverted) in cases {
        assert_eq!(
            single(src_port, dst_port),
            inverted,
            "{src_port} to {dst_port}"
        );
    }
    assert!(run(&[tcp(0, 0x12, false, 0, 0)])[0].1.inverted);
    // A is always handed out first, also where B was seen first.
    let reply_first = [
        Packet {
            src_port: 53,
            ..udp(0, 1, false)
        },
        Packet {
            dst_port: 53,
            ..udp(1, 1, true)
        },
    ];
    let pairs = run(&reply_first);
    assert_eq!(pairs[0].1.first_ns, 1);
    assert!(pairs[0].2.as_ref().unwrap().inverted);
}

#[test]
fn tcp_states_set_the_time_outs() {
    let end = |packets: &[Packet], gap: i64| {
        let last = packets.last().unwrap().ts_ns;
        let mut all = packets.to_vec();
        all.push(tcp(last + gap, 0x10, false, 101, 501));
        run(&all).len()
    };
    let open = handshake(0);
    assert_eq!(end(&open, 610 * SECOND - 1), 1);
    assert_eq!(end(&open, 610 * SECOND), 2);
    assert_eq!(end(&open[..1], 120 * SECOND - 1), 1);
    assert_eq!(end(&open[..1], 120 * SECOND), 2);
    let mut closed = open.to_vec();
    closed.push(tcp(SECOND, 0x11, false, 101, 501));
    closed.push(tcp(SECOND + 1, 0x11, true, 501, 102));
    closed.push(tcp(SECOND + 2, 0x10, false, 102, 502));
    assert_eq!(end(&closed, 10 * SECOND - 2), 1);
    assert_eq!(end(&closed, 10 * SECOND), 2);
    let (_, a, b) = &run(&closed)[0];
    assert_eq!((a.tcp_states, b.as_ref().unwrap().tcp_states), (0, 0));
    assert_eq!((a.tcp_flags, a.end_reason), (0x0113, EndReason::EndOfFlow));
    let mut reset = open.to_vec();
    reset.push(tcp(SECOND, 0x14, true, 501, 101));
    assert_eq!(end(&reset, SECOND / 10 - 1), 1);
    assert_eq!(end(&reset, SECOND / 10), 2);
    let (_, a, b) = &run(&reset)[0];
    assert_eq!((a.tcp_states, b.as_ref().unwrap().tcp_states), (0x02, 0x42));
}

#[test]
fn scans_and_single_packets_are_marked() {
    let states = |flags: u8| run(&[tcp(0, flags, false, 0, 0)])[0].1.tcp_states;
    let cases = [
        (0x02, 0x03),
        (0x18, 0x03),
        (0x04, 0xc3),
        (0x29, 0x83),
        (0x00, 0x83),
    ];
    for (flags, expected) in cases {
        assert_eq!(states(flags), expected, "{flags:#04x}");
    }
}

#[test]
fn longer_time_outs_are_released_first() {
    let mut packets = vec![udp(0, 2, false)];
    packets.extend(handshake(1));
    packets.push(udp(5, 3, false));
    packets.push(udp(2000 * SECOND, 9, false));
    let ends: Vec<u64> = run(&packets)
        .iter()
        .map(|(_, flow, _)| flow.index)
        .collect();
    assert_eq!(ends, [2, 1, 3, 4]);
}

#[test]
fn fragments_follow_their_first_one() {
    let fragment = |at_ns: i64, fragment: Fragment, ports: bool| {
        let mut packet = udp(at_ns, 1, false);
        packet.fragment = fragment;
        packet.ip_id = 5;
        if !ports {
            packet.src_port = 0;
            packet.dst_port = 0;
        }
        packet
    };
    let (released, stats) = run_with(
        MeterConfig::default(),
        &[
            fragment(0, Fragment::Middle, false),
            fragment(1, Fragment::First, true),
            fragment(2, Fragment::Last, false),
        ],
    );
    let packets: Vec<u64> = released.0.iter().map(|(_, flow, _)| flow.packets).collect();
    assert_eq!((packets, stats.fragments_without_head), (vec![1, 2], 1));
    assert_eq!(stats.ipv4_fragments, 3);
}

#[test]
fn a_full_table_releases_the_least_recently_used() {
    let config = MeterConfig {
        max_flows: 100,
        ..MeterConfig::default()
    };
    let mut packets: Vec<Packet> = (0..100)
        .map(|host| udp(i64::from(host), host, false))
        .collect();
    packets.push(udp(200, 0, false));
    packets.extend((100..110).map(|host| udp(100 + i64::from(host), host, false)));
    let (released, stats) = run_with(config, &packets);
    assert_eq!((stats.early_released, stats.max_flows), (10, 100));
    let early: Vec<u64> = released
        .0
        .iter()
        .filter(|(_, flow, _)| flow.end_reason == EndReason::LackOfResources)
        .map(|(_, flow, _)| flow.index)
        .collect();
    for (_, flow, _) in &released.0 {
        let full = flow.end_reason == EndReason::LackOfResources;
        assert_eq!(flow.status & status::TABLE_FULL != 0, full);
    }
    // The first one was used again.
    assert_eq!(early, (2..=11).collect::<Vec<u64>>());
}

#[test]
fn short_connections_leave_nothing_behind() {
    let mut meter = Meter::new(MeterConfig::default());
    let mut released = Released::default();
    for at in 0..20_000 {
        let connection = |flags: u8, back: bool| {
            let mut packet = tcp(at * SECOND / 1000, flags, back, 1, 2);
            let port = (at % 60_000) as u16 + 1024;
            *if back {
                &mut packet.dst_port
            } else {
                &mut packet.src_port
            } = port;
            packet
        };
        meter.packets(
            &[connection(0x02, false), connection(0x14, true)],
            &mut released,
        );
    }
    assert!(meter.flows_in_memory() <= 204 && meter.wheel.len() <= 4096 + 4 * 204);
    let (_, _, second) = &released.0[0];
    assert_ne!(second.as_ref().unwrap().tcp_states & anomaly::RESET_SENT, 0);
}

#[test]
fn link_flows_are_keyed_by_mac() {
    let arp = |at_ns: i64, from: u8, to: u8| Packet {
        ts_ns: at_ns,
        ether_type: 0x0806,
        has_macs: true,
        src_mac: [from; 6],
        dst_mac: [to; 6],
        ..Packet::default()
    };
    let pairs = run(&[arp(0, 1, 2), arp(1, 2, 1), arp(2, 1, 3)]);
    assert_eq!(pairs.len(), 2);
    assert!(pairs[0].2.is_some() && pairs[1].2.is_none());
    assert_eq!(pairs[0].1.endpoints, Endpoints::Link);
    assert_eq!(pairs[0].1.mac_pairs[0].packets, 1);
}

#[test]
fn a_packet_to_itself_has_no_opposite() {
    let mut packet = tcp(0, 0x02, false, 0, 0);
    packet.dst = packet.src;
    packet.dst_port = packet.src_port;
    let pairs = run(&[packet, packet]);
    assert_eq!((pairs.len(), pairs[0].1.packets), (1, 2));
    assert_eq!(pairs[0].1.status & status::LAND, status::LAND);
}

#[test]
fn vlans_are_told_apart() {
    let tagged = |tci: Option<u16>| {
        let mut packet = udp(0, 1, false);
        if let Some(tci) = tci {
            packet.vlans.push(tci);
        }
        packet
    };
    let pairs = run(&[
        tagged(Some(10)),
        tagged(Some(20)),
        tagged(Some(0xa00a)),
        tagged(None),
    ]);
    let packets: Vec<u64> = pairs.iter().map(|(_, flow, _)| flow.packets).collect();
    assert_eq!(packets, [1, 2, 1]);
}

#[test]
fn a_clock_that_jumps_gives_sane_times() {
    let (released, stats) = run_with(
        MeterConfig {
            text: true,
            ..MeterConfig::default()
        },
        &[
            udp(13 * SECOND, 1, false),
            udp(12 * SECOND, 1, false),
            udp(i64::MAX, 2, false),
            udp(i64::MIN, 3, false),
        ],
    );
    let (_, flow, _) = &released.0[0];
    assert_eq!((flow.first_ns, flow.last_ns), (12 * SECOND, 13 * SECOND));
    let text = flow.text.as_ref().unwrap();
    // 0 for the first packet, then one second back: the mean moves by half of it.
    let arrivals = &text.arrivals;
    assert_eq!(
        (arrivals.min, arrivals.max, arrivals.mean()),
        (-1.0, 0.0, -0.5)
    );
    assert_ne!(flow.status & status::TIME_JUMP, 0);
    assert_eq!((stats.backward_packets, released.0.len()), (2, 3));
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let fragment = prop_oneof![
        8 => Just(Fragment::Whole),
        1 => Just(Fragment::First),
        1 => Just(Fragment::Middle),
        1 => Just(Fragment::Last),
    ];
    let time = prop_oneof![20 => 0..2000 * SECOND, 1 => any::<i64>()];
    (
        time,
        0..4_u8,
        any::<bool>(),
        any::<bool>(),
        any::<(u8, u8)>(),
        fragment,
    )
        .prop_map(|(at_ns, host, back, is_tcp, (flags, numbers), fragment)| {
            let mut packet = udp(at_ns, host, back);
            if is_tcp {
                packet.protocol = protocol::TCP;
                packet.tcp = TcpFields {
                    present: true,
                    flags,
                    sequence: u32::from(numbers & 3),
                    acknowledgment: u32::from(numbers >> 6),
                    window: 0,
                };
            }
            packet.fragment = fragment;
            packet
        })
}

proptest! {
    #[test]
    fn packets_and_octets_are_conserved(
        packets in proptest::collection::vec(any_packet(), 0..200),
        text in any::<bool>(),
        max_flows in prop_oneof![Just(0_usize), Just(3), Just(1 << 18)],
    ) {
        let config = MeterConfig { text, max_flows, ..MeterConfig::default() };
        let (released, stats) = run_with(config, &packets);
        let flows = released.0.iter().flat_map(|(_, first, second)| [Some(first), second.as_ref()]);
        let (mut count, mut sum, mut octets) = (0, 0, 0);
        for flow in flows.flatten() {
            count += 1;
            sum += flow.packets;
            octets += flow.l7.total;
            prop_assert!(flow.first_ns <= flow.last_ns);
            prop_assert_eq!(flow.text.is_some(), text);
            let text_packets = flow.text.as_ref().map_or(flow.packets, |text| {
                text.macs.pairs.iter().map(|macs| macs.packets).sum()
            });
            prop_assert_eq!(text_packets, flow.packets);
        }
        prop_assert_eq!(sum, packets.len() as u64);
        prop_assert_eq!(octets, packets.iter().map(|p| u64::from(p.l7_octets)).sum::<u64>());
        prop_assert_eq!(count, stats.flows);
        prop_assert_eq!(stats.a_flows + stats.b_flows, stats.flows);
        prop_assert_eq!(stats.a_packets + stats.b_packets, stats.packets);
    }

    #[test]
    fn the_size_of_blocks_does_not_matter(
        packets in proptest::collection::vec(any_packet(), 0..150),
        size in 1..70_usize,
    ) {
        let mut meter = Meter::new(MeterConfig::default());
        let mut released = Released::default();
        for block in packets.chunks(size) {
            meter.packets(block, &mut released);
        }
        meter.finish(&mut released);
        prop_assert_eq!(format!("{released:?}"), format!("{:?}", Released(run(&packets))));
    }
}
