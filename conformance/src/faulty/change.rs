//! Changes to finished messages.

use super::f;
use crate::faulty::{F, Sent, Set, Template, number};

type Messages = Vec<Sent>;

/// A message in the middle, without templates.
const MIDDLE: usize = 7;

fn each(messages: &mut Messages, change: impl Fn(usize, &mut Sent)) {
    for (index, message) in messages.iter_mut().enumerate() {
        change(index, message);
    }
}

fn total(messages: &mut Messages, step: impl Fn(&Sent) -> u32, own: bool) {
    let mut next = 0;
    for message in messages {
        message.sequence = next;
        next += step(message);
        if own {
            message.sequence = next;
        }
    }
}

fn length(message: &Sent) -> u16 {
    u16::try_from(message.octets().len()).unwrap()
}

fn raw(id: u16, octets: &[u8]) -> Set {
    Set {
        id,
        records: vec![octets.to_vec()],
        padding: Vec::new(),
        length: None,
        is_template: true,
        is_options: false,
    }
}

fn template_set(message: &mut Sent) -> Option<&mut Set> {
    let mut sets = message.sets.iter_mut();
    sets.find(|set| set.is_template && !set.is_options)
}

fn template_id(message: &Sent) -> u16 {
    if message.version == 9 { 0 } else { 2 }
}

/// A data template of its own.
fn template(fields: &[F]) -> Template {
    Template {
        id: 300,
        scopes: None,
        fields: fields.to_vec(),
        count: None,
    }
}

fn without_templates(message: &mut Sent) {
    message.sets.retain(|set| !set.is_template);
}

/// The definition of template 256 with the ports exchanged: records look the same.
fn exchanged(messages: &[Sent]) -> Vec<u8> {
    let sets = &messages[0].sets;
    let set = sets.iter().find(|set| set.is_template).unwrap();
    let mut record = set.records[0].clone();
    for field in record[4..].chunks_exact_mut(4) {
        match field {
            [0, id @ 7, 0, 2] => *id = 11,
            [0, id @ 11, 0, 2] => *id = 7,
            _ => {}
        }
    }
    record
}

pub(crate) fn count_of_one(messages: &mut Messages) {
    each(messages, |_, message| message.second = Some(1));
}

pub(crate) fn count_of_sets(messages: &mut Messages) {
    each(messages, |_, message| {
        message.second = u16::try_from(message.sets.len()).ok();
    });
}

pub(crate) fn sequence_of_records(messages: &mut Messages) {
    total(messages, Sent::data_records, false);
}

pub(crate) fn sequence_stands(messages: &mut Messages) {
    each(messages, |_, message| message.sequence = 0);
}

pub(crate) fn sequence_of_messages(messages: &mut Messages) {
    total(messages, |_| 1, false);
}

pub(crate) fn sequence_of_own(messages: &mut Messages) {
    total(messages, Sent::data_records, true);
}

pub(crate) fn sequence_of_templates(messages: &mut Messages) {
    let step = |message: &Sent| message.data_records() + message.template_records();
    total(messages, step, false);
}

pub(crate) fn sequence_without_options(messages: &mut Messages) {
    let step = |message: &Sent| message.data_records().saturating_sub(1);
    total(messages, step, false);
}

pub(crate) fn length_too_large(messages: &mut Messages) {
    each(messages, |_, message| {
        message.second = Some(length(message) + 4);
    });
}

pub(crate) fn length_too_small(messages: &mut Messages) {
    each(messages, |_, message| {
        message.second = Some(length(message) - 4);
    });
}

pub(crate) fn export_time_zero(messages: &mut Messages) {
    messages[0].seconds = 0;
}

pub(crate) fn uptime_stands(messages: &mut Messages) {
    let last = messages.last().unwrap().uptime_ms;
    each(messages, |_, message| message.uptime_ms = last);
}

pub(crate) fn too_large(messages: &mut Messages) {
    let set = messages[MIDDLE].sets.iter_mut().find(|set| set.id == 256);
    let set = set.unwrap();
    let record = set.records[0].clone();
    set.records.resize(4000 / record.len(), record);
    set.padding.clear();
    number(messages);
}

