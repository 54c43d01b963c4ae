//! Starts the program, speaks to it, reads its files.
#![allow(dead_code, clippy::unwrap_used)]

pub mod http;
pub mod wire;

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use collector::limits::memory;
use golden::harness::{self, Finished, PATIENCE, Service};
use nix::sys::signal::Signal;
use protocol::limits::Limits;

/// A running t2collect.
pub struct Collector {
    service: Service,
    /// The addresses it listens on, in the order of the command line, UDP before TCP.
    pub addresses: Vec<SocketAddr>,
}

/// What is left of a t2collect that ended.
pub struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// All it said on stderr.
    pub log: String,
    /// All it wrote on standard output.
    pub out: String,
}

/// The program: that of `T2_BIN_DIR`, if it is set.
pub fn binary() -> PathBuf {
    match std::env::var_os("T2_BIN_DIR") {
        Some(folder) => Path::new(&folder).join("t2collect"),
        None => env!("CARGO_BIN_EXE_t2collect").into(),
    }
}

/// The program with times in UTC and none of our own environment that matters to it.
pub fn t2collect() -> Command {
    let mut command = Command::new(binary());
    command.env("TZ", "UTC").env_remove("T2_FLOWS");
    command
}

impl Collector {
    /// Starts it with UDP on a free port of 127.0.0.1 and further arguments.
    pub fn udp<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::start(
            t2collect()
                .args(["-p", "0", "-b", "127.0.0.1"])
                .args(arguments),
            1,
        )
    }

    /// Starts it with TCP on a free port of 127.0.0.1 and further arguments.
    pub fn tcp<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::start(
            t2collect()
                .args(["--listen", "tcp://127.0.0.1:0"])
                .args(arguments),
            1,
        )
    }

    /// Starts a command line and waits until it listens.
    pub fn start(command: &mut Command, count: usize) -> Self {
        assert_eq!(count, 1, "start_on() knows several");
        Self::start_on(command.stdin(Stdio::null()), &[""])
    }

    /// Starts a command line as it is and waits until it listens over each of these transports, once.
    pub fn start_on(command: &mut Command, transports: &[&str]) -> Self {
        let mut collector = Self {
            service: Service::spawn(command),
            addresses: Vec::new(),
        };
        for transport in transports {
            let line = collector.wait_for(&format!("listening on {transport}"));
            collector
                .addresses
                .push(line.rsplit(' ').next().unwrap().parse().unwrap());
        }
        collector
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// Waits for a line with `text` on stderr.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.service.wait_for_line(text)
    }

    /// Where `--metrics` is served.
    pub fn metrics(&mut self) -> SocketAddr {
        let line = self.wait_for("metrics on ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Sends datagrams from one new socket to its first address.
    pub fn send(&self, datagrams: &[Vec<u8>]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.send_from(&socket, datagrams);
    }

    /// Sends datagrams to its first address.
    pub fn send_from(&self, socket: &UdpSocket, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            socket.send_to(datagram, self.addresses[0]).unwrap();
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.service.signal(signal);
    }

    /// Asks it to end and waits for that. Its memory must have stayed within what `t2collect limits` prints.
    pub fn stop(self) -> Ended {
        let peak = peak(self.pid());
        let bound = memory(&Limits::default(), 1);
        println!("peak {} of {} MB", peak / 1_000_000, bound / 1_000_000);
        assert!(peak < bound, "{peak} octets");
        self.service.terminate().into()
    }

    /// Waits for the end.
    pub fn wait(self) -> Ended {
        self.service.wait(PATIENCE).into()
    }
}

impl From<Finished> for Ended {
    fn from(finished: Finished) -> Self {
        Self {
            code: finished.code(),
            out: finished.text(),
            log: finished.stderr,
        }
    }
}

/// Peak of the resident memory of a process, octets; 0 once it has ended.
pub fn peak(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        let kilobytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kilobytes.parse::<usize>().ok()
    });
    peak.unwrap_or(0) * 1024
}

/// Whether this process is root's; if not, that is said (an error in CI).
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        harness::skip("only root may do this");
    }
    root
}

/// The one finished file of a directory.
pub fn the_file(directory: &Path) -> PathBuf {
    let mut files = harness::slot_files(directory);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Standard output of the real nfdump on a file; `None`, said aloud, where it is not installed (an error in CI).
pub fn nfdump(file: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(harness::peer("nfdump")?);
    command.env("TZ", "UTC").arg("-r").arg(file).args(arguments);
    Some(harness::run(&mut command).success().text())
}

/// The flows of a file as nfdump prints them by `format`, one a line.
pub fn flows(file: &Path, format: &str) -> Option<Vec<String>> {
    let text = nfdump(file, &["-q", "-6", "-o", &format!("fmt:{format}")])?;
    Some(
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty() && line != "No matching flows")
            .collect(),
    )
}
