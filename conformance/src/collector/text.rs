//! The table for people: each broken rule with the cases that broke it, then what is kept, then why the rest is not
//! judged.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::run::Findings;
use crate::report::Report;
use crate::verdict::Verdict;

/// The report as text.
pub fn text(report: &Report, findings: &Findings) -> String {
    let strict = if report.strict { ", strict" } else { "" };
    let mut text = format!(
        "{}: {} cases, {} messages, {} octets\nprofile {}{strict}\n",
        report.source,
        findings.results.len(),
        findings.sent.0,
        findings.sent.1,
        report.profile
    );
    for remark in &report.remarks {
        // Writing to a String does not fail.
        let _ = writeln!(text, "note: {remark}");
    }
    for verdict in Verdict::ALL
        .into_iter()
        .rev()
        .filter(|verdict| verdict.is_negative())
    {
        broken(&mut text, report, findings, verdict);
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    text.push('\n');
    for result in &report.results {
        let rule = result.requirement.rule;
        match result.verdict {
            Verdict::Pass => {
                let _ = writeln!(
                    text,
                    "{:<15}{:<6}{:>4}  {}",
                    result.verdict, rule.id, result.checked, rule.sentence
                );
            }
            Verdict::NotApplicable => reasons.entry(&result.reason).or_default().push(rule.id),
            _ => {}
        }
    }
    text.push('\n');
    for (reason, ids) in reasons {
        let _ = writeln!(
            text,
            "{:<15}{reason}: {}",
            Verdict::NotApplicable,
            ids.join(" ")
        );
    }
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .rev()
        .map(|verdict| {
            let count = report
                .results
                .iter()
                .filter(|result| result.verdict == verdict)
                .count();
            format!("{count} {verdict}")
        })
        .collect();
    let _ = writeln!(text, "\n{}", counts.join(", "));
    text
}

fn broken(text: &mut String, report: &Report, findings: &Findings, verdict: Verdict) {
    for result in report
        .results
        .iter()
        .filter(|result| result.verdict == verdict)
    {
        let rule = result.requirement.rule;
        let known = if report.known.contains(rule.id) {
            " (known)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "\n{verdict:<15}{:<6}{} [{}, {}]{known}",
            rule.id,
            rule.sentence,
            rule.level.name(),
            rule.section
        );
        if !result.reason.is_empty() {
            let _ = writeln!(text, "{:21}{}", "", result.reason);
        }
        let cases = findings
            .results
            .iter()
            .filter(|case| case.case.rules.contains(&rule.id));
        for case in cases.filter(|case| case.outcome.verdict.is_negative()) {
            let _ = writeln!(
                text,
                "{:21}{}: {} ({})",
                "",
                case.name,
                case.outcome.notes.join("; "),
                case.case.what
            );
        }
    }
}
