//! Data sets: cut into records by their templates, and what the cutting says.

use std::sync::Arc;

use protocol::reader::Reader;
use protocol::registry::ie;
use protocol::template::VARIABLE_LENGTH;
use protocol::value::unsigned;

use super::domain::Domain;
use super::layout::Layout;
use super::lists;
use super::message::Message;
use super::rules::{Desk, R};
use super::sampling::{self, Statistic};
use super::sequence::Step;
use super::values::Facts;
use crate::verdict::Verdict;

/// Octets that may still be padding rather than a record.
const MOST_PADDING: usize = 7;

/// After so many packets also options have been sent again.
const PACKETS: u64 = 600;

/// How many records a set holds: padding of a few octets may be read as short records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Records {
    pub least: u32,
    pub most: u32,
}

impl Records {
    fn new(least: usize, most: usize) -> Self {
        let count = |records| u32::try_from(records).unwrap_or(u32::MAX);
        Self {
            least: count(least),
            most: count(most),
        }
    }
}

/// What a set is read with.
struct Context<'a> {
    message: &'a Message<'a>,
    domain: &'a mut Domain,
    desk: &'a mut Desk,
    layout: &'a Layout,
}

/// Reads a data set. `None`: its records cannot be counted.
pub(super) fn data_set(
    message: &Message<'_>,
    id: u16,
    set: &Reader<'_>,
    domain: &mut Domain,
    desk: &mut Desk,
) -> Option<Records> {
    let at = set.offset().saturating_sub(4);
    let Some(known) = domain.templates.get(&id) else {
        unknown(message, id, at, domain, desk);
        return None;
    };
    if known.withdrawn {
        desk.judge(R::T20, false, Verdict::DataLoss, at, 4, || {
            format!("data of template {id}, which has been withdrawn")
        });
        return None;
    }
    judge_known(message, domain, desk);
    judge_order(message, known.export_s, id, at, desk);
    let (layout, copies) = (Arc::clone(&known.layout), known.copies);
    judge_init_time(message, &layout, copies, domain, at, desk);
    sampling::judge_sequence_reported(&layout, copies, domain, at, desk);
    domain.judge_refresh(message, id, at, desk);
    domain.judge_first_data(message, id, at, desk);
    if layout.variable && message.version != 10 {
        return None;
    }
    let mut context = Context {
        message,
        domain,
        desk,
        layout: &layout,
    };
    if layout.variable {
        variable(set, &mut context)
    } else {
        fixed(set, &mut context)
    }
}

/// RFC 7011 section 8.2: no data carries an earlier time than its template.
fn judge_order(message: &Message<'_>, template_s: u32, id: u16, at: usize, desk: &mut Desk) {
    if message.version != 10 || message.step != Step::InOrder {
        return;
    }
    let earlier = template_s.wrapping_sub(message.seconds);
    let kept = earlier == 0 || earlier > u32::MAX / 2;
    desk.judge(R::T23, kept, Verdict::Deviation, message.seconds_at(), 4, || {
        format!("data of template {id} (octet {at}) has an export time {earlier} s before that of its template")
    });
}

fn judge_init_time(
    message: &Message<'_>,
    layout: &Layout,
    copies: u32,
    domain: &Domain,
    at: usize,
    desk: &mut Desk,
) {
    let uptimes = layout.has(ie::FLOW_END_SYS_UP_TIME) || layout.has(ie::FLOW_START_SYS_UP_TIME);
    if message.version != 10 || layout.scopes.is_some() || !uptimes {
        return;
    }
    if domain.init_time {
        desk.check(R::F13);
    } else if copies > 1 && !domain.blind && (domain.sequence.unbroken || domain.packets > PACKETS)
    {
        // All templates have had their turn, options too.
        desk.judge(R::F13, false, Verdict::WrongData, at, 4, || {
            format!("template {} gives uptimes, and systemInitTimeMilliseconds (160) is nowhere sent: no time can be told", layout.id)
        });
    }
}

