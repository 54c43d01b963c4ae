//! Primitives about numbers: ports, counters, flags and everything else that is no address.

use super::{
    Direction, Parser, Test,
    addresses::{DESTINATION, SOURCE},
};
use crate::{
    field::{self, Location},
    filter::{
        FilterError,
        lexer::Kind,
        names,
        program::Part,
        value::{Comparison, Number},
    },
};
use std::sync::Arc;

const PORT_RANGE: &str = "Port outside of range 0..65535";
const AS_RANGE: &str = "AS number of range";
const NOT_HERE: &str = "This token is not expected here!";
const DIRECTED: &str = "ip, net, port, as, mask, vlan, tos, mac, if, packets, bytes, …";
pub(super) const ICMP_TYPE_RANGE: &str = "ICMP type of range 0..255";
pub(super) const ICMP_CODE_RANGE: &str = "ICMP code of range 0..255";
pub(super) const ENGINE_TYPE_RANGE: &str = "Engine type of range 0..255";
pub(super) const ENGINE_ID_RANGE: &str = "Engine ID of range 0..255";
const PROTOCOL: &str = "the name or number of a protocol";

/// nfdump compares 16 bits of a VLAN.
const VLAN_BITS: u64 = 0xffff;
pub(super) const LARGEST_U32: u64 = 0xffff_ffff;
/// The label of an MPLS stack entry, and the experimental bits below.
const MPLS_LABEL: u64 = 0x00ff_fff0;
const MPLS_EXPERIMENTAL: u64 = 0xe;
const MPLS_LARGEST: u64 = 0x00ff_ffff;
const TCP: u64 = 6;
const ICMP: u64 = 1;
const ICMP6: u64 = 58;

pub(super) fn all(location: Location) -> Number {
    Number::Field(location, u64::MAX)
}

pub(super) fn equal(number: Number, value: u64) -> Test {
    Test::Compare(number, Comparison::Equal, value)
}

