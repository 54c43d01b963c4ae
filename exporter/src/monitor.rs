//! What a running t2x has counted so far, for people who ask: on SIGUSR1, every so many seconds (`-M`, SIGUSR2), and over
//! HTTP ([`metrics`](crate::metrics)). One table of numbers serves all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Map, Value, json};

use crate::capture::LiveCounters;
use crate::cli::ReportForm;
use crate::export::ExportCounters;
use crate::meter::MeterStats;
use crate::report::{Human, PacketCounters, Time};
use crate::signals::Signals;
use crate::text_files::SocketCounters;

/// How often reports come when SIGUSR2 begins them and `-M` did not say it.
const INTERVAL: Duration = Duration::from_secs(1);

/// The counters of a moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Packets read.
    pub packets: PacketCounters,
    /// What the interface received and lost.
    pub live: LiveCounters,
    /// How often the interface's clock was set back.
    pub clock_steps: u64,
    /// Packets in flows, and flows.
    pub meter: MeterStats,
    /// Flows in memory.
    pub flows: u64,
    /// What became of the flows, by collector.
    pub collectors: Vec<(String, ExportCounters)>,
    /// What the socket sink did, if it runs.
    pub socket: Option<SocketCounters>,
}

/// One number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number {
    /// In JSON.
    pub name: &'static str,
    /// In the text, and as help over HTTP.
    pub label: &'static str,
    /// Over HTTP, without the program's prefix. Numbers of one name differ in their labels.
    pub metric: &'static str,
    /// What tells it from others of the same metric.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: u64,
    /// Whether it may fall.
    pub gauge: bool,
}

impl Snapshot {
    /// All numbers, those of one metric side by side.
    #[must_use]
    pub fn numbers(&self) -> Vec<Number> {
        let (packets, meter, live) = (&self.packets, &self.meter, &self.live);
        let one = |name, label, metric, value| Number {
            name,
            label,
            metric,
            labels: Vec::new(),
            value,
            gauge: false,
        };
        let now = |name, label, metric, value| Number {
            gauge: true,
            ..one(name, label, metric, value)
        };
        let dropped = |name, label, cause: &str, value| Number {
            labels: vec![("cause", cause.to_owned())],
            ..one(name, label, "dropped_packets", value)
        };
        let without_flow = packets.packets.saturating_sub(meter.packets);
        let ended = meter.flows.saturating_sub(self.flows);
        let mut numbers = vec![
            one("packets", "Packets", "packets", packets.packets),
            one(
                "wireOctets",
                "Octets on the wire",
                "wire_octets",
                packets.original,
            ),
            one(
                "capturedOctets",
                "Captured octets",
                "captured_octets",
                packets.captured,
            ),
            one(
                "filtered",
                "Packets left out by the filter",
                "filtered_packets",
                packets.filtered,
            ),
            one(
                "withoutFlow",
                "Packets without flow",
                "packets_without_flow",
                without_flow,
            ),
            one(
                "outOfOrder",
                "Packets out of order",
                "packets_out_of_order",
                meter.backward_packets,
            ),
            one(
                "received",
                "Packets that reached the interface",
                "received_packets",
                live.received,
            ),
            dropped(
                "kernelDropped",
                "Dropped by the kernel",
                "kernel",
                live.kernel_dropped,
            ),
            dropped(
                "interfaceDropped",
                "Dropped by the interface",
                "interface",
                live.interface_dropped,
            ),
            dropped(
                "ringDropped",
                "Dropped before the meter",
                "ring",
                live.ring_dropped,
            ),
            one(
                "clockSteps",
                "Times the clock was set back",
                "clock_steps",
                self.clock_steps,
            ),
            now(
                "flowsInMemory",
                "Flows in memory",
                "flows_active",
                self.flows,
            ),
            one("flows", "Flows begun", "flows_created", meter.flows),
            one("flowsEnded", "Flows ended", "flows_expired", ended),
            one(
                "earlyReleased",
                "Flows ended early, the table was full",
                "flows_ended_early",
                meter.early_released,
            ),
            now(
                "memory",
                "Octets of memory",
                "memory_octets",
                resident_memory(),
            ),
        ];
        if let Some(socket) = &self.socket {
            numbers.extend(
                OF_THE_SOCKET
                    .map(|(name, label, metric, value)| one(name, label, metric, value(socket))),
            );
        }
        for row in OF_A_COLLECTOR {
            let (name, label, metric, value) = row;
            numbers.extend(self.collectors.iter().map(|(collector, counters)| Number {
                labels: vec![("collector", collector.clone())],
                ..one(name, label, metric, value(counters))
            }));
        }
        for row in LOST {
            let (name, label, metric, value) = row;
            for (collector, counters) in &self.collectors {
                numbers.extend(counters.sent.lost.iter().map(|lost| Number {
                    labels: vec![
                        ("collector", collector.clone()),
                        ("cause", lost.cause.clone()),
                    ],
                    ..one(name, label, metric, value(lost))
                }));
            }
        }
        numbers
    }
}

