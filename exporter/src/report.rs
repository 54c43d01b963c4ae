//! The end report: what was read, what became of it, what was sent. In the text, lines that would say zero are left
//! out; the JSON object always has the same members.

mod counters;
mod format;
mod item;
mod sections;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::capture::{CaptureInfo, Compression, LiveCounters};
use crate::dissect::DissectCounters;
use crate::export::ExportCounters;
use crate::meter::{MeterStats, Metric};
use crate::text_files::SocketCounters;

pub use counters::{FlowCounters, PacketCounters, Talker};
pub(crate) use format::{Human, Time};

/// How the NetFlow sink was set, in the words of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetflowTarget {
    /// Protocol and way, such as `NetFlow v9 over UDP to 127.0.0.1:9995`.
    pub path: String,
    /// Source id or observation domain.
    pub source_id: u32,
    /// The profile's name.
    pub profile: &'static str,
    /// What octets mean.
    pub metric: Metric,
}

/// What the process used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Its number.
    pub process: u32,
    /// Its nice value, -20 to 19; `None` where the system does not tell.
    pub nice: Option<i64>,
    /// When it started, nanoseconds since 1970.
    pub started_ns: i64,
    /// From start to report.
    pub elapsed: Duration,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Largest resident memory, octets.
    pub memory: u64,
}

/// A capture that was read, or an interface that was listened on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputReport {
    /// As the user named it.
    pub path: String,
    /// How it was compressed.
    pub compression: Option<Compression>,
    /// What its head says.
    pub info: CaptureInfo,
    /// Octets of the file; `None` for a pipe.
    pub size: Option<u64>,
    /// Octets of the file that were read.
    pub position: u64,
    /// Octets of the capture, decompressed, that were read.
    pub octets: u64,
    /// Packets of it that were wanted.
    pub packets: u64,
    /// What the interface received and lost; zeros for a file.
    pub live: LiveCounters,
    /// How often the interface's clock was set back.
    pub clock_steps: u64,
}

/// The end report.
#[derive(Debug)]
pub struct Report {
    /// The captures that were read.
    pub inputs: Vec<InputReport>,
    /// A signal ended the reading.
    pub stopped: bool,
    /// Packets.
    pub packets: PacketCounters,
    /// What could not be dissected.
    pub dissect: DissectCounters,
    /// Packets in flows, and flows.
    pub meter: MeterStats,
    /// The most flows that the table may hold.
    pub max_flows: u64,
    /// What was counted beside layer 7 octets.
    pub wide: Metric,
    /// Sums over the flows.
    pub flows: FlowCounters,
    /// The exports that ran.
    pub netflow: Vec<(NetflowTarget, ExportCounters)>,
    /// Files the text and JSON sinks wrote.
    pub text: Vec<String>,
    /// The peer of the socket sink, and what became of its lines.
    pub socket: Option<(String, SocketCounters)>,
    /// What the process used.
    pub usage: Usage,
}

const RULE: &str =
    "--------------------------------------------------------------------------------";

/// Before these sections of the text a line is drawn.
const RULED: [&str; 4] = ["extremes", "flows", "netflow", "socket"];

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RULE}\nt2x {}", env!("CARGO_PKG_VERSION"))?;
        for input in &self.inputs {
            write!(f, "{}", sections::input(input))?;
        }
        for section in sections::sections(self) {
            if RULED.contains(&section.name) && !section.items.is_empty() {
                writeln!(f, "{RULE}")?;
            }
            write!(f, "{section}")?;
        }
        for section in sections::more_netflow(self) {
            write!(f, "{RULE}\n{section}")?;
        }
        Ok(())
    }
}

impl Report {
    /// The report as a JSON object, with what went wrong after the start. Names and meanings are in
    /// `docs/end-report.md`.
    #[must_use]
    pub fn json(&self, failures: &[String]) -> Value {
        let inputs: Vec<Value> = self
            .inputs
            .iter()
            .map(|input| sections::input(input).json())
            .collect();
        let mut all = Map::new();
        all.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        all.insert("inputs".to_owned(), json!(inputs));
        for section in sections::sections(self) {
            let known = !section.items.is_empty();
            let members = known.then(|| section.json());
            all.insert(section.name.to_owned(), json!(members));
        }
        let more: Vec<Value> = sections::more_netflow(self)
            .map(|section| section.json())
            .collect();
        all.insert("moreNetflow".to_owned(), json!(more));
        all.insert("failures".to_owned(), json!(failures));
        Value::Object(all)
    }
}
