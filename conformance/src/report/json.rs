//! One JSON object: `{"results":[{"id":…,"verdict":…,"count":…,"reason":…,"first":{…}}, …]}`.

use serde::Serialize;

use super::{Report, hex, time, transport};
use crate::inspection::{Evidence, RuleResult};

#[derive(Serialize)]
struct Document<'a> {
    results: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    verdict: &'a str,
    count: u64,
    reason: Option<&'a str>,
    first: Option<First<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Serialize)]
struct First<'a> {
    message: u64,
    time: String,
    from: String,
    to: String,
    transport: &'a str,
    offset: usize,
    length: usize,
    note: &'a str,
    hex: String,
}

/// The report as JSON, with a line end.
pub fn json(report: &Report) -> Result<String, serde_json::Error> {
    let document = Document {
        results: report.results.iter().map(entry).collect(),
    };
    let mut text = serde_json::to_string(&document)?;
    text.push('\n');
    Ok(text)
}

fn entry(result: &RuleResult) -> Entry<'_> {
    Entry {
        id: result.requirement.rule.id,
        verdict: result.verdict.name(),
        count: result.count,
        reason: (!result.reason.is_empty()).then_some(result.reason.as_str()),
        first: result.first.as_ref().map(first),
        notes: &result.notes,
    }
}

fn first(first: &Evidence) -> First<'_> {
    First {
        message: first.number,
        time: time(first.at_ms),
        from: first.from.to_string(),
        to: first.to.to_string(),
        transport: transport(first.transport),
        offset: first.finding.offset,
        length: first.finding.length,
        note: &first.finding.note,
        hex: hex(&first.bytes),
    }
}
