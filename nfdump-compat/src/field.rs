//! Where every value of a flow record lies: extension ids, their lengths and the [`Location`] of each field, as nfdump 1.7.1 has them.
//!
//! Offsets count from the data part of the extension (behind its 4-byte header). Only ids 1 to 37 exist in nfdump 1.7.1;
//! later versions added those up to 42 and gave 18, 34 and 35 another meaning.

/// One field: extension, offset in its data part and width in bytes (1, 2, 4, 8, or 16 for an IPv6 address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Extension id, one of [`ext`].
    pub extension: u16,
    /// Offset from the start of the extension's data.
    pub offset: u16,
    /// Width in bytes.
    pub width: u8,
}

impl Location {
    /// Whether the field lies in the fixed part of an extension.
    #[inline]
    #[must_use]
    pub fn exists(self) -> bool {
        match data_length(self.extension) {
            Some(DataLength::Fixed(length)) => {
                u32::from(self.offset) + u32::from(self.width) <= u32::from(length)
            }
            _ => false,
        }
    }
}

const fn at(extension: u16, offset: u16, width: u8) -> Location {
    Location {
        extension,
        offset,
        width,
    }
}

/// Highest extension id. Layout 2 ends with [`ext::IP_INFO`], nfdump 1.7.1 with [`ext::PF_INFO`]; those above stand in
/// records in memory only.
pub const MAX_EXTENSION: u16 = 44;

/// Size of the header (id, length) before each extension's data.
pub const EXTENSION_HEADER: usize = 4;

/// Extension ids, in nfdump's words.
#[allow(missing_docs)] // the names are the documentation
pub mod ext {
    pub const GENERIC_FLOW: u16 = 1;
    pub const IPV4_FLOW: u16 = 2;
    pub const IPV6_FLOW: u16 = 3;
    pub const FLOW_MISC: u16 = 4;
    pub const CNT_FLOW: u16 = 5;
    pub const VLAN: u16 = 6;
    pub const AS_ROUTING: u16 = 7;
    pub const BGP_NEXT_HOP_V4: u16 = 8;
    pub const BGP_NEXT_HOP_V6: u16 = 9;
    pub const IP_NEXT_HOP_V4: u16 = 10;
    pub const IP_NEXT_HOP_V6: u16 = 11;
    pub const IP_RECEIVED_V4: u16 = 12;
    pub const IP_RECEIVED_V6: u16 = 13;
    pub const MPLS_LABEL: u16 = 14;
    pub const MAC_ADDR: u16 = 15;
    pub const AS_ADJACENT: u16 = 16;
    pub const LATENCY: u16 = 17;
    pub const SAMPLER_INFO: u16 = 18;
    pub const NSEL_COMMON: u16 = 19;
    pub const XLATE_IPV4: u16 = 20;
    pub const XLATE_IPV6: u16 = 21;
    pub const XLATE_PORT: u16 = 22;
    pub const NSEL_ACL: u16 = 23;
    pub const NSEL_USER: u16 = 24;
    pub const NEL_COMMON: u16 = 25;
    pub const NEL_XLATE_PORT: u16 = 26;
    pub const NBAR_APP: u16 = 27;
    pub const LABEL: u16 = 28;
    pub const IN_PAYLOAD: u16 = 29;
    pub const OUT_PAYLOAD: u16 = 30;
    pub const TUN_IPV4: u16 = 31;
    pub const TUN_IPV6: u16 = 32;
    pub const OBSERVATION: u16 = 33;
    pub const IF_NAME: u16 = 34;
    pub const VRF_NAME: u16 = 35;
    pub const VRF: u16 = 36;
    pub const PF_INFO: u16 = 37;
    pub const LAYER_2: u16 = 38;
    pub const FLOW_ID: u16 = 39;
    pub const NOKIA_NAT: u16 = 40;
    pub const NOKIA_NAT_STRING: u16 = 41;
    pub const IP_INFO: u16 = 42;
    /// Countries by a geo database. In memory only.
    pub const GEO: u16 = 43;
    /// Two texts about places, each with a zero byte behind it. In memory only.
    pub const PLACES: u16 = 44;
}

