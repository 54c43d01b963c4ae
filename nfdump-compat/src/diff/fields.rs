//! What is compared of a record beside its key, times and counters, and by which names: those of `-A` where there is one.

use std::net::IpAddr;

use crate::field::{self, Location, ext};
use crate::record::RecordView;

/// Where a compared value lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    Number(Location),
    Address(Location, Location),
    /// An extension as long as its content.
    Bytes(u16),
}

use Place::{Address, Bytes, Number};

/// Names and places. When a record was received, and which number its exporter has in the file, is no property of the flow.
static FIELDS: &[(&str, Place)] = &[
    (
        "exporter",
        Address(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6),
    ),
    ("flows", Number(field::FLOWS)),
    ("tcpflags", Number(field::TCP_FLAGS)),
    ("revtcpflags", Number(field::REV_TCP_FLAGS)),
    ("fwdstatus", Number(field::FWD_STATUS)),
    ("srctos", Number(field::SRC_TOS)),
    ("dsttos", Number(field::DST_TOS)),
    ("inif", Number(field::INPUT)),
    ("outif", Number(field::OUTPUT)),
    ("srcmask", Number(field::SRC_MASK)),
    ("dstmask", Number(field::DST_MASK)),
    ("dir", Number(field::DIR)),
    ("biflowdir", Number(field::BIFLOW_DIR)),
    ("endreason", Number(field::FLOW_END_REASON)),
    ("srcvlan", Number(field::SRC_VLAN)),
    ("dstvlan", Number(field::DST_VLAN)),
    ("srcas", Number(field::SRC_AS)),
    ("dstas", Number(field::DST_AS)),
    ("nextas", Number(field::NEXT_AS)),
    ("prevas", Number(field::PREV_AS)),
    (
        "next",
        Address(field::IP_NEXT_HOP_V4, field::IP_NEXT_HOP_V6),
    ),
    (
        "bgpnext",
        Address(field::BGP_NEXT_HOP_V4, field::BGP_NEXT_HOP_V6),
    ),
    ("insrcmac", Number(field::IN_SRC_MAC)),
    ("outdstmac", Number(field::OUT_DST_MAC)),
    ("indstmac", Number(field::IN_DST_MAC)),
    ("outsrcmac", Number(field::OUT_SRC_MAC)),
    ("mpls1", Number(field::mpls_label(0))),
    ("mpls2", Number(field::mpls_label(1))),
    ("mpls3", Number(field::mpls_label(2))),
    ("mpls4", Number(field::mpls_label(3))),
    ("mpls5", Number(field::mpls_label(4))),
    ("mpls6", Number(field::mpls_label(5))),
    ("mpls7", Number(field::mpls_label(6))),
    ("mpls8", Number(field::mpls_label(7))),
    ("mpls9", Number(field::mpls_label(8))),
    ("mpls10", Number(field::mpls_label(9))),
    ("clientlatency", Number(field::CLIENT_LATENCY)),
    ("serverlatency", Number(field::SERVER_LATENCY)),
    ("applatency", Number(field::APP_LATENCY)),
    (
        "xsrcip",
        Address(field::XLATE_SRC_IPV4, field::XLATE_SRC_IPV6),
    ),
    (
        "xdstip",
        Address(field::XLATE_DST_IPV4, field::XLATE_DST_IPV6),
    ),
    ("xsrcport", Number(field::XLATE_SRC_PORT)),
    ("xdstport", Number(field::XLATE_DST_PORT)),
    ("eventtime", Number(field::NSEL_MSEC_EVENT)),
    ("connid", Number(field::NSEL_CONN_ID)),
    ("fwevent", Number(field::NSEL_FW_EVENT)),
    ("fwxevent", Number(field::NSEL_FW_XEVENT)),
    ("natevent", Number(field::NAT_EVENT)),
    ("natpool", Number(field::NAT_POOL_ID)),
    ("pblockstart", Number(field::BLOCK_START)),
    ("pblockend", Number(field::BLOCK_END)),
    ("ivrf", Number(field::INGRESS_VRF)),
    ("evrf", Number(field::EGRESS_VRF)),
    ("odid", Number(field::OBSERVATION_DOMAIN)),
    ("opid", Number(field::OBSERVATION_POINT)),
    ("nbar", Bytes(ext::NBAR_APP)),
    ("label", Bytes(ext::LABEL)),
    ("inpayload", Bytes(ext::IN_PAYLOAD)),
    ("outpayload", Bytes(ext::OUT_PAYLOAD)),
];

/// Names that `--ignore` knows beside those of the fields.
const COUNTED: [&str; 6] = [
    "first",
    "last",
    "packets",
    "bytes",
    "outpackets",
    "outbytes",
];

/// The fields that do not count, as a set of places in the two lists above.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ignored(u128);

impl Ignored {
    /// Adds a field by its name.
    ///
    /// # Errors
    /// When there is none of this name; the sentence names them all.
    pub fn add(&mut self, name: &str) -> Result<(), String> {
        let Some(bit) = names().position(|known| known.eq_ignore_ascii_case(name)) else {
            let all: Vec<_> = names().collect();
            return Err(format!(
                "no field '{name}' is compared: there are {}",
                all.join(", ")
            ));
        };
        self.0 |= 1 << bit;
        Ok(())
    }

    fn has(self, bit: usize) -> bool {
        self.0 >> bit & 1 != 0
    }

    /// Whether a time or counter is ignored, by its place in `first, last, packets, bytes, outpackets, outbytes`.
    pub(super) fn counted(self, place: usize) -> bool {
        self.has(place)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    COUNTED
        .into_iter()
        .chain(FIELDS.iter().map(|(name, _)| *name))
}

/// One compared value that is not zero: a zero and an extension that is not there look the same in every report.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Value {
    /// A number.
    Number(u64),
    /// An address.
    Address(IpAddr),
    /// The content of an extension.
    Bytes(Box<[u8]>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Address(address) => write!(f, "{address}"),
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// A field by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FieldId(u8);

impl FieldId {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        FIELDS
            .get(usize::from(self.0))
            .map_or("?", |(name, _)| *name)
    }
}

/// The values of a record that count.
pub(super) fn values(record: &RecordView<'_>, ignored: Ignored) -> Box<[(FieldId, Value)]> {
    let mut found = Vec::new();
    for (number, (_, place)) in (0u8..).zip(FIELDS) {
        if ignored.has(COUNTED.len() + usize::from(number)) {
            continue;
        }
        let value = match *place {
            Number(location) => match record.get_or_zero(location) {
                0 => None,
                // A record that stands for one flow may say so or not.
                1 if location == field::FLOWS => None,
                value => Some(Value::Number(value)),
            },
            Address(v4, v6) => record
                .address(v4, v6)
                .filter(|address| !address.is_unspecified())
                .map(Value::Address),
            Bytes(extension) => record
                .extension(extension)
                .filter(|data| data.iter().any(|byte| *byte != 0))
                .map(|data| Value::Bytes(data.into())),
        };
        found.extend(value.map(|value| (FieldId(number), value)));
    }
    found.into()
}
