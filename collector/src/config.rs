//! What the command line means: addresses resolved, sources parsed, directories checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use jiff::tz::TimeZone;
use nfdump_compat::file::Compression;
use protocol::limits::Limits;
use protocol::session::SessionKey;
use service::tls::{TlsFiles, server_name};

use self::sources::sources;
use crate::cli::{Cli, DEFAULT_PORT};
use crate::knowledge::{AssumedSampling, Sampling};
use crate::slot::name::Calendar;

mod sources;

/// Hosts that datagrams are repeated to, at most (nfcapd's bound).
const MAX_REPEATERS: usize = 8;

/// Why the program cannot start as asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line says something impossible (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The command line is right but the machine does not follow (exit code 1).
    #[error("{0}")]
    Failed(String),
}

impl ConfigError {
    /// The exit code that goes with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

/// How messages arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// Messages one after the other in a stream.
    Tcp,
    /// The same inside of TLS.
    Tls,
}

/// One address to listen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// How messages arrive.
    pub transport: Transport,
    /// Where to bind.
    pub address: SocketAddr,
    /// Bind to the IPv4 wildcard address when the machine has no IPv6.
    pub fall_back_to_ipv4: bool,
    /// An IPv6 socket that leaves IPv4 alone.
    pub only_ipv6: bool,
    /// A multicast group to join, and for IPv4 the address of the interface.
    pub group: Option<(IpAddr, Option<Ipv4Addr>)>,
}

/// Whom TLS lets in, and what we show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Certificates and key.
    pub files: TlsFiles,
    /// Names of which an exporter's certificate must have one; none: any name.
    pub peers: Vec<String>,
}

/// What the program's surroundings say about its command line.
#[derive(Clone, Default, Debug)]
pub struct Surroundings {
    /// `$T2_FLOWS`.
    pub flows: Option<PathBuf>,
    /// `$NFCONF`.
    pub nfconf: Option<PathBuf>,
    /// It was called by the name nfcapd, and does as nfcapd does.
    pub as_nfcapd: bool,
}

/// A named stream of flows with files of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its name in the files.
    pub ident: String,
    /// The only sender that belongs to it; `None`: every sender.
    pub address: Option<IpAddr>,
    /// Where its files go.
    pub directory: PathBuf,
}

/// Everything the collector needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, at least one.
    pub endpoints: Vec<Endpoint>,
    /// They were not asked for: sockets that the service manager hands over replace them.
    pub default_endpoint: bool,
    /// Set if there is a TLS endpoint, or files for one.
    pub tls: Option<Tls>,
    /// Threads that decode and store, at least one.
    pub workers: usize,
    /// Where `/metrics` is.
    pub metrics: Option<SocketAddr>,
    /// Where datagrams are sent on.
    pub repeat: Vec<SocketAddr>,
    /// The sources; none if they are found as they send.
    pub sources: Vec<Source>,
    /// Where sources are found as they send, and how many at most.
    pub dynamic: Option<(PathBuf, usize)>,
    /// When slots begin, and their names.
    pub calendar: Calendar,
    /// Sampling of exporters that do not tell it.
    pub sampling: Option<AssumedSampling>,
    /// How the files are compressed.
    pub compression: Compression,
    /// How hard, where the method has levels.
    pub level: Option<i32>,
    /// Threads that compress.
    pub compressors: usize,
    /// Old files are deleted after each slot.
    pub expire: bool,
    /// The words of the command that runs after each slot; none: no command.
    pub launch: Vec<String>,
    /// The program is to go to the background.
    pub daemon: bool,
    /// Where the number of the process is kept.
    pub pid_file: Option<PathBuf>,
    /// Who the process becomes.
    pub user: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Receive buffer asked for with `-B`.
    pub buffer: Option<usize>,
    /// A file to read instead of listening, and the ports of the export in it if they are given.
    pub file: Option<(PathBuf, Vec<u16>)>,
    /// Where records go as JSON.
    pub json: Option<PathBuf>,
    /// JSON lines beside those of records.
    pub events: bool,
    /// Files are written.
    pub nfcapd: bool,
    /// What was sent is printed at the end.
    pub explain: bool,
    /// Where templates are kept over a restart.
    pub state: Option<PathBuf>,
    /// What tells datagram exporters apart.
    pub session_key: SessionKey,
    /// Bounds of the session.
    pub limits: Limits,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Things the user should know before the program runs.
    pub notices: Vec<String>,
}

