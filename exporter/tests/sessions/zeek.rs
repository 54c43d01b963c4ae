//! Zeek's conn.log: IP octets, tunnels and what is in them as connections of their own.

use std::io::Read;
use std::path::Path;

use exporter::dissect::Tunnel;
use exporter::meter::status;

use crate::compare::{Octets, Session, Tally};
use crate::ours::{Counts, End, Key, conversations};

/// A connection, and whether it is inside of a tunnel.
fn connection(names: &[&str], line: &str) -> Result<(Session, bool), &'static str> {
    let values: Vec<_> = line.split('\t').collect();
    let value = |name: &str| {
        let at = names.iter().position(|known| *known == name)?;
        values.get(at).copied()
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    let side = |name: &str| {
        let packets = number(&format!("{name}_pkts"))?;
        Some((packets, number(&format!("{name}_ip_bytes"))?))
    };
    let (Some(orig), Some(resp)) = (side("orig"), side("resp")) else {
        return Err("no packets and octets in the log");
    };
    let protocol = match (value("proto"), number("ip_proto")) {
        (_, Some(number)) => number as u16,
        (Some("tcp"), _) => 6,
        (Some("udp"), _) => 17,
        (Some("icmp"), _) if value("id.orig_h").is_some_and(|host| host.contains(':')) => 58,
        (Some("icmp"), _) => 1,
        _ => return Err("no protocol in the log"),
    };
    let end = |name: &str| {
        let host = value(&format!("id.{name}_h"))?.parse().ok()?;
        // Types of ICMP messages are no ports here.
        let is_icmp = protocol == 1 || protocol == 58;
        let port = if is_icmp {
            0
        } else {
            number(&format!("id.{name}_p"))?
        };
        Some(End::Ip(host, port as u16))
    };
    let (Some(from), Some(to)) = (end("orig"), end("resp")) else {
        return Err("no ends in the log");
    };
    let (key, direction) = Key::new(from, to, protocol);
    let mut counts = [orig, resp];
    if direction == 1 {
        counts.reverse();
    }
    let inside = value("tunnel_parents").is_some_and(|parents| parents != "-");
    let octets = Octets::Ip;
    Ok((
        Session {
            key,
            counts,
            octets,
        },
        inside,
    ))
}

/// `fragmented`: the capture has fragments of outer packets.
fn cause(session: &Session, ours: [Counts; 2], fragmented: bool) -> Option<&'static str> {
    const TUNNELS: u64 = status::GTP | status::FRAGMENTS;
    let [(sent, _), (received, _)] = session.counts;
    let [one, other] = ours;
    let seen = one.status | other.status;
    if fragmented && seen & TUNNELS != 0 {
        // A head whose rest is missing counts here, and not there; of a head the inner packet is cut to what is in it.
        return Some("fragments of outer packets, which Zeek puts together first");
    }
    // What comes from port 0 is not looked into, as in Tranalyzer: one direction is missing.
    let packets = (one.packets, other.packets);
    let half = packets == (sent, 0) || packets == (0, received);
    (seen & status::GENEVE != 0 && half).then_some("GENEVE from port 0 is no tunnel in Tranalyzer")
}

fn compare(tally: &mut Tally, name: &str, capture: &Path, log: &str) {
    let mut names = Vec::new();
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for line in log.lines() {
        if let Some(fields) = line.strip_prefix("#fields\t") {
            names = fields.split('\t').collect();
        } else if line.starts_with("ts\t") || line.starts_with("uid\t") || line.starts_with("id.") {
            names = line.split('\t').collect();
        } else if !line.starts_with('#') && !line.is_empty() {
            match connection(&names, line) {
                Ok((session, true)) => inner.push(session),
                Ok((session, false)) => outer.push(session),
                Err(cause) => tally.leave_out(cause),
            }
        }
    }
    let [inside, around] =
        [Tunnel::Inner, Tunnel::Outer].map(|tunnel| conversations(capture, tunnel));
    let directions = around.values().flatten();
    let fragmented = directions.fold(0, |seen, counts| seen | counts.status) & status::FRAGMENTS;
    for (sessions, ours) in [(inner, inside), (outer, around)] {
        tally.compare(name, &sessions, &ours, |session, found| {
            cause(session, found, fragmented != 0)
        });
    }
}

#[test]
fn connections_of_zeek() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let mut tally = Tally::new("Zeek");
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.tsv")).unwrap();
    for line in manifest
        .lines()
        .filter(|line| line.starts_with("pcaps\tpcaps/zeek/"))
    {
        let fields: Vec<_> = line.split('\t').collect();
        let logs = fields.get(9).into_iter().flat_map(|files| files.split(';'));
        for log in logs.filter(|name| name.contains(".conn.log")) {
            let text = std::fs::read_to_string(corpus.join(log)).unwrap();
            compare(&mut tally, fields[1], &corpus.join(fields[1]), &text);
        }
    }
    let mut log = String::new();
    let packed = std::fs::File::open(corpus.join("expected/vast/example.conn.log.gz")).unwrap();
    flate2::read::MultiGzDecoder::new(packed)
        .read_to_string(&mut log)
        .unwrap();
    let example = "pcaps/vast/example.pcap.gz";
    compare(&mut tally, example, &corpus.join(example), &log);
    tally.finish();
}
