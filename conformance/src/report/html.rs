//! One self-contained page: no script, nothing loaded.

use std::fmt::Write;

use super::decode::{Part, decode};
use super::escape::escape;
use super::{Report, place};
use crate::inspection::{Evidence, RuleResult};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("page.css");

/// Rows of the decoded message at most; up to the first number all are shown.
const FEW_PARTS: usize = 24;
const MOST_PARTS: usize = 160;

/// Rows that are shown before and behind a marked one.
const AROUND: usize = 6;

/// Octets of a message that are shown at most; of a longer one those around the marked ones.
const SHOWN: usize = 512;

const LINE: usize = 16;

/// The report as a page.
pub fn html(report: &Report) -> String {
    let source = escape(&report.source);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>t2check: {source}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{source}</h1>\n<p>{}</p>\n<p>Profile {}{}</p>\n",
        escape(&report.subject()),
        report.profile,
        if report.strict { ", strict" } else { "" }
    );
    for remark in &report.remarks {
        // Writing to a String does not fail.
        let _ = writeln!(page, "<p class=\"remark\">{}</p>", escape(remark));
    }
    summary(&mut page, report);
    let broken = report.broken();
    if !broken.is_empty() {
        page.push_str("<h2>Broken rules</h2>\n");
        for result in broken {
            fault(&mut page, report, result);
        }
    }
    others(&mut page, report);
    page.push_str("</body>\n</html>\n");
    page
}

fn summary(page: &mut String, report: &Report) {
    page.push_str("<ul class=\"summary\">\n");
    for verdict in Verdict::ALL.into_iter().rev() {
        let _ = writeln!(
            page,
            "<li class=\"{}\"><b>{}</b> {verdict}</li>",
            class(verdict),
            report.count(verdict)
        );
    }
    page.push_str("</ul>\n<p class=\"more\">");
    for verdict in Verdict::ALL.into_iter().rev() {
        let _ = write!(page, "<b>{verdict}</b>: {}. ", escape(verdict.meaning()));
    }
    page.push_str("</p>\n");
    for result in report.unexpected_passes() {
        let _ = writeln!(
            page,
            "<p class=\"remark\">{} is listed as a known failure, and passes</p>",
            result.requirement.rule.id
        );
    }
}

fn fault(page: &mut String, report: &Report, result: &RuleResult) {
    let rule = result.requirement.rule;
    let known = if report.is_known(result) {
        " (known)"
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "<details id=\"{id}\" open>\n<summary><span class=\"{}\">{}{known}</span> <b>{id}</b> {}</summary>\n<p>{}, {}; broken {} of {} times.</p>",
        class(result.verdict),
        result.verdict,
        escape(rule.sentence),
        escape(rule.section),
        rule.level.name(),
        result.count,
        result.checked,
        id = rule.id
    );
    if let Some(first) = &result.first {
        let _ = writeln!(
            page,
            "<p class=\"note\">{}</p>\n<p>{}</p>",
            escape(&first.finding.note),
            escape(&place(first))
        );
        page.push_str("<div class=\"message\">\n<div>\n");
        dump(page, first);
        page.push_str("</div>\n<div>\n");
        decoded(page, first);
        page.push_str("</div>\n</div>\n");
    }
    for note in &result.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    page.push_str("</details>\n");
}

