//! Primitives that nfdump 1.7.1 does not have.

use super::{
    Direction, Layer, PRIMITIVES, Parser, Test,
    addresses::{DESTINATION, SOURCE, TRANSLATED, TUNNEL},
    numbers::{
        ENGINE_ID_RANGE, ENGINE_TYPE_RANGE, ICMP_CODE_RANGE, ICMP_TYPE_RANGE, LARGEST_U32, all,
        equal,
    },
};
use crate::{
    field,
    filter::{FilterError, lexer::Kind, names, program::Part, value::Number},
};

const TYPE_OR_ID: &str = "type or id";
const TTL_RANGE: &str = "TTL of range 0..255";

/// Where what is known of a packet filter lies in its extension: offset and width.
const ACTION: Number = Number::PacketFilter(0, 1);
const REASON: Number = Number::PacketFilter(1, 1);
const DIRECTION: Number = Number::PacketFilter(2, 1);
const RULE: Number = Number::PacketFilter(4, 4);

impl Parser<'_> {
    /// A primitive that begins with a word which is none of nfdump 1.7.1.
    pub(super) fn later_primitive(&mut self) -> Result<Part, FilterError> {
        match self.word(PRIMITIVES)?.as_str() {
            "engine" => match self.word(TYPE_OR_ID)?.as_str() {
                "type" => self.compare(Number::EngineType, 255, ENGINE_TYPE_RANGE),
                "id" => self.compare(Number::EngineId, 255, ENGINE_ID_RANGE),
                _ => Err(self.syntax_error(TYPE_OR_ID)),
            },
            "icmp" => match self.word("type or code")?.as_str() {
                "type" => self.icmp(8, ICMP_TYPE_RANGE),
                "code" => self.icmp(0, ICMP_CODE_RANGE),
                _ => Err(self.syntax_error("type or code")),
            },
            "exporter" => self.exporter(),
            "ttl" => self.ttl(&[field::MIN_TTL, field::MAX_TTL]),
            "min" => self.behind("ttl", |parser| parser.ttl(&[field::MIN_TTL])),
            "max" => self.behind("ttl", |parser| parser.ttl(&[field::MAX_TTL])),
            "ethertype" => {
                let kind = self.number_to(0xffff, "type of a frame of range 0..65535")?;
                Ok(self.builder.test(equal(all(field::ETHER_TYPE), kind)))
            }
            "first" => self.behind("seen", |parser| parser.seen(field::MSEC_FIRST)),
            "last" => self.behind("seen", |parser| parser.seen(field::MSEC_LAST)),
            "bgp" => {
                self.expect(Kind::Key("next"), "next")?;
                self.bgp_next_hop()
            }
            "xlate" => self.in_layer(Direction::Unspecified, Layer::Translated),
            "pf" => self.packet_filter(),
            "tz" => self.time_zone(Direction::Unspecified),
            _ => Err(self.syntax_error(PRIMITIVES)),
        }
    }

    /// `first seen`, `min ttl`: what follows the second word.
    fn behind(
        &mut self,
        word: &'static str,
        parse: impl FnOnce(&mut Self) -> Result<Part, FilterError>,
    ) -> Result<Part, FilterError> {
        if self.word(word)? == word {
            parse(self)
        } else {
            Err(self.syntax_error(word))
        }
    }

    /// `nat` or `xlate`, `tun` behind a direction; none if another word follows.
    pub(super) fn layer(&mut self) -> Result<Option<Layer>, FilterError> {
        let layer = match self.peek()? {
            Kind::Key("nat") => Layer::Translated,
            Kind::Key("tun") => Layer::Tunnel,
            Kind::Name if self.is_word("xlate")? => Layer::Translated,
            _ => return Ok(None),
        };
        self.ahead = None;
        Ok(Some(layer))
    }

    /// `ip`, `net`, `port` or `geo` of a translated flow or a tunnel.
    pub(super) fn in_layer(
        &mut self,
        direction: Direction,
        layer: Layer,
    ) -> Result<Part, FilterError> {
        const EXPECTED: &str = "ip, net, port or geo";
        if !matches!(
            direction,
            Direction::Unspecified | Direction::Source | Direction::Destination
        ) {
            return Err(self.syntax_error("src or dst"));
        }
        let places = match layer {
            Layer::Translated => TRANSLATED,
            Layer::Tunnel => TUNNEL,
        };
        match self.take()? {
            Kind::Key("ip") => self.hosts(direction, places, true),
            Kind::Key("net") => self.net(direction, places),
            Kind::Key("geo") => self.country(direction, places),
            Kind::Key("port") if layer == Layer::Translated => self.translated_port(direction),
            _ => Err(self.syntax_error(EXPECTED)),
        }
    }

    /// `exporter id N`, `exporter sysid N`, `exporter ip A`, `exporter net …`.
    fn exporter(&mut self) -> Result<Part, FilterError> {
        const EXPECTED: &str = "id, sysid, ip or net";
        if matches!(self.peek()?, Kind::Key("ip" | "net")) {
            return self.router();
        }
        match self.word(EXPECTED)?.as_str() {
            "id" | "sysid" => self.compare(
                Number::Exporter,
                65_535,
                "number of an exporter of range 0..65535",
            ),
            _ => Err(self.syntax_error(EXPECTED)),
        }
    }

    /// A comparison that holds for one of these, or `equal`.
    fn ttl(&mut self, places: &[field::Location]) -> Result<Part, FilterError> {
        if self.is_word("equal")? {
            self.ahead = None;
            return Ok(self.builder.test(Test::SameTtl));
        }
        let comparison = self.comparison()?;
        let ttl = self.number_to(255, TTL_RANGE)?;
        let mut parts = places
            .iter()
            .map(|place| Test::Compare(Number::Ttl(*place), comparison, ttl));
        let mut any = self.builder.test(parts.next().unwrap_or(Test::Any));
        for test in parts {
            let next = self.builder.test(test);
            any = self.builder.or(any, next);
        }
        Ok(any)
    }

    /// A comparison with a time.
    fn seen(&mut self, place: field::Location) -> Result<Part, FilterError> {
        const TIME: &str = "a time as 2026-11-25T08:00:00";
        let comparison = self.comparison()?;
        self.text(TIME)?;
        let time = self.lexer.time();
        let time = time.ok_or_else(|| self.lexer.error("not a time in ISO 8601", TIME))?;
        let test = Test::Compare(all(place), comparison, time);
        Ok(self.builder.test(test))
    }

    /// `pf action`, `pf reason`, `pf rule`, `pf dir`, `pf interface`.
    fn packet_filter(&mut self) -> Result<Part, FilterError> {
        const EXPECTED: &str = "action, reason, rule, dir or interface";
        let test = match self.word(EXPECTED)?.as_str() {
            "action" => {
                let name = self.text("an action as pass or block")?;
                let action = names::action(&name).ok_or_else(|| self.error("unknown pf action"))?;
                equal(ACTION, action)
            }
            "reason" => {
                let name = self.text("a reason as match or short")?;
                let reason = names::reason(&name).ok_or_else(|| self.error("unknown pf reason"))?;
                equal(REASON, reason)
            }
            "rule" => return self.compare(RULE, LARGEST_U32, "number of a rule of 32 bits"),
            "dir" => {
                let direction = self.text("in or out")?;
                equal(DIRECTION, u64::from(direction.eq_ignore_ascii_case("in")))
            }
            "interface" => Test::PacketFilterInterface(self.text("the name of an interface")?),
            _ => return Err(self.syntax_error(EXPECTED)),
        };
        Ok(self.builder.test(test))
    }

    /// The name of a time zone behind `tz`.
    pub(super) fn time_zone(&mut self, direction: Direction) -> Result<Part, FilterError> {
        // The lexer ends a word at the slash.
        let mut zone = self.text("a time zone as Europe/Zurich")?;
        while self.take_if(Kind::Sign('/'))? {
            zone.push('/');
            zone.push_str(&self.text("the rest of a time zone")?);
        }
        let [source, destination] =
            [SOURCE, DESTINATION].map(|place| Test::TimeZone(place, zone.clone()));
        self.by_direction(direction, source, destination)
    }

    /// `nat pblock` behind `port in`.
    pub(super) fn in_port_block(&mut self, direction: Direction) -> Result<Part, FilterError> {
        self.expect(Kind::Key("nat"), "nat")?;
        self.expect(Kind::Key("pblock"), "pblock")?;
        let [source, destination] = [field::SRC_PORT, field::DST_PORT].map(Test::InPortBlock);
        self.by_direction(direction, source, destination)
    }
}
