//! A filter told in words (`-X`): its tests in the order in which they are asked, and what follows from each answer.

use super::program::{Dns, Filter, Test};
use super::value::{Comparison, Number, Place};
use crate::{
    field::{self, Location},
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
        Test::Address(Place(v4, _), prefix) => {
            let (mask, value) = (prefix.mask, prefix.value);
            let name = address_name(*v4);
            if prefix.is_v6 {
                let bits = mask.count_ones();
                return write!(f, "{name} in {}/{bits}", Ipv6Addr::from(value));
            }
            let bits = (mask as u32).count_ones();
            write!(f, "{name} in {}/{bits}", Ipv4Addr::from(value as u32))
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
        Test::Ja4(None) => f.write_str("payload ja4 defined"),
        Test::Ja4(Some(hash)) => write!(f, "payload ja4 {hash}"),
        Test::Label(label) => write!(f, "flowlabel {label}"),
        Test::Country(Place(v4, _), country) => {
            let country = String::from_utf8_lossy(country);
            write!(f, "{} in country {country}", address_name(*v4))
        }
        Test::TimeZone(Place(v4, _), zone) => {
            write!(f, "{} in time zone {zone}", address_name(*v4))
        }
        Test::Tor(Place(v4, _)) => write!(f, "{} is an exit of Tor", address_name(*v4)),
        Test::SameTtl => f.write_str("ttl equal"),
        Test::User(name) => write!(f, "user {name}"),
        Test::PacketFilterInterface(name) => write!(f, "pf interface {name}"),
        Test::Hello => f.write_str("payload tls defined"),
        Test::ServerName(name) => write!(f, "payload tls sni {name}"),
        Test::Dns(_, Dns::Any) => f.write_str("payload dns defined"),
        Test::Dns(_, Dns::Name(name)) => write!(f, "payload dns name {name}"),
        Test::Dns(_, Dns::Address(address)) => write!(f, "payload dns address {address}"),
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
        Number::Ttl(field::MAX_TTL) => "max ttl".to_owned(),
        Number::Ttl(_) => "min ttl".to_owned(),
        Number::PacketFilter(offset, _) => format!("pf byte {offset}"),
        Number::System(location, _) => field_name(location),
        Number::TlsVersion => "payload tls version".to_owned(),
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
