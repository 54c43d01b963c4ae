//! Output formats: `fmt:` strings and the named presets, compiled once into a list of fields and literals.

use super::{
    columns::{self, Columns, Form},
    fields::{FIELDS, Field},
    json::Layout,
    row::Row,
    style::Style,
    time::LocalTime,
    versions::Facts,
};

/// Named formats. The names are matched in any case; a `6` at the end selects full IPv6 addresses.
pub const PRESETS: &[(&str, &str)] = &[
    ("line", "%ts %td %pr %sap -> %dap %pkt %byt %fl"),
    ("long", "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %fl"),
    (
        "extended",
        "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %pps %bps %bpp %fl",
    ),
    (
        "biline",
        "%ts %td %pr %sap <-> %dap %opkt %ipkt %obyt %ibyt %fl",
    ),
    (
        "bilong",
        "%ts %td %pr %sap <-> %dap %flg %tos %opkt %ipkt %obyt %ibyt %fl",
    ),
    ("gline", "%ts %td %pr %gsap -> %gdap %pkt %byt %fl"),
    (
        "glong",
        "%ts %td %pr %gsap -> %gdap %flg %tos %pkt %byt %fl",
    ),
    (
        "nsel",
        "%tevt %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
    ),
    ("nel", "%tevt %nevt %pr %sap -> %dap %nsap -> %ndap"),
    ("nat", "%tevt %nevt %pr %sap -> %dap %nsap -> %ndap"),
];

/// Formats that are more than a list of fields.
#[allow(clippy::type_complexity)] // a table of names and values
const PROGRAMMED: &[(&str, fn() -> Mode)] = &[
    ("raw", || Mode::Raw),
    ("json", || Mode::Json(Layout::V1_7_1)),
    ("ndjson", || Mode::JsonLines),
    ("csv-fast", || Mode::CsvFast),
    ("csv", || Mode::Csv),
    ("pipe", || Mode::Pipe),
    ("null", || Mode::Null),
];

/// A format that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
pub enum FormatError {
    #[error(
        "unknown output mode '{0}': expected line, long, extended, biline, bilong, gline, glong, nsel, nel, raw, csv, json, ndjson, pipe, table, markdown, null, fmt:… or csv:…"
    )]
    UnknownMode(String),
    #[error("missing format description after 'fmt:'")]
    Empty,
    #[error("unknown token in output format at '{0}'")]
    UnknownToken(String),
}

/// What a mode name stands for.
#[derive(Debug)]
pub enum Mode {
    /// Print no records (`null`).
    Null,
    /// Everything as csv.
    Csv,
    /// Every field of a record on a line of its own.
    Raw,
    /// Everything as JSON: one array.
    Json(Layout),
    /// JSON, a line for each object.
    JsonLines,
    /// Columns.
    Columns(Columns),
    /// nfdump's `csv-fast`.
    CsvFast,
    /// Numbers between bars.
    Pipe,
    /// Print records in this format; true: with full IPv6 addresses.
    Lines(Format, bool),
}

impl Mode {
    /// Parses the argument of `-o`: a preset's name (also with `6` at the end), `null`, `fmt:` and a format, or a format that
    /// begins with `%`.
    ///
    /// # Errors
    /// An unknown name or token.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let columns = |form, list| {
            Columns::parse(form, list)
                .map(Self::Columns)
                .map_err(FormatError::UnknownToken)
        };
        if let Some((prefix, list)) = text.split_once(':') {
            for (name, form) in [
                ("csv", Form::Csv),
                ("table", Form::Table),
                ("markdown", Form::Markdown),
            ] {
                if prefix.eq_ignore_ascii_case(name) {
                    return columns(form, list);
                }
            }
        }
        for (name, form) in [("table", Form::Table), ("markdown", Form::Markdown)] {
            if text.eq_ignore_ascii_case(name) {
                return columns(form, columns::TABLE);
            }
        }
        if text.starts_with('%') {
            return Ok(Self::Lines(Format::compile(text)?, false));
        }
        if let Some((prefix, format)) = text.split_once(':')
            && prefix.eq_ignore_ascii_case("fmt")
        {
            return Ok(Self::Lines(Format::compile(format)?, false));
        }
        let (name, full) = text
            .strip_suffix('6')
            .map_or((text, false), |name| (name, true));
        if let Some((_, format)) = PRESETS
            .iter()
            .find(|(preset, _)| preset.eq_ignore_ascii_case(name))
        {
            return Ok(Self::Lines(Format::compile(format)?, full));
        }
        let found = PROGRAMMED
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match found {
            Some((_, mode)) => Ok(mode()),
            None => Err(FormatError::UnknownMode(text.to_owned())),
        }
    }
}

