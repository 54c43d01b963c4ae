//! Which element goes into which field of an nfcapd record: the one table.
//!
//! The fields are those that nfcapd 1.7.1 fills, with its choice of field where several elements compete, and with
//! the right values where it is known to be wrong. Elements that are not here are skipped by their length.

use nfdump_compat::field::{self, Location, ext};
use protocol::template::{FieldSpecifier, REVERSE_PEN};

/// NetFlow v9, whose numbers from 32768 on are no enterprise elements but the vendors' own choice.
const V9: u16 = 9;
/// nProbe's enterprise number; its v9 numbers are those of its enterprise elements plus 57472.
const NTOP_PEN: u32 = 35632;
const NTOP_V9_BASE: u16 = 57472;
/// YAF's enterprise number (CERT).
const CERT_PEN: u32 = 6871;

/// Where the value of an element goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An unsigned number; a wider one loses its upper part, as in nfcapd.
    Number(Location),
    /// The same, unless it is zero.
    NumberIfSet(Location),
    /// A 16-octet address whose first half goes to this field, the second to the one behind it.
    Address(Location),
    /// The name of a user, as it is.
    UserName,
    /// Three 32-bit numbers, the first to this field (an ASA's access list entry).
    Triple(Location),
    /// Seconds of a latency, in microseconds added to the field.
    Seconds(Location),
    /// Microseconds, added to the field.
    Micros(Location),
    /// A whole extension that is nothing but the octets.
    Extension(u16),
    /// A time of the flow, in whatever form.
    Time(Time),
    /// Type and code of ICMP, in whatever form.
    Icmp(Icmp),
    /// Type (0) or number (1) of the exporter's engine.
    EngineType,
    /// Number of the exporter's engine.
    EngineId,
    /// The version of IP, which decides when a record has fields for both.
    IpVersion,
}

/// The forms in which exporters tell when a flow began, ended, or something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// Milliseconds of `sysUpTime`.
    FirstUptime,
    /// Milliseconds of `sysUpTime`.
    LastUptime,
    /// Seconds since 1970.
    FirstSeconds,
    /// Seconds since 1970.
    LastSeconds,
    /// Milliseconds since 1970.
    FirstMillis,
    /// Milliseconds since 1970.
    LastMillis,
    /// 64-bit NTP time stamp (micro- and nanosecond elements have the same form).
    FirstNtp,
    /// 64-bit NTP time stamp.
    LastNtp,
    /// Microseconds before the export time.
    FirstDelta,
    /// Microseconds before the export time.
    LastDelta,
    /// When the exporter started, milliseconds since 1970.
    SystemInit,
    /// Length of the flow in milliseconds.
    DurationMillis,
    /// Length of the flow in microseconds.
    DurationMicros,
    /// Seconds since 1970.
    EventSeconds,
    /// Milliseconds since 1970.
    EventMillis,
    /// 64-bit NTP time stamp.
    EventNtp,
}

/// The forms in which exporters tell type and code of an ICMP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icmp {
    /// type * 256 + code of ICMP for IPv4.
    BothV4,
    /// type * 256 + code of ICMPv6.
    BothV6,
    /// Type alone.
    Type,
    /// Code alone.
    Code,
}

impl Target {
    /// The extension that has to be in the record for this target; `None` if it needs none of its own.
    #[must_use]
    pub fn extension(self) -> Option<u16> {
        match self {
            Self::Number(to)
            | Self::NumberIfSet(to)
            | Self::Address(to)
            | Self::Triple(to)
            | Self::Seconds(to)
            | Self::Micros(to) => Some(to.extension),
            Self::Time(
                Time::SystemInit | Time::EventSeconds | Time::EventMillis | Time::EventNtp,
            )
            | Self::Extension(_)
            | Self::EngineType
            | Self::EngineId
            | Self::IpVersion => None,
            Self::UserName => Some(ext::NSEL_USER),
            Self::Time(_) | Self::Icmp(_) => Some(ext::GENERIC_FLOW),
        }
    }
}

/// The target of an element, if it has one.
#[must_use]
pub fn target(version: u16, specifier: &FieldSpecifier) -> Option<Target> {
    match (version, specifier.pen, specifier.id) {
        (V9, 0, id @ 32768..) => v9_vendor(id),
        (_, 0, id) => iana(version, id),
        (_, REVERSE_PEN, id) => reverse(id),
        (_, NTOP_PEN, id) => latency(id),
        (_, CERT_PEN, 18) => Some(Target::Extension(ext::IN_PAYLOAD)),
        (_, CERT_PEN, 16402) => Some(Target::Extension(ext::OUT_PAYLOAD)),
        _ => None,
    }
}

