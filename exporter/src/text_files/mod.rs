//! Where the text, JSON and socket sinks write: files, standard output, a socket. One that fails leaves the others alone.

mod lines;
mod socket;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use crate::config::{Config, SocketConfig, TextOutput};
use crate::meter::flow::Seen;
use crate::meter::{Flow, FlowSink, Metric};
use crate::sink::text::{Layout, PacketSink, TextSink, Vendors, write_headers};

use lines::Lines;
pub use socket::SocketCounters;
use socket::SocketWriter;

/// Reads a list of vendors.
type VendorReader = fn(&str) -> Vendors;

/// Where systems have the IEEE's list of vendors, and how it is read.
const VENDOR_LISTS: [(&str, VendorReader); 4] = [
    ("/usr/share/ieee-data/oui.csv", Vendors::from_ieee_csv),
    ("/var/lib/ieee-data/oui.csv", Vendors::from_ieee_csv),
    ("/usr/share/wireshark/manuf", Vendors::from_manuf),
    ("/etc/manuf", Vendors::from_manuf),
];

/// The system's list of MAC vendors, empty if it has none. It is read once, when the first flow is printed.
#[must_use]
pub fn vendors() -> Arc<Vendors> {
    static LIST: LazyLock<Arc<Vendors>> = LazyLock::new(|| {
        Arc::new(Vendors::when_needed(|| {
            let list = VENDOR_LISTS.iter().find_map(|(path, read)| {
                let octets = std::fs::read(path).ok()?;
                let vendors = read(&String::from_utf8_lossy(&octets));
                (!vendors.is_empty()).then_some(vendors)
            });
            list.unwrap_or_default()
        }))
    });
    LIST.clone()
}

/// A sink that cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name}")]
pub struct TextError {
    /// The file, `standard output`, or the socket's peer.
    name: String,
    #[source]
    source: io::Error,
}

/// Where flows are printed to.
pub struct TextFiles {
    sink: TextSink<Lines>,
    /// The file of the flows first.
    names: Vec<String>,
    /// Lines that are no flows: the names of the columns.
    no_flows: u64,
    /// Flows given to the sink.
    flows: u64,
}

/// What a sink has made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Files, or what stands for them.
    pub names: Vec<String>,
    /// Flows that are in none of them, and why.
    pub lost: Vec<(String, u64)>,
    /// Of a socket.
    pub socket: Option<SocketCounters>,
}

impl TextFiles {
    /// Opens all sinks that `config` names, as far as they can be opened; the others are told. Once `stop` is set, nobody
    /// is waited for any longer than need be.
    #[must_use]
    pub fn open_all(config: &Config, stop: &Arc<AtomicBool>) -> (Vec<Self>, Vec<TextError>) {
        let files = [
            (config.text.as_ref(), Layout::Columns),
            (config.json.as_ref(), Layout::Json),
        ];
        let files = files.into_iter().filter_map(|(output, layout)| {
            Some(Self::create(output?, config.text_metric, layout, vendors()))
        });
        let socket = config.socket.as_ref();
        let socket =
            socket.map(|socket| Self::connect(socket, config.text_metric, vendors(), stop));
        let (mut opened, mut errors) = (Vec::new(), Vec::new());
        for sink in files.chain(socket) {
            match sink {
                Ok(sink) => opened.push(sink),
                Err(error) => errors.push(error),
            }
        }
        (opened, errors)
    }

    /// Creates the files; their octet columns count `metric`, their MAC labels come from `vendors`. That of the column
    /// headers is complete then.
    ///
    /// # Errors
    /// When one cannot be created or written.
    pub fn create(
        output: &TextOutput,
        metric: Metric,
        layout: Layout,
        vendors: Arc<Vendors>,
    ) -> Result<Self, TextError> {
        let ending = match layout {
            Layout::Columns => "_flows.txt",
            Layout::Json => "_flows.json",
        };
        let mut names = Vec::new();
        let out = match output {
            TextOutput::Stdout => {
                names.push("standard output".to_owned());
                Lines::to_one(Box::new(io::stdout()))
            }
            TextOutput::Prefix(prefix) => {
                let path = with(prefix, ending);
                names.push(path.display().to_string());
                Lines::to_one(Box::new(create(&path)?))
            }
            TextOutput::Split(prefix, split) => {
                let path = with(prefix, ending);
                let first = lines::numbered(&path, split.start);
                names.push(first.display().to_string());
                let names = layout == Layout::Columns;
                Lines::to_split(path, *split, names).map_err(|source| error(&first, source))?
            }
        };
        if let (TextOutput::Prefix(prefix) | TextOutput::Split(prefix, _), Layout::Columns) =
            (output, layout)
        {
            let headers = with(prefix, "_headers.txt");
            let mut descriptions = BufWriter::new(create(&headers)?);
            let written =
                write_headers(&mut descriptions, metric).and_then(|()| descriptions.flush());
            written.map_err(|source| error(&headers, source))?;
            names.push(headers.display().to_string());
        }
        Self::begin(out, names, metric, layout, vendors)
    }

