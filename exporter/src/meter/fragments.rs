//! The ports of fragmented datagrams: only the first fragment has them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::dissect::{Fragment, Packet};

/// The most datagrams whose later fragments are awaited.
const MAX_WAITING: usize = 8192;

/// What the fragments of a datagram have in common (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Datagram {
    src: [u8; 16],
    dst: [u8; 16],
    id: u32,
    vlan: Option<u16>,
    protocol: u8,
    version_6: bool,
}

/// What the first fragment said.
#[derive(Clone, Copy, Debug)]
struct Head {
    src_port: u16,
    dst_port: u16,
    /// Distinguishes datagrams that reuse an identification.
    serial: u64,
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The first one: remembered. `replaced`: another datagram with the same key never ended.
    Head { replaced: bool },
    /// A later one: it has its ports now.
    Known,
    /// A later one without a first one.
    Unknown,
}

/// First fragments waiting for the rest.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    heads: HashMap<Datagram, Head, foldhash::fast::RandomState>,
    order: VecDeque<(u64, Datagram)>,
    serial: u64,
    forgotten: u64,
}

impl Fragments {
    /// Datagrams forgotten because too many waited.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Gives a later fragment the ports of its first one.
    pub(super) fn resolve(&mut self, packet: &mut Packet) -> Found {
        let datagram = Datagram {
            src: packet.src,
            dst: packet.dst,
            id: packet.ip_id,
            vlan: packet.vlans.innermost().map(|tci| tci & 0x0fff),
            protocol: packet.protocol,
            version_6: packet.family == crate::dissect::Family::V6,
        };
        if packet.fragment == Fragment::First {
            return Found::Head {
                replaced: self.remember(datagram, packet),
            };
        }
        let head = if packet.fragment == Fragment::Last {
            self.heads.remove(&datagram)
        } else {
            self.heads.get(&datagram).copied()
        };
        match head {
            Some(head) => {
                packet.src_port = head.src_port;
                packet.dst_port = head.dst_port;
                Found::Known
            }
            None => Found::Unknown,
        }
    }

    fn remember(&mut self, datagram: Datagram, packet: &Packet) -> bool {
        if self.order.len() >= MAX_WAITING
            && let Some((serial, oldest)) = self.order.pop_front()
            && self
                .heads
                .get(&oldest)
                .is_some_and(|head| head.serial == serial)
        {
            self.heads.remove(&oldest);
            self.forgotten += 1;
        }
        self.serial += 1;
        self.order.push_back((self.serial, datagram));
        let head = Head {
            src_port: packet.src_port,
            dst_port: packet.dst_port,
            serial: self.serial,
        };
        self.heads.insert(datagram, head).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(id: u32, fragment: Fragment) -> Packet {
        Packet {
            ip_id: id,
            fragment,
            src_port: if fragment == Fragment::First { 7 } else { 0 },
            protocol: 17,
            ..Packet::default()
        }
    }

    #[test]
    fn later_fragments_get_the_ports_until_the_last() {
        let mut fragments = Fragments::default();
        let mut later = fragment(1, Fragment::Middle);
        assert_eq!(fragments.resolve(&mut later), Found::Unknown);
        let first = fragments.resolve(&mut fragment(1, Fragment::First));
        assert_eq!(first, Found::Head { replaced: false });
        assert_eq!(fragments.resolve(&mut later), Found::Known);
        assert_eq!(later.src_port, 7);
        let mut last = fragment(1, Fragment::Last);
        assert_eq!(fragments.resolve(&mut last), Found::Known);
        assert_eq!(fragments.resolve(&mut last), Found::Unknown);
    }

    #[test]
    fn memory_is_bounded() {
        let mut fragments = Fragments::default();
        for id in 0..3 * MAX_WAITING as u32 {
            fragments.resolve(&mut fragment(id, Fragment::First));
        }
        assert!(fragments.heads.len() <= MAX_WAITING && fragments.order.len() <= MAX_WAITING);
        assert_eq!(fragments.forgotten(), 2 * MAX_WAITING as u64);
    }
}
