//! The grammar: `not` before `and` before `or`, and the primitives.

mod addresses;
mod firewall;
mod later;
mod numbers;
mod payload;

use super::{
    Dialect, Filter, FilterError, Outside,
    lexer::{Kind, Lexer},
    program::{Builder, Part, Test},
    value::Comparison,
};

/// What a primitive may begin with, for error messages.
const PRIMITIVES: &str = "any, proto, ip, net, port, flags, packets, bytes, bps, duration, as, if, vlan, mac, … or not, (";
/// Longest label of a flow.
const MAX_LABEL: usize = 16;
/// Parentheses and negations inside each other.
const MAX_NESTING: usize = 500;

/// The words before `ip`, `port` and others that say which one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Unspecified,
    Source,
    Destination,
    SourceOrDestination,
    SourceAndDestination,
    In,
    Out,
    InSource,
    InDestination,
    OutSource,
    OutDestination,
    Previous,
    Next,
}

/// Which addresses and ports of a flow are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Translated,
    Tunnel,
}

pub(super) fn parse(
    text: &str,
    file: Option<&str>,
    dialect: Dialect,
    outside: &mut dyn Outside,
) -> Result<Filter, FilterError> {
    let mut parser = Parser {
        lexer: Lexer::new(text, file, outside),
        ahead: None,
        builder: Builder::default(),
        nesting: 0,
    };
    parser.builder.later = dialect == Dialect::Later;
    let part = match parser.peek()? {
        Kind::End => None,
        _ => Some(parser.alternatives()?),
    };
    match parser.peek()? {
        Kind::End => Ok(parser.builder.finish(part.as_ref())),
        _ => Err(parser.syntax_error("and, or, or the end of the filter")),
    }
}

