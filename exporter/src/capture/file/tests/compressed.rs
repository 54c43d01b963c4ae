//! Captures in compressed files.

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use lzma_rust2::{XzOptions, XzWriter};

use super::*;
use crate::capture::Compression;

/// Frames of growing length, in a capture of about 500 KB that compresses badly.
fn capture() -> Vec<u8> {
    let mut out = Out::new(false);
    out.pcap(0xa1b2_c3d4, 1);
    let mut noise = 1_u32;
    for n in 0..1000_u32 {
        let data: Vec<u8> = (0..n)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        out.u32(n).u32(0).u32(n).u32(n).raw(&data);
    }
    out.bytes
}

/// With checksums, as the commands of these formats have them.
fn compress(compression: Compression, octets: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let options = XzOptions::with_preset(0);
            let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let level = bzip2::Compression::fast();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        }
    }
}

const ALL: [Compression; 5] = [
    Compression::Gzip,
    Compression::Zstd,
    Compression::Lz4,
    Compression::Xz,
    Compression::Bzip2,
];

#[test]
fn compressed_captures_read_as_plain_ones() {
    let plain = capture();
    let expect = read(&plain);
    assert_eq!(expect.0.len(), 1000);
    for compression in ALL {
        let whole = compress(compression, &plain);
        assert_eq!(read(&whole), expect, "{compression}");
        // Compressed in pieces, one after the other.
        let (first, second) = plain.split_at(plain.len() / 3);
        let pieces = [first, second].map(|piece| compress(compression, piece));
        assert_eq!(read(&pieces.concat()), expect, "{compression}");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&whole).unwrap();
        let mut opened = CaptureFile::open(file.path()).unwrap();
        assert_eq!(opened.compression(), Some(compression));
        while let Some(batch) = opened.next_batch().unwrap() {
            batch.for_each(drop);
        }
        let octets = (opened.position(), opened.size(), opened.offset());
        let (size, unpacked) = (whole.len() as u64, plain.len() as u64);
        assert_eq!(octets, (size, Some(size), unpacked), "{compression}");
    }
}

#[test]
fn what_was_read_of_a_cut_compressed_capture_counts() {
    let plain = capture();
    for compression in ALL {
        let whole = compress(compression, &plain);
        let mut most = 0;
        for cut in (5..whole.len()).step_by(9973) {
            let (seen, error) = read(&whole[..cut]);
            let error = error.unwrap_err();
            assert!(
                error.starts_with(&format!(
                    "the {compression} data are damaged or cut at offset "
                )),
                "{compression}, {cut}: {error}"
            );
            assert!(seen.len() < 1000);
            most = most.max(seen.len());
        }
        assert!(most > 500, "{compression}: {most}");
    }
}

#[test]
fn an_lz4_frame_without_its_end_is_cut() {
    let plain = capture();
    let whole = compress(Compression::Lz4, &plain);
    // All blocks are there; the end mark of four octets and the checksum are not.
    let (seen, error) = read(&whole[..whole.len() - 8]);
    assert_eq!(seen.len(), 1000);
    assert_eq!(
        error.unwrap_err(),
        format!(
            "the LZ4 data are damaged or cut at offset {}: unexpected end of file",
            whole.len() - 8
        )
    );
}

#[test]
fn damage_and_foreign_content_are_told() {
    for compression in ALL {
        let mut damaged = compress(compression, &capture());
        let half = damaged.len() / 2;
        damaged[half..half + 64].fill(0xff);
        let (seen, error) = read(&damaged);
        // The checksum at the end may be the first to tell.
        assert!(seen.len() <= 1000 && error.is_err(), "{compression}");
        let text = compress(compression, b"no capture");
        assert_eq!(
            read(&text).1.unwrap_err(),
            "not a pcap or pcapng capture: it starts with 6e 6f 20 63"
        );
        let nothing = compress(compression, b"");
        assert_eq!(
            read(&nothing).1.unwrap_err(),
            "not a capture: the file is empty"
        );
    }
}

/// The programs of these formats, not our libraries, made what is read here.
#[test]
fn what_xz_and_bzip2_write_is_read() {
    let plain = capture();
    let expect = read(&plain);
    for (program, args) in [
        ("xz", ["-9", "-T0"]),
        ("xz", ["-0", "-Ccrc32"]),
        ("bzip2", ["-9", "-c"]),
    ] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&plain).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let packed = std::process::Command::new(program)
            .args(args)
            .stdin(file)
            .output();
        let packed = packed.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(packed.status.success(), "{program} {args:?}");
        assert_eq!(read(&packed.stdout), expect, "{program} {args:?}");
    }
}

/// A dictionary of 1.5 GiB, as the header of the block claims, is not made.
#[test]
fn a_huge_dictionary_is_refused() {
    let mut whole = compress(Compression::Xz, &capture());
    // Stream header of 12 octets; size of the block header, its flags, filter, size of properties, dictionary.
    assert_eq!(whole[12..16], [2, 0, 0x21, 1]);
    whole[16] = 37;
    let sum = crc32(&whole[12..20]);
    whole[20..24].copy_from_slice(&sum.to_le_bytes());
    let error = read(&whole).1.unwrap_err();
    assert!(error.contains("memory"), "{error}");
}

/// The check sum of xz's block headers (RFC 1952).
fn crc32(octets: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(octets);
    sum.sum()
}

proptest! {
    #[test]
    fn random_octets_never_panic(which in 0..5_usize, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        const STARTS: [&[u8]; 5] = [
            b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\xfd7zXZ\0", b"BZh9",
        ];
        let _ = read(&[STARTS[which], &bytes].concat());
    }

    #[test]
    fn a_changed_octet_never_panics(which in 0..5_usize, at: prop::sample::Index, value: u8) {
        let mut bytes = compress(ALL[which], &capture()[..4000]);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = read(&bytes);
    }
}
