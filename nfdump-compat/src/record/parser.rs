//! Parsing records one after another: most have the extensions of the one before.

use super::{EXTENSION_HEADER, RecordError, RecordView, SLOTS, V3_HEADER};

/// Type, size and number of extensions: the part of a header that says how a record is built.
const HEAD: usize = 6;

/// Parses records.
#[derive(Debug, Default)]
pub struct RecordParser {
    head: [u8; HEAD],
    /// Where the headers of extensions lie, and what they are.
    extensions: Vec<(usize, [u8; EXTENSION_HEADER])>,
    data: Option<[u16; SLOTS]>,
}

impl RecordParser {
    /// As [`RecordView::parse`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn parse<'a>(&mut self, bytes: &'a [u8]) -> Result<RecordView<'a>, RecordError> {
        match self.data {
            Some(data) if self.is_alike(bytes) => Ok(RecordView { bytes, data }),
            _ => self.learn(bytes),
        }
    }

    /// Whether the record is built as the last one that was learned. The size is in the head: it is that of the bytes, as it
    /// was there.
    #[inline]
    fn is_alike(&self, bytes: &[u8]) -> bool {
        let [.., low, high, _, _] = self.head;
        bytes.first_chunk() == Some(&self.head)
            && bytes.len() == usize::from(u16::from_le_bytes([low, high]))
            && self.extensions.iter().all(|(offset, header)| {
                let there = bytes.get(*offset..).and_then(|rest| rest.first_chunk());
                there == Some(header)
            })
    }

    fn learn<'a>(&mut self, bytes: &'a [u8]) -> Result<RecordView<'a>, RecordError> {
        self.data = None;
        let view = RecordView::parse(bytes)?;
        self.extensions.clear();
        let mut offset = V3_HEADER;
        while let Some(header) = bytes.get(offset..).and_then(|rest| rest.first_chunk()) {
            self.extensions.push((offset, *header));
            let [_, _, low, high] = *header;
            offset += usize::from(u16::from_le_bytes([low, high])).max(EXTENSION_HEADER);
        }
        if let Some(head) = bytes.first_chunk() {
            self.head = *head;
            self.data = Some(view.data);
        }
        Ok(view)
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
    use proptest::prelude::*;

    fn record(extensions: &[u16]) -> Vec<u8> {
        let mut builder = RecordBuilder::new();
        builder.begin(&RecordHeader::default());
        for id in extensions {
            builder.extension(*id);
        }
        builder.finish().to_vec()
    }

    proptest! {
        /// Whatever came before, and wherever a byte was changed: what is parsed is what parsing alone gives.
        #[test]
        fn a_parser_remembers_nothing_wrong(
            lists in prop::collection::vec(prop::collection::vec(1..12u16, 0..5), 1..6),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut records: Vec<_> = lists.iter().map(|list| record(list)).collect();
            let mut changed = records.clone();
            for (record, (place, byte)) in changed.iter_mut().zip(changes) {
                let place = place.index(record.len());
                record[place] = byte;
            }
            records.extend(changed);
            let mut parser = RecordParser::default();
            for bytes in records.iter().chain(&records) {
                let (alone, remembered) = (RecordView::parse(bytes), parser.parse(bytes));
                prop_assert_eq!(alone.as_ref().err(), remembered.as_ref().err());
                if let (Ok(alone), Ok(remembered)) = (alone, remembered) {
                    prop_assert_eq!(alone.data, remembered.data);
                }
            }
        }
    }

    #[test]
    fn another_value_is_no_other_kind() {
        let mut parser = RecordParser::default();
        let first = record(&[field::ext::GENERIC_FLOW]);
        let mut second = first.clone();
        *second.last_mut().unwrap() = 7;
        assert!(parser.parse(&first).is_ok());
        assert_eq!(parser.parse(&second).unwrap().bytes(), second);
    }
}
