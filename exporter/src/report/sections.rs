//! The lines of the report, in order: the one table of their names.

use super::item::{Item, Section, Value, percent};
use super::{ExportCounters, InputReport, NetflowTarget, Report};
use crate::dissect::DissectCounters;
use crate::meter::Metric;
use crate::meter::status::{BITS, COUNTED, INVERTED};
use crate::text_files::SocketCounters;

use Value::{
    Asymmetry, Bits, BitsPerSecond, Count, Flag, List, Mean, Number, PerSecond, Percent, Seconds,
    Share, Span, Talker, Text, Time,
};

/// Of the whole run.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let section = |name, items| Section { name, items };
    vec![
        section("run", run(report)),
        section("packets", packets(report)),
        section("extremes", extremes(report)),
        section("protocols", protocols(report)),
        section("flows", flows(report)),
        section("rates", rates(report)),
        section("memory", memory(report)),
        section(
            "netflow",
            report.netflow.first().map(netflow).unwrap_or_default(),
        ),
        section(
            "socket",
            report.socket.as_ref().map(socket).unwrap_or_default(),
        ),
    ]
}

/// Of one capture.
pub(super) fn input(input: &InputReport) -> Section {
    let (info, live) = (input.info, input.live);
    let lost = |name, label, number| Item::new(name, label, Share(number, live.received));
    let items = vec![
        Item::new("path", "Capture", Text(Some(input.path.clone()))),
        Item::new(
            "compression",
            "Compression",
            Text(input.compression.map(|compression| compression.to_string())),
        ),
        Item::new("format", "Format", Text(Some(info.format.to_string()))),
        Item::new(
            "linkType",
            "Link type",
            Text(info.link.map(|link| link.to_string())),
        ),
        Item::new(
            "snapshotLength",
            "Snapshot length",
            Count(info.snaplen.into()),
        ),
        Item::new(
            "read",
            "Read",
            Percent(input.size.map(|size| percent(input.position, size))),
        ),
        Item::new("packets", "Packets of it", Count(input.packets)),
        Item::new("octets", "Octets of the capture file", Count(input.octets)),
        Item::new(
            "received",
            "Packets that reached the interface",
            Count(live.received),
        ),
        lost(
            "kernelDropped",
            "Dropped by the kernel, its buffer was full",
            live.kernel_dropped,
        ),
        lost(
            "interfaceDropped",
            "Dropped by the interface",
            live.interface_dropped,
        ),
        lost(
            "ringDropped",
            "Dropped before the meter, all blocks were full",
            live.ring_dropped,
        ),
        Item::new(
            "clockSteps",
            "Times the clock was set back",
            Count(input.clock_steps),
        ),
    ];
    Section {
        name: "inputs",
        items,
    }
}

fn run(report: &Report) -> Vec<Item> {
    let packets = report.packets;
    let elapsed = report.usage.elapsed.as_secs_f64();
    let cpu = report.usage.cpu.as_secs_f64();
    let some = packets.first_ns.is_some();
    vec![
        Item::new("process", "Process", Number(report.usage.process.into())),
        Item::new(
            "nice",
            "Nice value",
            Text(report.usage.nice.map(|nice| nice.to_string())),
        ),
        Item::new("started", "Started", Time(Some(report.usage.started_ns))),
        Item::new("sinks", "Sink", List(sinks(report))),
        Item::new("stopped", "Stopped by a signal", Flag(report.stopped)),
        Item::new("firstPacket", "First packet", Time(packets.first_ns)),
        Item::new(
            "lastPacket",
            "Last packet",
            Time(some.then_some(packets.last_ns)),
        ),
        Item::new(
            "duration",
            "Capture duration",
            Span(some.then(|| packets.duration_ns())),
        ),
        Item::new("elapsed", "Elapsed time", Seconds(elapsed)),
        Item::new("processorTime", "Processor time", Seconds(cpu)),
        Item::new(
            "packetsPerProcessorSecond",
            "Packets per processor second",
            Count(if cpu > 0.0 {
                (packets.packets as f64 / cpu) as u64
            } else {
                0
            }),
        ),
    ]
}

