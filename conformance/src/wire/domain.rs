//! What is remembered of one observation domain of one sender.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use protocol::registry::ie;

use super::Transport;
use super::layout::Layout;
use super::message::Message;
use super::rules::{Desk, R};
use super::sequence::{Sequence, Step};
use crate::verdict::Verdict;

/// Templates of one domain.
const TEMPLATES: usize = 4096;
/// Repeated datagrams are known by the hashes of so many messages.
const RECENT: usize = 16;

/// Header times have whole seconds: a base of uptime that moves by less stands still.
const SAME_BASE_MS: i64 = 2000;
/// Steps of the base in a row that are no change of the clock any more.
const MOVES: u32 = 3;
/// An uptime that falls by more is a restart, unless it was about to wrap.
const RESTART_MS: u32 = 2000;
const NEAR_WRAP: u32 = u32::MAX - 3_600_000;

/// Packets and time after which a template has certainly not been sent again as it should. No RFC gives numbers:
/// these are beyond what devices can be set to, and when strict five times beyond what they do by default.
const REFRESH_PACKETS: u64 = 600;
const REFRESH_PACKETS_STRICT: u64 = 100;
const REFRESH_MS: u64 = 3_600_000;
const REFRESH_MS_STRICT: u64 = 1_800_000;

/// Counters of packets observed and selected that are remembered.
const STATISTICS: usize = 4096;

/// A template that appears in these first messages of a session may have been sent before them: nothing tells of
/// missed messages that hold templates only.
const FIRST_PACKETS: u64 = 3;
/// RFC 7011 section 8.4: an ID is free again after so many intervals of repetition.
const INTERVALS: u64 = 3;

/// A template as it was sent last.
#[derive(Debug)]
pub(super) struct Known {
    pub layout: Arc<Layout>,
    /// Message that brought it last.
    pub message: u64,
    pub export_s: u32,
    pub withdrawn: bool,
    /// How often it was sent.
    pub copies: u32,
    /// Its last data: message, time of reception, export time.
    pub data: Option<(u64, u64, u32)>,
    /// Messages that brought it.
    messages: u32,
    /// How many packets there were when its ID appeared.
    appeared: u64,
    /// The shortest time between copies, the first two aside, which may come in a burst.
    interval_ms: Option<u64>,
    sent_ms: u64,
    sent_packets: u64,
    /// That it is not sent again has been told since.
    overdue: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Domain {
    pub templates: HashMap<u16, Known, RandomState>,
    pub sequence: Sequence,
    /// Something was not taken in: that a template is unknown proves nothing.
    pub blind: bool,
    /// The last restart was seen, and all since.
    pub restarted: bool,
    /// systemInitTimeMilliseconds was seen in some template.
    pub init_time: bool,
    /// A selection sequence was reported.
    pub selection_reported: bool,
    /// Data was seen whose template was not: it was sent before, or is still to come.
    pub missed: bool,
    pub hasher: RandomState,
    /// Counters of packets observed and selected.
    statistics: HashMap<u64, u64, RandomState>,
    /// Messages so far.
    pub packets: u64,
    /// After the last gap: time and packets.
    whole_since: (u64, u64),
    /// Uptime and base of the last message, and how often in a row the base has moved.
    clock: Option<(u32, i64)>,
    moves: u32,
    recent: [u64; RECENT],
    next_recent: usize,
}

impl Domain {
    /// One that knows that it does not know all.
    pub(super) fn blind() -> Self {
        Self {
            blind: true,
            ..Self::default()
        }
    }

    /// Whether the same message came shortly before: networks and captures repeat datagrams.
    pub(super) fn is_repeated(&mut self, hash: u64) -> bool {
        if self.recent.contains(&hash) {
            return true;
        }
        if let Some(slot) = self.recent.get_mut(self.next_recent) {
            *slot = hash;
        }
        self.next_recent = (self.next_recent + 1) % RECENT;
        false
    }

