//! What each version of nfdump does otherwise: the one table. Everything that depends on the imitated version asks a fact here;
//! nothing else compares versions.

use super::{
    columns,
    filters::{self, FilterMessage},
    json::Layout,
    known::{self, Known},
    style::Compat,
};
use crate::{file::layout2::Program, filter::Dialect};

/// From which value on a number is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Never.
    Plain,
    /// From a million on, `4.3 M`.
    Millions,
    /// From a thousand on, `4.3k`.
    Thousands,
}

/// How TCP flags are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// Six letters, a hexadecimal number if others are set.
    Six,
    /// Eight letters, dots for other protocols than TCP.
    Eight,
    /// Eight letters, whatever the protocol.
    EightOfAll,
}

/// What a version does.
pub struct Facts {
    /// What `-V` says.
    pub version: &'static str,
    /// What the header of a file that it writes says of it.
    pub program: Program,
    /// Durations are seconds in nine columns.
    pub seconds: bool,
    /// A flow that ends before it begins has no duration, before it has what the overflow leaves.
    pub no_negative_duration: bool,
    /// Heading of a listing's durations.
    pub duration_heading: &'static str,
    /// Heading of a statistic's durations.
    pub statistic_duration_heading: &'static str,
    /// Heading of TCP flags.
    pub flags_heading: &'static str,
    /// TCP flags.
    pub flags: Flags,
    /// Columns of an event's name.
    pub event_width: usize,
    /// Headings that differ from 1.7.1's, by token.
    pub headings: &'static [(&'static str, &'static str)],
    /// Headings of elements that differ from 1.7.1's, by name.
    pub element_headings: &'static [(&'static str, &'static str)],
    /// Presets that differ from 1.7.1's.
    pub presets: &'static [(&'static str, &'static str)],
    /// Scaled numbers.
    pub scale: Scale,
    /// The summary's sums are not scaled.
    pub plain_summary: bool,
    /// Columns of counters and rates.
    pub counter_width: usize,
    /// The layout of `json`.
    pub json: Layout,
    /// What `csv` stands for; none for the 48 columns.
    pub csv: Option<&'static str>,
    /// Values are those of records as later versions read them: tokens, statistics and raw show what is missing by words, an
    /// element that a record lacks is not counted, a tunnel's line has the flow's counters.
    pub later: bool,
    /// The summary tells how much passed.
    pub passed: bool,
    /// The summary is the older one: nothing of what passed, the rate of CPU time.
    pub old_timing: bool,
    /// An element's table is followed by an empty line.
    pub line_after_table: bool,
    /// `-s record` tells the number of flows first.
    pub counts_flows: bool,
    /// The order's name where none is named.
    pub unnamed_order: Option<&'static str>,
    /// What is printed if nothing passes.
    pub no_match: &'static str,
    /// `-N` is for listings: statistics and summary are scaled all the same.
    pub scales_sums: bool,
    /// A flow whose two values of an element are equal counts once.
    pub equal_once: bool,
    /// The flags of both directions are shown as one's.
    pub joins_flags: bool,
    /// What a block's header adds to the bytes read.
    pub block_header: u64,
    /// Nothing to pass is worth a sentence only if there was nothing to read; statistics and aggregated or sorted flows then end
    /// with it.
    pub silent_filter: bool,
    /// `null` has a heading, an empty one.
    pub null_heading: bool,
    /// What the summary calls processed is what passed.
    pub processed_is_passed: bool,
    /// The time window of the summary is that of the files, whatever `-t` says.
    pub whole_window: bool,
    /// `pipe` tells seconds and milliseconds apart, and the summary follows.
    pub old_pipe: bool,
    /// The time window tells milliseconds.
    pub window_ms: bool,
    /// `-A` may be printed as its own columns and as csv only.
    pub fields_print_themselves: bool,
    /// The tables of flows keep the packets of the opposite direction in place of its bytes, show the first record's where it
    /// has some, and tell IPv6 addresses apart by less than all of their bits if there is another field.
    pub careless_flows: bool,
    /// `-s dir` counts an octet of the time of the last packet.
    pub misreads_direction: bool,
    /// With a limit, what passed is counted to the end of the file.
    pub counts_past_limit: bool,
    /// Errors about filters and names go to standard output.
    pub errors_on_stdout: bool,
    /// Options that it does not have.
    pub no_options: &'static [char],
    /// Whose rules a filter follows.
    pub dialect: Dialect,
    /// What it says of filters.
    pub filter_messages: &'static [FilterMessage],
    /// Words that it does not know in a filter.
    pub no_filter_words: &'static [&'static str],
    /// Names that it knows; none for all.
    pub known: Option<&'static Known>,
}