pub(crate) fn dirty_padding(messages: &mut Messages) {
    for set in messages.iter_mut().flat_map(|message| &mut message.sets) {
        let octets: usize = set.records.iter().map(Vec::len).sum();
        set.padding = vec![1; octets.next_multiple_of(4) - octets];
    }
}

pub(crate) fn no_padding(messages: &mut Messages) {
    for set in messages.iter_mut().flat_map(|message| &mut message.sets) {
        set.padding.clear();
    }
}

pub(crate) fn reserved_set(messages: &mut Messages) {
    messages[MIDDLE].sets.push(raw(77, &[0; 8]));
}

pub(crate) fn set_too_long(messages: &mut Messages) {
    messages[MIDDLE].sets.last_mut().unwrap().length = Some(4000);
}

pub(crate) fn set_too_short(messages: &mut Messages) {
    messages[MIDDLE].sets.last_mut().unwrap().length = Some(3);
}

pub(crate) fn empty_set(messages: &mut Messages) {
    messages[MIDDLE].sets.push(raw(256, &[]));
    messages[MIDDLE].sets.last_mut().unwrap().records.clear();
}

pub(crate) fn half_a_record(messages: &mut Messages) {
    messages[MIDDLE].sets.push(raw(256, &[1; 20]));
}

pub(crate) fn trailing(messages: &mut Messages) {
    messages[MIDDLE].trailing = vec![0; 3];
}

pub(crate) fn two_messages(messages: &mut Messages) {
    let mut next = messages.remove(MIDDLE + 1);
    next.sets.clear();
    messages[MIDDLE].second = Some(length(&messages[MIDDLE]));
    messages[MIDDLE].trailing = next.octets();
}

pub(crate) fn low_id(messages: &mut Messages) {
    let id = template_id(&messages[0]);
    let template = [0, 200, 0, 1, 0, 1, 0, 4];
    messages[0].sets.push(raw(id, &template));
}

pub(crate) fn two_meanings(messages: &mut Messages) {
    let other = exchanged(messages);
    template_set(&mut messages[0]).unwrap().records.push(other);
}

pub(crate) fn no_enterprise_number(messages: &mut Messages) {
    let template = [1, 44, 0, 2, 0x80, 8, 0, 4, 0, 12, 0, 4];
    messages[0].sets.push(raw(2, &template));
}

/// The uptime falls by 80 s, and still lies behind the flows.
pub(crate) fn restart_without_templates(messages: &mut Messages) {
    let (before, after) = messages.split_at_mut(MIDDLE);
    let fall = before.last().unwrap().uptime_ms - 550_000;
    for (index, message) in (0..).zip(after) {
        message.uptime_ms -= fall;
        message.sequence = index;
        without_templates(message);
    }
}

pub(crate) fn data_first(messages: &mut Messages) {
    without_templates(&mut messages[0]);
}

pub(crate) fn template_behind(messages: &mut Messages) {
    let mut data = messages[1].sets.clone();
    messages[0].sets.retain(|set| set.is_template);
    data.append(&mut messages[0].sets);
    messages[0].sets = data;
    number(messages);
}

pub(crate) fn never_again(messages: &mut Messages) {
    each(messages, |index, message| {
        let more = u32::try_from(index).unwrap() * 300;
        message.seconds += more;
        message.uptime_ms += more * 1000;
        message.at_ms += u64::from(more) * 1000;
        if index > 0 {
            without_templates(message);
        }
    });
}

pub(crate) fn withdrawal(messages: &mut Messages) {
    messages[MIDDLE].sets.retain(|set| set.id != 256);
    messages[MIDDLE].sets.push(raw(2, &[1, 0, 0, 0]));
    number(messages);
}

