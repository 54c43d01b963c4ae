//! The command line as typed: names, defaults and help, nothing resolved.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::expire::ExpireOptions;

/// The port that nfcapd and Tranalyzer's netFlowSink agree on.
pub const DEFAULT_PORT: u16 = 9995;

/// Collects NetFlow v1, v5, v7, v9 and IPFIX and writes nfcapd files.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "t2collect",
    version,
    args_conflicts_with_subcommands = true,
    about = "Collects NetFlow v1, v5, v7, v9 and IPFIX over UDP, TCP and TLS and writes files that nfdump and t2report read.",
    after_help = "Files are named nfcapd.YYYYmmddHHMM after the local time at which their slot began. SIGTERM, SIGINT and SIGHUP \
                  finish the slot and end the program; SIGUSR1 reads configuration and certificates again.\n\
                  Example: t2collect -p 9995 -w /var/lib/flows"
)]
pub struct Cli {
    /// UDP port for all versions [default: 9995; only the --listen addresses if there are any and -p is not given]
    #[arg(short = 'p', long = "port", value_name = "PORT")]
    pub port: Option<u16>,

    /// Address or host name that -p binds to [default: all addresses, IPv6 and IPv4]
    #[arg(short = 'b', long = "bind", value_name = "ADDR")]
    pub bind: Option<String>,

    /// Listen here: udp://ADDR:PORT, tcp://ADDR:PORT or tls://ADDR:PORT (repeatable)
    #[arg(long = "listen", value_name = "URL")]
    pub listen: Vec<String>,

    /// Our certificate, then those that vouch for it (PEM), for tls://
    #[arg(long = "tls-cert", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of our certificate (PEM)
    #[arg(long = "tls-key", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Let in only exporters that show a certificate of these authorities (PEM)
    #[arg(long = "tls-ca", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Let in only exporters whose certificate is for this name or address (repeatable: for one of them)
    #[arg(long = "tls-peer", value_name = "NAME", requires = "tls_ca")]
    pub tls_peer: Vec<String>,

    /// Join this multicast group; -b then is the address of the interface
    #[arg(short = 'J', long = "multicast", value_name = "GROUP")]
    pub multicast: Option<String>,

    /// IPv4 only (with -6: both, as without either)
    #[arg(short = '4', long = "ipv4")]
    pub ipv4: bool,

    /// IPv6 only
    #[arg(short = '6', long = "ipv6")]
    pub ipv6: bool,

    /// Send every datagram on, unchanged, to this host; the port is 9995 unless given (up to 8)
    #[arg(short = 'R', long = "repeat", value_name = "HOST[/PORT]")]
    pub repeat: Vec<String>,

