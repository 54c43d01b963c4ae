//! Filters in libpcap's language (pcap-filter(7)): libpcap compiles them, for each link type on its own; the programs run
//! here, because libpcap's own way has no place for the length of a packet that was cut when it was captured.

#[cfg(feature = "live")]
use pcap::{Capture, Linktype};

use super::{Frame, LinkType};

/// A filter that cannot be compiled for a link type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the filter '{expression}' cannot be used on link type {link}: {message}")]
pub struct FilterError {
    expression: String,
    link: LinkType,
    /// What libpcap says.
    message: String,
}

/// Which frames are wanted.
#[derive(Debug)]
pub struct Filter {
    expression: String,
    programs: Vec<(LinkType, Option<Program>)>,
    /// The first link type that the filter cannot be compiled for.
    failed: Option<FilterError>,
}

impl Filter {
    /// A filter that is compiled when the first frame comes. Empty, it wants everything.
    #[must_use]
    pub fn new(expression: &str) -> Self {
        Filter {
            expression: expression.trim().to_owned(),
            programs: Vec::new(),
            failed: None,
        }
    }

    /// As the user wrote it.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Compiles it for a link type.
    ///
    /// # Errors
    /// What libpcap says about the expression.
    pub fn prepare(&mut self, link: LinkType) -> Result<(), FilterError> {
        if self.programs.iter().any(|(known, _)| *known == link) {
            return Ok(());
        }
        match Program::compile(&self.expression, link) {
            Ok(program) => {
                self.programs.push((link, Some(program)));
                Ok(())
            }
            Err(message) => {
                let error = FilterError {
                    expression: self.expression.clone(),
                    link,
                    message,
                };
                self.programs.push((link, None));
                self.failed.get_or_insert_with(|| error.clone());
                Err(error)
            }
        }
    }

    /// Whether a frame is wanted. No frame is whose link type the filter cannot be compiled for.
    #[inline]
    pub fn wants(&mut self, frame: &Frame<'_>) -> bool {
        let of_link = |(link, _): &&(LinkType, Option<Program>)| *link == frame.link;
        if self.programs.iter().find(of_link).is_none() {
            // Kept for `failed`.
            let _ = self.prepare(frame.link);
        }
        match self.programs.iter().find(of_link) {
            Some((_, Some(program))) => program.run(frame.captured, frame.original_len) > 0,
            _ => false,
        }
    }

    /// The first link type among the frames that the filter could not be compiled for.
    #[must_use]
    pub fn failed(&self) -> Option<&FilterError> {
        self.failed.as_ref()
    }
}

/// One instruction of the BSD packet filter (McCanne and Jacobson 1993; bpf(4)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Instruction {
    code: u16,
    /// Instructions to leave out when the condition is true, and when not.
    jumps: [u8; 2],
    k: u32,
}

/// A compiled filter.
#[derive(PartialEq, Eq, Debug)]
struct Program(Vec<Instruction>);

/// The parts of an operation code.
mod code {
    pub const CLASS: u16 = 0x07;
    pub const SIZE: u16 = 0x18;
    pub const MODE: u16 = 0xe0;
    pub const OPERATION: u16 = 0xf0;
    /// The operand is X, not the constant.
    pub const X: u16 = 0x08;
    /// Return the accumulator, not the constant.
    pub const RETURN_A: u16 = 0x10;
    /// Copy X to the accumulator, not the other way round.
    pub const TO_A: u16 = 0x80;

    pub const LOAD: u16 = 0;
    pub const LOAD_X: u16 = 1;
    pub const STORE: u16 = 2;
    pub const STORE_X: u16 = 3;
    pub const ARITHMETIC: u16 = 4;
    pub const JUMP: u16 = 5;
    pub const RETURN: u16 = 6;

    pub const HALF: u16 = 0x08;
    pub const BYTE: u16 = 0x10;

    pub const IMMEDIATE: u16 = 0x00;
    pub const ABSOLUTE: u16 = 0x20;
    pub const INDEXED: u16 = 0x40;
    pub const MEMORY: u16 = 0x60;
    pub const LENGTH: u16 = 0x80;
    /// Four times the low half of an octet: the length of an IPv4 header.
    pub const HEADER: u16 = 0xa0;
}

impl Program {
    #[cfg(not(feature = "live"))]
    fn compile(_: &str, _: LinkType) -> Result<Self, String> {
        Err("this program was built without libpcap (cargo feature live)".to_owned())
    }

