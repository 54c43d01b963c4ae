//! What the judges say: a verdict for each rule, and the findings behind it.

use std::fmt;

/// What became of one rule, from harmless to dangerous; the order is that of severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Nothing to check the rule on, or not by this way of observing.
    NotApplicable,
    /// Checked and kept.
    Pass,
    /// Broken, and no data is harmed.
    Deviation,
    /// A collector that keeps to the RFC stores something else than was meant.
    WrongData,
    /// A collector that keeps to the RFC cannot store it at all.
    DataLoss,
    /// Endangers the one who receives it.
    Unsafe,
}

impl Verdict {
    /// All, in the order of severity.
    pub const ALL: [Verdict; 6] = [
        Verdict::NotApplicable,
        Verdict::Pass,
        Verdict::Deviation,
        Verdict::WrongData,
        Verdict::DataLoss,
        Verdict::Unsafe,
    ];

    /// The name in all reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::NotApplicable => "NOT APPLICABLE",
            Verdict::Pass => "PASS",
            Verdict::Deviation => "DEVIATION",
            Verdict::WrongData => "WRONG DATA",
            Verdict::DataLoss => "DATA LOSS",
            Verdict::Unsafe => "UNSAFE",
        }
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Verdict::NotApplicable => {
                "nothing to check the rule on, or not by this way of observing"
            }
            Verdict::Pass => "checked and kept",
            Verdict::Deviation => "broken, and no data is harmed",
            Verdict::WrongData => {
                "a collector that keeps to the RFC stores something else than was meant"
            }
            Verdict::DataLoss => "a collector that keeps to the RFC cannot store it at all",
            Verdict::Unsafe => "endangers the one who receives it",
        }
    }

    /// Whether the rule is broken.
    pub fn is_negative(self) -> bool {
        self >= Verdict::Deviation
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The reading of the rules, where RFCs and the field disagree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Profile {
    /// RFC 7011 (2013) for IPFIX, RFC 3954 for NetFlow v9.
    #[default]
    Rfc7011,
    /// RFC 5101 with the tests of RFC 5471 (2009).
    Rfc5101,
    /// RFC 7011 with what has been learnt since, such as TLS 1.2 at least (RFC 8996).
    Modern,
    /// What collectors in the field are known to cope with is let through.
    Lenient,
}

impl Profile {
    /// All, in the order of the catalogue's columns.
    pub const ALL: [Profile; 4] = [
        Profile::Rfc7011,
        Profile::Rfc5101,
        Profile::Modern,
        Profile::Lenient,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Rfc7011 => "7011",
            Profile::Rfc5101 => "5101",
            Profile::Modern => "modern",
            Profile::Lenient => "lenient",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One place where a message breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Identifier of the rule.
    pub rule: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// Where, in octets from the start of the message.
    pub offset: usize,
    /// How many octets are meant; 0 when something is missing there.
    pub length: usize,
    /// What stands there and what should, in one line.
    pub note: String,
}
