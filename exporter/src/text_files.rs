//! The files of the text and JSON sinks, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::config::TextOutput;
use crate::meter::{Flow, FlowSink, Metric};
use crate::sink::text::{Layout, TextSink, Vendors, write_headers};

/// Octets that are written at once.
const BUFFER: usize = 1 << 18;

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

/// A text file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name}")]
pub struct TextError {
    /// The file, or `standard output`.
    name: String,
    #[source]
    source: io::Error,
}

/// Where flows are printed to.
pub struct TextFiles {
    sink: TextSink<BufWriter<Box<dyn Write>>>,
    /// The file of the flows first.
    names: Vec<String>,
}

impl TextFiles {
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
        let mut names = Vec::new();
        let out: Box<dyn Write> = match output {
            TextOutput::Stdout => {
                names.push("standard output".to_owned());
                Box::new(io::stdout())
            }
            TextOutput::Prefix(prefix) if layout == Layout::Json => {
                let flows = with(prefix, "_flows.json");
                let file = create(&flows)?;
                names.push(flows.display().to_string());
                Box::new(file)
            }
            TextOutput::Prefix(prefix) => {
                let (flows, headers) = (with(prefix, "_flows.txt"), with(prefix, "_headers.txt"));
                let file = create(&flows)?;
                let mut descriptions = BufWriter::new(create(&headers)?);
                let written =
                    write_headers(&mut descriptions, metric).and_then(|()| descriptions.flush());
                written.map_err(|source| error(&headers, source))?;
                names.extend([flows, headers].map(|path| path.display().to_string()));
                Box::new(file)
            }
        };
        // Nothing reaches the file before the buffer is full.
        let out = BufWriter::with_capacity(BUFFER, out);
        match TextSink::new(out, metric, layout, Some(vendors)) {
            Ok(sink) => Ok(TextFiles { sink, names }),
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

    /// Writes what is left; gives the names of the files. Whoever closes a pipe early has read enough: no failure.
    ///
    /// # Errors
    /// The first error of all.
    pub fn finish(self) -> Result<Vec<String>, TextError> {
        let mut names = self.names;
        match self.sink.finish().and_then(|mut out| out.flush()) {
            Ok(()) => Ok(names),
            Err(broken) if broken.kind() == ErrorKind::BrokenPipe => Ok(names),
            Err(source) => Err(TextError {
                name: names.swap_remove(0),
                source,
            }),
        }
    }
}

impl FlowSink for TextFiles {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
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
