//! Compressed captures: the first octet chooses the compression, whatever follows is taken for its data.
#![no_main]

use libfuzzer_sys::fuzz_target;

const MAGIC: [&[u8]; 5] = [
    b"\xfd7zXZ\0",
    b"BZh9",
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0x04, 0x22, 0x4d, 0x18],
];

fuzz_target!(|input: &[u8]| {
    // Seeds are whole files: they choose themselves.
    let file = match input {
        [0x1f | 0x28 | 0x04 | 0xfd | b'B', ..] => input.to_vec(),
        [choice, rest @ ..] => [MAGIC[usize::from(choice % 5)], rest].concat(),
        [] => return,
    };
    let mut frames = 0_u32;
    exporter_fuzz::frames(&file, |_| frames += 1);
});
