//! Exports: what messages are made of flows, and where they go. Each destination is an export of its own.

use std::path::PathBuf;
use std::time::Duration;

use service::tls::TlsFiles;

use super::setting::Settings;
use super::{TextOutput, UsageError};
use crate::cli::{ExportTime, ProfileKind, Rate, SampleMode, SocketType, TimeRule, Version};
use crate::meter::Metric;

/// Messages of one kind, and their way to one collector or file.
#[derive(Clone, PartialEq, Debug)]
pub struct NetflowConfig {
    /// NetFlow v9 or IPFIX.
    pub version: Version,
    /// Where they go.
    pub destination: Destination,
    /// When the collector is away.
    pub reconnect: Reconnect,
    /// Whether the reading of packets may wait for this export. Those of an interface do not wait.
    pub may_wait: bool,
    /// Most records of one message, IPv4 (and those without IP) and IPv6; 0: no limit.
    pub max_records: [u32; 2],
    /// Most octets of one message, if the path takes so many.
    pub max_message: usize,
    /// Flow records per second.
    pub rate: Rate,
    /// Source id or observation domain.
    pub source_id: u32,
    /// Templates come again after so long on the export clock; in streams and files, only options do.
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
    /// Both directions of a conversation in one record (RFC 5103).
    pub biflow: bool,
    /// So many MPLS labels are in a record of IP.
    pub mpls: u8,
    /// Whether flows of frames without IP are exported.
    pub link_flows: bool,
    /// Whether the exporter tells of itself in options data.
    pub options_data: bool,
    /// Which packets were chosen.
    pub sampling: Option<Sampling>,
}

/// Where messages go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To a collector.
    Collector(Collector),
    /// Into an IPFIX file.
    File(PathBuf),
    /// To standard output, as an IPFIX file.
    Stdout,
}

impl Destination {
    /// Whether every message is a datagram.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        matches!(self, Destination::Collector(collector) if collector.socket_type == SocketType::Udp)
    }
}

/// A collector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collector {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The transport.
    pub socket_type: SocketType,
    /// Certificates and key, for TLS.
    pub tls: TlsFiles,
}

/// What to do when a collector is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reconnect {
    /// How long to wait between attempts (RFC 7011 section 10.4.4: a minute unless told otherwise).
    pub interval: Duration,
    /// Octets of messages that are kept for it.
    pub queue: usize,
    /// How long a collector may read nothing before its connection is given up.
    pub patience: Duration,
}

/// Sampling of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// One packet of so many, more than 1.
    pub one_in: u32,
    /// Which one.
    pub mode: SampleMode,
    /// What random choices begin with.
    pub seed: u64,
}

impl Sampling {
    /// As it was set; `None` if every packet counts.
    #[must_use]
    pub fn new(settings: &Settings) -> Option<Self> {
        let one_in = settings.sample.filter(|one_in| *one_in > 1)?;
        Some(Sampling {
            one_in,
            mode: settings.sample_mode,
            seed: settings.sample_seed,
        })
    }
}

impl NetflowConfig {
    /// One export for each collector.
    ///
    /// # Errors
    /// What NetFlow v9 cannot do.
    pub(super) fn to_collectors(settings: &Settings) -> Result<Vec<Self>, UsageError> {
        if settings.nf_version == Version::V9 {
            if settings.biflow {
                return Err(UsageError::NotInV9("--biflow"));
            }
            if settings.nf_socktype == SocketType::Tls {
                return Err(UsageError::NotInV9("--nf-socktype tls"));
            }
        }
        let collector = |(host, port): &(String, Option<u16>)| {
            let destination = Destination::Collector(Collector {
                host: host.clone(),
                port: port.unwrap_or(settings.nf_port),
                socket_type: settings.nf_socktype,
                tls: TlsFiles {
                    ca: settings.tls_ca.clone(),
                    cert: settings.tls_cert.clone(),
                    key: settings.tls_key.clone(),
                },
            });
            Self::new(settings, settings.nf_version, destination)
        };
        Ok(settings.nf_addr.iter().map(collector).collect())
    }

    /// The export into an IPFIX file, named as those of the text sink are.
    pub(super) fn to_file(settings: &Settings, output: TextOutput) -> Self {
        let destination = match output {
            TextOutput::Stdout => Destination::Stdout,
            TextOutput::Prefix(prefix) | TextOutput::Split(prefix, _) => {
                let mut name = prefix.into_os_string();
                name.push(".ipfix");
                Destination::File(name.into())
            }
        };
        // A limit for messages to collectors is none for files.
        NetflowConfig {
            max_records: [0; 2],
            rate: Rate::Unlimited,
            ..Self::new(settings, Version::Ipfix, destination)
        }
    }

    fn new(settings: &Settings, version: Version, destination: Destination) -> Self {
        NetflowConfig {
            version,
            reconnect: Reconnect {
                interval: settings.reconnect,
                queue: settings.reconnect_queue,
                patience: crate::send::PATIENCE,
            },
            may_wait: settings.interface.is_none(),
            max_records: [settings.nf_num4flws, settings.nf_num6flws],
            max_message: settings.mtu.into(),
            rate: settings.rate,
            source_id: settings.source_id,
            refresh_interval: Duration::from_secs(settings.template_refresh.into()),
            refresh_messages: settings.template_refresh_messages,
            export_time: settings.export_time,
            metric: settings.bytes.unwrap_or(match settings.profile {
                ProfileKind::T2 => Metric::L7,
                ProfileKind::Standard => Metric::Ip,
            }),
            time_rule: settings.time_rule,
            biflow: settings.biflow,
            mpls: settings.mpls,
            link_flows: settings.link_flows,
            options_data: settings.options_data,
            sampling: Sampling::new(settings),
            profile: settings.profile,
            destination,
        }
    }
}