/// Data without a template: a fault only when the session was seen from its beginning. Of IPFIX over UDP that
/// cannot be known: messages of templates leave no gap in the numbers.
fn unknown(message: &Message<'_>, id: u16, at: usize, domain: &mut Domain, desk: &mut Desk) {
    domain.missed = true;
    if domain.blind {
        return;
    }
    let whole = domain.sequence.unbroken && message.version == 9;
    if domain.restarted && whole {
        desk.judge(R::T09, false, Verdict::DataLoss, at, 4, || {
            format!("data of template {id}, which has not been sent since the restart")
        });
    } else if whole && message.step == Step::InOrder {
        desk.judge(R::T10, false, Verdict::DataLoss, at, 4, || before(id));
    } else if message.version == 10
        && message.transport.is_stream()
        && domain.sequence.began
        && message.sequence > 0
    {
        let rule = if desk.datagrams.knows(message, id) {
            R::X09
        } else {
            R::X07
        };
        desk.judge(rule, false, Verdict::DataLoss, at, 4, || {
            if rule == R::X09 {
                format!("data of template {id}, which has been sent over UDP only")
            } else {
                before(id)
            }
        });
    }
}

/// Data whose template was seen from the beginning of the session.
fn judge_known(message: &Message<'_>, domain: &Domain, desk: &mut Desk) {
    if !domain.sequence.began || message.step == Step::Late {
        return;
    }
    if domain.restarted {
        desk.check(R::T09);
    }
    desk.check(R::T10);
    if message.transport.is_stream() {
        desk.check(R::X07);
        if desk.datagrams.sent_datagrams(message) {
            desk.check(R::X09);
        }
    }
}

fn before(id: u16) -> String {
    format!("data of template {id}, which has not been sent yet")
}

fn fixed(set: &Reader<'_>, context: &mut Context<'_>) -> Option<Records> {
    let least = context.layout.least;
    if least == 0 || !judge_length(set, context) {
        return None;
    }
    let (records, padding) = (set.left() / least, set.left() % least);
    if !judge_tail(set, padding, context) {
        return None;
    }
    let doubtful = zero_tail(set.rest()).min(MOST_PADDING) / least;
    let certain = records - doubtful.min(records);
    judge_records(set, certain, context)?;
    Some(Records::new(certain, records))
}

fn variable(set: &Reader<'_>, context: &mut Context<'_>) -> Option<Records> {
    if !judge_length(set, context) {
        return None;
    }
    let least = context.layout.least;
    // First the boundaries: values are only read where all records end as they should.
    let mut reader = set.clone();
    let mut records = 0;
    let mut doubtful = 0;
    while reader.left() >= least {
        if records > 0 && reader.left() <= MOST_PADDING && zero_tail(reader.rest()) == reader.left()
        {
            doubtful = reader.left() / least;
            break;
        }
        if !context.desk.spend(context.layout.fields.len()) {
            return None;
        }
        let at = reader.offset();
        if context.layout.read(&mut reader, |_, _| {}).is_err() {
            overrun(set, at, context);
            return None;
        }
        records += 1;
    }
    context.desk.check(R::F06);
    context.desk.check(R::F07);
    context.desk.check(R::F08);
    let tail = if doubtful > 0 { 0 } else { reader.left() };
    if !judge_tail(set, tail, context) {
        return None;
    }
    judge_records(set, records, context)?;
    Some(Records::new(records, records + doubtful))
}

/// Judges the first records of a set, as many as there is time for.
fn judge_records(set: &Reader<'_>, records: usize, context: &mut Context<'_>) -> Option<()> {
    let mut reader = set.clone();
    for _ in 0..records {
        if !context.desk.spend(context.layout.fields.len()) {
            break;
        }
        record(&mut reader, context)?;
    }
    Some(())
}

fn record(reader: &mut Reader<'_>, context: &mut Context<'_>) -> Option<()> {
    let mut facts = Facts::default();
    let (message, domain) = (context.message, &mut *context.domain);
    let (desk, layout) = (&mut *context.desk, context.layout);
    let ipfix = message.version == 10;
    let options = ipfix && layout.scopes.is_some();
    let mut statistic = options.then(|| Statistic::new(layout, &domain.hasher));
    layout
        .read(reader, |field, value| {
            facts.field(field, value, message, desk);
            if ipfix && layout.lists {
                lists::judge(field, value, layout.id, domain, desk);
            }
            if let Some(statistic) = &mut statistic
                && let Some(key) = statistic.field(field, value.octets)
                && let Some(number) = unsigned(value.octets)
            {
                sampling::judge_grows(key, number, value.offset, message, domain, desk);
            }
        })
        .ok()?;
    facts.judge(message, layout, context.domain, context.desk);
    Some(())
}

