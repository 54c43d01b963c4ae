//! The command line of `t2x`: what may be written, not yet what it means together (that is [`config`](crate::config)).

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgGroup, Command, ValueEnum};

use crate::capture::MAX_FRAME;
use crate::config::setting::{Set, Setting, Settings};
use crate::config::table;
use crate::config::{Limit, Split};
use crate::dissect::{MAX_LABELS, Tunnel};
use crate::meter::{Metric, TcpTimeouts};
use crate::sink::text::Layout;

/// What was written on the command line: values of settings, not read yet, and what is to be done with them.
#[derive(Clone, Debug)]
pub struct Cli {
    given: Vec<(&'static str, OsString)>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// What is to be done.
    pub task: Task,
}

/// What the program is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// Read, meter and export.
    Run,
    /// Print the configuration in force.
    ShowConfig,
    /// See whether the configuration is right.
    CheckConfig,
}

/// The word that asks for the configuration in force.
const SHOW_CONFIG: &str = "config";

impl Cli {
    /// Reads the arguments of this program.
    ///
    /// # Errors
    /// When they cannot be understood, or help or version is asked for.
    pub fn try_parse() -> Result<Self, clap::Error> {
        Self::try_parse_from(std::env::args_os())
    }

    /// Reads `arguments`, of which the first is the program's name.
    ///
    /// # Errors
    /// When they cannot be understood, or help or version is asked for.
    pub fn try_parse_from(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(arguments)?;
        let mut given = Vec::new();
        for setting in table::all() {
            if let Some(values) = matches.get_raw(setting.name) {
                let between = if setting.words { " " } else { "," };
                let values: Vec<_> = values.collect();
                given.push((setting.name, values.join(OsStr::new(between))));
            }
        }
        let mut task = match matches.get_flag("check-config") {
            true => Task::CheckConfig,
            false => Task::Run,
        };
        // No filter is this word alone.
        if let Some(at) = given
            .iter()
            .position(|(name, words)| *name == "filter" && words == SHOW_CONFIG)
        {
            given.remove(at);
            task = Task::ShowConfig;
        }
        Ok(Cli {
            given,
            config: matches.get_one::<PathBuf>("config").cloned(),
            task,
        })
    }

    /// What was given for the setting of this name.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&OsStr> {
        let found = self.given.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| value.as_os_str())
    }
}

/// The command line, made from the table of settings.
#[must_use]
pub fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Configuration file: names of options and their values in TOML, or Tranalyzer's NAME = value");
    let check = Arg::new("check-config")
        .long("check-config")
        .action(ArgAction::SetTrue)
        .help("Only see whether options, environment and configuration file are right");
    Command::new("t2x")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Reads a capture or listens on an interface, makes flows of the packets and exports them as NetFlow v9 or IPFIX")
        .override_usage(USAGE)
        .max_term_width(100)
        .args_override_self(true)
        .after_help(after_help())
        .args(table::all().map(argument))
        .args([config, check])
        .group(ArgGroup::new("inputs").args(of_group("input")))
        .group(ArgGroup::new("outputs").args(of_group("output")))
        .group(ArgGroup::new("filters").args(of_group("filter")))
}

fn of_group(group: &'static str) -> impl Iterator<Item = &'static str> {
    let settings = table::all().filter(move |setting| setting.group == Some(group));
    settings.map(|setting| setting.name)
}

/// A setting as an option.
fn argument(setting: &'static Setting) -> Arg {
    let default = match setting.default.text() {
        "" => String::new(),
        text => format!(" [default: {text}]"),
    };
    let arg = Arg::new(setting.name)
        .value_name(setting.value)
        .help(format!("{}{default}", setting.help))
        .help_heading(setting.heading)
        .action(match setting.repeated {
            true => ArgAction::Append,
            false => ArgAction::Set,
        });
    let arg = match setting.words {
        true => arg.num_args(1..),
        false => arg.long(setting.name),
    };
    let arg = match setting.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    let checked = move |text: &str| {
        let read = setting.read(&mut Settings::default(), text.as_ref());
        read.map(|()| text.to_owned())
    };
    match setting.set {
        Set::Text(_) => arg.value_parser(checked),
        Set::Choice(words, _) => {
            let arg = arg.value_parser(PossibleValuesParser::new(words()));
            match setting.repeated {
                true => arg.value_delimiter(','),
                false => arg,
            }
        }
        Set::Path(_) => arg.value_parser(clap::value_parser!(PathBuf)),
        Set::Flag(_) => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("yes")
            .value_parser(checked),
    }
}

const USAGE: &str = "t2x [OPTIONS] [FILTER]...\n       t2x config [OPTIONS]";

fn after_help() -> String {
    let variables = table::all().filter_map(|setting| {
        let t2 = setting.t2.as_ref().filter(|t2| t2.variable)?;
        Some(format!("{} (--{})", t2.name, setting.name))
    });
    format!(
        "t2x config prints what is in force and from where: an option wins over the environment, that over the \
         configuration file, that over the default.\n\
         Environment: {}.\n\
         Exit codes: 0 fine, 1 failed, 2 wrong usage.",
        variables.collect::<Vec<_>>().join(", ")
    )
}

/// `--report`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReportForm {
    /// Lines, those that would say zero left out
    #[default]
    Text,
    /// One JSON object on one line
    Json,
}

