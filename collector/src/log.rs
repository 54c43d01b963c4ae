//! Messages on stderr: set-up of `tracing`, and limits so that no sender can flood the log.

use jiff::ZonedDateTime;
use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Local time to the second, as in other collectors' logs.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// Sends log messages to stderr: notices and worse, `-v` details, `-vv` everything.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // A second initialisation (tests) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_timer(LocalTime)
        .try_init();
}

/// At most `burst` messages a minute of one kind; the rest is counted and told with the next that may pass.
#[derive(Clone, Debug)]
pub struct RateLimit {
    burst: u32,
    window_start_ms: u64,
    shown: u32,
    suppressed: u64,
}

impl RateLimit {
    const WINDOW_MS: u64 = 60_000;

    /// A limit of `burst` messages a minute.
    #[must_use]
    pub fn new(burst: u32) -> Self {
        Self {
            burst,
            window_start_ms: 0,
            shown: 0,
            suppressed: 0,
        }
    }

    /// Whether a message may be shown now, and how many were held back before it.
    pub fn pass(&mut self, now_ms: u64) -> Option<Suppressed> {
        // A clock that went backwards opens a new window, too.
        if now_ms.abs_diff(self.window_start_ms) >= Self::WINDOW_MS {
            self.window_start_ms = now_ms;
            self.shown = 0;
        }
        if self.shown >= self.burst {
            self.suppressed += 1;
            return None;
        }
        self.shown += 1;
        Some(Suppressed(std::mem::take(&mut self.suppressed)))
    }
}

/// How many messages like this were held back; empty text when none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suppressed(pub u64);

impl std::fmt::Display for Suppressed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, " ({n} more like this were not shown)"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_burst_a_minute_passes_and_the_rest_is_counted() {
        let mut limit = RateLimit::new(2);
        assert_eq!(limit.pass(100_000).unwrap(), Suppressed(0));
        assert_eq!(limit.pass(100_001).unwrap(), Suppressed(0));
        assert_eq!(limit.pass(100_002), None);
        assert_eq!(limit.pass(159_999), None);
        let passed = limit.pass(160_000).unwrap();
        assert_eq!(passed.to_string(), " (2 more like this were not shown)");
    }
}
