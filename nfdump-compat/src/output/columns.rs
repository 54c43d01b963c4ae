//! Formats made of columns: `csv:%ts,%td,…` as later nfdump versions have it, and tables for people in plain text and
//! Markdown. Values are whole: numbers are not scaled, addresses not shortened.

use super::{
    fields::{FIELDS, Field, Heading},
    row::Row,
    style::Style,
    time::LocalTime,
};

/// nfdump 1.7.5's columns of `csv`.
pub const CSV: &str = "%ts,%td,%pr,%sa,%sp,%da,%dp,%pkt,%byt,%fl";
/// Columns of the tables for people.
pub const TABLE: &str = "%ts,%td,%pr,%sa,%sp,%da,%dp,%flg,%pkt,%byt,%fl";

/// Names of columns by token, as nfdump 1.7.5 has them; other tokens are their own names.
const NAMES: &[(&str, &str)] = &[
    ("nfv", "version"),
    ("cnt", "count"),
    ("ts", "firstSeen"),
    ("tfs", "firstSeen"),
    ("tsr", "firstSeen"),
    ("te", "lastSeen"),
    ("ter", "lastSeen"),
    ("tr", "received"),
    ("trr", "received"),
    ("td", "duration"),
    ("tds", "duration"),
    ("exp", "exporterID"),
    ("eng", "engine"),
    ("lbl", "label"),
    ("pr", "proto"),
    ("sa", "srcAddr"),
    ("da", "dstAddr"),
    ("sn", "srcNet"),
    ("dn", "dstNet"),
    ("nh", "nextIP"),
    ("nhb", "bgpNextIP"),
    ("ra", "routerIP"),
    ("sp", "srcPort"),
    ("dp", "dstPort"),
    ("it", "icmpTYpe"),
    ("ic", "icmpCode"),
    ("sas", "srcAS"),
    ("das", "dstAS"),
    ("nas", "nextAS"),
    ("pas", "prevAS"),
    ("in", "input"),
    ("out", "output"),
    ("inam", "inIfName"),
    ("onam", "outIfName"),
    ("pkt", "packets"),
    ("ipkt", "inPackets"),
    ("opkt", "outPackets"),
    ("byt", "bytes"),
    ("ibyt", "inBytes"),
    ("obyt", "outBytes"),
    ("fl", "flows"),
    ("flg", "flags"),
    ("stos", "srcTos"),
    ("dtos", "dstTos"),
    ("dir", "direction"),
    ("smk", "srcMask"),
    ("dmk", "dstMask"),
    ("fwd", "fwdStatus"),
    ("bfd", "biDirection"),
    ("end", "endReason"),
    ("svln", "srcVlan"),
    ("dvln", "dstVlan"),
    ("ismc", "inSrcMac"),
    ("odmc", "outDstMac"),
    ("idmc", "inDstMac"),
    ("osmc", "outSrcMac"),
    ("mpls1", "mplsLabel1"),
    ("mpls2", "mplsLabel2"),
    ("mpls3", "mplsLabel3"),
    ("mpls4", "mplsLabel4"),
    ("mpls5", "mplsLabel5"),
    ("mpls6", "mplsLabel6"),
    ("mpls7", "mplsLabel7"),
    ("mpls8", "mplsLabel8"),
    ("mpls9", "mplsLabel9"),
    ("mpls10", "mplsLabel10"),
    ("mpls", "mplsLabel1-10"),
    ("sc", "srcGeo"),
    ("dc", "dstGeo"),
    ("sloc", "srcLocation"),
    ("dloc", "dstLocation"),
    ("sni", "sniName"),
    ("nbid", "nbarID"),
    ("nbnam", "nbarName"),
    ("odid", "obsDomainID"),
    ("opid", "obsPointID"),
    ("vrf", "ingressVrfID"),
    ("ivrf", "ingressVrfID"),
    ("evrf", "egressVrfID"),
    ("ivrfnam", "ingressVrfName"),
    ("evrfnam", "egressVrfName"),
    ("nfc", "connectionID"),
    ("tevt", "eventTime"),
    ("evt", "event"),
    ("xevt", "xEvent"),
    ("msec", "eventTime"),
    ("iacl", "ingressACL"),
    ("eacl", "egressACL"),
    ("xsa", "srcXIP"),
    ("xda", "dstXIP"),
    ("xsp", "srcXPort"),
    ("xdp", "dstXPort"),
    ("uname", "nselUser"),
    ("nsa", "srcXIP"),
    ("nda", "dstXIP"),
    ("nsp", "srcXPort"),
    ("ndp", "dstXPort"),
    ("pbstart", "pbStart"),
    ("pbend", "pbEnd"),
    ("pbstep", "pbStep"),
    ("pbsize", "pbSize"),
    ("cl", "clientLatency"),
    ("sl", "serverLatency"),
    ("al", "appLatency"),
];

