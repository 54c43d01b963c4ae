//! The rules that messages are judged by, and the desk on which checks and findings are kept.
//!
//! One row a rule: whom it binds by version, whether it is only asked for, whether the profile `lenient` lets it
//! through, and what has to be seen before it can be judged.

use super::datagrams::Datagrams;
use super::{Options, Outcome, RuleOutcome};
use crate::verdict::{Finding, Profile, Verdict};

/// Findings of one rule that are told of one message; all are counted.
const TOLD: u32 = 8;

/// Values of one message that are looked at: fields without octets would make them millions.
const VALUES: usize = 1 << 20;

/// Fields of all templates that are kept.
const FIELDS: usize = 1 << 20;

const V5: u8 = 1;
const V9: u8 = 2;
const IPFIX: u8 = 4;

/// What is the same for all messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub id: &'static str,
    versions: u8,
    /// SHOULD: judged with `strict` only.
    should: bool,
    /// The profile `lenient` lets it through.
    lenient: bool,
    /// What was missing when it could not be judged.
    needs: &'static str,
}

macro_rules! rows {
    ($($name:ident $id:literal $versions:expr, $should:expr, $lenient:expr, $needs:literal;)*) => {
        /// A rule, as index into the table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum R { $(#[doc = $id] $name),* }

        static TABLE: &[Row] = &[$(Row {
            id: $id, versions: $versions, should: $should, lenient: $lenient, needs: $needs,
        }),*];

        /// The rules that are judged here, by identifier.
        pub const RULES: &[&str] = &[$($id),*];
    };
}

const HEADERS: u8 = V5 | V9 | IPFIX;
const SETS: u8 = V9 | IPFIX;

