//! Values of fields (RFC 7011 section 6).

/// An unsigned integer of 1 to 8 octets, as full or reduced size (RFC 7011 section 6.2); no octets are 0.
/// `None` if there are more than 8.
pub fn unsigned(octets: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    let start = wide.len().checked_sub(octets.len())?;
    wide.get_mut(start..)?.copy_from_slice(octets);
    Some(u64::from_be_bytes(wide))
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
