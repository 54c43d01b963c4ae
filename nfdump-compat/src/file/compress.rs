//! The five ways a block is stored. A decoder never gives more than [`MAX_BLOCK`] bytes, whatever the block claims.

use std::fmt;

use bzip2::{Action, Compress, Decompress, Status};

use super::{layout2::MAX_BLOCK, lzo::LzoEncoder};

/// Compression of the blocks of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// LZO1X-1, raw.
    Lzo,
    /// One bzip2 stream a block.
    Bz2,
    /// LZ4 block format, raw.
    Lz4,
    /// One Zstandard frame a block (read by nfdump since 1.7.3).
    Zstd,
}

impl Compression {
    /// The code in the file header.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lzo => 1,
            Self::Bz2 => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The compression of a code in the file header.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Lzo, Self::Bz2, Self::Lz4, Self::Zstd]
            .into_iter()
            .find(|c| c.code() == code)
    }
}

impl Compression {
    /// A method as `-z=` takes it: `lzo`, `bz2`, `lz4[:LEVEL]` or `zstd[:LEVEL]`; and its level. Levels of LZ4 say how hard
    /// to try, here always the least.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_method(text: &str) -> Result<(Self, Option<i32>), &'static str> {
        let (name, level) = match text.split_once(':') {
            None => (text, None),
            Some((name, level)) => {
                let level: i32 = level.parse().map_err(|_| "the level is no number")?;
                (name, Some(level))
            }
        };
        match (name, level) {
            ("lzo", None) => Ok((Self::Lzo, None)),
            ("bz2", None) => Ok((Self::Bz2, None)),
            ("lz4", None | Some(1..=12)) => Ok((Self::Lz4, None)),
            ("zstd", None | Some(1..=22)) => Ok((Self::Zstd, level)),
            ("lzo" | "bz2", _) => Err("it has no levels"),
            ("lz4", _) => Err("levels of LZ4 are 1 to 12"),
            ("zstd", _) => Err("levels of ZSTD are 1 to 22"),
            _ => Err("expected lzo, bz2, lz4[:1…12] or zstd[:1…22]"),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "no compression",
            Self::Lzo => "LZO",
            Self::Bz2 => "BZ2",
            Self::Lz4 => "LZ4",
            Self::Zstd => "ZSTD",
        })
    }
}

/// Largest output of any of the encoders for a block of `raw` bytes.
fn bound(raw: usize) -> usize {
    raw + raw / 8 + 1024
}

/// Compresses blocks, one after another; keeps the encoders' tables.
pub(super) struct Encoder {
    compression: Compression,
    lz4: lz4_flex::block::CompressTable,
    lzo: Option<LzoEncoder>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Encoder {
    /// `level` is Zstandard's; the others have none.
    pub(super) fn new(compression: Compression, level: Option<i32>) -> Result<Self, String> {
        let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
        let zstd = match compression {
            Compression::Zstd => {
                Some(zstd::bulk::Compressor::new(level).map_err(|e| e.to_string())?)
            }
            _ => None,
        };
        let lzo = (compression == Compression::Lzo).then(LzoEncoder::new);
        Ok(Self {
            compression,
            lz4: lz4_flex::block::CompressTable::default(),
            lzo,
            zstd,
        })
    }

    /// Appends the stored form of `raw` to `out`.
    pub(super) fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        if self.compression == Compression::None {
            out.extend_from_slice(raw);
            return Ok(());
        }
        if let Some(lzo) = &mut self.lzo {
            lzo.encode(raw, out);
            return Ok(());
        }
        let start = out.len();
        out.resize(start + bound(raw.len()), 0);
        let place = out.get_mut(start..).unwrap_or_default();
        let written = match self.compression {
            Compression::Lz4 => {
                lz4_flex::block::compress_into_with_table(raw, place, &mut self.lz4)
                    .map_err(|e| e.to_string())
            }
            Compression::Zstd => match &mut self.zstd {
                Some(encoder) => encoder
                    .compress_to_buffer(raw, place)
                    .map_err(|e| e.to_string()),
                None => Err("no ZSTD encoder".to_owned()),
            },
            Compression::Bz2 => bzip2_encode(raw, place),
            // Both are done above.
            Compression::None | Compression::Lzo => Ok(0),
        };
        out.truncate(start + written.as_ref().copied().unwrap_or(0));
        written.map(|_| ())
    }
}

