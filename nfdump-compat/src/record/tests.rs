//! Records read and built, good and bad.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

/// First flow of a file by nfcapd 1.7.1 (softflowd, NetFlow v9), in the order nfcapd wrote it.
fn real_record() -> Vec<u8> {
    let mut bytes = vec![0x0b, 0, 0x68, 0, 4, 0, 0, 0, 1, 0, 0, 9];
    bytes.extend([2, 0, 12, 0, 0x01, 0x15, 0x9f, 0x83, 0x4f, 0x01, 0xa8, 0xc0]);
    bytes.extend([
        1, 0, 0x34, 0, 0x02, 0x2b, 0xcd, 0x48, 0xa2, 0x01, 0, 0, 0x12, 0x43, 0xcd, 0x48, 0xa2,
        0x01, 0, 0,
    ]);
    bytes.extend([
        0x9b, 0x51, 0x07, 0x07, 0xa2, 0x01, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0x0d, 0, 0, 0,
        0, 0, 0,
    ]);
    bytes.extend([0x16, 0, 0xa8, 0xca, 6, 0x1b, 0, 0]);
    bytes.extend([4, 0, 0x14, 0]);
    bytes.extend([0; 16]);
    bytes.extend([12, 0, 8, 0, 1, 0, 0, 127]);
    bytes
}

#[test]
fn reads_a_record_of_nfcapd() {
    let bytes = real_record();
    let view = RecordView::parse(&bytes).unwrap();
    assert_eq!(view.src_ip(), Some("131.159.21.1".parse().unwrap()));
    assert_eq!(view.dst_ip(), Some("192.168.1.79".parse().unwrap()));
    assert_eq!(view.exporter_ip(), Some("127.0.0.1".parse().unwrap()));
    assert_eq!(view.first_ms(), Some(1_796_517_735_170));
    assert_eq!(view.last_ms(), Some(1_796_517_741_330));
    assert_eq!(view.received_ms(), Some(1_795_414_249_883));
    assert_eq!((view.packets(), view.octets(), view.flows()), (20, 3549, 1));
    assert_eq!(
        (view.src_port(), view.dst_port(), view.proto()),
        (Some(22), Some(51880), Some(6))
    );
    assert_eq!(view.get(field::TCP_FLAGS), Some(0x1b));
    assert_eq!(view.get(field::SRC_AS), None);
    assert_eq!(
        view.header(),
        RecordHeader {
            exporter_id: 1,
            nfversion: 9,
            ..RecordHeader::default()
        }
    );
    assert_eq!(
        view.extensions()
            .map(|(id, data)| (id, data.len()))
            .collect::<Vec<_>>(),
        [(2, 8), (1, 48), (4, 16), (12, 4)]
    );
}

#[test]
fn builds_a_record_as_nfcapd_does() {
    let mut builder = RecordBuilder::new();
    for _ in 0..2 {
        builder.begin(&RecordHeader {
            exporter_id: 1,
            nfversion: 9,
            ..RecordHeader::default()
        });
        builder.set_address(
            field::SRC_IPV4,
            field::SRC_IPV6,
            "131.159.21.1".parse().unwrap(),
        );
        builder.set(field::DST_IPV4, 0xc0a8_014f);
        builder.set(field::MSEC_FIRST, 1_796_517_735_170);
        builder.set(field::MSEC_LAST, 1_796_517_741_330);
        builder.set(field::MSEC_RECEIVED, 1_795_414_249_883);
        builder.set(field::IN_PACKETS, 20);
        builder.set(field::IN_BYTES, 3549);
        builder.set(field::SRC_PORT, 22);
        builder.set(field::DST_PORT, 51880);
        builder.set(field::PROTO, 6);
        builder.set(field::TCP_FLAGS, 0x1b);
        builder.extension(ext::FLOW_MISC);
        builder.set(field::IP_RECEIVED_V4, 0x7f00_0001);
        assert_eq!(builder.finish(), real_record());
    }
}

#[test]
fn ipv6_halves_are_integers() {
    let mut builder = RecordBuilder::new();
    builder.set_address(
        field::SRC_IPV4,
        field::SRC_IPV6,
        "2001:db8::1".parse().unwrap(),
    );
    let bytes = builder.finish().to_vec();
    assert_eq!(bytes[16..24], 0x2001_0db8_0000_0000_u64.to_le_bytes());
    assert_eq!(bytes[24..32], 1_u64.to_le_bytes());
    assert_eq!(
        RecordView::parse(&bytes).unwrap().src_ip(),
        Some("2001:db8::1".parse().unwrap())
    );
}

