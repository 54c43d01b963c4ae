//! Bytes of captures and packets: classic pcap records, Ethernet II, IPv4 and IPv6, TCP and UDP with valid checksums.
//! Knows nothing of connections: sequence numbers, times and payloads are given.

use std::net::IpAddr;

/// Length of a classic pcap file header and of a record header, in bytes.
pub const FILE_HEADER: usize = 24;
/// Length of a classic pcap record header, in bytes.
pub const RECORD_HEADER: usize = 16;
/// Length of an Ethernet II header, in bytes.
pub const ETHERNET: usize = 14;

/// TCP flag FIN (RFC 9293).
pub const FIN: u8 = 0x01;
/// TCP flag SYN.
pub const SYN: u8 = 0x02;
/// TCP flag RST.
pub const RST: u8 = 0x04;
/// TCP flag PSH.
pub const PSH: u8 = 0x08;
/// TCP flag ACK.
pub const ACK: u8 = 0x10;

/// The header of a classic pcap file: little endian, microseconds, snap length 262,144, Ethernet.
pub fn file_header() -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    let words: [u32; 6] = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1];
    for (bytes, word) in header.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    header
}

/// The header of a pcap record at `time_us` microseconds since the Unix epoch, captured in full.
pub fn record_header(time_us: u64, length: usize) -> [u8; RECORD_HEADER] {
    let length = length as u32;
    let words = [
        (time_us / 1_000_000) as u32,
        (time_us % 1_000_000) as u32,
        length,
        length,
    ];
    let mut header = [0; RECORD_HEADER];
    for (bytes, word) in header.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    header
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Ethernet address.
    pub mac: [u8; 6],
    /// Internet address; both ends of a connection have the same family.
    pub ip: IpAddr,
    /// TCP or UDP port.
    pub port: u16,
}

/// The transport header of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// TCP (RFC 9293).
    Tcp {
        /// Sequence number.
        seq: u32,
        /// Acknowledgment number.
        ack: u32,
        /// Flags, see [`SYN`] and its neighbours.
        flags: u8,
        /// Receive window.
        window: u16,
        /// Options, padded to a multiple of 4 bytes.
        options: &'a [u8],
    },
    /// UDP (RFC 768).
    Udp,
}

impl Transport<'_> {
    /// Length of the transport header in bytes.
    pub fn header_len(&self) -> usize {
        match self {
            Transport::Tcp { options, .. } => 20 + options.len(),
            Transport::Udp => 8,
        }
    }
}

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Sender.
    pub from: &'a Endpoint,
    /// Receiver.
    pub to: &'a Endpoint,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// IPv4 identification; unused with IPv6.
    pub ip_id: u16,
    /// Transport header.
    pub transport: Transport<'a>,
    /// Payload.
    pub payload: &'a [u8],
    /// The payload's [`sum`], which a caller with fixed payloads knows beforehand.
    pub payload_sum: u32,
}

/// Appends an Ethernet frame without padding or trailer: IPv4 with DF and ToS 0, or IPv6.
pub fn append_frame(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let l4_len = packet.transport.header_len() + packet.payload.len();
    out.extend_from_slice(&packet.to.mac);
    out.extend_from_slice(&packet.from.mac);
    let protocol = match packet.transport {
        Transport::Tcp { .. } => 6,
        Transport::Udp => 17,
    };
    let addresses = match (packet.from.ip, packet.to.ip) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            append_ipv4(out, packet, protocol, from.octets(), to.octets(), l4_len)
        }
        (from, to) => append_ipv6(out, packet, protocol, octets16(from), octets16(to), l4_len),
    };
    // The pseudo header: addresses, protocol, length.
    let pseudo = addresses + protocol + l4_len as u32 + packet.payload_sum;
    append_transport(out, packet, pseudo);
    out.extend_from_slice(packet.payload);
}

fn append_ipv4(
    out: &mut Vec<u8>,
    packet: &Packet<'_>,
    protocol: u32,
    from: [u8; 4],
    to: [u8; 4],
    l4_len: usize,
) -> u32 {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((20 + l4_len) as u16).to_be_bytes());
    header[4..6].copy_from_slice(&packet.ip_id.to_be_bytes());
    header[6] = 0x40;
    header[8] = packet.ttl;
    header[9] = protocol as u8;
    header[12..16].copy_from_slice(&from);
    header[16..20].copy_from_slice(&to);
    let checksum = fold(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&[0x08, 0x00]);
    out.extend_from_slice(&header);
    sum(&from) + sum(&to)
}