/// Name, label, metric and value of what is counted by thing.
type Row<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

const OF_THE_SOCKET: [Row<SocketCounters>; 4] = [
    (
        "socketFlows",
        "Flows sent to the socket",
        "socket_flows",
        |of| of.flows,
    ),
    (
        "socketRefused",
        "Datagrams to the socket refused",
        "socket_refused_datagrams",
        |of| of.refused,
    ),
    (
        "socketReconnects",
        "Peer of the socket away and back",
        "socket_reconnects",
        |of| of.reconnects,
    ),
    (
        "socketLostFlows",
        "Flows that the socket lost",
        "socket_lost_flows",
        SocketCounters::lost_flows,
    ),
];

const OF_A_COLLECTOR: [Row<ExportCounters>; 8] = [
    ("messages", "Sent messages", "sent_messages", |of| {
        of.sent.messages
    }),
    ("records", "Sent flow records", "sent_records", |of| {
        of.sent.records
    }),
    ("octets", "Sent octets", "sent_octets", |of| of.sent.octets),
    (
        "templates",
        "Templates in the messages",
        "sent_templates",
        |of| of.encoded.templates,
    ),
    (
        "refused",
        "Datagrams refused: no collector listens",
        "refused_datagrams",
        |of| of.sent.refused,
    ),
    (
        "reconnects",
        "Collector away and back",
        "reconnects",
        |of| of.sent.reconnects,
    ),
    (
        "failedReconnects",
        "Collector looked for in vain",
        "failed_reconnects",
        |of| of.sent.failed_reconnects,
    ),
    (
        "notEncoded",
        "Flows of which no record could be made",
        "flows_not_encoded",
        |of| of.not_encoded.as_ref().map_or(0, |(flows, _)| *flows),
    ),
];

const LOST: [Row<crate::send::Lost>; 2] = [
    ("lostMessages", "Lost messages", "lost_messages", |lost| {
        lost.messages
    }),
    ("lostRecords", "Lost flow records", "lost_records", |lost| {
        lost.records
    }),
];

/// Octets of this process in memory; 0 where the system does not tell.
fn resident_memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let page = sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .unwrap_or(4096);
    pages.unwrap_or(0) * page.unsigned_abs()
}

/// Reports while the work goes on.
#[derive(Debug)]
pub struct Monitor {
    signals: Signals,
    form: ReportForm,
    interval: Duration,
    /// When the next report is due; `None`: only when asked for.
    next: Option<Instant>,
    start: Instant,
    last: (Instant, Vec<Number>),
    /// Where reports go; `None`: to standard error.
    file: Option<(PathBuf, File)>,
}

impl Monitor {
    /// With an `interval` it reports regularly from the start.
    #[must_use]
    pub fn new(interval: Option<Duration>, form: ReportForm, signals: &Signals) -> Self {
        let start = Instant::now();
        Monitor {
            signals: signals.clone(),
            form,
            interval: interval.unwrap_or(INTERVAL),
            next: interval.map(|interval| start + interval),
            start,
            last: (start, Vec::new()),
            file: None,
        }
    }

