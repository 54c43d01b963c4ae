//! Windows that TCP headers offer (the window part of Tranalyzer's tcpFlags).

use super::tcp::mark;

/// Effective windows in octets: as in the header, shifted once a scale is agreed on (RFC 7323).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowFeatures {
    /// The first one.
    pub initial: u32,
    /// Running mean: each window has a weight of 0.3.
    pub mean: f32,
    /// The smallest.
    pub min: u32,
    /// The largest.
    pub max: u32,
    /// How often it became smaller.
    pub downs: u16,
    /// How often it became larger.
    pub ups: u16,
    /// How often it turned. As Tranalyzer counts: after the first time up, each time down is a turn.
    pub turns: u16,
    /// Packets that close the window.
    pub closed: u32,
    packets: u32,
    pub(super) last: u32,
}

impl WindowFeatures {
    /// The share of packets that close the window.
    #[must_use]
    pub fn closed_share(&self) -> f32 {
        if self.packets == 0 {
            0.0
        } else {
            self.closed as f32 / self.packets as f32
        }
    }

    /// Takes a window into account; `ends`: the packet has SYN, FIN or RST. The caller keeps it as the last one when it
    /// has looked at the packet's numbers. Returns the marks to set.
    pub(super) fn packet(&mut self, window: u32, marks: u16, ends: bool) -> u16 {
        let mut set = 0;
        self.packets = self.packets.saturating_add(1);
        if !ends && window == 0 {
            self.closed = self.closed.saturating_add(1);
            set |= mark::WINDOW_CLOSED;
        }
        if marks & mark::WINDOW_SEEN == 0 {
            self.initial = window;
            self.min = window;
            self.max = window;
            self.last = window;
            self.mean = window as f32;
            set |= mark::WINDOW_SEEN;
        }
        self.mean = (f64::from(self.mean) * 0.7 + f64::from(window as f32) * 0.3) as f32;
        let up = marks & mark::WINDOW_UP != 0;
        if window > self.last {
            self.turns = self.turns.wrapping_add(u16::from(!up));
            self.ups = self.ups.wrapping_add(1);
            self.max = self.max.max(window);
            set |= mark::WINDOW_UP;
        } else if window < self.last {
            self.turns = self.turns.wrapping_add(u16::from(up));
            self.downs = self.downs.wrapping_add(1);
            self.min = self.min.min(window);
        }
        set
    }
}