    /// Fields of all templates.
    pub(super) fn fields(&self) -> usize {
        let templates = self.templates.values();
        templates.map(|known| known.layout.fields.len()).sum()
    }

    /// Counts the message, and sees whether the exporter has begun anew. To be called before the sequence number
    /// is placed.
    pub(super) fn count(&mut self, message: &Message<'_>, desk: &mut Desk) {
        self.packets += 1;
        if let (Some(uptime), Some((before, base))) = (message.uptime_ms, self.clock) {
            let falls = before.saturating_sub(uptime) > RESTART_MS && before < NEAR_WRAP;
            let later = message.export_ms() - i64::from(uptime) > base + SAME_BASE_MS;
            if falls && later {
                desk.fields_left += self.fields();
                *self = Self {
                    restarted: true,
                    packets: self.packets,
                    ..Self::default()
                };
            }
        }
    }

    /// The sequence number has been placed.
    pub(super) fn placed(&mut self, message: &Message<'_>) {
        if matches!(message.step, Step::Gap | Step::Jump | Step::First) {
            self.whole_since = (message.at_ms, self.packets);
        }
        if message.step != Step::InOrder && message.step != Step::First {
            self.restarted = false;
        }
        if message.step == Step::Jump {
            self.statistics.clear();
        }
    }

    /// Keeps a counter that only grows; gives what it was before.
    pub(super) fn statistic(&mut self, key: u64, number: u64) -> Option<u64> {
        if self.statistics.len() >= STATISTICS && !self.statistics.contains_key(&key) {
            return None;
        }
        self.statistics.insert(key, number)
    }

    /// Whether it brought a template.
    fn has_templates_of(&self, message: &Message<'_>) -> bool {
        let mut templates = self.templates.values();
        templates.any(|known| known.message == message.number_in_judge)
    }

    /// The base of NetFlow v9's uptimes, from message to message. Uptime counts from the boot (RFC 3954 section 5.1): a
    /// base that lies behind the message before, with templates sent anew, may be another boot, and must be one where 32
    /// bits do not reach. What moves otherwise is no clock.
    pub(super) fn judge_clock(&mut self, message: &Message<'_>, desk: &mut Desk) {
        let Some(uptime) = message.uptime_ms else {
            return;
        };
        if message.step == Step::Late {
            return;
        }
        let base = message.export_ms() - i64::from(uptime);
        let before = self.clock.replace((uptime, base));
        let moved = before.map_or(0, |(_, before)| base - before);
        let booted = before.is_some_and(|(uptime, before)| {
            base >= before + i64::from(uptime) - SAME_BASE_MS && self.has_templates_of(message)
        });
        if booted || moved.abs() <= SAME_BASE_MS {
            self.moves = 0;
            return;
        }
        self.moves += 1;
        if self.moves >= MOVES {
            let rule = if message.version == 9 { R::F14 } else { R::N03 };
            desk.judge(rule, false, Verdict::WrongData, 4, 8, || {
                format!("header time less uptime moves by {moved} ms from message to message")
            });
        }
    }

    /// Keeps a template.
    pub(super) fn learn(&mut self, layout: Layout, message: &Message<'_>, desk: &mut Desk) {
        self.init_time |= layout.has(ie::SYSTEM_INIT_TIME_MILLISECONDS);
        self.selection_reported |=
            layout.scope_has(ie::SELECTION_SEQUENCE_ID) && layout.has(ie::SELECTOR_ID);
        let before = self.templates.remove(&layout.id);
        let copies = match &before {
            Some(known) if known.layout.defines_the_same(&layout) => known.copies + 1,
            _ => 1,
        };
        let passed_ms = before
            .as_ref()
            .map(|known| message.at_ms.saturating_sub(known.sent_ms))
            .filter(|passed_ms| copies > 2 && *passed_ms > 0);
        let interval_ms = match &before {
            Some(known) if copies > 1 => known.interval_ms.into_iter().chain(passed_ms).min(),
            _ => None,
        };
        let again = before
            .as_ref()
            .is_some_and(|known| known.message != message.number_in_judge);
        let messages = before.as_ref().map_or(0, |known| known.messages);
        let appeared = before.as_ref().map_or(self.packets, |known| known.appeared);
        let data = before.as_ref().and_then(|known| known.data);
        desk.fields_left += before.as_ref().map_or(0, |known| known.layout.fields.len());
        let fields = layout.fields.len();
        if self.templates.len() >= TEMPLATES || fields > desk.fields_left {
            self.blind = true;
            return;
        }
        desk.fields_left -= fields;
        let id = layout.id;
        let known = Known {
            layout: Arc::new(layout),
            message: message.number_in_judge,
            export_s: message.seconds,
            withdrawn: false,
            copies,
            data,
            messages: messages + u32::from(again || before.is_none()),
            appeared,
            interval_ms,
            sent_ms: message.at_ms,
            sent_packets: self.packets,
            overdue: false,
        };
        self.templates.insert(id, known);
    }

