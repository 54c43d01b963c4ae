//! What was reported: the flow records of messages, under the same keys as packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use protocol::limits::Limits;
use protocol::reader::Reader;
use protocol::session::{Counters, DataRecord, Events, LossUnit, MessageInfo, Session};
use protocol::template::{FieldSpecifier, REVERSE_PEN, TemplateKind};
use protocol::value::unsigned;
use tap::{Message, Receiver};

use super::device::Device;
use super::key::{Fields, Key};

/// So many records are compared.
const MOST_RECORDS: u64 = 10_000_000;

/// Seconds between the epochs of NTP and Unix.
const NTP_EPOCH: u64 = 2_208_988_800;

const SECOND_NS: i64 = 1_000_000_000;
const MILLISECOND_NS: i64 = 1_000_000;
const MICROSECOND_NS: i64 = 1_000;

/// A time as it was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub ns: i64,
    /// What one more means, nanoseconds: two times of a record differ by as much from their packets.
    pub unit_ns: i64,
    /// What its base can be off: a header of NetFlow has whole seconds.
    pub base_ns: i64,
}

/// What one record says of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// Packets.
    pub packets: u64,
    /// Octets in the device's layer; `None` if it does not say.
    pub octets: Option<u64>,
    /// Octets of layer 7, where they have an element of their own (401).
    pub payload: Option<u64>,
    /// First packet.
    pub first: Option<Stamp>,
    /// Last packet.
    pub last: Option<Stamp>,
    /// Its record is of both directions, and so are its times.
    pub pair: bool,
    /// Its counts are running totals.
    pub total: bool,
    /// Number of its message, from 1.
    pub message: u64,
    /// Times as milliseconds of an uptime whose start options tell.
    uptime: [Option<u32>; 2],
    origin: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Reported {
    session: Session,
    gathered: Gathered,
}

/// What has been gathered of the records.
#[derive(Debug, Default)]
pub struct Gathered {
    fields: Option<Fields>,
    /// By key.
    pub keys: HashMap<Key, Vec<Claim>, RandomState>,
    /// Flow records.
    pub records: u64,
    /// Of these, records of both directions.
    pub biflows: u64,
    /// Of these, records without addresses: of frames without an IP header.
    pub without_key: u64,
    /// Of these, records without packet counts.
    pub without_counts: u64,
    /// Records beyond those that are kept.
    pub passed_over: u64,
    /// Messages.
    pub messages: u64,
    /// What sequence numbers say is missing: messages, records.
    pub missing: u64,
    /// Domains of exporters, and when their uptime began (element 160), milliseconds since 1970.
    origins: Vec<((IpAddr, u32), Option<u64>)>,
}

impl Reported {
    /// Nothing yet.
    pub fn new(device: &Device) -> Self {
        Self {
            session: Session::new(Limits::default()),
            gathered: Gathered {
                fields: Some(device.fields()),
                ..Gathered::default()
            },
        }
    }

    /// All records, and what the decoder counted.
    pub fn finish(self) -> (Gathered, Counters) {
        let mut gathered = self.gathered;
        let origins = std::mem::take(&mut gathered.origins);
        for claim in gathered.keys.values_mut().flatten() {
            let start = origins.get(claim.origin).and_then(|(_, start)| *start);
            let Some(start) = start.and_then(|start| i64::try_from(start).ok()) else {
                continue;
            };
            let absolute = |uptime: u32| Stamp {
                ns: start
                    .saturating_add(i64::from(uptime))
                    .saturating_mul(MILLISECOND_NS),
                unit_ns: MILLISECOND_NS,
                base_ns: SECOND_NS,
            };
            let [first, last] = claim.uptime;
            claim.first = claim.first.or(first.map(absolute));
            claim.last = claim.last.or(last.map(absolute));
        }
        (gathered, *self.session.counters())
    }
}

impl Receiver for Reported {
    fn message(&mut self, message: &Message<'_>) {
        self.gathered.messages += 1;
        if message.transport == tap::Transport::Udp {
            self.session.datagram(
                message.at_ms,
                message.from,
                message.bytes,
                &mut self.gathered,
            );
        } else {
            self.session.message(
                message.at_ms,
                message.from,
                message.bytes,
                &mut self.gathered,
            );
        }
        self.session.tick(message.at_ms, &mut self.gathered);
    }

    fn closed(&mut self, from: std::net::SocketAddr, _to: std::net::SocketAddr) {
        self.session.close(from, &mut self.gathered);
    }
}

