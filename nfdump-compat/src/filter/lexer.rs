//! Words, numbers and signs of a filter, across included files.

use super::{FilterError, Outside};

/// Files included in included files.
const MAX_DEPTH: usize = 10;
const INCLUDE: &str = "@include";

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Number(u64),
    /// A word of the language, by its first spelling in [`KEYWORDS`], or an operator.
    Key(&'static str),
    /// Any other word: an address, a name.
    Name,
    Quoted,
    Sign(char),
}

/// Spellings of the words of the language and the one under which the parser knows them.
const KEYWORDS: &[(&str, &str)] = &[
    ("any", "any"),
    ("ip", "ip"),
    ("host", "ip"),
    ("tunip", "tunip"),
    ("if", "if"),
    ("mac", "mac"),
    ("mpls", "mpls"),
    ("in", "in"),
    ("ident", "ident"),
    ("out", "out"),
    ("flags", "flags"),
    ("nfversion", "nfversion"),
    ("count", "count"),
    ("proto", "proto"),
    ("tun", "tun"),
    ("tos", "tos"),
    ("dir", "dir"),
    ("flowdir", "dir"),
    ("net", "net"),
    ("port", "port"),
    ("as", "as"),
    ("geo", "geo"),
    ("packets", "packets"),
    ("bytes", "bytes"),
    ("flowlabel", "flowlabel"),
    ("flows", "flows"),
    ("bpp", "bpp"),
    ("bps", "bps"),
    ("pps", "pps"),
    ("duration", "duration"),
    ("ipv4", "ipv4"),
    ("inet", "ipv4"),
    ("ipv6", "ipv6"),
    ("inet6", "ipv6"),
    ("icmp-type", "icmp-type"),
    ("icmp-code", "icmp-code"),
    ("engine-type", "engine-type"),
    ("engine-id", "engine-id"),
    ("src", "src"),
    ("dst", "dst"),
    ("next", "next"),
    ("prev", "prev"),
    ("previous", "prev"),
    ("ingress", "ingress"),
    ("egress", "egress"),
    ("bgpnext", "bgpnext"),
    ("router", "router"),
    ("vlan", "vlan"),
    ("mask", "mask"),
    ("fwdstat", "fwdstat"),
    ("client", "client"),
    ("server", "server"),
    ("app", "app"),
    ("latency", "latency"),
    ("sysid", "sysid"),
    ("observation", "observation"),
    ("domain", "domain"),
    ("point", "point"),
    ("id", "id"),
    ("asa", "asa"),
    ("event", "event"),
    ("ignore", "ignore"),
    ("invalid", "invalid"),
    ("create", "create"),
    ("add", "add"),
    ("term", "term"),
    ("delete", "delete"),
    ("deny", "deny"),
    ("denied", "denied"),
    ("xevent", "xevent"),
    ("xip", "nip"),
    ("nip", "nip"),
    ("xnet", "xnet"),
    ("xport", "nport"),
    ("nport", "nport"),
    ("acl", "acl"),
    ("ace", "ace"),
    ("xace", "xace"),
    ("nat", "nat"),
    ("vrf", "vrf"),
    ("pblock", "pblock"),
    ("start", "start"),
    ("end", "end"),
    ("step", "step"),
    ("size", "size"),
    ("payload", "payload"),
    ("content", "content"),
    ("regex", "regex"),
    ("ja3", "ja3"),
    ("and", "and"),
    ("or", "or"),
    ("not", "not"),
    ("eq", "="),
    ("gt", ">"),
    ("lt", "<"),
    ("ge", ">="),
    ("le", "<="),
];

/// Operators, the longer of two that begin alike first.
const OPERATORS: &[(&str, &str)] = &[
    ("&&", "and"),
    ("||", "or"),
    ("==", "="),
    (">=", ">="),
    ("<=", "<="),
    ("=", "="),
    (">", ">"),
    ("<", "<"),
    ("!", "not"),
];

/// Text being read, and how far.
struct Source {
    file: Option<String>,
    text: String,
    at: usize,
    line: usize,
}

