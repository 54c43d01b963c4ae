#![allow(clippy::unwrap_used)]
//! Lists written by hand after the figures of RFC 6313 sections 4.5 and 8.

use proptest::prelude::*;

use super::*;
use crate::template::{Template, TemplateKind, VARIABLE_LENGTH};
use crate::testing::hex;

const BASIC: u16 = 291;
const SUB_TEMPLATE: u16 = 292;
const SUB_TEMPLATE_MULTI: u16 = 293;

fn variable(id: u16) -> FieldSpecifier {
    FieldSpecifier::new(id, VARIABLE_LENGTH)
}

fn template(id: u16, fields: &[(u16, u16)]) -> Template {
    let fields = fields
        .iter()
        .map(|(id, length)| FieldSpecifier::new(*id, *length));
    Template::new(10, id, TemplateKind::Data, fields.collect()).unwrap()
}

/// The items as text: `allOf[14=00000001 …]`, records in braces.
fn told(element: u16, octets: &[u8], templates: &[Template]) -> Result<String, ListError> {
    let lookup = |id| templates.iter().find(|template| template.id() == id);
    let mut told = String::new();
    for item in Walk::new(variable(element), Reader::at(octets, 100), lookup) {
        told += &match item? {
            Item::List { field, semantic } => format!("{}:{}[", field.id, semantic.name()),
            Item::ListEnd => "]".to_owned(),
            Item::Record { template } => format!("{}{{", template.id()),
            Item::RecordEnd => "}".to_owned(),
            Item::Value {
                field,
                octets: value,
                offset,
            } => {
                assert_eq!(
                    octets.get(offset - 100..offset - 100 + value.len()),
                    Some(value)
                );
                let pen = if field.pen == 0 {
                    String::new()
                } else {
                    format!("{}/", field.pen)
                };
                let digits: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
                format!("{pen}{}={digits} ", field.id)
            }
            Item::Unknown { template, octets } => format!("{template}?{} ", octets.len()),
        };
    }
    Ok(told)
}

/// Section 8.1: the interfaces that one multicast packet left by.
#[test]
fn basic_list_of_interfaces() {
    let list = hex("03 000e 0004 00000001 00000004 00000008");
    assert_eq!(list.len(), 17);
    assert_eq!(
        told(BASIC, &list, &[]).unwrap(),
        "291:allOf[14=00000001 14=00000004 14=00000008 ]"
    );
}

/// Section 4.5.1, figure 2: an element of an enterprise.
#[test]
fn basic_list_of_an_enterprise() {
    let list = hex("01 8011 0002 00007a69 0001 0002");
    assert_eq!(
        told(BASIC, &list, &[]).unwrap(),
        "291:exactlyOneOf[31337/17=0001 31337/17=0002 ]"
    );
}

/// Elements of variable length: both forms of the length, and none at all in an element.
#[test]
fn basic_list_of_variable_length() {
    let list = hex("04 0052 ffff 03 617062 ff0002 6331 00");
    assert_eq!(
        told(BASIC, &list, &[]).unwrap(),
        "291:ordered[82=617062 82=6331 82= ]"
    );
}

/// Section 4.5: a list without elements has its head all the same.
#[test]
fn empty_lists() {
    let sub = template(400, &[(1, 4)]);
    for (element, octets, expected) in [
        (BASIC, "ff 000e 0004", "291:undefined[]"),
        (SUB_TEMPLATE, "00 0190", "292:noneOf[]"),
        (SUB_TEMPLATE_MULTI, "02", "293:oneOrMoreOf[]"),
        (SUB_TEMPLATE_MULTI, "02 0190 0004", "293:oneOrMoreOf[]"),
    ] {
        let told = told(element, &hex(octets), std::slice::from_ref(&sub));
        assert_eq!(told.unwrap(), expected);
    }
}

/// Section 8.3: two ends of a tunnel, each an address and an interface.
#[test]
fn sub_template_list() {
    let sub = template(401, &[(8, 4), (10, 2)]);
    let list = hex("03 0191 c0000201 0009 c0000202 000a");
    assert_eq!(
        told(SUB_TEMPLATE, &list, &[sub]).unwrap(),
        "292:allOf[401{8=c0000201 10=0009 }401{8=c0000202 10=000a }]"
    );
}

