//! Sequence and acknowledgment numbers (the part of Tranalyzer's tcpFlags that fills most of `tcpAnomaly`).
//!
//! Numbers are compared as they are, without regard to their wrap, as in Tranalyzer.

use super::tcp::{self, ACK, FIN, RST, SYN, mark};
use crate::meter::tcp_flags::anomaly;

/// Numbers of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceFeatures {
    /// The first sequence number.
    pub initial: u32,
    /// Packets that begin where the one before ended.
    pub in_order: u16,
    /// Octets by which the sequence number went on.
    pub sent: u64,
    /// Retransmissions.
    pub sequence_faults: u16,
    /// Packets that acknowledge.
    pub acknowledging: u16,
    /// Octets by which the acknowledgment number went on.
    pub acknowledged: u64,
    /// Duplicate acknowledgments, and acknowledgments of what was not seen.
    pub acknowledgment_faults: u16,
    /// The most octets that were sent without an acknowledgment between.
    pub max_in_flight: u32,
    in_flight: u32,
    begun: bool,
    /// Numbers of the last packet.
    sequence: u32,
    acknowledgment: u32,
    /// Where the next packet is expected.
    next: u32,
    /// The largest number so far.
    max: u32,
}

/// A packet, and what the other parts of tcpFlags have found out about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgment: u32,
    /// Layer 7 octets.
    pub octets: u32,
    /// Effective window, and the factor in it if a scale is agreed on.
    pub window: u32,
    pub factor: Option<u32>,
    /// It is not the first packet of its direction.
    pub follows: bool,
    /// It came later than 1.5 times the usual round trip after the one before.
    pub late: bool,
}

impl Segment {
    fn ends(&self) -> bool {
        self.flags & (SYN | FIN | RST) != 0
    }
}

/// What the opposite direction did last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opposite {
    pub numbers: SequenceFeatures,
    pub window: u32,
    pub flags: u8,
    pub anomaly: u16,
    pub marks: u16,
}

/// What is found in a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub anomaly: u16,
    pub marks: u16,
    /// Retransmissions.
    pub retries: u32,
}

impl SequenceFeatures {
    /// An acknowledgment by this direction: what the opposite one sent has arrived, what this one sends is in flight.
    pub(super) fn acknowledge(&mut self, opposite: &mut SequenceFeatures, octets: u32) {
        opposite.in_flight = 0;
        self.in_flight = self.in_flight.saturating_add(octets);
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
    }

    /// Whether what is in flight fills the opposite window.
    pub(super) fn fills(&self, window: u32) -> bool {
        self.in_flight >= window
    }

    /// Looks at a packet before it is counted. `flags` and `window` are those of the packet before.
    pub(super) fn packet(
        &mut self,
        segment: &Segment,
        opposite: Option<&Opposite>,
        flags: u8,
        window: u32,
    ) -> Found {
        if !self.begun {
            self.begun = true;
            self.initial = segment.sequence;
            self.sequence = segment.sequence;
            self.next = segment.sequence;
            self.max = segment.sequence;
            self.acknowledgment = segment.acknowledgment;
        }
        let mut found = Found {
            marks: probe(segment, opposite),
            ..Found::default()
        };
        if segment.flags & ACK != 0 && found.marks == 0 {
            self.keep_alive(segment, opposite, &mut found);
            if self.acknowledgment == segment.acknowledgment
                && found.anomaly & (anomaly::KEEP_ALIVE | anomaly::KEEP_ALIVE_ACK) == 0
            {
                self.same_acknowledgment(segment, opposite, window, &mut found);
            }
            self.progress(segment, opposite, flags, &mut found);
        }
        found
    }

    /// Keeps the numbers of a packet as the last ones.
    pub(super) fn keep(&mut self, segment: &Segment, marks: u16) {
        self.sequence = segment.sequence;
        self.acknowledgment = segment.acknowledgment;
        self.next = segment.sequence.wrapping_add(segment.octets);
        if segment.ends() {
            self.next = self.next.wrapping_add(1);
        } else if marks & mark::PROBE != 0 {
            self.next = self.next.wrapping_sub(1);
        }
        self.max = self.max.max(self.next);
    }