    /// Connects to the peer of `config`.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn connect(
        config: &SocketConfig,
        metric: Metric,
        vendors: Arc<Vendors>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, TextError> {
        let transport = config.socket_type.name();
        let name = format!("{}:{} over {transport}", config.host, config.port);
        let names = config.content == Layout::Columns;
        match SocketWriter::connect(config, names, stop) {
            Ok(socket) => {
                let out = Lines::to_socket(socket);
                Self::begin(out, vec![name], metric, config.content, vendors)
            }
            Err(source) => Err(TextError { name, source }),
        }
    }

    fn begin(
        out: Lines,
        mut names: Vec<String>,
        metric: Metric,
        layout: Layout,
        vendors: Arc<Vendors>,
    ) -> Result<Self, TextError> {
        match TextSink::new(out, metric, layout, Some(vendors)) {
            Ok(sink) => Ok(TextFiles {
                sink,
                names,
                no_flows: u64::from(layout == Layout::Columns),
                flows: 0,
            }),
            Err(source) => Err(TextError {
                name: names.swap_remove(0),
                source,
            }),
        }
    }

    /// Nothing is written any more.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.sink.error().is_some()
    }

    /// Writes what waits, so that it can be read.
    pub fn flush(&mut self) {
        self.sink.flush();
    }

    /// No more packets come: the flows that are left may wait for a peer.
    pub fn no_more_packets(&mut self) {
        self.sink.writer().may_wait();
    }

    /// What a socket has done so far.
    pub fn socket(&mut self) -> Option<SocketCounters> {
        self.sink.writer().socket()
    }

    /// Writes what is left, and says what became of the flows. Whoever closes a pipe early has read enough: no loss.
    #[must_use]
    pub fn finish(mut self) -> Written {
        self.sink.flush();
        let (mut out, error) = self.sink.into_parts();
        let mut names = self.names;
        let more = out.more_files();
        names.extend(more.iter().map(|path| path.display().to_string()));
        let delivered = out.delivered().saturating_sub(self.no_flows);
        let mut lost = Vec::new();
        let socket = out.finish();
        if let Some(counters) = &socket {
            let name = names.first().map(String::as_str).unwrap_or_default();
            let named =
                |(cause, flows): &(String, u64)| (format!("cannot write {name}: {cause}"), *flows);
            lost.extend(counters.lost.iter().map(named));
        }
        if let Some(source) = error.filter(|error| error.kind() != ErrorKind::BrokenPipe) {
            // The file that could not be written, or made, is the last one.
            let name = match more.last() {
                Some(path) => path.display().to_string(),
                None => names.first().cloned().unwrap_or_default(),
            };
            let cause = format!("cannot write {name}: {source}");
            lost.push((cause, self.flows.saturating_sub(delivered)));
        }
        Written {
            names,
            lost,
            socket,
        }
    }
}

/// The lines of packet mode.
pub struct PacketFile {
    sink: PacketSink<BufWriter<File>>,
    path: PathBuf,
}

impl PacketFile {
    /// Creates `path`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, TextError> {
        let out = BufWriter::with_capacity(1 << 18, create(path)?);
        let sink = PacketSink::new(out).map_err(|source| error(path, source))?;
        Ok(PacketFile {
            sink,
            path: path.to_owned(),
        })
    }

    /// A packet without flow.
    pub fn skip(&mut self) {
        self.sink.skip();
    }

    /// Prints a packet.
    pub fn packet(&mut self, seen: &Seen<'_>) {
        self.sink.packet(seen);
    }

    /// Writes what is left; gives the file's name.
    ///
    /// # Errors
    /// The first error of all.
    pub fn finish(self) -> Result<String, TextError> {
        let finished = self.sink.finish();
        finished.map_err(|source| error(&self.path, source))?;
        Ok(self.path.display().to_string())
    }
}

impl FlowSink for TextFiles {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        self.flows += 1 + u64::from(second.is_some());
        self.sink.pair(now_ns, first, second);
    }
}

fn with(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn create(path: &Path) -> Result<File, TextError> {
    File::create(path).map_err(|source| error(path, source))
}

fn error(path: &Path, source: io::Error) -> TextError {
    TextError {
        name: path.display().to_string(),
        source,
    }
}
