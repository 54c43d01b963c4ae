//! What a version says of a filter that it does not understand.

use super::{protocols, versions::Facts};
use crate::filter::{FORWARDING_STATUS, FilterError};
use std::fmt::Write;

/// What a version says where 1.7.1 says something else.
pub struct FilterMessage {
    /// What 1.7.1 says.
    message: &'static str,
    /// What this one says; `{}` is the word.
    own: &'static str,
    /// What stands before it, and behind it: lists of what is known.
    around: [fn() -> String; 2],
}

const fn says(message: &'static str, own: &'static str) -> FilterMessage {
    FilterMessage {
        message,
        own,
        around: [String::new, String::new],
    }
}

/// Messages of nfdump 1.7.5.
pub(super) const MESSAGES_1_7_5: &[FilterMessage] = &[
    says(
        "Port outside of range 0..65535",
        "Port number: {} out of range",
    ),
    says("Protocol number > 255", "Protocol {} out of range"),
    says(
        "incomplete IP address",
        "Can not parse/lookup {} to an IP address",
    ),
    says(
        "Error parsing IP address.",
        "Can not parse/lookup {} to an IP address",
    ),
    says("Unknown asa event", "Invalid ASA event type: {}"),
    FilterMessage {
        around: [String::new, protocols_known],
        ..says("Unknown protocol", "Unknown protocol: {}")
    },
    FilterMessage {
        around: [forwarding_known, String::new],
        ..says("Unknown forwarding status", "Unkown forwarding status: {}")
    },
];

fn protocols_known() -> String {
    let mut list = String::from("\nValid protocols:");
    for (number, name) in protocols::all() {
        let _ = write!(list, "\n{number:3}: {name}");
    }
    list
}

fn forwarding_known() -> String {
    let mut list = String::from("Recognized forward status strings:\n");
    for (_, name, meaning) in FORWARDING_STATUS {
        let _ = writeln!(list, "{name}  {meaning}");
    }
    list
}

/// Words that nfdump 1.7.5 does not know in a filter.
pub(super) const UNKNOWN_TO_1_7_5: &[&str] = &[
    "&",
    "%",
    "xnet",
    "xip",
    "xport",
    "app",
    "bgpnext",
    "dir",
    "nip",
    "nport",
    "pblock",
    "tunip",
    "sysid",
    "flowlabel",
    "inet6",
    "nfversion",
    "ace",
];

/// Words that stand for nothing alone, but behind these others.
const COMPOSED: [(&str, &str); 3] = [("exporter", "sysid"), ("nat", "pblock"), ("pf", "dir")];

impl Facts {
    /// What the version says of a filter, in its words.
    #[must_use]
    pub fn filter_error(&self, error: &FilterError) -> String {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let found = self
            .filter_messages
            .iter()
            .find(|known| known.message == error.message);
        let Some(known) = found else {
            return line.to_owned();
        };
        let [before, behind] = known.around.map(|list| list());
        let line = line.replace(known.message, &known.own.replace("{}", &error.word));
        format!("{before}{line}{behind}")
    }

    /// The first word of a filter that the version does not know.
    #[must_use]
    pub fn unknown_filter_word(&self, text: &str) -> Option<String> {
        let spaced: String = text
            .chars()
            .flat_map(|c| match c {
                '(' | ')' | '[' | ']' | ',' | '%' | '&' | '|' => vec![' ', c, ' '],
                c => vec![c],
            })
            .collect();
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let unknown = |&(place, word): &(usize, &&str)| {
            let before = place.checked_sub(1).and_then(|place| words.get(place));
            let is_part = COMPOSED.iter().any(|(first, second)| {
                second.eq_ignore_ascii_case(word)
                    && before.is_some_and(|before| first.eq_ignore_ascii_case(before))
            });
            !is_part
                && self
                    .no_filter_words
                    .iter()
                    .any(|unknown| unknown.eq_ignore_ascii_case(word))
        };
        let both = words.windows(2).find_map(|pair| match pair {
            ["src" | "dst", second @ ("and" | "or")] if self.later => Some(*second),
            _ => None,
        });
        words
            .iter()
            .enumerate()
            .find(unknown)
            .map(|(_, word)| *word)
            .or(both)
            .map(str::to_owned)
    }
}
