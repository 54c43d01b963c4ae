//! Element statistics: flows grouped by one element, sorted by one number, printed as tables.
//!
//! Rows of equal order value are sorted by the element's value: addresses and numbers ascending, ports descending, then by
//! protocol number.

pub mod element;
mod forms;
pub mod order;
pub mod request;

use crate::{
    groups::{Filled, Flow, Gathered, Group, Groups, Place, key},
    output::{
        csv,
        number::{align_right, bits_per_second, per_second, push_scaled_right, push_u64},
        put,
        row::Counters,
        style::Style,
        time::{LocalTime, push_duration_seconds},
        values::{push_bytes_per_packet, push_duration, push_protocol, push_tag},
        versions::Facts,
    },
    record::RecordView,
};
use element::{Element, Kind, Source, Value};
use order::Order;
use std::cmp::Ordering;

/// A growing statistic of one element, filled by several threads.
pub struct ElementStatistic {
    element: &'static Element,
    sources: &'static [Source],
    by_protocol: bool,
    limits: Limits,
    /// Flows without the element are left out, as in nfdump 1.7.5; before they counted for 0.
    only_present: bool,
    /// A flow whose two values are equal counts once.
    equal_once: bool,
    groups: Groups,
}

#[derive(Clone, Copy)]
struct Key {
    value: Value,
    protocol: u8,
}

impl Key {
    fn of_group(group: &Group<'_>) -> Self {
        let mut rest = group.key();
        let value = key::take_number(&mut rest);
        Self {
            value: Value {
                high: (value >> 64) as u64,
                low: value as u64,
            },
            protocol: rest.first().copied().unwrap_or(0),
        }
    }
}

/// Which rows of a statistic are shown at all (`-l`, `-L`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Packets of a row.
    pub packets: Option<Limit>,
    /// Bytes of a row.
    pub bytes: Option<Limit>,
}

/// More or fewer than a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More than this.
    More(u64),
    /// Fewer than this.
    Less(u64),
}

impl Limit {
    /// Parses the argument of `-l` and `-L`: a number with `k`, `m` or `g` for powers of 1000, and `-` before it for less.
    ///
    /// # Errors
    /// The part that is not understood.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let (less, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            Some(b'0'..=b'9') => (false, text),
            _ => return Err(format!("Can't understand '{text}'")),
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let scale: u64 = match unit
            .chars()
            .next_back()
            .map(|unit| unit.to_ascii_lowercase())
        {
            Some('k') => 1000,
            Some('m') => 1_000_000,
            Some('g') => 1_000_000_000,
            Some('b') | None => 1,
            Some(other) => return Err(format!("Can't understand '{other}' in '{text}'")),
        };
        let number = number.parse::<u64>().unwrap_or(0).saturating_mul(scale);
        Ok(match (number, less) {
            (0, _) => None,
            (number, true) => Some(Self::Less(number)),
            (number, false) => Some(Self::More(number)),
        })
    }

    /// Whether the value is within.
    #[must_use]
    pub fn admits(limit: Option<Self>, value: u64) -> bool {
        match limit {
            Some(Self::More(than)) => value > than,
            Some(Self::Less(than)) => value < than,
            None => true,
        }
    }
}

/// How many rows to show, and from which end.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Number of rows; 0 for all.
    pub top: usize,
    /// Smallest first.
    pub ascending: bool,
}

impl ElementStatistic {
    /// An empty statistic.
    #[must_use]
    pub fn new(
        element: &'static Element,
        by_protocol: bool,
        limits: Limits,
        facts: &Facts,
    ) -> Self {
        Self {
            element,
            sources: element.sources_in(facts),
            by_protocol,
            limits,
            only_present: facts.later,
            equal_once: facts.equal_once,
            groups: Groups::new(false),
        }
    }

