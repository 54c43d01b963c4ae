//! The command line of `t2x`: what may be written, not yet what it means together (that is [`config`](crate::config)).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};

use crate::capture::MAX_FRAME;
use crate::dissect::Tunnel;
use crate::meter::{Metric, TcpTimeouts};

/// Reads a capture or listens on an interface, makes flows of the packets and exports them as NetFlow v9 or IPFIX.
#[derive(Parser, Clone, Debug)]
#[command(name = "t2x", version, max_term_width = 100, args_override_self = true, after_help = ENVIRONMENT)]
pub struct Cli {
    /// Capture to read (pcap or pcapng, also compressed with gzip, Zstandard or LZ4); - reads standard input
    #[arg(short = 'r', value_name = "FILE|-", group = "input")]
    pub read: Option<PathBuf>,
    /// List of captures, one file a line, that are read as one; - reads the list from standard input
    #[arg(short = 'R', value_name = "LIST|-", group = "input")]
    pub read_list: Option<PathBuf>,
    /// Interface to listen on, any for all of them, until it is stopped with SIGINT or SIGTERM
    #[arg(short = 'i', value_name = "IFACE", group = "input")]
    pub interface: Option<String>,
    /// Only packets that this filter wants (libpcap's language, see pcap-filter(7))
    #[arg(value_name = "FILTER", conflicts_with = "filter_file")]
    pub filter: Vec<String>,
    /// File with such a filter
    #[arg(short = 'F', value_name = "FILE")]
    pub filter_file: Option<PathBuf>,
    /// Prefix, or directory, of the files that --sink text and --sink json write; - writes the flows to standard output [default: the name of capture or list without suffix]
    #[arg(short = 'w', value_name = "PREFIX")]
    pub write: Option<PathBuf>,
    /// Where flows go; may be repeated, only the named sinks run [default: netflow]
    #[arg(long, value_name = "SINK", value_delimiter = ',')]
    pub sink: Vec<SinkKind>,

    /// Form of the end report on standard error: text, or one JSON object
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub report: ReportForm,

    /// The kernel's buffer for packets, with K, M or G octets
    #[arg(short = 'B', value_name = "BYTES", value_parser = parse_buffer, default_value = "32M", help_heading = LIVE)]
    pub buffer: u32,
    /// Octets of a packet that are looked at
    #[arg(short = 'S', value_name = "BYTES", value_parser = parse_snap_length, default_value = "65535", help_heading = LIVE)]
    pub snap_length: u32,
    /// Only packets from and to this machine
    #[arg(long, help_heading = LIVE)]
    pub no_promiscuous: bool,
    /// Read and meter packets on one thread, without a buffer between (Tranalyzer's IO_BUFFERING=0)
    #[arg(long, help_heading = LIVE)]
    pub no_io_buffering: bool,
    /// Become this user once interface, collectors and files are open
    #[arg(long, value_name = "USER", help_heading = LIVE)]
    pub user: Option<String>,
    /// Tell every so many seconds what was counted, on standard error in the form of the end report. SIGUSR1 asks for it once, SIGUSR2 turns it on and off
    #[arg(short = 'M', value_name = "SEC", value_parser = parse_seconds, help_heading = LIVE)]
    pub monitor: Option<Duration>,
    /// Show counters over HTTP: /metrics for Prometheus, /healthz
    #[arg(long, value_name = "ADDR:PORT", help_heading = LIVE)]
    pub metrics: Option<SocketAddr>,

