//! The octets of a case: hex, and short forms for what would be unreadable in hex or is known only at the run.

use std::net::Ipv4Addr;

/// One piece of a line of octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// Octets as they are.
    Bytes(Vec<u8>),
    /// `@N`: the IPv4 address that marks record N.
    Mark(u8),
    /// `@@N`: the IPv6 address that marks record N.
    Mark6(u8),
    /// `STD`: the fields of a standard record.
    Standard,
    /// `s:N`: seconds since 1970, N seconds after now.
    Seconds(i64),
    /// `ms:N`: milliseconds since 1970 in eight octets, N ms after now.
    Millis(i64),
    /// `ntp:N`: NTP time in eight octets, N ms after now.
    Ntp(i64),
    /// `up:N`: uptime of the exporter, N ms after now.
    Uptime(i64),
    /// `#N`: number of the repetition plus N, in two octets.
    Counter(u16),
    /// `rec:N`: a whole standard record marked N, of N packets and 100 N octets.
    Record(u8),
}

impl Token {
    /// An identifier: a decimal number or `#N`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn id(text: &str) -> Result<Token, String> {
        if let Some(base) = text.strip_prefix('#') {
            return Ok(Token::Counter(parse(base)?));
        }
        Ok(Token::Bytes(parse::<u16>(text)?.to_be_bytes().to_vec()))
    }
}

/// The pieces of a line: hex, `1.2.3.4`, `d1000/4` (decimal in four octets), `"text"`, `ab*16` (repeated), and the
/// forms of [`Token`].
///
/// # Errors
/// The word that cannot be read.
pub fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').ok_or("a text does not end")?;
            tokens.push(Token::Bytes(text.as_bytes().to_vec()));
            rest = after.trim();
            continue;
        }
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        tokens.push(token(word)?);
        rest = after.trim();
    }
    Ok(tokens)
}

fn token(word: &str) -> Result<Token, String> {
    if word == "STD" {
        return Ok(Token::Standard);
    }
    if let Some(mark) = word.strip_prefix("@@") {
        return parse(mark).map(Token::Mark6);
    }
    if let Some(mark) = word.strip_prefix('@') {
        return parse(mark).map(Token::Mark);
    }
    if let Some(base) = word.strip_prefix('#') {
        return parse(base).map(Token::Counter);
    }
    if let Some((kind, value)) = word.split_once(':') {
        return match kind {
            "s" => parse(value).map(Token::Seconds),
            "ms" => parse(value).map(Token::Millis),
            "ntp" => parse(value).map(Token::Ntp),
            "up" => parse(value).map(Token::Uptime),
            "rec" => parse(value).map(Token::Record),
            _ => Err(format!("{word:?} is not known")),
        };
    }
    if let Some((value, width)) = word.strip_prefix('d').and_then(|rest| rest.split_once('/')) {
        let (value, width): (u64, usize) = (parse(value)?, parse(width)?);
        let octets = value.to_be_bytes();
        let start = octets
            .len()
            .checked_sub(width)
            .ok_or("eight octets at most")?;
        return Ok(Token::Bytes(
            octets.get(start..).unwrap_or_default().to_vec(),
        ));
    }
    if word.contains('.') {
        let address: Ipv4Addr = parse(word)?;
        return Ok(Token::Bytes(address.octets().to_vec()));
    }
    match word.split_once('*') {
        Some((octets, times)) => Ok(Token::Bytes(hex(octets)?.repeat(parse(times)?))),
        None => hex(word).map(Token::Bytes),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} cannot be read"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("{text:?} is not hex");
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(wrong());
    }
    (0..text.len() / 2)
        .map(|index| {
            let pair = text.get(index * 2..index * 2 + 2).ok_or_else(wrong)?;
            u8::from_str_radix(pair, 16).map_err(|_| wrong())
        })
        .collect()
}
