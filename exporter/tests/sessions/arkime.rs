//! Arkime's sessions: octets are frame lengths.

use exporter::dissect::Tunnel;
use serde_json::Value;

use crate::compare::{Octets, Session, Tally};
use crate::ours::{Conversations, Counts, End, Key, conversations};

/// The ends, packets and octets of a session.
fn session(body: &Value) -> Option<Session> {
    let side = |name: &str| {
        let side = &body[name];
        let end = match side["ip"].as_str() {
            Some(ip) => End::Ip(ip.parse().ok()?, side["port"].as_u64().unwrap_or(0) as u16),
            None => End::Mac(mac(side["mac"][0].as_str()?)?),
        };
        let counts = (side["packets"].as_u64()?, side["bytes"].as_u64()?);
        Some((end, counts))
    };
    let ((from, sent), (to, received)) = (side("source")?, side("destination")?);
    let protocol = match from {
        End::Ip(..) => body["ipProtocol"].as_u64()?,
        End::Mac(_) => body["ethertype"].as_u64()?,
    };
    let (key, direction) = Key::new(from, to, protocol as u16);
    let mut counts = [sent, received];
    if direction == 1 {
        counts.reverse();
    }
    Some(Session {
        key,
        counts,
        octets: Octets::Frames,
    })
}

fn cause(session: &Session, found: [Counts; 2], all: &Conversations) -> Option<&'static str> {
    const IGMP: u16 = 2;
    let Key { ends, protocol } = session.key;
    let pair = |counts: Counts| (counts.packets, counts.frames);
    let [one, other] = session.counts;
    if protocol == IGMP {
        let igmp = all.iter().filter(|(key, _)| key.protocol == IGMP);
        let sums = igmp
            .flat_map(|(_, counts)| counts)
            .map(|counts| pair(*counts));
        let sum = sums.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        return (sum == (one.0 + other.0, one.1 + other.1)).then_some("all IGMP is one session");
    }
    if let End::Mac(_) = ends[0] {
        // The field of an IEEE 802.3 frame is its length; ours is what the LLC header says.
        let same = |(key, counts): (&Key, &[Counts; 2])| {
            key.ends == ends && counts.map(pair) == session.counts
        };
        return (protocol <= 1500 && all.iter().any(same))
            .then_some("802.3 frames keyed by length");
    }
    let turned = [other, one];
    (found.map(pair) == turned && (one.0 == 0 || other.0 == 0))
        .then_some("ends of a lone answer turned round, its counts not")
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16));
    octets.collect::<Result<Vec<_>, _>>().ok()?.try_into().ok()
}

#[test]
fn sessions_of_arkime() {
    let Some(corpus) = golden::harness::corpus() else {
        return;
    };
    let mut tally = Tally::new("Arkime");
    for entry in std::fs::read_dir(corpus.join("expected/arkime")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        let mut sessions = Vec::new();
        for found in told["sessions3"].as_array().unwrap() {
            match session(&found["body"]) {
                Some(session) => sessions.push(session),
                None => tally.leave_out("no ends in the session"),
            }
        }
        let capture = corpus.join(format!("pcaps/arkime/{name}.pcap"));
        let ours = conversations(&capture, Tunnel::Inner);
        tally.compare(name, &sessions, &ours, |session, found| {
            cause(session, found, &ours)
        });
    }
    tally.finish();
}
