//! Faulty collectors, to test the judge: one that is right, and its twins, each with a single fault of those that
//! collectors are known for. They take messages in memory and tell what they "stored".
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::framing::Framer;
use protocol::limits::Limits;
use protocol::registry::{DataType, element};
use protocol::session::{DataRecord, Events, LossUnit, MessageInfo, Session, SessionKey};
use protocol::template::{REVERSE_PEN, Template, TemplateKind, VARIABLE_LENGTH};

use super::assemble::{Action, Sender};
use super::judge::{Fate, Observation, Sight};
use super::stored::{Stored, Value};
use super::subject::{Stimulus, Subject};
use crate::wire::Transport;

/// What is wrong with a twin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    WithdrawalObeyedOverUdp,
    WithdrawalIgnoredOnStreams,
    DiesOfWithdrawalOfAll,
    HangsOnZeroWidth,
    MemoryGrows,
    TellsEveryTemplate,
    DomainIgnored,
    PortIgnored,
    TemplatesOutliveConnections,
    TransportsShareTemplates,
    StaleTemplate,
    LengthIgnored,
    VersionIgnored,
    SwappedVersionTaken,
    ShortBuffer,
    BrokenMessageKept,
    CountTrusted,
    PaddingRefused,
    UnknownSetFatal,
    ReservedSetFatal,
    ShortRecordPadded,
    NonsenseBlocksAll,
    LossAsEvents,
    EveryHundredthLost,
    StoredTwice,
    ReducedSizeRefused,
    CountersOf32Bits,
    LittleEndian,
    NtpAsEpoch,
    SecondsAsMilliseconds,
    DeltasNotRelative,
    StartAndEndSwapped,
    UptimeIgnored,
    WrapIgnored,
    LongFormRefused,
    UnknownElementFatal,
    RepeatedElementFatal,
    ReverseOverwrites,
    TotalsIgnored,
    FlagsOfFirstOctet,
    MappedAddressShortened,
    EventsWithoutOctetsDropped,
    ShortAddressFilled,
    OptionsAsFlows,
    ScopesLost,
    SampledTwice,
    OldRateKept,
    StreamNotCut,
    DeafAfterReset,
    Version5Ignored,
    HighIdsRefused,
    ListsBreakRecords,
    OriginIgnored,
    DiesOfBareHeader,
    IllFormedTextFatal,
    DiesOfOddOptions,
    DiesOfMalformed,
    DiesOfEmptyValue,
    FirstTemplateOfSet,
    SamplerOfAny,
}

