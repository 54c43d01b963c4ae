//! Where flows and reports go.

use super::super::setting::{Fallback, SETTING, Set, Setting, choice, choices, put, words};
use crate::cli::{ReportForm, SinkKind};

pub(super) static SETTINGS: [Setting; 3] = [
    Setting {
        name: "write",
        short: Some('w'),
        value: "PREFIX",
        default: Fallback::Nothing("the name of capture or list without suffix"),
        help: "Prefix, or directory, of the files that --sink text, json and ipfix-file write; - writes the flows to standard output",
        set: Set::Path(|to, path| to.write = Some(path)),
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
];
