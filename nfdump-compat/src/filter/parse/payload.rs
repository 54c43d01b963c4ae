//! Primitives about the payload of flows and about labels.

use super::{Parser, Test};
use crate::filter::{FilterError, lexer::Kind, program::Part};
use regex::bytes::RegexBuilder;

impl Parser<'_> {
    /// `payload content "text"`, `payload regex "expression" [ims]`, `payload ja3 defined` or a hash.
    pub(super) fn payload(&mut self) -> Result<Part, FilterError> {
        if !matches!(self.take()?, Kind::Name | Kind::Key(_)) {
            return Err(self.syntax_error("content, regex or ja3"));
        }
        match self.lexer.word().to_ascii_lowercase().as_str() {
            "content" => {
                let text = self.text("the text to look for")?;
                Ok(self.builder.test(Test::PayloadHas(text.into_bytes())))
            }
            "regex" => self.expression(),
            "ja3" => self.fingerprint(),
            _ => Err(self.syntax_error("content, regex or ja3")),
        }
    }

    /// `flowlabel name`.
    pub(super) fn flow_label(&mut self) -> Result<Part, FilterError> {
        let label = self.text("a label")?;
        Ok(self.builder.test(Test::Label(label)))
    }

    /// `geo CC`: needs a geo database, so that the filter is refused in [`Filter::needs_database`].
    ///
    /// [`Filter::needs_database`]: crate::filter::Filter::needs_database
    pub(super) fn country(&mut self) -> Result<Part, FilterError> {
        match self.take()? {
            Kind::Name | Kind::Key(_) if self.lexer.word().len() == 2 => {}
            Kind::Name => return Err(self.error("Need a two letter geo country code")),
            _ => return Err(self.syntax_error("a country of two letters")),
        }
        Ok(self.builder.test(Test::Country))
    }

    /// A name, or a text between quotes.
    fn text(&mut self, expected: &'static str) -> Result<String, FilterError> {
        match self.take()? {
            Kind::Name | Kind::Key(_) | Kind::Number(_) => Ok(self.lexer.word().to_owned()),
            Kind::Quoted => Ok(unquoted(self.lexer.word())),
            _ => Err(self.syntax_error(expected)),
        }
    }

    fn expression(&mut self) -> Result<Part, FilterError> {
        if self.take()? != Kind::Quoted {
            return Err(self.syntax_error("an expression between quotes"));
        }
        let mut builder = RegexBuilder::new(&unquoted(self.lexer.word()));
        builder.unicode(false);
        if self.peek()? == Kind::Name {
            self.ahead = None;
            for flag in self.lexer.word().to_owned().chars() {
                match flag {
                    'i' => builder.case_insensitive(true),
                    'm' => builder.multi_line(true),
                    's' => builder.dot_matches_new_line(true),
                    _ => return Err(self.syntax_error("the flags i, m and s")),
                };
            }
        }
        match builder.build() {
            Ok(regex) => Ok(self.builder.test(Test::PayloadMatches(regex))),
            Err(_) => Err(self.error("failed to compile regex")),
        }
    }

    fn fingerprint(&mut self) -> Result<Part, FilterError> {
        match self.take()? {
            Kind::Name | Kind::Number(_) | Kind::Key(_) => {}
            _ => return Err(self.syntax_error("defined, or a hash of 32 digits")),
        }
        let word = self.lexer.word();
        if word.eq_ignore_ascii_case("defined") {
            return Ok(self.builder.test(Test::Fingerprint(None)));
        }
        let is_hash = word.len() == 32 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u128::from_str_radix(word, 16) {
            Ok(hash) if is_hash => Ok(self.builder.test(Test::Fingerprint(Some(hash)))),
            _ => Err(self.error("not a ja3 hash")),
        }
    }
}

/// The text between the quotes.
fn unquoted(word: &str) -> String {
    let last = word.len().saturating_sub(1);
    word.get(1..last).unwrap_or_default().to_owned()
}
