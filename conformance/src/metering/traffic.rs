//! What went by: the packets of a capture under the keys of a device, with their times and octets.

use std::net::IpAddr;

use exporter::capture::{CaptureFile, LinkType};
use exporter::dissect::{Dissector, Fragment, Packet};
use exporter::meter::status;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::device::{Bytes, Device, FragmentPolicy};
use super::key::{Fields, Key};

/// So many packets are judged: each is kept with its time.
const MOST_PACKETS: u64 = 20_000_000;

/// So many datagrams in fragments are followed at a time.
const MOST_DATAGRAMS: usize = 65_536;

/// Marks of what is in a packet's way.
const ENCAPSULATED: u64 = status::VLAN
    | status::MPLS
    | status::MPLS_MULTICAST
    | status::PPPOE_SESSION
    | status::L2TP
    | status::GRE
    | status::IP_IN_IP
    | status::ETHER_IP
    | status::TEREDO
    | status::AYIYA
    | status::GTP
    | status::VXLAN
    | status::CAPWAP
    | status::GENEVE
    | status::ERSPAN;

/// One packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// Nanoseconds since 1970.
    pub ts_ns: i64,
    /// Its octets in the device's layer.
    pub octets: u32,
}

/// All packets of one key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    /// The packets, by time.
    pub points: Vec<Point>,
    /// Octets in each layer of [`Bytes::ALL`].
    pub layers: [u64; 5],
    /// Fragments without ports are among them.
    pub fragments: bool,
    /// VLAN tags, labels or tunnels are around some.
    pub encapsulated: bool,
    /// The capture cut some inside their headers.
    pub snapped: bool,
}

impl Truth {
    /// Octets in the device's layer.
    pub fn octets(&self, bytes: Bytes) -> u64 {
        Bytes::ALL
            .iter()
            .zip(self.layers)
            .find(|(layer, _)| **layer == bytes)
            .map_or(0, |(_, octets)| octets)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By key.
    pub keys: HashMap<Key, Truth, RandomState>,
    /// Frames read.
    pub frames: u64,
    /// Packets with a key.
    pub packets: u64,
    /// Frames without an IP header, or that could not be read.
    pub without_key: u64,
    /// Frames that the declared traffic leaves out.
    pub left_out: u64,
    /// Fragments without ports.
    pub later_fragments: u64,
    /// Time of the first packet and of the last one.
    pub span: Option<(i64, i64)>,
    /// Why it is not all.
    pub fault: Option<String>,
}

impl Traffic {
    /// The same traffic so many times as fast.
    pub fn quicken(&mut self, speed: f64) {
        let Some((first, last)) = self.span else {
            return;
        };
        let quick = |ts: i64| first + ((ts - first) as f64 / speed).round() as i64;
        let truths = self.keys.values_mut();
        for point in truths.flat_map(|truth| &mut truth.points) {
            point.ts_ns = quick(point.ts_ns);
        }
        self.span = Some((first, quick(last)));
    }
}

/// Ports of the datagrams whose first fragment went by.
type Heads = HashMap<(IpAddr, IpAddr, u8, u32), (u16, u16), RandomState>;

/// Puts packets under keys.
pub(super) struct Counter {
    pub(super) traffic: Traffic,
    fields: Fields,
    bytes: Bytes,
    policy: FragmentPolicy,
    heads: Heads,
}

impl Counter {
    pub(super) fn new(device: &Device, policy: FragmentPolicy) -> Self {
        Self {
            traffic: Traffic::default(),
            fields: device.fields(),
            bytes: device.bytes,
            policy,
            heads: Heads::default(),
        }
    }

