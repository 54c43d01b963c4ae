//! Records as lines of JSON: those of `t2collect`, pmacct, goflow2, logstash, ipfixcol2 and Telegraf, and others by a
//! field map.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, bail};
use protocol::registry;
use serde_json::{Map, Value as Json};

use super::observe::{Look, MOST_RECORDS};
use super::stored::{Stored, Value};

/// So much of a file of JSON is read.
const MOST_OCTETS: u64 = 256 << 20;

/// Key of the device's JSON → our name.
pub type FieldMap = BTreeMap<String, String>;

/// Reads a field map: `KEY NAME` a line.
///
/// # Errors
/// When it cannot be read.
pub fn read_map(path: &Path) -> anyhow::Result<FieldMap> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the field map {}", path.display()))?;
    let mut map = FieldMap::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (None, _) => {}
            (Some(word), _) if word.starts_with('#') => {}
            (Some(key), Some(name)) => {
                map.insert(key.to_owned(), name.to_owned());
            }
            (Some(_), None) => bail!("{}, line {}: KEY NAME wanted", path.display(), index + 1),
        }
    }
    Ok(map)
}

/// Keys that are no names of IANA, of collectors that are known. No two of them mean another thing by the same key.
const KEYS: &[(&str, &str)] = &[
    // pmacct's print plugin.
    ("ip_src", "sourceIPv4Address"),
    ("ip_dst", "destinationIPv4Address"),
    ("port_src", "sourceTransportPort"),
    ("port_dst", "destinationTransportPort"),
    ("ip_proto", "protocolIdentifier"),
    ("tos", "ipClassOfService"),
    ("tcp_flags", "tcpControlBits"),
    ("packets", "packetDeltaCount"),
    ("bytes", "octetDeltaCount"),
    ("timestamp_start", "flowStart"),
    ("timestamp_end", "flowEnd"),
    // goflow2; tcp_flags, packets and bytes as above, src_port and dst_port Telegraf's too.
    ("src_addr", "sourceIPv4Address"),
    ("dst_addr", "destinationIPv4Address"),
    ("src_port", "sourceTransportPort"),
    ("dst_port", "destinationTransportPort"),
    ("proto", "protocolIdentifier"),
    ("ip_tos", "ipClassOfService"),
    ("in_if", "ingressInterface"),
    ("out_if", "egressInterface"),
    ("src_as", "bgpSourceAsNumber"),
    ("dst_as", "bgpDestinationAsNumber"),
    ("time_flow_start_ns", "flowStartNanoseconds"),
    ("time_flow_end_ns", "flowEndNanoseconds"),
    // logstash has names of its own for NetFlow v5 and v9.
    ("ipv4_src_addr", "sourceIPv4Address"),
    ("ipv4_dst_addr", "destinationIPv4Address"),
    ("ipv6_src_addr", "sourceIPv6Address"),
    ("ipv6_dst_addr", "destinationIPv6Address"),
    ("l4_src_port", "sourceTransportPort"),
    ("l4_dst_port", "destinationTransportPort"),
    ("in_bytes", "octetDeltaCount"),
    ("in_pkts", "packetDeltaCount"),
    ("src_tos", "ipClassOfService"),
    ("input_snmp", "ingressInterface"),
    ("output_snmp", "egressInterface"),
    ("first_switched", "flowStart"),
    ("last_switched", "flowEnd"),
    // Telegraf; src_tos and in_bytes as logstash.
    ("src", "sourceIPv4Address"),
    ("dst", "destinationIPv4Address"),
    ("protocol", "protocolIdentifier"),
    ("in_packets", "packetDeltaCount"),
    ("in_total_packets", "packetTotalCount"),
    ("in_total_bytes", "octetTotalCount"),
    ("flow_start_ms", "flowStart"),
    ("flow_end_ms", "flowEnd"),
];

/// Objects that the fields stand in: logstash's and Telegraf's.
const WRAPPERS: [&str; 2] = ["netflow", "fields"];

/// What stands before names of IANA in the JSON of ipfixcol and ipfixcol2.
const PREFIXES: [&str; 2] = ["iana:", "ipfix."];

/// Whether a collector that is known shows this value if it stores it.
pub fn shows(name: &str, map: &FieldMap) -> bool {
    if map.is_empty() {
        KEYS.iter().any(|(_, known)| *known == name)
    } else {
        map.values().any(|known| known == name)
    }
}

/// The records of a file, which is made with the first one.
///
/// # Errors
/// When it cannot be read.
pub fn file(path: &Path, map: &FieldMap) -> anyhow::Result<Look> {
    use std::io::Read;
    let mut text = Vec::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Look::default()),
        file => file
            .and_then(|file| file.take(MOST_OCTETS).read_to_end(&mut text))
            .with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(lines(&String::from_utf8_lossy(&text), map))
}

