//! The cases as they are written in `data/cases/`: one line a step or an expectation, octets in hex.
//!
//! ```text
//! case NAME
//! what   one sentence
//! rules  T-18 T-17
//! for    9 10 / udp tcp        versions and transports, each mix is run for itself
//! message                      a header; the version, length, time, sequence and domain are filled in
//! templates                    a set of templates
//! template 256 STD             a template of the fields of a standard record
//! data 256                     a data set
//! record 1 5 400               the standard record, marked 1, of 5 packets and 400 octets
//! > stored 1 5 400             what must be stored
//! ```
//!
//! See data/cases/README.md for all words. A line is a step, an expectation (`>`), or a comment (`#`).

use std::sync::LazyLock;

use super::certificates::Identity;
use super::token::{Token, tokens};
use crate::catalogue;
use crate::verdict::{Profile, Verdict};
use crate::wire::Transport;

/// All cases, in the order of the files.
static CASES: LazyLock<Result<Vec<Case>, String>> = LazyLock::new(|| {
    let mut cases = Vec::new();
    for (file, text) in FILES {
        cases.extend(parse(file, text)?);
    }
    Ok(cases)
});

const FILES: &[(&str, &str)] = &[
    ("header", include_str!("../../data/cases/header.case")),
    ("sets", include_str!("../../data/cases/sets.case")),
    ("templates", include_str!("../../data/cases/templates.case")),
    (
        "withdrawal",
        include_str!("../../data/cases/withdrawal.case"),
    ),
    ("fields", include_str!("../../data/cases/fields.case")),
    ("options", include_str!("../../data/cases/options.case")),
    ("transport", include_str!("../../data/cases/transport.case")),
    ("lists", include_str!("../../data/cases/lists.case")),
    ("limits", include_str!("../../data/cases/limits.case")),
];

/// All cases.
///
/// # Errors
/// When a file of the tables is not well-formed; the tests see that it is.
pub fn cases() -> Result<&'static [Case], String> {
    CASES.as_deref().map_err(Clone::clone)
}

/// One case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Case {
    /// Its name, unique.
    pub name: String,
    /// What is done, in one sentence.
    pub what: String,
    /// The rules that it judges.
    pub rules: Vec<&'static str>,
    /// The tests of RFC 5471 that it stands for.
    pub tests: Vec<u8>,
    /// Versions of NetFlow or IPFIX it is run in.
    pub versions: Vec<u16>,
    /// Transports it is run over.
    pub transports: Vec<Transport>,
    /// Left out of a quick run.
    pub full: bool,
    /// Needs a device of its own: it is dangerous, or looks at counters or the log of the whole device.
    pub alone: bool,
    /// What is done.
    pub steps: Vec<Step>,
    /// What must come of it.
    pub expectations: Vec<Expectation>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A message begins; what was begun before is sent.
    Message(Header),
    /// A message without a header of ours begins.
    Raw(Vec<Token>),
    /// A set begins.
    Set {
        /// Its identifier.
        id: SetId,
        /// Its length if it lies: absolute.
        length: Option<u16>,
    },
    /// A template record.
    Template {
        /// Its identifier.
        id: Token,
        /// Scope fields; `None` for a template of data.
        scope: Option<u16>,
        /// The field count if it lies.
        count: Option<u16>,
        /// The fields.
        fields: Vec<Token>,
    },
    /// A standard record, with octets after it.
    Record {
        /// Its mark.
        mark: u8,
        /// Packets.
        packets: u64,
        /// Octets.
        octets: u64,
        /// What follows it.
        more: Vec<Token>,
    },
    /// Octets.
    Bytes(Vec<Token>),
    /// Octets after the last set, in none.
    Loose,
    /// So many data records were written as octets, for the sequence number.
    Count(u32),
    /// Another socket of the exporter.
    From(u8),
    /// Another exporter: 127.0.0.N.
    Host(u8),
    /// Another transport.
    Use(Transport),
    /// Another certificate over TLS.
    Identity(Identity),
    /// The connection is closed in order; the next message opens another one.
    Reconnect,
    /// The connection is reset.
    Reset,
    /// What follows is written so many octets at a time; 0 ends it.
    Slice(usize),
    /// What follows is written together, up to `flush`.
    Join,
    /// Ends `join`.
    Flush,
    /// Milliseconds to wait.
    Pause(u64),
    /// What follows, up to its `end`, is done so many times.
    Repeat(u32, Vec<Step>),
}

