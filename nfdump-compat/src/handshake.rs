//! What the first bytes of a TLS connection tell: the JA3 fingerprint of a client or (JA3S) a server, the JA4 fingerprint of
//! a client, and the server name that it asks for. <https://github.com/salesforce/ja3>, <https://github.com/FoxIO-LLC/ja4>

use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::Write;

/// TLS record type.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURES: u16 = 13;
const PROTOCOLS: u16 = 16;
const VERSIONS: u16 = 43;

/// A hello of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Version of the protocol, as in the hello: 0x0301 is TLS 1.0.
    pub version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    formats: Vec<u8>,
    signatures: Vec<u16>,
    /// First and last byte of the first application protocol (ALPN) that is offered.
    protocol: Option<(u8, u8)>,
    /// Highest of the versions that a client supports; 0 if it does not list them.
    best_version: u16,
    is_client: bool,
    /// Server name that a client asks for; empty without.
    pub server_name: String,
}

impl Hello {
    /// Reads the first TLS record of a payload; none if it is not a whole hello.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut record = Bytes(payload);
        if record.u8()? != HANDSHAKE || record.u8()? != 3 {
            return None;
        }
        record.u8()?;
        let length = record.u16()?;
        let mut hello = Bytes(record.take(length.into())?);
        let kind = hello.u8()?;
        hello.u8()?;
        let length = hello.u16()?;
        let mut body = Bytes(hello.take(length.into())?);
        let mut parsed = Self {
            version: body.u16()?,
            is_client: kind == CLIENT_HELLO,
            ..Self::default()
        };
        body.take(32)?;
        let session = body.u8()?;
        body.take(session.into())?;
        match kind {
            CLIENT_HELLO => {
                let length = body.u16()?;
                parsed.ciphers = words(body.take(length.into())?);
                let methods = body.u8()?;
                body.take(methods.into())?;
            }
            SERVER_HELLO => {
                parsed.ciphers = vec![body.u16()?];
                body.u8()?;
            }
            _ => return None,
        }
        if !body.0.is_empty() {
            let length = body.u16()?;
            parsed.extensions(Bytes(body.take(length.into())?))?;
        }
        Some(parsed)
    }

    fn extensions(&mut self, mut bytes: Bytes<'_>) -> Option<()> {
        while !bytes.0.is_empty() {
            let (kind, length) = (bytes.u16()?, bytes.u16()?);
            let mut content = Bytes(bytes.take(length.into())?);
            if is_grease(kind) {
                continue;
            }
            self.extensions.push(kind);
            match kind {
                SUPPORTED_GROUPS => {
                    let length = content.u16()?;
                    self.groups = words(content.take(length.into())?);
                }
                POINT_FORMATS => {
                    let length = content.u8()?;
                    self.formats = content.take(length.into())?.to_vec();
                }
                SIGNATURES => {
                    let length = content.u16()?;
                    self.signatures = words(content.take(length.into())?);
                }
                PROTOCOLS => {
                    content.u16()?;
                    let length = content.u8()?;
                    let name = content.take(length.into())?;
                    self.protocol = name.first().copied().zip(name.last().copied());
                }
                VERSIONS if self.is_client => {
                    let length = content.u8()?;
                    let versions = words(content.take(length.into())?);
                    self.best_version = versions.into_iter().max().unwrap_or(0);
                }
                SERVER_NAME if self.is_client => {
                    content.u16()?;
                    content.u8()?;
                    let length = content.u16()?;
                    let name = content.take(length.into())?;
                    self.server_name = String::from_utf8_lossy(name).into_owned();
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Whether the client sent it.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.is_client
    }

    /// The MD5 of its fields as text.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let mut text = format!(
            "{},{},{}",
            self.version,
            joined(&self.ciphers),
            joined(&self.extensions)
        );
        if self.is_client {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{},{}", joined(&self.groups), joined(&self.formats));
        }
        u128::from_be_bytes(Md5::digest(text).into())
    }
}

impl Hello {
    /// The JA4 fingerprint of a client over TCP; none of a server.
    #[must_use]
    pub fn ja4(&self) -> Option<String> {
        let version = match self.best_version {
            0 => self.version,
            version => version,
        };
        self.ja4_of(version)
    }

    /// The same as nfdump 1.7.5 makes it: with the version that the hello pretends, which is never TLS 1.3.
    #[must_use]
    pub fn ja4_of_nfdump(&self) -> Option<String> {
        self.ja4_of(self.version)
    }

