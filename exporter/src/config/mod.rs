//! What `t2x` is to do: the [table] of settings, who has [set](resolve) them, and what they mean together, checked
//! once and complete.

mod file;
mod netflow;
mod print;
pub mod resolve;
pub mod setting;
pub mod table;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::STDIN;
use crate::cli::{Cli, Rate, ReportForm, SinkKind, SocketType};
use crate::dissect::Tunnel;
use crate::inputs::Rotation;
use crate::meter::{MeterConfig, Metric};
use crate::sink::text::Layout;

pub use netflow::{Collector, Destination, NetflowConfig, Reconnect, Sampling};
pub use resolve::Resolution;
use setting::Settings;

/// Everything [`run`](crate::run::run) needs to know.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// What is read.
    pub input: Input,
    /// Which packets of it, in libpcap's language.
    pub filter: Option<FilterText>,
    /// Form of the end report.
    pub report: ReportForm,
    /// Exports as NetFlow or IPFIX, one for each destination.
    pub netflow: Vec<NetflowConfig>,
    /// Which packets are chosen, if not all are.
    pub sampling: Option<Sampling>,
    /// The text sink, if it runs.
    pub text: Option<TextOutput>,
    /// The JSON sink, if it runs.
    pub json: Option<TextOutput>,
    /// The socket sink, if it runs.
    pub socket: Option<SocketConfig>,
    /// Where packets are printed to, if they are.
    pub packets: Option<PathBuf>,
    /// Where the end report goes, if not to standard error.
    pub log: Option<PathBuf>,
    /// What the octet columns of all three count.
    pub text_metric: Metric,
    /// Which packet of a tunnel counts.
    pub tunnel: Tunnel,
    /// How flows are told apart and when they end.
    pub meter: MeterConfig,
    /// Whose process it becomes once everything is open.
    pub user: Option<String>,
    /// How often it is told what was counted.
    pub monitor: Option<Duration>,
    /// Where they go, if not to standard error.
    pub monitor_file: Option<PathBuf>,
    /// Where counters are shown over HTTP.
    pub metrics: Option<SocketAddr>,
}

/// What is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Captures, to their end.
    Captures(Captures),
    /// Packets of an interface as they arrive.
    Live(LiveConfig),
}

/// Captures that are read; `-` is standard input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Captures {
    /// One capture.
    One(PathBuf),
    /// The captures that a file lists.
    List(PathBuf),
    /// Numbered captures, as they appear.
    Follow(Rotation),
}

/// How an interface is listened on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveConfig {
    /// Its name; `any` is all of them.
    pub interface: String,
    /// Octets of the kernel's buffer.
    pub buffer: u32,
    /// Octets of a packet that are kept.
    pub snap_length: u32,
    /// Whether packets of other machines count.
    pub promiscuous: bool,
    /// Whether packets are read on a thread of their own.
    pub buffered: bool,
}

impl Captures {
    /// What was named on the command line.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Captures::One(path) | Captures::List(path) => path.clone(),
            Captures::Follow(rotation) => rotation.to_string().replace('*', "").into(),
        }
    }
}

impl Input {
    /// What output files are named after.
    fn stem(&self) -> PathBuf {
        match self {
            Input::Live(live) => PathBuf::from(&live.interface),
            Input::Captures(captures) if captures.path() == Path::new(STDIN) => "stdin".into(),
            Input::Captures(captures) => without_suffix(&captures.path()),
        }
    }
}

/// Where a filter is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilterText {
    /// On the command line.
    Words(String),
    /// In a file.
    File(PathBuf),
}

/// Where the text sink writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextOutput {
    /// Flows to standard output, no headers file.
    Stdout,
    /// `PREFIX_flows.txt` and `PREFIX_headers.txt`.
    Prefix(PathBuf),
    /// The same, the flows in several files.
    Split(PathBuf, Split),
}

/// When a file of flows is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    /// What a file may hold.
    pub limit: Limit,
    /// Number of the first file.
    pub start: u64,
}

/// What a file may hold. The flow that reaches it is its last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// So many octets.
    Octets(u64),
    /// So many flows.
    Flows(u64),
}

/// The socket sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketConfig {
    /// Name or address of who listens.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// UDP or TCP.
    pub socket_type: SocketType,
    /// What is sent.
    pub content: Layout,
    /// Flows per second over UDP.
    pub rate: Rate,
    /// Whether the reading of packets may wait for the peer. Those of an interface do not wait.
    pub may_wait: bool,
}

/// A command line, or an environment, that makes no sense. Exit code 2.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsageError {
    /// No input named.
    #[error(
        "nothing to read: give a capture with -r FILE, standard input with -r -, a list of captures with -R LIST, numbered ones with -D EXPR, or an interface with -i IFACE"
    )]
    NoInput,
    /// Both text sinks to standard output.
    #[error("-w -: only one of the sinks text, json and ipfix-file can write to standard output")]
    TwoOnStdout,
    /// What only IPFIX can do.
    #[error("{0} is for IPFIX only: give --nf-version 10")]
    NotInV9(&'static str),
    /// A variable with a value that its option would refuse.
    #[error("environment variable {name}={value}: {expected}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// An option with such a value.
    #[error("invalid value '{value}' for '--{name}': {expected}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// What is wrong with the configuration file: place and sentence, one each line.
    #[error("{}", .0.join("\n"))]
    File(Vec<String>),
}

