//! A compiled filter: tests of one value each, and where to go after each outcome.
//!
//! Tests are asked in nfdump's order (of two operands first the one with fewer tests), because the label that a filter
//! gives depends on it.

use super::{
    address::{Prefix, Prefixes},
    value::{Comparison, Number, PF_INTERFACE, Place, payload},
};
use crate::{
    dns,
    field::{self, Location, ext},
    geo::GeoDatabase,
    handshake::Hello,
    record::RecordView,
};
use regex::bytes::Regex;
use std::{net::IpAddr, sync::Arc};

/// What a filter may ask that is not in the record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Name of the source whose file is being read.
    pub ident: &'a str,
    /// Number of the record, from 1.
    pub number: u64,
    /// Where addresses are.
    pub geo: Option<&'a GeoDatabase>,
}

/// A record that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'f> {
    /// The label that the filter gives it.
    pub label: Option<&'f str>,
}

/// A question with the answer yes or no.
#[derive(Debug)]
pub(super) enum Test {
    Any,
    Compare(Number, Comparison, u64),
    OneOf(Number, Arc<Vec<u64>>),
    /// The addresses are IPv6 (or are not).
    IsIpv6(bool),
    /// The address is in this prefix.
    Address(Place, Prefix),
    AddressIn(Place, Arc<Prefixes>),
    /// All these TCP flags; in an expression that is negated any of them, as in nfdump 1.7.1.
    Flags(u64),
    /// The port lies in the NAT's port block.
    InPortBlock(Location),
    Ident(String),
    /// The payload has these bytes somewhere.
    PayloadHas(Vec<u8>),
    PayloadMatches(Regex),
    /// A TLS hello in the payload has this fingerprint, or any.
    Fingerprint(Option<u128>),
    /// A client's hello in the payload has this JA4 fingerprint, or any.
    Ja4(Option<String>),
    /// The label stored in the record.
    Label(String),
    /// The address is in this country, by the geo database.
    Country(Place, [u8; 2]),
    /// The address is in this time zone, by the geo database.
    TimeZone(Place, String),
    /// The address is an exit of Tor: needs a database that is not supported.
    Tor(Place),
    /// Least and largest TTL are the same.
    SameTtl,
    /// Name of the user of a firewall's event.
    User(String),
    /// Interface of a packet filter.
    PacketFilterInterface(String),
    /// There is a TLS hello in the payload.
    Hello,
    /// The server name of a hello contains this.
    ServerName(String),
    /// The payload of this extension is a DNS message, which asks or tells this.
    Dns(u16, Dns),
}

/// What is looked for in a DNS message.
#[derive(Debug)]
pub(super) enum Dns {
    Any,
    /// A name in it contains this.
    Name(String),
    /// An answer is this address.
    Address(IpAddr),
}

impl Dns {
    fn is_in(&self, record: &RecordView<'_>, payload: &[u8]) -> bool {
        let Some(message) = dns::of_flow(record, payload) else {
            return false;
        };
        match self {
            Self::Any => true,
            Self::Name(name) => message.names().iter().any(|known| contains(known, name)),
            Self::Address(address) => message.addresses().contains(address),
        }
    }
}

/// Whether a text contains another, letters of either case being the same.
fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase()
        .contains(&part.to_ascii_lowercase())
}