impl Events for Gathered {
    fn record(&mut self, record: &DataRecord<'_>) {
        match record.template.kind() {
            TemplateKind::Options { .. } => self.options(record),
            TemplateKind::Data => self.flow(record),
        }
    }

    fn loss(&mut self, _message: &MessageInfo, missing: u64, _unit: LossUnit) {
        self.missing = self.missing.saturating_add(missing);
    }

    fn recovered(&mut self, _message: &MessageInfo, found: u64, _unit: LossUnit) {
        self.missing = self.missing.saturating_sub(found);
    }
}

/// Calls `each` with the values of a record.
fn values(record: &DataRecord<'_>, mut each: impl FnMut(FieldSpecifier, &[u8])) {
    let mut reader = Reader::new(record.bytes);
    for field in record.template.fields() {
        let Ok(value) = field.value(&mut reader) else {
            return;
        };
        each(*field, value.rest());
    }
}

impl Gathered {
    fn origin(&mut self, message: &MessageInfo) -> usize {
        let name = (message.exporter.ip(), message.domain);
        let known = self.origins.iter().position(|(known, _)| *known == name);
        known.unwrap_or_else(|| {
            self.origins.push((name, None));
            self.origins.len() - 1
        })
    }

    /// The start of an uptime (systemInitTimeMilliseconds).
    fn options(&mut self, record: &DataRecord<'_>) {
        if record.message.version != 10 {
            return;
        }
        let mut start = None;
        values(record, |field, octets| {
            if (field.pen, field.id) == (0, 160) {
                start = unsigned(octets);
            }
        });
        if start.is_some() {
            let at = self.origin(record.message);
            if let Some(origin) = self.origins.get_mut(at) {
                origin.1 = start;
            }
        }
    }

    fn flow(&mut self, record: &DataRecord<'_>) {
        self.records += 1;
        let mut read = Read::default();
        values(record, |field, octets| {
            // What is no number of its element is nothing.
            let _ = read.take(field, octets, record.message);
        });
        let Some((key, fields)) = read.key().zip(self.fields) else {
            self.without_key += 1;
            return;
        };
        let [forward, reverse] = read.counts;
        if forward.packets.is_none() && reverse.packets.is_none() {
            self.without_counts += 1;
            return;
        }
        let origin = self.origin(record.message);
        let both = reverse.packets.is_some_and(|packets| packets > 0);
        self.biflows += u64::from(reverse.packets.is_some());
        let message = self.messages;
        let key = fields.keep(key);
        let claim = |counts: Counts, times: [Option<Stamp>; 2], pair| Claim {
            packets: counts.packets.unwrap_or(0),
            octets: counts.octets,
            payload: counts.payload,
            first: times[0],
            last: times[1],
            pair,
            total: counts.total,
            message,
            uptime: read.uptime,
            origin,
        };
        if forward.packets.is_some_and(|packets| packets > 0) {
            self.add(key, claim(forward, read.times, both));
        }
        if both {
            let own = read.reverse_times.iter().all(Option::is_some);
            let times = if own { read.reverse_times } else { read.times };
            self.add(key.reversed(), claim(reverse, times, !own));
        }
    }

    fn add(&mut self, key: Key, claim: Claim) {
        if self.records > MOST_RECORDS {
            self.passed_over += 1;
            return;
        }
        let claims = self.keys.entry(key).or_default();
        // A running total says what the one before said, and more.
        let before = claims
            .last_mut()
            .filter(|before| claim.total && before.total && before.first == claim.first);
        match before {
            Some(before) => *before = claim,
            None => claims.push(claim),
        }
    }
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: Option<u64>,
    octets: Option<u64>,
    payload: Option<u64>,
    total: bool,
}

/// A record being read.
#[derive(Debug, Default)]
struct Read {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    src_port: u16,
    dst_port: u16,
    protocol: u8,
    vlan: u16,
    /// Forward and reverse.
    counts: [Counts; 2],
    times: [Option<Stamp>; 2],
    reverse_times: [Option<Stamp>; 2],
    uptime: [Option<u32>; 2],
}

impl Read {
    fn key(&self) -> Option<Key> {
        Some(Key {
            src: self.src?,
            dst: self.dst?,
            src_port: self.src_port,
            dst_port: self.dst_port,
            protocol: self.protocol,
            vlan: self.vlan,
        })
    }

