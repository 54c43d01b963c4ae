//! The judge's test: metering twins, of which each does one thing wrong and is caught by the rule that is named, and
//! others that do something else, and right, and are not accused.
//!
//! A twin is a meter of its own, a few lines long, that shares nothing with ours: packets in, octets of IPFIX out.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use exporter::dissect::{Family, Fragment, Packet};
use tap::{Checksum, Message, Receiver, Transport};

use super::device::{Bytes, Device, FragmentPolicy};
use super::drive::Driven;
use super::judge::{Judged, judge};
use super::reported::{Gathered, Reported};
use super::traffic::Counter;
use crate::verdict::Verdict;

const S: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * S;

/// What a twin does otherwise than the plain one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Twist {
    Plain,
    // Wrong ones.
    DropsEvery100th,
    CountsFrames,
    SwapsDirections,
    WrapsAt32Bits,
    CountsTwiceAtTimeout,
    SecondTooLong,
    MillisecondTooLong,
    IgnoresFragments,
    KeepsTheRest,
    ForgetsSinglePackets,
    CutsPorts,
    SumsIntoOneRecord,
    TimesInSeconds,
    StartsAtZero,
    SendsTwice,
    MixesShares,
    IgnoresIdle,
    IgnoresActive,
    CountsPadding,
    WrongPayload,
    SkipsLastPacketsTime,
    MissesAConversation,
    // Right ones.
    OtherTimeouts,
    NoTimeouts,
    Biflows,
    FragmentsApart,
    RoundsUp,
    Microseconds,
    Backwards,
    ClockAhead,
    WholeSeconds,
    Payload,
    ManyMessages,
}

/// One packet as the twin sees it.
#[derive(Clone, Copy)]
struct Seen {
    at: i64,
    src: u8,
    dst: u8,
    sport: u16,
    dport: u16,
    protocol: u8,
    octets: u32,
    payload: u32,
    frame: u32,
    pad: u32,
    /// A fragment without ports, whose datagram has them all the same.
    later: bool,
    id: u32,
}

/// A steady sequence of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// Eighty conversations, some with pauses, one with fragments, one with more than 2^32 octets.
fn traffic() -> Vec<Seen> {
    let mut numbers = Numbers(7);
    let mut all = Vec::new();
    for conversation in 0..80_u16 {
        let protocol = if conversation % 4 == 0 { 17 } else { 6 };
        let mut at = START + i64::from(conversation) * 3 * S;
        let count = 1 + numbers.below(60);
        for packet in 0..count {
            at += 1 + numbers.below(2 * S as u64) as i64;
            if conversation % 9 == 0 && packet % 20 == 19 {
                at += 40 * S;
            }
            let back = packet > 0 && numbers.below(3) == 0;
            let payload = numbers.below(1000) as u32;
            let header = if protocol == 6 { 40 } else { 28 };
            let octets = header + payload;
            let pad = 46_u32.saturating_sub(octets);
            let (src, dst) = if back { (2, 1) } else { (1, 2) };
            let (sport, dport) = if back {
                (80, 1024 + conversation)
            } else {
                (1024 + conversation, 80)
            };
            all.push(Seen {
                at,
                src,
                dst,
                sport,
                dport,
                protocol,
                octets,
                payload,
                frame: octets + pad + 14,
                pad,
                later: false,
                id: 0,
            });
        }
    }
    for datagram in 0..6 {
        for part in 0..3 {
            all.push(Seen {
                at: START + (datagram * 2) * S + part * 1_000_000,
                src: 3,
                dst: 4,
                sport: 5000,
                dport: 6000,
                protocol: 17,
                octets: 1500,
                payload: if part == 0 { 1472 } else { 1480 },
                frame: 1514,
                pad: 0,
                later: part > 0,
                id: 77 + datagram as u32,
            });
        }
    }
    for packet in 0..70_000 {
        all.push(Seen {
            at: START + packet * 250_000,
            src: 5,
            dst: 6,
            sport: 1,
            dport: 2,
            protocol: 6,
            octets: 65_535,
            payload: 65_495,
            frame: 65_549,
            pad: 0,
            later: false,
            id: 0,
        });
    }
    all.sort_by_key(|seen| seen.at);
    all
}

