//! The bytes of an LZO block: decoded, or refused.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nfdump_compat::file::FileReader;

/// A file of one LZO block that was not closed.
fn file(block: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0c, 0xa5, 2, 0];
    bytes.resize(40, 0);
    bytes[16] = 1;
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(u32::try_from(block.len()).unwrap_or(0).to_le_bytes());
    bytes.extend([3, 0, 0, 0]);
    bytes.extend(block);
    bytes
}

fuzz_target!(|input: &[u8]| {
    let reader = FileReader::from_reader(Path::new("input"), Cursor::new(file(input)));
    let mut reader = reader.unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..3 {
        if let Ok(None) = reader.next_block() {
            return;
        }
    }
});
