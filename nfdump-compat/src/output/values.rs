//! How the values of the listing's fields are printed.

use super::{
    address::{self, FULL, SHORT, push_hex, push_ip},
    events,
    number::{align_left, align_right, bytes_per_packet, push_u64, push_uint, push_zero_padded},
    protocols,
    row::{Row, or_unspecified},
    style::Style,
    time::{LocalTime, push_duration_clock, push_duration_seconds},
    versions::Flags,
};
use crate::{
    field::{self, Location},
    names::Found,
    record::FLAG_EVENT,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `-T` puts before an address.
const TAG: u8 = 1;

/// Appends a duration in the style's form: 16 columns, in the older style seconds in 9.
pub fn push_duration(out: &mut Vec<u8>, ms: u64, style: &Style) {
    let facts = style.facts();
    let ms = facts.duration(ms);
    match (facts.seconds, style.plain_numbers) {
        (true, _) => push_duration_seconds(out, ms, 9),
        (false, true) => push_duration_seconds(out, ms, 16),
        (false, false) => push_duration_clock(out, ms),
    }
}

/// Appends the protocol's short name (with plain numbers its number) left-aligned in five columns.
pub fn push_protocol(out: &mut Vec<u8>, protocol: u8, style: &Style) {
    let start = out.len();
    match protocols::name(protocol) {
        Some(name) if !style.plain_numbers => out.extend_from_slice(name.as_bytes()),
        _ => push_u64(out, u64::from(protocol)),
    }
    align_left(out, start, 5);
}

/// Appends bytes per packet; nfdump keeps 32 bits of it.
pub fn push_bytes_per_packet(out: &mut Vec<u8>, bytes: u64, packets: u64, width: usize) {
    push_uint(
        out,
        bytes_per_packet(bytes, packets) & u64::from(u32::MAX),
        width,
    );
}

/// Appends a text that came from outside: control characters, which a terminal would obey, become `?`.
pub fn push_printable(out: &mut Vec<u8>, text: &str) {
    out.extend(
        text.chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect::<String>()
            .into_bytes(),
    );
}

/// Appends the name of the interface whose number the field holds, as [`push_name`].
pub fn push_interface_name(out: &mut Vec<u8>, row: &Row<'_>, location: Location, style: &Style) {
    let found = row.interface_name(location);
    push_name(out, row.get(location), found, " <no if name>", style);
}

/// Appends the name of the VRF whose number the field holds, as [`push_name`].
pub fn push_vrf_name(out: &mut Vec<u8>, row: &Row<'_>, location: Location, style: &Style) {
    let found = row.vrf_name(location);
    push_name(out, row.get(location), found, " <no vrf name>", style);
}

/// Appends a blank and the name of a number; nothing if nothing has a name. Number 0 is none.
fn push_name(out: &mut Vec<u8>, number: u64, found: Found<'_>, none: &str, style: &Style) {
    match found {
        Found::Nothing => {}
        Found::Others | Found::Name(_) if number == 0 => {
            let none = if style.facts().later { none } else { "" };
            out.extend_from_slice(none.as_bytes());
        }
        Found::Others => out.extend_from_slice(b" <ingress not found>"),
        Found::Name(name) => {
            out.push(b' ');
            push_printable(out, &String::from_utf8_lossy(name));
        }
    }
}

/// Appends name and description of the flow's application.
pub fn push_application_name(out: &mut Vec<u8>, row: &Row<'_>) {
    let Some(application) = row.application_name() else {
        out.extend_from_slice(b"<no info>");
        return;
    };
    push_printable(out, &String::from_utf8_lossy(&application.name));
    out.push(b'/');
    push_printable(out, &String::from_utf8_lossy(&application.description));
}

/// Appends microseconds as milliseconds with three decimals.
pub fn push_microseconds(out: &mut Vec<u8>, microseconds: u64) {
    push_u64(out, microseconds / 1000);
    out.push(b'.');
    push_zero_padded(out, microseconds % 1000, 3);
}

/// Appends an MPLS label stack entry (24 bits) as label, experimental bits and bottom-of-stack bit.
pub fn push_mpls(out: &mut Vec<u8>, entry: u64) {
    if entry == 0 {
        out.extend_from_slice(b"0-0-0");
        return;
    }
    push_u64(out, entry >> 4);
    out.push(b'-');
    push_u64(out, (entry >> 1) & 7);
    out.push(b'-');
    push_u64(out, entry & 1);
}

pub(super) fn push_mpls_column(out: &mut Vec<u8>, row: &Row<'_>, index: u16) {
    let start = out.len();
    push_mpls(out, row.get(field::mpls_label(index)));
    align_right(out, start, 12);
}

pub(super) fn push_raw_time(out: &mut Vec<u8>, ms: u64, style: &Style) {
    let start = out.len();
    push_u64(out, ms / 1000);
    out.push(b'.');
    push_zero_padded(out, ms % 1000, 3);
    if style.facts().later {
        align_right(out, start, 14);
    }
}

/// Appends the two letters of a country, dots if it is not known.
pub fn push_country(out: &mut Vec<u8>, country: u64) {
    let letters = (country as u16).to_be_bytes();
    let known = letters.iter().all(u8::is_ascii_alphanumeric);
    out.extend_from_slice(if known { &letters } else { b".." });
}

/// Marks the address that follows, if that is asked for.
pub fn push_tag(out: &mut Vec<u8>, style: &Style) {
    if style.tag {
        out.push(TAG);
    }
}

pub(super) fn push_address(out: &mut Vec<u8>, address: Option<IpAddr>, style: &Style) {
    push_tag(out, style);
    push_ip(out, or_unspecified(address), style.full_ipv6);
}

pub(super) fn push_source(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, country: &str) {
    let start = push_endpoint(out, row.record.src_ip(), country, style);
    push_u64(out, row.get(field::SRC_PORT));
    align_left(out, start, 5);
}

pub(super) fn push_destination(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, country: &str) {
    let start = push_endpoint(out, row.record.dst_ip(), country, style);
    push_destination_port(out, row);
    align_left(out, start, 5);
}

pub(super) fn push_xlate_source(out: &mut Vec<u8>, row: &Row<'_>, style: &Style) {
    let start = push_endpoint(out, row.xlate_src_ip(), "", style);
    push_u64(out, row.get(field::XLATE_SRC_PORT));
    align_left(out, start, 5);
}

pub(super) fn push_xlate_destination(out: &mut Vec<u8>, row: &Row<'_>, style: &Style) {
    let start = push_endpoint(out, row.xlate_dst_ip(), "", style);
    push_u64(out, row.get(field::XLATE_DST_PORT));
    align_left(out, start, 5);
}

/// Appends the address, the country and the separator of the port (`:`, after IPv6 `.`); returns where the port begins.
fn push_endpoint(
    out: &mut Vec<u8>,
    address: Option<IpAddr>,
    country: &str,
    style: &Style,
) -> usize {
    let address = or_unspecified(address);
    push_tag(out, style);
    push_ip(out, address, style.full_ipv6);
    out.extend_from_slice(country.as_bytes());
    out.push(if address.is_ipv4() { b':' } else { b'.' });
    out.len()
}

/// The destination port, for ICMP `type.code`.
pub(super) fn push_destination_port(out: &mut Vec<u8>, row: &Row<'_>) {
    let port = row.get(field::DST_PORT);
    if row.is_icmp() {
        push_u64(out, port >> 8);
        out.push(b'.');
        push_u64(out, port & 0xff);
    } else {
        push_u64(out, port);
    }
}

pub(super) fn icmp(row: &Row<'_>, style: &Style) -> u64 {
    if row.is_icmp() || style.facts().later {
        row.get(field::DST_PORT)
    } else {
        0
    }
}

pub(super) fn push_adjacent_as(out: &mut Vec<u8>, number: u64) {
    out.push(b' ');
    push_uint(out, number, 6);
}

/// Where the record comes from: event, nothing known, sFlow, packets, NetFlow; and the version.
pub(super) fn push_version(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let header = row.record.header();
    let (name, version): (&[u8], u8) = match header.nfversion {
        version if header.flags & FLAG_EVENT != 0 => (b"EVT", version),
        0 => {
            out.extend_from_slice(b"FLO");
            return;
        }
        version if version & 0x80 != 0 => (b"Sv", version & 15),
        version if version & 0x40 != 0 => (b"Pv", version & 15),
        version => (b"Nv", version & 15),
    };
    out.extend_from_slice(name);
    push_u64(out, u64::from(version));
}

pub(super) fn push_engine(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let header = row.record.header();
    push_uint(out, u64::from(header.engine_type), 3);
    out.push(b'/');
    let start = out.len();
    push_u64(out, u64::from(header.engine_id));
    align_left(out, start, 3);
}

pub(super) fn push_label(out: &mut Vec<u8>, row: &Row<'_>, _: &Style, _: &mut LocalTime) {
    let start = out.len();
    push_printable(out, &row.label_text());
    align_right(out, start, 16);
}

pub(super) fn push_event(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, _: &mut LocalTime) {
    let start = out.len();
    let event = events::of_record(&row.record);
    let facts = style.facts();
    if facts.later && style.plain_numbers {
        push_u64(
            out,
            if events::has_event(&row.record) {
                event.number
            } else {
                0
            },
        );
        return;
    }
    let name = if facts.later {
        event.later_name(&row.record)
    } else {
        event.name_in_listing()
    };
    out.extend_from_slice(name.as_bytes());
    align_right(out, start, facts.event_width);
}

pub(super) fn push_flags(out: &mut Vec<u8>, row: &Row<'_>, style: &Style, _: &mut LocalTime) {
    // nfdump 1.6 shows them of any protocol.
    let kind = style.facts().flags;
    let flags = if row.protocol() == 6 || kind == Flags::EightOfAll {
        row.tcp_flags
    } else {
        0
    };
    let letters = match kind {
        Flags::Six if flags > 63 => {
            out.extend_from_slice(b"  0x");
            push_hex(out, u64::from(flags));
            return;
        }
        Flags::Six => 2..8,
        Flags::Eight | Flags::EightOfAll => 0..8,
    };
    push_letters(out, flags, letters);
}

/// Appends all eight flags as letters, of whatever protocol.
pub(super) fn push_flag_letters(out: &mut Vec<u8>, flags: u8) {
    push_letters(out, flags, 0..8);
}

fn push_letters(out: &mut Vec<u8>, flags: u8, places: std::ops::Range<usize>) {
    let mut letters = *b"CEUAPRSF";
    for (place, letter) in letters.iter_mut().enumerate() {
        if flags & (0x80 >> place) == 0 {
            *letter = b'.';
        }
    }
    out.extend_from_slice(letters.get(places).unwrap_or_default());
}

fn push_prefixed_hex(out: &mut Vec<u8>, value: u64, digits: usize) {
    out.extend_from_slice(b"0x");
    let start = out.len();
    push_hex(out, value);
    let missing = digits.saturating_sub(out.len() - start);
    out.splice(start..start, std::iter::repeat_n(b'0', missing));
}

/// An observation domain or point, in nfdump 1.7.5 two zeroes if there is none.
pub(super) fn push_observation(
    out: &mut Vec<u8>,
    row: &Row<'_>,
    style: &Style,
    place: Location,
    digits: usize,
) {
    let none = style.facts().later && row.record.get(place).is_none();
    push_prefixed_hex(out, row.get(place), if none { 2 } else { digits });
}

pub(super) fn push_network(
    out: &mut Vec<u8>,
    address: Option<IpAddr>,
    mask: u64,
    row: &Row<'_>,
    style: &Style,
) {
    let no_masks = !row.record.has(field::ext::FLOW_MISC);
    push_tag(out, style);
    push_ip(
        out,
        if no_masks && style.facts().later {
            unspecified_like(or_unspecified(address))
        } else {
            network(or_unspecified(address), mask as u32)
        },
        style.full_ipv6,
    );
    out.push(b'/');
    let start = out.len();
    push_u64(out, mask);
    align_left(out, start, 2);
}

/// The unspecified address of the same version of IP.
#[must_use]
pub fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The network of an address. A prefix length of 0 or beyond the address' width masks as nfdump's shifts do (modulo the
/// word's width): 0 keeps the address.
#[must_use]
pub fn network(address: IpAddr, mask: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(
            u32::from(v4) & u32::MAX.wrapping_shl(32_u32.wrapping_sub(mask)),
        )),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            let (high, low) = if mask > 64 {
                (
                    high,
                    low & u64::MAX.wrapping_shl(128_u32.wrapping_sub(mask)),
                )
            } else {
                (high & u64::MAX.wrapping_shl(64_u32.wrapping_sub(mask)), 0)
            };
            IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)))
        }
    }
}

