//! Who looks at the counters while the work goes on.

use std::time::Instant;

use anyhow::Context;

use crate::capture::LiveCounters;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::monitor::{Monitor, Snapshot};
use crate::pass::Pass;
use crate::run::Sinks;
use crate::signals::Signals;

/// Who looks at the counters while the work goes on, and the signals.
pub(crate) struct Watch {
    signals: Signals,
    monitor: Monitor,
    metrics: Option<Metrics>,
}

impl Watch {
    /// Opens the endpoint of the counters.
    pub(crate) fn open(config: &Config, signals: &Signals) -> anyhow::Result<Self> {
        let metrics = config.metrics.map(|address| {
            let metrics = Metrics::open(address);
            metrics.with_context(|| format!("cannot show counters at {address}"))
        });
        let mut monitor = Monitor::new(config.monitor, config.report, signals);
        if let Some(path) = &config.monitor_file {
            let opened = monitor.write_to(path);
            opened.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Watch {
            signals: signals.clone(),
            monitor,
            metrics: metrics.transpose()?,
        })
    }

    /// Whether the work is to be ended.
    pub(crate) fn stopped(&self) -> bool {
        self.signals.stopped()
    }

    /// Reports and shows what is due.
    pub(crate) fn look(&mut self, pass: &Pass, sinks: &mut Sinks, live: LiveCounters) {
        let now = Instant::now();
        let told = self.monitor.is_due(now);
        let shown = self.metrics.as_mut().filter(|metrics| metrics.is_due(now));
        if !told && shown.is_none() {
            return;
        }
        let snapshot = Snapshot {
            packets: pass.packets,
            live,
            clock_steps: pass.clock_steps(),
            meter: *pass.meter.stats(),
            flows: pass.meter.flows_in_memory() as u64,
            collectors: sinks.sent(),
            socket: sinks.socket(),
        };
        if told {
            self.monitor.tell(now, &snapshot);
        }
        if let Some(metrics) = shown {
            metrics.show(now, snapshot);
        }
    }
}
