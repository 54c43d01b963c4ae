//! Numbers that have names in filters.

use crate::output::protocols;

/// Forwarding status (RFC 7270, element 89): number, name as nfdump spells it, meaning as it lists them.
pub const FORWARDING_STATUS: &[(u64, &str, &str)] = &[
    (0, "Ukwn", "Unknown"),
    (1, "Forw", "Normal forwarding"),
    (2, "Frag", "Fragmented"),
    (16, "Drop", "Drop"),
    (17, "DaclD", "Drop ACL deny"),
    (18, "Daclp", "Drop ACL drop"),
    (19, "Noroute", "Unroutable"),
    (20, "Dadj", "Drop Adjacency"),
    (21, "Dfrag", "Drop Fragmentation & DF set"),
    (22, "Dbadh", "Drop Bad header checksum"),
    (23, "Dbadtlen", "Drop Bad total Length"),
    (24, "Dbadhlen", "Drop Bad Header Length"),
    (25, "DbadTTL", "Drop bad TTL"),
    (26, "Dpolicy", "Drop Policer"),
    (27, "Dwred", "Drop WRED"),
    (28, "Drpf", "Drop RPF"),
    (29, "Dforus", "Drop For us"),
    (30, "DbadOf", "Drop Bad output interface"),
    (31, "Dhw", "Drop Hardware"),
    (128, "Term", "Terminate"),
    (129, "Tadj", "Terminate Punt Adjacency"),
    (130, "TincAdj", "Terminate Incomplete Adjacency"),
    (131, "Tforus", "Terminate For us"),
];

/// The forwarding status of this name.
pub(super) fn forwarding_status(name: &str) -> Option<u64> {
    let found = FORWARDING_STATUS
        .iter()
        .find(|(_, known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(number, ..)| *number)
}

/// Events of an address translation (RFC 8158, natEvent), as later versions of nfdump spell them, 1 first.
const TRANSLATIONS: &[&str] = &[
    "ADD", "DELETE", "EXHAUST", "ADD44", "DEL44", "ADD64", "DEL64", "ADD44BIB", "DEL44BIB",
    "ADD64BIB", "DEL64BIB", "PEXHAUST",
];

/// What a packet filter does (OpenBSD's pf), by number.
const ACTIONS: &[&str] = &[
    "pass", "block", "scrub", "noscrub", "nat", "nonat", "binat", "nobinat", "rdr", "nordr",
    "synblock", "defer", "match", "divert", "rt", "afrt",
];

/// Why a packet filter does it, by number.
const REASONS: &[&str] = &[
    "match",
    "bad-offset",
    "fragment",
    "short",
    "normalize",
    "memory",
    "bad-timestamp",
    "congestion",
    "ip-option",
    "proto-cksum",
    "state-mismatch",
    "state-insert",
    "state-limit",
    "src-limit",
    "synproxy",
    "translate",
    "no-route",
];

fn number_in(names: &[&str], name: &str) -> Option<u64> {
    let found = (0..)
        .zip(names)
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    found.map(|(number, _)| number)
}

/// The event of an address translation of this name.
pub(super) fn translation(name: &str) -> Option<u64> {
    number_in(TRANSLATIONS, name).map(|event| event + 1)
}

/// The action of a packet filter of this name.
pub(super) fn action(name: &str) -> Option<u64> {
    number_in(ACTIONS, name)
}

/// The reason of a packet filter of this name.
pub(super) fn reason(name: &str) -> Option<u64> {
    number_in(REASONS, name)
}

/// The IP protocol of this short name.
pub(super) fn protocol(name: &str) -> Option<u64> {
    (0..=u8::MAX)
        .find(|number| {
            protocols::name(*number).is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
        .map(u64::from)
}
