//! An exporter for tests that keeps all rules, and breaks exactly one when asked to. It writes messages octet by
//! octet and shares no code with the encoder or the judge.
#![allow(clippy::unwrap_used)]

mod relations;
mod table;

pub(crate) use table::{Change, Fault};

/// All faults.
pub(crate) fn faults() -> impl Iterator<Item = &'static Fault> {
    table::FAULTS.iter().chain(relations::FAULTS)
}

/// 2023-11-14 22:13:20 UTC, the time of the first message.
pub(crate) const BEGIN_S: u32 = 1_700_000_000;
/// When the device was started, before that.
const UP_BEFORE_MS: u32 = 600_000;

/// A field and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F {
    pub id: u16,
    pub pen: u32,
    /// In the template; 65535 puts a length before the value.
    pub length: u16,
    /// That length takes three octets.
    pub long: bool,
    pub value: &'static [u8],
}

/// What harms nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    pub version: u16,
    /// Fields are rotated by so many places.
    pub order: usize,
    /// IPFIX sets are padded (NetFlow v9's always are).
    pub padding: bool,
    /// Records of a set, at least.
    pub batch: usize,
    /// Templates go alone, not in front of data.
    pub alone: bool,
    /// A second domain, without faults, sends in between.
    pub two_domains: bool,
    /// Between messages.
    pub step_s: u32,
}

/// A template as sent.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub id: u16,
    /// `None`: data.
    pub scopes: Option<u16>,
    pub fields: Vec<F>,
    /// What the record says of its fields, if not the truth.
    pub count: Option<u16>,
}

/// A set of a message.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub id: u16,
    pub records: Vec<Vec<u8>>,
    pub padding: Vec<u8>,
    /// What the header says, if not the truth.
    pub length: Option<u16>,
    /// Of templates: not counted by IPFIX.
    pub is_template: bool,
    pub is_options: bool,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub at_ms: u64,
    /// Goes by datagram even if the fault is one of streams.
    pub datagram: bool,
    pub version: u16,
    pub domain: u32,
    pub seconds: u32,
    pub uptime_ms: u32,
    pub sequence: u32,
    /// NetFlow v9's count or IPFIX' length, if not the truth.
    pub second: Option<u16>,
    pub sets: Vec<Set>,
    pub trailing: Vec<u8>,
}

const MESSAGES: u32 = 18;
/// Templates are sent with every so manieth message.
const REFRESH: u32 = 5;

/// All messages of an exporter with this change, or with its right counterpart.
pub(crate) fn export(variation: &Variation, change: Option<(&Change, bool)>) -> Vec<Sent> {
    let mut messages = one_domain(variation, 0, change);
    if let Some((Change::Messages(change), true)) = change {
        change(&mut messages);
    }
    if !variation.two_domains {
        return messages;
    }
    let other = one_domain(variation, 7, None);
    messages
        .into_iter()
        .zip(other)
        .flat_map(|(one, two)| [one, two])
        .collect()
}

fn one_domain(variation: &Variation, domain: u32, change: Option<(&Change, bool)>) -> Vec<Sent> {
    let templates = templates(variation, change);
    let mut messages = Vec::new();
    for index in 0..MESSAGES {
        let refresh = index % REFRESH == 0;
        let mut sets = Vec::new();
        if refresh {
            sets.extend(template_sets(variation, &templates));
        }
        if !refresh || !variation.alone {
            let more = index as usize % 3;
            for template in &templates {
                let records = if template.scopes.is_some() {
                    1
                } else {
                    variation.batch + more
                };
                sets.push(data_set(variation, template, records));
            }
        }
        messages.push(message(variation, domain, index, sets));
    }
    number(&mut messages);
    messages
}

fn message(variation: &Variation, domain: u32, index: u32, sets: Vec<Set>) -> Sent {
    let seconds = BEGIN_S + index * variation.step_s;
    Sent {
        at_ms: u64::from(seconds) * 1000 + 20,
        datagram: false,
        version: variation.version,
        domain,
        seconds,
        uptime_ms: UP_BEFORE_MS + index * variation.step_s * 1000,
        sequence: 0,
        second: None,
        sets,
        trailing: Vec::new(),
    }
}

/// The right sequence numbers.
pub(crate) fn number(messages: &mut [Sent]) {
    let mut next = 0;
    for message in messages {
        message.sequence = next;
        next += if message.version == 9 {
            1
        } else {
            message.data_records()
        };
    }
}

fn templates(variation: &Variation, change: Option<(&Change, bool)>) -> Vec<Template> {
    let mut all = vec![
        data_template(256, table::flow(variation.version, 4), variation),
        data_template(257, table::flow(variation.version, 6), variation),
    ];
    let (scopes, options) = table::options(variation.version);
    all.push(options_template(258, scopes, options));
    match change {
        Some((Change::Fields { wrong, right }, faulty)) => {
            let fields = if faulty { wrong } else { right };
            all.push(data_template(300, fields, variation));
        }
        Some((
            Change::Options {
                scopes,
                wrong,
                right,
            },
            faulty,
        )) => {
            let (count, fields) = if faulty {
                (scopes.0, wrong)
            } else {
                (scopes.1, right)
            };
            all.push(options_template(300, count, fields));
        }
        _ => {}
    }
    all
}

