//! One trial: a collector that is flooded, an exporter that meters packets of an interface, or one that reads a capture.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::flood::{Flood, Shape};
use super::options::Load;
use super::search::Trial;
use crate::cli::Endpoint;
use crate::collector::exposition::{Counts, Meaning};
use crate::collector::observe::Observe;
use crate::collector::subject::{STEADY, first_count, free_port};
use crate::live;
use crate::metering::device::Device as Declared;
use crate::metering::drive::{Drive, Driven, Heard, How, Pace};
use crate::metering::judge::Sums;
use crate::metering::reported::Reported;
use crate::process::{Device, Scratch, drained, dropped};
use crate::watch::Watch;
use crate::wire::{Options, Transport};

/// How long a device may take to read what is in its queue.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the sender alone can do: to a socket that nobody reads, for a second.
///
/// # Errors
/// When it cannot send.
pub fn ceiling(shape: Shape, stop: &AtomicBool) -> anyhow::Result<f64> {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let flood = Flood::new(shape, sink.local_addr()?)?;
    let sent = flood.run(f64::MAX, Duration::from_secs(1), stop, || {})?;
    Ok(sent.records as f64 / sent.time.as_secs_f64())
}

/// Floods the collector with so many records a second.
///
/// # Errors
/// When it cannot be started or observed.
pub fn collector(
    load: &Load,
    meaning: &Meaning,
    rate: f64,
    stop: &AtomicBool,
) -> anyhow::Result<Trial> {
    let (target, observe) = load
        .send
        .map(|send| send.0)
        .zip(load.observe.as_ref())
        .context("no collector is named")?;
    let mut scratch = Scratch::new()?;
    let dir = scratch.folder()?;
    let mut address = target.address;
    if address.port() == 0 {
        address.set_port(free_port(address.ip())?);
    }
    let metrics_port = free_port(Ipv4Addr::LOCALHOST.into())?.to_string();
    let fill = |text: &str| {
        text.replace("{dir}", &dir.to_string_lossy())
            .replace("{port}", &address.port().to_string())
            .replace("{metrics-port}", &metrics_port)
    };
    let log = dir.with_extension("log");
    let mut device = match &load.start {
        Some(command) => {
            let mut device = Device::start(&fill(command), &log)?;
            device.wait_listening(&[(Transport::Udp, address.port())])?;
            Some(device)
        }
        None => None,
    };
    let counter = Counter {
        observe: match observe {
            Observe::Records(observer) => Observe::Records(observer.at(fill)),
            Observe::Counts(url) => Observe::Counts(url.at(fill)),
        },
        meaning,
    };
    let before = counter.before(device.is_some())?;
    let port = address.port();
    let drops = dropped(port);
    let shape = shape(load);
    let flood = Flood::new(shape, address)?;
    let time = Duration::from_secs(load.seconds.into());
    let sent = flood.run(rate, time, stop, || {
        drained(port, PATIENCE, || false);
    })?;
    let mut trial = Trial {
        asked: rate,
        sent: sent.records as f64 / sent.time.as_secs_f64(),
        amount: sent.records + u64::from(shape.records) * sent.refused,
        octets: sent.octets,
        seconds: sent.time.as_secs_f64(),
        ..Trial::default()
    };
    let mut gone = || device.as_mut().and_then(Device::has_ended);
    let read = drained(port, PATIENCE, || gone().is_some());
    trial.fault = match gone() {
        Some(how) => Some(format!("the collector {how}")),
        None if !read => Some(format!(
            "it does not read its queue within {} s",
            PATIENCE.as_secs()
        )),
        None => None,
    };
    trial.dropped = (dropped(port) - drops) * u64::from(shape.records);
    thread::sleep(Duration::from_millis(load.settle.into()));
    // What is counted in memory is lost with the device, what is stored is whole only at its end.
    let counted = counter.while_running(before, trial.amount, device.is_some(), stop)?;
    if let Some(device) = &mut device {
        trial.memory_mib = device.memory_mib();
        let ended = device.end(load.end_with);
        trial.fault = trial
            .fault
            .or(ended.map(|how| format!("the collector {how}")));
    }
    trial.arrived = match counted {
        Some(counted) => counted,
        None => counter.stored()?.saturating_sub(before),
    };
    if trial.arrived > trial.amount {
        trial.fault = Some(format!(
            "it has {} records, {} were sent",
            trial.arrived, trial.amount
        ));
    }
    scratch.clear(&dir);
    Ok(trial)
}

/// What is sent to a collector.
pub fn shape(load: &Load) -> Shape {
    Shape {
        version: load.version,
        records: load.records,
        exporters: load.exporters,
        churn: load.churn,
    }
}

/// Counts the records of a collector.
struct Counter<'a> {
    observe: Observe,
    meaning: &'a Meaning,
}

