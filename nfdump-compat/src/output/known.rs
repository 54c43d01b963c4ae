//! Names that a version does not know: refused as that version refuses them, with its lists on standard output.

use super::versions::Facts;
use std::fmt::Write;

/// Names that a version knows. Others are refused, and the version lists what it knows on standard output.
pub struct Known {
    /// Elements of statistics, in the order of its list.
    pub elements: &'static [&'static str],
    /// Orders of element statistics.
    pub orders: &'static [&'static str],
    /// Orders of flows.
    pub flow_orders: &'static [&'static str],
    /// Tokens of formats.
    pub tokens: &'static [&'static str],
    /// Formats, each with what the list says of it.
    pub formats: &'static [(&'static str, &'static str)],
}

/// A command line that the imitated version refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What it prints on standard output.
    pub out: String,
    /// What is wrong, for standard error.
    pub message: String,
    /// Its exit code.
    pub code: u8,
}

impl Refused {
    fn new(out: String, message: String) -> Self {
        Self {
            out,
            message,
            code: 1,
        }
    }
}

/// Statistics in one run.
const MAX_STATISTICS: usize = 8;
const SEE: &str = "See also nfdump(1)\n";

impl Facts {
    /// Refuses a statistic that the version does not have; `number` of those asked for, from 1.
    ///
    /// # Errors
    /// [`Refused`] with the lists that the version prints.
    pub fn check_statistic(&self, text: &str, number: usize) -> Result<(), Refused> {
        let Some(known) = self.known else {
            return Ok(());
        };
        let mut parts = text.split('/');
        let name = parts.next().unwrap_or_default();
        let name = name.split(':').next().unwrap_or_default();
        let is_record = name.to_ascii_lowercase().starts_with("record");
        let elements = known.elements();
        if number > MAX_STATISTICS {
            let message = format!("more than {MAX_STATISTICS} statistics in one run");
            return Err(Refused::new(elements, message));
        }
        if !contains(known.elements, name) {
            let message = format!("unknown statistic '{name}' in '-s {text}'");
            let lists = if is_record { 1 } else { 2 };
            return Err(Refused::new(elements.repeat(lists), message));
        }
        for order in parts {
            let order = order.split(':').next().unwrap_or_default();
            let orders = if is_record {
                known.flow_orders
            } else {
                known.orders
            };
            if !contains(orders, order) {
                let message = format!("unknown order '{order}' in '-s {text}'");
                let out = if is_record {
                    elements
                } else {
                    known.orders() + &elements
                };
                return Err(Refused::new(out, message));
            }
        }
        Ok(())
    }

    /// Refuses an order of `-O` that the version does not have.
    ///
    /// # Errors
    /// [`Refused`] with the orders.
    pub fn check_order(&self, text: &str) -> Result<(), Refused> {
        let Some(known) = self.known else {
            return Ok(());
        };
        let (name, direction) = text.split_once(':').unwrap_or((text, "d"));
        if contains(known.flow_orders, name) && matches!(direction, "a" | "d") {
            return Ok(());
        }
        let message = format!("unknown print order '{text}'");
        Err(Refused::new(known.orders(), message))
    }

    /// Refuses a format that the version does not have.
    ///
    /// # Errors
    /// [`Refused`] with the formats or tokens.
    pub fn check_format(&self, text: &str) -> Result<(), Refused> {
        let Some(known) = self.known else {
            return Ok(());
        };
        let prefix = text.get(..4).unwrap_or_default();
        let (list, all) = if prefix.eq_ignore_ascii_case("fmt:") {
            (text.get(4..).unwrap_or_default(), true)
        } else if prefix.eq_ignore_ascii_case("csv:") {
            (text.get(4..).unwrap_or_default(), false)
        } else if text.starts_with('%') {
            (text, true)
        } else {
            let name = text.strip_suffix('6').unwrap_or(text);
            let found = known
                .formats
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name));
            return if found {
                Ok(())
            } else {
                let message = format!("unknown output mode '{name}'");
                Err(Refused::new(known.formats(), message))
            };
        };
        match unknown_token(known, list) {
            None => Ok(()),
            Some(at) => {
                let message = format!("unknown token in output format at '{at}'");
                Err(Refused::new(known.tokens(all), message))
            }
        }
    }
}

