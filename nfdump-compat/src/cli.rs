//! The command line: nfdump's spelling, and what it means.

use crate::window;
use anyhow::Context;
use clap::Parser;
use nfdump_compat::{
    aggregate::{Aggregation, fields::Fields},
    file::Compression,
    output::{
        fields::FIELDS,
        format::{Format, Mode, PRESETS},
        known::Refused,
        style::{Compat, Style},
        versions::Facts,
    },
    query::{Query, Window, WindowOf},
    stat::{
        Limit, Limits,
        element::ELEMENTS,
        order::{ELEMENT_ORDERS, ORDERS, print_order},
        request::Request,
    },
};
use std::{ffi::OsString, path::PathBuf};

/// Exit code of wrong usage.
pub const USAGE: u8 = 2;
/// Rows of a statistic without `-n`.
const DEFAULT_TOP: usize = 10;
/// What nfdump prints without `-o` as Debian builds it: events.
const NFDUMPS_FORMAT: &str = "nsel";
/// Statistics in one run.
const MAX_STATISTICS: usize = 8;

/// Reports on flow records in nfcapd files, with nfdump's options and nfdump's output.
#[derive(Debug, Parser)]
#[command(name = "t2report", version, args_override_self = true, after_long_help = lists(), disable_version_flag = true)]
pub struct Arguments {
    /// Read this file, all files below this directory, or standard input (-); without -r and -R all finished slots
    /// (nfcapd.<digits>) of $T2_FLOWS, else of the current directory
    #[arg(short = 'r', value_name = "FILE|DIR|-")]
    pub read: Option<PathBuf>,

    /// Read a sequence of files: a directory, the files of a directory from FIRST on, or from FIRST to LAST
    #[arg(short = 'R', value_name = "DIR|FIRST[:LAST]")]
    pub sequence: Option<String>,

    /// Read the same files from several directories: BASE/A, BASE/B; with -r FILE or -R FIRST[:LAST] without a path
    #[arg(short = 'M', value_name = "BASE/A:B…")]
    pub directories: Option<String>,

    /// Output format: line, long, extended, biline, bilong, gline, glong, nsel, nel (with 6: full IPv6 addresses), raw, csv,
    /// json, ndjson, csv-fast, pipe, table, markdown, null, fmt:… with %tokens or csv:… with %tokens and commas [default: line]
    #[arg(short = 'o', value_name = "FORMAT")]
    pub output: Option<String>,