/// Where flows go.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SinkKind {
    /// NetFlow v9 or IPFIX messages to a collector
    Netflow,
    /// Tranalyzer's text files PREFIX_flows.txt and PREFIX_headers.txt
    Text,
    /// PREFIX_flows.json, one object per flow and line, with the text columns' names
    Json,
    /// PREFIX.ipfix, IPFIX messages in a file (RFC 5655)
    IpfixFile,
    /// The same lines, text or JSON, to a program that listens (Tranalyzer's socketSink)
    Socket,
}

/// `--nf-version`, `NF_VER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// NetFlow v9 (RFC 3954).
    #[default]
    V9,
    /// IPFIX (RFC 7011).
    Ipfix,
}

/// `--nf-socktype`, `NF_SOCKTYPE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SocketType {
    /// One message a datagram.
    #[default]
    Udp,
    /// Messages in a stream.
    Tcp,
    /// Messages in a stream that nobody else reads.
    Tls,
}

impl SocketType {
    /// The transport's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SocketType::Udp => "UDP",
            SocketType::Tcp => "TCP",
            SocketType::Tls => "TLS",
        }
    }
}

/// `--sample-mode`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SampleMode {
    /// The first of every N packets
    #[default]
    Count,
    /// One of every N packets, at random
    Random,
}

/// `--rate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rate {
    /// As fast as the socket takes them.
    #[default]
    Unlimited,
    /// So many flows a second.
    PerSecond(u32),
}

/// `--export-time`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExportTime {
    /// The packet clock at the moment of export
    #[default]
    Packet,
    /// This machine's clock
    Now,
}

/// `--profile`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProfileKind {
    /// Tranalyzer's 23 fields in its order
    #[default]
    T2,
    /// The usual fields of IPFIX
    Standard,
}

impl ValueEnum for Metric {
    fn value_variants<'a>() -> &'a [Self] {
        &[Metric::L7, Metric::L4, Metric::Ip, Metric::L2]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(match self {
            Metric::L7 => "Layer 7 payload: IP length without IP and transport headers",
            Metric::L4 => "IP payload: with the transport header",
            Metric::Ip => "IP packets with their headers",
            Metric::L2 => "Frames as on the wire, without the padding of short frames",
        }))
    }
}

impl ValueEnum for Tunnel {
    fn value_variants<'a>() -> &'a [Self] {
        &[Tunnel::Inner, Tunnel::Outer]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Tunnel::Inner => PossibleValue::new("inner"),
            Tunnel::Outer => PossibleValue::new("outer"),
        })
    }
}

/// `--time-rule`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimeRule {
    /// The millisecond in which the packet was captured
    #[default]
    Exact,
    /// Early by the sub-second part of the first packet's time
    T2,
}

/// `9` or `10`.
///
/// # Errors
/// What is expected instead.
pub fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "9" => Ok(Version::V9),
        "10" => Ok(Version::Ipfix),
        _ => Err("9 or 10 expected".to_owned()),
    }
}

/// `udp`, `tcp` or `tls`, the first two also as T2's numbers.
///
/// # Errors
/// What is expected instead.
pub fn parse_socket_type(text: &str) -> Result<SocketType, String> {
    match text {
        "udp" | "0" => Ok(SocketType::Udp),
        "tcp" | "1" => Ok(SocketType::Tcp),
        "tls" => Ok(SocketType::Tls),
        _ => Err("udp (0), tcp (1) or tls expected".to_owned()),
    }
}

/// Collectors with commas between them: a host each, and a port behind a colon. An IPv6 address with a port stands in
/// brackets. Whether any other text is a host's name shows when it is looked up.
///
/// # Errors
/// What is wrong with one of them.
pub fn parse_collectors(text: &str) -> Result<Vec<(String, Option<u16>)>, String> {
    text.split(',')
        .map(|one| parse_collector(one.trim()))
        .collect()
}

