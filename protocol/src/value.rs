//! Values of fields (RFC 7011 section 6).

/// An unsigned integer of 1 to 8 octets, as full or reduced size (RFC 7011 section 6.2); no octets are 0.
/// `None` if there are more than 8.
#[inline]
pub fn unsigned(octets: &[u8]) -> Option<u64> {
    match *octets {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from(u16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(u64::from(u32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        [_, _, _, _, _, _, _, _, _, ..] => None,
        _ => Some(
            octets
                .iter()
                .fold(0, |sum, &octet| sum << 8 | u64::from(octet)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_of_every_length() {
        assert_eq!(unsigned(&[]), Some(0));
        assert_eq!(unsigned(&[0x12]), Some(0x12));
        assert_eq!(unsigned(&[0x01, 0x02, 0x03]), Some(0x01_0203));
        assert_eq!(unsigned(&[0xff; 8]), Some(u64::MAX));
        assert_eq!(unsigned(&[0; 9]), None);
    }
}
