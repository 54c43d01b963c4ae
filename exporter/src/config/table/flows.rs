//! How flows are told apart, when they end and what they count.

use super::super::setting::{Fallback, SETTING, Set, Setting, T2Name, choice, put, words};
use crate::cli::{
    SampleMode, parse_active, parse_factor, parse_sample, parse_seconds, parse_seed,
    parse_tcp_timeouts,
};
use crate::dissect::Tunnel;
use crate::meter::Metric;

const METER: Option<&str> = Some("Flows");

pub(super) static SETTINGS: [Setting; 9] = [
    Setting {
        name: "bytes",
        t2: Some(T2Name {
            name: "PACKETLENGTH",
            variable: false,
            values: &[("0", "l2"), ("1", "ip"), ("2", "l4"), ("3", "l7")],
        }),
        value: "METRIC",
        default: Fallback::Nothing("l7 with profile t2 and in text, ip with profile standard"),
        heading: METER,
        help: "What octet counts count: layer 7 payload, IP payload, IP packets or frames",
        set: Set::Choice(words::<Metric>, |to, text| {
            put(&mut to.bytes, choice(text).map(Some))
        }),
        ..SETTING
    },
    Setting {
        name: "idle-timeout",
        t2: Some(T2Name {
            name: "FLOW_TIMEOUT",
            variable: false,
            values: &[],
        }),
        value: "S",
        default: Fallback::Is("182"),
        heading: METER,
        help: "A flow ends after so many seconds without a packet",
        set: Set::Text(|to, text| put(&mut to.idle_timeout, parse_seconds(text))),
        ..SETTING
    },
    Setting {
        name: "active-timeout",
        t2: Some(T2Name {
            name: "FDURLIMIT",
            variable: false,
            values: &[("0", "never")],
        }),
        value: "S|never",
        default: Fallback::Follows(
            |settings| match settings.interface {
                Some(_) => "300",
                None => "never",
            },
            "never, with -i 300",
        ),
        heading: METER,
        help: "A flow is cut at the first packet so many seconds after its first one",
        set: Set::Text(|to, text| put(&mut to.active_timeout, parse_active(text))),
        ..SETTING
    },
    Setting {
        name: "tcp-timeouts",
        value: "NEW,EST,CLOSING,CLOSED,RESET",
        default: Fallback::Is("120,610,120,10,0.1"),
        heading: METER,
        help: "Time-outs of the TCP states: connecting, established, closing, closed, reset",
        set: Set::Text(|to, text| put(&mut to.tcp_timeouts, parse_tcp_timeouts(text))),
        ..SETTING
    },
    Setting {
        name: "hash-factor",
        short: Some('f'),
        value: "N",
        default: Fallback::Is("1"),
        heading: METER,
        help: "Room for so many times 262144 flows at a time; above it the least recently used ones end early",
        set: Set::Text(|to, text| put(&mut to.hash_factor, parse_factor(text))),
        ..SETTING
    },
    Setting {
        name: "tunnel",
        value: "PACKET",
        default: Fallback::Is("inner"),
        heading: METER,
        help: "Which packet of a tunnel counts: the innermost one or the outermost one",
        set: Set::Choice(words::<Tunnel>, |to, text| {
            put(&mut to.tunnel, choice(text))
        }),
        ..SETTING
    },
    Setting {
        name: "sample",
        value: "1:N",
        heading: METER,
        help: "Only one packet of N becomes part of a flow; collectors are told",
        set: Set::Text(|to, text| put(&mut to.sample, parse_sample(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "sample-mode",
        value: "MODE",
        default: Fallback::Is("count"),
        heading: METER,
        help: "Which packet of N: the first one, or one at random",
        set: Set::Choice(words::<SampleMode>, |to, text| {
            put(&mut to.sample_mode, choice(text))
        }),
        ..SETTING
    },
    Setting {
        name: "sample-seed",
        value: "N",
        default: Fallback::Is("1"),
        heading: METER,
        help: "What random choices begin with: the same seed chooses the same packets",
        set: Set::Text(|to, text| put(&mut to.sample_seed, parse_seed(text))),
        ..SETTING
    },
];
