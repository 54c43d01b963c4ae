//! A query over flow records: what was asked, and the running answer. Takes records, appends text; reads no file.

use crate::{
    aggregate::FlowTable,
    field,
    file::StatRecord,
    filter::{Context, Filter},
    output::{
        csv,
        format::Mode,
        number::push_u64,
        row::{Counters, Row},
        style::{Compat, Style},
        summary::{Timing, Totals, push_summary},
        time::LocalTime,
    },
    record::RecordView,
    stat::{
        Cut, ElementStatistic,
        order::{ORDERS, Order},
        request::{Request, Subject},
    },
};

/// The counters of no flows.
const NOTHING: Counters = Counters {
    first_ms: 0,
    last_ms: 0,
    in_packets: 0,
    in_bytes: 0,
    out_packets: 0,
    out_bytes: 0,
    flows: 0,
};

/// Index of the default order in [`ORDERS`].
const DEFAULT_ORDER: usize = 0;

/// A span of time, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Begin, Unix milliseconds.
    pub first_ms: u64,
    /// End, Unix milliseconds.
    pub last_ms: u64,
}

/// What the user asked for.
#[derive(Debug)]
pub struct Query {
    /// How records are printed.
    pub mode: Mode,
    /// Only flows that lie wholly in this window.
    pub window: Option<Window>,
    /// Only records that pass; without it all.
    pub filter: Option<Filter>,
    /// Statistics; without any, records are listed.
    pub statistics: Vec<Request>,
    /// Rows of a statistic; 0 for all.
    pub top: usize,
    /// Stop after this many records.
    pub limit: Option<u64>,
    /// Neither headings nor summary.
    pub quiet: bool,
    /// Look of the output.
    pub style: Style,
}

/// A query being answered.
pub struct Answer<'q> {
    query: &'q Query,
    time: LocalTime,
    totals: Totals,
    elements: Vec<(&'q Request, ElementStatistic)>,
    flows: Option<FlowTable>,
    ident: String,
}

impl<'q> Answer<'q> {
    /// Begins to answer; times are printed by `time`.
    #[must_use]
    pub fn new(query: &'q Query, time: LocalTime) -> Self {
        let mut elements = Vec::new();
        let mut flows = None;
        for request in &query.statistics {
            match request.subject {
                Subject::Record => flows = Some(FlowTable::default()),
                Subject::Element(element) => {
                    elements.push((request, ElementStatistic::new(element, request.by_protocol)));
                }
            }
        }
        Self {
            query,
            time,
            totals: Totals::default(),
            elements,
            flows,
            ident: String::new(),
        }
    }

    /// Whether a file with these totals has no flow in the time window.
    #[must_use]
    pub fn is_outside(&self, file: &StatRecord) -> bool {
        self.query
            .window
            .is_some_and(|window| file.last_ms < window.first_ms || file.first_ms > window.last_ms)
    }

    /// Takes the name of the source whose records come next.
    pub fn begin_file(&mut self, ident: &str) {
        ident.clone_into(&mut self.ident);
    }

