//! A cursor over received octets. It knows where in the message it stands, never reads beyond its scope and
//! never indexes.

/// More octets were asked for than the scope has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truncated {
    /// Offset in the message at which they were asked for.
    pub offset: usize,
    /// Octets asked for.
    pub wanted: usize,
    /// Octets there were.
    pub left: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader over a whole message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            offset: 0,
        }
    }

    /// A reader over octets that begin at `offset` of a message.
    pub fn at(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }

    /// Offset of the next octet in the message.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Octets left in the scope.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The octets left in the scope, without moving on.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` octets.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Truncated {
            offset: self.offset,
            wanted: length,
            left: self.rest.len(),
        })?;
        self.rest = rest;
        self.offset += length;
        Ok(taken)
    }

    /// A reader over the next `length` octets, which are passed.
    pub fn sub(&mut self, length: usize) -> Result<Reader<'a>, Truncated> {
        let offset = self.offset;
        Ok(Reader {
            rest: self.take(length)?,
            offset,
        })
    }

    /// The next two numbers of 16 bits: an ID and a count or length.
    pub fn u16_pair(&mut self) -> Result<(u16, u16), Truncated> {
        Ok((self.u16()?, self.u16()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated {
            offset: self.offset,
            wanted: N,
            left: self.rest.len(),
        })?;
        self.rest = rest;
        self.offset += N;
        Ok(*taken)
    }

    /// One octet.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two octets in network order.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets in network order.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// The length in front of a value: one octet, or 255 and two octets (RFC 7011 section 7).
    pub fn length(&mut self) -> Result<u16, Truncated> {
        Ok(match self.u8()? {
            255 => self.u16()?,
            short => u16::from(short),
        })
    }

    /// A value of variable length, see [`length`](Self::length).
    pub fn variable(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.length()?;
        self.take(usize::from(length))
    }
}
