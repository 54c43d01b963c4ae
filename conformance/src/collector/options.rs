//! The options of `t2check collector`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use nix::sys::signal::Signal;

use super::exposition::Url;
use super::observe::{Observe, Observer};
use crate::cli::{CODES, Endpoint, Judging, parse_transport};
use crate::wire::Transport;

const EXAMPLES: &str = "\
In --start and --observe, {dir} is a folder made for each start, {port} the port to listen on, {tcp-port} that of TCP, {tls-port}
that of TLS, {metrics-port} one for metrics; {tls-ca}, {tls-cert} and {tls-key} are an authority made for this run, and a
certificate of it for the collector.
Example:
  t2check collector --send udp://127.0.0.1:0 --observe nfcapd:{dir} --start 'nfcapd -b 127.0.0.1 -p {port} -w {dir}'";

/// Options of `t2check collector`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub struct Collector {
    /// Where the collector listens; may be given for UDP, TCP and TLS. With --start, port 0 is any free one
    #[arg(long, value_name = "udp|tcp|tls://ADDR:PORT", required = true)]
    pub send: Vec<Target>,
    /// Where it shows what it stored: nfcapd:DIR (read by us), nfdump:DIR (read by us and by nfdump), json:FILE (lines of
    /// t2collect, pmacct, goflow2, logstash, ipfixcol2 or Telegraf, others with --map), command:CMD, which prints such
    /// lines, or prometheus:URL, its metrics; these also beside one of the others, for what it counts as lost
    #[arg(long, value_name = "KIND:WHAT", required = true)]
    pub observe: Vec<Observe>,
    /// Starts the collector with the shell, for each case anew; it is ended, and watched: an end of its own,
    /// a hang, its memory, its log
    #[arg(long, value_name = "CMD")]
    pub start: Option<String>,
    /// The signal that ends it
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "SIGTERM",
        requires = "start"
    )]
    pub end_with: Signal,
    /// How long it may take from reading a message to storing it, before it is asked to end
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0, requires = "start", value_parser = clap::value_parser!(u16).range(..=10_000))]
    pub settle: u16,
    /// How its log counts what is lost, with {n} for the number, such as ' {n} records missing' [default: its files do]
    #[arg(long, value_name = "TEXT", requires = "start")]
    pub lost: Option<String>,
    /// Harmless cases to run on one start; what is doubtful in such a batch is run again alone
    #[arg(long, value_name = "N", default_value_t = 1, requires = "start", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub batch: u16,
    /// How long a collector that runs already may take to show a record
    #[arg(long, value_name = "SECONDS", default_value_t = 5, conflicts_with = "start", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub wait: u16,
    /// Names of its JSON: KEY NAME a line, NAME as IANA has it
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Names of its metrics: METRIC records or METRIC lost a line, several are added up, with - in front taken away
    /// [default: those of t2collect]
    #[arg(long, value_name = "FILE")]
    pub metrics_map: Option<PathBuf>,
    /// The nfdump that reads along with --observe nfdump:DIR
    #[arg(long, value_name = "FILE", default_value = "nfdump")]
    pub nfdump: PathBuf,
    /// Over TLS: whom to trust (PEM) [default with --start: an authority made for this run, {tls-ca}]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Over TLS: the certificate to show (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// Over TLS: its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Without floods and long waits [default]
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// With floods and long waits
    #[arg(long)]
    pub full: bool,
    /// Sends to other machines too: these messages are hostile
    #[arg(long)]
    pub allow_remote: bool,

    /// How it is judged and told
    #[command(flatten)]
    pub judging: Judging,
}

impl Collector {
    /// Whether the options fit together.
    ///
    /// # Errors
    /// When they do not, in one line.
    pub fn check(&self) -> Result<(), String> {
        self.judging.reports()?;
        if self.observe.len() > 2
            || self.observe.len() == 2 && (self.records().is_none() || self.counts().is_none())
        {
            return Err(
                "--observe may be given twice: for records, and for metrics (prometheus:URL)"
                    .to_owned(),
            );
        }
        if self.metrics_map.is_some() && self.counts().is_none() {
            return Err("--metrics-map needs --observe prometheus:URL".to_owned());
        }
        let tls = |target: &Target| target.0.transport == Transport::Tls;
        if self.start.is_none() && self.tls_ca.is_none() && self.send.iter().any(tls) {
            return Err("tls:// needs --tls-ca: whom to trust".to_owned());
        }
        if self.tls_ca.is_some() && !self.send.iter().any(tls) {
            return Err("--tls-ca needs --send tls://ADDR:PORT".to_owned());
        }
        for Target(target) in &self.send {
            if !target.address.ip().is_loopback() && !self.allow_remote {
                return Err(format!(
                    "{target} is another machine: hostile messages are sent there with --allow-remote only"
                ));
            }
            if !target.address.ip().is_loopback() && self.start.is_some() {
                return Err(format!(
                    "--start starts a collector on this machine, not at {target}"
                ));
            }
            if target.address.port() == 0 && self.start.is_none() {
                return Err(format!(
                    "{target}: port 0 is a free one for --start; name the collector's port"
                ));
            }
            let same = |other: &&Target| other.0.transport == target.transport;
            if self.send.iter().filter(same).count() > 1 {
                return Err("--send may be given once for each of UDP, TCP and TLS".to_owned());
            }
        }
        Ok(())
    }

    /// How its records are seen.
    pub fn records(&self) -> Option<&Observer> {
        self.observe.iter().find_map(|observe| match observe {
            Observe::Records(observer) => Some(observer),
            Observe::Counts(_) => None,
        })
    }

    /// Where it tells what it counts.
    pub fn counts(&self) -> Option<&Url> {
        self.observe.iter().find_map(|observe| match observe {
            Observe::Records(_) => None,
            Observe::Counts(url) => Some(url),
        })
    }

    /// The addresses.
    pub fn targets(&self) -> Vec<Endpoint> {
        self.send.iter().map(|target| target.0).collect()
    }
}

/// `--send`: transport and address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target(pub Endpoint);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, address) = text
            .split_once("://")
            .ok_or("udp://ADDR:PORT, tcp://ADDR:PORT or tls://ADDR:PORT wanted")?;
        let transport = parse_transport(scheme)?;
        let address: SocketAddr = address.parse().map_err(|_| {
            format!("{address:?} is no address with a port, such as 127.0.0.1:4739 or [::1]:4739")
        })?;
        Ok(Self(Endpoint::new(transport, address)))
    }
}
