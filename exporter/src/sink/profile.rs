//! Which elements a NetFlow record has, in which order, and how a flow fills them.

use std::net::IpAddr;

use protocol::encoder::RecordWriter;
use protocol::registry::ie;
use protocol::template::FieldSpecifier;

use crate::cli::{ProfileKind, Version};
use crate::meter::flow::{Endpoints, Flow, Metric};

/// One value of a flow that a record can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    /// Time of the first packet.
    First,
    /// Time of the last packet.
    Last,
    Packets,
    /// Octets, shortest and longest packet under the metric of the profile.
    Octets,
    MinOctets,
    MaxOctets,
    /// Layer 7 octets, whatever the metric.
    L7Octets,
    Source,
    Destination,
    SourcePort,
    /// For ICMP and ICMPv6 type * 256 + code, as routers send it. (nfcapd shows it with IPFIX; with v9 it
    /// wants field 32, which only the standard profile has.)
    DestinationPort,
    IcmpTypeCode,
    Vlan,
    TcpFlags,
    IpVersion,
    Direction,
    Protocol,
    Tos,
    MinTtl,
    MaxTtl,
    /// The constant 1.
    EngineId,
    EndReason,
    /// MAC addresses of the first pair ...
    SourceMac,
    DestinationMac,
    /// ... and of the second, zero if there is none.
    SecondSourceMac,
    SecondDestinationMac,
}

/// Tranalyzer's fields after the two times, and their octets in its order. Addresses are as long as
/// their family has it.
const T2: [(Value, u16); 21] = [
    (Value::Packets, 8),
    (Value::Octets, 8),
    (Value::Source, ADDRESS),
    (Value::Destination, ADDRESS),
    (Value::SourcePort, 2),
    (Value::DestinationPort, 2),
    (Value::MinOctets, 2),
    (Value::MaxOctets, 2),
    (Value::Vlan, 2),
    (Value::TcpFlags, 1),
    (Value::IpVersion, 1),
    (Value::Direction, 1),
    (Value::Protocol, 1),
    (Value::Tos, 1),
    (Value::MinTtl, 1),
    (Value::MaxTtl, 1),
    (Value::EngineId, 1),
    (Value::DestinationMac, 6),
    (Value::SourceMac, 6),
    (Value::SecondDestinationMac, 6),
    (Value::SecondSourceMac, 6),
];

/// What IPFIX adds to them.
const T2_IPFIX: [(Value, u16); 2] = [(Value::EndReason, 1), (Value::L7Octets, 8)];

/// The fields of the standard profile after the two times. ICMP type and code come before the ports:
/// a collector that keeps them in the place of the destination port (nfcapd does, for every protocol)
/// then ends with the port.
const STANDARD: [(Value, u16); 21] = [
    (Value::Packets, 8),
    (Value::Octets, 8),
    (Value::L7Octets, 8),
    (Value::Source, ADDRESS),
    (Value::Destination, ADDRESS),
    (Value::IcmpTypeCode, 2),
    (Value::SourcePort, 2),
    (Value::DestinationPort, 2),
    (Value::Protocol, 1),
    (Value::TcpFlags, 2),
    (Value::Tos, 1),
    (Value::MinTtl, 1),
    (Value::MaxTtl, 1),
    (Value::MinOctets, 4),
    (Value::MaxOctets, 4),
    (Value::Vlan, 2),
    (Value::IpVersion, 1),
    (Value::Direction, 1),
    (Value::EndReason, 1),
    (Value::SourceMac, 6),
    (Value::DestinationMac, 6),
];

/// Stands for 4 or 16 octets.
const ADDRESS: u16 = 0;

/// Address families, which have templates of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A profile for one version of the protocol.
#[derive(Clone, Debug)]
pub struct Profile {
    fields: Vec<(Value, u16)>,
    version: Version,
    metric: Metric,
}

impl Profile {
    /// The fields of `kind` for `version`, octets counted by `metric`.
    #[must_use]
    pub fn new(kind: ProfileKind, version: Version, metric: Metric) -> Self {
        let time = match version {
            Version::V9 => 4,
            Version::Ipfix => 8,
        };
        let mut fields = vec![(Value::First, time), (Value::Last, time)];
        match kind {
            ProfileKind::T2 => fields.extend(T2),
            ProfileKind::Standard => fields.extend(STANDARD),
        }
        if kind == ProfileKind::T2 && version == Version::Ipfix {
            fields.extend(T2_IPFIX);
        }
        for (value, length) in &mut fields {
            // In v9 the field has one octet (RFC 3954 section 8).
            if *value == Value::TcpFlags && version == Version::V9 {
                *length = 1;
            }
        }
        Profile {
            fields,
            version,
            metric,
        }
    }

    /// The fields of the template for `family`.
    #[must_use]
    pub fn template(&self, family: Family) -> Vec<FieldSpecifier> {
        let field = |&(value, length): &(Value, u16)| FieldSpecifier {
            id: element(value, self.version, family),
            pen: 0,
            length: match (length, family) {
                (ADDRESS, Family::V4) => 4,
                (ADDRESS, Family::V6) => 16,
                _ => length,
            },
        };
        self.fields.iter().map(field).collect()
    }

    /// The family whose template `flow` uses; `None` for flows of frames without IP, which NetFlow has no place for.
    #[must_use]
    pub fn family(flow: &Flow) -> Option<Family> {
        match flow.endpoints {
            Endpoints::Ip {
                src: IpAddr::V4(_),
                dst: IpAddr::V4(_),
                ..
            } => Some(Family::V4),
            Endpoints::Ip {
                src: IpAddr::V6(_),
                dst: IpAddr::V6(_),
                ..
            } => Some(Family::V6),
            Endpoints::Ip { .. } | Endpoints::Link => None,
        }
    }

