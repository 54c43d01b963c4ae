//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng). Read are section header, interface
//! description, enhanced, simple and obsolete packet blocks; every other block is skipped.

use super::pcap::ByteOrder;
use super::{CaptureInfo, Fault, Format, Frame, LinkType, MAX_FRAME, Step, clamp_ns};

/// The block type of a section header: the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The longest block that is read as a whole. Longer blocks of types that are skipped do not matter.
pub(super) const MAX_BLOCK: u32 = 512 * 1024;

/// More interfaces than this in one section are taken as damage: they would cost memory.
const MAX_INTERFACES: usize = 65_536;

const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Reads blocks.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// The first interface of the file, kept when a new section begins.
    first: Option<(LinkType, u32)>,
    /// Time of the packet before, for simple packet blocks, which have none.
    last_ns: i64,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// How an interface's time stamps count.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Units in a second (`if_tsresol`).
    units: u64,
    /// Added to every time stamp, in seconds (`if_tsoffset`).
    offset_s: i64,
}

impl Clock {
    fn ns(self, stamp: u64) -> i64 {
        const NS: u64 = 1_000_000_000;
        let seconds = i128::from(stamp / self.units) + i128::from(self.offset_s);
        let rest = stamp % self.units;
        let rest = if self.units <= NS && NS.is_multiple_of(self.units) {
            rest * (NS / self.units)
        } else {
            // Below 10^9, as `rest` is below `units`.
            (u128::from(rest) * u128::from(NS) / u128::from(self.units)) as u64
        };
        clamp_ns(seconds * i128::from(NS) + i128::from(rest))
    }
}

impl Pcapng {
    pub(super) fn info(&self) -> CaptureInfo {
        let (link, snaplen) = self
            .first
            .map_or((None, 0), |(link, snaplen)| (Some(link), snaplen));
        CaptureInfo {
            format: Format::Pcapng,
            link,
            snaplen,
        }
    }