/// How long the data part of an extension is (without its 4-byte header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLength {
    /// Always this many bytes (a newer writer may append to it).
    Fixed(u16),
    /// As long as its content.
    Variable,
}

/// Data length of the generic extension.
pub const GENERIC_LENGTH: usize = 48;
/// Data length of the extension of counters.
pub const COUNT_LENGTH: usize = 24;

/// Data lengths by extension id, 1 first.
const LENGTHS: [DataLength; MAX_EXTENSION as usize] = {
    use DataLength::{Fixed, Variable};
    [
        Fixed(GENERIC_LENGTH as u16),
        Fixed(8),  // IPv4
        Fixed(32), // IPv6
        Fixed(16), // misc
        Fixed(24), // counters
        Fixed(8),  // VLAN
        Fixed(8),  // AS
        Fixed(4),  // BGP next hop v4
        Fixed(16), // BGP next hop v6
        Fixed(4),  // next hop v4
        Fixed(16), // next hop v6
        Fixed(4),  // received v4
        Fixed(16), // received v6
        Fixed(40), // MPLS
        Fixed(32), // MAC
        Fixed(8),  // adjacent AS
        Fixed(24), // latency
        Fixed(12), // sampler
        Fixed(16), // NSEL
        Fixed(8),  // translated IPv4
        Fixed(32), // translated IPv6
        Fixed(4),  // translated ports
        Fixed(24), // ACL
        Fixed(68), // user
        Fixed(16), // NEL
        Fixed(8),  // NEL port block
        Variable,  // NBAR
        Variable,  // label
        Variable,  // in payload
        Variable,  // out payload
        Fixed(12), // tunnel v4
        Fixed(40), // tunnel v6
        Fixed(16), // observation
        Variable,  // interface name, in later versions another extension
        Variable,  // VRF name, in later versions another extension
        Fixed(8),  // VRF
        Variable,  // pf
        Fixed(32), // layer 2
        Fixed(8),  // flow id
        Fixed(4),  // Nokia NAT services
        Variable,  // Nokia NAT string
        Fixed(4),  // IP fragments and TTL
        Fixed(4),  // countries
        Variable,  // places
    ]
};

/// Length of an extension's data; none if the id is unknown.
#[inline]
#[must_use]
pub fn data_length(id: u16) -> Option<DataLength> {
    LENGTHS.get(usize::from(id).wrapping_sub(1)).copied()
}

// genericFlow
/// First packet, milliseconds since 1970.
pub const MSEC_FIRST: Location = at(ext::GENERIC_FLOW, 0, 8);
/// Last packet, milliseconds since 1970.
pub const MSEC_LAST: Location = at(ext::GENERIC_FLOW, 8, 8);
/// Reception by the collector, milliseconds since 1970.
pub const MSEC_RECEIVED: Location = at(ext::GENERIC_FLOW, 16, 8);
/// Packets of the flow.
pub const IN_PACKETS: Location = at(ext::GENERIC_FLOW, 24, 8);
/// Bytes of the flow.
pub const IN_BYTES: Location = at(ext::GENERIC_FLOW, 32, 8);
/// Source port.
pub const SRC_PORT: Location = at(ext::GENERIC_FLOW, 40, 2);
/// Destination port; for ICMP type × 256 + code.
pub const DST_PORT: Location = at(ext::GENERIC_FLOW, 42, 2);
/// IP protocol.
pub const PROTO: Location = at(ext::GENERIC_FLOW, 44, 1);
/// TCP flags, all packets.
pub const TCP_FLAGS: Location = at(ext::GENERIC_FLOW, 45, 1);
/// Forwarding status.
pub const FWD_STATUS: Location = at(ext::GENERIC_FLOW, 46, 1);
/// Type of service, source side.
pub const SRC_TOS: Location = at(ext::GENERIC_FLOW, 47, 1);

