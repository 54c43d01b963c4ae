//! A stream cut into messages, from where the first begins to where the boundary is lost.

use protocol::framing::Framer;

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
        }
    }

    /// Whether a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.framer.pending() > 0
    }

    /// Takes octets and tells the messages that are complete. `false` when the boundary is lost: what stands there
    /// is told too, for the judge to name the fault, and nothing more can be read.
    pub fn take(&mut self, data: &[u8], pause: Pause, mut tell: impl FnMut(&[u8])) -> bool {
        self.framer.push(data);
        loop {
            let next = match pause {
                Pause::None => self.framer.next_message(),
                Pause::Idle => self.framer.idle(),
                Pause::End => self.framer.finish(),
            };
            match next {
                Ok(Some(message)) => tell(message),
                Ok(None) => return true,
                Err(_) => break,
            }
        }
        if !self.framer.rest().is_empty() {
            tell(self.framer.rest());
        }
        false
    }
}
