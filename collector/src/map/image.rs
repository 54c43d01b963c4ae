//! The octets of one nfcapd record in the making: numbers in their places, extensions added and taken out.
//!
//! Plans write at positions found once a template; that is why this knows the record's header beside
//! `nfdump_compat::record`, which makes the prototype that the positions come from.

use std::ops::Range;

use nfdump_compat::field::{self, DataLength, EXTENSION_HEADER, ext};
use nfdump_compat::record::V3_HEADER;

/// Offset of the record's size.
pub const HEADER_SIZE: usize = 2;
/// Offset of the number of extensions.
const HEADER_ELEMENTS: usize = 4;
/// Offset of the engine type.
pub const HEADER_ENGINE_TYPE: usize = 6;
/// Offset of the engine id.
pub const HEADER_ENGINE_ID: usize = 7;
/// Offset of the exporter's number.
pub const HEADER_EXPORTER: usize = 8;
/// Offset of the flags.
pub const HEADER_FLAGS: usize = 10;

/// A big-endian number of 1 to 8 octets (reduced-size encoding, RFC 7011 section 6.2).
#[inline]
pub fn number(value: &[u8]) -> Option<u64> {
    protocol::value::unsigned(value).filter(|_| !value.is_empty())
}

/// Writes the low `width` octets of a number in the file's byte order.
#[inline]
pub fn write(out: &mut [u8], at: usize, width: u8, value: u64) {
    let octets = value.to_le_bytes();
    let width = usize::from(width);
    if let (Some(to), Some(from)) = (
        out.get_mut(at..at.saturating_add(width)),
        octets.get(..width),
    ) {
        to.copy_from_slice(from);
    }
}

/// Reads a number in the file's byte order; 0 for what is not there.
pub fn read(out: &[u8], at: usize, width: usize) -> u64 {
    let mut octets = [0; 8];
    if let (Some(from), Some(to)) = (
        out.get(at..at.saturating_add(width)),
        octets.get_mut(..width),
    ) {
        to.copy_from_slice(from);
    }
    u64::from_le_bytes(octets)
}

/// An IPv6 address as the two numbers that the file has for it.
pub fn halves(address: u128) -> (u64, u64) {
    ((address >> 64) as u64, address as u64)
}

/// The bit of an extension in a set of extensions.
pub fn bit(extension: u16) -> u64 {
    1_u64.checked_shl(u32::from(extension)).unwrap_or(0)
}

/// Adds an extension at the end, unless the record's 16-bit size would not hold it.
pub fn append(out: &mut Vec<u8>, id: u16, data: &[u8]) {
    // Room is kept for the exporter's address, which comes last.
    const RESERVE: usize = 20;
    let reserve = if id == ext::IP_RECEIVED_V4 || id == ext::IP_RECEIVED_V6 {
        0
    } else {
        RESERVE
    };
    let length = data.len() + EXTENSION_HEADER;
    if data.is_empty() || out.len() + length + reserve > usize::from(u16::MAX) {
        return;
    }
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(data);
    let elements = read(out, HEADER_ELEMENTS, 2) + 1;
    write(out, HEADER_ELEMENTS, 2, elements);
}

/// Takes the extensions whose bits are set out of a record.
pub fn remove(out: &mut Vec<u8>, superfluous: u64) {
    let (mut from, mut to, mut removed) = (V3_HEADER, V3_HEADER, 0);
    while from < out.len() {
        let id = read(out, from, 2) as u16;
        let length = (read(out, from + 2, 2) as usize)
            .max(EXTENSION_HEADER)
            .min(out.len() - from);
        if superfluous & bit(id) == 0 {
            out.copy_within(from..from + length, to);
            to += length;
        } else {
            removed += 1;
        }
        from += length;
    }
    out.truncate(to);
    let elements = read(out, HEADER_ELEMENTS, 2).saturating_sub(removed);
    write(out, HEADER_ELEMENTS, 2, elements);
}

/// Where the data of each extension of a prototype begins; `usize::MAX` for those it does not have.
pub fn starts(prototype: &[u8]) -> [usize; 64] {
    let mut starts = [usize::MAX; 64];
    let mut at = V3_HEADER;
    while at + EXTENSION_HEADER <= prototype.len() {
        let (id, length) = (
            read(prototype, at, 2) as usize,
            read(prototype, at + 2, 2) as usize,
        );
        if let Some(start) = starts.get_mut(id) {
            *start = at + EXTENSION_HEADER;
        }
        at += length.max(EXTENSION_HEADER);
    }
    starts
}

/// Where the data of a fixed-length extension lies.
pub fn data_range(starts: &[usize; 64], extension: u16) -> Option<Range<usize>> {
    let start = *starts.get(usize::from(extension))?;
    match field::data_length(extension)? {
        DataLength::Fixed(length) => Some(start..start.checked_add(usize::from(length))?),
        DataLength::Variable => None,
    }
}
