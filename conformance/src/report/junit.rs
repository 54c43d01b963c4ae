//! JUnit XML, one test case a requirement: a broken rule fails, a known one and one that is not applicable are
//! skipped.

use std::fmt::Write;

use super::escape::escape;
use super::{Report, place, time};
use crate::inspection::RuleResult;
use crate::verdict::Verdict;

/// The report as JUnit XML. Time stamps are those of the messages, so that the same capture gives the same file.
pub fn junit(report: &Report) -> String {
    let mut cases = String::new();
    let (mut failures, mut skipped) = (0, 0);
    for result in &report.results {
        let rule = result.requirement.rule;
        // Writing to a String does not fail.
        let _ = write!(
            cases,
            "    <testcase classname=\"t2check.{}\" name=\"{}\" time=\"0\"",
            rule.id.split('-').next().unwrap_or_default(),
            escape(&format!("{} {}", rule.id, rule.sentence))
        );
        if report.counts(result) {
            failures += 1;
            failure(&mut cases, result);
        } else if let Some(why) = why_skipped(report, result) {
            skipped += 1;
            let _ = writeln!(
                cases,
                ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                escape(&why)
            );
        } else {
            cases.push_str("/>\n");
        }
    }
    let head = format!(
        "<testsuite name=\"t2check {}\" package=\"t2check\" id=\"0\" hostname=\"localhost\" timestamp=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">",
        escape(&report.source),
        seconds(report.tally.first_ms),
        report.results.len()
    );
    let properties = format!(
        "    <properties>\n      <property name=\"profile\" value=\"{}\"/>\n      <property name=\"strict\" value=\"{}\"/>\n    </properties>\n",
        report.profile, report.strict
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  {head}\n{properties}{cases}    <system-out>{}</system-out>\n    <system-err></system-err>\n  </testsuite>\n</testsuites>\n",
        escape(&report.subject())
    )
}

fn failure(cases: &mut String, result: &RuleResult) {
    let (note, mut detail) = match &result.first {
        Some(first) => (first.finding.note.as_str(), place(first)),
        None => (
            result
                .notes
                .first()
                .map_or(result.requirement.rule.sentence, String::as_str),
            String::new(),
        ),
    };
    for note in &result.notes {
        detail.push('\n');
        detail.push_str(note);
    }
    let _ = writeln!(
        cases,
        ">\n      <failure type=\"{}\" message=\"{}\">{}, {} times, {}</failure>\n    </testcase>",
        result.verdict,
        escape(note),
        escape(result.requirement.rule.section),
        result.count,
        escape(&detail)
    );
}

fn why_skipped(report: &Report, result: &RuleResult) -> Option<String> {
    if result.verdict.is_negative() && report.is_known(result) {
        return Some(format!("known: {}, {} times", result.verdict, result.count));
    }
    (result.verdict == Verdict::NotApplicable).then(|| result.reason.clone())
}

/// The form that JUnit wants: no fraction, no zone.
fn seconds(ms: u64) -> String {
    time(ms / 1000 * 1000).trim_end_matches('Z').to_owned()
}