/// Where flows went, as far as it is known by name.
fn sinks(report: &Report) -> Vec<String> {
    let exports = report.netflow.iter().map(|(target, _)| target.path.clone());
    exports.chain(report.text.iter().cloned()).collect()
}

fn packets(report: &Report) -> Vec<Item> {
    let (packets, meter) = (report.packets, &report.meter);
    let all = packets.packets;
    let octets = meter.a_octets + meter.b_octets;
    let read = report.inputs.iter().map(|input| input.octets).sum();
    let mut items = vec![
        Item::new("packets", "Packets", Count(all)),
        Item::new(
            "filtered",
            "Packets left out by the filter",
            Share(packets.filtered, all + packets.filtered),
        ),
        Item::new(
            "sampledOut",
            "Packets left out by sampling",
            Share(packets.sampled_out, all + packets.sampled_out),
        ),
        Item::new("capturedOctets", "Captured octets", Count(packets.captured)),
        Item::new("wireOctets", "Octets on the wire", Count(packets.original)),
        Item::new(
            "paddingOctets",
            "Octets of Ethernet padding",
            Count(meter.pad_octets),
        ),
        Item::new("captureOctets", "Octets of the captures", Count(read)),
        Item::new(
            "withoutIp",
            "Packets without IP",
            Share(meter.link_packets, all),
        ),
        Item::new("ipv4", "IPv4 packets", Share(meter.ipv4_packets, all)),
        Item::new("ipv6", "IPv6 packets", Share(meter.ipv6_packets, all)),
        Item::new(
            "withoutFlow",
            "Packets without flow",
            Share(all.saturating_sub(meter.packets), all),
        ),
    ];
    items.extend(undissected(&report.dissect, all));
    items.extend([
        Item::new(
            "outOfOrder",
            "Packets out of order",
            Share(meter.backward_packets, all),
        ),
        Item::new("aPackets", "A packets", Share(meter.a_packets, all)),
        Item::new("bPackets", "B packets", Share(meter.b_packets, all)),
        Item::new("aOctets", "A octets", Share(meter.a_octets, octets)),
        Item::new("bOctets", "B octets", Share(meter.b_octets, octets)),
        Item::new(
            "octetsPerAPacket",
            "Octets per A packet",
            Mean(meter.a_octets, meter.a_packets),
        ),
        Item::new(
            "octetsPerBPacket",
            "Octets per B packet",
            Mean(meter.b_octets, meter.b_packets),
        ),
    ]);
    items
}

fn undissected(dissect: &DissectCounters, all: u64) -> [Item; 6] {
    let share = |name, label, number| Item::new(name, label, Share(number, all));
    [
        share(
            "unknownLinkType",
            "Frames of unknown link type",
            dissect.unknown_link,
        ),
        share(
            "shortFrames",
            "Frames that end in their link header",
            dissect.short_frames,
        ),
        share(
            "shortIpHeaders",
            "IP headers not complete",
            dissect.short_ip_headers,
        ),
        share(
            "badIpHeaders",
            "IP headers with a wrong version or length",
            dissect.bad_ip_headers,
        ),
        share(
            "shortTransportHeaders",
            "Transport headers not complete",
            dissect.short_transport_headers,
        ),
        share(
            "tooManyHeaders",
            "Packets with too many headers",
            dissect.too_deep,
        ),
    ]
}

