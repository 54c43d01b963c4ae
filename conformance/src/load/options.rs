//! The options of `t2check load`.

use std::path::PathBuf;

use clap::Args;
use nix::sys::signal::Signal;

use super::search::Search;
use crate::cli::CODES;
use crate::collector::observe::Observe;
use crate::collector::options::Target;
use crate::wire::Transport;

const EXAMPLES: &str = "\
In --start and --observe, {dir} is a folder made for each trial, {port} the port to listen on, {metrics-port} one for metrics;
for exporters {host} and {port} are where to send, {pcap} is the capture, {iface} the interface.
Examples:
  t2check load --send udp://127.0.0.1:0 --observe nfcapd:{dir} --start 'nfcapd -b 127.0.0.1 -p {port} -w {dir}'
  t2check load --pcap traffic.pcap --replay 't2x -r {pcap} --nf-addr {host} --nf-port {port}'
  t2check load --pcap traffic.pcap --inject veth0 --start 'softflowd -i veth1 -d -c none -n {host}:{port}'";

const COLLECTOR: &str = "A collector";
const EXPORTER: &str = "An exporter";
const SEARCHING: &str = "The search";

/// Options of `t2check load`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub struct Load {
    /// Where the collector listens; with --start, port 0 is any free one
    #[arg(long, value_name = "udp://ADDR:PORT", requires = "observe", conflicts_with = "pcap", required_unless_present = "pcap", help_heading = COLLECTOR)]
    pub send: Option<Target>,
    /// Where it shows what it stored, as for t2check collector; records are only counted
    #[arg(long, value_name = "KIND:WHAT", requires = "send", help_heading = COLLECTOR)]
    pub observe: Option<Observe>,
    /// Names of its metrics, as for t2check collector
    #[arg(long, value_name = "FILE", requires = "observe", help_heading = COLLECTOR)]
    pub metrics_map: Option<PathBuf>,
    /// What it is sent: 9 is NetFlow v9, 10 IPFIX
    #[arg(long = "nf-version", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(9..=10), help_heading = COLLECTOR)]
    pub version: u16,
    /// Records of a datagram
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=38), help_heading = COLLECTOR)]
    pub records: u16,
    /// Emulated exporters, each with an address of its own, 127.N.N.N
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = COLLECTOR)]
    pub exporters: u32,
    /// Each exporter defines a new template every so many datagrams; 0: only one
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = COLLECTOR)]
    pub churn: u32,
    /// The signal that ends it
    #[arg(long, value_name = "SIGNAL", default_value = "SIGTERM", requires = "send", help_heading = COLLECTOR)]
    pub end_with: Signal,
    /// How long it may take from reading to storing
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000), help_heading = COLLECTOR)]
    pub settle: u16,

    /// The traffic that the exporter meters
    #[arg(long, value_name = "FILE", help_heading = EXPORTER)]
    pub pcap: Option<PathBuf>,
    /// Runs the exporter on it, as fast as it goes: packets and flows a second of its whole run, the best of --confirm
    #[arg(long, value_name = "CMD", requires = "pcap", conflicts_with_all = ["inject", "start"], help_heading = EXPORTER)]
    pub replay: Option<String>,
    /// Puts its packets on this interface, by tcpreplay: the highest rate at which all are metered
    #[arg(long, value_name = "IFACE", requires = "pcap", requires = "start", help_heading = EXPORTER)]
    pub inject: Option<String>,
    /// Seconds without a message after which the exporter is ended
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600), help_heading = EXPORTER)]
    pub quiet: u16,

    /// Starts the device with the shell, for each trial anew
    #[arg(long, value_name = "CMD")]
    pub start: Option<String>,
    /// Seconds of a trial
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600), help_heading = SEARCHING)]
    pub seconds: u16,
    /// The first rate: records, or injected packets, a second
    #[arg(long, value_name = "RATE", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = SEARCHING)]
    pub from: u64,
    /// The highest rate to try
    #[arg(long, value_name = "RATE", default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = SEARCHING)]
    pub to: u64,
    /// How far the rates without and with loss may be apart, percent
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50), help_heading = SEARCHING)]
    pub precision: u8,
    /// So many trials at the rate that is told must be without loss
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20), help_heading = SEARCHING)]
    pub confirm: u8,
    /// Sends to other machines too
    #[arg(long)]
    pub allow_remote: bool,
    /// Writes JSON; - writes it to standard output, in place of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Load {
    /// Whether the options fit together.
    ///
    /// # Errors
    /// When they do not, in one line.
    pub fn check(&self) -> Result<(), String> {
        if self.from > self.to {
            return Err(format!("--from {} is above --to {}", self.from, self.to));
        }
        if self.pcap.is_some() && self.replay.is_none() && self.inject.is_none() {
            return Err("--pcap needs --replay or --inject".to_owned());
        }
        let Some(Target(target)) = self.send else {
            return Ok(());
        };
        if target.transport != Transport::Udp {
            return Err("load is sent over udp: streams slow their sender down".to_owned());
        }
        if !target.address.ip().is_loopback() && (!self.allow_remote || self.exporters > 1) {
            return Err(format!(
                "{target} is another machine: that needs --allow-remote and one exporter"
            ));
        }
        if self.start.is_none() && target.address.port() == 0 {
            return Err(format!("{target}: port 0 is a free one for --start"));
        }
        if self.exporters > 1 && !target.address.is_ipv4() {
            return Err("several exporters have addresses of 127.0.0.0/8".to_owned());
        }
        Ok(())
    }

    /// How to search.
    pub fn search(&self) -> Search {
        Search {
            from: self.from as f64,
            to: self.to as f64,
            precision: f64::from(self.precision) / 100.0,
            confirm: self.confirm.into(),
        }
    }
}