/// nfdump 1.7.1, which the others are told apart from.
const V1_7_1: Facts = Facts {
    version: "NSEL-NEL1.7.1",
    program: Program {
        version: 0x0107_0100,
        creator: 0,
    },
    seconds: false,
    no_negative_duration: false,
    duration_heading: "    Duration    ",
    statistic_duration_heading: "        Duration",
    flags_heading: "   Flags",
    flags: Flags::Eight,
    event_width: 7,
    headings: &[],
    element_headings: &[],
    presets: &[],
    scale: Scale::Millions,
    plain_summary: false,
    counter_width: 8,
    json: Layout::V1_7_1,
    csv: None,
    later: false,
    passed: true,
    old_timing: false,
    line_after_table: true,
    counts_flows: false,
    unnamed_order: None,
    no_match: "No matching flows\n",
    scales_sums: false,
    equal_once: false,
    joins_flags: false,
    block_header: 0,
    silent_filter: false,
    null_heading: false,
    processed_is_passed: false,
    whole_window: false,
    old_pipe: false,
    window_ms: false,
    fields_print_themselves: false,
    careless_flows: false,
    misreads_direction: false,
    counts_past_limit: false,
    errors_on_stdout: false,
    no_options: &[],
    dialect: Dialect::V1_7_1,
    filter_messages: &[],
    no_filter_words: &[],
    known: None,
};

/// nfdump 1.6.22.
const V1_6: Facts = Facts {
    version: "NSEL-NEL1.6.22",
    seconds: true,
    duration_heading: " Duration",
    statistic_duration_heading: " Duration",
    flags: Flags::EightOfAll,
    passed: false,
    old_timing: true,
    counts_flows: true,
    presets: &[
        (
            "nsel",
            "%ts %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
        ),
        ("nel", "%ts %nevt %pr %sap -> %dap %nsap -> %ndap"),
    ],
    no_match: "No matched flows\n",
    scales_sums: true,
    equal_once: true,
    joins_flags: true,
    block_header: 12,
    silent_filter: true,
    null_heading: true,
    processed_is_passed: true,
    whole_window: true,
    old_pipe: true,
    ..V1_7_1
};

/// nfdump as it was when the Tranalyzer tutorial was written.
const TUTORIAL: Facts = Facts {
    flags_heading: " Flags",
    flags: Flags::Six,
    plain_summary: true,
    unnamed_order: Some("-"),
    ..V1_6
};