impl Parser<'_> {
    /// A primitive that begins with `key` and takes no direction; none if there is no such one (nothing is taken then).
    pub(super) fn undirected(&mut self, key: &'static str) -> Result<Option<Part>, FilterError> {
        if matches!(
            key,
            "tunip"
                | "ip"
                | "net"
                | "port"
                | "as"
                | "geo"
                | "packets"
                | "bytes"
                | "tos"
                | "mask"
                | "if"
                | "vlan"
                | "mac"
                | "nip"
                | "nport"
                | "xnet"
        ) {
            return Ok(None);
        }
        self.ahead = None;
        let part = match key {
            "any" => self.builder.test(Test::Any),
            "ident" => self.ident()?,
            "ipv4" => self.builder.test(Test::IsIpv6(false)),
            "ipv6" => self.builder.test(Test::IsIpv6(true)),
            "proto" => self.protocol(
                all(field::PROTO),
                "Protocol number > 255",
                "Unknown protocol",
            )?,
            "tun" => self.tunnel()?,
            "flows" if self.builder.later => self.compare(all(field::FLOWS), u64::MAX, "")?,
            "flows" => self.compare(Number::Flows, u64::MAX, "")?,
            "pps" => self.compare(Number::PacketRate, u64::MAX, "")?,
            "bps" => self.compare(Number::BitRate, u64::MAX, "")?,
            "bpp" => self.compare(Number::PacketSize, u64::MAX, "")?,
            "duration" => self.compare(Number::Duration, u64::MAX, "")?,
            "count" => self.count()?,
            "nfversion" => self.compare(Number::Version, 10, "Netflow version must be <= 10")?,
            "flags" => self.flags()?,
            "bgpnext" => self.bgp_next_hop()?,
            "router" => self.router()?,
            "client" => self.latency(field::CLIENT_LATENCY)?,
            "server" => self.latency(field::SERVER_LATENCY)?,
            "app" => self.latency(field::APP_LATENCY)?,
            "sysid" => self.equals(
                Number::Exporter,
                255,
                "Router SysID expected between be 1..255",
            )?,
            "icmp-type" => self.icmp(8, ICMP_TYPE_RANGE)?,
            "icmp-code" => self.icmp(0, ICMP_CODE_RANGE)?,
            "engine-type" => self.compare(Number::EngineType, 255, ENGINE_TYPE_RANGE)?,
            "engine-id" => self.compare(Number::EngineId, 255, ENGINE_ID_RANGE)?,
            "mpls" => self.mpls()?,
            "fwdstat" => self.forwarding_status()?,
            "dir" => self.flow_direction()?,
            "observation" => self.observation()?,
            "asa" => self.firewall_event()?,
            "nat" => self.translation()?,
            "pblock" => self.port_block()?,
            "ingress" | "egress" => self.side_of_firewall(key)?,
            "payload" => self.payload()?,
            "flowlabel" => self.flow_label()?,
            _ => return Err(self.syntax_error(super::PRIMITIVES)),
        };
        Ok(Some(part))
    }

    /// A primitive after its direction.
    pub(super) fn directed(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let key = match self.take()? {
            Kind::Key(key) => key,
            Kind::Name if self.lexer.word().eq_ignore_ascii_case("tz") => {
                return self.by_later_rules(|parser| parser.time_zone(direction));
            }
            _ => return Err(self.syntax_error(DIRECTED)),
        };
        match key {
            "ip" => self.ip(direction),
            "tunip" => self.tunnel_ip(direction),
            "nip" => self.translated_ip(direction),
            "net" => self.net(direction, [SOURCE, DESTINATION]),
            "xnet" => self.translated_net(direction),
            "mac" => self.mac(direction),
            "port" => self.port(direction),
            "nport" => self.translated_port(direction),
            "as" => self.autonomous_system(direction),
            "tos" => {
                let places = [field::SRC_TOS, field::DST_TOS];
                let direction = match direction {
                    Direction::Unspecified => Direction::Source,
                    direction => direction,
                };
                self.compare_both(direction, places, 255, "TOS must be 0..255")
            }
            "mask" => {
                let masks = [field::SRC_MASK, field::DST_MASK].map(all);
                let message = "Mask outside of range 0..255";
                self.both_are(direction, Comparison::Equal, masks, 255, message)
            }
            "vlan" => self.vlan(direction),
            "if" => self.interface(direction),
            "packets" => self.counter(direction, field::IN_PACKETS, field::OUT_PACKETS),
            "bytes" => self.counter(direction, field::IN_BYTES, field::OUT_BYTES),
            "geo" => self.country(direction, [SOURCE, DESTINATION]),
            "payload" => self.directed_payload(direction),
            "flags" => self.by_later_rules(Self::flags),
            _ => Err(self.syntax_error(DIRECTED)),
        }
    }

    /// A comparison with a number up to `limit`.
    pub(super) fn compare(
        &mut self,
        number: Number,
        limit: u64,
        message: &str,
    ) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let value = self.number_to(limit, message)?;
        Ok(self.builder.test(Test::Compare(number, comparison, value)))
    }

    /// A number up to `limit`, without comparison.
    fn equals(&mut self, number: Number, limit: u64, message: &str) -> Result<Part, FilterError> {
        let value = self.number_to(limit, message)?;
        Ok(self.builder.test(equal(number, value)))
    }

    /// A comparison of the source's field, of the destination's, or of both with a number up to `limit`.
    fn compare_both(
        &mut self,
        direction: Direction,
        places: [Location; 2],
        limit: u64,
        message: &str,
    ) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        self.both_are(direction, comparison, places.map(all), limit, message)
    }

    /// A number up to `limit` behind the comparison.
    fn both_are(
        &mut self,
        direction: Direction,
        comparison: Comparison,
        numbers: [Number; 2],
        limit: u64,
        message: &str,
    ) -> Result<Part, FilterError> {
        let value = self.number_to(limit, message)?;
        let [source, destination] = numbers.map(|number| Test::Compare(number, comparison, value));
        self.by_direction(direction, source, destination)
    }

    /// `in [ numbers ]`, separated by blanks or commas, behind `in`.
    fn list(&mut self, limit: u64, message: &str) -> Result<Arc<Vec<u64>>, FilterError> {
        self.expect(Kind::Sign('['), "[")?;
        let mut values = Vec::new();
        loop {
            values.push(self.number_to(limit, message)?);
            if self.take_if(Kind::Sign(']'))? {
                break;
            }
            self.take_if(Kind::Sign(','))?;
        }
        values.sort_unstable();
        Ok(Arc::new(values))
    }

    /// The port of a translated flow.
    pub(super) fn translated_port(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let places = [field::XLATE_SRC_PORT, field::XLATE_DST_PORT];
        if self.take_if(Kind::Key("in"))? {
            return self.by_later_rules(|parser| parser.listed_ports(direction, places));
        }
        self.compare_both(direction, places, 65_535, PORT_RANGE)
    }

    fn port(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let places = [field::SRC_PORT, field::DST_PORT];
        if !self.take_if(Kind::Key("in"))? {
            return self.compare_both(direction, places, 65_535, PORT_RANGE);
        }
        if self.peek()? == Kind::Key("nat") {
            return self.by_later_rules(|parser| parser.in_port_block(direction));
        }
        if !self.take_if(Kind::Key("pblock"))? {
            return self.listed_ports(direction, places);
        }
        if direction == Direction::SourceAndDestination {
            return Err(self.error(NOT_HERE));
        }
        let [source, destination] = places.map(Test::InPortBlock);
        self.by_direction(direction, source, destination)
    }

    /// `[ ports ]` behind `in`.
    fn listed_ports(
        &mut self,
        direction: Direction,
        places: [Location; 2],
    ) -> Result<Part, FilterError> {
        let ports = self.list(65_535, PORT_RANGE)?;
        let [source, destination] = places.map(|place| Test::OneOf(all(place), ports.clone()));
        self.by_direction(direction, source, destination)
    }

    /// `as`: the record's; where that is 0 the one of the address, by the geo database.
    fn autonomous_system(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let adjacent = match direction {
            Direction::Previous => Some(all(field::PREV_AS)),
            Direction::Next => Some(all(field::NEXT_AS)),
            _ => None,
        };
        let systems = [
            Number::System(field::SRC_AS, SOURCE),
            Number::System(field::DST_AS, DESTINATION),
        ];
        if self.take_if(Kind::Key("in"))? {
            let listed = self.list(LARGEST_U32, AS_RANGE)?;
            if let Some(adjacent) = adjacent {
                return self.by_later_rules(|parser| {
                    Ok(parser.builder.test(Test::OneOf(adjacent, listed)))
                });
            }
            let [source, destination] = systems.map(|system| Test::OneOf(system, listed.clone()));
            return self.by_direction(direction, source, destination);
        }
        if let Some(adjacent) = adjacent {
            return self.compare(adjacent, LARGEST_U32, AS_RANGE);
        }
        let comparison = self.comparison()?;
        self.both_are(direction, comparison, systems, LARGEST_U32, AS_RANGE)
    }

    /// A VLAN; by later rules also one of the frame (layer 2).
    fn vlan(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let vlan = self.number_to(65_535, "VLAN number of range 0..65535")?;
        let test = |place| equal(Number::Field(place, VLAN_BITS), vlan);
        let [source, destination] = [field::SRC_VLAN, field::DST_VLAN].map(test);
        let vlans = self.by_direction(direction, source, destination)?;
        if !self.builder.later {
            return Ok(vlans);
        }
        let [source, destination] = [field::VLAN_ID, field::POST_VLAN_ID].map(test);
        let frames = self.by_direction(direction, source, destination)?;
        Ok(self.builder.or(vlans, frames))
    }

    fn interface(&mut self, direction: Direction) -> Result<Part, FilterError> {
        let number = self.number_to(LARGEST_U32, "Input interface number must 0..2^32")?;
        let direction = match direction {
            Direction::Unspecified => Direction::Unspecified,
            Direction::In => Direction::Source,
            Direction::Out => Direction::Destination,
            _ => return Err(self.error(NOT_HERE)),
        };
        let [input, output] = [field::INPUT, field::OUTPUT].map(|place| equal(all(place), number));
        self.by_direction(direction, input, output)
    }

    fn counter(
        &mut self,
        direction: Direction,
        input: Location,
        output: Location,
    ) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let value = self.number()?;
        let place = match direction {
            Direction::Unspecified | Direction::In => input,
            Direction::Out => output,
            _ if !self.builder.later => return Err(self.error(NOT_HERE)),
            _ if input == field::IN_BYTES => return Err(self.error("Invalid direction for bytes")),
            _ => return Err(self.error("Invalid direction for packets")),
        };
        let test = Test::Compare(all(place), comparison, value);
        Ok(self.builder.test(test))
    }

    fn count(&mut self) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let value = self.number()? & LARGEST_U32;
        let test = Test::Compare(Number::Count, comparison, value);
        Ok(self.builder.test(test))
    }

    fn ident(&mut self) -> Result<Part, FilterError> {
        if !matches!(self.take()?, Kind::Name | Kind::Quoted) {
            return Err(self.syntax_error("the name of a source"));
        }
        let ident = self.lexer.unquoted();
        let plain = ident
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if ident.len() > 255 || !plain {
            return Err(self.error("Illegal ident string"));
        }
        let test = Test::Ident(ident.to_owned());
        Ok(self.builder.test(test))
    }

    fn protocol(
        &mut self,
        number: Number,
        too_large: &str,
        unknown: &str,
    ) -> Result<Part, FilterError> {
        let protocol = match self.take()? {
            Kind::Number(protocol) if protocol > 255 => return Err(self.error(too_large)),
            Kind::Number(protocol) => protocol,
            Kind::Name | Kind::Quoted => {
                names::protocol(self.lexer.unquoted()).ok_or_else(|| self.error(unknown))?
            }
            _ => return Err(self.syntax_error(PROTOCOL)),
        };
        Ok(self.builder.test(equal(number, protocol)))
    }

    pub(super) fn tunnel_protocol(&mut self) -> Result<Part, FilterError> {
        let too_large = "Tunnel protocol number > 255";
        self.protocol(Number::TunnelProtocol, too_large, "Unknown tunnel protocol")
    }

    /// `flags LETTERS` (all of them), `flags =LETTERS` (no others) or a number; all mean TCP only.
    fn flags(&mut self) -> Result<Part, FilterError> {
        let test = if self.peek()? == Kind::Name {
            self.ahead = None;
            Test::Flags(self.flag_letters()?)
        } else {
            let comparison = self.comparison()?;
            let flags = if comparison == Comparison::Equal && self.peek()? == Kind::Name {
                self.ahead = None;
                self.flag_letters()?
            } else {
                self.number_to(255, "Flags must be 0..255")?
            };
            Test::Compare(all(field::TCP_FLAGS), comparison, flags)
        };
        let tcp = self.builder.test(equal(all(field::PROTO), TCP));
        let flags = self.builder.test(test);
        Ok(self.builder.and(tcp, flags))
    }

    /// The flags of the letters read last.
    fn flag_letters(&self) -> Result<u64, FilterError> {
        let letters = self.lexer.word();
        let mut flags = 0;
        for (at, letter) in letters.char_indices() {
            let repeated = letters
                .get(..at)
                .is_some_and(|before| before.contains(letter));
            flags |= match letter {
                _ if repeated => return Err(self.error("Too many flags")),
                'F' => 1,
                'S' => 2,
                'R' => 4,
                'P' => 8,
                'A' => 16,
                'U' => 32,
                'E' => 64,
                'C' => 128,
                'X' => 63,
                _ => return Err(self.error("Too many flags")),
            };
        }
        Ok(flags)
    }

    fn latency(&mut self, place: Location) -> Result<Part, FilterError> {
        self.expect(Kind::Key("latency"), "latency")?;
        self.compare(all(place), u64::MAX, "")
    }

    /// Type or code, `shift` bits up in the destination port of an ICMP flow.
    pub(super) fn icmp(&mut self, shift: u32, message: &str) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let value = self.number_to(255, message)? << shift;
        let icmp = self.builder.test(equal(all(field::PROTO), ICMP));
        let icmp6 = self.builder.test(equal(all(field::PROTO), ICMP6));
        let either = self.builder.or(icmp, icmp6);
        let number = Number::Field(field::DST_PORT, 0xff << shift);
        let test = self.builder.test(Test::Compare(number, comparison, value));
        Ok(self.builder.and(either, test))
    }

    fn mpls(&mut self) -> Result<Part, FilterError> {
        const OUT_OF_RANGE: &str = "MPLS value out of range";
        if self.take_if(Kind::Key("any"))? {
            if self.builder.later || !matches!(self.peek()?, Kind::Number(_)) {
                return self.by_later_rules(|parser| parser.any_label(OUT_OF_RANGE));
            }
            let label = self.number_to(MPLS_LARGEST, OUT_OF_RANGE)?;
            return Ok(self.builder.test(equal(Number::BottomLabel, label << 4)));
        }
        self.name("label1 … label10, exp1 … exp10, eos or any")?;
        let what = self.lexer.word().to_ascii_lowercase();
        let comparison = self.comparison()?;
        let value = self.number_to(MPLS_LARGEST, OUT_OF_RANGE)?;
        let test = if let Some(index) = what.strip_prefix("label") {
            let place = self.mpls_entry(index)?;
            let value = (value << 4) & MPLS_LABEL;
            Test::Compare(Number::Field(place, MPLS_LABEL), comparison, value)
        } else if what == "eos" {
            Test::Compare(Number::BottomLabel, comparison, value << 4)
        } else if let Some(index) = what.strip_prefix("exp") {
            if !index.is_empty() && value > 7 {
                return Err(self.error("MPLS exp value out of range"));
            }
            let place = self.mpls_entry(index)?;
            Test::Compare(
                Number::Field(place, MPLS_EXPERIMENTAL),
                comparison,
                value << 1,
            )
        } else {
            return Err(self.error("Unknown MPLS option"));
        };
        Ok(self.builder.test(test))
    }

    /// A comparison that holds for a label of the stack.
    fn any_label(&mut self, out_of_range: &str) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let label = self.number_to(MPLS_LARGEST, out_of_range)? << 4;
        let mut tests = (0..10).map(|n| {
            Test::Compare(
                Number::Field(field::mpls_label(n), MPLS_LABEL),
                comparison,
                label,
            )
        });
        let first = tests.next().unwrap_or(Test::Any);
        let mut any = self.builder.test(first);
        for test in tests {
            let next = self.builder.test(test);
            any = self.builder.or(any, next);
        }
        Ok(any)
    }

    fn mpls_entry(&self, index: &str) -> Result<Location, FilterError> {
        if index.is_empty() {
            return Err(self.error("Missing label number"));
        }
        match index.parse() {
            Ok(index @ 1..=10) => Ok(field::mpls_label(index - 1)),
            _ => Err(self.error("MPLS label out of range 1..10")),
        }
    }

    fn forwarding_status(&mut self) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let status = match self.take()? {
            Kind::Number(status) if status > 255 => {
                return Err(self.error("Forwarding status of range 0..255"));
            }
            Kind::Number(status) => status,
            Kind::Name | Kind::Key("term") => names::forwarding_status(self.lexer.word())
                .ok_or_else(|| self.error("Unknown forwarding status"))?,
            _ => return Err(self.syntax_error("a forwarding status")),
        };
        let test = Test::Compare(all(field::FWD_STATUS), comparison, status);
        Ok(self.builder.test(test))
    }

    fn flow_direction(&mut self) -> Result<Part, FilterError> {
        let direction = match self.take()? {
            Kind::Key("ingress") => 0,
            Kind::Key("egress") => 1,
            Kind::Number(direction) if direction > 255 => {
                return Err(self.error("Flow direction status of range 0, 1"));
            }
            Kind::Number(direction) => direction,
            _ => return Err(self.syntax_error("ingress, egress or a number")),
        };
        Ok(self.builder.test(equal(all(field::DIR), direction)))
    }

    fn observation(&mut self) -> Result<Part, FilterError> {
        let (place, bits) = match self.take()? {
            Kind::Key("domain") => (field::OBSERVATION_DOMAIN, LARGEST_U32),
            Kind::Key("point") => (field::OBSERVATION_POINT, u64::MAX),
            _ => return Err(self.syntax_error("domain id or point id")),
        };
        self.expect(Kind::Key("id"), "id")?;
        let comparison = self.comparison()?;
        let value = self.number()? & bits;
        let test = Test::Compare(all(place), comparison, value);
        Ok(self.builder.test(test))
    }
}
