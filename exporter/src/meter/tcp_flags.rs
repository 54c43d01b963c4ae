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

/// The four bits by which combinations are told apart.
const TOLD_BY: u8 = bit::ACK | bit::RST | bit::SYN | bit::FIN;

/// Combinations of them, and their marks.
const COMBINATIONS: [(u8, u16); 6] = [
    (bit::FIN | bit::ACK, 0x0100),
    (bit::SYN | bit::ACK, 0x0200),
    (bit::RST | bit::ACK, 0x0400),
    (bit::SYN | bit::FIN, 0x1000),
    (bit::SYN | bit::FIN | bit::RST, 0x2000),
    (bit::RST | bit::FIN, 0x4000),
];

/// The six bits of RFC 793, of which none is set, or these three and no other.
const OLD_BITS: u8 = 0x3f;
const XMAS: u8 = bit::FIN | bit::PSH | bit::URG;
const NULL_MARK: u16 = 0x0800;
const XMAS_MARK: u16 = 0x8000;

/// The marks by flag octet.
static MARKS: [u16; 256] = marks();

const fn marks() -> [u16; 256] {
    let mut table = [0; 256];
    let mut flags = 0;
    while flags < table.len() {
        let octet = flags as u8;
        table[flags] = flags as u16;
        let mut combination = 0;
        while combination < COMBINATIONS.len() {
            let (set, mark) = COMBINATIONS[combination];
            if octet & TOLD_BY == set {
                table[flags] |= mark;
            }
            combination += 1;
        }
        table[flags] |= match octet & OLD_BITS {
            0 => NULL_MARK,
            XMAS => XMAS_MARK,
            _ => 0,
        };
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

/// Whether no flag is set, or those that light a packet like a Christmas tree.
pub(super) fn is_null_or_xmas(flags: u8) -> bool {
    marked(flags) & (NULL_MARK | XMAS_MARK) != 0
}

/// The bits of Tranalyzer's `tcpAnomaly`.
pub mod anomaly {
    /// A SYN came again.
    pub const SYN_RETRY: u16 = 0x0001;
    /// Sent again after a time-out.
    pub const RETRANSMISSION: u16 = 0x0002;
    /// Sent again after duplicate acknowledgments.
    pub const FAST_RETRANSMISSION: u16 = 0x0004;
    /// Acknowledged again.
    pub const DUPLICATE_ACK: u16 = 0x0008;
    /// Keep-alive.
    pub const KEEP_ALIVE: u16 = 0x0010;
    /// Answer to a keep-alive.
    pub const KEEP_ALIVE_ACK: u16 = 0x0020;
    /// Sequence number lower than one before.
    pub const OUT_OF_ORDER: u16 = 0x0040;
    /// Sequence number that was acknowledged already.
    pub const SEQUENCE_MESS: u16 = 0x0080;
    /// Acknowledges what was not seen.
    pub const ACK_UNSEEN: u16 = 0x0100;
    /// Something before it was not captured.
    pub const NOT_CAPTURED: u16 = 0x0200;
    /// Few packets with flags that a scan has.
    pub const SCAN: u16 = 0x1000;
    /// The scan was answered.
    pub const SCAN_ANSWERED: u16 = 0x2000;
    /// A SYN with layer 7 octets, or with a header that goes on in the next fragment.
    pub const SYN_WITH_DATA: u16 = 0x4000;

    /// The bits that a packet of a scan does not get.
    pub(in crate::meter) const OF_NUMBERS: u16 = 0x003f;
}

#[cfg(test)]
mod tests {
    use super::{is_null_or_xmas, marked};

    #[test]
    fn null_and_xmas_are_told_by_six_bits() {
        assert!(is_null_or_xmas(0x00) && is_null_or_xmas(0xc0) && is_null_or_xmas(0x29));
        assert!(!is_null_or_xmas(0x01) && !is_null_or_xmas(0x2b) && !is_null_or_xmas(0x10));
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
            (0x15, 0x0015),
            (0xff, 0x00ff),
        ];
        for (flags, expected) in cases {
            assert_eq!(marked(flags), expected, "{flags:#04x}");
        }
    }
}
