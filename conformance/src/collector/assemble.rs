//! From the steps of a case to the octets that are sent: headers, lengths, counts and sequence numbers are filled in
//! where the case does not say what they shall be.

use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::certificates::Identity;
use super::script::{Case, Header, SetId, Step};
use super::token::Token;
use crate::wire::Transport;

/// Destination of every standard record.
pub const TO: &str = "192.0.2.99";

/// The mark of the record that a healthy message after a case carries.
pub const PROBE: u8 = 250;

/// Uptime of the emulated NetFlow v9 and v5 exporters, milliseconds.
const UPTIME: u32 = 100_000_000;

/// Seconds between 1900, where NTP begins, and 1970.
const NTP_EPOCH: i64 = 2_208_988_800;

/// A standard record: source, destination, ports, protocol, packets (4), octets (4), start and end in milliseconds.
pub const STANDARD: [[u8; 4]; 9] = [
    [0, 8, 0, 4],
    [0, 12, 0, 4],
    [0, 7, 0, 2],
    [0, 11, 0, 2],
    [0, 4, 0, 1],
    [0, 2, 0, 4],
    [0, 1, 0, 4],
    [0, 152, 0, 8],
    [0, 153, 0, 8],
];

/// What a standard record shows.
pub const STANDARD_NAMES: [&str; 9] = [
    "sourceIPv4Address",
    "destinationIPv4Address",
    "sourceTransportPort",
    "destinationTransportPort",
    "protocolIdentifier",
    "packetDeltaCount",
    "octetDeltaCount",
    "flowStart",
    "flowEnd",
];

/// What tells one run of a case from all others: its records' addresses, its domain, its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marking {
    /// Second and third octet of the addresses; part of the domain.
    pub number: u16,
    /// The other part of the domain: a device that runs on has not seen it.
    pub salt: u16,
    /// The time that is now, seconds since 1970.
    pub now: i64,
}

impl Marking {
    /// The IPv4 address of a mark.
    pub fn address(self, mark: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, high, low, mark)
    }

    /// The IPv6 address of a mark.
    pub fn address6(self, mark: u8) -> Ipv6Addr {
        Ipv6Addr::new(
            0x2001,
            0xdb8,
            self.number,
            0x77,
            0x88,
            0x99,
            0xaa,
            mark.into(),
        )
    }

    fn domain(self) -> u32 {
        u32::from(self.salt) << 16 | u32::from(self.number)
    }
}

/// Who sends: the last octet of its address 127.0.0.x, and which of its sockets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sender {
    /// 1 unless the case says `host`.
    pub host: u8,
    /// 0 unless the case says `from`.
    pub socket: u8,
    /// How.
    pub transport: Transport,
    /// Who it is over TLS.
    pub identity: Identity,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// These octets are sent, so many at a time (0: all at once).
    Send(Sender, Vec<u8>, usize),
    /// The connection is closed in order.
    Close(Sender),
    /// The connection is reset.
    Reset(Sender),
    /// Milliseconds of rest.
    Pause(u64),
}

/// The actions of one run of a case.
///
/// # Errors
/// When the case cannot be written, such as a set longer than its length can say.
pub fn assemble(
    case: &Case,
    version: u16,
    transport: Transport,
    marking: Marking,
) -> Result<Vec<Action>, String> {
    let mut assembler = Assembler::new(version, transport, marking);
    assembler.steps(&case.steps)?;
    assembler.finish()
}

/// A healthy message with a record of mark [`PROBE`], from a socket of its own.
pub fn probe(version: u16, transport: Transport, marking: Marking) -> Result<Vec<Action>, String> {
    let marking_of_probe = Marking {
        salt: marking.salt ^ 0x8000,
        ..marking
    };
    let mut assembler = Assembler::new(
        if version == 5 { 9 } else { version },
        transport,
        marking_of_probe,
    );
    assembler.sender.socket = PROBE;
    let id = Token::Bytes(999_u16.to_be_bytes().to_vec());
    let set = |id| Step::Set { id, length: None };
    assembler.steps(&[
        Step::Message(Header::default()),
        set(SetId::Templates),
        Step::Template {
            id: id.clone(),
            scope: None,
            count: None,
            fields: vec![Token::Standard],
        },
        set(SetId::Number(id)),
        Step::Record {
            mark: PROBE,
            packets: 1,
            octets: 100,
            more: Vec::new(),
        },
    ])?;
    assembler.finish()
}