fn extremes(report: &Report) -> Vec<Item> {
    let (flows, meter) = (report.flows, &report.meter);
    let (rate, of_packets) = flows.fastest.unzip();
    vec![
        Item::new(
            "largestLoad",
            "Most octets of layer 7 per packet of a flow",
            Count(flows.largest_load),
        ),
        Item::new(
            "fastest",
            "Fastest flow, layer 7",
            BitsPerSecond(rate.map(|rate| rate as f64)),
        ),
        Item::new(
            "fastestPackets",
            "Packets of the fastest flow",
            Count(of_packets.unwrap_or(0)),
        ),
        Item::new(
            "mostPackets",
            "Flow with most packets",
            Talker(flows.most_packets, report.packets.packets),
        ),
        Item::new(
            "mostOctets",
            "Flow with most octets of layer 7",
            Talker(flows.most_octets, flows.l7_octets),
        ),
        Item::new(
            "mostMacPairs",
            "Most MAC pairs of a flow",
            Count(flows.most_mac_pairs),
        ),
        Item::new(
            "tcpFlags",
            "TCP flags of all flows",
            Bits(meter.tcp_flags.into(), 4),
        ),
        Item::new(
            "ipFlags",
            "IP flags of all flows",
            Bits(meter.text.ip_flags.into(), 4),
        ),
        Item::new(
            "tcpFStat",
            "Status of IP and TCP headers of all flows",
            Bits(meter.text.tcp_status.into(), 4),
        ),
        Item::new(
            "tcpAnomaly",
            "TCP anomalies of all flows",
            Bits(meter.text.tcp_anomaly.into(), 4),
        ),
        Item::new(
            "tcpStates",
            "TCP state anomalies of all flows",
            Bits(meter.tcp_states.into(), 2),
        ),
        Item::new("tcpScans", "TCP scans", Count(meter.text.scans)),
        Item::new(
            "tcpScansAnswered",
            "TCP scans that were answered",
            Count(meter.text.scans_answered),
        ),
        Item::new(
            "tcpSynRetries",
            "Repeated SYNs",
            Count(meter.text.syn_retries),
        ),
        Item::new(
            "tcpRetransmissions",
            "Retransmissions",
            Count(meter.text.sequence_retries),
        ),
        Item::new(
            "tcpClosedWindows",
            "TCP packets that close the window",
            Share(meter.text.closed_windows, meter.tcp_packets),
        ),
        Item::new(
            "minHeaders",
            "Fewest headers of a packet",
            Count(meter.text.min_headers.into()),
        ),
        Item::new(
            "maxHeaders",
            "Most headers of a packet",
            Count(meter.text.max_headers.into()),
        ),
        Item::new(
            "meanHeaders",
            "Headers of a packet on average",
            Mean(
                meter.text.headers,
                if meter.text.headers > 0 {
                    meter.packets
                } else {
                    0
                },
            ),
        ),
        Item::new("ipTos", "ToS of all flows", Bits(meter.tos.into(), 2)),
    ]
}

fn protocols(report: &Report) -> Vec<Item> {
    let meter = &report.meter;
    let all = report.packets.packets;
    let octets = meter.a_octets + meter.b_octets;
    let share = |name, label: &str, number| Item::new(name, label, Share(number, all));
    let mut items = vec![
        Item::new(
            "maxVlanTags",
            "Most VLAN tags in a packet",
            Count(meter.max_vlans.into()),
        ),
        Item::new(
            "maxMplsLabels",
            "Most MPLS labels in a packet",
            Count(meter.max_mpls.into()),
        ),
    ];
    let counted = COUNTED.iter().zip(meter.with_status);
    items.extend(counted.map(|((_, name, label), packets)| share(name, label, packets)));
    items.extend([
        share("igmp", "IGMP packets", meter.igmp_packets),
        share("icmp", "ICMP packets", meter.icmp_packets),
        share("icmpv6", "ICMPv6 packets", meter.icmp6_packets),
        share("tcp", "TCP packets", meter.tcp_packets),
        Item::new("tcpOctets", "TCP octets", Share(meter.tcp_octets, octets)),
        share("udp", "UDP packets", meter.udp_packets),
        Item::new("udpOctets", "UDP octets", Share(meter.udp_octets, octets)),
        share("sctp", "SCTP packets", meter.sctp_packets),
        share("ipv4Fragments", "IPv4 fragments", meter.ipv4_fragments),
        share("ipv6Fragments", "IPv6 fragments", meter.ipv6_fragments),
        Item::new(
            "headlessFragments",
            "Fragments whose first one was not seen",
            Count(meter.fragments_without_head),
        ),
        Item::new(
            "forgottenFragments",
            "First fragments forgotten, too many waited",
            Count(meter.fragments_forgotten),
        ),
    ]);
    items
}

