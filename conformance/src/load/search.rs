//! The search for the highest rate without loss (RFC 2544 section 26.1, as RFC 6645 section 4 uses it): doubled until
//! something is lost, then halved between the highest rate without loss and the lowest with it, then confirmed.

use serde::Serialize;

/// A sender that falls this much short of what was asked for is the limit itself.
const SHORT: f64 = 0.95;

/// A search ends after so many trials, whatever it has found.
const MOST_TRIALS: usize = 60;

/// What came of one trial. Rates are per second, in the unit of the search.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Trial {
    /// The rate that was asked for.
    pub asked: f64,
    /// The rate that was sent.
    pub sent: f64,
    /// How much was sent, in all.
    pub amount: u64,
    /// How much of it arrived.
    pub arrived: u64,
    /// Of what is missing: dropped by this system before the device could read it.
    pub dropped: u64,
    /// Octets sent, headers of IP and below aside.
    pub octets: u64,
    /// Seconds that sending took.
    pub seconds: f64,
    /// Peak memory of the device, MiB.
    pub memory_mib: u64,
    /// Why nothing is known of what arrived.
    pub fault: Option<String>,
}

impl Trial {
    /// Whether all arrived, of something.
    pub fn is_lossless(&self) -> bool {
        self.fault.is_none() && self.amount > 0 && self.arrived == self.amount
    }

    /// Whether the sender was slower than asked.
    pub fn is_short(&self) -> bool {
        self.sent < self.asked * SHORT
    }
}

/// How to search.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Search {
    /// The first rate.
    pub from: f64,
    /// The highest rate to try.
    pub to: f64,
    /// The highest rate without loss and the lowest with it are no further apart than this share.
    pub precision: f64,
    /// So many trials must be without loss at the rate that is told.
    pub confirm: usize,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Found {
    /// The highest rate without loss: the slowest of the trials that confirm it.
    pub lossless: Option<Trial>,
    /// The lowest rate with loss.
    pub lossy: Option<Trial>,
    /// The rate is that of the sender, or the highest that was to be tried: the device may be faster.
    pub at_least: bool,
    /// All trials, in order.
    pub trials: Vec<Trial>,
}

impl Search {
    /// Searches; `run` does one trial, and gives `None` when all is to end.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn run(
        &self,
        mut run: impl FnMut(f64) -> anyhow::Result<Option<Trial>>,
    ) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let mut rate = self.from.min(self.to);
        while found.trials.len() < MOST_TRIALS {
            let Some(trial) = run(rate)? else { break };
            found.trials.push(trial.clone());
            let mut ceiling = trial.is_short() || rate >= self.to;
            if trial.is_lossless() {
                let better = |known: &Trial| trial.sent > known.sent;
                if found.lossless.as_ref().is_none_or(better) {
                    found.lossless = Some(trial);
                }
            } else {
                // A rate that once was without loss is none that can be relied on.
                found.lossless = highest_below(&found.trials, trial.sent);
                let lower = |known: &Trial| trial.sent < known.sent;
                if found.lossy.as_ref().is_none_or(lower) {
                    found.lossy = Some(trial);
                }
                ceiling = false;
            }
            found.at_least = found.lossy.is_none() && ceiling;
            let Some(next) = self.next(&found) else { break };
            rate = next;
        }
        if let Some(best) = &found.lossless {
            found.lossless = self.slowest_at(&found.trials, best.asked);
        }
        Ok(found)
    }

    /// The next rate, or none when enough is known.
    fn next(&self, found: &Found) -> Option<f64> {
        match (&found.lossless, &found.lossy) {
            // Nothing gets through at all.
            (None, Some(lossy)) if lossy.asked < 1.0 => None,
            (None, Some(lossy)) => Some(lossy.sent.min(lossy.asked) / 4.0),
            (None, None) => None,
            (Some(best), lossy) => {
                let apart = |lossy: &Trial| lossy.sent > best.sent * (1.0 + self.precision);
                if !found.at_least && lossy.as_ref().is_none_or(apart) {
                    return Some(match lossy {
                        None => (best.asked * 2.0).min(self.to),
                        Some(lossy) => f64::midpoint(best.sent, lossy.sent.min(lossy.asked)),
                    });
                }
                let at = |trial: &&Trial| trial.asked.to_bits() == best.asked.to_bits();
                let confirmed = found.trials.iter().filter(at).count();
                (confirmed < self.confirm).then_some(best.asked)
            }
        }
    }

    fn slowest_at(&self, trials: &[Trial], rate: f64) -> Option<Trial> {
        let at = trials
            .iter()
            .filter(|trial| trial.asked.to_bits() == rate.to_bits() && trial.is_lossless());
        at.min_by(|one, other| one.sent.total_cmp(&other.sent))
            .cloned()
    }
}

