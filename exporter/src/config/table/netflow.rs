//! The NetFlow sink and its way to the collector.

use super::super::setting::{
    Fallback, SETTING, Set, Setting, Settings, T2Name, choice, parse_flag, put, t2, words,
};
use crate::cli::{
    ExportTime, ProfileKind, SinkKind, SocketType, TimeRule, Version, parse_collectors,
    parse_count, parse_labels, parse_mtu, parse_number, parse_port, parse_queue, parse_rate,
    parse_seconds, parse_socket_type, parse_version,
};

const EXPORT: Option<&str> = Some("NetFlow export");

/// Whether the messages are IPFIX: those to collectors, or if there are none those of the file.
fn is_ipfix(settings: &Settings) -> bool {
    settings.nf_version == Version::Ipfix || !settings.sink.contains(&SinkKind::Netflow)
}

pub(super) static SETTINGS: [Setting; 23] = [
    Setting {
        name: "nf-version",
        t2: t2("NF_VER"),
        value: "9|10",
        default: Fallback::Is("9"),
        heading: EXPORT,
        help: "NetFlow version: 9, or 10 for IPFIX",
        set: Set::Text(|to, text| put(&mut to.nf_version, parse_version(text))),
        ..SETTING
    },
    Setting {
        name: "nf-addr",
        t2: t2("NF_SERVADD"),
        value: "HOST[:PORT]",
        default: Fallback::Is("127.0.0.1"),
        heading: EXPORT,
        help: "The collector's name or address, and its port; may be repeated: each collector gets all flows",
        repeated: true,
        set: Set::Text(|to, text| put(&mut to.nf_addr, parse_collectors(text))),
        ..SETTING
    },
    Setting {
        name: "nf-port",
        t2: t2("NF_DPORT"),
        value: "N",
        default: Fallback::Is("9995"),
        heading: EXPORT,
        help: "The collector's port",
        set: Set::Text(|to, text| put(&mut to.nf_port, parse_port(text))),
        ..SETTING
    },
    Setting {
        name: "nf-socktype",
        t2: t2("NF_SOCKTYPE"),
        value: "udp|tcp|tls",
        default: Fallback::Is("udp"),
        heading: EXPORT,
        help: "How messages travel; TLS is for IPFIX only",
        set: Set::Text(|to, text| put(&mut to.nf_socktype, parse_socket_type(text))),
        ..SETTING
    },
    Setting {
        name: "nf-num4flws",
        t2: t2("NF_NUM4FLWS"),
        value: "N",
        default: Fallback::Is("200"),
        heading: EXPORT,
        help: "Most IPv4 flows in one message",
        set: Set::Text(|to, text| put(&mut to.nf_num4flws, parse_count(text))),
        ..SETTING
    },
    Setting {
        name: "nf-num6flws",
        t2: t2("NF_NUM6FLWS"),
        value: "N",
        default: Fallback::Is("100"),
        heading: EXPORT,
        help: "Most IPv6 flows in one message",
        set: Set::Text(|to, text| put(&mut to.nf_num6flws, parse_count(text))),
        ..SETTING
    },
    Setting {
        name: "tls-ca",
        value: "FILE",
        heading: EXPORT,
        help: "Certificates of the authorities that may vouch for the collector",
        set: Set::Path(|to, path| to.tls_ca = Some(path)),
        ..SETTING
    },
    Setting {
        name: "tls-cert",
        value: "FILE",
        heading: EXPORT,
        help: "Our certificate for the collector, and those that vouch for it",
        set: Set::Path(|to, path| to.tls_cert = Some(path)),
        ..SETTING
    },
    Setting {
        name: "tls-key",
        value: "FILE",
        heading: EXPORT,
        help: "The key of our certificate",
        set: Set::Path(|to, path| to.tls_key = Some(path)),
        ..SETTING
    },
    Setting {
        name: "reconnect",
        value: "SECONDS",
        // RFC 7011 section 10.4.4: no more often unless told to.
        default: Fallback::Is("60"),
        heading: EXPORT,
        help: "Look for a collector that is away every so many seconds",
        set: Set::Text(|to, text| put(&mut to.reconnect, parse_seconds(text))),
        ..SETTING
    },
    Setting {
        name: "reconnect-queue",
        value: "BYTES",
        // Some 800,000 flows.
        default: Fallback::Is("64M"),
        heading: EXPORT,
        help: "Messages that are kept for a collector that is away, with -i also flows for one that is slow; K, M or G octets",
        set: Set::Text(|to, text| put(&mut to.reconnect_queue, parse_queue(text))),
        ..SETTING
    },
    Setting {
        name: "mtu",
        value: "BYTES",
        default: Fallback::Follows(
            // Fits an Ethernet frame with room for a tunnel header.
            |settings| match settings.sink.contains(&SinkKind::Netflow) {
                true => "1400",
                false => "65535",
            },
            "1400, for an IPFIX file alone 65535",
        ),
        heading: EXPORT,
        help: "Octets of a message at most, without IP and UDP headers, if the path takes so many",
        set: Set::Text(|to, text| put(&mut to.mtu, parse_mtu(text))),
        ..SETTING
    },
    Setting {
        name: "rate",
        value: "N|unlimited",
        // What a collector with a default socket buffer stores without loss.
        default: Fallback::Follows(
            |settings| match settings.nf_socktype {
                SocketType::Udp => "100000",
                SocketType::Tcp | SocketType::Tls => "unlimited",
            },
            "100000 over UDP, else unlimited",
        ),
        heading: EXPORT,
        help: "Flows sent per second",
        set: Set::Text(|to, text| put(&mut to.rate, parse_rate(text))),
        ..SETTING
    },
    Setting {
        name: "profile",
        value: "PROFILE",
        default: Fallback::Follows(
            |settings| match is_ipfix(settings) {
                false => "t2",
                true => "standard",
            },
            "t2 for version 9, standard for 10 and files",
        ),
        heading: EXPORT,
        help: "Fields of a record: Tranalyzer's, or those of the IPFIX standard",
        set: Set::Choice(words::<ProfileKind>, |to, text| {
            put(&mut to.profile, choice(text))
        }),
        ..SETTING
    },
    Setting {
        name: "source-id",
        short: Some('x'),
        t2: Some(T2Name {
            name: "T2_SENSORID",
            variable: false,
            values: &[],
        }),
        value: "N",
        default: Fallback::Follows(
            |settings| match settings.profile {
                ProfileKind::T2 => "666",
                ProfileKind::Standard => "0",
            },
            "666 with profile t2, 0 with standard",
        ),
        heading: EXPORT,
        help: "Source id (v9) or observation domain (IPFIX)",
        set: Set::Text(|to, text| put(&mut to.source_id, parse_number(text))),
        ..SETTING
    },
    Setting {
        name: "template-refresh",
        value: "SECONDS",
        default: Fallback::Is("60"),
        heading: EXPORT,
        help: "Templates are sent again after so many seconds of the export clock",
        set: Set::Text(|to, text| put(&mut to.template_refresh, parse_count(text))),
        ..SETTING
    },
    Setting {
        name: "template-refresh-messages",
        value: "N",
        default: Fallback::Is("20"),
        heading: EXPORT,
        help: "Templates are sent again after so many messages",
        set: Set::Text(|to, text| put(&mut to.template_refresh_messages, parse_count(text))),
        ..SETTING
    },
    Setting {
        name: "export-time",
        value: "CLOCK",
        default: Fallback::Follows(
            |settings| match settings.interface {
                Some(_) => "now",
                None => "packet",
            },
            "packet, with -i now",
        ),
        heading: EXPORT,
        help: "Clock of the message headers: the capture's or this machine's",
        set: Set::Choice(words::<ExportTime>, |to, text| {
            put(&mut to.export_time, choice(text))
        }),
        ..SETTING
    },
    Setting {
        name: "biflow",
        heading: EXPORT,
        help: "Both directions of a conversation in one record (RFC 5103); IPFIX only",
        set: Set::Flag(|to, flag| to.biflow = flag),
        ..SETTING
    },
    Setting {
        name: "mpls",
        value: "N",
        default: Fallback::Is("0"),
        heading: EXPORT,
        help: "So many MPLS labels of a flow are exported, from the top of its stack on, 5 at most",
        set: Set::Text(|to, text| put(&mut to.mpls, parse_labels(text))),
        ..SETTING
    },
    Setting {
        name: "link-flows",
        value: "yes|no",
        default: Fallback::Follows(
            |settings| match settings.profile == ProfileKind::Standard && is_ipfix(settings) {
                true => "yes",
                false => "no",
            },
            "yes with profile standard over IPFIX",
        ),
        heading: EXPORT,
        help: "Whether flows of frames without IP are exported, with EtherType and MAC addresses",
        set: Set::Text(|to, text| put(&mut to.link_flows, parse_flag(text))),
        ..SETTING
    },
    Setting {
        name: "options-data",
        value: "yes|no",
        default: Fallback::Follows(
            |settings| match settings.profile == ProfileKind::Standard && is_ipfix(settings) {
                true => "yes",
                false => "no",
            },
            "yes with profile standard over IPFIX",
        ),
        heading: EXPORT,
        help: "Whether the exporter tells of itself: what was sent and lost, keys of flows, when its clock was zero",
        set: Set::Text(|to, text| put(&mut to.options_data, parse_flag(text))),
        ..SETTING
    },
    Setting {
        name: "time-rule",
        value: "RULE",
        default: Fallback::Is("exact"),
        heading: EXPORT,
        help: "Exact flow times, or early ones as Tranalyzer's old export had them, to compare with published results",
        set: Set::Choice(words::<TimeRule>, |to, text| {
            put(&mut to.time_rule, choice(text))
        }),
        ..SETTING
    },
];