    /// Data of this template is at hand. RFC 7011 section 8.4: over UDP several messages have brought the template
    /// before the first.
    pub(super) fn judge_first_data(
        &mut self,
        message: &Message<'_>,
        id: u16,
        offset: usize,
        desk: &mut Desk,
    ) {
        let seen = self.sequence.began && self.sequence.unbroken && !self.blind && !self.missed;
        let Some(known) = self.templates.get_mut(&id) else {
            return;
        };
        let before = known
            .data
            .replace((message.number_in_judge, message.at_ms, message.seconds));
        let udp = message.version == 10 && message.transport == Transport::Udp;
        if before.is_some() || !udp || !seen || known.appeared <= FIRST_PACKETS {
            return;
        }
        desk.judge(
            R::T13,
            known.messages > 1,
            Verdict::Deviation,
            offset,
            4,
            || format!("data of template {id}, which was sent once before: if that was lost, nothing can be decoded"),
        );
    }

    /// A template ID gets a new meaning over UDP.
    pub(super) fn judge_new_meaning(
        known: &Known,
        message: &Message<'_>,
        offset: usize,
        desk: &mut Desk,
    ) {
        let Some(interval_ms) = known.interval_ms else {
            return;
        };
        let passed_ms = message.at_ms.saturating_sub(known.sent_ms);
        let kept = passed_ms >= INTERVALS * interval_ms;
        desk.judge(R::T26, kept, Verdict::Deviation, offset, 4, || {
            format!(
                "template ID {} has a new meaning {passed_ms} ms after it was sent last; copies came every {interval_ms} ms",
                known.layout.id
            )
        });
    }

    /// Whether the template of the data at hand is sent again as it should over UDP.
    pub(super) fn judge_refresh(
        &mut self,
        message: &Message<'_>,
        id: u16,
        offset: usize,
        desk: &mut Desk,
    ) {
        let Some(known) = self.templates.get_mut(&id) else {
            return;
        };
        if message.transport != Transport::Udp || known.overdue || message.step == Step::Late {
            return;
        }
        let strict = desk.options.strict;
        let (since_ms, since_packets) = self.whole_since;
        let passed_ms = message.at_ms.saturating_sub(known.sent_ms.max(since_ms));
        let passed = self.packets - known.sent_packets.max(since_packets);
        let by_time = passed_ms
            > if strict {
                REFRESH_MS_STRICT
            } else {
                REFRESH_MS
            };
        let most = if strict {
            REFRESH_PACKETS_STRICT
        } else {
            REFRESH_PACKETS
        };
        let by_packets = message.version == 9 && passed > most;
        if !by_time && !by_packets {
            return;
        }
        known.overdue = true;
        let rule = if message.version == 9 { R::T12 } else { R::T11 };
        desk.judge(rule, false, Verdict::DataLoss, offset, 4, || {
            format!("template {id} has not been sent again for {passed} packets and {} s: who starts to listen meanwhile, or lost it, decodes nothing", passed_ms / 1000)
        });
    }
}