fn packet(seen: &Seen) -> Packet {
    let address = |last: u8| {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&[10, 0, 0, last]);
        octets
    };
    let hidden = seen.later;
    Packet {
        ts_ns: seen.at,
        family: Family::V4,
        protocol: seen.protocol,
        src: address(seen.src),
        dst: address(seen.dst),
        src_port: if hidden { 0 } else { seen.sport },
        dst_port: if hidden { 0 } else { seen.dport },
        fragment: match (seen.later, seen.id) {
            (_, 0) => Fragment::Whole,
            (false, _) => Fragment::First,
            (true, _) => Fragment::Middle,
        },
        ip_id: seen.id,
        ip_octets: seen.octets,
        l4_octets: seen.octets - 20,
        l7_octets: seen.payload,
        frame_octets: seen.frame,
        pad_octets: seen.pad,
        ..Packet::default()
    }
}

type TwinKey = (u8, u8, u16, u16, u8);

#[derive(Clone, Copy, Debug)]
struct Record {
    key: TwinKey,
    packets: u64,
    octets: u64,
    payload: u64,
    first: i64,
    last: i64,
    /// For biflows.
    back: (u64, u64),
}

/// The meter of a twin: time-outs per direction, looked at when a packet comes.
fn meter(twist: Twist, packets: &[Seen]) -> Vec<Record> {
    let (idle, active) = match twist {
        Twist::OtherTimeouts => (5 * S, 10 * S),
        Twist::NoTimeouts | Twist::Biflows | Twist::SumsIntoOneRecord | Twist::IgnoresIdle => {
            (i64::MAX, i64::MAX)
        }
        Twist::IgnoresActive => (30 * S, i64::MAX),
        _ => (30 * S, 20 * S),
    };
    let mut open: BTreeMap<TwinKey, Record> = BTreeMap::new();
    let mut done = Vec::new();
    for (index, seen) in packets.iter().enumerate() {
        let mut key = (seen.src, seen.dst, seen.sport, seen.dport, seen.protocol);
        match twist {
            Twist::DropsEvery100th if index % 100 == 99 => continue,
            Twist::IgnoresFragments if seen.later => continue,
            Twist::FragmentsApart if seen.later => (key.2, key.3) = (0, 0),
            Twist::CutsPorts => (key.2, key.3) = (key.2 & 0x3ff, key.3 & 0x3ff),
            Twist::MissesAConversation if seen.sport == 1030 || seen.dport == 1030 => continue,
            _ => {}
        }
        let octets = u64::from(match twist {
            Twist::CountsFrames => seen.frame - seen.pad,
            Twist::CountsPadding => seen.octets + seen.pad,
            _ => seen.octets,
        });
        let mut begin = None;
        if let Some(record) = open.get_mut(&key)
            && (seen.at - record.last > idle || seen.at - record.first > active)
        {
            if twist == Twist::CountsTwiceAtTimeout {
                record.packets += 1;
                record.octets += octets;
            }
            begin = open.remove(&key);
        }
        done.extend(begin);
        let record = open.entry(key).or_insert(Record {
            key,
            packets: 0,
            octets: 0,
            payload: 0,
            first: seen.at,
            last: seen.at,
            back: (0, 0),
        });
        record.packets += 1;
        record.octets += octets;
        record.payload += u64::from(seen.payload);
        record.last = seen.at;
    }
    if twist != Twist::KeepsTheRest {
        done.extend(open.into_values());
    }
    done
}

