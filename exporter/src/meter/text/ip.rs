//! What the IP headers of a flow have (the IP part of Tranalyzer's tcpFlags).

use crate::dissect::{Family, IpDetail, Packet};
use crate::meter::ip_flags;

/// IP headers of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpFeatures {
    /// Smallest difference between the IPv4 identifications of two packets in a row, modulo 2^16; 65535 if there are
    /// not two.
    pub min_id_step: u16,
    /// The largest one.
    pub max_id_step: u16,
    /// How often the TTL changed, modulo 256.
    pub ttl_changes: u8,
    /// Bits of [`ip_flags`].
    pub flags: u16,
    /// IPv4 options.
    pub options: u16,
    /// OR of their copy and class bits.
    pub option_classes: u8,
    /// The bits of their numbers.
    pub option_numbers: u32,
    /// IPv6 hop-by-hop and destination options.
    pub v6_options: [u16; 2],
    /// The bits of their lowest five bits.
    pub v6_option_types: [u32; 2],
    last_id: u16,
    last_ttl: u8,
    /// Where the next fragment is expected, in eight octets.
    next_fragment: u32,
}

impl Default for IpFeatures {
    fn default() -> Self {
        IpFeatures {
            min_id_step: u16::MAX,
            max_id_step: 0,
            ttl_changes: 0,
            flags: 0,
            options: 0,
            option_classes: 0,
            option_numbers: 0,
            v6_options: [0; 2],
            v6_option_types: [0; 2],
            last_id: 0,
            last_ttl: 0,
            next_fragment: 0,
        }
    }
}

impl IpFeatures {
    /// `gap` is the time since the packet before, if there was one.
    pub(super) fn packet(&mut self, packet: &Packet, detail: &IpDetail, gap: Option<f32>) {
        if gap.is_some() && packet.ttl != self.last_ttl {
            self.ttl_changes = self.ttl_changes.wrapping_add(1);
        }
        self.last_ttl = packet.ttl;
        self.identification(packet, gap.is_some());
        self.flags |= detail.flags;
        match gap {
            Some(0.0) => self.flags |= ip_flags::NO_DISTANCE,
            Some(gap) if gap < 0.0 => self.flags |= ip_flags::NEGATIVE_DISTANCE,
            _ => {}
        }
        self.options = self.options.wrapping_add(detail.options);
        self.option_classes |= detail.option_classes;
        self.option_numbers |= detail.option_numbers;
        for place in 0..2 {
            if let (Some(count), Some(more), Some(types), Some(more_types)) = (
                self.v6_options.get_mut(place),
                detail.v6_options.get(place),
                self.v6_option_types.get_mut(place),
                detail.v6_option_types.get(place),
            ) {
                *count = count.wrapping_add(*more);
                *types |= more_types;
            }
        }
        self.fragment(packet, detail);
    }

    /// Differences are taken as numbers and kept as 16 bits: one below zero is a large one when the next is compared,
    /// as in Tranalyzer.
    fn identification(&mut self, packet: &Packet, compare: bool) {
        if packet.family != Family::V4 {
            return;
        }
        let id = packet.ip_id as u16;
        if compare {
            let step = i32::from(id) - i32::from(self.last_id);
            if step < 0 {
                self.flags |= ip_flags::ID_ROLL_OVER;
            }
            self.min_id_step = step.min(i32::from(self.min_id_step)) as u16;
            self.max_id_step = step.max(i32::from(self.max_id_step)) as u16;
        }
        self.last_id = id;
    }

    fn fragment(&mut self, packet: &Packet, detail: &IpDetail) {
        /// The largest offset that a header can say (RFC 791).
        const LAST_OFFSET: u32 = 0x1fff;
        let more = detail.flags & ip_flags::MORE_FRAGMENTS != 0;
        if detail.fragment_offset == 0 && !more {
            return;
        }
        let begins = u32::from(detail.fragment_offset);
        if begins > self.next_fragment + 1 {
            self.flags |= ip_flags::FRAGMENT_POSITION;
        }
        self.next_fragment = begins + (packet.l4_octets >> 3);
        if self.next_fragment > LAST_OFFSET {
            self.flags |= ip_flags::FRAGMENT_OUT_OF_RANGE;
        }
    }
}
