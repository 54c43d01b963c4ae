//! The counters of one record against each other.

use protocol::registry::ie;
use protocol::template::REVERSE_PEN;

use super::layout::Field;
use super::message::Message;
use super::rules::{Desk, R};
use crate::verdict::Verdict;

/// Least octets of a packet: the IP header, which the counters include (RFC 7012: octetDeltaCount).
const HEADER_IPV4: u64 = 20;
const HEADER_IPV6: u64 = 40;
/// Most octets of a packet.
const MOST_PACKET: u64 = 65_535;

/// Octets and packets that are counted alike: elements, and whether of the reverse direction.
const PAIRS: [(u32, u16, u16); 6] = [
    (0, ie::OCTET_DELTA_COUNT, ie::PACKET_DELTA_COUNT),
    (0, ie::OCTET_TOTAL_COUNT, ie::PACKET_TOTAL_COUNT),
    (0, ie::POST_OCTET_DELTA_COUNT, ie::POST_PACKET_DELTA_COUNT),
    (0, ie::POST_OCTET_TOTAL_COUNT, ie::POST_PACKET_TOTAL_COUNT),
    (REVERSE_PEN, ie::OCTET_DELTA_COUNT, ie::PACKET_DELTA_COUNT),
    (REVERSE_PEN, ie::OCTET_TOTAL_COUNT, ie::PACKET_TOTAL_COUNT),
];

/// A pair of deltas, and the pair of totals over the same packets.
const DELTAS_AND_TOTALS: [(usize, usize); 3] = [(0, 1), (2, 3), (4, 5)];
const FIRST_REVERSE: usize = 4;

/// A counter as sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counter {
    pub number: u64,
    /// Octets on the wire.
    pub length: usize,
    pub offset: usize,
}

impl Counter {
    /// Whether a counter of this length may have begun anew after so many packets.
    fn may_wrap(&self, packets: u64) -> bool {
        let range = match self.length {
            ..8 => 1_u64 << (8 * self.length),
            _ => u64::MAX,
        };
        packets > range / MOST_PACKET
    }
}

/// Octets and packets of one record.
#[derive(Debug, Default)]
pub(super) struct Counters {
    octets: [Option<Counter>; PAIRS.len()],
    packets: [Option<Counter>; PAIRS.len()],
}

impl Counters {
    /// Takes in a number, if it is one of these.
    pub(super) fn number(&mut self, field: &Field, counter: Counter) {
        let counters = self.octets.iter_mut().zip(&mut self.packets);
        for ((pen, octets, packets), (to_octets, to_packets)) in PAIRS.iter().zip(counters) {
            if field.v9_scope || field.pen != *pen {
                continue;
            }
            if field.id == *octets {
                *to_octets = Some(counter);
            } else if field.id == *packets {
                *to_packets = Some(counter);
            }
        }
    }

    /// Judges the counters of a flow record; `ip` is the version of its packets, if they are known to be IP.
    pub(super) fn judge(&self, ip: Option<u8>, message: &Message<'_>, desk: &mut Desk) {
        if let Some(ip) = ip {
            for (octets, packets) in self.octets.iter().zip(&self.packets) {
                if let (Some(octets), Some(packets)) = (octets, packets) {
                    judge_headers(message.version, *octets, packets.number, ip, desk);
                }
            }
        }
        for (delta, total) in DELTAS_AND_TOTALS {
            for counters in [&self.octets, &self.packets] {
                if let (Some(Some(delta)), Some(Some(total))) =
                    (counters.get(delta), counters.get(total))
                {
                    judge_total(*delta, *total, desk);
                }
            }
        }
        self.judge_reverse(desk);
    }

    /// RFC 5103 section 4: what is no biflow is sent without reverse elements.
    fn judge_reverse(&self, desk: &mut Desk) {
        let reverse = self.octets.iter().chain(&self.packets);
        let (mut at, mut seen) = (0, false);
        let counts = PAIRS.len();
        let mut all_zero = true;
        for (index, counter) in reverse.enumerate() {
            let Some(counter) = counter.filter(|_| index % counts >= FIRST_REVERSE) else {
                continue;
            };
            seen = true;
            at = counter.offset;
            all_zero &= counter.number == 0;
        }
        if seen {
            desk.judge(R::B06, !all_zero, Verdict::Deviation, at, 1, || {
                "a flow of one direction has reverse counters".to_owned()
            });
        }
    }
}

/// What a flow's packets cannot have: fewer octets than their IP headers.
pub(super) fn judge_headers(version: u16, octets: Counter, packets: u64, ip: u8, desk: &mut Desk) {
    if packets == 0 || octets.may_wrap(packets) {
        return;
    }
    let header = if ip == 6 { HEADER_IPV6 } else { HEADER_IPV4 };
    let least = packets.saturating_mul(header);
    // RFC 3954 section 8 says "bytes associated with an IP Flow", not which of a packet's.
    let verdict = if version == 9 {
        Verdict::Deviation
    } else {
        Verdict::WrongData
    };
    let number = octets.number;
    desk.judge(
        R::M01,
        number >= least,
        verdict,
        octets.offset,
        octets.length,
        || format!("{packets} packets have {number} octets: their IP headers alone have {least}"),
    );
}

/// RFC 7012 sections 3.2.2 and 3.2.3: a total includes what was counted since the last report.
fn judge_total(delta: Counter, total: Counter, desk: &mut Desk) {
    // A shorter counter may have begun anew.
    if total.length < 8 {
        return;
    }
    let kept = total.number >= delta.number;
    desk.judge(
        R::F16,
        kept,
        Verdict::WrongData,
        total.offset,
        total.length,
        || {
            format!(
                "the total is {}, and {} were counted since the last report",
                total.number, delta.number
            )
        },
    );
}
