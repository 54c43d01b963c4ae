//! Devices to run cases on: one that we start for each, and one that runs already.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

use super::assemble::Action;
use super::certificates::Authority;
use super::exposition::{Counts, Meaning, Url};
use super::json::FieldMap;
use super::judge::{Fate, Observation, Run, Sight};
use super::observe::{Look, Observer};
use super::sender::{Sockets, Targets};
use crate::cli::Endpoint;
use crate::process::{Device, Scratch, drained, dropped};
use crate::wire::Transport;

/// How long a device may take to read what is in its queue.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two looks at a device that runs on.
const LOOK: Duration = Duration::from_millis(40);

/// Counts that do not change for so long are taken to be all: what is shown may be a second old.
pub(crate) const STEADY: Duration = Duration::from_millis(1200);

/// How long a device that has read everything may take to count it.
const COUNTING: Duration = Duration::from_secs(4);

/// What is done to a device in one go: the actions of a case, and a healthy message afterwards.
#[derive(Clone, Debug)]
pub struct Stimulus<'a> {
    /// The case and its mix.
    pub run: Run<'a>,
    /// Its actions.
    pub actions: Vec<Action>,
    /// The healthy message.
    pub probe: Vec<Action>,
}

/// Whatever cases are run on.
pub trait Subject: Sight {
    /// Does all of `stimuli` to the device, one after the other, and looks at what it stored.
    ///
    /// # Errors
    /// When no verdict is possible: the device cannot be started, or not be observed.
    fn run(&mut self, stimuli: &[Stimulus<'_>], stop: &AtomicBool) -> anyhow::Result<Observation>;

    /// Whether it can be reached by this transport.
    fn reaches(&self, transport: Transport) -> bool;

    /// Whether each run has a device of its own, so that it is worth going on after one has died.
    fn is_renewed(&self) -> bool;
}

/// A device behind a network, with an observer.
#[derive(Debug)]
pub struct Live {
    /// Where it listens.
    pub targets: Targets,
    /// How its records are observed; `None`: they are not, only counted.
    pub observer: Option<Observer>,
    /// Where it tells what it counts.
    pub metrics: Option<Url>,
    /// What its metrics mean.
    pub meaning: Meaning,
    /// Field map of its JSON.
    pub map: FieldMap,
    /// The nfdump that compares.
    pub nfdump: PathBuf,
    /// The command that starts it.
    pub start: Option<String>,
    /// The signal that ends it.
    pub signal: Signal,
    /// How its log counts what is lost: `{n}` is the number.
    pub lost: Option<String>,
    /// How long it may take from reading to storing.
    pub settle: Duration,
    /// How long it may take to show a record.
    pub wait: Duration,
    /// Records of earlier runs of a device that runs on.
    taken: usize,
    scratch: Option<Scratch>,
    /// The JSON is that of `t2collect`: known after the first record.
    has_fields: Cell<bool>,
}

impl Live {
    /// A device at these addresses.
    pub fn new(targets: &[Endpoint]) -> Self {
        let of = |transport| {
            let found = targets.iter().find(|target| target.transport == transport);
            found.map(|target| target.address)
        };
        Self {
            targets: Targets {
                udp: of(Transport::Udp),
                tcp: of(Transport::Tcp),
                tls: of(Transport::Tls),
                clients: None,
            },
            observer: None,
            metrics: None,
            meaning: Meaning::default(),
            map: FieldMap::new(),
            nfdump: PathBuf::from("nfdump"),
            start: None,
            signal: Signal::SIGTERM,
            lost: None,
            settle: Duration::ZERO,
            wait: Duration::from_secs(5),
            taken: 0,
            scratch: None,
            has_fields: Cell::new(false),
        }
    }

    fn note_form(&self, observation: &Observation) {
        let ours = |stored: &super::stored::Stored| stored.get("exporter").is_some();
        if observation.stored.iter().any(ours) {
            self.has_fields.set(true);
        }
    }

    /// What it counts once that stands still: records more than before, or `patience` is over.
    fn settled(
        &self,
        url: &Url,
        before: Counts,
        patience: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Counts> {
        let deadline = Instant::now() + patience;
        let mut last = before;
        loop {
            thread::sleep(STEADY);
            let now = url.count(&self.meaning)?;
            let moved = now.records.is_none() || now.records != before.records;
            let over = Instant::now() > deadline || stop.load(Ordering::Relaxed);
            if over || moved && now == last {
                return Ok(now.since(before));
            }
            last = now;
        }
    }

    fn enter(&self, counts: Counts, observation: &mut Observation) {
        observation.lost = counts.lost;
        if self.observer.is_none() {
            observation.counted = counts.records;
        }
    }

    /// Starts the device, does everything, ends it, looks.
    fn run_started(
        &mut self,
        command: &str,
        stimuli: &[Stimulus<'_>],
        stop: &AtomicBool,
    ) -> anyhow::Result<Observation> {
        let mut scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => Scratch::new()?,
        };
        let dir = scratch.folder()?;
        let mut targets = with_ports(&self.targets)?;
        let authority = match targets.tls {
            Some(target) => Some(Authority::make(scratch.root(), target.ip())?),
            None => None,
        };
        if let (Some(authority), None) = (&authority, &targets.clients) {
            targets.clients = Some(authority.clients.clone());
        }
        let metrics_port = match self.metrics {
            Some(_) => free_port(IpAddr::V4(Ipv4Addr::LOCALHOST))?.to_string(),
            None => String::new(),
        };
        let fill = |text: &str| {
            let port = |target: Option<SocketAddr>| {
                target
                    .map(|target| target.port().to_string())
                    .unwrap_or_default()
            };
            let path = |of: fn(&Authority) -> &PathBuf| {
                authority
                    .as_ref()
                    .map(|authority| of(authority).to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            let first = targets.udp.or(targets.tcp).or(targets.tls);
            text.replace("{dir}", &dir.to_string_lossy())
                .replace("{port}", &port(first))
                .replace("{tcp-port}", &port(targets.tcp))
                .replace("{tls-port}", &port(targets.tls))
                .replace("{metrics-port}", &metrics_port)
                .replace("{tls-ca}", &path(|authority| &authority.ca))
                .replace("{tls-cert}", &path(|authority| &authority.cert))
                .replace("{tls-key}", &path(|authority| &authority.key))
        };
        let log = dir.with_extension("log");
        let mut device = Device::start(&fill(command), &log)?;
        let ports: Vec<(Transport, u16)> = [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .filter_map(|transport| Some((transport, targets.of(transport)?.port())))
            .collect();
        device.wait_listening(&ports)?;
        let metrics = self.metrics.as_ref().map(|url| url.at(fill));
        let counted = match &metrics {
            Some(url) => first_count(url, &self.meaning)?,
            None => Counts::default(),
        };
        let before = device.memory_mib();
        let set = command.contains("port}");
        let mut observation = Observation {
            ports: ports
                .iter()
                .filter(|_| set)
                .map(|(_, port)| *port)
                .collect(),
            ..Observation::default()
        };
        let udp = targets.udp.map(|target| target.port());
        for stimulus in stimuli {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let remarks = act(stimulus, &targets, udp, &mut device);
            observation.remarks.extend(remarks);
            if device.has_ended().is_some() {
                break;
            }
        }
        let read = udp.is_none_or(|port| drained(port, PATIENCE, || device.has_ended().is_some()));
        observation.memory_mib = Some(device.memory_mib().saturating_sub(before));
        thread::sleep(self.settle);
        let drops = udp.map_or(0, dropped);
        let crashed = device.has_ended().is_some();
        if let (Some(url), true, false) = (&metrics, read, crashed) {
            let counts = self.settled(url, counted, COUNTING, stop)?;
            self.enter(counts, &mut observation);
        }
        observation.fate = fate(&mut device, read, self.signal);
        observation.doubt = match &observation.fate {
            _ if crashed => None,
            _ if read && drops > 0 => Some(format!(
                "{drops} datagrams were dropped before the collector could read them"
            )),
            Fate::Gone(how) => Some(format!("once, and not again, the collector {how}")),
            Fate::Alive => None,
        };
        let look = match &self.observer {
            Some(observer) => observer.at(fill).look(&self.map, &self.nfdump),
            None => Ok(Look::default()),
        };
        observation.log = Some(device.log());
        match look {
            Ok(look) => {
                observation.stored = look.stored;
                observation.lost = match &self.lost {
                    Some(pattern) => Some(lost_in(&observation.log, pattern)),
                    None => observation.lost.or(look.lost),
                };
                observation.disagreements = look.disagreements;
                observation.remarks.extend(look.remarks);
            }
            // What died may have left nothing.
            Err(error) if observation.fate == Fate::Alive => return Err(error),
            Err(_) => {}
        }
        scratch.clear(&dir);
        self.scratch = Some(scratch);
        Ok(observation)
    }

    /// Does everything to the device that runs, and looks until the last healthy message shows.
    fn run_running(
        &mut self,
        stimuli: &[Stimulus<'_>],
        stop: &AtomicBool,
    ) -> anyhow::Result<Observation> {
        let mut observation = Observation::default();
        let before = match &self.metrics {
            Some(url) => url.count(&self.meaning)?,
            None => Counts::default(),
        };
        for stimulus in stimuli {
            let mut sockets = Sockets::new(self.targets.clone());
            sockets.act(&stimulus.actions, &mut || {
                thread::sleep(Duration::from_millis(20));
            });
            sockets.close();
            sockets.act(&stimulus.probe, &mut || {});
            sockets.close();
            observation.remarks.append(&mut sockets.refusals);
        }
        let deadline = Instant::now() + self.wait;
        if let Some(url) = &self.metrics {
            let counts = self.settled(url, before, self.wait, stop)?;
            self.enter(counts, &mut observation);
        }
        loop {
            let Some(observer) = &self.observer else {
                return Ok(observation);
            };
            let look = observer.look(&self.map, &self.nfdump)?;
            let fresh = look
                .stored
                .get(self.taken.min(look.stored.len())..)
                .unwrap_or_default();
            let arrived = stimuli.iter().all(|stimulus| {
                fresh
                    .iter()
                    .any(|stored| stored.is_probe(stimulus.run.marking))
            });
            if arrived || Instant::now() > deadline || stop.load(Ordering::Relaxed) {
                observation.stored = fresh.to_vec();
                self.taken = look.stored.len();
                observation.disagreements = look.disagreements;
                observation.remarks.extend(look.remarks);
                return Ok(observation);
            }
            thread::sleep(LOOK);
        }
    }
}

impl Sight for Live {
    fn shows(&self, name: &str) -> bool {
        self.observer
            .as_ref()
            .is_some_and(|observer| observer.shows(name, &self.map, &|_| self.has_fields.get()))
    }

    fn shows_options(&self) -> bool {
        self.has_fields.get()
            && matches!(
                self.observer,
                Some(Observer::Json(_) | Observer::Command(_))
            )
    }
}

impl Subject for Live {
    fn run(&mut self, stimuli: &[Stimulus<'_>], stop: &AtomicBool) -> anyhow::Result<Observation> {
        let observation = match self.start.clone() {
            Some(command) => self.run_started(&command, stimuli, stop),
            None => self.run_running(stimuli, stop),
        }?;
        self.note_form(&observation);
        Ok(observation)
    }

    fn reaches(&self, transport: Transport) -> bool {
        self.targets.of(transport).is_some()
    }

    fn is_renewed(&self) -> bool {
        self.start.is_some()
    }
}

/// What a device has counted in the beginning: its metrics may open after its sockets.
///
/// # Errors
/// When it does not tell within some seconds.
pub(crate) fn first_count(url: &Url, meaning: &Meaning) -> anyhow::Result<Counts> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match url.count(meaning) {
            Err(_) if Instant::now() < deadline => thread::sleep(LOOK),
            counts => return counts,
        }
    }
}

fn act(
    stimulus: &Stimulus<'_>,
    targets: &Targets,
    udp: Option<u16>,
    device: &mut Device,
) -> Vec<String> {
    let mut sockets = Sockets::new(targets.clone());
    sockets.act(&stimulus.actions, &mut || {
        if let Some(port) = udp {
            drained(port, PATIENCE, || device.has_ended().is_some());
        }
    });
    sockets.close();
    // What is read at the same time from datagrams and streams has no order.
    if let Some(port) = udp {
        drained(port, PATIENCE, || device.has_ended().is_some());
    }
    sockets.act(&stimulus.probe, &mut || {});
    sockets.close();
    sockets.refusals
}

fn fate(device: &mut Device, read: bool, signal: Signal) -> Fate {
    if let Some(how) = device.has_ended() {
        return Fate::Gone(how);
    }
    if !read {
        device.kill();
        return Fate::Gone(format!(
            "reads nothing more for {} s: it hangs",
            PATIENCE.as_secs()
        ));
    }
    match device.end(signal) {
        Some(how) => Fate::Gone(how),
        None => Fate::Alive,
    }
}

/// The sum of what the lines of a log count as lost.
fn lost_in(log: &Option<Vec<String>>, pattern: &str) -> u64 {
    let (before, after) = pattern.split_once("{n}").unwrap_or((pattern, ""));
    let number = |line: &String| {
        let (_, rest) = line.split_once(before)?;
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, rest) = rest.split_at_checked(digits)?;
        rest.starts_with(after)
            .then(|| number.parse::<u64>().ok())?
    };
    log.iter().flatten().filter_map(number).sum()
}

/// Port 0 is a free one.
fn with_ports(targets: &Targets) -> anyhow::Result<Targets> {
    let mut targets = targets.clone();
    let all = [&mut targets.udp, &mut targets.tcp, &mut targets.tls];
    for target in all.into_iter().flatten() {
        if target.port() == 0 {
            target.set_port(free_port(target.ip())?);
        }
    }
    Ok(targets)
}

pub(crate) fn free_port(ip: IpAddr) -> anyhow::Result<u16> {
    let ip = if ip.is_loopback() {
        ip
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    };
    for _ in 0..50 {
        let udp = UdpSocket::bind((ip, 0)).context("no free port")?;
        let port = udp.local_addr()?.port();
        if TcpListener::bind((ip, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}
