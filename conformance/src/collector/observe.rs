//! Looking at what a device stored: its nfcapd files with our reader or with its own nfdump, lines of JSON, or what a
//! command prints.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, bail};
use nfdump_compat::field::{self, Location};
use nfdump_compat::file::FileReader;
use nfdump_compat::record::{RecordView, V3_RECORD};
use serde_json::Value as Json;

use super::stored::{Stored, Value};

/// So many records are kept of one look: what a flood leaves behind is not all needed.
const MOST_RECORDS: usize = 200_000;

/// So much of a file of JSON is read.
const MOST_OCTETS: u64 = 256 << 20;

/// Where a device shows what it stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observer {
    /// nfcapd files of a folder, read by us.
    Nfcapd(String),
    /// nfcapd files of a folder, read by us and by nfdump.
    Nfdump(String),
    /// A file of JSON lines.
    Json(String),
    /// A command that prints JSON lines.
    Command(String),
}

impl FromStr for Observer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "the observers are nfcapd:DIR, nfdump:DIR, json:FILE and command:CMD";
        let (kind, rest) = text.split_once(':').ok_or(known)?;
        let rest = rest.to_owned();
        match kind {
            _ if rest.is_empty() => Err(known.to_owned()),
            "nfcapd" => Ok(Observer::Nfcapd(rest)),
            "nfdump" => Ok(Observer::Nfdump(rest)),
            "json" => Ok(Observer::Json(rest)),
            "command" => Ok(Observer::Command(rest)),
            _ => Err(known.to_owned()),
        }
    }
}

/// What was seen in one look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The records, in the order of storage as far as it shows.
    pub stored: Vec<Stored>,
    /// Sequence failures that the files count; `None` where nothing counts them.
    pub lost: Option<u64>,
    /// Where two readers of the same files disagree.
    pub disagreements: Vec<String>,
    /// What could not be read.
    pub remarks: Vec<String>,
}

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

impl Observer {
    /// The same with `{dir}` filled in.
    pub fn at(&self, fill: impl Fn(&str) -> String) -> Self {
        match self {
            Observer::Nfcapd(dir) => Observer::Nfcapd(fill(dir)),
            Observer::Nfdump(dir) => Observer::Nfdump(fill(dir)),
            Observer::Json(file) => Observer::Json(fill(file)),
            Observer::Command(command) => Observer::Command(fill(command)),
        }
    }

