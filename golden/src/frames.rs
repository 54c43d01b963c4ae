//! Captures of any size for measurements: TCP and UDP connections with valid headers and checksums, half of the packets
//! in one per cent of the connections, written as a stream in memory bounded by the number of connections (24
//! bytes each). The same parameters give the same bytes.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    packet::{self, ACK, Endpoint, FIN, PSH, Packet, SYN, Transport},
    random::{Random, mix},
};

/// Time of the first packet: 2026-01-01T00:00:00Z, in microseconds since the Unix epoch.
const START_US: u64 = 1_767_225_600_000_000;
/// Smallest frame on an Ethernet, without the frame check sequence.
pub const MIN_SIZE: usize = 60;
/// Largest frame that can be asked for (a jumbo frame).
pub const MAX_SIZE: usize = 9018;
/// Frames that carry no payload (of a TCP handshake or its end) are padded to this size, if data frames are not shorter.
const CONTROL_SIZE: usize = 64;
/// Connections that share a client address.
const FLOWS_PER_CLIENT: u32 = 32;
/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

const TCP_PORTS: [u16; 8] = [443, 80, 443, 22, 25, 443, 993, 8080];
/// Ports whose protocols decoders do not look for in a payload that is only text.
const UDP_PORTS: [u16; 4] = [443, 27015, 443, 33434];

/// Sizes of the frames with payload, in bytes without the frame check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All of this size, [`MIN_SIZE`] to [`MAX_SIZE`]; longer only where the headers alone are (IPv6).
    Fixed(usize),
    /// The simple Internet mix: IP packets of 46, 576 and 1500 bytes as 7 : 4 : 1.
    Mix,
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Frames to write.
    pub packets: u64,
    /// Connections they belong to; every one gets at least one frame.
    pub flows: u32,
    /// Frame sizes.
    pub size: Size,
    /// Seed of addresses, ports, order and directions.
    pub seed: u64,
    /// Share of the connections that use IPv6, 0 to 1.
    pub ipv6_share: f64,
    /// Packets per second of capture time.
    pub rate_pps: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Frames.
    pub packets: u64,
    /// Connections (of two directions).
    pub flows: u32,
    /// Directions of connections that have packets: the flows of an exporter that does not pair them.
    pub directions: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// The parameters contradict each other.
    #[error("{0}")]
    Spec(String),
    /// The output failed.
    #[error("cannot write the capture: {0}")]
    Write(#[from] io::Error),
}

/// Writes a capture as classic pcap.
pub fn write(spec: &Spec, out: &mut impl Write) -> Result<Written, FramesError> {
    spec.check()?;
    let mut generator = Generator::new(spec);
    let mut buffer = Vec::with_capacity(BUFFER + MAX_SIZE + packet::RECORD_HEADER);
    buffer.extend_from_slice(&packet::file_header());
    let mut file_bytes = 0;
    for number in 0..spec.packets {
        let time_us = START_US + number * 1_000_000 / spec.rate_pps;
        generator.append_record(&mut buffer, time_us);
        if buffer.len() >= BUFFER {
            out.write_all(&buffer)?;
            file_bytes += buffer.len() as u64;
            buffer.clear();
        }
    }
    out.write_all(&buffer)?;
    out.flush()?;
    file_bytes += buffer.len() as u64;
    Ok(Written {
        packets: spec.packets,
        flows: spec.flows,
        directions: generator.directions,
        file_bytes,
    })
}

impl Spec {
    /// Whether such a capture can be made.
    pub fn check(&self) -> Result<(), FramesError> {
        let fault = if self.flows == 0 || self.packets < u64::from(self.flows) {
            format!(
                "{} packets do not suffice for {} connections (at least one each)",
                self.packets, self.flows
            )
        } else if self.packets > u64::from(u32::MAX) {
            format!("more than {} packets in one file", u32::MAX)
        } else if self.rate_pps == 0 {
            "a rate of 0 packets per second".to_owned()
        } else if matches!(self.size, Size::Fixed(size) if !(MIN_SIZE..=MAX_SIZE).contains(&size)) {
            format!("frame sizes go from {MIN_SIZE} to {MAX_SIZE} bytes, or are 'mix'")
        } else if !(0.0..=1.0).contains(&self.ipv6_share) {
            "the share of IPv6 is a number from 0 to 1".to_owned()
        } else {
            return Ok(());
        };
        Err(FramesError::Spec(fault))
    }
}

/// A connection's progress; everything else about it follows from its number.
#[derive(Clone, Copy, Default)]
struct Progress {
    sent: u32,
    quota: u32,
    /// Sequence numbers used by the client and by the server, modulo 2^32.
    sequence: [u32; 2],
    /// Whether the server and the client have sent anything.
    seen: [bool; 2],
}

/// Numbers of connections that still have packets to send.
struct Pool {
    open: Vec<u32>,
    packets: u64,
}