/// Reads words one after another.
pub(super) struct Lexer<'o> {
    source: Source,
    /// The files that included this one, the outermost first.
    outer: Vec<Source>,
    outside: &'o mut dyn Outside,
    /// The last word read.
    word: String,
}

impl<'o> Lexer<'o> {
    pub(super) fn new(text: &str, file: Option<&str>, outside: &'o mut dyn Outside) -> Self {
        let source = Source {
            file: file.map(str::to_owned),
            text: text.to_owned(),
            at: 0,
            line: 1,
        };
        Self {
            source,
            outer: Vec::new(),
            outside,
            word: String::new(),
        }
    }

    /// The word that [`next`](Self::next) gave last.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// The last word without the quotes around it.
    pub(super) fn unquoted(&self) -> &str {
        let quoted = self.word.starts_with(['\'', '"']);
        let last = self.word.len().saturating_sub(1);
        self.word
            .get(1..last)
            .filter(|_| quoted)
            .unwrap_or(&self.word)
    }

    pub(super) fn resolve(&mut self) -> Vec<std::net::IpAddr> {
        self.outside.resolve(&self.word)
    }

    /// The last word as a time.
    pub(super) fn time(&mut self) -> Option<u64> {
        let text = self.unquoted().to_owned();
        self.outside.time(&text)
    }

    /// An error at the last word.
    pub(super) fn error(&self, message: &str, expected: &'static str) -> FilterError {
        FilterError {
            file: self.source.file.clone(),
            line: self.source.line,
            message: message.to_owned(),
            word: self.word.clone(),
            expected,
        }
    }

    /// Takes the next word.
    pub(super) fn next(&mut self) -> Result<Kind, FilterError> {
        loop {
            self.skip_blanks();
            let rest = self.source.text.get(self.source.at..).unwrap_or_default();
            if let Some(behind) = rest.strip_prefix(INCLUDE) {
                let path = behind.trim_start_matches([' ', '\t']);
                let blanks = behind.len() - path.len();
                let path = path.split([' ', '\t', '\n']).next().unwrap_or_default();
                let path = path.to_owned();
                self.source.at += INCLUDE.len() + blanks + path.len();
                self.include(path)?;
                continue;
            }
            if rest.is_empty() {
                let Some(outer) = self.outer.pop() else {
                    self.word.clear();
                    return Ok(Kind::End);
                };
                self.source = outer;
                continue;
            }
            let (length, kind) = scan(rest);
            self.word.clear();
            self.word.push_str(rest.get(..length).unwrap_or(rest));
            self.source.at += length;
            return Ok(kind);
        }
    }

    /// Steps over blanks, ends of lines and comments.
    fn skip_blanks(&mut self) {
        let mut comment = false;
        for byte in self.source.text.bytes().skip(self.source.at) {
            match byte {
                b'\n' => {
                    self.source.line += 1;
                    comment = false;
                }
                b'#' => comment = true,
                b' ' | b'\t' => {}
                _ if comment => {}
                _ => break,
            }
            self.source.at += 1;
        }
    }

    fn include(&mut self, path: String) -> Result<(), FilterError> {
        self.word.clone_from(&path);
        if path.is_empty() {
            return Err(self.error("@include without a file", "the file's name"));
        }
        if self.outer.len() >= MAX_DEPTH {
            return Err(self.error("Includes nested too deeply", ""));
        }
        let text = self.outside.include(&path).map_err(|why| {
            self.error(
                &format!("Failed to open include file '{path}': {why}"),
                "a file that can be read",
            )
        })?;
        let inner = Source {
            file: Some(path),
            text,
            at: 0,
            line: 1,
        };
        self.outer.push(std::mem::replace(&mut self.source, inner));
        Ok(())
    }
}

/// Length and kind of the first word of a text that does not begin with a blank.
fn scan(text: &str) -> (usize, Kind) {
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_:.-".contains(byte))
        .count();
    if length > 0 {
        return (length, word(text.get(..length).unwrap_or_default()));
    }
    if let Some((operator, key)) = OPERATORS
        .iter()
        .find(|(operator, _)| text.starts_with(operator))
    {
        return (operator.len(), Kind::Key(key));
    }
    let first = text.chars().next().unwrap_or('\n');
    if matches!(first, '\'' | '"') {
        let printable = text
            .bytes()
            .take_while(|byte| (0x20..0x7f).contains(byte))
            .count();
        let quoted = text.get(..printable).unwrap_or_default();
        if let Some(end) = quoted.rfind(first).filter(|end| *end > 1) {
            return (end + 1, Kind::Quoted);
        }
    }
    (first.len_utf8(), Kind::Sign(first))
}

