//! A template compiled into the keys and kinds of its records' JSON.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::registry::{DataType, ie};
use protocol::template::{FieldSpecifier, Template, TemplateKind};

use super::value::{Kind, key, write_text};

/// NetFlow v9 scope types (RFC 3954 section 6.1), from 1.
const V9_SCOPES: [&str; 5] = [
    "scopeSystem",
    "scopeInterface",
    "scopeLineCard",
    "scopeCache",
    "scopeTemplate",
];

/// One key of the record.
#[derive(Debug)]
pub struct Entry {
    /// With quotes and colon.
    pub key: Box<[u8]>,
    pub kind: Kind,
    /// Lists are read by their element.
    pub field: FieldSpecifier,
    /// Positions among the template's fields, in wire order; several make an array.
    pub indexes: Box<[usize]>,
}

/// How records of one template become JSON.
#[derive(Debug)]
pub struct Plan {
    pub entries: Box<[Entry]>,
    /// Positions of flowStartSysUpTime and flowEndSysUpTime whose absolute times the template does not carry itself.
    pub uptime: [Option<usize>; 2],
    /// Position of systemInitTimeMilliseconds.
    pub init: Option<usize>,
}

/// An element that an exporter has described (RFC 5610).
pub type Taught<'a> = &'a dyn Fn(u32, u16) -> Option<(String, DataType)>;

impl Plan {
    /// Compiles a template; `taught` knows elements that the registry does not.
    pub fn compile(template: &Template, taught: Taught<'_>) -> Self {
        let scopes = match (template.version(), template.kind()) {
            (9, TemplateKind::Options { scope_count }) => usize::from(scope_count),
            _ => 0,
        };
        let mut names: Vec<(String, Kind, FieldSpecifier, Vec<usize>)> = Vec::new();
        let mut positions = HashMap::<String, usize, FixedState>::default();
        for (index, field) in template.fields().iter().enumerate() {
            // What v1, v5 and v7 have between their fields is no element.
            if template.id() == 0 && field.id == ie::PADDING_OCTETS {
                continue;
            }
            let (name, kind) = if index < scopes {
                scope(*field)
            } else {
                element(*field, taught)
            };
            match positions.get(&name).and_then(|at| names.get_mut(*at)) {
                Some((.., indexes)) => indexes.push(index),
                None => {
                    positions.insert(name.clone(), names.len());
                    names.push((name, kind, *field, vec![index]));
                }
            }
        }
        let at = |id: u16| {
            let fields = template.fields().iter().enumerate().skip(scopes);
            let mut found = fields.filter(|(_, field)| (field.pen, field.id) == (0, id));
            found.next().map(|(index, _)| index)
        };
        let uptime = |raw, absolute| at(raw).filter(|_| at(absolute).is_none());
        Self {
            uptime: [
                uptime(ie::FLOW_START_SYS_UP_TIME, ie::FLOW_START_MILLISECONDS),
                uptime(ie::FLOW_END_SYS_UP_TIME, ie::FLOW_END_MILLISECONDS),
            ],
            init: at(ie::SYSTEM_INIT_TIME_MILLISECONDS),
            entries: names
                .into_iter()
                .map(|(name, kind, field, indexes)| {
                    let mut key = Vec::new();
                    write_text(&mut key, &name);
                    key.push(b':');
                    Entry {
                        key: key.into(),
                        kind,
                        field,
                        indexes: indexes.into(),
                    }
                })
                .collect(),
        }
    }

    /// What it takes of the bound on plans.
    pub fn cost(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| size_of::<Entry>() + entry.key.len() + 8 * entry.indexes.len() + 32)
            .sum()
    }
}

/// The key of a template's field.
pub fn field_key(template: &Template, index: usize, field: FieldSpecifier) -> String {
    match (template.version(), template.kind()) {
        (9, TemplateKind::Options { scope_count }) if index < usize::from(scope_count) => {
            scope(field).0
        }
        _ => key(field),
    }
}

/// A scope field of NetFlow v9: a number, whatever it means.
fn scope(field: FieldSpecifier) -> (String, Kind) {
    let name = usize::from(field.id)
        .checked_sub(1)
        .and_then(|index| V9_SCOPES.get(index));
    let kind = Kind {
        data_type: Some(if field.length <= 8 {
            DataType::Unsigned64
        } else {
            DataType::OctetArray
        }),
        fixed: true,
    };
    match name {
        Some(name) => ((*name).to_owned(), kind),
        None => (format!("scope{}", field.id), kind),
    }
}

fn element(field: FieldSpecifier, taught: Taught<'_>) -> (String, Kind) {
    let kind = Kind::of(field);
    if kind.data_type.is_none()
        && let Some((name, data_type)) = taught(field.pen, field.id)
    {
        let data_type = Some(data_type);
        return (name, Kind { data_type, ..kind });
    }
    (key(field), kind)
}