    /// Reports into a new file from now on.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn write_to(&mut self, path: &Path) -> io::Result<()> {
        self.file = Some((path.to_owned(), File::create(path)?));
        Ok(())
    }

    /// Whether a report is due at `now`. It is to be told then.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.signals.toggle.load(Ordering::Relaxed) {
            self.signals.toggle.store(false, Ordering::Relaxed);
            self.next = match self.next {
                Some(_) => None,
                None => Some(now + self.interval),
            };
        }
        let asked = self.signals.status.load(Ordering::Relaxed);
        if asked {
            self.signals.status.store(false, Ordering::Relaxed);
        }
        let Some(next) = self.next.filter(|next| now >= *next) else {
            return asked;
        };
        // Reports that are long overdue are not made up for.
        let after = next + self.interval;
        self.next = Some(if after > now {
            after
        } else {
            now + self.interval
        });
        true
    }

    /// Reports.
    pub fn tell(&mut self, now: Instant, snapshot: &Snapshot) {
        let numbers = snapshot.numbers();
        let (last, before) = &self.last;
        let change = Change {
            since: now.duration_since(*last),
            before,
            now: &numbers,
        };
        let elapsed = now.duration_since(self.start);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ns = wall.map_or(0, |wall| i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX));
        let text = match self.form {
            ReportForm::Text => change.text(wall_ns, elapsed),
            ReportForm::Json => change.json(wall_ns, elapsed).to_string() + "\n",
        };
        self.write(&text);
        self.last = (now, numbers);
    }

    /// To the file, and when that does not go on to standard error.
    fn write(&mut self, text: &str) {
        let mut stderr = io::stderr().lock();
        if let Some((path, file)) = &mut self.file {
            let Err(error) = file.write_all(text.as_bytes()) else {
                return;
            };
            let _ = writeln!(stderr, "t2x: cannot write {}: {error}", path.display());
            self.file = None;
        }
        // Whoever does not want to read it has not lost a packet.
        let _ = stderr.write_all(text.as_bytes());
    }
}

/// Numbers, and what they were before.
struct Change<'a> {
    since: Duration,
    before: &'a [Number],
    now: &'a [Number],
}

impl Change<'_> {
    fn of(&self, number: &Number) -> u64 {
        let same = |other: &&Number| other.name == number.name && other.labels == number.labels;
        let before = self
            .before
            .iter()
            .find(same)
            .map_or(0, |number| number.value);
        number.value.saturating_sub(before)
    }

    /// Lines; those that would say zero are left out.
    fn text(&self, wall_ns: i64, elapsed: Duration) -> String {
        let seconds = self.since.as_secs_f64();
        let mut text = format!(
            "--- t2x at {}, running for {:.3} s, last report {seconds:.3} s ago\n",
            Time(wall_ns),
            elapsed.as_secs_f64(),
        );
        for number in self.now.iter().filter(|number| number.value > 0) {
            let of: Vec<_> = number
                .labels
                .iter()
                .map(|(_, value)| value.as_str())
                .collect();
            let of = match number.labels.first() {
                Some(("collector", _)) => format!(" ({})", of.join(", ")),
                _ => String::new(),
            };
            text += &format!("{}{of}: {}", number.label, Human(number.value));
            if !number.gauge {
                let change = self.of(number);
                text += &format!(", +{change}");
                if seconds > 0.0 {
                    text += &format!(", {:.2}/s", change as f64 / seconds);
                }
            }
            text.push('\n');
        }
        text
    }

    fn json(&self, wall_ns: i64, elapsed: Duration) -> Value {
        let of_all = |number: &&Number| collector(number).is_none();
        let mut collectors: Vec<&str> = Vec::new();
        for name in self.now.iter().filter_map(collector) {
            if !collectors.contains(&name) {
                collectors.push(name);
            }
        }
        let collectors = collectors.into_iter().map(|name| {
            let mut object = self.object(|number| collector(number) == Some(name));
            object.insert("collector".to_owned(), json!(name));
            Value::Object(object)
        });
        let now = self.now.iter().filter(of_all).filter(|number| number.gauge);
        let now = now.map(|number| (number.name.to_owned(), json!(number.value)));
        let mut object = self.object(|number| collector(number).is_none());
        object.insert("kind".to_owned(), json!("status"));
        let time = jiff::Timestamp::from_nanosecond(wall_ns.into()).ok();
        object.insert(
            "time".to_owned(),
            json!(time.map(|time| format!("{time:.3}"))),
        );
        object.insert("elapsed".to_owned(), json!(elapsed.as_secs_f64()));
        object.insert("interval".to_owned(), json!(self.since.as_secs_f64()));
        object.insert("now".to_owned(), Value::Object(now.collect()));
        object.insert("collectors".to_owned(), Value::Array(collectors.collect()));
        Value::Object(object)
    }

    /// Sums and changes of the counters that are wanted.
    fn object(&self, wanted: impl Fn(&Number) -> bool) -> Map<String, Value> {
        let (mut total, mut change) = (Map::new(), Map::new());
        for number in self
            .now
            .iter()
            .filter(|number| !number.gauge && wanted(number))
        {
            for (to, value) in [(&mut total, number.value), (&mut change, self.of(number))] {
                // Losses have several causes.
                let sum = to.get(number.name).and_then(Value::as_u64).unwrap_or(0);
                to.insert(number.name.to_owned(), json!(sum + value));
            }
        }
        Map::from_iter([
            ("total".to_owned(), Value::Object(total)),
            ("change".to_owned(), Value::Object(change)),
        ])
    }
}

