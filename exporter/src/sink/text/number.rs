//! Numbers as Tranalyzer prints them.

use std::io::{self, Write};

/// Seven significant digits, as C's `%.7g`.
pub(super) fn float(out: &mut dyn Write, value: f32) -> io::Result<()> {
    const DIGITS: i32 = 7;
    let value = f64::from(value);
    if value == 0.0 || !value.is_finite() {
        return write!(out, "{value}");
    }
    // The exponent after rounding to the wanted digits decides the notation.
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let fixed = format!("{value:.*}", (DIGITS - 1 - exponent).max(0) as usize);
        return out.write_all(without_zeros(&fixed).as_bytes());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(
        out,
        "{}e{sign}{:02}",
        without_zeros(mantissa),
        exponent.unsigned_abs()
    )
}

/// Without the zeros at the end of a fraction.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Seconds with nine decimals; times before 1970 have a minus sign.
pub(super) fn seconds(out: &mut dyn Write, ns: i64) -> io::Result<()> {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    write!(
        out,
        "{sign}{}.{:09}",
        ns / 1_000_000_000,
        ns % 1_000_000_000
    )
}

/// Bits in hexadecimal, `digits` of them.
pub(super) fn bits(out: &mut dyn Write, value: impl Into<u64>, digits: usize) -> io::Result<()> {
    write!(out, "0x{:0digits$x}", value.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn printed(print: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_have_seven_digits() {
        let cases = [
            (0.0, "0"),
            (100.0, "100"),
            (-1.0, "-1"),
            (0.02, "0.02"),
            (79.33333, "79.33333"),
            (0.14285715, "0.1428571"),
            (836_237.2, "836237.2"),
            (12_345_678.0, "1.234568e+07"),
            (9_999_999.5, "1e+07"),
            (3.25e-5, "3.25e-05"),
            (0.000_123_4, "0.0001234"),
        ];
        for (value, expected) in cases {
            assert_eq!(printed(|out| float(out, value)), expected, "{value}");
        }
    }

    #[test]
    fn times_have_nine_decimals() {
        let cases = [
            (1_700_000_001_250_000_000, "1700000001.250000000"),
            (0, "0.000000000"),
            (-1_500_000_000, "-1.500000000"),
            (7, "0.000000007"),
        ];
        for (ns, expected) in cases {
            assert_eq!(printed(|out| seconds(out, ns)), expected);
        }
    }
}
