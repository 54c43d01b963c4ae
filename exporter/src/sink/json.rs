//! A flow as a JSON object: the text columns under the same names, numbers as numbers, repeated values as arrays.

use std::io::{self, Write};

/// Writes a column's value as JSON: `kind` is its type as in Tranalyzer's `_headers.txt`, `text` what the text sink
/// prints. No value has a character that JSON must escape.
pub(super) fn value(out: &mut impl Write, kind: &str, text: &str) -> io::Result<()> {
    let Some(kind) = kind.strip_suffix(":R") else {
        return scalar(out, kind, text);
    };
    out.write_all(b"[")?;
    for (at, item) in text.split(';').filter(|item| !item.is_empty()).enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        scalar(out, kind, item)?;
    }
    out.write_all(b"]")
}

fn scalar(out: &mut impl Write, kind: &str, text: &str) -> io::Result<()> {
    let is_number = matches!(
        kind,
        "U8" | "U16" | "U32" | "U64" | "I64" | "U64.U32" | "F" | "D"
    );
    match is_number {
        true if text.ends_with(|last: char| last.is_ascii_digit()) => {
            out.write_all(text.as_bytes())
        }
        // Not a number, or infinite.
        true => out.write_all(b"null"),
        // A link flow has no address.
        false if kind == "IPX" && text == "-" => out.write_all(b"null"),
        false => write!(out, "\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_by_type() {
        let cases = [
            ("U64", "7", "7"),
            ("I64", "-1", "-1"),
            ("F", "1.234568e+07", "1.234568e+07"),
            ("F", "NaN", "null"),
            ("F", "inf", "null"),
            ("U64.U32", "1700000001.250000000", "1700000001.250000000"),
            ("H16", "0x0800", "\"0x0800\""),
            ("C", "A", "\"A\""),
            ("IPX", "2001:db8::1", "\"2001:db8::1\""),
            ("IPX", "-", "null"),
            ("U16:R", "", "[]"),
            ("U16:R", "10;20", "[10,20]"),
            ("MAC:R", "02:00:00:00:00:01", "[\"02:00:00:00:00:01\"]"),
        ];
        for (kind, text, json) in cases {
            let mut out = Vec::new();
            value(&mut out, kind, text).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), json, "{kind} {text}");
        }
    }
}