fn flows(report: &Report) -> Vec<Item> {
    let meter = &report.meter;
    let all = meter.flows;
    vec![
        Item::new("flows", "Flows", Number(all)),
        Item::new(
            "withoutIp",
            "Flows without IP",
            Share(meter.link_flows, all),
        ),
        Item::new("ipv4", "IPv4 flows", Share(meter.ipv4_flows, all)),
        Item::new("ipv6", "IPv6 flows", Share(meter.ipv6_flows, all)),
        Item::new("a", "A flows", Share(meter.a_flows, all)),
        Item::new("b", "B flows", Share(meter.b_flows, all)),
        Item::new("request", "Request flows", Share(meter.request_flows, all)),
        Item::new("reply", "Reply flows", Share(meter.reply_flows, all)),
        Item::new(
            "abAsymmetry",
            "A/B flow asymmetry",
            Asymmetry(meter.a_flows, meter.b_flows),
        ),
        Item::new(
            "requestReplyAsymmetry",
            "Request/reply flow asymmetry",
            Asymmetry(meter.request_flows, meter.reply_flows),
        ),
        Item::new(
            "packetsPerFlow",
            "Packets per flow",
            Mean(meter.packets, all),
        ),
        Item::new(
            "packetsPerAFlow",
            "Packets per A flow",
            Mean(meter.a_packets, meter.a_flows),
        ),
        Item::new(
            "packetsPerBFlow",
            "Packets per B flow",
            Mean(meter.b_packets, meter.b_flows),
        ),
    ]
}

/// Rates over the duration of the capture, not of the processing.
fn rates(report: &Report) -> Vec<Item> {
    let meter = &report.meter;
    let seconds = report.packets.duration_ns() as f64 / 1e9;
    let per_second = |number: u64| (seconds > 0.0).then(|| number as f64 / seconds);
    let bits = |octets| BitsPerSecond(per_second(octets).map(|octets| octets * 8.0));
    let rate = |name, label, number| Item::new(name, label, PerSecond(per_second(number)));
    let wide = metric_name(report.wide);
    vec![
        rate(
            "packetsPerSecond",
            "Packets per second",
            report.packets.packets,
        ),
        rate("aPacketsPerSecond", "A packets per second", meter.a_packets),
        rate("bPacketsPerSecond", "B packets per second", meter.b_packets),
        rate("flowsPerSecond", "Flows per second", meter.flows),
        Item::new(
            "layer7",
            "Bandwidth, layer 7 payload",
            bits(report.flows.l7_octets),
        ),
        Item::new(
            "counted",
            format!("Bandwidth, {wide}"),
            bits(report.flows.wide_octets),
        ),
        Item::new("wire", "Bandwidth, wire", bits(report.packets.original)),
    ]
}

fn memory(report: &Report) -> Vec<Item> {
    let meter = &report.meter;
    // Only the text and JSON sinks have all bits collected.
    // That a flow is inverted is no news of all flows; Tranalyzer's report leaves it out, too.
    let status = if report.text.is_empty() {
        0
    } else {
        meter.status & !INVERTED
    };
    let named = BITS.iter().filter(|(bit, ..)| status & bit != 0);
    vec![
        Item::new(
            "maxFlows",
            "Most flows in memory",
            Share(meter.max_flows, report.max_flows),
        ),
        Item::new(
            "earlyReleased",
            "Flows ended early, the table was full",
            Share(meter.early_released, meter.flows),
        ),
        Item::new("octets", "Octets of memory", Count(report.usage.memory)),
        Item::new("flowStat", "flowStat of all flows", Bits(status, 16)),
        Item::new(
            "flowStatBits",
            "flowStat",
            List(named.map(|(_, text)| (*text).to_owned()).collect()),
        ),
        Item::new("files", "Flows written to", List(report.text.clone())),
    ]
}

