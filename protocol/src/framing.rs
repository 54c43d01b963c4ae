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
    buffer: Vec<u8>,
    /// Where the message in the making begins in `buffer`.
    start: usize,
    /// Octets of it that are known to be whole (v9: header and FlowSets walked so far).
    walked: usize,
    /// Offset in the stream of `buffer`'s first octet.
    consumed: u64,
    /// Told once the whole FlowSets before the fault have been given out.
    lost: Option<FramingError>,
}

/// What the caller knows of the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Flowing,
    Idle,
    Ended,
}

const V9_HEADER: usize = 20;
const IPFIX_HEADER: u16 = 16;

impl Framer {
    /// A framer that refuses messages of more than `max` octets. It keeps at most that and what was pushed last.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            buffer: Vec::new(),
            start: 0,
            walked: 0,
            consumed: 0,
            lost: None,
        }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.consumed += self.start as u64;
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Octets pushed and not yet given out.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// What was pushed and not yet given out: after an error, what stands where the boundary was lost.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The next complete message.
    ///
    /// # Errors
    /// The boundary is lost: the connection should be closed.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, FramingError> {
        self.cut(Stream::Flowing)
    }

    /// The stream pauses: a NetFlow v9 message that could end here is taken to end here.
    ///
    /// # Errors
    /// The boundary is lost.
    pub fn idle(&mut self) -> Result<Option<&[u8]>, FramingError> {
        self.cut(Stream::Idle)
    }

    /// The stream has ended: the last messages; to be called until it gives `None`.
    ///
    /// # Errors
    /// The boundary is lost, or the stream ended inside a message.
    pub fn finish(&mut self) -> Result<Option<&[u8]>, FramingError> {
        self.cut(Stream::Ended)
    }

    fn cut(&mut self, stream: Stream) -> Result<Option<&[u8]>, FramingError> {
        if let Some(error) = self.lost {
            return Err(error);
        }
        let Some(length) = self.message_length(stream)? else {
            return Ok(None);
        };
        let begin = self.start;
        self.start += length;
        self.walked = 0;
        Ok(self.buffer.get(begin..self.start))
    }

    /// Octets of the message at `start`; `None` if that is not known yet.
    fn message_length(&mut self, stream: Stream) -> Result<Option<usize>, FramingError> {
        let octets = self.buffer.get(self.start..).unwrap_or_default();
        if octets.is_empty() {
            return Ok(None);
        }
        let result = match be16(octets, 0) {
            None => Ok(None),
            Some(9) => return self.walk_flowsets(stream),
            Some(10) => ipfix_length(octets, self.max, self.position(0)),
            Some(version) => Err(FramingError::Version {
                offset: self.position(0),
                version,
            }),
        };
        match result {
            Ok(None) if stream == Stream::Ended => Err(self.incomplete(0)),
            result => result,
        }
    }

    /// Goes from FlowSet to FlowSet to the next message header. IDs 2 to 255 are reserved, so 9 or 10 where a
    /// FlowSet should begin is the version of the next message.
    fn walk_flowsets(&mut self, stream: Stream) -> Result<Option<usize>, FramingError> {
        let octets = self.buffer.get(self.start..).unwrap_or_default();
        let mut walked = self.walked.max(V9_HEADER);
        let fault = loop {
            if octets.len() < walked {
                break (stream == Stream::Ended).then(|| self.incomplete(0));
            }
            if octets.len() == walked && stream != Stream::Flowing {
                return Ok(Some(walked));
            }
            match be16(octets, walked) {
                Some(9 | 10) => return Ok(Some(walked)),
                Some(id @ 2..=255) => {
                    break Some(FramingError::FlowSet {
                        offset: self.position(walked),
                        id,
                    });
                }
                _ => {}
            }
            let Some(length) = be16(octets, walked + 2) else {
                break (stream == Stream::Ended).then(|| self.incomplete(walked));
            };
            if length < 4 {
                break Some(FramingError::Length {
                    offset: self.position(walked),
                    length,
                });
            }
            let end = walked + usize::from(length);
            if end > self.max {
                break Some(FramingError::TooLong {
                    offset: self.position(0),
                    max: self.max,
                });
            }
            if octets.len() < end {
                break (stream == Stream::Ended).then(|| self.incomplete(walked));
            }
            walked = end;
        };
        self.walked = walked;
        match fault {
            None => Ok(None),
            // FlowSets before the fault are whole: they go out first.
            Some(error) if walked > V9_HEADER => {
                self.lost = Some(error);
                Ok(Some(walked))
            }
            Some(error) => Err(error),
        }
    }

    fn position(&self, offset: usize) -> u64 {
        self.consumed + (self.start + offset) as u64
    }

    fn incomplete(&self, offset: usize) -> FramingError {
        FramingError::Incomplete {
            offset: self.position(offset),
            left: self.pending().saturating_sub(offset),
        }
    }
}

