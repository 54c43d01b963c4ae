//! Values of records: alone, together, and against the header.

use protocol::registry::{DataType, ie};
use protocol::value::unsigned;

use super::domain::Domain;
use super::layout::{Field, Layout};
use super::message::Message;
use super::rules::{Desk, R};
use crate::verdict::Verdict;

/// Clocks in headers have whole seconds, and messages take a moment to be made.
const TOLERANCE_MS: i64 = 3000;
const DAY_MS: i64 = 86_400_000;
/// 1980 and 1995: before the one no flow was ever metered, after the other most were.
const YEAR_1980_MS: i64 = 315_532_800_000;
const YEAR_1995_MS: i64 = 788_918_400_000;
/// Between the epochs of NTP and Unix.
const NTP_OFFSET_S: i64 = 2_208_988_800;
const HALF: u32 = 1 << 31;

/// A value and where it stands.
type At<T> = Option<(T, usize)>;

/// What one record says, as far as it must agree with itself or its header.
#[derive(Debug, Default)]
pub(super) struct Facts {
    first_uptime: At<u32>,
    last_uptime: At<u32>,
    /// Absolute times by unit: seconds, milliseconds, microseconds, nanoseconds.
    starts: [At<i64>; 4],
    ends: [At<i64>; 4],
    ip_version: At<u64>,
    source_v6: At<[u8; 16]>,
    destination_v6: At<[u8; 16]>,
    has_v4: bool,
    nonzero_v4: bool,
    template_id: Option<u16>,
    flow_keys: At<u64>,
    algorithm: At<u64>,
    interval: Option<u64>,
    space: Option<u64>,
    size: Option<u64>,
    population: Option<u64>,
    probability: Option<f64>,
}

