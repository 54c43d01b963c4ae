//! Bytes of any length one behind the other, in pieces that never move.

/// Octets of a piece; no entry is longer.
const PIECE: usize = 1 << 18;
/// Entries begin at multiples of this.
const UNIT: usize = 4;
const UNITS: u32 = (PIECE / UNIT) as u32;

/// Where an entry begins: piece and unit in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub u32);

impl At {
    /// No entry.
    pub const NONE: Self = Self(u32::MAX);

    /// From the number of a unit.
    pub fn of_offset(offset: usize) -> Self {
        u32::try_from(offset / UNIT).map_or(Self::NONE, Self)
    }

    /// Offset of the entry in one piece of memory.
    pub fn offset(self) -> usize {
        self.0 as usize * UNIT
    }
}

#[derive(Default)]
pub struct Arena {
    pieces: Vec<Vec<u8>>,
}

impl Arena {
    /// Keeps a copy; [`At::NONE`] if there is no room for it in 16 GiB.
    pub fn keep(&mut self, bytes: &[u8]) -> At {
        let fits = |piece: &Vec<u8>| piece.len() + bytes.len() <= PIECE;
        if !self.pieces.last().is_some_and(fits) {
            if bytes.len() > PIECE {
                return At::NONE;
            }
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let number = self.pieces.len() - 1;
        let Some(piece) = self.pieces.last_mut() else {
            return At::NONE;
        };
        let unit = (piece.len() / UNIT) as u32;
        push_aligned(piece, bytes);
        match u32::try_from(number)
            .ok()
            .and_then(|n| n.checked_mul(UNITS))
        {
            Some(first) => At(first | unit),
            None => At::NONE,
        }
    }

    /// What lies behind the place, of which the entry is the beginning.
    pub fn from(&self, at: At) -> &[u8] {
        let piece = self.pieces.get((at.0 / UNITS) as usize);
        piece
            .and_then(|piece| piece.get((at.0 % UNITS) as usize * UNIT..))
            .unwrap_or_default()
    }
}

/// Appends bytes, and zeroes up to where the next entry may begin.
pub fn push_aligned(memory: &mut Vec<u8>, bytes: &[u8]) {
    memory.extend_from_slice(bytes);
    memory.resize(memory.len().next_multiple_of(UNIT), 0);
}