/// What the columns are put between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Commas.
    Csv,
    /// Blanks, so that they stand below each other.
    Table,
    /// Bars.
    Markdown,
}

/// Some columns.
pub struct Columns {
    form: Form,
    fields: Vec<&'static Field>,
}

impl std::fmt::Debug for Columns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tokens: Vec<&str> = self.fields.iter().map(|field| field.token).collect();
        write!(formatter, "{:?} {}", self.form, tokens.join(","))
    }
}

impl Columns {
    /// Columns from a list as `%ts,%td`; the token that is none if one is not.
    ///
    /// # Errors
    /// The unknown token.
    pub fn parse(form: Form, text: &str) -> Result<Self, String> {
        let find = |token: &str| {
            let name = token.strip_prefix('%')?;
            FIELDS.iter().find(|field| field.token == name)
        };
        let fields = text
            .split(',')
            .map(|token| find(token.trim()).ok_or_else(|| token.to_owned()))
            .collect::<Result<_, _>>()?;
        Ok(Self { form, fields })
    }

    /// Its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied()
    }

    /// Whether it is csv.
    #[must_use]
    pub fn is_csv(&self) -> bool {
        self.form == Form::Csv
    }

    /// Whether it is Markdown.
    #[must_use]
    pub fn is_markdown(&self) -> bool {
        self.form == Form::Markdown
    }

    /// Appends the names.
    pub fn push_heading(&self, out: &mut Vec<u8>) {
        let names = || self.fields.iter().map(|field| name(field.token));
        match self.form {
            Form::Csv => self.push_line(out, names().map(|name| name.as_bytes().to_vec())),
            Form::Markdown => {
                self.push_line(out, names().map(|name| name.as_bytes().to_vec()));
                let rule = |field: &&Field| {
                    if is_text(field) {
                        &b"---"[..]
                    } else {
                        &b"---:"[..]
                    }
                };
                self.push_line(out, self.fields.iter().map(|field| rule(field).to_vec()));
            }
            Form::Table => {
                self.push_line(out, names().map(|name| name.as_bytes().to_vec()));
                self.push_line(
                    out,
                    self.fields.iter().map(|field| vec![b'-'; width(field)]),
                );
            }
        }
    }

    /// Appends one row.
    pub fn push_row(&self, out: &mut Vec<u8>, row: &Row<'_>, style: &Style, time: &mut LocalTime) {
        // People read names, machines numbers.
        let style = Style {
            plain_numbers: self.form == Form::Csv || style.plain_numbers,
            full_ipv6: true,
            tag: false,
            ..*style
        };
        let values: Vec<Vec<u8>> = self
            .fields
            .iter()
            .map(|field| {
                let mut value = Vec::new();
                match (field.token, self.form) {
                    ("td", Form::Csv) => super::time::push_duration_seconds(
                        &mut value,
                        style.facts().duration(row.counters.duration_ms()),
                        0,
                    ),
                    _ => field.push_value(&mut value, row, &style, time),
                }
                value.trim_ascii().to_vec()
            })
            .collect();
        self.push_line(out, values.into_iter());
    }

    fn push_line(&self, out: &mut Vec<u8>, values: impl Iterator<Item = Vec<u8>>) {
        for (index, (value, field)) in values.zip(&self.fields).enumerate() {
            match self.form {
                Form::Csv => {
                    if index > 0 {
                        out.push(b',');
                    }
                    push_csv(out, &value);
                }
                Form::Markdown => {
                    out.extend_from_slice(if index > 0 { b" | " } else { b"| " });
                    push_markdown(out, &value);
                }
                Form::Table => {
                    if index > 0 {
                        out.extend_from_slice(b"  ");
                    }
                    let padding = width(field).saturating_sub(value.len());
                    if is_text(field) {
                        out.extend_from_slice(&value);
                    }
                    if !is_text(field) || index + 1 < self.fields.len() {
                        out.resize(out.len() + padding, b' ');
                    }
                    if !is_text(field) {
                        out.extend_from_slice(&value);
                    }
                }
            }
        }
        out.extend_from_slice(if self.form == Form::Markdown {
            b" |\n"
        } else {
            b"\n"
        });
    }
}

