//! The replica of faf-exercise.pcap, the capture of Tranalyzer's tutorial: a synthetic capture made from the plan in
//! `data/`. Connection facts (addresses, ports, MACs, start times, durations, packet and byte counts per direction, TCP
//! history) are published; segment sizes, inner timing, payloads, ISNs, IP-IDs, windows and some TTLs are made up. It is
//! not the original trace and has a different SHA-256. No clock, no randomness: the same bytes on every run.

use std::{collections::HashMap, fmt::Display, net::IpAddr, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::packet::{self, ACK, Endpoint, FIN, PSH, Packet, RST, SYN, Transport};

/// Name under which the replica is written: it says that it is one.
pub const FILE_NAME: &str = "faf-replica.pcap";
/// Size of the replica, which is the original's, in bytes.
pub const FILE_SIZE: usize = 5_087_870;
/// The text that every payload carries as often as it fits (a payload shorter than the text carries its beginning).
pub const LABEL: &str = "SYNTHETIC-REPLICA-of-faf-exercise";

const FLOWS: &str = include_str!("../data/flows.tsv");
const PACKETS: &str = include_str!("../data/packets.tsv");

/// First packet's time, in microseconds since the Unix epoch: the packets of the plan count from here.
const START_US: u64 = 1_258_544_215_037_210;
/// Ethernet's smallest frame without the frame check sequence.
const SHORTEST_FRAME: usize = 60;

/// A row of the plan that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{table}, line {line}, column {column}: {reason}")]
pub struct PlanError {
    table: &'static str,
    line: usize,
    column: &'static str,
    reason: String,
}

/// Published facts of one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Time to live of its packets.
    pub ttl: u8,
    /// Time of the first packet, microseconds since the Unix epoch.
    pub first_us: u64,
    /// Time of the last packet, microseconds since the Unix epoch.
    pub last_us: u64,
    /// Packets.
    pub packets: u64,
    /// TCP payload bytes, retransmissions included.
    pub l7_bytes: u64,
    /// IP bytes: headers and payload, without Ethernet padding.
    pub ip_bytes: u64,
}

/// One connection of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Flow index in Tranalyzer's order, from 1.
    pub flow: u32,
    /// Application: `http`, `smtp`, `ftp`, `ftp-data`.
    pub service: String,
    /// The end that opened it.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// Client to server (A).
    pub a: Direction,
    /// Server to client (B).
    pub b: Direction,
}

/// One packet of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    time_us: u64,
    flow: u32,
    from_client: bool,
    flags: u8,
    l7_bytes: usize,
    seq: u32,
    ack: u32,
    options: Vec<u8>,
    window: u16,
}

/// The connections of the plan, by flow index.
pub fn connections() -> Result<Vec<Connection>, PlanError> {
    rows("flows.tsv", FLOWS)
        .map(|mut row| connection(&mut row))
        .collect()
}

fn connection(row: &mut Columns) -> Result<Connection, PlanError> {
    let flow = row.parse("flow")?;
    let service = row.text("service")?.to_owned();
    let (client_ip, client_port): (IpAddr, u16) = (row.parse("client")?, row.parse("client_port")?);
    let (server_ip, server_port): (IpAddr, u16) = (row.parse("server")?, row.parse("server_port")?);
    let client = Endpoint {
        mac: row.mac("client_mac")?,
        ip: client_ip,
        port: client_port,
    };
    let server = Endpoint {
        mac: row.mac("server_mac")?,
        ip: server_ip,
        port: server_port,
    };
    let (a, b) = (direction(row)?, direction(row)?);
    Ok(Connection {
        flow,
        service,
        client,
        server,
        a,
        b,
    })
}

fn direction(row: &mut Columns) -> Result<Direction, PlanError> {
    Ok(Direction {
        ttl: row.parse("ttl")?,
        first_us: row.parse("first_us")?,
        last_us: row.parse("last_us")?,
        packets: row.parse("packets")?,
        l7_bytes: row.parse("l7_bytes")?,
        ip_bytes: row.parse("ip_bytes")?,
    })
}

fn packet_row(row: &mut Columns) -> Result<Row, PlanError> {
    Ok(Row {
        time_us: START_US + row.parse::<u64>("time_us")?,
        flow: row.parse("flow")?,
        from_client: row.text("dir")? == "A",
        flags: row.flags("flags")?,
        l7_bytes: row.parse("l7_bytes")?,
        seq: row.parse("seq")?,
        ack: row.parse("ack")?,
        options: row.hex("options")?,
        window: row.parse("window")?,
    })
}

/// The replica as a classic pcap file, [`FILE_SIZE`] bytes.
pub fn capture() -> Result<Vec<u8>, PlanError> {
    let mut ends = HashMap::new();
    for connection in connections()? {
        let (client, server) = (&connection.client, &connection.server);
        let a = Sender::new(client, server, connection.a.ttl);
        let b = Sender::new(server, client, connection.b.ttl);
        ends.insert(connection.flow, (a, b));
    }
    let mut ip_ids: HashMap<IpAddr, u16> = HashMap::new();
    let mut file = Vec::with_capacity(FILE_SIZE);
    file.extend_from_slice(&packet::file_header());
    let mut frame = Vec::new();
    for mut columns in rows("packets.tsv", PACKETS) {
        let row = packet_row(&mut columns)?;
        let (a, b) = ends
            .get_mut(&row.flow)
            .ok_or_else(|| columns.error("flow", &"no such connection"))?;
        let (sender, peer_isn) = if row.from_client {
            (a, b.isn)
        } else {
            (b, a.isn)
        };
        let ip_id = ip_ids.entry(sender.from.ip).or_insert(0);
        *ip_id = ip_id.wrapping_add(1);
        frame.clear();
        sender.append_frame(&mut frame, &row, peer_isn, *ip_id);
        file.extend_from_slice(&packet::record_header(row.time_us, frame.len()));
        file.extend_from_slice(&frame);
    }
    Ok(file)
}