/// Appends the value of an address statistic: an address whose upper half is zero is shown as IPv4, as in nfdump.
pub fn push_statistic_address(out: &mut Vec<u8>, high: u64, low: u64, full: bool) {
    if high == 0 {
        let start = out.len();
        address::push_ipv4(out, Ipv4Addr::from(low as u32));
        align_right(out, start, if full { FULL } else { SHORT });
    } else {
        push_ip(
            out,
            IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))),
            full,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by nfdump 1.7.1 for these addresses and masks.
    #[test]
    fn networks_as_nfdump() {
        for (address, mask, expected) in [
            ("10.0.0.1", 0, "10.0.0.1"),
            ("10.0.0.1", 5, "8.0.0.0"),
            ("10.0.0.1", 32, "10.0.0.1"),
            ("10.0.0.2", 39, "10.0.0.0"),
            ("10.0.0.2", 33, "0.0.0.0"),
            ("2001:620:0:ff::fed5", 0, "2001:620:0:ff::"),
            ("2001:db8::3", 18, "2001::"),
            ("1:2:3:4:5:6:7:8", 64, "1:2:3:4::"),
            ("1:2:3:4:5:6:7:8", 128, "1:2:3:4:5:6:7:8"),
        ] {
            assert_eq!(
                network(address.parse().expect("an address"), mask).to_string(),
                expected
            );
        }
    }
}
