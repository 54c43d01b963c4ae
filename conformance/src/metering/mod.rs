//! `t2check exporter --pcap`: what a device reports of traffic that is known.
//!
//! [`traffic`] reads the packets of a capture under the keys of the declared [`device`]; [`drive`] makes the device
//! meter them; [`reported`] decodes what it sends; [`judge`] and [`times`] compare. Our own dissection and meter are a
//! second opinion: sums need no meter, and where flows are cut is only told.

pub mod device;
pub mod drive;
pub mod judge;
pub mod key;
pub mod options;
pub mod reported;
pub mod times;
pub mod traffic;

#[cfg(test)]
mod faulty;

use std::path::Path;
use std::time::Duration;

use exporter::dissect::Packet;
use exporter::meter::{Endpoints, Flow, FlowSink, Meter, MeterConfig, TcpTimeouts};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use protocol::session::Counters;

use self::device::{Device, FragmentPolicy};
use self::drive::Driven;
use self::judge::{Judged, cut_otherwise, differing};
use self::key::{Fields, Key};
use self::reported::{Gathered, Reported};
use self::traffic::Traffic;
use crate::verdict::Verdict;

/// The rules that are judged here.
pub const RULES: &[&str] = &["M-01", "M-02", "M-03", "M-04", "M-05", "M-06", "M-07"];

/// Known traffic, and what a device is to make of it.
#[derive(Debug)]
pub struct Metering {
    device: Device,
    /// So many times the capture's speed it is put on an interface.
    speed: f64,
    traffic: Traffic,
    /// Flows of our own meter by key, and how it ended them.
    ours: HashMap<Key, u64, RandomState>,
}

/// Flows of the meter by key.
struct Count {
    fields: Fields,
    flows: HashMap<Key, u64, RandomState>,
}

impl FlowSink for Count {
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            let Endpoints::Ip {
                src,
                dst,
                src_port,
                dst_port,
                protocol,
            } = flow.endpoints
            else {
                continue;
            };
            let key = Key {
                src,
                dst,
                src_port,
                dst_port,
                protocol,
                vlan: flow.vlan_tci.map_or(0, |tci| tci & 0x0fff),
            };
            *self.flows.entry(self.fields.keep(key)).or_default() += 1;
        }
    }
}

impl Metering {
    /// Reads the traffic, which goes by so many times as fast as it was captured.
    ///
    /// # Errors
    /// When the capture cannot be opened, holds nothing that counts, or the declared traffic is no filter.
    pub fn read(pcap: &Path, device: Device, speed: f64) -> anyhow::Result<Self> {
        let policy = device.fragments.unwrap_or(FragmentPolicy::Ports);
        let mut meter = Meter::new(config(&device));
        let mut count = Count {
            fields: device.fields(),
            flows: HashMap::default(),
        };
        let each = |packet: &Packet| meter.packets(std::slice::from_ref(packet), &mut count);
        let mut traffic = traffic::read(pcap, &device, policy, each)?;
        traffic.quicken(speed);
        meter.finish(&mut count);
        if traffic.packets == 0 {
            anyhow::bail!(
                "{}: no packet of {} frames counts: {} have no IP header, {} are left out by the declared traffic",
                pcap.display(),
                traffic.frames,
                traffic.without_key,
                traffic.left_out
            );
        }
        Ok(Self {
            device,
            speed,
            traffic,
            ours: count.flows,
        })
    }

    /// The declared device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Judges what was reported; and remarks, one line each.
    ///
    /// # Errors
    /// When the capture cannot be read again.
    pub fn judge(
        &mut self,
        pcap: &Path,
        reported: Reported,
        again: Option<Reported>,
        driven: &Driven,
    ) -> anyhow::Result<(Vec<Judged>, Vec<String>)> {
        let (gathered, counters) = reported.finish();
        if driven.injected {
            self.stretch(driven);
        }
        let mut remarks = self.subject(&gathered);
        remarks.extend(lost(&gathered, &counters, driven));
        remarks.extend(driven.remarks.iter().cloned());
        if self.device.fragments.is_none() && self.traffic.later_fragments > 0 {
            remarks.push(self.fit_fragments(pcap, &gathered)?.to_owned());
        }
        let doubt = doubt(&gathered, driven);
        if let Some(doubt) = doubt {
            let judged = RULES.iter().map(|rule| Judged::new(rule, &doubt)).collect();
            return Ok((judged, remarks));
        }
        let (mut judged, more) = judge::judge(&self.device, &self.traffic, &gathered);
        remarks.extend(more);
        judged.push(match again {
            Some(again) => repeated(&gathered, &again.finish().0),
            None => Judged::new("M-06", "the traffic was metered once (--repeat)"),
        });
        judged.push(flushed(&judged, driven));
        Ok((judged, remarks))
    }

    /// Injecting that took longer than the traffic made it wait, on a busy machine: times may be off by as much.
    fn stretch(&mut self, driven: &Driven) {
        let (Some(took), Some((first, last))) = (driven.took, self.traffic.span) else {
            return;
        };
        let span = Duration::from_nanos(u64::try_from(last - first).unwrap_or(0));
        let stretch = took.saturating_sub(span).as_secs_f64();
        if let Some(tolerance) = &mut self.device.tolerance {
            *tolerance += stretch;
        }
    }