    /// Directory for the flow files [default: $T2_FLOWS, else the current directory]
    #[arg(
        short = 'w',
        long = "directory",
        value_name = "DIR",
        conflicts_with = "legacy_directory"
    )]
    pub directory: Option<PathBuf>,

    /// The same as -w, as nfcapd 1.6 spelt it
    #[arg(short = 'l', value_name = "DIR")]
    pub legacy_directory: Option<PathBuf>,

    /// A source with a file of its own (repeatable); other senders are then ignored and counted
    #[arg(short = 'n', long = "source", value_name = "IDENT,IP,DIR", conflicts_with_all = ["directory", "legacy_directory", "ident", "dynamic"])]
    pub source: Vec<String>,

    /// A sub directory of DIR for each exporter's address, made when its first packet comes
    #[arg(short = 'M', long = "dynamic", value_name = "DIR", conflicts_with_all = ["directory", "legacy_directory", "ident"])]
    pub dynamic: Option<PathBuf>,

    /// So many exporters with -M at a time; packets of more are ignored and counted
    #[arg(long = "max-sources", value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub max_sources: u32,

    /// Name of the source, written into the files
    #[arg(
        short = 'I',
        long = "ident",
        value_name = "IDENT",
        default_value = "none"
    )]
    pub ident: String,

    /// Length of a slot
    #[arg(short = 't', long = "interval", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub interval_s: u32,

    /// Sub directories: 1 %Y/%m/%d, 2 …/%H, 3 %Y/%W/%u, 4 …/%H, 5 %Y/%j, 6 …/%H, 7 %F, 8 …/%H
    #[arg(short = 'S', long = "sub-directories", value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub sub_directory: u8,

    /// Name files, and align slots, by UTC instead of local time
    #[arg(long = "utc")]
    pub utc: bool,

    /// The offset from UTC behind the names of files: nfcapd.202601020300+0100
    #[arg(short = 'Z', long = "zone")]
    pub zone: bool,

    /// Sampling rate of exporters that tell none; negative: of all exporters, whatever they tell
    #[arg(
        short = 's',
        long = "sampling",
        value_name = "RATE",
        allow_negative_numbers = true
    )]
    pub sampling: Option<i64>,

    /// Compress the files: lzo (also bare -z), lz4, bz2 or zstd, the latter with an optional level (zstd:9)
    #[arg(
        short = 'z', long = "compress", value_name = "METHOD", num_args = 0..=1, require_equals = true,
        default_missing_value = "lzo", conflicts_with_all = ["lz4", "bz2"]
    )]
    pub compress: Option<String>,

    /// LZ4 compressed files
    #[arg(short = 'y', conflicts_with = "bz2")]
    pub lz4: bool,

    /// BZ2 compressed files
    #[arg(short = 'j')]
    pub bz2: bool,

    /// Threads that compress [default: 1; 2 for bz2 and zstd]
    #[arg(short = 'W', long = "compressors", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub compressors: Option<u8>,

    /// Receive buffer of a UDP socket
    #[arg(short = 'B', long = "buffer", value_name = "BYTES")]
    pub buffer: Option<usize>,

    /// Delete old files after each slot, within the limits that `t2collect expire -u` or nfexpire set
    #[arg(short = 'e', long = "expire")]
    pub expire: bool,

    /// Run this after each slot, without a shell: %f file, %d directory, %t and %u begin of the slot, %i ident
    #[arg(short = 'x', long = "launch", value_name = "COMMAND")]
    pub launch: Option<String>,

    /// Go to the background once everything is ready; messages then go to syslog
    #[arg(short = 'D', long = "daemon", conflicts_with_all = ["file", "explain"])]
    pub daemon: bool,

    /// Keep the number of the process in FILE while it runs
    #[arg(short = 'P', long = "pid-file", value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Become this user once the ports are open
    #[arg(short = 'u', long = "user", value_name = "USER")]
    pub user: Option<String>,

    /// Become this group once the ports are open
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    pub group: Option<String>,

    /// Sources from nfdump's configuration file; none: not even from $NFCONF
    #[arg(short = 'C', long = "nfdump-config", value_name = "FILE")]
    pub nfdump_config: Option<PathBuf>,

    /// Options from a TOML file, under their long names; the command line and the environment come first
    #[arg(long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Only check the command line and the --config file
    #[arg(long = "check-config")]
    pub check_config: bool,

    /// Accepted for nfcapd 1.6 command lines; has no effect
    #[arg(short = 'T', value_name = "LIST")]
    pub extensions: Option<String>,

    /// Accepted for nfcapd command lines; has no effect
    #[arg(short = 'r', hide = true)]
    pub reserved: bool,

    /// nfcapd's metric socket: refused
    #[arg(short = 'm', value_name = "SOCKET", hide = true)]
    pub metric_socket: Option<PathBuf>,

    /// nfcapd's metric interval: refused
    #[arg(short = 'i', value_name = "SECONDS", hide = true)]
    pub metric_interval: Option<String>,

    /// Read this file instead of listening: a capture of an export (pcap, pcapng), an IPFIX file, or messages one after
    /// the other; -p then names the port of the export in the capture
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with_all = ["listen", "bind", "multicast"])]
    pub file: Option<PathBuf>,

    /// Append every decoded record to FILE as JSON, one object a line; - is standard output
    #[arg(long = "json", value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Print every record on standard output, as JSON, and say everything: the same as --json - -vv
    #[arg(short = 'E', conflicts_with = "json")]
    pub extended: bool,

    /// Lines for templates, losses and broken rules, too
    #[arg(long = "events", requires = "json")]
    pub events: bool,

    /// Write no nfcapd files
    #[arg(long = "no-nfcapd", conflicts_with_all = ["directory", "legacy_directory", "source", "dynamic"])]
    pub no_nfcapd: bool,

    /// At the end, print what each exporter sent: templates, first records, broken rules, losses
    #[arg(long = "explain")]
    pub explain: bool,

    /// Keep templates and sequence numbers of UDP exporters in FILE over a restart
    #[arg(long = "state", value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// What tells UDP exporters apart: their address and port (a port may use the templates of another one), or their
    /// address alone
    #[arg(long = "session-key", value_name = "KEY", default_value = "address+port", value_parser = ["address+port", "address"])]
    pub session_key: String,

    /// Forget templates of UDP exporters that were not sent again for so long
    #[arg(long = "template-lifetime", value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..))]
    pub template_lifetime_s: u32,

    /// Threads that decode and store; the exporters are shared out among them by address
    #[arg(long = "workers", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,

    /// Serve counters for Prometheus (/metrics) and health (/healthz) here
    #[arg(long = "metrics", value_name = "ADDR:PORT")]
    pub metrics: Option<std::net::SocketAddr>,

    /// How log lines look
    #[arg(long = "log", value_name = "FORM", value_enum, default_value_t = crate::log::Form::Auto)]
    pub log: crate::log::Form,

    /// Something else than collecting
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Say more; twice: still more
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Cli {
    /// How much is to be said: `-E` is `-vv` and more.
    #[must_use]
    pub fn verbosity(&self) -> u8 {
        if self.extended {
            self.verbose.max(2)
        } else {
            self.verbose
        }
    }
}

