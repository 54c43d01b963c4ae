//! A query over flow records: what was asked, and the running answer. Takes records, appends text; reads no file.

use crate::{
    aggregate::{Aggregation, FlowTable, Flows},
    field,
    file::{RawRecord, StatRecord},
    filter::{Context, Filter},
    geo::GeoDatabase,
    groups::Gathered,
    names::Names,
    output::{
        csv,
        format::Mode,
        json::{self, Layout},
        number::push_u64,
        pipe, put, raw,
        row::{Counters, Row, Tunnel},
        style::Style,
        summary::{Timing, Totals, push_summary},
        time::LocalTime,
    },
    record::{Annotated, EditedRecord, RecordBuilder, RecordHeader, RecordView},
    stat::{
        Cut, ElementStatistic, Limit, Limits,
        order::{ORDERS, Order},
        request::{Request, Subject},
    },
};
use std::sync::Arc;

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

/// Whose time window the summary tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum WindowOf {
    /// The files', from their totals.
    #[default]
    File,
    /// That of the flows that passed.
    Selection,
}

/// What the user asked for.
#[derive(Debug)]
pub struct Query {
    /// How records are printed.
    pub mode: Mode,
    /// Only flows that lie wholly in this window.
    pub window: Option<Window>,
    /// What the summary's time window is.
    pub window_of: WindowOf,
    /// The JSON formats end with an object of sums and both time windows.
    pub json_summary: bool,
    /// Only records that pass; without it all.
    pub filter: Option<Filter>,
    /// Statistics; without any, records are listed.
    pub statistics: Vec<Request>,
    /// What is put together before it is listed, written or counted as a record; without it the records as they are.
    pub aggregation: Option<Aggregation>,
    /// Turn aggregated flows around whose source looks like the server.
    pub guess_direction: bool,
    /// By what listed or written flows are sorted, and whether ascending.
    pub order: Option<(&'static Order, bool)>,
    /// Which rows of an element statistic are shown.
    pub limits: Limits,
    /// The result goes to a file, it is not printed.
    pub to_file: bool,
    /// Rows of a statistic or a sorted listing; 0 for all.
    pub top: usize,
    /// Stop after this many records.
    pub limit: Option<u64>,
    /// Neither headings nor summary.
    pub quiet: bool,
    /// Look of the output.
    pub style: Style,
    /// Where addresses are, if that is known.
    pub geo: Option<GeoDatabase>,
}

impl Query {
    /// Whether a file with these totals has no flow in the time window.
    #[must_use]
    pub fn is_outside(&self, file: &StatRecord) -> bool {
        self.window
            .is_some_and(|window| file.last_ms < window.first_ms || file.first_ms > window.last_ms)
    }

    /// Whether records are printed or written as they come.
    #[must_use]
    pub fn is_listing(&self) -> bool {
        self.statistics.is_empty() && self.aggregation.is_none() && self.order.is_none()
    }

    /// Whether what is printed of a block depends on how many records are in those before it.
    #[must_use]
    pub fn shows_numbers(&self) -> bool {
        self.is_listing() && self.mode.shows_numbers()
    }

    /// Whether several threads may each take a part of the blocks: neither a limit nor a file to be written needs their order,
    /// nor a number or name that depends on what came before.
    #[must_use]
    pub fn is_divisible(&self) -> bool {
        let needs_order = self.limit.is_some()
            || self.to_file
            || self.filter.as_ref().is_some_and(Filter::needs_numbers)
            || self.mode.shows_names();
        let selects = self.filter.is_some() || self.window.is_some();
        !(needs_order || selects && self.shows_numbers())
    }
}

/// What several threads fill.
struct Tables<'q> {
    elements: Vec<(&'q Request, ElementStatistic)>,
    flows: Option<FlowTable>,
}

/// A query being answered, or a thread's part of the answer.
pub struct Answer<'q> {
    query: &'q Query,
    time: LocalTime,
    totals: Totals,
    tables: Arc<Tables<'q>>,
    /// What is on its way into the tables: one for each element, one for the flows.
    gathered: Vec<Gathered>,
    ident: String,
    is_listing: bool,
    /// Objects in the JSON array so far.
    objects: u64,
    /// Number of the record, from 1; nfdump 1.7.5 counts records that are no flows, too.
    number: u64,
    /// Order in which records are seen: the block, and the record in it.
    seen: u64,
    /// Makes the lines of tunnels.
    builder: RecordBuilder,
    /// What is known of a record besides is added here.
    annotated: Annotated,
    /// Names from the files.
    names: Names,
}

