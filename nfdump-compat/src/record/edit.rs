//! A copy of a flow record with some of its fields changed in place.

use super::{RecordView, V3_HEADER};
use crate::field::{DataLength, EXTENSION_HEADER, Location, data_length, ext};

/// A record being changed. Its extensions are those of the record it was copied from.
#[derive(Clone, Debug, Default)]
pub struct EditedRecord {
    bytes: Vec<u8>,
}

impl EditedRecord {
    /// Starts again with a copy of this record.
    pub fn copy(&mut self, record: &RecordView<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(record.bytes());
    }

    /// Sets every field, and where the record comes from, to zero; of variable extensions the content is dropped to zeroes,
    /// too. Kind, version and flags of the record stay.
    pub fn blank(&mut self) {
        if let Some(origin) = self.bytes.get_mut(6..10) {
            origin.fill(0);
        }
        let mut offset = V3_HEADER;
        while let Some(&[_, _, low, high]) = self
            .bytes
            .get(offset..)
            .and_then(|rest| rest.first_chunk::<EXTENSION_HEADER>())
        {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let end = offset + length.max(EXTENSION_HEADER);
            if let Some(data) = self.bytes.get_mut(offset + EXTENSION_HEADER..end) {
                data.fill(0);
            }
            offset = end;
        }
    }

    /// Sets a field; false if the record does not have it.
    pub fn set(&mut self, location: Location, value: u128) -> bool {
        let Some(start) = self.view().and_then(|view| view.field(location)) else {
            return false;
        };
        let width = usize::from(location.width);
        let Some(place) = self.bytes.get_mut(start..start + width) else {
            return false;
        };
        if width == 16 {
            let (high, low) = place.split_at_mut(8);
            high.copy_from_slice(&((value >> 64) as u64).to_le_bytes());
            low.copy_from_slice(&(value as u64).to_le_bytes());
        } else if let Some(bytes) = value.to_le_bytes().get(..width) {
            place.copy_from_slice(bytes);
        }
        true
    }

    /// Exchanges two fields of the same width.
    pub fn swap(&mut self, one: Location, other: Location) {
        let Some(view) = self.view() else { return };
        let value = |location: Location| match location.width {
            16 => view.get128(location),
            _ => view.get(location).map(u128::from),
        };
        if let (Some(first), Some(second)) = (value(one), value(other)) {
            self.set(one, second);
            self.set(other, first);
        }
    }

    /// Adds the extension of counters if it is not there.
    pub fn add_counters(&mut self) {
        let Some(DataLength::Fixed(length)) = data_length(ext::CNT_FLOW) else {
            return;
        };
        if self.view().is_none_or(|view| view.has(ext::CNT_FLOW)) {
            return;
        }
        let on_disk = length + EXTENSION_HEADER as u16;
        self.bytes.extend_from_slice(&ext::CNT_FLOW.to_le_bytes());
        self.bytes.extend_from_slice(&on_disk.to_le_bytes());
        self.bytes.resize(self.bytes.len() + usize::from(length), 0);
        let count = self.u16_at(4).saturating_add(1);
        let size = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        self.put_u16(2, size);
        self.put_u16(4, count);
    }

    /// The record.
    #[must_use]
    pub fn view(&self) -> Option<RecordView<'_>> {
        RecordView::parse(&self.bytes).ok()
    }

    fn u16_at(&self, offset: usize) -> u16 {
        super::u16_at(&self.bytes, offset).unwrap_or(0)
    }

    fn put_u16(&mut self, offset: usize, value: u16) {
        if let Some(place) = self.bytes.get_mut(offset..offset + 2) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        field,
        record::{RecordBuilder, RecordHeader},
    };

    #[test]
    fn fields_are_changed_in_place() {
        let mut builder = RecordBuilder::new();
        builder.begin(&RecordHeader {
            engine_id: 3,
            exporter_id: 4,
            nfversion: 9,
            ..RecordHeader::default()
        });
        builder.set(field::SRC_PORT, 1);
        builder.set(field::DST_PORT, 2);
        builder.set_address(
            field::SRC_IPV4,
            field::SRC_IPV6,
            "2001:db8::1".parse().expect("an address"),
        );
        let record = RecordView::parse(builder.finish()).expect("a record");
        let mut edited = EditedRecord::default();
        edited.copy(&record);
        edited.swap(field::SRC_PORT, field::DST_PORT);
        edited.swap(field::SRC_IPV6, field::DST_IPV6);
        let view = edited.view().expect("a record");
        assert_eq!((view.src_port(), view.dst_port()), (Some(2), Some(1)));
        assert_eq!(view.dst_ip(), "2001:db8::1".parse().ok());
        assert!(!edited.set(field::OUT_BYTES, 7));
        edited.add_counters();
        assert!(edited.set(field::OUT_BYTES, 7));
        edited.blank();
        let view = edited.view().expect("a record");
        assert_eq!(
            (view.src_port(), view.get(field::OUT_BYTES)),
            (Some(0), Some(0))
        );
        assert_eq!((view.header().nfversion, view.header().exporter_id), (9, 0));
    }
}