rows! {
    H01 "H-01" HEADERS, false, false, "no message was seen";
    H02 "H-02" V9, false, true, "no message was seen of which all templates are known";
    H04 "H-04" V9, false, false, "no two messages in a row were seen";
    H06 "H-06" IPFIX, false, false, "no message was seen";
    H07 "H-07" IPFIX, false, false, "no two messages in a row were seen whose records can be counted";
    H08 "H-08" IPFIX, false, false, "no message with templates was followed by another one";
    H11 "H-11" SETS, false, false, "the clock can only be compared live: recordings and replays have another one";
    H13 "H-13" V5 | V9, false, false, "no record with times was seen";
    H14 "H-14" IPFIX, true, true, "no message about an exporting process alone was seen";
    H19 "H-19" HEADERS, false, true, "no datagram was seen";
    S02 "S-02" SETS, false, false, "no set of templates was seen";
    S03 "S-03" IPFIX, false, false, "no padding was seen";
    S06 "S-06" V9, true, true, "no FlowSet was seen";
    S08 "S-08" SETS, false, false, "no set was seen";
    S09 "S-09" SETS, false, false, "no set was seen";
    S10 "S-10" SETS, false, false, "no set was seen";
    S11 "S-11" SETS, false, false, "no data set of a known template was seen";
    S13 "S-13" SETS, false, false, "no message was seen";
    T01 "T-01" SETS, false, false, "no template was seen";
    T04 "T-04" IPFIX, false, false, "no template was seen";
    T09 "T-09" V9, false, false, "no restart was seen with the messages that follow it";
    T10 "T-10" SETS, false, false, "the beginning of a session was not seen";
    T11 "T-11" IPFIX, false, false, "no template was sent twice, and the time was too short to miss it";
    T12 "T-12" V9, false, false, "no template was sent twice, and packets and time were too few to miss it";
    T13 "T-13" IPFIX, true, true, "no template appeared over UDP in a session that was seen from its beginning";
    T17 "T-17" IPFIX, false, false, "no template was seen over UDP";
    T20 "T-20" IPFIX, false, false, "no template was withdrawn on a stream";
    T22 "T-22" IPFIX, true, true, "no template was withdrawn on a stream after its data";
    T23 "T-23" IPFIX, false, false, "no data was seen after its template";
    T26 "T-26" IPFIX, true, true, "no template ID got a new meaning over UDP after it had been sent three times";
    T27 "T-27" V9, true, true, "no template was sent twice";
    T30 "T-30" SETS, false, false, "no template was seen";
    T31 "T-31" V9, false, false, "no template was seen";
    T32 "T-32" SETS, false, false, "no template was seen";
    T33 "T-33" V9, false, true, "no template was seen";
    T34 "T-34" SETS, false, false, "no template was seen";
    T37 "T-37" SETS, false, false, "no data set of a known template was seen";
    F01 "F-01" SETS, false, false, "no time of eight octets was seen";
    F02 "F-02" SETS, false, false, "no template with numbers was seen";
    F03 "F-03" SETS, false, false, "no template with addresses, times or booleans was seen";
    F05 "F-05" SETS, false, false, "no template with elements of a fixed size was seen";
    F06 "F-06" IPFIX, false, false, "no value of variable length was seen";
    F07 "F-07" IPFIX, false, false, "no value of variable length was seen";
    F08 "F-08" IPFIX, false, false, "no value of variable length was seen";
    F09 "F-09" IPFIX, false, false, "no string was seen";
    F10 "F-10" IPFIX, false, false, "no boolean was seen";
    F11 "F-11" SETS, false, false, "no absolute time was seen";
    F12 "F-12" IPFIX, false, false, "no times relative to the export time were seen";
    F13 "F-13" IPFIX, false, true, "no record with uptimes was seen, or too little of the session";
    F14 "F-14" V9, false, false, "no record with uptimes was seen";
    F15 "F-15" SETS, false, false, "no TCP control bits were seen";
    F16 "F-16" SETS, false, false, "no record with a counter both since the last report and in all was seen";
    F17 "F-17" V9, false, false, "no record with the ICMP type both alone and with its code was seen";
    F19 "F-19" SETS, false, false, "no IPv6 address was seen";
    F21 "F-21" SETS, false, false, "no value with a range was seen";
    F22 "F-22" IPFIX, false, false, "no end reason was seen";
    F23 "F-23" SETS, false, false, "no direction, VLAN ID or MPLS label was seen";
    F24 "F-24" SETS, false, false, "no NAT event or port block was seen";
    F27 "F-27" SETS, true, true, "no template with TCP options or IPv6 extension headers was seen";
    F29 "F-29" SETS, false, true, "no application ID was seen";
    O01 "O-01" IPFIX, false, false, "no options template was seen";
    O02 "O-02" SETS, false, false, "no options template was seen";
    O05 "O-05" V9, false, true, "no options template was seen";
    O08 "O-08" IPFIX, false, true, "no statistics of a metering process were seen";
    O09 "O-09" IPFIX, true, true, "no reliability statistics were seen";
    O11 "O-11" IPFIX, false, false, "no flow keys of a known template were seen";
    O14 "O-14" V9, false, true, "no sampling was reported";
    O15 "O-15" IPFIX, false, false, "no selection sequence was reported or named";
    O16 "O-16" IPFIX, false, false, "no systematic sampling was reported";
    O17 "O-17" IPFIX, false, false, "no random sampling was reported";
    O18 "O-18" IPFIX, false, false, "no selection statistics were seen";
    X07 "X-07" IPFIX, false, false, "the beginning of no stream was seen";
    X09 "X-09" IPFIX, false, false, "no exporter was seen on two transports, one a stream from its beginning";
    X21 "X-21" IPFIX, false, false, "no file of messages was read";
    B01 "B-01" IPFIX, false, false, "no reverse element was seen";
    B02 "B-02" IPFIX, false, false, "no reverse element was seen";
    B03 "B-03" IPFIX, false, true, "no template with reverse elements was seen";
    B06 "B-06" IPFIX, true, true, "no reverse counter was seen";
    L01 "L-01" IPFIX, false, false, "no list was seen";
    L02 "L-02" IPFIX, true, true, "no list of variable length was seen";
    L03 "L-03" IPFIX, false, false, "no list of records was seen";
    M01 "M-01" HEADERS, false, false, "no IP flow with octets and packets was seen";
    N01 "N-01" V5, false, false, "no NetFlow v5 message was seen";
    N02 "N-02" V5, false, false, "no two NetFlow v5 messages in a row were seen";
    N03 "N-03" V5, false, false, "no NetFlow v5 record was seen";
}

#[derive(Clone, Copy, Debug)]
struct Count {
    checked: u64,
    found: u64,
    worst: Verdict,
    /// Told of the message at hand.
    told: u32,
}

