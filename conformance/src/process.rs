//! The process of a device under test: starting it, seeing that it listens, reads, lives, and how much memory it
//! takes, and ending it. All of /proc, so of this machine only.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wire::Transport;

const POLL: Duration = Duration::from_millis(3);

/// How long a device may take to listen.
const START: Duration = Duration::from_secs(15);

/// How long it may take to end.
const END: Duration = Duration::from_secs(8);

/// After this it is asked again, each second: a signal that comes just before a program waits for a datagram does not
/// wake it.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A running device.
#[derive(Debug)]
pub struct Device {
    child: Child,
    log: PathBuf,
    /// The process is the device, and no shell around it.
    simple: bool,
    ended: Option<ExitStatus>,
}

impl Device {
    /// Starts `command` with the shell, in a process group of its own, its output going to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &str, log: &Path) -> anyhow::Result<Self> {
        let file =
            fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        // The shell gives way to a simple command, so that how it ends is seen.
        let simple = !command.contains([';', '|', '&', '\n', '(']);
        let line = if simple {
            format!("exec {command}")
        } else {
            command.to_owned()
        };
        // A child takes over which signals are blocked, and ours are (`stop_on_signals`): it could not be asked to end.
        let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let child = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn();
        blocked.thread_set_mask()?;
        let child = child.with_context(|| format!("cannot start {command}"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
            simple,
            ended: None,
        })
    }

    /// Waits until it listens on these ports.
    ///
    /// # Errors
    /// When it ends, or does not within 15 s.
    pub fn wait_listening(&mut self, ports: &[(Transport, u16)]) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if ports
                .iter()
                .all(|(transport, port)| listens(*transport, *port))
            {
                return Ok(());
            }
            if let Some(how) = self.has_ended() {
                bail!(
                    "the device {how} before it listened; it said: {}",
                    self.last_words()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "the device did not listen within {} s; it said: {}",
                    START.as_secs(),
                    self.last_words()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// How it ended, if it did.
    pub fn has_ended(&mut self) -> Option<String> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.map(how)
    }

    /// Peak of the memory of its processes, MiB.
    pub fn memory_mib(&self) -> u64 {
        let group = self.child.id();
        let members = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let kib: u64 = members
            .filter_map(|entry| {
                let path = entry.path();
                let stat = fs::read_to_string(path.join("stat")).ok()?;
                // pid (name) state ppid pgrp
                let after = stat.rsplit_once(')')?.1;
                let pgrp: u32 = after.split_whitespace().nth(2)?.parse().ok()?;
                if pgrp != group {
                    return None;
                }
                let status = fs::read_to_string(path.join("status")).ok()?;
                let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum();
        kib / 1024
    }

    /// Asks it to end with this signal and waits; kills it if it does not. How it ended if not as asked.
    pub fn end(&mut self, signal: Signal) -> Option<String> {
        if let Some(how) = self.has_ended() {
            self.kill();
            return Some(how);
        }
        let process = self.pid();
        // A device ends its own helpers, which may still have to write.
        let ask = |simple| match simple {
            true => kill(process, signal),
            false => killpg(process, signal),
        };
        let _ = ask(self.simple);
        let mut again = Instant::now() + ASK_AGAIN;
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended = Some(status);
                // To die of it is an end as asked.
                let asked = status.code().is_some() || status.signal() == Some(signal as i32);
                while killpg(process, None).is_ok() && Instant::now() < deadline {
                    thread::sleep(POLL);
                }
                self.kill();
                return (!asked).then(|| how(status));
            }
            if Instant::now() > again {
                let _ = ask(self.simple);
                again = Instant::now() + Duration::from_secs(1);
            }
            thread::sleep(POLL);
        }
        self.kill();
        Some(format!(
            "did not end within {} s when asked to ({signal})",
            END.as_secs()
        ))
    }

    /// Lines that it has printed.
    pub fn log(&self) -> Vec<String> {
        let octets = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&octets)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Whether it ended by itself, and well.
    pub fn has_succeeded(&self) -> bool {
        self.ended.is_some_and(|status| status.success())
    }

    /// The last line that it has printed.
    pub fn last_words(&self) -> String {
        let lines = self.log();
        lines
            .last()
            .cloned()
            .unwrap_or_else(|| "nothing".to_owned())
    }

    /// Ends it at once, with what it started.
    pub fn kill(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("died of {signal}"),
            Err(_) => format!("died of signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// Whether someone on this machine listens on a port.
pub fn listens(transport: Transport, port: u16) -> bool {
    match transport {
        Transport::Udp => sockets("udp").any(|socket| socket.port == port),
        // State 0A is LISTEN.
        _ => sockets("tcp").any(|socket| socket.port == port && socket.state == 0x0a),
    }
}

/// Whether a stream to a port is open, or not read to its end.
pub fn is_connected(port: u16) -> bool {
    const LISTEN: u8 = 0x0a;
    const TIME_WAIT: u8 = 0x06;
    // All octets are read, and this side has said so.
    const LAST_ACK: u8 = 0x09;
    sockets("tcp")
        .any(|socket| socket.port == port && ![LISTEN, TIME_WAIT, LAST_ACK].contains(&socket.state))
}

/// Waits until the queue of a UDP port has been read; `false` if it is not within `patience`.
pub fn drained(port: u16, patience: Duration, mut gone: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    let mut empty = 0;
    while empty < 2 {
        if Instant::now() > deadline {
            return false;
        }
        if gone() {
            return true;
        }
        let queued = sockets("udp").any(|socket| socket.port == port && socket.queued > 0);
        empty = if queued { 0 } else { empty + 1 };
        thread::sleep(POLL);
    }
    true
}

/// Datagrams that the kernel has dropped because a port's queue was full.
pub fn dropped(port: u16) -> u64 {
    sockets("udp")
        .filter(|socket| socket.port == port)
        .map(|socket| socket.drops)
        .sum()
}

/// A folder for the files of devices that we start.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    number: u32,
}

impl Scratch {
    /// An empty one, removed with its content in the end.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("t2check-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self { root, number: 0 })
    }

    /// The folder for what all starts share.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder for one more start.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&mut self) -> anyhow::Result<PathBuf> {
        self.number += 1;
        let dir = self.root.join(self.number.to_string());
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    /// Removes the folder of a start, and its log.
    pub fn clear(&self, dir: &PathBuf) {
        let _ = fs::remove_dir_all(dir);
        let _ = fs::remove_file(dir.with_extension("log"));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

struct Socket {
    port: u16,
    state: u8,
    queued: u64,
    drops: u64,
}

fn sockets(protocol: &str) -> impl Iterator<Item = Socket> {
    let files = [
        format!("/proc/net/{protocol}"),
        format!("/proc/net/{protocol}6"),
    ];
    // Without IPv6 the second one does not exist.
    let texts: Vec<String> = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect();
    let sockets: Vec<Socket> = texts
        .iter()
        .flat_map(|text| text.lines().skip(1))
        .filter_map(socket)
        .collect();
    sockets.into_iter()
}

/// `sl local:port remote:port st tx:rx …`; the last column of UDP is what was dropped.
fn socket(line: &str) -> Option<Socket> {
    let mut columns = line.split_whitespace().skip(1);
    let local = columns.next()?;
    let state = columns.nth(1)?;
    let queues = columns.next()?;
    let drops = columns
        .nth(7)
        .and_then(|drops| drops.parse().ok())
        .unwrap_or(0);
    Some(Socket {
        port: u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?,
        state: u8::from_str_radix(state, 16).ok()?,
        queued: u64::from_str_radix(queues.rsplit(':').next()?, 16).ok()?,
        drops,
    })
}
