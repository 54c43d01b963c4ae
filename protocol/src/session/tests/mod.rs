#![allow(clippy::unwrap_used)]

mod messages;
mod random;
mod state;

use super::*;
use crate::testing::{Seen, hex};

const NOW_MS: u64 = 1_700_000_000_000;
/// One field of 4 octets, template 256.
const TEMPLATE: &str = "0100 0001 0001 0004";
/// One field of 2 octets, template 256.
const SHORTER: &str = "0100 0001 0001 0002";

/// A session and all it told.
struct Collector {
    session: Session,
    seen: Seen,
    now_ms: u64,
}

impl Collector {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            session: Session::new(limits),
            seen: Seen::default(),
            now_ms: NOW_MS,
        }
    }

    fn udp(&mut self, message: &[u8]) -> &mut Self {
        self.udp_from(2055, message)
    }

    fn udp_from(&mut self, port: u16, message: &[u8]) -> &mut Self {
        self.session
            .datagram(self.now_ms, peer(port), message, &mut self.seen);
        self
    }

    fn tcp(&mut self, message: &[u8]) -> &mut Self {
        self.session
            .message(self.now_ms, peer(4739), message, &mut self.seen);
        self
    }

    fn octets(&self) -> Vec<Vec<u8>> {
        self.seen
            .records
            .iter()
            .map(|record| record.octets.clone())
            .collect()
    }

    fn counters(&self) -> &Counters {
        self.session.counters()
    }
}

fn peer(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn set(id: u16, body: &str) -> Vec<u8> {
    let body = hex(body);
    let length = u16::try_from(body.len() + 4).unwrap();
    [&id.to_be_bytes()[..], &length.to_be_bytes(), &body].concat()
}

fn v9_at(seconds: u32, uptime_ms: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let header = [
        &[0, 9, 0, 1][..],
        &uptime_ms.to_be_bytes(),
        &seconds.to_be_bytes(),
        &sequence.to_be_bytes(),
        &[0, 0, 0, 3],
    ];
    [header.concat(), sets.concat()].concat()
}

fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    v9_at(1_700_000_000, 60_000, sequence, sets)
}

fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let length = u16::try_from(16 + sets.len()).unwrap();
    let header = [
        &[0, 10][..],
        &length.to_be_bytes(),
        &[0x65, 0x53, 0xf1, 0],
        &sequence.to_be_bytes(),
        &[0, 0, 0, 3],
    ];
    [header.concat(), sets].concat()
}

/// A packet of `count` records that are filled with their number.
fn v5(sequence: u32, count: u8) -> Vec<u8> {
    let mut packet = hex("0005 0000 0000ea60 6553f100 1dcd6500");
    packet[3] = count;
    packet.extend(sequence.to_be_bytes());
    packet.extend([1, 2, 0x40, 0x64]);
    packet.extend((0..count).flat_map(|number| [number; 48]));
    packet
}
