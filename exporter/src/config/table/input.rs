//! What is read.

use super::super::setting::{SETTING, Set, Setting, put};
use crate::cli::parse_name;
use crate::inputs::Rotation;

pub(super) static SETTINGS: [Setting; 6] = [
    Setting {
        name: "read",
        short: Some('r'),
        value: "FILE|-",
        help: "Capture to read (pcap or pcapng, also compressed with gzip, Zstandard, LZ4, xz or bzip2); - reads standard input",
        group: Some("input"),
        set: Set::Path(|to, path| to.read = Some(path)),
        ..SETTING
    },
    Setting {
        name: "read-list",
        short: Some('R'),
        value: "LIST|-",
        help: "List of captures, one file a line, that are read as one; - reads the list from standard input",
        group: Some("input"),
        set: Set::Path(|to, path| to.read_list = Some(path)),
        ..SETTING
    },
    Setting {
        name: "follow",
        short: Some('D'),
        value: "EXPR[:SCHR][,STOP]",
        help: "Numbered captures as they appear, as one, from EXPR (dump.pcap0, or \"dump*.pcap00\", a star for anything) up to the number STOP. The number begins behind the last SCHR [default: p]",
        group: Some("input"),
        set: Set::Text(|to, text| put(&mut to.follow, Rotation::parse(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "interface",
        short: Some('i'),
        value: "IFACE",
        help: "Interface to listen on, any for all of them, until it is stopped with SIGINT or SIGTERM",
        group: Some("input"),
        set: Set::Text(|to, text| put(&mut to.interface, parse_name(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "filter",
        value: "FILTER",
        help: "Only packets that this filter wants (libpcap's language, see pcap-filter(7))",
        group: Some("filter"),
        repeated: true,
        words: true,
        set: Set::Text(|to, text| {
            to.filter = Some(text.to_owned());
            Ok(())
        }),
        ..SETTING
    },
    Setting {
        name: "filter-file",
        short: Some('F'),
        value: "FILE",
        help: "File with such a filter",
        group: Some("filter"),
        set: Set::Path(|to, path| to.filter_file = Some(path)),
        ..SETTING
    },
];