fn collector(number: &Number) -> Option<&str> {
    let mut labels = number.labels.iter();
    labels.find_map(|(name, value)| (*name == "collector").then_some(value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::Lost;

    fn snapshot(packets: u64, lost: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.packets.packets = packets;
        snapshot.meter.packets = packets;
        snapshot.meter.flows = 5;
        snapshot.flows = 2;
        let mut counters = ExportCounters::default();
        counters.sent.records = 3;
        for cause in ["full", "gone"] {
            counters.sent.lost.push(Lost {
                cause: cause.to_owned(),
                messages: lost,
                records: 10 * lost,
            });
        }
        snapshot.collectors.push(("there".to_owned(), counters));
        snapshot
    }

    #[test]
    fn sums_and_changes() {
        let (before, now) = (snapshot(100, 1).numbers(), snapshot(160, 4).numbers());
        let change = Change {
            since: Duration::from_secs(2),
            before: &before,
            now: &now,
        };
        let told = change.json(0, Duration::from_secs(10));
        assert_eq!(told["kind"], "status");
        assert_eq!(told["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!([&told["elapsed"], &told["interval"]], [10.0, 2.0]);
        assert_eq!(told["total"]["packets"], 160);
        assert_eq!(told["change"]["packets"], 60);
        assert_eq!(told["total"]["flowsEnded"], 3);
        assert_eq!(told["now"]["flowsInMemory"], 2);
        let there = &told["collectors"][0];
        assert_eq!(there["collector"], "there");
        assert_eq!(there["total"]["lostRecords"], 80);
        assert_eq!(there["change"]["lostRecords"], 60);
        assert_eq!(told["total"]["records"], Value::Null);
        let text = change.text(0, Duration::from_secs(10));
        for line in [
            "Packets: 160, +60, 30.00/s",
            "Flows in memory: 2",
            "Sent flow records (there): 3, +0, 0.00/s",
            "Lost messages (there, gone): 4, +3, 1.50/s",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("Dropped"), "{text}");
    }

    #[test]
    fn reports_come_when_asked_for_or_due() {
        let signals = Signals::default();
        let mut monitor = Monitor::new(None, ReportForm::Text, &signals);
        let start = monitor.start;
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!monitor.is_due(at(5000)));
        signals.status.store(true, Ordering::Relaxed);
        assert!(monitor.is_due(at(5000)) && !monitor.is_due(at(5001)));
        signals.toggle.store(true, Ordering::Relaxed);
        assert!(!monitor.is_due(at(6000)) && !monitor.is_due(at(6999)));
        assert!(monitor.is_due(at(7000)) && !monitor.is_due(at(7001)));
        // After a long pause there is one report, not one for each interval.
        assert!(monitor.is_due(at(20_000)) && !monitor.is_due(at(20_000)));
        signals.toggle.store(true, Ordering::Relaxed);
        assert!(!monitor.is_due(at(90_000)));
    }

    #[test]
    fn this_process_is_in_memory() {
        assert!(resident_memory() > 100_000);
    }
}
