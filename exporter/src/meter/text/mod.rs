//! The features that only the text sinks print, kept in an array of their own, apart from what every packet needs.
//!
//! They are Tranalyzer's: its plugins basicStats, macRecorder and tcpFlags look at each packet in turn, and many of
//! their numbers depend on the order in which they do. So does this.

mod basic_stats;
mod ip;
mod mac_recorder;
mod round_trip;
mod tcp;
mod tcp_options;
mod tcp_sequence;
mod tcp_window;

pub use basic_stats::{Arrivals, Sizes};
pub use ip::IpFeatures;
pub use mac_recorder::{MAX_MAC_PAIRS, MacRecord};
pub use round_trip::Trips;
pub use tcp::{TcpCounts, TcpFeatures, mark};
pub use tcp_options::{OptionFeatures, SenderClock};
pub use tcp_sequence::SequenceFeatures;
pub use tcp_window::WindowFeatures;

use super::fragments::{Fragments, Waiting};
use super::{Metric, ip_flags, status};
use crate::dissect::{Detail, Family, Fragment, HeaderDescription, Packet, Vlans, protocol};

/// The most kinds of header stacks that are kept of one direction.
const MAX_DESCRIPTIONS: usize = 4;

/// Features of one direction that only the text sinks print.
#[derive(Clone, Debug, Default)]
pub struct TextFeatures {
    /// The different header stacks, at most four.
    pub headers: Vec<HeaderDescription>,
    /// The VLAN tags of the first packet.
    pub vlans: Vlans,
    /// MAC pairs.
    pub macs: MacRecord,
    /// Octets of Ethernet padding.
    pub pad_octets: u64,
    /// Layer 7 octets of the packets.
    pub l7_sizes: Sizes,
    /// Octets of the packets under the meter's other metric.
    pub wide_sizes: Sizes,
    /// Times between packets.
    pub arrivals: Arrivals,
    /// IP headers.
    pub ip: IpFeatures,
    /// TCP headers.
    pub tcp: TcpFeatures,
    /// Times between the packets of both directions.
    pub trips: Trips,
}

impl TextFeatures {
    /// The sizes of the packets under a metric.
    #[must_use]
    pub fn sizes(&self, metric: Metric) -> &Sizes {
        match metric {
            Metric::L7 => &self.l7_sizes,
            Metric::L4 | Metric::Ip | Metric::L2 => &self.wide_sizes,
        }
    }
}

/// One direction while it lasts.
#[derive(Clone, Debug, Default)]
pub(super) struct TextState {
    pub features: TextFeatures,
    pub status: u64,
    packets: u64,
    /// Time of the last packet, which need not be the latest one.
    last_ns: i64,
    last_ip_id: u32,
    /// The last fragmented datagram that began in this flow.
    waiting: Option<Waiting>,
}

impl TextState {
    /// Reads something of most of its cache lines. The value means nothing.
    pub(super) fn touch(&self) -> u64 {
        let features = &self.features;
        let header = features.headers.first();
        self.packets
            ^ header.map_or(0, |header| u64::from(header.headers()))
            ^ u64::from(features.ip.flags ^ features.tcp.status ^ features.tcp.options.count)
            ^ u64::from(features.tcp.sequence.initial ^ features.tcp.window.initial)
            ^ u64::from(features.trips.mean.to_bits())
            ^ features.macs.pairs.first().map_or(0, |pair| pair.packets)
    }

    /// Takes a packet of `own` into account. `opposite` is there if that direction has packets, and whether one of its
    /// datagrams waits for fragments.
    pub(super) fn packet(
        own: &mut TextState,
        opposite: Option<(&mut TextState, bool)>,
        packet: &Packet,
        detail: &Detail,
        wide: Metric,
    ) {
        let gap = (own.packets > 0).then(|| seconds_between(packet.ts_ns, own.last_ns));
        own.packets += 1;
        own.status |= packet.status;
        own.describe(packet, detail);
        own.repeated_ip_id(packet);
        let features = &mut own.features;
        features.pad_octets += u64::from(packet.pad_octets);
        let sizes = [
            (&mut features.l7_sizes, packet.l7_octets),
            (&mut features.wide_sizes, wide.octets(packet)),
        ];
        for (sizes, octets) in sizes {
            sizes.count(octets, own.packets);
        }
        features.arrivals.count(gap.unwrap_or(0.0), own.packets);
        if gap.is_some_and(|gap| gap < 0.0) {
            own.status |= status::TIME_JUMP;
        }
        if packet.has_macs {
            features.macs.count(packet);
        }
        if packet.family != Family::Link {
            own.headers_of_ip(opposite, packet, detail, gap);
        }
        own.last_ns = packet.ts_ns;
    }

