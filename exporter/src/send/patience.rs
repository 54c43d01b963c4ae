//! How long a collector, or another peer, is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Once the run is to end, nobody is waited for longer than this.
const AT_THE_END: Duration = Duration::from_secs(2);

/// How long a peer may read nothing, and whether somebody wants the run to end meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    most: Duration,
    stop: Arc<AtomicBool>,
}

impl Patience {
    /// How often a wait is interrupted to see whether it is over.
    pub(crate) const LOOK: Duration = Duration::from_millis(100);

    pub(crate) fn new(most: Duration, stop: &Arc<AtomicBool>) -> Self {
        Patience {
            most,
            stop: Arc::clone(stop),
        }
    }

    /// Whether the run is to end.
    fn is_short(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a peer that has read nothing since then has had its time: how long that was.
    pub(crate) fn is_over(&self, since: Instant) -> Option<Duration> {
        let most = match self.is_short() {
            true => self.most.min(AT_THE_END),
            false => self.most,
        };
        (since.elapsed() >= most).then_some(most)
    }

    /// Waits until then, or until the run is to end.
    pub(crate) fn wait_until(&self, then: Instant) {
        while !self.is_short() {
            let left = then.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Self::LOOK));
        }
    }
}
