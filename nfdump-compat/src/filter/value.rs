//! What a filter compares: numbers and addresses of a record, and what follows from them.

use super::program::Context;
use crate::{
    field::{self, Location, ext},
    handshake::Hello,
    record::{RecordView, uint},
};
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

impl Comparison {
    #[inline]
    pub(super) fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::GreaterOrEqual => left >= right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// A number to test.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// These bits of a field, 0 if the record does not have it.
    Field(Location, u64),
    Version,
    EngineType,
    EngineId,
    Exporter,
    /// Flows of the record, at least 1.
    Flows,
    /// Event of a firewall, or of a NAT.
    Event,
    /// Packets per second.
    PacketRate,
    /// Bits per second.
    BitRate,
    /// Bytes per packet.
    PacketSize,
    /// Milliseconds.
    Duration,
    /// Number of the record.
    Count,
    /// Id of an access list: the only numbers that a record holds in network byte order.
    AccessList(Location),
    /// Protocol inside a tunnel.
    TunnelProtocol,
    /// The label at the bottom of the MPLS stack, in its place in a stack entry.
    BottomLabel,
    /// Least or largest TTL; that of the flow where only one is stored.
    Ttl(Location),
    /// Bytes of the record about a packet filter.
    PacketFilter(usize, usize),
    /// An AS, of a record without it that of the address.
    System(Location, Place),
    /// TLS version of a hello in the payload.
    TlsVersion,
}

/// Where the interface's name lies in the record about a packet filter.
pub(super) const PF_INTERFACE: usize = 20;

/// Without a bottom of the stack: more than any label.
const NO_BOTTOM: u64 = 0xff00_0000;

impl Number {
    pub(super) fn of(self, record: &RecordView<'_>, context: &Context<'_>) -> u64 {
        let get = |location| record.get_or_zero(location);
        match self {
            Self::Field(location, mask) => get(location) & mask,
            Self::Version => u64::from(record.header().nfversion),
            Self::EngineType => u64::from(record.header().engine_type),
            Self::EngineId => u64::from(record.header().engine_id),
            Self::Exporter => u64::from(record.header().exporter_id),
            Self::Flows => get(field::FLOWS).max(1),
            Self::Event => record
                .get(field::NSEL_FW_EVENT)
                .unwrap_or_else(|| get(field::NAT_EVENT)),
            Self::PacketRate => rate(record, 1000, field::IN_PACKETS),
            Self::BitRate => rate(record, 8000, field::IN_BYTES),
            Self::PacketSize => get(field::IN_BYTES)
                .checked_div(get(field::IN_PACKETS))
                .unwrap_or(0),
            Self::Duration => duration_ms(record),
            Self::Count => context.number & 0xffff_ffff,
            Self::AccessList(location) => record.access_list(location),
            Self::TunnelProtocol => record
                .get(field::TUN_PROTO_V4)
                .unwrap_or_else(|| get(field::TUN_PROTO_V6)),
            Self::BottomLabel => (0..10)
                .map(|n| get(field::mpls_label(n)))
                .find(|entry| entry & 1 == 1)
                .map_or(NO_BOTTOM, |entry| entry & 0x00ff_fff0),
            Self::Ttl(location) => match get(location) {
                0 => get(field::TTL),
                ttl => ttl,
            },
            Self::PacketFilter(offset, width) => record
                .extension(ext::PF_INFO)
                .and_then(|data| data.get(offset..offset + width))
                .map_or(0, uint),
            Self::System(location, place) => match get(location) {
                0 => context.geo.map_or(0, |geo| {
                    place
                        .address(record)
                        .map_or(0, |address| geo.system(address))
                }),
                system => system,
            },
            Self::TlsVersion => {
                Hello::parse(payload(record)).map_or(0, |hello| u64::from(hello.version))
            }
        }
    }

    /// Whether the record has what the number is made of.
    pub(super) fn is_there(self, record: &RecordView<'_>) -> bool {
        let extension = match self {
            Self::Field(location, _) | Self::AccessList(location) | Self::Ttl(location) => {
                location.extension
            }
            Self::Version
            | Self::EngineType
            | Self::EngineId
            | Self::Exporter
            | Self::Count
            | Self::System(..) => return true,
            Self::Flows => ext::CNT_FLOW,
            Self::Event => ext::NSEL_COMMON,
            Self::PacketRate | Self::BitRate | Self::PacketSize | Self::Duration => {
                ext::GENERIC_FLOW
            }
            Self::TunnelProtocol => {
                return record.has(ext::TUN_IPV4) || record.has(ext::TUN_IPV6);
            }
            Self::BottomLabel => ext::MPLS_LABEL,
            Self::PacketFilter(..) => ext::PF_INFO,
            Self::TlsVersion => return Hello::parse(payload(record)).is_some(),
        };
        record.has(extension)
    }
}

fn duration_ms(record: &RecordView<'_>) -> u64 {
    let (first, last) = (field::MSEC_FIRST, field::MSEC_LAST);
    record
        .get_or_zero(last)
        .wrapping_sub(record.get_or_zero(first))
}

/// A counter times `factor` by the duration in milliseconds; 0 without duration.
fn rate(record: &RecordView<'_>, factor: u64, counter: Location) -> u64 {
    factor
        .wrapping_mul(record.get_or_zero(counter))
        .checked_div(duration_ms(record))
        .unwrap_or(0)
}

/// Payload of the flow's own direction.
pub(super) fn payload<'a>(record: &RecordView<'a>) -> &'a [u8] {
    record.extension(ext::IN_PAYLOAD).unwrap_or_default()
}

/// Where an address lies: in an IPv4 or in an IPv6 extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) Location, pub(super) Location);

impl Place {
    /// The address, an IPv4 address in the lowest 32 bits; 0 without one.
    #[inline]
    pub(super) fn of(self, record: &RecordView<'_>) -> u128 {
        record.address_bits(self.0, self.1)
    }

    pub(super) fn address(self, record: &RecordView<'_>) -> Option<IpAddr> {
        record.address(self.0, self.1)
    }
}
