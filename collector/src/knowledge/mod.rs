//! What exporters tell about themselves in options records: when they started, how they sample, the names of their
//! interfaces, VRFs and applications, elements of their own (RFC 5610), properties common to many flows (RFC 5473).
//!
//! Which of these an options record is, its elements say (RFC 7011 section 4). All tables are bounded, and one
//! exporter can fill only its part of them.

mod common;
mod names;
mod sampling;

use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::registry::{self, DataType, ie};
use protocol::session::{DataRecord, MessageInfo};
use protocol::template::{Template, TemplateKind};
use protocol::value::unsigned;

use self::common::CommonProperties;
pub use self::names::{Name, Named};
pub use self::sampling::{AssumedSampling, Sampling};

/// Address and domain of an exporter.
pub type Origin = (IpAddr, u32);

/// Entries of one kind, all exporters together.
pub const MAX_ENTRIES: usize = 65_536;
/// Entries of one kind that one exporter address may fill.
pub const MAX_PER_EXPORTER: usize = 8_192;
/// Octets of a name; more are cut.
pub const MAX_NAME: usize = 128;
/// Templates whose traits are kept.
const MAX_TRAITS: usize = 4_096;

/// `VRFname`, `applicationDescription` and `samplerName`.
const VRF_NAME: u16 = 236;
const APPLICATION_DESCRIPTION: u16 = 94;
const SAMPLER_NAME: u16 = 84;
/// RFC 5610: a type's number, an element's name and the enterprise it belongs to.
const ELEMENT_DATA_TYPE: u16 = 339;
const ELEMENT_NAME: u16 = 341;
const PRIVATE_ENTERPRISE_NUMBER: u16 = 346;
/// NetFlow v9's scope type of an interface (RFC 3954 section 6.1).
const V9_SCOPE_INTERFACE: u16 = 2;

/// A table of which each exporter may fill only a part.
struct Table<K, V> {
    entries: HashMap<K, V, FixedState>,
    filled: HashMap<IpAddr, usize, FixedState>,
    refused: u64,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::default(),
            filled: HashMap::default(),
            refused: 0,
        }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn insert(&mut self, exporter: IpAddr, most: usize, key: K, value: V) {
        if let Some(known) = self.entries.get_mut(&key) {
            *known = value;
            return;
        }
        let filled = self.filled.get(&exporter).copied().unwrap_or(0);
        if filled >= most || self.entries.len() >= MAX_ENTRIES {
            self.refused += 1;
            return;
        }
        self.filled.insert(exporter, filled + 1);
        self.entries.insert(key, value);
    }
}

/// What a template's flow records have that matters here.
#[derive(Clone, Copy, Debug)]
struct Traits {
    /// Position of the sampler's number.
    sampler: Option<usize>,
    /// It carries an interval or probability itself.
    sampled: bool,
    common: bool,
}

/// See the module.
#[derive(Default)]
pub struct Knowledge {
    init_times: Table<Origin, i64>,
    /// By sampler; `None` is an exporter's only one.
    samplers: Table<(Origin, Option<u64>), Sampling>,
    names: Table<(Origin, Named, u64), Name>,
    elements: Table<(IpAddr, u32, u16), (Box<str>, DataType)>,
    common: CommonProperties,
    traits: HashMap<u64, Traits, FixedState>,
    /// Sampling that makes no sense.
    implausible: u64,
    /// What the user says of sampling.
    assumed: Option<AssumedSampling>,
}

/// The numbers and names of one options record.
#[derive(Default)]
struct Told<'a> {
    numbers: [Option<u64>; NUMBERS.len()],
    names: [Option<&'a [u8]>; NAMES.len()],
    /// The application's id as it was sent.
    application: Option<&'a [u8]>,
    probability: Option<f64>,
    common: bool,
}

/// What an options record has taught.
#[derive(Debug, Default)]
pub struct Taught {
    /// An element.
    pub element: bool,
    /// Names that are new, or other than before.
    pub names: Vec<(Named, u64)>,
}

