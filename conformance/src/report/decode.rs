//! A message in words, octet by octet: header, sets, templates, records, values. Made for one message of a report;
//! whatever is damaged ends the walk.

use protocol::reader::Reader;
use protocol::registry::DataType;
use protocol::template::VARIABLE_LENGTH;

use super::time;
use super::value::shown;
use crate::context::next_set;
use crate::inspection::Evidence;
use crate::wire::layout::{Field, Layout, TemplateRecord, template_record};

/// One thing in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// Where it stands.
    pub(super) offset: usize,
    /// Its octets.
    pub(super) length: usize,
    /// How deep: 0 header and sets, 1 records, 2 fields.
    pub(super) depth: u8,
    /// What it is.
    pub(super) name: String,
    /// What it says; empty for what has parts.
    pub(super) value: String,
}

/// Records and templates of a message.
#[derive(Debug, Default)]
struct Decoder {
    version: u16,
    layouts: Vec<Layout>,
    parts: Vec<Part>,
}

/// The parts of the offending message.
pub(super) fn decode(evidence: &Evidence) -> Vec<Part> {
    let mut decoder = Decoder::default();
    // Earlier messages teach their templates only.
    for kept in &evidence.context {
        decoder.message(&kept.bytes);
        decoder.parts.clear();
    }
    decoder.message(&evidence.bytes);
    decoder.parts
}

