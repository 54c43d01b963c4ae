//! What is done to which message, and the balance of it. The same seed and the same messages give the same; no
//! sockets, and the clock is handed in.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::content::Sets;

/// So many messages wait for others to pass.
const MOST_HELD: usize = 10_000;

/// One fault, and the messages that it is for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fault {
    kind: Kind,
    /// First message, from 1.
    from: u64,
    /// Last message.
    to: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Loss(f64),
    Duplicate(f64),
    Reorder(f64, u64),
    Delay(Duration, Duration),
    Corrupt(f64),
    Truncate(f64),
    Rate(u64),
    SourcePort(u64),
    DropTemplates(u64),
    SwapTemplates,
    CutAtSet(f64),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, range) = match text.split_once('@') {
            Some((what, range)) => (what, Some(range)),
            None => (text, None),
        };
        let (from, to) = match range {
            None => (1, u64::MAX),
            Some(range) => {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| {
                    text.parse::<u64>()
                        .map_err(|_| format!("{range:?}: @FROM-TO wanted"))
                };
                (number(from)?, number(to)?)
            }
        };
        let (name, argument) = match what.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (what, None),
        };
        let share = || share(argument.unwrap_or_default());
        let number = || -> Result<u64, String> {
            let text = argument.unwrap_or_default();
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{name}:{text}: a number from 1 wanted"))
        };
        let kind = match name {
            "loss" => Kind::Loss(share()?),
            "duplicate" => Kind::Duplicate(share()?),
            "reorder" => match argument.unwrap_or_default().split_once(':') {
                None => Kind::Reorder(share()?, 1),
                Some((part, depth)) => {
                    let depth = depth
                        .parse()
                        .ok()
                        .filter(|depth| (1..=1000).contains(depth));
                    Kind::Reorder(
                        self::share(part)?,
                        depth.ok_or("reorder:SHARE:N: 1 to 1000 messages wanted")?,
                    )
                }
            },
            "delay" => {
                let text = argument.unwrap_or_default();
                let (least, most) = text.split_once('-').unwrap_or((text, text));
                let ms = |text: &str| {
                    let ms = text.parse::<u64>().ok().filter(|ms| *ms <= 3_600_000);
                    ms.ok_or_else(|| format!("delay:{text}: milliseconds wanted"))
                };
                let (least, most) = (ms(least)?, ms(most)?);
                Kind::Delay(
                    Duration::from_millis(least.min(most)),
                    Duration::from_millis(least.max(most)),
                )
            }
            "corrupt" => Kind::Corrupt(share()?),
            "truncate" => Kind::Truncate(share()?),
            "rate" => Kind::Rate(number()?),
            "source-port" => Kind::SourcePort(number()?),
            "drop-templates" if argument.is_none() => Kind::DropTemplates(u64::MAX),
            "drop-templates" => Kind::DropTemplates(number()?),
            "swap-templates" => Kind::SwapTemplates,
            "cut-at-set" => Kind::CutAtSet(share()?),
            other => return Err(format!("{other:?} is no fault: see --help")),
        };
        Ok(Self { kind, from, to })
    }
}

/// `5%` or `0.05`; nothing is all.
fn share(text: &str) -> Result<f64, String> {
    let parsed = match text.strip_suffix('%') {
        _ if text.is_empty() => Some(1.0),
        Some(percent) => percent.parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    };
    parsed
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("{text:?}: a share such as 5% wanted"))
}

/// Messages, and their octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Amount {
    /// Messages.
    pub messages: u64,
    /// Octets.
    pub octets: u64,
}

impl Amount {
    fn add(&mut self, bytes: &[u8]) {
        self.messages += 1;
        self.octets += bytes.len() as u64;
    }
}

/// What came in, what was done to it, what was delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Balance {
    /// Came in.
    pub received: Amount,
    /// Were added: second copies.
    pub duplicated: Amount,
    /// Were sent to the collector.
    pub delivered: Amount,
    /// Were dropped.
    pub lost: Amount,
    /// Were above the rate, and dropped.
    pub over_rate: Amount,
    /// Had nothing but template sets, which were dropped.
    pub emptied: Amount,
    /// Could not be sent.
    pub refused: Amount,
    /// Template sets that were dropped, those of emptied messages not counted in the octets.
    pub template_sets: u64,
    /// Octets of template sets taken out of messages that went on.
    pub template_octets: u64,
    /// Octets cut off messages, anywhere or at the border of a set.
    pub cut_octets: u64,
    /// Messages cut anywhere.
    pub truncated: u64,
    /// Messages cut at the border of a set.
    pub cut_at_set: u64,
    /// Messages with a bit turned.
    pub corrupted: u64,
    /// Messages with templates behind data.
    pub swapped: u64,
    /// Messages that others passed.
    pub reordered: u64,
    /// Messages held back.
    pub delayed: u64,
    /// Changes of the source port.
    pub source_ports: u64,
}