/// The elements whose numbers matter.
const NUMBERS: [u16; 20] = [
    ie::SAMPLER_ID,
    ie::SELECTOR_ID,
    ie::SAMPLING_INTERVAL,
    ie::SAMPLER_RANDOM_INTERVAL,
    ie::SAMPLING_PACKET_INTERVAL,
    ie::SAMPLING_PACKET_SPACE,
    ie::SAMPLING_SIZE,
    ie::SAMPLING_POPULATION,
    ie::SAMPLING_ALGORITHM,
    ie::SAMPLER_MODE,
    ie::SELECTOR_ALGORITHM,
    ie::SYSTEM_INIT_TIME_MILLISECONDS,
    ie::INGRESS_INTERFACE,
    ie::EGRESS_INTERFACE,
    ie::INGRESS_VRFID,
    ie::EGRESS_VRFID,
    ie::APPLICATION_ID,
    ie::INFORMATION_ELEMENT_ID,
    PRIVATE_ENTERPRISE_NUMBER,
    ELEMENT_DATA_TYPE,
];

/// The elements whose text matters.
const NAMES: [u16; 7] = [
    ie::INTERFACE_NAME,
    ie::INTERFACE_DESCRIPTION,
    VRF_NAME,
    ie::APPLICATION_NAME,
    APPLICATION_DESCRIPTION,
    SAMPLER_NAME,
    ELEMENT_NAME,
];

impl<'a> Told<'a> {
    fn read(template: &'a Template, record: &'a [u8]) -> Self {
        let mut told = Self::default();
        let scopes = match template.kind() {
            TemplateKind::Options { scope_count } => usize::from(scope_count),
            TemplateKind::Data => 0,
        };
        for (index, (field, value)) in template.values(record).enumerate() {
            let v9_scope = template.version() == 9 && index < scopes;
            let id = match (v9_scope, field.pen, field.id) {
                (false, 0, id) => id,
                (true, 0, V9_SCOPE_INTERFACE) => ie::INGRESS_INTERFACE,
                _ => continue,
            };
            if let Some(number) = NUMBERS.iter().position(|known| *known == id)
                && let Some(slot) = told.numbers.get_mut(number)
                && !value.is_empty()
            {
                *slot = unsigned(value);
            }
            if let Some(name) = NAMES.iter().position(|known| *known == id)
                && let Some(slot) = told.names.get_mut(name)
            {
                *slot = Some(value);
            }
            if id == ie::APPLICATION_ID {
                told.application = Some(value);
            }
            if id == ie::SAMPLING_PROBABILITY {
                told.probability = float(value);
            }
            told.common |= index < scopes && id == ie::COMMON_PROPERTIES_ID;
        }
        told
    }

    fn number(&self, id: u16) -> Option<u64> {
        let position = NUMBERS.iter().position(|known| *known == id)?;
        *self.numbers.get(position)?
    }

    fn name(&self, id: u16) -> Option<Box<str>> {
        let position = NAMES.iter().position(|known| *known == id)?;
        let value = (*self.names.get(position)?)?;
        let end = value.iter().rposition(|octet| *octet != 0)?;
        let value = value.get(..=end.min(MAX_NAME - 1))?;
        Some(String::from_utf8_lossy(value).into())
    }

