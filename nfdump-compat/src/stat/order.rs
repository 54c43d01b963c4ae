//! Orders of a statistic: the number by which its rows are sorted.

use crate::output::{number::bytes_per_packet, row::Counters};

/// Which direction's packets and bytes the table of an order shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The flow's own direction.
    In,
    /// The opposite direction.
    Out,
    /// Both added.
    Both,
}

impl Side {
    /// Packets of this side.
    #[must_use]
    pub fn packets(self, counters: &Counters) -> u64 {
        match self {
            Self::In => counters.in_packets,
            Self::Out => counters.out_packets,
            Self::Both => counters.packets(),
        }
    }

    /// Bytes of this side.
    #[must_use]
    pub fn bytes(self, counters: &Counters) -> u64 {
        match self {
            Self::In => counters.in_bytes,
            Self::Out => counters.out_bytes,
            Self::Both => counters.bytes(),
        }
    }
}

/// An order by which rows are sorted.
#[derive(Debug)]
pub struct Order {
    /// Name in `-s element/NAME`.
    pub name: &'static str,
    /// What the table shows.
    pub side: Side,
    key: Key,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    Flows,
    Packets,
    Bytes,
    PacketsPerSecond,
    BitsPerSecond,
    BytesPerPacket,
    First,
    Last,
    Duration,
}

impl Order {
    /// The number to sort by.
    #[must_use]
    pub fn value(&self, counters: &Counters) -> u64 {
        let rate = |scaled: u64| scaled.checked_div(counters.duration_ms()).unwrap_or(0);
        match self.key {
            Key::Flows => counters.flows,
            Key::Packets => self.side.packets(counters),
            Key::Bytes => self.side.bytes(counters),
            Key::PacketsPerSecond => rate(self.side.packets(counters).wrapping_mul(1000)),
            Key::BitsPerSecond => rate(self.side.bytes(counters).wrapping_mul(8000)),
            Key::BytesPerPacket => {
                bytes_per_packet(self.side.bytes(counters), self.side.packets(counters))
            }
            Key::First => counters.first_ms,
            Key::Last => counters.last_ms,
            Key::Duration => counters.duration_ms(),
        }
    }
}

/// How many of the orders elements have; the others, by time, only flows (`-O`).
pub const ELEMENT_ORDERS: usize = 16;

/// All orders. Tables are printed in this sequence, in whichever sequence they were asked for.
pub static ORDERS: [Order; 19] = [
    order("flows", Side::In, Key::Flows),
    order("packets", Side::Both, Key::Packets),
    order("ipkg", Side::In, Key::Packets),
    order("opkg", Side::Out, Key::Packets),
    order("bytes", Side::Both, Key::Bytes),
    order("ibyte", Side::In, Key::Bytes),
    order("obyte", Side::Out, Key::Bytes),
    order("pps", Side::Both, Key::PacketsPerSecond),
    order("ipps", Side::In, Key::PacketsPerSecond),
    order("opps", Side::Out, Key::PacketsPerSecond),
    order("bps", Side::Both, Key::BitsPerSecond),
    order("ibps", Side::In, Key::BitsPerSecond),
    order("obps", Side::Out, Key::BitsPerSecond),
    order("bpp", Side::Both, Key::BytesPerPacket),
    order("ibpp", Side::In, Key::BytesPerPacket),
    order("obpp", Side::Out, Key::BytesPerPacket),
    order("tstart", Side::In, Key::First),
    order("tend", Side::In, Key::Last),
    order("duration", Side::In, Key::Duration),
];

/// Parses the argument of `-O`: the order, and whether the smallest comes first (for start and end that is the default).
///
/// # Errors
/// [`UnknownOrder`] for a name or direction that does not exist.
pub fn print_order(text: &str) -> Result<(&'static Order, bool), UnknownOrder> {
    let unknown = || UnknownOrder(text.to_owned());
    let (name, direction) = match text.split_once(':') {
        Some((name, direction)) => (name, Some(direction)),
        None => (text, None),
    };
    let order = ORDERS
        .iter()
        .find(|order| order.name.eq_ignore_ascii_case(name))
        .ok_or_else(unknown)?;
    let ascending = match direction.and_then(|direction| direction.bytes().next()) {
        Some(b'a') => true,
        Some(b'd') => false,
        Some(_) => return Err(unknown()),
        None if direction.is_some() => return Err(unknown()),
        None => matches!(order.key, Key::First | Key::Last),
    };
    Ok((order, ascending))
}

/// An order that does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown print order '{0}'")]
pub struct UnknownOrder(String);

const fn order(name: &'static str, side: Side, key: Key) -> Order {
    Order { name, side, key }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Counters = Counters {
        first_ms: 1000,
        last_ms: 2500,
        in_packets: 10,
        in_bytes: 1499,
        out_packets: 5,
        out_bytes: 100,
        flows: 3,
    };

    #[test]
    fn values() {
        let value = |name: &str| {
            ORDERS
                .iter()
                .find(|order| order.name == name)
                .map(|order| order.value(&FLOW))
        };
        for (name, expected) in [
            ("flows", 3),
            ("packets", 15),
            ("ipkg", 10),
            ("opkg", 5),
            ("bytes", 1599),
            ("pps", 10),
            ("ipps", 6),
            ("opps", 3),
            ("bps", 8528),
            ("ibps", 7994),
            ("bpp", 106),
            ("ibpp", 149),
            ("obpp", 20),
        ] {
            assert_eq!(value(name), Some(expected), "{name}");
        }
        assert_eq!(value("nothing"), None);
    }

    #[test]
    fn no_duration_no_rate() {
        let instant = Counters {
            last_ms: FLOW.first_ms,
            ..FLOW
        };
        assert_eq!(
            ORDERS
                .iter()
                .filter(|order| order.name.ends_with("ps"))
                .map(|order| order.value(&instant))
                .sum::<u64>(),
            0
        );
    }
}
