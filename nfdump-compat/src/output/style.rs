//! What the user chose about the look of the output.

use super::versions::{Facts, Scale};

/// Whose output is imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// nfdump as in the Tranalyzer tutorial: durations in seconds, six flag letters, unscaled sums in the summary.
    Tutorial,
    /// nfdump 1.7.1.
    #[default]
    #[value(name = "1.7.1", alias = "1.7")]
    V1_7_1,
    /// nfdump 1.6 (as 1.6.22): durations in seconds, sums in the summary scaled.
    #[value(name = "1.6")]
    V1_6,
    /// nfdump 1.7.5: other headings, csv and JSON, the length of the time window.
    #[value(name = "1.7.5")]
    V1_7_5,
    /// nfdump 1.8 as its development tree is described: as 1.7.5, numbers scaled from a thousand on.
    #[value(name = "1.8")]
    V1_8,
}

/// Choices that change how values are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whose output is imitated.
    pub compat: Compat,
    /// IPv6 addresses in full length (`-6`).
    pub full_ipv6: bool,
    /// A byte 0x01 before each address (`-T`), for programs that make links of them.
    pub tag: bool,
    /// Plain numbers (`-N`): no scaling, protocols by number, durations in seconds.
    pub plain_numbers: bool,
}

impl Style {
    /// What the imitated version does otherwise than others.
    #[must_use]
    pub fn facts(&self) -> &'static Facts {
        self.compat.facts()
    }

    /// How the numbers of statistics and of the summary are scaled.
    #[must_use]
    pub fn sum_scale(&self) -> Scale {
        if self.facts().scales_sums {
            self.facts().scale
        } else {
            self.scale()
        }
    }

    /// How counters and rates of flows are scaled.
    #[must_use]
    pub fn scale(&self) -> Scale {
        if self.plain_numbers {
            Scale::Plain
        } else {
            self.facts().scale
        }
    }
}