impl Config {
    /// Puts command line, environment (`variable` looks up a name), configuration file and defaults together.
    ///
    /// # Errors
    /// When there is nothing to read, or a value makes no sense.
    pub fn new(
        cli: &Cli,
        variable: &dyn Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        Self::from_settings(&Resolution::new(cli, variable)?.settings)
    }

    /// Checks what all settings mean together.
    ///
    /// # Errors
    /// When there is nothing to read, or settings exclude each other.
    pub fn from_settings(settings: &Settings) -> Result<Self, UsageError> {
        let input = input(settings).ok_or(UsageError::NoInput)?;
        let filter = match &settings.filter_file {
            Some(file) => Some(FilterText::File(file.clone())),
            None => settings.filter.clone().map(FilterText::Words),
        };
        let runs = |kind| settings.sink.contains(&kind);
        let output = || text_output(settings, &input);
        let text = runs(SinkKind::Text).then(output);
        let json = runs(SinkKind::Json).then(output);
        let file = runs(SinkKind::IpfixFile).then(output);
        let outputs = [&text, &json, &file];
        let on_stdout = outputs
            .iter()
            .filter(|output| ***output == Some(TextOutput::Stdout));
        if on_stdout.count() > 1 {
            return Err(UsageError::TwoOnStdout);
        }
        let mut netflow = Vec::new();
        if runs(SinkKind::Netflow) {
            netflow = NetflowConfig::to_collectors(settings)?;
        }
        netflow.extend(file.map(|file| NetflowConfig::to_file(settings, file)));
        let meter = MeterConfig {
            idle_timeout: settings.idle_timeout,
            active_timeout: settings.active_timeout,
            tcp_timeouts: settings.tcp_timeouts,
            wide: match settings.bytes {
                Some(wide @ (Metric::L4 | Metric::L2)) => wide,
                Some(Metric::L7 | Metric::Ip) | None => Metric::Ip,
            },
            max_flows: usize::from(settings.hash_factor) * MeterConfig::default().max_flows,
            text: text.is_some()
                || json.is_some()
                || runs(SinkKind::Socket)
                || settings.packet_mode,
        };
        let beside = |ending: &str| {
            let mut name = match output() {
                TextOutput::Prefix(prefix) | TextOutput::Split(prefix, _) => prefix,
                TextOutput::Stdout => input.stem(),
            };
            name.as_mut_os_string().push(ending);
            name
        };
        let log = settings.log_file.then(|| beside("_log.txt"));
        let monitor_file = settings.monitor_file.then(|| beside("_monitoring.txt"));
        let packets = settings.packet_mode.then(|| beside("_packets.txt"));
        Ok(Config {
            user: settings.user.clone(),
            monitor: settings.monitor,
            monitor_file,
            metrics: settings.metrics,
            input,
            filter,
            report: settings.report,
            netflow,
            sampling: Sampling::new(settings),
            socket: runs(SinkKind::Socket).then(|| SocketConfig {
                host: settings.socket_addr.clone(),
                port: settings.socket_port,
                socket_type: settings.socket_type,
                content: settings.socket_content,
                rate: settings.rate,
                may_wait: settings.interface.is_none(),
            }),
            log,
            packets,
            text,
            json,
            text_metric: settings.bytes.unwrap_or(Metric::L7),
            tunnel: settings.tunnel,
            meter,
        })
    }
}

fn input(settings: &Settings) -> Option<Input> {
    if let Some(capture) = &settings.read {
        return Some(Input::Captures(Captures::One(capture.clone())));
    }
    if let Some(list) = &settings.read_list {
        return Some(Input::Captures(Captures::List(list.clone())));
    }
    if let Some(rotation) = &settings.follow {
        return Some(Input::Captures(Captures::Follow(rotation.clone())));
    }
    settings.interface.as_ref().map(|interface| {
        Input::Live(LiveConfig {
            interface: interface.clone(),
            buffer: settings.buffer,
            snap_length: settings.snap_length,
            promiscuous: !settings.no_promiscuous,
            buffered: !settings.no_io_buffering,
        })
    })
}

fn text_output(settings: &Settings, input: &Input) -> TextOutput {
    let stem = input.stem();
    let prefix = match &settings.write {
        None => stem,
        Some(write) if write == Path::new(STDIN) => return TextOutput::Stdout,
        Some(write) if write.is_dir() => write.join(stem.file_name().unwrap_or_default()),
        Some(write) => write.clone(),
    };
    match settings.split {
        Some(split) => TextOutput::Split(prefix, split),
        None => TextOutput::Prefix(prefix),
    }
}

/// `dir/some.pcap.gz` is `dir/some`: what a compression adds to the name is no part of it.
fn without_suffix(input: &Path) -> PathBuf {
    let suffix = input.extension().and_then(|suffix| suffix.to_str());
    let name = input.with_extension("");
    match suffix {
        Some("gz" | "zst" | "lz4" | "xz" | "bz2") => name.with_extension(""),
        _ => name,
    }
}