/// What it does to its records.
fn twisted(twist: Twist, mut records: Vec<Record>) -> Vec<Record> {
    match twist {
        Twist::SwapsDirections => {
            for record in &mut records {
                let (src, dst, sport, dport, protocol) = record.key;
                if sport == 80 {
                    record.key = (dst, src, dport, sport, protocol);
                }
            }
        }
        Twist::WrapsAt32Bits => records
            .iter_mut()
            .for_each(|record| record.octets &= 0xffff_ffff),
        Twist::SecondTooLong => records.iter_mut().for_each(|record| record.last += S),
        Twist::MillisecondTooLong => records
            .iter_mut()
            .for_each(|record| record.last += 1_000_000),
        Twist::ForgetsSinglePackets => records.retain(|record| record.packets > 1),
        // Both sums go to the direction that began.
        Twist::SumsIntoOneRecord => {
            let backs: Vec<Record> = records
                .iter()
                .filter(|record| record.key.2 == 80)
                .copied()
                .collect();
            records.retain(|record| record.key.2 != 80);
            for back in backs {
                let (src, dst, sport, dport, protocol) = back.key;
                if let Some(record) = records
                    .iter_mut()
                    .find(|record| record.key == (dst, src, dport, sport, protocol))
                {
                    record.packets += back.packets;
                    record.octets += back.octets;
                }
            }
        }
        Twist::TimesInSeconds => {
            for record in &mut records {
                record.first -= record.first % S;
                record.last -= record.last % S;
            }
        }
        Twist::StartsAtZero => records.iter_mut().for_each(|record| record.first = 0),
        Twist::SendsTwice => records.extend(records.clone().into_iter().take(3)),
        Twist::MixesShares => {
            let cut = records
                .iter()
                .position(|record| {
                    records
                        .iter()
                        .filter(|other| other.key == record.key)
                        .count()
                        > 1
                        && record.packets > 3
                })
                .unwrap();
            let key = records[cut].key;
            records[cut].packets -= 2;
            let other = records
                .iter()
                .rposition(|record| record.key == key)
                .unwrap();
            records[other].packets += 2;
        }
        Twist::SkipsLastPacketsTime => records
            .iter_mut()
            .filter(|record| record.packets > 1)
            .for_each(|record| record.last -= 50_000_000),
        Twist::WrongPayload => records.iter_mut().for_each(|record| record.payload += 1),
        Twist::Biflows => {
            let backs: Vec<Record> = records
                .iter()
                .filter(|record| record.key.2 == 80)
                .copied()
                .collect();
            for back in backs {
                let (src, dst, sport, dport, protocol) = back.key;
                let forward = (dst, src, dport, sport, protocol);
                if let Some(record) = records.iter_mut().find(|record| record.key == forward) {
                    record.back = (back.packets, back.octets);
                    record.first = record.first.min(back.first);
                    record.last = record.last.max(back.last);
                    records.retain(|record| record.key != back.key);
                }
            }
        }
        Twist::Backwards => records.reverse(),
        Twist::ClockAhead => {
            for record in &mut records {
                record.first += 3600 * S + 123_456_789;
                record.last += 3600 * S + 123_456_789;
            }
        }
        _ => {}
    }
    records
}

