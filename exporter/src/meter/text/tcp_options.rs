//! Options of TCP headers (the option part of Tranalyzer's tcpFlags), and what timestamps say of the sender's clock.

use super::tcp::mark;
use crate::dissect::{MAX_OPTION_ORDER, MpTcp, TcpOptions};

/// Options of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OptionFeatures {
    /// Packets with options.
    pub packets: u16,
    /// Options, no-operations included.
    pub count: u16,
    /// A bit for each kind; the last one is for 31 and above.
    pub kinds: u32,
    /// The last maximum segment size.
    pub mss: u16,
    /// Shift count of the window.
    pub window_shift: u8,
    /// Multipath TCP.
    pub mptcp: MpTcp,
    /// The last timestamp and echo reply.
    pub timestamps: [u32; 2],
    /// Kinds of the options of SYNs in their order.
    syn_order: [u8; MAX_OPTION_ORDER],
    syn_order_length: u8,
    /// Of the first timestamp: its value and its packet's time.
    first: (u32, i64),
    /// The largest timestamp so far.
    largest: u32,
    /// Time of the last packet with timestamps.
    last_ns: i64,
}

impl OptionFeatures {
    /// Kinds of the options of SYNs in their order.
    #[must_use]
    pub fn syn_order(&self) -> &[u8] {
        self.syn_order
            .get(..usize::from(self.syn_order_length))
            .unwrap_or(&[])
    }

    /// Takes a packet's options into account. Returns the marks to set.
    pub(super) fn packet(
        &mut self,
        options: &TcpOptions,
        syn: bool,
        ts_ns: i64,
        marks: u16,
    ) -> u16 {
        let mut set = if options.corrupt {
            mark::OPTIONS_CORRUPT
        } else {
            0
        };
        if !options.present {
            return set;
        }
        self.packets = self.packets.wrapping_add(1);
        self.count = self.count.wrapping_add(options.count);
        self.kinds |= options.kinds;
        self.mss = options.mss.unwrap_or(self.mss);
        if options.sack {
            set |= mark::SACK;
        }
        if syn {
            self.window_shift = options.window_scale.unwrap_or(self.window_shift);
            for kind in options.order() {
                if let Some(place) = self.syn_order.get_mut(usize::from(self.syn_order_length)) {
                    *place = *kind;
                    self.syn_order_length += 1;
                }
            }
        }
        if let Some(mptcp) = options.mptcp {
            self.mptcp.subtypes |= mptcp.subtypes;
            self.mptcp.flags |= mptcp.flags;
            self.mptcp.address = mptcp.address.or(self.mptcp.address);
            self.mptcp.data_sequence |= mptcp.data_sequence;
            set |= mark::MPTCP;
        }
        if let Some(timestamps) = options.timestamps {
            set |= self.timestamps(timestamps, ts_ns, marks);
        }
        set
    }

    fn timestamps(&mut self, timestamps: [u32; 2], ts_ns: i64, marks: u16) -> u16 {
        let [value, _] = timestamps;
        self.timestamps = timestamps;
        self.last_ns = ts_ns;
        if value < self.largest {
            return mark::TIMESTAMP_DECREASES;
        }
        self.largest = value;
        if marks & mark::TIMESTAMPS == 0 {
            self.first = (value, ts_ns);
        }
        mark::TIMESTAMPS
    }

    /// The sender's clock, if it sent timestamps. `min_ttl` tells its system when the timestamps stand still.
    #[must_use]
    pub fn clock(&self, min_ttl: u8) -> Option<SenderClock> {
        /// Seconds a tick that systems use, with the estimate below which it is theirs.
        const TICKS: [(f32, f32); 5] = [
            (0.002, 0.001),
            (0.005, 0.004),
            (0.02, 0.01),
            (0.2, 0.1),
            (0.7, 0.1),
        ];
        const TIMESTAMPS: u32 = 1 << 8;
        const NANOSECONDS: f64 = 1e9;
        if self.kinds & TIMESTAMPS == 0 {
            return None;
        }
        let [value, _] = self.timestamps;
        let (first, first_ns) = self.first;
        let ticks = value.wrapping_sub(first);
        let tick = if ticks == 0 {
            match min_ttl {
                128.. => 0.1,
                64.. => 0.004,
                33.. => 0.01,
                _ => 0.001,
            }
        } else {
            let seconds = super::seconds_between(self.last_ns, first_ns);
            let estimate = seconds / ticks as f32;
            let known = TICKS.iter().find(|(below, _)| estimate < *below);
            known.map_or(1.0, |(_, tick)| *tick)
        };
        let up = f64::from(value) * f64::from(tick);
        Some(SenderClock {
            tick,
            up,
            booted_ns: self.last_ns.saturating_sub((up * NANOSECONDS) as i64),
        })
    }
}

/// What the timestamps of a sender say of its clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SenderClock {
    /// Seconds a tick.
    pub tick: f32,
    /// Seconds since the clock was 0.
    pub up: f64,
    /// When that was, nanoseconds since 1970.
    pub booted_ns: i64,
}