fn append_ipv6(
    out: &mut Vec<u8>,
    packet: &Packet<'_>,
    protocol: u32,
    from: [u8; 16],
    to: [u8; 16],
    l4_len: usize,
) -> u32 {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(l4_len as u16).to_be_bytes());
    header[6] = protocol as u8;
    header[7] = packet.ttl;
    header[8..24].copy_from_slice(&from);
    header[24..40].copy_from_slice(&to);
    out.extend_from_slice(&[0x86, 0xdd]);
    out.extend_from_slice(&header);
    sum(&from) + sum(&to)
}

fn octets16(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn append_transport(out: &mut Vec<u8>, packet: &Packet<'_>, pseudo: u32) {
    let start = out.len();
    out.extend_from_slice(&packet.from.port.to_be_bytes());
    out.extend_from_slice(&packet.to.port.to_be_bytes());
    let checksum_at = match packet.transport {
        Transport::Tcp {
            seq,
            ack,
            flags,
            window,
            options,
        } => {
            out.extend_from_slice(&seq.to_be_bytes());
            out.extend_from_slice(&ack.to_be_bytes());
            // Header length in 32-bit words, in the upper half of the byte.
            out.push(((20 + options.len()) << 2) as u8);
            out.push(flags);
            out.extend_from_slice(&window.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(options);
            start + 16
        }
        Transport::Udp => {
            out.extend_from_slice(&((8 + packet.payload.len()) as u16).to_be_bytes());
            out.extend_from_slice(&[0; 2]);
            start + 6
        }
    };
    let checksum = match (fold(sum(&out[start..]) + pseudo), packet.transport) {
        // In UDP zero means "no checksum" (RFC 768).
        (0, Transport::Udp) => 0xffff,
        (checksum, _) => checksum,
    };
    out[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum of 16-bit big-endian words (RFC 1071), not yet folded; an odd last byte counts as a word's high byte.
/// Wide enough for 64 KiB.
pub fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    let last = words
        .remainder()
        .first()
        .map_or(0, |byte| u32::from(*byte) << 8);
    words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum::<u32>()
        + last
}

/// Folds a [`sum`] to the 16-bit Internet checksum.
fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The frame check sequence of Ethernet (IEEE 802.3, CRC-32), in the order in which its bytes follow a frame.
pub fn frame_check_sequence(frame: &[u8]) -> [u8; 4] {
    const TABLE: [u32; 256] = crc_table();
    let crc = frame.iter().fold(u32::MAX, |crc, byte| {
        crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize]
    });
    (!crc).to_le_bytes()
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_checksum_of_rfc_1071() {
        // The example of RFC 1071, section 3.
        assert_eq!(
            fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])),
            !0xddf2
        );
        assert_eq!(sum(&[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
    }

    #[test]
    fn crc_32_check_value() {
        // The check value every catalogue of CRCs gives for "123456789".
        assert_eq!(
            frame_check_sequence(b"123456789"),
            0xcbf4_3926_u32.to_le_bytes()
        );
    }

    #[test]
    fn headers_verify() {
        let end = |ip: &str, port| Endpoint {
            mac: [2, 0, 0, 0, 0, 1],
            ip: ip.parse().expect("address"),
            port,
        };
        let payload = b"odd";
        for (from, to, ip_len) in [
            ("10.0.0.1", "10.0.0.2", 20),
            ("2001:db8::1", "2001:db8::2", 40),
        ] {
            let mut frame = Vec::new();
            let (from, to) = (end(from, 1), end(to, 2));
            let transport = Transport::Udp;
            let packet = Packet {
                from: &from,
                to: &to,
                ttl: 64,
                ip_id: 7,
                transport,
                payload,
                payload_sum: sum(payload),
            };
            append_frame(&mut frame, &packet);
            assert_eq!(frame.len(), ETHERNET + ip_len + 8 + 3);
            let ip = &frame[ETHERNET..ETHERNET + ip_len];
            let l4 = &frame[ETHERNET + ip_len..];
            if ip_len == 20 {
                assert_eq!(fold(sum(ip)), 0, "a header with its checksum sums to zero");
            }
            let addresses = if ip_len == 20 { &ip[12..] } else { &ip[8..] };
            assert_eq!(fold(sum(addresses) + 17 + 11 + sum(l4)), 0);
        }
    }
}
