//! Records made by hand, the fields that nfdump must find. Where nfcapd 1.7.1 is right, the expectation was read from
//! its files for the same template; where it is not, from the RFCs.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use nfdump_compat::field::{self, Location, ext};
use nfdump_compat::record::{FLAG_EVENT, RecordView};
use proptest::prelude::*;
use protocol::session::MessageInfo;
use protocol::template::{FieldSpecifier, REVERSE_PEN, Template, TemplateKind, VARIABLE_LENGTH};

use super::{Clock, Mapper};

const EXPORT_MS: u64 = 1_700_000_000_000;
const RECEIVED_MS: u64 = 1_700_000_000_777;

fn message(version: u16) -> MessageInfo {
    MessageInfo {
        version,
        exporter: SocketAddr::from(([192, 0, 2, 1], 2055)),
        domain: 0x0203,
        export_ms: EXPORT_MS,
        uptime_ms: (version != 10).then_some(1_000_000),
        sequence: 0,
        sampling: 0,
        received_ms: RECEIVED_MS,
    }
}

fn clock(message: &MessageInfo) -> Clock {
    Clock {
        export_ms: EXPORT_MS.cast_signed(),
        uptime_ms: message.uptime_ms,
        system_init_ms: None,
    }
}

/// A field with its value: enterprise number, element, octets.
type Value<'a> = (u32, u16, &'a [u8]);

fn template(version: u16, values: &[Value<'_>]) -> Template {
    let field = |&(pen, id, octets): &Value<'_>| FieldSpecifier {
        id,
        pen,
        length: u16::try_from(octets.len()).unwrap(),
    };
    let id = if version == 5 { 0 } else { 256 };
    Template::new(
        version,
        id,
        TemplateKind::Data,
        values.iter().map(field).collect(),
    )
    .unwrap()
}

/// Maps one record and hands it to a closure.
fn map<T>(version: u16, values: &[Value<'_>], look: impl FnOnce(&RecordView<'_>) -> T) -> T {
    let template = template(version, values);
    let record: Vec<u8> = values
        .iter()
        .flat_map(|(_, _, octets)| octets.iter().copied())
        .collect();
    let message = message(version);
    let mut mapper = Mapper::default();
    let mapped = mapper.map(&message, &template, &record, 7, &clock(&message), None);
    look(&RecordView::parse(mapped).unwrap())
}

