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
use super::judge::{Fate, Observation, Run, Sight};
use super::observe::{FieldMap, Observer};
use super::sender::Sockets;
use crate::cli::Endpoint;
use crate::process::{Device, Scratch, drained, dropped};
use crate::wire::Transport;

/// How long a device may take to read what is in its queue.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two looks at a device that runs on.
const LOOK: Duration = Duration::from_millis(40);

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
    /// Where it listens: UDP and TCP.
    pub targets: [Option<SocketAddr>; 2],
    /// How it is observed.
    pub observer: Observer,
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
    pub fn new(targets: &[Endpoint], observer: Observer) -> Self {
        let of = |transport| {
            let found = targets.iter().find(|target| target.transport == transport);
            found.map(|target| target.address)
        };
        Self {
            targets: [of(Transport::Udp), of(Transport::Tcp)],
            observer,
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

    /// Starts the device, does everything, ends it, looks.
    fn run_started(
        &mut self,
        command: &str,
        stimuli: &[Stimulus<'_>],
        stop: &AtomicBool,
    ) -> anyhow::Result<Observation> {
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(Scratch::new()?),
        };
        let dir = scratch.folder()?;
        let targets = with_ports(self.targets)?;
        let port = |target: Option<SocketAddr>| {
            target
                .map(|target| target.port().to_string())
                .unwrap_or_default()
        };
        let fill = |text: &str| {
            let first = if targets[0].is_some() {
                port(targets[0])
            } else {
                port(targets[1])
            };
            text.replace("{dir}", &dir.to_string_lossy())
                .replace("{port}", &first)
                .replace("{tcp-port}", &port(targets[1]))
        };
        let log = dir.with_extension("log");
        let mut device = Device::start(&fill(command), &log)?;
        let ports: Vec<(Transport, u16)> = [Transport::Udp, Transport::Tcp]
            .into_iter()
            .zip(targets)
            .filter_map(|(transport, target)| Some((transport, target?.port())))
            .collect();
        device.wait_listening(&ports)?;
        let before = device.memory_mib();
        let mut observation = Observation::default();
        let udp = targets[0].map(|target| target.port());
        for stimulus in stimuli {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let remarks = act(stimulus, targets, udp, &mut device);
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
        observation.fate = fate(&mut device, read, self.signal);
        observation.doubt = match &observation.fate {
            _ if crashed => None,
            _ if read && drops > 0 => Some(format!(
                "{drops} datagrams were dropped before the collector could read them"
            )),
            Fate::Gone(how) => Some(format!("once, and not again, the collector {how}")),
            Fate::Alive => None,
        };
        let observer = self.observer.at(fill);
        let look = observer.look(&self.map, &self.nfdump);
        observation.log = Some(device.log());
        match look {
            Ok(look) => {
                observation.stored = look.stored;
                observation.lost = match &self.lost {
                    Some(pattern) => Some(lost_in(&observation.log, pattern)),
                    None => look.lost,
                };
                observation.disagreements = look.disagreements;
                observation.remarks.extend(look.remarks);
            }
            // What died may have left nothing.
            Err(error) if observation.fate == Fate::Alive => return Err(error),
            Err(_) => {}
        }
        scratch.clear(&dir);
        Ok(observation)
    }

    /// Does everything to the device that runs, and looks until the last healthy message shows.
    fn run_running(
        &mut self,
        stimuli: &[Stimulus<'_>],
        stop: &AtomicBool,
    ) -> anyhow::Result<Observation> {
        let mut observation = Observation::default();
        for stimulus in stimuli {
            let mut sockets = Sockets::new(self.targets[0], self.targets[1]);
            sockets.act(&stimulus.actions, &mut || {
                thread::sleep(Duration::from_millis(20));
            });
            sockets.close();
            sockets.act(&stimulus.probe, &mut || {});
            sockets.close();
            observation.remarks.append(&mut sockets.refusals);
        }
        let deadline = Instant::now() + self.wait;
        loop {
            let look = self.observer.look(&self.map, &self.nfdump)?;
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
            .shows(name, &self.map, &|_| self.has_fields.get())
    }

    fn shows_options(&self) -> bool {
        self.has_fields.get() && matches!(self.observer, Observer::Json(_) | Observer::Command(_))
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
        match transport {
            Transport::Udp => self.targets[0].is_some(),
            Transport::Tcp => self.targets[1].is_some(),
            Transport::Tls | Transport::File => false,
        }
    }

    fn is_renewed(&self) -> bool {
        self.start.is_some()
    }
}

fn act(
    stimulus: &Stimulus<'_>,
    targets: [Option<SocketAddr>; 2],
    udp: Option<u16>,
    device: &mut Device,
) -> Vec<String> {
    let mut sockets = Sockets::new(targets[0], targets[1]);
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
fn with_ports(targets: [Option<SocketAddr>; 2]) -> anyhow::Result<[Option<SocketAddr>; 2]> {
    let [mut udp, mut tcp] = targets;
    // Devices may take one port for both: the same free one is tried first.
    for target in [&mut udp, &mut tcp].into_iter().flatten() {
        if target.port() == 0 {
            target.set_port(free_port(target.ip())?);
        }
    }
    Ok([udp, tcp])
}

fn free_port(ip: IpAddr) -> anyhow::Result<u16> {
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
