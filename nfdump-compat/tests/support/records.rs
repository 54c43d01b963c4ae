//! Flow records with every field that can be printed: made from a fixed pseudo-random sequence, the same on every run.

use nfdump_compat::{
    field::{self, Location},
    record::{RecordBuilder, RecordHeader},
};
use std::net::IpAddr;

/// A linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const IPV4: &[&str] = &[
    "192.168.1.1",
    "192.168.1.79",
    "10.0.0.1",
    "10.0.0.2",
    "131.103.200.168",
    "0.0.0.0",
    "255.255.255.255",
];
const IPV6: &[&str] = &[
    "2001:db8::1",
    "2001:db8::2",
    "fe80::5efe:c0a8:101",
    "2001:620:0:ff::fed5",
    "::1",
    "ff02::1",
    "::",
    "::ffff:1.2.3.4",
    "::1.2.3.4",
    "2001:db8:1:2:3:4:5:abcd",
    "1:0:0:2::3",
    "64:ff9b::102:304",
];
const DURATIONS: &[u64] = &[
    0,
    1,
    999,
    1000,
    1001,
    59_999,
    60_000,
    3_599_999,
    86_399_999,
    86_400_000,
    95_000_000,
    864_000_000,
];
const PACKETS: &[u64] = &[
    0,
    1,
    2,
    10,
    99,
    1000,
    999_999,
    1_000_000,
    999_949_999,
    1_000_000_000,
    999_950_000,
    1_050_000,
];
const ICMP: &[u64] = &[0x0800, 0, 0x0301, 0x8000, 0x8100, 0x0b00];

/// Numbers: field and the limit below which its values are.
const NUMBERS: &[(Location, u64)] = &[
    (field::INPUT, 5),
    (field::OUTPUT, 4_294_967_296),
    (field::SRC_MASK, 33),
    (field::DST_MASK, 33),
    (field::DIR, 3),
    (field::DST_TOS, 256),
    (field::BIFLOW_DIR, 4),
    (field::FLOW_END_REASON, 6),
    (field::SRC_VLAN, 4096),
    (field::DST_VLAN, 5),
    (field::SRC_AS, 4_294_967_296),
    (field::DST_AS, 70_000),
    (field::NEXT_AS, 4_294_967_296),
    (field::PREV_AS, 7),
    (field::IN_SRC_MAC, 1 << 31),
    (field::OUT_DST_MAC, 3),
    (field::IN_DST_MAC, 1 << 31),
    (field::OUT_SRC_MAC, 2),
    (field::CLIENT_LATENCY, 1_000_000),
    (field::SERVER_LATENCY, 5000),
    (field::APP_LATENCY, 10_000_000),
    (field::XLATE_SRC_PORT, 65_536),
    (field::XLATE_DST_PORT, 3),
    (field::OBSERVATION_POINT, 1 << 31),
    (field::OBSERVATION_DOMAIN, 9),
    (field::INGRESS_VRF, 3),
    (field::EGRESS_VRF, 100_000),
    (field::OUT_PACKETS, 10_000_000),
    (field::OUT_BYTES, 1 << 31),
    (field::FLOWS, 4),
];

/// What records about firewalls and address translation have besides.
const EVENTS: &[(Location, u64)] = &[
    (field::NSEL_FW_EVENT, 6),
    (field::NSEL_FW_XEVENT, 1100),
    (field::BLOCK_START, 30_000),
    (field::BLOCK_END, 65_536),
    (field::BLOCK_STEP, 3),
    (field::BLOCK_SIZE, 2000),
    (field::ingress_acl(0), 3),
    (field::ingress_acl(1), 3),
    (field::ingress_acl(2), 3),
];

/// What records about tunnels have besides.
const TUNNELS: &[(Location, u64)] = &[
    (field::TUN_PROTO_V4, 8),
    (field::TUN_SRC_IPV4, 4),
    (field::TUN_DST_IPV4, 3),
];

/// What records of later versions of nfdump have besides.
const LATER: &[(Location, u64)] = &[
    (field::TTL, 256),
    (field::FRAGMENT_FLAGS, 128),
    (field::ETHER_TYPE, 3),
    (field::VLAN_ID, 4),
    (field::POST_VLAN_ID, 5),
    (field::FLOW_ID, 1 << 31),
    (field::NAT_EVENT, 14),
    (field::NSEL_FW_EVENT, 6),
    (field::NSEL_FW_XEVENT, 1005),
    (field::BLOCK_START, 30_000),
    (field::BLOCK_END, 65_536),
    (field::TUN_PROTO_V4, 8),
    (field::TUN_SRC_IPV4, 4),
    (field::TUN_DST_IPV4, 3),
];

