//! The fields by which flows can be aggregated (`-A`): the one table of names, format tokens and places in a record.

use crate::{
    field::{self, Location, ext},
    groups::key::{self, KeyBuffer},
    output::{
        row::or_unspecified,
        values::{network, unspecified_like},
    },
    record::{RecordBuilder, RecordView},
};
use std::net::IpAddr;

/// Where a field's value lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Number(Location),
    /// The label of an MPLS stack entry, without its other bits.
    Label(Location),
    /// An IPv4 and an IPv6 place.
    Address(Location, Location),
    /// An address of which as many bits count as the number in the third place says.
    Network(Location, Location, Location),
    /// An address of which as many bits count as the user says; true for the bits of an IPv4 address.
    Prefix(Location, Location, bool),
}

struct Known {
    name: &'static str,
    token: &'static str,
    place: Place,
}

const fn number(name: &'static str, token: &'static str, location: Location) -> Known {
    let place = Place::Number(location);
    Known { name, token, place }
}

const fn known(name: &'static str, token: &'static str, place: Place) -> Known {
    Known { name, token, place }
}

use Place::{Address, Network, Prefix};
use field::{
    BGP_NEXT_HOP_V4, BGP_NEXT_HOP_V6, DST_IPV4, DST_IPV6, DST_MASK, IP_NEXT_HOP_V4, IP_NEXT_HOP_V6,
    IP_RECEIVED_V4, IP_RECEIVED_V6, SRC_IPV4, SRC_IPV6, SRC_MASK, XLATE_DST_IPV4, XLATE_DST_IPV6,
    XLATE_SRC_IPV4, XLATE_SRC_IPV6,
};

static FIELDS: &[Known] = &[
    known("srcip4", "%sa", Prefix(SRC_IPV4, SRC_IPV6, true)),
    known("srcip6", "%sa", Prefix(SRC_IPV4, SRC_IPV6, false)),
    known("srcnet", "%sn", Network(SRC_IPV4, SRC_IPV6, SRC_MASK)),
    known("dstnet", "%dn", Network(DST_IPV4, DST_IPV6, DST_MASK)),
    known("srcip", "%sa", Address(SRC_IPV4, SRC_IPV6)),
    known("dstip", "%da", Address(DST_IPV4, DST_IPV6)),
    known("xsrcip", "%xsa", Address(XLATE_SRC_IPV4, XLATE_SRC_IPV6)),
    known("xdstip", "%xda", Address(XLATE_DST_IPV4, XLATE_DST_IPV6)),
    number("xsrcport", "%xsp", field::XLATE_SRC_PORT),
    number("xdstport", "%xdp", field::XLATE_DST_PORT),
    known("dstip4", "%da", Prefix(DST_IPV4, DST_IPV6, true)),
    known("dstip6", "%da", Prefix(DST_IPV4, DST_IPV6, false)),
    known("next", "%nh", Address(IP_NEXT_HOP_V4, IP_NEXT_HOP_V6)),
    known("bgpnext", "%nhb", Address(BGP_NEXT_HOP_V4, BGP_NEXT_HOP_V6)),
    known("router", "%ra", Address(IP_RECEIVED_V4, IP_RECEIVED_V6)),
    number("insrcmac", "%ismc", field::IN_SRC_MAC),
    number("outdstmac", "%odmc", field::OUT_DST_MAC),
    number("indstmac", "%idmc", field::IN_DST_MAC),
    number("outsrcmac", "%osmc", field::OUT_SRC_MAC),
    number("srcas", "%sas", field::SRC_AS),
    number("dstas", "%das", field::DST_AS),
    number("nextas", "%nas", field::NEXT_AS),
    number("prevas", "%pas", field::PREV_AS),
    number("inif", "%in", field::INPUT),
    number("outif", "%out", field::OUTPUT),
    known("mpls1", "%mpls1", Place::Label(field::mpls_label(0))),
    known("mpls2", "%mpls2", Place::Label(field::mpls_label(1))),
    known("mpls3", "%mpls3", Place::Label(field::mpls_label(2))),
    known("mpls4", "%mpls4", Place::Label(field::mpls_label(3))),
    known("mpls5", "%mpls5", Place::Label(field::mpls_label(4))),
    known("mpls6", "%mpls6", Place::Label(field::mpls_label(5))),
    known("mpls7", "%mpls7", Place::Label(field::mpls_label(6))),
    known("mpls8", "%mpls8", Place::Label(field::mpls_label(7))),
    known("mpls9", "%mpls9", Place::Label(field::mpls_label(8))),
    known("mpls10", "%mpls10", Place::Label(field::mpls_label(9))),
    number("srcport", "%sp", field::SRC_PORT),
    number("dstport", "%dp", field::DST_PORT),
    number("srcvlan", "%svln", field::SRC_VLAN),
    number("dstvlan", "%dvln", field::DST_VLAN),
    number("srcmask", "%smk", field::SRC_MASK),
    number("dstmask", "%dmk", field::DST_MASK),
    number("proto", "%pr", field::PROTO),
    number("tos", "%tos", field::SRC_TOS),
    number("srctos", "%stos", field::SRC_TOS),
    number("dsttos", "%dtos", field::DST_TOS),
    number("odid", "%odid", field::OBSERVATION_DOMAIN),
    number("opid", "%opid", field::OBSERVATION_POINT),
    // Without a geo database all countries are the same.
    number("srcgeo", "%sc", field::SRC_COUNTRY),
    number("dstgeo", "%dc", field::DST_COUNTRY),
];