/// A word is a number, a word of the language, or a name.
fn word(text: &str) -> Kind {
    if let Some(number) = number(text) {
        return Kind::Number(number);
    }
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let known = KEYWORDS
            .iter()
            .find(|(spelling, _)| spelling.eq_ignore_ascii_case(text));
        if let Some((_, key)) = known {
            return Kind::Key(key);
        }
    }
    Kind::Name
}

/// Decimal, decimal with k, m, g or t (powers of 1000), or 0x and hexadecimal digits; too large a number is the largest.
fn number(text: &str) -> Option<u64> {
    let parse = |digits: &str, radix| u64::from_str_radix(digits, radix).unwrap_or(u64::MAX);
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return whole.then(|| parse(digits, 16));
    }
    let last = text.bytes().last()?;
    let factor = match last.to_ascii_lowercase() {
        b'k' => 1000,
        b'm' => 1_000_000,
        b'g' => 1_000_000_000,
        b't' => 1_000_000_000_000,
        _ => 1_u64,
    };
    let digits = if factor == 1 {
        text
    } else {
        text.get(..text.len() - 1)?
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| parse(digits, 10).wrapping_mul(factor))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    struct Files;

    impl Outside for Files {
        fn include(&mut self, path: &str) -> Result<String, String> {
            match path {
                "inner" => Ok("port\n80".to_owned()),
                "loop" => Ok("@include loop".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }

        fn resolve(&mut self, _: &str) -> Vec<IpAddr> {
            Vec::new()
        }

        fn time(&mut self, _: &str) -> Option<u64> {
            None
        }
    }

    fn words(text: &str) -> Result<Vec<Kind>, FilterError> {
        let mut outside = Files;
        let mut lexer = Lexer::new(text, None, &mut outside);
        let mut kinds = Vec::new();
        loop {
            match lexer.next()? {
                Kind::End => return Ok(kinds),
                kind => kinds.push(kind),
            }
        }
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("0", 0),
            ("007", 7),
            ("10k", 10_000),
            ("3M", 3_000_000),
            ("1g", 1_000_000_000),
            ("2T", 2_000_000_000_000),
            ("0x1F", 31),
            ("18446744073709551616", u64::MAX),
        ] {
            assert_eq!(words(text), Ok(vec![Kind::Number(number)]), "{text}");
        }
        for text in ["1kk", "k", "0xg", "1.2.3.4", "5x", "::1"] {
            assert_eq!(words(text), Ok(vec![Kind::Name]), "{text}");
        }
    }

    #[test]
    fn words_operators_and_comments() {
        use Kind::{Key, Name, Sign};
        assert_eq!(
            words("HOST a&&!(b)# and c\n|| >= == eq"),
            Ok(vec![
                Key("ip"),
                Name,
                Key("and"),
                Key("not"),
                Sign('('),
                Name,
                Sign(')'),
                Key("or"),
                Key(">="),
                Key("="),
                Key("=")
            ])
        );
        // A quotation ends at the last such sign of the line, as in nfdump.
        assert_eq!(
            words("content 'a b' c' d\ne"),
            Ok(vec![Key("content"), Kind::Quoted, Name, Name])
        );
        assert_eq!(words("\"a\" '"), Ok(vec![Kind::Quoted, Sign('\'')]));
    }

    #[test]
    fn includes() {
        assert_eq!(
            words("src\n@include inner and"),
            Ok(vec![
                Kind::Key("src"),
                Kind::Key("port"),
                Kind::Number(80),
                Kind::Key("and")
            ])
        );
        assert!(words("@include loop").unwrap_err().message.contains("deep"));
        let error = words("\n@include nowhere").unwrap_err();
        assert_eq!((error.line, error.word.as_str()), (2, "nowhere"));
        assert!(words("@include").is_err());
    }
}
