//! Running the programs in tests, as processes on loopback: where they are, how they start and end, and when a
//! collector has taken everything. Shared by the golden tests and the tests against other people's programs.
//!
//! Everything here panics with a sentence instead of returning an error: it serves tests only.
//!
//! What is missing is a *visible skip*: a line on standard error and, if `T2_SKIP_LOG` names a file, a line there
//! (test runners hide the output of tests that pass). With `CI=true` what is missing fails the test instead.

pub mod certificates;

use std::{
    env, fs,
    fs::OpenOptions,
    io::{BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nfdump_compat::{file::FileReader, record::V3_RECORD};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// How long a program may take to start, to drain its sockets or to end, before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

// ---------------------------------------------------------------------------------------------- where things are

/// The path of one of the workspace's programs (`t2x`, `t2collect`, `t2report`, `t2gen`).
///
/// Looks in `T2_BIN_DIR`, else beside the test executable's folder in the target directory; builds all programs of
/// the workspace once if it is not there. A program that exists is taken as it is: build before testing.
pub fn program(name: &str) -> PathBuf {
    if let Some(dir) = env::var_os("T2_BIN_DIR") {
        let path = PathBuf::from(dir).join(name);
        assert!(
            path.is_file(),
            "T2_BIN_DIR has no program {name}: {}",
            path.display()
        );
        return path;
    }
    let path = profile_dir().join(name);
    if !path.is_file() {
        static BUILT: OnceLock<()> = OnceLock::new();
        BUILT.get_or_init(build_programs);
    }
    assert!(path.is_file(), "cargo build made no {}", path.display());
    path
}

/// `target/debug` or `target/release`: test executables lie in its folder `deps`.
fn profile_dir() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its own path");
    let deps = exe.parent().expect("an executable lies in a folder");
    if deps.ends_with("deps") {
        deps.parent().unwrap_or(deps)
    } else {
        deps
    }
    .to_path_buf()
}

fn build_programs() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = profile_dir();
    let mut command = Command::new(cargo);
    command
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(workspace_dir());
    if profile.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = profile.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    let status = command.status().expect("cargo can be started");
    assert!(
        status.success(),
        "cargo build --workspace --bins failed: {status}"
    );
}

/// The folder of the workspace's Cargo.toml.
pub fn workspace_dir() -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"));
    golden.parent().unwrap_or(golden).to_path_buf()
}

/// The path of another project's program (`nfdump`, `nfcapd`, `softflowd`, `tshark` …) on this machine.
///
/// `None` is a visible skip: the test returns. With `CI=true` a missing program panics.
pub fn peer(name: &str) -> Option<PathBuf> {
    let found = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/sbin".into()])
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    });
    if found.is_none() {
        assert!(
            !in_ci(),
            "{name} is not installed (ci/setup.sh installs it)"
        );
        skip(&format!(
            "{name} is not installed (ci/setup.sh installs it)"
        ));
    }
    found
}

/// The path of a program (`nfdump`, `nfcapd` …) of another nfdump version than the installed one, as unpacked by
/// `ci/nfdump-versions.sh` into `T2_PEERS`, default `peers` in the target directory.
///
/// `None` is a visible skip: the test returns. With `CI=true` a missing program panics.
pub fn nfdump_version(version: &str, program: &str) -> Option<PathBuf> {
    let peers = env::var_os("T2_PEERS").map_or_else(
        || profile_dir().join("../peers"),
        |dir| workspace_dir().join(dir),
    );
    let path = peers.join(version).join("usr/bin").join(program);
    if path.is_file() {
        return Some(path);
    }
    let reason = format!("{program} {version} is not there (ci/nfdump-versions.sh fetches it)");
    assert!(!in_ci(), "{reason}");
    skip(&reason);
    None
}

/// Whether this is a continuous-integration run (`CI=true`), where a missing program is a failure.
pub fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The folder of real captures with independent expectations: `T2_CORPUS`, default `golden/corpus`.
///
/// `None` is a visible skip: the test returns. With `CI=true` a missing corpus panics, and so does a `T2_CORPUS`
/// that names no folder.
pub fn corpus() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("T2_CORPUS") {
        let dir = workspace_dir().join(dir);
        assert!(dir.is_dir(), "T2_CORPUS is not a folder: {}", dir.display());
        return Some(dir);
    }
    let dir = local_corpus();
    if dir.join("MANIFEST.tsv").is_file() {
        return Some(dir);
    }
    let reason = "no corpus: T2_CORPUS is not set and golden/corpus has none";
    assert!(!in_ci(), "{reason}");
    skip(reason);
    None
}

