//! The names of headers by link type, EtherType, service access point, IP and PPP protocol: Wireshark's short names
//! as far as it has one, since those are the ones that Tranalyzer uses.

use super::super::be16;
use super::super::link::ether;
use super::super::transport::SSDP_PORT;
use super::HeaderDescription;
use crate::capture::LinkType;

/// The name of a link header that is not a layer of its own; Ethernet is, raw IP has none.
pub(super) fn of_link(link: LinkType) -> Option<&'static str> {
    Some(match link {
        LinkType::NULL | LinkType::LOOP => "null",
        LinkType::LINUX_SLL => "sll",
        LinkType::LINUX_SLL2 => "sll2",
        LinkType::LAPD | LinkType::LINUX_LAPD => "lapd",
        LinkType::ETHERNET_MPACKET => "fpp",
        LinkType::IEEE802_11_PRISM => "prism",
        LinkType::IEEE802_11_AVS => "avs",
        LinkType::IEEE802_11_RADIOTAP => "radiotap",
        LinkType::SYMANTEC_FIREWALL => "symantec",
        LinkType::JUNIPER_ATM1
        | LinkType::JUNIPER_ATM2
        | LinkType::JUNIPER_ETHER
        | LinkType::JUNIPER_PPPOE
        | LinkType::JUNIPER_PPP
        | LinkType::JUNIPER_FRELAY
        | LinkType::JUNIPER_CHDLC => "juniper",
        _ => return None,
    })
}

/// EtherTypes of what is no layer here.
const ETHER_TYPES: &[(u16, &str)] = &[
    (0x0600, "idp"),
    (0x0842, "wol"),
    (0x6001, "dec_mop"),
    (0x6002, "dec_mop"),
    (0x6004, "lat"),
    (0x8037, "ipx"),
    (0x80f3, "aarp"),
    (0x809b, "ddp"),
    (0x8137, "ipx"),
    (0x872d, "wlccp"),
    (0x8809, "slow"),
    (0x886f, "msnlb"),
    (0x8870, "llc"),
    (0x888e, "eapol"),
    (0x8892, "pn_dcp"),
    (0x88a2, "aoe"),
    (0x88b8, "goose"),
    (0x88bb, "lwapp"),
    (0x88e5, "macsec"),
    (0x88f7, "ptp"),
    (0x8902, "cfm"),
    (0x8906, "fcoe"),
    (0x890d, "wlan"),
    (0x8899, "realtek"),
    (0x9000, "loop"),
    (ether::ARP, "arp"),
    (ether::RARP, "rarp"),
    (ether::LLDP, "lldp"),
    (ether::PPPOE_DISCOVERY, "pppoed"),
];

/// Adds what an EtherType names, unless it is a layer with a name of its own.
pub(super) fn push_ether_type(value: u16, headers: &mut HeaderDescription) {
    match value {
        ether::VLAN
        | ether::PROVIDER_BRIDGE
        | ether::VLAN_9100
        | ether::VLAN_9200
        | ether::VLAN_9300 => headers.push_again("vlan"),
        ether::IPV4
        | ether::IPV6
        | ether::MPLS
        | ether::MPLS_MULTICAST
        | ether::PPPOE_SESSION
        | 0..=1500 => {}
        _ => push_known(ETHER_TYPES, value, headers, 4),
    }
}

/// Service access points (IEEE 802.2) of what has no SNAP header.
const SERVICE_ACCESS_POINTS: &[(u8, &str)] = &[
    (0x04, "sna"),
    (0x08, "sna"),
    (0x0c, "sna"),
    (0x10, "ipx"),
    (0x42, "stp"),
    (0x7e, "x25"),
    (0x80, "3comxns"),
    (0x82, "bacnet"),
    (0xbc, "vines_llc"),
    (0xe0, "ipx"),
    (0xf0, "netbios"),
    (0xf8, "rpl"),
    (0xfe, "osi"),
];

