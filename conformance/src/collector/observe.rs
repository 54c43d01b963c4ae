//! Looking at what a device stored: its nfcapd files with our reader or with its own nfdump, lines of JSON, or what a
//! command prints.

use std::fs;
use std::io::BufRead;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::Context;
use nfdump_compat::field::{self, Location};
use nfdump_compat::file::FileReader;
use nfdump_compat::record::{RecordView, V3_RECORD};

use super::exposition::Url;
use super::json::{self, FieldMap};
use super::stored::{Stored, Value};

/// So many records are kept of one look: what a flood leaves behind is not all needed.
pub(super) const MOST_RECORDS: usize = 200_000;

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

/// `--observe`: records, or what the device counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observe {
    /// The records themselves.
    Records(Observer),
    /// Its metrics.
    Counts(Url),
}

impl FromStr for Observe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known =
            "the observers are nfcapd:DIR, nfdump:DIR, json:FILE, command:CMD and prometheus:URL";
        let (kind, rest) = text.split_once(':').ok_or(known)?;
        let what = rest.to_owned();
        Ok(Observe::Records(match kind {
            _ if rest.is_empty() => return Err(known.to_owned()),
            "nfcapd" => Observer::Nfcapd(what),
            "nfdump" => Observer::Nfdump(what),
            "json" => Observer::Json(what),
            "command" => Observer::Command(what),
            "prometheus" => return rest.parse().map(Observe::Counts),
            _ => return Err(known.to_owned()),
        }))
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
                map.is_empty() && seen("fields") || json::shows(name, map)
            }
        }
    }

    /// How many records there are, whatever is in them.
    ///
    /// # Errors
    /// When there is nothing to look at.
    pub fn count(&self) -> anyhow::Result<u64> {
        match self {
            Observer::Nfcapd(dir) | Observer::Nfdump(dir) => {
                let mut count = 0;
                for path in flow_files(Path::new(dir))? {
                    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0) {
                        count += count_file(&path)?;
                    }
                }
                Ok(count)
            }
            Observer::Json(file) => match fs::File::open(file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
                file => count_lines(file?),
            },
            Observer::Command(command) => {
                let mut child = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .spawn()
                    .with_context(|| format!("cannot run {command}"))?;
                let lines = child.stdout.take().map_or(Ok(0), count_lines);
                child.wait()?;
                lines
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
            Observer::Json(file) => json::file(Path::new(file), map),
            Observer::Command(command) => {
                let output = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::null())
                    .output()
                    .with_context(|| format!("cannot run {command}"))?;
                Ok(json::lines(&String::from_utf8_lossy(&output.stdout), map))
            }
        }
    }
}

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

fn count_file(path: &Path) -> anyhow::Result<u64> {
    let mut reader = FileReader::open(path)?;
    let mut count = 0;
    while let Some(block) = reader.next_block()? {
        let flows = block.records().filter(|raw| raw.record_type == V3_RECORD);
        count += flows.count() as u64;
    }
    Ok(count)
}

fn count_lines(from: impl std::io::Read) -> anyhow::Result<u64> {
    let mut from = std::io::BufReader::with_capacity(1 << 20, from);
    let mut count = 0;
    loop {
        let octets = from.fill_buf()?;
        if octets.is_empty() {
            return Ok(count);
        }
        count += octets.iter().filter(|octet| **octet == b'\n').count() as u64;
        let length = octets.len();
        from.consume(length);
    }
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
