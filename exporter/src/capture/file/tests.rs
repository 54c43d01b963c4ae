#![allow(clippy::unwrap_used)]

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::capture::{Format, LinkType};

mod compressed;

/// Time, captured octets, original length, link type.
type Seen = (i64, Vec<u8>, u32, u16);

fn read(bytes: &[u8]) -> (Vec<Seen>, Result<CaptureInfo, String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut capture = match CaptureFile::open(file.path().to_str().unwrap()) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Err(error.fault.to_string())),
    };
    let mut seen = Vec::new();
    loop {
        match capture.next_batch() {
            Ok(Some(batch)) => {
                seen.extend(
                    batch.map(|f| (f.ts_ns, f.captured.to_vec(), f.original_len, f.link.0)),
                );
            }
            Ok(None) => return (seen, Ok(capture.info())),
            Err(error) => return (seen, Err(error.fault.to_string())),
        }
    }
}

struct Out {
    bytes: Vec<u8>,
    big: bool,
}

impl Out {
    fn new(big: bool) -> Self {
        Out {
            bytes: Vec::new(),
            big,
        }
    }
    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
        self
    }
    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
        self
    }
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }
    fn pcap(&mut self, magic: u32, network: u32) -> &mut Self {
        self.u32(magic)
            .u16(2)
            .u16(4)
            .u32(0)
            .u32(0)
            .u32(65535)
            .u32(network)
    }
    fn block(&mut self, kind: u32, body: &Out) -> &mut Self {
        let padded = body.bytes.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        self.u32(kind).u32(length).raw(&body.bytes);
        self.bytes
            .resize(self.bytes.len() + padded - body.bytes.len(), 0);
        self.u32(length)
    }
    fn section(&mut self) -> &mut Self {
        let mut body = Out::new(self.big);
        body.u32(0x1a2b_3c4d)
            .u16(1)
            .u16(0)
            .u32(u32::MAX)
            .u32(u32::MAX);
        self.block(0x0a0d_0d0a, &body)
    }
    fn interface(&mut self, link: u16, snaplen: u32, options: &Out) -> &mut Self {
        let mut body = Out::new(self.big);
        body.u16(link).u16(0).u32(snaplen).raw(&options.bytes);
        self.block(1, &body)
    }
    fn enhanced(&mut self, interface: u32, stamp: u64, data: &[u8], original: u32) -> &mut Self {
        let mut body = Out::new(self.big);
        body.u32(interface)
            .u32((stamp >> 32) as u32)
            .u32(stamp as u32);
        body.u32(u32::try_from(data.len()).unwrap())
            .u32(original)
            .raw(data);
        self.block(6, &body)
    }
}

#[test]
fn pcap_in_every_order_and_precision() {
    let kinds = [
        (0xa1b2_c3d4, Format::Pcap, 5_037_210_000_i64),
        (0xa1b2_3c4d, Format::PcapNano, 5_000_037_210),
        (0xa1b2_cd34, Format::PcapModified, 5_037_210_000),
    ];
    for (magic, format, ts_ns) in kinds {
        for big in [false, true] {
            let mut out = Out::new(big);
            out.pcap(magic, 0x2400_0001);
            for data in [&b"abcd"[..], b"", b"xyz"] {
                out.u32(5)
                    .u32(37210)
                    .u32(u32::try_from(data.len()).unwrap())
                    .u32(1500);
                if format == Format::PcapModified {
                    out.raw(&[7; 8]);
                }
                out.raw(data);
            }
            let (seen, info) = read(&out.bytes);
            let expect = |data: &[u8]| (ts_ns, data.to_vec(), 1500, 1);
            assert_eq!(seen, [expect(b"abcd"), expect(b""), expect(b"xyz")]);
            assert_eq!(
                info,
                Ok(CaptureInfo {
                    format,
                    link: Some(LinkType::ETHERNET),
                    snaplen: 65535
                })
            );
        }
    }
}