    /// Counts a packet whose frame has a link header of `link` octets.
    pub(super) fn packet(&mut self, packet: &Packet, link: u32) {
        let Some(mut key) = Key::of(packet) else {
            self.traffic.without_key += 1;
            return;
        };
        let later = packet.is_later_fragment();
        if packet.fragment != Fragment::Whole {
            let datagram = (key.src, key.dst, key.protocol, packet.ip_id);
            if !later {
                if self.heads.len() >= MOST_DATAGRAMS {
                    self.heads.clear();
                }
                self.heads.insert(datagram, (key.src_port, key.dst_port));
            } else {
                self.traffic.later_fragments += 1;
                let ports = self.heads.get(&datagram).copied().unwrap_or_default();
                (key.src_port, key.dst_port) = match self.policy {
                    FragmentPolicy::Ports => ports,
                    FragmentPolicy::Zero => (0, 0),
                    FragmentPolicy::Ignored => return,
                };
            }
        }
        let truth = self.traffic.keys.entry(self.fields.keep(key)).or_default();
        truth.points.push(Point {
            ts_ns: packet.ts_ns,
            octets: self.bytes.octets(packet, link),
        });
        for (sum, layer) in truth.layers.iter_mut().zip(Bytes::ALL) {
            *sum += u64::from(layer.octets(packet, link));
        }
        truth.fragments |= later;
        truth.encapsulated |= packet.status & ENCAPSULATED != 0
            || packet.mpls_labels > 0
            || packet.vlans.innermost().is_some();
        truth.snapped |= packet.status & (status::L3_SNAPPED | status::L4_SNAPPED) != 0;
        self.traffic.packets += 1;
        let ts = packet.ts_ns;
        let (first, last) = self.traffic.span.unwrap_or((ts, ts));
        self.traffic.span = Some((first.min(ts), last.max(ts)));
    }

    pub(super) fn finish(mut self) -> Traffic {
        for truth in self.traffic.keys.values_mut() {
            truth.points.sort_by_key(|point| point.ts_ns);
        }
        self.traffic
    }
}

/// Reads a capture. `each` is shown every packet that counts, in order.
///
/// # Errors
/// When it cannot be opened, or the declared traffic is no filter.
pub fn read(
    path: &std::path::Path,
    device: &Device,
    policy: FragmentPolicy,
    mut each: impl FnMut(&Packet),
) -> anyhow::Result<Traffic> {
    let mut capture = CaptureFile::open(path)?;
    let mut filter = filter::Traffic::new(&device.traffic)?;
    let mut dissector = Dissector::new(device.tunnel.tunnel());
    let mut counter = Counter::new(device, policy);
    let mut packet = Packet::default();
    loop {
        let batch = match capture.next_batch() {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                counter.traffic.fault = Some(error.to_string());
                break;
            }
        };
        for frame in batch {
            counter.traffic.frames += 1;
            if !filter.wants(&frame) {
                counter.traffic.left_out += 1;
                continue;
            }
            if !dissector.dissect(&frame, &mut packet) {
                counter.traffic.without_key += 1;
                continue;
            }
            counter.packet(&packet, link_header(frame.link));
            each(&packet);
        }
        filter.check()?;
        if counter.traffic.packets > MOST_PACKETS {
            anyhow::bail!(
                "{}: more than {MOST_PACKETS} packets: judge it in parts",
                capture.path()
            );
        }
    }
    Ok(counter.finish())
}

/// Octets of the link headers that have a length of their own.
fn link_header(link: LinkType) -> u32 {
    match link {
        LinkType::ETHERNET => 14,
        LinkType::LINUX_SLL => 16,
        LinkType::LINUX_SLL2 => 20,
        LinkType::NULL | LinkType::LOOP => 4,
        _ => 0,
    }
}

/// The traffic that was declared, by libpcap.
#[cfg(feature = "live")]
mod filter {
    use exporter::capture::{Filter, Frame};

    pub(super) struct Traffic(Option<Filter>);

    impl Traffic {
        pub(super) fn new(text: &str) -> anyhow::Result<Self> {
            Ok(Self((!text.is_empty()).then(|| Filter::new(text))))
        }

        pub(super) fn wants(&mut self, frame: &Frame<'_>) -> bool {
            self.0.as_mut().is_none_or(|filter| filter.wants(frame))
        }

        pub(super) fn check(&self) -> anyhow::Result<()> {
            match self.0.as_ref().and_then(Filter::failed) {
                Some(error) => anyhow::bail!("traffic of the declaration: {error}"),
                None => Ok(()),
            }
        }
    }
}

/// Without libpcap nothing can be declared. The feature is this crate's own: in a build of the whole workspace the
/// exporter has libpcap, and this program must not need it for that.
#[cfg(not(feature = "live"))]
mod filter {
    use exporter::capture::Frame;

    pub(super) struct Traffic;

    impl Traffic {
        pub(super) fn new(text: &str) -> anyhow::Result<Self> {
            anyhow::ensure!(
                text.is_empty(),
                "traffic of the declaration: this t2check is built without libpcap (feature `live`)"
            );
            Ok(Self)
        }

        pub(super) fn wants(&mut self, _: &Frame<'_>) -> bool {
            true
        }

        pub(super) fn check(&self) -> anyhow::Result<()> {
            Ok(())
        }
    }
}
