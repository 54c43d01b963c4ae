//! A template compiled into a list of copies from the exporter's record into an nfcapd record.
//!
//! A plan holds the finished record with all its extensions, zeroed; mapping copies it and fills in what the template
//! carries. Extensions stand in the order in which the template mentions them first, as nfcapd writes them.

use std::net::IpAddr;

use nfdump_compat::field::{self, Location, ext};
use nfdump_compat::record::{FLAG_EVENT, FLAG_SAMPLED, RecordBuilder, RecordHeader};
use protocol::registry;
use protocol::session::MessageInfo;
use protocol::template::Template;

use super::elements::{Icmp, Target, Time, target};
use super::image::{
    HEADER_ENGINE_ID, HEADER_ENGINE_TYPE, HEADER_EXPORTER, HEADER_FLAGS, HEADER_SIZE, append, bit,
    data_range, halves, number, read, remove, starts, write,
};
use super::time::{Clock, Times};
use crate::knowledge::Sampling;

/// IP protocol numbers of ICMP and ICMPv6.
const ICMP: u64 = 1;
const ICMPV6: u64 = 58;

/// Extensions of which a record needs only one, IPv4 before IPv6.
const FAMILIES: [(u16, u16); 4] = [
    (ext::IPV4_FLOW, ext::IPV6_FLOW),
    (ext::BGP_NEXT_HOP_V4, ext::BGP_NEXT_HOP_V6),
    (ext::IP_NEXT_HOP_V4, ext::IP_NEXT_HOP_V6),
    (ext::XLATE_IPV4, ext::XLATE_IPV6),
];
/// What NetFlow v5 always has room for and often leaves zero; nfcapd then leaves the extension out.
const OPTIONAL_IN_V5: [u16; 3] = [ext::FLOW_MISC, ext::AS_ROUTING, ext::IP_NEXT_HOP_V4];

/// One copy.
#[derive(Clone, Copy, Debug)]
struct Op {
    /// Position of the field among the template's fields.
    index: usize,
    /// Its offset in the exporter's record; right only if all fields before it have fixed lengths.
    offset: usize,
    length: usize,
    action: Action,
}

/// What to do with a field's octets; positions are offsets in the nfcapd record.
#[derive(Clone, Copy, Debug)]
enum Action {
    Number { at: usize, width: u8 },
    NumberIfSet { at: usize, width: u8 },
    Address { at: usize },
    Octets { at: usize, width: u8 },
    Triple { at: usize },
    Add { at: usize, factor: u64 },
    Extension(u16),
    Time(Time),
    Icmp(Icmp),
    EngineType,
    EngineId,
    IpVersion,
}

/// What one record says beside plain fields, collected while it is copied.
#[derive(Default)]
struct Notes {
    times: Times,
    icmp_v4: Option<u16>,
    icmp_v6: Option<u16>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    engine_type: Option<u8>,
    engine_id: Option<u8>,
    ip_version: Option<u8>,
}

/// How records of one template become nfcapd records.
#[derive(Debug)]
pub struct Plan {
    ops: Box<[Op]>,
    /// Length of every record, or `None` if it varies.
    fixed_length: Option<usize>,
    /// The record without values and without the exporter's address.
    prototype: Box<[u8]>,
    /// Bit n: extension n is in the prototype.
    extensions: u64,
    /// Where the data of each extension begins in the prototype.
    starts: [usize; 64],
    /// The template carries the protocol, so ICMP elements count for ICMP only.
    has_protocol: bool,
    /// The template carries the observation domain itself.
    has_domain: bool,
    /// Extensions to leave out of a record that has them empty.
    trim: Trim,
}

/// Which extensions may turn out to be superfluous.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trim {
    Nothing,
    Families,
    V5,
}

impl Plan {
    /// Compiles a data template.
    #[must_use]
    pub fn compile(template: &Template) -> Self {
        let targets = targets(template);
        let mut builder = RecordBuilder::new();
        let mut extensions = 0_u64;
        builder.begin(&RecordHeader {
            // nfcapd has no number of its own for v7.
            nfversion: match template.version() {
                7 => 5,
                version => version as u8,
            },
            ..RecordHeader::default()
        });
        let mentioned = targets.iter().filter_map(|t| t.target.extension());
        // A record without the generic part is of no use to a reader: nfcapd adds it at the end of v9 records, too.
        for id in mentioned.chain([ext::GENERIC_FLOW]) {
            if extensions & bit(id) == 0 {
                extensions |= bit(id);
                builder.extension(id);
            }
        }
        let prototype: Box<[u8]> = builder.finish().into();
        let starts = starts(&prototype);
        let mut plan = Self {
            ops: Box::default(),
            fixed_length: template.fixed_length(),
            prototype,
            extensions,
            starts,
            has_protocol: targets
                .iter()
                .any(|t| t.target == Target::Number(field::PROTO)),
            has_domain: targets
                .iter()
                .any(|t| t.target == Target::Number(field::OBSERVATION_DOMAIN)),
            trim: trim(template.version(), extensions),
        };
        plan.ops = targets
            .iter()
            .filter_map(|t| {
                Some(Op {
                    index: t.index,
                    offset: t.offset,
                    length: t.length,
                    action: plan.action(t.target)?,
                })
            })
            .collect();
        plan.preset();
        plan
    }