// addresses
/// IPv4 source.
pub const SRC_IPV4: Location = at(ext::IPV4_FLOW, 0, 4);
/// IPv4 destination.
pub const DST_IPV4: Location = at(ext::IPV4_FLOW, 4, 4);
/// IPv6 source.
pub const SRC_IPV6: Location = at(ext::IPV6_FLOW, 0, 16);
/// IPv6 destination.
pub const DST_IPV6: Location = at(ext::IPV6_FLOW, 16, 16);

// flowMisc
/// Input interface.
pub const INPUT: Location = at(ext::FLOW_MISC, 0, 4);
/// Output interface.
pub const OUTPUT: Location = at(ext::FLOW_MISC, 4, 4);
/// Source prefix length.
pub const SRC_MASK: Location = at(ext::FLOW_MISC, 8, 1);
/// Destination prefix length.
pub const DST_MASK: Location = at(ext::FLOW_MISC, 9, 1);
/// Flow direction: 0 ingress, 1 egress.
pub const DIR: Location = at(ext::FLOW_MISC, 10, 1);
/// What nfdump 1.7.5 takes for [`DIR`] in statistics: the same offset in another extension, where a time is.
pub const MISREAD_DIR: Location = at(ext::GENERIC_FLOW, 10, 1);
/// Type of service, destination side.
pub const DST_TOS: Location = at(ext::FLOW_MISC, 11, 1);
/// biflowDirection.
pub const BIFLOW_DIR: Location = at(ext::FLOW_MISC, 12, 1);
/// flowEndReason.
pub const FLOW_END_REASON: Location = at(ext::FLOW_MISC, 13, 1);
/// TCP flags of the reverse direction (nfdump 1.7.1 only).
pub const REV_TCP_FLAGS: Location = at(ext::FLOW_MISC, 14, 1);

// cntFlow
/// Flows aggregated in this record.
pub const FLOWS: Location = at(ext::CNT_FLOW, 0, 8);
/// Packets of the reverse direction.
pub const OUT_PACKETS: Location = at(ext::CNT_FLOW, 8, 8);
/// Bytes of the reverse direction.
pub const OUT_BYTES: Location = at(ext::CNT_FLOW, 16, 8);

// VLAN, AS
/// VLAN of the source side.
pub const SRC_VLAN: Location = at(ext::VLAN, 0, 4);
/// VLAN of the destination side.
pub const DST_VLAN: Location = at(ext::VLAN, 4, 4);
/// Source AS.
pub const SRC_AS: Location = at(ext::AS_ROUTING, 0, 4);
/// Destination AS.
pub const DST_AS: Location = at(ext::AS_ROUTING, 4, 4);
/// Next adjacent AS.
pub const NEXT_AS: Location = at(ext::AS_ADJACENT, 0, 4);
/// Previous adjacent AS.
pub const PREV_AS: Location = at(ext::AS_ADJACENT, 4, 4);

// next hops, exporter
/// BGP next hop, IPv4.
pub const BGP_NEXT_HOP_V4: Location = at(ext::BGP_NEXT_HOP_V4, 0, 4);
/// BGP next hop, IPv6.
pub const BGP_NEXT_HOP_V6: Location = at(ext::BGP_NEXT_HOP_V6, 0, 16);
/// Next hop, IPv4.
pub const IP_NEXT_HOP_V4: Location = at(ext::IP_NEXT_HOP_V4, 0, 4);
/// Next hop, IPv6.
pub const IP_NEXT_HOP_V6: Location = at(ext::IP_NEXT_HOP_V6, 0, 16);
/// Exporter from which the record was received, IPv4.
pub const IP_RECEIVED_V4: Location = at(ext::IP_RECEIVED_V4, 0, 4);
/// Exporter from which the record was received, IPv6.
pub const IP_RECEIVED_V6: Location = at(ext::IP_RECEIVED_V6, 0, 16);