impl Config {
    /// Resolves a command line.
    ///
    /// # Errors
    /// Wrong syntax, a name that does not resolve, or a directory that is not there.
    pub fn resolve(cli: &Cli, surroundings: &Surroundings) -> Result<Self, ConfigError> {
        let mut notices = Vec::new();
        if let Some(list) = &cli.extensions {
            notices.push(format!("Option -T {list} no longer supported and ignored"));
        }
        if cli.legacy_directory.is_some() {
            notices.push("-l is nfcapd 1.6's spelling of -w and taken as such".to_owned());
        }
        if cli.no_nfcapd && cli.json.is_none() && !cli.explain && !cli.extended {
            return Err(ConfigError::Usage(
                "--no-nfcapd leaves nothing to do without --json or --explain".to_owned(),
            ));
        }
        if cli.metric_socket.is_some() || cli.metric_interval.is_some() {
            return Err(ConfigError::Usage(
                "-m and -i: nfcapd's metric socket is not offered, --metrics ADDR:PORT serves the counters to Prometheus"
                    .to_owned(),
            ));
        }
        let sources = if cli.no_nfcapd {
            vec![Source {
                ident: cli.ident.clone(),
                address: None,
                directory: PathBuf::new(),
            }]
        } else {
            sources(cli, surroundings, &mut notices)?
        };
        let (compression, level) = compression(cli, &mut notices)?;
        let slow = matches!(compression, Compression::Bz2 | Compression::Zstd);
        let endpoints = endpoints(cli, surroundings.as_nfcapd)?;
        Ok(Self {
            tls: tls(cli, &endpoints)?,
            endpoints,
            default_endpoint: cli.listen.is_empty()
                && cli.port.is_none()
                && cli.bind.is_none()
                && cli.multicast.is_none(),
            workers: usize::from(cli.workers),
            metrics: cli.metrics,
            repeat: repeaters(cli)?,
            sources,
            dynamic: cli
                .dynamic
                .clone()
                .map(|directory| (directory, cli.max_sources as usize)),
            calendar: Calendar {
                zone: if cli.utc {
                    TimeZone::UTC
                } else {
                    TimeZone::system()
                },
                interval_s: cli.interval_s,
                align_local: !surroundings.as_nfcapd,
                zone_in_name: cli.zone,
                sub_directory: cli.sub_directory,
            },
            sampling: sampling(cli)?,
            compression,
            level,
            compressors: usize::from(cli.compressors.unwrap_or(if slow { 2 } else { 1 })),
            expire: cli.expire,
            launch: launch(cli)?,
            daemon: cli.daemon,
            pid_file: cli.pid_file.clone(),
            user: cli.user.clone(),
            group: cli.group.clone(),
            buffer: cli.buffer,
            file: cli
                .file
                .clone()
                .map(|file| (file, cli.port.into_iter().collect())),
            json: if cli.extended {
                Some(PathBuf::from("-"))
            } else {
                cli.json.clone()
            },
            events: cli.events,
            nfcapd: !cli.no_nfcapd,
            explain: cli.explain,
            state: cli.state.clone(),
            session_key: match cli.session_key.as_str() {
                "address" => SessionKey::Address,
                _ => SessionKey::AddressPortShared,
            },
            limits: Limits {
                template_ms: u64::from(cli.template_lifetime_s) * 1000,
                ..Limits::default()
            },
            verbose: cli.verbosity(),
            notices,
        })
    }
}

/// `-y`, `-j` or `-z=METHOD[:LEVEL]`.
fn compression(
    cli: &Cli,
    notices: &mut Vec<String>,
) -> Result<(Compression, Option<i32>), ConfigError> {
    let method = match (&cli.compress, cli.lz4, cli.bz2) {
        (Some(method), _, _) => method.as_str(),
        (None, true, _) => "lz4",
        (None, false, true) => "bz2",
        (None, false, false) => return Ok((Compression::None, None)),
    };
    let parsed = Compression::parse_method(method);
    let (compression, level) =
        parsed.map_err(|what| ConfigError::Usage(format!("-z={method}: {what}")))?;
    if compression == Compression::Lz4 && method.contains(':') {
        notices.push(format!(
            "-z={method}: LZ4 is always compressed at its fast level; the files are the same to read"
        ));
    }
    Ok((compression, level))
}

/// The sampling that `-s` asks for.
fn sampling(cli: &Cli) -> Result<Option<AssumedSampling>, ConfigError> {
    let Some(rate) = cli.sampling else {
        return Ok(None);
    };
    match Sampling::one_in(rate.unsigned_abs(), 0) {
        Some(sampling) => Ok(Some(AssumedSampling {
            sampling,
            always: rate < 0,
        })),
        None => Err(ConfigError::Usage(format!(
            "-s {rate}: invalid sampling rate"
        ))),
    }
}

