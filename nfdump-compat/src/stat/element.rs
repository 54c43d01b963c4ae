//! Elements by which a statistic groups flows: the one table of names, headings, where the value is and how it is shown.

use crate::{
    field::{self, Location},
    handshake::Hello,
    output::{
        address::{push_hex, push_mac},
        events,
        number::{align_right, push_u64},
        put,
        row::{application, xlate_dst_ip, xlate_src_ip},
        values::{push_country, push_mpls, push_statistic_address},
        versions::Facts,
    },
    record::RecordView,
};
use std::net::IpAddr;

/// A value to group by: an address (IPv4 in the low 32 bits) or a number (in `low`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// Upper half of an IPv6 address.
    pub high: u64,
    /// Lower half, or the number.
    pub low: u64,
}

impl Value {
    /// An address' value, 0 without one.
    #[must_use]
    pub fn of_address(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V4(v4)) => Self {
                high: 0,
                low: u64::from(u32::from(v4)),
            },
            Some(IpAddr::V6(v6)) => {
                let bits = u128::from(v6);
                Self {
                    high: (bits >> 64) as u64,
                    low: bits as u64,
                }
            }
            None => Self::default(),
        }
    }
}

impl Value {
    /// The address that the value stands for: with nothing in the upper half an IPv4 address, as nfdump takes it.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self.high {
            0 => IpAddr::V4((self.low as u32).into()),
            high => IpAddr::V6((u128::from(high) << 64 | u128::from(self.low)).into()),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy)]