/// The identifier of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetId {
    /// 2, in NetFlow v9 0.
    Templates,
    /// 3, in NetFlow v9 1.
    Options,
    /// As it is.
    Number(Token),
}

/// What is not usual in a header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Version.
    pub version: Option<u16>,
    /// IPFIX: length, NetFlow v9: count.
    pub length: Option<u16>,
    /// Seconds to add to the export time.
    pub time: i64,
    /// The export time itself.
    pub absolute_time: Option<u32>,
    /// Uptime of NetFlow v9, milliseconds.
    pub uptime: Option<u32>,
    /// To add to the sequence number, once.
    pub skip: u32,
    /// To add to the sequence number from here on.
    pub gap: u32,
    /// To add to the observation domain.
    pub domain: u32,
    /// The number of the repetition is added to the domain.
    pub domains: bool,
}

/// What must come of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// Profiles it holds for; empty: all.
    pub profiles: Vec<Profile>,
    /// Transports it holds for; empty: all.
    pub transports: Vec<Transport>,
    /// Versions it holds for; empty: all.
    pub versions: Vec<u16>,
    /// How bad it is if this is not met; otherwise the usual.
    pub verdict: Option<Verdict>,
    /// What.
    pub what: What,
}

/// The kinds of [`Expectation`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A record of this mark, so often, with these values.
    Stored {
        /// Its mark.
        mark: u8,
        /// How often.
        times: usize,
        /// Values: any of those separated by `|`.
        fields: Vec<(String, String)>,
        /// It need not be stored.
        optional: bool,
    },
    /// No record of this mark.
    Absent(u8),
    /// An options record with these values; `true`: not asked of a device that shows none.
    Options(Vec<(String, String)>, bool),
    /// Records without a mark are no fault.
    Strays,
    /// So many records, or packets of NetFlow v9, are missed by the device.
    Lost(u64),
    /// Fewer than so many are.
    LostBelow(u64),
    /// Fewer lines of the log than this have that word in them.
    Quiet(usize, String),
    /// The memory of the device grows by no more than so many MiB.
    Memory(u64),
}

impl Expectation {
    /// Whether it holds for this mix.
    pub fn holds(&self, profile: Profile, version: u16, transport: Transport) -> bool {
        fn within<T: PartialEq>(list: &[T], one: &T) -> bool {
            list.is_empty() || list.contains(one)
        }
        // What holds over TCP holds over TLS.
        let stream = match transport {
            Transport::Tls if !self.transports.contains(&transport) => Transport::Tcp,
            other => other,
        };
        within(&self.profiles, &profile)
            && within(&self.versions, &version)
            && within(&self.transports, &stream)
    }
}