    /// NetFlow version: 9, or 10 for IPFIX [default: 9]
    #[arg(long, value_name = "9|10", value_parser = parse_version, help_heading = EXPORT)]
    pub nf_version: Option<Version>,
    /// The collector's name or address [default: 127.0.0.1]
    #[arg(long, value_name = "HOST", help_heading = EXPORT)]
    pub nf_addr: Option<String>,
    /// The collector's port [default: 9995]
    #[arg(long, value_name = "N", value_parser = parse_port, help_heading = EXPORT)]
    pub nf_port: Option<u16>,
    /// How messages travel [default: udp]
    #[arg(long, value_name = "udp|tcp", value_parser = parse_socket_type, help_heading = EXPORT)]
    pub nf_socktype: Option<SocketType>,
    /// Most IPv4 flows in one message [default: 200]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = EXPORT)]
    pub nf_num4flws: Option<u32>,
    /// Most IPv6 flows in one message [default: 100]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = EXPORT)]
    pub nf_num6flws: Option<u32>,
    /// Octets of a message at most, without IP and UDP headers [default: 1400]
    #[arg(long, value_name = "BYTES", value_parser = parse_mtu, help_heading = EXPORT)]
    pub mtu: Option<u16>,
    /// Flows sent per second [default: 100000 over UDP, unlimited over TCP]
    #[arg(long, value_name = "N|unlimited", value_parser = parse_rate, help_heading = EXPORT)]
    pub rate: Option<Rate>,
    /// Source id (v9) or observation domain (IPFIX) [default: 666 with profile t2, 0 with standard]
    #[arg(short = 'x', long, value_name = "N", help_heading = EXPORT)]
    pub source_id: Option<u32>,
    /// Templates are sent again after so many seconds of the export clock
    #[arg(long, value_name = "SECONDS", value_parser = parse_count, default_value = "60", help_heading = EXPORT)]
    pub template_refresh: u32,
    /// Templates are sent again after so many messages
    #[arg(long, value_name = "N", value_parser = parse_count, default_value = "20", help_heading = EXPORT)]
    pub template_refresh_messages: u32,
    /// Clock of the message headers: the capture's or this machine's [default: packet, with -i now]
    #[arg(long, value_name = "CLOCK", help_heading = EXPORT)]
    pub export_time: Option<ExportTime>,
    /// Fields of a record: Tranalyzer's, or those of the IPFIX standard [default: t2 for version 9, standard for 10]
    #[arg(long, value_name = "PROFILE", help_heading = EXPORT)]
    pub profile: Option<ProfileKind>,
    /// What octet counts count: layer 7 payload, IP payload, IP packets or frames [default: l7 with profile t2 and in text, ip with profile standard]
    #[arg(long, value_name = "METRIC", help_heading = METER)]
    pub bytes: Option<Metric>,
    /// Exact flow times, or early ones as Tranalyzer's old export had them, to compare with published results
    #[arg(long, value_name = "RULE", default_value = "exact", help_heading = EXPORT)]
    pub time_rule: TimeRule,

    /// A flow ends after so many seconds without a packet
    #[arg(long, value_name = "S", value_parser = parse_seconds, default_value = "182", help_heading = METER)]
    pub idle_timeout: Duration,
    /// A flow is cut at the first packet so many seconds after its first one [default: never, with -i 300]
    #[arg(long, value_name = "S|never", value_parser = parse_active_timeout, help_heading = METER)]
    pub active_timeout: Option<ActiveTimeout>,
    /// Time-outs of the TCP states: connecting, established, closing, closed, reset
    #[arg(long, value_name = "NEW,EST,CLOSING,CLOSED,RESET", value_parser = parse_tcp_timeouts, default_value = "120,610,120,10,0.1", help_heading = METER)]
    pub tcp_timeouts: TcpTimeouts,
    /// Room for so many times 262144 flows at a time; above it the least recently used ones end early
    #[arg(short = 'f', value_name = "N", value_parser = parse_factor, default_value = "1", help_heading = METER)]
    pub hash_factor: u16,
    /// Which packet of a tunnel counts: the innermost one or the outermost one
    #[arg(long, value_name = "PACKET", default_value = "inner", help_heading = METER)]
    pub tunnel: Tunnel,
}

const LIVE: &str = "Live";
const EXPORT: &str = "NetFlow export";
const METER: &str = "Flows";
const ENVIRONMENT: &str = "Environment, where an option is not given: NF_VER, NF_SERVADD, NF_DPORT, \
    NF_SOCKTYPE (0 or udp, 1 or tcp), NF_NUM4FLWS, NF_NUM6FLWS.\n\
    Exit codes: 0 fine, 1 failed, 2 wrong usage.";

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
}

