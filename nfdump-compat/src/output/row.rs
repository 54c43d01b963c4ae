//! One line of a listing: a flow record with the counters to show for it (its own, or those of an aggregate).

use super::style::Style;
use crate::{
    field::{self, Location},
    names::{Application, Found, Names},
    record::RecordView,
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

/// Times and counters of one flow or of many added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// First packet, Unix milliseconds.
    pub first_ms: u64,
    /// Last packet, Unix milliseconds.
    pub last_ms: u64,
    /// Packets of the flow's own direction.
    pub in_packets: u64,
    /// Bytes of the flow's own direction.
    pub in_bytes: u64,
    /// Packets of the opposite direction.
    pub out_packets: u64,
    /// Bytes of the opposite direction.
    pub out_bytes: u64,
    /// Flows: 1 a record unless the exporter aggregated.
    pub flows: u64,
}

impl Counters {
    /// Those of no flows.
    pub const NONE: Self = Self {
        first_ms: 0,
        last_ms: 0,
        in_packets: 0,
        in_bytes: 0,
        out_packets: 0,
        out_bytes: 0,
        flows: 0,
    };

    /// The counters of one record; a field that the record does not have is 0, a flow count of 0 is 1.
    #[must_use]
    #[inline]
    pub fn of(record: &RecordView<'_>) -> Self {
        let generic = record.fixed::<{ field::GENERIC_LENGTH }>(field::ext::GENERIC_FLOW);
        let both = record.fixed::<{ field::COUNT_LENGTH }>(field::ext::CNT_FLOW);
        let of = |location: Location| generic.map_or(0, |data| word(data, location));
        let count = |location: Location| both.map_or(0, |data| word(data, location));
        Self {
            first_ms: of(field::MSEC_FIRST),
            last_ms: of(field::MSEC_LAST),
            in_packets: of(field::IN_PACKETS),
            in_bytes: of(field::IN_BYTES),
            out_packets: count(field::OUT_PACKETS),
            out_bytes: count(field::OUT_BYTES),
            flows: count(field::FLOWS).max(1),
        }
    }

    /// Adds another flow: counters summed (modulo 2^64), time span widened.
    pub fn add(&mut self, other: &Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.in_packets = self.in_packets.wrapping_add(other.in_packets);
        self.in_bytes = self.in_bytes.wrapping_add(other.in_bytes);
        self.out_packets = self.out_packets.wrapping_add(other.out_packets);
        self.out_bytes = self.out_bytes.wrapping_add(other.out_bytes);
        self.flows = self.flows.wrapping_add(other.flows);
    }

    /// Seen from the other end: both directions exchanged.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            in_packets: self.out_packets,
            in_bytes: self.out_bytes,
            out_packets: self.in_packets,
            out_bytes: self.in_bytes,
            ..*self
        }
    }

    /// Packets of both directions.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.in_packets.wrapping_add(self.out_packets)
    }

    /// Bytes of both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.in_bytes.wrapping_add(self.out_bytes)
    }

    /// Last minus first in milliseconds, modulo 2^64 as in nfdump.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.last_ms.wrapping_sub(self.first_ms)
    }
}