fn ipfix_length(octets: &[u8], max: usize, offset: u64) -> Result<Option<usize>, FramingError> {
    let Some(length) = be16(octets, 2) else {
        return Ok(None);
    };
    if length < IPFIX_HEADER {
        return Err(FramingError::Length { offset, length });
    }
    let length = usize::from(length);
    if length > max {
        return Err(FramingError::TooLong { offset, max });
    }
    Ok((octets.len() >= length).then_some(length))
}

fn be16(octets: &[u8], offset: usize) -> Option<u16> {
    octets
        .get(offset..)?
        .first_chunk()
        .map(|pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// A v9 message with a wrong count and data FlowSets of these lengths.
    fn v9(sets: &[u16]) -> Vec<u8> {
        let mut message = vec![
            0, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0x9a,
        ];
        for length in sets {
            message.extend([1, 0]);
            message.extend(length.to_be_bytes());
            // Octets that look like headers: only boundaries count.
            message.extend(std::iter::repeat_n([0, 9], usize::from(*length) / 2 - 2).flatten());
        }
        message
    }

    fn ipfix(length: u16) -> Vec<u8> {
        let mut message = vec![0, 10];
        message.extend(length.to_be_bytes());
        message.resize(usize::from(length), 0xaa);
        message
    }

    fn cut_all(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<FramingError>) {
        let mut framer = Framer::new(65535);
        let mut messages = Vec::new();
        for piece in stream.chunks(step) {
            framer.push(piece);
            loop {
                match framer.next_message() {
                    Ok(Some(message)) => messages.push(message.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        loop {
            match framer.finish() {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error)),
            }
        }
    }

    #[test]
    fn both_versions_in_one_stream_at_any_slicing() {
        let expected = [
            v9(&[24, 104]),
            v9(&[]),
            ipfix(16),
            ipfix(300),
            v9(&[8]),
            v9(&[4000]),
        ];
        let stream = expected.concat();
        for step in [1, 2, 3, 7, 20, 1000, 100_000] {
            let (messages, error) = cut_all(&stream, step);
            assert_eq!(error, None);
            assert_eq!(messages, expected, "step {step}");
        }
    }

    #[test]
    fn a_pause_ends_a_v9_message_only_at_a_flowset_boundary() {
        let message = v9(&[24]);
        let mut framer = Framer::new(65535);
        framer.push(&message[..40]);
        assert_eq!(framer.idle(), Ok(None));
        framer.push(&message[40..]);
        assert_eq!(framer.next_message(), Ok(None));
        assert_eq!(framer.pending(), 44);
        assert_eq!(framer.idle().unwrap().unwrap(), message);
        assert_eq!(framer.idle(), Ok(None));
        assert_eq!(framer.finish(), Ok(None));
    }

    #[test]
    fn a_lost_boundary_is_told_after_what_was_whole() {
        let mut stream = [v9(&[8]), v9(&[12])].concat();
        stream.extend([0, 77, 0, 8]);
        let (messages, error) = cut_all(&stream, 5);
        assert_eq!(messages, [v9(&[8]), v9(&[12])]);
        assert_eq!(error, Some(FramingError::FlowSet { offset: 60, id: 77 }));

        let (messages, error) = cut_all(&[ipfix(20), vec![0, 5, 0, 1]].concat(), 3);
        assert_eq!(messages, [ipfix(20)]);
        assert_eq!(
            error,
            Some(FramingError::Version {
                offset: 20,
                version: 5
            })
        );

        let (_, error) = cut_all(&[0, 10, 0, 15], 4);
        assert_eq!(
            error,
            Some(FramingError::Length {
                offset: 0,
                length: 15
            })
        );
        let (_, error) = cut_all(&ipfix(30)[..29], 4);
        assert_eq!(
            error,
            Some(FramingError::Incomplete {
                offset: 0,
                left: 29
            })
        );
        let (messages, error) = cut_all(&v9(&[8, 40])[..50], 50);
        assert_eq!(messages, [v9(&[8])]);
        assert_eq!(
            error,
            Some(FramingError::Incomplete {
                offset: 28,
                left: 22
            })
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut framer = Framer::new(2000);
        framer.push(&v9(&[1000, 1000]));
        assert_eq!(framer.next_message().unwrap().unwrap().len(), 1020);
        assert_eq!(
            framer.next_message(),
            Err(FramingError::TooLong {
                offset: 0,
                max: 2000
            })
        );
    }

    proptest! {
        #[test]
        fn any_octets_are_cut_or_refused(stream in prop::collection::vec(prop_oneof![Just(0_u8), Just(9), Just(10), any::<u8>()], 0..400), step in 1_usize..50) {
            let (messages, error) = cut_all(&stream, step);
            let whole: usize = messages.iter().map(Vec::len).sum();
            prop_assert!(stream.starts_with(&messages.concat()));
            prop_assert!(error.is_some() || whole == stream.len());
        }
    }
}