fn get(version: u16, values: &[Value<'_>], location: Location) -> Option<u64> {
    map(version, values, |view| view.get(location))
}

fn extensions(version: u16, values: &[Value<'_>]) -> Vec<u16> {
    map(version, values, |view| {
        view.extensions().map(|(id, _)| id).collect()
    })
}

const SRC: Value<'static> = (0, 8, &[10, 0, 0, 1]);
const DST: Value<'static> = (0, 12, &[10, 0, 0, 2]);

#[test]
fn softflowds_template_gives_nfcapds_record() {
    let values: [Value<'_>; 12] = [
        SRC,
        DST,
        (0, 21, &950_000_u32.to_be_bytes()),
        (0, 22, &900_000_u32.to_be_bytes()),
        (0, 1, &3549_u32.to_be_bytes()),
        (0, 2, &20_u32.to_be_bytes()),
        (0, 10, &[0, 0, 0, 1]),
        (0, 14, &[0, 0, 0, 2]),
        (0, 7, &22_u16.to_be_bytes()),
        (0, 11, &51880_u16.to_be_bytes()),
        (0, 4, &[6]),
        (0, 6, &[0x1b]),
    ];
    // 104 octets: the order is that of first mention, the exporter's address comes last.
    assert_eq!(
        extensions(9, &values),
        [
            ext::IPV4_FLOW,
            ext::GENERIC_FLOW,
            ext::FLOW_MISC,
            ext::IP_RECEIVED_V4
        ]
    );
    map(9, &values, |view| {
        assert_eq!(view.src_ip(), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(view.dst_ip(), Some("10.0.0.2".parse().unwrap()));
        assert_eq!(view.exporter_ip(), Some("192.0.2.1".parse().unwrap()));
        let want = [
            (field::MSEC_FIRST, EXPORT_MS - 100_000),
            (field::MSEC_LAST, EXPORT_MS - 50_000),
            (field::MSEC_RECEIVED, RECEIVED_MS),
            (field::IN_BYTES, 3549),
            (field::IN_PACKETS, 20),
            (field::INPUT, 1),
            (field::OUTPUT, 2),
            (field::SRC_PORT, 22),
            (field::DST_PORT, 51880),
            (field::PROTO, 6),
            (field::TCP_FLAGS, 0x1b),
        ];
        for (location, value) in want {
            assert_eq!(view.get(location), Some(value), "{location:?}");
        }
        let header = view.header();
        assert_eq!(
            (header.exporter_id, header.nfversion, header.flags),
            (7, 9, 0)
        );
        // The low half of the source id.
        assert_eq!((header.engine_type, header.engine_id), (2, 3));
    });
}

#[test]
fn every_element_has_its_field() {
    let one = &[1_u8][..];
    let number = &[1_u8, 2, 3, 4][..];
    let cases: [(u16, &[u8], Location, u64); 47] = [
        (1, &[9; 8], field::IN_BYTES, 0x0909_0909_0909_0909),
        (2, &[1, 2, 3], field::IN_PACKETS, 0x01_0203),
        (3, number, field::FLOWS, 0x0102_0304),
        (5, one, field::SRC_TOS, 1),
        (55, one, field::DST_TOS, 1),
        (6, &[0x01, 0x12], field::TCP_FLAGS, 0x12),
        (9, one, field::SRC_MASK, 1),
        (29, one, field::SRC_MASK, 1),
        (13, one, field::DST_MASK, 1),
        (30, one, field::DST_MASK, 1),
        (10, &[1, 2], field::INPUT, 0x0102),
        (14, number, field::OUTPUT, 0x0102_0304),
        (15, number, field::IP_NEXT_HOP_V4, 0x0102_0304),
        (18, number, field::BGP_NEXT_HOP_V4, 0x0102_0304),
        (16, &[1, 2], field::SRC_AS, 0x0102),
        (17, number, field::DST_AS, 0x0102_0304),
        (128, number, field::NEXT_AS, 0x0102_0304),
        (129, number, field::PREV_AS, 0x0102_0304),
        (23, number, field::OUT_BYTES, 0x0102_0304),
        (24, number, field::OUT_PACKETS, 0x0102_0304),
        (171, number, field::OUT_BYTES, 0x0102_0304),
        (172, number, field::OUT_PACKETS, 0x0102_0304),
        (85, number, field::IN_BYTES, 0x0102_0304),
        (86, number, field::IN_PACKETS, 0x0102_0304),
        (231, number, field::IN_BYTES, 0x0102_0304),
        (232, number, field::OUT_BYTES, 0x0102_0304),
        (298, number, field::IN_PACKETS, 0x0102_0304),
        (299, number, field::OUT_PACKETS, 0x0102_0304),
        (56, &[1, 2, 3, 4, 5, 6], field::IN_SRC_MAC, 0x0102_0304_0506),
        (
            57,
            &[1, 2, 3, 4, 5, 6],
            field::OUT_DST_MAC,
            0x0102_0304_0506,
        ),
        (80, &[1, 2, 3, 4, 5, 6], field::IN_DST_MAC, 0x0102_0304_0506),
        (
            81,
            &[1, 2, 3, 4, 5, 6],
            field::OUT_SRC_MAC,
            0x0102_0304_0506,
        ),
        (58, &[1, 2], field::SRC_VLAN, 0x0102),
        (59, &[1, 2], field::DST_VLAN, 0x0102),
        (61, one, field::DIR, 1),
        (70, &[1, 2, 3], field::mpls_label(0), 0x01_0203),
        (79, &[1, 2, 3], field::mpls_label(9), 0x01_0203),
        (89, one, field::FWD_STATUS, 1),
        (136, one, field::FLOW_END_REASON, 1),
        (239, one, field::BIFLOW_DIR, 1),
        (
            138,
            &[7; 8],
            field::OBSERVATION_POINT,
            0x0707_0707_0707_0707,
        ),
        (149, number, field::OBSERVATION_DOMAIN, 0x0102_0304),
        (225, number, field::XLATE_SRC_IPV4, 0x0102_0304),
        (226, number, field::XLATE_DST_IPV4, 0x0102_0304),
        (227, &[1, 2], field::XLATE_SRC_PORT, 0x0102),
        (228, &[1, 2], field::XLATE_DST_PORT, 0x0102),
        (234, number, field::INGRESS_VRF, 0x0102_0304),
    ];
    for (id, octets, location, want) in cases {
        for version in [9, 10] {
            let values = [SRC, DST, (0, id, octets)];
            assert_eq!(
                get(version, &values, location),
                Some(want),
                "element {id} in version {version}"
            );
        }
    }
}

#[test]
fn addresses_of_16_octets() {
    let address: Vec<u8> = (1..=16).collect();
    for (id, location) in [
        (27, field::SRC_IPV6),
        (28, field::DST_IPV6),
        (62, field::IP_NEXT_HOP_V6),
        (63, field::BGP_NEXT_HOP_V6),
        (281, field::XLATE_SRC_IPV6),
        (282, field::XLATE_DST_IPV6),
    ] {
        let seen = map(10, &[(0, id, &address)], |view| view.get128(location));
        assert_eq!(
            seen,
            Some(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            "element {id}"
        );
    }
}

#[test]
fn a_record_without_times_gets_the_export_time() {
    for version in [9, 10] {
        assert_eq!(
            extensions(version, &[SRC, DST, (0, 10, &[1])]),
            [
                ext::IPV4_FLOW,
                ext::FLOW_MISC,
                ext::GENERIC_FLOW,
                ext::IP_RECEIVED_V4
            ]
        );
        assert_eq!(
            get(version, &[SRC, DST], field::MSEC_FIRST),
            Some(EXPORT_MS)
        );
    }
}

#[test]
fn absolute_times_count_before_relative_ones() {
    let values = [
        SRC,
        (0, 152, &5_u64.to_be_bytes()[..]),
        (0, 153, &6_u64.to_be_bytes()),
        (0, 22, &[0; 4]),
        (0, 21, &[0; 4]),
    ];
    assert_eq!(get(9, &values, field::MSEC_FIRST), Some(5));
    assert_eq!(get(9, &values, field::MSEC_LAST), Some(6));
}

#[test]
fn icmp_stands_in_the_destination_port() {
    let (icmp, icmp6, tcp): (Value<'_>, Value<'_>, Value<'_>) =
        ((0, 4, &[1]), (0, 4, &[58]), (0, 4, &[6]));
    let ports: [Value<'_>; 2] = [(0, 7, &[0, 77]), (0, 11, &[0, 88])];
    let both: Value<'_> = (0, 32, &[3, 5]);
    let both6: Value<'_> = (0, 139, &[128, 1]);
    let apart: [Value<'_>; 2] = [(0, 176, &[3]), (0, 177, &[5])];
    let apart6: [Value<'_>; 2] = [(0, 178, &[128]), (0, 179, &[1])];
    let cases: [(&[Value<'_>], u64, u64); 8] = [
        (&[icmp, both], 0, 0x0305),
        (&[icmp, ports[0], ports[1], both], 0, 0x0305),
        (&[icmp, apart[0], apart[1]], 0, 0x0305),
        (&[icmp6, both6], 0, 0x8001),
        (&[icmp6, apart6[0], apart6[1]], 0, 0x8001),
        (&[icmp6, both, both6], 0, 0x8001),
        // No ICMP: the ports are what they are.
        (&[tcp, ports[0], ports[1], both, apart[0]], 77, 88),
        (&[both], 0, 0x0305),
    ];
    for (values, source, destination) in cases {
        for version in [9, 10] {
            let seen = map(version, values, |view| {
                (view.get(field::SRC_PORT), view.get(field::DST_PORT))
            });
            assert_eq!(seen, (Some(source), Some(destination)), "{values:?}");
        }
    }
}

#[test]
fn ports_of_the_other_transport_change_nothing() {
    let values: [Value<'_>; 4] = [
        (0, 4, &[17]),
        (0, 7, &[0, 77]),
        (0, 182, &[0, 0]),
        (0, 180, &[0, 77]),
    ];
    assert_eq!(get(9, &values, field::SRC_PORT), Some(77));
    let values: [Value<'_>; 3] = [(0, 4, &[17]), (0, 181, &[0, 53]), (0, 183, &[0, 0])];
    assert_eq!(get(10, &values, field::DST_PORT), Some(53));
}

#[test]
fn a_record_that_does_not_count_flows_is_one() {
    assert_eq!(get(10, &[SRC, (0, 23, &[9])], field::FLOWS), Some(1));
    assert_eq!(
        get(10, &[SRC, (0, 23, &[9]), (0, 3, &[0])], field::FLOWS),
        Some(0)
    );
    assert!(!extensions(10, &[SRC]).contains(&ext::CNT_FLOW));
}

#[test]
fn of_an_element_twice_the_last_counts() {
    assert_eq!(
        get(9, &[(0, 5, &[1]), (0, 5, &[2])], field::SRC_TOS),
        Some(2)
    );
    let application = map(9, &[(0, 95, &[13, 0, 0, 1]), (0, 95, &[1, 2])], |view| {
        view.extension(ext::NBAR_APP).map(<[u8]>::to_vec)
    });
    assert_eq!(application, Some(vec![1, 2]));
}

#[test]
fn the_reverse_direction_keeps_out_of_the_forward_fields() {
    let values = [
        SRC,
        (0, 1, &[10][..]),
        (0, 6, &[2]),
        (0, 152, &5_u64.to_be_bytes()),
        (REVERSE_PEN, 1, &[20]),
        (REVERSE_PEN, 2, &[3]),
        (REVERSE_PEN, 6, &[0x12]),
        (REVERSE_PEN, 152, &[7; 8]),
    ];
    map(10, &values, |view| {
        let want = [
            (field::IN_BYTES, 10),
            (field::OUT_BYTES, 20),
            (field::OUT_PACKETS, 3),
            (field::TCP_FLAGS, 2),
            (field::REV_TCP_FLAGS, 0x12),
            (field::MSEC_FIRST, 5),
        ];
        for (location, value) in want {
            assert_eq!(view.get(location), Some(value), "{location:?}");
        }
    });
}

#[test]
fn the_family_that_is_filled_wins() {
    let (v4, v6) = (
        [192, 0, 2, 7],
        [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
    );
    let both = |a: &[u8], b: &[u8], version: Option<u8>| {
        let version_field = version.map(|v| [v]);
        let mut values: Vec<Value<'_>> = vec![(0, 8, a), (0, 27, b), (0, 4, &[6])];
        if let Some(octets) = &version_field {
            values.push((0, 60, octets));
        }
        let shown = map(10, &values, |view| {
            assert_eq!(view.has(ext::IPV4_FLOW), !view.has(ext::IPV6_FLOW));
            assert_eq!(view.get(field::PROTO), Some(6));
            view.src_ip().map(|ip| ip.to_string())
        });
        shown.unwrap()
    };
    assert_eq!(both(&v4, &[0; 16], None), "192.0.2.7");
    assert_eq!(both(&[0; 4], &v6, None), "2001:db8::7");
    assert_eq!(both(&v4, &v6, Some(6)), "2001:db8::7");
    assert_eq!(both(&v4, &v6, Some(4)), "192.0.2.7");
    assert_eq!(both(&[0; 4], &[0; 16], None), "0.0.0.0");
}

#[test]
fn v5_leaves_out_what_it_does_not_know() {
    let values = |nexthop: &'static [u8],
                  input: &'static [u8],
                  system: &'static [u8]|
     -> Vec<Value<'static>> {
        vec![
            SRC,
            DST,
            (0, 15, nexthop),
            (0, 10, input),
            (0, 14, &[0, 0]),
            (0, 2, &[0, 0, 0, 5]),
            (0, 1, &[0, 0, 0, 9]),
            (0, 4, &[6]),
            (0, 16, system),
            (0, 17, &[0, 0]),
            (0, 9, &[0]),
            (0, 13, &[0]),
        ]
    };
    let seen = extensions(5, &values(&[0; 4], &[0; 2], &[0; 2]));
    assert_eq!(
        seen,
        [ext::IPV4_FLOW, ext::GENERIC_FLOW, ext::IP_RECEIVED_V4]
    );
    let seen = extensions(5, &values(&[192, 0, 2, 9], &[0, 3], &[0, 0]));
    assert_eq!(
        seen,
        [
            ext::IPV4_FLOW,
            ext::IP_NEXT_HOP_V4,
            ext::FLOW_MISC,
            ext::GENERIC_FLOW,
            ext::IP_RECEIVED_V4
        ]
    );
}

#[test]
fn firewall_and_nat_events() {
    let event_ms = 1_600_000_000_123_u64.to_be_bytes();
    let user = [b'u'; 65];
    let values = [
        SRC,
        (0, 323, &event_ms[..]),
        (0, 233, &[1]),
        (0, 33002, &[7, 0xd1]),
        (0, 148, &[0, 0, 0, 99]),
        (0, 33000, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
        (0, 40000, &user),
    ];
    map(9, &values, |view| {
        assert_eq!(view.header().flags, FLAG_EVENT);
        let want = [
            (field::NSEL_MSEC_EVENT, 1_600_000_000_123),
            (field::MSEC_FIRST, 1_600_000_000_123),
            (field::NSEL_FW_EVENT, 1),
            (field::NSEL_FW_XEVENT, 2001),
            (field::NSEL_CONN_ID, 99),
            (field::ingress_acl(0), 1),
            (field::ingress_acl(2), 3),
        ];
        for (location, value) in want {
            assert_eq!(view.get(location), Some(value), "{location:?}");
        }
        assert_eq!(
            view.extension(ext::NSEL_USER).unwrap()[..66],
            [&user[..], &[0]].concat()
        );
    });
    // A flowId alone makes no event.
    map(9, &[SRC, (0, 148, &[0, 0, 0, 99])], |view| {
        assert_eq!(view.header().flags, 0);
        assert!(!view.has(ext::NSEL_COMMON));
    });
    let values = [
        SRC,
        (0, 323, &event_ms[..]),
        (0, 230, &[4]),
        (0, 361, &[4, 0]),
        (0, 362, &[5, 0]),
    ];
    map(10, &values, |view| {
        assert_eq!(view.header().flags, FLAG_EVENT);
        assert_eq!(view.get(field::NAT_MSEC_EVENT), Some(1_600_000_000_123));
        assert_eq!(view.get(field::NAT_EVENT), Some(4));
        assert_eq!(
            (view.get(field::BLOCK_START), view.get(field::BLOCK_END)),
            (Some(1024), Some(1280))
        );
    });
}

#[test]
fn latencies_add_up_seconds_and_microseconds() {
    for values in [
        [(0, 57554, &[0, 0, 0, 2][..]), (0, 57555, &[0, 0, 0, 5])],
        [(35632, 82, &[0, 0, 0, 2][..]), (35632, 83, &[0, 0, 0, 5])],
    ] {
        let version = if values[0].0 == 0 { 9 } else { 10 };
        assert_eq!(
            get(version, &values, field::CLIENT_LATENCY),
            Some(2_000_005)
        );
    }
}

#[test]
fn engine_and_observation_domain() {
    let header = map(9, &[SRC, (0, 38, &[4]), (0, 39, &[5])], |view| {
        view.header()
    });
    assert_eq!((header.engine_type, header.engine_id), (4, 5));
    let header = map(10, &[SRC], |view| view.header());
    assert_eq!((header.engine_type, header.engine_id), (0, 0));
    // A point without its domain lies in that of the message.
    assert_eq!(
        get(10, &[SRC, (0, 138, &[1])], field::OBSERVATION_DOMAIN),
        Some(0x0203)
    );
}

#[test]
fn numbers_of_impossible_length_are_left_out() {
    assert_eq!(get(10, &[SRC, (0, 1, &[1; 9])], field::IN_BYTES), Some(0));
    assert_eq!(
        map(10, &[(0, 27, &[1; 15])], |view| view
            .get128(field::SRC_IPV6)),
        None
    );
}

#[test]
fn fields_of_variable_length_are_walked() {
    let fields = vec![
        FieldSpecifier::new(8, 4),
        FieldSpecifier::new(371, VARIABLE_LENGTH),
        FieldSpecifier::new(1, VARIABLE_LENGTH),
        FieldSpecifier {
            id: 18,
            pen: 6871,
            length: VARIABLE_LENGTH,
        },
        FieldSpecifier::new(4, 1),
    ];
    let template = Template::new(10, 300, TemplateKind::Data, fields).unwrap();
    let mut record = vec![10, 0, 0, 1, 5];
    record.extend(b"alice");
    record.extend([2, 1, 4, 255, 0, 3]);
    record.extend(b"GET");
    record.push(17);
    let message = message(10);
    let mut mapper = Mapper::default();
    let view =
        RecordView::parse(mapper.map(&message, &template, &record, 1, &clock(&message), None))
            .unwrap();
    assert_eq!(view.src_ip(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(view.get(field::IN_BYTES), Some(0x0104));
    assert_eq!(view.get(field::PROTO), Some(17));
    assert_eq!(view.extension(ext::IN_PAYLOAD), Some(&b"GET"[..]));
    assert_eq!(
        view.extensions().last().map(|(id, _)| id),
        Some(ext::IP_RECEIVED_V4)
    );
}

#[test]
fn an_ipv6_exporter_and_a_huge_payload() {
    let fields = vec![
        FieldSpecifier {
            id: 18,
            pen: 6871,
            length: 65_000,
        },
        FieldSpecifier {
            id: 16402,
            pen: 6871,
            length: 500,
        },
        FieldSpecifier::new(4, 1),
    ];
    let template = Template::new(10, 300, TemplateKind::Data, fields).unwrap();
    let mut record = vec![b'x'; 65_500];
    record.push(6);
    let message = MessageInfo {
        exporter: "[2001:db8::9]:4739".parse().unwrap(),
        ..message(10)
    };
    let mut mapper = Mapper::default();
    let mapped = mapper.map(&message, &template, &record, 1, &clock(&message), None);
    let view = RecordView::parse(mapped).unwrap();
    assert_eq!(view.exporter_ip(), Some("2001:db8::9".parse().unwrap()));
    // Both do not fit into one record: the first stays.
    assert_eq!(
        view.extension(ext::IN_PAYLOAD).map(<[u8]>::len),
        Some(65_000)
    );
    assert_eq!(view.get(field::PROTO), Some(6));
}

proptest! {
    #[test]
    fn any_template_and_any_octets_make_a_readable_record(
        version in prop::sample::select(vec![5_u16, 9, 10]),
        fields in prop::collection::vec((prop_oneof![0..512_u16, 33000..33003_u16, 40000..40006_u16, 57552..57562_u16], prop::sample::select(vec![0_u32, 0, 0, REVERSE_PEN, 35632, 6871]), prop_oneof![0..20_u16, Just(65_u16), Just(VARIABLE_LENGTH)]), 1..30),
        record in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let fields = fields.into_iter().map(|(id, pen, length)| FieldSpecifier { id, pen, length }).collect();
        if let Ok(template) = Template::new(version, 256, TemplateKind::Data, fields) {
            let message = message(version);
            let mut mapper = Mapper::default();
            let mapped = mapper.map(&message, &template, &record, 1, &clock(&message), None);
            let view = RecordView::parse(mapped);
            prop_assert!(view.is_ok(), "{view:?}");
            let view = view.unwrap();
            prop_assert!(view.has(ext::GENERIC_FLOW) && view.exporter_ip().is_some());
            let mut ids: Vec<u16> = view.extensions().map(|(id, _)| id).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
            prop_assert!(ids.iter().all(|&id| (1..=37).contains(&id)));
        }
    }
}
