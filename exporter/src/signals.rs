//! SIGINT and SIGTERM of a program that finishes what it has begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// Sets the flag at the first SIGINT or SIGTERM, so that what was taken in is still brought to an end; the second
/// ends the program with exit code 1. To be called before any thread is started.
///
/// # Errors
/// When the system does not let the signals be blocked.
pub fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Blocked here, and so in all threads to come: they are waited for instead.
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        }
    });
    Ok(stop)
}
