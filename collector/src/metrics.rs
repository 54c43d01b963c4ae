//! `--metrics`: what `/metrics` shows and `/healthz` says, read from the board when somebody asks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use service::metrics::{Endpoint, escaped, serve};

use crate::board::{Board, Post, Traffic, UNITS};
use crate::listen::queue::Depth;
use crate::listen::stream::Door;
use crate::slot::files::FilesHandle;
use crate::slot::shared::Watch;
use crate::store::losses::Losses;

/// A worker that was not seen alive for so long does not do its work.
const STALL: Duration = Duration::from_secs(10);

/// Where the figures come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Posts of the workers, and the sockets.
    pub board: Arc<Board>,
    /// How full the queues are.
    pub depths: Vec<Depth>,
    /// Streams.
    pub door: Arc<Door>,
    /// The sources and their slots.
    pub slots: Vec<(String, Watch)>,
    /// The threads that compress and write.
    pub files: FilesHandle,
}

impl Sources {
    /// Whether everything that is received is stored; a sentence says why not.
    ///
    /// # Errors
    /// The sentence.
    pub fn health(&self) -> Result<(), String> {
        self.is_working()?;
        if let Some(age) = self.files.stalled()
            && age > STALL
        {
            let seconds = age.as_secs();
            return Err(format!(
                "compression and disk have taken no block for {seconds} s"
            ));
        }
        for (ident, slot) in &self.slots {
            if let Some(trouble) = slot.trouble() {
                return Err(format!("source '{ident}': {trouble}"));
            }
        }
        Ok(())
    }

    /// Whether what is received is decoded; a sentence says why not.
    ///
    /// # Errors
    /// The sentence.
    pub fn is_working(&self) -> Result<(), String> {
        if let Some((worker, age)) = self.board.stalest()
            && age > STALL
        {
            let waiting = self.depths.get(worker).map_or(0, Depth::octets);
            let seconds = age.as_secs();
            return Err(format!(
                "worker {worker} has done nothing for {seconds} s, {waiting} octets wait for it"
            ));
        }
        Ok(())
    }

    /// Opens the endpoint.
    ///
    /// # Errors
    /// When the address cannot be opened.
    pub fn serve(&self, address: SocketAddr) -> anyhow::Result<Endpoint> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let sources = self.clone();
        let health = Arc::new(move || sources.health());
        serve(address, Arc::new(registry), health)
            .with_context(|| format!("cannot open --metrics {address}"))
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let posts = self.board.posts();
        self.totals(&mut encoder, &posts)?;
        self.causes(&mut encoder)?;
        self.sockets(&mut encoder)?;
        exporters(&mut encoder, &posts)?;
        self.state(&mut encoder, &posts)
    }
}

/// The value of a `Labelled` row of a table.
type Count<T> = fn(&T) -> u64;

impl Sources {
    fn totals(&self, encoder: &mut DescriptorEncoder<'_>, posts: &[Post]) -> fmt::Result {
        let rows: [(&str, &str, Count<Losses>); 6] = [
            (
                "messages",
                "Messages with a known version and a complete header",
                |l| l.session.messages,
            ),
            ("octets", "Octets of all messages", |l| l.session.octets),
            (
                "records",
                "Data records decoded, options records too",
                |l| l.session.records,
            ),
            ("options_records", "Options records decoded", |l| {
                l.session.options_records
            }),
            ("templates", "Templates learned or changed", |l| {
                l.session.templates
            }),
            (
                "unknown_template_sets",
                "Data sets whose template was not known when they came",
                |l| l.session.pending_sets,
            ),
        ];
        for (name, help, of) in rows {
            let sum: u64 = posts.iter().map(|post| of(&post.losses)).sum();
            let name = format!("t2collect_{name}");
            let metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(sum).encode(metric)?;
        }
        Ok(())
    }