/// A field of 8 bytes in the data of its extension.
#[inline]
fn word(data: &[u8], location: Location) -> u64 {
    let field = data.get(usize::from(location.offset)..);
    field
        .and_then(|field| field.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What the fields of one output line are taken from.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The record, of an aggregate its first one.
    pub record: RecordView<'a>,
    /// Counters to show.
    pub counters: Counters,
    /// TCP flags, of an aggregate all that were seen.
    pub tcp_flags: u8,
    /// TCP flags of the opposite direction, of an aggregate of both directions.
    pub reverse_flags: u8,
    /// Number of the record, from 1; 0 for an aggregate.
    pub number: u64,
    /// The label that the filter gave it.
    pub label: Option<&'a str>,
    /// Names from the files.
    pub names: Option<&'a Names>,
}

impl Row<'_> {
    /// The field's value, 0 without it.
    #[must_use]
    pub fn get(&self, location: Location) -> u64 {
        self.record.get_or_zero(location)
    }

    /// The tunnel that the packets came in, if the exporter told.
    #[must_use]
    pub fn tunnel(&self) -> Option<Tunnel> {
        let outer = |v4, v6| self.record.address(v4, v6);
        let protocol = match self.record.get(field::TUN_PROTO_V4) {
            Some(protocol) => protocol,
            None => self.record.get(field::TUN_PROTO_V6)?,
        };
        if protocol == 0 {
            return None;
        }
        Some(Tunnel {
            protocol: protocol as u8,
            source: outer(field::TUN_SRC_IPV4, field::TUN_SRC_IPV6)?,
            destination: outer(field::TUN_DST_IPV4, field::TUN_DST_IPV6)?,
        })
    }

    /// Whether the filter or the record gave it a label.
    #[must_use]
    pub fn has_label(&self) -> bool {
        self.label.is_some() || self.record.has(field::ext::LABEL)
    }

    /// The label that the filter gave it, else that of the record; none of both is `<none>`.
    #[must_use]
    pub fn label_text(&self) -> Cow<'_, str> {
        match (self.label, self.record.extension(field::ext::LABEL)) {
            (Some(label), _) => Cow::Borrowed(label),
            (None, Some(label)) => text(label),
            (None, None) => Cow::Borrowed("<none>"),
        }
    }

    /// A word of an access list's ids, as the version reads it.
    #[must_use]
    pub fn access_list(&self, location: Location, style: &Style) -> u64 {
        if style.facts().later {
            self.get(location)
        } else {
            self.record.access_list(location)
        }
    }

    /// The user that a firewall event names; empty without one.
    #[must_use]
    pub fn user_name(&self) -> Cow<'_, str> {
        text(
            self.record
                .extension(field::ext::NSEL_USER)
                .unwrap_or_default(),
        )
    }

    /// The payload in this extension; empty without.
    #[must_use]
    pub fn payload(&self, extension: u16) -> &[u8] {
        self.record.extension(extension).unwrap_or_default()
    }

    /// Application id (RFC 6759): classification engine and selector.
    #[must_use]
    pub fn application(&self) -> (u8, u32) {
        application(&self.record)
    }

    /// Its name, if the files name it.
    #[must_use]
    pub fn application_name(&self) -> Option<&Application> {
        let id = self.record.extension(field::ext::NBAR_APP)?;
        self.names?.application(id)
    }

    /// Name of the interface whose number this field holds.
    #[must_use]
    pub fn interface_name(&self, location: Location) -> Found<'_> {
        self.names
            .map_or(Found::Nothing, |names| names.interface(self.get(location)))
    }

    /// Name of the VRF whose number this field holds.
    #[must_use]
    pub fn vrf_name(&self, location: Location) -> Found<'_> {
        self.names
            .map_or(Found::Nothing, |names| names.vrf(self.get(location)))
    }

    /// Source address after translation.
    #[must_use]
    pub fn xlate_src_ip(&self) -> Option<IpAddr> {
        xlate_src_ip(&self.record)
    }

    /// Destination address after translation.
    #[must_use]
    pub fn xlate_dst_ip(&self) -> Option<IpAddr> {
        xlate_dst_ip(&self.record)
    }

    /// IP protocol number.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.get(field::PROTO) as u8
    }

    /// True for ICMP and ICMPv6, whose destination port is type and code.
    #[must_use]
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol(), 1 | 58)
    }
}

/// The outer header of packets that came through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Protocol of the outer header.
    pub protocol: u8,
    /// Outer source address.
    pub source: IpAddr,
    /// Outer destination address.
    pub destination: IpAddr,
}

/// The text of a field up to its first NUL, invalid UTF-8 replaced.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// The address, or 0.0.0.0 for a record without it.
#[must_use]
pub fn or_unspecified(address: Option<IpAddr>) -> IpAddr {
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Source address after translation.
#[must_use]
pub fn xlate_src_ip(record: &RecordView<'_>) -> Option<IpAddr> {
    record.address(field::XLATE_SRC_IPV4, field::XLATE_SRC_IPV6)
}

/// Destination address after translation.
#[must_use]
pub fn xlate_dst_ip(record: &RecordView<'_>) -> Option<IpAddr> {
    record.address(field::XLATE_DST_IPV4, field::XLATE_DST_IPV6)
}

/// Application id (RFC 6759): classification engine and selector; zeroes without one.
#[must_use]
pub fn application(record: &RecordView<'_>) -> (u8, u32) {
    match record.extension(field::ext::NBAR_APP).unwrap_or_default() {
        [engine, selector @ ..] => {
            // Any more octets push the first ones out, as in nfdump.
            let number = selector
                .iter()
                .fold(0, |number: u32, octet| number << 8 | u32::from(*octet));
            (*engine, number)
        }
        [] => (0, 0),
    }
}