impl Facts {
    /// Takes in one value, and judges what can be judged of it alone.
    pub(super) fn field(
        &mut self,
        field: &Field,
        value: &[u8],
        offset: usize,
        message: &Message<'_>,
        desk: &mut Desk,
    ) {
        let Some(element) = field.element() else {
            return;
        };
        match element.data_type {
            DataType::String if message.version == 10 => {
                let kept = std::str::from_utf8(value).is_ok();
                desk.judge(R::F09, kept, Verdict::DataLoss, offset, value.len(), || {
                    format!("{} is no UTF-8", field.name())
                });
            }
            DataType::Boolean if message.version == 10 => {
                let kept = matches!(value, [1 | 2]);
                desk.judge(
                    R::F10,
                    kept,
                    Verdict::WrongData,
                    offset,
                    value.len(),
                    || format!("{} is neither 1 nor 2", field.name()),
                );
            }
            _ => {}
        }
        if field.pen != 0 {
            return;
        }
        match (element.data_type, unsigned(value)) {
            (DataType::Ipv4Address | DataType::Ipv6Address, _) => {
                self.address(field, value, offset);
            }
            (DataType::Float64, _) => self.float(field, value),
            (
                DataType::DateTimeSeconds
                | DataType::DateTimeMilliseconds
                | DataType::DateTimeMicroseconds
                | DataType::DateTimeNanoseconds,
                Some(raw),
            ) => self.time(field, element.data_type, raw, offset, message, desk),
            (_, Some(number)) if !value.is_empty() => {
                judge_range(field, number, value.len(), offset, message, desk);
                self.number(field, number, offset);
            }
            _ => {}
        }
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

    fn float(&mut self, field: &Field, value: &[u8]) {
        if field.id == ie::SAMPLING_PROBABILITY {
            self.probability = match value.len() {
                8 => value.try_into().ok().map(f64::from_be_bytes),
                4 => value
                    .try_into()
                    .ok()
                    .map(|octets| f64::from(f32::from_be_bytes(octets))),
                _ => None,
            };
        }
    }

    fn number(&mut self, field: &Field, number: u64, offset: usize) {
        let narrow = u32::try_from(number).ok().map(|number| (number, offset));
        match field.id {
            ie::FLOW_START_SYS_UP_TIME => self.first_uptime = narrow,
            ie::FLOW_END_SYS_UP_TIME => self.last_uptime = narrow,
            ie::IP_VERSION => self.ip_version = Some((number, offset)),
            ie::TEMPLATE_ID => self.template_id = u16::try_from(number).ok(),
            ie::FLOW_KEY_INDICATOR => self.flow_keys = Some((number, offset)),
            ie::SELECTOR_ALGORITHM => self.algorithm = Some((number, offset)),
            ie::SAMPLING_PACKET_INTERVAL => self.interval = Some(number),
            ie::SAMPLING_PACKET_SPACE => self.space = Some(number),
            ie::SAMPLING_SIZE => self.size = Some(number),
            ie::SAMPLING_POPULATION => self.population = Some(number),
            _ => {}
        }
    }

    /// An absolute time, against the export time.
    fn time(
        &mut self,
        field: &Field,
        data_type: DataType,
        raw: u64,
        offset: usize,
        message: &Message<'_>,
        desk: &mut Desk,
    ) {
        if !(ie::FLOW_START_SECONDS..=ie::FLOW_END_NANOSECONDS).contains(&field.id) || raw == 0 {
            return;
        }
        let time_ms = in_ms(data_type, raw);
        let index = usize::from((field.id - ie::FLOW_START_SECONDS) / 2);
        let is_start = field.id.is_multiple_of(2);
        let times = if is_start {
            &mut self.starts
        } else {
            &mut self.ends
        };
        if let Some(slot) = times.get_mut(index) {
            *slot = Some((time_ms, offset));
        }
        let export_ms = message.export_ms();
        if export_ms < YEAR_1995_MS {
            return;
        }
        let latest = export_ms + DAY_MS;
        let absurd = time_ms > latest || time_ms < YEAR_1980_MS;
        let other = absurd.then(|| other_unit(data_type, raw, latest)).flatten();
        desk.judge(
            R::F11,
            other.is_none(),
            Verdict::WrongData,
            offset,
            8,
            || {
                format!(
                    "{} is absurd, and right if read as {}",
                    field.name(),
                    other.unwrap_or("")
                )
            },
        );
        if other.is_none() && time_ms > export_ms + TOLERANCE_MS {
            desk.fault(R::H11, Verdict::Deviation, message.seconds_at(), 4, || {
                format!(
                    "export time is {} ms before {} at octet {offset}",
                    time_ms - export_ms,
                    field.name()
                )
            });
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
        self.judge_uptimes(message, desk);
        for (start, end) in self.starts.iter().zip(&self.ends) {
            if let (Some((start, at)), Some((end, _))) = (start, end) {
                desk.judge(R::F11, start <= end, Verdict::WrongData, *at, 8, || {
                    format!("the flow begins {} ms after its end", start - end)
                });
            }
        }
        self.judge_family(desk);
        if layout.scopes.is_some() && message.version == 10 {
            self.judge_flow_keys(domain, desk);
            self.judge_sampling(desk);
        }
    }

    fn judge_uptimes(&self, message: &Message<'_>, desk: &mut Desk) {
        let Some(uptime) = message.uptime_ms else {
            return;
        };
        if let Some((last, at)) = self.last_uptime {
            judge_uptime(last, at, uptime, desk);
        }
        if let (Some((first, at)), Some((last, _)), 9) =
            (self.first_uptime, self.last_uptime, message.version)
        {
            let kept = last.wrapping_sub(first) < HALF;
            desk.judge(R::F14, kept, Verdict::WrongData, at, 4, || {
                format!(
                    "the flow begins {} ms after its end",
                    first.wrapping_sub(last)
                )
            });
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
        let mapped = both
            .iter()
            .all(|address| address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]));
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

    /// RFC 5476 section 6.5.2: an algorithm comes with its parameters.
    fn judge_sampling(&self, desk: &mut Desk) {
        let Some((algorithm, at)) = self.algorithm else {
            return;
        };
        let (rule, kept, what) = match algorithm {
            1 => (
                R::O16,
                self.interval.is_some_and(|interval| interval > 0) && self.space.is_some(),
                "interval (305) and space (306)",
            ),
            3 => (
                R::O17,
                matches!((self.size, self.population), (Some(size @ 1..), Some(population)) if population >= size),
                "size (309) and a population (310) not below it",
            ),
            4 => (
                R::O17,
                self.probability
                    .is_some_and(|probability| probability > 0.0 && probability <= 1.0),
                "a probability (311) above 0 and up to 1",
            ),
            _ => return,
        };
        // An interval alone is not what the RFC asks for, but tells collectors the rate.
        let verdict = if self.interval.is_some_and(|interval| interval > 0) {
            Verdict::Deviation
        } else {
            Verdict::WrongData
        };
        desk.judge(rule, kept, verdict, at, 2, || {
            format!("sampling algorithm {algorithm} is reported without {what}")
        });
    }
}

/// A record of NetFlow v5 or v9 against the uptime of its header. After the wrap a time may look larger than the
/// uptime; it then lies less than half the range in the past.
pub(super) fn judge_uptime(last: u32, at: usize, uptime: u32, desk: &mut Desk) {
    let ahead = last.wrapping_sub(uptime);
    let kept = last <= uptime || ahead >= HALF || i64::from(ahead) <= TOLERANCE_MS;
    desk.judge(R::H13, kept, Verdict::Deviation, at, 4, || {
        format!("the flow ends at uptime {last} ms, the header's uptime is {uptime} ms: {ahead} ms in the future, or 49.7 days less in the past")
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
        _ => return,
    };
    desk.judge(rule, kept, verdict, offset, length, || {
        format!("{} is {number}", field.name())
    });
}

/// Four octets and twelve zeros.
fn is_packed(address: &[u8; 16]) -> bool {
    let (head, tail) = address.split_at(4);
    head.iter().any(|octet| *octet != 0) && tail.iter().all(|octet| *octet == 0)
}

/// Milliseconds since 1970, as the type says (RFC 7011 sections 6.1.7 to 6.1.10).
fn in_ms(data_type: DataType, raw: u64) -> i64 {
    let wide = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    match data_type {
        DataType::DateTimeSeconds => wide(raw.saturating_mul(1000)),
        DataType::DateTimeMilliseconds => wide(raw),
        _ => {
            let seconds = i64::try_from(raw >> 32).unwrap_or(0) - NTP_OFFSET_S;
            // The era that began in 2036.
            let seconds = if raw >> 63 == 0 {
                seconds + (1 << 32)
            } else {
                seconds
            };
            seconds * 1000 + wide(((raw & 0xffff_ffff) * 1000) >> 32)
        }
    }
}

/// The unit in which an absurd time is a sensible one.
fn other_unit(data_type: DataType, raw: u64, latest: i64) -> Option<&'static str> {
    let ms = i64::try_from(raw).unwrap_or(i64::MAX);
    let readings = [
        (
            ms.saturating_mul(1000),
            DataType::DateTimeSeconds,
            "seconds since 1970",
        ),
        (
            ms,
            DataType::DateTimeMilliseconds,
            "milliseconds since 1970",
        ),
        (ms / 1000, DataType::Boolean, "microseconds since 1970"),
        (ms / 1_000_000, DataType::Boolean, "nanoseconds since 1970"),
        (
            in_ms(DataType::DateTimeNanoseconds, raw),
            DataType::DateTimeNanoseconds,
            "an NTP timestamp",
        ),
    ];
    let ntp = |data_type| {
        matches!(
            data_type,
            DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds
        )
    };
    readings
        .into_iter()
        .find(|(time_ms, reading, _)| {
            let own = *reading == data_type || (ntp(*reading) && ntp(data_type));
            !own && (YEAR_1995_MS..=latest).contains(time_ms)
        })
        .map(|(_, _, name)| name)
}
