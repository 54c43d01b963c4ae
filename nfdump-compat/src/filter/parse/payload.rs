//! Primitives about the payload of flows and about labels.

use super::{Direction, Parser, Test};
use crate::{
    field::ext,
    filter::{
        FilterError,
        lexer::Kind,
        program::{Dns, Part},
        value::Number,
    },
};
use regex::bytes::RegexBuilder;

const WHAT: &str = "content, regex, ja3, ja4, tls, ssl or dns";
/// Longest server name that is looked for.
const MAX_SERVER_NAME: usize = 64;

impl Parser<'_> {
    /// `payload content "text"`, `payload regex "expression" [ims]`, `payload ja3 defined` or a hash; of later versions
    /// `payload tls …` and `payload dns …`.
    pub(super) fn payload(&mut self) -> Result<Part, FilterError> {
        match self.word(WHAT)?.as_str() {
            "content" => {
                let text = self.text("the text to look for")?;
                Ok(self.builder.test(Test::PayloadHas(text.into_bytes())))
            }
            "regex" => self.expression(),
            "ja3" => self.fingerprint(),
            "ja4" => self.ja4(),
            kind @ ("tls" | "ssl") => {
                let is_tls = kind == "tls";
                self.by_later_rules(|parser| parser.encryption(is_tls))
            }
            "dns" => self.by_later_rules(|parser| parser.dns(ext::IN_PAYLOAD)),
            _ => Err(self.syntax_error(WHAT)),
        }
    }

    /// `in payload dns …`, `out payload dns …`.
    pub(super) fn directed_payload(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let extension = match direction {
            Direction::In => ext::IN_PAYLOAD,
            Direction::Out => ext::OUT_PAYLOAD,
            _ => return Err(self.syntax_error("in or out before payload")),
        };
        if self.word("dns")? != "dns" {
            return Err(self.syntax_error("dns"));
        }
        self.by_later_rules(|parser| parser.dns(extension))
    }

    /// `defined`, `version N.N`, `sni NAME` behind `tls` or `ssl`.
    fn encryption(&mut self, is_tls: bool) -> Result<Part, FilterError> {
        const WHAT: &str = "defined, version or sni";
        let test = match self.word(WHAT)?.as_str() {
            "defined" => Test::Hello,
            "version" => {
                let text = self.text("a version as 1.2")?;
                let version = match (is_tls, text.as_str()) {
                    (true, "1.0") => 0x0301,
                    (true, "1.1") => 0x0302,
                    (true, "1.2") => 0x0303,
                    (true, "1.3") => 0x0304,
                    (false, "1.0") => 0x0100,
                    (false, "2.0") => 0x0200,
                    (false, "3.0") => 0x0300,
                    _ => return Err(self.error("not a version of SSL or TLS")),
                };
                super::numbers::equal(Number::TlsVersion, version)
            }
            "sni" => {
                let name = self.text("a server name")?;
                if name.len() > MAX_SERVER_NAME {
                    return Err(self.error("server name of more than 64 characters"));
                }
                Test::ServerName(name)
            }
            _ => return Err(self.syntax_error(WHAT)),
        };
        Ok(self.builder.test(test))
    }

    /// `defined`, `name NAME`, `address A` behind `dns`.
    fn dns(&mut self, extension: u16) -> Result<Part, FilterError> {
        const WHAT: &str = "defined, name or address";
        let what = match self.word(WHAT)?.as_str() {
            "defined" => Dns::Any,
            "name" => Dns::Name(self.text("a name, or a part of one")?),
            "address" | "addr" => {
                let text = self.text("an IP address")?;
                Dns::Address(text.parse().map_err(|_| self.error("not an IP address"))?)
            }
            _ => return Err(self.syntax_error(WHAT)),
        };
        Ok(self.builder.test(Test::Dns(extension, what)))
    }

    /// `flowlabel name`.
    pub(super) fn flow_label(&mut self) -> Result<Part, FilterError> {
        let label = self.text("a label")?;
        Ok(self.builder.test(Test::Label(label)))
    }

    fn expression(&mut self) -> Result<Part, FilterError> {
        let expression = self.text("an expression between quotes")?;
        let mut builder = RegexBuilder::new(&expression);
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

    /// `defined`, or a fingerprint as `t13d1516h2_8daaf6152771_02713d6af862`.
    fn ja4(&mut self) -> Result<Part, FilterError> {
        let text = self
            .text("defined, or a JA4 fingerprint")?
            .to_ascii_lowercase();
        if text == "defined" {
            return Ok(self.builder.test(Test::Ja4(None)));
        }
        let parts: Vec<&str> = text.split('_').collect();
        let is_hash = |part: &str| part.len() == 12 && part.bytes().all(|b| b.is_ascii_hexdigit());
        match parts.as_slice() {
            [first, second, third] if first.len() == 10 && is_hash(second) && is_hash(third) => {
                Ok(self.builder.test(Test::Ja4(Some(text))))
            }
            _ => Err(self.error("not a ja4 fingerprint")),
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