/// The message in hex, sixteen octets a line, with those of the finding marked.
fn dump(page: &mut String, first: &Evidence) {
    let (offset, length) = (first.finding.offset, first.finding.length);
    let marked = offset..offset.saturating_add(length);
    let total = first.bytes.len();
    let start = if total <= SHOWN {
        0
    } else {
        offset.saturating_sub(SHOWN / 2).min(total - SHOWN) / LINE * LINE
    };
    let shown = first.bytes.get(start..).unwrap_or_default();
    page.push_str("<pre>");
    for (index, line) in shown.chunks(LINE).take(SHOWN / LINE).enumerate() {
        let at = start + index * LINE;
        let _ = write!(page, "{at:05x} ");
        let mut open = false;
        for (column, octet) in line.iter().enumerate() {
            let inside = marked.contains(&(at + column));
            page.push_str(match (open, inside) {
                (false, true) => " <mark>",
                (true, false) => "</mark> ",
                _ => " ",
            });
            open = inside;
            let _ = write!(page, "{octet:02x}");
        }
        page.push_str(if open { "</mark>\n" } else { "\n" });
    }
    page.push_str("</pre>\n");
    if shown.len() < total || shown.len() > SHOWN {
        let _ = writeln!(
            page,
            "<p class=\"more\">{SHOWN} of {total} octets are shown.</p>"
        );
    }
}

/// What the octets mean; of a long message the header, the sets, and what stands around the finding.
fn decoded(page: &mut String, first: &Evidence) {
    let parts = decode(first);
    let hits: Vec<bool> = parts.iter().map(|part| is_hit(part, first)).collect();
    let all = parts.len() <= FEW_PARTS;
    let mut left = MOST_PARTS;
    page.push_str(
        "<table class=\"decoded\">\n<tr><th>octet</th><th>what</th><th>value</th></tr>\n",
    );
    for (index, part) in parts.iter().enumerate() {
        let around = index.saturating_sub(AROUND)..(index + AROUND + 1).min(parts.len());
        let near = hits.get(around).is_some_and(|hits| hits.contains(&true));
        if left == 0 || !(all || part.depth == 0 || near) {
            continue;
        }
        left -= 1;
        let hit = hits.get(index).is_some_and(|hit| *hit);
        let _ = writeln!(
            page,
            "<tr{}><td>{}</td><td class=\"depth{}\">{}</td><td>{}</td></tr>",
            if hit { " class=\"hit\"" } else { "" },
            part.offset,
            part.depth,
            escape(&part.name),
            escape(&part.value)
        );
    }
    page.push_str("</table>\n");
    let hidden = parts.len() - (MOST_PARTS - left);
    if hidden > 0 {
        let _ = writeln!(
            page,
            "<p class=\"more\">{hidden} more rows are not shown.</p>"
        );
    }
}

/// Whether the finding is about this part. A record is marked by its fields, unless all of it is meant.
fn is_hit(part: &Part, first: &Evidence) -> bool {
    let (start, length) = (first.finding.offset, first.finding.length);
    if part.length == 0 || (start, length) == (0, 0) {
        return false;
    }
    let touches = part.offset < start + length.max(1) && start < part.offset + part.length;
    touches && (part.depth != 1 || length >= part.length)
}

fn others(page: &mut String, report: &Report) {
    page.push_str("<h2>All rules</h2>\n<table>\n<tr><th>ID</th><th>verdict</th><th>times</th><th>checks</th><th>rule</th><th>source</th></tr>\n");
    for result in &report.results {
        let rule = result.requirement.rule;
        let link = if result.verdict.is_negative() {
            format!("<a href=\"#{id}\">{id}</a>", id = rule.id)
        } else {
            rule.id.to_owned()
        };
        let reason = if result.reason.is_empty() {
            String::new()
        } else {
            format!(" <i>{}</i>", escape(&result.reason))
        };
        let _ = writeln!(
            page,
            "<tr><td>{link}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}{reason}</td><td>{}</td></tr>",
            class(result.verdict),
            result.verdict,
            result.count,
            result.checked,
            escape(rule.sentence),
            escape(rule.section)
        );
    }
    page.push_str("</table>\n");
}

/// The class of a cell.
pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotApplicable => "none",
        Verdict::Pass => "pass",
        Verdict::Deviation => "deviation",
        Verdict::WrongData => "wrong",
        Verdict::DataLoss => "loss",
        Verdict::Unsafe => "unsafe",
    }
}
