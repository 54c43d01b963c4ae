//! A whole capture through dissection, meter and all sinks: every packet is in a flow or counted by its cause, and no
//! message is longer than allowed.
#![no_main]

use std::sync::OnceLock;

use exporter::cli::Cli;
use exporter::config::{Config, NetflowConfig};
use exporter::dissect::{Detail, Dissector, Packet, Tunnel};
use exporter::meter::{Flow, FlowSink, Meter, MeterConfig, Metric};
use exporter::sink::netflow::{NetflowSink, floor_ms};
use exporter::sink::text::{Layout, TextSink};
use libfuzzer_sys::fuzz_target;
use protocol::encoder::Message;

struct Sinks {
    packets: u64,
    flows: u64,
    netflow: NetflowSink,
    text: [TextSink<Vec<u8>>; 2],
}

impl FlowSink for Sinks {
    fn pair(&mut self, now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            assert!(flow.packets > 0 && flow.first_ns <= flow.last_ns);
            assert!(flow.l7.total <= flow.wide.total && flow.wide.min <= flow.wide.max);
            self.packets += flow.packets;
            self.flows += 1;
            let taken = self
                .netflow
                .flow(floor_ms(now_ns), flow, None, &mut message);
            taken.expect("a record of a flow");
        }
        for text in &mut self.text {
            text.pair(now_ns, first, second);
        }
    }
}

const MAX_MESSAGE: usize = 1400;

fn message(message: Message<'_>) {
    assert!(message.octets.len() <= MAX_MESSAGE);
}

/// NetFlow v9 and IPFIX.
fn configs() -> &'static [NetflowConfig; 2] {
    static CONFIGS: OnceLock<[NetflowConfig; 2]> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        ["9", "10"].map(|version| {
            let cli = Cli::try_parse_from(["t2x", "-r", "-", "--nf-version", version]);
            let config = Config::new(&cli.expect("known options"), &|_| None);
            let netflow = config.expect("a whole configuration").netflow;
            netflow
                .into_iter()
                .next()
                .expect("the sink runs by default")
        })
    })
}

fuzz_target!(|input: &[u8]| {
    // The last octet chooses how.
    let choice = input.last().copied().unwrap_or(0);
    let config = MeterConfig {
        max_flows: 4 + usize::from(choice >> 4) * 40,
        active_timeout: (choice & 4 != 0).then(|| std::time::Duration::from_secs(1)),
        text: choice & 8 == 0,
        wide: Metric::Ip,
        ..MeterConfig::default()
    };
    let tunnel = if choice & 1 == 0 {
        Tunnel::Inner
    } else {
        Tunnel::Outer
    };
    let netflow = &configs()[usize::from(choice >> 1 & 1)];
    let mut dissector = Dissector::new(tunnel);
    let mut meter = Meter::new(config);
    let mut sinks = Sinks {
        packets: 0,
        flows: 0,
        netflow: NetflowSink::new(netflow, 0, MAX_MESSAGE).expect("room for a record"),
        text: [Layout::Columns, Layout::Json]
            .map(|layout| TextSink::new(Vec::new(), Metric::L7, layout, None).expect("memory")),
    };
    let (mut read, mut packet, mut detail) = (0, Packet::default(), Detail::default());
    exporter_fuzz::frames(input, |frame| {
        read += 1;
        if dissector.dissect_in_detail(frame, &mut packet, &mut detail) {
            meter.packets_in_detail(&[packet], &[detail], &mut sinks);
        }
    });
    meter.finish(&mut sinks);
    sinks.netflow.flush(i64::MAX / 2_000_000, &mut message);
    let lost = dissector.counters().short_frames + dissector.counters().unknown_link;
    assert_eq!(sinks.packets + lost, read);
    assert_eq!(
        (meter.stats().flows, meter.flows_in_memory()),
        (sinks.flows, 0)
    );
});
