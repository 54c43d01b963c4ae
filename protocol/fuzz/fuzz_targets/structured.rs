//! A value of any list type, with templates that hold lists of each other: items stay in balance and in bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::reader::Reader;
use protocol::structured::{ITEMS, Item, Walk};
use protocol::template::{FieldSpecifier, Template, TemplateKind, VARIABLE_LENGTH};

fn template(id: u16, fields: &[(u16, u16)]) -> Option<Template> {
    let fields = fields
        .iter()
        .map(|(id, length)| FieldSpecifier::new(*id, *length))
        .collect();
    Template::new(10, id, TemplateKind::Data, fields).ok()
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, value)) = input.split_first() else {
        return;
    };
    let field = FieldSpecifier::new(291 + u16::from(kind % 3), VARIABLE_LENGTH);
    let templates = [
        template(256, &[(291, VARIABLE_LENGTH), (82, 0), (7, 1)]),
        template(257, &[(292, VARIABLE_LENGTH)]),
        template(258, &[(293, 6), (293, VARIABLE_LENGTH)]),
    ];
    let lookup = |id| {
        templates
            .iter()
            .flatten()
            .find(|template| template.id() == id)
    };
    let (mut open, mut items) = (0_usize, 0);
    let mut failed = false;
    for item in Walk::new(field, Reader::new(value), lookup) {
        assert!(!failed);
        items += 1;
        match item {
            Ok(Item::List { .. } | Item::Record { .. }) => open += 1,
            Ok(Item::ListEnd | Item::RecordEnd) => open -= 1,
            Ok(Item::Value { .. } | Item::Unknown { .. }) => {}
            Err(error) => {
                assert!(error.offset <= value.len());
                failed = true;
            }
        }
    }
    assert!(failed || open == 0);
    assert!(items <= ITEMS + 1);
});
