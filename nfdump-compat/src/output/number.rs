//! Numbers as nfdump prints them: scaled by powers of 1000 from one million on, or plain; rates truncated to integers.

use super::versions::Scale;

/// The numbers 0 to 99 in two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The last two digits of a number.
#[inline]
fn pair(number: u64) -> [u8; 2] {
    PAIRS
        .get((number % 100) as usize)
        .copied()
        .unwrap_or_default()
}

/// A number below 1000 in three digits.
#[inline]
fn triple(number: u64) -> [u8; 3] {
    let [tens, ones] = pair(number);
    [b'0' + (number / 100) as u8, tens, ones]
}

/// Appends `value` in decimal.
#[inline]
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    match value {
        0..10 => out.push(b'0' + value as u8),
        10..100 => out.extend_from_slice(&pair(value)),
        100..1000 => out.extend_from_slice(&triple(value)),
        _ => push_long(out, value),
    }
}

fn push_long(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    while value >= 10 {
        at -= 2;
        if let Some(place) = digits.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *place = pair(value);
        }
        value /= 100;
    }
    if value > 0 {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = b'0' + value as u8;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Appends `value` in decimal, at least `width` columns, right-aligned.
pub fn push_uint(out: &mut Vec<u8>, value: u64, width: usize) {
    let start = out.len();
    push_u64(out, value);
    align_right(out, start, width);
}

/// Appends the lowest `digits` decimal digits of `value` with leading zeros.
pub fn push_zero_padded(out: &mut Vec<u8>, value: u64, digits: usize) {
    match digits {
        2 if value < 100 => return out.extend_from_slice(&pair(value)),
        3 if value < 1000 => return out.extend_from_slice(&triple(value)),
        _ => {}
    }
    let start = out.len();
    push_u64(out, value);
    let missing = digits.saturating_sub(out.len() - start);
    pad_front(out, start, missing, b'0');
}

/// Appends a counter or rate: from one million on with one decimal and a letter (`4.3 M`, powers of 1000, up to `T`)
/// as the scale says; of later versions from a thousand on and without the blank.
pub fn push_scaled(out: &mut Vec<u8>, value: u64, scale: Scale) {
    const MILLION: u64 = 1_000_000;
    let least = match scale {
        Scale::Plain => u64::MAX,
        Scale::Millions => MILLION,
        Scale::Thousands => 1000,
    };
    if scale == Scale::Plain || value < least {
        push_u64(out, value);
        return;
    }
    let (unit, letter) = match value {
        0..MILLION => (1000, b'k'),
        MILLION..1_000_000_000 => (MILLION, b'M'),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, b'G'),
        _ => (1_000_000_000_000, b'T'),
    };
    let tenth = unit / 10;
    if value % tenth == tenth / 2 || value > 1 << 50 {
        // An apparent tie: nfdump rounds the binary fraction, so ours must come from the same division.
        let text = format!("{:.1}", value as f64 / unit as f64);
        out.extend_from_slice(text.as_bytes());
    } else {
        let tenths = (value + tenth / 2) / tenth;
        push_u64(out, tenths / 10);
        out.push(b'.');
        out.push(b'0' + (tenths % 10) as u8);
    }
    if scale == Scale::Millions {
        out.push(b' ');
    }
    out.push(letter);
}

/// Appends a scaled number in at least `width` columns, right-aligned.
pub fn push_scaled_right(out: &mut Vec<u8>, value: u64, scale: Scale, width: usize) {
    let start = out.len();
    push_scaled(out, value, scale);
    align_right(out, start, width);
}

/// Moves what was appended since `start` to the right edge of a field of `width` columns.
pub fn align_right(out: &mut Vec<u8>, start: usize, width: usize) {
    let missing = width.saturating_sub(out.len() - start);
    pad_front(out, start, missing, b' ');
}

/// Fills a left-aligned field of `width` columns that began at `start`.
pub fn align_left(out: &mut Vec<u8>, start: usize, width: usize) {
    let end = start + width;
    if out.len() < end {
        out.resize(end, b' ');
    }
}