    /// `Err`: it says something about sampling that makes no sense.
    fn sampling(&self) -> Result<Option<Sampling>, ()> {
        let algorithm = [
            ie::SELECTOR_ALGORITHM,
            ie::SAMPLER_MODE,
            ie::SAMPLING_ALGORITHM,
        ];
        let algorithm = algorithm.iter().find_map(|id| self.number(*id));
        let algorithm = algorithm.unwrap_or(0) as u16;
        let sampling = if let Some(interval) = self.number(ie::SAMPLING_PACKET_INTERVAL) {
            let space = self.number(ie::SAMPLING_PACKET_SPACE).unwrap_or(0);
            Sampling::new(interval, space, algorithm)
        } else if let (Some(size), Some(population)) = (
            self.number(ie::SAMPLING_SIZE),
            self.number(ie::SAMPLING_POPULATION),
        ) {
            population
                .checked_sub(size)
                .and_then(|space| Sampling::new(size, space, algorithm))
        } else if let Some(probability) = self.probability {
            Sampling::probability(probability, algorithm)
        } else if let Some(rate) = self
            .number(ie::SAMPLER_RANDOM_INTERVAL)
            .or(self.number(ie::SAMPLING_INTERVAL))
        {
            Sampling::one_in(rate, algorithm)
        } else {
            return Ok(None);
        };
        sampling.map(Some).ok_or(())
    }
}

impl Knowledge {
    /// Knows nothing yet but what the user says of sampling.
    pub fn new(assumed: Option<AssumedSampling>) -> Self {
        Self {
            assumed,
            ..Self::default()
        }
    }

    /// Takes an options record in.
    pub fn options(&mut self, record: &DataRecord<'_>) -> Taught {
        let told = Told::read(record.template, record.bytes);
        let origin = origin(record.message);
        let exporter = origin.0;
        if let Some(ms) = told.number(ie::SYSTEM_INIT_TIME_MILLISECONDS) {
            let ms = i64::try_from(ms).unwrap_or(i64::MAX);
            self.init_times
                .insert(exporter, MAX_PER_EXPORTER, origin, ms);
        }
        let sampler = told.number(ie::SELECTOR_ID).or(told.number(ie::SAMPLER_ID));
        match told.sampling() {
            Ok(Some(sampling)) => {
                self.samplers
                    .insert(exporter, MAX_PER_EXPORTER, (origin, sampler), sampling);
            }
            Ok(None) => {}
            Err(()) => self.implausible += 1,
        }
        let names = self.learn_names(origin, sampler, &told);
        if told.common {
            self.common.learn(origin, record.template, record.bytes);
        }
        let element = self.learn_element(exporter, &told);
        Taught { element, names }
    }

    /// RFC 5610. IANA's elements and names are not for exporters to redefine.
    fn learn_element(&mut self, exporter: IpAddr, told: &Told<'_>) -> bool {
        let (Some(pen), Some(id), Some(data_type), Some(name)) = (
            told.number(PRIVATE_ENTERPRISE_NUMBER),
            told.number(ie::INFORMATION_ELEMENT_ID),
            told.number(ELEMENT_DATA_TYPE).and_then(DataType::of_number),
            told.name(ELEMENT_NAME),
        ) else {
            return false;
        };
        let (Ok(pen), Ok(id)) = (u32::try_from(pen), u16::try_from(id & 0x7fff)) else {
            return false;
        };
        let ours = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if registry::element(pen, id).is_some() || registry::by_name(&name).is_some() || !ours {
            return false;
        }
        let key = (exporter, pen, id);
        let new = self.elements.get(&key) != Some(&(name.clone(), data_type));
        if new {
            self.elements
                .insert(exporter, MAX_PER_EXPORTER, key, (name, data_type));
        }
        new
    }

    /// What an exporter has taught about an element.
    pub fn element(&self, exporter: IpAddr, pen: u32, id: u16) -> Option<(String, DataType)> {
        let (name, data_type) = self.elements.get(&(exporter, pen, id))?;
        Some((name.to_string(), *data_type))
    }

    /// When an exporter that sends IPFIX started, milliseconds since 1970.
    pub fn init_time(&self, message: &MessageInfo) -> Option<i64> {
        if message.version != 10 || self.init_times.is_empty() {
            return None;
        }
        self.init_times.get(&origin(message)).copied()
    }

    /// An exporter has begun anew.
    pub fn restarted(&mut self, message: &MessageInfo) {
        self.init_times.entries.remove(&origin(message));
    }