impl Decoder {
    /// `None` where the message ends early or cannot be read any further.
    fn message(&mut self, bytes: &[u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        self.version = reader.u16().ok()?;
        let version = self.version.to_string();
        self.part(0, 2, 0, "version", version);
        match self.version {
            5 => self.v5(&mut reader),
            9 | 10 => {
                self.header(&mut reader)?;
                self.sets(reader)
            }
            _ => None,
        }
    }

    fn part(&mut self, offset: usize, length: usize, depth: u8, name: &str, value: String) {
        self.parts.push(Part {
            offset,
            length,
            depth,
            name: name.to_owned(),
            value,
        });
    }

    fn word(&mut self, reader: &mut Reader<'_>, name: &str) -> Option<u32> {
        let number = reader.u32().ok()?;
        self.part(reader.offset() - 4, 4, 0, name, number.to_string());
        Some(number)
    }

    fn second(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let seconds = reader.u32().ok()?;
        let text = format!("{seconds} ({})", time(u64::from(seconds) * 1000));
        self.part(reader.offset() - 4, 4, 0, "export time", text);
        Some(())
    }

    fn header(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let word = reader.u16().ok()?;
        if self.version == 10 {
            self.part(2, 2, 0, "length", word.to_string());
        } else {
            self.part(2, 2, 0, "count", word.to_string());
            self.word(reader, "uptime, ms")?;
        }
        self.second(reader)?;
        self.word(reader, "sequence number")?;
        let domain = if self.version == 10 {
            "observation domain"
        } else {
            "source ID"
        };
        self.word(reader, domain)?;
        Some(())
    }

    fn sets(&mut self, mut sets: Reader<'_>) -> Option<()> {
        loop {
            let offset = sets.offset();
            let left = sets.left();
            if left == 0 {
                return Some(());
            }
            let Some((id, set)) = next_set(&mut sets) else {
                self.part(offset, left, 0, "no set that ends here", String::new());
                return None;
            };
            let what = match (self.version, id) {
                (9, 0) | (10, 2) => "templates".to_owned(),
                (9, 1) | (10, 3) => "options templates".to_owned(),
                (_, 256..) => format!("data of template {id}"),
                _ => "reserved".to_owned(),
            };
            let length = set.left() + 4;
            self.part(offset, 4, 0, &format!("set {id}, length {length}"), what);
            match (self.version, id) {
                (9, 0) | (10, 2) => self.templates(false, set),
                (9, 1) | (10, 3) => self.templates(true, set),
                (_, 256..) => self.data(id, set),
                _ => {}
            }
        }
    }

    fn templates(&mut self, options: bool, mut set: Reader<'_>) {
        while set.left() > 0 {
            let offset = set.offset();
            match template_record(self.version, options, &mut set) {
                TemplateRecord::Layout(layout) => self.template(layout),
                TemplateRecord::Empty { id, offset } => {
                    self.part(
                        offset,
                        4,
                        1,
                        &format!("template {id}"),
                        "withdrawn".to_owned(),
                    );
                }
                TemplateRecord::Truncated { id, .. } => {
                    let name = format!("template {id}");
                    let says = "does not end in its set".to_owned();
                    return self.part(offset, set.left(), 1, &name, says);
                }
                TemplateRecord::OddLengths {
                    id, scope, option, ..
                } => {
                    let says = format!("scope length {scope}, option length {option}");
                    return self.part(offset, set.left(), 1, &format!("template {id}"), says);
                }
                TemplateRecord::Padding => return self.padding(&set),
            }
        }
    }

    fn template(&mut self, layout: Layout) {
        let scopes = match layout.scopes {
            Some(scopes) => format!(", {scopes} of them scopes"),
            None => String::new(),
        };
        let fields = layout.fields.len();
        let head = layout.length.min(4);
        let name = format!("template {}", layout.id);
        self.part(
            layout.offset,
            head,
            1,
            &name,
            format!("{fields} fields{scopes}"),
        );
        for field in &layout.fields {
            let length = if field.pen == 0 { 4 } else { 8 };
            let says = match field.length {
                VARIABLE_LENGTH => "variable length".to_owned(),
                octets => format!("{octets} octets"),
            };
            self.part(field.offset, length, 2, &field.name(), says);
        }
        self.layouts.retain(|other| other.id != layout.id);
        self.layouts.push(layout);
    }

    fn data(&mut self, id: u16, mut set: Reader<'_>) {
        let found = self.layouts.iter().position(|layout| layout.id == id);
        let Some(layout) = found.map(|index| self.layouts.swap_remove(index)) else {
            let says = "the template was not seen".to_owned();
            return self.part(set.offset(), set.left(), 1, "records", says);
        };
        let mut number = 0;
        while layout.least > 0 && set.left() >= layout.least {
            number += 1;
            let (offset, before) = (set.offset(), self.parts.len());
            self.part(offset, 0, 1, &format!("record {number}"), String::new());
            let parts = &mut self.parts;
            let whole = layout.read(&mut set, |field, value| {
                parts.push(field_part(field, value.octets, value.offset));
            });
            let length = set.offset() - offset;
            if let Some(record) = self.parts.get_mut(before) {
                record.length = length;
            }
            if whole.is_err() {
                let says = "the record does not end in its set".to_owned();
                self.part(set.offset(), set.left(), 2, "rest", says);
                self.layouts.push(layout);
                return;
            }
        }
        self.layouts.push(layout);
        self.padding(&set);
    }

    fn padding(&mut self, set: &Reader<'_>) {
        if set.left() > 0 {
            let octets = format!("{} octets", set.left());
            self.part(set.offset(), set.left(), 1, "padding", octets);
        }
    }

    fn v5(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let count = reader.u16().ok()?;
        self.part(2, 2, 0, "count", count.to_string());
        self.word(reader, "uptime, ms")?;
        self.second(reader)?;
        self.word(reader, "nanoseconds")?;
        self.word(reader, "sequence number")?;
        let engine = reader.u16().ok()?;
        self.part(20, 2, 0, "engine", format!("{engine:#06x}"));
        let sampling = reader.u16().ok()?;
        self.part(22, 2, 0, "sampling", format!("{sampling:#06x}"));
        let mut number = 0;
        while let Ok(mut record) = reader.sub(48) {
            number += 1;
            let offset = record.offset();
            self.part(offset, 48, 1, &format!("record {number}"), String::new());
            for field in protocol::v5_record() {
                let offset = record.offset();
                let value = record.take(usize::from(field.length)).ok()?;
                let field = Field {
                    id: field.id,
                    pen: 0,
                    length: field.length,
                    v9_scope: false,
                    offset,
                };
                self.parts.push(field_part(&field, value, offset));
            }
        }
        Some(())
    }
}

fn field_part(field: &Field, value: &[u8], offset: usize) -> Part {
    let data_type = field
        .element()
        .map_or(DataType::OctetArray, |element| element.data_type);
    Part {
        offset,
        length: value.len(),
        depth: 2,
        name: field.name(),
        value: shown(data_type, value),
    }
}