/// MPLS label `n` of the stack, 0 to 9 (others do not exist in a record: reading gives none, writing does nothing).
#[must_use]
pub const fn mpls_label(n: u16) -> Location {
    at(ext::MPLS_LABEL, n.saturating_mul(4), 4)
}

// MAC addresses, 48 bits in an integer
/// Source MAC on input.
pub const IN_SRC_MAC: Location = at(ext::MAC_ADDR, 0, 8);
/// Destination MAC on output.
pub const OUT_DST_MAC: Location = at(ext::MAC_ADDR, 8, 8);
/// Destination MAC on input.
pub const IN_DST_MAC: Location = at(ext::MAC_ADDR, 16, 8);
/// Source MAC on output.
pub const OUT_SRC_MAC: Location = at(ext::MAC_ADDR, 24, 8);

// latency, microseconds
/// Client network delay, µs.
pub const CLIENT_LATENCY: Location = at(ext::LATENCY, 0, 8);
/// Server network delay, µs.
pub const SERVER_LATENCY: Location = at(ext::LATENCY, 8, 8);
/// Application latency, µs.
pub const APP_LATENCY: Location = at(ext::LATENCY, 16, 8);

// NSEL and NEL
/// NSEL event time, milliseconds since 1970.
pub const NSEL_MSEC_EVENT: Location = at(ext::NSEL_COMMON, 0, 8);
/// NSEL connection id.
pub const NSEL_CONN_ID: Location = at(ext::NSEL_COMMON, 8, 4);
/// NSEL extended event.
pub const NSEL_FW_XEVENT: Location = at(ext::NSEL_COMMON, 12, 2);
/// NSEL event.
pub const NSEL_FW_EVENT: Location = at(ext::NSEL_COMMON, 14, 1);
/// Translated IPv4 source.
pub const XLATE_SRC_IPV4: Location = at(ext::XLATE_IPV4, 0, 4);
/// Translated IPv4 destination.
pub const XLATE_DST_IPV4: Location = at(ext::XLATE_IPV4, 4, 4);
/// Translated IPv6 source.
pub const XLATE_SRC_IPV6: Location = at(ext::XLATE_IPV6, 0, 16);
/// Translated IPv6 destination.
pub const XLATE_DST_IPV6: Location = at(ext::XLATE_IPV6, 16, 16);
/// Translated source port.
pub const XLATE_SRC_PORT: Location = at(ext::XLATE_PORT, 0, 2);
/// Translated destination port.
pub const XLATE_DST_PORT: Location = at(ext::XLATE_PORT, 2, 2);
/// Ingress ACL id, its ACE and extended ACE: words 0 to 2.
#[must_use]
pub const fn ingress_acl(word: u16) -> Location {
    at(ext::NSEL_ACL, word.saturating_mul(4), 4)
}
/// Egress ACL id, its ACE and extended ACE: words 0 to 2.
#[must_use]
pub const fn egress_acl(word: u16) -> Location {
    at(ext::NSEL_ACL, word.saturating_mul(4).saturating_add(12), 4)
}
/// NAT event time, milliseconds since 1970.
pub const NAT_MSEC_EVENT: Location = at(ext::NEL_COMMON, 0, 8);
/// NAT pool id.
pub const NAT_POOL_ID: Location = at(ext::NEL_COMMON, 8, 4);
/// NAT event.
pub const NAT_EVENT: Location = at(ext::NEL_COMMON, 12, 1);
/// NAT port block: first port.
pub const BLOCK_START: Location = at(ext::NEL_XLATE_PORT, 0, 2);
/// NAT port block: last port.
pub const BLOCK_END: Location = at(ext::NEL_XLATE_PORT, 2, 2);
/// NAT port block: step.
pub const BLOCK_STEP: Location = at(ext::NEL_XLATE_PORT, 4, 2);
/// NAT port block: size.
pub const BLOCK_SIZE: Location = at(ext::NEL_XLATE_PORT, 6, 2);

