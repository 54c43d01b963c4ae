//! Which packets become part of flows (`--sample`).

use crate::cli::SampleMode;
use crate::config::Sampling;

/// Chooses one packet of each N.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    /// The place of the next packet among its N.
    at: u32,
    /// The place of the one that is chosen.
    chosen: u32,
    state: u64,
}

impl Sampler {
    /// As set.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        let mut sampler = Sampler {
            sampling,
            at: 0,
            chosen: 0,
            state: sampling.seed,
        };
        sampler.choose();
        sampler
    }

    /// Whether the next packet is chosen.
    pub fn selects(&mut self) -> bool {
        let selected = self.at == self.chosen;
        self.at += 1;
        if self.at >= self.sampling.one_in {
            self.at = 0;
            self.choose();
        }
        selected
    }

    fn choose(&mut self) {
        self.chosen = match self.sampling.mode {
            SampleMode::Count => 0,
            SampleMode::Random => (self.random() % u64::from(self.sampling.one_in.max(1))) as u32,
        };
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(mode: SampleMode, seed: u64) -> Vec<usize> {
        let mut sampler = Sampler::new(Sampling {
            one_in: 10,
            mode,
            seed,
        });
        (0..1000).filter(|_| sampler.selects()).collect()
    }

    #[test]
    fn counting_chooses_the_first_of_every_n() {
        let expect: Vec<usize> = (0..100).map(|n| n * 10).collect();
        assert_eq!(chosen(SampleMode::Count, 1), expect);
    }

    #[test]
    fn random_chooses_one_of_every_n_the_same_for_the_same_seed() {
        let random = chosen(SampleMode::Random, 1);
        assert_eq!(random, chosen(SampleMode::Random, 1));
        assert_ne!(random, chosen(SampleMode::Random, 2));
        let blocks: Vec<usize> = random.iter().map(|at| at / 10).collect();
        assert_eq!(blocks, (0..100).collect::<Vec<_>>());
        let places: std::collections::BTreeSet<_> = random.iter().map(|at| at % 10).collect();
        assert_eq!(places.len(), 10, "every place is chosen now and then");
    }
}
