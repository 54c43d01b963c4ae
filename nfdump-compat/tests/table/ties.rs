//! What rows are sorted by, from what they show; and which rows tie.

use super::column;

/// The one order by which rows are sorted; several are not told apart.
pub fn order_of(words: &[&str]) -> String {
    let after = |option: &str| {
        words
            .windows(2)
            .find(|pair| pair[0] == option)
            .map(|pair| pair[1])
    };
    let text = after("-O").or_else(|| {
        after("-s").map(|text| text.split_once('/').map_or("flows", |(_, order)| order))
    });
    text.unwrap_or("tstart")
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// Times and counters of a row, or of what a row stands for.
#[derive(Clone)]
pub struct Sum {
    /// First and last packet, ms.
    pub first: u64,
    pub last: u64,
    /// The last packet as it is printed.
    pub end: String,
    pub flows: u64,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
}

/// The columns of a [`Sum`].
pub const SUM: &str = "%tsr %te %td %fl %ipkt %opkt %ibyt %obyt";
/// How many words they are.
pub const SUM_WORDS: usize = 9;

impl Sum {
    /// The sum of a row's last columns, with plain numbers.
    pub fn of(columns: &[&str]) -> Option<Self> {
        let [first, day, clock, duration, counters @ ..] = columns else {
            return None;
        };
        // Of what an overflow leaves, the 64 bits.
        let ms = |text: &str| Some(text.replace('.', "").parse::<i128>().ok()? as u64);
        let first = ms(first)?;
        let counters: Vec<u64> = counters
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        let [flows, in_packets, out_packets, in_bytes, out_bytes] = counters[..] else {
            return None;
        };
        Some(Self {
            first,
            last: first.wrapping_add(ms(duration)?),
            end: format!("{day} {clock}"),
            flows,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        })
    }

    fn is_nothing(&self) -> bool {
        self.flows + self.in_packets + self.out_packets + self.in_bytes + self.out_bytes == 0
    }

    /// What it is sorted by.
    pub fn order_value(&self, order: &str) -> Option<String> {
        let (packets, bytes) = match order.as_bytes().first() {
            Some(b'i') => (self.in_packets, self.in_bytes),
            Some(b'o') => (self.out_packets, self.out_bytes),
            _ => (
                self.in_packets + self.out_packets,
                self.in_bytes + self.out_bytes,
            ),
        };
        let ms = self.last.wrapping_sub(self.first);
        let rate = |count: u64| count.checked_div(ms).unwrap_or(0);
        let number = match order.trim_start_matches(['i', 'o']) {
            "flows" => self.flows,
            "packets" | "pkg" => packets,
            "bytes" | "byte" => bytes,
            "pps" => rate(packets * 1000),
            "bps" => rate(bytes.wrapping_mul(8000)),
            "bpp" => bytes.checked_div(packets).unwrap_or(0),
            "tstart" => self.first,
            "tend" => return Some(self.end.clone()),
            "duration" => ms,
            _ => return None,
        };
        Some(number.to_string())
    }
}

/// The order values of rows of a [`Sum`]'s columns; other lines are themselves. A line that counts nothing is that of a
/// tunnel, and goes with the row behind it.
pub fn order_values(lines: &[String], order: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for line in lines.iter().rev() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let sum = Sum::of(&words);
        let behind = values.last().cloned();
        let value = match &sum {
            Some(sum) if sum.is_nothing() && behind.is_some() => behind,
            Some(sum) => sum.order_value(order),
            None => None,
        };
        values.push(value.unwrap_or_else(|| line.clone()));
    }
    values.reverse();
    values
}

/// The order value of a row that ends in `%pkt %byt %bps %bpp %fl` with plain numbers; other lines are themselves.
pub fn order_value_of_fields(line: &str, order: &str) -> String {
    let columns: Vec<&str> = line.split_whitespace().rev().take(5).collect();
    let [flows, bpp, bps, bytes, packets] = columns[..] else {
        return line.to_owned();
    };
    if columns.iter().any(|column| column.parse::<u64>().is_err()) {
        return line.to_owned();
    }
    match order {
        "flows" => flows,
        "packets" => packets,
        "bytes" => bytes,
        "bps" => bps,
        "bpp" => bpp,
        _ => line,
    }
    .to_owned()
}

pub fn sorted(lines: &[String]) -> Vec<&String> {
    let mut lines: Vec<&String> = lines.iter().collect();
    lines.sort();
    lines
}

/// Tables of element statistics with each row reduced to the column it is sorted by, and the rows that do not tie with the
/// last one (which of those made it into the table is arbitrary) as a set.
pub fn tables(lines: &[String], csv_order: &str, quiet: bool) -> Vec<String> {
    let mut result = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    let mut order: Option<String> = quiet.then(|| csv_order.to_owned());
    for line in lines {
        let line = line.trim_end_matches('\n');
        let csv = line.starts_with("ts,te,td,pr,val");
        if line.starts_with("Top ") || line.starts_with("Summary") || line.is_empty() || csv {
            settle(&mut result, &mut rows, order.as_deref());
            let title = line
                .strip_suffix(':')
                .and_then(|title| title.rsplit_once(" ordered by "));
            order = title.map(|(_, order)| order.to_owned());
            if csv {
                order = Some(format!("csv {csv_order}"));
            }
            result.push(line.to_owned());
        } else {
            rows.push(line);
        }
    }
    settle(&mut result, &mut rows, order.as_deref());
    result
}

fn settle(result: &mut Vec<String>, rows: &mut Vec<&str>, order: Option<&str>) {
    let keys: Vec<String> = match order {
        None => Vec::new(),
        Some(order) => rows.iter().map(|row| element_value(row, order)).collect(),
    };
    let last = keys.last().cloned().unwrap_or_default();
    let mut certain: Vec<String> = rows
        .drain(..)
        .enumerate()
        .filter(|(at, _)| {
            keys.get(*at)
                .is_none_or(|key| key.is_empty() || *key != last)
        })
        .map(|(_, row)| row.to_owned())
        .collect();
    certain.sort();
    result.extend(keys);
    result.extend(certain);
}

/// The column by which an element's table is sorted; empty for other lines.
fn element_value(row: &str, order: &str) -> String {
    if let Some(order) = order.strip_prefix("csv ") {
        let column = match order.trim_start_matches(['i', 'o']) {
            "bpp" => 13,
            "bps" => 12,
            "pps" => 11,
            "byte" | "bytes" => 9,
            "pkg" | "packets" => 7,
            _ => 5,
        };
        return row.split(',').nth(column).unwrap_or_default().to_owned();
    }
    if row.matches('(').count() < 3 || row.contains("(%)") {
        return String::new();
    }
    column::sorted_column(row, order)
}
