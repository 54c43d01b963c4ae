//! The exporters of one source: their number in the file and what they sent in the slot.

use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nfdump_compat::file::{ExporterInfo, ExporterStat, Sampler};
use protocol::session::{LossUnit, MessageInfo};

use super::names;
use crate::knowledge::{Knowledge, Named, Sampling};
use crate::slot::shared::{Share, SharedSlot};

/// Exporters (address, version and domain) of a source that are counted apart; the records of any more are stored under
/// number 0.
const MAX_EXPORTERS: usize = 8192;
/// Those of a source of one address: its versions and domains.
pub const MAX_OF_ADDRESS: usize = 256;
/// Exporters whose losses are told by name in one slot.
const MAX_LOSS_LINES: usize = 20;
/// Samplers of one exporter that are written into one file.
const MAX_SAMPLERS: usize = 64;
/// nfcapd's id of a sampler that has no number.
const GENERIC_SAMPLER: i64 = -1;

/// Octets that all of them take at most, one source.
pub fn memory(of_address: bool) -> usize {
    most(of_address) * (size_of::<Exporter>() + 2 * size_of::<Key>() + 64 * MAX_SAMPLERS)
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    address: IpAddr,
    version: u16,
    domain: u32,
}

struct Exporter {
    key: Key,
    /// Its number in the running file; `None` before its first record there.
    number: Option<u16>,
    messages: u64,
    flows: u64,
    sequence_errors: u32,
    missing: u64,
    unit: LossUnit,
    /// Samplers written into the running file.
    samplers: Vec<(i64, Sampling)>,
    /// The names that it has told are in the running file.
    named: bool,
}

/// What the sequence numbers count, in words.
pub fn unit_name(unit: LossUnit) -> &'static str {
    match unit {
        LossUnit::Flows => "flows",
        LossUnit::Messages => "messages",
        LossUnit::Records => "records",
    }
}

fn most(of_address: bool) -> usize {
    if of_address {
        MAX_OF_ADDRESS
    } else {
        MAX_EXPORTERS
    }
}

/// All exporters seen by one source.
pub struct Exporters {
    most: usize,
    index: HashMap<Key, usize, FixedState>,
    exporters: Vec<Exporter>,
    /// Position of the last one: records come in runs.
    last: usize,
}

impl Exporters {
    /// None yet; of one address, or of any.
    pub fn new(of_address: bool) -> Self {
        Self {
            most: most(of_address),
            index: HashMap::default(),
            exporters: Vec::new(),
            last: 0,
        }
    }

    /// Counts a flow record and returns the number of its exporter in the file.
    pub fn record(
        &mut self,
        message: &MessageInfo,
        new_message: bool,
        slot: Option<&mut SharedSlot>,
    ) -> u16 {
        let Some(exporter) = self.find(message) else {
            return 0;
        };
        exporter.messages += u64::from(new_message);
        exporter.flows += 1;
        exporter.number(slot)
    }

    /// The sampling that a record's counters were multiplied by; written once a file.
    pub fn sampler(
        &mut self,
        message: &MessageInfo,
        (id, sampling): (Option<u64>, Sampling),
        slot: &mut SharedSlot,
    ) {
        let Some(exporter) = self.find(message) else {
            return;
        };
        let Some(sysid) = exporter.number else {
            return;
        };
        let id = id.map_or(GENERIC_SAMPLER, |id| i64::try_from(id).unwrap_or(i64::MAX));
        let known = exporter.samplers.contains(&(id, sampling));
        if known || exporter.samplers.len() >= MAX_SAMPLERS {
            return;
        }
        exporter.samplers.push((id, sampling));
        slot.sampler(&Sampler {
            sysid,
            algorithm: sampling.algorithm,
            id,
            packet_interval: sampling.interval.get(),
            space_interval: sampling.space,
        });
    }

    /// Writes what an exporter has told of names into the file: all of it before its first flow there, afterwards what is
    /// `new`.
    pub fn names(
        &mut self,
        message: &MessageInfo,
        knowledge: &Knowledge,
        new: &[(Named, u64)],
        slot: &mut SharedSlot,
    ) {
        let Some(exporter) = self.find(message).filter(|e| e.number.is_some()) else {
            return;
        };
        let origin = (exporter.key.address, exporter.key.domain);
        if !exporter.named {
            exporter.named = true;
            names::write(&knowledge.names(origin), slot);
        } else if !new.is_empty() {
            let name = |(what, number): &(Named, u64)| {
                Some((*what, *number, knowledge.name(origin, *what, *number)?))
            };
            names::write(&new.iter().filter_map(name).collect::<Vec<_>>(), slot);
        }
    }