    /// Values that a record has when the template does not mention them.
    fn preset(&mut self) {
        if self.has(ext::CNT_FLOW) {
            // Without its own count a record stands for one flow.
            let at = self.position(field::FLOWS);
            write(&mut self.prototype, at, 8, 1);
        }
        if (self.has(ext::NSEL_COMMON) || self.has(ext::NEL_COMMON))
            && let Some(flags) = self.prototype.get_mut(HEADER_FLAGS)
        {
            *flags |= FLAG_EVENT;
        }
    }

    fn has(&self, extension: u16) -> bool {
        self.extensions & bit(extension) != 0
    }

    fn position(&self, to: Location) -> usize {
        self.starts
            .get(usize::from(to.extension))
            .map_or(usize::MAX, |start| {
                start.saturating_add(usize::from(to.offset))
            })
    }

    fn action(&self, target: Target) -> Option<Action> {
        Some(match target {
            Target::Number(to) => Action::Number {
                at: self.position(to),
                width: to.width,
            },
            Target::NumberIfSet(to) => Action::NumberIfSet {
                at: self.position(to),
                width: to.width,
            },
            Target::Address(to) => Action::Address {
                at: self.position(to),
            },
            Target::UserName => {
                let range = data_range(&self.starts, ext::NSEL_USER)?;
                Action::Octets {
                    at: range.start,
                    width: range.len() as u8,
                }
            }
            Target::Triple(to) => Action::Triple {
                at: self.position(to),
            },
            Target::Seconds(to) => Action::Add {
                at: self.position(to),
                factor: 1_000_000,
            },
            Target::Micros(to) => Action::Add {
                at: self.position(to),
                factor: 1,
            },
            Target::Extension(id) => Action::Extension(id),
            Target::Time(time) => Action::Time(time),
            Target::Icmp(icmp) => Action::Icmp(icmp),
            Target::EngineType => Action::EngineType,
            Target::EngineId => Action::EngineId,
            Target::IpVersion if self.trim == Trim::Families => Action::IpVersion,
            Target::IpVersion => return None,
        })
    }

    /// Writes the nfcapd record for `record` into `out`, which is cleared first. `exporter` is the number under which
    /// the file knows the sender. Fields that the record is too short for stay zero.
    pub fn apply(
        &self,
        message: &MessageInfo,
        template: &Template,
        record: &[u8],
        exporter: u16,
        clock: &Clock,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.extend_from_slice(&self.prototype);
        let mut notes = Notes::default();
        if self.fixed_length.is_some() {
            for op in &self.ops {
                if let Some(value) = op
                    .offset
                    .checked_add(op.length)
                    .and_then(|end| record.get(op.offset..end))
                {
                    run(op.action, value, clock, &mut notes, out);
                }
            }
        } else {
            let mut ops = self.ops.iter().peekable();
            for (index, (_, value)) in template.values(record).enumerate() {
                while let Some(op) = ops.next_if(|op| op.index == index) {
                    run(op.action, value, clock, &mut notes, out);
                }
            }
        }
        self.finish(message, exporter, clock, &notes, out);
    }

    /// What it takes of the bound on plans.
    #[must_use]
    pub fn cost(&self) -> usize {
        size_of::<Self>() + self.ops.len() * size_of::<Op>() + self.prototype.len() + 64
    }

    /// Makes the counters those of all packets, and says so in the record.
    pub fn scale(&self, sampling: &Sampling, out: &mut [u8]) {
        if !sampling.is_sampled() {
            return;
        }
        // Not those of the prototype: what a record does not need was taken out of it.
        let starts = starts(out);
        for to in [
            field::IN_PACKETS,
            field::IN_BYTES,
            field::OUT_PACKETS,
            field::OUT_BYTES,
        ] {
            if let Some(start) = starts
                .get(usize::from(to.extension))
                .filter(|start| **start != usize::MAX)
            {
                let at = start.saturating_add(usize::from(to.offset));
                let count = read(out, at, usize::from(to.width));
                write(out, at, to.width, sampling.scale(count));
            }
        }
        if let Some(flags) = out.get_mut(HEADER_FLAGS) {
            *flags |= FLAG_SAMPLED;
        }
    }

