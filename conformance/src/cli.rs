//! The command line of `t2check`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::catalogue;
use crate::known::{Known as KnownFailures, unknown};
use crate::live::disturb::{self, Disturbance};
use crate::metering::options::Known;
use crate::verdict::Profile;
use crate::wire::Transport;

/// Judges NetFlow and IPFIX exporters by what they send, and collectors by what they store.
#[derive(Parser, Clone, Debug)]
#[command(name = "t2check", version, max_term_width = 100, after_help = CODES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

pub(crate) const CODES: &str =
    "Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 finished, and a rule is broken.";

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Lists all requirements and the tests of RFC 5471
    List,
    /// Explains one requirement
    Explain {
        /// Its identifier, such as T-18
        id: String,
    },
    /// Writes the hand-made messages that the rules are tested on as captures, with a list of what is right
    Vectors {
        /// Folder for the captures and manifest.tsv
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Judges what an exporter sends: from a capture, or as it arrives
    Exporter(Box<Exporter>),
    /// Judges a collector by what it stores of well-formed, odd and hostile messages
    Collector(Box<crate::collector::options::Collector>),
    /// Judges files: nfcapd files by their structure, IPFIX files by the rules of messages
    File(crate::file::Files),
    /// Relays messages to a collector, and does to them what networks and devices do
    Proxy(Box<crate::proxy::options::Proxy>),
    /// Measures the highest rate at which a collector, or an exporter, loses nothing
    Load(Box<crate::load::options::Load>),
    /// Puts results of several devices side by side
    Matrix(crate::matrix::Matrix),
}

/// Options of `t2check exporter`.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Exporter {
    /// Capture to read: pcap or pcapng, or a file of bare messages such as an IPFIX file; - reads a capture from
    /// standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["listen", "pcap"],
        conflicts_with = "listen"
    )]
    pub capture: Option<PathBuf>,
    /// Ports of collectors in the capture; may be repeated [default: guessed]
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "listen", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Where to wait for the exporter [default with --pcap: a free UDP port of 127.0.0.1]
    #[arg(long, value_name = "[udp|tcp|tls://]ADDR:PORT")]
    pub listen: Option<Listen>,
    /// How messages travel, where --listen does not say it: udp, tcp or tls [default: udp]
    #[arg(long, value_name = "NAME", conflicts_with = "capture", value_parser = parse_transport)]
    pub transport: Option<Transport>,
    /// How long to listen
    #[arg(long, value_name = "N", conflicts_with = "capture", default_value = "60", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Disturbs it, AT seconds after its first message: away@AT:SECONDS (nobody listens), restart@AT (all sockets are
    /// closed and opened again), over tcp and tls also reset@AT and slow@AT:SECONDS (nothing is read); may be repeated
    #[arg(long, value_name = "KIND@AT[:SECONDS]", conflicts_with = "capture")]
    pub disturb: Vec<Disturbance>,
    /// The exporter replays recorded traffic: its clock is not compared with this machine's
    #[arg(long, conflicts_with = "capture")]
    pub replayed: bool,

    /// Certificate to show, with its chain (PEM) [default: one made for this run]
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = TLS)]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS)]
    pub tls_key: Option<PathBuf>,
    /// Exporters must show a certificate signed by one of these (PEM) [default: none is asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "capture", help_heading = TLS)]
    pub tls_ca: Option<PathBuf>,

    /// Known traffic
    #[command(flatten)]
    pub known: Known,

    /// How it is judged and told
    #[command(flatten)]
    pub judging: Judging,
}

/// How is judged and told: the same for exporters and collectors.
#[derive(Args, Clone, Debug)]
pub struct Judging {
    /// The reading of the rules: 7011, 5101, modern or lenient
    #[arg(long, value_name = "PROFILE", default_value = "7011", value_parser = parse_profile)]
    pub profile: Profile,
    /// What is only recommended (SHOULD) counts too
    #[arg(long)]
    pub strict: bool,
    /// Rules that are known to be broken, one a line
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Only these rules
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = parse_rule)]
    pub only: Vec<&'static str>,

    /// Writes JUnit XML; - writes it to standard output, in place of the table
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub junit: Option<PathBuf>,
    /// Writes JSON; - as for --junit
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub json: Option<PathBuf>,
    /// Writes a self-contained page; - as for --junit
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub html: Option<PathBuf>,
    /// Keeps the first offending message of each rule as a capture, with those it needs to be read
    #[arg(long, value_name = "DIR", help_heading = REPORTS)]
    pub pcap_dir: Option<PathBuf>,
}

