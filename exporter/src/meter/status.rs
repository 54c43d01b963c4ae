//! The bits of a flow's status word (Tranalyzer's flowStat).

/// The flow is the B direction.
pub const INVERTED: u64 = 1 << 0;
/// No Ethernet header.
pub const NO_ETHERNET: u64 = 1 << 1;
/// A flow of frames without an IP header.
pub const LINK_FLOW: u64 = 1 << 2;
/// PPPoE discovery.
pub const PPPOE_DISCOVERY: u64 = 1 << 3;
/// PPPoE session.
pub const PPPOE_SESSION: u64 = 1 << 4;
/// Link layer discovery protocol.
pub const LLDP: u64 = 1 << 5;
/// Address resolution protocol.
pub const ARP: u64 = 1 << 6;
/// Reverse address resolution protocol.
pub const RARP: u64 = 1 << 7;
/// VLAN tags.
pub const VLAN: u64 = 1 << 8;
/// MPLS labels.
pub const MPLS: u64 = 1 << 9;
/// MPLS labels of a multicast packet.
pub const MPLS_MULTICAST: u64 = 1 << 10;
/// Layer 2 tunneling protocol.
pub const L2TP: u64 = 1 << 11;
/// Generic routing encapsulation.
pub const GRE: u64 = 1 << 12;
/// Point-to-point protocol.
pub const PPP: u64 = 1 << 13;
/// The innermost header is IPv4.
pub const IPV4: u64 = 1 << 14;
/// The innermost header is IPv6.
pub const IPV6: u64 = 1 << 15;
/// IP in IP.
pub const IP_IN_IP: u64 = 1 << 17;
/// Ethernet in IP.
pub const ETHER_IP: u64 = 1 << 18;
/// Teredo.
pub const TEREDO: u64 = 1 << 19;
/// Anything in anything.
pub const AYIYA: u64 = 1 << 20;
/// GPRS tunneling protocol.
pub const GTP: u64 = 1 << 21;
/// VXLAN.
pub const VXLAN: u64 = 1 << 22;
/// CAPWAP or LWAPP.
pub const CAPWAP: u64 = 1 << 23;
/// SCTP.
pub const SCTP: u64 = 1 << 24;
/// SSDP / UPnP.
pub const SSDP: u64 = 1 << 25;
/// Encapsulated remote switch port analyzer.
pub const ERSPAN: u64 = 1 << 26;
/// Web cache communication protocol.
pub const WCCP: u64 = 1 << 27;
/// GENEVE.
pub const GENEVE: u64 = 1 << 29;
/// IPsec authentication header.
pub const AH: u64 = 1 << 30;
/// IPsec encapsulating security payload.
pub const ESP: u64 = 1 << 31;
/// The capture holds less than the IP header promises.
pub const L3_SNAPPED: u64 = 1 << 33;
/// The transport header is not complete in the capture.
pub const L4_SNAPPED: u64 = 1 << 35;
/// Fragments.
pub const FRAGMENTS: u64 = 1 << 36;
/// Another fragmented datagram began before one was complete.
pub const FRAGMENTS_INTERLEAVED: u64 = 1 << 37;
/// A later fragment came without its first fragment.
pub const FRAGMENT_HEAD_MISSING: u64 = 1 << 38;
/// The last fragment was not seen.
pub const FRAGMENTS_UNFINISHED: u64 = 1 << 39;
/// Cut by the active time-out, at a packet of this direction.
pub const CUT: u64 = 1 << 41;
/// Released early because the table was full.
pub const TABLE_FULL: u64 = 1 << 42;
/// Dissection stopped: a clipped packet, an unknown protocol or a later fragment.
pub const STOPPED: u64 = 1 << 43;
/// Two packets in a row had the same IP identification.
pub const SAME_IP_ID: u64 = 1 << 44;
/// More kinds of header stacks than are kept, or one that is too long to be named; only with the text features.
pub const HEADERS_OVERRUN: u64 = 1 << 48;
/// Source and destination are the same.
pub const LAND: u64 = 1 << 50;
/// The clock ran backwards.
pub const TIME_JUMP: u64 = 1 << 51;
/// Priority tag: VLAN identifier 0.
pub const VLAN_ZERO: u64 = 1 << 57;
/// An IPv4 header was seen.
pub const IPV4_SEEN: u64 = 1 << 58;
/// An IPv6 header was seen.
pub const IPV6_SEEN: u64 = 1 << 59;

