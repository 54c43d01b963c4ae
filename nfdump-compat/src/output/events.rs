//! Names of firewall and address translation events, and of the reasons why a flow ended.

use crate::{
    field,
    record::{FLAG_EVENT, RecordView},
};

/// Event of a firewall (NSEL, element 233), in nfdump's words.
#[must_use]
pub fn firewall(event: u64) -> &'static str {
    const NAMES: [&str; 6] = ["IGNORE", "CREATE", "DELETE", "DENIED", "ALERT", "UPDATE"];
    name(&NAMES, event, "UNKNOW")
}

/// Event of an address translation (NEL, element 230), in nfdump's short words.
#[must_use]
pub fn translation(event: u64) -> &'static str {
    const NAMES: [&str; 3] = ["INVALID", "ADD", "DELETE"];
    name(&NAMES, event, "UNKNOW")
}

/// Event of an address translation as RFC 8158 (natEvent) names it; empty if unknown. Later versions have a word of their own
/// for the reserved one.
#[must_use]
pub fn translation_sentence(event: u64, later: bool) -> &'static str {
    const NAMES: [&str; 19] = [
        "Reserved",
        "NAT translation create",
        "NAT translation delete",
        "NAT Addresses exhausted",
        "NAT44 session create",
        "NAT44 session delete",
        "NAT64 session create",
        "NAT64 session delete",
        "NAT44 BIB create",
        "NAT44 BIB delete",
        "NAT64 BIB create",
        "NAT64 BIB delete",
        "NAT ports exhausted",
        "Quota Exceeded",
        "Address binding create",
        "Address binding delete",
        "Port block allocation",
        "Port block de-allocation",
        "Threshold Reached",
    ];
    if later && event == 0 {
        return "INVALID";
    }
    name(&NAMES, event, "")
}

/// Extended event of a firewall (element 33002): a name for those that nfdump names, else the number.
#[must_use]
pub fn extended(event: u64, later: bool) -> String {
    match event {
        0 if later => "IGNORE".to_owned(),
        1001..=1004 if later => ["I-ACL", "E-ACL", "DENY", "NOSYN"]
            .get((event - 1001) as usize)
            .map_or_else(String::new, |name| (*name).to_owned()),
        0 => "Ignore".to_owned(),
        1001 => "I-ACL".to_owned(),
        1002 => "E-ACL".to_owned(),
        1003 => "Adap".to_owned(),
        1004 => "No Syn".to_owned(),
        number => number.to_string(),
    }
}

/// Why a flow ended (element 136); empty if unknown.
#[must_use]
pub fn flow_end_reason(reason: u64) -> &'static str {
    const NAMES: [&str; 6] = [
        "",
        "idle timeout",
        "active timeout",
        "end of Flow detected",
        "forced end",
        "lack of resources",
    ];
    name(&NAMES, reason, "")
}

/// Direction of a biflow (element 239); empty if unknown.
#[must_use]
pub fn biflow_direction(direction: u64) -> &'static str {
    name(
        &["", "initiator", "reverseInitiator", "perimeter"],
        direction,
        "",
    )
}

/// What an event record tells: firewall event, else address translation event; and when, Unix milliseconds.
#[must_use]
pub fn of_record(record: &RecordView<'_>) -> Event {
    let firewall = record.has(field::ext::NSEL_COMMON);
    let (number, time) = if record.has(field::ext::NEL_COMMON) {
        (field::NAT_EVENT, field::NAT_MSEC_EVENT)
    } else {
        (field::NSEL_FW_EVENT, field::NSEL_MSEC_EVENT)
    };
    Event {
        number: record.get_or_zero(number),
        extended: record.get_or_zero(field::NSEL_FW_XEVENT),
        time_ms: record.get_or_zero(time),
        is_firewall: firewall && record.header().flags & FLAG_EVENT != 0,
    }
}

/// What nfdump 1.7.5 shows for a record without an event.
pub const NONE: &str = "<no-evt>";

/// Whether the record tells of an event.
#[must_use]
pub fn has_event(record: &RecordView<'_>) -> bool {
    record.has(field::ext::NSEL_COMMON) || record.has(field::ext::NEL_COMMON)
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number of the event.
    pub number: u64,
    /// Extended event of a firewall.
    pub extended: u64,
    /// When it was, Unix milliseconds.
    pub time_ms: u64,
    /// Of a firewall, not of an address translation.
    pub is_firewall: bool,
}

impl Event {
    /// Its name in nfdump 1.7.5.
    #[must_use]
    pub fn later_name(&self, record: &RecordView<'_>) -> &'static str {
        const NAMES: [&str; 6] = ["INVALID", "ADD", "DELETE", "EXHAUST", "ADD44", "DEL44"];
        if record.has(field::ext::NSEL_COMMON) {
            firewall(self.number)
        } else if record.has(field::ext::NEL_COMMON) {
            name(&NAMES, self.number, "UNKNOWN")
        } else {
            NONE
        }
    }

    /// Its name. A listing knows a firewall's event by its extended event only, as nfdump 1.7.1 does.
    #[must_use]
    pub fn name_in_listing(&self) -> &'static str {
        if self.extended == 0 {
            translation(self.number)
        } else {
            firewall(self.number)
        }
    }
}

fn name(names: &[&'static str], number: u64, other: &'static str) -> &'static str {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    names.get(index).copied().unwrap_or(other)
}