/// All faults and, for each, a rule that must find it, and where such a fault was published, if anywhere.
pub const FAULTS: &[(Fault, &str, &str)] = &[
    (Fault::WithdrawalObeyedOverUdp, "T-18", "nfcapd 1.7.1"),
    (Fault::WithdrawalIgnoredOnStreams, "T-20", ""),
    (Fault::DiesOfWithdrawalOfAll, "T-19", "nfcapd 1.7.1"),
    (
        Fault::HangsOnZeroWidth,
        "T-32",
        "vFlow #94, #97; netflow_parser #28, #56; nfcapd 1.7.1",
    ),
    (Fault::MemoryGrows, "T-35", ""),
    (Fault::TellsEveryTemplate, "T-15", ""),
    (Fault::DomainIgnored, "H-15", "vFlow #94"),
    (Fault::PortIgnored, "H-15", "nfdump #237"),
    (Fault::TemplatesOutliveConnections, "T-08", ""),
    (Fault::TransportsShareTemplates, "X-09", ""),
    (Fault::StaleTemplate, "T-16", ""),
    (Fault::LengthIgnored, "H-16", "nfcapd 1.7.1, nfacctd 1.7.7"),
    (Fault::VersionIgnored, "H-17", ""),
    (Fault::SwappedVersionTaken, "H-01", ""),
    (Fault::ShortBuffer, "H-18", "nfacctd 1.7.7"),
    (
        Fault::BrokenMessageKept,
        "S-09",
        "nfcapd 1.7.1, nfacctd 1.7.7",
    ),
    (Fault::CountTrusted, "H-03", "Node-Netflowd #5"),
    (Fault::PaddingRefused, "S-04", "nfdump #141"),
    (Fault::UnknownSetFatal, "S-14", ""),
    (Fault::ReservedSetFatal, "S-08", ""),
    (Fault::ShortRecordPadded, "S-11", ""),
    (Fault::NonsenseBlocksAll, "S-12", ""),
    (Fault::LossAsEvents, "H-09", "nfcapd 1.7.1"),
    (Fault::EveryHundredthLost, "H-18", ""),
    (Fault::StoredTwice, "S-01", ""),
    (
        Fault::ReducedSizeRefused,
        "F-02",
        "nfacctd 1.7.7, nfdump #356, calmh/ipfix #12",
    ),
    (Fault::CountersOf32Bits, "F-02", ""),
    (Fault::LittleEndian, "F-01", ""),
    (Fault::NtpAsEpoch, "F-11", "python-ipfix #14; nfcapd 1.7.1"),
    (Fault::SecondsAsMilliseconds, "F-11", "nfdump #50, #170"),
    (Fault::DeltasNotRelative, "F-12", "pmacct #47; nfcapd 1.7.1"),
    (Fault::StartAndEndSwapped, "F-13", "nfcapd 1.7.1"),
    (Fault::UptimeIgnored, "F-14", ""),
    (Fault::WrapIgnored, "H-13", ""),
    (Fault::LongFormRefused, "F-06", "pmacct #292"),
    (
        Fault::UnknownElementFatal,
        "T-05",
        "goflow #125, netflow_parser #106",
    ),
    (Fault::RepeatedElementFatal, "T-06", ""),
    (Fault::ReverseOverwrites, "B-01", "nfcapd 1.7.1"),
    (Fault::TotalsIgnored, "F-16", ""),
    (Fault::FlagsOfFirstOctet, "F-15", "pmacct #567"),
    (Fault::MappedAddressShortened, "F-20", ""),
    (Fault::EventsWithoutOctetsDropped, "F-24", ""),
    (Fault::ShortAddressFilled, "F-04", "nfcapd 1.7.1"),
    (Fault::OptionsAsFlows, "O-07", ""),
    (Fault::ScopesLost, "O-03", ""),
    (Fault::SampledTwice, "O-20", ""),
    (Fault::OldRateKept, "O-19", ""),
    (Fault::StreamNotCut, "X-03", "go-ipfix #124"),
    (Fault::DeafAfterReset, "X-05", ""),
    (Fault::Version5Ignored, "H-22", ""),
    (Fault::HighIdsRefused, "T-02", ""),
    (Fault::ListsBreakRecords, "L-01", ""),
    (Fault::OriginIgnored, "F-13", "nfdump #36, #264"),
    (Fault::DiesOfBareHeader, "H-21", "vermont #18"),
    (Fault::IllFormedTextFatal, "F-09", "ktranslate #927"),
    (Fault::DiesOfOddOptions, "O-05", "CVE-2026-48684"),
    (Fault::DiesOfMalformed, "F-08", "pmacct #100"),
    (Fault::DiesOfEmptyValue, "F-06", "ipfixcat #2"),
    (Fault::FirstTemplateOfSet, "S-01", "calmh/ipfix #8"),
    (Fault::SamplerOfAny, "O-14", "akvorado #997"),
];

/// A collector in memory.
#[derive(Debug)]
pub struct Twin {
    fault: Fault,
}

impl Twin {
    pub fn new(fault: Fault) -> Self {
        Self { fault }
    }
}

impl Sight for Twin {
    fn shows(&self, _name: &str) -> bool {
        true
    }

    fn shows_options(&self) -> bool {
        true
    }
}