/// Of each export but the first.
pub(super) fn more_netflow(report: &Report) -> impl Iterator<Item = Section> {
    report.netflow.iter().skip(1).map(|export| Section {
        name: "netflow",
        items: netflow(export),
    })
}

fn netflow((target, counters): &(NetflowTarget, ExportCounters)) -> Vec<Item> {
    let octets = metric_name(target.metric);
    let (sent, encoded) = (&counters.sent, &counters.encoded);
    let lost = sent.lost.iter().map(|lost| {
        let (messages, records) = (lost.messages, lost.records);
        format!("{messages}, flow records: {records}: {}", lost.cause)
    });
    let (flows, reason) = match &counters.not_encoded {
        Some((flows, reason)) => (*flows, Some(reason.to_string())),
        None => (0, None),
    };
    vec![
        Item::new("target", "NetFlow", Text(Some(target.path.clone()))),
        Item::new("sourceId", "Source id", Count(target.source_id.into())),
        Item::new("profile", "Profile", Text(Some(target.profile.to_owned()))),
        Item::new("octetsOf", "Octets of", Text(Some(octets.to_owned()))),
        Item::new("messages", "Sent messages", Number(sent.messages)),
        Item::new("records", "Sent flow records", Number(sent.records)),
        Item::new(
            "templates",
            "Templates in the messages",
            Count(encoded.templates),
        ),
        Item::new(
            "options",
            "Options records in the messages",
            Count(encoded.options),
        ),
        Item::new(
            "biflows",
            "Flow records of both directions",
            Count(counters.biflows),
        ),
        Item::new("octets", "Sent octets", Count(sent.octets)),
        Item::new(
            "maxMessage",
            "Octets of a message at most",
            Count(counters.max_message as u64),
        ),
        Item::new(
            "withoutIp",
            "Flows without IP, not sent",
            Count(counters.without_ip),
        ),
        Item::new(
            "clampedTimes",
            "Times that do not fit in a record",
            Count(encoded.clamped_times),
        ),
        Item::new("notEncoded", "Lost flows", Count(flows)),
        Item::new("notEncodedReason", "Lost because", Text(reason)),
        Item::new(
            "refused",
            "Datagrams refused: no collector listens",
            Count(sent.refused),
        ),
        Item::new(
            "reconnects",
            "Collector away and back",
            Count(sent.reconnects),
        ),
        Item::new(
            "failedReconnects",
            "Collector looked for in vain",
            Count(sent.failed_reconnects),
        ),
        Item::new(
            "lostRecords",
            "Lost flow records",
            Count(sent.not_sent.records),
        ),
        Item::new("lost", "Lost messages", List(lost.collect())),
    ]
}

fn socket((target, counters): &(String, SocketCounters)) -> Vec<Item> {
    let lost = counters.lost.iter();
    let lost = lost.map(|(cause, flows)| format!("{flows}: {cause}"));
    vec![
        Item::new("target", "Socket", Text(Some(target.clone()))),
        Item::new("flows", "Flows sent to it", Number(counters.flows)),
        Item::new(
            "refused",
            "Datagrams refused: nobody listens",
            Count(counters.refused),
        ),
        Item::new(
            "reconnects",
            "Peer away and back",
            Count(counters.reconnects),
        ),
        Item::new(
            "lostFlows",
            "Flows that it lost",
            Count(counters.lost_flows()),
        ),
        Item::new("lost", "Lost because", List(lost.collect())),
    ]
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
