//! A copy of a flow record with what is known besides: countries, places. It is printed and counted, never stored.

use super::{RecordView, V3_HEADER};
use crate::field::{EXTENSION_HEADER, ext};

/// Records being annotated, one after another, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Annotated {
    bytes: Vec<u8>,
    count: u16,
}

impl Annotated {
    /// Starts again with a copy of this record, without annotations, and without the extension `replaced`.
    pub fn begin(&mut self, record: &RecordView<'_>, replaced: Option<u16>) {
        self.bytes.clear();
        self.count = 0;
        let header = record.bytes().get(..V3_HEADER).unwrap_or_default();
        self.bytes.extend_from_slice(header);
        for (id, data) in record.extensions() {
            if id < ext::GEO && Some(id) != replaced {
                self.push(id, &[data]);
            }
        }
    }

    /// Adds an extension made of these parts; nothing happens if the record would be too long.
    pub fn push(&mut self, id: u16, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + EXTENSION_HEADER;
        let Ok(on_disk) = u16::try_from(length) else {
            return;
        };
        if self.bytes.len() + length > usize::from(u16::MAX) {
            return;
        }
        self.bytes.extend_from_slice(&id.to_le_bytes());
        self.bytes.extend_from_slice(&on_disk.to_le_bytes());
        parts
            .iter()
            .for_each(|part| self.bytes.extend_from_slice(part));
        self.count += 1;
    }

    /// The record; none if nothing was begun.
    #[must_use]
    pub fn finish(&mut self) -> Option<RecordView<'_>> {
        let size = u16::try_from(self.bytes.len()).ok()?.to_le_bytes();
        let count = self.count.to_le_bytes();
        self.bytes
            .get_mut(2..6)?
            .copy_from_slice(&[size[0], size[1], count[0], count[1]]);
        RecordView::parse(&self.bytes).ok()
    }
}

/// The text with this number among several that each have a zero byte behind them; empty if there is none.
fn text_in(data: &[u8], number: usize) -> &[u8] {
    data.split(|byte| *byte == 0)
        .nth(number)
        .unwrap_or_default()
}

impl<'a> RecordView<'a> {
    /// One of the texts that an annotation ([`ext::PLACES`]) holds; empty without it.
    #[must_use]
    pub fn annotation(&self, extension: u16, number: usize) -> &'a [u8] {
        text_in(self.extension(extension).unwrap_or_default(), number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        field,
        record::{RecordBuilder, RecordHeader},
    };

    #[test]
    fn annotations_come_and_go() {
        let mut builder = RecordBuilder::new();
        builder.begin(&RecordHeader::default());
        builder.set(field::SRC_AS, 7);
        builder.set(field::PROTO, 6);
        let bytes = builder.finish().to_vec();
        let record = RecordView::parse(&bytes).unwrap();
        let mut annotated = Annotated::default();
        annotated.begin(&record, Some(ext::AS_ROUTING));
        annotated.push(ext::AS_ROUTING, &[&[1, 0, 0, 0], &[2, 0, 0, 0]]);
        annotated.push(ext::PLACES, &[b"here\0", b"there\0"]);
        annotated.push(ext::PLACES, &[&[0; 65_536]]);
        let view = annotated.finish().unwrap();
        assert_eq!(view.get(field::SRC_AS), Some(1));
        assert_eq!(view.get(field::DST_AS), Some(2));
        assert_eq!(view.get(field::PROTO), Some(6));
        assert_eq!(view.annotation(ext::PLACES, 1), b"there");
        assert_eq!(view.annotation(ext::PLACES, 7), b"");
        assert_eq!(view.extension_count(), 3);
        let bytes = view.bytes().to_vec();
        annotated.begin(&RecordView::parse(&bytes).unwrap(), None);
        assert_eq!(annotated.finish().unwrap().annotation(ext::PLACES, 0), b"");
    }
}