/// The records of a text, one a line.
pub fn lines(text: &str, map: &FieldMap) -> Look {
    let mut look = Look::default();
    // A line without an end is being written.
    let whole = text
        .rfind('\n')
        .map_or("", |end| text.get(..end).unwrap_or_default());
    for line in whole.lines().filter(|line| !line.trim().is_empty()) {
        if look.stored.len() >= MOST_RECORDS {
            break;
        }
        match serde_json::from_str::<Json>(line) {
            Ok(Json::Object(object)) if !map.is_empty() => look.stored.push(mapped(&object, map)),
            Ok(Json::Object(object)) if is_ours(&object) => look.stored.extend(ours(&object)),
            Ok(Json::Object(object)) => look.stored.push(known(&object)),
            Ok(_) => {}
            Err(error) => look
                .remarks
                .push(format!("a line of JSON cannot be read: {error}")),
        }
    }
    for stored in &mut look.stored {
        stored.settle();
    }
    look
}

/// Telegraf has its tags beside its fields.
fn is_ours(object: &Map<String, Json>) -> bool {
    object.contains_key("fields") && !object.contains_key("tags")
}

fn ours(object: &Map<String, Json>) -> Option<Stored> {
    let mut stored = Stored::default();
    let kind = object.get("kind").and_then(Json::as_str);
    stored.options = kind == Some("options");
    if !matches!(kind, None | Some("flow" | "options")) {
        return None;
    }
    for (name, value) in object.get("fields").and_then(Json::as_object)? {
        stored.set(name, value_of(value));
    }
    if let Some(exporter) = object.get("exporter") {
        stored.set("exporter", value_of(exporter));
    }
    relative_times(&mut stored, object.get("exportTime"));
    Some(stored)
}

fn mapped(object: &Map<String, Json>, map: &FieldMap) -> Stored {
    let mut stored = Stored::default();
    for (key, name) in map {
        if let Some(value) = object.get(key) {
            enter(&mut stored, name, value_of(value));
        }
    }
    stored
}

/// A record of a collector that is known, by its keys.
fn known(object: &Map<String, Json>) -> Stored {
    let mut stored = Stored::default();
    let inner = WRAPPERS
        .iter()
        .find_map(|wrapper| object.get(*wrapper).and_then(Json::as_object));
    for (key, value) in inner.unwrap_or(object) {
        let key = PREFIXES
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix))
            .unwrap_or(key);
        let alias = KEYS.iter().find(|(known, _)| *known == key);
        let name = match (alias, registry::by_name(key)) {
            (Some((_, name)), _) => name,
            (None, Some(element)) => element.name,
            (None, None) => continue,
        };
        enter(&mut stored, name, value_of(value));
    }
    stored
}

