//! Short protocol names of the `%pr` column: at most five characters, as nfdump 1.7.1 shows them.

use super::number::{align_left, push_u64};

/// Name by protocol number; the empty ones have none and are shown as their number.
const NAMES: [&str; 138] = [
    "", "ICMP", "IGMP", "GGP", "IPIP", "ST", "TCP", "CBT", "EGP", "IGP", "BBN", "NVPII", "PUP",
    "ARGUS", "ENCOM", "XNET", "CHAOS", "UDP", "MUX", "DCN", "HMP", "PRM", "XNS", "Trnk1", "Trnk2",
    "Leaf1", "Leaf2", "RDP", "IRTP", "ISO-4", "NETBK", "MFESP", "MEINP", "DCCP", "3PC", "IDPR",
    "XTP", "DDP", "IDPR", "TP++", "IL", "IPv6", "SDRP", "Rte6", "Frag6", "IDRP", "RSVP", "GRE",
    "MHRP", "BNA", "ESP", "AH", "INLSP", "SWIPE", "NARP", "MOBIL", "TLSP", "SKIP", "ICMP6",
    "NOHE6", "OPTS6", "HOST", "CFTP", "NET", "SATNT", "KLAN", "RVD", "IPPC", "FS", "SATM", "VISA",
    "IPCV", "CPNX", "CPHB", "WSN", "PVP", "BSATM", "SUNND", "WBMON", "WBEXP", "ISOIP", "VMTP",
    "SVMTP", "VINES", "TTP", "NSIGP", "DGP", "TCF", "EIGRP", "OSPF", "S-RPC", "LARP", "MTP",
    "AX.25", "OS", "MICP", "SCCSP", "ETHIP", "ENCAP", "", "GMTP", "IFMP", "PNNI", "PIM", "ARIS",
    "SCPS", "QNX", "A/N", "IPcmp", "SNP", "CpqPP", "IPXIP", "VRRP", "PGM", "0hop", "L2TP", "DDX",
    "IATP", "STP", "SRP", "UTI", "SMP", "SM", "PTP", "ISIS4", "FIRE", "CRTP", "CRUDP", "", "IPLT",
    "SPS", "PIPE", "SCTP", "FC", "", "MHEAD", "UDP-L", "MPLS",
];

/// The short name of an IP protocol, if it has one.
#[must_use]
pub fn name(protocol: u8) -> Option<&'static str> {
    NAMES
        .get(usize::from(protocol))
        .copied()
        .filter(|name| !name.is_empty())
}

/// All protocols up to the last one that has a name, by their number, with their short name, else the number.
pub fn all() -> impl Iterator<Item = (usize, String)> {
    NAMES.iter().enumerate().map(|(number, name)| match *name {
        "" => (number, number.to_string()),
        name => (number, name.to_owned()),
    })
}

/// Appends the short name, else the number; nfdump pads the numbers beyond its table of names.
pub fn push(out: &mut Vec<u8>, protocol: u8) {
    let start = out.len();
    match name(protocol) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => push_u64(out, u64::from(protocol)),
    }
    if usize::from(protocol) >= NAMES.len() {
        align_left(out, start, 5);
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_by_number() {
        assert_eq!(name(6), Some("TCP"));
        assert_eq!(name(17), Some("UDP"));
        assert_eq!(name(58), Some("ICMP6"));
        assert_eq!(name(132), Some("SCTP"));
        assert_eq!(name(137), Some("MPLS"));
        assert_eq!(name(0), None);
        assert_eq!(name(99), None);
        assert_eq!(name(200), None);
    }
}
