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

/// The IP protocol of this short name.
pub(super) fn protocol(name: &str) -> Option<u64> {
    (0..=u8::MAX)
        .find(|number| {
            protocols::name(*number).is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
        .map(u64::from)
}
