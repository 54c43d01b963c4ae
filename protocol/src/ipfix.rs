//! IPFIX on the wire (RFC 7011): header and template records.

use crate::error::DecodeError;
use crate::reader::{Reader, Truncated};
use crate::template::{Definition, FieldSpecifier, TemplateKind, truncated};

/// Set ID of templates.
pub(crate) const TEMPLATE_SET: u16 = 2;
/// Set ID of options templates.
pub(crate) const OPTIONS_SET: u16 = 3;
/// Octets of the header.
pub(crate) const HEADER: usize = 16;

/// The least octets of a template record: a withdrawal. Anything shorter is padding.
const LEAST_RECORD: usize = 4;
const ENTERPRISE_BIT: u16 = 0x8000;

/// RFC 7011 section 3.1.
#[derive(Debug)]
pub(crate) struct Header {
    pub length: u16,
    pub seconds: u32,
    pub sequence: u32,
    pub domain: u32,
}

pub(crate) fn header(reader: &mut Reader<'_>) -> Result<Header, Truncated> {
    let _version = reader.u16()?;
    Ok(Header {
        length: reader.u16()?,
        seconds: reader.u32()?,
        sequence: reader.u32()?,
        domain: reader.u32()?,
    })
}

/// The next record of a template set (RFC 7011 section 3.4.1); without fields it is a withdrawal (section 8.1).
/// `None` where only padding is left.
pub(crate) fn template(set: &mut Reader<'_>) -> Result<Option<Definition>, DecodeError> {
    let offset = set.offset();
    let Some((id, count)) = begin(set)? else {
        return Ok(None);
    };
    let fields = fields(set, id, usize::from(count))?;
    Ok(Some(Definition {
        offset,
        id,
        kind: TemplateKind::Data,
        fields,
    }))
}

/// The next record of an options template set (RFC 7011 section 3.4.2.2), otherwise as [`template`].
pub(crate) fn options_template(set: &mut Reader<'_>) -> Result<Option<Definition>, DecodeError> {
    let offset = set.offset();
    let Some((id, count)) = begin(set)? else {
        return Ok(None);
    };
    // A withdrawal has no scope field count.
    let scope_count = if count == 0 {
        0
    } else {
        set.u16().map_err(|at| truncated(id, at))?
    };
    let fields = fields(set, id, usize::from(count))?;
    Ok(Some(Definition {
        offset,
        id,
        kind: TemplateKind::Options { scope_count },
        fields,
    }))
}

/// ID and field count of the next record of either set; `None` where only padding is left.
fn begin(set: &mut Reader<'_>) -> Result<Option<(u16, u16)>, DecodeError> {
    if set.left() < LEAST_RECORD {
        return Ok(None);
    }
    let begin = set.u16_pair().map_err(|at| truncated(0, at))?;
    Ok((begin != (0, 0)).then_some(begin))
}

fn fields(set: &mut Reader<'_>, id: u16, count: usize) -> Result<Vec<FieldSpecifier>, DecodeError> {
    // A specifier has at least 4 octets: the claim is checked before anything is allocated.
    set.clone()
        .take(count * 4)
        .map_err(|at| truncated(id, at))?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        fields.push(field(set).map_err(|at| truncated(id, at))?);
    }
    Ok(fields)
}

/// RFC 7011 section 3.2.
fn field(set: &mut Reader<'_>) -> Result<FieldSpecifier, Truncated> {
    let (id, length) = set.u16_pair()?;
    let pen = if id & ENTERPRISE_BIT == 0 {
        0
    } else {
        set.u32()?
    };
    Ok(FieldSpecifier {
        id: id & !ENTERPRISE_BIT,
        pen,
        length,
    })
}