impl Mode {
    /// The same mode as another version has it.
    #[must_use]
    pub fn of(self, facts: &Facts) -> Self {
        match self {
            Self::Json(_) => Self::Json(facts.json),
            Self::Csv => match facts.csv.map(|list| Columns::parse(Form::Csv, list)) {
                Some(Ok(columns)) => Self::Columns(columns),
                _ => Self::Csv,
            },
            mode => mode,
        }
    }

    /// Whether one of these tokens is shown.
    #[must_use]
    pub fn shows(&self, tokens: &[&str]) -> bool {
        match self {
            Self::Lines(format, _) => format.fields().any(|field| tokens.contains(&field.token)),
            Self::Columns(columns) => columns.fields().any(|field| tokens.contains(&field.token)),
            _ => false,
        }
    }
}

impl Mode {
    /// Whether what is printed of a record depends on how many came before it.
    #[must_use]
    pub fn shows_numbers(&self) -> bool {
        match self {
            Self::Raw | Self::JsonLines | Self::CsvFast => true,
            Self::Json(layout) => *layout != Layout::V1_7_1,
            _ => self.shows(&["cnt"]),
        }
    }

    /// Whether names are shown that records beside the flows tell.
    #[must_use]
    pub fn shows_names(&self) -> bool {
        matches!(self, Self::Raw) || self.shows(&["inam", "onam", "ivrfnam", "evrfnam", "nbnam"])
    }
}

enum Item {
    Field(&'static Field),
    Literal(Vec<u8>),
}

/// A compiled output format.
#[derive(Default)]
pub struct Format {
    items: Vec<Item>,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let item = |item: &Item| match item {
            Item::Field(field) => format!("%{}", field.token),
            Item::Literal(text) => String::from_utf8_lossy(text).into_owned(),
        };
        formatter.write_str(&self.items.iter().map(item).collect::<String>())
    }
}

impl Format {
    /// Compiles a format string. A token ends where the letters end (`%mpls1` to `%mpls10` include their digits); a preset's
    /// name is a token, too.
    ///
    /// # Errors
    /// [`FormatError`] for an empty format, an unknown token and one that is not supported yet.
    pub fn compile(format: &str) -> Result<Self, FormatError> {
        if format.is_empty() {
            return Err(FormatError::Empty);
        }
        let mut items = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            let (literal, from_token) = rest.split_at(at);
            push_literal(&mut items, literal);
            let name = token_name(from_token.get(1..).unwrap_or_default());
            if let Some(field) = FIELDS.iter().find(|field| field.token == name) {
                items.push(Item::Field(field));
            } else if let Some((_, preset)) = PRESETS.iter().find(|(preset, _)| *preset == name) {
                items.append(&mut Self::compile(preset)?.items);
            } else {
                return Err(FormatError::UnknownToken(from_token.to_owned()));
            }
            rest = from_token.get(1 + name.len()..).unwrap_or_default();
        }
        push_literal(&mut items, rest);
        Ok(Self { items })
    }

    /// Its fields.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.items.iter().filter_map(|item| match item {
            Item::Field(field) => Some(*field),
            Item::Literal(_) => None,
        })
    }

    /// Appends the heading line: the columns' headings, blanks for literals.
    pub fn push_heading(&self, out: &mut Vec<u8>, style: &Style) {
        for item in &self.items {
            match item {
                Item::Field(field) => field.push_heading(out, style),
                Item::Literal(text) => out.resize(out.len() + text.len(), b' '),
            }
        }
        out.push(b'\n');
    }

    /// Appends one line.
    pub fn push_row(&self, out: &mut Vec<u8>, row: &Row<'_>, style: &Style, time: &mut LocalTime) {
        for item in &self.items {
            match item {
                Item::Field(field) => field.push_value(out, row, style, time),
                Item::Literal(text) => out.extend_from_slice(text),
            }
        }
        out.push(b'\n');
    }
}

