//! Values of records: alone and together.

use protocol::registry::{DataType, ie};
use protocol::template::REVERSE_PEN;
use protocol::value::unsigned;

use super::counters::{Counter, Counters};
use super::domain::Domain;
use super::layout::{Field, Layout, Value};
use super::message::Message;
use super::rules::{Desk, R};
use super::sampling::Sampling;
use super::times::Times;
use crate::verdict::Verdict;

/// NAT events that have a meaning (IANA "NAT Event Type").
const NAT_EVENTS: u64 = 18;

/// A value and where it stands.
type At<T> = Option<(T, usize)>;

/// What one record says, as far as it must agree with itself or its header.
#[derive(Debug, Default)]
pub(super) struct Facts {
    times: Times,
    counters: Counters,
    sampling: Sampling,
    ip_version: At<u64>,
    source_v6: At<[u8; 16]>,
    destination_v6: At<[u8; 16]>,
    has_v4: bool,
    nonzero_v4: bool,
    template_id: Option<u16>,
    flow_keys: At<u64>,
    port_range: [At<u64>; 2],
    /// icmpTypeCodeIPv4, icmpTypeIPv4, icmpCodeIPv4, and the same of IPv6.
    icmp: [At<u64>; 6],
}

impl Facts {
    /// Takes in one value, and judges what can be judged of it alone.
    pub(super) fn field(
        &mut self,
        field: &Field,
        value: Value<'_>,
        message: &Message<'_>,
        desk: &mut Desk,
    ) {
        let Some(element) = field.element() else {
            return;
        };
        let Value { octets, offset, .. } = value;
        match element.data_type {
            DataType::String if message.version == 10 => {
                let kept = std::str::from_utf8(octets).is_ok();
                desk.judge(
                    R::F09,
                    kept,
                    Verdict::DataLoss,
                    offset,
                    octets.len(),
                    || format!("{} is no UTF-8", field.name()),
                );
            }
            DataType::Boolean if message.version == 10 => {
                let kept = matches!(octets, [1 | 2]);
                desk.judge(
                    R::F10,
                    kept,
                    Verdict::WrongData,
                    offset,
                    octets.len(),
                    || format!("{} is neither 1 nor 2", field.name()),
                );
            }
            _ => {}
        }
        if field.pen != 0 {
            if let (REVERSE_PEN, Some(number)) = (field.pen, unsigned(octets)) {
                self.counter(field, number, value);
            }
            return;
        }
        match (element.data_type, unsigned(octets)) {
            (DataType::Ipv4Address | DataType::Ipv6Address, _) => {
                self.address(field, octets, offset);
            }
            (DataType::Float64, _) => self.sampling.float(field, octets),
            (DataType::OctetArray, _) if field.is(ie::APPLICATION_ID) => {
                judge_application(octets, offset, desk);
            }
            (
                DataType::DateTimeSeconds
                | DataType::DateTimeMilliseconds
                | DataType::DateTimeMicroseconds
                | DataType::DateTimeNanoseconds,
                Some(raw),
            ) => {
                let value = (raw, octets.len());
                self.times
                    .absolute(field, element.data_type, value, offset, message, desk);
            }
            (_, Some(number)) if !octets.is_empty() => {
                judge_range(field, number, octets.len(), offset, message, desk);
                self.counter(field, number, value);
                self.number(field, number, offset, desk);
            }
            _ => {}
        }
    }

    fn counter(&mut self, field: &Field, number: u64, value: Value<'_>) {
        let counter = Counter {
            number,
            length: value.octets.len(),
            offset: value.offset,
        };
        self.counters.number(field, counter);
    }

    fn address(&mut self, field: &Field, value: &[u8], offset: usize) {
        match field.id {
            ie::SOURCE_IPV4_ADDRESS | ie::DESTINATION_IPV4_ADDRESS => {
                self.has_v4 = true;
                self.nonzero_v4 |= value.iter().any(|octet| *octet != 0);
            }
            ie::SOURCE_IPV6_ADDRESS => {
                self.source_v6 = value.try_into().ok().map(|address| (address, offset));
            }
            ie::DESTINATION_IPV6_ADDRESS => {
                self.destination_v6 = value.try_into().ok().map(|address| (address, offset));
            }
            _ => {}
        }
    }

