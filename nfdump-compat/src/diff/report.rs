//! The difference as text, as JSON and as JUnit XML.

use std::fmt::Write;

use quick_xml::escape::escape;
use serde_json::{Value, json};

use super::cause::Finding;
use super::{Difference, Totals};

/// What was compared, in the words of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The first set.
    pub a: &'a str,
    /// The second set.
    pub b: &'a str,
}

/// For people: both totals, then each cause with what it concerns and some flows.
#[must_use]
pub fn text(names: Names<'_>, difference: &Difference) -> String {
    let mut out = String::new();
    for (side, name, totals) in [
        ("A", names.a, difference.totals[0]),
        ("B", names.b, difference.totals[1]),
    ] {
        let name = printable(name);
        // Writing to a String does not fail.
        let _ = writeln!(out, "{side}  {}  {name}", counted(totals));
    }
    let _ = writeln!(out, "{} flows are the same", difference.same);
    for finding in &difference.findings {
        let _ = writeln!(
            out,
            "\n{}: {}\n   A  {}\n   B  {}",
            finding.cause.code(),
            finding.cause,
            counted(finding.totals[0]),
            counted(finding.totals[1])
        );
        for example in &finding.examples {
            let _ = writeln!(out, "   {example}");
        }
        let flows = finding.totals[0].flows.max(finding.totals[1].flows);
        if flows > finding.examples.len() as u64 && !finding.examples.is_empty() {
            let _ = writeln!(out, "   ...");
        }
    }
    out
}

fn counted(totals: Totals) -> String {
    format!(
        "{} flows, {} packets, {} bytes",
        totals.flows, totals.packets, totals.bytes
    )
}

/// A name without what could steer a terminal.
fn printable(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// For programs: one object.
#[must_use]
pub fn json(names: Names<'_>, difference: &Difference) -> String {
    let findings: Vec<Value> = difference
        .findings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.cause.code(),
                "cause": finding.cause.to_string(),
                "a": totals(finding.totals[0]),
                "b": totals(finding.totals[1]),
                "examples": finding.examples,
            })
        })
        .collect();
    let side = |name: &str, of: Totals| {
        let mut value = totals(of);
        if let Some(object) = value.as_object_mut() {
            object.insert("name".to_owned(), name.into());
        }
        value
    };
    let all = json!({
        "a": side(names.a, difference.totals[0]),
        "b": side(names.b, difference.totals[1]),
        "same": difference.same,
        "findings": findings,
    });
    format!("{all:#}\n")
}

fn totals(totals: Totals) -> Value {
    json!({"flows": totals.flows, "packets": totals.packets, "bytes": totals.bytes})
}

/// For continuous integration: a test case for each cause, a single passed one if nothing differs.
#[must_use]
pub fn junit(names: Names<'_>, difference: &Difference) -> String {
    let mut cases = String::new();
    if difference.is_empty() {
        cases.push_str(
            "    <testcase classname=\"t2report.diff\" name=\"no difference\" time=\"0\"/>\n",
        );
    }
    for finding in &difference.findings {
        failure(&mut cases, finding);
    }
    let tests = difference.findings.len().max(1);
    let failures = difference.findings.len();
    let name = format!(
        "t2report diff {} {}",
        printable(names.a),
        printable(names.b)
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"0\">\n{cases}  </testsuite>\n</testsuites>\n",
        escape(&name)
    )
}

fn failure(cases: &mut String, finding: &Finding) {
    let cause = finding.cause.to_string();
    let detail = format!(
        "A {}\nB {}\n{}",
        counted(finding.totals[0]),
        counted(finding.totals[1]),
        finding.examples.join("\n")
    );
    let _ = writeln!(
        cases,
        "    <testcase classname=\"t2report.diff\" name=\"{}\" time=\"0\">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>",
        finding.cause.code(),
        finding.cause.code(),
        escape(&cause),
        escape(&detail)
    );
}
