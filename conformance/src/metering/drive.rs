//! Making the device meter: a command that reads the capture, or packets put on an interface by tcpreplay. Ends when
//! all has been heard of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

use crate::cli::Endpoint;
use crate::process::{Device as Process, Scratch, drained, dropped, is_connected};
use crate::wire::Transport;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long what was sent may take to be read.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a device may take to open the interface.
const READY: Duration = Duration::from_secs(15);

/// From opening the interface to reading it.
const SETTLE: Duration = Duration::from_millis(1500);

/// Octets of a frame that only fills a queue, and how many are sent: more than libpcap's ring of 2 MiB.
const FILLER: usize = 1014;
const FILLERS: u32 = 4500;

/// What is done.
#[derive(Clone, Debug)]
pub struct Drive {
    /// The capture.
    pub pcap: PathBuf,
    /// How.
    pub how: How,
    /// Silence after which a device that runs on is ended.
    pub quiet: Duration,
    /// The most that all may take.
    pub time: Duration,
}

/// Ways to make a device meter.
#[derive(Clone, Debug)]
pub enum How {
    /// A command that reads the capture and exports.
    Replay(String),
    /// tcpreplay on an interface, at so many times the capture's speed; and the command of the device, if it is not
    /// running already.
    Inject {
        /// The interface.
        iface: String,
        /// How fast.
        pace: Pace,
        /// The device.
        start: Option<String>,
    },
}

/// How fast packets are put on an interface.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// So many times as fast as they were captured.
    Times(f64),
    /// So many a second, and the whole capture so many times over.
    PerSecond(f64, u64),
}

impl Pace {
    /// In the words of tcpreplay.
    fn options(self) -> String {
        match self {
            Pace::Times(times) => format!("--multiplier={times}"),
            Pace::PerSecond(rate, loops) => {
                format!("--pps={rate:.3} --loop={loops} --preload-pcap")
            }
        }
    }
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Driven {
    /// What is worth knowing, one line each.
    pub remarks: Vec<String>,
    /// The device was asked to end while it ran, and did.
    pub asked_to_end: bool,
    /// Datagrams that the system dropped before they were read: nothing can be said of what is missing.
    pub dropped: u64,
    /// How long injecting took, or the whole run of a device that ended by itself.
    pub took: Option<Duration>,
    /// Packets were put on an interface, in their time.
    pub injected: bool,
}

/// When the last message came, by a clock of its own.
#[derive(Debug)]
pub struct Heard {
    begin: Instant,
    last_ms: AtomicU64,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }
}

impl Heard {
    /// A message came.
    pub fn now(&self) {
        let ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(last)
    }
}

impl Drive {
    /// Does it, while messages are received on `endpoint`, and comes back when they have been read.
    ///
    /// # Errors
    /// When the device or tcpreplay cannot be started.
    pub fn run(
        &self,
        endpoint: Endpoint,
        heard: &Heard,
        stop: &AtomicBool,
    ) -> anyhow::Result<Driven> {
        let mut scratch = Scratch::new()?;
        let dir = scratch.folder()?;
        let fill = |text: &str, iface: &str| self.fill(text, &dir, endpoint.address, iface);
        let mut driven = Driven::default();
        let end = Instant::now() + self.time;
        let go_on = || !stop.load(Ordering::Relaxed) && Instant::now() < end;
        // Silence counts from now on.
        heard.now();
        match &self.how {
            How::Replay(command) => {
                let begin = Instant::now();
                let mut process = Process::start(&fill(command, ""), &dir.with_extension("log"))?;
                while go_on() && process.has_ended().is_none() && heard.silence() < self.quiet {
                    thread::sleep(LOOK);
                }
                driven.took = process.has_ended().map(|_| begin.elapsed());
                self.ended(&mut process, &mut driven);
            }
            How::Inject { iface, pace, start } => {
                let before = captures_on(iface)?;
                let mut process = match start {
                    Some(command) => Some(Process::start(
                        &fill(command, iface),
                        &dir.with_extension("log"),
                    )?),
                    None => None,
                };
                if let Some(process) = &mut process {
                    ready(process, before, &mut driven)?;
                }
                let begin = Instant::now();
                inject(&self.pcap, iface, &pace.options(), &dir, &go_on)?;
                driven.took = Some(begin.elapsed());
                driven.injected = true;
                fill_up(iface, &dir, &go_on, &mut driven)?;
                heard.now();
                while go_on() && process.is_some() && heard.silence() < self.quiet {
                    thread::sleep(LOOK);
                }
                while go_on() && process.is_none() {
                    thread::sleep(LOOK);
                }
                if let Some(mut process) = process {
                    self.ended(&mut process, &mut driven);
                }
            }
        }
        let port = endpoint.address.port();
        if endpoint.transport == Transport::Udp {
            drained(port, PATIENCE, || false);
            driven.dropped = dropped(port);
        } else {
            let deadline = Instant::now() + PATIENCE;
            while is_connected(port) && Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
        }
        Ok(driven)
    }

