//! pcap and pcapng files, not compressed: frames keep to the limits, and no octet of the file is frame twice.
#![no_main]

use exporter::capture::MAX_FRAME;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x04, 0x22, 0x4d, 0x18, ..] = input {
        return;
    }
    let mut octets = 0;
    let read = exporter_fuzz::frames(input, |frame| {
        assert!(frame.captured.len() <= MAX_FRAME as usize);
        assert!(frame.ts_ns.unsigned_abs() <= 1 << 62);
        octets += frame.captured.len();
    });
    if let Some((offset, whole)) = read {
        let length = input.len() as u64;
        assert!(octets as u64 <= offset && offset <= length);
        assert!(!whole || offset == length);
    }
});
