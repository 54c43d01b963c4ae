//! Our flows of a capture, merged by their ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use exporter::capture::CaptureFile;
use exporter::dissect::{Dissector, Packet, Tunnel};
use exporter::meter::{Endpoints, Flow, FlowSink, Meter, MeterConfig, Metric};

/// One end: an address and a port, or a MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    Ip(IpAddr, u16),
    Mac([u8; 6]),
}

/// Both ends in their order, and the IP protocol or the EtherType.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    pub ends: [End; 2],
    pub protocol: u16,
}

impl Key {
    /// The key, and which of its directions leads from the first end to the second.
    pub fn new(from: End, to: End, protocol: u16) -> (Self, usize) {
        let mut ends = [from, to];
        ends.sort_unstable();
        (Key { ends, protocol }, usize::from(ends[0] != from))
    }
}

/// What one direction carried.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    pub packets: u64,
    /// IP total lengths.
    pub ip: u64,
    /// Frames on the wire with their padding.
    pub frames: u64,
    /// Status bits of the flows.
    pub status: u64,
}

/// Both directions of all conversations.
pub type Conversations = HashMap<Key, [Counts; 2]>;

#[derive(Default)]
struct Merged {
    conversations: Conversations,
    /// What the meter counts beside layer 7 is frames, not IP.
    frames: bool,
}

impl FlowSink for Merged {
    fn pair(&mut self, _now_ns: i64, first: &Flow, second: Option<&Flow>) {
        for flow in [Some(first), second].into_iter().flatten() {
            let (key, direction) = key(flow);
            let counts = &mut self.conversations.entry(key).or_default()[direction];
            if self.frames {
                let padding = flow.text.as_ref().unwrap().pad_octets;
                let is_ip = !matches!(flow.endpoints, Endpoints::Link);
                counts.frames += flow.wide.total + if is_ip { padding } else { 0 };
            } else {
                counts.packets += flow.packets;
                counts.ip += flow.wide.total;
                counts.status |= flow.status;
            }
        }
    }
}

fn key(flow: &Flow) -> (Key, usize) {
    match flow.endpoints {
        Endpoints::Ip {
            src,
            dst,
            src_port,
            dst_port,
            protocol,
        } => Key::new(
            End::Ip(src, src_port),
            End::Ip(dst, dst_port),
            protocol.into(),
        ),
        Endpoints::Link => {
            let macs = flow.mac_pairs[0];
            Key::new(End::Mac(macs.src), End::Mac(macs.dst), flow.ether_type)
        }
    }
}

/// The conversations of a capture: those of innermost packets, and those of outermost packets where they differ.
pub fn both_layers(capture: &Path) -> Conversations {
    let mut all = conversations(capture, Tunnel::Outer);
    all.extend(conversations(capture, Tunnel::Inner));
    all
}

/// The conversations of a capture.
pub fn conversations(capture: &Path, tunnel: Tunnel) -> Conversations {
    let config = |wide| MeterConfig {
        wide,
        text: true,
        ..MeterConfig::default()
    };
    let mut meters = [Metric::Ip, Metric::L2].map(|wide| Meter::new(config(wide)));
    let mut dissector = Dissector::new(tunnel);
    let (mut all, mut packet) = (Merged::default(), Packet::default());
    let mut file = CaptureFile::open(capture).unwrap();
    // Some captures are cut: everything before counts.
    while let Ok(Some(batch)) = file.next_batch() {
        for frame in batch {
            if dissector.dissect(&frame, &mut packet) {
                for (frames, meter) in [false, true].into_iter().zip(&mut meters) {
                    all.frames = frames;
                    meter.packets(&[packet], &mut all);
                }
            }
        }
    }
    for (frames, meter) in [false, true].into_iter().zip(&mut meters) {
        all.frames = frames;
        meter.finish(&mut all);
    }
    all.conversations
}
