//! Who takes part: exporters, collectors and reporters, and how each is called.

use std::path::Path;

/// The image of our programs.
pub const OURS: &str = "t2/ours:latest";

/// The image of softflowd and pmacct.
pub const EXPORTERS: &str = "t2-peers/exporters:bookworm";

/// The versions of nfdump, by the tag of their image.
pub const VERSIONS: [&str; 4] = ["1.6.22", "1.7.1", "1.7.5", "sid"];

/// The port that collectors listen on.
pub const PORT: u16 = 9995;

/// The image of an nfdump version.
pub fn nfdump_image(version: &str) -> String {
    format!("t2-peers/nfdump:{version}")
}

/// An exporter and the protocol it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exporter {
    /// Ours.
    T2x { version: &'static str },
    /// softflowd.
    Softflowd { version: &'static str },
    /// pmacctd with its plugin nfprobe.
    Pmacctd { version: &'static str },
}

/// The rows of the matrix.
pub const EXPORTERS_OF_ROWS: [Exporter; 8] = [
    Exporter::T2x { version: "9" },
    Exporter::T2x { version: "10" },
    Exporter::Softflowd { version: "5" },
    Exporter::Softflowd { version: "9" },
    Exporter::Softflowd { version: "10" },
    Exporter::Pmacctd { version: "5" },
    Exporter::Pmacctd { version: "9" },
    Exporter::Pmacctd { version: "10" },
];

impl Exporter {
    /// Its name in the matrix.
    pub fn name(self) -> String {
        let (program, version) = match self {
            Exporter::T2x { version } => ("t2x", version),
            Exporter::Softflowd { version } => ("softflowd", version),
            Exporter::Pmacctd { version } => ("pmacctd", version),
        };
        match version {
            "10" => format!("{program} IPFIX"),
            version => format!("{program} v{version}"),
        }
    }

    /// Its image.
    pub fn image(self) -> &'static str {
        match self {
            Exporter::T2x { .. } => OURS,
            Exporter::Softflowd { .. } | Exporter::Pmacctd { .. } => EXPORTERS,
        }
    }

    /// Its command line for `/captures/replica.pcap`. `captures` is that folder here, for a configuration file.
    pub fn words(self, captures: &Path, address: &str) -> std::io::Result<Vec<String>> {
        let words = match self {
            Exporter::T2x { version } => {
                format!(
                    "t2x -r /captures/replica.pcap --nf-version {version} --nf-addr {address} --nf-port {PORT}"
                )
            }
            Exporter::Softflowd { version } => format!(
                "softflowd -r /captures/replica.pcap -v {version} -n {address}:{PORT} -a -d -c none -p /tmp/pid"
            ),
            Exporter::Pmacctd { version } => {
                let name = format!("pmacctd-{version}.conf");
                let text = format!(
                    "pcap_savefile: /captures/replica.pcap\naggregate: src_host, dst_host, src_port, dst_port, proto, tos\nplugins: nfprobe\nnfprobe_receiver: {address}:{PORT}\nnfprobe_version: {version}\nnfprobe_timeouts: tcp=120:maxlife=3600\n"
                );
                std::fs::write(captures.join(&name), text)?;
                format!("pmacctd -f /captures/{name}")
            }
        };
        Ok(words.split(' ').map(str::to_owned).collect())
    }
}

/// A collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Collector {
    /// Ours.
    T2collect,
    /// nfcapd of a version.
    Nfcapd(&'static str),
}

impl Collector {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Collector::T2collect).chain(VERSIONS.map(Collector::Nfcapd))
    }

    /// Its name in the matrix.
    pub fn name(self) -> String {
        match self {
            Collector::T2collect => "t2collect".to_owned(),
            Collector::Nfcapd(version) => format!("nfcapd {version}"),
        }
    }

    /// Its image.
    pub fn image(self) -> String {
        match self {
            Collector::T2collect => OURS.to_owned(),
            Collector::Nfcapd(version) => nfdump_image(version),
        }
    }

    /// Its command line: slots of a day in `/flows`.
    pub fn words(self) -> Vec<String> {
        let words = match self {
            Collector::T2collect => format!("t2collect -b 0.0.0.0 -p {PORT} -t 86400 -w /flows"),
            // Up to 1.6, -w aligned the slots and -l named the folder.
            Collector::Nfcapd("1.6.22") => {
                format!("nfcapd -b 0.0.0.0 -p {PORT} -t 86400 -w -l /flows")
            }
            Collector::Nfcapd(_) => format!("nfcapd -b 0.0.0.0 -p {PORT} -t 86400 -w /flows"),
        };
        words.split(' ').map(str::to_owned).collect()
    }
}

/// A reporter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reporter {
    /// Ours.
    T2report,
    /// nfdump of a version.
    Nfdump(&'static str),
}

impl Reporter {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Reporter::T2report).chain(VERSIONS.map(Reporter::Nfdump))
    }

    /// Its name in the matrix.
    pub fn name(self) -> String {
        match self {
            Reporter::T2report => "t2report".to_owned(),
            Reporter::Nfdump(version) => format!("nfdump {version}"),
        }
    }

    /// Its image.
    pub fn image(self) -> String {
        match self {
            Reporter::T2report => OURS.to_owned(),
            Reporter::Nfdump(version) => nfdump_image(version),
        }
    }

    /// Its command line for the folder `/flows`.
    pub fn words(self) -> Vec<String> {
        let program = match self {
            Reporter::T2report => "t2report",
            Reporter::Nfdump(_) => "nfdump",
        };
        // Rows to add up: 1.6 scales the numbers of its summary whatever is asked for.
        [
            program,
            "-R",
            "/flows",
            "-q",
            "-N",
            "-o",
            "fmt:%fl %pkt %byt",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// Why a cell cannot be: a fact about the peers, not a failure.
pub fn cannot(collector: Collector, reporter: Reporter) -> Option<&'static str> {
    let writes_layout_1 = collector == Collector::Nfcapd("1.6.22");
    (reporter == Reporter::Nfdump("1.6.22") && !writes_layout_1)
        .then_some("nfdump 1.6.22 reads layout 1 only, and this collector writes layout 2")
}