impl Balance {
    /// Whether what came in is what went out and what was done.
    pub fn is_even(&self) -> bool {
        let sum = |value: fn(&Amount) -> u64| {
            let out = [
                &self.delivered,
                &self.lost,
                &self.over_rate,
                &self.emptied,
                &self.refused,
            ];
            (
                value(&self.received) + value(&self.duplicated),
                out.into_iter().map(value).sum::<u64>(),
            )
        };
        let (messages_in, messages_out) = sum(|amount| amount.messages);
        let (octets_in, octets_out) = sum(|amount| amount.octets);
        messages_in == messages_out
            && octets_in == octets_out + self.template_octets + self.cut_octets
    }

    /// The balance for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        for (amount, what) in [
            (self.received, "received"),
            (self.duplicated, "+ duplicated"),
            (self.lost, "- lost"),
            (self.over_rate, "- over the rate"),
            (self.emptied, "- nothing but templates"),
            (self.refused, "- not sent"),
            (self.delivered, "= delivered"),
        ] {
            let _ = writeln!(
                text,
                "{what:<24}{:>12} messages {:>16} octets",
                amount.messages, amount.octets
            );
        }
        for (count, what) in [
            (self.template_octets, "octets of template sets taken out"),
            (self.cut_octets, "octets cut off"),
            (self.template_sets, "template sets dropped"),
            (self.truncated, "messages cut"),
            (self.cut_at_set, "messages cut at the border of a set"),
            (self.corrupted, "messages with a bit turned"),
            (self.swapped, "messages with templates behind data"),
            (self.reordered, "messages that others passed"),
            (self.delayed, "messages held back"),
            (self.source_ports, "changes of the source port"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "{count:>36} {what}");
            }
        }
        text
    }
}

/// A message on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Out {
    /// The message.
    pub bytes: Vec<u8>,
    /// How long it is held back.
    pub delay: Duration,
    /// Which source port it has: how often it was changed.
    pub port: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    random: u64,
    number: u64,
    port: u64,
    /// Template sets dropped, for faults that drop the first ones.
    dropped: u64,
    /// The second of the rate, and messages in it.
    window: (u64, u64),
    held: VecDeque<(u64, Out)>,
    /// The balance so far.
    pub balance: Balance,
}