    /// A flow record together with the properties that it refers to; `None` if it refers to none that are known.
    pub fn expand(&mut self, record: &DataRecord<'_>) -> Option<(std::sync::Arc<Template>, &[u8])> {
        if self.common.is_empty() || !self.traits(record.template).common {
            return None;
        }
        self.common
            .expand(origin(record.message), record.template, record.bytes)
    }

    /// How the packets of a flow record were sampled, and by which sampler; `None` if that is not known.
    pub fn sampling(&mut self, record: &DataRecord<'_>) -> Option<(Option<u64>, Sampling)> {
        let assumed = self.assumed.map(|assumed| (None, assumed.sampling));
        if self.assumed.is_some_and(|assumed| assumed.always) {
            return assumed;
        }
        self.told_sampling(record).or(assumed)
    }

    /// As [`Self::sampling`], by the exporter alone.
    fn told_sampling(&mut self, record: &DataRecord<'_>) -> Option<(Option<u64>, Sampling)> {
        let message = record.message;
        if message.sampling & 0x3fff > 1 {
            let [mode, _] = message.sampling.to_be_bytes();
            let rate = u64::from(message.sampling & 0x3fff);
            return Some((None, Sampling::one_in(rate, u16::from(mode >> 6))?));
        }
        let traits = self.traits(record.template);
        if self.samplers.is_empty() && !traits.sampled {
            return None;
        }
        let origin = origin(message);
        let sampler = traits
            .sampler
            .and_then(|index| record.template.values(record.bytes).nth(index))
            .and_then(|(_, value)| unsigned(value));
        if let Some(known) = sampler.and_then(|id| self.samplers.get(&(origin, Some(id)))) {
            return Some((sampler, *known));
        }
        if traits.sampled {
            // Records of a meter that does not sample say 0.
            if let Ok(Some(own)) = Told::read(record.template, record.bytes).sampling() {
                return Some((sampler, own));
            }
        }
        // Another sampler than the known ones samples nobody knows how; number 0 is none in particular.
        match sampler {
            None | Some(0) => Some((None, *self.samplers.get(&(origin, None))?)),
            Some(_) => None,
        }
    }

    /// Entries refused because the tables are full, and sampling that made no sense.
    pub fn refused(&self) -> (u64, u64) {
        let refused = self.init_times.refused
            + self.samplers.refused
            + self.names.refused
            + self.elements.refused;
        (refused, self.implausible)
    }

    fn traits(&mut self, template: &Template) -> Traits {
        if let Some(traits) = self.traits.get(&template.uid()) {
            return *traits;
        }
        if self.traits.len() >= MAX_TRAITS {
            self.traits.clear();
        }
        let position = |ids: &[u16]| {
            let mut fields = template.fields().iter();
            fields.position(|field| field.pen == 0 && ids.contains(&field.id))
        };
        let traits = Traits {
            sampler: position(&[ie::SAMPLER_ID, ie::SELECTOR_ID]),
            sampled: position(&[
                ie::SAMPLING_INTERVAL,
                ie::SAMPLER_RANDOM_INTERVAL,
                ie::SAMPLING_PACKET_INTERVAL,
                ie::SAMPLING_POPULATION,
                ie::SAMPLING_PROBABILITY,
            ])
            .is_some(),
            common: position(&[ie::COMMON_PROPERTIES_ID]).is_some(),
        };
        self.traits.insert(template.uid(), traits);
        traits
    }
}

/// Octets that all tables take at most.
#[must_use]
pub fn memory() -> usize {
    // Four tables of entries, their names, and the properties of common.rs.
    let entry = 256 + 2 * MAX_NAME;
    MAX_ENTRIES * (4 * entry + 1024 + 256)
}

fn origin(message: &MessageInfo) -> Origin {
    (message.exporter.ip(), message.domain)
}

fn float(value: &[u8]) -> Option<f64> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(f64::from(f32::from_be_bytes(octets)));
    }
    Some(f64::from_be_bytes(value.try_into().ok()?))
}
