//! A filter told in words (`-X`): its tests in the order in which they are asked, and what follows from each answer.

use super::program::{Comparison, Filter, Number, Place, Test};
use crate::{
    field::Location,
    output::fields::{FIELDS, Print},
};
use std::{
    fmt::{Display, Formatter, Result, Write},
    net::{Ipv4Addr, Ipv6Addr},
};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut steps = self.outline().peekable();
        if steps.peek().is_none() {
            return f.write_str("everything passes\n");
        }
        writeln!(f, "start with {}", self.first())?;
        for (number, test, [yes, no], label) in steps {
            let mut asked = String::new();
            tell(&mut asked, test)?;
            write!(f, "{number:4}  {asked}: yes {yes}, no {no}")?;
            match label {
                Some(label) => writeln!(f, ", label {label}")?,
                None => f.write_char('\n')?,
            }
        }
        Ok(())
    }
}

fn tell(f: &mut String, test: &Test) -> Result {
    match test {
        Test::Any => f.write_str("any"),
        Test::Compare(number, comparison, value) => {
            let sign = match comparison {
                Comparison::Equal => "=",
                Comparison::Greater => ">",
                Comparison::Less => "<",
                Comparison::GreaterOrEqual => ">=",
                Comparison::LessOrEqual => "<=",
            };
            write!(f, "{} {sign} {value}", name(*number))
        }
        Test::OneOf(number, values) => {
            write!(f, "{} one of {} numbers", name(*number), values.len())
        }
        Test::IsIpv6(wanted) => f.write_str(if *wanted { "ipv6" } else { "ipv4" }),
        Test::Address(Place(v4, _), mask, value) => {
            let bits = mask.count_ones();
            match (u32::try_from(*value), *mask >> 32) {
                (Ok(value), _) if bits <= 32 || *mask == u128::MAX => {
                    let bits = bits.min(32);
                    write!(
                        f,
                        "{} in {}/{bits}",
                        address_name(*v4),
                        Ipv4Addr::from(value)
                    )
                }
                _ => write!(
                    f,
                    "{} in {}/{bits}",
                    address_name(*v4),
                    Ipv6Addr::from(*value)
                ),
            }
        }
        Test::AddressIn(Place(v4, _), prefixes) => {
            write!(
                f,
                "{} in a list of {} ranges",
                address_name(*v4),
                prefixes.len()
            )
        }
        Test::Flags(flags) => write!(f, "flags 0x{flags:02x} set"),
        Test::InPortBlock(port) => write!(f, "{} in the port block", field_name(*port)),
        Test::Ident(ident) => write!(f, "ident {ident}"),
        Test::PayloadHas(text) => write!(f, "payload content {:?}", String::from_utf8_lossy(text)),
        Test::PayloadMatches(regex) => write!(f, "payload regex {:?}", regex.as_str()),
        Test::Fingerprint(None) => f.write_str("payload ja3 defined"),
        Test::Fingerprint(Some(hash)) => write!(f, "payload ja3 {hash:032x}"),
        Test::Label(label) => write!(f, "flowlabel {label}"),
        Test::Country => f.write_str("geo"),
    }
}

fn name(number: Number) -> String {
    match number {
        Number::Field(location, mask) => match mask {
            u64::MAX => field_name(location),
            mask => format!("{} & 0x{mask:x}", field_name(location)),
        },
        Number::AccessList(location) => field_name(location),
        Number::Version => "nfversion".to_owned(),
        Number::EngineType => "engine-type".to_owned(),
        Number::EngineId => "engine-id".to_owned(),
        Number::Exporter => "sysid".to_owned(),
        Number::Flows => "flows".to_owned(),
        Number::Event => "event".to_owned(),
        Number::PacketRate => "pps".to_owned(),
        Number::BitRate => "bps".to_owned(),
        Number::PacketSize => "bpp".to_owned(),
        Number::Duration => "duration".to_owned(),
        Number::Count => "count".to_owned(),
        Number::TunnelProtocol => "tun proto".to_owned(),
        Number::BottomLabel => "mpls eos".to_owned(),
    }
}

/// The listing's token for a field, else its place in the record.
fn field_name(location: Location) -> String {
    let found = FIELDS
        .iter()
        .find(|field| matches!(field.print, Print::Number(place, _) if place == location));
    match found {
        Some(field) => format!("%{}", field.token),
        None => format!("field {}.{}", location.extension, location.offset),
    }
}

fn address_name(v4: Location) -> String {
    use crate::field as f;
    let names = [
        (f::SRC_IPV4, "src ip"),
        (f::DST_IPV4, "dst ip"),
        (f::IP_NEXT_HOP_V4, "next ip"),
        (f::BGP_NEXT_HOP_V4, "bgpnext ip"),
        (f::IP_RECEIVED_V4, "router ip"),
        (f::XLATE_SRC_IPV4, "src xip"),
        (f::XLATE_DST_IPV4, "dst xip"),
        (f::TUN_SRC_IPV4, "src tunip"),
        (f::TUN_DST_IPV4, "dst tunip"),
    ];
    let found = names.iter().find(|(place, _)| *place == v4);
    found.map_or_else(|| field_name(v4), |(_, name)| (*name).to_owned())
}
