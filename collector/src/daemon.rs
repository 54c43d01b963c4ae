//! `-D`, `-P`, `-u` and `-g`: the background, the file with the number of the process, and giving up root's rights.
//!
//! The program is started anew for the background rather than forked, so that no thread is lost on the way. Whoever
//! started it sees what it says, and its exit code, until everything is ready.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio, id};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use service::user::become_user;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Config;

/// Set for the process in the background.
pub const MARK: &str = "T2COLLECT_IN_BACKGROUND";
/// What that process says on stderr, as the last thing, when it is ready.
const READY: &str = "\u{1}ready";

static TO_SYSLOG: AtomicBool = AtomicBool::new(false);

/// Whether this is the process in the background.
#[must_use]
pub fn is_background() -> bool {
    env::var_os(MARK).is_some()
}

/// Starts the same command line in the background and waits until that is ready, or has failed.
///
/// # Errors
/// It cannot be started.
pub fn start(arguments: &[OsString]) -> io::Result<ExitCode> {
    let (name, rest) = arguments
        .split_first()
        .ok_or_else(|| io::Error::other("no name of the program"))?;
    let mut child = Command::new(env::current_exe()?)
        .arg0(name)
        .args(rest)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(said) = child.stderr.take() {
        for line in BufReader::new(said).lines() {
            let line = line?;
            if line == READY {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("{line}");
        }
    }
    let code = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Leaves the terminal, as the first thing in the background.
pub fn leave_terminal() {
    // It fails only for the leader of a group of processes, which has no terminal to leave.
    let _ = setsid();
}

/// Everything is ready: from now on messages of a process in the background go to syslog.
///
/// # Errors
/// There is no /dev/null.
pub fn ready(config: &Config) -> anyhow::Result<()> {
    if !config.daemon || !is_background() {
        return Ok(());
    }
    let _ = writeln!(io::stderr(), "{READY}");
    TO_SYSLOG.store(true, Ordering::Relaxed);
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// Becomes the user and group asked for, once the ports are open.
///
/// # Errors
/// There is no such user or group, or the system refuses.
pub fn give_up_rights(config: &Config) -> anyhow::Result<()> {
    let group = config.group.as_deref();
    match &config.user {
        Some(user) => become_user(user, group)?,
        None if group.is_some() => become_user(&nix::unistd::geteuid().to_string(), group)?,
        None => {}
    }
    Ok(())
}

/// A file with the number of the process, as long as this lives.
#[derive(Debug)]
pub struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes the file that was asked for, if one was.
    ///
    /// # Errors
    /// The collector that it names still runs, or it cannot be written.
    pub fn write(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let shown = || format!("PID file {}", path.display());
        if let Ok(text) = fs::read_to_string(path)
            && let Ok(pid) = text.trim().parse()
            && pid != id()
            && is_collector(pid)
        {
            bail!("{}: another collector runs as process {pid}", shown());
        }
        fs::write(path, format!("{}\n", id())).with_context(shown)?;
        let path = path.canonicalize().with_context(shown)?;
        Ok(Self(Some(path)))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Without root's rights the directory may be out of reach; a file of a dead process does no harm.
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a process of this number runs and is a collector.
#[must_use]
pub fn is_collector(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| matches!(name.trim_end(), "t2collect" | "nfcapd"))
}

/// Where messages go: stderr, or syslog once the program is in the background.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter;

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Box<dyn Write>;

    fn make_writer(&'a self) -> Self::Writer {
        if TO_SYSLOG.load(Ordering::Relaxed) {
            Box::new(Syslog { severity: 6 })
        } else {
            Box::new(io::stderr())
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        if !TO_SYSLOG.load(Ordering::Relaxed) {
            return self.make_writer();
        }
        let severity = match *meta.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        Box::new(Syslog { severity })
    }
}

/// A message to the system's log (RFC 3164, facility daemon).
struct Syslog {
    severity: u8,
}

impl Write for Syslog {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        const FACILITY: u8 = 3 << 3;
        let text = String::from_utf8_lossy(message);
        let line = format!(
            "<{}>t2collect[{}]: {}",
            FACILITY | self.severity,
            id(),
            text.trim_end()
        );
        // Without a log daemon there is nobody to tell.
        let _ =
            UnixDatagram::unbound().and_then(|socket| socket.send_to(line.as_bytes(), "/dev/log"));
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