/// The files of TLS, if there is a use for them.
fn tls(cli: &Cli, endpoints: &[Endpoint]) -> Result<Option<Tls>, ConfigError> {
    let files = TlsFiles {
        ca: cli.tls_ca.clone(),
        cert: cli.tls_cert.clone(),
        key: cli.tls_key.clone(),
    };
    let is_used = endpoints.iter().any(|e| e.transport == Transport::Tls);
    if !is_used && files == TlsFiles::default() {
        return Ok(None);
    }
    if files.cert.is_none() || files.key.is_none() {
        return Err(ConfigError::Usage(
            "TLS needs a certificate and its key: give --tls-cert FILE and --tls-key FILE"
                .to_owned(),
        ));
    }
    if let Some(name) = cli.tls_peer.iter().find(|name| server_name(name).is_none()) {
        return Err(ConfigError::Usage(format!(
            "--tls-peer {name}: neither a DNS name nor an address"
        )));
    }
    let peers = cli.tls_peer.clone();
    Ok(Some(Tls { files, peers }))
}

/// The words of `-x`.
fn launch(cli: &Cli) -> Result<Vec<String>, ConfigError> {
    let Some(command) = &cli.launch else {
        return Ok(Vec::new());
    };
    match shlex::split(command) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(ConfigError::Usage("-x: the command is empty".to_owned())),
        None => Err(ConfigError::Usage(format!(
            "-x {command}: a quotation mark or backslash without its other half"
        ))),
    }
}

/// `HOST[/PORT]`, as nfcapd's `-R` has it.
fn repeaters(cli: &Cli) -> Result<Vec<SocketAddr>, ConfigError> {
    if cli.repeat.len() > MAX_REPEATERS {
        return Err(ConfigError::Usage(format!(
            "-R: {} hosts, at most {MAX_REPEATERS}",
            cli.repeat.len()
        )));
    }
    let target = |target: &String| {
        let (host, port) = match target.rsplit_once('/') {
            None => (target.as_str(), DEFAULT_PORT),
            Some((host, port)) => {
                let port = port.parse().ok().filter(|&port| port != 0);
                (
                    host,
                    port.ok_or_else(|| {
                        ConfigError::Usage(format!(
                            "-R {target}: the port is not a number from 1 to 65535"
                        ))
                    })?,
                )
            }
        };
        lookup(host, port, cli)
    };
    cli.repeat.iter().map(target).collect()
}

fn endpoints(cli: &Cli, as_nfcapd: bool) -> Result<Vec<Endpoint>, ConfigError> {
    let mut endpoints = Vec::new();
    let port = cli.port.unwrap_or(DEFAULT_PORT);
    if let Some(group) = &cli.multicast {
        endpoints.push(multicast(group, port, cli)?);
    } else if cli.listen.is_empty() || cli.port.is_some() || cli.bind.is_some() {
        endpoints.push(match &cli.bind {
            Some(host) => Endpoint {
                fall_back_to_ipv4: false,
                ..datagrams(lookup(host, port, cli)?, cli)
            },
            None => datagrams(
                wildcard(port, only_ipv4(cli) || (as_nfcapd && !cli.ipv6)),
                cli,
            ),
        });
    }
    for url in &cli.listen {
        endpoints.push(listen_url(url, cli)?);
    }
    Ok(endpoints)
}

fn datagrams(address: SocketAddr, cli: &Cli) -> Endpoint {
    Endpoint {
        transport: Transport::Udp,
        address,
        fall_back_to_ipv4: !only_ipv6(cli),
        only_ipv6: only_ipv6(cli),
        group: None,
    }
}

/// `-J`: only what is sent to the group arrives.
fn multicast(group: &str, port: u16, cli: &Cli) -> Result<Endpoint, ConfigError> {
    let address = lookup(group, port, cli)?;
    if !address.ip().is_multicast() {
        return Err(ConfigError::Usage(format!(
            "-J {group}: not a multicast group, expected for example 239.255.0.1 or ff15::1"
        )));
    }
    let interface = match &cli.bind {
        None => None,
        Some(bind) => Some(bind.parse().map_err(|_| {
            ConfigError::Usage(format!(
                "-b {bind}: with -J, the IPv4 address of an interface"
            ))
        })?),
    };
    Ok(Endpoint {
        fall_back_to_ipv4: false,
        group: Some((address.ip(), interface)),
        ..datagrams(address, cli)
    })
}

/// `-4` and `-6` together ask for both, as neither does.
fn only_ipv4(cli: &Cli) -> bool {
    cli.ipv4 && !cli.ipv6
}

fn only_ipv6(cli: &Cli) -> bool {
    cli.ipv6 && !cli.ipv4
}

fn wildcard(port: u16, ipv4: bool) -> SocketAddr {
    if ipv4 {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
    }
}