/// Every file below a folder, in the order of their paths.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("in {}: {error}", folder.display()));
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `golden/corpus`, the git-ignored place for captures that are not ours to ship.
pub fn local_corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Says that a test does less than it could, and why.
pub fn skip(reason: &str) {
    let test = thread::current().name().unwrap_or("?").to_owned();
    let line = format!("SKIPPED {test}: {reason}\n");
    eprint!("{line}");
    if let Some(log) = env::var_os("T2_SKIP_LOG") {
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(
            written.is_ok(),
            "cannot write T2_SKIP_LOG {}: {written:?}",
            log.display()
        );
    }
}

/// A fresh temporary folder, removed when dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("t2x-")
        .tempdir()
        .expect("a temporary folder can be made")
}

/// A UDP port of the loopback interface that was free a moment ago.
pub fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free UDP port");
    socket
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// A TCP port of the loopback interface that was free a moment ago.
pub fn free_tcp_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free TCP port");
    socket
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

// ------------------------------------------------------------------------------------------------ running programs

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: Vec<u8>,
    /// Everything it wrote to standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Finished {
    /// Standard output as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The exit code; `None` if a signal ended the program.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics with everything the program said unless it ended with exit code 0.
    pub fn success(self) -> Self {
        assert!(
            self.status.success(),
            "{} ended with {}\n--- stdout\n{}--- stderr\n{}",
            self.command,
            self.status,
            self.text(),
            self.stderr
        );
        self
    }
}

/// Runs a program to its end (at most [`PATIENCE`] long). Standard input is empty unless the command sets it.
pub fn run(command: &mut Command) -> Finished {
    Service::spawn(command.stdin(Stdio::null())).wait(PATIENCE)
}

/// A running program: its output is collected, and it is killed if the test ends first.
#[derive(Debug)]
pub struct Service {
    command: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr_lines: mpsc::Receiver<String>,
    stderr: String,
}

impl Service {
    /// Starts a program with its output collected.
    pub fn spawn(command: &mut Command) -> Self {
        let text = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {text}: {error}"));
        let stdout = child.stdout.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // A broken pipe ends the output; the exit status tells the rest.
                let _ = pipe.read_to_end(&mut bytes);
                bytes
            })
        });
        let (sender, stderr_lines) = mpsc::channel();
        if let Some(pipe) = child.stderr.take() {
            thread::spawn(move || send_lines(BufReader::new(pipe), &sender));
        }
        Self {
            command: text,
            child,
            stdout,
            stderr_lines,
            stderr: String::new(),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that contains `text`, and returns it; one said earlier counts.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        if let Some(line) = self.stderr.lines().find(|line| line.contains(text)) {
            return line.trim_end().to_owned();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stderr_lines.recv_timeout(left) {
                Ok(line) => {
                    self.stderr.push_str(&line);
                    if line.contains(text) {
                        return line.trim_end().to_owned();
                    }
                }
                Err(reason) => {
                    panic!(
                        "{} never said {text:?} ({reason}); it said:\n{}",
                        self.command, self.stderr
                    )
                }
            }
        }
    }

    /// Sends a signal to this process.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id fits into 31 bits");
        kill(Pid::from_raw(pid), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.command));
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> Finished {
        self.signal(Signal::SIGTERM);
        self.wait(PATIENCE)
    }

    /// Waits for the end; panics after `patience`.
    pub fn wait(mut self, patience: Duration) -> Finished {
        let deadline = Instant::now() + patience;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
                other => {
                    self.collect_stderr(Duration::ZERO);
                    panic!(
                        "{} did not end in {patience:?} ({other:?}); it said:\n{}",
                        self.command, self.stderr
                    )
                }
            }
        };
        let stdout = self
            .stdout
            .take()
            .map(|reader| reader.join().unwrap_or_default())
            .unwrap_or_default();
        self.collect_stderr(Duration::from_secs(5));
        Finished {
            command: std::mem::take(&mut self.command),
            status,
            stdout,
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    fn collect_stderr(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while let Ok(line) = self
            .stderr_lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.stderr.push_str(&line);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already ended and waited for in the ordinary case: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send_lines(mut pipe: impl std::io::BufRead, sender: &mpsc::Sender<String>) {
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if sender
            .send(String::from_utf8_lossy(&line).into_owned())
            .is_err()
        {
            return;
        }
        line.clear();
    }
}

// ------------------------------------------------------------------------------------------------------ collectors

/// A running NetFlow collector with its folder of flow files.
#[derive(Debug)]
pub struct Collector {
    service: Service,
    port: u16,
    dir: TempDir,
}

/// What a collector left behind.
#[derive(Debug)]
pub struct Collected {
    /// The collector, ended.
    pub finished: Finished,
    /// The folder of its files; removed when dropped.
    pub dir: TempDir,
}

impl Collected {
    /// The finished slot files `nfcapd.YYYYMMDDhhmm`, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        slot_files(self.dir.path())
    }

    /// The largest slot file: the one with the flows, should the run have crossed midnight.
    pub fn file(&self) -> PathBuf {
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let largest = self.files().into_iter().max_by_key(size);
        largest.unwrap_or_else(|| {
            panic!(
                "no slot file; {} said:\n{}",
                self.finished.command, self.finished.stderr
            )
        })
    }
}

