//! The command line: nfdump's spelling, and what it means.

use crate::window;
use anyhow::Context;
use clap::Parser;
use nfdump_compat::{
    output::{
        fields::FIELDS,
        format::{Mode, PRESETS},
        style::{Compat, Style},
    },
    query::{Query, Window},
    stat::{element::ELEMENTS, order::ORDERS, request::Request},
};
use std::path::PathBuf;

/// Rows of a statistic without `-n`.
const DEFAULT_TOP: usize = 10;
/// Statistics in one run.
const MAX_STATISTICS: usize = 8;

/// Reports on flow records in nfcapd files, with nfdump's options and nfdump's output.
#[derive(Debug, Parser)]
#[command(name = "t2report", version, args_override_self = true, after_long_help = lists())]
pub struct Arguments {
    /// Read this file, all files below this directory, or standard input (-); without -r and -R all finished slots
    /// (nfcapd.<digits>) of $T2_FLOWS, else of the current directory
    #[arg(short = 'r', value_name = "FILE|DIR|-", conflicts_with = "sequence")]
    pub read: Option<PathBuf>,

    /// Read a sequence of files: a directory, the files of a directory from FIRST on, or from FIRST to LAST
    #[arg(short = 'R', value_name = "DIR|FIRST[:LAST]")]
    pub sequence: Option<String>,

    /// Output format: line, long, extended, biline, bilong, gline, glong (with 6: full IPv6 addresses), csv, null, or fmt:… with
    /// %tokens
    #[arg(short = 'o', value_name = "FORMAT", default_value = "line")]
    pub output: String,

    /// Statistic: record, or an element as srcip, dstport, proto; :p splits by protocol; orders as flows, packets, bytes, pps,
    /// bps, bpp, one table each; :a smallest first
    #[arg(
        short = 's',
        value_name = "ELEMENT[:p][/ORDER[:a]]…",
        allow_hyphen_values = true
    )]
    pub statistics: Vec<String>,

    /// Rows of a statistic, 0 for all [default: 10]
    #[arg(short = 'n', value_name = "N", allow_negative_numbers = true)]
    pub top: Option<i64>,

    /// Stop after N records
    #[arg(short = 'c', value_name = "N", allow_negative_numbers = true)]
    pub limit: Option<i64>,

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

    /// Check this file block by block
    #[arg(short = 'v', value_name = "FILE")]
    pub verify: Option<PathBuf>,

    /// Whose output to imitate
    #[arg(long, value_name = "STYLE", default_value = "1.7.1")]
    pub compat: Compat,

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
    /// Validates what does not depend on files.
    ///
    /// # Errors
    /// A sentence saying which argument cannot be used and why.
    pub fn query(&self) -> anyhow::Result<Query> {
        if self.statistics.len() > MAX_STATISTICS {
            anyhow::bail!(
                "{} statistics asked for: at most {MAX_STATISTICS} in one run",
                self.statistics.len()
            );
        }
        let statistics = self
            .statistics
            .iter()
            .map(|text| Ok(Request::parse(text)?))
            .collect::<anyhow::Result<_>>()?;
        let top = match self.top {
            Some(top) => usize::try_from(top)
                .with_context(|| format!("-n {top} is out of range: 0 (all) or more"))?,
            None => DEFAULT_TOP,
        };
        let limit = match self.limit {
            Some(limit) if limit < 1 => anyhow::bail!("-c {limit} is out of range: 1 or more"),
            limit => limit.map(i64::unsigned_abs),
        };
        let mode = Mode::parse(&self.output)?;
        let style = Style {
            compat: self.compat,
            full_ipv6: self.full_ipv6 || matches!(mode, Mode::Lines(_, true)),
            plain_numbers: self.plain_numbers,
        };
        Ok(Query {
            mode,
            filter: None,
            window: self.window,
            statistics,
            top,
            limit,
            quiet: self.quiet,
            style,
        })
    }
}

/// What can be named in `-s` and `-o`, for the long help: read from the tables that decide it.
fn lists() -> String {
    let elements: Vec<&str> = ELEMENTS.iter().map(|element| element.name).collect();
    let orders: Vec<&str> = ORDERS.iter().map(|order| order.name).collect();
    let tokens: Vec<String> = FIELDS
        .iter()
        .map(|field| format!("%{}", field.token))
        .collect();
    let presets: Vec<String> = PRESETS
        .iter()
        .map(|(name, format)| format!("  {name:<9} {format}"))
        .collect();
    format!(
        "Elements: record {}\n\nOrders: {}\n\nTokens: {}\n\nFormats:\n{}\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage, 254 unusable filter",
        elements.join(" "),
        orders.join(" "),
        tokens.join(" "),
        presets.join("\n")
    )
}
