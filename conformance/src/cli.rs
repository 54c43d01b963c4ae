//! The command line of `t2check`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::verdict::Profile;
use crate::wire::Transport;

/// Judges NetFlow and IPFIX exporters by what they send.
#[derive(Parser, Clone, Debug)]
#[command(name = "t2check", version, max_term_width = 100, after_help = CODES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const CODES: &str =
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
    /// Judges what an exporter sends: from a capture, or as it arrives
    Exporter(Box<Exporter>),
}

/// Options of `t2check exporter`.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Exporter {
    /// Capture to read (pcap or pcapng); - reads standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "listen",
        conflicts_with = "listen"
    )]
    pub capture: Option<PathBuf>,
    /// Ports of collectors in the capture; may be repeated [default: guessed]
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "listen", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Where to wait for the exporter
    #[arg(long, value_name = "udp|tcp://ADDR:PORT")]
    pub listen: Option<Listen>,
    /// How long to listen
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// The exporter replays recorded traffic: its clock is not compared with this machine's
    #[arg(long, conflicts_with = "capture")]
    pub replayed: bool,

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
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Writes JUnit XML
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub junit: Option<PathBuf>,
    /// Writes JSON; - writes it to standard output, in place of the table
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub json: Option<PathBuf>,
    /// Writes a self-contained page
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub html: Option<PathBuf>,
    /// Keeps the first offending message of each rule as a capture
    #[arg(long, value_name = "DIR", help_heading = REPORTS)]
    pub pcap_dir: Option<PathBuf>,
}

const REPORTS: &str = "Reports";

/// `--listen`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// How messages travel.
    pub transport: Transport,
    /// Where to listen.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, address) = text
            .split_once("://")
            .ok_or("expected udp://ADDR:PORT or tcp://ADDR:PORT")?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            other => return Err(format!("the transport {other:?} is neither udp nor tcp")),
        };
        let address = address.parse().map_err(|_| {
            format!("{address:?} is no address with a port, such as 127.0.0.1:4739 or [::1]:4739")
        })?;
        Ok(Self { transport, address })
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    Profile::ALL
        .into_iter()
        .find(|profile| profile.name() == text)
        .ok_or_else(|| "the profiles are 7011, 5101, modern and lenient".to_owned())
}
