//! What `t2x` is to do: command line over environment over default, checked once and complete.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::STDIN;
use crate::cli::{
    self, Cli, ExportTime, ProfileKind, Rate, ReportForm, SinkKind, SocketType, TimeRule, Version,
};
use crate::dissect::Tunnel;
use crate::meter::{MeterConfig, Metric};

/// Everything [`run`](crate::run::run) needs to know.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// What is read.
    pub input: Input,
    /// Which packets of it, in libpcap's language.
    pub filter: Option<FilterText>,
    /// Form of the end report.
    pub report: ReportForm,
    /// The NetFlow sink, if it runs.
    pub netflow: Option<NetflowConfig>,
    /// The text sink, if it runs.
    pub text: Option<TextOutput>,
    /// The JSON sink, if it runs.
    pub json: Option<TextOutput>,
    /// What the octet columns of both count.
    pub text_metric: Metric,
    /// Which packet of a tunnel counts.
    pub tunnel: Tunnel,
    /// How flows are told apart and when they end.
    pub meter: MeterConfig,
    /// Whose process it becomes once everything is open.
    pub user: Option<String>,
    /// How often it is told what was counted.
    pub monitor: Option<Duration>,
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
    pub fn path(&self) -> &Path {
        match self {
            Captures::One(path) | Captures::List(path) => path,
        }
    }
}

impl Input {
    /// What output files are named after.
    fn stem(&self) -> PathBuf {
        match self {
            Input::Live(live) => PathBuf::from(&live.interface),
            Input::Captures(captures) if captures.path() == Path::new(STDIN) => "stdin".into(),
            Input::Captures(captures) => without_suffix(captures.path()),
        }
    }

    fn is_live(&self) -> bool {
        matches!(self, Input::Live(_))
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

/// The NetFlow sink and its way to the collector.
#[derive(Clone, PartialEq, Debug)]
pub struct NetflowConfig {
    /// NetFlow v9 or IPFIX.
    pub version: Version,
    /// The collector's name or address.
    pub host: String,
    /// The collector's port.
    pub port: u16,
    /// UDP or TCP.
    pub socket_type: SocketType,
    /// Most records of one message, IPv4 and IPv6.
    pub max_records: [u32; 2],
    /// Most octets of one message.
    pub max_message: usize,
    /// Flows per second.
    pub rate: Rate,
    /// Source id or observation domain.
    pub source_id: u32,
    /// Templates come again after so long on the export clock.
    pub refresh_interval: Duration,
    /// Templates come again after so many messages.
    pub refresh_messages: u32,
    /// Clock of the message headers.
    pub export_time: ExportTime,
    /// Fields of a record.
    pub profile: ProfileKind,
    /// What octets are counted.
    pub metric: Metric,
    /// How flow times are computed.
    pub time_rule: TimeRule,
}

/// Where the text sink writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextOutput {
    /// Flows to standard output, no headers file.
    Stdout,
    /// `PREFIX_flows.txt` and `PREFIX_headers.txt`.
    Prefix(PathBuf),
}

/// A command line, or an environment, that makes no sense. Exit code 2.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsageError {
    /// No input named.
    #[error(
        "nothing to read: give a capture with -r FILE, standard input with -r -, a list of captures with -R LIST, or an interface with -i IFACE"
    )]
    NoInput,
    /// Both text sinks to standard output.
    #[error("-w -: only one of the sinks text and json can write to standard output")]
    TwoOnStdout,
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
}

/// Octets of a message unless told otherwise: fits an Ethernet frame with room for a tunnel header.
const DEFAULT_MTU: u16 = 1400;

/// Flows a second over UDP unless told otherwise: what a collector with a default socket buffer stores without loss.
const DEFAULT_RATE: u32 = 100_000;

/// A flow of an interface that goes on for longer is told of in parts unless told otherwise.
const LIVE_ACTIVE_TIMEOUT: Duration = Duration::from_secs(300);