    /// Statistic: record, or an element as srcip, dstport, proto; :p splits by protocol; orders as flows, packets, bytes, pps,
    /// bps, bpp, one table each; :a smallest first
    #[arg(
        short = 's',
        value_name = "ELEMENT[:p][/ORDER[:a]]…",
        allow_hyphen_values = true
    )]
    pub statistics: Vec<String>,

    /// Rows of a statistic, 0 for all [default: 10]
    #[arg(short = 'n', value_name = "N", allow_hyphen_values = true)]
    pub top: Option<String>,

    /// Put flows of the same 5-tuple together
    #[arg(short = 'a')]
    pub aggregate: bool,

    /// Put flows together that agree in these fields, as srcip4/24,dstport
    #[arg(short = 'A', value_name = "FIELD[/BITS],…")]
    pub fields: Option<String>,

    /// Put both directions of a connection together
    #[arg(short = 'b')]
    pub bidirectional: bool,

    /// As -b, and turn connections around that seem to go from the server to the client
    #[arg(short = 'B')]
    pub guess_direction: bool,

    /// Sort flows: tstart, tend, duration or an order of -s; :a smallest first, :d largest first
    #[arg(short = 'O', value_name = "ORDER[:a|:d]")]
    pub order: Option<String>,

    /// As -O tstart
    #[arg(short = 'm')]
    pub by_start: bool,

    /// Only rows of an element statistic with more packets than this, or with - before it fewer
    #[arg(short = 'l', value_name = "[-]N[K|M|G]", allow_hyphen_values = true)]
    pub packet_limit: Option<String>,

    /// Only rows of an element statistic with more bytes than this, or with - before it fewer
    #[arg(short = 'L', value_name = "[-]N[K|M|G]", allow_hyphen_values = true)]
    pub byte_limit: Option<String>,

    /// Write the flows to this file instead of printing them
    #[arg(short = 'w', value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// Compress it: lzo (also -z alone), bz2, lz4[:LEVEL] or zstd[:LEVEL]
    #[arg(short = 'z', value_name = "METHOD", num_args = 0..=1, require_equals = true, default_missing_value = "lzo")]
    pub method: Option<String>,

    /// Compress it with LZ4
    #[arg(short = 'y')]
    pub lz4: bool,

    /// Compress it with bzip2
    #[arg(short = 'j')]
    pub bz2: bool,

    /// Change the compression of the files: 0 none, 1 LZO, 2 bzip2, 3 LZ4, 4 ZSTD (which nfdump reads from 1.7.3 on)
    #[arg(short = 'J', value_name = "0…4")]
    pub recompress: Option<String>,

    /// Change the name of the source in the file of -r
    #[arg(short = 'i', value_name = "IDENT")]
    pub ident: Option<String>,

    /// A byte 0x01 before each IP address
    #[arg(short = 'T')]
    pub tag: bool,

    /// Stop after N records
    #[arg(short = 'c', value_name = "N", allow_hyphen_values = true)]
    pub limit: Option<String>,

    /// Plain numbers: no scaling, protocols by number, durations in seconds
    #[arg(short = 'N')]
    pub plain_numbers: bool,

    /// Neither headings nor summary
    #[arg(short = 'q')]
    pub quiet: bool,

    /// IPv6 addresses in full length
    #[arg(short = '6')]
    pub full_ipv6: bool,

    /// Print the files' own statistics
    #[arg(short = 'I')]
    pub information: bool,

    /// Print one line for each file: begin, flows, packets and bytes
    #[arg(short = 'g')]
    pub by_file: bool,

    /// Print the exporters and samplers of this file
    #[arg(short = 'E', value_name = "FILE")]
    pub exporters: Option<PathBuf>,

    /// Print the extension maps of this file (nfdump 1.6 only had them)
    #[arg(short = 'x', value_name = "FILE")]
    pub extension_maps: Option<PathBuf>,

    /// Explain the filter
    #[arg(short = 'X')]
    pub explain_filter: bool,

    /// Name server for host names in filters, instead of the system's
    #[arg(short = 'D', value_name = "HOST[:PORT]")]
    pub name_server: Option<String>,

    /// Geo database in MaxMind's format, for countries, places and AS numbers; several with colons between them; none for
    /// none [default: $NFGEODB, else geodb.path of the configuration file]
    #[arg(short = 'G', value_name = "FILE[:FILE]|none")]
    pub geo: Option<OsString>,

    /// Configuration file: [nfdump] fmt.NAME = "%ts …", csv.NAME = "%ts,…", geodb.path = "FILE"; none for no file [default:
    /// $NFCONF]
    #[arg(short = 'C', value_name = "FILE|none")]
    pub config: Option<String>,

    /// Print the version
    #[arg(short = 'V', long = "version")]
    pub version: bool,

    /// Check this file block by block
    #[arg(short = 'v', value_name = "FILE")]
    pub verify: Option<PathBuf>,

    /// Whose output to imitate
    #[arg(long, value_name = "STYLE", default_value = "1.7.1")]
    pub compat: Compat,

    /// The time window of the summary: that of the files, as in nfdump, or that of the flows that passed [default: file]; with
    /// it json and ndjson end with an object that tells the sums and both windows
    #[arg(long = "window", value_name = "OF")]
    pub window_of: Option<WindowOf>,

    /// Only flows that lie wholly in this window (local time); any part may be missing from the right
    #[arg(short = 't', value_name = "YYYY/MM/dd.hh:mm:ss[-…]", value_parser = window::parse, allow_hyphen_values = true)]
    pub window: Option<Window>,

    /// Read the filter from this file, unless one is given as words
    #[arg(short = 'f', value_name = "FILE")]
    pub filter_file: Option<PathBuf>,

    /// Check the filter only: exit code 0 or 254
    #[arg(short = 'Z')]
    pub check_filter: bool,

    /// Filter, as nfdump 1.7.1: proto tcp and dst port 443 and not src net 10.0.0.0/8
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
}