    #[cfg(feature = "live")]
    fn compile(expression: &str, link: LinkType) -> Result<Self, String> {
        let said = |error| match error {
            pcap::Error::PcapError(message) => message,
            error => error.to_string(),
        };
        let dead = Capture::dead(Linktype(dlt(link))).map_err(said)?;
        let program = dead.compile(expression, true).map_err(said)?;
        // The fields are not public; they are printed in the order code, jump if true, if false, constant.
        let instruction = |printed: String| {
            let mut numbers = printed.split(' ').map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            let (code, yes, no, k) = (next()?, next()?, next()?, next()?);
            Some(Instruction {
                code: u16::try_from(code).ok()?,
                jumps: [u8::try_from(yes).ok()?, u8::try_from(no).ok()?],
                k,
            })
        };
        let instructions = program.get_instructions().iter();
        instructions
            .map(|printed| instruction(printed.to_string()))
            .collect::<Option<_>>()
            .map(Program)
            .ok_or_else(|| "the compiled filter cannot be read".to_owned())
    }

    /// Runs on a frame of `length` octets on the wire. Returns 0 when it is not wanted, or the program looks beyond what
    /// was captured. Jumps lead forward only, so it ends.
    fn run(&self, data: &[u8], length: u32) -> u32 {
        let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
        let mut instructions = self.0.iter();
        while let Some(&Instruction { code, jumps, k }) = instructions.next() {
            match code & code::CLASS {
                class @ (code::LOAD | code::LOAD_X) => {
                    let value = match code & code::MODE {
                        code::IMMEDIATE => Some(k),
                        code::ABSOLUTE => load(data, k, code & code::SIZE),
                        code::INDEXED => x
                            .checked_add(k)
                            .and_then(|at| load(data, at, code & code::SIZE)),
                        code::MEMORY => memory.get(k as usize).copied(),
                        code::LENGTH => Some(length),
                        code::HEADER => load(data, k, code::BYTE).map(|octet| (octet & 0x0f) * 4),
                        _ => None,
                    };
                    let Some(value) = value else { return 0 };
                    *(if class == code::LOAD { &mut a } else { &mut x }) = value;
                }
                class @ (code::STORE | code::STORE_X) => {
                    let Some(slot) = memory.get_mut(k as usize) else {
                        return 0;
                    };
                    *slot = if class == code::STORE { a } else { x };
                }
                code::ARITHMETIC => {
                    let operand = if code & code::X == 0 { k } else { x };
                    let Some(value) = calculate(code & code::OPERATION, a, operand) else {
                        return 0;
                    };
                    a = value;
                }
                code::JUMP => {
                    let operand = if code & code::X == 0 { k } else { x };
                    let skip = match code & code::OPERATION {
                        0x00 => k as usize,
                        operation => {
                            let [yes, no] = jumps;
                            let holds = match operation {
                                0x10 => a == operand,
                                0x20 => a > operand,
                                0x30 => a >= operand,
                                _ => a & operand != 0,
                            };
                            usize::from(if holds { yes } else { no })
                        }
                    };
                    if skip > 0 && instructions.nth(skip - 1).is_none() {
                        return 0;
                    }
                }
                code::RETURN => return if code & code::RETURN_A == 0 { k } else { a },
                _ if code & code::TO_A == 0 => x = a,
                _ => a = x,
            }
        }
        0
    }
}

/// A number of network byte order in the frame.
#[inline]
fn load(data: &[u8], at: u32, size: u16) -> Option<u32> {
    let rest = data.get(at as usize..)?;
    match size {
        code::BYTE => rest.first().map(|octet| u32::from(*octet)),
        code::HALF => rest
            .first_chunk()
            .map(|octets| u16::from_be_bytes(*octets).into()),
        _ => rest.first_chunk().map(|octets| u32::from_be_bytes(*octets)),
    }
}

/// `None` for a division by zero.
fn calculate(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.checked_shl(operand).unwrap_or(0),
        0x70 => a.checked_shr(operand).unwrap_or(0),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(operand)?,
        _ => a ^ operand,
    })
}

/// libpcap's number for a link type on this platform: that of the file but for these.
#[cfg(feature = "live")]
fn dlt(link: LinkType) -> i32 {
    match link.0 {
        100 => 11,
        101 => 12,
        number => number.into(),
    }
}

