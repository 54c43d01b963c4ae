//! The ports of fragmented datagrams: only the first fragment has them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::dissect::{Family, Fragment, Packet};

/// The most datagrams whose later fragments are awaited.
const MAX_WAITING: usize = 8192;

/// What the fragments of a datagram have in common (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Datagram {
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

/// A datagram that waits for more fragments: as long as it does, [`Fragments::waits`] knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    datagram: Datagram,
    serial: u64,
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The first one seen of its datagram.
    Begins {
        waiting: Waiting,
        /// It is no first fragment: its ports are not known.
        headless: bool,
    },
    /// A later one: it has its ports now, where the first one seen had them.
    Continues,
}

/// Datagrams waiting for the rest.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    heads: HashMap<Datagram, Head, foldhash::fast::RandomState>,
    order: VecDeque<Waiting>,
    serial: u64,
    forgotten: u64,
}

impl Fragments {
    /// Datagrams forgotten because too many waited.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether the datagram still waits.
    pub(super) fn waits(&self, waiting: &Waiting) -> bool {
        self.heads
            .get(&waiting.datagram)
            .is_some_and(|head| head.serial == waiting.serial)
    }

    /// Gives a later fragment the ports of its first one.
    pub(super) fn resolve(&mut self, packet: &mut Packet) -> Found {
        let datagram = Datagram {
            src: packet.src,
            dst: packet.dst,
            id: packet.ip_id,
            vlan: packet.vlans.innermost().map(|tci| tci & 0x0fff),
            protocol: packet.protocol,
            version_6: packet.family == Family::V6,
        };
        let head = match packet.fragment {
            Fragment::First | Fragment::Whole => None,
            Fragment::Middle => self.heads.get(&datagram).copied(),
            Fragment::Last => self.heads.remove(&datagram),
        };
        if let Some(head) = head {
            packet.src_port = head.src_port;
            packet.dst_port = head.dst_port;
            return Found::Continues;
        }
        Found::Begins {
            waiting: self.remember(datagram, packet),
            headless: packet.fragment != Fragment::First,
        }
    }

    fn remember(&mut self, datagram: Datagram, packet: &Packet) -> Waiting {
        if self.order.len() >= MAX_WAITING
            && let Some(oldest) = self.order.pop_front()
            && self.waits(&oldest)
        {
            self.heads.remove(&oldest.datagram);
            self.forgotten += 1;
        }
        self.serial += 1;
        let waiting = Waiting {
            datagram,
            serial: self.serial,
        };
        self.order.push_back(waiting);
        let head = Head {
            src_port: packet.src_port,
            dst_port: packet.dst_port,
            serial: self.serial,
        };
        self.heads.insert(datagram, head);
        waiting
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

    fn begins(found: Found) -> (Waiting, bool) {
        match found {
            Found::Begins { waiting, headless } => (waiting, headless),
            Found::Continues => panic!("continues"),
        }
    }

    #[test]
    fn later_fragments_get_the_ports_until_the_last() {
        let mut fragments = Fragments::default();
        let mut later = fragment(1, Fragment::Middle);
        let (early, headless) = begins(fragments.resolve(&mut later));
        assert!(headless && fragments.waits(&early));
        let (first, headless) = begins(fragments.resolve(&mut fragment(1, Fragment::First)));
        assert!(!headless && fragments.waits(&first) && !fragments.waits(&early));
        assert_eq!(fragments.resolve(&mut later), Found::Continues);
        assert_eq!(later.src_port, 7);
        let mut last = fragment(1, Fragment::Last);
        assert_eq!(fragments.resolve(&mut last), Found::Continues);
        assert!(!fragments.waits(&first));
        assert!(begins(fragments.resolve(&mut last)).1);
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