    /// Whether a value of this name would be seen if it were stored. What JSON has is only known when it is seen.
    pub fn shows(&self, name: &str, map: &FieldMap, seen: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Observer::Nfcapd(_) | Observer::Nfdump(_) => {
                NAMES.iter().any(|(known, _)| *known == name) || OTHER_NAMES.contains(&name)
            }
            Observer::Json(_) | Observer::Command(_) => {
                if !map.is_empty() {
                    return map.values().any(|known| known == name);
                }
                seen("fields") || PMACCT.iter().any(|(_, known)| *known == name)
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When there is nothing to look at.
    pub fn look(&self, map: &FieldMap, nfdump: &Path) -> anyhow::Result<Look> {
        match self {
            Observer::Nfcapd(dir) => nfcapd(Path::new(dir)),
            Observer::Nfdump(dir) => compare(Path::new(dir), nfdump),
            Observer::Json(file) => json_file(Path::new(file), map),
            Observer::Command(command) => {
                let output = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::null())
                    .output()
                    .with_context(|| format!("cannot run {command}"))?;
                Ok(json_lines(&String::from_utf8_lossy(&output.stdout), map))
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------- nfcapd files

/// Numbers of a flow record by the names of their elements.
const NAMES: &[(&str, Location)] = &[
    ("packetDeltaCount", field::IN_PACKETS),
    ("octetDeltaCount", field::IN_BYTES),
    ("sourceTransportPort", field::SRC_PORT),
    ("destinationTransportPort", field::DST_PORT),
    ("protocolIdentifier", field::PROTO),
    ("tcpControlBits", field::TCP_FLAGS),
    ("forwardingStatus", field::FWD_STATUS),
    ("ipClassOfService", field::SRC_TOS),
    ("ingressInterface", field::INPUT),
    ("egressInterface", field::OUTPUT),
    ("sourceIPv4PrefixLength", field::SRC_MASK),
    ("destinationIPv4PrefixLength", field::DST_MASK),
    ("flowDirection", field::DIR),
    ("biflowDirection", field::BIFLOW_DIR),
    ("deltaFlowCount", field::FLOWS),
    ("postPacketDeltaCount", field::OUT_PACKETS),
    ("postOctetDeltaCount", field::OUT_BYTES),
    ("bgpSourceAsNumber", field::SRC_AS),
    ("bgpDestinationAsNumber", field::DST_AS),
    ("postNAPTSourceTransportPort", field::XLATE_SRC_PORT),
    ("postNAPTDestinationTransportPort", field::XLATE_DST_PORT),
    ("natEvent", field::NAT_EVENT),
    ("ingressVRFID", field::INGRESS_VRF),
    ("egressVRFID", field::EGRESS_VRF),
];

const OTHER_NAMES: &[&str] = &[
    "sourceIPv4Address",
    "destinationIPv4Address",
    "sourceIPv6Address",
    "destinationIPv6Address",
    "postNATSourceIPv4Address",
    "postNATDestinationIPv4Address",
    "flowStart",
    "flowEnd",
    "exporter",
    "scaled",
];

/// The flow files of a folder and its folders, finished ones first.
fn flow_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![dir.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                folders.push(path);
            } else if name.to_string_lossy().starts_with("nfcapd") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn nfcapd(dir: &Path) -> anyhow::Result<Look> {
    let mut look = Look::default();
    for path in flow_files(dir)? {
        // A file that has just been begun has no header yet.
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == 0) {
            continue;
        }
        match FileReader::open(&path) {
            Ok(reader) => read_file(reader, &mut look),
            Err(error) => look.remarks.push(error.to_string()),
        }
    }
    Ok(look)
}

fn read_file(mut reader: FileReader, look: &mut Look) {
    loop {
        match reader.next_block() {
            Ok(Some(block)) => {
                for raw in block.records().filter(|raw| raw.record_type == V3_RECORD) {
                    if look.stored.len() >= MOST_RECORDS {
                        return;
                    }
                    match RecordView::parse(raw.bytes) {
                        Ok(view) => look.stored.push(flow(&view)),
                        Err(error) => look.remarks.push(error.to_string()),
                    }
                }
            }
            Ok(None) => break,
            Err(error) => {
                look.remarks.push(error.to_string());
                break;
            }
        }
    }
    if let Some(stat) = reader.stat() {
        *look.lost.get_or_insert(0) += stat.sequence_failures;
    }
}

fn flow(view: &RecordView<'_>) -> Stored {
    let mut stored = Stored::default();
    for (name, location) in NAMES {
        if let Some(value) = view.get(*location) {
            stored.set(name, Value::Number(value));
        }
    }
    for (names, address) in [
        (["sourceIPv4Address", "sourceIPv6Address"], view.src_ip()),
        (
            ["destinationIPv4Address", "destinationIPv6Address"],
            view.dst_ip(),
        ),
        (
            ["postNATSourceIPv4Address", "postNATSourceIPv6Address"],
            view.address(field::XLATE_SRC_IPV4, field::XLATE_SRC_IPV6),
        ),
        (
            [
                "postNATDestinationIPv4Address",
                "postNATDestinationIPv6Address",
            ],
            view.address(field::XLATE_DST_IPV4, field::XLATE_DST_IPV6),
        ),
        (["exporter", "exporter"], view.exporter_ip()),
    ] {
        let Some(address) = address else { continue };
        let name = if matches!(address, IpAddr::V4(_)) {
            names[0]
        } else {
            names[1]
        };
        stored.set(name, Value::Address(address));
    }
    for (name, ms) in [("flowStart", view.first_ms()), ("flowEnd", view.last_ms())] {
        if let Some(ms) = ms.and_then(|ms| i64::try_from(ms).ok()) {
            stored.set(name, Value::Time(ms));
        }
    }
    stored
}

/// What nfdump is asked for, in the order of [`COLUMNS`].
const FORMAT: &str = "fmt:%sa|%da|%sp|%dp|%pr|%pkt|%byt";

const COLUMNS: [[&str; 2]; 7] = [
    ["sourceIPv4Address", "sourceIPv6Address"],
    ["destinationIPv4Address", "destinationIPv6Address"],
    ["sourceTransportPort", ""],
    ["destinationTransportPort", ""],
    ["protocolIdentifier", ""],
    ["packetDeltaCount", ""],
    ["octetDeltaCount", ""],
];

/// Reads a folder with our reader and with nfdump: what they do not agree on is told.
fn compare(dir: &Path, nfdump: &Path) -> anyhow::Result<Look> {
    let mut look = nfcapd(dir)?;
    let mut theirs = Vec::new();
    for path in flow_files(dir)? {
        let output = Command::new(nfdump)
            .args(["-q", "-6", "-N", "-o", FORMAT, "-r"])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", nfdump.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        theirs.extend(text.lines().filter_map(columns));
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default();
            look.disagreements
                .push(format!("nfdump fails on {}: {said}", path.display()));
        }
    }
    let ours: Vec<Vec<String>> = look.stored.iter().map(row).collect();
    if ours.len() != theirs.len() {
        look.disagreements.push(format!(
            "our reader finds {} records, nfdump {}",
            ours.len(),
            theirs.len()
        ));
    } else if let Some((one, other)) = ours.iter().zip(&theirs).find(|(one, other)| one != other) {
        look.disagreements.push(format!(
            "our reader reads {}, nfdump {}",
            one.join(" "),
            other.join(" ")
        ));
    }
    Ok(look)
}

fn columns(line: &str) -> Option<Vec<String>> {
    let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
    (cells.len() == COLUMNS.len()).then_some(cells)
}

fn row(stored: &Stored) -> Vec<String> {
    let cell = |names: &[&str; 2]| {
        let value = names.iter().find_map(|name| stored.get(name));
        value.map_or_else(|| "0".to_owned(), ToString::to_string)
    };
    COLUMNS.iter().map(cell).collect()
}

// ------------------------------------------------------------------------------------------------------------ JSON

/// Names of the print plugin of pmacct.
const PMACCT: &[(&str, &str)] = &[
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
];

fn json_file(path: &Path, map: &FieldMap) -> anyhow::Result<Look> {
    use std::io::Read;
    let mut text = Vec::new();
    match fs::File::open(path) {
        // It is made with the first record.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Look::default()),
        file => file
            .and_then(|file| file.take(MOST_OCTETS).read_to_end(&mut text))
            .with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(json_lines(&String::from_utf8_lossy(&text), map))
}

fn json_lines(text: &str, map: &FieldMap) -> Look {
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
            Ok(Json::Object(object)) => look.stored.extend(json_record(&object, map)),
            Ok(_) => {}
            Err(error) => look
                .remarks
                .push(format!("a line of JSON cannot be read: {error}")),
        }
    }
    look
}

fn json_record(object: &serde_json::Map<String, Json>, map: &FieldMap) -> Option<Stored> {
    let mut stored = Stored::default();
    if let (Some(Json::Object(fields)), true) = (object.get("fields"), map.is_empty()) {
        let kind = object.get("kind").and_then(Json::as_str);
        stored.options = kind == Some("options");
        if !matches!(kind, None | Some("flow" | "options")) {
            return None;
        }
        for (name, value) in fields {
            stored.set(name, json_value(value));
        }
        if let Some(exporter) = object.get("exporter") {
            stored.set("exporter", json_value(exporter));
        }
        relative_times(&mut stored, object.get("exportTime"));
    } else {
        let own: Vec<(&str, &str)> = map
            .iter()
            .map(|(key, name)| (key.as_str(), name.as_str()))
            .collect();
        for (key, name) in if map.is_empty() { PMACCT } else { &own } {
            let Some(value) = object.get(*key) else {
                continue;
            };
            let value = json_value(value);
            let name = match (*name, &value) {
                // pmacct has one name for both families.
                ("sourceIPv4Address", Value::Address(IpAddr::V6(_))) => "sourceIPv6Address",
                ("destinationIPv4Address", Value::Address(IpAddr::V6(_))) => {
                    "destinationIPv6Address"
                }
                ("protocolIdentifier", Value::Text(name)) => {
                    let number = protocol_number(name);
                    stored.set("protocolIdentifier", number);
                    continue;
                }
                (name, _) => name,
            };
            stored.set(name, value);
        }
    }
    stored.settle();
    Some(stored)
}

/// Times in microseconds before the export time (158, 159), which stands beside the fields.
fn relative_times(stored: &mut Stored, export: Option<&Json>) {
    let Some(Value::Time(export)) = export.map(json_value) else {
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
    match name {
        "tcp" => Value::Number(6),
        "udp" => Value::Number(17),
        "icmp" => Value::Number(1),
        other => Value::Text(other.to_owned()),
    }
}

fn json_value(value: &Json) -> Value {
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
        Json::Array(values) => Value::List(values.iter().map(json_value).collect()),
        Json::Bool(value) => Value::Text(value.to_string()),
        Json::Object(_) => Value::Text(value.to_string()),
        Json::Null => Value::Text(String::new()),
    }
}
