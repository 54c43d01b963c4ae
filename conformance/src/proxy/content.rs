//! Rewriting NetFlow v9 and IPFIX messages set by set. What cannot be cut into sets is left as it is.

use protocol::reader::Reader;

/// A message in parts.
#[derive(Clone, Debug)]
pub struct Sets<'a> {
    version: u16,
    header: &'a [u8],
    sets: Vec<&'a [u8]>,
}

impl<'a> Sets<'a> {
    /// Cuts a message at the borders of its sets.
    pub fn of(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        let version = reader.u16().ok()?;
        let length = match version {
            9 => 20,
            10 => 16,
            _ => return None,
        };
        let (header, mut rest) = message.split_at_checked(length)?;
        let mut sets = Vec::new();
        while !rest.is_empty() {
            let &[_, _, high, low] = rest.first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (set, behind) = rest.split_at_checked(length.max(4))?;
            sets.push(set);
            rest = behind;
        }
        Some(Self {
            version,
            header,
            sets,
        })
    }

    fn is_template(&self, set: &[u8]) -> bool {
        let id = set
            .first_chunk()
            .map_or(u16::MAX, |id| u16::from_be_bytes(*id));
        match self.version {
            9 => id < 2,
            _ => id == 2 || id == 3,
        }
    }

    /// Template sets.
    pub fn templates(&self) -> usize {
        self.sets.iter().filter(|set| self.is_template(set)).count()
    }

    /// Without its first `most` template sets; the sets and octets dropped, and the message if anything is left of it.
    pub fn without_templates(&self, most: u64) -> (u64, u64, Option<Vec<u8>>) {
        let (mut dropped, mut octets, mut records) = (0, 0, 0);
        let mut kept = Vec::new();
        for set in &self.sets {
            if self.is_template(set) && dropped < most {
                dropped += 1;
                octets += set.len() as u64;
                records += templates_in(self.version, set);
            } else {
                kept.push(*set);
            }
        }
        let message = (!kept.is_empty()).then(|| self.put(&kept, records));
        (dropped, octets, message)
    }

    /// With its template sets behind all others; `None` if that changes nothing.
    pub fn swapped(&self) -> Option<Vec<u8>> {
        let (templates, others): (Vec<&[u8]>, Vec<&[u8]>) =
            self.sets.iter().partition(|set| self.is_template(set));
        let sets = [others, templates].concat();
        (sets != self.sets).then(|| self.put(&sets, 0))
    }

    /// Where its sets end but for the last one.
    pub fn borders(&self) -> Vec<usize> {
        let mut at = self.header.len();
        let mut borders = Vec::new();
        for set in &self.sets {
            borders.push(at);
            at += set.len();
        }
        borders.into_iter().skip(1).collect()
    }

    /// A message of these sets, its header telling their length, or v9's count without `records`.
    fn put(&self, sets: &[&[u8]], records: u16) -> Vec<u8> {
        let mut message = self.header.to_vec();
        sets.iter().for_each(|set| message.extend_from_slice(set));
        let word = match self.version {
            9 => {
                let count = self
                    .header
                    .get(2..)
                    .and_then(|rest| rest.first_chunk())
                    .map_or(0, |count| u16::from_be_bytes(*count));
                count.saturating_sub(records)
            }
            _ => u16::try_from(message.len()).unwrap_or(u16::MAX),
        };
        if let Some(place) = message.get_mut(2..4) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        message
    }
}

/// Templates in a template set of v9, which its header counts; nobody counts those of IPFIX.
fn templates_in(version: u16, set: &[u8]) -> u16 {
    if version != 9 {
        return 0;
    }
    let options = set.get(1) == Some(&1);
    let mut rest = set.get(4..).unwrap_or_default();
    let mut count = 0;
    while let Some(head) = rest.first_chunk::<4>() {
        let [_, _, high, low] = *head;
        let fields = usize::from(u16::from_be_bytes([high, low]));
        let length = if options {
            let more = rest
                .get(4..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |octets| usize::from(u16::from_be_bytes(*octets)));
            6 + fields + more
        } else {
            4 + 4 * fields
        };
        // Padding is shorter than a template.
        let Some(behind) = rest.get(length..) else {
            break;
        };
        count += 1;
        rest = behind;
    }
    count
}
