//! The end report: what was read, what became of it, what was sent. Lines that would say zero are left out.

mod format;

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::time::Duration;

use crate::capture::CaptureInfo;
use crate::dissect::DissectCounters;
use crate::export::ExportCounters;
use crate::meter::flow::{Endpoints, Flow, FlowSink};
use crate::meter::{MeterStats, Metric};
use format::{Human, Span, Time};

/// Packets of a capture, counted while it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PacketCounters {
    /// Packets read.
    pub packets: u64,
    /// Octets of them that were captured.
    pub captured: u64,
    /// Octets of them on the wire.
    pub original: u64,
    /// Time of the first packet in the file, nanoseconds since 1970.
    pub first_ns: Option<i64>,
    /// The latest time of a packet.
    pub last_ns: i64,
}

impl PacketCounters {
    /// Counts one packet.
    #[inline]
    pub fn count(&mut self, ts_ns: i64, captured: usize, original: u32) {
        self.packets += 1;
        self.captured += captured as u64;
        self.original += u64::from(original);
        if self.first_ns.is_none() {
            self.first_ns = Some(ts_ns);
            self.last_ns = ts_ns;
        }
        self.last_ns = self.last_ns.max(ts_ns);
    }

    /// From the first packet to the latest one.
    fn duration_ns(&self) -> u64 {
        let first = self.first_ns.unwrap_or(self.last_ns);
        u64::try_from(self.last_ns.saturating_sub(first)).unwrap_or(0)
    }
}

/// The flow that has most of something: its source, and how much.
pub type Talker = Option<(IpAddr, u64)>;

/// Counts octets and the largest flows on their way to the sinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowCounters {
    /// Layer 7 octets of all flows.
    pub l7_octets: u64,
    /// Octets of all flows under the meter's other metric.
    pub wide_octets: u64,
    /// The flow with most packets.
    pub most_packets: Talker,
    /// The flow with most layer 7 octets.
    pub most_octets: Talker,
}

impl FlowSink for FlowCounters {
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            self.l7_octets += flow.l7.total;
            self.wide_octets += flow.wide.total;
            if let Endpoints::Ip { src, .. } = flow.endpoints {
                most(&mut self.most_packets, src, flow.packets);
                most(&mut self.most_octets, src, flow.l7.total);
            }
        }
    }
}

fn most(talker: &mut Talker, source: IpAddr, amount: u64) {
    if amount > talker.map_or(0, |(_, most)| most) {
        *talker = Some((source, amount));
    }
}

/// How the NetFlow sink was set, in the words of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetflowTarget {
    /// Protocol and way, such as `NetFlow v9 over UDP to 127.0.0.1:9995`.
    pub path: String,
    /// The profile's name.
    pub profile: &'static str,
    /// What octets mean.
    pub metric: Metric,
}

/// What the process used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// From start to report.
    pub elapsed: Duration,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Largest resident memory, octets.
    pub memory: u64,
}

/// The end report.
#[derive(Debug)]
pub struct Report {
    /// The capture as the user named it.
    pub input: String,
    /// What its head says.
    pub info: CaptureInfo,
    /// Octets of it; `None` for a pipe.
    pub size: Option<u64>,
    /// Octets of it that were read.
    pub read: u64,
    /// Packets.
    pub packets: PacketCounters,
    /// What could not be dissected.
    pub dissect: DissectCounters,
    /// Packets in flows, and flows.
    pub meter: MeterStats,
    /// What was counted beside layer 7 octets.
    pub wide: Metric,
    /// Sums over the flows.
    pub flows: FlowCounters,
    /// The NetFlow sink, if it ran.
    pub netflow: Option<(NetflowTarget, ExportCounters)>,
    /// Files the text sink wrote.
    pub text: Vec<String>,
    /// What the process used.
    pub usage: Usage,
}