/// Its messages: one template, records of it, as RFC 7011 has them.
fn messages(twist: Twist, records: &[Record]) -> Vec<Vec<u8>> {
    let times: (u16, u16, u16) = match twist {
        Twist::Microseconds => (154, 155, 8),
        Twist::WholeSeconds => (150, 151, 4),
        _ => (152, 153, 8),
    };
    let mut fields: Vec<(u16, u16, bool)> = vec![
        (8, 4, false),
        (12, 4, false),
        (7, 2, false),
        (11, 2, false),
        (4, 1, false),
        (2, 8, false),
        (1, 8, false),
        (times.0, times.2, false),
        (times.1, times.2, false),
    ];
    if twist == Twist::Biflows {
        fields.extend([(2, 8, true), (1, 8, true)]);
    }
    let paid = matches!(twist, Twist::Payload | Twist::WrongPayload);
    if paid {
        fields.push((401, 8, false));
    }
    let mut template = Vec::new();
    for (id, length, reverse) in &fields {
        let bit = if *reverse { 0x8000 } else { 0 };
        template.extend((id | bit).to_be_bytes());
        template.extend(length.to_be_bytes());
        if *reverse {
            template.extend(29305_u32.to_be_bytes());
        }
    }
    let time = |ns: i64| -> Vec<u8> {
        match twist {
            Twist::Microseconds => {
                let seconds = (ns / S) as u64 + 2_208_988_800;
                let fraction = ((ns % S) as u64 / 1000 * 1000).div_ceil(1) * (1 << 32) / S as u64;
                (seconds << 32 | fraction).to_be_bytes().to_vec()
            }
            Twist::WholeSeconds => ((ns / S) as u32).to_be_bytes().to_vec(),
            Twist::RoundsUp => ((ns + 999_999) / 1_000_000).to_be_bytes().to_vec(),
            _ => (ns / 1_000_000).to_be_bytes().to_vec(),
        }
    };
    let per_message = if twist == Twist::ManyMessages { 1 } else { 20 };
    let mut sequence = 0_u32;
    let mut all = Vec::new();
    for some in records.chunks(per_message) {
        let mut body = Vec::new();
        body.extend(2_u16.to_be_bytes());
        body.extend((8 + template.len() as u16).to_be_bytes());
        body.extend(256_u16.to_be_bytes());
        body.extend((fields.len() as u16).to_be_bytes());
        body.extend(&template);
        let mut data = Vec::new();
        for record in some {
            let (src, dst, sport, dport, protocol) = record.key;
            data.extend(Ipv4Addr::new(10, 0, 0, src).octets());
            data.extend(Ipv4Addr::new(10, 0, 0, dst).octets());
            data.extend(sport.to_be_bytes());
            data.extend(dport.to_be_bytes());
            data.push(protocol);
            data.extend(record.packets.to_be_bytes());
            data.extend(record.octets.to_be_bytes());
            data.extend(time(record.first));
            data.extend(time(record.last));
            if twist == Twist::Biflows {
                data.extend(record.back.0.to_be_bytes());
                data.extend(record.back.1.to_be_bytes());
            }
            if paid {
                data.extend(record.payload.to_be_bytes());
            }
        }
        body.extend(256_u16.to_be_bytes());
        body.extend((4 + data.len() as u16).to_be_bytes());
        body.extend(data);
        let mut message = Vec::new();
        message.extend(10_u16.to_be_bytes());
        message.extend((16 + body.len() as u16).to_be_bytes());
        message.extend(((START / S) as u32 + 500).to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend(0_u32.to_be_bytes());
        message.extend(body);
        sequence += some.len() as u32;
        all.push(message);
    }
    all
}

/// What a twin reported, decoded.
fn gathered(twist: Twist, device: &Device, records: &[Record]) -> Gathered {
    let mut reported = Reported::new(device);
    for bytes in messages(twist, records) {
        reported.message(&Message {
            at_ms: (START / 1_000_000) as u64 + 500_000,
            from: (Ipv4Addr::LOCALHOST, 5000).into(),
            to: (Ipv4Addr::LOCALHOST, 4739).into(),
            transport: Transport::Udp,
            bytes: &bytes,
            fragments: 1,
            checksum: Checksum::Unseen,
        });
    }
    let (gathered, counters) = reported.finish();
    assert_eq!(counters.malformed + counters.bad_templates, 0, "{twist:?}");
    gathered
}

/// All that is said of records.
fn judged(twist: Twist, device: &Device, seen: &[Seen], records: &[Record]) -> Vec<Judged> {
    let policy = match twist {
        Twist::FragmentsApart => FragmentPolicy::Zero,
        _ => device.fragments.unwrap_or(FragmentPolicy::Ports),
    };
    let mut counter = Counter::new(device, policy);
    for seen in seen {
        counter.packet(&packet(seen), 14);
    }
    let gathered = gathered(twist, device, records);
    judge(device, &counter.finish(), &gathered).0
}

/// What is said of a twin: the rules that it breaks, with their verdicts.
fn verdicts(twist: Twist, device: &Device) -> Vec<(&'static str, Verdict, String)> {
    let seen = traffic();
    let records = twisted(twist, meter(twist, &seen));
    judged(twist, device, &seen, &records)
        .into_iter()
        .filter(|judged| judged.verdict.is_negative())
        .map(|judged| {
            assert_eq!(judged.notes.is_empty(), judged.count == 0, "{twist:?}");
            (judged.rule, judged.verdict, judged.notes[0].clone())
        })
        .collect()
}

fn declared() -> Device {
    Device {
        idle_timeout: Some(30.0),
        active_timeout: Some(20.0),
        slack: 1.0,
        ..Device::default()
    }
}

#[test]
fn every_wrong_twin_is_caught_by_its_rule() {
    use Verdict::{DataLoss, Deviation, WrongData};
    let wrong = [
        (Twist::DropsEvery100th, "M-01", DataLoss, "missing"),
        (Twist::CountsFrames, "M-01", WrongData, "those of layer l2"),
        (Twist::SwapsDirections, "M-01", DataLoss, ""),
        (Twist::WrapsAt32Bits, "M-01", WrongData, "wraps at 32 bits"),
        (Twist::CountsTwiceAtTimeout, "M-01", WrongData, "too many"),
        (Twist::SecondTooLong, "M-02", WrongData, "last packet"),
        (Twist::MillisecondTooLong, "M-02", WrongData, ""),
        (
            Twist::IgnoresFragments,
            "M-04",
            DataLoss,
            "12 packets are missing",
        ),
        (Twist::KeepsTheRest, "M-01", DataLoss, "missing"),
        (Twist::ForgetsSinglePackets, "M-01", DataLoss, "missing"),
        (Twist::CutsPorts, "M-01", DataLoss, ""),
        (Twist::SumsIntoOneRecord, "M-01", DataLoss, ""),
        (Twist::TimesInSeconds, "M-02", WrongData, ""),
        (Twist::StartsAtZero, "M-02", WrongData, ""),
        (Twist::SendsTwice, "M-01", WrongData, "too many"),
        (Twist::MixesShares, "M-03", WrongData, "the capture has"),
        (Twist::IgnoresIdle, "M-03", Deviation, "without packets"),
        (Twist::IgnoresActive, "M-03", Deviation, "active time-out"),
        (Twist::CountsPadding, "M-01", WrongData, "octets"),
        (Twist::WrongPayload, "M-01", WrongData, "element 401"),
        (Twist::SkipsLastPacketsTime, "M-02", WrongData, ""),
        (Twist::MissesAConversation, "M-01", DataLoss, "missing"),
    ];
    for (twist, rule, verdict, words) in wrong {
        let device = match twist {
            // It would be cut by its age first.
            Twist::IgnoresIdle => Device {
                active_timeout: None,
                ..declared()
            },
            _ => declared(),
        };
        let found = verdicts(twist, &device);
        let own = found.iter().find(|(known, ..)| *known == rule);
        let Some((_, said, note)) = own else {
            panic!("{twist:?} is not caught by {rule}: {found:?}");
        };
        assert_eq!(*said, verdict, "{twist:?}: {note}");
        assert!(note.contains(words), "{twist:?}: {note}");
    }
}

#[test]
fn right_twins_are_not_accused() {
    for twist in [
        Twist::Plain,
        Twist::Biflows,
        Twist::FragmentsApart,
        Twist::RoundsUp,
        Twist::Microseconds,
        Twist::Backwards,
        Twist::ClockAhead,
        Twist::WholeSeconds,
        Twist::Payload,
        Twist::ManyMessages,
    ] {
        let device = match twist {
            Twist::Biflows => Device::default(),
            _ => declared(),
        };
        assert_eq!(verdicts(twist, &device), [], "{twist:?}");
    }
    // Cut otherwise, and nothing declared of it.
    for twist in [Twist::OtherTimeouts, Twist::NoTimeouts, Twist::IgnoresIdle] {
        assert_eq!(verdicts(twist, &Device::default()), [], "{twist:?}");
    }
    // What is declared is right.
    let frames = Device {
        bytes: Bytes::L2,
        ..declared()
    };
    assert_eq!(verdicts(Twist::CountsFrames, &frames), []);
    let bare = Device {
        fragments: Some(FragmentPolicy::Ignored),
        ..declared()
    };
    let counted = verdicts(Twist::Plain, &bare);
    assert_eq!(counted[0].0, "M-01", "{counted:?}");
}

/// One packet in ten is counted, and nine are not: declared so it is right, declared otherwise it is not.
#[test]
fn sampling_is_judged_by_what_is_declared() {
    let seen = traffic();
    let tenth: Vec<Seen> = seen.iter().step_by(10).copied().collect();
    let records = meter(Twist::Plain, &tenth);
    let mut scaled = records.clone();
    for record in &mut scaled {
        record.packets *= 10;
        record.octets *= 10;
    }
    let verdict = |sampling, scaled, records: &[Record]| {
        let device = Device {
            sampling,
            scaled,
            ..Device::default()
        };
        let judged = judged(Twist::Plain, &device, &seen, records);
        judged
            .iter()
            .find(|judged| judged.rule == "M-01")
            .map(|judged| judged.verdict)
    };
    assert_eq!(verdict(10, false, &records), Some(Verdict::Pass));
    assert_eq!(verdict(10, true, &scaled), Some(Verdict::Pass));
    assert_eq!(verdict(10, false, &scaled), Some(Verdict::WrongData));
    assert_eq!(verdict(10, true, &records), Some(Verdict::WrongData));
    assert_eq!(verdict(100, false, &records), Some(Verdict::WrongData));
    assert_eq!(verdict(1, false, &records), Some(Verdict::DataLoss));
}

/// M-06: the same twice, whatever the order and the clock; and not the same.
#[test]
fn a_second_run_is_compared_with_the_first() {
    let device = Device::default();
    let seen = traffic();
    let of = |twist| gathered(twist, &device, &twisted(twist, meter(twist, &seen)));
    for twist in [Twist::Plain, Twist::Backwards, Twist::ClockAhead] {
        let judged = super::repeated(&of(Twist::Plain), &of(twist));
        assert_eq!(judged.verdict, Verdict::Pass, "{twist:?}: {judged:?}");
        assert!(judged.checked > 1, "{twist:?}");
    }
    for twist in [
        Twist::DropsEvery100th,
        Twist::OtherTimeouts,
        Twist::SecondTooLong,
    ] {
        let judged = super::repeated(&of(Twist::Plain), &of(twist));
        assert_eq!(judged.verdict, Verdict::Deviation, "{twist:?}");
    }
}

/// M-07: of a device that was asked to end with flows in its memory.
#[test]
fn what_a_device_keeps_when_it_is_asked_to_end_is_told() {
    let seen = traffic();
    let verdict = |twist, asked_to_end| {
        let records = twisted(twist, meter(twist, &seen));
        let judged = judged(twist, &declared(), &seen, &records);
        let driven = Driven {
            asked_to_end,
            ..Driven::default()
        };
        super::flushed(&judged, &driven).verdict
    };
    assert_eq!(verdict(Twist::Plain, true), Verdict::Pass);
    assert_eq!(verdict(Twist::KeepsTheRest, true), Verdict::DataLoss);
    assert_eq!(verdict(Twist::KeepsTheRest, false), Verdict::NotApplicable);
}

#[test]
fn traffic_that_is_put_on_an_interface_faster_is_judged_by_faster_times() {
    let mut counter = Counter::new(&Device::default(), FragmentPolicy::Ports);
    for seen in &traffic() {
        counter.packet(&packet(seen), 14);
    }
    let slow = counter.finish();
    let mut quick = slow.clone();
    quick.quicken(4.0);
    let ((first, last), (begin, end)) = (slow.span.unwrap(), quick.span.unwrap());
    assert_eq!((begin, end - begin), (first, (last - first + 2) / 4));
    for (key, truth) in &slow.keys {
        for (one, other) in truth.points.iter().zip(&quick.keys[key].points) {
            assert!(((one.ts_ns - first) - 4 * (other.ts_ns - first)).abs() <= 2);
        }
    }
}