    /// Counts one flow, for an element with two values once for each; at the latest with [`Self::deliver`].
    pub fn add(
        &self,
        gathered: &mut Gathered,
        record: &RecordView<'_>,
        protocol: u8,
        counters: &Counters,
    ) {
        let protocol = if self.by_protocol { protocol } else { 0 };
        let mut first = None;
        for source in self.sources {
            if self.only_present && !self.element.always && !source.is_in(record) {
                continue;
            }
            let value = source.value(record);
            if self.only_present
                && self.element.kind == Kind::Fingerprint
                && value == Value::default()
            {
                continue;
            }
            if self.equal_once && first == Some(value) {
                continue;
            }
            first.get_or_insert(value);
            let Gathered { key, boxes } = &mut *gathered;
            key.clear();
            match value.high {
                0 => key.push_number(value.low),
                high => key.push_wide(u128::from(high) << 64 | u128::from(value.low)),
            }
            key.push_array([protocol]);
            let flow = Flow {
                key: key.key(),
                turned: false,
                counters,
                tcp_flags: 0,
                seen: 0,
                record: None,
            };
            self.groups.add(boxes, &flow);
        }
    }

    /// Counts what a thread has gathered.
    pub fn deliver(&self, gathered: &mut Gathered) {
        self.groups.deliver(gathered);
    }

    /// Appends the table for one order, an empty line after it; `named` is false for the default order. `total` is the sum
    /// over all flows: percentages refer to it.
    #[allow(clippy::too_many_arguments)] // one table's parameters, all different
    pub fn push_table(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        named: bool,
        cut: Cut,
        total: &Counters,
        quiet: bool,
        style: &Style,
        time: &mut LocalTime,
    ) {
        let rows = self.sorted(order, cut);
        if !quiet {
            self.push_heading(out, order, named, cut.top, style);
        }
        for (key, counters) in rows {
            self.push_row(out, key, &counters, order, total, style, time);
        }
        if style.facts().line_after_table {
            out.push(b'\n');
        }
    }

    /// Appends the table for one order as csv, an empty line after it.
    pub fn push_csv(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        cut: Cut,
        total: &Counters,
        style: &Style,
        time: &mut LocalTime,
    ) {
        csv::push_statistic_heading(out, order.side);
        for (key, counters) in self.sorted(order, cut) {
            let protocol = self.by_protocol.then_some(key.protocol);
            let value = |out: &mut Vec<u8>| self.push_csv_value(out, key.value);
            let duration = style.facts().duration(counters.duration_ms());
            csv::push_times(out, &counters, duration, time);
            csv::push_statistic_row(out, protocol, value, &counters, order.side, total);
        }
        if style.facts().line_after_table {
            out.push(b'\n');
        }
    }

    /// The value without its padding, which nfdump leaves in labels only.
    fn push_csv_value(&self, out: &mut Vec<u8>, value: Value) {
        let mut text = Vec::new();
        self.element.push_value(&mut text, value, true);
        if self.element.kind == Kind::Mpls {
            out.extend_from_slice(&text);
        } else {
            out.extend_from_slice(text.trim_ascii());
        }
    }