/// Adds an IEEE 802.2 header, and what follows it unless it is SNAP.
pub(super) fn push_llc(data: &[u8], headers: &mut HeaderDescription) {
    headers.push("llc");
    match data.first() {
        None | Some(0x00..=0x03 | 0x06 | 0xaa | 0xff) => {}
        Some(sap) => push_known(SERVICE_ACCESS_POINTS, *sap, headers, 2),
    }
}

/// PPP protocols of what is no layer here.
const PPP_PROTOCOLS: &[(u16, &str)] = &[
    (0x003d, "mp"),
    (0x00fd, "comp_data"),
    (0x0207, "cdp"),
    (0x8021, "ipcp"),
    (0x8057, "ipv6cp"),
    (0x80fd, "ccp"),
    (0x8207, "cdpcp"),
    (0x8281, "mplscp"),
    (0xc021, "lcp"),
    (0xc023, "pap"),
    (0xc025, "lqr"),
    (0xc223, "chap"),
    (0xc227, "eap"),
];

/// Adds a PPP header, and what follows it unless that is a layer.
pub(super) fn push_ppp(data: &[u8], headers: &mut HeaderDescription) {
    headers.push("ppp");
    let data = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    let protocol = match *data {
        [first, ..] if first & 1 == 1 => u16::from(first),
        [high, low, ..] => u16::from_be_bytes([high, low]),
        _ => return,
    };
    if !matches!(protocol, 0x0021 | 0x0057 | 0x0281 | 0x0283) {
        push_known(PPP_PROTOCOLS, protocol, headers, 4);
    }
}

/// IP protocols (IANA). Those of the extension headers are named where they are read.
const PROTOCOLS: &[(u8, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (17, "udp"),
    (33, "dccp"),
    (36, "xtp"),
    (37, "ddp"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (48, "dsr"),
    (50, "esp"),
    (51, "ah"),
    (53, "swipe"),
    (54, "nhrp"),
    (58, "icmpv6"),
    (80, "osi"),
    (83, "vines"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax25"),
    (97, "etherip"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (113, "pgm"),
    (115, "l2tp"),
    (132, "sctp"),
    (134, "rsvp-e2ei"),
    (135, "mipv6"),
    (136, "udplite"),
    (137, "mpls"),
    (139, "hip"),
    (140, "shim6"),
];

/// Adds a transport header. IP in IP is named by the header inside.
pub(super) fn push_protocol(number: u8, headers: &mut HeaderDescription) {
    const IN_IP: [u8; 2] = [4, 41];
    const NO_NEXT_HEADER: u8 = 59;
    if IN_IP.contains(&number) || number == NO_NEXT_HEADER {
        return;
    }
    match name(PROTOCOLS, number) {
        Some(name) => headers.push(name),
        None => headers.push(&format!("UNK({number})")),
    }
}

/// Adds what a UDP datagram holds, if Tranalyzer tells it by its port and it is no tunnel.
pub(super) fn push_udp(data: &[u8], headers: &mut HeaderDescription) {
    if be16(data, 0) == Some(SSDP_PORT) || be16(data, 2) == Some(SSDP_PORT) {
        headers.push("ssdp");
    }
}

/// Adds what a number of `digits` hexadecimal digits names.
fn push_known<T>(
    table: &[(T, &'static str)],
    value: T,
    headers: &mut HeaderDescription,
    digits: usize,
) where
    T: Copy + PartialEq + Into<u32>,
{
    match name(table, value) {
        Some(name) => headers.push(name),
        None => {
            let value: u32 = value.into();
            headers.push(&format!("UNK(0x{value:0digits$x})"));
        }
    }
}

fn name<T: Copy + PartialEq>(table: &[(T, &'static str)], value: T) -> Option<&'static str> {
    let known = table.iter().find(|(known, _)| *known == value);
    known.map(|(_, name)| *name)
}
