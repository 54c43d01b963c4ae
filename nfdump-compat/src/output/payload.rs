//! The first bytes of a flow's payload: as text where it is text, else in hexadecimal; before it what a DNS message says.

use super::{number::align_right, row::Row, style::Style, values::push_printable};
use crate::{
    dns::{self, Data, Item, kind},
    handshake::Hello,
};

/// Longest payload in a listing's column.
const COLUMN: usize = 256;

/// Appends the payload in this extension for a listing's column: its text, or lines in hexadecimal.
pub fn push_column(out: &mut Vec<u8>, row: &Row<'_>, extension: u16, style: &Style) {
    let bytes = row.payload(extension);
    if style.facts().later && bytes.is_empty() {
        out.extend_from_slice(b"<no payload>");
        return;
    }
    push_dns(out, row, bytes);
    push_text(out, bytes);
}

fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..COLUMN).unwrap_or(bytes);
    if is_text(bytes) {
        out.extend_from_slice(bytes);
        out.push(b'\n');
    } else {
        push_hexdump(out, bytes);
    }
}

/// Appends everything that is known about a payload: its text if it is text, and all bytes in hexadecimal.
pub fn push_in_full(out: &mut Vec<u8>, row: &Row<'_>, bytes: &[u8]) {
    push_dns(out, row, bytes);
    if is_text(bytes) {
        out.extend_from_slice(bytes);
        out.push(b'\n');
    }
    if let Some(hello) = Hello::parse(bytes) {
        let kind = if hello.is_client() {
            "ja3 hash     ="
        } else {
            "ja3s hash    ="
        };
        put!(out, "  {kind} {:032x}\n", hello.fingerprint());
        if !hello.server_name.is_empty() {
            out.extend_from_slice(b"  sni name     = ");
            push_printable(out, &hello.server_name);
            out.push(b'\n');
        }
    }
    push_hexdump(out, bytes);
}

/// Appends a line for each question and answer of the DNS message in the payload of a flow from or to port 53.
fn push_dns(out: &mut Vec<u8>, row: &Row<'_>, bytes: &[u8]) {
    if !dns::is_dns(&row.record) {
        return;
    }
    let Some(message) = dns::of_flow(&row.record, bytes) else {
        out.extend_from_slice(b"DNS: <Short packet>\n");
        return;
    };
    let (mut questions, mut answers) = (0, 0);
    for item in message.items() {
        match item {
            Item::Question { name, kind, class } => {
                let (name, kind) = (shown(&name), kind_name(kind));
                put!(
                    out,
                    "DNS Query {questions}: {name} type: {kind}, class: {class}\n"
                );
                questions += 1;
            }
            Item::Answer {
                name,
                kind,
                class,
                ttl,
                length,
                data,
            } => {
                let (name, named) = (shown(&name), kind_name(kind));
                put!(
                    out,
                    "DNS Answer {answers}: {name}  Type: {named}, class: {class}, ttl: {ttl}, len: {length} "
                );
                push_data(out, kind, &data);
                out.push(b'\n');
                answers += 1;
            }
            Item::Broken { question } => {
                let what = if question { "query" } else { "answer" };
                put!(out, "DNS {what}: decoding failed!\n");
            }
        }
    }
}

/// nfdump shows the root of all names as nothing.
fn shown(name: &str) -> &str {
    if name == "." { "" } else { name }
}

/// A type's name where nfdump knows it.
fn kind_name(number: u16) -> String {
    let name = match number {
        kind::A => "A",
        kind::NS => "NS",
        kind::CNAME => "CNAME",
        kind::SOA => "SOA",
        kind::MX => "MX",
        kind::TXT => "TXT",
        kind::AAAA => "AAAA",
        kind::LOC => "LOC",
        number => return number.to_string(),
    };
    name.to_owned()
}

fn push_data(out: &mut Vec<u8>, number: u16, data: &Data<'_>) {
    match data {
        Data::Address(address) => {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            put!(out, "{kind}: {address}");
        }
        Data::Name(name) => put!(out, "{}: {}", kind_name(number), shown(name)),
        Data::Text(text) => {
            out.extend_from_slice(b"TXT: ");
            push_printable(out, &String::from_utf8_lossy(text));
        }
        Data::Other if number == kind::RRSIG => {
            out.extend_from_slice(b"RRSIG: <Signature for a DNSSEC-secured record>");
        }
        Data::Other => put!(out, "<unkn> {number}"),
    }
}

/// Appends the JA3 fingerprint of a TLS hello, right-aligned in 32 columns.
pub fn push_fingerprint(out: &mut Vec<u8>, bytes: &[u8], style: &Style) {
    match Hello::parse(bytes) {
        Some(hello) => put!(out, "{:032x}", hello.fingerprint()),
        None if style.facts().later => put!(out, "{:>38}", "no ja3"),
        None => put!(
            out,
            "{:>32}",
            if bytes.is_empty() { "" } else { "ja3 error" }
        ),
    }
}

/// Appends the server name that a TLS client asks for, right-aligned in 6 columns.
pub fn push_server_name(out: &mut Vec<u8>, bytes: &[u8], style: &Style) {
    let name = Hello::parse(bytes)
        .map(|hello| hello.server_name)
        .unwrap_or_default();
    if style.facts().later && name.is_empty() {
        out.extend_from_slice(b"   0");
        return;
    }
    let start = out.len();
    push_printable(out, &name);
    align_right(out, start, 6);
}

fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'))
}

/// Sixteen bytes a line, in two groups, and the printable characters among them.
fn push_hexdump(out: &mut Vec<u8>, bytes: &[u8]) {
    for line in bytes.chunks(16) {
        for (index, byte) in line.iter().enumerate() {
            put!(out, "{byte:02X} ");
            if index == 7 && line.len() > 8 {
                out.push(b' ');
            }
        }
        let missing = 16 - line.len();
        let gap = if line.len() <= 8 { 2 } else { 1 };
        out.resize(out.len() + gap + 3 * missing, b' ');
        out.extend_from_slice(b"|  ");
        out.extend(line.iter().map(|byte| match byte {
            b' '..=b'~' => *byte,
            _ => b'.',
        }));
        out.extend_from_slice(b" \n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by nfdump 1.7.1 for the end of a DNS answer.
    #[test]
    fn hexadecimal_as_nfdump() {
        let mut out = Vec::new();
        push_text(
            &mut out,
            b"\x64\x08\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0cchr\x00\x01\x00\x00",
        );
        assert_eq!(
            String::from_utf8_lossy(&out),
            "64 08 01 00 00 01 00 00  00 00 00 00 0C 63 68 72  |  d............chr \n\
             00 01 00 00                                       |  .... \n"
        );
        out.clear();
        push_text(&mut out, b"GET /");
        assert_eq!(out, b"GET /\n");
    }
}