    fn number(&mut self, field: &Field, number: u64, offset: usize, desk: &mut Desk) {
        self.times.relative(field, number, offset);
        self.sampling.number(field, number, offset, desk);
        let at = Some((number, offset));
        let icmp = match field.id {
            ie::IP_VERSION => return self.ip_version = at,
            ie::TEMPLATE_ID => return self.template_id = u16::try_from(number).ok(),
            ie::FLOW_KEY_INDICATOR => return self.flow_keys = at,
            ie::PORT_RANGE_START => return self.port_range[0] = at,
            ie::PORT_RANGE_END => return self.port_range[1] = at,
            ie::ICMP_TYPE_CODE_IPV4 => 0,
            ie::ICMP_TYPE_IPV4 => 1,
            ie::ICMP_CODE_IPV4 => 2,
            ie::ICMP_TYPE_CODE_IPV6 => 3,
            ie::ICMP_TYPE_IPV6 => 4,
            ie::ICMP_CODE_IPV6 => 5,
            _ => return,
        };
        if let Some(slot) = self.icmp.get_mut(icmp) {
            *slot = at;
        }
    }

    /// Judges the record as a whole.
    pub(super) fn judge(
        &self,
        message: &Message<'_>,
        layout: &Layout,
        domain: &Domain,
        desk: &mut Desk,
    ) {
        self.times.judge(message, desk);
        self.judge_family(desk);
        self.judge_port_block(desk);
        if message.version == 9 {
            self.judge_icmp(desk);
            self.sampling.judge_v9(desk);
        }
        if layout.scopes.is_none() {
            self.counters.judge(self.ip(), message, desk);
        } else if message.version == 10 {
            self.judge_flow_keys(domain, desk);
            self.sampling.judge(desk);
        }
    }

    /// The version of the flow's packets, if it is known to be IP.
    fn ip(&self) -> Option<u8> {
        let addresses = [&self.source_v6, &self.destination_v6];
        let addresses = addresses.into_iter().flatten().map(|(address, _)| address);
        let given = addresses.filter(|address| **address != [0; 16]);
        match self.ip_version {
            Some((4, _)) => Some(4),
            Some((6, _)) => Some(6),
            _ if self.nonzero_v4 => Some(4),
            // IPv4 addresses in IPv6 fields, rightly or not.
            _ if given
                .clone()
                .any(|address| is_packed(address) || is_mapped(address)) =>
            {
                Some(4)
            }
            _ => given.clone().next().map(|_| 6),
        }
    }

    /// RFC 8158: a block of ports does not end before it begins.
    fn judge_port_block(&self, desk: &mut Desk) {
        if let [Some((start, at)), Some((end, _))] = self.port_range {
            // An end of 0 says that there is no block.
            let kept = start <= end || end == 0;
            desk.judge(R::F24, kept, Verdict::WrongData, at, 2, || {
                format!("a block of ports begins at {start} and ends at {end}")
            });
        }
    }

    /// RFC 3954 section 8: type * 256 + code.
    fn judge_icmp(&self, desk: &mut Desk) {
        let [v4, v6] = [0, 3].map(|from| self.icmp.get(from..from + 3));
        for numbers in [v4, v6] {
            if let Some([Some((both, at)), Some((kind, _)), Some((code, _))]) = numbers {
                let right = kind * 256 + code;
                desk.judge(R::F17, *both == right, Verdict::WrongData, *at, 2, || {
                    format!("the ICMP type and code are {kind} and {code}, together {right}, and {both} is said")
                });
            }
        }
    }

    /// The address family against its fields.
    fn judge_family(&self, desk: &mut Desk) {
        let version = self.ip_version.map(|(version, _)| version);
        let given = |address: At<[u8; 16]>| address.filter(|(octets, _)| *octets != [0; 16]);
        let (source, destination) = (given(self.source_v6), given(self.destination_v6));
        let Some((octets, at)) = source.or(destination) else {
            let fields_v6 = self.source_v6.is_some() || self.destination_v6.is_some();
            if version == Some(6) && self.has_v4 && !fields_v6 && self.nonzero_v4 {
                let at = self.ip_version.map_or(0, |(_, at)| at);
                desk.judge(R::F19, false, Verdict::WrongData, at, 1, || {
                    "an IPv6 flow has IPv4 addresses".to_owned()
                });
            }
            return;
        };
        let both: Vec<[u8; 16]> = [source, destination]
            .into_iter()
            .flatten()
            .map(|(octets, _)| octets)
            .collect();
        let mapped = both.iter().all(is_mapped);
        let packed = both.iter().all(is_packed);
        let global = both
            .iter()
            .all(|address| address.first().is_some_and(|first| first >> 5 == 1));
        let kept = match version {
            Some(4) => mapped || self.nonzero_v4,
            Some(_) => true,
            None => !packed || global,
        };
        desk.judge(R::F19, kept, Verdict::WrongData, at, 16, || {
            let [a, b, c, d, ..] = octets;
            format!("an IPv4 address, perhaps {a}.{b}.{c}.{d}, stands in an IPv6 field")
        });
    }