impl Arguments {
    /// Validates what does not depend on files; `as_nfdump` if the program is called by that name: then the defaults are
    /// nfdump's.
    ///
    /// # Errors
    /// A sentence saying which argument cannot be used and why.
    pub fn query(&self, as_nfdump: bool, formats: &[(String, String)]) -> anyhow::Result<Query> {
        let facts = self.compat.facts();
        self.check_version(facts, formats)?;
        self.check_together()?;
        let statistics: Vec<Request> = self
            .statistics
            .iter()
            .map(|text| Ok(Request::parse(text, facts)?))
            .collect::<anyhow::Result<_>>()?;
        let top = match &self.top {
            // nfdump takes what is no number for 0.
            Some(top) if facts.later && !top.starts_with('-') => top.parse().unwrap_or(0),
            Some(top) => top
                .parse()
                .with_context(|| format!("-n {top}: a number of 0 (all) or more is expected"))?,
            None if statistics.is_empty() => 0,
            None => DEFAULT_TOP,
        };
        let limit = match &self.limit {
            Some(limit) => match limit.parse() {
                Ok(number) if number > 0 => Some(number),
                _ => anyhow::bail!("-c {limit}: a number of 1 or more is expected"),
            },
            None => None,
        };
        let aggregation = self.aggregation()?;
        let mode = self
            .mode(aggregation.as_ref(), as_nfdump, formats)?
            .of(self.compat.facts());
        let order = match &self.order {
            Some(text) => Some(print_order(text)?),
            None if self.by_start => Some(print_order("tstart")?),
            None => None,
        };
        let style = Style {
            compat: self.compat,
            full_ipv6: self.full_ipv6 || matches!(mode, Mode::Lines(_, true)),
            tag: self.tag,
            plain_numbers: self.plain_numbers,
        };
        Ok(Query {
            mode,
            filter: None,
            window: self.window.map(|window| Window {
                first_ms: facts.earliest(window.first_ms),
                ..window
            }),
            window_of: self.window_of.unwrap_or_default(),
            json_summary: self.window_of.is_some(),
            limits: self.limits(!statistics.is_empty() || aggregation.is_some())?,
            statistics,
            aggregation,
            guess_direction: self.guess_direction,
            order,
            to_file: self.write.is_some(),
            top,
            limit,
            quiet: self.quiet || self.write.is_some(),
            style,
            geo: None,
        })
    }