/// Whether the set holds a record at all.
fn judge_length(set: &Reader<'_>, context: &mut Context<'_>) -> bool {
    let (octets, least, id) = (set.left(), context.layout.least, context.layout.id);
    let verdict = if octets == 0 {
        Verdict::Deviation
    } else {
        Verdict::DataLoss
    };
    let enough = octets >= least;
    context
        .desk
        .judge(R::S11, enough, verdict, set.offset() - 4, 4, || {
            format!("data set {id} has {octets} octets, a record has at least {least}")
        });
    enough
}

/// Judges what follows the last record; gives whether the records before it can be trusted.
fn judge_tail(set: &Reader<'_>, tail: usize, context: &mut Context<'_>) -> bool {
    let octets = set.rest();
    let end = set.offset() + octets.len();
    let aligned = (octets.len() + 4).is_multiple_of(4) || end.is_multiple_of(4);
    let desk = &mut *context.desk;
    let version = context.message.version;
    if version == 9 {
        let wanted = (octets.len() + 4).next_multiple_of(4) - (octets.len() + 4);
        let kept = aligned || wanted >= context.layout.least;
        desk.judge(
            R::S06,
            kept,
            Verdict::Deviation,
            set.offset() - 4,
            4,
            || {
                format!(
                    "FlowSet of {} octets is not padded to a multiple of 4",
                    octets.len() + 4
                )
            },
        );
    }
    desk.check(R::T37);
    if tail == 0 {
        return true;
    }
    let padding_rule = if version == 9 { R::S06 } else { R::S03 };
    if zero_tail(octets) >= tail {
        desk.check(padding_rule);
        return true;
    }
    if tail < 4 && aligned {
        desk.judge(
            padding_rule,
            false,
            Verdict::Deviation,
            end - tail,
            tail,
            || "padding is not zero".to_owned(),
        );
        return true;
    }
    if tail > MOST_PADDING || !aligned {
        let id = context.layout.id;
        desk.fault(R::T37, Verdict::WrongData, end - tail, tail, || {
            format!("{tail} octets that are no padding follow the last record of template {id}: template and records disagree")
        });
    }
    false
}

/// A record ends behind its set: is it that lengths count themselves?
fn overrun(set: &Reader<'_>, at: usize, context: &mut Context<'_>) {
    let id = context.layout.id;
    let (rule, what) = if fits(set, context.layout, counting_itself) {
        (R::F07, "lengths count themselves")
    } else if fits(set, context.layout, in_one_octet) {
        (R::F06, "a length of 255 is written in one octet")
    } else {
        (R::F08, "a value ends behind its set")
    };
    context
        .desk
        .judge(rule, false, Verdict::DataLoss, at, 1, || {
            format!("in records of template {id} {what}")
        });
}

/// A length that counts its own octets too.
fn counting_itself(reader: &mut Reader<'_>) -> Option<u16> {
    match reader.u8().ok()? {
        255 => reader.u16().ok()?.checked_sub(3),
        length => u16::from(length).checked_sub(1),
    }
}

/// A length that is always one octet.
fn in_one_octet(reader: &mut Reader<'_>) -> Option<u16> {
    reader.u8().ok().map(u16::from)
}

/// Whether the set can be read to its end when lengths are read in this other way.
fn fits(set: &Reader<'_>, layout: &Layout, read: impl Fn(&mut Reader<'_>) -> Option<u16>) -> bool {
    let mut reader = set.clone();
    while reader.left() >= layout.least && zero_tail(reader.rest()) < reader.left() {
        for field in &layout.fields {
            let length = if field.length == VARIABLE_LENGTH {
                read(&mut reader)
            } else {
                Some(field.length)
            };
            let read = length.map(|length| reader.take(usize::from(length)));
            if !matches!(read, Some(Ok(_))) {
                return false;
            }
        }
    }
    zero_tail(reader.rest()) == reader.left() && reader.left() <= MOST_PADDING
}

/// How many octets at the end are zero.
fn zero_tail(octets: &[u8]) -> usize {
    octets.iter().rev().take_while(|octet| **octet == 0).count()
}