pub enum Source {
    /// A number; 0 without it.
    Number(Location),
    /// An address; 0 without it.
    Address(fn(&RecordView<'_>) -> Option<IpAddr>),
    /// Anything else of an extension.
    Of(u16, fn(&RecordView<'_>) -> Value),
    /// Anything else.
    Computed(fn(&RecordView<'_>) -> Value),
}

impl Source {
    /// Whether the record has the value.
    #[must_use]
    pub fn is_in(&self, record: &RecordView<'_>) -> bool {
        match self {
            Self::Number(location) => record.get(*location).is_some(),
            Self::Address(address) => address(record).is_some(),
            Self::Of(extension, _) => record.has(*extension),
            Self::Computed(_) => true,
        }
    }

    /// The record's value.
    #[must_use]
    pub fn value(&self, record: &RecordView<'_>) -> Value {
        match self {
            Self::Number(location) => Value {
                high: 0,
                low: record.get_or_zero(*location),
            },
            Self::Address(address) => Value::of_address(address(record)),
            Self::Of(_, value) | Self::Computed(value) => value(record),
        }
    }
}

/// How a value is shown, and how equal rows are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IP address; ascending.
    Address,
    /// Port; descending.
    Port,
    /// Decimal number; ascending.
    Number,
    /// Hexadecimal number; ascending.
    Hex,
    /// MAC address; ascending.
    Mac,
    /// MPLS label; ascending.
    Mpls,
    /// Microseconds shown as milliseconds; ascending.
    Latency,
    /// Event of a firewall or an address translation; ascending.
    Event,
    /// Application id, its engine in the upper half; ascending.
    Application,
    /// Fingerprint of a TLS handshake (JA3); ascending.
    Fingerprint,
    /// Two letters of a country; ascending.
    Country,
}

/// An element.
pub struct Element {
    /// Name in `-s NAME`.
    pub name: &'static str,
    /// Heading.
    pub heading: &'static str,
    /// How the value is shown.
    pub kind: Kind,
    /// One value a flow, or two: then the flow counts for both.
    pub sources: &'static [Source],
    /// A flow without the value counts for 0 in every version.
    pub always: bool,
}

/// Both sides of elements that counted one of them up to nfdump 1.7.1.
const BOTH_SIDES: &[(&str, &[Source])] = &[
    ("tos", &[Number(field::SRC_TOS), Number(field::DST_TOS)]),
    (
        "inmac",
        &[Number(field::IN_SRC_MAC), Number(field::IN_DST_MAC)],
    ),
];

/// Where nfdump 1.7.5 reads the direction of a flow: at its place, but in another extension.
const MISREAD_DIRECTION: &[Source] = &[Number(field::MISREAD_DIR)];

impl Element {
    /// Where the values come from in a version.
    #[must_use]
    pub fn sources_in(&self, facts: &Facts) -> &'static [Source] {
        if facts.misreads_direction && self.name == "dir" {
            return MISREAD_DIRECTION;
        }
        let both = BOTH_SIDES
            .iter()
            .find(|(name, _)| facts.later && *name == self.name);
        both.map_or(self.sources, |(_, sources)| *sources)
    }

    /// The heading as a version has it.
    #[must_use]
    pub fn heading_in(&self, facts: &Facts) -> &'static str {
        let found = facts
            .element_headings
            .iter()
            .find(|(name, _)| *name == self.name);
        found.map_or(self.heading, |(_, heading)| *heading)
    }

    /// Appends the value's text (not aligned).
    pub fn push_value(&self, out: &mut Vec<u8>, value: Value, full_ipv6: bool) {
        match self.kind {
            Kind::Address => push_statistic_address(out, value.high, value.low, full_ipv6),
            Kind::Port | Kind::Number => push_u64(out, value.low),
            Kind::Hex => {
                out.extend_from_slice(b"0x");
                push_hex(out, value.low);
            }
            Kind::Mac => push_mac(out, value.low),
            Kind::Mpls => {
                let start = out.len();
                push_mpls(out, value.low);
                align_right(out, start, 12);
            }
            Kind::Latency => put!(out, "      {:9.3}", value.low as f64 / 1000.0),
            Kind::Event => {
                const NAMES: [&str; 4] = ["ignore", "CREATE", "DELETE", "DENIED"];
                let name = usize::try_from(value.low)
                    .ok()
                    .and_then(|event| NAMES.get(event));
                put!(out, "      {:>6}", name.unwrap_or(&"UNKNOWN"));
            }
            Kind::Application => {
                put!(
                    out,
                    "{:2}..{}",
                    value.low >> 32,
                    value.low & u64::from(u32::MAX)
                );
            }
            Kind::Fingerprint => put!(out, "{:016x}{:016x}", value.high, value.low),
            Kind::Country if value.low == 0 => {}
            Kind::Country => push_country(out, value.low),
        }
    }
}

use Source::{Address, Computed, Number, Of};

const fn element(
    name: &'static str,
    heading: &'static str,
    kind: Kind,
    sources: &'static [Source],
) -> Element {
    Element {
        name,
        heading,
        kind,
        sources,
        always: matches!(name.as_bytes(), b"srcas" | b"dstas" | b"as"),
    }
}

const SRC_IP: Source = Address(|record| record.src_ip());
const DST_IP: Source = Address(|record| record.dst_ip());
const XLATE_SRC_IP: Source = Address(xlate_src_ip);
const XLATE_DST_IP: Source = Address(xlate_dst_ip);

/// All elements, named and headed as in nfdump 1.7.1.
pub static ELEMENTS: &[Element] = &[
    element("srcip", "Src IP Addr", Kind::Address, &[SRC_IP]),
    element("dstip", "Dst IP Addr", Kind::Address, &[DST_IP]),
    element("ip", "IP Addr", Kind::Address, &[SRC_IP, DST_IP]),
    element(
        "nhip",
        "Nexthop IP",
        Kind::Address,
        &[Address(|record| record.next_hop())],
    ),
    element(
        "nhbip",
        "Nexthop BGP IP",
        Kind::Address,
        &[Address(|record| record.bgp_next_hop())],
    ),
    element(
        "router",
        "Router IP",
        Kind::Address,
        &[Address(|record| record.exporter_ip())],
    ),
    element(
        "srcport",
        "Src Port",
        Kind::Port,
        &[Number(field::SRC_PORT)],
    ),
    element(
        "dstport",
        "Dst Port",
        Kind::Port,
        &[Number(field::DST_PORT)],
    ),
    element(
        "port",
        "Port",
        Kind::Port,
        &[Number(field::SRC_PORT), Number(field::DST_PORT)],
    ),
    element("proto", "Protocol", Kind::Number, &[Number(field::PROTO)]),
    element("tos", "Tos", Kind::Number, &[Number(field::SRC_TOS)]),
    element("srctos", "Tos", Kind::Number, &[Number(field::SRC_TOS)]),
    element("dsttos", "Dst Tos", Kind::Number, &[Number(field::DST_TOS)]),
    element("dir", "Dir", Kind::Number, &[Number(field::DIR)]),
    element("srcas", "Src AS", Kind::Number, &[Number(field::SRC_AS)]),
    element("dstas", "Dst AS", Kind::Number, &[Number(field::DST_AS)]),
    element(
        "as",
        "AS",
        Kind::Number,
        &[Number(field::SRC_AS), Number(field::DST_AS)],
    ),
    element("prevas", "Prev AS", Kind::Number, &[Number(field::PREV_AS)]),
    element("nextas", "Next AS", Kind::Number, &[Number(field::NEXT_AS)]),
    element("inif", "Input If", Kind::Number, &[Number(field::INPUT)]),
    element("outif", "Output If", Kind::Number, &[Number(field::OUTPUT)]),
    element(
        "if",
        "In/Out If",
        Kind::Number,
        &[Number(field::INPUT), Number(field::OUTPUT)],
    ),
    element(
        "srcmask",
        "Src Mask",
        Kind::Number,
        &[Number(field::SRC_MASK)],
    ),
    element(
        "dstmask",
        "Dst Mask",
        Kind::Number,
        &[Number(field::DST_MASK)],
    ),
    element(
        "mask",
        "Mask",
        Kind::Number,
        &[Number(field::SRC_MASK), Number(field::DST_MASK)],
    ),
    element(
        "srcvlan",
        "Src Vlan",
        Kind::Number,
        &[Number(field::SRC_VLAN)],
    ),
    element(
        "dstvlan",
        "Dst Vlan",
        Kind::Number,
        &[Number(field::DST_VLAN)],
    ),
    element(
        "vlan",
        "Vlan",
        Kind::Number,
        &[Number(field::SRC_VLAN), Number(field::DST_VLAN)],
    ),
    element(
        "insrcmac",
        "In Src Mac",
        Kind::Mac,
        &[Number(field::IN_SRC_MAC)],
    ),
    element(
        "outdstmac",
        "Out Dst Mac",
        Kind::Mac,
        &[Number(field::OUT_DST_MAC)],
    ),
    element(
        "indstmac",
        "In Dst Mac",
        Kind::Mac,
        &[Number(field::IN_DST_MAC)],
    ),
    element(
        "outsrcmac",
        "Out Src Mac",
        Kind::Mac,
        &[Number(field::OUT_SRC_MAC)],
    ),
    element(
        "srcmac",
        "Src Mac",
        Kind::Mac,
        &[Number(field::IN_SRC_MAC), Number(field::OUT_SRC_MAC)],
    ),
    element(
        "dstmac",
        "Dst Mac",
        Kind::Mac,
        &[Number(field::IN_DST_MAC), Number(field::OUT_DST_MAC)],
    ),
    // nfdump 1.7.1 counts only the source here, though outmac counts both.
    element(
        "inmac",
        "In Src Mac",
        Kind::Mac,
        &[Number(field::IN_SRC_MAC)],
    ),
    element(
        "outmac",
        "Out Src Mac",
        Kind::Mac,
        &[Number(field::OUT_SRC_MAC), Number(field::OUT_DST_MAC)],
    ),
    element(
        "mpls1",
        " MPLS lab 1",
        Kind::Mpls,
        &[Number(field::mpls_label(0))],
    ),
    element(
        "mpls2",
        " MPLS lab 2",
        Kind::Mpls,
        &[Number(field::mpls_label(1))],
    ),
    element(
        "mpls3",
        " MPLS lab 3",
        Kind::Mpls,
        &[Number(field::mpls_label(2))],
    ),
    element(
        "mpls4",
        " MPLS lab 4",
        Kind::Mpls,
        &[Number(field::mpls_label(3))],
    ),
    element(
        "mpls5",
        " MPLS lab 5",
        Kind::Mpls,
        &[Number(field::mpls_label(4))],
    ),
    element(
        "mpls6",
        " MPLS lab 6",
        Kind::Mpls,
        &[Number(field::mpls_label(5))],
    ),
    element(
        "mpls7",
        " MPLS lab 7",
        Kind::Mpls,
        &[Number(field::mpls_label(6))],
    ),
    element(
        "mpls8",
        " MPLS lab 8",
        Kind::Mpls,
        &[Number(field::mpls_label(7))],
    ),
    element(
        "mpls9",
        " MPLS lab 9",
        Kind::Mpls,
        &[Number(field::mpls_label(8))],
    ),
    element(
        "mpls10",
        "MPLS lab 10",
        Kind::Mpls,
        &[Number(field::mpls_label(9))],
    ),
    element(
        "cl",
        "Client Latency",
        Kind::Latency,
        &[Number(field::CLIENT_LATENCY)],
    ),
    element(
        "sl",
        "Server Latency",
        Kind::Latency,
        &[Number(field::SERVER_LATENCY)],
    ),
    element(
        "al",
        "  Appl Latency",
        Kind::Latency,
        &[Number(field::APP_LATENCY)],
    ),
    element(
        "odid",
        "obs domainID",
        Kind::Hex,
        &[Number(field::OBSERVATION_DOMAIN)],
    ),
    element(
        "opid",
        " obs PointID",
        Kind::Hex,
        &[Number(field::OBSERVATION_POINT)],
    ),
    element(
        "ivrf",
        " I-vrf-ID",
        Kind::Number,
        &[Number(field::INGRESS_VRF)],
    ),
    element(
        "evrf",
        " E-vrf-ID",
        Kind::Number,
        &[Number(field::EGRESS_VRF)],
    ),
    element("xsrcip", "X-Src IP Addr", Kind::Address, &[XLATE_SRC_IP]),
    element("xdstip", "X-Dst IP Addr", Kind::Address, &[XLATE_DST_IP]),
    element(
        "xsrcport",
        " X-Src Port",
        Kind::Port,
        &[Number(field::XLATE_SRC_PORT)],
    ),
    element(
        "xdstport",
        " X-Dst Port",
        Kind::Port,
        &[Number(field::XLATE_DST_PORT)],
    ),
    element("nsrcip", "X-Src IP Addr", Kind::Address, &[XLATE_SRC_IP]),
    element("ndstip", "X-Dst IP Addr", Kind::Address, &[XLATE_DST_IP]),
    element(
        "nsrcport",
        " X-Src Port",
        Kind::Port,
        &[Number(field::XLATE_SRC_PORT)],
    ),
    element(
        "ndstport",
        " X-Dst Port",
        Kind::Port,
        &[Number(field::XLATE_DST_PORT)],
    ),
    element(
        "event",
        " Event",
        Kind::Event,
        &[Of(field::ext::NSEL_COMMON, |record| {
            number(events::of_record(record).number)
        })],
    ),
    element(
        "nevent",
        " Event",
        Kind::Event,
        &[Of(field::ext::NSEL_COMMON, |record| {
            number(events::of_record(record).number)
        })],
    ),
    element(
        "xevent",
        "X-Event",
        Kind::Number,
        &[Number(field::NSEL_FW_XEVENT)],
    ),
    element(
        "iacl",
        "Ingress ACL",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::ingress_acl(0)))
        })],
    ),
    element(
        "iace",
        "Ingress ACE",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::ingress_acl(1)))
        })],
    ),
    element(
        "ixace",
        "Ingress xACE",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::ingress_acl(2)))
        })],
    ),
    element(
        "eacl",
        "Egress ACL",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::egress_acl(0)))
        })],
    ),
    element(
        "eace",
        "Egress ACE",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::egress_acl(1)))
        })],
    ),
    element(
        "exace",
        "Egress xACE",
        Kind::Hex,
        &[Of(field::ext::NSEL_ACL, |record| {
            number(record.access_list(field::egress_acl(2)))
        })],
    ),
    element(
        "nbar",
        "nbar",
        Kind::Application,
        &[Of(field::ext::NBAR_APP, |record| {
            let (engine, selector) = application(record);
            number(u64::from(engine) << 32 | u64::from(selector))
        })],
    ),
    element(
        "ja3",
        "                             ja3",
        Kind::Fingerprint,
        &[Of(field::ext::IN_PAYLOAD, |record| {
            let payload = record.extension(field::ext::IN_PAYLOAD).unwrap_or_default();
            let hash = Hello::parse(payload).map_or(0, |hello| hello.fingerprint());
            Value {
                high: (hash >> 64) as u64,
                low: hash as u64,
            }
        })],
    ),
    // Countries need a geo database; without one all flows are of the same, nameless one.
    element(
        "srcgeo",
        "Src Geo",
        Kind::Country,
        &[Computed(|record| country(record, field::SRC_COUNTRY))],
    ),
    element(
        "dstgeo",
        "Dst Geo",
        Kind::Country,
        &[Computed(|record| country(record, field::DST_COUNTRY))],
    ),
    element(
        "geo",
        "Geo",
        Kind::Country,
        &[
            Computed(|record| country(record, field::SRC_COUNTRY)),
            Computed(|record| country(record, field::DST_COUNTRY)),
        ],
    ),
];

fn country(record: &RecordView<'_>, place: Location) -> Value {
    number(record.get_or_zero(place))
}

fn number(low: u64) -> Value {
    Value { high: 0, low }
}
