//! Loss that is forced, and what the collector says of it: what was sent is what is stored and what is counted.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use golden::harness::{self, PATIENCE, wait_until};
use nix::sys::signal::Signal;
use support::http::metric;
use support::wire::{self, FIELDS, IPFIX_FIELDS};
use support::{Collector, flows, the_file};

/// Flows of a message.
const FLOWS: u16 = 10;

#[derive(Clone, Copy, PartialEq)]
enum Version {
    V5,
    V9,
    Ipfix,
}

/// An exporter with an address of its own, which numbers its messages as its version wants it.
struct Exporter {
    version: Version,
    socket: UdpSocket,
    to: SocketAddr,
    messages: u32,
}

impl Exporter {
    fn new(version: Version, last: u8, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 3, last], 0))).unwrap();
        Self {
            version,
            socket,
            to,
            messages: 0,
        }
    }

    fn send(&mut self) {
        let message = match self.version {
            Version::V5 => wire::v5(
                self.messages * u32::from(FLOWS),
                &[(1, 1, 100); FLOWS as usize],
            ),
            Version::V9 => {
                let template = wire::set(0, &[wire::template(256, &FIELDS)]);
                let flows = vec![wire::flow(1, 1, 100); FLOWS.into()];
                wire::v9(
                    self.messages,
                    FLOWS + 1,
                    &[template, wire::set(256, &flows)],
                )
            }
            Version::Ipfix => {
                let template = wire::set(2, &[wire::template(256, &IPFIX_FIELDS)]);
                let flows = vec![wire::ipfix_flow(1, 1, 100); FLOWS.into()];
                let sets = [template, wire::set(256, &flows)];
                wire::ipfix(self.messages * u32::from(FLOWS), &sets)
            }
        };
        self.socket.send_to(&message, self.to).unwrap();
        self.messages += 1;
    }

    /// The unit of its sequence numbers.
    fn unit(&self) -> &'static str {
        match self.version {
            Version::V5 => "flows",
            Version::V9 => "messages",
            Version::Ipfix => "records",
        }
    }

    fn address(&self) -> String {
        self.socket.local_addr().unwrap().ip().to_string()
    }
}

struct Setup {
    collector: Collector,
    metrics: SocketAddr,
    directory: tempfile::TempDir,
    exporters: [Exporter; 3],
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let arguments = ["-B", "65536", "-w", path, "--metrics", "127.0.0.1:0"];
        let mut collector = Collector::udp(&arguments);
        let (metrics, to) = (collector.metrics(), collector.addresses[0]);
        let versions = [(Version::V5, 1), (Version::V9, 2), (Version::Ipfix, 3)];
        Self {
            collector,
            metrics,
            directory,
            exporters: versions.map(|(version, last)| Exporter::new(version, last, to)),
        }
    }

    fn send(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.exporters.iter_mut().for_each(Exporter::send);
        }
    }

    fn socket(&self, what: &str) -> u64 {
        let socket = format!("udp://{}", self.collector.addresses[0]);
        let name = format!("t2collect_socket_{what}_total{{socket=\"{socket}\"}}");
        metric(self.metrics, &name).unwrap()
    }

    fn sent(&self) -> u64 {
        self.exporters.iter().map(|e| u64::from(e.messages)).sum()
    }

    /// Every datagram sent is one that was received or one that the kernel dropped; and all have been decoded.
    fn settle(&self) {
        wait_until("every datagram to be accounted for", PATIENCE, || {
            let received = self.socket("datagrams");
            let decoded = metric(self.metrics, "t2collect_messages_total");
            received + self.socket("kernel_drops") == self.sent() && decoded == Some(received)
        });
    }

    /// A message of each after the loss, so that their sequence numbers tell of it. It must not be lost itself.
    fn later(&mut self) {
        for index in 0..self.exporters.len() {
            let before = self.socket("datagrams");
            self.exporters[index].send();
            wait_until("the later message", PATIENCE, || {
                self.socket("datagrams") == before + 1
            });
        }
        self.settle();
    }

    /// Whether sent = stored + counted for each exporter. Gives the messages that were missing.
    fn check_sequences(&self) -> u64 {
        let mut lost = 0;
        for exporter in &self.exporters {
            let (address, unit) = (exporter.address(), exporter.unit());
            let of = |what: &str, more: &str| {
                let name =
                    format!("t2collect_exporter_{what}_total{{exporter=\"{address}\"{more}}}");
                metric(self.metrics, &name).unwrap()
            };
            let records = of("records", "");
            let missing = of("missing", &format!(",unit=\"{unit}\""));
            let sent = u64::from(exporter.messages);
            let flows = u64::from(FLOWS);
            match exporter.version {
                // v9 counts messages: the datagrams are exact, the records in them are not known.
                Version::V9 => assert_eq!(of("messages", "") + missing, sent, "v9"),
                _ => assert_eq!(records + missing, sent * flows, "{unit}"),
            }
            lost += sent - of("messages", "");
        }
        lost
    }
}

/// The flows of a file by exporter, as nfdump reads them.
fn stored(file: &Path, exporter: &Exporter) -> Option<usize> {
    let lines = flows(file, "%ra")?;
    Some(
        lines
            .iter()
            .filter(|line| **line == exporter.address())
            .count(),
    )
}

fn number(log: &str, after: &str, before: &str) -> u64 {
    let (_, rest) = log
        .split_once(after)
        .unwrap_or_else(|| panic!("{after}: {log}"));
    rest.split_once(before).unwrap().0.parse().unwrap()
}

