//! The names of a packet's headers in one line, as in Tranalyzer's `hdrDesc`: `eth:vlan{2}:ipv4:tcp`.

use std::fmt;

/// Octets of a description; a longer one ends in dots (Tranalyzer's `T2_HDRDESC_LEN` with its terminating 0).
const LENGTH: usize = 127;

/// The headers of one packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeaderDescription {
    text: [u8; LENGTH],
    length: u8,
    /// Headers, repeated ones included.
    headers: u16,
    /// Headers of the last name that were counted and not named again, and where its name ends.
    repeats: u16,
    name_end: u8,
    overrun: bool,
}

impl Default for HeaderDescription {
    fn default() -> Self {
        HeaderDescription {
            text: [0; LENGTH],
            length: 0,
            headers: 0,
            repeats: 0,
            name_end: 0,
            overrun: false,
        }
    }
}

impl HeaderDescription {
    /// The names, joined by colons.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.text.get(..usize::from(self.length)).unwrap_or(&[]);
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// How many headers there are, named or not.
    #[must_use]
    pub fn headers(&self) -> u16 {
        self.headers
    }

    /// Not all names have found room.
    #[must_use]
    pub fn overrun(&self) -> bool {
        self.overrun
    }

    /// Adds a header.
    pub(super) fn push(&mut self, name: &str) {
        self.headers = self.headers.saturating_add(1);
        if self.length > 0 {
            self.append(":");
        }
        self.append(name);
        self.name_end = self.length;
        self.repeats = 1;
    }

    /// Adds a header that may stand several times in a row, and is named once then, with its number.
    pub(super) fn push_again(&mut self, name: &str) {
        let before = self.text().get(..usize::from(self.name_end));
        let is_last = before.is_some_and(|text| {
            text.strip_suffix(name)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(':'))
        });
        if !is_last {
            self.push(name);
            return;
        }
        self.headers = self.headers.saturating_add(1);
        self.repeats = self.repeats.saturating_add(1);
        if !self.overrun {
            self.length = self.name_end;
            let times = self.repeats;
            self.append(&format!("{{{times}}}"));
        }
    }

    fn append(&mut self, text: &str) {
        const DOTS: &[u8] = b"...";
        if self.overrun {
            return;
        }
        let from = usize::from(self.length);
        let room = self.text.get_mut(from..).unwrap_or_default();
        self.overrun = text.len() > room.len();
        let taken = text.len().min(room.len());
        for (to, octet) in room.iter_mut().zip(text.bytes()) {
            *to = octet;
        }
        self.length = (from + taken) as u8;
        if self.overrun
            && let Some(end) = self.text.last_chunk_mut::<3>()
        {
            end.copy_from_slice(DOTS);
        }
    }
}

impl fmt::Debug for HeaderDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text(), self.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_named_once() {
        let mut headers = HeaderDescription::default();
        headers.push("eth");
        headers.push_again("vlan");
        headers.push_again("vlan");
        headers.push_again("vlan");
        headers.push("ipv4");
        assert_eq!(headers.text(), "eth:vlan{3}:ipv4");
        assert_eq!((headers.headers(), headers.overrun()), (5, false));
        headers.push_again("mpls");
        assert_eq!(headers.text(), "eth:vlan{3}:ipv4:mpls");
    }

    #[test]
    fn a_long_description_ends_in_dots() {
        let mut headers = HeaderDescription::default();
        (0..40).for_each(|_| headers.push("ipv4"));
        assert_eq!(headers.headers(), 40);
        assert!(headers.overrun());
        assert_eq!(headers.text().len(), 127);
        // 124 octets are 24 names of five with their colons, and a last one.
        assert_eq!(headers.text(), format!("{}ipv4...", "ipv4:".repeat(24)));
    }
}
