//! Keys of groups: numbers one behind the other, short ones in few bytes, so that bytes compare as the numbers do.

/// Bytes of a key that is kept in its row.
pub const SHORT: usize = 16;
const ROOM: usize = 2 * SHORT;

/// A key being made.
#[derive(Debug)]
pub struct KeyBuffer {
    /// The key while it is not longer; zeroes behind it.
    room: [u8; ROOM],
    length: usize,
    /// The key when it is longer.
    long: Vec<u8>,
}

/// A key as it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// Not longer than [`SHORT`], zeroes behind it.
    Short(&'a [u8; SHORT], u8),
    /// Longer.
    Long(&'a [u8]),
}

impl Default for KeyBuffer {
    fn default() -> Self {
        Self {
            room: [0; ROOM],
            length: 0,
            long: Vec::new(),
        }
    }
}

impl KeyBuffer {
    /// Begins another key.
    #[inline]
    pub fn clear(&mut self) {
        self.room = [0; ROOM];
        self.length = 0;
        self.long.clear();
    }

    /// Appends bytes.
    #[inline]
    pub fn push_array<const N: usize>(&mut self, bytes: [u8; N]) {
        if self.long.is_empty()
            && let Some(place) = self.room.get_mut(self.length..)
            && let Some(place) = place.first_chunk_mut()
        {
            *place = bytes;
            self.length += N;
        } else {
            self.push_long(&bytes);
        }
    }

    /// Appends bytes of any number.
    pub fn push_slice(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push_array([*byte]);
        }
    }

    #[cold]
    fn push_long(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            let room = self.room.get(..self.length).unwrap_or_default();
            self.long.extend_from_slice(room);
        }
        self.long.extend_from_slice(bytes);
    }

    /// Appends a number: its class by size, then its bytes, most significant first.
    #[inline]
    pub fn push_number(&mut self, number: u64) {
        if let Ok(number) = u16::try_from(number) {
            let [high, low] = number.to_be_bytes();
            self.push_array([0, high, low]);
        } else if let Ok(number) = u32::try_from(number) {
            let [a, b, c, d] = number.to_be_bytes();
            self.push_array([1, a, b, c, d]);
        } else {
            self.push_array([2]);
            self.push_array(number.to_be_bytes());
        }
    }

    /// Appends a number of up to 128 bits, as [`Self::push_number`].
    #[inline]
    pub fn push_wide(&mut self, number: u128) {
        match u64::try_from(number) {
            Ok(number) => self.push_number(number),
            Err(_) => {
                self.push_array([3]);
                self.push_array(number.to_be_bytes());
            }
        }
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        if !self.long.is_empty() {
            return Key::Long(&self.long);
        }
        match (self.room.first_chunk(), self.length) {
            (Some(short), 0..=SHORT) => Key::Short(short, self.length as u8),
            _ => Key::Long(self.room.get(..self.length).unwrap_or_default()),
        }
    }
}

impl<'a> Key<'a> {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..usize::from(length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// Takes the next number from a key; 0 where there is none.
pub fn take_number(key: &mut &[u8]) -> u128 {
    let width = match key.split_first() {
        Some((0, _)) => 2,
        Some((1, _)) => 4,
        Some((2, _)) => 8,
        Some((3, _)) => 16,
        _ => return 0,
    };
    let Some((bytes, rest)) = key.get(1..).and_then(|rest| rest.split_at_checked(width)) else {
        return 0;
    };
    *key = rest;
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u128) -> Vec<u8> {
        let mut key = KeyBuffer::default();
        key.push_wide(number);
        key.key().bytes().to_vec()
    }

    fn any_number() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0..=128u32).prop_map(|(number, bits)| number.checked_shr(bits).unwrap_or(0))
    }

    proptest! {
        #[test]
        fn keys_compare_as_their_numbers(a in any_number(), b in any_number()) {
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn numbers_come_back(a in any_number(), b in any_number()) {
            let bytes = [key(a), key(b)].concat();
            let mut rest = bytes.as_slice();
            prop_assert_eq!((take_number(&mut rest), take_number(&mut rest)), (a, b));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn keys_of_any_length_are_whole() {
        let mut key = KeyBuffer::default();
        for length in 0..100u8 {
            key.clear();
            let bytes: Vec<u8> = (1..=length).collect();
            key.push_slice(&bytes);
            assert_eq!(key.key().bytes(), bytes);
            assert_eq!(matches!(key.key(), Key::Short(..)), length <= 16);
        }
    }

    #[test]
    fn a_cut_key_gives_zeroes() {
        let mut rest: &[u8] = &[2, 1];
        assert_eq!(take_number(&mut rest), 0);
        assert_eq!(take_number(&mut &[][..]), 0);
    }
}