impl Collector {
    /// Starts `t2collect` on a free UDP port of loopback; `extra` options follow.
    ///
    /// The slot is a day long, so that a test gets one file (or two, around midnight UTC).
    pub fn t2collect(extra: &[&str]) -> Self {
        let dir = temp_dir();
        let mut command = Command::new(program("t2collect"));
        command
            .args(["-b", "127.0.0.1", "-p", "0", "-t", "86400", "-w"])
            .arg(dir.path())
            .args(extra);
        let mut service = Service::spawn(command.stdin(Stdio::null()));
        let line = service.wait_for_line("listening on udp");
        let port = line
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok())
            .unwrap_or_else(|| panic!("no port at the end of {line:?}"));
        Self { service, port, dir }
    }

    /// Starts nfdump's `nfcapd` on a free UDP port of loopback; `None` (a visible skip) if it is not installed.
    pub fn nfcapd(extra: &[&str]) -> Option<Self> {
        let nfcapd = peer("nfcapd")?;
        let (dir, port) = (temp_dir(), free_udp_port());
        let mut command = Command::new(nfcapd);
        command
            .args([
                "-b",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-t",
                "86400",
                "-w",
            ])
            .arg(dir.path())
            .args(extra);
        let service = Service::spawn(command.stdin(Stdio::null()));
        wait_until(&format!("nfcapd listens on port {port}"), PATIENCE, || {
            listens_udp(port)
        });
        Some(Self { service, port, dir })
    }

    /// The UDP port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder it writes to.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The running process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Waits until its files, growing ones included, have so many flow records.
    pub fn wait_stored(&self, flows: usize) {
        let mut stored = 0;
        wait_until(
            &format!("{flows} flows are stored in {}", self.dir.path().display()),
            PATIENCE,
            || {
                stored = stored_flows(self.dir.path());
                stored >= flows
            },
        );
        assert_eq!(
            stored,
            flows,
            "flows stored in {}",
            self.dir.path().display()
        );
    }

    /// Waits until it has read everything that was sent to its UDP port, then ends it with SIGTERM.
    ///
    /// Over loopback a datagram is in the receiver's queue (or dropped) before the sender's call returns.
    pub fn stop(self) -> Collected {
        wait_drained(self.port);
        Collected {
            finished: self.service.terminate().success(),
            dir: self.dir,
        }
    }
}

/// The flow records in all nfcapd files of a folder, finished or growing; what cannot be read yet does not count.
pub fn stored_flows(dir: &Path) -> usize {
    let entries =
        fs::read_dir(dir).unwrap_or_else(|error| panic!("cannot list {}: {error}", dir.display()));
    let is_nfcapd = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("nfcapd"))
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(is_nfcapd)
        .map(|path| flows_in(&path))
        .sum()
}

fn flows_in(path: &Path) -> usize {
    let Ok(mut reader) = FileReader::open(path) else {
        return 0;
    };
    let mut flows = 0;
    while let Ok(Some(block)) = reader.next_block() {
        flows += block
            .records()
            .filter(|record| record.record_type == V3_RECORD)
            .count();
    }
    flows
}

