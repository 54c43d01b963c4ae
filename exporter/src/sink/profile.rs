//! Which elements a NetFlow record has, in which order, and how a flow fills them.

use std::net::IpAddr;

use protocol::encoder::{RecordWriter, TemplateSpec};
use protocol::registry::ie;
use protocol::template::{FieldSpecifier, REVERSE_PEN, TemplateKind};

use crate::cli::{ProfileKind, Version};
use crate::config::NetflowConfig;
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
    EtherType,
    /// Always that the source began (RFC 5103 section 6.3), as far as the direction rule can tell.
    BiflowDirection,
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
    /// The MPLS label at this depth of the stack, 0 being the top.
    Label(u8),
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

/// The fields of flows of frames without IP, after the two times.
const LINK: [(Value, u16); 8] = [
    (Value::Packets, 8),
    (Value::Octets, 8),
    (Value::EtherType, 2),
    (Value::Vlan, 2),
    (Value::Direction, 1),
    (Value::EndReason, 1),
    (Value::SourceMac, 6),
    (Value::DestinationMac, 6),
];

/// What the other direction of a biflow has of its own, in the order of the forward fields.
const REVERSED: [Value; 12] = [
    Value::First,
    Value::Last,
    Value::Packets,
    Value::Octets,
    Value::L7Octets,
    Value::IcmpTypeCode,
    Value::TcpFlags,
    Value::Tos,
    Value::MinTtl,
    Value::MaxTtl,
    Value::MinOctets,
    Value::MaxOctets,
];

/// Stands for 4 or 16 octets.
const ADDRESS: u16 = 0;

/// What has templates of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    V4,
    V6,
    /// Frames without IP.
    Link,
}

/// Families and whether both directions are in one record, with their template IDs: Tranalyzer's two come first.
const LAYOUTS: [(Family, bool, u16); 6] = [
    (Family::V4, false, 256),
    (Family::V6, false, 257),
    (Family::Link, false, 258),
    (Family::V4, true, 259),
    (Family::V6, true, 260),
    (Family::Link, true, 261),
];

/// A field of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    value: Value,
    length: u16,
    /// Of the other direction (RFC 5103).
    reverse: bool,
}

/// The fields of one template.
#[derive(Clone, Debug)]
struct Layout {
    id: u16,
    family: Family,
    fields: Vec<Field>,
    max_records: usize,
}

/// Which templates an export has, and how flows fill them.
#[derive(Clone, Debug)]
pub struct Profile {
    layouts: Vec<Layout>,
    /// The layout of each entry of [`LAYOUTS`].
    places: [Option<usize>; LAYOUTS.len()],
    version: Version,
    metric: Metric,
}

/// A flow, and its first and last time in milliseconds since 1970.
pub type Timed<'a> = (&'a Flow, [i64; 2]);

impl Profile {
    /// The templates of an export.
    #[must_use]
    pub fn new(config: &NetflowConfig) -> Self {
        let mut profile = Profile {
            layouts: Vec::new(),
            places: [None; LAYOUTS.len()],
            version: config.version,
            metric: config.metric,
        };
        for ((family, biflow, id), place) in LAYOUTS.iter().zip(&mut profile.places) {
            let wanted =
                (*family != Family::Link || config.link_flows) && (!biflow || config.biflow);
            if wanted {
                *place = Some(profile.layouts.len());
                profile.layouts.push(Layout {
                    id: *id,
                    family: *family,
                    fields: fields(config, *family, *biflow),
                    max_records: match family {
                        Family::V4 | Family::Link => config.max_records[0] as usize,
                        Family::V6 => config.max_records[1] as usize,
                    },
                });
            }
        }
        profile
    }

    /// The data templates, in the order of their IDs.
    #[must_use]
    pub fn templates(&self) -> Vec<TemplateSpec> {
        let template = |layout: &Layout| TemplateSpec {
            id: layout.id,
            kind: TemplateKind::Data,
            fields: self.specifiers(layout),
            max_records: layout.max_records,
        };
        self.layouts.iter().map(template).collect()
    }