#[test]
fn times_after_2038_stay_positive() {
    let mut out = Out::new(false);
    out.pcap(0xa1b2_c3d4, 1)
        .u32(u32::MAX)
        .u32(999_999)
        .u32(0)
        .u32(0);
    assert_eq!(read(&out.bytes).0[0].0, 4_294_967_295_999_999_000);
}

#[test]
fn pcapng_with_two_interfaces_and_sections() {
    for big in [false, true] {
        let mut nano = Out::new(big);
        nano.u16(2)
            .u16(4)
            .raw(b"eth0")
            .u16(9)
            .u16(1)
            .raw(&[9, 0, 0, 0])
            .u32(0);
        let mut binary = Out::new(big);
        binary.u16(9).u16(1).raw(&[0x8a, 0, 0, 0]).u16(14).u16(8);
        // if_tsoffset is 64 bits.
        binary.raw(&if big {
            100_i64.to_be_bytes()
        } else {
            100_i64.to_le_bytes()
        });
        let mut old = Out::new(big);
        old.u16(1).u16(3).u32(0).u32(2048).u32(2).u32(9).raw(b"pb");
        let mut simple = Out::new(big);
        simple.u32(60).raw(b"sp-snapped");
        let mut out = Out::new(big);
        out.section()
            .interface(1, 10, &nano)
            .interface(101, 0, &binary);
        out.enhanced(0, 1_234_567_890_123, b"one", 3)
            .block(0xbad, &Out::new(big));
        out.enhanced(1, 1024 + 512, b"seven77", 7)
            .block(2, &old)
            .block(3, &simple);
        let mut second = Out::new(!big);
        second
            .section()
            .interface(113, 0, &Out::new(!big))
            .enhanced(0, 7, b"", 0);
        out.raw(&second.bytes);
        let (seen, info) = read(&out.bytes);
        assert_eq!(
            info,
            Ok(CaptureInfo {
                format: Format::Pcapng,
                link: Some(LinkType::ETHERNET),
                snaplen: 10
            })
        );
        let expect = [
            (1_234_567_890_123, b"one".to_vec(), 3, 1),
            (101_500_000_000, b"seven77".to_vec(), 7, 101),
            (102_000_000_000, b"pb".to_vec(), 9, 101),
            (102_000_000_000, b"sp-snapped".to_vec(), 60, 1),
            (7_000, Vec::new(), 0, 113),
        ];
        assert_eq!(seen, expect);
    }
}

#[test]
fn everything_before_a_cut_is_delivered() {
    let mut out = Out::new(false);
    out.pcap(0xa1b2_c3d4, 1)
        .u32(1)
        .u32(2)
        .u32(4)
        .u32(4)
        .raw(b"full")
        .u32(1)
        .u32(2)
        .u32(400)
        .u32(400)
        .raw(b"cut");
    let (seen, error) = read(&out.bytes);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        error.unwrap_err(),
        "the capture is cut: the packet at offset 44 needs 416 octets, 19 are there"
    );

    let mut out = Out::new(true);
    out.section()
        .interface(1, 0, &Out::new(true))
        .enhanced(0, 7, b"full", 4)
        .enhanced(0, 7, b"cutcut", 6);
    out.bytes.truncate(out.bytes.len() - 5);
    let (seen, error) = read(&out.bytes);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        error.unwrap_err(),
        "the capture is cut: the packet at offset 84 needs 40 octets, 35 are there"
    );

    let mut out = Out::new(false);
    out.section().u32(0xbad).u32(4000).raw(b"no more");
    assert_eq!(
        read(&out.bytes).1.unwrap_err(),
        "the capture is cut: the block at offset 43 needs 3985 octets, 0 are there"
    );
}

