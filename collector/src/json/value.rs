//! One value as JSON, by its element's type (RFC 7011 section 6.1, RFC 7373 for the text forms).

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use protocol::reader::Reader;
use protocol::registry::{self, DataType};
use protocol::session::TemplateLookup;
use protocol::structured::{Item, Walk};
use protocol::template::{FieldSpecifier, VARIABLE_LENGTH};

use crate::map::ntp_ns;

/// How a field's octets become JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The element's type; `None`: unknown, shown in hexadecimal.
    pub data_type: Option<DataType>,
    /// Of one length in all records: strings are filled up with NUL then.
    pub fixed: bool,
}

impl Kind {
    /// The kind of a registered element, or an unknown one.
    pub fn of(field: FieldSpecifier) -> Self {
        Self {
            data_type: registry::element(field.pen, field.id).map(|element| element.data_type),
            fixed: field.length != VARIABLE_LENGTH,
        }
    }

    /// Whether a value of no octets is shown, as `""`; of other types it is left out.
    pub fn shows_empty(self) -> bool {
        matches!(
            self.data_type,
            None | Some(DataType::String | DataType::OctetArray)
        )
    }
}

/// Writes a value that is no list. Octets that the type has no room or no meaning for are shown in hexadecimal, so
/// that nothing is made up. `false`: it was a string and no UTF-8, and is shown with replacement characters.
pub fn write_value(out: &mut Vec<u8>, kind: Kind, octets: &[u8]) -> bool {
    let written = match kind.data_type {
        Some(DataType::String) => return write_string(out, kind.fixed, octets),
        None | Some(DataType::OctetArray) => false,
        Some(data_type) => write_number(out, data_type, octets).is_some(),
    };
    if !written {
        write_hex(out, octets);
    }
    true
}

/// Numbers, addresses, booleans and times; `None` if the octets are none of the type, with nothing written.
fn write_number(out: &mut Vec<u8>, data_type: DataType, octets: &[u8]) -> Option<()> {
    match data_type {
        DataType::Unsigned8
        | DataType::Unsigned16
        | DataType::Unsigned32
        | DataType::Unsigned64 => write_unsigned(out, unsigned(octets)?),
        DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64 => {
            let unused = 64_u32.checked_sub(8 * u32::try_from(octets.len()).ok()?)?;
            let number = unsigned(octets)?.checked_shl(unused)?.cast_signed() >> unused;
            let _ = serde_json::to_writer(out, &number);
        }
        DataType::Unsigned256 => write_wide(out, octets)?,
        DataType::Float32 | DataType::Float64 => write_float(out, data_type, octets)?,
        DataType::Boolean => match octets {
            [1] => out.extend_from_slice(b"true"),
            [2] => out.extend_from_slice(b"false"),
            // Anything else has no meaning (RFC 7011 section 6.1.5).
            [other] => write_unsigned(out, u64::from(*other)),
            _ => return None,
        },
        DataType::MacAddress => {
            let [a, b, c, d, e, f] = *octets else {
                return None;
            };
            let _ = write!(out, "\"{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\"");
        }
        DataType::Ipv4Address => write_ipv4(out, <[u8; 4]>::try_from(octets).ok()?.into()),
        DataType::Ipv6Address => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?);
            let _ = write!(out, "\"{address}\"");
        }
        DataType::DateTimeSeconds
        | DataType::DateTimeMilliseconds
        | DataType::DateTimeMicroseconds
        | DataType::DateTimeNanoseconds => write_date(out, data_type, octets)?,
        DataType::OctetArray
        | DataType::String
        | DataType::BasicList
        | DataType::SubTemplateList
        | DataType::SubTemplateMultiList => return None,
    }
    Some(())
}

fn unsigned(octets: &[u8]) -> Option<u64> {
    if octets.is_empty() {
        return None;
    }
    protocol::value::unsigned(octets)
}

/// A number in decimal.
pub fn write_unsigned(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

/// Dotted decimal in quotes.
fn write_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    out.push(b'"');
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_unsigned(out, u64::from(octet));
    }
    out.push(b'"');
}