    fn finish(
        &self,
        message: &MessageInfo,
        exporter: u16,
        clock: &Clock,
        notes: &Notes,
        out: &mut Vec<u8>,
    ) {
        let (first, last) = notes.times.flow(clock);
        self.put(out, field::MSEC_FIRST, first);
        self.put(out, field::MSEC_LAST, last);
        self.put(out, field::MSEC_RECEIVED, message.received_ms);
        if let Some(event) = notes.times.event() {
            for to in [field::NSEL_MSEC_EVENT, field::NAT_MSEC_EVENT] {
                if self.has(to.extension) {
                    self.put(out, to, event);
                }
            }
        }
        if self.has(field::OBSERVATION_POINT.extension) && !self.has_domain {
            self.put(out, field::OBSERVATION_DOMAIN, u64::from(message.domain));
        }
        self.icmp(notes, out);
        match message.exporter.ip().to_canonical() {
            IpAddr::V4(v4) => append(out, ext::IP_RECEIVED_V4, &u32::from(v4).to_le_bytes()),
            IpAddr::V6(v6) => {
                let (high, low) = halves(u128::from(v6));
                let mut data = [0; 16];
                write(&mut data, 0, 8, high);
                write(&mut data, 8, 8, low);
                append(out, ext::IP_RECEIVED_V6, &data);
            }
        }
        let superfluous = self.superfluous(notes, out);
        if superfluous != 0 {
            remove(out, superfluous);
        }
        // v5 has the engine in its header, v9 in the lower half of its source id, IPFIX nowhere.
        let engine = if message.version == 10 {
            0
        } else {
            message.domain
        };
        write(
            out,
            HEADER_ENGINE_TYPE,
            1,
            notes.engine_type.map_or(u64::from(engine >> 8), u64::from),
        );
        write(
            out,
            HEADER_ENGINE_ID,
            1,
            notes.engine_id.map_or(u64::from(engine), u64::from),
        );
        write(out, HEADER_EXPORTER, 2, u64::from(exporter));
        let size = out.len() as u64;
        write(out, HEADER_SIZE, 2, size);
    }

    fn put(&self, out: &mut [u8], to: Location, value: u64) {
        write(out, self.position(to), to.width, value);
    }

    /// Type and code stand in the place of the destination port, and the source port is then zero.
    fn icmp(&self, notes: &Notes, out: &mut [u8]) {
        let split = match (notes.icmp_type, notes.icmp_code) {
            (None, None) => None,
            (kind, code) => Some(u16::from_be_bytes([kind.unwrap_or(0), code.unwrap_or(0)])),
        };
        if split.is_none() && notes.icmp_v4.is_none() && notes.icmp_v6.is_none() {
            return;
        }
        let value = match read(out, self.position(field::PROTO), 1) {
            ICMP => notes.icmp_v4.or(split).or(notes.icmp_v6),
            ICMPV6 => notes.icmp_v6.or(split).or(notes.icmp_v4),
            _ if self.has_protocol => None,
            _ => notes.icmp_v4.or(notes.icmp_v6).or(split),
        };
        if let Some(value) = value {
            self.put(out, field::SRC_PORT, 0);
            self.put(out, field::DST_PORT, u64::from(value));
        }
    }

    /// A bit for each extension that this record does not need: the family that is not its own, empty parts of v5.
    fn superfluous(&self, notes: &Notes, out: &[u8]) -> u64 {
        let mut drop = 0;
        match self.trim {
            Trim::Nothing => {}
            Trim::V5 => {
                for id in OPTIONAL_IN_V5 {
                    if self.has(id) && self.is_empty(id, out) {
                        drop |= bit(id);
                    }
                }
            }
            Trim::Families => {
                for (v4, v6) in FAMILIES {
                    if self.has(v4) && self.has(v6) {
                        let is_v6 = match (v4, notes.ip_version) {
                            (ext::IPV4_FLOW, Some(6)) => true,
                            (ext::IPV4_FLOW, Some(4)) => false,
                            _ => self.is_empty(v4, out) && !self.is_empty(v6, out),
                        };
                        drop |= bit(if is_v6 { v4 } else { v6 });
                    }
                }
            }
        }
        drop
    }

    fn is_empty(&self, extension: u16, out: &[u8]) -> bool {
        data_range(&self.starts, extension)
            .and_then(|range| out.get(range))
            .is_none_or(|data| data.iter().all(|&b| b == 0))
    }
}