/// 31. of the catalogue of attacks. It stands still for `T2_STOP_SECONDS` (1; the full test is 30).
#[test]
fn while_it_stands_still() {
    let seconds = std::env::var("T2_STOP_SECONDS").map_or(1.0, |text| text.parse().unwrap());
    let mut setup = Setup::new();
    setup.send(5);
    setup.settle();
    let stop = |setup: &mut Setup| {
        setup.collector.signal(Signal::SIGSTOP);
        setup.send(400);
        thread::sleep(Duration::from_secs_f64(seconds));
        setup.collector.signal(Signal::SIGCONT);
        setup.settle();
    };
    stop(&mut setup);
    setup.later();
    let dropped = setup.socket("kernel_drops");
    assert!(dropped > 0);
    // What the sequence numbers say is what the kernel says.
    assert_eq!(setup.check_sequences(), dropped);
    let at_later = setup.exporters.each_ref().map(|exporter| exporter.messages);

    // The tail: nothing comes after this loss, so no sequence number tells of it; the socket's counter does.
    stop(&mut setup);
    let tail = setup.socket("kernel_drops") - dropped;
    assert!(tail > 0);
    let Setup {
        collector,
        directory,
        exporters,
        ..
    } = setup;
    let sent: u64 = exporters.iter().map(|e| u64::from(e.messages)).sum();
    let ended = collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let lost = number(&ended.log, "Lost: ", " datagrams dropped by the kernel");
    assert_eq!(lost, dropped + tail, "{}", ended.log);
    let flows = number(&ended.log, "Flows: ", ",");
    assert_eq!(
        flows + u64::from(FLOWS) * lost,
        sent * u64::from(FLOWS),
        "{}",
        ended.log
    );
    eprintln!(
        "standing still twice for {seconds} s: {sent} datagrams sent, {} stored, {dropped} dropped and told by sequence, \
         {tail} dropped at the tail and told by the socket; {at_later:?} messages of v5, v9, IPFIX up to the later one",
        flows / u64::from(FLOWS)
    );
    let file = the_file(directory.path());
    let seen: Option<Vec<_>> = exporters.iter().map(|e| stored(&file, e)).collect();
    if let Some(seen) = seen {
        assert_eq!(seen.iter().sum::<usize>() as u64, flows);
    }
}

/// 35.: as fast as three senders can, into a receive buffer that holds little.
#[test]
fn under_overload() {
    let mut setup = Setup::new();
    // What is lost before an exporter's first message no sequence number tells.
    setup.send(1);
    setup.settle();
    let threads = setup.exporters.map(|mut exporter| {
        thread::spawn(move || {
            (0..20_000).for_each(|_| exporter.send());
            exporter
        })
    });
    setup.exporters = threads.map(|thread| thread.join().unwrap());
    setup.settle();
    setup.later();
    let dropped = setup.socket("kernel_drops");
    assert_eq!(
        setup.check_sequences(),
        dropped + setup.socket("queue_drops")
    );
    let sent = setup.sent();
    let ended = setup.collector.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let flows = number(&ended.log, "Flows: ", ",");
    assert_eq!(
        flows + u64::from(FLOWS) * dropped,
        sent * u64::from(FLOWS),
        "{}",
        ended.log
    );
    eprintln!("overload: {sent} datagrams sent, {dropped} dropped by the kernel");
}

/// The reader of the JSON lines stands still, so the worker does, until its queue is full: what the queue does not take
/// is counted apart from what the kernel drops, and the exporter's sequence numbers say the same.
#[test]
fn a_full_queue() {
    let directory = harness::temp_dir();
    let fifo = directory.path().join("lines");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let path = directory.path().to_str().unwrap();
    let arguments = [
        "-w",
        path,
        "--metrics",
        "127.0.0.1:0",
        "--json",
        fifo.to_str().unwrap(),
    ];
    let mut collector = Collector::udp(&arguments);
    let metrics = collector.metrics();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!("{{socket=\"udp://{}\"}}", collector.addresses[0]);
    let count =
        |what: &str| metric(metrics, &format!("t2collect_socket_{what}_total{name}")).unwrap();
    // One record of 50,000 octets, nearly all of them padding.
    let mut fields = IPFIX_FIELDS.to_vec();
    fields.push((210, 50_000));
    let record = [wire::ipfix_flow(1, 1, 100), vec![0; 50_000]].concat();
    let sets = [
        wire::set(2, &[wire::template(256, &fields)]),
        wire::set(256, &[record]),
    ];
    let mut sent = 0_u32;
    let mut send = || {
        collector.send_from(&socket, &[wire::ipfix(sent, &sets)]);
        sent += 1;
        u64::from(sent)
    };
    wait_until("a full queue", PATIENCE, || {
        for _ in 0..100 {
            send();
        }
        count("queue_drops") > 50
    });
    // Now somebody reads.
    thread::spawn(move || {
        let mut octets = vec![0; 1 << 20];
        while reader.read(&mut octets).is_ok_and(|length| length > 0) {}
    });
    let all = send();
    wait_until("an empty queue", PATIENCE, || {
        metric(metrics, "t2collect_queue_octets{worker=\"0\"}") == Some(0)
            && count("datagrams") + count("kernel_drops") == all
    });
    let (kernel, queue) = (count("kernel_drops"), count("queue_drops"));
    let all = send();
    let missing = "t2collect_exporter_missing_total{exporter=\"127.0.0.1\",unit=\"records\"}";
    wait_until("the later message", PATIENCE, || {
        metric(metrics, "t2collect_records_total") == Some(all - kernel - queue)
    });
    assert_eq!(metric(metrics, missing), Some(kernel + queue));
    let ended = collector.stop();
    let told = format!("{queue} datagrams dropped because decoding was behind");
    assert!(ended.log.contains(&told), "{told}: {}", ended.log);
    eprintln!(
        "a full queue: {all} datagrams sent, {queue} not taken by the queue, {kernel} dropped by the kernel"
    );
}