/// The cases of one file.
///
/// # Errors
/// The line that cannot be read.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    // The loops that are open, innermost last.
    let mut loops: Vec<(u32, Vec<Step>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |error: String| format!("{file}.case, line {}: {error}", index + 1);
        let line = line.split("# ").next().unwrap_or_default().trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if word.is_empty() {
            continue;
        }
        if word == "case" {
            cases.push(Case {
                name: rest.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let case = cases
            .last_mut()
            .ok_or_else(|| at("no case begun".to_owned()))?;
        match word {
            "what" => rest.clone_into(&mut case.what),
            "rules" => case.rules = rules(rest).map_err(at)?,
            "for" => (case.versions, case.transports) = mixes(rest).map_err(at)?,
            "full" => case.full = true,
            "alone" => case.alone = true,
            "tests" => {
                case.tests = rest
                    .split_whitespace()
                    .map(number)
                    .collect::<Result<_, _>>()
                    .map_err(at)?;
            }
            ">" => case.expectations.push(expectation(rest).map_err(at)?),
            "repeat" => loops.push((number(rest).map_err(at)?, Vec::new())),
            "end" => {
                let (times, steps) = loops.pop().ok_or_else(|| at("nothing to end".to_owned()))?;
                let outer = loops.last_mut().map_or(&mut case.steps, |(_, steps)| steps);
                outer.push(Step::Repeat(times, steps));
            }
            _ => {
                let step = step(word, rest).map_err(at)?;
                let steps = loops.last_mut().map_or(&mut case.steps, |(_, steps)| steps);
                steps.push(step);
            }
        }
    }
    Ok(cases)
}

fn rules(text: &str) -> Result<Vec<&'static str>, String> {
    let find = |id| {
        catalogue::find(id)
            .map(|row| row.rule.id)
            .ok_or_else(|| format!("no rule {id}"))
    };
    text.split_whitespace().map(find).collect()
}

fn mixes(text: &str) -> Result<(Vec<u16>, Vec<Transport>), String> {
    let (versions, transports) = text.split_once('/').ok_or("VERSIONS / TRANSPORTS wanted")?;
    let versions = versions
        .split_whitespace()
        .map(number)
        .collect::<Result<_, _>>()?;
    let transports = transports
        .split_whitespace()
        .map(transport)
        .collect::<Result<_, _>>()?;
    Ok((versions, transports))
}

fn transport(text: &str) -> Result<Transport, String> {
    match text {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        "tls" => Ok(Transport::Tls),
        other => Err(format!("no transport {other}")),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number that fits"))
}

fn step(word: &str, rest: &str) -> Result<Step, String> {
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Ok(match word {
        "message" => Step::Message(header(rest)?),
        "raw" => Step::Raw(tokens(rest)?),
        "templates" => set(SetId::Templates, rest)?,
        "options" => set(SetId::Options, rest)?,
        "data" | "set" => set(SetId::Number(Token::id(first)?), after)?,
        "template" => template(first, None, after)?,
        "options-template" => {
            let (scope, fields) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
            let scope = scope.strip_prefix("scope=").ok_or("scope=N wanted")?;
            template(first, Some(number(scope)?), fields)?
        }
        "record" => record(rest)?,
        "loose" => Step::Loose,
        "count" => Step::Count(number(rest)?),
        "from" => Step::From(number(rest)?),
        "host" => Step::Host(number(rest)?),
        "use" => Step::Use(transport(rest)?),
        "identity" => Step::Identity(match rest {
            "none" => Identity::None,
            "other" => Identity::Other,
            "expired" => Identity::Expired,
            other => return Err(format!("no identity {other:?}")),
        }),
        "reconnect" => Step::Reconnect,
        "reset" => Step::Reset,
        "slice" => Step::Slice(number(rest)?),
        "join" => Step::Join,
        "flush" => Step::Flush,
        "pause" => Step::Pause(number(rest)?),
        ":" => Step::Bytes(tokens(rest)?),
        other => return Err(format!("the step {other:?} is not known")),
    })
}

fn set(id: SetId, rest: &str) -> Result<Step, String> {
    let length = match rest.strip_prefix("length=") {
        Some(length) => Some(number(length)?),
        None if rest.is_empty() => None,
        None => return Err(format!("{rest:?} after a set")),
    };
    Ok(Step::Set { id, length })
}

fn template(id: &str, scope: Option<u16>, rest: &str) -> Result<Step, String> {
    let (count, fields) = match rest.strip_prefix("count=") {
        Some(rest) => {
            let (count, fields) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            (Some(number(count)?), fields)
        }
        None => (None, rest),
    };
    Ok(Step::Template {
        id: Token::id(id)?,
        scope,
        count,
        fields: tokens(fields)?,
    })
}

fn record(rest: &str) -> Result<Step, String> {
    let (numbers, more) = rest.split_once('+').unwrap_or((rest, ""));
    let numbers: Vec<u64> = numbers
        .split_whitespace()
        .map(number)
        .collect::<Result<_, _>>()?;
    let [mark, packets, octets] = numbers[..] else {
        return Err("record MARK PACKETS OCTETS [+ octets]".to_owned());
    };
    Ok(Step::Record {
        mark: u8::try_from(mark).map_err(|_| "a mark is below 256")?,
        packets,
        octets,
        more: tokens(more)?,
    })
}

fn header(rest: &str) -> Result<Header, String> {
    let mut header = Header::default();
    for word in rest.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "version" => header.version = Some(number(value)?),
            "length" => header.length = Some(number(value)?),
            "time" => header.time = number(value)?,
            "at" => header.absolute_time = Some(number(value)?),
            "uptime" => header.uptime = Some(number(value)?),
            "skip" => header.skip = number(value)?,
            "gap" => header.gap = number(value)?,
            "domain" => header.domain = number(value)?,
            "domains" => header.domains = true,
            other => return Err(format!("the header has no {other:?}")),
        }
    }
    Ok(header)
}