impl Config {
    /// Puts command line, environment (`variable` looks up a name) and defaults together.
    ///
    /// # Errors
    /// When there is nothing to read, or a variable has a senseless value.
    pub fn new(
        cli: Cli,
        variable: &dyn Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let input = input(&cli).ok_or(UsageError::NoInput)?;
        let filter = match &cli.filter_file {
            Some(file) => Some(FilterText::File(file.clone())),
            None if cli.filter.is_empty() => None,
            None => Some(FilterText::Words(cli.filter.join(" "))),
        };
        let runs = |kind| cli.sink.contains(&kind);
        let text = runs(SinkKind::Text).then(|| text_output(cli.write.as_deref(), &input));
        let json = runs(SinkKind::Json).then(|| text_output(cli.write.as_deref(), &input));
        if text == Some(TextOutput::Stdout) && json.is_some() {
            return Err(UsageError::TwoOnStdout);
        }
        let meter = MeterConfig {
            idle_timeout: cli.idle_timeout,
            active_timeout: match cli.active_timeout {
                Some(given) => given,
                None => input.is_live().then_some(LIVE_ACTIVE_TIMEOUT),
            },
            tcp_timeouts: cli.tcp_timeouts,
            wide: match cli.bytes {
                Some(wide @ (Metric::L4 | Metric::L2)) => wide,
                Some(Metric::L7 | Metric::Ip) | None => Metric::Ip,
            },
            max_flows: usize::from(cli.hash_factor) * MeterConfig::default().max_flows,
            text: text.is_some() || json.is_some(),
        };
        let (tunnel, report) = (cli.tunnel, cli.report);
        let (user, monitor, metrics) = (cli.user.clone(), cli.monitor, cli.metrics);
        let text_metric = cli.bytes.unwrap_or(Metric::L7);
        let netflow = if runs(SinkKind::Netflow) || cli.sink.is_empty() {
            Some(NetflowConfig::new(cli, input.is_live(), variable)?)
        } else {
            None
        };
        Ok(Config {
            user,
            monitor,
            metrics,
            input,
            filter,
            report,
            netflow,
            text,
            json,
            text_metric,
            tunnel,
            meter,
        })
    }
}

fn input(cli: &Cli) -> Option<Input> {
    if let Some(capture) = &cli.read {
        return Some(Input::Captures(Captures::One(capture.clone())));
    }
    if let Some(list) = &cli.read_list {
        return Some(Input::Captures(Captures::List(list.clone())));
    }
    cli.interface.as_ref().map(|interface| {
        Input::Live(LiveConfig {
            interface: interface.clone(),
            buffer: cli.buffer,
            snap_length: cli.snap_length,
            promiscuous: !cli.no_promiscuous,
            buffered: !cli.no_io_buffering,
        })
    })
}

impl NetflowConfig {
    fn new(
        cli: Cli,
        is_live: bool,
        variable: &dyn Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let version = given(cli.nf_version, variable, "NF_VER", cli::parse_version)?;
        let host = given(cli.nf_addr, variable, "NF_SERVADD", parse_host)?;
        let port = given(cli.nf_port, variable, "NF_DPORT", cli::parse_port)?;
        let socket_type = given(
            cli.nf_socktype,
            variable,
            "NF_SOCKTYPE",
            cli::parse_socket_type,
        )?;
        let v4 = given(cli.nf_num4flws, variable, "NF_NUM4FLWS", cli::parse_count)?;
        let v6 = given(cli.nf_num6flws, variable, "NF_NUM6FLWS", cli::parse_count)?;
        let version = version.unwrap_or(Version::V9);
        let socket_type = socket_type.unwrap_or(SocketType::Udp);
        let profile = cli.profile.unwrap_or(match version {
            Version::V9 => ProfileKind::T2,
            Version::Ipfix => ProfileKind::Standard,
        });
        let (source_id, metric) = match profile {
            ProfileKind::T2 => (666, Metric::L7),
            ProfileKind::Standard => (0, Metric::Ip),
        };
        Ok(NetflowConfig {
            version,
            host: host.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port.unwrap_or(9995),
            socket_type,
            max_records: [v4.unwrap_or(200), v6.unwrap_or(100)],
            max_message: usize::from(cli.mtu.unwrap_or(DEFAULT_MTU)),
            rate: cli.rate.unwrap_or(match socket_type {
                SocketType::Udp => Rate::PerSecond(DEFAULT_RATE),
                SocketType::Tcp => Rate::Unlimited,
            }),
            source_id: cli.source_id.unwrap_or(source_id),
            refresh_interval: Duration::from_secs(cli.template_refresh.into()),
            refresh_messages: cli.template_refresh_messages,
            export_time: cli.export_time.unwrap_or(match is_live {
                true => ExportTime::Now,
                false => ExportTime::Packet,
            }),
            profile,
            metric: cli.bytes.unwrap_or(metric),
            time_rule: cli.time_rule,
        })
    }
}

