//! Writes small databases in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>): records of 32 bits, IPv6.

use std::net::IpAddr;

/// A value of the data section.
pub enum Value {
    Text(&'static str),
    Double(f64),
    Number(u32),
    Map(Vec<(&'static str, Value)>),
}

use Value::{Double, Map, Number, Text};

const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
/// What stands between tree and data.
const SEPARATOR: usize = 16;

impl Value {
    fn push(&self, out: &mut Vec<u8>) {
        match self {
            Text(text) => push_text(out, text),
            Double(number) => {
                out.push(DOUBLE << 5 | 8);
                out.extend(number.to_be_bytes());
            }
            Number(number) => push_number(out, UINT32, *number),
            Map(entries) => {
                out.push(MAP << 5 | entries.len() as u8);
                for (key, value) in entries {
                    push_text(out, key);
                    value.push(out);
                }
            }
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..29 => out.push(TEXT << 5 | length as u8),
        length => out.extend([TEXT << 5 | 29, (length - 29) as u8]),
    }
    out.extend(text.as_bytes());
}

fn push_number(out: &mut Vec<u8>, kind: u8, number: u32) {
    let bytes = if kind == UINT16 { 2 } else { 4 };
    out.push(kind << 5 | bytes);
    out.extend(&number.to_be_bytes()[4 - usize::from(bytes)..]);
}

#[derive(Clone, Copy)]
enum Branch {
    Empty,
    Node(usize),
    Data(usize),
}

/// A database of these prefixes; a longer one comes behind the shorter one that it is part of.
pub fn write(entries: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Branch::Empty; 2]];
    let mut data = Vec::new();
    for (prefix, value) in entries {
        let (address, bits) = prefix.split_once('/').unwrap();
        let (address, bits): (IpAddr, u32) = (address.parse().unwrap(), bits.parse().unwrap());
        let (address, bits) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), bits + 96),
            IpAddr::V6(address) => (u128::from(address), bits),
        };
        let mut node = 0;
        for depth in 0..bits {
            let side = (address >> (127 - depth) & 1) as usize;
            if depth + 1 == bits {
                nodes[node][side] = Branch::Data(data.len());
                break;
            }
            let kept = nodes[node][side];
            node = match kept {
                Branch::Node(next) => next,
                _ => {
                    nodes.push([kept; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][side] = Branch::Node(next);
                    next
                }
            };
        }
        value.push(&mut data);
    }
    let mut file = Vec::new();
    for branch in nodes.iter().flatten() {
        let record = match branch {
            Branch::Empty => nodes.len(),
            Branch::Node(next) => *next,
            Branch::Data(offset) => nodes.len() + SEPARATOR + offset,
        };
        file.extend((record as u32).to_be_bytes());
    }
    file.extend([0; SEPARATOR]);
    file.extend(&data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.push(MAP << 5 | 9);
    push_text(&mut file, "node_count");
    push_number(&mut file, UINT32, nodes.len() as u32);
    for (key, number) in [
        ("record_size", 32),
        ("ip_version", 6),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        push_text(&mut file, key);
        push_number(&mut file, UINT16, number);
    }
    push_text(&mut file, "database_type");
    push_text(&mut file, "Test");
    // Kinds above 7 have a byte of their own: an array (11) of no languages, 64 bits (9) of time.
    push_text(&mut file, "languages");
    file.extend([0, 11 - 7]);
    push_text(&mut file, "build_epoch");
    file.extend([1, 9 - 7, 1]);
    push_text(&mut file, "description");
    file.push(MAP << 5);
    file
}
