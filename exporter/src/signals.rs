//! The signals of a program that finishes what it has begun, and tells on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

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
                _ => stop(&seen.stop),
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
    let seen = Arc::clone(&flag);
    wait_for(&[Signal::SIGINT, Signal::SIGTERM], move |_| stop(&seen))?;
    Ok(flag)
}

fn stop(flag: &AtomicBool) {
    if flag.swap(true, Ordering::Relaxed) {
        std::process::exit(1);
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
