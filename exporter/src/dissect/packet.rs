//! What the meter needs to know of one packet, flat and without references to the frame.

/// The most VLAN tags that are kept of a packet; of more, the outermost and the innermost ones.
pub const MAX_VLANS: usize = 8;

/// The most MPLS labels that are kept of a packet.
pub const MAX_LABELS: usize = 5;

/// What a flow of this packet is keyed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Family {
    /// No IP header: the MAC pair.
    #[default]
    Link,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Where in a fragmented datagram a packet stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragment {
    /// Not fragmented (IPv6 atomic fragments included, RFC 6946).
    #[default]
    Whole,
    /// The first fragment; it has the transport header.
    First,
    /// A later fragment, more to come.
    Middle,
    /// The last fragment.
    Last,
}

/// The VLAN tags of a packet as on the wire (TCI, 16 bit), outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vlans {
    count: u8,
    tcis: [u16; MAX_VLANS],
}

impl Vlans {
    /// Adds a tag further in.
    pub fn push(&mut self, tci: u16) {
        let at = usize::from(self.count).min(MAX_VLANS - 1);
        if let Some(slot) = self.tcis.get_mut(at) {
            *slot = tci;
        }
        self.count = (self.count + 1).min(MAX_VLANS as u8);
    }

    /// Forgets all tags.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The tags, outermost first.
    #[must_use]
    pub fn tags(&self) -> &[u16] {
        self.tcis.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// The innermost tag.
    #[must_use]
    pub fn innermost(&self) -> Option<u16> {
        self.tags().last().copied()
    }
}

/// The MPLS labels of a packet from the top of the stack on, each with its Exp bits and the bit of the bottom, as on the
/// wire (RFC 3032) and in mplsTopLabelStackSection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Labels {
    count: u8,
    entries: [[u8; 3]; MAX_LABELS],
}

impl Labels {
    /// Adds one further down, if there is room.
    pub fn push(&mut self, entry: [u8; 3]) {
        if let Some(slot) = self.entries.get_mut(usize::from(self.count)) {
            *slot = entry;
            self.count += 1;
        }
    }

    /// The label at this depth, 0 being the top; all zero if there is none.
    #[must_use]
    pub fn at(&self, depth: u8) -> [u8; 3] {
        let entry = self.entries.get(usize::from(depth));
        entry.copied().unwrap_or_default()
    }
}

/// The fields of a TCP header that the state machine needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpFields {
    /// The header is there up to its flags; otherwise all other fields are 0.
    pub present: bool,
    /// The low eight flag bits, FIN = 1.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Window as in the header.
    pub window: u16,
}

/// One packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packet {
    /// Nanoseconds since 1970.
    pub ts_ns: i64,
    /// Kind of key.
    pub family: Family,
    /// IP protocol number; 0 without an IP header.
    pub protocol: u8,
    /// ToS / traffic class octet.
    pub tos: u8,
    /// TTL / hop limit.
    pub ttl: u8,
    /// EtherType of the innermost IP header, or of the frame.
    pub ether_type: u16,
    /// Source port; 0 where there is none.
    pub src_port: u16,
    /// Destination port; 0 where there is none.
    pub dst_port: u16,
    /// Type << 8 | code of an ICMP or ICMPv6 message.
    pub icmp_type_code: u16,
    /// Source address; IPv4 in the first four octets.
    pub src: [u8; 16],
    /// Destination address; IPv4 in the first four octets.
    pub dst: [u8; 16],
    /// The frame has MAC addresses.
    pub has_macs: bool,
    /// Source MAC.
    pub src_mac: [u8; 6],
    /// Destination MAC.
    pub dst_mac: [u8; 6],
    /// VLAN tags.
    pub vlans: Vlans,
    /// MPLS labels of the deepest stack.
    pub mpls_labels: u8,
    /// The labels of the outermost stack.
    pub labels: Labels,
    /// Place in a fragmented datagram.
    pub fragment: Fragment,
    /// Identification of the datagram (IPv4, or IPv6 fragment header).
    pub ip_id: u32,
    /// TCP header.
    pub tcp: TcpFields,
    /// Octets after the transport header (link flows: after the link header).
    pub l7_octets: u32,
    /// Octets after the IP header and its extension headers (link flows: as `l7_octets`).
    pub l4_octets: u32,
    /// IP total length (link flows: as `l7_octets`).
    pub ip_octets: u32,
    /// Octets of the frame on the wire.
    pub frame_octets: u32,
    /// Octets of Ethernet padding.
    pub pad_octets: u32,
    /// Status bits of the flow that this packet calls for (see [`crate::meter::status`]).
    pub status: u64,
}

impl Packet {
    /// A fragment without the transport header.
    #[inline]
    #[must_use]
    pub fn is_later_fragment(&self) -> bool {
        matches!(self.fragment, Fragment::Middle | Fragment::Last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_tags_keep_the_innermost() {
        let mut vlans = Vlans::default();
        assert_eq!(vlans.innermost(), None);
        (1..=20).for_each(|tci| vlans.push(tci));
        assert_eq!(vlans.innermost(), Some(20));
        assert_eq!(vlans.tags(), [1, 2, 3, 4, 5, 6, 7, 20]);
        vlans.clear();
        assert!(vlans.tags().is_empty());
    }
}