/// All bits and what they say of a flow, for reports.
pub const BITS: &[(u64, &str)] = &[
    (INVERTED, "The flow is the B direction"),
    (NO_ETHERNET, "No Ethernet header"),
    (LINK_FLOW, "A flow of frames without an IP header"),
    (PPPOE_DISCOVERY, "PPPoE discovery"),
    (PPPOE_SESSION, "PPPoE session"),
    (LLDP, "Link layer discovery protocol"),
    (ARP, "Address resolution protocol"),
    (RARP, "Reverse address resolution protocol"),
    (VLAN, "VLAN tags"),
    (MPLS, "MPLS labels"),
    (MPLS_MULTICAST, "MPLS labels of a multicast packet"),
    (L2TP, "Layer 2 tunneling protocol"),
    (GRE, "Generic routing encapsulation"),
    (PPP, "Point-to-point protocol"),
    (IPV4, "The innermost header is IPv4"),
    (IPV6, "The innermost header is IPv6"),
    (IP_IN_IP, "IP in IP"),
    (ETHER_IP, "Ethernet in IP"),
    (TEREDO, "Teredo"),
    (AYIYA, "Anything in anything"),
    (GTP, "GPRS tunneling protocol"),
    (VXLAN, "VXLAN"),
    (CAPWAP, "CAPWAP or LWAPP"),
    (SCTP, "SCTP"),
    (SSDP, "SSDP / UPnP"),
    (ERSPAN, "Encapsulated remote switch port analyzer"),
    (WCCP, "Web cache communication protocol"),
    (GENEVE, "GENEVE"),
    (AH, "IPsec authentication header"),
    (ESP, "IPsec encapsulating security payload"),
    (
        L3_SNAPPED,
        "The capture holds less than the IP header promises",
    ),
    (
        L4_SNAPPED,
        "The transport header is not complete in the capture",
    ),
    (FRAGMENTS, "Fragments"),
    (
        FRAGMENTS_INTERLEAVED,
        "Another fragmented datagram began before one was complete",
    ),
    (
        FRAGMENT_HEAD_MISSING,
        "A later fragment came without its first fragment",
    ),
    (FRAGMENTS_UNFINISHED, "The last fragment was not seen"),
    (
        CUT,
        "Cut by the active time-out, at a packet of this direction",
    ),
    (TABLE_FULL, "Released early because the table was full"),
    (
        STOPPED,
        "Dissection stopped: a clipped packet, an unknown protocol or a later fragment",
    ),
    (
        SAME_IP_ID,
        "Two packets in a row had the same IP identification",
    ),
    (HEADERS_OVERRUN, "Header stacks left out"),
    (LAND, "Source and destination are the same"),
    (TIME_JUMP, "The clock ran backwards"),
    (VLAN_ZERO, "Priority tag: VLAN identifier 0"),
    (IPV4_SEEN, "An IPv4 header was seen"),
    (IPV6_SEEN, "An IPv6 header was seen"),
];

/// Bits whose packets are counted one by one, with their names in the end report.
pub const COUNTED: [(u64, &str, &str); 17] = [
    (ARP, "arp", "ARP packets"),
    (RARP, "rarp", "RARP packets"),
    (LLDP, "lldp", "LLDP packets"),
    (PPPOE_DISCOVERY, "pppoeDiscovery", "PPPoE discovery packets"),
    (PPPOE_SESSION, "pppoeSession", "PPPoE session packets"),
    (L2TP, "l2tp", "L2TP packets"),
    (GRE, "gre", "GRE packets"),
    (IP_IN_IP, "ipInIp", "Packets of IP in IP"),
    (ETHER_IP, "etherIp", "Packets of Ethernet in IP"),
    (TEREDO, "teredo", "Teredo packets"),
    (AYIYA, "ayiya", "AYIYA packets"),
    (GTP, "gtp", "GTP packets"),
    (VXLAN, "vxlan", "VXLAN packets"),
    (GENEVE, "geneve", "GENEVE packets"),
    (CAPWAP, "capwap", "CAPWAP and LWAPP packets"),
    (ERSPAN, "erspan", "ERSPAN packets"),
    (WCCP, "wccp", "WCCP packets"),
];
