//! Starts the program, speaks to it, reads its files.
#![allow(dead_code, clippy::unwrap_used)]

pub mod wire;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No step of a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running t2collect.
pub struct Collector {
    child: Child,
    lines: Receiver<String>,
    log: String,
    /// The addresses it listens on, in the order of the command line, UDP before TCP.
    pub addresses: Vec<SocketAddr>,
}

/// What is left of a t2collect that ended.
pub struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// All it said on stderr.
    pub log: String,
}

/// The program with times in UTC and none of our own environment that matters to it.
pub fn t2collect() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_t2collect"));
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

    /// Starts a command line and waits until it listens on `count` addresses.
    pub fn start(command: &mut Command, count: usize) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut collector = Self {
            child,
            lines,
            log: String::new(),
            addresses: Vec::new(),
        };
        for _ in 0..count {
            let line = collector.wait_for("listening on ");
            collector
                .addresses
                .push(line.rsplit(' ').next().unwrap().parse().unwrap());
        }
        collector
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with `text` on stderr.
    pub fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.log += &line;
                    self.log.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with '{text}' ({error}):\n{}", self.log),
            }
        }
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
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Asks it to end and waits for that.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.log);
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            self.log += &line;
            self.log.push('\n');
        }
        Ended {
            code,
            log: std::mem::take(&mut self.log),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // A failed test leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The finished files of a directory, oldest first.
pub fn finished(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.strip_prefix("nfcapd.")
                .is_some_and(|slot| slot.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    files.sort();
    files
}

/// The one finished file of a directory.
pub fn the_file(directory: &Path) -> PathBuf {
    let mut files = finished(directory);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Standard output of the real nfdump on a file; `None`, said aloud, where it is not installed (an error in CI).
pub fn nfdump(file: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("nfdump")
        .env("TZ", "UTC")
        .arg("-r")
        .arg(file)
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                output.status.success(),
                "nfdump {arguments:?}: {text} {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(text)
        }
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "nfdump: {error}"
            );
            eprintln!("SKIPPED: nfdump is not installed");
            None
        }
    }
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