const RULE: &str =
    "--------------------------------------------------------------------------------";

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RULE}\nt2x {}", env!("CARGO_PKG_VERSION"))?;
        self.capture(f)?;
        self.packets(f)?;
        writeln!(f, "{RULE}")?;
        self.extremes(f)?;
        self.protocols(f)?;
        writeln!(f, "{RULE}")?;
        self.flows(f)?;
        self.rates(f)?;
        self.exports(f)
    }
}

impl Report {
    fn capture(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Capture: {} ({})", self.input, self.info.format)?;
        if let Some(link) = self.info.link {
            writeln!(f, "Link type: {link}")?;
        }
        count(f, "Snapshot length", self.info.snaplen.into())?;
        if let Some(first) = self.packets.first_ns {
            writeln!(f, "First packet: {}", Time(first))?;
            writeln!(f, "Last packet: {}", Time(self.packets.last_ns))?;
            writeln!(f, "Capture duration: {}", Span(self.packets.duration_ns()))?;
        }
        let Usage { elapsed, cpu, .. } = self.usage;
        let (elapsed, cpu) = (elapsed.as_secs_f64(), cpu.as_secs_f64());
        write!(f, "Elapsed time: {elapsed:.3} s, processor time {cpu:.3} s")?;
        if self.packets.packets > 0 && cpu > 0.0 {
            let speed = Human((self.packets.packets as f64 / cpu) as u64);
            write!(f, ", packets per processor second: {speed}")?;
        }
        writeln!(f)?;
        match self.size {
            Some(size) => writeln!(f, "Read: {:.2} %", percent(self.read, size)),
            None => Ok(()),
        }
    }

