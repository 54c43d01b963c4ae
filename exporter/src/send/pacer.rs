//! Spreads flows evenly: a bucket of tokens that fills with time, one token a flow.

use std::time::{Duration, Instant};

/// The bucket. Does not wait itself.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Tokens a second.
    rate: f64,
    /// The most tokens that a pause can save up: what a collector's socket buffer takes in one go.
    burst: f64,
    tokens: f64,
    last: Instant,
}

impl Pacer {
    /// Two milliseconds' worth, and never more than some 45 messages of 1400 octets: 64 KiB.
    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate);
        let burst = (rate * 0.002).clamp(1.0, 800.0);
        Pacer {
            rate,
            burst,
            tokens: burst,
            last: now,
        }
    }

    /// Takes `flows` tokens; says how long to wait before the flows may go.
    pub(crate) fn delay(&mut self, now: Instant, flows: u64) -> Duration {
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.burst) - flows as f64;
        let debt = (-self.tokens).max(0.0);
        Duration::try_from_secs_f64(debt / self.rate).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pacer_keeps_its_rate_and_its_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(100_000, start);
        // The burst of 200 flows goes at once, what is above it must wait.
        assert_eq!(pacer.delay(start, 200), Duration::ZERO);
        assert_eq!(pacer.delay(start, 100), Duration::from_millis(1));
        // A long pause saves up no more than the burst.
        let later = start + Duration::from_secs(9);
        assert_eq!(pacer.delay(later, 200), Duration::ZERO);
        assert_eq!(pacer.delay(later, 1000), Duration::from_millis(10));
    }

    #[test]
    fn a_second_of_flows_takes_a_second() {
        let mut now = Instant::now();
        let start = now;
        let mut pacer = Pacer::new(50_000, now);
        for _ in 0..500 {
            now += pacer.delay(now, 100);
        }
        let took = now - start;
        assert!(
            took > Duration::from_millis(990) && took < Duration::from_millis(1001),
            "{took:?}"
        );
    }
}