impl Subject for Twin {
    fn run(&mut self, stimuli: &[Stimulus<'_>], _stop: &AtomicBool) -> anyhow::Result<Observation> {
        let now = stimuli
            .first()
            .map_or(0, |stimulus| stimulus.run.marking.now);
        let mut process = Process::new(self.fault, now);
        for stimulus in stimuli {
            process.act(&stimulus.actions);
            process.close_all();
            process.act(&stimulus.probe);
            process.close_all();
        }
        let store = process.store;
        Ok(Observation {
            fate: if process.gone {
                Fate::Gone("is gone".to_owned())
            } else {
                Fate::Alive
            },
            lost: Some(store.lost),
            memory_mib: Some(if store.fault == Fault::MemoryGrows {
                store.templates.len() as u64
            } else {
                1
            }),
            log: Some(store.log),
            stored: store.stored,
            ..Observation::default()
        })
    }

    fn reaches(&self, transport: Transport) -> bool {
        matches!(transport, Transport::Udp | Transport::Tcp)
    }

    fn is_renewed(&self) -> bool {
        true
    }
}

struct Process {
    session: Session,
    store: Store,
    framers: HashMap<Sender, Framer>,
    now_ms: u64,
    gone: bool,
    deaf: bool,
    nonsense: u32,
}

impl Process {
    fn new(fault: Fault, now: i64) -> Self {
        let key = if fault == Fault::PortIgnored {
            SessionKey::Address
        } else {
            SessionKey::AddressPort
        };
        Self {
            session: Session::with_key(Limits::default(), key),
            store: Store {
                fault,
                ..Store::default()
            },
            framers: HashMap::new(),
            now_ms: now as u64 * 1000,
            gone: false,
            deaf: false,
            nonsense: 0,
        }
    }