fn pad_front(out: &mut Vec<u8>, start: usize, missing: usize, fill: u8) {
    if missing == 0 {
        return;
    }
    let end = out.len();
    out.resize(end + missing, fill);
    out.copy_within(start..end, start + missing);
    if let Some(gap) = out.get_mut(start..start + missing) {
        gap.fill(fill);
    }
}

/// `count` per second over `duration_ms`, truncated; 0 for a duration of 0. A result that does not fit is 0, as in nfdump.
#[must_use]
pub fn per_second(count: u64, duration_ms: u64) -> u64 {
    if duration_ms == 0 {
        return 0;
    }
    truncated(count as f64 / (duration_ms as f64 / 1000.0))
}

/// Bits per second of `bytes` over `duration_ms`, truncated (see [`per_second`]).
#[must_use]
pub fn bits_per_second(bytes: u64, duration_ms: u64) -> u64 {
    per_second(bytes.wrapping_mul(8), duration_ms)
}

/// Bytes per packet, truncated; 0 without packets.
#[must_use]
pub fn bytes_per_packet(bytes: u64, packets: u64) -> u64 {
    bytes.checked_div(packets).unwrap_or(0)
}

fn truncated(value: f64) -> u64 {
    const TOO_BIG: f64 = 18_446_744_073_709_551_616.0;
    if value >= TOO_BIG { 0 } else { value as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(value: u64) -> String {
        let mut out = Vec::new();
        push_scaled(&mut out, value, Scale::Millions);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Values printed by nfdump 1.7.1.
    #[test]
    fn scaling_rounds_as_nfdump() {
        for (value, text) in [
            (0, "0"),
            (97078, "97078"),
            (999_999, "999999"),
            (1_000_000, "1.0 M"),
            (999_949_999, "999.9 M"),
            (999_950_000, "1000.0 M"),
            (999_999_999, "1000.0 M"),
            (1_260_000_000_000_000, "1260.0 T"),
            (1 << 63, "9223372.0 T"),
            (u64::MAX, "18446744.1 T"),
        ] {
            assert_eq!(scaled(value), text);
        }
    }

    /// The integer short cut and the division agree, ties included.
    #[test]
    fn scaling_equals_the_division() {
        for base in [1_000_000_u64, 1_000_000_000, 1_000_000_000_000] {
            for step in 0..20_000 {
                let value = base + step * (base / 20_000 * 3) + step % 3;
                let unit = match value {
                    0..1_000_000_000 => (1e6, "M"),
                    1_000_000_000..1_000_000_000_000 => (1e9, "G"),
                    _ => (1e12, "T"),
                };
                assert_eq!(
                    scaled(value),
                    format!("{:.1} {}", value as f64 / unit.0, unit.1)
                );
            }
        }
    }

    #[test]
    fn plain_numbers_and_columns() {
        let mut out = Vec::new();
        push_scaled(&mut out, 18_446_744_073_709_551_615, Scale::Plain);
        out.push(b'|');
        push_uint(&mut out, 7, 5);
        out.push(b'|');
        push_zero_padded(&mut out, 7, 3);
        out.push(b'|');
        push_scaled_right(&mut out, 4_255_056, Scale::Millions, 8);
        out.push(b'|');
        let start = out.len();
        out.extend_from_slice(b"TCP");
        align_left(&mut out, start, 5);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "18446744073709551615|    7|007|   4.3 M|TCP  "
        );
    }

    /// As nfdump 1.8 is described: `k` from a thousand on, no blank.
    #[test]
    fn thousands() {
        for (value, expected) in [
            (999, "999"),
            (1000, "1.0k"),
            (97_078, "97.1k"),
            (547_141, "547.1k"),
            (2_100_000, "2.1M"),
            (3_000_000_000, "3.0G"),
        ] {
            let mut out = Vec::new();
            push_scaled(&mut out, value, Scale::Thousands);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn rates_truncate() {
        assert_eq!(per_second(1000, 999), 1001);
        assert_eq!(per_second(5, 0), 0);
        assert_eq!(bits_per_second(1000, 999), 8008);
        assert_eq!(per_second(1 << 63, 1), 0);
        assert_eq!(bits_per_second(1_000_000_000_000_000_000, 1), 0);
        assert_eq!(bytes_per_packet(1499, 1000), 1);
        assert_eq!(bytes_per_packet(5, 0), 0);
    }
}