struct Generator {
    random: Random,
    seed: u64,
    /// Connections below this bound of their hash use IPv6.
    ipv6_below: u64,
    size: Size,
    flows: Vec<Progress>,
    /// The one per cent with half of the packets, and the others.
    pools: [Pool; 2],
    payload: Vec<u8>,
    /// The checksum sum of the payload's first n bytes, by n.
    payload_sums: Vec<u32>,
    directions: u64,
}

impl Generator {
    fn new(spec: &Spec) -> Self {
        let heavy = (spec.flows / 100).max(1);
        let light = spec.flows - heavy;
        let heavy_packets = match light {
            0 => spec.packets,
            _ => (spec.packets / 2).clamp(u64::from(heavy), spec.packets - u64::from(light)),
        };
        let mut flows = vec![Progress::default(); spec.flows as usize];
        let (heavy_flows, light_flows) = flows.split_at_mut(heavy as usize);
        share_out(heavy_flows, heavy_packets);
        share_out(light_flows, spec.packets - heavy_packets);
        let pools = [
            Pool {
                open: (0..heavy).collect(),
                packets: heavy_packets,
            },
            Pool {
                open: (heavy..spec.flows).collect(),
                packets: spec.packets - heavy_packets,
            },
        ];
        let payload: Vec<u8> = b"t2gen synthetic payload "
            .iter()
            .copied()
            .cycle()
            .take(MAX_SIZE)
            .collect();
        let payload_sums = (0..=payload.len())
            .map(|len| packet::sum(&payload[..len]))
            .collect();
        let ipv6_below = (spec.ipv6_share * 65536.0) as u64;
        let random = Random(spec.seed);
        Self {
            random,
            seed: spec.seed,
            ipv6_below,
            size: spec.size,
            flows,
            pools,
            payload,
            payload_sums,
            directions: 0,
        }
    }

    fn append_record(&mut self, out: &mut Vec<u8>, time_us: u64) {
        let number = self.next_flow();
        let start = out.len();
        out.extend_from_slice(&[0; packet::RECORD_HEADER]);
        self.append_frame(out, number);
        let header = packet::record_header(time_us, out.len() - start - packet::RECORD_HEADER);
        out[start..start + packet::RECORD_HEADER].copy_from_slice(&header);
    }

    /// Draws a connection: from each pool in proportion to the packets it still has to send, within it evenly.
    fn next_flow(&mut self) -> u32 {
        let [heavy, light] = &mut self.pools;
        let pick = self.random.below(heavy.packets + light.packets);
        let pool = if pick < heavy.packets { heavy } else { light };
        pool.packets -= 1;
        let place = self.random.below(pool.open.len() as u64) as usize;
        let number = pool.open[place];
        let flow = &self.flows[number as usize];
        if flow.sent + 1 == flow.quota {
            pool.open.swap_remove(place);
        }
        number
    }

    fn append_frame(&mut self, out: &mut Vec<u8>, number: u32) {
        let traits = Traits::of(number, self.seed, self.ipv6_below);
        let flow = &self.flows[number as usize];
        let step = if traits.tcp {
            tcp_step(flow.sent, flow.quota)
        } else {
            udp_step(flow.sent)
        };
        let (from_client, flags, data) = match step {
            Step::Control { from_client, flags } => (from_client, flags, false),
            Step::Data => (self.random.below(2) == 0, PSH | ACK, true),
            Step::Request => (true, 0, true),
        };
        let wanted = self.frame_size(data);
        let payload = if data {
            &self.payload[..wanted.saturating_sub(traits.headers())]
        } else {
            &[]
        };
        let payload_sum = self.payload_sums[payload.len()];
        let flow = &mut self.flows[number as usize];
        let transport = match traits.tcp {
            true => flow.segment(traits.isn, from_client, flags, payload.len()),
            false => Transport::Udp,
        };
        self.directions += flow.count(from_client);
        let (from, to) = if from_client {
            (&traits.client, &traits.server)
        } else {
            (&traits.server, &traits.client)
        };
        let ip_id = flow.sent as u16;
        let start = out.len();
        packet::append_frame(
            out,
            &Packet {
                from,
                to,
                ttl: 64,
                ip_id,
                transport,
                payload,
                payload_sum,
            },
        );
        out.resize(out.len().max(start + wanted), 0);
    }

    /// The size a frame should have: data as asked for, others as short as frames get.
    fn frame_size(&mut self, data: bool) -> usize {
        match (self.size, data) {
            (Size::Fixed(size), true) => size,
            (Size::Fixed(size), false) => size.min(CONTROL_SIZE),
            (Size::Mix, false) => MIN_SIZE,
            (Size::Mix, true) => match self.random.below(12) {
                0..7 => MIN_SIZE,
                7..11 => packet::ETHERNET + 576,
                _ => packet::ETHERNET + 1500,
            },
        }
    }
}

