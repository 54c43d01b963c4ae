//! LZO1X-1 encoder: the stream that nfcapd writes by default, which every LZO1X decoder reads.
//!
//! The safe crates search for the best matches and take fifty times as long as liblzo's LZO1X-1, which takes the
//! first match that a hash table of positions offers. So does this one. Decoding is lzokay's.
//!
//! The instructions (documented with the Linux kernel, `staging/lzo.rst`); `S` is the number of literals, at most
//! three, that follow a match:
//!
//! | bytes | meaning |
//! |---|---|
//! | `17 + n`, first byte only | n literals |
//! | `0000LLLL` | 3 + L literals; L = 0: 18 + 255 for each zero byte + the byte behind them |
//! | `LLLDDDSS HHHHHHHH`, LLL ≥ 2 | match of LLL + 1 octets at distance 1 + 8 H + D |
//! | `001LLLLL DDDDDDSS DDDDDDDD` | match of 2 + L octets (0: 33 + …) at distance 1 + D |
//! | `0001HLLL DDDDDDSS DDDDDDDD` | match of 2 + L octets (0: 9 + …) at distance 16384 + (H << 14) + D |
//! | `17 0 0` | end |

const HASH_BITS: u32 = 14;
const MIN_MATCH: usize = 4;
/// Matches end this far before the end of the input, so that the search reads whole words.
const TAIL: usize = 12;
/// Largest distances of the three kinds of match.
const NEAR: usize = 2048;
const MIDDLE: usize = 16384;
const FAR: usize = 0xbfff;
/// After this many positions without a match, as a power of two, the search takes larger steps.
const SKIP_SHIFT: usize = 5;

/// Encodes blocks, one after another; keeps its table of positions.
pub(super) struct LzoEncoder {
    /// Hash of four octets to the last position where it was seen. Position 0 stands for none as well: what lies
    /// there is compared like any other.
    positions: Box<[u32; 1 << HASH_BITS]>,
}

impl LzoEncoder {
    pub(super) fn new() -> Self {
        Self {
            positions: Box::new([0; 1 << HASH_BITS]),
        }
    }

    /// Appends the LZO1X stream of `raw` to `out`.
    pub(super) fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        self.positions.fill(0);
        let start = out.len();
        let end = raw.len().saturating_sub(TAIL);
        let (mut written, mut position) = (0, 1);
        while position < end {
            let Some(found) = self.find(raw, position) else {
                position += 1 + ((position - written) >> SKIP_SHIFT);
                continue;
            };
            put_literals(out, start, raw.get(written..position).unwrap_or_default());
            let length = MIN_MATCH + common(raw, found + MIN_MATCH, position + MIN_MATCH, end);
            put_match(out, position - found, length);
            position += length;
            written = position;
        }
        put_literals(out, start, raw.get(written..).unwrap_or_default());
        out.extend_from_slice(&[17, 0, 0]);
    }

    /// An earlier position within reach with the same four octets; this one is noted.
    #[inline]
    fn find(&mut self, raw: &[u8], position: usize) -> Option<usize> {
        let word = word(raw, position)?;
        let slot = (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize;
        let slot = self.positions.get_mut(slot)?;
        let found = *slot as usize;
        *slot = u32::try_from(position).ok()?;
        // A match of the next position's own word would have distance 0.
        (found < position && position - found <= FAR && self::word(raw, found)? == word)
            .then_some(found)
    }
}