    /// Refuses what the imitated version does not know.
    fn check_version(&self, facts: &Facts, formats: &[(String, String)]) -> anyhow::Result<()> {
        for (option, given) in [
            ('l', self.packet_limit.is_some()),
            ('L', self.byte_limit.is_some()),
            ('t', self.window.is_some()),
        ] {
            if given && facts.no_options.contains(&option) {
                return Err(Refused {
                    out: String::new(),
                    message: format!("this version has no option -{option}"),
                    code: USAGE,
                }
                .into());
            }
        }
        for (index, text) in self.statistics.iter().enumerate() {
            facts.check_statistic(text, index + 1)?;
        }
        if let Some(order) = &self.order {
            facts.check_order(order)?;
        }
        let Some(output) = &self.output else {
            return Ok(());
        };
        let both = self.bidirectional || self.guess_direction;
        if facts.fields_print_themselves && self.fields.is_some() && !both && output != "csv" {
            let out = format!("Can not use print format {output} to aggregate flows\n");
            let message = "-A prints its own columns, or csv".to_owned();
            return Err(Refused {
                out,
                message,
                code: 1,
            }
            .into());
        }
        let named = formats
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(output));
        if !named {
            facts.check_format(output)?;
        }
        Ok(())
    }

    /// Refuses options that exclude each other, and what is not supported.
    fn check_together(&self) -> anyhow::Result<()> {
        if self.statistics.len() > MAX_STATISTICS {
            anyhow::bail!(
                "{} statistics asked for: at most {MAX_STATISTICS} in one run",
                self.statistics.len()
            );
        }
        let record = self
            .statistics
            .iter()
            .any(|text| text.to_ascii_lowercase().starts_with("record"));
        if record && (self.order.is_some() || self.by_start) {
            let message = "-s record and -O (-m) are mutually exclusive: name the order behind the statistic, as -s record/bytes";
            let out = match self.compat.facts().errors_on_stdout {
                true => "-s record and -O (-m) are mutually exclusive options\n",
                false => "",
            };
            let refused = Refused {
                out: out.to_owned(),
                message: message.to_owned(),
                code: 1,
            };
            return Err(refused.into());
        }
        anyhow::ensure!(
            self.directories.is_some() || self.read.is_none() || self.sequence.is_none(),
            "-r and -R are mutually exclusive"
        );
        Ok(())
    }

    fn aggregation(&self) -> anyhow::Result<Option<Aggregation>> {
        let both = self.bidirectional || self.guess_direction;
        Ok(match &self.fields {
            Some(_) if both => anyhow::bail!("-A cannot be combined with -b or -B"),
            Some(fields) => {
                let whole = self.compat.facts().later;
                Some(Aggregation::Fields(Fields::parse(fields, whole)?))
            }
            None if both => Some(Aggregation::Bidirectional),
            None => self.aggregate.then_some(Aggregation::FiveTuple),
        })
    }

    /// The format asked for; else the one that shows the aggregation; else the default.
    fn mode(
        &self,
        aggregation: Option<&Aggregation>,
        as_nfdump: bool,
        formats: &[(String, String)],
    ) -> anyhow::Result<Mode> {
        let text = match (&self.output, aggregation) {
            (Some(text), Some(Aggregation::Fields(fields)))
                if self.compat.facts().fields_print_themselves && text == "csv" =>
            {
                return Ok(Mode::parse(&format!(
                    "csv:{}",
                    fields
                        .format()
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(",")
                ))?);
            }
            (Some(text), _) => text,
            (None, Some(Aggregation::Fields(fields))) => {
                return Ok(Mode::parse(&format!("fmt:{}", fields.format()))?);
            }
            (None, Some(Aggregation::Bidirectional)) => "biline",
            (None, _) if as_nfdump => NFDUMPS_FORMAT,
            (None, _) => "line",
        };
        let named = formats
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        Ok(match named {
            Some((_, format)) => Mode::parse(format)?,
            None if self.compat.facts().later && text == "fmt:" => {
                Mode::Lines(Format::default(), false)
            }
            None => match self.compat.facts().preset(text) {
                Some((format, full)) => Mode::Lines(Format::compile(format)?, full),
                None => Mode::parse(&self.compat.facts().expand(text))?,
            },
        })
    }

    fn limits(&self, summed: bool) -> anyhow::Result<Limits> {
        if self.packet_limit.is_none() && self.byte_limit.is_none() {
            return Ok(Limits::default());
        }
        if !summed {
            return Err(LimitError(
                "-l and -L limit statistics and aggregated flows: use a filter for records"
                    .to_owned(),
            )
            .into());
        }
        let parse = |text: &Option<String>| match text {
            Some(text) => Limit::parse(text).map_err(LimitError),
            None => Ok(None),
        };
        Ok(Limits {
            packets: parse(&self.packet_limit)?,
            bytes: parse(&self.byte_limit)?,
        })
    }

    /// Compression of the file to write, and its level.
    ///
    /// # Errors
    /// More than one is asked for, or one that there is not.
    pub fn compression(&self) -> anyhow::Result<(Compression, Option<i32>)> {
        match (&self.method, self.lz4, self.bz2) {
            (None, false, false) => Ok((Compression::None, None)),
            (Some(method), false, false) => Compression::parse_method(method)
                .map_err(|what| anyhow::anyhow!("-z={method}: {what}")),
            (None, true, false) => Ok((Compression::Lz4, None)),
            (None, false, true) => Ok((Compression::Bz2, None)),
            _ => anyhow::bail!("only one of -z, -y and -j can be used"),
        }
    }
}

/// A limit that is misused or not understood: nfdump has an exit code of its own for it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LimitError(String);

/// What can be named in `-s` and `-o`, for the long help: read from the tables that decide it.
fn lists() -> String {
    let elements: Vec<&str> = ELEMENTS.iter().map(|element| element.name).collect();
    let orders: Vec<&str> = ORDERS
        .iter()
        .take(ELEMENT_ORDERS)
        .map(|order| order.name)
        .collect();
    let fields: Vec<&str> = Fields::names().collect();
    let tokens: Vec<String> = FIELDS
        .iter()
        .map(|field| format!("%{}", field.token))
        .collect();
    let presets: Vec<String> = PRESETS
        .iter()
        .map(|(name, format)| format!("  {name:<9} {format}"))
        .collect();
    format!(
        "Elements: record {}\n\nOrders: {} (-O also tstart, tend, duration)\n\nFields of -A: {}\n\nTokens: {}\n\nFormats:\n{}\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage, 250 unusable limit, 254 unusable filter",
        elements.join(" "),
        orders.join(" "),
        fields.join(" "),
        tokens.join(" "),
        presets.join("\n")
    )
}
