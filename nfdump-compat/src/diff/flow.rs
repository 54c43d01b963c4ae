//! What is known of one flow: its key, times, counters and the rest.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv4Addr};

use foldhash::fast::FixedState;

use super::fields::{FieldId, Ignored, Value, values};
use crate::field;
use crate::output::protocols;
use crate::record::RecordView;

/// What makes a flow: addresses, ports, protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// IP protocol.
    pub protocol: u8,
    /// Source address and port; `0.0.0.0` where a record has no address.
    pub source: (IpAddr, u16),
    /// Destination address and port.
    pub destination: (IpAddr, u16),
}

impl Key {
    pub(super) fn reversed(self) -> Key {
        Key {
            source: self.destination,
            destination: self.source,
            ..self
        }
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.source.0.is_ipv6()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match protocols::name(self.protocol) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "protocol {}", self.protocol)?,
        }
        let end = |f: &mut fmt::Formatter<'_>, (address, port): (IpAddr, u16)| match address {
            IpAddr::V4(_) => write!(f, " {address}:{port}"),
            IpAddr::V6(_) => write!(f, " [{address}]:{port}"),
        };
        end(f, self.source)?;
        f.write_str(" ->")?;
        end(f, self.destination)
    }
}

/// One flow as it is compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// Its key.
    pub key: Key,
    /// First packet, milliseconds since 1970; 0 if ignored.
    pub first: i64,
    /// Last packet, likewise.
    pub last: i64,
    /// Packets, bytes, packets and bytes of the reverse direction; 0 if ignored.
    pub counters: [u64; 4],
    /// The rest, without zeros.
    pub others: Box<[(FieldId, Value)]>,
}

impl Flow {
    pub(super) fn new(record: &RecordView<'_>, ignored: Ignored) -> Self {
        let address = |address: Option<IpAddr>| address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let time = |place, time: Option<u64>| match time {
            Some(time) if !ignored.counted(place) => i64::try_from(time).unwrap_or(i64::MAX / 4),
            _ => 0,
        };
        let counter = |place, value| if ignored.counted(place) { 0 } else { value };
        Flow {
            key: Key {
                protocol: record.proto().unwrap_or(0),
                source: (address(record.src_ip()), record.src_port().unwrap_or(0)),
                destination: (address(record.dst_ip()), record.dst_port().unwrap_or(0)),
            },
            first: time(0, record.first_ms()),
            last: time(1, record.last_ms()),
            counters: [
                counter(2, record.packets()),
                counter(3, record.octets()),
                counter(4, record.get_or_zero(field::OUT_PACKETS)),
                counter(5, record.get_or_zero(field::OUT_BYTES)),
            ],
            others: values(record, ignored),
        }
    }

    /// Two flows with the same fingerprint are the same: 128 bits, so that it needs no second look.
    pub(super) fn fingerprint(&self) -> (u64, u64) {
        let hash = |seed| FixedState::with_seed(seed).hash_one(self);
        (hash(0x7011), hash(0x7012))
    }

    /// Packets.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.counters[0]
    }

    /// Bytes.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.counters[1]
    }

    /// Who exported it, if the record says so and it counts.
    #[must_use]
    pub fn exporter(&self) -> Option<IpAddr> {
        self.others.iter().find_map(|(field, value)| match value {
            Value::Address(address) if field.name() == "exporter" => Some(*address),
            _ => None,
        })
    }
}
