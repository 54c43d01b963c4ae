//! The totals of a file (stat record), counted as nfcapd 1.7.1 counts.

use super::layout2::{Cursor, RECORD_HEADER, STAT_RECORD, push_header};
use crate::field;
use crate::record::RecordView;

/// Totals by protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolTotals {
    /// TCP.
    pub tcp: u64,
    /// UDP.
    pub udp: u64,
    /// ICMP and ICMPv6.
    pub icmp: u64,
    /// All others.
    pub other: u64,
}

impl ProtocolTotals {
    fn add(&mut self, proto: u8, value: u64) {
        let total = match proto {
            1 | 58 => &mut self.icmp,
            6 => &mut self.tcp,
            17 => &mut self.udp,
            _ => &mut self.other,
        };
        *total = total.saturating_add(value);
    }

    fn merge(&mut self, with: &Self) {
        for (total, value) in [
            (&mut self.tcp, with.tcp),
            (&mut self.udp, with.udp),
            (&mut self.icmp, with.icmp),
            (&mut self.other, with.other),
        ] {
            *total = total.saturating_add(value);
        }
    }
}

/// The totals of a file, in its appendix. All sums saturate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatRecord {
    /// Flow records.
    pub flows: u64,
    /// Bytes, both directions of a record.
    pub bytes: u64,
    /// Packets, both directions of a record.
    pub packets: u64,
    /// Flow records by protocol.
    pub flows_by: ProtocolTotals,
    /// Bytes by protocol, without the reverse direction (as nfcapd counts).
    pub bytes_by: ProtocolTotals,
    /// Packets by protocol, without the reverse direction (as nfcapd counts).
    pub packets_by: ProtocolTotals,
    /// Earliest start of a flow, milliseconds since 1970; `u64::MAX >> 1` while there is none.
    pub first_ms: u64,
    /// Latest end of a flow, milliseconds since 1970.
    pub last_ms: u64,
    /// Sequence failures of all exporters.
    pub sequence_failures: u64,
}

const NO_FIRST: u64 = u64::MAX >> 1;

impl Default for StatRecord {
    fn default() -> Self {
        Self {
            flows: 0,
            bytes: 0,
            packets: 0,
            flows_by: ProtocolTotals::default(),
            bytes_by: ProtocolTotals::default(),
            packets_by: ProtocolTotals::default(),
            first_ms: NO_FIRST,
            last_ms: 0,
            sequence_failures: 0,
        }
    }
}

/// Size of the totals in the appendix, record header included.
pub const STAT_SIZE: usize = RECORD_HEADER + 18 * 8;

impl StatRecord {
    /// Counts one flow record. One without the generic extension counts as a flow of another protocol.
    #[inline]
    pub fn add(&mut self, record: &RecordView<'_>) {
        let (packets, bytes) = (record.packets(), record.octets());
        let proto = record.proto().unwrap_or(255);
        self.flows = self.flows.saturating_add(1);
        self.flows_by.add(proto, 1);
        self.packets_by.add(proto, packets);
        self.bytes_by.add(proto, bytes);
        let out_packets = record.get_or_zero(field::OUT_PACKETS);
        let out_bytes = record.get_or_zero(field::OUT_BYTES);
        self.packets = self
            .packets
            .saturating_add(packets)
            .saturating_add(out_packets);
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(out_bytes);
        if let (Some(first), Some(last)) = (record.first_ms(), record.last_ms()) {
            self.first_ms = self.first_ms.min(first);
            self.last_ms = self.last_ms.max(last);
        }
    }

    /// Counts for a record already counted what nfdump's totals have and nfcapd's have not: all flows that it stands for,
    /// and by protocol also the opposite direction.
    pub fn add_as_nfdump(&mut self, record: &RecordView<'_>) {
        let proto = record.proto().unwrap_or(255);
        let more = record.flows().saturating_sub(1);
        self.flows = self.flows.saturating_add(more);
        self.flows_by.add(proto, more);
        self.packets_by
            .add(proto, record.get_or_zero(field::OUT_PACKETS));
        self.bytes_by
            .add(proto, record.get_or_zero(field::OUT_BYTES));
    }

    /// Adds the totals of another file; a time window of a file without flows counts only if there is no other.
    pub fn merge(&mut self, with: &Self) {
        match (self.flows, with.flows) {
            (_, 0) if self.last_ms > 0 => {}
            (0, n) if n > 0 => (self.first_ms, self.last_ms) = (with.first_ms, with.last_ms),
            _ => {
                self.first_ms = self.first_ms.min(with.first_ms);
                self.last_ms = self.last_ms.max(with.last_ms);
            }
        }
        self.flows = self.flows.saturating_add(with.flows);
        self.bytes = self.bytes.saturating_add(with.bytes);
        self.packets = self.packets.saturating_add(with.packets);
        self.flows_by.merge(&with.flows_by);
        self.bytes_by.merge(&with.bytes_by);
        self.packets_by.merge(&with.packets_by);
        self.sequence_failures = self
            .sequence_failures
            .saturating_add(with.sequence_failures);
    }

    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        if data.len() != STAT_SIZE - RECORD_HEADER {
            return None;
        }
        let mut cursor = Cursor(data);
        let (flows, bytes, packets) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let mut by = || {
            Some(ProtocolTotals {
                tcp: cursor.u64()?,
                udp: cursor.u64()?,
                icmp: cursor.u64()?,
                other: cursor.u64()?,
            })
        };
        Some(Self {
            flows,
            bytes,
            packets,
            flows_by: by()?,
            bytes_by: by()?,
            packets_by: by()?,
            first_ms: cursor.u64()?,
            last_ms: cursor.u64()?,
            sequence_failures: cursor.u64()?,
        })
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        push_header(out, STAT_RECORD, STAT_SIZE);
        let by = |t: &ProtocolTotals| [t.tcp, t.udp, t.icmp, t.other];
        let head = [self.flows, self.bytes, self.packets];
        let tail = [self.first_ms, self.last_ms, self.sequence_failures];
        for value in head
            .into_iter()
            .chain(by(&self.flows_by))
            .chain(by(&self.bytes_by))
            .chain(by(&self.packets_by))
            .chain(tail)
        {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}
