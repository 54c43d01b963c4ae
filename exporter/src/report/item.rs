//! One line of the report, in text and in JSON.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};

use super::format::{Human, Span, Time};

/// Lines that belong together.
#[derive(Debug)]
pub(super) struct Section {
    /// The name of its object in JSON.
    pub name: &'static str,
    pub items: Vec<Item>,
}

/// A value with its names.
#[derive(Debug)]
pub(super) struct Item {
    /// In JSON.
    pub name: &'static str,
    /// In the text.
    pub label: String,
    pub value: Value,
}

/// What a line says. Zeros and what is not known are left out of the text, never of the JSON object.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    /// Said even if it is 0.
    Number(u64),
    Count(u64),
    /// A part of a whole.
    Share(u64, u64),
    /// A sum over a number of things.
    Mean(u64, u64),
    /// Of one thing over another, -1 to 1; not known if there is neither.
    Asymmetry(u64, u64),
    /// A rate; not known without a duration.
    PerSecond(Option<f64>),
    BitsPerSecond(Option<f64>),
    /// Nanoseconds since 1970.
    Time(Option<i64>),
    /// Nanoseconds.
    Span(Option<u64>),
    /// Seconds of work.
    Seconds(f64),
    Percent(Option<f64>),
    /// Bits, in so many hexadecimal digits.
    Bits(u64, usize),
    /// What a flow has most of, and the sum over all flows.
    Talker(Option<(IpAddr, u64)>, u64),
    /// True, or left out of the text.
    Flag(bool),
    /// A line each.
    List(Vec<String>),
}

impl Item {
    pub(super) fn new(name: &'static str, label: impl Into<String>, value: Value) -> Self {
        Item {
            name,
            label: label.into(),
            value,
        }
    }
}

impl Section {
    pub(super) fn json(&self) -> Json {
        let members = self.items.iter();
        let members = members.map(|item| (item.name.to_owned(), item.value.json()));
        Json::Object(members.collect::<Map<_, _>>())
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Item { label, value, .. } in &self.items {
            if let Value::List(lines) = value {
                for line in lines {
                    writeln!(f, "{label}: {line}")?;
                }
            } else if let Some(text) = value.text() {
                match text.as_str() {
                    "" => writeln!(f, "{label}")?,
                    text => writeln!(f, "{label}: {text}")?,
                }
            }
        }
        Ok(())
    }
}

impl Value {
    /// `None` if there is nothing to say.
    fn text(&self) -> Option<String> {
        Some(match *self {
            Value::Text(ref text) => text.clone()?,
            Value::Count(0) | Value::Share(0, _) | Value::Mean(_, 0) | Value::Bits(0, _) => {
                return None;
            }
            Value::Number(number) | Value::Count(number) => Human(number).to_string(),
            Value::Share(part, all) => {
                format!("{} [{:.2} %]", Human(part), percent(part, all))
            }
            Value::Mean(sum, number) => format!("{:.2}", sum as f64 / number as f64),
            Value::Asymmetry(one, other) => format!("{:.2}", asymmetry(one, other)?),
            Value::PerSecond(rate) => format!("{:.2}", rate?),
            Value::BitsPerSecond(rate) => format!("{} bit/s", Human(rate?.round() as u64)),
            Value::Time(ns) => Time(ns?).to_string(),
            Value::Span(ns) => Span(ns?).to_string(),
            Value::Seconds(seconds) => format!("{seconds:.3} s"),
            Value::Percent(percent) => format!("{:.2} %", percent?),
            Value::Bits(bits, digits) => format!("0x{bits:0digits$x}"),
            Value::Talker(talker, all) => {
                let (source, amount) = talker?;
                let (amount, of_all) = (Human(amount), percent(amount, all));
                format!("from {source}: {amount} [{of_all:.2} %]")
            }
            Value::Flag(true) => String::new(),
            Value::Flag(false) | Value::List(_) => return None,
        })
    }

    fn json(&self) -> Json {
        match *self {
            Value::Text(ref text) => json!(text),
            Value::Number(number) | Value::Count(number) | Value::Share(number, _) => json!(number),
            Value::Mean(_, 0) => Json::Null,
            Value::Mean(sum, number) => json!(sum as f64 / number as f64),
            Value::Asymmetry(one, other) => json!(asymmetry(one, other)),
            Value::PerSecond(rate) => json!(rate),
            Value::BitsPerSecond(rate) => json!(rate.map(|rate| rate.round() as u64)),
            Value::Time(ns) => json!(ns.and_then(rfc3339)),
            Value::Span(ns) => json!(ns.map(|ns| ns as f64 / 1e9)),
            Value::Seconds(seconds) => json!(seconds),
            Value::Percent(percent) => json!(percent),
            Value::Bits(bits, digits) => json!(format!("0x{bits:0digits$x}")),
            Value::Talker(None, _) => Json::Null,
            Value::Talker(Some((source, amount)), _) => {
                json!({"source": source.to_string(), "amount": amount})
            }
            Value::Flag(flag) => json!(flag),
            Value::List(ref lines) => json!(lines),
        }
    }
}

fn rfc3339(ns: i64) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(ns.into()).ok()?;
    Some(format!("{time:.9}"))
}

fn asymmetry(one: u64, other: u64) -> Option<f64> {
    (one + other > 0).then(|| (one as f64 - other as f64) / (one + other) as f64)
}

pub(super) fn percent(part: u64, all: u64) -> f64 {
    if all == 0 {
        100.0
    } else {
        part as f64 * 100.0 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_text_and_json() {
        let cases = [
            (Value::Count(0), None, json!(0)),
            (Value::Share(1, 3), Some("1 [33.33 %]"), json!(1)),
            (Value::Mean(5, 2), Some("2.50"), json!(2.5)),
            (Value::Mean(5, 0), None, Json::Null),
            (Value::Asymmetry(1, 3), Some("-0.50"), json!(-0.5)),
            (Value::Asymmetry(0, 0), None, Json::Null),
            (Value::PerSecond(None), None, Json::Null),
            (
                Value::Time(Some(1_258_544_215_037_210_000)),
                Some("1258544215.037210000 s (Wed 18 Nov 2009 11:36:55 UTC)"),
                json!("2009-11-18T11:36:55.037210000Z"),
            ),
            (
                Value::Span(Some(1_500_000_000)),
                Some("1.500000000 s"),
                json!(1.5),
            ),
            (Value::Bits(0x1b, 4), Some("0x001b"), json!("0x001b")),
            (Value::Flag(false), None, json!(false)),
        ];
        for (value, text, json) in cases {
            assert_eq!(value.text().as_deref(), text, "{value:?}");
            assert_eq!(value.json(), json, "{value:?}");
        }
        let talker = Value::Talker(Some((IpAddr::from([10, 0, 0, 1]), 3)), 4);
        assert_eq!(talker.text().as_deref(), Some("from 10.0.0.1: 3 [75.00 %]"));
        assert_eq!(talker.json(), json!({"source": "10.0.0.1", "amount": 3}));
    }
}