/// A text in a field of fixed length: up to its first zero byte.
fn text_of(data: &[u8]) -> &[u8] {
    data.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl Test {
    #[inline]
    fn holds(&self, record: &RecordView<'_>, context: &Context<'_>, inverted: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Compare(number, comparison, value) => {
                comparison.holds(number.of(record, context), *value)
            }
            Self::OneOf(number, values) => {
                values.binary_search(&number.of(record, context)).is_ok()
            }
            Self::IsIpv6(wanted) => record.has(ext::IPV6_FLOW) == *wanted,
            Self::Address(place, prefix) => prefix.contains(place.of(record)),
            Self::AddressIn(place, prefixes) => prefixes.contains(place.of(record)),
            Self::Flags(flags) => {
                let set = record.get_or_zero(field::TCP_FLAGS) & flags;
                if inverted { set > 0 } else { set == *flags }
            }
            Self::InPortBlock(port) => {
                let port = record.get_or_zero(*port);
                let first = record.get_or_zero(field::BLOCK_START);
                (first..=record.get_or_zero(field::BLOCK_END)).contains(&port)
            }
            Self::Ident(ident) => ident == context.ident,
            Self::PayloadHas(text) => payload(record)
                .windows(text.len().max(1))
                .any(|part| part == text),
            Self::PayloadMatches(regex) => regex.is_match(payload(record)),
            Self::Fingerprint(wanted) => Hello::parse(payload(record))
                .is_some_and(|hello| wanted.is_none_or(|wanted| wanted == hello.fingerprint())),
            Self::Ja4(None) => Hello::parse(payload(record)).is_some_and(|hello| hello.is_client()),
            Self::Ja4(wanted) => Hello::parse(payload(record))
                .is_some_and(|hello| hello.ja4() == *wanted || hello.ja4_of_nfdump() == *wanted),
            Self::Label(wanted) => {
                text_of(record.extension(ext::LABEL).unwrap_or_default()) == wanted.as_bytes()
            }
            Self::Country(place, country) => context.geo.is_some_and(|geo| {
                place
                    .address(record)
                    .is_some_and(|address| geo.country(address) == Some(*country))
            }),
            Self::TimeZone(place, zone) => context.geo.is_some_and(|geo| {
                place
                    .address(record)
                    .is_some_and(|address| geo.is_in_zone(address, zone))
            }),
            Self::Tor(_) => false,
            Self::SameTtl => {
                record.get_or_zero(field::MIN_TTL) == record.get_or_zero(field::MAX_TTL)
            }
            Self::User(name) => record
                .extension(ext::NSEL_USER)
                .is_some_and(|data| text_of(data) == name.as_bytes()),
            Self::PacketFilterInterface(name) => record
                .extension(ext::PF_INFO)
                .and_then(|data| data.get(PF_INTERFACE..))
                .is_some_and(|data| text_of(data) == name.as_bytes()),
            Self::Hello => Hello::parse(payload(record)).is_some(),
            Self::ServerName(name) => Hello::parse(payload(record))
                .is_some_and(|hello| hello.server_name.contains(name.as_str())),
            Self::Dns(extension, what) => record
                .extension(*extension)
                .is_some_and(|payload| what.is_in(record, payload)),
        }
    }

    /// Whether the record has what is tested.
    fn is_there(&self, record: &RecordView<'_>) -> bool {
        match self {
            Self::Compare(number, ..) | Self::OneOf(number, _) => number.is_there(record),
            Self::Address(Place(v4, v6), prefix) => {
                record.has(if prefix.is_v6 { v6 } else { v4 }.extension)
            }
            Self::AddressIn(Place(v4, v6), _) => {
                record.has(v4.extension) || record.has(v6.extension)
            }
            Self::Flags(_) => record.has(ext::GENERIC_FLOW),
            Self::InPortBlock(_) => record.has(ext::NEL_XLATE_PORT),
            Self::SameTtl => record.has(ext::IP_INFO),
            _ => true,
        }
    }

    /// How many tests nfdump makes of it: an address has two halves.
    fn weight(&self) -> usize {
        match self {
            Self::Address(..) => 2,
            _ => 1,
        }
    }
}

/// No further test: the outcome of this one is the answer.
const END: u32 = u32::MAX;

#[derive(Debug)]
struct Step {
    test: Test,
    on_true: u32,
    on_false: u32,
    inverted: bool,
    /// By the rules of later versions: fails where the record lacks the field, and negated flags are no others.
    later: bool,
    /// Index into the labels.
    label: Option<u32>,
}

impl Step {
    #[inline]
    fn holds(&self, record: &RecordView<'_>, context: &Context<'_>) -> bool {
        if self.later {
            self.test.is_there(record) && self.test.holds(record, context, false)
        } else {
            self.test.holds(record, context, self.inverted)
        }
    }
}

/// Part of a program: a (sub-)expression.
pub(super) struct Part {
    start: u32,
    steps: Vec<u32>,
    weight: usize,
}

/// Makes a program from its parts.
#[derive(Default)]
pub(super) struct Builder {
    steps: Vec<Step>,
    labels: Vec<String>,
    /// Tests made from here on follow the rules of later versions.
    pub(super) later: bool,
}

impl Builder {
    pub(super) fn test(&mut self, test: Test) -> Part {
        let start = u32::try_from(self.steps.len()).unwrap_or(END);
        let weight = test.weight();
        self.steps.push(Step {
            test,
            on_true: END,
            on_false: END,
            inverted: false,
            later: self.later,
            label: None,
        });
        Part {
            start,
            steps: vec![start],
            weight,
        }
    }

    /// Both hold.
    pub(super) fn and(&mut self, left: Part, right: Part) -> Part {
        self.connect(left, right, true)
    }