fn push_literal(items: &mut Vec<Item>, text: &str) {
    if !text.is_empty() {
        items.push(Item::Literal(text.as_bytes().to_vec()));
    }
}

/// The token at the beginning of `text` (after its `%`).
pub(super) fn token_name(text: &str) -> &str {
    let letters = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(letters);
    let digits = match (name, rest.as_bytes()) {
        ("mpls", [b'1', b'0', ..]) => 2,
        ("mpls", [b'1'..=b'9', ..]) | ("ja", [b'3', ..]) => 1,
        _ => 0,
    };
    text.get(..letters + digits).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading(format: &str) -> String {
        let mut out = Vec::new();
        Format::compile(format)
            .expect("a valid format")
            .push_heading(&mut out, &Style::default());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Printed by nfdump 1.7.1 for these formats.
    #[test]
    fn headings_as_nfdump() {
        assert_eq!(
            heading("%extended"),
            "Date first seen             Duration     Proto      Src IP Addr:Port          Dst IP Addr:Port     Flags Tos  Packets    Bytes      pps      bps    Bpp Flows\n"
        );
        assert_eq!(
            heading("a %ts, b;%td"),
            "  Date first seen                Duration    \n"
        );
        assert_eq!(heading("abc"), "   \n");
    }

    #[test]
    fn tokens_end_where_their_letters_end() {
        let items = |format| format!("{:?}", Format::compile(format).expect("a valid format"));
        assert_eq!(
            items("%ts_%td1%mpls1,%mpls10,%mpls"),
            "%ts_%td1%mpls1,%mpls10,%mpls"
        );
        assert_eq!(items("%line x"), "%ts %td %pr %sap -> %dap %pkt %byt %fl x");
        for (format, error) in [
            ("", FormatError::Empty),
            ("%tsx", FormatError::UnknownToken("%tsx".to_owned())),
            ("100% %sa", FormatError::UnknownToken("% %sa".to_owned())),
            ("%TS", FormatError::UnknownToken("%TS".to_owned())),
        ] {
            assert_eq!(Format::compile(format).map(|_| ()), Err(error));
        }
    }

    #[test]
    fn modes() {
        assert!(matches!(Mode::parse("LINE"), Ok(Mode::Lines(_, false))));
        assert!(matches!(Mode::parse("extended6"), Ok(Mode::Lines(_, true))));
        assert!(matches!(Mode::parse("null"), Ok(Mode::Null)));
        assert!(matches!(Mode::parse("%sa"), Ok(Mode::Lines(..))));
        for text in ["long7", "fmt6:%sa", "", "6"] {
            assert!(
                matches!(Mode::parse(text), Err(FormatError::UnknownMode(_))),
                "{text}"
            );
        }
        assert!(matches!(Mode::parse("json6"), Ok(Mode::Json(_))));
        assert!(matches!(Mode::parse("fmt:"), Err(FormatError::Empty)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_format_or_an_error(text in ".{0,40}", tokens in "(%[a-zé]{0,6}[0-9 ]{0,2}){0,6}") {
            let _ = Mode::parse(&text);
            let _ = Format::compile(&tokens);
        }
    }
}