/// Section 8.4: records of two templates; a list inside a record. The length of a block counts its four octets of
/// head: 4 + 2 * 6 = 16, and 4 + 2 + 1 + 9 = 16.
#[test]
fn sub_template_multi_list() {
    let one = template(402, &[(8, 4), (7, 2)]);
    let two = template(403, &[(11, 2), (BASIC, VARIABLE_LENGTH)]);
    let list = hex("04 0192 0010 c0000201 0001 c0000202 0002
            0193 0010 0050 09 03 000e 0002 0005 0006");
    assert_eq!(
        told(SUB_TEMPLATE_MULTI, &list, &[one, two]).unwrap(),
        "293:ordered[402{8=c0000201 7=0001 }402{8=c0000202 7=0002 }403{11=0050 291:allOf[14=0005 14=0006 ]}]"
    );
}

/// The list is skipped, what follows it is read (section 4.5).
#[test]
fn unknown_templates_are_skipped() {
    let known = template(402, &[(7, 2)]);
    assert_eq!(
        told(SUB_TEMPLATE, &hex("03 0191 c0000201"), &[]).unwrap(),
        "292:allOf[401?4 ]"
    );
    assert_eq!(
        told(
            SUB_TEMPLATE_MULTI,
            &hex("03 0191 0006 c000 0192 0006 0050"),
            &[known]
        )
        .unwrap(),
        "293:allOf[401?2 402{7=0050 }]"
    );
}

#[test]
fn a_value_that_is_no_list_is_the_only_item() {
    assert_eq!(told(7, &hex("0050"), &[]).unwrap(), "7=0050 ");
    assert_eq!(Semantic::of(77).name(), "unassigned");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    use ListErrorKind::{BlockLength, Truncated, ZeroLength};
    let sub = [
        template(400, &[(1, 4)]),
        template(401, &[(82, VARIABLE_LENGTH)]),
    ];
    for (element, octets, offset, kind) in [
        // The semantic octet is missing, or the element behind it.
        (BASIC, "", 100, Truncated { wanted: 1, left: 0 }),
        (BASIC, "03 000e 00", 103, Truncated { wanted: 2, left: 1 }),
        (
            BASIC,
            "03 800e 0004 0000",
            105,
            Truncated { wanted: 4, left: 2 },
        ),
        // Half an element; a length beyond the list; no length at all.
        (
            BASIC,
            "03 000e 0004 00000001 0000",
            109,
            Truncated { wanted: 4, left: 2 },
        ),
        (
            BASIC,
            "03 0052 ffff 09 61",
            106,
            Truncated { wanted: 9, left: 1 },
        ),
        (BASIC, "03 000e 0000 00", 105, ZeroLength),
        (SUB_TEMPLATE, "03 01", 101, Truncated { wanted: 2, left: 1 }),
        (
            SUB_TEMPLATE,
            "03 0190 00000001 0000",
            107,
            Truncated { wanted: 4, left: 2 },
        ),
        (
            SUB_TEMPLATE,
            "03 0191 05 6161",
            103,
            Truncated { wanted: 4, left: 3 },
        ),
        (SUB_TEMPLATE_MULTI, "03 0190 0003", 101, BlockLength(3)),
        (
            SUB_TEMPLATE_MULTI,
            "03 0190 000c 00000001",
            105,
            Truncated { wanted: 8, left: 4 },
        ),
        (
            SUB_TEMPLATE_MULTI,
            "03 0190",
            103,
            Truncated { wanted: 2, left: 0 },
        ),
    ] {
        let error = told(element, &hex(octets), &sub).unwrap_err();
        assert_eq!(error, ListError { offset, kind }, "{octets}");
    }
}

/// Section 5.2 forbids a template that holds lists of itself; whoever does it all the same is stopped.
#[test]
fn depth_is_bounded() {
    let itself = template(400, &[(SUB_TEMPLATE, VARIABLE_LENGTH)]);
    let nested = |depth: usize| {
        let mut list = hex("03 0190");
        for _ in 1..depth {
            let length = u16::try_from(list.len()).unwrap().to_be_bytes();
            list = [&hex("03 0190 ff"), &length[..], &list].concat();
        }
        list
    };
    let told = |depth| told(SUB_TEMPLATE, &nested(depth), std::slice::from_ref(&itself));
    assert_eq!(told(DEPTH).unwrap().matches("292:allOf[").count(), DEPTH);
    assert_eq!(told(DEPTH + 1).unwrap_err().kind, ListErrorKind::TooDeep);
    assert_eq!(told(1000).unwrap_err().kind, ListErrorKind::TooDeep);
}

/// 60 000 records of one octet with 4000 empty fields each would be 240 million values.
#[test]
fn items_are_bounded() {
    let fields: Vec<(u16, u16)> = std::iter::repeat_n((82, 0), 4000).chain([(4, 1)]).collect();
    let wide = template(400, &fields);
    let list = [hex("03 0190"), vec![6; 60_000]].concat();
    let lookup = |_| Some(&wide);
    let walk = Walk::new(variable(SUB_TEMPLATE), Reader::new(&list), lookup);
    let items: Vec<_> = walk.collect();
    assert_eq!(items.len(), ITEMS + 1);
    let last = items.last().unwrap().as_ref().unwrap_err();
    assert_eq!(last.kind, ListErrorKind::TooMany);
}

proptest! {
    /// Small numbers are IDs and lengths; 291 to 293 begin lists inside lists.
    #[test]
    fn random_octets_are_walked_in_balance(
        octets in prop::collection::vec(prop_oneof![0_u8..6, Just(255), 0x90_u8..0x95, any::<u8>()], 0..200),
        kind in BASIC..=SUB_TEMPLATE_MULTI,
    ) {
        let templates = [
            template(0x0190, &[(BASIC, VARIABLE_LENGTH), (82, 0), (7, 1)]),
            template(0x0191, &[(SUB_TEMPLATE, VARIABLE_LENGTH)]),
            template(0x0192, &[(SUB_TEMPLATE_MULTI, 6), (SUB_TEMPLATE_MULTI, VARIABLE_LENGTH)]),
        ];
        let lookup = |id| templates.iter().find(|template| template.id() == id);
        let mut open = Vec::new();
        let mut end = None;
        for item in Walk::new(variable(kind), Reader::new(&octets), lookup) {
            prop_assert!(end.is_none());
            match item {
                Ok(Item::List { .. }) => open.push('['),
                Ok(Item::Record { .. }) => open.push('{'),
                Ok(Item::ListEnd) => prop_assert_eq!(open.pop(), Some('[')),
                Ok(Item::RecordEnd) => prop_assert_eq!(open.pop(), Some('{')),
                Ok(Item::Value { .. } | Item::Unknown { .. }) => {}
                Err(error) => {
                    prop_assert!(error.offset <= octets.len());
                    end = Some(error);
                }
            }
        }
        prop_assert!(open.is_empty() || end.is_some());
    }
}