impl Counter<'_> {
    /// What is there before anything is sent.
    fn before(&self, started: bool) -> anyhow::Result<u64> {
        match &self.observe {
            Observe::Counts(url) => Ok(records(first_count(url, self.meaning)?)),
            Observe::Records(_) if started => Ok(0),
            Observe::Records(_) => self.stored(),
        }
    }

    /// What has come since: of metrics, and of a device that runs on, when it stands still.
    fn while_running(
        &self,
        before: u64,
        sent: u64,
        started: bool,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<u64>> {
        let count = || match &self.observe {
            Observe::Counts(url) => Ok(records(url.count(self.meaning)?)),
            Observe::Records(_) => self.stored(),
        };
        if started && matches!(self.observe, Observe::Records(_)) {
            return Ok(None);
        }
        let mut last = count()?;
        loop {
            if last.saturating_sub(before) >= sent || stop.load(Ordering::Relaxed) {
                return Ok(Some(last - before));
            }
            thread::sleep(STEADY);
            let now = count()?;
            if now == last {
                return Ok(Some(now.saturating_sub(before)));
            }
            last = now;
        }
    }

    fn stored(&self) -> anyhow::Result<u64> {
        match &self.observe {
            Observe::Records(observer) => observer.count(),
            Observe::Counts(url) => Ok(records(url.count(self.meaning)?)),
        }
    }
}

fn records(counts: Counts) -> u64 {
    counts.records.unwrap_or(0)
}

/// What an exporter made of its traffic.
pub struct Metered {
    /// As a trial: packets.
    pub trial: Trial,
    /// Flow records.
    pub flows: u64,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}

/// Makes the exporter meter the capture, whose packets are `packets`: at so many a second on an interface, or as fast as
/// it reads.
///
/// # Errors
/// When it cannot be started, or packets not be injected.
pub fn exporter(
    load: &Load,
    packets: u64,
    rate: f64,
    stop: &AtomicBool,
) -> anyhow::Result<Metered> {
    let pcap = load.pcap.clone().context("no capture is named")?;
    let time = Duration::from_secs(u64::from(load.seconds) * 20 + 600);
    let repeats = match &load.inject {
        // Long enough to be a trial.
        Some(_) => ((rate * f64::from(load.seconds) / packets as f64).ceil() as u64).max(1),
        None => 1,
    };
    let how = match (&load.inject, &load.replay) {
        (Some(iface), _) => How::Inject {
            iface: iface.clone(),
            pace: Pace::PerSecond(rate, repeats),
            start: load.start.clone(),
        },
        (None, replay) => How::Replay(replay.clone().context("no command is named")?),
    };
    let drive = Drive {
        pcap,
        how,
        quiet: Duration::from_secs(load.quiet.into()),
        time,
    };
    let (reported, driven) = listened(&drive, stop)?;
    let (gathered, _) = reported.finish();
    let sums = gathered
        .keys
        .values()
        .map(|claims| Sums::of(claims).packets);
    let seconds = driven.took.unwrap_or_default().as_secs_f64();
    let amount = packets * repeats;
    let sent = amount as f64 / seconds.max(1e-6);
    let fault = (driven.dropped > 0).then(|| {
        format!(
            "{} datagrams of the exporter were dropped here before they were read",
            driven.dropped
        )
    });
    Ok(Metered {
        trial: Trial {
            asked: if load.inject.is_some() { rate } else { sent },
            sent,
            amount,
            arrived: sums.sum(),
            seconds,
            fault,
            ..Trial::default()
        },
        flows: gathered.records,
        remarks: driven.remarks,
    })
}

/// Runs the exporter, and gathers what it reports.
fn listened(drive: &Drive, stop: &AtomicBool) -> anyhow::Result<(Reported, Driven)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address: SocketAddr = socket.local_addr()?;
    let mut watch = Watch {
        inspection: crate::inspection::Inspection::new(Options::default()),
        reported: Some(Reported::new(&Declared::default())),
        heard: Arc::new(Heard::default()),
    };
    let heard = Arc::clone(&watch.heard);
    let done = AtomicBool::new(false);
    let driven = thread::scope(|scope| {
        let done = &done;
        let reader = scope.spawn({
            let watch = &mut watch;
            move || live::datagrams(&socket, || !done.load(Ordering::Relaxed), watch)
        });
        let driven = drive.run(Endpoint::new(Transport::Udp, address), &heard, stop);
        done.store(true, Ordering::Relaxed);
        reader
            .join()
            .map_err(|_| anyhow::anyhow!("receiving failed"))??;
        driven
    })?;
    let reported = watch.reported.take().context("nothing was gathered")?;
    Ok((reported, driven))
}

/// Packets of a capture that count, which is those with an IP header.
///
/// # Errors
/// When it cannot be read.
pub fn packets(load: &Load) -> anyhow::Result<u64> {
    let pcap = load.pcap.as_deref().context("no capture is named")?;
    let traffic = crate::metering::traffic::read(
        pcap,
        &Declared::default(),
        crate::metering::device::FragmentPolicy::Ports,
        |_| {},
    )?;
    if let Some(fault) = traffic.fault {
        anyhow::bail!("{}: {fault}", pcap.display());
    }
    anyhow::ensure!(
        traffic.packets > 0,
        "{}: no packet has an IP header",
        pcap.display()
    );
    anyhow::ensure!(
        load.inject.is_none() || traffic.without_key == 0,
        "{}: {} of its frames have no IP header: inject a capture of IP only, or the rate is not that of packets",
        pcap.display(),
        traffic.without_key
    );
    Ok(traffic.packets)
}