    /// Takes the reading of fragments that fits best, and tells which.
    fn fit_fragments(&mut self, pcap: &Path, gathered: &Gathered) -> anyhow::Result<&'static str> {
        let mut other = traffic::read(pcap, &self.device, FragmentPolicy::Zero, |_| {})?;
        other.quicken(self.speed);
        let fits = |traffic| differing(&self.device, traffic, gathered);
        let policy = if fits(&other) < fits(&self.traffic) {
            self.traffic = other;
            FragmentPolicy::Zero
        } else {
            FragmentPolicy::Ports
        };
        Ok(policy.words())
    }

    fn subject(&self, gathered: &Gathered) -> Vec<String> {
        let Traffic {
            packets,
            frames,
            without_key,
            left_out,
            ref keys,
            ref fault,
            ..
        } = self.traffic;
        let Gathered {
            records,
            biflows,
            without_key: bare,
            without_counts,
            ..
        } = *gathered;
        let mut lines = vec![format!(
            "traffic: {packets} packets with {} keys in {frames} frames ({without_key} without an IP header, {left_out} left out); \
             reported: {records} flow records with {} keys ({biflows} of both directions, {bare} without addresses, {without_counts} without packet counts)",
            keys.len(),
            gathered.keys.len(),
        )];
        if let Some(fault) = fault {
            lines.push(format!("the traffic is not all: {fault}"));
        }
        let (ours, theirs, otherwise) = cut_otherwise(&self.ours, gathered);
        lines.push(format!(
            "flows: ours {ours}, reported {theirs}; {otherwise} keys are cut otherwise than by our meter, which is no fault"
        ));
        let declared = self.device.direction;
        if declared == Some(device::Direction::Uniflow) && biflows > 0 {
            lines.push(format!(
                "{biflows} records have both directions; uniflows are declared"
            ));
        }
        if declared == Some(device::Direction::Biflow) && biflows == 0 && records > 0 {
            lines.push("no record has both directions; biflows are declared".to_owned());
        }
        lines
    }
}

fn config(device: &Device) -> MeterConfig {
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
    let idle = device.idle_timeout.map(seconds);
    let default = MeterConfig::default();
    MeterConfig {
        idle_timeout: idle.unwrap_or(default.idle_timeout),
        active_timeout: device.active_timeout.map(seconds),
        tcp_timeouts: match idle {
            Some(idle) => TcpTimeouts {
                new: idle,
                established: idle,
                closing: idle,
                ..default.tcp_timeouts
            },
            None => default.tcp_timeouts,
        },
        max_flows: usize::MAX >> 8,
        wide: device.bytes.metric(),
        ..default
    }
}

/// Why nothing can be said of what is missing.
fn doubt(gathered: &Gathered, driven: &Driven) -> Option<String> {
    if driven.dropped > 0 {
        return Some(format!(
            "{} datagrams were dropped by this system before they were read",
            driven.dropped
        ));
    }
    (gathered.passed_over > 0).then(|| "more records were reported than are compared".to_owned())
}

/// What was not decoded.
fn lost(gathered: &Gathered, counters: &Counters, driven: &Driven) -> Vec<String> {
    let lines = [
        (
            driven.dropped,
            "datagrams were dropped by this system before they were read",
        ),
        (
            gathered.missing,
            "messages or records are missing by their sequence numbers",
        ),
        (
            counters.malformed,
            "messages were malformed, and not decoded to their end",
        ),
        (
            counters.bad_templates + counters.refused_templates,
            "templates were refused",
        ),
        (
            counters
                .pending_sets
                .saturating_sub(counters.late_records.min(counters.pending_sets)),
            "data sets came before their template",
        ),
    ];
    lines
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// Judges M-07: all was reported by a device that was asked to end with flows in its memory.
fn flushed(judged: &[Judged], driven: &Driven) -> Judged {
    let mut flushed = Judged::new(
        "M-07",
        "the device ended by itself, or was not started by t2check: nobody asked it to end",
    );
    let conserved = judged.iter().find(|judged| judged.rule == "M-01");
    if let Some(conserved) = conserved.filter(|_| driven.asked_to_end) {
        let lost = conserved.verdict == Verdict::DataLoss;
        flushed.check(lost.then(|| {
            (
                Verdict::DataLoss,
                format!(
                    "asked to end, it did not report all: {}",
                    conserved.notes.first().map_or("", String::as_str)
                ),
            )
        }));
    }
    flushed
}

/// Of a record: packets, octets, and its duration with the unit that it is rounded to.
type Shape = (u64, Option<u64>, Option<(i64, i64)>);

/// Judges M-06: the same records of the same traffic, twice.
fn repeated(first: &Gathered, second: &Gathered) -> Judged {
    let mut judged = Judged::new("M-06", "");
    let mut keys: Vec<&Key> = first.keys.keys().chain(second.keys.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let shape = |gathered: &Gathered, key: &Key| {
        let mut shape: Vec<Shape> = gathered
            .keys
            .get(key)
            .into_iter()
            .flatten()
            .map(|claim| {
                let times = claim.first.zip(claim.last);
                let length = times.map(|(first, last)| {
                    let unit = first.unit_ns.max(last.unit_ns);
                    (last.ns.saturating_sub(first.ns), unit)
                });
                (claim.packets, claim.octets, length)
            })
            .collect();
        shape.sort_unstable();
        shape
    };
    let alike = |one: &Shape, other: &Shape| {
        let lengths = match (one.2, other.2) {
            (Some((one, unit)), Some((other, _))) => (one - other).abs() <= unit,
            (one, other) => one.is_none() && other.is_none(),
        };
        one.0 == other.0 && one.1 == other.1 && lengths
    };
    for key in keys {
        let (once, again) = (shape(first, key), shape(second, key));
        let same = once.len() == again.len()
            && once
                .iter()
                .zip(&again)
                .all(|(one, other)| alike(one, other));
        judged.check((!same).then(|| {
            (
                Verdict::Deviation,
                format!(
                    "{key}: {} records at first, {} the second time, or other counts",
                    once.len(),
                    again.len()
                ),
            )
        }));
    }
    judged
}