impl Faults {
    /// These faults.
    pub fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self {
            faults,
            random: seed,
            number: 0,
            port: 0,
            dropped: 0,
            window: (0, 0),
            held: VecDeque::new(),
            balance: Balance::default(),
        }
    }

    /// A message came at `now`; what is to be sent, in order.
    pub fn message(&mut self, now: Duration, message: &[u8]) -> Vec<Out> {
        self.number += 1;
        self.balance.received.add(message);
        let mut out = Vec::new();
        if let Some((one, passes)) = self.treat(now, message) {
            let again = self.chance(|kind| match kind {
                Kind::Duplicate(share) => Some(share),
                _ => None,
            });
            if again {
                self.balance.duplicated.add(&one.bytes);
            }
            let copies = if again { 2 } else { 1 };
            for _ in 0..copies {
                if passes > 0 && self.held.len() < MOST_HELD {
                    self.held.push_back((self.number + passes, one.clone()));
                } else {
                    out.push(one.clone());
                }
            }
        }
        let number = self.number;
        let (ready, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(until, _)| *until <= number);
        self.held = held;
        let ready: VecDeque<(u64, Out)> = ready;
        out.extend(ready.into_iter().map(|(_, one)| one));
        out
    }

    /// All that still waits for others to pass.
    pub fn flush(&mut self) -> Vec<Out> {
        self.held.drain(..).map(|(_, one)| one).collect()
    }

    /// What was sent, or refused.
    pub fn sent(&mut self, bytes: &[u8], done: bool) {
        let amount = if done {
            &mut self.balance.delivered
        } else {
            &mut self.balance.refused
        };
        amount.add(bytes);
    }

    /// What becomes of one message, and how many others pass it.
    fn treat(&mut self, now: Duration, message: &[u8]) -> Option<(Out, u64)> {
        let mut bytes = message.to_vec();
        let (mut delay, mut passes) = (Duration::ZERO, 0);
        for index in 0..self.faults.len() {
            let Some(fault) = self.faults.get(index).copied() else {
                break;
            };
            if !(fault.from..=fault.to).contains(&self.number) {
                continue;
            }
            match fault.kind {
                Kind::Loss(share) => {
                    if self.happens(share) {
                        self.balance.lost.add(&bytes);
                        return None;
                    }
                }
                Kind::Rate(most) => {
                    let second = now.as_secs();
                    if self.window.0 != second {
                        self.window = (second, 0);
                    }
                    self.window.1 += 1;
                    if self.window.1 > most {
                        self.balance.over_rate.add(&bytes);
                        return None;
                    }
                }
                Kind::DropTemplates(most) => bytes = self.drop_templates(bytes, most)?,
                Kind::SwapTemplates => {
                    if let Some(swapped) = Sets::of(&bytes).and_then(|sets| sets.swapped()) {
                        self.balance.swapped += 1;
                        bytes = swapped;
                    }
                }
                Kind::CutAtSet(share) => {
                    let borders = Sets::of(&bytes)
                        .map(|sets| sets.borders())
                        .unwrap_or_default();
                    if !borders.is_empty() && self.happens(share) {
                        let at = self.below(borders.len() as u64);
                        let border = borders.get(at as usize).copied().unwrap_or(bytes.len());
                        self.balance.cut_octets += (bytes.len() - border) as u64;
                        self.balance.cut_at_set += 1;
                        bytes.truncate(border);
                    }
                }
                Kind::Truncate(share) => {
                    if bytes.len() > 1 && self.happens(share) {
                        let length = 1 + self.below(bytes.len() as u64 - 1) as usize;
                        self.balance.cut_octets += (bytes.len() - length) as u64;
                        self.balance.truncated += 1;
                        bytes.truncate(length);
                    }
                }
                Kind::Corrupt(share) => {
                    if !bytes.is_empty() && self.happens(share) {
                        let bit = self.below(bytes.len() as u64 * 8);
                        if let Some(octet) = bytes.get_mut((bit / 8) as usize) {
                            *octet ^= 1 << (bit % 8);
                        }
                        self.balance.corrupted += 1;
                    }
                }
                Kind::Delay(least, most) => {
                    let spread = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX - 1);
                    delay += least + Duration::from_micros(self.below(spread + 1));
                    self.balance.delayed += 1;
                }
                Kind::Reorder(share, depth) => {
                    if self.happens(share) {
                        passes = depth;
                        self.balance.reordered += 1;
                    }
                }
                Kind::SourcePort(every) => {
                    if self.number.is_multiple_of(every) {
                        self.port += 1;
                        self.balance.source_ports += 1;
                    }
                }
                // Decided when all else is done to it.
                Kind::Duplicate(_) => {}
            }
        }
        let port = self.port;
        Some((Out { bytes, delay, port }, passes))
    }

    /// Without template sets; `None` if nothing is left.
    fn drop_templates(&mut self, bytes: Vec<u8>, most: u64) -> Option<Vec<u8>> {
        let left = most.saturating_sub(self.dropped);
        let Some(sets) = Sets::of(&bytes).filter(|sets| left > 0 && sets.templates() > 0) else {
            return Some(bytes);
        };
        let (dropped, octets, message) = sets.without_templates(left);
        self.dropped = self.dropped.saturating_add(dropped);
        self.balance.template_sets += dropped;
        match &message {
            Some(_) => self.balance.template_octets += octets,
            None => self.balance.emptied.add(&bytes),
        }
        message
    }

    fn chance(&mut self, of: impl Fn(Kind) -> Option<f64>) -> bool {
        let number = self.number;
        let shares: Vec<f64> = self
            .faults
            .iter()
            .filter(|fault| (fault.from..=fault.to).contains(&number))
            .filter_map(|fault| of(fault.kind))
            .collect();
        shares.into_iter().any(|share| self.happens(share))
    }

    fn happens(&mut self, share: f64) -> bool {
        (self.below(1 << 53) as f64) < share * (1_u64 << 53) as f64
    }

    /// A number below `most` (SplitMix64).
    fn below(&mut self, most: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed % most.max(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// IPFIX: a template set of 12 octets, a data set of 8.
    fn message(number: u32) -> Vec<u8> {
        let mut message = vec![0, 10, 0, 36];
        message.extend(1_700_000_000_u32.to_be_bytes());
        message.extend(number.to_be_bytes());
        message.extend([0, 0, 0, 1]);
        message.extend([0, 2, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]);
        message.extend([1, 0, 0, 8, 10, 0, 0, 1]);
        message
    }

    fn run(faults: &[&str], count: u32) -> (Vec<Vec<u8>>, Balance) {
        let parsed = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let mut faults = Faults::new(parsed, 7);
        let mut all = Vec::new();
        for number in 0..count {
            all.extend(faults.message(Duration::from_millis(number.into()), &message(number)));
        }
        all.extend(faults.flush());
        let bytes: Vec<Vec<u8>> = all.into_iter().map(|one| one.bytes).collect();
        bytes.iter().for_each(|bytes| faults.sent(bytes, true));
        assert!(faults.balance.is_even(), "{:?}", faults.balance);
        (bytes, faults.balance)
    }

    #[test]
    fn every_fault_balances_and_repeats() {
        let all = [
            "loss:10%",
            "duplicate:10%",
            "reorder:10%:3",
            "corrupt:10%",
            "truncate:10%",
            "drop-templates:20",
            "swap-templates",
            "cut-at-set:10%",
            "delay:1-5",
            "source-port:50",
            "rate:300",
        ];
        let (bytes, balance) = run(&all, 1000);
        assert_eq!(run(&all, 1000).0, bytes);
        assert_eq!(balance.received.messages, 1000);
        for count in [
            balance.lost.messages,
            balance.duplicated.messages,
            balance.reordered,
            balance.corrupted,
            balance.truncated,
            balance.cut_at_set,
        ] {
            // A tenth of a thousand, or of what the rate left; chance is far from these bounds.
            assert!((10..=200).contains(&count), "{balance:?}");
        }
        assert_eq!(balance.template_sets, 20, "{balance:?}");
        // Each fiftieth message, unless it was lost before.
        assert!((14..=20).contains(&balance.source_ports), "{balance:?}");
    }

    #[test]
    fn scripted_faults_are_exact() {
        let (bytes, balance) = run(&["loss@3-5"], 10);
        assert_eq!((bytes.len(), balance.lost.messages), (7, 3));
        let (bytes, _) = run(&["reorder:100%:1@2"], 4);
        assert_eq!(bytes.len(), 4);
        let (bytes, balance) = run(&["drop-templates"], 2);
        assert_eq!((balance.template_sets, balance.template_octets), (2, 24));
        assert_eq!(bytes[0][..4], [0, 10, 0, 24]);
        assert_eq!(bytes[0][16..], [1, 0, 0, 8, 10, 0, 0, 1]);
        let (bytes, _) = run(&["swap-templates"], 1);
        assert_eq!(bytes[0][16..24], [1, 0, 0, 8, 10, 0, 0, 1]);
        let (bytes, balance) = run(&["cut-at-set"], 1);
        assert_eq!((bytes[0].len(), balance.cut_octets), (28, 8));
        let (bytes, balance) = run(&["rate:4"], 10);
        assert_eq!((bytes.len(), balance.over_rate.messages), (4, 6));
    }

    #[test]
    fn passed_messages_come_later() {
        let parsed = vec!["reorder@2-2".parse().unwrap()];
        let mut faults = Faults::new(parsed, 1);
        let numbers: Vec<u8> = (0..4)
            .flat_map(|number| faults.message(Duration::ZERO, &message(number)))
            .map(|one| one.bytes[11])
            .collect();
        assert_eq!(numbers, [0, 2, 1, 3]);
    }

    #[test]
    fn counts_of_v9_follow() {
        let mut v9 = vec![0, 9, 0, 3];
        v9.extend([0; 16]);
        v9.extend([0, 0, 0, 20, 1, 0, 0, 1, 0, 8, 0, 4, 1, 1, 0, 1, 0, 12, 0, 4]);
        v9.extend([1, 0, 0, 8, 10, 0, 0, 1]);
        let (dropped, octets, message) = Sets::of(&v9).unwrap().without_templates(9);
        assert_eq!((dropped, octets), (1, 20));
        assert_eq!(message.unwrap()[..4], [0, 9, 0, 1]);
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for text in [
            "",
            "loss:200%",
            "loss:x",
            "rate:0",
            "delay:x",
            "loss@x",
            "reorder:1%:0",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