fn parse_collector(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
            (host, Some(parse_port(port)?))
        }
        _ => (text, None),
    };
    if host.is_empty() {
        return Err("a name or an address expected".to_owned());
    }
    Ok((host.to_owned(), port))
}

/// `1:N`.
///
/// # Errors
/// What is expected instead.
pub fn parse_sample(text: &str) -> Result<u32, String> {
    let one_in = text.strip_prefix("1:").and_then(|n| parse_count(n).ok());
    one_in.ok_or_else(|| "1:N expected, such as 1:100".to_owned())
}

/// Any number.
///
/// # Errors
/// What is expected instead.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().ok();
    seed.ok_or_else(|| format!("a number from 0 to {} expected", u64::MAX))
}

/// Octets, also with a unit.
///
/// # Errors
/// What is expected instead.
pub fn parse_queue(text: &str) -> Result<usize, String> {
    let octets = octets(text).and_then(|octets| usize::try_from(octets).ok());
    octets.ok_or_else(|| "octets expected, also as 64K, 32M or 1G".to_owned())
}

/// A number with K, M or G behind it, or none of them.
fn octets(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    digits?.parse::<u64>().ok()?.checked_mul(unit)
}

/// A port that can be sent to.
///
/// # Errors
/// What is expected instead.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "a port from 1 to 65535 expected".to_owned())
}

/// A number that is not zero.
///
/// # Errors
/// What is expected instead.
pub fn parse_count(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("a number from 1 to {} expected", u32::MAX))
}

/// Any text may be the name of a host, a user or an interface: whether it is one shows when it is looked up.
///
/// # Errors
/// What is expected instead of nothing.
pub fn parse_name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name expected".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A number of 32 bits.
///
/// # Errors
/// What is expected instead.
pub fn parse_number(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number.ok_or_else(|| format!("a number from 0 to {} expected", u32::MAX))
}

/// A factor for the room for flows.
///
/// # Errors
/// What is expected instead.
pub fn parse_factor(text: &str) -> Result<u16, String> {
    let factor = text
        .parse()
        .ok()
        .filter(|factor| (1..=MAX_FACTOR).contains(factor));
    factor.ok_or_else(|| format!("a number from 1 to {MAX_FACTOR} expected"))
}

/// Of room for flows: 2^30 of them.
const MAX_FACTOR: u16 = 4096;

/// A number of MPLS labels.
///
/// # Errors
/// What is expected instead.
pub fn parse_labels(text: &str) -> Result<u8, String> {
    let labels = text
        .parse()
        .ok()
        .filter(|labels| usize::from(*labels) <= MAX_LABELS);
    labels.ok_or_else(|| format!("a number from 0 to {MAX_LABELS} expected"))
}

/// Octets of a message.
///
/// # Errors
/// What is expected instead.
pub fn parse_mtu(text: &str) -> Result<u16, String> {
    let mtu = text
        .parse()
        .ok()
        .filter(|mtu| (MIN_MTU..=MAX_MTU).contains(mtu));
    mtu.ok_or_else(|| format!("a number from {MIN_MTU} to {MAX_MTU} expected"))
}

/// Room for both templates in one message.
const MIN_MTU: u16 = 300;

/// The longest message of IPFIX. A datagram is no longer than its path takes.
const MAX_MTU: u16 = u16::MAX;

/// Flows a second, or `unlimited`.
///
/// # Errors
/// What is expected instead.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "unlimited" {
        return Ok(Rate::Unlimited);
    }
    let rate = text.parse().ok().filter(|rate| *rate > 0);
    let rate = rate.map(Rate::PerSecond);
    rate.ok_or_else(|| "a number of flows per second, or unlimited, expected".to_owned())
}

/// A duration in seconds, not zero.
///
/// # Errors
/// What is expected instead.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|s| *s > 0.0 && *s <= MAX_SECONDS);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("seconds, above 0 and up to {MAX_SECONDS}, expected"))
}

/// A size: a number, also as 1.5, 1e5 or 10K (M, G), of octets or, with an f behind it, of flows.
///
/// # Errors
/// What is expected instead.
pub fn parse_split(text: &str) -> Result<(PathBuf, Split), String> {
    let (rest, start) = match text.rsplit_once(',') {
        None => (text, 0),
        Some((rest, start)) => {
            let number = start.parse();
            let number =
                number.map_err(|_| format!("a number expected behind the comma, not {start}"))?;
            (rest, number)
        }
    };
    let (prefix, limit) = match rest.rsplit_once(':') {
        None => (rest, Limit::Octets(DEFAULT_SPLIT)),
        Some((prefix, size)) => (prefix, parse_limit(size)?),
    };
    if prefix.is_empty() || prefix == "-" {
        return Err("the prefix of the files' names expected".to_owned());
    }
    Ok((prefix.into(), Split { limit, start }))
}