/// A number of up to 32 octets in decimal: nine digits at a time, by long division.
fn write_wide(out: &mut Vec<u8>, octets: &[u8]) -> Option<()> {
    const CHUNK: u64 = 1_000_000_000;
    if octets.is_empty() || octets.len() > 32 {
        return None;
    }
    let mut words = [0_u32; 8];
    for (word, octets) in words.iter_mut().rev().zip(octets.rchunks(4)) {
        *word = unsigned(octets)? as u32;
    }
    let mut chunks = Vec::with_capacity(9);
    while words.iter().any(|word| *word != 0) {
        let mut rest = 0_u64;
        for word in &mut words {
            let value = rest << 32 | u64::from(*word);
            *word = (value / CHUNK) as u32;
            rest = value % CHUNK;
        }
        chunks.push(rest);
    }
    write_unsigned(out, chunks.pop().unwrap_or(0));
    for chunk in chunks.iter().rev() {
        let _ = write!(out, "{chunk:09}");
    }
    Some(())
}

/// The shortest digits that give the same number again; what JSON has no number for, as text.
fn write_float(out: &mut Vec<u8>, data_type: DataType, octets: &[u8]) -> Option<()> {
    let text = |out: &mut Vec<u8>, nan: bool, negative: bool| {
        out.extend_from_slice(match (nan, negative) {
            (true, _) => b"\"NaN\"",
            (false, false) => b"\"Infinity\"",
            (false, true) => b"\"-Infinity\"",
        });
    };
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        let number = f32::from_be_bytes(octets);
        if number.is_finite() {
            let _ = serde_json::to_writer(out, &number);
        } else {
            text(out, number.is_nan(), number.is_sign_negative());
        }
        return Some(());
    }
    let octets = <[u8; 8]>::try_from(octets)
        .ok()
        .filter(|_| data_type == DataType::Float64)?;
    let number = f64::from_be_bytes(octets);
    if number.is_finite() {
        let _ = serde_json::to_writer(out, &number);
    } else {
        text(out, number.is_nan(), number.is_sign_negative());
    }
    Some(())
}

fn write_date(out: &mut Vec<u8>, data_type: DataType, octets: &[u8]) -> Option<()> {
    match data_type {
        DataType::DateTimeSeconds if octets.len() == 4 => {
            write_time(out, i128::from(unsigned(octets)?) * 1_000_000_000, 0);
        }
        DataType::DateTimeMilliseconds if octets.len() == 8 => {
            write_time(out, i128::from(unsigned(octets)?) * 1_000_000, 3);
        }
        DataType::DateTimeMicroseconds if octets.len() == 8 => {
            // The lowest 11 bits are to be ignored (RFC 7011 section 6.1.9).
            let ns = ntp_ns(unsigned(octets)? & !0x7ff);
            write_time(out, i128::from((ns + 500).div_euclid(1000)) * 1000, 6);
        }
        DataType::DateTimeNanoseconds if octets.len() == 8 => {
            write_time(out, i128::from(ntp_ns(unsigned(octets)?)), 9);
        }
        _ => return None,
    }
    Some(())
}

/// RFC 3339 in UTC with so many digits of the second. Times that it cannot write (from the year 10000 on) stay
/// numbers, in the unit of their last digit.
pub fn write_time(out: &mut Vec<u8>, ns: i128, digits: u8) {
    match Timestamp::from_nanosecond(ns) {
        Ok(time) => {
            let printer = DateTimePrinter::new().precision(Some(digits));
            out.push(b'"');
            let _ = printer.print_timestamp(&time, &mut *out);
            out.push(b'"');
        }
        Err(_) => {
            let unit = 10_i128.pow(9_u32.saturating_sub(u32::from(digits)));
            let _ = write!(out, "{}", ns / unit);
        }
    }
}

/// Lower-case hexadecimal in quotes.
pub fn write_hex(out: &mut Vec<u8>, octets: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for octet in octets {
        for digit in [octet >> 4, octet & 15] {
            out.extend(DIGITS.get(usize::from(digit)));
        }
    }
    out.push(b'"');
}

/// A string in quotes, escaped.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