/// The format from the first unknown token on.
fn unknown_token<'t>(known: &Known, format: &'t str) -> Option<&'t str> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        rest = rest.get(at..).unwrap_or_default();
        let name = super::format::token_name(rest.get(1..).unwrap_or_default());
        let preset = known.formats.iter().any(|(known, _)| *known == name);
        if !known.tokens.contains(&name) && !preset {
            return Some(rest);
        }
        rest = rest.get(1 + name.len()..).unwrap_or_default();
    }
    None
}

fn contains(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Known {
    fn elements(&self) -> String {
        let mut out = String::from("Available element statistics:\n");
        table(&mut out, self.elements, 10, 7);
        out
    }

    fn orders(&self) -> String {
        let mut out = String::from("Available print order:\n");
        table(&mut out, self.orders, 9, 8);
        out
    }

    fn formats(&self) -> String {
        let mut out = String::from("Available output formats:\n");
        for (name, text) in self.formats {
            let _ = writeln!(out, "{name:>10} : {text}");
        }
        out
    }

    /// Tokens of `fmt:`, or those that `csv:` takes, too.
    fn tokens(&self, all: bool) -> String {
        /// Tokens of two columns, and of none.
        const COMPOSED: &[&str] = &[
            "sap", "dap", "gsap", "gdap", "gsa", "gda", "xsap", "xdap", "nsap", "ndap", "ipl",
            "opl", "n",
        ];
        let kind = if all { "fmt" } else { "csv" };
        let mut out = format!("Available {kind} format elements:\n");
        let tokens = self
            .tokens
            .iter()
            .filter(|token| all || !COMPOSED.contains(token));
        for (index, token) in tokens.enumerate() {
            if index > 0 && index.is_multiple_of(16) {
                out.push('\n');
            }
            let _ = write!(out, "%{token} ");
        }
        let _ = write!(out, "- {SEE}");
        out
    }
}

/// Names in rows, then where more is told.
fn table(out: &mut String, names: &[&str], width: usize, columns: usize) {
    for (index, name) in names.iter().enumerate() {
        let _ = write!(out, " {name:<width$}");
        if (index + 1).is_multiple_of(columns) {
            out.push('\n');
        }
    }
    if !names.len().is_multiple_of(columns) {
        out.push('\n');
    }
    let _ = write!(out, " {SEE}");
}

/// What nfdump 1.7.5 lists.
pub(super) static KNOWN_1_7_5: Known = Known {
    elements: &[
        "record",
        "srcip",
        "dstip",
        "ip",
        "srcgeo",
        "dstgeo",
        "geo",
        "nhip",
        "nhbip",
        "router",
        "srcport",
        "dstport",
        "port",
        "proto",
        "srctos",
        "dsttos",
        "tos",
        "dir",
        "srcas",
        "srcasn",
        "dstas",
        "dstasn",
        "as",
        "asn",
        "prevas",
        "nextas",
        "inif",
        "outif",
        "if",
        "srcmask",
        "dstmask",
        "mask",
        "srcvlan",
        "dstvlan",
        "vlan",
        "insrcmac",
        "outdstmac",
        "indstmac",
        "outsrcmac",
        "ethertype",
        "srcmac",
        "dstmac",
        "inmac",
        "outmac",
        "mac",
        "mpls1",
        "mpls2",
        "mpls3",
        "mpls4",
        "mpls5",
        "mpls6",
        "mpls7",
        "mpls8",
        "mpls9",
        "mpls10",
        "cl",
        "sl",
        "al",
        "nbar",
        "ja3",
        "ja4",
        "odid",
        "opid",
        "event",
        "xevent",
        "nat",
        "xsrcip",
        "xdstip",
        "xip",
        "xsrcport",
        "xdstport",
        "xport",
        "iacl",
        "eacl",
        "ivrf",
        "evrf",
        "ttl",
    ],
    orders: &[
        "flows", "packets", "ipkg", "opkg", "bytes", "ibyte", "obyte", "pps", "ipps", "opps",
        "bps", "ibps", "obps", "bpp", "ibpp", "obpp",
    ],
    flow_orders: &[
        "flows", "packets", "bytes", "pps", "ipps", "opps", "bps", "ibps", "obps", "bpp", "ibpp",
        "obpp", "tstart", "tend", "duration",
    ],
    tokens: &[
        "nfv", "cnt", "eng", "exp", "tfs", "ts", "tsr", "tsg", "te", "ter", "teg", "tr", "trr",
        "trg", "td", "tds", "pkt", "ipkt", "byt", "ibyt", "sp", "dp", "it", "ic", "pr", "flg",
        "fwd", "tos", "stos", "bps", "pps", "bpp", "sa", "da", "sap", "dap", "gsap", "gdap", "gsa",
        "gda", "in", "out", "smk", "dmk", "dir", "dtos", "bfd", "end", "sn", "dn", "inam", "onam",
        "opkt", "obyt", "fl", "svln", "dvln", "sas", "das", "nhb", "nh", "ra", "mpls1", "mpls2",
        "mpls3", "mpls4", "mpls5", "mpls6", "mpls7", "mpls8", "mpls9", "mpls10", "mpls", "ismc",
        "odmc", "idmc", "osmc", "nas", "pas", "cl", "sl", "al", "tevt", "msec", "evt", "nfc",
        "xevt", "xsa", "xda", "xsap", "xdap", "nsa", "nda", "nsap", "ndap", "xsp", "xdp", "nsp",
        "ndp", "iacl", "eacl", "uname", "pbstart", "pbend", "pbstep", "pbsize", "nbid", "nbnam",
        "ipl", "opl", "odid", "opid", "vrf", "ivrf", "ivrfnam", "evrf", "evrfnam", "pfifn",
        "pfact", "pfrea", "pfdir", "pfrule", "flid", "isid", "osid", "nats", "ja3", "ja4", "sni",
        "tls", "sc", "dc", "sloc", "dloc", "sasn", "dasn", "stor", "dtor", "lbl", "ttl", "frag",
        "n",
    ],
    formats: &[
        ("raw", "Raw format - multi line"),
        (
            "line",
            "fmt -o predefined %ts %td %pr %sap -> %dap %pkt %byt %fl",
        ),
        (
            "gline",
            "fmt -o predefined %ts %td %pr %gsap -> %gdap %pkt %byt %fl",
        ),
        (
            "long",
            "fmt -o predefined %ts %td %pr %sap -> %dap %flg %tos %pkt %byt %fl",
        ),
        (
            "glong",
            "fmt -o predefined %ts %td %pr %gsap -> %gdap %flg %tos %pkt %byt %fl",
        ),
        (
            "extended",
            "fmt -o predefined %ts %td %pr %sap -> %dap %flg %tos %pkt %byt %pps %bps %bpp %fl",
        ),
        (
            "biline",
            "fmt -o predefined %ts %td %pr %sap <-> %dap %opkt %ipkt %obyt %ibyt %fl",
        ),
        (
            "bilong",
            "fmt -o predefined %ts %td %pr %sap <-> %dap %flg %tos %opkt %ipkt %obyt %ibyt %fl",
        ),
        (
            "nsel",
            "fmt -o predefined %ts %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
        ),
        (
            "nat",
            "fmt -o predefined %ts %nevt %pr %sap -> %dap %nsap -> %ndap",
        ),
        ("json", "json output"),
        ("ndjson", "ndjson output formart"),
        (
            "csv",
            "csv -o csv predefined %ts,%td,%pr,%sa,%sp,%da,%dp,%pkt,%byt,%fl",
        ),
        ("csv-fast", "csv fast predefined"),
        ("null", "do not print any output"),
    ],
};