#[inline]
fn word(raw: &[u8], position: usize) -> Option<u32> {
    let bytes = raw.get(position..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// How many octets from `earlier` and from `later` on are the same; what is compared ends at `end`.
#[inline]
fn common(raw: &[u8], earlier: usize, later: usize, end: usize) -> usize {
    let later = raw.get(later..end).unwrap_or_default();
    let earlier = raw.get(earlier..).unwrap_or_default();
    let mut length = 0;
    for (a, b) in earlier.chunks_exact(8).zip(later.chunks_exact(8)) {
        let both = a.first_chunk::<8>().zip(b.first_chunk::<8>());
        let difference = both.map_or(1, |(a, b)| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b));
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = earlier.iter().skip(length).zip(later.iter().skip(length));
    length + rest.take_while(|(a, b)| a == b).count()
}

/// Writes literals; `start` is where the stream begins in `out`.
fn put_literals(out: &mut Vec<u8>, start: usize, literals: &[u8]) {
    let count = literals.len();
    match (count, u8::try_from(count)) {
        (0, _) => return,
        (..=238, Ok(count)) if out.len() == start => out.push(17 + count),
        // The last match has room for up to three: the low bits of its last byte but one.
        (..=3, Ok(count)) => {
            let place = out.len().saturating_sub(2);
            if let Some(byte) = out.get_mut(place) {
                *byte |= count;
            }
        }
        (..=18, Ok(count)) => out.push(count - 3),
        _ => {
            out.push(0);
            put_length(out, count - 18);
        }
    }
    out.extend_from_slice(literals);
}

/// A length that does not fit its instruction: zeros for 255 each, then what is left.
fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length > 255 {
        out.push(0);
        length -= 255;
    }
    out.push(low(length));
}

#[inline]
fn put_match(out: &mut Vec<u8>, distance: usize, length: usize) {
    if distance <= NEAR && length <= 8 {
        let distance = distance - 1;
        out.push(low(((length - 1) << 5) | ((distance & 7) << 2)));
        out.push(low(distance >> 3));
        return;
    }
    let (instruction, room, distance) = if distance <= MIDDLE {
        (0x20, 33, distance - 1)
    } else {
        let distance = distance - MIDDLE;
        (0x10 | ((distance >> 14) << 3), 9, distance & 0x3fff)
    };
    if length <= room {
        out.push(low(instruction | (length - 2)));
    } else {
        out.push(low(instruction));
        put_length(out, length - room);
    }
    out.push(low(distance << 2));
    out.push(low(distance >> 6));
}

/// The low eight bits.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn low(value: usize) -> u8 {
    (value & 0xff) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn encode(raw: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        LzoEncoder::new().encode(raw, &mut out);
        out.split_off(6)
    }

    fn decode(stored: &[u8], size: usize) -> Vec<u8> {
        let mut raw = vec![0; size];
        let written = lzokay::decompress::decompress(stored, &mut raw).unwrap();
        raw.truncate(written);
        raw
    }

    #[test]
    fn streams_are_those_of_the_format() {
        assert_eq!(encode(b""), [17, 0, 0]);
        assert_eq!(encode(b"abc"), *b"\x14abc\x11\0\0");
        // Twelve literals at the end at least. abcdefgh, then 8 octets at distance 8: 7 << 5 | 7 << 2, 0.
        assert_eq!(
            encode(b"abcdefghabcdefgh0123456789AB"),
            *b"\x19abcdefgh\xfc\x00\x090123456789AB\x11\0\0"
        );
    }

    /// Each distance that changes the instruction, with lengths that do, and 0 to 20 literals between.
    #[test]
    fn every_kind_of_match_is_decoded() {
        for distance in [
            5, 2047, 2048, 2049, 16383, 16384, 16385, 32768, 49151, 49152,
        ] {
            for length in [4, 8, 9, 10, 33, 34, 264, 265, 288, 289, 5000] {
                for literals in [0, 1, 3, 4, 18, 19, 20, 273, 274, 600] {
                    // Octets that repeat nowhere else: a counter in four octets, well mixed.
                    let noise =
                        |n: u32| (0..n).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes());
                    let mut raw: Vec<u8> = noise(15_000).collect();
                    let from = raw.len() - distance;
                    for i in 0..length {
                        raw.push(raw[from + i]);
                    }
                    raw.extend(noise(20_000).skip(70_000).take(literals));
                    raw.extend_from_within(0..40);
                    assert_eq!(
                        decode(&encode(&raw), raw.len()),
                        raw,
                        "{distance} {length} {literals}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_repeats_is_small_and_what_does_not_is_hardly_larger() {
        assert!(encode(&[7; 1 << 20]).len() < 5000);
        let mut state = 1u64;
        let noise: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        assert!(encode(&noise).len() < noise.len() + noise.len() / 200);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn decoding_gives_what_was_encoded(
            parts in proptest::collection::vec((proptest::collection::vec(0u8..4, 1..40), 1usize..30), 0..40)
        ) {
            let raw: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
            prop_assert_eq!(decode(&encode(&raw), raw.len()), raw);
        }
    }
}
