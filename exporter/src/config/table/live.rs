//! How an interface is listened on, and what a run that goes on tells.

use super::super::setting::{Fallback, SETTING, Set, Setting, T2Name, put};
use crate::cli::{parse_buffer, parse_listen, parse_name, parse_seconds, parse_snap_length};

const LIVE: Option<&str> = Some("Live");

pub(super) static SETTINGS: [Setting; 8] = [
    Setting {
        name: "buffer",
        short: Some('B'),
        value: "BYTES",
        default: Fallback::Is("32M"),
        heading: LIVE,
        help: "The kernel's buffer for packets, with K, M or G octets",
        set: Set::Text(|to, text| put(&mut to.buffer, parse_buffer(text))),
        ..SETTING
    },
    Setting {
        name: "snap-length",
        short: Some('S'),
        value: "BYTES",
        default: Fallback::Is("65535"),
        heading: LIVE,
        help: "Octets of a packet that are looked at",
        set: Set::Text(|to, text| put(&mut to.snap_length, parse_snap_length(text))),
        ..SETTING
    },
    Setting {
        name: "no-promiscuous",
        default: Fallback::Is("no"),
        heading: LIVE,
        help: "Only packets from and to this machine",
        set: Set::Flag(|to, flag| to.no_promiscuous = flag),
        ..SETTING
    },
    Setting {
        name: "no-io-buffering",
        t2: Some(T2Name {
            name: "IO_BUFFERING",
            variable: false,
            values: &[("0", "yes"), ("1", "no")],
        }),
        default: Fallback::Is("no"),
        heading: LIVE,
        help: "Read and meter packets on one thread, without a buffer between (Tranalyzer's IO_BUFFERING=0)",
        set: Set::Flag(|to, flag| to.no_io_buffering = flag),
        ..SETTING
    },
    Setting {
        name: "user",
        value: "USER",
        heading: LIVE,
        help: "Become this user once interface, collectors and files are open",
        set: Set::Text(|to, text| put(&mut to.user, parse_name(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "monitor",
        short: Some('M'),
        value: "SEC",
        heading: LIVE,
        help: "Tell every so many seconds what was counted, on standard error in the form of the end report. SIGUSR1 asks for it once, SIGUSR2 turns it on and off",
        set: Set::Text(|to, text| put(&mut to.monitor, parse_seconds(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "monitor-file",
        short: Some('m'),
        default: Fallback::Is("no"),
        heading: LIVE,
        help: "What -M and the signals tell goes to PREFIX_monitoring.txt",
        set: Set::Flag(|to, flag| to.monitor_file = flag),
        ..SETTING
    },
    Setting {
        name: "metrics",
        value: "ADDR:PORT",
        heading: LIVE,
        help: "Show counters over HTTP: /metrics for Prometheus, /healthz",
        set: Set::Text(|to, text| put(&mut to.metrics, parse_listen(text).map(Some))),
        ..SETTING
    },
];
