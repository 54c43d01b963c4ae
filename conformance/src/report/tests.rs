#![allow(clippy::unwrap_used)]
use super::*;
use crate::catalogue;
use crate::verdict::Finding;

/// H-02 broken, H-04 kept, S-06 kept and known to be broken, T-18 not applicable.
fn report() -> Report {
    let finding = Finding {
        rule: "H-02",
        verdict: Verdict::Deviation,
        offset: 2,
        length: 2,
        note: "count <1> & \"31\" records".to_owned(),
    };
    let first = Evidence {
        number: 7,
        at_ms: 1_704_067_200_250,
        from: "192.0.2.1:40000".parse().unwrap(),
        to: "192.0.2.9:2055".parse().unwrap(),
        transport: Transport::Udp,
        bytes: vec![0, 9, 0, 1, 0xab],
        finding,
        context: Vec::new(),
    };
    let result = |id, verdict, count, reason: &str| RuleResult {
        requirement: catalogue::find(id).unwrap(),
        verdict,
        count,
        checked: 9,
        reason: reason.to_owned(),
        first: (count > 0).then(|| first.clone()),
        notes: Vec::new(),
    };
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), "# softflowd\n\nS-06 pads nothing\n").unwrap();
    Report {
        source: "a&b.pcap".to_owned(),
        profile: Profile::Rfc7011,
        strict: false,
        tally: Tally {
            messages: 9,
            octets: 45,
            versions: [0, 9, 0, 0],
            exporters: 1,
            not_judged: 0,
            not_ipfix_over_tls: 0,
            first_ms: 1_704_067_200_250,
            last_ms: 1_704_067_201_000,
        },
        remarks: vec!["1 message is cut".to_owned()],
        results: vec![
            result("H-02", Verdict::Deviation, 3, ""),
            result("H-04", Verdict::Pass, 0, ""),
            result("S-06", Verdict::Pass, 0, ""),
            result("T-18", Verdict::NotApplicable, 0, "for collectors"),
        ],
        known: Known::read(path.path()).unwrap(),
        metered: false,
    }
}

#[test]
fn as_json() {
    assert_eq!(
        json(&report()).unwrap(),
        concat!(
            r#"{"results":[{"id":"H-02","verdict":"DEVIATION","count":3,"reason":null,"first":{"message":7,"#,
            r#""time":"2024-01-01T00:00:00.25Z","from":"192.0.2.1:40000","to":"192.0.2.9:2055","transport":"UDP","#,
            r#""offset":2,"length":2,"note":"count <1> & \"31\" records","hex":"00090001ab"}},"#,
            r#"{"id":"H-04","verdict":"PASS","count":0,"reason":null,"first":null},"#,
            r#"{"id":"S-06","verdict":"PASS","count":0,"reason":null,"first":null},"#,
            r#"{"id":"T-18","verdict":"NOT APPLICABLE","count":0,"reason":"for collectors","first":null}]}"#,
            "\n"
        )
    );
}

#[test]
fn as_junit() {
    let text = junit(&report());
    for part in [
        r#"name="t2check a&amp;b.pcap""#,
        r#"timestamp="2024-01-01T00:00:00" tests="4" failures="1" errors="0" skipped="1""#,
        r#"<testcase classname="t2check.H" name="H-02 "#,
        r#"<failure type="DEVIATION" message="count &lt;1&gt; &amp; &quot;31&quot; records">RFC 3954 5.1, 3 times, message 7 at"#,
        r#"<skipped message="for collectors"/>"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn as_a_page() {
    let text = html(&report());
    for part in [
        "<h1>a&amp;b.pcap</h1>",
        "count &lt;1&gt; &amp;",
        "<pre>00000  00 09 <mark>00 01</mark> ab\n</pre>",
        "S-06 is listed as a known failure, and passes",
        "1 message is cut",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for part in ["<script", "http:", "https:", "src=", "url("] {
        assert!(!text.contains(part), "{part}");
    }
}

#[test]
fn a_page_shows_the_marked_part_of_a_long_message() {
    let mut report = report();
    let first = report.results[0].first.as_mut().unwrap();
    first.bytes = vec![0x11; 60_000];
    first.bytes[50_000] = 0x77;
    (first.finding.offset, first.finding.length) = (50_000, 1);
    let text = html(&report);
    assert!(text.contains("<mark>77</mark>"));
    assert!(text.contains("512 of 60000 octets are shown."));
    assert!(text.len() < 40_000);
}

#[test]
fn as_text_and_verdict() {
    let mut report = report();
    let shown = text(&report);
    for part in [
        "a&b.pcap: 9 messages (9 NetFlow v9), 45 octets, 1 exporter, 2024-01-01T00:00:00.25Z to 2024-01-01T00:00:01Z\n",
        "DEVIATION      H-02          3  ",
        "  message 7 at 2024-01-01T00:00:00.25Z, 192.0.2.1:40000 to 192.0.2.9:2055 over UDP, octet 2\n",
        "PASS           H-04          9  ",
        "S-06 is listed as a known failure, and passes\n",
        "\n0 UNSAFE, 0 DATA LOSS, 0 WRONG DATA, 1 DEVIATION, 2 PASS, 1 NOT APPLICABLE\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(report.is_negative());
    report.results[0].requirement = catalogue::find("S-06").unwrap();
    assert!(!report.is_negative());
    assert!(text(&report).contains("(known)"));
}

#[test]
fn what_no_markup_may_hold() {
    assert_eq!(
        escape::escape("a\u{0}<\u{1b}\">&\n"),
        "a\u{fffd}&lt;\u{fffd}&quot;&gt;&amp;\n"
    );
}