    /// One of them holds.
    pub(super) fn or(&mut self, left: Part, right: Part) -> Part {
        self.connect(left, right, false)
    }

    /// Goes on with the second part where the first has the outcome `on`.
    fn connect(&mut self, left: Part, right: Part, on: bool) -> Part {
        let keeps_order = matches!(
            self.steps.get(right.start as usize).map(|step| &step.test),
            Some(Test::Any)
        );
        let (first, second) = if keeps_order || left.weight <= right.weight {
            (left, right)
        } else {
            (right, left)
        };
        for index in &first.steps {
            let Some(step) = self.steps.get_mut(*index as usize) else {
                continue;
            };
            let exit = if step.inverted == on {
                &mut step.on_false
            } else {
                &mut step.on_true
            };
            if *exit == END {
                *exit = second.start;
            }
        }
        let weight = first.weight + second.weight;
        let (mut steps, fewer) = if first.steps.len() < second.steps.len() {
            (second.steps, first.steps)
        } else {
            (first.steps, second.steps)
        };
        steps.extend(fewer);
        Part {
            start: first.start,
            steps,
            weight,
        }
    }

    pub(super) fn not(&mut self, part: Part) -> Part {
        for index in &part.steps {
            if let Some(step) = self.steps.get_mut(*index as usize) {
                step.inverted = !step.inverted;
            }
        }
        part
    }

    /// Gives the label to what passes by this part.
    pub(super) fn label(&mut self, part: &Part, label: &str) {
        let number = u32::try_from(self.labels.len()).ok();
        self.labels.push(label.to_owned());
        for index in &part.steps {
            if let Some(step) = self.steps.get_mut(*index as usize)
                && step.on_true == END
            {
                step.label = number;
            }
        }
    }

    /// The program that starts with this part; without one everything passes.
    pub(super) fn finish(self, part: Option<&Part>) -> Filter {
        Filter {
            start: part.map_or(END, |part| part.start),
            steps: self.steps,
            labels: self.labels,
        }
    }
}

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    start: u32,
    steps: Vec<Step>,
    labels: Vec<String>,
}

impl Filter {
    /// Whether the record passes.
    #[inline]
    #[must_use]
    pub fn matches(&self, record: &RecordView<'_>, context: &Context<'_>) -> Option<Match<'_>> {
        let mut next = self.start;
        let mut passes = true;
        let mut label = None;
        while let Some(step) = self.steps.get(next as usize) {
            let holds = step.holds(record, context);
            passes = holds != step.inverted;
            if holds {
                label = step.label.or(label);
                next = step.on_true;
            } else {
                label = None;
                next = step.on_false;
            }
        }
        passes.then(|| Match {
            label: label
                .and_then(|label| self.labels.get(label as usize))
                .map(String::as_str),
        })
    }
}

impl Filter {
    /// Whether it asks for what only a geo database knows.
    #[must_use]
    pub fn needs_places(&self) -> bool {
        let places = |step: &Step| matches!(step.test, Test::Country(..) | Test::TimeZone(..));
        self.steps.iter().any(places)
    }

    /// Whether it asks for the number of the record.
    #[must_use]
    pub fn needs_numbers(&self) -> bool {
        let counts = |test: &Test| {
            matches!(
                test,
                Test::Compare(Number::Count, ..) | Test::OneOf(Number::Count, _)
            )
        };
        self.steps.iter().any(|step| counts(&step.test))
    }

    /// Whether it asks for exits of Tor.
    #[must_use]
    pub fn needs_tor(&self) -> bool {
        let tor = |step: &Step| matches!(step.test, Test::Tor(_));
        self.steps.iter().any(tor)
    }

    /// Number of the first test, from 1.
    pub(super) fn first(&self) -> u32 {
        self.start.wrapping_add(1)
    }

    /// Every test with its number, what follows from yes and no, and the label that it gives.
    pub(super) fn outline(&self) -> impl Iterator<Item = (u32, &Test, [String; 2], Option<&str>)> {
        (1_u32..).zip(&self.steps).map(|(number, step)| {
            let follows = |next: u32, holds: bool| match (next, holds != step.inverted) {
                (END, true) => "passes".to_owned(),
                (END, false) => "does not pass".to_owned(),
                (next, _) => format!("to {}", next + 1),
            };
            let label = step.label.and_then(|label| self.labels.get(label as usize));
            let both = [follows(step.on_true, true), follows(step.on_false, false)];
            (number, &step.test, both, label.map(String::as_str))
        })
    }
}