fn data_template(id: u16, fields: &[F], variation: &Variation) -> Template {
    let mut fields = fields.to_vec();
    let places = variation.order % fields.len();
    fields.rotate_left(places);
    Template {
        id,
        scopes: None,
        fields,
        count: None,
    }
}

fn options_template(id: u16, scopes: u16, fields: &[F]) -> Template {
    Template {
        id,
        scopes: Some(scopes),
        fields: fields.to_vec(),
        count: None,
    }
}

fn template_sets(variation: &Variation, templates: &[Template]) -> Vec<Set> {
    [false, true]
        .into_iter()
        .map(|options| {
            let id = match (variation.version, options) {
                (9, false) => 0,
                (9, true) => 1,
                (_, false) => 2,
                (_, true) => 3,
            };
            let records = templates
                .iter()
                .filter(|template| template.scopes.is_some() == options)
                .map(|template| template.record(variation.version))
                .collect();
            Set {
                is_template: true,
                is_options: options,
                ..set(variation, id, records)
            }
        })
        .collect()
}

fn data_set(variation: &Variation, template: &Template, records: usize) -> Set {
    Set {
        is_options: template.scopes.is_some(),
        ..set(variation, template.id, vec![template.data(); records])
    }
}

fn set(variation: &Variation, id: u16, records: Vec<Vec<u8>>) -> Set {
    let octets: usize = records.iter().map(Vec::len).sum();
    let shortest = records.iter().map(Vec::len).min().unwrap_or(0);
    let wanted = octets.next_multiple_of(4) - octets;
    let pad = (variation.padding || variation.version == 9) && wanted < shortest;
    Set {
        id,
        records,
        padding: vec![0; if pad { wanted } else { 0 }],
        length: None,
        is_template: false,
        is_options: false,
    }
}

impl Template {
    pub(crate) fn record(&self, version: u16) -> Vec<u8> {
        let mut octets = self.id.to_be_bytes().to_vec();
        let count = u16::try_from(self.fields.len()).unwrap();
        let said = self.count.unwrap_or(count);
        match (version, self.scopes) {
            (_, None) => octets.extend(said.to_be_bytes()),
            (9, Some(scopes)) => {
                octets.extend((scopes * 4).to_be_bytes());
                octets.extend((said * 4 - scopes * 4).to_be_bytes());
            }
            (_, Some(scopes)) => {
                octets.extend(said.to_be_bytes());
                octets.extend(scopes.to_be_bytes());
            }
        }
        for field in &self.fields {
            let enterprise = if field.pen == 0 { 0 } else { 0x8000 };
            octets.extend((field.id | enterprise).to_be_bytes());
            octets.extend(field.length.to_be_bytes());
            if field.pen != 0 {
                octets.extend(field.pen.to_be_bytes());
            }
        }
        octets
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for field in &self.fields {
            if field.length == 0xffff && field.long {
                octets.push(255);
                octets.extend(u16::try_from(field.value.len()).unwrap().to_be_bytes());
            } else if field.length == 0xffff {
                octets.push(u8::try_from(field.value.len()).unwrap());
            }
            octets.extend(field.value);
        }
        octets
    }
}

impl Set {
    fn octets(&self) -> Vec<u8> {
        let content = [self.records.concat(), self.padding.clone()].concat();
        let length = u16::try_from(content.len() + 4).unwrap();
        let mut octets = self.id.to_be_bytes().to_vec();
        octets.extend(self.length.unwrap_or(length).to_be_bytes());
        octets.extend(content);
        octets
    }
}

impl Sent {
    /// Data records, options included.
    pub(crate) fn data_records(&self) -> u32 {
        let sets = self.sets.iter().filter(|set| !set.is_template);
        sets.map(|set| u32::try_from(set.records.len()).unwrap())
            .sum()
    }

    pub(crate) fn template_records(&self) -> u32 {
        let sets = self.sets.iter().filter(|set| set.is_template);
        sets.map(|set| u32::try_from(set.records.len()).unwrap())
            .sum()
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut body: Vec<u8> = self.sets.iter().flat_map(Set::octets).collect();
        body.extend(&self.trailing);
        let mut octets = self.version.to_be_bytes().to_vec();
        if self.version == 9 {
            let count = u16::try_from(self.data_records() + self.template_records()).unwrap();
            octets.extend(self.second.unwrap_or(count).to_be_bytes());
            octets.extend(self.uptime_ms.to_be_bytes());
        } else {
            let length = u16::try_from(body.len() + 16).unwrap();
            octets.extend(self.second.unwrap_or(length).to_be_bytes());
        }
        octets.extend(self.seconds.to_be_bytes());
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(self.domain.to_be_bytes());
        octets.extend(body);
        octets
    }
}