/// The IPv6 records end with the withdrawal of their template, behind the last.
pub(crate) fn withdrawal_behind_data(messages: &mut Messages) {
    messages[MIDDLE].sets.push(raw(2, &[1, 1, 0, 0]));
    for message in &mut messages[MIDDLE + 1..] {
        message.sets.retain(|set| set.id != 257);
    }
    number(messages);
}

/// A template that is first sent together with its data.
pub(crate) fn sudden_template(messages: &mut Messages) {
    let template = template(&[f(8, 0, 4, &[192, 0, 2, 1]), f(4, 0, 1, &[6])]);
    messages[MIDDLE].sets.push(raw(2, &template.record(10)));
    for message in &mut messages[MIDDLE..] {
        message.sets.push(Set {
            is_template: false,
            ..raw(300, &template.data())
        });
    }
    number(messages);
}

pub(crate) fn new_meaning_too_soon(messages: &mut Messages) {
    let other = exchanged(messages);
    // All three copies have been there, the last less than three intervals ago.
    messages[12].sets.push(raw(2, &other));
}

/// An options template among the others.
pub(crate) fn mixed_set(messages: &mut Messages) {
    let (template, id) = if messages[0].version == 9 {
        // Scope and options of four octets each: System; sampling interval.
        (&[1, 44, 0, 4, 0, 4, 0, 1, 0, 4, 0, 34, 0, 4][..], 0)
    } else {
        // One scope field of two: exportingProcessId; selectorId.
        (&[1, 44, 0, 2, 0, 1, 0, 144, 0, 4, 1, 46, 0, 8][..], 2)
    };
    messages[MIDDLE].sets.push(raw(id, template));
}

/// 255 octets with their length in one.
pub(crate) fn length_of_255(messages: &mut Messages) {
    let template = template(&[f(82, 0, 0xffff, &[])]);
    each(messages, |_, message| {
        if let Some(set) = template_set(message) {
            set.records.push(template.record(10));
        }
        message.sets.push(Set {
            is_template: false,
            ..raw(300, &[&[255][..], &[b'a'; 255]].concat())
        });
    });
    number(messages);
}