    /// The rows to show, in their order.
    fn sorted(&self, order: &Order, cut: Cut) -> Vec<(Key, Counters)> {
        let groups = self.groups.read();
        let value = |group: &Group<'_>| {
            let (side, counters) = (order.side, group.counters());
            let admitted = Limit::admits(self.limits.packets, side.packets(counters))
                && Limit::admits(self.limits.bytes, side.bytes(counters));
            admitted.then(|| order.value(counters))
        };
        let tie = |a: &Group<'_>, b: &Group<'_>| self.compare(Key::of_group(a), Key::of_group(b));
        let row = |groups: &Filled<'_>, place: Place| {
            let group = groups.group(place)?;
            Some((Key::of_group(&group), *group.counters()))
        };
        let places = groups.sorted(cut, value, tie);
        places
            .into_iter()
            .filter_map(|place| row(&groups, place))
            .collect()
    }

    /// How rows of equal order value are sorted.
    fn compare(&self, a: Key, b: Key) -> Ordering {
        let by_value = if self.element.kind == Kind::Port {
            b.value.cmp(&a.value)
        } else {
            a.value.cmp(&b.value)
        };
        by_value.then(a.protocol.cmp(&b.protocol))
    }

    fn push_heading(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        named: bool,
        top: usize,
        style: &Style,
    ) {
        let facts = style.facts();
        out.extend_from_slice(b"Top ");
        if top > 0 {
            push_u64(out, top as u64);
            out.push(b' ');
        }
        out.extend_from_slice(self.element.heading_in(facts).as_bytes());
        out.extend_from_slice(b" ordered by ");
        out.extend_from_slice(
            match facts.unnamed_order {
                Some(name) if !named => name,
                _ => order.name,
            }
            .as_bytes(),
        );
        out.extend_from_slice(b":\nDate first seen         ");
        out.extend_from_slice(facts.statistic_duration_heading.as_bytes());
        out.extend_from_slice(b" Proto ");
        let start = out.len();
        out.extend_from_slice(self.element.heading_in(facts).as_bytes());
        align_right(out, start, self.value_width(style));
        out.extend_from_slice(
            b"    Flows(%)     Packets(%)       Bytes(%)         pps      bps   bpp\n",
        );
    }

    #[allow(clippy::too_many_arguments)] // as above
    fn push_row(
        &self,
        out: &mut Vec<u8>,
        key: Key,
        counters: &Counters,
        order: &Order,
        total: &Counters,
        style: &Style,
        time: &mut LocalTime,
    ) {
        let (packets, bytes) = (order.side.packets(counters), order.side.bytes(counters));
        let duration = counters.duration_ms();
        time.push_ms(out, counters.first_ms);
        out.push(b' ');
        if self.is_wide(style) {
            // nfdump 1.7.1 prints these rows' durations in seconds.
            push_duration_seconds(out, duration, 9);
        } else {
            push_duration(out, duration, style);
        }
        out.push(b' ');
        if self.by_protocol {
            push_protocol(out, key.protocol, style);
        } else {
            out.extend_from_slice(b"any  ");
        }
        out.push(b' ');
        if self.element.kind == Kind::Address {
            push_tag(out, style);
        }
        let start = out.len();
        let unknown = key.value == Value::default();
        if self.element.kind == Kind::Country && unknown && style.facts().later {
            put!(out, "{:>45} ({:6})", "unknown", 0);
        } else {
            self.element.push_value(out, key.value, style.full_ipv6);
        }
        align_right(out, start, self.value_width(style));
        for (part, whole) in [
            (counters.flows, total.flows),
            (packets, total.packets()),
            (bytes, total.bytes()),
        ] {
            out.push(b' ');
            push_scaled_right(out, part, style.sum_scale(), style.facts().counter_width);
            put!(out, "({:4.1})", percent(part, whole));
        }
        for rate in [
            per_second(packets, duration),
            bits_per_second(bytes, duration),
        ] {
            out.push(b' ');
            push_scaled_right(out, rate, style.sum_scale(), style.facts().counter_width);
        }
        out.push(b' ');
        push_bytes_per_packet(out, bytes, packets, 5);
        out.push(b'\n');
    }

    fn is_wide(&self, style: &Style) -> bool {
        style.full_ipv6 && self.element.kind == Kind::Address
    }

    fn value_width(&self, style: &Style) -> usize {
        if self.is_wide(style) { 39 } else { 17 }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part.wrapping_mul(100) as f64 / whole as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::{element::ELEMENTS, order::ORDERS, *};
    use crate::{
        field,
        output::style::Compat,
        record::{RecordBuilder, RecordHeader},
    };
    use jiff::tz::TimeZone;
    use std::net::IpAddr;

    /// Three flows of 29 packets each: source, destination port.
    const FLOWS: [(&str, u64); 3] = [
        ("192.168.1.105", 1911),
        ("10.0.0.1", 49_218),
        ("2001:db8::1", 25),
    ];

    fn table(element: &str, order: &str, cut: Cut) -> String {
        let element = ELEMENTS
            .iter()
            .find(|known| known.name == element)
            .expect("known");
        let order = ORDERS
            .iter()
            .find(|known| known.name == order)
            .expect("known");
        let statistic =
            ElementStatistic::new(element, false, Limits::default(), Compat::V1_7_1.facts());
        let mut builder = RecordBuilder::new();
        let mut total = None;
        let mut gathered = Gathered::default();
        for (address, port) in FLOWS {
            builder.begin(&RecordHeader::default());
            let address: IpAddr = address.parse().expect("an address");
            builder.set_address(field::SRC_IPV4, field::SRC_IPV6, address);
            for (location, value) in [
                (field::MSEC_FIRST, 1_258_565_820_264),
                (field::MSEC_LAST, 1_258_565_821_861),
                (field::IN_PACKETS, 29),
                (field::IN_BYTES, 1519),
                (field::DST_PORT, port),
                (field::PROTO, 6),
            ] {
                builder.set(location, value);
            }
            let record = RecordView::parse(builder.finish()).expect("a whole record");
            let counters = Counters::of(&record);
            statistic.add(&mut gathered, &record, 6, &counters);
            total.get_or_insert(counters);
        }
        statistic.deliver(&mut gathered);
        let total = total.expect("flows");
        let mut out = Vec::new();
        let mut time = LocalTime::new(TimeZone::posix("CET-1").expect("a zone"));
        statistic.push_table(
            &mut out,
            order,
            true,
            cut,
            &total,
            true,
            &Style::default(),
            &mut time,
        );
        String::from_utf8_lossy(&out).into_owned()
    }

    fn values(table: &str) -> Vec<&str> {
        table
            .lines()
            .filter_map(|line| line.split_whitespace().nth(4))
            .collect()
    }

    const ALL: Cut = Cut {
        top: 0,
        ascending: false,
    };

    /// The tutorial prints port 49218 before 1911, both 29 packets.
    #[test]
    fn equal_rows_are_sorted_by_value() {
        assert_eq!(
            values(&table("dstport", "packets", ALL)),
            ["49218", "1911", "25"]
        );
        assert_eq!(
            values(&table("srcip", "packets", ALL)),
            ["10.0.0.1", "192.168.1.105", "2001:db8::1"]
        );
        let smallest_first = Cut {
            top: 2,
            ascending: true,
        };
        assert_eq!(
            values(&table("dstport", "packets", smallest_first)),
            ["49218", "1911"]
        );
    }

    /// The row of the tutorial's "Dst Port ordered by packets" (its durations in nfdump 1.7.1's form, percentages of one flow).
    #[test]
    fn a_row_as_nfdump() {
        let table = table(
            "dstport",
            "packets",
            Cut {
                top: 1,
                ascending: false,
            },
        );
        assert_eq!(
            table,
            "2009-11-18 18:37:00.264     00:00:01.597 any               49218        1(100.0)       29(100.0)     1519(100.0)       18     7609    52\n\n"
        );
    }

    #[test]
    fn limits() {
        for (text, limit) in [
            ("100", Some(Limit::More(100))),
            ("+1k", Some(Limit::More(1000))),
            ("-2M", Some(Limit::Less(2_000_000))),
            ("3G", Some(Limit::More(3_000_000_000))),
            ("10b", Some(Limit::More(10))),
            ("0", None),
        ] {
            assert_eq!(Limit::parse(text), Ok(limit), "{text}");
        }
        for text in ["", "x", "1x", "-x"] {
            assert!(Limit::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_limit_or_an_error(text in ".{0,20}", number in "[-+]?[0-9]{0,25}[a-zA-Z]{0,2}") {
            let _ = Limit::parse(&text);
            let _ = Limit::parse(&number);
        }
    }
}
