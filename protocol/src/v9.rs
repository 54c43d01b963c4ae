//! NetFlow v9 on the wire (RFC 3954): header and template records.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::{Reader, Truncated};
use crate::template::{Definition, FieldSpecifier, TemplateKind, truncated};

/// FlowSet ID of templates.
pub(crate) const TEMPLATE_SET: u16 = 0;
/// FlowSet ID of options templates.
pub(crate) const OPTIONS_SET: u16 = 1;

/// The least octets of a template record: ID, count, one field. Anything shorter is padding.
const LEAST_TEMPLATE: usize = 8;
/// The least octets of an options template record: ID, two lengths, one field.
const LEAST_OPTIONS: usize = 10;

/// RFC 3954 section 5.1. The count is not kept: FlowSets are found by their lengths, and exporters count wrongly.
#[derive(Debug)]
pub(crate) struct Header {
    pub uptime_ms: u32,
    pub seconds: u32,
    pub sequence: u32,
    pub source_id: u32,
}

pub(crate) fn header(reader: &mut Reader<'_>) -> Result<Header, Truncated> {
    let _version = reader.u16()?;
    let _count = reader.u16()?;
    Ok(Header {
        uptime_ms: reader.u32()?,
        seconds: reader.u32()?,
        sequence: reader.u32()?,
        source_id: reader.u32()?,
    })
}

/// The next template record of a FlowSet (RFC 3954 section 5.2); `None` where only padding is left.
pub(crate) fn template(set: &mut Reader<'_>) -> Result<Option<Definition>, DecodeError> {
    if set.left() < LEAST_TEMPLATE {
        return Ok(None);
    }
    let offset = set.offset();
    let (id, count) = set.u16_pair().map_err(|at| truncated(0, at))?;
    if (id, count) == (0, 0) {
        return Ok(None);
    }
    let fields = fields(set, id, usize::from(count))?;
    Ok(Some(Definition {
        offset,
        id,
        kind: TemplateKind::Data,
        fields,
    }))
}

/// The next options template record of a FlowSet (RFC 3954 section 6.1); `None` where only padding is left.
pub(crate) fn options_template(set: &mut Reader<'_>) -> Result<Option<Definition>, DecodeError> {
    if set.left() < LEAST_OPTIONS {
        return Ok(None);
    }
    let offset = set.offset();
    let (id, scope) = set.u16_pair().map_err(|at| truncated(0, at))?;
    let option = set.u16().map_err(|at| truncated(id, at))?;
    if (id, scope, option) == (0, 0, 0) {
        return Ok(None);
    }
    if !scope.is_multiple_of(4) || !option.is_multiple_of(4) {
        return Err(DecodeError {
            offset,
            kind: DecodeErrorKind::OptionsLengths { id, scope, option },
        });
    }
    let scope_count = scope / 4;
    let fields = fields(set, id, usize::from(scope_count) + usize::from(option / 4))?;
    Ok(Some(Definition {
        offset,
        id,
        kind: TemplateKind::Options { scope_count },
        fields,
    }))
}

fn fields(set: &mut Reader<'_>, id: u16, count: usize) -> Result<Vec<FieldSpecifier>, DecodeError> {
    // All specifiers have 4 octets: the claim is checked before anything is allocated.
    let mut specifiers = set.sub(count * 4).map_err(|at| truncated(id, at))?;
    let mut fields = Vec::with_capacity(count);
    while let Ok((element, length)) = specifiers.u16_pair() {
        fields.push(FieldSpecifier::new(element, length));
    }
    Ok(fields)
}
