//! Link types by number and name.

/// A LINKTYPE number as in the registry of tcpdump.org (the value in the file, not the `DLT_` value of a platform).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a protocol family in host byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP, with or without HDLC's address and control field.
    pub const PPP: LinkType = LinkType(9);
    /// PPP in HDLC framing, or Cisco's HDLC.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE session frames without Ethernet header.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Symantec's enterprise firewall.
    pub const SYMANTEC_FIREWALL: LinkType = LinkType(99);
    /// Raw IP, version by its first four bits.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco's HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// Frame Relay.
    pub const FRELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: a protocol family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux "cooked" capture.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a Prism header.
    pub const IEEE802_11_PRISM: LinkType = LinkType(119);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
    /// Juniper ATM2 card.
    pub const JUNIPER_ATM2: LinkType = LinkType(135);
    /// Juniper ATM1 card.
    pub const JUNIPER_ATM1: LinkType = LinkType(137);
    /// IEEE 802.11 behind an AVS header.
    pub const IEEE802_11_AVS: LinkType = LinkType(163);
    /// PPP as pppd logs it: the address octet is the direction.
    pub const PPP_PPPD: LinkType = LinkType(166);
    /// Juniper PPPoE.
    pub const JUNIPER_PPPOE: LinkType = LinkType(167);
    /// Juniper Ethernet.
    pub const JUNIPER_ETHER: LinkType = LinkType(178);
    /// Juniper PPP.
    pub const JUNIPER_PPP: LinkType = LinkType(179);
    /// Juniper Frame Relay.
    pub const JUNIPER_FRELAY: LinkType = LinkType(180);
    /// Juniper C-HDLC.
    pub const JUNIPER_CHDLC: LinkType = LinkType(181);
    /// PPP behind an octet with the direction.
    pub const PPP_WITH_DIR: LinkType = LinkType(204);
    /// Cisco's HDLC behind an octet with the direction.
    pub const C_HDLC_WITH_DIR: LinkType = LinkType(205);
    /// Frame Relay behind an octet with the direction.
    pub const FRELAY_WITH_DIR: LinkType = LinkType(206);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// LAPD (ITU-T Q.921) behind Linux's "cooked" header.
    pub const LINUX_LAPD: LinkType = LinkType(177);
    /// LAPD.
    pub const LAPD: LinkType = LinkType(203);
    /// Ethernet mPackets (IEEE 802.3br): preamble, frame or a part of one, checksum.
    pub const ETHERNET_MPACKET: LinkType = LinkType(274);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// The link type that a file means by `number`: 12 and 14 were written for raw IP by systems that numbered
    /// it so.
    #[must_use]
    pub fn in_file(number: u16) -> Self {
        match number {
            12 | 14 => LinkType::RAW,
            number => LinkType(number),
        }
    }

    /// The registry's name without its prefix, or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .map_or("unknown", |(_, name)| name)
    }
}

impl std::fmt::Display for LinkType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

/// Numbers and names, as far as captures with them are to be met.
const NAMES: &[(u16, &str)] = &[
    (0, "NULL"),
    (1, "ETHERNET"),
    (3, "AX25"),
    (6, "IEEE802_5"),
    (7, "ARCNET_BSD"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (50, "PPP_HDLC"),
    (51, "PPP_ETHER"),
    (99, "SYMANTEC_FIREWALL"),
    (100, "ATM_RFC1483"),
    (101, "RAW"),
    (104, "C_HDLC"),
    (105, "IEEE802_11"),
    (107, "FRELAY"),
    (108, "LOOP"),
    (108, "LOOP"),
    (113, "LINUX_SLL"),
    (114, "LTALK"),
    (117, "PFLOG"),
    (119, "IEEE802_11_PRISM"),
    (122, "IP_OVER_FC"),
    (123, "SUNATM"),
    (127, "IEEE802_11_RADIOTAP"),
    (129, "ARCNET_LINUX"),
    (135, "JUNIPER_ATM2"),
    (137, "JUNIPER_ATM1"),
    (138, "APPLE_IP_OVER_IEEE1394"),
    (139, "MTP2_WITH_PHDR"),
    (140, "MTP2"),
    (141, "MTP3"),
    (142, "SCCP"),
    (143, "DOCSIS"),
    (144, "LINUX_IRDA"),
    (147, "USER0"),
    (163, "IEEE802_11_AVS"),
    (165, "BACNET_MS_TP"),
    (166, "PPP_PPPD"),
    (167, "JUNIPER_PPPOE"),
    (169, "GPRS_LLC"),
    (177, "LINUX_LAPD"),
    (178, "JUNIPER_ETHER"),
    (179, "JUNIPER_PPP"),
    (180, "JUNIPER_FRELAY"),
    (181, "JUNIPER_CHDLC"),
    (187, "BLUETOOTH_HCI_H4"),
    (189, "USB_LINUX"),
    (192, "PPI"),
    (195, "IEEE802_15_4_WITHFCS"),
    (197, "ERF"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (203, "LAPD"),
    (204, "PPP_WITH_DIR"),
    (205, "C_HDLC_WITH_DIR"),
    (206, "FRELAY_WITH_DIR"),
    (209, "IPMB_LINUX"),
    (215, "IEEE802_15_4_NONASK_PHY"),
    (220, "USB_LINUX_MMAPPED"),
    (224, "FC_2"),
    (226, "IPNET"),
    (227, "CAN_SOCKETCAN"),
    (228, "IPV4"),
    (229, "IPV6"),
    (230, "IEEE802_15_4_NOFCS"),
    (231, "DBUS"),
    (235, "DVB_CI"),
    (239, "NFLOG"),
    (240, "NETANALYZER"),
    (242, "IPOIB"),
    (243, "MPEG_2_TS"),
    (247, "INFINIBAND"),
    (248, "SCTP"),
    (249, "USBPCAP"),
    (251, "BLUETOOTH_LE_LL"),
    (253, "NETLINK"),
    (256, "BLUETOOTH_LE_LL_WITH_PHDR"),
    (258, "PKTAP"),
    (259, "EPON"),
    (264, "ISO_14443"),
    (266, "USB_DARWIN"),
    (271, "VSOCK"),
    (272, "NORDIC_BLE"),
    (274, "ETHERNET_MPACKET"),
    (276, "LINUX_SLL2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(LinkType::ETHERNET.to_string(), "ETHERNET (1)");
        assert_eq!(LinkType::in_file(12), LinkType::RAW);
        assert_eq!(LinkType(4711).to_string(), "unknown (4711)");
    }
}
