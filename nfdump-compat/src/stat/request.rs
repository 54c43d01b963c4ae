//! The argument of `-s`: `ELEMENT[:p][/ORDER[:a|:d]]…`.

use super::{
    element::{ELEMENTS, Element},
    order::{ELEMENT_ORDERS, ORDERS},
};
use crate::output::versions::Facts;

/// What a statistic groups flows by.
#[derive(Clone, Copy)]
pub enum Subject {
    /// The 5-tuple.
    Record,
    /// One element.
    Element(&'static Element),
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Record => "record",
            Self::Element(element) => element.name,
        })
    }
}

/// A statistic asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it groups by.
    pub subject: Subject,
    /// Rows apart by protocol.
    pub by_protocol: bool,
    /// Orders asked for; one table for each. Indexes of [`ORDERS`], ascending, and whether the smallest comes first; empty
    /// for the default order.
    pub orders: Vec<(usize, bool)>,
    /// Smallest first in the tables of flows.
    pub ascending: bool,
    /// False if no table is shown: the first order asked for has a direction that the version does not know.
    pub shown: bool,
}

/// A statistic that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
pub enum RequestError {
    #[error("unknown statistic '{element}' in '-s {text}'")]
    UnknownElement { element: String, text: String },
    #[error("unknown order '{order}' in '-s {text}'")]
    UnknownOrder { order: String, text: String },
}

impl Request {
    /// Parses the argument of `-s`. Names are matched in any case. Of several directions the last one counts, as in nfdump;
    /// later versions tell an element's orders apart, and stop reading at a direction that they do not know.
    ///
    /// # Errors
    /// An element or order that is unknown or not supported yet.
    pub fn parse(text: &str, facts: &Facts) -> Result<Self, RequestError> {
        let mut parts = text.split('/');
        let subject_text = parts.next().unwrap_or_default();
        let (name, by_protocol) = subject_text
            .split_once(':')
            .map_or((subject_text, false), |(name, _)| (name, true));
        let subject = subject(name, text)?;
        let protocol_itself =
            matches!(subject, Subject::Element(element) if element.name == "proto");
        let mut request = Self {
            subject,
            by_protocol: by_protocol || protocol_itself,
            orders: Vec::new(),
            ascending: false,
            shown: true,
        };
        for part in parts {
            let unknown = || RequestError::UnknownOrder {
                order: part.to_owned(),
                text: text.to_owned(),
            };
            let (name, direction) = part.split_once(':').unwrap_or((part, "d"));
            // Flows have orders by time, too, in later versions.
            let all = facts.later && matches!(subject, Subject::Record);
            let orders = if all { ORDERS.len() } else { ELEMENT_ORDERS };
            let order = ORDERS
                .iter()
                .take(orders)
                .position(|order| order.name.eq_ignore_ascii_case(name))
                .ok_or_else(unknown)?;
            request.ascending = match direction {
                "a" => true,
                "d" => false,
                _ if !facts.later => return Err(unknown()),
                _ if direction.starts_with('a') => true,
                _ if direction.starts_with('d') => false,
                _ => {
                    request.shown = !request.orders.is_empty();
                    break;
                }
            };
            request.orders.push((order, request.ascending));
        }
        if !facts.later {
            for (_, ascending) in &mut request.orders {
                *ascending = request.ascending;
            }
        }
        // Of an order that is asked for in both directions the upward one stays.
        request
            .orders
            .sort_unstable_by_key(|(order, ascending)| (*order, !ascending));
        request.orders.dedup_by_key(|(order, _)| *order);
        Ok(request)
    }
}

fn subject(name: &str, text: &str) -> Result<Subject, RequestError> {
    if name.eq_ignore_ascii_case("record") {
        return Ok(Subject::Record);
    }
    if let Some(element) = ELEMENTS
        .iter()
        .find(|element| element.name.eq_ignore_ascii_case(name))
    {
        return Ok(Subject::Element(element));
    }
    Err(RequestError::UnknownElement {
        element: name.to_owned(),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Compat;

    fn parse(text: &str) -> Result<Request, RequestError> {
        Request::parse(text, Compat::V1_7_1.facts())
    }

    fn names(request: &Request) -> Vec<&'static str> {
        request
            .orders
            .iter()
            .map(|(index, _)| ORDERS[*index].name)
            .collect()
    }

    #[test]
    fn orders_come_in_their_fixed_sequence() {
        let request = parse("dstport/pps/packets/bytes").expect("valid");
        assert_eq!(names(&request), ["packets", "bytes", "pps"]);
        assert!(!request.by_protocol && !request.ascending);
        assert!(matches!(request.subject, Subject::Element(element) if element.name == "dstport"));
    }

    #[test]
    fn the_last_direction_counts() {
        assert!(parse("record/flows/bytes:a").expect("valid").ascending);
        assert!(!parse("record/flows:a/bytes").expect("valid").ascending);
        assert!(!parse("RECORD/Flows:d").expect("valid").ascending);
    }

    /// nfdump 1.7.5: `-s proto/bytes/flows:a` sorts by flows upwards, by bytes downwards; `bytes:x` ends the list.
    #[test]
    fn later_versions_tell_directions_apart() {
        let later = Compat::V1_7_5.facts();
        let directions = |text: &str| {
            let request = Request::parse(text, later).expect("valid");
            (
                request.shown,
                request.orders.iter().map(|(_, up)| *up).collect::<Vec<_>>(),
            )
        };
        assert_eq!(directions("proto/bytes/flows:a"), (true, vec![true, false]));
        assert_eq!(directions("proto/bytes:a/bytes"), (true, vec![true]));
        assert_eq!(directions("proto/flows/bytes:x"), (true, vec![false]));
        assert_eq!(directions("proto/bytes:x/flows"), (false, vec![]));
    }

    #[test]
    fn protocol_split() {
        assert!(parse("srcip:p/bytes").expect("valid").by_protocol);
        assert!(parse("proto").expect("valid").by_protocol);
        assert!(parse("srcip").expect("valid").orders.is_empty());
    }

    #[test]
    fn errors_name_the_culprit() {
        for (text, message) in [
            ("foo", "unknown statistic 'foo' in '-s foo'"),
            ("", "unknown statistic '' in '-s '"),
            ("srcip/foo", "unknown order 'foo' in '-s srcip/foo'"),
            ("srcip/", "unknown order '' in '-s srcip/'"),
            (
                "srcip/bytes:x",
                "unknown order 'bytes:x' in '-s srcip/bytes:x'",
            ),
        ] {
            assert_eq!(
                parse(text).map(|_| ()).map_err(|error| error.to_string()),
                Err(message.to_owned())
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_request_or_an_error(text in ".{0,40}", tail in "(srcip|record)(:p)?(/[a-z:]{0,8}){0,3}") {
            let _ = parse(&text);
            let _ = parse(&tail);
        }
    }
}