    fn ja4_of(&self, version: u16) -> Option<String> {
        if !self.is_client {
            return None;
        }
        let version = match version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let name = if self.extensions.contains(&SERVER_NAME) {
            'd'
        } else {
            'i'
        };
        let protocol = match self.protocol {
            Some((first, last))
                if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() =>
            {
                format!("{}{}", char::from(first), char::from(last))
            }
            Some((first, last)) => format!("{:x}{:x}", first >> 4, last & 0xf),
            None => "00".to_owned(),
        };
        let mut ciphers = self.ciphers.clone();
        ciphers.sort_unstable();
        let mut extensions: Vec<u16> = self.extensions.clone();
        extensions.retain(|kind| ![SERVER_NAME, PROTOCOLS].contains(kind));
        extensions.sort_unstable();
        let mut rest = in_hexadecimal(&extensions);
        if !self.signatures.is_empty() {
            rest = format!("{rest}_{}", in_hexadecimal(&self.signatures));
        }
        Some(format!(
            "t{version}{name}{:02}{:02}{protocol}_{}_{}",
            self.ciphers.len().min(99),
            self.extensions.len().min(99),
            shortened(&in_hexadecimal(&ciphers)),
            shortened(&rest),
        ))
    }
}

fn in_hexadecimal(values: &[u16]) -> String {
    let digits: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    digits.join(",")
}

/// The first twelve digits of the SHA-256, zeros of nothing.
fn shortened(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let hash = Sha256::digest(text);
    hash.iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Values that clients send to keep servers tolerant (RFC 8701).
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk().map(|pair| u16::from_be_bytes(*pair)))
        .filter(|word| !is_grease(*word))
        .collect()
}

fn joined<T: ToString>(values: &[T]) -> String {
    values
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join("-")
}

/// Takes bytes off the front; what is not there is none.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?
            .first_chunk()
            .map(|pair| u16::from_be_bytes(*pair))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A hello with the values of the example in JA3's description, which gives its MD5.
    #[test]
    fn the_example_of_ja3() {
        let ciphers = [47_u16, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
        let mut body = vec![3, 1];
        body.extend([7; 32]);
        body.push(0);
        body.extend(u16::to_be_bytes(ciphers.len() as u16 * 2));
        ciphers
            .iter()
            .for_each(|cipher| body.extend(cipher.to_be_bytes()));
        body.extend([1, 0]);
        let name = b"example.org";
        let mut extensions = vec![
            0,
            0,
            0,
            name.len() as u8 + 5,
            0,
            name.len() as u8 + 3,
            0,
            0,
            name.len() as u8,
        ];
        extensions.extend(name);
        extensions.extend([0, 10, 0, 8, 0, 6, 0, 23, 0, 24, 0, 25]);
        extensions.extend([0, 11, 0, 2, 1, 0]);
        body.extend(u16::to_be_bytes(extensions.len() as u16));
        body.extend(extensions);
        let mut payload = vec![22, 3, 1];
        payload.extend(u16::to_be_bytes(body.len() as u16 + 4));
        payload.extend([1, 0]);
        payload.extend(u16::to_be_bytes(body.len() as u16));
        payload.extend(&body);
        let hello = Hello::parse(&payload).unwrap();
        assert_eq!(
            format!("{:032x}", hello.fingerprint()),
            "ada70206e40642a3e4461f35503241d5"
        );
        assert_eq!(hello.server_name, "example.org");
        assert_eq!(Hello::parse(&payload[..payload.len() - 1]), None);
        assert_eq!(Hello::parse(b"GET / HTTP/1.1\r\n"), None);
    }

    /// The two hashes of the example in JA4's description.
    #[test]
    fn hashes_of_ja4() {
        let ciphers = [
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x9c, 0x9d, 0x2f, 0x35,
        ];
        let extensions = [
            0x1b, 0, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0xd, 5, 0x23, 0x12, 0x2b, 0xff01, 0xb, 0xa,
            0x15,
        ];
        let hello = Hello {
            version: 0x0303,
            best_version: 0x0304,
            ciphers: ciphers.to_vec(),
            extensions: extensions.to_vec(),
            signatures: vec![
                0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
            ],
            protocol: Some((b'h', b'2')),
            is_client: true,
            ..Hello::default()
        };
        let expected = "t13d1516h2_8daaf6152771_e5627efa2ab1";
        assert_eq!(hello.ja4().unwrap(), expected);
        assert_eq!(
            hello.ja4_of_nfdump().unwrap(),
            expected.replacen("13", "12", 1)
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Hello::parse(&bytes);
        }
    }
}
