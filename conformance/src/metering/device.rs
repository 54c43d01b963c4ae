//! What a device declares of itself (`--dut`): what its flows are keyed by, what it counts, when flows end, and what
//! it does not look at. What is not declared is what RFC 7011 and RFC 7012 make of a flow record.

use std::fs;
use std::path::Path;

use anyhow::Context;
use exporter::dissect::{Packet, Tunnel};
use exporter::meter::Metric;
use serde::Deserialize;

use super::key::Fields;

/// See the module. The names are those of the file, with hyphens.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Device {
    /// Its name in reports.
    pub name: String,
    /// What tells flows apart; of records and packets alike the rest is left out.
    pub key: Vec<KeyField>,
    /// Protocols whose ports it reports.
    pub ports: Vec<Ported>,
    /// What its octet counts count.
    pub bytes: Bytes,
    /// Whether a record is of one direction or of both. `None`: both are taken.
    pub direction: Option<Direction>,
    /// What its times are those of. `None`: of the direction; of the pair in records of both directions.
    pub times: Option<Times>,
    /// Which packet of a tunnel it counts.
    pub tunnel: Inside,
    /// Under which key it counts fragments without ports. `None`: whichever of `ports` and `zero` fits.
    pub fragments: Option<FragmentPolicy>,
    /// The traffic it counts, as a filter of libpcap; empty: all with an IP header.
    pub traffic: String,
    /// A flow without packets for so many seconds ends.
    pub idle_timeout: Option<f64>,
    /// A flow older than so many seconds is cut.
    pub active_timeout: Option<f64>,
    /// So many seconds later than its time-outs say it may look at its flows.
    pub slack: f64,
    /// It counts one packet of so many.
    pub sampling: u32,
    /// Its counts are multiplied by the sampling rate already.
    pub scaled: bool,
    /// So many seconds its times may be off, once the offset of its clock is known. `None`: what the form of its times can
    /// tell.
    pub tolerance: Option<f64>,
}

impl Default for Device {
    fn default() -> Self {
        Device {
            name: String::new(),
            key: vec![
                KeyField::Source,
                KeyField::Destination,
                KeyField::SourcePort,
                KeyField::DestinationPort,
                KeyField::Protocol,
            ],
            ports: vec![Ported::Tcp, Ported::Udp, Ported::Sctp],
            bytes: Bytes::Ip,
            direction: None,
            times: None,
            tunnel: Inside::Outer,
            fragments: None,
            traffic: String::new(),
            idle_timeout: None,
            active_timeout: None,
            slack: 10.0,
            sampling: 1,
            scaled: false,
            tolerance: None,
        }
    }
}

/// A part of the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyField {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Source port.
    SourcePort,
    /// Destination port.
    DestinationPort,
    /// IP protocol.
    Protocol,
    /// VLAN identifier of the innermost tag.
    Vlan,
}

/// A protocol with ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ported {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What octets count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytes {
    /// IP total length (RFC 7012, octetDeltaCount).
    Ip,
    /// Frames, without the padding of short ones.
    L2,
    /// IP payload.
    L4,
    /// Layer 7 payload.
    L7,
    /// What follows the link header of a frame and its VLAN tags, with padding and trailer.
    LinkPayload,
}

impl Bytes {
    /// All, in the order of [`super::traffic::Truth::layers`].
    pub const ALL: [Bytes; 5] = [
        Bytes::Ip,
        Bytes::L2,
        Bytes::L4,
        Bytes::L7,
        Bytes::LinkPayload,
    ];

    /// Its name in a declaration.
    pub fn name(self) -> &'static str {
        match self {
            Bytes::LinkPayload => "link-payload",
            other => other.metric().name(),
        }
    }

    /// The nearest that the meter has.
    pub fn metric(self) -> Metric {
        match self {
            Bytes::Ip => Metric::Ip,
            Bytes::L2 | Bytes::LinkPayload => Metric::L2,
            Bytes::L4 => Metric::L4,
            Bytes::L7 => Metric::L7,
        }
    }

    /// Octets of a packet whose frame has a link header of `link` octets, its VLAN tags apart.
    pub fn octets(self, packet: &Packet, link: u32) -> u32 {
        match self {
            Bytes::LinkPayload => {
                let tags = 4 * packet.vlans.tags().len() as u32;
                packet.frame_octets.saturating_sub(link + tags)
            }
            other => other.metric().octets(packet),
        }
    }
}

/// Directions of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// One.
    Uniflow,
    /// Both (RFC 5103).
    Biflow,
}

/// What times are those of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Times {
    /// The first and last packet of the direction.
    Direction,
    /// The first and last packet of both directions.
    Pair,
}

/// Which packet of a tunnel counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inside {
    /// The innermost.
    Inner,
    /// The outermost.
    Outer,
}

impl Inside {
    /// The same as the dissector has it.
    pub fn tunnel(self) -> Tunnel {
        match self {
            Inside::Inner => Tunnel::Inner,
            Inside::Outer => Tunnel::Outer,
        }
    }
}

/// Where fragments without a transport header are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FragmentPolicy {
    /// Under the ports of their first fragment.
    Ports,
    /// Under ports 0.
    Zero,
    /// Nowhere.
    Ignored,
}

impl FragmentPolicy {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            FragmentPolicy::Ports => "fragments count under the ports of their first one",
            FragmentPolicy::Zero => "fragments without ports count under ports 0",
            FragmentPolicy::Ignored => "fragments without ports are not counted",
        }
    }
}

impl Device {
    /// Reads a declaration.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot be.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the declaration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the declaration {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let device: Device = toml::from_str(text)?;
        let seconds = [
            ("idle-timeout", device.idle_timeout),
            ("active-timeout", device.active_timeout),
            ("slack", Some(device.slack)),
            ("tolerance", device.tolerance),
        ];
        for (name, value) in seconds {
            if value.is_some_and(|value| !(0.0..=1e9).contains(&value)) {
                anyhow::bail!("{name}: seconds from 0 to 1000000000 wanted");
            }
        }
        if device.sampling == 0 {
            anyhow::bail!("sampling: one packet of so many is counted, at least of 1");
        }
        Ok(device)
    }

    /// What its key holds.
    pub fn fields(&self) -> Fields {
        let has = |field| self.key.contains(&field);
        Fields {
            source: has(KeyField::Source),
            destination: has(KeyField::Destination),
            source_port: has(KeyField::SourcePort),
            destination_port: has(KeyField::DestinationPort),
            protocol: has(KeyField::Protocol),
            vlan: has(KeyField::Vlan),
            tcp: self.ports.contains(&Ported::Tcp),
            udp: self.ports.contains(&Ported::Udp),
            sctp: self.ports.contains(&Ported::Sctp),
        }
    }
}

/// Seconds of a declaration in nanoseconds.
pub(super) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_declaration_says_what_differs() {
        let text = "name = \"x\"\nbytes = \"l2\"\nkey = [\"source\", \"destination\"]\nidle-timeout = 15\ntimes = \"pair\"\n";
        let device = Device::parse(text).unwrap();
        assert_eq!(device.bytes, Bytes::L2);
        assert_eq!(device.idle_timeout, Some(15.0));
        assert_eq!(device.times, Some(Times::Pair));
        assert!(device.fields().source && !device.fields().protocol);
        assert_eq!(Device::parse("").unwrap(), Device::default());
    }

    #[test]
    fn what_cannot_be_is_told() {
        for text in [
            "sampling = 0",
            "idle-timeout = -1",
            "slack = nan",
            "bytes = \"l3\"",
            "color = 1",
        ] {
            assert!(Device::parse(text).is_err(), "{text}");
        }
    }
}