struct Assembler {
    version: u16,
    marking: Marking,
    sender: Sender,
    slice: usize,
    actions: Vec<Action>,
    /// The message that is being written, and what its header shall say; none of a raw one.
    message: Option<(Vec<u8>, Option<Header>)>,
    /// Where the set begins that is being written, and its length if it lies.
    set: Option<(usize, Option<u16>)>,
    /// Data records and, of NetFlow v9, all records of the message.
    data_records: u32,
    records: u16,
    in_data: bool,
    joined: Option<Vec<u8>>,
    /// Next sequence number of each socket and domain.
    sequences: HashMap<(Sender, u32), u32, RandomState>,
    repetition: u16,
}

impl Assembler {
    fn new(version: u16, transport: Transport, marking: Marking) -> Self {
        Self {
            version,
            marking,
            sender: Sender {
                host: 1,
                socket: 0,
                transport,
                identity: Identity::Right,
            },
            slice: 0,
            actions: Vec::new(),
            message: None,
            set: None,
            data_records: 0,
            records: 0,
            in_data: false,
            joined: None,
            sequences: HashMap::default(),
            repetition: 0,
        }
    }

    fn finish(mut self) -> Result<Vec<Action>, String> {
        self.end_message()?;
        self.flush();
        Ok(self.actions)
    }

