//! IP and MAC addresses as nfdump prints them.

use super::number::{align_right, push_u64};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Columns of an IP address in a listing.
pub const SHORT: usize = 16;
/// Columns of an IP address with `-6`.
pub const FULL: usize = 39;

/// Appends an address right-aligned in 16 columns, an IPv6 text of more as its first 7 and last 7 characters, or with
/// `full` in 39 columns unshortened.
pub fn push_ip(out: &mut Vec<u8>, address: IpAddr, full: bool) {
    let start = out.len();
    push_address_full(out, address);
    if full {
        align_right(out, start, FULL);
    } else {
        condense(out, start);
        align_right(out, start, SHORT);
    }
}

/// Appends an address as it is, neither aligned nor shortened.
pub fn push_address_full(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => push_ipv4(out, v4),
        IpAddr::V6(v6) => push_ipv6(out, v6),
    }
}

/// Appends an IPv4 address.
pub fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [a, b, c, d] = address.octets().map(u64::from);
    push_u64(out, a);
    for octet in [b, c, d] {
        out.push(b'.');
        push_u64(out, octet);
    }
}

/// Appends an IPv6 address as the C library writes it: the longest run of zero groups is `::`, IPv4-mapped and
/// IPv4-compatible addresses end in dotted form.
pub fn push_ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let groups = address.segments();
    let (at, length) = longest_zero_run(groups);
    let dotted = at == 0 && (length == 6 || (length == 5 && groups[5] == 0xffff));
    let shown = if dotted { &groups[..6] } else { &groups[..] };
    for (index, group) in shown.iter().enumerate() {
        if (at..at + length).contains(&index) {
            if index == at {
                out.push(b':');
            }
            continue;
        }
        if index > 0 {
            out.push(b':');
        }
        push_hex(out, u64::from(*group));
    }
    if dotted {
        out.push(b':');
        let [.., a, b, c, d] = address.octets();
        push_ipv4(out, Ipv4Addr::new(a, b, c, d));
    } else if length > 0 && at + length == groups.len() {
        out.push(b':');
    }
}

/// Start and length of the first longest run of at least two zero groups; (0, 0) without one.
fn longest_zero_run(groups: [u16; 8]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut current = (0, 0);
    for (index, group) in groups.into_iter().enumerate() {
        if group == 0 {
            if current.1 == 0 {
                current.0 = index;
            }
            current.1 += 1;
            if current.1 > best.1 {
                best = current;
            }
        } else {
            current.1 = 0;
        }
    }
    if best.1 < 2 { (0, 0) } else { best }
}

/// Shortens the text since `start` to its first 7 and last 7 characters with two dots between, if it is longer than 16.
fn condense(out: &mut Vec<u8>, start: usize) {
    const KEPT: usize = 7;
    let length = out.len() - start;
    if length > SHORT {
        let tail = out.len() - KEPT;
        out.copy_within(tail.., start + KEPT + 2);
        if let Some(dots) = out.get_mut(start + KEPT..start + KEPT + 2) {
            dots.fill(b'.');
        }
        out.truncate(start + SHORT);
    }
}

/// Appends lower-case hexadecimal digits without leading zeros.
pub fn push_hex(out: &mut Vec<u8>, value: u64) {
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(hex_digit(value >> (place * 4)));
    }
}

/// Appends a MAC address held in the low 48 bits, `00:19:e3:e7:5d:23`.
pub fn push_mac(out: &mut Vec<u8>, mac: u64) {
    let mut text = *b"00:00:00:00:00:00";
    for (place, pair) in (0..6).rev().zip(text.chunks_mut(3)) {
        let octet = mac >> (place * 8);
        if let [high, low, ..] = pair {
            (*high, *low) = (hex_digit(octet >> 4), hex_digit(octet));
        }
    }
    out.extend_from_slice(&text);
}

fn hex_digit(value: u64) -> u8 {
    let digit = (value & 15) as u8;
    if digit < 10 {
        b'0' + digit
    } else {
        b'a' + digit - 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str, full: bool) -> String {
        let mut out = b"x".to_vec();
        push_ip(&mut out, address.parse().expect("an address"), full);
        String::from_utf8_lossy(&out[1..]).trim_start().to_owned()
    }

    /// Printed by nfdump 1.7.1 with `-6`.
    #[test]
    fn ipv6_as_the_c_library() {
        for (address, expected) in [
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("0:0:1::", "0:0:1::"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
            ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"),
            ("::5:0", "::0.5.0.0"),
            ("::ffff:0", "::255.255.0.0"),
            ("::2:0:0", "::2:0:0"),
            ("0:0:0:0:1:ffff:0:0", "::1:ffff:0:0"),
            (
                "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
                "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
            ),
        ] {
            assert_eq!(text(address, true), expected);
        }
    }

    #[test]
    fn long_addresses_are_condensed() {
        assert_eq!(text("2001:620:0:ff::fed5", false), "2001:62..f::fed5");
        assert_eq!(text("64:ff9b::1.2.3.4", false), "64:ff9b::102:304");
        assert_eq!(text("131.103.200.168", false), "131.103.200.168");
    }

    #[test]
    fn mac_and_hex() {
        let mut out = Vec::new();
        push_mac(&mut out, 0x0019_e3e7_5d23);
        out.push(b' ');
        push_hex(&mut out, 0);
        out.push(b' ');
        push_hex(&mut out, 0xcafe);
        assert_eq!(String::from_utf8_lossy(&out), "00:19:e3:e7:5d:23 0 cafe");
    }
}