/// The label in an MPLS stack entry.
const LABEL: u64 = 0xff_fff0;

/// A field asked for.
#[derive(Clone, Copy)]
struct Wanted {
    place: Place,
    /// Bits of a prefix that count.
    bits: u32,
    /// They were asked for.
    cut: bool,
}

/// The fields by which flows are put together.
#[derive(Clone)]
pub struct Fields {
    wanted: Vec<Wanted>,
    format: String,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.format)
    }
}

/// An aggregation that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
pub enum FieldsError {
    #[error("no field to aggregate by")]
    None,
    #[error("unknown aggregation field '{0}'")]
    Unknown(String),
    #[error("field '{0}' twice in the aggregation")]
    Twice(String),
    #[error("'{0}' needs a number of bits, as in {0}/24")]
    NoBits(String),
    #[error("'{0}' takes no number of bits: srcip4, dstip4, srcip6 and dstip6 do")]
    Bits(String),
    #[error("'{0}': {1} bits, 1 to {2} are possible")]
    BitsRange(String, String, u32),
}

impl Fields {
    /// Parses the argument of `-A`: names separated by commas, of prefixes with `/` and the number of bits; `whole` if that may
    /// be missing.
    ///
    /// # Errors
    /// Which name cannot be used and why.
    pub fn parse(text: &str, whole: bool) -> Result<Self, FieldsError> {
        let mut wanted = Vec::new();
        let mut seen = Vec::new();
        let mut format = String::from("%ts %td  ");
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, bits) = match part.split_once('/') {
                Some((name, bits)) => (name, Some(bits)),
                None => (part, None),
            };
            let known = FIELDS
                .iter()
                .find(|known| known.name.eq_ignore_ascii_case(name))
                .ok_or_else(|| FieldsError::Unknown(name.to_owned()))?;
            if seen.contains(&known.name) {
                return Err(FieldsError::Twice(name.to_owned()));
            }
            seen.push(known.name);
            wanted.push(Wanted {
                place: known.place,
                bits: bits_of(known, bits, whole)?,
                cut: bits.is_some(),
            });
            format.push_str(known.token);
            format.push(' ');
        }
        if wanted.is_empty() {
            return Err(FieldsError::None);
        }
        format.push_str(" %pkt %byt %bps %bpp %fl");
        Ok(Self { wanted, format })
    }

    /// The names of all fields.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().map(|known| known.name)
    }

    /// The listing format that shows these fields.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Appends what tells groups apart, comparable byte by byte.
    pub fn push_key(&self, key: &mut KeyBuffer, record: &RecordView<'_>) {
        for wanted in &self.wanted {
            match wanted.value(record) {
                Value::Number(number) => key.push_number(number),
                Value::Address(address) => key.push_wide(bits(address)),
            }
        }
    }

    /// Whether the token shows a field that the key has as it is shown.
    #[must_use]
    pub fn tell(&self, token: &str) -> bool {
        let shown = |known: &Known| known.token.get(1..) == Some(token);
        self.wanted.iter().any(|wanted| {
            let is_whole = matches!(wanted.place, Place::Number(_) | Address(..) | Prefix(..));
            is_whole
                && FIELDS
                    .iter()
                    .any(|known| shown(known) && known.place == wanted.place)
        })
    }

    /// Whether the record has all fields, in a way that the key tells: an IPv6 address is none that looks like IPv4.
    #[must_use]
    pub fn are_in(&self, record: &RecordView<'_>) -> bool {
        let plain = !record.has(ext::TUN_IPV4) && !record.has(ext::TUN_IPV6);
        plain && self.wanted.iter().all(|wanted| match wanted.place {
            Place::Number(location) => record.get(location).is_some(),
            Address(v4, v6) | Prefix(v4, v6, _) => match (record.get(v4), record.get128(v6)) {
                (Some(_), None) => true,
                (None, Some(_)) => {
                    let value = wanted.value(record);
                    matches!(value, Value::Address(address) if bits(address) > u128::from(u32::MAX))
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// Puts the fields of a key into a record.
    pub fn build(&self, mut key: &[u8], builder: &mut RecordBuilder) {
        for wanted in &self.wanted {
            let value = key::take_number(&mut key);
            match wanted.place {
                Place::Number(location) => builder.set(location, value as u64),
                Address(v4, v6) | Prefix(v4, v6, _) => {
                    let address = match u32::try_from(value) {
                        Ok(bits) => IpAddr::V4(bits.into()),
                        Err(_) => IpAddr::V6(value.into()),
                    };
                    builder.set_address(v4, v6, address);
                }
                _ => {}
            }
        }
    }

    /// As [`Self::push_key`], as nfdump 1.7.5 makes it: of an IPv6 address the next field overwrites what lies behind its first
    /// eight bytes (its lower half, least significant byte first), and prefixes cut as [`Careless`] says.
    pub fn push_careless_key(&self, into: &mut KeyBuffer, record: &RecordView<'_>) {
        const HALF: usize = 8;
        let mut key = Vec::new();
        let mut at = 0;
        let mut cut = Careless::default();
        for wanted in &self.wanted {
            let value = match cut.value(wanted, record) {
                Value::Number(number) => {
                    let bytes = number.to_le_bytes();
                    bytes.get(..wanted.width()).unwrap_or(&bytes).to_vec()
                }
                Value::Address(IpAddr::V4(v4)) => v4.octets().to_vec(),
                Value::Address(IpAddr::V6(v6)) => {
                    let bits = u128::from(v6);
                    [(bits >> 64) as u64, bits as u64]
                        .into_iter()
                        .flat_map(u64::to_le_bytes)
                        .collect()
                }
            };
            if key.len() < at + value.len() {
                key.resize(at + value.len(), 0);
            }
            if let Some(place) = key.get_mut(at..at + value.len()) {
                place.copy_from_slice(&value);
            }
            at += value.len().min(HALF);
        }
        into.push_slice(&key);
    }

    /// Gives the addresses of which only a prefix counts, as nfdump 1.7.5 shows them.
    pub fn each_careless_prefix(
        &self,
        record: &RecordView<'_>,
        mut take: impl FnMut(Location, u128),
    ) {
        let mut cut = Careless::default();
        for wanted in &self.wanted {
            if let (Prefix(v4, v6, _), Value::Address(address), true) =
                (wanted.place, cut.value(wanted, record), wanted.cut)
            {
                take(if address.is_ipv4() { v4 } else { v6 }, bits(address));
            }
        }
    }

    /// Gives each field's place and value in `record`, prefixes masked.
    pub fn each(&self, record: &RecordView<'_>, mut take: impl FnMut(Location, u128)) {
        for wanted in &self.wanted {
            match (wanted.place, wanted.value(record)) {
                (Place::Number(location) | Place::Label(location), Value::Number(number)) => {
                    take(location, u128::from(number));
                }
                (
                    Address(v4, v6) | Network(v4, v6, _) | Prefix(v4, v6, _),
                    Value::Address(address),
                ) => take(if address.is_ipv4() { v4 } else { v6 }, bits(address)),
                _ => {}
            }
            if let Network(_, _, mask) = wanted.place {
                take(mask, u128::from(record.get_or_zero(mask)));
            }
        }
    }

    /// As [`Self::each`], only those that are cut to some bits.
    pub fn each_cut(&self, record: &RecordView<'_>, take: impl FnMut(Location, u128)) {
        let cut = self
            .wanted
            .iter()
            .filter(|wanted| matches!(wanted.place, Network(..) | Prefix(..)));
        let fields = Self {
            wanted: cut.copied().collect(),
            format: String::new(),
        };
        fields.each(record, take);
    }
}

fn bits_of(known: &Known, bits: Option<&str>, whole: bool) -> Result<u32, FieldsError> {
    let name = || known.name.to_owned();
    let limit = match (known.place, bits) {
        (Prefix(_, _, v4), Some(_)) => {
            if v4 {
                32
            } else {
                128
            }
        }
        (Prefix(_, _, v4), None) if whole => return Ok(if v4 { 32 } else { 128 }),
        (Prefix(..), None) => return Err(FieldsError::NoBits(name())),
        (_, Some(_)) => return Err(FieldsError::Bits(name())),
        (_, None) => return Ok(0),
    };
    let text = bits.unwrap_or_default();
    match text.parse() {
        Ok(bits) if (1..=limit).contains(&bits) => Ok(bits),
        _ => Err(FieldsError::BitsRange(name(), text.to_owned(), limit)),
    }
}

enum Value {
    Number(u64),
    Address(IpAddr),
}

impl Wanted {
    /// Bytes of a number.
    fn width(&self) -> usize {
        match self.place {
            Place::Number(location) | Place::Label(location) => usize::from(location.width),
            _ => 0,
        }
    }

    fn value(&self, record: &RecordView<'_>) -> Value {
        let address = |v4, v6| or_unspecified(record.address(v4, v6));
        match self.place {
            Place::Number(location) => Value::Number(record.get_or_zero(location)),
            Place::Label(location) => Value::Number(record.get_or_zero(location) & LABEL),
            Address(v4, v6) => Value::Address(address(v4, v6)),
            Network(v4, v6, mask) => {
                Value::Address(network(address(v4, v6), record.get_or_zero(mask) as u32))
            }
            Prefix(v4, v6, is_v4) => Value::Address(prefix(address(v4, v6), self.bits, is_v4)),
        }
    }
}

/// How nfdump 1.7.5 cuts prefixes: one after the other in the record itself, of an IPv6 address at most to its upper half, of
/// an address of the other kind than the prefix's to nothing. Without a number of bits the record stays as it is.
#[derive(Default)]
struct Careless {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
}

impl Careless {
    fn value(&mut self, wanted: &Wanted, record: &RecordView<'_>) -> Value {
        let Prefix(v4, v6, is_v4) = wanted.place else {
            return wanted.value(record);
        };
        let place = match v4 {
            SRC_IPV4 => &mut self.source,
            _ => &mut self.destination,
        };
        let address = place.unwrap_or_else(|| or_unspecified(record.address(v4, v6)));
        let address = match prefix(address, wanted.bits, is_v4) {
            other if other.is_ipv4() != is_v4 => unspecified_like(other),
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 => v4,
        };
        if wanted.cut {
            *place = Some(address);
        }
        Value::Address(address)
    }
}

/// The address with only its first bits, of an address of the other kind what nfdump leaves of it: the bits of an IPv4
/// address are the last 32 of an IPv6 address.
fn prefix(address: IpAddr, count: u32, is_v4: bool) -> IpAddr {
    let mask = u128::MAX << if is_v4 { 32 - count } else { 128 - count };
    match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & mask as u32).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & mask).into()),
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_make_a_format() {
        let fields = Fields::parse("srcip4/24,Proto,dstport", false).expect("valid");
        assert_eq!(
            fields.format(),
            "%ts %td  %sa %pr %dp  %pkt %byt %bps %bpp %fl"
        );
    }

    #[test]
    fn errors_name_the_culprit() {
        for (text, message) in [
            ("", "no field to aggregate by"),
            ("foo", "unknown aggregation field 'foo'"),
            ("srcip,srcip", "field 'srcip' twice in the aggregation"),
            ("srcip4", "'srcip4' needs a number of bits, as in srcip4/24"),
            (
                "srcip/8",
                "'srcip' takes no number of bits: srcip4, dstip4, srcip6 and dstip6 do",
            ),
            ("dstip4/33", "'dstip4': 33 bits, 1 to 32 are possible"),
            ("dstip6/0", "'dstip6': 0 bits, 1 to 128 are possible"),
        ] {
            let error = Fields::parse(text, false)
                .map(|_| ())
                .map_err(|error| error.to_string());
            assert_eq!(error, Err(message.to_owned()));
        }
    }

    #[test]
    fn prefixes() {
        for (address, count, is_v4, expected) in [
            ("10.1.2.3", 24, true, "10.1.2.0"),
            ("10.1.2.3", 32, true, "10.1.2.3"),
            ("10.1.2.3", 64, false, "0.0.0.0"),
            ("10.1.2.3", 120, false, "10.1.2.0"),
            ("2001:db8::1:2:3", 48, false, "2001:db8::"),
            ("2001:db8::1:2:3", 24, true, "2001:db8::1:2:0"),
        ] {
            let cut = prefix(address.parse().expect("an address"), count, is_v4);
            assert_eq!(cut.to_string(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(text in ".{0,40}", list in "(srcip4?(/[0-9]{0,4})?|proto|dstnet|,){0,6}") {
            let _ = Fields::parse(&text, false);
            let _ = Fields::parse(&list, true);
        }
    }
}
