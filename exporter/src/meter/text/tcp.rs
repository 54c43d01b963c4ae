//! TCP headers of a flow (Tranalyzer's tcpFlags): its parts in their order, and the scans.

use super::TextFeatures;
use super::round_trip::Phase;
use super::tcp_options::OptionFeatures;
use super::tcp_sequence::{Opposite, Segment, SequenceFeatures};
use super::tcp_window::WindowFeatures;
use crate::dissect::{Packet, TcpOptions};
use crate::meter::status;
pub(super) use crate::meter::tcp_flags::bit::{ACK, FIN, RST, SYN};
use crate::meter::tcp_flags::{anomaly, is_null_or_xmas};

/// The bits of Tranalyzer's `tcpFStat`.
pub mod mark {
    /// There was a packet to measure distances from.
    pub const DISTANCE: u16 = 0x0001;
    /// Timestamps have begun.
    pub const TIMESTAMPS: u16 = 0x0002;
    /// A timestamp is lower than one before.
    pub const TIMESTAMP_DECREASES: u16 = 0x0004;
    /// Options of a length that cannot be, or not captured.
    pub const OPTIONS_CORRUPT: u16 = 0x0008;
    /// There was a window.
    pub const WINDOW_SEEN: u16 = 0x0010;
    /// A packet that only changes the window.
    pub const WINDOW_UPDATE: u16 = 0x0020;
    /// A probe of a closed window.
    pub const PROBE: u16 = 0x0040;
    /// The answer to one.
    pub const PROBE_ACK: u16 = 0x0080;
    /// The window was closed.
    pub const WINDOW_CLOSED: u16 = 0x0100;
    /// A scale of windows is agreed on.
    pub const WINDOW_SCALED: u16 = 0x0200;
    /// The receiver's window is full.
    pub const WINDOW_FULL: u16 = 0x0400;
    /// The window has become larger.
    pub const WINDOW_UP: u16 = 0x0800;
    /// The checksum of the transport header stands over fragments.
    pub const CHECKSUM_PENDING: u16 = 0x1000;
    /// Selective acknowledgments.
    pub const SACK: u16 = 0x4000;
    /// Multipath TCP.
    pub const MPTCP: u16 = 0x8000;
}

/// The marks that a packet takes over from those before it.
const KEPT: u16 = mark::DISTANCE
    | mark::TIMESTAMPS
    | mark::WINDOW_SEEN
    | mark::WINDOW_UP
    | mark::MPTCP
    | mark::WINDOW_SCALED;

/// From this number of packets on, a flow is no scan.
const SCAN_PACKETS: u8 = 4;

/// TCP headers of one direction. `status` is there for all of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TcpFeatures {
    /// Bits of [`mark`].
    pub status: u16,
    /// Bits of [`anomaly`].
    pub anomaly: u16,
    /// Sequence and acknowledgment numbers.
    pub sequence: SequenceFeatures,
    /// Windows.
    pub window: WindowFeatures,
    /// Options.
    pub options: OptionFeatures,
    /// Counts for the end report.
    pub counts: TcpCounts,
    /// Flags, anomalies and marks of the last packet.
    last: (u8, u16, u16),
    /// OR of the flags.
    flags: u8,
    /// TCP packets, no further than scans need.
    packets: u8,
}

/// What the end report counts of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounts {
    /// Repeated SYNs.
    pub syn_retries: u32,
    /// Retransmissions.
    pub sequence_retries: u32,
    /// Scans.
    pub scans: u32,
    /// Scans that were answered.
    pub scans_answered: u32,
}

/// Takes a packet with a TCP header into account. `gap` is the time since the packet before, `marks` what other
/// headers have set already.
pub(super) fn packet(
    own: &mut TextFeatures,
    mut opposite: Option<&mut TextFeatures>,
    packet: &Packet,
    options: &TcpOptions,
    gap: Option<f32>,
    marks: u16,
) {
    let flags = packet.tcp.flags;
    let syn = flags & SYN != 0;
    let ends = flags & (SYN | FIN | RST) != 0;
    let mut marks = own.tcp.status & KEPT | marks;
    // A scale counts from the packet on that follows the one which agrees on it.
    let scaled = marks & mark::WINDOW_SCALED != 0;
    let mut anomaly = handshake(own, opposite.as_deref_mut(), packet, gap);

    marks |= own.tcp.options.packet(options, syn, packet.ts_ns, marks);
    if options.window_scale.is_some() && flags & (SYN | ACK) == SYN | ACK {
        own.tcp.status |= mark::WINDOW_SCALED;
        if let Some(opposite) = &mut opposite {
            opposite.tcp.status |= mark::WINDOW_SCALED;
        }
    }
    let factor = scaled.then(|| 1_u32 << own.tcp.options.window_shift.min(15));
    let window = u32::from(packet.tcp.window).wrapping_mul(factor.unwrap_or(1));
    marks |= own.tcp.window.packet(window, marks, ends);

    let trips = opposite
        .as_ref()
        .map(|opposite| opposite.trips.mean + own.trips.mean);
    let segment = Segment {
        flags,
        sequence: packet.tcp.sequence,
        acknowledgment: packet.tcp.acknowledgment,
        octets: packet.l7_octets,
        window,
        factor,
        follows: gap.is_some(),
        late: matches!((gap, trips), (Some(gap), Some(trips)) if gap > trips * 1.5),
    };
    let other = opposite.as_ref().map(|opposite| {
        let (flags, anomaly, marks) = opposite.tcp.last;
        Opposite {
            numbers: opposite.tcp.sequence,
            window: opposite.tcp.window.last,
            flags,
            anomaly,
            marks,
        }
    });
    let (last_flags, _, _) = own.tcp.last;
    let last_window = own.tcp.window.last;
    let sequence = &mut own.tcp.sequence;
    let found = sequence.packet(&segment, other.as_ref(), last_flags, last_window);
    marks |= found.marks;
    anomaly |= found.anomaly;
    own.tcp.counts.sequence_retries += found.retries;
    if marks & (mark::PROBE | mark::PROBE_ACK) == 0
        && own.tcp.flags & SYN != 0
        && other.is_some_and(|other| sequence.fills(other.window) && other.flags & RST == 0)
    {
        marks |= mark::WINDOW_FULL;
    }
    // What looks like a scan is no retransmission.
    if (anomaly | own.tcp.anomaly) & anomaly::SCAN != 0 {
        anomaly &= !anomaly::OF_NUMBERS;
    }
    sequence.keep(&segment, marks);
    own.tcp.keep(window, flags, anomaly, marks);
}

