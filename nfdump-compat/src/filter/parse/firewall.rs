//! Primitives about firewall events and address translation.

use super::{
    Parser, Test,
    numbers::{LARGEST_U32, all, equal},
};
use crate::{
    field,
    filter::{
        FilterError,
        lexer::Kind,
        program::{Number, Part},
    },
};

impl Parser<'_> {
    /// `asa event …`, `asa xevent …`.
    pub(super) fn firewall_event(&mut self) -> Result<Part, FilterError> {
        let xevent = all(field::NSEL_FW_XEVENT);
        if self.take_if(Kind::Key("xevent"))? {
            return self.compare(xevent, 65_535, "Invalid xevent ID");
        }
        self.expect(Kind::Key("event"), "event or xevent")?;
        let event = match self.peek()? {
            Kind::Key("ignore") => 0,
            Kind::Key("create") => 1,
            Kind::Key("term" | "delete") => 2,
            Kind::Key("deny") => 3,
            Kind::Key("denied") => return self.denied(xevent),
            Kind::Key("invalid" | "add") => return Err(self.error("Unknown asa event")),
            _ => return self.compare(Number::Event, 255, "Invalid xevent ID"),
        };
        self.ahead = None;
        Ok(self.builder.test(equal(Number::Event, event)))
    }

    fn denied(&mut self, xevent: Number) -> Result<Part, FilterError> {
        self.ahead = None;
        let reason = match self.take()? {
            Kind::Key("ingress") => 1001,
            Kind::Key("egress") => 1002,
            Kind::Name => {
                let word = self.lexer.word().to_ascii_lowercase();
                match word.as_str() {
                    _ if word.starts_with("interface") => 1003,
                    _ if word.starts_with("nosyn") => 1004,
                    _ => return Err(self.error("Invalid xevent ID")),
                }
            }
            _ => return Err(self.syntax_error("ingress, egress, interface or nosyn")),
        };
        let event = self.builder.test(equal(Number::Event, 3));
        let reason = self.builder.test(equal(xevent, reason));
        Ok(self.builder.and(event, reason))
    }

    pub(super) fn nat_event(&mut self) -> Result<Part, FilterError> {
        self.expect(Kind::Key("event"), "event")?;
        let event = match self.peek()? {
            Kind::Key("invalid") => 0,
            Kind::Key("add" | "create") => 1,
            Kind::Key("delete") => 2,
            Kind::Key("ignore" | "term" | "deny") => return Err(self.error("Unknown nat event")),
            _ => return self.compare(Number::Event, 255, "Invalid event ID"),
        };
        self.ahead = None;
        Ok(self.builder.test(equal(Number::Event, event)))
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
        let comparison = self.comparison()?;
        let value = self.number()? & LARGEST_U32;
        if !ingress {
            return Err(self.error("ingress/egress syntax error"));
        }
        let number = Number::AccessList(field::ingress_acl(word));
        let test = Test::Compare(number, comparison, value);
        Ok(self.builder.test(test))
    }
}