fn write_string(out: &mut Vec<u8>, fixed: bool, octets: &[u8]) -> bool {
    let octets = if fixed {
        let end = octets.iter().rposition(|octet| *octet != 0);
        octets
            .get(..end.map_or(0, |last| last + 1))
            .unwrap_or(octets)
    } else {
        octets
    };
    match std::str::from_utf8(octets) {
        Ok(text) => {
            write_text(out, text);
            true
        }
        Err(_) => {
            write_text(out, &String::from_utf8_lossy(octets));
            false
        }
    }
}

/// A list of RFC 6313 as nested arrays: lists and records are arrays, values as always; a value of no octets whose
/// type has no form for that is `null`. Records of a template that is not known are one string in hexadecimal, and so
/// is a list that breaks its own rules. Gives whether all strings in it are UTF-8.
pub fn write_list(
    out: &mut Vec<u8>,
    field: FieldSpecifier,
    octets: &[u8],
    templates: TemplateLookup<'_>,
) -> bool {
    let start = out.len();
    let mut valid = true;
    let lookup = |id| templates.get(id).map(|template| &**template);
    for item in Walk::new(field, Reader::new(octets), lookup) {
        let Ok(item) = item else {
            out.truncate(start);
            write_hex(out, octets);
            return true;
        };
        if !matches!(item, Item::ListEnd | Item::RecordEnd)
            && !matches!(out.last(), None | Some(b'[' | b':'))
            && out.len() > start
        {
            out.push(b',');
        }
        match item {
            Item::List { .. } | Item::Record { .. } => out.push(b'['),
            Item::ListEnd | Item::RecordEnd => out.push(b']'),
            Item::Value { field, octets, .. } => {
                let kind = Kind::of(field);
                if octets.is_empty() && !kind.shows_empty() {
                    out.extend_from_slice(b"null");
                } else {
                    valid &= write_value(out, kind, octets);
                }
            }
            Item::Unknown { octets, .. } => write_hex(out, octets),
        }
    }
    valid
}