/// Takes words, makes a program. A word is read no earlier than it is needed: errors name the last one read.
struct Parser<'o> {
    lexer: Lexer<'o>,
    ahead: Option<Kind>,
    builder: Builder,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Result<Kind, FilterError> {
        match self.ahead {
            Some(kind) => Ok(kind),
            None => {
                let kind = self.lexer.next()?;
                self.ahead = Some(kind);
                Ok(kind)
            }
        }
    }

    fn take(&mut self) -> Result<Kind, FilterError> {
        let kind = self.peek()?;
        self.ahead = None;
        Ok(kind)
    }

    fn take_if(&mut self, wanted: Kind) -> Result<bool, FilterError> {
        let there = self.peek()? == wanted;
        if there {
            self.ahead = None;
        }
        Ok(there)
    }

    fn expect(&mut self, wanted: Kind, expected: &'static str) -> Result<(), FilterError> {
        if self.take_if(wanted)? {
            Ok(())
        } else {
            Err(self.syntax_error(expected))
        }
    }

    fn number(&mut self) -> Result<u64, FilterError> {
        match self.take()? {
            Kind::Number(number) => Ok(number),
            _ => Err(self.syntax_error("a number")),
        }
    }

    /// A number up to `limit`, or an error with this message.
    fn number_to(&mut self, limit: u64, message: &str) -> Result<u64, FilterError> {
        let number = self.number()?;
        if number > limit {
            return Err(self.error(message));
        }
        Ok(number)
    }

    /// Takes a name; it is the lexer's word then.
    fn name(&mut self, expected: &'static str) -> Result<(), FilterError> {
        match self.take()? {
            Kind::Name => Ok(()),
            _ => Err(self.syntax_error(expected)),
        }
    }

    /// Takes a name, a text between quotes, or any other word for itself.
    fn text(&mut self, expected: &'static str) -> Result<String, FilterError> {
        match self.take()? {
            Kind::Name | Kind::Key(_) | Kind::Number(_) | Kind::Quoted => {
                Ok(self.lexer.unquoted().to_owned())
            }
            _ => Err(self.syntax_error(expected)),
        }
    }

    /// Takes a word whatever it is, in small letters.
    fn word(&mut self, expected: &'static str) -> Result<String, FilterError> {
        match self.take()? {
            Kind::Name | Kind::Key(_) => Ok(self.lexer.word().to_ascii_lowercase()),
            _ => Err(self.syntax_error(expected)),
        }
    }

    /// Whether the next word is this one, which is none of the language of nfdump 1.7.1.
    fn is_word(&mut self, wanted: &str) -> Result<bool, FilterError> {
        Ok(self.peek()? == Kind::Name && self.lexer.word().eq_ignore_ascii_case(wanted))
    }

    /// Parses what only later versions have: with their rules.
    fn by_later_rules(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Part, FilterError>,
    ) -> Result<Part, FilterError> {
        let before = std::mem::replace(&mut self.builder.later, true);
        let part = parse(self);
        self.builder.later = before;
        part
    }

    fn syntax_error(&self, expected: &'static str) -> FilterError {
        self.lexer.error("syntax error", expected)
    }

    fn error(&self, message: &str) -> FilterError {
        self.lexer.error(message, "")
    }

    /// Operands of `or`.
    fn alternatives(&mut self) -> Result<Part, FilterError> {
        let mut part = self.conjunction()?;
        while self.take_if(Kind::Key("or"))? {
            let right = self.conjunction()?;
            part = self.builder.or(part, right);
        }
        Ok(part)
    }

    /// Operands of `and`.
    fn conjunction(&mut self) -> Result<Part, FilterError> {
        let mut part = self.operand()?;
        while self.take_if(Kind::Key("and"))? {
            let right = self.operand()?;
            part = self.builder.and(part, right);
        }
        Ok(part)
    }

    /// A negation, something in parentheses (with a label behind or before), or a primitive.
    fn operand(&mut self) -> Result<Part, FilterError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.error("nested too deeply"));
        }
        let part = match self.peek()? {
            Kind::Key("not") => {
                self.ahead = None;
                let part = self.operand()?;
                self.builder.not(part)
            }
            Kind::Sign('(') => {
                let part = self.parentheses()?;
                if self.take_if(Kind::Sign('%'))? {
                    self.label(&part)?;
                }
                part
            }
            Kind::Sign('%') => self.labelled()?,
            _ => self.primitive()?,
        };
        self.nesting -= 1;
        Ok(part)
    }

    fn parentheses(&mut self) -> Result<Part, FilterError> {
        self.expect(Kind::Sign('('), "(")?;
        let part = self.alternatives()?;
        self.expect(Kind::Sign(')'), "and, or, or )")?;
        Ok(part)
    }

    fn label(&mut self, part: &Part) -> Result<(), FilterError> {
        self.name("a label")?;
        let label = self.lexer.word().to_owned();
        self.check_label(&label)?;
        self.builder.label(part, &label);
        Ok(())
    }

    fn check_label(&self, label: &str) -> Result<(), FilterError> {
        if label.len() > MAX_LABEL {
            return Err(self.error("Error: Maximum 16 chars allowed for flowlabel"));
        }
        Ok(())
    }

    /// `% label ( expression )`.
    fn labelled(&mut self) -> Result<Part, FilterError> {
        self.ahead = None;
        self.name("a label")?;
        let label = self.lexer.word().to_owned();
        let part = self.parentheses()?;
        self.check_label(&label)?;
        self.builder.label(&part, &label);
        Ok(part)
    }

    fn primitive(&mut self) -> Result<Part, FilterError> {
        let key = match self.peek()? {
            Kind::Key(key) => key,
            Kind::Name => return self.by_later_rules(Self::later_primitive),
            _ => return Err(self.syntax_error(PRIMITIVES)),
        };
        if key == "next" {
            self.ahead = None;
            if self.take_if(Kind::Key("ip"))? {
                return self.next_hop();
            }
            if self.peek()? == Kind::Key("net") {
                return self.by_later_rules(Self::next_hop_net);
            }
            return self.directed(Direction::Next);
        }
        if matches!(key, "src" | "dst" | "in" | "out" | "prev") {
            let direction = self.direction()?;
            if let Some(layer) = self.layer()? {
                return self.by_later_rules(|parser| parser.in_layer(direction, layer));
            }
            return self.directed(direction);
        }
        if let Some(part) = self.undirected(key)? {
            return Ok(part);
        }
        self.directed(Direction::Unspecified)
    }

    fn direction(&mut self) -> Result<Direction, FilterError> {
        use Direction as D;
        Ok(match self.take()? {
            Kind::Key("src") => self.both(D::Source, "dst")?,
            Kind::Key("dst") => self.both(D::Destination, "src")?,
            Kind::Key("in") => self.side([D::In, D::InSource, D::InDestination])?,
            Kind::Key("out") => self.side([D::Out, D::OutSource, D::OutDestination])?,
            _ => D::Previous,
        })
    }

    /// `src`, perhaps with `or dst` or `and dst`.
    fn both(&mut self, one: Direction, other: &'static str) -> Result<Direction, FilterError> {
        let both = if self.take_if(Kind::Key("or"))? {
            Direction::SourceOrDestination
        } else if self.take_if(Kind::Key("and"))? {
            Direction::SourceAndDestination
        } else {
            return Ok(one);
        };
        self.expect(Kind::Key(other), "src or dst")?;
        Ok(both)
    }

    /// `in`, perhaps with `src` or `dst`.
    fn side(&mut self, [neither, src, dst]: [Direction; 3]) -> Result<Direction, FilterError> {
        if self.take_if(Kind::Key("src"))? {
            Ok(src)
        } else if self.take_if(Kind::Key("dst"))? {
            Ok(dst)
        } else {
            Ok(neither)
        }
    }

    /// A comparison; none means equal.
    fn comparison(&mut self) -> Result<Comparison, FilterError> {
        let comparison = match self.peek()? {
            Kind::Key("=") => Comparison::Equal,
            Kind::Key(">") => Comparison::Greater,
            Kind::Key("<") => Comparison::Less,
            Kind::Key(">=") => Comparison::GreaterOrEqual,
            Kind::Key("<=") => Comparison::LessOrEqual,
            _ => return Ok(Comparison::Equal),
        };
        self.ahead = None;
        Ok(comparison)
    }

    /// The test of the source, of the destination, or of both.
    fn by_direction(
        &mut self,
        direction: Direction,
        source: Test,
        destination: Test,
    ) -> Result<Part, FilterError> {
        match direction {
            Direction::Source => return Ok(self.builder.test(source)),
            Direction::Destination => return Ok(self.builder.test(destination)),
            Direction::Unspecified
            | Direction::SourceOrDestination
            | Direction::SourceAndDestination => {}
            _ => return Err(self.error("This token is not expected here!")),
        }
        let source = self.builder.test(source);
        let destination = self.builder.test(destination);
        Ok(if direction == Direction::SourceAndDestination {
            self.builder.and(source, destination)
        } else {
            self.builder.or(source, destination)
        })
    }
}
