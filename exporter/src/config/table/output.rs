//! Where flows and reports go.

use super::super::setting::{Fallback, SETTING, Set, Setting, choice, choices, put, words};
use crate::cli::{ReportForm, SinkKind, parse_split};

pub(super) static SETTINGS: [Setting; 6] = [
    Setting {
        name: "write",
        short: Some('w'),
        value: "PREFIX",
        default: Fallback::Nothing("the name of capture or list without suffix"),
        help: "Prefix, or directory, of the files that --sink text, json and ipfix-file write; - writes the flows to standard output",
        group: Some("output"),
        set: Set::Path(|to, path| to.write = Some(path)),
        ..SETTING
    },
    Setting {
        name: "write-split",
        short: Some('W'),
        value: "PREFIX[:SIZE][,START]",
        help: "The same, in files of SIZE octets each (1.5M; 500M unless told), or of as many flows (10Kf), with numbers from START (0) on behind their names",
        group: Some("output"),
        set: Set::Text(|to, text| {
            let (prefix, split) = parse_split(text)?;
            to.write = Some(prefix);
            to.split = Some(split);
            Ok(())
        }),
        ..SETTING
    },
    Setting {
        name: "sink",
        value: "SINK",
        default: Fallback::Is("netflow"),
        help: "Where flows go; may be repeated, only the named sinks run",
        repeated: true,
        set: Set::Choice(words::<SinkKind>, |to, text| {
            put(&mut to.sink, choices(text))
        }),
        ..SETTING
    },
    Setting {
        name: "report",
        value: "FORM",
        default: Fallback::Is("text"),
        help: "Form of the end report on standard error: text, or one JSON object",
        set: Set::Choice(words::<ReportForm>, |to, text| {
            put(&mut to.report, choice(text))
        }),
        ..SETTING
    },
    Setting {
        name: "packet-mode",
        short: Some('s'),
        default: Fallback::Is("no"),
        help: "Also write PREFIX_packets.txt, one line a packet (Tranalyzer's packet mode)",
        set: Set::Flag(|to, flag| to.packet_mode = flag),
        ..SETTING
    },
    Setting {
        name: "log-file",
        short: Some('l'),
        default: Fallback::Is("no"),
        help: "The end report goes to PREFIX_log.txt; what failed is also told on standard error",
        set: Set::Flag(|to, flag| to.log_file = flag),
        ..SETTING
    },
];
