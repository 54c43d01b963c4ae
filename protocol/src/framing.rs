//! Message boundaries in a byte stream: IPFIX by its length (RFC 7011 section 10.4.3), NetFlow v9, which has no
//! length and no standard for streams, by walking its FlowSets.

/// Why the boundary of messages is lost. The stream cannot be read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramingError {
    /// Something else than a version 9 or 10 header.
    #[error("octet {offset} of the stream: version {version} is neither 9 nor 10")]
    Version {
        /// Offset in the stream.
        offset: u64,
        /// What stands there.
        version: u16,
    },
    /// An impossible length.
    #[error("octet {offset} of the stream: length {length} is impossible")]
    Length {
        /// Offset in the stream.
        offset: u64,
        /// The length.
        length: u16,
    },
    /// Something that is no FlowSet and no message.
    #[error("octet {offset} of the stream: FlowSet ID {id} is reserved")]
    FlowSet {
        /// Offset in the stream.
        offset: u64,
        /// The ID.
        id: u16,
    },
    /// A message longer than the bound.
    #[error("octet {offset} of the stream: message longer than {max} octets")]
    TooLong {
        /// Offset in the stream.
        offset: u64,
        /// The bound.
        max: usize,
    },
    /// The stream ended inside a message.
    #[error("octet {offset} of the stream: it ends inside a message, {left} octets are left")]
    Incomplete {
        /// Offset in the stream.
        offset: u64,
        /// Octets of the incomplete message.
        left: usize,
    },
}

/// Cuts a stream into messages.
///
/// [`push`](Self::push) what was read, then call [`next_message`](Self::next_message) until it gives `None`. A
/// NetFlow v9 message is known to be complete only when the next one begins: after a pause call
/// [`idle`](Self::idle), at the end of the stream [`finish`](Self::finish).
#[derive(Debug)]
pub struct Framer {
    max: usize,
}

impl Framer {
    /// A framer that refuses messages of more than `max` octets.
    pub fn new(max: usize) -> Self {
        Self { max }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = (bytes, self.max);
    }

    /// The next complete message.
    ///
    /// # Errors
    /// The boundary is lost: the connection should be closed.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, FramingError> {
        Ok(None)
    }

    /// The stream pauses: a NetFlow v9 message that could end here is taken to end here.
    ///
    /// # Errors
    /// The boundary is lost.
    pub fn idle(&mut self) -> Result<Option<&[u8]>, FramingError> {
        Ok(None)
    }

    /// The stream has ended: the last message, if there is one; to be called until it gives `None`.
    ///
    /// # Errors
    /// The boundary is lost, or the stream ended inside a message.
    pub fn finish(&mut self) -> Result<Option<&[u8]>, FramingError> {
        Ok(None)
    }
}
