//! The TCP state machine of a pair (Tranalyzer's tcpStates): it sets the time-outs and the flags of
//! malformed connections.

use crate::dissect::TcpFields;

/// The bits of tcpStatesAFlags.
pub mod anomaly {
    /// Malformed establishment.
    pub const ESTABLISHMENT: u8 = 0x01;
    /// Malformed teardown.
    pub const TEARDOWN: u8 = 0x02;
    /// Bad flags while established.
    pub const FLAGS: u8 = 0x04;
    /// Packets after the connection was closed.
    pub const AFTER_CLOSE: u8 = 0x08;
    /// Packets after a reset.
    pub const AFTER_RESET: u8 = 0x10;
    /// This direction sent a reset.
    pub const RESET_SENT: u8 = 0x40;
    /// Looks like a scan.
    pub const EVIL: u8 = 0x80;
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What a direction's time-out depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(super) enum State {
    /// No TCP, or a packet that says nothing.
    #[default]
    Idle,
    New,
    Established,
    Closing,
    Closed,
    Reset,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Progress {
    /// No packet yet.
    #[default]
    Begin,
    /// A SYN, by direction 0 or 1.
    Syn(u8),
    /// The answer to the SYN of this direction.
    SynAck(u8),
    /// Open.
    Open,
    /// Both FINs are acknowledged.
    Closed,
    /// Reset.
    Reset,
}

/// The connection as both directions see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// The acknowledgment awaited from the other side for this direction's SYN or FIN.
    awaited: [u32; 2],
    progress: Progress,
    /// Opened by a proper handshake.
    established: bool,
    /// Closed by both sides.
    torn_down: bool,
    fin: [bool; 2],
    fin_acked: [bool; 2],
    /// Directions with packets.
    seen: [bool; 2],
    /// A direction began with a SYN when the other one had already answered it (captured out of order).
    late_syn: bool,
}

/// What the machine writes of a direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    pub state: State,
    pub flags: u8,
}

impl Connection {
    /// Whether a packet of direction `from` repeats the SYN before any answer to it.
    pub(super) fn repeats_syn(&self, from: usize, tcp: &TcpFields) -> bool {
        self.progress == Progress::Syn(from as u8)
            && tcp.flags & (SYN | ACK | RST | FIN) == SYN
            && self.awaited.get(from).copied() == Some(tcp.sequence.wrapping_add(1))
    }

    /// Takes a packet of direction `from` (0 or 1) into account.
    pub(super) fn packet(&mut self, from: usize, tcp: &TcpFields, sides: [&mut Side; 2]) {
        let [zero, one] = sides;
        let (own, other) = if from == 0 { (zero, one) } else { (one, zero) };
        match self.progress {
            Progress::Reset => own.flags |= anomaly::AFTER_RESET,
            _ if tcp.flags & RST != 0 => self.reset(tcp, own, other),
            Progress::Closed => own.flags |= anomaly::AFTER_CLOSE,
            Progress::Open => self.open(from, tcp, own, other),
            Progress::Begin | Progress::Syn(_) | Progress::SynAck(_) => {
                self.opening(from, tcp, own, other);
            }
        }
        if let Some(seen) = self.seen.get_mut(from) {
            *seen = true;
        }
    }

    fn reset(&mut self, tcp: &TcpFields, own: &mut Side, other: &mut Side) {
        own.flags |= anomaly::RESET_SENT;
        own.state = State::Reset;
        other.state = State::Reset;
        match self.progress {
            Progress::Begin => own.flags |= anomaly::EVIL,
            Progress::Open if tcp.flags & ACK == 0 => {
                own.flags |= anomaly::FLAGS;
                other.flags |= anomaly::FLAGS;
            }
            _ => {}
        }
        self.torn_down = false;
        self.progress = Progress::Reset;
    }

    fn opening(&mut self, from: usize, tcp: &TcpFields, own: &mut Side, other: &mut Side) {
        let acknowledges = |awaited: &[u32; 2]| {
            awaited
                .get(1 - from)
                .is_some_and(|awaited| *awaited == tcp.acknowledgment)
        };
        match tcp.flags & (SYN | ACK | FIN) {
            SYN => {
                self.progress = Progress::Syn(from as u8);
                self.await_ack(from, tcp.sequence.wrapping_add(1));
                own.state = State::New;
            }
            f if f == SYN | ACK => {
                let answers =
                    self.progress == Progress::Syn(1 - from as u8) && acknowledges(&self.awaited);
                self.await_ack(from, tcp.sequence.wrapping_add(1));
                if answers || self.progress == Progress::SynAck(1 - from as u8) {
                    self.progress = Progress::SynAck(1 - from as u8);
                    own.state = State::New;
                } else {
                    self.progress = Progress::Open;
                    own.state = State::Established;
                    other.state = State::Established;
                }
            }
            ACK => {
                self.established =
                    self.progress == Progress::SynAck(from as u8) && acknowledges(&self.awaited);
                self.progress = Progress::Open;
                own.state = State::Established;
                other.state = State::Established;
            }
            f if f == FIN | ACK => {
                if self.progress == Progress::Begin {
                    own.flags |= anomaly::EVIL;
                }
                self.progress = Progress::Open;
                self.open(from, tcp, own, other);
            }
            0 => {
                own.flags |= anomaly::EVIL;
                self.progress = Progress::Open;
                own.state = State::Established;
                other.state = State::Established;
            }
            _ => own.flags |= anomaly::EVIL,
        }
    }

    fn open(&mut self, from: usize, tcp: &TcpFields, own: &mut Side, other: &mut Side) {
        if tcp.flags & (SYN | ACK) == SYN && !self.seen.get(from).copied().unwrap_or(true) {
            self.late_syn = true;
        } else if tcp.flags & SYN != 0 || tcp.flags & ACK == 0 {
            own.flags |= anomaly::FLAGS;
            other.flags |= anomaly::FLAGS;
        }
        let to = 1 - from;
        if tcp.flags & ACK != 0
            && self.fin.get(to).copied().unwrap_or(false)
            && self.awaited.get(to).copied() == Some(tcp.acknowledgment)
            && let Some(acked) = self.fin_acked.get_mut(to)
        {
            *acked = true;
        }
        if tcp.flags & FIN != 0 {
            if let Some(fin) = self.fin.get_mut(from) {
                *fin = true;
            }
            // As Tranalyzer does: only a FIN without data can be properly acknowledged.
            self.await_ack(from, tcp.sequence.wrapping_add(1));
            own.state = State::Closing;
        }
        if self.fin_acked == [true; 2] && !self.late_syn {
            self.torn_down = true;
            self.progress = Progress::Closed;
            own.state = State::Closed;
            other.state = State::Closed;
        }
    }

    fn await_ack(&mut self, from: usize, acknowledgment: u32) {
        if let Some(awaited) = self.awaited.get_mut(from) {
            *awaited = acknowledgment;
        }
    }

    /// The bits that only the end of the pair decides.
    pub(super) fn final_flags(&self, both_directions: bool) -> u8 {
        let mut flags = 0;
        if !self.established || !both_directions {
            flags |= anomaly::ESTABLISHMENT;
        }
        if !self.torn_down || !both_directions {
            flags |= anomaly::TEARDOWN;
        }
        flags
    }
}
