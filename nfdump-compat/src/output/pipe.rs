//! nfdump's `pipe`: numbers between bars, times in Unix milliseconds, addresses as four 32-bit words.

use super::{
    number::push_u64,
    row::{Row, or_unspecified},
};
use crate::field;
use std::net::IpAddr;

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;

/// Appends one flow; `old` as nfdump 1.6 does it, seconds and milliseconds apart.
pub fn push_row(out: &mut Vec<u8>, row: &Row<'_>, old: bool) {
    let counters = &row.counters;
    let source = or_unspecified(row.record.src_ip());
    let destination = or_unspecified(row.record.dst_ip());
    push_field(out, family(source));
    for ms in [counters.first_ms, counters.last_ms] {
        if old {
            push_field(out, ms / 1000);
            push_field(out, ms % 1000);
        } else {
            push_field(out, ms);
        }
    }
    push_field(out, u64::from(row.protocol()));
    for (address, port) in [(source, field::SRC_PORT), (destination, field::DST_PORT)] {
        words(address)
            .into_iter()
            .for_each(|word| push_field(out, word));
        push_field(out, row.get(port));
    }
    for place in [field::SRC_AS, field::DST_AS, field::INPUT, field::OUTPUT] {
        push_field(out, row.get(place));
    }
    push_field(out, u64::from(row.tcp_flags));
    push_field(out, row.get(field::SRC_TOS));
    push_field(out, counters.in_packets);
    push_u64(out, counters.in_bytes);
    out.push(b'\n');
}

/// Appends a number and a bar.
pub fn push_field(out: &mut Vec<u8>, value: u64) {
    push_u64(out, value);
    out.push(b'|');
}

/// The number of the address family.
#[must_use]
pub fn family(address: IpAddr) -> u64 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// An address as four words, an IPv4 address in the last one.
#[must_use]
pub fn words(address: IpAddr) -> [u64; 4] {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    [96, 64, 32, 0].map(|shift| (bits >> shift) as u64 & u64::from(u32::MAX))
}