    /// RFC 7011 section 4.4.
    fn judge_flow_keys(&self, domain: &Domain, desk: &mut Desk) {
        let (Some(id), Some((keys, at))) = (self.template_id, self.flow_keys) else {
            return;
        };
        let Some(known) = domain.templates.get(&id) else {
            return;
        };
        let fields = known.layout.fields.len();
        let beyond = u32::try_from(fields)
            .ok()
            .and_then(|shift| keys.checked_shr(shift))
            .unwrap_or(0);
        desk.judge(R::O11, beyond == 0, Verdict::Deviation, at, 8, || {
            format!("flow keys {keys:#x} name fields that template {id} with its {fields} fields does not have")
        });
    }
}

/// RFC 6759 section 4.1: one octet of engine and a selector of at least one.
fn judge_application(value: &[u8], offset: usize, desk: &mut Desk) {
    let (kept, what) = match value {
        [] | [_] => (false, "has no selector"),
        // Nothing was classified.
        [0, selector @ ..] => (
            selector.iter().all(|octet| *octet == 0),
            "names an application of engine 0, which is none",
        ),
        _ => (true, ""),
    };
    let length = value.len();
    desk.judge(R::F29, kept, Verdict::Deviation, offset, length, || {
        format!("applicationId (95) of {length} octets {what}")
    });
}

/// Values outside the range of their element.
fn judge_range(
    field: &Field,
    number: u64,
    length: usize,
    offset: usize,
    message: &Message<'_>,
    desk: &mut Desk,
) {
    let most = |most: u64| number <= most;
    let (rule, kept, verdict) = match field.id {
        ie::SOURCE_IPV4_PREFIX_LENGTH | ie::DESTINATION_IPV4_PREFIX_LENGTH => {
            (R::F21, most(32), Verdict::WrongData)
        }
        ie::SOURCE_IPV6_PREFIX_LENGTH | ie::DESTINATION_IPV6_PREFIX_LENGTH => {
            (R::F21, most(128), Verdict::WrongData)
        }
        ie::IP_VERSION => (R::F21, matches!(number, 0 | 4 | 6), Verdict::WrongData),
        ie::IP_DIFF_SERV_CODE_POINT => (R::F21, most(63), Verdict::WrongData),
        ie::FLOW_END_REASON if message.version == 10 => {
            (R::F22, (1..=5).contains(&number), Verdict::Deviation)
        }
        ie::FLOW_DIRECTION => (R::F23, most(1), Verdict::Deviation),
        ie::VLAN_ID
        | ie::POST_VLAN_ID
        | ie::DOT1Q_VLAN_ID
        | ie::DOT1Q_CUSTOMER_VLAN_ID
        | ie::POST_DOT1Q_VLAN_ID => (R::F23, most(4095), Verdict::WrongData),
        ie::DOT1Q_PRIORITY => (R::F23, most(7), Verdict::WrongData),
        ie::NAT_EVENT => (R::F24, most(NAT_EVENTS), Verdict::Deviation),
        _ => return,
    };
    desk.judge(rule, kept, verdict, offset, length, || {
        format!("{} is {number}", field.name())
    });
}

/// RFC 4291 section 2.5.5.2.
fn is_mapped(address: &[u8; 16]) -> bool {
    address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
}

/// Four octets and twelve zeros.
fn is_packed(address: &[u8; 16]) -> bool {
    let (head, tail) = address.split_at(4);
    head.iter().any(|octet| *octet != 0) && tail.iter().all(|octet| *octet == 0)
}
