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
#[repr(u8)]
enum Progress {
    /// No packet yet.
    #[default]
    Begin,
    /// A SYN.
    Syn,
    /// The answer to the SYN.
    SynAck,
    /// Open.
    Open,
    /// Both FINs are acknowledged.
    Closed,
    /// Reset.
    Reset,
}

/// What is remembered of a connection.
mod mark {
    /// Direction 1 sent the SYN.
    pub const OPENED_BY_1: u8 = 1 << 0;
    /// Opened by a proper handshake.
    pub const ESTABLISHED: u8 = 1 << 1;
    /// A direction began with a SYN when the other one had already answered it (captured out of order).
    pub const LATE_SYN: u8 = 1 << 2;
    /// Direction 0 sent a FIN; direction 1 has the next bit.
    pub const FIN: u8 = 1 << 4;
    /// The FIN of direction 0 was acknowledged; direction 1 has the next bit.
    pub const FIN_ACKED: u8 = 1 << 6;
    /// Both.
    pub const BOTH_ACKED: u8 = FIN_ACKED | FIN_ACKED << 1;
}

/// The connection as both directions see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// The acknowledgment awaited from the other side for this direction's SYN or FIN.
    awaited: [u32; 2],
    progress: Progress,
    /// See [`mark`].
    marks: u8,
    /// The direction that answers (B), also of pairs without TCP.
    pub responder: u8,
}

/// What the machine writes of a direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    pub state: State,
    pub flags: u8,
}

/// The direction of a packet and the other one.
struct Sides<'a> {
    own: &'a mut Side,
    other: &'a mut Side,
}

impl Sides<'_> {
    fn set_both(&mut self, state: State) {
        self.own.state = state;
        self.other.state = state;
    }

    fn mark_both(&mut self, flags: u8) {
        self.own.flags |= flags;
        self.other.flags |= flags;
    }
}

impl Connection {
    /// A connection without packets whose B direction is `responder`.
    pub(super) fn new(responder: usize) -> Self {
        Connection {
            responder: responder as u8,
            ..Connection::default()
        }
    }

    /// Takes a packet of direction `from` (0 or 1) into account; `begins`: it is the first one of it. Returns
    /// whether a state may have changed.
    #[inline]
    pub(super) fn packet(
        &mut self,
        from: usize,
        begins: bool,
        tcp: &TcpFields,
        sides: [&mut Side; 2],
    ) -> bool {
        let [zero, one] = sides;
        let mut sides = if from == 0 {
            Sides {
                own: zero,
                other: one,
            }
        } else {
            Sides {
                own: one,
                other: zero,
            }
        };
        match self.progress {
            Progress::Reset => sides.own.flags |= anomaly::AFTER_RESET,
            _ if tcp.flags & RST != 0 => self.reset(tcp, &mut sides),
            Progress::Closed => sides.own.flags |= anomaly::AFTER_CLOSE,
            // Nearly all packets: data and acknowledgments of an open connection without a FIN.
            Progress::Open
                if tcp.flags & (SYN | FIN | ACK) == ACK
                    && self.marks & (mark::FIN | mark::FIN << 1) == 0 => {}
            Progress::Open => {
                self.open(from, begins, tcp, &mut sides);
                return true;
            }
            Progress::Begin | Progress::Syn | Progress::SynAck => {
                self.opening(from, begins, tcp, &mut sides);
                return true;
            }
        }
        tcp.flags & RST != 0
    }

    fn reset(&mut self, tcp: &TcpFields, sides: &mut Sides<'_>) {
        sides.own.flags |= anomaly::RESET_SENT;
        match self.progress {
            Progress::Begin => sides.own.flags |= anomaly::EVIL,
            Progress::Open if tcp.flags & ACK == 0 => sides.mark_both(anomaly::FLAGS),
            _ => {}
        }
        sides.set_both(State::Reset);
        self.progress = Progress::Reset;
    }

    fn opening(&mut self, from: usize, begins: bool, tcp: &TcpFields, sides: &mut Sides<'_>) {
        let acknowledged = self.acknowledges(from, tcp);
        match tcp.flags & (SYN | ACK | FIN) {
            SYN => {
                self.progress = Progress::Syn;
                self.marks &= !mark::OPENED_BY_1;
                if from == 1 {
                    self.marks |= mark::OPENED_BY_1;
                }
                self.await_ack(from, tcp);
                sides.own.state = State::New;
            }
            flags if flags == SYN | ACK => {
                let answers = !self.opened_by(from)
                    && (self.progress == Progress::SynAck
                        || self.progress == Progress::Syn && acknowledged);
                self.await_ack(from, tcp);
                if answers {
                    self.progress = Progress::SynAck;
                    sides.own.state = State::New;
                } else {
                    self.progress = Progress::Open;
                    sides.set_both(State::Established);
                }
            }
            ACK => {
                if self.progress == Progress::SynAck && self.opened_by(from) && acknowledged {
                    self.marks |= mark::ESTABLISHED;
                }
                self.progress = Progress::Open;
                sides.set_both(State::Established);
            }
            flags if flags == FIN | ACK => {
                if self.progress == Progress::Begin {
                    sides.own.flags |= anomaly::EVIL;
                }
                self.progress = Progress::Open;
                self.open(from, begins, tcp, sides);
            }
            0 => {
                sides.own.flags |= anomaly::EVIL;
                self.progress = Progress::Open;
                sides.set_both(State::Established);
            }
            _ => sides.own.flags |= anomaly::EVIL,
        }
    }

    fn open(&mut self, from: usize, begins: bool, tcp: &TcpFields, sides: &mut Sides<'_>) {
        if tcp.flags & (SYN | ACK) == SYN && begins {
            self.marks |= mark::LATE_SYN;
        } else if tcp.flags & SYN != 0 || tcp.flags & ACK == 0 {
            sides.mark_both(anomaly::FLAGS);
        }
        let to = 1 - from;
        if tcp.flags & ACK != 0
            && self.marks & (mark::FIN << to) != 0
            && self.acknowledges(from, tcp)
        {
            self.marks |= mark::FIN_ACKED << to;
        }
        if tcp.flags & FIN != 0 {
            self.marks |= mark::FIN << from;
            // As Tranalyzer does: only a FIN without data can be properly acknowledged.
            self.await_ack(from, tcp);
            sides.own.state = State::Closing;
        }
        if self.marks & (mark::BOTH_ACKED | mark::LATE_SYN) == mark::BOTH_ACKED {
            self.progress = Progress::Closed;
            sides.set_both(State::Closed);
        }
    }

    /// Whether a packet of direction `from` acknowledges what the other side awaits.
    fn acknowledges(&self, from: usize, tcp: &TcpFields) -> bool {
        self.awaited.get(1 - from).copied() == Some(tcp.acknowledgment)
    }

    /// The SYN or FIN of this packet is to be acknowledged.
    fn await_ack(&mut self, from: usize, tcp: &TcpFields) {
        if let Some(awaited) = self.awaited.get_mut(from) {
            *awaited = tcp.sequence.wrapping_add(1);
        }
    }

    fn opened_by(&self, direction: usize) -> bool {
        usize::from(self.marks & mark::OPENED_BY_1 != 0) == direction
    }

    /// The bits that only the end of the pair decides.
    pub(super) fn final_flags(&self, both_directions: bool) -> u8 {
        let mut flags = 0;
        if self.marks & mark::ESTABLISHED == 0 || !both_directions {
            flags |= anomaly::ESTABLISHMENT;
        }
        if self.progress != Progress::Closed || !both_directions {
            flags |= anomaly::TEARDOWN;
        }
        flags
    }
}