// tunnel, observation, VRF
/// Outer IPv4 source of a tunnel.
pub const TUN_SRC_IPV4: Location = at(ext::TUN_IPV4, 0, 4);
/// Outer IPv4 destination of a tunnel.
pub const TUN_DST_IPV4: Location = at(ext::TUN_IPV4, 4, 4);
/// Protocol of an IPv4 tunnel.
pub const TUN_PROTO_V4: Location = at(ext::TUN_IPV4, 8, 4);
/// Outer IPv6 source of a tunnel.
pub const TUN_SRC_IPV6: Location = at(ext::TUN_IPV6, 0, 16);
/// Outer IPv6 destination of a tunnel.
pub const TUN_DST_IPV6: Location = at(ext::TUN_IPV6, 16, 16);
/// Protocol of an IPv6 tunnel.
pub const TUN_PROTO_V6: Location = at(ext::TUN_IPV6, 32, 4);
/// observationPointId.
pub const OBSERVATION_POINT: Location = at(ext::OBSERVATION, 0, 8);
/// observationDomainId.
pub const OBSERVATION_DOMAIN: Location = at(ext::OBSERVATION, 8, 4);
/// Egress VRF.
pub const EGRESS_VRF: Location = at(ext::VRF, 0, 4);
/// Ingress VRF.
pub const INGRESS_VRF: Location = at(ext::VRF, 4, 4);

// what nfdump 1.7.5 added
/// VLAN of the frame.
pub const VLAN_ID: Location = at(ext::LAYER_2, 0, 2);
/// VLAN of the frame on output.
pub const POST_VLAN_ID: Location = at(ext::LAYER_2, 4, 2);
/// Type of the frame's payload (element 256).
pub const ETHER_TYPE: Location = at(ext::LAYER_2, 24, 2);
/// flowId (element 148).
pub const FLOW_ID: Location = at(ext::FLOW_ID, 0, 8);
/// TTL as nfpcapd 1.7.5 stores it, one for the flow.
pub const TTL: Location = at(ext::IP_INFO, 0, 1);
/// Fragment flags: 0x20 more fragments, 0x40 do not fragment.
pub const FRAGMENT_FLAGS: Location = at(ext::IP_INFO, 1, 1);
/// Least TTL of the flow, as later versions store it.
pub const MIN_TTL: Location = at(ext::IP_INFO, 2, 1);
/// Largest TTL of the flow, as later versions store it.
pub const MAX_TTL: Location = at(ext::IP_INFO, 3, 1);

// in memory only
/// Country of the source: two letters, the first in the upper byte; 0 if unknown.
pub const SRC_COUNTRY: Location = at(ext::GEO, 0, 2);
/// Country of the destination.
pub const DST_COUNTRY: Location = at(ext::GEO, 2, 2);

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths on disk include the 4-byte header.
    #[test]
    fn lengths_are_those_of_nfdump_1_7_1() {
        let on_disk = |id| match data_length(id) {
            Some(DataLength::Fixed(n)) => n + 4,
            Some(DataLength::Variable) => 0,
            None => u16::MAX,
        };
        let expected = [
            52, 12, 36, 20, 28, 12, 12, 8, 20, 8, 20, 8, 20, 44, 36, 12, 28, 16, 20, 12, 36, 8, 28,
            72, 20, 12, 0, 0, 0, 0, 16, 44, 20, 0, 0, 12, 0,
        ];
        for (id, length) in (1..).zip(expected) {
            assert_eq!(on_disk(id), length, "extension {id}");
        }
        assert_eq!(data_length(0), None);
        assert_eq!(on_disk(ext::LAYER_2), 36);
        assert_eq!(data_length(46), None);
    }

    #[test]
    fn record_sizes_of_real_files() {
        let size = |ids: &[u16]| {
            12 + ids
                .iter()
                .map(|&id| match data_length(id) {
                    Some(DataLength::Fixed(n)) => n + 4,
                    _ => 0,
                })
                .sum::<u16>()
        };
        assert_eq!(size(&[2, 1, 4, 12]), 104);
        assert_eq!(size(&[1, 2, 12]), 84);
    }
}
