//! The differences that are known, and their causes.

use super::compare::Difference;

/// A cause, by its number in what the test prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// T2's times wrap when the clock runs back (fault 17 of its text output): times of 2^32 s, and no status bit.
    Clock = 1,
    /// T2 releases nothing behind the first flow of its list that is not due: with a clock that runs back, or a
    /// datagram whose fragments come in a wrong order, flows wait there.
    List,
    /// T2 takes Teredo's bubbles (no next header) for unfinished fragments, and a connection that was closed before
    /// them waits in its list: a RST 16 s later still counts in it, and the flows after it have lower numbers.
    Bubbles,
    /// T2 takes type and length in a cooked header for a destination MAC.
    Cooked,
    /// T2 does not read ERSPAN type III.
    Erspan,
    /// T2 leaves later IPv6 fragments on a flow without ports; ours go to the flow of the first one.
    V6Fragments,
    /// T2 reads a transport header behind the end of the datagram, and its length wraps to 65524.
    Mobility,
    /// T2 counts later fragments without their IP header.
    LaterFragments,
    /// T2 counts the outer packet of IPv6 in IPv6, in the variant of IP octets only.
    Outer,
    /// T2 looks for a whole transport header only where it counts layer 7 octets.
    WholeHeader,
    /// T2 sums a datagram over its fragments by the first one alone, and calls the checksum wrong.
    FragmentChecksum,
    /// T2 calls a UDP checksum of 0 wrong, which is none (RFC 768).
    NoChecksum,
    /// T2 reads TCP options behind the end of a first fragment; ours calls them corrupt.
    Overhang,
    /// T2 sums a flow's flags for its report before it has set the last one.
    Summed,
}

/// A difference that is known: in which capture (behind a variant's label: in that one only), of which flows (index
/// and direction; empty = all), in which columns (empty = all, and the flow may be missing or new), and why.
pub struct Excuse {
    pub case: &'static str,
    flows: &'static [&'static str],
    columns: &'static [&'static str],
    pub cause: Cause,
}

const fn excuse(
    case: &'static str,
    flows: &'static [&'static str],
    columns: &'static [&'static str],
    cause: Cause,
) -> Excuse {
    Excuse {
        case,
        flows,
        columns,
        cause,
    }
}

/// Octets of IP packets: all that the cause touches.
const L3_COLUMNS: &[&str] = &[
    "l3BytesSnt",
    "l3BytesRcvd",
    "minL3PktSz",
    "maxL3PktSz",
    "avgL3PktSz",
    "stdL3PktSz",
];

const fn octets(case: &'static str, flows: &'static [&'static str]) -> Excuse {
    excuse(case, flows, L3_COLUMNS, Cause::LaterFragments)
}

pub const EXCUSES: &[Excuse] = &[
    octets("l3 edge/fragmented-1", &[]),
    octets("l3 edge/fragmented-2", &[]),
    octets("l3 edge/fragmented-3", &[]),
    octets("l3 edge/fragmented-4", &[]),
    octets("l3 edge/fragmented-syn", &[]),
    octets("l3 edge/gtp1_gn_normal_incl_fragmentation", &["2A", "2B"]),
    octets("l3 medium/ipfragments", &["1A", "1B"]),
    octets("l3 synth", &["33A", "34A", "35A"]),
    excuse("l3 edge/6in6", &[], L3_COLUMNS, Cause::Outer),
    excuse(
        "l3 edge/fragmented-syn",
        &["1A"],
        &["flowStat"],
        Cause::WholeHeader,
    ),
    excuse(
        "edge/Teredo",
        &["10A", "12A", "12B"],
        &["flowStat"],
        Cause::Bubbles,
    ),
    excuse(
        "edge/Teredo",
        &["3A", "3B", "14A", "15A", "15B", "16A", "16B", "17A"],
        &[],
        Cause::Bubbles,
    ),
    excuse("edge/gre-erspan3-dot1q", &[], &[], Cause::Erspan),
    excuse(
        "edge/linuxsll-arp",
        &[],
        &["dstMac", "srcMac_dstMac_numP"],
        Cause::Cooked,
    ),
    excuse("edge/ipv6-fragmented-dns", &[], &[], Cause::V6Fragments),
    excuse("edge/ipv6-mobility-dst-opts", &[], &[], Cause::Mobility),
    excuse(
        "medium/ftp-crack",
        &[],
        &["flowStat", "minIAT", "maxIAT", "avgIAT"],
        Cause::Clock,
    ),
    excuse(
        "medium/ftp-crack",
        &["824A", "824B", "1157A", "1157B", "1242A", "1242B"],
        &["order"],
        Cause::List,
    ),
    excuse(
        "synth",
        &["43A"],
        &[
            "timeFirst",
            "timeLast",
            "duration",
            "pktps",
            "bytps",
            "flowStat",
            "minIAT",
            "maxIAT",
            "avgIAT",
        ],
        Cause::Clock,
    ),
    excuse("synth", &["18A", "34A"], &["order"], Cause::List),
];

/// The cause of a difference; the entry of [`EXCUSES`] is marked as used.
pub fn cause_of(difference: &Difference, used: &mut [bool]) -> Option<Cause> {
    let known = EXCUSES.iter().position(|excuse| {
        let listed = |list: &[&str], value: &str| list.is_empty() || list.contains(&value);
        let case = difference.case.split_once(' ').map(|(_, case)| case);
        (excuse.case == difference.case || Some(excuse.case) == case)
            && listed(excuse.flows, &difference.flow)
            && listed(excuse.columns, &difference.column)
    })?;
    used[known] = true;
    Some(EXCUSES[known].cause)
}