    /// Appends what comes before the first record: the heading of a listing.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if self.query.statistics.is_empty() {
            self.push_heading(out);
        }
    }

    /// Heading of a listing, unless quiet.
    fn push_heading(&self, out: &mut Vec<u8>) {
        match &self.query.mode {
            _ if self.query.quiet => {}
            Mode::Null => {}
            Mode::Csv => csv::push_heading(out),
            Mode::Lines(format, _) => format.push_heading(out, &self.query.style),
        }
    }

    /// One flow of a listing.
    fn push_row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        match &self.query.mode {
            Mode::Null => {}
            Mode::Csv => csv::push_row(out, row, &mut self.time),
            Mode::Lines(format, _) => {
                format.push_row(out, row, &self.query.style, &mut self.time);
            }
        }
    }

    /// The totals, for the file layer's counts (bytes read, time window).
    pub fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// True as soon as the limit is reached: no more records are needed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.query
            .limit
            .is_some_and(|limit| self.totals.passed >= limit)
    }

    /// Takes one flow record; a listing appends its line.
    pub fn record(&mut self, record: RecordView<'_>, out: &mut Vec<u8>) {
        self.totals.processed += 1;
        if let Some(window) = &self.query.window {
            let (first, last) = (field::MSEC_FIRST, field::MSEC_LAST);
            if record.get_or_zero(first) < window.first_ms
                || record.get_or_zero(last) > window.last_ms
            {
                return;
            }
        }
        let mut label = None;
        if let Some(filter) = &self.query.filter {
            let context = Context {
                ident: &self.ident,
                number: self.totals.processed,
            };
            let Some(passed) = filter.matches(&record, &context) else {
                return;
            };
            label = passed.label;
        }
        let counters = Counters::of(&record);
        self.totals.passed += 1;
        self.totals.add(&counters);
        if self.query.statistics.is_empty() {
            let row = Row {
                record,
                counters,
                tcp_flags: record.get_or_zero(field::TCP_FLAGS) as u8,
                number: self.totals.processed,
                label,
            };
            self.push_row(out, &row);
            return;
        }
        let protocol = record.get_or_zero(field::PROTO) as u8;
        for (_, statistic) in &mut self.elements {
            statistic.add(&record, protocol, &counters);
        }
        if let Some(flows) = &mut self.flows {
            flows.add(&record, &counters);
        }
    }

    /// Appends the statistics: aggregated flows first, then the elements in the order asked for.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.totals.passed == 0 {
            out.extend_from_slice(b"No matching flows\n");
        }
        if let Some(flows) = self.flows.take() {
            self.push_flow_tables(&flows, out);
        }
        let total = self.totals.counters.unwrap_or(NOTHING);
        let query = self.query;
        for (request, statistic) in &self.elements {
            let cut = Cut {
                top: query.top,
                ascending: request.ascending,
            };
            for order in orders(&request.orders) {
                if matches!(query.mode, Mode::Csv) {
                    statistic.push_csv(out, order, cut, &total, &mut self.time);
                    continue;
                }
                let named = !request.orders.is_empty();
                statistic.push_table(
                    out,
                    order,
                    named,
                    cut,
                    &total,
                    query.quiet,
                    &query.style,
                    &mut self.time,
                );
            }
        }
    }

    /// Appends the summary (nothing if quiet).
    pub fn push_summary(&mut self, out: &mut Vec<u8>, timing: &Timing) {
        if self.query.quiet {
            return;
        }
        if let (Some(window), Some((first, last))) = (self.query.window, &mut self.totals.window) {
            *first = window.first_ms.max(*first);
            *last = window.last_ms.min(*last);
        }
        if matches!(self.query.mode, Mode::Csv) {
            csv::push_summary(out, &self.totals.counters.unwrap_or(NOTHING));
        } else {
            push_summary(out, &self.totals, timing, &self.query.style, &mut self.time);
        }
    }

    /// One table for each order that any `-s record` named; the direction is that of the last one.
    fn push_flow_tables(&mut self, flows: &FlowTable, out: &mut Vec<u8>) {
        let old = self.query.style.compat == Compat::Tutorial;
        if old && !self.query.quiet {
            out.extend_from_slice(b"Aggregated flows ");
            push_u64(out, flows.len() as u64);
            out.push(b'\n');
        }
        if flows.is_empty() {
            return;
        }
        let requests = || {
            self.query
                .statistics
                .iter()
                .filter(|request| matches!(request.subject, Subject::Record))
        };
        let mut wanted: Vec<usize> = requests()
            .flat_map(|request| request.orders.iter().copied())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let ascending = requests()
            .next_back()
            .is_some_and(|request| request.ascending);
        let cut = Cut {
            top: self.query.top,
            ascending,
        };
        for order in orders(&wanted) {
            if !self.query.quiet && !matches!(self.query.mode, Mode::Csv) {
                let named = !(old && wanted.is_empty());
                push_flow_title(out, if named { order.name } else { "-" }, cut.top);
            }
            self.push_heading(out);
            for flow in flows.sorted(order, cut) {
                let row = Row {
                    record: flow.record,
                    counters: flow.counters,
                    tcp_flags: flow.tcp_flags,
                    number: 0,
                    label: None,
                };
                self.push_row(out, &row);
            }
        }
    }
}

fn push_flow_title(out: &mut Vec<u8>, order: &str, top: usize) {
    out.extend_from_slice(b"Top ");
    if top > 0 {
        push_u64(out, top as u64);
        out.push(b' ');
    }
    out.extend_from_slice(b"flows ordered by ");
    out.extend_from_slice(order.as_bytes());
    out.extend_from_slice(b":\n");
}

/// The orders with these indexes, or the default one.
fn orders(wanted: &[usize]) -> impl Iterator<Item = &'static Order> {
    let default = if wanted.is_empty() {
        ORDERS.get(DEFAULT_ORDER)
    } else {
        None
    };
    wanted
        .iter()
        .filter_map(|index| ORDERS.get(*index))
        .chain(default)
}
