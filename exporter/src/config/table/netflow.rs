//! The NetFlow sink and its way to the collector.

use super::super::setting::{Fallback, SETTING, Set, Setting, T2Name, choice, put, t2, words};
use crate::cli::{
    ExportTime, ProfileKind, SocketType, TimeRule, Version, parse_count, parse_mtu, parse_name,
    parse_number, parse_port, parse_rate, parse_socket_type, parse_version,
};

const EXPORT: Option<&str> = Some("NetFlow export");

pub(super) static SETTINGS: [Setting; 14] = [
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
        value: "HOST",
        default: Fallback::Is("127.0.0.1"),
        heading: EXPORT,
        help: "The collector's name or address",
        set: Set::Text(|to, text| put(&mut to.nf_addr, parse_name(text))),
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
        value: "udp|tcp",
        default: Fallback::Is("udp"),
        heading: EXPORT,
        help: "How messages travel",
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
        name: "mtu",
        value: "BYTES",
        // Fits an Ethernet frame with room for a tunnel header.
        default: Fallback::Is("1400"),
        heading: EXPORT,
        help: "Octets of a message at most, without IP and UDP headers",
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
                SocketType::Tcp => "unlimited",
            },
            "100000 over UDP, unlimited over TCP",
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
            |settings| match settings.nf_version {
                Version::V9 => "t2",
                Version::Ipfix => "standard",
            },
            "t2 for version 9, standard for 10",
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