/// Whether the header ends beyond the packet: the first fragment has not all of it.
fn header_overhangs(packet: &Packet) -> bool {
    packet.status & (status::L4_SNAPPED | status::L3_SNAPPED) == status::L4_SNAPPED
}

/// The flags: how far the connection is, and what is odd about it.
fn handshake(
    own: &mut TextFeatures,
    opposite: Option<&mut TextFeatures>,
    packet: &Packet,
    gap: Option<f32>,
) -> u16 {
    /// A SYN that comes again later than this waits for an answer.
    const RETRY_SECONDS: f32 = 0.9;
    let flags = packet.tcp.flags;
    let mut anomaly = if is_null_or_xmas(flags) {
        anomaly::SCAN
    } else {
        0
    };
    let phase = &mut own.trips.phase;
    match flags & (ACK | RST | SYN | FIN) {
        SYN => {
            if *phase == Phase::Syn {
                if gap.is_some_and(|gap| gap > RETRY_SECONDS) {
                    anomaly |= anomaly::SYN_RETRY;
                    own.tcp.counts.syn_retries += 1;
                } else {
                    anomaly |= anomaly::SCAN;
                    own.tcp.counts.scans += 1;
                }
            }
            if packet.l7_octets > 0 || header_overhangs(packet) {
                anomaly |= anomaly::SYN_WITH_DATA;
            }
            *phase = Phase::Syn;
        }
        both if both == SYN | ACK => *phase = Phase::SynAck,
        ACK => {
            if *phase == Phase::SynAck {
                *phase = Phase::Ack;
            }
            if let Some(opposite) = opposite {
                if matches!(opposite.trips.phase, Phase::None | Phase::SynAck) {
                    opposite.trips.phase = Phase::Ack;
                }
                let sent = &mut opposite.tcp.sequence;
                own.tcp.sequence.acknowledge(sent, packet.l7_octets);
            }
        }
        _ => *phase = Phase::Stop,
    }
    anomaly
}

impl TcpFeatures {
    fn keep(&mut self, window: u32, flags: u8, anomaly: u16, marks: u16) {
        let marks = marks | mark::DISTANCE;
        self.window.last = window;
        self.flags |= flags;
        self.anomaly |= anomaly;
        self.status |= marks;
        self.last = (flags, anomaly, marks);
        self.packets = (self.packets + 1).min(SCAN_PACKETS + 2);
    }

    /// Marks a direction that ends as a scan, and its opposite with it if it was answered. `flags` has the marks of
    /// combinations above the flag bits.
    pub(in crate::meter) fn mark_scan(&mut self, flags: u16, opposite: Option<&mut TcpFeatures>) {
        const OPENS_OR_CLOSES: u16 = (SYN | FIN) as u16;
        const ODD_COMBINATIONS: u16 = 0xf800;
        const BOTH: u16 = anomaly::SCAN | anomaly::SCAN_ANSWERED;
        if self.anomaly & anomaly::SYN_RETRY != 0
            || flags & (OPENS_OR_CLOSES | ODD_COMBINATIONS) == 0
        {
            return;
        }
        let few = self.packets < SCAN_PACKETS;
        if few && self.anomaly & BOTH == 0 {
            self.anomaly |= anomaly::SCAN;
            self.counts.scans += 1;
        }
        let Some(opposite) = opposite else { return };
        let unanswered = |direction: &TcpFeatures| direction.anomaly & BOTH == anomaly::SCAN;
        if unanswered(self) || unanswered(opposite) && few && opposite.packets < SCAN_PACKETS {
            self.anomaly |= anomaly::SCAN_ANSWERED;
            opposite.anomaly |= anomaly::SCAN_ANSWERED;
            self.counts.scans_answered += 1;
        }
    }
}