/// `udp://ADDR:PORT`, `tcp://ADDR:PORT` or `tls://ADDR:PORT`.
fn listen_url(url: &str, cli: &Cli) -> Result<Endpoint, ConfigError> {
    let wrong = |what: &str| {
        ConfigError::Usage(format!(
            "--listen {url}: {what}, expected udp://, tcp:// or tls://ADDR:PORT"
        ))
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("no transport"))?;
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return Err(wrong("unknown transport")),
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| wrong("the port is not a number below 65536"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() {
        return Err(wrong("no address"));
    }
    let address = lookup(host, port, cli)?;
    Ok(Endpoint {
        transport,
        fall_back_to_ipv4: false,
        ..datagrams(address, cli)
    })
}

/// The first address of `host` in the wanted family.
fn lookup(host: &str, port: u16, cli: &Cli) -> Result<SocketAddr, ConfigError> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| ConfigError::Failed(format!("cannot resolve {host}: {error}")))?
        .find(|a| (!only_ipv4(cli) || a.is_ipv4()) && (!only_ipv6(cli) || a.is_ipv6()));
    found.ok_or_else(|| {
        ConfigError::Failed(format!("{host} has no address of the family asked for"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;

    fn resolve(line: &str) -> Result<Config, ConfigError> {
        let cli = Cli::try_parse_from(std::iter::once("t2collect").chain(line.split_whitespace()))
            .unwrap();
        Config::resolve(&cli, &Surroundings::default())
    }

    #[test]
    fn the_default_is_udp_on_all_addresses_and_the_current_directory() {
        let config = resolve("").unwrap();
        assert_eq!(config.endpoints.len(), 1);
        assert_eq!(config.endpoints[0].address, "[::]:9995".parse().unwrap());
        assert!(config.endpoints[0].fall_back_to_ipv4);
        assert_eq!(
            config.sources,
            [Source {
                ident: "none".into(),
                address: None,
                directory: ".".into()
            }]
        );
        assert!(
            config.notices[0].contains("the current directory"),
            "{:?}",
            config.notices
        );
    }

    #[test]
    fn the_flow_directory_comes_from_the_environment() {
        let cli = Cli::try_parse_from(["t2collect"]).unwrap();
        let config = Config::resolve(
            &cli,
            &Surroundings {
                flows: Some("/tmp".into()),
                ..Surroundings::default()
            },
        )
        .unwrap();
        assert_eq!(config.sources[0].directory, Path::new("/tmp"));
        assert!(config.notices[0].contains("$T2_FLOWS"));
    }

    #[test]
    fn listen_replaces_the_default_port_and_adds_to_a_given_one() {
        let config = resolve("--listen tcp://127.0.0.1:4739 --listen udp://[::1]:0").unwrap();
        let seen: Vec<_> = config
            .endpoints
            .iter()
            .map(|e| (e.transport, e.address.to_string()))
            .collect();
        assert_eq!(
            seen,
            [
                (Transport::Tcp, "127.0.0.1:4739".to_owned()),
                (Transport::Udp, "[::1]:0".to_owned())
            ]
        );
        assert_eq!(
            resolve("-p 9 --listen tcp://127.0.0.1:9")
                .unwrap()
                .endpoints
                .len(),
            2
        );
    }

    #[test]
    fn a_source_is_ident_address_directory() {
        let source = &resolve("-n sourcename,127.0.0.1,.").unwrap().sources[0];
        assert_eq!(
            source,
            &Source {
                ident: "sourcename".into(),
                address: Some("127.0.0.1".parse().unwrap()),
                directory: ".".into()
            }
        );
        let mapped = &resolve("-n v6,::ffff:192.0.2.1,.").unwrap().sources[0];
        assert_eq!(mapped.address, Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn wrong_definitions_are_usage_errors_and_missing_directories_failures() {
        for line in [
            "-n a",
            "-n a,b,/tmp",
            "-n a,1.2.3.4,",
            "-n a,1.2.3.4,. -n b,1.2.3.4,/tmp",
            "-I a\u{7}b",
            "--listen sctp://x:1",
            "--listen tcp://x",
            "--listen tls://127.0.0.1:0",
            "--tls-cert c.pem",
            "-J 192.0.2.1",
            "-z=rar",
            "-z=zstd:99",
            "-z=bz2:3",
            "-z=lz4:x",
            "-s 0",
            "-I ../../x",
            "-n ../../x,1.2.3.4,.",
            "-n ..,1.2.3.4,.",
            "-R 127.0.0.1/0",
            "-m /tmp/socket",
        ] {
            assert_eq!(resolve(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(resolve("-w /no/such/place").unwrap_err().exit_code(), 1);
        assert_eq!(resolve("-w /etc/hostname").unwrap_err().exit_code(), 1);
    }
}