/// What one direction of a connection remembers from packet to packet.
struct Sender {
    from: Endpoint,
    to: Endpoint,
    ttl: u8,
    isn: u32,
    /// The bytes sent so far by offset in the stream, zero where nothing was sent yet: repeated segments are equal.
    stream: Vec<u8>,
}

impl Sender {
    fn new(from: &Endpoint, to: &Endpoint, ttl: u8) -> Self {
        let name = format!("{}:{}-{}:{}", from.ip, from.port, to.ip, to.port);
        let hash = Sha256::digest(name.as_bytes());
        let isn = hash
            .iter()
            .take(4)
            .fold(0, |isn, byte| isn << 8 | u32::from(*byte));
        Self {
            from: *from,
            to: *to,
            ttl,
            isn,
            stream: Vec::new(),
        }
    }

    fn append_frame(&mut self, frame: &mut Vec<u8>, row: &Row, peer_isn: u32, ip_id: u16) {
        let mut options = row.options.clone();
        // Selective acknowledgments (RFC 2018) stand behind two NOPs: kind 5, length, then pairs of edges.
        if options.starts_with(&[1, 1, 5]) {
            for edge in options[4..].chunks_exact_mut(4) {
                let relative = edge
                    .iter()
                    .fold(0, |value, byte| value << 8 | u32::from(*byte));
                edge.copy_from_slice(&peer_isn.wrapping_add(relative).to_be_bytes());
            }
        }
        let ack = if row.flags & ACK == 0 {
            0
        } else {
            peer_isn.wrapping_add(row.ack)
        };
        let seq = self.isn.wrapping_add(row.seq);
        let transport = Transport::Tcp {
            seq,
            ack,
            flags: row.flags,
            window: row.window,
            options: &options,
        };
        let (from, to, ttl) = (self.from, self.to, self.ttl);
        let payload = self.payload(row);
        let payload_sum = packet::sum(payload);
        packet::append_frame(
            frame,
            &Packet {
                from: &from,
                to: &to,
                ttl,
                ip_id,
                transport,
                payload,
                payload_sum,
            },
        );
        if adds_trailer(from.ip) {
            frame.resize(frame.len().max(SHORTEST_FRAME), 0);
            let trailer = packet::frame_check_sequence(frame);
            frame.extend_from_slice(&trailer);
        }
    }

    fn payload(&mut self, row: &Row) -> &[u8] {
        if row.l7_bytes == 0 {
            return &[];
        }
        // Stream offset 0 is sequence number 1: the SYN took 0.
        let start = (row.seq as usize).saturating_sub(1);
        let end = start + row.l7_bytes;
        if self.stream.len() < end {
            self.stream.resize(end, 0);
        }
        let payload = &mut self.stream[start..end];
        let text = LABEL.bytes().chain(*b"\r\n").cycle();
        payload
            .iter_mut()
            .zip(text)
            .filter(|(byte, _)| **byte == 0)
            .for_each(|(byte, text)| *byte = text);
        payload
    }
}

/// Frames of the four workstations were captured with padding and frame check sequence, those of the gateway (which
/// captured) as it made them.
fn adds_trailer(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if matches!(ip.octets(), [192, 168, 1, 102..=105]))
}

/// A row of a table being read, column by column.
struct Columns {
    table: &'static str,
    line: usize,
    columns: std::str::Split<'static, char>,
}

fn rows(table: &'static str, text: &'static str) -> impl Iterator<Item = Columns> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'));
    lines.map(move |(index, line)| Columns {
        table,
        line: index + 1,
        columns: line.split('\t'),
    })
}

impl Columns {
    fn error(&self, column: &'static str, reason: &impl Display) -> PlanError {
        PlanError {
            table: self.table,
            line: self.line,
            column,
            reason: reason.to_string(),
        }
    }

    fn text(&mut self, column: &'static str) -> Result<&'static str, PlanError> {
        self.columns
            .next()
            .ok_or_else(|| self.error(column, &"missing"))
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Result<T, PlanError> {
        self.text(column)?
            .parse()
            .map_err(|reason| self.error(column, &reason))
    }

    fn mac(&mut self, column: &'static str) -> Result<[u8; 6], PlanError> {
        let text = self.text(column)?;
        let bytes: Result<Vec<u8>, _> = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect();
        let bytes = bytes.map_err(|reason| self.error(column, &reason))?;
        bytes
            .try_into()
            .map_err(|_| self.error(column, &"not six bytes"))
    }

    fn hex(&mut self, column: &'static str) -> Result<Vec<u8>, PlanError> {
        let digits = self.text(column)?.trim_start_matches('-').as_bytes();
        let digit = |digit: &u8| char::from(*digit).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
        digits
            .chunks(2)
            .map(byte)
            .collect::<Option<_>>()
            .ok_or_else(|| self.error(column, &"not hexadecimal"))
    }

    fn flags(&mut self, column: &'static str) -> Result<u8, PlanError> {
        self.text(column)?
            .chars()
            .try_fold(0, |flags, letter| match letter {
                'F' => Ok(flags | FIN),
                'S' => Ok(flags | SYN),
                'R' => Ok(flags | RST),
                'P' => Ok(flags | PSH),
                'A' => Ok(flags | ACK),
                other => Err(self.error(column, &format_args!("unknown flag {other}"))),
            })
    }
}
