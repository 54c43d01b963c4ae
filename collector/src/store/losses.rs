//! Everything that did not become a flow record, by cause.

use std::fmt;

use protocol::session::Counters;

/// Running totals, or the difference of two: what a slot lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Losses {
    /// Packets of senders that are no source.
    pub unknown_senders: u64,
    /// Packets of senders for which there was no room as sources.
    pub refused_sources: u64,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub kernel_drops: u64,
    /// Datagrams dropped because the worker they were for was behind.
    pub queue_drops: u64,
    /// What exporters told about themselves and there was no room for.
    pub refused_names: u64,
    /// Sampling rates that make no sense.
    pub implausible_sampling: u64,
    /// What the session counts.
    pub session: Counters,
}

/// Where a number comes from and how it is told.
type Cause = (fn(&Losses) -> u64, &'static str);

/// What costs records.
const LOST: [Cause; 16] = [
    (|l| l.unknown_senders, "packets of unknown senders"),
    (
        |l| l.refused_sources,
        "packets of sources over the limit or without files",
    ),
    (
        |l| l.kernel_drops,
        "datagrams dropped by the kernel (receive buffer full)",
    ),
    (
        |l| l.queue_drops,
        "datagrams dropped because decoding was behind (queue full)",
    ),
    (
        |l| l.session.unknown,
        "packets of unknown version or without a complete header",
    ),
    (|l| l.session.malformed, "malformed packets"),
    (|l| l.session.bad_templates, "unusable templates"),
    (|l| l.session.refused_templates, "templates over the limit"),
    (
        |l| l.session.refused_records,
        "records of messages over the limit",
    ),
    (
        |l| l.session.refused_exporters,
        "packets of exporters over the limit",
    ),
    (
        |l| l.session.refused_domains,
        "packets of domains over the limit",
    ),
    (
        |l| l.session.pending_expired,
        "data sets whose template did not come in time",
    ),
    (
        |l| l.session.pending_overflow,
        "data sets without template over the limit",
    ),
    (
        |l| l.session.pending_restart,
        "data sets without template before a restart",
    ),
    (
        |l| l.session.pending_unfit,
        "data sets that their late template did not fit",
    ),
    (
        |l| l.session.pending_closed,
        "data sets whose stream ended before their template came",
    ),
];

/// What is worth knowing but costs nothing.
const NOTED: [Cause; 11] = [
    (
        |l| l.session.late_records,
        "records waited for their template",
    ),
    (
        |l| l.session.borrowed_sets,
        "data sets read by templates of another port",
    ),
    (
        |l| l.session.redefinitions,
        "templates replaced by other definitions",
    ),
    (
        |l| l.session.expired_templates,
        "templates forgotten after their lifetime",
    ),
    (
        |l| l.refused_names,
        "names, samplers or elements over the limit",
    ),
    (|l| l.implausible_sampling, "samplings that make no sense"),
    (|l| l.session.options_records, "options records"),
    (|l| l.session.restarts, "restarts of exporters"),
    (|l| l.session.out_of_order, "packets out of order or twice"),
    (|l| l.session.sequence_jumps, "jumps of a sequence number"),
    (|l| l.session.violations, "harmless violations"),
];

impl Losses {
    /// What came in addition since earlier totals. Both are sums of parts.
    #[must_use]
    pub fn since(now: &[Self], earlier: &[Self]) -> Difference {
        let sum = |parts: &[Self], of: fn(&Self) -> u64| parts.iter().map(of).sum::<u64>();
        let count = |&(of, text): &Cause| (sum(now, of).saturating_sub(sum(earlier, of)), text);
        Difference {
            lost: Listing(LOST.iter().map(count).collect()),
            noted: Listing(NOTED.iter().map(count).collect()),
        }
    }
}

/// Losses and notes of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What cost records.
    pub lost: Listing,
    /// What did not.
    pub noted: Listing,
}

/// Numbers and what they count; shown without the zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing(Vec<(u64, &'static str)>);

impl Listing {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&(count, _)| count == 0)
    }

    /// All numbers, zeros too, and what they count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &'static str)> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (count, text) in self.0.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {text}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_in_addition_is_told() {
        let before = Losses {
            kernel_drops: 5,
            ..Losses::default()
        };
        let mut after = before;
        assert!(Losses::since(&[after], &[before]).lost.is_empty());
        after.kernel_drops = 7;
        after.session.pending_expired = 1;
        after.session.late_records = 3;
        let more = Losses {
            queue_drops: 4,
            ..Losses::default()
        };
        let told = Losses::since(&[after, more], &[before]);
        assert_eq!(
            told.lost.to_string(),
            "2 datagrams dropped by the kernel (receive buffer full), 4 datagrams dropped because decoding was \
             behind (queue full), 1 data sets whose template did not come in time"
        );
        assert_eq!(
            told.noted.to_string(),
            "3 records waited for their template"
        );
    }
}