/// `--nf-version`, `NF_VER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// NetFlow v9 (RFC 3954).
    V9,
    /// IPFIX (RFC 7011).
    Ipfix,
}

/// `--nf-socktype`, `NF_SOCKTYPE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketType {
    /// One message a datagram.
    Udp,
    /// Messages in a stream.
    Tcp,
}

/// `--rate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// As fast as the socket takes them.
    Unlimited,
    /// So many flows a second.
    PerSecond(u32),
}

/// `--export-time`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportTime {
    /// The packet clock at the moment of export
    Packet,
    /// This machine's clock
    Now,
}

/// `--active-timeout`: `None` is never.
pub type ActiveTimeout = Option<Duration>;

/// `--profile`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfileKind {
    /// Tranalyzer's 23 fields in its order
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

/// `udp` or `tcp`, also as T2's numbers.
///
/// # Errors
/// What is expected instead.
pub fn parse_socket_type(text: &str) -> Result<SocketType, String> {
    match text {
        "udp" | "0" => Ok(SocketType::Udp),
        "tcp" | "1" => Ok(SocketType::Tcp),
        _ => Err("udp (0) or tcp (1) expected".to_owned()),
    }
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

fn parse_factor(text: &str) -> Result<u16, String> {
    let factor = text
        .parse()
        .ok()
        .filter(|factor| (1..=MAX_FACTOR).contains(factor));
    factor.ok_or_else(|| format!("a number from 1 to {MAX_FACTOR} expected"))
}

/// Of room for flows: 2^30 of them.
const MAX_FACTOR: u16 = 4096;

fn parse_mtu(text: &str) -> Result<u16, String> {
    let mtu = text
        .parse()
        .ok()
        .filter(|mtu| (MIN_MTU..=MAX_MTU).contains(mtu));
    mtu.ok_or_else(|| format!("a number from {MIN_MTU} to {MAX_MTU} expected"))
}

/// Room for both templates in one message.
const MIN_MTU: u16 = 300;

/// The longest UDP payload over IPv4.
const MAX_MTU: u16 = 65_507;

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "unlimited" {
        return Ok(Rate::Unlimited);
    }
    let rate = text.parse().ok().filter(|rate| *rate > 0);
    let rate = rate.map(Rate::PerSecond);
    rate.ok_or_else(|| "a number of flows per second, or unlimited, expected".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|s| *s > 0.0 && *s <= MAX_SECONDS);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("seconds, above 0 and up to {MAX_SECONDS}, expected"))
}

fn parse_active_timeout(text: &str) -> Result<ActiveTimeout, String> {
    if text == "never" {
        return Ok(None);
    }
    parse_seconds(text)
        .map(Some)
        .map_err(|expected| format!("{expected}, or never"))
}

fn parse_buffer(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    let octets = digits.and_then(|digits| digits.parse::<u32>().ok()?.checked_mul(unit));
    let octets = octets.filter(|octets| (MIN_BUFFER..=MAX_BUFFER).contains(octets));
    octets.ok_or_else(|| {
        format!("octets from {MIN_BUFFER} to {MAX_BUFFER} expected, also as 64K, 32M or 1G")
    })
}

/// Room for the longest frame.
const MIN_BUFFER: u32 = 1 << 18;

/// libpcap takes a signed number of 32 bits.
const MAX_BUFFER: u32 = 1 << 30;

fn parse_snap_length(text: &str) -> Result<u32, String> {
    let octets = text.parse().ok();
    let octets = octets.filter(|octets| (MIN_SNAP..=MAX_FRAME).contains(octets));
    octets.ok_or_else(|| format!("octets from {MIN_SNAP} to {MAX_FRAME} expected"))
}

/// Link, IP and ports.
const MIN_SNAP: u32 = 64;

fn parse_tcp_timeouts(text: &str) -> Result<TcpTimeouts, String> {
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