    fn causes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = Losses::since(&self.board.losses(), &[]);
        let rows = [
            (
                "t2collect_lost",
                "What did not become records, by cause",
                all.lost,
            ),
            (
                "t2collect_noted",
                "What is worth knowing and cost nothing",
                all.noted,
            ),
        ];
        for (name, help, listing) in rows {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (count, cause) in listing.iter() {
                labelled(&mut metric, ("cause", cause), count)?;
            }
            // Told in the log source by source, when a slot ends.
            if name == "t2collect_lost" {
                for (count, cause) in self.files.dropped().causes() {
                    labelled(&mut metric, ("cause", cause), count)?;
                }
            }
        }
        Ok(())
    }

    fn sockets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sockets = self.board.sockets();
        let rows: [(&str, &str, Count<crate::listen::udp::Received>); 4] = [
            ("datagrams", "Datagrams received", |r| {
                r.datagrams.load(Ordering::Relaxed)
            }),
            ("octets", "Octets of datagrams received", |r| {
                r.octets.load(Ordering::Relaxed)
            }),
            (
                "kernel_drops",
                "Datagrams dropped by the kernel because the receive buffer was full",
                |r| r.kernel_drops(),
            ),
            (
                "queue_drops",
                "Datagrams dropped because decoding was behind",
                |r| r.queue_drops(),
            ),
        ];
        for (name, help, of) in rows {
            let name = format!("t2collect_socket_{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for (socket, received) in &sockets {
                labelled(&mut metric, ("socket", socket), of(received))?;
            }
        }
        Ok(())
    }

    fn state(&self, encoder: &mut DescriptorEncoder<'_>, posts: &[Post]) -> fmt::Result {
        let gauges = [
            (
                "t2collect_exporters",
                "Exporters (address and port, or stream) followed",
                posts.iter().map(|post| post.exporters).sum(),
            ),
            (
                "t2collect_streams",
                "TCP and TLS streams open",
                self.door.open(),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge(value).encode(metric)?;
        }
        let name = "t2collect_queue_octets";
        let help = "Octets received that wait for a worker";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (worker, depth) in self.depths.iter().enumerate() {
            let labels = [("worker", worker.to_string())];
            gauge(depth.octets()).encode(metric.encode_family(&labels)?)?;
        }
        let name = "t2collect_streams_refused";
        let help = "TCP and TLS streams refused, by cause";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (count, cause) in self.door.refused() {
            labelled(&mut metric, ("cause", cause), count)?;
        }
        let name = "t2collect_slots";
        let help = "Slots that have ended";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (ident, slot) in &self.slots {
            labelled(&mut metric, ("ident", ident), slot.ended())?;
        }
        Ok(())
    }
}

/// One row an address, and one for all that have none of their own.
fn exporters(encoder: &mut DescriptorEncoder<'_>, posts: &[Post]) -> fmt::Result {
    let mut other = Traffic::default();
    posts.iter().for_each(|post| other.add(&post.other));
    let named = posts.iter().flat_map(|post| &post.by_exporter);
    let mut rows: Vec<(String, Traffic)> = named
        .map(|(address, traffic)| (address.to_string(), *traffic))
        .collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.push(("other".to_owned(), other));
    let figures: [(&str, &str, Count<Traffic>); 4] = [
        ("messages", "Messages of an exporter", |t| t.messages),
        ("octets", "Octets of its messages", |t| t.octets),
        ("records", "Data records of an exporter", |t| t.records),
        (
            "recovered",
            "What was missing by its sequence numbers and came late",
            |t| t.recovered,
        ),
    ];
    for (name, help, of) in figures {
        let name = format!("t2collect_exporter_{name}");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for (exporter, traffic) in &rows {
            labelled(&mut metric, ("exporter", exporter), of(traffic))?;
        }
    }
    let name = "t2collect_exporter_missing";
    let help = "What is missing by an exporter's sequence numbers, in their unit";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (exporter, traffic) in &rows {
        for (unit, missing) in UNITS.into_iter().zip(traffic.missing) {
            let labels = [("exporter", exporter.as_str()), ("unit", unit)];
            ConstCounter::new(missing).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn labelled(metric: &mut MetricEncoder<'_>, label: (&str, &str), value: u64) -> fmt::Result {
    let (name, text) = label;
    ConstCounter::new(value).encode(metric.encode_family(&[(name, escaped(text))])?)
}

fn gauge(value: usize) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