    fn packets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (packets, meter) = (self.packets, &self.meter);
        let all = packets.packets;
        count(f, "Packets", all)?;
        count(f, "Captured octets", packets.captured)?;
        count(f, "Octets on the wire", packets.original)?;
        count(f, "Octets of Ethernet padding", meter.pad_octets)?;
        count(f, "Octets of the capture file", self.read)?;
        share(f, "Packets without IP", meter.link_packets, all)?;
        share(f, "IPv4 packets", meter.ipv4_packets, all)?;
        share(f, "IPv6 packets", meter.ipv6_packets, all)?;
        share(
            f,
            "Packets without flow",
            all.saturating_sub(meter.packets),
            all,
        )?;
        self.undissected(f)?;
        share(f, "Packets out of order", meter.backward_packets, all)?;
        share(f, "A packets", meter.a_packets, all)?;
        share(f, "B packets", meter.b_packets, all)?;
        let octets = meter.a_octets + meter.b_octets;
        share(f, "A octets", meter.a_octets, octets)?;
        share(f, "B octets", meter.b_octets, octets)?;
        mean(f, "Octets per A packet", meter.a_octets, meter.a_packets)?;
        mean(f, "Octets per B packet", meter.b_octets, meter.b_packets)
    }

    fn undissected(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (dissect, all) = (self.dissect, self.packets.packets);
        share(f, "Frames of unknown link type", dissect.unknown_link, all)?;
        share(
            f,
            "Frames that end in their link header",
            dissect.short_frames,
            all,
        )?;
        share(f, "IP headers not complete", dissect.short_ip_headers, all)?;
        share(
            f,
            "IP headers with a wrong version or length",
            dissect.bad_ip_headers,
            all,
        )?;
        share(
            f,
            "Transport headers not complete",
            dissect.short_transport_headers,
            all,
        )?;
        share(f, "Packets with too many headers", dissect.too_deep, all)
    }

    fn extremes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (flows, meter) = (self.flows, &self.meter);
        if let Some((source, packets)) = flows.most_packets {
            let (packets, of_all) = (Human(packets), percent(packets, self.packets.packets));
            writeln!(
                f,
                "Flow with most packets: from {source}: {packets} [{of_all:.2} %]"
            )?;
        }
        if let Some((source, octets)) = flows.most_octets {
            let (octets, of_all) = (Human(octets), percent(octets, flows.l7_octets));
            writeln!(
                f,
                "Flow with most octets of layer 7: from {source}: {octets} [{of_all:.2} %]"
            )?;
        }
        if meter.tcp_flags != 0 {
            writeln!(f, "TCP flags of all flows: 0x{:04x}", meter.tcp_flags)?;
        }
        if meter.tcp_states != 0 {
            writeln!(
                f,
                "TCP state anomalies of all flows: 0x{:02x}",
                meter.tcp_states
            )?;
        }
        if meter.tos != 0 {
            writeln!(f, "ToS of all flows: 0x{:02x}", meter.tos)?;
        }
        Ok(())
    }

    fn protocols(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let meter = &self.meter;
        let all = self.packets.packets;
        let octets = meter.a_octets + meter.b_octets;
        count(f, "Most VLAN tags in a packet", meter.max_vlans.into())?;
        count(f, "Most MPLS labels in a packet", meter.max_mpls.into())?;
        share(f, "ARP packets", meter.arp_packets, all)?;
        share(f, "GRE packets", meter.gre_packets, all)?;
        share(f, "IGMP packets", meter.igmp_packets, all)?;
        share(f, "ICMP packets", meter.icmp_packets, all)?;
        share(f, "ICMPv6 packets", meter.icmp6_packets, all)?;
        share(f, "TCP packets", meter.tcp_packets, all)?;
        share(f, "TCP octets", meter.tcp_octets, octets)?;
        share(f, "UDP packets", meter.udp_packets, all)?;
        share(f, "UDP octets", meter.udp_octets, octets)?;
        share(f, "SCTP packets", meter.sctp_packets, all)?;
        share(f, "IPv4 fragments", meter.ipv4_fragments, all)?;
        share(f, "IPv6 fragments", meter.ipv6_fragments, all)?;
        count(
            f,
            "Fragments whose first one was not seen",
            meter.fragments_without_head,
        )?;
        count(
            f,
            "First fragments forgotten, too many waited",
            meter.fragments_forgotten,
        )
    }

    fn flows(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let meter = &self.meter;
        let all = meter.flows;
        writeln!(f, "Flows: {}", Human(all))?;
        share(f, "Flows without IP", meter.link_flows, all)?;
        share(f, "IPv4 flows", meter.ipv4_flows, all)?;
        share(f, "IPv6 flows", meter.ipv6_flows, all)?;
        share(f, "A flows", meter.a_flows, all)?;
        share(f, "B flows", meter.b_flows, all)?;
        share(f, "Request flows", meter.request_flows, all)?;
        share(f, "Reply flows", meter.reply_flows, all)?;
        if all > 0 {
            asymmetry(f, "A/B flow asymmetry", meter.a_flows, meter.b_flows)?;
            asymmetry(
                f,
                "Request/reply flow asymmetry",
                meter.request_flows,
                meter.reply_flows,
            )?;
        }
        mean(f, "Packets per flow", meter.packets, all)?;
        mean(f, "Packets per A flow", meter.a_packets, meter.a_flows)?;
        mean(f, "Packets per B flow", meter.b_packets, meter.b_flows)
    }

    /// Rates over the duration of the capture, not of the processing.
    fn rates(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let meter = &self.meter;
        let seconds = self.packets.duration_ns() as f64 / 1e9;
        if seconds > 0.0 {
            let per_second = |number: u64| number as f64 / seconds;
            writeln!(
                f,
                "Packets per second: {:.2}",
                per_second(self.packets.packets)
            )?;
            writeln!(f, "Flows per second: {:.2}", per_second(meter.flows))?;
            let bits = |octets: u64| Human((per_second(octets) * 8.0) as u64);
            writeln!(
                f,
                "Bandwidth, layer 7: {} bit/s",
                bits(self.flows.l7_octets)
            )?;
            let wide = metric_name(self.wide);
            writeln!(
                f,
                "Bandwidth, {wide}: {} bit/s",
                bits(self.flows.wide_octets)
            )?;
            writeln!(f, "Bandwidth, wire: {} bit/s", bits(self.packets.original))?;
        }
        count(f, "Most flows in memory", meter.max_flows)?;
        count(
            f,
            "Flows ended early, the table was full",
            meter.early_released,
        )?;
        count(f, "Octets of memory", self.usage.memory)?;
        match meter.status {
            // Only the text and JSON sinks have all bits collected.
            _ if self.text.is_empty() => Ok(()),
            0 => Ok(()),
            status => writeln!(f, "flowStat of all flows: 0x{status:016x}"),
        }
    }

    fn exports(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for file in &self.text {
            writeln!(f, "Text: {file}")?;
        }
        let Some((target, counters)) = &self.netflow else {
            return Ok(());
        };
        let octets = metric_name(target.metric);
        writeln!(
            f,
            "{}, profile {}, octets of {octets}",
            target.path, target.profile
        )?;
        let sent = &counters.sent;
        let (messages, records) = (Human(sent.messages), Human(sent.records));
        writeln!(f, "Sent messages: {messages}, flow records: {records}")?;
        writeln!(f, "Sent octets: {}", Human(sent.octets))?;
        count(f, "Flows without IP, not sent", self.meter.link_flows)?;
        count(
            f,
            "Times that do not fit in a record",
            counters.encoded.clamped_times,
        )?;
        if let Some((flows, reason)) = &counters.not_encoded {
            writeln!(f, "Lost flows: {}: {reason}", Human(*flows))?;
        }
        count(f, "Datagrams refused: no collector listens", sent.refused)?;
        for lost in &sent.lost {
            let (messages, records) = (Human(lost.messages), Human(lost.records));
            writeln!(
                f,
                "Lost messages: {messages}, flow records: {records}: {}",
                lost.cause
            )?;
        }
        Ok(())
    }
}