/// Name of a column.
fn name(token: &'static str) -> &'static str {
    let found = NAMES.iter().find(|(known, _)| *known == token);
    found.map_or(token, |(_, name)| *name)
}

/// Whether values stand on the left.
fn is_text(field: &Field) -> bool {
    matches!(
        field.heading,
        Heading::Address(..) | Heading::Network(..) | Heading::Flags
    ) || matches!(field.token, "ts" | "te" | "tr" | "pr" | "lbl")
}

/// Columns that a value takes in a table.
fn width(field: &Field) -> usize {
    let least = name(field.token).len();
    let values = match field.heading {
        Heading::Address(..) => 15,
        Heading::Network(..) => 18,
        Heading::Duration => 16,
        Heading::Flags => 8,
        Heading::Text(text) => {
            text.trim_end()
                .len()
                .max(if text.starts_with("Date") { 23 } else { 0 })
        }
    };
    least.max(values)
}

/// A value of csv: quoted if it must be, and what a spreadsheet would take for a formula marked as text.
fn push_csv(out: &mut Vec<u8>, value: &[u8]) {
    let formula = matches!(value.first(), Some(b'=' | b'+' | b'@' | b'\t'))
        || value.first() == Some(&b'-') && !is_number(value);
    let quoted = value
        .iter()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if quoted {
        out.push(b'"');
    }
    if formula {
        out.push(b'\'');
    }
    for byte in value {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    if quoted {
        out.push(b'"');
    }
}

fn is_number(value: &[u8]) -> bool {
    value
        .iter()
        .skip(1)
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// A value in a Markdown table.
fn push_markdown(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'|' | b'\\' | b'<' | b'*' | b'_' | b'`' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' | b'\r' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_token() {
        for (token, _) in NAMES {
            assert!(FIELDS.iter().any(|field| field.token == *token), "{token}");
        }
    }

    #[test]
    fn unknown_tokens_are_named() {
        assert!(Columns::parse(Form::Csv, CSV).is_ok());
        assert_eq!(
            Columns::parse(Form::Csv, "%ts,%foo").map(|_| ()),
            Err("%foo".to_owned())
        );
        assert_eq!(
            Columns::parse(Form::Csv, "").map(|_| ()),
            Err(String::new())
        );
    }

    #[test]
    fn what_is_no_plain_value_is_marked() {
        let csv = |value: &str| {
            let mut out = Vec::new();
            push_csv(&mut out, value.as_bytes());
            String::from_utf8_lossy(&out).into_owned()
        };
        for (value, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("-1.5", "-1.5"),
            ("=1+1", "'=1+1"),
            ("-x", "'-x"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(csv(value), expected);
        }
        let mut out = Vec::new();
        push_markdown(&mut out, b"a|b<c");
        assert_eq!(out, b"a\\|b\\<c");
    }
}
