//! Sets written into a message: lengths are patched when a set ends, and sets are padded so that the message has
//! a multiple of 4 octets (RFC 3954 section 5.3, RFC 7011 section 3.3.1).

/// Octets of a set header.
pub(crate) const SET_HEADER: usize = 4;

/// Length with the padding that follows.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Begins a set; gives where, for [`end_set`].
pub(crate) fn begin_set(message: &mut Vec<u8>, id: u16) -> usize {
    let begin = message.len();
    put_u16(message, id);
    put_u16(message, 0);
    begin
}

/// Pads the set that began at `begin` and writes its length. Padding must be shorter than the shortest record, of
/// `least_record` octets, or it would be read as one: a set of tiny records is not padded.
pub(crate) fn end_set(message: &mut Vec<u8>, begin: usize, least_record: usize) {
    let aligned = padded(message.len());
    if aligned.saturating_sub(message.len()) < least_record {
        message.resize(aligned, 0);
    }
    let length = message.len().saturating_sub(begin);
    patch(
        message,
        begin + 2,
        &u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes(),
    );
}

/// Overwrites octets that are there already.
pub(crate) fn patch(message: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = message.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

/// Two octets in network order.
pub(crate) fn put_u16(message: &mut Vec<u8>, value: u16) {
    message.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_padded_and_knows_its_length() {
        let mut message = vec![0xff; 8];
        let begin = begin_set(&mut message, 256);
        message.extend([1, 2, 3]);
        end_set(&mut message, begin, 3);
        assert_eq!(message[8..], [1, 0, 0, 8, 1, 2, 3, 0]);
    }

    #[test]
    fn padding_is_no_record() {
        let mut message = Vec::new();
        for least_record in [1, 2] {
            let begin = begin_set(&mut message, 256);
            message.extend([1, 2, 3]);
            end_set(&mut message, begin, least_record);
        }
        assert_eq!(message, [1, 0, 0, 7, 1, 2, 3, 1, 0, 0, 7, 1, 2, 3]);
    }
}
