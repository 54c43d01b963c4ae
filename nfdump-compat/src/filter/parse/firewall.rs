//! Primitives about firewall events and address translation.

use super::{
    Direction, Layer, Parser, Test,
    numbers::{LARGEST_U32, all, equal},
};
use crate::{
    field::{self, Location},
    filter::{FilterError, lexer::Kind, names, program::Part, value::Number},
};

/// A firewall's event.
const DENIED: u64 = 3;
const LONGEST_USER: usize = 65;

impl Parser<'_> {
    /// `asa event …`, `asa xevent …`.
    pub(super) fn firewall_event(&mut self) -> Result<Part, FilterError> {
        let xevent = all(field::NSEL_FW_XEVENT);
        if self.take_if(Kind::Key("xevent"))? {
            return self.compare(xevent, 65_535, "Invalid xevent ID");
        }
        if self.take_if(Kind::Key("denied"))? {
            return self.by_later_rules(|parser| {
                let reason = parser.denial()?;
                Ok(parser.builder.test(equal(xevent, reason)))
            });
        }
        if self.is_word("user")? {
            self.ahead = None;
            return self.by_later_rules(Self::user);
        }
        self.expect(Kind::Key("event"), "event, xevent, denied or user")?;
        let number = self.event(field::NSEL_FW_EVENT);
        let event = match self.peek()? {
            Kind::Key("ignore") => 0,
            Kind::Key("create") => 1,
            Kind::Key("term" | "deny") if self.builder.later => {
                return Err(self.error("Unknown asa event"));
            }
            Kind::Key("term" | "delete") => 2,
            Kind::Key("deny") => 3,
            Kind::Key("denied") => return self.denied(number, xevent),
            Kind::Key("invalid" | "add") => return Err(self.error("Unknown asa event")),
            Kind::Name if self.is_word("alert")? => 4,
            Kind::Name if self.is_word("update")? => 5,
            _ => return self.compare(number, 255, "Invalid xevent ID"),
        };
        self.ahead = None;
        Ok(self.builder.test(equal(number, event)))
    }

    /// The event of a firewall or of a translation: later versions do not take one for the other.
    fn event(&self, later: Location) -> Number {
        if self.builder.later {
            all(later)
        } else {
            Number::Event
        }
    }

    /// `denied` and why; without a reason any.
    fn denied(&mut self, number: Number, xevent: Number) -> Result<Part, FilterError> {
        self.ahead = None;
        let denied = self.builder.test(equal(number, DENIED));
        if !matches!(self.peek()?, Kind::Key("ingress" | "egress") | Kind::Name) {
            return Ok(denied);
        }
        let reason = self.denial()?;
        let reason = self.builder.test(equal(xevent, reason));
        Ok(self.builder.and(denied, reason))
    }

    /// Why something was denied.
    fn denial(&mut self) -> Result<u64, FilterError> {
        Ok(match self.take()? {
            Kind::Key("ingress") => 1001,
            Kind::Key("egress") => 1002,
            Kind::Name => {
                let word = self.lexer.word().to_ascii_lowercase();
                match word.as_str() {
                    "i-acl" => 1001,
                    "e-acl" => 1002,
                    _ if word.starts_with("interface") => 1003,
                    _ if word.starts_with("nosyn") => 1004,
                    _ => return Err(self.error("Invalid xevent ID")),
                }
            }
            _ => return Err(self.syntax_error("ingress, egress, interface or nosyn")),
        })
    }

    /// The user's name behind `asa user`.
    fn user(&mut self) -> Result<Part, FilterError> {
        let name = self.text("the name of a user")?;
        if name.len() > LONGEST_USER {
            return Err(self.error("user name of more than 65 characters"));
        }
        Ok(self.builder.test(Test::User(name)))
    }

    /// `nat event …`; of later versions `nat ip`, `nat port`, `nat pblock` and others.
    pub(super) fn translation(&mut self) -> Result<Part, FilterError> {
        match self.peek()? {
            Kind::Key("pblock") => self.by_later_rules(|parser| {
                parser.ahead = None;
                parser.port_block()
            }),
            Kind::Key("ip" | "net" | "port" | "geo") => self.by_later_rules(|parser| {
                parser.in_layer(Direction::Unspecified, Layer::Translated)
            }),
            _ => self.nat_event(),
        }
    }

    /// `tun proto …`; of later versions `tun ip` and others.
    pub(super) fn tunnel(&mut self) -> Result<Part, FilterError> {
        match self.peek()? {
            Kind::Key("ip" | "net" | "geo") => {
                self.by_later_rules(|parser| parser.in_layer(Direction::Unspecified, Layer::Tunnel))
            }
            _ => {
                self.expect(Kind::Key("proto"), "proto, ip, net or geo")?;
                self.tunnel_protocol()
            }
        }
    }

    pub(super) fn nat_event(&mut self) -> Result<Part, FilterError> {
        self.expect(Kind::Key("event"), "event, ip, net, port, geo or pblock")?;
        let number = self.event(field::NAT_EVENT);
        let event = match self.peek()? {
            Kind::Key("invalid") => 0,
            Kind::Key("add" | "create") => 1,
            Kind::Key("delete") => 2,
            Kind::Key("ignore" | "term" | "deny") => return Err(self.error("Unknown nat event")),
            Kind::Name => match names::translation(self.lexer.word()) {
                Some(event) => event,
                None => return Err(self.syntax_error("the name or number of an event")),
            },
            _ => return self.compare(number, 255, "Invalid event ID"),
        };
        self.ahead = None;
        Ok(self.builder.test(equal(number, event)))
    }

    pub(super) fn port_block(&mut self) -> Result<Part, FilterError> {
        let place = match self.take()? {
            Kind::Key("start") => field::BLOCK_START,
            Kind::Key("end") => field::BLOCK_END,
            Kind::Key("step") => field::BLOCK_STEP,
            Kind::Key("size") => field::BLOCK_SIZE,
            _ => return Err(self.syntax_error("start, end, step or size")),
        };
        let comparison = self.comparison()?;
        let value = self.number_to(65_536, "Invalid port")? & 0xffff;
        let test = Test::Compare(all(place), comparison, value);
        Ok(self.builder.test(test))
    }

    /// `ingress vrf`, `egress vrf`, `ingress acl`, `ingress ace`, `ingress xace`.
    pub(super) fn side_of_firewall(&mut self, side: &'static str) -> Result<Part, FilterError> {
        let ingress = side == "ingress";
        let word = match self.take()? {
            Kind::Key("vrf") if ingress => {
                return self.compare(
                    all(field::INGRESS_VRF),
                    LARGEST_U32,
                    "Invalid ingress vrf ID",
                );
            }
            Kind::Key("vrf") => {
                return self.compare(all(field::EGRESS_VRF), LARGEST_U32, "Invalid egress vrf ID");
            }
            Kind::Key("acl") => 0,
            Kind::Key("ace") => 1,
            Kind::Key("xace") => 2,
            _ => return Err(self.syntax_error("vrf, acl, ace or xace")),
        };
        if word == 0 && (self.builder.later || !ingress) {
            return self.by_later_rules(|parser| parser.access_lists(ingress));
        }
        let comparison = self.comparison()?;
        let value = self.number()? & LARGEST_U32;
        if !ingress {
            return Err(self.error("ingress/egress syntax error"));
        }
        let number = Number::AccessList(field::ingress_acl(word));
        let test = Test::Compare(number, comparison, value);
        Ok(self.builder.test(test))
    }

    /// `acl` of later versions: the id of the list or one of those of its entry, in the order of the record's bytes.
    fn access_lists(&mut self, ingress: bool) -> Result<Part, FilterError> {
        let comparison = self.comparison()?;
        let value = self.number()?;
        let place = if ingress {
            field::ingress_acl
        } else {
            field::egress_acl
        };
        let [list, entry, extended] = [0, 1, 2].map(|word| {
            let number = all(place(word));
            self.builder.test(Test::Compare(number, comparison, value))
        });
        let either = self.builder.or(list, entry);
        Ok(self.builder.or(either, extended))
    }
}