    fn specifiers(&self, layout: &Layout) -> Vec<FieldSpecifier> {
        let specifier = |field: &Field| FieldSpecifier {
            id: element(field.value, self.version, layout.family),
            pen: if field.reverse { REVERSE_PEN } else { 0 },
            length: match (field.length, layout.family) {
                (ADDRESS, Family::V4) => 4,
                (ADDRESS, _) => 16,
                (length, _) => length,
            },
        };
        layout.fields.iter().map(specifier).collect()
    }

    /// Each template with the bits of its fields that are the key of a flow: the first field has the lowest bit (RFC 7011
    /// section 4.4).
    #[must_use]
    pub fn keys(&self) -> Vec<(u16, u64)> {
        let key = |layout: &Layout| {
            let fields = layout.fields.iter().take(64).enumerate();
            let bits = fields
                .filter(|(_, field)| !field.reverse && is_key(field.value, layout.family))
                .fold(0, |bits, (at, _)| bits | 1 << at);
            (layout.id, bits)
        };
        self.layouts.iter().map(key).collect()
    }

    /// The index of the template for `flow`, alone or with its other direction; `None` for flows of frames without IP
    /// where they are not exported.
    #[inline]
    #[must_use]
    pub fn template_of(&self, flow: &Flow, biflow: bool) -> Option<usize> {
        let family = match flow.endpoints {
            Endpoints::Ip {
                src: IpAddr::V4(_), ..
            } => 0,
            Endpoints::Ip {
                src: IpAddr::V6(_), ..
            } => 1,
            Endpoints::Link => 2,
        };
        let place = family + if biflow { 3 } else { 0 };
        self.places.get(place).copied().flatten()
    }

    /// Writes the record of a flow by a template, with its other direction if it is one of biflows.
    #[inline]
    pub fn write(
        &self,
        template: usize,
        forward: Timed<'_>,
        reverse: Option<Timed<'_>>,
        to: &mut RecordWriter<'_>,
    ) {
        let Some(layout) = self.layouts.get(template) else {
            return;
        };
        for field in &layout.fields {
            let (flow, times) = match reverse {
                Some(reverse) if field.reverse => reverse,
                _ => forward,
            };
            self.value(*field, flow, times, to);
        }
    }

    #[inline]
    fn value(
        &self,
        field: Field,
        flow: &Flow,
        [first_ms, last_ms]: [i64; 2],
        to: &mut RecordWriter<'_>,
    ) {
        let Field { value, length, .. } = field;
        match value {
            Value::First => self.time(first_ms, to),
            Value::Last => self.time(last_ms, to),
            Value::Packets => to.u64(flow.packets),
            Value::Octets => to.u64(flow.octets(self.metric).total),
            Value::MinOctets => to.uint(flow.octets(self.metric).min.into(), length.into()),
            Value::MaxOctets => to.uint(flow.octets(self.metric).max.into(), length.into()),
            Value::L7Octets => to.u64(flow.l7.total),
            Value::IcmpTypeCode => to.u16(flow.icmp_type_code),
            Value::EtherType => to.u16(flow.ether_type),
            Value::BiflowDirection => to.u8(BY_INITIATOR),
            Value::Vlan => to.u16(flow.vlan_tci.unwrap_or(0) & 0x0fff),
            Value::TcpFlags => to.uint((flow.tcp_flags & 0xff).into(), length.into()),
            Value::Direction => to.u8(u8::from(flow.inverted)),
            Value::Tos => to.u8(flow.tos),
            Value::MinTtl => to.u8(flow.min_ttl),
            Value::MaxTtl => to.u8(flow.max_ttl),
            Value::EngineId => to.u8(1),
            Value::EndReason => to.u8(flow.end_reason as u8),
            Value::SourceMac => to.bytes(&flow.mac_pairs[0].src),
            Value::DestinationMac => to.bytes(&flow.mac_pairs[0].dst),
            Value::SecondSourceMac => to.bytes(&flow.mac_pairs[1].src),
            Value::SecondDestinationMac => to.bytes(&flow.mac_pairs[1].dst),
            Value::Label(depth) => to.bytes(&flow.labels.at(depth)),
            Value::Source
            | Value::Destination
            | Value::SourcePort
            | Value::DestinationPort
            | Value::IpVersion
            | Value::Protocol => endpoint(value, flow, to),
        }
    }

