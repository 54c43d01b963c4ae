//! Times between a packet and the answer to it (the round trip part of Tranalyzer's tcpFlags).

/// How far a direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing that begins anything.
    #[default]
    None,
    /// A SYN.
    Syn,
    /// A SYN with an acknowledgment, or the first packet without TCP.
    SynAck,
    /// In the middle.
    Ack,
    /// Over: no more times are taken.
    Stop,
}

/// Seconds between the last packet of one direction and the next one of the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trips {
    /// From the first packet to the answer.
    pub first: f32,
    /// The shortest; 65535 if there is none.
    pub min: f32,
    /// The longest.
    pub max: f32,
    /// Their running mean.
    pub mean: f32,
    /// Their running variance.
    variance: f32,
    pub(super) phase: Phase,
    packets: f32,
}

impl Default for Trips {
    fn default() -> Self {
        Trips {
            first: 0.0,
            min: 65535.0,
            max: 0.0,
            mean: 0.0,
            variance: 0.0,
            phase: Phase::None,
            packets: 0.0,
        }
    }
}

impl Trips {
    /// Standard deviation of the trips.
    #[must_use]
    pub fn jitter(&self) -> f32 {
        self.variance.sqrt()
    }

    /// Standard deviation of the way there and back.
    #[must_use]
    pub fn round_trip_jitter(&self, opposite: &Trips) -> f32 {
        (self.variance + opposite.variance).sqrt()
    }

    /// A packet of this direction, with none of the other before it.
    pub(super) fn alone(&mut self) {
        self.packets += 1.0;
    }

    /// A packet of this direction came `seconds` after one of `opposite`, which it is taken as an answer to.
    pub(super) fn answers(&mut self, opposite: &mut Trips, seconds: f32) {
        self.packets += 1.0;
        if self.phase == Phase::Stop {
            return;
        }
        opposite.min = opposite.min.min(seconds);
        opposite.max = opposite.max.max(seconds);
        if matches!(opposite.phase, Phase::Syn | Phase::SynAck) && opposite.packets == 1.0 {
            opposite.first = seconds;
            opposite.mean = seconds;
        } else {
            let difference = seconds - opposite.mean;
            opposite.mean += difference / self.packets;
            opposite.variance += (difference * difference - opposite.variance) / self.packets;
            opposite.phase = Phase::Ack;
        }
    }

    /// The packet has no TCP header.
    pub(super) fn without_tcp(&mut self) {
        if self.packets == 1.0 {
            self.phase = Phase::SynAck;
        } else if self.phase == Phase::SynAck {
            self.phase = Phase::Ack;
        }
    }
}