impl<'q> Answer<'q> {
    /// Between two objects of a JSON array.
    pub const SEPARATOR: &'static [u8] = b",\n";

    /// Begins to answer; times are printed by `time`.
    #[must_use]
    pub fn new(query: &'q Query, time: LocalTime) -> Self {
        let facts = query.style.facts();
        let mut elements = Vec::new();
        let mut has_flows = !query.is_listing() && query.statistics.is_empty();
        for request in &query.statistics {
            match request.subject {
                Subject::Record => has_flows = true,
                Subject::Element(element) => {
                    let (by_protocol, limits) = (request.by_protocol, query.limits);
                    let statistic = ElementStatistic::new(element, by_protocol, limits, facts);
                    elements.push((request, statistic));
                }
            }
        }
        let tables = Tables {
            elements,
            flows: has_flows.then(|| FlowTable::new(query)),
        };
        Self::on(Arc::new(tables), query, time)
    }

    fn on(tables: Arc<Tables<'q>>, query: &'q Query, time: LocalTime) -> Self {
        let mut gathered = Vec::new();
        gathered.resize_with(tables.elements.len() + 1, Gathered::default);
        Self {
            query,
            time,
            totals: Totals::default(),
            tables,
            gathered,
            ident: String::new(),
            is_listing: query.is_listing(),
            objects: 0,
            number: 0,
            seen: 0,
            builder: RecordBuilder::new(),
            annotated: Annotated::default(),
            names: Names::default(),
        }
    }

    /// Another thread's part of the same answer, to be [joined](Self::join).
    #[must_use]
    pub fn part(&self) -> Self {
        Self::on(Arc::clone(&self.tables), self.query, self.time.clone())
    }

    /// Takes in another thread's part.
    pub fn join(&mut self, mut part: Self) {
        part.deliver();
        self.totals.merge(&part.totals);
        if self.is_listing {
            self.objects += part.totals.passed;
        }
    }

    /// Puts what was gathered into the tables.
    fn deliver(&mut self) {
        let Some((flows, elements)) = self.gathered.split_last_mut() else {
            return;
        };
        for ((_, statistic), gathered) in self.tables.elements.iter().zip(elements) {
            statistic.deliver(gathered);
        }
        if let Some(table) = &self.tables.flows {
            table.deliver(flows);
        }
    }

    /// The records of a block come next, if several threads share the blocks: the block's number among all; as many flows, and
    /// records of other kinds, are in those before it, where the query [asks](Query::shows_numbers) for that. Where it does
    /// not, a separator precedes every object of a JSON array, also the first of all.
    pub fn begin_block(&mut self, number: u32, flows: u64, others: u64) {
        self.seen = u64::from(number) << 32;
        let counts = self.query.shows_numbers();
        self.objects = if counts { flows } else { 1 };
        self.number = flows + if self.counts_others() { others } else { 0 };
    }

    /// nfdump 1.7.5 counts records that are no flows in the number of a flow.
    fn counts_others(&self) -> bool {
        self.query.style.facts().later
    }

    /// Takes the name of the source whose records come next.
    pub fn begin_file(&mut self, ident: &str) {
        ident.clone_into(&mut self.ident);
    }