fn bzip2_encode(raw: &[u8], place: &mut [u8]) -> Result<usize, String> {
    let mut encoder = Compress::new(bzip2::Compression::best(), 0);
    match encoder.compress(raw, place, Action::Finish) {
        Ok(Status::StreamEnd) => Ok(usize::try_from(encoder.total_out()).unwrap_or(usize::MAX)),
        Ok(status) => Err(format!("{status:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Decompresses blocks, one after another, into its own buffer of at most [`MAX_BLOCK`] bytes.
pub(super) struct Decoder {
    compression: Compression,
    raw: Vec<u8>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decoder {
    pub(super) fn new(compression: Compression) -> Result<Self, String> {
        let zstd = match compression {
            Compression::Zstd => Some(zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?),
            _ => None,
        };
        Ok(Self {
            compression,
            raw: Vec::new(),
            zstd,
        })
    }

    /// The raw form of a stored block.
    pub(super) fn decode<'a>(&'a mut self, stored: &'a [u8]) -> Result<&'a [u8], String> {
        if self.compression == Compression::None {
            return Ok(stored);
        }
        if self.raw.is_empty() {
            self.raw.resize(MAX_BLOCK, 0);
        }
        let size = match self.compression {
            Compression::Lz4 => lz4_flex::block::decompress_into(stored, &mut self.raw)
                .map_err(|e| e.to_string())?,
            Compression::Lzo => lzokay::decompress::decompress(stored, &mut self.raw)
                .map_err(|e| format!("{e:?}"))?,
            Compression::Zstd => match &mut self.zstd {
                Some(decoder) => decoder
                    .decompress_to_buffer(stored, self.raw.as_mut_slice())
                    .map_err(|e| e.to_string())?,
                None => return Err("no ZSTD decoder".to_owned()),
            },
            Compression::Bz2 => bzip2_decode(stored, &mut self.raw)?,
            Compression::None => 0,
        };
        self.raw
            .get(..size)
            .ok_or_else(|| "more than 5 MiB".to_owned())
    }
}

fn bzip2_decode(stored: &[u8], raw: &mut [u8]) -> Result<usize, String> {
    let mut decoder = Decompress::new(false);
    match decoder.decompress(stored, raw) {
        Ok(Status::StreamEnd) => Ok(usize::try_from(decoder.total_out()).unwrap_or(usize::MAX)),
        Ok(_) if decoder.total_out() >= raw.len() as u64 => Err("more than 5 MiB".to_owned()),
        Ok(_) => Err("the stream is cut".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Lzo,
        Compression::Bz2,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn encode(compression: Compression, raw: &[u8]) -> Vec<u8> {
        let mut stored = Vec::new();
        Encoder::new(compression, None)
            .unwrap()
            .encode(raw, &mut stored)
            .unwrap();
        stored
    }

    #[test]
    fn a_bomb_is_refused() {
        for compression in ALL.into_iter().skip(1) {
            let stored = encode(compression, &vec![0; MAX_BLOCK + 1]);
            assert!(
                Decoder::new(compression).unwrap().decode(&stored).is_err(),
                "{compression}"
            );
            let stored = encode(compression, &vec![0; MAX_BLOCK]);
            assert_eq!(
                Decoder::new(compression)
                    .unwrap()
                    .decode(&stored)
                    .unwrap()
                    .len(),
                MAX_BLOCK,
                "{compression}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decoding_gives_what_was_encoded(seed in proptest::collection::vec(any::<u8>(), 1..500), times in 1usize..200) {
            for compression in ALL {
                let raw = seed.repeat(times);
                let stored = encode(compression, &raw);
                let mut decoder = Decoder::new(compression).unwrap();
                prop_assert_eq!(decoder.decode(&stored).unwrap(), &raw[..]);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            for compression in ALL {
                let mut decoder = Decoder::new(compression).unwrap();
                let _ = decoder.decode(&bytes);
                let mut stored = encode(compression, &bytes.repeat(3));
                stored.truncate(cut);
                let _ = decoder.decode(&stored);
                if let Some(byte) = stored.get_mut(cut / 2) {
                    *byte ^= 0x55;
                }
                let _ = decoder.decode(&stored);
            }
        }
    }
}
