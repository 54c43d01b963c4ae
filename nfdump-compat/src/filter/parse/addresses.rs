//! Primitives about addresses: `ip`, `net`, `mac` and their relatives.

use super::{Direction, Parser, Test};
use crate::{
    field,
    filter::{
        FilterError,
        address::{Address, Prefix, Prefixes, is_host_name},
        lexer::Kind,
        program::Part,
        value::{Comparison, Number, Place},
    },
};
use std::sync::Arc;

const ADDRESS: &str = "an IP address";
const HOST: &str = "an IP address, a host name, or in [ … ]";

pub(super) const SOURCE: Place = Place(field::SRC_IPV4, field::SRC_IPV6);
pub(super) const DESTINATION: Place = Place(field::DST_IPV4, field::DST_IPV6);
const NEXT_HOP: Place = Place(field::IP_NEXT_HOP_V4, field::IP_NEXT_HOP_V6);
const BGP_NEXT_HOP: Place = Place(field::BGP_NEXT_HOP_V4, field::BGP_NEXT_HOP_V6);
const ROUTER: Place = Place(field::IP_RECEIVED_V4, field::IP_RECEIVED_V6);
pub(super) const TUNNEL: [Place; 2] = [
    Place(field::TUN_SRC_IPV4, field::TUN_SRC_IPV6),
    Place(field::TUN_DST_IPV4, field::TUN_DST_IPV6),
];
pub(super) const TRANSLATED: [Place; 2] = [
    Place(field::XLATE_SRC_IPV4, field::XLATE_SRC_IPV6),
    Place(field::XLATE_DST_IPV4, field::XLATE_DST_IPV6),
];

