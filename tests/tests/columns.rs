//! Text columns of t2x that tshark can tell too: TCP options, timestamps, first numbers, changes of the TTL and wrong
//! checksums, for every TCP connection of real captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use golden::harness;

/// Captures of Tranalyzer's corpus without tunnels and fragments.
const CAPTURES: &[&str] = &[
    "medium/ssh/ssh.pcap",
    "medium/evidence03/evidence03.pcap",
    "medium/ftp-crack/ftp-crack.pcap",
    "medium/modbusBig/modbusBig.pcap",
    "edge/rst-inject-rae/rst-inject-rae.pcap",
];

/// Addresses and ports of a direction.
type Key = [String; 4];

/// Columns by name.
type Values = BTreeMap<&'static str, String>;

const FIELDS: &[&str] = &[
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.window_size_value",
    "tcp.option_kind",
    "tcp.options.mss_val",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "ip.ttl",
    "ip.checksum.status",
    "tcp.checksum.status",
];

/// What tshark says of a direction so far.
#[derive(Default)]
struct Told {
    packets: u64,
    with_options: u32,
    options: u32,
    kinds: u32,
    mss: String,
    timestamps: [String; 2],
    first: [String; 2],
    ttl: String,
    ttl_changes: u32,
    /// `ipFlags` bits of wrong checksums.
    wrong: u16,
}

impl Told {
    fn packet(&mut self, fields: &[&str]) {
        let [sequence, window, kinds, mss, value, echo, ttl, ip, tcp] = *fields else {
            panic!("fields of tshark: {fields:?}");
        };
        if self.packets == 0 {
            self.first = [sequence, window].map(str::to_owned);
        } else if self.ttl != ttl {
            self.ttl_changes += 1;
        }
        self.packets += 1;
        self.ttl = ttl.to_owned();
        self.with_options += u32::from(!kinds.is_empty());
        // An end of the list is no option.
        let kinds = kinds.split(',').filter_map(|kind| kind.parse().ok());
        for kind in kinds.take_while(|kind: &u32| *kind != 0) {
            self.options += 1;
            self.kinds |= 1 << kind.min(31);
        }
        if !mss.is_empty() {
            self.mss = mss.to_owned();
        }
        if !value.is_empty() {
            self.timestamps = [value, echo].map(str::to_owned);
        }
        for (status, bit) in [(ip, 0x0400), (tcp, 0x0800)] {
            // The number is an older tshark's.
            if ["0", "Bad"].contains(&status) {
                self.wrong |= bit;
            }
        }
    }

    fn values(&self) -> Values {
        let or_zero = |text: &str| if text.is_empty() { "0" } else { text }.to_owned();
        let [sequence, window] = &self.first;
        let [value, echo] = &self.timestamps;
        BTreeMap::from([
            ("pktsSnt", self.packets.to_string()),
            ("tcpOptPktCnt", self.with_options.to_string()),
            ("tcpOptCnt", self.options.to_string()),
            ("tcpOptions", format!("{:#010x}", self.kinds)),
            ("tcpMSS", or_zero(&self.mss)),
            ("tcpTmS", or_zero(value)),
            ("tcpTmER", or_zero(echo)),
            ("tcpISeqN", sequence.clone()),
            ("tcpInitWinSz", window.clone()),
            ("ipTTLChg", self.ttl_changes.to_string()),
            ("ipFlags", format!("{:#06x}", self.wrong)),
        ])
    }
}

fn by_tshark(tshark: &Path, capture: &Path) -> BTreeMap<Key, Values> {
    let mut command = Command::new(tshark);
    command.arg("-r").arg(capture);
    for option in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE"] {
        command.args(["-o", option]);
    }
    command.args(["-Y", "ip && tcp && !icmp", "-T", "fields"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let mut told: BTreeMap<Key, Told> = BTreeMap::new();
    for line in harness::run(&mut command).success().text().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (key, values) = fields.split_at(4);
        let key = [key[0], key[1], key[2], key[3]].map(str::to_owned);
        told.entry(key).or_default().packet(values);
    }
    told.into_iter()
        .map(|(key, told)| (key, told.values()))
        .collect()
}

/// The same columns of t2x, with no time-outs, so that each direction is one flow.
fn by_t2x(capture: &Path) -> BTreeMap<Key, Values> {
    const NEVER: &str = "1000000000";
    let mut command = Command::new(harness::program("t2x"));
    command.arg("-r").arg(capture);
    command.args(["--sink", "text", "-w", "-", "--idle-timeout", NEVER]);
    command.args(["--tcp-timeouts", &[NEVER; 5].join(",")]);
    let text = harness::run(&mut command).success().text();
    let mut lines = text.lines();
    let header = lines.next().expect("a header row").trim_start_matches('%');
    let names: Vec<&str> = header.split('\t').collect();
    let wanted: Vec<&'static str> = Told::default().values().into_keys().collect();
    let mut rows = BTreeMap::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split('\t')).collect();
        if row["l4Proto"] != "6" {
            continue;
        }
        let mut values: Values = wanted
            .iter()
            .map(|name| (*name, row[name].to_owned()))
            .collect();
        // Only the bits of wrong checksums, and those of the transport only where the packets are not cut.
        let flags = u16::from_str_radix(row["ipFlags"].trim_start_matches("0x"), 16);
        let flags = flags.expect("hexadecimal");
        let judged = if flags & 0x1000 == 0 { 0x0c00 } else { 0x0400 };
        values.insert("ipFlags", format!("{:#06x}", flags & judged));
        let key = ["srcIP", "dstIP", "srcPort", "dstPort"].map(|name| row[name].to_owned());
        assert_eq!(rows.insert(key, values), None, "a second flow: {line}");
    }
    rows
}

#[test]
fn tshark_reads_the_same_from_tcp_headers() {
    let (Some(tshark), Some(corpus)) = (harness::peer("tshark"), harness::corpus()) else {
        return;
    };
    let mut compared = 0;
    for capture in CAPTURES {
        let path = corpus.join("tranalyzer").join(capture);
        let (ours, theirs) = (by_t2x(&path), by_tshark(&tshark, &path));
        assert_eq!(ours.len(), theirs.len(), "{capture}");
        for (key, values) in &theirs {
            assert_eq!(ours.get(key), Some(values), "{capture} {key:?}");
            compared += values.len();
        }
    }
    println!("{compared} values equal");
    assert!(compared > 10_000);
}