    fn time(&self, ms: i64, to: &mut RecordWriter<'_>) {
        match self.version {
            Version::V9 => to.uptime(ms),
            Version::Ipfix => to.u64(u64::try_from(ms).unwrap_or(0)),
        }
    }
}

/// IANA's biflowDirection: the source of the record is who began.
const BY_INITIATOR: u8 = 1;

/// The fields of a template: those of the profile, then what a biflow adds.
fn fields(config: &NetflowConfig, family: Family, biflow: bool) -> Vec<Field> {
    let time = match config.version {
        Version::V9 => 4,
        Version::Ipfix => 8,
    };
    let mut fields = vec![(Value::First, time), (Value::Last, time)];
    match (family, config.profile) {
        (Family::Link, _) => fields.extend(LINK),
        (_, ProfileKind::T2) => fields.extend(T2),
        (_, ProfileKind::Standard) => fields.extend(STANDARD),
    }
    if config.profile == ProfileKind::T2
        && config.version == Version::Ipfix
        && family != Family::Link
    {
        fields.extend(T2_IPFIX);
    }
    if family != Family::Link {
        fields.extend((0..config.mpls).map(|depth| (Value::Label(depth), 3)));
    }
    let field = |reverse| {
        move |(value, length): &(Value, u16)| Field {
            value: *value,
            length: match (value, config.version) {
                // In v9 the field has one octet (RFC 3954 section 8).
                (Value::TcpFlags, Version::V9) => 1,
                _ => *length,
            },
            reverse,
        }
    };
    let mut all: Vec<Field> = fields.iter().map(field(false)).collect();
    if biflow {
        let reversed = fields.iter().filter(|(value, _)| is_reversed(*value));
        all.extend(reversed.map(field(true)));
        all.push(field(false)(&(Value::BiflowDirection, 1)));
    }
    all
}

/// Whether the other direction of a biflow has it, too.
fn is_reversed(value: Value) -> bool {
    REVERSED.contains(&value) || matches!(value, Value::Label(_))
}

/// Whether flows are told apart by it.
fn is_key(value: Value, family: Family) -> bool {
    match value {
        Value::Source
        | Value::Destination
        | Value::SourcePort
        | Value::DestinationPort
        | Value::Protocol
        | Value::Vlan
        | Value::EtherType => true,
        Value::SourceMac | Value::DestinationMac => family == Family::Link,
        _ => false,
    }
}

/// What only flows of IP have.
#[inline]
fn endpoint(value: Value, flow: &Flow, to: &mut RecordWriter<'_>) {
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
    match value {
        Value::Source => address(src, to),
        Value::Destination => address(dst, to),
        Value::SourcePort => to.u16(src_port),
        Value::DestinationPort if is_icmp(protocol) => to.u16(flow.icmp_type_code),
        Value::DestinationPort => to.u16(dst_port),
        Value::Protocol => to.u8(protocol),
        _ => to.u8(if src.is_ipv4() { 4 } else { 6 }),
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
        Family::V4 | Family::Link => v4,
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
        Value::EtherType => ie::ETHERNET_TYPE,
        Value::BiflowDirection => ie::BIFLOW_DIRECTION,
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
        // Those of the ten labels follow one another.
        Value::Label(depth) => ie::MPLS_TOP_LABEL_STACK_SECTION + u16::from(depth),
    }
}