/// An element's key: IANA's name, or `PEN/id`.
pub fn key(field: FieldSpecifier) -> String {
    match registry::element(field.pen, field.id) {
        Some(element) => element.name.to_owned(),
        None => {
            let mut key = String::new();
            let _ = write!(key, "{}/{}", field.pen, field.id);
            key
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(data_type: DataType, octets: &[u8]) -> String {
        let mut out = Vec::new();
        let kind = Kind {
            data_type: Some(data_type),
            fixed: true,
        };
        write_value(&mut out, kind, octets);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_of_every_length_in_full() {
        let max = [0xff; 8];
        assert_eq!(shown(DataType::Unsigned64, &max), "18446744073709551615");
        assert_eq!(shown(DataType::Unsigned64, &max[..3]), "16777215");
        assert_eq!(shown(DataType::Signed64, &max), "-1");
        assert_eq!(shown(DataType::Signed32, &[0xff, 0x38]), "-200");
        assert_eq!(shown(DataType::Signed8, &[0x7f]), "127");
        assert_eq!(
            shown(DataType::Signed64, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            i64::MIN.to_string()
        );
        // 2^256 - 1, and 2^64.
        assert_eq!(
            shown(DataType::Unsigned256, &[0xff; 32]),
            "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        );
        assert_eq!(
            shown(DataType::Unsigned256, &[1, 0, 0, 0, 0, 0, 0, 0, 0]),
            "18446744073709551616"
        );
        assert_eq!(shown(DataType::Unsigned256, &[0; 32]), "0");
    }

    #[test]
    fn floats_and_what_is_no_number() {
        assert_eq!(shown(DataType::Float64, &0.1_f64.to_be_bytes()), "0.1");
        assert_eq!(shown(DataType::Float64, &0.1_f32.to_be_bytes()), "0.1");
        assert_eq!(shown(DataType::Float64, &1e300_f64.to_be_bytes()), "1e+300");
        assert_eq!(shown(DataType::Float32, &f32::NAN.to_be_bytes()), "\"NaN\"");
        assert_eq!(
            shown(DataType::Float64, &f64::NEG_INFINITY.to_be_bytes()),
            "\"-Infinity\""
        );
    }

    #[test]
    fn times_with_the_precision_of_their_type() {
        // 2026-01-02T03:04:05Z is 1767323045; NTP counts from 1900.
        let seconds = 1_767_323_045_u64;
        assert_eq!(
            shown(DataType::DateTimeSeconds, &(seconds as u32).to_be_bytes()),
            "\"2026-01-02T03:04:05Z\""
        );
        assert_eq!(
            shown(
                DataType::DateTimeMilliseconds,
                &(seconds * 1000 + 7).to_be_bytes()
            ),
            "\"2026-01-02T03:04:05.007Z\""
        );
        let ntp = |fraction: u64| ((seconds + 2_208_988_800) << 32 | fraction).to_be_bytes();
        assert_eq!(
            shown(DataType::DateTimeNanoseconds, &ntp(1 << 31)),
            "\"2026-01-02T03:04:05.500000000Z\""
        );
        // 123456 µs as NTP fraction, rounded up by the sender: 0.123456 * 2^32 = 530239482.06
        assert_eq!(
            shown(DataType::DateTimeMicroseconds, &ntp(530_239_482)),
            "\"2026-01-02T03:04:05.123456Z\""
        );
        // Rounding carries into the second.
        assert_eq!(
            shown(DataType::DateTimeMicroseconds, &ntp(0xffff_ffff)),
            "\"2026-01-02T03:04:06.000000Z\""
        );
        assert_eq!(
            shown(DataType::DateTimeMilliseconds, &[0xff; 8]),
            "18446744073709551615"
        );
    }

    #[test]
    fn addresses_and_what_does_not_fit_its_type() {
        assert_eq!(
            shown(DataType::Ipv4Address, &[192, 0, 2, 1]),
            "\"192.0.2.1\""
        );
        assert_eq!(shown(DataType::Ipv4Address, &[192, 0, 2]), "\"c00002\"");
        assert_eq!(
            shown(DataType::MacAddress, &[0, 0x1b, 2, 3, 4, 0xff]),
            "\"00:1b:02:03:04:ff\""
        );
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[0xff, 0xff, 1, 2, 3, 4]);
        assert_eq!(shown(DataType::Ipv6Address, &mapped), "\"::ffff:1.2.3.4\"");
        assert_eq!(
            shown(DataType::DateTimeMilliseconds, &[1, 2, 3, 4]),
            "\"01020304\""
        );
        assert_eq!(
            shown(DataType::Unsigned64, &[0; 9]),
            "\"000000000000000000\""
        );
        assert_eq!(shown(DataType::OctetArray, &[0xab, 1]), "\"ab01\"");
        for (octet, text) in [(1, "true"), (2, "false"), (3, "3")] {
            assert_eq!(shown(DataType::Boolean, &[octet]), text);
        }
    }

    #[test]
    fn strings_are_escaped_and_their_padding_is_not_text() {
        assert_eq!(shown(DataType::String, b"eth0\0\0\0"), "\"eth0\"");
        assert_eq!(
            shown(DataType::String, b"=cmd|\"\n\x1b[1m\0x"),
            r#""=cmd|\"\n\u001b[1m\u0000x""#
        );
        assert_eq!(
            shown(DataType::String, &[b'a', 0xff, 0xfe]),
            "\"a\u{fffd}\u{fffd}\""
        );
    }

    #[test]
    fn lists_are_nested_arrays() {
        // RFC 6313 section 4.5.1: allOf, egressInterface (14) in four octets.
        let list = |octets: &[u8]| {
            let mut out = Vec::new();
            let field = FieldSpecifier::new(291, VARIABLE_LENGTH);
            write_list(&mut out, field, octets, TemplateLookup::default());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(list(&[3, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4]), "[1,4]");
        assert_eq!(list(&[3, 0, 14, 0, 4]), "[]");
        // A list in a list; and one that ends in the middle of an element.
        assert_eq!(
            list(&[3, 1, 0x23, 0xff, 0xff, 7, 3, 0, 4, 0, 1, 6, 17]),
            "[[6,17]]"
        );
        assert_eq!(
            list(&[3, 0, 14, 0, 4, 0, 0, 0, 1, 0]),
            "\"03000e00040000000100\""
        );
    }
}