    fn keep_alive(&self, segment: &Segment, opposite: Option<&Opposite>, found: &mut Found) {
        if segment.octets > 1 || segment.ends() {
            return;
        }
        let behind = segment.acknowledgment.wrapping_sub(1);
        if segment.sequence == self.max.wrapping_sub(1) {
            found.anomaly |= anomaly::KEEP_ALIVE;
        } else if opposite.is_some_and(|opposite| opposite.numbers.next == behind) {
            found.anomaly |= anomaly::KEEP_ALIVE_ACK;
        }
    }

    /// The packet acknowledges what the one before it did.
    fn same_acknowledgment(
        &mut self,
        segment: &Segment,
        opposite: Option<&Opposite>,
        window: u32,
        found: &mut Found,
    ) {
        let same_window = window == segment.window
            || segment
                .factor
                .is_some_and(|factor| window.wrapping_mul(factor) == segment.window);
        if segment.follows && !segment.ends() && segment.octets == 0 {
            if same_window {
                found.anomaly |= anomaly::DUPLICATE_ACK;
                self.acknowledgment_faults = self.acknowledgment_faults.wrapping_add(1);
            } else if segment.sequence == self.next {
                found.marks |= mark::WINDOW_UPDATE;
            }
        }
        if !segment.ends() && segment.sequence < self.max {
            found.anomaly |= anomaly::OUT_OF_ORDER;
        } else if segment.sequence < self.next && segment.late && window == segment.window {
            found.anomaly |= anomaly::RETRANSMISSION;
            self.retry(found);
        }
        let Some(opposite) = opposite else { return };
        let wanted = opposite.numbers.acknowledgment;
        if opposite.anomaly & anomaly::DUPLICATE_ACK != 0
            && segment.sequence == wanted
            && (segment.octets > 0 || segment.flags & (SYN | FIN) != 0)
            && segment.sequence < self.next
        {
            found.anomaly |= anomaly::FAST_RETRANSMISSION;
            self.retry(found);
        }
        if wanted > segment.sequence {
            found.anomaly |= anomaly::SEQUENCE_MESS;
        }
    }

    fn retry(&mut self, found: &mut Found) {
        found.retries += 1;
        self.sequence_faults = self.sequence_faults.wrapping_add(1);
    }

    /// How far both numbers went on.
    fn progress(
        &mut self,
        segment: &Segment,
        opposite: Option<&Opposite>,
        flags: u8,
        found: &mut Found,
    ) {
        let ended = flags & (SYN | FIN | RST) != 0;
        if segment.sequence == self.next {
            self.in_order = self.in_order.wrapping_add(1);
        }
        if opposite.is_some_and(|opposite| opposite.numbers.max < segment.acknowledgment) {
            found.anomaly |= anomaly::ACK_UNSEEN;
            self.acknowledgment_faults = self.acknowledgment_faults.wrapping_add(1);
        }
        if !ended && segment.sequence > self.max {
            found.anomaly |= anomaly::NOT_CAPTURED;
        }
        let opposite_ended =
            opposite.is_some_and(|opposite| opposite.flags & (SYN | FIN | RST) != 0);
        self.sent += step(self.sequence, segment.sequence, ended);
        self.acknowledged += step(
            self.acknowledgment,
            segment.acknowledgment,
            ended || opposite_ended,
        );
        self.acknowledging = self.acknowledging.wrapping_add(1);
    }
}

/// From one number to the next; the octet that a SYN or FIN takes does not count. 0 is taken as no number.
fn step(from: u32, to: u32, ended: bool) -> u64 {
    match to.wrapping_sub(from).cast_signed() {
        _ if from == 0 => 0,
        1 if ended => 0,
        step => u64::try_from(step).unwrap_or(0),
    }
}

/// A probe of a closed window, or the answer to it.
fn probe(segment: &Segment, opposite: Option<&Opposite>) -> u16 {
    match opposite {
        Some(_) if segment.ends() => 0,
        Some(opposite) if opposite.window == 0 && segment.octets == 1 => tcp::mark::PROBE,
        Some(opposite)
            if opposite.marks & mark::PROBE != 0 && segment.window == 0 && segment.octets == 0 =>
        {
            tcp::mark::PROBE_ACK
        }
        _ => 0,
    }
}