/// What the program is when called by the name nfexpire.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "nfexpire",
    version,
    about = "Deletes old files of flows within limits of size and age."
)]
pub struct Nfexpire {
    /// All of them.
    #[command(flatten)]
    pub options: ExpireOptions,
}

/// What else the program does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Delete old files: nfexpire's options
    Expire(ExpireOptions),
    /// Print the bounds of all tables, and the memory that they add up to
    Limits {
        /// With so many threads that decode and store
        #[arg(long = "workers", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
        workers: u8,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_tutorials_line() {
        let cli = parse("t2collect -T all -B 1000000 -n sourcename,127.0.0.1,.").unwrap();
        assert_eq!(cli.extensions.as_deref(), Some("all"));
        assert_eq!(cli.buffer, Some(1_000_000));
        assert_eq!(cli.source, ["sourcename,127.0.0.1,."]);
        assert_eq!((cli.port, cli.interval_s), (None, 300));
    }

    #[test]
    fn values_may_touch_their_letter_and_compression_has_a_method() {
        let cli = parse("t2collect -p9995 -l/tmp -t60 -z=lz4").unwrap();
        assert_eq!(cli.port, Some(9995));
        assert_eq!(cli.legacy_directory.unwrap().to_str(), Some("/tmp"));
        assert_eq!(cli.compress.as_deref(), Some("lz4"));
        assert_eq!(
            parse("t2collect -z -p 1").unwrap().compress.as_deref(),
            Some("lzo")
        );
        assert!(parse("t2collect -y -p 1").unwrap().lz4);
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for line in [
            "t2collect -z=lz4 -j",
            "t2collect -y -j",
            "t2collect -n a,1.2.3.4,/tmp -w /tmp",
            "t2collect --tls-peer a",
            "t2collect --workers 0",
            "t2collect -t 0",
            "t2collect -q",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
