//! The numbers of a running t2x over HTTP (`--metrics`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use service::metrics::{Endpoint, escaped, serve};

use crate::monitor::{Number, Snapshot};

/// How old the numbers may be that are shown.
const INTERVAL: Duration = Duration::from_millis(200);

/// The endpoint and what it shows.
#[derive(Debug)]
pub struct Metrics {
    shown: Arc<Mutex<Snapshot>>,
    next: Instant,
    /// It ends with this.
    _endpoint: Endpoint,
}

impl Metrics {
    /// Opens the endpoint.
    ///
    /// # Errors
    /// When the address is not to be had.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let shown = Arc::new(Mutex::new(Snapshot::default()));
        let mut registry = Registry::with_prefix("t2x");
        registry.register_collector(Box::new(Shown(Arc::clone(&shown))));
        let endpoint = serve(address, Arc::new(registry), Arc::new(|| Ok(())))?;
        Ok(Metrics {
            shown,
            next: Instant::now(),
            _endpoint: endpoint,
        })
    }

    /// Whether what is shown is old at `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Shows this from now on.
    pub fn show(&mut self, now: Instant, snapshot: Snapshot) {
        self.next = now + INTERVAL;
        if let Ok(mut shown) = self.shown.lock() {
            *shown = snapshot;
        }
    }
}

/// What the endpoint asks when it is asked.
#[derive(Debug)]
struct Shown(Arc<Mutex<Snapshot>>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(snapshot) = self.0.lock().map(|shown| shown.clone()) else {
            return Err(fmt::Error);
        };
        let numbers = snapshot.numbers();
        for family in numbers.chunk_by(|one, other| one.metric == other.metric) {
            let Some(Number {
                metric,
                label,
                gauge,
                ..
            }) = family.first()
            else {
                continue;
            };
            // Packets dropped by cause have a label for each cause: the help is that of all.
            let help = match *metric {
                "dropped_packets" => "Packets lost before the meter",
                _ => label,
            };
            let kind = match gauge {
                true => MetricType::Gauge,
                false => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(metric, help, None, kind)?;
            for number in family {
                if number.labels.is_empty() {
                    value(number, &mut metric)?;
                } else {
                    let labels = number.labels.iter();
                    let labels: Vec<_> = labels
                        .map(|(name, value)| (*name, escaped(value)))
                        .collect();
                    value(number, &mut metric.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn value(number: &Number, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match number.gauge {
        true => encoder.encode_gauge(&number.value),
        false => encoder.encode_counter::<[(&str, &str); 0], _, u64>(&number.value, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::export::ExportCounters;
    use crate::send::Lost;

    #[test]
    fn families_have_one_head_and_their_labels() {
        let mut snapshot = Snapshot::default();
        snapshot.packets.packets = 7;
        snapshot.live.kernel_dropped = 3;
        snapshot.flows = 2;
        for collector in ["one", "two"] {
            let mut counters = ExportCounters::default();
            counters.sent.records = 5;
            counters.sent.lost.push(Lost {
                cause: "a \"reason\"".to_owned(),
                messages: 1,
                records: 9,
            });
            snapshot.collectors.push((collector.to_owned(), counters));
        }
        let mut registry = Registry::with_prefix("t2x");
        registry.register_collector(Box::new(Shown(Arc::new(Mutex::new(snapshot)))));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "t2x_packets_total 7",
            "t2x_dropped_packets_total{cause=\"kernel\"} 3",
            "t2x_dropped_packets_total{cause=\"ring\"} 0",
            "t2x_flows_active 2",
            "t2x_sent_records_total{collector=\"two\"} 5",
            "t2x_lost_records_total{collector=\"one\",cause=\"a \\\"reason\\\"\"} 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let heads: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let mut once = heads.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(heads.len(), once.len(), "{text}");
    }
}
