//! Whether one side has a sample of the other's packets.

/// Packets of flows of both sides, by how many packets the first side saw of a flow.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Spread {
    /// Flows of up to 1, 4, 16, 64 … packets.
    buckets: [[u128; 2]; BUCKETS],
    /// The greatest common divisor of what was seen.
    divisor: u64,
}

const BUCKETS: usize = 12;

/// Fewer packets than this prove nothing.
const ENOUGH: u128 = 200;

/// Standard deviations within which a sample may lie.
const DEVIATIONS: f64 = 5.0;

impl Spread {
    /// A flow of which one side has `of` packets, the other `seen`.
    pub fn add(&mut self, of: u64, seen: u64) {
        let bucket = (u64::BITS - of.saturating_sub(1).leading_zeros()).div_ceil(2) as usize;
        if let Some([all, found]) = self.buckets.get_mut(bucket.min(BUCKETS - 1)) {
            *all += u128::from(of);
            *found += u128::from(seen);
        }
        self.divisor = gcd(self.divisor, seen);
    }

    /// By what all that was seen can be divided: a sample that was multiplied again shows its rate so.
    pub fn divisor(&self) -> u64 {
        self.divisor
    }

    /// With what was seen divided by the factor it was multiplied by.
    pub fn scaled_down(mut self, factor: u64) -> Self {
        for [_, found] in &mut self.buckets {
            *found /= u128::from(factor.max(1));
        }
        self
    }

    /// N, if what was seen looks like one of N packets taken without regard to their flows, whether these are long or
    /// short.
    pub fn one_in(&self) -> Option<f64> {
        let sum = |place: usize| {
            self.buckets
                .iter()
                .map(|bucket| bucket[place])
                .sum::<u128>()
        };
        let (all, found) = (sum(0), sum(1));
        if all < ENOUGH || found == 0 || found * 3 > all * 2 {
            return None;
        }
        let part = found as f64 / all as f64;
        let fits = self.buckets.iter().all(|[all, found]| {
            let expected = *all as f64 * part;
            let deviation = (expected * (1.0 - part)).sqrt().max(1.0);
            (*found as f64 - expected).abs() <= DEVIATIONS * deviation
        });
        fits.then(|| 1.0 / part)
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of n packets, scattered, of 2000 flows of 1 to 200 packets.
    fn sampled(n: u64) -> Spread {
        let mut spread = Spread::default();
        let mut packet = 0;
        for flow in 0..2000u64 {
            let of = flow * 7 % 200 + 1;
            let seen = (packet..packet + of)
                .filter(|packet| packet * 2_654_435_761 % 4_294_967_291 % n == 0)
                .count();
            packet += of;
            spread.add(of, seen as u64);
        }
        spread
    }

    #[test]
    fn the_rate_of_a_sample_is_found() {
        for n in [2, 10, 100] {
            let found = sampled(n).one_in().expect("a sample");
            assert!((found / n as f64 - 1.0).abs() < 0.02, "1:{n}: {found}");
        }
        assert_eq!(sampled(1).one_in(), None);
    }

    #[test]
    fn lost_short_flows_are_no_sample() {
        let mut spread = Spread::default();
        for flow in 0..2000u64 {
            let of = flow * 7 % 200 + 1;
            spread.add(of, if of > 150 { of } else { 0 });
        }
        assert_eq!(spread.one_in(), None);
    }
}