    /// Counts a gap in an exporter's sequence; gives the records that lost messages may have held, by the mean of the
    /// messages received in the slot.
    pub fn loss(
        &mut self,
        message: &MessageInfo,
        missing: u64,
        unit: LossUnit,
        slot: Option<&mut SharedSlot>,
    ) -> Option<u64> {
        let exporter = self.find(message)?;
        exporter.sequence_errors = exporter.sequence_errors.saturating_add(1);
        exporter.missing += missing;
        exporter.unit = unit;
        exporter.number(slot);
        let mean = exporter.flows.checked_div(exporter.messages)?;
        (unit == LossUnit::Messages).then(|| missing.saturating_mul(mean))
    }

    /// What was missing has come after all, out of order.
    pub fn recovered(&mut self, message: &MessageInfo, found: u64) {
        if let Some(exporter) = self.find(message) {
            exporter.missing = exporter.missing.saturating_sub(found);
        }
    }

    fn find(&mut self, message: &MessageInfo) -> Option<&mut Exporter> {
        let key = Key {
            address: message.exporter.ip(),
            version: message.version,
            domain: message.domain,
        };
        if self.exporters.get(self.last).is_none_or(|e| e.key != key) {
            self.last = match self.index.get(&key) {
                Some(&at) => at,
                None if self.exporters.len() >= self.most => return None,
                None => {
                    let at = self.exporters.len();
                    self.exporters.push(Exporter {
                        key,
                        number: None,
                        messages: 0,
                        flows: 0,
                        sequence_errors: 0,
                        missing: 0,
                        unit: LossUnit::Messages,
                        samplers: Vec::new(),
                        named: false,
                    });
                    self.index.insert(key, at);
                    at
                }
            };
        }
        self.exporters.get_mut(self.last)
    }

    /// What all this adds to the end of the slot.
    pub fn share(&self, bad_packets: u64) -> Share {
        Share {
            statistics: self.statistics(),
            sequence_errors: self.sequence_errors(),
            bad_packets,
            losses: self.losses(),
        }
    }

    /// What the file's last record says about the exporters that it mentions.
    fn statistics(&self) -> Vec<ExporterStat> {
        let mentioned = self.exporters.iter().filter_map(|e| Some((e.number?, e)));
        mentioned
            .map(|(sysid, e)| ExporterStat {
                sysid: u32::from(sysid),
                sequence_failures: e.sequence_errors,
                packets: e.messages,
                flows: e.flows,
            })
            .collect()
    }

    /// Gaps seen in the slot, over all exporters.
    fn sequence_errors(&self) -> u64 {
        self.exporters
            .iter()
            .map(|e| u64::from(e.sequence_errors))
            .sum()
    }

    /// A sentence for each exporter with gaps, the first twenty.
    fn losses(&self) -> Vec<String> {
        let with_gaps = self.exporters.iter().filter(|e| e.sequence_errors > 0);
        let sentence = |e: &Exporter| {
            let estimate = match (e.unit, e.flows.checked_div(e.messages)) {
                (LossUnit::Messages, Some(mean)) => {
                    format!(" (about {} records)", e.missing.saturating_mul(mean))
                }
                _ => String::new(),
            };
            format!(
                "exporter {} version {} domain {}: {} gaps, {} {} missing{estimate}",
                e.key.address,
                e.key.version,
                e.key.domain,
                e.sequence_errors,
                e.missing,
                unit_name(e.unit)
            )
        };
        with_gaps.take(MAX_LOSS_LINES).map(sentence).collect()
    }

    /// A new file begins: no numbers yet, all counts from zero. Exporters that were silent for a whole slot are forgotten.
    pub fn new_slot(&mut self) {
        self.exporters.retain(|e| e.number.is_some());
        for exporter in &mut self.exporters {
            (exporter.number, exporter.messages, exporter.flows) = (None, 0, 0);
            (exporter.sequence_errors, exporter.missing) = (0, 0);
            exporter.samplers.clear();
            exporter.named = false;
        }
        self.index = self
            .exporters
            .iter()
            .enumerate()
            .map(|(at, e)| (e.key, at))
            .collect();
        self.last = 0;
    }
}

impl Exporter {
    fn number(&mut self, slot: Option<&mut SharedSlot>) -> u16 {
        if let Some(number) = self.number {
            return number;
        }
        let Some(slot) = slot else {
            return 0;
        };
        let info = ExporterInfo {
            // nfcapd has no number of its own for v7.
            version: if self.key.version == 7 {
                5
            } else {
                u32::from(self.key.version)
            },
            ip: self.key.address,
            id: self.key.domain,
        };
        let number = slot.exporter(&info);
        // 0: there is no file now; the next record asks again.
        self.number = (number != 0).then_some(number);
        number
    }
}