/// Octets of a file unless told otherwise, as in Tranalyzer.
const DEFAULT_SPLIT: u64 = 500_000_000;

fn parse_limit(text: &str) -> Result<Limit, String> {
    let (size, of_flows) = match text.strip_suffix('f') {
        Some(size) => (size, true),
        None => (text, false),
    };
    let (number, unit) = match size.as_bytes().last() {
        Some(b'K') => (size.strip_suffix('K'), 1e3),
        Some(b'M') => (size.strip_suffix('M'), 1e6),
        Some(b'G') => (size.strip_suffix('G'), 1e9),
        _ => (Some(size), 1.0),
    };
    let number = number.and_then(|number| number.parse::<f64>().ok());
    let size = number.map(|number| number * unit);
    let size = size.filter(|size| (1.0..=1e18).contains(size));
    match size {
        Some(size) if of_flows => Ok(Limit::Flows(size as u64)),
        Some(size) => Ok(Limit::Octets(size as u64)),
        None => Err(format!(
            "a size of at least 1 expected, such as 1.5M octets or 10Kf flows, not {text}"
        )),
    }
}

/// `text` or `json`.
///
/// # Errors
/// What is expected instead.
pub fn parse_content(text: &str) -> Result<Layout, String> {
    match text {
        "text" | "1" => Ok(Layout::Columns),
        "json" | "2" => Ok(Layout::Json),
        _ => Err("text (1) or json (2) expected".to_owned()),
    }
}

/// A duration, or `never`.
///
/// # Errors
/// What is expected instead.
pub fn parse_active(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "never" => Ok(None),
        text => match parse_seconds(text) {
            Ok(duration) => Ok(Some(duration)),
            Err(expected) => Err(format!("never, or {expected}")),
        },
    }
}

/// Octets of the kernel's buffer.
///
/// # Errors
/// What is expected instead.
pub fn parse_buffer(text: &str) -> Result<u32, String> {
    let octets = octets(text).and_then(|octets| u32::try_from(octets).ok());
    let octets = octets.filter(|octets| (MIN_BUFFER..=MAX_BUFFER).contains(octets));
    octets.ok_or_else(|| {
        format!("octets from {MIN_BUFFER} to {MAX_BUFFER} expected, also as 64K, 32M or 1G")
    })
}

/// Room for the longest frame.
const MIN_BUFFER: u32 = 1 << 18;

/// libpcap takes a signed number of 32 bits.
const MAX_BUFFER: u32 = 1 << 30;

/// Octets of a packet that are looked at.
///
/// # Errors
/// What is expected instead.
pub fn parse_snap_length(text: &str) -> Result<u32, String> {
    let octets = text.parse().ok();
    let octets = octets.filter(|octets| (MIN_SNAP..=MAX_FRAME).contains(octets));
    octets.ok_or_else(|| format!("octets from {MIN_SNAP} to {MAX_FRAME} expected"))
}

/// Link, IP and ports.
const MIN_SNAP: u32 = 64;

/// An address and a port to listen on.
///
/// # Errors
/// What is expected instead.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok();
    address.ok_or_else(|| "ADDRESS:PORT expected, such as 127.0.0.1:9100".to_owned())
}

/// Five durations in seconds.
///
/// # Errors
/// What is expected instead.
pub fn parse_tcp_timeouts(text: &str) -> Result<TcpTimeouts, String> {
    let seconds: Vec<Duration> = text
        .split(',')
        .map(parse_seconds)
        .collect::<Result<_, _>>()?;
    match seconds[..] {
        [new, established, closing, closed, reset] => Ok(TcpTimeouts {
            new,
            established,
            closing,
            closed,
            reset,
        }),
        _ => Err("five times in seconds, with commas between them, expected".to_owned()),
    }
}

/// Longer than any capture: a century.
const MAX_SECONDS: f64 = 3_155_760_000.0;

/// What is wrong with the command line of a program, in one line: clap's sentence and its tips without the usage
/// below.
#[must_use]
pub fn one_line(program: &str, error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
    let lines = lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more"));
    let text = lines.collect::<Vec<_>>().join("; ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    format!("{text} ({program} --help tells more)")
}
