//! Sampling: how many packets one packet of a record stands for.

use std::num::NonZeroU32;

/// A higher rate is taken for nonsense, and not applied.
const MAX_RATE: u64 = 10_000_000;

/// `interval` packets selected, `space` packets left out, in turn (RFC 5476 section 6.5.2.1) or on the average.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// Packets selected.
    pub interval: NonZeroU32,
    /// Packets left out.
    pub space: u32,
    /// samplingAlgorithm, samplerMode or selectorAlgorithm.
    pub algorithm: u16,
}

/// What the user says of sampling (`-s`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssumedSampling {
    /// How exporters sample.
    pub sampling: Sampling,
    /// Even those that tell something else.
    pub always: bool,
}

impl Sampling {
    /// So many selected and so many left out. `None` if that selects nothing, or hardly anything.
    pub fn new(interval: u64, space: u64, algorithm: u16) -> Option<Self> {
        let divisor = gcd(interval, space).max(1);
        let (interval, space) = (interval / divisor, space / divisor);
        let of = interval.checked_add(space)?;
        if interval == 0 || of / interval > MAX_RATE {
            return None;
        }
        Some(Self {
            interval: NonZeroU32::new(u32::try_from(interval).ok()?)?,
            space: u32::try_from(space).ok()?,
            algorithm,
        })
    }

    /// One in `rate`.
    pub fn one_in(rate: u64, algorithm: u16) -> Option<Self> {
        Self::new(1, rate.checked_sub(1)?, algorithm)
    }

    /// Each with this probability (RFC 5476 section 6.5.2.4).
    pub fn probability(probability: f64, algorithm: u16) -> Option<Self> {
        const PRECISION: f64 = 1e9;
        if !(probability > 0.0 && probability <= 1.0) {
            return None;
        }
        // One in a whole number is kept exact, whatever the binary fraction makes of it.
        let rate = 1.0 / probability;
        if (rate - rate.round()).abs() < 1e-6 * rate {
            return Self::one_in(rate.round() as u64, algorithm);
        }
        let interval = (probability * PRECISION).round() as u64;
        Self::new(
            interval,
            (PRECISION as u64).saturating_sub(interval),
            algorithm,
        )
    }

    /// Whether packets are left out at all.
    pub fn is_sampled(&self) -> bool {
        self.space > 0
    }

    /// Packets that one packet stands for.
    pub fn rate(&self) -> f64 {
        let interval = f64::from(self.interval.get());
        (interval + f64::from(self.space)) / interval
    }

    /// A count as it would be without sampling, to the nearest whole number.
    pub fn scale(&self, count: u64) -> u64 {
        let interval = u128::from(self.interval.get());
        let scaled =
            (u128::from(count) * (interval + u128::from(self.space)) + interval / 2) / interval;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_four_ways_to_say_ten() {
        // RFC 5476 6.5.2.1: 1 of 10, 2 of 20; 6.5.2.3: 100 of 1000; 6.5.2.4: 0.1.
        let ways = [
            Sampling::one_in(10, 0),
            Sampling::new(1, 9, 0),
            Sampling::new(2, 18, 0),
            Sampling::new(100, 900, 0),
            Sampling::probability(0.1, 0),
            Sampling::probability(f64::from(0.1_f32), 0),
        ];
        for way in ways {
            assert_eq!((way.unwrap().scale(7), way.unwrap().rate()), (70, 10.0));
        }
    }

    #[test]
    fn what_is_no_whole_number_is_rounded_once() {
        let third = Sampling::new(3, 7, 0).unwrap();
        assert_eq!((third.scale(3), third.scale(1)), (10, 3));
        assert_eq!(
            Sampling::probability(0.3, 0).unwrap().scale(3_000_000),
            10_000_000
        );
        assert_eq!(Sampling::one_in(3, 0).unwrap().scale(u64::MAX), u64::MAX);
    }

    #[test]
    fn nonsense_is_not_applied() {
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.5, 1e-12] {
            assert_eq!(Sampling::probability(nonsense, 0), None, "{nonsense}");
        }
        assert_eq!(Sampling::one_in(0, 0), None);
        assert_eq!(Sampling::one_in(u64::from(u32::MAX), 0), None);
        assert_eq!(Sampling::new(0, 5, 0), None);
        assert_eq!(Sampling::new(u64::MAX, u64::MAX, 0).unwrap().rate(), 2.0);
        assert_eq!(Sampling::new(u64::MAX, 1, 0), None);
        assert!(!Sampling::one_in(1, 0).unwrap().is_sampled());
    }
}
