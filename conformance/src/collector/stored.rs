//! What a device stored, in the names of IANA whatever its form, and how that is compared.
//!
//! Times of all kinds become `flowStart` and `flowEnd` in milliseconds; total counters stand in for delta counters
//! where there are none, since files of flows have one place for both.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::assemble::{Marking, PROBE};

/// A value, typed so that the same value in two forms is equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A whole number.
    Number(u64),
    /// An address.
    Address(IpAddr),
    /// Milliseconds since 1970.
    Time(i64),
    /// Anything else.
    Text(String),
    /// Several values of one element, or a list.
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Address(address) => address.fmt(f),
            Value::Time(ms) => match jiff::Timestamp::from_millisecond(*ms) {
                Ok(time) => time.fmt(f),
                Err(_) => write!(f, "{ms} ms"),
            },
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
        }
    }
}

impl Value {
    /// A text as it stands in JSON or in a table.
    pub fn of_text(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            return Value::Address(address);
        }
        // Octets in hex may look like a number: they have zeros in front.
        let hex = text.len() > 1 && text.starts_with('0');
        if let (false, Ok(number)) = (hex, text.parse()) {
            return Value::Number(number);
        }
        let date = text.len() >= 19 && text.is_ascii() && text.get(4..5) == Some("-");
        if date {
            let zoned = if text.ends_with('Z') {
                text.to_owned()
            } else {
                format!("{text}Z")
            };
            if let Ok(time) = zoned.parse::<jiff::Timestamp>() {
                return Value::Time(time.as_millisecond());
            }
        }
        Value::Text(text.to_owned())
    }

    /// A value as a case writes it.
    pub fn expected(text: &str, marking: Marking) -> Self {
        if let Some(mark) = text.strip_prefix("@@").and_then(|mark| mark.parse().ok()) {
            return Value::Address(marking.address6(mark).into());
        }
        if let Some(mark) = text.strip_prefix('@').and_then(|mark| mark.parse().ok()) {
            return Value::Address(marking.address(mark).into());
        }
        if let Some(ms) = text
            .strip_prefix("ms:")
            .and_then(|ms| ms.parse::<i64>().ok())
        {
            return Value::Time(marking.now * 1000 + ms);
        }
        if let Some(list) = text
            .strip_prefix('[')
            .and_then(|list| list.strip_suffix(']'))
        {
            let values = list.split(',').map(|one| Value::expected(one, marking));
            return Value::List(values.collect());
        }
        Value::of_text(text)
    }

    /// Whether a device that has `self` kept `expected`. Times agree to the millisecond.
    pub fn agrees(&self, expected: &Value) -> bool {
        match (self, expected) {
            (Value::Time(one), Value::Time(other)) => one.abs_diff(*other) <= 1,
            (Value::Number(ms), Value::Time(other)) => {
                i64::try_from(*ms).is_ok_and(|ms| ms.abs_diff(*other) <= 1)
            }
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.agrees(other))
            }
            _ => self == expected,
        }
    }
}

/// One stored record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// Values by the names of their elements.
    pub fields: BTreeMap<String, Value>,
    /// It is an options record.
    pub options: bool,
}

impl Stored {
    /// Sets a value.
    pub fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// The value of an element.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The mark of the record, if it is one of this run: its source address; where that is missing or spoilt, its
    /// destination does not help, since all records have the same.
    pub fn mark(&self, marking: Marking) -> Option<u8> {
        let source = ["sourceIPv4Address", "sourceIPv6Address"];
        source.iter().find_map(|name| match self.get(name)? {
            Value::Address(IpAddr::V4(address)) => {
                let [_, _, _, mark] = address.octets();
                (*address == marking.address(mark)).then_some(mark)
            }
            Value::Address(IpAddr::V6(address)) => {
                let mark = address.octets().last().copied()?;
                (*address == marking.address6(mark)).then_some(mark)
            }
            Value::List(values) => match values.first()? {
                Value::Address(IpAddr::V4(address)) => {
                    let [_, _, _, mark] = address.octets();
                    (*address == marking.address(mark)).then_some(mark)
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// Whether it is the record of the healthy message after the run.
    pub fn is_probe(&self, marking: Marking) -> bool {
        self.mark(marking) == Some(PROBE)
    }

    /// A few of its values, for notes.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self
            .fields
            .iter()
            .filter(|(_, value)| **value != Value::Number(0))
            .take(9)
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if parts.is_empty() {
            parts.push("without any value".to_owned());
        }
        let mut text = parts.join(", ");
        text.truncate(text.floor_char_boundary(300));
        text
    }

    /// Brings times and counters of all kinds to one name each; see the module.
    pub fn settle(&mut self) {
        for (name, kinds) in [
            (
                "flowStart",
                ["Milliseconds", "Microseconds", "Nanoseconds", "Seconds"],
            ),
            (
                "flowEnd",
                ["Milliseconds", "Microseconds", "Nanoseconds", "Seconds"],
            ),
        ] {
            let found = kinds
                .iter()
                .find_map(|kind| self.get(&format!("{name}{kind}")).cloned());
            if let Some(value) = found {
                self.set(name, value);
            }
        }
        for (delta, total) in [
            ("packetDeltaCount", "packetTotalCount"),
            ("octetDeltaCount", "octetTotalCount"),
        ] {
            if self.get(delta).is_none()
                && let Some(value) = self.get(total).cloned()
            {
                self.set(delta, value);
            }
        }
    }
}