impl Parser<'_> {
    /// `ip A`, `ip in [ … ]`.
    pub(super) fn ip(&mut self, direction: Direction) -> Result<Part, FilterError> {
        self.hosts(direction, [SOURCE, DESTINATION], true)
    }

    /// `tunip A`.
    pub(super) fn tunnel_ip(&mut self, direction: Direction) -> Result<Part, FilterError> {
        self.hosts(direction, TUNNEL, false)
    }

    /// `nip A`, `xip A`, `nip in [ … ]`.
    pub(super) fn translated_ip(&mut self, direction: Direction) -> Result<Part, FilterError> {
        self.hosts(direction, TRANSLATED, true)
    }

    /// `next ip A`, `next ip in [ … ]`.
    pub(super) fn next_hop(&mut self) -> Result<Part, FilterError> {
        if self.peek()? == Kind::Key("in") {
            let prefixes = self.prefixes()?;
            return Ok(self.builder.test(Test::AddressIn(NEXT_HOP, prefixes)));
        }
        self.one_address(NEXT_HOP)
    }

    /// `next net …`.
    pub(super) fn next_hop_net(&mut self) -> Result<Part, FilterError> {
        self.expect(Kind::Key("net"), "net")?;
        self.net(Direction::Source, [NEXT_HOP; 2])
    }

    /// `bgpnext ip A`; `bgp next ip A`, `bgp next net …`.
    pub(super) fn bgp_next_hop(&mut self) -> Result<Part, FilterError> {
        self.ip_or_net(BGP_NEXT_HOP)
    }

    /// `router ip A`, `router net …`.
    pub(super) fn router(&mut self) -> Result<Part, FilterError> {
        self.ip_or_net(ROUTER)
    }

    fn ip_or_net(&mut self, place: Place) -> Result<Part, FilterError> {
        if self.take_if(Kind::Key("net"))? {
            return self.by_later_rules(|parser| parser.net(Direction::Source, [place; 2]));
        }
        self.expect(Kind::Key("ip"), "ip or net")?;
        self.one_address(place)
    }

    /// `geo CC`: the country of an address, by the geo database.
    pub(super) fn country(
        &mut self,
        direction: Direction,
        [source, destination]: [Place; 2],
    ) -> Result<Part, FilterError> {
        let letters = match self.take()? {
            Kind::Name | Kind::Key(_) | Kind::Quoted => self.lexer.unquoted(),
            _ => return Err(self.syntax_error("a country of two letters")),
        };
        let Ok(letters) = <[u8; 2]>::try_from(letters.as_bytes()) else {
            return Err(self.error("Need a two letter geo country code"));
        };
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        self.by_direction(
            direction,
            Test::Country(source, letters),
            Test::Country(destination, letters),
        )
    }

    pub(super) fn hosts(
        &mut self,
        direction: Direction,
        [source, destination]: [Place; 2],
        lists: bool,
    ) -> Result<Part, FilterError> {
        if lists && self.peek()? == Kind::Key("in") {
            let prefixes = self.prefixes()?;
            return self.by_direction(
                direction,
                Test::AddressIn(source, prefixes.clone()),
                Test::AddressIn(destination, prefixes),
            );
        }
        self.name(HOST)?;
        if self.lexer.word().eq_ignore_ascii_case("tor") {
            return self.by_direction(direction, Test::Tor(source), Test::Tor(destination));
        }
        let addresses = self.addresses("Error parsing IP address.")?;
        let test = |place: Place, address: &Address| Test::Address(place, Prefix::whole(*address));
        if let [address] = addresses.as_slice() {
            return self.by_direction(direction, test(source, address), test(destination, address));
        }
        let set = |place| {
            let ranges = addresses
                .iter()
                .map(|address| (address.value, address.value));
            Test::AddressIn(place, Arc::new(Prefixes::new(ranges.collect())))
        };
        self.by_direction(direction, set(source), set(destination))
    }

    /// The addresses that the last word means: one, or those of a host.
    fn addresses(&mut self, message: &str) -> Result<Vec<Address>, FilterError> {
        if is_host_name(self.lexer.word()) {
            let found = self.lexer.resolve();
            if found.is_empty() {
                return Err(self.error(message));
            }
            return Ok(found.into_iter().map(Address::from).collect());
        }
        Ok(vec![self.complete(message)?])
    }

    /// The last word as a whole address.
    fn complete(&self, message: &str) -> Result<Address, FilterError> {
        let address = Address::parse(self.lexer.word()).ok_or_else(|| self.error(message))?;
        if !address.is_complete() {
            return Err(self.error("incomplete IP address"));
        }
        Ok(address)
    }

    /// The last word as an address, perhaps its first bytes only; no host name.
    fn numeric(&self, word: &str, message: &str) -> Result<Address, FilterError> {
        if is_host_name(word) {
            return Err(self.error("IP address required - hostname not allowed here."));
        }
        Address::parse(word).ok_or_else(|| self.error(message))
    }

    fn one_address(&mut self, place: Place) -> Result<Part, FilterError> {
        self.name(ADDRESS)?;
        let message = "Error parsing IP address.";
        self.numeric(self.lexer.word(), message)?;
        let address = self.complete(message)?;
        let test = Test::Address(place, Prefix::whole(address));
        Ok(self.builder.test(test))
    }

    /// `in [ addresses and prefixes ]`, separated by blanks or commas.
    fn prefixes(&mut self) -> Result<Arc<Prefixes>, FilterError> {
        self.expect(Kind::Key("in"), "in")?;
        self.expect(Kind::Sign('['), "[")?;
        let mut ranges = Vec::new();
        loop {
            self.name(ADDRESS)?;
            let addresses = self.addresses("Invalid IP address")?;
            let is_prefix = self.take_if(Kind::Sign('/'))?;
            match addresses.as_slice() {
                [address] if is_prefix => {
                    let bits = self.number()?;
                    let mask = self.mask(*address, bits)?;
                    let end = if address.is_v6 {
                        !mask
                    } else {
                        !mask & 0xffff_ffff
                    };
                    ranges.push((address.value & mask, address.value | end));
                }
                _ if is_prefix => return Err(self.syntax_error(ADDRESS)),
                all => ranges.extend(all.iter().map(|one| (one.value, one.value))),
            }
            if self.take_if(Kind::Sign(']'))? {
                return Ok(Arc::new(Prefixes::new(ranges)));
            }
            self.take_if(Kind::Sign(','))?;
        }
    }

    fn mask(&self, address: Address, bits: u64) -> Result<u128, FilterError> {
        let mask = address.mask(bits);
        mask.ok_or_else(|| self.error("Too many netbits for this IP address"))
    }

    /// `net A/n`, `net A mask`.
    pub(super) fn net(
        &mut self,
        direction: Direction,
        places: [Place; 2],
    ) -> Result<Part, FilterError> {
        self.name("an IP address and /prefix length, or an IPv4 address and mask")?;
        let word = self.lexer.word().to_owned();
        if self.take_if(Kind::Sign('/'))? {
            return self.prefix(&word, direction, places);
        }
        self.name("/ or an IPv4 mask")?;
        let address = self.numeric(&word, "Invalid IP address")?;
        if address.is_v6 {
            return Err(self.error("IP netmask syntax valid only for IPv4"));
        }
        if !address.is_complete() {
            return Err(self.error("Need complete IP address"));
        }
        let mask = self.numeric(self.lexer.word(), "Invalid IP address")?;
        if mask.is_v6 || !mask.is_complete() {
            return Err(self.error("Invalid netmask for IPv4 address"));
        }
        self.masked(direction, places, Prefix::new(address, mask.value))
    }

    /// `xnet A/n`.
    pub(super) fn translated_net(&mut self, direction: Direction) -> Result<Part, FilterError> {
        self.name(ADDRESS)?;
        let word = self.lexer.word().to_owned();
        self.expect(Kind::Sign('/'), "/")?;
        self.prefix(&word, direction, TRANSLATED)
    }

    fn prefix(
        &mut self,
        word: &str,
        direction: Direction,
        places: [Place; 2],
    ) -> Result<Part, FilterError> {
        let bits = self.number()?;
        let address = self.numeric(word, "Invalid IP address")?;
        let mask = self.mask(address, bits)?;
        self.masked(direction, places, Prefix::new(address, mask))
    }

    fn masked(
        &mut self,
        direction: Direction,
        [source, destination]: [Place; 2],
        prefix: Prefix,
    ) -> Result<Part, FilterError> {
        self.by_direction(
            direction,
            Test::Address(source, prefix),
            Test::Address(destination, prefix),
        )
    }

    /// `mac M`: one of two or four addresses.
    pub(super) fn mac(&mut self, direction: Direction) -> Result<Part, FilterError> {
        use field::{IN_DST_MAC, IN_SRC_MAC, OUT_DST_MAC, OUT_SRC_MAC};
        self.name("a MAC address")?;
        let mac =
            parse_mac(self.lexer.word()).ok_or_else(|| self.error("Invalid MAC address format"))?;
        let locations: &[_] = match direction {
            Direction::Unspecified => &[IN_SRC_MAC, IN_DST_MAC, OUT_SRC_MAC, OUT_DST_MAC],
            Direction::In => &[IN_SRC_MAC, IN_DST_MAC],
            Direction::Out => &[OUT_SRC_MAC, OUT_DST_MAC],
            Direction::Source => &[IN_SRC_MAC, OUT_SRC_MAC],
            Direction::Destination => &[IN_DST_MAC, OUT_DST_MAC],
            Direction::InSource => &[IN_SRC_MAC],
            Direction::InDestination => &[IN_DST_MAC],
            Direction::OutSource => &[OUT_SRC_MAC],
            Direction::OutDestination => &[OUT_DST_MAC],
            _ => return Err(self.error("This token is not expected here!")),
        };
        let mut parts: Vec<Part> = locations
            .iter()
            .map(|location| {
                let number = Number::Field(*location, u64::MAX);
                self.builder
                    .test(Test::Compare(number, Comparison::Equal, mac))
            })
            .collect();
        // Pairs first, as in nfdump.
        while parts.len() > 1 {
            let mut pairs = Vec::new();
            let mut rest = parts.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => self.builder.or(left, right),
                    None => left,
                });
            }
            parts = pairs;
        }
        parts
            .pop()
            .ok_or_else(|| self.syntax_error("a MAC address"))
    }
}

/// Six hexadecimal bytes with colons; what follows the sixth is ignored, as by nfdump. All zero is none.
fn parse_mac(text: &str) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    if text.len() > 17 || !plain {
        return None;
    }
    let mut parts = text.split(':');
    let mut mac = 0;
    for _ in 0..6 {
        let part = parts.next()?;
        let byte = match part {
            "" => 0,
            part => u64::from_str_radix(part, 16)
                .ok()
                .filter(|byte| *byte <= 255)?,
        };
        mac = mac << 8 | byte;
    }
    (mac != 0).then_some(mac)
}