/// The option, else the variable. An empty variable counts as not set.
fn given<T>(
    option: Option<T>,
    variable: &dyn Fn(&'static str) -> Option<OsString>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, UsageError> {
    if option.is_some() {
        return Ok(option);
    }
    let Some(value) = variable(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    match parse(&value) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(expected) => Err(UsageError::Environment {
            name,
            value: value.into_owned(),
            expected,
        }),
    }
}

/// Any text may be a host name: whether it is one shows when it is looked up.
fn parse_host(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn text_output(write: Option<&Path>, input: &Input) -> TextOutput {
    let stem = input.stem();
    match write {
        None => TextOutput::Prefix(stem),
        Some(write) if write == Path::new(STDIN) => TextOutput::Stdout,
        Some(write) if write.is_dir() => {
            TextOutput::Prefix(write.join(stem.file_name().unwrap_or_default()))
        }
        Some(write) => TextOutput::Prefix(write.to_owned()),
    }
}

/// `dir/some.pcap.gz` is `dir/some`: what a compression adds to the name is no part of it.
fn without_suffix(input: &Path) -> PathBuf {
    let suffix = input.extension().and_then(|suffix| suffix.to_str());
    let name = input.with_extension("");
    match suffix {
        Some("gz" | "zst" | "lz4") => name.with_extension(""),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    fn config(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, UsageError> {
        let cli = Cli::try_parse_from(["t2x", "-r", "dir/some.pcap"].iter().chain(args)).unwrap();
        Config::new(cli, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn netflow(args: &[&str], variables: &[(&str, &str)]) -> NetflowConfig {
        config(args, variables).unwrap().netflow.unwrap()
    }

    #[test]
    fn defaults_of_version_9() {
        let expect = NetflowConfig {
            version: Version::V9,
            host: "127.0.0.1".to_owned(),
            port: 9995,
            socket_type: SocketType::Udp,
            max_records: [200, 100],
            max_message: 1400,
            rate: Rate::PerSecond(100_000),
            source_id: 666,
            refresh_interval: Duration::from_secs(60),
            refresh_messages: 20,
            export_time: ExportTime::Packet,
            profile: ProfileKind::T2,
            metric: Metric::L7,
            time_rule: TimeRule::Exact,
        };
        assert_eq!(netflow(&[], &[]), expect);
        let config = config(&[], &[]).unwrap();
        assert_eq!(config.meter, MeterConfig::default());
        assert_eq!(config.text, None);
    }

    #[test]
    fn defaults_follow_version_profile_and_socket() {
        let ipfix = netflow(&["--nf-version", "10"], &[]);
        assert_eq!(
            (ipfix.profile, ipfix.metric, ipfix.source_id),
            (ProfileKind::Standard, Metric::Ip, 0)
        );
        let t2 = netflow(&["--nf-version", "10", "--profile", "t2", "-x", "7"], &[]);
        assert_eq!((t2.metric, t2.source_id), (Metric::L7, 7));
        let tcp = netflow(&["--nf-socktype", "tcp", "--bytes", "ip"], &[]);
        assert_eq!((tcp.rate, tcp.metric), (Rate::Unlimited, Metric::Ip));
    }

    #[test]
    fn option_over_environment_over_default() {
        let variables = [
            ("NF_VER", "10"),
            ("NF_SERVADD", "collector.example"),
            ("NF_DPORT", "4739"),
            ("NF_SOCKTYPE", "1"),
            ("NF_NUM4FLWS", "20"),
            ("NF_NUM6FLWS", "10"),
        ];
        let by_environment = netflow(&[], &variables);
        assert_eq!(by_environment.version, Version::Ipfix);
        assert_eq!(by_environment.host, "collector.example");
        assert_eq!(by_environment.port, 4739);
        assert_eq!(by_environment.socket_type, SocketType::Tcp);
        assert_eq!(by_environment.max_records, [20, 10]);
        let options = [
            "--nf-version=9",
            "--nf-addr=::1",
            "--nf-port=2055",
            "--nf-socktype=udp",
            "--nf-num4flws=3",
            "--nf-num6flws=4",
        ];
        let by_option = netflow(&options, &variables);
        assert_eq!(by_option, netflow(&options, &[]));
        assert_eq!((by_option.port, by_option.max_records), (2055, [3, 4]));
        // A variable that an option overrides is not even looked at.
        assert_eq!(
            netflow(&["--nf-port=1"], &[("NF_DPORT", "x"), ("NF_VER", "")]).port,
            1
        );
    }

    #[test]
    fn bad_variables_are_named() {
        let bad = [
            ("NF_VER", "5", "9 or 10 expected"),
            ("NF_DPORT", "0", "a port from 1 to 65535 expected"),
            ("NF_SOCKTYPE", "2", "udp (0) or tcp (1) expected"),
            (
                "NF_NUM4FLWS",
                "-1",
                "a number from 1 to 4294967295 expected",
            ),
            (
                "NF_NUM6FLWS",
                "many",
                "a number from 1 to 4294967295 expected",
            ),
        ];
        for (name, value, expected) in bad {
            let error = config(&[], &[(name, value)]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("environment variable {name}={value}: {expected}")
            );
        }
    }

    #[test]
    fn an_interface_has_other_defaults() {
        let live = |args: &[&str]| {
            let args = ["t2x", "-i", "eth0.100"].iter().chain(args);
            Config::new(Cli::try_parse_from(args).unwrap(), &|_| None).unwrap()
        };
        let config = live(&["--sink", "text,netflow"]);
        let expect = LiveConfig {
            interface: "eth0.100".to_owned(),
            buffer: 32 << 20,
            snap_length: 65535,
            promiscuous: true,
            buffered: true,
        };
        assert_eq!(config.input, Input::Live(expect));
        assert_eq!(config.meter.active_timeout, Some(Duration::from_secs(300)));
        assert_eq!(config.netflow.unwrap().export_time, ExportTime::Now);
        assert_eq!(config.text, Some(TextOutput::Prefix("eth0.100".into())));
        let config = live(&["--active-timeout", "never", "--export-time", "packet"]);
        assert_eq!(config.meter.active_timeout, None);
        assert_eq!(config.netflow.unwrap().export_time, ExportTime::Packet);
    }

    #[test]
    fn sizes_of_buffers() {
        let buffer = |text: &str| {
            let args = ["t2x", "-i", "x", "-B", text];
            Cli::try_parse_from(args).map(|cli| cli.buffer).ok()
        };
        assert_eq!(buffer("262144"), Some(262_144));
        assert_eq!(buffer("512K"), Some(512 << 10));
        assert_eq!(buffer("1G"), Some(1 << 30));
        for bad in ["", "M", "2G", "1023", "-1M", "4294967295G", "3m"] {
            assert_eq!(buffer(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_named_sinks_run() {
        let both = config(&["--sink", "text", "--sink", "netflow"], &[]).unwrap();
        assert!(both.netflow.is_some());
        assert_eq!(both.text, Some(TextOutput::Prefix("dir/some".into())));
        let text = config(&["--sink", "text", "-w", "-"], &[("NF_VER", "4")]).unwrap();
        assert_eq!((text.netflow, text.text), (None, Some(TextOutput::Stdout)));
        let json = config(&["--sink", "json"], &[]).unwrap();
        assert_eq!(json.json, Some(TextOutput::Prefix("dir/some".into())));
        assert!(json.meter.text && json.text.is_none());
        let two = config(&["--sink", "json,text", "-w", "-"], &[]);
        assert_eq!(two, Err(UsageError::TwoOnStdout));
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().to_str().unwrap();
        let text = config(&["--sink", "text", "-w", prefix], &[]).unwrap().text;
        assert_eq!(text, Some(TextOutput::Prefix(folder.path().join("some"))));
    }

    #[test]
    fn files_are_named_after_the_input() {
        let cases = [
            ("dir/some.pcap", "dir/some"),
            ("some.pcap.gz", "some"),
            ("some.zst", "some"),
            ("some.2026.pcapng", "some.2026"),
            ("gz", "gz"),
            (STDIN, "stdin"),
        ];
        for (input, prefix) in cases {
            let expect = TextOutput::Prefix(prefix.into());
            assert_eq!(
                text_output(None, &Input::Captures(Captures::One(input.into()))),
                expect,
                "{input}"
            );
        }
    }

    #[test]
    fn flows_and_tunnels() {
        let plain = config(&[], &[]).unwrap();
        assert_eq!(
            (plain.text_metric, plain.tunnel),
            (Metric::L7, Tunnel::Inner)
        );
        let args = ["--bytes=ip", "--tunnel=outer", "--active-timeout=0.5"];
        let other = config(&args, &[]).unwrap();
        assert_eq!(
            (other.text_metric, other.tunnel),
            (Metric::Ip, Tunnel::Outer)
        );
        assert_eq!(other.meter.active_timeout, Some(Duration::from_millis(500)));
    }

    #[test]
    fn an_input_is_needed() {
        let cli = Cli::try_parse_from(["t2x"]).unwrap();
        assert_eq!(Config::new(cli, &|_| None), Err(UsageError::NoInput));
    }
}