#[cfg(all(test, feature = "live"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn frame(captured: &[u8], original_len: u32, link: LinkType) -> Frame<'_> {
        Frame {
            ts_ns: 0,
            captured,
            original_len,
            link,
        }
    }

    /// TCP from 10.0.0.1:4000 to 10.0.0.2:80 in an Ethernet frame.
    fn tcp() -> Vec<u8> {
        let mut octets = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(4000, 80, 7, 100)
            .write(&mut octets, b"hello")
            .unwrap();
        octets
    }

    const EXPRESSIONS: [&str; 14] = [
        "",
        "tcp",
        "udp or icmp6",
        "tcp port 80",
        "src host 10.0.0.1 and not dst net 10.0.0.0/30",
        "dst net 10.0.0.0/30",
        "ip[8] > 63 and ip[2:2] - 40 = 5",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "ip6 and ip6[6] = 17",
        "vlan and ip",
        "ip[6:2] & 0x1fff = 0 and (tcp[12] >> 4) * 4 / 2 % 3 = 1",
        "portrange 79-81 and len <= 100",
        "greater 60",
        "ether[len - 1] = 0x6f",
    ];

    #[test]
    fn frames_by_hand() {
        let octets = tcp();
        let wants = |expression: &str| {
            let mut filter = Filter::new(expression);
            filter.wants(&frame(&octets, octets.len() as u32, LinkType::ETHERNET))
        };
        for yes in [
            "",
            "tcp",
            "port 80",
            "src port 4000",
            "net 10",
            "ip[8] = 64",
            "len = 59",
        ] {
            assert!(wants(yes), "{yes}");
        }
        for no in [
            "udp",
            "port 81",
            "src port 80",
            "ip6",
            "vlan",
            "len > 59",
            "tcp[4000] = 1",
        ] {
            assert!(!wants(no), "{no}");
        }
    }

    #[test]
    fn lengths_are_those_on_the_wire() {
        let octets = tcp();
        let cut = frame(&octets[..54], 1500, LinkType::ETHERNET);
        assert!(Filter::new("len = 1500 and tcp port 80").wants(&cut));
        assert!(!Filter::new("less 100").wants(&cut));
        // What was not captured is not known.
        assert!(!Filter::new("ether[58] = 0x6f").wants(&cut));
    }

    #[test]
    fn every_link_type_has_its_own_program() {
        let octets = tcp();
        let mut filter = Filter::new("tcp port 80");
        assert!(filter.wants(&frame(&octets, 59, LinkType::ETHERNET)));
        assert!(filter.wants(&frame(&octets[14..], 45, LinkType::RAW)));
        assert!(filter.wants(&frame(&octets[14..], 45, LinkType::IPV4)));
        assert!(!filter.wants(&frame(&octets, 59, LinkType::RAW)));
        assert_eq!(filter.failed(), None);
        let mut ethernet_only = Filter::new("ether host 02:02:02:02:02:02");
        assert!(ethernet_only.wants(&frame(&octets, 59, LinkType::ETHERNET)));
        assert!(!ethernet_only.wants(&frame(&octets[14..], 45, LinkType::RAW)));
        assert_eq!(ethernet_only.failed().unwrap().link, LinkType::RAW);
    }

    #[test]
    fn libpcap_says_what_is_wrong() {
        let error = Filter::new("tcp prot 80").prepare(LinkType::ETHERNET);
        let text = error.unwrap_err().to_string();
        assert!(
            text.starts_with("the filter 'tcp prot 80' cannot be used on link type ETHERNET (1): ")
                && text.contains("syntax error"),
            "{text}"
        );
        assert!(Filter::new("host").prepare(LinkType::ETHERNET).is_err());
        assert!(Filter::new("tcp\0").prepare(LinkType::ETHERNET).is_err());
        assert!(Filter::new("tcp").prepare(LinkType(4711)).is_err());
    }

    proptest! {
        /// Whole frames, as they are and damaged: libpcap runs its programs alike.
        #[test]
        fn libpcap_decides_alike(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in 0..80_usize,
            which in 0..EXPRESSIONS.len(),
        ) {
            let mut octets = tcp();
            for (at, value) in damage {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            octets.truncate(octets.len().min(cut));
            let dead = Capture::dead(Linktype(1)).unwrap();
            let theirs = dead.compile(EXPRESSIONS[which], true).unwrap().filter(&octets);
            let whole = frame(&octets, octets.len() as u32, LinkType::ETHERNET);
            prop_assert_eq!(Filter::new(EXPRESSIONS[which]).wants(&whole), theirs);
        }

        #[test]
        fn random_programs_end(
            program in proptest::collection::vec((any::<u16>(), any::<[u8; 2]>(), 0..70_u32), 0..50),
            data in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let instructions = program
                .into_iter()
                .map(|(code, jumps, k)| Instruction { code, jumps, k });
            Program(instructions.collect()).run(&data, 1500);
        }
    }
}