    /// Writes the record of `flow`, whose times in milliseconds since 1970 are `first_ms` and `last_ms`.
    #[inline]
    pub fn write(&self, flow: &Flow, first_ms: i64, last_ms: i64, to: &mut RecordWriter<'_>) {
        let Endpoints::Ip {
            src,
            dst,
            src_port,
            dst_port,
            protocol,
        } = flow.endpoints
        else {
            return;
        };
        let octets = flow.octets(self.metric);
        for &(value, length) in &self.fields {
            match value {
                Value::First => self.time(first_ms, to),
                Value::Last => self.time(last_ms, to),
                Value::Packets => to.u64(flow.packets),
                Value::Octets => to.u64(octets.total),
                Value::MinOctets => to.uint(octets.min.into(), length.into()),
                Value::MaxOctets => to.uint(octets.max.into(), length.into()),
                Value::L7Octets => to.u64(flow.l7.total),
                Value::Source => address(src, to),
                Value::Destination => address(dst, to),
                Value::SourcePort => to.u16(src_port),
                Value::DestinationPort if is_icmp(protocol) => to.u16(flow.icmp_type_code),
                Value::DestinationPort => to.u16(dst_port),
                Value::IcmpTypeCode => to.u16(flow.icmp_type_code),
                Value::Vlan => to.u16(flow.vlan_tci.unwrap_or(0) & 0x0fff),
                Value::TcpFlags => to.uint((flow.tcp_flags & 0xff).into(), length.into()),
                Value::IpVersion => to.u8(if src.is_ipv4() { 4 } else { 6 }),
                Value::Direction => to.u8(u8::from(flow.inverted)),
                Value::Protocol => to.u8(protocol),
                Value::Tos => to.u8(flow.tos),
                Value::MinTtl => to.u8(flow.min_ttl),
                Value::MaxTtl => to.u8(flow.max_ttl),
                Value::EngineId => to.u8(1),
                Value::EndReason => to.u8(flow.end_reason as u8),
                Value::SourceMac => to.bytes(&flow.mac_pairs[0].src),
                Value::DestinationMac => to.bytes(&flow.mac_pairs[0].dst),
                Value::SecondSourceMac => to.bytes(&flow.mac_pairs[1].src),
                Value::SecondDestinationMac => to.bytes(&flow.mac_pairs[1].dst),
            }
        }
    }

    fn time(&self, ms: i64, to: &mut RecordWriter<'_>) {
        match self.version {
            Version::V9 => to.uptime(ms),
            Version::Ipfix => to.u64(u64::try_from(ms).unwrap_or(0)),
        }
    }
}

fn is_icmp(protocol: u8) -> bool {
    protocol == 1 || protocol == 58
}

fn address(address: IpAddr, to: &mut RecordWriter<'_>) {
    match address {
        IpAddr::V4(v4) => to.bytes(&v4.octets()),
        IpAddr::V6(v6) => to.bytes(&v6.octets()),
    }
}

/// The element that carries `value` (IANA's numbers, which NetFlow v9 shares).
fn element(value: Value, version: Version, family: Family) -> u16 {
    let by_version = |v9, ipfix| match version {
        Version::V9 => v9,
        Version::Ipfix => ipfix,
    };
    let by_family = |v4, v6| match family {
        Family::V4 => v4,
        Family::V6 => v6,
    };
    match value {
        Value::First => by_version(ie::FLOW_START_SYS_UP_TIME, ie::FLOW_START_MILLISECONDS),
        Value::Last => by_version(ie::FLOW_END_SYS_UP_TIME, ie::FLOW_END_MILLISECONDS),
        Value::Packets => ie::PACKET_DELTA_COUNT,
        Value::Octets => ie::OCTET_DELTA_COUNT,
        Value::MinOctets => ie::MINIMUM_IP_TOTAL_LENGTH,
        Value::MaxOctets => ie::MAXIMUM_IP_TOTAL_LENGTH,
        Value::L7Octets => ie::TRANSPORT_OCTET_DELTA_COUNT,
        Value::Source => by_family(ie::SOURCE_IPV4_ADDRESS, ie::SOURCE_IPV6_ADDRESS),
        Value::Destination => by_family(ie::DESTINATION_IPV4_ADDRESS, ie::DESTINATION_IPV6_ADDRESS),
        Value::SourcePort => ie::SOURCE_TRANSPORT_PORT,
        Value::DestinationPort => ie::DESTINATION_TRANSPORT_PORT,
        // RFC 3954 has one for both families, and collectors of v9 know no other.
        Value::IcmpTypeCode => by_version(
            ie::ICMP_TYPE_CODE_IPV4,
            by_family(ie::ICMP_TYPE_CODE_IPV4, ie::ICMP_TYPE_CODE_IPV6),
        ),
        Value::Vlan => ie::VLAN_ID,
        Value::TcpFlags => ie::TCP_CONTROL_BITS,
        Value::IpVersion => ie::IP_VERSION,
        Value::Direction => ie::FLOW_DIRECTION,
        Value::Protocol => ie::PROTOCOL_IDENTIFIER,
        Value::Tos => ie::IP_CLASS_OF_SERVICE,
        Value::MinTtl => ie::MINIMUM_TTL,
        Value::MaxTtl => ie::MAXIMUM_TTL,
        Value::EngineId => ie::ENGINE_ID,
        Value::EndReason => ie::FLOW_END_REASON,
        Value::SourceMac => ie::SOURCE_MAC_ADDRESS,
        Value::DestinationMac => ie::DESTINATION_MAC_ADDRESS,
        Value::SecondSourceMac => ie::POST_SOURCE_MAC_ADDRESS,
        Value::SecondDestinationMac => ie::POST_DESTINATION_MAC_ADDRESS,
    }
}
