//! A stream cut into messages, from where the first begins to where the boundary is lost.

use protocol::framing::{Framer, FramingError};

/// The largest message.
const LARGEST: usize = 65_535;

/// What is known of the stream behind the octets at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// It goes on.
    None,
    /// Nothing came for a while.
    Idle,
    /// It has ended.
    End,
}

/// See the module.
#[derive(Debug)]
pub struct Cut {
    framer: Framer,
    /// Octets taken so far.
    taken: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self::new()
    }
}

impl Cut {
    /// For a stream whose next octet begins a message.
    pub fn new() -> Self {
        Self {
            framer: Framer::new(LARGEST),
            taken: 0,
        }
    }

    /// Whether a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.framer.pending() > 0
    }

    /// Takes octets and tells the messages that are complete. `false` when the boundary is lost: what stands there
    /// is told too, for the judge to name the fault, and nothing more can be read.
    pub fn take(&mut self, data: &[u8], pause: Pause, mut tell: impl FnMut(&[u8])) -> bool {
        let before = self.taken;
        self.taken += data.len() as u64;
        self.framer.push(data);
        let error = loop {
            let next = match pause {
                Pause::None => self.framer.next_message(),
                Pause::Idle => self.framer.idle(),
                Pause::End => self.framer.finish(),
            };
            match next {
                Ok(Some(message)) => tell(message),
                Ok(None) => return true,
                Err(error) => break error,
            }
        };
        let skip = place(error).checked_sub(before).map(usize::try_from);
        if let Some(Ok(skip)) = skip
            && let Some(rest) = data.get(skip..).filter(|rest| !rest.is_empty())
        {
            tell(rest);
        }
        false
    }
}

/// Where in the stream the boundary was lost.
fn place(error: FramingError) -> u64 {
    match error {
        FramingError::Version { offset, .. }
        | FramingError::Length { offset, .. }
        | FramingError::FlowSet { offset, .. }
        | FramingError::TooLong { offset, .. }
        | FramingError::Incomplete { offset, .. } => offset,
    }
}