    /// The block at the head of `data`, which starts at `offset` in the file.
    #[inline]
    pub(super) fn step<'a>(&mut self, data: &'a [u8], offset: u64) -> Step<'a> {
        let damaged = |what| Step::Damaged(Box::new(Fault::Block { offset, what }));
        let Some((head, _)) = data.split_first_chunk::<12>() else {
            return Step::Need(12, "block");
        };
        let section = head.starts_with(&SECTION);
        if section {
            self.order = match ByteOrder::Little.u32(head, 8) {
                0x1a2b_3c4d => ByteOrder::Little,
                0x4d3c_2b1a => ByteOrder::Big,
                _ => return damaged("no byte-order magic"),
            };
        }
        let (kind, length) = (self.order.u32(head, 0), self.order.u32(head, 4));
        if length < 12 || !length.is_multiple_of(4) {
            return damaged("its length is below 12 or no multiple of 4");
        }
        if !section
            && !matches!(
                kind,
                INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            )
        {
            return Step::Skip(u64::from(length));
        }
        if length > MAX_BLOCK {
            let (length, limit) = (u64::from(length), u64::from(MAX_BLOCK));
            return Step::Damaged(Box::new(Fault::Length {
                what: "block",
                offset,
                length,
                limit,
            }));
        }
        let Some(block) = data.get(..length as usize) else {
            return Step::Need(
                length as usize,
                if kind == INTERFACE || section {
                    "block"
                } else {
                    "packet"
                },
            );
        };
        let end = block.len() - 4;
        if self.order.u32(block, end) != length {
            return damaged("its two lengths differ");
        }
        let body = block.get(8..end).unwrap_or_default();
        let result = match kind {
            _ if section => self.section(body),
            INTERFACE => self.interface(body),
            _ => match self.packet(kind, body) {
                Ok(frame) if frame.captured.len() > MAX_FRAME as usize => {
                    let (length, limit) = (frame.captured.len() as u64, u64::from(MAX_FRAME));
                    return Step::Damaged(Box::new(Fault::Length {
                        what: "packet",
                        offset,
                        length,
                        limit,
                    }));
                }
                Ok(frame) => return Step::Frame(frame, length as usize),
                Err(what) => Err(Malformed::What(what)),
            },
        };
        match result {
            Ok(()) => Step::Skip(u64::from(length)),
            Err(Malformed::What(what)) => damaged(what),
            Err(Malformed::Version(major, minor)) => Step::Damaged(Box::new(Fault::Version {
                format: "pcapng",
                major,
                minor,
            })),
        }
    }

    fn section(&mut self, body: &[u8]) -> Result<(), Malformed> {
        if body.len() < 16 {
            return Err(Malformed::What("the section header is too short"));
        }
        let (major, minor) = (self.order.u16(body, 4), self.order.u16(body, 6));
        // 1.2 is written by some programs and is the same as 1.0.
        if major != 1 {
            return Err(Malformed::Version(major, minor));
        }
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let Some((head, options)) = body.split_first_chunk::<8>() else {
            return Err(Malformed::What("the interface description is too short"));
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Malformed::What(
                "the section has more than 65536 interfaces",
            ));
        }
        let interface = Interface {
            link: LinkType::in_file(self.order.u16(head, 0)),
            snaplen: self.order.u32(head, 4),
            clock: self.clock(options).map_err(Malformed::What)?,
        };
        self.first
            .get_or_insert((interface.link, interface.snaplen));
        self.interfaces.push(interface);
        Ok(())
    }

    /// `if_tsresol` (9) and `if_tsoffset` (14) among the options of an interface.
    fn clock(&self, mut options: &[u8]) -> Result<Clock, &'static str> {
        let mut clock = Clock {
            units: 1_000_000,
            offset_s: 0,
        };
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let (code, length) = (
                self.order.u16(head, 0),
                usize::from(self.order.u16(head, 2)),
            );
            let Some(value) = rest.get(..length) else {
                return Err("an option is longer than the block");
            };
            match (code, value) {
                (0, _) => break,
                (9, &[resolution]) => {
                    clock.units = units(resolution).ok_or("if_tsresol is out of range")?;
                }
                (14, value) if value.len() == 8 => {
                    let (low, high) = match self.order {
                        ByteOrder::Little => (0, 4),
                        ByteOrder::Big => (4, 0),
                    };
                    let high = u64::from(self.order.u32(value, high)) << 32;
                    clock.offset_s = (high | u64::from(self.order.u32(value, low))).cast_signed();
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(clock)
    }

    #[inline]
    fn packet<'a>(&mut self, kind: u32, body: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        const SHORT: &str = "the packet block is too short";
        if kind == SIMPLE_PACKET {
            let (head, data) = body.split_first_chunk::<4>().ok_or(SHORT)?;
            let original_len = self.order.u32(head, 0);
            let interface = self.interfaces.first().ok_or(NO_INTERFACE)?;
            let kept = match interface.snaplen {
                0 => original_len,
                snaplen => original_len.min(snaplen),
            };
            let captured = data.get(..kept as usize).ok_or(LONGER)?;
            let (ts_ns, link) = (self.last_ns, interface.link);
            return Ok(Frame {
                ts_ns,
                captured,
                original_len,
                link,
            });
        }
        let (head, data) = body.split_first_chunk::<20>().ok_or(SHORT)?;
        // The obsolete block has a 16-bit interface number, then a count of drops.
        let id = match kind {
            ENHANCED_PACKET => self.order.u32(head, 0),
            _ => u32::from(self.order.u16(head, 0)),
        };
        let interface = self.interfaces.get(id as usize).ok_or(NO_INTERFACE)?;
        let stamp = u64::from(self.order.u32(head, 4)) << 32 | u64::from(self.order.u32(head, 8));
        let length = self.order.u32(head, 12) as usize;
        let captured = data.get(..length).ok_or(LONGER)?;
        let frame = Frame {
            ts_ns: interface.clock.ns(stamp),
            captured,
            original_len: self.order.u32(head, 16),
            link: interface.link,
        };
        self.last_ns = frame.ts_ns;
        Ok(frame)
    }
}

enum Malformed {
    What(&'static str),
    Version(u16, u16),
}

const NO_INTERFACE: &str = "its interface was not described";
const LONGER: &str = "the packet is longer than its block";

/// Units in a second by `if_tsresol`: a power of 10, or of 2 where the highest bit is set.
fn units(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent)
}
