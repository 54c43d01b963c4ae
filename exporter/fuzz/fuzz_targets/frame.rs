//! One frame of any link type, cut anywhere: its lengths stay within the frame.
#![no_main]

use exporter::capture::{Frame, LinkType};
use exporter::dissect::{Dissector, Family, Tunnel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(([low, high, extra], captured)) = input.split_first_chunk::<3>() else {
        return;
    };
    // Some octets of the frame were not captured.
    let original_len = captured.len() as u32 + u32::from(*extra) * 8;
    let frame = Frame {
        ts_ns: 1,
        captured,
        original_len,
        link: LinkType(u16::from_le_bytes([*low, *high])),
    };
    for tunnel in [Tunnel::Inner, Tunnel::Outer] {
        let (mut packet, mut again, mut detail) = Default::default();
        let belongs = Dissector::new(tunnel).dissect(&frame, &mut packet);
        let in_detail = Dissector::new(tunnel).dissect_in_detail(&frame, &mut again, &mut detail);
        // The watcher changes nothing.
        assert_eq!((belongs, packet), (in_detail, again));
        if belongs {
            assert!(packet.l7_octets <= packet.ip_octets && packet.l4_octets <= packet.ip_octets);
            assert!(packet.ip_octets <= original_len && packet.pad_octets <= original_len);
            assert!(packet.family != Family::Link || packet.src_port == 0);
        }
    }
});
