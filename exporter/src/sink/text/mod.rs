//! Flows as Tranalyzer's txtSink prints them: one line a direction, tab separated, a header row that starts
//! with `%dir`; or as JSON, one object a direction. One table of [`columns`] feeds the header row, the rows, the
//! objects and the description file.

mod columns;
mod number;
mod packets;
mod vendors;

pub use packets::PacketSink;
pub use vendors::Vendors;

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use crate::meter::{Flow, FlowSink, Metric, Octets, TextFeatures};

/// A flow beside its opposite direction.
struct Row<'a> {
    letter: char,
    flow: &'a Flow,
    text: &'a TextFeatures,
    /// The opposite direction, if it was seen.
    opposite: Option<&'a Flow>,
    metric: Metric,
    vendors: Option<&'a Vendors>,
}

impl Row<'_> {
    /// What the direction's octet columns count.
    fn octets(&self) -> Octets {
        self.flow.octets(self.metric)
    }

    /// The text features of the opposite direction.
    fn opposite_text(&self) -> Option<&TextFeatures> {
        self.opposite?.text.as_deref()
    }
}

/// How rows are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    /// Tab separated under a header row, as Tranalyzer's txtSink.
    #[default]
    Columns,
    /// One JSON object a line, with the columns' names.
    Json,
}

/// Writes `PREFIX_flows.txt` or `PREFIX_flows.json`.
#[derive(Debug)]
pub struct TextSink<W: Write> {
    out: W,
    metric: Metric,
    layout: Layout,
    vendors: Option<Arc<Vendors>>,
    /// One printed value.
    scratch: Vec<u8>,
    /// The first error; nothing is written after it.
    failed: Option<io::Error>,
}

impl<W: Write> TextSink<W> {
    /// A sink, whose octet columns count `metric` and whose MAC labels come from `vendors`; writes the header row, if
    /// there is one.
    ///
    /// # Errors
    /// The header row cannot be written.
    pub fn new(
        mut out: W,
        metric: Metric,
        layout: Layout,
        vendors: Option<Arc<Vendors>>,
    ) -> io::Result<Self> {
        if layout == Layout::Columns {
            out.write_all(b"%")?;
            separated(&mut out, b"\t", columns::all(), |out, column| {
                out.write_all(named(column.name, metric).as_bytes())
            })?;
            out.write_all(b"\n")?;
        }
        Ok(TextSink {
            out,
            metric,
            layout,
            vendors,
            scratch: Vec::new(),
            failed: None,
        })
    }

    /// Writes what waits, so that it can be read.
    pub fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
    }

    /// The writer.
    pub fn writer(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives the writer back, and the first error since the sink was made.
    #[must_use]
    pub fn into_parts(self) -> (W, Option<io::Error>) {
        (self.out, self.failed)
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// The first error since the sink was made.
    pub fn finish(mut self) -> io::Result<W> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// The first error since the sink was made: nothing was written after it.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    fn row(&mut self, letter: char, flow: &Flow, opposite: Option<&Flow>) -> io::Result<()> {
        let none = TextFeatures::default();
        let row = Row {
            letter,
            flow,
            text: flow.text.as_deref().unwrap_or(&none),
            opposite,
            metric: self.metric,
            vendors: self.vendors.as_deref(),
        };
        if self.layout == Layout::Json {
            return object(&mut self.out, &mut self.scratch, &row);
        }
        separated(&mut self.out, b"\t", columns::all(), |out, column| {
            (column.print)(&row, out)
        })?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> FlowSink for TextSink<W> {
    /// Prints the pair. A flow without opposite direction has the letter A whatever its direction, as in
    /// Tranalyzer.
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        if self.failed.is_some() {
            return;
        }
        let printed = self.row('A', first, second).and_then(|()| match second {
            Some(second) => self.row('B', second, Some(first)),
            None => Ok(()),
        });
        if let Err(error) = printed {
            self.failed = Some(error);
        }
    }
}

/// Writes `PREFIX_headers.txt`: number, type, name and meaning of every column.
///
/// # Errors
/// The file cannot be written.
pub fn write_headers(out: &mut impl Write, metric: Metric) -> io::Result<()> {
    writeln!(out, "# t2x {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "# Core configuration: L2, IPv4, IPv6")?;
    writeln!(out, "#")?;
    writeln!(out, "# Col No.\tType\tName\tDescription")?;
    for (number, column) in (1..).zip(columns::all()) {
        writeln!(
            out,
            "{number}\t{}\t{}\t{}",
            column.kind,
            named(column.name, metric),
            named(column.meaning, metric)
        )?;
    }
    Ok(())
}

/// A column's name or meaning under a metric: Tranalyzer names octet columns by the layer that is counted.
fn named(text: &'static str, metric: Metric) -> Cow<'static, str> {
    let layer = match metric {
        Metric::L7 => return text.into(),
        Metric::L4 => "4",
        Metric::Ip => "3",
        Metric::L2 => "2",
    };
    if text.contains("l7") || text.contains("L7") || text.contains("ayer 7") {
        text.replace('7', layer).into()
    } else {
        text.into()
    }
}

/// A row as a JSON object.
fn object(out: &mut impl Write, scratch: &mut Vec<u8>, row: &Row<'_>) -> io::Result<()> {
    out.write_all(b"{")?;
    for (at, column) in columns::all().enumerate() {
        scratch.clear();
        (column.print)(row, scratch)?;
        let comma = if at > 0 { "," } else { "" };
        write!(out, "{comma}\"{}\":", named(column.name, row.metric))?;
        let text = std::str::from_utf8(scratch).unwrap_or_default();
        super::json::value(out, column.kind, text)?;
    }
    out.write_all(b"}\n")
}

fn separated<T, W: Write>(
    out: &mut W,
    separator: &[u8],
    items: impl Iterator<Item = T>,
    print: impl Fn(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.write_all(separator)?;
        }
        print(out, item)?;
    }
    Ok(())
}

/// Repeated values.
fn list<T>(
    mut out: &mut dyn Write,
    items: &[T],
    print: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    separated(&mut out, b";", items.iter(), |out, item| print(out, item))
}