/// Gives `count` records with what later versions of nfdump know, a packet filter's decision among it, to `take`.
pub fn make_later(count: u64, mut take: impl FnMut(&[u8])) {
    let mut dice = Dice(1904);
    make_from(Dice(75), LATER, count, |record| {
        let mut record = record.to_vec();
        if dice.below(2) == 0 {
            let mut decision = vec![0; 28];
            decision[0] = dice.below(16) as u8;
            decision[1] = dice.below(17) as u8;
            decision[2] = dice.below(2) as u8;
            decision[4] = dice.below(5) as u8;
            decision[20..23].copy_from_slice(dice.pick(&[b"em0", b"em1", b"re0"]));
            append(&mut record, field::ext::PF_INFO, &decision);
        }
        if dice.below(2) == 0 {
            let mut name = vec![0; 68];
            name[..4].copy_from_slice(dice.pick(&[b"root", b"user"]));
            append(&mut record, field::ext::NSEL_USER, &name);
        }
        take(&record);
    });
}

/// Appends an extension to a record.
fn append(record: &mut Vec<u8>, id: u16, data: &[u8]) {
    record.extend(id.to_le_bytes());
    record.extend((data.len() as u16 + 4).to_le_bytes());
    record.extend(data);
    let size = (record.len() as u16).to_le_bytes();
    let count = (u16::from_le_bytes([record[4], record[5]]) + 1).to_le_bytes();
    record[2..6].copy_from_slice(&[size[0], size[1], count[0], count[1]]);
}

/// Gives `count` records about tunnels to `take`.
pub fn make_tunnels(count: u64, take: impl FnMut(&[u8])) {
    make_from(Dice(42), TUNNELS, count, take);
}

/// Gives `count` records about events to `take`.
pub fn make_events(count: u64, take: impl FnMut(&[u8])) {
    make_from(Dice(815), EVENTS, count, take);
}

/// Gives `count` records to `take`.
pub fn make(count: u64, take: impl FnMut(&[u8])) {
    make_from(Dice(4711), &[], count, take);
}

fn make_from(mut dice: Dice, more: &[(Location, u64)], count: u64, mut take: impl FnMut(&[u8])) {
    let mut builder = RecordBuilder::new();
    for _ in 0..count {
        header(&mut builder, &mut dice);
        addresses(&mut builder, &mut dice);
        for (location, limit) in NUMBERS {
            if dice.below(3) > 0 {
                builder.set(*location, dice.below(*limit));
            }
        }
        for (location, limit) in more {
            if dice.below(2) > 0 {
                builder.set(*location, dice.below(*limit));
            }
        }
        if dice.below(3) == 0 {
            (0..10).for_each(|n| builder.set(field::mpls_label(n), dice.below(1 << 24)));
        }
        if dice.below(4) == 0 {
            builder.variable(field::ext::LABEL, b"a label\0");
        }
        take(builder.finish());
    }
}

/// The record's header and its generic fields.
fn header(builder: &mut RecordBuilder, dice: &mut Dice) {
    builder.begin(&RecordHeader {
        engine_type: dice.below(256) as u8,
        engine_id: dice.below(256) as u8,
        exporter_id: dice.below(3) as u16,
        flags: dice.pick(&[0, 2]),
        nfversion: dice.pick(&[5, 9, 10, 0x41, 0x85]),
    });
    let first = 1_795_400_000_000 + dice.below(100_000_000);
    let last = first + dice.pick(DURATIONS);
    let protocol = dice.pick(&[6, 6, 6, 17, 17, 1, 58, 47, 50, 132, 2, 0, 200]);
    let packets = dice.pick(PACKETS);
    let icmp = matches!(protocol, 1 | 58);
    for (location, value) in [
        (field::MSEC_FIRST, first),
        (field::MSEC_LAST, last),
        (field::MSEC_RECEIVED, last + dice.below(5000)),
        (field::IN_PACKETS, packets),
        (field::IN_BYTES, packets * dice.below(1500)),
        (field::SRC_PORT, if icmp { 0 } else { dice.below(65_536) }),
        (
            field::DST_PORT,
            if icmp {
                dice.pick(ICMP)
            } else {
                dice.pick(&[22, 80, 443, 64_334])
            },
        ),
        (field::PROTO, protocol),
        (field::TCP_FLAGS, dice.below(256)),
        (field::FWD_STATUS, dice.below(256)),
        (field::SRC_TOS, dice.below(256)),
    ] {
        builder.set(location, value);
    }
}

fn addresses(builder: &mut RecordBuilder, dice: &mut Dice) {
    let choice = if dice.below(3) == 0 { IPV6 } else { IPV4 };
    let mut set = |v4: Location, v6: Location, always: bool| {
        if always || dice.below(2) == 0 {
            builder.set_address(v4, v6, dice.pick(choice).parse::<IpAddr>().unwrap());
        }
    };
    set(field::SRC_IPV4, field::SRC_IPV6, true);
    set(field::DST_IPV4, field::DST_IPV6, true);
    set(field::BGP_NEXT_HOP_V4, field::BGP_NEXT_HOP_V6, false);
    set(field::IP_NEXT_HOP_V4, field::IP_NEXT_HOP_V6, false);
    set(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6, false);
    set(field::XLATE_SRC_IPV4, field::XLATE_SRC_IPV6, false);
    set(field::XLATE_DST_IPV4, field::XLATE_DST_IPV6, false);
}