    fn steps(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Message(header) => {
                self.end_message()?;
                self.message = Some((Vec::new(), Some(header.clone())));
            }
            Step::Raw(tokens) => {
                self.end_message()?;
                self.message = Some((Vec::new(), None));
                self.bytes(tokens)?;
            }
            Step::Set { id, length } => self.begin_set(id, *length)?,
            Step::Template {
                id,
                scope,
                count,
                fields,
            } => self.template(id, *scope, *count, fields)?,
            Step::Record {
                mark,
                packets,
                octets,
                more,
            } => {
                self.record(*mark, *packets, *octets)?;
                self.bytes(more)?;
            }
            Step::Bytes(tokens) => self.bytes(tokens)?,
            Step::Loose => self.end_set()?,
            Step::Count(records) => {
                self.data_records += records;
                self.records = self.records.wrapping_add(*records as u16);
            }
            Step::Repeat(times, steps) => self.repeat(*times, steps)?,
            Step::From(_)
            | Step::Host(_)
            | Step::Use(_)
            | Step::Identity(_)
            | Step::Reconnect
            | Step::Reset => {
                self.end_message()?;
                self.connection(step);
            }
            Step::Slice(_) | Step::Join | Step::Flush | Step::Pause(_) => {
                self.end_message()?;
                self.rhythm(step);
            }
        }
        Ok(())
    }

    fn repeat(&mut self, times: u32, steps: &[Step]) -> Result<(), String> {
        let outer = self.repetition;
        for repetition in 0..times {
            self.repetition = repetition as u16;
            self.steps(steps)?;
        }
        self.repetition = outer;
        Ok(())
    }

    fn connection(&mut self, step: &Step) {
        match step {
            Step::From(socket) => self.sender.socket = *socket,
            Step::Host(host) => self.sender.host = *host,
            Step::Use(transport) => self.sender.transport = *transport,
            Step::Identity(identity) => self.sender.identity = *identity,
            Step::Reset => self.actions.push(Action::Reset(self.sender)),
            _ => self.actions.push(Action::Close(self.sender)),
        }
        if matches!(step, Step::Reconnect | Step::Reset) {
            let sender = self.sender;
            self.sequences.retain(|(known, _), _| *known != sender);
        }
    }

    fn rhythm(&mut self, step: &Step) {
        match step {
            Step::Slice(octets) => self.slice = *octets,
            Step::Join => self.joined = Some(Vec::new()),
            Step::Flush => self.flush(),
            Step::Pause(ms) => self.actions.push(Action::Pause(*ms)),
            _ => {}
        }
    }

    fn flush(&mut self) {
        if let Some(octets) = self.joined.take() {
            self.actions
                .push(Action::Send(self.sender, octets, self.slice));
        }
    }

    fn begin_set(&mut self, id: &SetId, length: Option<u16>) -> Result<(), String> {
        self.end_set()?;
        let v9 = self.version == 9;
        let id = match id {
            SetId::Templates => vec![0, if v9 { 0 } else { 2 }],
            SetId::Options => vec![0, if v9 { 1 } else { 3 }],
            SetId::Number(token) => self.octets(token),
        };
        self.in_data = id.first().is_some_and(|high| *high > 0);
        let message = self.open()?;
        let start = message.len();
        message.extend(id);
        message.extend([0, 0]);
        self.set = Some((start, length));
        Ok(())
    }

    fn end_set(&mut self) -> Result<(), String> {
        let Some((start, length)) = self.set.take() else {
            return Ok(());
        };
        let message = self.open()?;
        let true_length = u16::try_from(message.len() - start).map_err(|_| "a set is too long")?;
        let length = length.unwrap_or(true_length);
        if let Some(place) = message.get_mut(start + 2..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    fn end_message(&mut self) -> Result<(), String> {
        self.end_set()?;
        let Some((sets, header)) = self.message.take() else {
            return Ok(());
        };
        let octets = match header {
            Some(header) => [self.header(&header, sets.len())?, sets].concat(),
            None => sets,
        };
        (self.data_records, self.records) = (0, 0);
        match &mut self.joined {
            Some(joined) => joined.extend(octets),
            None => self
                .actions
                .push(Action::Send(self.sender, octets, self.slice)),
        }
        Ok(())
    }

    fn header(&mut self, header: &Header, sets: usize) -> Result<Vec<u8>, String> {
        let v9 = self.version == 9;
        let mut domain = self.marking.domain().wrapping_add(header.domain << 24);
        if header.domains {
            domain = domain.wrapping_add(u32::from(self.repetition) << 16);
        }
        let sequence = self.sequences.entry((self.sender, domain)).or_default();
        *sequence = sequence.wrapping_add(header.gap);
        let said = sequence.wrapping_add(header.skip);
        let step = if v9 { 1 } else { self.data_records };
        *sequence = sequence.wrapping_add(step);
        let time = match header.absolute_time {
            Some(time) => time,
            None => seconds(self.marking.now + header.time),
        };
        let mut octets = header
            .version
            .unwrap_or(self.version)
            .to_be_bytes()
            .to_vec();
        if v9 {
            octets.extend(header.length.unwrap_or(self.records).to_be_bytes());
            octets.extend(header.uptime.unwrap_or(UPTIME).to_be_bytes());
        } else {
            let length = u16::try_from(sets + 16).map_err(|_| "a message is too long")?;
            octets.extend(header.length.unwrap_or(length).to_be_bytes());
        }
        for word in [time, said, domain] {
            octets.extend(word.to_be_bytes());
        }
        Ok(octets)
    }

    fn template(
        &mut self,
        id: &Token,
        scope: Option<u16>,
        count: Option<u16>,
        fields: &[Token],
    ) -> Result<(), String> {
        let fields: Vec<u8> = fields.iter().flat_map(|token| self.octets(token)).collect();
        let id = self.octets(id);
        let counted = count_fields(&fields, self.version == 10);
        let v9 = self.version == 9;
        let message = self.open()?;
        message.extend(id);
        match scope {
            // NetFlow v9 gives the octets of the scope fields and of the others.
            Some(scope) if v9 => {
                let (all, scope) = (count.unwrap_or(counted) * 4, scope * 4);
                message.extend(scope.to_be_bytes());
                message.extend(all.saturating_sub(scope).to_be_bytes());
            }
            scope => {
                message.extend(count.unwrap_or(counted).to_be_bytes());
                message.extend(scope.map(u16::to_be_bytes).into_iter().flatten());
            }
        }
        message.extend(fields);
        self.records = self.records.wrapping_add(1);
        Ok(())
    }

    fn record(&mut self, mark: u8, packets: u64, octets: u64) -> Result<(), String> {
        let bytes = self.standard(mark, packets, octets);
        self.open()?.extend(bytes);
        self.counted();
        Ok(())
    }

    /// A data record more.
    fn counted(&mut self) {
        if self.in_data {
            self.data_records += 1;
            self.records = self.records.wrapping_add(1);
        }
    }

    fn standard(&self, mark: u8, packets: u64, octets: u64) -> Vec<u8> {
        let to: Ipv4Addr = TO.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mut bytes = self.marking.address(mark).octets().to_vec();
        bytes.extend(to.octets());
        bytes.extend([0x12, 0x34, 0x12, 0x35, 17]);
        bytes.extend((packets as u32).to_be_bytes());
        bytes.extend((octets as u32).to_be_bytes());
        bytes.extend(self.octets(&Token::Millis(-10_000)));
        bytes.extend(self.octets(&Token::Millis(-9_000)));
        bytes
    }

    fn bytes(&mut self, tokens: &[Token]) -> Result<(), String> {
        for token in tokens {
            let octets = self.octets(token);
            self.open()?.extend(octets);
            if matches!(token, Token::Record(_)) {
                self.counted();
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Vec<u8>, String> {
        match &mut self.message {
            Some((message, _)) => Ok(message),
            None => Err("octets outside a message".to_owned()),
        }
    }

    fn octets(&self, token: &Token) -> Vec<u8> {
        let Marking { now, .. } = self.marking;
        match token {
            Token::Bytes(octets) => octets.clone(),
            Token::Mark(mark) => self.marking.address(*mark).octets().to_vec(),
            Token::Mark6(mark) => self.marking.address6(*mark).octets().to_vec(),
            Token::Standard => STANDARD.concat(),
            Token::Seconds(offset) => seconds(now + offset).to_be_bytes().to_vec(),
            Token::Millis(offset) => (now * 1000 + offset).to_be_bytes().to_vec(),
            Token::Ntp(offset) => ntp(now * 1000 + offset).to_be_bytes().to_vec(),
            Token::Uptime(offset) => {
                let uptime = i64::from(UPTIME) + offset;
                (uptime as u32).to_be_bytes().to_vec()
            }
            Token::Counter(base) => base.wrapping_add(self.repetition).to_be_bytes().to_vec(),
            Token::Record(mark) => self.standard(*mark, u64::from(*mark), u64::from(*mark) * 100),
        }
    }
}

/// Modulo 2^32, as headers have it.
fn seconds(time: i64) -> u32 {
    time as u32
}

/// Milliseconds since 1970 as NTP time: seconds since 1900 and their 2^-32 parts (RFC 7011 section 6.1.9).
fn ntp(ms: i64) -> u64 {
    let whole = (ms.div_euclid(1000) + NTP_EPOCH) as u64;
    let fraction = (ms.rem_euclid(1000) as u64) << 32;
    // Rounded up: a reader that cuts gets the same millisecond.
    whole << 32 | fraction.div_ceil(1000)
}

/// Field specifiers: eight octets with an enterprise number, else four.
fn count_fields(fields: &[u8], enterprise: bool) -> u16 {
    let (mut rest, mut count) = (fields, 0);
    while let [first, _, _, _, ..] = rest {
        let size = if enterprise && *first >= 0x80 { 8 } else { 4 };
        rest = rest.get(size..).unwrap_or_default();
        count += 1;
    }
    count
}

/// The transports that a case uses of its own accord.
pub fn transports(case: &Case) -> Vec<Transport> {
    let uses = |step: &Step| match step {
        Step::Use(transport) => Some(*transport),
        _ => None,
    };
    case.steps.iter().filter_map(uses).collect()
}