/// Checks and findings.
#[derive(Debug)]
pub(super) struct Desk {
    pub options: Options,
    counts: Vec<Count>,
    /// Versions seen.
    seen: u8,
    pub findings: Vec<Finding>,
    /// Room for fields of templates, all domains together.
    pub fields_left: usize,
    /// Values of the message at hand that may still be looked at.
    values_left: usize,
    /// What exporters sent in datagrams.
    pub datagrams: Datagrams,
}

impl Desk {
    pub(super) fn new(options: Options) -> Self {
        let none = Count {
            checked: 0,
            found: 0,
            worst: Verdict::Pass,
            told: 0,
        };
        Self {
            options,
            counts: vec![none; TABLE.len()],
            seen: 0,
            findings: Vec::new(),
            fields_left: FIELDS,
            values_left: VALUES,
            datagrams: Datagrams::default(),
        }
    }

    /// A message of this version is at hand.
    pub(super) fn begin(&mut self, version: u16) {
        self.seen |= match version {
            5 => V5,
            9 => V9,
            _ => IPFIX,
        };
        for count in &mut self.counts {
            count.told = 0;
        }
        self.values_left = VALUES;
    }

    /// Whether so many more values of the message may be looked at.
    pub(super) fn spend(&mut self, values: usize) -> bool {
        let left = self.values_left.checked_sub(values);
        self.values_left = left.unwrap_or(0);
        left.is_some()
    }

    pub(super) fn has_seen_ipfix(&self) -> bool {
        self.seen & IPFIX != 0
    }

    /// There was something to check the rule on.
    pub(super) fn check(&mut self, rule: R) {
        if let Some(count) = self.counts.get_mut(rule as usize) {
            count.checked += 1;
        }
    }

    /// The rule is broken.
    pub(super) fn fault(
        &mut self,
        rule: R,
        verdict: Verdict,
        offset: usize,
        length: usize,
        note: impl FnOnce() -> String,
    ) {
        let (Some(row), Some(count)) =
            (TABLE.get(rule as usize), self.counts.get_mut(rule as usize))
        else {
            return;
        };
        if excused(row, self.options).is_some() {
            return;
        }
        count.found += 1;
        count.worst = count.worst.max(verdict);
        if count.told < TOLD {
            count.told += 1;
            self.findings.push(Finding {
                rule: row.id,
                verdict,
                offset,
                length,
                note: note(),
            });
        }
    }

    /// Checks the rule on something that keeps or breaks it.
    pub(super) fn judge(
        &mut self,
        rule: R,
        kept: bool,
        verdict: Verdict,
        offset: usize,
        length: usize,
        note: impl FnOnce() -> String,
    ) {
        self.check(rule);
        if !kept {
            self.fault(rule, verdict, offset, length, note);
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        TABLE
            .iter()
            .zip(&self.counts)
            .map(|(row, count)| self.row_outcome(row, *count))
            .collect()
    }

    fn row_outcome(&self, row: &Row, count: Count) -> RuleOutcome {
        let reason = match excused(row, self.options) {
            Some(excuse) => excuse.to_owned(),
            None if row.versions & self.seen == 0 => no_version(row.versions).to_owned(),
            None if count.checked == 0 && count.found == 0 => row.needs.to_owned(),
            None => String::new(),
        };
        let verdict = if reason.is_empty() {
            count.worst
        } else {
            Verdict::NotApplicable
        };
        RuleOutcome {
            rule: row.id,
            verdict,
            count: count.found,
            checked: count.checked.max(count.found),
            reason,
        }
    }
}

/// Why the rule is not judged with these options.
fn excused(row: &Row, options: Options) -> Option<&'static str> {
    if row.lenient && options.profile == Profile::Lenient {
        Some("the profile lenient lets it through")
    } else if row.should && !options.strict {
        Some("only asked for (SHOULD): judged when strict")
    } else {
        None
    }
}

fn no_version(versions: u8) -> &'static str {
    match versions {
        V5 => "no NetFlow v5 message was seen",
        V9 => "no NetFlow v9 message was seen",
        IPFIX => "no IPFIX message was seen",
        _ => "no message of the versions it is about was seen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_the_catalogue_once() {
        for (index, id) in RULES.iter().enumerate() {
            assert!(protocol::rules::find(id).is_some(), "{id}");
            assert_eq!(RULES.iter().position(|other| other == id), Some(index));
        }
    }
}