const REPORTS: &str = "Reports";
const TLS: &str = "TLS (needs --listen tls://ADDR:PORT)";

/// `-`: standard output, in place of the table.
pub const STDOUT: &str = "-";

impl Exporter {
    /// Where to listen, `--transport` considered.
    ///
    /// # Errors
    /// When options contradict each other, in one line.
    pub fn endpoint(&self) -> Result<Option<Endpoint>, String> {
        let known = &self.known;
        let listen = match self.listen {
            Some(listen) => listen,
            None if known.pcap.is_none() || self.capture.is_some() => return Ok(None),
            None if known.replay.is_none() && known.inject.is_none() => {
                return Err(
                    "--pcap needs one of --replay, --inject, --listen and --capture".to_owned(),
                );
            }
            None => Listen {
                transport: None,
                address: (Ipv4Addr::LOCALHOST, 0).into(),
            },
        };
        let transport = match (listen.transport, self.transport) {
            (Some(said), Some(other)) if said != other => {
                return Err(format!(
                    "--listen {} contradicts --transport {}",
                    Endpoint::new(said, listen.address),
                    scheme(other)
                ));
            }
            (said, other) => said.or(other).unwrap_or(Transport::Udp),
        };
        let tls = [&self.tls_cert, &self.tls_key, &self.tls_ca];
        if transport != Transport::Tls && tls.iter().any(|option| option.is_some()) {
            return Err(
                "--tls-cert, --tls-key and --tls-ca need --listen tls://ADDR:PORT".to_owned(),
            );
        }
        disturb::check(&self.disturb, transport)?;
        Ok(Some(Endpoint::new(transport, listen.address)))
    }
}

impl Judging {
    /// The failures that are expected.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn known(&self) -> anyhow::Result<KnownFailures> {
        self.known
            .as_deref()
            .map_or_else(|| Ok(KnownFailures::default()), KnownFailures::read)
    }

    /// The reports that go to files, and the folder of captures.
    ///
    /// # Errors
    /// When several would go to standard output, in one line.
    pub fn reports(&self) -> Result<Vec<&Path>, String> {
        let files = [&self.junit, &self.json, &self.html].into_iter().flatten();
        let (out, files): (Vec<&Path>, Vec<&Path>) = files
            .map(PathBuf::as_path)
            .partition(|path| *path == Path::new(STDOUT));
        if out.len() > 1 {
            return Err(
                "only one of --junit, --json and --html can go to standard output".to_owned(),
            );
        }
        Ok(files)
    }
}

/// `--listen`: an address, and the transport if it is said there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// How messages travel.
    pub transport: Option<Transport>,
    /// Where to listen.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, address) = match text.split_once("://") {
            Some((scheme, address)) => (Some(parse_transport(scheme)?), address),
            None => (None, text),
        };
        let address = address.parse().map_err(|_| {
            format!("{address:?} is no address with a port, such as 127.0.0.1:4739 or [::1]:4739")
        })?;
        Ok(Self { transport, address })
    }
}

/// Where to listen, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// How messages travel.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
}

impl Endpoint {
    /// Both together.
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", scheme(self.transport), self.address)
    }
}

fn scheme(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::File => "file",
    }
}

pub(crate) fn parse_transport(text: &str) -> Result<Transport, String> {
    match text {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        "tls" => Ok(Transport::Tls),
        other => Err(format!(
            "the transport {other:?} is neither udp, tcp nor tls"
        )),
    }
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    Profile::ALL
        .into_iter()
        .find(|profile| profile.name() == text)
        .ok_or_else(|| "the profiles are 7011, 5101, modern and lenient".to_owned())
}

fn parse_rule(text: &str) -> Result<&'static str, String> {
    catalogue::find(text)
        .map(|row| row.rule.id)
        .ok_or_else(|| unknown(text))
}
