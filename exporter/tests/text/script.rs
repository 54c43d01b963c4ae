//! Frames by hand, and the rows that become of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use etherparse::{IpNumber, Ipv4Header, Ipv4Options, TcpHeader};
use exporter::capture::{Frame, LinkType};
use exporter::dissect::{Detail, Dissector, Packet, Tunnel};
use exporter::meter::{Meter, MeterConfig, Metric};
use exporter::sink::text::{Layout, TextSink, Vendors};

pub const SECOND: i64 = 1_000_000_000;
pub const START: i64 = 1_700_000_000 * SECOND;

/// The columns of a row by name.
pub type Row = BTreeMap<String, String>;

/// Frames with their times after [`START`] in milliseconds.
pub type Script = Vec<(i64, Vec<u8>)>;

/// What is printed of Ethernet frames.
pub fn rows(script: &Script) -> Vec<Row> {
    rows_with(script, None)
}

/// As [`rows`], with a list of vendors.
pub fn rows_with(script: &Script, vendors: Option<Arc<Vendors>>) -> Vec<Row> {
    let mut dissector = Dissector::new(Tunnel::Inner);
    let mut meter = Meter::new(MeterConfig {
        text: true,
        ..MeterConfig::default()
    });
    let mut sink = TextSink::new(Vec::new(), Metric::L7, Layout::Columns, vendors).unwrap();
    for (ms, octets) in script {
        let frame = Frame {
            ts_ns: START + ms * 1_000_000,
            link: LinkType::ETHERNET,
            captured: octets,
            original_len: octets.len() as u32,
        };
        let (mut packet, mut detail) = (Packet::default(), Detail::default());
        assert!(dissector.dissect_in_detail(&frame, &mut packet, &mut detail));
        meter.packets_in_detail(&[packet], &[detail], &mut sink);
    }
    meter.finish(&mut sink);
    let text = String::from_utf8(sink.finish().unwrap()).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap()[1..].split('\t').collect();
    let row = |line: &str| -> Row {
        let values: Vec<&str> = line.split('\t').collect();
        assert_eq!(values.len(), names.len());
        let pairs = names.iter().zip(values);
        pairs
            .map(|(name, value)| (name.to_string(), value.to_owned()))
            .collect()
    };
    lines.map(row).collect()
}

/// Compares columns with what they should be; numbers with a fraction to six digits.
#[track_caller]
pub fn assert_columns(row: &Row, expected: &[(&str, &str)]) {
    for (name, expected) in expected {
        let found = &row[*name];
        let same = found == expected
            || expected.contains('.')
                && !name.starts_with("time")
                && matches!(
                    (found.parse::<f64>(), expected.parse::<f64>()),
                    (Ok(found), Ok(expected)) if (found - expected).abs() <= 2e-6 * expected.abs()
                );
        assert!(same, "{name}: {found}, not {expected}");
    }
}

/// An Ethernet header and what follows it; `back`: from B to A.
pub fn ethernet(back: bool, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let (a, b) = ([2, 0, 0, 0, 0, 0xa], [2, 0, 0, 0, 0, 0xb]);
    let (src, dst) = if back { (b, a) } else { (a, b) };
    [&dst[..], &src, &ether_type.to_be_bytes(), payload].concat()
}

/// What an IPv4 header has beside its length.
#[derive(Clone, Default)]
pub struct Ip {
    pub back: bool,
    pub id: u16,
    pub ttl: u8,
    pub dont_fragment: bool,
    pub more_fragments: bool,
    /// In eight octets.
    pub offset: u16,
    pub options: Vec<u8>,
}

impl Ip {
    pub fn addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        let (a, b) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        if self.back { (b, a) } else { (a, b) }
    }

    pub fn header(&self, protocol: u8, payload: usize) -> Ipv4Header {
        let (src, dst) = self.addresses();
        let mut header = Ipv4Header::new(
            payload as u16,
            if self.ttl == 0 { 64 } else { self.ttl },
            IpNumber(protocol),
            src.octets(),
            dst.octets(),
        )
        .unwrap();
        header.identification = self.id;
        header.dont_fragment = self.dont_fragment;
        header.more_fragments = self.more_fragments;
        header.fragment_offset = self.offset.try_into().unwrap();
        header.options = Ipv4Options::try_from(&self.options[..]).unwrap();
        header.set_payload_len(payload).unwrap();
        header.header_checksum = header.calc_header_checksum();
        header
    }

    /// A whole frame.
    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut octets = self.header(protocol, payload.len()).to_bytes().to_vec();
        octets.extend_from_slice(payload);
        ethernet(self.back, 0x0800, &octets)
    }
}

/// A TCP segment between port 40000 of A and 443 of B.
#[derive(Clone, Default)]
pub struct Tcp {
    pub ip: Ip,
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub window: u16,
    pub octets: usize,
    pub options: Vec<u8>,
}

impl Tcp {
    pub fn frame(&self) -> Vec<u8> {
        let (src, dst) = if self.ip.back {
            (443, 40000)
        } else {
            (40000, 443)
        };
        let mut header = TcpHeader::new(src, dst, self.sequence, self.window);
        header.acknowledgment_number = self.acknowledgment;
        header.fin = self.flags & 1 != 0;
        header.syn = self.flags & 2 != 0;
        header.rst = self.flags & 4 != 0;
        header.psh = self.flags & 8 != 0;
        header.ack = self.flags & 16 != 0;
        header.urg = self.flags & 32 != 0;
        header.set_options_raw(&self.options).unwrap();
        let payload = vec![b'x'; self.octets];
        let ip = self.ip.header(6, header.header_len() + payload.len());
        header.checksum = header.calc_checksum_ipv4(&ip, &payload).unwrap();
        let mut segment = Vec::new();
        header.write(&mut segment).unwrap();
        segment.extend_from_slice(&payload);
        self.ip.frame(6, &segment)
    }
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

/// A segment of A.
pub fn a(flags: u8, sequence: u32, acknowledgment: u32, octets: usize) -> Tcp {
    Tcp {
        flags,
        sequence,
        acknowledgment,
        octets,
        window: 1000,
        ..Tcp::default()
    }
}

/// A segment of B.
pub fn b(flags: u8, sequence: u32, acknowledgment: u32, octets: usize) -> Tcp {
    let mut segment = a(flags, sequence, acknowledgment, octets);
    segment.ip.back = true;
    segment
}

/// The timestamps option with two no-operations before it.
pub fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    let mut option = vec![1, 1, 8, 10];
    option.extend_from_slice(&value.to_be_bytes());
    option.extend_from_slice(&echo.to_be_bytes());
    option
}
