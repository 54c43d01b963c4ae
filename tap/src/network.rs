//! From a frame to the payload of its IP packet. Tunnels are left alone: export does not travel in them where it
//! can be captured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use exporter::capture::LinkType;
use protocol::reader::Reader;

const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const MOST_VLANS: usize = 4;
const MOST_EXTENSIONS: usize = 8;
const IPV6_FRAGMENT: u8 = 44;

/// One IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IpPacket<'a> {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    /// IANA protocol number of the payload.
    pub(super) protocol: u8,
    pub(super) fragment: Option<Fragment>,
    /// The payload as far as it was captured.
    pub(super) payload: &'a [u8],
    /// Octets of the payload that were not.
    pub(super) missing: usize,
}

/// A piece of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Where it belongs, in octets.
    pub(super) offset: usize,
    /// Whether pieces behind it are to come.
    pub(super) more: bool,
}

/// The IP packet of a frame; `None` if there is none, or its header is damaged.
pub(super) fn ip_packet(link: LinkType, frame: &[u8]) -> Option<IpPacket<'_>> {
    let mut reader = Reader::new(frame);
    match link {
        LinkType::ETHERNET => {
            reader.take(12).ok()?;
            let mut ether_type = reader.u16().ok()?;
            for _ in 0..MOST_VLANS {
                if !VLAN.contains(&ether_type) {
                    break;
                }
                reader.take(2).ok()?;
                ether_type = reader.u16().ok()?;
            }
        }
        LinkType::LINUX_SLL => {
            reader.take(16).ok()?;
        }
        LinkType::LINUX_SLL2 => {
            reader.take(20).ok()?;
        }
        LinkType::NULL | LinkType::LOOP => {
            reader.take(4).ok()?;
        }
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => {}
        _ => return None,
    }
    // What is no IP fails in its version or lengths.
    match reader.rest().first()? >> 4 {
        4 => ipv4(reader),
        6 => ipv6(reader),
        _ => None,
    }
}

fn ipv4(mut reader: Reader<'_>) -> Option<IpPacket<'_>> {
    let header = usize::from(reader.u8().ok()? & 0xf) * 4;
    reader.u8().ok()?;
    let total = usize::from(reader.u16().ok()?);
    let id = u32::from(reader.u16().ok()?);
    let flags = reader.u16().ok()?;
    reader.u8().ok()?;
    let protocol = reader.u8().ok()?;
    reader.u16().ok()?;
    let source = Ipv4Addr::from(reader.u32().ok()?).into();
    let target = Ipv4Addr::from(reader.u32().ok()?).into();
    reader.take(header.checked_sub(20)?).ok()?;
    let fragment = Fragment {
        id,
        offset: usize::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
    };
    let fragment = (fragment.offset > 0 || fragment.more).then_some(fragment);
    packet(&reader, total.checked_sub(header)?).map(|(payload, missing)| IpPacket {
        source,
        target,
        protocol,
        fragment,
        payload,
        missing,
    })
}

fn ipv6(mut reader: Reader<'_>) -> Option<IpPacket<'_>> {
    reader.u32().ok()?;
    let mut left = usize::from(reader.u16().ok()?);
    let mut protocol = reader.u8().ok()?;
    reader.u8().ok()?;
    let source = address(&mut reader)?;
    let target = address(&mut reader)?;
    let mut fragment = None;
    for _ in 0..MOST_EXTENSIONS {
        let before = reader.offset();
        match protocol {
            // Hop-by-hop, routing and destination options: a length in units of eight octets without the first.
            0 | 43 | 60 => {
                protocol = reader.u8().ok()?;
                let length = usize::from(reader.u8().ok()?) * 8 + 6;
                reader.take(length).ok()?;
            }
            IPV6_FRAGMENT => {
                protocol = reader.u8().ok()?;
                reader.u8().ok()?;
                let word = reader.u16().ok()?;
                fragment = Some(Fragment {
                    offset: usize::from(word & 0xfff8),
                    more: word & 1 != 0,
                    id: reader.u32().ok()?,
                });
            }
            _ => break,
        }
        left = left.checked_sub(reader.offset() - before)?;
    }
    let fragment = fragment.filter(|fragment| fragment.offset > 0 || fragment.more);
    packet(&reader, left).map(|(payload, missing)| IpPacket {
        source,
        target,
        protocol,
        fragment,
        payload,
        missing,
    })
}

/// Cut to the length of the header: frames are padded, and captures cut.
fn packet<'a>(reader: &Reader<'a>, length: usize) -> Option<(&'a [u8], usize)> {
    let rest = reader.rest();
    match rest.get(..length) {
        Some(payload) => Some((payload, 0)),
        None => Some((rest, length.checked_sub(rest.len())?)),
    }
}

fn address(reader: &mut Reader<'_>) -> Option<IpAddr> {
    let octets: [u8; 16] = reader.take(16).ok()?.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}