#[test]
fn damage_is_named() {
    let fault = |bytes: &[u8]| read(bytes).1.unwrap_err();
    assert_eq!(fault(b""), "not a capture: the file is empty");
    assert_eq!(
        fault(b"hi"),
        "not a pcap or pcapng capture: it starts with 68 69"
    );
    let mut out = Out::new(true);
    out.pcap(0xa1b2_c3d4, 1);
    assert!(
        fault(&out.bytes[..20])
            .starts_with("the capture is cut: the file header at offset 0 needs 24")
    );
    out.u32(1).u32(2).u32(0x7fff_ffff).u32(4);
    assert_eq!(
        fault(&out.bytes),
        "the packet at offset 24 claims 2147483647 octets, the limit is 262144"
    );
    let mut out = Out::new(true);
    out.u32(0xa1b2_c3d4).u16(7).u16(0).raw(&[0; 16]);
    assert_eq!(fault(&out.bytes), "pcap version 7.0 is not known");
    let mut out = Out::new(true);
    out.section().enhanced(3, 7, b"", 0);
    assert_eq!(
        fault(&out.bytes),
        "the pcapng block at offset 28 is damaged: its interface was not described"
    );
    let missing = CaptureFile::open("/nonexistent/x.pcap")
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("/nonexistent/x.pcap: cannot open the capture: No such file"),
        "{missing}"
    );
}

#[test]
fn frames_across_reads_and_long_foreign_blocks() {
    let mut out = Out::new(false);
    out.section().interface(1, 0, &Out::new(false));
    let mut foreign = Out::new(false);
    foreign.bytes.resize(3_000_000, 7);
    out.block(0xbad, &foreign);
    for n in 0..2000_u32 {
        out.enhanced(0, u64::from(n), &vec![n as u8; (n * 7 % 1500) as usize], n);
    }
    out.block(0xbad, &foreign).enhanced(0, 4, b"end", 3);
    let (seen, info) = read(&out.bytes);
    assert!(info.is_ok());
    assert_eq!(seen.len(), 2001);
    for (n, frame) in seen.iter().take(2000).enumerate() {
        assert_eq!(
            (frame.0, frame.1.len(), frame.2 as usize),
            (n as i64 * 1000, n * 7 % 1500, n)
        );
    }
}

#[test]
fn what_a_dropped_batch_left_comes_next() {
    let mut out = Out::new(false);
    out.pcap(0xa1b2_c3d4, 1);
    for n in 0..5 {
        out.u32(n).u32(0).u32(0).u32(0);
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&out.bytes).unwrap();
    let mut capture = CaptureFile::open(file.path().to_str().unwrap()).unwrap();
    let mut seconds = Vec::new();
    while let Some(mut batch) = capture.next_batch().unwrap() {
        seconds.extend(batch.next().map(|frame| frame.ts_ns / 1_000_000_000));
    }
    assert_eq!(seconds, [0, 1, 2, 3, 4]);
    assert_eq!(capture.offset(), 24 + 5 * 16);
}

proptest! {
    #[test]
    fn random_octets_never_panic(start in 0..8_usize, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        const STARTS: [&[u8]; 8] = [
            b"", b"\xa1\xb2\xc3\xd4\0\x02\0\x04", b"\xd4\xc3\xb2\xa1\x02\0\x04\0", b"\x4d\x3c\xb2\xa1\x02\0\x04\0",
            b"\xa1\xb2\xcd\x34\0\x02\0\x04", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c", b"\x0a\x0d\x0d\x0a",
        ];
        let _ = read(&[STARTS[start], &bytes].concat());
    }

    #[test]
    fn a_changed_octet_never_panics(at in 0..250_usize, value: u8) {
        let mut out = Out::new(true);
        let mut options = Out::new(true);
        options.u16(9).u16(1).raw(&[6, 0, 0, 0]).u16(14).u16(8).raw(&[0; 8]).u32(0);
        out.section().interface(1, 96, &options).interface(101, 0, &Out::new(true));
        out.enhanced(0, 1, b"hello", 5).enhanced(1, 2, b"hello again", 500).section();
        let at = at % out.bytes.len();
        out.bytes[at] = value;
        let _ = read(&out.bytes);
    }
}