    fn take(&mut self, field: FieldSpecifier, octets: &[u8], message: &MessageInfo) -> Option<()> {
        let reverse = match field.pen {
            0 => false,
            REVERSE_PEN => true,
            _ => return None,
        };
        let small = || u16::try_from(unsigned(octets)?).ok();
        match field.id {
            8 | 12 | 27 | 28 if !reverse => {
                let address = address(octets)?;
                let place = if matches!(field.id, 8 | 27) {
                    &mut self.src
                } else {
                    &mut self.dst
                };
                // Some templates hold addresses of both families, one of them empty.
                if place.is_none_or(|known| known.is_unspecified() && !address.is_unspecified()) {
                    *place = Some(address);
                }
            }
            7 if !reverse => self.src_port = small()?,
            11 if !reverse => self.dst_port = small()?,
            4 if !reverse => self.protocol = u8::try_from(unsigned(octets)?).ok()?,
            58 | 243 | 254 if !reverse => self.vlan = small()? & 0x0fff,
            1 | 2 | 85 | 86 | 401 => self.count(field.id, reverse, unsigned(octets)?),
            231 => self.count(1, false, unsigned(octets)?),
            232 => self.count(1, true, unsigned(octets)?),
            298 => self.count(2, false, unsigned(octets)?),
            299 => self.count(2, true, unsigned(octets)?),
            21 | 22 | 150..=159 => self.time(field.id, reverse, octets, message)?,
            _ => {}
        }
        Some(())
    }

    fn count(&mut self, id: u16, reverse: bool, value: u64) {
        let [forward, backward] = &mut self.counts;
        let counts = if reverse { backward } else { forward };
        match id {
            1 => counts.octets = Some(value),
            2 => counts.packets = Some(value),
            401 => counts.payload = Some(value),
            // A record may have both; the delta is what adds up.
            85 if counts.octets.is_none() => counts.octets = Some(value),
            86 if counts.packets.is_none() => {
                counts.packets = Some(value);
                counts.total = true;
            }
            _ => {}
        }
    }

    fn time(&mut self, id: u16, reverse: bool, octets: &[u8], message: &MessageInfo) -> Option<()> {
        let value = unsigned(octets)?;
        let last = match id {
            // Element 21 is the end, 22 the start.
            21 => true,
            22 => false,
            id => id % 2 == 1,
        };
        let at = usize::from(last);
        let export_ns = i64::try_from(message.export_ms)
            .ok()?
            .checked_mul(MILLISECOND_NS)?;
        let stamp = match id {
            21 | 22 => {
                let uptime = u32::try_from(value).ok()?;
                let Some(now) = message.uptime_ms else {
                    if !reverse {
                        *self.uptime.get_mut(at)? = Some(uptime);
                    }
                    return Some(());
                };
                let ago = i64::from(now.wrapping_sub(uptime).cast_signed());
                Stamp {
                    ns: export_ns.checked_sub(ago.checked_mul(MILLISECOND_NS)?)?,
                    unit_ns: MILLISECOND_NS,
                    base_ns: SECOND_NS,
                }
            }
            150 | 151 => absolute(value, SECOND_NS)?,
            152 | 153 => absolute(value, MILLISECOND_NS)?,
            154..=157 => {
                let seconds = i64::try_from((value >> 32).checked_sub(NTP_EPOCH)?).ok()?;
                let fraction = ((value & 0xffff_ffff) * SECOND_NS as u64) >> 32;
                Stamp {
                    ns: seconds.checked_mul(SECOND_NS)? + fraction as i64,
                    unit_ns: if id < 156 { MICROSECOND_NS } else { 1 },
                    base_ns: 0,
                }
            }
            // Microseconds before the export.
            _ => Stamp {
                ns: export_ns
                    .checked_sub(i64::try_from(value).ok()?.checked_mul(MICROSECOND_NS)?)?,
                unit_ns: MICROSECOND_NS,
                base_ns: SECOND_NS,
            },
        };
        let times = if reverse {
            &mut self.reverse_times
        } else {
            &mut self.times
        };
        *times.get_mut(at)? = Some(stamp);
        Some(())
    }
}

fn absolute(value: u64, unit_ns: i64) -> Option<Stamp> {
    Some(Stamp {
        ns: i64::try_from(value).ok()?.checked_mul(unit_ns)?,
        unit_ns,
        base_ns: 0,
    })
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(octets).ok()?;
    Some(Ipv6Addr::from(v6).into())
}
