//! TCP flag bits and the combinations that Tranalyzer's tcpFlags marks above them.

/// Flag bits of a header (RFC 9293, section 3.1).
pub(super) mod bit {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// A combination: these bits set, those bits not, and the mark for it.
const COMBINATIONS: [(u8, u8, u16); 8] = [
    (bit::FIN | bit::ACK, 0, 0x0100),
    (bit::SYN | bit::ACK, 0, 0x0200),
    (bit::RST | bit::ACK, 0, 0x0400),
    (0, 0xff, 0x0800),
    (bit::SYN | bit::FIN, bit::RST, 0x1000),
    (bit::SYN | bit::FIN | bit::RST, 0, 0x2000),
    (bit::RST | bit::FIN, bit::SYN, 0x4000),
    (bit::FIN | bit::PSH | bit::URG, 0, 0x8000),
];

/// The marks by flag octet.
static MARKS: [u16; 256] = marks();

const fn marks() -> [u16; 256] {
    let mut table = [0; 256];
    let mut flags = 0;
    while flags < table.len() {
        let mut combination = 0;
        table[flags] = flags as u16;
        while combination < COMBINATIONS.len() {
            let (set, clear, mark) = COMBINATIONS[combination];
            if flags as u8 & set == set && flags as u8 & clear == 0 {
                table[flags] |= mark;
            }
            combination += 1;
        }
        flags += 1;
    }
    table
}

/// The flag octet of a packet with the marks of its combinations in the upper eight bits.
pub(super) fn marked(flags: u8) -> u16 {
    MARKS
        .get(usize::from(flags))
        .copied()
        .unwrap_or(u16::from(flags))
}

/// The bits of tcpAnomaly that are found so far (sequence and acknowledgment analysis has those between).
pub mod anomaly {
    /// A SYN was sent again before any answer.
    pub const SYN_RETRY: u16 = 0x0001;
    /// Few packets with flags that a scan has.
    pub const SCAN: u16 = 0x1000;
    /// The scan was answered.
    pub const SCAN_ANSWERED: u16 = 0x2000;
    /// The TCP header is longer than what is there.
    pub const HEADER_CUT: u16 = 0x4000;
}

/// From this number of packets on, a flow is no scan.
const SCAN_PACKETS: u64 = 4;

/// Whether a flow of `packets` with these flags (marks included) looks like a scan.
pub(super) fn is_scan(packets: u64, flags: u16) -> bool {
    const OPENS_OR_CLOSES: u16 = (bit::SYN | bit::FIN) as u16;
    const NULL_OR_XMAS: u16 = 0x8800;
    (1..SCAN_PACKETS).contains(&packets) && flags & (OPENS_OR_CLOSES | NULL_OR_XMAS) != 0
}

#[cfg(test)]
mod tests {
    use super::{is_scan, marked};

    #[test]
    fn scans_are_short_and_open_or_close() {
        assert!(is_scan(1, 0x0002) && is_scan(3, 0x0111) && is_scan(1, 0x0800));
        assert!(!is_scan(4, 0x0002) && !is_scan(1, 0x0414) && !is_scan(2, 0x0018));
        assert!(!is_scan(0, 0x0800));
    }

    #[test]
    fn combinations_have_their_marks() {
        let cases = [
            (0x00, 0x0800),
            (0x02, 0x0002),
            (0x12, 0x0212),
            (0x11, 0x0111),
            (0x14, 0x0414),
            (0x29, 0x8029),
            (0x03, 0x1003),
            (0x07, 0x2007),
            (0x05, 0x4005),
            (0xff, 0xa7ff),
        ];
        for (flags, expected) in cases {
            assert_eq!(marked(flags), expected, "{flags:#04x}");
        }
    }
}