fn iana(version: u16, id: u16) -> Option<Target> {
    use Target::{Address, Number};
    Some(match id {
        // Counters: deltas and totals; the firewall's initiator is the forward direction.
        1 | 85 | 231 => Number(field::IN_BYTES),
        2 | 86 | 298 => Number(field::IN_PACKETS),
        23 | 171 | 232 => Number(field::OUT_BYTES),
        24 | 172 | 299 => Number(field::OUT_PACKETS),
        3 => Number(field::FLOWS),
        // The key.
        4 => Number(field::PROTO),
        5 => Number(field::SRC_TOS),
        55 => Number(field::DST_TOS),
        6 => Number(field::TCP_FLAGS),
        7 => Number(field::SRC_PORT),
        11 => Number(field::DST_PORT),
        // Ports of UDP or TCP alone: exporters send both and leave zero what is not the flow's protocol.
        180 | 182 => Target::NumberIfSet(field::SRC_PORT),
        181 | 183 => Target::NumberIfSet(field::DST_PORT),
        8 => Number(field::SRC_IPV4),
        12 => Number(field::DST_IPV4),
        27 => Address(field::SRC_IPV6),
        28 => Address(field::DST_IPV6),
        60 => Target::IpVersion,
        9 | 29 => Number(field::SRC_MASK),
        13 | 30 => Number(field::DST_MASK),
        // Interfaces and routing.
        10 => Number(field::INPUT),
        14 => Number(field::OUTPUT),
        15 => Number(field::IP_NEXT_HOP_V4),
        62 => Address(field::IP_NEXT_HOP_V6),
        18 => Number(field::BGP_NEXT_HOP_V4),
        63 => Address(field::BGP_NEXT_HOP_V6),
        16 => Number(field::SRC_AS),
        17 => Number(field::DST_AS),
        128 => Number(field::NEXT_AS),
        129 => Number(field::PREV_AS),
        234 => Number(field::INGRESS_VRF),
        235 => Number(field::EGRESS_VRF),
        // The link.
        56 => Number(field::IN_SRC_MAC),
        57 => Number(field::OUT_DST_MAC),
        80 => Number(field::IN_DST_MAC),
        81 => Number(field::OUT_SRC_MAC),
        58 | 243 => Number(field::SRC_VLAN),
        59 | 254 => Number(field::DST_VLAN),
        70..=79 => Number(field::mpls_label(id - 70)),
        // What happened to it.
        61 => Number(field::DIR),
        89 => Number(field::FWD_STATUS),
        136 => Number(field::FLOW_END_REASON),
        239 => Number(field::BIFLOW_DIR),
        95 => Target::Extension(ext::NBAR_APP),
        138 => Number(field::OBSERVATION_POINT),
        149 => Number(field::OBSERVATION_DOMAIN),
        38 => Target::EngineType,
        39 => Target::EngineId,
        // Translation and events.
        225 => Number(field::XLATE_SRC_IPV4),
        226 => Number(field::XLATE_DST_IPV4),
        281 => Address(field::XLATE_SRC_IPV6),
        282 => Address(field::XLATE_DST_IPV6),
        227 => Number(field::XLATE_SRC_PORT),
        228 => Number(field::XLATE_DST_PORT),
        230 => Number(field::NAT_EVENT),
        283 => Number(field::NAT_POOL_ID),
        361 => Number(field::BLOCK_START),
        362 => Number(field::BLOCK_END),
        363 => Number(field::BLOCK_STEP),
        364 => Number(field::BLOCK_SIZE),
        233 => Number(field::NSEL_FW_EVENT),
        // An ASA's connection number; the plan drops it where no firewall event stands beside it (then it is a flowId).
        148 if version == V9 => Number(field::NSEL_CONN_ID),
        32 => Target::Icmp(Icmp::BothV4),
        139 => Target::Icmp(Icmp::BothV6),
        176 | 178 => Target::Icmp(Icmp::Type),
        177 | 179 => Target::Icmp(Icmp::Code),
        other => Target::Time(time(other)?),
    })
}

fn time(id: u16) -> Option<Time> {
    Some(match id {
        22 => Time::FirstUptime,
        21 => Time::LastUptime,
        150 => Time::FirstSeconds,
        151 => Time::LastSeconds,
        152 => Time::FirstMillis,
        153 => Time::LastMillis,
        154 | 156 => Time::FirstNtp,
        155 | 157 => Time::LastNtp,
        158 => Time::FirstDelta,
        159 => Time::LastDelta,
        160 => Time::SystemInit,
        161 => Time::DurationMillis,
        162 => Time::DurationMicros,
        322 => Time::EventSeconds,
        323 => Time::EventMillis,
        324 | 325 => Time::EventNtp,
        _ => return None,
    })
}

/// Elements of the reverse direction (RFC 5103): the counters and the flags have fields of their own.
fn reverse(id: u16) -> Option<Target> {
    Some(Target::Number(match id {
        1 | 85 => field::OUT_BYTES,
        2 | 86 => field::OUT_PACKETS,
        5 => field::DST_TOS,
        6 => field::REV_TCP_FLAGS,
        _ => return None,
    }))
}

/// Cisco's numbers for firewall events and nProbe's for latencies.
fn v9_vendor(id: u16) -> Option<Target> {
    use Target::{Number, Triple};
    Some(match id {
        33000 => Triple(field::ingress_acl(0)),
        33001 => Triple(field::egress_acl(0)),
        33002 => Number(field::NSEL_FW_XEVENT),
        40000 => Target::UserName,
        40001 => Number(field::XLATE_SRC_IPV4),
        40002 => Number(field::XLATE_DST_IPV4),
        40003 => Number(field::XLATE_SRC_PORT),
        40004 => Number(field::XLATE_DST_PORT),
        40005 => Number(field::NSEL_FW_EVENT),
        _ => return latency(id.checked_sub(NTOP_V9_BASE)?),
    })
}

/// nProbe's seconds and microseconds of client, server and application latency.
fn latency(id: u16) -> Option<Target> {
    Some(match id {
        82 => Target::Seconds(field::CLIENT_LATENCY),
        83 => Target::Micros(field::CLIENT_LATENCY),
        84 => Target::Seconds(field::SERVER_LATENCY),
        85 => Target::Micros(field::SERVER_LATENCY),
        86 => Target::Seconds(field::APP_LATENCY),
        87 => Target::Micros(field::APP_LATENCY),
        _ => return None,
    })
}