/// The finished slot files of a folder, oldest first.
pub fn slot_files(dir: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(dir).unwrap_or_else(|error| panic!("cannot list {}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_prefix("nfcapd."))
                .is_some_and(|slot| {
                    slot.len() >= 12 && slot.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
        .collect();
    files.sort();
    files
}

// ------------------------------------------------------------------------------------------------- waiting

/// Polls until `done`; panics with `what` after `patience`.
pub fn wait_until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain until {what}"
        );
        thread::sleep(POLL);
    }
}

/// Whether a UDP socket is bound to a local port.
pub fn listens_udp(port: u16) -> bool {
    sockets("udp").iter().any(|socket| socket.port == port)
}

/// Waits until the receive queues of all UDP sockets on a local port stay empty.
pub fn wait_drained(port: u16) {
    let mut empty = 0;
    wait_until(
        &format!("the queue of UDP port {port} is empty"),
        PATIENCE,
        || {
            let queued = sockets("udp")
                .iter()
                .any(|socket| socket.port == port && socket.queued > 0);
            empty = if queued { 0 } else { empty + 1 };
            empty == 3
        },
    );
}

/// Waits until every TCP connection accepted on a local port has been read to its end and closed.
pub fn wait_closed(port: u16) {
    // States of /proc/net/tcp: 01 established, 08 close wait.
    wait_until(
        &format!("the connections to TCP port {port} are closed"),
        PATIENCE,
        || {
            !sockets("tcp")
                .iter()
                .any(|socket| socket.port == port && matches!(socket.state, 0x01 | 0x08))
        },
    );
}

/// How many datagrams the kernel has dropped for the UDP sockets on a local port, their queues being full.
pub fn dropped(port: u16) -> u64 {
    sockets("udp")
        .iter()
        .filter(|socket| socket.port == port)
        .map(|socket| socket.drops)
        .sum()
}

struct Socket {
    port: u16,
    state: u8,
    queued: u64,
    drops: u64,
}

/// All sockets of a protocol (`udp` or `tcp`), both address families, from /proc/net.
fn sockets(protocol: &str) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for file in [
        format!("/proc/net/{protocol}"),
        format!("/proc/net/{protocol}6"),
    ] {
        // Without IPv6 the second file does not exist.
        let text = fs::read_to_string(file).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(parse_socket));
    }
    sockets
}

/// One line of /proc/net/udp or tcp: `sl local:port remote:port st tx:rx …`; the last column of udp is `drops`.
fn parse_socket(line: &str) -> Option<Socket> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let port = u16::from_str_radix(columns.get(1)?.rsplit(':').next()?, 16).ok()?;
    let state = u8::from_str_radix(columns.get(3)?, 16).ok()?;
    let queued = u64::from_str_radix(columns.get(4)?.rsplit(':').next()?, 16).ok()?;
    let drops = columns
        .get(12)
        .and_then(|drops| drops.parse().ok())
        .unwrap_or(0);
    Some(Socket {
        port,
        state,
        queued,
        drops,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_collected() {
        let finished = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!(
            (
                finished.text().as_str(),
                finished.stderr.as_str(),
                finished.code()
            ),
            ("out\n", "err\n", Some(3))
        );
    }

    #[test]
    fn a_service_is_seen_to_start_and_terminated() {
        let script =
            "trap 'echo bye; exit 0' TERM; echo listening >&2; while :; do sleep 0.01; done";
        let mut service = Service::spawn(Command::new("sh").args(["-c", script]));
        assert_eq!(service.wait_for_line("listen"), "listening");
        assert_eq!(service.terminate().success().text(), "bye\n");
    }

    #[test]
    fn a_queue_is_drained_when_it_has_been_read() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let address = receiver.local_addr().expect("address");
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("bind")
            .send_to(b"x", address)
            .expect("send");
        let queued = |port| {
            sockets("udp")
                .iter()
                .any(|socket| socket.port == port && socket.queued > 0)
        };
        assert!(queued(address.port()));
        receiver.recv(&mut [0; 8]).expect("receive");
        wait_drained(address.port());
        assert!(!queued(address.port()));
        assert_eq!(dropped(address.port()), 0);
    }
}
