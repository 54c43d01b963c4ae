//! The filter language by its rules; against nfdump itself in `tests/filters.rs`.

use super::*;
use crate::{
    field,
    record::{RecordBuilder, RecordHeader, RecordView},
};
use proptest::prelude::*;

struct Nothing;

impl Outside for Nothing {
    fn include(&mut self, _: &str) -> Result<String, String> {
        Err("nothing to include".to_owned())
    }

    fn resolve(&mut self, name: &str) -> Vec<IpAddr> {
        match name {
            "two.example" => vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            "one.example" => vec!["10.0.0.9".parse().unwrap()],
            _ => Vec::new(),
        }
    }

    fn time(&mut self, text: &str) -> Option<u64> {
        text.strip_prefix('T')?.parse().ok()
    }
}

fn parse(text: &str) -> Result<Filter, FilterError> {
    Filter::parse(text, None, Dialect::V1_7_1, &mut Nothing)
}

/// A TCP flow 10.0.0.1:40000 → 192.168.1.9:443, SYN and ACK.
fn record() -> Vec<u8> {
    let mut builder = RecordBuilder::new();
    builder.begin(&RecordHeader::default());
    builder.set(field::SRC_IPV4, 0x0a00_0001);
    builder.set(field::DST_IPV4, 0xc0a8_0109);
    builder.set(field::SRC_PORT, 40_000);
    builder.set(field::DST_PORT, 443);
    builder.set(field::PROTO, 6);
    builder.set(field::TCP_FLAGS, 0x12);
    builder.set(field::IN_PACKETS, 10);
    builder.set(field::IN_BYTES, 1000);
    builder.set(field::MSEC_FIRST, 1000);
    builder.set(field::MSEC_LAST, 3000);
    builder.finish().to_vec()
}

fn passes(text: &str) -> bool {
    let bytes = record();
    let view = RecordView::parse(&bytes).unwrap();
    let context = Context {
        ident: "here",
        number: 7,
        geo: None,
    };
    parse(text).unwrap().matches(&view, &context).is_some()
}

#[test]
fn precedence() {
    assert!(passes("proto tcp or proto udp and ipv6"));
    assert!(!passes("(proto tcp or proto udp) and ipv6"));
    assert!(!passes("not proto tcp and ipv4"));
    assert!(passes("not proto udp and ipv4"));
    assert!(passes("not (proto udp and ipv4)"));
}

#[test]
fn values_of_the_record() {
    for text in [
        "ident here",
        "count 7",
        "duration 2000",
        "pps 5",
        "bps 4000",
        "bpp 100",
        "flags SA",
        "src net 10.0.0.0/8",
        "dst port in [80 443]",
        "as 0",
        "flows 1",
        "",
    ] {
        assert!(passes(text), "{text}");
        assert!(
            text.is_empty() || !passes(&format!("not ({text})")),
            "{text}"
        );
    }
    // nfdump's rule: negated flags are any of them.
    assert!(!passes("not flags SF"));
    assert!(!passes("flags SF"));
}

#[test]
fn host_names_mean_all_their_addresses() {
    assert!(passes("src ip two.example"));
    assert!(!passes("dst ip two.example"));
    assert!(!passes("ip one.example"));
    assert!(passes("ip in [one.example two.example]"));
    assert!(parse("ip three.example").is_err());
}

#[test]
fn errors_say_what_is_expected() {
    let error = parse("proto tcp\nand dst prt 80").unwrap_err();
    assert_eq!((error.line, error.word.as_str()), (2, "prt"));
    let text = error.to_string();
    assert!(
        text.starts_with("Line 2: syntax error at 'prt'\nexpected: ip, net, port"),
        "{text}"
    );
    for (text, word) in [
        ("payload foo", "foo"),
        ("src geo usa", "usa"),
        ("payload ja3 12", "12"),
    ] {
        assert_eq!(parse(text).unwrap_err().word, word);
    }
    assert!(parse("geo us").unwrap().needs_places());
}

/// What only later versions have follows their rules: what a record does not have fails, whatever is asked.
#[test]
fn later_words() {
    for text in [
        "first seen T1000",
        "last seen > T2999",
        "flags =SA",
        "engine type 0",
        "not ttl 64",
        "not ttl < 64",
        "not nat port < 1",
        "not tun net 0.0.0.0/0",
        "not nat ip in [0.0.0.0/0]",
        "not mpls any > 5",
    ] {
        assert!(passes(text), "{text}");
    }
    for text in ["flags =SAF", "ttl < 255", "nat port < 1", "nat event < 0"] {
        assert!(!passes(text), "{text}");
    }
    for (text, word) in [
        ("first seen abc", "abc"),
        ("min tos 3", "tos"),
        ("pf action foo", "foo"),
        ("ttl 256", "256"),
        ("payload ja4 xyz", "xyz"),
        ("payload tls version 2.0", "2.0"),
        ("bgp ip 1.2.3.4", "ip"),
        ("in nat ip 1.2.3.4", "nat"),
        ("tun port 3", "port"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.word, word, "{error}");
    }
}

/// The words that versions share are read by the rules of the version asked for.
#[test]
fn rules_of_versions() {
    let bytes = record();
    let view = RecordView::parse(&bytes).unwrap();
    let later = |text: &str| {
        let filter = Filter::parse(text, None, Dialect::Later, &mut Nothing).unwrap();
        filter.matches(&view, &Context::default()).is_some()
    };
    for text in [
        "src vlan 0",
        "flows 1",
        "net ::/0",
        "nat event 0",
        "out bytes < 1",
        "not flags S",
    ] {
        assert!(passes(text) || text == "not flags S", "{text}");
        assert!(!later(text), "{text}");
    }
    assert!(!passes("not flags SF") && later("not flags SF"));
}

#[test]
fn depth_is_bounded() {
    assert!(parse(&format!("{}any{}", "(".repeat(400), ")".repeat(400))).is_ok());
    assert!(parse(&"(".repeat(1_000_000)).is_err());
    assert!(parse(&"not ".repeat(1_000_000)).is_err());
    assert!(parse(&vec!["port 1"; 20_000].join(" or ")).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_an_answer(text in "(any|not|and|or|src|dst|ip|net|port|in|flags|mpls|nat|tun|ttl|pf|payload|tls|dns|geo|\\[|\\]|\\(|\\)|%|/|,|[a-z0-9:.'\"#@]{1,8}| |\n){0,25}") {
        let bytes = record();
        let view = RecordView::parse(&bytes).unwrap();
        if let Ok(filter) = parse(&text) {
            let _ = filter.matches(&view, &Context::default());
        }
    }
}
