//! The signals of a program that finishes what it has begun, and tells on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

/// A wish may come twice: `timeout` signals the program, and then its whole process group.
const ONE_WISH: Duration = Duration::from_millis(500);

/// What signals have asked for so far. [`Default`] is for programs and tests without signals.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// SIGINT or SIGTERM: what was taken in is still brought to an end. The second one ends the program with exit
    /// code 1.
    pub stop: Arc<AtomicBool>,
    /// SIGUSR1: a report of the moment. Whoever gives it takes the flag back.
    pub status: Arc<AtomicBool>,
    /// SIGUSR2: regular reports begin or end. Whoever obeys takes the flag back.
    pub toggle: Arc<AtomicBool>,
}

impl Signals {
    /// Waits for all of them from now on. To be called before any thread is started.
    ///
    /// # Errors
    /// When the system does not let the signals be blocked.
    pub fn take() -> anyhow::Result<Self> {
        let signals = Signals::default();
        let seen = signals.clone();
        let mut wish = Wish::new(&signals.stop);
        wait_for(
            &[
                Signal::SIGINT,
                Signal::SIGTERM,
                Signal::SIGUSR1,
                Signal::SIGUSR2,
            ],
            move |signal| match signal {
                Signal::SIGUSR1 => seen.status.store(true, Ordering::Relaxed),
                Signal::SIGUSR2 => seen.toggle.store(true, Ordering::Relaxed),
                _ => wish.came(Instant::now()),
            },
        )?;
        Ok(signals)
    }

    /// Whether the work is to be ended.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Sets the flag at the first SIGINT or SIGTERM; the second ends the program with exit code 1. To be called before any
/// thread is started.
///
/// # Errors
/// When the system does not let the signals be blocked.
pub fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let mut wish = Wish::new(&flag);
    wait_for(&[Signal::SIGINT, Signal::SIGTERM], move |_| {
        wish.came(Instant::now());
    })?;
    Ok(flag)
}

/// The wish that the program end.
struct Wish {
    flag: Arc<AtomicBool>,
    first: Option<Instant>,
}

impl Wish {
    fn new(flag: &Arc<AtomicBool>) -> Self {
        Self {
            flag: Arc::clone(flag),
            first: None,
        }
    }

    fn came(&mut self, now: Instant) {
        if self.is_again(now) {
            std::process::exit(1);
        }
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether it is a second wish.
    fn is_again(&mut self, now: Instant) -> bool {
        let first = *self.first.get_or_insert(now);
        now.saturating_duration_since(first) >= ONE_WISH
    }
}

fn wait_for(
    signals: &[Signal],
    mut came: impl FnMut(Signal) + Send + 'static,
) -> anyhow::Result<()> {
    let signals = SigSet::from_iter(signals.iter().copied());
    // Blocked here, and so in all threads to come: they are waited for instead.
    signals.thread_block()?;
    std::thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            came(signal);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wish_that_comes_twice_is_no_second_one() {
        let mut wish = Wish::new(&Arc::default());
        let begin = Instant::now();
        assert!(!wish.is_again(begin));
        assert!(!wish.is_again(begin + Duration::from_millis(20)));
        assert!(wish.is_again(begin + ONE_WISH));
    }
}