    fn act(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                _ if self.gone => return,
                Action::Send(sender, octets, _) if sender.transport == Transport::Udp => {
                    self.message(*sender, octets);
                }
                Action::Send(sender, octets, slice) => {
                    let size = if *slice == 0 {
                        octets.len().max(1)
                    } else {
                        *slice
                    };
                    for part in octets.chunks(size) {
                        self.stream(*sender, part);
                    }
                }
                Action::Close(sender) => self.close(*sender),
                Action::Reset(sender) => {
                    self.close(*sender);
                    self.deaf |= self.store.fault == Fault::DeafAfterReset;
                }
                Action::Pause(ms) => self.now_ms += ms,
            }
        }
    }

    fn close_all(&mut self) {
        for sender in self.framers.keys().copied().collect::<Vec<_>>() {
            self.close(sender);
        }
    }

    fn close(&mut self, sender: Sender) {
        self.framers.remove(&sender);
        let from = self.address(sender);
        if self.store.fault != Fault::TemplatesOutliveConnections {
            self.session.close(from, &mut self.store);
        }
    }

    fn address(&self, sender: Sender) -> SocketAddr {
        let port = 1024 + u16::from(sender.socket);
        (Ipv4Addr::new(127, 0, 0, sender.host), port).into()
    }

    fn stream(&mut self, sender: Sender, octets: &[u8]) {
        if self.deaf {
            return;
        }
        if self.store.fault == Fault::StreamNotCut {
            self.message(sender, octets);
            return;
        }
        let framer = self
            .framers
            .entry(sender)
            .or_insert_with(|| Framer::new(65_535));
        framer.push(octets);
        let mut messages = Vec::new();
        while let Ok(Some(message)) = framer.next_message() {
            messages.push(message.to_vec());
        }
        for message in messages {
            self.message(sender, &message);
        }
    }

    fn message(&mut self, sender: Sender, octets: &[u8]) {
        let fault = self.store.fault;
        let mut octets = octets.to_vec();
        if !self.admitted(&mut octets) {
            return;
        }
        let from = self.address(sender);
        let as_stream = match fault {
            Fault::WithdrawalObeyedOverUdp | Fault::TransportsShareTemplates => true,
            Fault::WithdrawalIgnoredOnStreams => false,
            _ => sender.transport == Transport::Tcp,
        };
        let malformed = self.session.counters().malformed;
        if as_stream {
            self.session
                .message(self.now_ms, from, &octets, &mut self.store);
        } else {
            self.session
                .datagram(self.now_ms, from, &octets, &mut self.store);
        }
        if self.session.counters().malformed > malformed {
            self.nonsense += 1;
            self.gone |= fault == Fault::DiesOfMalformed;
        }
        self.gone |= self.store.dead;
    }

    /// What the fault does to a message before it is read; `false`: nothing is read of it.
    fn admitted(&mut self, octets: &mut Vec<u8>) -> bool {
        let version = u16_at(octets, 0);
        let ipfix = version == Some(10);
        match self.store.fault {
            Fault::DomainIgnored => {
                let at = if ipfix { 12 } else { 16 };
                if let Some(domain) = octets.get_mut(at..at + 4) {
                    domain.fill(0);
                }
            }
            Fault::LengthIgnored if ipfix => set_length(octets),
            Fault::VersionIgnored if version == Some(11) => {
                octets[1] = 10;
            }
            Fault::SwappedVersionTaken if matches!(version, Some(0x0900 | 0x0a00)) => {
                octets.swap(0, 1);
            }
            Fault::ShortBuffer => return octets.len() <= 9000,
            Fault::BrokenMessageKept if ipfix => cut_broken(octets),
            Fault::CountTrusted => return version != Some(9) || u16_at(octets, 2) != Some(0),
            Fault::PaddingRefused => {
                // 37 octets are a standard record.
                return sets(octets)
                    .iter()
                    .all(|(id, set)| *id < 256 || !(1..8).contains(&(set.len() % 37)));
            }
            Fault::ReservedSetFatal => {
                return sets(octets).iter().all(|(id, _)| !(4..256).contains(id));
            }
            Fault::UnknownSetFatal => {
                let defined: HashSet<u16> = sets(octets)
                    .iter()
                    .filter(|(id, _)| *id < 4)
                    .flat_map(|(_, set)| set.windows(2).filter_map(|pair| u16_at(pair, 0)))
                    .collect();
                let known = |id: u16| {
                    id < 256
                        || defined.contains(&id)
                        || self.store.templates.iter().any(|(_, known)| *known == id)
                };
                return sets(octets).iter().all(|(id, _)| known(*id));
            }
            Fault::ShortRecordPadded => {
                for (_, set) in sets(octets)
                    .iter()
                    .filter(|(id, set)| *id >= 256 && set.len() == 20)
                {
                    let mut made_up = Stored::default();
                    let source = <[u8; 4]>::try_from(&set[..4]).unwrap();
                    made_up.set("sourceIPv4Address", Value::Address(IpAddr::from(source)));
                    self.store.stored.push(made_up);
                }
            }
            Fault::TellsEveryTemplate => {
                for _ in sets(octets).iter().filter(|(id, _)| *id < 4) {
                    self.store.log.push("new template".to_owned());
                }
            }
            Fault::NonsenseBlocksAll => return self.nonsense < 5,
            Fault::Version5Ignored => return version != Some(5),
            Fault::DiesOfWithdrawalOfAll => {
                self.gone = ipfix
                    && sets(octets)
                        .iter()
                        .any(|(id, set)| *id == 2 && set.starts_with(&[0, 2, 0, 0]));
                return !self.gone;
            }
            Fault::DiesOfBareHeader => {
                self.gone = ipfix && octets.len() == 16;
                return !self.gone;
            }
            Fault::DiesOfOddOptions => {
                // Lengths of scopes and options, in octets (RFC 3954 section 6.1).
                let odd = |set: &[u8]| {
                    let lengths = [u16_at(set, 2), u16_at(set, 4)].map(Option::unwrap_or_default);
                    lengths.iter().any(|length| !length.is_multiple_of(4))
                };
                self.gone =
                    version == Some(9) && sets(octets).iter().any(|(id, set)| *id == 1 && odd(set));
                return !self.gone;
            }
            Fault::FirstTemplateOfSet => first_templates(octets),
            Fault::HangsOnZeroWidth => {
                let zero =
                    |set: &[u8]| set.get(6..8) == Some(&[0, 0]) && set.get(2..4) != Some(&[0, 0]);
                self.gone = sets(octets)
                    .iter()
                    .any(|(id, set)| matches!(id, 0 | 2) && zero(set));
                return !self.gone;
            }
            _ => {}
        }
        true
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn set_length(octets: &mut [u8]) {
    let length = octets.len() as u16;
    if let Some(place) = octets.get_mut(2..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// The sets of a message, as far as their lengths make sense.
fn sets(octets: &[u8]) -> Vec<(u16, &[u8])> {
    let mut at = match u16_at(octets, 0) {
        Some(9) => 20,
        Some(10) => 16,
        _ => return Vec::new(),
    };
    let mut sets = Vec::new();
    while let (Some(id), Some(length)) = (u16_at(octets, at), u16_at(octets, at + 2)) {
        let Some(set) = octets.get(at + 4..at + usize::from(length)) else {
            break;
        };
        sets.push((id, set));
        at += usize::from(length);
    }
    sets
}

/// Only the first template of each set is left, its fields being of four octets each.
fn first_templates(octets: &mut Vec<u8>) {
    let Some(head) = octets.get(..if u16_at(octets, 0) == Some(9) { 20 } else { 16 }) else {
        return;
    };
    let mut message = head.to_vec();
    for (id, set) in sets(octets) {
        let first = match id {
            0 | 2 => 4 + 4 * usize::from(u16_at(set, 2).unwrap_or(0)),
            _ => set.len(),
        };
        let kept = &set[..first.min(set.len())];
        message.extend(id.to_be_bytes());
        message.extend((kept.len() as u16 + 4).to_be_bytes());
        message.extend(kept);
    }
    *octets = message;
    if u16_at(octets, 0) == Some(10) {
        set_length(octets);
    }
}

/// The message up to the set that breaks it.
fn cut_broken(octets: &mut Vec<u8>) {
    let whole: usize = sets(octets).iter().map(|(_, set)| set.len() + 4).sum();
    octets.truncate(16 + whole);
    set_length(octets);
}

/// What it stored.
#[derive(Debug)]
struct Store {
    fault: Fault,
    stored: Vec<Stored>,
    lost: u64,
    log: Vec<String>,
    templates: Vec<(u32, u16)>,
    /// The first definition of each, for the stale one.
    first: HashMap<(SocketAddr, u32, u16), Arc<Template>>,
    /// Sampling rates by sampler.
    rates: BTreeMap<u64, u64>,
    count: u64,
    /// Names of elements that were taught.
    taught: HashMap<(u32, u16), String>,
    boot_ms: HashMap<(SocketAddr, u32), i64>,
    /// The rate that was told last, whatever the sampler.
    last_rate: u64,
    dead: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            fault: Fault::None,
            stored: Vec::new(),
            lost: 0,
            log: Vec::new(),
            templates: Vec::new(),
            first: HashMap::new(),
            rates: BTreeMap::new(),
            count: 0,
            taught: HashMap::new(),
            boot_ms: HashMap::new(),
            last_rate: 1,
            dead: false,
        }
    }
}

impl Events for Store {
    fn record(&mut self, record: &DataRecord<'_>) {
        let key = (
            record.message.exporter,
            record.message.domain,
            record.template.id(),
        );
        let template = match self.first.get(&key) {
            Some(first)
                if self.fault == Fault::StaleTemplate
                    && first.fixed_length() == Some(record.bytes.len()) =>
            {
                first
            }
            _ => record.template,
        };
        let template = Arc::clone(template);
        let Some(mut stored) = self.read(record.message, &template, record.bytes) else {
            return;
        };
        self.count += 1;
        if self.fault == Fault::EveryHundredthLost && self.count.is_multiple_of(100) {
            return;
        }
        if stored.options && self.fault == Fault::OptionsAsFlows {
            stored.options = false;
        }
        if self.fault == Fault::StoredTwice && self.count.is_multiple_of(2) {
            self.stored.push(stored.clone());
        }
        self.stored.push(stored);
    }

    fn template(&mut self, message: &MessageInfo, template: &Arc<Template>) {
        self.templates.push((message.domain, template.id()));
        let key = (message.exporter, message.domain, template.id());
        self.first
            .entry(key)
            .or_insert_with(|| Arc::clone(template));
    }

    fn loss(&mut self, _message: &MessageInfo, missing: u64, _unit: LossUnit) {
        self.lost += if self.fault == Fault::LossAsEvents {
            1
        } else {
            missing
        };
    }
}

impl Store {
    fn read(&mut self, message: &MessageInfo, template: &Template, bytes: &[u8]) -> Option<Stored> {
        let fault = self.fault;
        let scope = match template.kind() {
            TemplateKind::Options { scope_count } => scope_count,
            TemplateKind::Data => 0,
        };
        let mut stored = Stored {
            options: scope > 0 || matches!(template.kind(), TemplateKind::Options { .. }),
            ..Stored::default()
        };
        if fault == Fault::HighIdsRefused && template.id() > 40_000 {
            return None;
        }
        let mut seen = HashSet::new();
        for (index, (field, value)) in template
            .fields()
            .iter()
            .zip(template.values(bytes))
            .enumerate()
        {
            let octets = value.1;
            let is_scope = index < usize::from(scope);
            if is_scope && (message.version == 9 || fault == Fault::ScopesLost) {
                continue;
            }
            let known = element(field.pen, field.id);
            let reverse = field.pen == REVERSE_PEN;
            let twin = if reverse && fault == Fault::ReverseOverwrites {
                element(0, field.id)
            } else {
                known
            };
            let Some(element) = twin else {
                if fault == Fault::UnknownElementFatal {
                    return None;
                }
                if let Some(name) = self.taught.get(&(field.pen, field.id)) {
                    let number = octets
                        .iter()
                        .fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
                    stored.set(&name.clone(), Value::Number(number));
                    continue;
                }
                let hex = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                let name = if reverse {
                    continue;
                } else {
                    format!("{}/{}", field.pen, field.id)
                };
                stored.set(&name, Value::Text(hex));
                continue;
            };
            if !seen.insert(element.name) && fault == Fault::RepeatedElementFatal {
                return None;
            }
            if field.length == VARIABLE_LENGTH
                && octets.len() >= 255
                && fault == Fault::LongFormRefused
            {
                return None;
            }
            if octets.is_empty() && fault == Fault::DiesOfEmptyValue {
                self.dead = true;
                return None;
            }
            let text = element.data_type == DataType::String;
            if text && fault == Fault::IllFormedTextFatal && std::str::from_utf8(octets).is_err() {
                return None;
            }
            if element.data_type.is_list() && fault == Fault::ListsBreakRecords {
                return None;
            }
            let value = self.value(element.data_type, element.id, octets)?;
            let Some(value) = value else { continue };
            let both = match stored.fields.remove(element.name) {
                Some(_) if reverse => value,
                Some(Value::List(mut list)) => {
                    list.push(value);
                    Value::List(list)
                }
                Some(first) => Value::List(vec![first, value]),
                None => value,
            };
            stored.set(element.name, both);
        }
        let taught = [
            "privateEnterpriseNumber",
            "informationElementId",
            "informationElementName",
        ];
        if let [
            Some(Value::Number(pen)),
            Some(Value::Number(id)),
            Some(Value::Text(name)),
        ] = taught.map(|name| stored.get(name))
        {
            self.taught.insert((*pen as u32, *id as u16), name.clone());
        }
        self.times(message, &mut stored);
        self.sampling(&mut stored);
        if fault == Fault::TotalsIgnored {
            stored.fields.remove("packetTotalCount");
        }
        stored.settle();
        let silent = stored.get("octetDeltaCount").is_none();
        (!(fault == Fault::EventsWithoutOctetsDropped && silent && !stored.options))
            .then_some(stored)
    }

    /// `None`: the record is refused; `Some(None)`: the value is left out.
    #[allow(clippy::option_option)]
    fn value(&self, kind: DataType, id: u16, octets: &[u8]) -> Option<Option<Value>> {
        let fault = self.fault;
        let number = || {
            let mut octets = octets.to_vec();
            if fault == Fault::LittleEndian && id == 10 {
                octets.reverse();
            }
            (octets.len() <= 8).then(|| {
                octets
                    .iter()
                    .fold(0_u64, |number, octet| number << 8 | u64::from(*octet))
            })
        };
        let address = |size| octets.len() == size;
        Some(match kind {
            DataType::Ipv4Address if address(4) => <[u8; 4]>::try_from(octets)
                .ok()
                .map(|four| Value::Address(IpAddr::from(four))),
            DataType::Ipv4Address if fault == Fault::ShortAddressFilled => {
                let mut four = [0_u8; 4];
                for (place, octet) in four.iter_mut().rev().zip(octets.iter().rev()) {
                    *place = *octet;
                }
                Some(Value::Address(IpAddr::from(four)))
            }
            DataType::Ipv4Address => return None,
            DataType::Ipv6Address if address(16) => {
                let six = Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?);
                let short = six
                    .to_ipv4_mapped()
                    .filter(|_| fault == Fault::MappedAddressShortened);
                Some(Value::Address(short.map_or(IpAddr::V6(six), IpAddr::V4)))
            }
            DataType::DateTimeMilliseconds if address(8) => {
                number().map(|ms| Value::Time(ms as i64))
            }
            DataType::DateTimeSeconds if address(4) => {
                let unit = if fault == Fault::SecondsAsMilliseconds {
                    1
                } else {
                    1000
                };
                number().map(|seconds| Value::Time(seconds as i64 * unit))
            }
            DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds if address(8) => {
                number().map(|ntp| {
                    if fault == Fault::NtpAsEpoch {
                        return Value::Time(ntp as i64 / 1_000_000);
                    }
                    let ms = ((ntp & 0xffff_ffff) * 1000) >> 32;
                    Value::Time(((ntp >> 32) as i64 - 2_208_988_800) * 1000 + ms as i64)
                })
            }
            DataType::DateTimeMilliseconds
            | DataType::DateTimeSeconds
            | DataType::DateTimeMicroseconds
            | DataType::DateTimeNanoseconds => None,
            DataType::MacAddress => {
                let parts: Vec<String> =
                    octets.iter().map(|octet| format!("{octet:02x}")).collect();
                Some(Value::Text(parts.join(":")))
            }
            DataType::Float32 | DataType::Float64 => None,
            _ if kind.is_list() => None,
            DataType::String => Some(Value::Text(String::from_utf8_lossy(octets).into_owned())),
            _ if matches!(id, 1 | 2)
                && fault == Fault::ReducedSizeRefused
                && !matches!(octets.len(), 4 | 8) =>
            {
                Some(Value::Number(0))
            }
            _ if id == 6 && fault == Fault::FlagsOfFirstOctet => {
                octets.first().map(|first| Value::Number((*first).into()))
            }
            _ if matches!(id, 1 | 2) && fault == Fault::CountersOf32Bits => {
                number().map(|all| Value::Number(all & 0xffff_ffff))
            }
            DataType::OctetArray => None,
            _ => number().map(Value::Number),
        })
    }

    fn times(&mut self, message: &MessageInfo, stored: &mut Stored) {
        let fault = self.fault;
        let session = (message.exporter, message.domain);
        let number = |stored: &Stored, name: &str| match stored.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        if let Some(Value::Time(boot)) = stored.get("systemInitTimeMilliseconds")
            && fault != Fault::OriginIgnored
        {
            self.boot_ms.insert(session, *boot);
        }
        let names = [
            ("flowStart", "flowStartSysUpTime"),
            ("flowEnd", "flowEndSysUpTime"),
        ];
        for (name, uptime) in names {
            let name = match (fault, name) {
                (Fault::StartAndEndSwapped, "flowStart") => "flowEnd",
                (Fault::StartAndEndSwapped, _) => "flowStart",
                _ => name,
            };
            let Some(at) = number(stored, uptime) else {
                continue;
            };
            let time = match message.boot_ms().filter(|_| message.version != 10) {
                Some(_) if fault == Fault::UptimeIgnored => message.export_ms as i64 + at as i64,
                Some(boot) if fault == Fault::WrapIgnored => boot + at as i64,
                Some(_) => {
                    let ago = message.uptime_ms.unwrap_or(0).wrapping_sub(at as u32);
                    message.export_ms as i64 - i64::from(ago)
                }
                None => self.boot_ms.get(&session).copied().unwrap_or(0) + at as i64,
            };
            stored.set(&format!("{name}Milliseconds"), Value::Time(time));
        }
        for name in ["flowStart", "flowEnd"] {
            let Some(ago) = number(stored, &format!("{name}DeltaMicroseconds")) else {
                continue;
            };
            let ago = (ago / 1000) as i64;
            let time = if fault == Fault::DeltasNotRelative {
                ago
            } else {
                message.export_ms as i64 - ago
            };
            stored.set(&format!("{name}Milliseconds"), Value::Time(time));
        }
    }

    fn sampling(&mut self, stored: &mut Stored) {
        let number = |stored: &Stored, name: &str| match stored.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        let Some(sampler) = number(stored, "samplerId") else {
            return;
        };
        if stored.options {
            if let Some(rate) = number(stored, "samplerRandomInterval") {
                self.last_rate = rate;
                if self.fault == Fault::OldRateKept {
                    self.rates.entry(sampler).or_insert(rate);
                } else {
                    self.rates.insert(sampler, rate);
                }
            }
            return;
        }
        let rate = self.rates.get(&sampler).copied().unwrap_or(1);
        let times = match self.fault {
            Fault::SampledTwice => rate.saturating_mul(rate),
            Fault::OldRateKept => rate,
            Fault::SamplerOfAny => self.last_rate,
            _ => return,
        };
        for name in ["packetDeltaCount", "octetDeltaCount"] {
            if let Some(raw) = number(stored, name) {
                stored.set(name, Value::Number(raw.saturating_mul(times)));
            }
        }
    }
}
