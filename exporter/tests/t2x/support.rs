//! Small captures made in memory, and a collector that keeps what it gets.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use protocol::limits::Limits;
use protocol::session::{DataRecord, Events, MessageInfo, Session};
use protocol::template::{FieldSpecifier, TemplateKind};
use tempfile::NamedTempFile;

/// 2009-11-18 11:36:55.037210 UTC.
pub const START_US: u64 = 1_258_544_215_037_210;

/// A capture in the making.
pub struct Capture(pub Vec<u8>);

impl Capture {
    pub fn new() -> Self {
        Self::of_link_type(1)
    }

    pub fn of_link_type(link: u32) -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, link] {
            bytes.extend(u32::to_le_bytes(word));
        }
        Capture(bytes)
    }

    /// An Ethernet frame `after_us` microseconds after the start.
    pub fn frame(mut self, after_us: u64, ether_type: u16, payload: &[u8]) -> Self {
        let at = START_US + after_us;
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(ether_type.to_be_bytes());
        frame.extend(payload);
        let length = frame.len() as u32;
        for word in [
            (at / 1_000_000) as u32,
            (at % 1_000_000) as u32,
            length,
            length,
        ] {
            self.0.extend(word.to_le_bytes());
        }
        self.0.extend(frame);
        self
    }

    /// An IPv4 packet from 10.0.0.`hosts.0` to 10.0.0.`hosts.1`, ToS 0x20, TTL 63.
    pub fn ipv4(self, after_us: u64, hosts: (u8, u8), protocol: u8, payload: &[u8]) -> Self {
        let total = (20 + payload.len()) as u16;
        let mut packet = vec![0x45, 0x20];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 63, protocol, 0, 0]);
        packet.extend([10, 0, 0, hosts.0, 10, 0, 0, hosts.1]);
        packet.extend(payload);
        self.frame(after_us, 0x0800, &packet)
    }

    pub fn udp(self, after_us: u64, hosts: (u8, u8), ports: (u16, u16), octets: usize) -> Self {
        self.ipv4(after_us, hosts, 17, &udp(ports, octets))
    }

    pub fn ipv6_udp(self, after_us: u64, ports: (u16, u16), octets: usize) -> Self {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(((8 + octets) as u16).to_be_bytes());
        packet.extend([17, 64]);
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        packet.extend(udp(ports, octets));
        self.frame(after_us, 0x86dd, &packet)
    }

    pub fn arp(self, after_us: u64) -> Self {
        self.frame(after_us, 0x0806, &[0; 28])
    }

    pub fn file(&self) -> NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
        file.write_all(&self.0).unwrap();
        file
    }
}

fn udp(ports: (u16, u16), octets: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    for word in [ports.0, ports.1, (8 + octets) as u16, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.resize(8 + octets, 0);
    packet
}

/// Waits until a process takes signals itself: until then they would just end it.
pub fn wait_for_signals(process: u32) {
    const SIGTERM: u64 = 1 << 14;
    for _ in 0..1000 {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let blocked = u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap();
        if blocked & SIGTERM != 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {process} does not take signals");
}

/// Flows of the text sink.
pub fn flow_lines(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('%')).count()
}

/// A record with its fields.
#[derive(Clone, Debug)]
pub struct Record {
    pub message: MessageInfo,
    pub template: u16,
    pub fields: Vec<(FieldSpecifier, Vec<u8>)>,
}

impl Record {
    /// The number that element `id` holds.
    pub fn number(&self, id: u16) -> u64 {
        let value = self.value(id);
        value
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet))
    }

    pub fn value(&self, id: u16) -> &[u8] {
        let field = self.fields.iter().find(|(field, _)| field.id == id);
        &field.unwrap_or_else(|| panic!("no element {id}")).1
    }

    pub fn ipv4(&self, id: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(self.value(id)).unwrap()))
    }

    /// Elements and lengths, in order.
    pub fn layout(&self) -> Vec<(u16, u16)> {
        self.fields
            .iter()
            .map(|(field, _)| (field.id, field.length))
            .collect()
    }
}

/// What a session tells of the messages it gets.
#[derive(Default)]
pub struct Seen(pub Vec<Record>);

impl Events for Seen {
    fn record(&mut self, record: &DataRecord<'_>) {
        if record.template.kind() != TemplateKind::Data {
            return;
        }
        let fields = record
            .template
            .values(record.bytes)
            .map(|(field, value)| (field, value.to_vec()));
        self.0.push(Record {
            message: *record.message,
            template: record.template.id(),
            fields: fields.collect(),
        });
    }
}

/// Listens on loopback.
pub struct Collector(UdpSocket);

impl Collector {
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        Collector(socket)
    }

    pub fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    /// Everything that has arrived.
    pub fn datagrams(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let mut all = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    pub fn records(&self) -> Vec<Record> {
        decode(&self.datagrams())
    }
}

/// The messages of an IPFIX stream: they carry their length in octets 2 and 3.
pub fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (message, next) = rest.split_at(usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        messages.push(message.to_vec());
        rest = next;
    }
    messages
}

pub fn decode(datagrams: &[Vec<u8>]) -> Vec<Record> {
    let mut session = Session::new(Limits::default());
    let mut seen = Seen::default();
    let from: SocketAddr = ([127, 0, 0, 1], 1).into();
    for datagram in datagrams {
        session.datagram(0, from, datagram, &mut seen);
    }
    seen.0
}