#[test]
fn impossible_requests_do_nothing() {
    let mut builder = RecordBuilder::new();
    assert!(builder.extension(0).is_empty());
    assert!(builder.extension(60).is_empty());
    assert!(builder.extension(ext::LABEL).is_empty());
    builder.set(field::mpls_label(3), 7);
    builder.set(field::mpls_label(10), 9);
    builder.set(field::mpls_label(u16::MAX), 9);
    assert!(builder.variable(ext::LABEL, b"web"));
    assert!(!builder.variable(ext::LABEL, b"again"));
    assert!(!builder.variable(ext::GENERIC_FLOW, &[0; 48]));
    assert!(!builder.variable(ext::IN_PAYLOAD, &[0; 65535]));
    let view = RecordView::parse(builder.finish()).unwrap();
    assert_eq!(view.extension_count(), 2);
    assert_eq!(view.extension(ext::LABEL), Some(&b"web"[..]));
    assert_eq!(view.get(field::mpls_label(3)), Some(7));
    assert_eq!(view.get(field::mpls_label(10)), None);
}

#[test]
fn wrong_lengths_are_named() {
    let good = real_record();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        RecordView::parse(&bytes).err()
    };
    assert_eq!(with(&|b| b.truncate(11)), Some(RecordError::Short(11)));
    assert_eq!(with(&|b| b[0] = 7), Some(RecordError::Type(7)));
    assert_eq!(
        with(&|b| b.truncate(103)),
        Some(RecordError::Size {
            said: 104,
            found: 103
        })
    );
    assert_eq!(
        with(&|b| b[4] = 5),
        Some(RecordError::ExtensionCount { said: 5, found: 4 })
    );
    assert_eq!(
        with(&|b| b[4] = 3),
        Some(RecordError::Trailing {
            said: 104,
            found: 96
        })
    );
    for length in [0, 3, 11, 255] {
        assert_eq!(
            with(&|b| b[14] = length),
            Some(RecordError::ExtensionLength {
                id: 2,
                offset: 12,
                length: u16::from(length)
            })
        );
    }
    // Unknown ids and longer extensions pass.
    assert_eq!(with(&|b| b[12] = 60), None);
    assert_eq!(with(&|b| b[12] = 10), None);
    // One of nfdump 1.7.5 that is too short is not there.
    let mut bytes = good.clone();
    bytes[12] = 38;
    let view = RecordView::parse(&bytes).unwrap();
    assert!(!view.has(ext::LAYER_2));
    assert_eq!(view.extension_count(), 4);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header: bool) {
        if header && bytes.len() >= 12 {
            bytes[0] = 11;
            bytes[1] = 0;
            let size = u16::try_from(bytes.len()).unwrap().to_le_bytes();
            bytes[2..4].copy_from_slice(&size);
            bytes[4] %= 8;
            bytes[5] = 0;
            bytes[12..].iter_mut().step_by(2).skip(1).for_each(|b| *b = 0);
        }
        if let Ok(view) = RecordView::parse(&bytes) {
            for extension in 0..50 {
                let _ = view.extension(extension);
                for offset in 0..100 {
                    let _ = view.get(Location { extension, offset, width: 8 });
                    let _ = view.get128(Location { extension, offset, width: 16 });
                }
            }
            prop_assert!(view.extensions().count() <= usize::from(view.extension_count()));
            let _ = (view.src_ip(), view.header());
        }
    }

    #[test]
    fn what_is_set_is_read(values in proptest::collection::vec((0u16..50, 0u16..70, 0u8..4, any::<u64>()), 0..60)) {
        let mut builder = RecordBuilder::new();
        for &(extension, offset, width, value) in &values {
            let location = Location { extension, offset, width: 1 << width };
            builder.set(location, value);
            let inside = matches!(field::data_length(extension), Some(DataLength::Fixed(n)) if offset + (1 << width) <= n);
            if inside {
                let mask = u64::MAX >> (64 - 8 * (1u32 << width));
                prop_assert_eq!(builder.get(location), Some(value & mask));
            }
        }
        let bytes = builder.finish().to_vec();
        let view = RecordView::parse(&bytes).unwrap();
        for &(extension, ..) in &values {
            prop_assert_eq!(view.has(extension), builder.has(extension));
        }
    }
}
