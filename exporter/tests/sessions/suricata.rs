//! Suricata's flow events, in the recordings of VAST and the checks of its own tests: octets are frame lengths.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::compare::{Octets, Session, Tally};
use crate::ours::{End, Key, both_layers};

fn session(event: &Value) -> Result<Session, &'static str> {
    let protocol = match event["proto"]
        .as_str()
        .map(str::to_ascii_uppercase)
        .as_deref()
    {
        Some("TCP") => 6,
        Some("UDP") => 17,
        Some("ICMP") => 1,
        Some("IPV6-ICMP" | "IPV6_ICMP") => 58,
        Some("SCTP") => 132,
        Some("IGMP") => 2,
        _ => return Err("no protocol in the event"),
    };
    let is_icmp = protocol == 1 || protocol == 58;
    let end = |name: &str| {
        let host = event[format!("{name}_ip")].as_str()?.parse().ok()?;
        let port = event[format!("{name}_port")].as_u64().unwrap_or(0) as u16;
        Some(End::Ip(host, if is_icmp { 0 } else { port }))
    };
    let flow = &event["flow"];
    let side = |name: &str| {
        let packets = flow[format!("pkts_to{name}")].as_u64()?;
        Some((packets, flow[format!("bytes_to{name}")].as_u64()?))
    };
    let (Some(from), Some(to)) = (end("src"), end("dest")) else {
        return Err("no ends in the event");
    };
    let (Some(sent), Some(received)) = (side("server"), side("client")) else {
        return Err("no packets and octets in the event");
    };
    let (key, direction) = Key::new(from, to, protocol);
    let mut counts = [sent, received];
    if direction == 1 {
        counts.reverse();
    }
    Ok(Session {
        key,
        counts,
        octets: Octets::Frames,
    })
}

/// The flow events that the checks of a test expect; as much of YAML as they use.
fn checked(text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for check in text.split("match:").skip(1) {
        let mut event = serde_json::Map::new();
        let mut flow = serde_json::Map::new();
        for line in check.lines().skip(1) {
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            let value = value.trim_matches(['"', '\'']);
            let value = value
                .parse::<u64>()
                .map_or_else(|_| value.into(), Value::from);
            match name.strip_prefix("flow.") {
                Some(name) => flow.insert(name.to_owned(), value),
                None => event.insert(name.to_owned(), value),
            };
        }
        event.insert("flow".to_owned(), flow.into());
        events.push(event.into());
    }
    events
}

#[test]
fn flows_of_suricata() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let mut tally = Tally::new("Suricata");
    let mut compare = |capture: &str, events: &[Value]| {
        let mut sessions = Vec::new();
        for event in events.iter().filter(|event| event["event_type"] == "flow") {
            match session(event) {
                Ok(session) => sessions.push(session),
                Err(cause) => tally.leave_out(cause),
            }
        }
        if !sessions.is_empty() {
            let ours = both_layers(&corpus.join(capture));
            tally.compare(capture, &sessions, &ours, |_, _| None);
        }
    };
    let packed = std::fs::File::open(corpus.join("expected/vast/example.eve.json.gz")).unwrap();
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(packed)).lines();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    compare("pcaps/vast/example.pcap.gz", &events);
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.tsv")).unwrap();
    for line in manifest.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        if let [_, capture, .., checks] = fields[..]
            && checks.starts_with("expected/suricata-verify/")
        {
            let text = std::fs::read_to_string(corpus.join(checks)).unwrap();
            compare(capture, &checked(&text));
        }
    }
    tally.finish();
}