/// The highest trial without loss below a rate with loss, of rates that never had one.
fn highest_below(trials: &[Trial], rate: f64) -> Option<Trial> {
    let failed = |asked: f64| {
        trials
            .iter()
            .any(|trial| !trial.is_lossless() && trial.asked.to_bits() == asked.to_bits())
    };
    trials
        .iter()
        .filter(|trial| trial.is_lossless() && trial.sent < rate && !failed(trial.asked))
        .max_by(|one, other| one.sent.total_cmp(&other.sent))
        .cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SEARCH: Search = Search {
        from: 1000.0,
        to: 1e9,
        precision: 0.05,
        confirm: 3,
    };

    /// A device that takes `limit` a second, behind a sender that can do `ceiling`.
    fn trial(asked: f64, limit: f64, ceiling: f64) -> Trial {
        let sent = asked.min(ceiling);
        let amount = sent as u64;
        Trial {
            asked,
            sent,
            amount,
            arrived: amount.min(limit as u64),
            ..Trial::default()
        }
    }

    fn found(limit: f64, ceiling: f64) -> Found {
        SEARCH
            .run(|rate| Ok(Some(trial(rate, limit, ceiling))))
            .unwrap()
    }

    #[test]
    fn the_rate_is_found_from_below_and_from_above() {
        for limit in [70.0, 999.0, 1000.0, 54_321.0, 7_654_321.0] {
            let found = found(limit, f64::MAX);
            let (best, lossy) = (found.lossless.unwrap(), found.lossy.unwrap());
            assert!(
                best.sent <= limit + 1.0 && best.sent * 1.06 > limit,
                "{limit}: {best:?}"
            );
            assert!(
                lossy.sent > limit && lossy.sent < limit * 1.12 + 1.0,
                "{limit}: {lossy:?}"
            );
            assert!(!found.at_least);
            let confirmed = found
                .trials
                .iter()
                .filter(|trial| trial.asked == best.asked);
            assert_eq!(confirmed.count(), 3);
        }
    }

    #[test]
    fn a_sender_that_is_the_limit_is_said_to_be() {
        let found = found(1e7, 300_000.0);
        assert!(found.at_least && found.lossy.is_none());
        assert_eq!(found.lossless.unwrap().sent, 300_000.0);
        let search = Search {
            to: 5000.0,
            ..SEARCH
        };
        let found = search.run(|rate| Ok(Some(trial(rate, 1e7, 1e7)))).unwrap();
        assert!(found.at_least && found.trials.len() < 8);
        assert_eq!(found.lossless.unwrap().sent, 5000.0);
    }

    #[test]
    fn what_fails_once_when_it_is_confirmed_is_not_told() {
        // 4000 goes well once, and not again.
        let mut at_4000 = 0;
        let found = SEARCH
            .run(|rate| {
                let mut trial = trial(rate, 4000.0, f64::MAX);
                if rate > 3900.0 && trial.is_lossless() {
                    at_4000 += 1;
                    trial.arrived -= u64::from(at_4000 > 1);
                }
                Ok(Some(trial))
            })
            .unwrap();
        let best = found.lossless.unwrap();
        assert!(best.sent < 3900.0 && best.sent > 3600.0, "{best:?}");
    }

    #[test]
    fn a_device_that_takes_nothing_and_an_interruption_end_the_search() {
        let nothing = found(0.0, f64::MAX);
        assert!(nothing.lossless.is_none() && nothing.trials.len() < 20);
        let mut left = 3;
        let found = SEARCH
            .run(|rate| {
                left -= 1;
                Ok((left > 0).then(|| trial(rate, 1e9, f64::MAX)))
            })
            .unwrap();
        assert_eq!((found.trials.len(), found.at_least), (2, false));
    }
}
