//! A progress bar for captures that take a while, where somebody watches.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Captures that are read faster than this need no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far the reading is.
#[derive(Debug)]
pub struct Progress {
    /// Octets of the captures; `None` when no bar is wanted.
    size: Option<u64>,
    /// Octets of the captures before this one.
    before: u64,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For captures of `size` octets in all. Without a size, or when standard error is no terminal, nothing is ever shown.
    #[must_use]
    pub fn new(size: Option<u64>) -> Self {
        Progress {
            size: size.filter(|_| std::io::stderr().is_terminal()),
            before: 0,
            start: Instant::now(),
            bar: None,
        }
    }

    /// `offset` octets of this capture are read.
    pub fn at(&mut self, offset: u64) {
        let Some(size) = self.size else { return };
        if self.bar.is_none() && self.start.elapsed() > PATIENCE {
            self.bar = Some(bar(size, self.before + offset));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.before + offset);
        }
    }

    /// This capture is done after `offset` octets.
    pub fn next(&mut self, offset: u64) {
        self.before += offset;
    }

    /// Takes the bar away.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that begins when so many octets are `done`: the speed is that from here on.
fn bar(size: u64, done: u64) -> ProgressBar {
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    let bar = ProgressBar::new(size).with_position(done);
    bar.reset_eta();
    // The template is fixed; were it wrong, the plain bar would do.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
