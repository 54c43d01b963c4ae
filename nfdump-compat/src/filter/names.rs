//! Numbers that have names in filters.

use crate::output::protocols;

/// Names of the forwarding status (RFC 7270, element 89), as nfdump 1.7.1 spells them.
const FORWARDING: &[(u64, &str)] = &[
    (0, "Ukwn"),
    (1, "Forw"),
    (2, "Frag"),
    (16, "Drop"),
    (17, "DaclD"),
    (18, "Daclp"),
    (19, "Noroute"),
    (20, "Dadj"),
    (21, "Dfrag"),
    (22, "Dbadh"),
    (23, "Dbadtlen"),
    (24, "Dbadhlen"),
    (25, "DbadTTL"),
    (26, "Dpolicy"),
    (27, "Dwred"),
    (28, "Drpf"),
    (29, "Dforus"),
    (30, "DbadOf"),
    (31, "Dhw"),
    (128, "Term"),
    (129, "Tadj"),
    (130, "TincAdj"),
    (131, "Tforus"),
];

/// The forwarding status of this name.
pub(super) fn forwarding_status(name: &str) -> Option<u64> {
    let found = FORWARDING
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    found.map(|(number, _)| *number)
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