    /// Appends what comes before the first record: the heading of a listing.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if matches!(self.query.mode, Mode::Json(_)) && !self.query.to_file {
            out.extend_from_slice(b"[\n");
        } else if self.query.statistics.is_empty() {
            self.push_heading(out);
        }
    }

    /// Appends which rows of the statistics are shown.
    pub fn push_limits(&self, out: &mut Vec<u8>) {
        if matches!(self.query.mode, Mode::Json(_) | Mode::JsonLines) {
            return;
        }
        let limits = &self.query.limits;
        for (name, unit, limit) in [
            ("Byte", "bytes", limits.bytes),
            ("Packet", "packets", limits.packets),
        ] {
            match limit {
                Some(Limit::More(than)) => put!(out, "{name} limit: > {than} {unit}\n"),
                Some(Limit::Less(than)) => put!(out, "{name} limit: < {than} {unit}\n"),
                None => {}
            }
        }
    }

    /// Heading of a listing, unless quiet.
    fn push_heading(&self, out: &mut Vec<u8>) {
        // Columns have names whatever is asked for in nfdump 1.7.5.
        let always = matches!(&self.query.mode, Mode::Columns(columns) if columns.is_csv());
        if self.query.quiet && !always || self.query.to_file {
            return;
        }
        match &self.query.mode {
            Mode::Csv => csv::push_heading(out),
            Mode::Lines(format, _) => format.push_heading(out, &self.query.style),
            Mode::Columns(columns) => columns.push_heading(out),
            Mode::CsvFast => csv::push_fast_heading(out),
            Mode::Null if self.query.style.facts().null_heading => out.push(b'\n'),
            Mode::Null | Mode::Raw | Mode::Json(_) | Mode::JsonLines | Mode::Pipe => {}
        }
    }

    /// One flow of a listing, before it a line for the tunnel it came through.
    fn push_row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        let by_line = matches!(
            self.query.mode,
            Mode::Lines(..) | Mode::Csv | Mode::Pipe | Mode::Columns(_)
        );
        if by_line && let Some(tunnel) = row.tunnel() {
            self.push_tunnel(out, &tunnel, row);
        }
        self.push_one_row(out, row);
    }

    /// One flow, with the names that the files have told so far.
    fn push_one_row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        if self.names.is_empty() {
            self.push_as(out, row);
            return;
        }
        let names = std::mem::take(&mut self.names);
        let named = Row {
            names: Some(&names),
            ..*row
        };
        self.push_as(out, &named);
        self.names = names;
    }

    /// One flow in the format asked for.
    fn push_as(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        match &self.query.mode {
            Mode::Null => {}
            Mode::Csv => csv::push_row(out, row, &mut self.time),
            Mode::Raw => {
                self.objects += 1;
                let number = match row.number {
                    0 if self.query.style.facts().later => self.objects,
                    number => number,
                };
                raw::push_row(out, row, number, &self.query.style, &mut self.time);
            }
            Mode::Pipe => pipe::push_row(out, row, self.query.style.facts().old_pipe),
            Mode::Json(layout) => {
                let layout = *layout;
                self.push_separator(out);
                json::push_row(out, row, self.objects, layout, &mut self.time);
            }
            Mode::JsonLines => {
                self.objects += 1;
                json::push_row(out, row, self.objects, Layout::OneLine, &mut self.time);
                out.push(b'\n');
            }
            Mode::CsvFast => {
                self.objects += 1;
                csv::push_fast_row(out, row, self.objects);
            }
            Mode::Columns(columns) => {
                columns.push_row(out, row, &self.query.style, &mut self.time);
            }
            Mode::Lines(format, _) => {
                format.push_row(out, row, &self.query.style, &mut self.time);
            }
        }
    }

    /// What stands between two objects of the JSON array.
    fn push_separator(&mut self, out: &mut Vec<u8>) {
        if self.objects > 0 {
            out.extend_from_slice(Self::SEPARATOR);
        }
        self.objects += 1;
    }

    /// The line of a tunnel: its protocol and addresses, and the times of the flow; it counts nothing. In nfdump 1.7.5 it
    /// has the flow's ports and counters, too.
    fn push_tunnel(&mut self, out: &mut Vec<u8>, tunnel: &Tunnel, inner: &Row<'_>) {
        let whole = self.query.style.facts().later;
        let mut builder = std::mem::take(&mut self.builder);
        builder.begin(&RecordHeader::default());
        builder.set(field::PROTO, u64::from(tunnel.protocol));
        builder.set_address(field::SRC_IPV4, field::SRC_IPV6, tunnel.source);
        builder.set_address(field::DST_IPV4, field::DST_IPV6, tunnel.destination);
        if whole {
            builder.set(field::SRC_PORT, inner.get(field::SRC_PORT));
            builder.set(field::DST_PORT, inner.get(field::DST_PORT));
            builder.set(field::MSEC_RECEIVED, inner.get(field::MSEC_RECEIVED));
        }
        if let Ok(record) = RecordView::parse(builder.finish()) {
            let counters = &inner.counters;
            let row = Row {
                record,
                counters: if whole {
                    Counters {
                        out_packets: 0,
                        out_bytes: 0,
                        flows: 1,
                        ..*counters
                    }
                } else {
                    Counters {
                        first_ms: counters.first_ms,
                        last_ms: counters.last_ms,
                        ..Counters::NONE
                    }
                },
                tcp_flags: 0,
                reverse_flags: 0,
                number: if whole { inner.number } else { 0 },
                label: None,
                names: None,
            };
            self.push_one_row(out, &row);
        }
        self.builder = builder;
    }

    /// Counts a block of that many bytes.
    pub fn read_block(&mut self, bytes: u64) {
        self.totals.bytes_read += bytes + self.query.style.facts().block_header;
    }

    /// The totals, for the file layer's counts (time window, blocks).
    pub fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// True as soon as nothing more is to be known from a file: at the limit, unless what passes is counted on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_complete() && !self.query.style.facts().counts_past_limit
    }

    /// True as soon as the limit is reached: no more records are needed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.query
            .limit
            .is_some_and(|limit| self.totals.passed >= limit)
    }

    /// Takes one flow record; a listing appends its line. True if the record itself belongs into the file to be written.
    pub fn record(&mut self, record: &RecordView<'_>, out: &mut Vec<u8>) -> bool {
        if self.query.style.facts().later
            && record.get_or_zero(field::MSEC_FIRST) == 0
            && let Some(happened) = record.get(field::NAT_MSEC_EVENT)
        {
            // An address translation begins when it happens.
            let mut edited = EditedRecord::default();
            edited.copy(record);
            edited.set(field::MSEC_FIRST, u128::from(happened));
            return edited
                .view()
                .is_some_and(|record| self.consider(&record, out));
        }
        self.consider(record, out)
    }

    fn consider(&mut self, record: &RecordView<'_>, out: &mut Vec<u8>) -> bool {
        self.totals.processed += 1;
        self.number += 1;
        if let Some(window) = &self.query.window {
            let (first, last) = (field::MSEC_FIRST, field::MSEC_LAST);
            if record.get_or_zero(first) < window.first_ms
                || record.get_or_zero(last) > window.last_ms
            {
                return false;
            }
        }
        let mut label = None;
        if let Some(filter) = &self.query.filter {
            let context = Context {
                ident: &self.ident,
                number: self.number,
                geo: self.query.geo.as_ref(),
            };
            let Some(passed) = filter.matches(record, &context) else {
                return false;
            };
            label = passed.label;
        }
        if self.is_complete() {
            self.totals.passed_later += 1;
            return false;
        }
        self.totals.passed += 1;
        let counters = Counters::of(record);
        self.totals.add(&counters);
        if self.is_listing && self.query.to_file {
            return true;
        }
        if self.query.geo.is_none() {
            self.take(record, &counters, label, out);
            return false;
        }
        let mut annotated = std::mem::take(&mut self.annotated);
        match self.annotate(record, &mut annotated) {
            Some(record) => self.take(&record, &counters, label, out),
            None => self.take(record, &counters, label, out),
        }
        self.annotated = annotated;
        false
    }

    /// The record with what is known besides; none if nothing is to be added.
    fn annotate<'a>(
        &self,
        record: &RecordView<'_>,
        annotated: &'a mut Annotated,
    ) -> Option<RecordView<'a>> {
        // Nothing of it may get into a file, and raw shows the record as it is.
        let as_stored = self.query.to_file || matches!(self.query.mode, Mode::Raw);
        let geo = self.query.geo.as_ref().filter(|_| !as_stored)?;
        geo.annotate(record, self.query.mode.shows(&["sloc", "dloc"]), annotated);
        annotated.finish()
    }

    /// Prints the flow, or counts it.
    fn take(
        &mut self,
        record: &RecordView<'_>,
        counters: &Counters,
        label: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        if self.is_listing {
            let row = Row {
                record: *record,
                counters: *counters,
                tcp_flags: record.get_or_zero(field::TCP_FLAGS) as u8,
                reverse_flags: 0,
                number: self.number,
                label,
                names: None,
            };
            self.push_row(out, &row);
            return;
        }
        let protocol = record.get_or_zero(field::PROTO) as u8;
        let tables = &*self.tables;
        let Some((flows, elements)) = self.gathered.split_last_mut() else {
            return;
        };
        for ((_, statistic), gathered) in tables.elements.iter().zip(elements) {
            statistic.add(gathered, record, protocol, counters);
        }
        if let Some(table) = &tables.flows {
            table.add(flows, record, counters, self.seen);
            self.seen += 1;
        }
    }

    /// Takes notice of a record that is no flow.
    pub fn other_record(&mut self, record: &RawRecord<'_>) {
        self.names.take(record.record_type, record.bytes);
        self.number += u64::from(self.counts_others());
    }

    /// Gives the aggregated or sorted flows as records for a file.
    pub fn export(&mut self, take: impl FnMut(&[u8])) {
        let query = self.query;
        self.deliver();
        if let (true, Some(flows)) = (query.statistics.is_empty(), &self.tables.flows) {
            let (order, cut) = self.print_order();
            flows
                .read()
                .records(order, Cut { top: 0, ..cut }, query.guess_direction, take);
        }
    }

    /// Appends what is known only after the last record: a sorted listing or the statistics, aggregated flows first, then
    /// the elements in the order asked for.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let query = self.query;
        self.deliver();
        let tables = Arc::clone(&self.tables);
        let is_json = matches!(query.mode, Mode::Json(_));
        let silent = query.style.facts().silent_filter && self.totals.processed > 0;
        if self.totals.passed == 0 && !silent && !is_json && !matches!(query.mode, Mode::JsonLines)
        {
            out.extend_from_slice(query.style.facts().no_match.as_bytes());
            if self.ends_without_match() {
                return;
            }
        }
        if let Some(flows) = tables.flows.as_ref().map(FlowTable::read) {
            if !query.statistics.is_empty() {
                self.push_flow_tables(&flows, out);
            } else if !query.to_file {
                let (order, cut) = self.print_order();
                flows.rows(order, cut, query.guess_direction, |row| {
                    self.push_row(out, row);
                });
            }
        }
        self.push_elements(&tables.elements, out);
        if query.json_summary && !query.to_file {
            self.push_json_summary(out);
        }
        if is_json && !query.to_file {
            if matches!(query.mode, Mode::Json(Layout::V1_7_5)) && self.objects > 0 {
                out.push(b'\n');
            }
            out.extend_from_slice(b"]\n");
        }
    }

    /// Of the JSON formats what other formats tell in the summary, with the time window of the files and that of the flows that
    /// passed.
    fn push_json_summary(&mut self, out: &mut Vec<u8>) {
        let is_json = matches!(self.query.mode, Mode::Json(_));
        if !is_json && !matches!(self.query.mode, Mode::JsonLines) {
            return;
        }
        if is_json {
            self.push_separator(out);
        }
        let passed = self.totals.counters;
        let selection = passed.map(|sum| (sum.first_ms, sum.last_ms));
        json::push_summary(out, &self.totals, selection, &mut self.time);
        if !is_json {
            out.push(b'\n');
        }
    }

    /// Whether the answer ends with the sentence that nothing passed.
    fn ends_without_match(&self) -> bool {
        let facts = self.query.style.facts();
        facts.silent_filter && self.totals.processed == 0
    }

    fn print_order(&self) -> (Option<&'static Order>, Cut) {
        let (order, ascending) = self.query.order.unzip();
        let cut = Cut {
            top: self.query.top,
            ascending: ascending.unwrap_or(false),
        };
        (order, cut)
    }

    fn push_elements(&mut self, elements: &[(&Request, ElementStatistic)], out: &mut Vec<u8>) {
        let query = self.query;
        let total = self.totals.counters.unwrap_or(Counters::NONE);
        for (request, statistic) in elements {
            if !request.shown {
                continue;
            }
            for (order, ascending) in orders(&request.orders) {
                let cut = Cut {
                    top: query.top,
                    ascending,
                };
                match query.mode {
                    Mode::Columns(ref columns) if columns.is_markdown() => {
                        statistic.push_markdown(
                            out,
                            order,
                            cut,
                            &total,
                            &query.style,
                            &mut self.time,
                        );
                    }
                    Mode::Csv | Mode::CsvFast => {
                        statistic.push_csv(out, order, cut, &total, &query.style, &mut self.time);
                    }
                    Mode::Columns(ref columns) if columns.is_csv() => {
                        statistic.push_csv(out, order, cut, &total, &query.style, &mut self.time);
                    }
                    Mode::JsonLines => statistic.push_json_lines(out, order, cut, &mut self.time),
                    Mode::Pipe => statistic.push_pipe(out, order, cut),
                    Mode::Json(_) => {
                        if self.objects > 0 {
                            out.extend_from_slice(b",\n");
                        }
                        self.objects += 1;
                        statistic.push_json(out, order, cut, &total, &mut self.time);
                    }
                    Mode::Raw | Mode::Null if query.style.facts().later => {}
                    Mode::Lines(..) | Mode::Raw | Mode::Null | Mode::Columns(_) => statistic
                        .push_table(
                            out,
                            order,
                            !request.orders.is_empty(),
                            cut,
                            &total,
                            query.quiet,
                            &query.style,
                            &mut self.time,
                        ),
                }
            }
        }
    }

    /// Appends the summary (nothing if quiet).
    pub fn push_summary(&mut self, out: &mut Vec<u8>, timing: &Timing) {
        let silent = match &self.query.mode {
            Mode::Pipe => !self.query.style.facts().old_pipe,
            Mode::Json(_) | Mode::JsonLines | Mode::CsvFast => true,
            Mode::Columns(columns) => columns.is_csv(),
            Mode::Raw => self.query.style.facts().later,
            _ => false,
        };
        if self.ends_without_match() {
            return;
        }
        let unseen = self.query.to_file && self.query.statistics.is_empty();
        if self.query.quiet || silent || unseen {
            return;
        }
        if self.query.window_of == WindowOf::Selection {
            let passed = self.totals.counters;
            self.totals.window = passed.map(|sum| (sum.first_ms, sum.last_ms));
        }
        let facts = self.query.style.facts();
        if let (false, Some(window), Some((first, last))) = (
            facts.whole_window,
            self.query.window,
            &mut self.totals.window,
        ) {
            *first = window.first_ms.max(*first);
            *last = window.last_ms.min(*last);
        }
        if matches!(self.query.mode, Mode::Csv) {
            csv::push_summary(out, &self.totals.counters.unwrap_or(Counters::NONE));
        } else {
            push_summary(out, &self.totals, timing, &self.query.style, &mut self.time);
        }
    }

    /// One table for each order that any `-s record` named; the direction is that of the last one.
    fn push_flow_tables(&mut self, flows: &Flows<'_>, out: &mut Vec<u8>) {
        let facts = self.query.style.facts();
        if facts.counts_flows && !self.query.quiet {
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
        if !requests().any(|request| request.shown) {
            return;
        }
        let mut wanted: Vec<(usize, bool)> = requests()
            .flat_map(|request| request.orders.iter().copied())
            .collect();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(order, _)| *order);
        let ascending = requests()
            .next_back()
            .is_some_and(|request| request.ascending);
        let cut = Cut {
            top: self.query.top,
            ascending,
        };
        // nfdump's JSON is an array of records; where there are several tables, each is an object of its own.
        let nested = matches!(self.query.mode, Mode::Json(_))
            && (wanted.len() > 1 || !self.tables.elements.is_empty());
        for (order, _) in orders(&wanted) {
            let titled = match self.query.mode {
                Mode::Lines(..) => true,
                Mode::Raw | Mode::Null => !self.query.style.facts().later,
                _ => false,
            };
            if !self.query.quiet && titled {
                let name = match facts.unnamed_order {
                    Some(name) if wanted.is_empty() => name,
                    _ => order.name,
                };
                push_flow_title(out, name, cut.top);
            }
            self.push_heading(out);
            if nested {
                self.push_separator(out);
                put!(
                    out,
                    "{{\n\t\"statistic\" : \"record\",\n\t\"order\" : \"{}\",\n\t\"rows\" : [\n",
                    order.name
                );
                let objects = std::mem::take(&mut self.objects);
                flows.rows(Some(order), cut, false, |row| self.push_row(out, row));
                self.objects = objects;
                out.extend_from_slice(b"\n\t]\n}");
            } else {
                flows.rows(Some(order), cut, false, |row| self.push_row(out, row));
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

/// The orders with these indexes and their directions, or the default one.
fn orders(wanted: &[(usize, bool)]) -> impl Iterator<Item = (&'static Order, bool)> {
    let default = if wanted.is_empty() {
        ORDERS.get(DEFAULT_ORDER)
    } else {
        None
    };
    wanted
        .iter()
        .filter_map(|(index, ascending)| Some((ORDERS.get(*index)?, *ascending)))
        .chain(default.map(|order| (order, false)))
}