    /// Keeps the description of its headers, and the VLAN tags of the first packet.
    fn describe(&mut self, packet: &Packet, detail: &Detail) {
        if self.packets == 1 {
            self.features.vlans = packet.vlans;
        }
        let known = &mut self.features.headers;
        if known.len() >= MAX_DESCRIPTIONS || detail.headers.overrun() {
            self.status |= status::HEADERS_OVERRUN;
        }
        if known.len() < MAX_DESCRIPTIONS && !known.contains(&detail.headers) {
            known.push(detail.headers);
        }
    }

    /// From the third packet on, as in Tranalyzer.
    fn repeated_ip_id(&mut self, packet: &Packet) {
        if self.packets > 2
            && packet.family == Family::V4
            && packet.fragment == Fragment::Whole
            && packet.ip_id != 0
            && packet.ip_id == self.last_ip_id
        {
            self.status |= status::SAME_IP_ID;
        }
        self.last_ip_id = packet.ip_id;
    }

    fn headers_of_ip(
        &mut self,
        opposite: Option<(&mut TextState, bool)>,
        packet: &Packet,
        detail: &Detail,
        gap: Option<f32>,
    ) {
        let own = &mut self.features;
        own.ip.packet(packet, &detail.ip, gap);
        let (mut other, other_waits) = match opposite {
            Some((opposite, waits)) => {
                let trip = seconds_between_halves(packet.ts_ns, opposite.last_ns).abs();
                own.trips.answers(&mut opposite.features.trips, trip);
                (Some(&mut opposite.features), waits)
            }
            None => {
                own.trips.alone();
                (None, false)
            }
        };
        let mut marks = if detail.ip.checksum_pending {
            tcp::mark::CHECKSUM_PENDING
        } else {
            0
        };
        if packet.protocol == protocol::TCP && !packet.is_later_fragment() && packet.tcp.present {
            let ends = packet.tcp.flags & (tcp::FIN | tcp::RST) != 0;
            if ends
                && other_waits
                && let Some(other) = &mut other
            {
                other.ip.flags |= ip_flags::FRAGMENT_SEQUENCE;
            }
            tcp::packet(own, other, packet, &detail.tcp_options, gap, marks);
        } else {
            own.trips.without_tcp();
            marks |= tcp::mark::DISTANCE;
            own.tcp.status |= marks;
        }
    }

    /// A fragmented datagram begins.
    pub(super) fn datagram(&mut self, waiting: Waiting, fragments: &Fragments) {
        if self.waits(fragments) {
            self.status |= status::FRAGMENTS_INTERLEAVED | status::FRAGMENTS_UNFINISHED;
        }
        self.waiting = Some(waiting);
    }

    /// Whether its last fragmented datagram is not complete.
    pub(super) fn waits(&self, fragments: &Fragments) -> bool {
        self.waiting
            .is_some_and(|waiting| fragments.waits(&waiting))
    }

    /// What is printed at the end.
    pub(super) fn finish(&mut self) -> TextFeatures {
        if self.status & status::FRAGMENTS_INTERLEAVED != 0 {
            self.features.ip.flags |= ip_flags::FRAGMENT_SEQUENCE;
        }
        std::mem::take(&mut self.features)
    }
}

const SECOND: i64 = 1_000_000_000;

/// Seconds from `earlier_ns` to `later_ns` in single precision; negative if the clock ran back. Whole seconds and
/// fraction are subtracted apart, as in Tranalyzer, so that roundings are the same.
fn seconds_between(later_ns: i64, earlier_ns: i64) -> f32 {
    let whole = later_ns.div_euclid(SECOND) - earlier_ns.div_euclid(SECOND);
    let fraction = later_ns.rem_euclid(SECOND) - earlier_ns.rem_euclid(SECOND);
    (whole as f64 + fraction as f32 as f64 / SECOND as f64) as f32
}

/// As [`seconds_between`], with each fraction rounded before the subtraction.
fn seconds_between_halves(later_ns: i64, earlier_ns: i64) -> f32 {
    let whole = later_ns.div_euclid(SECOND) - earlier_ns.div_euclid(SECOND);
    let fraction = later_ns.rem_euclid(SECOND) as f32 - earlier_ns.rem_euclid(SECOND) as f32;
    (whole as f64 + f64::from(fraction) / SECOND as f64) as f32
}