/// Statistics of the exporting process under the number of a domain, in a message of their own.
pub(crate) fn process_in_a_domain(messages: &mut Messages) {
    let options = Template {
        scopes: Some(1),
        ..template(&[
            f(144, 0, 4, &[0, 0, 0, 1]),
            f(166, 0, 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
        ])
    };
    let mut message = messages[MIDDLE].clone();
    message.domain = 9;
    // Not the first one of its session.
    message.sequence = 77;
    message.sets = vec![
        Set {
            is_options: true,
            ..raw(3, &options.record(10))
        },
        Set {
            is_template: false,
            is_options: true,
            ..raw(300, &options.data())
        },
    ];
    messages.insert(MIDDLE, message);
}

/// Packets observed and selected, fewer from message to message.
pub(crate) fn falling_statistics(messages: &mut Messages) {
    let options = |observed: usize| {
        let mut record = vec![0, 0, 0, 1, 0, 0, 0, 2];
        record.extend((observed as u64).to_be_bytes());
        record
    };
    let template = Template {
        scopes: Some(2),
        ..template(&[f(301, 0, 4, &[]), f(302, 0, 4, &[]), f(318, 0, 8, &[])])
    };
    each(messages, |index, message| {
        let mut sets = message.sets.iter_mut();
        if let Some(set) = sets.find(|set| set.is_template && set.is_options) {
            set.records.push(template.record(10));
        }
        message.sets.push(Set {
            is_template: false,
            is_options: true,
            ..raw(300, &options(100 - index))
        });
    });
    number(messages);
}

/// Packets of a selection sequence that nobody has reported.
pub(crate) fn unknown_sequence(messages: &mut Messages) {
    let template = template(&[f(301, 0, 4, &[0, 0, 0, 1]), f(8, 0, 4, &[192, 0, 2, 1])]);
    each(messages, |_, message| {
        if let Some(set) = template_set(message) {
            set.records.push(template.record(10));
        }
        message.sets.push(Set {
            is_template: false,
            ..raw(300, &template.data())
        });
    });
    number(messages);
}

/// Templates go by datagram, data by stream.
pub(crate) fn templates_elsewhere(messages: &mut Messages) {
    let mut datagram = messages[0].clone();
    datagram.datagram = true;
    datagram.sets.retain(|set| set.is_template);
    each(messages, |_, message| without_templates(message));
    messages.insert(0, datagram);
}

pub(crate) fn withdrawn_twice(messages: &mut Messages) {
    messages[MIDDLE].sets.retain(|set| set.id != 256);
    messages[MIDDLE]
        .sets
        .push(raw(2, &[1, 0, 0, 0, 1, 0, 0, 0]));
    for message in &mut messages[MIDDLE + 1..] {
        message.sets.retain(|set| set.id != 256);
    }
    number(messages);
}

pub(crate) fn changed_on_stream(messages: &mut Messages) {
    let other = exchanged(messages);
    messages[MIDDLE].sets.push(raw(2, &other));
}

pub(crate) fn new_meaning(messages: &mut Messages) {
    let other = exchanged(messages);
    messages[MIDDLE].sets.push(raw(0, &other));
}

pub(crate) fn older_data(messages: &mut Messages) {
    messages[MIDDLE].seconds = messages[MIDDLE - 2].seconds - 3;
}

pub(crate) fn too_many_fields(messages: &mut Messages) {
    for set in messages.iter_mut().filter_map(template_set) {
        let record = set.records.last_mut().unwrap();
        record[3] += 1;
    }
}

pub(crate) fn no_fields(messages: &mut Messages) {
    messages[0].sets.push(raw(0, &[1, 44, 0, 0]));
}

pub(crate) fn huge_record(messages: &mut Messages) {
    let id = template_id(&messages[0]);
    let template = [1, 44, 0, 2, 0, 82, 0xf0, 0, 0, 83, 0xf0, 0];
    messages[0].sets.push(raw(id, &template));
}

pub(crate) fn longer_records(messages: &mut Messages) {
    let sets = messages[MIDDLE].sets.iter_mut();
    for set in sets.filter(|set| set.id == 256) {
        set.records.last_mut().unwrap().extend([0xaa; 12]);
    }
}

/// The string of the IPv6 records has six octets.
fn with_string(messages: &mut Messages, length: u8) {
    let sets = messages.iter_mut().flat_map(|message| &mut message.sets);
    for set in sets.filter(|set| set.id == 257) {
        let record = set.records.last_mut().unwrap();
        let at = record.windows(2).position(|pair| pair == b"\x06g").unwrap();
        record[at] = length;
    }
}

pub(crate) fn length_counts_itself(messages: &mut Messages) {
    for message in messages.iter_mut() {
        for set in message.sets.iter_mut().filter(|set| set.id == 257) {
            set.records.truncate(1);
        }
    }
    number(messages);
    with_string(messages, 7);
}

pub(crate) fn value_too_long(messages: &mut Messages) {
    with_string(messages, 250);
}

pub(crate) fn no_init_time(messages: &mut Messages) {
    let template = template(&[
        f(22, 0, 4, &[0, 0, 0, 1]),
        f(21, 0, 4, &[0, 0, 0, 9]),
        f(8, 0, 4, &[192, 0, 2, 1]),
    ]);
    each(messages, |_, message| {
        message.sets.retain(|set| !set.is_options);
        if let Some(set) = template_set(message) {
            set.records.push(template.record(10));
        }
        message.sets.push(Set {
            is_template: false,
            ..raw(300, &template.data())
        });
    });
    number(messages);
}

pub(crate) fn odd_options(messages: &mut Messages) {
    let sets = messages.iter_mut().flat_map(|message| &mut message.sets);
    for set in sets.filter(|set| set.is_template && set.is_options) {
        set.records[0][5] += 2;
    }
}

pub(crate) fn little_endian(messages: &mut Messages) {
    let message = &mut messages[MIDDLE];
    message.second = Some(length(message).swap_bytes());
    message.version = 10_u16.swap_bytes();
}