impl Progress {
    /// The TCP header of the next segment; counts its sequence numbers.
    fn segment(
        &mut self,
        isn: u32,
        from_client: bool,
        flags: u8,
        payload: usize,
    ) -> Transport<'static> {
        let (own, other) = if from_client { (0, 1) } else { (1, 0) };
        let isns = [isn, !isn];
        // SYN and FIN take a number each (RFC 9293, section 3.4).
        let taken = payload as u32 + u32::from(flags & (SYN | FIN) != 0);
        let seq = isns[own].wrapping_add(self.sequence[own]);
        let ack = if flags & ACK == 0 {
            0
        } else {
            isns[other].wrapping_add(self.sequence[other])
        };
        self.sequence[own] = self.sequence[own].wrapping_add(taken);
        Transport::Tcp {
            seq,
            ack,
            flags,
            window: 65535,
            options: &[],
        }
    }

    /// Counts a frame; 1 if it is the first of its direction.
    fn count(&mut self, from_client: bool) -> u64 {
        self.sent += 1;
        let seen = &mut self.seen[usize::from(from_client)];
        u64::from(!std::mem::replace(seen, true))
    }
}

/// Gives every connection its share of the packets, the first ones one more where it does not divide.
fn share_out(flows: &mut [Progress], packets: u64) {
    let count = flows.len().max(1) as u64;
    let (each, rest) = (packets / count, packets % count);
    for (place, flow) in flows.iter_mut().enumerate() {
        flow.quota = (each + u64::from((place as u64) < rest)) as u32;
    }
}

/// What a connection does next.
enum Step {
    /// A TCP segment without payload.
    Control { from_client: bool, flags: u8 },
    /// Payload in either direction.
    Data,
    /// Payload from the client.
    Request,
}

/// Handshake, data, and, if there is room for it, the end: FIN, FIN, ACK.
fn tcp_step(sent: u32, quota: u32) -> Step {
    let closes = quota >= 8;
    match (sent, quota - sent) {
        (0, _) => Step::Control {
            from_client: true,
            flags: SYN,
        },
        (1, _) => Step::Control {
            from_client: false,
            flags: SYN | ACK,
        },
        (2, _) => Step::Control {
            from_client: true,
            flags: ACK,
        },
        (_, 3) if closes => Step::Control {
            from_client: true,
            flags: FIN | ACK,
        },
        (_, 2) if closes => Step::Control {
            from_client: false,
            flags: FIN | ACK,
        },
        (_, 1) if closes => Step::Control {
            from_client: true,
            flags: ACK,
        },
        _ => Step::Data,
    }
}

fn udp_step(sent: u32) -> Step {
    if sent == 0 { Step::Request } else { Step::Data }
}

/// What follows from a connection's number and the seed.
struct Traits {
    tcp: bool,
    ipv6: bool,
    client: Endpoint,
    server: Endpoint,
    /// The client's initial sequence number; the server's is its complement.
    isn: u32,
}

impl Traits {
    /// Length of a frame without payload.
    fn headers(&self) -> usize {
        packet::ETHERNET + if self.ipv6 { 40 } else { 20 } + if self.tcp { 20 } else { 8 }
    }

    fn of(number: u32, seed: u64, ipv6_below: u64) -> Self {
        let hash = mix(seed ^ mix(u64::from(number) + 1));
        let ipv6 = hash & 0xffff < ipv6_below;
        let tcp = hash >> 16 & 0xf < 12;
        let (client, server) = (number / FLOWS_PER_CLIENT, (hash >> 20 & 0xfff) as u32 + 1);
        let (client_ip, server_ip) = if ipv6 {
            let address = |net, host| {
                IpAddr::V6(Ipv6Addr::new(
                    0x2001,
                    0xdb8,
                    net,
                    0,
                    0,
                    0,
                    (host >> 16) as u16,
                    host as u16,
                ))
            };
            (address(1, client + 1), address(2, server))
        } else {
            // 10/8 and the benchmarking net 198.18/15 (RFC 2544).
            let address = |net: [u8; 4], host| {
                IpAddr::V4(Ipv4Addr::from_bits(u32::from_be_bytes(net) + host))
            };
            (
                address([10, 0, 0, 1], client),
                address([198, 18, 0, 0], server),
            )
        };
        // Each connection of a client has its own range of a thousand ports.
        let client_port =
            32768 + ((number % FLOWS_PER_CLIENT) << 10 | (hash >> 32 & 0x3ff) as u32) as u16;
        let choice = (hash >> 42) as usize;
        let server_port = if tcp {
            TCP_PORTS[choice % TCP_PORTS.len()]
        } else {
            UDP_PORTS[choice % UDP_PORTS.len()]
        };
        let [.., c1, c2, c3] = client.to_be_bytes();
        Self {
            tcp,
            ipv6,
            client: Endpoint {
                mac: [2, 0, 0, c1, c2, c3],
                ip: client_ip,
                port: client_port,
            },
            server: Endpoint {
                mac: [2, 1, 0, 0, 0, 1],
                ip: server_ip,
                port: server_port,
            },
            isn: mix(hash) as u32,
        }
    }
}