fn expectation(rest: &str) -> Result<Expectation, String> {
    let mut one = Expectation {
        profiles: Vec::new(),
        transports: Vec::new(),
        versions: Vec::new(),
        verdict: None,
        what: What::Strays,
    };
    let mut rest = rest;
    if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        for word in inside.split_whitespace() {
            condition(&mut one, word)?;
        }
        rest = after.trim();
    }
    if let Some((before, verdict)) = rest.rsplit_once(" as ") {
        let named = |known: &Verdict| known.name() == verdict.trim();
        let verdict = Verdict::ALL
            .into_iter()
            .find(named)
            .ok_or("no such verdict")?;
        one.verdict = Some(verdict);
        rest = before;
    }
    one.what = what(rest)?;
    Ok(one)
}

fn condition(one: &mut Expectation, word: &str) -> Result<(), String> {
    if let Some(profile) = Profile::ALL.into_iter().find(|known| known.name() == word) {
        one.profiles.push(profile);
    } else if let Some(version) = word.strip_prefix('v') {
        one.versions.push(number(version)?);
    } else {
        one.transports.push(transport(word)?);
    }
    Ok(())
}

fn what(rest: &str) -> Result<What, String> {
    let mut words = rest.split_whitespace();
    let kind = words.next().unwrap_or_default();
    Ok(match kind {
        "stored" | "maybe" => stored(words, kind == "maybe")?,
        "absent" => What::Absent(number(words.next().unwrap_or_default())?),
        "options" | "options?" => What::Options(fields(words)?.0, kind.ends_with('?')),
        "strays" => What::Strays,
        "lost" => What::Lost(number(words.next().unwrap_or_default())?),
        "lost-below" => What::LostBelow(number(words.next().unwrap_or_default())?),
        "quiet" => What::Quiet(
            number(words.next().unwrap_or_default())?,
            words.next().unwrap_or_default().to_owned(),
        ),
        "memory" => What::Memory(number(words.next().unwrap_or_default())?),
        other => return Err(format!("the expectation {other:?} is not known")),
    })
}

fn stored<'a>(mut words: impl Iterator<Item = &'a str>, optional: bool) -> Result<What, String> {
    let mark = number(words.next().unwrap_or_default())?;
    let (mut fields, numbers) = fields(words)?;
    let mut times = 1;
    if let [packets, octets, ..] = numbers[..] {
        let standard = [
            ("packetDeltaCount", packets),
            ("octetDeltaCount", octets),
            ("destinationIPv4Address", super::assemble::TO),
            ("sourceTransportPort", "4660"),
            ("destinationTransportPort", "4661"),
            ("protocolIdentifier", "17"),
            ("flowStart", "ms:-10000"),
            ("flowEnd", "ms:-9000"),
        ];
        for (name, value) in standard {
            // What the case says itself comes first.
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    if let Some(position) = fields.iter().position(|(name, _)| name == "times") {
        times = number(&fields.remove(position).1)?;
    }
    Ok(What::Stored {
        mark,
        times,
        fields,
        optional,
    })
}

/// `name=value` words, and those that are none.
type Fields<'a> = (Vec<(String, String)>, Vec<&'a str>);

fn fields<'a>(words: impl Iterator<Item = &'a str>) -> Result<Fields<'a>, String> {
    let (mut fields, mut others) = (Vec::new(), Vec::new());
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
            None => others.push(word),
        }
    }
    Ok((fields, others))
}