/// What octets are octets of.
fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::L7 => "layer 7 payload",
        Metric::L4 => "IP payload",
        Metric::Ip => "IP packets",
        Metric::L2 => "frames",
    }
}

/// A line that is left out when it would say zero.
fn count(f: &mut Formatter<'_>, what: &str, number: u64) -> fmt::Result {
    match number {
        0 => Ok(()),
        _ => writeln!(f, "{what}: {}", Human(number)),
    }
}

/// The same with a percentage.
fn share(f: &mut Formatter<'_>, what: impl Display, number: u64, all: u64) -> fmt::Result {
    match number {
        0 => Ok(()),
        _ => writeln!(
            f,
            "{what}: {} [{:.2} %]",
            Human(number),
            percent(number, all)
        ),
    }
}

fn mean(f: &mut Formatter<'_>, what: &str, sum: u64, number: u64) -> fmt::Result {
    match number {
        0 => Ok(()),
        _ => writeln!(f, "{what}: {:.2}", sum as f64 / number as f64),
    }
}

fn asymmetry(f: &mut Formatter<'_>, what: &str, one: u64, other: u64) -> fmt::Result {
    let asymmetry = (one as f64 - other as f64) / (one + other).max(1) as f64;
    writeln!(f, "{what}: {asymmetry:.2}")
}

fn percent(part: u64, all: u64) -> f64 {
    if all == 0 {
        100.0
    } else {
        part as f64 * 100.0 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_out_of_order_do_not_turn_the_clock_back() {
        let mut packets = PacketCounters::default();
        for ts_ns in [5, 9, 7, 9] {
            packets.count(ts_ns, 10, 20);
        }
        assert_eq!((packets.first_ns, packets.last_ns), (Some(5), 9));
        assert_eq!(
            (packets.packets, packets.captured, packets.original),
            (4, 40, 80)
        );
        assert_eq!(packets.duration_ns(), 4);
    }
}
