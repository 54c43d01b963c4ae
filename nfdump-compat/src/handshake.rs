//! What the first bytes of a TLS connection tell: the JA3 fingerprint of a client or (JA3S) a server, and the server name
//! that a client asks for. <https://github.com/salesforce/ja3>

use md5::{Digest, Md5};
use std::fmt::Write;

/// TLS record type.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;

/// A hello of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    formats: Vec<u8>,
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

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Hello::parse(&bytes);
        }
    }
}