/// A field of the template that goes somewhere.
struct Placed {
    index: usize,
    offset: usize,
    length: usize,
    target: Target,
}

/// The template's fields with their targets, in wire order; fields whose length makes no sense for the target are left out.
fn targets(template: &Template) -> Vec<Placed> {
    let mut placed = Vec::new();
    let mut offset = 0_usize;
    for (index, specifier) in template.fields().iter().enumerate() {
        let length = usize::from(specifier.length);
        let fits = registry::element(specifier.pen, specifier.id)
            .is_none_or(|element| element.data_type.allows(specifier.length));
        if let Some(target) = target(template.version(), specifier).filter(|_| fits) {
            placed.push(Placed {
                index,
                offset,
                length,
                target,
            });
        }
        offset = offset.saturating_add(length);
    }
    // 148 is a firewall's connection number only beside a firewall event; everybody else counts flows with it.
    let firewall = placed.iter().any(|p| matches!(p.target, Target::Number(to) if to == field::NSEL_FW_EVENT || to == field::NSEL_FW_XEVENT));
    placed.retain(|p| firewall || p.target != Target::Number(field::NSEL_CONN_ID));
    // An extension of octets can be there once only: the last one counts, as with numbers.
    let last: Vec<bool> = (0..placed.len())
        .map(|i| {
            let (earlier, later) = placed.split_at(i + 1);
            earlier.last().is_some_and(|p| {
                !matches!(p.target, Target::Extension(_))
                    || later.iter().all(|l| l.target != p.target)
            })
        })
        .collect();
    let mut keep = last.into_iter();
    placed.retain(|_| keep.next().unwrap_or(false));
    placed
}

fn trim(version: u16, extensions: u64) -> Trim {
    if matches!(version, 1 | 5 | 7) {
        Trim::V5
    } else if FAMILIES
        .iter()
        .any(|&(v4, v6)| extensions & bit(v4) != 0 && extensions & bit(v6) != 0)
    {
        Trim::Families
    } else {
        Trim::Nothing
    }
}

/// Carries out one copy. Numbers longer than 8 octets are no numbers and are left alone.
fn run(action: Action, value: &[u8], clock: &Clock, notes: &mut Notes, out: &mut Vec<u8>) {
    if let Action::Number { at, width } = action {
        if let Some(number) = number(value) {
            write(out, at, width, number);
        }
        return;
    }
    match action {
        Action::Number { .. } => {}
        Action::NumberIfSet { at, width } => {
            if let Some(number) = number(value).filter(|&n| n != 0) {
                write(out, at, width, number);
            }
        }
        Action::Address { at } => {
            if let Ok(octets) = <[u8; 16]>::try_from(value) {
                let (high, low) = halves(u128::from_be_bytes(octets));
                write(out, at, 8, high);
                write(out, at.saturating_add(8), 8, low);
            }
        }
        Action::Octets { at, width } => {
            let length = value.len().min(usize::from(width));
            if let (Some(to), Some(from)) = (
                out.get_mut(at..at.saturating_add(length)),
                value.get(..length),
            ) {
                to.copy_from_slice(from);
            }
        }
        Action::Triple { at } => {
            for (i, part) in value.chunks_exact(4).take(3).enumerate() {
                write(out, at.saturating_add(4 * i), 4, number(part).unwrap_or(0));
            }
        }
        Action::Add { at, factor } => {
            let micros = number(value)
                .unwrap_or(0)
                .saturating_mul(factor)
                .saturating_add(read(out, at, 8));
            write(out, at, 8, micros);
        }
        Action::Extension(id) => append(out, id, value),
        other => note(other, value, clock, notes),
    }
}

/// Values that need the rest of the record before they can be stored.
fn note(action: Action, value: &[u8], clock: &Clock, notes: &mut Notes) {
    let Some(value) = number(value) else { return };
    match action {
        Action::Time(what) => notes.times.set(what, value, clock),
        Action::Icmp(Icmp::BothV4) => notes.icmp_v4 = Some(value as u16),
        Action::Icmp(Icmp::BothV6) => notes.icmp_v6 = Some(value as u16),
        Action::Icmp(Icmp::Type) => notes.icmp_type = Some(value as u8),
        Action::Icmp(Icmp::Code) => notes.icmp_code = Some(value as u8),
        Action::EngineType => notes.engine_type = Some(value as u8),
        Action::EngineId => notes.engine_id = Some(value as u8),
        Action::IpVersion => notes.ip_version = Some(value as u8),
        _ => {}
    }
}
