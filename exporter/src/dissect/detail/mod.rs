//! What only the text sinks need of a packet: which headers it has, its options, whether its checksums are right.
//!
//! It is gathered beside the walk over the layers, by a watcher that sees every layer before it is read. Where nobody
//! asks for it the watcher is empty, and the walk costs what it costs without.

mod checksum;
mod description;
mod ip;
mod names;
mod tcp_options;

pub use description::HeaderDescription;
pub use ip::IpDetail;
pub use tcp_options::{MAX_OPTION_ORDER, MpTcp, TcpOptions};

use super::{Layer, Packet, Rest, be16, protocol};
use crate::capture::LinkType;
use crate::meter::{ip_flags, status};

/// What the text sinks need of one packet beside [`Packet`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Detail {
    /// Its headers.
    pub headers: HeaderDescription,
    /// IP header and checksums.
    pub ip: IpDetail,
    /// TCP options; none of other packets.
    pub tcp_options: TcpOptions,
}

/// Sees the layers of a packet.
pub(super) trait Watcher {
    /// The link type; what follows are its layers.
    fn link(&mut self, _link: LinkType) {}

    /// `layer` is read next, from `rest`.
    fn layer(&mut self, _layer: Layer, _rest: Rest<'_>, _packet: &Packet) {}

    /// A tunnel with these status bits was found; `opened`: what is inside is read next.
    fn tunnel(&mut self, _packet: &Packet, _status: u64, _opened: bool) {}

    /// Nothing inside of the last tunnel could be read: the packet around it counts.
    fn back(&mut self) {}
}

impl Watcher for () {}

/// Gathers the detail of one packet.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    pub detail: Detail,
    /// IP header of the packet around the tunnel that was entered last.
    outer: IpDetail,
}

impl Watcher for Gatherer {
    fn link(&mut self, link: LinkType) {
        self.detail = Detail::default();
        if let Some(name) = names::of_link(link) {
            self.detail.headers.push(name);
        }
    }

    fn layer(&mut self, layer: Layer, rest: Rest<'_>, packet: &Packet) {
        let Detail {
            headers,
            ip,
            tcp_options,
        } = &mut self.detail;
        match layer {
            Layer::Ipv4 => {
                headers.push("ipv4");
                *ip = IpDetail::v4(rest.data);
            }
            Layer::Ipv6 => {
                headers.push("ipv6");
                *ip = IpDetail::v6(rest.data, &mut |name| headers.push(name));
            }
            Layer::Protocol(number) => {
                names::push_protocol(number, headers);
                if number == protocol::UDP && !packet.is_later_fragment() {
                    names::push_udp(rest.data, headers);
                }
                ip.transport(number, rest, packet);
                *tcp_options = match number {
                    protocol::TCP if !packet.is_later_fragment() => TcpOptions::read(rest.data),
                    _ => TcpOptions::default(),
                };
            }
            Layer::Mpls(_) => {
                let labels = rest.data.chunks_exact(4).take(super::shim::MAX_LABELS);
                let below = labels.take_while(|label| label.get(2).is_some_and(|end| end & 1 == 0));
                (0..=below.count()).for_each(|_| headers.push_again("mpls"));
            }
            Layer::Ppp => names::push_ppp(rest.data, headers),
            Layer::Pppoe => {
                headers.push("pppoes");
                names::push_ppp(rest.data.get(6..).unwrap_or(&[]), headers);
            }
            Layer::EtherType(value) => names::push_ether_type(value, headers),
            Layer::Llc => names::push_llc(rest.data, headers),
            Layer::Ethernet => headers.push("eth"),
            Layer::CiscoHdlc => headers.push("chdlc"),
            Layer::FrameRelay => headers.push("fr"),
            Layer::Wireless | Layer::PaddedWireless => headers.push("wlan"),
            Layer::Done => {}
        }
    }

    fn tunnel(&mut self, packet: &Packet, bits: u64, opened: bool) {
        const NAMED: [(u64, &str); 8] = [
            (status::L2TP, "l2tp"),
            (status::TEREDO, "teredo"),
            (status::AYIYA, "ayiya"),
            (status::GTP, "gtp"),
            (status::VXLAN, "vxlan"),
            (status::CAPWAP, "capwap"),
            (status::ERSPAN, "erspan"),
            (status::GENEVE, "geneve"),
        ];
        // L2TP over IP has its name as a protocol.
        let named = bits
            & !if packet.protocol == protocol::L2TP {
                status::L2TP
            } else {
                0
            };
        for (bit, name) in NAMED {
            if named & bit != 0 {
                self.detail.headers.push(name);
            }
        }
        if opened {
            self.outer = self.detail.ip;
            self.detail.ip = IpDetail::default();
        }
    }

    fn back(&mut self) {
        self.detail.ip = self.outer;
        self.detail.tcp_options = TcpOptions::default();
    }
}

/// The length field of a UDP header.
fn udp_length(data: &[u8]) -> Option<usize> {
    be16(data, 4).map(usize::from)
}

/// Whether a flag is raised.
fn flag(raised: bool, bit: u16) -> u16 {
    if raised { bit } else { 0 }
}

/// The flags for something that is not captured to its end.
const SNAPPED: u16 = ip_flags::SNAPPED | ip_flags::L4_CHECKSUM;