    fn fill(&self, text: &str, dir: &Path, address: SocketAddr, iface: &str) -> String {
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip.to_string(),
            ip if ip.is_ipv4() => "127.0.0.1".to_owned(),
            _ => "::1".to_owned(),
        };
        text.replace("{pcap}", &self.pcap.to_string_lossy())
            .replace("{host}", &ip)
            .replace("{port}", &address.port().to_string())
            .replace("{iface}", iface)
            .replace("{dir}", &dir.to_string_lossy())
    }

    /// Ends the device unless it has ended.
    fn ended(&self, process: &mut Process, driven: &mut Driven) {
        let said = |process: &Process| match process.last_words() {
            words if words.is_empty() => String::new(),
            words => format!("; it said: {words}"),
        };
        if let Some(how) = process.has_ended() {
            if !process.has_succeeded() {
                driven
                    .remarks
                    .push(format!("the exporter {how}{}", said(process)));
            }
            return;
        }
        match process.end(Signal::SIGTERM) {
            None => driven.asked_to_end = true,
            Some(how) => driven
                .remarks
                .push(format!("the exporter {how}{}", said(process))),
        }
    }
}

/// Sockets that take packets off interfaces, before the device is started; the interface must be there.
fn captures_on(iface: &str) -> anyhow::Result<usize> {
    if !Path::new("/sys/class/net").join(iface).exists() {
        bail!("no interface {iface}");
    }
    Ok(packet_sockets())
}

/// The device may listen at the other end of a pair of interfaces: those of any are counted.
fn packet_sockets() -> usize {
    let table = fs::read_to_string("/proc/net/packet").unwrap_or_default();
    // sk RefCnt Type Proto Iface R …: one that is bound and running takes packets.
    let running = |line: &&str| {
        let mut columns = line.split_whitespace().skip(4);
        columns.next().is_some_and(|iface| iface != "0") && columns.next() == Some("1")
    };
    table.lines().skip(1).filter(running).count()
}

/// Waits until the device takes packets.
fn ready(process: &mut Process, before: usize, driven: &mut Driven) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        if let Some(how) = process.has_ended() {
            bail!(
                "the exporter {how} before any packet; it said: {}",
                process.last_words()
            );
        }
        if packet_sockets() > before {
            // It sets up its queue after the socket.
            thread::sleep(SETTLE);
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    driven.remarks.push(format!(
        "the exporter opened no packet socket within {} s: packets are injected all the same",
        READY.as_secs()
    ));
    Ok(())
}

/// A device may wait until a block of its packet ring is full (libpcap without a time-out, as softflowd uses it): what
/// is in it would not be seen before the device ends. Frames of no protocol fill it.
fn fill_up(
    iface: &str,
    dir: &Path,
    go_on: &impl Fn() -> bool,
    driven: &mut Driven,
) -> anyhow::Result<()> {
    let file = dir.with_extension("filler");
    fs::write(&file, filler()).with_context(|| format!("cannot write {}", file.display()))?;
    let options = format!("--topspeed --loop={FILLERS}");
    if let Err(error) = inject(&file, iface, &options, dir, go_on) {
        driven.remarks.push(format!(
            "what the device's queue holds was not pushed out: {error:#}"
        ));
    }
    Ok(())
}

/// A capture of one frame: broadcast, the EtherType for local experiments (IEEE 802), zeros.
fn filler() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame.resize(FILLER, 0);
    let mut file = Vec::new();
    // Microseconds, version 2.4, no zone, no limit, Ethernet; then a record at no time.
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend([(FILLER as u32).to_le_bytes(); 2].concat());
    file.extend(frame);
    file
}

/// Puts the packets of a capture on the interface.
fn inject(
    pcap: &Path,
    iface: &str,
    options: &str,
    dir: &Path,
    go_on: &impl Fn() -> bool,
) -> anyhow::Result<()> {
    let command = format!(
        "tcpreplay --quiet --intf1='{iface}' {options} '{}'",
        pcap.display()
    );
    let mut replay = Process::start(&command, &dir.with_extension("tcpreplay"))?;
    while replay.has_ended().is_none() {
        if !go_on() {
            replay.kill();
            bail!("time is over before all packets were injected: give more with --seconds");
        }
        thread::sleep(LOOK);
    }
    if !replay.has_succeeded() {
        bail!("tcpreplay failed: {}", replay.last_words());
    }
    Ok(())
}