/// nfdump 1.7.5.
const V1_7_5: Facts = Facts {
    version: "1.7.5-release Options: NSEL-NEL ZSTD BZIP2 Date: Wed Oct 23 19:53:03 CEST 2024",
    program: Program {
        version: 0xf107_0400,
        creator: 4,
    },
    no_negative_duration: true,
    duration_heading: "Duration        ",
    statistic_duration_heading: "    Duration    ",
    event_width: 8,
    headings: &[
        ("tos", " Tos"),
        ("tds", "Duration        "),
        ("tsr", "First seen raw"),
        ("ter", "Last seen raw "),
        ("trr", "Received raw  "),
        ("evt", "   Event"),
        ("nevt", "   Event"),
        ("dloc", "Dst IP location info"),
        ("ipl", "Input Payload"),
        ("opl", "Output Payload"),
        ("ja3", "                                   ja3"),
    ],
    element_headings: &[
        ("inmac", "In Mac"),
        ("outmac", "Out Mac"),
        ("nbar", "Nbar"),
        ("ip", "    IP Addr"),
        ("srctos", "Src Tos"),
        ("if", "Interface"),
        ("xevent", " Event"),
        ("xsrcport", "X-Src Port"),
        ("xdstport", "X-Dst Port"),
        ("al", "Application Latency"),
        ("ja3", "ja3                             "),
        ("odid", "Obs DomainID"),
        ("opid", "Obs PointID"),
        ("ivrf", "I-vrf ID"),
        ("evrf", "E-vrf ID"),
        ("geo", " Geo"),
        ("mpls1", "MPLS label 1"),
        ("mpls2", "MPLS label 2"),
        ("mpls3", "MPLS label 3"),
        ("mpls4", "MPLS label 4"),
        ("mpls5", "MPLS label 5"),
        ("mpls6", "MPLS label 6"),
        ("mpls7", "MPLS label 7"),
        ("mpls8", "MPLS label 8"),
        ("mpls9", "MPLS label 9"),
        ("mpls10", "MPLS label 10"),
    ],
    presets: &[
        (
            "nsel",
            "%ts %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
        ),
        ("nat", "%ts %nevt %pr %sap -> %dap %nsap -> %ndap"),
    ],
    json: Layout::V1_7_5,
    csv: Some(columns::CSV),
    later: true,
    processed_is_passed: true,
    line_after_table: false,
    fields_print_themselves: true,
    careless_flows: true,
    misreads_direction: true,
    counts_past_limit: true,
    errors_on_stdout: true,
    no_options: &['l', 'L'],
    dialect: Dialect::Later,
    filter_messages: filters::MESSAGES_1_7_5,
    no_filter_words: filters::UNKNOWN_TO_1_7_5,
    known: Some(&known::KNOWN_1_7_5),
    ..V1_7_1
};

/// nfdump 1.8 as its development tree was described; there is no release to compare with.
const V1_8: Facts = Facts {
    version: "1.8",
    scale: Scale::Thousands,
    counter_width: 9,
    window_ms: true,
    fields_print_themselves: false,
    careless_flows: false,
    misreads_direction: false,
    no_options: &['l', 'L', 't'],
    known: None,
    ..V1_7_5
};

impl Compat {
    /// What the version does.
    #[must_use]
    pub fn facts(self) -> &'static Facts {
        match self {
            Self::Tutorial => &TUTORIAL,
            Self::V1_6 => &V1_6,
            Self::V1_7_1 => &V1_7_1,
            Self::V1_7_5 => &V1_7_5,
            Self::V1_8 => &V1_8,
        }
    }
}

impl Facts {
    /// The begin of a time window, which may be before 1970: then every flow is later, but later versions take it for a time
    /// that is later than every flow.
    #[must_use]
    pub fn earliest(&self, ms: u64) -> u64 {
        if ms.cast_signed() < 0 && !self.later {
            0
        } else {
            ms
        }
    }

    /// The duration that the version shows of one that may be negative.
    #[must_use]
    pub fn duration(&self, ms: u64) -> u64 {
        if self.no_negative_duration && ms.cast_signed() < 0 {
            0
        } else {
            ms
        }
    }

    /// What a preset's name stands for, if the version has its own; true: with full IPv6 addresses.
    #[must_use]
    pub fn preset(&self, name: &str) -> Option<(&'static str, bool)> {
        let (plain, full) = match name.strip_suffix('6') {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let found = self
            .presets
            .iter()
            .find(|(preset, _)| preset.eq_ignore_ascii_case(plain));
        found.map(|(_, format)| (*format, full))
    }

    /// A format with the presets in it replaced by the version's own.
    #[must_use]
    pub fn expand(&self, format: &str) -> String {
        let mut text = format.to_owned();
        for (name, stands_for) in self.presets {
            text = text.replace(&format!("%{name}"), stands_for);
        }
        text
    }
}
