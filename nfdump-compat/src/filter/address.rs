//! Addresses in filters: as numbers of 128 bits, an IPv4 address in the lowest 32, and sets of prefixes.

use std::net::IpAddr;

/// An address as written, perhaps its first bytes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The missing bytes are zero.
    pub(super) value: u128,
    /// How many bytes were written.
    pub(super) bytes: u32,
    /// IPv6.
    pub(super) is_v6: bool,
}

impl Address {
    /// Reads an address; none if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return parse_v6(text);
        }
        let mut value = 0_u32;
        let mut bytes = 0;
        for part in text.split('.') {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let byte: u8 = digits.then(|| part.parse().ok())??;
            value = value << 8 | u32::from(byte);
            bytes += 1;
            if bytes > 4 {
                return None;
            }
        }
        Some(Self {
            value: u128::from(value << (8 * (4 - bytes))),
            bytes,
            is_v6: false,
        })
    }

    /// All bytes were written.
    pub(super) fn is_complete(self) -> bool {
        self.bytes == if self.is_v6 { 16 } else { 4 }
    }

    /// The mask that keeps the first `bits` bits; none if the written address has fewer.
    pub(super) fn mask(self, bits: u64) -> Option<u128> {
        let bits = u32::try_from(bits)
            .ok()
            .filter(|bits| *bits <= self.bytes * 8)?;
        let width = if self.is_v6 { 128 } else { 32 };
        Some(u128::MAX.checked_shl(width - bits).unwrap_or(0))
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                value: u128::from(u32::from(address)),
                bytes: 4,
                is_v6: false,
            },
            IpAddr::V6(address) => Self {
                value: u128::from(address),
                bytes: 16,
                is_v6: true,
            },
        }
    }
}

/// A whole IPv6 address, or its first groups.
fn parse_v6(text: &str) -> Option<Address> {
    if let Ok(address) = text.parse() {
        return Some(Address::from(IpAddr::V6(address)));
    }
    let mut value = 0_u128;
    let mut bytes = 0;
    for group in text.split(':') {
        let group = u16::from_str_radix(group, 16).ok()?;
        value |= u128::from(group).checked_shl(112_u32.checked_sub(bytes * 8)?)?;
        bytes += 2;
    }
    Some(Address {
        value,
        bytes,
        is_v6: true,
    })
}

/// Addresses of one family that begin alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) mask: u128,
    /// The begin, nothing behind the mask.
    pub(super) value: u128,
    pub(super) is_v6: bool,
}

impl Prefix {
    pub(super) fn new(address: Address, mask: u128) -> Self {
        Self {
            mask,
            value: address.value & mask,
            is_v6: address.is_v6,
        }
    }

    /// This address only.
    pub(super) fn whole(address: Address) -> Self {
        Self::new(address, u128::MAX)
    }

    #[inline]
    pub(super) fn contains(&self, address: u128) -> bool {
        address & self.mask == self.value
    }
}

/// Letters make a host name.
pub(super) fn is_host_name(text: &str) -> bool {
    !text.contains(':') && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// A set of prefixes: sorted ranges that do not touch.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    first: Vec<u128>,
    last: Vec<u128>,
}

impl Prefixes {
    /// Number of ranges.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// The set of these ranges (first and last address).
    pub(super) fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut set = Self::default();
        for (first, last) in ranges {
            match set.last.last_mut() {
                Some(end) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => {
                    set.first.push(first);
                    set.last.push(last);
                }
            }
        }
        set
    }

    /// Whether the address lies in one of the ranges.
    pub(super) fn contains(&self, address: u128) -> bool {
        let behind = self.first.partition_point(|first| *first <= address);
        behind
            .checked_sub(1)
            .and_then(|at| self.last.get(at))
            .is_some_and(|last| address <= *last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        let parse = |text| Address::parse(text).map(|address| (address.value, address.bytes));
        assert_eq!(parse("10.1.2.3"), Some((0x0a01_0203, 4)));
        assert_eq!(parse("10.1"), Some((0x0a01_0000, 2)));
        assert_eq!(parse("010.1.1.1"), Some((0x0a01_0101, 4)));
        assert_eq!(parse("2001:db8"), Some((0x2001_0db8 << 96, 4)));
        assert_eq!(parse("::1"), Some((1, 16)));
        for wrong in [
            "",
            "1.2.3.4.5",
            "256.1.1.1",
            "1..2",
            "1.2.",
            "1::2::3",
            ":1",
            "1:2:",
            "1:2:3:4:5:6:7:8:9",
            "a.b",
            "+1.2.3.4",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn masks() {
        let v4 = Address::parse("10.0.0.0").unwrap();
        assert_eq!(v4.mask(8), Some(u128::MAX << 24));
        assert_eq!(v4.mask(0), Some(u128::MAX << 32));
        assert_eq!(v4.mask(33), None);
        let v6 = Address::parse("2001::").unwrap();
        assert_eq!(v6.mask(0), Some(0));
        assert_eq!(v6.mask(128), Some(u128::MAX));
        assert_eq!(Address::parse("10.1").unwrap().mask(17), None);
    }

    proptest! {
        #[test]
        fn set_is_the_union(ranges in proptest::collection::vec((0_u128..60, 0_u128..9), 0..12), wide: bool) {
            let shift = if wide { 120 } else { 0 };
            let ranges: Vec<_> = ranges.iter().map(|(first, more)| (first << shift, (first + more) << shift)).collect();
            let set = Prefixes::new(ranges.clone());
            for address in (0..70).map(|address: u128| address << shift) {
                let expected = ranges.iter().any(|(first, last)| (*first..=*last).contains(&address));
                prop_assert_eq!(set.contains(address), expected);
            }
        }

        #[test]
        fn any_text(text in "[0-9a-f:.]{0,40}") {
            if let Some(address) = Address::parse(&text) {
                prop_assert!(address.bytes <= 16);
            }
        }
    }
}