/// Sets a value that others write in their way.
fn enter(stored: &mut Stored, name: &str, value: Value) {
    match (name, &value) {
        // One key for both families.
        ("sourceIPv4Address", Value::Address(IpAddr::V6(_))) => {
            stored.set("sourceIPv6Address", value);
        }
        ("destinationIPv4Address", Value::Address(IpAddr::V6(_))) => {
            stored.set("destinationIPv6Address", value);
        }
        ("protocolIdentifier", Value::Text(name)) => {
            let value = protocol_number(name);
            stored.set("protocolIdentifier", value);
        }
        // In hex, as octets are shown.
        (_, Value::Text(text)) if hex(text).is_some() => {
            stored.set(name, hex(text).map_or(value, Value::Number));
        }
        // Since 1970, for JSON has no times.
        ("flowStartNanoseconds" | "flowEndNanoseconds", Value::Number(ns)) => {
            let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
            stored.set(name, Value::Time(ms));
        }
        _ => stored.set(name, value),
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Times in microseconds before the export time (158, 159), which stands beside the fields.
fn relative_times(stored: &mut Stored, export: Option<&Json>) {
    let Some(Value::Time(export)) = export.map(value_of) else {
        return;
    };
    for name in ["flowStart", "flowEnd"] {
        let delta = stored.get(&format!("{name}DeltaMicroseconds"));
        if let Some(Value::Number(delta)) = delta {
            let ms = i64::try_from(delta / 1000).unwrap_or(i64::MAX);
            stored.set(name, Value::Time(export.saturating_sub(ms)));
        }
    }
}

fn protocol_number(name: &str) -> Value {
    match name.to_ascii_lowercase().as_str() {
        "tcp" => Value::Number(6),
        "udp" => Value::Number(17),
        "icmp" => Value::Number(1),
        _ => Value::Text(name.to_owned()),
    }
}

fn value_of(value: &Json) -> Value {
    match value {
        Json::String(text) => match Value::of_text(text) {
            // A string that looks like a number stays what it is.
            Value::Number(_) if !text.bytes().all(|octet| octet.is_ascii_digit()) => {
                Value::Text(text.clone())
            }
            value => value,
        },
        Json::Number(number) => number
            .as_u64()
            .map_or_else(|| Value::Text(number.to_string()), Value::Number),
        Json::Array(values) => Value::List(values.iter().map(value_of).collect()),
        Json::Bool(value) => Value::Text(value.to_string()),
        Json::Object(_) => Value::Text(value.to_string()),
        Json::Null => Value::Text(String::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// One flow of 10.0.0.1:53 to 192.0.2.9:999, 17, 3 packets of 300 octets, begun at 2023-11-14T22:13:20.500Z, in the
    /// form of each collector as its documentation or its own tests show it.
    #[test]
    fn one_flow_in_the_forms_of_all() {
        let ipfixcol2 = r#"{"@type":"ipfix.entry","iana:sourceIPv4Address":"10.0.0.1","iana:destinationIPv4Address":"192.0.2.9",
            "iana:sourceTransportPort":53,"iana:destinationTransportPort":999,"iana:protocolIdentifier":"UDP",
            "iana:packetDeltaCount":3,"iana:octetDeltaCount":300,"iana:flowStartMilliseconds":"2023-11-14T22:13:20.500Z","en0:id999":1}"#;
        let goflow2 = r#"{"type":"IPFIX","src_addr":"10.0.0.1","dst_addr":"192.0.2.9","src_port":53,"dst_port":999,"proto":"UDP",
            "packets":3,"bytes":300,"time_flow_start_ns":1700000000500000000,"sampler_address":"127.0.0.1"}"#;
        let pmacct = r#"{"event_type":"purge","ip_src":"10.0.0.1","ip_dst":"192.0.2.9","port_src":53,"port_dst":999,"ip_proto":"udp",
            "packets":3,"bytes":300,"timestamp_start":"2023-11-14 22:13:20.500000"}"#;
        let logstash = r#"{"@timestamp":"2023-11-14T22:13:21.000Z","netflow":{"version":9,"ipv4_src_addr":"10.0.0.1","ipv4_dst_addr":"192.0.2.9",
            "l4_src_port":53,"l4_dst_port":999,"protocol":17,"in_pkts":3,"in_bytes":300,"first_switched":"2023-11-14T22:13:20.500Z"}}"#;
        let telegraf = r#"{"fields":{"src":"10.0.0.1","dst":"192.0.2.9","src_port":53,"dst_port":999,"protocol":"udp","in_packets":3,
            "in_bytes":300,"flow_start_ms":1700000000500},"name":"netflow","tags":{"source":"127.0.0.1","version":"IPFIX"}}"#;
        let ours = r#"{"kind":"flow","exporter":"127.0.0.1","fields":{"sourceIPv4Address":"10.0.0.1","destinationIPv4Address":"192.0.2.9",
            "sourceTransportPort":53,"destinationTransportPort":999,"protocolIdentifier":17,"packetDeltaCount":3,"octetDeltaCount":300,
            "flowStartMilliseconds":"2023-11-14T22:13:20.500Z"}}"#;
        for text in [ipfixcol2, goflow2, pmacct, logstash, telegraf, ours] {
            let line = text.replace('\n', " ") + "\n";
            let look = lines(&line, &FieldMap::new());
            let [stored] = &look.stored[..] else {
                panic!("{text}: {look:?}")
            };
            for (name, value) in [
                ("sourceIPv4Address", Value::Address([10, 0, 0, 1].into())),
                (
                    "destinationIPv4Address",
                    Value::Address([192, 0, 2, 9].into()),
                ),
                ("sourceTransportPort", Value::Number(53)),
                ("destinationTransportPort", Value::Number(999)),
                ("protocolIdentifier", Value::Number(17)),
                ("packetDeltaCount", Value::Number(3)),
                ("octetDeltaCount", Value::Number(300)),
                ("flowStart", Value::Time(1_700_000_000_500)),
            ] {
                let found = stored.get(name).unwrap_or_else(|| panic!("{text}: {name}"));
                assert!(found.agrees(&value), "{text}: {name} {found}");
            }
        }
    }

    #[test]
    fn a_field_map_says_what_else_there_is() {
        let map = FieldMap::from([("sa".to_owned(), "sourceIPv4Address".to_owned())]);
        let look = lines(
            "{\"sa\":\"2001:db8::1\",\"bytes\":7}\nno json\n{\"half\":",
            &map,
        );
        assert_eq!(look.stored.len(), 1);
        assert!(look.stored[0].get("sourceIPv6Address").is_some());
        assert!(look.stored[0].get("octetDeltaCount").is_none());
        assert_eq!(look.remarks.len(), 1);
    }
}
