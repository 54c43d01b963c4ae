//! Template sets, written once and sent again octet by octet.

use super::{EncodeError, ExportVersion};
use crate::template::{FieldSpecifier, Template, TemplateKind};
use crate::writer::{SET_HEADER, begin_set, end_set, padded, put_u16};
use crate::{ipfix, v9};

/// No template record is shorter.
const LEAST_TEMPLATE: usize = 8;

/// As many template records as fit one message, in whole sets.
#[derive(Debug, Default)]
pub(super) struct TemplateBlock {
    pub octets: Vec<u8>,
    pub records: u16,
}

/// The templates, data templates first, in blocks of at most `room` octets.
pub(super) fn blocks(
    version: ExportVersion,
    templates: &[&Template],
    room: usize,
) -> Result<Vec<TemplateBlock>, EncodeError> {
    let mut blocks = Vec::new();
    let mut block = TemplateBlock::default();
    for options in [false, true] {
        let mut set = None;
        for template in templates
            .iter()
            .filter(|template| is_options(template) == options)
        {
            let record = record(version, template);
            let length = SET_HEADER + record.len();
            if padded(length) > room {
                return Err(EncodeError::TemplateTooLong {
                    id: template.id(),
                    length,
                    room,
                });
            }
            if padded(block.octets.len() + length) > room {
                if let Some(begin) = set.take() {
                    end_set(&mut block.octets, begin, LEAST_TEMPLATE);
                }
                blocks.push(std::mem::take(&mut block));
            }
            set.get_or_insert_with(|| begin_set(&mut block.octets, set_id(version, options)));
            block.octets.extend_from_slice(&record);
            block.records += 1;
        }
        if let Some(begin) = set {
            end_set(&mut block.octets, begin, LEAST_TEMPLATE);
        }
    }
    if block.records > 0 {
        blocks.push(block);
    }
    Ok(blocks)
}

fn is_options(template: &Template) -> bool {
    template.kind() != TemplateKind::Data
}

fn set_id(version: ExportVersion, options: bool) -> u16 {
    match (version, options) {
        (ExportVersion::V9, false) => v9::TEMPLATE_SET,
        (ExportVersion::V9, true) => v9::OPTIONS_SET,
        (ExportVersion::Ipfix, false) => ipfix::TEMPLATE_SET,
        (ExportVersion::Ipfix, true) => ipfix::OPTIONS_SET,
    }
}

/// A template record (RFC 3954 sections 5.2 and 6.1, RFC 7011 sections 3.4.1 and 3.4.2.2).
fn record(version: ExportVersion, template: &Template) -> Vec<u8> {
    let mut record = Vec::new();
    put_u16(&mut record, template.id());
    let fields = u16::try_from(template.fields().len()).unwrap_or(u16::MAX);
    match (version, template.kind()) {
        (_, TemplateKind::Data) => put_u16(&mut record, fields),
        (ExportVersion::V9, TemplateKind::Options { scope_count }) => {
            // v9 gives octets of specifiers; 16380 fields would not fit a message anyway.
            put_u16(&mut record, scope_count.saturating_mul(4));
            put_u16(
                &mut record,
                fields.saturating_sub(scope_count).saturating_mul(4),
            );
        }
        (ExportVersion::Ipfix, TemplateKind::Options { scope_count }) => {
            put_u16(&mut record, fields);
            put_u16(&mut record, scope_count);
        }
    }
    for field in template.fields() {
        put_field(&mut record, *field);
    }
    record
}

/// RFC 7011 section 3.2: the highest bit of the number says that an enterprise number follows.
fn put_field(record: &mut Vec<u8>, field: FieldSpecifier) {
    let enterprise = if field.pen == 0 { 0 } else { 0x8000 };
    put_u16(record, field.id | enterprise);
    put_u16(record, field.length);
    if field.pen != 0 {
        record.extend_from_slice(&field.pen.to_be_bytes());
    }
}
