//! Element statistics in forms other than nfdump's table: pipe, JSON and Markdown.

use super::{Cut, ElementStatistic, Key, element::Kind, order::Order, percent};
use crate::output::{
    number::{bits_per_second, bytes_per_packet, per_second, push_scaled_right, push_u64},
    pipe, put,
    row::Counters,
    style::Style,
    time::{LocalTime, push_duration_seconds},
    values::push_protocol,
};

impl ElementStatistic {
    /// Appends the rows of one order as nfdump's pipe, an empty line after them.
    pub fn push_pipe(&self, out: &mut Vec<u8>, order: &Order, cut: Cut) {
        for (key, counters) in self.sorted(order, cut) {
            let (packets, bytes) = (order.side.packets(&counters), order.side.bytes(&counters));
            let address = (self.element.kind == Kind::Address).then(|| key.value.address());
            pipe::push_field(out, address.map_or(0, pipe::family));
            pipe::push_field(out, counters.first_ms);
            pipe::push_field(out, counters.last_ms);
            pipe::push_field(out, u64::from(key.protocol));
            match address {
                Some(address) => {
                    for word in pipe::words(address) {
                        pipe::push_field(out, word);
                    }
                }
                None => pipe::push_field(out, key.value.low),
            }
            let duration = counters.duration_ms();
            let half = |value: u64| value & u64::from(u32::MAX);
            for value in [
                counters.flows,
                packets,
                bytes,
                half(per_second(packets, duration)),
                half(bits_per_second(bytes, duration)),
            ] {
                pipe::push_field(out, value);
            }
            push_u64(out, half(bytes_per_packet(bytes, packets)));
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    /// Appends the rows of one order as JSON, each on a line as nfdump 1.7.5 prints them.
    pub fn push_json_lines(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        cut: Cut,
        time: &mut LocalTime,
    ) {
        for (key, counters) in self.sorted(order, cut) {
            let (packets, bytes) = (order.side.packets(&counters), order.side.bytes(&counters));
            out.extend_from_slice(b"{ ");
            push_json_times(out, &counters, time);
            put!(
                out,
                "\"proto\" : {}, \"{}\" : \"",
                key.protocol,
                self.element.name
            );
            let mut value = Vec::new();
            self.element.push_value(&mut value, key.value, true);
            out.extend_from_slice(value.trim_ascii());
            let duration = counters.duration_ms();
            put!(
                out,
                "\", \"flows\" : {}, \"packets\" : {packets}, \"bytes\" : {bytes}, \"pps\" : {}, \"bps\" : {}, \"bpp\" : {}}}\n",
                counters.flows,
                per_second(packets, duration),
                bits_per_second(bytes, duration),
                bytes_per_packet(bytes, packets)
            );
        }
    }

    /// Appends the rows of one order as a Markdown table.
    pub fn push_markdown(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        cut: Cut,
        total: &Counters,
        style: &Style,
        time: &mut LocalTime,
    ) {
        put!(
            out,
            "| {} | flows | % | packets | % | bytes | % | pps | bps | first seen | duration |\n",
            self.element.heading.trim()
        );
        out.extend_from_slice(b"|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|\n");
        for (key, counters) in self.sorted(order, cut) {
            let (packets, bytes) = (order.side.packets(&counters), order.side.bytes(&counters));
            out.extend_from_slice(b"| ");
            if self.by_protocol {
                push_protocol(out, key.protocol, style);
            }
            let mut value = Vec::new();
            self.element.push_value(&mut value, key.value, true);
            out.extend_from_slice(value.trim_ascii());
            for (part, whole) in [
                (counters.flows, total.flows),
                (packets, total.packets()),
                (bytes, total.bytes()),
            ] {
                out.extend_from_slice(b" | ");
                push_scaled_right(out, part, style.scale(), 0);
                put!(out, " | {:.1}", percent(part, whole));
            }
            let duration = counters.duration_ms();
            for rate in [
                per_second(packets, duration),
                bits_per_second(bytes, duration),
            ] {
                out.extend_from_slice(b" | ");
                push_scaled_right(out, rate, style.scale(), 0);
            }
            out.extend_from_slice(b" | ");
            time.push_ms(out, counters.first_ms);
            out.extend_from_slice(b" | ");
            push_duration_seconds(out, duration, 0);
            out.extend_from_slice(b" |\n");
        }
        out.push(b'\n');
    }

    /// Appends the table of one order as a JSON object.
    pub fn push_json(
        &self,
        out: &mut Vec<u8>,
        order: &Order,
        cut: Cut,
        total: &Counters,
        time: &mut LocalTime,
    ) {
        put!(
            out,
            "{{\n\t\"statistic\" : \"{}\",\n\t\"order\" : \"{}\",\n\t\"rows\" : [",
            self.element.name,
            order.name
        );
        for (index, (key, counters)) in self.sorted(order, cut).into_iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",\n\t\t{ " } else { b"\n\t\t{ " });
            self.push_json_row(out, key, &counters, total, time);
            out.extend_from_slice(b" }");
        }
        out.extend_from_slice(b"\n\t]\n}");
    }

    fn push_json_row(
        &self,
        out: &mut Vec<u8>,
        key: Key,
        counters: &Counters,
        total: &Counters,
        time: &mut LocalTime,
    ) {
        push_json_times(out, counters, time);
        if self.by_protocol {
            put!(out, "\"proto\" : {}, ", key.protocol);
        }
        out.extend_from_slice(b"\"value\" : \"");
        let mut value = Vec::new();
        self.element.push_value(&mut value, key.value, true);
        out.extend_from_slice(value.trim_ascii());
        let duration = counters.duration_ms();
        let (packets, bytes) = (counters.packets(), counters.bytes());
        put!(
            out,
            "\", \"flows\" : {}, \"flows_percent\" : {:.1}, \"in_packets\" : {}, \"out_packets\" : {}, \"packets_percent\" : {:.1}, ",
            counters.flows,
            percent(counters.flows, total.flows),
            counters.in_packets,
            counters.out_packets,
            percent(packets, total.packets())
        );
        put!(
            out,
            "\"in_bytes\" : {}, \"out_bytes\" : {}, \"bytes_percent\" : {:.1}, \"pps\" : {}, \"bps\" : {}, \"bpp\" : {}",
            counters.in_bytes,
            counters.out_bytes,
            percent(bytes, total.bytes()),
            per_second(packets, duration),
            bits_per_second(bytes, duration),
            bytes_per_packet(bytes, packets)
        );
    }
}

/// First and last packet in ISO 8601, local time.
fn push_json_times(out: &mut Vec<u8>, counters: &Counters, time: &mut LocalTime) {
    for (name, ms) in [("first", counters.first_ms), ("last", counters.last_ms)] {
        put!(out, "\"{name}\" : \"");
        let start = out.len();
        time.push_ms(out, ms);
        if let Some(blank) = out.iter_mut().skip(start).find(|byte| **byte == b' ') {
            *blank = b'T';
        }
        out.extend_from_slice(b"\", ");
    }
}
