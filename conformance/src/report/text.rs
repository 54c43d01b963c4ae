//! The table for people.

use std::fmt::Write;

use super::{Report, place};
use crate::inspection::RuleResult;

/// The report as text.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.source, report.subject());
    let strict = if report.strict { ", strict" } else { "" };
    // Writing to a String does not fail.
    let _ = writeln!(text, "profile {}{strict}", report.profile);
    for remark in &report.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    let broken = report.broken();
    if !broken.is_empty() {
        let _ = writeln!(text, "\n{:<15}{:<6}{:>9}  rule", "verdict", "id", "times");
        for result in broken {
            row(&mut text, report, result);
        }
    }
    if report.passed().next().is_some() {
        let _ = writeln!(text, "\n{:<15}{:<6}{:>9}  rule", "verdict", "id", "checks");
        for result in report.passed() {
            let rule = result.requirement.rule;
            let _ = writeln!(
                text,
                "{:<15}{:<6}{:>9}  {}",
                result.verdict, rule.id, result.checked, rule.sentence
            );
        }
    }
    text.push('\n');
    for (reason, count) in report.not_applicable() {
        let _ = writeln!(text, "{:<15}{count:>15}  {reason}", "NOT APPLICABLE");
    }
    for result in report.unexpected_passes() {
        let _ = writeln!(
            text,
            "{} is listed as a known failure, and passes",
            result.requirement.rule.id
        );
    }
    let _ = writeln!(text, "\n{}", report.summary());
    text
}

fn row(text: &mut String, report: &Report, result: &RuleResult) {
    let rule = result.requirement.rule;
    let known = if report.is_known(result) {
        " (known)"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "{:<15}{:<6}{:>9}  {} [{}, {}]{known}",
        result.verdict,
        rule.id,
        result.count,
        rule.sentence,
        rule.level.name(),
        rule.section
    );
    if let Some(first) = &result.first {
        let _ = writeln!(text, "{:32}{}", "", first.finding.note);
        let _ = writeln!(text, "{:32}{}", "", place(first));
    }
    for note in &result.notes {
        let _ = writeln!(text, "{:32}{note}", "");
    }
}
